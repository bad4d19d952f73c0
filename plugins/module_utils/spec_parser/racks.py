# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Racks, the names that Kubernetes makes of them, and the tokens of their nodes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..spec import DEFAULT_NUM_TOKENS, Datacenter, Rack
from .reader import Reader

MAX_STATEFUL_SET_NAME = 52
"""Kubernetes labels a StatefulSet's pods with `<its name>-<10 characters>`, and a label has at most 63."""
MAX_NAME = 63


def read_racks(reader: Reader) -> tuple[Rack, ...]:
    """At least one, each with a name of its own."""
    before = len(reader.faults)
    given = reader.structure("racks", reader.values.get("racks"), list)
    if not given and len(reader.faults) == before:
        reader.fault("racks", "must have at least one rack, such as [{name: rack1, nodes: 3}]")
    racks = tuple(_rack(reader, index, rack) for index, rack in enumerate(given))
    _duplicates(reader, racks)
    return racks


def _rack(reader: Reader, index: int, given: Any) -> Rack:
    path = f"racks[{index}]"
    before = len(reader.faults)
    rack = reader.structure(path, given, dict)
    if len(reader.faults) > before:
        return Rack("", None, 1)
    reader.unknown(path, rack, ("name", "zone", "nodes"))
    name = str(rack.get("name") or "")
    if not name:
        reader.fault(f"{path}.name", "is missing; give the name of the rack")
    else:
        reader.check_label(f"{path}.name", name)
    zone = rack.get("zone")
    return Rack(name, str(zone) if zone not in (None, "") else None, _nodes(reader, path, rack))


def _nodes(reader: Reader, path: str, rack: Mapping[str, Any]) -> int:
    given = rack.get("nodes")
    if given is None or given == "":
        reader.fault(f"{path}.nodes", "is missing; give the number of Cassandra nodes in the rack")
        return 1
    if isinstance(given, bool) or not re.fullmatch(r"[+-]?\d+", str(given).strip()):
        reader.fault(f"{path}.nodes", f"must be a whole number, got {given!r}")
        return 1
    nodes = int(given)
    if nodes < 1:
        reader.fault(f"{path}.nodes", f"must be at least 1, got {nodes}")
    return nodes


def _duplicates(reader: Reader, racks: tuple[Rack, ...]) -> None:
    first: dict[str, int] = {}
    for index, rack in enumerate(racks):
        if rack.name and rack.name in first:
            reader.fault(
                f"racks[{index}].name",
                f"{rack.name} is the name of racks[{first[rack.name]}] already; every rack needs its own",
            )
        first.setdefault(rack.name, index)


def check_lengths(reader: Reader, cluster: str, name: str, racks: tuple[Rack, ...]) -> None:
    """The names of StatefulSets and pods that come of it must fit."""
    for index, rack in enumerate(racks):
        stateful_set = f"{cluster}-{name}-{rack.name}"
        pod = f"{stateful_set}-{max(rack.nodes, 1) - 1}"
        if len(stateful_set) > MAX_STATEFUL_SET_NAME:
            reader.fault(
                f"racks[{index}].name",
                f"makes the StatefulSet name {stateful_set} of {len(stateful_set)} characters, and Kubernetes can "
                f"run at most {MAX_STATEFUL_SET_NAME} (it adds a revision of 11 to it in a label of at most "
                f"{MAX_NAME}); shorten the name of the cluster, the datacenter or the rack",
            )
        elif len(pod) > MAX_NAME:
            reader.fault(
                f"racks[{index}].name", f"makes the pod name {pod}, longer than {MAX_NAME} characters; shorten it"
            )


def read_tokens(reader: Reader, parsed: Datacenter) -> dict[str, tuple[int, ...]]:
    """For every node or for none: so many as num_tokens, and each once."""
    given = {
        str(node): values for node, values in reader.structure("tokens", reader.values.get("tokens"), dict).items()
    }
    if not given:
        return {}
    nodes = {f"{node.rack}-{node.ordinal}": node.pod for node in parsed.nodes()}
    for name in sorted(set(nodes) ^ set(given)):
        told = f"has {'no' if name in nodes else 'a'} node {name}; the nodes are {', '.join(nodes)}"
        reader.fault("tokens", f"{told}. Once the datacenter runs they count no more: take them out then")
    found = {node: _tokens_of(reader, f"tokens.{node}", values, parsed) for node, values in given.items()}
    every = [token for values in found.values() for token in values]
    if len(set(every)) < len(every):
        reader.fault("tokens", "has a token twice")
    return {nodes[name]: values for name, values in found.items() if name in nodes}


def _tokens_of(reader: Reader, path: str, values: Any, parsed: Datacenter) -> tuple[int, ...]:
    listed = reader.structure(path, values, list)
    try:
        tokens = tuple(sorted(int(value) for value in listed))
    except (TypeError, ValueError):
        reader.fault(path, f"must be whole numbers, got {listed!r}")
        return ()
    wanted = parsed.config.get("num_tokens", DEFAULT_NUM_TOKENS)
    if isinstance(wanted, int) and len(tokens) != wanted:
        reader.fault(path, f"has {len(tokens)} tokens, and config.num_tokens is {wanted}")
    return tokens
