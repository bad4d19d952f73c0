#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: heal
short_description: Look at every node of a Cassandra datacenter, and do what is safe about those that failed
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Decides for each node by a table of twenty rows, carries one decision out, and looks at everything again, until
    nothing is left that it may do. The table is on the page about the playbook heal.
  - A node that lost its volume for good is replaced. Another one takes its place, with its address and tokens, and
    streams its data from the others. A node whose volume can follow it moves to another worker. One that was down
    for longer than hints are kept is repaired.
  - Never replaces a node that any view has alive, never two replicas of a range at a time, and nothing when a quorum
    of the replicas of a range is dead, unless O(accept_loss) names the keyspaces.
  - What it may not do it tells, with the reason and with what a person can do, and then fails.
  - The run may be killed at any moment; the next one takes up what was begun. A second run at the same time is
    refused as soon as it wants to change something.
  - On a datacenter that is well nothing is changed, not even the lock.
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
      - The decisions are made and told; nothing is done.
  diff_mode:
    support: full
    details:
      - What was wrong with each node that something is done about, and how it is afterwards.
  idempotent:
    support: full
  in_process:
    support: full
options:
  show:
    description:
      - Print the table of RV(report) as it is.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Heal what is safe to heal
  cassops.kubernetes.heal:
    namespace: cassandra
    cluster: shop
    datacenter: dc1

- name: What would be done?
  cassops.kubernetes.heal:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    show: true
  check_mode: true

- name: Worker worker1 has burnt down
  cassops.kubernetes.heal:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
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
  description: The decision for each node, as of the last look.
  returned: success, and where something was done before a failure
  type: list
  elements: dict
  contains:
    node:
      description: 'The node; of a member that is no node of the datacenter, its address.'
      type: str
      sample: shop-dc1-r1-0
    row: {description: Row of the decision table; 0 is a node that is well., type: int, sample: 6}
    action:
      description:
        - V(none), or V(wait) (it may pass by itself), or V(ask) (a person has to do or to confirm something).
        - What is done - V(abandon) a replacement that is not needed any more, V(move) a pod off a worker that is off,
          V(recreate) a pod, V(stop) a node that gave up joining, V(replace), V(bootstrap) anew,
          V(assassinate) an address, V(repair).
      type: str
      sample: none
    reason: {description: What was seen., type: str, sample: it is well}
    advice: {description: "What a person can do, empty where nobody has to.", type: str, sample: ''}
    at_risk: {description: Keyspaces of which rows may be lost by it., type: list, elements: str, sample: []}
replaced:
  description: The replacements that were finished.
  returned: success, and where something was done before a failure
  type: list
  elements: dict
  contains:
    node: {description: Name of the node., type: str, sample: shop-dc1-r1-0}
    reason: {description: Why it was replaced., type: str, sample: it came back without its storage}
    address: {description: The dead node's address in the ring., type: str, sample: 198.19.3.7}
    old_host_id:
      description: The dead node's host id.
      type: str
      sample: 6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a
    host_id:
      description: The new node's host id; the same where it has the same address.
      type: str
      sample: 6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a
    old_worker: {description: "Where the dead node, or its volume, was.", type: str, sample: worker1}
    worker: {description: Where the new node is., type: str, sample: worker4}
    old_volume:
      description: The PersistentVolume that was given up; null where it came back empty and is used again.
      type: str
      sample: pvc-7c1b
    left_over:
      description: 'What to do about the volumes that were given up, where they are still there.'
      type: str
      sample: null
    accepted_loss:
      description: Keyspaces whose loss of rows was accepted.
      type: list
      elements: str
      sample: []
    attempts: {description: How many new nodes it took., type: int, sample: 1}
    streamed_bytes:
      description: 'Bytes that were seen streaming, as nodetool rounds them.'
      type: int
      sample: 2147483648
    needs_repair: {description: It missed more than hints cover., type: bool, sample: false}
    seconds:
      description: 'What its parts took: clearing, streaming (with its start), proving.'
      type: dict
      sample: {clearing: 3.1, streaming: 41.0, proving: 1.2}
repaired:
  description: The nodes whose ranges were repaired.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: []
whole:
  description: Nothing is left to do, nor put off to a later run.
  returned: success, and where something was done before a failure
  type: bool
  sample: true
report:
  description: The decisions as lines of text for people.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: ["NODE           ROW  DECISION  WHY", "shop-dc1-r1-0  -    none      it is well"]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import heal

if __name__ == "__main__":
    main(heal)
