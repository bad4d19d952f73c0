# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table as a whole, and what must hold whatever is seen; each row has its test beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import (
    DEFAULT,
    EMPTY,
    FIRST,
    SECOND,
    cases,
    dead,
    decided,
    short,
    with_keyspace,
)
from unit.plugins.module_utils.replacement.scenes import scenes

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import (
    ACTIONS,
    ASK,
    MOVE,
    NONE,
    REPLACE,
    WAIT,
    Decision,
    first,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import (
    AWAY,
    GONE,
    LOCAL,
    NETWORK,
    READY,
    Case,
    Settings,
    Volume,
    Worker,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.table import decide
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Endpoint, View


def test_in_a_datacenter_that_is_well_there_is_nothing_to_do() -> None:
    view = views.whole(per_rack=2)
    decisions = decide(view, cases(view), DEFAULT)
    assert [short(each) for each in decisions] == [(0, NONE)] * 6
    assert first(decisions) is None


def test_a_datacenter_that_never_ran_is_deploys_business() -> None:
    told = decided(replace(dead(views.whole(), FIRST, held=EMPTY), phase="new"))
    assert (told.action, told.advice) == (ASK, "run the playbook deploy")


def test_of_two_that_are_to_be_replaced_the_one_that_was_begun_goes_first() -> None:
    """Else the other one is refused because of it, by every run."""
    told = [Decision(f"p-{number}", 12, REPLACE, "") for number in range(3)]
    assert first(told) == told[0]
    assert first(told, "p-2") == told[2]
    moved = replace(told[1], action=MOVE)
    assert first([told[0], moved, told[2]], "p-2") == moved


@pytest.mark.parametrize("seen_up", [True, False])
def test_row_4_a_pod_that_ends_on_a_worker_that_answers_is_let_end(seen_up: bool) -> None:
    """It closes CQL and drains, for minutes perhaps; its readiness says for how long it was well."""
    facts: dict[str, Any] = {"phase": "Terminating", "ready": False, "worker": "worker1"}
    whole = views.whole()
    view = views.with_node(whole, FIRST, **facts) if seen_up else dead(whole, FIRST, **facts)
    for down in (3.0, 200.0, 864000.0):
        told = decided(view, worker=Worker("worker1", READY), down=down)
        assert (short(told), "its pod ends on worker worker1" in told.reason) == ((4, WAIT), True)
    assert short(decided(view, wanted=False)) == (9, WAIT)
    if seen_up:
        going = Volume("claim", "pv", LOCAL, going=True)
        told = decided(view, volume=going, open_plan=True, old_volume=True)
        assert (short(told), "its pod ends" in told.reason) == ((12, WAIT), True)
    # One that does not answer ends no pod.
    silent = Worker("worker1", AWAY)
    assert short(decided(view, worker=silent, down=864000.0)) == (4, ASK)
    assert short(decided(view, worker=silent, wanted=False)) == (9, ASK)


@pytest.mark.parametrize("facts", [{}, {"wanted": False}, {"open_plan": True, "old_volume": True}])
@pytest.mark.parametrize("seen_up", [True, False])
def test_row_4_a_pod_that_never_ends_on_a_worker_that_answers_is_told(seen_up: bool, facts: dict[str, Any]) -> None:
    """Such as with a disk that hangs: each run would wait for it, and none would say that it is of no use."""
    states: dict[str, Any] = {"phase": "Terminating", "ready": False, "worker": "worker1"}
    whole = views.whole()
    view = views.with_node(whole, FIRST, **states) if seen_up else dead(whole, FIRST, **states)
    told = decided(view, worker=Worker("worker1", READY), overdue=301.0, **facts)
    assert short(told) == (4, ASK)
    assert "its pod should have ended 301 s ago, and worker worker1, which answers, does not end it" in told.reason
    assert "restart worker1" in told.advice
    assert "Do not delete it by force" in told.advice
    for overdue in (-200.0, 299.0):
        patient = decided(view, worker=Worker("worker1", READY), overdue=overdue, **facts)
        assert patient.action != ASK
    # Of one that does not answer nobody knows that it could end the pod.
    silent = decided(view, worker=Worker("worker1", AWAY), overdue=301.0, **facts)
    assert "should have ended" not in silent.reason


def test_a_pod_that_is_all_that_keeps_its_volume_goes_only_when_nothing_is_lost() -> None:
    """Its claim is being deleted: whoever takes the pod off its worker gives up the volume that could follow."""
    view = dead(with_keyspace(views.whole(), "shop", dc1="3"), FIRST, phase="Terminating")
    facts: dict[str, Any] = {"worker": Worker("worker1", GONE), "volume": Volume("claim", "pv", NETWORK, going=True)}
    told = decided(view, **facts)
    assert (short(told), "its volume goes with its pod" in told.reason) == ((5, MOVE), True)
    told = decided(dead(view, SECOND, held=EMPTY), **facts)
    assert (short(told), told.at_risk) == ((16, ASK), ("shop", "system_auth"))
    told = decided(with_keyspace(view, "one", dc1="1"), **facts)
    assert (short(told), told.at_risk) == ((17, ASK), ("one",))


# --- whatever is seen -------------------------------------------------------------------------------------------------


@given(scenes())
@effort(max_examples=300, deadline=None)
def test_never_a_live_node_and_never_a_quorum_without_being_told_to(
    scene: tuple[View, list[Case], Settings],
) -> None:
    view, listed, settings = scene
    for decision in decide(view, listed, settings):
        if decision.action != REPLACE:
            continue
        node = next(node for node in view.nodes if node.pod == decision.node)
        assert not view.seen_up_by(str(node.address)), decision
        assert lost_by_hand(view, str(node.address)) <= settings.accept_loss, decision
        assert set(decision.at_risk) == lost_by_hand(view, str(node.address))


def lost_by_hand(view: View, target: str) -> set[str]:
    """Keyspaces that have a range of the target's with a quorum of its replicas dead, counted as plainly as can be."""
    ends = view.endpoints()
    up = {address for address in ends if len(view.seen_up_by(address)) == len(view.observations)} - {target}
    found = set()
    for keyspace in view.keyspaces:
        factor = int(keyspace.replication.get("dc1", "0"))
        if not factor:
            continue
        for replicas in plain_replicas(ends, factor):
            if target in replicas and len([each for each in replicas if each not in up]) >= factor // 2 + 1:
                found.add(keyspace.name)
    return found


def plain_replicas(ends: Mapping[str, Endpoint], factor: int) -> list[list[str]]:
    """NetworkTopologyStrategy by walking the ring once for each token."""
    ring = sorted((token, address) for address, item in ends.items() for token in item.tokens)
    racks = len({item.rack for item in ends.values()})
    found = []
    for place in range(len(ring)):
        chosen: list[str] = []
        repeats = factor - racks
        for _token, address in ring[place:] + ring[:place]:
            if address in chosen or len(chosen) == min(factor, len(ends)):
                continue
            if ends[address].rack in {ends[one].rack for one in chosen}:
                if repeats <= 0:
                    continue
                repeats -= 1
            chosen.append(address)
        found.append(chosen)
    return found


@given(scenes())
@effort(max_examples=200, deadline=None)
def test_every_decision_says_why_and_what_to_do(scene: tuple[View, list[Case], Settings]) -> None:
    view, listed, settings = scene
    decisions = decide(view, listed, settings)
    assert [each.node for each in decisions] == [case.node.pod for case in listed]
    for decision in decisions:
        assert decision.reason
        assert bool(decision.advice) == (decision.action == ASK)
        assert decision.acts == (decision.action in ACTIONS)
        assert 0 <= decision.row <= 20
    assert decide(view, listed, settings) == decisions
