# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a backup comes back: what is asked for, what there is, and the plan that is noted. Pure.

There are three ways, and each is right where its condition holds:

C(import)
    Each node takes back the files of the backup's node with the same tokens, while it serves. Right where the ring is
    the backup's: the same tokens, and the same nodes in a rack together. Then a node holds what it held.
C(load)
    The files are streamed, row by row, to whoever owns the row now (sstableloader). Right for any ring; takes
    replicas times the bytes.
C(swap)
    All nodes stop; each gets its data folder as it was, with tokens, host id and schema. Right for the datacenter that
    was backed up, node for node.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .archive import Column, Type
from .backups import Manifest, NodeManifest, Schema
from .errors import CassopsError, LedgerError

IMPORT, LOAD, SWAP = "import", "load", "swap"
TABLES, DATACENTER = "tables", "datacenter"
MODES = (TABLES, DATACENTER)
ORIGINAL, DATACENTERS = "original", "datacenters"
"""Refusals that may be gone past: the datacenter that was backed up may live still, and others of then are gone."""
IGNORABLE = (ORIGINAL, DATACENTERS)
REPLACE, MERGE = "replace", "merge"
"""What becomes of the rows that a table has: they go before the backup's come, or both are there and the newer wins."""
CREATE = "create"
KEEP, TAKE = "keep", "take"
AUTH = "system_auth"
# What each node has for itself, or Cassandra makes by itself.
SYSTEM = (
    "system",
    "system_schema",
    "system_distributed",
    "system_traces",
    AUTH,
    "system_views",
    "system_virtual_schema",
)
STEPS = ("download", "stop", "swap", "start", "change", "prove", "finish", "return", "returned")
# All is proved and repaired; what was there before goes from the volumes, and with it the way back.
FINISH = "finish"
# Nothing that serves has changed yet.
DOWNLOAD = "download"
# It is given up after data of a datacenter was exchanged: nothing of it is ever carried out again.
RETURN, RETURNED = "return", "returned"
NETWORK = "NetworkTopologyStrategy"

Name = tuple[str, str]
"""Keyspace and table."""


class Refused(CassopsError):
    """It cannot be restored so. :ivar errors: every reason."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.errors = list(reasons)


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    :param tables: C(keyspace) or C(keyspace.table); empty is all of the user's.
    :param rows: L(REPLACE) or L(MERGE); empty where nobody said.
    :param auth: L(KEEP) the roles and permissions that there are, or L(TAKE) the backup's.
    :param load: stream the rows where the ring is another one.
    :param space: so many times the bytes must be free.
    :param prefix: of the options' names in messages.
    :param to: the moment to go on to after the backup; empty is the backup itself.
    :param ignore: refusals to go past, of L(IGNORABLE).
    """

    backup: str
    cluster: str
    datacenter: str
    mode: str = TABLES
    tables: tuple[str, ...] = ()
    rows: str = ""
    auth: str = KEEP
    load: bool = False
    space: float = 1.2
    prefix: str = ""
    to: str = ""
    ignore: frozenset[str] = frozenset()

    def say(self, option: str, value: str) -> str:
        """How to say something."""
        return say(self.prefix, option, value)

    @property
    def key(self) -> str:
        """The same for two runs that ask for the same. What is refused may be gone past by a run that goes on, too."""
        told = asdict(self)
        return json.dumps({name: told[name] for name in sorted(told) if name not in ("prefix", "space", "ignore")})


@dataclass(frozen=True)
class Target:
    """A node as it is now.

    :param tokens: empty where they are not known, since it does not run.
    :param free: bytes on its volume; None where nobody could look.
    :param data: whether there is data on its volume.
    :param fault: why it cannot take part; empty where it can.
    """

    pod: str
    rack: str
    ordinal: int
    host_id: str | None = None
    tokens: tuple[int, ...] = ()
    free: int | None = None
    data: bool = True
    fault: str = ""


@dataclass(frozen=True)
class Twin:
    """A node of the backup's that something answers for, at an address that no node here has.

    :param at: address and port.
    :param asked: the pod here that it answered.
    """

    pod: str
    at: str
    asked: str


@dataclass(frozen=True)
class Scene:
    """The datacenter that takes the backup.

    :param version: of Cassandra, the lowest of its nodes.
    :param schema: of the user's keyspaces; None where no node could be asked.
    :param datacenters: of the cluster, those that have nodes.
    :param columns: of the schema, where a point in time is wanted.
    :param twins: nodes of the backup that live elsewhere, see L(restore_planning.beside_original).
    """

    cluster: str
    datacenter: str
    nodes: tuple[Target, ...]
    version: str
    schema: Schema | None
    datacenters: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    types: tuple[Type, ...] = ()
    twins: tuple[Twin, ...] = ()


@dataclass(frozen=True)
class Source:
    """A backup, read and found whole."""

    manifest: Manifest
    nodes: tuple[NodeManifest, ...]
    schema: Schema


@dataclass(frozen=True)
class Parcel:
    """What one node takes of one node of the backup.

    :param pod: who takes it.
    :param node: the backup's pod, and C(host_id) and C(rack) of it.
    :param log_size: bytes of its commit log, where a point in time is wanted. Of which of the many thousand snapshots
        it is made is worked out anew by each run: their ids would not fit into a ConfigMap.
    :param former: the pod's host id before its data was exchanged; empty where it had none.
    :param empty: its volume had no data when the restore was planned.
    :param unclean: the backup's node had rows that were not its own any more, see C(NodeEntry.unclean).
    """

    pod: str
    node: str
    host_id: str
    repository: str
    snapshot: str
    digest: str
    size: int
    files: int
    log_size: int = 0
    former: str = ""
    empty: bool = False
    unclean: bool = False


@dataclass(frozen=True)
class Plan:
    """A restore that was begun; what a look cannot tell.

    :param id: names its folder on each volume.
    :param wish: L(Wish.key), so that the next run knows whether it is asked for the same.
    :param tables: keyspace.table -> L(CREATE), L(REPLACE) or L(MERGE).
    :param step: where it is, of L(STEPS); each step looks what of it is done.
    :param emptied: tables whose rows are gone already; they are never emptied again.
    :param kept: keyspaces that stay as they are.
    :param to: see L(Wish.to).
    :param repair_began: when all was in place, in seconds since 1970; 0 before.
    """

    id: str
    wish: str
    way: str
    backup: str
    cluster: str
    datacenter: str
    parcels: tuple[Parcel, ...]
    tables: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    step: str = STEPS[0]
    emptied: tuple[str, ...] = ()
    began: float = 0.0
    to: str = ""
    repair_began: float = 0.0

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise ValueError(f"its step is {self.step!r}")

    @property
    def names(self) -> list[Name]:
        return [name_of(table) for table in self.tables]

    @property
    def unclean(self) -> list[str]:
        """Pods that get rows which are not their own: files come as they are, while loading takes each row to its
        owners."""
        return [] if self.way == LOAD else sorted(parcel.pod for parcel in self.parcels if parcel.unclean)

    def of(self, pod: str) -> list[Parcel]:
        return [parcel for parcel in self.parcels if parcel.pod == pod]

    def to_data(self) -> dict[str, str]:
        """The C(data) of the ConfigMap."""
        return {"step": self.step, "plan": json.dumps(asdict(self), sort_keys=True, indent=1)}


def plan_name(cluster: str, datacenter: str) -> str:
    """Name of the ConfigMap: a datacenter has one restore at a time."""
    return f"{cluster}-{datacenter}-restore"


def snapshot_of(plan: Plan) -> str:
    """Name of the snapshot of what was in the tables before they were emptied."""
    return f"before-restore-{plan.id}"


def from_config_map(config_map: Mapping[str, Any]) -> Plan:
    """Read a plan as the API server returns it.

    :raises LedgerError: it cannot be read; the message names it.
    """
    try:
        told: dict[str, Any] = json.loads((config_map.get("data") or {})["plan"])
        told["parcels"] = tuple(Parcel(**each) for each in told["parcels"])
        told |= {key: tuple(told[key]) for key in ("kept", "emptied")}
        return Plan(**told)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        name = config_map.get("metadata", {}).get("name", "restore")
        raise LedgerError(
            f"ConfigMap {name} cannot be read: {error}; it tells how far a restore is. Delete it only if no node is "
            "held for a restore"
        ) from error


def say(prefix: str, option: str, value: str) -> str:
    """How to give an option: to a playbook, whose options have a prefix, or to the module."""
    return f"-e {prefix}{option}={value}" if prefix else f"{option}: {value}"


def past(prefix: str, refusal: str, where: str = "") -> str:
    """How to go past a refusal.

    :param refusal: of L(IGNORABLE).
    :param where: it may be done.
    """
    return f"(or go past it with {prefix}ignore: {refusal}{where and f', where {where}'})"


def name_of(table: str) -> Name:
    keyspace, _dot, name = table.partition(".")
    return keyspace, name


def at(plan: Plan, step: str) -> Plan:
    return replace(plan, step=step)


def with_former(plan: Plan, host_ids: Mapping[str, str | None]) -> Plan:
    """:param host_ids: those of the pods, as long as they are who they were."""
    return replace(
        plan, parcels=tuple(replace(parcel, former=host_ids.get(parcel.pod) or "") for parcel in plan.parcels)
    )


def on(plan: Plan, pods: Collection[str]) -> Plan:
    """What of a plan concerns these pods: a node that left took what it had downloaded along."""
    return replace(plan, parcels=tuple(parcel for parcel in plan.parcels if parcel.pod in pods))
