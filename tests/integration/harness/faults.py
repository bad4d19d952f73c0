# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to nodes, volumes and workers. All of it on the sandbox only."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox import Sandbox

from . import waiting
from .datacenter import Datacenter

DAY = 86400.0
MARKS = ".cassops"


def sandbox_of(datacenter: Datacenter) -> Sandbox:
    """The sandbox under a datacenter."""
    sandbox = datacenter.namespace.cluster.sandbox
    assert sandbox is not None, "faults need the sandbox"
    return sandbox


@contextmanager
def another_worker(sandbox: Sandbox, zone: str) -> Iterator[str]:
    """One more worker in a zone, as long as the context lasts."""
    added = sandbox.add_worker(zone)
    try:
        yield added
    finally:
        sandbox.remove_worker(added)


def worker_of(datacenter: Datacenter, node: str) -> str:
    """The worker that a node runs on."""
    name: str = datacenter.pods()[node]["spec"]["nodeName"]
    return name


@contextmanager
def cordoned(datacenter: Datacenter, *workers: str) -> Iterator[None]:
    """The workers take no new pods as long as the context lasts."""
    cluster = datacenter.namespace.cluster
    cluster.kubectl("cordon", *workers)
    try:
        yield
    finally:
        cluster.kubectl("uncordon", *workers)


@contextmanager
def stopped(datacenter: Datacenter, *nodes: str) -> Iterator[None]:
    """The nodes are down as long as the context lasts: their pods are deleted, and their workers take no new ones."""
    workers = sorted({worker_of(datacenter, node) for node in nodes})
    uids = {pod["metadata"]["uid"] for name, pod in datacenter.pods().items() if name in nodes}
    with cordoned(datacenter, *workers):
        datacenter.namespace.kubectl("delete", "pod", *nodes, "--wait=false")
        waiting.until(
            f"{', '.join(nodes)} to stop",
            lambda: [name for name, pod in datacenter.pods().items() if pod["metadata"]["uid"] in uids],
            150,
        )
        yield


@dataclass(frozen=True)
class Volume:
    """The folder of a node's volume on the sandbox's host."""

    folder: Path

    @classmethod
    def of(cls, datacenter: Datacenter, node: str) -> Volume:
        """The volume of a node."""
        return cls(sandbox_of(datacenter).volume(datacenter.namespace.name, f"data-{node}"))

    @property
    def mark(self) -> Path:
        """The file that says whose volume it is."""
        return self.folder / MARKS / "mark"

    @property
    def aside(self) -> Path:
        """Where :meth:`take_away` puts what it takes: on the same disk."""
        return self.folder.with_name(f"{self.folder.name}.aside")

    def files(self) -> list[Path]:
        """All files on it."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def take_away(self) -> None:
        """Everything on the volume is gone; :meth:`put_back` has it."""
        self.aside.mkdir()
        for entry in self.folder.iterdir():
            entry.rename(self.aside / entry.name)

    def put_back(self) -> None:
        """Everything is on the volume again, the marks last, so that nobody starts on half of it."""
        for entry in sorted(self.aside.iterdir(), key=lambda one: one.name == MARKS):
            target = self.folder / entry.name
            if target.is_dir() and not any(target.iterdir()):
                target.rmdir()
            entry.rename(target)
        self.aside.rmdir()

    def wipe(self) -> None:
        """Everything is gone for good."""
        for entry in self.folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def serve_last(self, seconds_ago: float) -> None:
        """Make it look as if its node had served so long ago."""
        then = time.time() - seconds_ago
        os.utime(self.folder / MARKS / "alive", (then, then))


@contextmanager
def powerless(datacenter: Datacenter, workers: Iterable[str]) -> Iterator[None]:
    """The workers lose power at once, and have it back at the end of the context."""
    sandbox, names = sandbox_of(datacenter), list(workers)
    for name in names:
        sandbox.kill_worker(name)
    try:
        yield
    finally:
        for name in names:
            sandbox.revive_worker(name, wait=False)


def wait_not_ready(datacenter: Datacenter, workers: Iterable[str]) -> None:
    """Wait until Kubernetes has noticed that the workers are away."""
    names = set(workers)
    cluster = datacenter.namespace.cluster

    def ready() -> list[str]:
        return [
            f"{item['metadata']['name']} is Ready"
            for item in cluster.list("nodes")
            if item["metadata"]["name"] in names
            and any(one["type"] == "Ready" and one["status"] == "True" for one in item["status"]["conditions"])
        ]

    waiting.until("Kubernetes to miss the workers", ready, 300)


def evict(datacenter: Datacenter, node: str) -> None:
    """As whoever drains its worker does, and wait until its pod is gone or another one."""
    namespace = datacenter.namespace
    uid = datacenter.pods()[node]["metadata"]["uid"]
    wanted = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": node, "namespace": namespace.name}}
    path = f"/api/v1/namespaces/{namespace.name}/pods/{node}/eviction"
    namespace.kubectl("create", "--raw", path, "-f", "-", text=json.dumps(wanted))
    wait_made_anew(datacenter, {node: uid})


def worker_is_lost(datacenter: Datacenter, worker: str) -> None:
    """A worker loses power and comes back when its pods are long given up: as Kubernetes does after five minutes."""
    mine = {
        name: pod["metadata"]["uid"] for name, pod in datacenter.pods().items() if pod["spec"]["nodeName"] == worker
    }
    with powerless(datacenter, [worker]):
        wait_not_ready(datacenter, [worker])
        datacenter.namespace.kubectl("delete", "pod", *mine, "--grace-period=0", "--force", "--wait=false")
        wait_made_anew(datacenter, mine)


def wait_made_anew(datacenter: Datacenter, uids: Mapping[str, str]) -> None:
    """Wait until none of these pods is there any more."""

    def left() -> list[str]:
        there = {name: pod["metadata"]["uid"] for name, pod in datacenter.pods().items()}
        return [f"{name} is still the same" for name, uid in uids.items() if there.get(name) == uid]

    waiting.until(f"{', '.join(uids)} to be gone", left, 180)
