# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A living datacenter together with the others of its cluster: one lock for all, and one look at all of them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..learning import is_stricter, learned, tells, words
from ..ledger import PHASE_RUNNING, Ledger
from ..lock import Lock, Locked, each_once
from ..manifests import ledger_config_map, pod_disruption_budget
from ..observe import (
    Contents,
    Credentials,
    Objects,
    Reasons,
    ask,
    attempt,
    ledger_of,
    objects,
    revisions,
    together,
    view,
)
from ..observe_nodetool import ask_without_login
from ..options import DATACENTER, KUBERNETES
from ..view import View
from . import changes, superuser

# For how many seconds the words of nodes may open gates: gossip itself needs as long to tell of one that went down.
STILL_COUNTS = 3.0
PEER: Mapping[str, Any] = {
    **KUBERNETES,
    "datacenter": {"type": "str", "required": True},
    "superuser_secret": {"type": "str", "no_log": False},
}
CLUSTER: Mapping[str, Any] = {
    **KUBERNETES,
    **DATACENTER,
    "superuser_secret": {"type": "str", "no_log": False},
    "peers": {"type": "list", "elements": "dict", "default": [], "options": PEER},
}
"""Options of an operation that looks at a whole cluster."""


CASS_OPERATOR = "cassandra.datastax.com/datacenter"
"""Label of the pods that cass-operator runs."""


@dataclass(frozen=True)
class Place:
    """A datacenter: where it is, and the login for its nodes."""

    kube: Kube
    cluster: str
    datacenter: str
    credentials: Credentials
    reasons: Reasons = field(default_factory=Reasons)
    contents: Contents = field(default_factory=Contents)

    def objects(self) -> Objects:
        return objects(self.kube, self.cluster, self.datacenter, contents=self.contents)

    def view(self, found: Objects) -> View:
        """As Kubernetes has it."""
        return view(self.kube, found, self.cluster, self.datacenter, None, self.reasons)

    def ask(self, seen: View, also: Collection[str] | None, busy: bool, gossip: bool) -> View:
        """As its nodes see it; in their own word also where nobody can log in."""
        pods = [node.pod for node in seen.nodes] if also is None else also
        return ask_without_login(self.kube, ask(self.kube, seen, self.credentials, pods, busy, gossip))


@dataclass(frozen=True)
class Sight:
    """What one look saw. C(view) and C(others) have no observations where no node was asked.

    :ivar asked: when the nodes had answered (seconds, monotonic).
    """

    found: Objects
    view: View
    others: tuple[View, ...] = ()
    asked: float = float("-inf")

    @property
    def is_old(self) -> bool:
        """Whether the words of the nodes open no gate any more."""
        return time.monotonic() - self.asked > STILL_COUNTS


class Cluster:
    """The datacenter that a task is for, and its neighbours.

    :param stopped: the datacenter may be stopped; by default it must not be.
    :raises CassopsError: it does not run, a neighbour cannot be reached, or a Secret with the login is missing.
    """

    def __init__(self, params: Mapping[str, Any], ctx: Context, stopped: bool = False) -> None:
        self.name: str = params["cluster"]
        self._may_be_stopped = stopped
        self.kube = ctx.kube(params)
        self._ctx = ctx
        self.secret: str = params.get("superuser_secret") or f"{self.name}-superuser"
        self._locks: list[Lock] = []
        # What was learned under the lock.
        self._learned: View | None = None
        living = self._living(self.kube, params["datacenter"], self.secret)
        if living is None:
            raise CassopsError(
                f"namespace {self.kube.namespace} has no datacenter {params['datacenter']} of cluster {self.name} that "
                f"{deployed_otherwise(self.kube, params['datacenter']) or 'runs; deploy it first'}"
            )
        self.own = living
        self.peers = self._neighbours(params.get("peers") or ())

    def _living(self, kube: Kube, datacenter: str, name: str) -> Place | None:
        """The datacenter, None if it was never deployed or has not finished its first start.

        :param name: of its Secret with the login.
        """
        found = objects(kube, self.name, datacenter, kinds=("ConfigMap",))
        ledger = ledger_of(found, self.name, datacenter)
        if ledger is None or ledger.phase != PHASE_RUNNING:
            return None
        if ledger.stopped is not None and not self._may_be_stopped:
            way = "start it with the playbook start, or with deploy where it was destroyed"
            raise CassopsError(f"datacenter {datacenter} is stopped on purpose; {way}")
        secret = kube.get("Secret", name)
        if secret is None:
            raise CassopsError(
                f"Secret {name} in namespace {kube.namespace} with the superuser's username and password is "
                "gone; create it again"
            )
        return Place(kube, self.name, datacenter, superuser.credentials(secret, name, kube))

    def _neighbours(self, listed: Collection[Mapping[str, Any]]) -> list[Place]:
        found = [attempt(partial(self._neighbour, options)) for options in listed]
        failed = [
            f"datacenter {options['datacenter']} of the cluster cannot be looked at: {str(answer).rstrip('.')}. "
            "Without a look at it nothing is safe; leave it out of the peers only if it is gone for good."
            for options, answer in zip(listed, found, strict=True)
            if isinstance(answer, CassopsError)
        ]
        if failed:
            raise CassopsError(" ".join(failed))
        return [place for place in found if isinstance(place, Place)]

    def _neighbour(self, options: Mapping[str, Any]) -> Place | None:
        return self._living(self._ctx.kube(options), options["datacenter"], self.secret_of(options))

    def secret_of(self, options: Mapping[str, Any]) -> str:
        """The name of another datacenter's Secret with the login."""
        return str(options.get("superuser_secret") or self.secret)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One change at a time in the cluster, wherever its datacenters are."""
        with ExitStack() as stack:
            try:
                for kube in each_once(place.kube for place in (self.own, *self.peers)):
                    self._locks.append(stack.enter_context(Lock(kube, lock_name(self.name), self._ctx.holder)))
                yield
            finally:
                self._locks.clear()
                self._learned = None

    def check(self) -> None:
        """To be called before each change.

        :raises LockLost: somebody else has the lock.
        """
        for lock in self._locks:
            lock.check()

    def look(self, would: Sequence[Mapping[str, Any]] = ()) -> Sight:
        """The datacenter as Kubernetes has it; no node is asked. Ends the run if the lock was lost.

        :param would: objects that are taken for applied, see L(changes.foreseen).
        """
        self.check()
        found = self.own.objects()
        if would:
            found = changes.foreseen(found, would, revisions(self.kube, self.name, self.own.datacenter))
        return Sight(found, self.own.view(found))

    def ask(self, sight: Sight, also: Collection[str] | None = (), busy: bool = True, gossip: bool = False) -> Sight:
        """The same with every observer's view, and those of the other datacenters.

        Under the lock, what the tables ask for goes into the ledger: so no operation can forget it.

        :param also: pods to ask in any case, if they run; None is every node of every datacenter.
        :param busy: ask what the observers are busy with, too.
        :param gossip: ask who joins, moves, leaves or is removed also where that is dear; busy does so too.
        """

        def told(place: Place) -> View:
            seen = sight.view if place is self.own else place.view(place.objects())
            return place.ask(seen, also, busy, gossip)

        asked = together(told, (self.own, *self.peers))
        seen = replace(sight, view=asked[0], others=tuple(asked[1:]), asked=time.monotonic())
        if self._locks and not self._ctx.check_mode:
            self._learn(seen)
        return seen

    def learn(self, sight: Sight) -> None:
        """The same for an operation that looks and may not need the lock; whoever has it does it anyway.

        :param sight: with the words of the nodes, of just now: who waits for the lock must not wait for them again.
        """
        if self._locks or self._ctx.check_mode or not self._lacks(sight):
            return
        try:
            with self.locked():
                self._learn(sight)
        except Locked:
            return

    def _lacks(self, sight: Sight) -> bool:
        ledger = self.ledger(sight.found)
        return learned(ledger, sight.view) != ledger

    def _learn(self, sight: Sight) -> None:
        """No change of the operation's: the start script's knowledge is kept up, as its lock is."""
        if not tells(sight.view):
            return
        self._learned = sight.view
        if not self._lacks(sight):
            return
        # This run may have written since that look.
        before = self.ledger_at(self.own)
        after = learned(before, sight.view)
        self.write_ledger(before, after)
        if is_stricter(before, after):
            self._ctx.progress(words(after), important=True)

    def ask_all(self, sight: Sight, busy: bool = True) -> Sight:
        """L(ask) of every node, also in a large datacenter: where what a node says of itself counts."""
        return self.ask(sight, None, busy)

    def again(self, sight: Sight | None, everyone: bool = False) -> Sight:
        """A look at everything; what nodes have said a moment ago still counts, and what is older is asked anew.

        :param sight: with their words; None asks them.
        :param everyone: see L(ask_all).
        """
        now = self.look()
        if sight is None or sight.is_old or (everyone and unasked(sight.view)):
            return self.ask_all(now) if everyone else self.ask(now)
        told = sight.view
        view = replace(now.view, observations=told.observations, keyspaces=told.keyspaces, unheard=told.unheard)
        return replace(sight, found=now.found, view=view)

    def ledger(self, found: Objects) -> Ledger:
        """The datacenter's ledger.

        :raises CassopsError: somebody deleted it.
        """
        return _ledger(self.own, found)

    def write_ledger(self, before: Ledger, after: Ledger, place: Place | None = None) -> None:
        """Write it where it differs, under the lock. What was learned since it was read stays.

        :param place: whose it is; None is the datacenter that the task is for.
        """
        if after != before:
            self.check()
            if self._learned is not None and place in (None, self.own):
                after = learned(after, self._learned)
            (place or self.own).kube.apply(changes.with_hash(ledger_config_map(after)))

    def keep_budget(self) -> None:
        """The PodDisruptionBudget counts the nodes that the ledger knows."""
        found = objects(self.kube, self.name, self.own.datacenter, kinds=("ConfigMap", "PodDisruptionBudget"))
        budget = pod_disruption_budget(self.name, self.own.datacenter, len(self.ledger(found).nodes))
        wanted = changes.plan([budget], found)
        if wanted:
            self.check()
            changes.send(self.kube, wanted)

    def ledger_at(self, place: Place) -> Ledger:
        """The ledger of a datacenter of the cluster, as it is now. Raises as L(ledger) does."""
        return _ledger(place, objects(place.kube, self.name, place.datacenter, kinds=("ConfigMap",)))


def unasked(view: View) -> list[str]:
    """Nodes that run and were not asked: in a large datacenter a few of a rack are enough for most questions."""
    running = (node.pod for node in view.nodes if node.phase == "Running" and node.held is None)
    return [pod for pod in running if pod not in view.observations and pod not in view.unheard]


def _ledger(place: Place, found: Objects) -> Ledger:
    ledger = ledger_of(found, place.cluster, place.datacenter)
    if ledger is None:
        raise CassopsError(f"the ledger of datacenter {place.datacenter} is gone; put it back from a backup")
    return ledger


def deployed_otherwise(kube: Kube, datacenter: str) -> str:
    """What to say of a datacenter that cass-operator runs; empty where there is none."""
    pods = sorted(item["metadata"]["name"] for item in kube.list("Pod", {CASS_OPERATOR: datacenter}))
    if not pods:
        return ""
    return (
        f"this collection has deployed: pods such as {pods[0]} are labelled as those of cass-operator. Everything "
        "here, backups too, needs pods of its own deploy: restic runs in their container backup, beside Cassandra"
    )


def lock_name(cluster: str) -> str:
    """One change at a time in a cluster."""
    return f"{cluster}-lock"
