# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node is busy with: virtual tables in the session that is open anyway, and one look at its volume.

Cassandra 4.0 has fewer tables: there its thread pools tell of repairs and C(nodetool netstats) of streams. What cannot
be read stays None; the gates know that this is no good news.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from . import cql, nodetool
from .errors import CassopsError
from .kube import Kube
from .nodetooltext import short_address
from .view import Activity, Disk, Repair, Stream

ASK_LIMIT = 20.0
MEBIBYTE = 2**20
# Gossip's word for a member -> its operation mode as nodetool says it.
MODES = {"NORMAL": "NORMAL", "LEAVING": "LEAVING", "MOVING": "MOVING", "BOOT": "JOINING", "BOOT_REPLACE": "JOINING"}
# States of a stream that is over (StreamingState.Status).
STREAMED = ("success", "failure")
# Pools of Cassandra 4.0 that work only for repairs: those of a coordinator, and the validation at each participant.
REPAIR_POOLS = ("Repair-Task", "Repair#", "ValidationExecutor")
# The folders cannot be moved by configuration. A file of hints is named <host id>-<time>-<version>.hints. The mark was
# written when the node began with an empty volume, or when a restore gave it other data.
LOOK_AT_VOLUME = r"""cd /var/lib/cassandra || exit 1
df -Pk . | awk 'NR == 2 { print "disk", $2, $4 }'
stat -c 'since %Y' .cassops/mark 2>/dev/null
for file in hints/*.hints; do [ -e "$file" ] && echo "hints ${file#hints/}"; done
for folder in data/*/*/snapshots/*; do [ -d "$folder" ] && echo "snapshot ${folder##*/}"; done | sort -u
exit 0"""


def read(kube: Kube, pod: str, session: cql.Session, tables: Collection[str], status: str | None) -> Activity:
    """The activity of the node that the session is with.

    :param tables: names of the virtual tables in system_views.
    :param status: gossip's word for the node itself, None where no table has it (4.0).
    """
    volume = look_at_volume(kube, pod)
    mode, streams = MODES.get(status or "", status), None
    # Where they are switched off the table is there, and empty (C(StreamManager.onRegister)).
    if "streaming" in tables and setting(session, "streaming_stats_enabled") != "false":
        streams = open_streams(session.execute("SELECT * FROM system_views.streaming"))
    if mode is None or streams is None:
        mode, streams = from_netstats(kube, pod)
    tables_on_disk = session.execute("SELECT * FROM system_views.disk_usage")
    pools = {row["name"]: row for row in session.execute("SELECT * FROM system_views.thread_pools")}
    return Activity(
        mode=mode,
        streams=streams,
        repairs=repairs(session) if "repairs" in tables else busy_repair_pools(pools),
        compactions=pools["CompactionExecutor"]["pending_tasks"] if "CompactionExecutor" in pools else None,
        cleanups=cleanups(session.execute("SELECT * FROM system_views.sstable_tasks")),
        hints=volume_hints(volume),
        disk=volume_disk(volume),
        sizes=sizes(tables_on_disk),
        largest_table=largest_table(tables_on_disk),
        snapshots=volume_snapshots(volume),
        storage_mode=setting(session, "storage_compatibility_mode"),
        volume_since=volume_since(volume),
    )


# --- virtual tables ---------------------------------------------------------------------------------------------------


def open_streams(rows: Iterable[Mapping[str, Any]]) -> tuple[Stream, ...]:
    return tuple(
        Stream(
            row["operation"],
            tuple(without_port(peer) for peer in row["peers"] or ()),
            row["progress_percentage"] or 0.0,
            None if row["duration_millis"] is None else row["duration_millis"] / 1000,
        )
        for row in rows
        if row["status"] not in STREAMED
    )


def without_port(peer: str) -> str:
    """The address in what Java prints: ``/198.19.0.2:7000``, ``node.example/198.19.0.2:7000``, ``/[fd00::1]:7000``."""
    return short_address(peer.rpartition("/")[2].rpartition(":")[0].strip("[]"))


def repairs(session: cql.Session) -> tuple[Repair, ...]:
    """Repairs that this node leads, or those of others that it takes part in."""
    led = [
        Repair(f"{kind_of_repair(row['options_incremental'])} repair of {row['keyspace_name']}", str(row["id"]))
        for row in session.execute("SELECT * FROM system_views.repairs")
        if not row["completed"]
    ]
    joined = [
        Repair(
            f"{kind_of_repair(row['incremental'])} repair of {', '.join(sorted(row['tables'] or ()))}",
            str(row["id"]),
            without_port(row["initiator"]),
            None if row["duration_millis"] is None else row["duration_millis"] / 1000,
        )
        for row in session.execute("SELECT * FROM system_views.repair_participates")
        if not row["completed"]
    ]
    return tuple(led or joined)


def kind_of_repair(incremental: bool | None) -> str:
    return "incremental" if incremental else "full"


def busy_repair_pools(pools: Mapping[str, Mapping[str, Any]]) -> tuple[Repair, ...]:
    return tuple(
        Repair(f"repair (thread pool {name} is busy)")
        for name, row in sorted(pools.items())
        if name.startswith(REPAIR_POOLS) and (row["active_tasks"] or row["pending_tasks"])
    )


def cleanups(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Those of L(Activity). In the moment between two tables there is none."""
    own = (row for row in rows if "cleanup" in str(row["kind"]).lower())
    return tuple(sorted({f"{row['keyspace_name']}.{row['table_name']}" for row in own}))


def setting(session: cql.Session, name: str) -> str | None:
    """A key of cassandra.yaml as the node took it; None where this version does not have it."""
    rows = session.execute(f"SELECT value FROM system_views.settings WHERE name = {cql.text_literal(name)}")
    return str(rows[0]["value"]) if rows and rows[0]["value"] is not None else None


def largest_table(rows: Iterable[Mapping[str, Any]]) -> int:
    return max((int(row["mebibytes"]) * MEBIBYTE for row in rows), default=0)


def used(session: cql.Session) -> int:
    """Bytes of all tables, each rounded up to a mebibyte: what gossip calls the load, where that cannot be read."""
    return sum(sizes(session.execute("SELECT * FROM system_views.disk_usage")).values())


def sizes(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Keyspace -> bytes of its tables."""
    counted: dict[str, int] = {}
    for row in rows:
        counted[row["keyspace_name"]] = counted.get(row["keyspace_name"], 0) + int(row["mebibytes"]) * MEBIBYTE
    return counted


# --- nodetool and the volume ------------------------------------------------------------------------------------------


def from_netstats(kube: Kube, pod: str) -> tuple[str | None, tuple[Stream, ...] | None]:
    """Mode and streams, both None where nodetool fails."""
    try:
        told = nodetool.run(kube, pod, [["netstats"]], check=True)[0].data
    except CassopsError:
        return None, None
    return told["mode"], tuple(Stream(item["operation"], (item["peer"],)) for item in told["sessions"])


def look_at_volume(kube: Kube, pod: str) -> list[list[str]] | None:
    """Lines of words, each C(disk KIBIBYTES FREE), C(since SECONDS), C(hints FILE) or C(snapshot NAME); None where it
    cannot be read."""
    try:
        told = kube.exec(pod, ["sh", "-c", LOOK_AT_VOLUME], timeout=ASK_LIMIT)
    except CassopsError:
        return None
    return [line.split(maxsplit=1) for line in told.stdout.splitlines() if " " in line] if told.rc == 0 else None


def volume_disk(lines: Iterable[list[str]] | None) -> Disk | None:
    for kind, rest in lines or ():
        if kind == "disk":
            total, free = (int(word) * 1024 for word in rest.split())
            return Disk(free=free, total=total)
    return None


def volume_since(lines: Iterable[list[str]] | None) -> int | None:
    return next((int(rest) for kind, rest in lines or () if kind == "since"), None)


def volume_hints(lines: Iterable[list[str]] | None) -> dict[str, int] | None:
    """Files of hints by host id.

    The table system_views.pending_hints leaves out the file that is being written, and 4.0 does not have it.
    """
    if lines is None:
        return None
    counted: dict[str, int] = {}
    for kind, rest in lines:
        if kind == "hints":
            host_id = rest.rsplit("-", 2)[0]
            counted[host_id] = counted.get(host_id, 0) + 1
    return counted


def volume_snapshots(lines: Iterable[list[str]] | None) -> tuple[str, ...] | None:
    return None if lines is None else tuple(rest for kind, rest in lines if kind == "snapshot")
