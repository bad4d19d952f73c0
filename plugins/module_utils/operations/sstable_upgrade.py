# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SSTables of older formats, rewritten in the one that the nodes write now: C(nodetool upgradesstables), node by node.

Nothing has to be remembered: the verb rewrites only what is of an older format, so the next run goes on with
one that was killed.

A node goes on rewriting when its nodetool is gone: with a run that was killed, or a connection that a load balancer
cut. It is waited for, and then the verb tells what is left. Begun sooner, the verb would throw away what is half done.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .. import cql, gates, nodetool
from ..activity import ASK_LIMIT
from ..context import Context, Failed
from ..errors import CassopsError
from ..kube import ExecTimeout, Unreachable, WorkerUnreachable
from ..observe import attempt, together
from ..view import View
from .cluster import CLUSTER, Cluster
from .waiting import in_background, wait_for

ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    "jobs": {"type": "int", "default": 1},
    "node_timeout": {"type": "int", "default": 86400},
}
# Names of data files begin with the format's letters: nb-12-big-Data.db.
LOOK_AT_FORMATS = r"""cd /var/lib/cassandra/data || exit 1
for file in */*/*-Data.db; do [ -e "$file" ] && name=${file##*/} && echo "${name%%-*}"; done | sort | uniq -c"""
# The two formats of 5.0, by letters: big and bti. Neither is older than the other.
SAME_AGE = {"da": "oa"}
PAUSE = 5.0
# Whether the verb has ended is not known then.
LOST = (Unreachable, WorkerUnreachable)
# How often the verb is sent to a node: each time a connection is lost, a part of the keyspaces was done.
TURNS = 20
# Seconds that a node may be silent while it is waited for; a restart of it takes less.
SILENCE = 900.0


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(sstable_upgrade). See its documentation for parameters and results."""
    cluster = Cluster(params, ctx)
    view = cluster.ask(cluster.look(), busy=False).view
    before = formats(cluster, view)
    if ctx.check_mode:
        return {"changed": any(is_mixed(found) for found in before.values()), "nodes": facts(before, before)}
    rewriting = Rewriting(cluster, params, ctx)
    with cluster.locked():
        failures = rewriting.nodes([node.pod for node in view.nodes])
    after = attempt(lambda: formats(cluster, view))
    if isinstance(after, CassopsError):
        failures.append(str(after))
        after = before
    result = {"changed": before != after, "nodes": facts(before, after)}
    if failures:
        raise Failed("; ".join(failures), result, failures)
    return result


class MayStillRewrite(CassopsError):
    """Nobody knows that a node has ended, and two would be slow at the same time."""


class Rewriting:
    """One run over the nodes."""

    def __init__(self, cluster: Cluster, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.ctx = ctx
        self.verb = ["upgradesstables", "-j", str(params["jobs"])]
        self.limit = float(params["node_timeout"])

    def nodes(self, pods: Iterable[str]) -> list[str]:
        """One after the other; why some failed."""
        failures: list[str] = []
        for pod in pods:
            try:
                failure = self.node(pod)
            except MayStillRewrite as error:
                return [*failures, f"{error} The nodes after it were left as they are: run it again."]
            failures += [failure] if failure else []
        return failures

    def node(self, pod: str) -> str | None:
        """Rewrite what is old on one node, and tell how far it is; why it failed.

        :raises MayStillRewrite: it was not done in time, or cannot be asked any more.
        """
        reasons = self.in_the_way(pod)
        if reasons:
            return f"{pod} was left as it is: {'; '.join(reasons)}"
        self.ctx.progress(f"{pod}: upgradesstables", important=True)
        deadline = time.monotonic() + self.limit
        for _turn in range(TURNS):
            self.wait_idle(pod, deadline)
            answer = self.rewrite(pod, deadline)
            if not isinstance(answer, LOST):
                break
            self.ctx.progress(f"{answer} It is waited for, and asked once more", important=True)
            time.sleep(PAUSE)
        if isinstance(answer, (ExecTimeout, *LOST)):
            raise MayStillRewrite(f"{pod}: {answer} It may still rewrite.")
        return f"{pod}: {answer}" if isinstance(answer, CassopsError) else None

    def in_the_way(self, pod: str) -> list[str]:
        """Why the node is better left as it is; the others' room is theirs."""
        view = self.cluster.ask(self.cluster.look(), also=[pod]).view
        seen = view.observations.get(pod)
        if seen is None:
            return [f"it cannot be asked for its view: {view.unheard.get(pod, 'it does not run')}"]
        return gates.room_to_rewrite(replace(view, observations={pod: seen}))

    def rewrite(self, pod: str, deadline: float) -> Any:
        """What the verb answered, errors too."""
        limit = max(1.0, deadline - time.monotonic())
        done = in_background(
            lambda: attempt(lambda: nodetool.run(self.cluster.kube, pod, [self.verb], limit, check=True))
        )
        while not done.done():
            self.cluster.check()
            self.tell(pod, attempt(lambda: self.tasks(pod)))
            wait_for(done)
        return done.result()

    def wait_idle(self, pod: str, deadline: float) -> None:
        """Until the node rewrites nothing that was begun before.

        :raises MayStillRewrite: that takes too long, or is not known.
        """
        heard = time.monotonic()
        while True:
            self.cluster.check()
            told, now = attempt(lambda: self.tasks(pod)), time.monotonic()
            if isinstance(told, CassopsError):
                if now - heard > SILENCE:
                    raise MayStillRewrite(f"{pod} does not tell for {SILENCE:.0f} s whether it still rewrites: {told}")
            elif not told:
                return
            else:
                heard = now
            if now > deadline:
                raise MayStillRewrite(f"{pod} still rewrites after {self.limit:.0f} s.")
            self.tell(pod, told)
            time.sleep(PAUSE)

    def tell(self, pod: str, told: list[dict[str, Any]] | CassopsError) -> None:
        """How far the rewriting is, by the node's own count."""
        if not isinstance(told, CassopsError) and told:
            done, total = (sum(int(row[key]) for row in told) for key in ("progress", "total"))
            part = 100 * done / total if total else 0.0
            self.ctx.progress(f"{pod}: rewriting {len(told)} tables, {part:.0f} % of {total / 2**20:.0f} MiB")

    def tasks(self, pod: str) -> list[dict[str, Any]]:
        login = self.cluster.own.credentials
        with cql.connect(self.cluster.kube, pod, login.username, login.password, timeout=ASK_LIMIT) as session:
            rows = session.execute("SELECT * FROM system_views.sstable_tasks")
        return [row for row in rows if "upgrade" in str(row["kind"])]


def formats(cluster: Cluster, view: View) -> dict[str, dict[str, int]]:
    """Pod -> format -> data files.

    :raises CassopsError: a volume cannot be looked at.
    """

    def one(pod: str) -> dict[str, int]:
        told = cluster.kube.exec(pod, ["sh", "-c", LOOK_AT_FORMATS], timeout=ASK_LIMIT)
        if told.rc:
            raise CassopsError(f"the data files of {pod} cannot be listed: {told.stderr.strip() or told.rc}")
        pairs = (line.split() for line in told.stdout.splitlines())
        return {name: int(count) for count, name in pairs}

    pods = [node.pod for node in view.nodes]
    return dict(zip(pods, together(one, pods), strict=True))


def is_mixed(found: Mapping[str, int]) -> bool:
    """Formats of more than one age: some must be older than what the node writes."""
    return len({SAME_AGE.get(name, name) for name in found}) > 1


def facts(before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    return [{"node": pod, "before": dict(before[pod]), "after": dict(after[pod])} for pod in before]
