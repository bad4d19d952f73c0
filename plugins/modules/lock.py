#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: lock
short_description: Hold the lock of a Cassandra cluster over several tasks
version_added: 0.1.0
author:
  - cassops contributors (@cassops)
description:
  - Every module of this collection that changes a cluster takes its lock by itself and lets go of it at its end. With
    this module a playbook holds it over several tasks, so that nobody else gets in between.
  - The modules of this collection in the same run of C(ansible-playbook) take it along, and renew it.
  - It is free again when it was not renewed for 60 seconds. A task of your own that takes longer must not be between.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  in_process:
    support: full
options:
  cluster:
    description:
      - Name of the Cassandra cluster, as in C(cassandra_cluster).
    type: str
    required: true
  state:
    description:
      - V(present) takes it, or fails with the name of who holds it. V(absent) lets go of it, if this run holds it.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - Seconds to wait for another run to let go of it.
    type: float
    default: 0.0
  peers:
    description:
      - The other datacenters of the same cluster, whose namespaces have the lock too.
    type: list
    elements: dict
    default: []
    suboptions:
      datacenter:
        description: Name of the other datacenter.
        type: str
        required: true
      kubeconfig:
        description: As O(kubeconfig), for the other datacenter.
        type: raw
      context:
        description: As O(context), for the other datacenter.
        type: str
      namespace:
        description: As O(namespace), for the other datacenter.
        type: str
      host:
        description: As O(host), for the other datacenter.
        type: str
      api_key:
        description: As O(api_key), for the other datacenter.
        type: str
      username:
        description: As O(username), for the other datacenter.
        type: str
      password:
        description: As O(password), for the other datacenter.
        type: str
      validate_certs:
        description: As O(validate_certs), for the other datacenter.
        type: bool
      ca_cert:
        description: As O(ca_cert), for the other datacenter.
        type: path
      client_cert:
        description: As O(client_cert), for the other datacenter.
        type: path
      client_key:
        description: As O(client_key), for the other datacenter.
        type: path
      tls_server_name:
        description: As O(tls_server_name), for the other datacenter.
        type: str
      proxy:
        description: As O(proxy), for the other datacenter.
        type: str
      no_proxy:
        description: As O(no_proxy), for the other datacenter.
        type: str
      impersonate_user:
        description: As O(impersonate_user), for the other datacenter.
        type: str
      impersonate_groups:
        description: As O(impersonate_groups), for the other datacenter.
        type: list
        elements: str
"""

EXAMPLES = r"""
- name: Nobody else changes the cluster meanwhile
  block:
    - cassops.kubernetes.lock:
        namespace: cassandra
        cluster: shop
    - cassops.kubernetes.node_restart:
        namespace: cassandra
        cluster: shop
        datacenter: dc1
        nodes: [shop-dc1-r1-0]
        force: true
  always:
    - cassops.kubernetes.lock:
        namespace: cassandra
        cluster: shop
        state: absent
"""

RETURN = r"""
holder:
  description: What this run is called in the lock.
  returned: success
  type: str
  sample: ada@host pid 4711
name:
  description: Name of the Lease.
  returned: success
  type: str
  sample: shop-lock
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import lock

if __name__ == "__main__":
    main(lock)
