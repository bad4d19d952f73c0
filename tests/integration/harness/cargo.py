# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows with weight: so that streaming takes its time, and that somebody misses them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cassandra.cluster import EXEC_PROFILE_DEFAULT
from cassandra.concurrent import execute_concurrent_with_args

from .datacenter import Datacenter
from .workload import KEYSPACE, connect

MEBIBYTE = 2**20
# Of a row: large enough to be quick, small enough for nodes with little memory.
PIECE = 64 * 1024
AT_ONCE = 8
# How fast a node sends: of ranges of SSTables, in megabits a second; of entire SSTables, in MiB a second.
TRICKLE, USUAL = (1, 1), (200, 24)


def write(datacenter: Datacenter, table: str, pieces: int, size: int = PIECE, keyspace: str = KEYSPACE) -> None:
    """Fill a table, made if need be, with so many rows that nothing compresses; every write acknowledged at QUORUM."""
    with connect(datacenter) as driver:
        session = driver.connect()
        patient = session.execution_profile_clone_update(EXEC_PROFILE_DEFAULT, request_timeout=60)
        session.execute(f"CREATE TABLE IF NOT EXISTS {keyspace}.{table} (n int PRIMARY KEY, data blob)", timeout=120)
        insert = session.prepare(f"INSERT INTO {keyspace}.{table} (n, data) VALUES (?, ?)")
        rows = ((number, os.urandom(size)) for number in range(pieces))
        execute_concurrent_with_args(session, insert, rows, concurrency=AT_ONCE, execution_profile=patient)


def formats(datacenter: Datacenter, keyspace: str = KEYSPACE) -> set[str]:
    """Formats of the SSTables of a keyspace, on all nodes."""
    script = f"ls /var/lib/cassandra/data/{keyspace}/*/*-Data.db | sed 's|.*/||; s/-.*//' | sort -u"
    return {word for node in datacenter.nodes for word in datacenter.namespace.exec(node, "sh", "-c", script).split()}


@contextmanager
def aboard(datacenter: Datacenter, mebibytes: int, table: str = "cargo") -> Iterator[None]:
    """So much data, three times over, is in the datacenter and on its disks as long as the context lasts."""
    write(datacenter, table, mebibytes * MEBIBYTE // PIECE)
    for node in datacenter.nodes:
        datacenter.nodetool(node, "flush", KEYSPACE, table)
    try:
        yield
    finally:
        drop(datacenter, table)


@contextmanager
def on_one_replica(datacenter: Datacenter, mebibytes: int, keyspace: str) -> Iterator[None]:
    """A keyspace of three replicas, of which one has so much data and the others have none, as long as it lasts."""
    replication = f"replication = {{'class': 'NetworkTopologyStrategy', '{datacenter.name}': %d}}"
    with connect(datacenter) as driver:
        session = driver.connect()
        session.execute(f"CREATE KEYSPACE {keyspace} WITH {replication % 1}", timeout=120)
        try:
            write(datacenter, "cargo", mebibytes * MEBIBYTE // PIECE, keyspace=keyspace)
            session.execute(f"ALTER KEYSPACE {keyspace} WITH {replication % 3}", timeout=120)
            yield
        finally:
            session.execute(f"DROP KEYSPACE {keyspace}", timeout=120)


def drop(datacenter: Datacenter, table: str) -> None:
    with connect(datacenter) as driver:
        driver.connect().execute(f"DROP TABLE IF EXISTS {KEYSPACE}.{table}", timeout=120)


def in_sync(datacenter: Datacenter, node: str, table: str) -> bool:
    """Whether the replicas of a node's ranges have the same rows, by Cassandra's comparison; nothing is repaired."""
    said = datacenter.namespace.exec(node, "nodetool", "repair", "-full", "-prv", KEYSPACE, table, seconds=300)
    return "Previewed data was in sync" in said


def stream_at(datacenter: Datacenter, nodes: Iterable[str], speed: tuple[int, int]) -> None:
    """How fast the nodes may send to others, until they restart."""
    ranges, entire = map(str, speed)
    for node in nodes:
        datacenter.nodetool(node, "setstreamthroughput", ranges)
        datacenter.nodetool(node, "setstreamthroughput", "--entire-sstable-throughput", entire)
