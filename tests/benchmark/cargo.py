# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data for nodes to stream, and what their logs tell of the time that it took."""

from __future__ import annotations

import base64
import datetime
import itertools
import os
import re
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import measure
import scene
from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.query import PreparedStatement

from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube

PIECE = 64 * 1024
# Rows under way, and those that are counted together: small nodes are asked for no more than they can write.
AT_ONCE, PORTION = 8, 256
ATTEMPTS = 20
PATIENCE = 600.0
STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3})")


@contextmanager
def session(kube: Kube, nodes: Collection[str]) -> Iterator[Session]:
    """A login of the superuser on these nodes."""
    secret = kube.get("Secret", f"{scene.SMALL['cluster']}-superuser")
    login = [base64.b64decode(secret["data"][key]).decode() for key in ("username", "password")] if secret else []
    addresses = [item["spec"]["clusterIP"] for item in kube.list("Service") if item["metadata"]["name"] in nodes]
    with Cluster(addresses, auth_provider=PlainTextAuthProvider(*login), protocol_version=4) as driver:
        session = driver.connect()
        session.default_timeout = 120
        yield session


def load(kube: Kube, nodes: Collection[str], mebibytes: int) -> None:
    """New rows that nothing compresses, so much of them, three times each, flushed to disk.

    :raises Failed: a row could not be written at all replicas in many attempts.
    """
    with session(kube, nodes) as client:
        replication = f"{{'class': 'NetworkTopologyStrategy', '{scene.SMALL['datacenter']}': 3}}"
        client.execute(f"CREATE KEYSPACE IF NOT EXISTS cargo WITH replication = {replication}")
        client.execute("CREATE TABLE IF NOT EXISTS cargo.rows (n int PRIMARY KEY, data blob)")
        insert = client.prepare("INSERT INTO cargo.rows (n, data) VALUES (?, ?)")
        # At fewer replicas the others would fall behind, and overflow.
        insert.consistency_level = ConsistencyLevel.ALL
        first, count = secrets.randbelow(2**30), mebibytes * 2**20 // PIECE
        for numbers in itertools.batched(range(first, first + count), PORTION):
            write(client, insert, [(number, os.urandom(PIECE)) for number in numbers])
    for node in nodes:
        kube.exec(node, ["nodetool", "flush", "cargo"], timeout=PATIENCE)


def write(client: Session, insert: PreparedStatement, rows: list[tuple[int, bytes]]) -> None:
    """All of these rows; those that time out once more after a moment.

    :raises Failed: see L(load).
    """
    for _attempt in range(ATTEMPTS):
        done = execute_concurrent_with_args(client, insert, rows, concurrency=AT_ONCE, raise_on_first_error=False)
        rows = [row for row, (success, _error) in zip(rows, done, strict=True) if not success]
        if not rows:
            return
        time.sleep(2)
    errors = {str(error) for success, error in done if not success}
    raise measure.Failed(f"{len(rows)} rows could not be written: {'; '.join(sorted(errors))}")


def between(log: str, first: str, last: str) -> float:
    """Seconds from the first line in which the one is found, to the last with the other; both are patterns.

    :raises Failed: the log does not tell.
    """
    lines = log.splitlines()
    began = [stamp(line) for line in lines if re.search(first, line) and STAMP.search(line)]
    ended = [stamp(line) for line in lines if re.search(last, line) and STAMP.search(line)]
    if not began or not ended:
        raise measure.Failed(f"the log does not tell the time from {first!r} to {last!r}")
    return ended[-1] - began[0]


def stamp(line: str) -> float:
    """When a line was logged, in seconds."""
    match = STAMP.search(line)
    if match is None:
        raise measure.Failed(f"no time in {line!r}")
    return datetime.datetime.fromisoformat(match[1]).timestamp() + int(match[2]) / 1000
