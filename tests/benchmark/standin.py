# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the CQL answers of nodes that do not run: a healthy ring of any size, by the native protocol (v4).

It answers what the status asks for and nothing else: the members as tables have them, the keyspaces, and no row to
reads of absent rows (which is what a node answers that takes every replica for alive). Each observer has a port.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socketserver
import struct
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HEADER = struct.Struct("!BBhBI")
RESPONSE = 0x84
STARTUP, QUERY, AUTH_RESPONSE = 0x01, 0x07, 0x0F
AUTHENTICATE, RESULT, AUTH_SUCCESS = 0x03, 0x08, 0x10
ROWS = 2
TEXT, INT, BIGINT, UUID, INET, SET_OF_TEXT, MAP_OF_TEXT = 0x0D, 0x09, 0x02, 0x0C, 0x10, 0x22, 0x21
TYPES: Mapping[int, tuple[int, ...]] = {
    TEXT: (TEXT,),
    INT: (INT,),
    BIGINT: (BIGINT,),
    UUID: (UUID,),
    INET: (INET,),
    SET_OF_TEXT: (SET_OF_TEXT, TEXT),
    MAP_OF_TEXT: (MAP_OF_TEXT, TEXT, TEXT),
}
STRATEGIES = "org.apache.cassandra.locator"
SCHEMA = uuid.UUID("2207c2a9-f598-3971-986b-2926e09e239d")

Row = dict[str, tuple[int, Any]]
"""Column -> its type and value."""


@dataclass(frozen=True)
class Member:
    """A node of the ring."""

    pod: str
    address: str
    host_id: uuid.UUID
    rack: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Ring:
    """What all nodes agree on."""

    members: Sequence[Member]
    cluster: str
    datacenter: str
    version: str
    replicas: int = 3

    def answer(self, observer: Member, statement: str) -> bytes:
        """The rows of a statement, as the body of a RESULT.

        :raises LookupError: nobody here knows that table.
        """
        found = re.search(r"FROM\s+([a-z_0-9.]+)", statement)
        table = found.group(1) if found else statement
        tables: Mapping[str, Callable[[], list[Row]]] = {
            "system.local": lambda: [self.local(observer)],
            "system.peers_v2": lambda: [self.peer(each) for each in self.members if each is not observer],
            "system_views.gossip_info": lambda: [self.gossip(each) for each in self.members],
            "system_virtual_schema.tables": lambda: [{"table_name": (TEXT, "gossip_info")}],
            "system_schema.tables": lambda: [self.table(name) for name, _options in self.keyspaces()],
            "system_schema.keyspaces": lambda: [self.keyspace(*each) for each in self.keyspaces()],
            "system_schema.views": list,
            "system_auth.roles": list,
            "system_distributed.parent_repair_history": list,
        }
        return rows(tables[table]())

    def member(self, pod: str) -> Member:
        return next(member for member in self.members if member.pod == pod)

    def keyspaces(self) -> list[tuple[str, dict[str, str]]]:
        replicated = {"class": f"{STRATEGIES}.NetworkTopologyStrategy", self.datacenter: str(self.replicas)}
        local = {"class": f"{STRATEGIES}.LocalStrategy"}
        names = ("system_auth", "system_distributed", "system_traces", "shop")
        return [(name, replicated) for name in names] + [(name, local) for name in ("system", "system_schema")]

    def keyspace(self, name: str, options: Mapping[str, str]) -> Row:
        return {"keyspace_name": (TEXT, name), "replication": (MAP_OF_TEXT, options), "since": (BIGINT, 0)}

    def table(self, keyspace: str) -> Row:
        return {
            "keyspace_name": (TEXT, keyspace),
            "table_name": (TEXT, "rows"),
            "gc_grace_seconds": (INT, 864000),
            "since": (BIGINT, 0),
        }

    def local(self, member: Member) -> Row:
        return {
            "key": (TEXT, "local"),
            "bootstrapped": (TEXT, "COMPLETED"),
            "broadcast_address": (INET, member.address),
            "cluster_name": (TEXT, self.cluster),
            **self.common(member),
        }

    def peer(self, member: Member) -> Row:
        return {"peer": (INET, member.address), "peer_port": (INT, 7000), **self.common(member)}

    def common(self, member: Member) -> Row:
        """The columns of system.local and system.peers_v2."""
        return {
            "data_center": (TEXT, self.datacenter),
            "host_id": (UUID, member.host_id),
            "rack": (TEXT, member.rack),
            "release_version": (TEXT, self.version),
            "schema_version": (UUID, SCHEMA),
            "tokens": (SET_OF_TEXT, [str(token) for token in member.tokens]),
        }

    def gossip(self, member: Member) -> Row:
        """As wide as the real table: each of these states has its version beside it."""
        states = {
            "dc": self.datacenter,
            "host_id": str(member.host_id),
            "internal_address_and_port": f"{member.address}:7000",
            "load": "104857.0",
            "native_address_and_port": f"{member.address}:9042",
            "net_version": "13",
            "rack": member.rack,
            "release_version": self.version,
            "rpc_ready": "true",
            "schema": str(SCHEMA),
            "sstable_versions": "big-nb",
            "status_with_port": f"NORMAL,{member.tokens[0]}",
        }
        versions: Row = {f"{name}_version": (INT, 1) for name in states}
        return {"address": (INET, member.address), **{key: (TEXT, text) for key, text in states.items()}, **versions}


# -- the protocol ---------------------------------------------------------------------------------------------------


def rows(content: Sequence[Row]) -> bytes:
    """Rows, whose columns are those of the first, as the body of a RESULT; no row has the column ``role``."""
    columns = content[0] if content else {"role": (TEXT, "")}
    head = [struct.pack("!iii", ROWS, 1, len(columns)), string("ks"), string("t")]
    head += [
        string(name) + b"".join(struct.pack("!H", part) for part in TYPES[kind])
        for name, (kind, dummy) in columns.items()
    ]
    head.append(struct.pack("!i", len(content)))
    return b"".join(head + [sized(value(kind, each)) for row in content for kind, each in row.values()])


def value(kind: int, given: Any) -> bytes:
    """A value as its type is stored."""
    if kind == INT:
        return struct.pack("!i", given)
    if kind == BIGINT:
        return struct.pack("!q", given)
    if kind == UUID:
        return bytes(given.bytes)
    if kind == INET:
        return ipaddress.ip_address(given).packed
    if kind == SET_OF_TEXT:
        return struct.pack("!i", len(given)) + b"".join(sized(each.encode()) for each in given)
    if kind == MAP_OF_TEXT:
        pairs = [sized(each.encode()) for pair in given.items() for each in pair]
        return struct.pack("!i", len(given)) + b"".join(pairs)
    return bytes(given.encode())


def sized(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


def string(text: str) -> bytes:
    return struct.pack("!H", len(text)) + text.encode()


class Observer(socketserver.ThreadingTCPServer):
    """One node's CQL port, on a port of this machine's loopback. It answers once it was told of a ring."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, pod: str) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.pod = pod
        self.ring: Ring | None = None
        self.asked = 0
        self._known: dict[str, bytes] = {}

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def answer(self, statement: str) -> bytes:
        """What was answered once is kept: the stand-in shall not be what is measured."""
        self.asked += 1
        key = "roles" if "system_auth.roles" in statement else statement
        if key not in self._known:
            if self.ring is None:
                raise LookupError(f"{self.pod} knows no ring yet")
            self._known[key] = self.ring.answer(self.ring.member(self.pod), statement)
        return self._known[key]


class Conversation(socketserver.StreamRequestHandler):
    """One client."""

    server: Observer
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while len(head := self.rfile.read(HEADER.size)) == HEADER.size:
            _version, _flags, stream, opcode, length = HEADER.unpack(head)
            code, body = self.reply(opcode, self.rfile.read(length))
            self.wfile.write(HEADER.pack(RESPONSE, 0, stream, code, len(body)) + body)

    def reply(self, opcode: int, body: bytes) -> tuple[int, bytes]:
        if opcode == STARTUP:
            return AUTHENTICATE, string("org.apache.cassandra.auth.PasswordAuthenticator")
        if opcode == AUTH_RESPONSE:
            return AUTH_SUCCESS, sized(b"")
        if opcode == QUERY:
            (length,) = struct.unpack_from("!i", body)
            return RESULT, self.server.answer(body[4 : 4 + length].decode())
        raise LookupError(f"opcode {opcode}")


@contextlib.contextmanager
def serve(pods: Sequence[str]) -> Iterator[dict[str, Observer]]:
    """The observers' ports, by pod, as long as the context lasts."""
    servers = {pod: Observer(pod) for pod in pods}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield servers
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()
