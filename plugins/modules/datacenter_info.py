#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: datacenter_info
short_description: The state of a Cassandra datacenter as all its nodes see it
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Tells what Kubernetes has (pods, workers, revisions) and what the nodes believe of each other
    (members, who is up, schema, replication), as data and as tables for people.
  - Up to twelve nodes are all asked for their view, three a rack of a larger datacenter, by CQL through the API
    server.
  - Changes nothing.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.query
  - cassops.kubernetes.attributes
  - cassops.kubernetes.attributes.info
options:
  superuser_secret:
    description:
      - Name of the Secret with the login for the nodes. Default is the name of the cluster with C(-superuser).
        Where it does not exist only what Kubernetes knows is told.
    type: str
  show:
    description:
      - Print the tables of RV(report) as they are.
    type: bool
    default: false
  late_repairs:
    description:
      - Call keyspaces whose repairs are late, or due since a node was replaced or removed, a problem. Turn it off where
        something else repairs, incrementally or in pieces of its own, which Cassandra's record does not tell from none.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Look
  cassops.kubernetes.datacenter_info:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    show: true

- name: Names of the nodes that are not up in every view
  cassops.kubernetes.datacenter_info:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    query: "nodes[?!up].name"
  register: down
"""

RETURN = r"""
datacenter:
  description: The facts.
  returned: success
  type: dict
  contains:
    cluster:
      description: Name of the cluster.
      type: str
      sample: shop
    datacenter:
      description: Name of the datacenter.
      type: str
      sample: dc1
    phase:
      description: V(new) until the first start is finished, then V(running).
      type: str
      sample: running
    stopped:
      description: It is stopped on purpose.
      type: bool
      sample: false
    healthy:
      description: Every node is up in every view, in the state NORMAL, with one schema, and no stranger is in the ring.
      type: bool
      sample: true
    nodes:
      description: One entry a node.
      type: list
      elements: dict
      contains:
        name: {description: Name of the node and of its pod., type: str, sample: shop-dc1-r1-0}
        rack: {description: Its rack., type: str, sample: r1}
        zone: {description: The zone the rack is pinned to., type: str, sample: eu-west-1a}
        worker: {description: The worker it runs on., type: str, sample: worker1}
        address: {description: Its address in the ring., type: str, sample: 198.19.3.7}
        host_id: {description: Its host id., type: str, sample: 6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a}
        state:
          description: UN when every observer sees it up and normal; else what is the matter.
          type: str
          sample: UN
        up: {description: Every observer sees it up., type: bool, sample: true}
        seen_up_by: {description: The observers that see it up., type: list, elements: str, sample: [shop-dc1-r1-0]}
        observers: {description: All observers., type: list, elements: str, sample: [shop-dc1-r1-0]}
        ready: {description: Kubernetes sends clients to it., type: bool, sample: true}
        version: {description: Its Cassandra version., type: str, sample: 5.0.9}
        load_bytes: {description: Bytes of data it holds., type: float, sample: 104857.0}
        owns: {description: Share of the data it holds a replica of (1.0 is all)., type: float, sample: 0.5}
        tokens: {description: Number of its tokens., type: int, sample: 16}
        age_seconds: {description: Seconds since its pod was made., type: float, sample: 4711.0}
        restarts: {description: How often its container was started again., type: int, sample: 0}
        pending_restart: {description: It runs an older revision., type: bool, sample: false}
        held: {description: Why it refuses to start until somebody decides., type: str, sample: null}
        reason: {description: Kubernetes' reason why it does not run., type: str, sample: null}
    schema_versions:
      description: Schema version to the observers that hold it.
      type: dict
      sample: {2207c2a9-f598-3971-986b-2926e09e239d: [shop-dc1-r1-0]}
    keyspaces:
      description: The replicated keyspaces, and whether every range keeps QUORUM without one node or one rack.
      type: list
      elements: dict
      sample:
        - name: shop
          replication: {class: NetworkTopologyStrategy, dc1: '3'}
          survives_node: true
          survives_rack: true
    backup_schedule:
      description:
        - The CronJob that backs the datacenter up by the clock (C(schedule) of
          O(cassops.kubernetes.datacenter#module:backup)), and how its Jobs ended; null where there is none.
      type: dict
      sample:
        name: shop-dc1-backup
        schedule: 15 3 * * *
        suspended: false
        running: false
        begun: '2026-11-22T03:15:00Z'
        ended_well: '2026-11-22T03:41:17Z'
        failed: false
    repair_schedule:
      description:
        - The CronJob that repairs the datacenter by the clock (C(schedule) of
          O(cassops.kubernetes.datacenter#module:repair)), in the same words; null where there is none.
      type: dict
      sample: null
    problems:
      description: What is the matter and what to do about it.
      type: list
      elements: dict
      sample: []
    pending_restart:
      description: The nodes that run an older revision.
      type: list
      elements: str
      sample: []
report:
  description: The same as lines of text for people.
  returned: success
  type: list
  elements: str
  sample: ["Datacenter dc1 of cluster shop: 3 of 3 nodes up, phase running"]
query:
  description: What O(query) found in RV(datacenter).
  returned: O(query) is given
  type: raw
  sample: []
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter_info

if __name__ == "__main__":
    main(datacenter_info)
