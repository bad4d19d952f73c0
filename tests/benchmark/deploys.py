# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first deploy of six nodes beside `kubectl apply` of the same objects."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
import scene

from ansible_collections.cassops.kubernetes.plugins.module_utils import ring, spec, spec_parser
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger, LedgerNode, new_id
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests import build, ledger_config_map

OURS, BARE = "cassops-benchmark-deploy", "cassops-benchmark-bare"
READY_WITHIN = "900s"

# Where start.sh decides whether CQL stays closed. The bare variant has nobody who would open it later.
DOOR = 'if [ "$phase" != new ]; then\n        echo "start_native_transport: true"'
DOOR_OPEN = 'if true; then\n        echo "start_native_transport: true"'


def benchmark(where: scene.Scene, runs: int, quiet: float) -> list[measure.Result]:
    """Deploys and `kubectl apply`, in turn."""
    ours: list[measure.Sample] = []
    bare: list[float] = []
    for turn in range(runs):
        measure.wait_until_quiet(quiet)
        bare.append(apply_until_ready(where))
        print(f"  kubectl apply until ready, {turn + 1} of {runs}: {bare[-1]:.1f} s", flush=True)
        measure.wait_until_quiet(quiet)
        ours.append(deploy(where))
        print(f"  deploy, {turn + 1} of {runs}: {ours[-1].seconds:.1f} s", flush=True)
    ratio = measure.median(ours) / statistics.median(bare)
    detail = (
        f"deploy of 6 nodes in 3 racks {measure.seconds(ours)} s; kubectl apply of the same objects until 6/6 Ready "
        f"{', '.join(f'{each:.2f}' for each in bare)} s, with CQL open from the start, without superuser, closing of "
        "the default login, proofs and ledger"
    )
    return [measure.Result("first deploy of 6 nodes / kubectl apply until Ready", ratio, 1.25, "lower", detail)]


def deploy(where: scene.Scene) -> measure.Sample:
    """A first deploy into no namespace; the namespace is gone afterwards."""
    with where.namespace(OURS, create=False):
        return where.play("deploy", where.inventory(OURS, scene.SMALL))


def apply_until_ready(where: scene.Scene) -> float:
    """Seconds from `kubectl apply` of all objects at once until all nodes are ready, as kubectl tells it."""
    with where.namespace(BARE):
        path = where.file("bare.json", {"apiVersion": "v1", "kind": "List", "items": bare_objects(where)})
        sets = [f"statefulset/{name}" for name in set_names()]
        began = time.monotonic()
        measure.run(where.ctl(BARE, "apply", "--server-side", "-f", path))
        ready = "--for=jsonpath={.status.readyReplicas}=2"
        measure.run(where.ctl(BARE, "wait", ready, f"--timeout={READY_WITHIN}", *sets))
        return time.monotonic() - began


def desired() -> spec.Datacenter:
    return spec_parser.parse(scene.SMALL)


def set_names() -> list[str]:
    datacenter = desired()
    return [datacenter.rack_name(rack) for rack in datacenter.racks]


def bare_objects(where: scene.Scene) -> list[dict[str, Any]]:
    """The objects of a first deploy, ledger included, so that they start without anybody's help.

    The nodes' addresses, which a deploy learns from the Services that it makes, are chosen beforehand; CQL is open.
    """
    datacenter = desired()
    nodes = datacenter.nodes()
    racks = [(rack.name, [node.pod for node in nodes if node.rack == rack.name]) for rack in datacenter.racks]
    addresses = free_addresses(where, [node.pod for node in nodes])
    ledger = Ledger(
        id=new_id(),
        cluster=datacenter.cluster,
        datacenter=datacenter.name,
        nodes={node.pod: LedgerNode(node.pod, addresses[node.pod]) for node in nodes},
        tokens=ring.plan_tokens(racks, datacenter.num_tokens, "benchmark"),
        seeds=tuple(addresses[node.pod] for node in nodes if node.ordinal == 0),
        first=nodes[0].pod,
        born_version=datacenter.version,
    )
    items = [ledger_config_map(ledger), *build(datacenter, ledger)]
    for item in items:
        if "start.sh" in item.get("data", {}):
            item["data"]["start.sh"] = opened(item["data"]["start.sh"])
    return items


def opened(script: str) -> str:
    """start.sh with CQL open in every phase."""
    if script.count(DOOR) != 1:
        raise measure.Failed("start.sh decides elsewhere whether CQL is open: adapt DOOR in tests/benchmark/deploys.py")
    return script.replace(DOOR, DOOR_OPEN)


def free_addresses(where: scene.Scene, names: Sequence[str]) -> dict[str, str]:
    """An address for each Service: the API server gives it, and takes it back."""
    kube = where.kube(BARE)
    drawn: dict[str, str] = {}
    for name in names:
        spec_of_any = {"ports": [{"port": 7000}]}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"{name}-drawn"}, "spec": spec_of_any}
        made = kube.create(service)
        drawn[name] = made["spec"]["clusterIP"]
        kube.delete("Service", made["metadata"]["name"], uid=made["metadata"]["uid"])
    return drawn


def keep(where: scene.Scene, namespace: str) -> Path:
    """Deploys the six nodes that the other benchmarks use; the inventory."""
    inventory = where.inventory(namespace, scene.SMALL)
    where.play("deploy", inventory)
    return inventory
