# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be altered before and after the nodes of a datacenter leave its cluster, and why they may not. Pure.

Cassandra takes no datacenter out of C(system_auth) that has members (C(NetworkTopologyStrategy.
validateExpectedOptions), 4.1 on). So that keyspace goes last; before, it keeps one replica in the datacenter, since
logins of the default superuser are read at QUORUM, which counts replicas of nodes that have left.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import rebuilding
from .errors import LedgerError
from .gates import keyspaces_named
from .scaling import SYSTEM_KEYSPACES, Scene
from .view import Keyspace, View
from .wording import agree

DEFAULT_SUPERUSER = "cassandra"
"""Cassandra's own, which may be the one that is used."""

# Annotation of the ledger's ConfigMap, see L(Note).
DECOMMISSION = "cassops.kubernetes/decommission"
BEGUN = "begun"
"""Keyspaces have their replicas here still, or some of them."""
LEAVING = "leaving"
"""No keyspace of the users has any, and the nodes leave."""
LOGINS = "system_auth"

Replications = Mapping[str, Mapping[str, str]]
"""By keyspace."""


@dataclass(frozen=True)
class Note:
    """What the ledger remembers of a datacenter that is on its way out.

    :ivar began: seconds since 1970. Repairs from then on count.
    :ivar step: C(BEGUN) or C(LEAVING).
    """

    began: int
    step: str = BEGUN

    def __str__(self) -> str:
        return f"{self.began} {self.step}"


def note(text: str | None) -> Note | None:
    """What is noted; None where nothing is.

    :raises LedgerError: somebody else has written it.
    """
    if not text:
        return None
    match = re.fullmatch(rf"(\d+) ({BEGUN}|{LEAVING})", text)
    if match is None:
        raise LedgerError(f"annotation {DECOMMISSION} of the ledger's ConfigMap cannot be read: {text!r}")
    return Note(int(match[1]), match[2])


@dataclass(frozen=True)
class Wish:
    """What a person has said.

    :ivar here: the datacenter that leaves.
    :ivar unreplicate: the users' keyspaces may be altered.
    :ivar peers: the other datacenters that the run can look at.
    :ivar prefix: of the options' names in messages.
    """

    here: str
    unreplicate: bool
    peers: Collection[str]
    prefix: str = ""


# --- replications -----------------------------------------------------------------------------------------------------


def placed(view: View, here: str) -> list[Keyspace]:
    """The keyspaces that name the datacenter."""
    return [each for each in sorted(view.keyspaces, key=lambda each: each.name) if here in rebuilding.factors(each)]


def users(view: View, here: str) -> list[Keyspace]:
    """Those of them that are not Cassandra's own."""
    return [each for each in placed(view, here) if each.name not in SYSTEM_KEYSPACES]


def without(keyspace: Keyspace, here: str) -> dict[str, str]:
    """Its replication as it is to be."""
    return {name: value for name, value in rebuilding.plainly(keyspace).items() if name != here}


def before(view: View, here: str) -> dict[str, dict[str, str]]:
    """What is altered before the nodes leave, the users' keyspaces first: the record of repairs stands in one of
    Cassandra's own."""
    own = [each for each in placed(view, here) if each.name in SYSTEM_KEYSPACES]
    first = {each.name: without(each, here) for each in (*users(view, here), *own) if each.name != LOGINS}
    many = [each for each in own if each.name == LOGINS and rebuilding.factors(each)[here] > 1]
    return {**first, **{each.name: {**rebuilding.plainly(each), here: "1"} for each in many}}


def after(view: View, here: str) -> dict[str, dict[str, str]]:
    """What is altered when no member is left: C(system_auth), and what somebody has given back to Cassandra's own."""
    return {each.name: without(each, here) for each in placed(view, here) if each.name in SYSTEM_KEYSPACES}


def foreseen(scene: Scene, changes: Replications) -> Scene:
    """The cluster as if these were altered."""

    def altered(view: View) -> View:
        keyspaces = (replace(each, replication=changes.get(each.name, each.replication)) for each in view.keyspaces)
        return replace(view, keyspaces=tuple(keyspaces))

    return replace(scene, view=altered(scene.view), others=tuple(map(altered, scene.others)))


# --- why not ----------------------------------------------------------------------------------------------------------


def refusals(view: View, wish: Wish, statements: Sequence[str]) -> list[str]:
    """Everything in the ring that is in the way.

    :param view: of the whole cluster.
    :param statements: that take the users' keyspaces away from the datacenter.
    """
    others = rebuilding.elsewhere(view, wish.here)
    if not others:
        return [
            f"datacenter {wish.here} is the only one of its cluster that has nodes: nobody would have its rows. The "
            "playbook destroy takes a whole cluster away"
        ]
    reasons = [
        f"datacenter {name} of the ring is none of the peers, so nobody can look at its nodes: give it in "
        f"{wish.prefix}peers, or put it into the inventory"
        for name in others
        if name not in wish.peers
    ]
    alone = [each.name for each in placed(view, wish.here) if not has_others(each, wish.here, others)]
    if alone:
        reasons.append(
            f"{keyspaces_named(alone)}: all replicas are in datacenter {wish.here}, so the rows would be lost. Give it "
            "replicas in another one first (playbook rebuild, with rebuild_replication), or drop it"
        )
    if statements and not wish.unreplicate:
        names = [each.name for each in users(view, wish.here)]
        reasons.append(
            f"{keyspaces_named(names)}: replicas in datacenter {wish.here}. Say {wish.prefix}unreplicate=true, which "
            f"has {agree(names, 'it', 'them')} repaired and altered; or repair first and alter by yourself: "
            f"{'; '.join(statements)}"
        )
    return reasons


def locked_out(view: View, here: str, username: str) -> list[str]:
    """Whether nobody could log in any more when all nodes have left.

    The role C(cassandra) is read at QUORUM (C(CassandraRoleManager.consistencyForRoleRead)), which counts the one
    replica that C(system_auth) keeps here until then.
    """
    replicas = next((rebuilding.factors(each) for each in view.keyspaces if each.name == LOGINS), {})
    if username != DEFAULT_SUPERUSER or here not in replicas or sum(replicas.values()) - replicas[here] > 1:
        return []
    return [
        f"the superuser is called {DEFAULT_SUPERUSER}, whose login needs a quorum of the replicas of {LOGINS}, and "
        f"with those of {here} all but one would be gone. Have the Secret name another superuser first"
    ]


def has_others(keyspace: Keyspace, here: str, others: Iterable[str]) -> bool:
    """Whether another datacenter that has nodes has replicas of a keyspace."""
    return bool(set(rebuilding.factors(keyspace)) & set(others) - {here})


def by_rebuilds(here: str, theirs: Mapping[str, rebuilding.Notes]) -> list[str]:
    """Datacenters that have yet to get rows from this one.

    :param theirs: what is noted of rebuilds, by datacenter.
    """
    reasons = []
    for name, noted in sorted(theirs.items()):
        halves = [each for each in rebuilding.unfinished(noted) if noted[each].source == here]
        if halves:
            reasons.append(
                f"{keyspaces_named(halves)}: not all nodes of datacenter {name} have been given the rows yet, which "
                f"come from {here}. Run the playbook rebuild for {name} first, which finishes it"
            )
    return reasons
