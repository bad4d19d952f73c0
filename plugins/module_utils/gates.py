# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates: pure functions from the observed datacenter to the reasons not to go on. No reason means the gate is open.

The names G1, G2, ... are those of the table in the design notes; each reason says what was seen and what was needed,
and those of G6 and on also what would lift them (for the others, see L(advice)).

To ask about all nodes but some, ask about C(view.without(those)). A fact that could not be read is a reason too:
unknown is not good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from . import ring
from .quantity import MIB
from .view import Activity, Endpoint, Observation, Repair, Stream, View, pod_of
from .wording import agree, counted

Fact = TypeVar("Fact")

# Percent of a volume that a node needs free to start: it replays its commit log into new SSTables.
FREE_TO_RESTART = 5
# Compactions that wait, from which on a node counts as overloaded.
MANY_COMPACTIONS = 1000
# Seconds after which both sides of a stream know of it.
ABANDONED = 120.0
# What Cassandra calls the streams of a node that leaves (StreamOperation.DECOMMISSION).
FROM_LEAVING = "Unbootstrap"
# Letters that the SSTable formats of Cassandra 4.0 and later begin with: n (4.x), o and d (5.0).
PRESENT_FORMATS = ("n", "o", "d")
# storage_compatibility_mode of 5.0: the one that keeps to the formats of 4.x, and those that do not.
FOR_FOUR, FOR_FIVE = "CASSANDRA_4", ("UPGRADING", "NONE")
# Their replication is no client's quorum: Cassandra itself writes traces and histories there, at ONE.
UNCOUNTED_KEYSPACES = ("system_distributed", "system_traces")
# So many observers are named that say the same of a node; of more of them one, with their number. Where a rack of
# hundreds is down each of hundreds says so of each.
FEW_VIEWS = 6
# Stands for the observer in what several of them may say.
POD = "{pod}"


def running(view: View) -> list[str]:
    """G1: every node of the datacenter has a pod that runs, is not held, and is Ready."""
    reasons = held(view)
    for node in (node for node in view.nodes if node.held is None):
        if node.phase != "Running":
            reasons.append(f"{node.pod} does not run: {node.reason or node.phase or 'it has no pod'}")
        elif not node.ready:
            reasons.append(f"{node.pod} is not ready: {node.reason or 'Cassandra does not serve clients yet'}")
    return reasons


def held(view: View) -> list[str]:
    """The part of G1 that does not change before somebody decides."""
    return [f"{node.pod} is held: {node.held}" for node in view.nodes if node.held is not None]


def heard(view: View) -> list[str]:
    """G2, first half: every node that should be asked for its view answers."""
    return [f"{pod} cannot be asked for its view: {why}" for pod, why in sorted(view.unheard.items())]


def up_in_every_view(view: View) -> list[str]:
    """G2: every observer knows every node under its address and takes it for alive."""
    said: dict[str, list[tuple[str, str]]] = {node.pod: [] for node in view.nodes}
    for pod, seen in view.observers:
        for node in view.nodes:
            if node.address is None:
                continue
            if node.address not in seen.endpoints:
                said[node.pod].append((pod, f"{POD} does not know {node.pod} ({node.address})"))
            elif not seen.alive.get(node.address):
                said[node.pod].append((pod, f"{POD} sees {node.pod} down"))
    reasons = []
    for node in view.nodes:
        reasons += [f"{node.pod} has no address yet"] if node.address is None else _said(view, said[node.pod])
    if view.nodes and not view.observations:
        reasons.append("no node could be asked for its view")
    return reasons


def normal(view: View, only: Collection[str] | None = None) -> list[str]:
    """G3 and G5: every member is NORMAL in every view: none joins, leaves, moves or replaces.

    :param only: addresses; ask about these members alone.
    """
    said = []
    for pod, seen in view.observers:
        if not seen.bootstrapped and (only is None or seen.address in only):
            said.append((pod, f"{pod} has not finished joining"))
        odd = {address: item for address, item in seen.endpoints.items() if not _is_normal(item)}
        for address, endpoint in sorted(odd.items()):
            if only is not None and address not in only:
                continue
            if endpoint.status not in (None, "NORMAL"):
                said.append((pod, f"{POD} sees {named(view, address)} as {endpoint.status}, needed NORMAL"))
            else:
                said.append((pod, f"{POD} knows no tokens of {named(view, address)}"))
    return _said(view, said)


def _is_normal(endpoint: Endpoint) -> bool:
    return endpoint.status in (None, "NORMAL") and bool(endpoint.tokens)


def _said(view: View, said: Iterable[tuple[str, str]]) -> list[str]:
    """What observers say, in this order; once for all where they are many.

    :param said: each with the pod that says it, for which L(POD) stands there.
    """
    listed = list(said)
    pods: dict[str, list[str]] = {}
    for pod, words in listed:
        pods.setdefault(words, []).append(pod)
    many = {words: each for words, each in pods.items() if len(each) > FEW_VIEWS}
    reasons = []
    for pod, words in listed:
        told = words.replace(POD, pod)
        if words not in many:
            reasons.append(told)
        elif pod == many[words][0]:
            reasons.append(f"{told}, and so it is in {len(many[words])} of {len(view.observations)} views")
    return reasons


def one_schema(view: View) -> list[str]:
    """G4: one schema version, in each node's own word and in what the others say of it."""
    versions = view.schemas()
    if len(versions) <= 1:
        return []
    told = "; ".join(f"{version}: {', '.join(pods)}" for version, pods in versions.items())
    return [f"{len(versions)} schema versions ({told}), needed one"]


def no_strangers(view: View) -> list[str]:
    """G12: every member of this datacenter is one of its nodes (no ghost, no duplicate)."""
    ours = {node.address for node in view.nodes}
    strangers = {
        address
        for address, endpoint in view.endpoints().items()
        if endpoint.datacenter == view.datacenter and address not in ours
    }
    return [f"{address} is a member of the ring but none of this datacenter's nodes" for address in sorted(strangers)]


def whole(view: View) -> list[str]:
    """All that must hold before a datacenter counts as well: G1 to G5 and G12, all reasons."""
    gates = (running, heard, up_in_every_view, normal, agreed_schema, no_strangers)
    return [reason for gate in gates for reason in gate(view)]


def agreed_schema(view: View) -> list[str]:
    """G4 as far as it can hold: half way through an upgrade, among the nodes of each line."""
    lines = {line(seen.own.version) for seen in view.observations.values()}
    return one_schema_a_line(view) if len(lines) > 1 else one_schema(view)


# --- Kubernetes -------------------------------------------------------------------------------------------------------


def volumes_kept(view: View) -> list[str]:
    """Nobody has deleted the volume claim of a node that runs: Kubernetes keeps it until the pod is gone."""
    return [
        f"the volume of {node.pod} is to be deleted as soon as its pod goes: it would lose its data"
        for node in view.nodes
        if node.volume_deleting
    ]


def unobserved(view: View) -> list[str]:
    """The part of G1 that passes within a moment: what Kubernetes tells of a StatefulSet is older than its last
    change."""
    return [
        f"Kubernetes has not looked at the last change of StatefulSet {rack.stateful_set} yet: wait a moment"
        for rack in view.racks
        if rack.observed_generation is None or rack.observed_generation < rack.generation
    ]


def made_again(view: View) -> list[str]:
    """Every pod has a StatefulSet, which makes it again when it ends: one that goes without is gone for good."""
    orphans = [node.pod for node in view.nodes if node.uid is not None and view.rack(node.rack) is None]
    return (
        [
            f"the StatefulSet of {', '.join(orphans)} is gone: nobody would make a pod again that ends. Run the "
            "playbook scale where the playbook status tells that it has to finish that; else deploy, which makes it "
            "again"
        ]
        if orphans
        else []
    )


def settled(view: View) -> list[str]:
    """G1, second half: the controllers have seen the last change and would make each pod again, and nobody else takes
    pods or volumes away."""
    reasons = unobserved(view) + made_again(view) + [f"{reason}; {advice(reason)}" for reason in volumes_kept(view)]
    budget = view.budget
    if budget and budget.evicting:
        reasons.append(
            f"{', '.join(budget.evicting)} is being evicted: wait until it is back, or stop what drains its worker"
        )
    elif (
        budget
        and budget.allowed == 0
        # Where a node is about to join, or has just left, it is counted for one more.
        and budget.minimum < len(view.nodes)
        and all(node.ready for node in view.nodes)
    ):
        reasons.append(
            f"PodDisruptionBudget {budget.name} allows no disruption although every node is ready: wait a moment, "
            "or see who drains workers"
        )
    return reasons


# --- all datacenters --------------------------------------------------------------------------------------------------


def neighbours_up(view: View) -> list[str]:
    """G2 for members in other datacenters whose nodes are not in the view: everybody knows them and sees them up."""
    ours = {node.address for node in view.nodes}
    members = {
        address: endpoint.datacenter
        for address, endpoint in sorted(view.endpoints().items())
        if endpoint.datacenter != view.datacenter and address not in ours
    }
    said = (
        (pod, f"{POD} sees {address} of datacenter {datacenter} down")
        if address in seen.endpoints
        else (pod, f"{POD} does not know {address} of datacenter {datacenter}")
        for address, datacenter in members.items()
        for pod, seen in view.observers
        if not seen.alive.get(address)
    )
    return _said(view, said)


def operating(view: View) -> list[str]:
    """G3: every observer is NORMAL in its own word too, by its mode or (see C(normal)) by gossip."""
    reasons = []
    for pod, seen in sorted(view.observations.items()):
        mode = seen.activity.mode
        if mode is None and seen.own.status is None:
            reasons.append(f"whether {pod} is NORMAL is not known")
        elif mode not in (None, "NORMAL"):
            reasons.append(f"{pod} says that it is {mode}, needed NORMAL")
    return reasons


def one_schema_a_line(view: View) -> list[str]:
    """G4 while an upgrade is half done: one schema version among the nodes of each line of Cassandra.

    Nodes of different lines do not exchange schemas, and their system tables differ.
    """
    lines: dict[str, dict[str, list[str]]] = {}
    for pod, seen in sorted(view.observations.items()):
        lines.setdefault(line(seen.own.version), {}).setdefault(seen.own.schema, []).append(pod)
    reasons = []
    for name, versions in sorted(lines.items()):
        if len(versions) > 1:
            told = "; ".join(f"{version}: {', '.join(pods)}" for version, pods in versions.items())
            reasons.append(f"{len(versions)} schema versions among the nodes of {name} ({told}), needed one")
    return reasons


def line(version: str) -> str:
    """4.1 of 4.1.10."""
    return ".".join(version.split(".")[:2])


# --- what nodes are busy with -----------------------------------------------------------------------------------------


def no_streams(view: View) -> list[str]:
    """G6: nothing is streamed."""
    known = {seen.address: seen.activity.streams for seen in view.observations.values()}
    members = view.left_out.union(view.endpoints())
    observations = {pod: _without_abandoned(seen, known, members) for pod, seen in view.observations.items()}
    living = replace(view, observations=observations)
    return _busy(living, "streams", lambda activity: activity.streams, "wait until it is done")


def _without_abandoned(
    seen: Observation, known: Mapping[str, Sequence[Stream] | None], members: Collection[str]
) -> Observation:
    """The observation without streams of which nothing comes any more.

    A node that receives never notices that the sender lost power: nothing goes the other way, so only the kernel's
    keepalive ends it, after two hours. So a stream is abandoned whose other side, asked, does not know it, or comes
    from a node that leaves and is no member any more: it has left, with all that it had. Any other peer that was not
    asked may be anybody, sstableloader for one.

    :param known: address -> the streams of a node that was asked, None where it could not tell.
    :param members: addresses of all members that anybody knows, those that the view leaves out too.
    """
    if seen.activity.streams is None:
        return seen

    def is_over(stream: Stream, peer: str) -> bool:
        theirs = known.get(peer)
        denied = theirs is not None and not any(seen.address in each.peers for each in theirs)
        return denied or (stream.operation == FROM_LEAVING and peer not in members)

    def is_abandoned(stream: Stream) -> bool:
        lasts = (stream.seconds or 0) >= ABANDONED
        return bool(stream.peers) and lasts and all(is_over(stream, peer) for peer in stream.peers)

    left = tuple(each for each in seen.activity.streams if not is_abandoned(each))
    return replace(seen, activity=replace(seen.activity, streams=left))


def no_repairs(view: View, only: str = "") -> list[str]:
    """G7: nothing is repaired.

    Who takes part in a repair hears of its end from the node that leads it. Where that one dies, it has the repair on
    record until it starts again, or for three days (C(repair_state_expires)). So one does not count whose leader, when
    asked, does not lead it, or is no member any more.

    :param only: a pod; ask about this node alone.
    """
    led = {
        seen.address: {each.id for each in seen.activity.repairs if not each.leader}
        for seen in view.observations.values()
        if seen.activity.repairs is not None
    }
    members = view.left_out.union(view.endpoints())

    def runs(each: Repair) -> bool:
        if not each.leader or (each.seconds or 0) < ABANDONED:
            return True
        # One without a number is any: 4.0 does not tell it.
        return each.leader in members and bool({each.id, ""} & led.get(each.leader, {each.id}))

    def living(seen: Observation) -> Observation:
        told = seen.activity.repairs
        left = told if told is None else tuple(filter(runs, told))
        return replace(seen, activity=replace(seen.activity, repairs=left))

    observations = {pod: living(seen) for pod, seen in view.observations.items() if only in ("", pod)}
    return _busy(
        replace(view, observations=observations),
        "repairs",
        lambda activity: activity.repairs,
        "wait until it is done, or stop it and pause what starts it",
    )


def no_cleanups(view: View) -> list[str]:
    """Nobody deletes rows that he has given away, by C(nodetool cleanup): before others are streamed to.

    It goes on when the run that began it has died, by the ranges that a node has until the other has left. Cassandra
    asks since 4.0.8 and 4.1.1 only (CASSANDRA-16418) whether nodes are about to get more, before each table, and takes
    what there is of it a moment later (C(CompactionManager.performCleanup)).
    """
    reasons = [
        f"{pod} deletes rows that it has given away (nodetool cleanup), of {', '.join(tables)}, and would delete what "
        "is streamed to it: wait until it is done, or end it there (nodetool stop CLEANUP)"
        for pod, tables in _facts(view, lambda activity: activity.cleanups)
        if tables
    ]
    return reasons + _unknown(view, "whether a cleanup runs", lambda activity: activity.cleanups)


def no_hints(view: View, host_ids: Collection[str] | None = None) -> list[str]:
    """G9: no node keeps hints for a living member, which would lack writes until it has them.

    Hints for hosts that are no members, or that are down, are not waited for: nobody takes them.

    :param host_ids: only hints for these; default: for every member that some observer takes for alive.
    """
    if host_ids is None:
        host_ids = {item.host_id for address, item in view.endpoints().items() if address in view.up_somewhere}
    names = {item.host_id: named(view, address) for address, item in view.endpoints().items()}
    reasons = [
        f"{pod} keeps {counted(count, 'file')} of hints for {names.get(host, host)}: wait until it has delivered them"
        for pod, hints in _facts(view, lambda activity: activity.hints)
        for host, count in sorted((hints or {}).items())
        if host in host_ids and count
    ]
    return reasons + _unknown(view, "which hints wait", lambda activity: activity.hints)


def kept_hints(view: View) -> dict[str, int]:
    """Files of hints by the node that keeps them; nodes that do not tell are left out."""
    told = _facts(view, lambda activity: activity.hints)
    return {pod: sum(hints.values()) for pod, hints in told if hints is not None}


def free_disk(view: View, percent: float = FREE_TO_RESTART) -> list[str]:
    """G10: every volume has so many percent free."""
    reasons = [
        f"{pod} has {100 * disk.free / disk.total:.1f} % of its volume free, needed {percent:g} %: delete old "
        "snapshots, or enlarge the volume"
        for pod, disk in _facts(view, lambda activity: activity.disk)
        if disk and disk.free * 100 < percent * disk.total
    ]
    return reasons + _unknown(view, "the free space of the volume", lambda activity: activity.disk)


def room_to_rewrite(view: View) -> list[str]:
    """G10 for upgradesstables: every volume has room for its largest table a second time."""
    reasons = []
    for pod, activity in _facts(view, lambda activity: activity):
        if activity and activity.disk and activity.largest_table is not None:
            missing = activity.largest_table - activity.disk.free
            if missing > 0:
                reasons.append(
                    f"{pod} lacks {math.ceil(missing / MIB)} MiB to write its largest table a second time: delete old "
                    "snapshots, or enlarge the volume"
                )
    return (
        reasons
        + _unknown(view, "the free space of the volume", lambda activity: activity.disk)
        + _unknown(view, "the size of the largest table", lambda activity: activity.largest_table)
    )


def keeping_up(view: View, limit: int = MANY_COMPACTIONS) -> list[str]:
    """G11: no node has more compactions waiting than this."""
    reasons = [
        f"{count} compactions wait on {pod}, at most {limit} are well: wait, or raise compaction_throughput"
        for pod, count in _facts(view, lambda activity: activity.compactions)
        if count is not None and count > limit
    ]
    return reasons + _unknown(view, "how many compactions wait", lambda activity: activity.compactions)


def _busy(view: View, what: str, fact: Callable[[Activity], Sequence[object] | None], lift: str) -> list[str]:
    reasons = [f"{pod} {what}: {', '.join(map(str, items))}; {lift}" for pod, items in _facts(view, fact) if items]
    return reasons + _unknown(view, f"what {what} run", fact)


def _facts(view: View, fact: Callable[[Activity], Fact | None]) -> list[tuple[str, Fact | None]]:
    return [(pod, fact(seen.activity)) for pod, seen in sorted(view.observations.items())]


def _unknown(view: View, what: str, fact: Callable[[Activity], Fact | None]) -> list[str]:
    pods = [pod for pod, known in _facts(view, fact) if known is None]
    return (
        [f"{what} could not be read on {', '.join(pods)}: see the log, and that nodetool works there"] if pods else []
    )


# --- the ring ---------------------------------------------------------------------------------------------------------


def ring_agreed(view: View) -> list[str]:
    """G12, second half: observers agree on who has which tokens and host id, and no two members share one."""
    merged = view.endpoints()
    said = []
    for pod, seen in view.observers:
        for address in sorted(address for address, item in seen.endpoints.items() if _differ(item, merged[address])):
            words = f"{POD} knows other tokens or another host id of {named(view, address)} than it has"
            said.append((pod, words))
    reasons = _said(view, said)
    for what, owners in (("host id", _owners(view, tokens=False)), ("token", _owners(view, tokens=True))):
        for value, addresses in sorted(owners.items()):
            if len(addresses) > 1:
                told = " and ".join(named(view, address) for address in addresses)
                reasons.append(f"{told} have the same {what} {value}")
    return reasons


def _differ(one: Endpoint, other: Endpoint) -> bool:
    """Of a thousand nodes that know a thousand members, nearly all have the same objects."""
    return one is not other and (one.host_id, one.tokens) != (other.host_id, other.tokens)


def _owners(view: View, tokens: bool) -> Mapping[str, list[str]]:
    owners: dict[str, list[str]] = {}
    for address, endpoint in sorted(view.endpoints().items()):
        for value in map(str, endpoint.tokens) if tokens else (endpoint.host_id,):
            owners.setdefault(value, []).append(address)
    return owners


def live_seed(view: View) -> list[str]:
    """G12, third half: somebody is left whom a starting node can ask for the cluster."""
    if not view.seeds or any(view.seen_up_by(seed) for seed in view.seed_addresses) or _unseen_seed(view):
        return []
    return [f"no seed is up ({', '.join(named(view, seed) for seed in view.seed_addresses)})"]


def _unseen_seed(view: View) -> bool:
    """A seed is a pod that this run does not see, whose address nobody tells, and nodes of its datacenter are up."""
    ours = {node.pod for node in view.nodes}
    if all(pod_of(seed) in ours or not seed.endswith(".svc") for seed in view.seeds):
        return False
    return any(view.seen_up_by(address) for address in view.endpoints() if address not in view.pods_by_address)


def one_line(view: View) -> list[str]:
    """G13: all members run one line of Cassandra, and of 5.0 one kind of formats. While they do not, no repair, and
    nobody joins or leaves."""
    return one_release(view) or one_format(view)


def one_release(view: View) -> list[str]:
    """G13, first half: one line. While there are two, no DDL either."""
    lines = {version: line(version) for version in {endpoint.version for endpoint in view.endpoints().values()}}
    if len(set(lines.values())) <= 1:
        return []
    nodes: dict[str, list[str]] = {}
    for address, endpoint in sorted(view.endpoints().items()):
        nodes.setdefault(lines[endpoint.version], []).append(named(view, address))
    told = "; ".join(f"{name}: {', '.join(pods)}" for name, pods in sorted(nodes.items()))
    return [f"the members run different lines of Cassandra ({told}): finish the upgrade, or take it back, first"]


def one_format(view: View) -> list[str]:
    """G13, second half: all take storage_compatibility_mode for CASSANDRA_4, or none does.

    Those two speak different versions of the protocol, and streams take their own only
    (C(MessagingService.accept_streaming), 5.0). Nodes of which the mode is not known do not count.
    """
    modes: dict[str, list[str]] = {}
    for node in view.nodes:
        if node.storage_mode in (FOR_FOUR, *FOR_FIVE):
            modes.setdefault(node.storage_mode, []).append(node.pod)
    if FOR_FOUR not in modes or len(modes) == 1:
        return []
    told = "; ".join(f"{mode}: {', '.join(modes[mode])}" for mode in (FOR_FOUR, *FOR_FIVE) if mode in modes)
    return [
        f"the members run with different formats (storage_compatibility_mode {told}), and nothing can be streamed "
        "from one side to the other: finish that step first, with the playbook upgrade"
    ]


def sstables_present(view: View) -> list[str]:
    """G14: no member holds SSTables of an older format than those that begin with these letters."""
    reasons = []
    for address, endpoint in sorted(view.endpoints().items()):
        if endpoint.sstables is None:
            reasons.append(f"which SSTable formats {named(view, address)} holds is not known: ask nodetool gossipinfo")
            continue
        old = [item for item in endpoint.sstables if item.rpartition("-")[2][:1] not in PRESENT_FORMATS]
        if old:
            reasons.append(
                f"{named(view, address)} holds SSTables of the format {', '.join(old)}: run upgradesstables first"
            )
    return reasons


def serving(view: View, pods: Collection[str]) -> list[str]:
    """G15: these nodes serve clients, in the word of every observer."""
    said = []
    for node in view.nodes:
        if node.pod not in pods:
            continue
        for pod, seen in view.observers:
            endpoint = seen.endpoints.get(node.address or "")
            if endpoint is None or endpoint.serves is None:
                said.append((pod, f"whether {node.pod} serves clients is not known to {POD}"))
            elif not endpoint.serves:
                said.append((pod, f"{node.pod} does not serve clients yet, {POD} says"))
    return _said(view, said)


def snapshot_taken(held: Mapping[str, Collection[str] | None], name: str) -> list[str]:
    """G16: every one of these nodes holds the snapshot.

    :param held: by pod, the names of its snapshots; None where they could not be read.
    """
    reasons = [
        f"{pod} has no snapshot {name}: take it first"
        for pod, names in sorted(held.items())
        if names is not None and name not in names
    ]
    unknown = sorted(pod for pod, names in held.items() if names is None)
    if unknown:
        reasons.append(
            f"which snapshots there are could not be read on {', '.join(unknown)}, needed {name}: bring it back first"
        )
    return reasons


# --- availability -----------------------------------------------------------------------------------------------------


def availability(views: Sequence[View], count_fragile: bool = True) -> ring.Availability:
    """What may be down together, by the replication of all keyspaces and the tokens of all members.

    Members are called by their addresses. The keyspaces are those of the first view that has any.
    """
    members = {address: item for view in views for address, item in view.endpoints().items() if item.tokens}
    keyspaces = next((view.keyspaces for view in views if view.keyspaces), ())
    return ring.Availability(
        {address: item.tokens for address, item in members.items()},
        {address: item.rack for address, item in members.items()},
        {address: item.datacenter for address, item in members.items()},
        {item.name: item.replication for item in keyspaces if item.name not in UNCOUNTED_KEYSPACES},
        count_fragile,
    )


def quorum_kept(
    view: View, rules: ring.Availability, down: Iterable[str], more: Iterable[str], accepted: Collection[str] = ()
) -> list[str]:
    """G8: if C(more) go down beside C(down) (addresses), every range of every keyspace keeps its quorum.

    :param accepted: keyspaces that may lose it.
    """
    return [
        f"{keyspaces_named(each.rule.keyspaces)} would keep {each.up} of {len(each.replicas)} replicas of some rows "
        f"(those on {', '.join(named(view, node) for node in each.replicas)}, for one), and {each.rule.level} needs "
        f"{each.rule.quorum}: bring back first what is down"
        for each in rules.shortfalls(down, more)
        if not set(each.rule.keyspaces) <= set(accepted)
    ]


def keyspaces_named(names: Sequence[str]) -> str:
    return f"{agree(names, 'keyspace', 'keyspaces')} {', '.join(names)}"


def advice(reason: str) -> str:
    """What to do about a reason of G1 to G5 and G12."""
    late = "wait a minute: gossip may only be late; if it stays so, look at the network between the two"
    moving = "a node joins, leaves or moves: wait, or run the playbook scale again if its run died"
    rules = (
        (
            "its worker",
            "see to that worker; where it is off for good, the playbook heal with --check tells what to do",
        ),
        ("is held", "run the playbook heal with --check: it decides what is safe, and tells what it would do"),
        ("cannot be scheduled", "see to workers, zones and volumes: kubectl describe pod"),
        ("does not run", "kubectl describe pod, and the pod's log, tell the cause"),
        ("is not ready", "it may only be starting; if it stays so, read its log"),
        ("cannot be asked", "its login or its port-forward fails; see the reason"),
        ("no node could be asked", "start the nodes; where they run, see to the superuser's Secret"),
        ("has not finished joining", moving),
        ("says that it is", "wait until it is done; a node that is drained wants a restart"),
        (", needed NORMAL", moving),
        ("is to be deleted", "leave its pod alone: the playbook heal with --check tells how it gets another volume"),
        ("sees", late),
        ("does not know", late),
        ("knows other tokens", late),
        ("is not known", "see that nodetool works there: nodetool netstats tells its mode"),
        ("different formats", "there is no way back from it but a backup"),
        ("have the same", "one of them is a ghost; heal tells how to remove it"),
        ("no seed is up", "bring one of them back first"),
        ("schema versions", "wait a minute; if it stays so, restart the node that differs"),
        (
            "none of this datacenter's nodes",
            "a node that left without goodbye; heal tells how to remove it",
        ),
    )
    return next((words for sign, words in rules if sign in reason), "run the playbook status again in a minute")


def named(view: View, address: str) -> str:
    """The node behind an address, or the address itself (a node of another datacenter)."""
    return view.pods_by_address.get(address, address)
