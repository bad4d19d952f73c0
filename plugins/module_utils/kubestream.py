# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams to pods: commands in containers, and ports. Used through :class:`~.kube.Kube`.

``websocket-client`` makes the connection (TLS, proxies, handshake); frames are read and written here without
blocking, so that a stream can be full in one direction and still be read in the other, and so that every wait has
an end. ``kubernetes.stream`` does neither.
"""

from __future__ import annotations

import contextlib
import json
import math
import selectors
import socket
import ssl
import struct
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlencode, urlparse

from .errors import CassopsError
from .kubeapi import NO_ANSWER, ApiError, ExecResult, ExecTimeout, Unreachable, What, WorkerUnreachable, pause
from .kubeauth import Server

try:
    import websocket
    from websocket._http import ProxyError  # what a SOCKS proxy refuses; no WebSocketException

    WEBSOCKET_IMPORT_ERROR: str | None = None
except ImportError:
    WEBSOCKET_IMPORT_ERROR = traceback.format_exc()

PROTOCOL = "v4.channel.k8s.io"
"""Of all servers: v5 differs only in that a channel can be closed, and came with Kubernetes 1.30."""

STDIN, STDOUT, STDERR, STATUS = 0, 1, 2, 3

CHUNK = 65536
PING = 10.0
"""Seconds of silence on a connection until a sign of life is sent: some proxies hang up after twenty."""

# "timeout" is in coreutils and busybox. Without it an overdue command goes on in the container when we hang up.
_WITH_TIMEOUT = 'if command -v timeout >/dev/null 2>&1; then exec timeout -k 5 "$@"; fi; shift; exec "$@"'
# What `timeout` of coreutils, a kill, and `timeout` of busybox leave.
_ENDED = (124, 137, 143)
# A client cannot say that stdin has ended, so the container is told how much there is.
_WITH_STDIN_LENGTH = 'length=$1; shift; head -c "$length" | "$@"'


class Api(Protocol):
    """What a stream needs of :class:`~.kube.Kube`: where the API server is, and its errors in words."""

    server: Server

    def path(self, kind: str, namespace: str | None, name: str = ..., subresource: str = ...) -> str:
        """Of an object in the API."""

    def error(self, status: int, data: bytes, what: What) -> ApiError:
        """For an answer."""

    def unreachable(self, error: Exception) -> Unreachable:
        """Where there is none."""


class Stream:
    """A websocket with Kubernetes' channels: each binary frame is a channel's number and its bytes."""

    def __init__(self, connection: Any) -> None:
        """:param connection: a ``websocket.WebSocket`` whose handshake is done."""
        self.ended = False
        self._connection = connection
        self._socket = connection.sock
        self._socket.setblocking(False)
        self._received = bytearray()
        self._message = bytearray()
        self._unsent = bytearray()

    def fileno(self) -> int:
        """For selectors."""
        return int(self._socket.fileno())

    @property
    def waiting(self) -> int:
        """Bytes that are not sent yet."""
        return len(self._unsent)

    def read(self) -> list[tuple[int, bytes]]:
        """The pieces ``(channel, bytes)`` that have arrived; sets ``ended`` when there will be no more."""
        self._fill()
        pieces: list[tuple[int, bytes]] = []
        for opcode, payload in self._frames():
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                self.ended = True
            elif opcode == websocket.ABNF.OPCODE_PING:
                self._frame(payload, websocket.ABNF.OPCODE_PONG)
            elif opcode in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT) and payload:
                pieces.append((payload[0], payload[1:]))
        return pieces

    def write(self, channel: int, data: bytes) -> None:
        """Queues bytes for a channel and sends what the connection takes."""
        self._frame(bytes([channel]) + data, websocket.ABNF.OPCODE_BINARY)

    def flush(self) -> None:
        """Sends what the connection takes."""
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent[:CHUNK])
                del self._unsent[:sent]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError:
            self.ended = True

    def ping(self) -> None:
        """A sign of life: proxies hang up on connections that carry nothing for a while."""
        self._frame(b"", websocket.ABNF.OPCODE_PING)

    def close(self) -> None:
        """Hangs up without a farewell: the API server closes the pod's end too."""
        self.ended = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()

    def _frame(self, data: bytes, opcode: int) -> None:
        self._unsent += websocket.ABNF.create_frame(data, opcode).format()
        self.flush()

    def _fill(self) -> None:
        """Reads until the connection has no more: TLS keeps decrypted bytes where a selector cannot see them."""
        try:
            while data := self._socket.recv(CHUNK):
                self._received += data
            self.ended = True
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.ended = True

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """The whole messages among the bytes received (RFC 6455; a server never masks)."""
        while len(self._received) >= 2:
            final, opcode = self._received[0] & 0x80, self._received[0] & 0x0F
            length, start = self._received[1] & 0x7F, 2
            if length == 126:
                start = 4
            elif length == 127:
                start = 10
            if len(self._received) < start:
                return
            if start > 2:
                (length,) = struct.unpack("!H" if start == 4 else "!Q", self._received[2:start])
            if len(self._received) < start + length:
                return
            payload = bytes(self._received[start : start + length])
            del self._received[: start + length]
            if opcode >= 8:
                yield opcode, payload
                continue
            self._message += payload
            if final:
                whole, self._message = bytes(self._message), bytearray()
                yield opcode or websocket.ABNF.OPCODE_BINARY, whole


def connect(api: Api, pod: str, subresource: str, query: Sequence[tuple[str, str]], namespace: str) -> Stream:
    """Opens a stream to a pod.

    :raises ApiError: the API server or the kubelet refused. Nothing was started then, so it may be asked again.
    """
    if WEBSOCKET_IMPORT_ERROR is not None:
        raise CassopsError(
            "The Python library websocket-client is missing where this task runs. "
            "Install what the collection needs: pip install kubernetes"
        )
    what = What("create", "Pod", pod, namespace, subresource)
    url = api.server.host + api.path("Pod", namespace, pod, subresource) + "?" + urlencode(query)
    renewed = False
    for attempt in range(1, 4):
        renewals = api.server.renewals
        try:
            return Stream(_handshake(api, url))
        except websocket.WebSocketBadStatusException as error:
            status, body = error.status_code, error.resp_body or b""
            if status == 401 and not renewed and api.server.renew(renewals):
                renewed = True
                continue
            if attempt == 3 or status not in (429, 502, 503, 504):
                raise api.error(status, body, what) from None
        except (websocket.WebSocketException, ProxyError, OSError) as error:
            if attempt == 3:
                raise api.unreachable(error) from None
        pause(attempt)
    raise AssertionError("not reached")


def _handshake(api: Api, url: str) -> Any:
    server = api.server
    tls: dict[str, Any] = {}
    if server.ssl_context is not None:
        tls["context"] = server.ssl_context
        if server.tls_server_name:
            tls["server_hostname"] = server.tls_server_name
    options: dict[str, Any] = {"http_no_proxy": ["*"]}
    if server.proxy:
        proxy = urlparse(server.proxy)
        options = {
            "http_proxy_host": proxy.hostname,
            "http_proxy_port": proxy.port or (1080 if proxy.scheme.startswith("socks") else 80),
            "proxy_type": proxy.scheme or "http",
            "http_no_proxy": ["-"],
        }
        if server.proxy_login:
            options["http_proxy_auth"] = server.proxy_login
    connection: Any = websocket.WebSocket(sslopt=tls, skip_utf8_validation=True, enable_multithread=False)
    connection.settimeout(20)
    connection.connect(
        "ws" + url.removeprefix("http"),
        header=[f"{name}: {value}" for name, value in server.headers()],
        subprotocols=[PROTOCOL],
        suppress_origin=True,
        **options,
    )
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


# -- commands -------------------------------------------------------------------------------------------------------


def run(
    api: Api, pod: str, argv: list[str], container: str, stdin: str | bytes | None, timeout: float, namespace: str
) -> ExecResult:
    """See :meth:`Kube.exec`."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    started = time.monotonic()
    stream = _exec(api, pod, argv, container, data, timeout, namespace)
    try:
        # The command's own clock ends it; ours only ends a silence.
        out = _collect(stream, data, started + timeout + 10)
    finally:
        stream.close()
    overdue = time.monotonic() - started >= timeout
    if STATUS not in out and (overdue or not stream.ended):
        raise ExecTimeout(_overdue(pod, argv, timeout))
    rc = _exit_code(out.get(STATUS), pod, argv)
    if overdue and rc in _ENDED:
        raise ExecTimeout(_overdue(pod, argv, timeout))
    return ExecResult(rc, _text(out.get(STDOUT)), _text(out.get(STDERR)))


def _exec(
    api: Api, pod: str, argv: list[str], container: str, stdin: bytes | None, timeout: float, namespace: str
) -> Stream:
    words = ["sh", "-c", _WITH_TIMEOUT, "sh", str(max(1, math.ceil(timeout))), *argv]
    if stdin is not None:
        words = ["sh", "-c", _WITH_STDIN_LENGTH, "sh", str(len(stdin)), *words]
    return connect(api, pod, "exec", _exec_query(container, words, stdin is not None), namespace)


def _exec_query(container: str, argv: Sequence[str], stdin: bool) -> list[tuple[str, str]]:
    query = [("container", container), ("stdout", "true"), ("stderr", "true")]
    return query + ([("stdin", "true")] if stdin else []) + [("command", word) for word in argv]


def _collect(stream: Stream, stdin: bytes | None, deadline: float) -> dict[int, bytearray]:
    """What each channel carried until the command's status came or the time was over."""
    out: dict[int, bytearray] = {}
    unwritten = memoryview(stdin or b"")
    with _selector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            for channel, data in stream.read():
                out.setdefault(channel, bytearray()).extend(data)
            if stream.ended:
                return out
            while unwritten and stream.waiting < CHUNK:
                stream.write(STDIN, bytes(unwritten[:CHUNK]))
                unwritten = unwritten[CHUNK:]
            stream.flush()
            left = deadline - time.monotonic()
            if left <= 0:
                return out
            selector.modify(stream, selectors.EVENT_READ | (selectors.EVENT_WRITE if stream.waiting else 0))
            if not selector.select(min(left, PING)):
                stream.ping()


def _exit_code(status: bytearray | None, pod: str, argv: Sequence[str]) -> int:
    """The exit code in the Status that ends an exec.

    :raises ApiError: the command was not run, or nobody knows how it ended.
    """
    if not status:
        raise Unreachable(
            f"The connection to {pod} was lost while `{_short(argv)}` ran; whether it has ended is not known."
        )
    said: Mapping[str, Any] = json.loads(bytes(status))
    if said.get("status") == "Success":
        return 0
    for cause in (said.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    reason = str(said.get("message", "no reason given"))
    if "error sending request" in reason:
        # The message repeats the whole command as the URL of the kubelet; the cause stands at its end.
        cause = reason.rpartition('": ')[2]
        raise WorkerUnreachable(f"The worker of {pod} {NO_ANSWER}{cause}")
    raise ApiError(f"`{_short(argv)}` could not be run in {pod}: {reason}")


def _overdue(pod: str, argv: Sequence[str], timeout: float) -> str:
    return f"`{_short(argv)}` in {pod} was not done after {timeout:g} s and was ended."


def _short(argv: Sequence[str]) -> str:
    """A command for messages: its first words, not a script."""
    text = " ".join(argv)
    return text if len(text) <= 60 and "\n" not in text else " ".join(text.split())[:57] + "..."


def _text(data: bytearray | None) -> str:
    return bytes(data or b"").decode("utf-8", "replace")


# -- ports ----------------------------------------------------------------------------------------------------------


class PodSocket:
    """A connection to a port on a pod's own loopback, used by one thread, without any thread of its own."""

    def __init__(self, api: Api, pod: str, port: int, namespace: str) -> None:
        self.pod, self.port = pod, port
        self._stream = connect(api, pod, "portforward", [("ports", str(port))], namespace)
        self._named: set[int] = set()
        self._error = ""

    def __enter__(self) -> PodSocket:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up."""
        self._stream.close()

    def send(self, data: bytes, timeout: float) -> None:
        """Sends all of it.

        :raises TimeoutError: it was not taken in time.
        :raises ConnectionError: the pod hung up; says why where that is known.
        """
        deadline = time.monotonic() + timeout
        self._stream.write(0, data)
        while self._stream.waiting and not self._stream.ended:
            self._wait(deadline, selectors.EVENT_WRITE)
            self._stream.flush()
        if self._stream.ended:
            raise ConnectionError(self._error or "the connection was closed")

    def receive(self, timeout: float) -> bytes:
        """The bytes that have come, at least one.

        :raises TimeoutError: none came in time.
        :raises ConnectionError: the pod hung up; says why where that is known.
        """
        deadline = time.monotonic() + timeout
        while True:
            received = bytearray()
            for channel, data in self._stream.read():
                if channel not in self._named:
                    # The first frame of each channel only repeats the port's number.
                    self._named.add(channel)
                elif channel == 0:
                    received += data
                else:
                    self._error = data.decode("utf-8", "replace").strip()
            if received:
                return bytes(received)
            if self._stream.ended or self._error:
                raise ConnectionError(self._error or "the connection was closed")
            self._wait(deadline, selectors.EVENT_READ)

    def _wait(self, deadline: float, events: int) -> None:
        with _selector() as selector:
            selector.register(self._stream, events)
            while (left := deadline - time.monotonic()) > 0:
                if selector.select(min(left, PING)):
                    return
                self._stream.ping()
        raise TimeoutError


def _selector() -> selectors.BaseSelector:
    """A selector without select's limit of 1024 files; poll keeps nothing in the kernel, so that a wait is one call."""
    return selectors.PollSelector()
