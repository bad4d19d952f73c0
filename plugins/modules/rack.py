#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: rack
short_description: One step of a rack of a Cassandra datacenter towards a number of nodes
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Lets one node join the rack, or its highest one leave, behind the same gates and with the same proofs as
    M(cassops.kubernetes.scale), of which it is one step.
  - What a killed run has left behind in any rack is finished first. RV(left) tells what is left for the next step.
  - Configuration is not touched; a node that joins gets what its neighbours run.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.desired
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
      - Name of the rack, one of O(racks) unless O(nodes=0).
    type: str
    required: true
  nodes:
    description:
      - The number of nodes to go towards. V(0) removes the rack.
    type: int
    required: true
  variable_prefix:
    description:
      - Put before the name of each option that describes the datacenter, in messages.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: One node more in rack r1, up to two
  cassops.kubernetes.rack:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    version: 5.0.9
    storage: {size: 100Gi}
    racks: [{name: r1, zone: zone-a, nodes: 2}]
    name: r1
    nodes: 2
"""

RETURN = r"""
changes:
  description: What was done, in order; in check mode the steps that would be taken.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: [r1-1 has joined after 41 s]
moved:
  description: The nodes that joined or left.
  returned: success, and where something was done before a failure
  type: list
  elements: dict
  contains:
    node: {description: Name of the node., type: str, sample: shop-dc1-r1-1}
    step: {description: V(join) or V(leave)., type: str, sample: join}
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
    before: {description: Before the first step., type: dict, sample: {shop-dc1-r1-0: 100.0}}
    after: {description: After the last., type: dict, sample: {shop-dc1-r1-0: 50.0, shop-dc1-r1-1: 50.0}}
seconds:
  description: What all of it took.
  returned: success, and where something was done before a failure
  type: float
  sample: 131.4
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import rack

if __name__ == "__main__":
    main(rack)
