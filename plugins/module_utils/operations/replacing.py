# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One replacement, from wherever it stands to its end.

1. The plan is written: who the dead node was, and which volume is given up.
2. The ledger approves the replacement, and gives the next volume another mark than the old one has. Where the dead
   node had joined and nobody had written it down, it takes its host id too.
3. The living nodes count its address among their seeds, so that they gossip with it though it hibernates.
4. Volume claim and pod are deleted by their UIDs. Kubernetes makes both again, on a worker that is there.
5. The start script finds the volume empty and the approval in the ledger; Cassandra streams.
6. The proof: up and NORMAL in every view, with the dead node's tokens, nothing of the dead one left, no stream open.
7. The ledger takes the host id and withdraws the approval; the note of what was missed goes if hints cover it. That
   the hints which the dead one kept for others went with its volume is noted (L(departed)).
8. The plan is deleted.

Each step looks first and can be repeated, so a run that was killed is taken up at the step that is not done. A new node
that dies half-way is begun again with the plan's address: no node may go on over partial data (4.x would leave out
what was written since, C(Some ranges of {} are already available); 5.0 refuses).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .. import nodetool, scaling
from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..kubeapi import Object
from ..ledger import Ledger, LedgerNode
from ..manifests.common import labels_of
from ..observe import attempt, together
from ..plan import GivenUp, Plan, hash_of, plan_name
from ..replacement import table
from ..replacement.actions import ASK, Decision
from ..replacement.case import AWAY, LOCAL, READY, UNKNOWN, Case, Settings, Volume, Worker, is_ending, must_repair
from ..replacement.proof import unproven
from ..replacement.scene import Scene
from ..replacement.words import COLLISION, EMPTY, EXPIRED, FOREIGN, HALF_WAY, given_up_last, held_because
from ..replacement.workers import fence, off_for_good
from ..view import NodeView
from . import departed, failures, rollout_plan, streaming
from .cluster import Cluster, Sight
from .members import Members
from .patience import NO_START, NO_WORKER, Patience, last_words
from .streaming import VERB_LIMIT, HalfWay, Stream
from .waiting import WAIT_LIMIT, until

# Seconds between two looks that ask every node.
PAUSE = 1.0
# How often a new node may die half-way before somebody has to look why.
ATTEMPTS = 3
# A pod that waits for a claim that does not exist is made again after so many seconds (Kubernetes before 1.26).
CLAIMLESS = 60.0


class Stranded(HalfWay):
    """The new node's volume is on a worker that will not come back; it may even have joined before."""


@dataclass
class Done:
    """A replacement that was carried out, for results.

    :ivar seconds: what its parts took.
    :ivar streamed: bytes, as far as they were seen.
    """

    plan: Plan
    host_id: str | None = None
    worker: str | None = None
    attempts: int = 1
    streamed: int = 0
    repair: bool = False
    left_over: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        plan = self.plan
        old = plan.volumes[0] if plan.volumes else GivenUp("", plan.volume, plan.worker)
        return {
            "node": plan.pod,
            "reason": plan.reason,
            "address": plan.address,
            "old_host_id": plan.host_id,
            "host_id": self.host_id,
            "old_worker": old.worker or None,
            "worker": self.worker,
            "old_volume": old.volume or None,
            "accepted_loss": list(plan.accepted),
            "attempts": self.attempts,
            "streamed_bytes": self.streamed,
            "needs_repair": self.repair,
            "left_over": self.left_over,
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }


class Replacing:
    """Carries out replacements in one datacenter, under its cluster's lock.

    :param limit: seconds without any progress.
    """

    def __init__(self, cluster: Cluster, settings: Settings, limit: float, ctx: Context) -> None:
        self.cluster = cluster
        self.settings = settings
        self.limit = limit
        self.ctx = ctx

    # The plan

    def begin(self, case: Case, decision: Decision, scene: Scene, sight: Sight, wished: bool = False) -> Plan:
        """Write down what could not be found out once it is begun.

        :param wished: the node is well.
        """
        other = failures.open_plan(self.cluster, sight.found)
        if other is not None and other.pod != case.node.pod:
            raise CassopsError(
                f"the replacement of {other.pod} was begun and is not finished; run heal, then this again"
            )
        member = scene.member(case.node)
        if member is None:
            raise CassopsError(f"{case.node.pod} is no member of the ring; there is nothing to take the place of")
        now = self.cluster.kube.server_time()
        # One that gives its volume up has been up in every view until now.
        down = 0.0 if wished else failures.downtime(self.cluster, sight, member.address)
        keeps_volume = case.node.held is not None and held_because(case.node.held) == EMPTY
        given_up = "" if keeps_volume else case.volume.claim_uid or ""
        plan = Plan(
            pod=case.node.pod,
            address=member.address,
            host_id=member.host_id,
            tokens=hash_of(member.tokens),
            claim_uid=given_up,
            pod_uid=case.node.uid or "",
            volume=(case.volume.name or "") if given_up else "",
            # Also where it keeps the volume, which is empty: its data may come back, such as with a disk that was not
            # mounted, and would be as old then as one that was given up.
            number=self.cluster.ledger(sight.found).volume_number(case.node.pod) + 1,
            worker=case.worker.name or "",
            reason=decision.reason,
            began=now,
            down_since=None if down is None else now - down,
            accepted=decision.at_risk,
            wished=wished,
        )
        self.write(plan)
        self.say(f"{plan.pod} is replaced: {plan.reason}")
        return plan

    def write(self, plan: Plan) -> None:
        self.cluster.check()
        metadata = {
            "name": plan_name(self.cluster.name, self.cluster.own.datacenter),
            "labels": labels_of(self.cluster.name, self.cluster.own.datacenter),
        }
        self.cluster.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": plan.to_data()})

    # From wherever it stands to its end

    def carry_out(self, plan: Plan) -> Done:
        """Everything that is left to do.

        :raises CassopsError: it cannot be finished now; the plan stays, and the next run goes on.
        """
        done, clock = Done(plan), Clock()
        while True:
            try:
                self.acquaint(plan, self.approve(plan))
                self.clear(plan)
                done.seconds["clearing"] = done.seconds.get("clearing", 0) + clock.lap()
                done.streamed = max(done.streamed, self.stream(plan))
                done.seconds["streaming"] = done.seconds.get("streaming", 0) + clock.lap()
                break
            except HalfWay as failure:
                if done.attempts == ATTEMPTS:
                    raise CassopsError(f"{failure} This was attempt {ATTEMPTS} of {ATTEMPTS}.") from None
                done.attempts += 1
                if self.alive_after_all(plan):
                    break
                self.say(f"{failure} Beginning again")
                plan = done.plan = self.again(plan, may_have_joined=isinstance(failure, Stranded))
        sight = self.prove(plan)
        done.seconds["proving"] = clock.lap()
        self.finish(plan, sight, done)
        return done

    def approve(self, plan: Plan) -> Sight:
        """From now on an empty volume may take the dead node's place, and the old one may not be used again.

        :return: what was seen just before.
        """
        sight = self.cluster.look()
        ledger = self.cluster.ledger(sight.found)
        known = self.with_member(plan, sight, ledger) if ledger.host_id(plan.pod) is None else ledger
        wanted = known.with_replacement(plan.pod, plan.address)
        self.cluster.write_ledger(ledger, wanted.with_volume_number(plan.pod, plan.number))
        return sight

    def with_member(self, plan: Plan, sight: Sight, ledger: Ledger) -> Ledger:
        """The ledger with the host id of a node whose join nobody has finished.

        Without it the start script would take the new pod for one that joins, which Cassandra refuses under an address
        that the others know. As at the end of a join, who lost ranges is noted first.
        """
        seen = self.cluster.ask(sight, busy=False)
        scene = scaling.Scene(seen.view, seen.others)
        told = scene.cluster.keyspaces and plan.address in scene.members()
        lost = scaling.losers(scene, plan.address) if told else {node.address for node in seen.view.nodes}
        members = Members(self.cluster, self.limit, self.ctx)
        unclean = [node.pod for node in seen.view.nodes if node.address in lost and node.pod != plan.pod]
        members.note_unclean([*members.unclean(sight.found), *unclean])
        self.say(f"{plan.pod} had joined, and nobody had written it down: the ledger takes its host id")
        return ledger.with_node(LedgerNode(plan.pod, ledger.address(plan.pod) or plan.address, plan.host_id))

    def abandon(self, plan: Plan) -> None:
        """The node lives again with the volume that it was to give up, or may now: as if nothing had been begun.

        Its CQL may have been closed by a run that was killed before it drained; where it is open, that does nothing.

        :raises CassopsError: it does not take its volume for its own again.
        """
        ledger = self.cluster.ledger(self.cluster.look().found)
        before = ledger.without_replacement(plan.pod).with_volume_number(plan.pod, plan.number - 1)
        self.cluster.write_ledger(ledger, before)
        attempt(lambda: nodetool.run_one(self.cluster.kube, plan.pod, ["enablebinary"], VERB_LIMIT))
        # As long as it is held, it looks as if it had another node's volume.
        what = f"{plan.pod} to take its volume for its own again"
        until(lambda: self.held_back(plan), what, self.limit, self.ctx.progress)
        failures.close_plan(self.cluster)
        self.say(f"{plan.pod} keeps its volume: its replacement is withdrawn")

    def held_back(self, plan: Plan) -> list[str]:
        """What a node waits for whose volume was given up, and is given back to it."""
        node = self.cluster.look().view.node(plan.pod)
        held = node is not None and given_up_last(node.held or "")
        return [f"the kubelet to bring {plan.pod} the ledger, within a minute or so"] if held else []

    def acquaint(self, plan: Plan, sight: Sight) -> None:
        """The living nodes gossip with the new one, as with a seed, until they start again.

        A new node under the dead one's address says at once that it hibernates, and nodes that have heard that do not
        gossip with it (``Gossiper.maybeGossipToUnreachableMember``), unless it is a seed: it learns of nobody, and
        dies with "Unable to contact any seeds". At the first attempt that depends on luck, at another one it is
        certain (CASSANDRA-19580). Also one that is a seed in the ledger: the living have the seeds of their own start.

        :raises CassopsError: no living node took it.
        """
        service = sight.found.get("Service", plan.pod)
        if service is None or service["spec"].get("clusterIP") != plan.address:
            return  # A new address is not said to hibernate.
        living = [(self.cluster.kube, node.pod) for node in sight.view.nodes if node.ready and node.pod != plan.pod]
        if not living:
            # The last of its datacenter hears of the ring by the others only.
            views = [(place.kube, place.view(place.objects())) for place in self.cluster.peers]
            living = [(kube, node.pod) for kube, view in views for node in view.nodes if node.ready]
        told = together(lambda where: attempt(lambda: take_as_seed(*where, plan.address)), living)
        unwilling = [error for error in told if isinstance(error, CassopsError)]
        if living and len(unwilling) == len(living):
            raise CassopsError(f"no living node takes {plan.pod} as a seed: {unwilling[0]}")
        willing = len(living) - len(unwilling)
        self.say(f"the living nodes ({willing}) gossip with {plan.pod} as with a seed, until they restart")

    # Clearing

    def clear(self, plan: Plan) -> None:
        """Until the old volume and the pod that used it are gone, and another pod is there.

        :raises CassopsError: it came up meanwhile, and keeps its volume.
        """
        ended: set[str] = set()
        asked: list[bool] = []

        def look() -> list[str]:
            sight = self.cluster.look()
            claim = sight.found.get("PersistentVolumeClaim", f"data-{plan.pod}")
            pod = sight.found.get("Pod", plan.pod)
            node = sight.view.node(plan.pod)
            if node is None:
                raise CassopsError(f"no StatefulSet and no ledger knows {plan.pod} any more; somebody took it away")
            if plan.claim_uid and claim and claim["metadata"]["uid"] == plan.claim_uid:
                if not asked:
                    if is_ending(node, self.worker(node)):
                        return [f"the pod {plan.pod} to end (if it takes longer than its grace: kubectl describe pod)"]
                    seen = self.cluster.ask(sight, busy=False)
                    if not any(view.observations for view in (seen.view, *seen.others)):
                        return [f"a living node to tell whether it sees {plan.pod} up"]
                    asked.append(True)
                    if self.lives(plan, seen, going="deletionTimestamp" in claim["metadata"]):
                        return []
                self.give_up_claim(claim)
                self.end(pod, node, ended)
                return [f"the volume claim data-{plan.pod} to go{self.silent_worker(sight, plan)}"]
            if not plan.claim_uid and pod and pod["metadata"]["uid"] == plan.pod_uid and node.held is not None:
                # It would see the approval by itself when the kubelet brings it the ledger; a new pod has it at once.
                self.end(pod, node, ended)
                return [f"the pod {plan.pod} to go{self.silent_worker(sight, plan)}"]
            if pod is None:
                return [f"Kubernetes to make the pod {plan.pod}"]
            if "deletionTimestamp" in pod["metadata"]:
                if self.is_off(node):
                    return [self.take_off(sight, node, ended)]
                return [f"the pod {plan.pod} to go{self.silent_worker(sight, plan)}"]
            return []

        until(look, f"the place of {plan.pod} to be cleared", self.limit, self.ctx.progress)

    def lives(self, plan: Plan, seen: Sight, going: bool) -> bool:
        """Whether somebody has helped an attempt before: then nothing is given up any more.

        :param seen: asked just now, since seconds went by for the plan, the ledger and every living node.
        :param going: its volume claim is being deleted.
        :raises CassopsError: somebody sees the node up that was dead.
        """
        scene, node = Scene(seen.view, seen.others, self.settings), seen.view.node(plan.pod)
        # With pods' addresses it has another one than the dead node.
        up = scene.up_in(plan.address) or scene.joined_in(node.address if node else None)
        if plan.wished:
            # One that is drained is still alive to itself.
            up = [pod for pod in up if pod != plan.pod]
        if not up:
            return False
        if going:
            raise CassopsError(
                f"{plan.pod} came up ({up[0]} sees it up) and its volume is about to go: delete its pod when it suits "
                f"({seen.view.kubectl} delete pod {plan.pod}); then run it again"
            )
        if plan.attempt > 1:
            return True
        self.abandon(plan)
        raise CassopsError(
            f"{plan.pod} came up while its replacement was begun ({up[0]} sees it up): it keeps its volume. See "
            "the playbook status, and run heal again if it is not well"
        )

    def give_up_claim(self, claim: Object) -> None:
        """Kubernetes keeps it until no pod uses it any more."""
        if "deletionTimestamp" not in claim["metadata"]:
            self.cluster.check()
            name = claim["metadata"]["name"]
            self.cluster.kube.delete("PersistentVolumeClaim", name, uid=claim["metadata"]["uid"])
            self.say(f"volume claim {name} is given up")

    def end(self, pod: Object | None, node: NodeView, ended: set[str]) -> None:
        """End a node's pod; where its worker is off, take it away without waiting for the worker's word."""
        if pod is None:
            return
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        off = self.is_off(node)
        mark = f"{uid} now" if off else uid
        if mark in ended or (not off and "deletionTimestamp" in pod["metadata"]):
            return
        self.cluster.check()
        self.cluster.kube.delete("Pod", name, uid=uid, grace=0 if off else None)
        ended.add(mark)
        self.say(f"pod {name} is {'taken off a worker that is off' if off else 'ended'}")

    def is_off(self, node: NodeView) -> bool:
        """Whether a node's worker is off for good."""
        return node.worker is not None and bool(off_for_good(self.settings, self.worker(node)))

    def worker(self, node: NodeView) -> Worker:
        return failures.worker_of(self.cluster.kube, node.worker, node)

    def silent_worker(self, sight: Sight, plan: Plan) -> str:
        node = sight.view.node(plan.pod)
        if node is None or not node.worker_lost:
            return ""
        off = self.settings.say("workers_off", node.worker or "")
        return f" ({node.reason}; if it is off for good, delete it from Kubernetes, or say so: {off})"

    # Streaming

    def stream(self, plan: Plan) -> int:
        """Until the new node serves; the bytes that were seen streaming.

        :raises HalfWay: this attempt is lost.
        """
        patience = Patience(self.cluster.kube, (*NO_START, NO_WORKER))
        stream = Stream()
        claimless: list[float] = []
        ended: set[str] = set()

        def look() -> Sequence[str]:
            sight = self.cluster.look()
            node = sight.view.node(plan.pod)
            if node is None:
                raise CassopsError(f"no StatefulSet and no ledger knows {plan.pod} any more; somebody took it away")
            self.half_way(node)
            away = self.without_worker(sight, node, ended)
            if away:
                return [away]
            self.make_again(sight, node, claimless)
            lost = patience.lost([node])
            if lost:
                raise CassopsError(
                    f"{'; '.join(lost)}. Correct the cause and run it again: the replacement goes on where it stands."
                )
            if node.ready:
                return []
            if node.phase != "Running":
                return [f"{plan.pod} to start ({node.reason or node.phase or 'no pod yet'})"]
            return [f"{plan.pod} {self.look_at_streams(plan, stream)}"]

        what = f"{plan.pod} to take its place"
        until(look, what, self.limit, self.ctx.progress, PAUSE, mark=stream.mark, option=WAIT_LIMIT)
        return stream.done

    def half_way(self, node: NodeView) -> None:
        """Whether it is held over partial data, or over a volume that is not the new one; or joins as a new node.

        The last is what it does if it was made while the ledger had no host id of it.

        :raises HalfWay: so it does.
        :raises CassopsError: on that volume is all that a node had, perhaps its own from before, with a disk that was
            not mounted. Where the loss of rows was accepted, these may be there.
        """
        kind = held_because(node.held) if node.held is not None else ""
        if kind == FOREIGN and failures.has_joined(self.cluster.kube, node.pod):
            kubectl = f"kubectl -n {self.cluster.kube.namespace}"
            raise CassopsError(
                f"{node.pod} is held: {node.held}. Its volume holds the data of a node that had joined, and is not "
                f"given up unasked. If nobody needs that: {kubectl} delete pvc data-{node.pod}, then {kubectl} delete "
                f"pod {node.pod}; then run it again, and the replacement goes on"
            )
        if kind in (HALF_WAY, FOREIGN, EXPIRED):
            raise HalfWay(f"{node.pod} is held: {node.held}.")
        if node.phase == "Crashed":
            words = attempt(lambda: last_words(self.cluster.kube, node.pod, failures.LOG_LINES))
            if isinstance(words, str) and COLLISION in words:
                raise HalfWay(f"{node.pod} tried to join as a new node, and the others know its address.")

    def without_worker(self, sight: Sight, node: NodeView, ended: set[str]) -> str:
        """What is waited for where its worker, or that of its new volume, does not answer.

        From a worker that is off for good its pod is taken away: a volume on the network then follows it.

        :raises Stranded: a local one does not.
        """
        name = node.worker
        if name is None:
            volume, name = failures.volume_of(self.cluster.kube, sight.found, node)
            if volume.kind != LOCAL or not (node.reason or "").startswith(NO_WORKER):
                return ""
        elif node.ready or (node.phase == "Running" and not node.worker_lost):
            return ""
        worker = failures.worker_of(self.cluster.kube, name, node)
        off = off_for_good(self.settings, worker)
        if off and node.worker is not None:
            # What was said of a worker may be old: a pod that waits to start there is no sign of it.
            starts = worker.state == UNKNOWN and node.phase != "Terminating"
            return "" if starts else self.take_off(sight, node, ended)
        if off:
            raise Stranded(f"the new volume of {node.pod} is on worker {name}, which {off}.")
        silent = node.worker_lost or worker.state == AWAY or node.worker is None
        if worker.state == READY or not silent:
            return ""
        where = f"worker {name}" if name else "the worker"
        by_hand = f"delete the volume claim data-{node.pod}, then the pod"
        advice = fence(self.settings, worker, by_hand)
        return f"{where} with the new volume of {node.pod} to answer: {advice}"

    def take_off(self, sight: Sight, node: NodeView, ended: set[str]) -> str:
        """Take the new node's pod off a worker that is off, unless somebody sees that it is not; what is waited for."""
        seen = self.cluster.ask(sight, busy=False)
        scene = Scene(seen.view, seen.others, self.settings)
        up = scene.up_in(node.address)
        if up or not scene.observers:
            return f"{up[0] if up else 'a living node'} to see {node.pod} down, whose worker {node.worker} is off"
        self.end(sight.found.get("Pod", node.pod), node, ended)
        return f"the pod {node.pod} to leave worker {node.worker}, which is off"

    def make_again(self, sight: Sight, node: NodeView, since: list[float]) -> None:
        """A pod that waits for a claim that nobody makes."""
        if (
            node.uid is None
            or node.phase != "Pending"
            or f"data-{node.pod}" in sight.found.all("PersistentVolumeClaim")
        ):
            since.clear()
            return
        since.append(time.monotonic())
        if since[-1] - since[0] > CLAIMLESS:
            since.clear()
            self.cluster.check()
            self.cluster.kube.delete("Pod", node.pod, uid=node.uid)
            self.say(f"pod {node.pod} is made again: it waited for a volume claim that nobody made")

    def look_at_streams(self, plan: Plan, stream: Stream) -> str:
        """Ask the new node, not too often: its CQL is closed, and nodetool costs a Java process."""
        words = stream.look(self.cluster.kube, plan.pod)
        if stream.may_have_failed:
            self.see_failed_stream(plan)
        return words

    def see_failed_stream(self, plan: Plan) -> None:
        """Cassandra goes on without its data when a source fails, and waits for somebody to notice.

        :raises HalfWay: so it was.
        """
        why = streaming.failure(self.cluster.kube, plan.pod)
        if why is not None:
            raise HalfWay(f"{plan.pod} could not stream all of its data: {why}.")

    def again(self, plan: Plan, may_have_joined: bool) -> Plan:
        """Another attempt: what this one left is given up too. The address stays that of the dead node.

        And so does the number on the mark: what died half-way is never started, and a pod that sees the ledger of a
        moment ago must not write another one than the ledger has now.

        :param may_have_joined: it was perhaps more than half-way, so its volume must never be taken for the next one's.
        """
        sight = self.cluster.look()
        node = sight.view.node(plan.pod)
        anew = replace(
            plan,
            pod_uid=(node.uid if node else None) or "",
            number=plan.number + may_have_joined,
            attempt=plan.attempt + 1,
        )
        volume, worker = failures.volume_of(self.cluster.kube, sight.found, node) if node else (Volume(), None)
        if volume.claim_uid and volume.claim_uid != plan.claim_uid:
            left = GivenUp(volume.claim_uid, volume.name or "", worker or "")
            anew = replace(anew, earlier=plan.volumes, **vars(left))
        self.write(anew)
        return anew

    def alive_after_all(self, plan: Plan) -> bool:
        """Whether somebody has helped it meanwhile; if not, wait until nothing speaks against giving it its data again.

        :raises CassopsError: a person has to decide.
        """
        helped: list[str] = []

        def look() -> list[str]:
            sight = self.cluster.ask(self.cluster.look(), busy=False, gossip=True)
            scene = Scene(sight.view, sight.others, self.settings)
            node = sight.view.node(plan.pod)
            if node is None:
                return [f"{plan.pod} is not known"]
            helped[:] = scene.joined_in(node.address)
            if helped and (node.phase != "Running" or node.worker_lost):
                return [f"{helped[0]} still sees {plan.pod} alive; failure detectors take some seconds"]
            told = table.decision(scene, Case(node, open_plan=True))
            if told.action == ASK and not set(told.at_risk) <= set(plan.accepted):
                raise CassopsError(f"{told.reason}: {told.advice}")
            return [] if told.acts else [f"{told.reason}: {told.advice}" if told.advice else told.reason]

        until(look, f"the living to be well before {plan.pod} streams", self.limit, self.ctx.progress, PAUSE)
        return bool(helped)

    # The proof, and the end

    def prove(self, plan: Plan) -> Sight:
        latest: list[Sight] = []

        def look() -> list[str]:
            sight = self.cluster.ask(self.cluster.look(), also=[plan.pod])
            latest[:] = [sight]
            return unproven(Scene(sight.view, sight.others, self.settings), plan)

        until(look, f"the replacement of {plan.pod} to be proven", self.limit, self.ctx.progress, PAUSE)
        return latest[0]

    def finish(self, plan: Plan, sight: Sight, done: Done) -> None:
        """The ledger, the notes of what was missed and of hints that are lost, and the plan, in this order."""
        claim = sight.found.get("PersistentVolumeClaim", f"data-{plan.pod}")
        if claim and claim["metadata"]["uid"] == plan.claim_uid:
            # Somebody has helped an attempt before: this volume is in use, and was not given up.
            plan = done.plan = replace(plan, claim_uid="", volume="", worker="")
        node = sight.view.node(plan.pod)
        own = sight.view.observations[plan.pod].own
        done.host_id, done.worker = own.host_id, node.worker if node else None
        ledger = self.cluster.ledger(sight.found)
        known = LedgerNode(plan.pod, own.address, own.host_id)
        # Mostly the plan's; a node that may replace itself can have begun before it saw the plan's ledger.
        number = failures.marked_number(self.cluster.kube, plan.pod)
        closed = ledger.with_node(known).without_replacement(plan.pod).with_volume_number(plan.pod, number)
        # The one whose place it took may have been the last of another line.
        closed = rollout_plan.noted(closed, sight.found)
        self.cluster.write_ledger(ledger, closed)
        done.repair = self.must_repair(plan)
        if not done.repair:
            failures.forget_missed(self.cluster.kube, plan.pod)
        if not plan.wished:
            self.note_hints_lost(plan)
        done.left_over = failures.left_over(self.cluster, plan)
        if done.left_over:
            self.ctx.warnings.append(done.left_over)
        self.tell_of_views(sight)
        failures.close_plan(self.cluster)
        took = self.cluster.kube.server_time() - plan.began
        self.say(f"{plan.pod} has taken its place on {done.worker} after {took:.0f} s")

    def note_hints_lost(self, plan: Plan) -> None:
        """Of a dead node only: one that was well gave its volume up when no node kept a hint for another."""
        departed.note_hints_lost(self.cluster, plan.began)
        self.say(
            f"hints that {plan.pod} kept for others went with its volume: for the playbook repair, what was repaired "
            "before does not count any more"
        )

    def tell_of_views(self, sight: Sight) -> None:
        """Once for all nodes: a replica of a view can miss what was written while another one's was streamed."""
        viewed = [keyspace.name for keyspace in sight.view.keyspaces if keyspace.views]
        told = (
            f"materialized views of {', '.join(viewed)} can miss what was written during the replacement: once all "
            "nodes are up, repair that on every node (nodetool repair -full <keyspace>), before the shortest "
            "gc_grace_seconds of its tables has passed since the node went down"
        )
        if viewed and told not in self.ctx.warnings:
            self.ctx.warnings.append(told)

    def must_repair(self, plan: Plan) -> bool:
        """Whether hints do not cover what it missed, until it served again."""
        if plan.accepted or plan.down_since is None:
            return True
        return must_repair(self.cluster.kube.server_time() - plan.down_since, self.settings)

    def say(self, text: str) -> None:
        self.ctx.progress(text, important=True)


# Of a line that the start script wrote; it writes it anew at each start.
TAKE_AS_SEED = r"""
file=$CASSANDRA_CONF/cassandra.yaml
grep -q "\"seeds\": \"\(.*,\)\{0,1\}$1[,\"]" "$file" || sed -i "s/\"seeds\": \"/&$1,/" "$file"
"""


def take_as_seed(kube: Kube, pod: str, address: str) -> None:
    """A node that runs counts an address among its seeds, as long as it runs.

    :raises CassopsError: it does not.
    """
    changed = kube.exec(pod, ["sh", "-c", TAKE_AS_SEED, "sh", address], timeout=VERB_LIMIT)
    if changed.rc != 0:
        raise CassopsError(f"{pod}: its seeds could not be changed: {changed.stderr.strip()}")
    nodetool.run_one(kube, pod, ["reloadseeds"], VERB_LIMIT)


class Clock:
    """Seconds since the last lap."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    def lap(self) -> float:
        before, self.at = self.at, time.monotonic()
        return self.at - before
