#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: node_decommission
short_description: A Cassandra node leaves the ring, and its rack is one node smaller
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Behind the gates, C(nodetool decommission) streams what the node holds to the others. It has left when it
    says so itself and every other view has lost it; then its place, its Service and its line in the ledger go.
  - Only the highest number of a rack can leave, since a StatefulSet gives up no other.
  - The run may be killed; the next one takes a decommission up wherever it stands. For one that has left
    nothing is changed.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.rollout
  - cassops.kubernetes.scaling
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - The step is told, and refused if it may not be taken; nothing is done.
  diff_mode:
    support: none
    details:
      - The results tell what is changed.
  idempotent:
    support: full
  in_process:
    support: full
options:
  name:
    description:
      - The node; its rack and number, such as V(r1-2), are enough.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: The third node of rack r1 leaves
  cassops.kubernetes.node_decommission:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    name: r1-2
"""

RETURN = r"""
changes:
  description: What was done, in order; in check mode the steps that would be taken.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: [r1-1 has left after 41 s]
moved:
  description: The nodes that left.
  returned: success, and where something was done before a failure
  type: list
  elements: dict
  contains:
    node: {description: Name of the node., type: str, sample: shop-dc1-r1-1}
    step: {description: V(join) or V(leave)., type: str, sample: leave}
    seconds: {description: 'What Cassandra took for it, with its start.', type: float, sample: 41.2}
left:
  description: The steps that are left.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: []
needs_cleanup:
  description: Nodes that hold rows of ranges that are not theirs any more.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: []
ownership:
  description:
    - Node by node, the part of the data that it holds, in percent, of the keyspace with the most replicas here.
  returned: success, and where something was done before a failure
  type: dict
  contains:
    before: {description: Before the first step., type: dict, sample: {shop-dc1-r1-0: 50.0, shop-dc1-r1-1: 50.0}}
    after: {description: After the last., type: dict, sample: {shop-dc1-r1-0: 100.0}}
seconds:
  description: What all of it took.
  returned: success, and where something was done before a failure
  type: float
  sample: 131.4
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import node_decommission

if __name__ == "__main__":
    main(node_decommission)
