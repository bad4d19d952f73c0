#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: datacenter_decommission
short_description: A Cassandra datacenter leaves its cluster, which goes on in others
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Rows that only this datacenter may have are repaired to the others. Then keyspaces are altered so that they do not
    name it, its nodes leave one after the other by C(nodetool decommission), C(system_auth) is altered, and what is
    left in Kubernetes goes.
  - Everything that is in the way is told before anything is touched - it is the only datacenter, a keyspace has
    replicas nowhere else, a datacenter cannot be looked at, a node is not well, a restore, replacement or rebuild is
    not finished.
  - Volumes, ledger and the superuser's Secret stay unless O(delete_volumes) is set. The ledger remembers that the
    datacenter has left; nothing comes back of these volumes.
  - The run may be killed; the next one finishes it, also when no node of the datacenter answers any more.
  - A datacenter that is dead already is taken away by M(cassops.kubernetes.datacenter) and
    M(cassops.kubernetes.node_remove).
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
      - The statements, the nodes and the objects are told, and refused what may not be; nothing is done.
  diff_mode:
    support: full
    details:
      - The replications, as statements.
  idempotent:
    support: full
  in_process:
    support: full
options:
  confirm:
    description:
      - The name of the datacenter once more, or with its cluster's, as in V(shop/dc1). Without it nothing is done.
    type: str
  backup:
    description:
      - Where backups are made, as in C(cassandra_backup); the option O(cassops.kubernetes.datacenter#module:backup) of
        M(cassops.kubernetes.datacenter) tells its keys.
      - Before it is begun it is warned where the newest complete backup of everything is older than 24 hours, where
        there is none, and where the catalogue cannot be read.
    type: dict
  unreplicate:
    description:
      - Alter the users' keyspaces that have replicas in this datacenter. Without it, such keyspaces are a reason to
        refuse, and the statements are told. Those of Cassandra itself are altered in any case.
    type: bool
    default: false
  repair:
    description:
      - Have all replicas of the keyspaces that are altered compared first, all ranges that this datacenter has, so that
        rows that were written here at V(LOCAL_QUORUM) or less are in the others. What was repaired before this was
        begun does not count.
    type: bool
    default: true
  delete_volumes:
    description:
      - Delete the volumes and the ledger when all nodes have left, in this run or in an earlier one; and the Secret, if
        this collection has made it and no other datacenter of the cluster is left in the namespace.
    type: bool
    default: false
  ignore:
    description:
      - Refusals to go past. V(space) - the other datacenters may not have room for the rows of keyspaces whose replicas
        are anywhere in the ring.
    type: list
    elements: str
    choices: [space]
    default: []
  gate_timeout:
    description:
      - Limit in seconds of the wait for the ring to be whole, before keyspaces are altered and before a node leaves.
    type: int
    default: 900
  wait_timeout:
    description:
      - Limit in seconds of each other wait. While a node streams it counts from the last progress.
    type: int
    default: 1800
  repair_timeout:
    description:
      - Limit in seconds of the repair of one keyspace on one node. Cassandra goes on with one that takes longer; the
        next run waits for its end, and does not repeat what has ended well.
    type: int
    default: 86400
  cleanup_timeout:
    description:
      - Limit in seconds of the cleanup of a node, where a run of M(cassops.kubernetes.scale) has left one to do.
    type: int
    default: 86400
  option_prefix:
    description:
      - Put before the names of options in messages; roles set it.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: The datacenter of the old machines leaves, and dc2 goes on
  cassops.kubernetes.datacenter_decommission:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    confirm: dc1
    unreplicate: true
    peers:
      - {datacenter: dc2, namespace: cassandra-2}
"""

RETURN = r"""
changes:
  description: What was done, in order; in check mode what would be.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: [r3-0 has left]
repaired:
  description: Keyspaces whose replicas were compared; in check mode those that would be.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: [orders]
altered:
  description: The statements that took the datacenter out of keyspaces; in check mode those that would.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample:
    - >-
      ALTER KEYSPACE "orders" WITH replication = {'class': 'NetworkTopologyStrategy', 'dc2': '3'}
moved:
  description: The nodes that left.
  returned: success, and where something was done before a failure
  type: list
  elements: dict
  contains:
    node: {description: Name of the node., type: str, sample: shop-dc1-r3-0}
    step: {description: Always V(leave)., type: str, sample: leave}
    seconds: {description: What Cassandra took for it., type: float, sample: 41.2}
left:
  description: The nodes that have yet to leave, in this order.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: []
seconds:
  description: What all of it took.
  returned: success, and where something was done before a failure
  type: float
  sample: 431.4
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter_decommission

if __name__ == "__main__":
    main(datacenter_decommission)
