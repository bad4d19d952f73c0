# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node that leaves, from wherever it stands to its end.

1. The gates are open, its ranges fit on those that take them over, and it is no seed any more.
2. C(nodetool decommission), in its pod and on its own: it blocks for as long as the node streams, and goes on when
   this run dies. Where it was begun before, it is waited for; where its node was restarted meanwhile, begun again.
3. The proof: the node says DECOMMISSIONED, and every other view has lost its host id. Unknown is not done.
4. Its volume claim is marked, and the ledger forgets the node; then its place, its Service and, if that was asked for,
   its volume go.

Cassandra checks little by itself (C(StorageService.decommission), 4.0 to 5.0): that more nodes are left than a keyspace
has replicas, and that no ranges are on their way to this node. C(--force) leaves out the first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from .. import nodetool, scaling
from ..errors import CassopsError
from ..events import TIMED_OUT
from ..kubeapi import ExecResult
from ..observe import attempt
from ..replacement.words import HAS_LEFT
from ..view import NodeView
from . import failures
from .cluster import Cluster, Sight
from .moving import Moving
from .patience import Silence, last_words
from .streaming import SENDING, VERB_LIMIT, Stream
from .waiting import GATES_LIMIT, WAIT_LIMIT, until

PAUSE = 2.0
ASK_LIMIT = 20.0
# Beginnings of what is told of a volume that does not come.
NOT_ATTACHED = ("FailedAttachVolume", f"FailedMount: {TIMED_OUT}")
ATTEMPTS = 3
# Operation modes (nodetool netstats) of a node on its way out. 5.0 has the second.
LEAVING, FAILED, GONE = "LEAVING", "DECOMMISSION_FAILED", "DECOMMISSIONED"
ON_THE_WAY = (LEAVING, FAILED, GONE)
STILL = "still decommissioning"
# Files of this life of the container: /tmp outlives its processes.
# The life of process 1 is named by when it began (field 22 of its stat): the time of its folder is that of a cache.
FILES = """file=/tmp/decommission-$(sed 's/.*) //' /proc/1/stat | cut -d ' ' -f 20)"""
START = f"""{FILES}
rm -f "$file.rc"
( nodetool decommission </dev/null >"$file.log" 2>&1; echo $? >"$file.rc" ) >/dev/null 2>&1 &
echo $! >"$file.pid"
"""
# Cassandra counts the replicas that keyspaces keep here, and here it shall not: see L(scaling.needs_force).
FORCED = START.replace("nodetool decommission", "nodetool decommission --force")
# Prints "none", "running", or the exit code and what it said.
TELL = f"""{FILES}
if [ -e "$file.rc" ]; then cat "$file.rc"; tail -n 20 "$file.log"
elif [ -e "$file.pid" ] && kill -0 "$(cat "$file.pid")" 2>/dev/null; then echo running
else echo none
fi
"""


class Leaving(Moving):
    """Lets nodes leave."""

    def leave(self, pod: str, order: Sequence[str], delete_volumes: bool, sight: Sight, begun: bool) -> float:
        """Everything that is left to do; the seconds that its leaving took.

        :param order: racks, in the order in which their first nodes are seeds.
        :param sight: what was seen a moment ago, to spare another look if the gates are open in it.
        :param begun: it leaves already, or has left.
        :raises CassopsError: it cannot be finished now; the next run goes on.
        """
        node = sight.view.node(pod)
        if node is None:
            raise CassopsError(f"there is no node {pod}")
        host_id = node.host_id
        rack = self.members.rack_of(pod)
        if not begun:
            self.open_gates(pod, sight)
        self.members.set_seeds(order, without=pod)
        began = time.monotonic()
        self.decommission(pod)
        took = time.monotonic() - began
        self.prove(pod, host_id, node.address)
        self.members.part(pod, host_id)
        self.members.tidy(rack, delete_volumes)
        return took

    def open_gates(self, pod: str, sight: Sight) -> None:
        def closed(sight: Sight) -> Sequence[str]:
            node = sight.view.node(pod)
            if node is not None and (let_go(sight, node) or goes(self.cluster, sight, node)):
                return []
            scene = self.scene(sight)
            return scaling.before_leave(scene) or self.no_room(scene, pod)

        def look() -> Sequence[str]:
            return closed(self.cluster.ask_all(self.cluster.look()))

        # Each that takes over says what room it has.
        if closed(self.cluster.again(sight, everyone=True)):
            what = f"the gates before {self.members.short(pod)} leaves to open"
            until(look, what, self.gate_limit, self.progress, PAUSE, option=GATES_LIMIT)

    def no_room(self, scene: scaling.Scene, pod: str) -> list[str]:
        """:raises CassopsError: what it holds does not fit on the others; waiting does not help."""
        node = scene.view.node(pod)
        left = len([each for each in scene.view.nodes if each.host_id]) - 1
        reasons = scaling.too_few_nodes(scene, left)
        if node is not None:
            reasons += scaling.ignorable(scene, scaling.SPACE, scaling.no_room(scene, [node]))
        if reasons:
            raise CassopsError(f"{pod} does not leave: {'; '.join(reasons)}")
        return []

    def decommission(self, pod: str) -> None:
        """Until the node says that it has left."""
        self.say(f"{pod} leaves")
        stream, silence, attempts = Stream(SENDING), Silence(), 0

        def look() -> Sequence[str]:
            nonlocal attempts
            sight = self.cluster.look()
            node = sight.view.node(pod)
            if node is None:
                raise CassopsError(f"no StatefulSet and no ledger knows {pod} any more; somebody took it away")
            if node.phase == "Crashed" and mode_of(self.cluster, node) == GONE:
                return []
            if cannot_run(node) and let_go(self.cluster.ask(sight, busy=False), node):
                self.say(f"{pod} does not run, and no other node knows it any more: it had left before")
                return []
            if silence.lasts(node.worker_lost):
                raise CassopsError(self.without_worker(self.cluster.ask(sight, busy=False), node))
            if node.phase != "Running":
                return [f"it to run ({node.reason or node.phase or 'it has no pod'})"]
            if node.worker_lost:
                return [str(node.reason)]
            told = self.tell(pod)
            if told[:1] == ["running"]:
                return [stream.look(self.cluster.kube, pod)]
            if told[:1] == ["0"] and says_so(self.cluster, pod):
                return []
            if told[:1] == ["none"] and attempts == 0 and node.ready:
                # It serves, so it has not left.
                attempts += 1
                self.start(pod)
                return ["it to begin"]
            mode = mode_of(self.cluster, node)
            if mode == GONE:
                return []
            if mode is None or not told:
                return ["it to answer"]
            failed = told[:1] not in (["none"], ["0"]) and attempts > 0
            if failed and STILL not in " ".join(told):
                self.see_failure(pod, told, attempts)
            if mode not in ON_THE_WAY and attempts and (closed := self.closed()):
                # It was restarted in the middle, and is a member like any other again.
                return closed
            if attempts == 0 or STILL not in " ".join(told):
                attempts += 1
                self.start(pod)
            # Its nodetool was ended, and it goes on: what moves counts as always.
            return [stream.look(self.cluster.kube, pod)]

        what = f"{self.members.short(pod)} to leave"
        until(look, what, self.limit, self.progress, PAUSE, mark=stream.mark, option=WAIT_LIMIT)

    def without_worker(self, sight: Sight, node: NodeView) -> str:
        """What a person can do about a node on its way whose worker is silent."""
        pod, worker = node.pod, node.worker
        if let_go(sight, node):
            return (
                f"{pod} has left the ring, since no other node knows it any more, and its worker {worker} does not "
                "answer, so nobody can end its pod: bring that worker back. If it is off for good, delete it from "
                f"Kubernetes (kubectl delete node {worker}); then run it again: it takes away what is left of the node."
            )
        return (
            f"{pod} leaves, and its worker {worker} does not answer: bring that back; then run it again: the node "
            "leaves anew. If the worker is off for good, the playbook heal tells what to say, and replaces the node, "
            "which can leave then."
        )

    def closed(self) -> list[str]:
        return scaling.before_leave(self.scene(self.cluster.ask_all(self.cluster.look())))

    def see_failure(self, pod: str, told: Sequence[str], attempts: int) -> None:
        """:raises CassopsError: Cassandra refuses, or it failed too often."""
        words = " ".join(line for line in told[1:] if not line.startswith("\t"))[:1000]
        if attempts >= ATTEMPTS or "Unsupported" in words:
            raise CassopsError(
                f"nodetool decommission in {pod} ended with {told[0]}: {words}. Nothing is lost: the node is a member "
                "still. Correct the cause and run it again."
            )
        self.say(f"{pod}: nodetool decommission failed ({words[:200]}); once more")

    def start(self, pod: str) -> None:
        script = FORCED if self.must_be_forced(pod) else START
        self.cluster.check()
        done = self.run(pod, script)
        if done.rc != 0:
            raise CassopsError(f"nodetool decommission cannot be started in {pod}: {done.stderr.strip()}")

    def must_be_forced(self, pod: str) -> bool:
        """Whether Cassandra refuses only for the sake of what goes with the whole datacenter.

        :raises CassopsError: a keyspace keeps more replicas than there would be nodes.
        """
        if not self.settings.ends:
            return False
        scene = self.scene(self.cluster.ask_all(self.cluster.look()))
        here = scene.view.datacenter
        left = sum(1 for item in scene.members().values() if item.datacenter == here) - 1
        reasons = scaling.too_few_nodes(scene, left)
        if reasons:
            raise CassopsError(f"{pod} does not leave: {'; '.join(reasons)}")
        return scaling.needs_force(scene, left)

    def tell(self, pod: str) -> list[str]:
        """What became of nodetool decommission in this life of the node, by lines; nothing where that is not known."""
        done = attempt(lambda: self.run(pod, TELL))
        return done.stdout.splitlines() if isinstance(done, ExecResult) and done.rc == 0 else []

    def run(self, pod: str, script: str) -> ExecResult:
        return self.cluster.kube.exec(pod, ["sh", "-c", script], timeout=ASK_LIMIT)

    def prove(self, pod: str, host_id: str | None, address: str | None) -> None:
        def look() -> list[str]:
            sight = self.cluster.ask(self.cluster.look(), busy=False)
            return still_known(sight, pod, host_id, address)

        until(look, f"{self.members.short(pod)} to be forgotten in every view", self.limit, self.progress, PAUSE)

    def say(self, text: str) -> None:
        self.ctx.progress(self.members.short(text), important=True)


def goes(cluster: Cluster, sight: Sight, node: NodeView) -> bool:
    """Whether a node leaves, or has left and is in the ledger still, in its own word.

    One that serves and that others know is not asked: nodetool starts a JVM. One that has left counts as ready until
    Kubernetes has asked it again. The others have forgotten it by then, or were asked a moment too early; but it takes
    no logins any more.
    """
    others = [seen for name, seen in sight.view.joined(sight.others).observations.items() if name != node.pod]
    known = not others or any(item.host_id == node.host_id for seen in others for item in seen.endpoints.values())
    serves = node.ready and node.pod not in sight.view.unheard
    if node.host_id is None or node.uid is None or (serves and known):
        return False
    return mode_of(cluster, node) in ON_THE_WAY


def let_go(sight: Sight, node: NodeView) -> bool:
    """A member does not run, or nobody can reach it, and the whole ring has lost it.

    It tells the others that it has left when all its data is with them, and writes so down for itself a moment later
    (``StorageService.leaveRing``, ``decommission``). One that is killed between the two starts as a node that has yet
    to join, and stops, because its volume has data ("Discovered existing bootstrap data"). And one whose pod finds no
    place any more can say nothing at all.
    """
    if node.host_id is None or not (cannot_run(node) or node.worker_lost):
        return False
    if still_known(sight, node.pod, node.host_id, node.address):
        return False
    # Nor is there a member that nobody knows the pod of: it could be this one, under what a replacement gave it.
    return not scaling.known_as_member(scaling.Scene(sight.view, sight.others), node.pod, node.address)


def cannot_run(node: NodeView) -> bool:
    """Whether no process of Cassandra is there, in the word of somebody who knows: the kubelet, or the scheduler."""
    # A volume that no worker lets go may be in use there, by the pod before this one.
    told = node.reason is not None and not node.reason.startswith(NOT_ATTACHED)
    waits = node.phase in (None, "Pending") and told
    return node.phase == "Crashed" or node.held is not None or waits


def still_known(sight: Sight, pod: str, host_id: str | None, address: str | None) -> list[str]:
    """Views, other than its own, that know a member still; and those that could not be asked."""
    scene = scaling.Scene(sight.view, sight.others)
    return scaling.cannot_tell(scene, pod) + [
        f"{name} still knows {pod}"
        for name, seen in sorted(scene.cluster.observations.items())
        if name != pod
        and any(
            item.tokens and (item.host_id == host_id or item.address == address) for item in seen.endpoints.values()
        )
    ]


def says_so(cluster: Cluster, pod: str) -> bool:
    """Whether a node's log has its last word, that it has left: to ask it by nodetool starts a JVM."""
    log = attempt(lambda: cluster.kube.logs(pod, tail=failures.LOG_LINES))
    return isinstance(log, str) and any(line.endswith(GONE) for line in log.splitlines())


def mode_of(cluster: Cluster, node: NodeView) -> str | None:
    """A node's operation mode in its own word; what its last words tell where it does not come up any more."""
    if node.phase == "Crashed":
        words = last_words(cluster.kube, node.pod, failures.LOG_LINES)
        return GONE if HAS_LEFT in words else None
    if node.phase != "Running" or node.held is not None:
        return None
    told = attempt(lambda: nodetool.run(cluster.kube, node.pod, [["netstats"]], VERB_LIMIT, check=True)[0].data)
    return None if isinstance(told, CassopsError) else str(told["mode"])
