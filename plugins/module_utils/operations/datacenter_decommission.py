# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A datacenter leaves its cluster, which goes on in others; nothing that only it has is lost.

Each step looks first, so a run that was killed anywhere is finished by the next:

1. The ledger notes that it was begun, and when (L(decommissioning)).
2. Rows that only this datacenter may have are repaired to the others.
3. Keyspaces are altered so that they do not name it; C(system_auth) keeps one replica, see L(decommissioning).
4. Its nodes are nobody's seeds any more, and leave, one after the other (L(resizing), L(leaving)).
5. C(system_auth) is altered, by a node of another datacenter.
6. The ledger says C(left). From then on it is no part of the cluster, and nobody looks for its nodes.
7. What is left in Kubernetes goes (L(removing)); volumes and ledger only where that is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .. import confirmation, cql, decommissioning, gates, rebuilding, scaling
from ..context import Context, Failed
from ..decommissioning import BEGUN, DECOMMISSION, LEAVING, Note, Replications, Wish
from ..errors import CassopsError, SpecError
from ..kube import Kube
from ..ledger import PHASE_LEFT
from ..observe import attempt, ledger_of, logged_in, objects
from ..view import View
from . import backup_age, departed, superuser, unfinished
from .cluster import CLUSTER, Cluster, Place, Sight
from .removing import Removal
from .repairing import CLOCKS, Part, Repairing
from .resizing import LIMITS, Resizing
from .waiting import GATES_LIMIT, WAIT_LIMIT, until

REPAIR_LIMIT = "repair_timeout"
ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    **LIMITS,
    **backup_age.OPTION,
    "confirm": {"type": "str"},
    "unreplicate": {"type": "bool", "default": False},
    "repair": {"type": "bool", "default": True},
    "delete_volumes": {"type": "bool", "default": False},
    "ignore": {"type": "list", "elements": "str", "choices": [scaling.SPACE], "default": []},
    REPAIR_LIMIT: {"type": "int", "default": 86400},
    "option_prefix": {"type": "str", "default": ""},
}
PAUSE = 2.0
# Seconds; see L(Decommission.is_old).
PUT_OFF = 86400.0
UNREAD = "which keyspaces name the datacenter could not be read from any node; see that its logins work"


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(datacenter_decommission). See its documentation for parameters and results.

    :raises SpecError: it may not leave, with every reason.
    :raises Failed: it was begun and could not be finished; the next run goes on.
    """
    cluster, name, prefix = params["cluster"], params["datacenter"], params["option_prefix"]
    if not confirmation.names(params.get("confirm"), cluster, name):
        raise CassopsError(
            f"to take datacenter {name} out of cluster {cluster}, repeat its name: {prefix}confirm={name} "
            f"(got {params.get('confirm') or 'nothing'})"
        )
    kube = ctx.kube(params)
    if has_left(kube, cluster, name):
        return take_away(Removal(kube, params, ctx), ctx)
    decommission = Decommission(Cluster(params, ctx), params, ctx)
    decommission.refuse()
    if decommission.noted() is None:
        backup_age.warn(params, kube, decommission.sight.found, ctx)
    if ctx.check_mode:
        return decommission.predict()
    with decommission.cluster.locked():
        try:
            decommission.run()
        except CassopsError as error:
            raise Failed(str(error), decommission.result(), getattr(error, "errors", ())) from error
    return decommission.result()


def has_left(kube: Kube, cluster: str, datacenter: str) -> bool:
    """Whether it is no part of the cluster any more: the ledger says so, or nothing is there at all."""
    found = objects(kube, cluster, datacenter, kinds=("ConfigMap", "StatefulSet", "Pod"))
    if ledger_of(found, cluster, datacenter) is None:
        return not found.all("StatefulSet") and not found.all("Pod")
    return unfinished.has_left(found, cluster, datacenter)


def take_away(removal: Removal, ctx: Context) -> dict[str, Any]:
    """What a run that was killed has left of it, or what is asked for now."""
    if ctx.check_mode:
        removal.take_away()
    else:
        with removal.lock:
            removal.take_away()
    return {
        "changed": bool(removal.done),
        "changes": removal.done,
        "repaired": [],
        "altered": [],
        "moved": [],
        "left": [],
        "seconds": 0.0,
        **({"diff": diff({}, {})} if ctx.diff_mode else {}),
    }


class Decommission:
    """One run over one datacenter."""

    def __init__(self, cluster: Cluster, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.here = cluster.own.datacenter
        self.params = params
        self.ctx = ctx
        self.prefix: str = params["option_prefix"]
        self.began = time.monotonic()
        # Its volumes stay until all nodes have left, and go together.
        moving = {**params, "cleanup": False, "cleanup_jobs": 1, "delete_volumes": False}
        self.resizing = Resizing(cluster, {}, moving, ctx, ends=True)
        self.members = self.resizing.members
        self.removal = Removal(cluster.kube, params, ctx, cluster.check)
        self.repaired: list[str] = []
        self.altered: list[str] = []
        self.sight = self.look()
        # As they were, for the difference.
        known = decommissioning.placed(self.view, self.here)
        self.replications = {each.name: rebuilding.plainly(each) for each in known}
        self.nodes = self.leaving()

    # Looking

    def look(self) -> Sight:
        return self.cluster.ask_all(self.cluster.look())

    @property
    def view(self) -> View:
        """Of the whole cluster, as it was seen last."""
        return self.sight.view.joined(self.sight.others)

    def noted(self) -> Note | None:
        """:raises LedgerError: it cannot be read."""
        return decommissioning.note(departed.noted(self.cluster.own, self.sight.found, DECOMMISSION))

    def leaving(self) -> list[str]:
        """Nodes that have yet to leave, in this order."""
        steps = self.resizing.plan(self.sight)
        return [self.members.pod(step.rack, step.ordinal) for step in steps if step.kind == scaling.LEAVE]

    def names(self) -> set[str]:
        """The users' keyspaces that name it."""
        return {each.name for each in decommissioning.users(self.view, self.here)}

    def first(self) -> Replications:
        """What is altered before the nodes leave."""
        return decommissioning.before(self.view, self.here)

    # May it be?

    def refuse(self) -> None:
        """:raises SpecError: with every reason."""
        if not self.view.observations:
            raise CassopsError(f"no node could be asked: {'; '.join(gates.whole(self.view)) or 'none runs'}")
        if not self.view.keyspaces:
            raise CassopsError(UNREAD)
        mine = self.names()
        statements = [statement_of(name, options) for name, options in self.first().items() if name in mine]
        peers = {each.datacenter for each in self.cluster.peers}
        wish = Wish(self.here, self.params["unreplicate"], peers, self.prefix)
        reasons = decommissioning.refusals(self.view, wish, statements)
        if not rebuilding.elsewhere(self.view, self.here):
            # Of the whole cluster all else is refused too, in words that lead nowhere.
            raise SpecError(reasons)
        for each in (self.cluster.own, *self.cluster.peers):
            told = unfinished.operations(each.objects(), each.cluster, each.datacenter)
            reasons += [f"datacenter {each.datacenter}: {one['problem']}: {one['advice']}" for one in told]
        theirs = {each.datacenter: rebuilding.notes(noted_rebuilds(each)) for each in self.cluster.peers}
        reasons += decommissioning.by_rebuilds(self.here, theirs)
        reasons += decommissioning.locked_out(self.view, self.here, self.cluster.own.credentials.username)
        # What the nodes' leaving would be refused for, when nothing can be taken back any more.
        reasons += self.resizing.unlike(self.sight)
        scene = decommissioning.foreseen(self.resizing.scene(self.sight), self.first())
        steps, going = self.resizing.plan(self.sight), self.resizing.on_the_way(self.sight)
        reasons += scaling.refusals(scene, steps, {}, going)
        reasons += [
            f"{self.members.pod(step.rack, step.ordinal)} joins, or is to be withdrawn: run the playbook scale first"
            for step in steps
            if step.kind == scaling.WITHDRAW
        ]
        if self.noted() is None:
            reasons += scaling.before_leave(scene)
        if reasons:
            raise SpecError(reasons)

    # Doing it

    def run(self) -> None:
        self.sight = self.look()
        # Another run may have ended before the lock was taken.
        self.refuse()
        note = self.noted()
        if note is None or self.is_old(note):
            note = self.begin()
        if note.step == BEGUN or self.names():
            self.give_up_replicas(note)
        self.members.drop_seeds()
        self.resizing.run()
        self.give_up_logins()
        ledger = self.members.look()[1]
        self.cluster.write_ledger(ledger, replace(ledger, phase=PHASE_LEFT))
        self.members.say(f"datacenter {self.here} has left cluster {self.cluster.name}")
        self.removal.take_away()

    def is_old(self, note: Note) -> bool:
        """Whether what was repaired since it began may lack rows: somebody has put it off, and clients may have come
        back."""
        age = self.cluster.kube.server_time() - note.began
        return note.step == BEGUN and age > max(PUT_OFF, float(self.params[REPAIR_LIMIT]))

    def begin(self) -> Note:
        note = Note(int(self.cluster.kube.server_time()))
        self.members.note(DECOMMISSION, str(note))
        self.members.say(f"datacenter {self.here} is on its way out of cluster {self.cluster.name}")
        return note

    def give_up_replicas(self, note: Note) -> None:
        """Nothing that is read here is needed any more when it ends.

        Where nodes leave already, somebody has made another keyspace since; those that are on their way do not count.
        """
        done: set[str] = set()
        while True:
            for name in sorted(self.to_repair() - done):
                self.repair(name, note)
                done.add(name)
            # A repair that a killed run has left at work shuts them too; it was waited for where anything is repaired.
            self.open_gates("keyspaces are altered")
            # That may have taken days, and somebody has made a keyspace meanwhile.
            if self.to_repair() <= done:
                break
        self.refuse()
        place, pod = self.neighbour()
        with logged_in(place.kube, pod, place.credentials, superuser.LIMIT) as session:
            if note.step == BEGUN:
                # The one replica that they keep here shall have all of them, and so shall those of the others.
                superuser.synchronise(session)
            for name, options in self.first().items():
                self.alter(session, name, options)
        self.members.note(DECOMMISSION, str(replace(note, step=LEAVING)))

    def to_repair(self) -> set[str]:
        return self.names() if self.params["repair"] else set()

    def repair(self, keyspace: str, note: Note) -> None:
        """Every range that this datacenter has, with all replicas of it everywhere. One node compares also what its
        neighbours have, which is not repaired again then."""
        out = self.resizing.on_the_way(self.sight)
        pods = sorted(node.pod for node in self.sight.view.nodes if node.pod not in out)
        for number, pod in enumerate(pods, 1):
            # What is on record is read anew for each: the nodes before have done a part of it.
            repairing = Repairing(
                self.cluster,
                float(self.params[REPAIR_LIMIT]),
                f"{self.prefix}{REPAIR_LIMIT}",
                self.ctx,
                # The repairs at work were over when it was begun; what is left of this is the clocks' difference.
                note.began - CLOCKS,
            )
            words = f"rows that only {self.here} may have: keyspace {keyspace}, {pod} ({number} of {len(pods)})"
            repairing.run(Part(pod, keyspace), self.members.short(words))
        if pods:
            self.repaired.append(keyspace)
            self.members.say(f"keyspace {keyspace} is repaired")

    def give_up_logins(self) -> None:
        """When no member is left. Cassandra says so itself, but not in 4.0; and a node may hear of the last one late.

        :raises CassopsError: it stays refused.
        """

        def look() -> list[str]:
            self.sight = self.cluster.ask(self.cluster.look(), busy=False)
            members = sorted(
                gates.named(self.view, address)
                for address, item in self.view.endpoints().items()
                if item.datacenter == self.here and item.tokens
            )
            if not self.view.keyspaces:
                return [UNREAD]
            changes = decommissioning.after(self.view, self.here)
            if members or not changes:
                return [f"{name} is a member still" for name in members]
            place, pod = self.neighbour()

            def alter() -> None:
                with logged_in(place.kube, pod, place.credentials, superuser.LIMIT) as session:
                    for name, options in changes.items():
                        self.alter(session, name, options)

            answer = attempt(alter)
            return [str(answer)] if isinstance(answer, CassopsError) else []

        what = f"system_auth to be altered, so that it does not name {self.here}"
        limit = float(self.params[WAIT_LIMIT])
        until(look, what, limit, self.progress, PAUSE, option=WAIT_LIMIT)

    def alter(self, session: cql.Session, name: str, options: Mapping[str, str]) -> None:
        statement = statement_of(name, options)
        self.cluster.check()
        self.ctx.progress(statement, important=True)
        session.execute(statement, timeout=superuser.LIMIT)
        self.altered.append(statement)
        self.members.done.append(statement)

    def neighbour(self) -> tuple[Place, str]:
        """A node of another datacenter: this one's have given up their logins, or will.

        :raises CassopsError: none answers.
        """
        for place, view in zip(self.cluster.peers, self.sight.others, strict=True):
            if view.observations:
                return place, min(view.observations)
        raise CassopsError("no node of another datacenter could be asked; see the playbook status for them")

    def open_gates(self, what: str) -> None:
        """:raises CassopsError: somebody is not well and stays so."""

        def look() -> list[str]:
            self.sight = self.look()
            return scaling.before_leave(self.resizing.scene(self.sight), self.resizing.on_the_way(self.sight))

        limit = float(self.params[GATES_LIMIT])
        until(look, f"the gates before {what} to open", limit, self.progress, PAUSE, option=GATES_LIMIT)

    # For people

    def progress(self, text: str) -> None:
        self.ctx.progress(self.members.short(text))

    def result(self) -> dict[str, Any]:
        """What was done; nothing is looked at, so it can be told when nothing answers."""
        moved = self.resizing.moved
        gone = [each["node"] for each in moved]
        done = [*self.members.done, *self.removal.done]
        return {
            "changed": bool(done),
            "changes": done,
            "repaired": self.repaired,
            "altered": self.altered,
            "moved": moved,
            "left": [pod for pod in self.nodes if pod not in gone],
            "seconds": round(time.monotonic() - self.began, 1),
            **self.told_diff(),
        }

    def predict(self) -> dict[str, Any]:
        """What would be done; nothing is written."""
        mine = sorted(self.names())
        last = decommissioning.after(self.view, self.here)
        both = [*self.first().items(), *((name, last[name]) for name in last if name == decommissioning.LOGINS)]
        self.altered = [statement_of(name, options) for name, options in both]
        self.repaired = mine if self.params["repair"] else []
        self.removal.take_away()
        leaves = [f"{self.members.short(pod)} leaves" for pod in self.nodes]
        told = self.result()
        return {**told, "changed": True, "changes": [*self.altered, *leaves, *self.removal.done]}

    def told_diff(self) -> dict[str, Any]:
        """Keyspaces before and after, as far as it is or would be so."""
        if not self.ctx.diff_mode:
            return {}
        olds = {name: statement_of(name, options) for name, options in self.replications.items()}
        new = {text.split()[2].strip('"'): text for text in self.altered}
        return {"diff": diff({name: olds[name] for name in olds if name in new}, new)}


def diff(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Statements by keyspace."""
    before, after = ("".join(f"{text};\n" for _name, text in sorted(each.items())) for each in (old, new))
    return {"before_header": "schema", "after_header": "schema", "before": before, "after": after}


def statement_of(keyspace: str, replication: Mapping[str, str]) -> str:
    return superuser.replication_statement(cql.identifier(keyspace), replication)


def noted_rebuilds(place: Place) -> str:
    """What the ledger of a datacenter has noted of rebuilds."""
    return departed.noted(place, place.objects(), rebuilding.REBUILT)
