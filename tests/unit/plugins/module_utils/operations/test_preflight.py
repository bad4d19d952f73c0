# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from ansible_collections.cassops.kubernetes.plugins.module_utils import spec, spec_parser
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import KINDS, Forbidden, Right, Unreachable
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import preflight

ROOT = Path(__file__).resolve().parents[5]
PREFIX = "cassandra_"


def worker(name: str, zone: str | None = None, cordoned: bool = False, **allocatable: str) -> dict[str, Any]:
    amounts = {"cpu": "4", "memory": "16Gi", **allocatable}
    return {
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone} if zone else {}},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {"allocatable": amounts},
    }


def storage_class(name: str, default: str | None = None) -> dict[str, Any]:
    annotations = {"storageclass.kubernetes.io/is-default-class": default} if default else None
    return {"metadata": {"name": name, "annotations": annotations}}


def offered(**changes: Any) -> preflight.Facts:
    facts: dict[str, Any] = {
        "namespace": "ns",
        "namespace_exists": True,
        "storage_classes": (storage_class("fast"), storage_class("slow", "true")),
        "workers": tuple(worker(f"w{zone}", zone) for zone in ("a", "b", "c")),
    }
    return preflight.Facts(**{**facts, **changes})


def desired(**values: Any) -> spec.Datacenter:
    racks = [{"name": f"r{zone}", "zone": zone, "nodes": 1} for zone in ("a", "b", "c")]
    resources = {"requests": {"cpu": "2", "memory": "8Gi"}}
    given = {"cluster": "shop", "datacenter": "dc1", "version": "5.0.9", "racks": racks, "storage": {"size": "1Gi"}}
    return spec_parser.parse({**given, "resources": resources, **values})


def capacity(workers: Iterable[dict[str, Any]] | None, **values: Any) -> list[str]:
    return preflight.capacity_errors(desired(**values), None if workers is None else list(workers), PREFIX)


# --- what is read -----------------------------------------------------------------------------------------------------


class Api:
    """A cluster of which some may not be read."""

    namespace = "ns"

    def __init__(self, hidden: tuple[str, ...] = (), namespaces: tuple[str, ...] = ("ns",)) -> None:
        self.hidden = hidden
        self.namespaces = namespaces
        self.missing: list[Right] = []

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        self.allow(kind)
        return {"metadata": {"name": name}} if name in self.namespaces else None

    def list(self, kind: str) -> list[dict[str, Any]]:
        self.allow(kind)
        return {"StorageClass": [storage_class("fast")], "Node": [worker("w1")]}[kind]

    def allow(self, kind: str) -> None:
        if kind in self.hidden:
            raise Forbidden(f"Not allowed to list {kind}", 403)

    def version(self) -> str:
        self.allow("version")
        return "v1.34.4"

    def can(self, rights: Iterable[Right]) -> list[Right]:
        return [right for right in rights if right in self.missing]


def test_everything_may_be_read() -> None:
    facts = preflight.facts(cast(Kube, Api()))
    assert (facts.namespace, facts.namespace_exists) == ("ns", True)
    assert facts.storage_classes == (storage_class("fast"),)
    assert facts.workers == (worker("w1"),)
    assert facts.kubernetes == "v1.34.4"
    assert facts.unread == []


def test_what_may_not_be_read_is_not_checked_and_told() -> None:
    facts = preflight.facts(cast(Kube, Api(hidden=("Namespace", "StorageClass", "Node"))))
    assert (facts.namespace_exists, facts.storage_classes, facts.workers) == (None, None, None)
    assert len(facts.unread) == 2
    assert preflight.errors({"racks": [{"zone": "nowhere"}], "storage": {"class": "none"}}, facts, PREFIX) == []
    assert capacity(None) == []


def test_an_api_that_does_not_answer_is_no_missing_right() -> None:
    class Silent(Api):
        def allow(self, kind: str) -> None:
            raise Unreachable("no answer")

    with pytest.raises(Unreachable):
        preflight.facts(cast(Kube, Silent()))


def test_a_namespace_that_does_not_exist() -> None:
    facts = preflight.facts(cast(Kube, Api(namespaces=())))
    told = [preflight.errors({"storage": {"class": "fast"}}, facts, prefix) for prefix in (PREFIX, "")]
    words = "namespace ns does not exist: create it (kubectl create namespace ns) or set"
    assert told == [[f"{words} deploy_create_namespace: true"], [f"{words} create_namespace: true"]]


# --- Kubernetes' version ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1.28.4", "v1.28.3-gke.1203000", "v1.28.0+k3s1", "v1.27.16", "v1.27", "1.26+"])
def test_a_kubernetes_that_is_too_old(version: str) -> None:
    (told,) = preflight.errors({}, offered(kubernetes=version), PREFIX)
    assert told.startswith(f"Kubernetes {version} is too old: ")
    assert told.endswith("upgrade the control plane to 1.28.5 or newer")


@pytest.mark.parametrize(
    "version", ["v1.28.5", "v1.28.15-eks-1", "v1.29.0", "v1.34.4", "v1.28", "v1.28+", "v2.0.0", "", "of our own"]
)
def test_a_kubernetes_that_is_new_enough_or_does_not_tell(version: str) -> None:
    assert preflight.errors({}, offered(kubernetes=version), PREFIX) == []


def test_a_version_that_may_not_be_read_is_not_known() -> None:
    assert preflight.facts(cast(Kube, Api(hidden=("version",)))).kubernetes == ""


# --- storage ----------------------------------------------------------------------------------------------------------


def test_storage_classes() -> None:
    assert preflight.errors({"storage": {"class": "fast"}}, offered(), PREFIX) == []
    assert preflight.errors({"storage": {"size": "1Gi"}}, offered(), PREFIX) == []
    assert preflight.errors({"storage": {"class": "quick"}}, offered(), PREFIX) == [
        "cassandra_storage.class: there is no StorageClass 'quick'; there are: fast, slow"
    ]


@pytest.mark.parametrize("default", [None, "false"])
def test_no_default_storage_class(default: str | None) -> None:
    classes = (storage_class("fast", default), storage_class("slow"))
    assert preflight.errors({"storage": {}}, offered(storage_classes=classes), PREFIX) == [
        "cassandra_storage.class: not set, and this Kubernetes has no default StorageClass; choose one of: fast, slow"
    ]
    (told,) = preflight.errors({}, offered(storage_classes=()), PREFIX)
    assert told.endswith("choose one of: none")


@pytest.mark.parametrize("storage", ["fast", 7, ["fast"], None])
def test_values_that_are_wrong_in_themselves_are_no_reason_to_fail(storage: Any) -> None:
    """spec_parser has told them already."""
    assert preflight.errors({"storage": storage, "racks": [7, "r1", None]}, offered(), PREFIX) == []


IMMEDIATE = {**storage_class("quick", "true"), "volumeBindingMode": "Immediate"}
PINNED = [{"name": "r1", "zone": "a"}, {"name": "r2", "zone": "b"}, {"name": "r3"}]


@pytest.mark.parametrize("storage", [{"class": "quick"}, {"size": "1Gi"}])
def test_volumes_that_are_made_before_their_pods_have_a_zone(storage: dict[str, str]) -> None:
    facts = offered(storage_classes=(storage_class("slow"), IMMEDIATE))
    (told,) = preflight.advice({"racks": PINNED, "storage": storage}, facts, PREFIX)
    assert told.startswith("cassandra_storage.class: StorageClass quick makes volumes before their pods have a worker")
    assert "the racks r1, r2 are pinned" in told
    assert told.endswith("take a class with volumeBindingMode WaitForFirstConsumer")
    (told,) = preflight.advice({"racks": PINNED, "storage": storage}, facts, PREFIX, living=("r1",))
    assert "the racks r2 are pinned" in told


@pytest.mark.parametrize(
    ("racks", "storage", "changes"),
    [
        (PINNED[2:], {}, {}),
        (PINNED, {"class": "slow"}, {}),
        (PINNED, {}, {"volumeBindingMode": "WaitForFirstConsumer"}),
        (PINNED, {}, {"allowedTopologies": [{"matchLabelExpressions": []}]}),
        ("[broken", "{broken", {}),
        ([7, None], "fast", {}),
    ],
)
def test_volumes_that_find_their_zone(racks: Any, storage: Any, changes: dict[str, Any]) -> None:
    facts = offered(storage_classes=(storage_class("slow"), {**IMMEDIATE, **changes}))
    assert preflight.advice({"racks": racks, "storage": storage}, facts, PREFIX) == []
    assert preflight.advice({"racks": racks, "storage": storage}, offered(storage_classes=None), PREFIX) == []


# --- zones ------------------------------------------------------------------------------------------------------------


def test_zones() -> None:
    racks = [{"name": "r1", "zone": "a"}, {"name": "r2", "zone": "d"}, {"name": "r3"}]
    assert preflight.errors({"racks": racks}, offered(), PREFIX) == [
        "cassandra_racks[1].zone: no worker is in zone 'd'; zones with workers: a, b, c. Where "
        "Kubernetes adds workers on demand, set cassandra_workers_on_demand: true"
    ]
    (told,) = preflight.errors({"racks": racks[:1]}, offered(workers=(worker("w1"),)), PREFIX)
    assert "zones with workers: none." in told
    assert preflight.errors({"racks": racks, "workers_on_demand": True}, offered(), PREFIX) == []


def test_a_zone_that_failed_is_not_in_the_way_of_what_is_left() -> None:
    racks = [{"name": "r1", "zone": "a"}, {"name": "r2", "zone": "d"}, {"name": "r3", "zone": "e"}]
    (told,) = preflight.errors({"racks": racks}, offered(), PREFIX, living=("r1", "r2"))
    assert told.startswith("cassandra_racks[2].zone")


def test_all_faults_at_once() -> None:
    values = {"racks": [{"zone": "x"}, {"zone": "y"}], "storage": {"class": "quick"}}
    assert len(preflight.errors(values, offered(namespace_exists=False), PREFIX)) == 4


# --- capacity ---------------------------------------------------------------------------------------------------------


def test_nodes_that_fit() -> None:
    assert capacity(offered().workers) == []


def test_requests_that_fit_on_no_worker_of_the_zone() -> None:
    workers = [worker("wa", "a"), worker("wb", "b", memory="4Gi"), worker("wb2", "b", memory="6Gi"), worker("wc", "c")]
    assert capacity(workers) == [
        "cassandra_resources.requests.memory: 8Gi fits on no worker of rack rb; the largest, wb2, can allocate 6Gi. "
        "Where Kubernetes adds workers on demand, set cassandra_workers_on_demand: true"
    ]
    assert capacity(workers, workers_on_demand=True) == []


def test_a_resource_that_no_worker_has() -> None:
    resources = {"requests": {"cpu": "2", "memory": "8Gi", "ephemeral-storage": "1Gi"}}
    told = capacity([worker("wa", "a")], resources=resources, racks=[{"name": "ra", "zone": "a", "nodes": 1}])
    assert told == [
        "cassandra_resources.requests.ephemeral-storage: 1Gi fits on no worker of rack ra; the largest, wa, can "
        "allocate none. Where Kubernetes adds workers on demand, set cassandra_workers_on_demand: true"
    ]


def test_more_nodes_than_workers_in_a_zone() -> None:
    racks = [{"name": "ra", "zone": "a", "nodes": 2}]
    assert capacity(offered().workers, racks=racks) == [
        "cassandra_racks[0].nodes: 2 nodes need as many workers in zone a, which has 1; lower it, add workers, or set "
        "cassandra_allow_shared_workers or cassandra_workers_on_demand"
    ]
    assert capacity(offered().workers, racks=racks, allow_shared_workers=True) == []
    assert capacity(offered().workers, racks=racks, workers_on_demand=True) == []


def test_racks_in_one_zone_are_added_up() -> None:
    """No worker takes two nodes of a datacenter, of whatever rack they are."""
    workers = [worker("wa1", "a"), worker("wa2", "a"), *(worker(f"wb{number}", "b") for number in range(4))]
    racks = [{"name": "r1", "zone": "a", "nodes": 2}, {"name": "rb", "zone": "b", "nodes": 1}]
    assert capacity(workers, racks=racks) == []
    racks.append({"name": "r2", "zone": "a", "nodes": 2})
    assert capacity(workers, racks=racks) == [
        "cassandra_racks: 4 nodes of the racks r1, r2 need as many workers in zone a, which has 2; lower them, add "
        "workers, or set cassandra_allow_shared_workers or cassandra_workers_on_demand"
    ]
    assert capacity(workers, racks=racks, allow_shared_workers=True) == []
    assert capacity([*workers, worker("wa3", "a"), worker("wa4", "a")], racks=racks) == []


def test_more_nodes_than_workers_in_all() -> None:
    racks = [{"name": "ra", "nodes": 2}, {"name": "rb", "nodes": 2}]
    assert capacity(offered().workers, racks=racks) == [
        "cassandra_racks: 4 nodes need as many workers, there are 3; lower them, add workers, or set "
        "cassandra_allow_shared_workers or cassandra_workers_on_demand"
    ]


def test_cordoned_workers_take_no_new_node() -> None:
    workers = [worker("wa", "a"), worker("wb", "b"), worker("wc", "c", cordoned=True), worker("wd", "a")]
    assert capacity(workers) == []
    assert len(capacity(workers[:3])) == 1


def test_the_workers_of_a_living_datacenter_are_not_counted() -> None:
    """Its configuration may change while a worker is cordoned; what cannot fit anywhere is refused all the same."""
    workers = [worker("wa", "a"), worker("wb", "b"), worker("wc", "c", cordoned=True)]
    assert preflight.capacity_errors(desired(), workers, PREFIX, living=True) == []
    resources = {"requests": {"cpu": "2", "memory": "64Gi"}}
    assert len(preflight.capacity_errors(desired(resources=resources), workers, PREFIX, living=True)) == 2


def test_a_zone_without_workers_is_told_once_and_elsewhere() -> None:
    racks = [{"name": "rx", "zone": "x", "nodes": 1}]
    assert capacity(offered().workers, racks=racks) == []
    assert len(preflight.errors({"racks": racks}, offered(), PREFIX)) == 1


# --- rights -----------------------------------------------------------------------------------------------------------


def test_missing_rights_are_named() -> None:
    api = Api()
    assert preflight.missing_rights(cast(Kube, api)) == []
    api.missing = [Right("create", "Pod", "exec"), Right("patch", "StatefulSet")]
    assert preflight.missing_rights(cast(Kube, api)) == [
        "these credentials may not create pods/exec, patch statefulsets.apps in namespace ns; the Role in "
        "extensions/kubernetes/rbac.yml grants what is needed"
    ]


def documents(name: str) -> list[dict[str, Any]]:
    """The objects of a file, also those in a List."""
    read = [item for item in yaml.safe_load_all((ROOT / name).read_text()) if item]
    return [inner for item in read for inner in (item["items"] if item["kind"] == "List" else [item])]


def granted(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    """(API group, resource, verb) of every rule."""
    assert all(set(rule) == {"apiGroups", "resources", "verbs"} for rule in role["rules"])
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_role_that_is_shipped_grants_what_is_checked_and_nothing_else() -> None:
    (role,) = [item for item in documents("extensions/kubernetes/rbac.yml") if item["kind"] == "Role"]
    checked = {
        (
            KINDS[right.kind].group,
            KINDS[right.kind].plural + (f"/{right.subresource}" if right.subresource else ""),
            verb,
        )
        for right in (*preflight.RIGHTS, *preflight.TO_ROTATE)
        for verb in [right.verb]
    }
    assert granted(role) == checked
    assert len(preflight.RIGHTS) == len(set(preflight.RIGHTS))


def test_the_role_is_bound_to_the_service_account_and_reaches_nothing_outside_the_namespace() -> None:
    items = {item["kind"]: item for item in documents("extensions/kubernetes/rbac.yml")}
    assert set(items) == {"ServiceAccount", "Role", "RoleBinding"}
    assert items["RoleBinding"]["roleRef"]["name"] == items["Role"]["metadata"]["name"]
    (subject,) = items["RoleBinding"]["subjects"]
    assert (subject["kind"], subject["name"]) == ("ServiceAccount", items["ServiceAccount"]["metadata"]["name"])
    assert all(KINDS[right.kind].namespaced for right in preflight.RIGHTS)
    assert "*" not in str(items["Role"]["rules"])


def test_values_may_be_json_texts() -> None:
    """As surveys give them."""
    offered = preflight.Facts("cassandra", True, ({"metadata": {"name": "gp3"}},), ())
    assert preflight.errors({"storage": '{"class": "gp3"}'}, offered, "cassandra_") == []
    racks = '[{"name": "r1", "zone": "nowhere", "nodes": 1}]'
    found = preflight.errors({"storage": '{"class": "fast"}', "racks": racks}, offered, "cassandra_")
    assert len(found) == 2
    assert "fast" in found[0]
    assert "nowhere" in found[1]
    assert preflight.errors({"storage": "{broken", "racks": "[broken"}, offered, "")[0].startswith("storage.class: not")
