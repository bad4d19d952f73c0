#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: scale
short_description: Racks and numbers of nodes of a Cassandra datacenter, one node after the other
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Brings a living datacenter to the racks and numbers of nodes that are wanted. Nodes join one at a time, in the rack
    with the fewest; then Cassandra's own keyspaces, the logins above all, get the replicas that so many nodes should
    have, three or as many as there are; then those that lost ranges are cleaned up, rack by rack; then nodes leave one
    at a time, the highest number of a rack first.
  - The plan is made anew before each step, from what is there, so a run that was killed is gone on with by the next
    one. What joins or leaves already is finished first.
  - Before each step the ring must be whole in every view of every datacenter. A node has left when it says so itself
    and every other view has lost it.
  - Refused before anything moves are numbers below the replicas of a keyspace, fewer racks than replicas, and leaving
    where the others have no room for what they would get.
  - Configuration is not touched; a node that joins gets what its neighbours run.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.desired
  - cassops.kubernetes.scaling
  - cassops.kubernetes.scaling.volumes
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - The steps are told, and refused if they may not be taken; nothing is done.
  diff_mode:
    support: none
    details:
      - RV(changes) and RV(ownership) tell what is changed.
  idempotent:
    support: full
  in_process:
    support: full
options:
  retire:
    description:
      - Nodes that are to be among those that leave, such as V(r1-2). Where they would not be, that is refused with the
        reason, since Kubernetes takes the highest number of a rack first.
    type: list
    elements: str
    default: []
  nodes:
    description:
      - Numbers of nodes of some racks, in the place of those in O(racks). For schedules and surveys, which change
        numbers while the rest of the inventory stays.
      - JSON and a text such as V(r1=2 r2=2 r3=2) will do.
    type: dict
    default: {}
  variable_prefix:
    description:
      - Put before the name of each option that describes the datacenter, in messages.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Six nodes in three racks
  cassops.kubernetes.scale:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    version: 5.0.9
    storage: {size: 100Gi}
    racks:
      - {name: r1, zone: zone-a, nodes: 2}
      - {name: r2, zone: zone-b, nodes: 2}
      - {name: r3, zone: zone-c, nodes: 2}
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
replaced:
  description: The nodes that gave their volumes up for others, as M(cassops.kubernetes.node_replace) returns them.
  returned: success
  type: list
  elements: dict
  sample: []
needs_restart:
  description:
    - Nodes whose volumes have grown and whose file systems grow when their pods start, as far as it is known three
      minutes after the storage was done.
  returned: success
  type: list
  elements: str
  sample: []
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
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import scale

if __name__ == "__main__":
    main(scale)
