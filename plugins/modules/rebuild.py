#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: rebuild
short_description: Give the nodes of a Cassandra datacenter the rows of keyspaces that have been replicated to it
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - A keyspace that is replicated to a datacenter has replicas there at once, and they are empty. This runs
    C(nodetool rebuild), one keyspace on one node after the other, which streams all rows of the node out of another
    datacenter.
  - It can give the keyspaces their replicas first (O(replication)). Where a node has rows of such a keyspace still,
    from a time when it had replicas here, that is refused, since what was deleted meanwhile would come back.
  - What was done is noted in the ledger, so a run that was killed is finished by the next, and what all nodes have is
    not streamed again. A keyspace whose replication was changed since, by a person as well, is begun anew; so is one
    where a node has gone that had yet to get its rows.
  - It refuses to stream from a datacenter that has yet to get rows itself, and back into one that gave them.
  - Before each node it waits until all nodes of all datacenters are up, with one schema and one line of Cassandra, and
    nothing is streamed or repaired. What would not fit on the volumes is refused before anything is changed.
  - A rebuild streams from one replica, and a row may be on two others. So M(cassops.kubernetes.repair) in all
    datacenters of the cluster comes behind it, before clients may use this one.
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
      - The nodes and keyspaces are told; nothing is done.
  diff_mode:
    support: full
    details:
      - The replications, as statements.
  idempotent:
    support: full
    details:
      - Not with O(again).
  in_process:
    support: full
options:
  source:
    description:
      - The datacenter that has the rows. Default is the only other one of the cluster; where there are several it has
        to be named.
    type: str
  keyspaces:
    description:
      - Only these keyspaces, and those of O(replication). Default is those of O(replication) and what an earlier run
        has not finished; without O(replication) all of the users' that have replicas in this datacenter and in another
        one.
    type: list
    elements: str
    default: []
  replication:
    description:
      - Keyspace -> number of replicas in this datacenter, for those that have none here yet. They are altered first.
      - The number that a keyspace has already is no change, and any other one is refused. So is a keyspace that is not
        of C(NetworkTopologyStrategy).
      - The numbers may be text, as V(orders=3 billing=3) gives them.
    type: dict
    default: {}
  again:
    description:
      - Stream all of it once more, whatever was done before; also into a datacenter that others got the rows from.
        After a run of this that was killed, leave it out.
    type: bool
    default: false
  ignore:
    description:
      - Refusals to go past. V(space) - what comes may not fit on the volumes, or nobody knows how much it is.
    type: list
    elements: str
    choices: [space]
    default: []
  gate_timeout:
    description:
      - Limit in seconds of the wait, before each node, for all nodes to be well.
    type: int
    default: 900
  node_timeout:
    description:
      - Limit in seconds of one keyspace on one node, and of the wait for a rebuild that works on it already. Cassandra
        goes on with one that takes longer; the next run waits for its end, and streams that part again.
    type: int
    default: 86400
  option_prefix:
    description:
      - Put before the names of options in messages; roles set it.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: The second datacenter gets three replicas of orders, and its rows
  cassops.kubernetes.rebuild:
    namespace: cassandra
    cluster: shop
    datacenter: dc2
    replication: {orders: 3}
    peers:
      - {datacenter: dc1, namespace: cassandra-1}

- name: What was altered by hand gets its rows
  cassops.kubernetes.rebuild:
    namespace: cassandra
    cluster: shop
    datacenter: dc2
    keyspaces: [billing]
    peers:
      - {datacenter: dc1, namespace: cassandra-1}
"""

RETURN = r"""
source:
  description: The datacenter that the rows come from.
  returned: when it was begun or is done
  type: str
  sample: dc1
keyspaces:
  description: The keyspaces that it was about.
  returned: when it was begun or is done
  type: list
  elements: str
  sample: [orders]
altered:
  description: The statements that gave keyspaces their replicas; in check mode those that would.
  returned: when it was begun or is done
  type: list
  elements: str
  sample:
    - >-
      ALTER KEYSPACE "orders" WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': '3', 'dc2': '3'}
rebuilt:
  description: What was streamed, in this order.
  returned: when it was begun or is done
  type: list
  elements: dict
  contains:
    node:
      description: The node.
      type: str
      sample: shop-dc2-r1-0
    keyspace:
      description: The keyspace.
      type: str
      sample: orders
    seconds:
      description: How long it took.
      type: float
      sample: 318.4
due:
  description: What is left to be streamed; in check mode all of it.
  returned: when it was begun or is done
  type: list
  elements: dict
  contains:
    node:
      description: The node.
      type: str
      sample: shop-dc2-r2-0
    keyspace:
      description: The keyspace.
      type: str
      sample: orders
left_out:
  description: Keyspaces of the users that have no replicas in this datacenter.
  returned: when it was begun or is done
  type: list
  elements: str
  sample: [sessions]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import rebuild

if __name__ == "__main__":
    main(rebuild)
