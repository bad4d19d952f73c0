# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ledger and the objects that a deploy wants, by what is there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import ring, spec
from ..ledger import PHASE_NEW, Ledger, LedgerNode, new_id
from ..manifests import build
from ..manifests.common import headless_service_name
from ..observe import RELEASED, Objects, rack_view
from . import changes, superuser
from .deploying import Deploy
from .members import own_seeds, pause


class DeployPlan:
    """Made anew from each look. Nothing is written."""

    def __init__(self, deploy: Deploy) -> None:
        self.deploy = deploy
        self.kube = deploy.kube
        self.desired = deploy.desired

    # The ledger

    def ledger(self, found: Objects) -> Ledger:
        """The ledger; planned anew as long as no node was ever made by it."""
        ledger = self.deploy.ledger(found)
        made = found.all("StatefulSet") or found.all("PersistentVolumeClaim")
        if ledger is None:
            return self.new_ledger()
        if ledger.phase == PHASE_NEW and not made:
            return replace(self.new_ledger(), keys=ledger.keys)
        if ledger.stopped is not None:
            # Destroyed, or stopped before that: what is made now starts.
            others = self.deploy.peers or self.deploy.unreached
            paused = None if others else pause(ledger, (), int(self.kube.server_time()))
            ledger = replace(ledger, stopped=None, pause=paused, closed=ledger.closed if paused else None)
        return ledger

    def new_ledger(self) -> Ledger:
        nodes = self.desired.nodes()
        racks = [(rack.name, [node.pod for node in nodes if node.rack == rack.name]) for rack in self.desired.racks]
        return Ledger(
            id=new_id(),
            cluster=self.desired.cluster,
            datacenter=self.desired.name,
            nodes={node.pod: LedgerNode(node.pod) for node in nodes},
            tokens=self.desired.tokens
            or ring.plan_tokens(racks, self.desired.num_tokens, f"{self.desired.cluster}/{self.desired.name}"),
            first=nodes[0].pod,
            hash_rounds=self.hash_rounds(),
            self_replace=self.desired.self_replace,
            born_version=self.desired.version,
        )

    def hash_rounds(self) -> int | None:
        """Those of the superuser's password; a password that a person chose gets as many as Cassandra's default."""
        secret = self.kube.get("Secret", self.desired.superuser_secret)
        return superuser.RANDOM_ROUNDS if secret and superuser.is_random(secret) else None

    def with_addresses(self, ledger: Ledger, addresses: Mapping[str, str]) -> Ledger:
        nodes = ledger.nodes
        if self.desired.address == "service":
            nodes = {pod: replace(node, address=addresses.get(pod, node.address)) for pod, node in nodes.items()}
        firsts = [node.pod for node in self.desired.nodes() if node.ordinal == 0][:3]
        own = [seed for pod in firsts if (seed := self.seed(nodes[pod]))]
        others = {seed for peer in self.deploy.peers for seed in own_seeds(peer.ledger)}
        if self.deploy.unreached:
            others |= {*ledger.seeds} - {*own, *own_seeds(ledger)}
        return replace(ledger, nodes=nodes, seeds=(*own, *sorted(others)), self_replace=self.desired.self_replace)

    def seed(self, node: LedgerNode) -> str | None:
        """A node's address; its name where the address is the pod's and changes with it."""
        if self.desired.address == "service":
            return node.address
        return f"{node.pod}.{headless_service_name(self.desired)}.{self.kube.namespace}.svc"

    # The objects

    def manifests(self, ledger: Ledger, found: Objects) -> list[dict[str, Any]]:
        """The objects. In phase C(new) the partition is 0: a pod that is made again takes the newest revision.

        It stays so until Kubernetes counts that revision as the current one: with a higher partition a pod would be
        made again at the revision before, which may be the one that was corrected.
        """
        partitions = {
            rack.name: 0
            for rack in self.desired.racks
            if ledger.phase == PHASE_NEW or is_unsettled(found.get("StatefulSet", self.desired.rack_name(rack)))
        }
        half_way = {r: p for r, p in self.half_way(found, ledger).items() if r not in partitions}
        items = build(self.desired, ledger, {**half_way, **partitions})
        left = self.templates_change(items, found, half_way)
        if not left:
            return items
        # With a low partition Kubernetes would restart nodes at once.
        return build(self.desired, ledger, {**{r: p for r, p in half_way.items() if r not in left}, **partitions})

    def templates_change(self, items: Sequence[dict[str, Any]], found: Objects, racks: Collection[str]) -> list[str]:
        """Those of the racks whose pods would be made of another template than of the one that is rolled out."""
        names = {self.desired.rack_name(rack): rack.name for rack in self.desired.racks if rack.name in racks}
        sets = [item for item in items if item["kind"] == "StatefulSet" and item["metadata"]["name"] in names]
        altered = changes.wanted(self.kube, sets, found)
        return [names[change.name] for change in altered if changes.is_of_template(self.kube, change)]

    def half_way(self, found: Objects, ledger: Ledger) -> dict[str, int]:
        """Rack -> partition, where a rollout is half way: each pod must come back at the revision that it runs."""
        live = (found.get("StatefulSet", self.desired.rack_name(rack)) for rack in self.desired.racks)
        racks = [rack_view(item, ledger) for item in live if item]
        return {rack.name: rack.partition for rack in racks if rack.half_way}

    def outline(self, found: Objects, ledger: Ledger | None) -> list[changes.Change]:
        """What would change if nothing but the desired objects counted (addresses as they are)."""
        return changes.wanted(self.kube, self.manifests(ledger or self.new_ledger(), found), found)

    def unwanted_schedules(self, found: Objects) -> Mapping[str, dict[str, Any]]:
        """The CronJobs of ours of what is no longer to be done by the clock."""
        wanted = {spec.schedule_name(self.desired.cluster, self.desired.name, work) for work in self.desired.scheduled}
        there = found.all("CronJob").items()
        return {name: item for name, item in there if name not in wanted and changes.is_ours(item)}


def partition(stateful_set: Mapping[str, Any]) -> int:
    """Pods below it are made again at the current revision, the others at the newest."""
    return int(stateful_set["spec"].get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0))


def is_unsettled(stateful_set: Mapping[str, Any] | None) -> bool:
    """The first start is over, and the newest revision is not yet the current one."""
    if stateful_set is None or partition(stateful_set) or is_released(stateful_set):
        return False
    return is_changing(stateful_set)


def is_released(stateful_set: Mapping[str, Any]) -> bool:
    """A rollout lowered the partition."""
    return RELEASED in (stateful_set["metadata"].get("annotations") or {})


def is_changing(stateful_set: Mapping[str, Any]) -> bool:
    """Not every pod runs the newest revision, or not every one of them is ready."""
    status = stateful_set.get("status", {})
    return bool(status.get("currentRevision") != status.get("updateRevision"))


def current_revision(found: Objects, stateful_set: str) -> str:
    """At which a rack's pods below the partition come back."""
    return str(found.all("StatefulSet")[stateful_set].get("status", {}).get("currentRevision"))
