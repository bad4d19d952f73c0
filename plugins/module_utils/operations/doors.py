# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether CQL of a node is closed, and how it is opened; see docs/decisions/0003-doorkeeper.md."""

from __future__ import annotations

import time
from typing import Any

from .. import nodetool
from ..errors import CassopsError
from ..kube import Kube
from ..ledger import Ledger
from ..observe import Objects, attempt, together
from ..view import NodeView
from ..wording import agree, counted
from .deploying import Deploy

OPEN_LIMIT = 60.0
# Seconds until nodes that still do not serve are looked at again.
OPEN_AGAIN = 30.0
# Read by start.sh.
OPENED_FILE = "/tmp/open"


def turn_door(kube: Kube, pod: str) -> None:
    """Tell the doorkeeper's start script that the superuser stands: it starts Cassandra again, open to all."""
    done = kube.exec(pod, ["touch", OPENED_FILE], timeout=OPEN_LIMIT)
    if done.rc != 0:
        raise CassopsError(f"cannot write {OPENED_FILE} in pod {pod}: {done.stderr.strip()}")


# Nothing where CQL is open, else the end of the configuration that the start script wrote.
ASK_DOOR = "sh /cassops/config/probe.sh >/dev/null 2>&1 || tail -n 4 /cassops/conf/cassandra.yaml"


def closed_door(kube: Kube, pod: str) -> str | None:
    """How CQL of a running node is closed: C(off), C(loopback), or None (it is open, or will be)."""
    told = kube.exec(pod, ["sh", "-c", ASK_DOOR], timeout=OPEN_LIMIT).stdout.replace('"', "")
    lines = [line.split() for line in told.splitlines()]
    if ["start_native_transport:", "false"] in lines:
        return "off"
    if any(line in lines for line in (["rpc_address:", "127.0.0.1"], ["rpc_address:", "::1"])):
        return "loopback"
    return None


class Doors:
    """Those of all nodes of a datacenter."""

    def __init__(self, deploy: Deploy) -> None:
        self.deploy = deploy
        self.kube = deploy.kube
        self.ctx = deploy.ctx
        # When one was last opened (seconds, monotonic).
        self.opened_at = time.monotonic()

    def open_again(self, ledger: Ledger, found: Objects) -> None:
        """L(open), in a wait for nodes to serve: not at each of its looks."""
        if time.monotonic() - self.opened_at > OPEN_AGAIN:
            self.open(ledger, found)

    def open(self, ledger: Ledger, found: Objects) -> None:
        """Open CQL where it is closed: C(enablebinary); the doorkeeper's process, bound to its loopback, starts again.

        A run that died between the ledger's turn and the last open door leaves running nodes with CQL closed, so every
        run looks.
        """
        seen = self.deploy.snapshot(found)
        left = self.deploy.not_waited_for(seen)
        closed = [
            node
            for node in seen.nodes
            if node.phase == "Running" and not node.ready and node.held is None and node.pod not in left
        ]
        if not closed:
            return
        self.opened_at = time.monotonic()
        self.ctx.progress(
            f"opening CQL where it is closed ({counted(len(closed), 'node')} {agree(closed, 'is', 'are')} not ready)",
            important=True,
        )
        # The doorkeeper first: its start takes longest.
        together(self.open_node, sorted(closed, key=lambda node: node.pod != ledger.first))

    def open_node(self, node: NodeView) -> None:
        """One node. What fails here, a node that only just starts for example, is tried again by the proof's wait."""
        door = attempt(lambda: closed_door(self.kube, node.pod))
        opened: Any = door
        if door == "loopback":
            opened = attempt(lambda: turn_door(self.kube, node.pod))
        elif door == "off":
            opened = attempt(lambda: nodetool.run_one(self.kube, node.pod, ["enablebinary"], timeout=OPEN_LIMIT))
        if isinstance(opened, CassopsError):
            self.ctx.progress(f"{node.pod}: CQL could not be opened yet: {opened}", important=True)
