# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second pod in the namespace that tries to log in by CQL, once or all the time.

The image has a shell and nc and no driver, so the two frames of a login (STARTUP, AUTH_RESPONSE of protocol 4) are made
here and sent as they are.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from . import waiting
from .datacenter import is_ready
from .kubernetes import Object
from .namespace import Namespace

NAME = "visitor"
DEFAULT = ("cassandra", "cassandra")
IN, DENIED, CLOSED = "in", "denied", "closed"
"""Outcomes: logged in; a login was asked for and refused; nobody answered."""

STARTUP_OPCODE, AUTH_RESPONSE_OPCODE = 0x01, 0x0F
# Stream 1 of the answer, then the opcode: AUTH_SUCCESS (10), ERROR (00). Stream 0 carries AUTHENTICATE before.
# A server that keeps the connection would keep nc, whose -w limits the connecting only; the shell's notice of its end
# ("Terminated", on stderr) would be a line of the log.
SCRIPT = r"""
attempt() {
    said=$(exec 2>/dev/null
        { printf "$startup"; sleep 0.3; printf "$2"; sleep 1; } | timeout 5 nc -w 2 "$1" 9042 |
            hexdump -v -e '1/1 "%02x"')
    case $said in
    *8400000110*) echo "$1 in" ;;
    *8400000100*) echo "$1 denied" ;;
    *) echo "$1 closed" ;;
    esac
}
"""


def frame(opcode: int, stream: int, body: bytes) -> bytes:
    """A request of the native protocol, version 4."""
    return struct.pack(">BBhBi", 4, 0, stream, opcode, len(body)) + body


def octal(data: bytes) -> str:
    """For printf of any shell."""
    return "".join(f"\\{byte:03o}" for byte in data)


def text(word: str) -> bytes:
    """A [string] of the protocol."""
    return struct.pack(">H", len(word)) + word.encode()


STARTUP = octal(frame(STARTUP_OPCODE, 0, struct.pack(">H", 1) + text("CQL_VERSION") + text("3.0.0")))


def login_frame(username: str, password: str) -> str:
    """The frame that carries username and password."""
    token = f"\0{username}\0{password}".encode()
    return octal(frame(AUTH_RESPONSE_OPCODE, 1, struct.pack(">i", len(token)) + token))


@dataclass(frozen=True)
class Visitor:
    """The pod, once it runs."""

    namespace: Namespace

    @classmethod
    def arrive(cls, namespace: Namespace, targets: Iterable[str] = ()) -> Visitor:
        """Start the pod; with targets it tries cassandra/cassandra at each of them in turn, all the time."""
        image = "sandbox/tools:1" if namespace.cluster.sandbox else "busybox:1.36"
        namespace.apply([pod(image, list(targets))])
        waiting.until(
            "the visitor to run", lambda: [] if is_ready(namespace.get("pod", NAME)) else ["not ready"], 60, 0.5
        )
        return cls(namespace)

    def attempt(self, target: str, username: str, password: str) -> str:
        """Try once; the outcome."""
        program = f"startup='{STARTUP}'{SCRIPT}attempt '{target}' '{login_frame(username, password)}'"
        return self.namespace.exec(NAME, "sh", "-c", program).split()[-1]

    def attempts(self) -> dict[str, Counter[str]]:
        """Target -> how often each outcome was seen so far."""
        return outcomes(self.namespace.kubectl("logs", NAME))

    def leave(self) -> None:
        """Delete the pod."""
        self.namespace.kubectl("delete", "pod", NAME, "--grace-period=0", "--force", "--ignore-not-found")


def outcomes(log: str) -> dict[str, Counter[str]]:
    """Target -> how often each outcome stands in the visitor's log.

    The kubelet gives out the line that is being written as far as it has come, without an end; the next look has it.
    """
    seen: dict[str, Counter[str]] = {}
    for line in log.splitlines(keepends=True):
        if line.endswith("\n"):
            target, outcome = line.split()
            seen.setdefault(target, Counter())[outcome] += 1
    return seen


def pod(image: str, targets: list[str]) -> Object:
    """The pod, restricted like all in the namespace."""
    loop = f"while :; do for target in $targets; do attempt $target '{login_frame(*DEFAULT)}'; done; sleep 0.2; done"
    program = f"startup='{STARTUP}' targets='{' '.join(targets)}'{SCRIPT}{loop if targets else 'sleep 86400'}"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": NAME,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", program],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
