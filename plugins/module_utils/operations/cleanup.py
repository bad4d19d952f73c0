# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of ranges that nodes have given away are deleted from their volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..context import Context, Failed
from ..errors import CassopsError
from . import failures
from .cleaning import Cleaning
from .cluster import CLUSTER, Cluster
from .members import Members

ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    "all": {"type": "bool", "default": False},
    "jobs": {"type": "int", "default": 1},
    "node_timeout": {"type": "int", "default": 86400},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(cleanup). See its documentation for parameters and results.

    :raises Failed: a node could not be cleaned; what is left stays noted.
    """
    cluster = Cluster(params, ctx)
    limit = float(params["node_timeout"])
    members = Members(cluster, limit, ctx)
    if ctx.check_mode:
        return result(wanted(members, params), members)
    with cluster.locked():
        pods = wanted(members, params)
        try:
            if pods:
                Cleaning(cluster, members, params["jobs"], limit, ctx).clean(pods)
        except CassopsError as error:
            raise Failed(str(error), result(pods, members)) from error
        return result(pods, members)


def wanted(members: Members, params: Mapping[str, Any]) -> list[str]:
    """The nodes to clean: those that lost ranges since, or all.

    One that no StatefulSet wants and that has no pod is left out: it runs nowhere, and its removal waits for others.
    """
    found, ledger = members.look()
    pods = sorted(ledger.nodes) if params["all"] else members.unclean(found)
    return [pod for pod in pods if failures.wanted(found, pod) or found.get("Pod", pod)]


def result(pods: list[str], members: Members) -> dict[str, Any]:
    return {"changed": bool(pods), "nodes": pods, "needs_cleanup": members.unclean(members.look()[0])}
