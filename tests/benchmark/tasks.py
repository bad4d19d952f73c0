# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The no-op deploy and status of six nodes beside a playbook with one debug task, and beside kubernetes.core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deploys
import measure
import scene

from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import from_config_map
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests import build, ledger_config_map

NAMESPACE = "cassops-benchmark-tasks"


def benchmark(where: scene.Scene, runs: int, quiet: float) -> list[measure.Result]:
    """Deploys six nodes once, and then measures playbooks that change nothing."""
    with where.namespace(NAMESPACE, create=False):
        inventory = deploys.keep(where, NAMESPACE)
        return compare(where, inventory, runs, quiet)


def compare(where: scene.Scene, inventory: Path, runs: int, quiet: float) -> list[measure.Result]:
    """All playbooks in turn, on six nodes that are there."""
    items = objects(where)
    debug = where.file("debug.yml", debug_playbook())
    whole = where.file("core-list.yml", core_playbook([items]))
    single = where.file("core-objects.yml", core_playbook(items))
    collections = scene.neighbour()
    samples = measure.in_turn(
        runs,
        {
            "debug": lambda: where.play(debug, inventory),
            "deploy": lambda: where.play("deploy", inventory),
            "status": lambda: where.play("status", inventory),
            "list": lambda: core(where, collections, whole, inventory),
            "objects": lambda: core(where, collections, single, inventory),
        },
        quiet,
    )
    said = {name: f"{measure.median(each):.2f} s ({measure.seconds(each)})" for name, each in samples.items()}
    base = measure.median(samples["debug"])
    ours = measure.median(samples["deploy"])
    beside = f"debug playbook {said['debug']}"
    core_name = f"kubernetes.core {scene.version(collections)}"
    return [
        measure.Result(
            "no-op deploy of 6 nodes / debug playbook", ours / base, 3, "lower", f"deploy {said['deploy']}; {beside}"
        ),
        measure.Result(
            f"{core_name}, one task with the whole list / no-op deploy",
            measure.median(samples["list"]) / ours,
            1,
            "higher",
            f"{len(items)} objects, nothing changed: {said['list']}; deploy {said['deploy']}",
        ),
        measure.Result(
            f"{core_name}, one task an object / no-op deploy",
            measure.median(samples["objects"]) / ours,
            1,
            "higher",
            f"{len(items)} tasks, nothing changed: {said['objects']}; deploy {said['deploy']}",
        ),
        measure.Result(
            "status of 6 nodes / debug playbook",
            measure.median(samples["status"]) / base,
            4,
            "lower",
            f"status {said['status']}; {beside}",
        ),
    ]


def objects(where: scene.Scene) -> list[dict[str, Any]]:
    """What a deploy wants of the living datacenter, ledger included."""
    datacenter = deploys.desired()
    stored = where.kube(NAMESPACE).get("ConfigMap", f"{datacenter.prefix}-ledger")
    if stored is None:
        raise measure.Failed("the datacenter of the benchmark has no ledger")
    ledger = from_config_map(stored)
    return [*build(datacenter, ledger), ledger_config_map(ledger)]


def debug_playbook() -> list[dict[str, Any]]:
    return [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"msg": "hello"}}]}]


def core_playbook(definitions: list[Any]) -> list[dict[str, Any]]:
    """One task of kubernetes.core.k8s for each definition, which may be a list of objects."""
    tasks = [
        {
            "kubernetes.core.k8s": {
                "kubeconfig": "{{ cassandra_kubeconfig }}",
                "namespace": "{{ cassandra_namespace }}",
                "definition": definition,
            }
        }
        for definition in definitions
    ]
    return [{"hosts": "all", "gather_facts": False, "tasks": tasks}]


def core(where: scene.Scene, collections: Path, playbook: Path, inventory: Path) -> measure.Sample:
    command = [scene.BIN / "ansible-playbook", "-i", inventory, playbook]
    return measure.run(command, env={"ANSIBLE_COLLECTIONS_PATH": str(collections)}, cwd=scene.ROOT)
