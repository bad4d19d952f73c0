#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Back a Cassandra datacenter up
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Flushes and takes a snapshot on every node within seconds, uploads the snapshots with restic, and clears them. Each
    node has an encrypted repository of its own, named by its host id; what is in it already is not uploaded again.
  - What was stored is compared with what the snapshots had. The manifest of the backup is written last, when every node
    is in; a backup without it does not count.
  - A node that cannot give its data does not keep the others from it. The backup is then C(partial), and the task
    fails.
  - A run that was killed is taken up by the next one of the same name. One of another name marks it
    as failed, or as complete where every node is in.
  - Refused while a restore that has changed something is not finished.
  - The other datacenters of the cluster are not looked at, so they may be stopped, or away.
  - The datacenter is locked for the seconds of the snapshots. Backups, restores and purges exclude each other all the
    time.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.backup
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - Nodes, Secrets and the store are looked at; no snapshot is taken.
  diff_mode:
    support: none
    details:
      - Nothing is configured.
  idempotent:
    support: full
    details:
      - With O(name). A backup of that name that is complete is left as it is.
  in_process:
    support: full
options:
  superuser_secret:
    description:
      - Name of the Secret with the superuser's C(username) and C(password). Default is the name of the cluster with
        C(-superuser).
    type: str
  name:
    description:
      - Name of the backup. Default is the time, such as V(20261125T031400Z).
    type: str
  tables:
    description:
      - Only these, each V(keyspace.table) or V(keyspace). Default is everything, roles and permissions too.
    type: list
    elements: str
    default: []
  parallel:
    description:
      - Which nodes upload at the same time. With V(rack) those of one rack, so that two of three replicas answer as
        fast as ever; V(all), or a number of nodes.
    type: str
    default: rack
  snapshot_timeout:
    description:
      - Limit of flushing a node, and of taking or clearing its snapshot, in seconds.
    type: int
    default: 600
  wait_timeout:
    description:
      - For how many seconds an upload may make no progress.
    type: int
    default: 1800
"""

EXAMPLES = r"""
- name: A backup of everything
  cassops.kubernetes.backup:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup:
      repository: s3:https://s3.example.com/backups/cassandra
      credentials_secret: backup-store
      password_secret: backup-password

- name: One table, before it is changed
  cassops.kubernetes.backup:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"
    name: before-ticket-4711
    tables: [shop.orders]
"""

RETURN = r"""
name:
  description: Name of the backup.
  returned: success, and where something was done before a failure
  type: str
  sample: 20261125T031400Z
backup:
  description: The backup.
  returned: success, and where something was stored before a failure
  type: dict
  contains:
    name:
      description: Name.
      type: str
      sample: 20261125T031400Z
    state:
      description: C(complete), C(partial) or C(failed); in check mode C(running).
      type: str
      sample: complete
    began:
      description: When it began.
      type: str
      sample: "2026-11-25T03:14:00Z"
    taken:
      description: When the snapshots were taken.
      type: str
      sample: "2026-11-25T03:14:06Z"
    finished:
      description: When it ended.
      type: str
      sample: "2026-11-25T03:31:40Z"
    size:
      description: Bytes of all files of all nodes.
      type: int
      sample: 322122547200
    added:
      description: Bytes that were uploaded for it, compressed; the others were there.
      type: int
      sample: 4187593113
    versions:
      description: Cassandra versions of the nodes.
      type: list
      elements: str
      sample: [5.0.9]
    tables:
      description: The tables that were asked for; empty is all.
      type: list
      elements: str
      sample: []
    nodes:
      description: The nodes, and whether each is in.
      type: list
      elements: dict
      sample:
        - node: shop-dc1-r1-0
          host_id: 6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a
          rack: r1
          stored: true
          size: 53687091200
          added: 697932185
          error: ''
report:
  description: The same as lines of text for people.
  returned: success, and where something was stored before a failure
  type: list
  elements: str
  sample: ["backup 20261125T031400Z: complete, 300.0 GiB, of them new 3.9 GiB"]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import backup

if __name__ == "__main__":
    main(backup)
