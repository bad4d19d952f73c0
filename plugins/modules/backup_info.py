#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: List the backups of a Cassandra datacenter
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Tells the backups that there are, their states, sizes, and when each was last verified. A backup whose run died is
    told as failed.
  - Changes nothing.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.backup
  - cassops.kubernetes.query
  - cassops.kubernetes.attributes
  - cassops.kubernetes.attributes.info
options:
  name:
    description:
      - Tell the nodes of this backup too, in RV(backup).
    type: str
  tables:
    description:
      - Tell only backups that have all of these, be it as their keyspaces, or as everything.
      - An empty list is everything, so only backups that are limited to no tables. Not set tells all.
    type: list
    elements: str
  max_age:
    description:
      - Fail where the newest complete backup of the whole datacenter began longer ago than so many hours, or where
        there is none. One that was found damaged does not count, nor one of some tables or without some keyspaces
        (C(exclude_keyspaces)), nor one of another datacenter of the same names.
      - Not set, or 0, is no limit.
    type: float
  show:
    description:
      - Print the lines of RV(report) as they are.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look
  cassops.kubernetes.backup_info:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"
    show: true

- name: Fail where no good backup was made since yesterday
  cassops.kubernetes.backup_info:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"
    max_age: 26

- name: The newest backup that the whole datacenter could go back to
  cassops.kubernetes.backup_info:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"
    query: >-
      backups[?state=='complete' && !damaged && own!=`false`
      && length(tables)==`0` && length(excluded)==`0`].name | [-1]
  register: newest
"""

RETURN = r"""
backups:
  description:
    - The backups, the oldest first.
    - C(own) is false where another datacenter of the same names made it, which lives beside this one or had its
      place before; null where that cannot be told.
    - C(tables) are those that it is limited to, C(excluded) the keyspaces that it is without; where both are empty it
      is of the whole datacenter.
  returned: success
  type: list
  elements: dict
  sample:
    - name: 20261125T031400Z
      state: complete
      began: "2026-11-25T03:14:00Z"
      finished: "2026-11-25T03:31:40Z"
      nodes: 6
      missing: []
      size: 322122547200
      added: 4187593113
      tables: []
      excluded: []
      verified: "2026-11-25T04:00:10Z"
      damaged: false
      own: true
      error: ''
backup:
  description: The backup that O(name) names, as the module M(cassops.kubernetes.backup) tells it.
  returned: success
  type: dict
  sample: null
report:
  description: The same as lines of text for people.
  returned: success
  type: list
  elements: str
  sample: ["BACKUP            STATE     AGE   NODES  SIZE       NEW      VERIFIED"]
query:
  description: What O(query) selects.
  returned: with O(query)
  type: raw
  sample: 20261125T031400Z
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import backup_info

if __name__ == "__main__":
    main(backup_info)
