# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The datacenter as the inventory wants it: made, or changed without a restart.

State lives in the cluster only. Every step looks first, so a run that was killed anywhere is finished by the next:

1. Services give the nodes their addresses; the ledger keeps them before any pod exists.
2. The StatefulSets start every node at once with planned tokens; CQL is closed (ledger phase C(new)).
3. On the doorkeeper's loopback the superuser is made and the default login closed.
4. The ledger turns to C(running), host ids and all, in one write; then CQL opens on every node.
5. Every node is seen up in every view, with one schema, and refuses the default login.

What is refused before the first of them stands in deploy_refusals, the start from 3 on in first_start, the proof in
deploy_proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

from .. import internode_encryption, learning, spec, upgrade
from ..context import Context
from ..kube import Kube
from ..kubeapi import Conflict, Invalid, NotFound
from ..ledger import PHASE_NEW, Ledger
from ..lock import Lock, each_once
from ..manifests import ledger_config_map
from ..observe import LABEL_CLUSTER, Objects, revisions
from ..options import DATACENTER, KUBERNETES
from ..view import View
from . import changes, removing, rollout_plan, superuser, unused
from .cluster import PEER, lock_name
from .deploy_plan import DeployPlan, is_unsettled, partition
from .deploy_proof import Proof
from .deploy_refusals import Refusals
from .deploying import Deploy
from .desired import DESIRED, checked
from .doors import Doors
from .first_start import FirstStart
from .members import own_seeds
from .peers import peer_secret
from .waiting import until

ARGUMENT_SPEC: Mapping[str, Any] = {
    **KUBERNETES,
    **DATACENTER,
    **DESIRED,
    # Not of the others: it is no matter of pods.
    "repair": {"type": "raw"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "create_namespace": {"type": "bool", "default": False},
    "peers": {"type": "list", "elements": "dict", "default": [], "options": PEER},
    "wait_timeout": {"type": "int", "default": 1800},
    "without": {"type": "list", "elements": "str", "default": []},
    "confirm": {"type": "str"},
    "delete_volumes": {"type": "bool", "default": False},
    "variable_prefix": {"type": "str", "default": ""},
}
# Seconds for Kubernetes to look at a StatefulSet.
REVISION_LIMIT = 60.0


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(datacenter). See its documentation for parameters and results."""
    kube = ctx.kube(params)
    if params["state"] == "absent":
        return removing.Removal(kube, params, ctx).run()
    return Deployment(Deploy(kube, params, ctx, checked(kube, params))).run()


class Deployment:
    """One run towards C(state=present), from the first look to the result."""

    def __init__(self, deploy: Deploy) -> None:
        self.deploy = deploy
        self.kube = deploy.kube
        self.ctx = deploy.ctx
        self.desired = deploy.desired
        self.plan = DeployPlan(deploy)
        self.refusals = Refusals(deploy, self.plan)
        self.doors = Doors(deploy)
        self.first_start = FirstStart(deploy, self.plan, self.doors)
        self.proof = Proof(deploy, self.doors)

    def run(self) -> dict[str, Any]:
        found = self.deploy.look()
        self.deploy.meet(found)
        self.refusals.refuse(found)
        self.refusals.refuse_news(found)
        if self.ctx.check_mode:
            return self.predict(found)
        if self.deploy.namespace_missing:
            self.create_namespace()
        with ExitStack() as stack:
            for place in each_once([self.kube, *(peer.kube for peer in self.deploy.peers)]):
                self.deploy.locks.append(stack.enter_context(self.lock(place)))
            if not found.all("StatefulSet"):
                self.lock_newcomers(stack)
            found = self.deploy.look()
            self.refusals.refuse_news(found)
            self.refusals.refuse_between_revisions(found)
            ledger = self.prepare(found)
            self.apply(ledger, self.deploy.again(found))
            if ledger.phase == PHASE_NEW:
                ledger = self.first_start.start(ledger)
            else:
                self.doors.open(ledger, self.deploy.again(found))
            self.introduce(ledger)
            return self.finish(ledger, *self.proof.wait_whole(ledger, self.deploy.again(found)))

    def lock(self, place: Kube) -> Lock:
        return Lock(place, lock_name(self.desired.cluster), self.ctx.holder)

    def lock_newcomers(self, stack: ExitStack) -> None:
        """Where datacenters may start for the first time that do not run yet: of two that would begin the ring at the
        same time, each has its own lock already, so one of them at least is refused."""
        running = {peer.ledger.datacenter for peer in self.deploy.peers}
        listed = [options for options in self.deploy.params.get("peers") or () if options["datacenter"] not in running]
        locked = [lock.kube for lock in self.deploy.locks]
        for place in each_once([*locked, *map(self.ctx.kube, listed)])[len(locked) :]:
            # Without a namespace nobody has begun there; its deploy makes it first, and then finds our lock.
            with suppress(NotFound):
                self.deploy.locks.append(stack.enter_context(self.lock(place)))

    def create_namespace(self) -> None:
        """The namespace, with the restricted Pod Security Standard enforced: our pods keep to it."""
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.kube.namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }
        self.kube.create(namespace)
        self.deploy.note(f"create Namespace {self.kube.namespace}")

    # Applying

    def prepare(self, found: Objects) -> Ledger:
        """The superuser's Secret, the nodes' addresses, and the ledger that keeps them."""
        if self.kube.get("Secret", self.desired.superuser_secret) is None:
            self.make_secret()
        ledger = self.plan.ledger(found)
        services = [item for item in self.plan.manifests(ledger, found) if item["kind"] == "Service"]
        planned = changes.plan(services, found)
        self.deploy.record(planned, found)
        addresses = addresses_of(found)
        for change in planned:
            addresses[change.name] = self.apply_service(change)["spec"]["clusterIP"]
        ledger = self.plan.with_addresses(ledger, addresses)
        self.deploy.write_ledger(ledger, found)
        return ledger

    def make_secret(self) -> None:
        """Copied from a living datacenter of the cluster, whose roles they share; random for the first."""
        source = next((secret for peer in self.deploy.peers if (secret := peer_secret(peer, self.desired))), None)
        if source is None:
            superuser.make_secret(self.kube, self.desired, cluster_labels(self.desired))
        else:
            superuser.copy_secret(self.kube, self.desired, source, cluster_labels(self.desired))
        self.deploy.note(f"create Secret {self.desired.superuser_secret}")

    def apply_service(self, change: changes.Change, dry_run: bool = False) -> dict[str, Any]:
        """A node's Service under its old address; under a new one where that was given away meanwhile."""
        try:
            return self.kube.apply(change.desired, dry_run=dry_run)
        except (Conflict, Invalid):
            if change.live is not None or "clusterIP" not in change.desired["spec"]:
                raise
            service = {key: value for key, value in change.desired.items() if key != "spec"}
            service["spec"] = {key: value for key, value in change.desired["spec"].items() if key != "clusterIP"}
            taken = change.desired["spec"]["clusterIP"]
            self.ctx.warnings.append(f"{change.name} gets a new address: {taken} is taken by somebody else")
            return self.kube.apply(service, dry_run=dry_run)

    def apply(self, ledger: Ledger, found: Objects) -> None:
        """Apply everything else; in phase C(new) also bring pods of an older revision up to date: they hold no data."""
        planned = changes.wanted(self.kube, self.plan.manifests(ledger, found), found)
        self.deploy.record(planned, found)
        changes.send(self.kube, planned)
        if any(change.kind == "StatefulSet" for change in planned):
            until(self.unobserved, "Kubernetes to take the new revision", REVISION_LIMIT, self.ctx.progress)
            found = self.deploy.look()
        if ledger.phase == PHASE_NEW:
            for node in self.deploy.nodes(found):
                if node.pending_restart and node.uid:
                    self.kube.delete("Pod", node.pod, uid=node.uid)
                    self.deploy.note(f"restart {node.pod}, which never served, with the corrected configuration")
        for done in unused.remove(self.kube, self.desired.cluster, self.desired.name, found, self.deploy.check):
            self.deploy.note(done)
        for name, item in self.plan.unwanted_schedules(found).items():
            self.kube.delete("CronJob", name, uid=item["metadata"]["uid"], propagation="Background")
            self.deploy.note(f"delete CronJob {name}")

    def unobserved(self) -> list[str]:
        return [
            f"StatefulSet {name}"
            for name, item in self.deploy.look().all("StatefulSet").items()
            if item.get("status", {}).get("observedGeneration", 0) < item["metadata"]["generation"]
        ]

    def introduce(self, ledger: Ledger) -> None:
        """The other datacenters keep this one's seeds too, so that their nodes find it whichever starts first."""
        for peer in self.deploy.unintroduced(ledger):
            own = own_seeds(peer.ledger)
            others = sorted({*peer.ledger.seeds, *own_seeds(ledger)} - {*own})
            known = replace(peer.ledger, seeds=(*own, *others))
            peer.kube.apply(changes.with_hash(ledger_config_map(known)))
            self.deploy.note(f"tell datacenter {known.datacenter} the seeds of {ledger.datacenter}")

    # The end

    def finish(self, ledger: Ledger, found: Objects, seen: View) -> dict[str, Any]:
        """What is left to do in a datacenter that is whole; the result."""
        learned = self.learn(ledger, found, seen)
        self.settle(learned, found)
        if self.deploy.done:
            self.proof.closed(seen)
        return self.result(seen, pending=[node.pod for node in seen.nodes if node.pending_restart])

    def learn(self, ledger: Ledger, found: Objects, seen: View) -> Ledger:
        """Into the ledger, what the nodes run and what their tables ask for."""
        noted = rollout_plan.noted(ledger, found)
        if noted != ledger:
            mode = f" with {upgrade.KEY} {noted.storage_mode}" if noted.storage_mode else ""
            self.ctx.progress(f"noted: the nodes run Cassandra {noted.version}{mode}", important=True)
        learned = learning.learned(noted, seen)
        if learned != noted:
            self.ctx.progress(learning.words(learned), important=True)
        if learned != ledger:
            self.deploy.write_ledger(learned, found)
        return learned

    def settle(self, ledger: Ledger, found: Objects) -> None:
        """After the first start: from here on a pod that comes back by itself comes back at its own revision."""
        if all(partition(item) for item in found.all("StatefulSet").values()):
            return
        until(self.unsettled, "Kubernetes to complete the first start", REVISION_LIMIT, self.ctx.progress)
        found = self.deploy.look()
        changes.send(self.kube, changes.plan(self.plan.manifests(ledger, found), found))

    def unsettled(self) -> list[str]:
        return [
            f"StatefulSet {name}" for name, item in self.deploy.look().all("StatefulSet").items() if is_unsettled(item)
        ]

    def result(self, seen: View, pending: Sequence[str]) -> dict[str, Any]:
        service = f"{self.desired.prefix}.{self.kube.namespace}.svc"
        result: dict[str, Any] = {
            "changed": bool(self.deploy.done),
            "changes": self.deploy.done,
            "phase": seen.phase,
            "nodes": [node.pod for node in seen.nodes],
            "pending_restart": list(pending),
            "unwell": [node.pod for node in seen.nodes if node.pod in self.proof.left_out(seen)],
            "connection": {
                "service": service,
                "port": 9042,
                "secret": self.desired.superuser_secret,
                "namespace": self.kube.namespace,
                "datacenter": self.desired.name,
                "forward": f"kubectl -n {self.kube.namespace} port-forward service/{self.desired.prefix} 9042",
            },
        }
        if self.ctx.diff_mode:
            result["diff"] = self.deploy.diffs
        return result

    # Check mode

    def predict(self, found: Objects) -> dict[str, Any]:
        """What a run would do, by the API server's own dry run; nothing is written."""
        ledger = self.deploy.ledger(found)
        planned = self.plan.outline(found, ledger)
        if self.deploy.namespace_missing:
            self.deploy.note(f"create Namespace {self.kube.namespace}")
        if self.kube.get("Secret", self.desired.superuser_secret) is None:
            self.deploy.note(f"create Secret {self.desired.superuser_secret}")
        self.deploy.record(planned, found)
        for change in changes.plan([ledger_config_map(self.predicted_ledger(found))], found):
            self.deploy.note(str(change))
        for name in self.plan.unwanted_schedules(found):
            self.deploy.note(f"delete CronJob {name}")
        if ledger is not None and ledger.phase == PHASE_NEW:
            self.deploy.note("finish the first start")
        elif ledger is not None:
            for peer in self.deploy.unintroduced(ledger):
                self.deploy.note(f"tell datacenter {peer.ledger.datacenter} the seeds of {ledger.datacenter}")
        would = [] if self.deploy.namespace_missing else [self.rehearse(change) for change in planned]
        registered = [registrable(item) for item in would if item["kind"] in ("StatefulSet", "ConfigMap")]
        coming = self.coming(registered, found)
        for done in unused.predicted(self.kube, self.desired.cluster, self.desired.name, coming):
            self.deploy.note(done)
        pending = [node.pod for node in self.deploy.nodes(coming) if node.uid and node.pending_restart]
        return {**self.result(self.deploy.snapshot(found), pending), "registered": registered}

    def predicted_ledger(self, found: Objects) -> Ledger:
        """The ledger as a run would leave it, but for what only the nodes can tell."""
        ledger = self.plan.with_addresses(self.plan.ledger(found), addresses_of(found))
        return ledger if ledger.phase == PHASE_NEW else rollout_plan.noted(ledger, found)

    def rehearse(self, change: changes.Change) -> dict[str, Any]:
        """What the API server would make of a change."""
        if change.kind == "Service":
            return self.apply_service(change, dry_run=True)
        return self.kube.apply(change.desired, dry_run=True)

    def coming(self, would: Sequence[Mapping[str, Any]], found: Objects) -> Objects:
        """What there is once this is applied."""
        made = revisions(self.kube, self.desired.cluster, self.desired.name) if would else []
        return changes.foreseen(found, would, made)


def registrable(item: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan has to know of an object: of a configuration only what it does to the storage format and to who
    hears whom, it may hold somebody's secrets."""
    shown = changes.named(item)
    if item["kind"] == "ConfigMap":
        shown["data"] = {"cassandra.yaml": f"{internode_encryption.line(item)}{upgrade.mode_line(item)}"}
    return shown


def addresses_of(found: Objects) -> dict[str, str]:
    return {name: service["spec"]["clusterIP"] for name, service in found.all("Service").items()}


def cluster_labels(desired: spec.Datacenter) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "cassops", LABEL_CLUSTER: desired.cluster}
