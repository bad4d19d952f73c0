# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user may add to the pods (`cassandra_pod_template`): checked, and laid over our pod template. Pure.

The subset below is open because none of it can break what the start script, the gates and the rollouts rely on.
Mappings are merged key by key (null takes a key away), lists of things with a name are merged by that name, and other
lists are put after ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

METADATA = ("annotations", "labels")
SPEC = (
    "affinity",
    "containers",
    "hostAliases",
    "imagePullSecrets",
    "initContainers",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
)
CASSANDRA_CONTAINER = ("env", "envFrom", "imagePullPolicy", "name", "resources", "securityContext", "volumeMounts")
OWNED_ENV = ("CASSANDRA_CONF", "HEAP_NEWSIZE", "HOME", "JVM_EXTRA_OPTS", "MAX_HEAP_SIZE", "POD_IP", "POD_NAME")
OWNED_LABELS = (
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/name",
    "app.kubernetes.io/version",
    "statefulset.kubernetes.io/pod-name",
)
OWNED_VOLUMES = (
    "backup-credentials",
    "backup-password",
    "backup-spool",
    "conf",
    "config",
    "data",
    "home",
    "ledger",
    "logs",
    "tmp",
)
LABEL_DOMAIN = "cassops.kubernetes/"
CASSANDRA = "cassandra"
"""Name of the container that runs Cassandra."""

_LISTS = (
    "containers",
    "hostAliases",
    "imagePullSecrets",
    "initContainers",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
)
_MAPPINGS = ("affinity", "nodeSelector", "securityContext")


def check(template: Mapping[str, Any], path: str) -> list[str]:
    """What is wrong with the template, one sentence a fault; empty when nothing is.

    :param path: path of the template for the messages, such as `cassandra_pod_template`.
    """
    errors = list(_unknown(template, ("metadata", "spec"), path))
    errors += _metadata(template.get("metadata"), f"{path}.metadata")
    errors += _spec(template.get("spec"), f"{path}.spec")
    return errors


def merge(ours: Any, theirs: Any) -> Any:
    """Ours with theirs laid over it; neither is changed."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        merged = {key: merge(ours.get(key), value) for key, value in theirs.items() if value is not None}
        kept = {key: value for key, value in ours.items() if key not in theirs}
        return {**kept, **merged}
    if isinstance(ours, list) and isinstance(theirs, list):
        return _merge_lists(ours, theirs)
    return theirs


def _merge_lists(ours: list[Any], theirs: list[Any]) -> list[Any]:
    if not all(isinstance(item, Mapping) and "name" in item for item in (*ours, *theirs)):
        return [*ours, *theirs]
    over = {item["name"]: item for item in theirs}
    names = {item["name"] for item in ours}
    merged = [merge(item, over[item["name"]]) if item["name"] in over else item for item in ours]
    return [*merged, *(item for item in theirs if item["name"] not in names)]


def _metadata(metadata: Any, path: str) -> Iterator[str]:
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        yield f"{path}: must be a mapping with {' and '.join(METADATA)}, got {metadata!r}"
        return
    yield from _unknown(metadata, METADATA, path)
    for kind in METADATA:
        for key in metadata.get(kind) or {}:
            if str(key).startswith(LABEL_DOMAIN) or key in OWNED_LABELS:
                yield f"{path}.{kind}.{key}: belongs to the collection, which finds its pods by it; take it out"


def _spec(spec: Any, path: str) -> Iterator[str]:
    if spec is None:
        return
    if not isinstance(spec, Mapping):
        yield f"{path}: must be a mapping of pod fields, got {spec!r}"
        return
    yield from _unknown(spec, SPEC, path)
    yield from _shapes(spec, path)
    for index, container in enumerate(_mappings(spec.get("containers"))):
        yield from _container(container, f"{path}.containers[{index}]")
    for index, volume in enumerate(_mappings(spec.get("volumes"))):
        if volume.get("name") in OWNED_VOLUMES:
            yield f"{path}.volumes[{index}].name: {volume['name']} is one of the collection's volumes; choose another"
    if "topology.kubernetes.io/zone" in (spec.get("nodeSelector") or {}):
        yield f"{path}.nodeSelector: the zone is given per rack, in racks[].zone; take topology.kubernetes.io/zone out"


def _shapes(spec: Mapping[str, Any], path: str) -> Iterator[str]:
    for key in _LISTS:
        if spec.get(key) is not None and not isinstance(spec[key], list):
            yield f"{path}.{key}: must be a list, got {spec[key]!r}"
    for key in _MAPPINGS:
        if spec.get(key) is not None and not isinstance(spec[key], Mapping):
            yield f"{path}.{key}: must be a mapping, got {spec[key]!r}"
    for key in ("containers", "initContainers", "volumes"):
        for index, item in enumerate(spec[key] if isinstance(spec.get(key), list) else ()):
            if not isinstance(item, Mapping) or not item.get("name"):
                yield f"{path}.{key}[{index}].name: is missing; things in this list are merged by their name"


def _container(container: Mapping[str, Any], path: str) -> Iterator[str]:
    if container.get("name") != CASSANDRA:
        return
    yield from _unknown(container, CASSANDRA_CONTAINER, path)
    for index, variable in enumerate(_mappings(container.get("env"))):
        name = str(variable.get("name", ""))
        if name in OWNED_ENV or name.startswith("CASSOPS_"):
            yield f"{path}.env[{index}].name: {name} is set by the collection; use heap or jvm_options, or take it out"
    for index, mount in enumerate(_mappings(container.get("volumeMounts"))):
        if mount.get("name") in OWNED_VOLUMES:
            yield f"{path}.volumeMounts[{index}].name: {mount['name']} is mounted by the collection; take it out"
    resources = container.get("resources")
    for kind in ("requests", "limits"):
        for resource in ("cpu", "memory"):
            if isinstance(resources, Mapping) and resource in (resources.get(kind) or {}):
                yield f"{path}.resources.{kind}.{resource}: is set by `resources`, which is checked against the heap"


def _mappings(items: Any) -> list[Mapping[str, Any]]:
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _unknown(given: Mapping[str, Any], known: Iterable[str], path: str) -> Iterator[str]:
    for key in sorted(set(given) - set(known), key=str):
        nearest = difflib.get_close_matches(str(key), list(known), n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"what may be set: {', '.join(sorted(known))}"
        yield f"{path}.{key}: cannot be set here; {hint}"
