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
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import cql, nodetool, repair_history, ring
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError

OPEN, LOOPBACK, OFF = "open", "loopback", "off"
SIMPLE = "org.apache.cassandra.locator.SimpleStrategy"
LITERAL = r"'((?:[^']|'')*)'"
NAME = r'("(?:[^"]|"")*"|\w+)'
OPTIONS = rf"WITH PASSWORD = {LITERAL}(?: AND LOGIN = (true|false))?(?: AND SUPERUSER = (true|false))?"

# When keyspaces are made, in microseconds since 1970: about when the clock of FakeKube begins.
MADE = 1_800_000_000_000_000

REBUILD = {
    "operation": "Rebuild",
    "peers": ["/198.19.0.1:7000"],
    "progress_percentage": 40.0,
    "status": "started",
    "duration_millis": 1000,
}
"""A row of system_views.streaming."""


@dataclass
class Busy:
    """What a node does, and what is on its volume. C(hints): host id -> files."""

    streams: list[dict[str, Any]] = field(default_factory=list)
    # streaming_stats_enabled
    records_streams: bool = True
    repairs: list[dict[str, Any]] = field(default_factory=list)
    participates: list[dict[str, Any]] = field(default_factory=list)
    pools: dict[str, tuple[int, int]] = field(default_factory=lambda: {"CompactionExecutor": (0, 0)})
    hints: dict[str, int] = field(default_factory=dict)
    # KiB: all, free.
    disk: tuple[int, int] = (10_000, 9_000)
    # When its mark was written.
    volume_since: int = 1_800_000_000
    snapshots: list[str] = field(default_factory=list)
    # For how many looks more it works through its SSTables, and at what.
    compactions: int = 0
    compaction: str = "cleanup"

    def volume(self) -> str:
        """What the look at the volume prints."""
        lines = [f"disk {self.disk[0]} {self.disk[1]}", f"since {self.volume_since}"]
        lines += [f"hints {host}-{number}-2.hints" for host, count in self.hints.items() for number in range(count)]
        return "\n".join([*lines, *(f"snapshot {name}" for name in self.snapshots), ""])


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
    # Of Cassandra; None is that of the ring.
    version: str | None = None
    sstables: str = "big-nb"
    storage_mode: str = "CASSANDRA_4"
    # Its version of the schema; None is that of the ring.
    schema: str | None = None


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
        # Pods whose Cassandra was drained: nothing but a new start helps.
        self.drained: set[str] = set()
        # (observer, pod): the observer takes the pod for dead, though it is not.
        self.unseen: set[tuple[str, str]] = set()
        self.busy: dict[str, Busy] = {}
        # Pods whose nodetool fails.
        self.deaf: set[str] = set()
        self.roles = {"cassandra": Role("cassandra")}
        one: Mapping[str, str] = {"class": SIMPLE, "replication_factor": "1"}
        self.replication: dict[str, dict[str, str]] = {
            name: dict((keyspaces or {}).get(name, one))
            for name in ("system_auth", "system_distributed", "system_traces")
        }
        if version >= "4.1" and "system_auth" not in (keyspaces or {}):
            # cassandra.system_auth.default_rf
            self.replication["system_auth"]["replication_factor"] = "3"
        # How many replicas have the rows of the logins, where not all have them; the caches have forgotten all.
        self.logins_on: int | None = None
        # (keyspace, gc_grace_seconds) of every table.
        self.tables: list[tuple[str, int | None]] = [("system_auth", 7776000)]
        # The keyspace of each materialized view.
        self.viewed: list[str] = []
        # Rows of system_auth.role_permissions, and of tables of system_schema that only the way to another line reads.
        self.permissions: list[dict[str, Any]] = []
        self.system_schema: dict[str, list[dict[str, Any]]] = {}
        # Pod -> columns that 4.1 does not know, in the files of its schema.
        self.schema_files: dict[str, str] = {}
        # Tables that pods have lost.
        self.lost_tables: set[tuple[str, str]] = set()
        # Rows of system_distributed.parent_repair_history.
        self.history: list[dict[str, Any]] = []
        # Pods and keyspaces whose ranges stand in system.available_ranges_v2; and those of which a rebuild has streamed
        # the rows -> when the keyspace had been changed last.
        self.streamed: set[tuple[str, str]] = set()
        self.rebuilt: dict[tuple[str, str], int] = {}
        # Pods and keyspaces of which there are rows in memory.
        self.unflushed: set[tuple[str, str]] = set()
        # For how many looks more pods are at a rebuild that nobody listens to.
        self.rebuilding: dict[str, int] = {}
        # Keyspace -> when it was changed last, in microseconds since 1970; and when its tables were.
        self.replicated: dict[str, int] = {}
        self.written: dict[str, int] = {}
        self.schema = "schema-1"
        self.statements: list[str] = []
        # Whether all nodes get to one schema.
        self.agrees = True
        # Whether replicas were moved, and not all nodes have heard of it: they drop what is not theirs.
        self.moved = False
        self.nodetool: list[tuple[str, tuple[str, ...]]] = []
        # Called before anything is changed; a test may end the run there.
        self.before_change: Callable[[str], None] = lambda what: None
        self.after_change: Callable[[], None] = lambda: None

    def join(self, pod: str, member: Member, door: str = OPEN) -> None:
        self.members[pod] = member
        self.doors[pod] = door
        self.busy.setdefault(pod, Busy())

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
        if role is None or not role.login or role.password != password or not self.finds_login(pod, username):
            raise cql.LoginRefused(f"{pod}: provided username {username} and/or password are incorrect")
        # Who logs in again does so when all nodes have heard.
        self.moved = False
        yield FakeSession(self, pod, username)

    def finds_login(self, pod: str, username: str) -> bool:
        """Whether a role is found, in the worst case: those that do not have it yet are asked first."""
        if self.logins_on is None:
            return True
        factor = self.logins_factor
        by_quorum = username == "cassandra" or (self.members[pod].version or self.version) >= "4.1"
        return (factor // 2 + 1 if by_quorum else 1) > factor - self.logins_on

    @property
    def logins_factor(self) -> int:
        return sum(int(count) for key, count in self.replication["system_auth"].items() if key != "class")

    def run_nodetool(
        self, kube: Any, pod: str, verbs: Sequence[Sequence[str]], timeout: float = 60.0, **options: Any
    ) -> list[nodetool.Result]:
        results = []
        for verb in verbs:
            self.nodetool.append((pod, tuple(verb)))
            if verb[0] == "enablebinary" and pod in self.drained:
                said = "error: Unable to start native transport because the node was drained."
                results.append(nodetool.Result(tuple(verb), 2, "", said))
            elif pod in self.deaf:
                results.append(nodetool.Result(tuple(verb), 1, "", "nodetool: Failed to connect to '127.0.0.1:7199'"))
            else:
                results.append(nodetool.Result(tuple(verb), 0, "", "", self.one_verb(kube, pod, verb)))
        failures = [result.failure for result in results if result.failure]
        if failures and options.get("check"):
            raise nodetool.NodetoolError(f"{pod}: " + "; ".join(failures), results)
        return results

    def one_verb(self, kube: Any, pod: str, verb: Sequence[str]) -> Any:
        if verb[0] == "flush":
            written = {key for key in self.unflushed if key[0] == pod}
            self.rebuilt = {**dict.fromkeys(written, MADE), **self.rebuilt}
            self.unflushed -= written
            return None
        if verb[0] == "tablestats":
            return {name: {"tables": {"t": self.held(pod, name)}} for name in verb[1:]}
        if verb[0] == "clearsnapshot" and verb[-1] not in self.busy[pod].snapshots:
            return None
        if verb[0] in ("enablebinary", "disablebinary", "drain", "snapshot", "clearsnapshot", "upgradesstables"):
            return self.change(f"nodetool {verb[0]} on {pod}", lambda: self.act(pod, verb))
        if verb[:2] == ["repair", "-pr"]:
            return self.change(f"nodetool repair {verb[-1]} on {pod}", lambda: self.compare(pod, verb[-1], kube))
        if verb[:3] == ["repair", "-full", "--"]:
            return self.change(f"nodetool repair {verb[-1]} on {pod}", lambda: self.compare_all(pod, verb[-1], kube))
        if verb[0] == "rebuild":
            return self.change(f"nodetool rebuild {verb[2]} on {pod}", lambda: self.rebuild(pod, verb[2], verb[-1]))
        if list(verb) == ["status"]:
            up = {True: "up", False: "down"}
            lines = ((name, item.address) for name, item in self.members.items())
            return {"nodes": [{"address": address, "status": up[self.sees(pod, name)]} for name, address in lines]}
        if list(verb) == ["netstats"]:
            mode = "DRAINED" if pod in self.drained else "NORMAL"
            repairs = [{"operation": "Repair", "peer": "198.19.0.9"}] * self.streams_of(pod)
            return {"mode": mode, "sessions": repairs + self.rebuild_sessions(pod)}
        if list(verb) == ["compactionstats"]:
            return {"active": []}
        if list(verb) == ["gossipinfo"]:
            return {row["address"]: {"states": states(row)} for row in self.gossip_of(pod)}
        raise AssertionError(f"the fake does not know nodetool {verb}")

    def held(self, pod: str, keyspace: str) -> dict[str, Any]:
        """As tablestats tells it."""
        files, memory = ((pod, keyspace) in each for each in (self.rebuilt, self.unflushed))
        return {"space_used_live": str(3 * 2**20 * files), "memtable_data_size": str(50 * memory)}

    def clean(self, pod: str) -> None:
        """Files of keyspaces that have no replicas in its datacenter go as a whole."""
        here = self.members[pod].datacenter
        self.rebuilt = {
            key: at for key, at in self.rebuilt.items() if key[0] != pod or here in self.replication[key[1]]
        }

    def act(self, pod: str, verb: Sequence[str]) -> None:
        if verb[0] == "enablebinary":
            self.doors[pod] = OPEN
        elif verb[0] == "snapshot":
            self.busy[pod].snapshots.append(verb[verb.index("-t") + 1])
        elif verb[0] == "clearsnapshot":
            left = self.busy[pod].snapshots
            left[:] = [name for name in left if name != verb[-1]]
        elif verb[0] == "upgradesstables":
            version = self.members[pod].version or self.version
            self.members[pod].sstables = "big-nb" if version < "5" else "big-oa"
        else:
            self.doors[pod] = OFF
        if verb[0] == "drain":
            self.down.add(pod)
            self.drained.add(pod)

    def compare(self, pod: str, keyspace: str, kube: Any) -> None:
        """A full repair of a node's own tokens, with its row in the history. For rings of one datacenter."""
        ends = sorted(token for member in self.members.values() for token in member.tokens)
        own = [(ends[ends.index(token) - 1], token) for token in self.members[pod].tokens]
        self.record(keyspace, own, kube)

    def compare_all(self, pod: str, keyspace: str, kube: Any) -> None:
        """A full repair of everything that a node has replicas of. Each takes a while."""
        assert self.down == set(), "all replicas are asked"
        holders: Any = {name: member for name, member in self.members.items() if member.tokens}
        self.record(keyspace, repair_history.replica_ranges(holders, self.replication[keyspace])[pod], kube)
        kube.clock += 600

    def record(self, keyspace: str, ranges: Sequence[tuple[int, int]], kube: Any) -> None:
        self.history.append(
            {
                "keyspace_name": keyspace,
                "columnfamily_names": {row["table_name"] for row in self.rows_of_tables(keyspace)},
                "successful_ranges": {f"({start},{end}]" for start, end in ranges},
                "started_at": datetime.fromtimestamp(kube.server_time(), timezone.utc).replace(tzinfo=None),
                "options": {"incremental": "false", "primaryRange": "true", "dataCenters": "", "hosts": ""},
            }
        )

    def rebuild(self, pod: str, keyspace: str, source: str) -> None:
        """Every range that is on record is left out: 4.x does so silently, 5.0 refuses (RangeStreamer.fetchAsync)."""
        assert source in {member.datacenter for member in self.members.values()} - {self.members[pod].datacenter}
        if self.rebuilding.get(pod):
            self.refuse(pod, "Node is still rebuilding. Check nodetool netstats.")
        if (pod, keyspace) in self.streamed:
            if (self.members[pod].version or self.version) >= "5":
                self.refuse(pod, "Discovered existing bootstrap data and ... is not configured; aborting bootstrap.")
            return
        self.streamed.add((pod, keyspace))
        self.rebuilt[pod, keyspace] = self.replicated.get(keyspace, MADE)

    def refuse(self, pod: str, words: str) -> None:
        result = nodetool.Result(("rebuild",), 2, "", f"error: {words}")
        raise nodetool.NodetoolError(f"{pod}: {result.failure}", [result])

    def rebuild_sessions(self, pod: str) -> list[dict[str, Any]]:
        """As nodetool netstats shows them, a look more."""
        if not self.rebuilding.get(pod):
            return []
        self.rebuilding[pod] -= 1
        told = {"operation": "Rebuild", "plan_id": "r", "peer": "198.19.0.1", "sending": None}
        return [{**told, "receiving": {"bytes": 100, "bytes_done": 40}}]

    def rows_of_tables(self, keyspace: str = "") -> list[dict[str, Any]]:
        return [
            {"keyspace_name": name, "table_name": f"table{number}", "since": self.since(name)}
            for number, (name, _grace) in enumerate(self.tables)
            if keyspace in ("", name)
        ]

    def since(self, keyspace: str) -> int:
        """Cassandra makes its own tables as of a moment in the past."""
        return 1 if keyspace.startswith("system") else self.written.get(keyspace, MADE)

    def sees(self, observer: str, pod: str) -> bool:
        return pod not in self.down and (observer, pod) not in self.unseen

    def streams_of(self, pod: str) -> int:
        return len(self.busy[pod].streams)

    def gossip_of(self, pod: str) -> list[dict[str, Any]]:
        """Gossip as a node has it."""
        return [
            {
                "address": member.address,
                "host_id": member.host_id,
                "dc": member.datacenter,
                "rack": member.rack,
                "release_version": member.version or self.version,
                "schema": member.schema or self.schema,
                "status_with_port": f"{member.status},-3074457345618258603",
                "load": "104857.0",
                "rpc_ready": str(self.doors.get(name) == OPEN).lower(),
                "sstable_versions": member.sstables,
            }
            for name, member in self.members.items()
        ]

    def change(self, what: str, do: Callable[[], Any]) -> None:
        self.before_change(what)
        do()
        self.after_change()


def states(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name.upper(): {"version": 1, "value": str(value)} for name, value in row.items() if name != "address"}


def only(row: dict[str, Any], columns: str) -> dict[str, Any]:
    """A row with the columns that were asked for; null where the node has nothing in them."""
    return row if columns == "*" else {name: row.get(name) for name in re.findall(r"\w+", columns)}


class FakeSession:
    """A login on one node; tables of statements that read and statements that change."""

    def __init__(self, ring_: FakeCassandra, pod: str, username: str) -> None:
        self.ring = ring_
        self.pod = pod
        self.username = username

    def agree(self, timeout: float) -> bool:
        """As the real one: whether all nodes have one schema."""
        self.ring.moved = False
        return self.ring.agrees

    def shared(self, statement: str, known: cql.Known) -> list[dict[str, Any]]:
        """As the real one, which goes by the bytes that came."""
        rows = self.execute(statement)
        return [known.setdefault(tuple(repr(value).encode() for value in row.values()), row) for row in rows]

    def execute(
        self,
        statement: str,
        parameters: Sequence[Any] | None = None,
        consistency: str = "ONE",
        timeout: float | None = None,
        agree: bool = True,
    ) -> list[dict[str, Any]]:
        if not re.search(r" FROM system(_schema)?\.", statement) and not self.ring.finds_login(self.pod, self.username):
            raise cql.NotAllowed(f"{self.pod}: User {self.username} has no permission for {statement[:20]}")
        self.ring.statements.append(statement)
        if self.ring.moved and re.search(r"system_auth\.| ROLE ", statement):
            raise CassopsError(f"{self.pod}: Operation timed out - received only 1 responses.")
        self.ring.moved |= statement.startswith("ALTER KEYSPACE") and not agree
        for pattern, answer in (
            (r"SELECT \* FROM system\.local", self.local),
            (r"SELECT (.*) FROM system\.peers_v2", self.peers),
            (r"SELECT table_name FROM system_virtual_schema\.tables WHERE keyspace_name = 'system_views'", self.views),
            (r"SELECT \* FROM system_views\.(streaming|repairs|repair_participates)", self.doing),
            (r"SELECT \* FROM system_views\.thread_pools", self.pools),
            (r"SELECT \* FROM system_views\.sstable_tasks", self.compactions),
            (r"SELECT \* FROM system_views\.disk_usage", self.disk_usage),
            (r"SELECT value FROM system_views\.settings WHERE name = 'storage_compatibility_mode'", self.storage_mode),
            (r"SELECT value FROM system_views\.settings WHERE name = 'streaming_stats_enabled'", self.records_streams),
            (r"SELECT value FROM system_views\.settings WHERE name = 'uuid_sstable_identifiers_enabled'", self.uuids),
            (r"SELECT schema_version FROM system\.local", self.local),
            (r"DESCRIBE SCHEMA WITH INTERNALS", self.describe),
            (r"SELECT .* FROM system_schema\.triggers", self.triggers),
            (r"SELECT (.*) FROM system_views\.gossip_info", self.gossip),
            (r"SELECT \* FROM system_schema\.(\w+)", self.whole_schema),
            (r"SELECT .*, (?:compaction|language) FROM system_schema\.(tables|views|functions)", self.whole_schema),
            (r"SELECT .*, type FROM system_schema\.dropped_columns", self.dropped_columns),
            (r"SELECT role, resource, permissions FROM system_auth\.role_permissions", self.permissions),
            (r"SELECT role, is_superuser FROM system_auth\.roles", self.all_roles),
            (r"SELECT keyspace_name, table_name FROM system_schema\.tables", self.names_of_tables),
            (r"SELECT keyspace_name, replication FROM system_schema\.keyspaces", self.keyspaces),
            (r"SELECT keyspace_name, gc_grace_seconds FROM system_schema\.tables", self.tables),
            (r"SELECT keyspace_name FROM system_schema\.views", self.materialized_views),
            (r"SELECT role FROM system_auth\.roles WHERE role IN \((.*)\) LIMIT (\d+)", self.read_roles),
            (r"SELECT \* FROM system_auth\.\w+", self.read_all),
            (rf"(CREATE|ALTER) ROLE {NAME} {OPTIONS}", self.set_role),
            (rf"DROP ROLE IF EXISTS {NAME}", self.drop_role),
            (r'ALTER KEYSPACE "?(\w+)"? WITH replication = \{(.*)\}', self.alter_keyspace),
        ):
            if found := re.fullmatch(pattern, statement):
                return answer(*found.groups(), consistency)
        if statement == "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?":
            return [{"replication": self.ring.replication[str((parameters or ())[0])]}]
        if statement == "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?":
            return [{"table_name": name} for name in ("roles", "role_members", "role_permissions")]
        if statement == "SELECT keyspace_name, table_name, WRITETIME(id) AS since FROM system_schema.tables":
            return self.ring.rows_of_tables()
        if statement == "SELECT keyspace_name, view_name, WRITETIME(id) AS since FROM system_schema.views":
            since = self.ring.since
            return [{"keyspace_name": name, "view_name": "view", "since": since(name)} for name in self.ring.viewed]
        if statement == "SELECT keyspace_name, WRITETIME(replication) AS since FROM system_schema.keyspaces":
            return [
                {"keyspace_name": name, "since": self.ring.replicated.get(name, MADE)} for name in self.ring.replication
            ]
        if statement.endswith("FROM system_distributed.parent_repair_history"):
            return list(self.ring.history)
        if statement == "DELETE FROM system.available_ranges_v2 WHERE keyspace_name = ?":
            name = str((parameters or ())[0])
            self.ring.change(f"forget {name} on {self.pod}", lambda: self.ring.streamed.discard((self.pod, name)))
            return []
        if statement == "SELECT can_login, is_superuser FROM system_auth.roles WHERE role = ?":
            role = self.ring.roles.get(str((parameters or ())[0]))
            return [{"can_login": role.login, "is_superuser": role.superuser}] if role else []
        if statement == "SELECT role FROM system_auth.roles WHERE role = ?":
            return self.read_role(str((parameters or ())[0]), consistency)
        raise AssertionError(f"the fake does not know the statement {statement!r}")

    # Reads.

    def row(self, member: Member) -> dict[str, Any]:
        return {
            "host_id": member.host_id,
            "data_center": member.datacenter,
            "rack": member.rack,
            "release_version": member.version or self.ring.version,
            "schema_version": member.schema or self.ring.schema,
            "tokens": [str(token) for token in member.tokens] or None,
        }

    def local(self, consistency: str) -> list[dict[str, Any]]:
        own = self.ring.members[self.pod]
        state = "COMPLETED" if own.bootstrapped else "IN_PROGRESS"
        return [{**self.row(own), "broadcast_address": own.address, "bootstrapped": state}]

    def peers(self, columns: str, consistency: str) -> list[dict[str, Any]]:
        others = (member for pod, member in self.ring.members.items() if pod != self.pod and not member.gossip_only)
        return [only({**self.row(member), "peer": member.address}, columns) for member in others]

    def views(self, consistency: str) -> list[dict[str, Any]]:
        names = ["thread_pools", "disk_usage"]
        if self.own_version >= "4.1":
            names += ["gossip_info", "streaming", "repairs", "repair_participates"]
        return [{"table_name": name} for name in names]

    @property
    def own_version(self) -> str:
        return self.ring.members[self.pod].version or self.ring.version

    def gossip(self, columns: str, consistency: str) -> list[dict[str, Any]]:
        return [only(row, columns) for row in self.ring.gossip_of(self.pod)]

    def doing(self, table: str, consistency: str) -> list[dict[str, Any]]:
        busy = self.ring.busy[self.pod]
        streams = [*busy.streams, *([REBUILD] if self.ring.rebuilding.get(self.pod) else [])]
        return {"streaming": streams, "repairs": busy.repairs, "repair_participates": busy.participates}[table]

    def compactions(self, consistency: str) -> list[dict[str, Any]]:
        busy = self.ring.busy[self.pod]
        if not busy.compactions:
            return []
        busy.compactions -= 1
        table = {"keyspace_name": "shop", "table_name": "orders"}
        return [{**table, "kind": busy.compaction, "progress": 1, "total": 2**21}]

    def pools(self, consistency: str) -> list[dict[str, Any]]:
        return [
            {"name": name, "active_tasks": active, "pending_tasks": pending}
            for name, (active, pending) in self.ring.busy[self.pod].pools.items()
        ]

    def storage_mode(self, consistency: str) -> list[dict[str, Any]]:
        mode = self.ring.members[self.pod].storage_mode
        return [{"value": mode}] if self.own_version >= "5" else []

    def records_streams(self, consistency: str) -> list[dict[str, Any]]:
        return [{"value": str(self.ring.busy[self.pod].records_streams).lower()}] if self.own_version >= "4.1" else []

    def uuids(self, consistency: str) -> list[dict[str, Any]]:
        return [{"value": "false"}] if self.own_version >= "4.1" else []

    def describe(self, consistency: str) -> list[dict[str, Any]]:
        statement = "CREATE KEYSPACE shop WITH replication = {};"
        return [{"keyspace_name": "shop", "type": "keyspace", "name": "shop", "create_statement": statement}]

    def triggers(self, consistency: str) -> list[dict[str, Any]]:
        return []

    def disk_usage(self, consistency: str) -> list[dict[str, Any]]:
        return [{"keyspace_name": name, "table_name": "t", "mebibytes": 3} for name, _grace in self.ring.tables]

    def keyspaces(self, consistency: str) -> list[dict[str, Any]]:
        return [{"keyspace_name": name, "replication": options} for name, options in self.ring.replication.items()]

    def tables(self, consistency: str) -> list[dict[str, Any]]:
        return [{"keyspace_name": name, "gc_grace_seconds": grace} for name, grace in self.ring.tables]

    def names_of_tables(self, consistency: str) -> list[dict[str, Any]]:
        rows = self.ring.rows_of_tables()
        return [row for row in rows if (self.pod, row["table_name"]) not in self.ring.lost_tables]

    def whole_schema(self, table: str, consistency: str) -> list[dict[str, Any]]:
        assert table != "dropped_columns", "the moment of what Cassandra has dropped itself is no date that Python has"
        if table == "column_masks" and self.own_version < "5":
            raise cql.InvalidStatement(f"{self.pod}: table column_masks does not exist")
        return self.ring.system_schema.get(table, [])

    def dropped_columns(self, consistency: str) -> list[dict[str, Any]]:
        return self.ring.system_schema.get("dropped_columns", [])

    def all_roles(self, consistency: str) -> list[dict[str, Any]]:
        return [{"role": name, "is_superuser": role.superuser} for name, role in self.ring.roles.items()]

    def permissions(self, consistency: str) -> list[dict[str, Any]]:
        replicas = self.ring.logins_factor
        silent = sum(door == OFF or pod in self.ring.down for pod, door in self.ring.doors.items())
        if consistency == "LOCAL_QUORUM" and replicas - silent < replicas // 2 + 1:
            raise cql.Unavailable(f"{self.pod}: Cannot achieve consistency level LOCAL_QUORUM")
        return self.ring.permissions

    def materialized_views(self, consistency: str) -> list[dict[str, Any]]:
        return [{"keyspace_name": name} for name in self.ring.viewed]

    def read_roles(self, listed: str, limit: str, consistency: str) -> list[dict[str, Any]]:
        """All of them, or none where one is refused."""
        names = [name.replace("''", "'") for name in re.findall(LITERAL, listed)]
        return [row for name in names for row in self.read_role(name, consistency)][: int(limit)]

    def read_role(self, name: str, consistency: str) -> list[dict[str, Any]]:
        if consistency == "ALL" and not all(self.ring.sees(self.pod, pod) for pod in self.replicas(name)):
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
        if consistency == "ALL" and self.ring.logins_on is not None:
            self.ring.logins_on = self.ring.logins_factor
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

    def drop_role(self, name: str, consistency: str) -> list[Any]:
        plain = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
        self.as_superuser(f"DROP ROLE {plain}", lambda: self.ring.roles.pop(plain, None))
        return []

    def alter_keyspace(self, name: str, options: str, consistency: str) -> list[Any]:
        replication = dict(re.findall(rf"{LITERAL}: {LITERAL}", options))
        known = {member.datacenter for member in self.ring.members.values()}
        unknown = set(replication) - known - {"class", "replication_factor"}
        if unknown:
            raise cql.InvalidStatement(f"{self.pod}: Unrecognized strategy option {unknown} passed to {name}")
        if replication["class"] == "NetworkTopologyStrategy" and len(replication) == 1:
            raise cql.InvalidStatement(f"{self.pod}: Configuration for at least one datacenter must be present")
        missing = known - set(replication) if replication["class"] == "NetworkTopologyStrategy" else set()
        if name == "system_auth" and self.own_version >= "4.1" and missing:
            raise cql.InvalidStatement(
                f"{self.pod}: Following datacenters have active nodes and must be present in replication options for "
                f"keyspace system_auth: {missing}"
            )
        replication["class"] = f"org.apache.cassandra.locator.{replication['class']}"
        self.as_superuser(f"ALTER KEYSPACE {name}", lambda: self.ring.replication.update({name: replication}))
        return []

    def as_superuser(self, what: str, do: Callable[[], Any]) -> None:
        if not self.ring.roles[self.username].superuser:
            raise cql.NotAllowed(f"{self.pod}: {self.username} may not: {what}")
        self.ring.change(what, do)
