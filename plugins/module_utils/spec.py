# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired datacenter: what the inventory says, checked, with defaults filled in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import SpecError


@dataclass(frozen=True)
class Rack:
    """One rack = one StatefulSet.

    :param name: DNS-1123 label, unique in the datacenter.
    :param zone: value of the worker label topology.kubernetes.io/zone that the rack is pinned to; None = anywhere.
    :param nodes: how many Cassandra nodes, at least 1.
    """

    name: str
    zone: str | None
    nodes: int


@dataclass(frozen=True)
class PlannedNode:
    """A node that should exist: its pod's name, its rack's name and its ordinal in the rack (from 0)."""

    pod: str
    rack: str
    ordinal: int


@dataclass(frozen=True)
class Datacenter:
    """The desired datacenter.

    :param cluster: name of the Cassandra cluster, a DNS-1123 label.
    :param name: name of the datacenter, a DNS-1123 label.
    :param version: full Cassandra version, such as `5.0.9`.
    :param image: container image.
    :param racks: at least one.
    :param storage_class: StorageClass, or None for the cluster's default.
    :param storage_size: Kubernetes quantity of each node's volume, canonical.
    :param resources: `{requests: {cpu, memory}, limits: {...}}` with canonical quantities.
    :param heap: size of Java's heap as the JVM writes it, such as `4096M`.
    :param config: cassandra.yaml keys of the user, checked against the version.
    :param jvm_options: extra flags for the JVM.
    :param superuser_secret: name of the Secret with the keys username and password.
    :param pod_template: the user's additions to the pods, checked against the allowed subset.
    :param address: `service` (a node's address is its Service) or `pod` (it is the pod's own).
    :param self_replace: a known node whose volume is empty may replace itself unasked.
    :param allow_shared_workers: two nodes of the datacenter may run on one worker.
    """

    cluster: str
    name: str
    version: str
    image: str
    racks: tuple[Rack, ...]
    storage_class: str | None
    storage_size: str
    resources: Mapping[str, Mapping[str, str]]
    heap: str
    config: Mapping[str, Any] = field(default_factory=dict)
    jvm_options: tuple[str, ...] = ()
    superuser_secret: str = ""
    pod_template: Mapping[str, Any] = field(default_factory=dict)
    address: str = "service"
    self_replace: bool = False
    allow_shared_workers: bool = False

    @property
    def prefix(self) -> str:
        """`<cluster>-<datacenter>`, the beginning of every object's name."""
        return f"{self.cluster}-{self.name}"

    @property
    def num_tokens(self) -> int:
        """Tokens of a node (cassandra.yaml's num_tokens), 16 unless configured."""
        return int(self.config.get("num_tokens", 16))

    def rack_name(self, rack: Rack) -> str:
        """Name of the rack's StatefulSet."""
        return f"{self.prefix}-{rack.name}"

    def nodes(self) -> tuple[PlannedNode, ...]:
        """Every node that should exist, rack by rack in the order given, then by ordinal."""
        return tuple(
            PlannedNode(f"{self.rack_name(rack)}-{ordinal}", rack.name, ordinal)
            for rack in self.racks
            for ordinal in range(rack.nodes)
        )


@dataclass(frozen=True)
class Living:
    """What a living datacenter is, as its Kubernetes objects tell.

    :param cluster: name of the cluster.
    :param racks: by rack name: (zone or None, number of nodes).
    :param storage_size: quantity that the volumes were claimed with.
    :param storage_class: class of the claims, or None when the cluster's default was used.
    :param num_tokens: tokens of a node.
    :param version: Cassandra version.
    """

    cluster: str
    racks: Mapping[str, tuple[str | None, int]]
    storage_size: str
    storage_class: str | None
    num_tokens: int
    version: str


def parse(values: Mapping[str, Any], prefix: str = "") -> Datacenter:
    """Check the values and fill in the defaults.

    :param values: the inventory variables without their prefix.
    :param prefix: put before each path in the errors; `cassandra_` when a role calls.
    :raises SpecError: with every error found, each `<path>: <what is wrong, what was got, what to do>`.
    """
    raise SpecError([f"{prefix}cluster: not written yet"])


def refusals(living: Living, desired: Datacenter, prefix: str = "") -> list[str]:
    """Why the desired datacenter cannot be applied to the living one; empty when it can. Same form as SpecError's."""
    raise NotImplementedError
