#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_purge
short_description: Remove backups of a Cassandra datacenter that are not kept any longer
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Removes the backups that no rule of C(keep) holds, and the bytes that no other backup needs.
  - Complete backups alone are counted. The newest complete one and the last one that was verified always stay; what is
    partial, failed or damaged stays until a complete one is newer. The backup that an unfinished restore of this
    datacenter needs stays until that is finished.
  - Backups of another datacenter of the same names, which shares the repository or had it before, are counted apart.
  - Commit logs stay as long as a point in time of the last C(point_in_time_days) needs them.
  - May be killed at any moment; the next run goes on. Backups, restores and purges exclude each other.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.backup
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - RV(removed) and RV(report) tell what would go, commit logs too.
  diff_mode:
    support: none
    details:
      - Nothing is configured.
  idempotent:
    support: full
  in_process:
    support: full
options:
  names:
    description:
      - Remove these instead of following the rules.
    type: list
    elements: str
    default: []
  wait_timeout:
    description:
      - For how many seconds the cleaning of a repository, or a list of what is in it, may run. restic tells no progress
        of either.
    type: int
    default: 7200
"""

EXAMPLES = r"""
- name: What no rule holds
  cassops.kubernetes.backup_purge:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"

- name: One that nobody needs
  cassops.kubernetes.backup_purge:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"
    names: [before-ticket-4711]
"""

RETURN = r"""
removed:
  description: Names of the backups that were removed; in check mode of those that would be.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: [20261101T031400Z]
kept:
  description: Name of each backup that stays, and why.
  returned: success, and where something was done before a failure
  type: dict
  sample: {20261125T031400Z: "last 1, the newest complete one"}
report:
  description: The same as lines of text for people.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: ["20261125T031400Z  stays  last 1, the newest complete one"]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import backup_purge

if __name__ == "__main__":
    main(backup_purge)
