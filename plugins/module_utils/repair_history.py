# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was repaired when, by Cassandra's own record, and whose turn it is. Pure.

Each node has a share of a keyspace: the ranges that C(nodetool repair -pr) repairs there, of which it is the first
replica. When every node of every datacenter has repaired its share, the keyspace is repaired.

C(system_distributed.parent_repair_history) has a row for each repair that was begun: its tables, and once it has ended
the ranges in which all replicas were compared. It is kept for 30 days. So nothing has to be remembered here, and what
L(heal), L(restore) or a person by C(nodetool) has repaired counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .ring import RING, Range, replication_factors, width
from .view import Endpoint, Keyspace


@dataclass(frozen=True)
class Repair:
    """A repair that went well, as far as C(ranges) go.

    :ivar began: seconds since 1970; what was written later may not be in it.
    """

    keyspace: str
    tables: frozenset[str]
    ranges: tuple[Range, ...]
    began: float


@dataclass(frozen=True)
class Share:
    """What one node repairs of one keyspace.

    :ivar node: its address.
    :ivar last: when its oldest part was repaired last, in seconds since 1970; None where that is not on record.
    """

    keyspace: str
    node: str
    ranges: tuple[Range, ...]
    last: float | None = None


# What a repair must have compared to count: all replicas, with all of their rows.
_WHOLE = {"incremental": ("false",), "dataCenters": ("",), "hosts": ("",), "forceRepair": ("false", None)}
_PARTIAL = {"previewKind": ("NONE", None), "paxosOnly": ("false", None)}


def repairs(rows: Iterable[Mapping[str, Any]]) -> list[Repair]:
    """Those rows of C(parent_repair_history) that count."""
    found = []
    for row in rows:
        options: Mapping[str, str] = row.get("options") or {}
        ranges = tuple(span for text in row.get("successful_ranges") or () if (span := _range(text)))
        counts = all(options.get(name) in values for name, values in {**_WHOLE, **_PARTIAL}.items())
        if counts and ranges and row.get("started_at") is not None:
            tables = frozenset(row.get("columnfamily_names") or ())
            found.append(Repair(row["keyspace_name"], tables, ranges, _seconds(row["started_at"])))
    return found


def _range(text: str) -> Range | None:
    match = re.fullmatch(r"\((-?\d+),\s*(-?\d+)\]", text)
    return (int(match[1]), int(match[2])) if match else None


def _seconds(moment: datetime) -> float:
    """The driver's moments are in UTC and do not say so."""
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp()


def shares(
    members: Mapping[str, Endpoint],
    keyspaces: Iterable[Keyspace],
    tables: Mapping[str, Collection[str]],
    done: Iterable[Repair],
) -> list[Share]:
    """Every node's share of every keyspace that has tables, and several replicas.

    :param members: address -> member of the ring, of all datacenters.
    :param tables: keyspace -> its tables.
    """
    by_keyspace: dict[str, list[Repair]] = {}
    for each in done:
        by_keyspace.setdefault(each.keyspace, []).append(each)
    found = []
    for keyspace in keyspaces:
        wanted = frozenset(tables.get(keyspace.name, ()))
        # One of some tables only leaves the others as old as they were.
        repaired = _latest(each for each in by_keyspace.get(keyspace.name, ()) if each.tables >= wanted)
        if not wanted or not replicated(members, keyspace.replication):
            continue
        for node, ranges in primary_ranges(members, keyspace.replication).items():
            moments = [_covered(span, repaired) for span in ranges]
            known = [moment for moment in moments if moment is not None]
            last = min(known) if known and len(known) == len(moments) else None
            found.append(Share(keyspace.name, node, ranges, last))
    return found


def replicated(members: Mapping[str, Endpoint], replication: Mapping[str, str]) -> bool:
    """Whether there is a second replica to compare with."""
    factors = replication_factors(replication)
    count = {name: sum(1 for item in members.values() if name in ("", item.datacenter)) for name in factors}
    return sum(min(factor, count[name]) for name, factor in factors.items()) > 1


def primary_ranges(members: Mapping[str, Endpoint], replication: Mapping[str, str]) -> dict[str, tuple[Range, ...]]:
    """Address -> the ranges of which the node is the first replica (C(StorageService.getPrimaryRangesForEndpoint)).

    The first replica of a token is the owner of the next one on the ring whose datacenter has replicas.
    """
    factors = replication_factors(replication)
    placed = {name for name, factor in factors.items() if factor > 0}
    owners = sorted((token, address) for address, item in members.items() for token in item.tokens)
    found: dict[str, list[Range]] = {}
    holders = [address for _token, address in owners if "" in placed or members[address].datacenter in placed]
    if not holders:
        return {}
    # Backwards, so that the holder of the next token is known; the ring's last tokens are the first holder's.
    holder = holders[0]
    for number in range(len(owners) - 1, -1, -1):
        token, address = owners[number]
        if "" in placed or members[address].datacenter in placed:
            holder = address
        found.setdefault(holder, []).append((owners[number - 1][0], token))
    return {address: tuple(sorted(ranges)) for address, ranges in sorted(found.items())}


def _latest(done: Iterable[Repair]) -> dict[Range, float]:
    found: dict[Range, float] = {}
    for each in done:
        for span in each.ranges:
            found[span] = max(each.began, found.get(span, each.began))
    return found


def _covered(span: Range, repaired: Mapping[Range, float]) -> float | None:
    """When a range was repaired last: itself, or one that it is a part of since a node has joined."""
    if span in repaired:
        return repaired[span]
    return max((began for other, began in repaired.items() if _holds(other, span)), default=None)


def _holds(outer: Range, inner: Range) -> bool:
    return (inner[0] - outer[0]) % RING + width(inner) <= width(outer)


def due(found: Sequence[Share], before: float) -> list[Share]:
    """Those whose last repair is not on record, or older; the oldest first.

    :param before: seconds since 1970.
    """
    late = [each for each in found if each.last is None or each.last < before]
    return sorted(late, key=lambda each: (each.last or 0.0, each.keyspace))


def oldest(found: Iterable[Share]) -> dict[str, float | None]:
    """Keyspace -> up to when all of it is repaired; None where that is not on record for some of it."""
    by_keyspace: dict[str, list[float | None]] = {}
    for each in found:
        by_keyspace.setdefault(each.keyspace, []).append(each.last)
    return {
        name: None if None in moments else min(moment for moment in moments if moment is not None)
        for name, moments in sorted(by_keyspace.items())
    }
