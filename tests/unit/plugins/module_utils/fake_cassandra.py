# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Cassandra ring as `cql.py` and `nodetool.py` show it to the rooms above them: doors, logins, members, liveness.

It knows the statements that the collection sends and no others: a statement that it does not know fails the test.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import cql, nodetool, ring

OPEN, LOOPBACK, OFF = "open", "loopback", "off"
SIMPLE = "org.apache.cassandra.locator.SimpleStrategy"
LITERAL = r"'((?:[^']|'')*)'"
NAME = r'("(?:[^"]|"")*"|\w+)'
OPTIONS = rf"WITH PASSWORD = {LITERAL}(?: AND LOGIN = (true|false))?(?: AND SUPERUSER = (true|false))?"


@dataclass
class Member:
    """A node of the ring. C(status) is gossip's word; C(gossip_only) ones stand in no table of peers."""

    address: str
    rack: str
    host_id: str
    tokens: tuple[int, ...]
    datacenter: str = "dc1"
    status: str = "NORMAL"
    gossip_only: bool = False
    bootstrapped: bool = True


@dataclass
class Role:
    password: str
    login: bool = True
    superuser: bool = True


class FakeCassandra:
    """A ring, and what its nodes say."""

    def __init__(self, version: str = "5.0.9", keyspaces: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.version = version
        self.members: dict[str, Member] = {}
        self.doors: dict[str, str] = {}
        # Pods that everybody else takes for dead; one that does not answer has its door off as well.
        self.down: set[str] = set()
        self.roles = {"cassandra": Role("cassandra")}
        one: Mapping[str, str] = {"class": SIMPLE, "replication_factor": "1"}
        self.replication: dict[str, dict[str, str]] = {
            name: dict((keyspaces or {}).get(name, one))
            for name in ("system_auth", "system_distributed", "system_traces")
        }
        # (keyspace, gc_grace_seconds) of every table.
        self.tables: list[tuple[str, int | None]] = [("system_auth", 7776000)]
        self.schema = "schema-1"
        self.statements: list[str] = []
        self.nodetool: list[tuple[str, tuple[str, ...]]] = []
        # Called before anything is changed; a test may end the run there.
        self.before_change: Callable[[str], None] = lambda what: None
        self.after_change: Callable[[], None] = lambda: None

    def join(self, pod: str, member: Member, door: str = OPEN) -> None:
        self.members[pod] = member
        self.doors[pod] = door

    @property
    def default_login_works(self) -> bool:
        role = self.roles["cassandra"]
        return role.login and role.password == "cassandra"

    # What `cql` and `nodetool` do.

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeCassandra:
        """Take the place of the clients, for this test."""
        monkeypatch.setattr(cql, "connect", self.connect)
        monkeypatch.setattr(nodetool, "run", self.run_nodetool)
        return self

    @contextlib.contextmanager
    def connect(
        self, kube: Any, pod: str, username: str, password: str, port: int = 9042, timeout: float = 10.0
    ) -> Iterator[FakeSession]:
        if self.doors.get(pod, OFF) == OFF or pod in self.down:
            raise cql.NodeUnreachable(f"CQL of {pod} cannot be reached: nothing listens on the port")
        role = self.roles.get(username)
        if role is None or not role.login or role.password != password:
            raise cql.LoginRefused(f"{pod}: provided username {username} and/or password are incorrect")
        yield FakeSession(self, pod, username)

    def run_nodetool(
        self, kube: Any, pod: str, verbs: Sequence[Sequence[str]], timeout: float = 60.0, **options: Any
    ) -> list[nodetool.Result]:
        results = []
        for verb in verbs:
            self.nodetool.append((pod, tuple(verb)))
            data = None
            if list(verb) == ["enablebinary"]:
                self.change(f"nodetool enablebinary on {pod}", lambda: self.doors.update({pod: OPEN}))
            elif list(verb) == ["status"]:
                up = {True: "up", False: "down"}
                data = {
                    "nodes": [
                        {"address": item.address, "status": up[name not in self.down]}
                        for name, item in self.members.items()
                    ]
                }
            else:
                raise AssertionError(f"the fake does not know nodetool {verb}")
            results.append(nodetool.Result(tuple(verb), 0, "", "", data))
        return results

    def change(self, what: str, do: Callable[[], Any]) -> None:
        self.before_change(what)
        do()
        self.after_change()


class FakeSession:
    """A login on one node; tables of statements that read and statements that change."""

    def __init__(self, ring_: FakeCassandra, pod: str, username: str) -> None:
        self.ring = ring_
        self.pod = pod
        self.username = username

    def execute(
        self,
        statement: str,
        parameters: Sequence[Any] | None = None,
        consistency: str = "ONE",
        timeout: float | None = None,
    ) -> list[dict[str, Any]]:
        self.ring.statements.append(statement)
        for pattern, answer in (
            (r"SELECT \* FROM system\.local", self.local),
            (r"SELECT \* FROM system\.peers_v2", self.peers),
            (r"SELECT table_name FROM system_virtual_schema\.tables WHERE .*'gossip_info'", self.gossip_table),
            (r"SELECT \* FROM system_views\.gossip_info", self.gossip),
            (r"SELECT keyspace_name, replication FROM system_schema\.keyspaces", self.keyspaces),
            (r"SELECT keyspace_name, gc_grace_seconds FROM system_schema\.tables", self.tables),
            (rf"SELECT role FROM system_auth\.roles WHERE role = {LITERAL}", self.read_role),
            (r"SELECT \* FROM system_auth\.\w+", self.read_all),
            (rf"(CREATE|ALTER) ROLE {NAME} {OPTIONS}", self.set_role),
            (r"ALTER KEYSPACE (\w+) WITH replication = \{(.*)\}", self.alter_keyspace),
        ):
            if found := re.fullmatch(pattern, statement):
                return answer(*found.groups(), consistency)
        if statement == "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?":
            return [{"replication": self.ring.replication[str((parameters or ())[0])]}]
        if statement == "SELECT role FROM system_auth.roles WHERE role = ?":
            return self.read_role(str((parameters or ())[0]), consistency)
        raise AssertionError(f"the fake does not know the statement {statement!r}")

    # Reads.

    def row(self, member: Member) -> dict[str, Any]:
        return {
            "host_id": member.host_id,
            "data_center": member.datacenter,
            "rack": member.rack,
            "release_version": self.ring.version,
            "schema_version": self.ring.schema,
            "tokens": [str(token) for token in member.tokens] or None,
        }

    def local(self, consistency: str) -> list[dict[str, Any]]:
        own = self.ring.members[self.pod]
        state = "COMPLETED" if own.bootstrapped else "IN_PROGRESS"
        return [{**self.row(own), "broadcast_address": own.address, "bootstrapped": state}]

    def peers(self, consistency: str) -> list[dict[str, Any]]:
        others = (member for pod, member in self.ring.members.items() if pod != self.pod and not member.gossip_only)
        return [{**self.row(member), "peer": member.address} for member in others]

    def gossip_table(self, consistency: str) -> list[dict[str, Any]]:
        return [{"table_name": "gossip_info"}] if self.ring.version >= "4.1" else []

    def gossip(self, consistency: str) -> list[dict[str, Any]]:
        return [
            {
                "address": member.address,
                "host_id": member.host_id,
                "dc": member.datacenter,
                "rack": member.rack,
                "release_version": self.ring.version,
                "schema": self.ring.schema,
                "status_with_port": f"{member.status},-3074457345618258603",
                "load": "104857.0",
            }
            for member in self.ring.members.values()
        ]

    def keyspaces(self, consistency: str) -> list[dict[str, Any]]:
        return [{"keyspace_name": name, "replication": options} for name, options in self.ring.replication.items()]

    def tables(self, consistency: str) -> list[dict[str, Any]]:
        return [{"keyspace_name": name, "gc_grace_seconds": grace} for name, grace in self.ring.tables]

    def read_role(self, name: str, consistency: str) -> list[dict[str, Any]]:
        if consistency == "ALL" and self.ring.down & set(self.replicas(name)):
            raise cql.Unavailable(f"{self.pod}: Cannot achieve consistency level ALL (1 of 2 replicas needed are up)")
        return [{"role": name}] if name in self.ring.roles else []

    def replicas(self, name: str) -> list[str]:
        """Pods that hold a row, found by `ring.py` (which is proved against a plain walk in its own tests)."""
        holding = {pod: member for pod, member in self.ring.members.items() if member.tokens}
        find = ring.replica_finder(
            {pod: member.tokens for pod, member in holding.items()},
            {pod: member.rack for pod, member in holding.items()},
            {pod: member.datacenter for pod, member in holding.items()},
            self.ring.replication["system_auth"],
        )
        return list(find(cql.token(name)))

    def read_all(self, consistency: str) -> list[dict[str, Any]]:
        if consistency == "ALL" and self.ring.down:
            raise cql.Unavailable(f"{self.pod}: Cannot achieve consistency level ALL")
        return []

    # Changes.

    def set_role(
        self, verb: str, name: str, password: str, login: str | None, superuser: str | None, consistency: str
    ) -> list[Any]:
        plain = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
        if (plain in self.ring.roles) == (verb == "CREATE"):
            raise cql.InvalidStatement(
                f"{self.pod}: {plain} {'exists already' if verb == 'CREATE' else 'does not exist'}"
            )
        if superuser is not None and plain == self.username:
            raise cql.NotAllowed(f"{self.pod}: You aren't allowed to alter your own superuser status")
        old = self.ring.roles.get(plain, Role("", False, False))
        role = Role(
            password.replace("''", "'"),
            old.login if login is None else login == "true",
            old.superuser if superuser is None else superuser == "true",
        )
        self.as_superuser(f"{verb} ROLE {plain}", lambda: self.ring.roles.update({plain: role}))
        return []

    def alter_keyspace(self, name: str, options: str, consistency: str) -> list[Any]:
        replication = dict(re.findall(rf"{LITERAL}: {LITERAL}", options))
        known = {member.datacenter for member in self.ring.members.values()}
        unknown = set(replication) - known - {"class", "replication_factor"}
        if unknown:
            raise cql.InvalidStatement(f"{self.pod}: Unrecognized strategy option {unknown} passed to {name}")
        replication["class"] = f"org.apache.cassandra.locator.{replication['class']}"
        self.as_superuser(f"ALTER KEYSPACE {name}", lambda: self.ring.replication.update({name: replication}))
        return []

    def as_superuser(self, what: str, do: Callable[[], Any]) -> None:
        if not self.ring.roles[self.username].superuser:
            raise cql.NotAllowed(f"{self.pod}: {self.username} may not: {what}")
        self.ring.change(what, do)
