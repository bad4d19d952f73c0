# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import OFF, OPEN
from unit.plugins.module_utils.fake_kube import FakeKube
from unit.plugins.module_utils.operations.rolling import CHANGED, OPTIONS, Rolling

from ansible_collections.cassops.kubernetes.plugins.module_utils import observe, upgrade
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError, SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import WorkerUnreachable
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Lock, Locked
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    node_restart,
    patience,
    resizing,
    rollout,
    rollout_plan,
    unreadable,
    unused,
    waiting,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.cluster import Cluster, Sight
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.datacenter import Deployment
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.patience import NO_LOG

FIRST, SECOND = "shop-dc1-r1-1", "shop-dc1-r1-0"
FAR = "shop-dc1-r3-0"
WRONG = {"config": {"concurrent_reads": 1}}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Rolling:
    return Rolling.deployed(monkeypatch)


@pytest.fixture
def pending(world: Rolling) -> Rolling:
    """Every node waits for a changed configuration."""
    world.deploy(**CHANGED)
    return world


Worlds = Callable[..., Rolling]


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Worlds:
    """Makes datacenters; the clients lead to the one that was made last."""
    return lambda per_rack=1, **changes: Rolling.deployed(monkeypatch, per_rack, **changes)


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_in_a_large_datacenter_the_nodes_of_a_batch_are_asked_too(worlds: Worlds) -> None:
    """More than twelve nodes: a look asks three a rack, and this one is none of them."""
    world, last = worlds(5), "shop-dc1-r2-4"
    world.ring.busy[last].pools["CompactionExecutor"] = (1, 5000)
    with pytest.raises(CassopsError, match=f"500. compactions wait on {last}"):
        world.roll(force=True, limit=["r2-4"])
    assert not world.kube.made


def test_what_is_pending_reaches_every_node(pending: Rolling) -> None:
    result = pending.roll()
    assert result["changed"] is True
    assert result["restarted"] == [f"shop-dc1-r{rack}-{ordinal}" for rack in (1, 2, 3) for ordinal in (1, 0)]
    assert [batch["canary"] for batch in result["batches"]] == [True] + [False] * 5
    assert (result["pending_restart"], result["paused"]) == ([], False)
    assert set(pending.kube.made.values()) == {1}
    assert pending.most_nodes == 1
    pending.assert_whole()


def test_what_nodes_said_when_a_batch_was_back_opens_the_gates_of_the_next(
    pending: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    ask = Cluster.ask

    def count(self: Cluster, *args: Any, **options: Any) -> Sight:
        asked.append(sum(pending.kube.made.values()))
        return ask(self, *args, **options)

    monkeypatch.setattr(Cluster, "ask", count)
    batches = len(pending.roll(soak=0)["batches"])
    assert asked == list(range(batches + 1)), "once at first, and once when each batch is back"


def test_what_nodes_said_some_seconds_ago_opens_nothing(pending: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask = Cluster.ask

    def late(self: Cluster, *args: Any, **options: Any) -> Sight:
        asked.append("all")
        return replace(ask(self, *args, **options), asked=time.monotonic() - 10)

    monkeypatch.setattr(Cluster, "ask", late)
    batches = len(pending.roll(soak=0)["batches"])
    assert len(asked) == 1 + 3 * batches, "when each batch is back, and again before the next one and at its gates"


def test_the_first_batch_is_not_restarted_by_an_old_look(pending: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes before it may have waited for long, and a node may have gone down meanwhile."""
    note = rollout.Rollout.note

    def long_after(self: Any, *args: Any) -> None:
        monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 60)
        pending.ring.down.add(FAR)
        note(self, *args)

    monkeypatch.setattr(rollout.Rollout, "note", long_after)
    uids = pending.uids()
    with pytest.raises(CassopsError, match="the gates before"):
        pending.roll()
    assert pending.uids() == uids


def test_nothing_pending_is_nothing_to_do(world: Rolling) -> None:
    writes = len(world.kube.writes)
    result = world.roll()
    assert (result["changed"], result["restarted"]) == (False, [])
    assert world.writes(writes) == []


def test_a_second_run_changes_nothing(pending: Rolling) -> None:
    pending.roll()
    uids, writes = pending.uids(), len(pending.kube.writes)
    assert pending.roll()["changed"] is False
    assert pending.uids() == uids
    assert pending.writes(writes) == []


def test_the_next_deploy_has_nothing_to_do(pending: Rolling) -> None:
    result = pending.roll()
    (removed,) = result["removed"]
    assert removed.startswith("delete ConfigMap shop-dc1-config-")
    assert pending.deploy(**CHANGED)["changes"] == []


def test_what_nodes_may_come_back_with_stays(pending: Rolling) -> None:
    """The others run what was before, as long as a rollout pauses."""
    assert pending.roll(pause_after="canary")["removed"] == []
    assert pending.deploy(**CHANGED)["changes"] == []
    (removed,) = pending.roll()["removed"]
    assert removed.startswith("delete ConfigMap shop-dc1-config-")


def test_what_a_run_left_that_was_killed_at_its_end_is_foreseen_and_taken_away(
    pending: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(unused, "remove", lambda *_args: iter(()))
        pending.roll()
    foreseen = pending.roll(check=True)
    (removed,) = foreseen["removed"]
    assert removed in pending.shown
    assert foreseen["changed"] is True
    assert pending.roll()["removed"] == [removed]
    assert (pending.roll(check=True)["changed"], pending.roll()["changed"]) == (False, False)


def test_check_mode_of_a_deploy_foresees_configuration_that_nobody_uses_any_more(pending: Rolling) -> None:
    """The change is taken back before a node had it."""
    foreseen = pending.deploy(check=True)["changes"]
    assert [change for change in foreseen if change.startswith("delete ConfigMap shop-dc1-config-")]
    assert pending.deploy()["changes"] == foreseen


def test_rack_by_rack(pending: Rolling) -> None:
    pending.kube.slow = 3
    result = pending.roll(max_unavailable="rack", canary=False)
    assert [len(batch["nodes"]) for batch in result["batches"]] == [2, 2, 2]
    assert (pending.most_racks, pending.most_nodes) == (1, 2)
    pending.assert_whole()
    deleted = [what.removeprefix("delete Pod ") for what in pending.kube.writes if what.startswith("delete Pod ")]
    assert deleted[:2] == [FIRST, SECOND], "from the top, as Kubernetes does"


def test_the_canary_comes_alone(pending: Rolling) -> None:
    result = pending.roll(max_unavailable="rack")
    assert [batch["nodes"] for batch in result["batches"]][:2] == [[FIRST], [SECOND]]


def test_progress_tells_batch_node_and_what_it_does(pending: Rolling) -> None:
    pending.roll()
    assert "batch 1 of 6: r1-1 restarting" in pending.said
    assert any(text.startswith("batch 2 of 6, about ") and " left: r1-0 restarting" in text for text in pending.said)
    assert not any("shop-dc1-" in text for text in pending.said if "ConfigMap" not in text)


def test_the_diff_tells_what_nodes_run(pending: Rolling) -> None:
    before = pending.roll(check=True, diff=True)["diff"]
    assert before["before"] != before["after"]
    after = pending.roll(diff=True)["diff"]
    assert after["after"] == before["after"]


# --- forced -----------------------------------------------------------------------------------------------------------


def test_forced_restarts_every_node_once(world: Rolling) -> None:
    revisions = world.revisions()
    assert len(world.roll(force=True)["restarted"]) == 6
    assert set(world.kube.made.values()) == {1}
    assert world.revisions() == revisions
    world.assert_whole()
    assert world.roll()["changed"] is False


def test_forced_again_restarts_all_again(world: Rolling) -> None:
    world.roll(force=True)
    world.roll(force=True)
    assert set(world.kube.made.values()) == {2}


def test_one_node_alone_may_be_forced(world: Rolling) -> None:
    """Nothing is pending, so Kubernetes need not release the nodes above it."""
    assert world.roll(force=True, limit="r2-1")["restarted"] == ["shop-dc1-r2-1"]


def test_a_forced_rollout_that_was_interrupted_long_ago_is_forgotten(world: Rolling) -> None:
    world.kube.patch(
        "ConfigMap", "shop-dc1-ledger", {"metadata": {"annotations": {rollout.FORCED_SINCE: "2020-01-01T00:00:00Z"}}}
    )
    assert len(world.roll(force=True)["restarted"]) == 6


DAY = 86400.0


def test_a_forced_rollout_that_takes_longer_than_a_day_is_gone_on_with(world: Rolling) -> None:
    """Its last batch tells how long ago it was interrupted, and not its beginning."""
    world.roll(force=True, pause_after="canary")
    world.kube.clock += 0.9 * DAY
    second = world.roll(force=True, pause_after="rack")["restarted"]
    world.kube.clock += 0.9 * DAY
    left = {*world.nodes} - {FIRST, *second}
    assert second
    assert {*world.roll(force=True)["restarted"]} == left
    world.assert_whole()


def test_one_that_was_killed_before_its_first_batch_was_done_is_gone_on_with(world: Rolling) -> None:
    """Such is also the note of an older version."""
    world.roll(force=True, pause_after="canary")
    world.kube.patch("ConfigMap", "shop-dc1-ledger", {"metadata": {"annotations": {rollout.FORCED_UNTIL: None}}})
    world.kube.clock += 0.9 * DAY
    assert {*world.roll(force=True)["restarted"]} == {*world.nodes} - {FIRST}


def test_a_forced_rollout_is_forgotten_a_day_after_its_last_batch(world: Rolling) -> None:
    world.roll(force=True, pause_after="canary")
    world.kube.clock += 1.1 * DAY
    assert {*world.roll(force=True)["restarted"]} == {*world.nodes}


def test_a_forced_rollout_that_another_change_came_after_begins_anew(world: Rolling) -> None:
    """What the change restarted was restarted before whatever the next forced one is for."""
    world.roll(force=True, pause_after="canary")
    assert world.roll()["restarted"] == []
    assert rollout.FORCED_SINCE in world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"]["annotations"]
    world.deploy(**CHANGED)
    assert len(world.roll()["restarted"]) == 6
    assert len(world.roll(force=True)["restarted"]) == 6


def test_a_forced_rollout_that_is_gone_on_with_names_what_is_done(world: Rolling) -> None:
    world.roll(force=True, pause_after="canary")
    assert sorted(world.roll(force=True)["restarted"]) == sorted({*world.nodes} - {FIRST})
    (told,) = [text for text in world.said if text.startswith("going on with the forced rollout that began at ")]
    assert told.endswith(": r1-1 restarted since then")


def test_a_check_of_a_forced_rollout_that_is_under_way_tells_what_is_left(world: Rolling) -> None:
    world.roll(force=True, pause_after="canary")
    left = {*world.nodes} - {FIRST}
    for plan in (world.roll(check=True, force=True), world.run(rollout_plan, force=True)):
        assert {pod for batch in plan["batches"] for pod in batch["nodes"]} == left
    assert {*world.roll(force=True)["restarted"]} == left


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per_rack", "options"),
    [
        (1, {}),
        (2, {"max_unavailable": "rack", "canary": False}),
        (1, {"force": True}),
        (2, {"force": True, "max_unavailable": "rack", "canary": False}),
    ],
    ids=["pending", "pending, by rack", "forced", "forced, by rack"],
)
def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    worlds: Worlds, per_rack: int, options: dict[str, Any]
) -> None:
    """No node restarts twice."""

    def begun() -> Rolling:
        made = worlds(per_rack)
        if not options.get("force"):
            made.deploy(**CHANGED)
        return made

    undisturbed = begun()
    before = len(undisturbed.kube.writes)
    undisturbed.roll(**options)
    writes = undisturbed.kube.writes[before:]
    # A forced run that was killed behind its last note was finished: another forced one is another.
    ends = [place for place, what in enumerate(writes) if what == "patch ConfigMap shop-dc1-ledger"]
    count = ends[-1] if options.get("force") else len(writes)
    assert count > len(undisturbed.nodes)
    for lives in range(count):
        world = begun()
        assert world.killed(lives, lambda world=world: world.roll(**options)), lives  # type: ignore[misc]
        world.roll(**options)
        world.assert_whole()
        assert set(world.kube.made.values()) == {1}, (lives, world.kube.made)
        if lives % 5 == 0:
            assert world.roll()["changed"] is False, lives


def test_runs_that_are_killed_again_and_again(worlds: Worlds) -> None:
    for step in (7, 9, 13):
        world = worlds(2)
        world.deploy(**CHANGED)
        turns = 0
        while world.killed(step, world.roll):
            turns += 1
            assert turns < 100
        world.assert_whole()


def test_what_a_killed_run_had_only_released_is_held_back(pending: Rolling) -> None:
    """Kubernetes would restart it by itself, whatever the gates say; of two it has begun with the first."""
    pending.kube.slow = 50
    pending.kube.patch("StatefulSet", "shop-dc1-r1", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    pending.kube.ring.down.add(FAR)
    with pytest.raises(CassopsError, match=r"to be well|the gates before"):
        pending.roll(max_unavailable="rack", canary=False, wait_timeout=0, gate_timeout=0)
    assert pending.kube.made == {FIRST: 1}
    assert pending.partitions() == [1, 2, 2]
    pending.kube.slow = 1
    pending.kube.ring.down.discard(FAR)
    pending.most_racks = 0
    pending.roll(max_unavailable="rack", canary=False)
    pending.assert_whole()
    assert set(pending.kube.made.values()) == {1}


@pytest.mark.parametrize("lives", range(12))
@pytest.mark.parametrize("force", [True, False], ids=["forced", "pending"])
def test_a_run_that_is_killed_while_pods_end_is_finished_by_the_next(worlds: Worlds, force: bool, lives: int) -> None:
    """They close CQL and drain for longer than the gates are waited for."""
    world = worlds(3)
    if not force:
        world.deploy(**CHANGED)
    world.kube.slow_end = 30
    options = {"max_unavailable": "rack", "canary": False, "force": force}
    assert world.killed(lives, lambda: world.roll(**options))
    # Another rack first: what the killed run began with comes before all the same.
    world.roll(**options, order="r3", gate_timeout=0)
    world.assert_whole()
    assert set(world.kube.made.values()) == {1}


def test_a_module_that_runs_while_a_pod_ends_waits_for_it(pending: Rolling) -> None:
    pending.kube.slow_end = 30
    pending.kube.end(FIRST)
    assert pending.run(node_restart, nodes=[FIRST], gate_timeout=0)["nodes"] == [FIRST]
    assert pending.kube.made == {FIRST: 2}, "it was ended by hand, and came back as it was"


def test_a_drain_that_the_grace_period_has_cut_off_is_told(pending: Rolling) -> None:
    """Of a pod that is gone nothing tells how it ended."""
    pending.kube.slow_end, pending.kube.grace = 6, 3
    pending.roll(limit=["r1"])
    killed = [text for text in pending.warnings if "so Kubernetes has killed it" in text]
    assert [text.partition(" ")[0] for text in killed] == [FIRST, "shop-dc1-r1-0"]
    assert any("r1-1 has not ended within its grace period" in line for line in pending.said)


def test_a_drain_that_ends_in_time_is_not_told(pending: Rolling) -> None:
    pending.kube.slow_end = 6
    pending.roll(limit=["r1"])
    assert pending.warnings == []


def test_a_pod_that_ends_is_on_its_way(pending: Rolling) -> None:
    """A killed run has deleted it, and it ends still: it comes back released."""
    view = Cluster(OPTIONS, pending.context()).look().view
    (rack,) = [replace(rack, partition=0) for rack in view.racks if rack.name == "r1"]
    ending = [replace(node, phase="Terminating") if node.pod == FIRST else node for node in view.nodes]
    assert node_restart.settled_partition(replace(view, nodes=tuple(ending)), rack) == 1
    assert node_restart.settled_partition(view, rack) == 2


def test_a_second_run_is_refused_while_one_is_on(pending: Rolling) -> None:
    writes = len(pending.kube.writes)
    with Lock(pending.kube, "shop-lock", "ada@elsewhere pid 1"), pytest.raises(Locked, match="ada@elsewhere pid 1"):
        pending.roll()
    assert pending.writes(writes) == []


# --- half way ---------------------------------------------------------------------------------------------------------


def test_a_pause_after_the_canary_and_the_next_run(pending: Rolling) -> None:
    result = pending.roll(pause_after="canary")
    assert (result["restarted"], result["paused"]) == ([FIRST], True)
    assert len(result["pending_restart"]) == 5
    result = pending.roll(pause_after="canary")
    assert (len(result["restarted"]), result["paused"]) == (5, False)
    pending.assert_whole()


def test_a_pause_after_each_rack(pending: Rolling) -> None:
    told = [pending.roll(pause_after="rack", canary=False) for _turn in range(3)]
    assert [each["paused"] for each in told] == [True, True, False]
    assert [{batch["rack"] for batch in each["batches"]} for each in told] == [{"r1"}, {"r2"}, {"r3"}]


def test_half_way_each_pod_comes_back_at_the_revision_that_it_runs(pending: Rolling) -> None:
    pending.roll(pause_after="canary")
    assert pending.partitions() == [1, 2, 2]
    before = pending.revisions()
    for pod in (FIRST, SECOND, FAR):
        pending.comes_back(pod)
    assert pending.revisions() == before


def test_before_anything_began_a_pod_comes_back_at_its_old_revision(pending: Rolling) -> None:
    before = pending.revisions()
    pending.comes_back(FIRST)
    assert pending.revisions() == before


def test_a_deploy_half_way_changes_nothing(pending: Rolling) -> None:
    pending.roll(pause_after="canary")
    uids = pending.uids()
    assert pending.deploy(**CHANGED)["changes"] == []
    assert (pending.partitions(), pending.uids()) == ([1, 2, 2], uids)


def test_half_way_a_deploy_changes_nothing_where_a_webhook_changes_objects(world: Rolling) -> None:
    """As mirrors of registries do: what is there never is as desired, and yet nothing is to be sent."""

    def mirror(item: dict[str, Any]) -> None:
        if item["kind"] == "StatefulSet":
            for container in item["spec"]["template"]["spec"]["containers"]:
                container["image"] = "mirror.example/" + container["image"].removeprefix("mirror.example/")

    world.kube.webhook = mirror
    world.deploy(**CHANGED)
    assert world.deploy(**CHANGED)["changes"] == []
    assert world.deploy(check=True, **CHANGED)["changes"] == []
    world.roll(pause_after="canary")
    uids = world.uids()
    assert world.deploy(**CHANGED)["changes"] == []
    assert (world.partitions(), world.uids()) == ([1, 2, 2], uids)
    somebody = world.kube.objects["StatefulSet", "shop-dc1-r1"]
    somebody["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    (told,) = world.deploy(**CHANGED)["changes"]
    assert "terminationGracePeriodSeconds" in told


def test_a_deploy_of_another_change_half_way_restarts_nothing(pending: Rolling) -> None:
    pending.roll(pause_after="canary")
    uids = pending.uids()
    pending.deploy(config={"concurrent_reads": 32})
    assert (pending.partitions(), pending.uids()) == ([2, 2, 2], uids)
    pending.roll()
    pending.assert_whole()


def upgrading(monkeypatch: pytest.MonkeyPatch, before: str = "4.1.10", deadly: str | None = None) -> Rolling:
    """Two nodes a rack; an upgrade to 5.0 has reached the canary of the first."""
    world = Rolling.deployed(monkeypatch, version=before)
    world.deploy(version="5.0.9")
    if deadly is not None:
        world.kube.deadly.add(deadly)
        with pytest.raises(CassopsError, match="The rollout stops here"):
            world.roll(upgrade=True)
    else:
        world.roll(upgrade=True, pause_after="canary")
    assert world.partitions() == [1, 2, 2]
    return world


@pytest.mark.parametrize(
    ("before", "changes", "way"),
    [
        ("4.0.19", {"version": "5.0.9", **CHANGED}, "finish it with the playbook upgrade. Then change it"),
        ("4.1.10", {"version": "5.0.8"}, "or take it back with the playbook restart and -e rollout_rollback=true"),
        ("4.1.10", {"version": "4.1.10"}, "or take it back with the playbook restart and -e rollout_rollback=true"),
    ],
)
def test_half_way_through_an_upgrade_no_other_template_is_registered(
    monkeypatch: pytest.MonkeyPatch, before: str, changes: dict[str, Any], way: str
) -> None:
    """The canary would come back on the line before: a StatefulSet knows two revisions."""
    world = upgrading(monkeypatch, before)
    writes = world.writes()
    for check in (True, False):
        with pytest.raises(SpecError) as refused:
            world.deploy(check, **changes)
        (told,) = refused.value.errors
        assert told.startswith(f"{FIRST} has Cassandra 5.0.9 already, and the rest of the rack Cassandra {before}: ")
        assert way in told
    assert (world.writes(), world.partitions()) == (writes, [1, 2, 2])
    world.comes_back(FIRST)
    assert world.ring.members[FIRST].version == "5.0.9"
    assert world.deploy(version="5.0.9")["changes"] == []
    assert len(world.roll(upgrade=True)["restarted"]) == 5
    world.deploy(version="5.0.9", **CHANGED)
    world.roll()
    world.assert_whole()


def test_half_way_through_an_upgrade_a_deploy_gives_a_place_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """With kubectl scale the place was taken from the canary."""
    world = upgrading(monkeypatch, "4.0.19")
    world.kube.patch("StatefulSet", "shop-dc1-r1", {"spec": {"replicas": 1}})
    assert FIRST not in world.kube.names("Pod")
    for version in ("4.0.19", "5.0.8"):
        with pytest.raises(SpecError, match=r"has Cassandra 5\.0\.9 already"):
            world.deploy(version=version)
    with pytest.raises(CassopsError, match="rack r1 has places for 1 of its 2 nodes, and what the others"):
        world.roll(rollback=True)
    assert world.deploy(version="5.0.9")["changes"] == ["update StatefulSet shop-dc1-r1 (spec.replicas)"]
    assert world.partitions() == [1, 2, 2]
    assert world.ring.members[FIRST].version == "5.0.9"
    assert world.kube.ledger().version == "5.0.9"
    world.roll(upgrade=True)
    world.assert_whole()


def test_nobody_joins_where_a_rack_is_half_way_and_scaled_by_hand(pending: Rolling) -> None:
    pending.roll(pause_after="canary")
    pending.kube.patch("StatefulSet", "shop-dc1-r1", {"spec": {"replicas": 1}})
    view = Cluster(OPTIONS, pending.context()).look().view
    assert resizing.lowered(view) == ["a rollout of rack r1 is half way: finish it with the playbook restart first"]


def test_half_way_to_another_mode_of_storage_no_other_template_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    world = upgrading(monkeypatch)
    world.roll(upgrade=True)
    mode = {"storage_compatibility_mode": "UPGRADING"}
    world.deploy(version="5.0.9", config=mode)
    world.roll(upgrade=True, pause_after="canary")
    with pytest.raises(SpecError) as refused:
        world.deploy(version="5.0.9", config={**mode, "concurrent_reads": 64})
    (told,) = refused.value.errors
    assert f"{FIRST} has storage_compatibility_mode UPGRADING already" in told
    assert "would come back with storage_compatibility_mode CASSANDRA_4" in told
    assert "rollback" not in told
    assert world.deploy(version="5.0.9", config=mode)["changes"] == []


def test_the_ledger_says_as_long_as_an_upgrade_is_half_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """No node replaces itself meanwhile. A change that only waits is none yet."""
    world = Rolling.deployed(monkeypatch, version="4.1.10")
    world.deploy(version="5.0.9")
    assert world.kube.ledger().mixed == ""
    world.roll(upgrade=True, pause_after="canary")
    assert world.kube.ledger().mixed == "Cassandra 4.1 and 5.0"
    world.deploy(version="5.0.9")
    assert world.kube.ledger().mixed == "Cassandra 4.1 and 5.0"
    world.roll(upgrade=True)
    assert world.kube.ledger().mixed == ""
    mode = {"storage_compatibility_mode": "UPGRADING"}
    world.deploy(version="5.0.9", config=mode)
    world.roll(upgrade=True, pause_after="canary")
    assert world.kube.ledger().mixed == "storage_compatibility_mode CASSANDRA_4 and UPGRADING"
    world.roll(upgrade=True)
    assert world.kube.ledger().mixed == ""
    for member in world.ring.members.values():
        member.storage_mode = "UPGRADING"
    world.deploy(version="5.0.9", config={"storage_compatibility_mode": "NONE"})
    world.roll(upgrade=True, pause_after="canary")
    assert world.kube.ledger().mixed == "", "these stream to each other"


def test_the_ledger_says_so_before_the_first_node_is_upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Rolling.deployed(monkeypatch, version="4.1.10")
    world.deploy(version="5.0.9")

    def ends() -> None:
        if any(world.ring.doors.get(pod) != OPEN for pod in world.nodes):
            assert world.kube.ledger().mixed == "Cassandra 4.1 and 5.0"

    world.kube.after_write = ends
    world.roll(upgrade=True, pause_after="canary")
    world.roll(rollback=True)
    assert world.kube.ledger().mixed == ""


def test_a_canary_that_is_not_there_just_now_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    world = upgrading(monkeypatch)
    found = observe.objects(cast(Kube, world.kube), "shop", "dc1")
    for gone in ([FIRST], world.nodes):
        pods = {name: pod for name, pod in found.all("Pod").items() if name not in gone}
        without = replace(found, by_kind={**found.by_kind, "Pod": pods})
        assert rollout_plan.noted(world.kube.ledger(), without).mixed == "Cassandra 4.1 and 5.0"


def test_half_way_through_an_upgrade_what_is_of_no_template_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    world = upgrading(monkeypatch)
    uids = world.uids()
    somebody = world.kube.objects["StatefulSet", "shop-dc1-r1"]
    somebody["spec"]["revisionHistoryLimit"] = 3
    told = world.deploy(version="5.0.9", self_replace=True)["changes"]
    assert [text.partition(" (")[0] for text in told] == [
        "update ConfigMap shop-dc1-ledger",
        "update StatefulSet shop-dc1-r1",
    ]
    assert (world.partitions(), world.uids()) == ([1, 2, 2], uids)


def test_a_canary_of_an_upgrade_that_is_not_well_can_be_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    world = upgrading(monkeypatch, "4.0.19", deadly="5.0.9")
    world.kube.deadly.clear()
    world.deploy(version="5.0.9", **CHANGED)
    (told,) = [text for text in world.warnings if "until the correction has reached" in text]
    assert f"reached {FIRST} (playbook upgrade, at once), it would come back with Cassandra 4.0.19" in told
    assert world.roll(upgrade=True)["restarted"][0] == FIRST
    world.assert_whole()


def test_a_canary_of_an_upgrade_whose_pod_ends_is_as_good_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes back, and must not come back at what was before."""
    world = upgrading(monkeypatch)
    world.kube.slow_end = 20
    world.kube.end(FIRST)
    with pytest.raises(SpecError, match=r"has Cassandra 5\.0\.9 already"):
        world.deploy(version="5.0.9", **CHANGED)


def test_a_rollout_that_reaches_a_node_before_the_lock_is_taken_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Rolling.deployed(monkeypatch, version="4.1.10")
    world.deploy(version="5.0.9")
    lock, others = Deployment.lock, iter([True])

    def late(self: Deployment, place: Any) -> Any:
        if next(others, False):
            world.roll(upgrade=True, pause_after="canary")
        return lock(self, place)

    monkeypatch.setattr(Deployment, "lock", late)
    with pytest.raises(SpecError, match=r"has Cassandra 5\.0\.9 already"):
        world.deploy(version="5.0.9", **CHANGED)
    assert world.partitions() == [1, 2, 2]


def test_only_what_was_asked_for(pending: Rolling) -> None:
    uids = pending.uids()
    assert pending.roll(limit="r2")["restarted"] == ["shop-dc1-r2-1", "shop-dc1-r2-0"]
    assert {pod for pod, uid in pending.uids().items() if uids[pod] != uid} == {"shop-dc1-r2-0", "shop-dc1-r2-1"}
    assert pending.roll()["changed"] is True
    pending.assert_whole()


# --- other revisions with nothing new in them -------------------------------------------------------------------------


@pytest.fixture
def rewritten(monkeypatch: pytest.MonkeyPatch) -> Rolling:
    """The control plane was upgraded from 1.33 to 1.34.0: each StatefulSet got another newest revision."""
    monkeypatch.setattr(FakeKube, "nulls", True)
    world = Rolling.deployed(monkeypatch)
    before = world.revisions()
    monkeypatch.setattr(FakeKube, "nulls", False)
    world.kube.kubelet()
    assert (world.revisions(), world.pending()) == (before, world.nodes)
    return world


def test_a_revision_with_nothing_new_in_it_is_no_change(rewritten: Rolling) -> None:
    result = rewritten.deploy()
    assert (result["changes"], result["pending_restart"]) == ([], [])
    assert rewritten.roll()["changed"] is False
    assert rewritten.roll(check=True)["batches"] == []
    with pytest.raises(CassopsError, match="no change is under way"):
        rewritten.roll(rollback=True)


def test_a_change_and_its_way_back_after_kubernetes_wrote_revisions_anew(rewritten: Rolling) -> None:
    assert rewritten.deploy(**CHANGED)["pending_restart"] == rewritten.nodes
    rewritten.roll(pause_after="canary")
    assert rewritten.partitions() == [1, 2, 2]
    (batch,) = rewritten.roll(check=True, rollback=True)["batches"]
    assert batch["nodes"] == [FIRST]
    assert rewritten.roll(rollback=True)["restarted"] == [FIRST]
    assert rewritten.deploy()["pending_restart"] == []
    rewritten.deploy(**CHANGED)
    rewritten.roll()
    rewritten.assert_whole()


def test_the_way_back_where_kubernetes_writes_nulls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was killed has taken it for one rack: the live template is compared with the revisions of others."""
    monkeypatch.setattr(FakeKube, "nulls", True)
    world = Rolling.deployed(monkeypatch, 1)
    world.deploy(**CHANGED)
    world.roll(pause_after="rack", canary=False)
    begun = len(world.kube.writes)
    assert world.killed(3, lambda: world.roll(rollback=True))
    assert [what for what in world.kube.writes[begun:] if what.startswith("apply")] == ["apply StatefulSet shop-dc1-r1"]
    assert world.roll(rollback=True)["restarted"] == ["shop-dc1-r1-0"]
    world.assert_whole()


def test_what_revisions_hold_is_not_read_at_each_look(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    listed, real = Counter[str](), world.kube.list

    def counted(kind: str, *arguments: Any, **options: Any) -> Any:
        listed[kind] += 1
        return real(kind, *arguments, **options)

    monkeypatch.setattr(world.kube, "list", counted)
    world.deploy()
    assert listed["ControllerRevision"] == 0
    world.deploy(**CHANGED)
    listed.clear()
    world.roll()
    assert listed["StatefulSet"] > 20
    assert listed["ControllerRevision"] == 2, "once at first, and once for configuration that nobody uses any more"
    world.assert_whole()


# --- fix forward, and back --------------------------------------------------------------------------------------------


def stuck(world: Rolling) -> str:
    """A rollout of a configuration that crashes ends at the canary; its message."""
    world.deploy(**WRONG)
    world.kube.deadly.add(wanted_configuration(world))
    uids = world.uids()
    with pytest.raises(Failed) as caught:
        world.roll()
    assert {pod for pod, uid in world.uids().items() if uids[pod] != uid} == {FIRST}
    assert caught.value.result["restarted"] == [FIRST]
    return str(caught.value)


def wanted_configuration(world: Rolling) -> str:
    volumes = world.kube.one("StatefulSet", "shop-dc1-r1")["spec"]["template"]["spec"]["volumes"]
    return next(str(item["configMap"]["name"]) for item in volumes if item["name"] == "config")


def test_a_change_that_crashes_stops_at_the_canary(world: Rolling) -> None:
    told = stuck(world)
    assert f"{FIRST} crashed 3 times (its container ended with exit code 3 (Error))" in told
    assert "the last words" in told
    assert "Not touched, at the older revision: shop-dc1-r1-0, shop-dc1-r2-0, shop-dc1-r2-1 and 2 more" in told


def test_the_log_of_a_container_that_is_gone_is_no_log(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kubelet has thrown away the container before, and says so in place of its log."""
    monkeypatch.setattr(
        type(world.kube),
        "logs",
        lambda _kube, _pod, previous=False, tail=None: f"{NO_LOG} for containerd://1" if previous else "of the present",
    )
    told = stuck(world)
    assert "of the present" in told
    assert NO_LOG not in told


def test_a_correction_gets_out_of_it(world: Rolling) -> None:
    stuck(world)
    result = world.deploy(**CHANGED)
    assert result["pending_restart"] == world.nodes
    assert result["unwell"] == [FIRST]
    assert any(f"{FIRST} is not well" in text and "run the playbook restart" in text for text in world.warnings)
    assert world.roll()["restarted"][0] == FIRST
    world.assert_whole()


def test_the_old_values_get_out_of_it_and_restart_nobody_else(world: Rolling) -> None:
    stuck(world)
    world.deploy()
    assert world.roll()["restarted"] == [FIRST]
    world.assert_whole()


def test_an_image_that_is_not_there_stops_at_the_canary(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LASTING", -1.0)
    world.deploy(image="nowhere:1")
    seen = world.kube.seen
    event = {"reason": "Failed", "message": "no such host", "type": "Warning", "lastTimestamp": "2026-01-01T00:00:00Z"}
    world.kube.put({"kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"name": FIRST}, **event})

    def without_image(item: dict[str, Any]) -> dict[str, Any]:
        shown = seen(item)
        if shown["kind"] == "Pod" and "nowhere" in shown["spec"]["containers"][0]["image"]:
            waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}
            shown["status"]["containerStatuses"] = [{"name": "cassandra", "restartCount": 0, "state": waiting}]
            shown["status"].update(phase="Pending", conditions=[])
        return shown

    monkeypatch.setattr(world.kube, "seen", without_image)
    with pytest.raises(CassopsError, match=r"ImagePullBackOff: Back-off \(Kubernetes: Failed: no such host\)"):
        world.roll()
    world.deploy()
    assert world.roll()["restarted"] == [FIRST]


def test_a_configuration_that_is_not_there_stops_at_the_canary_and_a_correction_gets_out_of_it(
    world: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pod waits for it on its worker: only an event tells."""
    monkeypatch.setattr(patience, "LASTING", -1.0)
    world.deploy(image="hangs:1")
    seen = world.kube.seen

    def hanging(item: dict[str, Any]) -> dict[str, Any]:
        shown = seen(item)
        if shown["kind"] == "Pod" and "hangs" in shown["spec"]["containers"][0]["image"]:
            event = {"reason": "FailedMount", "message": 'configmap "jmx" not found', "type": "Warning", "count": 9}
            about = {"name": FIRST, "uid": shown["metadata"]["uid"]}
            world.kube.objects["Event", "e"] = {
                "kind": "Event",
                "metadata": {"name": "e"},
                "involvedObject": about,
                **event,
            }
            placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            waiting = {"waiting": {"reason": "ContainerCreating"}}
            shown["spec"]["nodeName"] = "worker1"
            shown["status"]["containerStatuses"] = [{"name": "cassandra", "restartCount": 0, "state": waiting}]
            shown["status"].update(phase="Pending", conditions=[placed])
        return shown

    monkeypatch.setattr(world.kube, "seen", hanging)
    with pytest.raises(CassopsError, match=f'{FIRST} cannot start: FailedMount: configmap "jmx" not found'):
        world.roll()
    assert world.deploy()["unwell"] == [FIRST]
    assert world.roll()["restarted"] == [FIRST]


def test_the_way_back_from_the_canary(world: Rolling) -> None:
    stuck(world)
    result = world.roll(rollback=True)
    assert result["restarted"] == [FIRST]
    assert len(result["returned"]) == 3
    assert any("the inventory may still want" in text for text in world.warnings)
    world.assert_whole()
    assert world.roll()["changed"] is False
    assert world.deploy()["pending_restart"] == []


def test_the_way_back_begins_when_kubernetes_has_looked_at_it(
    pending: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before that, nodes that never had the change seem to wait for it."""
    pending.roll(pause_after="canary")
    control, apply, late = pending.kube.control, pending.kube.apply, {"acts": 0}

    def applied(item: Any, **options: Any) -> Any:
        late["acts"] = 60 if item["kind"] == "StatefulSet" else late["acts"]
        return apply(item, **options)

    def controlled(name: str) -> None:
        late["acts"] -= 1
        if late["acts"] < 0:
            control(name)

    monkeypatch.setattr(pending.kube, "apply", applied)
    monkeypatch.setattr(pending.kube, "control", controlled)
    assert pending.roll(rollback=True)["restarted"] == [FIRST]
    pending.assert_whole()


def test_the_way_back_from_a_rack_that_was_finished(pending: Rolling) -> None:
    pending.roll(pause_after="rack", canary=False)
    before = {pod: uid for pod, uid in pending.uids().items() if "-r1-" not in pod}
    result = pending.roll(rollback=True)
    assert sorted(result["restarted"]) == [SECOND, FIRST]
    assert {pod: uid for pod, uid in pending.uids().items() if "-r1-" not in pod} == before
    pending.assert_whole()


def test_an_old_way_back_does_not_lead_forward(pending: Rolling) -> None:
    """What was taken back once, was brought to all nodes later, and is to be left for what was before: that is another
    change, though Kubernetes gives equal templates the revision that they had."""
    pending.roll(pause_after="canary")
    pending.roll(rollback=True)
    pending.deploy(**CHANGED)
    pending.roll()
    wanted = pending.revisions()
    pending.kube.made.clear()
    pending.deploy()
    pending.roll(pause_after="canary")
    assert pending.roll(rollback=True)["restarted"] == [FIRST]
    assert pending.revisions() == wanted
    assert pending.kube.made == {FIRST: 2}
    pending.assert_whole()


def test_the_way_back_of_a_change_of_resources(world: Rolling) -> None:
    """Image and configuration stay the same: only the template tells."""
    world.deploy(resources={"requests": {"cpu": "3"}})
    world.roll(pause_after="canary")
    assert world.roll(rollback=True)["restarted"] == [FIRST]
    assert world.deploy()["pending_restart"] == []
    world.assert_whole()


def test_a_way_back_that_is_killed_anywhere_is_finished_by_the_next(worlds: Worlds) -> None:
    def begun() -> Rolling:
        made = worlds(1)
        made.deploy(**CHANGED)
        made.roll(pause_after="rack", canary=False)
        made.kube.made.clear()
        return made

    undisturbed = begun()
    before = len(undisturbed.kube.writes)
    undisturbed.roll(rollback=True)
    for lives in range(len(undisturbed.kube.writes) - before):
        world = begun()
        assert world.killed(lives, lambda world=world: world.roll(rollback=True)), lives  # type: ignore[misc]
        if world.pending() or lives < 8:
            world.roll(rollback=True)
        world.roll()
        world.assert_whole()
        assert world.kube.made == {"shop-dc1-r1-0": 1}, lives


def test_there_is_no_way_back_where_nothing_is_under_way(world: Rolling) -> None:
    with pytest.raises(CassopsError, match="no change is under way"):
        world.roll(rollback=True)


def test_there_is_no_way_back_without_the_old_configuration(pending: Rolling) -> None:
    pending.roll(pause_after="canary")
    volumes = pending.kube.one("Pod", SECOND)["spec"]["volumes"]
    old = next(str(item["configMap"]["name"]) for item in volumes if item["name"] == "config")
    pending.kube.objects.pop(("ConfigMap", old))
    with pytest.raises(CassopsError, match=f"there is no way back: its configuration {old} was deleted"):
        pending.roll(rollback=True)


def test_the_way_back_in_check_mode(pending: Rolling) -> None:
    pending.roll(pause_after="canary")
    writes = len(pending.kube.writes)
    result = pending.roll(check=True, rollback=True)
    assert [batch["nodes"] for batch in result["batches"]] == [[FIRST]]
    assert len(pending.kube.writes) == writes


# --- what is in the way -----------------------------------------------------------------------------------------------


def blocked(world: Rolling, **options: Any) -> str:
    """The reason; nobody was restarted."""
    uids = world.uids()
    with pytest.raises(CassopsError) as caught:
        world.roll(**options)
    assert world.uids() == uids
    return str(caught.value)


def test_a_node_of_another_rack_that_is_down(pending: Rolling) -> None:
    pending.ring.down.add(FAR)
    assert f"sees {FAR} down" in blocked(pending)


def replaces_itself(world: Rolling) -> None:
    """The node streams since an hour what it is to hold."""
    world.ring.down.add(FIRST)
    world.ring.doors[FIRST] = OFF
    world.ring.members[FIRST].status = "hibernate"
    world.kube.clock += 3600


def test_a_node_that_replaces_itself_for_hours_is_waited_for(pending: Rolling) -> None:
    replaces_itself(pending)
    assert f"{FIRST} to be well: not so after" in blocked(pending)
    told = pending.roll(check=True)
    assert told["unfinished"] == [FIRST]
    assert not any("down already" in batch["why"] for batch in told["batches"])


def test_a_node_that_replaces_itself_is_not_restarted_by_name(pending: Rolling) -> None:
    replaces_itself(pending)
    uids = pending.uids()
    with pytest.raises(CassopsError, match=f"{FIRST} streams what it is to hold, and would lose it"):
        pending.run(node_restart, nodes=[FIRST])
    assert pending.uids() == uids


def test_no_pod_is_deleted_that_nobody_would_make_again(world: Rolling) -> None:
    """Somebody deleted the StatefulSet with --cascade=orphan. Deploy, which mends it, asks no gate."""
    world.kube.objects.pop(("StatefulSet", "shop-dc1-r1"))
    told = blocked(world, force=True)
    assert f"the StatefulSet of {SECOND}, {FIRST} is gone: nobody would make a pod again that ends" in told
    uids = world.uids()
    with pytest.raises(CassopsError, match="is gone: nobody would make a pod again that ends"):
        world.run(node_restart, nodes=[FIRST], force=True)
    assert world.uids() == uids
    world.deploy()
    assert world.uids() == uids
    assert len(world.roll(force=True)["restarted"]) == 6


def test_a_node_that_somebody_sees_down_and_others_up(pending: Rolling) -> None:
    pending.ring.unseen.add(("shop-dc1-r2-0", FAR))
    told = blocked(pending)
    assert f"shop-dc1-r2-0 sees {FAR} down" in told
    assert f"shop-dc1-r1-0 sees {FAR} down" not in told


def test_a_node_that_goes_down_in_the_middle_stops_before_the_next_batch(pending: Rolling) -> None:
    def spoil() -> None:
        if pending.kube.made[SECOND]:
            pending.ring.down.add(FAR)
        pending.watch()

    pending.kube.after_write = spoil
    with pytest.raises(CassopsError, match=f"sees {FAR} down"):
        pending.roll()
    assert sorted(pending.kube.made) == [SECOND, FIRST]


def test_schema_disagreement(pending: Rolling) -> None:
    pending.ring.members[FAR].schema = "schema-2"
    assert "2 schema versions" in blocked(pending)


def test_a_repair_that_runs(pending: Rolling) -> None:
    row = {"id": "1", "keyspace_name": "shop", "options_incremental": False, "completed": False}
    pending.ring.busy[FAR].repairs.append(row)
    told = blocked(pending)
    assert "full repair of shop" in told
    assert "rollout_ignore: repairs" in told
    assert pending.roll(ignore="repairs")["changed"] is True


def test_hints_that_are_not_delivered(pending: Rolling) -> None:
    host = pending.ring.members[SECOND].host_id
    pending.ring.busy[FAR].hints = {host: 2}
    assert f"{FAR} keeps 2 files of hints for {SECOND}" in blocked(pending)


class Slow:
    """Each look comes after 100 s, in which one more file of hints is delivered, if any is."""

    def __init__(self, world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.now = 0.0
        monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))

    def sleep(self, _seconds: float) -> None:
        self.now += 100
        for activity in self.world.ring.busy.values():
            activity.hints = {host: count - 1 for host, count in activity.hints.items() if count > 1}


def test_hints_that_are_being_delivered_are_waited_for_at_the_gate(
    pending: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(pending, monkeypatch)
    pending.ring.busy[FAR].hints = {pending.ring.members[SECOND].host_id: 5}
    assert pending.roll(gate_timeout=150)["changed"] is True
    assert slow.now >= 500
    pending.assert_whole()


def test_hints_that_are_being_delivered_to_a_node_that_is_back_are_waited_for(
    pending: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []
    delete = pending.kube.delete

    def keep(kind: str, name: str, **options: Any) -> Any:
        if kind == "Pod" and not kept:
            kept.append(name)
            pending.ring.busy[FAR].hints = {pending.ring.members[name].host_id: 9}
        return delete(kind, name, **options)

    monkeypatch.setattr(pending.kube, "delete", keep)
    slow = Slow(pending, monkeypatch)
    assert pending.roll(wait_timeout=250)["changed"] is True
    assert slow.now >= 900
    pending.assert_whole()


def test_a_node_that_comes_on_slowly_is_waited_for(pending: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its steps takes less than the limit, all of them more."""
    pending.kube.slow_end, pending.kube.slow = 4, 4
    slow = Slow(pending, monkeypatch)
    assert pending.roll(wait_timeout=450, limit="r1-1", canary=False)["restarted"] == [FIRST]
    assert slow.now > 450


def test_who_waits_too_long_is_told_what_to_raise(pending: Rolling) -> None:
    pending.ring.busy[FAR].hints = {pending.ring.members[SECOND].host_id: 2}
    assert blocked(pending, gate_timeout=0).endswith("If it only takes longer, raise rollout_gate_timeout.")


@pytest.mark.parametrize("replicas", ["1", "2"])
def test_keyspaces_that_cannot_keep_their_quorum(pending: Rolling, replicas: str) -> None:
    strategy = "org.apache.cassandra.locator.NetworkTopologyStrategy"
    pending.ring.replication["shop"] = {"class": strategy, "dc1": replicas}
    told = blocked(pending)
    assert "keyspace shop" in told
    assert "rollout_low_rf: warn" in told
    result = pending.roll(low_rf="warn", limit="r1")
    assert result["restarted"] == [FIRST, SECOND]
    assert any("keyspace shop" in text for text in pending.warnings)
    assert pending.roll(low_rf="ignore", max_unavailable="rack")["changed"] is True
    pending.assert_whole()


def test_a_volume_that_would_be_lost(pending: Rolling) -> None:
    pending.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["deletionTimestamp"] = "now"
    assert "it would lose its data" in blocked(pending)


def test_wrong_options_are_told_all_at_once(pending: Rolling) -> None:
    with pytest.raises(SpecError) as caught:
        pending.roll(max_unavailable="many", low_rf="maybe", ignore="everything")
    assert len(caught.value.errors) == 3
    assert all(error.startswith("rollout_") for error in caught.value.errors)


def test_a_limit_that_names_nobody(pending: Rolling) -> None:
    assert "there is no rack or node r9" in blocked(pending, limit="r9")


def test_a_node_below_one_that_waits_cannot_be_chosen(pending: Rolling) -> None:
    assert f"{SECOND} cannot restart before {FIRST}" in blocked(pending, limit="r1-0")


def test_a_node_that_does_not_come_back_in_time(pending: Rolling) -> None:
    pending.kube.slow = 10**9
    with pytest.raises(Failed, match=f"{FIRST} to be back: not so after 0 s"):
        pending.roll(wait_timeout=0)
    pending.kube.slow = 1
    pending.kube.starting[FIRST] = 1
    pending.roll()
    pending.assert_whole()
    assert set(pending.kube.made.values()) == {1}


def test_a_canary_that_ends_again_is_found_out(pending: Rolling) -> None:
    seen = pending.kube.seen
    looks = iter(range(10**6))

    def restarting(item: dict[str, Any]) -> dict[str, Any]:
        shown = seen(item)
        if shown["kind"] == "Pod" and shown["metadata"]["name"] == FIRST and pending.kube.made[FIRST]:
            shown["status"]["containerStatuses"][0]["restartCount"] = next(looks) // 20
        return shown

    pending.kube.seen = restarting  # type: ignore[method-assign]
    with pytest.raises(Failed, match=r"came back and ended again\. The end of its log:\nthe last words"):
        pending.roll(soak=30)
    assert list(pending.kube.made) == [FIRST]


def test_the_ledger_is_missing(world: Rolling) -> None:
    world.kube.objects.pop(("ConfigMap", "shop-dc1-ledger"))
    with pytest.raises(CassopsError, match="deploy it first"):
        world.roll()


# --- check mode -------------------------------------------------------------------------------------------------------


def test_check_mode_shows_the_plan_and_writes_nothing(pending: Rolling) -> None:
    writes = len(pending.kube.writes)
    result = pending.roll(check=True, max_unavailable="rack")
    assert len(pending.kube.writes) == writes
    assert result["changed"] is True
    assert result["batches"][0]["nodes"] == [FIRST]
    assert pending.shown[0] == "Datacenter dc1: 6 nodes to restart in 4 batches"
    assert f"  1. {FIRST}: canary, proves the change before the others get it" in pending.shown


def test_check_mode_tells_what_is_in_the_way(pending: Rolling) -> None:
    pending.ring.down.add(FAR)
    pending.roll(check=True)
    assert any(text.startswith("Gate closed now: ") and FAR in text for text in pending.shown)


def test_check_mode_with_nothing_pending(world: Rolling) -> None:
    result = world.roll(check=True)
    assert (result["changed"], result["batches"]) == (False, [])
    assert world.shown == ["Datacenter dc1: nothing is pending, no node needs a restart"]


# --- versions ---------------------------------------------------------------------------------------------------------


def test_a_patch_is_a_restart(world: Rolling) -> None:
    world.deploy(version="5.0.9")
    world.roll()
    assert {member.version for member in world.ring.members.values()} == {"5.0.9"}
    world.assert_whole()


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> Rolling:
    """On 4.1, with 5.0 pending."""
    made = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    made.deploy(version="5.0.9")
    return made


def test_another_line_is_no_mere_restart(old: Rolling) -> None:
    assert "Cassandra 4.1.10 to 5.0.9. Run the playbook upgrade" in blocked(old)
    with pytest.raises(CassopsError, match="Run the playbook upgrade"):
        old.roll(check=True)


def test_what_a_killed_restart_left_comes_back_without_an_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pod ended for a restart, and another line was registered meanwhile: that takes the playbook upgrade."""
    world = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    made = len(world.kube.writes)
    world.roll(force=True, canary=False)
    (deletion,) = [place for place, what in enumerate(world.kube.writes[made:]) if what == "delete Pod shop-dc1-r1-0"]
    world = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    assert world.killed(deletion + 1, lambda: world.roll(force=True, canary=False))
    world.deploy(version="5.0.9")
    with pytest.raises(CassopsError, match="Run the playbook upgrade"):
        world.roll()
    pod = world.kube.one("Pod", "shop-dc1-r1-0")
    assert pod["metadata"]["labels"]["app.kubernetes.io/version"] == "4.1.10"
    assert world.kube.made == {"shop-dc1-r1-0": 1}
    assert world.ring.doors["shop-dc1-r1-0"] == OPEN
    assert world.partitions() == [1, 1, 1]


def test_what_nodes_begin_to_run_stands_in_the_ledger(old: Rolling) -> None:
    """A deploy that finds neither a pod nor a StatefulSet asks it."""

    def ran() -> tuple[str, str | None]:
        return old.kube.ledger().version, old.kube.ledger().storage_mode

    assert ran() == ("4.1.10", None)
    blocked(old, upgrade=True, snapshot="before-5.0.9")
    assert ran() == ("4.1.10", None)
    old.roll(upgrade=True, pause_after="canary")
    assert ran() == ("5.0.9", "CASSANDRA_4")
    old.roll(rollback=True)
    assert ran() == ("4.1.10", None)


def test_an_upgrade_wants_its_snapshot(old: Rolling) -> None:
    assert "has no snapshot before-5.0.9" in blocked(old, upgrade=True, snapshot="before-5.0.9")
    for busy in old.ring.busy.values():
        busy.snapshots.append("before-5.0.9")
    result = old.roll(upgrade=True, snapshot="before-5.0.9")
    assert len(result["restarted"]) == 3
    assert upgrade.MIXED in old.said
    assert any(
        "CASSANDRA_4 writes what Cassandra 4.1 can read: the way back to 4.1 is open" in text for text in old.warnings
    )
    old.assert_whole()


def test_what_must_not_be_done_meanwhile_is_warned_of_as_long_as_it_is_so(old: Rolling) -> None:
    def warned() -> bool:
        return upgrade.MIXED in old.warnings

    assert (old.roll(check=True, upgrade=True).get("one_line"), warned()) == (None, True)
    assert (old.roll(upgrade=True, pause_after="canary").get("one_line"), warned()) == (None, True)
    assert (old.roll(upgrade=True, limit="r2")["one_line"], warned()) == (False, True)
    old.ring.down.add(SECOND)
    blocked(old, upgrade=True)
    assert warned()
    old.ring.down.discard(SECOND)
    assert (old.roll(upgrade=True)["one_line"], warned()) == (True, False)
    assert (old.roll(upgrade=True)["one_line"], warned()) == (True, False)
    assert (old.roll(force=True)["one_line"], warned()) == (False, False), "a mere restart"


def test_when_an_upgrade_is_taken_back_repair_may_go_on(old: Rolling) -> None:
    old.roll(upgrade=True, pause_after="canary")
    assert old.roll(rollback=True)["one_line"] is True


def test_while_a_step_of_the_storage_format_is_half_done_it_is_warned_of(worlds: Worlds) -> None:
    world, _wanted = half_way_to_upgrading(worlds)
    world.roll(upgrade=True, pause_after="canary")
    assert upgrade.SIDES in world.warnings
    assert world.roll(upgrade=True)["one_line"] is True
    assert upgrade.SIDES not in world.warnings


@pytest.mark.parametrize("mode", ["UPGRADING", "NONE"])
def test_an_upgrade_to_5_0_begins_with_the_first_step_of_the_storage_format(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    world = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    world.deploy(version="5.0.9", config={"storage_compatibility_mode": mode})
    told = blocked(world, upgrade=True)
    assert f"shop-dc1-r1-0 is in 4.x, got {mode}; CASSANDRA_4 comes first, on every node" in told
    assert not any("the way back to 4.1 is open" in text for text in world.warnings)
    plan = world.run(rollout_plan)
    assert plan["upgrade"] == f"Cassandra 4.1.10 to 5.0.9, storage_compatibility_mode 4.x to {mode}"
    assert any("CASSANDRA_4 comes first" in reason for reason in plan["gates"])


@pytest.mark.parametrize("changes", [{"version": "5.0.9"}, {"config": {"concurrent_reads": 64}}])
def test_the_plan_is_the_same_before_and_after_a_change_is_registered(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    world = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    wanted = {"version": "4.1.10", **changes}
    registered = world.deploy(check=True, **wanted)["registered"]
    before = world.writes()
    planned = world.run(rollout_plan, registered=registered)
    rolled = world.roll(check=True, upgrade=True, registered=registered)
    assert world.writes() == before
    assert world.run(rollout_plan)["batches"] == [], "nothing was registered"
    world.deploy(**wanted)
    assert planned == world.run(rollout_plan)
    assert rolled == world.roll(check=True, upgrade=True)
    assert [node for batch in planned["batches"] for node in batch["nodes"]] == world.nodes


def test_a_version_that_is_taken_back_leaves_a_plan_for_those_that_have_it_only(old: Rolling) -> None:
    old.roll(upgrade=True, pause_after="canary")
    registered = old.deploy(check=True, version="4.1.10")["registered"]
    planned = old.run(rollout_plan, registered=registered)
    assert [batch["nodes"] for batch in planned["batches"]] == [[old.nodes[0]]]
    old.deploy(version="4.1.10")
    assert old.run(rollout_plan)["report"] == planned["report"]


def take_snapshots(world: Rolling) -> str:
    """As the role upgrade does; returns their name."""
    plan = world.run(rollout_plan)
    for pod in plan["snapshot_missing"]:
        assert plan["snapshot_name"] not in world.ring.busy[pod].snapshots, "Snapshot already exists, Cassandra says"
        world.ring.busy[pod].snapshots.append(plan["snapshot_name"])
    return str(plan["snapshot_name"])


def test_a_snapshot_of_an_earlier_try_does_not_count(old: Rolling) -> None:
    first = take_snapshots(old)
    old.roll(upgrade=True, snapshot=first, pause_after="canary")
    plan = old.run(rollout_plan)
    assert (plan["snapshot_name"], plan["snapshot_missing"]) == (first, []), "the upgrade that is under way has them"
    old.roll(rollback=True)
    old.deploy(version="5.0.9")
    plan = old.run(rollout_plan)
    assert plan["snapshot_name"] != first
    assert plan["snapshot_missing"] == old.nodes
    assert "has no snapshot" in blocked(old, upgrade=True, snapshot=plan["snapshot_name"])
    old.roll(upgrade=True, snapshot=take_snapshots(old))
    old.assert_whole()


def test_an_upgrade_that_is_killed_anywhere_takes_no_snapshot_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def begun() -> Rolling:
        made = Rolling.deployed(monkeypatch, 1, version="4.1.10")
        made.deploy(version="5.0.9")
        return made

    def upgrade(world: Rolling) -> None:
        world.roll(upgrade=True, snapshot=take_snapshots(world))

    undisturbed = begun()
    before = len(undisturbed.kube.writes)
    upgrade(undisturbed)
    for lives in range(len(undisturbed.kube.writes) - before):
        world = begun()
        name = take_snapshots(world)
        if world.killed(lives, lambda world=world: upgrade(world)):  # type: ignore[misc]
            if world.pending():
                upgrade(world)
            world.roll()
        world.assert_whole()
        assert [busy.snapshots for busy in world.ring.busy.values()] == [[name]] * 3, lives


def test_a_corrected_upgrade_wants_no_snapshot_of_a_canary_that_has_it_and_does_not_start(old: Rolling) -> None:
    name = take_snapshots(old)
    old.kube.deadly.add("5.0.9")
    with pytest.raises(CassopsError, match="The rollout stops here"):
        old.roll(upgrade=True, snapshot=name)
    old.kube.deadly.clear()
    old.deploy(version="5.0.9", **CHANGED)
    old.roll(upgrade=True, snapshot=take_snapshots(old))
    assert old.ring.busy["shop-dc1-r1-0"].snapshots == [name]
    old.assert_whole()


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Rolling:
    """On 4.1, with 5.0 pending, and so many nodes that a look asks three a rack."""
    made = Rolling.deployed(monkeypatch, 5, version="4.1.10")
    made.deploy(version="5.0.9")
    return made


UNASKED = "shop-dc1-r2-4"


def test_an_upgrade_of_many_nodes_asks_each_for_its_snapshot(large: Rolling) -> None:
    name = take_snapshots(large)
    assert large.run(rollout_plan)["snapshot_missing"] == []
    large.ring.busy[UNASKED].snapshots.clear()
    assert large.run(rollout_plan)["snapshot_missing"] == [UNASKED]
    assert f"{UNASKED} has no snapshot {name}" in blocked(large, upgrade=True, snapshot=name)


def test_an_upgrade_of_many_nodes_asks_each_for_its_room(large: Rolling) -> None:
    large.ring.busy[UNASKED].disk = (10_000, 1)
    assert any(f"{UNASKED} lacks" in reason for reason in large.run(rollout_plan)["gates"])
    assert f"{UNASKED} lacks" in blocked(large, upgrade=True)
    assert any(f"{UNASKED} lacks" in reason for reason in large.roll(check=True, upgrade=True)["gates"])


def test_a_step_of_many_nodes_asks_each_for_its_mode(large: Rolling) -> None:
    large.roll(upgrade=True, canary=False, max_unavailable="rack")
    large.deploy(version="5.0.9", config={"storage_compatibility_mode": "UPGRADING"})
    large.ring.members[UNASKED].storage_mode = "NONE"
    assert f"{UNASKED} is in NONE, got UPGRADING" in blocked(large, upgrade=True)


def test_the_way_back_of_many_nodes_asks_each_for_its_mode(large: Rolling) -> None:
    large.roll(upgrade=True, canary=False, max_unavailable="rack", pause_after="rack")
    large.ring.members["shop-dc1-r1-4"].storage_mode = "NONE"
    assert "and it is NONE" in blocked(large, rollback=True)


def test_an_upgrade_waits_for_streams(old: Rolling) -> None:
    row = {"operation": "Rebuild", "peers": ["/198.19.0.9:7000"], "progress_percentage": 1.0, "status": "start"}
    row["duration_millis"] = 1000
    old.ring.busy["shop-dc1-r2-0"].streams.append(row)
    assert "Rebuild with 198.19.0.9" in blocked(old, upgrade=True)


def test_in_the_middle_of_an_upgrade_pods_come_back_as_they_were(old: Rolling) -> None:
    old.roll(upgrade=True, pause_after="canary")
    for pod in old.nodes:
        old.comes_back(pod)
    assert [old.ring.members[pod].version for pod in old.nodes] == ["5.0.9", "4.1.10", "4.1.10"]


def test_the_way_back_to_4_1_from_the_canary(old: Rolling) -> None:
    old.roll(upgrade=True, pause_after="canary")
    assert old.roll(rollback=True)["restarted"] == ["shop-dc1-r1-0"]
    assert {member.version for member in old.ring.members.values()} == {"4.1.10"}
    old.assert_whole()


def canary_that_does_not_start(world: Rolling) -> None:
    """It is on 5.0, and nobody can ask it."""
    world.kube.deadly.add("5.0.9")
    with pytest.raises(CassopsError, match="The rollout stops here"):
        world.roll(upgrade=True)
    assert world.kube.crashed == {"shop-dc1-r1-0"}


def test_the_way_back_to_4_1_from_a_canary_that_does_not_start(old: Rolling) -> None:
    canary_that_does_not_start(old)
    assert old.roll(rollback=True)["restarted"] == ["shop-dc1-r1-0"]
    assert versions(old) == ["4.1.10"] * 3
    old.assert_whole()


ORDERS = {"keyspace_name": "shop", "table_name": "orders"}
GRANTED = {"role": "app", "resource": "data/shop/orders", "permissions": {"SELECT", "UNMASK", "SELECT_MASKED"}}
REVOKED = 'REVOKE SELECT_MASKED ON TABLE "shop"."orders" FROM "app"; REVOKE UNMASK ON TABLE "shop"."orders" FROM "app"'


@pytest.fixture
def upgraded(old: Rolling) -> Rolling:
    """All on 5.0 in CASSANDRA_4, with 4.1 pending."""
    old.roll(upgrade=True)
    old.deploy(version="4.1.10")
    return old


def test_the_way_back_to_4_1_when_all_are_upgraded(upgraded: Rolling) -> None:
    assert len(upgraded.roll(upgrade=True)["restarted"]) == 3
    assert any("no GRANT" in text for text in upgraded.said)
    assert upgrade.MIXED not in upgraded.warnings, "it is over"
    assert versions(upgraded) == ["4.1.10"] * 3
    upgraded.assert_whole()


def test_no_way_back_for_roles_that_4_1_would_shut_out(upgraded: Rolling) -> None:
    upgraded.ring.permissions = [GRANTED]
    told = blocked(upgraded, upgrade=True)
    assert "permissions: app would get nothing but errors from 4.1" in told
    assert told.endswith(REVOKED)
    assert blocked(upgraded, upgrade=True, check=True) == told
    assert told in upgraded.run(rollout_plan)["gates"]
    upgraded.ring.permissions = [{**GRANTED, "permissions": {"SELECT"}}]
    assert len(upgraded.roll(upgrade=True)["restarted"]) == 3


def test_what_superusers_were_given_does_not_close_the_way_back(upgraded: Rolling) -> None:
    """Who makes a table is given all of it; 4.1 does not read what superusers may."""
    upgraded.ring.permissions = [{**GRANTED, "role": "shop-superuser"}]
    assert len(upgraded.roll(upgrade=True)["restarted"]) == 3


def test_no_way_back_from_the_canary_for_roles_that_4_1_would_shut_out(old: Rolling) -> None:
    old.roll(upgrade=True, pause_after="canary")
    old.ring.permissions = [GRANTED]
    assert REVOKED in blocked(old, rollback=True)
    assert REVOKED in blocked(old, rollback=True, check=True)
    old.ring.permissions = []
    assert old.roll(rollback=True)["restarted"] == ["shop-dc1-r1-0"]


def test_a_way_back_that_was_paused_is_closed_by_what_was_granted_since(old: Rolling) -> None:
    for _rack in range(2):
        old.roll(upgrade=True, pause_after="rack", canary=False)
    assert old.roll(rollback=True, pause_after="rack")["paused"]
    old.ring.permissions = [GRANTED]
    assert REVOKED in blocked(old, rollback=True)
    old.ring.permissions = []
    assert len(old.roll(rollback=True)["restarted"]) == 1
    old.assert_whole()


def test_forward_nobody_asks_what_4_1_can_read(old: Rolling) -> None:
    old.ring.permissions = [GRANTED]
    old.ring.system_schema["column_masks"] = [{**ORDERS, "column_name": "card"}]
    assert len(old.roll(upgrade=True)["restarted"]) == 3
    assert unreadable.PERMISSIONS not in old.ring.statements


DTCS = {"class": "org.apache.cassandra.db.compaction.DateTieredCompactionStrategy"}


def test_what_5_0_does_not_have_is_told_before_its_first_node_starts(old: Rolling) -> None:
    scripted = {"keyspace_name": "shop", "function_name": "f", "argument_types": ["int"], "language": "javascript"}
    old.ring.system_schema = {
        "tables": [{**ORDERS, "compaction": DTCS}],
        "views": [{"keyspace_name": "shop", "view_name": "by_total", "compaction": DTCS}],
        "functions": [scripted],
    }
    uids = old.uids()
    told = blocked(old, upgrade=True)
    for words in ('ALTER TABLE "shop"."orders" WITH', 'VIEW "shop"."by_total" WITH', "shop.f(int) in javascript"):
        assert words in told
    assert blocked(old, upgrade=True, check=True) == told
    gates = [each for each in old.run(rollout_plan)["gates"] if each.startswith(("compaction: ", "functions: "))]
    assert "; ".join(gates) == told
    assert old.uids() == uids
    old.ring.system_schema = {}
    assert len(old.roll(upgrade=True)["restarted"]) == 3


def test_an_upgrade_that_goes_on_asks_a_node_that_it_has_not_reached(old: Rolling) -> None:
    """The canary has the schema of 5.0, or ended before it had any."""
    canary_that_does_not_start(old)
    old.ring.system_schema = {"tables": [{**ORDERS, "compaction": DTCS}]}
    assert "compaction: 5.0 has no DateTieredCompactionStrategy" in blocked(old, upgrade=True)
    assert old.roll(rollback=True)["restarted"] == ["shop-dc1-r1-0"]


def test_a_schema_that_nobody_can_read_is_not_taken_to_5_0(old: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unreadable, "FORMER_SCHEMA", ("SELECT * FROM system_schema.column_masks",))
    assert "what 5.0 does not have of the schema is not known: shop-dc1-" in blocked(old, upgrade=True)


def refuse_login(*_args: object) -> None:
    raise CassopsError("the login is refused")


@pytest.mark.parametrize("readable", [True, False])
def test_half_way_to_5_0_only_what_it_does_not_start_with_is_in_the_way(
    old: Rolling, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    """A canary that is down may keep all logins from being read, and it shall be corrected."""
    old.roll(upgrade=True, pause_after="canary")
    scripted = {"keyspace_name": "shop", "function_name": "f", "argument_types": ["int"], "language": "javascript"}
    old.ring.system_schema = {"functions": [scripted]}
    if not readable:
        monkeypatch.setattr(unreadable, "former_schema", refuse_login)
    assert len(old.roll(upgrade=True)["restarted"]) == 2


def test_only_the_way_to_5_0_asks_what_5_0_does_not_have(upgraded: Rolling, worlds: Worlds) -> None:
    before = len(upgraded.ring.statements)
    upgraded.roll(upgrade=True)
    assert not set(unreadable.FORMER_SCHEMA) & set(upgraded.ring.statements[before:])
    world = worlds(version="4.0.19")
    world.ring.system_schema = {"tables": [{**ORDERS, "compaction": DTCS}]}
    world.deploy(version="4.1.10")
    assert len(world.roll(upgrade=True)["restarted"]) == 3


def test_all_that_4_1_cannot_read_is_told_at_once(upgraded: Rolling) -> None:
    upgraded.ring.permissions = [GRANTED]
    upgraded.ring.system_schema = {
        "tables": [{**ORDERS, "compaction": {"class": "org.apache.cassandra.db.compaction.UnifiedCompactionStrategy"}}],
        "column_masks": [{**ORDERS, "column_name": "card"}],
        "columns": [{"keyspace_name": "system", "table_name": "x", "column_name": "y", "type": "vector<float, 3>"}],
    }
    upgraded.ring.members["shop-dc1-r1-0"].storage_mode = "UPGRADING"
    upgraded.ring.schema_files["shop-dc1-r3-0"] = "allow_auto_snapshot\n"
    told = blocked(upgraded, upgrade=True)
    for words in (
        "and it is UPGRADING",
        REVOKED,
        "give another one to shop.orders",
        "DROP MASKED",
        f"_schema on {FAR}",
    ):
        assert words in told
    assert "vectors" not in told


def test_a_dead_canary_does_not_hide_the_permissions(old: Rolling) -> None:
    """It is one of two replicas: no quorum of them answers, and the other one does."""
    canary_that_does_not_start(old)
    old.ring.replication["system_auth"] = {"class": "NetworkTopologyStrategy", "dc1": "2"}
    old.ring.permissions = [GRANTED]
    assert REVOKED in blocked(old, rollback=True)
    old.ring.permissions = []
    assert old.roll(rollback=True)["restarted"] == ["shop-dc1-r1-0"]


def test_a_canary_that_lost_tables_on_the_way_back_is_the_last_one(upgraded: Rolling) -> None:
    upgraded.ring.tables.append(("shop", 864000))
    upgraded.ring.lost_tables = {("shop-dc1-r1-0", "table1")}
    with pytest.raises(Failed, match=r"shop-dc1-r1-0 came back on 4\.1 without shop\.table1") as caught:
        upgraded.roll(upgrade=True)
    assert caught.value.result["restarted"] == ["shop-dc1-r1-0"]
    with pytest.raises(Failed, match=r"without shop\.table1"):
        upgraded.roll(upgrade=True)
    upgraded.ring.lost_tables.clear()
    assert len(upgraded.roll(upgrade=True)["restarted"]) == 2


def test_a_node_that_never_left_4_1_need_not_know_all_tables(old: Rolling) -> None:
    old.roll(upgrade=True, pause_after="rack", canary=False)
    old.roll(upgrade=True, pause_after="rack", canary=False)
    old.ring.tables.append(("shop", 864000))
    old.ring.lost_tables = {(FAR, "table1")}
    assert len(old.roll(rollback=True)["restarted"]) == 2
    old.assert_whole()


def test_no_way_back_from_a_canary_that_does_not_start_and_whose_configuration_is_gone(old: Rolling) -> None:
    canary_that_does_not_start(old)
    name = observe.runs(old.kube.one("Pod", "shop-dc1-r1-0")).rpartition(" ")[2]
    del old.kube.objects["ConfigMap", name]
    assert "and it is not known" in blocked(old, rollback=True)


def test_no_way_back_from_a_later_step_for_a_canary_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have written in the new format before it ended."""
    world = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    world.deploy(version="5.0.9")
    world.roll(upgrade=True)
    wanted = world.deploy(version="5.0.9", config={"storage_compatibility_mode": "UPGRADING"})
    assert wanted["pending_restart"]
    stateful_set = world.kube.one("StatefulSet", "shop-dc1-r1")
    world.kube.deadly.add(observe.runs(stateful_set["spec"]["template"]).rpartition(" ")[2])
    with pytest.raises(CassopsError, match="The rollout stops here"):
        world.roll(upgrade=True)
    assert "shop-dc1-r1-0 is in UPGRADING, got CASSANDRA_4; the steps lead one way" in blocked(world, rollback=True)


# --- TLS between nodes ------------------------------------------------------------------------------------------------

FILES = {"keystore": "/tls/tls-combined.pem", "truststore": "/tls/ca.crt"}
TLS_ONLY = {"internode_encryption": "all", "optional": False, **FILES}
STEPS = ({"internode_encryption": "none", **FILES}, {"internode_encryption": "all", **FILES}, TLS_ONLY)


def encrypted(options: dict[str, Any]) -> dict[str, Any]:
    return {"config": {"server_encryption_options": options}}


def test_a_leap_to_tls_between_nodes_is_refused(world: Rolling) -> None:
    registered = world.deploy(check=True, **encrypted(TLS_ONLY))["registered"]
    foreseen = world.run(rollout_plan, check=True, registered=registered)
    world.deploy(**encrypted(TLS_ONLY))
    told = blocked(world)
    assert f"{FIRST} would call {SECOND} by TLS, and it takes none" in told
    assert foreseen["gates"] == [told]
    assert blocked(world, force=True, limit=["r2"]) == told
    assert blocked(world, check=True) == told


def test_tls_between_nodes_in_steps(world: Rolling) -> None:
    for options in (*STEPS, *reversed(STEPS[:-1])):
        world.deploy(**encrypted(options))
        assert world.roll()["pending_restart"] == []
    world.assert_whole()


def test_a_canary_that_does_not_start_with_tls_only_is_corrected(world: Rolling) -> None:
    """It hears nobody, and nobody waits for it to: what comes next need not suit its former configuration."""
    for options in STEPS[:2]:
        world.deploy(**encrypted(options))
        world.roll()
    world.deploy(**encrypted(TLS_ONLY))
    world.kube.deadly.add(wanted_configuration(world))
    with pytest.raises(Failed):
        world.roll()
    world.deploy(**encrypted(STEPS[0]))
    assert world.roll()["restarted"][0] == FIRST
    world.assert_whole()


def test_a_door_that_cassandra_leaves_open_is_told_at_deploy(world: Rolling) -> None:
    world.deploy(**encrypted(STEPS[1]))
    assert any("server_encryption_options.optional: is not set" in text for text in world.warnings)
    world.deploy(**encrypted(TLS_ONLY))
    assert not any("server_encryption_options" in text for text in world.warnings)


# --- a node is lost half way ------------------------------------------------------------------------------------------


def is_lost(world: Rolling, pod: str) -> None:
    """Its volume is gone: it comes back empty, and is held."""
    del world.kube.disks[f"data-{pod}"]
    world.comes_back(pod)
    assert world.kube.held[pod]


def versions(world: Rolling) -> list[str]:
    """Of the pods."""
    pods = [world.kube.one("Pod", pod) for pod in world.nodes]
    return [pod["metadata"]["labels"]["app.kubernetes.io/version"] for pod in pods]


def test_a_held_node_that_no_change_waits_for_points_to_heal(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LASTING", -1.0)
    is_lost(world, FAR)
    told = blocked(world)
    assert f"{FAR} is held" in told
    assert "The playbook heal decides" in told
    assert "run deploy" not in told


def test_a_lost_node_of_another_rack_does_not_keep_an_upgrade_from_going_back(old: Rolling) -> None:
    old.roll(upgrade=True, pause_after="canary")
    is_lost(old, FAR)
    assert f"{FAR} is held" in blocked(old, rollback=True)
    told = blocked(old, rollback=True, without=[FAR])
    assert "keyspace system_auth would keep 1 of 3 replicas" in told
    assert "rollout_accept_outage: system_auth" in told
    result = old.roll(rollback=True, without="r3", accept_outage=["system_auth"])
    assert result["restarted"] == ["shop-dc1-r1-0"]
    assert versions(old) == ["4.1.10"] * 3
    assert FAR in old.kube.held


def test_an_upgrade_is_finished_without_a_lost_node_which_gets_the_version_too(old: Rolling) -> None:
    old.roll(upgrade=True, pause_after="canary")
    is_lost(old, FAR)
    for pod, busy in old.ring.busy.items():
        busy.snapshots += ["before-5.0.9"] if pod != FAR else []
    lost = {"without": [FAR], "accept_outage": ["system_auth"]}
    plan = old.run(rollout_plan, snapshot="before-5.0.9", **lost)
    assert (plan["snapshot_missing"], plan["gates"]) == ([], [])
    result = old.roll(upgrade=True, snapshot="before-5.0.9", **lost)
    assert (result["one_line"], upgrade.MIXED in old.warnings) == (False, False), "heal is next"
    assert sorted(result["restarted"]) == ["shop-dc1-r2-0", FAR]
    assert versions(old) == ["5.0.9"] * 3
    assert FAR in old.kube.held
    assert old.roll(upgrade=True, **lost)["changed"] is False


def worker_dies(world: Rolling, pod: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sees the node up, Kubernetes cannot ask its worker for anything, and its pod cannot end."""
    world.ring.doors[pod] = OFF
    world.ring.down.add(pod)
    world.ring.deaf.add(pod)
    kube, dead, deleted = world.kube, world.uids()[pod], set()
    seen, stop, make_pod, delete, answer = kube.seen, kube.stop, kube.make_pod, kube.delete, kube.exec

    def ending(item: dict[str, Any]) -> dict[str, Any]:
        shown = seen(item)
        if shown["metadata"].get("uid") in deleted:
            shown["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        return shown

    def unreachable(asked: str, *arguments: Any, **options: Any) -> Any:
        if asked == pod:
            raise WorkerUnreachable("no route to host", 500)
        return answer(asked, *arguments, **options)

    monkeypatch.setattr(kube, "seen", ending)
    monkeypatch.setattr(kube, "exec", unreachable)
    monkeypatch.setattr(kube, "stop", lambda name: deleted.add(dead) if name == pod else stop(name))
    monkeypatch.setattr(kube, "make_pod", lambda name, *how: None if name == pod else make_pod(name, *how))
    monkeypatch.setattr(
        kube, "delete", lambda kind, name, uid: deleted.add(dead) if uid == dead else delete(kind, name, uid)
    )


def half_way_to_5_0(worlds: Worlds) -> tuple[Rolling, dict[str, Any]]:
    """Those of the canary's line, and what is registered."""
    world, wanted = worlds(1, version="4.1.10"), {"version": "5.0.9"}
    world.deploy(**wanted)
    return world, wanted


def half_way_to_upgrading(worlds: Worlds) -> tuple[Rolling, dict[str, Any]]:
    world, wanted = half_way_to_5_0(worlds)
    world.roll(upgrade=True)
    wanted = {**wanted, "config": {"storage_compatibility_mode": "UPGRADING"}}
    world.deploy(**wanted)
    return world, wanted


@pytest.mark.parametrize("half_way", [half_way_to_5_0, half_way_to_upgrading])
@pytest.mark.parametrize("loss", ["held", "worker"])
def test_the_deploy_of_the_playbook_upgrade_goes_on_without_a_lost_node(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, half_way: Any, loss: str
) -> None:
    """As that playbook does it: role deploy, then role upgrade."""
    monkeypatch.setattr(patience, "LASTING", -1.0)
    world, wanted = half_way(worlds)
    world.roll(upgrade=True, pause_after="canary")
    if loss == "held":
        is_lost(world, FAR)
    else:
        worker_dies(world, FAR, monkeypatch)
    with pytest.raises(CassopsError, match=f"{FAR} is held|{FAR} is not ready: its worker .* does not answer"):
        world.deploy(**wanted, wait_timeout=0)
    for name in (FAR, "r3-0", "r3"):
        result = world.deploy(**wanted, without=[f" {name}"], wait_timeout=0)
        assert (result["changed"], result["pending_restart"]) == (False, ["shop-dc1-r2-0", FAR])
        (told,) = [text for text in world.warnings if FAR in text]
        assert told.startswith(f"{FAR} is lost, as you said, and was not waited for (")
        assert ("its volume is empty" if loss == "held" else "does not answer") in told
    lost = {"without": [FAR], "accept_outage": ["system_auth"]}
    assert "shop-dc1-r2-0" in world.roll(upgrade=True, **lost)["restarted"]


def test_a_deploy_without_a_node_that_is_well_proves_it_too(world: Rolling) -> None:
    world.deploy(without=["r1-1"])
    assert not any("as you said" in text for text in world.warnings)
    world.ring.down.add(FIRST)
    with pytest.raises(CassopsError, match=f"{FIRST}"):
        world.deploy(without=["r1-1"], wait_timeout=0)


def test_a_deploy_without_a_node_still_proves_the_others(world: Rolling) -> None:
    is_lost(world, FAR)
    world.ring.down.add(SECOND)
    with pytest.raises(CassopsError, match=SECOND):
        world.deploy(without=["r3-0"], wait_timeout=0)


@pytest.mark.parametrize(("prefix", "option"), [("cassandra_", "rollout_without"), ("", "without")])
def test_a_deploy_without_nobody(world: Rolling, prefix: str, option: str) -> None:
    with pytest.raises(SpecError) as caught:
        world.deploy(without=["r3-0", "r4-7", "r5"], variable_prefix=prefix)
    assert caught.value.errors == [f"{option}: there is no rack or node {name}" for name in ("r4-7", "r5")]


def test_a_lost_canary_goes_back_without_anybody_waiting_for_it(old: Rolling) -> None:
    old.roll(upgrade=True, pause_after="canary")
    is_lost(old, "shop-dc1-r1-0")
    assert old.roll(rollback=True, without="r1-0")["restarted"] == ["shop-dc1-r1-0"]
    assert versions(old) == ["4.1.10"] * 3


def test_a_run_without_a_lost_node_that_is_killed_anywhere_is_finished_by_the_next(worlds: Worlds) -> None:
    lost = {"without": FAR, "accept_outage": "system_auth"}

    def begun() -> Rolling:
        made = worlds(1)
        made.deploy(**CHANGED)
        made.roll(pause_after="canary")
        is_lost(made, FAR)
        return made

    undisturbed = begun()
    before = len(undisturbed.kube.writes)
    undisturbed.roll(**lost)
    for lives in range(len(undisturbed.kube.writes) - before):
        world = begun()
        assert world.killed(lives, lambda world=world: world.roll(**lost)), lives  # type: ignore[misc]
        world.roll(**lost)
        assert (world.pending(), world.note()) == ([], {})
        assert world.roll(**lost)["changed"] is False


def test_a_run_goes_on_without_a_node_whose_worker_died_when_it_was_deleted(
    pending: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pod cannot end; a run waits for that in vain."""
    pending.roll(pause_after="canary")
    above = "shop-dc1-r3-1"
    pending.ring.doors[above] = OFF
    pending.ring.down.add(above)
    kube, dead = pending.kube, pending.uids()[above]
    seen, stop, make_pod, delete = kube.seen, kube.stop, kube.make_pod, kube.delete

    def ending(item: dict[str, Any]) -> dict[str, Any]:
        shown = seen(item)
        if shown["metadata"].get("uid") == dead:
            shown["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        return shown

    monkeypatch.setattr(kube, "seen", ending)
    monkeypatch.setattr(kube, "stop", lambda pod: None if pod == above else stop(pod))
    monkeypatch.setattr(kube, "make_pod", lambda pod, *how: None if pod == above else make_pod(pod, *how))
    monkeypatch.setattr(kube, "delete", lambda kind, name, uid: uid != dead and delete(kind, name, uid))
    result = pending.roll(without=above, accept_outage=["system_auth"], wait_timeout=1)
    assert set(result["restarted"]) >= {FAR, SECOND, "shop-dc1-r2-0", "shop-dc1-r2-1"}
    assert set(pending.pending()) <= {above}
    assert pending.note() == {}


def test_the_silent_worker_of_a_node_that_is_done_is_not_waited_for_in_vain(
    pending: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending.roll(pause_after="canary")
    worker_dies(pending, FIRST, monkeypatch)
    monkeypatch.setattr(patience, "SILENT", -1.0)
    made = dict(pending.kube.made)
    told = blocked(pending, wait_timeout=10_000)
    assert told.startswith(f"{FIRST}: its worker worker does not answer. The rollout stops here. Not touched, at the ")
    assert "Bring that worker back; where it is off for good, the playbook heal with --check tells what to do" in told
    assert dict(pending.kube.made) == made


def test_a_worker_that_answers_again_in_time_is_waited_for(pending: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    pending.roll(pause_after="canary")
    with monkeypatch.context() as patched:
        worker_dies(pending, FIRST, patched)
        looks = iter(range(5))

        def comes_back(_seconds: float) -> None:
            if next(looks, None) is None:
                patched.undo()
                pending.ring.doors[FIRST] = OPEN
                pending.ring.down.discard(FIRST)
                pending.ring.deaf.discard(FIRST)

        patched.setattr(time, "sleep", comes_back)
        assert len(pending.roll()["restarted"]) == 5
    pending.assert_whole()


def test_no_way_back_once_the_formats_are_those_of_5_0(old: Rolling) -> None:
    old.roll(upgrade=True, pause_after="canary")
    old.ring.members["shop-dc1-r1-0"].storage_mode = "UPGRADING"
    assert "back to 4.1 is possible only while storage_compatibility_mode is CASSANDRA_4" in blocked(old, rollback=True)


def test_steps_of_the_storage_format_come_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    world.deploy(version="5.0.9")
    world.roll(upgrade=True)
    world.deploy(version="5.0.9", config={"storage_compatibility_mode": "UPGRADING"})
    assert "storage_compatibility_mode CASSANDRA_4 to UPGRADING. Run the playbook upgrade" in blocked(world)
    world.roll(upgrade=True)
    assert any("no way back but a backup" in text for text in world.warnings)
    assert (upgrade.SIDES in world.said, upgrade.SIDES in world.warnings) == (True, False)
    for member in world.ring.members.values():
        member.storage_mode = "UPGRADING"
    world.assert_whole()


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_nodes_that_are_still_starting_are_waited_for(pending: Rolling) -> None:
    """The run before was killed while a node started; it is at the newest revision already."""
    pending.roll(pause_after="canary")
    pending.kube.slow = 4
    pending.comes_back(FIRST)
    pending.kube.slow = 1
    assert pending.roll()["changed"] is True
    assert pending.kube.made[FIRST] == 2, "once by the rollout, once by hand"
    pending.assert_whole()


def test_a_wait_has_its_limit(pending: Rolling) -> None:
    pending.ring.down.add(FAR)
    with pytest.raises(CassopsError) as caught:
        pending.roll(gate_timeout=0)
    assert isinstance(caught.value.__cause__, waiting.WaitedTooLong)
    assert f"the gates before {FIRST} to open: not so after 0 s" in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "about 5 s"), (42, "about 40 s"), (61, "about 1 min"), (200, "about 3 min")]
)
def test_about(seconds: float, words: str) -> None:
    assert rollout.about(seconds) == words


def test_a_line_upgrade_that_paused_after_its_canary_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes of different lines have different schema versions; deploy, which comes first, must not wait for one."""
    world = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    world.deploy(version="5.0.9")
    world.roll(upgrade=True, pause_after="canary")
    world.ring.members["shop-dc1-r1-0"].schema = "of-5.0"
    assert world.deploy(version="5.0.9")["changed"] is False
    world.ring.members["shop-dc1-r2-0"].schema = "of-nobody"
    with pytest.raises(CassopsError, match=r"2 schema versions among the nodes of 4\.1"):
        world.deploy(version="5.0.9")
    world.ring.members["shop-dc1-r2-0"].schema = None
    world.ring.schema = "of-5.0"
    assert len(world.roll(upgrade=True)["restarted"]) == 2


def test_what_was_done_is_told_where_the_lock_is_lost(pending: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    check, deleted = Lock.check, pending.kube.delete

    def delete(kind: str, name: str, **options: Any) -> Any:
        monkeypatch.setattr(Lock, "check", lost)
        return deleted(kind, name, **options)

    def lost(self: Lock) -> None:
        self._lost = "somebody holds it now"
        check(self)

    monkeypatch.setattr(pending.kube, "delete", delete)
    with pytest.raises(Failed, match="somebody holds it now") as told:
        pending.roll()
    assert told.value.result["restarted"] == [FIRST]


def test_no_pod_is_deleted_once_the_lock_is_lost(pending: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first request of a batch may have hung until somebody else took it."""
    check, deleted, gone = Lock.check, pending.kube.delete, list[str]()

    def delete(kind: str, name: str, **options: Any) -> Any:
        gone.append(name)
        return deleted(kind, name, **options)

    def lost(self: Lock) -> None:
        self._lost = "somebody holds it now" if gone else ""
        check(self)

    monkeypatch.setattr(pending.kube, "delete", delete)
    monkeypatch.setattr(Lock, "check", lost)
    with pytest.raises(CassopsError, match="somebody holds it now"):
        pending.roll(max_unavailable="rack", canary=False)
    assert len(gone) == 1
