# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upgrades: which version may follow which, what keeps the way back open, and what must hold first. Pure.

What Cassandra's sources say (read in 4.0.19, 4.1.10 and 5.0.9):

- Up: 4.0 to 4.1 or 5.0, and 4.1 to 5.0, each in one hop (cassandra-dtest, `upgrade_tests/upgrade_manifest.py`).
- `storage_compatibility_mode` (5.0, `NEWS.txt`, first section): with CASSANDRA_4 the commit log, hints, messages and
  SSTables stay those of 4.x (`BigFormat.BigVersion`: nb instead of oa), and the way back is open. With UPGRADING and
  NONE they are those of 5.0. A node of 4.x, or one of 5.0 in CASSANDRA_4, refuses to start as soon as it finds one
  SSTable of a later letter (`BigVersion.isCompatible`, `StartupChecks.checkSSTablesFormat`): there is no way back.
  NONE alone takes expiration dates beyond 2038 at once (`Cell.getVersionedMaxDeletiontionTime`), which is why no node
  may be in it while another is still in CASSANDRA_4.
- The way back from 5.0 leads to 4.1 only: since 4.1, `system.paxos` has a column that 4.0 does not know, and a node
  skips SSTables with unknown columns (`SSTableReader.openAll`): 4.0 would forget lightweight transactions.
- Going back, drain first: 5.0 writes a column of `system.compaction_history` that 4.1 does not know
  (`SystemKeyspace.updateCompactionHistory`). As an SSTable it is skipped; in a commit log that is left to replay it
  ends the start (`CommitLogReader.readMutation`).
- No DDL while lines are mixed: nodes do not pull schemas from another major version
  (`MigrationCoordinator.shouldPullFromEndpoint`), and what 5.0 pushes leaves 4.1 with tables without columns
  (CASSANDRA-21446).
- No GRANT either: `GRANT ALL` on 5.0 gives permissions whose names 4.1 does not know, and it answers their role with
  errors. What else of 5.0 closes the way back, whatever the format of the files, is in C(unreadable).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from . import configuration, gates, settings
from .view import View

MODES = (gates.FOR_FOUR, *gates.FOR_FIVE)
"""storage_compatibility_mode of 5.0, in the order of its steps."""
BEFORE = "4.x"
STEPS = (BEFORE, *MODES)
KEY = "storage_compatibility_mode"

MEANINGS: Mapping[str, str] = {
    "CASSANDRA_4": (
        "writes what Cassandra 4.1 can read: the way back to 4.1 is open, until you use what only 5.0 has. Each GRANT "
        "ALL and each CREATE closes it until a REVOKE (permissions UNMASK and SELECT_MASKED); "
        "UnifiedCompactionStrategy, SAI, vectors and masks do until they are gone; allow_auto_snapshot or "
        "incremental_backups = false of a table closes it for good"
    ),
    "UPGRADING": "writes the formats of 5.0: from the first node on there is no way back but a backup",
    "NONE": "also takes expiration dates beyond 2038, and is the end: run upgradesstables afterwards",
}

MIXED = (
    "until all nodes run one line of Cassandra: no change of the schema, no GRANT, no repair, and nobody joins, leaves "
    "or is replaced"
)

SIDES = "until all nodes of all datacenters have that step: no repair, and nobody joins, leaves or is replaced"

MEANWHILE = (MIXED, SIDES)
"""What a warning says only as long as it is so."""

# Suffix of an old name (4.0) -> unit that its whole numbers are written with under the present name.
_UNITS: Mapping[str, str] = {
    "_in_ms": "ms",
    "_interval_ms": "ms",
    "_in_secs": "s",
    "_in_sec": "s",
    "_seconds": "s",
    "_in_minutes": "m",
    "_in_bytes": "B",
    "_in_bytes_per_ip": "B",
    "_in_kb": "KiB",
    "_in_mb": "MiB",
    "_size_mb": "MiB",
    "_mb_per_sec": "MiB/s",
}


def release(version: str) -> tuple[int, ...]:
    """(5, 0, 9) of 5.0.9, and of 5.0.9-SNAPSHOT, as a build of one's own calls itself."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def refusals(current: str, target: str, mode: str | None = None) -> list[str]:
    """Why a datacenter may not go from one version to the other; empty when it may.

    :param current: the version that its nodes run, or the newest one that any of them has run.
    :param target: the version wanted.
    :param mode: its storage_compatibility_mode, when it is or was on 5.0; None is not known.
    """
    here, there = release(current)[:2], release(target)[:2]
    told = f"version: the datacenter runs {current}, got {target}"
    if there not in settings.KEYS:
        lines = ", ".join(gates.line(f"{major}.{minor}") for major, minor in sorted(settings.KEYS))
        return [f"{told}; supported are {lines}"]
    if there >= here:
        return []
    otherwise = "put the version back, or restore a backup into a new datacenter"
    if here == (5, 0) and there == (4, 1):
        if mode == MODES[0]:
            return []
        state = f"is {mode}" if mode else "is not known"
        return [f"{told}; back to 4.1 is possible only while {KEY} is {MODES[0]}, and it {state}; {otherwise}"]
    if here == (5, 0):
        return [
            f"{told}; 4.0 cannot read all of what 5.0 writes: go back to 4.1 (while {KEY} is {MODES[0]}), {otherwise}"
        ]
    return [f"{told}; an older line cannot read all of what a newer one wrote: {otherwise}"]


def leads_back(current: str, target: str) -> bool:
    """Whether it is the one way down: what 4.1 cannot read is looked for then, see C(unreadable)."""
    return release(current)[:2] == (5, 0) and release(target)[:2] == (4, 1)


def leads_to_five(current: str, target: str) -> bool:
    """Whether it is from 4.x to 5.0: what only 4.x has is looked for then, see C(unreadable)."""
    return release(current)[:2] < (5, 0) <= release(target)[:2]


def warnings(current: str, target: str) -> list[str]:
    """What a person should know before going from one version to the other; of the storage format, see L(MEANINGS)."""
    here, there = release(current)[:2], release(target)[:2]
    if here == there:
        return []
    told = [MIXED]
    if here == (4, 0):
        told.append("there is no way back to 4.0 but a backup")
    if there < here:
        told.append("drain each node before it goes back: 4.1 cannot replay all of a commit log of 5.0")
    return told


# --- storage_compatibility_mode ---------------------------------------------------------------------------------------


def step_refusals(modes: Mapping[str, str | None], wanted: str) -> list[str]:
    """Why a datacenter may not take this step of storage_compatibility_mode now; empty when it may.

    Every node must have finished the step before, or have taken this one already.

    :param modes: by pod, the mode that it runs in; `BEFORE` on 4.x; None is not known.
    :param wanted: the mode that the nodes are to restart with.
    """
    if wanted not in MODES:
        return [f"{KEY}: must be one of {', '.join(MODES)}, got {wanted!r}"]
    step = STEPS.index(wanted)
    reasons = []
    for pod, mode in sorted(modes.items()):
        if mode not in STEPS:
            reasons.append(f"{KEY}: the mode that {pod} runs in could not be read, needed to know whether it may go on")
        elif STEPS.index(mode) > step:
            reasons.append(f"{KEY}: {pod} is in {mode}, got {wanted}; the steps lead one way: {mode} {MEANINGS[mode]}")
        elif STEPS.index(mode) < step - 1:
            reasons.append(
                f"{KEY}: {pod} is in {mode}, got {wanted}; {STEPS[STEPS.index(mode) + 1]} comes first, on every node"
            )
    return reasons


def modes(views: Sequence[View]) -> dict[str, str | None]:
    """By pod, the mode that it says it runs in, for `step_refusals`."""
    return {
        pod: seen.activity.storage_mode if release(seen.own.version) >= (5, 0) else BEFORE
        for view in views
        for pod, seen in view.observations.items()
    }


def furthest(modes: Mapping[str, str | None]) -> str | None:
    """Of these modes by pod, the one that decides about the way back; None where that of any pod is not known."""
    found = set(modes.values())
    return max((mode for mode in found if mode), key=STEPS.index, default=None) if found <= set(STEPS) else None


def mode_of(config_map: Mapping[str, Any]) -> str:
    """The mode that a configuration ConfigMap of this collection gives its pods."""
    return str(configuration.written(config_map, KEY) or BEFORE)


def mode_line(config_map: Mapping[str, Any]) -> str:
    """The line of a configuration ConfigMap that L(mode_of) reads, empty where there is none."""
    mode = configuration.written(config_map, KEY)
    return f"{KEY}: {json.dumps(mode)}\n" if mode else ""


# --- cassandra.yaml ---------------------------------------------------------------------------------------------------


def key_advice(config: Mapping[str, Any], target: str, path: str = "config") -> list[str]:
    """The user's cassandra.yaml keys that the target version takes under their old names only, with the present ones.

    Keys that it does not take at all are refused by C(configuration).
    """
    major, minor = release(target)[:2]
    line = (major, minor)
    return [
        f"{path}.{key}: Cassandra {major}.{minor} calls it {new}, and still takes the old name"
        f"{_instead(key, new, value)}"
        for key, value in sorted(config.items())
        if key not in settings.KEYS[line] and (new := settings.RENAMED[line].get(key))
    ]


def _instead(key: str, new: str, value: Any) -> str:
    translated = _translated(key, value)
    return f"; instead write {new}: {translated}" if translated else ""


def _translated(key: str, value: Any) -> str:
    """The value as the present name takes it; empty where it takes more than a unit."""
    if isinstance(value, bool) or key.startswith("enable_"):
        return str(value).lower()
    units = [unit for suffix, unit in _UNITS.items() if key.endswith(suffix)]
    return f"{value}{units[0]}" if units and re.fullmatch(r"\d+", str(value)) else ""


# --- before an upgrade ------------------------------------------------------------------------------------------------


def before_upgrade(views: Sequence[View], lost: Collection[str] = ()) -> list[str]:
    """Why nodes may not be upgraded to another line now, from every observer of every datacenter.

    Beyond what a restart asks: nothing streams or repairs, everything is in the present formats, and there is room to
    rewrite the largest table. That each has the snapshot to go back to is `gates.snapshot_taken`.

    Nodes of two lines are no reason: an upgrade that was interrupted goes on.

    :param lost: pods that nobody asks anything about.
    """
    cluster = views[0].joined(views[1:]).without(lost)
    reasons = gates.no_streams(cluster) + gates.no_repairs(cluster) + gates.sstables_present(cluster)
    return reasons + gates.room_to_rewrite(cluster) + gates.one_schema_a_line(cluster)
