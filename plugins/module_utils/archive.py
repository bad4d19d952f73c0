# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which stored pieces of the commit logs bring a backup to a later point in time, or why none do. Pure.

Each node's container `backup` stores what Cassandra has written into its commit log, about once a minute, into the
node's own repository (manifests/archive.py). It is one restic snapshot each time, with tags that say which segments are
in it, up to when everything is in (C(until)), and since when nothing is missing (C(lost)).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from . import schema_text
from .backups import Record, Schema, moment

LOG = "log"
"""Kind of such a snapshot."""
SLACK = 120.0
"""Seconds by which the clocks of the API server and of a worker may differ."""
READING = 30.0
"""Seconds in which a segment that is being stored may still grow."""
KEPT_LONGER = 3600.0
"""Seconds before the oldest backup that moments are reached from, from which on its commit log is kept too."""
# A process numbers its segments one by one, from the milliseconds since 1970 of its start. No two starts are as near.
_ONE_LIFE = 1000
# So many tables are named in a warning.
_NAMED = 5
_COMPACT = re.compile(r"\bCOMPACT\s+STORAGE\b", re.IGNORECASE)


@dataclass(frozen=True)
class Upload:
    """What was stored at one time.

    :param segments: names of the segments' files. One that is not full yet is stored again and again.
    :param until: all that was written before is in this upload and those before it; None says nothing.
    :param lost: something that was written or changed before is in none, because archiving began only then or was off,
        the volume would have become full, or a restore changed the data; None is nothing.
    """

    id: str
    time: float
    segments: tuple[str, ...]
    size: int = 0
    until: float | None = None
    lost: float | None = None


@dataclass(frozen=True)
class Chain:
    """What is to be replayed.

    :param snapshots: what has to be fetched, one over the other in this order.
    :param end: when the last of it was stored: so far reach the rows in it, also those that are not replayed.
    """

    snapshots: tuple[str, ...]
    size: int
    end: float


@dataclass(frozen=True)
class Short:
    """Why a node cannot get to a moment.

    :param reach: up to when it can get; None is nowhere, or nobody knows.
    """

    why: str
    reach: float | None = None


@dataclass(frozen=True)
class Column:
    """A column of today's schema.

    :param made: when it was made, in seconds since 1970; of a dropped one, when that was.
    :param table_id: of its table; empty where nobody told.
    """

    keyspace: str
    table: str
    name: str
    made: float
    dropped: bool = False
    table_id: str = ""


@dataclass(frozen=True)
class Type:
    """A user's type of today's schema, the number of its fields, and when it was made or changed last."""

    keyspace: str
    name: str
    fields: int
    made: float


def astray(stores: Mapping[str, str | None], wanted: str) -> list[str]:
    """Which nodes do not store their commit logs where the backups are, by where they do.

    :param stores: of each pod, see C(NodeView.commit_log).
    """
    pods: dict[str, list[str]] = {}
    for pod, store in stores.items():
        if store != wanted:
            pods.setdefault(store or "nowhere", []).append(pod)
    return [f"the commit log of {', '.join(its)} goes to {store}, needed {wanted}" for store, its in pods.items()]


def behind(made: Sequence[Upload], to: float) -> bool:
    """Whether a node may still store what is wanted: nothing that it has stored reaches so far."""
    return (stored_until(made) or 0.0) < to


def upload(record: Record) -> Upload:
    """By the tags that the container writes."""
    return Upload(
        record.id,
        record.time,
        tuple(name for name in record.tags.get("segments", "").split("+") if name),
        int(_number(record.tags.get("size")) or 0),
        _number(record.tags.get("until")),
        _number(record.tags.get("lost")),
    )


def _number(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None


def uploads(records: Iterable[Record], ledger: str = "") -> list[Upload]:
    """Those of a node's repository, the oldest first.

    :param ledger: of the datacenter that the backup is of. What another one of the same names has stored, since a
        restore gave its node this host id, is no part of the chain. Empty is any: an earlier release did not tell.
    """
    logs = [each for each in records if each.kind == LOG]
    if ledger:
        logs = [each for each in logs if (each.tags.get("ledger") or ledger) == ledger]
    return sorted((upload(each) for each in logs), key=lambda each: each.time)


def relevant(made: Sequence[Upload], began: float) -> list[Upload]:
    """What L(chain) and L(behind) go by: of weeks a day or so, where there are hundreds of nodes.

    :param began: see L(chain).
    """
    return [
        each for number, each in enumerate(made) if number == 0 or each.lost is not None or each.time > began - SLACK
    ]


def stored_until(made: Sequence[Upload]) -> float | None:
    """Up to when everything is stored."""
    return max((each.until for each in made if each.until is not None), default=None)


def chain(made: Sequence[Upload], began: float, first: float, to: float) -> Chain | Short:
    """What one node needs; or why it cannot get there.

    :param made: see L(uploads).
    :param began: when the backup began: before the first of its snapshots. What its files hold is replayed once more,
        or left out by Cassandra, which is the same.
    :param first: the earliest moment that can be reached from the backup: its files may have rows of before.
    """
    # Of what was stored before a restore changed the data, nothing is part of what came after.
    marks = [each.lost for each in made if each.lost is not None and each.lost < began]
    if made and not marks and made[0].time > began - SLACK:
        # It neither began with a mark, nor before the backup: a purge has taken its beginning.
        return Short(
            f"what is stored of its commit log begins at {moment(made[0].time)} only, after the backup: purge_backups "
            "keeps as much as the last days need (cassandra_backup.point_in_time_days), or the node replaced another "
            "one shortly before the backup; choose a later moment and a backup that is newer, or the backup alone"
        )
    floor = max([began - SLACK, *marks])
    since = [each for each in made if each.time > floor]
    # What comes after a break is not reached; a node that replaces another one may go on in the same repository.
    end = next((number for number, each in enumerate(since) if (each.lost or 0.0) >= began), len(since))
    whole, broken = since[:end], since[end].lost if end < len(since) else None
    covering = next((number for number, each in enumerate(whole) if each.until is not None and each.until >= to), None)
    if covering is None:
        last = stored_until(whole)
        if last is None and broken is None:
            return Short(
                "nothing of its commit log was stored since the backup (is cassandra_backup.point_in_time on, and was "
                "the datacenter restarted with it?)"
            )
        return _not_so_far(broken, last, first)
    needed = whole[: covering + 1]
    gap = _gap(needed)
    if gap:
        return Short(f"segments of its commit log are missing after {gap}")
    # Of a segment that was stored while it grew, the last is the whole.
    newest = {name: each.id for each in needed for name in each.segments}
    wanted = [each for each in needed if each.id in newest.values()]
    return Chain(tuple(each.id for each in wanted), sum(each.size for each in wanted), needed[-1].time + READING)


def _not_so_far(broken: float | None, last: float | None, first: float) -> Short:
    """Why a moment is not reached, and which ones are.

    :param broken: before when something is missing that came after the backup; None is nowhere.
    :param last: up to when everything is stored that came before it.
    :param first: see L(chain).
    """
    why = f"its commit log is stored up to {moment(last)} only" if last is not None else ""
    if broken is not None:
        why = (
            f"what was written or changed before {moment(broken)} is not all in its commit log (archiving began then, "
            "as it does with a node that replaces another one and with another store, or was off, the store was away "
            "for too long, or a restore changed the data, or was given up)"
        )
    if last is None or last < first:
        return Short(f"{why}: take a backup that is newer; no moment after this one can be reached")
    other = "take a backup that is newer, or an earlier moment" if broken is not None else "take an earlier moment"
    return Short(f"{why}: {other}; moments up to {moment(last)} can be reached", last)


def _gap(needed: Iterable[Upload]) -> str:
    """The segment after which one of the same process is missing; empty where none is."""
    names = {number_of(name): name for each in needed for name in each.segments}
    return next((names[one] for one, other in pairwise(sorted(names)) if 1 < other - one < _ONE_LIFE), "")


def number_of(name: str) -> int:
    """1732580000001 of C(CommitLog-7-1732580000001.log)."""
    digits = name.removesuffix(".log").rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def schema_changes(
    columns: Iterable[Column],
    stored: Schema,
    taken: float,
    to: float,
    end: float = 0.0,
    types: Iterable[Type] = (),
) -> tuple[list[str], list[str]]:
    """Reasons against a replay, and warnings: Cassandra reads a commit log with the schema that it started with.

    It leaves out rows of tables that it does not know. At a column, or a field of a type, that it does not know it does
    not start, whether the row is of the wanted time or later: it reads first, and then asks for the time
    (C(CommitLogReader.readMutation)).

    What the backup's schema lacks came after it, also where the clock of who made it was behind. That of a view, and of
    a table with C(COMPACT STORAGE), does not tell all columns. A table that was dropped and made again under its name
    has another id: Cassandra does not know it, so its columns are no matter.

    :param taken: when the backup was taken, of which the schema is.
    :param end: up to when there are rows in what is read; at least C(to).
    """
    known, known_types = _described(stored, "table", "materialized_view"), _described(stored, "type")
    told = [each for each in stored.statements if not _COMPACT.search(each.cql)]
    whole = _described(replace(stored, statements=tuple(told)), "table")
    end = max(to, end)
    there, ids = list(columns), _ids(stored)
    again = {
        (each.keyspace, each.table) for each in there if _is_another(each.table_id, ids, each.keyspace, each.table)
    }
    same = [each for each in there if (each.keyspace, each.table) not in again]
    found, gone = [each for each in same if not each.dropped], [each for each in same if each.dropped]
    changes = [
        f"column {each.name} of table {each.keyspace}.{each.table} was made at {moment(each.made)}"
        for each in found
        if (table := (each.keyspace, each.table)) in known and each.made <= end
        if each.made > taken or each.name not in whole.get(table, {each.name: ""})
    ]
    changes += [
        f"column {each.name} of table {each.keyspace}.{each.table} was made and dropped (at {moment(each.made)})"
        for each in gone
        if taken < each.made and each.name not in known.get((each.keyspace, each.table), {each.name: ""})
    ]
    changes += [
        f"type {each.keyspace}.{each.name} got more fields (at {moment(each.made)})"
        for each in types
        if each.made <= end and 0 < len(known_types.get((each.keyspace, each.name), {})) < each.fields
    ]
    reasons = [
        f"{change}, after the backup, and the commit log that has to be read goes on to {moment(end)}: Cassandra "
        "cannot read such rows over the backup's schema; choose an earlier time, or a newer backup"
        for change in changes
    ]
    new = {(each.keyspace, each.table) for each in found if taken < each.made <= to} - known.keys()
    anew = {(each.keyspace, each.table) for each in there if each.made <= to} & again
    warnings = [f"made after the backup, so they come back without rows, or not at all: {_names(new)}"] if new else []
    if anew:
        warnings.append(
            f"dropped and made again after the backup: {_names(anew)}. They come back as they were before; what was "
            "written to the ones of today does not come back"
        )
    return reasons, warnings


def dropped_tables(living: Schema, stored: Schema) -> list[str]:
    """A warning of what L(schema_changes) cannot see: Cassandra forgets the columns of a table with the table.

    No reason to refuse: a table that was dropped is what people go back for.
    """
    there, now, then = _described(living, "table"), _ids(living), _ids(stored)
    gone = {
        name for name in _described(stored, "table") if name not in there or _is_another(then.get(name, ""), now, *name)
    }
    if not gone:
        return []
    return [
        f"dropped since the backup: {_names(gone)}. Nobody knows whether one of them got a column after the backup; "
        "if it did, nodes do not start, since they cannot read its rows in the commit log. Where that may be, restore "
        "the backup without restore_to, or up to a moment well before there was the column"
    ]


def late_deletes(stored: Schema, to: float, end: float = 0.0) -> list[str]:
    """A warning of single rows that are deleted after the moment, and are not there at it.

    Cassandra leaves out what has a later timestamp than the moment (C(CommitLogReplayer.pointInTimeExceeded)), and does
    not look at that of a row's deletion (C(PartitionUpdate.maxTimestamp)); 4.1.10 and 5.0.9 are proved. Where a
    partition is one row, deleting it deletes the partition, which counts. A view always deletes single rows: so it
    loses the former one where a later write, which is left out, changed its key.

    :param end: up to when there are rows in what is read; where it is not after C(to), nobody knows.
    """
    found = sorted(
        (schema_text.plain(each.keyspace), schema_text.plain(each.name))
        for each in stored.statements
        if each.kind == "materialized_view" or (each.kind == "table" and schema_text.is_clustered(each.cql))
    )
    if not found:
        return []
    some = _names(found[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
    after = end - to
    reach = f"to {moment(end)}, {after:.0f} s after the moment" if after > 0 else "to a minute or more after the moment"
    span = f"{after:.0f} s" if after > 0 else "a few minutes"
    return [
        f"a single row that was deleted after {moment(to)} (DELETE with its whole primary key; in a view also by a "
        f"change of its key) stays deleted where that stands in the commit logs that are read, which go on {reach}: "
        f"Cassandra does not compare the time of such a delete with the moment. That concerns {some}. If rows of these "
        f"were deleted then, choose a moment that is more than {span} before the deletes; in any case compare these "
        "tables afterwards"
    ]


def undurable(stored: Schema, living: Schema | None) -> list[str]:
    """A warning of keyspaces whose writes are in no commit log.

    :param living: that of today; None where no node could be asked.
    """
    there = {schema_text.plain(each.keyspace) for each in stored.statements}
    every = (*stored.statements, *(living.statements if living else ()))
    found = {
        schema_text.plain(each.keyspace)
        for each in every
        if each.kind == "keyspace" and not schema_text.is_durable(each.cql)
    }
    if not found & there:
        return []
    return [
        f"keyspaces with durable_writes = false: {', '.join(sorted(found & there))}. Cassandra writes nothing of them "
        "into a commit log, so they come back as the backup has them, without what was written since"
    ]


def with_ids(columns: Iterable[Column], living: Schema | None) -> tuple[Column, ...]:
    """Columns with the ids of their tables.

    :param living: the schema that the columns are of; None where no node could be asked.
    """
    ids = _ids(living) if living else {}
    return tuple(replace(each, table_id=ids.get((each.keyspace, each.table), "")) for each in columns)


def _ids(stored: Schema) -> dict[tuple[str, str], str]:
    """(keyspace, name) -> id of a table or view; what is described without one is left out."""
    return {
        (schema_text.plain(each.keyspace), schema_text.plain(each.name)): number
        for each in stored.statements
        if each.kind in ("table", "materialized_view") and (number := schema_text.table_id(each.cql))
    }


def _is_another(number: str, ids: Mapping[tuple[str, str], str], keyspace: str, table: str) -> bool:
    """Whether a table is not the one of its name among others; where an id is not told, it is the same."""
    return bool(number) and ids.get((keyspace, table), number) != number


def _names(tables: Iterable[tuple[str, str]]) -> str:
    return ", ".join(".".join(name) for name in sorted(tables))


def _described(stored: Schema, *kinds: str) -> dict[tuple[str, str], dict[str, str]]:
    """(keyspace, name) -> columns of tables, or fields of types."""
    return {
        (schema_text.plain(each.keyspace), schema_text.plain(each.name)): schema_text.columns(each.cql)
        for each in stored.statements
        if each.kind in kinds
    }


def needed_since(began: Collection[float], reach: float) -> float | None:
    """When the oldest backup began that points in time are reached from; None where there is none.

    A moment needs the newest backup before it, and the commit logs from there on.

    :param began: when each of the backups began that are kept.
    :param reach: the earliest moment that is to be reached. Where no backup is that old, it is the oldest backup.
    """
    return max((each for each in began if each <= reach), default=min(began, default=None))


def superfluous(records: Iterable[Record], since: float | None) -> list[Record]:
    """What a purge removes of the commit logs in a node's repository, the oldest first.

    Before the backup one stays that says that everything up to then was in: it tells L(chain) that nothing is missing
    between the backup and the next one.

    :param since: see L(needed_since); None is all of them.
    """
    logs = sorted((each for each in records if each.kind == LOG), key=lambda each: each.time)
    made = [upload(each) for each in logs]
    whole = [each.time for each in made if each.until is not None and each.lost is None]
    floor = max((each for each in whole if since is not None and each <= since - KEPT_LONGER), default=None)
    return [each for each in logs if floor is not None and each.time < floor]
