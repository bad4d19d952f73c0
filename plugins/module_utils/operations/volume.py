# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes' volumes get another size or class: they grow where their class lets them; if asked, nodes replace them.

1. Every claim asks for the new size; Kubernetes and the storage grow the volume under the running node. Some storage
   grows the file system only when a pod starts: such nodes are told, and a restart finishes them.
2. What a StatefulSet asks for new claims cannot be changed in place. So each is deleted without its pods, and made
   again as it was but for its claims; it finds its pods by their labels. What it was is written to a ConfigMap before.
3. Nodes whose volumes can never become what is wanted give them up, one node after the other: see L(renewing). So do
   nodes that shall leave their workers and whose volumes stay there: see L(evacuating).

A copy that is found is what a run that was killed in between left behind; its StatefulSet is made first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import gates, quantity, renewal
from ..context import Context, Failed
from ..errors import CassopsError, SpecError
from ..events import seconds_of
from ..kubeapi import Forbidden, Invalid, Object
from ..manifests.common import labels_of
from ..observe import Objects, condition
from ..renewal import Wanted, capacity, differs, less, must_be_renewed, requested
from ..scaling import Scene
from ..view import NodeView
from .cluster import CLUSTER, Cluster
from .evacuating import Evacuating
from .members import Members
from .node_restart import short
from .patience import last_event
from .renewing import OPTIONS, Renewing
from .waiting import until

PAUSE = 2.0
ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    **OPTIONS,
    "size": {"type": "str", "required": True},
    "storage_class": {"type": "str"},
    "workers_on_demand": {"type": "bool", "default": False},
    "gate_timeout": {"type": "int", "default": 900},
    "wait_timeout": {"type": "int", "default": 1800},
}
UNREAD = "storage classes were not checked: these credentials may not read them"
# Conditions of a claim.
RESIZING, FOR_RESTART = "Resizing", "FileSystemResizePending"
# Seconds for a kubelet to grow a file system under its running pod. Every claim has the condition as long as that
# takes; where the storage cannot do it, until the pod's next start.
ONLINE = 180.0


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(volume). See its documentation for parameters and results.

    :raises SpecError: the volumes cannot have that size, with every reason.
    """
    cluster = Cluster(params, ctx)
    volumes = Volumes(cluster, Wanted(parse(params["size"]), params["storage_class"] or None), params, ctx)
    if ctx.check_mode:
        return {**volumes.result(), **volumes.predict()}
    volumes.renewing.take_up()
    with cluster.locked():
        try:
            volumes.become()
        except SpecError:
            raise
        except CassopsError as error:
            raise Failed(str(error), volumes.done()) from error
        return volumes.result()


def parse(size: str) -> str:
    """:raises SpecError: it is no size."""
    try:
        return quantity.canonical(size)
    except ValueError:
        raise SpecError([f"size: must be a Kubernetes quantity such as 200Gi, got {size!r}"]) from None


class Volumes:
    """The volumes of one datacenter, under its cluster's lock.

    :param params: with C(replace_volumes), and what L(Renewing) and L(Evacuating) take.
    """

    def __init__(self, cluster: Cluster, wanted: Wanted, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.kube = cluster.kube
        self.wanted = wanted
        self.size = wanted.size
        self.params = params
        self.limit = float(params["wait_timeout"])
        self.ctx = ctx
        self.members = Members(cluster, self.limit, ctx)
        self.evacuating = Evacuating(cluster, params)
        self.renewing = Renewing(cluster, self.members, params, ctx, self.evacuating)
        self.copies = renewal.copy_name(cluster.name, cluster.own.datacenter)

    # What there is

    def claims(self, found: Objects) -> dict[str, Object]:
        """Claims of the datacenter's nodes by name; those that nodes have left behind stay as they are."""
        nodes = self.cluster.ledger(found).nodes
        return {
            name: item
            for name, item in sorted(found.all("PersistentVolumeClaim").items())
            if name.removeprefix("data-") in nodes
        }

    def smaller(self, found: Objects) -> list[str]:
        return [name for name, item in self.claims(found).items() if less(requested(item["spec"]), self.size)]

    def unfit(self, found: Objects) -> list[str]:
        """Claims whose volumes can never become what is wanted."""
        fixed = self.fixed_classes(found) if self.smaller(found) else ()
        return [
            name
            for name, item in self.claims(found).items()
            if must_be_renewed(item["spec"], capacity(item), self.wanted, fixed)
        ]

    def to_renew(self, found: Objects) -> dict[str, Wanted]:
        """Claims of nodes that give their volumes up, and for which ones."""
        unfit, leaving = self.unfit(found), self.evacuating.leaving(found)
        return {
            name: replace(self.wanted, leaves=leaving.get(name))
            for name in self.claims(found)
            if name in unfit or name in leaving
        }

    def to_grow(self, found: Objects) -> list[str]:
        others = self.to_renew(found)
        return [name for name in self.smaller(found) if name not in others]

    def too_large(self, found: Objects) -> dict[str, Object]:
        """Claims that ask for more than is wanted, and have not got it: their storage refused."""
        others = self.to_renew(found)
        return {
            name: item
            for name, item in self.claims(found).items()
            if less(self.size, requested(item["spec"])) and name not in others
        }

    def to_take_back(self, found: Objects) -> list[str]:
        """Those of them whose wish Kubernetes takes back: down to what is more than the volume has."""
        return [name for name, item in self.too_large(found).items() if less(capacity(item), self.size)]

    def to_make(self, found: Objects) -> list[str]:
        """StatefulSets that ask for other claims."""
        sets = sorted(found.all("StatefulSet").items())
        return [name for name, item in sets if differs(template(item)["spec"], self.wanted)]

    # Whether

    def refuse(self, found: Objects) -> None:
        """:raises SpecError: with every reason why the volumes cannot become what is wanted."""
        wishes = self.to_renew(found)
        reasons = self.no_class() if wishes else []
        if not self.params["replace_volumes"]:
            reasons += self.as_they_are(found, self.unfit(found))
            wishes = {name: wanted for name, wanted in wishes.items() if wanted.leaves}
        reasons += self.evacuating.refusals(found, self.wanted)
        if wishes:
            reasons += renewal.refusals(self.scene(wishes), self.nodes(wishes), self.sizes(found, wishes))
        if self.to_make(found):
            reasons += [
                f"StatefulSet {rack.stateful_set} has a change that waits for a restart, which making it again would "
                "forget: run the playbook restart first"
                for rack in self.cluster.look().view.racks
                if rack.current_revision != rack.update_revision
            ]
        if reasons:
            # A class that is not there is missed by whoever needs it.
            raise SpecError(list(dict.fromkeys(reasons)))
        for name, item in self.too_large(found).items():
            if not less(capacity(item), self.size):
                self.say_once(
                    f"{self.members.short(name)} has {self.size} and asks for {requested(item['spec'])}, which its "
                    "storage refused so far. Kubernetes takes a wish back only to a size above what the volume has: it "
                    "stays, and the volume grows when its storage allows it"
                )
        for warning in self.evacuating.followers(found, wishes):
            self.say_once(self.members.short(warning))

    def sizes(self, found: Objects, wishes: Mapping[str, Wanted]) -> dict[str, str | None]:
        """Pod -> the size that its data has to fit."""
        claims = found.all("PersistentVolumeClaim")
        return {
            name.removeprefix("data-"): renewal.to_fit(capacity(claims[name]), wanted)
            for name, wanted in wishes.items()
        }

    def as_they_are(self, found: Objects, names: Sequence[str]) -> list[str]:
        """Why these volumes cannot become what is wanted, and what can be done."""
        causes: dict[str, list[str]] = {}
        for name in names:
            causes.setdefault(self.cause(found.all("PersistentVolumeClaim")[name]), []).append(name)
        option = f"{self.params.get('option_prefix', '')}replace_volumes"
        way = (
            f"With {option}: true (of scale or the module volume) each node gives its volume up and takes its place "
            f"again on one of {self.wanted.words()}, one node after the other; --check shows it"
        )
        return [f"{short(listed)}: {cause}. {way}" for cause, listed in causes.items()]

    def cause(self, claim: Mapping[str, Any]) -> str:
        spec, has = claim["spec"], capacity(claim)
        its_class = spec.get("storageClassName")
        if renewal.of_another_class(spec, self.wanted):
            return f"volumes of the StorageClass {its_class} keep it for life, wanted is {self.wanted.storage_class}"
        if less(self.size, has):
            return f"{has} is more than {self.size}, and Kubernetes cannot shrink a volume"
        return f"volumes of the StorageClass {its_class} cannot grow (allowVolumeExpansion is not set)"

    def no_class(self) -> list[str]:
        """The class that is wanted is not there, as far as these credentials may read classes."""
        name = self.wanted.storage_class
        try:
            missing = name is not None and self.kube.get("StorageClass", name) is None
        except Forbidden:
            self.say_once(UNREAD)
            return []
        return [f"storage_class: there is no StorageClass {name}"] if missing else []

    def fixed_classes(self, found: Objects) -> list[str]:
        """Classes of the nodes' claims whose volumes cannot grow, as far as these credentials may read them."""
        names = {item["spec"].get("storageClassName") for item in self.claims(found).values()} - {None, ""}
        fixed = []
        for name in sorted(map(str, names)):
            try:
                item = self.kube.get("StorageClass", name)
            except Forbidden:
                self.say_once(UNREAD)
                return []
            if item is not None and not item.get("allowVolumeExpansion"):
                fixed.append(name)
        return fixed

    def say_once(self, warning: str) -> None:
        if warning not in self.ctx.warnings:
            self.ctx.warnings.append(warning)

    def nodes(self, claims: Iterable[str]) -> list[NodeView]:
        """The nodes of these claims, but for one whose replacement has begun: it cannot be asked."""
        begun = self.renewing.begun()
        pods = [pod for name in claims if (pod := name.removeprefix("data-")) != begun]
        return [node for node in self.cluster.look().view.nodes if node.pod in pods]

    def scene(self, claims: Iterable[str]) -> Scene:
        sight = self.cluster.ask(self.cluster.look(), also=[name.removeprefix("data-") for name in claims])
        return Scene(sight.view, sight.others)

    def predict(self) -> dict[str, Any]:
        found = self.members.look()[0]
        self.refuse(found)
        words = [f"grow {name} to {self.size}" for name in self.to_grow(found)]
        words += [f"ask for {self.size} again for {name}" for name in self.to_take_back(found)]
        words += [f"make StatefulSet {name} again" for name in self.to_make(found)]
        words += self.steps(found)
        return {"changed": bool(words), "changes": words}

    def steps(self, found: Objects) -> list[str]:
        """Node after node what is given up, what for, and what is on it."""
        wishes = self.to_renew(found)
        seen = self.scene(wishes).cluster.observations if wishes else {}
        lines = []
        for name, wanted in wishes.items():
            pod = name.removeprefix("data-")
            held = seen[pod].activity.sizes if pod in seen else None
            total = None if held is None else sum(held.values())
            spec = found.all("PersistentVolumeClaim")[name]["spec"]
            lines.append(renewal.step(self.members.short(pod), spec, wanted, total))
        return lines

    # Doing it

    def become(self) -> None:
        self.finish_interrupted()
        found = self.members.look()[0]
        self.refuse(found)
        for name in self.to_grow(found):
            self.ask(name)
            self.members.say(f"{name} grows to {self.size}")
        for name in self.to_take_back(found):
            self.take_back(found.all("PersistentVolumeClaim")[name])
        until(self.growing, f"the volumes to have {self.size}", self.limit, self.ctx.progress, PAUSE)
        for name in self.to_make(found):
            self.remake(found.all("StatefulSet")[name])
        for name, wanted in self.to_renew(found).items():
            self.renewing.renew(name.removeprefix("data-"), wanted)

    def ask(self, name: str) -> None:
        self.cluster.check()
        patch = {"spec": {"resources": {"requests": {"storage": self.size}}}}
        self.kube.patch("PersistentVolumeClaim", name, patch)

    def take_back(self, claim: Mapping[str, Any]) -> None:
        """:raises CassopsError: this Kubernetes cannot (before 1.34 it is a feature gate)."""
        name, wish = claim["metadata"]["name"], requested(claim["spec"])
        try:
            self.ask(name)
        except Invalid as refusal:
            raise CassopsError(
                f"{name} has {capacity(claim)} and asks for {wish}, which its storage refused, and this Kubernetes "
                f"does not take that back (1.34 does): {refusal}. Make its storage give {wish}, and ask for that"
            ) from refusal
        self.members.say(f"{name} asks for {self.size} in place of {wish}")

    def growing(self) -> list[str]:
        """Volumes that are not as large yet, and do not wait for a restart alone."""
        found = self.members.look()[0]
        others, now = self.to_renew(found), self.kube.server_time()
        late = {
            name: item
            for name, item in self.claims(found).items()
            if name not in others and less(capacity(item), self.size) and not waits_for_restart(item, now)
        }
        words = [f"{name} has {capacity(item)}{stage(item)}" for name, item in late.items()]
        if words:
            # What keeps the first one from growing mostly keeps the others, too.
            words[0] += last_event(self.kube, next(iter(late)), "")
        return words

    def remake(self, item: Object) -> None:
        """A StatefulSet as it was, but for new claims. Its pods go on."""
        name = item["metadata"]["name"]
        made = anew(item, self.wanted)
        self.write_copy(name, made)
        self.cluster.check()
        self.kube.delete("StatefulSet", name, uid=item["metadata"]["uid"], propagation="Orphan")
        self.create(name, made)

    def create(self, name: str, made: Object) -> None:
        def look() -> list[str]:
            return [f"StatefulSet {name} to go"] if self.kube.get("StatefulSet", name) else []

        until(look, f"StatefulSet {name} to be deleted without its pods", self.limit, self.ctx.progress)
        self.cluster.check()
        # Applied, as deploy does: what another manager made, deploy could never take away again.
        self.kube.apply(made)
        until(self.unobserved, f"Kubernetes to see StatefulSet {name}", self.limit, self.ctx.progress)
        self.forget_copy()
        self.members.say(f"StatefulSet {name} is made again: new volumes have {self.wanted.words()}")

    def unobserved(self) -> list[str]:
        return gates.unobserved(self.cluster.look().view)

    def finish_interrupted(self) -> None:
        item = self.kube.get("ConfigMap", self.copies)
        if item is None:
            return
        name, made = item["data"]["name"], json.loads(item["data"]["object"])
        there = self.kube.get("StatefulSet", name)
        if there is None or "deletionTimestamp" in there["metadata"]:
            self.create(name, made)
        self.forget_copy()

    def write_copy(self, name: str, made: Object) -> None:
        self.cluster.check()
        metadata = {"name": self.copies, "labels": labels_of(self.cluster.name, self.cluster.own.datacenter)}
        data = {"name": name, "object": json.dumps(made)}
        self.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    def forget_copy(self) -> None:
        item = self.kube.get("ConfigMap", self.copies)
        if item is not None:
            self.cluster.check()
            self.kube.delete("ConfigMap", self.copies, uid=item["metadata"]["uid"])

    def done(self) -> dict[str, Any]:
        """What was done; nothing is looked at, so it can be told when nothing answers."""
        return {
            "changed": bool(self.members.done),
            "changes": self.members.done,
            "replaced": [done.facts() for done in self.renewing.done],
        }

    def result(self) -> dict[str, Any]:
        claims, now = self.claims(self.members.look()[0]), self.kube.server_time()
        return {
            **self.done(),
            "volumes": {name.removeprefix("data-"): capacity(item) for name, item in claims.items()},
            "needs_restart": waiting(claims, now),
        }


def waiting(claims: Mapping[str, Object], now: float) -> list[str]:
    """Nodes whose file systems grow when they start."""
    return [name.removeprefix("data-") for name, item in claims.items() if waits_for_restart(item, now)]


def waits_for_restart(claim: Mapping[str, Any], now: float) -> bool:
    """Its file system did not grow under the running pod, and will when the pod starts.

    :param now: seconds since 1970, by the API server's clock.
    """
    pending = condition(claim, FOR_RESTART)
    if not pending or not less(capacity(claim), requested(claim["spec"])):
        return False
    since = pending.get("lastTransitionTime")
    return since is None or now - seconds_of(since) >= ONLINE


def stage(claim: Mapping[str, Any]) -> str:
    """How far the growth of a volume is, as the end of a sentence."""
    if condition(claim, FOR_RESTART):
        return "; the storage is done, its file system comes next"
    return " and is being resized" if condition(claim, RESIZING) else ""


def anew(item: Mapping[str, Any], wanted: Wanted) -> Object:
    """A StatefulSet to be made, as one that lives, with other claims."""
    kept = ("name", "labels", "annotations")
    asked = {"storageClassName": wanted.storage_class} if wanted.storage_class else {}
    metadata = {key: value for key, value in item["metadata"].items() if key in kept}
    claims = [
        {
            "metadata": {key: value for key, value in claim["metadata"].items() if key in kept},
            "spec": {**claim["spec"], **asked, "resources": {"requests": {"storage": wanted.size}}},
        }
        for claim in item["spec"]["volumeClaimTemplates"]
    ]
    spec = {**item["spec"], "volumeClaimTemplates": claims}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}


def template(stateful_set: Mapping[str, Any]) -> Mapping[str, Any]:
    claim: Mapping[str, Any] = stateful_set["spec"]["volumeClaimTemplates"][0]
    return claim
