# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that have never joined."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import (
    DEFAULT,
    EMPTY,
    FAILED,
    FIRST,
    FOURTH,
    NO_PLACE,
    SECOND,
    THIRD,
    address_of,
    cases,
    dead,
    decided,
    joiner,
    newcomer,
    short,
    with_member,
)

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import (
    ASK,
    BOOTSTRAP,
    MOVE,
    REPLACE,
    STOP,
    WAIT,
    first,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import (
    AWAY,
    GONE,
    LOCAL,
    Settings,
    Volume,
    Worker,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.table import decide


def test_row_13_a_node_that_never_joined_joins_anew() -> None:
    words = "Discovered existing bootstrap data and cassandra.reset_bootstrap_progress is not configured"
    assert short(decided(newcomer(phase="Crashed", restarts=2), last_words=words)) == (13, BOOTSTRAP)
    assert short(decided(newcomer(phase="Crashed", restarts=2))) == (13, WAIT)
    assert short(decided(newcomer(phase="Crashed", restarts=3, backing_off=True))) == (13, ASK)
    assert short(decided(newcomer(phase="Running"))) == (13, WAIT)
    assert short(decided(newcomer(held="the ledger has no address for this node yet"))) == (13, ASK)


def test_row_13_whether_it_has_joined_somebody_has_to_tell() -> None:
    """A run that was killed between a join and the ledger leaves a member that the ledger does not know."""
    words = "Discovered existing bootstrap data and cassandra.reset_bootstrap_progress is not configured"
    crashed = dead(newcomer(phase="Crashed", restarts=2), SECOND, THIRD, phase="Running")
    told = decided(crashed, last_words=words)
    assert (short(told), "no living node could be asked" in told.reason) == ((13, WAIT), True)
    stranded = newcomer(phase="Pending", worker=None, reason=NO_PLACE)
    stranded = dead(stranded, SECOND, THIRD, phase="Running")
    told = decided(stranded, worker=Worker("w1", GONE), volume=Volume("claim", "pv", LOCAL))
    assert short(told) == (13, WAIT)


def test_row_13_it_may_be_a_member_that_no_node_is() -> None:
    """With addresses of pods, one without a pod is nobody's, and the ring may know it well."""
    whole = views.whole()
    stranded = newcomer(phase="Pending", worker=None, reason=NO_PLACE, address=None)
    gone, local = Worker("w1", GONE), Volume("claim", "pv", LOCAL)
    assert short(decided(stranded, worker=gone, volume=local)) == (13, BOOTSTRAP)
    for observer in stranded.observations:
        member = replace(whole.endpoints()[address_of(whole, FIRST)], address="198.18.9.9", host_id="unknown")
        stranded = with_member(stranded, observer, member)
    told = decided(stranded, worker=gone, volume=local)
    assert (short(told), "may have joined as 198.18.9.9" in told.reason) == ((13, ASK), True)


@pytest.mark.parametrize(("known", "action"), [(False, REPLACE), (True, WAIT)])
def test_row_13_a_node_that_could_not_join_and_a_dead_one_do_not_wait_for_each_other(known: bool, action: str) -> None:
    """Nobody can join while a member is dead. One that is at it is waited for: gossip forgets it when it fails."""
    view = dead(newcomer(phase="Crashed"), SECOND, held=EMPTY)
    if known:
        for observer in view.observations:
            joins = replace(view.endpoints()[address_of(view, THIRD)], tokens=(), status="BOOT", host_id="new")
            view = with_member(view, observer, replace(joins, address=address_of(view, FIRST)))
    assert decided(view, SECOND).action == action


def test_row_13_a_node_that_gave_up_joining_is_for_scale_at_once() -> None:
    """Cassandra goes on without the data, and waits for somebody to notice."""
    assert short(decided(joiner())) == (1, WAIT)
    told = decided(joiner(), streams_failed=FAILED)
    assert short(told) == (13, ASK)
    assert f"it could not stream all of its data, and goes on without joining: {FAILED}" in told.reason
    assert told.advice == "run the playbook scale, which begins its join again"
    # One that nobody hears of any more.
    assert short(decided(newcomer(phase="Running"), streams_failed=FAILED)) == (13, ASK)


def test_row_13_a_node_that_gave_up_joining_does_not_keep_a_dead_one_from_being_replaced() -> None:
    """Cassandra refuses a replacement beside a node that joins: first that one ends, and then gossip forgets it."""
    view = dead(joiner(), SECOND, held=EMPTY)
    told = decided(view, streams_failed=FAILED)
    assert short(told) == (13, STOP)
    assert f"nobody can be replaced beside a node that joins, and {SECOND} is dead: its pod is ended" in told.reason
    assert told.reason.endswith("; when all others are well, the playbook scale begins its join again")
    facts = {FIRST: {"streams_failed": FAILED}}
    decisions = {each.node: each for each in decide(view, cases(view, facts), DEFAULT)}
    first_of_all = f"but first: the playbook heal ends {FIRST}, which gave up joining (and "
    assert (short(decisions[SECOND]), first_of_all in decisions[SECOND].reason) == ((6, WAIT), True)
    step = first(decisions.values())
    assert step is not None
    assert step.node == FIRST
    stopped = dead(newcomer(phase=None, uid=None), SECOND, held=EMPTY)
    decisions = {each.node: each for each in decide(stopped, cases(stopped, {FIRST: {"wanted": False}}), DEFAULT)}
    assert [short(decisions[pod]) for pod in (FIRST, SECOND)] == [(13, ASK), (6, REPLACE)]
    assert decisions[FIRST].advice.startswith("run the playbook scale, which has it join")


def test_row_13_one_that_fills_a_hole_joins_anew() -> None:
    """Kubernetes ends no pod below others."""
    view = dead(joiner(), SECOND, held=EMPTY)
    above = replace(view.nodes[0], pod=FOURTH, ordinal=1, address="198.19.0.9", host_id="host-9")
    view = replace(view, nodes=(*view.nodes, above))
    assert short(decided(view, streams_failed=FAILED)) == (13, BOOTSTRAP)


def test_whether_it_gave_up_joining_somebody_has_to_tell() -> None:
    """As long as nobody can be asked, it may have joined after all."""
    nobody = dead(newcomer(phase="Running"), SECOND, THIRD, phase="Crashed")
    told = decided(nobody, streams_failed=FAILED)
    assert (short(told), "no living node could be asked" in told.reason) == ((13, WAIT), True)


def test_who_has_joined_after_all_is_no_joiner() -> None:
    """Somebody resumed it, and nobody wrote down that it has joined."""
    view = views.with_node(views.whole(), FIRST, host_id=None, ready=False)
    assert short(decided(view, streams_failed=FAILED)) == (1, WAIT)


def test_row_13_a_worker_dies_under_a_node_that_joins() -> None:
    """Nothing of it can be missed: off its worker, and where its volume was there, anew on another."""
    running = newcomer(phase="Running", worker="w1")
    assert short(decided(running, worker=Worker("w1", AWAY), down=10.0)) == (13, WAIT)
    assert short(decided(running, worker=Worker("w1", AWAY), down=1000.0)) == (13, ASK)
    assert short(decided(running, worker=Worker("w1", GONE))) == (13, MOVE)
    waiting = newcomer(phase="Pending", worker=None, reason="it cannot be scheduled: volume node affinity conflict")
    local = Volume("claim", "pv", LOCAL)
    assert short(decided(waiting, worker=Worker("w1", GONE), volume=local)) == (13, BOOTSTRAP)
    said = Settings(workers_off=frozenset({"w1"}))
    assert short(decided(waiting, worker=Worker("w1", AWAY), volume=local, settings=said)) == (13, BOOTSTRAP)
    assert short(decided(waiting, worker=Worker("w1", AWAY), volume=local)) == (13, WAIT)
