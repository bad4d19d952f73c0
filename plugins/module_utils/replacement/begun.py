# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The row of a replacement that a run left behind (12). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .actions import ABANDON, REPLACE, Decision, ask, by_name, wait
from .case import READY, UNKNOWN, Case, ends, is_ending, keeps_crashing
from .safety import safe
from .scene import Scene
from .words import given_up_last
from .workers import off_for_good


def begun(scene: Scene, case: Case, up: Sequence[str]) -> Decision:
    """A replacement that a run left behind: finished, but not over a node that came back with its data meanwhile."""
    node = case.node
    if case.old_volume and up and is_ending(node, case.worker):
        return wait(case, 12, f"its replacement was begun, and {ends(case)}")
    if case.old_volume and up and case.volume.going:
        return ask(
            case,
            12,
            "its replacement was begun and its volume is about to go, and it is alive again",
            f"delete its pod when it suits ({scene.seen.kubectl} delete pod {node.pod}); then run it again: it is "
            "replaced",
        )
    with_its_volume = case.old_volume and not case.again
    if with_its_volume and up:
        return Decision(node.pod, 12, ABANDON, "its replacement was begun, and it is alive again with its volume")
    if with_its_volume and starts_again(scene, case) and not case.wished and node.pod not in scene.settings.named:
        otherwise = by_name(node, "if it does not come up")
        return wait(case, 12, f"its replacement was begun, and it may come up again with its volume; {otherwise}")
    told = safe(scene, case, REPLACE, 12, "its replacement was begun and is not finished")
    # What a person has given up knowingly, such as wrong data, nobody gives back unasked.
    stands = with_its_volume and not (case.accepted or case.volume.going or case.volume.lost)
    if stands and told.row in (16, 17) and given_up_last(node.held or ""):
        reason = "its replacement was begun, and rows would be lost by it; its volume stands, and is given back to it"
        return Decision(node.pod, 12, ABANDON, reason)
    return told


def starts_again(scene: Scene, case: Case) -> bool:
    """Whether a pod may come up with its old volume by itself."""
    node = case.node
    if node.held is not None or case.volume.going or case.volume.lost:
        return False
    if node.phase == "Crashed":
        return not keeps_crashing(node)
    if node.phase == "Running":
        return True
    if node.worker is None:
        # Of a volume whose worker answers again, such as one that is cordoned.
        return case.worker.state == READY
    # A pod that waits on a worker that is off ends within minutes; on one that is back it starts.
    unheard = node.phase == "Pending" and case.worker.state == UNKNOWN
    return unheard or not off_for_good(scene.settings, case.worker)
