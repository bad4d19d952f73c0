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
from contextlib import contextmanager
from typing import Any

import pytest
from integration.harness import waiting
from integration.harness.datacenter import Datacenter, start
from integration.harness.faults import evict, stopped, worker_is_lost, worker_of
from integration.harness.killed import wait_for_words
from integration.harness.namespace import Namespaces
from integration.harness.playbooks import Run
from integration.harness.rollouts import (
    QUICK,
    another_schema,
    no_request_fails,
    partitions,
    repairing,
    restart,
    restarted,
    revisions,
    versions,
)
from integration.harness.settings import rng
from integration.harness.watcher import Watcher
from integration.harness.workload import Workload, connect
from sandbox import Sandbox

# Not in `make test` yet: not all of it was seen passing on the sandbox.
pytestmark = pytest.mark.soak

SIX = {"r1": 2, "r2": 2, "r3": 2}
BAD = "-XX:+ThisIsNoOption"
KILLS = 10
# Annotation of the lock: the holder's process.
PROCESS = "cassops.kubernetes/process"
# Seconds after which the lock of a dead run is free: those of the Lease, and what a run takes until it asks for it.
FREE_WITHIN = 65


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
    wanted = six.inventory_variables()["cassandra_jvm_options"]
    bad = six.changed(cassandra_jvm_options=[*wanted, BAD])
    with stops_at_the_canary(bad, six, client, "crashed 3 times", "Unrecognized VM option"):
        # Whoever fixes it tells so first; that must work although a node is down.
        output = six.deploy().output
        assert f"{six.nodes[1]} is not well" in " ".join(output.split())
        assert restarted(restart(six), six) == [six.nodes[1]]


@contextmanager
def stops_at_the_canary(bad: Datacenter, good: Datacenter, client: Workload, *cause: str) -> Iterator[None]:
    """A wrong wish ends at the canary, with its cause and the others untouched; the context gets out of it."""
    canary = good.nodes[1]
    before, lives = revisions(good), good.lives()
    with no_request_fails(good, client) as watcher:
        bad.deploy()
        bad.run("restart", **QUICK).refused(*cause, "The rollout stops here", "Not touched", "r1-0")
        others = {pod: item["metadata"]["uid"] for pod, item in good.pods().items() if pod != canary}
        assert others == {node: uid for node, (uid, _restarts) in lives.items() if node != canary}, "five untouched"
        assert partitions(good) == {"r1": 1, "r2": 2, "r3": 2}
        yield
    assert set(watcher.made) == {canary}
    assert revisions(good) == before
    assert set(partitions(good).values()) == {2}


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


# --- the rest of the matrix -------------------------------------------------------------------------------------------


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


def test_the_lock_of_a_run_that_died_elsewhere_is_free_after_a_minute(six: Datacenter, client: Workload) -> None:
    run = six.start("restart", **QUICK, rollout_force=True, rollout_max_unavailable="rack")
    wait_for_words(run, "batch 1 of")
    run.kill()
    lock, killed = f"{six.cluster}-lock", time.monotonic()
    # Here its death is seen at once; on another machine nobody could see it.
    six.namespace.kubectl("annotate", "lease", lock, f"{PROCESS}=another/pid:[1]/{run.process.pid}", "--overwrite")
    six.run("restart", **QUICK).refused(f"pid {run.process.pid} holds the lock {lock}", "since")

    def refused() -> list[str]:
        begun = time.monotonic()
        result = six.run("restart", facts=True, **QUICK)
        return [] if result.rc == 0 or begun - killed > FREE_WITHIN else [f"refused {begun - killed:.0f} s afterwards"]

    waiting.until("the lock to be free", refused, 600)
    restart(six)
    six.wait_up()


@pytest.mark.parametrize(
    ("variable", "value", "cause"),
    [
        ("cassandra_image", "registry.invalid/cassandra:5.0.9", "cannot start: "),
        (
            "cassandra_resources",
            {"requests": {"cpu": "50m", "memory": "900Gi"}, "limits": {"memory": "900Gi"}},
            "it cannot be scheduled",
        ),
    ],
    ids=["image", "room"],
)
def test_what_cannot_start_stops_at_the_canary(
    six: Datacenter, client: Workload, variable: str, value: Any, cause: str
) -> None:
    bad = six.changed(**{variable: value})
    with stops_at_the_canary(bad, six, client, cause):
        assert restarted(restart(bad, rollout_rollback=True), six) == [six.nodes[1]]
        six.deploy()
        assert restart(six).changed == 0


def test_schemas_that_disagree_block(six: Datacenter, client: Workload) -> None:
    victim = six.nodes[-1]
    lives = six.lives()
    with another_schema(six, victim):
        six.run("restart", **QUICK, rollout_force=True, rollout_gate_timeout=10).refused(
            "2 schema versions", victim, "restart the node that differs"
        )
    assert six.lives() == lives


def test_a_repair_that_runs_blocks(six: Datacenter, client: Workload) -> None:
    lives = six.lives()
    with repairing(six, six.nodes[-1]) as still:
        six.run("restart", **QUICK, rollout_force=True, rollout_gate_timeout=5).refused(
            "repair of", "rollout_ignore: repairs"
        )
        assert still(), "the repair was over before the run"
    assert six.lives() == lives


def test_a_node_that_goes_down_in_the_middle_stops_the_rollout(six: Datacenter, client: Workload) -> None:
    victim = six.nodes[-1]
    with no_request_fails(six, client):
        run = six.start("restart", **QUICK, rollout_force=True, rollout_gate_timeout=20)
        wait_for_words(run, "batch 2 of")
        with stopped(six, victim):
            result = run.wait()
            result.refused(victim, "Still missing")
            done = len([line for line in result.output.splitlines() if " is back after " in line])
            assert 1 <= done <= 2, result.output
        six.wait_up()
        restart(six, rollout_force=True)


def test_a_node_that_others_see_down_blocks(six: Datacenter, client: Workload) -> None:
    """Its gossip is off: it takes itself for up, and serves clients; the others take it for down."""
    victim = six.nodes[2]
    lives = six.lives()
    six.nodetool(victim, "disablegossip")
    try:
        six.run("restart", **QUICK, rollout_force=True, rollout_gate_timeout=20).refused(victim, "Still missing")
    finally:
        six.nodetool(victim, "enablegossip")
    six.wait_up()
    assert six.lives() == lives


RACK = {"warn": "r1", "ignore": "r2"}


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


@pytest.mark.parametrize("replicas", [1, 2])
def test_keyspaces_that_cannot_keep_their_quorum(six: Datacenter, client: Workload, replicas: int) -> None:
    lives = six.lives()
    with connect(six) as driver:
        session = driver.connect()
        options = f"{{'class': 'NetworkTopologyStrategy', 'dc1': {replicas}}}"
        session.execute(f"CREATE KEYSPACE fragile WITH replication = {options}", timeout=60)
        try:
            six.run("restart", rollout_force=True).refused("keyspace fragile", "rollout_low_rf")
            assert six.lives() == lives
            for policy, told in (("warn", True), ("ignore", False)):
                result = restart(six, rollout_force=True, rollout_low_rf=policy, rollout_limit=RACK[policy])
                assert restarted(result, six) == rack_of(six, RACK[policy])
                assert ("fragile" in result.output) is told
        finally:
            session.execute("DROP KEYSPACE fragile", timeout=60)
    six.wait_up()


def test_two_datacenters_roll_one_after_the_other(namespaces: Namespaces, sandbox: Sandbox) -> None:
    with namespaces.fresh("r2-pair-1") as first, namespaces.fresh("r2-pair-2") as second:
        pair = [
            Datacenter(first, cluster="pair", name="dc1"),
            Datacenter(second, cluster="pair", name="dc2", racks={"x1": 1, "x2": 1}),
        ]
        start("deploy", pair).wait().ok()
        start("deploy", pair).wait().ok()
        with Watcher.at(pair[0]) as one, Watcher.at(pair[1]) as other:
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
