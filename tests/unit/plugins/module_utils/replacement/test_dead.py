# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members that nobody sees up, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import (
    EMPTY,
    EXPIRED,
    FAILED,
    FIRST,
    FOREIGN,
    HALF_WAY,
    NO_LEDGER,
    NO_PLACE,
    SECOND,
    THIRD,
    UNMARKED,
    address_of,
    dead,
    decided,
    newcomer,
    short,
    with_keyspace,
)

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import (
    ASK,
    MOVE,
    RECREATE,
    REPLACE,
    WAIT,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import (
    AWAY,
    GONE,
    LOCAL,
    NETWORK,
    READY,
    UNKNOWN,
    Settings,
    Volume,
    Worker,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.words import CORRUPT


def test_row_1_a_crash_is_kubernetes_own_business_at_first() -> None:
    view = dead(views.whole(), FIRST, phase="Crashed", restarts=1)
    assert short(decided(view, last_words="java.lang.OutOfMemoryError: Java heap space")) == (1, WAIT)


def test_row_1_crashes_of_long_ago_do_not_count() -> None:
    """Kubernetes counts over the life of a pod, and starts this one again at once."""
    view = dead(views.whole(), FIRST, phase="Crashed", restarts=9)
    assert short(decided(view, last_words="java.lang.OutOfMemoryError: Java heap space")) == (1, WAIT)
    assert short(decided(newcomer(phase="Crashed", restarts=9))) == (13, WAIT)


def test_row_1_a_crash_loop_is_told_with_its_cause() -> None:
    view = dead(views.whole(), FIRST, phase="Crashed", restarts=5, backing_off=True)
    told = decided(view, last_words="INFO begin\nERROR Invalid yaml: unknown property foo\nINFO end")
    assert short(told) == (1, ASK)
    assert "crashed 5 times: ERROR Invalid yaml: unknown property foo" in told.reason
    assert "its data is there" in told.advice
    assert f"replace_node_name={FIRST}" in told.advice


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phase": "Running"}, "starting with its data"),
        ({"phase": "Pending", "worker": "worker1"}, "being started"),
        ({"phase": None, "uid": None, "reason": "it has no pod"}, "no pod"),
    ],
)
def test_row_1_what_only_takes_its_time_is_waited_for(changes: dict[str, Any], words: str) -> None:
    told = decided(dead(views.whole(), FIRST, **changes), down=30.0)
    assert short(told) == (1, WAIT)
    assert words in told.reason


def test_row_1_a_pod_that_cannot_start_is_told() -> None:
    view = dead(views.whole(), FIRST, phase="Pending", reason="ImagePullBackOff: no such image")
    told = decided(view)
    assert (short(told), "no such image" in told.reason) == ((1, ASK), True)
    view = dead(views.whole(), FIRST, phase="Pending", worker=None, reason="it cannot be scheduled: no memory")
    assert short(decided(view, volume=Volume("claim", None, NETWORK))) == (1, ASK)


@pytest.mark.parametrize(
    "reason",
    [
        'FailedMount: MountVolume.SetUp failed for volume "config" : configmap "x" not found',
        "FailedMount: Unable to attach or mount volumes: unmounted volumes=[config], unattached=[data]",
        "ImagePullBackOff: no image",
    ],
)
def test_row_1_what_another_volume_would_not_mend_is_no_reason_to_give_it_up(reason: str) -> None:
    view = dead(views.whole(), FIRST, phase="Pending", worker="worker1", reason=reason)
    named = Settings(named=frozenset({FIRST}))
    assert short(decided(view, volume=Volume("claim", "pv", LOCAL), settings=named)) == (1, ASK)


def test_row_1_held_for_the_ledgers_sake_is_deploys_business() -> None:
    told = decided(dead(views.whole(), FIRST, held=NO_LEDGER))
    assert (short(told), told.advice) == ((1, ASK), "run the playbook deploy")


def test_row_3_a_node_that_was_down_too_long_is_replaced() -> None:
    assert short(decided(dead(views.whole(), FIRST, held=EXPIRED))) == (3, REPLACE)


def test_row_3_where_the_whole_cluster_was_away_start_tells_how_it_goes_on() -> None:
    told = decided(dead(views.whole(), FIRST, SECOND, THIRD, held=EXPIRED))
    assert short(told) == (3, ASK)
    assert "run the playbook start" in told.advice


@pytest.mark.parametrize("state", [AWAY, UNKNOWN])
def test_row_4_a_worker_that_does_not_answer_is_waited_for_then_asked_about(state: str) -> None:
    view = dead(views.whole(), FIRST, phase="Terminating")
    worker = Worker("worker1", state)
    assert short(decided(view, worker=worker, down=299.0)) == (4, WAIT)
    told = decided(view, worker=worker, down=301.0)
    assert short(told) == (4, ASK)
    assert "workers_off: [worker1]" in told.advice
    assert "kubectl delete node worker1" in told.advice


def test_row_4_is_also_a_volume_on_a_worker_that_may_come_back() -> None:
    view = dead(views.whole(), FIRST, phase="Pending", worker=None, reason=NO_PLACE)
    assert short(decided(view, worker=Worker("worker1", AWAY), down=10.0)) == (4, WAIT)
    for state in (AWAY, UNKNOWN):
        assert short(decided(view, worker=Worker("worker1", state), down=301.0)) == (4, ASK)
    assert short(decided(view, worker=Worker(), down=301.0, settings=Settings(workers_off=frozenset({"x"})))) == (
        4,
        ASK,
    )


@pytest.mark.parametrize("cause", ["", ": remote error: tls: internal error (the worker may be well)"])
def test_row_4_why_a_worker_is_not_reached_stands_before_what_to_do_about_it(cause: str) -> None:
    """Nobody is to delete a worker whose kubelet only lacks a certificate."""
    reason = f"its worker worker1 does not answer{cause}"
    view = dead(views.whole(), FIRST, phase="Running", worker="worker1", worker_lost=True, reason=reason)
    told = decided(view, worker=Worker("worker1", AWAY), down=400.0)
    assert short(told) == (4, ASK)
    assert told.reason == f"worker worker1 does not answer, and nobody knows whether it is off{cause}"


@pytest.mark.parametrize(("kind", "row"), [(NETWORK, 5), (LOCAL, 6), (UNKNOWN, 6)])
def test_rows_5_and_6_a_pod_leaves_a_worker_that_is_off(kind: str, row: int) -> None:
    """Where its volume can follow nothing else is needed; where not, the pod finds no place, and row 6 goes on."""
    view = dead(views.whole(), FIRST, phase="Terminating")
    volume = Volume("claim", None, kind)
    assert short(decided(view, worker=Worker("worker1", GONE), volume=volume)) == (row, MOVE)
    off = Settings(workers_off=frozenset({"worker1"}))
    assert short(decided(view, worker=Worker("worker1", UNKNOWN), volume=volume, settings=off)) == (row, MOVE)


def test_a_worker_that_kubernetes_hears_of_is_not_off_whatever_is_said() -> None:
    """The wrong name was written: a process that ends there must not meet another one on its volume."""
    said = Settings(workers_off=frozenset({"worker1"}))
    ends = dead(views.whole(), FIRST, phase="Terminating")
    assert short(decided(ends, worker=Worker("worker1", READY), down=400.0, settings=said)) == (4, WAIT)
    waits = dead(views.whole(), FIRST, phase="Pending", worker=None, reason=NO_PLACE)
    told = decided(waits, worker=Worker("worker1", READY), settings=said)
    assert (short(told), "which is up and does not take it" in told.reason) == ((8, ASK), True)


def test_row_6_a_local_volume_on_a_worker_that_is_gone() -> None:
    view = dead(views.whole(), FIRST, phase="Pending", worker=None, reason=NO_PLACE)
    assert short(decided(view, worker=Worker("worker1", GONE))) == (6, REPLACE)
    off = Settings(workers_off=frozenset({"worker1"}))
    assert short(decided(view, worker=Worker("worker1", UNKNOWN), settings=off)) == (6, REPLACE)


def test_row_6_a_volume_that_came_back_empty_or_is_lost() -> None:
    assert short(decided(dead(views.whole(), FIRST, held=EMPTY))) == (6, REPLACE)
    view = dead(views.whole(), FIRST, phase="Pending", worker=None, reason="it cannot be scheduled: lost")
    assert short(decided(view, volume=Volume("claim", "pv", LOCAL, lost=True))) == (6, REPLACE)


def test_row_6_a_pod_whose_claim_is_gone_is_made_again() -> None:
    view = dead(views.whole(), FIRST, phase="Pending", worker=None, reason='persistentvolumeclaim "x" not found')
    assert short(decided(view, volume=Volume(), down=10.0)) == (6, WAIT)
    assert short(decided(view, volume=Volume(), down=61.0)) == (6, RECREATE)


@pytest.mark.parametrize("sign", CORRUPT)
def test_row_7_what_cannot_be_read_is_replaced_only_by_name(sign: str) -> None:
    view = dead(views.whole(), FIRST, phase="Crashed", restarts=5)
    words = f"INFO x\norg.apache.cassandra.io.{sign}: /var/lib/cassandra/data/x"
    told = decided(view, last_words=words)
    assert (short(told), sign in told.reason) == ((7, ASK), True)
    assert short(decided(view, last_words=words, settings=Settings(named=frozenset({FIRST})))) == (7, REPLACE)


@pytest.mark.parametrize("held", [FOREIGN, UNMARKED])
def test_row_7_a_volume_that_is_not_its_own(held: str) -> None:
    view = dead(views.whole(), FIRST, held=held)
    assert short(decided(view)) == (7, ASK)
    assert short(decided(view, settings=Settings(named=frozenset({FIRST})))) == (7, REPLACE)


@pytest.mark.parametrize(
    "reason",
    [
        'FailedMount: MountVolume.MountDevice failed for volume "pv" : structure needs cleaning',
        'FailedAttachVolume: AttachVolume.Attach failed for volume "pv" : disk not found',
        "FailedMapVolume: the device is gone",
        "FailedMount: Unable to attach or mount volumes: unmounted volumes=[config data], unattached=[]",
    ],
)
def test_row_7_a_volume_that_cannot_be_mounted_is_replaced_only_by_name(reason: str) -> None:
    view = dead(views.whole(), FIRST, phase="Pending", worker="worker1", reason=reason)
    volume = Volume("claim", "pv", LOCAL)
    told = decided(view, volume=volume)
    assert (short(told), reason in told.reason) == ((7, ASK), True)
    assert f"give the volume up: playbook replace_node with -e replace_node_name={FIRST}" in told.advice
    assert short(decided(view, volume=volume, settings=Settings(named=frozenset({FIRST})))) == (7, REPLACE)


def test_row_7_who_names_a_dead_node_has_it_replaced() -> None:
    named = Settings(named=frozenset({FIRST}))
    assert short(decided(dead(views.whole(), FIRST, phase="Crashed", restarts=9), settings=named)) == (7, REPLACE)
    assert short(decided(dead(views.whole(), FIRST, phase="Running"), settings=named)) == (7, REPLACE)


@pytest.mark.parametrize("kind", [NETWORK, UNKNOWN])
def test_row_8_who_names_a_node_without_a_place_has_it_replaced(kind: str) -> None:
    """Whatever its volume is taken for: nothing else would ever give it up."""
    view = dead(views.whole(), FIRST, phase="Pending", worker=None, reason="it cannot be scheduled: no worker matches")
    facts = {"volume": Volume("claim", "pv", kind), "worker": Worker("w1", GONE)}
    assert f"replace_node_name={FIRST}" in decided(view, **facts).advice
    named = Settings(named=frozenset({FIRST}))
    assert short(decided(view, settings=named, **facts)) == (8, REPLACE)
    risky = dead(view, SECOND, held=EMPTY)
    assert short(decided(with_keyspace(risky, "shop", dc1="3"), settings=named, **facts)) == (16, ASK)


def test_row_8_a_cordoned_worker_is_a_persons_decision() -> None:
    view = dead(views.whole(), FIRST, phase="Pending", worker=None, reason=NO_PLACE)
    told = decided(view, worker=Worker("worker1", READY))
    assert (short(told), "uncordon worker1" in told.advice) == ((8, ASK), True)
    named = Settings(named=frozenset({FIRST}))
    assert short(decided(view, worker=Worker("worker1", READY), settings=named)) == (8, REPLACE)


def test_row_12_a_replacement_that_died_half_way_is_begun_again() -> None:
    assert short(decided(dead(views.whole(), FIRST, held=HALF_WAY))) == (12, REPLACE)


@pytest.mark.parametrize("down", [None, 30.0, 86400.0])
def test_row_12_a_replacement_whose_streams_failed_is_begun_again(down: float | None) -> None:
    """One that a node began by itself: there is no plan of it."""
    view = dead(views.whole(), FIRST, phase="Running")
    told = decided(view, down=down, streams_failed=FAILED)
    assert short(told) == (12, REPLACE)
    assert f"its replacement could not stream all of its data, and goes on without it: {FAILED}" in told.reason
    assert "starting with its data" not in told.reason


def test_row_19_crossed_addresses() -> None:
    words = "A node with address /198.19.0.2 already exists, cancelling join. Use cassandra.replace_address"
    view = dead(views.whole(), FIRST, phase="Crashed", restarts=2)
    told = decided(view, last_words=words)
    assert (short(told), f"replace_node_name={FIRST}" in told.advice) == ((19, ASK), True)
    assert short(decided(view, settings=Settings(named=frozenset({FIRST})), last_words=words)) == (19, REPLACE)
    crossed = views.with_node(view, FIRST, address=address_of(view, SECOND))
    assert short(decided(crossed, last_words=words)) == (19, RECREATE)
