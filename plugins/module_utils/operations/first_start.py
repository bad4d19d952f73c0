# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first start of a datacenter, from pods that were only just made to nodes that serve.

All nodes start at once, with CQL closed. When they are a ring the superuser is made on the doorkeeper's loopback, the
ledger turns to C(running), and CQL opens; see docs/decisions/0003-doorkeeper.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from .. import cql, gates, nodetool
from ..errors import CassopsError
from ..ledger import PHASE_RUNNING, Ledger, LedgerNode
from ..observe import Credentials, ask, attempt, members_with_tokens
from ..scaling import system_replicas
from ..view import NodeView, View
from ..wording import agree, counted
from . import rollout_plan, superuser
from .deploy_plan import DeployPlan
from .deploying import Deploy, give_up
from .doors import Doors
from .patience import Patience
from .peers import serving_node
from .waiting import until

# Seconds between two looks at nodes that start: they need the processors more than we do.
JOIN_PAUSE = 1.5


class FirstStart:
    """One of them; each run goes on where it stands."""

    def __init__(self, deploy: Deploy, plan: DeployPlan, doors: Doors) -> None:
        self.deploy = deploy
        self.plan = plan
        self.doors = doors
        self.kube = deploy.kube
        self.ctx = deploy.ctx
        self.desired = deploy.desired
        self.doubt = superuser.Doubt()

    def start(self, ledger: Ledger) -> Ledger:
        """From started pods to a datacenter that serves; returns the ledger in phase C(running)."""
        wanted = self.deploy.credentials()
        seen = self.wait_for_ring(ledger, wanted)
        up = f"{counted(len(ledger.nodes), 'node')} {agree(ledger.nodes, 'is', 'are')} up"
        self.ctx.progress(f"{up}; making the superuser {wanted.username}", important=True)
        for peer in self.deploy.peers[:1]:
            # Before this datacenter can log anybody in, the cluster's roles must be replicated to it.
            superuser.replicate_at(peer.kube, serving_node(peer), wanted, self.replication())
        self.establish(ledger.first, wanted)
        self.deploy.note(f"create superuser {wanted.username}, close the default login")
        if ledger.hash_rounds and not self.plan.hash_rounds():
            self.ctx.warnings.append(
                f"the password in Secret {self.desired.superuser_secret} was put there after the first start had begun"
                f" and is hashed with 2^{ledger.hash_rounds} rounds of bcrypt, which suit random ones only: change it"
                " once more (ALTER ROLE, and the Secret)"
            )
        ledger = self.to_running(ledger, seen)
        self.doors.open(ledger, self.deploy.look())
        return ledger

    def establish(self, doorkeeper: str, wanted: Credentials) -> None:
        """Each step of it may be repeated. A node that has only just joined may take the replicas of the roles for down
        for some seconds more, though they see it up: it lets nobody in until its own gossip has heard of them."""

        def look() -> list[str]:
            try:
                superuser.establish(self.kube, doorkeeper, wanted, self.replication())
            except cql.LoginRefused as error:
                if cql.is_wrong(str(error)):
                    raise
                return [str(error)]
            return []

        until(look, f"{doorkeeper} to read the roles", self.deploy.limit, self.ctx.progress, JOIN_PAUSE)

    def wait_for_ring(self, ledger: Ledger, wanted: Credentials) -> View:
        """Until a node that can be asked sees every node up and NORMAL; its view."""
        # The volumes were only just made. Later one may wait for its worker, which comes back.
        patience = Patience(self.kube, elsewhere=True)
        latest: list[View] = []
        found = self.deploy.look()

        def look() -> list[str]:
            seen = self.deploy.snapshot(self.deploy.glance(found))
            give_up(patience, seen)
            started = sum(node.phase == "Running" and node.held is None for node in seen.nodes)
            if started < len(seen.nodes):
                return [f"{started} of {len(seen.nodes)} nodes started", *not_started(seen)]
            seen, reasons = self.witness(seen, ledger.first, wanted)
            latest[:] = [seen]
            return reasons or gates.up_in_every_view(seen) + gates.normal(seen)

        what = f"{counted(len(ledger.nodes), 'node')} to join the ring"
        until(look, what, self.deploy.limit, self.ctx.progress, JOIN_PAUSE)
        return latest[0]

    def witness(self, seen: View, doorkeeper: str, wanted: Credentials) -> tuple[View, list[str]]:
        """The view of a node that lets us in while CQL is closed here; while there is none, what is seen, and why.

        In a further datacenter of a cluster that is a node of the first; in a first one the doorkeeper, by the default
        login as long as the superuser does not stand. Its whole view, which may cost it a JVM, is asked for when it
        knows every node.
        """
        if self.deploy.peers:
            place, pod, logins = self.deploy.peers[0].kube, serving_node(self.deploy.peers[0]), [wanted]
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
        elif self.deploy.peers:
            if self.doubt.ends():
                who = f"{pod} of datacenter {self.deploy.peers[0].ledger.datacenter}"
                raise CassopsError(superuser.wrong_login(who, self.desired.superuser_secret))
        elif self.doubt.ends(lambda: self.is_whole(seen, pod)):
            raise CassopsError(superuser.both_refused(pod))

    def is_whole(self, seen: View, pod: str) -> bool:
        """Whether a node takes every node for up; asked without a login."""
        up = attempt(lambda: nodetool.status(self.kube, pod))
        return not isinstance(up, CassopsError) and all(up.get(node.address or "") for node in seen.nodes)

    def replication(self) -> dict[str, int]:
        """Datacenter -> replicas of Cassandra's own keyspaces: three, or as many as there are nodes."""
        counts = {peer.ledger.datacenter: len(peer.ledger.nodes) for peer in self.deploy.peers}
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
        found = self.deploy.look()
        ledger = rollout_plan.noted(replace(ledger, nodes=nodes, phase=PHASE_RUNNING), found)
        self.deploy.write_ledger(ledger, found)
        return ledger


def not_started(seen: View) -> list[str]:
    """The gate's reasons, without those of nodes that run and only take their time."""
    slow = {node.pod for node in seen.nodes if node.phase == "Running" and node.held is None}
    return [reason for reason in gates.running(seen) if reason.split()[0] not in slow]
