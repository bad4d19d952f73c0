# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of a node that no StatefulSet wants, or that has left the ring (9, 13). Pure."""

from __future__ import annotations

from .actions import STOPPED, Decision, ask, wait
from .case import Case, ends, is_ending
from .scene import Scene

TAKEN_AWAY = "run the playbook scale, which takes away what is left of it"
ORPHANED = "its StatefulSet is gone, and the ledger knows the node"


def make_again(playbook: str) -> str:
    """What a person can do about a StatefulSet that is gone: its nodes are wanted until somebody takes them away."""
    why = "which was cut off while it made it anew" if playbook == "scale" else "which makes it again around its pods"
    return f"run the playbook {playbook}, {why}; if the rack shall go, take it out with the playbook scale afterwards"


def surplus(case: Case, up: bool) -> Decision:
    """A place that somebody took away by hand, or that a node without a host id has not yet, or has no more."""
    node = case.node
    if is_ending(node, case.worker):
        return wait(case, 9, f"no StatefulSet wants it, and {ends(case)}")
    if node.host_id is None:
        way = "run the playbook scale, which has it join when all others are well, or takes it back if it is not wanted"
        return ask(case, 13, STOPPED, way)
    back = "run the playbook start, which makes the StatefulSet want it again"
    if up:
        leave = f"module node_decommission with name {node.pod}"
        return ask(case, 9, "no StatefulSet wants it, and it is alive", f"{back}. If it shall leave: {leave}")
    if case.volume.claim_uid:
        back += ", and it comes back with its volume"
    remove = f"module node_remove with host_id {node.host_id}, which gives its ranges to the others"
    way = f"{back}. Where its capacity is not needed any more: {remove}"
    return ask(case, 9, "no StatefulSet wants it, and it is dead", way)


def has_left(scene: Scene) -> bool:
    """Whether it counts that nobody knows a member: all could be asked, and nobody knows one that is none of the nodes,
    which could be this one under another address and host id."""
    unheard = any(view.unheard for view in scene.views)
    return bool(scene.observers) and not unheard and not any(member.tokens for member in scene.strangers())
