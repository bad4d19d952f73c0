#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: repair
short_description: Compare all replicas of a Cassandra datacenter, and make them alike
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Runs C(nodetool repair -pr -full), one keyspace on one node after the other, what was repaired longest ago first.
  - What was repaired within O(max_age) is left out, by Cassandra's own record
    (C(system_distributed.parent_repair_history), which is kept for 30 days), whoever repaired it. So a run that was
    killed is finished by the next.
  - Each node repairs the ranges of which it is the first replica, so a keyspace is repaired when the nodes of all its
    datacenters are through. Keyspaces without a second replica are left out, and so are C(system_traces) and
    C(system_distributed).
  - Before each of them it waits until all nodes are well, no repair works on the node, and no other operation changes
    the cluster. It does not lock the cluster itself. A second repair at the same time is refused.
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
      - What is due is told; nothing is done.
  diff_mode:
    support: none
    details:
      - The results tell what is changed.
  idempotent:
    support: full
  in_process:
    support: full
options:
  keyspaces:
    description:
      - Only these keyspaces. Default is all that have several replicas.
    type: list
    elements: str
    default: []
  max_age:
    description:
      - Repair what was not repaired within so many seconds; V(0) is everything. Together with the time between two runs
        and that of a run itself it must stay below the C(gc_grace_seconds) of the tables, ten days by default.
    type: int
    default: 432000
  begin_within:
    description:
      - Begin no further one after so many seconds; what is under way is finished. V(0) is no limit.
    type: int
    default: 0
  jobs:
    description:
      - Tables that are repaired at the same time, 1 to 4.
    type: int
    default: 1
  sequential:
    description:
      - Have the replicas read their rows one after the other, from snapshots, so that only one of them is busy. It
        takes longer.
    type: bool
    default: false
  gate_timeout:
    description:
      - Seconds to wait, before each node, for the cluster to be well and for other operations to end.
    type: int
    default: 3600
  node_timeout:
    description:
      - Limit in seconds of one keyspace on one node.
    type: int
    default: 86400
  option_prefix:
    description:
      - Put before the names of options in messages; roles set it.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Repair what was not repaired for five days
  cassops.kubernetes.repair:
    namespace: cassandra
    cluster: shop
    datacenter: dc1

- name: Begin with what is due, for four hours a night
  cassops.kubernetes.repair:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    keyspaces: [orders, customers]
    begin_within: 14400
"""

RETURN = r"""
repaired:
  description: What was repaired, in this order.
  returned: always
  type: list
  elements: dict
  contains:
    node:
      description: The node.
      type: str
      sample: shop-dc1-r1-0
    keyspace:
      description: The keyspace.
      type: str
      sample: orders
    seconds:
      description: How long it took, with the wait before it.
      type: float
      sample: 318.4
due:
  description: What is left to be repaired on this datacenter's nodes, oldest first; in check mode all of it.
  returned: always
  type: list
  elements: dict
  contains:
    node:
      description: The node.
      type: str
      sample: shop-dc1-r2-1
    keyspace:
      description: The keyspace.
      type: str
      sample: orders
    last:
      description: When its oldest part was repaired last; null where that is not on record.
      type: str
      sample: "2026-11-19T02:00:14Z"
repaired_until:
  description: Keyspace -> up to when all of it is repaired, in all datacenters; null where that is not on record.
  returned: always
  type: dict
  sample:
    orders: "2026-11-24T02:00:14Z"
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import repair

if __name__ == "__main__":
    main(repair)
