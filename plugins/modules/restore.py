#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Restore tables, or a whole Cassandra datacenter, from a backup
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Brings back chosen keyspaces and tables while the datacenter serves, also into another datacenter than that of the
    backup; or the whole datacenter in its own place, with the host ids and tokens that it had.
  - Whether it can work is decided before anything is touched, and every reason against it is told at once - a backup
    that is not complete, a Cassandra that is too old, too little space, another ring, tables that have changed.
  - Then every file is downloaded to a folder beside the data, and compared with the backup's manifests. What serves is
    changed last. Tables that are gone are made again from the stored schema, with their ids, types, indexes and views.
  - The run may be killed at any moment; the next one finishes it. A second run at the same time is refused.
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
      - The backup's manifests are read, and the plan is made and told, or refused; nothing is downloaded or changed.
  diff_mode:
    support: none
    details:
      - Configuration is not changed; RV(tables) tells what happens to tables.
  idempotent:
    support: full
    details:
      - What was restored last is noted. The same wish once more changes nothing, unless O(again) is set.
  in_process:
    support: full
options:
  backup:
    description:
      - Where the backups are, as C(cassandra_backup) has it.
    type: dict
    required: true
  name:
    description:
      - Name of the backup. Default is the newest one that is complete and not known to be damaged.
    type: str
  to:
    description:
      - With O(mode=datacenter), the moment to go to after the backup, with its zone, such as C(2026-11-22T03:14:00Z),
        to the second. What the nodes have stored of their commit logs is replayed up to it. Needs C(point_in_time) of
        O(backup), since before the backup was taken.
      - Deletes of single rows that came soon after the moment are replayed too, which each run warns of.
      - By default nothing is replayed. Without O(name) the newest complete backup before it is taken.
    type: str
  source_cluster:
    description:
      - Name of the cluster that was backed up. Default is O(cluster).
    type: str
  source_datacenter:
    description:
      - Name of the datacenter that was backed up. Default is O(datacenter).
    type: str
  mode:
    description:
      - V(tables) restores tables while the datacenter serves.
      - V(datacenter) takes the whole datacenter back in its own place. All nodes stop together, so it is down for as
        long as they take to start. What was written after the backup is gone, and so are tables that were made since.
    type: str
    choices: [tables, datacenter]
    default: tables
  tables:
    description:
      - With O(mode=tables), what to restore, each as C(keyspace) or C(keyspace.table). Default is every table but those
        of Cassandra itself.
      - Materialized views on them come along.
    type: list
    elements: str
    default: []
  rows:
    description:
      - What becomes of the rows of tables that are there. Without it such tables are refused.
      - With V(replace) they go before the backup's rows come. A snapshot C(before-restore-ID) on each
        node, of every datacenter that the inventory names, keeps what was there, until somebody clears it.
      - With V(merge) both are there; the newer of two cells wins, and what was deleted after the backup stays deleted.
    type: str
    choices: [replace, merge]
  auth:
    description:
      - V(keep) leaves roles and permissions as they are.
      - V(take) brings those of the backup. With O(mode=tables) they are added, and the newer of two wins. With
        O(mode=datacenter) they are in the place of today's, passwords too. Then put the superuser's password of that
        time into its Secret.
    type: str
    choices: [keep, take]
    default: keep
  load:
    description:
      - With O(mode=tables), stream each row to the nodes that own it now (C(sstableloader)) where the ring is not that
        of the backup. It takes as many times the bytes as there are replicas, and a small Java process in each pod.
    type: bool
    default: false
  ignore:
    description:
      - Refusals of O(mode=datacenter) to go past; a run that goes on after another may give it newly.
      - V(original) - the datacenter of the same names that was backed up seems to live still, or no pod can ask whether
        it does. Then nobody is asked. Only where it is gone for good, such as where somebody else has its address.
      - V(datacenters) - the backup replicates to datacenters that the cluster does not have. Their nodes come back as
        members that are down for good, so nothing is repaired at the end. Afterwards alter the replication, take them
        out with M(cassops.kubernetes.node_remove), and repair.
    type: list
    elements: str
    choices: [original, datacenters]
    default: []
  confirm:
    description:
      - With O(mode=datacenter), and with O(abandon) where its data was exchanged already, the name of the datacenter
        once more, or C(cluster/datacenter).
    type: str
  again:
    description:
      - Restore once more what was restored last.
    type: bool
    default: false
  abandon:
    description:
      - Give up a restore that is not finished, and remove what it has downloaded. Nodes that are held for it start as
        they were.
      - Once data of a datacenter was exchanged it needs O(confirm). All nodes stop, each gets back what it had before
        the restore, and they start together. What was written since is gone.
    type: bool
    default: false
  repair:
    description:
      - Repair the restored tables at the end. Replicas of a backup are of one moment, but for writes that were on their
        way.
      - After a restore with O(mode=datacenter) these are all tables of the users' keyspaces.
    type: bool
    default: true
  space:
    description:
      - So many times the bytes that a volume takes must be free on it.
    type: float
    default: 1.2
  bandwidth:
    description:
      - Bytes per second that one node downloads with at most, such as V(50Mi), so that clients feel less of it; V(0) is
        no limit. A download that runs already, of a run that was killed, keeps what it began with.
    type: str
    default: "0"
  gate_timeout:
    description:
      - Seconds to wait for every node to be up in every view, with one schema and no hints to deliver.
    type: int
    default: 900
  wait_timeout:
    description:
      - Seconds without any progress after which a download is given up; also the limit of each other wait.
    type: int
    default: 1800
  table_timeout:
    description:
      - Limit in seconds of importing or loading one table, and of repairing one keyspace on one node.
    type: int
    default: 86400
  variable_prefix:
    description:
      - Put before the names of options in messages; roles set it.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Bring back a table that was dropped
  cassops.kubernetes.restore:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"
    tables: [shop.orders]

- name: Take a keyspace back to what it was, whatever was written since
  cassops.kubernetes.restore:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"
    name: 20261125T031400Z
    tables: [shop]
    rows: replace

- name: Take the whole datacenter back
  cassops.kubernetes.restore:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"
    mode: datacenter
    confirm: dc1

- name: Take the whole datacenter back to the last second before a mistake
  cassops.kubernetes.restore:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    backup: "{{ cassandra_backup }}"
    mode: datacenter
    confirm: dc1
    to: "2026-11-22T03:14:00Z"

- name: Fill a new datacenter with another number of nodes
  cassops.kubernetes.restore:
    namespace: staging
    cluster: shop-staging
    datacenter: dc9
    backup: "{{ cassandra_backup }}"
    source_cluster: shop
    source_datacenter: dc1
    load: true
"""

RETURN = r"""
backup:
  description: Name of the backup.
  returned: when something is or would be restored, and where something was done before a failure
  type: str
  sample: 20261125T031400Z
id:
  description: Name of the restore, and of its folder on the volumes while it runs.
  returned: when something is or would be restored, and where something was done before a failure
  type: str
  sample: 20261125T101500Z
way:
  description: V(import), V(load) or V(swap).
  returned: when something is or would be restored, and where something was done before a failure
  type: str
  sample: import
step:
  description:
    - Where it is, V(download), V(stop), V(swap), V(start), V(change), V(prove) or V(finish).
    - With O(abandon), where it was when it was given up; also V(return) or V(returned).
  returned: when something is or would be restored, and where something was done before a failure
  type: str
  sample: change
to:
  description: The moment that the commit logs are replayed up to.
  returned: when something is or would be restored, and where something was done before a failure
  type: str
  sample: "2026-11-22T03:14:00Z"
tables:
  description: What happens to each table, V(create), V(replace) or V(merge). Empty with O(mode=datacenter).
  returned: when something is or would be restored, and where something was done before a failure
  type: dict
  sample: {shop.orders: create}
nodes:
  description: What each node takes, and of which node of the backup.
  returned: when something is or would be restored, and where something was done before a failure
  type: list
  elements: dict
  sample:
    - {node: shop-dc1-r1-0, from: shop-dc1-r1-0, bytes: 52428800, files: 24}
made:
  description: Keyspaces, types, tables, indexes and views that were made again.
  returned: when something is or would be restored, and where something was done before a failure
  type: list
  elements: str
  sample: [table shop.orders]
emptied:
  description: Tables whose rows went before the backup's came.
  returned: when something is or would be restored, and where something was done before a failure
  type: list
  elements: str
  sample: []
repaired:
  description: Keyspaces that were repaired, or of which the restored tables were.
  returned: when something is or would be restored, and where something was done before a failure
  type: list
  elements: str
  sample: [shop]
tokens:
  description:
    - Node -> the tokens with which a datacenter of these racks could take the backup's files as they are, for
      C(cassandra_tokens) of a new one.
  returned: when it is refused; empty where the racks do not fit, and where the nodes have them already
  type: dict
  sample: {r1-0: [-9223372036854775808, 12]}
restored:
  description: When the same was restored before.
  returned: when nothing is done because of that
  type: str
  sample: "2026-11-25T10:15:00Z"
seconds:
  description: What the parts took.
  returned: when something is or would be restored, and where something was done before a failure
  type: dict
  sample: {download: 41.2, change: 3.9, repair: 12.0}
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import restore

if __name__ == "__main__":
    main(restore)
