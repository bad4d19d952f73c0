# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The row of a node that has never joined (13). Pure."""

from __future__ import annotations

from dataclasses import replace

from ..view import NodeView
from ..wording import agree
from .actions import BOOTSTRAP, STOP, Decision, ask, wait
from .case import AWAY, LOCAL, Case, keeps_crashing
from .dead import without_worker
from .scene import Scene
from .words import PARTIAL_BOOTSTRAP, summary
from .workers import volume_lost


def is_new(scene: Scene, node: NodeView) -> bool:
    """Whether it has not joined, as far as anybody could tell."""
    member = scene.member(node)
    return node.host_id is None and (member is None or not member.tokens)


def has_given_up(scene: Scene, case: Case) -> bool:
    """Whether it joined in vain and goes on. Where nobody could be asked it may have joined after all."""
    unplanned = case.wanted and not case.orphaned and not case.open_plan
    return bool(case.streams_failed and scene.observers) and unplanned and is_new(scene, case.node)


def gave_up(scene: Scene, case: Case) -> Decision:
    """Its streams failed while it joined; its process goes on, and nothing of it can be missed."""
    node, reason = case.node, f"it could not stream all of its data, and goes on without joining: {case.streams_failed}"
    dead = sorted(scene.name(address) for address in scene.dead())
    if not dead:
        return ask(case, 13, reason, "run the playbook scale, which begins its join again")
    why = f"nobody can be replaced beside a node that joins, and {', '.join(dead)} {agree(dead, 'is', 'are')} dead"
    rack = scene.seen.rack(node.rack)
    half_way = rack is not None and (rack.partition < rack.replicas or rack.half_way)
    if half_way or any(other.rack == node.rack and other.ordinal > node.ordinal for other in scene.seen.nodes):
        # Kubernetes ends the highest of a rack only, and another number of them would move the partition of a rollout.
        return Decision(node.pod, 13, BOOTSTRAP, f"{reason}; {why}: it begins again on an empty volume")
    then = "when all others are well, the playbook scale begins its join again"
    return Decision(node.pod, 13, STOP, f"{reason}; {why}: its pod is ended; {then}")


def newcomer(scene: Scene, case: Case) -> Decision:
    """It was never a member: it has nothing that anybody could miss."""
    node, worker = case.node, case.worker
    off = volume_lost(scene, case)
    if not scene.observers:
        # The ledger may only not have been told of it yet.
        return wait(case, 13, "whether it has joined is not known: no living node could be asked")
    unknown = [member.address for member in scene.strangers() if member.tokens]
    if node.address is None and unknown:
        # Its address is its pod's, and goes with it.
        return ask(
            case,
            13,
            f"it may have joined as {unknown[0]}: that is a member with tokens, and none of the nodes",
            "bring its worker back and run the playbook scale, which finishes the join; or see what is said of "
            f"{unknown[0]}",
        )
    if node.uid is not None and node.worker is not None and (off or worker.state == AWAY):
        return replace(without_worker(scene, case), row=13)
    if node.phase == "Pending" and node.worker is None and off and case.volume.kind == LOCAL:
        where = f"worker {worker.name}" if worker.name else "the worker"
        return Decision(node.pod, 13, BOOTSTRAP, f"it has not joined yet, and {where} with its volume is off")
    if node.held is not None:
        return ask(case, 13, f"it has not joined yet, and is held: {node.held}", "run the playbook deploy")
    if node.phase == "Crashed" and PARTIAL_BOOTSTRAP in case.last_words:
        reason = "it died while it joined, and no node may go on over partial data"
        return Decision(node.pod, 13, BOOTSTRAP, reason)
    if node.phase == "Crashed" and keeps_crashing(node):
        return ask(case, 13, f"it crashes while it joins: {summary(case)}", "correct the cause and run deploy")
    return wait(case, 13, "it has not joined yet")
