# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other datacenters of a cluster, out of the inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: peers
short_description: The other datacenters of the same cluster in the inventory
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Picks, among the variables of all hosts, those of the same C(cassandra_cluster) other than this host, and returns
    for each what O(cassops.kubernetes.datacenter#module:peers) wants.
  - Where any of the cluster's hosts has C(cassandra_superuser_secret), each is returned with the name of its own.
positional: me, cluster, going
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
  me:
    description: Name of this host in the inventory.
    type: str
    required: true
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  going:
    description:
      - Hosts of a play that takes datacenters away. Those of them whose C(destroy_confirm) repeats their own name are
        left out, with or without the cluster's before it; the play leaves the others as they are.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Who else is there?
  ansible.builtin.debug:
    msg: "{{ hosts | cassops.kubernetes.peers(inventory_hostname, cassandra_cluster) }}"
  vars:
    hosts: "{{ groups['all'] | map('extract', hostvars) }}"
"""

RETURN = r"""
_value:
  description: One mapping a datacenter, with its name, how to reach its Kubernetes, and its Secret.
  type: list
  elements: dict
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ansible_collections.cassops.kubernetes.plugins.module_utils import confirmation

OPTIONS = ("kubeconfig", "context", "namespace")


def peers(
    hosts: Iterable[Mapping[str, Any]], me: str, cluster: str, going: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Datacenter and connection of every other host of the cluster.

    :param going: hosts that a play takes away; one counts only where its C(destroy_confirm) repeats its own name.
    """
    members = [host for host in hosts if host.get("cassandra_cluster") == cluster]
    others = [host for host in members if host["inventory_hostname"] != me]
    going_on = [host for host in others if host["inventory_hostname"] not in going or not is_confirmed(host)]
    # Names may differ by datacenter; where nobody has one, it is what the play says of all of them.
    by_host = any(host.get("cassandra_superuser_secret") for host in members)
    return [{**peer(host), **({"superuser_secret": secret_of(host)} if by_host else {})} for host in going_on]


def is_confirmed(host: Mapping[str, Any]) -> bool:
    return confirmation.names(host.get("destroy_confirm"), host["cassandra_cluster"], peer(host)["datacenter"])


def secret_of(host: Mapping[str, Any]) -> str:
    return str(host.get("cassandra_superuser_secret") or f"{host['cassandra_cluster']}-superuser")


def peer(host: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: host[f"cassandra_{name}"] for name in OPTIONS if host.get(f"cassandra_{name}")}
    return {"datacenter": host.get("cassandra_datacenter") or host["inventory_hostname"], **options}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"peers": peers}
