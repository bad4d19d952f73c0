# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status of a datacenter: the same facts as data for machines and as tables for people. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from . import archive, backups, gates, ring
from .view import Endpoint, Keyspace, NodeView, Schedule, View
from .wording import agree, counted

# Keyspaces that are local to each node and have no replication to speak of.
LOCAL_STRATEGY = "LocalStrategy"
DAY = 86400.0
# What is done by the clock: seconds after which a run is told that has not ended, and the playbooks to run by hand. A
# repair of everything may take days.
BY_THE_CLOCK: Mapping[str, tuple[float, str]] = {
    "backup": (DAY, "playbooks backup and verify_backup"),
    "repair": (3 * DAY, "playbook repair"),
}
RESUME = '{"spec": {"suspend": false}}'
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def facts(seen: View) -> dict[str, Any]:
    """Everything a playbook may want to decide on; keys are documented in the module C(datacenter_info)."""
    owned = owns(seen)
    return {
        "cluster": seen.cluster,
        "datacenter": seen.datacenter,
        "phase": seen.phase,
        "stopped": seen.stopped is not None,
        "nodes": [node_facts(seen, node, owned) for node in seen.nodes],
        "schema_versions": seen.schemas(),
        "keyspaces": [keyspace_facts(seen, keyspace) for keyspace in distributed(seen)],
        **{f"{work}_schedule": schedule_facts(seen.schedules.get(work)) for work in BY_THE_CLOCK},
        "problems": problems(seen),
        "pending_restart": [node.pod for node in seen.nodes if node.pending_restart],
        "healthy": not gates.whole(seen),
    }


def node_facts(seen: View, node: NodeView, owned: Mapping[str, float]) -> dict[str, Any]:
    endpoint = seen.endpoint(node)
    up_in = seen.seen_up_by(node.address) if node.address else []
    return {
        "name": node.pod,
        "rack": node.rack,
        "zone": node.zone,
        "worker": node.worker,
        "address": node.address,
        "host_id": endpoint.host_id if endpoint else node.host_id,
        "state": state(seen, node),
        "up": bool(seen.observations) and len(up_in) == len(seen.observations),
        "seen_up_by": up_in,
        "observers": sorted(seen.observations),
        "ready": node.ready,
        "version": endpoint.version if endpoint else None,
        "load_bytes": endpoint.load if endpoint else None,
        "owns": owned.get(node.address or ""),
        "tokens": len(endpoint.tokens) if endpoint else None,
        "age_seconds": node.age,
        "restarts": node.restarts,
        "pending_restart": node.pending_restart,
        "held": node.held,
        "reason": node.reason,
    }


def state(seen: View, node: NodeView) -> str:
    """One word or two: UN as nodetool says it when every observer agrees, else what is the matter."""
    if node.held is not None:
        return "held"
    if node.uid is None:
        return "absent"
    if node.phase != "Running":
        return (node.phase or "unknown").lower()
    endpoint = seen.endpoint(node)
    up = len(seen.seen_up_by(node.address or ""))
    if not seen.observations:
        return "ready" if node.ready else "starting"
    if up == 0:
        # Kubernetes gives a reason where more than time is missing, such as a worker that does not answer.
        slow = node.reason is None and (endpoint is None or not node.ready)
        return "starting" if slow else "DN"
    letter = {"NORMAL": "N", None: "N", "LEAVING": "L", "MOVING": "M"}.get(endpoint.status if endpoint else None, "J")
    return f"U{letter}" if up == len(seen.observations) else f"U{letter} in {up} of {len(seen.observations)} views"


def distributed(seen: View) -> list[Keyspace]:
    return [item for item in seen.keyspaces if not item.replication.get("class", "").endswith(LOCAL_STRATEGY)]


def members(seen: View) -> dict[str, Endpoint]:
    """The members of the ring that hold tokens, of all datacenters."""
    return {address: item for address, item in seen.endpoints().items() if item.tokens}


def owns(seen: View) -> dict[str, float]:
    """Address -> share of the data of the user's keyspaces that the node holds.

    As C(nodetool status) does without a keyspace, it is told only where all keyspaces agree; else for system_auth.
    """
    users = [item.replication for item in distributed(seen) if not item.name.startswith("system")]
    logins = [item.replication for item in distributed(seen) if item.name == "system_auth"]
    agreed = users if users and all(item == users[0] for item in users) else logins
    return ring.ownership(placed(seen, agreed[0])) if agreed else {}


def replicas(ends: Mapping[str, Endpoint], replication: Mapping[str, str]) -> Any:
    return ring.replicas(
        {address: item.tokens for address, item in ends.items()},
        {address: item.rack for address, item in ends.items()},
        {address: item.datacenter for address, item in ends.items()},
        replication,
    )


def once(seen: View, what: str, replication: Mapping[str, str], work_out: Callable[[], Any]) -> Any:
    """What follows from a replication: worked out once for all keyspaces that are replicated alike."""
    key = what, frozenset(ring.replication_factors(replication).items())
    if key not in seen.worked_out:
        seen.worked_out[key] = work_out()
    return seen.worked_out[key]


def placed(seen: View, replication: Mapping[str, str]) -> ring.Replicas:
    """Who holds which range."""
    found: ring.Replicas = once(seen, "placed", replication, lambda: replicas(members(seen), replication))
    return found


def survival(seen: View, replication: Mapping[str, str]) -> ring.Survival:
    """Whether every range keeps its QUORUM without any one node, without any one rack."""
    ends = members(seen)
    return ring.survives(
        placed(seen, replication),
        {address: item.rack for address, item in ends.items()},
        {address: item.datacenter for address, item in ends.items()},
        replication,
    )


def keyspace_facts(seen: View, keyspace: Keyspace) -> dict[str, Any]:
    """Its replication, and what it survives."""
    replication = keyspace.replication
    survives = once(seen, "survives", replication, lambda: survival(seen, replication))
    return {
        "name": keyspace.name,
        "replication": dict(keyspace.replication),
        "survives_node": survives.node,
        "survives_rack": survives.rack,
    }


def schedule_facts(schedule: Schedule | None) -> dict[str, Any] | None:
    if schedule is None:
        return None
    return {
        "name": schedule.name,
        "schedule": schedule.times,
        "suspended": schedule.suspended,
        "running": schedule.running,
        "begun": moment(schedule.begun),
        "ended_well": moment(schedule.ended_well),
        "failed": has_failed(schedule),
    }


def has_failed(schedule: Schedule) -> bool:
    """No Job is at work, and the last one has not ended well."""
    return schedule.begun is not None and not schedule.running and (schedule.ended_well or 0) < schedule.begun


def schedule_problems(work: str, schedule: Schedule, kubectl: str) -> list[dict[str, str]]:
    """A run by the clock that is missing, or that has kept the next ones from beginning for too long.

    :param kubectl: see L(view.View.kubectl).
    """
    limit, playbooks = BY_THE_CLOCK[work]
    begun, ended = moment(schedule.begun), moment(schedule.ended_well)
    last = f"the last one that ended well did so at {ended}" if ended else "none has ended well yet"
    pods = f"{kubectl} get pods -l app.kubernetes.io/name=cassops-{work}"
    found = []
    if schedule.suspended and (schedule.written_for or 0) > DAY:
        found.append(
            {
                "problem": f"the scheduled {work}s are suspended, for {age(schedule.written_for)}; {last}",
                "advice": f"{kubectl} patch cronjob {schedule.name} -p '{RESUME}' lets them go on, and so does the "
                f"playbook start where a stop has suspended them. Or take cassandra_{work}.schedule out, and deploy",
            }
        )
    if schedule.idle is not None and not has_failed(schedule):
        found.append(
            {
                "problem": f"the scheduled {work}s have not begun for {age(schedule.idle)}; {last}",
                "advice": f"{kubectl} describe cronjob {schedule.name} shows why: a quota or a policy that refuses its "
                f"Job, mostly. Run the {playbooks}",
            }
        )
    if schedule.running and (schedule.age or 0) > limit:
        found.append(
            {
                "problem": f"the scheduled {work} of {begun} is still at work, or could not begin; {last}",
                "advice": f"{pods} shows its pod, and {kubectl} describe pod what it waits for: its image, mostly. No "
                f"other one begins before it ends: {kubectl} delete job, for one that cannot (CronJob {schedule.name})",
            }
        )
    if has_failed(schedule):
        found.append(
            {
                "problem": f"the scheduled {work} of {begun} did not end well; {last}",
                "advice": f"{pods} shows its pod, and {kubectl} logs of that tells why (CronJob {schedule.name}); then "
                f"the {playbooks}",
            }
        )
    return found


def commit_log_problems(seen: View) -> list[dict[str, str]]:
    """Commit logs that do not go where a deploy has told the backups to go: nobody else would say so."""
    reasons = []
    for store in sorted({rack.commit_log for rack in seen.racks if rack.commit_log}):
        racks = {rack.name for rack in seen.racks if rack.commit_log == store}
        its = {node.pod: node.commit_log for node in seen.nodes if node.uid and node.rack in racks}
        reasons += archive.astray(its, store)
    advice = (
        "run the playbook restart, then backup; until both are done no moment after the last backup can be restored "
        "from there, only the backup itself"
    )
    return [{"problem": reason, "advice": advice} for reason in reasons]


def problems(seen: View) -> list[dict[str, str]]:
    """What is the matter, each with what to do; empty when there is nothing to do.

    That the others see a node down which does not run is no further problem.
    """
    if seen.stopped is not None:
        words = f"the datacenter is stopped on purpose, since {utc(seen.stopped)}"
        playbook = "start" if seen.racks else "deploy"
        return [{"problem": words, "advice": f"the playbook {playbook} brings all of it back"}]
    ill = [node.pod for node in seen.nodes if gates.running(replace(seen, nodes=(node,)))]
    reasons = gates.running(seen) + gates.whole(seen.without(ill)) + gates.volumes_kept(seen)
    found = [{"problem": reason, "advice": gates.advice(reason)} for reason in reasons]
    for work in BY_THE_CLOCK:
        found += schedule_problems(work, seen.schedules[work], seen.kubectl) if work in seen.schedules else []
    found += commit_log_problems(seen)
    orphans = [node.pod for node in seen.nodes if seen.racks and seen.rack(node.rack) is None]
    if orphans:
        found.append(
            {
                "problem": f"the StatefulSet of {', '.join(orphans)} is gone: nobody would make a pod again that ends",
                "advice": "run the playbook heal, which tells which playbook makes it again",
            }
        )
    pending = [node.pod for node in seen.nodes if node.pending_restart]
    if pending:
        told = f"{counted(len(pending), 'node')} {agree(pending, 'runs', 'run')}"
        found.append(
            {
                "problem": f"{told} an older revision: {', '.join(pending)}",
                "advice": "run the playbook restart when it suits (upgrade, for another line of Cassandra or a step of "
                "its storage format); until then nothing changes by itself",
            }
        )
    found += lost_quorum(seen)
    many = len(members(seen)) > 2
    for keyspace in distributed(seen):
        survives = keyspace_facts(seen, keyspace)["survives_node"]
        if survives is False and not keyspace.name.startswith("system") and many:
            found.append(
                {
                    "problem": f"keyspace {keyspace.name} loses QUORUM when one node is down",
                    "advice": "raise its replication to at least 3 and repair it",
                }
            )
    return found


def lost_quorum(seen: View) -> list[dict[str, str]]:
    """Keyspaces whose QUORUM is gone with the nodes that nobody sees up, or would go with one more."""
    ends = members(seen)
    down = {address for address in ends if seen.observations and address not in seen.up_somewhere}
    gone, next_to_go = [], []
    for keyspace in distributed(seen) if down else ():
        if keyspace.name in gates.UNCOUNTED_KEYSPACES:
            continue
        replication = keyspace.replication
        has, would_have = once(seen, "quorums", replication, partial(quorums, seen, replication, down))
        if not has:
            gone.append(keyspace.name)
        elif not would_have:
            next_to_go.append(keyspace.name)
    told = (
        (
            gone,
            "QUORUM is lost for some of the rows",
            "bring a node back, first of all; the playbook heal tells how",
        ),
        (
            next_to_go,
            "QUORUM would be lost with one more node",
            "stop and restart nothing until all nodes are up",
        ),
    )
    return [
        {"problem": f"{gates.keyspaces_named(sorted(names))}: {what}", "advice": advice}
        for names, what, advice in told
        if names
    ]


def quorums(seen: View, replication: Mapping[str, str], down: Container[str]) -> tuple[bool, bool]:
    """Whether every range has its QUORUM without those that are down, and without one more."""
    left = ring.without(placed(seen, replication), down)
    return ring.has_quorum(left, replication), ring.has_quorum(left, replication, lost=1)


# --- for people -------------------------------------------------------------------------------------------------------


def text(told: Mapping[str, Any]) -> list[str]:
    """The status as lines: the nodes, the keyspaces, the problems."""
    nodes = told["nodes"]
    up = sum(1 for node in nodes if node["up"])
    title = f"Datacenter {told['datacenter']} of cluster {told['cluster']}"
    phase = "stopped" if told.get("stopped") else told["phase"]
    lines = [f"{title}: {up} of {len(nodes)} nodes up, phase {phase}"]
    lines += table(
        ("NODE", "RACK", "ZONE", "WORKER", "STATE", "VERSION", "LOAD", "OWNS", "AGE", "RESTART"),
        [
            (
                node["name"],
                node["rack"],
                node["zone"],
                node["worker"],
                node["state"],
                node["version"],
                size(node["load_bytes"]),
                f"{node['owns'] * 100:.1f} %" if node["owns"] is not None else None,
                age(node["age_seconds"]),
                "pending" if node["pending_restart"] else None,
            )
            for node in nodes
        ],
    )
    if told["keyspaces"]:
        lines.append("")
        lines += table(
            ("KEYSPACE", "REPLICATION", "QUORUM WITHOUT A NODE", "QUORUM WITHOUT A RACK"),
            [
                (
                    item["name"],
                    replication(item["replication"]),
                    kept(item["survives_node"]),
                    kept(item["survives_rack"]),
                )
                for item in told["keyspaces"]
            ],
        )
    clocks = {work: told[f"{work}_schedule"] for work in BY_THE_CLOCK if told[f"{work}_schedule"]}
    lines += ["", *(schedule_text(work, clock) for work, clock in clocks.items())] if clocks else []
    lines.append("")
    if told["problems"]:
        # What the same is to be done about stands together.
        for advice, items in itertools.groupby(told["problems"], key=lambda item: item["advice"]):
            lines += [*(item["problem"] for item in items), f"    -> {advice}"]
    else:
        lines.append("No problems.")
    return lines


def schedule_text(work: str, told: Mapping[str, Any]) -> str:
    begun, ended = (told[key] or "never" for key in ("begun", "ended_well"))
    doing = "suspended" if told["suspended"] else "running" if told["running"] else "waiting"
    what = f"{work.capitalize()}s by the clock ({told['schedule']}, UTC)"
    return f"{what}: {doing}, last begun {begun}, last ended well {ended}"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Columns as wide as their widest cell; an unknown cell is a dash."""
    cells = [list(header)] + [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def size(count: float | None) -> str | None:
    """Bytes as people read them."""
    if count is None:
        return None
    for unit in UNITS:
        if count < 1024 or unit == UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable: the last unit always fits")


def age(seconds: float | None) -> str | None:
    """The two largest units: 3d4h, 2h10m, 45s."""
    if seconds is None:
        return None
    whole = max(0, int(seconds))
    parts = [(whole // 86400, "d"), (whole % 86400 // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s")]
    first = next((number for number, (value, _unit) in enumerate(parts) if value), len(parts) - 1)
    return "".join(f"{value}{unit}" for value, unit in parts[first : first + 2])


def moment(seconds: float | None) -> str | None:
    return None if seconds is None else backups.moment(seconds)


def replication(options: Mapping[str, str]) -> str:
    kind = options.get("class", "").rpartition(".")[2].replace("Strategy", "")
    return f"{kind} {', '.join(f'{key}: {value}' for key, value in sorted(options.items()) if key != 'class')}".strip()


def utc(seconds: float) -> str:
    """A moment, in seconds since 1970, for people."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def kept(survives: bool | None) -> str:
    return {True: "kept", False: "LOST", None: "-"}[survives]
