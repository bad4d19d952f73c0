# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked about nodes that may have failed: their workers, volumes, last words, and how long they were away.

Workers and volumes belong to the whole Kubernetes cluster. Where the credentials may not read them, the node's pod and
the scheduler's words tell some of it, and the rest stays C(unknown): then the decision asks a person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from .. import nodetool
from ..activity import setting
from ..errors import CassopsError
from ..events import seconds_of
from ..kube import Kube
from ..kubeapi import Forbidden, Object
from ..observe import Objects, attempt, condition, logged_in, together
from ..plan import GivenUp, Plan, from_config_map, plan_name
from ..renewal import copy_name
from ..replacement.case import AWAY, GONE, LOCAL, NETWORK, READY, UNKNOWN, Case, Volume, Worker
from ..replacement.workers import OUT_OF_SERVICE
from ..view import NodeView, View
from . import streaming
from .cluster import Cluster, Place, Sight
from .patience import is_elsewhere, last_words

MARKS = "/var/lib/cassandra/.cassops"
# The note, or a word instead of none: a node that does not answer must not look like one that missed nothing.
NO_NOTE = "none"
READ_MISSED = f"cd {MARKS} && if [ -e missed ]; then cat missed; else echo {NO_NOTE}; fi"
# Datacenter's identity, cluster, datacenter, rack, pod; then the number, if there is one.
MARK_WORDS = 5
HOSTNAME = "kubernetes.io/hostname"
# Labels that name a worker end so: that of Kubernetes, and those of drivers of local volumes. OpenEBS has one of that
# kind, csi-node, which all workers share.
ONE_WORKER = re.compile(r"(?<!csi-)(host|node)[-_]?(name|id)?$")
# Kubernetes notes here, for a claim's life, which worker its first pod was to run on, where the class waits for a pod.
# Only a local volume stays there.
SELECTED = "volume.kubernetes.io/selected-node"
# Kubernetes notes on a claim who makes its volume; claims of volumes that were made by hand have no such note.
PROVISIONER = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
# Those whose volumes stay on one worker. Of local-path-provisioner only the end of the name is its own.
LOCAL_PROVISIONER = re.compile(
    r".+/local-path|kubernetes\.io/no-provisioner|microk8s\.io/hostpath|openebs\.io/local"
    r"|(local|zfs|device|rawfile)\.csi\.openebs\.io|topolvm\.(io|cybozu\.com)|directpv-min-io"
)
LOG_LINES = 60
ASK_LIMIT = 20.0
# A node that was started so short a time (seconds) before it saw another one down may not have seen when that was.
JUST_STARTED = 120.0
GOSSIPER = "org.apache.cassandra.net:type=Gossiper"
UNITS: Mapping[str, float] = {"": 0.001, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
HINT_SETTINGS = (
    "max_hint_window",
    "max_hint_window_in_ms",
    "hinted_handoff_enabled",
    "hinted_handoff_disabled_datacenters",
    "max_hints_size_per_host",
)


def cases(cluster: Cluster, sight: Sight) -> list[Case]:
    """Every node of the datacenter; of those that are well only whether they missed writes is asked."""
    plan = open_plan(cluster, sight.found)
    return together(lambda node: case(cluster.kube, sight, node, plan), sight.view.nodes)


def case(kube: Kube, sight: Sight, node: NodeView, plan: Plan | None) -> Case:
    begun = plan if plan is not None and plan.pod == node.pod else None
    if node.ready and not begun:
        told = attempt(lambda: missed(kube, node.pod))
        facts = Case(node, wanted=wanted(sight.found, node.pod), orphaned=orphaned(sight, node.pod))
        if isinstance(told, CassopsError):
            return replace(facts, unread=str(told))
        return replace(facts, missed=told)
    volume, where = volume_of(kube, sight.found, node)
    now = kube.server_time()
    return Case(
        node,
        worker=worker_of(kube, node.worker or where, node),
        volume=volume,
        down=down_for(sight.found.get("Pod", node.pod), now),
        overdue=None if node.ends_by is None else now - node.ends_by,
        last_words=last_words(kube, node.pod, LOG_LINES) if node.phase == "Crashed" else "",
        streams_failed=streams_failed(kube, node),
        wanted=wanted(sight.found, node.pod),
        orphaned=orphaned(sight, node.pod),
        open_plan=begun is not None,
        wished=begun is not None and begun.wished,
        accepted=begun is not None and bool(begun.accepted),
        old_volume=begun is not None and volume.claim_uid is not None and volume.claim_uid == begun.claim_uid,
        again=begun is not None and begun.attempt > 1,
    )


def streams_failed(kube: Kube, node: NodeView) -> str:
    """Why the streams of a node failed whose process goes on without its data; empty where that is not known."""
    runs = node.phase == "Running" and not node.ready and node.held is None and not node.worker_lost
    return (streaming.failure(kube, node.pod) or "") if runs else ""


def close_plan(cluster: Cluster) -> None:
    """The replacement that was begun is finished, or is not wanted any more."""
    item = cluster.kube.get("ConfigMap", plan_name(cluster.name, cluster.own.datacenter))
    if item:
        cluster.check()
        cluster.kube.delete("ConfigMap", item["metadata"]["name"], uid=item["metadata"]["uid"])


def open_plan(cluster: Cluster, found: Objects) -> Plan | None:
    """The replacement that was begun and is not finished.

    :raises LedgerError: it cannot be read.
    """
    item = found.get("ConfigMap", plan_name(cluster.name, cluster.own.datacenter))
    return from_config_map(item) if item else None


def wanted(found: Objects, pod: str) -> bool:
    name, _dash, ordinal = pod.rpartition("-")
    stateful_set = found.get("StatefulSet", name)
    return stateful_set is not None and int(ordinal) < stateful_set["spec"].get("replicas", 1)


def orphaned(sight: Sight, pod: str) -> str:
    """The playbook that makes a node's StatefulSet again where there is none; empty where there is one."""
    name, view = pod.rpartition("-")[0], sight.view
    if sight.found.get("StatefulSet", name) is not None:
        return ""
    copy = sight.found.get("ConfigMap", copy_name(view.cluster, view.datacenter))
    return "scale" if copy is not None and copy["data"]["name"] == name else "deploy"


# --- Kubernetes -------------------------------------------------------------------------------------------------------


def worker_of(kube: Kube, name: str | None, node: NodeView) -> Worker:
    """The worker of that name; where it may not be read, what the node's pod tells of it: its kubelet has answered a
    question about it, or could not be reached."""
    if name is None:
        return Worker()
    try:
        found = kube.get("Node", name)
    except Forbidden:
        answers = node.answered and name == node.worker
        return Worker(name, AWAY if node.worker_lost else READY if answers else UNKNOWN)
    if found is None:
        return Worker(name, GONE)
    ready, spec = condition(found, "Ready").get("status") == "True", found.get("spec", {})
    return Worker(
        name,
        READY if ready else AWAY,
        out_of_service=any(taint["key"] == OUT_OF_SERVICE for taint in spec.get("taints", ())),
    )


def volume_of(kube: Kube, found: Objects, node: NodeView) -> tuple[Volume, str | None]:
    """The node's volume, and the worker that it is on."""
    claim = found.get("PersistentVolumeClaim", f"data-{node.pod}")
    if claim is None:
        return Volume(), None
    name = claim["spec"].get("volumeName")
    pv = persistent_volume(kube, name)
    notes = claim["metadata"].get("annotations") or {}
    volume = Volume(
        claim_uid=claim["metadata"]["uid"],
        name=name,
        kind=kind_by_claim(notes, node.reason) if pv is None else kind_of(kube, pv),
        lost=claim.get("status", {}).get("phase") == "Lost",
        going="deletionTimestamp" in claim["metadata"],
    )
    stays = made_locally(notes) if pv is None else volume.kind == LOCAL
    chosen = notes.get(SELECTED) if stays else None
    return volume, chosen or worker_with(kube, bound_to(pv))


def worker_with(kube: Kube, labels: Sequence[tuple[str, str]]) -> str | None:
    """The worker that a volume is bound to, of several one that is there; None where that may not be read.

    The label need not be the worker's name: whoever took it for that would find that worker gone. Where nobody has the
    label, it tells who is gone.
    """
    for key, value in labels:
        try:
            found = workers_with(kube, key, value)
        except Forbidden:
            return None
        if found:
            return found[0]
    return next((value for _key, value in labels), None)


def workers_with(kube: Kube, key: str, value: str) -> list[str]:
    return [str(item["metadata"]["name"]) for item in kube.list("Node", {key: value})]


def persistent_volume(kube: Kube, name: str | None) -> Object | None:
    """None where there is none, and where it may not be read."""
    try:
        return kube.get("PersistentVolume", name) if name else None
    except Forbidden:
        return None


def kind_of(kube: Kube, pv: Mapping[str, Any]) -> str:
    """Whether a volume can follow its pod to another worker.

    Drivers of local volumes bind them to labels of their own, such as C(topology.topolvm.io/node). A label of such a
    name that several workers have is none of one worker. Of any other label, such as a zone's or a cloud's location, it
    is not known: what might follow is not given up unasked.
    """
    spec = pv["spec"]
    here = "local" in spec or "hostPath" in spec or any(of_one(kube, *label) for label in bound_to(pv))
    return LOCAL if here else NETWORK


def kind_by_claim(notes: Mapping[str, str], reason: str | None) -> str:
    """The same of a volume that cannot be read: local only if the scheduler says that it is elsewhere, and no maker of
    other volumes has made it.

    The scheduler says the same of a disk of a zone that has no worker just now. One that was made by hand counts as
    local, since nothing tells its worker: then who names the node has to name that worker too.
    """
    return LOCAL if is_elsewhere(reason) and (made_locally(notes) or provisioner(notes) is None) else UNKNOWN


def made_locally(notes: Mapping[str, str]) -> bool:
    """Whether a claim's volume was made by a provisioner of local volumes."""
    return LOCAL_PROVISIONER.fullmatch(provisioner(notes) or "") is not None


def provisioner(notes: Mapping[str, str]) -> str | None:
    return next((notes[key] for key in PROVISIONER if key in notes), None)


def of_one(kube: Kube, key: str, value: str) -> bool:
    """Whether a label is that of one worker, as far as these credentials may read workers."""
    if key == HOSTNAME:
        return True
    try:
        return len(workers_with(kube, key, value)) <= 1
    except Forbidden:
        return False


def bound_to(pv: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """The workers that a volume is bound to, by labels that name a worker."""
    terms = ((pv or {}).get("spec", {}).get("nodeAffinity", {}).get("required", {})).get("nodeSelectorTerms", ())
    rules = (rule for term in terms for rule in term.get("matchExpressions", ()))
    named = (rule for rule in rules if ONE_WORKER.search(rule["key"]))
    return [(rule["key"], value) for rule in named for value in rule.get("values", ())]


def down_for(pod: Mapping[str, Any] | None, now: float) -> float | None:
    """For at least so many seconds the pod was not ready; None where there is no pod."""
    if pod is None:
        return None
    since = condition(pod, "Ready").get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
    return max(0.0, now - seconds_of(since))


# --- what was missed --------------------------------------------------------------------------------------------------


def missed(kube: Kube, pod: str) -> float | None:
    """For how many seconds a node was down before its last start, as long as it was not repaired since.

    Infinite where start.sh does not know it; None where nothing was missed.

    :raises CassopsError: the node cannot be asked just now.
    """
    told = kube.exec(pod, ["sh", "-c", READ_MISSED], timeout=ASK_LIMIT)
    if told.rc != 0:
        raise CassopsError(f"{pod}: the note of what it missed cannot be read: {told.stderr.strip()}")
    text = told.stdout.strip()
    if text == NO_NOTE:
        return None
    return float(text) if text.isdigit() else float("inf")


def forget_missed(kube: Kube, pod: str) -> None:
    """It has everything now.

    :raises CassopsError: the note could not be taken away.
    """
    done = kube.exec(pod, ["rm", "-f", f"{MARKS}/missed"], timeout=ASK_LIMIT)
    if done.rc != 0:
        raise CassopsError(f"{pod}: the note of what it missed could not be taken away: {done.stderr.strip()}")


def hint_window(cluster: Cluster, sight: Sight) -> float | None:
    """For how many seconds all nodes keep hints for one that is down; 0 where some keep none, None where unknown.

    Who takes a write keeps its hints, so every datacenter's setting counts. That of one node counts for a datacenter.
    """
    asked = zip((cluster.own, *cluster.peers), (sight.view, *sight.others), strict=True)
    told = [window_in(place, view, cluster.own.datacenter) for place, view in asked if view.observations]
    known = [window for window in told if window is not None]
    return min(known) if known and len(known) == len(told) else None


def window_in(place: Place, view: View, datacenter: str) -> float | None:
    for pod in sorted(view.observations):
        told = attempt(partial(hint_settings, place, pod))
        if isinstance(told, dict):
            return window_of(told, datacenter)
    return None


def hint_settings(place: Place, pod: str) -> dict[str, str | None]:
    with logged_in(place.kube, pod, place.credentials, ASK_LIMIT) as session:
        return {name: setting(session, name) for name in HINT_SETTINGS}


def window_of(told: Mapping[str, str | None], datacenter: str) -> float | None:
    """Until when a node keeps hints for the nodes of a datacenter (C(StorageProxy.shouldHint)). 4.0 tells milliseconds,
    later versions what stands in cassandra.yaml, such as 3h."""
    without = re.findall(r"[^\[\], ]+", told.get("hinted_handoff_disabled_datacenters") or "")
    # With a limit on their size there may be fewer than the time says.
    limited = re.match(r"0*[1-9]", told.get("max_hints_size_per_host") or "")
    if told.get("hinted_handoff_enabled") == "false" or datacenter in without or limited:
        return 0.0
    written = told.get("max_hint_window") or told.get("max_hint_window_in_ms") or ""
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d|)", written)
    return int(match[1]) * UNITS[match[2]] if match else None


def downtime(cluster: Cluster, sight: Sight, address: str) -> float | None:
    """For how many seconds the living have missed a node, by the clock that they keep hints by; None where unknown.

    C(Gossiper.getEndpointDowntime) has no table, and costs the node that is asked a Java process: the one that has run
    for longest. A node counts from its own start at most, so an answer as old as that is none.
    """
    now = cluster.kube.server_time()
    running = {pod: running_for(sight.found.get("Pod", pod), now) for pod in sight.view.observations}
    pod = max(sorted(running), key=lambda name: running[name], default=None)
    if pod is None:
        return None
    verb = ["sjk", "mx", "-b", GOSSIPER, "-mc", "-op", "getEndpointDowntime", "-a", address]
    told = attempt(lambda: nodetool.run_one(cluster.kube, pod, verb).stdout)
    match = None if isinstance(told, CassopsError) else re.search(r"^(\d+)\s*$", told, re.MULTILINE)
    seconds = int(match[1]) / 1000 if match else None
    return seconds if seconds is not None and seconds + JUST_STARTED < running[pod] else None


def running_for(pod: Mapping[str, Any] | None, now: float) -> float:
    """For how many seconds a pod's Cassandra has run."""
    states = (item.get("state", {}) for item in (pod or {}).get("status", {}).get("containerStatuses", ()))
    started = [state["running"]["startedAt"] for state in states if "startedAt" in state.get("running", {})]
    return max((now - seconds_of(text) for text in started), default=0.0)


def started_at(pod: Mapping[str, Any] | None) -> float:
    """When a pod's Cassandra was started, in seconds since 1970; infinite where that is not known."""
    states = (pod or {}).get("status", {}).get("containerStatuses", ())
    running = [item["state"].get("running", {}) for item in states if item["name"] == "cassandra"]
    return max((seconds_of(each["startedAt"]) for each in running if "startedAt" in each), default=float("inf"))


def marked_number(kube: Kube, pod: str) -> int:
    """The number in the mark on a node's volume: how many volumes the node had given up when it began to use this one.

    :raises CassopsError: it cannot be read.
    """
    told = kube.exec(pod, ["cat", f"{MARKS}/mark"], timeout=ASK_LIMIT)
    words = told.stdout.split()
    if told.rc != 0 or len(words) < MARK_WORDS:
        raise CassopsError(
            f"{pod}: the mark on its volume cannot be read: {told.stderr.strip() or told.stdout.strip()}"
        )
    return int(words[MARK_WORDS]) if len(words) > MARK_WORDS else 0


def has_joined(kube: Kube, pod: str) -> bool:
    """Whether a node whose data is on a pod's volume has ever served.

    :raises CassopsError: that cannot be read.
    """
    told = kube.exec(pod, ["test", "-e", f"{MARKS}/joined"], timeout=ASK_LIMIT)
    if told.rc not in (0, 1):
        raise CassopsError(f"{pod}: whether its volume is that of a member cannot be read: {told.stderr.strip()}")
    return told.rc == 0


def left_over(cluster: Cluster, plan: Plan) -> str | None:
    """The volumes that were given up and are still there: their workers are away, or their class keeps volumes."""
    return "; ".join(filter(None, (still_there(cluster.kube, plan.pod, each) for each in plan.volumes))) or None


def still_there(kube: Kube, pod: str, gone: GivenUp) -> str | None:
    if not gone.volume:
        return None
    which = f"volume {gone.volume}" + (f" on worker {gone.worker}" if gone.worker else "")
    clean = f"It is not used again. When nobody needs its data: kubectl delete pv {gone.volume}, and clean its disk"
    try:
        pv = kube.get("PersistentVolume", gone.volume)
    except Forbidden:
        return f"{which}, which {pod} has given up, may still be there; these credentials may not read volumes. {clean}"
    if pv is None or pv["spec"].get("claimRef", {}).get("uid") != gone.claim_uid:
        return None
    return f"{which}, which {pod} has given up, is still there ({pv['status'].get('phase')}). {clean}"
