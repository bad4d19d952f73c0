# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The token ring: even tokens for a new datacenter, who holds which range, and what survives which loss. Pure.

Tokens are those of Murmur3Partitioner: whole numbers from -2**63 + 1 to 2**63 - 1 (-2**63 is Cassandra's "nowhere").
Replicas follow NetworkTopologyStrategy and SimpleStrategy as Cassandra 4.0 to 5.0 place them
(`NetworkTopologyStrategy.DatacenterEndpoints`): walk up the ring from the token; take a node in a rack that has none
yet; take a second one of a rack only as long as there are more replicas than racks.
"""

from __future__ import annotations

import bisect
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

MIN_TOKEN = -(2**63)
RING = 2**64

Range = tuple[int, int]
"""(start, end]: start does not belong to it, end does; one of them wraps around where start >= end."""
Replicas = list[tuple[Range, tuple[str, ...]]]
"""For each range the nodes that hold it, the first of each datacenter first."""

_APART = 3
"""Tokens of one rack that follow each other belong to this many different nodes, so that a rack that holds several
replicas of a range (RF 3 in one rack, say) is balanced too."""
_ATTEMPTS = 1000


# --- tokens of a new datacenter ---------------------------------------------------------------------------------------


def plan_tokens(racks: Sequence[tuple[str, Sequence[str]]], num_tokens: int, seed: str) -> dict[str, tuple[int, ...]]:
    """Tokens for all nodes of a datacenter that starts at once.

    Each rack's tokens are evenly spaced around the ring, and the racks are shifted against each other: with as many
    replicas as racks, or one replica, every node of a rack owns exactly the same. Racks of the same size interleave.
    In each turn around the ring a rack's nodes come in another order, so a node shares ranges with many others, and a
    later replacement streams from many sources.

    :param racks: (name, its nodes' pods) in order.
    :param num_tokens: tokens a node, at least 1.
    :param seed: `<cluster>/<datacenter>`. The same seed gives the same tokens; another one shifts all of them by some
        part of the distance between two tokens, so that datacenters do not share tokens (a token in use is refused).
    :returns: by pod, its tokens, ascending.
    """
    densest = max((len(pods) for _name, pods in racks), default=0)
    if not densest:
        return {}
    offset = 1 + _number(seed) % (RING // (densest * num_tokens * len(racks)) - 1)
    taken: set[int] = set()
    tokens: dict[str, list[int]] = {}
    for index, (name, pods) in enumerate(racks):
        order = _rack_order(pods, num_tokens, f"{seed}/{name}")
        for place, pod in enumerate(order):
            token = MIN_TOKEN + offset + (place * len(racks) + index) * RING // (len(racks) * len(order))
            while token in taken:  # Racks of different sizes meet at some tokens.
                token += 1
            taken.add(token)
            tokens.setdefault(pod, []).append(token)
    return {pod: tuple(sorted(values)) for pod, values in tokens.items()}


def _number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")


def _rack_order(pods: Sequence[str], turns: int, seed: str) -> list[str]:
    """Every pod once a turn, shuffled; none twice within `_APART` places, around the end of the ring too."""
    shuffler = random.Random(seed)
    apart = min(_APART, len(pods))
    order: list[str] = []
    for _turn in range(turns - 1):
        order += _turn_order(pods, order, apart, shuffler)
    for _attempt in range(_ATTEMPTS):
        last = _turn_order(pods, order, apart, shuffler)
        if _spread([*last[-apart:], *(order or last)[:apart]], apart):
            return [*order, *last]
    return list(pods) * turns


def _turn_order(pods: Sequence[str], before: Sequence[str], apart: int, shuffler: random.Random) -> list[str]:
    left = list(pods)
    order: list[str] = []
    for _place in pods:
        near = [*before[-apart:], *order][-(apart - 1) :] if apart > 1 else []
        pod = shuffler.choice([candidate for candidate in left if candidate not in near] or left)
        left.remove(pod)
        order.append(pod)
    return order


def _spread(order: Sequence[str], apart: int) -> bool:
    return all(len(set(order[start : start + apart])) == apart for start in range(len(order) - apart + 1))


# --- replicas ---------------------------------------------------------------------------------------------------------


def replication_factors(replication: Mapping[str, str]) -> dict[str, int]:
    """By datacenter, how many replicas; empty for strategies that place none (LocalStrategy).

    :param replication: as in system_schema.keyspaces. SimpleStrategy's number stands under an empty name.
    """
    strategy = replication.get("class", "").rpartition(".")[2]
    if strategy == "SimpleStrategy":
        return {"": _factor(replication.get("replication_factor", "1"))}
    if strategy != "NetworkTopologyStrategy":
        return {}
    return {datacenter: _factor(factor) for datacenter, factor in replication.items() if datacenter != "class"}


def _factor(text: str) -> int:
    """Replicas of a datacenter; of transient replication ("3/1") all of them."""
    return int(str(text).partition("/")[0])


class _Circle:
    """The tokens of one datacenter (or, for SimpleStrategy, of all nodes) in order, and who follows whom."""

    def __init__(
        self, tokens_by_node: Mapping[str, Sequence[int]], rack_by_node: Mapping[str, str], factor: int
    ) -> None:
        placed = sorted((token, node) for node, tokens in tokens_by_node.items() for token in tokens)
        self.tokens = [token for token, _node in placed]
        self._nodes = [node for _token, node in placed]
        self._racks = [rack_by_node[node] for node in self._nodes]
        racks = sorted(set(self._racks))
        self._wanted = min(factor, len(set(self._nodes)))
        self._repeats = factor - len(racks)
        self._next = {rack: self._next_in(rack) for rack in racks}

    def _next_in(self, rack: str) -> list[int]:
        """For each place, the place of the next token of the rack, counted on beyond the end of the ring."""
        size = len(self._racks)
        following = [0] * size
        found = size + self._racks.index(rack)
        for place in range(size - 1, -1, -1):
            if self._racks[place] == rack:
                found = place
            following[place] = found
        return following

    def replicas(self, token: int) -> tuple[str, ...]:
        """Who holds the token."""
        return self.replicas_at(bisect.bisect_left(self.tokens, token))

    def replicas_at(self, place: int) -> tuple[str, ...]:
        """Who holds the range that ends with the token at this place."""
        size = len(self.tokens)
        chosen: list[str] = []
        racks: set[str] = set()
        repeats = self._repeats
        while repeats > 0 and len(chosen) < self._wanted:
            node, rack = self._nodes[place % size], self._racks[place % size]
            if node not in chosen:
                repeats -= rack in racks
                racks.add(rack)
                chosen.append(node)
            place += 1
        # From here on only racks without a replica count: go straight to the next token of each.
        missing = self._wanted - len(chosen)
        if missing > 0:
            turn, base = divmod(place, size)
            places = sorted(turn * size + self._next[rack][base] for rack in self._next if rack not in racks)
            chosen += [self._nodes[at % size] for at in places[:missing]]
        return tuple(chosen)


def _circles(
    tokens_by_node: Mapping[str, Sequence[int]],
    rack_by_node: Mapping[str, str],
    dc_by_node: Mapping[str, str],
    replication: Mapping[str, str],
) -> list[_Circle]:
    found = (
        _circle(tokens_by_node, rack_by_node, dc_by_node, datacenter, factor)
        for datacenter, factor in sorted(replication_factors(replication).items())
    )
    return [circle for circle in found if circle]


def _circle(
    tokens_by_node: Mapping[str, Sequence[int]],
    rack_by_node: Mapping[str, str],
    dc_by_node: Mapping[str, str],
    datacenter: str,
    factor: int,
) -> _Circle | None:
    """The circle of one entry of `replication_factors`; None where it places no replica."""
    if not datacenter:
        # SimpleStrategy knows no racks: every node is its own, and there are never more racks than replicas to find.
        return _Circle(tokens_by_node, {node: node for node in tokens_by_node}, factor) if tokens_by_node else None
    inside = {node: tokens for node, tokens in tokens_by_node.items() if dc_by_node[node] == datacenter and tokens}
    return _Circle(inside, rack_by_node, factor) if inside and factor > 0 else None


def replica_finder(
    tokens_by_node: Mapping[str, Sequence[int]],
    rack_by_node: Mapping[str, str],
    dc_by_node: Mapping[str, str],
    replication: Mapping[str, str],
) -> Callable[[int], tuple[str, ...]]:
    """A function that tells who holds a token; parameters as for `replicas`."""
    circles = _circles(tokens_by_node, rack_by_node, dc_by_node, replication)
    return lambda token: tuple(node for circle in circles for node in circle.replicas(token))


def replicas(
    tokens_by_node: Mapping[str, Sequence[int]],
    rack_by_node: Mapping[str, str],
    dc_by_node: Mapping[str, str],
    replication: Mapping[str, str],
) -> Replicas:
    """Who holds which range.

    :param tokens_by_node: every node that owns tokens, of all datacenters; a node is any name, such as its address.
    :param replication: as in system_schema.keyspaces, such as `{class: NetworkTopologyStrategy, dc1: '3'}`.
    :returns: every range of the ring, ascending by its end; without replicas where the strategy places none.
    """
    ends = sorted({token for tokens in tokens_by_node.values() for token in tokens})
    circles = _circles(tokens_by_node, rack_by_node, dc_by_node, replication)
    holders = [list(_along(circle, ends)) for circle in circles]
    starts = [*ends[-1:], *ends[:-1]]
    joined = (tuple(node for part in parts for node in part) for parts in zip(*holders, strict=True))
    if not circles:
        joined = (() for _end in ends)
    return [((start, end), nodes) for start, end, nodes in zip(starts, ends, joined, strict=True)]


def _along(circle: _Circle, ends: Iterable[int]) -> Iterator[tuple[str, ...]]:
    """The circle's replicas at each of the ascending tokens; worked out once for each place in the circle."""
    place, known = 0, -1
    found: tuple[str, ...] = ()
    for end in ends:
        while place < len(circle.tokens) and circle.tokens[place] < end:
            place += 1
        if place != known:
            found, known = circle.replicas_at(place), place
        yield found


# --- what follows from it ---------------------------------------------------------------------------------------------


def ownership(ranges: Replicas) -> dict[str, float]:
    """The share of a keyspace's data that each node holds: 1.0 is all of it, and their sum the number of replicas."""
    held: Counter[str] = Counter()
    for span, nodes in ranges:
        for node in nodes:
            held[node] += width(span)
    return {node: tokens / RING for node, tokens in held.items()}


def width(span: Range) -> int:
    """How many tokens a range has; all of them where one token is the only one."""
    start, end = span
    return (end - start) % RING or RING


@dataclass(frozen=True)
class Survival:
    """Whether every range of a keyspace keeps a quorum; None where the strategy places no replicas.

    :param node: QUORUM without any one node.
    :param rack: QUORUM without any one rack.
    """

    node: bool | None
    rack: bool | None


def survives(
    ranges: Replicas,
    rack_by_node: Mapping[str, str],
    dc_by_node: Mapping[str, str],
    replication: Mapping[str, str],
) -> Survival:
    """Whether a keyspace goes on after a loss.

    A quorum counts the replicas that the keyspace asks for, not those that exist: three of them on two nodes need both.

    :param ranges: from `replicas`, with the same other parameters.
    """
    factors = replication_factors(replication)
    if not factors:
        return Survival(None, None)
    groups = {nodes for _range, nodes in ranges} or {()}
    total = sum(factors.values())
    rack_of = {node: (dc_by_node[node], rack_by_node[node]) for node in dc_by_node}
    return Survival(
        node=all(_keeps(nodes, total, 1) for nodes in groups),
        rack=all(_keeps(nodes, total, _most_in_one_rack(nodes, rack_of)) for nodes in groups),
    )


def without(ranges: Replicas, down: Container[str]) -> Replicas:
    """The same with the replicas that are left."""
    return [(each, tuple(node for node in nodes if node not in down)) for each, nodes in ranges]


def has_quorum(ranges: Replicas, replication: Mapping[str, str], lost: int = 0) -> bool:
    """Whether every range has its QUORUM, also when so many more of its replicas are lost."""
    factors = replication_factors(replication)
    return not factors or all(_keeps(nodes, sum(factors.values()), lost) for _range, nodes in ranges)


def _keeps(nodes: Sequence[str], factor: int, lost: int) -> bool:
    return len(nodes) - lost >= factor // 2 + 1


def _most_in_one_rack(nodes: Iterable[str], rack_of: Mapping[str, tuple[str, str]]) -> int:
    return max(Counter(rack_of[node] for node in nodes).values(), default=0)


# --- who may be down together -----------------------------------------------------------------------------------------

Part = tuple[str, int]
"""A datacenter and its number of replicas, as one entry of `replication_factors`."""


@dataclass(frozen=True)
class Rule:
    """What one consistency level asks of every range of the keyspaces that are replicated alike.

    :param keyspaces: their names, sorted.
    :param level: `QUORUM`, or `LOCAL_QUORUM in <datacenter>` where several datacenters have replicas.
    :param parts: the datacenters that count.
    :param factor: replicas that the keyspaces ask for there.
    :param replicas: replicas that every range has there: fewer where there are fewer nodes.
    """

    keyspaces: tuple[str, ...]
    level: str
    parts: tuple[Part, ...]
    factor: int
    replicas: int

    @property
    def quorum(self) -> int:
        """Replicas of a range that must be up."""
        return self.factor // 2 + 1

    @property
    def fragile(self) -> bool:
        """One node down is enough to lose the quorum: no order of restarts can keep it."""
        return self.replicas - 1 < self.quorum

    @property
    def may_be_down(self) -> int:
        """How many replicas of a range may be down: what the quorum can spare, and one in any case."""
        return max(self.replicas - self.quorum, 1)


@dataclass(frozen=True)
class Shortfall:
    """A rule that would be broken.

    :param replicas: a set of replicas that would have too few left, for one.
    :param up: how many of these would be left.
    """

    rule: Rule
    replicas: tuple[str, ...]
    up: int


class _Sets:
    """The sets of replicas of one datacenter for one number of replicas, as bit masks over all nodes."""

    def __init__(self, circle: _Circle, bits: Mapping[str, int]) -> None:
        self._circle = circle
        self._by_place = [sum(bits[node] for node in circle.replicas_at(place)) for place in range(len(circle.tokens))]
        self.distinct = sorted(set(self._by_place))
        self.replicas = self.distinct[0].bit_count()
        self.of: dict[int, list[int]] = {}
        for mask in self.distinct:
            for bit in _bits(mask):
                self.of.setdefault(bit, []).append(mask)

    def along(self, ends: Sequence[int]) -> list[int]:
        """The set at each of the ascending tokens."""
        size = len(self._by_place)
        return [self._by_place[bisect.bisect_left(self._circle.tokens, end) % size] for end in ends]


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low
        mask ^= low


class Availability:
    """Which nodes may be down together so that every range of every keyspace keeps its quorum.

    A client may ask for QUORUM over all datacenters, for LOCAL_QUORUM in any of them, or for EACH_QUORUM: all of them
    must hold. A rule that is fragile cannot be kept by anybody; of its ranges one replica at a time may be down.

    Only sets inside of a datacenter are worked out in advance. QUORUM over several datacenters mostly follows from
    LOCAL_QUORUM in one while the others are whole; where it does not, or while they are not, it is looked at range by
    range.

    :param tokens_by_node: as for `replicas`.
    :param replications: by keyspace, as in system_schema.keyspaces; those that place no replicas are left out.
    :param count_fragile: False leaves fragile rules out of account.
    """

    def __init__(
        self,
        tokens_by_node: Mapping[str, Sequence[int]],
        rack_by_node: Mapping[str, str],
        dc_by_node: Mapping[str, str],
        replications: Mapping[str, Mapping[str, str]],
        count_fragile: bool = True,
    ) -> None:
        self._names = sorted(tokens_by_node)
        self._bits = {node: 1 << place for place, node in enumerate(self._names)}
        self._ends = sorted({token for tokens in tokens_by_node.values() for token in tokens})
        alike = _alike(replications)
        self._sets: dict[Part, _Sets] = {}
        for part in sorted({part for parts in alike for part in parts}):
            circle = _circle(tokens_by_node, rack_by_node, dc_by_node, *part)
            if circle:
                self._sets[part] = _Sets(circle, self._bits)
        rules = [rule for parts, keyspaces in alike.items() for rule in self._rules(keyspaces, parts)]
        self.fragile = [rule for rule in rules if rule.fragile]
        self.rules = rules if count_fragile else [rule for rule in rules if not rule.fragile]
        # Keyspaces that are replicated otherwise may still ask the same of one datacenter.
        distinct = {(rule.parts, rule.factor): rule for rule in self.rules}
        local = [rule for rule in distinct.values() if len(rule.parts) == 1]
        self._local = [(self._sets[rule.parts[0]], rule.may_be_down) for rule in local]
        self._wide = [rule for rule in distinct.values() if len(rule.parts) > 1]
        spared: dict[Part, int] = {}
        for rule in local:
            spared[rule.parts[0]] = min(rule.may_be_down, spared.get(rule.parts[0], rule.may_be_down))
        # Not implied by what each datacenter alone can spare, even while all others are whole.
        self._not_implied = [
            rule
            for rule in self._wide
            if any(part not in spared or spared[part] > rule.may_be_down for part in rule.parts)
        ]
        self._masks: dict[tuple[Part, ...], tuple[list[int], dict[int, list[int]]]] = {}
        inside: dict[str, int] = {}
        for node, bit in self._bits.items():
            inside[dc_by_node[node]] = inside.get(dc_by_node[node], 0) | bit
        self._neighbours = {node: inside[dc_by_node[node]] for node in self._names}

    def _rules(self, keyspaces: Sequence[str], parts: tuple[Part, ...]) -> Iterator[Rule]:
        named = tuple(keyspaces)
        there = tuple(part for part in parts if part in self._sets)
        if len(parts) > 1:
            for part in there:
                yield Rule(named, f"LOCAL_QUORUM in {part[0]}", (part,), part[1], self._sets[part].replicas)
        if there:
            factor, replicas = sum(part[1] for part in parts), sum(self._sets[part].replicas for part in there)
            yield Rule(named, "QUORUM", there, factor, replicas)

    def mask(self, nodes: Iterable[str]) -> int:
        """Nodes as a bit mask; those without tokens hold nothing and have no bit."""
        mask = 0
        for node in nodes:
            mask |= self._bits.get(node, 0)
        return mask

    def nodes(self, mask: int) -> tuple[str, ...]:
        """The nodes of a bit mask, sorted by name."""
        return tuple(self._names[bit.bit_length() - 1] for bit in _bits(mask))

    def sets(self, rule: Rule) -> list[int]:
        """The different sets of replicas (bit masks) of the ranges that the rule is about."""
        return self._sets[rule.parts[0]].distinct if len(rule.parts) == 1 else self._over(rule)[0]

    def sets_with(self, rule: Rule, node: str) -> list[int]:
        """Those of them, in the same order, that the node belongs to."""
        bit = self._bits.get(node, 0)
        of = self._sets[rule.parts[0]].of if len(rule.parts) == 1 else self._over(rule)[1]
        return of.get(bit, [])

    def holds(self, rule: Rule, mask: int) -> bool:
        """Whether any of these nodes (a bit mask) is a replica of a range that the rule is about."""
        return any(replicas & mask for part in rule.parts for replicas in self._sets[part].distinct)

    def allows(self, down: int, node: str) -> bool:
        """Whether the node may go down beside those (a bit mask) that are down; True for one that is down already."""
        bit = self._bits.get(node, 0)
        if not bit or down & bit:
            return True
        for sets, spared in self._local:
            if any((mask & down).bit_count() >= spared for mask in sets.of.get(bit, ())):
                return False
        wide = self._wide if down & ~self._neighbours[node] else self._not_implied
        return not any(
            (mask & down).bit_count() >= rule.may_be_down for rule in wide for mask in self._over(rule)[1].get(bit, ())
        )

    def _over(self, rule: Rule) -> tuple[list[int], dict[int, list[int]]]:
        """The different sets over several datacenters, all and by node; worked out when first needed."""
        if rule.parts not in self._masks:
            columns = [self._sets[part].along(self._ends) for part in rule.parts]
            distinct = sorted({sum(column) for column in zip(*columns, strict=True)})
            of: dict[int, list[int]] = {}
            for mask in distinct:
                for bit in _bits(mask):
                    of.setdefault(bit, []).append(mask)
            self._masks[rule.parts] = distinct, of
        return self._masks[rule.parts]

    def shortfalls(self, down: Iterable[str], more: Iterable[str]) -> list[Shortfall]:
        """What would be lost if C(more) went down beside C(down), for words; empty where `allows` says yes to all."""
        before = after = self.mask(down)
        allowed = True
        for node in sorted(more):
            allowed = allowed and self.allows(after, node)
            after |= self.mask([node])
        found = []
        for rule in () if allowed else self.rules:
            broken = (
                mask
                for mask in self.sets(rule)
                if mask & after != mask & before and (mask & after).bit_count() > rule.may_be_down
            )
            example = next(broken, None)
            if example is not None:
                found.append(Shortfall(rule, self.nodes(example), (example & ~after).bit_count()))
        return found


def _alike(replications: Mapping[str, Mapping[str, str]]) -> dict[tuple[Part, ...], list[str]]:
    """The keyspaces by their replication; without those that place no replicas."""
    found: dict[tuple[Part, ...], list[str]] = {}
    for keyspace, replication in sorted(replications.items()):
        parts = tuple(sorted((name, factor) for name, factor in replication_factors(replication).items() if factor > 0))
        if parts:
            found.setdefault(parts, []).append(keyspace)
    return found
