# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are called by their pods' addresses: each start has another one, and the ring keeps its members.

One client writes and reads at QUORUM, until all nodes stop at once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
from integration.harness import faults, waiting
from integration.harness.datacenter import START_SECONDS, Datacenter, Member
from integration.harness.faults import Volume
from integration.harness.namespace import Namespaces
from integration.harness.reliability import Outcome
from integration.harness.scaling import LIMIT, wanted
from integration.harness.scenarios import not_held
from integration.harness.settings import rng
from integration.harness.workload import Workload, rows_of

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def three(namespaces: Namespaces) -> Iterator[Datacenter]:
    """The datacenter, deployed."""
    with namespaces.fresh("pods") as namespace:
        datacenter = Datacenter(namespace, variables={"cassandra_address": "pod"})
        datacenter.deploy()
        yield datacenter


def host_ids(members: Mapping[str, Member]) -> dict[str, str]:
    """Node -> its host id."""
    return {node: member.host_id for node, member in members.items()}


def deployed_again(datacenter: Datacenter) -> None:
    """A deploy finds nothing to do, and a status nothing to tell."""
    lives = datacenter.lives()
    result = datacenter.deploy()
    assert result.changed == 0, result.output
    assert datacenter.lives() == lives
    facts = datacenter.status(status_fail_on="down")
    assert [node["state"] for node in facts["nodes"]] == ["UN"] * len(datacenter.nodes), facts["nodes"]


def pod_deleted(datacenter: Datacenter, rng: random.Random) -> None:
    """Kubernetes makes it again, with another address."""
    node = rng.choice(datacenter.nodes)
    before = datacenter.addresses()[node]
    datacenter.delete_pod(node)
    datacenter.wait_up()
    assert datacenter.addresses()[node] != before


def worker_lost(datacenter: Datacenter, rng: random.Random) -> None:
    """A worker loses power until Kubernetes misses it, and returns."""
    worker = faults.worker_of(datacenter, rng.choice(datacenter.nodes))
    with faults.powerless(datacenter, [worker]):
        faults.wait_not_ready(datacenter, [worker])


def restarted(datacenter: Datacenter, rng: random.Random) -> None:
    """All nodes restart, one after the other, and get other addresses."""
    before = set(datacenter.addresses().values())
    datacenter.run("restart", rollout_force=True).ok()
    assert not before & set(datacenter.addresses().values())


def volume_lost(datacenter: Datacenter, rng: random.Random) -> None:
    """A node loses its volume and is held; heal replaces it, under another address and host id."""
    node = rng.choice(datacenter.nodes)
    before = datacenter.wait_up()[node].host_id
    with faults.stopped(datacenter, node):
        Volume.of(datacenter, node).wipe()
    waiting.until(f"{node} to be held", lambda: not_held(datacenter, {node: "its volume is empty"}), START_SECONDS)
    result = datacenter.run("heal", facts=True).ok()
    assert [one["node"] for one in result.facts[datacenter.host]["replaced"]] == [node]
    assert datacenter.wait_up()[node].host_id != before
    assert datacenter.run("heal").ok().changed == 0


STEPS: Mapping[str, Callable[[Datacenter, random.Random], None]] = {
    "a pod is deleted": pod_deleted,
    "a worker is lost and returns": worker_lost,
    "all nodes are restarted": restarted,
    "a volume is lost": volume_lost,
}


@pytest.mark.parametrize("name", list(STEPS))
def test_the_ring_keeps_its_members_when(three: Datacenter, name: str, outcome: Outcome) -> None:
    outcome.fault = f"pods' addresses: {name}"
    before = host_ids(three.wait_up())
    with Workload(three, elsewhere=True) as client:
        STEPS[name](three, rng(f"pods/{name}"))
        after = host_ids(three.wait_up())
        client.wait_for_rows(50)
        client.check()
        print(client.record)
    changed = [node for node in after if after[node] != before[node]]
    assert len(changed) == (1 if name == "a volume is lost" else 0)
    waiting.until("old addresses to be forgotten", lambda: three.strangers(three.nodes[0]), START_SECONDS, pause=4)
    deployed_again(three)


def test_out_and_in(three: Datacenter, outcome: Outcome) -> None:
    outcome.fault = "pods' addresses: a node joins and leaves"
    four = wanted(three, {"r1": 2, "r2": 1, "r3": 1})
    with Workload(three, table="scaled", elsewhere=True) as client, client.none_fails():
        four.run("scale", scale_wait_timeout=LIMIT).ok()
        members = four.wait_up()
        deployed_again(four)
        three.run("scale", scale_wait_timeout=LIMIT).ok()
        assert host_ids(three.wait_up()).items() < host_ids(members).items()
    deployed_again(three)


def test_all_have_other_addresses_at_once(three: Datacenter, outcome: Outcome) -> None:
    """stop and start, and all workers without power."""
    outcome.fault = "pods' addresses: all nodes have others at once"
    before = host_ids(three.wait_up())
    with Workload(three, table="last") as client:
        client.wait_for_rows(100)
        client.stop()
    three.run("stop").ok()
    assert three.run("stop").ok().changed == 0
    three.run("start").ok()
    assert host_ids(three.wait_up()) == before
    assert rows_of(three, "last") == client.record.acknowledged
    workers = {faults.worker_of(three, node) for node in three.nodes}
    with faults.powerless(three, sorted(workers)):
        time.sleep(5)
    outcome.workers = len(workers)
    assert host_ids(three.wait_up()) == before
    assert rows_of(three, "last") == client.record.acknowledged
    deployed_again(three)


def test_destroyed_and_deployed_on_kept_volumes(three: Datacenter, outcome: Outcome) -> None:
    outcome.fault = "pods' addresses: destroyed and deployed again"
    before = host_ids(three.wait_up())
    three.run("destroy", destroy_confirm=three.name).ok()
    three.deploy()
    assert host_ids(three.wait_up()) == before
    deployed_again(three)
