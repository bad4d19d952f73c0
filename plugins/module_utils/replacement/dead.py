# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of a member that nobody sees up, by its pod, its volume and its worker (1, 3 to 9, 12, 19). Pure."""

from __future__ import annotations

import re

from ..events import VOLUME_HANGS
from .actions import MOVE, RECREATE, REPLACE, Decision, ask, by_name, wait
from .case import LOCAL, MOMENT, NETWORK, READY, Case, ends, is_ending, keeps_crashing
from .safety import safe
from .scene import Scene, unasked
from .unwanted import TAKEN_AWAY
from .words import COLLISION, CORRUPT, EMPTY, EXPIRED, FOREIGN, HALF_WAY, HAS_LEFT, RESTORING, summary
from .workers import by_name_and_worker, fence, off_for_good, volume_lost

OUTAGE = (
    "run the playbook start: if the whole cluster was away, such as in a Kubernetes that was switched off, it tells "
    "since when, and how they go on. Otherwise bring back a node that was not away"
)


def held(scene: Scene, case: Case, kind: str) -> Decision:
    node = case.node
    if kind == EMPTY:
        return safe(scene, case, REPLACE, 6, "it came back without its storage")
    if kind == EXPIRED:
        reason = "it was down for longer than gc_grace_seconds: its data must not come back"
        if not scene.observers and not unasked(scene):
            return ask(case, 3, f"{reason}; and no living node could be asked", OUTAGE)
        return safe(scene, case, REPLACE, 3, reason)
    if kind == HALF_WAY:
        return safe(scene, case, REPLACE, 12, "its replacement died half-way")
    if kind == FOREIGN and node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 7, f"its volume cannot be used ({node.held})")
    if kind == FOREIGN:
        return ask(case, 7, f"it is held: {node.held}", by_name(node, "put the right volume back, or give this one up"))
    if kind == RESTORING:
        return ask(case, 1, f"it is held: {node.held}", "run the playbook restore again, which finishes it")
    return ask(case, 1, f"it is held: {node.held}", "run the playbook deploy")


def without_worker(scene: Scene, case: Case) -> Decision:
    """Its worker does not answer. Kubernetes keeps a pod's name until it knows that no process of it is left."""
    node, worker = case.node, case.worker
    where = f"worker {worker.name}" if worker.name else "its worker"
    row = 5 if case.volume.kind == NETWORK else 6
    said = off_for_good(scene.settings, worker)
    if said:
        if node.uid is not None:
            return Decision(node.pod, row, MOVE, f"{where} {said}")
        return wait(case, row, f"{where} {said}; Kubernetes has not made its pod again yet")
    if is_ending(case.node, case.worker):
        return wait(case, 4, ends(case))
    if case.down is not None and case.down < scene.settings.grace:
        return wait(case, 4, f"{where} has not answered for {case.down:.0f} s; it may come back")
    told = (node.reason or "").partition("does not answer: ")[2]
    return ask(
        case,
        4,
        f"{where} does not answer, and nobody knows whether it is off{f': {told}' if told else ''}",
        fence(scene.settings, worker, by_name_and_worker(node)),
    )


def unplaced(scene: Scene, case: Case) -> Decision:
    """Its pod has no worker: mostly because its volume is on one that is not there."""
    node, worker, volume = case.node, case.worker, case.volume
    if volume.claim_uid is None:
        if case.down is not None and case.down < MOMENT:
            return wait(case, 6, "its pod waits for its volume claim")
        return Decision(node.pod, 6, RECREATE, "its pod waits for a volume claim that does not exist")
    if not (node.reason or "").startswith("it cannot be scheduled"):
        return wait(case, 1, "its pod waits for a worker")
    if volume.kind != LOCAL and node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 8, f"its pod has no place ({node.reason})")
    if volume.kind != LOCAL:
        way = "see to workers and zones (kubectl describe pod), or give its volume up"
        return ask(case, 1, f"its pod has no place: {node.reason}", by_name(node, way))
    where = f"worker {worker.name}" if worker.name else "a worker whose name these credentials may not read"
    there, said = f"its local volume is on {where}", volume_lost(scene, case)
    if said:
        return safe(scene, case, REPLACE, 6, f"{there}, which {said}")
    if worker.state == READY and node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 8, f"{there}, which takes no pods")
    if worker.state == READY:
        first = f"uncordon {worker.name} or make room there (scale_leave_workers takes a live node off a worker)"
        way = f"{first}, or give the volume up"
        return ask(case, 8, f"{there}, which is up and does not take it: {node.reason}", by_name(node, way))
    if case.down is not None and case.down < scene.settings.grace:
        return wait(case, 4, f"{there}, which may come back")
    return ask(
        case,
        4,
        f"{there}, and nobody knows whether that is off",
        fence(scene.settings, worker, by_name_and_worker(node)),
    )


def placed(scene: Scene, case: Case) -> Decision:
    """Its pod has a worker, and its container has not started."""
    node = case.node
    if node.reason is None:
        return wait(case, 1, "its pod is being started")
    if not volume_hangs(case):
        return ask(case, 1, f"its pod does not start: {node.reason}", "correct the cause: kubectl describe pod")
    reason = f"its volume does not come to its pod: {node.reason}"
    if node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 7, reason)
    return ask(case, 7, reason, by_name(node, "correct the cause (kubectl describe pod), or give the volume up"))


def volume_hangs(case: Case) -> bool:
    """Whether its pod waits for the node's volume, and not for another one, such as that of a ConfigMap."""
    reason = case.node.reason or ""
    one, several = (re.search(text, reason) for text in (r'for volume "([^"]+)"', r"unmounted volumes=\[([^]]*)\]"))
    own = (one is None or one[1] == case.volume.name) and (several is None or "data" in several[1].split())
    return reason.startswith(VOLUME_HANGS) and own


def crashed(scene: Scene, case: Case) -> Decision:
    node = case.node
    if any(sign in case.last_words for sign in CORRUPT):
        reason = f"its files cannot be read or written: {summary(case)}"
        if node.pod in scene.settings.named:
            return safe(scene, case, REPLACE, 7, reason)
        return ask(case, 7, reason, by_name(node, "mend its volume, or give it up"))
    if COLLISION in case.last_words:
        return crossed(scene, case)
    if HAS_LEFT in case.last_words:
        return ask(case, 9, "it has left the ring", TAKEN_AWAY)
    if node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 7, f"it crashes: {summary(case)}")
    if not keeps_crashing(node):
        return wait(case, 1, f"it crashed, and Kubernetes starts it again: {summary(case)}")
    return ask(
        case,
        1,
        f"it crashed {node.restarts} times: {summary(case)}",
        by_name(node, "correct the cause (playbooks deploy and restart); its data is there"),
    )


def crossed(scene: Scene, case: Case) -> Decision:
    """The others know its address as another node's; where pods' addresses are used, another pod has another one."""
    node = case.node
    owner = scene.members.get(node.address or "")
    if owner is not None and node.host_id and owner.host_id != node.host_id:
        return Decision(node.pod, 19, RECREATE, f"its address {node.address} is that of another node, {owner.host_id}")
    reason = f"the others know its address with another host id than its volume has: {summary(case)}"
    if node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 19, reason)
    return ask(case, 19, reason, by_name(node, "put the right volume back, or give this one up"))


def starting(scene: Scene, case: Case) -> Decision:
    """Its container runs, and nobody sees it up."""
    if case.node.ready:
        why = unasked(scene) or "nobody sees it up"
        return wait(case, 4, f"Kubernetes takes it for ready, and {why}")
    if case.streams_failed:
        # Of one that was approved, or began by itself: the ledger has its host id, and nobody sees it up.
        reason = f"its replacement could not stream all of its data, and goes on without it: {case.streams_failed}"
        return safe(scene, case, REPLACE, 12, reason)
    just_now = case.down is not None and case.down < MOMENT
    if case.node.pod in scene.settings.named and not just_now:
        return safe(scene, case, REPLACE, 7, "it runs, and nobody sees it up")
    since = "" if case.down is None else f" (down for {case.down:.0f} s)"
    return wait(case, 1, f"it is starting with its data{since}; if it does not come up, its log tells why")
