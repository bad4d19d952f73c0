# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node has of a worker: its volume, CPU and memory, and Java's heap of that. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import quantity
from .reader import Reader

DEFAULT_CPU = "2"
"""CPU that a node asks for. It has no CPU limit: throttling in the middle of a request costs more than it protects."""
DEFAULT_MEMORY = "8Gi"
"""Memory that a node asks for and is limited to: both the same, so that the kernel never kills it for a neighbour."""
MAX_DEFAULT_HEAP = 16 * quantity.GIB
"""The default heap is half of the memory up to this; the rest serves off-heap memtables and the page cache."""
MIN_HEAP = 256 * quantity.MIB
"""With less, Cassandra spends its time in garbage collection, or does not start at all."""
MIN_HEADROOM = 512 * quantity.MIB
"""Memory that Cassandra needs beside its heap at the least: code, threads, direct buffers, off-heap structures."""


def read_storage_size(reader: Reader, storage: Mapping[str, Any]) -> str:
    """Size of a node's volume."""
    size = storage.get("size")
    if size is None or size == "":
        reader.fault("storage.size", "is missing; give the size of a node's volume, such as 100Gi")
        return ""
    return reader.amount("storage.size", size)


def read_resources(reader: Reader) -> dict[str, dict[str, str]]:
    """Requests and limits, of which memory is the same unless both are given."""
    given = reader.mapping("resources", ("requests", "limits"))
    requests, limits = (_quantities(reader, given, kind) for kind in ("requests", "limits"))
    memory = limits.get("memory") or requests.get("memory") or DEFAULT_MEMORY
    requests.setdefault("memory", memory)
    limits.setdefault("memory", memory)
    requests.setdefault("cpu", limits.get("cpu", DEFAULT_CPU))
    for resource in sorted(set(requests) & set(limits)):
        if (
            requests[resource]
            and limits[resource]
            and quantity.value(requests[resource]) > quantity.value(limits[resource])
        ):
            reader.fault(
                f"resources.requests.{resource}",
                f"is {requests[resource]}, more than the limit of {limits[resource]}; Kubernetes refuses that",
            )
    return {"limits": dict(sorted(limits.items())), "requests": dict(sorted(requests.items()))}


def _quantities(reader: Reader, given: Mapping[str, Any], kind: str) -> dict[str, str]:
    path = f"resources.{kind}"
    amounts = reader.structure(path, given.get(kind), dict)
    return {str(name): reader.amount(f"{path}.{name}", amount) for name, amount in amounts.items()}


def read_heap(reader: Reader, resources: Mapping[str, Mapping[str, str]]) -> str:
    """Size of Java's heap: what is given, or what suits the limit of memory."""
    memory = resources["limits"]["memory"]
    limit = int(quantity.value(memory)) if memory else 0
    if 0 < limit < MIN_HEAP + MIN_HEADROOM:
        reader.fault(
            "resources.limits.memory",
            f"{memory} is too little memory: Cassandra needs a heap of at least {quantity.human(MIN_HEAP)} and"
            f" {quantity.human(MIN_HEADROOM)} beside it; give at least {quantity.human(MIN_HEAP + MIN_HEADROOM)}",
        )
        return ""
    if not reader.text("heap"):
        return quantity.jvm_size(min(limit // 2, limit - MIN_HEADROOM, MAX_DEFAULT_HEAP))
    return _checked_heap(reader, limit)


def _checked_heap(reader: Reader, limit: int) -> str:
    try:
        heap = quantity.jvm_bytes(reader.text("heap"))
    except ValueError:
        reader.fault("heap", f"must be a size such as 512M or 8G, got {reader.values['heap']!r}")
        return ""
    needed = heap + max(MIN_HEADROOM, heap // 4)
    if heap < MIN_HEAP:
        reader.fault("heap", f"must be at least {quantity.human(MIN_HEAP)}, got {reader.text('heap')}")
    elif limit and needed > limit:
        reader.fault(
            "heap",
            f"{reader.text('heap')} does not fit into the memory limit of {quantity.human(limit)}: beside its heap "
            f"Cassandra needs {quantity.human(needed - heap)} (a quarter of the heap, at least "
            f"{quantity.human(MIN_HEADROOM)}); lower heap, or raise resources.limits.memory to "
            f"{quantity.human(needed)} or more",
        )
    return quantity.jvm_size(heap)
