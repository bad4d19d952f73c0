# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observed datacenter: what Kubernetes has and what every asked node believes.

Everything here is data. The rooms that decide (gates, report, replacement) take a L(View) and do no I/O;
C(observe.py) fills it.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

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
    # Whether the member says that it serves CQL (gossip's RPC_READY); None where it could not be read.
    serves: bool | None = None
    # Formats of the SSTables that the member holds (gossip's SSTABLE_VERSIONS), such as ("big-nb",); None as above.
    sstables: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Disk:
    """The file system of a node's volume, in bytes (C(df))."""

    free: int
    total: int


@dataclass(frozen=True)
class Stream:
    """An open session of streams, in the word of one of its sides.

    :ivar peers: addresses of the other side.
    :ivar percent: how much of it is done; None where unknown.
    :ivar seconds: since it began; None where unknown (4.0).
    """

    operation: str
    peers: tuple[str, ...] = ()
    percent: float | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        """Such as "Repair with 198.19.0.2, 43 %"."""
        done = "" if self.percent is None else f", {self.percent:.0f} %"
        return f"{self.operation} with {', '.join(self.peers)}{done}"


@dataclass(frozen=True)
class Repair:
    """A repair that a node is busy with, in its own word.

    :ivar words: such as "full repair of shop.orders".
    :ivar id: Cassandra's; empty where it is not told (4.0).
    :ivar leader: address of the node that leads it; empty where that is the node itself, or not told.
    :ivar seconds: since the node takes part; None where unknown.
    """

    words: str
    id: str = ""
    leader: str = ""
    seconds: float | None = None

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Activity:
    """What a node is busy with, in its own word. Each fact is None where it could not be read: that is no good news."""

    # StorageService's operation mode (nodetool netstats): NORMAL, JOINING, LEAVING, MOVING, DRAINED, ...
    mode: str | None = None
    streams: tuple[Stream, ...] | None = None
    # Those that run; where it leads some, only these.
    repairs: tuple[Repair, ...] | None = None
    # Tasks that wait in the CompactionExecutor. Not what nodetool estimates, most of which is in no queue yet.
    compactions: int | None = None
    # Tables of which rows are deleted just now that the node has given away (nodetool cleanup).
    cleanups: tuple[str, ...] | None = None
    # Host id -> files of hints that this node keeps for it. Nodes without hints are left out.
    hints: Mapping[str, int] | None = None
    disk: Disk | None = None
    # Keyspace -> bytes of its tables on this node.
    sizes: Mapping[str, int] | None = None
    # Bytes of the largest table: upgradesstables needs as much for a moment.
    largest_table: int | None = None
    # Names of the snapshots that the node holds.
    snapshots: tuple[str, ...] | None = None
    # The setting storage_compatibility_mode; there is none before 5.0.
    storage_mode: str | None = None
    # When the node began with what is on its volume (seconds since 1970, by its worker's clock).
    volume_since: int | None = None


@dataclass(frozen=True)
class Observation:
    """One node's view: the members it knows and which of them its failure detector takes for alive."""

    pod: str
    address: str
    bootstrapped: bool
    endpoints: Mapping[str, Endpoint]
    # address -> alive, in this node's failure detector.
    alive: Mapping[str, bool]
    activity: Activity = Activity()

    @property
    def own(self) -> Endpoint:
        return self.endpoints[self.address]


@dataclass(frozen=True)
class NodeView:
    """A node: what Kubernetes and the ledger say of it."""

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
    # Over the life of its pod, which may be months.
    restarts: int = 0
    # Its container crashed several times in a row: Kubernetes waits before it starts it again, longer each time.
    backing_off: bool = False
    reason: str | None = None
    held: str | None = None
    pending_restart: bool = False
    # The StatefulSet's revision that the pod runs (label controller-revision-hash).
    revision: str | None = None
    # What of its template is not its rack's own (image, version, configuration), as one text; compared with
    # RackView.wants to tell whether a change is proved already.
    runs: str | None = None
    # Version of Cassandra that the pod is made for.
    version: str | None = None
    # The storage_compatibility_mode that its pod is made for, BEFORE (4.x) where there is none; None where unknown.
    storage_mode: str | None = None
    # Seconds since its container started; None while it does not run.
    running_for: float | None = None
    # Seconds since its pod got its worker; None where it has none, or where its container has started already.
    placed_for: float | None = None
    # Where its pod stores the commit log, as long as it lives; None where it does not.
    commit_log: str | None = None
    # Its worker does not answer: nobody can tell whether the node still runs, nor end it.
    worker_lost: bool = False
    # Its worker has answered a question about the pod a moment ago. Asked are pods that run and are not ready.
    answered: bool = False
    # When the grace period of its pod is over (seconds since 1970); None while nobody ends it.
    ends_by: float | None = None
    # The volume's claim is being deleted: the node loses its data when its pod goes.
    volume_deleting: bool = False

    @property
    def is_ending(self) -> bool:
        """Its pod closes CQL and drains, and is made anew then. With a worker that does not answer it may never end."""
        return self.phase == "Terminating" and not self.worker_lost


@dataclass(frozen=True)
class RackView:
    """A rack: what Kubernetes says of its StatefulSet.

    Pods with an ordinal of at least C(partition) come back at the update revision, those below at the current one.
    """

    name: str
    stateful_set: str
    replicas: int
    partition: int
    generation: int
    # The generation that the controller has seen; below C(generation), the other figures are out of date.
    observed_generation: int | None = None
    current_revision: str | None = None
    update_revision: str | None = None
    # As NodeView.runs, of the newest template.
    wants: str | None = None
    # As NodeView.commit_log, of the newest template.
    commit_log: str | None = None
    # A rollout has lowered the partition.
    released: bool = False
    # Places that nodes of the ledger need; more than C(replicas) where somebody has scaled it by hand.
    places: int = 0

    @property
    def half_way(self) -> bool:
        """A rollout has come to some of its nodes: each pod must come back at the revision that it runs.

        One that somebody has scaled away counts, since it comes back to its place.
        """
        changing = self.current_revision != self.update_revision
        return self.released and changing and self.partition < max(self.replicas, self.places)


@dataclass(frozen=True)
class Budget:
    """The datacenter's PodDisruptionBudget."""

    name: str
    # Pods that may be evicted now; None before the controller has counted.
    allowed: int | None = None
    # Pods whose eviction was granted and that are not gone yet.
    evicting: tuple[str, ...] = ()
    # Pods that have to stay.
    minimum: int = 0


@dataclass(frozen=True)
class Schedule:
    """A CronJob that backs the datacenter up, or repairs it. Times are seconds since 1970."""

    name: str
    # As Kubernetes takes it.
    times: str
    # Somebody has told it to make no further Jobs.
    suspended: bool = False
    # A Job of it is at work, or cannot begin.
    running: bool = False
    # When the last Job was begun, and when one last ended well; None = never.
    begun: float | None = None
    ended_well: float | None = None
    # Seconds since the last Job was begun.
    age: float | None = None
    # Seconds since somebody made it, or changed what it is to do.
    written_for: float | None = None
    # Seconds for which nothing came of it, longer than its times allow; None = it is not so.
    idle: float | None = None


@dataclass(frozen=True)
class Keyspace:
    name: str
    replication: Mapping[str, str]
    # The smallest of its tables, without those below SHORTEST_GC_GRACE where it has others; None where it has none.
    gc_grace_seconds: int | None = None
    # Whether it has materialized views.
    views: bool = False


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
    # In the order of the StatefulSets' names.
    racks: tuple[RackView, ...] = ()
    budget: Budget | None = None
    # By what is done by the clock: backup, repair.
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    # What nodes are told to find the cluster by, those of other datacenters too (from the ledger): addresses, or names
    # of pods where their addresses change; see L(seed_addresses).
    seeds: tuple[str, ...] = ()
    # Since when it is stopped on purpose (seconds since 1970); None = it is not.
    stopped: int | None = None
    # Addresses of members of the ring that this view leaves out; see L(without).
    left_out: frozenset[str] = frozenset()
    # Where it is; empty where it was only read from objects.
    namespace: str = ""

    @property
    def kubectl(self) -> str:
        """How a command about its objects begins, for a person to type."""
        return f"kubectl -n {self.namespace}" if self.namespace else "kubectl"

    def node(self, pod: str) -> NodeView | None:
        return next((node for node in self.nodes if node.pod == pod), None)

    @functools.cached_property
    def observers(self) -> list[tuple[str, Observation]]:
        """Each pod that was asked, with what it said; by their names."""
        return sorted(self.observations.items())

    @functools.cached_property
    def pods_by_address(self) -> dict[str, str]:
        """The first of them where several have one address."""
        return {node.address: node.pod for node in reversed(self.nodes) if node.address}

    @functools.cached_property
    def seed_addresses(self) -> list[str]:
        """The seeds' addresses of now; a name where its pod has none, or is not in this view."""
        named = {node.pod: node.address for node in self.nodes}
        return [named.get(pod_of(seed)) or seed for seed in self.seeds]

    def endpoints(self) -> dict[str, Endpoint]:
        """Every member any observer knows, by address; a node's word about itself goes before what others say of it."""
        return self._merged

    @functools.cached_property
    def _merged(self) -> dict[str, Endpoint]:
        merged: dict[str, Endpoint] = {}
        for observation in self.observations.values():
            for address, endpoint in observation.endpoints.items():
                if address == observation.address or address not in merged:
                    merged[address] = endpoint
        return merged

    @functools.cached_property
    def worked_out(self) -> dict[Hashable, Any]:
        """What rooms that decide have worked out from it, for whoever asks the same again; see C(report.once)."""
        return {}

    def owners(self) -> set[str]:
        """Addresses of members that any observer knows tokens of."""
        return {
            address
            for observation in self.observations.values()
            for address, endpoint in observation.endpoints.items()
            if endpoint.tokens
        }

    def endpoint(self, node: NodeView) -> Endpoint | None:
        return self.endpoints().get(node.address) if node.address else None

    def rack(self, name: str) -> RackView | None:
        return next((rack for rack in self.racks if rack.name == name), None)

    def addresses(self, pods: Collection[str]) -> set[str]:
        """All addresses that these nodes are known by.

        A node that is called by its pod's address has a new one, or none, while others still know the old one: its
        host id tells.
        """
        if not pods:
            return set()
        found = {node.address for node in self.nodes if node.pod in pods and node.address}
        ids = {node.host_id for node in self.nodes if node.pod in pods and node.host_id}
        known = {address for address, endpoint in self.endpoints().items() if endpoint.host_id in ids}
        return found | known

    def without(self, pods: Collection[str], addresses: Collection[str] = ()) -> View:
        """The view as if these nodes were not there: nobody is asked about them, and nobody knows them.

        So every gate can be asked about all the others.

        :param addresses: more members to leave out, such as nodes of another datacenter.
        """
        gone = self.addresses(pods) | set(addresses)
        return replace(
            self,
            nodes=tuple(node for node in self.nodes if node.pod not in pods and node.address not in gone),
            unheard={pod: why for pod, why in self.unheard.items() if pod not in pods},
            seeds=tuple(seed for seed in self.seeds if seed not in gone and pod_of(seed) not in pods),
            observations={
                pod: replace(
                    seen,
                    endpoints={address: item for address, item in seen.endpoints.items() if address not in gone},
                    alive={address: alive for address, alive in seen.alive.items() if address not in gone},
                )
                for pod, seen in self.observations.items()
                if pod not in pods and seen.address not in gone
            },
            left_out=self.left_out | gone.intersection(self.endpoints()),
        )

    def joined(self, others: Iterable[View]) -> View:
        """The view of the whole cluster: nodes and observers of other datacenters too. Racks are this one's only."""
        views = (self, *others)
        return replace(
            self,
            nodes=tuple(node for view in views for node in view.nodes),
            observations={pod: seen for view in views for pod, seen in view.observations.items()},
            unheard={pod: why for view in views for pod, why in view.unheard.items()},
            keyspaces=next((view.keyspaces for view in views if view.keyspaces), ()),
            left_out=frozenset().union(*(view.left_out for view in views)),
        )

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

    @functools.cached_property
    def up_somewhere(self) -> frozenset[str]:
        """The members that L(seen_up_by) somebody."""
        return frozenset(
            address for seen in self.observations.values() for address, alive in seen.alive.items() if alive
        )

    def seen_up_by(self, address: str) -> list[str]:
        """The observers whose failure detector takes C(address) for alive (a node is alive to itself)."""
        return [pod for pod, seen in self.observers if seen.alive.get(address)]


def pod_of(seed: str) -> str:
    """The pod of a seed that is a pod's name in the cluster's DNS; of an address something that is no pod's name."""
    return seed.partition(".")[0]


def observers(nodes: Iterable[NodeView], also: Collection[str] = ()) -> list[NodeView]:
    """The nodes to ask: the running ones, all of them in a small datacenter, three a rack in a large one.

    :param also: pods to ask in any case, if they run: those of the batch.
    """
    running = [node for node in nodes if node.phase == "Running" and node.held is None]
    if len(running) <= ASK_ALL_UP_TO:
        return running
    by_rack: dict[str, list[NodeView]] = {}
    for node in running:
        by_rack.setdefault(node.rack, []).append(node)
    asked = {node.pod for rack in by_rack.values() for node in rack[:ASK_PER_RACK]} | set(also)
    return [node for node in running if node.pod in asked]
