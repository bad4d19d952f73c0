#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: node_replace
short_description: Replace one dead node of a Cassandra datacenter
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Gives up the volume of a dead node. A new node with an empty volume takes its place, with its address, its host id
    and its tokens, on a worker that is there, and streams its data from the others.
  - A plan is written to Kubernetes before anything is deleted. Volume claim and pod are deleted by their UIDs. The end
    is proved in every view. Where hints do not cover what was missed, the node's ranges are repaired.
  - The name is the consent to give up a volume that M(cassops.kubernetes.heal) would ask about, such as one that is
    corrupt, or on a worker that is cordoned. Nothing else is consent. A node that any view has alive is left as it
    is; where a quorum of the replicas of a range is dead O(accept_loss) has to name the keyspaces; a worker that does
    not answer has to be deleted from Kubernetes, named in O(workers_off), or have the taint
    C(node.kubernetes.io/out-of-service).
  - The run may be killed at any moment; the next one goes on with the same dead node. A second run at the same time is
    refused.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.rollout
  - cassops.kubernetes.healing
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - The decision is made and told, or refused; nothing is done.
  diff_mode:
    support: full
    details:
      - What was wrong with the node, and how it is afterwards.
  idempotent:
    support: full
    details:
      - A node that is alive is not replaced, so the second of two runs changes nothing.
  in_process:
    support: full
options:
  name:
    description:
      - Name of the node; C(<rack>-<number>) is enough.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: The volume of a node is corrupt
  cassops.kubernetes.node_replace:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    name: r1-0

- name: A node has lost its worker, which will not come back
  cassops.kubernetes.node_replace:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    name: shop-dc1-r1-0
    workers_off: [worker1]
"""

RETURN = r"""
changes:
  description: What was done, in order; in check mode what would be done first for each node.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: [replace shop-dc1-r1-0]
decisions:
  description: The decision for the node, as the module M(cassops.kubernetes.heal) tells it.
  returned: success, and where something was done before a failure
  type: list
  elements: dict
  sample:
    - node: shop-dc1-r1-0
      row: 8
      action: none
      reason: every view has it up, and a live node is never replaced
      advice: ''
      at_risk: []
replaced:
  description: The replacement if one was finished, as the module M(cassops.kubernetes.heal) tells it.
  returned: success, and where something was done before a failure
  type: list
  elements: dict
  sample:
    - node: shop-dc1-r1-0
      reason: its local volume is on worker worker1, which is gone from Kubernetes
      address: 198.19.3.7
      old_host_id: 6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a
      host_id: 6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a
      old_worker: worker1
      worker: worker4
      old_volume: pvc-7c1b
      left_over: null
      accepted_loss: []
      attempts: 1
      streamed_bytes: 2147483648
      needs_repair: false
      seconds: {clearing: 3.1, streaming: 41.0, proving: 1.2}
repaired:
  description: The node, if its ranges were repaired.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: []
whole:
  description: Nothing is left to do for the node.
  returned: success, and where something was done before a failure
  type: bool
  sample: true
report:
  description: The decision as lines of text for people.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: ["NODE           ROW  DECISION  WHY", "shop-dc1-r1-0  -    none      it is well"]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import node_replace

if __name__ == "__main__":
    main(node_replace)
