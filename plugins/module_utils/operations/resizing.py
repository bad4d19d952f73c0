# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the numbers of nodes that a datacenter has to those that are wanted: one node after the other, under one lock.

The plan is made anew before each step, from what is there, and its first step is carried out. So the next run goes on
with one that was killed, to its own target: what joins or leaves already is finished first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import scaling, spec
from ..context import Context, Failed
from ..errors import CassopsError, SpecError
from ..events import seconds_of
from ..ledger import Ledger, ledger_name
from ..observe import Objects
from ..scaling import CLEANUP, JOIN, LEAVE, REPLICATE, TIDY, WITHDRAW, RackState, Scene, Step
from ..view import NodeView, View
from . import superuser, unfinished
from .cleaning import Cleaning
from .cluster import Cluster, Sight
from .joining import Joining, has_joined
from .leaving import LEAVING, Leaving, goes, let_go
from .members import REPLICATING, Members
from .waiting import until

LIMITS: Mapping[str, Any] = {
    # Longer than a node takes that was drained and is back: its grace period, and its start.
    "gate_timeout": {"type": "int", "default": 900},
    "wait_timeout": {"type": "int", "default": 1800},
    "cleanup_timeout": {"type": "int", "default": 86400},
}
# Seconds by which the clocks of API servers may differ.
CLOCKS = 60.0
OPTIONS: Mapping[str, Any] = {
    **LIMITS,
    "cleanup": {"type": "bool", "default": True},
    "cleanup_jobs": {"type": "int", "default": 1},
    "delete_volumes": {"type": "bool", "default": False},
    "ignore": {"type": "list", "elements": "str", "default": []},
    "option_prefix": {"type": "str", "default": ""},
}


class Resizing:
    """One run towards a target.

    :param target: rack -> number of nodes.
    :param desired: the datacenter as the inventory has it; None where nobody joins.
    :param steps: end after so many nodes have joined or left.
    :param ends: the whole datacenter leaves its cluster, see L(scaling.Settings).
    """

    def __init__(
        self,
        cluster: Cluster,
        target: Mapping[str, int],
        params: Mapping[str, Any],
        ctx: Context,
        desired: spec.Datacenter | None = None,
        steps: int | None = None,
        ends: bool = False,
    ) -> None:
        self.cluster = cluster
        self.target = dict(target)
        self.params = params
        self.ctx = ctx
        self.steps = steps
        self.settings = replace(settings_of(params), ends=ends)
        self.gate_limit = gates = float(params["gate_timeout"])
        limit = float(params["wait_timeout"])
        self.members = Members(cluster, limit, ctx, desired)
        self.joining = Joining(cluster, self.members, self.settings, gates, limit, ctx)
        self.leaving = Leaving(cluster, self.members, self.settings, gates, limit, ctx)
        self.cleaning = Cleaning(cluster, self.members, params["cleanup_jobs"], float(params["cleanup_timeout"]), ctx)
        self.began = time.monotonic()
        self.moved: list[dict[str, Any]] = []
        self.before: dict[str, float] = {}
        self.after: dict[str, float] = {}

    # Looking

    def scene(self, sight: Sight) -> Scene:
        return Scene(sight.view, sight.others, self.settings)

    def racks(self, sight: Sight) -> list[RackState]:
        """The racks as they are, in the order wanted."""
        ledger = self.cluster.ledger(sight.found)
        strays = self.members.strays(sight.found, self.params["delete_volumes"])
        names = {rack.name for rack in sight.view.racks} | {
            self.members.rack_of(pod) for pod in (*ledger.nodes, *strays)
        }
        order = [*(name for name in self.target if name in names), *sorted(names - set(self.target))]
        out = self.on_the_way(sight)
        untidy = {self.members.rack_of(pod) for pod in strays}
        return [replace(self.rack(name, ledger, sight, out), strays=name in untidy) for name in order]

    def rack(self, name: str, ledger: Ledger, sight: Sight, out: Sequence[str]) -> RackState:
        nodes = [pod for pod in ledger.nodes if self.members.rack_of(pod) == name]
        joined = [pod for pod in nodes if ledger.host_id(pod) or has_joined(sight, pod)]
        live = sight.view.rack(name)
        number = self.members.ordinal
        return RackState(
            name=name,
            joined=frozenset(map(number, joined)),
            begun=frozenset(number(pod) for pod in nodes if pod not in joined),
            leaving=frozenset(number(pod) for pod in joined if pod in out),
            replicas=live.replicas if live else None,
        )

    def on_the_way(self, sight: Sight) -> list[str]:
        """Nodes that leave, or have left and are in the ledger still."""
        observations = sight.view.joined(sight.others).observations.values()
        leaving = {
            address
            for seen in observations
            for address, member in seen.endpoints.items()
            if (member.status or "").upper().startswith(LEAVING)
        }
        return [
            node.pod
            for node in sight.view.nodes
            if node.address in leaving or let_go(sight, node) or goes(self.cluster, sight, node)
        ]

    def plan(self, sight: Sight) -> list[Step]:
        few = self.begun(sight) or scaling.few_replicas(self.scene(sight), sum(self.target.values()))
        steps = scaling.plan(self.racks(sight), self.target, self.members.unclean(sight.found), few)
        if self.params["cleanup"] or any(step.kind == LEAVE for step in steps):
            return steps
        # Not asked for; before others leave it is never left out.
        return [step for step in steps if step.kind != CLEANUP]

    def begun(self, sight: Sight) -> bool:
        """Whether a run that was killed had begun to give Cassandra's own keyspaces more replicas."""
        return self.members.noted(sight.found, REPLICATING) is not None

    # Going

    def run(self) -> dict[str, Any]:
        try:
            return self.go()
        except CassopsError as error:
            # What was done is done, and a person wants to know it.
            raise Failed(str(error), self.done(), getattr(error, "errors", ())) from error

    def go(self) -> dict[str, Any]:
        sight = self.settled(self.cluster.ask_all(self.cluster.look()))
        self.before = self.after = scaling.ownership(self.scene(sight))
        steps = self.plan(sight)
        self.refuse(sight, steps)
        for text in self.warn(sight, steps):
            self.ctx.progress(self.members.short(text), important=True)
        while steps and (self.steps is None or len(self.moved) < self.steps):
            self.tell(steps)
            sight = self.settled(self.cluster.again(self.take(steps[0], sight), everyone=True))
            steps = self.plan(sight)
        self.members.set_seeds(self.order(sight))
        # Also where a run was killed right before that.
        self.cluster.keep_budget()
        self.after = scaling.ownership(self.scene(sight)) or self.after
        return self.result(steps)

    def settled(self, sight: Sight) -> Sight:
        """What joined under a run that was killed is a member; what is left of the plan is worked out with it."""
        waiting = [pod for pod, node in self.cluster.ledger(sight.found).nodes.items() if not node.host_id]
        for pod in waiting:
            if has_joined(sight, pod):
                self.joining.finish(pod, sight)
                self.members.say(f"{pod} has joined")
                sight = self.cluster.ask_all(self.cluster.look())
        return sight

    def refuse(self, sight: Sight, steps: Sequence[Step], *, room: bool = True) -> None:
        """:raises SpecError: with every reason why the target cannot be gone to.

        :param room: also for lack of room.
        """
        scene = self.scene(sight)
        if not room:
            scene = replace(scene, settings=replace(self.settings, ignore=self.settings.ignore | {scaling.SPACE}))
        reasons = self.unlike(sight)
        reasons += scaling.refusals(scene, steps, self.target, self.on_the_way(sight))
        joining = [(step.rack, step.ordinal) for step in steps if step.kind == JOIN]
        reasons += self.members.taken(sight.found, joining)
        if not self.params["delete_volumes"]:
            pods = [self.members.pod(*each) for each in joining]
            reasons += [reason for pod in pods for reason in self.members.in_the_way(sight.found, pod)]
        if any(step.kind in (JOIN, LEAVE) for step in steps):
            reasons += unfinished.beside_restore(sight.found, self.cluster.name, self.cluster.own.datacenter)
        if reasons:
            raise SpecError(reasons)

    def warn(self, sight: Sight, steps: Sequence[Step]) -> list[str]:
        """What a person should know before the first step, as warnings; and as a result, to tell it at once too."""
        told = scaling.may_lack_room(self.scene(sight), steps, self.on_the_way(sight))
        self.ctx.warnings.extend(told)
        return told

    def unlike(self, sight: Sight) -> list[str]:
        """Why nobody may come or leave, whoever it is: a rollout is half way, or the ledger is not that of the ring."""
        ledger = ledger_name(self.cluster.name, self.cluster.own.datacenter)
        return [*lowered(sight.view), *scaling.forgotten(self.scene(sight), self.members.unknown(sight), ledger)]

    def refuse_target(self) -> None:
        """Before volumes grow, which cannot be taken back. They may bring the room that lacks now. Raises as L(refuse)
        does."""
        sight = self.cluster.ask_all(self.cluster.look())
        self.refuse(sight, self.plan(sight), room=False)

    def take(self, step: Step, sight: Sight) -> Sight | None:
        """One step.

        :param sight: what was seen a moment ago.
        :return: what every node has said at the end of it, None where they were not asked.
        """
        rack, number = step.rack, step.ordinal
        if step.kind == TIDY:
            self.members.tidy(rack, self.params["delete_volumes"])
        elif step.kind == WITHDRAW:
            self.withdraw(self.members.pod(rack, number))
        elif step.kind == JOIN:
            seconds, seen = self.joining.join(rack, number, self.params["delete_volumes"], sight)
            self.note(JOIN, rack, number, seconds)
            return seen
        elif step.kind == REPLICATE:
            self.replicate()
        elif step.kind == CLEANUP:
            self.cleaning.clean(self.members.unclean(self.cluster.look().found))
        else:
            pod, order, begun = self.members.pod(rack, number), self.order(sight), self.on_the_way(sight)
            seconds = self.leaving.leave(pod, order, self.params["delete_volumes"], sight, pod in begun)
            self.note(LEAVE, rack, number, seconds)
        return None

    def note(self, kind: str, rack: str, number: int, seconds: float) -> None:
        self.moved.append({"node": self.members.pod(rack, number), "step": kind, "seconds": round(seconds, 1)})

    def order(self, sight: Sight) -> list[str]:
        """Racks in the order in which their first nodes are seeds; none where all leave."""
        if self.settings.ends:
            return []
        there = {rack.name for rack in sight.view.racks}
        kept = [name for name, count in self.target.items() if count and name in there]
        return [*kept, *sorted(there - set(kept))]

    def withdraw(self, pod: str) -> None:
        """A node that has not joined yet, and is not wanted any more.

        It may join by itself until it is stopped, which takes a moment. So its volume goes only when it is, and all
        members have said since that they do not know it.
        """
        sight = self.cluster.look()
        node = sight.view.node(pod)
        address, foreign = (node.address, is_foreign(sight.found, node)) if node else (None, False)
        known = self.joining.known_as_member(pod, address)
        if not known and not (node and node.held is not None):
            # One that is held runs no Cassandra, and its volume is somebody's: it must not look like its own.
            self.members.stop(pod)
        known = known or self.joining.known_as_member(pod, address, all_members=True)
        if known:
            self.members.say(f"{pod} has joined meanwhile ({known[0]}): it leaves like any other")
            self.joining.come_back(pod)
            return
        self.members.drop(pod, claim_too=not foreign)

        def look() -> list[str]:
            sight = self.cluster.ask(self.cluster.look(), busy=False)
            told = sight.view.joined(sight.others).observations.items()
            return [f"{name} still knows it" for name, seen in sorted(told) if address in seen.endpoints]

        until(
            look, f"{self.members.short(pod)} to be forgotten", float(self.params["wait_timeout"]), self.progress, 2.0
        )
        kept = f"; the volume claim data-{pod}, which was there before it, stays" if foreign else ""
        self.members.say(f"{pod} is withdrawn{kept}")

    def replicate(self) -> None:
        """Cassandra's own keyspaces get the replicas that deploy would have given them.

        Noted before: what is left of it when a run is killed, no look would tell.
        """
        latest: list[Sight] = []

        def look() -> list[str]:
            latest[:] = [self.cluster.ask(self.cluster.look())]
            return scaling.before_step(self.scene(latest[0]))

        until(look, "the gates before logins get more replicas to open", self.gate_limit, self.progress, 1.0)
        scene, place = self.scene(latest[0]), self.cluster.own
        have, wanted = scaling.login_replicas(scene), scaling.system_replicas(sum(self.target.values()))
        self.members.note(REPLICATING, "true")
        counts = range(min(have, wanted), wanted + 1)
        superuser.replicate_more(
            place.kube, sorted(scene.view.observations), place.credentials, place.datacenter, counts
        )
        self.members.note(REPLICATING, None)
        self.members.say(f"{', '.join(scaling.SYSTEM_KEYSPACES)} have {wanted} replicas or more here")

    # For people

    def progress(self, text: str) -> None:
        self.ctx.progress(self.members.short(text))

    def tell(self, steps: Sequence[Step]) -> None:
        left = len([step for step in steps if step.kind in (JOIN, LEAVE)])
        more = f", {left} nodes to move" if left > 1 else ""
        self.ctx.progress(f"next: {steps[0].words()}{more}", important=True)

    def done(self) -> dict[str, Any]:
        """What was done; nothing is looked at, so it can be told when nothing answers."""
        return {
            "changed": bool(self.members.done),
            "changes": self.members.done,
            "moved": self.moved,
            "seconds": round(time.monotonic() - self.began, 1),
        }

    def result(self, left: Sequence[Step] = ()) -> dict[str, Any]:
        return {
            **self.done(),
            "left": [step.words() for step in left],
            "needs_cleanup": self.members.unclean(self.cluster.look().found),
            "ownership": {"before": self.before, "after": self.after},
        }

    def predict(self) -> dict[str, Any]:
        """The plan, and whether it may be begun; nothing is written."""
        sight = self.cluster.ask_all(self.cluster.look())
        steps = self.plan(sight)
        self.refuse(sight, steps)
        self.warn(sight, steps)
        self.before = scaling.ownership(self.scene(sight))
        words = [step.words() for step in steps]
        return {**self.result(steps), "changed": bool(steps), "changes": words}


def settings_of(params: Mapping[str, Any]) -> scaling.Settings:
    """:raises SpecError: a refusal is named that nobody may go past."""
    unknown = sorted(set(params["ignore"]) - set(scaling.IGNORABLE))
    if unknown:
        raise SpecError(
            [
                f"{params['option_prefix']}ignore: {', '.join(unknown)} cannot be ignored; "
                f"{' and '.join(scaling.IGNORABLE)} can"
            ]
        )
    return scaling.Settings(frozenset(params["ignore"]), params["option_prefix"])


def lowered(view: View) -> list[str]:
    """Racks of which a rollout is half way.

    A new pod would come at another revision than its neighbours. And another number of places moves the partition: a
    node that runs the new revision would come back at the old one.
    """
    return [
        f"a rollout of rack {rack.name} is half way: finish it with the playbook restart first"
        for rack in view.racks
        if rack.partition < rack.replicas or rack.half_way
    ]


def numbers(cluster: Cluster) -> dict[str, int]:
    """Rack -> number of nodes, by the ledger."""
    prefix = f"{cluster.name}-{cluster.own.datacenter}-"
    found: dict[str, int] = {}
    for pod in cluster.ledger(cluster.look().found).nodes:
        rack, _dash, ordinal = pod.removeprefix(prefix).rpartition("-")
        found[rack] = max(found.get(rack, 0), int(ordinal) + 1)
    return found


def is_foreign(found: Objects, node: NodeView) -> bool:
    """Whether the volume of a node that has not joined may be another's.

    Its start script says so, and lets no Cassandra run on it; but only in a pod that runs. Of another one the claim
    tells: a node's Service, where it has one, is made before its pod and its claim.
    """
    service, claim = found.get("Service", node.pod), found.get("PersistentVolumeClaim", f"data-{node.pod}")
    has_told = node.held is not None or node.phase == "Crashed" or (node.phase == "Running" and node.answered)
    if has_told or claim is None or service is None:
        return node.held is not None
    return made(claim) < made(service) - CLOCKS


def made(item: Mapping[str, Any]) -> float:
    stamp = item["metadata"].get("creationTimestamp")
    return seconds_of(stamp) if stamp else 0.0
