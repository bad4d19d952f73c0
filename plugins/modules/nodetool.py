#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: nodetool
short_description: Run nodetool on the nodes of a datacenter
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Runs any verbs of nodetool on all nodes of a datacenter, or on those that are selected, at the same time.
  - Several verbs on a node take one connection to it.
  - A verb that ends with another code than 0 fails the task. The failures of all nodes are told, and nodes that did not
    fail have run all the same.
  - The output of C(status), C(info), C(describecluster), C(netstats), C(compactionstats), C(tpstats), C(tablestats),
    C(gossipinfo) and C(ring) is returned as data too.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.selection
  - cassops.kubernetes.query
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - Verbs that only read are run in check mode too. Others are not, and RV(skipped_commands) names them.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A verb that only reads never reports a change. Any other verb always does, since nodetool does not tell whether
        it changed something.
  in_process:
    support: full
options:
  command:
    description:
      - A verb and its arguments, each a word of its own.
      - Words are passed on as they are; there is no shell.
    type: list
    elements: str
  commands:
    description:
      - Several verbs, one after the other on each node. One that fails does not keep the next from running.
    type: list
    elements: list
  parallel:
    description:
      - Nodes that run at the same time. V(1) goes from node to node; V(0) takes up to 16.
    type: int
    default: 0
  timeout:
    description:
      - Seconds that all verbs together may take on a node. Then they are ended there.
    type: int
    default: 60
  jmx_secret:
    description:
      - Name of a Secret with the keys C(username) and C(password), for nodes whose JMX asks for a login.
      - The password is in no argument of any command.
    type: str
seealso:
  - module: cassops.kubernetes.cql
  - module: cassops.kubernetes.datacenter_info
"""

EXAMPLES = r"""
- name: What each node believes
  cassops.kubernetes.nodetool:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    command: [status]

- name: Flush one table on one rack, node by node
  cassops.kubernetes.nodetool:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    racks: [r1]
    command: [flush, orders, by_customer]
    parallel: 1
    timeout: 300

- name: Names of the nodes that still compact
  cassops.kubernetes.nodetool:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    command: [compactionstats]
    query: "nodes[?results[0].data.pending > `0`].node"
  register: compacting

- name: Two verbs on one node
  cassops.kubernetes.nodetool:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    nodes: [shop-dc1-r1-0]
    commands:
      - [getcompactionthroughput]
      - [info, -T]
"""

RETURN = r"""
nodes:
  description: The nodes that were selected, by rack and number.
  returned: always, once the nodes are known
  type: list
  elements: dict
  contains:
    node:
      description: Name of the node, which is its pod's.
      type: str
      sample: shop-dc1-r1-0
    rack:
      description: Its rack.
      type: str
      sample: r1
    failures:
      description: What failed on it; empty where nothing did.
      type: list
      elements: str
    results:
      description: One entry a verb that was run, in their order.
      type: list
      elements: dict
      contains:
        command:
          description: The verb and its arguments.
          type: list
          elements: str
          sample: [status]
        rc:
          description: Its exit code.
          type: int
          sample: 0
        stdout:
          description: What it printed. It is JSON for C(tpstats) and C(tablestats) unless another format is asked for.
          type: str
        stderr:
          description: What it printed to the error output.
          type: str
        data:
          description: The output as data; none where the verb failed, or is not one of those named above.
          type: raw
          sample:
            nodes:
              - address: 198.18.0.11
                datacenter: dc1
                effective: true
                host_id: 6b7f8c0e-3f0b-4b1d-9b0a-0a6a3c1d2e4f
                load: 104.22 KiB
                load_bytes: 106721
                owns: 1.0
                port: null
                rack: r1
                state: normal
                status: up
                tokens: 16
            notes: []
skipped_commands:
  description: Verbs that were not run because of check mode.
  returned: always, once the nodes are known
  type: list
  elements: list
query:
  description: What O(query) finds in a mapping with RV(nodes).
  returned: when O(query) is given
  type: raw
errors:
  description: All failures, each with its node.
  returned: failure
  type: list
  elements: str
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import nodetool

if __name__ == "__main__":
    main(nodetool)
