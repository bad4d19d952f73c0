# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a node takes for alive, found out without a JVM: the reads to ask for, and what their answers tell.

A read at consistency ALL is refused before it is sent where the coordinator's failure detector misses a replica
(C(ReplicaPlans.forRead) and C(assureSufficientReplicas), Cassandra 4.0 to 5.0). So one that is served proves all of its
replicas alive; and one that is refused, all of whose replicas but one are alive, proves this one dead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from . import cql, ring
from .view import Endpoint

# Keys to look at, a member: some keyspaces leave whole datacenters out, and no key leads to these.
TRIES = 20
# Keys that one statement reads. Each is a round trip, and a thousand members need some 350 keys to reach them all.
TOGETHER = 20


@dataclass
class Liveness:
    """What is known so far.

    :ivar up: addresses that are proven alive.
    :ivar refused: replicas of each read that was refused.
    """

    up: set[str]
    refused: list[frozenset[str]] = field(default_factory=list)

    def down(self) -> set[str]:
        """Addresses that are proven dead."""
        left = (replicas - self.up for replicas in self.refused)
        return {address for rest in left if len(rest) == 1 for address in rest}

    def settles(self, members: Collection[str]) -> bool:
        """Whether each of them is proven the one or the other."""
        unproven = set(members) - self.up
        # A refusal proves one of them at most.
        return len(unproven) <= len(self.refused) and unproven <= self.down()

    def would_tell(self, replicas: Collection[str]) -> bool:
        """Whether a read of these may prove anything: somebody is unproven, and no refusal implies that of this."""
        unproven = set(replicas) - self.up
        return bool(unproven) and not any(read - self.up <= unproven for read in self.refused)


Probe = tuple[tuple[str, ...], tuple[str, ...]]
"""The keys of rows that need not exist, and the addresses of all their replicas."""


def probes(members: Mapping[str, Endpoint], replication: Mapping[str, str]) -> list[Probe]:
    """Of the keys "cassops-probe-0", "-1", ... first those few that reach every member, many by one statement; then
    each by itself, which tells whom such a statement was refused for.

    None where the keyspace asks for more replicas than there are nodes: a read at ALL is refused there whoever is alive
    (``ReplicationFactor.allReplicas``, of all datacenters that the replication names), so refusals prove nothing.

    :param replication: of the table's keyspace.
    """
    normal = {address: item for address, item in members.items() if item.tokens}
    if not normal or not replication:
        return []
    find = ring.replica_finder(
        {address: item.tokens for address, item in normal.items()},
        {address: item.rack for address, item in normal.items()},
        {address: item.datacenter for address, item in normal.items()},
        replication,
    )
    keys = (f"cassops-probe-{number}" for number in range(TRIES * len(normal)))
    found = [((key,), find(cql.token(key))) for key in keys]
    wanted = sum(ring.replication_factors(replication).values())
    if any(len(replicas) < wanted for _keys, replicas in found):
        return []
    first, rest = widest_first(found)
    return [*gathered(first), *first, *rest]


def statement(keys: Sequence[str]) -> str:
    """Reads rows of roles. The coordinator asks all their replicas before it reads anything, or refuses: so it does
    where there is no need to page (C(SelectStatement.execute) and C(StorageProxy.fetchRows), Cassandra 4.0 to 5.0).
    """
    listed = ", ".join(cql.text_literal(key) for key in keys)
    return f"SELECT role FROM system_auth.roles WHERE role IN ({listed}) LIMIT {len(keys)}"


def gathered(found: Sequence[Probe]) -> list[Probe]:
    """So many in one that a large ring takes a few; nothing where there is but one."""
    parts = [found[start : start + TOGETHER] for start in range(0, len(found), TOGETHER)]
    return [
        (
            tuple(key for keys, _replicas in part for key in keys),
            tuple({address: None for _keys, replicas in part for address in replicas}),
        )
        for part in parts
        if len(part) > 1
    ]


def widest_first(found: Sequence[Probe]) -> tuple[list[Probe], list[Probe]]:
    """Those that reach the most members that none before them does, and what reaches nobody new."""
    new = {address for _keys, replicas in found for address in replicas}
    first: list[Probe] = []
    rest = list(found)
    for size in range(max((len(replicas) for _keys, replicas in found), default=0), 0, -1):
        left = []
        for probe in rest:
            if len(new.intersection(probe[1])) >= size:
                first.append(probe)
                new.difference_update(probe[1])
            else:
                left.append(probe)
        rest = left
    return first, rest
