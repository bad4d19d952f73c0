# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils import ring, rollout
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.rollout import Batch, Plan, Settings
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import (
    Budget,
    Endpoint,
    Keyspace,
    NodeView,
    Repair,
    Stream,
    View,
)

NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"
NO_CANARY = Settings(canary=False)
BY_RACK = Settings(canary=False, max_unavailable="rack")


def pod(short: str) -> str:
    return f"shop-dc1-{short}"


def short(names: Sequence[str]) -> str:
    return " ".join(name.removeprefix("shop-dc1-") for name in names)


def batches(plan: Plan) -> list[str]:
    return [short(batch.nodes) for batch in plan.batches]


def keyspace(name: str, **factors: str) -> Keyspace:
    return Keyspace(name, {"class": NTS, **factors})


def six(**changes: Any) -> View:
    """Three racks of two nodes, three replicas, something pending for all of them."""
    return views.pending(views.whole(per_rack=2, **changes))


def with_keyspaces(view: View, *keyspaces: Keyspace) -> View:
    return replace(view, keyspaces=(*view.keyspaces, *keyspaces))


# Settings


def test_nothing_given_is_the_default() -> None:
    assert rollout.parse({}) == Settings()
    assert rollout.parse({"max_unavailable": None, "order": "", "something": "else"}) == Settings()


def test_values_may_be_texts() -> None:
    found = rollout.parse(
        {
            "max_unavailable": 2,
            "order": "r2, r1",
            "limit": ["r1"],
            "canary": "no",
            "soak": "5",
            "pause_after": "rack",
            "low_rf": "warn",
            "force": True,
            "ignore": "repairs,hints",
            "free_disk": "7.5",
            "compactions": "20",
            "without": "r2-0",
            "accept_outage": "shop,games",
        }
    )
    assert found == Settings(
        "2",
        ("r2", "r1"),
        ("r1",),
        False,
        5.0,
        "rack",
        "warn",
        True,
        ("repairs", "hints"),
        7.5,
        20,
        ("r2-0",),
        ("shop", "games"),
        "rollout_",
    )


def test_a_pause_after_no_canary_is_a_mistake() -> None:
    with pytest.raises(SpecError, match="pause_after: canary needs a canary, and canary is false"):
        rollout.parse({"pause_after": "canary", "canary": False}, prefix="")


def test_messages_name_settings_as_people_set_them() -> None:
    view = views.with_activity(with_keyspaces(six(), keyspace("shop", dc1="2")), pod("r3-0"), repairs=(Repair("x"),))
    chosen = rollout.parse({"limit": "r9,r1", "order": "r8"}, prefix="my_")
    told = [*rollout.plan(view, chosen).blockers, *rollout.before_batch(view, Batch("r1", (pod("r1-1"),), 1), chosen)]
    assert len([reason for reason in told if "my_" in reason]) == 4
    assert not any("rollout_" in reason for reason in told)


def test_all_errors_at_once_with_their_paths() -> None:
    values = {
        "max_unavailable": "x",
        "order": 3,
        "limit": [1],
        "canary": "perhaps",
        "soak": -1,
        "pause_after": "node",
        "low_rf": "allow",
        "force": 1,
        "ignore": ["running"],
        "free_disk": "101",
        "compactions": True,
    }
    with pytest.raises(SpecError) as caught:
        rollout.parse(values)
    assert [error.partition(":")[0] for error in caught.value.errors] == [f"rollout_{key}" for key in values]
    assert caught.value.errors[0] == (
        "rollout_max_unavailable: must be rack, a number from 1, or a percentage from 1% to 100%, got 'x'"
    )
    assert caught.value.errors[5] == "rollout_pause_after: must be canary, rack or never, got 'node'"
    assert "'running' is none of streams, repairs, hints, disk, compactions" in caught.value.errors[8]


@pytest.mark.parametrize("value", ["0", "-1", "0%", "101%", "1.5", "half", "racks", True, [2]])
def test_how_many_at_once_is_a_rack_a_number_or_a_percentage(value: Any) -> None:
    with pytest.raises(SpecError, match="must be rack, a number from 1, or a percentage from 1% to 100%"):
        rollout.parse({"max_unavailable": value})


@pytest.mark.parametrize(
    ("value", "size", "count"),
    [("rack", 7, 7), ("3", 7, 3), ("3", 2, 3), ("25%", 7, 1), ("25%", 8, 2), ("25%", 3, 1), ("100%", 7, 7)],
)
def test_nodes_at_once(value: str, size: int, count: int) -> None:
    assert rollout.parse({"max_unavailable": value}).nodes_at_once(size) == count


# Order


def test_one_at_a_time_from_the_top_of_each_rack() -> None:
    plan = rollout.plan(six(), Settings())
    assert batches(plan) == ["r1-1", "r1-0", "r2-1", "r2-0", "r3-1", "r3-0"]
    assert [batch.canary for batch in plan.batches] == [True] + [False] * 5
    assert [batch.partition for batch in plan.batches] == [1, 0, 1, 0, 1, 0]
    assert (plan.blockers, plan.warnings, plan.skipped, plan.unfinished) == ((), (), {}, ())


def test_rack_by_rack() -> None:
    assert batches(rollout.plan(six(), BY_RACK)) == ["r1-1 r1-0", "r2-1 r2-0", "r3-1 r3-0"]
    with_canary = rollout.plan(six(), replace(BY_RACK, canary=True))
    assert batches(with_canary) == ["r1-1", "r1-0", "r2-1 r2-0", "r3-1 r3-0"]


def test_a_part_of_a_rack_at_a_time() -> None:
    view = views.pending(views.whole(per_rack=4))
    assert batches(rollout.plan(view, replace(NO_CANARY, max_unavailable="50%")))[:2] == ["r1-3 r1-2", "r1-1 r1-0"]
    assert batches(rollout.plan(view, replace(NO_CANARY, max_unavailable="3")))[:2] == ["r1-3 r1-2 r1-1", "r1-0"]


def test_only_what_is_pending() -> None:
    view = views.pending(views.whole(per_rack=2), [pod("r2-0"), pod("r3-1")])
    plan = rollout.plan(view, NO_CANARY)
    assert batches(plan) == ["r2-0", "r3-1"]
    assert plan.skipped[pod("r1-0")] == "nothing is pending for it"
    assert batches(rollout.plan(views.pending(views.whole(), []), Settings())) == []


def test_force_restarts_all_but_those_it_has_restarted() -> None:
    view = views.pending(views.whole(per_rack=2), [])
    forced = Settings(force=True)
    assert batches(rollout.plan(view, forced)) == ["r1-1", "r1-0", "r2-1", "r2-0", "r3-1", "r3-0"]
    left = rollout.plan(view, forced, done=[pod("r1-1"), pod("r1-0")])
    assert batches(left) == ["r2-1", "r2-0", "r3-1", "r3-0"]
    assert not any(batch.canary for batch in left.batches)


def test_the_order_of_racks_may_be_given() -> None:
    assert batches(rollout.plan(six(), replace(BY_RACK, order=("r3", "r2")))) == ["r3-1 r3-0", "r2-1 r2-0", "r1-1 r1-0"]
    plan = rollout.plan(six(), Settings(order=("r9",)))
    assert plan.blockers == ("rollout_order: there is no rack r9; the racks are r1, r2, r3",)


def test_a_rack_that_was_begun_comes_first() -> None:
    view = views.pending(views.whole(per_rack=2), [pod(name) for name in ("r1-0", "r1-1", "r2-0", "r3-0", "r3-1")])
    assert batches(rollout.plan(view, NO_CANARY))[0] == "r2-0"
    view = six()
    released = tuple(replace(rack, partition=1) if rack.name == "r3" else rack for rack in view.racks)
    assert batches(rollout.plan(replace(view, racks=released), NO_CANARY))[0] == "r3-1"


def test_a_seed_is_no_canary_where_another_node_can_be() -> None:
    view = six()
    view = replace(view, nodes=tuple(node for node in view.nodes if node.pod != pod("r1-1")))
    view = replace(view, seeds=tuple(str(node.address) for node in view.nodes if node.ordinal == 0))
    assert batches(rollout.plan(view, Settings())) == ["r2-1", "r2-0", "r3-1", "r3-0", "r1-0"]


def test_a_limit_names_racks_and_nodes() -> None:
    assert batches(rollout.plan(six(), Settings(limit=("r2",)))) == ["r2-1", "r2-0"]
    assert batches(rollout.plan(six(), Settings(limit=("r2-1", pod("r3-1"))))) == ["r2-1", "r3-1"]
    plan = rollout.plan(six(), Settings(limit=("r2-1",)))
    assert plan.skipped[pod("r2-0")] == "not in rollout_limit"
    assert plan.blockers == ()


def test_a_limit_that_leaves_out_a_node_above_is_told_and_not_widened() -> None:
    plan = rollout.plan(six(), Settings(limit=("r2-0", "r3")))
    assert batches(plan) == ["r3-1", "r3-0"]
    (blocker,) = plan.blockers
    assert blocker.startswith("rollout_limit: shop-dc1-r2-0 cannot restart before shop-dc1-r2-1: Kubernetes releases")
    # Nothing is pending for the one above: it is not in the way.
    view = views.pending(views.whole(per_rack=2), [pod("r2-0")])
    assert rollout.plan(view, Settings(limit=("r2-0",))).blockers == ()


def test_a_limit_that_names_nobody_is_told() -> None:
    assert rollout.plan(six(), Settings(limit=("r4-0", "r1"))).blockers == (
        "rollout_limit: there is no rack or node r4-0",
    )


def test_where_nothing_is_pending_a_limit_names_whom_it_likes() -> None:
    view = views.pending(views.whole(per_rack=3), [])
    plan = rollout.plan(view, Settings(force=True, limit=("r2-1", "r3-0")))
    assert (batches(plan), plan.blockers) == (["r2-1", "r3-0"], ())
    view = views.pending(views.whole(per_rack=3), [pod("r2-2"), pod("r2-1"), pod("r2-0")])
    plan = rollout.plan(view, Settings(force=True, limit=("r2-1", "r3-0")))
    assert batches(plan) == ["r3-0"]
    assert [blocker.partition(" before ")[0] for blocker in plan.blockers] == [
        "rollout_limit: shop-dc1-r2-1 cannot restart"
    ]


# Canary and pauses


def test_a_change_that_somebody_runs_well_needs_no_canary() -> None:
    rest = [node.pod for node in views.nodes(per_rack=2) if node.pod != pod("r1-1")]
    plan = rollout.plan(views.pending(views.whole(per_rack=2), rest), replace(BY_RACK, canary=True))
    assert batches(plan) == ["r1-0", "r2-1 r2-0", "r3-1 r3-0"]
    assert not any(batch.canary for batch in plan.batches)


def test_a_change_that_nobody_runs_well_needs_a_canary_still() -> None:
    rest = [node.pod for node in views.nodes(per_rack=2) if node.pod != pod("r1-1")]
    view = views.with_gone(views.pending(views.whole(per_rack=2), rest), pod("r1-1"))
    plan = rollout.plan(view, Settings())
    assert plan.batches[0].canary
    assert plan.unfinished == (pod("r1-1"),)


def test_what_a_whole_rack_runs_proves_it_for_the_others() -> None:
    view = six()
    done = [node for node in view.nodes if node.rack == "r1"]
    nodes = tuple(replace(node, pending_restart=False, runs=views.NEW) if node in done else node for node in view.nodes)
    racks = tuple(replace(rack, current_revision=views.NEW) if rack.name == "r1" else rack for rack in view.racks)
    assert not rollout.plan(replace(view, nodes=nodes, racks=racks), Settings()).batches[0].canary
    # A rack that was never behind, and runs something else, proves nothing.
    nodes = tuple(replace(node, runs="another") if node.rack == "r1" else node for node in nodes)
    assert rollout.plan(replace(view, nodes=nodes, racks=racks), Settings()).batches[0].canary


def test_a_run_may_end_after_the_canary() -> None:
    plan = rollout.plan(six(), Settings(pause_after="canary"))
    assert [batch.pause for batch in plan.batches] == [True] + [False] * 5
    only = views.pending(views.whole(), [pod("r2-0")])
    assert [batch.pause for batch in rollout.plan(only, Settings(pause_after="canary")).batches] == [False]


def test_a_run_may_end_after_each_rack() -> None:
    plan = rollout.plan(six(), Settings(pause_after="rack"))
    assert [batch.pause for batch in plan.batches] == [False, True, False, True, False, False]


# Nodes that are down


def test_what_is_down_goes_first_and_together() -> None:
    view = views.with_gone(views.with_gone(six(), pod("r2-1")), pod("r2-0"))
    plan = rollout.plan(view, Settings())
    assert batches(plan) == ["r2-1 r2-0", "r1-1", "r1-0", "r3-1", "r3-0"]
    assert [batch.fix for batch in plan.batches] == [True] + [False] * 4
    assert [batch.canary for batch in plan.batches] == [True] + [False] * 4
    assert plan.blockers == ()


def test_nodes_of_several_racks_that_are_down_are_batches_of_their_own() -> None:
    view = views.with_gone(views.with_gone(six(), pod("r2-1")), pod("r3-1"))
    plan = rollout.plan(view, Settings())
    assert batches(plan)[:2] == ["r2-1", "r3-1"]
    assert [batch.canary for batch in plan.batches][:3] == [False, True, False]


def test_those_above_a_node_that_is_down_go_before_it() -> None:
    """A partition releases from the top only; and they share no range with it, being of its rack."""
    plan = rollout.plan(views.with_gone(six(), pod("r2-0")), Settings())
    assert batches(plan) == ["r2-1", "r2-0", "r1-1", "r1-0", "r3-1", "r3-0"]
    first, second = plan.batches[:2]
    assert (first.fix, first.canary, first.down) == (False, True, (pod("r2-0"),))
    assert (second.fix, second.down) == (True, ())


def test_what_is_down_counts_among_those_that_may_be() -> None:
    view = views.with_gone(views.pending(views.whole(per_rack=4)), pod("r1-0"))
    assert batches(rollout.plan(view, replace(NO_CANARY, max_unavailable="2")))[:3] == ["r1-3", "r1-2", "r1-1"]
    assert batches(rollout.plan(view, replace(NO_CANARY, max_unavailable="3")))[:2] == ["r1-3 r1-2", "r1-1"]


def test_where_nothing_is_pending_what_is_down_goes_before_those_above_it() -> None:
    view = views.with_gone(views.pending(views.whole(racks=("r1",), per_rack=3), []), pod("r1-0"))
    plan = rollout.plan(view, Settings(force=True))
    assert batches(plan) == ["r1-0", "r1-2", "r1-1"]
    assert [batch.fix for batch in plan.batches] == [True, False, False]


def test_those_above_are_not_taken_where_that_would_lose_a_quorum() -> None:
    view = views.pending(views.whole(racks=("r1",), per_rack=3))
    plan = rollout.plan(views.with_gone(view, pod("r1-0")), Settings())
    assert plan.batches == ()
    blocker, advice = plan.blockers
    assert advice.endswith("rollout_accept_outage: system_auth")
    assert blocker.startswith("shop-dc1-r1-2 cannot restart now: keyspace system_auth would keep 1 of 3 replicas of ")
    assert "and QUORUM needs 2: bring back" in blocker
    assert set(plan.skipped) == {pod("r1-0"), pod("r1-1"), pod("r1-2")}


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({}, True),
        ({"phase": "Running", "held": "the volume is empty"}, True),
        ({"phase": None, "uid": None, "reason": "it has no pod"}, True),
        ({"phase": "Pending", "reason": "it cannot be scheduled: no room"}, True),
        ({"phase": "Pending", "reason": None, "age": 9.0}, False),
        ({"phase": "Pending", "reason": None, "age": 3600.0}, True),
        ({"phase": "Running", "reason": None, "running_for": 9.0}, False),
        ({"phase": "Running", "reason": None, "running_for": 3600.0}, True),
        ({"phase": "Terminating"}, False),
        ({"phase": "Running", "reason": "its worker w does not answer", "worker_lost": True}, False),
    ],
)
def test_who_is_stuck_goes_first_and_who_only_starts_is_waited_for(changes: dict[str, Any], fix: bool) -> None:
    view = views.with_gone(six(), pod("r3-1"), **changes)
    plan = rollout.plan(view, Settings())
    assert (batches(plan)[0], plan.batches[0].fix) == (("r3-1", True) if fix else ("r1-1", False))
    closed = rollout.before_batch(view, plan.batches[0], Settings())
    assert any(pod("r3-1") in reason for reason in closed) is not fix


def joining(status: str | None = "hibernate", **changes: Any) -> View:
    """Six nodes, one of which streams what it is to hold since an hour: down for all others, and not ready."""
    as_is = {"phase": "Running", "reason": None, "running_for": 3600.0, **changes}
    view = views.with_gone(six(), pod("r3-1"), **as_is)
    address = str(next(node.address for node in view.nodes if node.pod == pod("r3-1")))
    return views.with_endpoint(view, pod("r1-0"), address, status=status)


LOSES = "shop-dc1-r3-1 streams what it is to hold, and would lose it: wait until it serves"


@pytest.mark.parametrize("status", ["hibernate", "BOOT", "BOOT_REPLACE"])
@pytest.mark.parametrize("reason", [None, "its container backup: ImagePullBackOff"])
@pytest.mark.parametrize("running_for", [60.0, 3600.0])
def test_who_joins_is_waited_for_however_long_it_takes(status: str, reason: str | None, running_for: float) -> None:
    """It would be held for good: what it has streamed is part of its data only."""
    view = joining(status, reason=reason, running_for=running_for)
    for chosen in (Settings(), Settings(force=True), Settings(ignore=("streams",))):
        plan = rollout.plan(view, chosen)
        assert not any(batch.fix for batch in plan.batches)
        assert plan.unfinished == (pod("r3-1"),)
        for kind in ({}, {"fix": True}, {"fix": True, "lost": True}):
            told = rollout.before_batch(view, Batch("r3", (pod("r3-1"),), 1, **kind), chosen)  # type: ignore[arg-type]
            assert told[0].startswith(LOSES)
            assert "its streams may have failed: the playbook heal with --check tells" in told[0]
            assert not any("plan again" in reason for reason in told)


@pytest.mark.parametrize(
    "changes",
    [
        {"held": "its replacement died half-way"},
        {"phase": "Crashed", "reason": "CrashLoopBackOff"},
        {"phase": "Pending", "reason": "it cannot be scheduled: no room"},
        {"status": "NORMAL"},
        {"status": "shutdown"},
        {"status": None},
    ],
)
def test_who_does_not_join_any_more_can_be_helped_although_others_say_so_still(changes: dict[str, Any]) -> None:
    view = joining(**changes)
    plan = rollout.plan(view, Settings())
    assert (batches(plan)[0], plan.batches[0].fix, plan.unfinished) == ("r3-1", True, ())
    assert rollout.before_batch(view, plan.batches[0], Settings()) == []


def test_who_crashes_again_and_again_is_not_waited_for_while_it_runs_for_a_moment() -> None:
    view = joining(restarts=4, running_for=20.0)
    plan = rollout.plan(view, Settings())
    assert plan.unfinished == ()
    assert "r3-1" in batches(plan)
    assert rollout.plan(joining(restarts=4), Settings()).unfinished == (pod("r3-1"),), "it runs for an hour"


def test_who_joins_is_not_lost() -> None:
    assert rollout.plan(joining(), without("r3-1")).blockers == ("rollout_without: shop-dc1-r3-1 is not down",)


def test_nothing_restarts_in_a_rack_whose_statefulset_is_gone() -> None:
    view = views.whole(per_rack=2)
    gone = replace(view, racks=tuple(rack for rack in view.racks if rack.name != "r1"))
    for batch in (Batch("r1", (pod("r1-1"),), 1), Batch("r1", (pod("r1-1"),), 1, fix=True)):
        told = rollout.before_batch(gone, batch, Settings(force=True))
        assert told[0].startswith("the StatefulSet of shop-dc1-r1-0, shop-dc1-r1-1 is gone: nobody would make a pod")


def test_a_node_that_is_not_ready_and_alive_is_no_loss_for_free() -> None:
    view = views.with_node(six(), pod("r3-1"), ready=False, reason=None, running_for=3600.0)
    plan = rollout.plan(view, Settings())
    assert not any(batch.fix for batch in plan.batches)


def test_where_nobody_can_be_asked_a_datacenter_without_a_ready_node_can_be_mended() -> None:
    view = views.pending(views.whole(racks=("r1",)))
    view = views.with_node(view, pod("r1-0"), ready=False, running_for=3600.0)
    view = replace(view, observations={}, keyspaces=(), unheard={pod("r1-0"): "nothing listens"})
    plan = rollout.plan(view, Settings())
    assert [batch.fix for batch in plan.batches] == [True]
    assert rollout.before_batch(view, plan.batches[0], Settings()) == []


def test_a_fix_is_off_when_its_node_came_back() -> None:
    view = six()
    (reason,) = rollout.before_batch(view, Batch("r1", (pod("r1-1"),), 1, fix=True), Settings())
    assert reason == "shop-dc1-r1-1 was down and is not any more: plan again"


def test_an_absent_node_counts_only_if_it_would_come_back_at_the_older_revision() -> None:
    gone = {"phase": None, "uid": None, "pending_restart": False, "ready": False}
    view = views.with_node(six(), pod("r1-1"), **gone)
    node = view.node(pod("r1-1"))
    assert node is not None
    assert rollout.needs_restart(view, node)
    released = replace(view, racks=tuple(replace(rack, partition=1) for rack in view.racks))
    assert not rollout.needs_restart(released, node)
    same = replace(view, racks=tuple(replace(rack, current_revision=views.NEW) for rack in view.racks))
    assert not rollout.needs_restart(same, node)


# Nodes that are lost


EMPTY = "this node belongs to the datacenter but its volume is empty"


def held(view: View, *names: str) -> View:
    for name in names:
        view = views.with_gone(view, pod(name), phase="Running", held=EMPTY, reason=None)
    return view


def without(*names: str, **changes: Any) -> Settings:
    return replace(Settings(), without=names, **changes)


def test_a_lost_node_of_the_canarys_rack_does_not_keep_it_from_going_back() -> None:
    view = held(views.pending(views.whole(per_rack=2), [pod("r1-1")]), "r1-0")
    assert any(reason.startswith("shop-dc1-r1-0 is held") for reason in closed(view))
    plan = rollout.plan(view, without("r1-0"))
    assert (batches(plan), plan.blockers, plan.unfinished) == (["r1-1"], (), ())
    assert plan.skipped[pod("r1-0")] == "it is lost, as you said"
    assert closed(view, without=("r1-0",)) == []


def test_a_lost_node_of_another_rack_blocks_what_shares_ranges_with_it_until_that_is_accepted() -> None:
    view = held(views.pending(views.whole(per_rack=2), [pod("r1-1")]), "r2-0")
    plan = rollout.plan(view, without("r2-0"))
    assert plan.batches == ()
    assert plan.blockers[0].startswith("shop-dc1-r1-1 cannot restart now: keyspace system_auth would keep 1 of 3")
    assert plan.blockers[-1] == (
        "if nothing can be brought back, accept that requests at QUORUM fail for some rows of keyspace system_auth "
        "while a node restarts, with rollout_accept_outage: system_auth"
    )
    accepted = without("r2-0", accept_outage=("system_auth",))
    plan = rollout.plan(view, accepted)
    assert (batches(plan), plan.blockers) == (["r1-1"], ())
    assert plan.batches[0].outage == ("system_auth",)
    assert "no order of restarts keeps the quorum of keyspace system_auth: accepted" in plan.batches[0].why
    assert rollout.before_batch(view, plan.batches[0], accepted) == []


def test_accepted_is_only_what_was_named_and_one_node_at_a_time() -> None:
    view = with_keyspaces(held(six(), "r2-0"), keyspace("shop", dc1="3"))
    wanted = without("r2-0", accept_outage=("shop",), max_unavailable="rack", order=("r1",))
    assert rollout.plan(view, wanted).blockers[-1].endswith("rollout_accept_outage: shop,system_auth")
    plan = rollout.plan(view, replace(wanted, accept_outage=("shop", "system_auth")))
    assert (batches(plan), plan.blockers) == (["r2-1", "r2-0", "r1-1", "r1-0", "r3-1", "r3-0"], ())
    assert [len(batch.outage) for batch in plan.batches] == [0, 0, 2, 2, 2, 2]


def test_nobody_else_may_be_down_beside_the_lost() -> None:
    view = held(views.pending(views.whole(per_rack=2), [pod("r1-1")]), "r1-0", "r3-1")
    chosen = without("r1-0", accept_outage=("system_auth",))
    batch = rollout.plan(view, chosen).batches[0]
    assert any(reason.startswith("shop-dc1-r3-1 is held") for reason in rollout.before_batch(view, batch, chosen))


def test_a_lost_node_gets_the_change_too_and_nobody_waits_for_it() -> None:
    """Its replacement must run what the others run; those below it in its rack come after it."""
    view = held(views.pending(views.whole(per_rack=2), [pod("r3-1"), pod("r3-0")]), "r3-1")
    plan = rollout.plan(view, without("r3-1"))
    assert batches(plan) == ["r3-1", "r3-0"]
    first, second = plan.batches
    assert (first.lost, first.fix, first.canary) == (True, True, False)
    assert (second.lost, second.fix, second.down) == (False, False, (pod("r3-1"),))
    assert rollout.before_batch(view, first, without("r3-1")) == []
    # Once its rack's partition lets it go, it is not begun again, even if its pod cannot end.
    view = replace(view, racks=tuple(replace(rack, partition=1) for rack in view.racks))
    assert batches(rollout.plan(view, without("r3-1"))) == ["r3-0"]
    assert rollout.plan(views.with_node(view, pod("r3-1"), phase="Terminating"), without("r3-1")).unfinished == ()


def test_who_is_lost_is_down_and_known() -> None:
    plan = rollout.plan(held(six(), "r2-0"), without("r2", "r9"))
    assert plan.blockers[:2] == (
        "rollout_without: there is no rack or node r9",
        "rollout_without: shop-dc1-r2-1 is not down",
    )
    # Its worker is cut off from Kubernetes, and Cassandra goes on there.
    plan = rollout.plan(views.with_node(six(), pod("r2-1"), phase="Terminating", ready=False), without("r2-1"))
    assert plan.blockers == ("rollout_without: shop-dc1-r2-1 is not down",)


# Replication


def test_batches_are_as_large_as_every_keyspace_allows() -> None:
    """Five replicas in three racks: two nodes of a rack may hold the same range."""
    view = with_keyspaces(views.pending(views.whole(per_rack=3)), keyspace("shop", dc1="7"))
    plan = rollout.plan(view, BY_RACK)
    assert len(plan.batches) == 3
    view = with_keyspaces(views.pending(views.whole(racks=("r1", "r2"), per_rack=3)), keyspace("shop", dc1="3"))
    plan = rollout.plan(view, BY_RACK)
    assert len(plan.batches) > 2
    assert plan.batches[0].why == "no more at once: every range of every keyspace keeps its quorum"


def test_two_replicas_block_unless_somebody_takes_it_upon_himself() -> None:
    view = with_keyspaces(six(), keyspace("shop", dc1="2"), keyspace("games", dc1="2"))
    assert rollout.plan(view, Settings()).blockers == (
        "keyspaces games, shop: with 2 replicas, QUORUM needs 2 and fails while one of its nodes restarts; give them 3 "
        "replicas and repair, or accept it with rollout_low_rf: warn",
    )
    plan = rollout.plan(view, Settings(low_rf="warn"))
    assert plan.warnings == (
        "keyspaces games, shop: with 2 replicas, QUORUM needs 2 and fails while one of its nodes restarts",
    )
    assert plan.blockers == ()
    ignored = rollout.plan(view, Settings(low_rf="ignore"))
    assert (ignored.blockers, ignored.warnings) == ((), ())


def test_one_replica_is_told_as_what_it_is() -> None:
    view = with_keyspaces(six(), keyspace("shop", dc1="1"))
    (blocker,) = rollout.plan(view, Settings()).blockers
    assert blocker.startswith(
        "keyspace shop: with 1 replica, its rows on a node can be neither read nor written while "
    )


def test_warned_of_keyspaces_lose_one_replica_at_a_time() -> None:
    view = with_keyspaces(views.pending(views.whole(racks=("r1",), per_rack=4)), keyspace("shop", dc1="2"))
    view = replace(view, keyspaces=view.keyspaces[-1:])
    warned = rollout.plan(view, replace(BY_RACK, low_rf="warn"))
    assert len(warned.batches) > 1
    assert batches(rollout.plan(view, replace(BY_RACK, low_rf="ignore"))) == ["r1-3 r1-2 r1-1 r1-0"]


def test_traces_and_histories_never_stand_in_the_way() -> None:
    view = with_keyspaces(
        six(),
        Keyspace("system_traces", {"class": "SimpleStrategy", "replication_factor": "2"}),
        Keyspace("system_distributed", {"class": "SimpleStrategy", "replication_factor": "3"}),
    )
    plan = rollout.plan(view, BY_RACK)
    assert (len(plan.batches), plan.blockers, plan.warnings) == (3, (), ())


@pytest.mark.parametrize("size", [1, 2])
def test_logins_that_every_node_holds_do_not_block_a_tiny_datacenter(size: int) -> None:
    view = views.pending(views.whole(racks=("r1",), per_rack=size))
    view = replace(view, keyspaces=(keyspace("system_auth", dc1=str(size)),))
    plan = rollout.plan(view, Settings())
    assert plan.blockers == ()
    assert [warning.startswith("keyspace system_auth: with ") for warning in plan.warnings] == [True]
    assert rollout.before_batch(view, plan.batches[0], Settings()) == []


def test_logins_with_too_few_replicas_block_where_there_are_nodes_for_more() -> None:
    view = replace(six(), keyspaces=(keyspace("system_auth", dc1="1"),))
    assert "rollout_low_rf" in rollout.plan(view, Settings()).blockers[0]


def test_keyspaces_of_other_datacenters_do_not_count_here() -> None:
    view = with_keyspaces(six(), keyspace("reports", dc2="1"))
    assert rollout.plan(view, Settings()).blockers == ()


def test_a_datacenter_that_is_gone_and_still_named_is_told() -> None:
    view = with_keyspaces(six(), keyspace("shop", dc1="3", dc9="3"))
    (blocker,) = rollout.plan(view, Settings()).blockers
    assert blocker.startswith(
        "keyspace shop: only 3 of 6 replicas exist: QUORUM fails now, and weaker levels may while"
    )


def test_what_is_only_down_blocks_for_no_keyspace() -> None:
    view = with_keyspaces(views.pending(views.whole(), [pod("r1-0")]), keyspace("shop", dc1="1"))
    assert rollout.plan(views.with_gone(view, pod("r1-0")), Settings()).blockers == ()


# Before a batch


def closed(view: View, **changes: Any) -> list[str]:
    settings = replace(Settings(), **changes)
    return rollout.before_batch(view, rollout.plan(view, settings).batches[0], settings)


def test_before_the_first_batch_nothing_is_amiss() -> None:
    assert closed(six()) == []
    assert closed(six(), max_unavailable="rack") == []


def test_an_unrelated_node_that_is_down_stops_the_rollout() -> None:
    view = views.with_gone(views.pending(views.whole(per_rack=2), [pod("r1-0"), pod("r1-1")]), pod("r3-0"))
    reasons = closed(view)
    assert reasons[0] == (
        "shop-dc1-r3-0 does not run: CrashLoopBackOff; kubectl describe pod, and the pod's log, tell the cause"
    )
    assert any("would keep 1 of 3 replicas" in reason for reason in reasons)


def test_a_node_that_kubernetes_does_not_run_is_down_before_the_others_notice() -> None:
    view = views.with_node(six(), pod("r3-0"), phase="Terminating", ready=False)
    assert any("would keep 1 of 3 replicas" in reason for reason in closed(view))


def test_a_node_that_one_other_sees_down_stops_the_rollout() -> None:
    view = views.with_down(six(), pod("r3-0"), "198.19.0.3")
    reasons = closed(view)
    assert reasons[0].startswith("shop-dc1-r3-0 sees shop-dc1-r2-0 down; wait a minute")


def test_a_batch_that_is_not_ready_still_counts_as_a_loss() -> None:
    """It may serve other nodes, whatever its probe says."""
    view = views.with_gone(six(), pod("r3-0"))
    view = views.with_node(view, pod("r1-1"), ready=False)
    reasons = rollout.before_batch(view, Batch("r1", (pod("r1-1"),), 1, down=(pod("r3-0"),)), Settings())
    assert [reason.partition(" would")[0] for reason in reasons] == ["keyspace system_auth"]


def test_the_batch_itself_may_be_in_any_state() -> None:
    view = views.with_down(six(), pod("r3-0"), "198.19.0.2")
    view = views.with_endpoint(view, pod("r3-0"), "198.19.0.2", status="shutdown")
    assert closed(view) == []


def test_members_of_other_datacenters_count() -> None:
    view = six()
    seen = view.observations[pod("r1-0")]
    stranger = replace(seen.endpoints["198.19.0.1"], address="198.19.9.9", datacenter="dc2", host_id="x", tokens=(5,))
    observations = {
        name: replace(
            each, endpoints={**each.endpoints, "198.19.9.9": stranger}, alive={**each.alive, "198.19.9.9": up}
        )
        for (name, each), up in zip(view.observations.items(), [True, True, True, True, True, False], strict=True)
    }
    (reason, *_more) = closed(replace(view, observations=observations))
    assert reason.startswith("shop-dc1-r3-1 sees 198.19.9.9 of datacenter dc2 down")


def two_datacenters() -> tuple[View, View]:
    """Of one cluster: everybody knows everybody, and something is pending in the first."""
    here, there = views.whole(), views.whole()
    moved = {node.pod: f"198.19.1.{number}" for number, node in enumerate(there.nodes, 1)}
    nodes = tuple(
        replace(node, pod=node.pod.replace("dc1", "dc2"), address=moved[node.pod], host_id=f"far-{node.host_id}")
        for node in there.nodes
    )
    tokens = ring.plan_tokens([(node.rack, [node.pod]) for node in nodes], 4, "shop/dc2")
    members = dict(here.endpoints())
    for node, known in zip(nodes, list(members.values()), strict=True):
        members[str(node.address)] = replace(
            known,
            address=str(node.address),
            datacenter="dc2",
            host_id=str(node.host_id),
            tokens=tokens[node.pod],
        )
    keyspaces = (keyspace("system_auth", dc1="3", dc2="3"),)

    def seen(view: View, listed: Sequence[NodeView]) -> View:
        observations = {node.pod: views.observation(node, members) for node in listed}
        return replace(view, nodes=tuple(listed), observations=observations, keyspaces=keyspaces)

    return views.pending(seen(here, here.nodes)), replace(seen(there, nodes), datacenter="dc2")


def closed_in_two(here: View, there: View) -> list[str]:
    return rollout.before_batch(here, Batch("r1", (pod("r1-0"),), 0), Settings(), [there])


def test_two_datacenters_that_are_well() -> None:
    here, there = two_datacenters()
    assert closed_in_two(here, there) == []
    assert batches(rollout.plan(here, BY_RACK, [there])) == ["r1-0", "r2-0", "r3-0"]
    assert rollout.after_batch(views.pending(here, [pod("r2-0")]), Batch("r1", (pod("r1-0"),), 0), [there]) == []


FAR = "shop-dc2-r1-0"


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (lambda there: views.with_down(there, FAR, "198.19.0.2"), f"{FAR} sees shop-dc1-r2-0 down"),
        (lambda there: views.with_down(there, FAR, "198.19.1.2"), f"{FAR} sees shop-dc2-r2-0 down"),
        (lambda there: views.with_node(there, FAR, ready=False), f"{FAR} is not ready"),
        (lambda there: replace(there, unheard={FAR: "silence"}), f"{FAR} cannot be asked for its view: silence"),
        (lambda there: views.with_endpoint(there, FAR, "198.19.1.1", schema="other"), "2 schema versions"),
        (lambda there: views.with_endpoint(there, FAR, "198.19.1.1", status="LEAVING"), f"{FAR} sees {FAR} as LEAVING"),
        (lambda there: views.with_activity(there, FAR, repairs=(Repair("x"),)), f"{FAR} repairs: x"),
        (
            lambda there: views.with_activity(there, FAR, hints={"host-2": 1}),
            f"{FAR} keeps 1 file of hints for shop-dc1",
        ),
    ],
)
def test_the_gates_look_at_every_datacenter(spoiled: Callable[[View], View], words: str) -> None:
    here, there = two_datacenters()
    (reason, *more) = closed_in_two(here, spoiled(there))
    assert reason.startswith(words)
    assert len(more) <= 1


def test_a_datacenter_that_is_only_known_from_here_counts_too() -> None:
    here, _there = two_datacenters()
    assert rollout.before_batch(here, Batch("r1", (pod("r1-0"),), 0), Settings()) == []
    here = views.with_down(here, pod("r3-0"), "198.19.1.2")
    (reason, *_more) = rollout.before_batch(here, Batch("r1", (pod("r1-0"),), 0), Settings())
    assert reason.startswith("shop-dc1-r3-0 sees 198.19.1.2 of datacenter dc2 down")


def test_a_batch_is_finished_when_the_other_datacenter_sees_it_too() -> None:
    here, there = two_datacenters()
    here = views.pending(here, [pod("r2-0")])
    batch = Batch("r1", (pod("r1-0"),), 0)
    there = views.with_down(there, FAR, "198.19.0.1")
    assert rollout.after_batch(here, batch, [there]) == [f"{FAR} sees shop-dc1-r1-0 down"]


@pytest.mark.parametrize(
    ("changes", "words", "name"),
    [
        (
            {"streams": (Stream("Repair", ("198.19.0.2",), 43),)},
            "shop-dc1-r3-0 streams: Repair with 198.19.0.2",
            "streams",
        ),
        ({"repairs": (Repair("full repair of shop"),)}, "shop-dc1-r3-0 repairs: full repair of shop; wait", "repairs"),
        ({"hints": {"host-1": 2}}, "shop-dc1-r3-0 keeps 2 files of hints for shop-dc1-r1-0", "hints"),
        ({"disk": None}, "the free space of the volume could not be read on shop-dc1-r3-0", "disk"),
        ({"compactions": 1001}, "1001 compactions wait on shop-dc1-r3-0, at most 1000", "compactions"),
    ],
)
def test_soft_gates_say_how_to_go_past_them(changes: dict[str, Any], words: str, name: str) -> None:
    view = views.with_activity(six(), pod("r3-0"), **changes)
    (reason,) = closed(view)
    assert reason.startswith(words)
    assert reason.endswith(f"(or go past it with rollout_ignore: {name})")
    assert closed(view, ignore=(name,)) == []


def test_somebody_who_drains_workers_stops_the_rollout() -> None:
    view = six(budget=Budget("shop-dc1", 0, (pod("r3-1"),)))
    assert closed(view)[0].startswith("shop-dc1-r3-1 is being evicted")
    assert closed(six(budget=Budget("shop-dc1", 0)))[0].startswith("PodDisruptionBudget shop-dc1 allows no disruption")


def test_a_single_node_and_a_single_seed_can_restart() -> None:
    view = views.pending(views.whole(racks=("r1",)))
    view = replace(view, seeds=("198.19.0.1",), keyspaces=(keyspace("system_auth", dc1="1"),))
    assert closed(view) == []


def test_no_batch_while_no_other_seed_is_up() -> None:
    view = replace(six(), seeds=("198.19.0.2", "198.19.7.7"))
    (reason,) = rollout.before_batch(view, Batch("r1", (pod("r1-1"),), 1), Settings())
    assert reason.startswith("no seed is up (198.19.7.7); bring one of them back first")
    assert rollout.before_batch(view, Batch("r2", (pod("r2-1"),), 1), Settings()) == []


# After a batch


def after(view: View) -> list[str]:
    return rollout.after_batch(view, Batch("r1", (pod("r1-1"),), 1))


def finished() -> View:
    """The canary is back at the new revision."""
    return views.pending(views.whole(per_rack=2), [pod(name) for name in ("r1-0", "r2-0", "r2-1", "r3-0", "r3-1")])


def test_a_batch_is_finished_when_everybody_says_so() -> None:
    assert after(finished()) == []


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (six(), "shop-dc1-r1-1 still runs the older revision"),
        (views.with_node(finished(), pod("r1-1"), ready=False), "shop-dc1-r1-1 is not ready"),
        (views.with_down(finished(), pod("r3-1"), "198.19.0.2"), "shop-dc1-r3-1 sees shop-dc1-r1-1 down"),
        (
            views.with_endpoint(finished(), pod("r2-0"), "198.19.0.2", status="shutdown"),
            "shop-dc1-r2-0 sees shop-dc1-r1-1 as shutdown",
        ),
        (
            views.with_endpoint(finished(), pod("r2-0"), "198.19.0.2", serves=False),
            "shop-dc1-r1-1 does not serve clients yet, shop-dc1-r2-0 says",
        ),
        (
            views.with_endpoint(finished(), pod("r2-0"), "198.19.0.2", serves=None),
            "whether shop-dc1-r1-1 serves clients is not known to shop-dc1-r2-0",
        ),
        (views.with_activity(finished(), pod("r1-1"), mode="JOINING"), "shop-dc1-r1-1 says that it is JOINING"),
        (views.with_endpoint(finished(), pod("r1-1"), "198.19.0.2", schema="other"), "2 schema versions"),
    ],
)
def test_what_a_batch_is_waited_for(spoiled: View, words: str) -> None:
    assert any(reason.startswith(words) for reason in after(spoiled))


def test_what_others_do_is_not_waited_for() -> None:
    view = views.with_gone(finished(), pod("r3-0"))
    view = views.with_activity(view, pod("r2-0"), hints={"host-5": 9}, streams=(Stream("x"),), mode="LEAVING")
    assert after(view) == []


def test_hints_for_the_batch_are_waited_for_unless_they_may_be_left_for_later() -> None:
    view = views.with_activity(finished(), pod("r3-0"), hints={"host-2": 1, "host-5": 1})
    batch = Batch("r1", (pod("r1-1"),), 1)
    (reason,) = rollout.caught_up(view, batch, Settings())
    assert reason.startswith("shop-dc1-r3-0 keeps 1 file of hints for shop-dc1-r1-1")
    assert rollout.caught_up(view, batch, Settings(ignore=("hints",))) == []


# Whatever there is


@st.composite
def neighbours(draw: st.DrawFn) -> dict[str, Endpoint]:
    """The members of a second datacenter, or none."""
    racks, per_rack = draw(st.integers(0, 3)), draw(st.integers(1, 2))
    listed = views.nodes(tuple(f"r{rack}" for rack in range(racks)), per_rack)
    return views.endpoints(
        [
            replace(node, address=f"198.19.1.{number}", host_id=f"far-{node.host_id}")
            for number, node in enumerate(listed, 1)
        ],
        datacenter="dc2",
    )


def anywhere(members: Mapping[str, Endpoint], numbers: random.Random) -> dict[str, Endpoint]:
    """The members with other tokens, of one up to four each, as nobody would plan them."""
    return {
        address: replace(
            item, tokens=tuple(numbers.randrange(-(2**63), 2**63) for _number in range(numbers.randint(1, 4)))
        )
        for address, item in members.items()
    }


@st.composite
def clusters(draw: st.DrawFn) -> tuple[View, Settings]:
    """A datacenter of some racks, perhaps with a neighbour, with keyspaces, pending changes and nodes that do not run.

    Its tokens are those of a plan, or any.
    """
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    nodes_of = {f"r{rack}": size for rack, size in enumerate(sizes)}
    view = views.whole(racks=tuple(nodes_of))
    every = views.nodes(tuple(nodes_of), max(sizes))
    listed = tuple(node for node in every if node.ordinal < nodes_of[node.rack])
    far = draw(neighbours())
    members = {**views.endpoints(listed), **far}
    if draw(st.booleans()):
        members = anywhere(members, random.Random(draw(st.integers(0, 2**32))))
    factors = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    strategies = draw(st.lists(st.booleans(), min_size=len(factors), max_size=len(factors)))
    there = draw(st.lists(st.integers(0, 3 if far else 0), min_size=len(factors), max_size=len(factors)))
    keyspaces = tuple(
        keyspace(f"ks{number}", dc1=str(factor), **({"dc2": str(more)} if more else {}))
        if topology
        else Keyspace(f"ks{number}", {"class": "SimpleStrategy", "replication_factor": str(factor)})
        for number, (factor, topology, more) in enumerate(zip(factors, strategies, there, strict=True))
    )
    view = replace(
        view,
        nodes=listed,
        keyspaces=keyspaces,
        observations={node.pod: views.observation(node, members) for node in listed},
        seeds=tuple(str(node.address) for node in listed if node.ordinal == 0),
    )
    names = [node.pod for node in listed]
    view = views.pending(view, draw(st.sets(st.sampled_from(names), min_size=1).map(sorted)))
    gone = draw(st.sets(st.sampled_from(names), max_size=2).map(sorted)) if draw(st.booleans()) else []
    for name in gone:
        view = views.with_gone(view, name)
    chosen = Settings(
        max_unavailable=draw(st.sampled_from(["rack", "1", "2", "50%"])),
        canary=draw(st.booleans()),
        low_rf=draw(st.sampled_from(rollout.POLICIES)),
        pause_after=draw(st.sampled_from(rollout.PAUSES)),
        without=tuple(draw(st.sets(st.sampled_from(gone)).map(sorted))) if gone else (),
        accept_outage=tuple(draw(st.sets(st.sampled_from([item.name for item in keyspaces])).map(sorted))),
        order=tuple(draw(st.permutations([f"r{rack}" for rack in range(len(sizes))]))) if draw(st.booleans()) else (),
        limit=tuple(draw(st.sets(st.sampled_from([*names, "r0"]), max_size=2).map(sorted))),
    )
    return view, chosen


def levels(item: Keyspace) -> list[dict[str, int]]:
    """The replicas that a client may ask a quorum of: all (QUORUM), and those of each datacenter (LOCAL_QUORUM)."""
    factors = dict(ring.replication_factors(item.replication))
    return [factors] if len(factors) == 1 else [factors, *({name: factor} for name, factor in factors.items())]


def lost(view: View, settings: Settings, before: set[str], after: set[str]) -> list[str]:
    """Keyspaces of which some range is taken below its quorum, gone through range by range."""
    members = view.endpoints()
    tokens = {address: item.tokens for address, item in members.items()}
    racks = {address: item.rack for address, item in members.items()}
    places = {address: item.datacenter for address, item in members.items()}
    found = []
    for item, counted in [(each, counted) for each in view.keyspaces for counted in levels(each)]:
        ranges = ring.replicas(tokens, racks, places, item.replication)
        quorum = sum(counted.values()) // 2 + 1
        # A name that is none is that of SimpleStrategy, which knows no datacenters.
        sizes = {name: sum(name in ("", place) for place in places.values()) for name in counted}
        low = sum(min(factor, sizes[name]) for name, factor in counted.items()) - 1 < quorum
        for _range, nodes in ranges:
            holders = {node for node in nodes if not counted.keys().isdisjoint({"", places[node]})}
            if not holders & after - before:
                continue
            too_many = len(holders & after) > 1 if low else len(holders - after) < quorum
            if too_many and not (low and settings.low_rf == "ignore"):
                found.append(item.name)
    return found


def addresses(view: View, pods: Sequence[str]) -> set[str]:
    return {str(node.address) for node in view.nodes if node.pod in pods}


def restarted(view: View, batch: Batch) -> View:
    """The datacenter after the batch: its nodes are up, at the newest revision."""
    back = {node.pod for node in view.nodes if node.pod in batch.nodes}
    nodes = tuple(
        replace(node, pending_restart=False, phase="Running", ready=True, reason=None, revision=views.NEW)
        if node.pod in back
        else node
        for node in view.nodes
    )
    members = view.endpoints() or views.endpoints(nodes)
    up = {**dict.fromkeys(members, True), **{str(node.address): rollout.is_well(node) for node in nodes}}
    observations = {
        node.pod: replace(views.observation(node, members), alive=up) for node in nodes if rollout.is_well(node)
    }
    return replace(view, nodes=nodes, observations=observations)


def released(view: View, batch: Batch) -> View:
    """The datacenter after a batch of lost nodes: they are down at the newest revision."""
    nodes = tuple(
        replace(node, pending_restart=False, revision=views.NEW) if node.pod in batch.nodes else node
        for node in view.nodes
    )
    racks = tuple(replace(rack, partition=batch.partition) if rack.name == batch.rack else rack for rack in view.racks)
    return replace(view, nodes=nodes, racks=racks)


@settings(max_examples=150, deadline=None)
@given(clusters())
def test_no_batch_of_a_plan_takes_a_range_below_its_quorum(given_cluster: tuple[View, Settings]) -> None:
    view, chosen = given_cluster
    plan = rollout.plan(view, chosen)
    assert plan == rollout.plan(view, chosen)
    assert len({pod for batch in plan.batches for pod in batch.nodes}) == sum(
        len(batch.nodes) for batch in plan.batches
    )
    for batch in plan.batches:
        assert {node.rack for node in view.nodes if node.pod in batch.nodes} == {batch.rack}
        if not batch.fix:
            before = addresses(view, batch.down)
            short_of = lost(view, chosen, before, before | addresses(view, batch.nodes))
            assert set(short_of) <= set(batch.outage) <= set(chosen.accept_outage)
            assert len(batch.nodes) == 1 or not batch.outage


@settings(max_examples=100, deadline=None)
@given(clusters())
def test_batches_release_each_rack_from_the_top(given_cluster: tuple[View, Settings]) -> None:
    view, chosen = given_cluster
    left = {
        rack: [node.pod for node in sorted(view.nodes, key=lambda node: -node.ordinal) if node.rack == rack]
        for rack in {node.rack for node in view.nodes}
    }
    waiting = {
        rack: [pod for pod in pods if rollout.needs_restart(view, view.node(pod))]  # type: ignore[arg-type]
        for rack, pods in left.items()
    }
    for batch in rollout.plan(view, chosen).batches:
        count = len(batch.nodes)
        assert tuple(waiting[batch.rack][:count]) == batch.nodes
        assert batch.partition == min(node.ordinal for node in view.nodes if node.pod in batch.nodes)
        waiting[batch.rack] = waiting[batch.rack][count:]


@settings(max_examples=100, deadline=None)
@given(clusters())
def test_a_rollout_that_its_gates_let_through_keeps_every_quorum_and_ends(
    given_cluster: tuple[View, Settings],
) -> None:
    """As a run does it: plan, ask the gates, restart the first batch, plan again."""
    view, chosen = given_cluster
    for _batch in range(2 * len(view.nodes) + 1):
        plan = rollout.plan(view, chosen)
        if not plan.batches or (plan.blockers and not plan.batches[0].fix):
            break
        batch = plan.batches[0]
        if rollout.before_batch(view, batch, chosen):
            assert any(not rollout.is_well(node) for node in view.nodes)
            return
        down = {str(node.address) for node in view.nodes if not rollout.is_well(node)}
        assert set(lost(view, chosen, down, down | addresses(view, batch.nodes))) <= set(chosen.accept_outage)
        view = released(view, batch) if batch.lost else restarted(view, batch)
        assert batch.lost or rollout.after_batch(view, batch) == []
    plan = rollout.plan(view, chosen)
    assert plan.blockers or not plan.batches


@settings(max_examples=100, deadline=None)
@given(st.integers(3, 5), st.integers(1, 4))
def test_as_many_batches_as_racks_where_every_rack_has_a_replica(racks: int, per_rack: int) -> None:
    view = views.pending(views.whole(racks=tuple(f"r{rack}" for rack in range(racks)), per_rack=per_rack))
    view = replace(view, keyspaces=(keyspace("shop", dc1=str(racks)), keyspace("system_auth", dc1=str(racks))))
    plan = rollout.plan(view, BY_RACK)
    assert len(plan.batches) == racks
    assert plan.blockers == ()
