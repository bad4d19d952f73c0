# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ledger: a ConfigMap that remembers which nodes belong to a datacenter and what they may do.

The start script in every pod reads it with grep, sed and awk (it is mounted and follows changes), so each value is
plain lines of words. What cannot be derived later, such as the address of a node that is dead, stands here first.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import LedgerError

PHASE_NEW = "new"
"""The datacenter holds no data yet: nodes start with their planned tokens, and CQL stays closed."""
PHASE_RUNNING = "running"
"""The superuser stands and every host id is known: an empty volume of a known node is now a fault."""
PHASE_LEFT = "left"
"""All its nodes have left the ring for good, and its volumes are kept: nothing comes back of them."""
PHASES = (PHASE_NEW, PHASE_RUNNING, PHASE_LEFT)

DEFAULT_GC_GRACE_SECONDS = 864000
"""Cassandra's default gc_grace_seconds of a table: ten days."""

_UNKNOWN = "-"


@dataclass(frozen=True)
class LedgerNode:
    """One node that belongs to the datacenter.

    :param pod: name of the pod, which is the name of the node.
    :param address: the broadcast address (the node's Service), or None while it has none: such a node is held.
    :param host_id: Cassandra's host id, or None as long as the node has never joined.
    """

    pod: str
    address: str | None = None
    host_id: str | None = None


@dataclass(frozen=True)
class Ledger:
    """The content of the ledger ConfigMap. Immutable; make changed copies with the `with_...` methods.

    :param id: uuid4 in hex, the datacenter's identity; written into the mark on every volume.
    :param cluster: name of the Cassandra cluster.
    :param datacenter: name of the datacenter.
    :param phase: `new`, `running` or `left`.
    :param nodes: by pod name, the nodes that belong to the datacenter.
    :param tokens: by pod name, the planned initial tokens; used in phase `new` only.
    :param seeds: addresses: the first node of up to three racks, then seeds of other datacenters.
    :param first: the doorkeeper's pod name: the one node that listens for CQL (on loopback) in phase `new`.
    :param hash_rounds: bcrypt's rounds, as a power of two, for the logins that the doorkeeper makes; None = Cassandra's
        own number of them.
    :param gc_grace_seconds: smallest gc_grace_seconds of the user tables; a node that was down longer is held.
    :param replace: by pod name, the address of the dead node that this pod may replace.
    :param self_replace: true when a known node whose volume is empty may replace itself unasked.
    :param single_copies: keyspaces with one replica here: a node that lost its volume lost rows of them, so it does not
        replace itself.
    :param volumes: by pod name, how many volumes the node has given up. The number is part of the mark on its volume,
        so that one that was given up is held when it comes back.
    :param replicas: how many replicas a node that joins chooses its tokens for; None = it was never asked.
    :param stopped: since when the datacenter is stopped, in seconds since 1970 by the API server's clock; None = it is
        not.
    :param pause: from when to when the whole cluster was stopped, or away, last: nobody missed anything meanwhile. None
        where that never was, or other datacenters went on.
    :param closed: when the last stop began to close CQL: a node that served until then was stopped by it, however long
        it drained. None = it was never stopped, or by a version of this collection that did not note it.
    :param born_version: Cassandra version of the first deploy, such as `5.0.9`; it decides the storage format
        (`storage_compatibility_mode`), which must not jump when an older cluster is upgraded. Empty = not known.
    :param version: the newest Cassandra version that nodes were last seen to run: where no pod is left, nothing else
        tells it. Empty = not known.
    :param storage_mode: the furthest `storage_compatibility_mode` of these; None = they know none (4.x), or not known.
    :param mixed: between which two nodes cannot stream to each other, in words, such as `Cassandra 4.1 and 5.0`, while
        an upgrade is under way: no node replaces itself then. Empty = all run one.
    :ivar keys: those that its ConfigMap had when it was read. They are written also where there is nothing to tell: a
        key that somebody else has written, such as with C(kubectl create), goes by no server-side apply of ours.
    """

    id: str
    cluster: str
    datacenter: str
    phase: str = PHASE_NEW
    nodes: Mapping[str, LedgerNode] = field(default_factory=dict)
    tokens: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    seeds: tuple[str, ...] = ()
    first: str = ""
    hash_rounds: int | None = None
    gc_grace_seconds: int = DEFAULT_GC_GRACE_SECONDS
    replace: Mapping[str, str] = field(default_factory=dict)
    self_replace: bool = False
    single_copies: tuple[str, ...] = ()
    volumes: Mapping[str, int] = field(default_factory=dict)
    born_version: str = ""
    replicas: int | None = None
    stopped: int | None = None
    pause: tuple[int, int] | None = None
    closed: int | None = None
    version: str = ""
    storage_mode: str | None = None
    mixed: str = ""
    keys: frozenset[str] = field(default=frozenset(), compare=False)

    def address(self, pod: str) -> str | None:
        """The broadcast address of a node, or None when the ledger has none."""
        node = self.nodes.get(pod)
        return node.address if node else None

    def host_id(self, pod: str) -> str | None:
        """The host id of a node, or None when it has never joined."""
        node = self.nodes.get(pod)
        return node.host_id if node else None

    def with_node(self, node: LedgerNode) -> Ledger:
        """A copy in which this node stands as given."""
        return replace(self, nodes={**self.nodes, node.pod: node})

    def without_node(self, pod: str) -> Ledger:
        """A copy that has forgotten the node, its planned tokens and an approved replacement of it.

        How many volumes it gave up stays: a node of that name may come again, and so may they.
        """
        return replace(
            self,
            nodes={name: node for name, node in self.nodes.items() if name != pod},
            tokens={name: tokens for name, tokens in self.tokens.items() if name != pod},
            replace={name: address for name, address in self.replace.items() if name != pod},
        )

    def with_replacement(self, pod: str, address: str) -> Ledger:
        """A copy that approves: the pod may replace the dead node at the address."""
        return replace(self, replace={**self.replace, pod: address})

    def without_replacement(self, pod: str) -> Ledger:
        """A copy without the approval for this pod."""
        return replace(self, replace={name: address for name, address in self.replace.items() if name != pod})

    def volume_number(self, pod: str) -> int:
        """How many volumes the node has given up."""
        return self.volumes.get(pod, 0)

    def with_volume_number(self, pod: str, number: int) -> Ledger:
        """A copy in which the node has given up so many volumes."""
        others = {name: count for name, count in self.volumes.items() if name != pod}
        return replace(self, volumes={**others, pod: number} if number else others)

    def to_data(self) -> dict[str, str]:
        """The `data` of the ConfigMap. The same ledger always gives the same text, so that it can be compared."""
        nodes = (f"{node.pod} {node.address or _UNKNOWN} {node.host_id or _UNKNOWN}" for node in _by_name(self.nodes))
        tokens = (f"{pod} {','.join(map(str, values))}" for pod, values in sorted(self.tokens.items()))
        optional = {
            "hash_rounds": _text(self.hash_rounds),
            "replicas": _text(self.replicas),
            "stopped": _text(self.stopped),
            "pause": f"{self.pause[0]} {self.pause[1]}" if self.pause else "",
            "closed": _text(self.closed),
            "version": self.version,
            "storage_mode": self.storage_mode or "",
            "mixed": self.mixed,
        }
        return {
            "id": self.id,
            "cluster": self.cluster,
            "datacenter": self.datacenter,
            "phase": self.phase,
            "nodes": "".join(f"{line}\n" for line in nodes),
            "tokens": "".join(f"{line}\n" for line in tokens),
            "seeds": ",".join(self.seeds),
            "first": self.first,
            "gc_grace_seconds": str(self.gc_grace_seconds),
            "replace": "".join(f"{pod} {address}\n" for pod, address in sorted(self.replace.items())),
            "self_replace": "true" if self.self_replace else "false",
            "single_copies": ",".join(self.single_copies),
            "volumes": "".join(f"{pod} {number}\n" for pod, number in sorted(self.volumes.items())),
            "born_version": self.born_version,
            # Only where there is something to tell: a ledger that was written before these were known stays as it is.
            **{key: value for key, value in optional.items() if value or key in self.keys},
        }


def ledger_name(cluster: str, datacenter: str) -> str:
    """Name of the ConfigMap."""
    return f"{cluster}-{datacenter}-ledger"


def rack_of(pod: str, prefix: str) -> str:
    """The rack in a node's name, C(<prefix>-<rack>-<ordinal>).

    :param prefix: C(<cluster>-<datacenter>).
    """
    return pod.removeprefix(f"{prefix}-").rpartition("-")[0]


def new_id() -> str:
    """A fresh identity for a datacenter."""
    return uuid.uuid4().hex


def from_config_map(config_map: Mapping[str, Any]) -> Ledger:
    """Read a ledger from the ConfigMap as the API server returns it.

    :raises LedgerError: a key is missing or not readable; the message names the ConfigMap and the key.
    """
    name = config_map.get("metadata", {}).get("name", "ledger")
    data: Mapping[str, str] = config_map.get("data") or {}
    try:
        return _from_data(data)
    except KeyError as error:
        raise LedgerError(
            f"ConfigMap {name} is not a ledger: its key {error} is missing; restore it from a backup"
        ) from error
    except ValueError as error:
        raise LedgerError(f"ConfigMap {name} cannot be read: {error}; restore it from a backup") from error


def _from_data(data: Mapping[str, str]) -> Ledger:
    phase = data["phase"].strip()
    if phase not in PHASES:
        raise ValueError(f"phase is {phase!r} and must be one of {', '.join(PHASES)}")
    return Ledger(
        id=data["id"].strip(),
        cluster=data["cluster"].strip(),
        datacenter=data["datacenter"].strip(),
        phase=phase,
        nodes={
            pod: LedgerNode(pod, _known(address), _known(host_id)) for pod, address, host_id in _lines(data, "nodes", 3)
        },
        tokens={pod: tuple(int(token) for token in values.split(",")) for pod, values in _lines(data, "tokens", 2)},
        seeds=tuple(seed for seed in data.get("seeds", "").strip().split(",") if seed),
        first=data.get("first", "").strip(),
        hash_rounds=int(data["hash_rounds"]) if data.get("hash_rounds", "").strip() else None,
        gc_grace_seconds=int(data.get("gc_grace_seconds") or DEFAULT_GC_GRACE_SECONDS),
        replace=dict(_lines(data, "replace", 2)),
        self_replace=data.get("self_replace", "").strip() == "true",
        single_copies=tuple(name for name in data.get("single_copies", "").strip().split(",") if name),
        volumes={pod: int(number) for pod, number in _lines(data, "volumes", 2)},
        born_version=data.get("born_version", "").strip(),
        replicas=int(data["replicas"]) if data.get("replicas", "").strip() else None,
        stopped=int(data["stopped"]) if data.get("stopped", "").strip() else None,
        pause=next(((int(begin), int(end)) for begin, end in _lines(data, "pause", 2)), None),
        closed=int(data["closed"]) if data.get("closed", "").strip() else None,
        version=data.get("version", "").strip(),
        storage_mode=data.get("storage_mode", "").strip() or None,
        mixed=data.get("mixed", "").strip(),
        keys=frozenset(data),
    )


def _lines(data: Mapping[str, str], key: str, words: int) -> Iterator[list[str]]:
    for line in data.get(key, "").splitlines():
        if not line.strip():
            continue
        parts = line.split()
        if len(parts) != words:
            raise ValueError(f"{key} has the line {line!r}, which should have {words} words")
        yield parts


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _known(word: str) -> str | None:
    return None if word == _UNKNOWN else word


def _by_name(nodes: Mapping[str, LedgerNode]) -> list[LedgerNode]:
    return [nodes[pod] for pod in sorted(nodes)]
