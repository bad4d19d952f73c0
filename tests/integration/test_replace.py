# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Six nodes in three racks on four workers: storage is lost in all ways, and heal brings it back; nobody loses a row.

One client writes and reads at QUORUM from the first test to the last.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import venvs
from integration.harness import faults, losses, waiting
from integration.harness.datacenter import START_SECONDS, Datacenter
from integration.harness.kubernetes import Cluster
from integration.harness.losses import LOSSES
from integration.harness.namespace import Namespaces
from integration.harness.playbooks import environment
from integration.harness.scenarios import Living
from integration.harness.settings import ROOT, rng
from integration.harness.workload import Workload
from sandbox import Sandbox

# Minutes each; `make test` loses one volume of a small datacenter.
pytestmark = pytest.mark.soak

SIX = {"r1": 2, "r2": 2, "r3": 2}
# Streaming must last for long enough to be killed.
SLOW_STREAMS = {f"{kind}stream_throughput_outbound": losses.SLOW for kind in ("", "entire_sstable_")}
RULEBOOK = "ansible-rulebook==1.3.2"
JAVA = Path("/usr/lib/jvm")


@pytest.fixture(scope="module")
def four_workers(cluster: Cluster, sandbox: Sandbox) -> Iterator[None]:
    """A second worker in one zone, so that its nodes have a worker each, and one to go to."""
    with faults.another_worker(sandbox, "zone2"):
        yield


@pytest.fixture(scope="module")
def six(namespaces: Namespaces, four_workers: None) -> Iterator[Datacenter]:
    """The datacenter, deployed."""
    with namespaces.fresh("h-six") as namespace:
        plain = Datacenter(namespace, racks=SIX)
        wanted = plain.inventory_variables()["cassandra_config"]
        datacenter = plain.changed(cassandra_config={**wanted, **SLOW_STREAMS})
        datacenter.deploy()
        yield datacenter


@pytest.fixture(scope="module")
def living(six: Datacenter) -> Iterator[Living]:
    """The same with a client at work."""
    with Workload(six) as client:
        yield Living.meet(six, client)


def test_a_healthy_datacenter_is_left_alone(living: Living) -> None:
    before, lives = losses.written(living.datacenter), living.datacenter.lives()
    for words in ((), ("--check",)):
        result = living.datacenter.run("heal", *words, facts=True).ok()
        assert result.changed == 0
        assert result.facts[living.datacenter.host]["whole"] is True
    result = living.datacenter.run("replace_node", replace_node_name="r1-0").ok()
    assert result.changed == 0
    assert "a live node is never replaced" in " ".join(result.output.split())
    assert losses.written(living.datacenter) == before
    assert living.datacenter.lives() == lives


@pytest.mark.parametrize("name", list(LOSSES))
def test_no_acknowledged_row_is_lost_when(living: Living, name: str) -> None:
    LOSSES[name](living, rng(f"losses/{name}"))


def test_a_worker_dies_and_nobody_types_anything(living: Living) -> None:
    """8. The rulebook runs; a worker dies and is deleted from Kubernetes."""
    datacenter, sandbox = living.datacenter, faults.sandbox_of(living.datacenter)
    node, lost = losses.alone_on_its_worker(living, rng("rulebook"))
    with losses.reading_workers(datacenter):
        watching = rulebook(datacenter)
        try:
            time.sleep(30)
            began = time.monotonic()
            sandbox.kill_worker(lost)
            faults.wait_not_ready(datacenter, [lost])
            missed = time.monotonic() - began
            datacenter.namespace.cluster.kubectl("delete", "node", lost)
            waiting.until("the node to be back elsewhere", lambda: not_moved(datacenter, node, lost), START_SECONDS)
            datacenter.wait_up()
            print(f"{time.monotonic() - began:.0f} s from the death of {lost} to whole, {missed:.0f} s of it unnoticed")
        finally:
            watching.terminate()
            watching.wait(60)
            sandbox.revive_worker(lost)
    living.client.check("ALL")
    losses.nothing_left(living)


def not_moved(datacenter: Datacenter, node: str, lost: str) -> list[str]:
    pod = datacenter.pods().get(node, {"spec": {}})
    if pod["spec"].get("nodeName") in (None, lost):
        return [f"{node} is on {pod['spec'].get('nodeName')}"]
    return datacenter.not_ready([node])


def rulebook(datacenter: Datacenter) -> subprocess.Popen[str]:
    """ansible-rulebook, as docs/operations/heal.md has it."""
    needed = venvs.pinned("ansible-core", "kubernetes", "cassandra-driver", "jmespath")
    programs = venvs.make("rulebook", [RULEBOOK, *needed])
    folder = datacenter.namespace.output / "rulebook"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "heal.yml").write_text(losses.rulebook_variables(datacenter))
    (folder / "inventory.yml").write_text(losses.inventory_text(datacenter))
    java = next(iter(sorted(JAVA.glob("java-17-*"))))
    settings = {
        **environment(),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "JAVA_HOME": str(java),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
    }
    command = ["ansible-rulebook", "--rulebook", "cassops.kubernetes.heal"]
    command += ["-i", "inventory.yml", "--vars", "heal.yml", "--print-events"]
    with (folder / "rulebook.log").open("w") as log:
        return subprocess.Popen(
            [str(programs / command[0]), *command[1:]],
            cwd=folder,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
