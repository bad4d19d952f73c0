# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.cassops.kubernetes.plugins.module_utils import ring

Racks = list[tuple[str, list[str]]]
NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"


def racks_of(sizes: Sequence[int], datacenter: str = "dc1") -> Racks:
    return [(f"r{rack}", [f"{datacenter}-r{rack}-{node}" for node in range(size)]) for rack, size in enumerate(sizes)]


def rack_by_node(racks: Racks) -> dict[str, str]:
    return {pod: name for name, pods in racks for pod in pods}


def replicas_of(racks: Racks, num_tokens: int, factor: int) -> ring.Replicas:
    tokens = ring.plan_tokens(racks, num_tokens, "shop/dc1")
    nodes = rack_by_node(racks)
    return ring.replicas(tokens, nodes, dict.fromkeys(nodes, "dc1"), {"class": NTS, "dc1": str(factor)})


SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=5)
NUM_TOKENS = st.sampled_from([1, 2, 8, 16])


# Tokens


@given(SIZES, NUM_TOKENS, st.text(max_size=9))
def test_tokens_are_unique_valid_and_as_many_as_asked(sizes: list[int], num_tokens: int, seed: str) -> None:
    tokens = ring.plan_tokens(racks_of(sizes), num_tokens, seed)
    flat = [token for values in tokens.values() for token in values]
    assert len(tokens) == sum(sizes)
    assert {len(values) for values in tokens.values()} == {num_tokens}
    assert len(set(flat)) == len(flat)
    assert all(-(2**63) < token < 2**63 for token in flat)
    assert tokens == ring.plan_tokens(racks_of(sizes), num_tokens, seed)


@given(SIZES, SIZES, st.sampled_from([1, 16]))
def test_two_datacenters_share_no_token(one: list[int], other: list[int], num_tokens: int) -> None:
    first = ring.plan_tokens(racks_of(one), num_tokens, "shop/dc1")
    second = ring.plan_tokens(racks_of(other), num_tokens, "shop/dc2")
    assert not set(itertools.chain(*first.values())) & set(itertools.chain(*second.values()))


@given(st.integers(1, 5), st.integers(1, 6), NUM_TOKENS, st.integers(1, 5))
def test_equal_racks_own_the_same(racks: int, size: int, num_tokens: int, factor: int) -> None:
    owned = ring.ownership(replicas_of(racks_of([size] * racks), num_tokens, min(factor, racks)))
    assert len(owned) == racks * size
    assert max(owned.values()) - min(owned.values()) < 1e-9


def test_six_nodes_in_three_racks() -> None:
    owned = ring.ownership(replicas_of(racks_of([2, 2, 2]), 16, 3))
    assert all(abs(share - 0.5) < 0.005 for share in owned.values())


def test_one_rack_with_three_replicas_is_even_too() -> None:
    owned = ring.ownership(replicas_of(racks_of([6]), 16, 3))
    assert all(abs(share - 0.5) < 1e-9 for share in owned.values())


@given(SIZES, NUM_TOKENS)
def test_racks_of_different_sizes_are_even_inside(sizes: list[int], num_tokens: int) -> None:
    racks = racks_of(sizes)
    owned = ring.ownership(replicas_of(racks, num_tokens, len(racks)))
    for _name, pods in racks:
        assert all(abs(owned[pod] - 1 / len(pods)) < 1e-9 for pod in pods)


def test_a_node_shares_ranges_with_many_others() -> None:
    racks = racks_of([6, 6, 6])
    node = "dc1-r0-0"
    neighbours = {other for _range, nodes in replicas_of(racks, 16, 3) if node in nodes for other in nodes} - {node}
    assert len(neighbours) >= 11


# Replicas


def walk(tokens: Mapping[str, Sequence[int]], racks: Mapping[str, str], factor: int, start: int) -> tuple[str, ...]:
    """NetworkTopologyStrategy in one datacenter, step by step as Cassandra does it."""
    placed = sorted((token, node) for node, values in tokens.items() for token in values)
    turn = [item for item in placed if item[0] >= start] + [item for item in placed if item[0] < start]
    left, repeats = min(factor, len(tokens)), factor - len(set(racks.values()))
    chosen: list[str] = []
    seen: set[str] = set()
    for _token, node in turn:
        if left == 0:
            break
        if node in chosen:
            continue
        if racks[node] in seen:
            if repeats <= 0:
                continue
            repeats -= 1
        seen.add(racks[node])
        chosen.append(node)
        left -= 1
    return tuple(chosen)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[dict[str, list[int]], dict[str, str], dict[str, str]]:
    nodes = [f"n{number}" for number in range(draw(st.integers(1, 9)))]
    count = draw(st.integers(1, 4))
    every = draw(st.lists(st.integers(-50, 50), min_size=len(nodes) * count, max_size=len(nodes) * count, unique=True))
    tokens = {node: every[index * count : (index + 1) * count] for index, node in enumerate(nodes)}
    racks = {node: draw(st.sampled_from(["r1", "r2", "r3"])) for node in nodes}
    datacenters = {node: draw(st.sampled_from(["dc1", "dc2"])) for node in nodes}
    return tokens, racks, datacenters


@settings(max_examples=300)
@given(clusters(), st.integers(1, 5), st.integers(0, 3))
def test_replicas_are_those_of_a_walk_around_the_ring(
    cluster: tuple[dict[str, list[int]], dict[str, str], dict[str, str]], first: int, second: int
) -> None:
    tokens, racks, datacenters = cluster
    replication = {"class": NTS, "dc1": str(first), "dc2": str(second)}
    found = ring.replicas(tokens, racks, datacenters, replication)
    assert [end for (_start, end), _nodes in found] == sorted(itertools.chain(*tokens.values()))
    find = ring.replica_finder(tokens, racks, datacenters, replication)
    for (_start, end), nodes in found:
        expected: tuple[str, ...] = ()
        for datacenter, factor in (("dc1", first), ("dc2", second)):
            inside = {node: values for node, values in tokens.items() if datacenters[node] == datacenter}
            if inside:
                expected += walk(inside, {node: racks[node] for node in inside}, factor, end)
        assert nodes == expected
        assert find(end) == expected


@given(clusters(), st.integers(1, 5))
def test_simple_strategy_takes_the_next_nodes(
    cluster: tuple[dict[str, list[int]], dict[str, str], dict[str, str]], factor: int
) -> None:
    tokens, racks, datacenters = cluster
    found = ring.replicas(tokens, racks, datacenters, {"class": "SimpleStrategy", "replication_factor": str(factor)})
    for (_start, end), nodes in found:
        assert nodes == walk(tokens, {node: node for node in tokens}, factor, end)


@given(SIZES, NUM_TOKENS, st.integers(1, 5))
def test_ownership_sums_up_to_the_replicas(sizes: list[int], num_tokens: int, factor: int) -> None:
    owned = ring.ownership(replicas_of(racks_of(sizes), num_tokens, factor))
    assert sum(owned.values()) == pytest.approx(min(factor, sum(sizes)))


@given(st.integers(1, 5), st.integers(1, 4), NUM_TOKENS)
def test_as_many_replicas_as_racks_means_one_in_each(count: int, size: int, num_tokens: int) -> None:
    racks = racks_of([size] * count)
    nodes_rack = rack_by_node(racks)
    for _range, nodes in replicas_of(racks, num_tokens, count):
        assert {nodes_rack[node] for node in nodes} == {name for name, _pods in racks}


def test_transient_and_local_replication() -> None:
    assert ring.replication_factors({"class": NTS, "dc1": "3/1"}) == {"dc1": 3}
    assert ring.replication_factors({"class": "LocalStrategy"}) == {}
    assert ring.replicas({"a": [1]}, {"a": "r"}, {"a": "d"}, {"class": "LocalStrategy"}) == [((1, 1), ())]
    assert ring.replicas({}, {}, {}, {"class": NTS, "dc1": "3"}) == []


def test_a_thousand_nodes_take_less_than_a_second() -> None:
    racks = racks_of([334, 333, 333])
    tokens = ring.plan_tokens(racks, 16, "shop/dc1")
    nodes = rack_by_node(racks)
    for factor in (3, 5):
        began = time.process_time()
        found = ring.replicas(tokens, nodes, dict.fromkeys(nodes, "dc1"), {"class": NTS, "dc1": str(factor)})
        assert time.process_time() - began < 1
        assert len(found) == 16000


# Survival


def survival(sizes: Sequence[int], factor: int) -> ring.Survival:
    racks = racks_of(sizes)
    nodes = rack_by_node(racks)
    replication = {"class": NTS, "dc1": str(factor)}
    return ring.survives(replicas_of(racks, 4, factor), nodes, dict.fromkeys(nodes, "dc1"), replication)


@pytest.mark.parametrize(
    ("sizes", "factor", "node", "rack"),
    [
        ([2, 2, 2], 3, True, True),
        ([1, 1, 1], 3, True, True),
        ([3, 3], 3, True, False),
        ([6], 3, True, False),
        ([2, 2, 2], 2, False, False),
        ([2, 2, 2], 1, False, False),
        ([2, 2, 2], 5, True, True),
        ([1, 1], 3, False, False),
    ],
)
def test_what_a_keyspace_survives(sizes: list[int], factor: int, node: bool, rack: bool) -> None:
    assert survival(sizes, factor) == ring.Survival(node, rack)


def test_two_datacenters_survive_more_together_than_alone() -> None:
    one, two = racks_of([1, 1, 1], "dc1"), racks_of([1, 1], "dc2")
    tokens = {**ring.plan_tokens(one, 4, "shop/dc1"), **ring.plan_tokens(two, 4, "shop/dc2")}
    nodes = {**rack_by_node(one), **rack_by_node(two)}
    datacenters = {node: node.partition("-")[0] for node in nodes}
    replication = {"class": NTS, "dc1": "3", "dc2": "2"}
    ranges = ring.replicas(tokens, nodes, datacenters, replication)
    assert ring.survives(ranges, nodes, datacenters, replication) == ring.Survival(True, True)


def test_nothing_is_said_where_nothing_is_replicated() -> None:
    assert ring.survives([], {}, {}, {"class": "LocalStrategy"}) == ring.Survival(None, None)


# Who may be down together

Cluster = tuple[dict[str, list[int]], dict[str, str], dict[str, str]]
Keyspaces = dict[str, dict[str, str]]

REPLICATIONS = st.one_of(
    st.builds(lambda first, second: {"class": NTS, "dc1": str(first), "dc2": str(second)}, *[st.integers(0, 5)] * 2),
    st.builds(lambda factor: {"class": NTS, "dc1": str(factor), "dc9": "3"}, st.integers(1, 5)),
    st.builds(lambda factor: {"class": "SimpleStrategy", "replication_factor": str(factor)}, st.integers(1, 5)),
    st.just({"class": "LocalStrategy"}),
)
KEYSPACES = st.lists(REPLICATIONS, min_size=1, max_size=4).map(
    lambda found: {f"ks{number}": replication for number, replication in enumerate(found)}
)


def asked(cluster: Cluster, replication: Mapping[str, str]) -> list[tuple[str, int, list[set[str]]]]:
    """Each level that clients may ask for: its name, the replicas that the keyspace wants, those of every range."""
    tokens, racks, datacenters = cluster
    sets = [set(nodes) for _range, nodes in ring.replicas(tokens, racks, datacenters, replication)]
    factors = {name: factor for name, factor in ring.replication_factors(replication).items() if factor > 0}
    inside = {name: [{node for node in nodes if datacenters[node] == name} for nodes in sets] for name in factors}
    found = [("QUORUM", sum(factors.values()), sets)] if any(sets) else []
    if len(factors) > 1:
        found += [(f"LOCAL_QUORUM in {name}", factors[name], inside[name]) for name in factors if any(inside[name])]
    return found


def broken(cluster: Cluster, keyspaces: Keyspaces, before: set[str], after: set[str], fragile: bool) -> set[str]:
    """The levels that lose a range on the way from one set of nodes that are down to a larger one, range by range."""
    found = set()
    for keyspace, replication in keyspaces.items():
        for level, factor, sets in asked(cluster, replication):
            quorum = factor // 2 + 1
            if not all(len(nodes) - 1 >= quorum for nodes in sets):
                lost = fragile and any(nodes & after - before and len(nodes & after) > 1 for nodes in sets)
            else:
                lost = any(nodes & after - before and len(nodes - after) < quorum for nodes in sets)
            found |= {f"{keyspace} {level}"} if lost else set()
    return found


@settings(max_examples=500, deadline=None)
@given(clusters(), KEYSPACES, st.booleans(), st.data())
def test_who_may_be_down_is_what_every_range_of_every_keyspace_can_spare(
    cluster: Cluster, keyspaces: Keyspaces, fragile: bool, data: st.DataObject
) -> None:
    tokens, racks, datacenters = cluster
    rules = ring.Availability(tokens, racks, datacenters, keyspaces, fragile)
    down = data.draw(st.sets(st.sampled_from(sorted(tokens))))
    more = data.draw(st.sets(st.sampled_from(sorted(tokens)), min_size=1))
    for node in more:
        lost = broken(cluster, keyspaces, down, down | {node}, fragile)
        assert rules.allows(rules.mask(down), node) is (lost == set())
    told = {
        f"{keyspace} {each.rule.level}" for each in rules.shortfalls(down, more) for keyspace in each.rule.keyspaces
    }
    assert told == broken(cluster, keyspaces, down, down | more, fragile)


@given(clusters(), KEYSPACES)
def test_fragile_is_what_no_order_of_restarts_can_keep(cluster: Cluster, keyspaces: Keyspaces) -> None:
    tokens, racks, datacenters = cluster
    rules = ring.Availability(tokens, racks, datacenters, keyspaces)
    expected = {
        f"{keyspace} {level}"
        for keyspace, replication in keyspaces.items()
        for level, factor, sets in asked(cluster, replication)
        if any(len(nodes) - 1 < factor // 2 + 1 for nodes in sets)
    }
    assert {f"{keyspace} {rule.level}" for rule in rules.fragile for keyspace in rule.keyspaces} == expected


@given(SIZES.filter(lambda sizes: len(sizes) >= 3), NUM_TOKENS)
def test_a_rack_may_be_down_where_every_range_has_one_replica_in_each(sizes: list[int], num_tokens: int) -> None:
    racks = racks_of(sizes)
    nodes = rack_by_node(racks)
    tokens = ring.plan_tokens(racks, num_tokens, "shop/dc1")
    replication = {"class": NTS, "dc1": str(len(racks))}
    rules = ring.Availability(tokens, nodes, dict.fromkeys(nodes, "dc1"), {"shop": replication})
    for _name, pods in racks:
        assert rules.shortfalls((), pods) == []
        assert all(rules.allows(rules.mask(set(pods) - {pod}), pod) for pod in pods)


def six_nodes(*replications: dict[str, str]) -> ring.Availability:
    racks = racks_of([2, 2, 2])
    nodes = rack_by_node(racks)
    tokens = ring.plan_tokens(racks, 16, "shop/dc1")
    named = {f"ks{number}": replication for number, replication in enumerate(replications)}
    return ring.Availability(tokens, nodes, dict.fromkeys(nodes, "dc1"), named)


def test_two_racks_lose_the_quorum_of_three_replicas() -> None:
    rules = six_nodes({"class": NTS, "dc1": "3"}, {"class": NTS, "dc1": "3"})
    assert rules.fragile == []
    (lost,) = rules.shortfalls(["dc1-r0-0"], ["dc1-r1-0"])
    assert (lost.rule.keyspaces, lost.rule.level, lost.rule.quorum, lost.up) == (("ks0", "ks1"), "QUORUM", 2, 1)
    assert {"dc1-r0-0", "dc1-r1-0"} < set(lost.replicas)


def test_of_fragile_ranges_one_replica_at_a_time() -> None:
    rules = six_nodes({"class": NTS, "dc1": "2"})
    assert [rule.quorum for rule in rules.fragile] == [2]
    nodes = rack_by_node(racks_of([2, 2, 2]))
    one, other = rules.shortfalls((), nodes)[0].replicas
    assert all(rules.allows(0, node) for node in nodes)
    assert not rules.allows(rules.mask([one]), other)


def test_nodes_without_tokens_hold_nothing() -> None:
    rules = six_nodes({"class": NTS, "dc1": "3"})
    assert rules.allows(rules.mask(["stranger"]), "stranger")
    assert rules.mask(["stranger"]) == 0
    assert ring.Availability({}, {}, {}, {"shop": {"class": NTS, "dc1": "3"}}).rules == []


def test_a_datacenter_that_is_named_and_not_there_makes_a_keyspace_fragile() -> None:
    rules = six_nodes({"class": NTS, "dc1": "3"}, {"class": NTS, "dc1": "3", "dc9": "3"})
    assert [(rule.keyspaces, rule.level, rule.factor, rule.replicas) for rule in rules.fragile] == [
        (("ks1",), "QUORUM", 6, 3)
    ]


def two_datacenters(sizes: tuple[list[int], list[int]], keyspaces: Keyspaces, fragile: bool) -> ring.Availability:
    racks = [racks_of(size, name) for size, name in zip(sizes, ("dc1", "dc2"), strict=True)]
    nodes = {node: rack for each in racks for node, rack in rack_by_node(each).items()}
    tokens = {node: own for each in racks for node, own in ring.plan_tokens(each, 4, f"shop/{each[0][1][0]}").items()}
    return ring.Availability(tokens, nodes, {node: node.partition("-")[0] for node in nodes}, keyspaces, fragile)


def test_what_is_left_of_quorum_where_local_quorum_is_ignored() -> None:
    """Two replicas here and one there: no LOCAL_QUORUM can be kept, but QUORUM can."""
    rules = two_datacenters(([2], [1]), {"shop": {"class": NTS, "dc1": "2", "dc2": "1"}}, fragile=False)
    assert [rule.level for rule in rules.rules] == ["QUORUM"]
    assert rules.allows(0, "dc1-r0-0")
    assert not rules.allows(rules.mask(["dc1-r0-0"]), "dc1-r0-1")


def test_a_datacenter_that_lacks_nodes_takes_from_what_the_other_can_spare() -> None:
    replication = {"class": NTS, "dc1": "5", "dc2": "5"}
    whole = two_datacenters(([5], [5]), {"shop": replication}, fragile=True)
    assert whole.allows(whole.mask(["dc1-r0-0"]), "dc1-r0-1")
    lacking = two_datacenters(([5], [2]), {"shop": replication}, fragile=True)
    assert not lacking.allows(lacking.mask(["dc1-r0-0"]), "dc1-r0-1")


def test_keyspaces_that_ask_more_than_others_of_the_same_nodes_count_too() -> None:
    more = {"class": NTS, "dc1": "5", "dc9": "3"}
    for keyspaces in ({"a": {"class": NTS, "dc1": "5"}, "b": more}, {"a": more, "b": {"class": NTS, "dc1": "5"}}):
        rules = two_datacenters(([5], [1]), keyspaces, fragile=True)
        assert not rules.allows(rules.mask(["dc1-r0-0"]), "dc1-r0-1")
