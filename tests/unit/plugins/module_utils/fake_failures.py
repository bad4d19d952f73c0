# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The namespace and the ring in memory, with what fails: workers, volumes, nodes that stream, and repairs.

Honest about what replacements rely on: a claim stays as long as a pod on a worker uses it; a pod on a worker that is
off stays until that worker is gone from Kubernetes, or somebody takes the pod away with no grace; a local volume keeps
its pod from other workers; a new node streams for a while, is down for the others meanwhile, and leaves partial data
when it dies. The volume of a node that somebody sees up must never go.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import OFF, OPEN, FakeCassandra, FakeSession, Member
from unit.plugins.module_utils.fake_kube import RACK, Disk, FakeKube, Object, copied, one_at_a_time

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import (
    ExecResult,
    Forbidden,
    Unreachable,
    WorkerUnreachable,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.failures import (
    HOSTNAME,
    MARKS,
    NO_NOTE,
    PROVISIONER,
    READ_MISSED,
    SELECTED,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.replacing import TAKE_AS_SEED

ZONE = "topology.kubernetes.io/zone"
STREAMED_BYTES = 4000
NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"
RACKS = {f"r{number}": zone for number, zone in enumerate("abc", 1)}
WANTED: dict[str, Any] = {
    "cluster": "shop",
    "datacenter": "dc1",
    "version": "5.0.9",
    "racks": [{"name": rack, "zone": zone, "nodes": 2} for rack, zone in RACKS.items()],
    "storage": {"size": "1Gi"},
    "state": "present",
    "peers": [],
    "wait_timeout": 5,
    "create_namespace": False,
    "delete_volumes": False,
    "variable_prefix": "cassandra_",
}


class FailingCassandra(FakeCassandra):
    """A ring whose nodes can be repaired, removed and taken out of gossip."""

    kube: FailingKube

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.repaired: list[tuple[str, str]] = []
        self.cleaned: list[str] = []
        # Whether these repairs are on record.
        self.records = False
        self.settings = {"max_hint_window": "3h", "hinted_handoff_enabled": "true"}
        # What the living say for how long they miss a node, in milliseconds; None: they cannot tell.
        self.missed_for: int | None = 60_000
        # Nodes whose replacement sees its streams fail that often.
        self.failing_streams: dict[str, int] = {}
        # Node -> addresses that it was told to take as seeds: in its file; and in use.
        self.seeds_written: dict[str, set[str]] = {}
        self.seeds: dict[str, set[str]] = {}
        # Nodes that have been seen hibernating: nobody gossips with them but those whose seeds they are.
        self.hibernating: set[str] = set()

    @contextlib.contextmanager
    def connect(self, kube: Any, pod: str, *arguments: Any, **options: Any) -> Iterator[FakeSession]:
        with super().connect(kube, pod, *arguments, **options) as session:
            yield FailingSession(self, pod, session.username)

    def run_nodetool(
        self, kube: Any, pod: str, verbs: Sequence[Sequence[str]], timeout: float = 60.0, **options: Any
    ) -> list[nodetool.Result]:
        if verbs[0][0] != "sjk":
            return super().run_nodetool(kube, pod, verbs, timeout, **options)
        if self.missed_for is None:
            return [nodetool.Result(tuple(verbs[0]), 1, "", "error: no such command")]
        return [nodetool.Result(tuple(verbs[0]), 0, f"org.apache.cassandra.net:type=Gossiper\n{self.missed_for}\n", "")]

    def one_verb(self, kube: Any, pod: str, verb: Sequence[str]) -> Any:
        if verb[0] == "netstats" and pod in self.kube.joining:
            return {"mode": "JOINING", "sessions": self.kube.sessions(pod)}
        if list(verb) == ["reloadseeds"]:
            seeds = self.seeds_written.get(pod, set())
            return self.change(f"nodetool reloadseeds on {pod}", lambda: self.seeds.update({pod: seeds}))
        if verb[:2] == ["repair", "-full"]:
            return self.change(f"nodetool repair {verb[-1]} on {pod}", lambda: self.repair(pod, verb[-1]))
        if verb[0] == "cleanup":
            return self.change(f"nodetool cleanup on {pod}", lambda: self.cleaned.append(pod))
        if verb[0] == "assassinate":
            return self.change(f"nodetool assassinate {verb[1]}", lambda: self.forget("address", verb[1]))
        if list(verb) == ["removenode", "status"]:
            return None
        if verb[0] == "removenode":
            return self.change(f"nodetool removenode {verb[1]}", lambda: self.forget("host_id", verb[1]))
        return super().one_verb(kube, pod, verb)

    def repair(self, pod: str, keyspace: str) -> None:
        """Of all ranges of a node."""
        self.repaired.append((pod, keyspace))
        if self.records:
            for name in self.members:
                self.compare(name, keyspace, self.kube)

    def keep_records(self) -> None:
        """Of repairs from now on; of keyspaces that have tables."""
        self.records = True
        self.tables.append(("shop", 864000))

    def forget(self, key: str, value: str) -> None:
        for name, member in list(self.members.items()):
            if getattr(member, key) == value:
                del self.members[name]
                self.down.discard(name)


class FailingSession(FakeSession):
    ring: FailingCassandra

    def execute(self, statement: str, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        asked = re.fullmatch(r"SELECT value FROM system_views\.settings WHERE name = '(\w+)'", statement)
        if asked and asked[1] != "storage_compatibility_mode":
            told = self.ring.settings.get(asked[1])
            return [] if told is None else [{"value": told}]
        return super().execute(statement, *arguments, **options)


class FailingKube(FakeKube):
    """One namespace, and the workers under it."""

    ring: FailingCassandra

    def __init__(self, ring: FailingCassandra, workers: Mapping[str, str], local: bool = True, **options: Any) -> None:
        """:param workers: name -> zone. :param local: volumes stay on their workers."""
        self.local = local
        self.off: set[str] = set()
        self.unplaced: set[str] = set()
        self.last_words: dict[str, str] = {}
        # Looks that a new node streams for; node -> looks left.
        self.streams_for = 2
        self.joining: dict[str, int] = {}
        self.half_way: set[str] = set()
        self.missed: dict[str, str] = {}
        # (pod, when, line) of logs; those of the container before this one have True as well.
        self.logged: list[tuple[str, float, str, bool]] = []
        # Pods whose container was started again.
        self.restarted: set[str] = set()
        # Pods whose note cannot be read just now.
        self.unreadable: set[str] = set()
        # Workers and volumes belong to the cluster; a namespaced Role may not read them.
        self.may_read_cluster = True
        self.left: dict[str, Disk] = {}
        # Since 1.26 a StatefulSet makes the claim again that its waiting pod lacks.
        self.makes_claims = True
        super().__init__(ring, zones=(), **options)
        ring.kube = self
        for name, zone in workers.items():
            self.put({"kind": "Node", **worker(name, zone)})

    # What happens to workers and volumes.

    def kill_worker(self, name: str) -> None:
        """It loses power."""
        self.off.add(name)
        for pod in self.pods_on(name):
            self.end(pod)

    def delete_worker(self, name: str) -> None:
        """Somebody deletes it from Kubernetes, which takes its pods with it."""
        self.objects.pop(("Node", name))
        for pod in self.pods_on(name):
            self.remove_pod(pod)

    def revive_worker(self, name: str) -> None:
        self.off.discard(name)
        for pod in self.pods_on(name):
            if "deletionTimestamp" in self.one("Pod", pod)["metadata"]:
                self.remove_pod(pod)
            else:
                self.starting[pod] = self.slow

    def evict(self, pod: str) -> None:
        """Kubernetes gives up on a worker that is away: the pod is to go, and only its kubelet could end it."""
        self.one("Pod", pod)["metadata"]["deletionTimestamp"] = self.now()

    def wipe(self, pod: str) -> None:
        """Its volume is empty, and its pod is another one."""
        self.disks.pop(f"data-{pod}")
        self.remove_pod(pod)

    def die_half_way(self, pod: str) -> None:
        """The new node's process dies while it streams; its container starts again in the same pod."""
        assert pod in self.joining
        del self.joining[pod]
        self.starting[pod] = self.slow

    def pods_on(self, worker: str) -> list[str]:
        return [name for kind, name in [*self.objects] if kind == "Pod" and self.worker_of(name) == worker]

    def worker_of(self, pod: str) -> str | None:
        name: str | None = self.one("Pod", pod)["spec"].get("nodeName")
        return name

    def end(self, pod: str) -> None:
        """Its process is gone; the pod is there."""
        self.starting.pop(pod, None)
        self.held.pop(pod, None)
        self.joining.pop(pod, None)
        if pod in self.ring.members:
            self.ring.doors[pod] = OFF
            self.ring.down.add(pod)

    def now(self) -> str:
        return datetime.fromtimestamp(self.clock, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    # The client's interface.

    @one_at_a_time
    def get(self, kind: str, name: str) -> Object | None:
        if kind in ("Node", "PersistentVolume") and not self.may_read_cluster:
            raise Forbidden(f"{kind} {name}: these credentials may not get it", 403)
        return super().get(kind, name)

    @one_at_a_time
    def list(self, kind: str, labels: Mapping[str, str] | None = None, *, fields: str | None = None) -> list[Object]:
        if kind in ("Node", "PersistentVolume") and not self.may_read_cluster:
            raise Forbidden(f"{kind}: these credentials may not list them", 403)
        return super().list(kind, labels, fields=fields)

    @one_at_a_time
    def delete(
        self, kind: str, name: str, uid: str, *, propagation: str | None = None, grace: int | None = None
    ) -> bool:
        item = self.objects.get((kind, name))
        if kind not in ("Pod", "PersistentVolumeClaim") or item is None or item["metadata"]["uid"] != uid:
            return super().delete(kind, name, uid, propagation=propagation)
        self.before_write(f"delete {kind} {name}")
        if kind == "PersistentVolumeClaim":
            assert name.removeprefix("data-") in self.ring.down, f"{name} belongs to a node that is up"
            item["metadata"]["deletionTimestamp"] = self.now()
            self.release_claim(name)
        elif self.worker_of(name) in self.off and grace != 0:
            item["metadata"]["deletionTimestamp"] = self.now()
        else:
            self.remove_pod(name)
        self.changed()
        return True

    @one_at_a_time
    def exec(self, pod: str, argv: Sequence[str], timeout: float = 60.0) -> ExecResult:
        self.alive()
        if ("Pod", pod) in self.objects and self.worker_of(pod) in self.off:
            raise WorkerUnreachable(f"the worker of {pod} cannot be reached", 502)
        if argv[-1] == READ_MISSED:
            if pod in self.unreadable:
                raise Unreachable(f"exec in {pod} failed: the connection was reset")
            return ExecResult(0, f"{self.missed.get(pod, NO_NOTE)}\n", "")
        if list(argv) == ["rm", "-f", f"{MARKS}/missed"]:
            self.before_write(f"forget what {pod} missed")
            self.missed.pop(pod, None)
            return ExecResult(0, "", "")
        if list(argv) == ["cat", f"{MARKS}/mark"]:
            mark = self.disks[f"data-{pod}"].mark
            identity, _space, number = mark.partition(" ")
            return ExecResult(0, f"{identity} shop dc1 r1 {pod} {number}".rstrip() + "\n", "")
        if list(argv) == ["test", "-e", f"{MARKS}/joined"]:
            return ExecResult(int(pod in self.half_way), "", "")
        if list(argv[:3]) == ["sh", "-c", TAKE_AS_SEED]:
            self.before_write(f"write {argv[4]} among the seeds of {pod}")
            self.ring.seeds_written.setdefault(pod, set()).add(argv[4])
            return ExecResult(0, "", "")
        return super().exec(pod, argv, timeout)

    def logs(self, pod: str, previous: bool = False, tail: int | None = None, *, since: float | None = None) -> str:
        if pod in self.last_words:
            return self.last_words[pod]
        lines = [
            line
            for name, when, line, before in self.logged
            if name == pod and before == previous and (since is None or when >= self.clock - since)
        ]
        if lines:
            return "\n".join(lines)
        if self.ring.failing_streams.get(pod):
            return "WARN Stream failed: a source died\nWARN Some data streaming failed. Use nodetool to resume."
        return super().logs(pod, previous, tail, since=since)

    # Volumes.

    def release_claim(self, name: str) -> None:
        """A claim that is to go goes when no pod on a worker uses it."""
        item = self.objects.get(("PersistentVolumeClaim", name))
        pod = name.removeprefix("data-")
        used = ("Pod", pod) in self.objects and self.worker_of(pod) is not None
        if item is None or used or "deletionTimestamp" not in item["metadata"]:
            return
        del self.objects["PersistentVolumeClaim", name]
        disk = self.disks.pop(name, None)
        volume = self.objects.get(("PersistentVolume", item["spec"].get("volumeName", "")))
        if volume is None:
            return
        if self.host_of(volume) in {*self.off, None} or ("Node", self.host_of(volume)) not in self.objects:
            # Nobody can clean it: it stays, with what is on it.
            volume["status"]["phase"] = "Released"
            if disk:
                self.left[volume["metadata"]["name"]] = disk
        else:
            del self.objects["PersistentVolume", volume["metadata"]["name"]]

    def host_of(self, volume: Object) -> str | None:
        name: str | None = volume["metadata"].get("host")
        return name

    # Pods.

    def remove_pod(self, pod: str) -> None:
        self.unplaced.discard(pod)
        self.joining.pop(pod, None)
        self.last_words.pop(pod, None)
        self.stop(pod)
        self.release_claim(f"data-{pod}")
        self.control(pod.rpartition("-")[0])

    def make_pod(self, pod: str, revision: str, stateful_set: Object) -> None:
        claim = self.objects.get(("PersistentVolumeClaim", f"data-{pod}"))
        if claim is not None and "deletionTimestamp" in claim["metadata"]:
            return
        super().make_pod(pod, revision, stateful_set)
        self.place(pod)

    def place(self, pod: str) -> None:
        """The scheduler."""
        item, claim = self.one("Pod", pod), self.objects.get(("PersistentVolumeClaim", f"data-{pod}"))
        if claim is None and self.makes_claims:
            claim = self.make_claim(pod)
        if claim is None:
            return
        volume = self.objects.get(("PersistentVolume", claim["spec"].get("volumeName", "")))
        bound = self.host_of(volume) if volume and self.local else None
        zone = item["spec"].get("nodeSelector", {}).get(ZONE)
        found = [name for name in self.names("Node") if self.fits(name, zone, pod) and bound in (None, name)]
        item["spec"].pop("nodeName", None)
        if not found:
            self.unplaced.add(pod)
            self.starting.pop(pod, None)
            return
        item["spec"]["nodeName"] = found[0]
        self.unplaced.discard(pod)
        self.starting[pod] = self.slow
        if volume is None:
            self.provision(claim, found[0])

    def make_claim(self, pod: str) -> Object:
        stateful_set = self.one("StatefulSet", pod.rpartition("-")[0])
        claim = copied(stateful_set["spec"]["volumeClaimTemplates"][0])
        claim["metadata"] = {"name": f"data-{pod}", "labels": dict(stateful_set["metadata"]["labels"])}
        return self.put({"kind": "PersistentVolumeClaim", **claim})

    def fits(self, name: str, zone: str | None, pod: str) -> bool:
        node = self.one("Node", name)
        free = not [other for other in self.pods_on(name) if other != pod]
        usable = name not in self.off and not node["spec"].get("unschedulable")
        return usable and free and zone in (None, node["metadata"]["labels"][ZONE])

    def provision(self, claim: Object, host: str) -> None:
        name = f"pv-{claim['metadata']['uid']}"
        affinity = {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [host]}]}
        spec: Object = {"claimRef": {"uid": claim["metadata"]["uid"]}}
        if self.local:
            spec.update(local={"path": "/x"}, nodeAffinity={"required": {"nodeSelectorTerms": [affinity]}})
        metadata = {"name": name, "host": host}
        self.put({"kind": "PersistentVolume", "metadata": metadata, "spec": spec, "status": {"phase": "Bound"}})
        claim["spec"]["volumeName"] = name
        made_by = f"cassops.sandbox/{'local-path' if self.local else 'disks'}"
        claim["metadata"].setdefault("annotations", {}).update({SELECTED: host, **dict.fromkeys(PROVISIONER, made_by)})

    def kubelet(self) -> None:
        for pod in [*self.unplaced]:
            self.place(pod)
        super().kubelet()
        for pod in [*self.joining]:
            self.joining[pod] -= 1
            if self.joining[pod] < 0 and not self.ring.failing_streams.get(pod):
                self.joined(pod)

    # start.sh

    def start(self, pod: str) -> None:
        if pod in self.last_words:
            return
        ledger, disk = self.ledger(), self.disks.get(f"data-{pod}")
        mark = mark_of(ledger, pod)
        joins = disk is None and ledger.host_id(pod) is None and ledger.phase != "new"
        if joins and pod in self.ring.members:
            self.disks[f"data-{pod}"] = Disk(mark, "host-new")
            self.last_words[pod] = "A node with address /x already exists, cancelling join. Use replace_address"
        elif ledger.phase == "new" or joins:
            super().start(pod)
        elif disk is None and pod in ledger.replace:
            self.begin_replacement(pod, ledger, mark)
        elif disk is None:
            self.held[pod] = (
                f"this node belongs to the datacenter (host id {ledger.host_id(pod)}) but its volume is empty"
            )
        elif disk.mark != mark:
            self.held[pod] = f"the volume belongs to another node: its mark is '{disk.mark}', this node is '{mark}'"
        elif pod in self.half_way:
            self.held[pod] = "its replacement died half-way, and no node may go on over partial data"
        else:
            self.joined(pod)

    def begin_replacement(self, pod: str, ledger: Ledger, mark: str) -> None:
        dead = next(member for member in self.ring.members.values() if member.address == ledger.replace[pod])
        assert not any(self.ring.sees(other, name) for other in self.ring.members for name in [self.name_of(dead)])
        self.disks[f"data-{pod}"] = Disk(mark, dead.host_id)
        self.half_way.add(pod)
        self.missed[pod] = "unknown"
        friends = [name for name, seeds in self.ring.seeds.items() if dead.address in seeds and name != pod]
        if pod in self.ring.hibernating and not friends:
            # "Unable to contact any seeds"; its container starts again.
            self.starting[pod] = self.slow
            return
        self.ring.hibernating.add(pod)
        self.joining[pod] = self.streams_for

    def name_of(self, member: Member) -> str:
        return next(name for name, one in self.ring.members.items() if one is member)

    def joined(self, pod: str) -> None:
        """It serves."""
        self.joining.pop(pod, None)
        self.ring.hibernating.discard(pod)
        self.half_way.discard(pod)
        item = self.one("Pod", pod)
        old = self.ring.members[pod]
        member = Member(
            old.address,
            item["metadata"]["labels"][RACK],
            self.disks[f"data-{pod}"].host_id,
            old.tokens,
            old.datacenter,
            version=item["metadata"]["labels"]["app.kubernetes.io/version"],
        )
        self.ring.join(pod, member, OPEN)
        self.ring.down.discard(pod)
        self.ring.drained.discard(pod)

    def sessions(self, pod: str) -> list[dict[str, Any]]:
        """Receiving, as nodetool netstats tells it; nothing once a source has failed."""
        failing = self.ring.failing_streams.get(pod, 0)
        if failing and self.joining[pod] < 0:
            return []
        done = STREAMED_BYTES - STREAMED_BYTES * max(self.joining[pod], 0) // (self.streams_for + 1)
        told = {"operation": "Bootstrap", "plan_id": "a", "peer": "x"}
        return [{**told, "receiving": {"bytes": STREAMED_BYTES, "bytes_done": done}}]

    # Status.

    def ready(self, pod: str) -> bool:
        return super().ready(pod) and pod not in self.unplaced and pod not in self.joining

    def revision_of(self, pod: str) -> str:
        return super().revision_of(pod) if ("Pod", pod) in self.objects else ""

    def seen(self, item: Object) -> Object:
        shown = super().seen(item)
        name = self.name(shown)
        if shown["kind"] == "Node":
            shown.setdefault("status", {})["conditions"] = [{"type": "Ready", "status": str(name not in self.off)}]
        if shown["kind"] != "Pod":
            return shown
        status = shown["status"]
        ready = status["conditions"][0]
        since = shown["metadata"]["creationTimestamp"]
        if name in self.unplaced:
            words = "0/4 nodes are available: 4 node(s) didn't match PersistentVolume's node affinity."
            status.update(phase="Pending", containerStatuses=[])
            status["conditions"].append({"type": "PodScheduled", "status": "False", "message": words})
        elif self.worker_of(name) in self.off:
            # As Kubernetes 1.34 was seen to do it: nothing else changes, and it gives no reason.
            ready.update(status="False", lastTransitionTime=since)
            status["conditions"].append({"type": "ContainersReady", "status": "True"})
        elif name in self.last_words:
            terminated = {"exitCode": 3, "reason": "Error"}
            container = {"name": "cassandra", "restartCount": 5, "lastState": {"terminated": terminated}}
            status["containerStatuses"] = [{**container, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
        else:
            for container in status["containerStatuses"]:
                container["restartCount"] = int(name in self.restarted)
                if "running" in container["state"]:
                    container["state"]["running"]["startedAt"] = since
        return shown


def mark_of(ledger: Ledger, pod: str) -> str:
    number = ledger.volume_number(pod)
    return f"{ledger.id} {number}" if number else ledger.id


def worker(name: str, zone: str) -> Object:
    return {
        "metadata": {"name": name, "labels": {ZONE: zone, HOSTNAME: name}},
        "spec": {},
        "status": {"allocatable": {"cpu": "8", "memory": "64Gi"}},
    }


def deployed(monkeypatch: pytest.MonkeyPatch, workers_a_zone: int, version: str = "5.0.9") -> FailingKube:
    """Six nodes in three racks that serve, with a keyspace of three replicas; the clients lead to them."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    ring = FailingCassandra(version=version)
    ring.install(monkeypatch)
    workers = {f"{zone}{number}": zone for zone in RACKS.values() for number in range(1, workers_a_zone + 1)}
    kube = FailingKube(ring, workers)
    datacenter.run({**WANTED, "version": version}, Context(connect=lambda params: cast(Kube, kube), holder="deploy"))
    ring.replication["shop"] = {"class": NTS, "dc1": "3"}
    # They have run for longer than anything of what follows takes.
    kube.clock += 100_000
    return kube
