# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CQL with one node, through the API server: it needs no open port and no route to the pod.

cassandra-driver encodes and decodes; the connection is our own: one stream, one request at a time, no thread, no
event loop. A worker is a fork that lives for one task, and a Cluster object would start threads, look for other
nodes, and read all schema and tokens before the first answer.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import logging
import struct
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import CassopsError
from .kube import Kube
from .kubeapi import ApiError
from .kubestream import PodSocket

if TYPE_CHECKING:
    from .kubetls import TlsSocket

try:
    from cassandra import ConsistencyLevel
    from cassandra import protocol as native

    try:
        from cassandra.cmurmur3 import murmur3
    except ImportError:
        from cassandra.murmur3 import murmur3

    class _Undecoded(native.ResultMessage):  # type: ignore[misc]
        """Rows whose values are left as the bytes that came."""

        def recv_results_rows(self, body: Any, _version: int, user_types: Any, *_rest: Any) -> None:
            self.recv_results_metadata(body, user_types)
            (count,) = struct.unpack("!i", body.read(4))
            self.column_names = [column[2] for column in self.column_metadata]
            self.column_types = [column[3] for column in self.column_metadata]
            self.parsed_rows = [tuple(self.recv_row(body, len(self.column_names))) for _number in range(count)]

    class _LeavesValues(native.ProtocolHandler):  # type: ignore[misc]
        message_types_by_opcode: Mapping[int, Any] = {
            **native.ProtocolHandler.message_types_by_opcode,
            native.ResultMessage.opcode: _Undecoded,
        }

    DRIVER_IMPORT_ERROR: str | None = None
    # It warns through logging of what we report ourselves; without a handler that would go to the terminal.
    logging.getLogger("cassandra").addHandler(logging.NullHandler())
except ImportError:
    DRIVER_IMPORT_ERROR = traceback.format_exc()

VERSION = 4
"""Of the native protocol. All supported versions speak it, so nothing is negotiated; 5 adds framing of no use here."""

PAGE = 1000
"""Rows a page."""

AGREEMENT = 10.0
"""Seconds to wait for all nodes to have one schema after a change to it."""

_HEADER = struct.Struct("!BBhBI")

Row = dict[str, Any]
Known = MutableMapping[tuple[Any, ...], Row]
"""Rows of one statement, by their values as they came."""


class CqlError(CassopsError):
    """Cassandra refused or failed."""


class NodeUnreachable(CqlError):
    """The node does not answer on its CQL port."""


class HungUp(NodeUnreachable):
    """The node ended the connection without a word, as one does that takes TLS only and is spoken to without."""


# C(PasswordAuthenticator) and C(ClientState), 4.0 to 5.0: the row was read, and the login is wrong.
WRONG = ("and/or password are incorrect", "is not permitted to log in")


class LoginRefused(CqlError):
    """User or password are wrong, or the role may not log in."""


class NotAllowed(CqlError):
    """The role lacks a permission."""


class InvalidStatement(CqlError):
    """Syntax, names, types or values are wrong."""


class AlreadyExists(InvalidStatement):
    """A keyspace or table of that name exists."""


class NotEnoughReplicas(CqlError):
    """Too few replicas are up, or answered in time, for the consistency level."""


class Unavailable(NotEnoughReplicas):
    """The coordinator takes too many replicas for down; it sent nothing to any of them."""


class TimedOut(CqlError):
    """No answer in the time given. Whether a write happened is not known."""


_ERRORS: Mapping[int, type[CqlError]] = {
    0x0100: LoginRefused,
    0x1000: Unavailable,
    0x1002: NodeUnreachable,
    0x1100: NotEnoughReplicas,
    0x1200: NotEnoughReplicas,
    0x1300: NotEnoughReplicas,
    0x1500: NotEnoughReplicas,
    0x2000: InvalidStatement,
    0x2100: NotAllowed,
    0x2200: InvalidStatement,
    0x2300: InvalidStatement,
    0x2400: AlreadyExists,
}


@contextlib.contextmanager
def connect(
    kube: Kube,
    pod: str,
    username: str | None,
    password: str | None,
    port: int = 9042,
    timeout: float = 10.0,
) -> Iterator[Session]:
    """A session with the node in that pod, and no other.

    Connecting, logging in and one query through the sandbox's API server, median of 8 (driver 3.30.1, Python 3.13,
    2026-11): so 0.147 s; ``cassandra.connection.LibevConnection`` over a forwarded port 0.151 s, with a thread that
    stays; ``Cluster`` and ``Session``, all metadata switched off, 0.354 s. Imports: the codec 0.10 s,
    ``cassandra.cluster`` 0.13 to 0.22 s. Most of what remains is Cassandra's bcrypt.

    :param username: None where the node asks for no login.
    :param timeout: seconds for connecting and for each statement that names none.
    :raises NodeUnreachable: nobody listens there, or the pod cannot be reached.
    :raises LoginRefused: the login is refused.
    """
    if DRIVER_IMPORT_ERROR is not None:
        raise CqlError(
            "The Python library cassandra-driver is missing where this task runs: pip install cassandra-driver"
        )
    with contextlib.ExitStack() as connections:

        def dial() -> PodSocket:
            try:
                return connections.enter_context(kube.dial(pod, port))
            except ApiError as error:
                raise NodeUnreachable(f"CQL of {pod} cannot be reached: {error}") from None

        session = Session(dial(), timeout)
        try:
            session.log_in(username, password)
        except HungUp:
            # Nothing of the login was told yet: a node asks for it first.
            session = Session(_with_tls(dial(), timeout), timeout)
            session.log_in(username, password)
        yield session


def _with_tls(connection: PodSocket, timeout: float) -> TlsSocket:
    from .kubetls import TlsSocket

    try:
        return TlsSocket(connection, timeout)
    except TimeoutError:
        raise TimedOut(f"{connection.pod} did not answer by TLS within {timeout:g} s.") from None
    except ConnectionError as error:
        raise NodeUnreachable(f"CQL of {connection.pod} cannot be reached: {_said(error)}") from None


class Session:
    """A connection that is logged in. For one thread."""

    def __init__(self, connection: PodSocket | TlsSocket, timeout: float) -> None:
        self.pod = connection.pod
        self.warnings: list[str] = []
        self._connection = connection
        self._heard = False
        self._timeout = timeout
        self._received = bytearray()
        self._prepared: dict[str, Any] = {}

    def execute(
        self,
        statement: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        consistency: str = "ONE",
        timeout: float | None = None,
        *,
        serial_consistency: str | None = None,
        agree: bool = True,
    ) -> list[Row]:
        """Runs one statement and gives all its rows, page by page.

        :param parameters: values for ``?`` (or ``%s``) in their order, or for ``:name`` by name. They are bound by
            the server, with the types that it tells: text such as a UUID or a timestamp becomes what the column wants.
        :param consistency: for example ``LOCAL_QUORUM``.
        :param timeout: seconds for each page.
        :param agree: wait for :meth:`agree` after a change of the schema; no need to between several changes through
            one node, which applies them in their order.
        :raises CqlError: one of its kinds.
        """
        asked = self.pages(
            statement, parameters, consistency, timeout, serial_consistency=serial_consistency, agree=agree
        )
        return [row for page in asked for row in page]

    def shared(self, statement: str, known: Known) -> list[Row]:
        """All rows of a statement that many nodes answer nearly alike: what came before as the same bytes is the same
        object and is not decoded again. Nobody may change such a row.

        :param known: of the same statement to other nodes; what is new is put in.
        """
        found = []
        for answer in self._answers(statement, None, "ONE", None, None, True, _LeavesValues):
            names, types = answer.column_names, answer.column_types
            for raw in answer.parsed_rows:
                row = known.get(raw)
                if row is None:
                    values = (kind.from_binary(value, VERSION) for kind, value in zip(types, raw, strict=True))
                    row = known.setdefault(raw, dict(zip(names, values, strict=True)))
                found.append(row)
        return found

    def pages(
        self,
        statement: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        consistency: str = "ONE",
        timeout: float | None = None,
        *,
        serial_consistency: str | None = None,
        agree: bool = True,
    ) -> Iterator[list[Row]]:
        """The same, a page at a time: of a table of any size no more than one is in memory. See L(execute)."""
        for answer in self._answers(statement, parameters, consistency, timeout, serial_consistency, agree):
            yield [dict(zip(answer.column_names, row, strict=True)) for row in answer.parsed_rows]

    def _answers(
        self,
        statement: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None,
        consistency: str,
        timeout: float | None,
        serial_consistency: str | None,
        agree: bool,
        handler: Any = None,
    ) -> Iterator[Any]:
        """The answers that have rows. :param handler: see L(_ask)."""
        level = consistency_level(consistency)
        serial = consistency_level(serial_consistency) if serial_consistency else None
        limit = self._timeout if timeout is None else timeout
        page: bytes | None = None
        while True:
            if parameters is None:
                message = native.QueryMessage(statement, level, serial, fetch_size=PAGE, paging_state=page)
            else:
                query_id, values = self._bind(statement.replace("%s", "?"), parameters, limit)
                message = native.ExecuteMessage(query_id, values, level, serial, fetch_size=PAGE, paging_state=page)
            answer = self._ask(message, limit, handler)
            if answer.kind == native.RESULT_KIND_SCHEMA_CHANGE and agree:
                self.agree(AGREEMENT)
            if answer.kind != native.RESULT_KIND_ROWS:
                return
            page = answer.paging_state
            yield answer
            if not page:
                return

    def agree(self, timeout: float) -> bool:
        """Waits until this node and all that it knows have one schema.

        Nodes that are down keep the version that they had in ``system.peers``; that is why the wait has an end.

        :return: whether they agree.
        """
        deadline = time.monotonic() + timeout
        while True:
            here = self.execute("SELECT schema_version FROM system.local WHERE key = 'local'")
            there = self.execute("SELECT schema_version FROM system.peers")
            versions = {row["schema_version"] for row in here + there if row["schema_version"]}
            if len(versions) <= 1:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.2)

    def log_in(self, username: str | None, password: str | None) -> None:
        """Begins the conversation; asked by the node, proves who we are.

        :raises LoginRefused: it does not believe it, or asks and there is nothing to tell.
        """
        # 3.0.0 stands for any CQL 3; asking which one first would be another round trip.
        answer = self._ask(native.StartupMessage("3.0.0", {"DRIVER_NAME": "cassops"}), self._timeout)
        if isinstance(answer, native.ReadyMessage):
            return
        if not isinstance(answer, native.AuthenticateMessage):
            raise CqlError(f"{self.pod} answered to a login with {answer!r}.")
        if username is None:
            raise LoginRefused(f"{self.pod} asks for a login, and none is given.")
        token = b"\0" + username.encode() + b"\0" + (password or "").encode()
        answer = self._ask(native.AuthResponseMessage(token), self._timeout)
        if not isinstance(answer, native.AuthSuccessMessage):
            raise LoginRefused(f"{self.pod} wants more than a password: {answer!r}.")

    def _bind(
        self, statement: str, parameters: Sequence[Any] | Mapping[str, Any], timeout: float
    ) -> tuple[bytes, list[bytes | None]]:
        """The prepared statement's id, and the values as its columns store them."""
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = self._ask(native.PrepareMessage(statement), timeout)
        columns = prepared.bind_metadata
        names = [column.name for column in columns]
        if isinstance(parameters, Mapping):
            missing, unknown = sorted(set(names) - set(parameters)), sorted(set(parameters) - set(names))
            if missing or unknown:
                raise InvalidStatement(
                    f"The parameters do not fit the statement: missing {', '.join(missing) or 'none'}, "
                    f"unknown {', '.join(unknown) or 'none'}."
                )
            values = [parameters[name] for name in names]
        else:
            values = list(parameters)
            if len(values) != len(names):
                raise InvalidStatement(
                    f"The statement has {len(names)} parameters ({', '.join(names) or 'none'}); "
                    f"{len(values)} are given."
                )
        return prepared.query_id, [_stored(column, value) for column, value in zip(columns, values, strict=True)]

    def _ask(self, message: Any, timeout: float, handler: Any = None) -> Any:
        """Sends a message and waits for its answer.

        :param handler: decodes it; None is the driver's own.
        :raises CqlError: the answer is an error, or there is none.
        """
        deadline = time.monotonic() + timeout
        data = native.ProtocolHandler.encode_message(message, 0, VERSION, None, False)
        try:
            self._connection.send(data, timeout)
            answer = self._answer(deadline, handler or native.ProtocolHandler)
        except TimeoutError:
            # The answer may still come and would be taken for the next one's.
            self._connection.close()
            raise TimedOut(f"{self.pod} did not answer by CQL within {timeout:g} s.") from None
        except ConnectionError as error:
            kind = NodeUnreachable if self._heard or _is_closed(error) else HungUp
            raise kind(f"CQL of {self.pod} cannot be reached: {_said(error)}") from None
        self._heard = True
        if isinstance(answer, native.ErrorMessage):
            raise self._error(answer)
        self.warnings += answer.warnings or ()
        return answer

    def _answer(self, deadline: float, handler: Any) -> Any:
        while len(self._received) < _HEADER.size:
            self._received += self._connection.receive(deadline - time.monotonic())
        version, flags, stream, opcode, length = _HEADER.unpack_from(self._received)
        while len(self._received) < _HEADER.size + length:
            self._received += self._connection.receive(deadline - time.monotonic())
        body = bytes(self._received[_HEADER.size : _HEADER.size + length])
        del self._received[: _HEADER.size + length]
        return handler.decode_message(version & 0x7F, {}, stream, flags, opcode, body, None, [])

    def _error(self, answer: Any) -> CqlError:
        kind = _ERRORS.get(answer.code, CqlError)
        details = answer.info if isinstance(answer.info, dict) else {}
        alive, needed = details.get("alive_replicas"), details.get("required_replicas")
        counted = f" ({alive} of {needed} replicas needed are up)" if needed is not None else ""
        return kind(f"{self.pod}: {answer.message}{counted}")


def consistency_level(name: str) -> int:
    """The number of a consistency level.

    :raises InvalidStatement: there is none of that name.
    """
    levels: Mapping[str, int] = ConsistencyLevel.name_to_value
    try:
        return levels[name.upper()]
    except KeyError:
        raise InvalidStatement(
            f"There is no consistency level {name!r}; there are {', '.join(sorted(levels))}."
        ) from None


def is_wrong(refusal: str) -> bool:
    """Whether a node says that a login is wrong. One that cannot read the row refuses every login."""
    return any(words in refusal for words in WRONG)


def text_literal(text: str) -> str:
    """Text as a literal, for statements that cannot bind, such as ``CREATE ROLE ... WITH PASSWORD = ...``."""
    return "'" + text.replace("'", "''") + "'"


def identifier(text: str) -> str:
    """A name (of a keyspace, a table, a role) as CQL takes it, whatever it holds."""
    return '"' + text.replace('"', '""') + '"'


def token(key: str) -> int:
    """The token of a partition key of one text column, as Murmur3Partitioner makes it."""
    hashed = int(murmur3(key.encode()))
    # The smallest number means "no token" to Cassandra.
    return hashed if hashed != -(2**63) else 2**63 - 1


def plain(value: Any) -> Any:
    """A value of a row as JSON can tell it: UUIDs, times and numbers of any length as text, bytes as ``0x...``."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="milliseconds") + ("Z" if value.tzinfo is None else "")
    if hasattr(value, "_asdict"):
        return {key: plain(each) for key, each in value._asdict().items()}
    if isinstance(value, Mapping) or hasattr(value, "items"):
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ == "SortedSet":
        return [plain(each) for each in value]
    return str(value)


# -- values -------------------------------------------------------------------------------------------------------


def _stored(column: Any, value: Any) -> bytes | None:
    try:
        fitted = _fit(column.type, value)
        stored: bytes | None = None if fitted is None else column.type.serialize(fitted, VERSION)
    except (TypeError, ValueError, AttributeError, ArithmeticError, struct.error) as error:
        raise InvalidStatement(
            f"The parameter {column.name} is of type {column.type.cql_parameterized_type()}; "
            f"a value of type {type(value).__name__} does not fit: {error}"
        ) from None
    return stored


def _fit(kind: Any, value: Any) -> Any:
    """What YAML can say, made what the driver expects for a type."""
    if value is None:
        return None
    typename = kind.typename
    if typename in ("list", "set"):
        return [_fit(kind.subtypes[0], each) for each in value]
    if typename == "map":
        return {_fit(kind.subtypes[0], key): _fit(kind.subtypes[1], each) for key, each in value.items()}
    if typename == "tuple":
        return tuple(_fit(each, part) for each, part in zip(kind.subtypes, value, strict=True))
    if hasattr(kind, "fieldnames"):
        fields = [value.get(field) for field in kind.fieldnames] if isinstance(value, Mapping) else value
        return tuple(_fit(each, field) for each, field in zip(kind.subtypes, fields, strict=True))
    convert = _FITTING.get(typename)
    return value if convert is None else convert(value)


def _uuid(value: Any) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))


def _timestamp(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # Python 3.10 does not know the Z.
    moment = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(datetime.timezone.utc).replace(tzinfo=None)


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise ValueError("neither true nor false")
        return value.lower() == "true"
    return bool(value)


def _blob(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if not str(value).startswith("0x"):
        raise ValueError("bytes are written as 0x and hexadecimal digits")
    return bytes.fromhex(str(value)[2:])


def _text(value: Any) -> str:
    if isinstance(value, (str, int, float)):
        return str(value)
    raise TypeError("neither text nor a number")


_FITTING: Mapping[str, Any] = {
    **dict.fromkeys(("uuid", "timeuuid"), _uuid),
    **dict.fromkeys(("int", "bigint", "smallint", "tinyint", "varint", "counter"), int),
    **dict.fromkeys(("float", "double"), float),
    **dict.fromkeys(("text", "varchar", "ascii"), _text),
    "timestamp": _timestamp,
    "boolean": _boolean,
    "blob": _blob,
    "decimal": lambda value: decimal.Decimal(str(value)),
}


def _is_closed(error: ConnectionError) -> bool:
    """Whether nobody listens on the forwarded port."""
    return "refused" in str(error)


def _said(error: ConnectionError) -> str:
    """Why a forwarded connection ended; a closed port is by far the most frequent."""
    if _is_closed(error):
        return "nothing listens on the port: Cassandra is starting, held, or has its native transport switched off"
    return str(error) or "the connection was closed"
