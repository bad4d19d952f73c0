# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The datacenters of a play that a confirmation names: it is meant for one."""

from __future__ import annotations

DOCUMENTATION = r"""
name: confirmed
short_description: The datacenters of a play that a confirmation names
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Picks, among the variables of the hosts of a play, those that a confirmation names, by C(datacenter) or by
    C(cluster/datacenter), and returns a word about each. Two clusters may have a datacenter of the same name.
positional: confirm, variable
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
  confirm:
    description: What was repeated, as one of the hosts has it.
    type: str
    required: true
  variable:
    description:
      - Name of the variable that it stands in. A host where that has another value is not meant; one that does not
        have it is, since variables of plays and roles are those of all hosts and are not among these.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Who is meant?
  ansible.builtin.debug:
    msg: "{{ hosts | cassops.kubernetes.confirmed(destroy_confirm, 'destroy_confirm') }}"
  vars:
    hosts: "{{ ansible_play_hosts_all | map('extract', hostvars) }}"
"""

RETURN = r"""
_value:
  description: The host and the datacenter of each, such as V(dublin (shop/dc1\)).
  type: list
  elements: str
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.cassops.kubernetes.plugins.module_utils import confirmation


def confirmed(hosts: Iterable[Mapping[str, Any]], confirm: str, variable: str) -> list[str]:
    """A word about each host that is named."""
    told = []
    for host in hosts:
        cluster, name = host.get("cassandra_cluster"), host["inventory_hostname"]
        datacenter = host.get("cassandra_datacenter") or name
        if cluster and host.get(variable, confirm) == confirm and confirmation.names(confirm, cluster, datacenter):
            told.append(f"{name} ({cluster}/{datacenter})")
    return told


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"confirmed": confirmed}
