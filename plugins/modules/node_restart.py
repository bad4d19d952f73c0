#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: node_restart
short_description: Restart nodes of one rack of a Cassandra datacenter together, behind all gates
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - One batch of what M(cassops.kubernetes.rollout) does, for playbooks of your own.
  - Waits for the gates, restarts the nodes, which close CQL and drain first, and ends when they are up in every view,
    serve clients and have got their hints.
  - Refuses, as that one does, where what is pending is more than a restart (another line of Cassandra, another step
    of its storage format, a leap to TLS between nodes), and where O(low_rf) does not allow it.
  - First it holds back what a run that was killed had released and not restarted yet, also where O(nodes) is empty.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.rollout
  - cassops.kubernetes.rollout.limits
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - Tells which nodes would be restarted, or why they are refused; the gates are not looked at.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - A node that waits for nothing is not restarted, unless O(force) is set.
  in_process:
    support: full
options:
  nodes:
    description:
      - The nodes, by the names of their pods or in short (V(r1-0)). All of one rack.
    type: list
    elements: str
    default: []
  force:
    description:
      - Restart the nodes even if nothing is pending for them.
    type: bool
    default: false
  soak:
    description:
      - Seconds that the nodes must stay well afterwards.
    type: float
    default: 0.0
  low_rf:
    description:
      - As for M(cassops.kubernetes.rollout).
    type: str
    choices: [block, warn, ignore]
    default: block
  ignore:
    description:
      - Gates to go past, of V(streams), V(repairs), V(hints), V(disk) and V(compactions).
    type: list
    elements: str
    default: []
  free_disk:
    description:
      - Percent of a volume that must be free. Default is V(5).
    type: float
  compactions:
    description:
      - How many tasks may wait in a node's C(CompactionExecutor), such as those of a cleanup. That is not
        the estimate of C(nodetool compactionstats). Default is V(1000).
    type: int
"""

EXAMPLES = r"""
- name: Restart one node, although nothing is pending for it
  cassops.kubernetes.node_restart:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    nodes: [shop-dc1-r2-0]
    force: true
"""

RETURN = r"""
nodes:
  description: The nodes that were, or in check mode would be, restarted.
  returned: success
  type: list
  elements: str
  sample: [shop-dc1-r2-0]
batches:
  description: The batches, in order.
  returned: not in check mode
  type: list
  elements: dict
  sample:
    - rack: r1
      nodes: [shop-dc1-r1-0]
      canary: true
      why: proves the change before the others get it
      seconds: {gates: 0.4, down: 25.8, soak: 30.2, hints: 0.6}
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import node_restart

if __name__ == "__main__":
    main(node_restart)
