# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input: every fault is told at once, in words that help, and nothing is touched."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.harness.datacenter import Datacenter
from integration.harness.namespace import Namespaces, shipped_rules

RACKS = [{"name": "r1", "zone": "zone1", "nodes": 1}]

WRONG = [
    pytest.param(
        {
            "cassandra_version": "3.11.19",
            "cassandra_racks": [
                {"name": "r1", "zone": "zone1", "nodes": 1},
                {"name": "r1", "zone": "zone9", "nodes": 0},
                {"name": "Rack_3", "zone": "zone3", "nodes": "many"},
            ],
            "cassandra_storage": {"class": "golden", "size": "a lot"},
            "cassandra_resources": {"limits": {"memory": "300Mi"}},
        },
        [
            "cassandra_version: 3.11.19 is not supported: 3.11 and older ended their life",
            "cassandra_racks[1].name: r1 is the name of racks[0] already",
            "cassandra_racks[1].nodes: must be at least 1, got 0",
            "cassandra_racks[1].zone: no worker is in zone 'zone9'; zones with workers: ",
            "cassandra_racks[2].name: must consist of a-z",
            "cassandra_racks[2].nodes: must be a whole number, got 'many'",
            "cassandra_storage.class: there is no StorageClass 'golden'; there are: local",
            "cassandra_storage.size: must be a Kubernetes quantity",
            "cassandra_resources.limits.memory: 300Mi is too little memory",
        ],
        id="nine faults of values and cluster",
    ),
    pytest.param(
        {"cassandra_config": {"concurent_reads": 32, "cluster_name": "mine", "memtable_heap_space": "lots"}},
        ["cassandra_config.concurent_reads", "concurrent_reads", "cassandra_config.cluster_name"],
        id="unknown and owned settings of 5.0",
    ),
    pytest.param(
        {"cassandra_version": "4.0.19", "cassandra_config": {"memtable_heap_space": "32MiB"}},
        ["cassandra_config.memtable_heap_space", "memtable_heap_space_in_mb"],
        id="a setting that 4.0 calls otherwise",
    ),
    pytest.param(
        {"cassandra_version": "4.1.10", "cassandra_config": {"storage_compatibility_mode": "NONE"}},
        ["cassandra_config.storage_compatibility_mode"],
        id="a setting that 4.1 does not have",
    ),
    pytest.param(
        {
            "cassandra_resources": {"requests": {"memory": "900Gi"}, "limits": {"memory": "900Gi"}},
            "cassandra_allow_shared_workers": False,
            "cassandra_racks": [{"name": "r1", "zone": "zone1", "nodes": 2}],
            "cassandra_storage": {"class": "golden", "size": "1Gi"},
        },
        [
            "cassandra_resources.requests.memory: 900Gi fits on no worker of rack r1",
            "cassandra_racks[0].nodes: 2 nodes need as many workers in zone zone1, which has 1",
            "cassandra_storage.class: there is no StorageClass 'golden'",
        ],
        id="more than the workers have",
    ),
    pytest.param(
        {"cassandra_cluster": "My_Cluster", "cassandra_datacenter": "x" * 60},
        ["cassandra_cluster: must consist of a-z", "cassandra_racks[0].name: makes the StatefulSet name"],
        id="names that Kubernetes refuses",
    ),
    pytest.param(
        {"cassandra_version": "", "cassandra_racks": [], "cassandra_storage": None},
        ["cassandra_version: is missing", "cassandra_racks: must have at least one rack", "cassandra_storage.size: is"],
        id="nothing given",
    ),
]


@pytest.fixture(scope="module")
def wanted(namespaces: Namespaces) -> Iterator[Datacenter]:
    """A datacenter whose automation may also read workers and storage classes."""
    with namespaces.fresh("bad") as namespace:
        reader = f"{namespace.name}-reader"
        rules = [
            {"apiGroups": [""], "resources": ["nodes", "namespaces"], "verbs": ["get", "list"]},
            {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["list"]},
        ]
        role, account = f"--clusterrole={reader}", f"--serviceaccount={namespace.name}:cassops"
        metadata = {"name": reader}
        group = "rbac.authorization.k8s.io/v1"
        namespace.cluster.apply([{"apiVersion": group, "kind": "ClusterRole", "metadata": metadata, "rules": rules}])
        try:
            namespace.cluster.kubectl("create", "clusterrolebinding", reader, role, account)
            yield Datacenter(namespace)
        finally:
            namespace.cluster.kubectl("delete", "clusterrole,clusterrolebinding", reader, "--ignore-not-found")


@pytest.mark.parametrize(("variables", "sentences"), WRONG)
def test_all_faults_at_once_and_nothing_touched(
    wanted: Datacenter, variables: dict[str, Any], sentences: list[str]
) -> None:
    wanted.changed(**variables).run("deploy").refused(*sentences)
    assert wanted.namespace.contents() == {}


def test_what_these_credentials_may_not_read_is_said_and_not_guessed(wanted: Datacenter) -> None:
    """Under the shipped Role alone."""
    namespace = wanted.namespace
    kubeconfig = namespace.account("alone", shipped_rules())
    plain = wanted.changed(
        cassandra_kubeconfig=str(kubeconfig),
        cassandra_storage={"class": "golden", "size": "1Gi"},
        cassandra_config={"concurent_reads": 1},
    )
    result = plain.run("deploy").refused("cassandra_config.concurent_reads")
    assert "golden" not in result.output
    assert namespace.contents() == {}
    checked = plain.changed(cassandra_config=None).run("deploy", "--check").ok()
    assert "storage classes were not checked" in checked.output
    assert "workers and zones were not checked" in checked.output


def test_missing_rights_are_named(wanted: Datacenter) -> None:
    rules = copy.deepcopy(shipped_rules())
    for rule in rules:
        if "statefulsets" in rule["resources"]:
            rule["verbs"] = ["get", "list", "watch", "patch", "delete"]
    rules = [rule for rule in rules if "pods/exec" not in rule["resources"]]
    kubeconfig = wanted.namespace.account("poor", rules)
    result = wanted.changed(cassandra_kubeconfig=str(kubeconfig)).run("deploy")
    result.refused("create statefulsets", "pods/exec", "pods/portforward", "extensions/kubernetes/rbac.yml")
    assert wanted.namespace.contents() == {}


def kubeconfig_of(wanted: Datacenter, name: str, **changes: Any) -> Path:
    return wanted.namespace.write_kubeconfig(wanted.namespace.output / name, "cassops", **changes)


def test_wrong_kubeconfigs_are_told_from_each_other(wanted: Datacenter, tmp_path: Path) -> None:
    broken, stranger = tmp_path / "broken", kubeconfig_of(wanted, "stranger")
    broken.write_text("{clusters: [")
    config = json.loads(stranger.read_text())
    config["users"][0]["user"]["token"] = "nobody"
    stranger.write_text(json.dumps(config))
    away = kubeconfig_of(wanted, "away", server="https://127.0.0.1:1")
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"cassandra_kubeconfig": str(tmp_path / "absent")}, [str(tmp_path / "absent"), "does not exist"]),
        ({"cassandra_kubeconfig": str(broken)}, [str(broken)]),
        ({"cassandra_context": "elsewhere"}, ["elsewhere", "test"]),
        ({"cassandra_kubeconfig": str(stranger)}, ["401"]),
        ({"cassandra_kubeconfig": str(away)}, ["127.0.0.1:1", "refused"]),
    ]
    for variables, sentences in cases:
        wanted.changed(**variables).run("deploy").refused(*sentences)
    assert wanted.namespace.contents() == {}


def test_a_namespace_that_does_not_exist_is_not_made_unasked(wanted: Datacenter) -> None:
    wanted.changed(cassandra_namespace=f"{wanted.namespace.name}-absent").run("deploy").refused("absent")
    names = [item["metadata"]["name"] for item in wanted.namespace.cluster.list("namespaces")]
    assert f"{wanted.namespace.name}-absent" not in names
