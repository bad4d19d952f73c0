# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that writes and reads at QUORUM all the time, at a bounded rate, and remembers what it was promised."""

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.connection import ConnectionException
from cassandra.policies import (
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    LoadBalancingPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import OverloadedErrorMessage
from cassandra.query import PreparedStatement, SimpleStatement

from .datacenter import Datacenter
from .settings import rng
from .waiting import until

KEYSPACE = "workload"
# A test that hangs must not fill the disk.
MOST_ROWS = 100_000
ANSWER_SECONDS = 4.0


@dataclass
class Record:
    """What the client saw.

    :cvar all: of every client of this process, so that what a test saw is counted whoever started its client.
    :ivar acknowledged: number of a row -> its text, for every write that was acknowledged.
    :ivar lost: rows that were acknowledged and not found by a later read at QUORUM.
    :ivar failures: ("write" or "read", reason) -> how often.
    :ivar longest_gap: seconds without any success.
    :ivar moved: what the driver sent to another node because one did not take it -> how often; see :class:`Elsewhere`.
    """

    all: ClassVar[list[Record]] = []

    acknowledged: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    requests: int = 0
    longest_gap: float = 0.0
    moved: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        failed = ", ".join(f"{kind} {why}: {count}" for (kind, why), count in sorted(self.failures.items())) or "none"
        moved = ", ".join(f"{why}: {count}" for why, count in sorted(self.moved.items())) or "none"
        return (
            f"{self.requests} requests, {len(self.acknowledged)} writes acknowledged, {len(self.lost)} rows lost,"
            f" longest gap {self.longest_gap:.1f} s, sent to another node: {moved}, failures: {failed}"
        )


class Workload:
    """To be used as a context; it runs until the context ends.

    :param rate: writes a second, each followed by a read of some acknowledged row.
    :param elsewhere: a request that a node did not take is sent to another one, as drivers do by themselves.
    :param consistency: of all its requests. With several datacenters QUORUM counts the replicas of all of them.
    """

    def __init__(
        self,
        datacenter: Datacenter,
        rate: float = 20,
        replicas: int = 3,
        table: str = "rows",
        *,
        elsewhere: bool = False,
        consistency: str = "QUORUM",
    ) -> None:
        self.datacenter = datacenter
        self.table = f"{KEYSPACE}.{table}"
        self.replicas = replicas
        self.record = Record()
        Record.all.append(self.record)
        self._pause = 1 / rate
        self._rng = rng(f"workload/{datacenter.namespace.name}/{table}")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workload", daemon=True)
        self._cluster = connect(
            datacenter, Elsewhere(self.record.moved) if elsewhere else None, consistency=consistency
        )
        self._last_success = time.monotonic()

    def __enter__(self) -> Workload:
        self._session: Session = self._cluster.connect()
        replication = f"{{'class': 'NetworkTopologyStrategy', '{self.datacenter.name}': {self.replicas}}}"
        self._session.execute(f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} WITH replication = {replication}", timeout=120)
        self._session.execute(f"CREATE TABLE IF NOT EXISTS {self.table} (n int PRIMARY KEY, text text)", timeout=120)
        self._write = self._session.prepare(f"INSERT INTO {self.table} (n, text) VALUES (?, ?)")
        self._read = self._session.prepare(f"SELECT text FROM {self.table} WHERE n = ?")
        self._last_success = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._cluster.shutdown()

    def stop(self) -> None:
        """Stop writing; :meth:`check` can still be asked."""
        self._stop.set()
        self._thread.join(30)
        print(f"workload: {self.record}")

    def _run(self) -> None:
        for number in range(MOST_ROWS):
            if self._stop.wait(self._pause):
                return
            value = f"row {number} {self._rng.random()}"
            if self._try("write", self._write, (number, value)) is not None:
                self.record.acknowledged[number] = value
            if self.record.acknowledged:
                self._read_back(self._rng.choice(range(number + 1)))

    def _read_back(self, number: int) -> None:
        expected = self.record.acknowledged.get(number)
        found = self._try("read", self._read, (number,))
        if found is not None and expected is not None and [row.text for row in found] != [expected]:
            self.record.lost.add(number)

    def _try(self, kind: str, statement: PreparedStatement, values: tuple[Any, ...]) -> list[Any] | None:
        """The rows of the answer, or None where there was none."""
        self.record.requests += 1
        try:
            answer = list(self._session.execute(statement, values))
        except NoHostAvailable as error:
            reasons = {type(each).__name__ for each in error.errors.values()} or {"no host known to be up"}
            self.record.failures[kind, f"NoHostAvailable({', '.join(sorted(reasons))})"] += 1
            return None
        except Exception as error:
            self.record.failures[kind, type(error).__name__] += 1
            return None
        now = time.monotonic()
        self.record.longest_gap = max(self.record.longest_gap, now - self._last_success)
        self._last_success = now
        return answer

    def wait_for_rows(self, more: int, seconds: float = 300) -> None:
        """Wait until so many more writes were acknowledged."""
        wanted = len(self.record.acknowledged) + more
        until(
            f"{more} more rows to be acknowledged",
            lambda: [str(self.record)] if len(self.record.acknowledged) < wanted else [],
            seconds,
            0.2,
        )

    @contextmanager
    def none_fails(self, consistency: str = "QUORUM") -> Iterator[None]:
        """While the context lasts no request fails; in its end it works, and no acknowledged row is missing."""
        before = self.record.failures.copy()
        yield
        self.wait_for_rows(50)
        assert self.record.failures == before, f"failed: {self.record.failures - before}"
        self.check(consistency)

    def check(self, consistency: str = "QUORUM") -> None:
        """Every acknowledged row is there, and no read in between missed one."""
        assert self.record.acknowledged, f"not one write was acknowledged: {self.record}"
        self.record.lost.update(lost_rows(self._session, self.table, dict(self.record.acknowledged), consistency))
        assert not self.record.lost, f"acknowledged rows are lost: {sorted(self.record.lost)[:20]}; {self.record}"


class Elsewhere(FallthroughRetryPolicy):  # type: ignore[misc]  # the driver has no types
    """Sends once to every other node, and counts, what a node that stops did not take; tries nothing else again.

    4.x cuts connections when CQL is closed. 5.0 lets begun requests finish, and refuses what arrives in the tenth of a
    second until it closes the connection: "Server is shutting down" (``Dispatcher.dispatch``).
    """

    def __init__(self, moved: Counter[str]) -> None:
        self._moved = moved

    def on_request_error(self, query: Any, consistency: int, error: Any, retry_num: int) -> tuple[int, int | None]:
        """What the driver calls for everything that is no timeout and no lack of replicas."""
        refused = isinstance(error, OverloadedErrorMessage) and "shutting down" in str(error.message)
        if not refused and not isinstance(error, ConnectionException):
            return super().on_request_error(query, consistency, error, retry_num)  # type: ignore[no-any-return]
        self._moved[type(error).__name__] += 1
        return self.RETRY_NEXT_HOST, None


def connect(
    datacenter: Datacenter,
    retry_policy: FallthroughRetryPolicy | None = None,
    balance: LoadBalancingPolicy | None = None,
    tls: ssl.SSLContext | None = None,
    consistency: str = "QUORUM",
) -> Cluster:
    """A driver that knows every node by its own address.

    :param retry_policy: default is to try nothing again, since that would hide a failure.
    :param balance: which nodes it asks; default is those that have the row.
    :param tls: default is to speak in the clear.
    :param consistency: of requests that name none.
    """
    profile = ExecutionProfile(
        load_balancing_policy=balance or TokenAwarePolicy(DCAwareRoundRobinPolicy(datacenter.name)),
        retry_policy=retry_policy or FallthroughRetryPolicy(),
        consistency_level=getattr(ConsistencyLevel, consistency),
        request_timeout=ANSWER_SECONDS,
    )
    return Cluster(
        list(datacenter.addresses().values()),
        auth_provider=PlainTextAuthProvider(*datacenter.login()),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        reconnection_policy=ConstantReconnectionPolicy(1.0, max_attempts=None),
        connect_timeout=3,
        control_connection_timeout=ANSWER_SECONDS,
        # Nodes that share two processors with others take their time to agree on a new table.
        max_schema_agreement_wait=120,
        protocol_version=4,
        idle_heartbeat_interval=5,
        idle_heartbeat_timeout=5,
        ssl_context=tls,
    )


def lost_rows(session: Session, table: str, expected: dict[int, str], consistency: str) -> list[int]:
    """Numbers of the rows that are not there as they were written, by a read of the whole table."""
    level = getattr(ConsistencyLevel, consistency)
    statement = SimpleStatement(f"SELECT n, text FROM {table}", consistency_level=level, fetch_size=500)
    found = {row.n: row.text for row in session.execute(statement, timeout=120)}
    return [number for number, value in expected.items() if found.get(number) != value]


def rows_of(datacenter: Datacenter, table: str = "rows", consistency: str = "ALL") -> dict[int, str]:
    """All rows of a workload's table."""
    with connect(datacenter) as cluster:
        session = cluster.connect()
        level = getattr(ConsistencyLevel, consistency)
        statement = SimpleStatement(f"SELECT n, text FROM {KEYSPACE}.{table}", consistency_level=level, fetch_size=500)
        return {row.n: row.text for row in session.execute(statement, timeout=120)}
