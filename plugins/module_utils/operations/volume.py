# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes' volumes grow, where their class lets volumes grow.

1. Every claim asks for the new size; Kubernetes and the storage grow the volume under the running node. Some storage
   grows the file system only when a pod starts: such nodes are told, and a restart finishes them.
2. What a StatefulSet asks for new claims cannot be changed in place. So each is deleted without its pods, and made
   again as it was but for the size; it finds its pods by their labels. What it was is written to a ConfigMap before.

A copy that is found is what a run that was killed in between left behind; its StatefulSet is made first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .. import gates, quantity
from ..context import Context, Failed
from ..errors import CassopsError, SpecError
from ..kube import Forbidden, Object
from ..manifests.common import labels_of
from ..observe import Objects, condition
from .cluster import CLUSTER, Cluster
from .members import Members
from .waiting import until

PAUSE = 2.0
ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    "size": {"type": "str", "required": True},
    "wait_timeout": {"type": "int", "default": 1800},
}
# Conditions of a claim.
RESIZING, FOR_RESTART = "Resizing", "FileSystemResizePending"


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(volume). See its documentation for parameters and results.

    :raises SpecError: the volumes cannot have that size, with every reason.
    """
    cluster = Cluster(params, ctx)
    volumes = Volumes(cluster, parse(params["size"]), float(params["wait_timeout"]), ctx)
    if ctx.check_mode:
        return {**volumes.result(), **volumes.predict()}
    with cluster.locked():
        try:
            volumes.grow()
        except SpecError:
            raise
        except CassopsError as error:
            raise Failed(str(error), volumes.result()) from error
        return volumes.result()


def parse(size: str) -> str:
    """:raises SpecError: it is no size."""
    try:
        return quantity.canonical(size)
    except ValueError:
        raise SpecError([f"size: must be a Kubernetes quantity such as 200Gi, got {size!r}"]) from None


class Volumes:
    """The volumes of one datacenter, under its cluster's lock.

    :param limit: seconds, of the wait for the storage.
    """

    def __init__(self, cluster: Cluster, size: str, limit: float, ctx: Context) -> None:
        self.cluster = cluster
        self.kube = cluster.kube
        self.size = size
        self.limit = limit
        self.ctx = ctx
        self.members = Members(cluster, limit, ctx)
        self.copies = f"{self.members.prefix}-remaking"

    # What there is

    def claims(self, found: Objects) -> dict[str, Object]:
        """Claims of the datacenter's nodes by name; those that nodes have left behind stay as they are."""
        nodes = self.cluster.ledger(found).nodes
        return {
            name: item
            for name, item in sorted(found.all("PersistentVolumeClaim").items())
            if name.removeprefix("data-") in nodes
        }

    def smaller(self, found: Objects) -> list[str]:
        return [name for name, item in self.claims(found).items() if less(requested(item["spec"]), self.size)]

    def to_make(self, found: Objects) -> list[str]:
        """StatefulSets that ask for smaller claims."""
        sets = sorted(found.all("StatefulSet").items())
        return [name for name, item in sets if less(requested(template(item)["spec"]), self.size)]

    # Whether

    def refuse(self, found: Objects) -> None:
        """:raises SpecError: with every reason why the volumes cannot have that size."""
        larger = [name for name, item in self.claims(found).items() if less(self.size, requested(item["spec"]))]
        reasons = []
        if larger:
            reasons.append(
                f"size: {', '.join(larger)} asks for more than {self.size} already, and Kubernetes cannot shrink a "
                f"volume. {self.way()}"
            )
        if self.smaller(found):
            reasons += self.fixed_classes(found)
        if self.to_make(found):
            reasons += [
                f"StatefulSet {rack.stateful_set} has a change that waits for a restart, which making it again would "
                "forget: run the playbook restart first"
                for rack in self.cluster.look().view.racks
                if rack.current_revision != rack.update_revision
            ]
        if reasons:
            raise SpecError(reasons)

    def fixed_classes(self, found: Objects) -> list[str]:
        """Classes of the nodes' claims whose volumes cannot grow, as far as these credentials may read them."""
        names = {item["spec"].get("storageClassName") for item in self.claims(found).values()} - {None, ""}
        fixed = []
        for name in sorted(map(str, names)):
            try:
                item = self.kube.get("StorageClass", name)
            except Forbidden:
                self.ctx.warnings.append("storage classes were not checked: these credentials may not read them")
                return []
            if item is not None and not item.get("allowVolumeExpansion"):
                fixed.append(name)
        return [
            f"size: volumes of the StorageClass {name} cannot grow (allowVolumeExpansion is not set). {self.way()}"
            for name in fixed
        ]

    def way(self) -> str:
        return (
            "Volumes of another size or class come with new nodes only: add a rack or a datacenter that has them, and "
            "remove the old one when the data has moved"
        )

    def predict(self) -> dict[str, Any]:
        found = self.members.look()[0]
        self.refuse(found)
        words = [f"grow {name} to {self.size}" for name in self.smaller(found)]
        words += [f"make StatefulSet {name} again" for name in self.to_make(found)]
        return {"changed": bool(words), "changes": words}

    # Doing it

    def grow(self) -> None:
        self.finish_interrupted()
        found = self.members.look()[0]
        self.refuse(found)
        for name in self.smaller(found):
            self.cluster.check()
            patch = {"spec": {"resources": {"requests": {"storage": self.size}}}}
            self.kube.patch("PersistentVolumeClaim", name, patch)
            self.members.say(f"{name} grows to {self.size}")
        until(self.growing, f"the volumes to have {self.size}", self.limit, self.ctx.progress, PAUSE)
        for name in self.to_make(found):
            self.remake(found.all("StatefulSet")[name])

    def growing(self) -> list[str]:
        """Volumes that are not as large yet, and do not wait for a restart alone."""
        return [
            f"{name} has {capacity(item)}" + (" and is being resized" if condition(item, RESIZING) else "")
            for name, item in self.claims(self.members.look()[0]).items()
            if less(capacity(item), self.size) and not condition(item, FOR_RESTART)
        ]

    def remake(self, item: Object) -> None:
        """A StatefulSet as it was, but for the size of new claims. Its pods go on."""
        name = item["metadata"]["name"]
        made = anew(item, self.size)
        self.write_copy(name, made)
        self.cluster.check()
        self.kube.delete("StatefulSet", name, uid=item["metadata"]["uid"], propagation="Orphan")
        self.create(name, made)

    def create(self, name: str, made: Object) -> None:
        def look() -> list[str]:
            return [f"StatefulSet {name} to go"] if self.kube.get("StatefulSet", name) else []

        until(look, f"StatefulSet {name} to be deleted without its pods", self.limit, self.ctx.progress)
        self.cluster.check()
        self.kube.create(made)
        until(self.unobserved, f"Kubernetes to see StatefulSet {name}", self.limit, self.ctx.progress)
        self.forget_copy()
        self.members.say(f"StatefulSet {name} is made again: new volumes have {self.size}")

    def unobserved(self) -> list[str]:
        return [reason for reason in gates.settled(self.cluster.look().view) if "StatefulSet" in reason]

    def finish_interrupted(self) -> None:
        item = self.kube.get("ConfigMap", self.copies)
        if item is None:
            return
        name, made = item["data"]["name"], json.loads(item["data"]["object"])
        there = self.kube.get("StatefulSet", name)
        if there is None or "deletionTimestamp" in there["metadata"]:
            self.create(name, made)
        self.forget_copy()

    def write_copy(self, name: str, made: Object) -> None:
        self.cluster.check()
        metadata = {"name": self.copies, "labels": labels_of(self.cluster.name, self.cluster.own.datacenter)}
        data = {"name": name, "object": json.dumps(made)}
        self.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    def forget_copy(self) -> None:
        item = self.kube.get("ConfigMap", self.copies)
        if item is not None:
            self.cluster.check()
            self.kube.delete("ConfigMap", self.copies, uid=item["metadata"]["uid"])

    def result(self) -> dict[str, Any]:
        claims = self.claims(self.members.look()[0])
        return {
            "changed": bool(self.members.done),
            "changes": self.members.done,
            "volumes": {name.removeprefix("data-"): capacity(item) for name, item in claims.items()},
            "needs_restart": names(claims.items()),
        }


def names(claims: Iterable[tuple[str, Object]]) -> list[str]:
    """Nodes whose file systems grow when they start."""
    return [name.removeprefix("data-") for name, item in claims if condition(item, FOR_RESTART)]


def anew(item: Mapping[str, Any], size: str) -> Object:
    """A StatefulSet to be made, as one that lives, with another size of claims."""
    kept = ("name", "labels", "annotations")
    metadata = {key: value for key, value in item["metadata"].items() if key in kept}
    claims = [
        {
            "metadata": {key: value for key, value in claim["metadata"].items() if key in kept},
            "spec": {**claim["spec"], "resources": {"requests": {"storage": size}}},
        }
        for claim in item["spec"]["volumeClaimTemplates"]
    ]
    spec = {**item["spec"], "volumeClaimTemplates": claims}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}


def template(stateful_set: Mapping[str, Any]) -> Mapping[str, Any]:
    claim: Mapping[str, Any] = stateful_set["spec"]["volumeClaimTemplates"][0]
    return claim


def requested(spec: Mapping[str, Any]) -> str:
    return str(spec["resources"]["requests"]["storage"])


def capacity(claim: Mapping[str, Any]) -> str:
    """What the volume has; what it asks for as long as nobody has told."""
    return str(claim.get("status", {}).get("capacity", {}).get("storage") or requested(claim["spec"]))


def less(one: str, other: str) -> bool:
    return quantity.value(one) < quantity.value(other)
