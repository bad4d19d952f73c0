# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of every kind, with rows that are compared one by one after a restore."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import SimpleStatement

from .datacenter import Datacenter
from .workload import connect

KEYSPACE = "shop"
ROWS = 100
FOREVER = 10_000_000
"""Seconds that rows with a TTL live: longer than any test, so that only the restore could lose them."""
Rows = Mapping[str, list[str]]

SCHEMA = (
    "CREATE TYPE {ks}.point (x int, y int)",
    "CREATE TYPE {ks}.line (a frozen<point>, b frozen<point>)",
    "CREATE TABLE {ks}.orders (customer text, number int, total decimal, level text static, note text,"
    " place frozen<point>, PRIMARY KEY ((customer), number)) WITH CLUSTERING ORDER BY (number DESC)",
    "CREATE INDEX by_note ON {ks}.orders (note)",
    "CREATE TABLE {ks}.collections (id int PRIMARY KEY, names set<text>, points list<frozen<point>>,"
    " lines map<int, frozen<line>>)",
    "CREATE TABLE {ks}.counts (id int PRIMARY KEY, seen counter)",
    "CREATE TABLE {ks}.fading (id int PRIMARY KEY, text text)",
    'CREATE TABLE {ks}."OddName" ("Key" int PRIMARY KEY, "Some Text" text)',
    "CREATE TABLE {ks}.found (id int PRIMARY KEY, colour text, size int)",
    "CREATE INDEX by_colour ON {ks}.found (colour) USING 'sai'",
    "CREATE TABLE {ks}.shrunk (id int PRIMARY KEY, kept text, gone text)",
    "CREATE MATERIALIZED VIEW {ks}.by_size AS SELECT * FROM {ks}.found WHERE size IS NOT NULL AND id IS NOT NULL"
    " PRIMARY KEY (size, id)",
)
TABLES = ("orders", "collections", "counts", "fading", '"OddName"', "found", "shrunk", "by_size")
CONFIG = {"materialized_views_enabled": True}


def asking(datacenter: Datacenter, call: Callable[[Session], Any]) -> Any:
    """Call with a session at ALL, with time to answer."""
    with connect(datacenter) as cluster:
        session = cluster.connect()
        return call(session)


def fill(datacenter: Datacenter, rng: random.Random, keyspace: str = KEYSPACE, sai: bool = True) -> None:
    """Make the tables, and write rows of every kind; some are overwritten, some deleted.

    :param sai: with an index of the kind that 5.0 brought.
    """
    replicas = min(3, len(datacenter.racks))

    def work(session: Session) -> None:
        replication = f"{{'class': 'NetworkTopologyStrategy', '{datacenter.name}': {replicas}}}"
        run(session, f"CREATE KEYSPACE {keyspace} WITH replication = {replication}")
        for statement in SCHEMA:
            run(session, statement.format(ks=keyspace).replace("" if sai else " USING 'sai'", ""))
        write(session, rng, keyspace)
        run(session, f"ALTER TABLE {keyspace}.shrunk DROP gone")

    asking(datacenter, work)


def write(session: Session, rng: random.Random, keyspace: str, shrunk: bool = False) -> None:
    """:param shrunk: the column C(gone) is gone already."""
    for number in range(ROWS):
        point, total = f"{{x: {number}, y: {rng.randrange(1000)}}}", rng.randrange(10**6) / 100
        run(
            session,
            f"INSERT INTO {keyspace}.orders (customer, number, total, level, note, place) VALUES"
            f" ('c{number % 20}', {number}, {total}, 'level {number % 20}', 'note {number % 7}', {point})",
        )
        run(
            session,
            f"INSERT INTO {keyspace}.collections (id, names, points, lines) VALUES ({number}, {{'a{number}', 'b'}},"
            f" [{point}, {point}], {{{number}: {{a: {point}, b: {point}}}}})",
        )
        run(session, f"UPDATE {keyspace}.counts SET seen = seen + {rng.randrange(1, 50)} WHERE id = {number % 30}")
        run(session, f"INSERT INTO {keyspace}.fading (id, text) VALUES ({number}, 't{number}') USING TTL {FOREVER}")
        run(session, f'INSERT INTO {keyspace}."OddName" ("Key", "Some Text") VALUES ({number}, \'it\'\'s {number}\')')
        run(
            session, f"INSERT INTO {keyspace}.found (id, colour, size) VALUES ({number}, 'c{number % 5}', {number % 9})"
        )
        columns, values = (
            ("id, kept", f"{number}, 'k'") if shrunk else ("id, kept, gone", f"{number}, 'k{number}', 'g'")
        )
        run(session, f"INSERT INTO {keyspace}.shrunk ({columns}) VALUES ({values})")
    for number in range(0, ROWS, 11):
        run(session, f"DELETE FROM {keyspace}.orders WHERE customer = 'c{number % 20}' AND number = {number}")
        run(session, f"UPDATE {keyspace}.found SET colour = 'changed' WHERE id = {number}")


def run(session: Session, text: str, level: int = ConsistencyLevel.ALL) -> Any:
    return session.execute(SimpleStatement(text, consistency_level=level, fetch_size=500), timeout=120)


def read(datacenter: Datacenter, keyspace: str = KEYSPACE) -> Rows:
    """Every row of every table as text, sorted; what indexes find; how long rows with a TTL have left, roughly."""

    def work(session: Session) -> Rows:
        found = {table: sorted(map(str, run(session, f"SELECT * FROM {keyspace}.{table}"))) for table in TABLES}
        notes = [run(session, f"SELECT * FROM {keyspace}.orders WHERE note = 'note {n}'") for n in range(7)]
        found["index by_note"] = sorted(str(row) for each in notes for row in each)
        colours = ["changed", *(f"c{n}" for n in range(5))]
        each_colour = [run(session, f"SELECT * FROM {keyspace}.found WHERE colour = '{one}'") for one in colours]
        found["index by_colour"] = sorted(str(row) for each in each_colour for row in each)
        left = [row[1] for row in run(session, f"SELECT id, ttl(text) FROM {keyspace}.fading")]
        found["ttl"] = [str(all(value and value > FOREVER // 2 for value in left))]
        return found

    rows: Rows = asking(datacenter, work)
    return rows


def read_two(datacenter: Datacenter, keyspace: str = KEYSPACE) -> Rows:
    """With as many replicas as there are nodes."""
    replication = f"{{'class': 'NetworkTopologyStrategy', '{datacenter.name}': 2}}"
    asking(datacenter, lambda session: run(session, f"ALTER KEYSPACE {keyspace} WITH replication = {replication}"))
    return read(datacenter, keyspace)


def assert_same(found: Rows, expected: Rows) -> None:
    """Row by row, with the first differences."""
    for table in expected:
        missing = sorted(set(expected[table]) - set(found[table]))
        more = sorted(set(found[table]) - set(expected[table]))
        assert not missing, f"{table}: {len(missing)} rows are missing, such as {missing[:3]}"
        assert not more, f"{table}: {len(more)} rows are too many, such as {more[:3]}"
        assert found[table] == expected[table], f"{table} has rows twice"
