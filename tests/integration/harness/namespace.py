# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A namespace for one test: restricted pods only, the shipped Role, and a kubeconfig that has no other rights."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import waiting
from .kubernetes import Cluster, KubectlError, Object
from .settings import OUTPUT, ROOT, rng

RUN_LABEL = "cassops-test-run"
"""Its value is the pid of the test run."""
RBAC = ROOT / "extensions" / "kubernetes" / "rbac.yml"
# What Kubernetes itself puts into every namespace, and what the administrator put there for the automation.
GIVEN = {"ConfigMap/kube-root-ca.crt"}
KINDS = "configmaps,services,statefulsets,pods,secrets,persistentvolumeclaims,leases,poddisruptionbudgets,cronjobs"


@dataclass(frozen=True)
class Namespace:
    """:param kubeconfig: of the automation, which may do what the shipped Role grants here and nothing else."""

    cluster: Cluster
    name: str
    kubeconfig: Path

    @classmethod
    def create(cls, cluster: Cluster, name: str) -> Namespace:
        """Make it, with the Role and the kubeconfig in it."""
        namespace = cls(cluster, name, OUTPUT / name / "kubeconfig.json")
        labels = {"pod-security.kubernetes.io/enforce": "restricted", RUN_LABEL: str(os.getpid())}
        metadata = {"name": name, "labels": labels}
        cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}])
        namespace.apply(yaml.safe_load(RBAC.read_text())["items"])
        namespace.write_kubeconfig(namespace.kubeconfig, "cassops")
        return namespace

    @property
    def output(self) -> Path:
        """Folder for what this namespace leaves behind."""
        return self.kubeconfig.parent

    @property
    def user(self) -> str:
        """Name of the automation in the audit log."""
        return f"system:serviceaccount:{self.name}:cassops"

    def kubectl(self, *words: str, text: str | None = None, seconds: float = 120) -> str:
        """Run kubectl in this namespace as the administrator."""
        return self.cluster.kubectl("--namespace", self.name, *words, text=text, seconds=seconds)

    def stream(self, *words: str) -> subprocess.Popen[str]:
        """Start kubectl in this namespace as the administrator; whoever starts it ends it."""
        return self.cluster.stream("--namespace", self.name, *words)

    def list(self, kinds: str, *words: str) -> list[Object]:
        """Objects of one or several kinds in this namespace."""
        return self.cluster.list(kinds, "--namespace", self.name, *words)

    def get(self, kind: str, name: str) -> Object:
        """One object."""
        found: Object = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def apply(self, objects: Sequence[Object]) -> None:
        """Create or change objects in this namespace."""
        self.cluster.apply(objects, "--namespace", self.name)

    def contents(self) -> dict[str, Object]:
        """Everything that somebody made in here, by kind and name."""
        items = {f"{item['kind']}/{item['metadata']['name']}": item for item in self.list(KINDS)}
        return {key: item for key, item in items.items() if key not in GIVEN}

    def exec(self, pod: str, *command: str, seconds: float = 60) -> str:
        """Run a command in a pod and return what it printed."""
        return self.kubectl("exec", pod, "--", *command, seconds=seconds)

    def write_kubeconfig(self, path: Path, account: str, **changes: Any) -> Path:
        """A kubeconfig for a ServiceAccount of this namespace.

        :param changes: to the cluster's entry, such as ``server``.
        """
        token = self.kubectl("create", "token", account, "--duration=6h").strip()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {**self.cluster.server(), **changes}}],
            "users": [{"name": account, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": account, "namespace": self.name}}],
            "current-context": "test",
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def account(self, name: str, rules: Sequence[Mapping[str, Any]]) -> Path:
        """A ServiceAccount with other rights than the shipped ones; its kubeconfig."""
        self.apply(account_objects(self.name, name, rules))
        return self.write_kubeconfig(self.output / f"{name}.json", name)

    def save(self) -> None:
        """Write down what helps to understand a failure: objects, events, the logs of all containers."""
        self.output.mkdir(parents=True, exist_ok=True)
        self._save("objects.yaml", "get", f"{KINDS},controllerrevisions", "-o", "yaml")
        self._save("events.txt", "get", "events", "--sort-by=.lastTimestamp")
        self._save("pods.txt", "get", "pods", "-o", "wide")
        with contextlib.suppress(KubectlError):
            for pod in self.list("pods"):
                name = pod["metadata"]["name"]
                self._save(f"{name}.log", "logs", name, "--timestamps")
                if any(one.get("restartCount") for one in pod.get("status", {}).get("containerStatuses", ())):
                    self._save(f"{name}.previous.log", "logs", name, "--previous", "--timestamps")

    def _save(self, file: str, *words: str) -> None:
        try:
            text = self.kubectl(*words)
        except KubectlError as error:
            text = f"{error}\n"
        (self.output / file).write_text(text)

    def delete(self) -> None:
        """Begin to take it away with all its volumes; :func:`wait_gone` waits for the end."""
        with contextlib.suppress(KubectlError):
            # Nobody needs these nodes' good-bye.
            self.kubectl("delete", "statefulsets", "--all", "--wait=false")
            self.kubectl("delete", "pods", "--all", "--grace-period=0", "--force", "--wait=false")
        with contextlib.suppress(KubectlError):
            self.cluster.kubectl("delete", "namespace", self.name, "--wait=false", "--ignore-not-found")


def account_objects(namespace: str, name: str, rules: Sequence[Mapping[str, Any]]) -> list[Object]:
    """ServiceAccount, Role and RoleBinding of one name."""
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": name}, "rules": list(rules)},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [subject],
        },
    ]


def shipped_rules() -> list[dict[str, Any]]:
    """The rules of the Role in extensions/kubernetes/rbac.yml."""
    role = next(item for item in yaml.safe_load(RBAC.read_text())["items"] if item["kind"] == "Role")
    rules: list[dict[str, Any]] = role["rules"]
    return rules


def leftovers(cluster: Cluster) -> Iterator[str]:
    """Namespaces of runs that were killed."""
    for item in cluster.list("namespaces", "-l", RUN_LABEL):
        pid = item["metadata"]["labels"][RUN_LABEL]
        if pid == str(os.getpid()) or not Path(f"/proc/{pid}").exists():
            yield item["metadata"]["name"]


def wait_gone(cluster: Cluster, names: Sequence[str], seconds: float = 180) -> None:
    """Wait until the namespaces and their volumes are gone."""

    def left() -> list[str]:
        found = {item["metadata"]["name"] for item in cluster.list("namespaces")} & set(names)
        volumes = [item for item in cluster.list("persistentvolumes") if owner(item) in names]
        forget_lost(cluster, [item for item in volumes if owner(item) not in found])
        return [f"namespace {name}" for name in sorted(found)] + [f"a volume of {owner(item)}" for item in volumes]

    if names:
        waiting.until("the tests' namespaces to be gone", left, seconds)


def owner(volume: Object) -> str:
    """The namespace of its claim."""
    name: str = volume["spec"].get("claimRef", {}).get("namespace", "")
    return name


def forget_lost(cluster: Cluster, volumes: Sequence[Object]) -> None:
    """Delete those whose worker was taken away with its disk: nobody is left to wipe them."""
    workers = {item["metadata"]["name"] for item in cluster.list("nodes")}
    for volume in volumes:
        terms = volume["spec"].get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms", [])
        on = {value for term in terms for each in term.get("matchExpressions", ()) for value in each["values"]}
        if on and not on & workers:
            cluster.kubectl("delete", "pv", volume["metadata"]["name"], "--ignore-not-found", "--wait=false")


class Namespaces:
    """Makes namespaces for tests and takes them away again, whatever happened in them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.living: list[Namespace] = []
        self.deleted: list[str] = []

    @contextlib.contextmanager
    def fresh(self, purpose: str) -> Iterator[Namespace]:
        """A namespace as long as the context lasts; its name is the purpose and a number that follows from the seed."""
        namespace = Namespace.create(self.cluster, f"{purpose}-{rng(f'namespace/{purpose}').randrange(16**4):04x}")
        self.living.append(namespace)
        try:
            yield namespace
        finally:
            self.living.remove(namespace)
            self.deleted.append(namespace.name)
            namespace.delete()

    def save(self) -> None:
        """Write down what helps to understand a failure."""
        for namespace in self.living:
            namespace.save()
            print(f"see {namespace.output.relative_to(ROOT)}")

    def sweep(self) -> None:
        """Take away what killed runs left behind."""
        names = list(leftovers(self.cluster))
        for name in names:
            Namespace(self.cluster, name, Path()).delete()
        wait_gone(self.cluster, names)
