# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster of two datacenters in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import MADE
from unit.plugins.module_utils.fake_kube import FakeKube, Killed
from unit.plugins.module_utils.fake_scaling import NTS, ROOM, Scaling

from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter

World = TypeVar("World", bound="TwoDatacenters")
FAR: Mapping[str, Any] = {
    "datacenter": "dc2",
    "namespace": "far",
    "peers": [{"datacenter": "dc1", "namespace": "ns"}],
}
"""What an operation on the second one is given."""


@dataclass
class TwoDatacenters(Scaling):
    """A datacenter of three nodes with rows, and one of two nodes without; each in a namespace of its own."""

    others: dict[str, FakeKube] = field(default_factory=dict)
    diff: bool = False

    @classmethod
    def made(cls: type[World], monkeypatch: pytest.MonkeyPatch, **options: Any) -> World:
        world = cast(World, cls.deployed(monkeypatch, **options))
        world.others["far"] = FakeKube(world.ring, "far", subnet="198.19.7")
        changes = {"version": options["version"]} if "version" in options else {}
        world.run(datacenter, {"r1": 1, "r2": 1}, state="present", wait_timeout=5, **FAR, **changes)
        for busy in world.ring.busy.values():
            busy.disk = ROOM
        world.ring.tables.append(("shop", 864000))
        world.ring.nodetool.clear()
        return world

    def context(self, check: bool = False) -> Context:
        def kube_of(params: Mapping[str, Any]) -> Kube:
            return cast(Kube, self.others.get(params.get("namespace") or "", self.kube))

        return replace(super().context(check), connect=kube_of, diff_mode=self.diff)

    @property
    def far(self) -> FakeKube:
        return self.others["far"]

    def alter(self, keyspace: str = "shop", at: int | None = None, **replicas: str) -> None:
        """As a person does. Each change has a moment of its own."""
        self.ring.replication[keyspace] = {"class": NTS, **replicas}
        self.ring.replicated[keyspace] = self.ring.replicated.get(keyspace, MADE) + 1 if at is None else at

    def killed_at(self, lives: int, call: Callable[[], Any]) -> bool:
        """Whether a run was killed before its write number C(lives), of all namespaces and of Cassandra."""
        left, kubes = [lives], [self.kube, self.far]

        def count(what: str) -> None:
            if not left[0]:
                for kube in kubes:
                    kube.dead = True
                raise Killed(what)
            left[0] -= 1

        before = self.ring.before_change
        for kube in kubes:
            kube.before_write = count  # type: ignore[method-assign]
        self.ring.before_change = count
        with contextlib.suppress(Killed):
            call()
        killed = self.kube.dead
        self.ring.before_change = before
        for kube in kubes:
            del kube.before_write  # type: ignore[method-assign]
            kube.revive()
        return killed
