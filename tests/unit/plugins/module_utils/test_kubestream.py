# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stream of a command; the real API server is met in the integration tests."""

from __future__ import annotations

import socket
import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import kubestream

PING, BINARY = 0x89, 0x82
SUCCESS = b'{"status":"Success"}'


def test_a_silent_command_keeps_its_connection_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies hang up on connections that carry nothing, and cleanup says nothing for hours."""
    monkeypatch.setattr(kubestream, "PING", 0.02)
    ours, theirs = socket.socketpair()
    heard = bytearray()

    def server() -> None:
        while heard.count(bytes([PING])) < 3:
            heard.extend(theirs.recv(64))
        theirs.sendall(bytes([BINARY, len(SUCCESS) + 1, kubestream.STATUS]) + SUCCESS + bytes([0x88, 0]))

    worker = threading.Thread(target=server, daemon=True)
    worker.start()
    stream: Any = kubestream.Stream(SimpleNamespace(sock=ours))
    out = kubestream._collect(stream, None, time.monotonic() + 60)
    worker.join(60)
    assert bytes(out[kubestream.STATUS]) == SUCCESS
    theirs.close()
    stream.close()


def test_a_port_that_says_nothing_for_long_keeps_its_connection_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement of CQL may take minutes, and TRUNCATE waits for every node."""
    monkeypatch.setattr(kubestream, "PING", 0.02)
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(kubestream, "connect", lambda *where: kubestream.Stream(SimpleNamespace(sock=ours)))
    with kubestream.PodSocket(cast(Any, None), "shop-dc1-r1-0", 9042, "ns") as port:
        with pytest.raises(TimeoutError):
            port.receive(1)
        assert theirs.recv(4096).count(bytes([PING])) >= 3
        theirs.sendall(bytes([BINARY, 3, 0]) + b"\x52\x23" + bytes([BINARY, 6, 0]) + b"hello")
        assert port.receive(5) == b"hello"
    theirs.close()
