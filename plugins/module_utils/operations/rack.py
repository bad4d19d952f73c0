# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One rack goes one step towards a number of nodes: a node joins it, or its highest one leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..context import Context
from ..errors import SpecError
from ..renewal import Wanted
from . import scale
from .cluster import Cluster
from .resizing import Resizing, numbers
from .volume import Volumes

# Options of scale that are none of one rack's.
OTHERS: Mapping[str, Any] = {
    "retire": [],
    "replace_volumes": False,
    "leave_workers": [],
    "repair": True,
    "repair_timeout": 0,
}
ARGUMENT_SPEC: Mapping[str, Any] = {
    **{name: spec for name, spec in scale.ARGUMENT_SPEC.items() if name not in OTHERS},
    "name": {"type": "str", "required": True},
    "nodes": {"type": "int", "required": True},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(rack). See its documentation for parameters and results.

    :raises SpecError: the rack cannot have so many nodes, with every reason.
    :raises CassopsError: the step could not be finished; the next run goes on.
    """
    name, nodes = params["name"], params["nodes"]
    desired = scale.parse(params)
    if nodes < 0:
        raise SpecError([f"nodes: must not be less than 0, got {nodes}"])
    if nodes and name not in [rack.name for rack in desired.racks]:
        raise SpecError([f"name: {name} is none of the racks that are described"])
    cluster = Cluster(params, ctx)
    target = {**numbers(cluster), name: nodes}
    resizing = Resizing(cluster, target, params, ctx, desired, steps=1)
    volumes = Volumes(cluster, Wanted(desired.storage_size, desired.storage_class), {**params, **OTHERS}, ctx)
    scale.refuse(cluster, resizing, volumes, desired, ctx)
    if ctx.check_mode:
        return resizing.predict()
    with cluster.locked():
        return resizing.run()
