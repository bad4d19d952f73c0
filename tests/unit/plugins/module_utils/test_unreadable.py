# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import unreadable
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.unreadable import LOOK_AT_SCHEMA
from ansible_collections.cassops.kubernetes.plugins.module_utils.unreadable import Contents

ORDERS: dict[str, Any] = {"keyspace_name": "shop", "table_name": "orders"}
BY_TOTAL: dict[str, Any] = {"keyspace_name": "shop", "view_name": "by_total"}
STCS = {"class": "org.apache.cassandra.db.compaction.SizeTieredCompactionStrategy"}
DTCS = {"class": "org.apache.cassandra.db.compaction.DateTieredCompactionStrategy", "max_sstable_age_days": "365"}
UCS = {"class": "org.apache.cassandra.db.compaction.UnifiedCompactionStrategy"}
SAI = "org.apache.cassandra.index.sai.StorageAttachedIndex"


def index(class_name: str | None) -> dict[str, Any]:
    return {**ORDERS, "index_name": "by_city", "options": {"target": "city", "class_name": class_name or ""}}


def test_what_4_1_knows_closes_nothing() -> None:
    known = Contents(
        permissions=[
            {"role": "app", "resource": "data/shop", "permissions": {"SELECT", "MODIFY"}},
            {"role": "app", "resource": "data", "permissions": None},
        ],
        tables=[{**ORDERS, "compaction": STCS, "allow_auto_snapshot": None, "incremental_backups": True}],
        indexes=[index(None), index("org.apache.cassandra.index.sasi.SASIIndex"), {**index(None), "options": None}],
        columns=[{**ORDERS, "column_name": "vector", "type": "list<text>"}],
        types=[{"keyspace_name": "shop", "type_name": "place", "field_types": ["text"]}],
        files={"r1-0": ()},
    )
    assert unreadable.refusals(known) == []


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("data", "ALL KEYSPACES"),
        ("data/shop", 'KEYSPACE "shop"'),
        ("data/shop/*", 'ALL TABLES IN KEYSPACE "shop"'),
        ("data/Shop/orders", 'TABLE "Shop"."orders"'),
    ],
)
def test_how_a_revoke_calls_what_a_permission_is_for(name: str, called: str) -> None:
    assert unreadable.resource(name) == called


def test_each_permission_has_its_revoke() -> None:
    rows = [
        {"role": "the app", "resource": "data/shop/orders", "permissions": {"SELECT", "UNMASK"}},
        {"role": "loader", "resource": "data", "permissions": {"SELECT_MASKED", "UNMASK"}},
    ]
    (told,) = unreadable.refusals(Contents(permissions=rows))
    assert told == (
        "permissions: loader, the app would get nothing but errors from 4.1, which does not know SELECT_MASKED and "
        'UNMASK: take them away first, on a node of 5.0: REVOKE SELECT_MASKED ON ALL KEYSPACES FROM "loader"; '
        'REVOKE UNMASK ON ALL KEYSPACES FROM "loader"; REVOKE UNMASK ON TABLE "shop"."orders" FROM "the app"'
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            Contents(tables=[{**ORDERS, "compaction": UCS}, {**BY_TOTAL, "compaction": UCS}]),
            "compaction: 4.1 has no UnifiedCompactionStrategy; give another one to shop.by_total, shop.orders",
        ),
        (Contents(indexes=[index("sai")]), "drop shop.by_city"),
        (Contents(indexes=[index("StorageAttachedIndex")]), "drop shop.by_city"),
        (Contents(indexes=[index(SAI)]), "indexes: 4.1 has no storage-attached ones (SAI); drop shop.by_city"),
        (Contents(columns=[{**ORDERS, "column_name": "v", "type": "vector<float, 3>"}]), "shop.orders.v"),
        (Contents(columns=[{**ORDERS, "column_name": "v", "type": "list<frozen<vector<int, 2>>>"}]), "shop.orders.v"),
        (
            Contents(types=[{"keyspace_name": "shop", "type_name": "t", "field_types": ["text", "vector<int, 2>"]}]),
            "drop the tables and types of shop.t",
        ),
        (
            Contents(masks=[{**ORDERS, "column_name": "card"}]),
            'if it may: ALTER TABLE "shop"."orders" ALTER "card" DROP MASKED',
        ),
        (
            Contents(tables=[{**ORDERS, "compaction": STCS, "incremental_backups": False}], files={"r1-0": ()}),
            "schema: allow_auto_snapshot, incremental_backups (set for shop.orders): 4.1 leaves out files",
        ),
        (
            Contents(files={"r1-0": ("auto_repair",), "r2-0": ()}),
            "schema: auto_repair (in the files of system_schema on r1-0): 4.1 leaves out files with columns",
        ),
        (Contents(files={"r1-0": None}), "schema: the files of system_schema on r1-0 could not be read"),
    ],
)
def test_what_4_1_does_not_know_closes_the_way_back(found: Contents, words: str) -> None:
    (told,) = unreadable.refusals(found)
    assert words in told


def function(language: str, name: str = "twice", arguments: list[str] | None = None) -> dict[str, Any]:
    return {"keyspace_name": "shop", "function_name": name, "argument_types": arguments, "language": language}


def test_what_5_0_has_keeps_nobody_from_it() -> None:
    tables = [{**ORDERS, "compaction": STCS}, {**BY_TOTAL, "compaction": STCS}, {**ORDERS, "compaction": None}]
    assert unreadable.left_behind(tables, [function("java"), function("Java")]) == []


def test_tables_whose_compaction_5_0_does_not_have() -> None:
    tables = [{**BY_TOTAL, "compaction": DTCS}, {**ORDERS, "compaction": STCS}, {**ORDERS, "compaction": DTCS}]
    (told,) = unreadable.left_behind(tables, [])
    assert told == (
        "compaction: 5.0 has no DateTieredCompactionStrategy, and does not start where a table has it; give them "
        'another one first: ALTER MATERIALIZED VIEW "shop"."by_total" WITH compaction = '
        "{'class': 'TimeWindowCompactionStrategy'}; ALTER TABLE \"shop\".\"orders\" WITH compaction = "
        "{'class': 'TimeWindowCompactionStrategy'}"
    )


def test_functions_whose_language_5_0_does_not_have() -> None:
    (told,) = unreadable.left_behind([], [function("java"), function("JavaScript", "thrice", ["int", "text"])])
    assert told == (
        "functions: 5.0 runs those in Java only, and answers who calls another with an error; first drop these, or "
        "write them in Java: shop.thrice(int, text) in JavaScript"
    )


def test_tables_that_a_node_lost_on_the_way_back() -> None:
    own = {"keyspace_name": "system", "table_name": "top_partitions"}
    assert unreadable.lost_tables([ORDERS, own], {"r1-0": [ORDERS]}) == []
    (told,) = unreadable.lost_tables([ORDERS, own], {"r1-0": [ORDERS], "r2-0": []})
    assert told.startswith("r2-0 came back on 4.1 without shop.orders: ")


def column(name: str, kind: str) -> bytes:
    """As the head of an SSTable has it."""
    type_name = f"org.apache.cassandra.db.marshal.{kind}".encode()
    length = bytes([len(type_name)]) if len(type_name) < 128 else bytes([0x80, len(type_name)])
    return bytes([len(name)]) + name.encode() + length + type_name


def test_the_columns_that_files_of_the_schema_have(tmp_path: Path) -> None:
    def write(name: str, content: bytes) -> None:
        path = tmp_path / "data" / "system_schema" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x00\xff" + content + b"\xfe\n")

    def told() -> list[str]:
        script = LOOK_AT_SCHEMA.replace("/var/lib/cassandra", str(tmp_path))
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        return done.stdout.split()

    # A table of that name is no column, and a snapshot is no file of the node's.
    write("tables-1/nb-1-big-Statistics.db", column("comment", "UTF8Type") + b"\x0bauto_repair\x00\x04shop")
    write("tables-1/snapshots/x/nb-1-big-Statistics.db", column("incremental_backups", "BooleanType"))
    assert told() == []
    write("views-1/nb-2-big-Statistics.db", column("allow_auto_snapshot", "BooleanType"))
    write("tables-1/nb-3-big-Statistics.db", column("auto_repair", f"FrozenType({'x' * 90})"))
    assert told() == ["allow_auto_snapshot", "auto_repair"]
