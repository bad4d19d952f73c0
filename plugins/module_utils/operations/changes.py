# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applying: compare what is desired with what lives, say the difference, send only what differs.

A desired object counts as applied when it carries the hash of what was last applied and no desired field differs from
the living one: the hash notices what was taken away from the desired object, the comparison what somebody else changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..configuration import is_one
from ..errors import CassopsError
from ..hiding import hidden
from ..kube import Kube
from ..manifests import differences, with_applied_annotation
from ..manifests.common import APPLIED_ANNOTATION, MANAGED
from ..observe import Objects, attempt, template_of, together, without_nulls

try:
    import yaml
except ImportError:
    # Without it no kubeconfig can be read, and kubeauth.py tells so; nothing here is reached.
    yaml = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Change:
    """One object to create or to update, and the paths that differ (none: only something is to be taken away)."""

    desired: dict[str, Any]
    live: dict[str, Any] | None
    paths: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return str(self.desired["kind"])

    @property
    def name(self) -> str:
        return str(self.desired["metadata"]["name"])

    @property
    def verb(self) -> str:
        return "update" if self.live else "create"

    def __str__(self) -> str:
        shown = ", ".join(self.paths[:4]) + (", ..." if len(self.paths) > 4 else "")
        return f"{self.verb} {self.kind} {self.name}" + (f" ({shown})" if shown else "")


def plan(desired: Iterable[dict[str, Any]], found: Objects) -> list[Change]:
    """What has to be sent, in the order given."""
    changes = []
    for item in desired:
        live = found.get(item["kind"], item["metadata"]["name"])
        marked = with_hash(item)
        if live is None:
            changes.append(Change(marked, None))
            continue
        paths = tuple(differences(item, live))
        if paths or applied(marked) != applied(live):
            changes.append(Change(marked, live, paths))
    return changes


def wanted(kube: Kube, desired: Iterable[dict[str, Any]], found: Objects) -> list[Change]:
    """L(plan), without what would be sent again for ever: where an admission webhook changes our objects as they come
    in (their images, say, or resources), they never live as desired, and are as they should be all the same.

    The API server is asked by a dry run, only for objects that carry what was last applied.
    """
    return [change for change in plan(desired, found) if not comes_out_as_is(kube, change)]


def comes_out_as_is(kube: Kube, change: Change) -> bool:
    if change.live is None or applied(change.desired) != applied(change.live):
        return False
    would = attempt(lambda: kube.apply(change.desired, dry_run=True))
    # A webhook that takes no dry runs is heard when the change is sent.
    return not isinstance(would, CassopsError) and content(would) == content(change.live)


def is_of_template(kube: Kube, change: Change) -> bool:
    """Whether a change of a living StatefulSet is one of its pods' template, so that they wait for a restart.

    What is taken away is in no path, and a webhook may have its say: the API server is asked by a dry run.
    """
    would = attempt(lambda: kube.apply(change.desired, dry_run=True))
    if isinstance(would, CassopsError) or change.live is None:
        return True
    return not same_template(would, change.live)


def with_hash(item: dict[str, Any]) -> dict[str, Any]:
    """The object with the hash of itself.

    The address of a Service does not count: Kubernetes gives it, and it is desired from then on. Nor do the partition
    of a StatefulSet, which rollouts move, and the number of its nodes and the size of their volumes, which scaling
    changes.
    """
    counted = item
    if item["kind"] == "Service":
        counted = {**item, "spec": {key: value for key, value in item["spec"].items() if key != "clusterIP"}}
    if item["kind"] == "StatefulSet":
        moved = ("updateStrategy", "replicas", "volumeClaimTemplates")
        counted = {**item, "spec": {key: value for key, value in item["spec"].items() if key not in moved}}
    return {**item, "metadata": with_applied_annotation(counted)["metadata"]}


def applied(item: Mapping[str, Any]) -> str | None:
    annotation: str | None = (item["metadata"].get("annotations") or {}).get(APPLIED_ANNOTATION)
    return annotation


def is_ours(item: Mapping[str, Any]) -> bool:
    """Whether this collection has applied a living object. Labels alone do not tell: who copies an object, or makes one
    of a pod, copies them too."""
    labels = item["metadata"].get("labels") or {}
    return MANAGED.items() <= labels.items() and applied(item) is not None


def foreign(kube: Kube, wanted: Iterable[tuple[str, str]], ours: Mapping[str, str]) -> list[str]:
    """Which of these objects, by kind and name, are there and somebody else's. To apply them would take them over.

    :param ours: the labels of the datacenter.
    """
    names = list(wanted)
    there = together(lambda one: kube.get(*one), names)
    return [" ".join(one) for one, item in zip(names, there, strict=True) if item and not is_of(item, ours)]


def is_of(item: Mapping[str, Any], ours: Mapping[str, str]) -> bool:
    """Whether a living object is the datacenter's; also one whose labels somebody took away."""
    said = item["metadata"].get("labels") or {}
    agrees = all(said.get(key) in (None, value) for key, value in ours.items())
    return ours.items() <= said.items() or (agrees and applied(item) is not None)


def taken(kube: Kube, wanted: Iterable[tuple[str, str]], ours: Mapping[str, str]) -> list[str]:
    """Why a datacenter that lives cannot get these objects. See L(foreign)."""
    others = foreign(kube, wanted, ours)
    if not others:
        return []
    return [
        f"in namespace {kube.namespace} somebody else has {', '.join(others)}, and the datacenter needs the name: "
        "delete it there, or make it anew under another name"
    ]


def send(kube: Kube, changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Apply each change server-side; the objects as the API server now has them."""
    return [kube.apply(change.desired) for change in changes]


def foreseen(found: Objects, would: Iterable[Mapping[str, Any]], revisions: Sequence[Mapping[str, Any]]) -> Objects:
    """What there is once a datacenter's objects are applied, its ControllerRevisions among them.

    :param would: as the API server answers to a dry run of each.
    :param revisions: the ControllerRevisions that there are.
    """
    by_kind = {kind: dict(items) for kind, items in found.by_kind.items()}
    numbered = by_kind["ControllerRevision"] = {item["metadata"]["name"]: dict(item) for item in revisions}
    for item in would:
        kind, name = item["kind"], item["metadata"]["name"]
        live, there = found.get(kind, name), dict(item)
        if kind == "StatefulSet" and live is not None:
            status = dict(live.get("status", {}))
            if not same_template(item, live):
                newest = _next_revision(name, item["spec"]["template"], numbered)
                status["updateRevision"] = newest["metadata"]["name"]
                numbered[status["updateRevision"]] = newest
            # Nobody waits for Kubernetes to look at what is only foreseen.
            metadata = {**item["metadata"], "generation": live["metadata"].get("generation", 0)}
            there.update(metadata=metadata, status=status)
        by_kind.setdefault(kind, {})[name] = there
    return Objects(by_kind)


def _next_revision(
    stateful_set: str, template: Mapping[str, Any], revisions: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The ControllerRevision that Kubernetes will have for a template, with the highest number: the former one where
    the template comes again (C(getStatefulSetRevisions) in C(pkg/controller/statefulset))."""
    mine = [item for name, item in revisions.items() if name.rpartition("-")[0] == stateful_set]
    number = max((item.get("revision", 0) for item in mine), default=0) + 1
    new: Mapping[str, Any] = {
        "metadata": {"name": f"{stateful_set}-to-come"},
        "data": {"spec": {"template": template}},
    }
    same = (item for item in mine if template_of(item) == without_nulls(template))
    return {**next(same, new), "revision": number}


def same_template(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Of two StatefulSets; API servers of two versions may have answered."""
    return bool(without_nulls(one["spec"]["template"]) == without_nulls(other["spec"]["template"]))


def diff(changes: Iterable[Change], configuration: Callable[[], Mapping[str, Any] | None]) -> list[dict[str, str]]:
    """Ansible's diff of the changes: the fields we manage, before and after.

    C(configuration) gives the ConfigMap that the nodes use today: a new configuration is a new object with a name of
    its own, and a person wants to see the lines that change.
    """
    shown = []
    for change in changes:
        before = change.live
        if before is None and change.kind == "ConfigMap" and is_one(change.desired):
            before = dict(configuration() or {}) or None
        header = f"{change.kind} {change.name}"
        shown.append(
            {
                "before_header": header if before else f"{header} (absent)",
                "after_header": header,
                "before": text(hidden(managed(before, change.desired))) if before else "",
                "after": text(hidden(content(change.desired))),
            }
        )
    return shown


def managed(live: Any, desired: Any) -> Any:
    """The part of a living object that the desired one speaks of."""
    return only(content(live), content(desired))


def content(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what only the machinery reads: kind, version, the hash."""
    metadata = {
        "labels": item["metadata"].get("labels", {}),
        "annotations": {k: v for k, v in item["metadata"].get("annotations", {}).items() if k != APPLIED_ANNOTATION},
    }
    return {
        "metadata": {key: value for key, value in metadata.items() if value},
        **{key: value for key, value in item.items() if key not in ("apiVersion", "kind", "metadata", "status")},
    }


def named(item: Mapping[str, Any]) -> dict[str, Any]:
    """L(content) with kind and name, by which the object can be taken for applied elsewhere."""
    shown = content(item)
    return {"kind": item["kind"], **shown, "metadata": {"name": item["metadata"]["name"], **shown["metadata"]}}


def only(live: Any, desired: Any) -> Any:
    if isinstance(live, Mapping) and isinstance(desired, Mapping):
        return {key: only(live[key], desired[key]) for key in desired if key in live}
    if isinstance(live, list) and isinstance(desired, list):
        return [only(one, other) for one, other in zip(live, desired, strict=False)] + live[len(desired) :]
    return live


class Readable(yaml.SafeDumper if yaml else object):  # type: ignore[misc]
    """YAML as people write it: texts of several lines as lines, lists under their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Labels that stand in several places are written in each."""
        return True


def text(item: Mapping[str, Any]) -> str:
    """An object as YAML."""
    return str(yaml.dump(item, Dumper=Readable, default_flow_style=False, width=120))


def _lines(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


if yaml:
    Readable.add_representer(str, _lines)
