# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes: what keeps a rollout from beginning, and what stops it at its first node. A client is at work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from integration.harness import gates, waiting
from integration.harness.datacenter import Datacenter
from integration.harness.killed import wait_for_words
from integration.harness.namespace import Namespaces
from integration.harness.rollouts import QUICK, canary_of, restart, restarted, stops_at_the_canary
from integration.harness.workload import Workload

pytestmark = pytest.mark.soak

# Annotation of the lock: the holder's process.
PROCESS = "cassops.kubernetes/process"
# Seconds after which the lock of a dead run is free: those of the Lease, and what a run takes until it asks for it.
FREE_WITHIN = 65


@pytest.fixture(scope="module")
def three(namespaces: Namespaces) -> Iterator[Datacenter]:
    """The datacenter, deployed."""
    with namespaces.fresh("gates") as namespace:
        datacenter = Datacenter(namespace)
        datacenter.deploy()
        yield datacenter


@pytest.fixture(scope="module")
def client(three: Datacenter) -> Iterator[Workload]:
    """At work all the time."""
    with Workload(three, rate=10, elsewhere=True) as client:
        yield client


def test_the_lock_of_a_run_that_died_elsewhere_is_free_after_a_minute(three: Datacenter, client: Workload) -> None:
    run = three.start("restart", **QUICK, rollout_force=True, rollout_max_unavailable="rack")
    wait_for_words(run, "batch 1 of")
    run.kill()
    lock, killed = f"{three.cluster}-lock", time.monotonic()
    # Here its death is seen at once; on another machine nobody could see it.
    three.namespace.kubectl("annotate", "lease", lock, f"{PROCESS}=another/pid:[1]/{run.process.pid}", "--overwrite")
    three.run("restart", **QUICK).refused(f"pid {run.process.pid} holds the lock {lock}", "since")

    def refused() -> list[str]:
        begun = time.monotonic()
        result = three.run("restart", facts=True, **QUICK)
        return [] if result.rc == 0 or begun - killed > FREE_WITHIN else [f"refused {begun - killed:.0f} s afterwards"]

    waiting.until("the lock to be free", refused, 600)
    # What was forced is not finished; the tests that follow would go on with it.
    restart(three, rollout_force=True)
    three.wait_up()


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
    three: Datacenter, client: Workload, variable: str, value: Any, cause: str
) -> None:
    bad = three.changed(**{variable: value})
    with stops_at_the_canary(bad, three, client, cause):
        assert restarted(restart(bad, rollout_rollback=True), three) == [canary_of(three)]
        three.deploy()
        assert restart(three).changed == 0


@pytest.mark.parametrize("gate", gates.GATES)
def test_nothing_is_restarted_where(three: Datacenter, client: Workload, gate: str) -> None:
    gates.blocks(three, gate)


@pytest.mark.parametrize("replicas", [1, 2])
def test_keyspaces_that_cannot_keep_their_quorum(three: Datacenter, client: Workload, replicas: int) -> None:
    gates.cannot_keep_its_quorum(three, replicas)
