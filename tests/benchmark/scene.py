# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene of the benchmarks: a cluster of Kubernetes, a namespace of our own, inventories, playbooks, tools."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import measure
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cassops" / "benchmark"
ANSIBLE = "14.5.0"
"""The version of PyPI's package ``ansible`` that kubernetes.core is taken from."""

sys.path.insert(0, str(ROOT / ".venv" / "collections"))
sys.path.insert(0, str(ROOT / "tests"))

from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube  # noqa: E402

DELETED_WITHIN = 300.0

SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "inventories" / "sandbox" / "hosts.yml").read_text())["demo"]["vars"]
SMALL: dict[str, Any] = {
    key.removeprefix("cassandra_"): value
    for key, value in SHIPPED.items()
    if key.startswith("cassandra_") and key not in ("cassandra_kubeconfig", "cassandra_namespace", "cassandra_backup")
} | {
    "cluster": "bench",
    "datacenter": "dc1",
    "racks": [{**rack, "nodes": 2} for rack in SHIPPED["cassandra_racks"]],
}
"""What the sandbox's inventory asks for, without backups and with two nodes a rack."""


class Scene:
    """A namespace that goes when the benchmark ends, and what is done in it."""

    def __init__(self, folder: Path, kubeconfig: str, kubectl: str) -> None:
        self.folder = folder
        self.kubeconfig = kubeconfig
        self.kubectl = kubectl
        self.admin = Kube.connect({"kubeconfig": kubeconfig, "namespace": "default"})

    def kube(self, namespace: str) -> Kube:
        return Kube.connect({"kubeconfig": self.kubeconfig, "namespace": namespace})

    @contextlib.contextmanager
    def namespace(self, name: str, *, create: bool = True) -> Iterator[str]:
        """A new namespace; nothing of it is left afterwards, volumes included."""
        self.delete_namespace(name)
        if create:
            metadata = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
            self.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        try:
            yield name
        finally:
            self.delete_namespace(name)

    def delete_namespace(self, name: str) -> None:
        """Deletes it and waits until its volumes are gone too.

        :raises TimeoutError: it does not go.
        """
        living = self.admin.get("Namespace", name)
        if living is not None:
            self.admin.delete("Namespace", name, uid=living["metadata"]["uid"])
        deadline = time.monotonic() + DELETED_WITHIN
        while self.admin.get("Namespace", name) is not None or self.volumes(name):
            if time.monotonic() > deadline:
                raise TimeoutError(f"namespace {name} is not gone after {DELETED_WITHIN:.0f} s")
            time.sleep(1)

    def volumes(self, namespace: str) -> list[str]:
        claims = [
            (item["metadata"]["name"], item["spec"].get("claimRef") or {})
            for item in self.admin.list("PersistentVolume")
        ]
        return [name for name, claim in claims if claim.get("namespace") == namespace]

    def inventory(self, namespace: str, values: dict[str, Any]) -> Path:
        """One datacenter, with the values of spec_parser as variables."""
        variables = {f"cassandra_{key}": value for key, value in values.items() if key != "datacenter"}
        variables |= {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "cassandra_kubeconfig": self.kubeconfig,
            "cassandra_namespace": namespace,
            "deploy_create_namespace": True,
        }
        inventory = {values["cluster"]: {"hosts": {values["datacenter"]: {}}, "vars": variables}}
        # The suffix must be one that the inventory plugin for YAML takes; JSON is YAML.
        return self.file(f"{namespace}.yml", inventory)

    def file(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return path

    def play(self, playbook: Path | str, inventory: Path, *options: str) -> measure.Sample:
        """Runs a playbook as a person would, from the checkout."""
        path = playbook if isinstance(playbook, Path) else ROOT / "playbooks" / f"{playbook}.yml"
        return measure.run([BIN / "ansible-playbook", "-i", inventory, path, *options], cwd=ROOT)

    def ctl(self, namespace: str, *words: str | Path) -> list[str | Path]:
        """A command of kubectl."""
        return [self.kubectl, "--kubeconfig", self.kubeconfig, "--namespace", namespace, *words]


def neighbour() -> Path:
    """A folder of collections with kubernetes.core, taken out of PyPI's package ``ansible`` once.

    Only its files are unpacked: it then runs on the very Ansible, Python and ``kubernetes`` that our collection uses.
    """
    collections = CACHE / f"ansible-{ANSIBLE}"
    if not (collections / "ansible_collections" / "kubernetes" / "core" / "MANIFEST.json").exists():
        print(f"fetching kubernetes.core (ansible {ANSIBLE}) ...", flush=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [BIN / "pip", "download", "--quiet", "--no-deps", "--dest", CACHE, f"ansible=={ANSIBLE}"]
        subprocess.run(command, check=True)
        (wheel,) = CACHE.glob(f"ansible-{ANSIBLE}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            wanted = [name for name in archive.namelist() if name.startswith("ansible_collections/kubernetes/core/")]
            archive.extractall(collections, wanted)
        wheel.unlink()
    return collections


def version(collections: Path) -> str:
    """Of kubernetes.core."""
    manifest = collections / "ansible_collections" / "kubernetes" / "core" / "MANIFEST.json"
    return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
