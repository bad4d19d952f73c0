# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A datacenter under test: its inventory, its playbooks, and what Kubernetes and its nodes say of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from . import playbooks, waiting
from .kubernetes import KubectlError, Object
from .namespace import Namespace
from .settings import ROOT

MEMBER = re.compile(
    r"^([UD?])([NLJM])\s+(\S+)\s+(?:\?|\S+ \w+)\s+(\d+)\s+(\S+)\s+([0-9a-f-]{36})\s+(\S+)", re.MULTILINE
)
DATACENTER = re.compile(r"^Datacenter: (\S+)$", re.MULTILINE)
# A node of these tests needs ten seconds of a whole processor to start, and there are few processors.
START_SECONDS = 600.0


@dataclass(frozen=True)
class Member:
    """A line of ``nodetool status``. :param state: such as UN. :param owns: 0 to 1, None where it is not told."""

    state: str
    address: str
    tokens: int
    owns: float | None
    host_id: str
    rack: str


@dataclass(frozen=True)
class Datacenter:
    """:param racks: name -> number of nodes. :param variables: more inventory variables, with their full names."""

    namespace: Namespace
    cluster: str = "demo"
    name: str = "dc1"
    racks: Mapping[str, int] = field(default_factory=lambda: {"r1": 1, "r2": 1, "r3": 1})
    variables: Mapping[str, Any] = field(default_factory=dict)

    # The inventory

    @property
    def prefix(self) -> str:
        """The beginning of every object's name."""
        return f"{self.cluster}-{self.name}"

    @property
    def nodes(self) -> list[str]:
        """Names of all nodes."""
        return [f"{self.prefix}-{rack}-{number}" for rack, count in self.racks.items() for number in range(count)]

    @property
    def host(self) -> str:
        """Name in the inventory: unlike a datacenter's name it cannot stand there twice."""
        return self.name if self.cluster == "demo" else f"{self.cluster}_{self.name}"

    def changed(self, **variables: Any) -> Datacenter:
        """The same datacenter, wanted otherwise; None takes a variable away."""
        return replace(self, variables={**self.variables, **variables})

    def inventory_variables(self) -> dict[str, Any]:
        """The shipped inventory's variables, for this namespace and with these racks."""
        wanted = {
            **shipped_variables(sandbox=self.namespace.cluster.sandbox is not None),
            "cassandra_kubeconfig": str(self.namespace.kubeconfig),
            "cassandra_namespace": self.namespace.name,
            "deploy_create_namespace": False,
            "cassandra_cluster": self.cluster,
            "cassandra_datacenter": self.name,
            "cassandra_racks": self.rack_list(),
            **self.variables,
        }
        return {key: value for key, value in wanted.items() if value is not None}

    def rack_list(self) -> list[dict[str, Any]]:
        """cassandra_racks: the racks in the sandbox's zones, in turn."""
        racks = [{"name": name, "nodes": nodes} for name, nodes in self.racks.items()]
        if self.namespace.cluster.sandbox is None:
            return racks
        return [{**rack, "zone": f"zone{number % 3 + 1}"} for number, rack in enumerate(racks)]

    # Playbooks

    def start(self, playbook: str, *words: str, facts: bool = False, **extra: Any) -> playbooks.Run:
        """Start a playbook for this datacenter alone; ``extra`` goes to ``-e``."""
        return start(playbook, [self], *words, facts=facts, **extra)

    def run(self, playbook: str, *words: str, facts: bool = False, **extra: Any) -> playbooks.Result:
        """Run a playbook for this datacenter alone; ``extra`` goes to ``-e``."""
        return self.start(playbook, *words, facts=facts, **extra).wait()

    def deploy(self, *words: str, facts: bool = False, **extra: Any) -> playbooks.Result:
        """Playbook deploy, which must end well."""
        return self.run("deploy", *words, facts=facts, **extra).ok()

    def status(self, **extra: Any) -> dict[str, Any]:
        """Facts of the playbook status, which must end well."""
        facts: dict[str, Any] = self.run("status", facts=True, **extra).ok().facts[self.host]["datacenter"]
        return facts

    # Kubernetes

    def pods(self) -> dict[str, Object]:
        """The datacenter's pods by name."""
        found = self.namespace.list("pods", "-l", self.selector)
        return {pod["metadata"]["name"]: pod for pod in found}

    def template_owners(self) -> set[str]:
        """Who owns fields of the pod templates, such as ``cassops Apply``."""
        found = self.namespace.list("statefulsets", "-l", self.selector, "--show-managed-fields")
        return {
            f"{entry['manager']} {entry['operation']}"
            for item in found
            for entry in item["metadata"]["managedFields"]
            if "f:template" in entry["fieldsV1"].get("f:spec", {})
        }

    @property
    def selector(self) -> str:
        """Labels of everything that belongs to it."""
        return f"cassops.kubernetes/cluster={self.cluster},cassops.kubernetes/datacenter={self.name}"

    def lives(self) -> dict[str, tuple[str, int]]:
        """Pod -> UID and restarts: the same twice means that nothing was restarted between."""
        return {
            # One that waits for a worker has no containers yet.
            name: (
                pod["metadata"]["uid"],
                sum(one["restartCount"] for one in pod["status"].get("containerStatuses", ())),
            )
            for name, pod in self.pods().items()
        }

    def addresses(self) -> dict[str, str]:
        """Node -> its address in the ring."""
        if self.variables.get("cassandra_address") == "pod":
            pods = self.pods()
            return {node: pods[node]["status"].get("podIP", "") for node in self.nodes if node in pods}
        found = self.namespace.list("services", "-l", self.selector)
        named = {item["metadata"]["name"]: item["spec"]["clusterIP"] for item in found}
        return {node: named[node] for node in self.nodes if node in named}

    def ledger(self) -> dict[str, str]:
        """Data of the ledger."""
        data: dict[str, str] = self.namespace.get("configmap", f"{self.prefix}-ledger")["data"]
        return data

    def login(self) -> tuple[str, str]:
        """The superuser's name and password, from the Secret."""
        data = self.namespace.get("secret", f"{self.cluster}-superuser")["data"]
        return base64.b64decode(data["username"]).decode(), base64.b64decode(data["password"]).decode()

    def delete_pod(self, node: str, *words: str) -> None:
        """Delete a pod and wait until it is gone or another one."""
        self.namespace.kubectl("delete", "pod", node, *words, seconds=180)

    def not_ready(self, nodes: Iterable[str] | None = None) -> list[str]:
        """Why not all of these nodes (default: all) are ready."""
        pods = self.pods()
        return [f"{node} is not ready" for node in nodes or self.nodes if not is_ready(pods.get(node))]

    # Cassandra

    def views(self, nodes: Iterable[str] | None = None) -> dict[str, dict[str, Member]]:
        """Node -> what ``nodetool status`` says there: address -> member of this datacenter."""
        asked = list(nodes or self.nodes)
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(asked, pool.map(self.view, asked), strict=True))

    def view(self, node: str) -> dict[str, Member]:
        """The members of this datacenter as one node sees them; what they own is that of system_auth."""
        return self.all_views(node).get(self.name, {})

    def all_views(self, node: str) -> dict[str, dict[str, Member]]:
        """Datacenter -> address -> member, as one node sees them."""
        return parse_status(self.nodetool(node, "status", "system_auth"))

    def nodetool(self, node: str, *words: str) -> str:
        """Run nodetool on a node, without a compiler that is worth its time only in processes that stay."""
        return self.namespace.exec(node, "env", "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1", "nodetool", *words)

    def strangers(self, node: str) -> list[str]:
        """Addresses in a node's gossip that belong to no node of this datacenter: ghosts."""
        said = self.nodetool(node, "gossipinfo")
        known = re.findall(r"^\S*?/([0-9a-f.:]+)$", said, re.MULTILINE)
        return sorted(set(known) - set(self.addresses().values()))

    def not_up(self) -> list[str]:
        """Why not every node is ready, and up and normal in the view of every node."""
        reasons = self.not_ready()
        if reasons:
            return reasons
        wanted = set(self.addresses().values())
        try:
            views = self.views()
        except KubectlError as error:
            return [str(error)]
        for node, members in views.items():
            if set(members) != wanted:
                reasons.append(f"{node} knows {sorted(members)}, not {sorted(wanted)}")
            reasons += [f"{node} sees {one.address} {one.state}" for one in members.values() if one.state != "UN"]
        return reasons

    def wait_up(self, seconds: float = START_SECONDS) -> dict[str, Member]:
        """Wait until every node is up in every view; the members by node."""
        # Ready is what Kubernetes heard last: of a worker that lost power a moment ago that is long past.
        # A look costs a JVM a node: too many of them are what keeps the nodes from coming up.
        waiting.until("all nodes to be ready, and up in every view", self.not_up, seconds, pause=4)
        members = self.view(self.nodes[0])
        return {node: members[address] for node, address in self.addresses().items()}


def identities(members: Mapping[str, Member]) -> dict[str, tuple[str, str]]:
    """Node -> address and host id: what a node keeps for life."""
    return {node: (member.address, member.host_id) for node, member in members.items()}


def is_ready(pod: Mapping[str, Any] | None) -> bool:
    """Whether Kubernetes takes the pod for ready."""
    conditions = (pod or {}).get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def parse_status(text: str) -> dict[str, dict[str, Member]]:
    """``nodetool status``: datacenter -> address -> member."""
    parts = DATACENTER.split(text)
    return {
        name: {one.address: one for one in members(part)} for name, part in zip(parts[1::2], parts[2::2], strict=True)
    }


def members(text: str) -> list[Member]:
    """The lines of one datacenter."""
    return [
        Member(up + state, address, int(tokens), None if owns == "?" else float(owns.rstrip("%")) / 100, host_id, rack)
        for up, state, address, tokens, owns, host_id, rack in MEMBER.findall(text)
    ]


def shipped_variables(*, sandbox: bool) -> dict[str, Any]:
    """The variables of the shipped inventory that users start with; tests that back up have stores of their own."""
    file = "sandbox/hosts.yml" if sandbox else "examples/any-cluster.yml"
    variables: dict[str, Any] = yaml.safe_load((ROOT / "inventories" / file).read_text())["demo"]["vars"]
    variables.pop("cassandra_backup", None)
    return variables


SMALL_ON_4_0: Mapping[str, Any] = {
    "memtable_heap_space_in_mb": 32,
    "memtable_offheap_space_in_mb": 32,
    "file_cache_size_in_mb": 32,
    "networking_cache_size_in_mb": 16,
    "key_cache_size_in_mb": 8,
}
"""cassandra_config of the shipped inventory, as 4.0 calls it; newer ones take these names too."""


def of_version(version: str) -> dict[str, Any]:
    """Variables of a small datacenter of that Cassandra."""
    small = {"cassandra_config": dict(SMALL_ON_4_0)} if version.startswith("4.0") else {}
    return {"cassandra_version": version, **small}


def inventory(datacenters: Sequence[Datacenter]) -> dict[str, Any]:
    """The inventory file: a group a cluster, a host a datacenter."""
    groups: dict[str, Any] = {}
    for one in datacenters:
        groups.setdefault(one.cluster, {"hosts": {}})["hosts"][one.host] = one.inventory_variables()
    return groups


def start(
    playbook: str, datacenters: Sequence[Datacenter], *words: str, facts: bool = False, **extra: Any
) -> playbooks.Run:
    """Start a playbook for several datacenters of one inventory."""
    folder = datacenters[0].namespace.output / f"{'-'.join(one.host for one in datacenters)}"
    return playbooks.start(playbook, inventory(datacenters), folder, extra=extra, words=words, facts=facts)
