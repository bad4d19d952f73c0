#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: table_digest
short_description: Count the rows of Cassandra tables and make a digest of them
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Reads whole tables, and tells for each how many rows it has and a digest that does not depend on their order. Two
    tables with the same rows have the same digest, whatever their rings are.
  - Every row is read through the API server, so it takes its time with more than some million rows. Of a table no more
    than a page of a thousand rows is in memory at a time.
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
      - Nothing is changed in either mode.
  diff_mode:
    support: none
    details:
      - Nothing is changed.
  idempotent:
    support: full
  in_process:
    support: full
options:
  tables:
    description:
      - What to read, each as C(keyspace) or C(keyspace.table). Default is every table but those of Cassandra itself.
    type: list
    elements: str
    default: []
  consistency:
    description:
      - Consistency level of the reads.
    type: str
    default: LOCAL_QUORUM
  timeout:
    description:
      - Seconds for each page of a thousand rows.
    type: int
    default: 60
  expected:
    description:
      - RV(tables) of another datacenter, to be compared.
    type: dict
    default: {}
  tolerance:
    description:
      - Percent by which the numbers of rows may differ from O(expected). With 0 every value counts.
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: What stands in two tables
  cassops.kubernetes.table_digest:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    tables: [shop.customers, shop.prices]
  register: there
"""

RETURN = r"""
tables:
  description: Table -> its number of rows and their digest.
  returned: success
  type: dict
  sample: {shop.customers: {rows: 1200, digest: 3f9c1b0d5a7788e0a1b2c3d4e5f60718}}
differing:
  description: What is not as O(expected), a sentence a table.
  returned: success
  type: list
  elements: str
  sample: [shop.customers has 1201 rows here and 1200 there]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import table_digest

if __name__ == "__main__":
    main(table_digest)
