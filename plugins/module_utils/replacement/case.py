# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node with all that is known of it, and what the user said. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..view import NodeView

READY, AWAY, GONE, UNKNOWN = "ready", "away", "gone", "unknown"
LOCAL, NETWORK = "local", "network"

# From which on a container that crashes does not come up by itself.
CRASHES = 3
MOMENT = 60.0
"""Seconds after which failure detectors and controllers have noticed."""


@dataclass(frozen=True)
class Worker:
    """A worker. C(state) is C(unknown) where these credentials may not read workers and nothing else tells.

    :param out_of_service: somebody has said to Kubernetes that it is off, by a taint.
    """

    name: str | None = None
    state: str = UNKNOWN
    out_of_service: bool = False


@dataclass(frozen=True)
class Volume:
    """A node's volume. C(claim_uid) is None where there is no claim.

    :param name: of the PersistentVolume.
    :param kind: C(local) (it stays on its worker), C(network) (it can follow the pod), or C(unknown).
    :param lost: Kubernetes says that the volume behind the claim is gone.
    :param going: the claim is being deleted; it is gone as soon as no pod uses it.
    """

    claim_uid: str | None = None
    name: str | None = None
    kind: str = UNKNOWN
    lost: bool = False
    going: bool = False


@dataclass(frozen=True)
class Case:
    """One node with all that is known of it. A fact that could not be found out is None or C(unknown).

    :param worker: where its pod is or, of a pod without a worker, where its volume is.
    :param down: for at least so many seconds nobody could use it.
    :param overdue: for so many seconds its pod should have been gone; None while nobody ends it.
    :param missed: seconds that it was down before its last start, as long as its ranges were not repaired since.
    :param unread: why that is not known just now.
    :param last_words: the end of the log of a container that crashed.
    :param streams_failed: why the streams of a node failed that joins, or takes another's place, and goes on without
        its data, by its log; empty where they did not, or that is not known.
    :param wanted: a StatefulSet wants this node.
    :param orphaned: there is no StatefulSet that could; the playbook that makes it again.
    :param open_plan: a replacement of this node was begun and is not finished.
    :param wished: that was begun although the node was well.
    :param accepted: and a person has accepted that rows may be lost by it.
    :param old_volume: and the volume that it gives up is still there.
    :param again: that volume is what an attempt before has left, not the one that the dead node had.
    """

    node: NodeView
    worker: Worker = Worker()
    volume: Volume = Volume()
    down: float | None = None
    overdue: float | None = None
    missed: float | None = None
    unread: str = ""
    last_words: str = ""
    streams_failed: str = ""
    wanted: bool = True
    orphaned: str = ""
    open_plan: bool = False
    wished: bool = False
    accepted: bool = False
    old_volume: bool = False
    again: bool = False


@dataclass(frozen=True)
class Settings:
    """What the user said.

    :param named: nodes to replace, also where heal would ask.
    :param workers_off: workers that the user says are off for good.
    :param accept_loss: keyspaces of which rows may be lost.
    :param grace: seconds that a worker may be away before anybody is asked about it.
    :param hint_window: Cassandra's C(max_hint_window), in seconds; None where no node could tell it.
    :param prefix: of the options' names in messages: a role's variables have its name before them.
    """

    named: frozenset[str] = frozenset()
    workers_off: frozenset[str] = frozenset()
    accept_loss: frozenset[str] = frozenset()
    grace: float = 300.0
    hint_window: float | None = 10800.0
    prefix: str = ""

    def say(self, option: str, *values: str) -> str:
        """How to say something, as an option of a module or, with a prefix, on the command line of a playbook."""
        if self.prefix:
            return f"-e {self.prefix}{option}={','.join(values)}"
        return f"{option}: [{', '.join(values)}]"


def is_ending(node: NodeView, worker: Worker) -> bool:
    """Its pod ends on a worker that answers, and is gone sooner or later; until then it drains."""
    return node.phase == "Terminating" and worker.state == READY


def ends(case: Case) -> str:
    """The same in words."""
    where = f" on worker {case.worker.name}" if case.worker.name else ""
    return f"its pod ends{where}, and has its grace period for that (if it takes longer: kubectl describe pod)"


def keeps_crashing(node: NodeView) -> bool:
    """Whether it does not come up by itself. The count is that of its pod's life: those of last month do not count."""
    return node.backing_off and node.restarts >= CRASHES


def must_repair(down: float | None, settings: Settings) -> bool:
    """Whether a node's ranges must be repaired: it was down for longer than hints are kept, or nobody knows."""
    return down is None or settings.hint_window is None or down > settings.hint_window
