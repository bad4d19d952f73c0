# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that lost its volume, beside Cassandra's own streaming; and a worker that dies, until all is whole again."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cargo
import deploys
import measure
import scene
from sandbox import Sandbox

from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube

NAMESPACE = "cassops-benchmark-replace"
PREFIX = f"{scene.SMALL['cluster']}-{scene.SMALL['datacenter']}"
NODES = [f"{PREFIX}-{rack['name']}-{number}" for rack in scene.SMALL["racks"] for number in range(rack["nodes"])]
PATIENCE = 600.0
# Cassandra's log: when the streams of a joining node are planned, and when the last of them is done.
PLANNED, STREAMED = "Executing streaming plan for", "All sessions completed"
# And from its first line to its last step into the ring.
ANY, NORMAL = "", r"\[main\].*state jump to NORMAL"
HEAL_AND_FACTS = [
    {"ansible.builtin.import_playbook": str(scene.ROOT / "playbooks" / "heal.yml")},
    {
        "name": "Bring back what it returned",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Write it down",
                "ansible.builtin.copy": {
                    "dest": "{{ benchmark_facts }}",
                    "content": "{{ heal_result | to_json }}",
                    "mode": "0600",
                },
            }
        ],
    },
]


def benchmark(where: scene.Scene, runs: int, quiet: float, owned: int) -> list[measure.Result]:
    """Both, on six nodes that own so many MiB each; the sandbox gets a second worker in the zone of the second rack."""
    sandbox = Sandbox()
    spare = sandbox.add_worker("zone2")
    try:
        with where.namespace(NAMESPACE, create=False):
            inventory = deploys.keep(where, NAMESPACE)
            site = Site(where, sandbox, inventory, owned)
            site.load()
            wiped = [replace_wiped(site, NODES[turn % len(NODES)], quiet) for turn in range(runs)]
            return [*told(wiped, owned), worker_lost(site, quiet)]
    finally:
        sandbox.remove_worker(spare)


@dataclass(frozen=True)
class Healed:
    """A node that was replaced, in seconds.

    :param whole: of the playbook.
    :param streaming: of Cassandra's streams.
    :param own: of all that Cassandra did, from its first line to its place in the ring.
    """

    whole: float
    streaming: float
    own: float
    parts: str

    def words(self) -> str:
        return (
            f"{self.whole:.1f} s, of which Cassandra streamed for {self.streaming:.1f} s, and started, joined and "
            f"streamed for {self.own:.1f} s ({self.parts})"
        )


def told(wiped: list[Healed], owned: int) -> list[measure.Result]:
    """Three rows about the same runs: of the first two either target counts; the third is what is ours."""
    ratio = statistics.median(each.whole / each.streaming for each in wiped)
    beside = statistics.median(each.whole - each.streaming for each in wiped)
    ours = statistics.median(each.whole - each.own for each in wiped)
    detail = f"{owned} MiB a node: " + "; ".join(each.words() for each in wiped)
    return [
        measure.Result("heal of a node that lost its volume / Cassandra's streaming", ratio, 1.3, "lower", detail),
        measure.Result("the same, seconds besides streaming", beside, 15, "lower", "one of the two has to be kept"),
        measure.Result("the same, seconds besides all that Cassandra does", ours, None, "lower", "what heal adds"),
    ]


class Site:
    """The datacenter under the benchmark, and what is done to it."""

    def __init__(self, where: scene.Scene, sandbox: Sandbox, inventory: Path, owned: int) -> None:
        self.where = where
        self.sandbox = sandbox
        self.inventory = inventory
        self.owned = owned
        self.kube: Kube = where.kube(NAMESPACE)

    def load(self) -> None:
        """Of all rows, with three replicas on six nodes, each node owns half."""
        print(f"  writing {self.owned} MiB a node ...", flush=True)
        cargo.load(self.kube, NODES, 2 * self.owned)

    def heal(self, *options: str) -> tuple[float, dict[str, Any]]:
        """Playbook heal: its seconds from start to end, and what it returned."""
        facts = self.where.folder / "heal.json"
        playbook = self.where.file("heal.yml", HEAL_AND_FACTS)
        sample = self.where.play(playbook, self.inventory, "-e", f"benchmark_facts={facts}", *options)
        result: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))
        return sample.seconds, result

    def until(self, what: str, is_so: Callable[[], bool]) -> float:
        """Wait; the seconds that it took.

        :raises Failed: it is not so in time.
        """
        began = time.monotonic()
        while not is_so():
            if time.monotonic() - began > PATIENCE:
                raise measure.Failed(f"{what}: not so after {PATIENCE:.0f} s")
            time.sleep(0.5)
        return time.monotonic() - began

    def is_held(self, node: str, former: str) -> bool:
        pod = self.kube.get("Pod", node)
        if pod is None or pod["metadata"]["uid"] == former or pod["status"].get("phase") != "Running":
            return False
        return "but its volume is empty" in self.kube.logs(node)

    def streaming(self, node: str) -> float:
        """Seconds from the plan of a new node's streams to the end of the last, by Cassandra's log.

        :raises Failed: the log does not tell.
        """
        return cargo.between(self.kube.logs(node), PLANNED, STREAMED)


def replace_wiped(site: Site, node: str, quiet: float) -> Healed:
    """A node comes back with an empty volume and is held; then heal."""
    pod = site.kube.get("Pod", node)
    if pod is None:
        raise measure.Failed(f"there is no pod {node}")
    worker = pod["spec"]["nodeName"]
    measure.run(site.where.ctl(NAMESPACE, "cordon", worker))
    site.kube.delete("Pod", node, uid=pod["metadata"]["uid"])
    site.until(
        f"{node} to stop",
        lambda: (site.kube.get("Pod", node) or {}).get("metadata", {}).get("uid") != pod["metadata"]["uid"],
    )
    site.sandbox.wipe_volume(NAMESPACE, f"data-{node}")
    measure.run(site.where.ctl(NAMESPACE, "uncordon", worker))
    site.until(f"{node} to be held", lambda: site.is_held(node, pod["metadata"]["uid"]))
    measure.wait_until_quiet(quiet)
    seconds, result = site.heal()
    own = cargo.between(site.kube.logs(node), ANY, NORMAL)
    healed = Healed(seconds, site.streaming(node), own, parts(result))
    print(f"  heal of {node}: {healed.words()}", flush=True)
    return healed


def parts(result: Mapping[str, Any]) -> str:
    """What the parts of the one replacement took."""
    return ", ".join(f"{name} {seconds} s" for name, seconds in result["replaced"][0]["seconds"].items())


def worker_lost(site: Site, quiet: float) -> measure.Result:
    """A worker dies with the volume of the one node that it has; who runs the machines takes it out of Kubernetes."""
    places = {item["metadata"]["name"]: item["spec"]["nodeName"] for item in site.kube.list("Pod")}
    alone = [worker for worker in places.values() if worker != "worker1" and list(places.values()).count(worker) == 1]
    if not alone:
        raise measure.Failed(f"no node has a worker for itself: {places}")
    lost = alone[0]
    measure.wait_until_quiet(quiet)
    began = time.monotonic()
    site.sandbox.kill_worker(lost)
    try:
        detecting = site.until(f"Kubernetes to miss {lost}", lambda: is_away(site.where.admin, lost))
        measure.run(site.where.ctl(NAMESPACE, "delete", "node", lost))
        seconds, result = site.heal()
        whole = time.monotonic() - began
    finally:
        site.sandbox.revive_worker(lost)
    (done,) = result["replaced"]
    split = done["seconds"]
    deciding = seconds - sum(split.values())
    detail = (
        f"detecting {detecting:.0f} s (Kubernetes' own time until a silent worker counts as such), deciding "
        f"{deciding:.1f} s (with the start and the end of the playbook), clearing {split['clearing']} s, starting and "
        f"streaming {split['streaming']} s ({site.streaming(done['node']):.1f} s of it streaming), proving "
        f"{split['proving']} s; the node owns {site.owned} MiB"
    )
    return measure.Result("seconds from a worker's death to whole again", whole, None, "lower", detail)


def is_away(kube: Kube, name: str) -> bool:
    node = kube.get("Node", name)
    conditions = (node or {}).get("status", {}).get("conditions", ())
    return not any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
