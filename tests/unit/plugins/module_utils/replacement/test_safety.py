# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What speaks against giving up a volume, in one datacenter and in several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import (
    DEFAULT,
    EMPTY,
    FIRST,
    FOURTH,
    NTS,
    SECOND,
    THIRD,
    address_of,
    cases,
    dead,
    decided,
    short,
    stranger,
    with_modes,
)

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import (
    ASK,
    MOVE,
    REPLACE,
    WAIT,
    first,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import (
    GONE,
    LOCAL,
    Settings,
    Volume,
    Worker,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.table import decide
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Keyspace, Observation, View


def test_row_14_a_seed_is_replaced_and_it_is_said() -> None:
    view = dead(views.whole(), FIRST, held=EMPTY)
    told = decided(replace(view, seeds=(address_of(view, FIRST), address_of(view, SECOND))))
    assert (short(told), "it is a seed" in told.reason) == ((6, REPLACE), True)


def test_row_15_two_of_one_rack_are_replaced_one_after_the_other() -> None:
    view = dead(views.whole(per_rack=2), FIRST, FOURTH, held=EMPTY)
    decisions = {each.node: each for each in decide(view, cases(view), DEFAULT)}
    assert [short(decisions[pod]) for pod in (FIRST, FOURTH)] == [(6, REPLACE)] * 2
    assert f"{FOURTH} is dead too, and no quorum is lost with it" in decisions[FIRST].reason
    chosen = first(decisions.values())
    assert chosen is not None
    assert chosen.node == FIRST


def test_row_18_nobody_is_left_to_ask() -> None:
    view = dead(views.whole(), FIRST, SECOND, THIRD, held=EMPTY)
    told = decided(view)
    assert short(told) == (18, ASK)
    assert "restore the datacenter from a backup" in told.advice


def test_row_18_nodes_that_serve_and_let_nobody_in_are_not_lost() -> None:
    """Nobody must be sent to a backup because of a password."""
    view = views.with_node(views.whole(), FIRST, ready=False, held=EMPTY)
    refused = dict.fromkeys((SECOND, THIRD), "provided username and/or password are incorrect")
    view = replace(view, observations={}, unheard=refused)
    told = decided(view)
    assert (short(told), "no node can be asked: provided username" in told.reason) == ((18, ASK), True)
    assert "backup" not in told.advice
    assert "the superuser's Secret" in told.advice
    told = decided(view, SECOND)
    assert (short(told), "ready, and no node can be asked: provided" in told.reason) == ((4, WAIT), True)


def test_a_datacenter_of_one_node_has_nobody_to_stream_from() -> None:
    assert short(decided(dead(views.whole(racks=["r1"]), FIRST, held=EMPTY))) == (18, ASK)


def test_row_20_not_in_the_middle_of_an_upgrade() -> None:
    view = dead(views.whole(), FIRST, held=EMPTY)
    for observer in view.observations:
        view = views.with_endpoint(view, observer, address_of(view, SECOND), version="4.1.10")
    told = decided(view)
    assert (short(told), "finish the upgrade" in told.advice) == ((20, ASK), True)
    assert f"rollout_without={FIRST}" in told.advice
    # What needs no streaming is done all the same.
    view = views.with_node(view, FIRST, held=None, phase="Terminating")
    assert short(decided(view, worker=Worker("worker1", GONE))) == (6, MOVE)


def test_row_20_what_the_dead_node_runs_counts_too() -> None:
    """The canary of an upgrade is dead: it cannot stream from the others until it is at their line again."""
    view = dead(views.whole(), FIRST, held=EMPTY, version="4.1.10")
    told = decided(view)
    assert short(told) == (20, ASK)
    assert "it would start with Cassandra 4.1.10, and the others run 5.0" in told.reason
    patch = views.with_node(view, FIRST, version="5.0.8")
    assert short(decided(patch)) == (6, REPLACE)


@pytest.mark.parametrize(
    ("modes", "told"),
    [
        (("UPGRADING", "UPGRADING", "CASSANDRA_4"), "the members run with different formats"),
        (("CASSANDRA_4", "UPGRADING", "UPGRADING"), "it would start with storage_compatibility_mode CASSANDRA_4"),
        (("UPGRADING", "CASSANDRA_4", "CASSANDRA_4"), "and the others run with CASSANDRA_4: nothing can be streamed"),
    ],
)
def test_row_20_not_between_two_kinds_of_formats(modes: tuple[str, ...], told: str) -> None:
    decision = decided(with_modes(dead(views.whole(), FIRST, held=EMPTY), *modes))
    assert short(decision) == (20, ASK)
    assert told in decision.reason
    assert f"playbook upgrade with -e rollout_without={FIRST}. There is no way back" in decision.advice
    assert "rollback" not in decision.advice


@pytest.mark.parametrize(
    "modes",
    [
        ("UPGRADING", "NONE", "NONE"),
        ("CASSANDRA_4",) * 3,
        ("4.x", "UPGRADING", "NONE"),
        ("4.x", "CASSANDRA_4", "CASSANDRA_4"),
    ],
)
def test_row_20_is_not_for_formats_of_one_kind(modes: tuple[str, ...]) -> None:
    assert short(decided(with_modes(dead(views.whole(), FIRST, held=EMPTY), *modes))) == (6, REPLACE)


def test_row_20_is_not_for_a_pod_whose_next_one_is_of_the_new_revision() -> None:
    """It hangs on a worker that is off, and the step was finished without it."""
    view = with_modes(dead(views.whole(), FIRST, phase="Terminating"), "CASSANDRA_4", "UPGRADING", "UPGRADING")
    facts: dict[str, Any] = {"worker": Worker("worker1", GONE), "volume": Volume("claim", "pv", LOCAL, going=True)}
    assert short(decided(view, **facts)) == (20, ASK)
    view = replace(view, racks=views.racks_of(view.nodes))
    assert short(decided(view, **facts)) == (20, ASK)
    freed = replace(view, racks=tuple(replace(rack, partition=0) for rack in view.racks))
    assert short(decided(freed, **facts)) == (6, MOVE)


# --- gates ------------------------------------------------------------------------------------------------------------


def spoiled(view: View) -> dict[str, View]:
    second, third = address_of(view, SECOND), address_of(view, THIRD)
    return {
        "sees": views.with_down(view, SECOND, third),
        "schema versions": views.with_endpoint(view, SECOND, second, schema="another"),
        "MOVING": views.with_endpoint(view, SECOND, third, status="MOVING"),
        "cannot be asked": replace(view, unheard={THIRD: "nothing listens"}),
        "another host id": views.with_endpoint(view, SECOND, address_of(view, FIRST), host_id="other"),
        "other tokens": views.with_endpoint(view, SECOND, address_of(view, FIRST), tokens=(7,)),
        "keyspaces could not be read": replace(view, keyspaces=()),
    }


@pytest.mark.parametrize("words", list(spoiled(views.whole())))
def test_nothing_is_replaced_while_the_living_are_not_well(words: str) -> None:
    told = decided(spoiled(dead(views.whole(), FIRST, held=EMPTY))[words])
    assert told.action in (WAIT, ASK), told
    assert words in told.reason


@pytest.mark.parametrize("status", ["removing", "LEAVING"])
def test_nothing_is_replaced_while_a_dead_member_is_being_removed(status: str) -> None:
    """Cassandra refuses the new node (C(consistent.rangemovement)): the volume would be given up for nothing."""
    view = stranger(dead(views.whole(), FIRST, held=EMPTY))
    assert decided(view).action == REPLACE
    told = decided(stranger(view, status=status))
    assert (told.action, f"sees 198.19.9.9 as {status}, needed NORMAL" in told.reason) == (WAIT, True)


def test_who_does_not_know_the_dead_one_cannot_give_it_its_tokens() -> None:
    view = dead(views.whole(), FIRST, held=EMPTY)
    seen = view.observations[SECOND]
    members = {key: item for key, item in seen.endpoints.items() if key != address_of(view, FIRST)}
    view = replace(view, observations={**view.observations, SECOND: replace(seen, endpoints=members)})
    told = decided(view)
    assert (told.action, f"{SECOND} does not know {FIRST}" in told.reason) == (WAIT, True)


# --- several datacenters ----------------------------------------------------------------------------------------------


def two_datacenters() -> tuple[View, View]:
    """One cluster: everybody knows everybody."""
    one = views.whole()
    other_nodes = tuple(
        replace(node, pod=node.pod.replace("dc1", "dc2"), address=str(node.address).replace(".0.", ".1."))
        for node in one.nodes
    )
    other_nodes = tuple(replace(node, host_id=f"{node.host_id}-dc2") for node in other_nodes)
    members = {**views.endpoints(one.nodes), **views.endpoints(other_nodes, datacenter="dc2")}
    keyspaces = (Keyspace("shop", {"class": NTS, "dc1": "3", "dc2": "3"}),)

    def seen(name: str, nodes: Sequence[Any]) -> View:
        told = {node.pod: views.observation(node, members) for node in nodes}
        return replace(one, datacenter=name, nodes=tuple(nodes), observations=told, keyspaces=keyspaces)

    return seen("dc1", one.nodes), seen("dc2", other_nodes)


def dead_for_all(pair: Sequence[View], *pods: str, **changes: Any) -> tuple[View, ...]:
    addresses = {pod: address_of(view, pod) for view in pair for pod in pods if view.node(pod)}
    found = []
    for view in pair:
        spoilt = dead(view, *[pod for pod in pods if view.node(pod)], **changes)
        for observer in spoilt.observations:
            for address in addresses.values():
                spoilt = views.with_down(spoilt, observer, address)
        found.append(spoilt)
    return tuple(found)


def test_another_datacenters_view_counts_too() -> None:
    one, other = dead_for_all(two_datacenters(), FIRST, held=EMPTY)
    assert short(decide(one, cases(one), DEFAULT, peers=[other])[0]) == (6, REPLACE)
    alive = replace(
        other,
        observations={
            pod: replace(seen, alive={**seen.alive, address_of(one, FIRST): True})
            for pod, seen in other.observations.items()
        },
    )
    assert decide(one, cases(one), DEFAULT, peers=[alive])[0].action == WAIT


def test_a_node_that_could_not_join_another_datacenter_is_not_waited_for() -> None:
    """It waits for the dead one itself: Cassandra lets nobody join while a member is dead."""
    new = "shop-dc2-r1-0"
    one, other = dead_for_all(two_datacenters(), FIRST, held=EMPTY)
    lacking = views.with_node(other, new, host_id=None, ready=False, phase="Crashed", address="198.19.1.99")
    lacking = replace(lacking, observations={pod: seen for pod, seen in other.observations.items() if pod != new})
    gone = address_of(other, new)
    pair = [replace(each, observations=without(each, gone)) for each in (one, lacking)]
    assert short(decide(pair[0], cases(pair[0]), DEFAULT, peers=[pair[1]])[0]) == (6, REPLACE)


def test_row_20_is_for_formats_of_another_datacenter_too() -> None:
    one, other = dead_for_all(two_datacenters(), FIRST, held=EMPTY)
    one = replace(one, nodes=tuple(replace(node, storage_mode="NONE") for node in one.nodes))
    for mode, expected in (("NONE", (6, REPLACE)), ("CASSANDRA_4", (20, ASK))):
        there = replace(other, nodes=tuple(replace(node, storage_mode=mode) for node in other.nodes))
        assert short(decide(one, cases(one), DEFAULT, peers=[there])[0]) == expected


def without(view: View, address: str) -> dict[str, Observation]:
    """What the observers tell, as if nobody knew that address."""
    return {
        pod: replace(
            seen,
            endpoints={at: item for at, item in seen.endpoints.items() if at != address},
            alive={at: up for at, up in seen.alive.items() if at != address},
        )
        for pod, seen in view.observations.items()
    }


def test_a_whole_datacenter_streams_from_another() -> None:
    """LOCAL_QUORUM there is lost, so it must be accepted; the rows are in the other one."""
    one, other = dead_for_all(two_datacenters(), FIRST, SECOND, THIRD, held=EMPTY)
    told = decide(one, cases(one), DEFAULT, peers=[other])[0]
    assert (short(told), told.at_risk) == ((16, ASK), ("shop",))
    accepting = Settings(accept_loss=frozenset({"shop"}))
    assert decide(one, cases(one), accepting, peers=[other])[0].action == REPLACE
