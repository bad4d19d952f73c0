# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all parts of a deploy share: what is wanted, how it looks at what is there, and what it has done so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .. import configuration, gates, rollout, spec
from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..ledger import PHASE_NEW, PHASE_RUNNING, Ledger
from ..lock import Lock
from ..manifests import ledger_config_map
from ..observe import (
    ALL_KINDS,
    Contents,
    Credentials,
    Objects,
    Reasons,
    attempt,
    clock,
    ledger_of,
    node_views,
    objects,
    together,
    view,
)
from ..view import NodeView, View
from . import changes, superuser
from .members import own_seeds
from .patience import Patience
from .peers import Peer, living_peer

HELD = "the playbook heal decides what is safe (--check shows what it would do); then run this one again."
# All nodes start at once, and hardly ever is one held: seconds until one is asked for that again.
HELD_AGAIN = 15.0
# What changes while nodes start; the other kinds change by our own hand only.
MOVING = ("Pod", "StatefulSet")


@dataclass
class Deploy:
    """One run towards C(state=present): which datacenter, where, beside which others, and what was done by now.

    :param desired: the datacenter as the inventory has it.
    :ivar peers: the other datacenters of the cluster that already run; see L(meet).
    :ivar unreached: one of them did not answer: its seeds stay as they are in the ledger.
    :ivar namespace_missing: this run makes the namespace.
    :ivar locks: of which none may be lost.
    :ivar done: what was changed, in words.
    :ivar diffs: the same as Ansible shows it.
    """

    kube: Kube
    params: Mapping[str, Any]
    ctx: Context
    desired: spec.Datacenter
    peers: list[Peer] = field(default_factory=list)
    unreached: bool = False
    namespace_missing: bool = False
    locks: list[Lock] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    diffs: list[dict[str, str]] = field(default_factory=list)
    reasons: Reasons = field(default_factory=lambda: Reasons(HELD_AGAIN))
    contents: Contents = field(default_factory=Contents)

    @property
    def prefix(self) -> str:
        """Put before the names of options in messages: people set them as variables."""
        return self.params.get("variable_prefix") or ""

    @property
    def limit(self) -> float:
        """Seconds, of each wait for nodes."""
        return float(self.params["wait_timeout"])

    @property
    def lost(self) -> rollout.Settings:
        """Which racks or nodes are lost, as the person says."""
        return rollout.Settings(
            without=tuple(name.strip() for name in self.params.get("without") or () if name.strip())
        )

    # What is there

    def check(self) -> None:
        """Raise where one of the locks is lost."""
        for lock in self.locks:
            lock.check()

    def look(self) -> Objects:
        """The objects as they are; every step begins with a look, and ends the run if the lock was lost meanwhile."""
        self.check()
        return objects(self.kube, self.desired.cluster, self.desired.name, ALL_KINDS, self.contents)

    def again(self, found: Objects) -> Objects:
        """L(look), but where this run has changed nothing: what it found under its lock still holds."""
        return self.look() if self.done else found

    def glance(self, found: Objects) -> Objects:
        """L(look) in the middle of a wait: what moves by itself is as it is now, the rest as it was found."""
        self.check()
        moving = objects(self.kube, self.desired.cluster, self.desired.name, MOVING, self.contents)
        return Objects({**found.by_kind, **moving.by_kind})

    def nodes(self, found: Objects) -> tuple[NodeView, ...]:
        return node_views(found, self.ledger(found), clock(self.kube))

    def ledger(self, found: Objects) -> Ledger | None:
        return ledger_of(found, self.desired.cluster, self.desired.name)

    def snapshot(self, found: Objects) -> View:
        """The datacenter as Kubernetes has it."""
        return view(self.kube, found, self.desired.cluster, self.desired.name, None, self.reasons)

    def not_waited_for(self, seen: View) -> set[str]:
        """Nodes that are lost, as the person says. One that is well counts like the others."""
        named = rollout.lost(seen, self.lost)
        return {node.pod for node in seen.nodes if node.pod in named and not rollout.is_well(node)}

    def meet(self, found: Objects) -> None:
        """Ask the other datacenters of the cluster whether they already run.

        One that does not answer is in the way of a first start, which would make a second ring; later it is told.
        """
        ledger = self.ledger(found)
        for options in self.params.get("peers") or ():
            told = attempt(partial(self.peer, options))
            if isinstance(told, Peer):
                self.peers.append(told)
            elif told is not None and (ledger is None or ledger.phase == PHASE_NEW):
                raise told
            elif told is not None:
                self.ctx.warnings.append(f"datacenter {options['datacenter']} was not asked for its seeds: {told}")
                self.unreached = True
        if self.params.get("peers") and not self.peers and ledger is None:
            names = ", ".join(options["datacenter"] for options in self.params["peers"])
            self.ctx.progress(
                f"no other datacenter of the cluster is there ({names}): {self.desired.name} begins the ring",
                important=True,
            )

    def peer(self, options: Mapping[str, Any]) -> Peer | None:
        """Another datacenter, None while it does not run."""
        secret = options.get("superuser_secret") or ""
        return living_peer(self.ctx.kube(options), self.desired.cluster, options["datacenter"], secret)

    def unintroduced(self, ledger: Ledger) -> list[Peer]:
        """The peers, as they are now, whose ledger lacks seeds of this datacenter."""
        peers = together(lambda peer: living_peer(peer.kube, self.desired.cluster, peer.ledger.datacenter), self.peers)
        return [peer for peer in peers if peer and not {*own_seeds(ledger)} <= {*peer.ledger.seeds}]

    def credentials(self) -> Credentials:
        name = self.desired.superuser_secret
        secret = self.kube.get("Secret", name)
        if secret is None:
            raise CassopsError(f"Secret {name} with the superuser's username and password is gone; create it again")
        return superuser.credentials(secret, name, self.kube)

    # What is done

    def record(self, planned: Sequence[changes.Change], found: Objects) -> None:
        self.done += [str(change) for change in planned]
        for change in planned:
            self.ctx.progress(str(change), important=True)
        if self.ctx.diff_mode:
            self.diffs += changes.diff(planned, lambda: current_configuration(found))

    def note(self, done: str) -> None:
        self.done.append(done)
        self.ctx.progress(done, important=True)

    def write_ledger(self, ledger: Ledger, found: Objects) -> None:
        """Apply the ledger where it differs. Its diff is left out: it is bookkeeping, not configuration."""
        item = ledger_config_map(ledger)
        planned = changes.plan([item], found)
        if planned:
            changes.send(self.kube, planned)
            self.done += [str(change) for change in planned]


def give_up(patience: Patience, seen: View) -> None:
    """End a wait that cannot succeed: no image, a node that is held, a container that crashes again and again."""
    lost = patience.lost(seen.nodes)
    if lost:
        # Before it has served heal knows of no datacenter.
        heals = gates.held(seen) and seen.phase == PHASE_RUNNING
        way = HELD if heals else "correct the cause and run deploy again."
        raise CassopsError(f"{'; '.join(lost)}. Waiting does not help: {way}")


def current_configuration(found: Objects) -> Mapping[str, Any] | None:
    """The configuration that the StatefulSets refer to today."""
    for item in found.all("StatefulSet").values():
        for volume in item["spec"]["template"]["spec"].get("volumes", ()):
            config_map = found.get("ConfigMap", volume.get("configMap", {}).get("name", ""))
            if config_map is not None and configuration.is_one(config_map):
                return config_map
    return None
