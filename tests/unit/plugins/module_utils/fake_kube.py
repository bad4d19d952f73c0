# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A namespace of Kubernetes in memory, with the client's interface, and pods that act as start.sh makes them act.

What it is honest about, because the operations rely on it: UIDs and resource versions, addresses of Services, immutable
ConfigMaps and who owns their keys, dry runs, a StatefulSet's revisions and partition (a pod below the partition comes
back at the *current* revision, which follows the newest one only when every pod is ready), volumes that outlive pods,
and that a pod reads the ledger of the moment when it starts. Requests are counted; a test may end the run before any of
the writes.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import marshal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import wraps
from types import SimpleNamespace
from typing import Any, TypeVar

from unit.plugins.module_utils.fake_cassandra import LOOPBACK, OFF, OPEN, FakeCassandra, Member

from ansible_collections.cassops.kubernetes.plugins.module_utils.activity import LOOK_AT_VOLUME
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import (
    Conflict,
    ExecResult,
    Invalid,
    NotFound,
    Right,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger, from_config_map
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import HELD_FILE
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.doors import OPENED_FILE
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.outage import NOTE_MISSED
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.sstable_upgrade import LOOK_AT_FORMATS
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.unreadable import LOOK_AT_SCHEMA
from ansible_collections.cassops.kubernetes.plugins.module_utils.restore_scripts import ANSWERS

Object = dict[str, Any]
RACK = "cassops.kubernetes/rack"
Method = TypeVar("Method", bound=Callable[..., Any])


def one_at_a_time(method: Method) -> Method:
    """The operations ask from several threads."""

    @wraps(method)
    def locked(self: FakeKube, *arguments: Any, **options: Any) -> Any:
        with self.lock:
            return method(self, *arguments, **options)

    return locked  # type: ignore[return-value]


def template(item: Object) -> Any:
    return item["spec"].get("template") if item["kind"] == "StatefulSet" else None


def sent(item: Any) -> Any:
    """A copy of what somebody sends, which must be JSON."""
    return json.loads(json.dumps(item))


def copied(item: Any) -> Any:
    """A copy of what is stored: quicker than by :func:`sent`, where a quarter of the time of these tests went."""
    return marshal.loads(marshal.dumps(item))


def merge(item: Object, patch: Mapping[str, Any]) -> None:
    """A JSON merge patch."""
    for key, value in patch.items():
        if value is None:
            item.pop(key, None)
        elif isinstance(value, Mapping):
            merge(item.setdefault(key, {}), value)
        else:
            item[key] = sent(value)


class Killed(BaseException):
    """The run was killed here: nothing catches it."""


@dataclass
class Disk:
    """A volume: whose it is and the host id of the node that wrote it."""

    mark: str
    host_id: str


def in_mode(kube: FakeKube, pod: str, mode: str) -> None:
    """The pod has a configuration of its own, with this storage_compatibility_mode."""
    volume = next(item for item in kube.one("Pod", pod)["spec"]["volumes"] if item["name"] == "config")
    config_map = copied(kube.one("ConfigMap", volume["configMap"]["name"]))
    lines = config_map["data"]["cassandra.yaml"].splitlines()
    kept = [line for line in lines if not line.startswith("storage_compatibility_mode: ")]
    text = "\n".join([*kept, f'storage_compatibility_mode: "{mode}"'])
    config_map["data"] = {**config_map["data"], "cassandra.yaml": text}
    config_map["metadata"]["name"] = volume["configMap"]["name"] = f"{config_map['metadata']['name']}-{mode.lower()}"
    kube.put(config_map)


class FakeKube:
    """One namespace. Several may share a ring."""

    # Templates are written with "creationTimestamp: null", as Kubernetes up to 1.33 does.
    nulls = False

    def __init__(
        self,
        ring: FakeCassandra,
        namespace: str = "ns",
        zones: Sequence[str] = ("a", "b", "c"),
        subnet: str = "198.19.0",
    ) -> None:
        self.namespace = namespace
        self.server = SimpleNamespace(host="https://kubernetes.example")
        self.subnet = subnet
        self.ring = ring
        self.lock = threading.RLock()
        self.objects: dict[tuple[str, str], Object] = {}
        # Keys of C(data) that nobody else has written: those of them that an apply leaves out go.
        self.owned: dict[tuple[str, str], set[str]] = {}
        self.guards: list[Callable[[], None]] = []
        self.writes: list[str] = []
        self.dry_runs: list[str] = []
        # What changes objects as they come in.
        self.webhook: Callable[[Object], None] = lambda item: None
        self.missing_rights: list[Right] = []
        self.server_version = "v1.34.4"
        self.exists = True
        # Writes until the run is killed; None: never. Once it is killed, nothing answers until `revive`.
        self.lives: int | None = None
        self.dead = False
        self.clock = 1_800_000_000.0
        # What takes connections outside of the namespace, such as C(198.19.7.1/7000); pods that cannot ask; pods that
        # were to.
        self.answering: set[str] = set()
        self.dumb: set[str] = set()
        self.asked: list[str] = []
        # Looks at the pods that a container takes to start, and those that a pod takes to end.
        self.slow = 1
        self.slow_end = 0
        self.ending: dict[str, int] = {}
        # Seconds that a pod has to end.
        self.grace = 300
        self.disks: dict[str, Disk] = {}
        self.held: dict[str, str] = {}
        # When nodes served last, by the clock, of those that were away; and who was told to be repaired for it.
        self.served_last: dict[str, int] = {}
        self.to_repair: set[str] = set()
        # Pods that were stopped while they took requests, and how often each was made.
        self.cut_off: list[str] = []
        self.made: Counter[str] = Counter()
        # What containers crash of: words in the name of their configuration, or their image.
        self.deadly: set[str] = set()
        self.crashed: set[str] = set()
        self.starting: dict[str, int] = {}
        self.after_write: Callable[[], None] = lambda: None
        self.pod_addresses: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._addresses = itertools.count(1)
        for zone in zones:
            self.put(
                {
                    "kind": "Node",
                    "metadata": {"name": f"worker-{zone}", "labels": {"topology.kubernetes.io/zone": zone}},
                    "status": {"allocatable": {"cpu": "8", "memory": "64Gi"}},
                }
            )
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        self.put({"kind": "StorageClass", "metadata": {"name": "local", "annotations": default}})
        ring.before_change = self.before_write
        ring.after_change = self.changed

    # For tests.

    def put(self, item: Object) -> Object:
        """Store an object as somebody else would."""
        self.owned.pop((item["kind"], self.name(item)), None)
        return self.store(item)

    def store(self, item: Object) -> Object:
        metadata = item["metadata"]
        metadata.setdefault("uid", f"uid-{next(self._numbers)}")
        metadata.setdefault("generation", 1)
        metadata["resourceVersion"] = str(next(self._numbers))
        self.objects[item["kind"], metadata["name"]] = item
        return item

    def names(self, kind: str) -> list[str]:
        return sorted(name for found, name in self.objects if found == kind)

    def one(self, kind: str, name: str) -> Object:
        return self.objects[kind, name]

    def ledger(self, name: str = "shop-dc1-ledger") -> Ledger:
        return from_config_map(self.one("ConfigMap", name))

    def revive(self) -> None:
        """The run is dead and another begins, a while later: what is done stays done."""
        self.dead, self.lives = False, None
        self.clock += 120

    def before_write(self, what: str) -> None:
        self.alive()
        if self.lives is not None:
            if self.lives == 0:
                self.dead = True
                raise Killed(what)
            self.lives -= 1
        self.writes.append(what)

    def changed(self) -> None:
        self.after_write()

    def alive(self) -> None:
        if self.dead:
            raise Killed("it is dead already")

    # The client's interface.

    @one_at_a_time
    def get(self, kind: str, name: str) -> Object | None:
        self.alive()
        if kind == "Namespace":
            return {"metadata": {"name": name}} if self.exists else None
        item = self.objects.get((kind, name))
        return self.seen(item) if item else None

    @one_at_a_time
    def list(self, kind: str, labels: Mapping[str, str] | None = None, *, fields: str | None = None) -> list[Object]:
        self.alive()
        if kind == "Pod":
            self.kubelet()
        items = (item for (found, _name), item in sorted(self.objects.items()) if found == kind)
        if fields:
            path, _equals, name = fields.partition("=")
            assert path == "involvedObject.name"
            items = (item for item in items if item["involvedObject"]["name"] == name)
        return [
            self.seen(item)
            for item in items
            if (labels or {}).items() <= (item["metadata"].get("labels") or {}).items()
        ]

    @one_at_a_time
    def create(self, obj: Object) -> Object:
        self.before_write(f"create {obj['kind']} {obj['metadata']['name']}")
        if obj["kind"] == "Namespace":
            self.exists = True
            return obj
        self.need_namespace()
        assert obj["kind"] != "StatefulSet", "a pod template is applied, not made"
        if (obj["kind"], obj["metadata"]["name"]) in self.objects:
            raise Conflict(f"{obj['kind']} {obj['metadata']['name']} already exists", 409, "AlreadyExists")
        item = sent(obj)
        for key, value in item.pop("stringData", {}).items():
            item.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
        made = datetime.fromtimestamp(self.clock, timezone.utc)
        item["metadata"]["creationTimestamp"] = made.strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.done(item)

    @one_at_a_time
    def replace(self, obj: Object) -> Object:
        self.before_write(f"replace {obj['kind']} {obj['metadata']['name']}")
        stored = self.one(obj["kind"], obj["metadata"]["name"])
        if obj["metadata"].get("resourceVersion") != stored["metadata"]["resourceVersion"]:
            raise Conflict("it was changed in between", 409)
        return self.done(sent(obj))

    @one_at_a_time
    def patch(self, kind: str, name: str, patch: Any, type: str = "merge") -> Object:
        self.before_write(f"patch {kind} {name}")
        item = copied(self.one(kind, name))
        version = patch.get("metadata", {}).get("resourceVersion") if type == "merge" else None
        if version not in (None, item["metadata"]["resourceVersion"]):
            raise Conflict("it was changed in between", 409)
        if type == "merge":
            merge(item, patch)
        else:
            for step in patch:
                *path, last = [word.replace("~1", "/") for word in step["path"].split("/")[1:]]
                place = item
                for word in path:
                    place = place[word]
                assert step["op"] == "add" or last in place
                place[last] = sent(step["value"])
        if item.get("spec") != self.one(kind, name).get("spec"):
            # Deploy could never take away again what has another owner than what it applies.
            assert template(item) == template(self.one(kind, name)), "a pod template is applied, not patched"
            item["metadata"]["generation"] += 1
        return self.done(item)

    @one_at_a_time
    def apply(self, obj: Object, *, dry_run: bool = False) -> Object:
        what = f"apply {obj['kind']} {obj['metadata']['name']}"
        if dry_run:
            self.alive()
            self.dry_runs.append(what)
        else:
            self.before_write(what)
        self.need_namespace()
        item = self.merged(obj)
        if dry_run:
            return self.seen(item)
        key, data = (obj["kind"], self.name(obj)), obj.get("data") or {}
        before, owned = (self.objects.get(key) or {}).get("data") or {}, self.owned.get(key, set())
        self.owned[key] = {name for name in data if name in owned or before.get(name) != data[name]}
        return self.done(item)

    def merged(self, obj: Object) -> Object:
        """The object as the API server would store it."""
        item = sent(obj)
        old = self.objects.get((item["kind"], item["metadata"]["name"]))
        if old is not None:
            if old.get("immutable") and old["data"] != item["data"]:
                raise Invalid("data: Forbidden: field is immutable when `immutable` is set", 422)
            notes = {**old["metadata"].get("annotations", {}), **item["metadata"].get("annotations", {})}
            item["metadata"] = {**old["metadata"], **item["metadata"], **({"annotations": notes} if notes else {})}
            if "status" in old:
                item["status"] = copied(old["status"])
            if "data" in item and "data" in old:
                owned = self.owned.get((item["kind"], self.name(item)), set())
                kept = {name: value for name, value in old["data"].items() if name not in owned}
                item["data"] = {**kept, **item["data"]}
            self.webhook(item)
            if old.get("spec") != item.get("spec"):
                item["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        if item["kind"] == "Service":
            self.give_address(item, old)
        self.webhook(item)
        return item

    def give_address(self, item: Object, old: Object | None) -> None:
        spec = item["spec"]
        if spec.get("clusterIP") == "None":
            return
        if "clusterIP" not in spec:
            spec["clusterIP"] = old["spec"]["clusterIP"] if old else f"{self.subnet}.{next(self._addresses)}"
        others = (
            other for (kind, name), other in self.objects.items() if kind == "Service" and name != self.name(item)
        )
        if spec["clusterIP"] in [other["spec"].get("clusterIP") for other in others]:
            raise Invalid(f"spec.clusterIPs: Invalid value: {spec['clusterIP']}: provided IP is already allocated", 422)
        if old and old["spec"]["clusterIP"] != spec["clusterIP"]:
            raise Invalid("spec.clusterIPs[0]: Invalid value: may not change once set", 422)

    @one_at_a_time
    def delete(self, kind: str, name: str, uid: str, *, propagation: str | None = None) -> bool:
        assert uid
        self.before_write(f"delete {kind} {name}")
        item = self.objects.get((kind, name))
        if item is None or item["metadata"]["uid"] != uid:
            return False
        if kind == "Pod" and self.slow_end:
            self.end(name)
            return True
        del self.objects[kind, name]
        if kind == "StatefulSet":
            for pod in self.pods_of(name) if propagation != "Orphan" else ():
                self.stop(pod)
        elif kind == "Pod":
            self.stop(name)
            self.control(name.rpartition("-")[0])
        elif kind == "PersistentVolumeClaim":
            self.disks.pop(name, None)
        self.changed()
        return True

    def version(self) -> str:
        self.alive()
        return self.server_version

    def can(self, rights: Iterable[Right]) -> list[Right]:
        self.alive()
        return [right for right in rights if right in self.missing_rights]

    def server_time(self) -> float:
        return self.clock

    @one_at_a_time
    def exec(self, pod: str, argv: Sequence[str], timeout: float = 60.0) -> ExecResult:
        self.alive()
        if ("Pod", pod) not in self.objects:
            raise NotFound(f"pod {pod} not found", 404)
        if list(argv) == ["cat", HELD_FILE]:
            return ExecResult(0, self.held[pod], "") if pod in self.held else ExecResult(1, "", "no such file")
        if argv[-1] == LOOK_AT_VOLUME:
            return ExecResult(0, self.ring.busy[pod].volume(), "")
        if argv[0] == "stat" and pod in self.served_last:
            return ExecResult(0, f"{self.served_last[pod]}\n", "")
        if argv[-1] == NOTE_MISSED:
            self.before_write(f"note that {pod} has to be repaired")
            self.to_repair.add(pod)
            return ExecResult(0, "", "")
        if list(argv) == ["touch", OPENED_FILE]:
            self.before_write(f"open {pod}")
            assert self.ring.doors[pod] == LOOPBACK
            self.start(pod)
            return ExecResult(0, "", "")
        if argv[-1] == LOOK_AT_FORMATS:
            return ExecResult(0, f"      4 {self.ring.members[pod].sstables.partition('-')[2]}\n", "")
        if argv[2:3] == [ANSWERS]:
            self.asked.append(pod)
            found = [place for place in argv[4:] if place in self.answering]
            return ExecResult(1, "", "no bash") if pod in self.dumb else ExecResult(0, "\n".join(found), "")
        if argv[-1] == LOOK_AT_SCHEMA:
            return ExecResult(0, self.ring.schema_files.get(pod, ""), "")
        if argv[-1].startswith("sh /cassops/config/probe.sh"):
            return ExecResult(0, self.end_of_configuration(pod), "")
        raise AssertionError(f"the fake does not know the command {argv}")

    def logs(self, pod: str, previous: bool = False, tail: int | None = None, *, since: float | None = None) -> str:
        return "the last words"

    # Pods.

    def end_of_configuration(self, pod: str) -> str:
        return {
            OPEN: "",
            LOOPBACK: 'auto_bootstrap: false\nstart_native_transport: true\nrpc_address: "127.0.0.1"\n',
            OFF: 'auto_bootstrap: false\nstart_native_transport: false\nrpc_address: "0.0.0.0"\n',
        }[self.ring.doors.get(pod, OFF)]

    def pods_of(self, stateful_set: str) -> list[str]:
        return [name for kind, name in list(self.objects) if kind == "Pod" and name.rpartition("-")[0] == stateful_set]

    def stop(self, pod: str) -> None:
        self.objects.pop(("Pod", pod), None)
        self.held.pop(pod, None)
        self.starting.pop(pod, None)
        self.crashed.discard(pod)
        if pod in self.ring.members:
            if self.ring.doors[pod] == OPEN and pod not in self.ring.down:
                self.cut_off.append(pod)
            self.ring.doors[pod] = OFF
            self.ring.down.add(pod)

    def end(self, pod: str) -> None:
        """Its preStop hook closes CQL, and it drains; then it is gone."""
        if pod in self.ending:
            return
        self.ending[pod] = self.slow_end
        gone_by = datetime.fromtimestamp(self.clock + self.grace, timezone.utc)
        self.one("Pod", pod)["metadata"]["deletionTimestamp"] = gone_by.strftime("%Y-%m-%dT%H:%M:%SZ")
        if pod in self.ring.members:
            self.ring.doors[pod] = OFF
            self.ring.down.add(pod)
        self.changed()

    def kubelet(self) -> None:
        """Time passes: containers start, held nodes look at the ledger again, controllers act."""
        self.clock += 1
        for pod in [*self.ending]:
            self.ending[pod] -= 1
            if self.ending[pod] <= 0:
                del self.ending[pod]
                self.stop(pod)
        for pod in [*self.starting]:
            self.starting[pod] -= 1
            if self.starting[pod] <= 0:
                del self.starting[pod]
                self.start(pod)
        for pod in [*self.held]:
            del self.held[pod]
            self.start(pod)
        for name in self.names("StatefulSet"):
            self.control(name)
        self.changed()

    def start(self, pod: str) -> None:
        """start.sh, in short."""
        item = self.one("Pod", pod)
        if any(word in json.dumps(item["spec"]) for word in self.deadly):
            self.crashed.add(pod)
            return
        labels = item["metadata"]["labels"]
        prefix = f"{labels['cassops.kubernetes/cluster']}-{labels['cassops.kubernetes/datacenter']}"
        ledger = self.ledger(f"{prefix}-ledger")
        disk = self.disks.get(f"data-{pod}")
        environment = {each["name"]: each.get("value") for each in item["spec"]["containers"][0]["env"]}
        by_pod = environment["CASSOPS_ADDRESS"] == "pod"
        address = self.pod_addresses[pod] if by_pod else ledger.address(pod)
        if address is None:
            self.held[pod] = "the ledger has no address for this node yet"
        elif disk and disk.mark != ledger.id:
            self.held[pod] = "the volume belongs to another node"
        elif self.down_for(pod, ledger) > ledger.gc_grace_seconds:
            self.held[pod] = (
                f"the node served last long ago, longer than gc_grace_seconds ({ledger.gc_grace_seconds}) ago"
            )
        elif disk is None and ledger.phase != "new" and ledger.host_id(pod):
            self.held[pod] = "this node belongs to the datacenter but its volume is empty"
        else:
            disk = self.disks.setdefault(f"data-{pod}", Disk(ledger.id, f"host-{next(self._numbers)}"))
            door = OPEN if ledger.phase != "new" else LOOPBACK if ledger.first == pod else OFF
            dc = labels["cassops.kubernetes/datacenter"]
            version = labels["app.kubernetes.io/version"]
            member = Member(address, labels[RACK], disk.host_id, ledger.tokens[pod], dc, version=version)
            old = self.ring.members.get(pod)
            if old is not None:
                member.sstables = old.sstables
            self.ring.join(pod, member, door)
            self.ring.down.discard(pod)
            self.ring.drained.discard(pod)

    def down_for(self, pod: str, ledger: Ledger) -> int:
        """As start.sh counts it, with a pause of the whole cluster taken out."""
        last = self.served_last.get(pod, int(self.clock))
        begin, end = ledger.pause or (0, 0)
        counted = last + 120 >= begin
        return int(self.clock) - last - (max(0, end - max(begin, last)) if counted else 0)

    # The StatefulSet controller.

    def control(self, name: str) -> None:
        item = self.objects.get(("StatefulSet", name))
        if item is None:
            return
        template, status = item["spec"]["template"], item.setdefault("status", {})
        newest = self.revision(name, template, item["metadata"]["labels"])
        status.setdefault("currentRevision", newest)
        status.update(updateRevision=newest, observedGeneration=item["metadata"]["generation"])
        partition = item["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
        pods = [f"{name}-{ordinal}" for ordinal in range(item["spec"]["replicas"])]
        for pod in self.pods_of(name):
            if pod not in pods:
                self.stop(pod)
        for ordinal, pod in enumerate(pods):
            if ("Pod", pod) not in self.objects:
                self.make_pod(pod, status["currentRevision"] if ordinal < partition else newest, item)
        if all(self.revision_of(pod) == newest and self.ready(pod) for pod in pods):
            status["currentRevision"] = newest
        for pod in reversed(pods[partition:]):
            if self.revision_of(pod) != newest and self.slow_end:
                self.end(pod)
                break
            if self.revision_of(pod) != newest:
                self.stop(pod)
                self.make_pod(pod, newest, item)
                break
            if not self.ready(pod):
                break

    def revision(self, name: str, template: Object, labels: Mapping[str, str]) -> str:
        template = self.written(template)
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        revision = f"{name}-{digest}"
        if ("ControllerRevision", revision) not in self.objects:
            data = {"spec": {"template": {**copied(template), "$patch": "replace"}}}
            metadata = {"name": revision, "labels": dict(labels)}
            self.put({"kind": "ControllerRevision", "metadata": metadata, "data": data, "revision": 0})
        item = self.one("ControllerRevision", revision)
        others = [other for (kind, _name), other in self.objects.items() if kind == "ControllerRevision"]
        mine = [other for other in others if other["metadata"]["name"].rpartition("-")[0] == name and other is not item]
        # An old revision that is wanted again gets a new number.
        if not item["revision"] or any(other["revision"] > item["revision"] for other in mine):
            item["revision"] = 1 + max((other["revision"] for other in mine), default=0)
        return revision

    def written(self, template: Object) -> Object:
        metadata = {**template["metadata"], "creationTimestamp": None} if self.nulls else template["metadata"]
        return {**template, "metadata": metadata}

    def make_pod(self, pod: str, revision: str, stateful_set: Object) -> None:
        template = copied(self.one("ControllerRevision", revision)["data"]["spec"]["template"])
        rack = stateful_set["metadata"]["labels"]
        if ("PersistentVolumeClaim", f"data-{pod}") not in self.objects:
            claim = copied(stateful_set["spec"]["volumeClaimTemplates"][0])
            claim["metadata"] = {"name": f"data-{pod}", "labels": dict(rack)}
            self.put({"kind": "PersistentVolumeClaim", **claim})
        template["metadata"]["name"] = pod
        template["metadata"]["labels"]["controller-revision-hash"] = revision
        template.pop("$patch")
        made = datetime.fromtimestamp(self.clock, timezone.utc)
        template["metadata"]["creationTimestamp"] = made.strftime("%Y-%m-%dT%H:%M:%SZ")
        template["spec"]["nodeName"] = "worker"
        self.put({"kind": "Pod", **template})
        self.made[pod] += 1
        self.pod_addresses[pod] = f"198.18.1.{next(self._numbers) % 250}"
        self.starting[pod] = self.slow

    def revision_of(self, pod: str) -> str:
        return str(self.one("Pod", pod)["metadata"]["labels"]["controller-revision-hash"])

    def ready(self, pod: str) -> bool:
        return pod not in self.starting and pod not in self.crashed and self.ring.doors.get(pod) == OPEN

    # Small things.

    def name(self, item: Object) -> str:
        return str(item["metadata"]["name"])

    def need_namespace(self) -> None:
        if not self.exists:
            raise NotFound(f'namespaces "{self.namespace}" not found', 404)

    def done(self, item: Object) -> Object:
        self.store(item)
        if item["kind"] == "StatefulSet":
            self.control(self.name(item))
        self.changed()
        return self.seen(item)

    def seen(self, item: Object) -> Object:
        """A copy; a pod's with the status of the moment."""
        shown = copied(item)
        if shown["kind"] == "StatefulSet":
            shown["spec"]["template"] = self.written(shown["spec"]["template"])
        if shown["kind"] == "Pod":
            name = self.name(shown)
            running = name not in self.starting
            crash = {"exitCode": 3, "reason": "Error"}
            state = {"running": {"startedAt": shown["metadata"]["creationTimestamp"]}} if running else {"waiting": {}}
            container: Object = {"name": "cassandra", "restartCount": 0, "state": state}
            if name in self.crashed:
                container.update(
                    restartCount=3, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": crash}
                )
            shown["status"] = {
                "phase": "Running" if running else "Pending",
                "podIP": self.pod_addresses[name],
                "conditions": [{"type": "Ready", "status": str(self.ready(name))}],
                "containerStatuses": [container],
            }
        return shown
