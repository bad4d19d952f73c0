# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of one rack restarted together, as one batch: behind the gates, and proved to be back.

1. Wait until the gates are open.
2. Lower the partition of the rack's StatefulSet, where a newer revision waits, and delete the pods by their UID. Before
   they end they close CQL, give clients a moment to go elsewhere, and drain (`manifests/scripts.py`, STOP).
3. Wait until the nodes are back: at their revision, up in every view, serving; and until all hints are delivered.
4. When the whole rack runs one revision, raise the partition again.

What Kubernetes' controller does (C(stateful_set_control.go), 1.28 to 1.35): once the partition is lowered it deletes
the highest pod of an older revision by itself, one after the other; pods from the partition on are made at the update
revision, those below at the current one; it never deletes a pod of the newest revision, however broken; and the update
revision becomes the current one when every pod runs it and is ready.

A run that was killed leaves nothing half done that Kubernetes does not finish: a pod that it deleted ends and comes
back. Those that were released and not deleted yet are held back by the next run, see L(Restarts.settle).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .. import gates, rollout
from ..context import Context, silent
from ..errors import CassopsError
from ..ledger import ledger_name
from ..observe import RELEASED
from ..view import NodeView, RackView, View
from ..wording import agree
from . import rollout_plan
from .cluster import CLUSTER, Cluster, Sight, unasked
from .delivery import Delivery
from .patience import NO_START, NO_WORKER, Patience, Silence, last_words
from .waiting import GATES_LIMIT, WAIT_LIMIT, Look, Mark, until

# Seconds.
SETTLE_LIMIT = 120.0
# Seconds between two looks that ask every node.
PAUSE = 1.0

LIMITS: Mapping[str, Any] = {
    "gate_timeout": {"type": "int", "default": 120},
    "wait_timeout": {"type": "int", "default": 1800},
}
GATES: Mapping[str, Any] = {
    "low_rf": {"type": "str", "choices": list(rollout.POLICIES), "default": "block"},
    "ignore": {"type": "list", "elements": "str", "default": []},
    "free_disk": {"type": "float"},
    "compactions": {"type": "int"},
}
ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    **LIMITS,
    **GATES,
    "nodes": {"type": "list", "elements": "str", "default": []},
    "force": {"type": "bool", "default": False},
    "soak": {"type": "float", "default": 0.0},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(node_restart). See its documentation for parameters and results."""
    settings = rollout.parse({**params, "max_unavailable": rollout.WHOLE_RACK}, prefix="")
    cluster = Cluster(params, ctx)
    if ctx.check_mode:
        batch, _sight = admitted_batch(cluster, settings, params, ctx)
        return {"changed": batch is not None, "nodes": list(batch.nodes) if batch else []}
    with cluster.locked():
        restarts = Restarts(cluster, settings, Limits.of(params), ctx)
        restarts.settle()
        restarts.wait_well([node.pod for node in cluster.look().view.nodes if node.is_ending])
        batch, sight = admitted_batch(cluster, settings, params, ctx)
        if batch is not None:
            restarts.batch(batch, sight)
    return {
        "changed": bool(restarts.done),
        "nodes": [pod for each in restarts.done for pod in each.nodes],
        "batches": [each.facts() for each in restarts.done],
    }


def admitted_batch(
    cluster: Cluster, settings: rollout.Settings, params: Mapping[str, Any], ctx: Context
) -> tuple[rollout.Batch | None, Sight]:
    """See L(wanted_batch); and what was seen.

    :raises CassopsError: also, by the rules of a rollout: what is pending for them is more than a restart, or a
        keyspace has too few replicas for one.
    """
    sight = cluster.look()
    batch = wanted_batch(sight.view, params["nodes"], params["force"], bool(params["soak"]))
    if batch is None:
        return None, sight
    sight = cluster.ask(sight, also=batch.nodes)
    nodes = [node for node in sight.view.nodes if node.pod in batch.nodes]
    reasons = rollout_plan.not_mere(sight) if any(rollout.needs_restart(sight.view, node) for node in nodes) else []
    rules = gates.availability((sight.view, *sight.others), settings.low_rf != "ignore")
    up = {node.pod for node in nodes if not rollout.is_stuck(sight.view, node)}
    blockers, warnings = rollout.low_replication(sight.view, rules, settings, up)
    if reasons or blockers:
        raise CassopsError("; ".join([*reasons, *blockers]))
    ctx.warnings.extend(warnings)
    return batch, sight


def wanted_batch(view: View, pods: Sequence[str], force: bool, canary: bool) -> rollout.Batch | None:
    """The nodes that were asked for and need it, as a batch; None if there are none.

    :raises CassopsError: there is no such node, they are of several racks, or Kubernetes would restart others too.
    """
    nodes = [node for node in view.nodes if node.pod in pods or f"{node.rack}-{node.ordinal}" in pods]
    unknown = set(pods) - {name for node in nodes for name in (node.pod, f"{node.rack}-{node.ordinal}")}
    if unknown:
        there = ", ".join(node.pod for node in view.nodes)
        raise CassopsError(f"there is no node {', '.join(sorted(unknown))}; there are {there}")
    nodes = [node for node in nodes if force or rollout.needs_restart(view, node)]
    racks = sorted({node.rack for node in nodes})
    if len(racks) > 1:
        raise CassopsError(f"nodes of several racks never restart together; these are of {', '.join(racks)}")
    if not nodes:
        return None
    nodes.sort(key=lambda node: node.ordinal, reverse=True)
    chosen = tuple(node.pod for node in nodes)
    batch = rollout.Batch(racks[0], chosen, nodes[-1].ordinal, canary=canary, why="they were named")
    lowest = min((node.ordinal for node in nodes if rollout.needs_restart(view, node)), default=None)
    if releasing(view, batch) != lowest:
        raise CassopsError(
            f"Kubernetes releases the highest numbers of rack {racks[0]} first: others above {short(chosen)} would "
            "restart too; name them as well, or restart them first"
        )
    return replace(batch, fix=all(rollout.is_stuck(view, node) for node in nodes))


# What gets out of it.
CORRECT = (
    "Correct the cause, run deploy, then the rollout again: it begins with what is down. Or go back to what ran before "
    "with rollout_rollback: true (an upgrade from 4.0 has no way back)."
)
HEAL = (
    "The playbook heal decides what is safe for a node that is held (--check shows what it would do); then run the "
    "rollout again. To go on without the node first, name it in rollout_without."
)
WORKER = (
    "Bring that worker back; where it is off for good, the playbook heal with --check tells what to do. Then run the "
    "rollout again. To go on without the node first, name it in rollout_without."
)


@dataclass(frozen=True)
class Limits:
    """In seconds.

    :param gates: for the gates to open.
    :param wait: for the nodes to be back.
    """

    gates: float
    wait: float

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Limits:
        return cls(gates=float(params["gate_timeout"]), wait=float(params["wait_timeout"]))


@dataclass
class Done:
    """A batch that was restarted, and the seconds that its parts took."""

    batch: rollout.Batch
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def nodes(self) -> tuple[str, ...]:
        return self.batch.nodes

    def facts(self) -> dict[str, Any]:
        return {
            "rack": self.batch.rack,
            "nodes": list(self.nodes),
            "canary": self.batch.canary,
            "why": self.batch.why,
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }


class Restarts:
    """Restarts batches of one datacenter, under its cluster's lock.

    :ivar done: what was restarted so far.
    :ivar where: put before each line of progress, such as C(batch 2 of 6).
    """

    def __init__(self, cluster: Cluster, settings: rollout.Settings, limits: Limits, ctx: Context) -> None:
        self.cluster = cluster
        self.settings = settings
        self.limits = limits
        self.ctx = ctx
        self.done: list[Done] = []
        self.where: Callable[[], str] = lambda: ""

    # One batch

    def batch(self, batch: rollout.Batch, sight: Sight | None = None) -> Sight | None:
        """Restart the nodes of a batch.

        :param sight: what was seen a moment ago, to spare another look if the gates are open in it.
        :return: what was seen when they were back; None of a batch that is not waited for.
        :raises CassopsError: the gates do not open, or a node does not come back; with the cause.
        """
        entry, clock = Done(batch), Stopwatch()
        # In a large datacenter a look asks a few of a rack; what its own nodes are busy with counts too.
        if (
            sight is None
            or sight.is_old
            or set(batch.nodes).intersection(unasked(sight.view))
            or self._gates(sight, batch)
        ):
            sight = self._open_gates(batch)
        entry.seconds["gates"] = clock.lap()
        # From the top, as Kubernetes does: should this run die here, those that are left can be held back.
        nodes = sorted(
            (node for node in sight.view.nodes if node.pod in batch.nodes), key=lambda node: node.ordinal, reverse=True
        )
        self.done.append(entry)
        self._release(sight.view, batch)
        self._delete(nodes)
        stopped = replace(sight.view, nodes=tuple(nodes))
        back = None if batch.lost else self._bring_back(batch, stopped, entry, clock)
        self.settle()
        return back

    def _bring_back(self, batch: rollout.Batch, before: View, entry: Done, clock: Stopwatch) -> Sight:
        """Until the nodes serve again and have all writes; the canary must stay so for a while.

        :param before: those that were stopped, as they were.
        """
        back = self._wait_back(batch, before)
        entry.seconds["down"] = clock.lap()
        if batch.canary and self.settings.soak:
            back = self._soak(batch)
            entry.seconds["soak"] = clock.lap()
        back = self._wait_caught_up(batch, back)
        entry.seconds["hints"] = clock.lap()
        self.say(f"{short(batch.nodes)} {agree(batch.nodes, 'is', 'are')} back after {entry.seconds['down']:.0f} s")
        return back

    def _gates(self, sight: Sight, batch: rollout.Batch) -> Sequence[str]:
        return rollout.before_batch(sight.view, batch, self.settings, sight.others)

    def _open_gates(self, batch: rollout.Batch) -> Sight:
        latest: list[Sight] = []
        hints = Delivery()

        def look() -> Sequence[str]:
            sight = self.cluster.ask(self.cluster.look(), also=batch.nodes)
            latest[:] = [sight]
            hints.see(sight.view.joined(sight.others))
            return self._gates(sight, batch)

        self.wait_gates(look, f"the gates before {short(batch.nodes)} to open", hints.mark)
        return latest[0]

    def _release(self, view: View, batch: rollout.Batch) -> None:
        """Lower the partition so far that the pods are made again at the newest revision."""
        rack, partition = view.rack(batch.rack), releasing(view, batch)
        if rack is None or partition is None or rack.partition <= partition:
            return
        self.cluster.check()
        self._set_partition(rack, partition)
        self.wait_observed()

    def _delete(self, nodes: Iterable[NodeView]) -> None:
        for node in nodes:
            if node.uid:
                # Each time: a request may have hung for longer than the lock lasts.
                self.cluster.check()
                self.say(f"{short([node.pod])} restarting")
                self.cluster.kube.delete("Pod", node.pod, uid=node.uid)

    def _wait_back(self, batch: rollout.Batch, before: View) -> Sight:
        """What was seen when they were."""
        latest: list[Sight] = []

        def proved(sight: Sight) -> Sequence[str]:
            seen = self.cluster.ask(sight, also=batch.nodes)
            latest[:] = [seen]
            return rollout.after_batch(seen.view, batch, seen.others)

        self._wait(batch.nodes, "to be back", before, proved)
        return latest[0]

    def _wait_caught_up(self, batch: rollout.Batch, back: Sight) -> Sight:
        """Cassandra looks every ten seconds whether there are hints to deliver: the canary gets them while it soaks.

        :param back: what was seen a moment ago.
        :return: what was seen when they had all.
        """
        latest = [back]
        hints = Delivery()

        def lacking() -> Sequence[str]:
            return rollout.caught_up(latest[0].view, batch, self.settings, latest[0].others)

        def look() -> Sequence[str]:
            latest[:] = [self.cluster.ask(self.cluster.look(), also=batch.nodes)]
            hints.see(latest[0].view.joined(latest[0].others))
            return lacking()

        if lacking():
            self.wait_nodes(look, f"{short(batch.nodes)} to have all writes", hints.mark)
        return latest[0]

    def wait_well(self, pods: Sequence[str]) -> None:
        """Wait for nodes that are on their way without a batch: Kubernetes must take them for ready."""
        if not pods:
            return
        self._wait(pods, "to be well", None, no_further_proof)

    def _wait(
        self, pods: Sequence[str], what: str, before: View | None, proved: Callable[[Sight], Sequence[str]]
    ) -> None:
        old = {node.pod: node.uid for node in before.nodes} if before else {}
        patience, silence = Patience(self.cluster.kube, (*NO_START, NO_WORKER)), Silence()
        came = Coming()

        def look() -> Sequence[str]:
            sight = self.cluster.look()
            mine = only(sight.view, pods)
            came.see(mine.nodes, old)
            self._give_up(patience.lost(mine.nodes), HEAL if gates.held(mine) else CORRECT, sight.view)
            gone = [f"{node.pod}: {node.reason}" for node in mine.nodes if node.worker_lost]
            self._give_up(gone if silence.lasts(bool(gone)) else (), WORKER, sight.view)
            stays = [node for node in mine.nodes if node.uid and node.uid == old.get(node.pod)]
            late = self._late(mine.nodes)
            return [still_there(node, late) for node in stays] or gates.running(mine) or proved(sight)

        self.wait_nodes(look, f"{short(pods)} {what}", came.mark)

    def _late(self, nodes: Iterable[NodeView]) -> list[str]:
        """Nodes whose pods' grace period is over. Each is told once: when its pod is gone nothing tells of it."""
        now = self.cluster.kube.server_time()
        late = [node.pod for node in nodes if node.is_ending and node.ends_by is not None and now > node.ends_by]
        told = [
            f"{pod} took longer to end than its pod's grace period, so Kubernetes has killed it, most likely before it "
            "had drained. Nothing is lost by that: it replays its commit log when it starts. Where it happens again, "
            "raise terminationGracePeriodSeconds in cassandra_pod_template"
            for pod in late
        ]
        self.ctx.warnings.extend(text for text in told if text not in self.ctx.warnings)
        return late

    def _give_up(self, lost: Sequence[str], way: str, view: View) -> None:
        if not lost:
            return
        waiting = [node.pod for node in view.nodes if rollout.needs_restart(view, node)]
        left = f" Not touched, at the older revision: {short(waiting)}." if waiting else ""
        raise CassopsError(f"{'; '.join(lost)}. The rollout stops here.{left} {way}")

    def _soak(self, batch: rollout.Batch) -> Sight:
        """The canary must be well for so many seconds in a row; what was seen at their end."""
        latest: list[Sight] = []
        since = time.monotonic()
        lives = restarts_of(self.cluster.look().view, batch.nodes)

        def look() -> list[str]:
            nonlocal since
            sight = self.cluster.ask(self.cluster.look(), also=batch.nodes)
            latest[:] = [sight]
            if restarts_of(sight.view, batch.nodes) != lives:
                raise CassopsError(
                    f"{short(batch.nodes)} came back and ended again. The end of its log:\n"
                    f"{last_words(self.cluster.kube, batch.nodes[0])}\nThe rollout stops here. Correct the cause, run "
                    "deploy, then the rollout again."
                )
            reasons = rollout.after_batch(sight.view, batch, sight.others)
            if reasons:
                since = time.monotonic()
            left = self.settings.soak - (time.monotonic() - since)
            return reasons or ([f"{left:.0f} s more"] if left > 0 else [])

        soak = self.settings.soak
        self.wait_nodes(look, f"{short(batch.nodes)} to stay well for {soak:.0f} s", more=soak)
        return latest[0]

    # Partitions

    def settle(self) -> None:
        """Each rack's partition as high as what it runs allows: nothing restarts or upgrades by accident.

        Of a rack that runs one revision that is the number of its nodes. Of one that is half way it is the lowest node
        that has the newest one or is on its way to it: each pod comes back at the revision that it runs, and what a run
        that was killed had only released is held back.
        """
        low = [rack for rack in self.cluster.look().view.racks if rack.partition < rack.replicas]
        if not low:
            return
        names = {rack.name for rack in low}
        until(lambda: self._unsettled(names), "Kubernetes to complete the revision", SETTLE_LIMIT, silent)
        view = self.cluster.look().view
        for rack in view.racks:
            if rack.name in names:
                self._raise(rack, settled_partition(view, rack))

    def _raise(self, rack: RackView, partition: int) -> None:
        if partition <= rack.partition:
            return
        self.cluster.check()
        self._set_partition(rack, partition)
        if rack.current_revision == rack.update_revision:
            return
        # Kubernetes may have deleted one more meanwhile, which would come back at the older revision now.
        self.wait_observed()
        again = settled_partition(self.cluster.look().view, rack)
        if again < partition:
            self.cluster.check()
            self._set_partition(rack, again)

    def _unsettled(self, names: Collection[str]) -> list[str]:
        """Racks whose pods all run the newest revision and are ready, and of which Kubernetes does not say so yet."""
        view = self.cluster.look().view
        return [
            f"StatefulSet {rack.stateful_set}"
            for rack in view.racks
            if rack.name in names
            and rack.current_revision != rack.update_revision
            and all(node.ready and not node.pending_restart for node in view.nodes if node.rack == rack.name)
        ]

    def wait_observed(self) -> None:
        """Until Kubernetes has looked at what was registered: before that, nobody knows what waits for it."""
        # A fraction of a second, mostly: nothing to be told.
        until(self._unobserved, "Kubernetes to look at the StatefulSets", SETTLE_LIMIT, silent)

    def _unobserved(self) -> list[str]:
        return gates.unobserved(self.cluster.look().view)

    def _set_partition(self, rack: RackView, partition: int) -> None:
        low = "by a rollout" if partition < rack.replicas else None
        patch = {
            "metadata": {"annotations": {RELEASED: low}},
            "spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}},
        }
        self.cluster.kube.patch("StatefulSet", rack.stateful_set, patch)

    # Small things

    def annotate(self, values: Mapping[str, str | None]) -> None:
        """Annotations of the ledger; None takes one away."""
        patch = {"metadata": {"annotations": dict(values)}}
        ledger = ledger_name(self.cluster.name, self.cluster.own.datacenter)
        self.cluster.kube.patch("ConfigMap", ledger, patch)

    def wait_gates(self, look: Look, what: str, mark: Mark | None = None) -> None:
        """Until no gate is closed any more."""
        until(look, what, self.limits.gates, self.tell, PAUSE, mark, self.settings.prefix + GATES_LIMIT)

    def wait_nodes(self, look: Look, what: str, mark: Mark | None = None, more: float = 0) -> None:
        """Until nodes are as they shall be.

        :param more: seconds beyond the limit.
        """
        until(look, what, self.limits.wait + more, self.tell, PAUSE, mark, self.settings.prefix + WAIT_LIMIT)

    def tell(self, text: str) -> None:
        self.say(text, important=False)

    def say(self, text: str, important: bool = True) -> None:
        """A line of progress, with the nodes in short: their datacenter stands before it already."""
        own = text.replace(f"{self.cluster.name}-{self.cluster.own.datacenter}-", "")
        self.ctx.progress(f"{self.where()}{own}", important=important)


def releasing(view: View, batch: rollout.Batch) -> int | None:
    """The lowest partition that lets nodes of the batch have the newest revision, and no others.

    From the top: nodes that have it already do not count, nor do lost ones that are released already, and the first one
    that waits and is not in the batch ends it.
    """
    lowest = None
    rack = view.rack(batch.rack)
    partition = rack.partition if rack else 0
    for node in sorted(view.nodes, key=lambda node: -node.ordinal):
        released = node.pod in batch.down and node.ordinal >= partition
        if node.rack == batch.rack and rollout.needs_restart(view, node) and not released:
            if node.pod not in batch.nodes:
                break
            lowest = node.ordinal
    return lowest


def still_there(node: NodeView, late: Collection[str]) -> str:
    """Why a pod that was deleted has not ended yet.

    :param late: those whose grace period is over.
    """
    if node.worker_lost:
        return f"{node.pod} cannot end: {node.reason}"
    if node.pod in late:
        return f"{node.pod} has not ended within its grace period: kubectl describe pod tells what keeps it"
    return f"{node.pod} closes CQL and drains" if node.held is None else f"{node.pod} ends"


def settled_partition(view: View, rack: RackView) -> int:
    """See L(Restarts.settle). A pod that ends comes back released: it is on its way."""
    if rack.current_revision == rack.update_revision:
        return rack.replicas
    released = [node for node in view.nodes if node.rack == rack.name and node.ordinal >= rack.partition]
    gone = [
        node
        for node in released
        if node.uid is None or node.phase == "Terminating" or not rollout.needs_restart(view, node)
    ]
    return min((node.ordinal for node in gone), default=rack.replicas)


class Stopwatch:
    """Seconds between laps."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def lap(self) -> float:
        before, self._last = self._last, time.monotonic()
        return self._last - before


class Coming:
    """What nodes that start have come through so far.

    It only grows, and not for ever: a node that starts again and again does not come on.
    """

    def __init__(self) -> None:
        self._seen: set[tuple[str, bool, str | None, bool]] = set()

    def see(self, nodes: Iterable[NodeView], old: Mapping[str, str | None]) -> None:
        """:param old: the UIDs of the pods that were stopped."""
        self._seen |= {
            (node.pod, bool(node.uid) and node.uid == old.get(node.pod), node.phase, node.ready) for node in nodes
        }

    def mark(self) -> int:
        return len(self._seen)


def no_further_proof(sight: Sight) -> Sequence[str]:  # noqa: ARG001
    """Ready is enough."""
    return ()


def only(view: View, pods: Collection[str]) -> View:
    """The view of these nodes alone, for the gates about a node's pod."""
    return View(view.cluster, view.datacenter, view.phase, tuple(node for node in view.nodes if node.pod in pods))


def restarts_of(view: View, pods: Collection[str]) -> dict[str, tuple[str | None, int]]:
    """Pod -> UID and restarts of its container."""
    return {node.pod: (node.uid, node.restarts) for node in view.nodes if node.pod in pods}


def short(pods: Sequence[str]) -> str:
    """Names of nodes for a line of progress: not more than three."""
    shown = ", ".join(pods[:3])
    return shown if len(pods) <= 3 else f"{shown} and {len(pods) - 3} more"
