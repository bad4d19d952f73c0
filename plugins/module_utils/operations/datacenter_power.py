# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A datacenter is stopped, with everything that it is kept, or started again.

Stopping:

1. The ledger says that it is stopped, so that nothing heals, restarts or deploys it. Backups by the clock wait.
2. Every node closes CQL, then drains: no commit log is left to replay, and no pod's grace period cuts that off.
3. The StatefulSets want no pods. Volumes, Services, and the ledger stay.

Starting:

1. The ledger says from when to when nobody served, where the whole cluster was stopped: nothing was missed meanwhile,
   so nobody is held for having been away, and nothing has to be repaired.
2. The StatefulSets want all their pods again, at once; then the ledger does not say stopped any more.
3. Every node is up in every view. Backups by the clock go on.

Where the ledger says stopped and every node serves all the same, it only takes that word out of the ledger.

Where every node is held because the whole cluster was away for too long without a stop, that time is noted in the same
way when the user says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import gates
from ..context import Context, Failed
from ..errors import CassopsError
from ..kubeapi import Object
from ..ledger import Ledger
from ..observe import Objects
from ..report import utc
from ..view import NodeView
from ..wording import counted
from . import draining, failures, outage, rollout_plan
from .cluster import CLUSTER, Cluster
from .members import Members, Neighbour, neighbour, pause
from .patience import Ending, Patience
from .waiting import until

# Annotation of a CronJob that a stop has suspended: what a person has suspended stays so.
SUSPENDED = "cassops.kubernetes/suspended"
PAUSE = 1.0
ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    "state": {"type": "str", "choices": ["started", "stopped"], "required": True},
    "after_outage": {"type": "bool", "default": False},
    "drain_timeout": {"type": "int", "default": 300},
    "wait_timeout": {"type": "int", "default": 1800},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(datacenter_power). See its documentation for parameters and results."""
    cluster = Cluster(params, ctx, stopped=True)
    power = Power(cluster, params, ctx)
    if params["state"] == "stopped":
        predict, act = power.would_stop, power.stop
    else:
        predict, act = power.would_start, power.start
    if ctx.check_mode:
        return {**power.result(), "changed": predict()}
    with cluster.locked():
        try:
            act()
        except CassopsError as error:
            raise Failed(str(error), power.result()) from error
        return power.result()


class Power:
    """Stops or starts one datacenter."""

    def __init__(self, cluster: Cluster, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.ctx = ctx
        self.drain_limit = float(params["drain_timeout"])
        self.limit = float(params["wait_timeout"])
        self.after_outage = bool(params["after_outage"])
        self.members = Members(cluster, self.limit, ctx)

    # Stopping

    def would_stop(self) -> bool:
        found, ledger = self.members.look()
        self.refuse(found)
        return ledger.stopped is None or bool(self.pods() or self.schedules(suspended=False))

    def stop(self) -> None:
        found, ledger = self.members.look()
        if ledger.stopped is None:
            self.refuse(found)
            # The last moment to learn what holds a node when it starts again.
            self.cluster.ask(self.cluster.look(), busy=False)
            now = self.now()
            self.cluster.write_ledger(ledger, replace(ledger, stopped=now, closed=now, pause=None))
            self.members.say("the ledger says stopped")
        elif any(node.ready for node in self.cluster.look().view.nodes):
            # A run that was killed left nodes that went on: who was away by then missed what they took.
            now = self.now()
            self.cluster.write_ledger(ledger, replace(ledger, stopped=now, closed=now))
        for name in self.schedules(suspended=False):
            self.suspend(name, True)
        running = [node.pod for node in self.cluster.look().view.nodes if node.phase == "Running" and node.held is None]
        wanted = any(item["spec"]["replicas"] for item in found.all("StatefulSet").values())
        if wanted and running:
            self.drain(running)
        for name, item in sorted(found.all("StatefulSet").items()):
            if item["spec"]["replicas"]:
                self.cluster.check()
                self.members.resize(name.removeprefix(f"{self.members.prefix}-"), 0)
        if self.pods():
            ending = Ending()
            until(lambda: ending.left(self.pods()), "the nodes to stop", self.limit, self.ctx.progress, PAUSE)
            # From here on nobody served: until now, others may have taken writes.
            ledger = self.members.look()[1]
            self.cluster.write_ledger(ledger, replace(ledger, stopped=self.now()))
            self.members.say("all nodes are stopped")

    def refuse(self, found: Objects) -> None:
        """:raises CassopsError: starting again would be an upgrade, or somebody moves."""
        sight = self.cluster.look()
        change = rollout_plan.change_of(sight)
        if change.is_upgrade:
            raise CassopsError(
                f"it is not stopped: {change} waits for a restart, and a start would bring it to all nodes at once. "
                "Run the playbook upgrade first, or deploy the version before"
            )
        nodes = self.cluster.ledger(found).nodes
        orphans = [pod for pod in nodes if failures.orphaned(sight, pod)]
        if orphans:
            way = failures.orphaned(sight, orphans[0])
            raise CassopsError(
                f"it is not stopped: the StatefulSet of {', '.join(orphans)} is gone, so nobody would end them. Run "
                f"the playbook {way} first, which makes it again"
            )
        unfinished = [pod for pod, node in nodes.items() if not node.host_id]
        if unfinished:
            raise CassopsError(f"it is not stopped: {', '.join(unfinished)} is joining; run the playbook scale first")
        if any(node.pending_restart for node in sight.view.nodes):
            self.ctx.warnings.append("a change waits for a restart; starting again will bring it to all nodes")

    def drain(self, pods: list[str]) -> None:
        """Clients first, on every node, then the data."""
        self.ctx.progress(f"closing CQL on {counted(len(pods), 'node')}, then draining them", important=True)
        # A node that was not done drains again when its pod ends.
        self.ctx.warnings.extend(draining.drain(self.cluster.kube, pods, self.cluster.check, self.drain_limit))

    def pods(self) -> list[Object]:
        """Those that are there still."""
        return self.cluster.kube.list("Pod", labels=self.members.labels)

    # Starting

    def would_start(self) -> bool:
        found, ledger = self.members.look()
        if ledger.stopped is not None or self.short(found, ledger) or self.schedules(suspended=True):
            return True
        nodes = self.cluster.look().view.nodes
        waited = outage.unsettled(nodes)
        if waited and outage.held_for_it(nodes):
            # The run decides when it has waited for them: one that is not held may serve.
            self.ctx.warnings.append(
                f"neither held nor serving yet: {', '.join(waited)}. Whether those that are held go on can be told "
                "when it is known of every node"
            )
            return False
        seen = outage.look(self.cluster, ledger, nodes)
        return seen is not None and self.may_release(ledger, seen, nodes)

    def start(self) -> None:
        found, ledger = self.members.look()
        lowered = self.short(found, ledger)
        if ledger.stopped is not None and not lowered and self.all_serve():
            # The ledger of another day was put back, or a stop was killed before it had touched a node.
            closed = ledger.closed if ledger.pause else None
            self.cluster.write_ledger(ledger, replace(ledger, stopped=None, closed=closed))
            self.members.say("every node serves: nothing is drained, and the ledger does not say stopped any more")
        elif ledger.stopped is not None:
            if self.pods():
                # A run that was killed while it stopped them: those that are drained serve again after a start only,
                # and for a pause nobody may have served.
                self.stop()
                found, ledger = self.members.look()
            # Before the first pod: with pods beside it, "stopped" tells of a stop that was not finished.
            paused = pause(ledger, self.neighbours(), self.now())
            # Where others went on for a while, nodes here served until their own end and not until that of all.
            closed = ledger.closed if paused and paused[0] == ledger.stopped else None
            self.cluster.write_ledger(ledger, replace(ledger, pause=paused, closed=closed, stopped=None))
            self.members.say("the ledger does not say stopped any more")
        for rack, nodes in self.short(found, ledger).items():
            self.cluster.check()
            self.members.give_back(rack, nodes)
        try:
            if self.members.done or not all(node.ready for node in self.cluster.look().view.nodes):
                self.wait_whole()
        finally:
            # A node that does not come up is told of, and healed: nobody would start again for the sake of these.
            for name in self.schedules(suspended=True):
                self.suspend(name, False)

    def all_serve(self) -> bool:
        """Whether every node takes requests, in its own word: one whose CQL was closed a moment ago is Ready still."""
        sight = self.cluster.look()
        return not (gates.running(sight.view) or gates.heard(self.cluster.ask_all(sight, busy=False).view))

    def neighbours(self) -> list[Neighbour]:
        """The other datacenters of the cluster, which may be stopped as well."""
        found = [neighbour(place.kube, self.cluster.name, place.datacenter) for place in self.cluster.peers]
        return [each for each in found if each is not None]

    def release(self, nodes: Sequence[NodeView]) -> None:
        """Those that are held because the whole cluster was away go on."""
        ledger = self.members.look()[1]
        seen = outage.look(self.cluster, ledger, nodes)
        if seen is not None and self.may_release(ledger, seen, nodes):
            outage.note(self.cluster, ledger, seen, self.now())
            self.members.say(f"the ledger says that nobody served since {utc(seen.since)}")
            self.ctx.warnings.append(seen.risk())

    def may_release(self, ledger: Ledger, seen: outage.Outage, nodes: Sequence[NodeView]) -> bool:
        """Whether nobody can have served meanwhile, and the user wants them back.

        :raises CassopsError: one of both is not so, and no node serves that the others could be replaced from.
        """
        doubts = outage.doubts(self.cluster, ledger, nodes)
        if doubts and not self.after_outage:
            return False
        if doubts:
            raise CassopsError(
                f"the nodes that are held are not let go: {'; '.join(doubts)}, so others may have served while they "
                "were away. Where others serve now, the playbook heal replaces them; otherwise bring those back first, "
                "or restore the datacenter from a backup"
            )
        if not self.after_outage:
            raise CassopsError(
                f"{seen.words()}. If the whole cluster was away, such as a Kubernetes that was switched off, let them "
                f"go on: after_outage: true (playbook start with -e start_after_outage=true). Then {seen.risk()}. "
                "Nothing was touched"
            )
        return True

    def short(self, found: Objects, ledger: Ledger) -> dict[str, int]:
        """Rack -> nodes, where the StatefulSet wants fewer than the ledger knows."""
        counts: dict[str, int] = {}
        for pod in ledger.nodes:
            rack = self.members.rack_of(pod)
            counts[rack] = max(counts.get(rack, 0), self.members.ordinal(pod) + 1)
        live = {rack: found.get("StatefulSet", self.members.stateful_set(rack)) for rack in counts}
        gone = [rack for rack, item in live.items() if item is None]
        if gone:
            way = "run the playbook deploy"
            if len(gone) < len(live):
                way = "run the playbook destroy, which takes the others away and keeps every volume, then deploy"
            raise CassopsError(f"the StatefulSets of rack {', '.join(gone)} are gone: {way}")
        return {rack: counts[rack] for rack, item in live.items() if item and item["spec"]["replicas"] < counts[rack]}

    def wait_whole(self) -> None:
        patience = Patience(self.cluster.kube)
        told: list[str] = []

        def look() -> list[str]:
            nonlocal patience
            sight = self.cluster.look()
            held = outage.held_for_it(sight.view.nodes)
            if held != told and not outage.unsettled(sight.view.nodes):
                told[:] = held
                self.release(sight.view.nodes)
                # They follow the ledger within a minute or so, from now on.
                patience = Patience(self.cluster.kube)
            lost = patience.lost(sight.view.nodes)
            if lost:
                raise CassopsError(f"{'; '.join(lost)}. The others are started; the playbook heal tells what to do.")
            reasons = gates.running(sight.view)
            return reasons or gates.whole(self.cluster.ask(sight, busy=False).view)

        until(look, "all nodes to be up in every view", self.limit, self.ctx.progress, PAUSE)
        self.members.say("all nodes are up in every view")

    # What is done by the clock

    def schedules(self, *, suspended: bool) -> list[str]:
        """The CronJobs that a stop has suspended, or has yet to suspend."""
        found = {
            item["metadata"]["name"]: item for item in self.cluster.kube.list("CronJob", labels=self.members.labels)
        }
        if suspended:
            return [name for name, item in found.items() if SUSPENDED in (item["metadata"].get("annotations") or {})]
        return [name for name, item in found.items() if not item["spec"].get("suspend")]

    def suspend(self, name: str, wait: bool) -> None:
        self.cluster.check()
        mark = {SUSPENDED: "true" if wait else None}
        self.cluster.kube.patch("CronJob", name, {"metadata": {"annotations": mark}, "spec": {"suspend": wait}})
        # It is named after what it does.
        self.members.say(f"the {name.rpartition('-')[2]}s by the clock {'wait' if wait else 'go on'}")

    # Small things

    def now(self) -> int:
        return int(self.cluster.kube.server_time())

    def result(self) -> dict[str, Any]:
        ledger = self.members.look()[1]
        return {
            "changed": bool(self.members.done),
            "changes": self.members.done,
            "stopped": ledger.stopped is not None,
            "nodes": sorted(ledger.nodes),
        }
