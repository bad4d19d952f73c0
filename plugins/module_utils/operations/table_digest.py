# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many rows tables have, and a digest of what stands in them: the same in two datacenters with the same rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .. import cql, restore_schema, restoring
from ..context import Context
from ..errors import CassopsError
from .cluster import CLUSTER, Cluster
from .restore_tables import describe, session

ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    "tables": {"type": "list", "elements": "str", "default": []},
    "consistency": {"type": "str", "default": "LOCAL_QUORUM"},
    "timeout": {"type": "int", "default": 60},
    "expected": {"type": "dict", "default": {}},
    "tolerance": {"type": "float", "default": 0.0},
}
BITS = 128


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(table_digest). See its documentation for parameters and results."""
    cql.consistency_level(params["consistency"])
    cluster = Cluster(params, ctx)
    ready = [node.pod for node in cluster.look().view.nodes if node.ready]
    if not ready:
        raise CassopsError(f"no node of datacenter {cluster.own.datacenter} is ready; see the playbook status")
    told: dict[str, dict[str, Any]] = {}
    with session(cluster.own, ready[0]) as asked:
        names = wanted(params["tables"], asked)
        for number, name in enumerate(names, 1):
            ctx.progress(f"read {'.'.join(name)} ({number} of {len(names)})", important=True)
            told[".".join(name)] = digest(asked, name, params["consistency"], float(params["timeout"]))
    return {"changed": False, "tables": told, "differing": differing(told, params["expected"], params["tolerance"])}


def wanted(asked_for: list[str], asked: cql.Session) -> list[restoring.Name]:
    """The tables; views are copies of them.

    :raises CassopsError: one is not there.
    """
    schema = describe(asked)
    there = [name for name in restore_schema.described(schema) if name not in restore_schema.views(schema)]
    if not asked_for:
        return sorted(there)
    found = {one: [name for name in there if one in (name[0], ".".join(name))] for one in asked_for}
    unknown = [one for one, names in found.items() if not names]
    if unknown:
        raise CassopsError(f"there is no keyspace or table {', '.join(unknown)}")
    return sorted({name for names in found.values() for name in names})


def digest(asked: cql.Session, name: restoring.Name, consistency: str, timeout: float) -> dict[str, Any]:
    """Rows are added up, since two rings return them in different orders, and page by page, since a table may be larger
    than the memory here."""
    statement = f"SELECT * FROM {cql.identifier(name[0])}.{cql.identifier(name[1])}"
    rows = total = 0
    for page in asked.pages(statement, consistency=consistency, timeout=timeout):
        rows += len(page)
        total = (total + sum(map(number_of, page))) % (1 << BITS)
    return {"rows": rows, "digest": f"{total:032x}"}


def number_of(row: Mapping[str, Any]) -> int:
    text = json.dumps(cql.plain(dict(row)), sort_keys=True, ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[: BITS // 8], "big")


def differing(there: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float) -> list[str]:
    """What is not as expected, a sentence a table.

    :param tolerance: percent by which numbers of rows may differ; with 0 every value counts.
    """
    told = []
    for table, wanted_ in sorted(expected.items()):
        found = there.get(table)
        if found is None:
            told.append(f"{table} is not there")
        elif abs(found["rows"] - int(wanted_["rows"])) > int(wanted_["rows"]) * tolerance / 100:
            told.append(f"{table} has {found['rows']} rows here and {wanted_['rows']} there")
        elif not tolerance and found["digest"] != wanted_["digest"]:
            told.append(f"{table} has {found['rows']} rows here and there, and some have other values")
    return told
