# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of a backup beside the one that lives: what differs, and what has to be made. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from . import schema_text
from .backups import Schema, Statement, moment, seconds
from .restoring import IMPORT, MERGE, NETWORK, Name, Plan, Source, name_of


def without_replicas(schema: Schema, datacenter: str) -> dict[str, Mapping[str, str]]:
    """Keyspaces that have no replicas in a datacenter, with their replication."""
    options = {
        made_by(each)[0]: schema_text.replication(each.cql) for each in schema.statements if each.kind == "keyspace"
    }
    return {
        keyspace: told
        for keyspace, told in options.items()
        if told.get("class", "").endswith(NETWORK) and told.get(datacenter, "0") == "0"
    }


def replicated_elsewhere(schema: Schema, datacenters: Collection[str]) -> dict[str, list[str]]:
    """Datacenter that is not among these -> the keyspaces that have replicas in it."""
    told: dict[str, list[str]] = {}
    for each in schema.statements:
        options = schema_text.replication(each.cql) if each.kind == "keyspace" else {}
        if options.get("class", "").endswith(NETWORK):
            for name in {*options} - {"class", "replication_factor", *datacenters}:
                if options[name] != "0":
                    told.setdefault(name, []).append(made_by(each)[0])
    return {name: sorted(told[name]) for name in sorted(told)}


def described(schema: Schema) -> list[Name]:
    """Every table and view that the schema makes."""
    return [made_by(each) for each in schema.statements if each.kind in ("table", "materialized_view")]


def identity(statement: Statement) -> tuple[str, str, str]:
    return statement.kind, schema_text.plain(statement.keyspace), schema_text.plain(statement.name)


def made_by(statement: Statement) -> Name:
    """What it makes."""
    return schema_text.plain(statement.keyspace), schema_text.plain(statement.name)


def belongs_to(statement: Statement) -> Name | None:
    """The table that a statement makes or is about; None for what a keyspace has besides tables."""
    if statement.kind in ("index", "trigger", "materialized_view"):
        return schema_text.base(statement.kind, statement.cql)
    return made_by(statement) if statement.kind == "table" else None


def with_views(names: Collection[Name], schema: Schema) -> list[Name]:
    """The tables and the views on them, which hold copies of their rows."""
    views = [
        made_by(each) for each in schema.statements if each.kind == "materialized_view" and belongs_to(each) in names
    ]
    return sorted({*names, *views})


def views(schema: Schema) -> set[Name]:
    return {made_by(each) for each in schema.statements if each.kind == "materialized_view"}


def without_table(names: Collection[Name], schema: Schema) -> list[str]:
    """A view alone: its rows are copies, which come and go with those of its table."""
    return [
        f"{'.'.join(made_by(each))} is a view of {'.'.join(table)}: restore {'.'.join(table)}, which brings it"
        for each in schema.statements
        if each.kind == "materialized_view" and made_by(each) in names
        for table in [belongs_to(each)]
        if table and table not in names
    ]


def missing(stored: Schema, living: Schema, names: Collection[Name], way: str = IMPORT) -> list[Statement]:
    """What has to be made before the tables can take their rows, in the order of the backup's schema.

    :param way: by which they come, see L(empty_views).
    """
    there = {identity(each) for each in living.statements}
    keyspaces = {name[0] for name in names}
    empty = empty_views(stored, living, names, way)

    def wanted(each: Statement) -> bool:
        about = belongs_to(each)
        mine = schema_text.plain(each.keyspace) in keyspaces if about is None else about in names
        left_out = each.kind == "materialized_view" and made_by(each) in empty
        return mine and identity(each) not in there and not left_out

    return [each for each in stored.statements if wanted(each)]


def empty_views(stored: Schema, living: Schema, names: Collection[Name], way: str) -> list[Name]:
    """Views that are gone and that the backup does not have. Files that are imported go past views, so one that is made
    before them would stay empty; made after them it is filled. (Rows that are loaded go into it.)"""
    if way != IMPORT:
        return []
    return sorted({*with_views(names, stored)} - {*names} - views(living))


def not_made(plan: Plan, source: Source, living: Schema | None) -> list[str]:
    """A warning where views of the tables stay away, see L(empty_views)."""
    left = empty_views(source.schema, living or Schema("", "", ()), plan.names, plan.way)
    if not left:
        return []
    told = ", ".join(".".join(name) for name in left)
    return [
        f"view {told} is not made: the backup does not have it, and files that are imported go past views. Create it "
        "again after the restore, which fills it"
    ]


def half_made(stored: Schema, living: Schema, names: Collection[Name]) -> list[tuple[Statement, list[str]]]:
    """Tables that are there with less than all statements of their description, and those that are left: a run died
    between them."""
    now = {identity(each): each for each in living.statements}
    return [
        (each, left)
        for each in stored.statements
        if each.kind == "table" and belongs_to(each) in names and (other := now.get(identity(each))) is not None
        if (left := schema_text.alters_left(each.cql, other.cql))
    ]


def made_for(statement: Statement, source: str, target: str, datacenters: Collection[str]) -> str:
    """CREATE KEYSPACE for the datacenter that takes it: Cassandra refuses replicas in one that has no nodes."""
    options = schema_text.replication(statement.cql)
    if statement.kind != "keyspace" or not options.get("class", "").endswith(NETWORK):
        return statement.cql
    kept = {key: value for key, value in options.items() if key == "class" or (key != source and key in datacenters)}
    if source in options:
        kept[target] = options[source]
    return schema_text.with_replication(statement.cql, kept)


def differences(stored: Schema, living: Schema, names: Collection[Name]) -> list[str]:
    """Why tables that there are cannot take the backup's files: they are not what they were."""
    now = {identity(each): each for each in living.statements}
    reasons = _changed_indexes(stored, now, names)
    for each in stored.statements:
        mine = belongs_to(each) in names if each.kind == "table" else each.kind == "type"
        other = now.get(identity(each))
        if not mine or other is None:
            continue
        if each.kind == "type" and schema_text.plain(each.keyspace) not in {name[0] for name in names}:
            continue
        told = _changed_type(each.cql, other.cql) if each.kind == "type" else _changed_columns(each.cql, other.cql)
        if told:
            what = f"{schema_text.plain(each.keyspace)}.{schema_text.plain(each.name)}"
            reasons.append(
                f"{each.kind} {what} is not what it was: {told}; rename or drop it, and the restore makes it again"
            )
    return reasons


def _changed_indexes(
    stored: Schema, now: Mapping[tuple[str, str, str], Statement], names: Collection[Name]
) -> list[str]:
    """Of a storage-attached index the files come back with the rows. Cassandra takes those of the same name for the
    index of today and looks at their checksums only (C(SSTableImporter), 5.0): one that is on another column now would
    not find the rows. One whose name is taken by another table cannot be made again."""
    return [
        f"index {schema_text.plain(each.keyspace)}.{schema_text.plain(each.name)} is not what it was ("
        f"{_one_line(each.cql)}) but {_one_line(other.cql)}; drop it, and the restore makes the former one again. "
        "Make today's again afterwards, under another name"
        for each in stored.statements
        if each.kind == "index" and belongs_to(each) in names and (other := now.get(identity(each))) is not None
        if belongs_to(other) != belongs_to(each)
        or (schema_text.is_attached(each.cql) and _one_line(each.cql) != _one_line(other.cql))
    ]


def _one_line(cql: str) -> str:
    return " ".join(cql.split()).rstrip("; ")


def _changed_columns(stored: str, living: str) -> str:
    """Columns may have been added since, nothing else: of one that was dropped and made again the old values are
    hidden."""
    then, now = schema_text.columns(stored), schema_text.columns(living)
    before, since = schema_text.dropped(stored), schema_text.dropped(living)
    told = [
        f"{name} was {kind} and {'is ' + now[name] if name in now else 'is not there'}"
        for name, kind in then.items()
        if now.get(name) != kind
    ]
    told += [
        f"{name} was dropped at {moment(since[name] / 1e6)} and made again, which hides what it held"
        for name, kind in then.items()
        if now.get(name) == kind and since.get(name) != before.get(name) and name in since
    ]
    return ", ".join(told)


def counters(stored: Schema) -> frozenset[Name]:
    """The tables that count."""
    return frozenset(
        made_by(each)
        for each in stored.statements
        if each.kind == "table" and "counter" in schema_text.columns(each.cql).values()
    )


def _changed_type(stored: str, living: str) -> str:
    """Fields may have been added at the end; a renamed one holds the same bytes."""
    then, now = list(schema_text.columns(stored).values()), list(schema_text.columns(living).values())
    return "" if now[: len(then)] == then else f"its fields were {', '.join(then)} and are {', '.join(now)}"


def undescribed(names: Collection[Name], stored: Schema, living: Schema) -> list[str]:
    """Tables of which there are files and neither here nor in the backup a schema."""
    known = {*described(stored), *described(living)}
    return [f"nothing tells what table {'.'.join(name)} looks like" for name in names if name not in known]


def unfilled(names: Collection[Name], living: Schema) -> list[str]:
    """Views that would lack the rows of their table: files that are imported go past them. (Rows that are loaded do
    not: C(StreamOperation.BULK_LOAD) writes views too.)"""
    return [
        f"the backup does not have view {'.'.join(name)} of table {'.'.join(base)}, which would lack the rows that "
        "come back; drop it, and create it again after the restore, which fills it"
        for each in living.statements
        if each.kind == "materialized_view" and (base := belongs_to(each)) in names and base is not None
        for name in [made_by(each)]
        if name not in names
    ]


def returning(plan: Plan, source: Source, living: Schema | None, now: float) -> list[str]:
    """A warning where rows that were deleted after the backup may come back: compactions have taken tombstones away."""
    since = now - seconds(source.manifest.taken or source.manifest.began)
    grace = {
        made_by(each): schema_text.gc_grace(each.cql)
        for each in (living.statements if living else ())
        if each.kind == "table"
    }
    old = sorted(
        table
        for table, action in plan.tables.items()
        if action == MERGE and (kept := grace.get(name_of(table))) is not None and kept < since
    )
    if not old:
        return []
    return [
        f"rows of {', '.join(old)} that were deleted after the backup may come back: it is older than "
        "gc_grace_seconds, after which Cassandra forgets what was deleted"
    ]
