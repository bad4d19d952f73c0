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
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from .. import configuration, cql, gates, internode_encryption, learning, nodetool, ring, rollout, spec, upgrade
from ..context import Context
from ..errors import CassopsError, SpecError
from ..kube import Conflict, Invalid, Kube, NotFound
from ..ledger import PHASE_NEW, PHASE_RUNNING, Ledger, LedgerNode, ledger_name, new_id
from ..lock import Lock, each_once
from ..manifests import build, cron_job, ledger_config_map
from ..manifests.common import headless_service_name
from ..observe import (
    ALL_KINDS,
    LABEL_CLUSTER,
    LABEL_DATACENTER,
    Contents,
    Credentials,
    Objects,
    Reasons,
    ask,
    attempt,
    labels,
    ledger_of,
    members_with_tokens,
    node_views,
    objects,
    revisions,
    template_of,
    together,
    view,
)
from ..options import DATACENTER, KUBERNETES
from ..scaling import system_replicas
from ..view import NodeView, View
from . import changes, midway, preflight, removing, rollout_plan, superuser, unfinished
from .cluster import PEER, RELEASED, lock_name
from .desired import DESIRED, checked, offered
from .doors import OPEN_LIMIT, closed_door, turn_door
from .living import at_once, living_datacenter, unlike, unlike_living
from .members import own_seeds, pause
from .patience import Patience
from .peers import Peer, living_peer, peer_secret, serving_node
from .waiting import until

# Kubernetes stores 1 MiB in a ConfigMap; a token is up to 20 digits and a comma there, and something is beside them.
MAX_TOKENS = 45_000
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
OPEN_AGAIN = 30.0
HELD = "the playbook heal decides what is safe (--check shows what it would do); then run this one again."
# Seconds for Kubernetes to look at a StatefulSet.
REVISION_LIMIT = 60.0
# Seconds between two looks at nodes that start: they need the processors more than we do.
JOIN_PAUSE = 1.5
# All nodes start at once, and hardly ever is one held: seconds until one is asked for that again.
HELD_AGAIN = 15.0
# What changes while nodes start; the other kinds change by our own hand only.
MOVING = ("Pod", "StatefulSet")


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(datacenter). See its documentation for parameters and results."""
    kube = ctx.kube(params)
    if params["state"] == "absent":
        return removing.Removal(kube, params, ctx).run()
    return Deployment(kube, params, ctx).run()


class Deployment:
    """One run towards C(state=present)."""

    def __init__(self, kube: Kube, params: Mapping[str, Any], ctx: Context) -> None:
        self.kube = kube
        self.params = params
        self.ctx = ctx
        self.prefix: str = params.get("variable_prefix") or ""
        self.limit = float(params["wait_timeout"])
        lost = tuple(name.strip() for name in params.get("without") or () if name.strip())
        self.lost = rollout.Settings(without=lost)
        self.done: list[str] = []
        self.diffs: list[dict[str, str]] = []
        self.namespace_missing = False
        # A datacenter of the cluster did not answer: its seeds stay as they are in the ledger.
        self.unreached = False
        self.locks: list[Lock] = []
        # When doors were last opened (seconds, monotonic).
        self.opened_at = time.monotonic()
        self.patience = Patience(kube)
        self.reasons = Reasons(HELD_AGAIN)
        self.contents = Contents()
        self.doubt = superuser.Doubt()

    def run(self) -> dict[str, Any]:
        self.desired = checked(self.kube, self.params)
        found = self.look()
        self.peers = self.living_peers(found)
        self.refuse(found)
        self.refuse_news(found)
        if self.ctx.check_mode:
            return self.predict(found)
        if self.namespace_missing:
            self.create_namespace()
        with ExitStack() as stack:
            for place in each_once([self.kube, *(peer.kube for peer in self.peers)]):
                self.locks.append(stack.enter_context(self.lock(place)))
            if not found.all("StatefulSet"):
                self.lock_newcomers(stack)
            found = self.look()
            self.refuse_news(found)
            self.refuse_between_revisions(found)
            ledger = self.prepare(found)
            self.apply(ledger, self.again(found))
            if ledger.phase == PHASE_NEW:
                ledger = self.start(ledger)
            else:
                self.open_cql(ledger, self.again(found))
            self.introduce(ledger)
            return self.prove(ledger, self.again(found))

    def lock(self, place: Kube) -> Lock:
        return Lock(place, lock_name(self.desired.cluster), self.ctx.holder)

    def lock_newcomers(self, stack: ExitStack) -> None:
        """Where datacenters may start for the first time that do not run yet: of two that would begin the ring at the
        same time, each has its own lock already, so one of them at least is refused."""
        running = {peer.ledger.datacenter for peer in self.peers}
        listed = [options for options in self.params.get("peers") or () if options["datacenter"] not in running]
        locked = [lock.kube for lock in self.locks]
        for place in each_once([*locked, *map(self.ctx.kube, listed)])[len(locked) :]:
            # Without a namespace nobody has begun there; its deploy makes it first, and then finds our lock.
            with suppress(NotFound):
                self.locks.append(stack.enter_context(self.lock(place)))

    # What is refused. Nothing is touched before all of it holds.

    def look(self) -> Objects:
        """The objects as they are; every step begins with a look, and ends the run if the lock was lost meanwhile."""
        for lock in self.locks:
            lock.check()
        return objects(self.kube, self.desired.cluster, self.desired.name, ALL_KINDS, self.contents)

    def again(self, found: Objects) -> Objects:
        """L(look), but where this run has changed nothing: what it found under its lock still holds."""
        return self.look() if self.done else found

    def glance(self, found: Objects) -> Objects:
        """L(look) in the middle of a wait: what moves by itself is as it is now, the rest as it was found."""
        for lock in self.locks:
            lock.check()
        moving = objects(self.kube, self.desired.cluster, self.desired.name, MOVING, self.contents)
        return Objects({**found.by_kind, **moving.by_kind})

    def refuse(self, found: Objects) -> None:
        """Raise with every reason why the desired datacenter cannot be made of what is there."""
        if unfinished.destruction(found, self.desired.cluster, self.desired.name):
            raise CassopsError(f"{unfinished.DESTROYED}: {unfinished.DESTROY}, then deploy")
        again = "deploy makes it anew, and the playbook rebuild gives it rows"
        gone = unfinished.beside_decommission(found, self.desired.cluster, self.desired.name, again)
        if gone:
            raise SpecError(gone)
        reasons = self.strangers(found) if not found.all("StatefulSet") else []
        ledger = ledger_of(found, self.desired.cluster, self.desired.name)
        if ledger is None and (found.all("StatefulSet") or found.all("PersistentVolumeClaim")):
            # A first deploy writes the ledger before it makes any node, so this was no killed one.
            reasons.append(ledger_gone(self.desired.cluster, self.desired.name))
        living = living_datacenter(found, ledger, self.desired)
        if living is not None:
            reasons += unlike_living(self.desired, found, self.prefix)
        if living is not None and ledger is not None and ledger.phase == PHASE_RUNNING:
            reasons += at_once(found, ledger, self.desired, self.prefix)
            reasons += self.between_revisions(found, ledger)
        if living is not None:
            reasons += self.lost_and_unknown(found)
        if not found.all("StatefulSet") or self.outline(found, ledger):
            reasons += self.unfit(found)
        reasons += self.locked_out(ledger)
        if not found.all("StatefulSet"):
            reasons += self.out_of_reach()
        if ledger is None:
            reasons += too_many_tokens(self.desired, self.prefix)
        if ledger is None or ledger.phase == PHASE_NEW:
            reasons += unlike(self.desired, [peer.ledger for peer in self.peers], self.prefix) or self.between_lines()
        if ledger is not None and ledger.stopped is not None and found.all("StatefulSet"):
            reasons.append("the datacenter is stopped on purpose: start it first, with the playbook start")
        if reasons:
            raise SpecError(reasons)
        path = f"{self.prefix}config"
        self.ctx.warnings.extend(internode_encryption.advice(self.desired.config, path))
        if living is not None and gates.line(living.version) != gates.line(self.desired.version):
            self.ctx.warnings.extend(upgrade.key_advice(self.desired.config, self.desired.version, path))

    def lost_and_unknown(self, found: Objects) -> list[str]:
        """Names of lost nodes that nobody here has."""
        option = "rollout_without" if self.prefix else "without"
        unknown = rollout.nobody(self.snapshot(found), self.lost.without) if self.lost.without else []
        return [f"{option}: there is no rack or node {name}" for name in unknown]

    def between_lines(self) -> list[str]:
        """Why nobody may join the cluster now: its members are between two lines of Cassandra, or two formats.

        A ledger tells what was registered, so they are asked. Nodes of 5.0 have tables of C(system_auth) that the older
        ones do not know, so nobody could replicate the logins either.
        """
        views = [seen for seen in map(self.as_seen, self.peers) if seen is not None]
        told = gates.one_line(views[0].joined(views[1:])) if views else []
        return [f"{self.desired.name} cannot join the cluster now: {reason}" for reason in told]

    def as_seen(self, peer: Peer) -> View | None:
        """Another datacenter by the words of its nodes; None where its login is gone."""
        secret, name = peer_secret(peer, self.desired), peer.ledger.datacenter
        if secret is None:
            return None
        login = superuser.credentials(secret, self.desired.superuser_secret, peer.kube)
        found = objects(peer.kube, self.desired.cluster, name)
        return view(peer.kube, found, self.desired.cluster, name, login)

    def between_revisions(self, found: Objects, ledger: Ledger) -> list[str]:
        """Why the pods may not get another template now: nodes half way through an upgrade would fall behind it."""
        half_way = self.half_way(found)
        if not half_way:
            return []
        racks = self.templates_change(build(self.desired, ledger, half_way), found, half_way)
        if not racks:
            return []
        made = revisions(self.kube, self.desired.cluster, self.desired.name)
        templates = {item["metadata"]["name"]: template_of(item) for item in made}
        nodes = self.nodes(found)
        reached = [
            one
            for name in (f"{self.desired.prefix}-{rack}" for rack in racks)
            for one in midway.reached(found, nodes, name, templates.get(current_revision(found, name)))
        ]
        told = midway.warnings(reached)
        self.ctx.warnings.extend(text for text in told if text not in self.ctx.warnings)
        return midway.refusals(reached)

    def refuse_between_revisions(self, found: Objects) -> None:
        """Raise for the same under the lock: before it was taken, a rollout may have reached a node."""
        ledger = ledger_of(found, self.desired.cluster, self.desired.name)
        reasons = self.between_revisions(found, ledger) if ledger is not None else []
        if reasons:
            raise SpecError(reasons)

    def out_of_reach(self) -> list[str]:
        """Datacenters that new nodes would not find by the names they are called by: they would be a second ring."""
        return [
            f"datacenter {peer.ledger.datacenter} is in another Kubernetes cluster and its nodes are called by names "
            f"such as {names[0]}, which only the DNS there knows. A ring over several Kubernetes clusters needs "
            f"{self.prefix}address: service there, with the addresses of Services routed between them"
            for peer in self.peers
            if peer.kube.server.host != self.kube.server.host
            and (names := [seed for seed in own_seeds(peer.ledger) if seed.endswith(".svc")])
        ]

    def locked_out(self, ledger: Ledger | None) -> list[str]:
        """A Secret that is no login; or none, where a new password would fit no role: the datacenter runs."""
        name, path = self.desired.superuser_secret, f"{self.prefix}superuser_secret"
        secret = self.kube.get("Secret", name)
        if secret is not None:
            told = attempt(partial(superuser.credentials, secret, name))
            return [f"{path}: {told}"] if isinstance(told, CassopsError) else []
        if self.peers or ledger is None or ledger.phase == PHASE_NEW:
            return []
        return [
            f"{path}: Secret {name} is gone, and this datacenter has a superuser already; "
            "create it again with the username and password of that role"
        ]

    def outline(self, found: Objects, ledger: Ledger | None) -> list[changes.Change]:
        """What would change if nothing but the desired objects counted (addresses as they are)."""
        return changes.wanted(self.kube, self.manifests(ledger or self.new_ledger(), found), found)

    def unfit(self, found: Objects) -> list[str]:
        """Why this Kubernetes cluster cannot take the datacenter, or these credentials cannot deploy it."""
        facts, self.namespace_missing = offered(self.kube, self.params)
        self.ctx.warnings.extend(facts.unread)
        values = {key: self.params.get(key) for key in ("racks", "storage", "workers_on_demand")}
        racks = [r.name for r in self.desired.racks if found.get("StatefulSet", self.desired.rack_name(r))]
        self.ctx.warnings.extend(preflight.advice(values, facts, self.prefix, racks))
        reasons = preflight.errors(values, facts, self.prefix, racks)
        living = bool(found.all("StatefulSet"))
        reasons += preflight.capacity_errors(self.desired, facts.workers, self.prefix, living)
        missing = preflight.missing_rights(self.kube)
        if missing or self.namespace_missing or facts.namespace_exists is False:
            return reasons + missing
        scheduled = self.desired.scheduled.items()
        return reasons + [reason for work, plan in scheduled for reason in self.unfit_schedule(work, plan, found)]

    def unfit_schedule(self, work: str, plan: spec.Scheduled, found: Objects) -> list[str]:
        """Why what is done by the clock would never run: nobody would look at a CronJob that makes no pods."""
        reasons = []
        if self.kube.get("ServiceAccount", plan.schedule_account) is None:
            reasons.append(
                f"{self.prefix}{work}.schedule_account: namespace {self.kube.namespace} has no ServiceAccount "
                f"{plan.schedule_account}; extensions/kubernetes/rbac.yml makes one with the rights that {work}s need"
            )
        for change in changes.plan([cron_job(self.desired, work, plan)], found):
            try:
                self.rehearse(change)
            except Invalid as error:
                reasons.append(f"{self.prefix}{work}.schedule: {error}")
        return reasons

    def strangers(self, found: Objects) -> list[str]:
        """What is here under our datacenter's name, or under our objects' names, and belongs to somebody else.

        The first is a cluster that was renamed in the inventory. The second may be an application's Service, or names
        that come out the same: "a-b" + "c" and "a" + "b-c".
        """
        place, cluster, name = self.kube.namespace, self.desired.cluster, self.desired.name
        ledgers = self.kube.list("ConfigMap", labels={LABEL_DATACENTER: name})
        others = {item["metadata"]["labels"].get(LABEL_CLUSTER) for item in ledgers} - {cluster}
        reasons = [
            f"{self.prefix}cluster: datacenter {name} in namespace {place} belongs to cluster {other}, got {cluster}; "
            "every node has stored the name and refuses to start under another: put the old name back, or choose "
            "another datacenter name or namespace"
            for other in sorted(map(str, others))
        ]
        beside = {
            str(item["metadata"]["labels"].get(LABEL_DATACENTER))
            for item in self.kube.list("StatefulSet", labels={LABEL_CLUSTER: cluster})
        }
        peers = {str(options["datacenter"]): options for options in self.params.get("peers") or ()}
        unknown = beside - {name, *peers}
        reasons += [
            f"{self.prefix}cluster: namespace {place} has datacenter {other} of cluster {cluster}, which is not among "
            "the peers: without it this would be a second ring of the same name. Peers come from the inventory: put "
            f"{self.prefix}cluster into the inventory of both (not into vars of a play)"
            for other in sorted(unknown)
        ]
        reasons += [
            f"{self.prefix}cluster: namespace {place} has datacenter {other} of cluster {cluster}, and its host in the "
            f"inventory names another place ({elsewhere}), where it does not run: without it this would be a second "
            f"ring of the same name. Put {self.prefix}kubeconfig, {self.prefix}context and {self.prefix}namespace into "
            "the inventory of both (not into vars of a play)"
            for other in sorted(beside & {*peers})
            if (elsewhere := self.misplaced(peers[other]))
        ]
        wanted = [(change.kind, change.name) for change in self.outline(found, None)]
        wanted.append(("ConfigMap", ledger_name(cluster, name)))
        taken = together(lambda item: self.kube.get(*item), wanted)
        foreign = [" ".join(item) for item, there in zip(wanted, taken, strict=True) if there and not self.ours(there)]
        if foreign:
            reasons.append(
                f"{self.prefix}datacenter: in namespace {place} somebody else has {', '.join(foreign)}; "
                "choose another cluster or datacenter name, or another namespace"
            )
        return reasons

    def ours(self, item: Mapping[str, Any]) -> bool:
        said = item["metadata"].get("labels") or {}
        return all(said.get(key) == value for key, value in labels(self.desired.cluster, self.desired.name).items())

    def create_namespace(self) -> None:
        """The namespace, with the restricted Pod Security Standard enforced: our pods keep to it."""
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.kube.namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }
        self.kube.create(namespace)
        self.note(f"create Namespace {self.kube.namespace}")

    # Check mode.

    def predict(self, found: Objects) -> dict[str, Any]:
        """What a run would do, by the API server's own dry run; nothing is written."""
        ledger = ledger_of(found, self.desired.cluster, self.desired.name)
        planned = self.outline(found, ledger)
        if self.namespace_missing:
            self.note(f"create Namespace {self.kube.namespace}")
        if self.kube.get("Secret", self.desired.superuser_secret) is None:
            self.note(f"create Secret {self.desired.superuser_secret}")
        self.record(planned, found)
        for change in changes.plan([ledger_config_map(self.predicted_ledger(found))], found):
            self.note(str(change))
        for name in self.unwanted_schedules(found):
            self.note(f"delete CronJob {name}")
        if ledger is not None and ledger.phase == PHASE_NEW:
            self.note("finish the first start")
        elif ledger is not None:
            for peer in self.unintroduced(ledger):
                self.note(f"tell datacenter {peer.ledger.datacenter} the seeds of {ledger.datacenter}")
        would = [] if self.namespace_missing else [self.rehearse(change) for change in planned]
        registered = [registrable(item) for item in would if item["kind"] in ("StatefulSet", "ConfigMap")]
        result = self.result(self.snapshot(found), pending=self.predicted_restarts(registered, found))
        return {**result, "registered": registered}

    def predicted_ledger(self, found: Objects) -> Ledger:
        """The ledger as a run would leave it, but for what only the nodes can tell."""
        ledger = self.with_addresses(self.ledger(found), addresses_of(found))
        return ledger if ledger.phase == PHASE_NEW else rollout_plan.noted(ledger, found)

    def rehearse(self, change: changes.Change) -> dict[str, Any]:
        """What the API server would make of a change."""
        if change.kind == "Service":
            return self.apply_service(change, dry_run=True)
        return self.kube.apply(change.desired, dry_run=True)

    def predicted_restarts(self, would: Sequence[Mapping[str, Any]], found: Objects) -> list[str]:
        """Nodes whose pod template would be another than theirs."""
        made = revisions(self.kube, self.desired.cluster, self.desired.name) if would else []
        nodes = self.nodes(changes.foreseen(found, would, made))
        return [node.pod for node in nodes if node.uid and node.pending_restart]

    # Applying.

    def prepare(self, found: Objects) -> Ledger:
        """The superuser's Secret, the nodes' addresses, and the ledger that keeps them."""
        if self.kube.get("Secret", self.desired.superuser_secret) is None:
            self.make_secret()
        ledger = self.ledger(found)
        services = [item for item in self.manifests(ledger, found) if item["kind"] == "Service"]
        planned = changes.plan(services, found)
        self.record(planned, found)
        addresses = addresses_of(found)
        for change in planned:
            addresses[change.name] = self.apply_service(change)["spec"]["clusterIP"]
        ledger = self.with_addresses(ledger, addresses)
        self.write_ledger(ledger, found)
        return ledger

    def ledger(self, found: Objects) -> Ledger:
        """The ledger; planned anew as long as no node was ever made by it."""
        ledger = ledger_of(found, self.desired.cluster, self.desired.name)
        made = found.all("StatefulSet") or found.all("PersistentVolumeClaim")
        if ledger is None or (ledger.phase == PHASE_NEW and not made):
            return self.new_ledger()
        if ledger.stopped is not None:
            # Destroyed, or stopped before that: what is made now starts.
            others = self.peers or self.unreached
            paused = None if others else pause(ledger, (), int(self.kube.server_time()))
            ledger = replace(ledger, stopped=None, pause=paused, closed=ledger.closed if paused else None)
        return ledger

    def make_secret(self) -> None:
        """Copied from a living datacenter of the cluster, whose roles they share; random for the first."""
        source = next((secret for peer in self.peers if (secret := peer_secret(peer, self.desired))), None)
        if source is None:
            superuser.make_secret(self.kube, self.desired, cluster_labels(self.desired))
        else:
            superuser.copy_secret(self.kube, self.desired, source, cluster_labels(self.desired))
        self.note(f"create Secret {self.desired.superuser_secret}")

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
        others = {seed for peer in self.peers for seed in own_seeds(peer.ledger)}
        if self.unreached:
            others |= {*ledger.seeds} - {*own, *own_seeds(ledger)}
        return replace(ledger, nodes=nodes, seeds=(*own, *sorted(others)), self_replace=self.desired.self_replace)

    def seed(self, node: LedgerNode) -> str | None:
        """A node's address; its name where the address is the pod's and changes with it."""
        if self.desired.address == "service":
            return node.address
        return f"{node.pod}.{headless_service_name(self.desired)}.{self.kube.namespace}.svc"

    def write_ledger(self, ledger: Ledger, found: Objects) -> None:
        """Apply the ledger where it differs. Its diff is left out: it is bookkeeping, not configuration."""
        item = ledger_config_map(ledger)
        planned = changes.plan([item], found)
        if planned:
            changes.send(self.kube, planned)
            self.done += [str(change) for change in planned]

    def apply(self, ledger: Ledger, found: Objects) -> None:
        """Apply everything else; in phase C(new) also bring pods of an older revision up to date: they hold no data."""
        planned = changes.wanted(self.kube, self.manifests(ledger, found), found)
        self.record(planned, found)
        changes.send(self.kube, planned)
        if any(change.kind == "StatefulSet" for change in planned):
            until(self.unobserved, "Kubernetes to take the new revision", REVISION_LIMIT, self.ctx.progress)
            found = self.look()
        if ledger.phase == PHASE_NEW:
            for node in self.nodes(found):
                if node.pending_restart and node.uid:
                    self.kube.delete("Pod", node.pod, uid=node.uid)
                    self.note(f"restart {node.pod}, which never served, with the corrected configuration")
        self.remove_unused_configuration(found)
        for name, item in self.unwanted_schedules(found).items():
            self.kube.delete("CronJob", name, uid=item["metadata"]["uid"], propagation="Background")
            self.note(f"delete CronJob {name}")

    def unwanted_schedules(self, found: Objects) -> Mapping[str, dict[str, Any]]:
        """The CronJobs of what is no longer to be done by the clock."""
        wanted = {spec.schedule_name(self.desired.cluster, self.desired.name, work) for work in self.desired.scheduled}
        return {name: item for name, item in found.all("CronJob").items() if name not in wanted}

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
        half_way = {rack: lowered for rack, lowered in self.half_way(found).items() if rack not in partitions}
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

    def half_way(self, found: Objects) -> dict[str, int]:
        """Rack -> partition, where a rollout is half way: each pod must come back at the revision that it runs."""
        live = {rack.name: found.get("StatefulSet", self.desired.rack_name(rack)) for rack in self.desired.racks}
        return {
            name: partition(item)
            for name, item in live.items()
            if item and partition(item) < item["spec"]["replicas"] and is_released(item) and is_changing(item)
        }

    def settle(self, ledger: Ledger, found: Objects) -> None:
        """After the first start: from here on a pod that comes back by itself comes back at its own revision."""
        if all(partition(item) for item in found.all("StatefulSet").values()):
            return
        until(self.unsettled, "Kubernetes to complete the first start", REVISION_LIMIT, self.ctx.progress)
        found = self.look()
        changes.send(self.kube, changes.plan(self.manifests(ledger, found), found))

    def unsettled(self) -> list[str]:
        return [f"StatefulSet {name}" for name, item in self.look().all("StatefulSet").items() if is_unsettled(item)]

    def unobserved(self) -> list[str]:
        return [
            f"StatefulSet {name}"
            for name, item in self.look().all("StatefulSet").items()
            if item.get("status", {}).get("observedGeneration", 0) < item["metadata"]["generation"]
        ]

    def remove_unused_configuration(self, found: Objects) -> None:
        """Configuration that no pod and no revision a pod may come back at refers to."""
        stored = {name: item for name, item in found.all("ConfigMap").items() if configuration.is_one(item)}
        if len(stored) < 2:
            return
        made = revisions(self.kube, self.desired.cluster, self.desired.name)
        wanted = {
            item.get("status", {}).get(key)
            for item in found.all("StatefulSet").values()
            for key in ("currentRevision", "updateRevision")
        }
        users: list[Any] = [*found.all("Pod").values(), *found.all("StatefulSet").values()]
        users += [item for item in made if item["metadata"]["name"] in wanted]
        in_use = str(users)
        for name, item in stored.items():
            if name not in in_use:
                self.kube.delete("ConfigMap", name, uid=item["metadata"]["uid"])
                self.note(f"delete ConfigMap {name}, which no pod uses")

    # The first start.

    def start(self, ledger: Ledger) -> Ledger:
        """From started pods to a datacenter that serves; returns the ledger in phase C(running)."""
        wanted = self.credentials()
        # The volumes were only just made. Later one may wait for its worker, which comes back.
        self.patience = Patience(self.kube, elsewhere=True)
        seen = self.wait_for_ring(ledger, wanted)
        told = f"all {len(ledger.nodes)} nodes are up; making the superuser {wanted.username}"
        self.ctx.progress(told, important=True)
        for peer in self.peers[:1]:
            # Before this datacenter can log anybody in, the cluster's roles must be replicated to it.
            superuser.replicate_at(peer.kube, serving_node(peer), wanted, self.replication())
        superuser.establish(self.kube, ledger.first, wanted, self.replication())
        self.patience = Patience(self.kube)
        self.note(f"create superuser {wanted.username}, close the default login")
        if ledger.hash_rounds and not self.hash_rounds():
            self.ctx.warnings.append(
                f"the password in Secret {self.desired.superuser_secret} was put there after the first start had begun"
                f" and is hashed with 2^{ledger.hash_rounds} rounds of bcrypt, which suit random ones only: change it"
                " once more (ALTER ROLE, and the Secret)"
            )
        ledger = self.to_running(ledger, seen)
        self.open_cql(ledger, self.look())
        return ledger

    def wait_for_ring(self, ledger: Ledger, wanted: Credentials) -> View:
        """Until a node that can be asked sees every node up and NORMAL; its view."""
        latest: list[View] = []
        found = self.look()

        def look() -> list[str]:
            seen = self.snapshot(self.glance(found))
            self.give_up(seen)
            started = sum(node.phase == "Running" and node.held is None for node in seen.nodes)
            if started < len(seen.nodes):
                return [f"{started} of {len(seen.nodes)} nodes started", *not_started(seen)]
            seen, reasons = self.witness(seen, ledger.first, wanted)
            latest[:] = [seen]
            return reasons or gates.up_in_every_view(seen) + gates.normal(seen)

        until(look, f"{len(ledger.nodes)} nodes to join the ring", self.limit, self.ctx.progress, JOIN_PAUSE)
        return latest[0]

    def witness(self, seen: View, doorkeeper: str, wanted: Credentials) -> tuple[View, list[str]]:
        """The view of a node that lets us in while CQL is closed here; while there is none, what is seen, and why.

        In a further datacenter of a cluster that is a node of the first; in a first one the doorkeeper, by the default
        login as long as the superuser does not stand. Its whole view, which may cost it a JVM, is asked for when it
        knows every node.
        """
        if self.peers:
            place, pod, logins = self.peers[0].kube, serving_node(self.peers[0]), [wanted]
        else:
            place, pod, logins = self.kube, doorkeeper, [superuser.DEFAULT, wanted]
        refusals = []
        for login in logins:
            joined = attempt(partial(members_with_tokens, place, pod, login))
            if isinstance(joined, cql.LoginRefused):
                refusals.append(str(joined))
                continue
            self.doubt.forget()
            if isinstance(joined, CassopsError):
                break
            known = sum(node.address in joined for node in seen.nodes)
            if known < len(seen.nodes):
                return seen, [f"{known} of {len(seen.nodes)} nodes have joined"]
            asked = replace(seen, nodes=(NodeView(pod=pod, rack="", ordinal=0, phase="Running"),))
            heard = replace(ask(place, asked, login), nodes=seen.nodes)
            return heard, [] if heard.observations else [f"{pod} does not tell its view yet"]
        else:
            self.give_up_logins(seen, pod, refusals)
            return seen, [f"all {len(seen.nodes)} nodes started, {pod} lets nobody in yet"]
        return seen, [f"all {len(seen.nodes)} nodes started, none answers yet"]

    def give_up_logins(self, seen: View, pod: str, refusals: Sequence[str]) -> None:
        """End the wait for the ring where the Secret has not the login of this datacenter, or of this cluster."""
        if not all(map(cql.is_wrong, refusals)):
            self.doubt.forget()
        elif self.peers:
            if self.doubt.ends():
                who = f"{pod} of datacenter {self.peers[0].ledger.datacenter}"
                raise CassopsError(superuser.wrong_login(who, self.desired.superuser_secret))
        elif self.doubt.ends(lambda: self.is_whole(seen, pod)):
            raise CassopsError(superuser.both_refused(pod))

    def is_whole(self, seen: View, pod: str) -> bool:
        """Whether a node takes every node for up; asked without a login."""
        up = attempt(lambda: nodetool.status(self.kube, pod))
        return not isinstance(up, CassopsError) and all(up.get(node.address or "") for node in seen.nodes)

    def give_up(self, seen: View) -> None:
        """End a wait that cannot succeed: no image, a node that is held, a container that crashes again and again."""
        lost = self.patience.lost(seen.nodes)
        if lost:
            # Before it has served heal knows of no datacenter.
            heals = gates.held(seen) and seen.phase == PHASE_RUNNING
            way = HELD if heals else "correct the cause and run deploy again."
            raise CassopsError(f"{'; '.join(lost)}. Waiting does not help: {way}")

    def replication(self) -> dict[str, int]:
        """Datacenter -> replicas of Cassandra's own keyspaces: three, or as many as there are nodes."""
        counts = {peer.ledger.datacenter: len(peer.ledger.nodes) for peer in self.peers}
        counts[self.desired.name] = len(self.desired.nodes())
        return {name: system_replicas(count) for name, count in counts.items()}

    def to_running(self, ledger: Ledger, seen: View) -> Ledger:
        """Host ids and phase in one write: from here on an empty volume is a fault."""
        members = seen.endpoints()
        nodes = {
            node.pod: LedgerNode(node.pod, node.address, members[node.address].host_id)
            for node in seen.nodes
            if node.address in members
        }
        found = self.look()
        ledger = rollout_plan.noted(replace(ledger, nodes=nodes, phase=PHASE_RUNNING), found)
        self.write_ledger(ledger, found)
        return ledger

    def introduce(self, ledger: Ledger) -> None:
        """The other datacenters keep this one's seeds too, so that their nodes find it whichever starts first."""
        for peer in self.unintroduced(ledger):
            own = own_seeds(peer.ledger)
            others = sorted({*peer.ledger.seeds, *own_seeds(ledger)} - {*own})
            known = replace(peer.ledger, seeds=(*own, *others))
            peer.kube.apply(changes.with_hash(ledger_config_map(known)))
            self.note(f"tell datacenter {known.datacenter} the seeds of {ledger.datacenter}")

    def unintroduced(self, ledger: Ledger) -> list[Peer]:
        """The peers, as they are now, whose ledger lacks seeds of this datacenter."""
        peers = together(lambda peer: living_peer(peer.kube, self.desired.cluster, peer.ledger.datacenter), self.peers)
        return [peer for peer in peers if peer and not {*own_seeds(ledger)} <= {*peer.ledger.seeds}]

    def open_cql(self, ledger: Ledger, found: Objects) -> None:
        """Open CQL where it is closed: C(enablebinary); the doorkeeper's process, bound to its loopback, starts again.

        A run that died between the ledger's turn and the last open door leaves running nodes with CQL closed, so every
        run looks.
        """
        seen = self.snapshot(found)
        left = self.not_waited_for(seen)
        closed = [
            node
            for node in seen.nodes
            if node.phase == "Running" and not node.ready and node.held is None and node.pod not in left
        ]
        if not closed:
            return
        self.opened_at = time.monotonic()
        self.ctx.progress(f"opening CQL where it is closed ({len(closed)} nodes are not ready)", important=True)
        # The doorkeeper first: its start takes longest.
        together(self.open_node, sorted(closed, key=lambda node: node.pod != ledger.first))

    def open_node(self, node: NodeView) -> None:
        """One node. What fails here, a node that only just starts for example, is tried again by the proof's wait."""
        door = attempt(lambda: closed_door(self.kube, node.pod))
        opened: Any = door
        if door == "loopback":
            opened = attempt(lambda: turn_door(self.kube, node.pod))
        elif door == "off":
            opened = attempt(lambda: nodetool.run_one(self.kube, node.pod, ["enablebinary"], timeout=OPEN_LIMIT))
        if isinstance(opened, CassopsError):
            self.ctx.progress(f"{node.pod}: CQL could not be opened yet: {opened}", important=True)

    # The proof.

    def prove(self, ledger: Ledger, first: Objects) -> dict[str, Any]:
        """Wait until the datacenter is whole in every view; refuse to end well otherwise."""
        wanted = self.credentials()
        latest: list[tuple[Objects, View]] = []

        def look() -> list[str]:
            found = self.glance(first) if latest else first
            seen = self.snapshot(found)
            others = seen.without(self.left_out(seen))
            self.give_up(others)
            reasons = gates.running(others)
            if reasons and time.monotonic() - self.opened_at > OPEN_AGAIN:
                self.open_cql(ledger, found)
            if not reasons:
                seen = ask(self.kube, seen, wanted)
                self.give_up_login(seen)
                reasons = gates.whole(seen.without(self.left_out(seen)))
            latest[:] = [(found, seen)]
            return reasons

        until(look, f"{len(ledger.nodes)} nodes to be whole", self.limit, self.ctx.progress)
        found, seen = latest[0]
        lost = self.not_waited_for(seen)
        for node in seen.nodes:
            if node.pod in lost:
                why = node.held or node.reason or "it is not ready"
                self.ctx.warnings.append(f"{node.pod} is lost, as you said, and was not waited for ({why})")
            elif node.pod in broken(seen):
                what = f"{node.pod} is not well ({node.held or node.reason}), and its correction waits for a restart"
                self.ctx.warnings.append(f"{what}: run the playbook restart, which begins with it")
        noted = rollout_plan.noted(ledger, found)
        if noted != ledger:
            mode = f" with {upgrade.KEY} {noted.storage_mode}" if noted.storage_mode else ""
            self.ctx.progress(f"noted: the nodes run Cassandra {noted.version}{mode}", important=True)
        learned = learning.learned(noted, seen)
        if learned != noted:
            self.ctx.progress(learning.words(learned), important=True)
        if learned != ledger:
            self.write_ledger(learned, found)
        self.settle(learned, found)
        if self.done:
            well = seen.without(self.left_out(seen)).nodes
            together(lambda node: superuser.prove_closed(self.kube, node.pod), well)
        return self.result(seen, pending=[node.pod for node in seen.nodes if node.pending_restart])

    def not_waited_for(self, seen: View) -> set[str]:
        """Nodes that are lost, as the person says. One that is well counts like the others."""
        named = rollout.lost(seen, self.lost)
        return {node.pod for node in seen.nodes if node.pod in named and not rollout.is_well(node)}

    def left_out(self, seen: View) -> set[str]:
        """Nodes that need not be well now: a rollout sees to them, or goes on without them."""
        return {*broken(seen), *self.not_waited_for(seen)}

    def give_up_login(self, seen: View) -> None:
        """End the proof's wait where every node that was asked calls the login wrong."""
        if seen.observations or not seen.unheard or not all(map(cql.is_wrong, seen.unheard.values())):
            self.doubt.forget()
        elif self.doubt.ends():
            who = f"every node that was asked ({', '.join(sorted(seen.unheard))})"
            raise CassopsError(superuser.wrong_login(who, self.desired.superuser_secret))

    # Small things.

    def credentials(self) -> Credentials:
        name = self.desired.superuser_secret
        secret = self.kube.get("Secret", name)
        if secret is None:
            raise CassopsError(f"Secret {name} with the superuser's username and password is gone; create it again")
        return superuser.credentials(secret, name, self.kube)

    def misplaced(self, options: Mapping[str, Any]) -> str:
        """Where a datacenter of the cluster is looked for, unless that is here, or it runs there."""
        kube = attempt(lambda: self.ctx.kube(options))
        if isinstance(kube, CassopsError) or len(each_once((self.kube, kube))) == 1:
            return ""
        # One that cannot be asked is in the way by itself.
        runs = attempt(partial(self.peer, options)) is not None
        return "" if runs else f"namespace {kube.namespace} of {kube.server.host}"

    def living_peers(self, found: Objects) -> list[Peer]:
        """The other datacenters of the cluster that already run.

        One that does not answer is in the way of a first start, which would make a second ring; later it is told.
        """
        ledger = ledger_of(found, self.desired.cluster, self.desired.name)
        peers = []
        for options in self.params.get("peers") or ():
            told = attempt(partial(self.peer, options))
            if isinstance(told, Peer):
                peers.append(told)
            elif told is not None and (ledger is None or ledger.phase == PHASE_NEW):
                raise told
            elif told is not None:
                self.ctx.warnings.append(f"datacenter {options['datacenter']} was not asked for its seeds: {told}")
                self.unreached = True
        if self.params.get("peers") and not peers and ledger is None:
            names = ", ".join(options["datacenter"] for options in self.params["peers"])
            self.ctx.progress(
                f"no other datacenter of the cluster is there ({names}): {self.desired.name} begins the ring",
                important=True,
            )
        return peers

    def peer(self, options: Mapping[str, Any]) -> Peer | None:
        """Another datacenter, None while it does not run."""
        return living_peer(self.ctx.kube(options), self.desired.cluster, options["datacenter"])

    def refuse_news(self, found: Objects) -> None:
        """Two datacenters of a cluster that start for the first time beside each other are two rings.

        Asked for under the lock, since another run may have begun before it was taken.

        :raises CassopsError: another one has begun to start, or runs since a moment ago.
        """
        if found.all("StatefulSet"):
            return
        before = {peer.ledger.datacenter for peer in self.peers}
        for options in self.params.get("peers") or ():
            kube, name = self.ctx.kube(options), options["datacenter"]
            there = objects(kube, self.desired.cluster, name, kinds=("ConfigMap", "StatefulSet"))
            ledger = ledger_of(there, self.desired.cluster, name)
            if ledger is not None and there.all("StatefulSet") and name not in before:
                raise CassopsError(
                    f"datacenter {name} of the cluster has begun its first start: two that start beside each other "
                    f"would be two rings. Let its deploy finish, or run it again (--limit {name}), and then this one"
                )

    def nodes(self, found: Objects) -> tuple[NodeView, ...]:
        return node_views(found, ledger_of(found, self.desired.cluster, self.desired.name), datetime.now(timezone.utc))

    def snapshot(self, found: Objects) -> View:
        """The datacenter as Kubernetes has it."""
        return view(self.kube, found, self.desired.cluster, self.desired.name, None, self.reasons)

    def record(self, planned: Sequence[changes.Change], found: Objects) -> None:
        self.done += [str(change) for change in planned]
        for change in planned:
            self.ctx.progress(str(change), important=True)
        if self.ctx.diff_mode:
            self.diffs += changes.diff(planned, lambda: current_configuration(found))

    def note(self, done: str) -> None:
        self.done.append(done)
        self.ctx.progress(done, important=True)

    def result(self, seen: View, pending: Sequence[str]) -> dict[str, Any]:
        service = f"{self.desired.prefix}.{self.kube.namespace}.svc"
        result: dict[str, Any] = {
            "changed": bool(self.done),
            "changes": self.done,
            "phase": seen.phase,
            "nodes": [node.pod for node in seen.nodes],
            "pending_restart": list(pending),
            "unwell": [node.pod for node in seen.nodes if node.pod in self.left_out(seen)],
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
            result["diff"] = self.diffs
        return result


def registrable(item: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan has to know of an object: of a configuration only what it does to the storage format and to who
    hears whom, it may hold somebody's secrets."""
    shown = changes.named(item)
    if item["kind"] == "ConfigMap":
        shown["data"] = {"cassandra.yaml": f"{internode_encryption.line(item)}{upgrade.mode_line(item)}"}
    return shown


def ledger_gone(cluster: str, datacenter: str) -> str:
    """A new ledger is a new identity, with which no volume's mark agrees."""
    return (
        f"the ledger of datacenter {datacenter} (ConfigMap {ledger_name(cluster, datacenter)}) is gone, and its nodes "
        "or volumes are there: with a new one none of them would start again. Put it back from a backup of the "
        "namespace; where the data is not needed, destroy the datacenter first, with its volumes (-e "
        "destroy_volumes=true)"
    )


def too_many_tokens(desired: spec.Datacenter, prefix: str) -> list[str]:
    """Why the ledger could not be stored, whose size would only be told when it is."""
    nodes = len(desired.nodes())
    tokens = desired.num_tokens * nodes
    if tokens <= MAX_TOKENS:
        return []
    return [
        f"{prefix}config.num_tokens: makes {tokens} tokens for {nodes} nodes, and the ledger, a ConfigMap, "
        f"takes {MAX_TOKENS}; take fewer (16 is Cassandra's default), or begin with fewer nodes and scale"
    ]


def addresses_of(found: Objects) -> dict[str, str]:
    return {name: service["spec"]["clusterIP"] for name, service in found.all("Service").items()}


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


def broken(seen: View) -> list[str]:
    """Nodes that do not come up by themselves, and for which something newer waits: a rollout gets them out of it.

    A node that is held, or whose worker is gone, needs more than that.
    """
    return [
        node.pod
        for node in seen.nodes
        if node.pending_restart and node.reason and not (node.ready or node.held or node.worker_lost)
    ]


def current_revision(found: Objects, stateful_set: str) -> str:
    """At which a rack's pods below the partition come back."""
    return str(found.all("StatefulSet")[stateful_set].get("status", {}).get("currentRevision"))


def is_changing(stateful_set: Mapping[str, Any]) -> bool:
    """Not every pod runs the newest revision, or not every one of them is ready."""
    status = stateful_set.get("status", {})
    return bool(status.get("currentRevision") != status.get("updateRevision"))


def cluster_labels(desired: spec.Datacenter) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "cassops", LABEL_CLUSTER: desired.cluster}


def not_started(seen: View) -> list[str]:
    """The gate's reasons, without those of nodes that run and only take their time."""
    slow = {node.pod for node in seen.nodes if node.phase == "Running" and node.held is None}
    return [reason for reason in gates.running(seen) if reason.split()[0] not in slow]


def current_configuration(found: Objects) -> Mapping[str, Any] | None:
    """The configuration that the StatefulSets refer to today."""
    for item in found.all("StatefulSet").values():
        for volume in item["spec"]["template"]["spec"].get("volumes", ()):
            config_map = found.get("ConfigMap", volume.get("configMap", {}).get("name", ""))
            if config_map is not None and configuration.is_one(config_map):
                return config_map
    return None
