# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a rollout of 1,000 nodes x 16 tokens x 30 keyspaces is planned: our code alone, on one core, no cluster."""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence

import measure
import scene  # noqa: F401  # pylint: disable=unused-import

from ansible_collections.cassops.kubernetes.plugins.module_utils import ring, rollout
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import (
    Activity,
    Disk,
    Endpoint,
    Keyspace,
    NodeView,
    Observation,
    View,
    observers,
)

NODES, RACKS, TOKENS, KEYSPACES = 1000, 3, 16, 30
TARGET = 2.0
"""Seconds of one core."""
VERSION = "5.0.9"
IDLE = Activity("NORMAL", (), (), 0, {}, Disk(60, 100), 10, (), "NONE")
SCENES: dict[str, tuple[Sequence[str], Sequence[int]]] = {
    "one datacenter": (("dc1",), (3,)),
    "two datacenters, every keyspace replicated otherwise": (("dc1", "dc2"), range(3, 9)),
}
"""Datacenters that share the nodes, and the replicas that the keyspaces have in them."""


def benchmark(runs: int, quiet: float) -> list[measure.Result]:
    """Plans each scene rack by rack and node by node; the slower of the two counts."""
    return [
        planned(name, datacenter_of(datacenters, factors), runs, quiet)
        for name, (datacenters, factors) in SCENES.items()
    ]


def planned(name: str, view: View, runs: int, quiet: float) -> measure.Result:
    by_rack, by_node = rollout.Settings(max_unavailable="rack"), rollout.Settings(max_unavailable="1")
    racks, nodes = rollout.plan(view, by_rack).batches, rollout.plan(view, by_node).batches
    rack_seconds = cpu(lambda: rollout.plan(view, by_rack), runs, quiet)
    node_seconds = cpu(lambda: rollout.plan(view, by_node), runs, quiet)
    look_seconds = cpu(lambda: rollout.before_batch(view, racks[0], by_rack), runs, quiet)
    return measure.Result(
        f"plan of {NODES} nodes, {TOKENS} tokens, {KEYSPACES} keyspaces, {name}: CPU seconds",
        max(rack_seconds, node_seconds),
        TARGET,
        "lower",
        f"by rack {rack_seconds:.2f} s ({len(racks)} batches), by node {node_seconds:.2f} s ({len(nodes)} batches); "
        f"one look at the gates {look_seconds:.2f} s; at most {peak(view) / 2**20:.0f} MiB",
    )


def datacenter_of(datacenters: Sequence[str], factors: Sequence[int]) -> View:
    """All nodes up, something pending for those of the first datacenter."""
    count = NODES // len(datacenters)
    nodes: list[NodeView] = []
    members: dict[str, Endpoint] = {}
    for datacenter in datacenters:
        sizes = [count // RACKS + (rack < count % RACKS) for rack in range(RACKS)]
        racks = [
            (f"r{rack}", [f"shop-{datacenter}-r{rack}-{node}" for node in range(size)])
            for rack, size in enumerate(sizes)
        ]
        tokens = ring.plan_tokens(racks, TOKENS, f"shop/{datacenter}")
        for rack, ordinal, pod in ((rack, ordinal, pod) for rack, pods in racks for ordinal, pod in enumerate(pods)):
            address = f"198.18.{len(members) // 250}.{len(members) % 250}"
            members[address] = Endpoint(
                address,
                f"id-{address}",
                datacenter,
                rack,
                VERSION,
                "schema",
                tokens[pod],
                "NORMAL",
                1.0,
                True,
                ("big-oa",),
            )
            if datacenter == datacenters[0]:
                nodes.append(
                    NodeView(
                        pod,
                        rack,
                        ordinal,
                        address,
                        f"id-{address}",
                        pod,
                        phase="Running",
                        ready=True,
                        pending_restart=True,
                    )
                )
    up = dict.fromkeys(members, True)
    combined = itertools.cycle(itertools.product(factors, repeat=len(datacenters)))
    return View(
        cluster="shop",
        datacenter=datacenters[0],
        phase="running",
        nodes=tuple(nodes),
        observations={
            node.pod: Observation(node.pod, str(node.address), True, members, up, IDLE) for node in observers(nodes)
        },
        keyspaces=tuple(
            Keyspace(
                f"ks{number}",
                {
                    "class": "NetworkTopologyStrategy",
                    **{name: str(factor) for name, factor in zip(datacenters, each, strict=True)},
                },
            )
            for number, each in zip(range(KEYSPACES), combined, strict=False)
        ),
    )


def cpu(task: Callable[[], object], runs: int, quiet: float) -> float:
    """The median of so many runs, in seconds of processor time, after one that does not count."""
    task()
    measure.wait_until_quiet(quiet)
    samples = []
    for _run in range(runs):
        began = time.process_time()
        task()
        samples.append(time.process_time() - began)
    return statistics.median(samples)


def peak(view: View) -> int:
    """Bytes that planning holds at most, beside the view itself."""
    tracemalloc.start()
    try:
        rollout.plan(view, rollout.Settings(max_unavailable="rack"))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Planning alone, which needs no cluster; nothing is stored.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quiet", type=float, default=0)
    for found in benchmark(**vars(parser.parse_args())):
        print(f"{found.name}: {found.value:.2f} (at most {found.target:g}); {found.detail}")
