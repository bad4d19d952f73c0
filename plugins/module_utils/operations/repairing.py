# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The repair of all ranges that one node holds, after it missed more than hints cover."""

from __future__ import annotations

from collections.abc import Sequence

from .. import gates, nodetool
from ..context import Context
from ..gates import UNCOUNTED_KEYSPACES
from ..report import distributed
from ..view import View
from . import failures
from .cluster import Cluster
from .waiting import until

# Seconds between two looks.
PAUSE = 10.0


def keyspaces(view: View) -> list[str]:
    """What is repaired: every keyspace that is replicated, but those whose rows nobody relies on."""
    return sorted(item.name for item in distributed(view) if item.name not in UNCOUNTED_KEYSPACES)


def repair(cluster: Cluster, view: View, pod: str, limit: float, ctx: Context) -> list[str]:
    """Repair a node's ranges, keyspace by keyspace, fully: Cassandra compares all replicas of each.

    The note of what was missed goes at the end. A run that dies before leaves it, and the next one repairs again.

    :param limit: seconds for one keyspace.
    :return: the keyspaces.
    :raises NodetoolError: a repair failed.
    """
    wait_for_others(cluster, pod, limit, ctx)
    names: Sequence[str] = keyspaces(view)
    for number, name in enumerate(names, 1):
        cluster.check()
        ctx.progress(f"{pod} is repaired: keyspace {name} ({number} of {len(names)})", important=True)
        nodetool.run_one(cluster.kube, pod, ["repair", "-full", name], limit)
    failures.forget_missed(cluster.kube, pod)
    return list(names)


def wait_for_others(cluster: Cluster, pod: str, limit: float, ctx: Context) -> None:
    """Until no repair works on the node: Cassandra goes on with one when the run that began it has died, and a second
    one beside it would take longer than both."""

    def look() -> list[str]:
        sight = cluster.ask(cluster.look(), also=(pod,))
        view = sight.view.joined(sight.others)
        return gates.no_repairs(view, pod) if pod in view.observations else [f"{pod} does not answer"]

    until(look, f"the repairs on {pod} to end", limit, ctx.progress, PAUSE)
