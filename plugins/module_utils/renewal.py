# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as they are wanted: which grow where they are, which need another one instead, and why that may not be. Pure.

Kubernetes makes no volume smaller and moves none to another class, and some classes make none larger. There the node
gives its volume up and takes its own place on an empty one, as after the loss of a volume; but its ranges are repaired
before, since a row may be on two of three replicas only, one of them this one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from . import gates, quantity
from .report import size as human
from .scaling import Scene
from .view import NodeView

Claim = Mapping[str, Any]
"""The spec of a volume claim, or of a StatefulSet's template of claims."""

FILES = Fraction(95, 100)
"""The part of a volume that its file system leaves to files."""


@dataclass(frozen=True)
class Wanted:
    """:param storage_class: None where each volume keeps its own.
    :param leaves: the worker that a node leaves when it gives its volume up.
    """

    size: str
    storage_class: str | None = None
    leaves: str | None = None

    def words(self) -> str:
        volume = described(self.size, self.storage_class)
        return f"{volume} on another worker than {self.leaves}" if self.leaves else volume


def described(size: str, storage_class: str | None) -> str:
    return f"{size} (class {storage_class})" if storage_class else size


def requested(spec: Claim) -> str:
    return str(spec["resources"]["requests"]["storage"])


def capacity(claim: Mapping[str, Any]) -> str:
    """What the volume has; what it asks for as long as nobody has told."""
    return str(claim.get("status", {}).get("capacity", {}).get("storage") or requested(claim["spec"]))


def less(one: str, other: str) -> bool:
    return quantity.value(one) < quantity.value(other)


def of_another_class(spec: Claim, wanted: Wanted) -> bool:
    return wanted.storage_class not in (None, spec.get("storageClassName"))


def differs(spec: Claim, wanted: Wanted) -> bool:
    return not quantity.same(requested(spec), wanted.size) or of_another_class(spec, wanted)


def must_be_renewed(spec: Claim, has: str, wanted: Wanted, fixed: Collection[str]) -> bool:
    """Whether the volume itself can never become what is wanted.

    :param has: its size. It asks for more where it could not grow so far; that can be taken back.
    :param fixed: classes whose volumes cannot grow.
    """
    if of_another_class(spec, wanted) or less(wanted.size, has):
        return True
    return less(requested(spec), wanted.size) and spec.get("storageClassName") in fixed


def step(name: str, spec: Claim, wanted: Wanted, held: int | None) -> str:
    """One line of the plan that a person is shown.

    :param held: bytes of the node's tables.
    """
    mine = described(requested(spec), spec.get("storageClassName"))
    data = "" if held is None else f", with {human(held)} of data"
    return f"{name} gives up its volume of {mine}{data}, and takes its place again on one of {wanted.words()}"


def to_fit(has: str, wanted: Wanted) -> str | None:
    """The size that a node's data has to fit. None where it leaves its worker, and gets no less than it has there: then
    it is as full as before.

    :param has: the size of its volume.
    """
    return None if wanted.leaves and not less(wanted.size, has) else wanted.size


def refusals(scene: Scene, nodes: Sequence[NodeView], sizes: Mapping[str, str | None]) -> list[str]:
    """Why these nodes may not give up their volumes for others.

    :param sizes: pod -> the size that its data has to fit, see L(to_fit).
    """
    if not nodes:
        return []
    fitting = [(node, size) for node in nodes if (size := sizes[node.pod]) is not None]
    return [*too_few_copies(scene), *(reason for node, size in fitting for reason in no_room(scene, node, size))]


def copy_name(cluster: str, datacenter: str) -> str:
    """The ConfigMap with a StatefulSet that is deleted, and not made anew yet."""
    return f"{cluster}-{datacenter}-remaking"


def too_few_copies(scene: Scene) -> list[str]:
    """Keyspaces of which a node that is away takes the quorum with it: two replicas, or one."""
    here = scene.view.datacenter
    rules = gates.availability((scene.view, *scene.others)).fragile
    names = {name for rule in rules for name in rule.keyspaces if here in dict(rule.parts)}
    if not names:
        return []
    return [
        f"{gates.keyspaces_named(sorted(names))}: with one node away some rows have no quorum left, and its volume may "
        "hold the last copy but one, or the last. Give them three replicas here first (ALTER KEYSPACE, then a repair)"
    ]


def no_room(scene: Scene, node: NodeView, size: str) -> list[str]:
    """Its data, and its largest table a second time while that is compacted, must fit."""
    seen = scene.cluster.observations.get(node.pod)
    if seen is None or seen.activity.sizes is None or seen.activity.largest_table is None:
        return [f"how much data {node.pod} holds is not known: see its log, and that nodetool works there"]
    held, largest = sum(seen.activity.sizes.values()), seen.activity.largest_table
    if held + largest <= quantity.value(size) * FILES:
        return []
    return [
        f"{node.pod} holds {human(held)} and needs {human(largest)} beside to compact its largest table; a volume of "
        f"{size} is too small for both"
    ]
