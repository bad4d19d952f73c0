# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decision table, row by row, and what must hold whatever is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils import replacement
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests.scripts import START
from ansible_collections.cassops.kubernetes.plugins.module_utils.plan import Plan, hash_of
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement import (
    ABANDON,
    ACTIONS,
    ASK,
    ASSASSINATE,
    AWAY,
    BOOTSTRAP,
    GONE,
    LOCAL,
    MOVE,
    NETWORK,
    NONE,
    READY,
    RECREATE,
    REPAIR,
    REPLACE,
    STOP,
    UNKNOWN,
    WAIT,
    Case,
    Decision,
    Scene,
    Settings,
    Volume,
    Worker,
    decide,
    first,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import (
    Activity,
    Endpoint,
    Keyspace,
    Observation,
    Stream,
    View,
)

DEFAULT = Settings()
NOTHING: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
FIRST, SECOND, THIRD = "shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"
FOURTH = "shop-dc1-r1-1"
NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"
EMPTY = "this node belongs to the datacenter (host id host-1) but its volume is empty; put the volume back, or approve"
HALF_WAY = "its replacement died half-way, and no node may go on over partial data; replace it again"
EXPIRED = (
    "the node served last on 2026-11-10 03:14:00 UTC, longer than gc_grace_seconds (864000) ago: rows deleted meanwhile"
)
FOREIGN = "the volume belongs to another node: its mark is 'x', this node is 'y'"
UNMARKED = "the volume holds data that no node of this datacenter wrote (it has no mark)"
RESTORING = "a restore (20261125-2300) puts its data in place; the playbook restore lets it start when every node"
NO_LEDGER = "the ledger cannot be read (its phase is ''); run deploy"
FAILED = "ERROR org.apache.cassandra.streaming.StreamException: Stream failed"
NO_PLACE = "it cannot be scheduled: 0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity"


def address_of(view: View, pod: str) -> str:
    return next(str(node.address) for node in view.nodes if node.pod == pod)


def dead(view: View, *pods: str, **changes: Any) -> View:
    """The view in which nobody sees these nodes up; they do not answer."""
    facts: dict[str, Any] = {"ready": False, **changes}
    for pod in pods:
        address = address_of(view, pod)
        view = views.with_node(view, pod, **facts)
        view = replace(view, observations={name: seen for name, seen in view.observations.items() if name != pod})
        for observer in view.observations:
            view = views.with_down(view, observer, address)
    return view


def with_keyspace(view: View, name: str, **factors: str) -> View:
    return replace(view, keyspaces=(*view.keyspaces, Keyspace(name, {"class": NTS, **factors})))


def cases(view: View, facts: Mapping[str, Mapping[str, Any]] = NOTHING) -> list[Case]:
    found = [Case(node, Worker(node.worker, READY), Volume(f"claim-{node.pod}", None, LOCAL)) for node in view.nodes]
    return [replace(case, **facts.get(case.node.pod, {})) for case in found]


def decided(view: View, pod: str = FIRST, settings: Settings = DEFAULT, **facts: Any) -> Decision:
    return next(each for each in decide(view, cases(view, {pod: facts}), settings) if each.node == pod)


def short(decision: Decision) -> tuple[int, str]:
    return decision.row, decision.action


def test_in_a_datacenter_that_is_well_there_is_nothing_to_do() -> None:
    view = views.whole(per_rack=2)
    decisions = decide(view, cases(view), DEFAULT)
    assert [short(each) for each in decisions] == [(0, NONE)] * 6
    assert first(decisions) is None


def test_the_words_of_the_start_script_are_known() -> None:
    """The table reads why a node is held from what start.sh writes."""
    plain = START.replace("\\\n", "")
    for words in replacement.HELD:
        assert words in plain, words
    told = (EMPTY, HALF_WAY, EXPIRED, FOREIGN, UNMARKED, RESTORING, NO_LEDGER)
    kinds = {held: replacement.held_because(held) for held in told}
    assert list(kinds.values()) == [
        replacement.EMPTY,
        replacement.HALF_WAY,
        replacement.EXPIRED,
        replacement.FOREIGN,
        replacement.FOREIGN,
        replacement.RESTORING,
        replacement.NOT_ALLOWED,
    ]


# --- rows -------------------------------------------------------------------------------------------------------------


def test_of_two_that_are_to_be_replaced_the_one_that_was_begun_goes_first() -> None:
    """Else the other one is refused because of it, by every run."""
    told = [Decision(f"p-{number}", 12, REPLACE, "") for number in range(3)]
    assert first(told) == told[0]
    assert first(told, "p-2") == told[2]
    moved = replace(told[1], action=MOVE)
    assert first([told[0], moved, told[2]], "p-2") == moved


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


def test_row_1_held_for_the_ledgers_sake_is_deploys_business() -> None:
    told = decided(dead(views.whole(), FIRST, held=NO_LEDGER))
    assert (short(told), told.advice) == ((1, ASK), "run the playbook deploy")


def test_row_2_after_a_downtime_beyond_the_hint_window_it_is_repaired() -> None:
    assert short(decided(views.whole(), missed=10801.0)) == (2, REPAIR)
    assert short(decided(views.whole(), missed=10800.0)) == (0, NONE)
    assert short(decided(views.whole(), missed=700.0, settings=Settings(hint_window=600))) == (2, REPAIR)


def test_row_2_a_repair_waits_for_all_replicas() -> None:
    view = dead(views.whole(), SECOND, phase="Running")
    assert short(decided(view, missed=20000.0)) == (2, WAIT)


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


def test_row_4_is_also_a_volume_on_a_worker_that_may_come_back() -> None:
    view = dead(views.whole(), FIRST, phase="Pending", worker=None, reason=NO_PLACE)
    assert short(decided(view, worker=Worker("worker1", AWAY), down=10.0)) == (4, WAIT)
    for state in (AWAY, UNKNOWN):
        assert short(decided(view, worker=Worker("worker1", state), down=301.0)) == (4, ASK)
    assert short(decided(view, worker=Worker(), down=301.0, settings=Settings(workers_off=frozenset({"x"})))) == (
        4,
        ASK,
    )


@pytest.mark.parametrize(
    "facts",
    [
        {"phase": "Pending", "worker": None, "reason": NO_PLACE},
        {"phase": "Pending", "worker": "worker1", "reason": "ImagePullBackOff: no such image"},
        {"phase": "Running", "held": EMPTY},
        {"phase": "Crashed", "restarts": 5},
    ],
)
def test_row_9_what_nobody_knows_any_more_has_left(facts: dict[str, Any]) -> None:
    """Nobody can take its place; scale takes away what is left of it."""
    view = dead(views.whole(), FIRST, **facts)
    address = address_of(view, FIRST)
    seen = {
        pod: replace(one, endpoints={at: item for at, item in one.endpoints.items() if at != address})
        for pod, one in view.observations.items()
    }
    forgotten = replace(view, observations=seen)
    told = decided(forgotten)
    assert (short(told), "run the playbook scale" in told.advice) == ((9, ASK), True)
    # Not as long as somebody may know it: one that was not heard, or under what a replacement gave it.
    assert "has left" not in decided(replace(forgotten, unheard={SECOND: "the login is refused"})).reason
    another = replace(view.endpoints()[address], address="198.19.77.7", host_id="host-new")
    seen = {pod: replace(one, endpoints={**one.endpoints, another.address: another}) for pod, one in seen.items()}
    assert "has left" not in decided(replace(forgotten, observations=seen)).reason


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


@pytest.mark.parametrize("cause", ["", ": remote error: tls: internal error (the worker may be well)"])
def test_row_4_why_a_worker_is_not_reached_stands_before_what_to_do_about_it(cause: str) -> None:
    """Nobody is to delete a worker whose kubelet only lacks a certificate."""
    reason = f"its worker worker1 does not answer{cause}"
    view = dead(views.whole(), FIRST, phase="Running", worker="worker1", worker_lost=True, reason=reason)
    told = decided(view, worker=Worker("worker1", AWAY), down=400.0)
    assert short(told) == (4, ASK)
    assert told.reason == f"worker worker1 does not answer, and nobody knows whether it is off{cause}"


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


@pytest.mark.parametrize("sign", replacement.CORRUPT)
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


def test_row_7_who_names_a_dead_node_has_it_replaced() -> None:
    named = Settings(named=frozenset({FIRST}))
    assert short(decided(dead(views.whole(), FIRST, phase="Crashed", restarts=9), settings=named)) == (7, REPLACE)
    assert short(decided(dead(views.whole(), FIRST, phase="Running"), settings=named)) == (7, REPLACE)


def test_row_8_a_live_node_is_not_replaced_even_by_name() -> None:
    told = decided(views.whole(), settings=Settings(named=frozenset({FIRST})))
    assert short(told) == (8, NONE)
    assert "a live node is never replaced" in told.reason
    half_seen = views.with_down(views.whole(), SECOND, address_of(views.whole(), FIRST))
    assert short(decided(half_seen, settings=Settings(named=frozenset({FIRST})))) == (4, WAIT)


def test_row_8_a_cordoned_worker_is_a_persons_decision() -> None:
    view = dead(views.whole(), FIRST, phase="Pending", worker=None, reason=NO_PLACE)
    told = decided(view, worker=Worker("worker1", READY))
    assert (short(told), "uncordon worker1" in told.advice) == ((8, ASK), True)
    named = Settings(named=frozenset({FIRST}))
    assert short(decided(view, worker=Worker("worker1", READY), settings=named)) == (8, REPLACE)


def test_row_8_a_live_node_whose_volume_is_to_go_is_not_well() -> None:
    """Its pod is all that keeps its data; by name it is not replaced either."""
    view = views.with_node(with_keyspace(views.whole(), "shop", dc1="3"), FIRST, volume_deleting=True)
    for settings in (DEFAULT, Settings(named=frozenset({FIRST}))):
        told = decided(view, missed=20000.0, settings=settings)
        assert (short(told), told.at_risk) == ((8, ASK), ())
        assert "its volume claim is being deleted" in told.reason
        assert f"kubectl delete pod {FIRST}" in told.advice
    told = decided(with_keyspace(view, "one", dc1="1"))
    assert (short(told), told.at_risk) == ((8, ASK), ("one",))
    assert "and rows of keyspace one with it" in told.reason
    assert "give keyspace one more replicas, or make a backup; then" in told.advice


def test_row_9_a_node_that_nobody_wants_any_more() -> None:
    """Somebody lowered the number of a StatefulSet by hand; first of all it can come back."""
    taken = dead(views.whole(), FIRST, phase=None, uid=None)
    told = decided(taken, wanted=False)
    assert (short(told), "node_remove with host_id host-1" in told.advice) == ((9, ASK), True)
    assert told.advice.startswith("run the playbook start, ")
    assert "it comes back with its volume" in told.advice
    assert "its volume" not in decided(taken, wanted=False, volume=Volume()).advice
    told = decided(views.whole(), wanted=False)
    assert (short(told), f"node_decommission with name {FIRST}" in told.advice) == ((9, ASK), True)
    assert told.advice.startswith("run the playbook start, ")


@pytest.mark.parametrize("up", [False, True])
def test_row_13_a_node_whose_place_was_not_made_yet_is_for_scale(up: bool) -> None:
    """Scale was killed between the ledger and the StatefulSet: there is nothing that could be removed."""
    view = joiner() if up else newcomer(phase=None, uid=None)
    told = decided(view, wanted=False)
    assert (short(told), told.reason) == ((13, ASK), replacement.STOPPED)
    assert told.advice.startswith("run the playbook scale, which has it join")
    assert "node_" not in told.advice


def stranger(view: View, up: bool = False, **changes: Any) -> View:
    """Every observer knows somebody who is no node of the datacenter."""
    some = next(iter(view.endpoints().values()))
    facts = {"address": "198.19.9.9", "host_id": "host-ghost", "tokens": (1, 2), "status": "NORMAL", **changes}
    ghost: Endpoint = replace(some, **facts)
    return replace(
        view,
        observations={
            pod: replace(
                seen,
                endpoints={**seen.endpoints, ghost.address: ghost},
                alive={**seen.alive, ghost.address: up},
            )
            for pod, seen in view.observations.items()
        },
    )


def about_stranger(view: View) -> Decision:
    return decide(view, cases(view), DEFAULT)[-1]


def test_row_9_a_dead_member_that_owns_tokens_is_a_persons_decision() -> None:
    told = about_stranger(stranger(views.whole()))
    assert (short(told), told.node) == ((9, ASK), "198.19.9.9")
    assert "node_remove with host_id host-ghost" in told.advice


def test_row_10_a_removal_that_does_not_end() -> None:
    told = about_stranger(stranger(views.whole(), status="removing"))
    assert (short(told), "node_remove" in told.advice) == ((10, ASK), True)


def test_row_11_a_ghost_is_taken_out_of_gossip() -> None:
    assert short(about_stranger(stranger(views.whole(), tokens=(), status="shutdown"))) == (11, ASSASSINATE)


@pytest.mark.parametrize("pod", [FIRST, THIRD])
def test_row_9_one_that_some_nodes_know_tokens_of_is_no_ghost(pod: str) -> None:
    """A row of system.peers_v2 that lacks them must not let its ranges go without a stream."""
    view, owner = stranger(views.whole(), tokens=(), status="shutdown"), stranger(views.whole())
    mixed = replace(view, observations={**view.observations, pod: owner.observations[pod]})
    assert short(about_stranger(mixed)) == (9, ASK)


def test_row_11_not_while_a_node_is_down_and_never_one_that_lives() -> None:
    view = stranger(dead(views.whole(), SECOND, phase="Running"), tokens=(), status="shutdown")
    assert short(about_stranger(view)) == (11, WAIT)
    assert short(about_stranger(stranger(views.whole(), up=True, tokens=(), status="BOOT"))) == (11, ASK)


@pytest.mark.parametrize(("status", "action"), [("shutdown", REPLACE), (None, REPLACE), ("BOOT", WAIT)])
def test_row_11_a_ghost_and_a_dead_node_do_not_wait_for_each_other(status: str | None, action: str) -> None:
    """The ghost is taken out when all nodes are up; so nodes must come up beside it."""
    view = stranger(dead(views.whole(), FIRST, held=EMPTY), tokens=(), status=status)
    assert decided(view).action == action
    assert about_stranger(view).action == WAIT


def test_row_11_a_node_under_its_old_address_is_no_stranger() -> None:
    """With pods' addresses a node that came back is known by both for a while."""
    view = stranger(views.whole(), host_id="host-1")
    assert len(decide(view, cases(view), DEFAULT)) == len(view.nodes)


def test_row_12_a_replacement_that_died_half_way_is_begun_again() -> None:
    assert short(decided(dead(views.whole(), FIRST, held=HALF_WAY))) == (12, REPLACE)


@pytest.mark.parametrize("changes", [{"held": EMPTY}, {"phase": "Running"}, {"phase": "Pending"}, {"held": HALF_WAY}])
def test_row_12_an_open_plan_is_taken_up_whatever_the_pod_does(changes: dict[str, Any]) -> None:
    assert short(decided(dead(views.whole(), FIRST, **changes), open_plan=True)) == (12, REPLACE)
    assert short(decided(views.whole(), open_plan=True)) == (12, REPLACE)


def test_row_12_a_plan_is_abandoned_when_the_node_lives_again_with_its_volume() -> None:
    facts = {"open_plan": True, "old_volume": True}
    assert short(decided(views.whole(), **facts)) == (12, ABANDON)
    going = Volume("claim", "pv", LOCAL, going=True)
    told = decided(views.whole(), volume=going, **facts)
    assert (short(told), "kubectl delete pod" in told.advice) == ((12, ASK), True)
    starting = dead(views.whole(), FIRST, phase="Running")
    assert short(decided(starting, **facts)) == (12, WAIT)
    assert short(decided(starting, volume=going, **facts)) == (12, REPLACE)
    assert short(decided(starting, settings=Settings(named=frozenset({FIRST})), **facts)) == (12, REPLACE)
    assert short(decided(dead(views.whole(), FIRST, held=FOREIGN), **facts)) == (12, REPLACE)


def marks(before: str, now: str) -> str:
    """Held over a volume of a node, by the numbers in the two marks."""
    own = "id shop dc1 r1 shop-dc1-r1-0"
    return f"the volume belongs to another node: its mark is '{own}{before}', this node is '{own}{now}'; put the right"


def test_row_12_a_volume_is_given_back_where_rows_would_be_lost_without_it() -> None:
    """A run was killed between the ledger and the claim, and another replica is gone for good since."""
    view = with_keyspace(dead(views.whole(), FIRST, SECOND, held=EMPTY), "shop", dc1="3")
    facts = {"open_plan": True, "old_volume": True}
    for before, now in (("", " 1"), (" 1", " 2")):
        told = decided(views.with_node(view, FIRST, held=marks(before, now)), **facts)
        assert short(told) == (12, ABANDON)
        assert "is given back to it" in told.reason
        assert short(decided(views.with_node(view, FIRST, held=marks(before, now)), wished=True, **facts)) == (
            12,
            ABANDON,
        )
    own = views.with_node(view, FIRST, held=marks("", " 1"))
    accepted = Settings(accept_loss=frozenset({"shop", "system_auth"}))
    assert short(decided(own, settings=accepted, **facts)) == (12, REPLACE)
    assert short(decided(own, again=True, **facts)) == (16, ASK)
    assert short(decided(own, accepted=True, **facts)) == (16, ASK), "a person gave it up knowing what may be lost"
    for volume in (Volume("claim", "pv", LOCAL, going=True), Volume("claim", "pv", LOCAL, lost=True)):
        assert short(decided(own, volume=volume, **facts)) == (16, ASK)
    assert short(decided(own, open_plan=True)) == (16, ASK), "the claim is another one"
    for held in (marks("", " 2"), marks(" 2", " 1"), FOREIGN, EMPTY):
        assert short(decided(views.with_node(view, FIRST, held=held), **facts)) == (16, ASK)
    alone = dead(views.whole(), FIRST, held=marks("", " 1"))
    assert short(decided(alone, **facts)) == (12, REPLACE), "nothing is lost without it"


@pytest.mark.parametrize(
    ("changes", "facts", "action"),
    [
        ({"phase": "Pending", "worker": "w1"}, {}, WAIT),
        ({"phase": "Terminating", "worker": "w1"}, {}, WAIT),
        ({"phase": "Pending", "worker": None}, {"worker": Worker("w1", READY)}, WAIT),
        ({"phase": "Pending", "worker": None}, {"worker": Worker("w1", AWAY)}, REPLACE),
        ({"phase": "Pending", "worker": "w1"}, {"worker": Worker("w1", GONE)}, REPLACE),
        ({"phase": "Terminating", "worker": "w1"}, {"worker": Worker("w1", AWAY)}, WAIT),
        ({"phase": "Crashed", "restarts": 1}, {}, WAIT),
        ({"phase": "Crashed", "restarts": 1, "backing_off": True}, {}, WAIT),
        ({"phase": "Crashed", "restarts": 5}, {}, WAIT),
        ({"phase": "Crashed", "restarts": 5, "backing_off": True}, {}, REPLACE),
        ({"phase": "Running"}, {"volume": Volume("claim", lost=True)}, REPLACE),
        ({"phase": "Running"}, {"again": True}, REPLACE),
        ({"phase": "Pending", "worker": "w1"}, {"wished": True}, REPLACE),
    ],
)
def test_row_12_a_volume_is_kept_where_the_node_may_come_up_with_it(
    changes: dict[str, Any], facts: dict[str, Any], action: str
) -> None:
    told = decided(dead(views.whole(), FIRST, **changes), open_plan=True, old_volume=True, **facts)
    assert short(told) == (12, action)


def test_row_12_what_was_said_of_a_worker_does_not_count_while_it_answers() -> None:
    """The option stays in a schedule's variables, and the worker is back."""
    said = Settings(workers_off=frozenset({"w1"}))
    starting = dead(views.whole(), FIRST, phase="Pending", worker="w1")
    for state, action in ((READY, WAIT), (AWAY, REPLACE), (UNKNOWN, WAIT)):
        told = decided(starting, settings=said, worker=Worker("w1", state), open_plan=True, old_volume=True)
        assert short(told) == (12, action)
    ending = dead(views.whole(), FIRST, phase="Terminating", worker="w1")
    assert short(decided(ending, settings=said, worker=Worker("w1", READY))) == (4, WAIT)


def test_row_12_what_another_attempt_left_is_not_what_the_node_had() -> None:
    facts = {"open_plan": True, "old_volume": True, "again": True}
    assert short(decided(views.whole(), **facts)) == (12, REPLACE)
    going = Volume("claim", "pv", LOCAL, going=True)
    assert short(decided(views.whole(), volume=going, **facts)) == (12, ASK)


def with_member(view: View, observer: str, member: Endpoint) -> View:
    """The view in which an observer knows one more member, and sees it up."""
    seen = view.observations[observer]
    more = replace(
        seen,
        endpoints={**seen.endpoints, member.address: member},
        alive={**seen.alive, member.address: True},
    )
    return replace(view, observations={**view.observations, observer: more})


def newcomer(**changes: Any) -> View:
    """A node that no view knows."""
    view = views.whole()
    gone = address_of(view, FIRST)
    return views.with_node(
        replace(
            view,
            observations={
                pod: replace(
                    seen,
                    endpoints={key: item for key, item in seen.endpoints.items() if key != gone},
                    alive={key: alive for key, alive in seen.alive.items() if key != gone},
                )
                for pod, seen in view.observations.items()
                if pod != FIRST
            },
        ),
        FIRST,
        host_id=None,
        ready=False,
        **changes,
    )


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


def joiner(**changes: Any) -> View:
    """A node that joins, as every view has it; its process goes on."""
    view = newcomer(phase="Running", **changes)
    joins = replace(views.whole().endpoints()[address_of(view, FIRST)], tokens=(), status="BOOT", host_id="new")
    for observer in view.observations:
        view = with_member(view, observer, joins)
    return view


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


@pytest.mark.parametrize("down", [None, 30.0, 86400.0])
def test_row_12_a_replacement_whose_streams_failed_is_begun_again(down: float | None) -> None:
    """One that a node began by itself: there is no plan of it."""
    view = dead(views.whole(), FIRST, phase="Running")
    told = decided(view, down=down, streams_failed=FAILED)
    assert short(told) == (12, REPLACE)
    assert f"its replacement could not stream all of its data, and goes on without it: {FAILED}" in told.reason
    assert "starting with its data" not in told.reason


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


def test_row_9_a_node_that_has_left_is_for_scale() -> None:
    view = dead(views.whole(), FIRST, phase="Crashed", restarts=4)
    told = decided(view, last_words="This node was decommissioned and will not rejoin the ring unless overridden")
    assert (short(told), "playbook scale" in told.advice) == ((9, ASK), True)


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


def test_row_16_quorum_lost_is_refused_with_what_is_at_risk() -> None:
    view = with_keyspace(dead(views.whole(), FIRST, SECOND, held=EMPTY), "shop", dc1="3")
    told = decided(view)
    assert short(told) == (16, ASK)
    assert told.at_risk == ("shop", "system_auth")
    assert "keyspaces shop, system_auth: " in told.reason
    assert "2 or more of 3 are dead" in told.reason
    assert FIRST in told.reason
    assert SECOND in told.reason
    assert "accept_loss: [shop, system_auth]" in told.advice


def test_row_16_goes_on_when_just_that_is_accepted() -> None:
    view = with_keyspace(dead(views.whole(), FIRST, SECOND, held=EMPTY), "shop", dc1="3")
    assert short(decided(view, settings=Settings(accept_loss=frozenset({"shop"})))) == (16, ASK)
    told = decided(view, settings=Settings(accept_loss=frozenset({"shop", "system_auth", "more"})))
    assert short(told) == (6, REPLACE)
    assert told.at_risk == ("shop", "system_auth")
    assert told.reason.endswith(f"{SECOND} is dead too; rows of shop, system_auth may be lost, which was accepted")


def test_row_16_a_disk_that_may_come_back_comes_first() -> None:
    """One lost its storage, the other only its worker: its volume follows, or is waited for."""
    view = dead(views.whole(), FIRST, held=EMPTY)
    view = dead(view, SECOND, phase="Terminating", held=None)
    facts = {SECOND: {"worker": Worker("worker2", GONE), "volume": Volume("claim", None, NETWORK)}}
    decisions = {each.node: each for each in decide(view, cases(view, facts), DEFAULT)}
    assert short(decisions[FIRST]) == (16, ASK)
    chosen = first(decisions.values())
    assert chosen is not None
    assert (chosen.node, chosen.action) == (SECOND, MOVE)


def test_two_replicas_lose_no_row_with_one_of_them() -> None:
    """Their QUORUM is both; the other one has all that was acknowledged."""
    view = with_keyspace(dead(views.whole(), FIRST, held=EMPTY), "two", dc1="2")
    assert short(decided(view)) == (6, REPLACE)


def test_row_17_one_replica_is_lost_with_its_node() -> None:
    view = with_keyspace(dead(views.whole(), FIRST, held=EMPTY), "one", dc1="1")
    told = decided(view)
    assert (short(told), told.at_risk) == ((17, ASK), ("one",))
    assert "no replica is left" in told.reason
    assert short(decided(view, settings=Settings(accept_loss=frozenset({"one"})))) == (6, REPLACE)


def test_keyspaces_with_one_copy_here() -> None:
    view = with_keyspace(with_keyspace(views.whole(), "two", dc1="2"), "one", dc1="1", dc2="3")
    view = with_keyspace(view, "elsewhere", dc2="1")
    simple = Keyspace("simple", {"class": "SimpleStrategy", "replication_factor": "1"})
    local = Keyspace("system_local", {"class": "LocalStrategy"})
    view = replace(view, keyspaces=(*view.keyspaces, simple, local))
    assert replacement.single_copies(view) == ("one", "simple")


def test_row_17_when_nobody_has_a_range_nothing_can_be_streamed() -> None:
    view = with_keyspace(dead(views.whole(), FIRST, SECOND, held=EMPTY), "two", dc1="2")
    told = decided(view, settings=Settings(accept_loss=frozenset({"two", "system_auth"})))
    assert short(told) == (17, ASK)
    assert "restore a backup" in told.advice


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


def test_row_19_crossed_addresses() -> None:
    words = "A node with address /198.19.0.2 already exists, cancelling join. Use cassandra.replace_address"
    view = dead(views.whole(), FIRST, phase="Crashed", restarts=2)
    told = decided(view, last_words=words)
    assert (short(told), f"replace_node_name={FIRST}" in told.advice) == ((19, ASK), True)
    assert short(decided(view, settings=Settings(named=frozenset({FIRST})), last_words=words)) == (19, REPLACE)
    crossed = views.with_node(view, FIRST, address=address_of(view, SECOND))
    assert short(decided(crossed, last_words=words)) == (19, RECREATE)


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


def with_modes(view: View, *modes: str) -> View:
    for pod, mode in zip((FIRST, SECOND, THIRD), modes, strict=True):
        view = views.with_node(view, pod, storage_mode=mode)
    return view


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


def test_ranges_are_not_repaired_between_two_kinds_of_formats() -> None:
    view = with_modes(views.whole(), "CASSANDRA_4", "CASSANDRA_4", "UPGRADING")
    told = decided(view, missed=20_000.0)
    assert (short(told), "different formats" in told.reason) == ((2, WAIT), True)


def test_a_datacenter_that_never_ran_is_deploys_business() -> None:
    told = decided(replace(dead(views.whole(), FIRST, held=EMPTY), phase="new"))
    assert (told.action, told.advice) == (ASK, "run the playbook deploy")


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


def test_a_datacenter_of_one_node_has_nobody_to_stream_from() -> None:
    assert short(decided(dead(views.whole(racks=["r1"]), FIRST, held=EMPTY))) == (18, ASK)


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


# --- the proof --------------------------------------------------------------------------------------------------------


def plan_for(view: View, **changes: Any) -> Plan:
    member = view.endpoints()[address_of(view, FIRST)]
    facts: dict[str, Any] = {"address": member.address, "host_id": member.host_id, **changes}
    return Plan(pod=FIRST, tokens=hash_of(member.tokens), **facts)


def busy(view: View, pod: str, streams: tuple[Stream, ...] | None) -> View:
    seen = replace(view.observations[pod], activity=Activity(streams=streams))
    return replace(view, observations={**view.observations, pod: seen})


def unproven(view: View, plan: Plan) -> list[str]:
    return replacement.unproven(Scene(view, (), DEFAULT), plan)


def test_a_replacement_is_proven_when_every_view_has_it() -> None:
    view = busy(views.whole(), FIRST, ())
    assert unproven(view, plan_for(view)) == []


def test_streams_of_repairs_come_and_go() -> None:
    view = busy(views.whole(), FIRST, (Stream("Repair", ("198.19.0.2",), 43),))
    assert unproven(view, plan_for(view)) == []


def test_what_is_missing_for_the_proof_is_told() -> None:
    whole = busy(views.whole(), FIRST, ())
    own = address_of(whole, FIRST)
    unasked = replace(whole, observations={pod: one for pod, one in whole.observations.items() if pod != FIRST})
    for view, words in (
        (busy(whole, FIRST, (Stream("Bootstrap", ("198.19.0.2",), 43),)), f"{FIRST} still streams: Bootstrap"),
        (busy(whole, FIRST, None), "whether"),
        (unasked, f"{FIRST} cannot be asked for its view yet"),
        (views.with_down(whole, SECOND, own), f"{SECOND} sees {FIRST} down"),
        (views.with_endpoint(whole, SECOND, own, status="hibernate"), "as hibernate, needed NORMAL"),
        (views.with_endpoint(whole, SECOND, own, tokens=(1,)), f"{SECOND} knows {FIRST} with other tokens"),
        (views.with_endpoint(whole, THIRD, address_of(whole, THIRD), schema="x"), "schema versions"),
    ):
        reasons = unproven(view, plan_for(whole))
        assert any(words in reason for reason in reasons), (words, reasons)


@pytest.mark.parametrize(
    ("status", "joined"), [("NORMAL", True), ("LEAVING", True), (None, True), ("BOOT", False), ("BOOT_REPLACE", False)]
)
def test_a_node_that_streams_under_an_address_of_its_own_is_alive_and_has_not_joined(
    status: str | None, joined: bool
) -> None:
    """Gossip has it alive: it does not hibernate."""
    view = stranger(views.whole(), up=True, status=status)
    scene = Scene(view, (), DEFAULT)
    (address,) = [member.address for member in scene.strangers()]
    assert scene.up_in(address)
    assert bool(scene.joined_in(address)) is joined
    assert scene.joined_in(None) == []


def test_with_pods_addresses_the_old_one_must_be_gone() -> None:
    view = busy(views.whole(), FIRST, ())
    old = "198.18.1.77"
    plan = plan_for(view, address=old, host_id="host-old")
    assert unproven(view, plan) == []
    known = stranger(view, address=old, host_id="host-old")
    assert f"{SECOND} still knows the dead node under {old}" in unproven(busy(known, FIRST, ()), plan)


# --- whatever is seen -------------------------------------------------------------------------------------------------

STATES = st.sampled_from(
    ["well", "empty", "expired", "half way", "failed", "crashed", "gone", "away", "stranded", "starting"]
)


def spoil(view: View, pod: str, state: str) -> View:
    changes: dict[str, dict[str, Any]] = {
        "empty": {"held": EMPTY},
        "expired": {"held": EXPIRED},
        "half way": {"held": HALF_WAY},
        "crashed": {"phase": "Crashed", "restarts": 5},
        "gone": {"phase": "Terminating"},
        "away": {"phase": "Terminating"},
        "stranded": {"phase": "Pending", "worker": None, "reason": NO_PLACE},
        "starting": {"phase": "Running"},
        "failed": {"phase": "Running"},
    }
    return view if state == "well" else dead(view, pod, **changes[state])


@st.composite
def scenes(draw: st.DrawFn) -> tuple[View, list[Case], Settings]:
    """A datacenter in which anything may be wrong with any node."""
    sizes = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    view = views.whole(racks=[f"r{number}" for number in range(sizes[0])], per_rack=sizes[1])
    for number, factor in enumerate(draw(st.lists(st.integers(1, 5), max_size=3))):
        view = with_keyspace(view, f"ks{number}", dc1=str(factor))
    states = {node.pod: draw(STATES) for node in view.nodes}
    for pod, state in states.items():
        view = spoil(view, pod, state)
    for node in view.nodes:
        for observer in list(view.observations):
            if observer != node.pod and draw(st.integers(0, 30)) == 0:
                seen = view.observations[observer]
                flipped = {**seen.alive, str(node.address): not seen.alive[str(node.address)]}
                view = replace(view, observations={**view.observations, observer: replace(seen, alive=flipped)})
    workers = {"gone": GONE, "away": AWAY, "stranded": GONE}
    facts: dict[str, dict[str, Any]] = {
        pod: {"worker": Worker("w", workers.get(state, READY)), "down": draw(st.sampled_from([None, 5.0, 5000.0]))}
        for pod, state in states.items()
    }
    for pod in (pod for pod, state in states.items() if state == "failed"):
        facts[pod]["streams_failed"] = FAILED
    pods = sorted(states)
    settings = Settings(
        named=frozenset(draw(st.sets(st.sampled_from(pods), max_size=2))),
        accept_loss=frozenset(draw(st.sampled_from([(), ("ks0",), ("ks0", "ks1", "ks2", "system_auth")]))),
    )
    return view, cases(view, facts), settings


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
