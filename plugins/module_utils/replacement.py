# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failed nodes: from what was observed to what is to be done about each, and why. Pure.

The rows are those of the table in docs/operations/heal.md. What they rely on in Cassandra (the same in 4.0, 4.1, 5.0):

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

import functools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import gates, ring
from .events import VOLUME_HANGS
from .plan import Plan, hash_of
from .view import Endpoint, NodeView, Observation, View

# --- what is to be done -----------------------------------------------------------------------------------------------

NONE = "none"
"""Nothing."""
WAIT = "wait"
"""It may pass by itself; look again later."""
ASK = "ask"
"""Nothing that is safe: a person has to do, or to confirm, something."""
MOVE = "move"
"""Take the pod off a worker that is off, so that it is made again where its volume can be."""
RECREATE = "recreate"
"""Delete the pod, so that it is made again."""
BOOTSTRAP = "bootstrap"
"""Delete volume and pod of a node that never joined; it joins anew."""
STOP = "stop"
"""End the pod of a node that gave up joining, and its place: else nobody can be replaced. It has its volume still."""
REPLACE = "replace"
"""Delete volume and pod; the new node takes the place of the dead one and streams its data."""
REPAIR = "repair"
"""Repair the node's ranges: it was down for longer than hints are kept."""
ABANDON = "abandon"
"""Withdraw a replacement that was begun: the node is alive again, with its volume, or would be with it."""
ASSASSINATE = "assassinate"
"""Take an address out of gossip that owns nothing and belongs to nobody."""

WELL = "it is well"
"""The reason of a node that nothing is wrong with."""
STOPPED = "no StatefulSet wants it, and its join is not finished"
"""The reason of a node that was stopped before it had joined."""

ACTIONS = (ABANDON, MOVE, RECREATE, STOP, REPLACE, BOOTSTRAP, ASSASSINATE, REPAIR)
"""What heal does by itself, in this order: what brings an old volume back comes before what gives one up."""

# --- workers and volumes ----------------------------------------------------------------------------------------------

READY, AWAY, GONE, UNKNOWN = "ready", "away", "gone", "unknown"
LOCAL, NETWORK = "local", "network"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""Taint of a worker: who sets it says that the machine is off. Kubernetes ends its pods without its word then."""

# --- held nodes, by the words of start.sh -----------------------------------------------------------------------------

EMPTY, HALF_WAY, EXPIRED, FOREIGN, NOT_ALLOWED = "empty", "half way", "expired", "foreign", "not allowed"
RESTORING = "restoring"
HELD: Mapping[str, str] = {
    "puts its data in place": RESTORING,
    "its volume is empty": EMPTY,
    "its replacement died half-way": HALF_WAY,
    "longer than gc_grace_seconds": EXPIRED,
    "the volume belongs to another node": FOREIGN,
    "the volume holds data that no node of this datacenter wrote": FOREIGN,
}

# What Cassandra logs before it ends because its files cannot be read or written.
CORRUPT = (
    "CorruptSSTableException",
    # 5.0 stumbles over the name of the file when it wants to say that (C(AbstractSSTableIterator)); seen with zeros.
    "FileDataInput.getPath()",
    "CorruptBlockException",
    "CommitLogReadException",
    "CommitLogReplayException",
    "FSReadError",
    "FSWriteError",
    "Input/output error",
)
COLLISION = "already exists, cancelling join"
PARTIAL_BOOTSTRAP = "cassandra.reset_bootstrap_progress"
TAKEN_AWAY = "run the playbook scale, which takes away what is left of it"
ORPHANED = "its StatefulSet is gone, and the ledger knows the node"
OUTAGE = (
    "run the playbook start: if the whole cluster was away, such as in a Kubernetes that was switched off, it tells "
    "since when, and how they go on. Otherwise bring back a node that was not away"
)
HAS_LEFT = "was decommissioned and will not rejoin"
# From which on a container that crashes does not come up by itself.
CRASHES = 3
MOMENT = 60.0
"""Seconds after which failure detectors and controllers have noticed."""
OVERDUE = 300.0
"""So many seconds after its grace period a pod is not waited for any more: kubelets take a minute or two to kill its
containers and to unmount its volumes."""
WHOLE_VIEWS = 3
"""So many living nodes must agree on who the dead one is, where there are so many."""


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


@dataclass(frozen=True)
class Decision:
    """What to do about one node, or about one address that belongs to none.

    :param row: of the table; 0 is a node that is well.
    :param reason: what was seen, in words.
    :param advice: what a person can do; empty where nobody has to.
    :param at_risk: keyspaces of which rows may be lost by it.
    """

    node: str
    row: int
    action: str
    reason: str
    advice: str = ""
    at_risk: tuple[str, ...] = ()

    @property
    def acts(self) -> bool:
        return self.action in ACTIONS


def decide(seen: View, cases: Iterable[Case], settings: Settings, peers: Sequence[View] = ()) -> list[Decision]:
    """What to do about each node, in the order of the nodes, then about strangers in the ring.

    Each decision stands for itself. Of those that act only one may be carried out (L(first)); then everything is
    looked at again.

    :param peers: the views of the cluster's other datacenters.
    """
    listed, scene = list(cases), Scene(seen, tuple(peers), settings)
    scene = replace(scene, in_the_way=tuple(case.node.pod for case in listed if has_given_up(scene, case)))
    return [*(decision(scene, case) for case in listed), *strangers(scene)]


def first(decisions: Iterable[Decision], begun: str = "") -> Decision | None:
    """The one to carry out now, None where there is nothing to do.

    :param begun: the node of which the replacement was begun: of several that are to be replaced it goes first.
    """
    acting = [each for each in decisions if each.acts]
    return min(acting, key=lambda each: (ACTIONS.index(each.action), each.node != begun), default=None)


def held_because(text: str) -> str:
    """The kind of hold, from the words of the start script."""
    return next((kind for sign, kind in HELD.items() if sign in text), NOT_ALLOWED)


def given_up_last(held: str) -> bool:
    """Whether a node is held for nothing but that the ledger counts its volume for given up, the last of them."""
    found = re.search(r"its mark is '(.*?)(?: (\d+))?', this node is '(.*?)(?: (\d+))?'", held)
    if found is None:
        return False
    its, number, own, own_number = found.groups()
    return bool(its == own) and int(number or 0) + 1 == int(own_number or 0)


def must_repair(down: float | None, settings: Settings) -> bool:
    """Whether a node's ranges must be repaired: it was down for longer than hints are kept, or nobody knows."""
    return down is None or settings.hint_window is None or down > settings.hint_window


# --- the ring ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """All views of the cluster, and what follows from them.

    :param in_the_way: nodes that gave up joining, and go on.
    """

    seen: View
    peers: tuple[View, ...]
    settings: Settings
    in_the_way: tuple[str, ...] = ()
    members: Mapping[str, Endpoint] = field(init=False)

    def __post_init__(self) -> None:
        merged: dict[str, Endpoint] = {}
        for view in self.views:
            for address, endpoint in view.endpoints().items():
                merged.setdefault(address, endpoint)
        object.__setattr__(self, "members", merged)

    @property
    def views(self) -> tuple[View, ...]:
        return (self.seen, *self.peers)

    @property
    def observers(self) -> int:
        return sum(len(view.observations) for view in self.views)

    def up_in(self, address: str | None) -> list[str]:
        """The observers that take an address for alive."""
        return [pod for view in self.views for pod in view.seen_up_by(address)] if address else []

    def joined_in(self, address: str | None) -> list[str]:
        """The same, if it has joined: a node that takes another's place under an address of its own streams alive."""
        member = self.members.get(address or "")
        return [] if member is not None and joins(member) else self.up_in(address)

    def member(self, node: NodeView) -> Endpoint | None:
        """The node in the ring: by its host id, since its address may have changed; else by its address."""
        by_id = self._by_host_id.get(node.host_id or "", ())
        # A node that came back under another address is known by both for a while.
        known = min(by_id, key=lambda item: (not self.up_in(item.address), item.address != node.address), default=None)
        return known or self.members.get(node.address or "")

    def dead(self) -> frozenset[str]:
        """Members that own tokens and that nobody sees up."""
        return self._dead

    def strangers(self) -> tuple[Endpoint, ...]:
        """Members of this datacenter that are none of its nodes, by their addresses."""
        return self._strangers

    def ghosts(self) -> frozenset[str]:
        """Strangers that nobody sees up and that own nothing, neither come nor go: nobody has to wait for them."""
        return self._ghosts

    def newcomers(self) -> frozenset[str]:
        """Nodes of any datacenter that never joined and do not try to now: they cannot join while a member is dead."""
        return self._newcomers

    def doubtful(self) -> frozenset[str]:
        """Members that own tokens and that not everybody sees up."""
        return self._doubtful

    def availability(self) -> ring.Availability:
        """What may be down together in the cluster."""
        return self._availability

    # What is asked about each node is worked out once.

    @functools.cached_property
    def _by_host_id(self) -> dict[str, list[Endpoint]]:
        found: dict[str, list[Endpoint]] = {}
        for item in self.members.values():
            if item.host_id:
                found.setdefault(item.host_id, []).append(item)
        return found

    @functools.cached_property
    def _dead(self) -> frozenset[str]:
        return frozenset(address for address, item in self.members.items() if item.tokens and not self.up_in(address))

    @functools.cached_property
    def _strangers(self) -> tuple[Endpoint, ...]:
        ids = {node.host_id for node in self.seen.nodes if node.host_id}
        addresses = {node.address for node in self.seen.nodes}
        return tuple(
            member
            for address, member in sorted(self.members.items())
            if member.datacenter == self.seen.datacenter and address not in addresses and member.host_id not in ids
        )

    @functools.cached_property
    def _ghosts(self) -> frozenset[str]:
        return frozenset(
            member.address
            for member in self.strangers()
            if not member.tokens and not under_way(member) and not self.up_in(member.address)
        )

    @functools.cached_property
    def _newcomers(self) -> frozenset[str]:
        found = set()
        for node in (node for view in self.views for node in view.nodes):
            member = self.member(node)
            if node.host_id is None and (
                member is None or not (member.tokens or under_way(member) or self.up_in(member.address))
            ):
                found.add(node.pod)
        return frozenset(found)

    @functools.cached_property
    def _doubtful(self) -> frozenset[str]:
        return frozenset(
            address
            for address, item in self.members.items()
            if item.tokens and len(self.up_in(address)) < self.observers
        )

    @functools.cached_property
    def _availability(self) -> ring.Availability:
        return gates.availability(self.views)

    @functools.cached_property
    def _names(self) -> dict[str, str]:
        nodes = [node for view in reversed(self.views) for node in reversed(view.nodes)]
        ids = {node.host_id: place for place, node in enumerate(nodes) if node.host_id}
        places = {node.address: place for place, node in enumerate(nodes) if node.address}
        found = {}
        for address in {*places, *self.members}:
            member = self.members.get(address)
            place = max(places.get(address, -1), ids.get(member.host_id, -1) if member else -1)
            if place >= 0:
                found[address] = nodes[place].pod
        return found

    def name(self, address: str) -> str:
        """The first node that has the address, or the host id of the member there."""
        return self._names.get(address, address)


def under_way(member: Endpoint) -> bool:
    """Whether it joins, moves or leaves, or had begun to when it died."""
    return joins(member) or leaves(member) or (member.status or "").lower().startswith("moving")


def joins(member: Endpoint) -> bool:
    """Whether it has not joined yet (C(BOOT), C(BOOT_REPLACE)); not known of 4.0, where gossip is no table."""
    return (member.status or "").lower().startswith("boot")


def leaves(member: Endpoint) -> bool:
    """Whether it leaves or is being removed; of one that is dead that has not ended."""
    return (member.status or "").lower().startswith(("removing", "leaving"))


@dataclass(frozen=True)
class Loss:
    """Keyspaces of which rows may be lost, because a quorum of the replicas of some ranges is dead.

    A write that was acknowledged at QUORUM is on as many replicas as a quorum has: where so many are dead, it may be
    on dead ones only. (A keyspace with two replicas has lost its QUORUM with one of them, and no row.)

    :param sets: sets of replicas for which it holds, of those that the node belongs to.
    :param gone: of some range no replica is left at all.
    """

    keyspaces: tuple[str, ...]
    level: str
    factor: int
    quorum: int
    sets: int
    replicas: tuple[str, ...]
    gone: bool

    def words(self, scene: Scene) -> str:
        dead = [scene.name(address) for address in self.replicas if address in scene.doubtful()]
        left = "and no replica is left" if self.gone else "so rows that only these have are lost"
        ranges = "1 set of replicas" if self.sets == 1 else f"{self.sets} sets of replicas"
        return (
            f"{gates.keyspaces_named(self.keyspaces)}: of {ranges} {self.quorum} or more of {self.factor} are dead "
            f"({', '.join(dead)}, for one), {left}"
        )


def losses(scene: Scene, target: str) -> list[Loss]:
    """What may be lost if the member at this address gets its data from those that are alive now.

    Who is not up in every view counts as dead.
    """
    rules = scene.availability()
    dead = rules.mask({*scene.doubtful(), target})
    found = []
    for rule in rules.rules:
        lost = [mask for mask in rules.sets_with(rule, target) if (mask & dead).bit_count() >= rule.quorum]
        if lost:
            gone = rule.level == "QUORUM" and any(not mask & ~dead for mask in lost)
            found.append(
                Loss(rule.keyspaces, rule.level, rule.factor, rule.quorum, len(lost), rules.nodes(lost[0] & dead), gone)
            )
    return found


def single_copies(seen: View) -> tuple[str, ...]:
    """The user's keyspaces that have one replica in this datacenter, by name: a lost volume is lost rows of them."""
    return tuple(
        sorted(
            item.name
            for item in seen.keyspaces
            if not item.name.startswith("system")
            and 1 in {ring.replication_factors(item.replication).get(where) for where in ("", seen.datacenter)}
        )
    )


# --- the table --------------------------------------------------------------------------------------------------------


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
        return stuck(case)
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


def wait(case: Case, row: int, reason: str) -> Decision:
    return Decision(case.node.pod, row, WAIT, reason)


def is_ending(node: NodeView, worker: Worker) -> bool:
    """Its pod ends on a worker that answers, and is gone sooner or later; until then it drains."""
    return node.phase == "Terminating" and worker.state == READY


def ends(case: Case) -> str:
    """The same in words."""
    where = f" on worker {case.worker.name}" if case.worker.name else ""
    return f"its pod ends{where}, and has its grace period for that (if it takes longer: kubectl describe pod)"


def stuck(case: Case) -> Decision:
    """Nobody takes it away by force: a process that hangs there would meet its successor on the same volume."""
    pod, name = case.node.pod, case.worker.name
    return ask(
        case,
        4,
        f"its pod should have ended {case.overdue:.0f} s ago, and worker {name}, which answers, does not end it",
        f"see what keeps it there: kubectl describe pod {pod}, and the kubelet's log on {name}; mostly a volume that "
        f"cannot be unmounted, or a disk that hangs. If that cannot be mended, restart {name}; the pod is made again "
        "then. Do not delete it by force while that worker runs: its process may go on",
    )


def ask(case: Case, row: int, reason: str, advice: str) -> Decision:
    return Decision(case.node.pod, row, ASK, reason, advice)


def living(scene: Scene, case: Case, up: Sequence[str]) -> Decision:
    """Somebody sees it up: whatever Kubernetes says, it is never replaced."""
    node, named = case.node, case.node.pod in scene.settings.named
    if is_ending(case.node, case.worker):
        return wait(case, 4, f"{ends(case)}; {', '.join(up)} still see it alive")
    if node.held is not None or node.phase not in ("Running", "Crashed"):
        if case.down is None or case.down < MOMENT:
            return wait(case, 4, f"{', '.join(up)} still see it alive; failure detectors take some seconds")
        where = f" on worker {case.worker.name}" if case.worker.name else ""
        return ask(
            case,
            4,
            f"{', '.join(up)} see it alive, and its pod does not run Cassandra: a former process of it seems to go on"
            f"{where}",
            f"switch that worker off, or connect it again{where and f' ({case.worker.name})'}; then run it again",
        )
    if node.volume_deleting:
        return doomed(scene, case)
    if len(up) < scene.observers:
        return wait(case, 4, f"{len(up)} of {scene.observers} views see it up; needed all: see to the network")
    if node.worker_lost:
        return wait(case, 4, f"it is up, and Kubernetes hears nothing of worker {node.worker}: see to its kubelet")
    if not node.ready:
        return wait(case, 1, f"it is up and does not serve clients yet{f': {node.reason}' if node.reason else ''}")
    if node.pod in scene.seen.unheard:
        return wait(case, 1, f"it is up and cannot be asked for its view: {scene.seen.unheard[node.pod]}")
    if case.unread:
        return wait(case, 2, f"whether it missed more than hints cover is not known: {case.unread}")
    if case.missed is not None and must_repair(case.missed, scene.settings):
        return safe_repair(scene, case, beyond_hints(case.missed, scene.settings))
    if named:
        return Decision(node.pod, 8, NONE, "every view has it up, and a live node is never replaced")
    return Decision(node.pod, 0, NONE, WELL)


def doomed(scene: Scene, case: Case) -> Decision:
    """Nobody can take back the deletion of a claim: the node has to get another volume, when nothing is lost by it."""
    pod, member = case.node.pod, scene.member(case.node)
    lost = losses(scene, member.address) if member else []
    keyspaces = tuple(sorted({name for loss in lost for name in loss.keyspaces}))
    names = gates.keyspaces_named(keyspaces)
    first_of_all = f"give {names} more replicas, or make a backup; " if lost else ""
    return Decision(
        pod,
        8,
        ASK,
        "it is alive, and its volume claim is being deleted: its data goes as soon as its pod does"
        + (f", and rows of {names} with it" if lost else ""),
        f"leave its pod alone until all others are well; {first_of_all}then repair it (nodetool repair -full there), "
        f"delete its pod (kubectl delete pod {pod}), and run heal again: it is replaced",
        keyspaces,
    )


def beyond_hints(missed: float, settings: Settings) -> str:
    down = f"it was down for {missed:.0f} s"
    if settings.hint_window is None:
        return f"{'it was down' if missed == math.inf else down}, and no node tells for how long hints are kept"
    kept = f"hints are kept ({settings.hint_window:.0f} s)"
    if missed == math.inf:
        return f"for how long it was down is not known; it may have been longer than {kept}"
    return f"{down}, longer than {kept}"


def begun(scene: Scene, case: Case, up: Sequence[str]) -> Decision:
    """A replacement that a run left behind: finished, but not over a node that came back with its data meanwhile."""
    node = case.node
    if case.old_volume and up and is_ending(node, case.worker):
        return wait(case, 12, f"its replacement was begun, and {ends(case)}")
    if case.old_volume and up and case.volume.going:
        return ask(
            case,
            12,
            "its replacement was begun and its volume is about to go, and it is alive again",
            f"delete its pod when it suits (kubectl delete pod {node.pod}); then run it again: it is replaced",
        )
    with_its_volume = case.old_volume and not case.again
    if with_its_volume and up:
        return Decision(node.pod, 12, ABANDON, "its replacement was begun, and it is alive again with its volume")
    if with_its_volume and starts_again(scene, case) and not case.wished and node.pod not in scene.settings.named:
        otherwise = by_name(node, "if it does not come up")
        return wait(case, 12, f"its replacement was begun, and it may come up again with its volume; {otherwise}")
    told = safe(scene, case, REPLACE, 12, "its replacement was begun and is not finished")
    # What a person has given up knowingly, such as wrong data, nobody gives back unasked.
    stands = with_its_volume and not (case.accepted or case.volume.going or case.volume.lost)
    if stands and told.row in (16, 17) and given_up_last(node.held or ""):
        reason = "its replacement was begun, and rows would be lost by it; its volume stands, and is given back to it"
        return Decision(node.pod, 12, ABANDON, reason)
    return told


def starts_again(scene: Scene, case: Case) -> bool:
    """Whether a pod may come up with its old volume by itself."""
    node = case.node
    if node.held is not None or case.volume.going or case.volume.lost:
        return False
    if node.phase == "Crashed":
        return not keeps_crashing(node)
    if node.phase == "Running":
        return True
    if node.worker is None:
        # Of a volume whose worker answers again, such as one that is cordoned.
        return case.worker.state == READY
    # A pod that waits on a worker that is off ends within minutes; on one that is back it starts.
    unheard = node.phase == "Pending" and case.worker.state == UNKNOWN
    return unheard or not off_for_good(scene.settings, case.worker)


def make_again(playbook: str) -> str:
    """What a person can do about a StatefulSet that is gone: its nodes are wanted until somebody takes them away."""
    why = "which was cut off while it made it anew" if playbook == "scale" else "which makes it again around its pods"
    return f"run the playbook {playbook}, {why}; if the rack shall go, take it out with the playbook scale afterwards"


def surplus(case: Case, up: bool) -> Decision:
    """A place that somebody took away by hand, or that a node without a host id has not yet, or has no more."""
    node = case.node
    if is_ending(node, case.worker):
        return wait(case, 9, f"no StatefulSet wants it, and {ends(case)}")
    if node.host_id is None:
        way = "run the playbook scale, which has it join when all others are well, or takes it back if it is not wanted"
        return ask(case, 13, STOPPED, way)
    back = "run the playbook start, which makes the StatefulSet want it again"
    if up:
        leave = f"module node_decommission with name {node.pod}"
        return ask(case, 9, "no StatefulSet wants it, and it is alive", f"{back}. If it shall leave: {leave}")
    if case.volume.claim_uid:
        back += ", and it comes back with its volume"
    remove = f"module node_remove with host_id {node.host_id}, which gives its ranges to the others"
    way = f"{back}. Where its capacity is not needed any more: {remove}"
    return ask(case, 9, "no StatefulSet wants it, and it is dead", way)


def is_new(scene: Scene, node: NodeView) -> bool:
    """Whether it has not joined, as far as anybody could tell."""
    member = scene.member(node)
    return node.host_id is None and (member is None or not member.tokens)


def has_given_up(scene: Scene, case: Case) -> bool:
    """Whether it joined in vain and goes on. Where nobody could be asked it may have joined after all."""
    unplanned = case.wanted and not case.orphaned and not case.open_plan
    return bool(case.streams_failed and scene.observers) and unplanned and is_new(scene, case.node)


def gave_up(scene: Scene, case: Case) -> Decision:
    """Its streams failed while it joined; its process goes on, and nothing of it can be missed."""
    node, reason = case.node, f"it could not stream all of its data, and goes on without joining: {case.streams_failed}"
    dead = sorted(scene.name(address) for address in scene.dead())
    if not dead:
        return ask(case, 13, reason, "run the playbook scale, which begins its join again")
    are = "is" if len(dead) == 1 else "are"
    why = f"nobody can be replaced beside a node that joins, and {', '.join(dead)} {are} dead"
    rack = scene.seen.rack(node.rack)
    half_way = rack is not None and rack.partition < rack.replicas
    if half_way or any(other.rack == node.rack and other.ordinal > node.ordinal for other in scene.seen.nodes):
        # Kubernetes ends the highest of a rack only, and another number of them would move the partition of a rollout.
        return Decision(node.pod, 13, BOOTSTRAP, f"{reason}; {why}: it begins again on an empty volume")
    then = "when all others are well, the playbook scale begins its join again"
    return Decision(node.pod, 13, STOP, f"{reason}; {why}: its pod is ended; {then}")


def newcomer(scene: Scene, case: Case) -> Decision:
    """It was never a member: it has nothing that anybody could miss."""
    node, worker = case.node, case.worker
    off = volume_lost(scene, case)
    if not scene.observers:
        # The ledger may only not have been told of it yet.
        return wait(case, 13, "whether it has joined is not known: no living node could be asked")
    unknown = [member.address for member in scene.strangers() if member.tokens]
    if node.address is None and unknown:
        # Its address is its pod's, and goes with it.
        return ask(
            case,
            13,
            f"it may have joined as {unknown[0]}: that is a member with tokens, and none of the nodes",
            "bring its worker back and run the playbook scale, which finishes the join; or see what is said of "
            f"{unknown[0]}",
        )
    if node.uid is not None and node.worker is not None and (off or worker.state == AWAY):
        return replace(without_worker(scene, case), row=13)
    if node.phase == "Pending" and node.worker is None and off and case.volume.kind == LOCAL:
        where = f"worker {worker.name}" if worker.name else "the worker"
        return Decision(node.pod, 13, BOOTSTRAP, f"it has not joined yet, and {where} with its volume is off")
    if node.held is not None:
        return ask(case, 13, f"it has not joined yet, and is held: {node.held}", "run the playbook deploy")
    if node.phase == "Crashed" and PARTIAL_BOOTSTRAP in case.last_words:
        reason = "it died while it joined, and no node may go on over partial data"
        return Decision(node.pod, 13, BOOTSTRAP, reason)
    if node.phase == "Crashed" and keeps_crashing(node):
        return ask(case, 13, f"it crashes while it joins: {summary(case)}", "correct the cause and run deploy")
    return wait(case, 13, "it has not joined yet")


def has_left(scene: Scene) -> bool:
    """Whether it counts that nobody knows a member: all could be asked, and nobody knows one that is none of the nodes,
    which could be this one under another address and host id."""
    unheard = any(view.unheard for view in scene.views)
    return bool(scene.observers) and not unheard and not any(member.tokens for member in scene.strangers())


def held(scene: Scene, case: Case, kind: str) -> Decision:
    node = case.node
    if kind == EMPTY:
        return safe(scene, case, REPLACE, 6, "it came back without its storage")
    if kind == EXPIRED:
        reason = "it was down for longer than gc_grace_seconds: its data must not come back"
        if not scene.observers and not unasked(scene):
            return ask(case, 3, f"{reason}; and no living node could be asked", OUTAGE)
        return safe(scene, case, REPLACE, 3, reason)
    if kind == HALF_WAY:
        return safe(scene, case, REPLACE, 12, "its replacement died half-way")
    if kind == FOREIGN and node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 7, f"its volume cannot be used ({node.held})")
    if kind == FOREIGN:
        return ask(case, 7, f"it is held: {node.held}", by_name(node, "put the right volume back, or give this one up"))
    if kind == RESTORING:
        return ask(case, 1, f"it is held: {node.held}", "run the playbook restore again, which finishes it")
    return ask(case, 1, f"it is held: {node.held}", "run the playbook deploy")


def without_worker(scene: Scene, case: Case) -> Decision:
    """Its worker does not answer. Kubernetes keeps a pod's name until it knows that no process of it is left."""
    node, worker = case.node, case.worker
    where = f"worker {worker.name}" if worker.name else "its worker"
    row = 5 if case.volume.kind == NETWORK else 6
    said = off_for_good(scene.settings, worker)
    if said:
        if node.uid is not None:
            return Decision(node.pod, row, MOVE, f"{where} {said}")
        return wait(case, row, f"{where} {said}; Kubernetes has not made its pod again yet")
    if is_ending(case.node, case.worker):
        return wait(case, 4, ends(case))
    if case.down is not None and case.down < scene.settings.grace:
        return wait(case, 4, f"{where} has not answered for {case.down:.0f} s; it may come back")
    told = (node.reason or "").partition("does not answer: ")[2]
    return ask(
        case,
        4,
        f"{where} does not answer, and nobody knows whether it is off{f': {told}' if told else ''}",
        fence(scene.settings, worker, by_name_and_worker(node)),
    )


def unplaced(scene: Scene, case: Case) -> Decision:
    """Its pod has no worker: mostly because its volume is on one that is not there."""
    node, worker, volume = case.node, case.worker, case.volume
    if volume.claim_uid is None:
        if case.down is not None and case.down < MOMENT:
            return wait(case, 6, "its pod waits for its volume claim")
        return Decision(node.pod, 6, RECREATE, "its pod waits for a volume claim that does not exist")
    if not (node.reason or "").startswith("it cannot be scheduled"):
        return wait(case, 1, "its pod waits for a worker")
    if volume.kind != LOCAL and node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 8, f"its pod has no place ({node.reason})")
    if volume.kind != LOCAL:
        way = "see to workers and zones (kubectl describe pod), or give its volume up"
        return ask(case, 1, f"its pod has no place: {node.reason}", by_name(node, way))
    where = f"worker {worker.name}" if worker.name else "a worker whose name these credentials may not read"
    there, said = f"its local volume is on {where}", volume_lost(scene, case)
    if said:
        return safe(scene, case, REPLACE, 6, f"{there}, which {said}")
    if worker.state == READY and node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 8, f"{there}, which takes no pods")
    if worker.state == READY:
        first = f"uncordon {worker.name} or make room there (scale_leave_workers takes a live node off a worker)"
        way = f"{first}, or give the volume up"
        return ask(case, 8, f"{there}, which is up and does not take it: {node.reason}", by_name(node, way))
    if case.down is not None and case.down < scene.settings.grace:
        return wait(case, 4, f"{there}, which may come back")
    return ask(
        case,
        4,
        f"{there}, and nobody knows whether that is off",
        fence(scene.settings, worker, by_name_and_worker(node)),
    )


def placed(scene: Scene, case: Case) -> Decision:
    """Its pod has a worker, and its container has not started."""
    node = case.node
    if node.reason is None:
        return wait(case, 1, "its pod is being started")
    if not volume_hangs(case):
        return ask(case, 1, f"its pod does not start: {node.reason}", "correct the cause: kubectl describe pod")
    reason = f"its volume does not come to its pod: {node.reason}"
    if node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 7, reason)
    return ask(case, 7, reason, by_name(node, "correct the cause (kubectl describe pod), or give the volume up"))


def volume_hangs(case: Case) -> bool:
    """Whether its pod waits for the node's volume, and not for another one, such as that of a ConfigMap."""
    reason = case.node.reason or ""
    one, several = (re.search(text, reason) for text in (r'for volume "([^"]+)"', r"unmounted volumes=\[([^]]*)\]"))
    own = (one is None or one[1] == case.volume.name) and (several is None or "data" in several[1].split())
    return reason.startswith(VOLUME_HANGS) and own


def crashed(scene: Scene, case: Case) -> Decision:
    node = case.node
    if any(sign in case.last_words for sign in CORRUPT):
        reason = f"its files cannot be read or written: {summary(case)}"
        if node.pod in scene.settings.named:
            return safe(scene, case, REPLACE, 7, reason)
        return ask(case, 7, reason, by_name(node, "mend its volume, or give it up"))
    if COLLISION in case.last_words:
        return crossed(scene, case)
    if HAS_LEFT in case.last_words:
        return ask(case, 9, "it has left the ring", TAKEN_AWAY)
    if node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 7, f"it crashes: {summary(case)}")
    if not keeps_crashing(node):
        return wait(case, 1, f"it crashed, and Kubernetes starts it again: {summary(case)}")
    return ask(
        case,
        1,
        f"it crashed {node.restarts} times: {summary(case)}",
        by_name(node, "correct the cause (playbooks deploy and restart); its data is there"),
    )


def keeps_crashing(node: NodeView) -> bool:
    """Whether it does not come up by itself. The count is that of its pod's life: those of last month do not count."""
    return node.backing_off and node.restarts >= CRASHES


def crossed(scene: Scene, case: Case) -> Decision:
    """The others know its address as another node's; where pods' addresses are used, another pod has another one."""
    node = case.node
    owner = scene.members.get(node.address or "")
    if owner is not None and node.host_id and owner.host_id != node.host_id:
        return Decision(node.pod, 19, RECREATE, f"its address {node.address} is that of another node, {owner.host_id}")
    reason = f"the others know its address with another host id than its volume has: {summary(case)}"
    if node.pod in scene.settings.named:
        return safe(scene, case, REPLACE, 19, reason)
    return ask(case, 19, reason, by_name(node, "put the right volume back, or give this one up"))


def starting(scene: Scene, case: Case) -> Decision:
    """Its container runs, and nobody sees it up."""
    if case.node.ready:
        why = unasked(scene) or "nobody sees it up"
        return wait(case, 4, f"Kubernetes takes it for ready, and {why}")
    if case.streams_failed:
        # Of one that was approved, or began by itself: the ledger has its host id, and nobody sees it up.
        reason = f"its replacement could not stream all of its data, and goes on without it: {case.streams_failed}"
        return safe(scene, case, REPLACE, 12, reason)
    just_now = case.down is not None and case.down < MOMENT
    if case.node.pod in scene.settings.named and not just_now:
        return safe(scene, case, REPLACE, 7, "it runs, and nobody sees it up")
    since = "" if case.down is None else f" (down for {case.down:.0f} s)"
    return wait(case, 1, f"it is starting with its data{since}; if it does not come up, its log tells why")


def by_name(node: NodeView, otherwise: str) -> str:
    return f"{otherwise}: playbook replace_node with -e replace_node_name={node.pod}"


def off_for_good(settings: Settings, worker: Worker) -> str:
    """Why a worker will not come back, in words; empty where it may.

    What was said of one that answers is not so any more.
    """
    if worker.state == GONE:
        return "is gone from Kubernetes"
    if worker.state == READY:
        return ""
    if worker.out_of_service:
        return f"is off, as its taint {OUT_OF_SERVICE} says"
    return "is off, as you said" if worker.name in settings.workers_off else ""


def volume_lost(scene: Scene, case: Case) -> str:
    """The same of the worker with a local volume. Where nothing tells which that is, who names the node means it."""
    settings = scene.settings
    unknown = case.worker.name is None and case.node.pod in settings.named and settings.workers_off
    return "is off, as you said" if unknown else off_for_good(settings, case.worker)


def fence(settings: Settings, worker: Worker, unknown: str) -> str:
    """What a person can do about a worker that does not answer.

    :param unknown: what to do if it is off for good, and these credentials do not tell which one it is.
    """
    name = worker.name
    if name is None:
        return (
            "find out which worker that is, or which zone without workers (kubectl describe pv), and bring it back; "
            "give these credentials extensions/kubernetes/rbac-workers.yml, and it is told here. If it is off for "
            f"good: {unknown}"
        )
    return (
        f"switch {name} off, or bring it back. If it is off for good, delete it from Kubernetes (kubectl delete node "
        f"{name}), or say so: {settings.say('workers_off', name)}"
    )


def by_name_and_worker(node: NodeView) -> str:
    return (
        f"playbook replace_node with -e replace_node_name={node.pod}, and that worker's name in "
        "replace_node_workers_off"
    )


def summary(case: Case) -> str:
    """The line of the last words that tells most."""
    lines = [line.strip() for line in case.last_words.splitlines() if line.strip()]
    signs = (*CORRUPT, COLLISION, "Exception", "ERROR", "Error")
    telling = [line for sign in signs for line in lines if sign in line]
    chosen = (telling or lines[-1:] or [case.node.reason or "it left no words"])[0]
    return chosen[:300]


# --- is it safe? ------------------------------------------------------------------------------------------------------


def safe(scene: Scene, case: Case, action: str, row: int, reason: str) -> Decision:
    """The decision, if nothing speaks against it; else what does."""
    node, member = case.node, scene.member(case.node)
    unknown = unasked(scene)
    if unknown:
        advice = "see to the superuser's Secret, and to port-forwards; before a node answers nothing is decided"
        return ask(case, 18, f"{reason}; and {unknown}", advice)
    if not scene.observers:
        return ask(
            case,
            18,
            f"{reason}; and no living node could be asked",
            "bring back a node whose volume is left; if none is, restore the datacenter from a backup, or build it "
            "again from another datacenter",
        )
    if member is None:
        return ask(case, 11, f"{reason}; and no living node knows it", "run the playbook status, and see its ring")
    up = scene.up_in(member.address)
    if up and not case.open_plan:
        return living(scene, case, up)
    # Cassandra lets nobody stream his way in while a member leaves, also one that died of it.
    over = {address for address in scene.dead() if not under_way(scene.members[address])}
    beside = {*over, *scene.ghosts(), member.address}
    others = [view.without({node.pod, *scene.newcomers()}, beside) for view in scene.views]
    rest = joined(others)
    fixed = not comes_changed(scene, node)
    mixed = [*gates.one_release(rest), *(another_line(node, rest) if fixed else ())]
    if mixed:
        return ask(case, 20, f"{reason}; but {mixed[0]}", one_line_first(node))
    apart = [*gates.one_format(rest), *(another_format(node, rest) if fixed else ())]
    if apart:
        return ask(case, 20, f"{reason}; but {apart[0]}", one_format_first(node))
    ended = (f"the playbook heal ends {pod}, which gave up joining" for pod in scene.in_the_way)
    reasons = [*ended, *obstacles(others), *disagreement(scene, member)]
    if reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        return wait(case, row, f"{reason}; but first: {reasons[0]}{more}")
    lost = [] if up else losses(scene, member.address)
    refused = unacceptable(scene, case, reason, lost)
    if refused:
        return refused
    at_risk = tuple(sorted({name for loss in lost for name in loss.keyspaces}))
    return Decision(node.pod, row, action, reason + circumstances(scene, member, at_risk), at_risk=at_risk)


def unasked(scene: Scene) -> str:
    """Why nobody tells who lives although nodes serve; empty where somebody does, or where none serves."""
    serving = (node.pod for node in scene.seen.nodes if node.ready and node.pod in scene.seen.unheard)
    pod = next(serving, None)
    return "" if scene.observers or pod is None else f"no node can be asked: {scene.seen.unheard[pod]}"


def safe_repair(scene: Scene, case: Case, reason: str) -> Decision:
    """A repair needs all replicas, and one line of Cassandra."""
    up = (words for view in scene.views for words in gates.up_in_every_view(view))
    reasons = [*up, *gates.one_line(joined(scene.views))]
    if reasons:
        return wait(case, 2, f"{reason}; its ranges are repaired when all are up: {reasons[0]}")
    return Decision(case.node.pod, 2, REPAIR, reason)


def unacceptable(scene: Scene, case: Case, reason: str, lost: Sequence[Loss]) -> Decision | None:
    """Rows 16 and 17."""
    if not lost:
        return None
    words = "; ".join(loss.words(scene) for loss in lost)
    keyspaces = tuple(sorted({name for loss in lost for name in loss.keyspaces}))
    if any(loss.gone and loss.factor > 1 for loss in lost):
        return Decision(
            case.node.pod,
            17,
            ASK,
            f"{reason}; and {words}",
            "Cassandra refuses to stream what nobody has: bring back a volume of one of them, or restore a backup",
            keyspaces,
        )
    if set(keyspaces) <= scene.settings.accept_loss:
        return None
    return Decision(
        case.node.pod,
        17 if any(loss.gone for loss in lost) else 16,
        ASK,
        f"{reason}; and {words}",
        "bring back the volume of one of them first. If that cannot be, restore a backup, or accept the loss: "
        f"{scene.settings.say('accept_loss', *keyspaces)}",
        keyspaces,
    )


def obstacles(others: Iterable[View]) -> Iterator[str]:
    """Why the living are not ready to give a node its data."""
    others = list(others)
    if not any(view.keyspaces for view in others):
        yield "the keyspaces could not be read"
    for view in others:
        for gate in (gates.heard, gates.up_in_every_view, gates.normal, gates.one_schema):
            if view.nodes or gate is not gates.up_in_every_view:
                yield from gate(view)


def joined(views: Sequence[View]) -> View:
    """The view of the whole cluster."""
    return views[0].joined(views[1:])


def comes_changed(scene: Scene, node: NodeView) -> bool:
    """Whether its pod ends and the next one may be of another revision: what this one runs tells nothing then."""
    rack = scene.seen.rack(node.rack)
    return node.phase == "Terminating" and rack is not None and node.ordinal >= rack.partition


def another_line(node: NodeView, living: View) -> Iterator[str]:
    """Why the living cannot give the node its data although they run one line of Cassandra: its pod runs another."""
    lines = {gates.line(member.version) for member in living.endpoints().values()}
    if node.version and lines and gates.line(node.version) not in lines:
        yield f"it would start with Cassandra {node.version}, and the others run {', '.join(sorted(lines))}"


def another_format(node: NodeView, living: View) -> Iterator[str]:
    """The same where it is another kind of formats, see L(gates.one_format)."""
    known = (gates.FOR_FOUR, *gates.FOR_FIVE)
    modes = {other.storage_mode for other in living.nodes if other.storage_mode in known}
    own = node.storage_mode
    if modes and own in known and (own == gates.FOR_FOUR) != (gates.FOR_FOUR in modes):
        yield (
            f"it would start with storage_compatibility_mode {own}, and the others run with "
            f"{', '.join(each for each in known if each in modes)}: nothing can be streamed from one side to the other"
        )


def one_format_first(node: NodeView) -> str:
    return (
        f"finish that step without this node, then run it again: playbook upgrade with -e rollout_without={node.pod}. "
        "There is no way back from it but a backup"
    )


def one_line_first(node: NodeView) -> str:
    return (
        f"finish the upgrade or take it back, without this node, then run it again: playbook restart with -e "
        f"rollout_without={node.pod} -e rollout_rollback=true takes it back (but not an upgrade from 4.0), playbook "
        f"upgrade with -e rollout_without={node.pod} finishes it"
    )


def disagreement(scene: Scene, member: Endpoint) -> Iterator[str]:
    """Why the living do not agree on who the dead node is: a replacement takes its tokens from any of them."""
    known = 0
    for view in scene.views:
        for pod, seen in sorted(view.observations.items()):
            theirs = seen.endpoints.get(member.address)
            if theirs is None:
                yield f"{pod} does not know {scene.name(member.address)} ({member.address})"
            elif (theirs.host_id, theirs.tokens) != (member.host_id, member.tokens):
                yield f"{pod} knows another host id or other tokens of {scene.name(member.address)} than the others"
            else:
                known += 1
    alive = sum(1 for item in scene.members.values() if item.tokens) - len(scene.dead())
    if known < min(WHOLE_VIEWS, alive):
        yield f"{known} living nodes agree on {scene.name(member.address)}, needed {min(WHOLE_VIEWS, alive)}"


def circumstances(scene: Scene, member: Endpoint, at_risk: Sequence[str]) -> str:
    """What else is worth a word: rows 14 and 15, and what was accepted."""
    words = ""
    if any(member.address in view.seeds for view in scene.views):
        words += "; it is a seed, and starts with others as its seeds"
    others = sorted(scene.name(address) for address in scene.dead() - {member.address})
    if others:
        words += f"; {', '.join(others)} {'is' if len(others) == 1 else 'are'} dead too"
    if at_risk:
        words += f"; rows of {', '.join(at_risk)} may be lost, which was accepted"
    elif others:
        words += ", and no quorum is lost with it" if len(others) == 1 else ", and no quorum is lost with them"
    return words


# --- the proof --------------------------------------------------------------------------------------------------------


def unproven(scene: Scene, plan: Plan) -> list[str]:
    """Why a replacement does not count as done; empty when every view has the new node, and nothing of the dead one.

    Views must have been asked what nodes are busy with.
    """
    node = scene.seen.node(plan.pod)
    if node is None or node.address is None:
        return [f"{plan.pod} has no address"]
    reasons = []
    mine = replace(scene.seen, nodes=(node,))
    if node.pod not in mine.observations:
        reasons.append(f"{node.pod} cannot be asked for its view yet")
    for view in scene.views:
        about = replace(view, nodes=(node,))
        reasons += gates.up_in_every_view(about) + gates.normal(about, {node.address}) + gates.one_schema(view)
        reasons += [
            f"{pod} still knows the dead node under {plan.address}"
            for pod, seen in sorted(view.observations.items())
            if plan.address != node.address and plan.address in seen.endpoints and seen.endpoints[plan.address].tokens
        ]
        reasons += [
            f"{pod} knows {node.pod} with other tokens than the dead node had"
            for pod, seen in sorted(view.observations.items())
            if node.address in seen.endpoints and hash_of(seen.endpoints[node.address].tokens) != plan.tokens
        ]
    return reasons + still_streaming(mine.observations.get(node.pod))


def still_streaming(observation: Observation | None) -> list[str]:
    """Streams of the node but those of repairs, which come and go."""
    if observation is None:
        return []
    streams = observation.activity.streams
    if streams is None:
        return [f"whether {observation.pod} still streams could not be read"]
    return [f"{observation.pod} still streams: {each}" for each in streams if each.operation != "Repair"]


# --- strangers --------------------------------------------------------------------------------------------------------


def strangers(scene: Scene) -> Iterator[Decision]:
    """About members of this datacenter that are none of its nodes."""
    return (stranger(scene, member) for member in scene.strangers())


def stranger(scene: Scene, member: Endpoint) -> Decision:
    address, up = member.address, scene.up_in(member.address)
    if up:
        return Decision(
            address,
            11,
            ASK,
            f"it is a member of the ring but none of this datacenter's nodes, and {', '.join(up)} see it alive",
            "find out whose it is; decommission it where it runs",
        )
    if leaves(member):
        return Decision(
            address,
            10,
            ASK,
            f"it is being removed from the ring ({member.status})",
            f"if that does not end: module node_remove with host_id {member.host_id} goes on with it, and with force "
            "ends it, such as where a node that was to receive is dead",
        )
    if any(address in view.owners() for view in scene.views):
        owns = f"it owns {len(member.tokens)} tokens" if member.tokens else "some nodes know tokens of it"
        return Decision(
            address,
            9,
            ASK,
            f"it is a dead member of the ring and none of this datacenter's nodes; {owns}",
            f"if it will not come back: module node_remove with host_id {member.host_id}",
        )
    if gates.up_in_every_view(scene.seen):
        return Decision(address, 11, WAIT, "gossip knows it, it owns nothing; it is taken out when all nodes are up")
    return Decision(address, 11, ASSASSINATE, "gossip knows it, and it owns nothing and belongs to nobody")
