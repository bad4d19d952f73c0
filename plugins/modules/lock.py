#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: lock
short_description: Hold the lock of a Cassandra cluster over several tasks
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Every module of this collection that changes a cluster takes its lock by itself and lets go of it at its end. With
    this module a playbook holds it over several tasks, so that nobody else gets in between.
  - The modules of this collection in the same run of C(ansible-playbook) take it along, and renew it.
  - It is free again when it was not renewed for 60 seconds. A task of your own that takes longer must not be between.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.peers
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
