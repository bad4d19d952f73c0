# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SSTables of older formats, rewritten in the one that the nodes write now: C(nodetool upgradesstables), node by node.

Nothing has to be remembered: the verb rewrites only what is of an older format, so the next run goes on with
one that was killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .. import gates
from ..activity import ASK_LIMIT
from ..context import Context, Failed
from ..errors import CassopsError
from ..observe import attempt, together
from ..view import View
from .cluster import CLUSTER, Cluster
from .compacting import Compacting, MayStillCompact

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


class Rewriting:
    """One run over the nodes."""

    def __init__(self, cluster: Cluster, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.ctx = ctx
        verb = ["upgradesstables", "-j", str(params["jobs"])]
        self.compacting = Compacting(cluster, verb, "rewriting", "upgrade", float(params["node_timeout"]), ctx)

    def nodes(self, pods: Iterable[str]) -> list[str]:
        """One after the other, since two would be slow at the same time; why some failed."""
        failures: list[str] = []
        for pod in pods:
            reasons = self.in_the_way(pod)
            if reasons:
                failures.append(f"{pod} was left as it is: {'; '.join(reasons)}")
                continue
            self.ctx.progress(f"{pod}: upgradesstables", important=True)
            error = self.compacting.run([pod])[pod]
            if isinstance(error, MayStillCompact):
                return [*failures, f"{pod}: {error} The nodes after it were left as they are: run it again."]
            failures += [f"{pod}: {error}"] if error else []
        return failures

    def in_the_way(self, pod: str) -> list[str]:
        """Why the node is better left as it is; the others' room is theirs."""
        view = self.cluster.ask(self.cluster.look(), also=[pod]).view
        seen = view.observations.get(pod)
        if seen is None:
            return [f"it cannot be asked for its view: {view.unheard.get(pod, 'it does not run')}"]
        return gates.room_to_rewrite(replace(view, observations={pod: seen}))


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
