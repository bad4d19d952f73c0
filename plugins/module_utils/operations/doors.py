# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether CQL of a node is closed, and how the doorkeeper is told to open it; see docs/decisions/0003-doorkeeper.md."""

from __future__ import annotations

from ..errors import CassopsError
from ..kube import Kube

OPEN_LIMIT = 60.0
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
