# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_scaling import Scaling

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool, observe, restoring
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError, SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import WorkerUnreachable
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests.common import labels_of
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    cleanup,
    compacting,
    datacenter,
    datacenter_info,
    node_decommission,
    rack,
    scale,
    streaming,
    unfinished,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.plan import Plan, plan_name

OLD = [f"shop-dc1-r{number}-0" for number in (1, 2, 3)]
LAST = "shop-dc1-r1-1"
LABELS = labels_of("shop", "dc1")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Scaling:
    monkeypatch.setattr(streaming, "LOOK_AGAIN", -1.0)
    return Scaling.deployed(monkeypatch)


# --- cleanup ----------------------------------------------------------------------------------------------------------


def test_those_that_lost_ranges_are_cleaned(world: Scaling) -> None:
    world.run(scale, 2, cleanup=False)
    assert world.run(cleanup, check=True)["nodes"] == OLD
    assert world.ring.cleaned == []
    assert world.run(cleanup) == {"changed": True, "nodes": OLD, "needs_cleanup": []}
    assert sorted(world.ring.cleaned) == OLD
    assert world.run(cleanup)["changed"] is False


def test_a_run_notes_what_tables_ask_for(world: Scaling) -> None:
    world.ring.tables.append(("shop", 172800))
    world.run(scale, 2, cleanup=False)
    assert world.kube.ledger().gc_grace_seconds == 172800
    assert len(world.kube.ledger().nodes) == 6, "what was read before the nodes were asked is not written over it"
    world.ring.tables[-1] = ("shop", 100000)
    world.run(cleanup)
    assert world.kube.ledger().gc_grace_seconds == 100000


def test_all_of_them_if_asked(world: Scaling) -> None:
    assert world.run(cleanup, all=True)["nodes"] == OLD


def test_one_that_fails_stays_noted(world: Scaling) -> None:
    world.run(scale, 2, cleanup=False)
    world.ring.deaf.add(OLD[1])
    with pytest.raises(Failed, match="cleanup failed: shop-dc1-r2-0") as failure:
        world.run(cleanup)
    assert failure.value.result["needs_cleanup"] == OLD[1:]
    world.ring.deaf.clear()
    assert world.run(cleanup)["nodes"] == OLD[1:]


class Cut:
    """The connection is cut while a node cleans, which goes on for some looks; it must be left alone until then."""

    def __init__(self, world: Scaling, monkeypatch: pytest.MonkeyPatch, pod: str, times: int = 1) -> None:
        self.world = world
        self.pod = pod
        self.times = times
        self.run = nodetool.run
        monkeypatch.setattr(nodetool, "run", self.send)

    def send(self, kube: Any, pod: str, verbs: Any, *rest: Any, **options: Any) -> Any:
        busy = self.world.ring.busy[pod]
        assert not busy.compactions, f"{pod} still cleans"
        told = self.run(kube, pod, verbs, *rest, **options)
        if (pod, verbs[-1][0]) == (self.pod, "cleanup") and self.times:
            self.times -= 1
            busy.compactions = 3
            raise WorkerUnreachable(f"The worker of {pod} does not answer: connection refused")
        return told


def test_a_connection_that_is_lost_is_no_end_of_cleanup(world: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    Cut(world, monkeypatch, OLD[1])
    assert world.run(cleanup, all=True)["needs_cleanup"] == []
    assert sorted(world.ring.cleaned) == sorted([*OLD, OLD[1]])


def test_a_connection_that_is_lost_each_time_is_told(world: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run(scale, 2, cleanup=False)
    Cut(world, monkeypatch, OLD[1], times=compacting.TURNS)
    with pytest.raises(Failed, match="does not answer: connection refused It may go on with cleaning") as failure:
        world.run(cleanup)
    assert failure.value.result["needs_cleanup"] == [OLD[1], OLD[2]]


def test_what_a_killed_run_left_cleaning_is_waited_for(world: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    Cut(world, monkeypatch, OLD[1], times=0)
    world.ring.busy[OLD[1]].compactions = 3
    assert world.run(cleanup, all=True)["changed"] is True


def test_other_work_of_a_node_is_none_to_wait_for(world: Scaling) -> None:
    world.ring.busy[OLD[1]].compactions, world.ring.busy[OLD[1]].compaction = 1, "compaction"
    assert world.run(cleanup, all=True)["changed"] is True


def test_a_node_that_is_down_is_not_waited_for(world: Scaling) -> None:
    world.run(scale, 2, cleanup=False)
    world.ring.down.add(OLD[1])
    told = f"cleanup failed: {OLD[1]}: .*; heal it, then run cleanup again, which takes what is left$"
    with pytest.raises(Failed, match=told) as failure:
        world.run(cleanup)
    assert failure.value.result["needs_cleanup"] == [OLD[1]], "its rack is not the last one"
    assert world.ring.cleaned == [OLD[0], OLD[2]]


def test_those_that_are_down_are_told_together(world: Scaling) -> None:
    world.run(scale, 2, cleanup=False)
    world.ring.down |= {OLD[0], OLD[1]}
    with pytest.raises(Failed, match=f"cleanup failed: {OLD[0]}: .*; {OLD[1]}: .*; heal them, then run") as failure:
        world.run(cleanup)
    assert failure.value.result["needs_cleanup"] == OLD[:2]


def test_a_failure_stops_at_its_rack_also_after_one_that_is_down(world: Scaling) -> None:
    world.run(scale, 2, cleanup=False)
    world.ring.down.add(OLD[0])
    world.ring.deaf.add(OLD[1])
    with pytest.raises(Failed, match=f"cleanup failed: {OLD[0]}: .*; {OLD[1]}: .*Failed to connect") as failure:
        world.run(cleanup)
    assert failure.value.result["needs_cleanup"] == OLD


# --- one step, one node -----------------------------------------------------------------------------------------------


def test_a_rack_goes_one_step(world: Scaling) -> None:
    result = world.run(rack, 3, name="r1", nodes=3)
    assert [each["node"] for each in result["moved"]] == [LAST]
    assert result["left"][0] == "r1-2 joins"
    world.assert_whole({"r1": 2, "r2": 1, "r3": 1})
    result = world.run(rack, 3, name="r1", nodes=1)
    assert [(each["node"], each["step"]) for each in result["moved"]] == [(LAST, "leave")]
    world.assert_whole()
    assert world.run(rack, 3, name="r1", nodes=1)["changed"] is False


@pytest.mark.parametrize(
    ("name", "nodes", "words"),
    [("r9", 1, "r9 is none of the racks that are described"), ("r1", -1, "must not be less than 0")],
)
def test_a_rack_that_cannot_be(world: Scaling, name: str, nodes: int, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        world.run(rack, name=name, nodes=nodes)


def test_a_node_leaves_and_again_is_nothing_to_do(world: Scaling) -> None:
    world.run(scale, 2)
    assert world.run(node_decommission, check=True, name="r1-1")["left"][-1] == "r1-1 leaves"
    result = world.run(node_decommission, name="r1-1")
    assert [each["node"] for each in result["moved"]] == [LAST]
    world.assert_whole({"r1": 1, "r2": 2, "r3": 2})
    assert world.run(node_decommission, name="r1-1")["changed"] is False


def note(world: Scaling, name: str, plan: Any) -> None:
    world.kube.put({"kind": "ConfigMap", "metadata": {"name": name, "labels": LABELS}, "data": plan.to_data()})


@pytest.mark.parametrize(("pod", "stays"), [(LAST, False), (OLD[0], True)])
def test_one_that_leaves_takes_its_unfinished_replacement_along(world: Scaling, pod: str, stays: bool) -> None:
    """It would keep others from being replaced, and take the next node of that name for the one that was replaced."""
    world.run(scale, 2)
    name = plan_name("shop", "dc1")
    note(world, name, Plan(pod, "198.19.0.1", "host", "tokens"))
    world.run(node_decommission, name="r1-1")
    assert (("ConfigMap", name) in world.kube.objects) is stays


def test_nobody_comes_or_leaves_beside_a_restore(world: Scaling) -> None:
    plan = restoring.Plan("id", "wish", restoring.SWAP, "b1", "shop", "dc1", (), step="prove", began=1764000000.0)
    note(world, restoring.plan_name("shop", "dc1"), plan)
    with pytest.raises(CassopsError, match=r"restore of backup b1 that began at 2025-11-24 .* \(step prove\) is not"):
        world.run(scale, 2)
    world.assert_whole({"r1": 1, "r2": 1, "r3": 1})
    assert [each["advice"] for each in told(world)] == [unfinished.AGAIN.format("restore")]


@pytest.mark.parametrize(
    ("wished", "advice"),
    [(True, unfinished.AGAIN.format("scale")), (False, "run the playbook heal, which finishes it")],
)
def test_status_tells_of_a_replacement_that_is_not_finished(world: Scaling, wished: bool, advice: str) -> None:
    plan = Plan(OLD[0], "198.19.0.1", "host", "tokens", began=1764000000.0, wished=wished)
    note(world, plan_name("shop", "dc1"), plan)
    problem = f"the replacement of {OLD[0]} that began at 2025-11-24 16:00:00 UTC is not finished"
    assert told(world) == [{"problem": problem, "advice": advice}]


def test_a_plan_that_cannot_be_read_hides_nothing_else(world: Scaling) -> None:
    metadata = {"name": restoring.plan_name("shop", "dc1"), "labels": LABELS}
    world.kube.put({"kind": "ConfigMap", "metadata": metadata, "data": {"plan": "{"}})
    world.ring.down.add(OLD[1])
    problems = [each["problem"] for each in world.run(datacenter_info)["datacenter"]["problems"]]
    assert problems[0].startswith("ConfigMap shop-dc1-restore cannot be read")
    assert any(OLD[1] in text for text in problems[1:])


def told(world: Scaling) -> list[dict[str, str]]:
    return unfinished.problems(observe.objects(cast(Kube, world.kube), "shop", "dc1"), "shop", "dc1")


def test_only_the_highest_of_a_rack_leaves(world: Scaling) -> None:
    world.run(scale, 2)
    with pytest.raises(CassopsError, match="a StatefulSet gives up its highest number first"):
        world.run(node_decommission, name="r1-0")


def test_nobody_leaves_that_replicas_need(world: Scaling) -> None:
    with pytest.raises(CassopsError, match="keyspace shop keeps 3 replicas"):
        world.run(node_decommission, name="r1-0")


@pytest.mark.parametrize("check", [False, True])
def test_nobody_comes_or_leaves_while_a_rollout_is_half_way(world: Scaling, check: bool) -> None:
    """Another number of places would move the partition: nodes that the rollout has reached would come back as before.

    Refused at every entrance.
    """
    world.run(scale, 3)
    for name in ("r1", "r2", "r3"):
        patch = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1 if name == "r1" else 3}}}}
        world.kube.patch("StatefulSet", f"shop-dc1-{name}", patch)
    since = len(world.kube.writes)
    words = "a rollout of rack r1 is half way: finish it with the playbook restart first"
    for operation, options in (
        (node_decommission, {"name": "r1-2"}),
        (scale, {"racks": 2}),
        (scale, {"racks": 4}),
        (rack, {"racks": 3, "name": "r1", "nodes": 2}),
    ):
        with pytest.raises(CassopsError, match=words):
            world.run(operation, check=check, **options)
    assert world.writes(since) == []
    assert datacenter.partition(world.kube.one("StatefulSet", "shop-dc1-r1")) == 1
