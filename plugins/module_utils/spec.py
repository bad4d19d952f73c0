# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired datacenter: what the inventory says, checked, with defaults filled in. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from . import configuration, pod_template, quantity, upgrade
from .errors import SpecError

DEFAULT_NUM_TOKENS = 16
"""Cassandra's own default since 4.0."""

DEFAULT_CPU = "2"
"""CPU that a node asks for. It has no CPU limit: throttling in the middle of a request costs more than it protects."""
DEFAULT_MEMORY = "8Gi"
"""Memory that a node asks for and is limited to: both the same, so that the kernel never kills it for a neighbour."""
MAX_DEFAULT_HEAP = 16 * quantity.GIB
"""The default heap is half of the memory up to this; the rest serves off-heap memtables and the page cache."""
MIN_HEAP = 256 * quantity.MIB
"""With less, Cassandra spends its time in garbage collection, or does not start at all."""
MIN_HEADROOM = 512 * quantity.MIB
"""Memory that Cassandra needs beside its heap at the least: code, threads, direct buffers, off-heap structures."""

MAX_STATEFUL_SET_NAME = 52
"""Kubernetes labels a StatefulSet's pods with `<its name>-<10 characters>`, and a label has at most 63."""
MAX_NAME = 63
MAX_CRON_JOB_NAME = 52
"""Kubernetes names a CronJob's Jobs `<its name>-<10 digits>`."""

BACKUP_IMAGE = "docker.io/restic/restic:0.18.1"
BACKUP_BANDWIDTH = "50Mi"
"""Bytes per second of one node's upload: a disk and a network of today hardly notice it."""
KEEP = {"last": 7, "daily": 0, "weekly": 0, "monthly": 0}
SCHEDULE_ACCOUNT = "cassops"
"""The ServiceAccount of extensions/kubernetes/rbac.yml."""
SCHEDULE_MEMORY = "512Mi"
SCHEDULE_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "backup": ("backup_", "verify_backup_", "purge_backups_"),
    "repair": ("repair_",),
}
"""By what is done by the clock: how the names of options begin that its run may be given, those of its playbooks."""
POINT_IN_TIME_DAYS = 7
"""Most mistakes are noticed within a week; each day is some 1,400 pieces of commit log a node."""
SCHEDULES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
"""What Kubernetes takes for a schedule beside the five fields of cron."""
REPOSITORIES = ("s3:", "azure:", "gs:", "b2:", "swift:", "rest:", "/")
"""How restic's repositories begin that a container without a shell login, keys and a home can reach."""
SUPPORTED = ((4, 0), (4, 1), (5, 0))
ADDRESSES = ("service", "pod")


def schedule_name(cluster: str, datacenter: str, work: str) -> str:
    """Name of the CronJob that does something (C(backup), C(repair)) with the datacenter."""
    return f"{cluster}-{datacenter}-{work}"


@dataclass(frozen=True)
class Rack:
    """One rack = one StatefulSet.

    :param name: DNS-1123 label, unique in the datacenter.
    :param zone: value of the worker label topology.kubernetes.io/zone that the rack is pinned to; None = anywhere.
    :param nodes: how many Cassandra nodes, at least 1.
    """

    name: str
    zone: str | None
    nodes: int


@dataclass(frozen=True)
class PlannedNode:
    """A node that should exist: its pod's name, its rack's name and its ordinal in the rack (from 0)."""

    pod: str
    rack: str
    ordinal: int


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """What may be done by the clock.

    :param schedule: when a CronJob does it, as Kubernetes takes it, in UTC; empty is never.
    :param schedule_image: of the execution environment that it runs the playbooks in.
    :param schedule_account: the ServiceAccount that it runs them with.
    :param schedule_memory: that they may use at most, a canonical quantity.
    :param schedule_variables: options of these playbooks.
    :param schedule_pod_template: the user's additions to the pods that run them.
    """

    schedule: str = ""
    schedule_image: str = ""
    schedule_account: str = SCHEDULE_ACCOUNT
    schedule_memory: str = SCHEDULE_MEMORY
    schedule_variables: Mapping[str, Any] = field(default_factory=dict)
    schedule_pod_template: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RepairPlan(Scheduled):
    """When a CronJob repairs the datacenter."""


@dataclass(frozen=True)
class BackupPlan(Scheduled):
    """Where the backups of a datacenter go, and how.

    :param repository: what the repositories' addresses begin with, as restic takes it.
    :param credentials_secret: Secret whose keys are restic's environment variables for the store; empty is none.
    :param password_secret: Secret whose key C(password) encrypts the repositories.
    :param keep: how many last, daily, weekly and monthly backups are kept; 0 is none.
    :param bandwidth: bytes per second that a node uploads with at most; 0 is no limit.
    :param exclude_keyspaces: keyspaces that are left out.
    :param image: of the container that has restic.
    :param point_in_time: the commit log is stored too, so that moments between two backups can be restored.
    :param point_in_time_days: how many days back moments reach; a purge removes the commit logs that none needs.
    """

    repository: str
    password_secret: str
    credentials_secret: str = ""
    keep: Mapping[str, int] = field(default_factory=lambda: dict(KEEP))
    bandwidth: int = 0
    exclude_keyspaces: tuple[str, ...] = ()
    image: str = BACKUP_IMAGE
    point_in_time: bool = False
    point_in_time_days: int = POINT_IN_TIME_DAYS


@dataclass(frozen=True)
class Datacenter:
    """The desired datacenter.

    :param cluster: name of the Cassandra cluster, a DNS-1123 label.
    :param name: name of the datacenter, a DNS-1123 label.
    :param version: full Cassandra version, such as `5.0.9`.
    :param image: container image.
    :param racks: at least one.
    :param storage_class: StorageClass, or None for the cluster's default.
    :param storage_size: Kubernetes quantity of each node's volume, canonical.
    :param resources: `{requests: {cpu, memory}, limits: {...}}` with canonical quantities.
    :param heap: size of Java's heap as the JVM writes it, such as `4096M`.
    :param config: cassandra.yaml keys of the user, checked against the version.
    :param jvm_options: extra flags for the JVM.
    :param superuser_secret: name of the Secret with the keys username and password.
    :param pod_template: the user's additions to the pods, checked against the allowed subset.
    :param address: `service` (a node's address is its Service) or `pod` (it is the pod's own).
    :param self_replace: a known node whose volume is empty may replace itself unasked.
    :param allow_shared_workers: two nodes of the datacenter may run on one worker.
    :param workers_on_demand: Kubernetes adds workers for pods that wait, so those that are there need not suffice.
    :param tokens: by pod, the tokens of the first start, where they are given; else they are planned.
    :param backup: where its backups go; None is nowhere, and its pods have no container for them.
    :param repair: when it is repaired by the clock; None is never.
    """

    cluster: str
    name: str
    version: str
    image: str
    racks: tuple[Rack, ...]
    storage_class: str | None
    storage_size: str
    resources: Mapping[str, Mapping[str, str]]
    heap: str
    config: Mapping[str, Any] = field(default_factory=dict)
    jvm_options: tuple[str, ...] = ()
    superuser_secret: str = ""
    pod_template: Mapping[str, Any] = field(default_factory=dict)
    address: str = "service"
    self_replace: bool = False
    allow_shared_workers: bool = False
    workers_on_demand: bool = False
    backup: BackupPlan | None = None
    repair: RepairPlan | None = None
    tokens: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """`<cluster>-<datacenter>`, the beginning of every object's name."""
        return f"{self.cluster}-{self.name}"

    @property
    def release(self) -> tuple[int, int, int]:
        """The version as numbers, such as (5, 0, 9)."""
        return _release(self.version)

    @property
    def num_tokens(self) -> int:
        """Tokens of a node (cassandra.yaml's num_tokens), 16 unless configured."""
        return int(self.config.get("num_tokens", DEFAULT_NUM_TOKENS))

    @property
    def scheduled(self) -> dict[str, Scheduled]:
        """What is done by the clock."""
        plans: Mapping[str, Scheduled | None] = {"backup": self.backup, "repair": self.repair}
        return {work: plan for work, plan in plans.items() if plan is not None and plan.schedule}

    def rack_name(self, rack: Rack) -> str:
        """Name of the rack's StatefulSet."""
        return f"{self.prefix}-{rack.name}"

    def nodes(self) -> tuple[PlannedNode, ...]:
        """Every node that should exist, rack by rack in the order given, then by ordinal."""
        return tuple(
            PlannedNode(f"{self.rack_name(rack)}-{ordinal}", rack.name, ordinal)
            for rack in self.racks
            for ordinal in range(rack.nodes)
        )


@dataclass(frozen=True)
class Living:
    """What a living datacenter is, as its Kubernetes objects tell.

    :param cluster: name of the cluster.
    :param racks: by rack name: (zone or None, number of nodes).
    :param storage_size: quantity that the volumes were claimed with.
    :param storage_class: class of the claims, or None when the cluster's default was used.
    :param num_tokens: tokens of a node; 0 = not known.
    :param version: Cassandra version; empty = not known.
    :param storage_mode: the furthest storage_compatibility_mode that any of its nodes runs with; None = not known.
    :param address: whose address its nodes have, C(service) or C(pod); empty = not known.
    """

    cluster: str
    racks: Mapping[str, tuple[str | None, int]]
    storage_size: str
    storage_class: str | None
    num_tokens: int
    version: str
    storage_mode: str | None = None
    address: str = ""


def from_json(value: Any) -> Any:
    """A list or mapping that is written as JSON in a string, as surveys give it; anything else as it is.

    :raises ValueError: it looks like JSON and cannot be read.
    """
    return json.loads(value) if isinstance(value, str) and value.strip()[:1] in ("[", "{") else value


def parse(values: Mapping[str, Any], prefix: str = "") -> Datacenter:
    """Check the values and fill in the defaults.

    Values may be strings where they come from a survey or from `-e`: "3" is 3, "true" is true, and a list or mapping
    may be written as JSON.

    :param values: the inventory variables without their prefix; other keys than ours are ignored.
    :param prefix: put before each path in the errors; `cassandra_` when a role calls.
    :raises SpecError: with every error found, each `<path>: <what is wrong, what was got, what to do>`.
    """
    return _Parser(values, prefix).datacenter()


def parse_backup(values: Any, prefix: str = "") -> BackupPlan:
    """Check C(cassandra_backup) alone, for what is done to backups. Raises as L(parse) does."""
    parser = _Parser({"backup": values}, prefix)
    plan = parser.backup_plan()
    parser.end()
    if plan is None:
        raise SpecError([f"{prefix}backup: is not set; say where the backups are (docs/operations/backup.md)"])
    return plan


def parse_bandwidth(option: str, value: Any, prefix: str = "") -> int:
    """Check an option that is a number of bytes per second; 0 is no limit, and the default. Raises as L(parse) does."""
    parser = _Parser({}, prefix)
    amount = parser.bandwidth(option, value, "0")
    parser.end()
    return amount


class _Parser:
    """Walks through the values once and collects every fault; a faulty value is replaced by a harmless one."""

    def __init__(self, values: Mapping[str, Any], prefix: str) -> None:
        self._values = values
        self._prefix = prefix
        self._errors: list[str] = []

    def datacenter(self) -> Datacenter:
        cluster = self._label("cluster", starts_with_letter=True)
        name = self._label("datacenter")
        racks = self._racks()
        self._lengths(cluster, name, racks)
        version, release = self._version()
        storage = self._mapping("storage", ("class", "size"))
        resources = self._resources()
        parsed = Datacenter(
            cluster=cluster,
            name=name,
            version=version,
            image=self._image(version),
            racks=racks,
            storage_class=str(storage["class"]) if storage.get("class") else None,
            storage_size=self._storage_size(storage),
            resources=resources,
            heap=self._heap(resources),
            config=self._config(release),
            jvm_options=self._jvm_options(),
            superuser_secret=self._secret(cluster),
            pod_template=self._template("pod_template", self._values.get("pod_template")),
            address=self._address(),
            self_replace=self._flag("self_replace"),
            allow_shared_workers=self._flag("allow_shared_workers"),
            workers_on_demand=self._flag("workers_on_demand"),
            backup=self.backup_plan(),
            repair=self.repair_plan(),
        )
        parsed = replace(parsed, tokens=self._tokens(parsed))
        self.end()
        return parsed

    def _tokens(self, parsed: Datacenter) -> dict[str, tuple[int, ...]]:
        """For every node or for none: so many as num_tokens, and each once."""
        given = {
            str(node): values for node, values in self._structure("tokens", self._values.get("tokens"), dict).items()
        }
        if not given:
            return {}
        nodes = {f"{node.rack}-{node.ordinal}": node.pod for node in parsed.nodes()}
        for name in sorted(set(nodes) ^ set(given)):
            told = f"has {'no' if name in nodes else 'a'} node {name}; the nodes are {', '.join(nodes)}"
            self._fault("tokens", f"{told}. Once the datacenter runs they count no more: take them out then")
        found = {node: self._tokens_of(f"tokens.{node}", values, parsed) for node, values in given.items()}
        every = [token for values in found.values() for token in values]
        if len(set(every)) < len(every):
            self._fault("tokens", "has a token twice")
        return {nodes[name]: values for name, values in found.items() if name in nodes}

    def _tokens_of(self, path: str, values: Any, parsed: Datacenter) -> tuple[int, ...]:
        listed = self._structure(path, values, list)
        try:
            tokens = tuple(sorted(int(value) for value in listed))
        except (TypeError, ValueError):
            self._fault(path, f"must be whole numbers, got {listed!r}")
            return ()
        wanted = parsed.config.get("num_tokens", DEFAULT_NUM_TOKENS)
        if isinstance(wanted, int) and len(tokens) != wanted:
            self._fault(path, f"has {len(tokens)} tokens, and config.num_tokens is {wanted}")
        return tokens

    def end(self) -> None:
        """Raise what was found."""
        if self._errors:
            raise SpecError(self._errors)

    def backup_plan(self) -> BackupPlan | None:
        given = self._mapping("backup", [item.name for item in fields(BackupPlan)])
        if not given:
            return None
        before = len(self._errors)
        plan = BackupPlan(
            repository=self._repository(given),
            password_secret=self._secret_name("backup.password_secret", given.get("password_secret"), True),
            credentials_secret=self._secret_name("backup.credentials_secret", given.get("credentials_secret"), False),
            keep=self._keep(given),
            bandwidth=self.bandwidth("backup.bandwidth", given.get("bandwidth"), BACKUP_BANDWIDTH),
            exclude_keyspaces=self._keyspaces("backup.exclude_keyspaces", given.get("exclude_keyspaces")),
            image=str(given.get("image") or BACKUP_IMAGE),
            point_in_time=self._point_in_time(given),
            point_in_time_days=self._point_in_time_days(given),
            **self._scheduled("backup", given),
        )
        return plan if len(self._errors) == before else None

    def repair_plan(self) -> RepairPlan | None:
        given = self._mapping("repair", [item.name for item in fields(RepairPlan)])
        return RepairPlan(**self._scheduled("repair", given)) if given else None

    def _scheduled(self, work: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of L(Scheduled)."""
        return {
            "schedule": self._schedule(work, given),
            "schedule_image": self._schedule_image(work, given),
            "schedule_account": self._schedule_account(work, given),
            "schedule_memory": self._schedule_memory(work, given),
            "schedule_variables": self._schedule_variables(work, given),
            "schedule_pod_template": self._template(
                f"{work}.schedule_pod_template", given.get("schedule_pod_template")
            ),
        }

    def _repository(self, given: Mapping[str, Any]) -> str:
        path, text = "backup.repository", str(given.get("repository") or "").strip()
        if not text:
            self._fault(
                path, "is missing; give a repository of restic, such as s3:https://s3.example.com/bucket/folder"
            )
        elif not text.startswith(REPOSITORIES):
            self._fault(
                path,
                f"must begin with one of {', '.join(REPOSITORIES)} (a folder of a shared volume begins with /), got"
                f" {text!r}",
            )
        elif re.search(r"//[^/]*@", text):
            # Not shown: it holds a password.
            self._fault(
                path,
                "has a user and a password in it, which would stand in logs and in the arguments of processes; put them"
                " into the Secret of backup.credentials_secret (RESTIC_REST_USERNAME, RESTIC_REST_PASSWORD)",
            )
        elif re.search(r"\s", text):
            self._fault(path, f"must be without spaces, got {text!r}")
        return text.rstrip("/") if len(text) > 1 else text

    def _secret_name(self, path: str, given: Any, required: bool) -> str:
        name = "" if given is None else str(given).strip()
        if not name and required:
            self._fault(path, "is missing; give the name of a Secret whose key password encrypts the backups")
        if name:
            self._check_object_name(path, name)
        return name

    def _keep(self, given: Mapping[str, Any]) -> dict[str, int]:
        value = self._structure("backup.keep", given.get("keep"), dict)
        self._unknown("backup.keep", value, list(KEEP))
        if not value:
            return dict(KEEP)
        return {name: self._count(f"backup.keep.{name}", value.get(name)) for name in KEEP}

    def _count(self, path: str, given: Any) -> int:
        if given in (None, ""):
            return 0
        if isinstance(given, bool) or not re.fullmatch(r"\d+", str(given).strip()):
            self._fault(path, f"must be a whole number of 0 or more, got {given!r}")
            return 0
        return int(given)

    def bandwidth(self, path: str, given: Any, default: str) -> int:
        text = default if given in (None, "") else str(given)
        if text == "0":
            return 0
        canonical = self._quantity(path, text)
        if not canonical:
            return 0
        amount = int(quantity.value(canonical))
        if amount < quantity.MIB // 64:
            self._fault(
                path,
                f"is in bytes per second, such as 50Mi, and at least 16Ki; 0 is no limit; got {text!r}",
            )
        return amount

    def _point_in_time(self, given: Mapping[str, Any]) -> bool:
        text = str(given.get("point_in_time") or "").strip().lower()
        if text not in ("", "true", "false", "yes", "no"):
            self._fault("backup.point_in_time", f"must be true or false, got {given['point_in_time']!r}")
        return text in ("true", "yes")

    def _point_in_time_days(self, given: Mapping[str, Any]) -> int:
        path, value = "backup.point_in_time_days", given.get("point_in_time_days")
        if value in (None, ""):
            return POINT_IN_TIME_DAYS
        if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value).strip()) or int(value) < 1:
            self._fault(path, f"must be a whole number of 1 or more, got {value!r}")
            return POINT_IN_TIME_DAYS
        return int(value)

    def _schedule(self, work: str, given: Mapping[str, Any]) -> str:
        """Its shape; whether the figures make a time Kubernetes says, when it is asked whether it would take it."""
        text = " ".join(str(given.get("schedule") or "").split())
        if text and text not in SCHEDULES and len(text.split()) != 5:
            self._fault(
                f"{work}.schedule",
                "must be minute, hour, day of the month, month and day of the week, such as 15 3 * * *, or one of "
                f"{', '.join(SCHEDULES)}, got {text!r}",
            )
        name = schedule_name(self._text("cluster"), self._text("datacenter"), work)
        if text and len(name) > MAX_CRON_JOB_NAME:
            self._fault(
                f"{work}.schedule",
                f"makes the CronJob name {name} of {len(name)} characters, and Kubernetes can run at most "
                f"{MAX_CRON_JOB_NAME}; shorten the name of the cluster or the datacenter",
            )
        return text

    def _schedule_image(self, work: str, given: Mapping[str, Any]) -> str:
        image = str(given.get("schedule_image") or "").strip()
        if given.get("schedule") and not image:
            self._fault(
                f"{work}.schedule_image",
                "is missing; give the image of an execution environment with this collection in it, such as "
                "extensions/awx/execution-environment.yml makes",
            )
        return image

    def _schedule_account(self, work: str, given: Mapping[str, Any]) -> str:
        name = str(given.get("schedule_account") or SCHEDULE_ACCOUNT).strip()
        self._check_object_name(f"{work}.schedule_account", name, "ServiceAccount")
        return name

    def _schedule_memory(self, work: str, given: Mapping[str, Any]) -> str:
        path, value = f"{work}.schedule_memory", given.get("schedule_memory")
        canonical = self._quantity(path, SCHEDULE_MEMORY if value in (None, "") else value)
        if canonical and quantity.value(canonical) < 256 * quantity.MIB:
            self._fault(path, f"must be at least 256Mi, got {value!r}")
        return canonical

    def _schedule_variables(self, work: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        path = f"{work}.schedule_variables"
        value: Mapping[str, Any] = self._structure(path, given.get("schedule_variables"), dict)
        for name in value:
            if not str(name).startswith(SCHEDULE_OPTIONS[work]):
                begin = ", ".join(SCHEDULE_OPTIONS[work])
                self._fault(f"{path}.{name}", f"is no option of its playbooks: theirs begin with one of {begin}")
        try:
            json.dumps(value)
        except TypeError:
            self._fault(path, f"must be words, numbers, lists and mappings of them, got {value!r}")
        return value

    def _keyspaces(self, path: str, given: Any) -> tuple[str, ...]:
        if isinstance(given, str) and not given.strip().startswith("["):
            given = given.replace(",", " ").split()
        names = tuple(str(name) for name in self._structure(path, given, list))
        for index, name in enumerate(names):
            if not re.fullmatch(r"\w{1,48}", name, re.ASCII):
                self._fault(f"{path}[{index}]", f"must be the name of a keyspace, got {name!r}")
        return names

    def _fault(self, path: str, message: str) -> None:
        self._errors.append(f"{self._prefix}{path}: {message}")

    def _text(self, key: str) -> str:
        value = self._values.get(key)
        return "" if value is None else str(value).strip()

    def _required(self, key: str, what: str) -> str:
        text = self._text(key)
        if not text:
            self._fault(key, f"is missing; give {what}")
        return text

    def _flag(self, key: str) -> bool:
        text = self._text(key).lower()
        if text not in ("", "true", "false", "yes", "no"):
            self._fault(key, f"must be true or false, got {self._values[key]!r}")
        return text in ("true", "yes")

    def _label(self, key: str, starts_with_letter: bool = False) -> str:
        text = self._required(key, f"the name of the {key}")
        if text:
            self._check_label(key, text, starts_with_letter)
        return text

    def _check_label(self, path: str, text: str, starts_with_letter: bool = False) -> None:
        first = "a-z" if starts_with_letter else "a-z0-9"
        if not re.fullmatch(rf"[{first}]([-a-z0-9]*[a-z0-9])?", text):
            begin = "begin with a letter" if starts_with_letter else "begin with a letter or a digit"
            self._fault(
                path,
                f"must consist of a-z, 0-9 and -, {begin}, and not end with -, got {text!r}: Kubernetes names objects"
                " after it",
            )

    def _structure(self, path: str, value: Any, kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
        """A list or mapping, also when it is written as JSON in a string; an empty one when it is neither."""
        try:
            value = from_json(value)
        except ValueError as error:
            self._fault(path, f"looks like JSON but cannot be read: {error}")
            return kind()
        if value is None or value == "":
            return kind()
        if not isinstance(value, Mapping if kind is dict else (list, tuple)):
            self._fault(path, f"must be a {'mapping' if kind is dict else 'list'}, got {value!r}")
            return kind()
        return value

    def _mapping(self, key: str, known: Iterable[str]) -> Mapping[str, Any]:
        value: Mapping[str, Any] = self._structure(key, self._values.get(key), dict)
        self._unknown(key, value, known)
        return value

    def _unknown(self, path: str, value: Mapping[str, Any], known: Iterable[str]) -> None:
        for key in sorted(set(value) - set(known), key=str):
            nearest = difflib.get_close_matches(str(key), list(known), n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
            self._fault(f"{path}.{key}", f"is not known here; {hint}")

    def _racks(self) -> tuple[Rack, ...]:
        before = len(self._errors)
        given = self._structure("racks", self._values.get("racks"), list)
        if not given and len(self._errors) == before:
            self._fault("racks", "must have at least one rack, such as [{name: rack1, nodes: 3}]")
        racks = tuple(self._rack(index, rack) for index, rack in enumerate(given))
        self._duplicates(racks)
        return racks

    def _rack(self, index: int, given: Any) -> Rack:
        path = f"racks[{index}]"
        before = len(self._errors)
        rack = self._structure(path, given, dict)
        if len(self._errors) > before:
            return Rack("", None, 1)
        self._unknown(path, rack, ("name", "zone", "nodes"))
        name = str(rack.get("name") or "")
        if not name:
            self._fault(f"{path}.name", "is missing; give the name of the rack")
        else:
            self._check_label(f"{path}.name", name)
        zone = rack.get("zone")
        return Rack(name, str(zone) if zone not in (None, "") else None, self._nodes(path, rack))

    def _nodes(self, path: str, rack: Mapping[str, Any]) -> int:
        given = rack.get("nodes")
        if given is None or given == "":
            self._fault(f"{path}.nodes", "is missing; give the number of Cassandra nodes in the rack")
            return 1
        if isinstance(given, bool) or not re.fullmatch(r"[+-]?\d+", str(given).strip()):
            self._fault(f"{path}.nodes", f"must be a whole number, got {given!r}")
            return 1
        nodes = int(given)
        if nodes < 1:
            self._fault(f"{path}.nodes", f"must be at least 1, got {nodes}")
        return nodes

    def _duplicates(self, racks: tuple[Rack, ...]) -> None:
        first: dict[str, int] = {}
        for index, rack in enumerate(racks):
            if rack.name and rack.name in first:
                self._fault(
                    f"racks[{index}].name",
                    f"{rack.name} is the name of racks[{first[rack.name]}] already; every rack needs its own",
                )
            first.setdefault(rack.name, index)

    def _lengths(self, cluster: str, name: str, racks: tuple[Rack, ...]) -> None:
        for index, rack in enumerate(racks):
            stateful_set = f"{cluster}-{name}-{rack.name}"
            pod = f"{stateful_set}-{max(rack.nodes, 1) - 1}"
            if len(stateful_set) > MAX_STATEFUL_SET_NAME:
                self._fault(
                    f"racks[{index}].name",
                    f"makes the StatefulSet name {stateful_set} of {len(stateful_set)} characters, and Kubernetes can "
                    f"run at most {MAX_STATEFUL_SET_NAME} (it adds a revision of 11 to it in a label of at most "
                    f"{MAX_NAME}); shorten the name of the cluster, the datacenter or the rack",
                )
            elif len(pod) > MAX_NAME:
                self._fault(
                    f"racks[{index}].name", f"makes the pod name {pod}, longer than {MAX_NAME} characters; shorten it"
                )

    def _version(self) -> tuple[str, tuple[int, int, int] | None]:
        text = self._required("version", "a full Cassandra version, such as 5.0.9")
        if not text:
            return text, None
        fault = version_fault(text)
        if fault:
            self._fault("version", fault)
            return text, None
        return text, _release(text)

    def _image(self, version: str) -> str:
        """The tag may say nothing of Cassandra's version; where it does, it must be the one that is checked."""
        image = self._text("image")
        tag = re.search(r":(\d+\.\d+\.\d+)(?![\d.])[^/@]*(@|$)", image)
        if tag and version and tag[1] != version and _release(tag[1])[:2] in SUPPORTED:
            self._fault("image", f"its tag says Cassandra {tag[1]}, and {self._prefix}version is {version}")
        return image or f"docker.io/library/cassandra:{version}"

    def _storage_size(self, storage: Mapping[str, Any]) -> str:
        size = storage.get("size")
        if size is None or size == "":
            self._fault("storage.size", "is missing; give the size of a node's volume, such as 100Gi")
            return ""
        return self._quantity("storage.size", size)

    def _quantity(self, path: str, given: Any) -> str:
        try:
            text = quantity.canonical(str(given))
        except ValueError:
            self._fault(path, f"must be a Kubernetes quantity such as 500m, 2 or 8Gi, got {given!r}")
            return ""
        if quantity.value(text) <= 0:
            self._fault(path, f"must be more than 0, got {given!r}")
        return text

    def _resources(self) -> dict[str, dict[str, str]]:
        given = self._mapping("resources", ("requests", "limits"))
        requests, limits = (self._quantities(given, kind) for kind in ("requests", "limits"))
        memory = limits.get("memory") or requests.get("memory") or DEFAULT_MEMORY
        requests.setdefault("memory", memory)
        limits.setdefault("memory", memory)
        requests.setdefault("cpu", limits.get("cpu", DEFAULT_CPU))
        for resource in sorted(set(requests) & set(limits)):
            if (
                requests[resource]
                and limits[resource]
                and quantity.value(requests[resource]) > quantity.value(limits[resource])
            ):
                self._fault(
                    f"resources.requests.{resource}",
                    f"is {requests[resource]}, more than the limit of {limits[resource]}; Kubernetes refuses that",
                )
        return {"limits": dict(sorted(limits.items())), "requests": dict(sorted(requests.items()))}

    def _quantities(self, given: Mapping[str, Any], kind: str) -> dict[str, str]:
        path = f"resources.{kind}"
        amounts = self._structure(path, given.get(kind), dict)
        return {str(name): self._quantity(f"{path}.{name}", amount) for name, amount in amounts.items()}

    def _heap(self, resources: Mapping[str, Mapping[str, str]]) -> str:
        memory = resources["limits"]["memory"]
        limit = int(quantity.value(memory)) if memory else 0
        if 0 < limit < MIN_HEAP + MIN_HEADROOM:
            self._fault(
                "resources.limits.memory",
                f"{memory} is too little memory: Cassandra needs a heap of at least {quantity.human(MIN_HEAP)} and"
                f" {quantity.human(MIN_HEADROOM)} beside it; give at least {quantity.human(MIN_HEAP + MIN_HEADROOM)}",
            )
            return ""
        if not self._text("heap"):
            return quantity.jvm_size(min(limit // 2, limit - MIN_HEADROOM, MAX_DEFAULT_HEAP))
        return self._checked_heap(limit)

    def _checked_heap(self, limit: int) -> str:
        try:
            heap = quantity.jvm_bytes(self._text("heap"))
        except ValueError:
            self._fault("heap", f"must be a size such as 512M or 8G, got {self._values['heap']!r}")
            return ""
        needed = heap + max(MIN_HEADROOM, heap // 4)
        if heap < MIN_HEAP:
            self._fault("heap", f"must be at least {quantity.human(MIN_HEAP)}, got {self._text('heap')}")
        elif limit and needed > limit:
            self._fault(
                "heap",
                f"{self._text('heap')} does not fit into the memory limit of {quantity.human(limit)}: beside its heap "
                f"Cassandra needs {quantity.human(needed - heap)} (a quarter of the heap, at least "
                f"{quantity.human(MIN_HEADROOM)}); lower heap, or raise resources.limits.memory to "
                f"{quantity.human(needed)} or more",
            )
        return quantity.jvm_size(heap)

    def _config(self, release: tuple[int, int, int] | None) -> dict[str, Any]:
        given = self._structure("config", self._values.get("config"), dict)
        config = {str(key): value for key, value in given.items()}
        tokens = config.get("num_tokens")
        if isinstance(tokens, str) and tokens.strip().isdigit():
            config["num_tokens"] = int(tokens)
        if release is not None:
            self._errors += configuration.check(config, release, f"{self._prefix}config")
        return config

    def _jvm_options(self) -> tuple[str, ...]:
        given = self._values.get("jvm_options")
        if isinstance(given, str) and not given.strip().startswith("["):
            given = given.split()
        options = tuple(str(option) for option in self._structure("jvm_options", given, list))
        for index, option in enumerate(options):
            fault = _jvm_option_fault(option)
            if fault:
                self._fault(f"jvm_options[{index}]", fault)
        return options

    def _secret(self, cluster: str) -> str:
        name = self._text("superuser_secret") or f"{cluster}-superuser"
        if not self._text("superuser_secret"):
            return name
        self._check_object_name("superuser_secret", name)
        return name

    def _check_object_name(self, path: str, name: str, kind: str = "Secret") -> None:
        if not re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", name) or len(name) > 253:
            self._fault(path, f"must be a name that a {kind} can have (a-z, 0-9, - and .), got {name!r}")

    def _template(self, path: str, value: Any) -> dict[str, Any]:
        template = dict(self._structure(path, value, dict))
        self._errors += pod_template.check(template, f"{self._prefix}{path}")
        return template

    def _address(self) -> str:
        address = self._text("address") or ADDRESSES[0]
        if address not in ADDRESSES:
            self._fault("address", f"must be one of {' and '.join(ADDRESSES)}, got {address!r}")
        return address


def version_fault(version: str) -> str:
    """Why this version cannot be run, or an empty string when it can."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        begins = re.match(r"(\d+)", version)
        if not (begins and (int(begins.group(1)) < 4 or int(begins.group(1)) > 5)):
            return f"must be a full released version such as 5.0.9, got {version!r}"
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers[0] < 4:
        return (
            f"{version} is not supported: 3.11 and older ended their life when 5.0 was released (September 2024),"
            " have no virtual tables to look into, and need Java 8; upgrade outside of this collection on the path"
            " 3.11 -> 4.0 or 4.1 -> 5.0, then move the data into a new cluster (docs/migration.md)"
        )
    if numbers[0] >= 6:
        return f"{version} is not supported: Cassandra {numbers[0]} has not been released; use 5.0"
    if numbers not in SUPPORTED:
        lines = ", ".join(f"{major}.{minor}" for major, minor in SUPPORTED)
        return f"{version} is not supported: there is no such line; supported are {lines}"
    return ""


def _release(version: str) -> tuple[int, int, int]:
    major, minor, patch = (int(number) for number in version.split("."))
    return major, minor, patch


_OWNED_JVM_OPTIONS: Mapping[str, str] = {
    "-Xmx": "the heap is set by `heap`",
    "-Xms": "the heap is set by `heap`",
    "-XX:MaxHeapSize": "the heap is set by `heap`",
    "-XX:InitialHeapSize": "the heap is set by `heap`",
    "-XX:MaxRAMPercentage": "the heap is set by `heap`",
    "-Dcassandra.replace_": "the start script decides who may replace a node",
    "-Dcassandra.allow_unsafe_": "it takes away the checks that keep two nodes from owning the same data",
    "-Dcassandra.allow_empty_replace_address": "the start script decides who may replace a node",
    "-Dcassandra.override_decommission": "a node that left must not come back with its old data",
    "-Dcassandra.config": "the start script writes the configuration; use `config`",
    "-Dcassandra.settings.": "use `config`",
    "-Dcassandra.storagedir": "the volume is mounted at /var/lib/cassandra",
    "-Dcassandra.initial_token": "the tokens come from the ledger",
    "-Dcassandra.reset_bootstrap_progress": "the start script decides how a join that died goes on",
    "-Dcassandra.consistent.": "new nodes would take data from replicas that lack acknowledged writes",
    "-Dcassandra.maxHintTTL": "heal counts on hints for as long as cassandra.yaml says",
    "-Dcassandra.auto_bootstrap": "a node that joins without streaming has none of the rows that it owns",
    "-Dcassandra.join_ring": "a node that does not join is never ready",
    "-Dcassandra.write_survey": "a node that does not join is never ready",
    "-Dcassandra.start_native_transport": "the start script decides when CQL opens",
    "-Dcassandra.native_transport_port": "the Services and the readiness probe rely on the usual port",
    "-Dcassandra.storage_port": "the Services rely on the usual port",
    "-Dcassandra.ssl_storage_port": "the Services rely on the usual port",
}


def _jvm_option_fault(option: str) -> str:
    if not option.startswith("-"):
        return f"must begin with -, got {option!r}"
    if re.search(r"[\s'\"`$\\*?]", option):
        return f"must be without spaces, quotes and shell characters (the launcher splits at spaces), got {option!r}"
    for owned, reason in _OWNED_JVM_OPTIONS.items():
        if option.startswith(owned):
            return f"{option} cannot be set: {reason}; take it out"
    return ""


def refusals(living: Living, desired: Datacenter, prefix: str = "") -> list[str]:
    """Why the desired datacenter cannot be applied to the living one; empty when it can.

    :param living: what the Kubernetes objects say.
    :param desired: what the inventory says.
    :param prefix: put before each path; `cassandra_` when a role calls.
    :returns: sentences of the same form as SpecError's.
    """
    faults = [
        *_rack_refusals(living, desired),
        *_size_refusals(living, desired),
        *_version_refusals(living, desired),
    ]
    return [*fixed_refusals(living, desired, prefix), *(f"{prefix}{fault}" for fault in faults)]


def fixed_refusals(living: Living, desired: Datacenter, prefix: str = "", volumes: bool = False) -> list[str]:
    """The same, of what no playbook can change in place: names, zones, the storage class, smaller volumes, tokens.

    :param volumes: nodes may give theirs up for others.
    """
    faults = [
        *_cluster_refusals(living, desired),
        *_zone_refusals(living, desired),
        *_class_refusals(living, desired, volumes),
        *([] if volumes else _shrink_refusals(living, desired)),
    ]
    if living.address and living.address != desired.address:
        faults.append(
            f"address: is {living.address} on the living nodes, got {desired.address}; their peers know them by it, and"
            " all of them would be strangers under another: put the old value back"
        )
    if living.num_tokens and living.num_tokens != desired.num_tokens:
        faults.append(
            f"config.num_tokens: is {living.num_tokens} on the living nodes, got {desired.num_tokens}; Cassandra "
            "cannot change the number of tokens of a node that has data: build a second datacenter with the new number "
            "and move over"
        )
    return [f"{prefix}{fault}" for fault in faults]


def unserved_refusals(refused: Iterable[str], datacenter: str) -> list[str]:
    """L(refusals) of a datacenter that never served: there is no data, and nothing that moves data would touch it.

    Behind the semicolon each says what helps with data.
    """
    faults = [fault.partition("; ")[0] for fault in refused]
    if not faults:
        return []
    return [
        *faults,
        f"datacenter {datacenter} never served, so there is no data to lose: take it away with its volumes (the"
        f" playbook destroy with -e destroy_confirm={datacenter} -e destroy_volumes=true) and deploy it again, or put"
        " the old values back",
    ]


def _cluster_refusals(living: Living, desired: Datacenter) -> list[str]:
    if living.cluster == desired.cluster:
        return []
    return [
        f"cluster: the living datacenter belongs to the cluster {living.cluster}, got {desired.cluster}; every node "
        "has stored the name and refuses to start under another: put the old name back, or choose another datacenter "
        "name or namespace"
    ]


def _rack_refusals(living: Living, desired: Datacenter) -> list[str]:
    wanted = {rack.name: rack for rack in desired.racks}
    faults = [
        f"racks: the rack {name} is gone from the list but has {_nodes(nodes)}; removing them moves their data:"
        " the playbook scale does it, node by node"
        for name, (_zone, nodes) in living.racks.items()
        if name not in wanted
    ]
    for index, rack in enumerate(desired.racks):
        if rack.name not in living.racks:
            faults.append(
                f"racks[{index}]: the rack {rack.name} is new; nodes join one at a time: the playbook scale does it"
            )
            continue
        nodes = living.racks[rack.name][1]
        if rack.nodes != nodes:
            faults.append(
                f"racks[{index}].nodes: the rack {rack.name} has {_nodes(nodes)}, got {rack.nodes};"
                " adding and removing nodes moves data: the playbook scale does it"
            )
    return faults


def _zone_refusals(living: Living, desired: Datacenter) -> list[str]:
    faults = []
    for index, rack in enumerate(desired.racks):
        zone = living.racks[rack.name][0] if rack.name in living.racks else rack.zone
        if rack.zone != zone:
            faults.append(
                f"racks[{index}].zone: the rack {rack.name} lives in {zone or 'no zone'}, got {rack.zone or 'none'};"
                " volumes cannot follow into another zone: put the old zone back, or add a rack there and remove"
                " this one"
            )
    return faults


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"


def _shrink_refusals(living: Living, desired: Datacenter) -> list[str]:
    if quantity.value(desired.storage_size) >= quantity.value(living.storage_size):
        return []
    return [
        f"storage.size: the volumes have {living.storage_size}, got {desired.storage_size}; Kubernetes cannot shrink a"
        f" volume: put the old size back, or {_ANOTHER_VOLUME}"
    ]


def _class_refusals(living: Living, desired: Datacenter, volumes: bool) -> list[str]:
    """The cluster's default may be another class tomorrow: nodes give up their volumes for a class that has a name."""
    if desired.storage_class == living.storage_class or (volumes and desired.storage_class):
        return []
    default = "the cluster's default"
    return [
        f"storage.class: the volumes are of {living.storage_class or default}, got {desired.storage_class or default};"
        f" a volume keeps its class for life: put the old one back, or name the new one and {_ANOTHER_VOLUME}"
    ]


_ANOTHER_VOLUME = (
    "let each node give its volume up for another one, one node after the other: the playbook scale with"
    " -e scale_replace_volumes=true"
)


def _size_refusals(living: Living, desired: Datacenter) -> list[str]:
    if quantity.value(desired.storage_size) <= quantity.value(living.storage_size):
        return []
    return [
        f"storage.size: the volumes have {living.storage_size}, got {desired.storage_size}; deploy does not grow"
        " volumes, because a StatefulSet's claims cannot be changed in place: the playbook scale does it"
    ]


def _version_refusals(living: Living, desired: Datacenter) -> list[str]:
    if not living.version:
        return []
    return upgrade.refusals(living.version, desired.version, living.storage_mode)
