# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dead member of the ring that will not come back is removed; the others take over its ranges.

C(nodetool removenode) has the living stream to each other what the dead one held (C(StorageService.removeNode)); it
blocks until all of them are done, and a second one for the same member goes on with the first. Any living member may
lead it, of whatever datacenter. C(assassinate) only makes the others forget an address: nothing is streamed, so it is
for addresses that own nothing, or the last resort.

A receiver that dies keeps a removal from ending. One whose stream fails does not: it says that it is done all the same,
and why not in its log alone (C(StorageService.restoreReplicaCount), 4.0 to 5.0). So the logs are read, and as they are
kept for a while only, a repair is due after each removal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from .. import gates, nodetool, ring, scaling
from ..context import Context, Failed
from ..errors import CassopsError
from ..kube import Kube
from ..kubeapi import ExecTimeout
from ..observe import attempt, together
from ..replacement.case import Settings
from ..replacement.losses import losses
from ..replacement.safety import obstacles
from ..replacement.scene import Scene, joined, leaves, under_way
from ..replacement.unwanted import ORPHANED, make_again
from ..view import Endpoint, Keyspace, NodeView, View
from . import departed, failures
from .cluster import CLUSTER, Cluster, Place, Sight
from .departed import Removed
from .members import Members, unclean
from .waiting import WAIT_LIMIT, until

VERB_LIMIT = 120.0
# What C(removenode status) says on the node that leads a removal (C(StorageService.getRemovalStatus)).
LEADS = re.compile(r"Removing token \((-?\d+)\)")
FORCE = ("removenode", "force")
# What a node says in its log whose stream failed, and one that found nobody to stream from.
STREAM_FAILED = "Streaming to restore replica count failed"
NO_SOURCE = "Didn't find live replica to restore replication"
# Lines of a log that are read; it is read from the beginning of the removal.
LOG_LINES = 100_000
REPAIR = (
    "run the playbook repair for all datacenters of the cluster; what was repaired before the removal does not count "
    "there"
)
PAUSE = 1.0
ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    "host_id": {"type": "str"},
    "address": {"type": "str"},
    "accept_loss": {"type": "list", "elements": "str", "default": []},
    "ignore": {"type": "list", "elements": "str", "choices": [scaling.SPACE], "default": []},
    "force": {"type": "bool", "default": False},
    "assassinate": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 86400},
}
RULES: Mapping[str, Any] = {
    "required_one_of": [["host_id", "address"]],
    "mutually_exclusive": [["host_id", "address"], ["force", "assassinate"]],
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(node_remove). See its documentation for parameters and results.

    :raises CassopsError: it is not safe, with all reasons; or it did not end in the time given.
    """
    removal = Removal(Cluster(params, ctx), params, ctx)
    if ctx.check_mode:
        return removal.predict()
    with removal.cluster.locked():
        return removal.carry_out()


@dataclass(frozen=True)
class Leader:
    """A node that may lead a removal, of any datacenter of the cluster."""

    kube: Kube
    pod: str

    def run(self, verb: Sequence[str], limit: float = VERB_LIMIT) -> nodetool.Result:
        return nodetool.run_one(self.kube, self.pod, verb, limit)


@dataclass(frozen=True)
class Step:
    """What takes a member out of the ring: a verb of nodetool on one node.

    :ivar words: empty where it only goes on with what was begun.
    """

    words: str
    leader: Leader
    verb: tuple[str, ...] = ()


class Removal:
    """The removal of one member."""

    def __init__(self, cluster: Cluster, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.params = params
        self.ctx = ctx
        self.done: list[str] = []

    def predict(self) -> dict[str, Any]:
        sight = self.look(everyone=True)
        member = self.member(sight)
        if member is not None:
            words = self.allowed(sight, member).words
            self.done += [words] if words else []
        self.done += [f"forget {pod}" for pod in self.forgettable(sight)]
        return self.result(member)

    def carry_out(self) -> dict[str, Any]:
        sight = self.look(everyone=True)
        member = self.member(sight)
        if member is not None:
            step = self.allowed(sight, member)
            if begins(step) and cleanups(sight):
                self.wait_for_cleanups(member)
                # Hours may have passed.
                return self.carry_out()
            self.remember(sight, member)
            self.take(step, member)
            self.prove(member)
        self.forget(self.cluster.look())
        self.follow_up(member)
        return self.result(member)

    def look(self, everyone: bool = False) -> Sight:
        """:param everyone: each that may take over says what room it has."""
        sight = self.cluster.look()
        return self.cluster.ask_all(sight) if everyone else self.cluster.ask(sight, busy=False, gossip=True)

    def scene(self, sight: Sight) -> Scene:
        return Scene(sight.view, sight.others, Settings(accept_loss=frozenset(self.params["accept_loss"])))

    def member(self, sight: Sight) -> Endpoint | None:
        """Whom to remove; None where no view knows it (any more)."""
        members = self.scene(sight).members.values()
        if not members:
            raise CassopsError("no node could be asked for its view, so nobody can be removed; see the playbook status")
        key = "host_id" if self.params.get("host_id") else "address"
        return next((item for item in members if getattr(item, key) == self.params[key]), None)

    # Is it safe?

    def allowed(self, sight: Sight, member: Endpoint) -> Step:
        """What is to be done.

        :raises CassopsError: with every reason why not.
        """
        scene = self.scene(sight)
        step = self.step(sight, member)
        ends = step.verb == FORCE
        reasons = [
            *self.not_dead(sight, scene, member),
            *(others_leave(scene, member) if ends else self.not_well(scene, member)),
        ] or [*self.at_risk(scene, member), *(self.not_ready(sight, scene, member) if begins(step) else [])]
        if reasons:
            raise CassopsError(f"{member.address} is not removed: {'; '.join(reasons)}")
        return step

    def not_dead(self, sight: Sight, scene: Scene, member: Endpoint) -> list[str]:
        up = scene.up_in(member.address)
        if up:
            return [f"{', '.join(up)} see it alive: decommission it where it runs"]
        node = next((node for node in sight.view.nodes if scene.member(node) == member), None)
        playbook = failures.orphaned(sight, node.pod) if node else ""
        if node and playbook:
            return [f"it is {node.pod}, and {ORPHANED}: {make_again(playbook)}"]
        if node and failures.wanted(sight.found, node.pod):
            return [f"it is {node.pod}, which its StatefulSet wants: replace it with the playbook replace_node"]
        for view in sight.others:
            theirs = next((node for node in view.nodes if scene.member(node) == member), None)
            if theirs:
                return [f"it is {theirs.pod} of datacenter {view.datacenter}: see to it there"]
        if not member.tokens and not self.params["assassinate"]:
            return ["it owns no tokens, so there is nothing to hand over: assassinate takes it out of gossip"]
        if member.tokens and self.params["assassinate"] and not leaves(member):
            return [
                f"it owns {len(member.tokens)} tokens, whose data nobody would take over: first remove it without "
                "assassinate, which is the last resort for a removal that does not end"
            ]
        return []

    def not_well(self, scene: Scene, member: Endpoint) -> list[str]:
        """Who takes over its ranges must be there, and agree."""
        others = [view.without([], {member.address}) for view in scene.views]
        return [*gates.one_line(joined(others)), *obstacles(others)]

    def at_risk(self, scene: Scene, member: Endpoint) -> list[str]:
        lost = losses(scene, member.address)
        names = sorted({name for loss in lost for name in loss.keyspaces})
        if set(names) <= scene.settings.accept_loss:
            return []
        words = "; ".join(loss.words(scene) for loss in lost)
        return [f"{words}. Restore a backup, or accept the loss: {scene.settings.say('accept_loss', *names)}"]

    def not_ready(self, sight: Sight, scene: Scene, member: Endpoint) -> list[str]:
        """Why those who are to take over what it held may not do so yet."""
        return [*self.not_clean(sight, scene, member), *self.no_room(sight, member)]

    def not_clean(self, sight: Sight, scene: Scene, member: Endpoint) -> list[str]:
        """As before a node leaves (C(scaling.plan)): who owns again what he gave to the member would bring rows back
        that were deleted since, and whose markers the other replicas have purged.

        Where rows may be lost with the member that is the lesser evil, and told: a cleanup would delete what nobody
        else may have.
        """
        pods = self.keepers(sight, member)
        if not pods:
            return []
        if losses(scene, member.address):
            self.warn(
                f"nodes still hold rows of ranges that they have given away ({', '.join(pods)}): where they own those "
                "again, what was deleted since may come back. But those rows may be the last copies, so do not run the "
                "playbook cleanup as long as you may need them"
            )
            return []
        return [
            f"nodes still hold rows of ranges that they have given away ({', '.join(pods)}): where they own "
            f"those again, what was deleted since comes back. Run the playbook cleanup for {member.datacenter} first"
        ]

    def warn(self, text: str) -> None:
        """Once: it is asked again after cleanups were waited for."""
        if text not in self.ctx.warnings:
            self.ctx.warnings.append(text)

    def keepers(self, sight: Sight, member: Endpoint) -> list[str]:
        """Nodes that have rows of ranges that they gave away, to the member perhaps.

        None beside one that had begun to leave or to move: Cassandra cleans nobody up before that has ended.
        """
        places = (self.cluster.own, *self.cluster.peers)
        place = next((each for each in places if each.datacenter == member.datacenter), None)
        if place is None or under_way(member):
            return []
        nodes = unclean(place, sight.found if place is self.cluster.own else place.objects())
        return [node.pod for node in nodes if member.host_id != node.host_id and member.address != node.address]

    def no_room(self, sight: Sight, member: Endpoint) -> list[str]:
        """As before a node leaves (C(leaving.no_room)): Cassandra does not ask."""
        scene = scaling.Scene(sight.view, sight.others, scaling.Settings(frozenset(self.params["ignore"])))
        here = sight.view.datacenter
        left = [item for item in scene.members().values() if item.datacenter == here and item.address != member.address]
        few = scaling.too_few_nodes(scene, len(left)) if member.datacenter == here else []
        return [*few, *scaling.no_room_without(scene, member)]

    # Doing it

    def step(self, sight: Sight, member: Endpoint) -> Step:
        # In a large datacenter not every node is asked for its view, and any may lead a removal.
        begun = leaves(member)
        observers = self.leaders(sight, lambda view: sorted(view.observations))
        if self.params["assassinate"]:
            return Step(f"assassinate {member.address}", observers[0], ("assassinate", member.address))
        coordinator = self.coordinator(self.leaders(sight, running) if begun else observers, member)
        if coordinator and self.params["force"]:
            words = f"removenode force on {coordinator.pod}: what was not streamed is left to repair"
            return Step(words, coordinator, FORCE)
        if coordinator:
            return Step("", coordinator)
        words = f"removenode {member.host_id} ({member.address})"
        return Step(words, observers[0], ("removenode", member.host_id))

    def leaders(self, sight: Sight, pods: Callable[[View], Sequence[str]]) -> list[Leader]:
        """Nodes of the whole cluster, those of the member's datacenter first: it may have been the last one there."""
        places = zip((self.cluster.own, *self.cluster.peers), (sight.view, *sight.others), strict=True)
        return [Leader(place.kube, pod) for place, view in places for pod in pods(view)]

    def coordinator(self, leaders: Sequence[Leader], member: Endpoint) -> Leader | None:
        """The node that leads the removal of a member, which was begun and has not ended."""
        answers = together(lambda each: attempt(partial(each.run, ["removenode", "status"])), leaders)
        for leader, told in zip(leaders, answers, strict=True):
            token = None if isinstance(told, CassopsError) else LEADS.search(told.stdout)
            if token and int(token[1]) in member.tokens:
                return leader
        return None

    def take(self, step: Step, member: Endpoint) -> None:
        if not step.verb:
            self.ctx.progress(f"{step.leader.pod} removes it already", important=True)
            return
        self.cluster.check()
        self.note(step.words)
        if begins(step):
            self.hand_over(step, member)
        else:
            step.leader.run(step.verb)

    def wait_for_cleanups(self, member: Endpoint) -> None:
        """They would delete what receivers get of it; see L(gates.no_cleanups)."""
        what = f"cleanups to end before {member.address} is removed"
        limit = float(self.params["wait_timeout"])
        until(lambda: cleanups(self.look(everyone=True)), what, limit, self.ctx.progress, PAUSE, option=WAIT_LIMIT)

    def hand_over(self, step: Step, member: Endpoint) -> None:
        limit = float(self.params["wait_timeout"])
        try:
            step.leader.run(step.verb, limit)
        except ExecTimeout as error:
            raise CassopsError(
                f"the others have not taken over all of {member.address} after {limit:.0f} s. It goes on by itself: "
                "run it again to wait for it. If a receiver died meanwhile, bring that one back; force ends it without "
                "the rest, which a full repair then has to bring"
            ) from error

    def prove(self, member: Endpoint) -> None:
        def look() -> list[str]:
            scene = self.scene(self.look())
            told = sorted((pod, one) for view in scene.views for pod, one in view.observations.items())
            return [f"{pod} still knows {member.address}" for pod, one in told if known(one.endpoints, member)]

        until(look, f"{member.address} to be forgotten", float(self.params["wait_timeout"]), self.ctx.progress, PAUSE)

    # What is left to repair

    def remember(self, sight: Sight, member: Endpoint) -> None:
        """Since when it is removed. A run that finds the removal begun goes on with what the one before has written."""
        last = departed.removal(self.cluster.own, sight.found)
        again = last is not None and last.failed is None and last.host_id == member.host_id
        if member.tokens and not again:
            now = int(self.cluster.kube.server_time())
            departed.note_removal(self.cluster, Removed(member.host_id, member.address, now))

    def follow_up(self, member: Endpoint | None) -> None:
        """What the removal leaves to do.

        :raises Failed: not all that it held was streamed to who owns it now.
        """
        last = departed.removal(self.cluster.own, self.cluster.look().found)
        if last is None or not self.is_named(last.host_id, last.address):
            return
        if last.failed is not None:
            # The run that saw it has failed for it, and somebody may have repaired since.
            if last.failed:
                self.ctx.warnings.append(f"{failed_words(last.failed)}. If that was not done since, {REPAIR}")
            return
        failed, unread = self.logs_told(last)
        departed.note_removal(self.cluster, replace(last, failed=tuple(failed)))
        if failed:
            raise Failed(f"{last.address} is removed, but {failed_words(failed)}: {REPAIR}", self.result(member))
        silent = f" (the log of {', '.join(unread)} could not be read)" if unread else ""
        self.ctx.warnings.append(
            f"{last.address} is removed. Cassandra ends a removal also where a stream failed, and only a log tells"
            f"{silent}: {REPAIR}"
        )

    def logs_told(self, last: Removed) -> tuple[list[str], list[str]]:
        """Nodes whose logs have it that not all came that they own now; and those whose logs could not be read."""
        sight = self.look()
        # Of a keyspace with one replica there is nobody to stream from, and its loss was accepted.
        single = any(sum(ring.replication_factors(item.replication).values()) == 1 for item in keyspaces(sight))
        signs = (STREAM_FAILED,) if single else (STREAM_FAILED, NO_SOURCE)
        places = zip((self.cluster.own, *self.cluster.peers), (sight.view, *sight.others), strict=True)
        nodes = [(place, node) for place, view in places for node in view.nodes]
        age = self.cluster.kube.server_time() - last.began
        logs = together(lambda each: attempt(partial(log_of, *each, age)), nodes)
        told = [(node.pod, log) for (_place, node), log in zip(nodes, logs, strict=True)]
        return (
            [pod for pod, log in told if isinstance(log, str) and any(sign in log for sign in signs)],
            [pod for pod, log in told if not isinstance(log, str)],
        )

    def forget(self, sight: Sight) -> None:
        """The ledger forgets a node that nobody wants; its volume, if one is left, says so and is not its own any
        more."""
        members = Members(self.cluster, float(self.params["wait_timeout"]), self.ctx)
        nodes = self.cluster.ledger(sight.found).nodes
        for pod in self.forgettable(sight):
            members.forget(pod, nodes[pod].host_id or "not known")
            self.note(f"forget {pod}")
        self.cluster.keep_budget()

    def forgettable(self, sight: Sight) -> list[str]:
        nodes = self.cluster.ledger(sight.found).nodes.values()
        mine = [node.pod for node in nodes if self.is_named(node.host_id, node.address)]
        return [pod for pod in mine if not failures.wanted(sight.found, pod)]

    def is_named(self, host_id: str | None, address: str | None) -> bool:
        named = self.params.get("host_id")
        return bool(host_id == named if named else address == self.params["address"])

    def note(self, text: str) -> None:
        self.done.append(text)
        self.ctx.progress(text, important=True)

    def result(self, member: Endpoint | None) -> dict[str, Any]:
        removed = None
        if member is not None:
            removed = {"address": member.address, "host_id": member.host_id, "tokens": len(member.tokens)}
        result: dict[str, Any] = {"changed": bool(self.done), "changes": self.done, "removed": removed}
        if self.ctx.diff_mode:
            there = f"{member.address}: host id {member.host_id}, {len(member.tokens)} tokens\n" if member else ""
            result["diff"] = {"before_header": "ring", "after_header": "ring", "before": there, "after": ""}
        return result


def begins(step: Step) -> bool:
    """Whether it makes the living stream to each other."""
    return step.verb[:1] == ("removenode",) and step.verb != FORCE


def cleanups(sight: Sight) -> list[str]:
    return gates.no_cleanups(sight.view.joined(sight.others))


def failed_words(pods: Sequence[str]) -> str:
    """What was found in the logs, for people."""
    return f"{', '.join(pods)} did not get all that it held, as their logs have it, so rows may lack a replica"


def keyspaces(sight: Sight) -> Sequence[Keyspace]:
    return next((view.keyspaces for view in (sight.view, *sight.others) if view.keyspaces), ())


def log_of(place: Place, node: NodeView, age: float) -> str:
    """What a node has logged for so many seconds, in the run of its container before this one too."""
    told = place.kube.logs(node.pod, tail=LOG_LINES, since=age)
    if not node.restarts:
        return told
    before = attempt(lambda: place.kube.logs(node.pod, previous=True, tail=LOG_LINES, since=age))
    return f"{before}\n{told}" if isinstance(before, str) else told


def running(view: View) -> list[str]:
    return [node.pod for node in view.nodes if node.phase == "Running" and node.held is None]


def others_leave(scene: Scene, member: Endpoint) -> list[str]:
    """Force ends everybody's leaving (C(StorageService.forceRemoveCompletion)). Who is down is why it is needed."""
    return [
        f"{scene.name(address)} is {other.status}, and force would end that too: wait until it is done"
        for address, other in sorted(scene.members.items())
        if address != member.address and leaves(other)
    ]


def known(endpoints: Mapping[str, Endpoint], member: Endpoint) -> bool:
    """Whether a view has that member, and not another one under its address."""
    there = endpoints.get(member.address)
    return there is not None and (there.host_id == member.host_id or not member.host_id)
