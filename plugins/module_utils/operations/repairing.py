# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The repair of all ranges that one node holds, after it missed more than hints cover."""

from __future__ import annotations

from collections.abc import Sequence

from .. import gates, nodetool
from ..context import Context
from ..errors import CassopsError
from ..gates import UNCOUNTED_KEYSPACES
from ..kube import LOST, Unreachable
from ..observe import attempt
from ..report import distributed
from ..view import View
from . import failures
from .cluster import Cluster
from .waiting import until

# Seconds between two looks.
PAUSE = 10.0
# How often a keyspace is repaired whose connection is lost each time: each one compares all rows.
TURNS = 3


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
        repair_keyspace(cluster, pod, name, limit, ctx)
    failures.forget_missed(cluster.kube, pod)
    return list(names)


def repair_keyspace(cluster: Cluster, pod: str, name: str, limit: float, ctx: Context) -> None:
    """Cassandra goes on when the connection is lost, and nobody is told how that one ended: it is waited for, and the
    next one compares what is alike by then.

    :raises CassopsError: it failed, or the connection was lost each time.
    """
    for _turn in range(TURNS):
        answer = attempt(lambda: nodetool.run_one(cluster.kube, pod, ["repair", "-full", name], limit))
        if not isinstance(answer, LOST):
            break
        ctx.progress(f"{answer} Cassandra may go on with it; its end is waited for", important=True)
        wait_for_others(cluster, pod, limit, ctx)
    if isinstance(answer, CassopsError):
        raise answer


def wait_for_others(cluster: Cluster, pod: str, limit: float, ctx: Context) -> None:
    """Until no repair works on the node: Cassandra goes on with one when the run that began it has died, and a second
    one beside it would take longer than both."""

    def look() -> list[str]:
        cluster.check()
        try:
            sight = cluster.ask(cluster.look(), also=(pod,))
        except Unreachable as error:
            return [str(error)]
        view = sight.view.joined(sight.others)
        return gates.no_repairs(view, pod) if pod in view.observations else [f"{pod} does not answer"]

    until(look, f"the repairs on {pod} to end", limit, ctx.progress, PAUSE)
