# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils.fake_cassandra import OFF, OPEN
from unit.plugins.module_utils.fake_kube import copied
from unit.plugins.module_utils.operations.rolling import CHANGED, WANTED, Rolling

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError, SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger, LedgerNode
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter, datacenter_power, heal
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.members import Neighbour, pause

LEDGER = "shop-dc1-ledger"
Worlds = Callable[[], Rolling]


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Worlds:
    """Makes datacenters; the clients lead to the one that was made last."""
    return lambda: Rolling.deployed(monkeypatch, per_rack=1)


@pytest.fixture
def world(worlds: Worlds) -> Rolling:
    return worlds()


def power(world: Rolling, state: str, **changes: Any) -> dict[str, Any]:
    return world.run(datacenter_power, state=state, **changes)


def replicas(world: Rolling) -> list[int]:
    return [world.kube.one("StatefulSet", name)["spec"]["replicas"] for name in world.kube.names("StatefulSet")]


def ids(world: Rolling) -> dict[str, str]:
    return {pod: member.host_id for pod, member in world.ring.members.items()}


def test_stop_keeps_everything_and_start_brings_it_back(world: Rolling) -> None:
    before, claims, ledger = ids(world), world.kube.names("PersistentVolumeClaim"), world.kube.ledger()
    result = power(world, "stopped")
    assert (result["changed"], result["stopped"]) == (True, True)
    assert replicas(world) == [0, 0, 0]
    assert world.kube.names("Pod") == []
    assert world.kube.names("PersistentVolumeClaim") == claims
    assert world.kube.ledger().nodes == ledger.nodes
    assert world.kube.cut_off == [], "every node was drained"

    result = power(world, "started")
    assert (result["changed"], result["stopped"]) == (True, False)
    assert ids(world) == before
    assert all(world.kube.ready(pod) for pod in world.kube.names("Pod"))
    assert world.deploy()["changes"] == []


def test_a_start_gives_a_place_back_that_somebody_took_by_hand(world: Rolling) -> None:
    """With kubectl scale: the ledger knows the node, and its volume is there. It was not stopped."""
    before, was = ids(world), replicas(world)
    world.kube.patch("StatefulSet", "shop-dc1-r1", {"spec": {"replicas": was[0] - 1}})
    assert replicas(world) == [was[0] - 1, *was[1:]]
    power(world, "started")
    assert replicas(world) == was
    assert ids(world) == before
    assert all(world.kube.ready(pod) for pod in world.kube.names("Pod"))


@pytest.mark.parametrize(("before", "after"), [("4.0.19", "4.1.10"), ("4.1.10", "5.0.9")])
def test_half_way_through_an_upgrade_a_node_gets_its_place_back_as_it_was(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    """The older line may not come on what the newer one wrote."""
    world = Rolling.deployed(monkeypatch, version=before)
    world.deploy(version=after)
    world.roll(upgrade=True, pause_after="canary")
    world.kube.patch("StatefulSet", "shop-dc1-r1", {"spec": {"replicas": 1}})
    assert "shop-dc1-r1-1" not in world.kube.names("Pod")
    assert power(world, "started")["changes"][0] == "rack r1 has 2 places again"
    assert (replicas(world), world.partitions()) == ([2, 2, 2], [1, 2, 2])
    assert world.ring.members["shop-dc1-r1-1"].version == after
    world.roll(upgrade=True)
    world.assert_whole()


def test_the_stop_of_all_begins_where_clients_are_turned_away(world: Rolling) -> None:
    """A node that drains for long was stopped with the others all the same."""
    world.kube.clock += 1000
    power(world, "stopped")
    closed = world.kube.ledger().closed
    world.kube.clock += 1000
    power(world, "stopped")
    power(world, "started")
    ledger = world.kube.ledger()
    assert closed is not None
    assert ledger.closed == closed
    assert ledger.pause is not None
    assert closed <= ledger.pause[0]


def test_the_statefulset_of_one_rack_is_gone_while_stopped(world: Rolling) -> None:
    power(world, "stopped")
    world.kube.objects.pop(("StatefulSet", "shop-dc1-r1"))
    with pytest.raises(CassopsError, match=r"rack r1 are gone: run the playbook destroy, .* then deploy"):
        power(world, "started")
    datacenter.run({**WANTED, "state": "absent", "confirm": "dc1"}, world.context())
    assert world.deploy()["phase"] == "running"


def test_the_pause_is_noted_where_it_is_the_whole_cluster(world: Rolling) -> None:
    power(world, "stopped")
    stopped = world.kube.ledger().stopped
    world.kube.clock += 8 * 3600
    power(world, "started")
    pause = world.kube.ledger().pause
    assert pause is not None
    assert pause[0] == stopped
    assert pause[1] - pause[0] >= 8 * 3600


def test_no_pause_where_another_datacenter_goes_on(world: Rolling) -> None:
    item = world.kube.one("ConfigMap", "shop-dc1-ledger")
    item["data"]["seeds"] += ",198.19.9.9"
    power(world, "stopped")
    power(world, "started")
    assert world.kube.ledger().pause is None


def neighbour_of(world: Rolling, empty: bool = True, **changes: Any) -> Neighbour:
    """Another datacenter whose seed the ledger knows."""
    there = {"far-0": LedgerNode("far-0", "198.19.9.9", "host-far")}
    return Neighbour(
        replace(world.kube.ledger(), datacenter="dc2", nodes=there, seeds=("198.19.9.9",), **changes), empty
    )


def own_ledger(world: Rolling) -> Ledger:
    """Stopped at 1000 s, with a seed of the other datacenter."""
    ledger = world.kube.ledger()
    return replace(ledger, stopped=1000, seeds=(*ledger.seeds, "198.19.9.9"))


@pytest.mark.parametrize(
    ("away", "paused"),
    [
        ({"stopped": 1060}, (1060, 9000)),
        ({"stopped": 900}, (1000, 9000)),
        # It was started again before this one: from there on it served.
        ({"stopped": None, "pause": (1060, 8000)}, (1060, 8000)),
        ({"stopped": None, "pause": (100, 900)}, None),
        ({"stopped": None, "pause": None}, None),
        # A stop that was killed: its nodes may serve.
        ({"stopped": 1060, "empty": False}, None),
    ],
)
def test_the_pause_of_several_datacenters_is_when_none_of_them_served(
    world: Rolling, away: dict[str, Any], paused: tuple[int, int] | None
) -> None:
    assert pause(own_ledger(world), [neighbour_of(world, **away)], 9000) == paused


def test_no_pause_where_a_seed_is_of_a_datacenter_that_nobody_knows(world: Rolling) -> None:
    assert pause(own_ledger(world), [], 9000) is None


def test_a_stop_that_was_killed_and_is_finished_later_closes_then(
    world: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nodes went on meanwhile: who was away by then missed what they took."""
    with monkeypatch.context() as patched:
        patched.setattr(datacenter_power.Power, "drain", lambda power, pods: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            power(world, "stopped")
    world.kube.clock += 5000
    at = world.kube.clock
    power(world, "stopped")
    closed = world.kube.ledger().closed
    assert closed is not None
    assert closed >= at


@pytest.mark.parametrize("state", ["stopped", "started"])
def test_a_second_run_changes_nothing(world: Rolling, state: str) -> None:
    power(world, "stopped")
    if state == "started":
        power(world, "started")
    writes = len(world.kube.writes)
    assert power(world, state)["changed"] is False
    assert world.writes(writes) == []


def test_check_mode_writes_nothing(world: Rolling) -> None:
    writes = len(world.kube.writes)
    assert world.run(datacenter_power, check=True, state="stopped")["changed"] is True
    assert world.run(datacenter_power, check=True, state="started")["changed"] is False
    assert world.kube.writes[writes:] == []


def test_everything_else_is_refused_meanwhile(world: Rolling) -> None:
    power(world, "stopped")
    with pytest.raises(CassopsError, match="is stopped on purpose; start it with the playbook start"):
        world.run(heal)
    with pytest.raises(SpecError, match="stopped on purpose"):
        world.deploy()


CRON_JOB = ("CronJob", "shop-dc1-backup")
BACKUP = {
    "repository": "s3:https://s3.example.com/there",
    "password_secret": "backup-password",
    "schedule": "15 3 * * *",
    "schedule_image": "tools/cassops:1",
}


@pytest.fixture
def scheduled(monkeypatch: pytest.MonkeyPatch) -> Rolling:
    """A datacenter that is backed up by the clock."""
    world = Rolling.deployed(monkeypatch, per_rack=1, backup={**BACKUP, "schedule": ""})
    world.kube.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "cassops"}})
    world.deploy(backup=BACKUP)
    return world


def suspended(world: Rolling) -> Any:
    return world.kube.one(*CRON_JOB)["spec"].get("suspend")


def test_backups_by_the_clock_wait_meanwhile(scheduled: Rolling) -> None:
    assert "the backups by the clock wait" in power(scheduled, "stopped")["changes"]
    assert suspended(scheduled) is True
    assert power(scheduled, "stopped")["changes"] == []
    assert "the backups by the clock go on" in power(scheduled, "started")["changes"]
    assert suspended(scheduled) is False
    assert power(scheduled, "started")["changes"] == []
    assert scheduled.deploy(backup=BACKUP)["changes"] == []


def test_repairs_by_the_clock_wait_meanwhile_too(scheduled: Rolling) -> None:
    scheduled.deploy(backup=BACKUP, repair={"schedule": "15 1 * * *", "schedule_image": "tools/cassops:1"})
    changes = power(scheduled, "stopped")["changes"]
    assert {"the backups by the clock wait", "the repairs by the clock wait"} <= set(changes)
    assert scheduled.kube.one("CronJob", "shop-dc1-repair")["spec"]["suspend"] is True
    assert "the repairs by the clock go on" in power(scheduled, "started")["changes"]
    assert scheduled.kube.one("CronJob", "shop-dc1-repair")["spec"]["suspend"] is False


def test_backups_go_on_where_a_node_does_not_come_up(scheduled: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is healed, and nobody starts a second time for the sake of backups."""
    power(scheduled, "stopped")

    def lost(self: Any) -> None:
        raise CassopsError("r1-0 does not come up")

    monkeypatch.setattr(datacenter_power.Power, "wait_whole", lost)
    with pytest.raises(CassopsError, match="r1-0 does not come up"):
        power(scheduled, "started")
    assert suspended(scheduled) is False


def test_a_rack_without_its_statefulset_is_not_stopped(world: Rolling) -> None:
    """Nobody would end its pods, and while it is stopped nobody makes it again."""
    world.kube.objects.pop(("StatefulSet", "shop-dc1-r2"))
    with pytest.raises(CassopsError, match=r"StatefulSet of shop-dc1-r2-0.* is gone.* Run the playbook deploy first"):
        power(world, "stopped")
    assert world.ring.drained == set()


def test_backups_that_a_person_has_suspended_stay_so(scheduled: Rolling) -> None:
    scheduled.kube.one(*CRON_JOB)["spec"]["suspend"] = True
    power(scheduled, "stopped")
    power(scheduled, "started")
    assert suspended(scheduled) is True


def test_a_run_that_was_killed_before_the_schedule_is_finished_by_the_next(scheduled: Rolling) -> None:
    power(scheduled, "stopped")
    marks = dict(scheduled.kube.one(*CRON_JOB)["metadata"]["annotations"])
    scheduled.kube.one(*CRON_JOB)["spec"]["suspend"] = False
    assert scheduled.run(datacenter_power, check=True, state="stopped")["changed"] is True
    assert power(scheduled, "stopped")["changes"] == ["the backups by the clock wait"]
    power(scheduled, "started")
    scheduled.kube.one(*CRON_JOB)["metadata"]["annotations"] = marks
    assert scheduled.run(datacenter_power, check=True, state="started")["changed"] is True
    assert power(scheduled, "started")["changes"] == ["the backups by the clock go on"]


def test_a_pending_change_comes_with_the_start_and_that_is_told(world: Rolling) -> None:
    world.deploy(version="5.0.9")
    result = power(world, "stopped")
    assert result["changed"] is True
    assert "a change waits for a restart" in " ".join(world.warnings)


def test_another_line_of_cassandra_is_refused(monkeypatch: pytest.MonkeyPatch, world: Rolling) -> None:
    world.deploy(**CHANGED)
    monkeypatch.setattr(
        datacenter_power.rollout_plan, "change_of", lambda sight: type("Change", (), {"is_upgrade": True})()
    )
    with pytest.raises(CassopsError, match="it is not stopped"):
        power(world, "stopped")
    assert replicas(world) == [1, 1, 1]


@pytest.mark.parametrize("state", ["stopped", "started"])
def test_killed_before_any_write(worlds: Worlds, state: str) -> None:
    for lives in range(100):
        world = worlds()
        before = ids(world)
        if state == "started":
            power(world, "stopped")
        if not world.killed(lives, lambda world=world: power(world, state)):  # type: ignore[misc]
            break
        if state == "stopped":
            power(world, "stopped")
            assert replicas(world) == [0, 0, 0]
        power(world, "started")
        assert replicas(world) == [1, 1, 1]
        assert ids(world) == before
        assert world.kube.ledger().stopped is None
    else:
        pytest.fail("the run never ends")
    assert lives > 4


def test_what_was_destroyed_while_it_was_stopped_is_deployed_again(world: Rolling) -> None:
    """Its volumes and ledger were kept; nobody has missed anything meanwhile."""
    before = ids(world)
    power(world, "stopped")
    stopped = world.kube.ledger().stopped
    datacenter.run({**WANTED, "state": "absent", "confirm": "dc1"}, world.context())
    world.kube.clock += 30 * 86400
    world.deploy()
    ledger = world.kube.ledger()
    assert ledger.stopped is None
    assert ledger.pause is not None
    assert ledger.pause[0] == stopped
    assert ids(world) == before
    assert set(world.ring.doors.values()) == {OPEN}


def test_a_stop_that_was_killed_is_taken_back_by_a_start(worlds: Worlds) -> None:
    """Nodes that are drained serve again after a start only; nobody has paused while they served."""
    for lives in range(100):
        world = worlds()
        before, began = ids(world), world.kube.clock
        if not world.killed(lives, lambda world=world: power(world, "stopped")):  # type: ignore[misc]
            break
        world.kube.clock += 86400
        power(world, "started")
        assert replicas(world) == [1, 1, 1]
        assert ids(world) == before
        assert set(world.ring.doors.values()) == {OPEN}, f"before write {lives}"
        ledger = world.kube.ledger()
        assert ledger.stopped is None
        assert ledger.pause is None or ledger.pause[0] > began, f"before write {lives}"
    else:
        pytest.fail("the run never ends")


# --- a ledger that was put back ---------------------------------------------------------------------------------------


def test_a_ledger_that_was_put_back_forgets_that_it_is_stopped(world: Rolling) -> None:
    """Its keys are kubectl's from then on, and no apply of ours takes them away."""
    power(world, "stopped")
    put_back(world, world.kube.one("ConfigMap", LEDGER))
    power(world, "started")
    assert world.kube.one("ConfigMap", LEDGER)["data"]["stopped"] == ""
    assert world.kube.ledger().stopped is None
    again(world)


def test_a_ledger_that_was_put_back_after_a_destroy_forgets_it_too(world: Rolling) -> None:
    datacenter.run({**WANTED, "state": "absent", "confirm": "dc1"}, world.context())
    put_back(world, world.kube.one("ConfigMap", LEDGER))
    world.deploy()
    assert world.kube.ledger().stopped is None
    again(world)


def put_back(world: Rolling, ledger: dict[str, Any]) -> None:
    """By kubectl create -f."""
    world.kube.objects.pop(("ConfigMap", LEDGER))
    world.kube.put(copied(ledger))


def again(world: Rolling) -> None:
    """Nothing is left to do, and nothing refuses."""
    writes = len(world.kube.writes)
    assert power(world, "started")["changes"] == []
    assert world.deploy()["changes"] == []
    assert world.roll()["changed"] is False
    assert world.writes(writes) == []


@pytest.mark.parametrize("paused", [(1000, 2000), None])
def test_a_start_stops_nobody_where_every_node_serves(world: Rolling, paused: tuple[int, int] | None) -> None:
    """The ledger of another day was put back."""
    stale = replace(world.kube.ledger(), stopped=1000, closed=900, pause=paused)
    put_back(world, {**world.kube.one("ConfigMap", LEDGER), "data": stale.to_data()})
    world.kube.made.clear()
    writes = len(world.kube.writes)
    assert power(world, "started", check=True)["changed"] is True
    result = power(world, "started")
    assert (result["changed"], result["stopped"]) == (True, False)
    assert "every node serves: nothing is drained, and the ledger does not say stopped any more" in result["changes"]
    assert world.writes(writes) == [f"apply ConfigMap {LEDGER}"]
    assert not world.kube.made
    ledger = world.kube.ledger()
    assert (ledger.stopped, ledger.pause, ledger.closed) == (None, paused, 900 if paused else None)
    again(world)


def test_a_node_whose_cql_was_closed_a_moment_ago_does_not_serve(
    world: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop was killed; the kubelet calls it Ready for some seconds more."""
    stale = replace(world.kube.ledger(), stopped=1000)
    put_back(world, {**world.kube.one("ConfigMap", LEDGER), "data": stale.to_data()})
    world.ring.doors["shop-dc1-r1-0"] = OFF
    plain = world.kube.ready
    monkeypatch.setattr(world.kube, "ready", lambda pod: pod == "shop-dc1-r1-0" or plain(pod))
    power(world, "started")
    assert any(what.startswith("nodetool drain on ") for what in world.kube.writes)
    assert set(world.ring.doors.values()) == {OPEN}
