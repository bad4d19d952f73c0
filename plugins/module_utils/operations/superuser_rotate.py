# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The superuser's password, changed in Cassandra and in the Secret without a moment in which nobody gets in.

The new one stands in the Secret, beside the one in force, before Cassandra is told of it; and whoever logs in tries
both (L(observe.logged_in)). So a run that was killed anywhere locks nobody out, and the next one finishes it.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from .. import gates, report
from ..backups import moment
from ..context import Context, Failed
from ..errors import CassopsError
from ..events import seconds_of
from ..kube import Kube
from ..kubeapi import Conflict
from ..observe import LABEL_CLUSTER, NEXT_PASSWORD, Credentials, attempt, lets_in, logged_in, together, value_of
from . import superuser
from .cluster import CLUSTER, Cluster, Place, Sight
from .waiting import GATES_LIMIT, WAIT_LIMIT, until

ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    "max_age": {"type": "int", "default": 0},
    GATES_LIMIT: {"type": "int", "default": 120},
    WAIT_LIMIT: {"type": "int", "default": 300},
}
ROTATED = "cassops.kubernetes/rotated"
"""Annotation of the Secret: when its password came into force."""
DAY = 86400
PAUSE = 1.0

# The Secret as it was read, and from where.
Copy = tuple[Kube, Mapping[str, Any]]
Node = tuple[Place, str]


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(superuser_rotate). See its documentation for parameters and results.

    :raises Failed: the gates stay closed, or something fails on the way.
    """
    cluster = Cluster(params, ctx)
    rotation = Rotation(cluster, params, ctx)
    try:
        if ctx.check_mode:
            rotation.run()
        else:
            with cluster.locked():
                rotation.run()
    except CassopsError as error:
        raise Failed(str(error), rotation.result()) from error
    return rotation.result()


class Rotation:
    """One run. In check mode it looks, and writes nothing."""

    def __init__(self, cluster: Cluster, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.params = params
        self.ctx = ctx
        self.username = cluster.own.credentials.username
        self.done: list[str] = []
        self.proved: list[str] = []

    def run(self) -> None:
        copies = self.copies()
        self.refuse_another_clusters(copies)
        wanted = self.given(copies)
        oldest = max(map(self.age, copies))
        if not wanted and oldest < DAY * int(self.params["max_age"]):
            told = f"the password of {self.username} came into force {report.age(oldest)} ago"
            self.ctx.progress(f"{told}: due after {self.params['max_age']} days", important=True)
            return
        if not wanted:
            self.refuse_to_draw(copies)
        nodes = self.nodes()
        wanted = wanted or superuser.random_password()
        old = {value_of(secret, "password") for dummy, secret in copies} - {wanted}
        copies = [self.announce(copy, wanted) for copy in copies]
        if not self.ctx.check_mode:
            time.sleep(PAUSE)
            copies = [self.still_announced(copy, wanted) for copy in copies]
        self.alter(nodes, wanted)
        if not self.ctx.check_mode:
            self.prove(nodes, wanted, old)
        for copy in copies:
            self.put_in_force(copy, wanted)

    def result(self) -> dict[str, Any]:
        return {"changed": bool(self.done), "changes": self.done, "nodes": self.proved}

    # Looking.

    def copies(self) -> list[Copy]:
        """The Secret, and those of other datacenters with the same role; also where one has not finished its start."""
        places = {where(self.cluster.kube, self.cluster.secret): self.cluster.kube}
        for options in self.params["peers"]:
            kube = self.ctx.kube(options)
            places.setdefault(where(kube, self.cluster.secret_of(options)), kube)
        found = [(kube, kube.get("Secret", name) or {}) for (*_place, name), kube in places.items()]
        return [(kube, secret) for kube, secret in found if value_of(secret, "username") == self.username]

    def given(self, copies: Sequence[Copy]) -> str:
        """The password that somebody, or a run that was killed, has put beside the one in force; empty is none.

        :raises CassopsError: they are several.
        """
        found = {told: called(copy) for copy in copies if (told := value_of(copy[1], NEXT_PASSWORD))}
        spaced = [place for told, place in found.items() if told != told.strip()]
        if spaced:
            raise CassopsError(
                f"the key {NEXT_PASSWORD} of {spaced[0]} begins or ends with white space, which would be part of the "
                "password: write it again without (printf %s, not echo)"
            )
        if len(found) > 1:
            raise CassopsError(
                f"the key {NEXT_PASSWORD} is not the same in {' and '.join(sorted(found.values()))}: take away the one "
                "that is not to be"
            )
        return next(iter(found), "")

    def refuse_another_clusters(self, copies: Sequence[Copy]) -> None:
        """:raises CassopsError: the Secret is another cluster's too, which nobody would tell of the new password."""
        for copy in copies:
            name = (copy[1]["metadata"].get("labels") or {}).get(LABEL_CLUSTER)
            if name not in (None, self.cluster.name):
                raise CassopsError(
                    f"{called(copy)} was made for the cluster {name}, whose superuser would be locked out: give each "
                    "cluster a Secret of its own (cassandra_superuser_secret)"
                )

    def refuse_to_draw(self, copies: Sequence[Copy]) -> None:
        """:raises CassopsError: something writes the Secret, and would write over a password that we have drawn."""
        owned = [copy for copy in copies if copy[1]["metadata"].get("ownerReferences")]
        if owned:
            raise CassopsError(
                f"something else writes {called(owned[0])} (it has an owner), and would take a new password out of it "
                f"again: put {NEXT_PASSWORD} where it comes from, wait until it is in the Secret, and run it again"
            )

    def age(self, copy: Copy) -> float:
        """For how many seconds its password is in force."""
        kube, secret = copy
        metadata = secret["metadata"]
        since = (metadata.get("annotations") or {}).get(ROTATED) or metadata["creationTimestamp"]
        return max(0.0, kube.server_time() - seconds_of(since))

    def nodes(self) -> list[Node]:
        """Every node of every datacenter, as soon as the gates are open."""
        latest: list[Sight] = []

        def look() -> list[str]:
            latest[:] = [self.cluster.ask_all(self.cluster.look(), busy=False)]
            return closed(latest[0])

        limit = float(self.params[GATES_LIMIT])
        what = "the gates before the password changes to open"
        until(look, what, limit, self.ctx.progress, PAUSE, option=GATES_LIMIT)
        views = (latest[0].view, *latest[0].others)
        places = (self.cluster.own, *self.cluster.peers)
        return [(place, node.pod) for place, view in zip(places, views, strict=True) for node in view.nodes]

    def takes(self, password: str, node: Node) -> bool:
        """:raises CqlError: it cannot be asked."""
        place, pod = node
        return lets_in(place.kube, pod, Credentials(self.username, password), superuser.LIMIT)

    # Changing.

    def announce(self, copy: Copy, wanted: str) -> Copy:
        if value_of(copy[1], NEXT_PASSWORD) == wanted:
            return copy
        what = f"write {NEXT_PASSWORD} into {called(copy)}"
        return self.write(what, copy, {"data": {NEXT_PASSWORD: encoded(wanted)}})

    def still_announced(self, copy: Copy, wanted: str) -> Copy:
        """The Secret as it is after a moment, in which whoever else writes it has taken note of the change.

        :raises CassopsError: it has the password no more, so that nobody would know it.
        """
        kube = copy[0]
        secret = kube.get("Secret", named(copy)) or {}
        if value_of(secret, NEXT_PASSWORD) != wanted:
            raise CassopsError(
                f"something else writes {called(copy)}: {NEXT_PASSWORD} is gone, or another one. Cassandra was "
                f"not told of it. Put {NEXT_PASSWORD} where the Secret comes from, and run it again when it is there"
            )
        return kube, secret

    def alter(self, nodes: Sequence[Node], wanted: str) -> None:
        """Tell Cassandra, unless a run that was killed has: 5.0 refuses to change a role twice within seconds."""
        has_it = any(told is True for told in together(lambda node: attempt(partial(self.takes, wanted, node)), nodes))
        place, pod = nodes[0]
        with logged_in(place.kube, pod, place.credentials, superuser.LIMIT) as session:
            if not has_it:
                self.note(f"change the password of the role {self.username}")
            if self.ctx.check_mode:
                return
            if not has_it:
                self.cluster.check()
                session.execute(superuser.password_statement(self.username, wanted), timeout=superuser.LIMIT)
            superuser.synchronise(session, "roles")

    def prove(self, nodes: Sequence[Node], wanted: str, old: Collection[str]) -> None:
        """Wait until every node has heard of it."""
        left = list(nodes)

        def look() -> list[str]:
            self.cluster.check()
            told = together(partial(self.doubt, wanted, old), left)
            left[:] = [node for node, why in zip(left, told, strict=True) if why]
            return [why for why in told if why]

        limit = float(self.params[WAIT_LIMIT])
        until(look, "every node to take the new password only", limit, self.ctx.progress, PAUSE, option=WAIT_LIMIT)
        self.proved += [pod for dummy, pod in nodes]

    def doubt(self, wanted: str, old: Collection[str], node: Node) -> str:
        """Why the node does not take the new password alone; empty where it does."""
        pod = node[1]
        told = attempt(lambda: (self.takes(wanted, node), any(self.takes(password, node) for password in old)))
        if isinstance(told, CassopsError):
            return str(told)
        if told == (True, False):
            return ""
        which = "still takes the old one" if told[1] else "does not take it yet"
        return f"{pod} {which}: it remembers logins for credentials_validity, by default two seconds"

    def put_in_force(self, copy: Copy, wanted: str) -> None:
        kube = copy[0]
        patch = {
            "metadata": {"annotations": {ROTATED: moment(kube.server_time())}},
            "data": {"password": encoded(wanted), NEXT_PASSWORD: None},
        }
        try:
            self.write(f"move {NEXT_PASSWORD} to password in {called(copy)}", copy, patch)
        except Conflict:
            self.keep(copy, wanted)
            raise

    def keep(self, copy: Copy, wanted: str) -> None:
        """Somebody has written the Secret meanwhile. It must have the password that is in force, or it is lost."""
        kube, name = copy[0], named(copy)
        secret = kube.get("Secret", name) or {}
        if wanted not in (value_of(secret, "password"), value_of(secret, NEXT_PASSWORD)):
            kube.patch("Secret", name, {"data": {NEXT_PASSWORD: encoded(wanted)}})

    def write(self, what: str, copy: Copy, patch: Mapping[str, Any]) -> Copy:
        """A patch of the Secret, if nobody has changed it since it was read."""
        kube, secret = copy
        if not self.ctx.check_mode:
            self.cluster.check()
            metadata = {**patch.get("metadata", {}), "resourceVersion": secret["metadata"]["resourceVersion"]}
            copy = kube, patched(kube, named(copy), {**patch, "metadata": metadata})
        self.note(what)
        return copy

    def note(self, done: str) -> None:
        self.done.append(done)
        self.ctx.progress(done, important=True)


def patched(kube: Kube, name: str, patch: Mapping[str, Any]) -> Mapping[str, Any]:
    """The Secret as it is after the patch.

    An API server that stored it and was gone before its answer is asked once more, and then refuses what it has.

    :raises Conflict: somebody else has changed it.
    """
    try:
        return kube.patch("Secret", name, patch)
    except Conflict:
        secret = kube.get("Secret", name)
        data = (secret or {}).get("data") or {}
        if secret is None or any(data.get(key) != value for key, value in patch["data"].items()):
            raise
        return secret


def where(kube: Kube, name: str) -> tuple[str, str, str]:
    """Datacenters of one namespace may share a Secret, or have one each."""
    return kube.server.host, kube.namespace, name


def named(copy: Copy) -> str:
    return str(copy[1]["metadata"]["name"])


def called(copy: Copy) -> str:
    return f"Secret {named(copy)} in namespace {copy[0].namespace}"


def closed(sight: Sight) -> list[str]:
    """Why the password cannot be changed now: every node has to take it, and every datacenter's Secret to get it."""
    seen = sight.view.joined(sight.others)
    known = {node.address for node in seen.nodes}
    return gates.whole(seen) + [
        f"{address} of datacenter {member.datacenter} is a member of the ring and none of the nodes of this datacenter "
        "and its peers, so it would not be asked, and nobody there would get the new password"
        for address, member in sorted(seen.endpoints().items())
        if address not in known
    ]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
