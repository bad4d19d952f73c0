# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applications make tables, and every operation that asks the nodes writes into the ledger what these ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import OFF
from unit.plugins.module_utils.operations.rolling import Rolling

from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Operation
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Lock
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    datacenter_info,
    datacenter_power,
    repair,
    repairing,
    rollout,
    sstable_upgrade,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.cluster import Cluster

NOTED = "noted: gc_grace_seconds is 172800 at least, keyspaces with one replica are app"
NAMES = {"cluster": "shop", "datacenter": "dc1", "namespace": "cassandra"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Rolling:
    monkeypatch.setattr(repairing, "wait_for", lambda done: done.exception(timeout=60))
    world = Rolling.deployed(monkeypatch, per_rack=1, self_replace=True)
    make_tables(world)
    return world


def make_tables(world: Rolling, grace: int = 172800) -> None:
    """As an application does, of whose tables no deploy knows."""
    world.ring.replication["app"] = {"class": "NetworkTopologyStrategy", "dc1": "1"}
    world.ring.tables[:] = [("system_auth", 7776000), ("app", grace)]


def noted(world: Rolling) -> tuple[int, tuple[str, ...]]:
    ledger = world.kube.ledger()
    return ledger.gc_grace_seconds, ledger.single_copies


OPERATIONS: dict[str, tuple[Operation, dict[str, Any]]] = {
    "repair": (repair, {}),
    "rollout": (rollout, {}),
    "stop": (datacenter_power, {"state": "stopped"}),
    "start": (datacenter_power, {"state": "started"}),
    "sstable_upgrade": (sstable_upgrade, {}),
}


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "start"])
def test_each_operation_notes_what_tables_ask_for(world: Rolling, name: str) -> None:
    operation, options = OPERATIONS[name]
    assert noted(world) == (864000, ())
    writes = len(world.kube.writes)
    world.run(operation, check=True, **options)
    assert world.kube.writes[writes:] == []
    world.run(operation, **options)
    assert noted(world) == (172800, ("app",))
    assert world.said.count(NOTED) == 1


def test_it_is_no_change_of_the_operation(world: Rolling) -> None:
    assert world.run(rollout)["changed"] is False
    writes = len(world.writes())
    assert world.run(rollout)["changed"] is False
    assert (world.writes()[writes:], NOTED in world.said) == ([], False)


def test_a_start_notes_it_as_soon_as_nodes_answer(world: Rolling) -> None:
    world.run(datacenter_power, state="stopped")
    make_tables(world, grace=100000)
    assert world.run(datacenter_power, state="started")["changed"]
    assert noted(world) == (100000, ("app",))


def test_what_is_asked_for_no_more_goes_without_a_word(world: Rolling) -> None:
    world.run(rollout)
    del world.ring.replication["app"]
    world.ring.tables.pop()
    assert world.run(rollout)["changed"] is False
    assert noted(world) == (864000, ())
    assert not [line for line in world.said if line.startswith("noted")]


def test_where_no_node_answers_nothing_is_noted(world: Rolling) -> None:
    world.run(rollout)
    make_tables(world, grace=864000)
    for pod in world.nodes:
        world.ring.doors[pod] = OFF
    for operation in (rollout, repair):
        with pytest.raises(CassopsError):
            world.run(operation)
    assert noted(world) == (172800, ("app",))


def test_who_need_not_have_the_lock_waits_for_nobody(world: Rolling) -> None:
    """Whoever has it notes it."""
    with Lock(cast(Kube, world.kube), "shop-lock", "another@somewhere pid 9"):
        cluster = Cluster(NAMES, world.context())
        cluster.learn(cluster.ask(cluster.look()))
    assert noted(world) == (864000, ())
    cluster.learn(cluster.ask(cluster.look()))
    assert noted(world) == (172800, ("app",))


def test_what_was_read_before_does_not_take_it_back(world: Rolling) -> None:
    cluster = Cluster(NAMES, world.context())
    with cluster.locked():
        sight = cluster.look()
        before = cluster.ledger(sight.found)
        cluster.ask(sight)
        cluster.write_ledger(before, replace(before, replicas=2))
        assert (noted(world), world.kube.ledger().replicas) == ((172800, ("app",)), 2)
        # Nor does a look of before hide what was written since.
        make_tables(world, grace=100000)
        cluster.ask(sight)
        assert (noted(world), world.kube.ledger().replicas) == ((100000, ("app",)), 2)


def test_status_tells_what_the_ledger_does_not_know(world: Rolling) -> None:
    def problems() -> list[str]:
        told = world.run(datacenter_info, late_repairs=False)["datacenter"]["problems"]
        return [each["problem"] for each in told if "ledger" in each["problem"]]

    writes = len(world.kube.writes)
    grace, single = problems()
    assert grace.startswith("tables have a gc_grace_seconds of 172800, and the ledger still says 864000: ")
    assert single.startswith("keyspaces with one replica that the ledger does not know: app. ")
    assert world.kube.writes[writes:] == []
    world.run(rollout)
    assert problems() == []
