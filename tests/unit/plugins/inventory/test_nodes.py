# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory as Ansible reads it from a file, over a namespace in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.doc_fragments import constructed, inventory_cache
from ansible.template import Templar
from ansible.utils.display import Display
from unit.plugins.module_utils.fake_cassandra import FakeCassandra
from unit.plugins.module_utils.fake_kube import FakeKube

from ansible_collections.cassops.kubernetes.plugins.doc_fragments import kubernetes
from ansible_collections.cassops.kubernetes.plugins.inventory.nodes import DOCUMENTATION, InventoryModule
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter

NODES = ["shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"]
WANTED: dict[str, Any] = {
    "cluster": "shop",
    "datacenter": "dc1",
    "version": "5.0.9",
    "racks": [{"name": f"r{number}", "zone": zone, "nodes": 1} for number, zone in enumerate("abc", 1)],
    "storage": {"size": "1Gi"},
    "state": "present",
    "peers": [],
    "wait_timeout": 5,
    "create_namespace": False,
    "delete_volumes": False,
    "variable_prefix": "cassandra_",
}


NAME = InventoryModule.NAME


def plugin() -> InventoryModule:
    """The plugin with its options, which Ansible's loader gives it: a test has no loader of collections."""
    fragments = [item.ModuleDocFragment.DOCUMENTATION for item in (constructed, inventory_cache, kubernetes)]
    options: dict[str, Any] = {}
    for text in (*fragments, DOCUMENTATION):
        options |= yaml.safe_load(text)["options"]
    constants.config.initialize_plugin_configuration_definitions("inventory", NAME, options)
    made = InventoryModule()
    made._load_name, made._redirected_names = NAME, [NAME]
    return made


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> FakeKube:
    """A namespace with the datacenter dc1 of the cluster shop."""
    ring = FakeCassandra().install(monkeypatch)
    made = FakeKube(ring)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    datacenter.run(WANTED, Context(connect=lambda params: cast(Kube, made)))
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, kube: FakeKube) -> list[dict[str, Any]]:
    """The options of every client that is made; it is that of the namespace in memory."""
    options: list[dict[str, Any]] = []

    def connect(given: dict[str, Any]) -> FakeKube:
        options.append(dict(given))
        return kube

    monkeypatch.setattr(Kube, "connect", connect)
    return options


Read = Callable[..., InventoryManager]


@pytest.fixture
def read(tmp_path: Path, asked: list[dict[str, Any]]) -> Read:
    """Reads the inventory of a file with these options, strictly."""

    def from_file(fresh: bool = False, **options: Any) -> InventoryManager:
        file = tmp_path / "shop_nodes.yml"
        file.write_text(yaml.safe_dump({"plugin": NAME, **options}))
        loader = DataLoader()
        inventory = InventoryManager(loader=loader)
        ours = plugin()
        ours.parse(inventory._inventory, loader, str(file), cache=not fresh)
        if options.get("cache"):
            ours.update_cache_if_changed()
        inventory._inventory.reconcile_inventory()
        return inventory

    return from_file


def variables(inventory: InventoryManager, host: str) -> dict[str, Any]:
    found: dict[str, Any] = inventory.get_host(host).get_vars()
    return found


def groups(inventory: InventoryManager) -> dict[str, list[str]]:
    """Group -> names of its hosts, without Ansible's own groups."""
    return {
        name: sorted(host.name for host in group.get_hosts())
        for name, group in inventory.groups.items()
        if name not in ("all", "ungrouped")
    }


def test_every_node_is_a_host_in_the_groups_of_its_cluster_datacenter_and_rack(read: Read) -> None:
    found = groups(read())
    assert found == {
        "cassandra_nodes": NODES,
        "cassandra_nodes_shop": NODES,
        "cassandra_nodes_shop_dc1": NODES,
        **{f"cassandra_nodes_shop_dc1_{rack}": [f"shop-dc1-{rack}-0"] for rack in ("r1", "r2", "r3")},
    }


def test_a_host_has_what_is_known_of_its_node(read: Read, kube: FakeKube) -> None:
    found = variables(read(context="production"), NODES[1])
    ledger = kube.ledger()
    wanted = {
        "cassandra_node": NODES[1],
        "cassandra_node_cluster": "shop",
        "cassandra_node_datacenter": "dc1",
        "cassandra_node_namespace": "ns",
        "cassandra_node_context": "production",
        "cassandra_node_rack": "r2",
        "cassandra_node_zone": "b",
        "cassandra_node_worker": "worker",
        "cassandra_node_address": ledger.address(NODES[1]),
        "cassandra_node_host_id": ledger.host_id(NODES[1]),
        "cassandra_node_state": "UN",
        "cassandra_node_up": True,
        "cassandra_node_version": "5.0.9",
        "cassandra_node_pending_restart": False,
        "ansible_connection": "local",
    }
    assert {name: found[name] for name in wanted} == wanted


def test_a_host_is_none_for_the_playbooks_of_datacenters(read: Read) -> None:
    assert "cassandra_cluster" not in variables(read(), NODES[0])


def test_a_node_that_is_down_is_a_host_too(read: Read, kube: FakeKube) -> None:
    kube.ring.down.add(NODES[2])
    found = variables(read(), NODES[2])
    assert (found["cassandra_node_up"], found["cassandra_node_state"]) == (False, "DN")


def test_without_asking_the_nodes_only_kubernetes_is_asked(read: Read, kube: FakeKube) -> None:
    kube.ring.statements.clear()
    found = variables(read(ask=False), NODES[0])
    assert (found["cassandra_node_state"], found["cassandra_node_version"]) == ("ready", None)
    assert kube.ring.statements == []


@pytest.mark.parametrize("options", [{"cluster": "other"}, {"datacenter": "dc2"}])
def test_only_what_is_wanted(read: Read, options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda self, text, *more: warnings.append(text))
    assert read(**options).get_hosts() == []
    assert f"{NAME}: namespace ns has no such datacenter that is deployed" in warnings
    assert len(read(cluster="shop", datacenter="dc1").get_hosts()) == 3


def test_a_destroyed_datacenter_has_no_nodes(read: Read, kube: FakeKube) -> None:
    absent = {**WANTED, "state": "absent", "confirm": "dc1"}
    datacenter.run(absent, Context(connect=lambda params: cast(Kube, kube)))
    assert read().get_hosts() == []


def test_constructed_groups_and_variables(read: Read) -> None:
    found = read(
        keyed_groups=[{"prefix": "zone", "key": "cassandra_node_zone"}],
        groups={"second": "cassandra_node_rack == 'r2'"},
        compose={"where": "cassandra_node_rack ~ ' in ' ~ cassandra_node_zone"},
        strict=True,
    )
    assert groups(found)["zone_b"] == groups(found)["second"] == [NODES[1]]
    assert variables(found, NODES[1])["where"] == "r2 in b"


def test_strict_tells_what_cannot_be_computed(read: Read) -> None:
    wrong = {"x": "cassandra_node_nonsense ~ ''"}
    with pytest.raises(AnsibleError, match="Could not set x for host shop-dc1-r1-0"):
        read(compose=wrong, strict=True)
    assert "x" not in variables(read(compose=wrong, strict=False), NODES[0])


def test_options_may_be_templates(
    read: Read, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(tmp_path / "kubeconfig")
    monkeypatch.setenv("SHOP_KUBECONFIG", path)
    found = read(kubeconfig="{{ lookup('env', 'SHOP_KUBECONFIG') }}")
    assert asked[-1]["kubeconfig"] == path
    assert variables(found, NODES[0])["cassandra_node_kubeconfig"] == path


@pytest.mark.parametrize(
    "kubeconfig",
    [
        "users:\n- token: very-secret\n",
        '{"users": [{"token": "very-secret"}]}',
        {"users": [{"token": "very-secret"}]},
    ],
)
def test_the_content_of_a_kubeconfig_is_no_variable(read: Read, kubeconfig: Any) -> None:
    found = read(kubeconfig=kubeconfig, api_key="very-secret")
    assert "very-secret" not in json.dumps([variables(found, node) for node in NODES], default=str)


def test_what_a_node_says_is_no_template(read: Read, kube: FakeKube) -> None:
    """A pod's words must not run as code where Ansible runs."""
    kube.held[NODES[0]] = "{{ lookup('ansible.builtin.pipe', 'id') }}"
    kube.ring.doors[NODES[0]] = "off"
    kube.kubelet = lambda: None  # type: ignore[method-assign]
    said = variables(read(), NODES[0])["cassandra_node_held"]
    assert said == kube.held[NODES[0]]
    assert Templar(loader=DataLoader(), variables={}).template(said) == kube.held[NODES[0]]


def test_the_cache_spares_the_look_until_it_is_made_anew(
    read: Read, asked: list[dict[str, Any]], tmp_path: Path, kube: FakeKube
) -> None:
    options = {
        "cache": True,
        "cache_plugin": "jsonfile",
        "cache_connection": str(tmp_path / "cache"),
        "api_key": "very-secret",
    }
    first = read(**options)
    kube.ring.down.add(NODES[2])
    again = read(**options)
    assert len(asked) == 1
    assert [variables(found, NODES[2])["cassandra_node_state"] for found in (first, again)] == ["UN", "UN"]
    assert variables(read(fresh=True, **options), NODES[2])["cassandra_node_state"] == "DN"
    kept = "".join(file.read_text() for file in (tmp_path / "cache").iterdir())
    assert "shop-dc1-r3-0" in kept
    assert "very-secret" not in kept


def test_an_error_is_a_sentence(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(options: Any) -> Any:
        raise CassopsError("The kubeconfig /x does not exist.")

    monkeypatch.setattr(Kube, "connect", refuse)
    with pytest.raises(AnsibleError, match=r"cassops\.kubernetes\.nodes: The kubeconfig /x does not exist\."):
        read()


@pytest.mark.parametrize(
    ("name", "ours"), [("nodes.yml", True), ("shop_nodes.yaml", True), ("hosts.yml", False), ("nodes.json", False)]
)
def test_files_are_known_by_their_names(tmp_path: Path, name: str, ours: bool) -> None:
    (tmp_path / name).write_text("plugin: cassops.kubernetes.nodes\n")
    assert InventoryModule().verify_file(str(tmp_path / name)) is ours
