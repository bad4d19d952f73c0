# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that somebody sees up, row by row."""

from __future__ import annotations

from dataclasses import replace

from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import (
    DEFAULT,
    EMPTY,
    FIRST,
    SECOND,
    address_of,
    dead,
    decided,
    short,
    with_keyspace,
    with_modes,
)

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import ASK, NONE, REPAIR, WAIT
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import AWAY, Settings, Worker


def test_row_2_after_a_downtime_beyond_the_hint_window_it_is_repaired() -> None:
    assert short(decided(views.whole(), missed=10801.0)) == (2, REPAIR)
    assert short(decided(views.whole(), missed=10800.0)) == (0, NONE)
    assert short(decided(views.whole(), missed=700.0, settings=Settings(hint_window=600))) == (2, REPAIR)


def test_row_2_a_repair_waits_for_all_replicas() -> None:
    view = dead(views.whole(), SECOND, phase="Running")
    assert short(decided(view, missed=20000.0)) == (2, WAIT)


def test_ranges_are_not_repaired_between_two_kinds_of_formats() -> None:
    view = with_modes(views.whole(), "CASSANDRA_4", "CASSANDRA_4", "UPGRADING")
    told = decided(view, missed=20_000.0)
    assert (short(told), "different formats" in told.reason) == ((2, WAIT), True)


def test_row_4_a_process_that_goes_on_where_nobody_reaches_it_is_never_replaced() -> None:
    """Cassandra would not notice: under its own address a replacement does not ask whether the old one lives."""
    view = views.with_node(views.whole(), FIRST, held=EMPTY, ready=False)
    assert short(decided(view, down=5.0)) == (4, WAIT)
    told = decided(view, down=120.0, worker=Worker("worker1", AWAY))
    assert short(told) == (4, ASK)
    assert "switch that worker off" in told.advice


def test_row_4_a_node_that_serves_on_a_worker_that_is_cut_off_is_told() -> None:
    """Kubernetes ends its pod after five minutes; then it is a person's decision, see above."""
    cut_off = {"ready": False, "worker_lost": True, "worker": "worker1", "reason": "its worker worker1 does not answer"}
    told = decided(views.with_node(views.whole(), FIRST, **cut_off))
    assert short(told) == (4, WAIT)
    assert "it is up, and Kubernetes hears nothing of worker worker1" in told.reason


def test_a_node_that_cannot_be_asked_is_not_called_well() -> None:
    """Everybody else sees it up; what it sees itself nobody knows."""
    whole = views.whole()
    heard = {pod: seen for pod, seen in whole.observations.items() if pod != FIRST}
    told = decided(replace(whole, observations=heard, unheard={FIRST: "the login is refused"}))
    assert (short(told), told.reason) == (
        (1, WAIT),
        "it is up and cannot be asked for its view: the login is refused",
    )


def test_row_4_views_that_differ_are_waited_for() -> None:
    view = views.with_down(views.whole(), SECOND, address_of(views.whole(), FIRST))
    told = decided(view)
    assert (short(told), "2 of 3 views see it up" in told.reason) == ((4, WAIT), True)


def test_row_8_a_live_node_is_not_replaced_even_by_name() -> None:
    told = decided(views.whole(), settings=Settings(named=frozenset({FIRST})))
    assert short(told) == (8, NONE)
    assert "a live node is never replaced" in told.reason
    half_seen = views.with_down(views.whole(), SECOND, address_of(views.whole(), FIRST))
    assert short(decided(half_seen, settings=Settings(named=frozenset({FIRST})))) == (4, WAIT)


def test_row_8_a_live_node_whose_volume_is_to_go_is_not_well() -> None:
    """Its pod is all that keeps its data; by name it is not replaced either."""
    view = views.with_node(with_keyspace(views.whole(), "shop", dc1="3"), FIRST, volume_deleting=True)
    view = replace(view, namespace="ns")
    for settings in (DEFAULT, Settings(named=frozenset({FIRST}))):
        told = decided(view, missed=20000.0, settings=settings)
        assert (short(told), told.at_risk) == ((8, ASK), ())
        assert "its volume claim is being deleted" in told.reason
        assert f"kubectl -n ns delete pod {FIRST}" in told.advice
    told = decided(with_keyspace(view, "one", dc1="1"))
    assert (short(told), told.at_risk) == ((8, ASK), ("one",))
    assert "and rows of keyspace one with it" in told.reason
    assert "give keyspace one more replicas, or make a backup; then" in told.advice
