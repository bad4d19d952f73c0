# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A datacenter gets the racks and the numbers of nodes that the inventory says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .. import scaling, spec, spec_parser
from ..context import Context, Failed
from ..errors import CassopsError, SpecError
from ..manifests import build
from ..observe import Objects
from ..options import DATACENTER
from ..renewal import Wanted, copy_name
from ..spec_refusals import fixed_refusals
from . import changes, preflight, unfinished
from .cluster import CLUSTER, Cluster
from .desired import DESIRED
from .living import living_datacenter
from .members import Members
from .renewing import OPTIONS as RENEWAL
from .resizing import OPTIONS, Resizing, numbers
from .volume import Volumes

ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    **DESIRED,
    **OPTIONS,
    **RENEWAL,
    "retire": {"type": "list", "elements": "str", "default": []},
    "nodes": {"type": "dict", "default": {}},
    "variable_prefix": {"type": "str", "default": ""},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(scale). See its documentation for parameters and results.

    :raises SpecError: the target cannot be gone to, with every reason.
    :raises CassopsError: a step could not be finished; the next run goes on.
    """
    desired = with_numbers(parse(params), params)
    cluster = Cluster(params, ctx)
    target = {rack.name: rack.nodes for rack in desired.racks}
    resizing = Resizing(cluster, target, params, ctx, desired)
    volumes = Volumes(cluster, Wanted(desired.storage_size, desired.storage_class), params, ctx)
    if not ctx.check_mode:
        volumes.renewing.take_up()
    refuse(cluster, resizing, volumes, desired, ctx)
    if ctx.check_mode:
        altered, told = volumes.predict(), resizing.predict()
        changed, steps = told["changed"] or altered["changed"], altered["changes"] + told["changes"]
        return {**told, "replaced": [], "needs_restart": [], "changed": changed, "changes": steps}
    with cluster.locked():
        if volumes.predict()["changed"]:
            resizing.refuse_target()
        try:
            # Whoever joins gets a volume like the others'.
            volumes.become()
            result = resizing.run()
        except CassopsError as error:
            told = both(volumes.done(), resizing.done())
            raise Failed(str(error), told, getattr(error, "errors", ())) from error
    return both(volumes.result(), result)


def both(volumes: Mapping[str, Any], nodes: Mapping[str, Any]) -> dict[str, Any]:
    """What was done to volumes and to the numbers of nodes, as one result."""
    return {
        **{name: value for name, value in volumes.items() if name != "volumes"},
        **nodes,
        "changed": volumes["changed"] or nodes["changed"],
        "changes": volumes["changes"] + nodes["changes"],
    }


def parse(params: Mapping[str, Any]) -> spec.Datacenter:
    """The desired datacenter. :raises SpecError: with every error of the values."""
    values = {key: params[key] for key in (*DATACENTER, *DESIRED) if params.get(key) is not None}
    return spec_parser.parse(values, params["variable_prefix"])


def with_numbers(desired: spec.Datacenter, params: Mapping[str, Any]) -> spec.Datacenter:
    """The datacenter with the numbers of nodes that are wanted in this run: rack -> a number or its digits.

    :raises SpecError: with every error of them.
    """
    wanted, path = params["nodes"], f"{params['option_prefix']}nodes"
    known = [rack.name for rack in desired.racks]
    reasons = [
        f"{path}.{name}: there is no such rack; there are {', '.join(known)}" for name in wanted if name not in known
    ]
    reasons += [
        f"{path}.{name}: must be a number of nodes from 1, got {value!r}; a rack goes when it is taken out of "
        f"{params['variable_prefix']}racks"
        for name, value in wanted.items()
        if isinstance(value, bool) or not re.fullmatch(r"[1-9]\d*", str(value))
    ]
    if reasons:
        raise SpecError(reasons)
    racks = tuple(replace(rack, nodes=int(wanted.get(rack.name, rack.nodes))) for rack in desired.racks)
    return replace(desired, racks=racks)


def refuse(
    cluster: Cluster,
    resizing: Resizing,
    volumes: Volumes,
    desired: spec.Datacenter,
    ctx: Context,
) -> None:
    """:raises SpecError: with every reason why the inventory does not fit what is there."""
    params = volumes.params
    prefix = params["variable_prefix"]
    sight = cluster.look()
    volumes.refuse(sight.found)
    ledger = cluster.ledger(sight.found)
    living = living_datacenter(sight.found, ledger, desired)
    reasons = fixed_refusals(living, desired, prefix, volumes=params["replace_volumes"]) if living else []
    reasons += unfinished.beside_decommission(sight.found, cluster.name, cluster.own.datacenter, "deploy it anew")
    reasons += unlike(sight.found, resizing.members, desired, prefix)
    reasons += scaling.retire_refusals(params["retire"], resizing.racks(sight), resizing.target, resizing.plan(sight))
    offered = preflight.facts(cluster.kube)
    ctx.warnings.extend(offered.unread)
    # Nobody needs room who stays or leaves: a worker may be cordoned just now.
    now = numbers(cluster)
    growing = {name: count for name, count in resizing.target.items() if count > now.get(name, 0)}
    if not desired.workers_on_demand:
        racks = [{"name": rack.name, "zone": rack.zone} for rack in desired.racks]
        reasons += preflight.zone_errors(racks, offered.workers, prefix, [*(now.keys() - growing.keys())])
    asked = tuple(replace(rack, nodes=growing.get(rack.name, 0)) for rack in desired.racks)
    reasons += preflight.capacity_errors(replace(desired, racks=asked), offered.workers, prefix)
    if reasons:
        raise SpecError(reasons)


def unlike(found: Objects, members: Members, desired: spec.Datacenter, prefix: str) -> list[str]:
    """A new rack is made of what the inventory says; the others must be so already."""
    there = [rack for rack in desired.racks if found.get("StatefulSet", desired.rack_name(rack))]
    # One that a run which was killed makes anew, with other claims, is no new one.
    copy = found.get("ConfigMap", copy_name(desired.cluster, desired.name))
    anew = copy["data"]["name"] if copy else None
    new = [rack.name for rack in desired.racks if rack not in there and desired.rack_name(rack) != anew]
    if not new or not there:
        return []
    ledger = members.look()[1]
    live = {rack.name: found.all("StatefulSet")[desired.rack_name(rack)]["spec"]["replicas"] for rack in there}
    as_is = replace(desired, racks=tuple(replace(rack, nodes=live[rack.name]) for rack in there))
    items = [item for item in build(as_is, ledger) if item["kind"] == "StatefulSet"]
    altered = changes.wanted(members.kube, items, found)
    waiting = [
        name
        for name, item in found.all("StatefulSet").items()
        if item.get("status", {}).get("currentRevision") != item.get("status", {}).get("updateRevision")
    ]
    if not altered and not waiting:
        return []
    what = f"the inventory changes more than numbers ({'; '.join(map(str, altered))})" if altered else "a change waits"
    return [
        f"{prefix}racks: rack {', '.join(new)} cannot be added while {what}: its nodes would not be like the others. "
        "Put the racks back as they were, run deploy and restart (or upgrade), then scale"
    ]
