# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollout would restart, in which batches and why, and what keeps it from beginning; read only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from .. import gates, internode_encryption, rollout, upgrade
from ..activity import look_at_volume, volume_snapshots
from ..context import Context
from ..ledger import Ledger, ledger_name
from ..observe import Objects, configuration_of, mode_of, revisions, together, version_of
from ..view import NodeView, View
from ..wording import counted
from . import midway, unreadable
from .cluster import CLUSTER, Cluster, Sight

# Annotations of the ledger's ConfigMap: since when a forced rollout is under way, and when its last batch was done.
FORCED_SINCE = "cassops.kubernetes/forced-since"
FORCED_UNTIL = "cassops.kubernetes/forced-until"
MOMENT = "%Y-%m-%dT%H:%M:%SZ"
# Seconds; a forced rollout whose last batch is longer ago is not gone on with, but begun anew.
FORGOTTEN = 86400.0

SETTINGS: Mapping[str, Any] = {
    # Checked by rollout.py, all at once; texts from surveys and -e are fine.
    "max_unavailable": {"type": "raw"},
    "order": {"type": "raw"},
    "limit": {"type": "raw"},
    "canary": {"type": "raw"},
    "soak": {"type": "raw"},
    "pause_after": {"type": "raw"},
    "low_rf": {"type": "raw"},
    "force": {"type": "raw"},
    "ignore": {"type": "raw"},
    "free_disk": {"type": "raw"},
    "compactions": {"type": "raw"},
    "without": {"type": "raw"},
    "accept_outage": {"type": "raw"},
}
# What is to count as registered.
REGISTERED: Mapping[str, Any] = {"registered": {"type": "list", "elements": "dict", "default": []}}
ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    **SETTINGS,
    **REGISTERED,
    "snapshot": {"type": "str"},
    "show": {"type": "bool", "default": False},
    "variable_prefix": {"type": "str", "default": ""},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(rollout_plan). See its documentation for parameters and results."""
    settings = rollout.parse(params, params.get("variable_prefix") or "")
    cluster = Cluster(params, ctx)
    sight = cluster.ask_all(cluster.look(params.get("registered") or ()))
    told = predicted(cluster, sight, settings, ctx, params.get("snapshot"), show=params["show"])
    return {**told, "changed": False}


def predicted(
    cluster: Cluster,
    sight: Sight,
    settings: rollout.Settings,
    ctx: Context,
    snapshot: str | None,
    show: bool = True,
) -> dict[str, Any]:
    """The plan as a result: for machines, and as lines for people.

    :param snapshot: that every node must have before an upgrade. Default is the one that is named after the change;
        empty is none.
    """
    done = done_since(sight.view, forced_since(cluster, sight.found) if settings.force else None)
    plan = rollout.plan(sight.view, settings, sight.others, done)
    lost = rollout.lost(sight.view, settings)
    first = plan.batches[0] if plan.batches else None
    closed = rollout.before_batch(sight.view, first, settings, sight.others) if first else []
    closed += unheard(sight, lost)
    change = change_of(sight, lost)
    name = snapshot_name(cluster, sight.found, change)
    snapshot = name if snapshot is None else snapshot
    held = snapshots(cluster, sight.view, change.nodes)
    if change.is_upgrade:
        closed += refusals(cluster, sight, change) + upgrade.before_upgrade((sight.view, *sight.others), lost)
        closed += gates.snapshot_taken(held, snapshot) if snapshot else []
    lines = text(sight.view, plan, closed, change)
    if show:
        for line in lines:
            ctx.display(line)
    result: dict[str, Any] = {
        "changed": bool(plan.batches),
        "batches": [facts(batch) for batch in plan.batches],
        "not_restarted": dict(plan.skipped),
        "unfinished": list(plan.unfinished),
        "blockers": list(plan.blockers),
        "gates": closed,
        "warnings_for_clients": list(plan.warnings),
        "upgrade": str(change) if change.is_upgrade else None,
        "snapshot_name": name,
        "snapshot_missing": [pod for pod, names in held.items() if snapshot and snapshot not in (names or ())],
        "snapshot_ttl": knows_ttl(sight.view),
        "report": lines,
    }
    if ctx.diff_mode:
        result["diff"] = diff(sight.view, [pod for batch in plan.batches for pod in batch.nodes])
    return result


def forced_since(cluster: Cluster, found: Objects) -> str | None:
    """Since when a forced rollout is under way that is gone on with; None where there is none."""
    ledger = found.get("ConfigMap", ledger_name(cluster.name, cluster.own.datacenter)) or {"metadata": {}}
    notes: Mapping[str, str] = ledger["metadata"].get("annotations") or {}
    noted = notes.get(FORCED_SINCE)
    if noted is None:
        return None
    # Before its first batch is done there is no second note.
    last = max(noted, notes.get(FORCED_UNTIL, noted))
    age = cluster.kube.server_time() - datetime.strptime(last, MOMENT).replace(tzinfo=timezone.utc).timestamp()
    return noted if age < FORGOTTEN else None


def done_since(view: View, since: str | None) -> list[str]:
    """Pods that were made since then; in a forced rollout, those that are done."""
    return [node.pod for node in view.nodes if since and node.started and node.started >= since]


def not_mere(sight: Sight, lost: Collection[str] = ()) -> list[str]:
    """Why what is pending may not be restarted just so.

    :param lost: pods that are lost.
    """
    change = change_of(sight)
    reasons = unheard(sight, lost)
    if reasons or not change.is_upgrade:
        return reasons
    return [
        f"what is pending is no mere restart: {change}. Run the playbook upgrade, which checks more and takes "
        "snapshots first"
    ]


def refusals(cluster: Cluster, sight: Sight, change: Change) -> list[str]:
    """Why a change may not be, by what it is and by what the nodes hold.

    :param sight: with every node's word.
    """
    reasons = change.refusals()
    reasons += unreadable.refusals(cluster, sight.view) if change.leads_back else []
    return reasons + (unreadable.left_behind(cluster, sight.view) if change.leads_to_five else [])


def before_upgrade(cluster: Cluster, sight: Sight, settings: rollout.Settings, snapshot: str | None) -> list[str]:
    """Why nodes may not be upgraded now.

    :param snapshot: that every node must have which is to be upgraded; none where there need not be any.
    """
    lost = rollout.lost(sight.view, settings)
    reasons = upgrade.before_upgrade((sight.view, *sight.others), lost)
    if not snapshot:
        return reasons
    return reasons + gates.snapshot_taken(snapshots(cluster, sight.view, change_of(sight, lost).nodes), snapshot)


def snapshots(cluster: Cluster, view: View, pods: Iterable[str]) -> dict[str, tuple[str, ...] | None]:
    """By pod, the names of its snapshots; None is not known.

    A node that ends or starts answers no question. Its volume does, and a snapshot cannot be taken twice.
    """
    listed = list(pods)

    def of(pod: str) -> tuple[str, ...] | None:
        seen = view.observations.get(pod)
        told = seen.activity.snapshots if seen else None
        return volume_snapshots(look_at_volume(cluster.kube, pod)) if told is None else told

    return dict(zip(listed, together(of, listed), strict=True))


def snapshot_name(cluster: Cluster, found: Objects, change: Change) -> str | None:
    """A name for the snapshots before a change; None where neither version nor mode change.

    Kubernetes numbers the revisions of a StatefulSet, and gives one that comes again a new number: what is left of an
    earlier try, which was taken back, has another name.
    """
    if change.target is None:
        return None
    # Where they are only foreseen, they are among what was found.
    foreseen = found.all("ControllerRevision").values()
    made = foreseen or revisions(cluster.kube, cluster.name, cluster.own.datacenter)
    numbers = {item["metadata"]["name"]: item["revision"] for item in made}
    newest = [item.get("status", {}).get("updateRevision") for item in found.all("StatefulSet").values()]
    return f"before-{change.target}-{max(numbers.get(name, 0) for name in newest)}"


def knows_ttl(view: View) -> bool:
    """Whether snapshots can end by themselves on every node: since 4.1."""
    versions = [seen.own.version for seen in view.observations.values()]
    return bool(versions) and min(map(upgrade.release, versions)) >= (4, 1)


def facts(batch: rollout.Batch) -> dict[str, Any]:
    return {
        "rack": batch.rack,
        "nodes": list(batch.nodes),
        "canary": batch.canary,
        "down_already": batch.fix,
        "lost": batch.lost,
        "outage": list(batch.outage),
        "pause": batch.pause,
        "why": batch.why,
    }


def text(view: View, plan: rollout.Plan, closed: Sequence[str], change: Change) -> list[str]:
    """The plan for people."""
    count = sum(len(batch.nodes) for batch in plan.batches)
    if not count:
        lines = [f"Datacenter {view.datacenter}: nothing is pending, no node needs a restart"]
    else:
        nodes, batches = counted(count, "node"), counted(len(plan.batches), "batch", "batches")
        lines = [f"Datacenter {view.datacenter}: {nodes} to restart in {batches}"]
        lines += [f"  brings {wanted}" for wanted in sorted({wants(view, batch.rack) or "" for batch in plan.batches})]
    for number, batch in enumerate(plan.batches, 1):
        lines.append(f"  {number}. {', '.join(batch.nodes)}: {'canary, ' if batch.canary else ''}{batch.why}")
        if batch.pause:
            lines.append("     the run ends here; the next one goes on")
    lines += [f"Not restarted: {pod}: {why}" for pod, why in plan.skipped.items() if count and why != NOTHING]
    lines += [f"First waits for: {pod}" for pod in plan.unfinished]
    lines += [f"Upgrade: {change}"] if change.is_upgrade else []
    lines += [f"Mind: {warning}" for warning in plan.warnings]
    lines += [f"Blocked: {reason}" for reason in plan.blockers]
    lines += [f"Gate closed now: {reason}" for reason in closed]
    return lines


NOTHING = "nothing is pending for it"


def wants(view: View, rack: str) -> str | None:
    found = view.rack(rack)
    return found.wants if found else None


def diff(view: View, pods: Iterable[str]) -> dict[str, str]:
    """What the nodes run, and what they would (or do now) run."""
    listed = set(pods)
    nodes = [node for node in view.nodes if node.pod in listed]
    return {
        "before_header": "nodes",
        "after_header": "nodes",
        "before": "".join(f"{node.pod}: {node.runs}\n" for node in nodes),
        "after": "".join(f"{node.pod}: {wants(view, node.rack)}\n" for node in nodes),
    }


# --- what kind of change ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """From which versions and modes of storage to which; those of nodes that run neither are left out.

    :param nodes: those whose version or mode it changes, without lost ones.
    :param versions: what pods run that wait, and what they wait for.
    :param mode_steps: the same of the storage_compatibility_mode. With 5.0 comes its first one.
    :param modes: by pod, the storage_compatibility_mode that it runs in, see L(modes_of).
    """

    nodes: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    mode_steps: tuple[tuple[str, str], ...]
    modes: Mapping[str, str | None]

    @property
    def is_upgrade(self) -> bool:
        """To another line of Cassandra, or another step of its storage format: more than a restart."""
        return bool(self.lines or self.asked_steps)

    @property
    def asked_steps(self) -> list[tuple[str, str]]:
        """The steps of the storage format that do not come with an upgrade to 5.0."""
        return [step for step in self.mode_steps if step != upgrade.STEPS[:2]]

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [pair for pair in self.versions if gates.line(pair[0]) != gates.line(pair[1])]

    @property
    def leads_back(self) -> bool:
        return any(upgrade.leads_back(old, new) for old, new in self.versions)

    @property
    def leads_to_five(self) -> bool:
        return any(upgrade.leads_to_five(old, new) for old, new in self.versions)

    @property
    def target(self) -> str | None:
        """The version that it leads to, or the mode; None where neither changes."""
        targets = [new for _old, new in (*self.versions, *self.asked_steps)]
        return targets[-1] if targets else None

    def refusals(self) -> list[str]:
        """Why it may not be."""
        mode = upgrade.furthest(self.modes)
        reasons = [reason for old, new in self.lines for reason in upgrade.refusals(old, new, mode)]
        for _old, new in self.mode_steps:
            reasons += upgrade.step_refusals(self.modes, new)
        return list(dict.fromkeys(reasons))

    def warnings(self) -> list[str]:
        told = [text for old, new in self.lines for text in upgrade.warnings(old, new)]
        told += [f"{upgrade.KEY} {new} {upgrade.MEANINGS[new]}" for _old, new in self.mode_steps]
        told += [upgrade.SIDES for old, _new in self.mode_steps if old == gates.FOR_FOUR]
        return list(dict.fromkeys(told))

    def __str__(self) -> str:
        words = [f"Cassandra {old} to {new}" for old, new in self.lines or self.versions]
        return ", ".join([*words, *(f"{upgrade.KEY} {old} to {new}" for old, new in self.asked_steps)])


def change_of(sight: Sight, without: Collection[str] = ()) -> Change:
    """What the pending restarts would change.

    :param without: pods that are lost: what they wrote is lost too.
    """
    nodes, versions, steps = [], set(), set()
    modes = modes_of(sight, without)
    for node in sight.view.nodes:
        stateful_set = sight.found.get("StatefulSet", node.pod.rpartition("-")[0])
        pod = sight.found.get("Pod", node.pod)
        if pod is None or stateful_set is None or not node.pending_restart:
            continue
        template = stateful_set["spec"]["template"]
        version = differing(version_of(pod), version_of(template))
        step = differing(mode_of(sight.found, pod) or modes.get(node.pod), mode_of(sight.found, template))
        if version:
            versions.add(version)
        if step and step[1] in upgrade.MODES:
            steps.add(step)
        if (version or step) and node.pod not in without:
            nodes.append(node.pod)
    return Change(tuple(nodes), tuple(sorted(versions)), tuple(sorted(steps)), modes)


def differing(before: str | None, after: str | None) -> tuple[str, str] | None:
    """Both; None where they are the same, or one is not known."""
    return (before, after) if before and after and before != after else None


def modes_of(sight: Sight, without: Collection[str] = ()) -> dict[str, str | None]:
    """By pod, the storage_compatibility_mode that it runs in; None is not known.

    In its node's own word. One that does not say, a canary that does not start for one, was given its configuration's
    and can have written in no other.

    :param without: pods to leave out.
    """
    told = upgrade.modes([sight.view, *sight.others])
    silent = {name: pod for name, pod in sight.found.all("Pod").items() if told.get(name) is None}
    modes = {**told, **{name: mode_of(sight.found, pod) for name, pod in silent.items()}}
    return {name: mode for name, mode in modes.items() if name not in without}


def unheard(sight: Sight, without: Collection[str] = ()) -> list[str]:
    """Why nodes that restart would not hear those that do not yet, or would not be heard by them.

    One that is down hears nobody anyway, and may have been given a change that is now corrected.

    :param without: pods that are lost.
    """
    now: list[internode_encryption.Member] = []
    then: list[internode_encryption.Member] = []

    def note(members: list[internode_encryption.Member], node: NodeView, template: Mapping[str, Any] | None) -> None:
        config_map = configuration_of(sight.found, template) if template else None
        if config_map:
            encryption = internode_encryption.of_config_map(config_map)
            members.append(internode_encryption.Member(node.pod, node.rack, encryption))

    for node in sight.view.nodes:
        if node.pod in without:
            continue
        if not rollout.is_down(sight.view, node):
            note(now, node, sight.found.get("Pod", node.pod))
        stateful_set = sight.found.get("StatefulSet", node.pod.rpartition("-")[0])
        if stateful_set and rollout.needs_restart(sight.view, node):
            note(then, node, stateful_set["spec"]["template"])
    return internode_encryption.refusals(now, then)


def noted(ledger: Ledger, found: Objects, coming: bool = False) -> Ledger:
    """The ledger with the newest version that nodes run, their furthest mode, and whether an upgrade has come to some
    of them only; as it is where nothing tells.

    :param coming: what waits for a restart counts as well: it begins now.
    """
    pods = [*found.all("Pod").values(), *midway.scaled_away(found, ledger)]
    registered = [item["spec"]["template"] for item in found.all("StatefulSet").values()]
    templates = [*pods, *registered] if coming else pods or registered
    versions = [version for item in templates if (version := version_of(item))]
    modes = {mode for item in templates if (mode := mode_of(found, item)) in upgrade.MODES}
    if not versions:
        return ledger
    newest, furthest = max(versions, key=upgrade.release), max(modes, key=upgrade.MODES.index, default=None)
    whole = all(found.get("Pod", pod) for pod in ledger.nodes)
    mixed = sides(found, pods) or (sides(found, [*pods, *registered]) if coming or ledger.mixed else "")
    if not mixed and not whole:
        # Kubernetes may make the one that is not there again as it was.
        mixed = ledger.mixed
    return replace(ledger, version=newest, storage_mode=furthest, mixed=mixed)


def sides(found: Objects, templates: Iterable[Mapping[str, Any]]) -> str:
    """Between which two nothing can be streamed, in words; empty where all are of one. See L(gates.one_line)."""
    items = list(templates)
    lines = sorted({gates.line(version) for item in items if (version := version_of(item))}, key=upgrade.release)
    if len(lines) > 1:
        return f"Cassandra {' and '.join(lines)}"
    modes = {mode_of(found, item) for item in items}
    steps = [mode for mode in upgrade.MODES if mode in modes]
    return f"{upgrade.KEY} {' and '.join(steps)}" if gates.FOR_FOUR in steps and len(steps) > 1 else ""
