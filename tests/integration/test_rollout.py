# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Six nodes in three racks: changes that roll through them, and what stops them.

One client writes and reads at QUORUM from the first test to the last, and none of its requests fails. The driver sends
what a node that stops did not take to another one, as drivers do.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from integration.harness.datacenter import Datacenter, start
from integration.harness.faults import evict, stopped, worker_is_lost, worker_of
from integration.harness.killed import wait_for_words
from integration.harness.namespace import Namespaces
from integration.harness.playbooks import Run
from integration.harness.rollouts import (
    CRASHES,
    QUICK,
    crashing,
    no_request_fails,
    partitions,
    restart,
    restarted,
    revisions,
    stops_at_the_canary,
    versions,
)
from integration.harness.settings import rng
from integration.harness.waiting import until
from integration.harness.watcher import Watcher
from integration.harness.workload import KEYSPACE, Workload
from sandbox import Sandbox

# Minutes each; `make test` restarts a small datacenter.
pytestmark = pytest.mark.soak

SIX = {"r1": 2, "r2": 2, "r3": 2}
KILLS = 10


@pytest.fixture(scope="module")
def old(namespaces: Namespaces, sandbox: Sandbox) -> Iterator[Datacenter]:
    """Six nodes of the version before."""
    with namespaces.fresh("rolling") as namespace:
        datacenter = Datacenter(namespace, racks=SIX, variables={"cassandra_version": "5.0.8"})
        datacenter.deploy()
        yield datacenter


@pytest.fixture(scope="module")
def six(old: Datacenter) -> Datacenter:
    """The same, as it is wanted."""
    return old.changed(cassandra_version="5.0.9")


@pytest.fixture(scope="module")
def client(old: Datacenter) -> Iterator[Workload]:
    """At work all the time."""
    with Workload(old, rate=10, elsewhere=True) as client:
        yield client


def test_a_patch_rolls_through_although_a_run_is_killed(six: Datacenter, client: Workload) -> None:
    result = six.deploy(facts=True)
    assert result.facts[six.host]["pending_restart"] == six.nodes
    assert "playbook restart" in " ".join(result.output.split())
    choose = rng("rollout/killed")
    with no_request_fails(six, client) as watcher:
        run = six.start("restart", **QUICK, rollout_max_unavailable="rack")
        wait_for_words(run, f"batch {choose.choice((2, 3, 4))} of")
        six.run("restart").refused(f"pid {run.process.pid} holds the lock {six.cluster}-lock", "since")
        time.sleep(choose.uniform(0, 15))
        run.kill()
        print(f"killed after: {run.output.splitlines()[-1]}")
        restart(six, rollout_max_unavailable="rack")
    assert watcher.made == dict.fromkeys(six.nodes, 1), "no node restarts twice"
    assert set(versions(six).values()) == {"5.0.9"}
    assert set(partitions(six).values()) == {2}


def test_a_second_restart_does_nothing(six: Datacenter, client: Workload) -> None:
    lives = six.lives()
    assert restart(six).changed == 0
    assert restart(six, "--check").changed == 0
    assert six.lives() == lives


def test_an_option_that_crashes_stops_at_the_canary_and_its_correction_ends_well(
    six: Datacenter, client: Workload
) -> None:
    with stops_at_the_canary(crashing(six), six, client, *CRASHES):
        # Whoever fixes it tells so first; that must work although a node is down.
        output = six.deploy().output
        assert f"{six.nodes[1]} is not well" in " ".join(output.split())
        assert restarted(restart(six), six) == [six.nodes[1]]


def test_half_way_pods_come_back_as_they_were(six: Datacenter, client: Workload) -> None:
    """The canary keeps the change, everybody else what they had; the way back takes it from the canary again."""
    wanted = six.inventory_variables()["cassandra_config"]
    changed = six.changed(cassandra_config={**wanted, "compaction_throughput": "32MiB/s"})
    original = revisions(six)
    last = six.nodes[-1]
    with no_request_fails(six, client) as watcher:
        changed.deploy()
        six.delete_pod(last)
        six.wait_up()
        assert revisions(six) == original, "pending is not half way"
        result = restart(changed, rollout_pause_after="canary")
        (canary,) = restarted(result, changed)
        assert "Paused" in result.output
        half = revisions(six)
        assert {node for node in six.nodes if half[node] != original[node]} == {canary}
        assert changed.deploy().changed == 0, "a deploy half way leaves the partition"
        for take_away in (six.delete_pod, lambda node: evict(six, node)):
            for node in (canary, last):
                take_away(node)
                six.wait_up()
        assert revisions(six) == half
    assert watcher.made == {canary: 3, last: 3}
    worker_is_lost(six, worker_of(six, canary))
    six.wait_up()
    assert revisions(six) == half
    text = {node: six.namespace.exec(node, "cat", "/cassops/conf/cassandra.yaml") for node in six.nodes}
    assert {node for node in six.nodes if "compaction_throughput" in text[node]} == {canary}
    with no_request_fails(six, client) as watcher:
        assert restarted(restart(changed, rollout_rollback=True), changed) == [canary]
    assert watcher.made == {canary: 1}
    assert revisions(six) == original
    six.deploy()


def test_a_canary_that_somebody_scaled_away_comes_back_as_it_was(six: Datacenter, client: Workload) -> None:
    """By kubectl scale, half way: with the revision before, it would start older binaries on newer data after an
    upgrade."""
    wanted = six.inventory_variables()["cassandra_config"]
    changed = six.changed(cassandra_config={**wanted, "compaction_throughput": "24MiB/s"})
    original = revisions(six)
    with no_request_fails(six, client) as watcher:
        changed.deploy()
        (canary,) = restarted(restart(changed, rollout_pause_after="canary"), changed)
        half = revisions(six)
        assert half[canary] != original[canary]
        rack = canary.rpartition("-")[0]
        six.namespace.kubectl("scale", "statefulset", rack, "--replicas=1")
        until("the canary to go", lambda: [canary] if canary in six.pods() else [], 180)
        changed.run("start").ok()
        six.wait_up()
        assert revisions(six) == half
    assert watcher.made == {canary: 2}
    with no_request_fails(six, client):
        assert restarted(restart(changed, rollout_rollback=True), changed) == [canary]
    assert revisions(six) == original
    six.deploy()


@pytest.mark.parametrize("at_once", ["1", "rack"])
def test_all_nodes_restart_when_forced(six: Datacenter, client: Workload, at_once: str) -> None:
    six.deploy()
    restart(six)
    with no_request_fails(six, client) as watcher:
        result = restart(six, rollout_force=True, rollout_max_unavailable=at_once)
    assert sorted(restarted(result, six)) == six.nodes
    assert watcher.made == dict.fromkeys(six.nodes, 1)
    assert restart(six).changed == 0


def test_a_run_that_is_killed_ten_times_is_finished_by_the_next(six: Datacenter, client: Workload) -> None:
    """Each time at some moment after it has begun to work; nobody restarts twice for it."""
    choose = rng("rollout/kills")
    wanted = six.inventory_variables()["cassandra_config"]
    changed = six.changed(cassandra_config={**wanted, "compaction_throughput": "48MiB/s"})
    changed.deploy()
    kills = 0
    with no_request_fails(six, client) as watcher:
        for _turn in range(KILLS):
            kills += kill_at_some_moment(changed.start("restart", **QUICK), choose)
        restart(changed)
    assert kills == KILLS, "the rollout must not be over before the last kill"
    assert watcher.made == dict.fromkeys(six.nodes, 1), "no node restarts twice"
    assert set(partitions(six).values()) == {2}
    assert restart(changed).changed == 0
    six.deploy()
    restart(six, rollout_max_unavailable="rack")


def kill_at_some_moment(run: Run, choose: random.Random) -> bool:
    """Whether it was killed, and not over before; a batch takes half a minute or so."""
    wait_for_words(run, ": batch ")
    end = time.monotonic() + choose.uniform(0, 18)
    while run.process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    killed = run.process.poll() is None
    run.kill() if killed else None
    print(f"{'killed' if killed else 'it was over'} after: {run.output.splitlines()[-1]}")
    return killed


def test_a_node_that_goes_down_in_the_middle_stops_the_rollout(six: Datacenter, client: Workload) -> None:
    """It goes while the canary, which is back, proves itself: at another moment two racks would be away at once."""
    victim = six.nodes[-1]
    with no_request_fails(six, client):
        run = six.start("restart", rollout_soak=60, rollout_force=True, rollout_gate_timeout=20)
        wait_for_words(run, "to stay well for 60 s")
        with stopped(six, victim):
            result = run.wait()
            result.refused(f"{victim} cannot start", "The rollout stops here")
            done = len([line for line in result.output.splitlines() if " is back after " in line])
            assert done == 1, result.output
        six.wait_up()
        restart(six, rollout_force=True)


def rack_of(datacenter: Datacenter, rack: str) -> list[str]:
    """Its nodes, as they are restarted."""
    return [f"{datacenter.prefix}-{rack}-{ordinal}" for ordinal in (1, 0)]


def test_racks_in_the_order_asked_for_with_a_pause_after_each(six: Datacenter, client: Workload) -> None:
    """Each run restarts the next rack of the order and ends; the racks that were not named come last."""
    wanted = six.inventory_variables()["cassandra_config"]
    changed = six.changed(cassandra_config={**wanted, "compaction_throughput": "40MiB/s"})
    changed.deploy()
    ordered = {"rollout_order": "r3,r2", "rollout_pause_after": "rack", "rollout_max_unavailable": "rack"}
    with no_request_fails(six, client) as watcher:
        for rack, paused in (("r3", True), ("r2", True), ("r1", False)):
            result = restart(changed, **ordered)
            assert restarted(result, six) == rack_of(six, rack)
            assert ("Paused" in result.output) is paused
        assert restart(changed, **ordered).changed == 0
    assert watcher.made == dict.fromkeys(six.nodes, 1)
    assert watcher.last_back[six.nodes[4]] < watcher.first_away[six.nodes[2]], "r3 before r2"
    six.deploy()
    restart(six, rollout_max_unavailable="rack")


def test_two_datacenters_roll_one_after_the_other(namespaces: Namespaces, sandbox: Sandbox) -> None:
    with namespaces.fresh("r2-pair-1") as first, namespaces.fresh("r2-pair-2") as second:
        pair = [
            Datacenter(first, cluster="pair", name="dc1"),
            Datacenter(second, cluster="pair", name="dc2", racks={"x1": 1, "x2": 1, "x3": 1}),
        ]
        start("deploy", pair).wait().ok()
        start("deploy", pair).wait().ok()
        local: dict[str, Any] = {"elsewhere": True, "consistency": "LOCAL_QUORUM"}
        with Workload(pair[0], **local) as here:
            replication = "{'class': 'NetworkTopologyStrategy', 'dc1': 3, 'dc2': 3}"
            here._session.execute(f"ALTER KEYSPACE {KEYSPACE} WITH replication = {replication}", timeout=120)
            with (
                Workload(pair[1], table="there", **local) as there,
                here.none_fails("LOCAL_QUORUM"),
                there.none_fails("LOCAL_QUORUM"),
                Watcher.at(pair[0]) as one,
                Watcher.at(pair[1]) as other,
            ):
                start("restart", pair, **QUICK, rollout_force=True).wait().ok()
        assert one.made == dict.fromkeys(pair[0].nodes, 1)
        assert other.made == dict.fromkeys(pair[1].nodes, 1)
        assert max(one.last_back.values()) < min(other.first_away.values()), "one after the other"
        with stopped(pair[1], pair[1].nodes[0]):
            address = pair[1].addresses()[pair[1].nodes[0]]
            result = start("restart", pair, "--limit", pair[0].host, rollout_force=True, rollout_gate_timeout=20).wait()
            assert result.rc != 0
            assert address in result.output or pair[1].nodes[0] in result.output, result.output
        pair[1].wait_up()
