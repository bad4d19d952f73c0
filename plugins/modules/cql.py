#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cql
short_description: Run CQL statements in a datacenter
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Runs one or several CQL statements on one node of a datacenter, which coordinates them, and returns the rows.
  - The node is reached through the Kubernetes API. No port has to be open, and no address of a pod needs to be routed.
  - Statements run one after the other. The first that fails ends the task; those before it have been run.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.query
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - Statements that only read are run in check mode too. Others are not, and are returned with C(skipped).
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - C(SELECT), C(LIST) and C(DESCRIBE) never report a change. Any other statement always does, since Cassandra does
        not tell whether it changed something.
  in_process:
    support: full
options:
  statement:
    description:
      - A statement.
      - It is returned and may be logged. Values of rows that are secret belong into O(parameters), in a task with
        C(no_log).
      - Cassandra binds nothing in C(CREATE ROLE) and C(ALTER ROLE), so the password of a role stands in the statement
        itself, and only C(no_log) on the task keeps it out of results and logs. Quotes in it are doubled.
    type: str
  parameters:
    description:
      - The values of O(statement)'s parameters; a list for C(?), a mapping for C(:name).
      - They are bound by Cassandra, with the types of the columns. UUIDs, timestamps (ISO 8601) and decimals are
        written as text, bytes as C(0x) and hexadecimal digits.
    type: raw
  consistency:
    description:
      - The consistency level, for example V(QUORUM). Default is V(LOCAL_QUORUM).
    type: str
  serial_consistency:
    description:
      - The consistency level of the condition of a lightweight transaction.
    type: str
    choices: [SERIAL, LOCAL_SERIAL]
  statements:
    description:
      - Several statements, each with its own parameters.
    type: list
    elements: dict
    suboptions:
      statement:
        description: As O(statement).
        type: str
        required: true
      parameters:
        description: As O(parameters).
        type: raw
      consistency:
        description: As O(consistency), which is its default.
        type: str
      serial_consistency:
        description: As O(serial_consistency).
        type: str
        choices: [SERIAL, LOCAL_SERIAL]
  node:
    description:
      - The node to ask, by the name of its pod. Default is the first that is ready.
    type: str
  login_secret:
    description:
      - Name of a Secret with the keys C(username) and C(password). Default is the superuser's, the name of the cluster
        with C(-superuser).
    type: str
  timeout:
    description:
      - Seconds to connect, and for each statement; of a large result, for each page of 1000 rows.
    type: int
    default: 30
requirements:
  - cassandra-driver >= 3.29.0
seealso:
  - module: cassops.kubernetes.nodetool
"""

EXAMPLES = r"""
- name: A keyspace
  cassops.kubernetes.cql:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    statement: >-
      CREATE KEYSPACE IF NOT EXISTS orders
      WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}

- name: A row, with bound values
  cassops.kubernetes.cql:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    login_secret: orders-writer
    statement: INSERT INTO orders.by_customer (customer, placed, total) VALUES (?, ?, ?)
    parameters: [d1c0e9a4-3f65-4b0a-9a0f-5c7b9f1d2e3c, "2026-11-22T18:00:00Z", "19.90"]
    consistency: QUORUM

- name: The names of all tables
  cassops.kubernetes.cql:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    statement: SELECT table_name FROM system_schema.tables WHERE keyspace_name = :name
    parameters:
      name: orders
    query: "rows[].table_name"
  register: tables
"""

RETURN = r"""
node:
  description: The node that was asked.
  returned: always, once it is known
  type: str
  sample: shop-dc1-r1-0
rows:
  description:
    - The rows of the last statement, by the names of their columns.
    - UUIDs, times, decimals and addresses are text; bytes are C(0x) and hexadecimal digits.
  returned: success
  type: list
  elements: dict
  sample: [{table_name: by_customer}]
results:
  description: One entry a statement.
  returned: always, once the node is known
  type: list
  elements: dict
  contains:
    statement:
      description: The statement.
      type: str
    skipped:
      description: Whether it was left out because of check mode.
      type: bool
    rows:
      description: Its rows.
      type: list
      elements: dict
query:
  description: What O(query) finds in a mapping with RV(rows), RV(results) and RV(node).
  returned: when O(query) is given
  type: raw
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import cql

if __name__ == "__main__":
    main(cql)
