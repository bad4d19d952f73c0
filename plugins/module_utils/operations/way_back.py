# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back from a change that is under way: the racks get the template that the untouched nodes still run.

Kubernetes keeps it as a ControllerRevision: that of a rack that the change has not finished is its current revision,
and racks differ in nothing but what is their own. The nodes that have the change already then count as waiting for a
restart, and the rollout that follows restarts only them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import upgrade
from ..context import Context
from ..errors import CassopsError
from ..observe import LABEL_RACK, ZONE, Objects, mode_of, revisions, runs, template_of, version_of, without_nulls
from ..rollout import Settings, lost
from ..view import View
from . import unreadable
from .cluster import Cluster, Sight
from .rollout_plan import modes_of

# Annotation of a StatefulSet: the revision that the way back led to. While it is the update revision, a run that was
# killed is gone on with; without it, the next would take the way back from the way back.
RETURNED = "cassops.kubernetes/returned-to"
INSTEAD = "put the values that you want into the inventory, run deploy, then the rollout"
RACK_VARIABLE = "CASSOPS_RACK"


@dataclass(frozen=True)
class Return:
    """A StatefulSet and the ControllerRevision that it goes back to, with its template.

    :ivar alike: the names of all revisions that hold the same.
    """

    stateful_set: str
    replicas: int
    revision: str
    template: dict[str, Any]
    alike: frozenset[str]


def take(cluster: Cluster, settings: Settings, ctx: Context) -> list[str]:
    """Give the StatefulSets their former templates; returns what was done.

    :raises CassopsError: no change is under way, or there is no safe way back from it.
    """
    done = []
    sight = cluster.ask_all(cluster.look())
    for way in ways(cluster, settings, sight):
        cluster.check()
        # Before, and by a request of its own: what is applied with the template, the next deploy would take away.
        cluster.kube.patch("StatefulSet", way.stateful_set, {"metadata": {"annotations": {RETURNED: way.revision}}})
        cluster.kube.apply(returned(sight.found.all("StatefulSet")[way.stateful_set], way))
        done.append(f"StatefulSet {way.stateful_set} goes back to {runs(way.template)}")
        ctx.progress(done[-1], important=True)
    ctx.warnings.append(
        "the inventory may still want what was taken back: change it before the next deploy, which registers it again"
    )
    return done


def returned(item: Mapping[str, Any], way: Return) -> dict[str, Any]:
    """The StatefulSet with its former template, to be applied as deploy applies it: what is written by a patch has
    another owner, and deploy could never take it away again.

    Template and partition are one request: with a low partition Kubernetes would restart nodes at once.
    """
    metadata = {key: item["metadata"][key] for key in ("name", "labels", "annotations") if key in item["metadata"]}
    metadata["annotations"] = {key: value for key, value in metadata.get("annotations", {}).items() if key != RETURNED}
    strategy = {**item["spec"]["updateStrategy"], "rollingUpdate": {"partition": way.replicas}}
    spec = {**item["spec"], "template": way.template, "updateStrategy": strategy}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}


def forget(cluster: Cluster, found: Objects) -> None:
    """What a later rollout has brought to the nodes was not taken back: the next way back begins from there.

    Kubernetes gives equal templates the same revision again, so an old note would fit one that is registered anew.
    """
    for name, item in sorted(found.all("StatefulSet").items()):
        if RETURNED in (item["metadata"].get("annotations") or {}):
            cluster.check()
            cluster.kube.patch("StatefulSet", name, {"metadata": {"annotations": {RETURNED: None}}})


def predicted(cluster: Cluster, settings: Settings, sight: Sight) -> Sight:
    """What would be seen after taking the way back, for check mode."""
    found = {way.stateful_set: way for way in ways(cluster, settings, sight)}
    racks = tuple(
        replace(rack, update_revision=way.revision, wants=runs(way.template), partition=rack.replicas)
        if (way := found.get(rack.stateful_set))
        else rack
        for rack in sight.view.racks
    )
    wanted = {
        rack.name: way.alike if (way := found.get(rack.stateful_set)) else {rack.update_revision} for rack in racks
    }
    nodes = tuple(
        replace(node, pending_restart=node.revision is not None and node.revision not in wanted.get(node.rack, ()))
        for node in sight.view.nodes
    )
    return replace(sight, view=replace(sight.view, nodes=nodes, racks=racks))


def ways(cluster: Cluster, settings: Settings, sight: Sight) -> list[Return]:
    """The StatefulSets that have to change, each with its former revision.

    :raises CassopsError: see L(take).
    """
    made = revisions(cluster.kube, cluster.name, cluster.own.datacenter)
    by_name = {item["metadata"]["name"]: item for item in made}
    sets = sight.found.all("StatefulSet")
    former = former_content(sets, by_name)
    refuse_scaled_away(sight.view)
    reasons, found = [], []
    for name, item in sorted(sets.items()):
        if content(item["spec"]["template"]) == former:
            continue
        way = way_of(item, made, former)
        if way is None:
            reasons.append(
                f"Kubernetes keeps no revision of StatefulSet {name} any more that is like the untouched nodes"
            )
        else:
            found.append(way)
            reasons += refusals(sight, way.template, lost(sight.view, settings))
    pods = sight.found.all("Pod").values()
    if any(upgrade.leads_back(version_of(pod), version_of(way.template)) for pod in pods for way in found):
        reasons += unreadable.refusals(cluster, sight.view)
    if reasons:
        raise CassopsError(f"there is no way back: {'; '.join(dict.fromkeys(reasons))}. Instead {INSTEAD}")
    return found


def refuse_scaled_away(view: View) -> None:
    """:raises CassopsError: whether what a node has written stands against the way back cannot be told without it."""
    short = [
        f"rack {rack.name} has places for {rack.replicas} of its {rack.places} nodes"
        for rack in view.racks
        if rack.half_way and rack.replicas < rack.places
    ]
    if short:
        raise CassopsError(
            f"the way back is not taken: {'; '.join(short)}, and what the others have written is not known. Run the "
            "playbook start first, which gives the places back"
        )


def former_content(sets: Mapping[str, Mapping[str, Any]], revisions: Mapping[str, Mapping[str, Any]]) -> str:
    """What was before the change, by the racks that it has not finished, and those that went back already.

    :raises CassopsError: no change is under way, or the racks came from different things.
    """
    kinds = set()
    for item in sets.values():
        status = item.get("status", {})
        if is_returned(item):
            kinds.add(content(item["spec"]["template"]))
        elif status.get("currentRevision") != status.get("updateRevision"):
            current = revisions.get(status.get("currentRevision"))
            kinds.add(content(template_of(current)) if current else "")
    if not kinds:
        raise CassopsError(f"no change is under way: every node runs the newest revision. To go back, {INSTEAD}")
    if len(kinds) > 1 or "" in kinds:
        raise CassopsError(f"there is no way back: the racks did not run the same before the change. Instead {INSTEAD}")
    return kinds.pop()


def is_returned(stateful_set: Mapping[str, Any]) -> bool:
    """The way back was taken already, and nothing was registered since."""
    to = (stateful_set["metadata"].get("annotations") or {}).get(RETURNED)
    return bool(to) and to == stateful_set.get("status", {}).get("updateRevision")


def way_of(stateful_set: Mapping[str, Any], revisions: Sequence[Mapping[str, Any]], former: str) -> Return | None:
    name = stateful_set["metadata"]["name"]
    fitting = [
        item
        for item in revisions
        if item["metadata"]["name"].rpartition("-")[0] == name and content(template_of(item)) == former
    ]
    if not fitting:
        return None
    latest = max(fitting, key=lambda item: item.get("revision", 0))
    alike = frozenset(item["metadata"]["name"] for item in fitting)
    return Return(name, stateful_set["spec"].get("replicas", 1), latest["metadata"]["name"], template_of(latest), alike)


def content(template: Mapping[str, Any]) -> str:
    """A pod template without what is its rack's own, to be compared."""
    own = without_nulls(template)
    own.get("metadata", {}).get("labels", {}).pop(LABEL_RACK, None)
    own.get("spec", {}).get("nodeSelector", {}).pop(ZONE, None)
    if not own.get("spec", {}).get("nodeSelector"):
        own.get("spec", {}).pop("nodeSelector", None)
    for container in own.get("spec", {}).get("containers", ()):
        container["env"] = [item for item in container.get("env", ()) if item["name"] != RACK_VARIABLE]
    return json.dumps(own, sort_keys=True)


def refusals(sight: Sight, template: Mapping[str, Any], without: Collection[str]) -> list[str]:
    """Why nodes may not go back to this template: its configuration is gone, or its Cassandra cannot read the data.

    :param without: pods that are lost: they are given new data.
    """
    reasons = []
    configuration = runs(template).rpartition(" ")[2]
    if not exists(sight.found, configuration):
        reasons.append(f"its configuration {configuration} was deleted")
    modes = modes_of(sight, without)
    pods = [pod for name, pod in sight.found.all("Pod").items() if name not in without]
    for pod in pods:
        reasons += upgrade.refusals(version_of(pod), version_of(template), upgrade.furthest(modes))
    wanted = mode_of(sight.found, template)
    further = upgrade.MODES[upgrade.MODES.index(wanted) + 1 :] if wanted in upgrade.MODES else ()
    if wanted and any(mode in further for mode in modes.values()):
        # Only back: a step forward was checked when it was taken.
        reasons += upgrade.step_refusals(modes, wanted)
    return reasons


def exists(found: Objects, configuration: str) -> bool:
    return found.get("ConfigMap", configuration) is not None
