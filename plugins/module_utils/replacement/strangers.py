# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of members of the ring that are none of the datacenter's nodes (9 to 11). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .. import gates
from ..view import Endpoint
from .actions import ASK, ASSASSINATE, WAIT, Decision
from .scene import Scene, leaves


def strangers(scene: Scene) -> Iterator[Decision]:
    """About members of this datacenter that are none of its nodes."""
    return (stranger(scene, member) for member in scene.strangers())


def stranger(scene: Scene, member: Endpoint) -> Decision:
    address, up = member.address, scene.up_in(member.address)
    if up:
        return Decision(
            address,
            11,
            ASK,
            f"it is a member of the ring but none of this datacenter's nodes, and {', '.join(up)} see it alive",
            "find out whose it is; decommission it where it runs",
        )
    if leaves(member):
        return Decision(
            address,
            10,
            ASK,
            f"it is being removed from the ring ({member.status})",
            f"if that does not end: module node_remove with host_id {member.host_id} goes on with it, and with force "
            "ends it, such as where a node that was to receive is dead",
        )
    if any(address in view.owners() for view in scene.views):
        owns = f"it owns {len(member.tokens)} tokens" if member.tokens else "some nodes know tokens of it"
        return Decision(
            address,
            9,
            ASK,
            f"it is a dead member of the ring and none of this datacenter's nodes; {owns}",
            f"if it will not come back: module node_remove with host_id {member.host_id}",
        )
    if gates.up_in_every_view(scene.seen):
        return Decision(address, 11, WAIT, "gossip knows it, it owns nothing; it is taken out when all nodes are up")
    return Decision(address, 11, ASSASSINATE, "gossip knows it, and it owns nothing and belongs to nobody")
