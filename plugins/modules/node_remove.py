#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: node_remove
short_description: Remove a dead member from the ring of a Cassandra cluster
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - For a member that will not come back and that nobody is to replace. The others stream to each other what it held
    (C(nodetool removenode)), and then own its ranges. A node of another datacenter leads that where none is left in the
    member's own.
  - Cassandra ends a removal also where a receiver's stream failed, and says so only in that one's log. So the logs of
    all nodes since the beginning are read at the end, and the task fails where one has it. As logs are kept for a while
    only, a repair is due after each removal; the playbook C(repair) does not count what was repaired before it.
  - Refused for a member that any view has alive, for a node that its StatefulSet still wants or that is another
    datacenter's, while anybody else is down or leaves, in the middle of an upgrade, where rows may be lost that
    O(accept_loss) does not name, where what it held has no room on the others, and below the replicas of a keyspace.
  - Refused, too, while nodes of the member's datacenter hold rows of ranges that they have given away, as noted by
    M(cassops.kubernetes.scale). Where they own those again, what was deleted since would come back. See
    M(cassops.kubernetes.cleanup). Where rows may be lost that O(accept_loss) names, those may be the last copies, so
    nobody has to clean up then; it warns of them.
  - It does not begin before all cleanups (C(nodetool cleanup)) have ended, which would delete what others get.
  - The ledger forgets the node; a volume that is left of it is held if it ever comes back.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.rollout
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The member, and afterwards none.
  idempotent:
    support: full
    details:
      - A member that nobody knows any more is removed. Where streams of it failed, that is warned of.
  in_process:
    support: full
options:
  host_id:
    description:
      - The member's host id.
    type: str
  address:
    description:
      - The member's address in the ring, for one without a host id.
    type: str
  accept_loss:
    description:
      - Keyspaces of which rows may be lost. A refusal lists those that have to be named.
    type: list
    elements: str
    default: []
  ignore:
    description:
      - Refusals to go past. V(space) - the others may not have room for what it held.
    type: list
    elements: str
    choices: [space]
    default: []
  force:
    description:
      - End a removal that was begun and does not end, because a receiver died (C(nodetool removenode force)). One that
        lives and whose stream failed does not keep it from ending. What was not streamed must then be brought by a full
        repair. Others may be down then, but nobody may leave, since Cassandra would end that too.
    type: bool
    default: false
  assassinate:
    description:
      - Only make the others forget the address (C(nodetool assassinate)). Nothing is streamed, so it is taken for
        addresses that own nothing, and as the last resort for a removal that was begun and does not end.
    type: bool
    default: false
  wait_timeout:
    description:
      - Limit in seconds for the others to take over its ranges.
    type: int
    default: 86400
"""

EXAMPLES = r"""
- name: A node that left without goodbye
  cassops.kubernetes.node_remove:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    host_id: 6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a

- name: An address that gossip does not forget
  cassops.kubernetes.node_remove:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    address: 198.19.3.7
    assassinate: true
"""

RETURN = r"""
changes:
  description: What was done; in check mode what would be done.
  returned: success
  type: list
  elements: str
  sample: ["removenode 6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a (198.19.3.7)"]
removed:
  description: The member as it was found, null where nobody knows it any more.
  returned: success
  type: dict
  contains:
    address: {description: Its address in the ring., type: str, sample: 198.19.3.7}
    host_id: {description: Its host id., type: str, sample: 6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a}
    tokens: {description: Number of its tokens., type: int, sample: 16}
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import node_remove

if __name__ == "__main__":
    main(node_remove)
