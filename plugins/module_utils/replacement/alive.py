# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of a node that somebody sees up (0 to 2, 4, 8). Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import gates
from .actions import ASK, NONE, REPAIR, WELL, Decision, ask, wait
from .case import MOMENT, Case, Settings, ends, is_ending, must_repair
from .losses import losses
from .scene import Scene, joined


def living(scene: Scene, case: Case, up: Sequence[str]) -> Decision:
    """Somebody sees it up: whatever Kubernetes says, it is never replaced."""
    node, named = case.node, case.node.pod in scene.settings.named
    if is_ending(case.node, case.worker):
        return wait(case, 4, f"{ends(case)}; {', '.join(up)} still see it alive")
    if node.held is not None or node.phase not in ("Running", "Crashed"):
        if case.down is None or case.down < MOMENT:
            return wait(case, 4, f"{', '.join(up)} still see it alive; failure detectors take some seconds")
        where = f" on worker {case.worker.name}" if case.worker.name else ""
        return ask(
            case,
            4,
            f"{', '.join(up)} see it alive, and its pod does not run Cassandra: a former process of it seems to go on"
            f"{where}",
            f"switch that worker off, or connect it again{where and f' ({case.worker.name})'}; then run it again",
        )
    if node.volume_deleting:
        return doomed(scene, case)
    if len(up) < scene.observers:
        return wait(case, 4, f"{len(up)} of {scene.observers} views see it up; needed all: see to the network")
    if node.worker_lost:
        return wait(case, 4, f"it is up, and Kubernetes hears nothing of worker {node.worker}: see to its kubelet")
    if not node.ready:
        return wait(case, 1, f"it is up and does not serve clients yet{f': {node.reason}' if node.reason else ''}")
    if node.pod in scene.seen.unheard:
        return wait(case, 1, f"it is up and cannot be asked for its view: {scene.seen.unheard[node.pod]}")
    if case.unread:
        return wait(case, 2, f"whether it missed more than hints cover is not known: {case.unread}")
    if case.missed is not None and must_repair(case.missed, scene.settings):
        return safe_repair(scene, case, beyond_hints(case.missed, scene.settings))
    if named:
        return Decision(node.pod, 8, NONE, "every view has it up, and a live node is never replaced")
    return Decision(node.pod, 0, NONE, WELL)


def doomed(scene: Scene, case: Case) -> Decision:
    """Nobody can take back the deletion of a claim: the node has to get another volume, when nothing is lost by it."""
    pod, member = case.node.pod, scene.member(case.node)
    lost = losses(scene, member.address) if member else []
    keyspaces = tuple(sorted({name for loss in lost for name in loss.keyspaces}))
    names = gates.keyspaces_named(keyspaces)
    first_of_all = f"give {names} more replicas, or make a backup; " if lost else ""
    return Decision(
        pod,
        8,
        ASK,
        "it is alive, and its volume claim is being deleted: its data goes as soon as its pod does"
        + (f", and rows of {names} with it" if lost else ""),
        f"leave its pod alone until all others are well; {first_of_all}then repair it (nodetool repair -full there), "
        f"delete its pod ({scene.seen.kubectl} delete pod {pod}), and run heal again: it is replaced",
        keyspaces,
    )


def beyond_hints(missed: float, settings: Settings) -> str:
    down = f"it was down for {missed:.0f} s"
    if settings.hint_window is None:
        return f"{'it was down' if missed == math.inf else down}, and no node tells for how long hints are kept"
    kept = f"hints are kept ({settings.hint_window:.0f} s)"
    if missed == math.inf:
        return f"for how long it was down is not known; it may have been longer than {kept}"
    return f"{down}, longer than {kept}"


def safe_repair(scene: Scene, case: Case, reason: str) -> Decision:
    """A repair needs all replicas, and one line of Cassandra."""
    up = (words for view in scene.views for words in gates.up_in_every_view(view))
    reasons = [*up, *gates.one_line(joined(scene.views))]
    if reasons:
        return wait(case, 2, f"{reason}; its ranges are repaired when all are up: {reasons[0]}")
    return Decision(case.node.pod, 2, REPAIR, reason)
