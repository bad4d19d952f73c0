# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A datacenter is taken away: nodes, Services, configuration; volumes, ledger and Secret only where that is asked for.

Each step looks first, so a run that was killed anywhere is finished by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from .. import confirmation, decommissioning, restoring
from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..kubeapi import Object
from ..learning import learned
from ..ledger import PHASE_RUNNING, Ledger, ledger_name, rack_of
from ..lock import Lock
from ..manifests import ledger_config_map
from ..manifests.common import MANAGED
from ..observe import LABEL_CLUSTER, LABEL_DATACENTER, Objects, attempt, ledger_of, objects
from ..plan import plan_name
from ..view import Keyspace, View
from . import changes, rollout_plan, unfinished
from .cluster import Cluster, lock_name
from .members import is_alone
from .patience import Ending
from .waiting import until


class Removal:
    """One run towards C(state=absent): volumes, ledger and Secret stay unless asked otherwise.

    :param check: raises where the run has lost its lock; default is that of a lock that it takes itself.
    """

    def __init__(
        self, kube: Kube, params: Mapping[str, Any], ctx: Context, check: Callable[[], None] | None = None
    ) -> None:
        self.kube = kube
        self.params = params
        self.ctx = ctx
        self.cluster: str = params["cluster"]
        self.name: str = params["datacenter"]
        self.done: list[str] = []
        self.lock = Lock(kube, lock_name(self.cluster), ctx.holder)
        self.check = check or self.lock.check
        # What the nodes said, where they were asked.
        self.seen: View | None = None

    def run(self) -> dict[str, Any]:
        if not confirmation.names(self.params.get("confirm"), self.cluster, self.name):
            raise CassopsError(
                f"to take datacenter {self.name} of cluster {self.cluster} away, repeat its name: option confirm, "
                f"with the playbook -e destroy_confirm={self.name} (got {self.params.get('confirm') or 'nothing'})"
            )
        self.refuse_half_way()
        self.tell_replicas()
        # Check mode writes nothing, not even the lock.
        with nullcontext() if self.ctx.check_mode else self.lock:
            self.take_away()
        return {"changed": bool(self.done), "changes": self.done}

    def take_away(self) -> None:
        """All of it, under a lock of the cluster."""
        for step in self.steps():
            step()

    def refuse_half_way(self) -> None:
        """:raises CassopsError: its nodes leave the cluster just now, and would be dead members of it instead."""
        found = objects(self.kube, self.cluster, self.name, kinds=("ConfigMap",))
        told = attempt(lambda: unfinished.decommission(found, self.cluster, self.name))
        if isinstance(told, list) and told and not unfinished.has_left(found, self.cluster, self.name):
            raise CassopsError(
                f"{told[0]['problem']}: {told[0]['advice']}. If its nodes are dead for good, take the annotation "
                f"{decommissioning.DECOMMISSION} off ConfigMap {ledger_name(self.cluster, self.name)} first"
            )
        if isinstance(told, list) and told and not self.params.get("delete_volumes"):
            self.ctx.warnings.append(f"{unfinished.HAS_LEFT}; no deploy brings its nodes back: {unfinished.DELETE}")

    def tell_replicas(self) -> None:
        """What a datacenter that goes takes from those that stay: QUORUM counts its replicas as long as a keyspace
        names it, and where they are its only ones the rows go with its volumes.

        :raises CassopsError: its volumes are to go, and keyspaces name it.
        """
        has_peers = bool(self.params.get("peers"))
        if not has_peers and self.params.get("delete_volumes"):
            return
        # Without others it is asked for the ledger's sake: a later deploy has to know how long the tables let a node be
        # away. Where no node answers it knows what it knew.
        asked = attempt(self.ask_ring)
        if not has_peers:
            return
        if isinstance(asked, CassopsError):
            self.ctx.warnings.append(f"whether keyspaces have replicas in {self.name} was not asked: {asked}")
            return
        # Cassandra lets nobody take a datacenter out of system_auth that still has members.
        users = (keyspace for keyspace in asked if keyspace.name not in restoring.SYSTEM)
        named = sorted(keyspace.name for keyspace in users if self.name in keyspace.replication)
        if not named:
            return
        told = (
            f"keyspaces {', '.join(named)} have replicas in datacenter {self.name}, and other datacenters of the "
            "cluster go on: their requests at QUORUM would count replicas that are gone. If it goes for good, take it "
            "out of the replication of each first, such as by "
            f"ALTER KEYSPACE {named[0]} WITH replication = ..., without {self.name}"
        )
        if self.params.get("delete_volumes"):
            raise CassopsError(told)
        self.ctx.warnings.append(told)

    def ask_ring(self) -> Sequence[Keyspace]:
        """The keyspaces of a cluster that has other datacenters; none where this one is the last, or has left."""
        if unfinished.has_left(objects(self.kube, self.cluster, self.name, ("ConfigMap",)), self.cluster, self.name):
            return ()
        cluster = Cluster(self.params, self.ctx, stopped=True)
        sight = cluster.ask(cluster.look(), busy=False)
        self.seen = sight.view
        if not cluster.peers:
            return ()
        known = next((view.keyspaces for view in (sight.view, *sight.others) if view.observations), None)
        if known is None:
            raise CassopsError("no node answers")
        return known

    def steps(self) -> list[Callable[[], None]]:
        # First what would begin to work on nodes that go.
        steps = [lambda: self.delete_all("CronJob"), self.stop_nodes]
        steps += [lambda: self.delete_all("Service"), lambda: self.delete_all("PodDisruptionBudget")]
        steps.append(self.delete_configuration)
        if self.params.get("delete_volumes"):
            # The ledger goes last: as long as a volume is left, it says whose it is.
            return [*steps, self.delete_volumes, self.delete_ledger]
        return [self.note_before, *steps, self.note_stop]

    def note_before(self) -> None:
        """Into the ledger that stays, what the nodes run, since a later deploy must bring them back with it; and when
        they are stopped."""
        found = objects(self.kube, self.cluster, self.name)
        ledger = attempt(lambda: ledger_of(found, self.cluster, self.name))
        if isinstance(ledger, CassopsError):
            self.ctx.warnings.append(f"which version the nodes ran was not noted: {ledger}")
            return
        if ledger is None:
            return
        noted = rollout_plan.noted(ledger, found)
        noted = learned(noted, self.seen) if self.seen else noted
        if found.all("StatefulSet") and self.ends_cluster(ledger) and not self.has_begun(ledger, found):
            noted = replace(noted, closed=int(self.kube.server_time()), pause=None)
        self.write(noted, found)

    def has_begun(self, ledger: Ledger, found: Objects) -> bool:
        """Whether a run before noted that nodes are stopped from then on, and took some away."""
        racks = {rack_of(pod, f"{self.cluster}-{self.name}") for pod in ledger.nodes}
        return ledger.closed is not None and ledger.pause is None and len(found.all("StatefulSet")) < len(racks)

    def note_stop(self) -> None:
        """Into the ledger, since when nobody serves: a later deploy holds no node for having been away meanwhile."""
        found = objects(self.kube, self.cluster, self.name)
        ledger = attempt(lambda: ledger_of(found, self.cluster, self.name))
        if isinstance(ledger, CassopsError) or ledger is None or not self.ends_cluster(ledger):
            return
        self.write(replace(ledger, stopped=int(self.kube.server_time()), pause=None), found)

    def ends_cluster(self, ledger: Ledger) -> bool:
        """Whether nobody serves any more when this datacenter is gone. One that is stopped already served nobody."""
        if ledger.stopped is not None or ledger.phase != PHASE_RUNNING:
            return False
        return is_alone(ledger, not self.params.get("peers"))

    def write(self, ledger: Ledger, found: Objects) -> None:
        planned = changes.plan([ledger_config_map(ledger)], found)
        if not self.ctx.check_mode:
            self.check()
            changes.send(self.kube, planned)
        self.done += [str(change) for change in planned]

    def stop_nodes(self) -> None:
        found = objects(self.kube, self.cluster, self.name, kinds=("StatefulSet", "Pod"))
        self.delete_all("StatefulSet")
        for name, pod in sorted(found.all("Pod").items()):
            # One whose StatefulSet is gone already, without it, ends by nobody else.
            alone = found.get("StatefulSet", name.rpartition("-")[0]) is None
            if alone and not pod["metadata"].get("deletionTimestamp"):
                self.delete("Pod", name, pod)
        ending = Ending()
        self.wait_gone("the nodes to stop", lambda: ending.left(self.left("Pod").values()))

    def wait_gone(self, what: str, look: Callable[[], Sequence[str]]) -> None:
        if not self.ctx.check_mode:
            until(look, what, float(self.params["wait_timeout"]), self.ctx.progress)

    def left(self, kind: str) -> Mapping[str, Object]:
        self.check()
        return objects(self.kube, self.cluster, self.name, kinds=(kind,)).all(kind)

    def delete_all(self, kind: str) -> None:
        found = objects(self.kube, self.cluster, self.name, kinds=(kind,))
        for name, item in sorted(found.all(kind).items()):
            self.delete(kind, name, item)

    def delete_configuration(self) -> None:
        """With the volumes stays what tells what is on them: the ledger, and how far a replacement or a restore is."""
        found = objects(self.kube, self.cluster, self.name, kinds=("ConfigMap",)).all("ConfigMap")
        kept = {ledger_name(self.cluster, self.name)}
        if not self.params.get("delete_volumes"):
            kept |= {plan_name(self.cluster, self.name), restoring.plan_name(self.cluster, self.name)}
        for name, item in sorted(found.items()):
            if name not in kept:
                self.delete("ConfigMap", name, item)

    def delete_volumes(self) -> None:
        name = ledger_name(self.cluster, self.name)
        if not self.ctx.check_mode and self.kube.get("ConfigMap", name):
            self.check()
            self.kube.patch("ConfigMap", name, {"metadata": {"annotations": {unfinished.ENDING: "true"}}})
        self.delete_all("PersistentVolumeClaim")
        self.wait_gone(
            "the volumes to go",
            lambda: [f"volume {name} is still there" for name in sorted(self.left("PersistentVolumeClaim"))],
        )

    def delete_ledger(self) -> None:
        name = ledger_name(self.cluster, self.name)
        ledger = self.kube.get("ConfigMap", name)
        if ledger:
            self.delete("ConfigMap", name, ledger)
        self.delete_secret()

    def delete_secret(self) -> None:
        """Where the collection made it for this cluster, and nobody else here logs in with it."""
        own = f"{self.cluster}-superuser"
        name = self.params.get("superuser_secret") or own
        secret = self.kube.get("Secret", name)
        said = (secret or {}).get("metadata", {}).get("labels") or {}
        if secret is None or not MANAGED.items() <= said.items():
            return
        owner, beside = said.get(LABEL_CLUSTER), self.clusters_beside()
        others = ", ".join(sorted(beside - {self.cluster}))
        if owner != self.cluster:
            told = f"it was made for cluster {owner}" if owner else f"its label {LABEL_CLUSTER} is gone"
            self.ctx.warnings.append(f"Secret {name} is kept: {told}")
        elif others and name != own:
            self.ctx.warnings.append(
                f"Secret {name} is kept: namespace {self.kube.namespace} has the cluster {others} too, whose superuser "
                "may have the same Secret. Where it has not, delete it yourself"
            )
        elif self.cluster not in beside:
            self.delete("Secret", name, secret)
        elif name != own:
            self.ctx.warnings.append(
                f"Secret {name} is kept: another datacenter of the cluster is in the namespace, and may log in with "
                "it. Where that has one of its own, delete it yourself"
            )

    def clusters_beside(self) -> set[str]:
        """Those of the other datacenters that have a ledger in this namespace."""
        found = set()
        for item in self.kube.list("ConfigMap", labels=MANAGED):
            name, said = item["metadata"]["name"], item["metadata"]["labels"]
            cluster, datacenter = said.get(LABEL_CLUSTER), said.get(LABEL_DATACENTER)
            if name == ledger_name(cluster, datacenter) != ledger_name(self.cluster, self.name):
                found.add(cluster)
        return found

    def delete(self, kind: str, name: str, item: Mapping[str, Any]) -> None:
        if not self.ctx.check_mode:
            # Whoever has it now may have begun to deploy.
            self.check()
            self.kube.delete(kind, name, uid=item["metadata"]["uid"], propagation="Background")
        self.done.append(f"delete {kind} {name}")
        self.ctx.progress(f"delete {kind} {name}", important=True)
