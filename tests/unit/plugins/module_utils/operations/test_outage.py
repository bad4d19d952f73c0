# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole cluster was away without a stop, for longer than gc_grace_seconds."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils.operations.rolling import Rolling

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter_power

R1, R2, R3 = "shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"
DAYS = 86400


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Rolling:
    return Rolling.deployed(monkeypatch, per_rack=1)


def switched_off(world: Rolling, days: int = 14, **earlier: int) -> int:
    """Kubernetes was off for so many days; returns when the last node ended.

    :param earlier: by rack, so many seconds before the others that its node had ended.
    """
    ended = int(world.kube.clock)
    for pod in (R1, R2, R3):
        world.kube.stop(pod)
        world.kube.served_last[pod] = ended - earlier.get(pod.split("-")[2], 0)
    world.kube.clock += days * DAYS
    world.kube.kubelet()
    world.kube.kubelet()
    return ended


def start(world: Rolling, check: bool = False, **said: Any) -> dict[str, Any]:
    return world.run(datacenter_power, check=check, state="started", **said)


def up(world: Rolling) -> list[str]:
    return [pod for pod in (R1, R2, R3) if world.kube.ready(pod)]


def test_all_are_held_and_start_tells_since_when_and_how_they_go_on(world: Rolling) -> None:
    switched_off(world, r1=7)
    assert len(world.kube.held) == 3
    writes = len(world.kube.writes)
    with pytest.raises(CassopsError, match=r"(?s)nobody has served since 20.*-e start_after_outage=true.*in the 7 s"):
        start(world)
    assert world.writes(writes) == []


def test_with_the_users_word_all_go_on_and_are_to_be_repaired(world: Rolling) -> None:
    ended = switched_off(world, r1=7)
    result = start(world, after_outage=True)
    assert result["changed"] is True
    assert up(world) == [R1, R2, R3]
    assert world.kube.to_repair == {R1, R2, R3}
    pause = world.kube.ledger().pause
    assert pause is not None
    assert pause[0] == ended
    assert pause[1] >= ended + 14 * DAYS
    assert "may come back until the playbook heal" in world.warnings[0]
    assert start(world, after_outage=True)["changed"] is False
    assert start(world)["changed"] is False


def test_who_was_away_before_the_others_stays_held(world: Rolling) -> None:
    """What was deleted while the others went on has aged like everything else."""
    switched_off(world, r2=3600)
    with pytest.raises(CassopsError, match=f"{R2} is held: the node served last"):
        start(world, after_outage=True, wait_timeout=1)
    assert up(world) == [R1, R3]
    assert world.kube.to_repair == {R1, R3}
    assert f"{R2} was away before, stays held, and is replaced by heal" in world.warnings[0]


def test_it_is_refused_while_somebody_serves(world: Rolling) -> None:
    switched_off(world)
    del world.kube.served_last[R3]
    world.kube.kubelet()
    with pytest.raises(CassopsError, match=f"not let go: {R3} runs, so others may have served"):
        start(world, after_outage=True)
    assert world.kube.to_repair == set()


def test_it_is_refused_where_another_datacenter_may_have_gone_on(world: Rolling) -> None:
    switched_off(world)
    world.kube.one("ConfigMap", "shop-dc1-ledger")["data"]["seeds"] += ",198.19.9.9"
    with pytest.raises(CassopsError, match="not let go: the cluster has other datacenters"):
        start(world, after_outage=True)
    assert world.kube.ledger().pause is None


def test_a_node_without_its_volume_does_not_keep_the_others(world: Rolling) -> None:
    switched_off(world)
    del world.kube.disks[f"data-{R3}"], world.kube.served_last[R3]
    world.kube.kubelet()
    with pytest.raises(CassopsError, match=f"(?s){R3} is held.*its volume is empty"):
        start(world, after_outage=True, wait_timeout=1)
    assert up(world) == [R1, R2]


def test_check_mode_tells_it_and_writes_nothing(world: Rolling) -> None:
    switched_off(world)
    writes = len(world.kube.writes)
    assert start(world, check=True, after_outage=True)["changed"] is True
    with pytest.raises(CassopsError, match="nobody has served since"):
        start(world, check=True)
    assert world.writes(writes) == []


@pytest.mark.parametrize("after_outage", [False, True])
def test_check_mode_does_not_decide_before_it_is_known_of_each_node_whether_it_is_held(
    world: Rolling, after_outage: bool
) -> None:
    """The run waits for that: one that is Pending does not run, and one that starts may be held yet."""
    switched_off(world)
    world.kube.held.pop(R3)
    world.kube.starting[R3] = 1000
    assert start(world, check=True, after_outage=after_outage)["changed"] is False
    (warning,) = world.warnings
    assert warning.startswith(f"neither held nor serving yet: {R3}. Whether those that are held go on can be told")


@pytest.mark.parametrize("lives", range(5))
def test_a_run_that_is_killed_is_finished_by_the_next(world: Rolling, lives: int) -> None:
    switched_off(world)
    world.killed(lives, lambda: start(world, after_outage=True))
    start(world, after_outage=True)
    assert up(world) == [R1, R2, R3]
    assert world.kube.to_repair == {R1, R2, R3}


def test_nodes_that_never_served_after_a_stop(world: Rolling) -> None:
    """What was noted of the stop is too short, and begins later than they ended."""
    world.run(datacenter_power, state="stopped")
    ended = int(world.kube.clock) - 60
    start(world)
    for pod in (R1, R2, R3):
        world.kube.stop(pod)
        world.kube.served_last[pod] = ended
    world.kube.clock += 14 * DAYS
    world.kube.kubelet()
    world.kube.kubelet()
    with pytest.raises(CassopsError, match="nobody has served since"):
        start(world)
    start(world, after_outage=True)
    assert up(world) == [R1, R2, R3]


def test_an_outage_after_a_stop_is_another_one(world: Rolling) -> None:
    world.run(datacenter_power, state="stopped")
    start(world)
    world.kube.clock += DAYS
    switched_off(world)
    with pytest.raises(CassopsError, match="nobody has served since"):
        start(world)
    start(world, after_outage=True)
    assert up(world) == [R1, R2, R3]
