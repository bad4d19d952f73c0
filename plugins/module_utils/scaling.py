# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the nodes that there are to those that are wanted, one node at a time; and why not. Pure.

The order of the steps:

1. What a run that was killed left behind: a node that has left is taken away, one that leaves is waited for, and one
   that joins too, or it is withdrawn where it is not wanted any more.
2. Nodes join, each time in the rack with the fewest: room and replicas first.
3. Cassandra's own keyspaces, the logins above all, get the replicas that so many nodes should have.
4. Cleanup, before anybody leaves. A node that gives a range away, keeps its old rows and gets the range back would
   bring back what was deleted meanwhile.
5. Nodes leave, each time from the rack with the most, the highest number of a rack first: Kubernetes takes pods off a
   StatefulSet in no other order.

The plan is made anew before each step, from what there is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from . import gates, ring
from .report import placed, replicas, size
from .view import Endpoint, Keyspace, NodeView, View
from .wording import agree, counted

TIDY = "tidy"
"""Take away the pod and the Service of a node that has left: the ledger has forgotten it already."""
WITHDRAW = "withdraw"
"""Take back a join that was begun and is not wanted any more."""
JOIN = "join"
REPLICATE = "replicate"
CLEANUP = "cleanup"
LEAVE = "leave"

SPACE, RACKS = "space", "racks"
IGNORABLE = (SPACE, RACKS)
"""Refusals that a person may go past."""

SYSTEM_KEYSPACES = (*gates.UNCOUNTED_KEYSPACES, "system_auth")
"""Keyspaces of Cassandra itself that must survive the loss of a rack like everything else.

The logins come last: their rows are then read, and so repaired, while the session that asks still counts as a superuser
(roles_validity, 2 s).
"""


@dataclass(frozen=True)
class RackState:
    """A rack as it is.

    :param name: of the rack.
    :param joined: ordinals of the nodes that the ledger knows with their host ids.
    :param begun: ordinals of the nodes that the ledger knows, and that were not seen joined.
    :param leaving: those of the joined that are about to leave, or have left the ring already.
    :param replicas: of its StatefulSet; None where there is none.
    :param strays: something is there of a node that the ledger does not know.
    """

    name: str
    joined: frozenset[int] = frozenset()
    begun: frozenset[int] = frozenset()
    leaving: frozenset[int] = frozenset()
    replicas: int | None = None
    strays: bool = False

    @property
    def known(self) -> int:
        """How many ordinals are taken, counted from 0."""
        return max((*self.joined, *self.begun, -1)) + 1


@dataclass(frozen=True)
class Step:
    """:param ordinal: of the node; -1 where the step is about a rack, or about all."""

    kind: str
    rack: str = ""
    ordinal: int = -1

    def words(self) -> str:
        if self.kind == CLEANUP:
            return "cleanup of the nodes that lost ranges"
        if self.kind == REPLICATE:
            return f"{', '.join(SYSTEM_KEYSPACES)} get more replicas"
        if self.kind == TIDY:
            return f"rack {self.rack}: take away what nodes that left have left behind"
        verb = {JOIN: "joins", LEAVE: "leaves", WITHDRAW: "is withdrawn: it has not joined yet and is not wanted"}
        return f"{self.rack}-{self.ordinal} {verb[self.kind]}"


def plan(
    racks: Sequence[RackState], target: Mapping[str, int], unclean: Collection[str] = (), few_replicas: bool = False
) -> list[Step]:
    """The steps that are left, in order; empty where all is as wanted.

    :param racks: all that there are, in the order wanted; those that are not in the target count as 0 there.
    :param target: rack -> number of nodes; the order is that of new racks.
    :param unclean: nodes that lost ranges, and were not cleaned up since.
    :param few_replicas: Cassandra's own keyspaces lack replicas, see L(few_replicas).
    """
    order = [*target, *(rack.name for rack in racks if rack.name not in target)]
    steps = [Step(TIDY, rack.name) for rack in racks if untidy(rack, target)]
    steps += [Step(LEAVE, rack.name, number) for rack in racks for number in sorted(rack.leaving, reverse=True)]
    counts = dict.fromkeys(order, 0)
    for rack in racks:
        wanted = target.get(rack.name, 0)
        again = missing(rack, wanted)
        steps += [Step(WITHDRAW, rack.name, number) for number in sorted(rack.begun - set(range(wanted)), reverse=True)]
        steps += [Step(JOIN, rack.name, number) for number in sorted(again)]
        counts[rack.name] = max({*(rack.joined - rack.leaving), *again, -1}) + 1
    joins = list(_joins(counts, target, order))
    steps += joins
    leaves = list(_leaves(counts, target, order))
    if few_replicas:
        steps.append(Step(REPLICATE))
    if unclean or any(step.kind == JOIN for step in steps):
        steps.append(Step(CLEANUP))
    return steps + leaves


def untidy(rack: RackState, target: Mapping[str, int]) -> bool:
    """More places than nodes, strays, or nothing but an empty StatefulSet."""
    empty = rack.replicas is not None and rack.known == 0 and not target.get(rack.name)
    return rack.strays or empty or (rack.replicas or 0) > rack.known


def missing(rack: RackState, wanted: int) -> set[int]:
    """Ordinals that are wanted, and that were begun or lie below one that is there."""
    highest = max((*(rack.joined - rack.leaving), *rack.begun, -1))
    return {ordinal for ordinal in range(min(highest + 1, wanted)) if ordinal not in rack.joined - rack.leaving}


def _joins(counts: dict[str, int], target: Mapping[str, int], order: Sequence[str]) -> Iterable[Step]:
    while True:
        short = [name for name in order if counts[name] < target.get(name, 0)]
        if not short:
            return
        name = min(short, key=lambda each: (counts[each], order.index(each)))
        yield Step(JOIN, name, counts[name])
        counts[name] += 1


def _leaves(counts: dict[str, int], target: Mapping[str, int], order: Sequence[str]) -> Iterable[Step]:
    while True:
        many = [name for name in order if counts[name] > target.get(name, 0)]
        if not many:
            return
        name = max(many, key=lambda each: (counts[each], order.index(each)))
        counts[name] -= 1
        yield Step(LEAVE, name, counts[name])


# --- what a person is told before anything moves ----------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """
    :param ignore: of L(IGNORABLE).
    :param prefix: of the options' names in messages.
    :param ends: the datacenter leaves its cluster: what Cassandra keeps of itself in it may go with its nodes.
    """

    ignore: frozenset[str] = frozenset()
    prefix: str = ""
    ends: bool = False


@dataclass(frozen=True)
class Scene:
    """All views of the cluster, the one of the datacenter first."""

    view: View
    others: tuple[View, ...] = ()
    settings: Settings = field(default_factory=Settings)

    @functools.cached_property
    def cluster(self) -> View:
        return self.view.joined(self.others)

    def members(self) -> dict[str, Endpoint]:
        """The members that own tokens, by address."""
        return {address: item for address, item in self.cluster.endpoints().items() if item.tokens}

    def name(self, address: str) -> str:
        return gates.named(self.cluster, address)


def refusals(scene: Scene, steps: Sequence[Step], target: Mapping[str, int], going: Collection[str] = ()) -> list[str]:
    """Why the target cannot be gone to: what would be lost, or does not fit. Asked before the first step.

    :param going: nodes that leave already; nobody stops them.
    """
    if not any(step.kind == LEAVE for step in steps):
        return []
    reasons = too_few_nodes(scene, sum(target.values()))
    reasons += ignorable(scene, RACKS, too_few_racks(scene, [name for name, count in target.items() if count]))
    if not any(step.kind == JOIN for step in steps):
        reasons += ignorable(scene, SPACE, no_room(scene, leavers(scene, steps, going), going))
    return reasons


def may_lack_room(scene: Scene, steps: Sequence[Step], going: Collection[str] = ()) -> list[str]:
    """What to know of a run in which nodes join and leave. Which tokens new ones will have nobody knows, so it is no
    refusal: each that leaves is asked about again when its turn comes.

    :param going: see L(refusals).
    """
    if not any(step.kind == JOIN for step in steps):
        return []
    return [
        f"as the ring is before the joins, {reason}; it is asked again when the turn to leave comes, since nodes that "
        "have joined may make room"
        for reason in ignorable(scene, SPACE, no_room(scene, leavers(scene, steps, going), going))
    ]


def leavers(scene: Scene, steps: Iterable[Step], going: Collection[str]) -> list[NodeView]:
    """The nodes that have yet to leave.

    :param going: see L(refusals).
    """
    named = {(step.rack, step.ordinal) for step in steps if step.kind == LEAVE}
    return [node for node in scene.view.nodes if (node.rack, node.ordinal) in named and node.pod not in going]


def ignorable(scene: Scene, name: str, reasons: Sequence[str]) -> list[str]:
    """The reasons, with how to go past them; none where somebody does."""
    if name in scene.settings.ignore:
        return []
    return [f"{reason} (or go past it with {scene.settings.prefix}ignore: {name})" for reason in reasons]


def too_few_nodes(scene: Scene, left: int) -> list[str]:
    """Keyspaces that keep more replicas here than there would be nodes; Cassandra refuses that, too."""
    here = scene.view.datacenter
    return [
        f"keyspace {keyspace.name} keeps {counted(wanted, 'replica')} in datacenter {here}, and "
        f"{counted(nodes, 'node')} would be left: keep as many nodes, or lower its replication first "
        f"(ALTER KEYSPACE {keyspace.name})"
        for keyspace, wanted, nodes in _short_of_nodes(scene, left)
        if not goes_along(scene, keyspace)
    ]


def needs_force(scene: Scene, left: int) -> bool:
    """Whether Cassandra lets nobody leave without C(--force), only because of what goes with the datacenter."""
    return any(goes_along(scene, keyspace) for keyspace, _wanted, _nodes in _short_of_nodes(scene, left))


def goes_along(scene: Scene, keyspace: Keyspace) -> bool:
    """Whether the replicas of a keyspace here may go with the last nodes: it is one of Cassandra's own, others have
    its rows, and Cassandra takes no datacenter out of C(system_auth) that has members
    (C(NetworkTopologyStrategy.validateExpectedOptions), 4.1 on)."""
    there = {item.datacenter for item in scene.members().values()} - {scene.view.datacenter}
    factors = ring.replication_factors(keyspace.replication)
    return scene.settings.ends and keyspace.name in SYSTEM_KEYSPACES and any(factors.get(name) for name in there)


def _short_of_nodes(scene: Scene, left: int) -> Iterable[tuple[Keyspace, int, int]]:
    """Keyspaces, how many replicas they keep, and how many nodes there would be for them."""
    here = scene.view.datacenter
    elsewhere = sum(1 for item in scene.members().values() if item.datacenter != here)
    for keyspace in sorted(scene.cluster.keyspaces, key=lambda item: item.name):
        factors = ring.replication_factors(keyspace.replication)
        wanted = factors.get(here, 0)
        nodes = left
        if factors.get("", 0) > left + elsewhere:
            wanted, nodes = factors[""], left + elsewhere
        if wanted > nodes:
            yield keyspace, wanted, nodes


def too_few_racks(scene: Scene, left: Sequence[str]) -> list[str]:
    """Keyspaces whose replicas are all in different racks now, and would not be any more."""
    here = scene.view.datacenter
    now = {item.rack for item in scene.members().values() if item.datacenter == here}
    factors = {
        keyspace.name: ring.replication_factors(keyspace.replication).get(here, 0)
        for keyspace in scene.cluster.keyspaces
        if keyspace.name not in gates.UNCOUNTED_KEYSPACES and not goes_along(scene, keyspace)
    }
    names = sorted(name for name, factor in factors.items() if len(left) < factor <= len(now))
    if not names:
        return []
    return [
        f"{gates.keyspaces_named(names)} would have several replicas of a row in one rack: {len(left)} racks would be "
        f"left of {len(now)}, so the loss of a rack could be the loss of a quorum"
    ]


# --- space ------------------------------------------------------------------------------------------------------------


def no_room(scene: Scene, leaving: Sequence[NodeView], going: Collection[str] = ()) -> list[str]:
    """Receivers on whose volumes what they get would not fit, with room to compact it.

    What a node gets follows from the ranges that it takes over and from the sizes of the keyspaces; room to compact is
    that for its largest table a second time, grown by what it gets.

    :param going: see L(refusals). They get nothing any more, and may be silent: who has left takes no logins.
    """
    if not leaving:
        return []
    on_the_way = {node.address for node in scene.view.nodes if node.address and node.pod in going}
    gained = gains(scene, [node.address for node in leaving if node.address], on_the_way=on_the_way)
    names = ", ".join(node.pod for node in leaving)
    who = f"{names} {agree(leaving, 'holds', 'hold')}"
    return [gained] if isinstance(gained, str) else too_full(scene, gained, who, "let fewer nodes leave")


def no_room_without(scene: Scene, member: Endpoint) -> list[str]:
    """The same where a dead member is removed: what it held, the living stream to each other."""
    gained = gains(scene, [member.address], dead=True)
    if isinstance(gained, str):
        return ignorable(scene, SPACE, [gained])
    # Who is down gets nothing (C(StorageService.removeNode)).
    living = {address: more for address, more in gained.items() if address in scene.cluster.up_somewhere}
    who = f"{scene.name(member.address)} held"
    return ignorable(scene, SPACE, too_full(scene, living, who, "have a new node take its place instead"))


def too_full(scene: Scene, gained: Mapping[str, float], who: str, otherwise: str, part: float = 0.0) -> list[str]:
    """
    :param gained: address -> bytes that it gets.
    :param who: held them, and the verb.
    :param otherwise: what else can be done than to make room.
    :param part: of what comes, that is one table, where that is known; what a node has tells it only where it has
        as much of everything.
    """
    observed = {seen.address for seen in scene.cluster.observations.values()}
    silent = sorted(address for address, more in gained.items() if more > 0 and address not in observed)
    reasons = [f"how much room the node at {address} has is not known: it was not heard" for address in silent]
    for pod, seen in sorted(scene.cluster.observations.items()):
        more = gained.get(seen.address, 0.0)
        disk, held, largest = seen.activity.disk, seen.activity.sizes, seen.activity.largest_table
        if more <= 0:
            continue
        if disk is None or held is None or largest is None:
            reasons.append(f"how much room {pod} has is not known: see its log, and that nodetool works there")
            continue
        used = sum(held.values())
        compacting = max(largest * (1 + more / used) if used else 0.0, more * part)
        if more + compacting > disk.free:
            reasons.append(
                f"{pod} would get {size(more)} of what {who} and needs {size(compacting)} beside to compact its "
                f"largest table, and has {size(disk.free)} free: enlarge the volumes, delete old snapshots, or "
                f"{otherwise}"
            )
    return reasons


Heritage = tuple[int, Mapping[str, float], Sequence[str]]
"""The width of a range that others take over; who sends it, with what he owns of the keyspace; who gets it."""


def gains(
    scene: Scene, leaving: Collection[str], dead: bool = False, on_the_way: Collection[str] = ()
) -> dict[str, float] | str:
    """Address -> bytes that the member gets when these leave; or why that cannot be told.

    Who leaves sends its own copy of each range to who takes its place there
    (C(StorageService.getChangedRangesForLeaving)), as it is: one that has compacted more holds less of the same.

    :param dead: they send nothing; another replica sends its copy instead.
    :param on_the_way: members that leave already: they get nothing.
    """
    going, known = frozenset(leaving), scene.members()
    stay = {address: item for address, item in known.items() if address not in going.union(on_the_way)}
    if not stay:
        return "nobody would be left to take the data over"
    held = {one.address: one.activity.sizes for one in scene.cluster.observations.values() if one.activity.sizes}
    if not held if dead else any(address in known and address not in held for address in going):
        return "how much data the nodes hold could not be read"

    def heritages(before: ring.Replicas, find: Callable[[int], tuple[str, ...]]) -> Iterator[Heritage]:
        owned = ring.ownership(before)
        for span, nodes in before:
            if going.isdisjoint(nodes):
                continue
            # Of several that leave each sends its own: the largest counts. And so it does where any may be asked.
            givers = {address: owned[address] for address in nodes if address in held and (address in going) != dead}
            takers = [address for address in find(span[1]) if address not in nodes] if givers else []
            if takers:
                yield ring.width(span), givers, takers

    alike: dict[frozenset[tuple[str, int]], list[Heritage]] = {}
    found: dict[str, float] = {}
    for keyspace in scene.cluster.keyspaces:
        factors = frozenset(ring.replication_factors(keyspace.replication).items())
        if factors not in alike:
            before = placed(scene.cluster, keyspace.replication)
            alike[factors] = list(heritages(before, finder(stay, keyspace.replication)))
        for width, givers, takers in alike[factors]:
            largest = max(held[address].get(keyspace.name, 0) / share for address, share in givers.items())
            for address in takers:
                found[address] = found.get(address, 0.0) + largest * width / ring.RING
    return found


def finder(members: Mapping[str, Endpoint], replication: Mapping[str, str]) -> Callable[[int], tuple[str, ...]]:
    """A function that tells which of the members hold a token."""
    return ring.replica_finder(
        {address: item.tokens for address, item in members.items()},
        {address: item.rack for address, item in members.items()},
        {address: item.datacenter for address, item in members.items()},
        replication,
    )


def shares(members: Mapping[str, Endpoint], replication: Mapping[str, str]) -> dict[str, float]:
    """The part of a keyspace that each member holds."""
    return ring.ownership(replicas(members, replication))


def losers(scene: Scene, newcomer: str) -> list[str]:
    """Addresses of the members that hold less since this one has joined."""
    after = scene.members()
    before = {address: item for address, item in after.items() if address != newcomer}
    lost: set[str] = set()
    for replication in {tuple(sorted(item.replication.items())) for item in scene.cluster.keyspaces}:
        if not ring.replication_factors(dict(replication)):
            continue
        then, now = shares(before, dict(replication)), shares(after, dict(replication))
        lost |= {address for address, share in then.items() if now.get(address, 0.0) < share}
    return sorted(lost)


def replicas_to_suit(scene: Scene, racks: Collection[str]) -> int:
    """How many replicas a node that joins should choose its tokens for: those of the user's widest keyspace here.

    Cassandra places them rack by rack where there are as many racks or more, and without racks where there is one; of
    anything between it refuses to choose tokens (C(TokenAllocation.create), 4.0 to 5.0).

    :param racks: those that have nodes when it has joined.
    """
    here = scene.view.datacenter
    factors = {item.name: ring.replication_factors(item.replication).get(here, 0) for item in scene.cluster.keyspaces}
    user = [factor for name, factor in factors.items() if not name.startswith("system")]
    wanted = max(user, default=0) or factors.get("system_auth", 0) or 1
    return wanted if len(racks) in (0, 1) else min(wanted, len(racks))


def system_replicas(nodes: int) -> int:
    """How many replicas Cassandra's own keyspaces get in a datacenter of so many nodes."""
    return min(3, nodes)


def few_replicas(scene: Scene, nodes: int) -> bool:
    """Whether one of Cassandra's own keyspaces keeps fewer replicas here than so many nodes should have."""
    here = scene.view.datacenter
    factors = [ring.replication_factors(own.replication).get(here, 0) for own in system_keyspaces(scene)]
    return any(factor < system_replicas(nodes) for factor in factors)


def login_replicas(scene: Scene) -> int:
    """How many replicas the logins have here; 1 where that is not known."""
    replication = next((own.replication for own in system_keyspaces(scene) if own.name == "system_auth"), {})
    factors = ring.replication_factors(replication)
    return factors.get(scene.view.datacenter) or factors.get("") or 1


def system_keyspaces(scene: Scene) -> list[Keyspace]:
    return [each for each in scene.cluster.keyspaces if each.name in SYSTEM_KEYSPACES]


def ownership(scene: Scene) -> dict[str, float]:
    """Node -> the part of the data that it holds, in percent, of the keyspace with the most replicas here."""
    here = scene.view.datacenter
    factors = {item.name: ring.replication_factors(item.replication).get(here, 0) for item in scene.cluster.keyspaces}
    user = {name: factor for name, factor in factors.items() if factor and not name.startswith("system")} or factors
    name = max(sorted(user), key=lambda each: user[each], default=None)
    replication = next((item.replication for item in scene.cluster.keyspaces if item.name == name), {})
    held = shares(scene.members(), replication) if name and user[name] else {}
    nodes = {node.address: node.pod for node in scene.view.nodes}
    return {nodes[address]: round(100 * share, 1) for address, share in sorted(held.items()) if address in nodes}


# --- gates ------------------------------------------------------------------------------------------------------------

HARD = (
    gates.running,
    gates.heard,
    gates.up_in_every_view,
    gates.neighbours_up,
    gates.operating,
    gates.normal,
    gates.one_schema,
    gates.one_line,
    gates.no_strangers,
    gates.ring_agreed,
)
"""Before the ring changes all of it must be whole, in every view."""


def before_step(scene: Scene, without: Collection[str] = ()) -> list[str]:
    """Why nobody may join or leave now.

    :param without: nodes that do not count: the one that is about to join, and was made already; those that leave.
    """
    rest = scene.cluster.without(without)
    own = scene.view.without(without)
    reasons = gates.settled(own)
    for gate in HARD:
        told = gate(own) if gate is gates.no_strangers else gate(rest)
        reasons += [f"{reason}; {gates.advice(reason)}" for reason in told]
    return reasons + gates.no_streams(rest) + gates.no_repairs(rest)


def before_leave(scene: Scene, without: Collection[str] = ()) -> list[str]:
    """Why nobody may leave now. Every node of the cluster has to have said what it is busy with.

    :param without: see L(before_step).
    """
    return before_step(scene, without) + gates.no_cleanups(scene.cluster.without(without))


# --- is it a member? --------------------------------------------------------------------------------------------------


def cannot_tell(scene: Scene, pod: str, all_members: bool = False) -> list[str]:
    """Why the others cannot tell whether a node is a member.

    :param all_members: every member of the datacenter has to; else those that run, and one at least.
    """
    cluster = scene.cluster
    reasons = [reason for reason in gates.heard(cluster) if not reason.startswith(f"{pod} ")]
    if all_members:
        silent = [
            node
            for node in scene.view.nodes
            if node.host_id and node.pod != pod and node.pod not in {*cluster.observations, *cluster.unheard}
        ]
        reasons += [
            f"{node.pod} cannot be asked: {node.held or node.reason or node.phase}; see the playbook heal"
            for node in silent
        ]
    if not cluster.observations.keys() - {pod}:
        reasons.append(f"no other node could be asked about {pod}; see the playbook heal")
    return reasons


def known_as_member(scene: Scene, pod: str, address: str | None) -> list[str]:
    """Words of the other nodes that a node has joined: they know tokens at its address, or of a member that is nobody.

    The second is for a node whose address is not known, or changes with its pod. Of a node that joins others have no
    tokens in system.peers_v2: they are written there when it is NORMAL (C(StorageService.handleStateNormal), and not
    in C(handleStateBootstrap); 4.0 to 5.0).
    """
    others = {name: seen for name, seen in sorted(scene.cluster.observations.items()) if name != pod}
    known = {node.host_id for node in scene.view.nodes} | {seen.own.host_id for seen in others.values()}
    found = []
    for name, seen in others.items():
        for at, item in sorted(seen.endpoints.items()):
            if item.tokens and at == address:
                found.append(f"{name} knows it as a member with tokens")
            elif item.tokens and item.datacenter == scene.view.datacenter and item.host_id not in known:
                found.append(f"{name} knows a member with tokens at {at}, and it is none of the other nodes")
    return found


def forgotten(scene: Scene, places: Mapping[str, str | None], ledger: str) -> list[str]:
    """Why places that the ledger does not know may not be tidied away: members are there, or nobody tells.

    :param places: pods, or Services of pods -> address; None where it has none (just now).
    :param ledger: name of its ConfigMap.
    """
    told = [seen for name, seen in scene.cluster.observations.items() if name not in places]
    if places and not told:
        return [
            f"the ledger does not know {', '.join(places)}, and no node that it knows could be asked whether they are "
            "members; see the playbook heal"
        ]
    ids = {node.host_id for node in scene.view.nodes} | {seen.own.host_id for seen in told}
    unknown = {
        address: item
        for seen in told
        for address, item in sorted(seen.endpoints.items())
        if item.tokens and item.datacenter == scene.view.datacenter and item.host_id not in ids
    }
    lines = []
    for pod, address in places.items():
        # Of a pod that has no address just now it is not known which member it is.
        perhaps = unknown.values() if address is None else [unknown[address]] if address in unknown else []
        if perhaps:
            lines.append(f"{pod} {' or '.join(f'{item.address} {item.host_id}' for item in perhaps)}")
    if not lines:
        return []
    return [
        f"members of the ring that the ledger does not know would lose their places ({'; '.join(lines)}): the ledger "
        "is older than they are, as one is that was put back from an old backup. Put back a newer one. Where there is "
        "none, see in the playbook status that these are nodes of yours, and add these lines to the key nodes of "
        f"ConfigMap {ledger} (pod, address, host id)"
    ]


def retire_refusals(
    wanted: Collection[str], racks: Sequence[RackState], target: Mapping[str, int], steps: Iterable[Step]
) -> list[str]:
    """Why nodes that were named to retire are not those that would leave."""
    leaving = [f"{step.rack}-{step.ordinal}" for step in steps if step.kind == LEAVE]
    there = {f"{rack.name}-{ordinal}": rack for rack in racks for ordinal in rack.joined | rack.begun}
    reasons = []
    for name in wanted:
        rack = there.get(name)
        if rack is None:
            reasons.append(f"{name} is no node here (any more); there are {', '.join(sorted(there))}")
        elif name not in leaving:
            fewer = target.get(rack.name, 0) < rack.known
            others = [each for each in leaving if each.rpartition("-")[0] == rack.name]
            would = (
                f"{', '.join(others)} would leave"
                if fewer
                else f"rack {rack.name} is to keep {counted(rack.known, 'node')}"
            )
            reasons.append(
                f"{name} cannot leave: a StatefulSet gives up its highest number first, and {would}. To have {name} "
                "elsewhere, give it another place instead: cordon its worker and end its pod (kubectl delete pod); "
                "where its volume cannot follow, leave the pod, and name the cordoned worker in scale_leave_workers "
                "(replace_node is for a node that is dead)"
            )
    return reasons
