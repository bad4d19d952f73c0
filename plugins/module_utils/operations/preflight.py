# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Before anything is touched: does the Kubernetes cluster have what the desired datacenter needs?

Workers and storage classes are cluster-wide; credentials with namespaced rights often may not read them. What may not
be read is not checked, and that is said (the pods' own scheduling will tell later).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CassopsError
from ..kube import Kube
from ..kubeapi import Forbidden, Right
from ..observe import ZONE, attempt, together
from ..placement import allocatable, schedulable
from ..quantity import value
from ..spec import Rack
from ..spec_parser.reader import from_json

# What the automation does in its namespace; extensions/kubernetes/rbac.yml grants just this, and L(TO_ROTATE) (a test
# compares them).
RIGHTS = tuple(
    Right(verb, kind, subresource)
    for kind, subresource, verbs in (
        ("Pod", "", ("list", "watch", "delete")),
        ("Pod", "log", ("get",)),
        ("Pod", "exec", ("create", "get")),
        ("Pod", "portforward", ("create", "get")),
        ("Service", "", ("get", "list", "create", "patch", "delete")),
        ("ConfigMap", "", ("get", "list", "create", "patch", "delete")),
        ("Secret", "", ("get", "create", "delete")),
        ("PersistentVolumeClaim", "", ("get", "list", "patch", "delete")),
        ("Event", "", ("list",)),
        ("StatefulSet", "", ("get", "list", "create", "patch", "delete")),
        ("ControllerRevision", "", ("list",)),
        ("PodDisruptionBudget", "", ("get", "list", "create", "patch", "delete")),
        ("CronJob", "", ("get", "list", "create", "patch", "delete")),
        ("ServiceAccount", "", ("get",)),
        ("Lease", "", ("get", "create", "update")),
    )
    for verb in verbs
)
TO_ROTATE = (Right("patch", "Secret"),)
"""What rotate_superuser needs beside, and nobody else: who never rotates need not grant it."""
IMMEDIATE = "Immediate"
OLDEST = (1, 28, 5)
"""Until 1.28.3 the controller of StatefulSets could take a rollout for finished while a pod was missing, and make that
pod at the new revision (kubernetes#120731); until 1.28.4 it did not make evicted pods anew."""


@dataclass(frozen=True)
class Facts:
    """What the Kubernetes cluster offers. None = the credentials may not read it."""

    namespace: str
    namespace_exists: bool | None
    storage_classes: tuple[Mapping[str, Any], ...] | None
    workers: tuple[Mapping[str, Any], ...] | None
    # As the API server tells it; empty = not known.
    kubernetes: str = ""

    @property
    def unread(self) -> list[str]:
        """What could not be checked, in words."""
        unread = []
        if self.storage_classes is None:
            unread.append("storage classes were not checked: these credentials may not list them")
        if self.workers is None:
            unread.append("workers and zones were not checked: these credentials may not list nodes")
        return unread


def facts(kube: Kube) -> Facts:
    """Read what may be read, at the same time."""
    exists, classes, workers, version = together(
        readable,
        [
            lambda: kube.get("Namespace", kube.namespace) is not None,
            lambda: tuple(kube.list("StorageClass")),
            lambda: tuple(kube.list("Node")),
            lambda: attempt(kube.version),
        ],
    )
    # Some proxy may not let that through. An API server that does not answer is told by the others.
    known = "" if isinstance(version, CassopsError) else version
    return Facts(kube.namespace, exists, classes, workers, known)


def readable(read: Callable[[], Any]) -> Any:
    """What is read, None where it may not be."""
    try:
        return read()
    except Forbidden:
        return None


def missing_rights(kube: Kube) -> list[str]:
    """The rights of L(RIGHTS) that these credentials do not have, as one error."""
    missing = kube.can(RIGHTS)
    if not missing:
        return []
    return [
        f"these credentials may not {', '.join(str(right) for right in missing)} in namespace {kube.namespace}; "
        "the Role in extensions/kubernetes/rbac.yml grants what is needed"
    ]


def errors(values: Mapping[str, Any], offered: Facts, prefix: str, living: Collection[str] = ()) -> list[str]:
    """Why the values cannot work on this cluster. Values that are wrong in themselves are left to spec_parser.

    :param living: racks that are there already, see L(zone_errors).
    """
    racks = [rack for rack in map(structure, structure(values.get("racks")) or ()) if isinstance(rack, Mapping)]
    found = version_errors(offered.kubernetes)
    found += namespace_errors(offered, "deploy_create_namespace" if prefix else "create_namespace")
    found += storage_errors(structure(values.get("storage")), offered.storage_classes, prefix)
    if not values.get("workers_on_demand"):
        found += zone_errors(racks, offered.workers, prefix, living)
    return found


def structure(given: Any) -> Any:
    """A value as spec_parser reads it, which tells what cannot be read."""
    try:
        return from_json(given)
    except ValueError:
        return None


def version_errors(kubernetes: str) -> list[str]:
    """Where Kubernetes is too old. Vendors put their own behind its number; one without a patch level is not known."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", kubernetes)
    told = tuple(int(number) for number in match.groups() if number) if match else OLDEST
    if told >= OLDEST[: len(told)]:
        return []
    oldest = ".".join(map(str, OLDEST))
    return [
        f"Kubernetes {kubernetes} is too old: before {oldest} a pod that restarts by itself may come back at a change "
        "that nobody has rolled out yet, and one that was evicted may not come back; upgrade the control plane to "
        f"{oldest} or newer"
    ]


def namespace_errors(offered: Facts, option: str) -> list[str]:
    if offered.namespace_exists is not False:
        return []
    return [
        f"namespace {offered.namespace} does not exist: create it (kubectl create namespace {offered.namespace}) "
        f"or set {option}: true"
    ]


def storage_errors(storage: Any, classes: Sequence[Mapping[str, Any]] | None, prefix: str) -> list[str]:
    if classes is None:
        return []
    names = sorted(item["metadata"]["name"] for item in classes)
    wanted = storage.get("class") if isinstance(storage, Mapping) else None
    if wanted and wanted not in names:
        return [f"{prefix}storage.class: there is no StorageClass {wanted!r}; there are: {', '.join(names) or 'none'}"]
    if not wanted and not any(is_default(item) for item in classes):
        return [
            f"{prefix}storage.class: not set, and this Kubernetes has no default StorageClass; "
            f"choose one of: {', '.join(names) or 'none'}"
        ]
    return []


def advice(values: Mapping[str, Any], offered: Facts, prefix: str, living: Collection[str] = ()) -> list[str]:
    """What may not work on this cluster, as far as the values tell.

    :param living: racks that are there already, and have their volumes.
    """
    storage = structure(values.get("storage"))
    wanted = storage.get("class") if isinstance(storage, Mapping) else None
    racks = [rack for rack in map(structure, structure(values.get("racks")) or ()) if isinstance(rack, Mapping)]
    pinned = [str(rack.get("name")) for rack in racks if rack.get("zone") and rack.get("name") not in living]
    hasty = [item["metadata"]["name"] for item in offered.storage_classes or () if is_meant(item, wanted)]
    if not pinned or not hasty:
        return []
    return [
        f"{prefix}storage.class: StorageClass {hasty[0]} makes volumes before their pods have a worker "
        f"(volumeBindingMode {IMMEDIATE}), and the racks {', '.join(pinned)} are pinned to zones: a volume that is "
        "made in another zone keeps its node from ever starting. Unless its volumes can be reached from every zone, "
        "take a class with volumeBindingMode WaitForFirstConsumer"
    ]


def is_meant(storage_class: Mapping[str, Any], wanted: Any) -> bool:
    """Whether it is the one that is wanted, or the default, and chooses zones for volumes without asking."""
    chosen = storage_class["metadata"]["name"] == wanted if wanted else is_default(storage_class)
    return chosen and storage_class.get("volumeBindingMode") == IMMEDIATE and not storage_class.get("allowedTopologies")


def is_default(storage_class: Mapping[str, Any]) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return annotations.get("storageclass.kubernetes.io/is-default-class") == "true"


def zone_errors(
    racks: Sequence[Mapping[str, Any]],
    workers: Sequence[Mapping[str, Any]] | None,
    prefix: str,
    living: Collection[str] = (),
) -> list[str]:
    """Racks whose zone has no worker.

    :param living: names of racks that are not looked at. Their zone had workers, and when it fails it has none: what is
        left of the datacenter must be within reach then.
    """
    if workers is None:
        return []
    zones = sorted({zone for worker in workers if (zone := zone_of(worker))})
    found = []
    for number, rack in enumerate(racks):
        zone = rack.get("zone")
        if zone and zone not in zones and rack.get("name") not in living:
            there = ", ".join(zones) or "none"
            found.append(
                f"{prefix}racks[{number}].zone: no worker is in zone {zone!r}; zones with workers: {there}. Where "
                f"Kubernetes adds workers on demand, set {prefix}workers_on_demand: true"
            )
    return found


def capacity_errors(
    datacenter: Any, workers: Sequence[Mapping[str, Any]] | None, prefix: str, living: bool = False
) -> list[str]:
    """Racks whose nodes no worker of their zone could take, by what the workers can allocate in all.

    :param living: the nodes have their workers already, so these are not counted: one may be cordoned for a while.
    """
    if workers is None or datacenter.workers_on_demand:
        return []
    shared = datacenter.allow_shared_workers or living
    requests = datacenter.resources.get("requests", {})
    found = []
    for rack in datacenter.racks:
        usable = [worker for worker in workers if rack.zone in (None, zone_of(worker)) and schedulable(worker)]
        if not usable:
            continue  # said by zone_errors, or every worker of the zone is away for the moment
        for resource, wanted in sorted(requests.items()):
            most = max(usable, key=lambda worker: allocatable(worker, resource))
            if allocatable(most, resource) < value(wanted):
                there = most.get("status", {}).get("allocatable", {}).get(resource, "none")
                found.append(
                    f"{prefix}resources.requests.{resource}: {wanted} fits on no worker of rack {rack.name}; "
                    f"the largest, {most['metadata']['name']}, can allocate {there}. Where Kubernetes adds workers on "
                    f"demand, set {prefix}workers_on_demand: true"
                )
    if not shared:
        found += zone_room_errors(datacenter.racks, workers, prefix)
    total = sum(rack.nodes for rack in datacenter.racks)
    able = [worker for worker in workers if schedulable(worker)]
    if not shared and not found and len(able) < total:
        found.append(
            f"{prefix}racks: {total} nodes need as many workers, there are {len(able)}; "
            f"lower them, add workers, or set {prefix}allow_shared_workers or {prefix}workers_on_demand"
        )
    return list(dict.fromkeys(found))


def zone_room_errors(racks: Sequence[Rack], workers: Sequence[Mapping[str, Any]], prefix: str) -> list[str]:
    """Zones with fewer workers than nodes that are pinned to them, those of all racks together."""
    found = []
    for zone in dict.fromkeys(rack.zone for rack in racks if rack.zone):
        pinned = {number: rack for number, rack in enumerate(racks) if rack.zone == zone and rack.nodes}
        nodes = sum(rack.nodes for rack in pinned.values())
        able = sum(zone_of(worker) == zone and schedulable(worker) for worker in workers)
        if able == 0 or able >= nodes:
            continue  # see capacity_errors on zones without workers
        one = len(pinned) == 1
        path = f"racks[{next(iter(pinned))}].nodes" if one else "racks"
        whose = "" if one else f" of the racks {', '.join(rack.name for rack in pinned.values())}"
        found.append(
            f"{prefix}{path}: {nodes} nodes{whose} need as many workers in zone {zone}, which has {able}; "
            f"lower {'it' if one else 'them'}, add workers, or set {prefix}allow_shared_workers or "
            f"{prefix}workers_on_demand"
        )
    return found


def zone_of(worker: Mapping[str, Any]) -> str | None:
    zone: str | None = worker["metadata"].get("labels", {}).get(ZONE)
    return zone
