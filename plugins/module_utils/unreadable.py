# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster holds that another line cannot read, whatever the formats of its files, and what to do about it. Pure.

What of 4.x is not in 5.0 comes last (L(left_behind)); all else is about the way back from 5.0 to 4.1.

What Cassandra's sources say (read in 4.1.10 and 5.0.9):

- 5.0 has two more permissions. `GRANT ALL` gives them, and every CREATE gives them to its role
  (`AlterSchemaStatement.grantPermissionsOnResource`). 4.1 answers whoever has one of them with an error
  (`CassandraAuthorizer.addPermissionsForRole`: `Permission.valueOf`), but superusers, for whom it reads none: all looks
  well to the automation.
- 4.1 makes the tables that it finds in system_schema when it starts, and ends where it does not know the class of a
  compaction or an index, or a type. Masks it does not know, and shows what they hid.
- system_schema.tables of 5.0 has columns that are written only where they differ from the default
  (`SchemaKeyspace.addTableParamsToRowBuilder`). 4.1 leaves out an SSTable with a column that it does not know, and so
  the tables in it, without a word (`SSTableReader.openAll`). The column stays in the head of the file when the value
  was taken back, and in what compaction makes of it (`SerializationHeader.make`).
- 5.0 ends where it finds a class of compaction in system_schema that it has not (`CompactionParams.classFromName`). A
  function in another language than Java it keeps, and answers who calls it with an error
  (`SchemaKeyspace.createUDFFromRow`, `UDFunction.assertUdfsEnabled`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]

PERMISSIONS = ("SELECT_MASKED", "UNMASK")
# Of system_schema.tables and system_schema.views. The last one only with -Dcassandra.autorepair.enable=true.
COLUMNS = ("allow_auto_snapshot", "incremental_backups", "auto_repair")
COMPACTION = "UnifiedCompactionStrategy"
FORMER_COMPACTION = "DateTieredCompactionStrategy"
SUCCESSOR = "TimeWindowCompactionStrategy"
LANGUAGE = "java"
INDEXES = ("sai", "storageattachedindex")
STAY = "stay on 5.0, or restore a backup into a new datacenter"


@dataclass(frozen=True)
class Contents:
    """Rows of a cluster's own tables.

    :ivar permissions: of system_auth.role_permissions.
    :ivar tables: of system_schema.tables and system_schema.views.
    :ivar columns: of system_schema.columns and system_schema.dropped_columns.
    :ivar files: by pod, those of L(COLUMNS) that the files of its system_schema have; None is not known.
    """

    permissions: Sequence[Row] = ()
    tables: Sequence[Row] = ()
    indexes: Sequence[Row] = ()
    columns: Sequence[Row] = ()
    types: Sequence[Row] = ()
    masks: Sequence[Row] = ()
    files: Mapping[str, Sequence[str] | None] = field(default_factory=dict)


def refusals(found: Contents) -> list[str]:
    """Why nodes may not go back from 5.0 to 4.1; empty when they may."""
    return [
        *_permissions(found.permissions),
        *_compactions(found.tables),
        *_indexes(found.indexes),
        *_vectors(found),
        *_masks(found.masks),
        *_files(found),
    ]


def left_behind(tables: Iterable[Row], functions: Iterable[Row]) -> list[str]:
    """Why nodes may not be upgraded from 4.x to 5.0: it has no more what these use; empty when they may.

    :param tables: of system_schema.tables and system_schema.views.
    :param functions: of system_schema.functions.
    """
    reasons = []
    statements = [
        f"ALTER {'MATERIALIZED VIEW' if 'view_name' in row else 'TABLE'} {_quoted(row['keyspace_name'])}."
        f"{_quoted(row.get('table_name') or row['view_name'])} WITH compaction = {{'class': '{SUCCESSOR}'}}"
        for row in _compacted_by(FORMER_COMPACTION, tables)
    ]
    if statements:
        reasons.append(
            f"compaction: 5.0 has no {FORMER_COMPACTION}, and does not start where a table has it; give them another "
            f"one first: {'; '.join(sorted(statements))}"
        )
    scripted = [
        f"{row['keyspace_name']}.{row['function_name']}({', '.join(row['argument_types'] or ())}) in {row['language']}"
        for row in functions
        if row["language"].lower() != LANGUAGE
    ]
    if scripted:
        reasons.append(
            f"functions: 5.0 runs those in Java only, and answers who calls another with an error; first drop these, "
            f"or write them in Java: {'; '.join(sorted(scripted))}"
        )
    return reasons


def lost_tables(before: Iterable[Row], after: Mapping[str, Iterable[Row]]) -> list[str]:
    """Why the next nodes may not go back to 4.1: a node that did has lost tables.

    :param before: of system_schema.tables, as a node of 5.0 has it.
    :param after: the same by pod, of nodes that went back.
    """
    known = set(_own(before))
    reasons = []
    for pod, rows in after.items():
        lost = sorted(known - set(_own(rows)))
        if lost:
            reasons.append(
                f"{pod} came back on 4.1 without {_listed(lost)}: its volume has the data still, and 5.0 finds it "
                "again. Put 5.0 into the inventory and run upgrade"
            )
    return reasons


def resource(name: str) -> str:
    """A resource of system_auth.role_permissions, such as data/shop/orders, as GRANT and REVOKE call it."""
    match name.split("/"):
        case ["data"]:
            return "ALL KEYSPACES"
        case ["data", keyspace]:
            return f"KEYSPACE {_quoted(keyspace)}"
        case ["data", keyspace, "*"]:
            return f"ALL TABLES IN KEYSPACE {_quoted(keyspace)}"
        case ["data", keyspace, table]:
            return f"TABLE {_quoted(keyspace)}.{_quoted(table)}"
    return name


def _permissions(rows: Iterable[Row]) -> Iterator[str]:
    given = [
        (row["role"], row["resource"], permission)
        for row in rows
        for permission in PERMISSIONS
        if permission in (row["permissions"] or ())
    ]
    if given:
        roles = ", ".join(sorted({role for role, _resource, _permission in given}))
        statements = "; ".join(
            f"REVOKE {permission} ON {resource(name)} FROM {_quoted(role)}" for role, name, permission in sorted(given)
        )
        yield (
            f"permissions: {roles} would get nothing but errors from 4.1, which does not know "
            f"{' and '.join(PERMISSIONS)}: take them away first, on a node of 5.0: {statements}"
        )


def _compactions(rows: Iterable[Row]) -> Iterator[str]:
    found = [_name(row) for row in _compacted_by(COMPACTION, rows)]
    if found:
        yield f"compaction: 4.1 has no {COMPACTION}; give another one to {_listed(found)}"


def _compacted_by(strategy: str, rows: Iterable[Row]) -> Iterator[Row]:
    return (row for row in rows if str((row["compaction"] or {}).get("class", "")).rpartition(".")[2] == strategy)


def _indexes(rows: Iterable[Row]) -> Iterator[str]:
    found = [
        f"{row['keyspace_name']}.{row['index_name']}"
        for row in rows
        if str((row["options"] or {}).get("class_name", "")).rpartition(".")[2].lower() in INDEXES
    ]
    if found:
        yield f"indexes: 4.1 has no storage-attached ones (SAI); drop {_listed(found)}"


def _vectors(found: Contents) -> Iterator[str]:
    columns = [f"{_name(row)}.{row['column_name']}" for row in found.columns if "vector<" in row["type"]]
    types = [
        f"{row['keyspace_name']}.{row['type_name']}"
        for row in found.types
        if any("vector<" in kind for kind in row["field_types"] or ())
    ]
    if columns or types:
        yield (
            f"vectors: 4.1 has no such type, and remembers the types of dropped columns too; drop the tables and types "
            f"of {_listed([*columns, *types])}"
        )


def _masks(rows: Iterable[Row]) -> Iterator[str]:
    statements = {
        f"ALTER TABLE {_quoted(row['keyspace_name'])}.{_quoted(row['table_name'])} ALTER {_quoted(row['column_name'])} "
        "DROP MASKED"
        for row in rows
    }
    if statements:
        yield f"masks: 4.1 has none, and would show what they hide; if it may: {'; '.join(sorted(statements))}"


def _files(found: Contents) -> Iterator[str]:
    tables = [_name(row) for row in found.tables if any(row.get(column) is False for column in COLUMNS)]
    holding = {pod: columns for pod, columns in found.files.items() if columns}
    if tables or holding:
        columns = sorted({column for each in holding.values() for column in each}) or COLUMNS[:2]
        where = [f"set for {_listed(tables)}"] if tables else []
        where += [f"in the files of system_schema on {', '.join(sorted(holding))}"] if holding else []
        yield (
            f"schema: {', '.join(columns)} ({', '.join(where)}): 4.1 leaves out files with columns that it does not "
            f"know, and would lose tables. ALTER TABLE does not take them out again; {STAY}"
        )
    silent = sorted(pod for pod, columns in found.files.items() if columns is None)
    if silent:
        yield f"schema: the files of system_schema on {', '.join(silent)} could not be read; see why, and run it again"


def _own(rows: Iterable[Row]) -> Iterator[str]:
    """Names of tables that are not Cassandra's: of those, each line has others."""
    return (_name(row) for row in rows if not row["keyspace_name"].startswith("system"))


def _name(row: Row) -> str:
    return f"{row['keyspace_name']}.{row.get('table_name') or row.get('view_name')}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
