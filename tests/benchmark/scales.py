# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes become six, and six become five, beside what Cassandra itself takes to join and to leave."""

from __future__ import annotations

import contextlib
import statistics
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import cargo
import measure
import scene

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube

NAMESPACE = "cassops-benchmark-scale"
PREFIX = f"{scene.SMALL['cluster']}-{scene.SMALL['datacenter']}"
THREE = {"r1": 1, "r2": 1, "r3": 1}
SIX = {"r1": 2, "r2": 2, "r3": 2}
FIVE = {**SIX, "r3": 1}
JOINED, LEFT = [f"{PREFIX}-{rack}-1" for rack in SIX], f"{PREFIX}-r3-1"
# Cassandra's log: every line, and those about the node itself. What others do it hears from its gossip's thread.
ANY, JOINING, NORMAL = "", "JOINING: ", r"\[main\].*state jump to NORMAL"
LEAVING, GONE = "LEAVING: ", "DECOMMISSIONED"
LOOK_EVERY = 1.0


@dataclass(frozen=True)
class Way:
    """A run of the playbook, and the seconds that Cassandra took for each node.

    :param started: the same from the beginning of each node's log.
    """

    seconds: float
    own: tuple[float, ...]
    started: tuple[float, ...] = ()

    def told(self) -> str:
        return f"{self.seconds:.1f} s, of which Cassandra {' + '.join(f'{each:.1f}' for each in self.own)} s"


def benchmark(where: scene.Scene, runs: int, quiet: float, mebibytes: int) -> list[measure.Result]:
    """Out and in by turns, with so much data in each of the three nodes."""
    with where.namespace(NAMESPACE, create=False):
        kube = where.kube(NAMESPACE)
        play(where, "deploy", THREE)
        print(f"  writing {mebibytes} MiB a node ...", flush=True)
        cargo.load(kube, [f"{PREFIX}-{rack}-0" for rack in THREE], mebibytes)
        out: list[Way] = []
        back: list[Way] = []
        for turn in range(runs):
            measure.wait_until_quiet(quiet)
            out.append(scale_out(where, kube))
            print(f"  3 to 6, {turn + 1} of {runs}: {out[-1].told()}", flush=True)
            # It goes before anybody leaves, and is neither a join nor a leave.
            play(where, "cleanup", SIX)
            measure.wait_until_quiet(quiet)
            back.append(scale_in(where, kube))
            print(f"  6 to 5, {turn + 1} of {runs}: {back[-1].told()}", flush=True)
            if turn + 1 < runs:
                play(where, "scale", THREE, "-e", "scale_delete_volumes=true")
        return compare(out, back, mebibytes)


def compare(out: list[Way], back: list[Way], mebibytes: int) -> list[measure.Result]:
    joins = statistics.median(each.seconds / sum(each.own) for each in out)
    starts = statistics.median(each.seconds / sum(each.started) for each in out)
    leaves = statistics.median(each.seconds / sum(each.own) for each in back)
    size = f"{mebibytes} MiB a node at first"
    told = f"{size}, without cleanup: {'; '.join(each.told() for each in out)}"
    lives = "; ".join(" + ".join(f"{each:.1f}" for each in way.started) for way in out)
    return [
        measure.Result("scale from 3 to 6 / Cassandra's joins (JOINING to NORMAL)", joins, 1.15, "lower", told),
        measure.Result("the same / from each node's first line to NORMAL", starts, None, "lower", f"{lives} s"),
        measure.Result(
            "scale in by one / Cassandra's decommission", leaves, 1.2, "lower", "; ".join(each.told() for each in back)
        ),
    ]


def play(where: scene.Scene, playbook: str, racks: Mapping[str, int], *options: str) -> measure.Sample:
    """A playbook on an inventory with so many nodes a rack."""
    listed = [{**rack, "nodes": racks[rack["name"]]} for rack in scene.SMALL["racks"]]
    return where.play(playbook, where.inventory(NAMESPACE, {**scene.SMALL, "racks": listed}), *options)


def scale_out(where: scene.Scene, kube: Kube) -> Way:
    sample = play(where, "scale", SIX, "-e", "scale_cleanup=false", "-e", "scale_delete_volumes=true")
    logs = [kube.logs(node) for node in JOINED]
    return Way(
        sample.seconds,
        tuple(cargo.between(log, JOINING, NORMAL) for log in logs),
        tuple(cargo.between(log, ANY, NORMAL) for log in logs),
    )


def scale_in(where: scene.Scene, kube: Kube) -> Way:
    with Listener.at(kube, LEFT) as listener:
        sample = play(where, "scale", FIVE)
    return Way(sample.seconds, (cargo.between(listener.heard, LEAVING, GONE),))


@dataclass
class Listener:
    """The log of a node whose pod goes at the end.

    :ivar heard: all of it, as it was last.
    """

    kube: Kube
    pod: str
    heard: str = ""
    _end: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextlib.contextmanager
    def at(cls, kube: Kube, pod: str) -> Iterator[Listener]:
        """Listen as long as the context lasts."""
        listener = cls(kube, pod)
        with measure.beside(listener.listen, listener._end):
            yield listener

    def listen(self) -> None:
        while not self._end.wait(LOOK_EVERY):
            with contextlib.suppress(CassopsError):
                self.heard = self.kube.logs(self.pod) or self.heard
