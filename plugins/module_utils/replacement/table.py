# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Failed nodes: from what was observed to what is to be done about each, and why. Pure.

The rows are those of the table in docs/operations/heal.md. Here it is decided which of them is a node's; they are in
alive, dead, newcomers, unwanted, begun and strangers, and what speaks against giving up a volume is in safety. What
they rely on in Cassandra (the same in 4.0, 4.1, 5.0):

- C(StorageService.prepareForReplacement) wants the dead address and its tokens in the gossip of a seed, a node that is
  no seed itself, and an empty data folder. Whether the dead node is really dead it asks only for another address
  (C(prepareForBootstrap)): under its own, stable address nobody would notice. So it is asked here, in every view.
- C(RangeStreamer) takes each range from one living replica. Where none is left it refuses, but for keyspaces with one
  replica: there it goes on, and the rows are gone (C(getAllRangesWithSourcesFor)).
- Under its own address the replacement keeps its host id, so hints reach it; no write does while it streams
  (C(hibernate), CASSANDRA-8523). Hints are kept for C(max_hint_window) only (C(StorageProxy.shouldHint)).
- A node whose streams fail goes on without joining (C(StorageService.joinTokenRing)): C(BOOT) for the others, which
  write to it too. Beside one nobody is replaced (C(prepareForBootstrap)). Gossip forgets it a minute after its end
  (C(Gossiper.FAILED_BOOTSTRAP_TIMEOUT)), and with it the ranges that it was to get.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..view import View
from .actions import MOVE, RECREATE, REPLACE, Decision, ask, wait
from .alive import living
from .begun import begun
from .case import AWAY, GONE, Case, Settings, is_ending
from .dead import crashed, held, placed, starting, unplaced, without_worker
from .newcomers import gave_up, has_given_up, is_new, newcomer
from .safety import safe
from .scene import Scene
from .strangers import strangers
from .unwanted import ORPHANED, TAKEN_AWAY, has_left, make_again, surplus
from .words import held_because

OVERDUE = 300.0
"""So many seconds after its grace period a pod is not waited for any more: kubelets take a minute or two to kill its
containers and to unmount its volumes."""


def decide(seen: View, cases: Iterable[Case], settings: Settings, peers: Sequence[View] = ()) -> list[Decision]:
    """What to do about each node, in the order of the nodes, then about strangers in the ring.

    Each decision stands for itself. Of those that act only one may be carried out (L(actions.first)); then everything
    is looked at again.

    :param peers: the views of the cluster's other datacenters.
    """
    listed, scene = list(cases), Scene(seen, tuple(peers), settings)
    scene = replace(scene, in_the_way=tuple(case.node.pod for case in listed if has_given_up(scene, case)))
    return [*(decision(scene, case) for case in listed), *strangers(scene)]


def decision(scene: Scene, case: Case) -> Decision:
    """What to do about one node."""
    told = by_table(scene, case)
    if told.action in (MOVE, RECREATE) and case.volume.going and told.row != 13:
        # Its pod is all that keeps the claim: what else only makes the pod again would give the volume up.
        return safe(scene, case, told.action, told.row, f"{told.reason}, and its volume goes with its pod")
    return told


def by_table(scene: Scene, case: Case) -> Decision:
    node, member = case.node, scene.member(case.node)
    up = scene.up_in(member.address if member else node.address)
    if scene.seen.phase != "running":
        return ask(case, 0, "the datacenter's first start is not finished", "run the playbook deploy")
    if is_ending(node, case.worker) and (case.overdue or 0) > OVERDUE:
        return stuck(scene, case)
    if case.orphaned:
        return ask(case, 9, ORPHANED, make_again(case.orphaned))
    if not case.wanted:
        return surplus(case, bool(up))
    if case.open_plan:
        return begun(scene, case, up)
    if has_given_up(scene, case):
        return gave_up(scene, case)
    if up:
        return living(scene, case, up)
    if is_new(scene, node):
        return newcomer(scene, case)
    if member is None and has_left(scene):
        return ask(case, 9, "it has left the ring: no living node knows it", TAKEN_AWAY)
    if node.held is not None:
        return held(scene, case, held_because(node.held))
    if case.volume.lost:
        return safe(scene, case, REPLACE, 6, "Kubernetes says that its volume is lost")
    if node.phase == "Pending" and node.worker is None:
        return unplaced(scene, case)
    if case.worker.state in (AWAY, GONE) or node.phase == "Terminating":
        return without_worker(scene, case)
    if node.phase == "Pending":
        return placed(scene, case)
    if node.phase == "Crashed":
        return crashed(scene, case)
    if node.phase == "Running":
        return starting(scene, case)
    return wait(case, 1, f"it has no pod that runs ({node.reason or node.phase or 'none'})")


def stuck(scene: Scene, case: Case) -> Decision:
    """Nobody takes it away by force: a process that hangs there would meet its successor on the same volume."""
    pod, name = case.node.pod, case.worker.name
    return ask(
        case,
        4,
        f"its pod should have ended {case.overdue:.0f} s ago, and worker {name}, which answers, does not end it",
        f"see what keeps it there: {scene.seen.kubectl} describe pod {pod}, and the kubelet's log on {name}; mostly a "
        f"volume that cannot be unmounted, or a disk that hangs. If that cannot be mended, restart {name}; the pod is "
        "made again then. Do not delete it by force while that worker runs: its process may go on",
    )
