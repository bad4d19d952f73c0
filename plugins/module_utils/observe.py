# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a view is collected: a few lists from Kubernetes, then CQL to every observer at once.

Asking costs no JVM where CQL can answer. Which members a node takes for alive has no table, but a few reads of absent
rows of C(system_auth.roles) tell it (L(liveness)). Only a node whose reads do not settle it is asked by
C(nodetool status): where one of three nodes is down each read is refused, and none tells because of whom.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any, TypeVar

from . import activity, cql, liveness, nodetool, upgrade
from .activity import ASK_LIMIT
from .errors import CassopsError
from .events import HANGING, seconds_of, why_it_hangs
from .kube import Kube
from .kubeapi import Forbidden, WorkerUnreachable
from .ledger import Ledger, from_config_map, ledger_name, rack_of
from .liveness import Liveness, Probe, probes
from .manifests import backup
from .view import (
    SHORTEST_GC_GRACE,
    Activity,
    Budget,
    Endpoint,
    Keyspace,
    NodeView,
    Observation,
    RackView,
    Schedule,
    View,
    observers,
)

LABEL_CLUSTER = "cassops.kubernetes/cluster"
LABEL_DATACENTER = "cassops.kubernetes/datacenter"
LABEL_RACK = "cassops.kubernetes/rack"
ZONE = "topology.kubernetes.io/zone"
VERSION = "app.kubernetes.io/version"
# Kubernetes' label for the revision of the StatefulSet that a pod was made of.
REVISION = "controller-revision-hash"
# Annotation of a StatefulSet whose partition a rollout has lowered; without it, it is 0 since the first start.
RELEASED = "cassops.kubernetes/released"
# Where start.sh writes why it holds the node.
HELD_FILE = "/tmp/held"
# Key of the superuser's Secret with the password that the role gets, or has got already, while it is rotated.
NEXT_PASSWORD = "next_password"  # noqa: S105 - a name
# Gossip remembers for three days who left.
GONE = ("LEFT", "removed")
# Seconds after which a Job that was due has begun, or does not any more: the CronJob's own limit is five minutes.
LATE = 3600.0
DAY = 86400.0
WEEK = 7 * DAY
# Threads that wait for answers; an answer takes milliseconds to parse and up to a second to arrive.
PARALLEL = 16
WIDE = 64
"""The same for commands that nodes work on for seconds, and whose answers are nothing to parse."""

# What a view is made of: other columns, such as gossip's heartbeat, make rows differ from node to node.
PEERS = "SELECT peer, data_center, host_id, rack, release_version, schema_version, tokens FROM system.peers_v2"
STATES = (
    *("dc", "host_id", "load", "rack", "release_version", "rpc_ready", "schema", "sstable_versions"),
    *("status", "status_with_port"),
)
GOSSIP = f"SELECT address, {', '.join(map(cql.identifier, STATES))} FROM system_views.gossip_info"
NOTHING: Mapping[str, Any] = {}

Item = TypeVar("Item")
Result = TypeVar("Result")


def no_secret() -> Mapping[str, Any] | None:
    """Of a login that is in none."""


@dataclass(frozen=True)
class Credentials:
    """:ivar secret: reads the Secret that they are from, as it is now."""

    username: str
    password: str = field(repr=False)
    secret: Callable[[], Mapping[str, Any] | None] = field(default=no_secret, compare=False)

    def by_now(self) -> list[str]:
        """The passwords that the Secret has and these have not: somebody rotates it, or has done so since."""
        secret = self.secret() or {}
        told = (value_of(secret, key) for key in ("password", NEXT_PASSWORD))
        return [password for password in told if password not in ("", self.password)]


def value_of(secret: Mapping[str, Any], key: str) -> str:
    """A value of a Secret as the API gives it; empty where there is none.

    :raises CassopsError: it is no text.
    """
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "").decode()
    except UnicodeDecodeError:
        name = secret.get("metadata", {}).get("name")
        raise CassopsError(f"the key {key} of Secret {name} is no text (UTF-8): write another value into it") from None


@contextmanager
def logged_in(kube: Kube, pod: str, login: Credentials, timeout: float) -> Iterator[cql.Session]:
    """A session with the node in that pod, see L(cql.connect); by another password of the Secret where it calls this
    one wrong. A password is rotated while others are at work, and a node remembers the one before for a while.
    """
    with ExitStack() as stack:

        def enter(password: str) -> cql.Session:
            return stack.enter_context(cql.connect(kube, pod, login.username, password, timeout=timeout))

        try:
            session = enter(login.password)
        except cql.LoginRefused as error:
            if not cql.is_wrong(str(error)):
                raise
            session = by_another(enter, login.by_now(), error)
        yield session


def by_another(enter: Callable[[str], cql.Session], passwords: Iterable[str], refused: CassopsError) -> cql.Session:
    """A session by the first of these passwords that the node takes.

    :raises CassopsError: it takes none: why, where it is not only that they are wrong.
    """
    for password in passwords:
        told = attempt(partial(enter, password))
        if not isinstance(told, CassopsError):
            return told
        if not cql.is_wrong(str(told)):
            refused = told
    raise refused


def lets_in(kube: Kube, pod: str, login: Credentials, timeout: float) -> bool:
    """Whether the node takes this login, by any password of the Secret that it is from.

    :raises CqlError: it cannot be asked, or cannot read the login: it refuses a right one too then.
    """
    try:
        with logged_in(kube, pod, login, timeout):
            return True
    except cql.LoginRefused as error:
        if not cql.is_wrong(str(error)):
            raise
        return False


@dataclass(frozen=True)
class Objects:
    """The Kubernetes objects of one datacenter, by kind, each by name: one LIST a kind."""

    by_kind: Mapping[str, Mapping[str, dict[str, Any]]]

    def all(self, kind: str) -> Mapping[str, dict[str, Any]]:
        return self.by_kind.get(kind, {})

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        return self.all(kind).get(name)


KINDS = ("StatefulSet", "Pod", "Service", "ConfigMap", "PersistentVolumeClaim", "PodDisruptionBudget")
# With what works by the clock, which is of no account to the nodes.
ALL_KINDS = (*KINDS, "CronJob")


def labels(cluster: str, datacenter: str) -> dict[str, str]:
    return {LABEL_CLUSTER: cluster, LABEL_DATACENTER: datacenter}


def objects(
    kube: Kube, cluster: str, datacenter: str, kinds: Iterable[str] = KINDS, contents: Contents | None = None
) -> Objects:
    """LIST each kind once, at the same time.

    :param contents: of the revisions, of whoever looks again and again.
    """
    wanted = list(kinds)
    selector = labels(cluster, datacenter)
    lists = together(lambda kind: kube.list(kind, labels=selector), wanted)
    found = Objects(
        {kind: {item["metadata"]["name"]: item for item in items} for kind, items in zip(wanted, lists, strict=True)}
    )
    return (contents or Contents()).named_alike(found, lambda: revisions(kube, cluster, datacenter))


class Contents:
    """What the revisions of StatefulSets hold: two of different names may hold the same.

    Kubernetes 1.34.0 and 1.34.1 write templates without the C(creationTimestamp: null) of those before (kubernetes
    #134773). So each StatefulSet got another newest revision with nothing new in it, for which no node is to restart.
    What a revision holds never changes: it is read once, and only where names differ.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, str] = {}

    def named_alike(self, found: Objects, read: Callable[[], Iterable[Mapping[str, Any]]]) -> Objects:
        """The objects, in which a revision that holds the same as the newest one has the name of that.

        :param read: lists the ControllerRevisions.
        """
        sets = found.all("StatefulSet").items()
        asked = {name: older for name, item in sets if (older := older_revisions(found, item))}
        if not asked:
            return found
        newest = {name: found.all("StatefulSet")[name]["status"]["updateRevision"] for name in asked}
        self._learn({*newest.values()}.union(*asked.values()), read)
        same = {
            older: newest[name]
            for name, revisions_before in asked.items()
            for older in revisions_before
            if self._by_name[older] == self._by_name[newest[name]]
        }
        return renamed(found, same) if same else found

    def _learn(self, names: Collection[str], read: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
        if all(name in self._by_name for name in names):
            return
        try:
            made = {item["metadata"]["name"]: json.dumps(template_of(item), sort_keys=True) for item in read()}
        except Forbidden:
            # Who only looks may not have this right. Then names are all there is.
            made = {}
        self._by_name |= {name: made.get(name, name) for name in names}


def older_revisions(found: Objects, stateful_set: Mapping[str, Any]) -> set[str]:
    """The revisions beside the newest one that a StatefulSet and its pods name."""
    status = stateful_set.get("status", {})
    newest, name = status.get("updateRevision"), stateful_set["metadata"]["name"]
    if not newest:
        return set()
    pods = (pod for pod_name, pod in found.all("Pod").items() if pod_name.rpartition("-")[0] == name)
    named = {status.get("currentRevision"), *(pod["metadata"].get("labels", {}).get(REVISION) for pod in pods)}
    return {revision for revision in named if revision and revision != newest}


def renamed(found: Objects, names: Mapping[str, str]) -> Objects:
    """The objects with other names of revisions."""

    def of_set(item: dict[str, Any]) -> dict[str, Any]:
        status = item.get("status", {})
        current = status.get("currentRevision")
        return {**item, "status": {**status, "currentRevision": names[current]}} if current in names else item

    def of_pod(item: dict[str, Any]) -> dict[str, Any]:
        told = item["metadata"].get("labels", {})
        if told.get(REVISION) not in names:
            return item
        return {**item, "metadata": {**item["metadata"], "labels": {**told, REVISION: names[told[REVISION]]}}}

    sets = {name: of_set(item) for name, item in found.all("StatefulSet").items()}
    pods = {name: of_pod(item) for name, item in found.all("Pod").items()}
    return Objects({**found.by_kind, "StatefulSet": sets, **({"Pod": pods} if "Pod" in found.by_kind else {})})


def template_of(revision: Mapping[str, Any]) -> dict[str, Any]:
    """The pod template of a ControllerRevision, which is stored as a patch; without nulls, see L(Contents)."""
    template = revision["data"]["spec"]["template"]
    return {key: without_nulls(value) for key, value in template.items() if key != "$patch" and value is not None}


def without_nulls(value: Any) -> Any:
    """A value of an object, to be compared: a null says as much as nothing, and one version writes it."""
    if isinstance(value, Mapping):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value


def revisions(kube: Kube, cluster: str, datacenter: str) -> list[dict[str, Any]]:
    """The ControllerRevisions of a datacenter's StatefulSets: what their pods have been made of."""
    return kube.list("ControllerRevision", labels=labels(cluster, datacenter))


def ledger_of(found: Objects, cluster: str, datacenter: str) -> Ledger | None:
    config_map = found.get("ConfigMap", ledger_name(cluster, datacenter))
    return from_config_map(config_map) if config_map else None


def view(
    kube: Kube,
    found: Objects,
    cluster: str,
    datacenter: str,
    credentials: Credentials | None,
    reasons: Reasons | None = None,
) -> View:
    """The datacenter as Kubernetes has it and, with credentials, as its nodes see it.

    :param reasons: why nodes are held, of whoever looks again and again.
    """
    seen = outline(found, cluster, datacenter, clock(kube))
    seen = replace(seen, nodes=(reasons or Reasons()).told(kube, seen.nodes), namespace=kube.namespace)
    return ask(kube, seen, credentials) if credentials else seen


def clock(kube: Kube) -> datetime:
    """What the API server's clock shows, by its last answer.

    Ages are reckoned by it: this machine's own may be wrong by minutes, and each node that starts would seem to hang.
    """
    return datetime.fromtimestamp(kube.server_time(), timezone.utc)


def outline(found: Objects, cluster: str, datacenter: str, now: datetime) -> View:
    """The datacenter as Kubernetes has it; no node was asked, not even why it is held.

    :param now: see L(clock).
    """
    ledger = ledger_of(found, cluster, datacenter)
    return View(
        cluster=cluster,
        datacenter=datacenter,
        phase=ledger.phase if ledger else None,
        nodes=node_views(found, ledger, now),
        racks=tuple(rack_view(item, ledger) for _name, item in sorted(found.all("StatefulSet").items())),
        budget=next((budget(item) for item in found.all("PodDisruptionBudget").values()), None),
        # Named after what they do.
        schedules={name.rpartition("-")[2]: schedule(item, now) for name, item in found.all("CronJob").items()},
        seeds=ledger.seeds if ledger else (),
        stopped=ledger.stopped if ledger else None,
    )


def ask(
    kube: Kube,
    seen: View,
    credentials: Credentials,
    also: Collection[str] = (),
    busy: bool = False,
    gossip: bool = False,
) -> View:
    """Ask every observer for its view, at the same time.

    :param also: pods to ask in any case, if they run.
    :param busy: ask also what the observers are busy with: a few tables more, and one look at each volume.
    :param gossip: ask what gossip says of the members also where that costs a Java process (4.0); busy does so too.
    """
    pods = [node.pod for node in observers(seen.nodes, also)]
    alike = Alike()
    answers = together(lambda pod: attempt(lambda: observation(kube, pod, credentials, busy, alike, gossip)), pods)
    answered = list(zip(pods, answers, strict=True))
    heard = {pod: answer for pod, answer in answered if not isinstance(answer, CassopsError)}
    return replace(
        seen,
        observations={pod: told for pod, (told, dummy) in heard.items()},
        keyspaces=next((keyspaces for dummy, keyspaces in heard.values()), ()),
        unheard={pod: str(answer) for pod, answer in answered if isinstance(answer, CassopsError)},
    )


class Alike:
    """What all nodes of one version, or of one schema, answer alike: the first is asked, the others take its answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Future[Any]] = {}
        # n nodes tell n * n rows, nearly all of them alike: each is kept but once.
        self.peers: cql.Known = {}
        self.gossip: cql.Known = {}
        # By the identity of their rows, which stay beside them so that no other has it.
        self._endpoints: dict[tuple[int, int], tuple[Endpoint, Mapping[str, Any], Mapping[str, Any]]] = {}
        self._same: dict[Endpoint, Endpoint] = {}

    def told(self, key: Hashable, ask: Callable[[], Result]) -> Result:
        """The answer for the key. :param ask: asks the caller's own node."""
        own: Future[Result] = Future()
        with self._lock:
            first = self._answers.setdefault(key, own)
        if first is not own:
            try:
                answer: Result = first.result()
            except CassopsError:
                # That node's trouble need not be this one's.
                return ask()
            return answer
        try:
            own.set_result(ask())
        except BaseException as error:
            own.set_exception(error)
        return own.result()

    def endpoint(self, row: Mapping[str, Any], said: Mapping[str, Any]) -> Endpoint:
        """See L(endpoint): one for all nodes with these rows of L(peers) and L(gossip)."""
        key = (id(row), id(said))
        found = self._endpoints.get(key)
        if found is None:
            made = self.same(endpoint(str(row["peer"]), row, said))
            found = self._endpoints.setdefault(key, (made, row, said))
        return found[0]

    def same(self, made: Endpoint) -> Endpoint:
        """The first of those that are equal."""
        return self._same.setdefault(made, made)


def attempt(call: Callable[[], Result]) -> Result | CassopsError:
    """The result, or the error as a value: one node that cannot answer must not hide the others."""
    try:
        return call()
    except CassopsError as error:
        return error


def together(call: Callable[[Item], Result], items: Iterable[Item], width: int = PARALLEL) -> list[Result]:
    """Call for every item at the same time; results in the order of the items. What is raised keeps those from being
    begun that were not yet.

    :param width: so many at once, of L(PARALLEL) and L(WIDE).
    """
    listed = list(items)
    if not listed:
        return []
    with ThreadPoolExecutor(max_workers=min(width, len(listed))) as pool:
        return list(pool.map(call, listed))


# --- Kubernetes -------------------------------------------------------------------------------------------------------


def node_views(found: Objects, ledger: Ledger | None, now: datetime) -> tuple[NodeView, ...]:
    """One entry for every node that should be there (StatefulSets) or belongs to the datacenter (ledger)."""
    nodes = {}
    for name, stateful_set in sorted(found.all("StatefulSet").items()):
        for ordinal in range(stateful_set["spec"].get("replicas", 1)):
            nodes[f"{name}-{ordinal}"] = stateful_set
    known = set(ledger.nodes) if ledger else set()
    listed = (
        node_view(
            pod,
            nodes.get(pod),
            found.get("Pod", pod),
            found.get("Service", pod),
            found.get("PersistentVolumeClaim", f"data-{pod}"),
            ledger,
            now,
        )
        for pod in sorted(set(nodes) | known, key=by_rack_and_ordinal)
    )
    pods = found.all("Pod")
    return tuple(
        replace(node, storage_mode=mode_of(found, pods[node.pod])) if node.pod in pods else node for node in listed
    )


def by_rack_and_ordinal(pod: str) -> tuple[str, int]:
    """Sorts r1-2 before r1-10."""
    rack, _dash, ordinal = pod.rpartition("-")
    return rack, int(ordinal) if ordinal.isdigit() else 0


def node_view(
    name: str,
    stateful_set: Mapping[str, Any] | None,
    pod: Mapping[str, Any] | None,
    service: Mapping[str, Any] | None,
    claim: Mapping[str, Any] | None,
    ledger: Ledger | None,
    now: datetime,
) -> NodeView:
    known = ledger.nodes.get(name) if ledger else None
    template = stateful_set["spec"]["template"] if stateful_set else {}
    node = NodeView(
        pod=name,
        rack=rack(name, stateful_set, pod, ledger),
        ordinal=by_rack_and_ordinal(name)[1],
        address=pod_ip(pod) if by_pod(template) else (known.address if known else None) or cluster_ip(service),
        host_id=known.host_id if known else None,
        zone=template.get("spec", {}).get("nodeSelector", {}).get(ZONE),
        volume_deleting="deletionTimestamp" in (claim or {}).get("metadata", {}),
    )
    if pod is None:
        return replace(node, reason="it has no pod")
    started = pod["metadata"]["creationTimestamp"]
    status = pod.get("status", {})
    containers = (item for item in status.get("containerStatuses", ()) if item["name"] == "cassandra")
    container: Mapping[str, Any] = next(containers, {})
    deleting = "deletionTimestamp" in pod["metadata"]
    phase = "Terminating" if deleting else running_phase(status.get("phase"), container)
    return replace(
        node,
        uid=pod["metadata"]["uid"],
        worker=pod["spec"].get("nodeName"),
        phase=phase,
        ready=condition(pod, "Ready").get("status") == "True" and not deleting,
        started=started,
        age=seconds_since(started, now),
        restarts=container.get("restartCount", 0),
        backing_off=container.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff",
        reason=why_not_ready(pod, container),
        pending_restart=is_pending(stateful_set, pod),
        revision=pod["metadata"].get("labels", {}).get(REVISION),
        runs=runs(pod),
        commit_log=commit_log(pod),
        version=pod["metadata"].get("labels", {}).get(VERSION),
        running_for=seconds_since(container.get("state", {}).get("running", {}).get("startedAt"), now),
        placed_for=seconds_since(placed_at(pod), now) if phase == "Pending" else None,
        worker_lost=worker_lost(pod),
        # Kubernetes writes there when it shall be gone, not when somebody deleted it.
        ends_by=seconds_of(pod["metadata"]["deletionTimestamp"]) if deleting else None,
    )


def seconds_since(moment: str | None, now: datetime) -> float | None:
    """Of a time as Kubernetes writes it."""
    return now.timestamp() - seconds_of(moment) if moment else None


def rack_view(stateful_set: Mapping[str, Any], ledger: Ledger | None = None) -> RackView:
    spec, status, name = stateful_set["spec"], stateful_set.get("status", {}), stateful_set["metadata"]["name"]
    return RackView(
        name=rack(name, stateful_set, None, None),
        stateful_set=name,
        replicas=spec.get("replicas", 1),
        partition=spec.get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0),
        generation=stateful_set["metadata"].get("generation", 0),
        observed_generation=status.get("observedGeneration"),
        current_revision=status.get("currentRevision"),
        update_revision=status.get("updateRevision"),
        wants=runs(spec["template"]),
        commit_log=commit_log(spec["template"]),
        released=RELEASED in (stateful_set["metadata"].get("annotations") or {}),
        places=places(name, ledger) if ledger else 0,
    )


def places(stateful_set: str, ledger: Ledger) -> int:
    """So many a rack needs for its members; one that joins gets its place after its line in the ledger."""
    members = (by_rack_and_ordinal(node.pod) for node in ledger.nodes.values() if node.host_id)
    return max((ordinal + 1 for name, ordinal in members if name == stateful_set), default=0)


def runs(template: Mapping[str, Any]) -> str:
    """What a pod, or a template of one, is made of besides its rack's own: version, image, configuration."""
    spec = template.get("spec", {})
    version = template.get("metadata", {}).get("labels", {}).get(VERSION, "")
    images = (item.get("image", "") for item in spec.get("containers", ()) if item["name"] == "cassandra")
    configurations = (item["configMap"]["name"] for item in spec.get("volumes", ()) if item["name"] == "config")
    return " ".join(word for word in (version, next(images, ""), next(configurations, "")) if word)


def commit_log(template: Mapping[str, Any]) -> str | None:
    """Where a pod, or one of a template, stores the commit log; None: it does not."""
    containers = template.get("spec", {}).get("containers", ())
    variables = (each for item in containers if item["name"] == backup.NAME for each in item.get("env", ()))
    return next((each.get("value") for each in variables if each["name"] == backup.REPOSITORY), None)


def version_of(template: Mapping[str, Any]) -> str:
    """The version of Cassandra that a pod, or a template of one, is made for."""
    return str(template["metadata"].get("labels", {}).get(VERSION, ""))


def mode_of(found: Objects, template: Mapping[str, Any]) -> str | None:
    """The storage_compatibility_mode of a pod's configuration; None where that is not there any more."""
    version = version_of(template)
    if version and upgrade.release(version) < (5, 0):
        return upgrade.BEFORE
    config_map = configuration_of(found, template)
    return upgrade.mode_of(config_map) if config_map else None


def configuration_of(found: Objects, template: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The ConfigMap of a pod's configuration; None where that is not there any more."""
    return found.get("ConfigMap", runs(template).rpartition(" ")[2])


def budget(item: Mapping[str, Any]) -> Budget:
    status = item.get("status", {})
    evicting = tuple(sorted(status.get("disruptedPods") or ()))
    minimum = item.get("spec", {}).get("minAvailable")
    # Somebody else may have written a percentage there.
    number = minimum if isinstance(minimum, int) else 0
    return Budget(item["metadata"]["name"], status.get("disruptionsAllowed"), evicting, number)


def schedule(item: Mapping[str, Any], now: datetime) -> Schedule:
    """C(lastScheduleTime) is when a Job was made, C(lastSuccessfulTime) when one ended well."""
    status = item.get("status", {})
    begun, ended_well = (status.get(f"last{which}Time") for which in ("Schedule", "Successful"))
    told = Schedule(
        name=item["metadata"]["name"],
        times=item["spec"]["schedule"],
        suspended=bool(item["spec"].get("suspend")),
        running=bool(status.get("active")),
        begun=seconds_of(begun) if begun else None,
        ended_well=seconds_of(ended_well) if ended_well else None,
        age=seconds_since(begun, now),
        written_for=seconds_since(written_at(item), now),
    )
    return replace(told, idle=idle(told, now.timestamp()))


def written_at(item: Mapping[str, Any]) -> str | None:
    """When somebody last wrote to an object, as Kubernetes notes it; its controllers write to its status."""
    metadata = item["metadata"]
    times = [each.get("time") for each in metadata.get("managedFields", ()) if each.get("subresource") != "status"]
    return max((each for each in (metadata.get("creationTimestamp"), *times) if each), default=None)


def idle(told: Schedule, now: float) -> float | None:
    """For how many seconds nothing came of it; None where that is no wonder.

    What was due before somebody wrote to the CronJob does not count: it may have been suspended, or have had other
    times.
    """
    pause = longest_pause(told.times)
    if pause is None or told.suspended or told.running:
        return None
    silent = min(now - max(told.begun or 0.0, told.ended_well or 0.0), told.written_for or 0.0)
    return silent if silent > pause + LATE else None


def longest_pause(times: str) -> float | None:
    """Seconds between two runs at most, of those that run each day, or on some days of each week; None of others."""
    if times in ("@hourly", "@daily", "@midnight", "@weekly"):
        return WEEK if times == "@weekly" else DAY
    fields = times.split()
    if fields[2:4] != ["*", "*"]:
        return None
    return DAY if fields[4:] == ["*"] else WEEK


def rack(
    name: str, stateful_set: Mapping[str, Any] | None, pod: Mapping[str, Any] | None, ledger: Ledger | None
) -> str:
    """A node's rack; where nothing of it is left but the ledger, that in its name."""
    for item in (stateful_set, pod):
        if item and LABEL_RACK in item["metadata"].get("labels", {}):
            return str(item["metadata"]["labels"][LABEL_RACK])
    return rack_of(name, f"{ledger.cluster}-{ledger.datacenter}" if ledger else "")


def cluster_ip(service: Mapping[str, Any] | None) -> str | None:
    address = service["spec"].get("clusterIP") if service else None
    return address if address not in ("", "None", None) else None


def by_pod(template: Mapping[str, Any]) -> bool:
    """Nodes are called by their pods' addresses (C(cassandra_address: pod)), which change with every pod."""
    containers = template.get("spec", {}).get("containers", ())
    wanted = {"name": "CASSOPS_ADDRESS", "value": "pod"}
    return any(wanted in container.get("env", ()) for container in containers)


def pod_ip(pod: Mapping[str, Any] | None) -> str | None:
    address: str | None = (pod or {}).get("status", {}).get("podIP")
    return address


def condition(pod: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((item for item in pod.get("status", {}).get("conditions", ()) if item["type"] == kind), {})


def placed_at(pod: Mapping[str, Any]) -> str | None:
    """When a pod got its worker."""
    placed = condition(pod, "PodScheduled")
    return placed.get("lastTransitionTime") if placed.get("status") == "True" else None


def running_phase(phase: str | None, container: Mapping[str, Any]) -> str | None:
    """What Cassandra's container does: for Kubernetes a pod is Running while that crashes, and Pending while another
    one cannot start beside it."""
    state = container.get("state", {})
    if phase not in ("Pending", "Running"):
        return phase
    if "running" in state:
        return "Running"
    ended = "terminated" in state or "terminated" in container.get("lastState", {})
    return "Crashed" if phase == "Running" or ended else phase


def why_not_ready(pod: Mapping[str, Any], container: Mapping[str, Any]) -> str | None:
    """Kubernetes' reason in words, None for a ready pod and for one that only takes its time."""
    if condition(pod, "Ready").get("status") == "True":
        return None
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return f"it cannot be scheduled: {scheduled.get('message', scheduled.get('reason', 'no reason given'))}"
    waiting = container.get("state", {}).get("waiting", {})
    last = container.get("lastState", {}).get("terminated")
    if last and "running" not in container.get("state", {}):
        return f"its container ended with exit code {last.get('exitCode')} ({last.get('reason')})"
    if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        return f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    if worker_lost(pod):
        return silent(pod["spec"].get("nodeName"))
    if waits_for_gate(pod):
        return f"Kubernetes waits for its readiness gate: {condition(pod, 'Ready').get('message', '')}".rstrip(": ")
    status = pod.get("status", {})
    # One that ran before Cassandra and ended well counts as ready.
    before = [item for item in status.get("initContainerStatuses", ()) if not item.get("ready")]
    return next(filter(None, map(trouble_beside, (*before, *status.get("containerStatuses", ())))), None)


def trouble_beside(container: Mapping[str, Any]) -> str | None:
    """Why another container than Cassandra's keeps the pod from being ready."""
    state = container.get("state", {})
    if container["name"] == "cassandra" or "running" in state:
        return None
    waiting, last = state.get("waiting", {}), container.get("lastState", {}).get("terminated")
    if last:
        return f"its container {container['name']} ended with exit code {last.get('exitCode')} ({last.get('reason')})"
    if waiting.get("reason") in (None, "ContainerCreating", "PodInitializing"):
        return None
    return f"its container {container['name']}: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")


def silent(worker: str | None) -> str:
    return f"its worker {worker} does not answer"


def worker_lost(pod: Mapping[str, Any]) -> bool:
    """Kubernetes has not heard of the pod's worker for a while.

    It then says itself that the pod is not ready, and nothing of its containers, which only the worker can: a worker
    that answers changes both at once. This can be seen without the right to read workers.
    """
    ready, containers = (condition(pod, kind).get("status") for kind in ("Ready", "ContainersReady"))
    contradicts = ready == "False" and containers == "True" and not waits_for_gate(pod)
    return contradicts or pod.get("status", {}).get("reason") == "NodeLost"


def waits_for_gate(pod: Mapping[str, Any]) -> bool:
    """Its containers are ready, and somebody else has to say so too, such as a load balancer: the kubelet tells that.

    Of a pod that was ready before its worker was lost nobody writes this.
    """
    return condition(pod, "Ready").get("reason") == "ReadinessGatesNotReady"


def is_pending(stateful_set: Mapping[str, Any] | None, pod: Mapping[str, Any]) -> bool:
    """The pod runs another revision than the newest one: a restart is needed to bring it up to date."""
    newest = (stateful_set or {}).get("status", {}).get("updateRevision")
    return bool(newest) and pod["metadata"].get("labels", {}).get(REVISION) != newest


class Reasons:
    """Why nodes are held (running, not ready, with the start script's file in place), or hang on their workers.

    Each answer costs an exec in a node that starts and needs its processors for that (0.15 s of one, in the sandbox),
    and few nodes are held: one that was not is asked again a little later only. So are the events of one that hangs.

    :param again: seconds until a pod that was not held is asked again.
    """

    def __init__(self, again: float = 5.0) -> None:
        self._again = again
        # UID of a pod that was not held -> when that was read (seconds, monotonic).
        self._free: dict[str | None, float] = {}
        # UID of a pod that has not begun to start -> when its events were read, and what keeps it.
        self._hanging: dict[str | None, tuple[float, str | None]] = {}

    def told(self, kube: Kube, nodes: Sequence[NodeView]) -> tuple[NodeView, ...]:
        """The nodes, and why they are held.

        Where nothing can be read because the worker does not answer, that is seen: Kubernetes tells it only of pods
        that were ready, and of one that starts or joins it says nothing until it takes the pod away after five minutes.
        """
        now = time.monotonic()
        self._free = {uid: at for uid, at in self._free.items() if now - at < self._again}
        waiting = [
            node
            for node in nodes
            if node.phase in ("Running", "Terminating") and not node.ready and node.uid not in self._free
        ]
        answers = together(lambda node: attempt(lambda: held_reason(kube, node.pod)), waiting)
        read = {node.uid: answer for node, answer in zip(waiting, answers, strict=True)}
        self._free |= {uid: now for uid, answer in read.items() if answer is None}
        asked = {*read, *self._free}
        return tuple(
            node if node.ready or node.uid not in asked else with_answer(node, read.get(node.uid))
            for node in self._with_causes(kube, nodes, now)
        )

    def _with_causes(self, kube: Kube, nodes: Sequence[NodeView], now: float) -> list[NodeView]:
        """The nodes, those whose pods hang on their workers without a word in their status with what events tell."""
        hanging = {node.uid: node for node in nodes if node.reason is None and (node.placed_for or 0.0) > HANGING}
        self._hanging = {uid: known for uid, known in self._hanging.items() if now - known[0] < self._again}
        asked = [node for uid, node in hanging.items() if uid not in self._hanging]
        causes = together(lambda node: attempt(lambda: cause_of_hanging(kube, node)), asked)
        for node, cause in zip(asked, causes, strict=True):
            self._hanging[node.uid] = (now, None if isinstance(cause, CassopsError) else cause)
        return [replace(node, reason=self._hanging[node.uid][1]) if node.uid in hanging else node for node in nodes]


# Where to look when the API server tells another cause than silence.
WAY_TO_IT = "the worker may be well: see the serving certificate of its kubelet, kubectl get csr, or konnectivity"
# What a kubelet says of a container that has ended, or of a pod that is gone.
ENDED = ("container not found", "pod does not exist")


def with_answer(node: NodeView, answer: str | CassopsError | None) -> NodeView:
    """A question that was not answered in time, or that the API server has refused, tells nothing of the worker."""
    if isinstance(answer, WorkerUnreachable):
        told = f": {answer.cause} ({WAY_TO_IT})" if answer.cause else ""
        return replace(node, worker_lost=True, reason=silent(node.worker) + told)
    if isinstance(answer, CassopsError):
        return replace(node, held=None, answered=any(words in str(answer) for words in ENDED))
    return replace(node, held=answer if node.phase == "Running" else None, answered=True)


def held_reason(kube: Kube, pod: str) -> str | None:
    result = kube.exec(pod, ["cat", HELD_FILE], timeout=ASK_LIMIT)
    return result.stdout.strip() if result.rc == 0 else None


def cause_of_hanging(kube: Kube, node: NodeView) -> str | None:
    events = kube.list("Event", fields=f"involvedObject.name={node.pod}")
    return why_it_hangs(events, node.uid or "", node.placed_for or 0.0)


# --- Cassandra --------------------------------------------------------------------------------------------------------


def observation(
    kube: Kube,
    pod: str,
    credentials: Credentials,
    busy: bool = False,
    alike: Alike | None = None,
    gossip: bool = False,
) -> tuple[Observation, tuple[Keyspace, ...]]:
    """One node's view, and the keyspaces it knows.

    :param alike: what was learned of other nodes in the same look.
    """
    alike = alike or Alike()
    with logged_in(kube, pod, credentials, ASK_LIMIT) as session:
        local = session.execute("SELECT * FROM system.local")[0]
        peers = session.shared(PEERS, alike.peers)
        tables = alike.told(("tables", local["release_version"]), lambda: virtual_tables(session))
        told = gossip_told(kube, pod, session, tables, busy or gossip, alike.gossip)
        keyspaces = alike.told(("keyspaces", str(local["schema_version"])), lambda: keyspaces_of(session))
        own = str(local["broadcast_address"])
        members = {own: alike.same(endpoint(own, local, told.get(own, NOTHING)))}
        if not told:
            # 4.0 has it in no table, and a process of nodetool is too dear for it.
            members[own] = replace(members[own], load=float(activity.used(session)))
        for peer in peers:
            address = str(peer["peer"])
            members[address] = alike.endpoint(peer, told.get(address, NOTHING))
        for address, row in told.items():
            if address not in members and gossip_status(row) not in GONE:
                members[address] = alike.same(gossip_endpoint(address, row))
        logins = next((item.replication for item in keyspaces if item.name == "system_auth"), {})
        reads = alike.told(("reads", layout(members), str(logins)), lambda: probes(members, logins))
        alive = failure_detector(kube, pod, session, own, members, reads)
        doing = activity.read(kube, pod, session, tables, members[own].status) if busy else Activity()
    bootstrapped = local["bootstrapped"] == "COMPLETED"
    return Observation(pod, own, bootstrapped, members, alive, doing), keyspaces


def members_with_tokens(kube: Kube, pod: str, credentials: Credentials) -> set[str]:
    """The addresses of the members that a node knows to have joined, its own among them."""
    with logged_in(kube, pod, credentials, ASK_LIMIT) as session:
        local = session.execute("SELECT * FROM system.local")
        peers = session.execute(PEERS)
    joined = {str(row["broadcast_address"]) for row in local if row["tokens"]}
    return joined | {str(row["peer"]) for row in peers if row["tokens"]}


def keyspaces_of(session: cql.Session) -> tuple[Keyspace, ...]:
    """Every keyspace, with the smallest gc_grace_seconds of its tables, and whether it has materialized views.

    A table with less than L(SHORTEST_GC_GRACE) counts only where all are so: it must not hide the others.
    """
    graces: dict[str, list[int]] = {}
    for row in session.execute("SELECT keyspace_name, gc_grace_seconds FROM system_schema.tables"):
        if row["gc_grace_seconds"] is not None:
            graces.setdefault(row["keyspace_name"], []).append(row["gc_grace_seconds"])
    grace = {
        name: min([seconds for seconds in told if seconds >= SHORTEST_GC_GRACE] or told)
        for name, told in graces.items()
    }
    viewed = {row["keyspace_name"] for row in session.execute("SELECT keyspace_name FROM system_schema.views")}
    replications = {
        row["keyspace_name"]: dict(row["replication"])
        for row in session.execute("SELECT keyspace_name, replication FROM system_schema.keyspaces")
    }
    return tuple(
        Keyspace(name, replication, grace.get(name), name in viewed) for name, replication in replications.items()
    )


def virtual_tables(session: cql.Session) -> set[str]:
    """The tables of system_views, which every version has more of."""
    tables = "SELECT table_name FROM system_virtual_schema.tables"
    return {row["table_name"] for row in session.execute(f"{tables} WHERE keyspace_name = 'system_views'")}


def gossip_told(
    kube: Kube, pod: str, session: cql.Session, tables: Collection[str], dear: bool, known: cql.Known
) -> dict[str, Mapping[str, Any]]:
    """What gossip says of the members, by address; nothing where a table does not have it and it may not be dear.

    :param known: rows of other nodes, to share those that are alike.
    """
    if "gossip_info" in tables:
        return {str(row["address"]): row for row in session.shared(GOSSIP, known)}
    return gossip_lines(kube, pod, known) if dear else {}


def gossip_lines(kube: Kube, pod: str, known: cql.Known) -> dict[str, Mapping[str, Any]]:
    """The same by C(nodetool gossipinfo), for 4.0, whose gossip is in no table."""
    told = nodetool.run(kube, pod, [["gossipinfo"]], check=True)[0].data
    rows: dict[str, Mapping[str, Any]] = {}
    for address, said in told.items():
        values = tuple(said["states"].get(name.upper(), {}).get("value") for name in STATES)
        rows[address] = known.setdefault(values, dict(zip(STATES, values, strict=True)))
    return rows


def endpoint(address: str, row: Mapping[str, Any], said: Mapping[str, Any]) -> Endpoint:
    """A member as system.local or system.peers_v2 has it, where a row may be written in pieces; the rest by gossip.

    :param said: gossip's row of it.
    """
    return Endpoint(
        address=address,
        host_id=str(row["host_id"] or said.get("host_id") or ""),
        datacenter=row["data_center"] or said.get("dc") or "",
        rack=row["rack"] or said.get("rack") or "",
        version=row["release_version"] or said.get("release_version") or "",
        schema=str(row["schema_version"] or said.get("schema") or ""),
        tokens=tuple(sorted(int(token) for token in row["tokens"] or ())),
        status=gossip_status(said),
        load=float(said["load"]) if said.get("load") else None,
        serves=said["rpc_ready"] == "true" if said.get("rpc_ready") else None,
        sstables=tuple(sorted(said["sstable_versions"].split(","))) if said.get("sstable_versions") else None,
    )


def gossip_endpoint(address: str, row: Mapping[str, Any]) -> Endpoint:
    """A member that only gossip knows: one that joins, or a ghost."""
    return Endpoint(
        address=address,
        host_id=str(row.get("host_id") or ""),
        datacenter=row.get("dc") or "",
        rack=row.get("rack") or "",
        version=row.get("release_version") or "",
        schema=str(row.get("schema") or ""),
        tokens=(),
        status=gossip_status(row),
        load=float(row["load"]) if row.get("load") else None,
    )


def gossip_status(row: Mapping[str, Any]) -> str | None:
    """NORMAL from "NORMAL,-3074457345618258603"."""
    said = row.get("status_with_port") or row.get("status")
    return str(said).split(",", 1)[0] if said else None


def layout(members: Mapping[str, Endpoint]) -> Hashable:
    """What decides where rows are."""
    return frozenset((item.address, item.datacenter, item.rack, item.tokens) for item in members.values())


def failure_detector(
    kube: Kube,
    pod: str,
    session: cql.Session,
    own: str,
    members: Mapping[str, Endpoint],
    reads: Iterable[Probe],
) -> dict[str, bool]:
    """Which members this node takes for alive, by reads at ALL; by nodetool where they do not settle it."""
    known = Liveness({own})
    for keys, replicas in reads:
        if known.settles(members):
            break
        if not known.would_tell(replicas):
            continue
        try:
            session.execute(liveness.statement(keys), consistency="ALL", timeout=ASK_LIMIT)
        except cql.Unavailable:
            known.refused.append(frozenset(replicas))
        except cql.NotEnoughReplicas:
            # It was sent, and somebody who counts as alive did not answer: another read would wait as long.
            break
        else:
            known.up.update(replicas)
    if known.settles(members):
        return {address: address in known.up for address in members}
    return nodetool_liveness(kube, pod, members)


def nodetool_liveness(kube: Kube, pod: str, members: Mapping[str, Endpoint]) -> dict[str, bool]:
    """What C(nodetool status) says, which costs the node a JVM."""
    said = nodetool.run(kube, pod, [["status"]], check=True)[0].data
    up = {node["address"] for node in said["nodes"] if node["status"] == "up"}
    return {address: address in up for address in members}
