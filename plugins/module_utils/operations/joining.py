# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node that joins, from wherever it stands to its end.

1. The gates are open: the ring is whole, and nobody else joins or leaves.
2. Its Service gives it an address, and the ledger gets its line, without a host id.
3. The rack's StatefulSet gets a place more. The start script finds a node that the ledger does not know as a member,
   in a datacenter that runs: it bootstraps, and Cassandra streams to it what it shall own.
4. The proof: it serves, and every view of every datacenter has it up and NORMAL.
5. Who lost ranges is noted, for cleanup. Then the ledger gets the host id, which ends the join.

Each step looks first and can be repeated. A node that dies half-way is begun again on an empty volume: it was no member
yet. No node may go on over partial data: 4.x would leave out what was written since, 5.0 refuses.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from .. import gates, scaling
from ..errors import CassopsError
from ..observe import attempt
from ..replacement.words import PARTIAL_BOOTSTRAP
from ..view import NodeView, Observation
from ..wording import counted
from . import failures, streaming
from .cluster import Sight
from .moving import Moving
from .patience import Patience, Silence, last_words
from .streaming import HalfWay, Stream
from .waiting import GATES_LIMIT, WAIT_LIMIT, until

# Seconds between two looks that ask every node.
PAUSE = 1.0
# How often a new node may die half-way before somebody has to look why.
ATTEMPTS = 3


class Joining(Moving):
    """Lets nodes join."""

    def join(self, rack: str, ordinal: int, delete_volumes: bool, sight: Sight) -> tuple[float, Sight]:
        """Everything that is left to do.

        :param sight: what was seen a moment ago, to spare another look if the gates are open in it.
        :return: the seconds from its pod to its serving, and what every node has said of it then.
        :raises CassopsError: it cannot be finished now; the next run goes on.
        """
        pod = self.members.pod(rack, ordinal)
        self.finish_emptying(pod)
        for attempt_number in range(1, ATTEMPTS + 1):
            if not self.runs(pod):
                sight = self.open_gates(pod, sight)
                self.members.clear_claim(pod, delete_volumes)
            self.members.admit(rack, ordinal, self.replicas(rack, sight))
            self.members.grow(rack, ordinal)
            began = time.monotonic()
            try:
                self.stream(pod, "the join goes on where it stands.", self.way_back(pod))
                break
            except HalfWay as failure:
                if attempt_number == ATTEMPTS:
                    raise CassopsError(f"{failure} This was attempt {ATTEMPTS} of {ATTEMPTS}.") from None
                self.members.say(f"{failure} Beginning again")
                self.begin_again(pod)
                sight = self.cluster.ask(self.cluster.look())
        took = time.monotonic() - began
        proved = self.prove(pod)
        self.finish(pod, proved)
        self.members.say(f"{pod} has joined after {took:.0f} s")
        return took, proved

    def runs(self, pod: str) -> bool:
        """Whether its Cassandra may have begun already: then the ring is not whole because of it."""
        node = self.cluster.look().view.node(pod)
        return node is not None and node.uid is not None and node.phase == "Running" and node.held is None

    def replicas(self, rack: str, sight: Sight) -> int:
        """That its tokens shall suit."""
        members = self.scene(sight).members().values()
        racks = {member.rack for member in members if member.datacenter == sight.view.datacenter}
        return scaling.replicas_to_suit(self.scene(sight), {*racks, rack})

    def open_gates(self, pod: str, sight: Sight) -> Sight:
        """What was seen when they were open."""
        latest = [sight]

        def closed() -> Sequence[str]:
            return scaling.before_step(self.scene(latest[0]), [pod])

        def look() -> Sequence[str]:
            latest[:] = [self.cluster.ask(self.cluster.look())]
            return closed()

        if closed():
            what = f"the gates before {self.members.short(pod)} joins to open"
            until(look, what, self.gate_limit, self.progress, PAUSE, option=GATES_LIMIT)
        return latest[0]

    def way_back(self, pod: str) -> str:
        """With which numbers a join is taken back: also one that fills a hole, which the numbers before had too."""
        rack, ordinal = self.members.rack_of(pod), self.members.ordinal(pod)
        fewer = f"have {counted(ordinal, 'node')} in rack {rack}" if ordinal else f"leave rack {rack} out"
        return f" Or {fewer}: what has not joined is taken back."

    def stream(self, pod: str, next_run: str, otherwise: str = "") -> None:
        """Until the node serves.

        :param next_run: what follows when the cause of a failure is gone.
        :param otherwise: what a person can do instead, where its pod can be ended.
        :raises HalfWay: this attempt is lost.
        """
        patience = Patience(self.cluster.kube)
        stream = Stream()
        silence = Silence()

        def look() -> Sequence[str]:
            node = self.cluster.look().view.node(pod)
            if node is None:
                raise CassopsError(f"no StatefulSet and no ledger knows {pod} any more; somebody took it away")
            self.half_way(node)
            self.give_up(node, patience, silence, next_run, otherwise)
            if node.ready:
                return []
            if node.phase != "Running":
                return [f"it to start ({node.reason or node.phase or 'no pod yet'})"]
            if node.worker_lost:
                return [str(node.reason)]
            words = stream.look(self.cluster.kube, pod)
            self.see_failed_stream(pod, stream)
            return [words]

        what = f"{self.members.short(pod)} to join"
        until(look, what, self.limit, self.progress, PAUSE, mark=stream.mark, option=WAIT_LIMIT)

    def half_way(self, node: NodeView) -> None:
        """:raises HalfWay: it died, and no node may go on over partial data."""
        if node.phase != "Crashed":
            return
        words = attempt(lambda: last_words(self.cluster.kube, node.pod, failures.LOG_LINES))
        if isinstance(words, str) and PARTIAL_BOOTSTRAP in words:
            raise HalfWay(f"{node.pod} died while it joined.")

    def give_up(self, node: NodeView, patience: Patience, silence: Silence, next_run: str, otherwise: str) -> None:
        lost = patience.lost([node])
        if lost:
            raise CassopsError(f"{'; '.join(lost)}. Correct the cause and run it again: {next_run}{otherwise}")
        if silence.lasts(node.worker_lost):
            raise CassopsError(
                f"{node.pod} joins on worker {node.worker}, which does not answer: bring it back, or see what the "
                f"playbook heal says of it; then run it again: {next_run}"
            )

    def see_failed_stream(self, pod: str, stream: Stream) -> None:
        why = streaming.failure(self.cluster.kube, pod) if stream.may_have_failed else None
        if why is not None:
            raise HalfWay(f"{pod} could not stream all of its data: {why}.")

    def begin_again(self, pod: str) -> None:
        """Its volume first: Kubernetes keeps it until its pod is gone, and makes both again."""
        found = self.cluster.look().found
        for kind, name in (("PersistentVolumeClaim", f"data-{pod}"), ("Pod", pod)):
            item = found.get(kind, name)
            if item is not None:
                self.cluster.check()
                self.cluster.kube.delete(kind, name, uid=item["metadata"]["uid"])
        claim, old = found.get("PersistentVolumeClaim", f"data-{pod}"), found.get("Pod", pod)
        if claim is not None:
            self.members.wait_claim_gone(pod, claim["metadata"]["uid"])
        if old is not None:
            self.wait_pod_gone(pod, old["metadata"]["uid"])

    def finish_emptying(self, pod: str) -> None:
        """What a run that was killed in L(begin_again) has left: a volume that waits for its pod to go."""
        node = self.cluster.look().view.node(pod)
        if node is None or not node.volume_deleting:
            return
        if not self.known_as_member(pod, node.address, all_members=True):
            self.begin_again(pod)

    def known_as_member(self, pod: str, address: str | None, all_members: bool = False) -> list[str]:
        """Who knows it as a member; as one it would hold rows.

        :param all_members: each member has to tell; without, those that can be asked. A node that runs tells all of
            them that it has joined. Of one that is stopped by now, a member that was down then may not know it.
        :raises CassopsError: they cannot tell.
        """
        latest: list[Sight] = []

        def look() -> list[str]:
            latest[:] = [self.cluster.ask_all(self.cluster.look(), busy=False)]
            return scaling.cannot_tell(self.scene(latest[0]), pod, all_members)

        until(look, f"all to say whether {self.members.short(pod)} has joined", self.gate_limit, self.progress, PAUSE)
        return scaling.known_as_member(self.scene(latest[0]), pod, address)

    def come_back(self, pod: str) -> None:
        """A node that has joined, and that nobody has written down: its place, and its host id when all see it."""
        self.members.grow(self.members.rack_of(pod), self.members.ordinal(pod))
        self.stream(pod, "it has joined, and leaves when every node has seen it up.")
        self.finish(pod, self.prove(pod))

    def wait_pod_gone(self, pod: str, uid: str) -> None:
        def look() -> list[str]:
            node = self.cluster.look().view.node(pod)
            return [f"{pod} still runs"] if node and node.uid == uid else []

        until(look, f"the pod of {pod} to go", self.limit, self.progress)

    def prove(self, pod: str) -> Sight:
        """:raises CassopsError: not it, but another node does not come up by itself."""
        latest: list[Sight] = []
        patience = Patience(self.cluster.kube)

        def look() -> Sequence[str]:
            sight = self.cluster.ask(self.cluster.look(), also=[pod])
            latest[:] = [sight]
            lost = patience.lost(sight.view.nodes)
            if lost:
                raise CassopsError(
                    f"{pod} has joined, and waits for all to see it: {'; '.join(lost)}. Run the playbook heal (or "
                    "correct the cause), then this one again: it goes on where it stands."
                )
            if pod not in sight.view.observations:
                return [f"{pod} cannot be asked for its view yet"]
            return whole(sight)

        until(look, f"{self.members.short(pod)} to be a member in every view", self.limit, self.progress, PAUSE)
        return latest[0]

    def finish(self, pod: str, sight: Sight) -> None:
        """Who lost ranges, then the host id, in this order: a run that is killed in between finishes the join again."""
        own = sight.view.observations[pod].own
        scene = self.scene(sight)
        lost = {node.pod for node in sight.view.nodes if node.address in scaling.losers(scene, own.address)}
        self.members.note_unclean([*self.members.unclean(sight.found), *lost])
        self.members.known(pod, own.address, own.host_id)


def whole(sight: Sight) -> list[str]:
    """Why a node that has joined is not a member like the others yet."""
    cluster = sight.view.joined(sight.others)
    told = (gates.running, gates.heard, gates.up_in_every_view, gates.normal, gates.one_schema, gates.ring_agreed)
    return [reason for gate in told for reason in gate(cluster)]


def has_joined(sight: Sight, pod: str) -> bool:
    """Whether a node that the ledger does not know as a member is one in every view."""
    node = sight.view.node(pod)
    seen: Observation | None = sight.view.observations.get(pod)
    return bool(node and node.ready and seen and seen.own.tokens and not whole(sight))
