# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node that is dead, named by the user, is replaced: with an empty volume it takes its own place and streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..context import Context
from ..errors import CassopsError
from ..replacement.actions import ASK
from ..view import View
from .cluster import Cluster
from .healing import ARGUMENT_SPEC as HEALING
from .healing import Healing, finished, unfinished

ARGUMENT_SPEC: Mapping[str, Any] = {**HEALING, "name": {"type": "str", "required": True}}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(node_replace). See its documentation for parameters and results.

    :raises Failed: it is not safe, or the node could not be replaced in the time given.
    """
    cluster = Cluster(params, ctx)
    pod = full_name(cluster.look().view, params["name"])
    healing = Healing(cluster, params, ctx, only=pod)
    seen = healing.look()
    if finished(seen.decisions):
        # It is alive; that is also the end of a run that is run again.
        ctx.warnings.append(f"{pod} is not replaced: {seen.decisions[0].reason}")
        return healing.result(seen)
    if not ctx.check_mode:
        return healing.result(healing.heal(seen))
    if any(each.action == ASK for each in seen.decisions):
        raise unfinished(healing.prediction(seen), seen.decisions)
    return healing.prediction(seen)


def full_name(view: View, name: str) -> str:
    """The node's full name; its rack and number are enough.

    :raises CassopsError: there is no such node.
    """
    names = {node.pod: node.pod for node in view.nodes} | {
        f"{node.rack}-{node.ordinal}": node.pod for node in view.nodes
    }
    if name not in names:
        raise CassopsError(f"there is no node {name}; there are {', '.join(node.pod for node in view.nodes)}")
    return names[name]
