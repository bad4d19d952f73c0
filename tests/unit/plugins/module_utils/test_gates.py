# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils import gates
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import View

FIRST, SECOND, THIRD = "shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"
GATES = (
    gates.running,
    gates.heard,
    gates.up_in_every_view,
    gates.normal,
    gates.one_schema,
    gates.no_strangers,
)


@pytest.mark.parametrize("gate", GATES)
def test_a_datacenter_that_is_well_passes_each_gate(gate: Callable[[View], list[str]]) -> None:
    assert gate(views.whole()) == []
    assert gate(views.whole(per_rack=3)) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"held": "the volume is empty", "ready": False}, f"{SECOND} is held: the volume is empty"),
        ({"held": "", "ready": False}, f"{SECOND} is held: "),
        ({"phase": None, "uid": None, "ready": False}, f"{SECOND} does not run: it has no pod"),
        ({"phase": "Pending", "ready": False}, f"{SECOND} does not run: Pending"),
        (
            {"phase": "Pending", "ready": False, "reason": "it cannot be scheduled: no room"},
            f"{SECOND} does not run: it cannot be scheduled: no room",
        ),
        ({"ready": False}, f"{SECOND} is not ready: Cassandra does not serve clients yet"),
        ({"ready": False, "reason": "its worker is gone"}, f"{SECOND} is not ready: its worker is gone"),
    ],
)
def test_g1_running(changes: dict[str, object], reason: str) -> None:
    assert gates.running(views.with_node(views.whole(), SECOND, **changes)) == [reason]


def test_g2_everybody_asked_answers() -> None:
    view = views.whole(unheard={THIRD: "nothing listens", FIRST: "the login is refused"})
    assert gates.heard(view) == [
        f"{FIRST} cannot be asked for its view: the login is refused",
        f"{THIRD} cannot be asked for its view: nothing listens",
    ]


def test_g2_one_observer_that_sees_a_node_down_is_enough() -> None:
    """Where a network is cut in one direction only some see it; `nodetool status` on another node shows nothing."""
    view = views.with_down(views.whole(), THIRD, "198.19.0.1")
    assert gates.up_in_every_view(view) == [f"{THIRD} sees {FIRST} down"]


def test_g2_a_member_whose_state_is_not_known_is_not_up() -> None:
    view = views.whole()
    seen = view.observations[THIRD]
    alive = {address: state for address, state in seen.alive.items() if address != "198.19.0.1"}
    view = replace(view, observations={**view.observations, THIRD: replace(seen, alive=alive)})
    assert gates.up_in_every_view(view) == [f"{THIRD} sees {FIRST} down"]


def test_g2_a_node_that_somebody_does_not_know() -> None:
    view = views.whole()
    seen = view.observations[SECOND]
    members = {address: item for address, item in seen.endpoints.items() if address != "198.19.0.3"}
    view = replace(view, observations={**view.observations, SECOND: replace(seen, endpoints=members)})
    assert gates.up_in_every_view(view) == [f"{SECOND} does not know {THIRD} (198.19.0.3)"]


def test_g2_without_an_address_or_an_observer_nothing_is_proved() -> None:
    assert gates.up_in_every_view(views.whole(observations={})) == ["no node could be asked for its view"]
    view = views.with_node(views.whole(), FIRST, address=None)
    assert gates.up_in_every_view(view) == [f"{FIRST} has no address yet"]


@pytest.mark.parametrize("status", ["BOOT", "BOOT_REPLACE", "LEAVING", "MOVING", "shutdown", "hibernate"])
def test_g3_members_that_are_not_normal(status: str) -> None:
    view = views.with_endpoint(views.whole(), FIRST, "198.19.0.2", status=status)
    assert gates.normal(view) == [f"{FIRST} sees {SECOND} as {status}, needed NORMAL"]


def test_g3_without_gossip_by_cql_tokens_tell() -> None:
    """Cassandra 4.0 has no table of gossip; a member without tokens has not joined."""
    view = views.with_endpoint(views.whole(), FIRST, "198.19.0.2", status=None)
    assert gates.normal(view) == []
    view = views.with_endpoint(view, FIRST, "198.19.0.2", status=None, tokens=())
    assert gates.normal(view) == [f"{FIRST} knows no tokens of {SECOND}"]


def test_g5_a_node_that_has_not_finished_joining() -> None:
    view = views.whole()
    seen = replace(view.observations[THIRD], bootstrapped=False)
    assert gates.normal(replace(view, observations={**view.observations, THIRD: seen})) == [
        f"{THIRD} has not finished joining"
    ]


def test_g4_two_schema_versions_are_told_with_who_holds_which() -> None:
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.3", schema="other")
    (reason,) = gates.one_schema(view)
    assert reason.startswith("2 schema versions (")
    assert f"{views.SCHEMA}: {FIRST}, {SECOND}" in reason
    assert f"other: {THIRD}" in reason


def test_g12_a_ghost_is_told_and_other_datacenters_are_none() -> None:
    view = views.whole()
    seen = view.observations[FIRST]
    ghost = replace(seen.endpoints["198.19.0.2"], address="198.19.0.99", host_id="ghost")
    neighbour = replace(ghost, address="198.19.7.1", datacenter="dc2")
    members = {**seen.endpoints, ghost.address: ghost, neighbour.address: neighbour}
    view = replace(view, observations={**view.observations, FIRST: replace(seen, endpoints=members)})
    assert gates.no_strangers(view) == ["198.19.0.99 is a member of the ring but none of this datacenter's nodes"]


def test_whole_tells_all_reasons_at_once() -> None:
    view = views.with_node(views.whole(unheard={THIRD: "silence"}), FIRST, ready=False)
    view = views.with_down(view, SECOND, "198.19.0.1")
    view = views.with_endpoint(view, SECOND, "198.19.0.3", status="LEAVING")
    view = views.with_endpoint(view, THIRD, "198.19.0.3", schema="other")
    told = gates.whole(view)
    assert [reason.split()[0] for reason in told] == [FIRST, THIRD, SECOND, SECOND, "2"]
    assert gates.whole(views.whole()) == []


def test_names_of_addresses() -> None:
    assert gates.named(views.whole(), "198.19.0.3") == THIRD
    assert gates.named(views.whole(), "203.0.113.1") == "203.0.113.1"
