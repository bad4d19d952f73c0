#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cleanup
short_description: Delete rows of ranges that nodes of a Cassandra datacenter have given away
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Runs C(nodetool flush) and C(nodetool cleanup) rack by rack, the nodes of a rack at the same time. By default on
    those that lost ranges to nodes that joined, as noted by M(cassops.kubernetes.scale).
  - Refused while a node joins, leaves, or takes the place of a dead one. A dead member that does none of it is not in
    the way; one that no StatefulSet wants any more, and that has no pod, is left out.
  - A node that does not run keeps no other from being cleaned; the task fails at the end, and it stays noted.
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
      - The nodes are told; nothing is done.
  diff_mode:
    support: none
    details:
      - The results tell what is changed.
  idempotent:
    support: full
  in_process:
    support: full
options:
  all:
    description:
      - Clean every node, not only those that are known to need it.
    type: bool
    default: false
  jobs:
    description:
      - SSTables that a node cleans at a time; V(0) is as many as it compacts.
    type: int
    default: 1
  node_timeout:
    description:
      - Limit in seconds of the cleanup of a node.
    type: int
    default: 86400
"""

EXAMPLES = r"""
- name: Clean up what needs it
  cassops.kubernetes.cleanup:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
"""

RETURN = r"""
nodes:
  description: The nodes that were cleaned; in check mode those that would be.
  returned: success
  type: list
  elements: str
  sample: [shop-dc1-r1-0]
needs_cleanup:
  description: Nodes that hold rows of ranges that are not theirs any more, after it.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import cleanup

if __name__ == "__main__":
    main(cleanup)
