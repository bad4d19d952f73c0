# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, cast

import pytest
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.events import COMING
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import Object
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import patience


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def pod(name: str, lost: bool = False) -> dict[str, Any]:
    """One that ends; Kubernetes says of a silent worker's that it is not ready, and nothing of its containers."""
    ready = [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": str(lost)}]
    return {"metadata": {"name": name}, "spec": {"nodeName": f"w-{name}"}, "status": {"conditions": ready}}


def test_those_that_end_are_waited_for(clock: list[float]) -> None:
    ending = patience.Ending()
    assert ending.left([pod("b"), pod("a")]) == ["a still runs", "b still runs"]
    clock[0] += 10_000
    assert ending.left([pod("b")]) == ["b still runs"]
    assert ending.left([]) == []


def test_on_a_silent_worker_none_ends_and_that_is_told(clock: list[float]) -> None:
    ending = patience.Ending()
    assert ending.left([pod("a", lost=True), pod("b")]) == [
        "a still runs: its worker w-a does not answer",
        "b still runs",
    ]
    clock[0] += patience.SILENT + 1
    with pytest.raises(CassopsError, match=r"a cannot end, since w-a does not answer: .* \(kubectl delete node w-a\)"):
        ending.left([pod("a", lost=True), pod("b")])


def test_a_worker_that_answers_again_counts_anew(clock: list[float]) -> None:
    ending = patience.Ending()
    for lost in (True, False, True):
        ending.left([pod("a", lost)])
        clock[0] += patience.SILENT - 1
    assert ending.left([pod("a", lost=True)])


class Logs:
    """Kubernetes, of which only the logs are asked."""

    def logs(self, pod: str, **_options: Any) -> str:
        return "the last words"


@pytest.mark.parametrize("first", [("Running", 7), ("Crashed", 7), ("Running", 0)])
def test_crashes_count_from_the_first_look(first: tuple[str, int]) -> None:
    """Kubernetes counts over the life of a pod."""
    (node,) = views.nodes(("r1",), 1)
    phase, count = first
    lost = patience.Patience(cast(Kube, Logs()))
    assert lost.lost([replace(node, ready=False, phase=phase, restarts=count)]) == []
    again = replace(node, ready=False, phase="Crashed", backing_off=True)
    for more in range(1, patience.CRASHES):
        assert lost.lost([replace(again, restarts=count + more)]) == []
    (told,) = lost.lost([replace(again, restarts=count + patience.CRASHES)])
    assert told.startswith(f"{node.pod} crashed {patience.CRASHES} times (")
    assert lost.lost([replace(again, uid="another", backing_off=False, restarts=3)]) == []


def test_one_that_crashes_again_and_again_is_told_at_the_first_look() -> None:
    (node,) = views.nodes(("r1",), 1)
    lost = patience.Patience(cast(Kube, Logs()))
    node = replace(node, ready=False, phase="Crashed", restarts=4, backing_off=True)
    assert lost.lost([node])[0].startswith(f"{node.pod} crashed 4 times")


class Events:
    """Kubernetes, of which only the events are asked."""

    def __init__(self, clock: list[float], uid: str) -> None:
        self.clock, self.uid = clock, uid
        self.told: list[Object] = []
        self.asked = 0

    def server_time(self) -> float:
        return self.clock[0]

    def tell(self, reason: str, kind: str = "Normal", uid: str | None = None) -> None:
        at = datetime.fromtimestamp(self.clock[0], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = {"involvedObject": {"uid": uid or self.uid}, "lastTimestamp": at}
        self.told.append({"metadata": {}, **about, "type": kind, "reason": reason, "message": f"words of {reason}"})

    def list(self, kind: str, fields: str) -> list[Object]:
        self.asked += 1
        return list(self.told)


def test_a_worker_that_is_being_added_is_waited_for(clock: list[float]) -> None:
    """A node whose worker was taken away by an autoscaler had one a moment ago, and gets another one in minutes."""
    (node,) = views.nodes(("r1",), 1)
    node = replace(node, ready=False, phase="Pending", reason="it cannot be scheduled: 0/3 nodes are available")
    kube = Events(clock, str(node.uid))
    lost = patience.Patience(cast(Kube, kube), (patience.NO_WORKER,))
    assert lost.lost([node]) == []
    kube.tell("TriggeredScaleUp")
    for _minute in range(int(COMING / 60) - 1):
        clock[0] += 60
        assert lost.lost([node]) == []
        asked = kube.asked
        assert lost.lost([node]) == []
        assert kube.asked == asked, "not at each look"
    clock[0] += 120
    (told,) = lost.lost([node])
    assert told.startswith(f"{node.pod} cannot start: it cannot be scheduled")


@pytest.mark.parametrize(
    ("told", "helped"),
    [
        ([], False),
        (["FailedScheduling"], False),
        (["TriggeredScaleUp"], True),
        (["Nominated", "FailedScheduling"], True),
        (["TriggeredScaleUp", "NotTriggerScaleUp"], False),
        (["NotTriggerScaleUp", "TriggeredScaleUp"], True),
    ],
)
def test_who_says_that_a_worker_comes(clock: list[float], told: list[str], helped: bool) -> None:
    (node,) = views.nodes(("r1",), 1)
    node = replace(node, ready=False, phase="Pending", reason="it cannot be scheduled: 0/3 nodes are available")
    kube = Events(clock, str(node.uid))
    lost = patience.Patience(cast(Kube, kube), (patience.NO_WORKER,))
    kube.tell("TriggeredScaleUp", uid="of the pod before")
    assert lost.lost([node]) == []
    for reason in told:
        clock[0] += 60
        kube.tell(reason)
    clock[0] += 101
    assert (lost.lost([node]) == []) is helped


def test_who_got_his_worker_and_has_no_image_is_not_helped_by_another_one(clock: list[float]) -> None:
    (node,) = views.nodes(("r1",), 1)
    node = replace(node, ready=False, phase="Pending", reason="ImagePullBackOff: no such image")
    kube = Events(clock, str(node.uid))
    lost = patience.Patience(cast(Kube, kube))
    kube.tell("TriggeredScaleUp")
    assert lost.lost([node]) == []
    clock[0] += 101
    assert lost.lost([node]) == [f"{node.pod} cannot start: ImagePullBackOff: no such image"]


@pytest.mark.parametrize(
    "words", ["2 node(s) had volume node affinity conflict", "2 node(s) didn't match PersistentVolume's node affinity"]
)
def test_a_new_volume_where_its_pod_may_not_run_will_not_move(clock: list[float], words: str) -> None:
    """Of one that has data the worker may come back."""
    (node,) = views.nodes(("r1",), 1)
    other = "1 node(s) didn't match Pod's node affinity/selector"
    reason = f"it cannot be scheduled: 0/3 nodes are available: {other}, {words}."
    node = replace(node, ready=False, phase="Pending", reason=reason)
    kube = Events(clock, str(node.uid))
    new, old = patience.Patience(cast(Kube, kube), elsewhere=True), patience.Patience(cast(Kube, kube))
    for some in (new, old):
        assert some.lost([node]) == []
    clock[0] += 101
    assert new.lost([node]) == [f"{node.pod} cannot start: {reason}"]
    assert old.lost([node]) == []
    full = replace(node, reason=f"{reason[:-1]}, 1 Insufficient cpu.")
    assert new.lost([full]) == [], "the worker of its volume may be the one that is full"
