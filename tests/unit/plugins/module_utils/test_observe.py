# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.fake_cassandra import OFF, FakeCassandra, FakeSession, Member

from ansible_collections.cassops.kubernetes.plugins.module_utils import cql, observe
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.events import HANGING
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import (
    ApiError,
    ExecResult,
    ExecTimeout,
    Forbidden,
    NotFound,
    Unreachable,
    WorkerUnreachable,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger, LedgerNode
from ansible_collections.cassops.kubernetes.plugins.module_utils.liveness import probes
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import Credentials, Objects
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import (
    Budget,
    Endpoint,
    NodeView,
    RackView,
    Schedule,
)

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=timezone.utc)
LOGIN = Credentials("cassandra", "cassandra")
NONE = cast(Kube, None)
READY = {"type": "Ready", "status": "True"}
CONTAINERS = {"type": "ContainersReady", "status": "True"}
NOT_READY = {"type": "Ready", "status": "False"}
GATE = 'corresponding condition of pod readiness gate "target-health.elbv2.k8s.aws/tg" does not exist.'
GATED = {**NOT_READY, "reason": "ReadinessGatesNotReady", "message": GATE}


# --- Kubernetes -------------------------------------------------------------------------------------------------------


def stateful_set(name: str, replicas: int = 1, rack: str = "r1", revision: str = "new") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {observe.LABEL_RACK: rack}},
        "spec": {"replicas": replicas, "template": {"spec": {"nodeSelector": {observe.ZONE: f"zone-{rack}"}}}},
        "status": {"updateRevision": revision},
    }


def pod(name: str, **changes: Any) -> dict[str, Any]:
    """A ready pod of the newest revision that is an hour old."""
    item: dict[str, Any] = {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-07-01T11:00:00Z",
            "labels": {observe.LABEL_RACK: "r1", observe.REVISION: "new", observe.VERSION: "5.0.9"},
        },
        "spec": {
            "nodeName": "worker1",
            "containers": [{"name": "sidecar", "image": "x"}, {"name": "cassandra", "image": "cassandra:5.0.9"}],
            "volumes": [{"name": "tmp"}, {"name": "config", "configMap": {"name": "shop-dc1-config-1"}}],
        },
        "status": {
            "phase": "Running",
            "conditions": [READY],
            "containerStatuses": [
                {"name": "sidecar", "restartCount": 9, "state": {}},
                {"name": "cassandra", "restartCount": 2, "state": {"running": {}}},
            ],
        },
    }
    for part, value in changes.items():
        item[part] = {**item[part], **value}
    return item


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "cassandra", "restartCount": 3, **state}]}


def found(*items: tuple[str, dict[str, Any]]) -> Objects:
    by_kind: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, item in items:
        by_kind.setdefault(kind, {})[item["metadata"]["name"]] = item
    return Objects(by_kind)


def seen(item: dict[str, Any] | None, revision: str = "new") -> NodeView:
    """The view of the one node of a rack."""
    items = [("StatefulSet", stateful_set("s-r1", revision=revision))]
    (node,) = observe.node_views(found(*items, *([("Pod", item)] if item else [])), None, NOW)
    return node


def test_ages_are_by_the_clock_of_the_api_server() -> None:
    """This machine's own says another year: a node that starts would seem to hang."""
    kube = cast(Kube, SimpleNamespace(server_time=NOW.timestamp, namespace="ns"))
    objects = found(("StatefulSet", stateful_set("s-r1")), ("Pod", pod("s-r1-0")))
    told = observe.view(kube, objects, "shop", "dc1", None)
    assert [node.age for node in told.nodes] == [3600.0]


def test_nothing_there() -> None:
    assert observe.node_views(Objects({}), None, NOW) == ()


def test_nodes_are_those_that_should_be_and_those_that_the_ledger_knows() -> None:
    ledger = Ledger(
        "1",
        "shop",
        "dc1",
        nodes={"s-r1-0": LedgerNode("s-r1-0"), "shop-dc1-r2-0": LedgerNode("shop-dc1-r2-0", "a", "h")},
    )
    nodes = observe.node_views(found(("StatefulSet", stateful_set("s-r1", replicas=2))), ledger, NOW)
    assert [node.pod for node in nodes] == ["s-r1-0", "s-r1-1", "shop-dc1-r2-0"]
    assert (nodes[2].rack, nodes[2].address, nodes[2].host_id, nodes[2].reason) == ("r2", "a", "h", "it has no pod")


def test_the_order_is_that_of_numbers() -> None:
    nodes = observe.node_views(found(("StatefulSet", stateful_set("s-r1", replicas=11))), None, NOW)
    assert [node.ordinal for node in nodes] == list(range(11))


def test_a_ready_node() -> None:
    node = seen(pod("s-r1-0"))
    assert node == NodeView(
        pod="s-r1-0",
        rack="r1",
        ordinal=0,
        uid="uid-s-r1-0",
        worker="worker1",
        zone="zone-r1",
        phase="Running",
        ready=True,
        started="2026-07-01T11:00:00Z",
        age=3600.0,
        restarts=2,
        revision="new",
        runs="5.0.9 cassandra:5.0.9 shop-dc1-config-1",
        version="5.0.9",
    )


def test_how_long_a_node_runs() -> None:
    """Its container may be younger than its pod."""
    running = {"running": {"startedAt": "2026-07-01T11:59:30Z"}}
    assert seen(pod("s-r1-0", status=container(state=running))).running_for == 30.0
    assert seen(pod("s-r1-0", status=container(state={"waiting": {"reason": "CrashLoopBackOff"}}))).running_for is None


@pytest.mark.parametrize(
    ("state", "backs_off"),
    [
        ({"waiting": {"reason": "CrashLoopBackOff"}}, True),
        ({"waiting": {"reason": "ContainerCreating"}}, False),
        ({"terminated": {"exitCode": 3}}, False),
        ({"running": {}}, False),
    ],
)
def test_whether_kubernetes_waits_before_it_starts_a_container_again(state: dict[str, Any], backs_off: bool) -> None:
    assert seen(pod("s-r1-0", status=container(state=state))).backing_off is backs_off


def test_by_when_a_pod_that_ends_should_be_gone() -> None:
    """Kubernetes adds the grace period to the moment in which somebody deleted it."""
    assert seen(pod("s-r1-0")).ends_by is None
    assert seen(pod("s-r1-0", metadata={"deletionTimestamp": "2026-07-01T12:05:00Z"})).ends_by == NOW.timestamp() + 300


@pytest.mark.parametrize(
    ("status", "lost"),
    [
        ({"conditions": [NOT_READY]}, False),
        ({"conditions": [{**NOT_READY, "reason": "ContainersNotReady"}, {**CONTAINERS, "status": "False"}]}, False),
        ({"conditions": [NOT_READY, CONTAINERS]}, True),
        ({"conditions": [GATED, CONTAINERS]}, False),
        ({"conditions": [GATED, CONTAINERS], "reason": "NodeLost"}, True),
        ({"conditions": [NOT_READY], "reason": "NodeLost"}, True),
    ],
)
def test_a_worker_that_does_not_answer_is_told(status: dict[str, Any], lost: bool) -> None:
    assert seen(pod("s-r1-0", status=status)).worker_lost is lost


def test_a_volume_that_is_to_be_deleted() -> None:
    claim = {"metadata": {"name": "data-s-r1-0", "deletionTimestamp": "now"}}
    (node,) = observe.node_views(
        found(("StatefulSet", stateful_set("s-r1")), ("PersistentVolumeClaim", claim)), None, NOW
    )
    assert node.volume_deleting is True


def test_a_rack_as_kubernetes_has_it() -> None:
    item = stateful_set("s-r1", replicas=3)
    item["metadata"]["generation"] = 7
    item["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    item["status"] = {"observedGeneration": 6, "currentRevision": "old", "updateRevision": "new"}
    assert observe.rack_view(item) == RackView("r1", "s-r1", 3, 2, 7, 6, "old", "new", "")
    assert observe.rack_view(stateful_set("s-r1")).observed_generation is None


def test_a_rack_is_half_way_where_a_rollout_has_come_to_a_node_that_the_ledger_knows() -> None:
    """Somebody has scaled it by hand: 1 < 1 is no proof that nobody runs the newest revision."""
    item = stateful_set("s-r1", replicas=1)
    item["metadata"]["annotations"] = {observe.RELEASED: "by a rollout"}
    item["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    item["status"] = {"currentRevision": "old", "updateRevision": "new"}
    one, two = LedgerNode("s-r1-0", "a", "h0"), LedgerNode("s-r1-1", "b", "h1")
    known = Ledger("i", "c", "d", nodes={node.pod: node for node in (one, two)})
    assert observe.rack_view(item, known).half_way
    assert not observe.rack_view(item, known.without_node("s-r1-1")).half_way
    assert not observe.rack_view(item, known.with_node(replace(two, host_id=None))).half_way, "it joins: not placed yet"
    assert not observe.rack_view(item, known.with_node(replace(two, pod="s-r2-1")).without_node("s-r1-1")).half_way
    item["status"]["currentRevision"] = "new"
    assert not observe.rack_view(item, known).half_way
    item["status"]["currentRevision"] = "old"
    item["metadata"]["annotations"] = {}
    assert not observe.rack_view(item, known).half_way, "a change waits, and nothing has it yet"


def test_the_disruption_budget() -> None:
    item = {
        "metadata": {"name": "shop-dc1"},
        "spec": {"minAvailable": 5},
        "status": {"disruptionsAllowed": 0, "disruptedPods": {"b": "", "a": ""}},
    }
    assert observe.budget(item) == Budget("shop-dc1", 0, ("a", "b"), 5)
    assert observe.budget({"metadata": {"name": "shop-dc1"}}) == Budget("shop-dc1")
    assert observe.budget({"metadata": {"name": "b"}, "spec": {"minAvailable": "50%"}}) == Budget("b")


def test_the_address_is_the_ledgers_then_the_services() -> None:
    """A Service that was deleted and made by hand has another address; the ring knows the old one."""
    items = [("StatefulSet", stateful_set("s-r1"))]
    service = {"metadata": {"name": "s-r1-0"}, "spec": {"clusterIP": "198.19.0.5"}}
    ledger = Ledger("1", "shop", "dc1", nodes={"s-r1-0": LedgerNode("s-r1-0", "198.19.0.7", "host")})
    (node,) = observe.node_views(found(*items, ("Service", service)), ledger, NOW)
    assert (node.address, node.host_id) == ("198.19.0.7", "host")
    (node,) = observe.node_views(found(*items, ("Service", service)), None, NOW)
    assert (node.address, node.host_id) == ("198.19.0.5", None)


@pytest.mark.parametrize("address", ["None", "", None])
def test_services_without_an_address(address: str | None) -> None:
    assert observe.cluster_ip({"spec": {"clusterIP": address}}) is None


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({}, "Running"),
        ({"metadata": {"deletionTimestamp": "2026-07-01T11:59:00Z"}}, "Terminating"),
        ({"status": {"phase": "Pending", "containerStatuses": []}}, "Pending"),
        ({"status": container(state={"waiting": {"reason": "CrashLoopBackOff"}})}, "Crashed"),
        ({"status": container(state={"terminated": {"exitCode": 1}})}, "Crashed"),
        ({"status": {"phase": "Failed", **container(state={"terminated": {}})}}, "Failed"),
        ({"status": {"containerStatuses": []}}, "Crashed"),
        # Another container cannot start, and Cassandra serves.
        ({"status": {"phase": "Pending", **container(state={"running": {}})}}, "Running"),
        # Another container cannot start, and Cassandra does not stay up either.
        (
            {"status": {"phase": "Pending", **container(state={"waiting": {}}, lastState={"terminated": {}})}},
            "Crashed",
        ),
    ],
)
def test_phases(changes: dict[str, Any], phase: str) -> None:
    assert seen(pod("s-r1-0", **changes)).phase == phase


def test_a_pod_that_is_going_is_not_ready() -> None:
    assert seen(pod("s-r1-0", metadata={"deletionTimestamp": "2026-07-01T12:00:00Z"})).ready is False


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, None),
        ({"conditions": [NOT_READY]}, None),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]},
            "it cannot be scheduled: 0/3 nodes are available",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
            "it cannot be scheduled: Unschedulable",
        ),
        ({"conditions": [NOT_READY], **container(state={"waiting": {"reason": "ContainerCreating"}})}, None),
        ({"conditions": [NOT_READY], **container(state={"waiting": {"reason": "PodInitializing"}})}, None),
        (
            {
                "conditions": [NOT_READY],
                **container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
            },
            "ImagePullBackOff: no such image",
        ),
        (
            {"conditions": [NOT_READY], **container(state={"waiting": {"reason": "CrashLoopBackOff"}})},
            "CrashLoopBackOff",
        ),
        (
            {
                "conditions": [NOT_READY],
                **container(
                    state={"terminated": {}}, lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
                ),
            },
            "its container ended with exit code 137 (OOMKilled)",
        ),
        # It crashed once and runs again: only time is missing.
        (
            {
                "conditions": [NOT_READY],
                **container(state={"running": {}}, lastState={"terminated": {"exitCode": 3, "reason": "Error"}}),
            },
            None,
        ),
        ({"conditions": [NOT_READY, CONTAINERS]}, "its worker worker1 does not answer"),
        ({"conditions": [NOT_READY], "reason": "NodeLost"}, "its worker worker1 does not answer"),
        ({"conditions": [GATED, CONTAINERS]}, f"Kubernetes waits for its readiness gate: {GATED['message']}"),
        (
            {"conditions": [{**GATED, "message": ""}, CONTAINERS]},
            "Kubernetes waits for its readiness gate",
        ),
    ],
)
def test_why_not_ready(status: dict[str, Any], reason: str | None) -> None:
    item = pod("s-r1-0", status=status)
    (*_others, named) = item["status"]["containerStatuses"]
    assert observe.why_not_ready(item, named) == reason


@pytest.mark.parametrize(
    ("backup", "reason"),
    [
        ({"state": {"running": {}}}, None),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, None),
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
            "its container backup: ImagePullBackOff: no such image",
        ),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
            },
            "its container backup ended with exit code 1 (Error)",
        ),
    ],
)
def test_a_container_beside_it_that_does_not_start_is_named(backup: dict[str, Any], reason: str | None) -> None:
    """Cassandra serves: nobody is to look for a former process of it, or to switch its worker off."""
    status = {"conditions": [NOT_READY], **container(state={"running": {}})}
    item = pod("s-r1-0", status=status)
    item["status"]["containerStatuses"].append({"name": "backup", **backup})
    named = next(each for each in item["status"]["containerStatuses"] if each["name"] == "cassandra")
    assert observe.why_not_ready(item, named) == reason


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ({"state": {"terminated": {"exitCode": 0}}, "ready": True}, None),
        (
            {
                "state": {"terminated": {"exitCode": 0}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
                "ready": True,
            },
            None,
        ),
        ({"state": {"running": {}}, "ready": False}, None),
        ({"state": {"waiting": {"reason": "PodInitializing"}}, "ready": False}, None),
        (
            {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}, "ready": False},
            "its container jar: ErrImagePull: no such image",
        ),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
                "ready": False,
            },
            "its container jar ended with exit code 1 (Error)",
        ),
    ],
)
def test_a_container_that_has_to_end_before_cassandra_starts_is_named(
    before: dict[str, Any], reason: str | None
) -> None:
    waits = container(state={"waiting": {"reason": "PodInitializing"}})
    status = {"phase": "Pending", "conditions": [NOT_READY], **waits, "initContainerStatuses": [{"name": "jar"}]}
    status["initContainerStatuses"][0].update(before)
    node = seen(pod("s-r1-0", status=status))
    assert (node.phase, node.reason) == ("Pending", reason)


def test_since_when_a_pod_waits_on_its_worker() -> None:
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-07-01T11:58:00Z"}
    waits = {"phase": "Pending", **container(state={"waiting": {"reason": "ContainerCreating"}})}
    assert seen(pod("s-r1-0", status={"conditions": [NOT_READY, placed], **waits})).placed_for == 120.0
    assert seen(pod("s-r1-0", status={"conditions": [NOT_READY], **waits})).placed_for is None
    assert seen(pod("s-r1-0", status={"conditions": [NOT_READY, placed]})).placed_for is None
    nowhere = [NOT_READY, {**placed, "status": "False"}]
    assert seen(pod("s-r1-0", status={"conditions": nowhere, **waits})).placed_for is None


class Told:
    """Kubernetes' events."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = events
        self.asked: list[str] = []

    def list(self, kind: str, fields: str) -> list[dict[str, Any]]:
        assert kind == "Event"
        self.asked.append(fields)
        return list(self.events)


def test_what_keeps_a_pod_from_its_first_container_is_told() -> None:
    """Its status has no word of it, and it would be waited for to the limit."""
    waits = {"phase": "Pending", "ready": False, "placed_for": HANGING + 1}
    hangs, fresh, sick, free = views.nodes(("r1",), 4)
    listed = [
        replace(hangs, **waits),
        replace(fresh, **{**waits, "placed_for": HANGING - 1}),
        replace(sick, **waits, reason="ImagePullBackOff"),
        free,
    ]
    event = {"metadata": {}, "involvedObject": {"uid": hangs.uid}, "reason": "FailedMount", "count": 9}
    kube, reasons = Told({**event, "message": 'configmap "jmx" not found'}), observe.Reasons(again=60)
    for _look in range(2):
        told = reasons.told(cast(Kube, kube), listed)
        assert [node.reason for node in told] == [
            'FailedMount: configmap "jmx" not found',
            None,
            "ImagePullBackOff",
            None,
        ]
    assert kube.asked == [f"involvedObject.name={hangs.pod}"]


def test_events_that_may_not_be_read_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: Any, **_options: Any) -> Any:
        raise Forbidden("events", 403)

    monkeypatch.setattr(Told, "list", refused)
    (node,) = views.nodes(("r1",), 1)
    node = replace(node, phase="Pending", ready=False, placed_for=10**6)
    assert observe.Reasons().told(cast(Kube, Told()), [node]) == (node,)


@pytest.mark.parametrize(("revision", "pending"), [("new", False), ("newer", True), ("", False)])
def test_a_pod_of_another_revision_waits_for_a_restart(revision: str, pending: bool) -> None:
    assert seen(pod("s-r1-0"), revision).pending_restart is pending


def test_a_pod_without_its_stateful_set_waits_for_nothing() -> None:
    assert observe.is_pending(None, pod("s-r1-0")) is False
    assert observe.is_pending({"metadata": {}, "spec": {}}, pod("s-r1-0")) is False


def test_where_a_pod_and_the_next_one_store_the_commit_log() -> None:
    """By the container's environment: a pod keeps what it was started with."""
    there = {"name": "backup", "env": [{"name": "HOME"}, {"name": "CASSOPS_REPOSITORY", "value": "s3:b/shop/dc1"}]}
    for others, store in (([], None), ([{"name": "backup"}], None), ([there], "s3:b/shop/dc1")):
        found = pod("s-r1-0")
        found["spec"]["containers"] = [{"name": "cassandra", "env": [{"name": "CASSOPS_REPOSITORY"}]}, *others]
        assert seen(found, "new").commit_log == store
        item = {"metadata": {"name": "s-r1"}, "spec": {"template": {"spec": found["spec"]}}}
        assert observe.rack_view(item).commit_log == store


# --- held -------------------------------------------------------------------------------------------------------------


class Pods:
    """Kubernetes' exec: pods with a file that says why they are held, and pods that cannot be reached."""

    def __init__(self, held: dict[str, str], gone: tuple[str, ...] = (), silent: tuple[str, ...] = ()) -> None:
        self.held = held
        self.gone = gone
        self.silent = silent
        self.asked: list[str] = []

    def exec(self, pod: str, argv: list[str], timeout: float) -> ExecResult:
        assert argv == ["cat", observe.HELD_FILE]
        self.asked.append(pod)
        if pod in self.gone:
            raise NotFound("no such container", 404)
        if pod in self.silent:
            raise WorkerUnreachable("no route to host", 500)
        if pod in self.held:
            return ExecResult(0, self.held[pod] + "\n", "")
        return ExecResult(1, "", "No such file or directory")


def test_only_nodes_that_run_and_are_not_ready_are_asked_why() -> None:
    ready, held, slow, gone = views.nodes(("r1",), 4)
    listed = [ready, *(replace(node, ready=False) for node in (held, slow, gone))]
    listed.append(replace(ready, pod="pending", phase="Pending", ready=False))
    pods = Pods({held.pod: "the volume is empty"}, (gone.pod,))
    told = observe.Reasons().told(cast(Kube, pods), listed)
    assert [node.held for node in told] == [None, "the volume is empty", None, None, None]
    assert sorted(pods.asked) == sorted([held.pod, slow.pod, gone.pod])
    assert not any(node.worker_lost for node in told)


def test_who_was_not_held_is_not_asked_again_at_once() -> None:
    held, free, silent = (replace(node, ready=False) for node in views.nodes(("r1",), 3))
    pods = Pods({held.pod: "the volume is empty"}, silent=(silent.pod,))
    reasons = observe.Reasons(again=60)
    first = reasons.told(cast(Kube, pods), [held, free, silent])
    pods.asked.clear()
    assert reasons.told(cast(Kube, pods), [held, free, silent]) == first
    assert sorted(pods.asked) == sorted([held.pod, silent.pod])
    pods.asked.clear()
    reasons.told(cast(Kube, pods), [replace(free, uid="another")])
    assert pods.asked == [free.pod]


def test_who_was_not_held_is_asked_again_later() -> None:
    (node,) = (replace(each, ready=False) for each in views.nodes(("r1",), 1))
    pods, reasons = Pods({}), observe.Reasons(again=0)
    reasons.told(cast(Kube, pods), [node])
    pods.held[node.pod] = "the volume is empty"
    (told,) = reasons.told(cast(Kube, pods), [node])
    assert told.held == "the volume is empty"


@pytest.mark.parametrize("phase", ["Running", "Terminating"])
def test_a_worker_that_cannot_be_asked_is_seen_although_its_pod_was_never_ready(phase: str) -> None:
    (node,) = views.nodes(("r1",), 1)
    pods = Pods({}, silent=(node.pod,))
    listed = [replace(node, ready=False, phase=phase)]
    (told,) = observe.Reasons().told(cast(Kube, pods), listed)
    assert (told.worker_lost, told.reason, told.held) == (True, f"its worker {node.worker} does not answer", None)


def test_why_a_worker_is_not_reached_is_told_where_it_may_be_well() -> None:
    (node,) = views.nodes(("r1",), 1)
    told = "The worker of x does not answer: error dialing backend: remote error: tls: internal error"
    seen_so = observe.with_answer(replace(node, ready=False), WorkerUnreachable(told, 500))
    assert seen_so.reason == (
        f"its worker {node.worker} does not answer: remote error: tls: internal error ({observe.WAY_TO_IT})"
    )


@pytest.mark.parametrize(
    ("answer", "answered"),
    [
        (None, True),
        ("the volume is empty", True),
        (ApiError('unable to upgrade connection: container not found ("cassandra")', 404), True),
        (ExecTimeout("cat in r1-0 was not done after 20 s"), False),
        (Unreachable("the API server cannot be reached"), False),
        (Forbidden("pods/exec", 403), False),
        (WorkerUnreachable("no route to host", 500), False),
    ],
)
@pytest.mark.parametrize("phase", ["Running", "Terminating"])
def test_only_an_answer_tells_that_a_worker_is_there(phase: str, answer: Any, answered: bool) -> None:
    (node,) = views.nodes(("r1",), 1)
    told = observe.with_answer(replace(node, ready=False, phase=phase), answer)
    assert told.answered is answered
    assert told.worker_lost is isinstance(answer, WorkerUnreachable)


# --- gossip -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({}, None),
        ({"status": None, "status_with_port": None}, None),
        ({"status_with_port": "NORMAL,-3074457345618258603"}, "NORMAL"),
        ({"status": "BOOT,1", "status_with_port": None}, "BOOT"),
        ({"status": "NORMAL,1", "status_with_port": "LEAVING,1"}, "LEAVING"),
        ({"status_with_port": "shutdown,true"}, "shutdown"),
        ({"status_with_port": "BOOT_REPLACE,198.19.0.1"}, "BOOT_REPLACE"),
    ],
)
def test_gossip_status(row: dict[str, Any], status: str | None) -> None:
    assert observe.gossip_status(row) == status


def test_an_endpoint_has_numbers() -> None:
    row = {
        "host_id": "h",
        "data_center": "dc1",
        "rack": "r1",
        "release_version": "5.0.9",
        "schema_version": "s",
        "tokens": ["7", "-12", "3"],
    }
    said = {"status_with_port": "NORMAL,7", "load": "1048.5", "rpc_ready": "true", "sstable_versions": "big-oa,big-nb"}
    told = observe.endpoint("a", row, said)
    assert told == Endpoint(
        "a", "h", "dc1", "r1", "5.0.9", "s", (-12, 3, 7), "NORMAL", 1048.5, True, ("big-nb", "big-oa")
    )
    assert observe.endpoint("a", row, {"rpc_ready": "false"}).serves is False
    told = observe.endpoint("a", {**row, "tokens": None}, {})
    assert (told.tokens, told.status, told.load, told.serves, told.sstables) == ((), None, None, None, None)


# --- the ring ---------------------------------------------------------------------------------------------------------


def cassandra(
    monkeypatch: pytest.MonkeyPatch,
    racks: tuple[str, ...] = views.RACKS,
    per_rack: int = 1,
    version: str = "5.0.9",
    replicas: str = "3",
) -> FakeCassandra:
    strategy = {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": replicas}
    fake = FakeCassandra(version, {"system_auth": strategy}).install(monkeypatch)
    listed = views.nodes(racks, per_rack)
    for node, member in zip(listed, views.endpoints(listed).values(), strict=True):
        fake.join(node.pod, Member(member.address, member.rack, member.host_id, member.tokens))
    return fake


def observed(fake: FakeCassandra, pod: str = "shop-dc1-r1-0") -> Any:
    told, keyspaces = observe.observation(NONE, pod, LOGIN)
    assert [item.name for item in keyspaces] == list(fake.replication)
    return told


def test_what_a_node_believes(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = cassandra(monkeypatch)
    told = observed(fake)
    assert (told.pod, told.address, told.bootstrapped) == ("shop-dc1-r1-0", "198.19.0.1", True)
    assert sorted(told.endpoints) == ["198.19.0.1", "198.19.0.2", "198.19.0.3"]
    assert told.alive == dict.fromkeys(told.endpoints, True)
    assert told.own.status == "NORMAL"
    assert told.own.load == 104857.0
    assert fake.nodetool == []


def test_keyspaces_have_the_smallest_gc_grace_of_their_tables_and_know_views(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = cassandra(monkeypatch)
    fake.replication["shop"] = fake.replication["empty"] = dict(fake.replication["system_auth"])
    fake.tables += [("shop", 864000), ("shop", 90000), ("shop", None), ("shop", 3600), ("brief", 3600), ("brief", 60)]
    fake.replication["brief"] = dict(fake.replication["system_auth"])
    fake.viewed += ["shop", "shop"]
    told = {item.name: item for item in observe.observation(NONE, "shop-dc1-r1-0", LOGIN)[1]}
    assert [told[name].gc_grace_seconds for name in ("system_auth", "shop", "empty")] == [7776000, 90000, None]
    assert told["brief"].gc_grace_seconds == 60
    assert [name for name in told if told[name].views] == ["shop"]


def test_what_nodes_answer_alike_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = cassandra(monkeypatch)
    alike = observe.Alike()
    told = [observe.observation(NONE, pod, LOGIN, alike=alike)[1] for pod in sorted(fake.doors)]
    assert len(told) == 3
    assert all(keyspaces == told[0] for keyspaces in told)
    for table in ("system_schema.tables", "system_virtual_schema.tables"):
        assert sum(table in text for text in fake.statements) == 1


@pytest.mark.parametrize("version", ["4.0.19", "5.0.9"])
def test_what_nodes_know_alike_is_kept_once(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """A thousand nodes tell of a thousand members each."""
    fake = cassandra(monkeypatch, per_rack=2, version=version)
    fake.members["shop-dc1-r2-1"].schema = "another"
    told = observe.ask(NONE, replace(views.whole(per_rack=2), observations={}), LOGIN, gossip=True).observations
    apart = {pod: observe.observation(NONE, pod, LOGIN, gossip=True)[0] for pod in told}
    assert {pod: (seen.endpoints, seen.alive) for pod, seen in told.items()} == {
        pod: (seen.endpoints, seen.alive) for pod, seen in apart.items()
    }
    for address in told["shop-dc1-r1-0"].endpoints:
        assert len({id(seen.endpoints[address]) for seen in told.values() if seen.address != address}) == 1


def test_what_a_node_knows_otherwise_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = cassandra(monkeypatch)
    alike = observe.Alike()
    first = observe.observation(NONE, "shop-dc1-r1-0", LOGIN, alike=alike)[0]
    member = fake.members["shop-dc1-r3-0"]
    member.tokens = (7,)
    second = observe.observation(NONE, "shop-dc1-r2-0", LOGIN, alike=alike)[0]
    member.status = "LEAVING"
    third = observe.observation(NONE, "shop-dc1-r1-0", LOGIN, alike=alike)[0]
    told = [seen.endpoints[member.address] for seen in (first, second, third)]
    assert [item.tokens == (7,) for item in told] == [False, True, True]
    assert [item.status for item in told] == ["NORMAL", "NORMAL", "LEAVING"]


def test_what_nodes_may_answer_otherwise_is_asked_of_each() -> None:
    alike = observe.Alike()
    assert [alike.told(("keyspaces", version), lambda version=version: version) for version in "aba"] == ["a", "b", "a"]


def test_the_trouble_of_the_node_that_was_asked_is_not_that_of_the_others() -> None:
    alike = observe.Alike()

    def fails() -> str:
        raise CassopsError("it does not answer")

    with pytest.raises(CassopsError, match="it does not answer"):
        alike.told(("keyspaces", "a"), fails)
    assert alike.told(("keyspaces", "a"), lambda: "mine") == "mine"


def test_cassandra_4_0_has_no_gossip_table(monkeypatch: pytest.MonkeyPatch) -> None:
    told = observed(cassandra(monkeypatch, version="4.0.17"))
    assert [item.status for item in told.endpoints.values()] == [None] * 3
    assert told.alive == dict.fromkeys(told.endpoints, True)


def test_cassandra_4_0_tells_gossip_by_nodetool_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = cassandra(monkeypatch, version="4.0.17")
    fake.members["shop-dc1-r2-0"].status = "LEAVING"
    view = observe.ask(NONE, views.whole(), LOGIN, gossip=True)
    assert {seen.endpoints["198.19.0.2"].status for seen in view.observations.values()} == {"LEAVING"}
    assert {verb for _pod, verb in fake.nodetool} == {("gossipinfo",)}, "not what they are busy with"


def test_members_that_only_gossip_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that joins stands in no table of peers yet; nodetool tells whether it is up."""
    fake = cassandra(monkeypatch)
    fake.join("joining", Member("198.19.0.50", "r1", "host-j", (), status="BOOT", gossip_only=True))
    told = observed(fake)
    assert told.endpoints["198.19.0.50"].status == "BOOT"
    assert told.alive["198.19.0.50"] is True
    assert fake.nodetool == [("shop-dc1-r1-0", ("status",))]


@pytest.mark.parametrize("status", ["LEFT", "removed"])
def test_members_that_left_are_none(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """Gossip remembers for three days who left; that is no ghost, and no reason to start a JVM."""
    fake = cassandra(monkeypatch)
    fake.join("left", Member("198.19.0.50", "r1", "host-l", (), status=status, gossip_only=True))
    fake.down.add("left")
    told = observed(fake)
    assert sorted(told.endpoints) == ["198.19.0.1", "198.19.0.2", "198.19.0.3"]
    assert fake.nodetool == []


def test_one_node_that_cannot_answer_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = cassandra(monkeypatch)
    fake.doors["shop-dc1-r2-0"] = OFF
    view = observe.ask(NONE, replace(views.whole(), observations={}, keyspaces=()), LOGIN)
    assert sorted(view.observations) == ["shop-dc1-r1-0", "shop-dc1-r3-0"]
    assert list(view.unheard) == ["shop-dc1-r2-0"]
    assert "nothing listens" in view.unheard["shop-dc1-r2-0"]
    assert [item.name for item in view.keyspaces] == list(fake.replication)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    cassandra(monkeypatch)
    view = observe.ask(NONE, views.whole(), Credentials("cassandra", "wrong"))
    assert (view.observations, view.keyspaces) == ({}, ())
    assert len(view.unheard) == 3


# --- who is alive -----------------------------------------------------------------------------------------------------


def liveness(fake: FakeCassandra, pod: str = "shop-dc1-r1-0") -> dict[str, bool]:
    session = cast(cql.Session, FakeSession(fake, pod, "cassandra"))
    rows = [*session.execute("SELECT * FROM system.local"), *session.execute("SELECT * FROM system.peers_v2")]
    members = {
        address: observe.endpoint(address, row, {})
        for row in rows
        if (address := str(row.get("peer") or row.get("broadcast_address")))
    }
    reads = probes(members, fake.replication["system_auth"])
    return observe.failure_detector(NONE, pod, session, fake.members[pod].address, members, reads)


@pytest.mark.parametrize("per_rack", [1, 2, 5])
def test_reads_at_all_prove_everybody_alive_without_a_jvm(monkeypatch: pytest.MonkeyPatch, per_rack: int) -> None:
    fake = cassandra(monkeypatch, per_rack=per_rack)
    assert set(liveness(fake).values()) == {True}
    assert len(liveness(fake)) == 3 * per_rack
    assert fake.nodetool == []


@pytest.mark.parametrize("victim", ["shop-dc1-r1-1", "shop-dc1-r2-0", "shop-dc1-r3-1"])
def test_reads_at_all_prove_who_is_dead_without_a_jvm(monkeypatch: pytest.MonkeyPatch, victim: str) -> None:
    fake = cassandra(monkeypatch, per_rack=2)
    fake.down.add(victim)
    told = liveness(fake)
    assert [address for address, up in told.items() if not up] == [fake.members[victim].address]
    assert len(told) == 6
    assert fake.nodetool == []


def test_a_member_all_of_whose_neighbours_are_dead_leads_to_nodetool(monkeypatch: pytest.MonkeyPatch) -> None:
    """No read of its rows is served, and none tells that it is not because of it."""
    fake = cassandra(monkeypatch, per_rack=2)
    victims = ("shop-dc1-r1-1", "shop-dc1-r2-0")
    fake.down.update(victims)
    told = liveness(fake)
    assert {address for address, up in told.items() if not up} == {fake.members[each].address for each in victims}
    assert len(fake.nodetool) == 1


def test_one_of_three_that_is_dead_leads_to_nodetool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read needs all three: none tells because of whom it is refused."""
    fake = cassandra(monkeypatch)
    fake.down.add("shop-dc1-r2-0")
    assert [address for address, up in liveness(fake).items() if not up] == ["198.19.0.2"]
    assert len(fake.nodetool) == 1


def test_a_read_that_was_sent_and_not_answered_leads_to_nodetool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who died a moment ago counts as alive still, and each such read waits for seconds."""
    fake = cassandra(monkeypatch, per_rack=2)
    asked: list[str] = []
    execute = FakeSession.execute

    def slow(self: FakeSession, statement: str, *args: Any, **options: Any) -> Any:
        if options.get("consistency") == "ALL":
            asked.append(statement)
            raise cql.NotEnoughReplicas("Operation timed out - received only 2 responses.")
        return execute(self, statement, *args, **options)

    monkeypatch.setattr(FakeSession, "execute", slow)
    assert set(liveness(fake).values()) == {True}
    assert (len(asked), len(fake.nodetool)) == (1, 1)


def test_members_that_no_read_covers_lead_to_nodetool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the logins are replicated to a further datacenter no row is there."""
    fake = cassandra(monkeypatch)
    fake.join("far", Member("198.19.7.1", "r1", "host-f", (5,), datacenter="dc2"))
    assert liveness(fake)["198.19.7.1"] is True
    assert len(fake.nodetool) == 1


def test_a_single_node_is_alive_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = cassandra(monkeypatch, racks=("r1",), replicas="1")
    assert liveness(fake) == {"198.19.0.1": True}
    assert fake.nodetool == []


def test_how_the_scheduled_backups_went() -> None:
    item = {
        "metadata": {"name": "shop-dc1-backup"},
        "spec": {"schedule": "@daily", "suspend": False},
        "status": {"lastScheduleTime": "2026-11-22T03:15:00Z", "active": [{"name": "shop-dc1-backup-1"}]},
    }
    now = datetime(2026, 11, 22, 3, 16, 0, tzinfo=timezone.utc)
    assert observe.schedule(item, now) == Schedule("shop-dc1-backup", "@daily", False, True, 1795317300.0, None, 60.0)


def cron_job(**spec: Any) -> dict[str, Any]:
    """Made long ago, and begun every night."""
    return {
        "metadata": {"name": "n", "creationTimestamp": "2026-11-01T12:00:00Z"},
        "spec": {"schedule": "15 3 * * *", **spec},
        "status": {"lastScheduleTime": "2026-11-22T03:15:00Z", "lastSuccessfulTime": "2026-11-22T03:25:00Z"},
    }


@pytest.mark.parametrize(
    ("now", "change", "hours"),
    [
        ("22T12", {}, None),
        # Due in this minute, or a moment ago: it is not late yet.
        ("23T04", {}, None),
        ("23T05", {}, 26),
        ("25T12", {}, 81),
        ("23T05", {"status": {}}, 21 * 24 + 17),
        # Of a fresh one nothing was due yet.
        ("22T12", {"status": {}, "metadata": {"name": "n", "creationTimestamp": "2026-11-22T10:00:00Z"}}, None),
        # The one before was at work when this one was due, and has ended well meanwhile.
        ("23T12", {"status": {"lastScheduleTime": "2026-11-22T03:15:00Z", "active": [{}]}}, None),
        ("23T12", {"status": {**cron_job()["status"], "lastSuccessfulTime": "2026-11-23T04:00:00Z"}}, None),
        ("25T12", {"spec": {"schedule": "15 3 * * *", "suspend": True}}, None),
        # Not every night.
        ("28T12", {"spec": {"schedule": "15 3 * * 1-5"}}, None),
        ("30T12", {"spec": {"schedule": "15 3 * * 1-5"}}, 201),
        ("30T12", {"spec": {"schedule": "@weekly"}}, 201),
        # That takes more than a look.
        ("30T12", {"spec": {"schedule": "15 3 1 * *"}}, None),
        ("30T12", {"spec": {"schedule": "@monthly"}}, None),
    ],
)
def test_scheduled_backups_that_do_not_begin(now: str, change: dict[str, Any], hours: int | None) -> None:
    moment = datetime.fromisoformat(f"2026-11-{now}:00:00+00:00")
    idle = observe.schedule({**cron_job(), **change}, moment).idle
    assert (None if idle is None else round(idle / 3600)) == hours


def test_what_was_due_before_a_cron_job_was_written_to_is_not_missed() -> None:
    """It was suspended for weeks, or has other times since."""
    item = cron_job()
    now = datetime(2026, 11, 29, 8, 0, 0, tzinfo=timezone.utc)
    item["metadata"]["managedFields"] = [
        {"manager": "cassops", "time": "2026-11-02T12:00:00Z"},
        {"manager": "kubectl-patch", "time": "2026-11-29T07:00:00Z"},
        {"manager": "kube-controller-manager", "subresource": "status", "time": "2026-11-29T07:30:00Z"},
    ]
    told = observe.schedule(item, now)
    assert (told.idle, told.written_for) == (None, 3600.0)
    del item["metadata"]["managedFields"][1]
    assert observe.schedule(item, now).idle is not None


def test_a_row_of_a_member_that_was_written_in_pieces() -> None:
    """What it lacks is taken from gossip, and nothing of it is the text None."""
    row = dict.fromkeys(("host_id", "data_center", "rack", "release_version", "schema_version", "tokens"))
    told = observe.endpoint("198.19.0.9", row, {"release_version": "4.1.10", "dc": "dc1"})
    assert (told.version, told.datacenter, told.host_id, told.tokens) == ("4.1.10", "dc1", "", ())
    assert observe.endpoint("198.19.0.9", row, {}).version == ""


# --- revisions that hold the same -------------------------------------------------------------------------------------


def revision(name: str, image: str, **metadata: Any) -> dict[str, Any]:
    template = {"$patch": "replace", "metadata": metadata, "spec": {"containers": [{"image": image, "args": None}]}}
    return {"metadata": {"name": name}, "data": {"spec": {"template": template}}}


def half_rewritten() -> Objects:
    rack = stateful_set("s-r1", replicas=3, revision="s-r1-new")
    rack["status"]["currentRevision"] = "s-r1-null"
    pods = [pod(f"s-r1-{number}") for number in range(3)]
    for item, name in zip(pods, ("s-r1-new", "s-r1-null", "s-r1-old"), strict=True):
        item["metadata"]["labels"][observe.REVISION] = name
    return found(("StatefulSet", rack), *(("Pod", item) for item in pods))


def pending(objects: Objects) -> list[bool]:
    return [node.pending_restart for node in observe.node_views(objects, None, NOW)]


def test_a_pod_waits_for_what_its_revision_does_not_hold() -> None:
    reads: list[int] = []

    def read() -> list[dict[str, Any]]:
        reads.append(1)
        null = revision("s-r1-null", "a", creationTimestamp=None)
        return [revision("s-r1-new", "a"), null, revision("s-r1-old", "b")]

    contents = observe.Contents()
    assert pending(half_rewritten()) == [False, True, True]
    for _look in range(3):
        objects = contents.named_alike(half_rewritten(), read)
        assert pending(objects) == [False, False, True]
        (rack,) = map(observe.rack_view, objects.all("StatefulSet").values())
        assert (rack.current_revision, rack.update_revision) == ("s-r1-new", "s-r1-new")
    assert len(reads) == 1


def test_who_may_not_read_revisions_goes_by_their_names() -> None:
    def read() -> list[dict[str, Any]]:
        raise Forbidden("Not allowed to list ControllerRevision", 403)

    assert pending(observe.Contents().named_alike(half_rewritten(), read)) == [False, True, True]


def test_where_all_have_one_name_nobody_asks_what_it_holds() -> None:
    rack = stateful_set("s-r1", revision="new")
    rack["status"]["currentRevision"] = "new"
    same = found(("StatefulSet", rack), ("Pod", pod("s-r1-0")))
    assert observe.Contents().named_alike(same, lambda: pytest.fail("it was asked")) is same
