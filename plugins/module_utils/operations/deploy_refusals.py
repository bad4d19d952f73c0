# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deploy refuses before it touches anything: every reason at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from .. import gates, internode_encryption, rollout, spec, upgrade
from ..errors import CassopsError, SpecError
from ..kubeapi import Invalid
from ..ledger import PHASE_NEW, PHASE_RUNNING, Ledger, ledger_name
from ..lock import each_once
from ..manifests import build, cron_job
from ..observe import (
    LABEL_CLUSTER,
    LABEL_DATACENTER,
    Objects,
    attempt,
    labels,
    ledger_of,
    objects,
    revisions,
    template_of,
    view,
)
from ..view import View
from . import backup_secrets, changes, midway, preflight, superuser, unfinished
from .deploy_plan import DeployPlan, current_revision
from .deploying import Deploy
from .desired import offered
from .living import at_once, living_datacenter, unlike, unlike_living
from .members import own_seeds
from .peers import Peer, peer_secret

# Kubernetes stores 1 MiB in a ConfigMap; a token is up to 20 digits and a comma there, and something is beside them.
MAX_TOKENS = 45_000


class Refusals:
    """Why the desired datacenter cannot be made of what is there."""

    def __init__(self, deploy: Deploy, plan: DeployPlan) -> None:
        self.deploy = deploy
        self.plan = plan
        self.kube = deploy.kube
        self.ctx = deploy.ctx
        self.desired = deploy.desired
        self.prefix = deploy.prefix

    def refuse(self, found: Objects) -> None:
        """Raise with every reason why the desired datacenter cannot be made of what is there."""
        if unfinished.destruction(found, self.desired.cluster, self.desired.name):
            raise CassopsError(f"{unfinished.DESTROYED}: {unfinished.DESTROY}, then deploy")
        again = "deploy makes it anew, and the playbook rebuild gives it rows"
        gone = unfinished.beside_decommission(found, self.desired.cluster, self.desired.name, again)
        if gone:
            raise SpecError(gone)
        ledger = self.deploy.ledger(found)
        planned = self.plan.outline(found, ledger)
        wanted = [(change.kind, change.name) for change in planned if change.live is None]
        if found.all("StatefulSet"):
            # A ledger is theirs, whoever put it back without its labels: see L(ledger_gone).
            reasons = changes.taken(self.kube, wanted, labels(self.desired.cluster, self.desired.name))
        else:
            ledger_map = ("ConfigMap", ledger_name(self.desired.cluster, self.desired.name))
            reasons = self.strangers([*wanted, ledger_map] if found.get(*ledger_map) is None else wanted)
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
        if not found.all("StatefulSet") or planned:
            reasons += self.unfit(found)
        reasons += self.locked_out(ledger)
        if not found.all("StatefulSet"):
            reasons += self.out_of_reach()
        if ledger is None:
            reasons += too_many_tokens(self.desired, self.prefix)
        if ledger is None or ledger.phase == PHASE_NEW:
            reasons += (
                unlike(self.desired, [peer.ledger for peer in self.deploy.peers], self.prefix) or self.between_lines()
            )
        if ledger is not None and ledger.stopped is not None and found.all("StatefulSet"):
            reasons.append("the datacenter is stopped on purpose: start it first, with the playbook start")
        if reasons:
            raise SpecError(reasons)
        path = f"{self.prefix}config"
        self.ctx.warnings.extend(internode_encryption.advice(self.desired.config, path))
        if living is not None and gates.line(living.version) != gates.line(self.desired.version):
            self.ctx.warnings.extend(upgrade.key_advice(self.desired.config, self.desired.version, path))
        self.ctx.warnings.extend(self.no_backups())

    def no_backups(self) -> list[str]:
        """Why no backup could be made: told before one fails at night. Cassandra starts without it."""
        if self.desired.backup is None:
            return []
        return [f"{self.prefix}backup: {told}" for told in backup_secrets.missing(self.kube, self.desired.backup)]

    def refuse_news(self, found: Objects) -> None:
        """Two datacenters of a cluster that start for the first time beside each other are two rings.

        Asked for under the lock, since another run may have begun before it was taken.

        :raises CassopsError: another one has begun to start, or runs since a moment ago.
        """
        if found.all("StatefulSet"):
            return
        before = {peer.ledger.datacenter for peer in self.deploy.peers}
        for options in self.deploy.params.get("peers") or ():
            kube, name = self.ctx.kube(options), options["datacenter"]
            there = objects(kube, self.desired.cluster, name, kinds=("ConfigMap", "StatefulSet"))
            ledger = ledger_of(there, self.desired.cluster, name)
            if ledger is not None and there.all("StatefulSet") and name not in before:
                raise CassopsError(
                    f"datacenter {name} of the cluster has begun its first start: two that start beside each other "
                    f"would be two rings. Let its deploy finish, or run it again (--limit {name}), and then this one"
                )

    def refuse_between_revisions(self, found: Objects) -> None:
        """Raise under the lock for what L(refuse) asks too: before it was taken, a rollout may have reached a node."""
        ledger = self.deploy.ledger(found)
        reasons = self.between_revisions(found, ledger) if ledger is not None else []
        if reasons:
            raise SpecError(reasons)

    # Of a datacenter that lives

    def lost_and_unknown(self, found: Objects) -> list[str]:
        """Names of lost nodes that nobody here has."""
        option = "rollout_without" if self.prefix else "without"
        named = self.deploy.lost.without
        unknown = rollout.nobody(self.deploy.snapshot(found), named) if named else []
        return [f"{option}: there is no rack or node {name}" for name in unknown]

    def between_revisions(self, found: Objects, ledger: Ledger) -> list[str]:
        """Why the pods may not get another template now: nodes half way through an upgrade would fall behind it."""
        half_way = self.plan.half_way(found, ledger)
        if not half_way:
            return []
        racks = self.plan.templates_change(build(self.desired, ledger, half_way), found, half_way)
        if not racks:
            return []
        made = revisions(self.kube, self.desired.cluster, self.desired.name)
        templates = {item["metadata"]["name"]: template_of(item) for item in made}
        nodes = self.deploy.nodes(found)
        reached = [
            one
            for name in (f"{self.desired.prefix}-{rack}" for rack in racks)
            for one in midway.reached(found, nodes, name, templates.get(current_revision(found, name)))
        ]
        told = midway.warnings(reached)
        self.ctx.warnings.extend(text for text in told if text not in self.ctx.warnings)
        return midway.refusals(reached)

    # Of one that starts beside others

    def strangers(self, wanted: Sequence[tuple[str, str]]) -> list[str]:
        """What is here under our datacenter's name, or under our objects' names, and belongs to somebody else.

        The first is a cluster that was renamed in the inventory. The second may be an application's Service, or names
        that come out the same: "a-b" + "c" and "a" + "b-c".

        :param wanted: the objects to make, by kind and name.
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
        peers = {str(options["datacenter"]): options for options in self.deploy.params.get("peers") or ()}
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
        foreign = changes.foreign(self.kube, wanted, labels(cluster, name))
        if foreign:
            reasons.append(
                f"{self.prefix}datacenter: in namespace {place} somebody else has {', '.join(foreign)}; "
                "choose another cluster or datacenter name, or another namespace"
            )
        return reasons

    def misplaced(self, options: Mapping[str, Any]) -> str:
        """Where a datacenter of the cluster is looked for, unless that is here, or it runs there."""
        kube = attempt(lambda: self.ctx.kube(options))
        if isinstance(kube, CassopsError) or len(each_once((self.kube, kube))) == 1:
            return ""
        # One that cannot be asked is in the way by itself.
        runs = attempt(partial(self.deploy.peer, options)) is not None
        return "" if runs else f"namespace {kube.namespace} of {kube.server.host}"

    def out_of_reach(self) -> list[str]:
        """Datacenters that new nodes would not find by the names they are called by: they would be a second ring."""
        return [
            f"datacenter {peer.ledger.datacenter} is in another Kubernetes cluster and its nodes are called by names "
            f"such as {names[0]}, which only the DNS there knows. A ring over several Kubernetes clusters needs "
            f"{self.prefix}address: service there, with the addresses of Services routed between them"
            for peer in self.deploy.peers
            if peer.kube.server.host != self.kube.server.host
            and (names := [seed for seed in own_seeds(peer.ledger) if seed.endswith(".svc")])
        ]

    def between_lines(self) -> list[str]:
        """Why nobody may join the cluster now: its members are between two lines of Cassandra, or two formats.

        A ledger tells what was registered, so they are asked. Nodes of 5.0 have tables of C(system_auth) that the older
        ones do not know, so nobody could replicate the logins either.
        """
        views = [seen for seen in map(self.as_seen, self.deploy.peers) if seen is not None]
        told = gates.one_line(views[0].joined(views[1:])) if views else []
        return [f"{self.desired.name} cannot join the cluster now: {reason}" for reason in told]

    def as_seen(self, peer: Peer) -> View | None:
        """Another datacenter by the words of its nodes; None where its login is gone."""
        secret, name = peer_secret(peer, self.desired), peer.ledger.datacenter
        if secret is None:
            return None
        login = superuser.credentials(secret, peer.secret_name(self.desired), peer.kube)
        found = objects(peer.kube, self.desired.cluster, name)
        return view(peer.kube, found, self.desired.cluster, name, login)

    # Of the Kubernetes cluster

    def locked_out(self, ledger: Ledger | None) -> list[str]:
        """A Secret that is no login; or none, where a new password would fit no role: the datacenter runs."""
        name, path = self.desired.superuser_secret, f"{self.prefix}superuser_secret"
        secret = self.kube.get("Secret", name)
        if secret is not None:
            told = attempt(partial(superuser.credentials, secret, name))
            return [f"{path}: {told}"] if isinstance(told, CassopsError) else []
        if self.deploy.peers or ledger is None or ledger.phase == PHASE_NEW:
            return []
        return [
            f"{path}: Secret {name} is gone, and this datacenter has a superuser already; "
            "create it again with the username and password of that role"
        ]

    def unfit(self, found: Objects) -> list[str]:
        """Why this Kubernetes cluster cannot take the datacenter, or these credentials cannot deploy it."""
        facts, self.deploy.namespace_missing = offered(self.kube, self.deploy.params)
        self.ctx.warnings.extend(facts.unread)
        values = {key: self.deploy.params.get(key) for key in ("racks", "storage", "workers_on_demand")}
        racks = [r.name for r in self.desired.racks if found.get("StatefulSet", self.desired.rack_name(r))]
        self.ctx.warnings.extend(preflight.advice(values, facts, self.prefix, racks))
        reasons = preflight.errors(values, facts, self.prefix, racks)
        living = bool(found.all("StatefulSet"))
        reasons += preflight.capacity_errors(self.desired, facts.workers, self.prefix, living)
        missing = preflight.missing_rights(self.kube)
        if missing or self.deploy.namespace_missing or facts.namespace_exists is False:
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
                self.kube.apply(change.desired, dry_run=True)
            except Invalid as error:
                reasons.append(f"{self.prefix}{work}.schedule: {error}")
        return reasons


def ledger_gone(cluster: str, datacenter: str) -> str:
    """A new ledger is a new identity, with which no volume's mark agrees."""
    return (
        f"the ledger of datacenter {datacenter} (ConfigMap {ledger_name(cluster, datacenter)}) is gone, and its nodes "
        "or volumes are there: with a new one none of them would start again. Put it back from the copy that you keep, "
        "as docs/runbook.md shows, or from a backup of the namespace; where the data is not needed, destroy the "
        "datacenter first, with its volumes (-e destroy_volumes=true)"
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
