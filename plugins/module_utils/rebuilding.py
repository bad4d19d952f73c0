# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes of a datacenter have yet to get the rows of which keyspaces, from where, and why not. Pure.

A keyspace that is replicated to a datacenter has replicas there at once, and they are empty: Cassandra streams nothing
by itself. So what was given to whom is noted. When all nodes have a keyspace's rows it is whole, and stays so: who
joins later gets them from its neighbours.

The note has the moment of the keyspace's last change. One that was taken away from the datacenter and given back has
missed what was written meanwhile, and is begun anew. So is one where a node has gone that had yet to get its rows:
others have taken over ranges from it then, and lack what it lacked.

A node that takes a dead one's place keeps its host id and its tokens (C(StorageService.prepareForReplacement)), and
perhaps its claim; the rows that the dead one had been given are gone, and its neighbours may have had none to give it.
So the note has also since when a node has had what is on its volume.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from . import gates, ring
from .report import placed, size
from .scaling import Scene
from .view import Keyspace, NodeView, Observation, View

# Annotation of the ledger's ConfigMap: see L(text_of). All annotations of an object may have 256 KiB.
REBUILT = "cassops.kubernetes/rebuilt"
WHOLE, NOBODY = "all", "-"
# Before the list of the nodes that the lines of the keyspaces are about.
NODES = "* "
# Between the parts of an L(identity).
SINCE = "@"


# --- what is noted ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Note:
    """What was rebuilt of one keyspace.

    :ivar changed: the moment of the keyspace's last change then (microseconds since 1970); 0 before it is known.
    :ivar done: identities of the nodes that have its rows; None is all of them.
    :ivar left: identities of the nodes that had yet to get them.
    :ivar source: the datacenter that they come from.
    """

    changed: int = 0
    done: frozenset[str] | None = frozenset()
    left: frozenset[str] = frozenset()
    source: str = ""

    def with_node(self, node: str, all_nodes: Collection[str]) -> Note:
        """:param all_nodes: identities of the nodes that there are."""
        done = None if self.done is None else self.done | {node}
        return replace(self, done=done, left=self.left - {node}).among(all_nodes)

    def among(self, all_nodes: Collection[str]) -> Note:
        """What it is worth with the nodes that there are, by their identities.

        One that told no more than its host id counts as the one that was noted; but as long as there is such a node,
        nobody can say that all have the rows.
        """
        if self.done is None:
            return self
        nodes = frozenset(all_nodes)
        done = self.done if host_ids(self.left) <= host_ids(nodes) else frozenset()
        if done and done >= nodes:
            return replace(self, done=None, left=frozenset())
        noted = {each.partition(SINCE)[0]: each for each in (*self.done, *self.left)}
        return replace(self, done=done, left=frozenset(noted.get(each, each) for each in nodes) - done - {""})


def host_ids(nodes: Iterable[str]) -> frozenset[str]:
    """:param nodes: identities."""
    return frozenset(each.partition(SINCE)[0] for each in nodes)


Notes = Mapping[str, Note]
"""By keyspace."""


def notes(text: str | None) -> dict[str, Note]:
    """What L(text_of) has written. What cannot be read counts as not noted: then it is rebuilt once more."""
    lines = (text or "").splitlines()
    listed = next((line.removeprefix(NODES).split(",") for line in lines if line.startswith(NODES)), None)
    found = {}
    for line in lines:
        if match := re.fullmatch(r"(\w+) (\d+) (\S+) (\S+) (.*)", line):
            with suppress(ValueError):
                done = None if match[3] == WHOLE else unlisted(match[3], listed)
                found[match[1]] = Note(int(match[2]), done, unlisted(match[4], listed), match[5])
    return found


def unlisted(text: str, nodes: Sequence[str] | None) -> frozenset[str]:
    """Identities, from their places in the list.

    :param nodes: the list; None where there is none: then they stand there themselves, as they did at first.
    :raises ValueError: it has no such places.
    """
    if text == NOBODY:
        return frozenset()
    if nodes is None:
        return frozenset(text.split(","))
    places = int(text, 16) if re.fullmatch(r"[0-9a-f]+", text) else -1
    if places < 0 or places >> len(nodes):
        raise ValueError(text)
    return frozenset(node for place, node in enumerate(nodes) if places >> place & 1)


def text_of(noted: Notes) -> str | None:
    """A line a keyspace: its name, when it was changed last, the nodes that are done, those that are left, and the
    source; None where there is none.

    The nodes stand in a list of their own, once, since all of them are in each keyspace that is not finished. The lines
    have their places there: the bits of a hexadecimal number, of which the last is the first node's.
    """
    nodes = sorted({node for note in noted.values() for node in (*(note.done or ()), *note.left)})
    bits = {node: 1 << place for place, node in enumerate(nodes)}

    def listed(some: Collection[str]) -> str:
        return f"{sum(bits[node] for node in some):x}" if some else NOBODY

    lines = [
        f"{name} {note.changed} {WHOLE if note.done is None else listed(note.done)} {listed(note.left)} {note.source}"
        for name, note in sorted(noted.items())
    ]
    return "\n".join([*lines, f"{NODES}{','.join(nodes)}"] if nodes else lines) or None


def of_now(noted: Notes, view: View) -> dict[str, Note]:
    """What counts of them with the keyspaces and the nodes that there are: those of keyspaces that have replicas here
    and elsewhere. Others were taken away, and are begun anew when they come back; or nobody else has rows to give.

    :param view: of the datacenter.
    """
    known, nodes = users(view), [node for _pod, node in nodes_of(view)]
    return {
        name: note.among(nodes)
        for name, note in noted.items()
        if name in known and is_shared(known[name], view.datacenter)
    }


def is_shared(keyspace: Keyspace, here: str) -> bool:
    """Whether it has replicas in this datacenter and in another one."""
    return here in factors(keyspace) and len(factors(keyspace)) > 1


def nodes_of(view: View) -> list[tuple[str, str]]:
    """Pods of the datacenter, and the identities of their nodes."""
    return [(node.pod, identity(node, view.observations.get(node.pod))) for node in view.nodes]


def identity(node: NodeView, seen: Observation | None) -> str:
    """Whose rows they are: a host id, and since when it has had what is on its volume. Where that is not told it is
    the host id alone, of which nobody knows what it has.

    :param seen: what the node has told. Where it has replaced itself, its host id may be another one than the ledger's.
    """
    host_id = (seen.own.host_id if seen else "") or node.host_id or ""
    since = seen.activity.volume_since if seen else None
    return host_id if since is None or not host_id else f"{host_id}{SINCE}{since}"


def unfinished(noted: Notes) -> list[str]:
    """Keyspaces whose rows some nodes have yet to get."""
    return sorted(name for name, note in noted.items() if note.done is not None)


# --- what is due ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Changed:
    """When a keyspace was changed last.

    :ivar at: microseconds since 1970.
    :ivar tables: when its tables and views were.
    """

    at: int
    tables: frozenset[int] = frozenset()

    def is_since(self, noted: int) -> bool:
        """Whether its replication may be another one since a note was written.

        Cassandra writes a keyspace anew with each of its tables. A change that one of these has made is none of the
        replication, and a repair tells whether there was another one before it: it counts none from before the last.
        """
        return self.at != noted and not (self.at > noted > 0 and self.at in self.tables)


@dataclass(frozen=True)
class Part:
    """The rows of one keyspace for one node.

    :ivar node: its L(identity).
    """

    keyspace: str
    pod: str
    node: str


def has(note: Note | None, changed: Changed | None, node: str) -> bool:
    """Whether a node has the rows of a keyspace."""
    if note is None or changed is None or changed.is_since(note.changed):
        return False
    return note.done is None or node in note.done


def due(
    names: Iterable[str], changed: Mapping[str, Changed], noted: Notes, nodes: Sequence[tuple[str, str]]
) -> list[Part]:
    """What is left, keyspace by keyspace, so that the first ones can be used before the last ones are done.

    :param changed: by keyspace; one that has no replicas here yet is not in it.
    :param nodes: pod and identity of the nodes that there are.
    """
    return [
        Part(name, pod, node)
        for name in names
        for pod, node in nodes
        if not has(noted.get(name), changed.get(name), node)
    ]


# --- what is wanted, and why not --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """What a person has said.

    :ivar here: the datacenter that gets rows.
    :ivar source: the one that has them; empty is the only other one.
    :ivar keyspaces: only these, and those of C(replication); where both are empty, all that L(chosen) finds.
    :ivar replication: keyspace -> number of replicas here, or its digits.
    :ivar prefix: of the options' names in messages.
    :ivar again: whatever was done before.
    """

    here: str
    source: str = ""
    keyspaces: tuple[str, ...] = ()
    replication: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    again: bool = False


def elsewhere(view: View, here: str) -> list[str]:
    """The other datacenters that have members."""
    return sorted({item.datacenter for item in view.endpoints().values() if item.tokens} - {here})


def source(view: View, wish: Wish) -> str:
    """From where; empty where that is not clear."""
    others = elsewhere(view, wish.here)
    return wish.source or (others[0] if len(others) == 1 else "")


def users(view: View) -> dict[str, Keyspace]:
    """The users' keyspaces that place replicas. Those of Cassandra's own that matter are seen to by deploy."""
    return {
        item.name: item
        for item in sorted(view.keyspaces, key=lambda each: each.name)
        if not item.name.startswith("system") and ring.replication_factors(item.replication)
    }


def factors(keyspace: Keyspace) -> dict[str, int]:
    """Datacenter -> replicas, of those that have some; that of SimpleStrategy stands under an empty name."""
    return {name: count for name, count in ring.replication_factors(keyspace.replication).items() if count}


def chosen(view: View, wish: Wish, noted: Notes) -> list[str]:
    """The keyspaces to rebuild: those that are named. Where only replications are, also what is not finished; where
    nothing is, all that have replicas here and elsewhere."""
    known, begun = users(view), unfinished(noted)
    shared = [name for name, item in known.items() if is_shared(item, wish.here)]
    unnamed = [name for name in shared if name in begun or not wish.replication]
    return sorted({*(wish.keyspaces or unnamed), *wish.replication})


def changes(view: View, wish: Wish) -> dict[str, dict[str, str]]:
    """Keyspace -> the replication that it gets, of those that have no replicas here yet."""
    known = users(view)
    return {
        name: {**plainly(known[name]), wish.here: str(count)}
        for name, count in sorted(wish.replication.items())
        if wish.here not in factors(known[name])
    }


def plainly(keyspace: Keyspace) -> dict[str, str]:
    """Its replication with the short name of its class."""
    options = {name: value for name, value in keyspace.replication.items() if name != "class"}
    return {"class": keyspace.replication["class"].rpartition(".")[2], **dict(sorted(options.items()))}


def left_out(view: View, wish: Wish) -> list[str]:
    """Keyspaces of the users that have no replicas here, and that nobody gives any."""
    placed = {name for name, item in users(view).items() if {wish.here, ""} & set(factors(item))}
    return [name for name in users(view) if name not in placed and name not in wish.replication]


def is_simple(keyspace: Keyspace) -> bool:
    return "" in ring.replication_factors(keyspace.replication)


def refusals(view: View, wish: Wish, noted: Notes) -> list[str]:
    """Everything that is wrong with what was said."""
    return [*_source(view, wish), *_names(view, wish), *_numbers(view, wish), *_replicas(view, wish, noted)]


def by_others(view: View, wish: Wish, names: Sequence[str], noted: Notes, theirs: Mapping[str, Notes]) -> list[str]:
    """Why no rows may come, by what the other datacenters have noted.

    :param names: keyspaces that nodes have yet to get.
    :param theirs: by datacenter.
    """
    origin, known = source(view, wish), users(view)
    halves = [name for name in unfinished(theirs.get(origin, {})) if name in names]
    reasons = []
    if halves:
        reasons.append(
            f"{gates.keyspaces_named(halves)}: not all nodes of datacenter {origin} have been given the rows "
            f"themselves. Run the playbook rebuild for {origin} first, which finishes it, or name another "
            f"{wish.prefix}source"
        )
    # What was begun here on purpose goes on, and what has no replicas here yet serves nobody.
    serving = [name for name in names if name not in unfinished(noted) and wish.here in factors(known[name])]
    for other, their in sorted(theirs.items()):
        gave = [name for name in serving if name in their and their[name].source == wish.here]
        if gave and not wish.again:
            reasons.append(
                f"{gates.keyspaces_named(gave)}: streamed from datacenter {wish.here} to {other} before, so "
                f"{wish.here} is the one that has the rows. Name the datacenter that lacks them; if it is {wish.here} "
                f"that has lost them since, say {wish.prefix}again=true"
            )
    return reasons


def left_behind(wish: Wish, names: Iterable[str], stats: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Why keyspaces may get no replicas here yet: nodes have rows of a time when they had some.

    Cassandra deletes nothing when replicas are taken away. What was deleted elsewhere since, and whose tombstones are
    gone, would win over nothing, and be repaired to everybody.

    :param names: keyspaces that have no replicas here.
    :param stats: by pod, what C(nodetool tablestats) tells of them.
    """
    reasons = []
    for name in sorted(names):
        held = {pod: bytes_of(told.get(name) or {}) for pod, told in sorted(stats.items())}
        named = ", ".join(f"{pod} ({size(count)})" for pod, count in held.items() if count)
        if named:
            reasons.append(
                f"keyspace {name}: no replicas in datacenter {wish.here}, and rows of it are there from a time when it "
                f"had some: {named}. What was deleted since would come back with them, in all datacenters. If the "
                "others have all rows (a repair before the replicas were taken away has seen to that), delete these: "
                f"run the playbook cleanup for {wish.here} with -e cleanup_all=true, then this again. If rows may be "
                "here only, give it its replicas by ALTER KEYSPACE, within gc_grace_seconds of when they were taken "
                f"away, and run this without it in {wish.prefix}replication"
            )
    return reasons


def bytes_of(keyspace: Mapping[str, Any]) -> int:
    """How much a node has of a keyspace, in files and in memory, as C(nodetool tablestats) tells it."""
    counts = ("space_used_live", "memtable_data_size")
    return sum(int(table[key]) for table in keyspace.get("tables", {}).values() for key in counts)


def _source(view: View, wish: Wish) -> list[str]:
    others, option = elsewhere(view, wish.here), f"{wish.prefix}source"
    if not others:
        return [f"datacenter {wish.here} is the only one of its cluster: nobody else has rows to give"]
    if not wish.source and len(others) > 1:
        return [f"{option}: name the datacenter that has the rows; there are {', '.join(others)}"]
    if wish.source and wish.source not in others:
        return [f"{option}: got {wish.source}, needed another datacenter that has nodes; there are {', '.join(others)}"]
    return []


def _names(view: View, wish: Wish) -> list[str]:
    """Keyspaces that are not there, or whose replicas no datacenter has a number of."""
    known = users(view)
    named = {f"{wish.prefix}keyspaces[{number}]": name for number, name in enumerate(wish.keyspaces)}
    named |= {f"{wish.prefix}replication.{name}": name for name in wish.replication}
    there = ", ".join(known) or "none"
    reasons = [
        f"{path}: there is no keyspace {name} of yours; there are {there}"
        for path, name in named.items()
        if name not in known
    ]
    return reasons + [
        f"{path}: keyspace {name} is not of NetworkTopologyStrategy, so no datacenter has replicas of its own. First "
        f"ALTER KEYSPACE {name} to that class with replicas in every datacenter that has nodes, and run the playbook "
        "repair for all datacenters, which gives each of them all rows"
        for path, name in named.items()
        if name in known and is_simple(known[name])
    ]


def _numbers(view: View, wish: Wish) -> list[str]:
    known = users(view)
    nodes = sum(1 for item in view.endpoints().values() if item.tokens and item.datacenter == wish.here)
    reasons = []
    for name, count in wish.replication.items():
        path = f"{wish.prefix}replication.{name}"
        have = factors(known[name]).get(wish.here, 0) if name in known else 0
        if isinstance(count, bool) or not re.fullmatch(r"[1-9]\d*", str(count)):
            reasons.append(f"{path}: must be a number of replicas from 1, got {count!r}")
        elif int(count) > nodes:
            reasons.append(
                f"{path}: got {count} replicas, and datacenter {wish.here} has {nodes} nodes: at most as many"
            )
        elif have and have != int(count):
            reasons.append(
                f"{path}: got {count} replicas, and {name} has {have} in datacenter {wish.here} already, which may "
                f"serve. Leave it out here, or say {have}; another number is ALTER KEYSPACE {name}, by one at a time, "
                "with the playbook repair after each"
            )
    return reasons


def _replicas(view: View, wish: Wish, noted: Notes) -> list[str]:
    """Keyspaces that cannot be got, or have nowhere to go."""
    known, origin = users(view), source(view, wish)
    reasons = []
    for name in chosen(view, wish, noted):
        if name not in known or is_simple(known[name]):
            continue
        have = factors(known[name])
        if wish.here not in have and name not in wish.replication:
            reasons.append(
                f"keyspace {name} has no replicas in datacenter {wish.here}: say how many it gets, "
                f"{wish.prefix}replication: {{{name}: 3}}"
            )
        if origin in elsewhere(view, wish.here) and origin not in have:
            others = ", ".join(sorted(set(have) - {wish.here})) or "nobody"
            reasons.append(
                f"keyspace {name} has no replicas in datacenter {origin}, but in {others}: name another "
                f"{wish.prefix}source, or by {wish.prefix}keyspaces those that it has"
            )
    return reasons


# --- room -------------------------------------------------------------------------------------------------------------


def gains(scene: Scene, origin: str, left: Iterable[Part], wanted: Mapping[str, Mapping[str, str]]) -> dict[str, float]:
    """Address -> bytes that the node gets: of each range the largest copy in the datacenter that has the rows.

    :param left: what nodes get.
    :param wanted: replications that keyspaces have only then.
    """
    pods = {node.pod: node.address for node in scene.view.nodes}
    getting: dict[str, set[str | None]] = {}
    for part in left:
        getting.setdefault(part.keyspace, set()).add(pods.get(part.pod))
    known = {item.name: item.replication for item in scene.cluster.keyspaces}
    sizes = copies(scene, origin)
    found: dict[str, float] = {}
    for name, addresses in getting.items():
        ranges = placed(scene.cluster, wanted.get(name, known[name]))
        owned = ring.ownership(ranges)
        for span, nodes in ranges:
            largest = max((sizes[node].get(name, 0) / owned[node] for node in nodes if node in sizes), default=0.0)
            for address in addresses.intersection(nodes):
                found[str(address)] = found.get(str(address), 0.0) + largest * ring.width(span) / ring.RING
    return found


def copies(scene: Scene, origin: str) -> dict[str, Mapping[str, int]]:
    """Address -> keyspace -> bytes, of the nodes of a datacenter that told it."""
    members = scene.members()
    return {
        seen.address: seen.activity.sizes
        for seen in scene.cluster.observations.values()
        if seen.activity.sizes and seen.address in members and members[seen.address].datacenter == origin
    }


def largest_part(scene: Scene, origin: str) -> float:
    """How much of what a node there has is one table, at most."""
    known = copies(scene, origin)
    told = (
        (seen.activity.largest_table, sum(seen.activity.sizes.values()))
        for seen in scene.cluster.observations.values()
        if seen.address in known and seen.activity.sizes
    )
    return max((table / every for table, every in told if table and every), default=0.0)


# --- what is under way, and what is not -------------------------------------------------------------------------------

# What Cassandra calls the streams of a rebuild (StreamOperation.REBUILD).
OPERATION = "Rebuild"


def rebuilds(view: View) -> list[str]:
    """Nodes of the datacenter that are given rows just now, by whomever."""
    return [
        pod
        for pod, seen in sorted(view.observations.items())
        if any(stream.operation == OPERATION for stream in seen.activity.streams or ())
    ]


def warnings(view: View, names: Collection[str]) -> list[str]:
    """What somebody may take for rebuilt, and is not."""
    simple = [name for name, item in users(view).items() if is_simple(item) and name not in names]
    if not simple:
        return []
    return [
        f"{gates.keyspaces_named(simple)}: left alone, not of NetworkTopologyStrategy. Its replicas are anywhere in "
        "the ring since it has nodes of several datacenters: ALTER it, and run the playbook repair for all of them"
    ]
