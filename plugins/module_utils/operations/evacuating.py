# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workers that no node shall stay on, such as machines that are exchanged: who is there, and why it may not go.

A volume on the network follows its pod: who drains the worker moves such a node. One whose volume stays on the worker
gives it up, and takes its place again elsewhere: see L(renewing). For that the worker must be cordoned, or the pod may
come back to it; and the new volume must be chosen after the pod's worker, not before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..kubeapi import Forbidden, Object
from ..observe import Objects, clock, condition, outline, together
from ..placement import CORDON, labelled, reaches, rules_of, schedulable, stays_alone, takes, tolerated, too_many
from ..renewal import Wanted, less
from ..replacement.case import LOCAL, NETWORK, UNKNOWN, Volume
from ..view import NodeView
from . import failures
from .cluster import Cluster
from .preflight import is_default

MANIFEST = "extensions/kubernetes/rbac-workers.yml"
# Of classes whose volumes somebody makes by hand.
NO_PROVISIONER = "kubernetes.io/no-provisioner"
WAITS = "WaitForFirstConsumer"
"""The binding mode of classes whose volumes are chosen after their pods' workers."""


@dataclass(frozen=True)
class There:
    """A node on a worker that is to be left.

    :param kind: whether its volume stays on the worker, see L(replacement.case.Volume).
    """

    node: NodeView
    worker: str
    kind: str


class Evacuating:
    """Workers that the nodes of one datacenter leave.

    :param params: with C(leave_workers); where there are such, C(workers_on_demand) and the prefixes of names.
    """

    def __init__(self, cluster: Cluster, params: Mapping[str, Any]) -> None:
        self.cluster = cluster
        self.kube = cluster.kube
        given = (name.strip() for name in params["leave_workers"])
        self.names = [name for name in dict.fromkeys(given) if name]
        self.option = f"{params.get('option_prefix', '')}leave_workers"
        self.prefix: str = params.get("variable_prefix", "")
        self.on_demand = bool(params.get("workers_on_demand"))
        self.looked: dict[str | None, tuple[str, str | None]] = {}

    # Who is there

    def there(self, found: Objects) -> list[There]:
        if not self.names:
            return []
        known = self.cluster.ledger(found).nodes
        nodes = outline(found, self.cluster.name, self.cluster.own.datacenter, clock(self.kube)).nodes
        # A local volume is where its pod runs; where it is without a pod on a worker, it is asked itself.
        asked = [node for node in nodes if node.pod in known and node.worker in (None, *self.names)]
        looked = self.look_at(found, [node for node in asked if uid_of(found, node.pod) not in self.looked])
        # A claim keeps its volume for life, and a volume its kind; what is not known yet may be known the next time.
        self.looked.update({uid: told for uid, told in looked.items() if uid and told[0] != UNKNOWN})
        told = {**looked, **self.looked}
        there = [(node, *told[uid_of(found, node.pod)]) for node in asked]
        listed = [There(node, node.worker or where or "", kind) for node, kind, where in there]
        return [each for each in listed if each.worker in self.names]

    def look_at(self, found: Objects, nodes: Sequence[NodeView]) -> dict[str | None, tuple[str, str | None]]:
        """Uid of a node's claim -> what kind its volume is of, and the worker that it is on."""
        others = self.others() if nodes else None

        def look(node: NodeView) -> tuple[str, str | None]:
            volume, where = failures.volume_of(self.kube, found, node)
            return self.kind_among(others, volume) if volume.kind == NETWORK else volume.kind, where

        return dict(zip((uid_of(found, node.pod) for node in nodes), together(look, nodes), strict=True))

    def others(self) -> list[Object] | None:
        """The workers that are not to be left; None where they may not be read."""
        try:
            return [item for item in self.kube.list("Node") if item["metadata"]["name"] not in self.names]
        except Forbidden:
            return None

    def kind_among(self, others: Sequence[Object] | None, volume: Volume) -> str:
        """Whether a volume that counts as one of the network stays: drivers of local ones may use labels that nobody
        knows."""
        pv = failures.persistent_volume(self.kube, volume.name)
        if self.on_demand or pv is None or others is None or any(reaches(pv, item) for item in others):
            return NETWORK
        # A worker that its driver has not registered on yet, such as one of a new pool, has no such label.
        return LOCAL if any(labelled(pv, item) for item in others) else UNKNOWN

    def leaving(self, found: Objects) -> dict[str, str]:
        """Claim -> the worker that its volume stays on."""
        return {f"data-{each.node.pod}": each.worker for each in self.there(found) if each.kind == LOCAL}

    def followers(self, found: Objects, renewed: Collection[str]) -> list[str]:
        """What to do about nodes whose volumes follow them.

        :param renewed: claims that are given up in any case.
        """
        return [
            f"{each.node.pod} stays on worker {each.worker} for now: its volume follows it, so nothing has to be "
            f"replaced. kubectl drain {each.worker} --ignore-daemonsets --delete-emptydir-data moves it; drain the "
            "next worker when the playbook status tells no problem any more"
            for each in self.there(found)
            if each.kind == NETWORK and f"data-{each.node.pod}" not in renewed
        ]

    # Whether

    def refusals(self, found: Objects, wanted: Wanted, begun: bool = False) -> list[str]:
        """Every reason why the nodes may not leave the workers.

        :param begun: the run is under way: who deletes a worker meanwhile that is empty does not end it.
        """
        if not self.names:
            return []
        try:
            workers = {item["metadata"]["name"]: item for item in self.kube.list("Node")}
            volumes = self.kube.list("PersistentVolume")
        except Forbidden:
            return [
                f"{self.option}: these credentials may not read workers and volumes, so nobody can tell who would have "
                f"to go, and where to; {MANIFEST} grants it"
            ]
        there = self.there(found)
        going = [each for each in there if each.kind == LOCAL]
        return [
            *(() if begun else self.unknown(found, workers)),
            *self.open(workers),
            *self.not_known(there),
            *self.not_kept_off(found, going),
            *self.bound_at_once(found, going, wanted),
            *self.set_aside(volumes, going),
            *self.without_place(found, workers, volumes, going, wanted),
        ]

    def unknown(self, found: Objects, workers: Collection[str]) -> list[str]:
        missing = [name for name in self.names if name not in workers]
        if not missing:
            return []
        used = sorted({pod["spec"]["nodeName"] for pod in found.all("Pod").values() if pod["spec"].get("nodeName")})
        return [
            f"{self.option}: there is no worker {', '.join(missing)}; the nodes of this datacenter are on "
            f"{', '.join(used) or 'none'}. One that is gone from Kubernetes has nobody any more: leave it out, and see "
            "to nodes that were on it with the playbook heal"
        ]

    def open(self, workers: Mapping[str, Object]) -> list[str]:
        return [
            f"worker {name} takes pods, so a node could come back to it: kubectl cordon {name}"
            for name in self.names
            if name in workers and schedulable(workers[name])
        ]

    def not_known(self, there: Iterable[There]) -> list[str]:
        return [
            f"whether the volume of {each.node.pod} stays on worker {each.worker} is not known: see kubectl -n "
            f"{self.kube.namespace} describe pvc data-{each.node.pod}. If no other worker has the labels of its "
            "volume's node affinity yet, its driver has to register there first"
            for each in there
            if each.kind == UNKNOWN
        ]

    def not_kept_off(self, found: Objects, going: Iterable[There]) -> list[str]:
        pods = [pod for each in going if (pod := found.get("Pod", each.node.pod))]
        names = [pod["metadata"]["name"] for pod in pods if tolerated(CORDON, pod["spec"].get("tolerations", ()))]
        if not names:
            return []
        return [
            f"a cordon does not keep {', '.join(names)} off: tolerations of {self.prefix}pod_template take in "
            f"{CORDON['key']}. Name what is to be tolerated by its key, then deploy and restart"
        ]

    def bound_at_once(self, found: Objects, going: Iterable[There], wanted: Wanted) -> list[str]:
        """Claims whose new volumes would be chosen before their pods' workers: it could be one on the same worker."""
        told = [self.class_that_binds(found, each, wanted) for each in going]
        return list(dict.fromkeys(reason for reason in told if reason))

    def class_that_binds(self, found: Objects, there: There, wanted: Wanted) -> str:
        claim = found.all("PersistentVolumeClaim")[f"data-{there.node.pod}"]
        own = claim["spec"].get("storageClassName")
        name = self.named_class(found, there.node.pod, wanted)
        try:
            item = self.class_of(name)
        except Forbidden:
            name = own if name is None else name
            # Kubernetes writes that only where it waited.
            if name == own and failures.SELECTED in (claim["metadata"].get("annotations") or {}):
                return ""
            return (
                f"whether volumes of the StorageClass {name} wait for their pods ({WAITS}) is not known: these "
                "credentials may not read it. Run it with some that may"
            )
        if name and item is None:
            return f"storage_class: there is no StorageClass {name}"
        if (item or {}).get("volumeBindingMode") == WAITS:
            return ""
        which = f"volumes of the StorageClass {item['metadata']['name']}" if item else "volumes without a StorageClass"
        return (
            f"{which} are bound before their pods have workers, so a new one could be on the worker that is left: it "
            f"needs a class with volumeBindingMode: {WAITS}"
        )

    def named_class(self, found: Objects, pod: str, wanted: Wanted) -> str | None:
        """The class that the node's next claim names; None where it gets the default one."""
        stateful_set = found.get("StatefulSet", pod.rpartition("-")[0])
        asked_for = stateful_set["spec"]["volumeClaimTemplates"][0]["spec"] if stateful_set else {}
        name: str | None = wanted.storage_class or asked_for.get("storageClassName")
        return name

    def class_of(self, name: str | None) -> Object | None:
        """The class of that name; without one that which is the default by now.

        :raises Forbidden: classes may not be read.
        """
        if name is not None:
            return self.kube.get("StorageClass", name) if name else None
        # Of several defaults Kubernetes takes the newest.
        defaults = [item for item in self.kube.list("StorageClass") if is_default(item)]
        return max(defaults, key=lambda item: str(item["metadata"].get("creationTimestamp")), default=None)

    def set_aside(self, volumes: Iterable[Object], going: Iterable[There]) -> list[str]:
        """Volumes on those workers that somebody has set aside for the nodes' next claims: they bind at once."""
        claims = {f"data-{each.node.pod}" for each in going}
        return [
            f"volume {pv['metadata']['name']} on worker {where} is set aside for {ref['name']}, which would be bound "
            "to it: take its claimRef off, or delete it (kubectl delete pv)"
            for pv in volumes
            if (ref := pv["spec"].get("claimRef") or {}).get("name") in claims
            and ref.get("namespace") == self.kube.namespace
            and not ref.get("uid")
            and (where := failures.worker_with(self.kube, failures.bound_to(pv))) in self.names
        ]

    def without_place(
        self,
        found: Objects,
        workers: Mapping[str, Object],
        volumes: Sequence[Object],
        going: Iterable[There],
        wanted: Wanted,
    ) -> list[str]:
        """Nodes that no other worker could take, by what the workers can allocate in all, or give a volume."""
        if self.on_demand:
            return []
        pods = {each.node.pod: pod["spec"] for each in going if (pod := found.get("Pod", each.node.pod))}
        taken = {pod["spec"].get("nodeName") for pod in found.all("Pod").values()}
        others = {name: item for name, item in workers.items() if name not in self.names and is_ready(item)}
        sources = self.sources(found, others, volumes, [*pods], wanted)
        places = {
            name: frozenset(
                worker
                for worker, item in others.items()
                if takes(item, spec) and sources[name].gives(item) and not (stays_alone(spec) and worker in taken)
            )
            for name, spec in pods.items()
        }
        alone = {name for name, spec in pods.items() if stays_alone(spec)}
        return [self.crowded(names, free, pods[names[0]], sources[names[0]]) for names, free in too_many(places, alone)]

    def sources(
        self,
        found: Objects,
        others: Mapping[str, Object],
        volumes: Sequence[Object],
        pods: Sequence[str],
        wanted: Wanted,
    ) -> dict[str, Source]:
        """Where nodes' next volumes come from, as far as it may be read."""
        named = {pod: self.named_class(found, pod, wanted) for pod in pods}
        classes = {name: self.class_if_readable(name) for name in named.values()}
        offers = {
            name: self.offered(item, others, volumes, pods, wanted.size)
            for name, item in classes.items()
            if item and item.get("provisioner") == NO_PROVISIONER
        }
        by_name = {pv["metadata"]["name"]: pv for pv in volumes}
        sources = {}
        for pod, name in named.items():
            item = classes[name]
            its_class = item["metadata"]["name"] if item else name
            old = by_name.get(found.all("PersistentVolumeClaim")[f"data-{pod}"]["spec"].get("volumeName"))
            same = old is not None and its_class in (None, old["spec"].get("storageClassName"))
            sources[pod] = Source(f"{wanted.size} (class {its_class})", old if same else None, offers.get(name))
        return sources

    def class_if_readable(self, name: str | None) -> Object | None:
        try:
            return self.class_of(name)
        except Forbidden:
            return None

    def offered(
        self,
        item: Object,
        others: Mapping[str, Object],
        volumes: Sequence[Object],
        pods: Collection[str],
        size: str,
    ) -> frozenset[str]:
        """The workers on which there is a volume of a class for the nodes that nobody has yet."""
        claims = [(self.kube.namespace, f"data-{pod}") for pod in pods]
        free = [
            pv
            for pv in volumes
            if pv["spec"].get("storageClassName") == item["metadata"]["name"]
            and pv.get("status", {}).get("phase") == "Available"
            and not less(str(pv["spec"].get("capacity", {}).get("storage", "0")), size)
            and (not (ref := pv["spec"].get("claimRef")) or (ref.get("namespace"), ref.get("name")) in claims)
        ]
        return frozenset(name for name, worker in others.items() if any(reaches(pv, worker) for pv in free))

    def crowded(self, names: Sequence[str], free: Collection[str], spec: Mapping[str, Any], source: Source) -> str:
        selector = spec.get("nodeSelector", {})
        labels = ", ".join(f"{key}={label}" for key, label in selector.items())
        need = "needs another worker" if len(names) == 1 else f"need {len(names)} other workers"
        alone = ", and without a node of this datacenter" if stays_alone(spec) else ""
        return (
            f"{', '.join(names)} {need}{f' with {labels}' if labels else ''}; ready, taking pods, large enough"
            f"{source.words(selector)}{alone} there is {', '.join(sorted(free)) or 'none'}. Add workers, or set "
            f"{self.prefix}workers_on_demand where Kubernetes adds them, or {self.prefix}allow_shared_workers (then "
            "deploy and restart)"
        )


@dataclass(frozen=True)
class Source:
    """Where a node's next volume comes from.

    :param volume: what is wanted.
    :param old: the volume that it has, where the next one is made by the same driver.
    :param workers: those on which one is to be had; None where volumes are made when they are asked for.
    """

    volume: str
    old: Mapping[str, Any] | None
    workers: frozenset[str] | None

    def gives(self, worker: Mapping[str, Any]) -> bool:
        if self.workers is not None:
            return worker["metadata"]["name"] in self.workers
        return self.old is None or labelled(self.old, worker)

    def words(self, known: Collection[str]) -> str:
        """:param known: labels that are told anyway."""
        if self.workers is not None:
            return f", with an Available volume of {self.volume}"
        keys = {rule["key"] for rules in rules_of(self.old) for rule in rules} if self.old else set()
        told = sorted(keys - {failures.HOSTNAME, *known})
        return f", with the label {', '.join(told)} of its volume's driver" if told else ""


def uid_of(found: Objects, pod: str) -> str | None:
    claim = found.get("PersistentVolumeClaim", f"data-{pod}")
    return claim["metadata"]["uid"] if claim else None


def is_ready(worker: Mapping[str, Any]) -> bool:
    return bool(condition(worker, "Ready").get("status", "True") == "True")
