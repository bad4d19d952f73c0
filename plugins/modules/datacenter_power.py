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
  - Started, nodes that are held because the whole cluster was away without a stop, for longer than
    C(gc_grace_seconds), are let go when O(after_outage) says so. It is told when each of them served last.
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
  after_outage:
    description:
      - Every node is held because the whole cluster was away without a stop, such as in a Kubernetes that was switched
        off, and this counts as no downtime.
      - It is refused as long as anybody may have served meanwhile, that is where a node runs, is held for another
        reason (but for an empty volume), or where the cluster has other datacenters.
      - What was deleted in the moments between the ends of the nodes may come back until M(cassops.kubernetes.heal) has
        repaired each of them, which it does when it is run next.
      - Where no node is held for that reason it changes nothing.
    type: bool
    default: false
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

- name: Start it after its Kubernetes was switched off for two weeks
  cassops.kubernetes.datacenter_power:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    state: started
    after_outage: true
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
