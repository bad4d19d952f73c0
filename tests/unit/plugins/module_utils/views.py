# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Views of datacenters that are well; a test spoils one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.cassops.kubernetes.plugins.module_utils import ring
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import (
    Activity,
    Disk,
    Endpoint,
    Keyspace,
    NodeView,
    Observation,
    RackView,
    View,
)

CLUSTER, DATACENTER = "shop", "dc1"
SCHEMA = "2207c2a9-f598-3971-986b-2926e09e239d"
RACKS = ("r1", "r2", "r3")
OLD, NEW = "revision-1", "revision-2"
IDLE = Activity(
    mode="NORMAL",
    streams=(),
    repairs=(),
    compactions=0,
    cleanups=(),
    hints={},
    disk=Disk(60, 100),
    largest_table=10,
    snapshots=(),
    storage_mode="NONE",
)


def pods(racks: Sequence[str] = RACKS, per_rack: int = 1) -> dict[str, list[str]]:
    """Rack -> names of its nodes."""
    return {rack: [f"{CLUSTER}-{DATACENTER}-{rack}-{ordinal}" for ordinal in range(per_rack)] for rack in racks}


def nodes(racks: Sequence[str] = RACKS, per_rack: int = 1) -> tuple[NodeView, ...]:
    """Ready nodes; the addresses are 198.19.0.1 and on."""
    named = [(rack, ordinal, pod) for rack, its in pods(racks, per_rack).items() for ordinal, pod in enumerate(its)]
    return tuple(
        NodeView(
            pod=pod,
            rack=rack,
            ordinal=ordinal,
            address=f"198.19.0.{number}",
            host_id=f"host-{number}",
            uid=f"uid-{number}",
            worker=f"worker{number}",
            zone=f"zone-{rack}",
            phase="Running",
            ready=True,
            age=3600.0,
        )
        for number, (rack, ordinal, pod) in enumerate(named, 1)
    )


def endpoints(listed: Sequence[NodeView], num_tokens: int = 4, datacenter: str = DATACENTER) -> dict[str, Endpoint]:
    """The members that the nodes make, all of them NORMAL, with tokens as `deploy` plans them."""
    by_rack: dict[str, list[str]] = {}
    for node in listed:
        by_rack.setdefault(node.rack, []).append(node.pod)
    tokens = ring.plan_tokens(list(by_rack.items()), num_tokens, f"{CLUSTER}/{datacenter}")
    return {
        str(node.address): Endpoint(
            address=str(node.address),
            host_id=str(node.host_id),
            datacenter=datacenter,
            rack=node.rack,
            version="5.0.9",
            schema=SCHEMA,
            tokens=tokens[node.pod],
            status="NORMAL",
            load=1024.0,
            serves=True,
            sstables=("big-oa",),
        )
        for node in listed
    }


def observation(node: NodeView, members: Mapping[str, Endpoint]) -> Observation:
    """The node knows all members and takes all of them for alive."""
    return Observation(node.pod, str(node.address), True, dict(members), dict.fromkeys(members, True), IDLE)


def whole(racks: Sequence[str] = RACKS, per_rack: int = 1, **changes: Any) -> View:
    """A datacenter that is well: every node is ready, and every node sees every node up and NORMAL; nothing is
    pending."""
    listed = nodes(racks, per_rack)
    members = endpoints(listed)
    keyspaces = (
        Keyspace("system", {"class": "org.apache.cassandra.locator.LocalStrategy"}),
        Keyspace("system_auth", {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", DATACENTER: "3"}),
    )
    view = View(
        cluster=CLUSTER,
        datacenter=DATACENTER,
        phase="running",
        nodes=listed,
        observations={node.pod: observation(node, members) for node in listed},
        keyspaces=keyspaces,
        racks=racks_of(listed, NEW),
    )
    return replace(view, **changes)


def with_node(view: View, pod: str, **changes: Any) -> View:
    """The view with one node changed."""
    return replace(view, nodes=tuple(replace(node, **changes) if node.pod == pod else node for node in view.nodes))


def with_endpoint(view: View, observer: str, address: str, **changes: Any) -> View:
    """The view in which one observer believes something else about one member."""
    seen = view.observations[observer]
    members = {**seen.endpoints, address: replace(seen.endpoints[address], **changes)}
    return replace(view, observations={**view.observations, observer: replace(seen, endpoints=members)})


def with_down(view: View, observer: str, address: str) -> View:
    """The view in which one observer takes one member for dead."""
    seen = view.observations[observer]
    alive = {**seen.alive, address: False}
    return replace(view, observations={**view.observations, observer: replace(seen, alive=alive)})


def with_activity(view: View, pod: str, **changes: Any) -> View:
    """The view in which one node says something else of what it is busy with."""
    seen = view.observations[pod]
    changed = replace(seen, activity=replace(seen.activity, **changes))
    return replace(view, observations={**view.observations, pod: changed})


def racks_of(listed: Sequence[NodeView], current: str = OLD) -> tuple[RackView, ...]:
    """The racks of the nodes, settled, with the partition where nothing restarts by itself."""
    sizes: dict[str, int] = {}
    for node in listed:
        sizes[node.rack] = sizes.get(node.rack, 0) + 1
    return tuple(
        RackView(name, f"{CLUSTER}-{DATACENTER}-{name}", size, size, 2, 2, current, NEW, NEW)
        for name, size in sizes.items()
    )


def pending(view: View, pods: Sequence[str] | None = None) -> View:
    """The view in which a newer revision waits for these nodes (default: all); the others run it already."""
    listed = tuple(
        replace(node, pending_restart=True, revision=OLD, runs=OLD)
        if pods is None or node.pod in pods
        else replace(node, pending_restart=False, revision=NEW, runs=NEW)
        for node in view.nodes
    )
    return replace(view, nodes=listed, racks=racks_of(listed))


def with_gone(view: View, pod: str, **changes: Any) -> View:
    """The view in which Cassandra does not run on a node (it crashes, unless told otherwise), as everybody sees."""
    node = view.node(pod)
    assert node is not None
    view = with_node(view, pod, **{"phase": "Crashed", "ready": False, "reason": "CrashLoopBackOff", **changes})
    view = replace(view, observations={name: seen for name, seen in view.observations.items() if name != pod})
    for observer in view.observations:
        view = with_down(view, observer, str(node.address))
    return view
