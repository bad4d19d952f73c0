# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live nodes of the datacenters in a namespace as hosts of an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nodes
short_description: Live Cassandra nodes as hosts
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Looks at the datacenters of this collection in one namespace, asks their nodes, and makes each node a host with the
    name of its pod. It changes nothing.
  - The file's name must end with C(nodes.yml) or C(nodes.yaml).
  - Every host is in the groups C(cassandra_nodes), C(cassandra_nodes_CLUSTER), C(cassandra_nodes_CLUSTER_DATACENTER)
    and C(cassandra_nodes_CLUSTER_DATACENTER_RACK). Characters that a group's name cannot have become C(_).
  - What is known of a node stands in variables. C(cassandra_node) is its name. Each other field of
    RV(cassops.kubernetes.datacenter_info#module:datacenter.nodes) has C(cassandra_node_) before its name, such as
    C(cassandra_node_rack), C(cassandra_node_zone), C(cassandra_node_worker), C(cassandra_node_address),
    C(cassandra_node_host_id), C(cassandra_node_state), C(cassandra_node_up) and C(cassandra_node_version).
  - With them come C(cassandra_node_cluster), C(cassandra_node_datacenter), C(cassandra_node_namespace),
    C(cassandra_node_context) where O(context) is given, and C(cassandra_node_kubeconfig) where O(kubeconfig) is a path.
  - A host runs its tasks where Ansible runs (C(ansible_connection=local)), for modules that take a node, such as
    M(cassops.kubernetes.nodetool).
notes:
  - The hosts have no C(cassandra_cluster), on purpose. Playbooks of this collection want one host a datacenter, and
    refuse a node. Keep the two kinds of inventory in files of their own.
  - Options about how to reach Kubernetes and O(superuser_secret) may be templates, for example with a lookup.
  - With the cache on, hosts are as old as the cache allows. No login is ever cached.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description:
      - Name of this plugin.
    type: str
    required: true
    choices: [cassops.kubernetes.nodes]
  cluster:
    description:
      - Only nodes of this Cassandra cluster. Default is every cluster in the namespace.
    type: str
  datacenter:
    description:
      - Only nodes of datacenters of this name. Default is every datacenter.
    type: str
  superuser_secret:
    description:
      - Name of the Secret with the login for the nodes. Default is the name of the cluster with C(-superuser).
        Where it does not exist only what Kubernetes knows is told.
    type: str
  ask:
    description:
      - Ask the nodes for their view, as M(cassops.kubernetes.datacenter_info) does.
      - With V(false) only Kubernetes is asked. That is quicker. Version, load and what others see are then unknown, and
        the state is that of the pod.
    type: bool
    default: true
seealso:
  - module: cassops.kubernetes.datacenter_info
"""

EXAMPLES = r"""
# shop_nodes.yml: all nodes in the namespace, by way of the current kubeconfig
plugin: cassops.kubernetes.nodes
namespace: cassandra
---
# More groups: zone_eu_west_1a, state_UN, version_5_0_9, and the nodes that wait for a restart
plugin: cassops.kubernetes.nodes
context: production
namespace: cassandra
cluster: shop
keyed_groups:
  - {prefix: zone, key: cassandra_node_zone}
  - {prefix: state, key: cassandra_node_state}
  - {prefix: version, key: cassandra_node_version}
groups:
  pending_restart: cassandra_node_pending_restart
strict: true
---
# Kubernetes alone, remembered for five minutes; the kubeconfig is named by the environment
plugin: cassops.kubernetes.nodes
kubeconfig: "{{ lookup('ansible.builtin.env', 'SHOP_KUBECONFIG') }}"
namespace: cassandra
ask: false
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.ansible/cassandra-nodes
cache_timeout: 300
"""

import sys
from collections.abc import Mapping
from typing import Any

from ansible import template
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.cassops.kubernetes.plugins.module_utils import kubeauth
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.nodes import look
from ansible_collections.cassops.kubernetes.plugins.module_utils.options import KUBERNETES

GROUP = "cassandra_nodes"
PREFIX = "cassandra_node"


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]  # ansible-core has no types
    """One file of this inventory is one namespace of one Kubernetes cluster."""

    NAME = "cassops.kubernetes.nodes"

    def verify_file(self, path: str) -> bool:
        """Whether the file is one of ours, by its name."""
        return super().verify_file(path) and path.endswith(("nodes.yml", "nodes.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory, from the cache where that is on and has it."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        for told in self._told(self.get_cache_key(path), cache):
            for node in told["nodes"]:
                self._add(told, node)

    def _told(self, key: str, may_read: bool) -> list[dict[str, Any]]:
        """The datacenters' facts. ``may_read`` is false where somebody wants the cache to be made anew."""
        if not self.get_option("cache"):
            return self._look()
        if not may_read or key not in self._cache:
            self._cache[key] = self._look()
        cached: list[dict[str, Any]] = self._cache[key]
        return cached

    def _look(self) -> list[dict[str, Any]]:
        options = {name: self._option(name) for name in (*KUBERNETES, "superuser_secret")}
        try:
            kube = Kube.connect(options)
            found = look(
                kube,
                self.get_option("cluster"),
                self.get_option("datacenter"),
                options["superuser_secret"],
                ask=self.get_option("ask"),
            )
        except CassopsError as error:
            raise AnsibleParserError(f"{self.NAME}: {error}") from error
        if not found:
            self.display.warning(f"{self.NAME}: namespace {kube.namespace} has no such datacenter that is deployed")
        where = {"namespace": kube.namespace, "context": options["context"]}
        if _is_path(options["kubeconfig"]):
            where["kubeconfig"] = options["kubeconfig"]
        return [{**told, **{name: str(value) for name, value in where.items() if value}} for told in found]

    def _option(self, name: str) -> Any:
        """An option that may be a template."""
        value = self.get_option(name)
        return self.templar.template(value) if isinstance(value, str) else value

    def _add(self, told: Mapping[str, Any], node: Mapping[str, Any]) -> None:
        """Add a node as a host, with its groups."""
        host = self.inventory.add_host(node["name"])
        facts = {name: value for name, value in node.items() if name != "name"}
        facts |= {
            name: told[name] for name in ("cluster", "datacenter", "namespace", "kubeconfig", "context") if name in told
        }
        variables = {
            PREFIX: _plain(node["name"]),
            **{f"{PREFIX}_{name}": _plain(value) for name, value in facts.items()},
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
        }
        for name, value in variables.items():
            self.inventory.set_variable(host, name, value)
        self._add_to_groups(host, told["cluster"], told["datacenter"], node["rack"])
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict=strict)

    def _add_to_groups(self, host: str, *words: str) -> None:
        """The host into the innermost of the groups that the words make, each the child of the one before."""
        group = self.inventory.add_group(GROUP)
        for number in range(len(words)):
            child = self.inventory.add_group(self._sanitize_group_name("_".join((GROUP, *words[: number + 1]))))
            self.inventory.add_child(group, child)
            group = child
        self.inventory.add_host(host, group=group)


def _plain(value: Any) -> Any:
    """The value, which must never be taken for a template: nodes may say anything."""
    if hasattr(template, "trust_as_template"):
        return value  # ansible-core 2.19 and later: only what is marked as trusted is a template.
    from ansible.utils.unsafe_proxy import wrap_var

    return wrap_var(value)


def _is_path(kubeconfig: Any) -> bool:
    """Whether it names files; a kubeconfig's content holds secrets, and must not become a variable of hosts."""
    return isinstance(kubeconfig, str) and not kubeauth.is_content(kubeconfig)
