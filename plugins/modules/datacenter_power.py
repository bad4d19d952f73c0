#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: datacenter_power
short_description: A Cassandra datacenter is stopped with everything it has, or started again
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Stopped, every node is drained and no pod is left; volumes, Services, addresses and the ledger stay. Started, all
    nodes come back at once, with the same host ids and rows.
  - While it is stopped every other change is refused.
  - Where it is the whole cluster, the time counts as no downtime. Nobody missed anything, so nothing is held
    or repaired because of it. Where other datacenters went on, what hints do not cover is repaired by
    M(cassops.kubernetes.heal).
  - It is not stopped while an upgrade waits for its restart, since starting would bring that to all nodes at once.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.rollout
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - It is told whether anything would change.
  diff_mode:
    support: none
    details:
      - The results tell what is changed.
  idempotent:
    support: full
  in_process:
    support: full
options:
  state:
    description:
      - What it shall be.
    type: str
    choices: [started, stopped]
    required: true
  drain_timeout:
    description:
      - Limit in seconds of draining a node.
    type: int
    default: 300
  wait_timeout:
    description:
      - Limit in seconds of the wait for the nodes to stop, or to be up in every view.
    type: int
    default: 1800
"""

EXAMPLES = r"""
- name: Stop it over night
  cassops.kubernetes.datacenter_power:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    state: stopped
"""

RETURN = r"""
changes:
  description: What was done, in order.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: [all nodes are stopped]
stopped:
  description: Whether it is stopped.
  returned: success, and where something was done before a failure
  type: bool
  sample: true
nodes:
  description: The nodes that belong to it.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: [shop-dc1-r1-0]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter_power

if __name__ == "__main__":
    main(datacenter_power)
