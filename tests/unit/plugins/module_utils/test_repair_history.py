# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cassops.kubernetes.plugins.module_utils import repair_history, ring
from ansible_collections.cassops.kubernetes.plugins.module_utils.repair_history import Repair, Share
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Endpoint, Keyspace

THREE = {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": "3"}
FULL = {"incremental": "false", "primaryRange": "true", "dataCenters": "", "hosts": "", "previewKind": "NONE"}

SPANS = st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), max_size=12)


def member(address: str, *tokens: int, datacenter: str = "dc1") -> Endpoint:
    return Endpoint(address, f"id-{address}", datacenter, "r1", "5.0.9", "s", tokens)


def ring_of(*members: Endpoint) -> dict[str, Endpoint]:
    return {item.address: item for item in members}


MEMBERS = ring_of(member("a", -50, 20), member("b", -10), member("c", 40))
SHOP = Keyspace("shop", THREE)


def row(**changes: Any) -> dict[str, Any]:
    return {
        "keyspace_name": "shop",
        "columnfamily_names": {"orders", "items"},
        "successful_ranges": {"(-50,-10]"},
        "started_at": datetime.fromisoformat("2026-11-25T03:14:00"),
        "options": FULL,
        **changes,
    }


# --- the record -------------------------------------------------------------------------------------------------------


def test_a_full_repair_counts_from_its_beginning() -> None:
    (found,) = repair_history.repairs([row()])
    assert (found.keyspace, found.tables) == ("shop", {"orders", "items"})
    assert found.ranges == ((-50, -10),)
    assert found.began == 1795576440.0


@pytest.mark.parametrize(
    "options",
    [
        {"incremental": "true"},
        {"dataCenters": "dc1"},
        {"hosts": "198.18.0.1,198.18.0.2"},
        {"forceRepair": "true"},
        {"previewKind": "ALL"},
        {"paxosOnly": "true"},
    ],
)
def test_one_that_compared_less_does_not(options: dict[str, str]) -> None:
    assert repair_history.repairs([row(options={**FULL, **options})]) == []


@pytest.mark.parametrize("changes", [{"successful_ranges": None}, {"options": None}, {"started_at": None}])
def test_one_that_did_not_end_well_does_not(changes: dict[str, Any]) -> None:
    assert repair_history.repairs([row(**changes)]) == []


# --- shares -----------------------------------------------------------------------------------------------------------


def test_a_node_repairs_up_to_its_tokens() -> None:
    assert repair_history.primary_ranges(MEMBERS, THREE) == {
        "a": ((-10, 20), (40, -50)),
        "b": ((-50, -10),),
        "c": ((20, 40),),
    }


def test_tokens_of_a_datacenter_without_replicas_are_the_next_ones() -> None:
    members = {**MEMBERS, **ring_of(member("x", -60, 30, 90, datacenter="dc2"))}
    assert repair_history.primary_ranges(members, THREE) == {
        "a": ((-60, -50), (-10, 20), (40, 90), (90, -60)),
        "b": ((-50, -10),),
        "c": ((20, 30), (30, 40)),
    }
    both = {**THREE, "dc2": "1"}
    assert repair_history.primary_ranges(members, both)["x"] == ((20, 30), (40, 90), (90, -60))


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=4, max_size=40, unique=True), st.booleans())
def test_the_shares_are_the_ring_each_part_once_and_held_there(tokens: list[int], far: bool) -> None:
    members = {
        name: member(name, *tokens[number::4], datacenter="dc2" if far and number == 3 else "dc1")
        for number, name in enumerate("abcd")
    }
    found = repair_history.primary_ranges(members, THREE)
    spans = sorted(span for ranges in found.values() for span in ranges)
    holders = ring.replicas(
        {name: item.tokens for name, item in members.items()},
        dict.fromkeys(members, "r1"),
        {name: item.datacenter for name, item in members.items()},
        THREE,
    )
    assert spans == sorted(span for span, _nodes in holders)
    first = {span: nodes[0] for span, nodes in holders}
    assert all(first[span] == name for name, ranges in found.items() for span in ranges)


# --- what is due ------------------------------------------------------------------------------------------------------


def shares(*done: Repair, tables: tuple[str, ...] = ("orders",)) -> dict[str, float | None]:
    found = repair_history.shares(MEMBERS, [SHOP], {"shop": tables}, done)
    return {each.node: each.last for each in found}


def repaired(*ranges: ring.Range, at: float, tables: tuple[str, ...] = ("orders",)) -> Repair:
    return Repair("shop", frozenset(tables), ranges, at)


def test_the_oldest_part_counts() -> None:
    done = (repaired((-10, 20), at=5.0), repaired((40, -50), (-50, -10), at=9.0), repaired((-50, -10), at=7.0))
    assert shares(*done) == {"a": 5.0, "b": 9.0, "c": None}


def test_a_part_that_is_not_on_record_makes_it_unknown() -> None:
    assert shares(repaired((-10, 20), at=5.0))["a"] is None


def test_all_tables_have_to_be_in_it() -> None:
    done = repaired((-50, -10), at=5.0)
    assert shares(done, tables=("orders", "items"))["b"] is None
    assert shares(repaired((-50, -10), at=5.0, tables=("orders", "gone")))["b"] == 5.0


def test_what_was_larger_when_it_was_repaired_counts() -> None:
    """A node that joined has split the ranges; the last of the ring wraps around."""
    assert shares(repaired((-60, 0), at=5.0))["b"] == 5.0
    assert shares(repaired((-40, 0), at=5.0))["b"] is None
    assert shares(repaired((30, 20), at=5.0)) == {"a": 5.0, "b": 5.0, "c": None}
    assert shares(repaired((7, 7), at=5.0)) == {"a": None, "b": 5.0, "c": 5.0}


def test_what_has_grown_since_counts_by_its_pieces_where_that_is_asked_for() -> None:
    """A node that was at -30 has left, and one beyond the end of the ring."""
    done = (repaired((-50, -30), at=5.0), repaired((-40, 0), (-30, -20), at=9.0), repaired((-20, -10), at=7.0))
    assert shares(*done)["b"] is None

    def pieces(*done: Repair) -> dict[str, float | None]:
        found = repair_history.shares(MEMBERS, [SHOP], {"shop": ("orders",)}, done, in_pieces=True)
        return {each.node: each.last for each in found}

    assert pieces(*done)["b"] == 5.0
    assert pieces(done[0], done[2])["b"] is None
    assert pieces(repaired((-10, 0), (0, 20), (40, 60), (60, -50), at=3.0)) == {"a": 3.0, "b": None, "c": None}
    newer = repaired((-50, -30), (-30, -10), at=9.0)
    assert pieces(repaired((-50, -10), at=1.0), newer)["b"] == 9.0
    assert pieces(repaired((-50, -20), at=1.0), newer)["b"] == 9.0
    assert pieces(repaired((-10, -10), at=3.0)) == {"a": 3.0, "b": 3.0, "c": 3.0}


@given(SPANS, st.tuples(st.integers(-40, 40), st.integers(-40, 40)))
def test_pieces_that_follow_one_another_are_all_of_a_range(recorded: list[ring.Range], span: ring.Range) -> None:
    done = repair_history._Repaired([repaired(*recorded, at=5.0)] if recorded else [])
    whole = repair_history._Repaired([repaired(*recorded, span, at=5.0)])
    assert whole.in_pieces(span) == 5.0
    if done.in_pieces(span) is None:
        assert done.covered(span) is None


def test_without_a_second_replica_there_is_nothing_to_compare() -> None:
    one = Keyspace("one", {"class": "SimpleStrategy", "replication_factor": "1"})
    empty = Keyspace("empty", THREE)
    assert repair_history.shares(MEMBERS, [one, empty], {"one": ["t"]}, []) == []
    alone = ring_of(member("a", 1))
    assert repair_history.shares(alone, [SHOP], {"shop": ["t"]}, []) == []


def test_what_is_oldest_is_due_first() -> None:
    found = [Share("shop", node, (), last) for node, last in (("a", 5.0), ("b", None), ("c", 3.0), ("d", 8.0))]
    assert [each.node for each in repair_history.due(found, 8.0)] == ["b", "c", "a"]
    assert repair_history.oldest(found) == {"shop": None}
    assert repair_history.oldest([each for each in found if each.last]) == {"shop": 3.0}


@given(SPANS, st.tuples(st.integers(-40, 40), st.integers(-40, 40)))
def test_a_range_is_covered_by_any_that_holds_all_of_it(recorded: list[ring.Range], span: ring.Range) -> None:
    """As it would be found by looking at each of them."""
    moments = {other: float(number) for number, other in enumerate(recorded)}
    done = [repaired(other, at=moment) for other, moment in moments.items()]
    holding = [
        moment
        for other, moment in moments.items()
        if other == span or (span[0] - other[0]) % ring.RING + ring.width(span) <= ring.width(other)
    ]
    wanted = moments.get(span, max(holding, default=None))
    assert repair_history._Repaired(done).covered(span) == wanted


# --- single nodes -----------------------------------------------------------------------------------------------------


def test_a_node_has_replicas_of_more_than_its_own_ranges() -> None:
    two = {**THREE, "dc1": "2"}
    members = ring_of(*(replace(item, rack=item.address) for item in MEMBERS.values()))
    assert repair_history.replica_ranges(members, two) == {
        "a": ((40, -50), (-50, -10), (-10, 20), (20, 40)),
        "b": ((40, -50), (-50, -10)),
        "c": ((-10, 20), (20, 40)),
    }


@pytest.mark.parametrize(
    ("tables", "spans", "since", "told"),
    [
        ({"orders"}, ((-50, -10),), 9.0, True),
        ({"orders"}, ((-50, -10),), 10.0, False),
        ({"orders", "items"}, ((-50, -10),), 9.0, False),
        ({"orders"}, ((-50, -10), (-10, 20)), 9.0, True),
        ({"orders"}, ((-50, -10), (-10, 20)), 10.0, False),
        ({"orders"}, ((-50, -10), (20, 40)), 9.0, False),
        ({"orders"}, (), 9.0, False),
        ((), ((-50, -10),), 9.0, False),
    ],
)
def test_what_was_compared_since(
    tables: Collection[str], spans: Collection[ring.Range], since: float, told: bool
) -> None:
    done = [
        Repair("shop", frozenset({"orders"}), ((-50, -10),), 10.0),
        Repair("shop", frozenset({"orders", "items"}), ((-10, 20),), 20.0),
        Repair("other", frozenset({"orders"}), ((20, 40),), 20.0),
    ]
    assert repair_history.compared("shop", tables, spans, done, since) is told


# --- what is late -----------------------------------------------------------------------------------------------------

DAY = 86400.0


def test_what_is_late_for_the_same_time_stands_together() -> None:
    keyspaces = [Keyspace(name, THREE, grace) for name, grace in (("a", 864000), ("b", 864000), ("c", 172800))]
    ranges = ((-50, -10),)
    found = [Share(name, "x", ranges, 0.0) for name in ("c", "b", "a")] + [Share("b", "y", ranges, DAY)]
    told = [each["problem"] for each in repair_history.problems(found, keyspaces, 8 * DAY)]
    assert told == [
        "keyspaces a, b: some of it was last repaired 8d0h ago, needed within 7d12h, for gc_grace_seconds of 10d0h",
        "keyspace c: some of it was last repaired 8d0h ago, needed within 1d12h, for gc_grace_seconds of 2d0h",
    ]


def test_tables_that_an_upgrade_has_brought_are_not_late() -> None:
    """5.0 has some more in system_auth. Cassandra does not tell when its own tables were made."""
    auth = Keyspace("system_auth", THREE, 90 * 86400)
    ranges = tuple(span for each in repair_history.primary_ranges(MEMBERS, THREE).values() for span in each)
    done = Repair("system_auth", frozenset({"roles"}), ranges, 50 * DAY)
    since = {"system_auth": {"roles": DAY, "cidr_groups": DAY}}
    assert repair_history.late(MEMBERS, [auth], since, [done], 60 * DAY) == []
    assert repair_history.late(MEMBERS, [auth], since, [done], 81 * DAY)
    assert repair_history.late(MEMBERS, [auth], since, [], 60 * DAY)


def test_more_than_is_on_record_is_not_asked_for() -> None:
    auth = Keyspace("system_auth", THREE, 90 * 86400)
    assert repair_history.alarms([auth, SHOP, replace(SHOP, gc_grace_seconds=3600)]) == {"system_auth": 30 * DAY}
