# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversation with a node, and values on their way in and out.

The node is a script of answers in the native protocol; a real one is met in the integration tests.
"""

from __future__ import annotations

import datetime
import decimal
import struct
import uuid

import pytest
from cassandra import cqltypes

from ansible_collections.cassops.kubernetes.plugins.module_utils import cql
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.cql import advice, is_read_only

READY, ERROR, AUTHENTICATE, SUCCESS, RESULT = 0x02, 0x00, 0x03, 0x10, 0x08


def frame(opcode, body=b""):
    return struct.pack("!BBhBI", 0x84, 0, 0, opcode, len(body)) + body


def string(text):
    return struct.pack("!H", len(text)) + text.encode()


def error(code, message):
    return frame(ERROR, struct.pack("!i", code) + string(message))


def rows(*values, more=b""):
    flags = 0x0001 | (0x0002 if more else 0)
    metadata = struct.pack("!ii", flags, 1)
    if more:
        metadata += struct.pack("!i", len(more)) + more
    metadata += string("ks") + string("t") + string("c") + struct.pack("!H", 0x000D)
    cells = b"".join(struct.pack("!i", len(value)) + value.encode() for value in values)
    return frame(RESULT, struct.pack("!i", 2) + metadata + struct.pack("!i", len(values)) + cells)


class Node:
    """A connection whose other end answers in turn, a few bytes at a time."""

    def __init__(self, *answers):
        self.pod = "p"
        self.answers = list(answers)
        self.sent = []
        self.closed = False
        self.coming = b""

    def send(self, data, timeout):
        self.sent.append(data)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.coming = answer

    def receive(self, timeout):
        if not self.coming:
            raise TimeoutError
        piece, self.coming = self.coming[:7], self.coming[7:]
        return piece

    def close(self):
        self.closed = True


def session(*answers):
    return cql.Session(Node(*answers), 1.0)


def test_log_in():
    node = Node(frame(AUTHENTICATE, string("PasswordAuthenticator")), frame(SUCCESS, struct.pack("!i", -1)))
    cql.Session(node, 1.0).log_in("me", "secret")
    assert node.sent[1].endswith(b"\0me\0secret")


def test_no_login_asked():
    session(frame(READY)).log_in(None, None)


class Dialled(Node):
    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class Kube:
    """Gives the connections that it was made with, in their order."""

    def __init__(self, *connections):
        self.left = list(connections)

    def dial(self, pod, port):
        return self.left.pop(0)


def test_a_node_that_hangs_up_at_the_first_word_is_spoken_to_by_tls(monkeypatch):
    wrapped = []
    monkeypatch.setattr(cql, "_with_tls", lambda connection, timeout: wrapped.append(connection) or connection)
    first = Dialled(ConnectionError("the connection was closed"))
    second = Dialled(frame(AUTHENTICATE, string("x")), frame(SUCCESS, struct.pack("!i", -1)))
    with cql.connect(Kube(first, second), "p", "me", "secret"):
        assert wrapped == [second]
    assert first.closed
    assert second.closed
    assert b"secret" not in b"".join(first.sent)
    assert b"secret" in b"".join(second.sent)


@pytest.mark.parametrize(
    "answers",
    [
        [ConnectionError("connection refused")],
        [frame(AUTHENTICATE, string("x")), ConnectionError("the connection was closed")],
        [frame(AUTHENTICATE, string("x")), error(0x0100, "incorrect")],
        [error(0x000A, "what?")],
    ],
)
def test_whoever_has_answered_or_does_not_listen_is_not_asked_twice(answers):
    with pytest.raises(cql.CqlError), cql.connect(Kube(Dialled(*answers)), "p", "me", "secret"):
        pass


def test_login_refused():
    with pytest.raises(cql.LoginRefused, match="incorrect"):
        session(frame(AUTHENTICATE, string("x")), error(0x0100, "incorrect")).log_in("me", "secret")
    with pytest.raises(cql.LoginRefused, match="none is given"):
        session(frame(AUTHENTICATE, string("x"))).log_in(None, None)


def test_all_pages():
    found = session(rows("a", "b", more=b"state"), rows("c")).execute("SELECT c FROM ks.t")
    assert found == [{"c": "a"}, {"c": "b"}, {"c": "c"}]


def test_rows_of_the_same_bytes_are_one_and_the_same():
    """Also over pages, and from node to node; and they are as they would be by themselves."""
    known = {}
    told = session(rows("a", "b", more=b"x"), rows("c")).shared("SELECT c FROM t", known)
    again = session(rows("c", "d", "a")).shared("SELECT c FROM t", known)
    assert told == [{"c": "a"}, {"c": "b"}, {"c": "c"}]
    assert again == [{"c": "c"}, {"c": "d"}, {"c": "a"}] == session(rows("c", "d", "a")).execute("SELECT c FROM t")
    assert again[0] is told[2]
    assert again[2] is told[0]
    assert len(known) == 4


def test_null_is_none_also_in_shared_rows():
    null = rows("a")[:-5] + struct.pack("!i", -1)
    size = struct.pack("!i", len(null) - 9)
    assert session(null[:5] + size + null[9:]).shared("SELECT c FROM t", {}) == [{"c": None}]


def test_errors_are_the_same_for_shared_rows():
    with pytest.raises(cql.NotAllowed, match="no permission"):
        session(error(0x2100, "no permission")).shared("SELECT c FROM t", {})


def test_a_page_is_asked_for_when_the_one_before_is_done_with():
    talk = session(rows("a", "b", more=b"state"), rows("c"))
    pages = talk.pages("SELECT c FROM ks.t")
    assert next(pages) == [{"c": "a"}, {"c": "b"}]
    assert len(talk._connection.sent) == 1
    assert list(pages) == [[{"c": "c"}]]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x2000, cql.InvalidStatement),
        (0x2200, cql.InvalidStatement),
        (0x2100, cql.NotAllowed),
        (0x1002, cql.NodeUnreachable),
        (0x0000, cql.CqlError),
    ],
)
def test_typed_errors(code, kind):
    with pytest.raises(kind, match="p: because") as caught:
        session(error(code, "because")).execute("x")
    assert caught.type is kind


def test_too_few_replicas_are_counted():
    body = struct.pack("!i", 0x1000) + string("Cannot achieve") + struct.pack("!Hii", 4, 2, 1)
    with pytest.raises(cql.Unavailable, match="1 of 2 replicas needed are up"):
        session(frame(ERROR, body)).execute("x")


def test_no_answer_in_time_ends_the_connection():
    talk = session(b"")
    with pytest.raises(cql.TimedOut):
        talk.execute("x", timeout=0.01)
    assert talk._connection.closed, "or the late answer would be taken for the next one's"


def test_a_closed_port_in_words():
    refused = ConnectionError("error forwarding port: dial tcp4 127.0.0.1:9042: connect: connection refused")
    with pytest.raises(cql.NodeUnreachable, match="nothing listens on the port"):
        session(refused).execute("x")


def test_consistency():
    assert cql.consistency_level("local_quorum") == 6
    with pytest.raises(cql.InvalidStatement, match="no consistency level 'MANY'; there are ALL,"):
        cql.consistency_level("MANY")


# The driver's times have no zone; they are UTC.
NOON = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.timezone.utc).replace(tzinfo=None)
UUID = uuid.UUID("d1c0e9a4-3f65-4b0a-9a0f-5c7b9f1d2e3c")


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        (cqltypes.UUIDType, str(UUID), UUID),
        (cqltypes.Int32Type, "5", 5),
        (cqltypes.LongType, 2**40, 2**40),
        (cqltypes.UTF8Type, 7, "7"),
        (cqltypes.DecimalType, "19.90", decimal.Decimal("19.90")),
        (cqltypes.BytesType, "0xcafe", b"\xca\xfe"),
        (cqltypes.BooleanType, "true", True),
        (cqltypes.DateType, "2026-11-22T12:00:00Z", NOON),
        (cqltypes.DateType, "2026-11-22T14:00:00+02:00", NOON),
        (cqltypes.ListType.apply_parameters([cqltypes.UUIDType]), [str(UUID)], [UUID]),
        (cqltypes.SetType.apply_parameters([cqltypes.Int32Type]), ["2", 1], {1, 2}),
        (cqltypes.MapType.apply_parameters([cqltypes.UTF8Type, cqltypes.Int32Type]), {"a": "1"}, {"a": 1}),
        (cqltypes.InetAddressType, "::1", "::1"),
        (cqltypes.UTF8Type, None, None),
    ],
)
def test_values_fit_their_columns(kind, value, stored):
    column = type("Column", (), {"type": kind, "name": "c"})
    data = cql._stored(column, value)
    back = None if data is None else kind.deserialize(data, cql.VERSION)
    assert (set(back) if isinstance(stored, set) else dict(back) if isinstance(stored, dict) else back) == stored


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (cqltypes.UUIDType, "zz"),
        (cqltypes.Int32Type, "many"),
        (cqltypes.Int32Type, 2**40),
        (cqltypes.BytesType, "text"),
        (cqltypes.BooleanType, "perhaps"),
        (cqltypes.UTF8Type, ["a"]),
    ],
)
def test_values_that_do_not_fit_are_named_without_being_shown(kind, value):
    column = type("Column", (), {"type": kind, "name": "c"})
    with pytest.raises(cql.InvalidStatement, match=f"The parameter c is of type {kind.typename}"):
        cql._stored(column, value)


def test_rows_as_json():
    row = {
        "u": UUID,
        "b": b"\xca",
        "t": NOON,
        "d": decimal.Decimal("1.10"),
        "s": {3},
        "m": {UUID: 1},
        "n": None,
    }
    assert cql.plain(row) == {
        "u": str(UUID),
        "b": "0xca",
        "t": "2026-11-22T12:00:00.000Z",
        "d": "1.10",
        "s": [3],
        "m": {str(UUID): 1},
        "n": None,
    }


def test_quoting():
    assert cql.text_literal("it's") == "'it''s'"
    assert cql.identifier('a"b') == '"a""b"'


def test_token_as_cassandra_makes_it():
    # SELECT token('a'), token('') on a real 5.0.9; Murmur3Partitioner does not change between versions.
    assert cql.token("a") == -8839064797231613815


@pytest.mark.parametrize(
    ("statement", "read_only"),
    [
        ("SELECT * FROM t", True),
        ("  -- a comment\n/* another\n*/ select 1", True),
        ("LIST ROLES", True),
        ("DESCRIBE KEYSPACES", True),
        ("SELECTED", False),
        ("INSERT INTO t (a) VALUES (1)", False),
        ("-- SELECT\nTRUNCATE t", False),
        ("", False),
    ],
)
def test_statements_that_only_read(statement, read_only):
    assert is_read_only(statement) is read_only


def test_what_to_do_where_other_members_do_not_know_a_table():
    """As 5.0 says it when C(CREATE ROLE) asks for C(identity_to_role) among members of 4.1."""
    words = "Operation failed - received 0 responses and 2 failures: INCOMPATIBLE_SCHEMA from /198.19.0.4:7000"
    assert "name a node of that line (option node)" in advice(CassopsError(words))
    assert (
        advice(CassopsError("Operation failed - received 0 responses and 2 failures: UNKNOWN from /198.19.0.4")) == ""
    )
