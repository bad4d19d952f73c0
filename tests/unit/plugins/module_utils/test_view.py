# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils.view import (
    ASK_ALL_UP_TO,
    ASK_PER_RACK,
    Keyspace,
    NodeView,
    View,
    observers,
)


def names(listed: list[NodeView]) -> list[str]:
    return [node.pod for node in listed]


def test_every_running_node_of_a_small_datacenter_is_asked() -> None:
    listed = views.nodes(per_rack=4)
    assert len(listed) == ASK_ALL_UP_TO
    assert observers(listed) == list(listed)


def test_three_a_rack_of_a_large_one() -> None:
    listed = views.nodes(per_rack=5)
    asked = observers(listed)
    assert [sum(node.rack == rack for node in asked) for rack in views.RACKS] == [ASK_PER_RACK] * 3


def test_small_or_large_is_told_by_those_that_run() -> None:
    """Of fifteen nodes three are away: the twelve that run are all asked."""
    listed = [replace(node, phase="Pending") if node.ordinal == 4 else node for node in views.nodes(per_rack=5)]
    assert len(observers(listed)) == 12


def test_nodes_that_cannot_answer_are_not_asked() -> None:
    running, pending, held, absent = views.nodes(("r1",), 4)
    listed = [
        replace(running, ready=False),
        replace(pending, phase="Pending"),
        replace(held, held="why"),
        replace(absent, phase=None, uid=None),
    ]
    assert names(observers(listed)) == [running.pod]


def test_a_nodes_word_about_itself_goes_before_what_others_say() -> None:
    view = views.whole()
    for observer in ("shop-dc1-r1-0", "shop-dc1-r3-0"):
        view = views.with_endpoint(view, observer, "198.19.0.2", version="4.1.10")
    assert view.endpoints()["198.19.0.2"].version == "5.0.9"
    view = views.with_endpoint(view, "shop-dc1-r2-0", "198.19.0.2", version="5.0.8")
    assert view.endpoints()["198.19.0.2"].version == "5.0.8"


def test_members_that_only_one_observer_knows_are_merged_too() -> None:
    view = views.whole()
    seen = view.observations["shop-dc1-r2-0"]
    ghost = replace(seen.endpoints["198.19.0.1"], address="198.19.0.99")
    seen = replace(seen, endpoints={**seen.endpoints, ghost.address: ghost})
    view = replace(view, observations={**view.observations, seen.pod: seen})
    assert sorted(view.endpoints()) == ["198.19.0.1", "198.19.0.2", "198.19.0.3", "198.19.0.99"]


def test_the_endpoint_of_a_node() -> None:
    view = views.whole()
    known = view.node("shop-dc1-r1-0")
    assert known is not None
    found = view.endpoint(known)
    assert found is not None
    assert found.host_id == "host-1"
    assert view.endpoint(replace(known, address=None)) is None
    assert view.endpoint(replace(known, address="203.0.113.9")) is None
    assert view.node("no-such") is None


def test_schema_versions_are_each_nodes_own_word() -> None:
    view = views.with_endpoint(views.whole(), "shop-dc1-r1-0", "198.19.0.2", schema="an old one")
    assert view.schemas() == {views.SCHEMA: ["shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"]}


def test_who_sees_a_member_up() -> None:
    view = views.with_down(views.whole(), "shop-dc1-r1-0", "198.19.0.2")
    assert view.seen_up_by("198.19.0.2") == ["shop-dc1-r2-0", "shop-dc1-r3-0"]
    assert view.seen_up_by("203.0.113.9") == []
    assert "198.19.0.2" in view.up_somewhere
    assert view.up_somewhere == {address for address in view.endpoints() if view.seen_up_by(address)}


def test_a_view_of_nothing() -> None:
    view = View("shop", "dc1", None)
    assert (view.endpoints(), view.schemas(), observers(view.nodes)) == ({}, {}, [])


@pytest.mark.parametrize(
    ("graces", "shortest"),
    [
        ({}, 864000),
        ({"shop": None}, 864000),
        ({"shop": 432000, "games": 864000}, 432000),
        # Rows that end by TTL within the hour hold nobody back.
        ({"shop": 3600}, 864000),
        ({"shop": 0, "games": 100000}, 100000),
        ({"system_auth": 100000}, 864000),
        ({"shop": 7776000}, 7776000),
    ],
)
def test_how_long_a_node_may_be_down(graces: dict[str, int | None], shortest: int) -> None:
    keyspaces = tuple(Keyspace(name, {}, grace) for name, grace in graces.items())
    assert views.whole(keyspaces=keyspaces).gc_grace_seconds == shortest


def test_the_batch_is_asked_in_a_large_datacenter_too() -> None:
    listed = views.nodes(per_rack=5)
    last = listed[-1].pod
    asked = names(observers(listed, also=[last]))
    assert len(asked) == 3 * ASK_PER_RACK + 1
    assert last in asked
    away = [replace(node, phase="Pending") if node.pod == last else node for node in listed]
    assert last not in names(observers(away, also=[last]))


def test_a_node_is_known_by_every_address_of_its_host_id() -> None:
    """Called by its pod's address, it has a new one, or none, while the others still know the old one."""
    view = views.with_node(views.whole(), "shop-dc1-r1-0", address="198.19.0.50")
    assert view.addresses(["shop-dc1-r1-0"]) == {"198.19.0.1", "198.19.0.50"}
    view = views.with_node(view, "shop-dc1-r1-0", address=None)
    assert view.addresses(["shop-dc1-r1-0", "shop-dc1-r2-0"]) == {"198.19.0.1", "198.19.0.2"}
    assert view.addresses([]) == set()


def test_a_view_without_some_nodes() -> None:
    view = views.whole(unheard={"shop-dc1-r1-0": "silence"}, seeds=("198.19.0.1", "198.19.0.2"))
    rest = view.without(["shop-dc1-r1-0"])
    assert names(list(rest.nodes)) == ["shop-dc1-r2-0", "shop-dc1-r3-0"]
    assert sorted(rest.observations) == ["shop-dc1-r2-0", "shop-dc1-r3-0"]
    assert sorted(rest.endpoints()) == ["198.19.0.2", "198.19.0.3"]
    assert rest.seen_up_by("198.19.0.1") == []
    assert (rest.unheard, rest.seeds) == ({}, ("198.19.0.2",))
    assert view.without([], ["198.19.0.1"]) == replace(rest, unheard=view.unheard)
    assert view.without([]) == view


def test_racks_by_name() -> None:
    view = views.pending(views.whole())
    found = view.rack("r2")
    assert found is not None
    assert found.stateful_set == "shop-dc1-r2"
    assert view.rack("r9") is None


def test_the_view_of_the_whole_cluster() -> None:
    here = views.pending(views.whole(unheard={"a": "silence"}))
    far = views.nodes(racks=("r9",))
    there = View("shop", "dc2", "running", far, {"far": here.observations["shop-dc1-r1-0"]}, {"b": "silence"})
    both = here.joined([there])
    assert both.nodes == (*here.nodes, *far)
    assert set(both.observations) == {*here.observations, "far"}
    assert set(both.unheard) == {"a", "b"}
    assert (both.datacenter, both.racks, both.keyspaces) == ("dc1", here.racks, here.keyspaces)
    assert there.joined([here]).keyspaces == here.keyspaces
