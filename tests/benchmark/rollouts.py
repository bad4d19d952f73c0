# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts of six nodes, one by one and rack by rack, beside what their restarts alone take."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import deploys
import measure
import scene

from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import condition

NAMESPACE = "cassops-benchmark-rollouts"
RACKS = 3
FORCED = ("-e", "rollout_force=true", "-e", "rollout_canary=false")
LOOK_EVERY = 0.25
BACK_WITHIN = 300.0


@dataclass(frozen=True)
class Rollout:
    """One run, and the seconds that the restart of each node took: from its pod's deletion to Ready."""

    seconds: float
    restarts: Sequence[float]

    @property
    def slowest(self) -> float:
        return max(self.restarts)


def benchmark(where: scene.Scene, runs: int, quiet: float) -> list[measure.Result]:
    """Deploys six nodes once; then one by one and rack by rack, in turn, by the playbook and by hand."""
    with where.namespace(NAMESPACE, create=False):
        inventory = deploys.keep(where, NAMESPACE)
        ways: dict[str, Callable[[], Rollout]] = {
            "one by one": lambda: roll(where, inventory, "1"),
            "rack by rack": lambda: roll(where, inventory, "rack"),
            "by hand one by one": lambda: by_hand(where, 1),
            "by hand rack by rack": lambda: by_hand(where, 2),
        }
        done: dict[str, list[Rollout]] = {name: [] for name in ways}
        for turn in range(runs):
            for name, way in ways.items():
                measure.wait_until_quiet(quiet)
                done[name].append(way())
                print(f"  {name}, {turn + 1} of {runs}: {told(done[name][-1])}", flush=True)
        return [*compare(done["one by one"], done["rack by rack"]), *beside_hand(*done.values())]


def compare(single: Sequence[Rollout], racks: Sequence[Rollout]) -> list[measure.Result]:
    overhead = statistics.median(each.seconds / (RACKS * each.slowest) for each in racks)
    faster = statistics.median(one.seconds / other.seconds for one, other in zip(single, racks, strict=True))
    by_rack = f"rack by rack {'; '.join(map(told, racks))}"
    return [
        measure.Result("rollout of 6 nodes, rack by rack / 3 x its slowest restart", overhead, 1.2, "lower", by_rack),
        measure.Result(
            "rollout of 6 nodes, one by one / rack by rack",
            faster,
            1.7,
            "higher",
            f"one by one {'; '.join(map(told, single))}; {by_rack}",
        ),
    ]


def beside_hand(
    single: Sequence[Rollout], racks: Sequence[Rollout], hand_single: Sequence[Rollout], hand_racks: Sequence[Rollout]
) -> list[measure.Result]:
    """What gates and proofs cost beside the deletion of the same pods, and what rack by rack can save here at most."""

    def ratio(above: Sequence[Rollout], below: Sequence[Rollout]) -> float:
        return statistics.median(one.seconds / other.seconds for one, other in zip(above, below, strict=True))

    overhead = statistics.median(
        one.seconds / (RACKS * other.slowest) for one, other in zip(racks, hand_racks, strict=True)
    )
    hand_by_node = f"by hand one by one {'; '.join(map(told, hand_single))}"
    hand_by_rack = f"by hand rack by rack {'; '.join(map(told, hand_racks))}"
    return [
        measure.Result(
            "rollout of 6 nodes, rack by rack / 3 x the slowest restart by hand", overhead, 1.2, "lower", hand_by_rack
        ),
        measure.Result(
            "rollout of 6 nodes, one by one / the same deletions by hand",
            ratio(single, hand_single),
            None,
            "lower",
            hand_by_node,
        ),
        measure.Result(
            "rollout of 6 nodes, rack by rack / the same deletions by hand",
            ratio(racks, hand_racks),
            None,
            "lower",
            hand_by_rack,
        ),
        measure.Result(
            "by hand one by one / rack by rack",
            ratio(hand_single, hand_racks),
            None,
            "higher",
            "what this machine lets anybody save",
        ),
    ]


def told(rollout: Rollout) -> str:
    return f"{rollout.seconds:.1f} s, restarts {', '.join(f'{each:.1f}' for each in rollout.restarts)} s"


def roll(where: scene.Scene, inventory: Path, at_once: str) -> Rollout:
    """Restarts all nodes.

    :raises measure.Failed: not every node restarted once.
    """
    with Stopwatches.at(where.kube(NAMESPACE)) as watches:
        sample = where.play("restart", inventory, *FORCED, "-e", f"rollout_max_unavailable={at_once}")
    restarts = [seconds for times in watches.taken.values() for seconds in times]
    if len(restarts) != 2 * RACKS or len(watches.taken) != 2 * RACKS:
        raise measure.Failed(f"every node was to restart once: {watches.taken}")
    return Rollout(sample.seconds, restarts)


def by_hand(where: scene.Scene, at_once: int) -> Rollout:
    """What a person would do with kubectl: delete the pods of a rack, so many at once, and wait until they are Ready.

    Cassandra drains when its pod ends, so that is in these restarts. Nobody looks whether the ring can spare them.

    :raises measure.Failed: they are not back in time.
    """
    kube = where.kube(NAMESPACE)
    racks: dict[str, list[str]] = {}
    for pod in sorted((item["metadata"]["name"] for item in kube.list("Pod")), reverse=True):
        racks.setdefault(pod.rpartition("-")[0], []).append(pod)
    began = time.monotonic()
    with Stopwatches.at(kube) as watches:
        for pods in racks.values():
            for batch in itertools.batched(pods, at_once):
                delete_and_wait(kube, batch)
    return Rollout(time.monotonic() - began, [seconds for times in watches.taken.values() for seconds in times])


def delete_and_wait(kube: Kube, pods: Sequence[str]) -> None:
    """Until the next ones of these names are Ready."""
    old = {item["metadata"]["name"]: item["metadata"]["uid"] for item in kube.list("Pod")}
    for pod in pods:
        kube.delete("Pod", pod, uid=old[pod])
    deadline = time.monotonic() + BACK_WITHIN
    waiting = set(pods)
    while waiting:
        if time.monotonic() > deadline:
            raise measure.Failed(f"{', '.join(sorted(waiting))} not back after {BACK_WITHIN:.0f} s")
        time.sleep(LOOK_EVERY)
        for item in kube.list("Pod"):
            name, uid = item["metadata"]["name"], item["metadata"]["uid"]
            if name in waiting and uid != old[name] and condition(item, "Ready").get("status") == "True":
                waiting.remove(name)


@dataclass
class Stopwatches:
    """:ivar taken: pod -> seconds from its deletion until the next one of its name was Ready, each time."""

    kube: Kube
    taken: dict[str, list[float]] = field(default_factory=dict)
    _deleted: dict[str, float] = field(default_factory=dict)
    _end: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextlib.contextmanager
    def at(cls, kube: Kube) -> Iterator[Stopwatches]:
        """Look at the pods as long as the context lasts."""
        watches = cls(kube)
        with measure.beside(watches.watch, watches._end):
            yield watches

    def watch(self) -> None:
        while True:
            # Once more after the end: the last node is Ready then.
            ended = self._end.wait(LOOK_EVERY)
            for pod in self.kube.list("Pod"):
                self.look(pod, time.monotonic())
            if ended:
                return

    def look(self, pod: dict[str, Any], now: float) -> None:
        name = pod["metadata"]["name"]
        if "deletionTimestamp" in pod["metadata"]:
            self._deleted.setdefault(name, now)
        elif name in self._deleted and condition(pod, "Ready").get("status") == "True":
            self.taken.setdefault(name, []).append(now - self._deleted.pop(name))
