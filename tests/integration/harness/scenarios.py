# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a living datacenter under a client that never stops: what is done, and what must hold afterwards.

Each takes a datacenter of at least two nodes a rack and leaves it whole. Nobody runs a playbook to help.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import faults, waiting
from .datacenter import START_SECONDS, Datacenter, Member, identities
from .faults import DAY, Volume, powerless, stopped
from .workload import Workload

# The scenario may take rows away from nobody: so many must be written while and after it lasts.
ROWS_AFTER = 100


@dataclass(frozen=True)
class Living:
    """A datacenter with a client at work, and what its nodes were before any fault."""

    datacenter: Datacenter
    client: Workload
    members: Mapping[str, Member]

    @classmethod
    def meet(cls, datacenter: Datacenter, client: Workload) -> Living:
        """Note what the nodes are."""
        return cls(datacenter, client, datacenter.wait_up())

    def assert_whole(self, consistency: str = "QUORUM") -> None:
        """Every node is back with its address and host id, nobody else is there, and no acknowledged row is missing."""
        members = self.datacenter.wait_up()
        assert identities(members) == identities(self.members)
        assert not self.datacenter.strangers(self.datacenter.nodes[0])
        self.client.wait_for_rows(ROWS_AFTER)
        self.client.check(consistency)


def pod_deleted(living: Living, rng: random.Random) -> int:
    """Any one pod is deleted."""
    living.datacenter.delete_pod(rng.choice(living.datacenter.nodes))
    return 0


def worker_flickers(living: Living, rng: random.Random) -> int:
    """A worker loses power and has it back before Kubernetes misses it."""
    worker = faults.worker_of(living.datacenter, rng.choice(living.datacenter.nodes))
    with powerless(living.datacenter, [worker]):
        time.sleep(rng.uniform(1, 8))
    return 1


def rack_lost(living: Living, rng: random.Random) -> int:
    """All workers of a rack are without power until Kubernetes and the other nodes miss them; rows are still there."""
    datacenter = living.datacenter
    rack = rng.choice(list(datacenter.racks))
    nodes = [node for node in datacenter.nodes if node.startswith(f"{datacenter.prefix}-{rack}-")]
    workers = {faults.worker_of(datacenter, node) for node in nodes}
    with powerless(datacenter, workers):
        faults.wait_not_ready(datacenter, workers)
        living.client.wait_for_rows(ROWS_AFTER)
        living.client.check()
    return len(workers)


def all_lost(living: Living, rng: random.Random) -> int:
    """All workers lose power at once."""
    workers = {faults.worker_of(living.datacenter, node) for node in living.datacenter.nodes}
    with powerless(living.datacenter, sorted(workers)):
        time.sleep(rng.uniform(0, 10))
    return len(workers)


Scenario = Callable[[Living, random.Random], int]
"""Returns how many workers lost their power."""

FAULTS: Mapping[str, Scenario] = {
    "a pod is deleted": pod_deleted,
    "a worker flickers": worker_flickers,
    "a rack is lost": rack_lost,
    "all workers are lost": all_lost,
}


# The start table


def nodes_of_a_rack(living: Living, rng: random.Random) -> list[str]:
    """Two nodes of one rack: without them every row still has its QUORUM."""
    rack = rng.choice(list(living.datacenter.racks))
    return [node for node in living.datacenter.nodes if node.startswith(f"{living.datacenter.prefix}-{rack}-")][:2]


def wiped_and_foreign(living: Living, rng: random.Random) -> int:
    """One volume comes back empty, another is a stranger's: both nodes are held until the volumes are right again."""
    datacenter = living.datacenter
    wiped, foreign = nodes_of_a_rack(living, rng)
    empty, others = Volume.of(datacenter, wiped), Volume.of(datacenter, foreign)
    mark = others.mark.read_text()
    with stopped(datacenter, wiped, foreign):
        empty.take_away()
        others.mark.write_text(mark.replace(datacenter.ledger()["id"], "0" * 32))
    assert_held(living, {wiped: "its volume is empty", foreign: "the volume belongs to another node"})
    assert empty.files() == [], "a held node touches nothing"
    lives = datacenter.lives()
    empty.put_back()
    others.mark.write_text(mark)
    datacenter.wait_up()
    assert datacenter.lives() == lives, "a held node goes on by itself"
    return 0


def unmarked(living: Living, rng: random.Random) -> int:
    """A volume has data and no mark."""
    node = rng.choice(living.datacenter.nodes)
    volume = Volume.of(living.datacenter, node)
    aside = volume.mark.with_name("mark.aside")
    with stopped(living.datacenter, node):
        volume.mark.rename(aside)
    assert_held(living, {node: "no node of this datacenter wrote"})
    aside.rename(volume.mark)
    return 0


def stale_and_self_replaced(living: Living, rng: random.Random) -> int:
    """One node was away for longer than gc_grace_seconds: its old rows would bring deleted ones back, so it is held.

    Another one's volume is gone, and the inventory allows it to replace itself: it does when all others serve again. It
    is the first one of its rack, a seed: whether another one finds the ring by itself is luck (decision 0020).
    """
    datacenter = living.datacenter
    lives = datacenter.lives()
    datacenter.deploy(cassandra_self_replace=True)
    assert datacenter.lives() == lives, "to allow it restarts nothing"
    wiped, stale = nodes_of_a_rack(living, rng)
    volume = Volume.of(datacenter, stale)
    with stopped(datacenter, stale, wiped):
        volume.serve_last(11 * DAY)
        Volume.of(datacenter, wiped).wipe()
    alone = f"It does not replace itself: {stale} does not serve either"
    assert_held(living, {stale: "longer than gc_grace_seconds", wiped: alone})
    volume.serve_last(0)
    waiting.until(f"{wiped} to be ready", lambda: datacenter.not_ready([wiped]), START_SECONDS)
    assert f"cassops: replace {datacenter.addresses()[wiped]}" in datacenter.namespace.kubectl("logs", wiped)
    datacenter.wait_up()
    datacenter.deploy()
    return 0


START_TABLE: Mapping[str, Scenario] = {
    "one volume is wiped and another one foreign": wiped_and_foreign,
    "a volume has no mark": unmarked,
    "a node was away for too long and a wiped one replaces itself": stale_and_self_replaced,
}


def assert_held(living: Living, reasons: Mapping[str, str]) -> None:
    """The nodes run, are not ready, say why everywhere, and are not in the ring; the others know them as they were."""
    datacenter = living.datacenter
    waiting.until("the nodes to be held", lambda: not_held(datacenter, reasons), 300)
    result = datacenter.run("status", facts=True).ok()
    told = {node["name"]: node for node in result.facts[datacenter.host]["datacenter"]["nodes"]}
    for node, reason in reasons.items():
        assert told[node]["state"] == "held", told[node]
        assert reason in told[node]["held"], told[node]
        assert f"{node} is held: " in result.output, result.output
    waiting.until("the others to see it so", lambda: otherwise_seen(living, reasons), 120, pause=4)
    assert not datacenter.strangers(next(node for node in datacenter.nodes if node not in reasons))


def otherwise_seen(living: Living, held: Mapping[str, str]) -> list[str]:
    """Whose view is not the members as they were, up but for the held ones."""
    datacenter = living.datacenter
    wanted = {(one.host_id, "DN" if node in held else "UN") for node, one in living.members.items()}
    views = datacenter.views(node for node in datacenter.nodes if node not in held)
    seen = {node: {(one.host_id, one.state) for one in view.values()} for node, view in views.items()}
    return [f"{node} sees {told}" for node, told in seen.items() if told != wanted]


def not_held(datacenter: Datacenter, nodes: Mapping[str, str]) -> list[str]:
    pods = datacenter.pods()
    running = [node for node in nodes if pods.get(node, {}).get("status", {}).get("phase") == "Running"]
    logs = {node: datacenter.namespace.kubectl("logs", node) for node in running}
    held = {node for node, log in logs.items() if "cassops: held: " in log}
    return [f"{node}: {logs.get(node, 'it does not run')}" for node in nodes if node not in held]
