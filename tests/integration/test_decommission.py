# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A datacenter leaves its cluster under a client that works in the other one; in the order of this file.

Rows were written into it alone before, and must be in the other one in the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from cassandra import ConsistencyLevel
from cassandra.query import SimpleStatement
from integration.harness.datacenter import Datacenter, of_version, start
from integration.harness.killed import wait_for_words
from integration.harness.namespace import Namespaces
from integration.harness.playbooks import Result
from integration.harness.workload import KEYSPACE, Workload, connect
from sandbox import Sandbox

pytestmark = pytest.mark.soak

NOTE = "cassops.kubernetes/decommission"
# A keyspace with rows that only the leaving datacenter has: written before the other one got replicas, which are empty.
ALONE = "alone"
NUMBER = 500


@dataclass
class Pair:
    """Three nodes that stay, and two that leave."""

    stays: Datacenter
    leaves: Datacenter

    @property
    def both(self) -> list[Datacenter]:
        return [self.stays, self.leaves]


@pytest.fixture(scope="module", params=["5.0.9", "4.1.10", "4.0.19"])
def pair(request: pytest.FixtureRequest, namespaces: Namespaces, sandbox: Sandbox) -> Iterator[Pair]:
    variables = of_version(request.param)
    sandbox.load_image(f"cassandra:{request.param}")
    with namespaces.fresh("leaves-1") as first, namespaces.fresh("leaves-2") as second:
        found = Pair(
            Datacenter(first, cluster="leaves", name="dc1", variables=variables),
            Datacenter(second, cluster="leaves", name="dc2", racks={"x1": 1, "x2": 1}, variables=variables),
        )
        start("deploy", found.both).wait().ok()
        start("deploy", found.both).wait().ok()
        yield found


@pytest.fixture(scope="module")
def client(pair: Pair) -> Iterator[Workload]:
    """At work in the datacenter that stays, all the time."""
    with Workload(pair.stays, consistency="LOCAL_QUORUM") as client:
        execute(pair.stays, f"ALTER {replicated(KEYSPACE, dc1=3, dc2=2)}")
        client.wait_for_rows(200)
        write_alone(pair)
        yield client


def replicated(keyspace: str, **replicas: int) -> str:
    options = ", ".join(f"'{name}': {count}" for name, count in replicas.items())
    return f"KEYSPACE {keyspace} WITH replication = {{'class': 'NetworkTopologyStrategy', {options}}}"


def execute(datacenter: Datacenter, *statements: str, consistency: str = "LOCAL_QUORUM") -> list[object]:
    """Rows of the last statement."""
    rows: list[object] = []
    with connect(datacenter, consistency=consistency) as driver:
        session = driver.connect()
        for statement in statements:
            level = getattr(ConsistencyLevel, consistency)
            rows = list(session.execute(SimpleStatement(statement, consistency_level=level), timeout=120))
    return rows


def write_alone(pair: Pair) -> None:
    execute(pair.leaves, f"CREATE {replicated(ALONE, dc2=2)}", f"CREATE TABLE {ALONE}.rows (n int PRIMARY KEY)")
    execute(pair.leaves, *(f"INSERT INTO {ALONE}.rows (n) VALUES ({n})" for n in range(NUMBER)))
    execute(pair.leaves, f"ALTER {replicated(ALONE, dc1=3, dc2=2)}")
    assert alone(pair) == set()


def alone(pair: Pair) -> set[int]:
    """Which of them the staying datacenter has."""
    return {row.n for row in execute(pair.stays, f"SELECT n FROM {ALONE}.rows")}  # type: ignore[attr-defined]


def decommission(pair: Pair, *words: str, **extra: Any) -> Result:
    return start("decommission", pair.both, *words, **options(pair), **extra).wait(3600)


def options(pair: Pair) -> dict[str, Any]:
    return {"decommission_hosts": pair.leaves.host, "decommission_confirm": "dc2"}


def note(pair: Pair) -> str:
    ledger = pair.leaves.namespace.get("configmap", f"{pair.leaves.prefix}-ledger")
    noted: str = (ledger["metadata"].get("annotations") or {}).get(NOTE, "")
    return noted


def datacenters(pair: Pair) -> list[str]:
    """Those that nodetool status of the staying one tells of."""
    return re.findall(r"^Datacenter: (\S+)", pair.stays.nodetool(pair.stays.nodes[0], "status"), re.M)


def replications(pair: Pair) -> dict[str, dict[str, str]]:
    rows: Sequence[object] = execute(
        pair.stays, "SELECT keyspace_name, replication FROM system_schema.keyspaces", consistency="ONE"
    )
    return {row.keyspace_name: dict(row.replication) for row in rows}  # type: ignore[attr-defined]


def test_what_is_in_the_way_is_told_and_nothing_is_touched(pair: Pair, client: Workload) -> None:
    decommission(pair).refused(
        f"keyspaces {ALONE}, {KEYSPACE}: replicas in datacenter dc2", "decommission_unreplicate=true"
    )
    wrong = start("decommission", pair.both, decommission_hosts=pair.leaves.host, decommission_confirm="dc1").wait()
    wrong.refused("repeat its name")
    result = decommission(pair, "--check", "--diff", decommission_unreplicate=True).ok()
    assert f'ALTER KEYSPACE "{KEYSPACE}"' in result.output
    assert note(pair) == ""
    assert sorted(datacenters(pair)) == ["dc1", "dc2"]
    assert replications(pair)[KEYSPACE].keys() >= {"dc1", "dc2"}


def test_it_leaves_although_runs_are_killed(pair: Pair, client: Workload) -> None:
    with client.none_fails("LOCAL_QUORUM"):
        for words in (f"rows that only dc2 may have: keyspace {KEYSPACE}", "x2-0 to leave", "x1-0 to leave"):
            run = start("decommission", pair.both, **options(pair), decommission_unreplicate=True)
            wait_for_words(run, words, 1200)
            run.kill()
            print(f"killed after: {run.output.splitlines()[-1]}")
            assert note(pair) != ""
            assert any("on its way out" in each["problem"] for each in pair.leaves.status()["problems"])
        start("deploy", pair.both, deploy_hosts=pair.leaves.host).wait().refused("on its way out of its cluster")
        result = decommission(pair, decommission_unreplicate=True).ok()
    print(f"{result.seconds:5.1f} s decommission")
    assert datacenters(pair) == ["dc1"]
    named = [name for name, replication in replications(pair).items() if "dc2" in replication]
    assert named == [], "a keyspace names it"
    assert alone(pair) == set(range(NUMBER)), "rows that only it had are lost"


def test_again_changes_nothing(pair: Pair, client: Workload) -> None:
    lives = pair.stays.lives()
    assert decommission(pair).ok().changed == 0
    assert decommission(pair, "--check").ok().changed == 0
    assert pair.stays.lives() == lives
    assert len(pair.leaves.namespace.list("persistentvolumeclaim")) == 2


def test_the_other_one_goes_on_and_restarts(pair: Pair, client: Workload) -> None:
    """Though the inventory has both still."""
    assert not any("dc2" in each["problem"] for each in pair.stays.status()["problems"])
    restart = start("restart", pair.both, rollout_hosts=pair.stays.host, rollout_force=True, rollout_limit="r1")
    with client.none_fails("LOCAL_QUORUM"):
        restart.wait(1800).ok()


def test_volumes_go_and_it_comes_back_as_a_new_one(pair: Pair, client: Workload) -> None:
    decommission(pair, decommission_delete_volumes=True).ok()
    assert pair.leaves.namespace.list("persistentvolumeclaim") == []
    assert decommission(pair, decommission_delete_volumes=True).ok().changed == 0
    start("deploy", pair.both, deploy_hosts=pair.leaves.host).wait().ok()
    assert sorted(datacenters(pair)) == ["dc1", "dc2"]
    client.check("LOCAL_QUORUM")
