# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements as Cassandra's DESCRIBE SCHEMA WITH INTERNALS writes them."""

from __future__ import annotations

from ansible_collections.cassops.kubernetes.plugins.module_utils import schema_text

ORDERS = """CREATE TABLE shop.orders (
    customer text,
    number int,
    "Total" decimal,
    note text static,
    tags map<text, frozen<list<int>>>,
    PRIMARY KEY ((customer), number)
) WITH ID = 1b255f4d-ef25-40a6-0000-000000000001
    AND CLUSTERING ORDER BY (number ASC)
    AND comment = 'all; (of) them'
    AND gc_grace_seconds = 864000;
ALTER TABLE shop.orders DROP old USING TIMESTAMP 1700000000000000;
ALTER TABLE shop.orders ADD old int;"""
COUNTS = """CREATE TABLE shop."Counts" (
    key text PRIMARY KEY,
    count counter
) WITH ID = 2b255f4d-ef25-40a6-0000-000000000002;"""
FUNCTION = """CREATE FUNCTION shop.twice(n int)
    CALLED ON NULL INPUT
    RETURNS int
    LANGUAGE java
    AS $$ int a = 1; return n * 2; // 'odd $$;"""
INDEX = "CREATE CUSTOM INDEX by_note ON shop.orders (note) USING 'StorageAttachedIndex';"
VIEW = """CREATE MATERIALIZED VIEW shop.by_number AS
    SELECT *
    FROM shop.orders
    WHERE number IS NOT NULL AND customer IS NOT NULL
    PRIMARY KEY (number, customer)
 WITH ID = 3b255f4d-ef25-40a6-0000-000000000003;"""
KEYSPACE = (
    "CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': '3'}  AND"
    " durable_writes = true;"
)


def test_statements_are_parted_where_no_quotes_are() -> None:
    assert [each.split()[0] for each in schema_text.split(ORDERS)] == ["CREATE", "ALTER", "ALTER"]
    assert schema_text.split(ORDERS)[2] == "ALTER TABLE shop.orders ADD old int"
    assert schema_text.split(FUNCTION) == [FUNCTION[:-1]]
    assert schema_text.split(" ;\n; ") == []


def test_columns_and_keys() -> None:
    assert schema_text.columns(ORDERS) == {
        "customer": "text",
        "number": "int",
        "Total": "decimal",
        "note": "text static",
        "tags": "map<text, frozen<list<int>>>",
        "old": "int",
        "PRIMARY KEY": "((customer), number)",
    }
    assert schema_text.columns(COUNTS) == {"key": "text", "count": "counter", "PRIMARY KEY": "(key)"}
    assert schema_text.columns("CREATE TYPE shop.point (x int, y frozen<map<int, int>>);") == {
        "x": "int",
        "y": "frozen<map<int, int>>",
    }


def test_the_order_of_rows_belongs_to_the_key() -> None:
    create = "CREATE TABLE shop.log (id int, day date, at time, PRIMARY KEY (id, day, at)) WITH ID = x"
    assert schema_text.columns(create)["PRIMARY KEY"] == "(id, day, at)"
    upwards = f"{create} AND CLUSTERING ORDER BY (day ASC, at ASC) AND comment = 'CLUSTERING ORDER BY (at DESC)';"
    assert schema_text.columns(upwards)["PRIMARY KEY"] == "(id, day, at)"
    mixed = f"{create} AND CLUSTERING ORDER BY (day ASC, at DESC) AND gc_grace_seconds = 1;"
    assert schema_text.columns(mixed)["PRIMARY KEY"] == "(id, day, at) with at downwards"


def test_a_table_is_described_with_the_columns_that_it_lost() -> None:
    """As 5.0 describes it: with them, and with what drops them, and adds one again."""
    text = """CREATE TABLE shop.orders (
    id int PRIMARY KEY,
    "Od" int,
    note text,
    old map<text, frozen<list<int>>>
) WITH ID = 1b255f4d-ef25-40a6-0000-000000000001
    AND comment = 'ALTER TABLE shop.orders DROP id USING TIMESTAMP 1'
    AND gc_grace_seconds = 3600;
ALTER TABLE shop.orders DROP "Od" USING TIMESTAMP 1795779378530000;
ALTER TABLE shop.orders DROP note USING TIMESTAMP 1795779373634000;
ALTER TABLE shop.orders DROP old USING TIMESTAMP 1795779375304000;
ALTER TABLE shop.orders ADD old map<text, frozen<list<int>>> static;"""
    assert schema_text.columns(text) == {
        "id": "int",
        "old": "map<text, frozen<list<int>>> static",
        "PRIMARY KEY": "(id)",
    }
    assert schema_text.dropped(text) == {"Od": 1795779378530000, "note": 1795779373634000, "old": 1795779375304000}
    assert schema_text.dropped(COUNTS) == {}
    assert (schema_text.gc_grace(text), schema_text.gc_grace(COUNTS)) == (3600, None)


def test_ids_and_bases() -> None:
    assert schema_text.table_id(ORDERS) == "1b255f4d-ef25-40a6-0000-000000000001"
    assert schema_text.table_id(KEYSPACE) == ""
    assert schema_text.base("index", INDEX) == ("shop", "orders")
    assert schema_text.base("materialized_view", VIEW) == ("shop", "orders")
    assert schema_text.base("index", 'CREATE INDEX i ON shop."Counts" (key);') == ("shop", "Counts")


def test_what_writes_are_kept_in_the_commit_log() -> None:
    assert schema_text.is_durable(KEYSPACE)
    assert schema_text.is_durable("CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy'};")
    assert not schema_text.is_durable(KEYSPACE.replace("durable_writes = true", "durable_writes = false"))


def test_replication() -> None:
    assert schema_text.replication(KEYSPACE) == {"class": "NetworkTopologyStrategy", "dc1": "3"}
    changed = schema_text.with_replication(KEYSPACE, {"class": "NetworkTopologyStrategy", "dc2": "2"})
    assert schema_text.replication(changed) == {"class": "NetworkTopologyStrategy", "dc2": "2"}
    assert changed.endswith("AND durable_writes = true;")


def test_names() -> None:
    assert schema_text.plain('"Odd""Name"') == 'Odd"Name'
    assert schema_text.plain("orders") == "orders"
