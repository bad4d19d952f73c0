# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SSTables of older formats, rewritten in the one that the nodes write now: C(nodetool upgradesstables), node by node.

Nothing has to be remembered: the verb rewrites only what is of an older format, so the next run goes on with
one that was killed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import cql, gates, nodetool
from ..activity import ASK_LIMIT
from ..context import Context, Failed
from ..errors import CassopsError
from ..observe import attempt, together
from ..view import View
from .cluster import CLUSTER, Cluster

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


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(sstable_upgrade). See its documentation for parameters and results."""
    cluster = Cluster(params, ctx)
    view = cluster.ask(cluster.look(), busy=False).view
    before = formats(cluster, view)
    if ctx.check_mode:
        return {"changed": any(is_mixed(found) for found in before.values()), "nodes": facts(before, before)}
    rewriting = Rewriting(cluster, params, ctx)
    with cluster.locked():
        failures = [failure for node in view.nodes if (failure := rewriting.node(node.pod))]
    after = formats(cluster, view)
    result = {"changed": before != after, "nodes": facts(before, after)}
    if failures:
        raise Failed("; ".join(failures), result, failures)
    return result


class Rewriting:
    """One run over the nodes."""

    def __init__(self, cluster: Cluster, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.ctx = ctx
        self.verb = ["upgradesstables", "-j", str(params["jobs"])]
        self.limit = float(params["node_timeout"])

    def node(self, pod: str) -> str | None:
        """Rewrite what is old on one node, and tell how far it is; why it failed."""
        sight = self.cluster.ask(self.cluster.look())
        reasons = gates.room_to_rewrite(sight.view)
        mine = [reason for reason in reasons if pod in reason]
        if mine:
            return f"{pod} was left as it is: {'; '.join(mine)}"
        self.ctx.progress(f"{pod}: upgradesstables", important=True)
        with ThreadPoolExecutor(max_workers=1) as pool:
            done = pool.submit(
                attempt, lambda: nodetool.run(self.cluster.kube, pod, [self.verb], self.limit, check=True)
            )
            while not done.done():
                self.cluster.check()
                self.tell(pod)
                wait_for(done)
        answer = done.result()
        return f"{pod}: {answer}" if isinstance(answer, CassopsError) else None

    def tell(self, pod: str) -> None:
        """How far the rewriting is, by the node's own count."""
        told = attempt(lambda: self.tasks(pod))
        if not isinstance(told, CassopsError) and told:
            done, total = (sum(int(row[key]) for row in told) for key in ("progress", "total"))
            part = 100 * done / total if total else 0.0
            self.ctx.progress(f"{pod}: rewriting {len(told)} tables, {part:.0f} % of {total / 2**20:.0f} MiB")

    def tasks(self, pod: str) -> list[dict[str, Any]]:
        login = self.cluster.own.credentials
        with cql.connect(self.cluster.kube, pod, login.username, login.password, timeout=ASK_LIMIT) as session:
            rows = session.execute("SELECT * FROM system_views.sstable_tasks")
        return [row for row in rows if "upgrade" in str(row["kind"])]


def wait_for(done: Any) -> None:
    """For a while, or until it is done."""
    deadline = time.monotonic() + PAUSE
    while not done.done() and time.monotonic() < deadline:
        time.sleep(0.2)


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
