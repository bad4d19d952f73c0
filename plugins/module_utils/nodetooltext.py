# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodetool prints, as data. Pure: text in, dictionaries out. Cassandra 4.0, 4.1 and 5.0.

Columns are cut where the header's labels stand, because values hold spaces (``104.2 KiB``, a rack ``row 1 left``) or
are missing (the load of a node that was never heard of is ``?``).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from .errors import CassopsError

STATUS = {"U": "up", "D": "down", "?": "unknown"}
STATE = {"N": "normal", "J": "joining", "L": "leaving", "M": "moving"}

_UNITS = {
    "bytes": 1,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
    "PiB": 1024**5,
    "EiB": 1024**6,
    # Before 4.0 said KiB some tables said KB and meant the same.
    "KB": 1024,
    "MB": 1024**2,
    "GB": 1024**3,
    "TB": 1024**4,
}


class UnknownOutput(CassopsError):
    """nodetool printed what no known version prints."""


class NodeStatus(TypedDict):
    """One line of ``nodetool status``."""

    datacenter: str
    rack: str
    address: str
    port: int | None
    host_id: str
    status: str
    """up, down, unknown"""
    state: str
    """normal, joining, leaving, moving"""
    load: str
    load_bytes: int | None
    tokens: int
    owns: float | None
    """Part of the ring, 0 to 1; None where Cassandra could not tell."""
    effective: bool
    """Whether ``owns`` counts replication."""


class Status(TypedDict):
    """``nodetool status``."""

    nodes: list[NodeStatus]
    notes: list[str]


class StreamSession(TypedDict):
    """The streams with one peer in ``nodetool netstats``."""

    operation: str
    plan_id: str
    peer: str
    receiving: dict[str, Any] | None
    sending: dict[str, Any] | None


class NetStats(TypedDict):
    """``nodetool netstats``."""

    mode: str
    sessions: list[StreamSession]
    read_repair: dict[str, int]
    pools: dict[str, dict[str, int | None]]


class CompactionStats(TypedDict):
    """``nodetool compactionstats``."""

    pending: int
    pending_by_table: dict[str, int]
    active: list[dict[str, Any]]
    remaining_time: str | None
    statistics: dict[str, str]


class ClusterDescription(TypedDict):
    """``nodetool describecluster``."""

    name: str
    snitch: str
    dynamic_snitch: bool
    partitioner: str
    schema_versions: dict[str, list[str]]
    unreachable: list[str]
    nodes: dict[str, int]
    datacenters: dict[str, dict[str, int]]
    database_versions: dict[str, list[str]]
    keyspaces: dict[str, dict[str, str]]


def size(text: str) -> int | None:
    """Bytes of ``104.22 KiB``; None of ``?``.

    :raises UnknownOutput: neither.
    """
    if text.strip() in ("?", ""):
        return None
    match = re.fullmatch(r"([\d.,]+) ?(\w+)", text.strip())
    if match is None or match[2] not in _UNITS:
        raise UnknownOutput(f"nodetool printed a size that is not known: {text!r}")
    # DecimalFormat writes a comma in some locales.
    return round(float(match[1].replace(",", ".")) * _UNITS[match[2]])


def status(text: str) -> Status:
    """``nodetool status``, with or without ``-r`` and ``-pp``."""
    nodes: list[NodeStatus] = []
    notes: list[str] = []
    datacenter = ""
    columns: list[tuple[str, int]] = []
    for line in text.splitlines():
        if line.startswith("Datacenter: "):
            datacenter, columns = line.removeprefix("Datacenter: ").strip(), []
        elif line.startswith("--  "):
            columns = _columns(line, ("--", "Address", "Load", "Tokens", "Owns", "Host ID", "Token", "Rack"))
        elif line.startswith(("Note: ", "Error: ")):
            notes.append(line.strip())
            columns = []
        elif columns and line.strip():
            nodes.append(_node_status(_cut(line, columns), datacenter, "Owns (effective)" in text))
    if not nodes:
        raise UnknownOutput(f"nodetool status named no node: {_short(text)}")
    return {"nodes": nodes, "notes": notes}


def _node_status(cells: Mapping[str, str], datacenter: str, effective: bool) -> NodeStatus:
    letters = cells["--"]
    if len(letters) != 2 or letters[0] not in STATUS or letters[1] not in STATE:
        raise UnknownOutput(f"nodetool status printed a state that is not known: {letters!r}")
    address, port = _address(cells["Address"])
    owns = cells["Owns"].rstrip("%").replace(",", ".")
    return {
        "datacenter": datacenter,
        "rack": cells["Rack"],
        "address": address,
        "port": port,
        "host_id": cells["Host ID"],
        "status": STATUS[letters[0]],
        "state": STATE[letters[1]],
        "load": cells["Load"],
        "load_bytes": size(cells["Load"]),
        # With one token a node the column holds the token itself.
        "tokens": int(cells["Tokens"]) if "Tokens" in cells else 1,
        "owns": None if owns in ("?", "") else round(float(owns) / 100, 6),
        "effective": effective,
    }


def info(text: str) -> dict[str, Any]:
    """``nodetool info``, with or without ``-T``: keys in snake case; numbers, sizes and caches taken apart."""
    found: dict[str, Any] = {}
    tokens: list[str] = []
    for line in text.splitlines():
        match = re.match(r"(\S.*?)\s*: (.*)", line)
        if match is None:
            continue
        name, value = match[1], match[2].strip()
        if name == "Token":
            if re.fullmatch(r"-?\w+", value):
                tokens.append(value)
            continue
        found[_snake(name)] = _info_value(name, value)
    if "id" not in found:
        raise UnknownOutput(f"nodetool info told no ID: {_short(text)}")
    found["tokens"] = tokens
    return found


def _info_value(name: str, value: str) -> Any:
    if value in ("true", "false"):
        return value == "true"
    if name.endswith("Cache"):
        return _cache(value)
    if name in ("Load", "Uncompressed load"):
        return {"text": value, "bytes": size(value)}
    if name == "Heap Memory (MB)":
        used, most = (float(part.replace(",", ".")) for part in value.split(" / "))
        return {"used": used, "max": most}
    if name in ("Generation No", "Uptime (seconds)", "Exceptions"):
        return int(value)
    if name == "Off Heap Memory (MB)":
        return float(value.replace(",", "."))
    if name == "Percent Repaired":
        number = value.rstrip("%")
        return None if number in ("NaN", "null") else float(number)
    return value


def _cache(value: str) -> dict[str, Any]:
    """``entries 10, size 880 bytes, ... 50 hits, 0.833 recent hit rate``."""
    found: dict[str, Any] = {}
    # A comma before a space parts two values; one without is a decimal point of some locales.
    for part in value.split(", "):
        labelled = re.fullmatch(r"(entries|size|overflow size|capacity):? (.+)", part)
        counted = re.fullmatch(r"([\d.,]+|NaN|null) (.+)", part)
        if labelled:
            number = labelled[2]
            found[_snake(labelled[1])] = int(number) if number.isdigit() else size(number)
        elif counted:
            number = counted[1].replace(",", ".")
            found[_snake(counted[2])] = (
                int(number) if number.isdigit() else None if number in ("NaN", "null") else float(number)
            )
    return found


def describecluster(text: str) -> ClusterDescription:
    """``nodetool describecluster``."""
    found: ClusterDescription = {
        "name": "",
        "snitch": "",
        "dynamic_snitch": False,
        "partitioner": "",
        "schema_versions": {},
        "unreachable": [],
        "nodes": {},
        "datacenters": {},
        "database_versions": {},
        "keyspaces": {},
    }
    section = ""
    for line in text.splitlines():
        if not line.strip():
            continue
        if not line.startswith("\t"):
            section = line.strip().rstrip(":")
        elif line.strip() == "Schema versions:":
            section = "Schema versions"
        else:
            _describe(found, section, line.strip())
    if not found["name"]:
        raise UnknownOutput(f"nodetool describecluster told no name: {_short(text)}")
    return found


def _describe(found: ClusterDescription, section: str, line: str) -> None:
    name, _colon, value = line.partition(": ")
    if section == "Cluster Information":
        if name == "Name":
            found["name"] = value
        elif name == "Snitch":
            found["snitch"] = value
        elif name == "DynamicEndPointSnitch":
            found["dynamic_snitch"] = value == "enabled"
        elif name == "Partitioner":
            found["partitioner"] = value
    elif section == "Schema versions":
        if name == "UNREACHABLE":
            found["unreachable"] = _bracketed(value)
        else:
            found["schema_versions"][name] = _bracketed(value)
    elif section == "Stats for all nodes":
        found["nodes"][_snake(name)] = int(value)
    elif section == "Data Centers":
        match = re.fullmatch(r"(.+) #Nodes: (\d+) #Down: (\d+)", line)
        if match:
            found["datacenters"][match[1]] = {"nodes": int(match[2]), "down": int(match[3])}
    elif section == "Database versions":
        found["database_versions"][name] = _bracketed(value)
    elif section == "Keyspaces":
        _describe_keyspace(found, line)


def _describe_keyspace(found: ClusterDescription, line: str) -> None:
    match = re.fullmatch(r"(\S+) -> Replication class: (\S+)(?: \{(.*)\})?", line)
    if match:
        options = dict(part.split("=", 1) for part in (match[3] or "").split(", ") if "=" in part)
        found["keyspaces"][match[1]] = {"class": match[2], **options}


def netstats(text: str) -> NetStats:
    """``nodetool netstats``, with or without ``-H``."""
    found: NetStats = {"mode": "", "sessions": [], "read_repair": {}, "pools": {}}
    operation = plan = ""
    files: list[dict[str, Any]] = []
    for line in text.splitlines():
        begun = re.fullmatch(r"(\S.*) ([0-9a-f]{8}-[0-9a-f-]{27})", line)
        peer = re.fullmatch(r" {4}(\S.*)", line)
        total = _STREAM_TOTAL.fullmatch(line)
        file = _STREAM_FILE.fullmatch(line)
        pool = re.fullmatch(r"(\w+ messages) +(\S+) +(\S+) +(\S+) +(\S+)", line)
        if line.startswith("Mode: "):
            found["mode"] = line.removeprefix("Mode: ").strip()
        elif begun:
            operation, plan = begun[1], begun[2]
        elif file:
            files.append({"name": file[1], "done": int(file[2]), "total": int(file[3])})
        elif total and found["sessions"]:
            files = []
            direction = "receiving" if total[1] == "Receiving" else "sending"
            found["sessions"][-1][direction] = _stream_total(total, files)  # type: ignore[literal-required]
        elif peer:
            found["sessions"].append(
                {
                    "operation": operation,
                    "plan_id": plan,
                    "peer": peer[1].lstrip("/"),
                    "receiving": None,
                    "sending": None,
                }
            )
        elif pool:
            numbers = [None if number == "n/a" else int(number) for number in pool.groups()[1:]]
            names = ("active", "pending", "completed", "dropped")
            found["pools"][_snake(pool[1])] = dict(zip(names, numbers, strict=True))
        elif re.match(r"(Attempted|Mismatch \(\w+\)): \d+$", line):
            name, _colon, number = line.partition(": ")
            found["read_repair"][_snake(name)] = int(number)
    if not found["mode"]:
        raise UnknownOutput(f"nodetool netstats told no mode: {_short(text)}")
    return found


_STREAM_TOTAL = re.compile(
    r" {8}(Receiving|Sending) (\d+) files, ([\d.,]+ \w+) total\. "
    r"Already (?:received|sent) (\d+) files \(\S+%\), ([\d.,]+ \w+) total \(\S+%\)"
)

_STREAM_FILE = re.compile(r" {12}(.+) (\d+)/(\d+) bytes \(-?\d+%\) (?:sent to|received from) .*")


def _stream_total(match: re.Match[str], files: list[dict[str, Any]]) -> dict[str, Any]:
    """The sum over the files of one direction; ``files`` lists those under way."""
    return {
        "files": int(match[2]),
        "bytes": size(match[3]),
        "files_done": int(match[4]),
        "bytes_done": size(match[5]),
        "active": files,
    }


_COMPACTION_COLUMNS = ("id", "compaction type", "keyspace", "table", "completed", "total", "unit", "progress")

_COMPACTION_STATISTICS = (
    "concurrent compactors",
    "compactions completed",
    "data compacted",
    "compressed data compacted",
    "compactions aborted",
    "compactions reduced",
    "sstables dropped from compaction",
    "15 minute rate",
    "mean rate",
    "compaction throughput (MiB/s)",
)


def compactionstats(text: str) -> CompactionStats:
    """``nodetool compactionstats``; ``statistics`` only from 5.0."""
    found: CompactionStats = {
        "pending": -1,
        "pending_by_table": {},
        "active": [],
        "remaining_time": None,
        "statistics": {},
    }
    columns: list[tuple[str, int]] = []
    for line in text.splitlines():
        total = re.match(r"pending tasks:? +(\d+)", line)
        by_table = re.match(r"(?:- (\w+)\.(\w+): |(\w+) +(\w+) +)(\d+)\s*$", line)
        remaining = re.match(r"(?i)\s*active compaction remaining time(?: :)? +(\S+)", line)
        name = next((name for name in _COMPACTION_STATISTICS if line.startswith(name + " ")), None)
        if total:
            found["pending"] = int(total[1])
        elif remaining:
            found["remaining_time"] = None if remaining[1] == "n/a" else remaining[1]
        elif name:
            found["statistics"][_snake(name)] = line.removeprefix(name).strip()
        elif re.match(r"id +compaction type +keyspace ", line):
            columns = _columns(line, _COMPACTION_COLUMNS)
        elif columns and line.strip():
            found["active"].append(_compaction(_cut(line, columns)))
        elif by_table:
            keyspace, table = by_table[1] or by_table[3], by_table[2] or by_table[4]
            found["pending_by_table"][f"{keyspace}.{table}"] = int(by_table[5])
    if found["pending"] < 0:
        raise UnknownOutput(f"nodetool compactionstats told no pending tasks: {_short(text)}")
    return found


def _compaction(cells: Mapping[str, str]) -> dict[str, Any]:
    # With -H a size has its unit with it.
    done, total = (int(cell) if cell.isdigit() else size(cell) for cell in (cells["completed"], cells["total"]))
    return {
        "id": cells["id"],
        "type": cells["compaction type"],
        "keyspace": cells["keyspace"],
        "table": cells["table"],
        "done": done,
        "total": total,
        "unit": cells["unit"],
        "progress": round(done / total, 6) if done is not None and total else None,
    }


def gossipinfo(text: str) -> dict[str, dict[str, Any]]:
    """``nodetool gossipinfo``: by address; each application state with its version.

    A value may hold colons; tokens are not told.
    """
    found: dict[str, dict[str, Any]] = {}
    endpoint: dict[str, Any] = {}
    for line in text.splitlines():
        if line and not line.startswith(" "):
            # "/10.0.0.1", and "name/10.0.0.1" where a name is known.
            endpoint = found.setdefault(short_address(line.strip().rpartition("/")[2]), {"states": {}})
        elif line.startswith("  "):
            name, _colon, rest = line.strip().partition(":")
            if name in ("generation", "heartbeat"):
                endpoint[name] = int(rest)
            elif re.match(r"\d+:", rest):
                version, _colon, value = rest.partition(":")
                endpoint["states"][name] = {"version": int(version), "value": value}
    if not found:
        raise UnknownOutput(f"nodetool gossipinfo named no node: {_short(text)}")
    return found


def ring(text: str) -> dict[str, list[int]]:
    """``nodetool ring``: by address, its tokens."""
    found: dict[str, list[int]] = {}
    for line in text.splitlines():
        # Address, rack (which may hold spaces), status, state, load, owned, token. A line before them has a token only.
        match = re.match(r"(\S+) .*\s(?:Up|Down|\?)\s.* (-?\d+)\s*$", line)
        if match:
            found.setdefault(_address(match[1])[0], []).append(int(match[2]))
    if not found:
        raise UnknownOutput(f"nodetool ring named no node: {_short(text)}")
    return found


def document(text: str) -> dict[str, Any]:
    """A verb that was asked for JSON."""
    try:
        # Warnings may stand before it.
        found: dict[str, Any] = json.loads(text[text.index("{") :], parse_constant=_nothing)
    except ValueError:
        raise UnknownOutput(f"nodetool printed no JSON: {_short(text)}") from None
    return found


PARSERS: Mapping[str, Callable[[str], Any]] = {
    "status": status,
    "info": info,
    "describecluster": describecluster,
    "netstats": netstats,
    "compactionstats": compactionstats,
    "gossipinfo": gossipinfo,
    "ring": ring,
    "tpstats": document,
    "tablestats": document,
    "cfstats": document,
}
"""Verb -> what makes data of its output."""

JSON_VERBS = ("tpstats", "tablestats", "cfstats")
"""Verbs that can print JSON in all supported versions."""


def _nothing(constant: str) -> None:
    """NaN is no JSON, and nothing to count with."""


def _columns(header: str, labels: Iterable[str]) -> list[tuple[str, int]]:
    """Where the columns begin, in the order in which they stand."""
    found: list[tuple[str, int]] = []
    for label in labels:
        match = re.search(rf"(?:^|\s){re.escape(label)}(?=\s|$)", header)
        if match:
            found.append((label, match.end() - len(label)))
    return sorted(found, key=lambda column: column[1])


def _cut(line: str, columns: Sequence[tuple[str, int]]) -> dict[str, str]:
    ends = [start for _label, start in columns[1:]] + [None]
    return {label: line[start:end].strip() for (label, start), end in zip(columns, ends, strict=True)}


def _address(text: str) -> tuple[str, int | None]:
    """``10.0.0.1``, ``10.0.0.1:7000``, ``::1``, ``[::1]:7000`` or a name."""
    match = re.fullmatch(r"\[(.+)\]:(\d+)|([^:]+):(\d+)", text)
    if match is None:
        return short_address(text), None
    return short_address(match[1] or match[3]), int(match[2] or match[4])


def short_address(text: str) -> str:
    """An address as CQL's drivers write it: Java writes IPv6 at full length, C(fd00:0:0:0:0:0:0:1). A name as it is."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _bracketed(text: str) -> list[str]:
    """``[a, b]``."""
    return [part for part in text.strip().strip("[]").split(", ") if part]


def _snake(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words[:200] or "nothing"
