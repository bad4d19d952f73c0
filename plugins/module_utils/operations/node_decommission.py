# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node leaves the ring, and its rack is one node smaller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import scaling
from ..context import Context
from ..errors import CassopsError
from .cluster import CLUSTER, Cluster
from .node_replace import full_name
from .resizing import OPTIONS, Resizing, numbers

ARGUMENT_SPEC: Mapping[str, Any] = {**CLUSTER, **OPTIONS, "name": {"type": "str", "required": True}}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(node_decommission). See its documentation for parameters and results.

    :raises SpecError: the others cannot do without it, with every reason.
    :raises CassopsError: it could not be finished; the next run goes on.
    """
    cluster = Cluster(params, ctx)
    there = numbers(cluster)
    left = Resizing(cluster, there, params, ctx)
    name = params["name"]
    if has_left(left, name):
        # The end of a run that is run again.
        return finish(left, cluster, ctx)
    pod = full_name(cluster.look().view, name)
    rack = left.members.rack_of(pod)
    going = Resizing(cluster, {**there, rack: there[rack] - 1}, params, ctx, steps=1)
    sight = cluster.look()
    short = left.members.short(pod)
    reasons = scaling.retire_refusals([short], going.racks(sight), going.target, going.plan(sight))
    if reasons:
        raise CassopsError("; ".join(reasons))
    return finish(going, cluster, ctx)


def has_left(resizing: Resizing, name: str) -> bool:
    """Whether nothing but a volume that was left behind tells of a node."""
    found, ledger = resizing.members.look()
    pods = [pod for pod in resizing.members.left(found) if pod not in ledger.nodes]
    return name in pods or name in map(resizing.members.short, pods)


def finish(resizing: Resizing, cluster: Cluster, ctx: Context) -> dict[str, Any]:
    if ctx.check_mode:
        return resizing.predict()
    with cluster.locked():
        return resizing.run()
