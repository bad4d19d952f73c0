# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts of six nodes, one by one and rack by rack, beside what their restarts alone take."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True)
class Rollout:
    """One playbook run, and the seconds that the restart of each node took: from its pod's deletion to Ready."""

    seconds: float
    restarts: Sequence[float]

    @property
    def slowest(self) -> float:
        return max(self.restarts)


def benchmark(where: scene.Scene, runs: int, quiet: float) -> list[measure.Result]:
    """Deploys six nodes once; then one by one and rack by rack, in turn."""
    with where.namespace(NAMESPACE, create=False):
        inventory = deploys.keep(where, NAMESPACE)
        single: list[Rollout] = []
        racks: list[Rollout] = []
        for turn in range(runs):
            for name, at_once, done in (("one by one", "1", single), ("rack by rack", "rack", racks)):
                measure.wait_until_quiet(quiet)
                done.append(roll(where, inventory, at_once))
                print(f"  {name}, {turn + 1} of {runs}: {told(done[-1])}", flush=True)
        return compare(single, racks)


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
