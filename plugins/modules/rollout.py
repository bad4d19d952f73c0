#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Bring what is pending to the nodes of a Cassandra datacenter, batch by batch
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Restarts the nodes that wait for a change (or all of them), so that no request at QUORUM fails.
    Nodes of one rack at a time, as many as every range of every keyspace allows; one node first, as a canary.
  - Before each batch all gates are looked at, from every node of every datacenter of the cluster; after it, the nodes
    must be up in every view, serve clients, agree on the schema, and have got their hints.
  - Clients are sent away and the node is drained before it stops (by its pod's preStop hook and by Cassandra).
  - The run may be killed at any moment; the next one finishes what was begun and goes on. A second run at the same time
    is refused.
  - A node that does not come back ends the run, with the cause; no other node is touched. After a correction
    (M(cassops.kubernetes.datacenter)) the next run begins with that node.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.rollout
  - cassops.kubernetes.rollout.settings
  - cassops.kubernetes.rollout.limits
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - The plan is made and shown, with what blocks it; not even the lock is taken.
  diff_mode:
    support: full
    details:
      - What each node runs (version, image, configuration), before and after.
  idempotent:
    support: full
    details:
      - Where nothing is pending nothing is restarted, unless O(force) is set.
  in_process:
    support: full
options:
  upgrade:
    description:
      - The pending change may lead to another line of Cassandra, or to another step of C(storage_compatibility_mode).
        Without it such a change is refused, because it needs more care than a restart.
      - Then nothing may stream or be repaired, all SSTables must be of a format that the new version reads, and there
        must be room to rewrite them.
    type: bool
    default: false
  snapshot:
    description:
      - With O(upgrade), every node that is to be upgraded must have the snapshot of this name.
    type: str
  backup:
    description:
      - Where backups are made, as in C(cassandra_backup); the option O(cassops.kubernetes.datacenter#module:backup) of
        M(cassops.kubernetes.datacenter) tells its keys.
      - With O(upgrade) it is warned where the newest complete backup of everything is older than 24 hours, where there
        is none, and where the catalogue cannot be read.
    type: dict
  registered:
    description:
      - Objects that count as registered already in the plan of check mode.
        RV(cassops.kubernetes.datacenter#module:registered) tells them, so that a change can be looked at before it is
        registered.
    type: list
    elements: dict
    default: []
  rollback:
    description:
      - Take back a change that has reached some nodes only. The racks get the template that the untouched nodes run,
        and the nodes that have the change are restarted.
      - Refused where the way back is not safe, or not known any more.
    type: bool
    default: false
  variable_prefix:
    description:
      - Put before the name of each option in error messages; roles set it to the prefix of their variables.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Restart what waits for a change, one node after the other
  cassops.kubernetes.rollout:
    namespace: cassandra
    cluster: shop
    datacenter: dc1

- name: Restart all nodes, rack by rack
  cassops.kubernetes.rollout:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    max_unavailable: rack
    force: true
"""

RETURN = r"""
restarted:
  description: The nodes that were restarted, in their order.
  returned: not in check mode
  type: list
  elements: str
  sample: [shop-dc1-r1-0, shop-dc1-r2-0]
batches:
  description: The batches, in order.
  returned: always
  type: list
  elements: dict
  sample:
    - rack: r1
      nodes: [shop-dc1-r1-0]
      canary: true
      why: proves the change before the others get it
      seconds: {gates: 0.4, down: 25.8, soak: 30.2, hints: 0.6}
pending_restart:
  description: The nodes that still wait for a restart.
  returned: not in check mode
  type: list
  elements: str
  sample: []
one_line:
  description:
    - Whether this was an upgrade, a step of the storage format or its way back, nothing is pending any more, no node
      was named as lost, and all members of the cluster run one line of Cassandra in formats of one kind.
    - So repair and changes of the schema may go on.
  returned: not in check mode, when no batch is left
  type: bool
  sample: false
paused:
  description: The run ended at a pause; the next one goes on.
  returned: not in check mode
  type: bool
  sample: false
returned:
  description: With O(rollback), what was given its former template.
  returned: not in check mode
  type: list
  elements: str
  sample: []
removed:
  description: Configuration that no node uses any more, now that no batch is left.
  returned: not in check mode, or where there is no batch
  type: list
  elements: str
  sample: [delete ConfigMap shop-dc1-config-06f035a58e, which no pod uses]
seconds:
  description: How long it took.
  returned: not in check mode
  type: float
  sample: 98.2
not_restarted:
  description: Node to the reason why it would not be restarted.
  returned: in check mode
  type: dict
  sample: {shop-dc1-r3-0: nothing is pending for it}
unfinished:
  description:
    - Nodes that run the newest revision already and are not well, and those that join or take the place of a dead one,
      which would lose what they have streamed and are never restarted for a change. They are waited for first, in each
      run for as long as it waits without progress, and streaming counts as none; the next run goes on.
  returned: in check mode
  type: list
  elements: str
  sample: []
blockers:
  description: Why no node that is up would be restarted.
  returned: in check mode
  type: list
  elements: str
  sample: []
gates:
  description: What keeps the first batch from beginning now. It would be waited for.
  returned: in check mode
  type: list
  elements: str
  sample: []
warnings_for_clients:
  description: What clients may notice.
  returned: in check mode
  type: list
  elements: str
  sample: []
upgrade:
  description: The upgrade that is pending, null if none is.
  returned: in check mode
  type: str
  sample: Cassandra 4.1.10 to 5.0.9
snapshot_name:
  description:
    - A name for the snapshots before this change; another one where a change that was taken back comes again.
    - The role upgrade gives it to a small snapshot that tells that the large one is whole, whose name has a time too.
  returned: in check mode
  type: str
  sample: before-5.0.9-3
snapshot_missing:
  description:
    - The nodes that are to be upgraded and do not have the snapshot O(snapshot), or RV(snapshot_name) if there is none.
  returned: in check mode
  type: list
  elements: str
  sample: []
snapshot_ttl:
  description: Every node knows snapshots that end by themselves (Cassandra 4.1 and later).
  returned: in check mode
  type: bool
  sample: true
report:
  description: The plan as lines of text for people.
  returned: in check mode
  type: list
  elements: str
  sample: ["Datacenter dc1: 3 nodes to restart in 3 batches"]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import rollout

if __name__ == "__main__":
    main(rollout)
