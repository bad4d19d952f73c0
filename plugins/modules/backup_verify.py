#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: backup_verify
short_description: Read a backup of a Cassandra datacenter again
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Compares the documents of a backup with their digests and every file that they name with what is stored, lets restic
    check the repositories, and reads so much of the data as you want.
  - What is damaged is named, with the node it belongs to, and the task fails. The result is written into the catalogue.
  - It proves that a backup can be read. That a datacenter can be made of it proves only a restore.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.backup
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - It is told which backup would be read.
  diff_mode:
    support: none
    details:
      - Nothing is configured.
  idempotent:
    support: none
    details:
      - Each run is one more proof, with a time of its own.
  in_process:
    support: full
options:
  name:
    description:
      - Name of the backup. Default is the newest complete one of the whole datacenter.
    type: str
  read_data:
    description:
      - How much of the repositories' data is read and compared with its digests, such as V(5%), V(100%), or V(0).
        A part is chosen at random each time.
    type: str
    default: 5%
  sstables:
    description:
      - Let Cassandra read a sample too. One table of one node, both chosen at random, is downloaded beside the data,
        and C(sstableverify --extended) reads every row of it there. Nothing that serves is touched.
      - It is a second Java process of 256 MiB in that pod, beside Cassandra; leave room for it in the memory limit.
    type: bool
    default: false
  wait_timeout:
    description:
      - For how many seconds the check of a repository may run. restic tells no progress of it.
    type: int
    default: 7200
"""

EXAMPLES = r"""
- name: The newest backup
  cassops.kubernetes.backup_verify:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"

- name: Every byte of one
  cassops.kubernetes.backup_verify:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"
    name: 20261125T031400Z
    read_data: 100%
    sstables: true
"""

RETURN = r"""
name:
  description: Name of the backup.
  returned: success, and where the backup is damaged
  type: str
  sample: 20261125T031400Z
faults:
  description: What is wrong.
  returned: success, and where the backup is damaged
  type: list
  elements: str
  sample: []
report:
  description: The result as lines of text for people.
  returned: success, and where the backup is damaged
  type: list
  elements: str
  sample: ["backup 20261125T031400Z is well: 1204 files on 6 nodes, 5% of the repositories' data read"]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import backup_verify

if __name__ == "__main__":
    main(backup_verify)
