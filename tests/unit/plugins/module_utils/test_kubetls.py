# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS with a real server, over a connection of this process."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from integration.harness import certificates

from ansible_collections.cassops.kubernetes.plugins.module_utils import kubetls

LIMIT = 10.0


class Plain:
    """What a PodSocket is to its user, over a socket."""

    pod = "p"

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def send(self, data: bytes, timeout: float) -> None:
        self.connection.settimeout(timeout)
        self.connection.sendall(data)

    def receive(self, timeout: float) -> bytes:
        self.connection.settimeout(timeout)
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionError("the connection was closed")
        return data

    def close(self) -> None:
        self.connection.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of nobody in particular."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(certificates.authority().issue())
    return file


@contextmanager
def served(act: Callable[[socket.socket], None]) -> Iterator[Plain]:
    """A connection to somebody who does this with the other end, and then hangs up."""
    here, there = socket.socketpair()
    there.settimeout(LIMIT)

    def serve() -> None:
        with there, suppress(OSError):
            act(there)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with here:
        yield Plain(here)
    thread.join(LIMIT)


def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


def echo(certificate: Path) -> Callable[[socket.socket], None]:
    def act(there: socket.socket) -> None:
        with context(certificate).wrap_socket(there, server_side=True) as secured:
            while data := secured.recv(65536):
                secured.sendall(data)

    return act


@pytest.mark.parametrize("length", [1, 100, 1_000_000])
def test_bytes_go_there_and_come_back(certificate: Path, length: int) -> None:
    words = bytes(number % 251 for number in range(length))
    with served(echo(certificate)) as plain:
        secured = kubetls.TlsSocket(plain, LIMIT)
        heard = bytearray()
        for start in range(0, length, 10_000):
            piece = words[start : start + 10_000]
            secured.send(piece, LIMIT)
            end = len(heard) + len(piece)
            while len(heard) < end:
                heard += secured.receive(LIMIT)
    assert bytes(heard) == words
    assert secured.pod == "p"


def test_who_does_not_speak_tls_is_told() -> None:
    def act(there: socket.socket) -> None:
        there.recv(65536)
        there.sendall(b"HTTP/1.1 400 no")

    with served(act) as plain, pytest.raises(ConnectionError, match="TLS ended"):
        kubetls.TlsSocket(plain, LIMIT)


def test_who_hangs_up_is_told() -> None:
    with served(lambda there: there.recv(65536) and None) as plain, pytest.raises(ConnectionError, match="closed"):
        kubetls.TlsSocket(plain, LIMIT)


def test_an_end_in_good_order_is_an_end(certificate: Path) -> None:
    def act(there: socket.socket) -> None:
        context(certificate).wrap_socket(there, server_side=True).unwrap()

    with served(act) as plain:
        secured = kubetls.TlsSocket(plain, LIMIT)
        with pytest.raises(ConnectionError):
            secured.receive(LIMIT)


def test_silence_has_an_end() -> None:
    silent = threading.Event()
    with served(lambda there: bool(silent.wait(LIMIT)) and None) as plain:
        with pytest.raises(TimeoutError):
            kubetls.TlsSocket(plain, 0.05)
        silent.set()
