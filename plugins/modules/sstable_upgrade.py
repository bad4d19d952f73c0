#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: sstable_upgrade
short_description: Rewrite SSTables of older formats in the one that the nodes write now
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Runs C(nodetool upgradesstables) on the nodes of a datacenter, one after the other, and shows how far it is.
  - Needed after an upgrade to another line of Cassandra, before the next one. With C(storage_compatibility_mode)
    V(CASSANDRA_4) Cassandra 5.0 still writes the format of 4.1, and nothing has to be rewritten.
  - A node that lacks room to write its largest table a second time is left as it is, and the task fails.
  - A node goes on rewriting when the connection to it is lost. It is waited for, and then asked for what is left. While
    one may still rewrite, no other begins.
  - May be killed and run again; only what is old is rewritten.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.rollout
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: partial
    details:
      - C(changed) tells whether a node holds SSTables of more than one format. One that holds only old ones is not
        noticed.
  diff_mode:
    support: none
  idempotent:
    support: full
  in_process:
    support: full
options:
  jobs:
    description:
      - SSTables that a node rewrites at the same time; V(0) is as many as it compacts. The throughput of compactions
        is the limit in any case.
    type: int
    default: 1
  node_timeout:
    description:
      - Limit in seconds for each node.
    type: int
    default: 86400
"""

EXAMPLES = r"""
- name: Nothing of the old format is left
  cassops.kubernetes.sstable_upgrade:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
"""

RETURN = r"""
nodes:
  description: The nodes, and how many data files of which format each had and has.
  returned: always
  type: list
  elements: dict
  contains:
    node: {description: Name of the node., type: str, sample: shop-dc1-r1-0}
    before: {description: Format to data files before., type: dict, sample: {nb: 31}}
    after: {description: Format to data files after., type: dict, sample: {oa: 18}}
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import sstable_upgrade

if __name__ == "__main__":
    main(sstable_upgrade)
