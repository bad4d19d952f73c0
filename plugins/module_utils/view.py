# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observed datacenter: what Kubernetes has and what every asked node believes.

Everything here is data. The rooms that decide (gates, report, replacement) take a L(View) and do no I/O;
C(observe.py) fills it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .ledger import DEFAULT_GC_GRACE_SECONDS

# DESIGN, decision 6: every node is asked in a small datacenter, three a rack in a large one.
ASK_ALL_UP_TO = 12
ASK_PER_RACK = 3
# Seconds; see L(View.gc_grace_seconds).
SHORTEST_GC_GRACE = 86400


@dataclass(frozen=True)
class Endpoint:
    """A member of the ring as one node knows it (system.local, system.peers_v2, gossip)."""

    address: str
    host_id: str
    datacenter: str
    rack: str
    version: str
    schema: str
    tokens: tuple[int, ...]
    # Gossip's word for the member: NORMAL, BOOT, LEAVING, ...; None where gossip cannot be read by CQL (4.0).
    status: str | None = None
    # Bytes on disk; None where unknown.
    load: float | None = None


@dataclass(frozen=True)
class Observation:
    """One node's view: the members it knows and which of them its failure detector takes for alive."""

    pod: str
    address: str
    bootstrapped: bool
    endpoints: Mapping[str, Endpoint]
    # address -> alive, in this node's failure detector.
    alive: Mapping[str, bool]

    @property
    def own(self) -> Endpoint:
        return self.endpoints[self.address]


@dataclass(frozen=True)
class NodeView:
    """A node: what Kubernetes and the ledger say of it. C(trouble) is why it could not be asked, if it could not."""

    pod: str
    rack: str
    ordinal: int
    address: str | None = None
    host_id: str | None = None
    uid: str | None = None
    worker: str | None = None
    zone: str | None = None
    phase: str | None = None
    ready: bool = False
    started: str | None = None
    age: float | None = None
    restarts: int = 0
    reason: str | None = None
    held: str | None = None
    pending_restart: bool = False


@dataclass(frozen=True)
class Keyspace:
    name: str
    replication: Mapping[str, str]
    # The smallest of its tables; None where it has none.
    gc_grace_seconds: int | None = None


@dataclass(frozen=True)
class View:
    """A datacenter as it was seen at one moment."""

    cluster: str
    datacenter: str
    phase: str | None
    nodes: tuple[NodeView, ...] = ()
    observations: Mapping[str, Observation] = field(default_factory=dict)
    # pod -> why it could not be asked, for the nodes that should have been.
    unheard: Mapping[str, str] = field(default_factory=dict)
    keyspaces: tuple[Keyspace, ...] = ()

    def node(self, pod: str) -> NodeView | None:
        return next((node for node in self.nodes if node.pod == pod), None)

    def endpoints(self) -> dict[str, Endpoint]:
        """Every member any observer knows, by address; a node's word about itself goes before what others say of it."""
        merged: dict[str, Endpoint] = {}
        for observation in self.observations.values():
            for address, endpoint in observation.endpoints.items():
                if address == observation.address or address not in merged:
                    merged[address] = endpoint
        return merged

    def endpoint(self, node: NodeView) -> Endpoint | None:
        return self.endpoints().get(node.address) if node.address else None

    @property
    def gc_grace_seconds(self) -> int:
        """How long a node may be down before deleted rows of the user's tables could come back.

        Tables with less than a day are left out: their rows end by TTL, and every longer stop would hold a node.
        """
        user = [item.gc_grace_seconds or 0 for item in self.keyspaces if not item.name.startswith("system")]
        return min((seconds for seconds in user if seconds >= SHORTEST_GC_GRACE), default=DEFAULT_GC_GRACE_SECONDS)

    def schemas(self) -> dict[str, list[str]]:
        """Schema version -> the observers that hold it. One entry means agreement."""
        versions: dict[str, list[str]] = {}
        for pod, observation in sorted(self.observations.items()):
            versions.setdefault(observation.own.schema, []).append(pod)
        return versions

    def seen_up_by(self, address: str) -> list[str]:
        """The observers whose failure detector takes C(address) for alive (a node is alive to itself)."""
        return [pod for pod, seen in sorted(self.observations.items()) if seen.alive.get(address)]


def observers(nodes: Iterable[NodeView]) -> list[NodeView]:
    """The nodes to ask: the running ones, all of them in a small datacenter, three a rack in a large one."""
    running = [node for node in nodes if node.phase == "Running" and node.held is None]
    if len(running) <= ASK_ALL_UP_TO:
        return running
    by_rack: dict[str, list[NodeView]] = {}
    for node in running:
        by_rack.setdefault(node.rack, []).append(node)
    return [node for rack in by_rack.values() for node in rack[:ASK_PER_RACK]]
