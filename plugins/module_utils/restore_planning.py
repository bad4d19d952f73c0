# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a restore is planned, or every reason why it cannot be done. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from . import schema_text
from .archive import Chain, Short, schema_changes
from .backups import COMPLETE, Manifest, NodeManifest, Schema, Table, limited, moment, seconds
from .report import size
from .restore_choice import chosen, has
from .restore_ring import ordered, same_ring
from .restore_schema import (
    described,
    differences,
    replicated_elsewhere,
    undescribed,
    unfilled,
    views,
    with_views,
    without_replicas,
    without_table,
)
from .restoring import (
    AUTH,
    CREATE,
    DATACENTER,
    DATACENTERS,
    IMPORT,
    KEEP,
    LOAD,
    MERGE,
    ORIGINAL,
    REPLACE,
    SWAP,
    SYSTEM,
    TABLES,
    TAKE,
    Name,
    Parcel,
    Plan,
    Refused,
    Scene,
    Source,
    Twin,
    Wish,
    name_of,
    past,
)
from .upgrade import release
from .wording import agree

# Without these a node does not know who it is.
IDENTITY = ("system", "system_schema")
ASKED = 24
"""So many addresses are asked whether the datacenter of a backup lives: of one that serves, some of them answer."""


def plan(
    wish: Wish, source: Source, scene: Scene, id: str, began: float, logs: Mapping[str, Chain | Short] | None = None
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


def not_then(wish: Wish, source: Source, scene: Scene, now: float, logs: Mapping[str, Chain | Short]) -> list[str]:
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
    short = {host: told for host, told in sorted(logs.items()) if isinstance(told, Short)}
    reasons = [f"{pods[host]}: {told.why}" for host, told in short.items()]
    reaches = {told.reach for told in short.values()}
    # Of each node another one may be told. Where one reaches none, or nobody knows, nothing holds for all.
    if len(reaches) > 1 and None not in reaches:
        reasons.append(f"all nodes together reach moments up to {moment(min(each for each in reaches if each))}")
    end = max((told.end for told in logs.values() if isinstance(told, Chain)), default=to)
    return reasons + schema_changes(scene.columns, source.schema, seconds(taken), to, end, scene.types)[0]


def follows(to: str, taken: str) -> bool:
    """Whether a backup has no rows of after a moment: when it was taken is told in full seconds, cut off twice."""
    return seconds(to) >= first_moment(taken)


def first_moment(taken: str) -> float:
    """The earliest one that can be reached from a backup, see L(follows)."""
    return seconds(taken) + 2


def with_logs(plan: Plan, logs: Mapping[str, Chain | Short]) -> Plan:
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
    reasons = without_table(names, source.schema) + differences(source.schema, scene.schema, names)
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


def without_logins(wish: Wish, source: Source) -> list[str]:
    if wish.auth == TAKE and not source.manifest.roles:
        return [f"the backup has no roles and permissions; {wish.say('auth', KEEP)} keeps those that there are"]
    return []


def swapped(wish: Wish, source: Source, scene: Scene, id: str, began: float) -> tuple[Plan | None, list[str]]:
    """The whole datacenter in its own place."""
    reasons = [*foreign(wish, source, scene), *beside_original(wish, source.manifest, scene.twins)]
    reasons += [*strangers(source, scene), *incomplete(wish, source)]
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
    reasons += left_since(wish, source, scene)
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


def left_since(wish: Wish, source: Source, scene: Scene) -> list[str]:
    """Datacenters of then that are not there: nodes start with what they knew, their members and the replication."""
    if DATACENTERS in wish.ignore:
        return []
    gone = replicated_elsewhere(source.schema, {*scene.datacenters, scene.datacenter})
    return [
        f"the backup replicates {', '.join(keyspaces)} to datacenter {name}, which the cluster does not have (any "
        "more): its nodes of then would come back as members that are down for good, and its replicas with them. "
        f"Restore tables ({wish.say('mode', TABLES)}): keyspaces that are gone are made again for the datacenters that "
        f"there are {past(wish.prefix, DATACENTERS)}"
        for name, keyspaces in gone.items()
    ]


def down_for_good(plan: Plan, source: Source) -> list[str]:
    """A warning for each datacenter that L(left_since) would refuse: beside others none goes back as a whole."""
    gone = replicated_elsewhere(source.schema, {plan.datacenter}) if plan.way == SWAP else {}
    return [
        f"the nodes that datacenter {name} had in backup {plan.backup} come back as members that are down for good, "
        f"with its replicas of {', '.join(keyspaces)}. So nothing is repaired at the end. Afterwards alter the "
        f"replication of these keyspaces, so that it does not name {name}, take each of the members out with module "
        "node_remove, and run the playbook repair"
        for name, keyspaces in gone.items()
    ]


def foreign(wish: Wish, source: Source, scene: Scene) -> list[str]:
    was, is_now = (source.manifest.cluster, source.manifest.datacenter), (scene.cluster, scene.datacenter)
    if was == is_now:
        return []
    return [
        f"the backup is of datacenter {was[1]} of cluster {was[0]}, and this is {is_now[1]} of {is_now[0]}: only its "
        f"tables can be restored here ({wish.say('mode', TABLES)})"
    ]


def beside_original(wish: Wish, manifest: Manifest, twins: Sequence[Twin]) -> list[str]:
    """The datacenter that was backed up still lives, and this one would start with its host ids and its addresses."""
    if not twins:
        return []
    told = ", ".join(f"{twin.pod} at {twin.at} (asked from {twin.asked})" for twin in twins[:3])
    told += f" and {len(twins) - 3} more" if len(twins) > 3 else ""
    way = past(wish.prefix, ORIGINAL, "it is gone for good and somebody else has that address by now")
    return [
        f"datacenter {manifest.datacenter} of cluster {manifest.cluster} that backup {manifest.backup} is of seems to "
        f"live still: {told} {agree(twins, 'answers', 'answer')}. One of the same names that is restored as a whole "
        "has its host ids and knows its addresses: it joins its gossip, and clients of the one write to the other. To "
        "take its place, stop or destroy that one first. To live beside it, restore the tables instead "
        f"({wish.say('mode', TABLES)}), best into a cluster of another name {way}"
    ]


def to_ask(source: Source, own: Collection[str]) -> list[NodeManifest]:
    """Nodes of the backup that tell whether it lives still: the first of each rack, then the second of each, and so on.

    :param own: addresses of the nodes here.
    """
    ordinals = {node.pod: int(node.pod.rpartition("-")[2] or 0) for node in source.nodes}
    elsewhere = [node for node in source.nodes if node.address not in own]
    return sorted(elsewhere, key=lambda node: (ordinals[node.pod], node.rack))[:ASKED]


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
        unclean=entry is not None and entry.unclean,
    )


def to_clean(plan: Plan) -> list[str]:
    """A warning where nodes get rows that are not their own."""
    if not plan.unclean:
        return []
    return [
        f"{', '.join(ordered(plan.unclean))}: when backup {plan.backup} was made, rows of ranges that belong to other "
        "nodes had not been cleaned up, and they come back with its files. When it is restored, run the playbook "
        "cleanup: otherwise rows that are deleted from now on could come back once those ranges are its own again"
    ]


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
