# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS inside of a connection to a pod, for nodes that take nothing else."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import TypeVar

from .kubestream import CHUNK, PodSocket

T = TypeVar("T")


class TlsSocket:
    """The same as a :class:`~.kubestream.PodSocket`, and encrypted.

    The certificate is not checked. The connection ends on the pod's own loopback, and the API server, which is trusted,
    says which pod that is; a certificate would be that of a name that nobody calls there.
    """

    def __init__(self, connection: PodSocket, timeout: float) -> None:
        """:raises TimeoutError: the handshake was not done in time.
        :raises ConnectionError: the pod hung up, or does not speak TLS.
        """
        self.pod = connection.pod
        self._connection = connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._do(self._tls.do_handshake, timeout)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()

    def send(self, data: bytes, timeout: float) -> None:
        """Sends all of it. See :meth:`PodSocket.send`."""
        self._do(lambda: self._tls.write(data), timeout)

    def receive(self, timeout: float) -> bytes:
        """The bytes that have come, at least one. See :meth:`PodSocket.receive`."""
        received = self._do(lambda: self._tls.read(CHUNK), timeout)
        if not received:
            raise ConnectionError("the connection was closed")
        return received

    def _do(self, action: Callable[[], T], timeout: float) -> T:
        """Does something that may have to wait for the other side."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                done = action()
            except ssl.SSLWantReadError:
                self._flush(deadline)
                self._incoming.write(self._connection.receive(deadline - time.monotonic()))
            except ssl.SSLError as error:
                raise ConnectionError(f"TLS ended: {error.reason or error}") from None
            else:
                self._flush(deadline)
                return done

    def _flush(self, deadline: float) -> None:
        waiting = self._outgoing.read()
        if waiting:
            self._connection.send(waiting, deadline - time.monotonic())
