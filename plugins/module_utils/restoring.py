# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a backup comes back: a plan, or every reason why it cannot, before anything is touched. Pure.

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
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from . import schema_text
from .archive import Chain, Column, Type, schema_changes
from .backups import COMPLETE, Manifest, NodeManifest, Schema, Statement, Table, moment, seconds
from .errors import CassopsError, LedgerError
from .report import size
from .upgrade import release

IMPORT, LOAD, SWAP = "import", "load", "swap"
TABLES, DATACENTER = "tables", "datacenter"
MODES = (TABLES, DATACENTER)
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
# Without these a node does not know who it is.
IDENTITY = ("system", "system_schema")
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

    def say(self, option: str, value: str) -> str:
        """How to say something."""
        return say(self.prefix, option, value)

    @property
    def key(self) -> str:
        """The same for two runs that ask for the same."""
        told = asdict(self)
        return json.dumps({name: told[name] for name in sorted(told) if name not in ("prefix", "space")})


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
class Scene:
    """The datacenter that takes the backup.

    :param version: of Cassandra, the lowest of its nodes.
    :param schema: of the user's keyspaces; None where no node could be asked.
    :param datacenters: of the cluster, those that have nodes.
    :param columns: of the schema, where a point in time is wanted.
    """

    cluster: str
    datacenter: str
    nodes: tuple[Target, ...]
    version: str
    schema: Schema | None
    datacenters: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    types: tuple[Type, ...] = ()


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


# --- names ------------------------------------------------------------------------------------------------------------


def name_of(table: str) -> Name:
    keyspace, _dot, name = table.partition(".")
    return keyspace, name


def ordered(pods: Iterable[str]) -> list[str]:
    """By rack, then by number: r1-2 stands before r1-10."""
    return sorted(pods, key=lambda pod: (pod.rpartition("-")[0], int(pod.rpartition("-")[2] or 0)))


def chosen(wish: Wish, source: Source) -> tuple[list[Name], list[str]]:
    """The tables that are asked for, and what of it the backup does not have.

    Its schema is that of the whole cluster, also where only some tables were backed up: what it describes besides is
    not in the backup, and would come back empty.
    """
    there = sorted({(table.keyspace, table.name) for node in source.nodes for table in node.tables})
    there += [name for name in described(source.schema) if name not in there and has(source.manifest, name)]
    without = elsewhere_then(source)
    users = [name for name in there if name[0] not in SYSTEM and name[0] not in without]
    if not wish.tables:
        return sorted(users), []
    found: set[Name] = set()
    unknown = []
    for asked in wish.tables:
        mine = [name for name in users if asked in (name[0], ".".join(name))]
        found.update(mine)
        if not mine:
            unknown.append(asked)
    keyspaces = ", ".join(sorted({name[0] for name in users})) or "none"
    limits = limited(source.manifest)
    told = f"it is {limits}" if limits else f"its keyspaces are {keyspaces}"
    if without.intersection(asked.partition(".")[0] for asked in unknown):
        told = f"{', '.join(sorted(without))} had no replicas in datacenter {source.manifest.datacenter} then"
    return sorted(found), [
        f"the backup has no {'table' if '.' in asked else 'keyspace'} {asked}; {told}" for asked in unknown
    ]


def elsewhere_then(source: Source) -> set[str]:
    """Keyspaces of whose tables the backup has not one row."""
    return set(without_replicas(source.schema, source.manifest.datacenter))


def without_replicas(schema: Schema, datacenter: str) -> dict[str, Mapping[str, str]]:
    """Keyspaces that have no replicas in a datacenter, with their replication."""
    options = {
        made_by(each)[0]: schema_text.replication(each.cql) for each in schema.statements if each.kind == "keyspace"
    }
    return {
        keyspace: told
        for keyspace, told in options.items()
        if told.get("class", "").endswith(NETWORK) and told.get(datacenter, "0") == "0"
    }


def has(manifest: Manifest, name: Name) -> bool:
    """Whether a backup is of a table, be there rows in it or not."""
    if manifest.tables:
        return name[0] in manifest.tables or ".".join(name) in manifest.tables
    return name[0] not in manifest.excluded


def is_of(tables: Collection[str], asked: Collection[str]) -> bool:
    """Whether a backup that is limited to some tables is of all that is asked for.

    :param tables: C(keyspace.table) or C(keyspace); empty is everything.
    :param asked: the same.
    """
    return not tables or (bool(asked) and all({name, name_of(name)[0]} & {*tables} for name in asked))


def limited(manifest: Manifest) -> str:
    """What a backup is of, where it is not of everything."""
    if manifest.tables:
        return f"of {', '.join(manifest.tables)} only"
    return f"without {', '.join(manifest.excluded)}" if manifest.excluded else ""


def described(schema: Schema) -> list[Name]:
    """Every table and view that the schema makes."""
    return [made_by(each) for each in schema.statements if each.kind in ("table", "materialized_view")]


# --- the schema -------------------------------------------------------------------------------------------------------


def identity(statement: Statement) -> tuple[str, str, str]:
    return statement.kind, schema_text.plain(statement.keyspace), schema_text.plain(statement.name)


def made_by(statement: Statement) -> Name:
    """What it makes."""
    return schema_text.plain(statement.keyspace), schema_text.plain(statement.name)


def belongs_to(statement: Statement) -> Name | None:
    """The table that a statement makes or is about; None for what a keyspace has besides tables."""
    if statement.kind in ("index", "trigger", "materialized_view"):
        return schema_text.base(statement.kind, statement.cql)
    return made_by(statement) if statement.kind == "table" else None


def with_views(names: Collection[Name], schema: Schema) -> list[Name]:
    """The tables and the views on them, which hold copies of their rows."""
    views = [
        made_by(each) for each in schema.statements if each.kind == "materialized_view" and belongs_to(each) in names
    ]
    return sorted({*names, *views})


def views(schema: Schema) -> set[Name]:
    return {made_by(each) for each in schema.statements if each.kind == "materialized_view"}


def missing(stored: Schema, living: Schema, names: Collection[Name], way: str = IMPORT) -> list[Statement]:
    """What has to be made before the tables can take their rows, in the order of the backup's schema.

    :param way: by which they come, see L(empty_views).
    """
    there = {identity(each) for each in living.statements}
    keyspaces = {name[0] for name in names}
    empty = empty_views(stored, living, names, way)

    def wanted(each: Statement) -> bool:
        about = belongs_to(each)
        mine = schema_text.plain(each.keyspace) in keyspaces if about is None else about in names
        left_out = each.kind == "materialized_view" and made_by(each) in empty
        return mine and identity(each) not in there and not left_out

    return [each for each in stored.statements if wanted(each)]


def empty_views(stored: Schema, living: Schema, names: Collection[Name], way: str) -> list[Name]:
    """Views that are gone and that the backup does not have. Files that are imported go past views, so one that is made
    before them would stay empty; made after them it is filled. (Rows that are loaded go into it.)"""
    if way != IMPORT:
        return []
    return sorted({*with_views(names, stored)} - {*names} - views(living))


def not_made(plan: Plan, source: Source, living: Schema | None) -> list[str]:
    """A warning where views of the tables stay away, see L(empty_views)."""
    left = empty_views(source.schema, living or Schema("", "", ()), plan.names, plan.way)
    if not left:
        return []
    told = ", ".join(".".join(name) for name in left)
    return [
        f"view {told} is not made: the backup does not have it, and files that are imported go past views. Create it "
        "again after the restore, which fills it"
    ]


def half_made(stored: Schema, living: Schema, names: Collection[Name]) -> list[tuple[Statement, list[str]]]:
    """Tables that are there with less than all statements of their description, and those that are left: a run died
    between them."""
    now = {identity(each): each for each in living.statements}
    return [
        (each, left)
        for each in stored.statements
        if each.kind == "table" and belongs_to(each) in names and (other := now.get(identity(each))) is not None
        if (left := schema_text.alters_left(each.cql, other.cql))
    ]


def made_for(statement: Statement, source: str, target: str, datacenters: Collection[str]) -> str:
    """CREATE KEYSPACE for the datacenter that takes it: Cassandra refuses replicas in one that has no nodes."""
    options = schema_text.replication(statement.cql)
    if statement.kind != "keyspace" or not options.get("class", "").endswith(NETWORK):
        return statement.cql
    kept = {key: value for key, value in options.items() if key == "class" or (key != source and key in datacenters)}
    if source in options:
        kept[target] = options[source]
    return schema_text.with_replication(statement.cql, kept)


def differences(stored: Schema, living: Schema, names: Collection[Name]) -> list[str]:
    """Why tables that there are cannot take the backup's files: they are not what they were."""
    now = {identity(each): each for each in living.statements}
    reasons = _changed_indexes(stored, now, names)
    for each in stored.statements:
        mine = belongs_to(each) in names if each.kind == "table" else each.kind == "type"
        other = now.get(identity(each))
        if not mine or other is None:
            continue
        if each.kind == "type" and schema_text.plain(each.keyspace) not in {name[0] for name in names}:
            continue
        told = _changed_type(each.cql, other.cql) if each.kind == "type" else _changed_columns(each.cql, other.cql)
        if told:
            what = f"{schema_text.plain(each.keyspace)}.{schema_text.plain(each.name)}"
            reasons.append(
                f"{each.kind} {what} is not what it was: {told}; rename or drop it, and the restore makes it again"
            )
    return reasons


def _changed_indexes(
    stored: Schema, now: Mapping[tuple[str, str, str], Statement], names: Collection[Name]
) -> list[str]:
    """Of a storage-attached index the files come back with the rows. Cassandra takes those of the same name for the
    index of today and looks at their checksums only (C(SSTableImporter), 5.0): one that is on another column now would
    not find the rows. One whose name is taken by another table cannot be made again."""
    return [
        f"index {schema_text.plain(each.keyspace)}.{schema_text.plain(each.name)} is not what it was ("
        f"{_one_line(each.cql)}) but {_one_line(other.cql)}; drop it, and the restore makes the former one again. "
        "Make today's again afterwards, under another name"
        for each in stored.statements
        if each.kind == "index" and belongs_to(each) in names and (other := now.get(identity(each))) is not None
        if belongs_to(other) != belongs_to(each)
        or (schema_text.is_attached(each.cql) and _one_line(each.cql) != _one_line(other.cql))
    ]


def _one_line(cql: str) -> str:
    return " ".join(cql.split()).rstrip("; ")


def _changed_columns(stored: str, living: str) -> str:
    """Columns may have been added since, nothing else: of one that was dropped and made again the old values are
    hidden."""
    then, now = schema_text.columns(stored), schema_text.columns(living)
    before, since = schema_text.dropped(stored), schema_text.dropped(living)
    told = [
        f"{name} was {kind} and {'is ' + now[name] if name in now else 'is not there'}"
        for name, kind in then.items()
        if now.get(name) != kind
    ]
    told += [
        f"{name} was dropped at {moment(since[name] / 1e6)} and made again, which hides what it held"
        for name, kind in then.items()
        if now.get(name) == kind and since.get(name) != before.get(name) and name in since
    ]
    return ", ".join(told)


def counters(stored: Schema) -> frozenset[Name]:
    """The tables that count."""
    return frozenset(
        made_by(each)
        for each in stored.statements
        if each.kind == "table" and "counter" in schema_text.columns(each.cql).values()
    )


def _changed_type(stored: str, living: str) -> str:
    """Fields may have been added at the end; a renamed one holds the same bytes."""
    then, now = list(schema_text.columns(stored).values()), list(schema_text.columns(living).values())
    return "" if now[: len(then)] == then else f"its fields were {', '.join(then)} and are {', '.join(now)}"


# --- nodes ------------------------------------------------------------------------------------------------------------


def same_ring(nodes: Sequence[NodeManifest], targets: Sequence[Target]) -> dict[str, str] | str:
    """The backup's pod -> the pod that has its tokens now; or why the ring is another one.

    The tokens alone do not do: which nodes hold a row depends on the racks too.
    """
    if len(nodes) != len(targets):
        return f"the backup is of {_nodes(len(nodes))}, and there are {len(targets)}"
    by_tokens = {tuple(sorted(target.tokens)): target for target in targets}
    pairs: dict[str, str] = {}
    racks: dict[str, set[str]] = {}
    for node in nodes:
        target = by_tokens.get(tuple(sorted(node.tokens)))
        if target is None or not node.tokens:
            return f"no node has the tokens that {node.pod} had"
        pairs[node.pod] = target.pod
        racks.setdefault(node.rack, set()).add(target.rack)
    torn = sorted(rack for rack, now in racks.items() if len(now) > 1)
    if torn or len({next(iter(now)) for now in racks.values()}) < len(racks):
        return f"nodes that shared a rack do not any more ({', '.join(torn or sorted(racks))})"
    return pairs


def moved(plan: Plan, nodes: Sequence[NodeManifest], targets: Sequence[Target]) -> list[str]:
    """Why a plan does not fit the datacenter any more: nodes came, left or changed their tokens since it was made.

    A node that was replaced in its place is no reason: it has the tokens of the one before.
    """
    if plan.way == IMPORT:
        pairs = same_ring(nodes, targets)
        if isinstance(pairs, str):
            return [pairs]
        there = {(parcel.node, parcel.pod) for parcel in plan.parcels}
        return [f"{pod} has the tokens that {node} had" for node, pod in pairs.items() if (node, pod) not in there]
    planned, now = {parcel.pod for parcel in plan.parcels}, {target.pod for target in targets}
    return [
        *(f"{pod} is not here any more" for pod in ordered(planned - now)),
        *(f"{pod} came since" for pod in ordered(now - planned) if plan.way == SWAP),
    ]


def paired(nodes: Iterable[tuple[str, str]], racks: Mapping[str, Sequence[str]]) -> dict[str, str] | str:
    """The backup's pods -> the pods of another datacenter, rack by rack and number by number; or why they do not fit.

    Racks of the same name belong together where all have theirs; else those of the same size, in their order.

    :param nodes: pod and rack of each node of the backup.
    :param racks: rack -> its pods, of the other datacenter.
    """
    then: dict[str, list[str]] = {}
    for pod, rack in nodes:
        then.setdefault(rack, []).append(pod)
    counts = sorted(len(pods) for pods in then.values()), sorted(len(pods) for pods in racks.values())
    if counts[0] != counts[1]:
        had, has = (", ".join(map(str, sorted(each, reverse=True))) for each in counts)
        return f"the backup's racks have {had} nodes, and these have {has}"
    if set(then) == set(racks) and all(len(then[rack]) == len(racks[rack]) for rack in then):
        partners = {rack: rack for rack in then}
    else:
        by_size = sorted(then, key=lambda rack: (len(then[rack]), rack))
        partners = dict(zip(by_size, sorted(racks, key=lambda rack: (len(racks[rack]), rack)), strict=True))
    return {
        old: new
        for rack, partner in partners.items()
        for old, new in zip(ordered(then[rack]), ordered(racks[partner]), strict=True)
    }


def tokens_for(nodes: Sequence[NodeManifest], racks: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, ...]] | str:
    """Pod -> the tokens that a new datacenter must be given to take the backup's files as they are; or why not."""
    pairs = paired([(node.pod, node.rack) for node in nodes], racks)
    if isinstance(pairs, str):
        return pairs
    return {pairs[node.pod]: tuple(sorted(node.tokens)) for node in nodes}


# --- the plan ---------------------------------------------------------------------------------------------------------


def plan(
    wish: Wish, source: Source, scene: Scene, id: str, began: float, logs: Mapping[str, Chain | str] | None = None
) -> Plan:
    """What is to be done.

    :param began: now.
    :param logs: host id -> what was stored of the node's commit log, or why it does not do.
    :raises Refused: with every reason at once. Nothing was touched.
    """
    names, reasons = chosen(wish, source)
    reasons = [*unusable(source.manifest), *older(source, scene, wish), *reasons]
    reasons += [f"{node.pod} cannot take part: {node.fault}" for node in scene.nodes if node.fault]
    if wish.mode == DATACENTER:
        draft, more = swapped(wish, source, scene, id, began)
    else:
        draft, more = served(wish, source, scene, names, id, began)
    reasons += more
    if wish.to:
        reasons += not_then(wish, source, scene, began, logs or {})
        draft = draft and with_logs(draft, logs or {})
    if draft is not None:
        reasons += too_little_space(draft, source, scene, wish)
    if reasons or draft is None:
        raise Refused(reasons)
    return draft


def not_then(wish: Wish, source: Source, scene: Scene, now: float, logs: Mapping[str, Chain | str]) -> list[str]:
    """Why that moment cannot be restored."""
    if wish.mode != DATACENTER:
        return [f"commit logs are of whole nodes, so a moment can be restored with {wish.say('mode', DATACENTER)} only"]
    to, taken = seconds(wish.to), source.manifest.taken or source.manifest.began
    if not follows(wish.to, taken):
        then = f"after {wish.to}" if to < seconds(taken) else "and may have rows of the two seconds after"
        return [f"backup {wish.backup} was taken at {taken}, {then}; choose an older one"]
    if to > now:
        return [f"{wish.to} is in the future: it is {moment(now)}"]
    pods = {node.host_id: node.pod for node in source.nodes}
    reasons = [f"{pods[host]}: {told}" for host, told in sorted(logs.items()) if isinstance(told, str)]
    end = max((told.end for told in logs.values() if isinstance(told, Chain)), default=to)
    return reasons + schema_changes(scene.columns, source.schema, seconds(taken), to, end, scene.types)[0]


def follows(to: str, taken: str) -> bool:
    """Whether a backup has no rows of after a moment: when it was taken is told in full seconds, cut off twice."""
    return seconds(to) >= seconds(taken) + 2


def with_logs(plan: Plan, logs: Mapping[str, Chain | str]) -> Plan:
    """The plan with the room that each node needs for its commit log."""

    def with_log(parcel: Parcel) -> Parcel:
        told = logs.get(parcel.host_id)
        return replace(parcel, log_size=told.size) if isinstance(told, Chain) else parcel

    return replace(plan, parcels=tuple(with_log(each) for each in plan.parcels))


def unusable(manifest: Manifest) -> list[str]:
    """A backup that is not whole is none."""
    if manifest.state == COMPLETE:
        return []
    absent = f"; {', '.join(manifest.missing)} is not in it" if manifest.missing else ""
    return [
        f"backup {manifest.backup} is {manifest.state}{absent}{manifest.error and ' (' + manifest.error + ')'}; choose "
        "a complete one (playbook list_backups)"
    ]


def older(source: Source, scene: Scene, wish: Wish) -> list[str]:
    """Cassandra reads files of its own version and of the one before, and no later ones."""
    newest = max((node.version for node in source.nodes), key=release, default=scene.version)
    then, now = release(newest)[:2], release(scene.version)[:2]
    if now < then:
        return [f"the backup is of Cassandra {newest}, and {scene.version} cannot read its files; upgrade first"]
    if now[0] > then[0] + 1:
        return [f"the backup is of Cassandra {newest}, and {scene.version} does not read files that old"]
    if wish.mode == DATACENTER and now != then:
        return [
            f"the backup is of Cassandra {newest}, and these nodes run {scene.version}: a whole datacenter goes "
            f"back to the same version only; restore its tables instead ({wish.say('mode', TABLES)})"
        ]
    return []


def elsewhere(names: Sequence[Name], scene: Scene) -> list[str]:
    """Keyspaces that have no replicas here: no repair would find what is imported."""
    absent = without_replicas(scene.schema, scene.datacenter) if scene.schema else {}
    wanted = {name[0] for name in names}
    return [
        f"keyspace {keyspace} has no replicas in {scene.datacenter} now ({told}): rows that are imported here would "
        "belong to nobody; give it some first (ALTER KEYSPACE, then repair)"
        for keyspace, told in sorted(absent.items())
        if keyspace in wanted
    ]


def served(
    wish: Wish, source: Source, scene: Scene, names: Sequence[Name], id: str, began: float
) -> tuple[Plan | None, list[str]]:
    """Tables, while the datacenter serves."""
    if scene.schema is None:
        return None, ["no node could be asked for its schema; tables are restored into a datacenter that serves"]
    reasons = differences(source.schema, scene.schema, names)
    names = [name for name in with_views(names, source.schema) if has(source.manifest, name)]
    reasons += undescribed(names, source.schema, scene.schema)
    tables, more = actions(wish, scene.schema, names)
    reasons += more + without_logins(wish, source)
    if wish.auth == TAKE and source.manifest.roles:
        tables |= {f"{table.keyspace}.{table.name}": MERGE for table in tables_of(source, AUTH)}
    pairs = same_ring(source.nodes, scene.nodes)
    way = IMPORT
    if not isinstance(pairs, str):
        reasons += unfilled(names, scene.schema) + elsewhere(names, scene)
    else:
        way, spread = LOAD, ordered(node.pod for node in scene.nodes)
        if not wish.load:
            reasons.append(
                f"{pairs}: the files cannot be taken as they are. {wish.say('load', 'true')} streams each row to the "
                "nodes that own it now, which takes as many times the bytes as there are replicas. A datacenter of as "
                "many nodes that is still empty can be deployed anew with the backup's tokens (cassandra_tokens)"
            )
        nodes = sorted(source.nodes, key=lambda node: node.pod)
        pairs = {node.pod: spread[number % len(spread)] for number, node in enumerate(nodes)} if spread else {}
    chosen_names = {name_of(table) for table in tables}
    parcels = [parcel(source, node, pairs[node.pod], chosen_names) for node in source.nodes if node.pod in pairs]
    return draft(id, wish, way, parcels, tables, (), began), reasons


def undescribed(names: Collection[Name], stored: Schema, living: Schema) -> list[str]:
    """Tables of which there are files and neither here nor in the backup a schema."""
    known = {*described(stored), *described(living)}
    return [f"nothing tells what table {'.'.join(name)} looks like" for name in names if name not in known]


def unfilled(names: Collection[Name], living: Schema) -> list[str]:
    """Views that would lack the rows of their table: files that are imported go past them. (Rows that are loaded do
    not: C(StreamOperation.BULK_LOAD) writes views too.)"""
    return [
        f"the backup does not have view {'.'.join(name)} of table {'.'.join(base)}, which would lack the rows that "
        "come back; drop it, and create it again after the restore, which fills it"
        for each in living.statements
        if each.kind == "materialized_view" and (base := belongs_to(each)) in names and base is not None
        for name in [made_by(each)]
        if name not in names
    ]


def actions(wish: Wish, living: Schema, names: Collection[Name]) -> tuple[dict[str, str], list[str]]:
    """What becomes of each table; a table that is there needs a word about its rows."""
    there, copies = set(described(living)), views(living)
    present = [name for name in names if name in there]
    reasons = []
    if present and not wish.rows:
        some = ", ".join(".".join(name) for name in present[:5]) + (" and more" if len(present) > 5 else "")
        reasons.append(
            f"{some}: there are such tables. Say what becomes of their rows: {wish.say('rows', REPLACE)} (they go, a "
            f"snapshot keeps them) or {wish.say('rows', MERGE)} (both are there, the newer of two wins, and what was "
            "deleted within gc_grace_seconds stays deleted)"
        )
    rows = wish.rows or MERGE
    told = {".".join(name): CREATE for name in names}
    told |= {".".join(name): MERGE if name in copies else rows for name in present}
    return told, reasons


def returning(plan: Plan, source: Source, living: Schema | None, now: float) -> list[str]:
    """A warning where rows that were deleted after the backup may come back: compactions have taken tombstones away."""
    since = now - seconds(source.manifest.taken or source.manifest.began)
    grace = {
        made_by(each): schema_text.gc_grace(each.cql)
        for each in (living.statements if living else ())
        if each.kind == "table"
    }
    old = sorted(
        table
        for table, action in plan.tables.items()
        if action == MERGE and (kept := grace.get(name_of(table))) is not None and kept < since
    )
    if not old:
        return []
    return [
        f"rows of {', '.join(old)} that were deleted after the backup may come back: it is older than "
        "gc_grace_seconds, after which Cassandra forgets what was deleted"
    ]


def without_logins(wish: Wish, source: Source) -> list[str]:
    if wish.auth == TAKE and not source.manifest.roles:
        return [f"the backup has no roles and permissions; {wish.say('auth', KEEP)} keeps those that there are"]
    return []


def swapped(wish: Wish, source: Source, scene: Scene, id: str, began: float) -> tuple[Plan | None, list[str]]:
    """The whole datacenter in its own place."""
    reasons = [*foreign(wish, source, scene), *strangers(source, scene), *incomplete(wish, source)]
    reasons += without_logins(wish, source)
    if wish.tables or wish.rows:
        given = [wish.prefix + name for name, value in (("tables", wish.tables), ("rows", wish.rows)) if value]
        reasons.append(
            f"{' and '.join(given)}: the whole datacenter goes back, with every table and row; leave that out, or "
            f"restore tables ({wish.say('mode', TABLES)})"
        )
    others = sorted({*scene.datacenters} - {scene.datacenter})
    if others:
        reasons.append(
            f"the cluster has other datacenters ({', '.join(others)}): one of them cannot go back alone, since the "
            f"others would bring their newer rows. Restore tables ({wish.say('mode', TABLES)}), or rebuild this one"
        )
    empty = ordered(node.pod for node in scene.nodes if not node.data)
    if wish.auth == KEEP and empty:
        reasons.append(
            f"{', '.join(empty)} has an empty volume, so its roles and permissions cannot be kept; "
            f"{wish.say('auth', TAKE)} takes those of the backup"
        )
    kept = (AUTH,) if wish.auth == KEEP else ()
    here = {node.pod: not node.data for node in scene.nodes}
    parcels = [
        replace(parcel(source, node, node.pod, None), empty=here[node.pod]) for node in source.nodes if node.pod in here
    ]
    return draft(id, wish, SWAP, parcels, {}, kept, began), reasons


def foreign(wish: Wish, source: Source, scene: Scene) -> list[str]:
    was, is_now = (source.manifest.cluster, source.manifest.datacenter), (scene.cluster, scene.datacenter)
    if was == is_now:
        return []
    return [
        f"the backup is of datacenter {was[1]} of cluster {was[0]}, and this is {is_now[1]} of {is_now[0]}: only its "
        f"tables can be restored here ({wish.say('mode', TABLES)})"
    ]


def strangers(source: Source, scene: Scene) -> list[str]:
    """Nodes without a partner: a datacenter goes back node for node."""
    then, now = {node.pod for node in source.nodes}, {node.pod for node in scene.nodes}
    reasons = []
    if now - then:
        reasons.append(f"the backup has nothing for {', '.join(ordered(now - then))}: scale the datacenter in first")
    if then - now:
        reasons.append(
            f"the backup has {', '.join(ordered(then - now))}, which is not here: scale the datacenter out first"
        )
    return reasons


def incomplete(wish: Wish, source: Source) -> list[str]:
    """A backup of some tables, or without the tables that tell a node who it is."""
    if limits := limited(source.manifest):
        return [
            f"the backup is {limits}: a whole datacenter cannot be made of it; restore its tables "
            f"({wish.say('mode', TABLES)})"
        ]
    lacking = sorted(
        {f"{node.pod} ({keyspace})" for node in source.nodes for keyspace in IDENTITY if not _has(node, keyspace)}
    )
    return [f"the backup lacks Cassandra's own tables of {', '.join(lacking)}"] if lacking else []


def _has(node: NodeManifest, keyspace: str) -> bool:
    return any(table.keyspace == keyspace for table in node.tables)


def tables_of(source: Source, keyspace: str) -> list[Table]:
    found = {table.name: table for node in source.nodes for table in node.tables if table.keyspace == keyspace}
    return [found[name] for name in sorted(found)]


def wanted_tables(node: NodeManifest, names: Collection[Name] | None) -> list[Table]:
    """The folders that a parcel is made of; None is all."""
    return [table for table in node.tables if names is None or (table.keyspace, table.name) in names]


def parcel(source: Source, node: NodeManifest, pod: str, names: Collection[Name] | None) -> Parcel:
    entry = source.manifest.node(node.pod)
    tables = wanted_tables(node, names)
    return Parcel(
        pod=pod,
        node=node.pod,
        host_id=node.host_id,
        repository=node.repository,
        snapshot=node.snapshot,
        digest=entry.digest if entry else "",
        size=sum(table.size for table in tables),
        files=sum(len(table.files) for table in tables),
    )


def draft(
    id: str,
    wish: Wish,
    way: str,
    parcels: Iterable[Parcel],
    tables: Mapping[str, str],
    kept: tuple[str, ...],
    began: float,
) -> Plan:
    return Plan(
        id=id,
        wish=wish.key,
        way=way,
        backup=wish.backup,
        cluster=wish.cluster,
        datacenter=wish.datacenter,
        parcels=tuple(parcels),
        tables=dict(sorted(tables.items())),
        kept=kept,
        began=began,
        to=wish.to,
    )


def replicas(source: Source, tables: Collection[str]) -> int:
    """The most replicas that a keyspace of these had in the backup's datacenter."""
    counts = [1]
    for each in source.schema.statements:
        if each.kind == "keyspace" and any(name_of(table)[0] == schema_text.plain(each.keyspace) for table in tables):
            options = schema_text.replication(each.cql)
            text = options.get(source.manifest.datacenter) or options.get("replication_factor") or "1"
            counts.append(int(text.partition("/")[0]))
    return max(counts)


def needed(plan: Plan, source: Source, scene: Scene) -> dict[str, int]:
    """Pod -> bytes that its volume must take. Files are put in place by renaming them; loading writes them anew."""
    loaded = 0
    if plan.way == LOAD:
        total = sum(parcel.size for parcel in plan.parcels)
        loaded = total * replicas(source, plan.tables) // max(1, len(scene.nodes))
    return {
        node.pod: loaded + sum(parcel.size + parcel.log_size for parcel in plan.of(node.pod)) for node in scene.nodes
    }


def too_little_space(plan: Plan, source: Source, scene: Scene, wish: Wish) -> list[str]:
    reasons = []
    wants = needed(plan, source, scene)
    for node in scene.nodes:
        want = int(wants[node.pod] * wish.space)
        if node.free is not None and node.free < want:
            reasons.append(
                f"{node.pod} has {size(node.free)} free and needs {size(want)} ({wish.space:g} times "
                f"{size(wants[node.pod])}); make its volume larger, clear snapshots, or restore fewer tables"
            )
    return reasons


def to_repair(plan: Plan, schema: Schema) -> dict[str, list[str]]:
    """Keyspace -> its tables that came back; no tables are all of them."""
    if plan.way == SWAP:
        users = {name[0] for name in described(schema)} - {*SYSTEM, *plan.kept}
        return {keyspace: [] for keyspace in sorted(users | ({AUTH} - {*plan.kept}))}
    names = sorted(plan.names)
    return {keyspace: [table for here, table in names if here == keyspace] for keyspace, _table in names}


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


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"
