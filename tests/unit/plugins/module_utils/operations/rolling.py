# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployed datacenter in memory, and rollouts of it; somebody watches that never two racks are down at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import OPEN, FakeCassandra
from unit.plugins.module_utils.fake_kube import FakeKube, Killed

from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context, Operation
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import rollout as operation

WANTED: dict[str, Any] = {
    "cluster": "shop",
    "datacenter": "dc1",
    "version": "5.0.8",
    "storage": {"size": "1Gi"},
    "state": "present",
    "peers": [],
    "wait_timeout": 5,
    "create_namespace": False,
    "delete_volumes": False,
    "variable_prefix": "cassandra_",
    "allow_shared_workers": True,
}
OPTIONS: dict[str, Any] = {
    "cluster": "shop",
    "datacenter": "dc1",
    "peers": [],
    "gate_timeout": 1,
    "wait_timeout": 5,
    "soak": 0,
    "upgrade": False,
    "rollback": False,
    "variable_prefix": "rollout_",
}
CHANGED: Mapping[str, Any] = {"config": {"concurrent_reads": 64}}


@dataclass
class Rolling:
    """A ring in a namespace, and what its runs said."""

    ring: FakeCassandra
    kube: FakeKube
    per_rack: int = 2
    said: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    runs: int = 0
    # The most racks that were down at once, and the most nodes.
    most_racks: int = 0
    most_nodes: int = 0

    @classmethod
    def deployed(cls, monkeypatch: pytest.MonkeyPatch, per_rack: int = 2, **changes: Any) -> Rolling:
        """A datacenter of three racks that serves; the clients lead to the one that was made last."""
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        ring = FakeCassandra(WANTED["version"]).install(monkeypatch)
        world = cls(ring, FakeKube(ring), per_rack)
        world.deploy(**changes)
        world.kube.after_write = world.watch
        world.kube.made.clear()
        return world

    @property
    def nodes(self) -> list[str]:
        return [f"shop-dc1-r{rack}-{ordinal}" for rack in (1, 2, 3) for ordinal in range(self.per_rack)]

    def watch(self) -> None:
        """After every write, and whenever time passes."""
        down = [pod for pod in self.nodes if self.ring.doors.get(pod) != OPEN or pod in self.ring.down]
        self.most_racks = max(self.most_racks, len({pod.rpartition("-")[0] for pod in down}))
        self.most_nodes = max(self.most_nodes, len(down))

    def context(self, check: bool = False, diff: bool = False) -> Context:
        """Each run is another process than the one before."""
        self.runs += 1
        self.said, self.warnings, self.shown = [], [], []
        return Context(
            check_mode=check,
            diff_mode=diff,
            progress=lambda text, important=False: self.said.append(text),
            display=self.shown.append,
            holder=f"somebody@somewhere pid {self.runs}",
            warnings=self.warnings,
            connect=lambda params: cast(Kube, self.kube),
        )

    def deploy(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        racks = [{"name": f"r{n}", "zone": zone, "nodes": self.per_rack} for n, zone in enumerate("abc", 1)]
        return datacenter.run({**WANTED, "racks": racks, **changes}, self.context(check))

    def roll(self, check: bool = False, diff: bool = False, **changes: Any) -> dict[str, Any]:
        return operation.run({**OPTIONS, **changes}, self.context(check, diff))

    def run(self, other: Operation, check: bool = False, **changes: Any) -> dict[str, Any]:
        """Another operation, with its own defaults."""
        defaults = {name: spec.get("default") for name, spec in other.ARGUMENT_SPEC.items()}
        known = {name: value for name, value in OPTIONS.items() if name in other.ARGUMENT_SPEC}
        return other.run({**defaults, **known, **changes}, self.context(check))

    def killed(self, lives: int, call: Callable[[], Any]) -> bool:
        """Whether a run was killed before its write number C(lives)."""
        self.kube.lives = lives
        try:
            call()
        except Killed:
            self.kube.revive()
            return True
        self.kube.lives = None
        return False

    # What there is

    def uids(self) -> dict[str, str]:
        return {pod: self.kube.one("Pod", pod)["metadata"]["uid"] for pod in self.kube.names("Pod")}

    def revisions(self) -> dict[str, str]:
        return {pod: self.kube.revision_of(pod) for pod in self.kube.names("Pod")}

    def partitions(self) -> list[int]:
        sets = [self.kube.one("StatefulSet", name) for name in self.kube.names("StatefulSet")]
        return [item["spec"]["updateStrategy"]["rollingUpdate"]["partition"] for item in sets]

    def pending(self) -> list[str]:
        newest = {
            name: self.kube.one("StatefulSet", name)["status"]["updateRevision"]
            for name in self.kube.names("StatefulSet")
        }
        return [pod for pod, revision in self.revisions().items() if revision != newest[pod.rpartition("-")[0]]]

    def writes(self, since: int = 0) -> list[str]:
        """What was written, without the lock."""
        return [what for what in self.kube.writes[since:] if " Lease " not in what]

    def note(self) -> dict[str, str]:
        """The ledger's annotations that rollouts leave."""
        annotations = self.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"].get("annotations", {})
        return {key: value for key, value in annotations.items() if not key.endswith("/applied")}

    def comes_back(self, pod: str) -> None:
        """A pod is deleted by hand, and comes back."""
        self.kube.stop(pod)
        self.kube.control(pod.rpartition("-")[0])
        for _look in range(3):
            self.kube.kubelet()

    def assert_whole(self) -> None:
        """Every node serves what is wanted, nothing is left behind, and never were two racks down."""
        assert self.pending() == []
        assert [pod for pod in self.nodes if self.ring.doors[pod] != OPEN or pod in self.ring.down] == []
        assert self.partitions() == [self.per_rack] * 3
        assert self.note() == {}
        assert self.most_racks <= 1
        assert not self.kube.crashed
        assert self.kube.one("Lease", "shop-lock")["spec"]["holderIdentity"] == ""
