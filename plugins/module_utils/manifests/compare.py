# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a live object is as desired, told without asking the API server. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import quantity
from .common import APPLIED_ANNOTATION, Object

_QUANTITIES = ("limits", "requests")


def with_applied_annotation(desired: Object) -> Object:
    """A copy that carries the hash of itself in an annotation.

    With it `differences` also notices what was desired once and is not any more: a field that only the live object has
    is otherwise taken for one that the API server filled in.
    """
    metadata = desired.get("metadata", {})
    annotations = {**metadata.get("annotations", {}), APPLIED_ANNOTATION: applied_hash(desired)}
    return {**desired, "metadata": {**metadata, "annotations": annotations}}


def applied_hash(desired: Object) -> str:
    """Hash of a desired object, before the annotation is on it; 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(desired, sort_keys=True).encode()).hexdigest()[:16]


def differences(desired: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """Paths of the fields of `desired` that `live` does not have with the same value.

    What only `live` has is ignored, because the API server fills in defaults. Lists must have the same members: by name
    where all have one, by position otherwise. Quantities are compared by value, and nothing equals empty.

    :returns: such as `spec.template.spec.containers[cassandra].image`; empty when `live` is as desired.
    """
    return list(_compare(desired, live, "", False))


def _compare(desired: Any, live: Any, path: str, amounts: bool) -> Iterator[str]:
    if _empty(desired) and _empty(live):
        return
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        for key in sorted(desired):
            inner = amounts or key in _QUANTITIES
            yield from _compare(desired[key], live.get(key), f"{path}.{key}" if path else key, inner)
    elif isinstance(desired, (list, tuple)) and isinstance(live, (list, tuple)):
        yield from _compare_lists(desired, live, path, amounts)
    elif desired != live and not (amounts and quantity.same(desired, live)):
        yield path


def _compare_lists(desired: Sequence[Any], live: Sequence[Any], path: str, amounts: bool) -> Iterator[str]:
    wanted, found = _members(desired), _members(live)
    if set(wanted) != set(found):
        yield from sorted(f"{path}[{key}]" for key in set(wanted) ^ set(found))
    for key in wanted:
        if key in found:
            yield from _compare(wanted[key], found[key], f"{path}[{key}]", amounts)


def _members(items: Sequence[Any]) -> dict[str, Any]:
    names = [_name(item) for item in items]
    if all(names) and len(set(names)) == len(names):
        return dict(zip(names, items, strict=True))
    return {str(index): item for index, item in enumerate(items)}


def _name(item: Any) -> str:
    """Its name; a claim template has it in its metadata."""
    if not isinstance(item, Mapping):
        return ""
    metadata = item.get("metadata")
    return str(item.get("name") or (metadata.get("name") if isinstance(metadata, Mapping) else "") or "")


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, (Mapping, list, tuple)) and not value)
