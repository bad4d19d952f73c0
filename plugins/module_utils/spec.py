# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired datacenter: what the inventory wants; C(spec_parser) checks it and fills in defaults. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEFAULT_NUM_TOKENS = 16
"""Cassandra's own default since 4.0."""

BACKUP_IMAGE = "docker.io/restic/restic:0.18.1"
KEEP = {"last": 7, "daily": 0, "weekly": 0, "monthly": 0}
SCHEDULE_ACCOUNT = "cassops"
"""The ServiceAccount of extensions/kubernetes/rbac.yml."""
SCHEDULE_MEMORY = "512Mi"
POINT_IN_TIME_DAYS = 7
"""Most mistakes are noticed within a week; each day is some 1,400 pieces of commit log a node."""


def schedule_name(cluster: str, datacenter: str, work: str) -> str:
    """Name of the CronJob that does something (C(backup), C(repair)) with the datacenter."""
    return f"{cluster}-{datacenter}-{work}"


def release_of(version: str) -> tuple[int, int, int]:
    """A full version as numbers."""
    major, minor, patch = (int(number) for number in version.split("."))
    return major, minor, patch


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


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """What may be done by the clock.

    :param schedule: when a CronJob does it, as Kubernetes takes it, in UTC; empty is never.
    :param schedule_image: of the execution environment that it runs the playbooks in.
    :param schedule_account: the ServiceAccount that it runs them with.
    :param schedule_memory: that they may use at most, a canonical quantity.
    :param schedule_variables: options of these playbooks.
    :param schedule_pod_template: the user's additions to the pods that run them.
    """

    schedule: str = ""
    schedule_image: str = ""
    schedule_account: str = SCHEDULE_ACCOUNT
    schedule_memory: str = SCHEDULE_MEMORY
    schedule_variables: Mapping[str, Any] = field(default_factory=dict)
    schedule_pod_template: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RepairPlan(Scheduled):
    """When a CronJob repairs the datacenter."""


@dataclass(frozen=True)
class BackupPlan(Scheduled):
    """Where the backups of a datacenter go, and how.

    :param repository: what the repositories' addresses begin with, as restic takes it.
    :param credentials_secret: Secret whose keys are restic's environment variables for the store; empty is none.
    :param password_secret: Secret whose key C(password) encrypts the repositories.
    :param keep: how many last, daily, weekly and monthly backups are kept; 0 is none.
    :param bandwidth: bytes per second that a node uploads with at most; 0 is no limit.
    :param exclude_keyspaces: keyspaces that are left out.
    :param image: of the container that has restic.
    :param point_in_time: the commit log is stored too, so that moments between two backups can be restored.
    :param point_in_time_days: how many days back moments reach; a purge removes the commit logs that none needs.
    """

    repository: str
    password_secret: str
    credentials_secret: str = ""
    keep: Mapping[str, int] = field(default_factory=lambda: dict(KEEP))
    bandwidth: int = 0
    exclude_keyspaces: tuple[str, ...] = ()
    image: str = BACKUP_IMAGE
    point_in_time: bool = False
    point_in_time_days: int = POINT_IN_TIME_DAYS


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
    :param workers_on_demand: Kubernetes adds workers for pods that wait, so those that are there need not suffice.
    :param tokens: by pod, the tokens of the first start, where they are given; else they are planned.
    :param backup: where its backups go; None is nowhere, and its pods have no container for them.
    :param repair: when it is repaired by the clock; None is never.
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
    workers_on_demand: bool = False
    backup: BackupPlan | None = None
    repair: RepairPlan | None = None
    tokens: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """`<cluster>-<datacenter>`, the beginning of every object's name."""
        return f"{self.cluster}-{self.name}"

    @property
    def release(self) -> tuple[int, int, int]:
        """The version as numbers, such as (5, 0, 9)."""
        return release_of(self.version)

    @property
    def num_tokens(self) -> int:
        """Tokens of a node (cassandra.yaml's num_tokens), 16 unless configured."""
        return int(self.config.get("num_tokens", DEFAULT_NUM_TOKENS))

    @property
    def scheduled(self) -> dict[str, Scheduled]:
        """What is done by the clock."""
        plans: Mapping[str, Scheduled | None] = {"backup": self.backup, "repair": self.repair}
        return {work: plan for work, plan in plans.items() if plan is not None and plan.schedule}

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
