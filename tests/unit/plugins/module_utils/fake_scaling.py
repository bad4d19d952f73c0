# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The namespace and the ring in memory, with nodes that bootstrap and nodes that decommission.

Honest about what scaling relies on: a StatefulSet gives up its highest number and keeps its claims; a node without data
that the ledger does not know as a member streams for a while; Cassandra lets one node at a time join or leave, and none
leave that a keyspace's replicas need; a node that has left stays, does not serve, and refuses to start again; one that
dies while it joins leaves partial data. The claim of a member must never go.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import OFF, OPEN, FakeCassandra, Member
from unit.plugins.module_utils.fake_kube import RACK, Disk, FakeKube, Killed, Object, one_at_a_time

from ansible_collections.cassops.kubernetes.plugins.module_utils import ring
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context, Operation
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecResult, WorkerUnreachable
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter, leaving
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.volume import FOR_RESTART
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.words import HAS_LEFT, PARTIAL_BOOTSTRAP

NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"
WANTED: dict[str, Any] = {
    "cluster": "shop",
    "datacenter": "dc1",
    "version": "5.0.9",
    "storage": {"size": "1Gi"},
    "allow_shared_workers": True,
    "peers": [],
    "variable_prefix": "cassandra_",
}
ZONES = ("a", "b", "c")


class ScalingCassandra(FakeCassandra):
    """A ring that nodes join and leave."""

    kube: ScalingKube

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cleaned: list[str] = []
        # Mode of a node whose streams failed: 4.x has no other than JOINING.
        self.gives_up_as = "JOINING_FAILED"

    def one_verb(self, kube: Any, pod: str, verb: Sequence[str]) -> Any:
        self.kube.reach(pod)
        if verb[0] == "netstats":
            return {"mode": self.mode(pod), "sessions": self.sessions(pod)}
        if verb[0] == "cleanup":
            assert not self.moving(), "Cassandra refuses cleanup while somebody joins or leaves"
            return self.change(f"nodetool cleanup on {pod}", lambda: self.clean(pod))
        return super().one_verb(kube, pod, verb)

    def clean(self, pod: str) -> None:
        self.cleaned.append(pod)
        super().clean(pod)

    def mode(self, pod: str) -> str:
        if pod in self.kube.joining:
            return self.gives_up_as if self.kube.given_up(pod) else "JOINING"
        if pod in self.kube.gone:
            return "DECOMMISSIONED"
        if pod in self.drained:
            return "DRAINED"
        return "LEAVING" if pod in self.kube.leaving else "NORMAL"

    def sessions(self, pod: str) -> list[dict[str, Any]]:
        told = {"operation": "Bootstrap", "plan_id": "a", "peer": "x", "receiving": None, "sending": None}
        if self.kube.given_up(pod):
            return []
        if pod in self.kube.joining:
            return [{**told, "receiving": {"bytes": 100, "bytes_done": max(0, 100 - 10 * self.kube.joining[pod])}}]
        if pod in self.kube.leaving:
            return [{**told, "sending": {"bytes": 100, "bytes_done": max(0, 100 - 10 * self.kube.leaving[pod])}}]
        return self.rebuild_sessions(pod)

    def moving(self) -> list[str]:
        return [*self.kube.joining, *self.kube.leaving]

    def short_of_nodes(self, pod: str) -> list[str]:
        """What Cassandra says where a keyspace keeps as many replicas as there are nodes for them, or more."""
        here = self.members[pod].datacenter
        there = sum(1 for member in self.members.values() if member.datacenter == here)
        counts = {here: there, "": len(self.members)}
        return [
            f"Not enough live nodes to maintain replication factor in keyspace {name} (RF = {factor}, N = {counts[at]})"
            for name, replication in self.replication.items()
            for at, factor in ring.replication_factors(replication).items()
            if counts.get(at, factor + 1) <= factor
        ]


class ScalingKube(FakeKube):
    """One namespace, whose nodes take some looks to join and to leave."""

    ring: ScalingCassandra

    def __init__(self, ring_: ScalingCassandra) -> None:
        self.takes = 2
        self.joining: dict[str, int] = {}
        self.leaving: dict[str, int] = {}
        # Nodes that have left and whose process is there still; and those whose process was started again since.
        self.gone: set[str] = set()
        # Nodes that die before they have written down that they left.
        self.forgetful: set[str] = set()
        self.half_way: set[str] = set()
        # Attempts to join left whose streams fail, by pod.
        self.failing_streams: dict[str, int] = {}
        # (pod, why) of decommissions that Cassandra refused.
        self.refused: list[tuple[str, str]] = []
        # Pods of those that were begun with --force.
        self.forced: list[str] = []
        # Pods that no worker takes, and those whose worker does not answer.
        self.homeless: set[str] = set()
        self.lost: set[str] = set()
        self.random = random.Random(7)
        super().__init__(ring_)
        ring_.kube = self
        # Whether a file system grows under a running node; where it does not, it waits for a restart.
        self.grows_online = True

    # What happens

    def die(self, pod: str) -> None:
        """Its process is killed; the container starts again in the same pod."""
        if self.joining.pop(pod, None) is not None:
            self.half_way.add(pod)
            self.crashed.add(pod)
            self.ring.members.pop(pod)
        elif self.leaving.pop(pod, None) is not None:
            self.ring.members[pod].status = "NORMAL"
        elif pod in self.gone:
            self.crashed.add(pod)

    def given_up(self, pod: str) -> bool:
        """Its streams failed: it goes on without the data, and waits for somebody to notice."""
        return bool(self.failing_streams.get(pod)) and self.joining.get(pod, 0) < 0

    # The client's interface

    def reach(self, pod: str) -> None:
        if pod in self.lost:
            raise WorkerUnreachable(f"the worker of {pod} cannot be reached", 502)

    @one_at_a_time
    def exec(self, pod: str, argv: Sequence[str], timeout: float = 60.0) -> ExecResult:
        self.reach(pod)
        if argv[-1] in (leaving.START, leaving.FORCED):
            self.before_write(f"decommission {pod}")
            self.decommission(pod, force=argv[-1] == leaving.FORCED)
            self.changed()
            return ExecResult(0, "", "")
        if argv[-1] == leaving.TELL:
            self.alive()
            said = [why for name, why in self.refused if name == pod]
            if pod in self.leaving:
                return ExecResult(0, "running\n", "")
            return ExecResult(0, "0\n" if pod in self.gone else f"1\n{said[-1]}\n" if said else "none\n", "")
        return super().exec(pod, argv, timeout)

    @one_at_a_time
    def delete(self, kind: str, name: str, uid: str, *, propagation: str | None = None) -> bool:
        pod = name.removeprefix("data-")
        if kind == "PersistentVolumeClaim":
            assert pod not in self.ring.members or pod in self.joining, f"{pod} is a member"
            claim = self.objects.get((kind, name))
            if claim is not None and claim["metadata"]["uid"] == uid and ("Pod", pod) in self.objects:
                # Kubernetes keeps it until no pod uses it.
                self.before_write(f"delete {kind} {name}")
                claim["metadata"]["deletionTimestamp"] = "now"
                self.changed()
                return True
            self.half_way.discard(pod)
        if kind == "Pod":
            assert pod not in self.ring.members or pod in self.joining, f"{pod} is a member"
        if kind == "Service":
            assert pod not in self.ring.members, f"{pod} is a member"
        return super().delete(kind, name, uid, propagation=propagation)

    def logs(self, pod: str, previous: bool = False, tail: int | None = None, *, since: float | None = None) -> str:
        if self.given_up(pod):
            return "WARN Stream failed: a source died\nWARN Some data streaming failed. Use nodetool to resume."
        if pod in self.half_way or pod in self.forgetful & self.gone:
            return f"ERROR Current data may be stale: -D{PARTIAL_BOOTSTRAP}"
        if pod in self.gone and pod not in self.crashed:
            return "INFO  [RMI TCP Connection(2)-127.0.0.1] StorageService.java:3871 - DECOMMISSIONED"
        if pod in self.gone:
            return f"ERROR This node {HAS_LEFT} the ring unless cassandra.override_decommission=true"
        return super().logs(pod, previous, tail, since=since)

    def done(self, item: Object) -> Object:
        """The storage grows what asks for more, where its class allows that."""
        if item["kind"] == "PersistentVolumeClaim":
            wanted = item["spec"]["resources"]["requests"]["storage"]
            if self.grows_online:
                item["status"] = {"capacity": {"storage": wanted}}
            else:
                since = datetime.fromtimestamp(self.clock, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
                item["status"] = {
                    "capacity": {"storage": "1Gi"},
                    "conditions": [{"type": FOR_RESTART, "status": "True", "lastTransitionTime": since}],
                }
        return super().done(item)

    # Cassandra

    def decommission(self, pod: str, force: bool = False) -> None:
        short = self.ring.short_of_nodes(pod)
        others = [name for name in self.ring.moving() if name != pod]
        if force:
            assert short, f"{pod} is forced, and nothing is in its way"
            self.forced.append(pod)
        if others or (short and not force):
            self.refused.append((pod, f"error: Unsupported operation: {others or short[0]}"))
            return
        self.ring.members[pod].status = "LEAVING"
        self.leaving[pod] = self.takes

    def start(self, pod: str) -> None:
        if pod in self.homeless:
            self.starting[pod] = 1
            return
        ledger, disk = self.ledger(), self.disks.get(f"data-{pod}")
        known = ledger.nodes.get(pod)
        if pod in self.ring.members and pod not in ledger.tokens:
            # It has joined, with tokens of its own choice.
            self.ring.down.discard(pod)
            self.ring.doors[pod] = OPEN
        elif ledger.phase == "new" or pod in self.ring.members:
            super().start(pod)
        elif pod in self.half_way or pod in self.gone:
            self.crashed.add(pod)
        elif known is None or known.address is None:
            self.held[pod] = "the ledger has no address for this node yet"
        elif disk is not None and disk.mark != self.mark(pod):
            self.held[pod] = f"the volume belongs to another node: its mark is '{disk.mark}'"
        elif disk is None and known.host_id is None:
            self.bootstrap(pod, known.address)
        else:
            raise AssertionError(f"{pod} is started, and it is not known why")

    def mark(self, pod: str) -> str:
        ledger = self.ledger()
        number = ledger.volume_number(pod)
        return f"{ledger.id} {number}" if number else ledger.id

    def bootstrap(self, pod: str, address: str) -> None:
        assert not self.ring.moving(), f"{pod} joins while {self.ring.moving()} move"
        disk = self.disks[f"data-{pod}"] = Disk(self.mark(pod), f"host-{next(self._numbers)}")
        labels = self.one("Pod", pod)["metadata"]["labels"]
        version = labels["app.kubernetes.io/version"]
        member = Member(address, labels[RACK], disk.host_id, (), status="BOOT", gossip_only=True, version=version)
        self.ring.join(pod, member, OFF)
        self.ring.busy[pod].disk = ROOM
        self.joining[pod] = self.takes

    def kubelet(self) -> None:
        super().kubelet()
        for pod in self.joining.keys() - self.lost:
            self.joining[pod] -= 1
            if self.joining[pod] < 0 and not self.given_up(pod):
                self.joined(pod)
        for pod in self.leaving.keys() - self.lost:
            self.leaving[pod] -= 1
            if self.leaving[pod] < 0:
                del self.leaving[pod]
                del self.ring.members[pod]
                self.ring.doors[pod] = OFF
                self.gone.add(pod)
        self.changed()

    def joined(self, pod: str) -> None:
        del self.joining[pod]
        member = self.ring.members[pod]
        member.tokens = tuple(sorted(self.random.randrange(-(2**63) + 1, 2**63) for _number in range(16)))
        member.status, member.gossip_only = "NORMAL", False
        self.ring.doors[pod] = OPEN

    # Pods

    def stop(self, pod: str) -> None:
        assert pod not in self.leaving, f"{pod} leaves"
        failed = self.given_up(pod)
        if self.joining.pop(pod, None) is not None:
            del self.ring.members[pod]
            self.half_way.add(pod)
        if failed:
            self.failing_streams[pod] -= 1
        self.gone.discard(pod)
        super().stop(pod)
        claim = self.objects.get(("PersistentVolumeClaim", f"data-{pod}"))
        if claim is not None and "deletionTimestamp" in claim["metadata"]:
            del self.objects["PersistentVolumeClaim", f"data-{pod}"]
            self.disks.pop(f"data-{pod}", None)
            self.half_way.discard(pod)

    def ready(self, pod: str) -> bool:
        return super().ready(pod) and pod in self.ring.members

    def seen(self, item: Object) -> Object:
        shown = super().seen(item)
        if shown["kind"] == "Pod" and self.name(shown) in self.homeless:
            unplaced = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
            shown["status"].update(phase="Pending", containerStatuses=[])
            shown["status"]["conditions"].append(unplaced)
        if shown["kind"] == "Pod" and self.name(shown) in self.lost:
            # What the worker said last of the container stays; of one that joins it said that it is not ready.
            ready = {"type": "Ready", "status": "False"}
            containers = {"type": "ContainersReady", "status": str(self.ready(self.name(shown)))}
            shown["status"]["conditions"] = [ready, containers]
        return shown


def zone_of(rack: str) -> str:
    """Of r1 it is a, of r4 again."""
    return ZONES[(int(rack[1:]) - 1) % len(ZONES)]


# KiB: all, free.
ROOM = (10_000_000, 9_000_000)


@dataclass
class Scaling:
    """A ring in a namespace, and what its runs said."""

    ring: ScalingCassandra
    kube: ScalingKube
    said: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    runs: int = 0
    fewest: int = 99

    @classmethod
    def deployed(cls, monkeypatch: pytest.MonkeyPatch, per_rack: int | dict[str, int] = 1, **changes: Any) -> Scaling:
        """A datacenter that serves, by default of three racks, with a keyspace of three replicas."""
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        ring_ = ScalingCassandra()
        ring_.install(monkeypatch)
        world = cls(ring_, ScalingKube(ring_))
        world.run(datacenter, per_rack, state="present", wait_timeout=5, **changes)
        ring_.replication["shop"] = {"class": NTS, "dc1": "3"}
        for busy in ring_.busy.values():
            busy.disk = ROOM
        world.kube.after_write = world.watch
        world.kube.made.clear()
        world.kube.cut_off.clear()
        return world

    def watch(self) -> None:
        """After every write, and whenever time passes."""
        serving = [pod for pod in self.ring.members if self.ring.doors[pod] == OPEN and pod not in self.ring.down]
        self.fewest = min(self.fewest, len(serving))
        assert len(self.ring.moving()) <= 1

    def context(self, check: bool = False) -> Context:
        """Each run is another process than the one before."""
        self.runs += 1
        self.said, self.warnings = [], []
        return Context(
            check_mode=check,
            progress=lambda text, important=False: self.said.append(text),
            holder=f"somebody@somewhere pid {self.runs}",
            warnings=self.warnings,
            connect=lambda params: cast(Kube, self.kube),
        )

    def run(
        self, operation: Operation, racks: int | dict[str, int] = 1, check: bool = False, **changes: Any
    ) -> dict[str, Any]:
        """An operation with its own defaults, for so many nodes a rack."""
        counts = {f"r{number}": racks for number in (1, 2, 3)} if isinstance(racks, int) else racks
        listed = [{"name": name, "zone": zone_of(name), "nodes": nodes} for name, nodes in counts.items()]
        defaults = {name: spec.get("default") for name, spec in operation.ARGUMENT_SPEC.items()}
        limits = {"gate_timeout": 1, "wait_timeout": 5, "cleanup_timeout": 5, "option_prefix": "scale_"}
        known = {**WANTED, **limits, "racks": listed}
        known = {name: value for name, value in known.items() if name in operation.ARGUMENT_SPEC}
        return operation.run({**defaults, **known, **changes}, self.context(check))

    def killed(self, lives: int, call: Callable[[], Any]) -> bool:
        """Whether a run was killed before its write number C(lives)."""
        self.kube.lives = lives
        try:
            call()
        except Killed:
            self.kube.revive()
            return True
        self.kube.lives = None
        return False

    def writes(self, since: int = 0) -> list[str]:
        """What was written, without the lock."""
        return [what for what in self.kube.writes[since:] if " Lease " not in what]

    def assert_whole(self, racks: int | dict[str, int] = 1) -> None:
        """Exactly these nodes, in the ring, the ledger and Kubernetes; nothing is left of others but volumes."""
        counts = {f"r{number}": racks for number in (1, 2, 3)} if isinstance(racks, int) else racks
        nodes = sorted(f"shop-dc1-{rack}-{ordinal}" for rack, count in counts.items() for ordinal in range(count))
        ledger = self.kube.ledger()
        assert sorted(self.ring.members) == nodes
        assert {pod: item.host_id for pod, item in self.ring.members.items()} == {
            pod: node.host_id for pod, node in ledger.nodes.items()
        }
        assert self.kube.names("Pod") == nodes
        services = [name for name in self.kube.names("Service") if name[-1].isdigit() and name != "shop-dc1"]
        assert services == nodes
        for rack, count in counts.items():
            item = self.kube.one("StatefulSet", f"shop-dc1-{rack}")
            assert (item["spec"]["replicas"], datacenter.partition(item)) == (count, count)
        assert self.kube.names("StatefulSet") == sorted(f"shop-dc1-{rack}" for rack in counts)
        assert self.kube.one("PodDisruptionBudget", "shop-dc1")["spec"]["minAvailable"] == len(nodes) - 1
        assert self.kube.held == {}
        firsts = [f"shop-dc1-{rack}-0" for rack in counts][:3]
        assert [self.ring.members[pod].address for pod in firsts] == list(ledger.seeds)
        assert self.fewest >= 3
