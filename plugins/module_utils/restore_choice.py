# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tables of a backup are asked for, and what it has of them. Pure."""

from __future__ import annotations

from collections.abc import Collection

from .backups import Manifest, limited
from .restore_schema import described, without_replicas
from .restoring import SYSTEM, Name, Source, Wish, name_of


def chosen(wish: Wish, source: Source) -> tuple[list[Name], list[str]]:
    """The tables that are asked for, and what of it the backup does not have.

    Its schema is that of the whole cluster, also where only some tables were backed up: what it describes besides is
    not in the backup, and would come back empty.
    """
    there = sorted({(table.keyspace, table.name) for node in source.nodes for table in node.tables})
    there += [name for name in described(source.schema) if name not in there and has(source.manifest, name)]
    without = elsewhere_then(source)
    users = [name for name in there if name[0] not in SYSTEM and name[0] not in without]
    if not wish.tables:
        return sorted(users), []
    found: set[Name] = set()
    unknown = []
    for asked in wish.tables:
        mine = [name for name in users if asked in (name[0], ".".join(name))]
        found.update(mine)
        if not mine:
            unknown.append(asked)
    keyspaces = ", ".join(sorted({name[0] for name in users})) or "none"
    limits = limited(source.manifest)
    told = f"it is {limits}" if limits else f"its keyspaces are {keyspaces}"
    if without.intersection(asked.partition(".")[0] for asked in unknown):
        told = f"{', '.join(sorted(without))} had no replicas in datacenter {source.manifest.datacenter} then"
    return sorted(found), [
        f"the backup has no {'table' if '.' in asked else 'keyspace'} {asked}; {told}" for asked in unknown
    ]


def elsewhere_then(source: Source) -> set[str]:
    """Keyspaces of whose tables the backup has not one row."""
    return set(without_replicas(source.schema, source.manifest.datacenter))


def has(manifest: Manifest, name: Name) -> bool:
    """Whether a backup is of a table, be there rows in it or not."""
    if manifest.tables:
        return name[0] in manifest.tables or ".".join(name) in manifest.tables
    return name[0] not in manifest.excluded


def is_of(tables: Collection[str], asked: Collection[str]) -> bool:
    """Whether a backup that is limited to some tables is of all that is asked for.

    :param tables: C(keyspace.table) or C(keyspace); empty is everything.
    :param asked: the same.
    """
    return not tables or (bool(asked) and all({name, name_of(name)[0]} & {*tables} for name in asked))
