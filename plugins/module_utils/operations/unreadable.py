# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What another line cannot read. Only a run that goes there asks.

What only 5.0 can read, before nodes go back to 4.1 and while they do: one node is asked by CQL, and every node's files,
since what a file has is its node's own. What only 4.x has, before nodes go up to 5.0: one node is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from .. import cql, unreadable, upgrade
from ..activity import ASK_LIMIT
from ..errors import CassopsError
from ..kube import Kube
from ..observe import attempt, logged_in, together
from ..unreadable import Contents
from ..view import View
from .cluster import Cluster

PERMISSIONS = "SELECT role, resource, permissions FROM system_auth.role_permissions"
# 4.1 reads no permissions of theirs.
SUPERUSERS = "SELECT role, is_superuser FROM system_auth.roles"
SCHEMA = ("tables", "views", "indexes", "columns", "types", "column_masks")
# Of those that Cassandra itself has dropped the moment is none that a date can be made of.
DROPPED = "SELECT keyspace_name, table_name, column_name, type FROM system_schema.dropped_columns"
# A node writes their part of the schema anew when it starts (C(SchemaKeyspace.saveSystemKeyspacesSchema)).
LOCAL = ("system", "system_schema")
FORMER_SCHEMA = (
    "SELECT keyspace_name, table_name, compaction FROM system_schema.tables",
    "SELECT keyspace_name, view_name, compaction FROM system_schema.views",
    "SELECT keyspace_name, function_name, argument_types, language FROM system_schema.functions",
)
TABLES = "SELECT keyspace_name, table_name FROM system_schema.tables"
# In the head of a file stands the name of each column, then the length and the name of its type. A table of that name,
# which stands there too, is followed by something else.
LOOK_AT_SCHEMA = rf"""cd /var/lib/cassandra/data/system_schema || exit 1
for column in {" ".join(unreadable.COLUMNS)}; do
  for file in tables-*/*-Statistics.db views-*/*-Statistics.db; do
    [ -e "$file" ] || continue
    LC_ALL=C grep -qE "$column.{{1,2}}org\.apache\.cassandra" "$file"
    case $? in
      0) echo "$column"; break ;;
      1) ;;
      # A compaction has taken the file away, and has made another one.
      *) [ ! -e "$file" ] || exit 1 ;;
    esac
  done
done
exit 0"""


def refusals(cluster: Cluster, view: View) -> list[str]:
    """Why nodes may not go back to 4.1 with what they hold.

    Where no node answers, nothing tells: only one that does not serve goes back then, and nobody used it meanwhile.

    :param view: with every node's word.
    """
    newer = on(view, newer=True)
    told: Contents | CassopsError | None = None
    for pod in [*newer, *on(view, newer=False)]:
        told = attempt(partial(contents, cluster, pod, pod in newer))
        if isinstance(told, Contents):
            break
    if told is None:
        return []
    if isinstance(told, CassopsError):
        return [f"what 4.1 cannot read of permissions and schema is not known: {told}"]
    columns = together(partial(columns_in_files, cluster.kube), newer)
    files = dict(zip(newer, columns, strict=True))
    return unreadable.refusals(Contents(**{**vars(told), "files": files}))


def left_behind(cluster: Cluster, view: View) -> list[str]:
    """Why nodes may not be upgraded to 5.0 with what the schema has.

    Where no node answers, nothing tells: then a canary that does not start, and is alone, is about to be corrected.
    Nor is one that is half way kept from going on by what cannot be read, or by what 5.0 starts with: in a small
    datacenter a canary that is down keeps all logins from being read.

    :param view: with every node's word.
    """
    half_way = any(node.version and upgrade.release(node.version) >= (5, 0) for node in view.nodes)
    told: list[list[dict[str, Any]]] | CassopsError | None = None
    for pod in [*on(view, newer=False), *on(view, newer=True)]:
        told = attempt(partial(former_schema, cluster, pod))
        if isinstance(told, list):
            break
    if told is None:
        return []
    if isinstance(told, CassopsError):
        return [] if half_way else [f"what 5.0 does not have of the schema is not known: {told}"]
    tables, views, functions = told
    return unreadable.left_behind([*tables, *views], [] if half_way else functions)


def former_schema(cluster: Cluster, pod: str) -> list[list[dict[str, Any]]]:
    """Rows of the tables, the views and the functions."""
    with logged_in(cluster.kube, pod, cluster.own.credentials, ASK_LIMIT) as session:
        return [session.execute(statement) for statement in FORMER_SCHEMA]


def lost_tables(cluster: Cluster, view: View, back: Iterable[str]) -> list[str]:
    """Why the next nodes may not go back: those that did have lost tables, or cannot be asked.

    :param back: pods that went back.
    """
    listed, newer = list(back), on(view, newer=True)
    if not listed or not newer:
        return []
    tables = partial(rows_of, cluster, statement=TABLES)
    told = together(lambda pod: attempt(partial(tables, pod)), [newer[0], *listed])
    reasons = [f"which tables there are could not be read: {answer}" for answer in told if not isinstance(answer, list)]
    before, *after = [answer if isinstance(answer, list) else None for answer in told]
    known = {pod: rows for pod, rows in zip(listed, after, strict=True) if rows is not None}
    return reasons + unreadable.lost_tables(before or (), known)


def on(view: View, newer: bool) -> list[str]:
    """Pods that answered: those on 5.0, or those before it."""
    return [
        pod for pod, seen in sorted(view.observations.items()) if (upgrade.release(seen.own.version) >= (5, 0)) is newer
    ]


def contents(cluster: Cluster, pod: str, newer: bool) -> Contents:
    """What a node tells. Of the schema only one on 5.0 knows all."""
    with logged_in(cluster.kube, pod, cluster.own.credentials, ASK_LIMIT) as session:
        given = permissions(session)
        if not newer:
            return Contents(given)
        schema = {name: foreign(session.execute(f"SELECT * FROM system_schema.{name}")) for name in SCHEMA}
        dropped = foreign(session.execute(DROPPED))
    return Contents(
        given,
        tables=[*schema["tables"], *schema["views"]],
        indexes=schema["indexes"],
        columns=[*schema["columns"], *dropped],
        types=schema["types"],
        masks=schema["column_masks"],
    )


def foreign(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["keyspace_name"] not in LOCAL]


def permissions(session: cql.Session) -> list[dict[str, Any]]:
    """Those of roles that are no superusers."""
    all_powerful = {row["role"] for row in of_logins(session, SUPERUSERS) if row["is_superuser"]}
    return [row for row in of_logins(session, PERMISSIONS) if row["role"] not in all_powerful]


def of_logins(session: cql.Session, statement: str) -> list[dict[str, Any]]:
    try:
        return session.execute(statement, consistency="LOCAL_QUORUM")
    except cql.NotEnoughReplicas:
        # The canary that shall go back may be one replica of two.
        return session.execute(statement)


def rows_of(cluster: Cluster, pod: str, statement: str) -> list[dict[str, Any]]:
    with logged_in(cluster.kube, pod, cluster.own.credentials, ASK_LIMIT) as session:
        return session.execute(statement)


def columns_in_files(kube: Kube, pod: str) -> Sequence[str] | None:
    """Columns that 4.1 does not know, in the files of a node's schema; None where they cannot be read."""
    try:
        told = kube.exec(pod, ["sh", "-c", LOOK_AT_SCHEMA], timeout=ASK_LIMIT)
    except CassopsError:
        return None
    return told.stdout.split() if told.rc == 0 else None
