# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node gives up its volume, although it is well, and takes its own place on another one.

1. The gates are open: the ring is whole, all hints are delivered, its data fits. Its ranges are repaired.
2. The plan of a replacement is written, then the node closes CQL and drains, until every view has it down.
3. From here on it is a replacement like that of a node that lost its volume, see L(replacing).

A run that is killed leaves the plan behind. Whoever heals the node then does what is right: the node is alive with its
volume, and the replacement is withdrawn; or it is not, and the replacement is finished.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from .. import gates, nodetool, renewal, scaling
from ..context import Context
from ..errors import CassopsError
from ..observe import attempt, objects
from ..replacement.actions import REPLACE, Decision
from ..replacement.case import Case, Settings
from ..replacement.scene import Scene
from ..view import NodeView
from . import failures, repairing
from .cluster import Cluster, Sight
from .delivery import Delivery
from .draining import CLOSE_LIMIT, DRAIN_LIMIT
from .evacuating import Evacuating
from .healing import SAID, Healing
from .members import Members
from .replacing import Done, Replacing
from .waiting import GATES_LIMIT, until

PAUSE = 1.0
# Annotation of the ledger's ConfigMap: the node that is about to give up its volume, and when its repair was begun.
REPAIR_BEGAN = "cassops.kubernetes/repair-began"
# Seconds between closing CQL and draining, for clients to go elsewhere.
DRAIN_WAIT = 1.0
OPTIONS: Mapping[str, Any] = {
    "replace_volumes": {"type": "bool", "default": False},
    "leave_workers": {"type": "list", "elements": "str", "default": []},
    "repair": {"type": "bool", "default": True},
    "repair_timeout": {"type": "int", "default": 86400},
}


class StillOpen(CassopsError):
    """CQL could not be closed; the node goes on as before."""


class Renewing:
    """Gives nodes of one datacenter other volumes.

    :param params: with C(gate_timeout), C(wait_timeout), and L(OPTIONS).
    :ivar done: the replacements that were finished.
    """

    def __init__(
        self, cluster: Cluster, members: Members, params: Mapping[str, Any], ctx: Context, evacuating: Evacuating
    ) -> None:
        self.cluster = cluster
        self.members = members
        self.params = params
        self.ctx = ctx
        self.evacuating = evacuating
        self.limit = float(params["wait_timeout"])
        self.done: list[Done] = []

    # What a killed run left behind

    def begun(self) -> str | None:
        """The node whose plan was left behind."""
        plan = failures.open_plan(self.cluster, self.cluster.look().found)
        return plan.pod if plan is not None and plan.wished else None

    def take_up(self) -> None:
        """Before the lock is taken: healing takes it itself.

        :raises Failed: a person has to decide, or it could not be finished.
        """
        pod = self.begun()
        if pod is None:
            return
        self.members.say(f"{pod}: what a run that was killed had begun is gone on with")
        said = {name: spec["default"] for name, spec in SAID.items()}
        limits = {"wait_timeout": self.params["wait_timeout"], "repair_timeout": self.params["repair_timeout"]}
        healing = Healing(self.cluster, {**said, **limits, "variable_prefix": "heal_"}, self.ctx, only=pod)
        healing.heal(healing.look())
        self.done += healing.replaced

    # One node, under the lock

    def renew(self, pod: str, wanted: renewal.Wanted) -> None:
        """:raises CassopsError: it cannot be finished now; the next run goes on."""
        sight = self.open_gates(pod, wanted)
        if self.params["repair"]:
            self.repair(pod, sight, self.repair_began(pod, sight))
            # Meanwhile hours may have passed.
            sight = self.open_gates(pod, wanted)
        node = self.node(sight, pod)
        window = failures.hint_window(self.cluster, sight)
        settings = Settings(named=frozenset([pod]), hint_window=window)
        replacing = Replacing(self.cluster, settings, self.limit, self.ctx)
        case = Case(
            node,
            worker=failures.worker_of(self.cluster.kube, node.worker, node),
            volume=failures.volume_of(self.cluster.kube, sight.found, node)[0],
        )
        decision = Decision(pod, 0, REPLACE, f"it gets another volume, of {wanted.words()}")
        scene = Scene(sight.view, sight.others, settings)
        plan = replacing.begin(case, decision, scene, sight, wished=True)
        self.members.note(REPAIR_BEGAN, None)
        try:
            self.stop(node, plan.address)
        except StillOpen:
            replacing.abandon(plan)
            raise
        done = replacing.carry_out(plan)
        self.done.append(done)
        if done.repair:
            self.repair(pod, self.cluster.ask(self.cluster.look()), 0.0)
        if wanted.leaves and done.worker in self.evacuating.names:
            raise CassopsError(
                f"{pod} has come back to worker {done.worker}, which took pods again meanwhile: kubectl cordon "
                f"{done.worker}, then run it again"
            )
        self.members.say(f"{pod} has a volume of {wanted.words()}")

    def open_gates(self, pod: str, wanted: renewal.Wanted) -> Sight:
        latest: list[Sight] = []
        hints = Delivery()

        def look() -> Sequence[str]:
            sight = self.cluster.ask(self.cluster.look(), also=[pod])
            latest[:] = [sight]
            scene = scaling.Scene(sight.view, sight.others)
            hints.see(scene.cluster)
            closed = scaling.before_step(scene) + gates.no_hints(scene.cluster)
            if not closed:
                self.refuse(sight, scene, self.node(sight, pod), wanted)
            return closed

        what = f"the gates before {self.members.short(pod)} gives up its volume to open"
        limit = float(self.params[GATES_LIMIT])
        until(look, what, limit, self.progress, PAUSE, hints.mark, GATES_LIMIT)
        return latest[0]

    def refuse(self, sight: Sight, scene: scaling.Scene, node: NodeView, wanted: renewal.Wanted) -> None:
        """:raises CassopsError: waiting does not help."""
        claim = sight.found.all("PersistentVolumeClaim")[f"data-{node.pod}"]
        reasons = renewal.refusals(scene, [node], {node.pod: renewal.to_fit(renewal.capacity(claim), wanted)})
        if wanted.leaves:
            # Hours may have passed since the first look, and somebody may have uncordoned it.
            reasons += self.evacuating.refusals(sight.found, wanted, begun=True)
        if reasons:
            raise CassopsError(f"{node.pod} keeps its volume: {'; '.join(reasons)}")

    def repair(self, pod: str, sight: Sight, since: float) -> None:
        """:param since: what began before does not count, in seconds since 1970."""
        limit, option = float(self.params["repair_timeout"]), f"{self.params.get('option_prefix', '')}repair_timeout"
        repairing.repair(self.cluster, sight.view, pod, limit, option, self.ctx, since)

    def repair_began(self, pod: str, sight: Sight) -> float:
        """When the repair before the node gives up its volume began, by this run or one that was killed.

        Nobody else's counts, however fresh: since then a replica may have been cut off for longer than hints are kept,
        without a start. Nor does one of ours that began longer ago than hints are kept, for the same reason, or than
        the repair of a keyspace may take.
        """
        now = self.cluster.kube.server_time()
        limit = min(float(self.params["repair_timeout"]), failures.hint_window(self.cluster, sight) or 0.0)
        name, _space, told = (self.members.noted(sight.found, REPAIR_BEGAN) or "").partition(" ")
        began = float(told) if name == pod and told.isdigit() else 0.0
        if now - began > limit:
            began = float(int(now))
            self.members.note(REPAIR_BEGAN, f"{pod} {int(began)}")
        return max(self.last_start(), began - repairing.CLOCKS)

    def last_start(self) -> float:
        """When the node of the cluster that was started last was started, in seconds since 1970.

        A row of which a replica was lost with a volume is on fewer than a repair before that has left it on.
        """
        places = (self.cluster.own, *self.cluster.peers)
        found = [objects(place.kube, place.cluster, place.datacenter, kinds=("Pod",)) for place in places]
        return max((failures.started_at(pod) for each in found for pod in each.all("Pod").values()), default=inf)

    def stop(self, node: NodeView, address: str) -> None:
        """Nobody sends it anything any more: what it has not, the others have.

        :raises StillOpen: it serves as before.
        """
        self.close(node.pod)
        time.sleep(DRAIN_WAIT)
        self.progress(f"{node.pod} draining")
        drained = attempt(lambda: self.nodetool(node.pod, "drain", DRAIN_LIMIT))
        if isinstance(drained, CassopsError):
            # It goes on draining, and does so again when its pod ends (StorageService's shutdown hook).
            self.ctx.warnings.append(f"{drained} It has the pod's grace period to finish.")

        def look() -> list[str]:
            sight = self.cluster.ask(self.cluster.look(), busy=False)
            views = (sight.view, *sight.others)
            return [f"{pod} sees it up" for view in views for pod in view.seen_up_by(address) if pod != node.pod]

        until(look, f"{self.members.short(node.pod)} to be down in every view", self.limit, self.progress, PAUSE)

    def close(self, pod: str) -> None:
        self.progress(f"{pod} closing CQL")
        self.cluster.check()
        closed = attempt(lambda: self.nodetool(pod, "disablebinary", CLOSE_LIMIT))
        if isinstance(closed, CassopsError):
            opened = attempt(lambda: self.nodetool(pod, "enablebinary", CLOSE_LIMIT))
            more = (
                ". CQL may be closed still: nodetool enablebinary opens it" if isinstance(opened, CassopsError) else ""
            )
            raise StillOpen(
                f"{pod} keeps its volume, because its CQL could not be closed: {closed}{more}. Look at its log, and run"
                " it again"
            )

    def nodetool(self, pod: str, verb: str, limit: float) -> nodetool.Result:
        return nodetool.run_one(self.cluster.kube, pod, [verb], limit)

    def node(self, sight: Sight, pod: str) -> NodeView:
        node = sight.view.node(pod)
        if node is None:
            raise CassopsError(f"no StatefulSet and no ledger knows {pod} any more; somebody took it away")
        return node

    def progress(self, text: str) -> None:
        self.ctx.progress(self.members.short(text))
