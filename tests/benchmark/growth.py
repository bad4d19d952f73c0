# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the no-op deploy and status grow with the nodes: kwok plays workers and pods, a stand-in answers for Cassandra.

API server, controllers, objects, requests, port-forwards and our code are real. No container runs; we bind the pods
ourselves (the scheduler would wait for volumes that nobody makes), and kube-proxy is told to leave the Services alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import measure
import scene
import standin
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.cassops.kubernetes.plugins.module_utils import ring, spec, spec_parser
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context, execute
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import What
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger, LedgerNode, new_id
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests import build, ledger_config_map
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import Objects, objects
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import changes, datacenter, datacenter_info
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import ASK_ALL_UP_TO, ASK_PER_RACK

SIZES = (3, 300, 1000)
OURS = "cassops-benchmark-growth"
SCHEDULER = "cassops-benchmark"
UP_WITHIN = 900.0
AT_ONCE = 8
"""Threads that make the scene."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """One playbook at one size. C(requests) are those to the API server, C(statements) those by CQL."""

    seconds: float
    peak: int
    requests: int
    writes: int
    statements: int

    def __str__(self) -> str:
        return (
            f"{self.seconds:.2f} s, {self.requests} requests ({self.writes} of them writes), "
            f"{self.statements} CQL statements, {self.peak / 1e6:.0f} MB"
        )


def benchmark(where: scene.Scene, kwok: Path, runs: int, quiet: float, sizes: Sequence[int]) -> list[measure.Result]:
    """All sizes, one after the other."""
    figures: dict[str, dict[int, Figures]] = {"deploy": {}, "status": {}}
    for size in sizes:
        with play(where, kwok, size) as (inventory, values, servers):
            measure.wait_until_quiet(quiet)
            for name, operation in (("deploy", datacenter), ("status", datacenter_info)):
                figures[name][size] = measured(where, name, operation, inventory, values, servers, runs)
                print(f"  {name} of {size} nodes: {figures[name][size]}", flush=True)
    return [line for name, by_size in figures.items() for line in results(name, by_size)]


def results(name: str, by_size: Mapping[int, Figures]) -> list[measure.Result]:
    """Seconds and memory of each size beside those of the smallest."""
    smallest = min(by_size)
    least = by_size[smallest]
    title = "no-op deploy" if name == "deploy" else name
    found = []
    for size, figures in by_size.items():
        if size != smallest:
            detail = f"{size} nodes: {figures}; {smallest} nodes: {least} (kwok pods, a stand-in for the CQL answers)"
            times = figures.seconds / least.seconds
            found.append(measure.Result(f"{title} of {size} / of {smallest} nodes, time", times, None, "lower", detail))
            memory = figures.peak / least.peak
            found.append(
                measure.Result(f"{title} of {size} / of {smallest} nodes, memory", memory, None, "lower", detail)
            )
    return found


def measured(
    where: scene.Scene,
    name: str,
    operation: Any,
    inventory: Path,
    values: Mapping[str, Any],
    servers: Mapping[str, standin.Observer],
    runs: int,
) -> Figures:
    """Playbooks for time and memory, one run of the operation in this process for its requests."""
    where.play(name, inventory)
    samples = [where.play(name, inventory) for _run in range(runs)]
    clients: list[Kube] = []

    def connect(options: Mapping[str, Any]) -> Kube:
        clients.append(Kube.connect(options))
        return clients[-1]

    before = sum(server.asked for server in servers.values())
    result = execute(
        operation, parameters(operation, {**values, "kubeconfig": where.kubeconfig}), Context(connect=connect)
    )
    if result.get("failed") or result["changed"]:
        raise measure.Failed(f"{name} should have found nothing to do: {result}")
    reads = sum(client.requests.reads for client in clients)
    writes = sum(client.requests.writes for client in clients)
    asked = sum(server.asked for server in servers.values()) - before
    peak = max(sample.peak for sample in samples)
    return Figures(measure.median(samples), peak, reads + writes, writes, asked)


def parameters(operation: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that the operation takes, with its defaults."""
    taken = {key: value for key, value in values.items() if key in operation.ARGUMENT_SPEC}
    validated = ArgumentSpecValidator(dict(operation.ARGUMENT_SPEC)).validate({**taken, "namespace": OURS})
    return dict(validated.validated_parameters)


# -- the scene ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def play(
    where: scene.Scene, kwok: Path, size: int
) -> Iterator[tuple[Path, Mapping[str, Any], Mapping[str, standin.Observer]]]:
    """A datacenter of so many nodes that looks as if it ran: its inventory, values, and observers."""
    values = wanted(size)
    desired = spec_parser.parse(values)
    kube = where.kube(OURS)
    with (
        standin.serve(observers(desired)) as servers,
        workers(where, kwok, {pod: server.port for pod, server in servers.items()}),
        where.namespace(OURS),
    ):
        began = time.monotonic()
        ledger = make_addresses(kube, desired)
        told = standin.Ring(members(desired, ledger), desired.cluster, desired.name, desired.version)
        for server in servers.values():
            server.ring = told
        make_rest(kube, desired, ledger)
        bind_until_ready(kube, desired, size)
        print(f"  {size} nodes after {time.monotonic() - began:.0f} s", flush=True)
        yield where.inventory(OURS, values), values, servers


def wanted(size: int) -> dict[str, Any]:
    """So many nodes in three racks, whose pods the scheduler does not touch."""
    counts = [size // 3 + (number < size % 3) for number in range(3)]
    racks = [{"name": f"r{n}", "zone": f"{SCHEDULER}-{n}", "nodes": nodes} for n, nodes in enumerate(counts, start=1)]
    return {**scene.SMALL, "racks": racks, "pod_template": {"spec": {"schedulerName": SCHEDULER}}}


def observers(desired: spec.Datacenter) -> list[str]:
    """Those whom view.py has asked."""
    nodes = desired.nodes()
    few = len(nodes) <= ASK_ALL_UP_TO
    return [node.pod for node in nodes if few or node.ordinal < ASK_PER_RACK]


def members(desired: spec.Datacenter, ledger: Ledger) -> list[standin.Member]:
    known = [(node.rack, ledger.nodes[node.pod]) for node in desired.nodes()]
    return [
        standin.Member(node.pod, str(node.address), uuid.UUID(str(node.host_id)), rack, ledger.tokens[node.pod])
        for rack, node in known
    ]


def make_addresses(kube: Kube, desired: spec.Datacenter) -> Ledger:
    """The Services, and the ledger that follows from them, as if the datacenter had been running for long."""
    nodes = desired.nodes()
    racks = [(rack.name, [node.pod for node in nodes if node.rack == rack.name]) for rack in desired.racks]
    ledger = Ledger(
        id=new_id(),
        cluster=desired.cluster,
        datacenter=desired.name,
        phase="running",
        nodes={node.pod: LedgerNode(node.pod, None, str(uuid.uuid4())) for node in nodes},
        tokens=ring.plan_tokens(racks, desired.num_tokens, "benchmark"),
        first=nodes[0].pod,
        born_version=desired.version,
        version=desired.version,
        storage_mode="NONE",
    )
    services = [item for item in build(desired, ledger) if item["kind"] == "Service"]
    made = apply(kube, services)
    addresses = {item["metadata"]["name"]: item["spec"]["clusterIP"] for item in made}
    known = {pod: dataclasses.replace(node, address=addresses[pod]) for pod, node in ledger.nodes.items()}
    seeds = tuple(str(known[node.pod].address) for node in nodes if node.ordinal == 0)
    return dataclasses.replace(ledger, nodes=known, seeds=seeds)


def make_rest(kube: Kube, desired: spec.Datacenter, ledger: Ledger) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": desired.superuser_secret},
        "stringData": {"username": "benchmark", "password": secrets.token_hex()},
    }
    kube.create(secret)
    apply(kube, [ledger_config_map(ledger), *build(desired, ledger)])


def apply(kube: Kube, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Applies objects as a deploy does; the objects as they are then."""
    planned = changes.plan(items, Objects({}))
    for change in planned:
        if change.kind == "Service":
            # kube-proxy passes over Services that name another proxy.
            change.desired["metadata"]["labels"] = {
                **change.desired["metadata"]["labels"],
                "service.kubernetes.io/service-proxy-name": SCHEDULER,
            }
    return in_parallel(lambda change: kube.apply(change.desired), planned)


def bind_until_ready(kube: Kube, desired: spec.Datacenter, size: int) -> None:
    """Plays the scheduler until all pods are ready.

    :raises TimeoutError: they are not in time.
    """
    deadline = time.monotonic() + UP_WITHIN
    while True:
        found = objects(kube, desired.cluster, desired.name, kinds=("Pod", "StatefulSet"))
        waiting = [pod for pod in found.all("Pod").values() if not pod["spec"].get("nodeName")]
        in_parallel(lambda pod: bind(kube, pod), waiting)
        sets = found.all("StatefulSet").values()
        if sum(item.get("status", {}).get("readyReplicas", 0) for item in sets) == size:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the {size} pods were not ready in {UP_WITHIN:.0f} s")
        time.sleep(1)


def bind(kube: Kube, pod: Mapping[str, Any]) -> None:
    worker = pod["spec"]["nodeSelector"]["topology.kubernetes.io/zone"]
    target = {"apiVersion": "v1", "kind": "Node", "name": worker}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]}, "target": target}
    path = kube.path("Pod", None, pod["metadata"]["name"], "binding")
    kube._json("POST", path, body=body, what=What("create", "Pod", pod["metadata"]["name"], None, "binding"))


def in_parallel(call: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(call, items))


@contextlib.contextmanager
def workers(where: scene.Scene, kwok: Path, ports: Mapping[str, int]) -> Iterator[None]:
    """Three workers that kwok plays, one a zone; CQL of the observers leads to the stand-in."""
    host = str(urlparse(where.admin.server.host).hostname)
    port = free_port(host)
    config = where.folder / "kwok.yaml"
    config.write_text("\n---\n".join(json.dumps(forward(pod, there)) for pod, there in ports.items()), encoding="utf-8")
    command = [kwok, "--kubeconfig", where.kubeconfig, "--config", config]
    command += ["--manage-nodes-with-label-selector", f"{SCHEDULER}=true", "--cidr", "198.18.224.0/20"]
    command += ["--node-ip", host, "--node-port", str(port), "--server-address", f"{host}:{port}"]
    # A sign every two seconds: the control plane misses a worker after twenty, and a thousand pods keep kwok busy.
    command += ["--node-lease-duration-seconds", "8"]
    with (where.folder / "kwok.log").open("wb") as log:
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
    try:
        remove_workers(where)
        for number in (1, 2, 3):
            where.admin.create(worker(f"{SCHEDULER}-{number}"))
        yield
    finally:
        remove_workers(where)
        process.terminate()
        process.wait()


def remove_workers(where: scene.Scene) -> None:
    """Those of a benchmark that was killed, too."""
    for item in where.admin.list("Node", labels={SCHEDULER: "true"}):
        where.admin.delete("Node", item["metadata"]["name"], uid=item["metadata"]["uid"])


def worker(name: str) -> dict[str, Any]:
    """A worker that nobody else's pods are put on."""
    labels = {SCHEDULER: "true", "topology.kubernetes.io/zone": name, "kubernetes.io/hostname": name}
    taints = [{"key": SCHEDULER, "value": "true", "effect": "NoSchedule"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints},
    }


def forward(pod: str, port: int) -> dict[str, Any]:
    target = {"address": "127.0.0.1", "port": port}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "PortForward",
        "metadata": {"name": pod, "namespace": OURS},
        "spec": {"forwards": [{"ports": [9042], "target": target}]},
    }


def free_port(host: str) -> int:
    with socket.create_server((host, 0)) as taken:
        return int(taken.getsockname()[1])
