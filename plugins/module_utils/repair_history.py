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

import bisect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .gates import keyspaces_named
from .report import age, replicas
from .ring import RING, Range, replication_factors, width
from .view import SHORTEST_GC_GRACE, Endpoint, Keyspace

# Seconds that Cassandra keeps it.
KEPT = 30 * 86400.0
# What of gc_grace_seconds may go by before somebody has to see to it. Half of it would tell of keyspaces that are well:
# with the defaults one is repaired in the first night after five of ten days, and by a weekly run after seven.
ALARM = 0.75
_ADVICE = (
    "run the playbook repair, and have it run by the clock: after gc_grace_seconds rows that were deleted come back "
    "where a replica missed the deletion"
)


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
_COMPLETE: Mapping[str, tuple[str | None, ...]] = {
    "incremental": ("false",),
    "dataCenters": ("",),
    "hosts": ("",),
    "forceRepair": ("false", None),
    "previewKind": ("NONE", None),
    "paxosOnly": ("false", None),
}


def repairs(rows: Iterable[Mapping[str, Any]], since: Mapping[str, float] | None = None) -> list[Repair]:
    """Those rows of C(parent_repair_history) that count.

    :param since: keyspace -> when its replication was changed last, in seconds since 1970: replicas that it has got
        since then were not compared.
    """
    found = []
    for row in rows:
        options: Mapping[str, str] = row.get("options") or {}
        ranges = tuple(span for text in row.get("successful_ranges") or () if (span := _range(text)))
        counts = all(options.get(name) in values for name, values in _COMPLETE.items())
        if not counts or not ranges or row.get("started_at") is None:
            continue
        keyspace, began = row["keyspace_name"], _seconds(row["started_at"])
        if began >= (since or {}).get(keyspace, 0.0):
            found.append(Repair(keyspace, frozenset(row.get("columnfamily_names") or ()), ranges, began))
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
    *,
    in_pieces: bool = False,
) -> list[Share]:
    """Every node's share of every keyspace that has tables, and several replicas.

    :param members: address -> member of the ring, of all datacenters.
    :param tables: keyspace -> its tables.
    :param in_pieces: also ranges count that were repaired in pieces, such as those that grew since when nodes left.
    """
    by_keyspace: dict[str, list[Repair]] = {}
    for each in done:
        by_keyspace.setdefault(each.keyspace, []).append(each)
    found = []
    for keyspace in keyspaces:
        wanted = frozenset(tables.get(keyspace.name, ()))
        # One of some tables only leaves the others as old as they were.
        repaired = _Repaired(each for each in by_keyspace.get(keyspace.name, ()) if each.tables >= wanted)
        if not wanted or not replicated(members, keyspace.replication):
            continue
        for node, ranges in primary_ranges(members, keyspace.replication).items():
            moments = [repaired.in_pieces(span) if in_pieces else repaired.covered(span) for span in ranges]
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


def replica_ranges(members: Mapping[str, Endpoint], replication: Mapping[str, str]) -> dict[str, tuple[Range, ...]]:
    """Address -> the ranges of which the node has a replica: what C(nodetool repair) without C(-pr) compares there."""
    found: dict[str, list[Range]] = {}
    for span, holders in replicas(members, replication):
        for address in holders:
            found.setdefault(address, []).append(span)
    return {address: tuple(ranges) for address, ranges in found.items()}


def compared(
    keyspace: str, tables: Collection[str], spans: Collection[Range], done: Iterable[Repair], since: float
) -> bool:
    """Whether all of these tables were compared in all of these ranges, by repairs that began after a moment."""
    wanted = frozenset(tables)
    repaired = _Repaired(
        each for each in done if each.keyspace == keyspace and each.tables >= wanted and each.began > since
    )
    return bool(wanted and spans) and all(repaired.covered(span) is not None for span in spans)


class _Repaired:
    """Ranges, and when each was repaired last."""

    def __init__(self, done: Iterable[Repair]) -> None:
        self._latest: dict[Range, float] = {}
        for each in done:
            for span in each.ranges:
                self._latest[span] = max(each.began, self._latest.get(span, each.began))
        self._sorted = sorted(self._latest)
        self._widest = max(map(width, self._sorted), default=0)

    def covered(self, span: Range) -> float | None:
        """When a range was repaired last: itself, or one that it is a part of since a node has joined."""
        if span in self._latest:
            return self._latest[span]
        return max((self._latest[other] for other in self._around(span)), default=None)

    def in_pieces(self, span: Range) -> float | None:
        """The same, or when the oldest of those was repaired that follow one another and make it up: the later."""
        told = (self.covered(span), self._in_a_chain(span))
        return max((moment for moment in told if moment is not None), default=None)

    def _in_a_chain(self, span: Range) -> float | None:
        """Of those that begin where one ends that which was repaired last is taken, or one that holds the rest."""
        at, left = span[0], width(span)
        moments: list[float] = []
        while left:
            rest = self.covered((at, span[1])) if moments else None
            first = bisect.bisect_left(self._sorted, (at, -RING))
            last = bisect.bisect_right(self._sorted, (at, RING))
            pieces = [each for each in self._sorted[first:last] if width(each) <= left]
            piece = max(pieces, key=self._latest.__getitem__, default=None)
            if rest is not None and (piece is None or self._latest[piece] <= rest):
                return min([*moments, rest])
            if piece is None:
                return None
            moments.append(self._latest[piece])
            at, left = piece[1], left - width(piece)
        return min(moments)

    def _around(self, span: Range) -> Iterator[Range]:
        """Those that hold it; they begin at its beginning, or before it, around the end of the ring too."""
        last = bisect.bisect_right(self._sorted, (span[0], RING))
        for number in range(last - 1, last - 1 - len(self._sorted), -1):
            other = self._sorted[number]
            before = (span[0] - other[0]) % RING
            if before >= self._widest:
                return
            if before + width(span) <= width(other):
                yield other


def due(found: Sequence[Share], before: float) -> list[Share]:
    """Those whose last repair is not on record, or older; the oldest first.

    :param before: seconds since 1970.
    """
    late = [each for each in found if each.last is None or each.last < before]
    return sorted(late, key=lambda each: (each.last or 0.0, each.keyspace))


def outdated(found: Iterable[Share], limits: Mapping[str, float], now: float) -> list[Share]:
    """Those whose last repair is on record, and longer ago than the limit of their keyspace; none is no limit."""
    return [
        each
        for each in found
        if each.last is not None and each.keyspace in limits and now - each.last > limits[each.keyspace]
    ]


def graces(keyspaces: Iterable[Keyspace]) -> dict[str, float]:
    """Keyspace -> seconds after which deletions are forgotten; none where that cannot be waited for."""
    return {item.name: float(item.gc_grace_seconds) for item in keyspaces if item.gc_grace_seconds}


def alarms(keyspaces: Iterable[Keyspace]) -> dict[str, float]:
    """Keyspace -> seconds without a repair after which somebody has to see to it; L(ALARM) of its gc_grace_seconds.

    What is not on record any more cannot be told from what was never repaired. And no repairs by the clock keep up with
    less than L(SHORTEST_GC_GRACE).
    """
    return {name: min(grace * ALARM, KEPT) for name, grace in graces(keyspaces).items() if grace >= SHORTEST_GC_GRACE}


def late(
    members: Mapping[str, Endpoint],
    keyspaces: Sequence[Keyspace],
    since: Mapping[str, Mapping[str, float]],
    done: Iterable[Repair],
    now: float,
) -> list[Share]:
    """Those whose last repair is longer ago than L(alarms), or not on record although there was time enough for one.

    :param since: keyspace -> table -> when it was made or changed last.
    :param done: also those before a keyspace was changed: this is about repairs that do not run any more.
    """
    limits, done = alarms(keyspaces), list(done)
    old = tables_before({name: now - limit for name, limit in limits.items()}, since, done)
    wanted = [item for item in keyspaces if item.name in limits]
    found = shares(members, wanted, old, done, in_pieces=True)
    return [each for each in found if each.last is None] + outdated(found, limits, now)


def unrepaired_since(
    members: Mapping[str, Endpoint],
    keyspaces: Sequence[Keyspace],
    since: Mapping[str, Mapping[str, float]],
    done: Iterable[Repair],
    moment: float,
) -> list[Share]:
    """Those of which some part was not repaired since a moment, in seconds since 1970; the rest as L(late) has it."""
    done = list(done)
    old = tables_before({item.name: moment for item in keyspaces}, since, done)
    counted = [each for each in done if each.began > moment]
    return [each for each in shares(members, keyspaces, old, counted, in_pieces=True) if each.last is None]


def tables_before(
    moments: Mapping[str, float], since: Mapping[str, Mapping[str, float]], done: Sequence[Repair]
) -> dict[str, list[str]]:
    """Keyspace -> those of its tables that were there before its moment, as they are now.

    A new table has not been repaired, and neither was then its keyspace: what was there before tells.
    """
    old = {
        name: [table for table, made in since.get(name, {}).items() if made < moment]
        for name, moment in moments.items()
    }
    # Nobody tells when Cassandra's own tables were made: an upgrade brings some that no repair has met yet.
    met = {name: {table for each in done if each.keyspace == name for table in each.tables} for name in old}
    return {
        name: ([table for table in tables if table in met[name]] or tables) if name.startswith("system") else tables
        for name, tables in old.items()
    }


def problems(found: Sequence[Share], keyspaces: Sequence[Keyspace], now: float) -> list[dict[str, str]]:
    """What L(late) has found, as C(report.problems) tells it."""
    alarm, grace = alarms(keyspaces), graces(keyspaces)
    alike: dict[str, list[str]] = {}
    for name, last in oldest(found).items():
        seen = "of some of it no full repair is on record"
        if last is not None:
            seen = f"some of it was last repaired {age(now - last)} ago"
        needed = f"needed within {age(alarm[name])}, for gc_grace_seconds of {age(grace[name])}"
        alike.setdefault(f"{seen}, {needed}", []).append(name)
    return [{"problem": f"{keyspaces_named(names)}: {words}", "advice": _ADVICE} for words, names in alike.items()]


def oldest(found: Iterable[Share]) -> dict[str, float | None]:
    """Keyspace -> up to when all of it is repaired; None where that is not on record for some of it."""
    by_keyspace: dict[str, list[float | None]] = {}
    for each in found:
        by_keyspace.setdefault(each.keyspace, []).append(each.last)
    return {
        name: None if None in moments else min(moment for moment in moments if moment is not None)
        for name, moments in sorted(by_keyspace.items())
    }
