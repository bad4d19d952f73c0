#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_plan
short_description: What a rollout would restart, in which batches and why, and what is in its way
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Looks at a datacenter, at the others of its cluster, and at what waits for a restart; changes nothing and takes no
    lock.
  - M(cassops.kubernetes.rollout) makes the same plan anew before each batch.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.rollout
  - cassops.kubernetes.rollout.settings
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - It only reads.
  diff_mode:
    support: full
    details:
      - What each node runs (version, image, configuration), and what it would run.
  idempotent:
    support: full
    details:
      - It only reads.
  in_process:
    support: full
options:
  snapshot:
    description:
      - For an upgrade, the snapshot that every node must have before it. Default is RV(snapshot_name), and
        an empty one is none.
    type: str
  registered:
    description:
      - Objects that count as registered already in the plan. RV(cassops.kubernetes.datacenter#module:registered) tells
        them, so that a change can be looked at before it is registered.
    type: list
    elements: dict
    default: []
  show:
    description:
      - Print the lines of RV(report) as they are.
    type: bool
    default: false
  variable_prefix:
    description:
      - Put before the name of each option in error messages; roles set it to the prefix of their variables.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: What would a rollout do?
  cassops.kubernetes.rollout_plan:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    max_unavailable: rack
    show: true
"""

RETURN = r"""
batches:
  description: The batches, in order.
  returned: success
  type: list
  elements: dict
  sample:
    - rack: r1
      nodes: [shop-dc1-r1-0]
      canary: true
      why: proves the change before the others get it
      down_already: false
      lost: false
      outage: []
      pause: false
not_restarted:
  description: Node to the reason why it would not be restarted.
  returned: success
  type: dict
  sample: {shop-dc1-r3-0: nothing is pending for it}
unfinished:
  description:
    - Nodes that run the newest revision already and are not well, and those that join or take the place of a dead one,
      which would lose what they have streamed and are never restarted for a change. They are waited for first, in each
      run for as long as it waits without progress, and streaming counts as none; the next run goes on.
  returned: success
  type: list
  elements: str
  sample: []
blockers:
  description: Why no node that is up would be restarted.
  returned: success
  type: list
  elements: str
  sample: []
gates:
  description: What keeps the first batch from beginning now. A rollout would wait for it.
  returned: success
  type: list
  elements: str
  sample: []
warnings_for_clients:
  description: What clients may notice.
  returned: success
  type: list
  elements: str
  sample: []
upgrade:
  description: The upgrade that is pending, null if none is.
  returned: success
  type: str
  sample: Cassandra 4.1.10 to 5.0.9
snapshot_name:
  description:
    - A name for the snapshots before this change; another one where a change that was taken back comes again.
    - The role upgrade gives it to a small snapshot that tells that the large one is whole, whose name has a time too.
  returned: success
  type: str
  sample: before-5.0.9-3
snapshot_missing:
  description:
    - The nodes that are to be upgraded and do not have the snapshot O(snapshot), or RV(snapshot_name) if there is none.
  returned: success
  type: list
  elements: str
  sample: []
snapshot_ttl:
  description: Every node knows snapshots that end by themselves (Cassandra 4.1 and later).
  returned: success
  type: bool
  sample: true
report:
  description: The plan as lines of text for people.
  returned: success
  type: list
  elements: str
  sample: ["Datacenter dc1: 3 nodes to restart in 3 batches"]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import rollout_plan

if __name__ == "__main__":
    main(rollout_plan)
