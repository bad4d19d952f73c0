#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: datacenter
short_description: A Cassandra datacenter on Kubernetes, as wanted or absent
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Makes a datacenter as described, or changes a living one towards the description, without ever restarting a node.
    A change that needs a restart is registered and told in RV(pending_restart).
  - A new datacenter starts all its nodes at once with planned, evenly spaced tokens.
    CQL stays closed until the superuser stands and the default login C(cassandra) is refused;
    until then it can be reached through the API server's port-forward only.
  - Everything is validated before anything is touched, and all errors are told at once.
  - The run may be killed at any moment; the next one looks what is there and does the rest.
    A second run at the same time is refused; a Lease in the namespace says who is at work.
  - Those of O(peers) that already run give their seeds and the superuser's Secret, and the system's keyspaces are
    replicated to all of them.
notes:
  - The credentials need rights in one namespace only; the collection ships the Role in
    C(extensions/kubernetes/rbac.yml).
  - Number and names of racks, and the number of nodes, of a living datacenter are not changed by this module.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.desired
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - Validation and the API server's dry run take place; not even the lock is taken.
  diff_mode:
    support: full
    details:
      - For V(present), the objects before and after. Secrets and the ledger are left out.
  idempotent:
    support: full
    details:
      - The one request that writes on an unchanged datacenter is that of the lock.
  in_process:
    support: full
options:
  repair:
    description:
      - When the datacenter is repaired by the clock. Default is never.
      - A mapping with C(schedule) (as a CronJob of Kubernetes takes it, in UTC, such as C(15 1 * * *)),
        C(schedule_image), C(schedule_account), C(schedule_memory), C(schedule_variables) and C(schedule_pod_template),
        which are what those of O(backup) are, for a CronJob that runs the playbook repair; its options begin with
        C(repair_), and its container is called C(repair). It needs no restart.
    type: raw
  state:
    description:
      - With V(present) the datacenter is made or changed, and the task ends when every node is up in every node's
        view.
      - With V(absent) it is taken away; volumes, ledger and the superuser's Secret stay, so that a later V(present)
        brings back the same nodes with their rows.
    type: str
    choices: [present, absent]
    default: present
  create_namespace:
    description:
      - Create the namespace where it does not exist, with the C(restricted) Pod Security Standard enforced.
        Needs the right to create namespaces.
    type: bool
    default: false
  wait_timeout:
    description:
      - Limit in seconds of each wait (for the nodes to join, to be whole, to stop). When it passes the task fails, says
        what is missing and undoes nothing.
    type: int
    default: 1800
  confirm:
    description:
      - For O(state=absent), the name of the datacenter once more, or C(cluster/datacenter).
    type: str
  delete_volumes:
    description:
      - For O(state=absent), delete the volumes and the ledger too, and the superuser's Secret if it was made here
        and no other
        datacenter of the cluster is left in the namespace. The data is lost.
    type: bool
    default: false
  variable_prefix:
    description:
      - Put before the names of options in messages. Roles set it, so that messages name the variable a person wrote.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: A datacenter of three racks
  cassops.kubernetes.datacenter:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    version: 5.0.9
    racks:
      - {name: r1, zone: eu-west-1a, nodes: 2}
      - {name: r2, zone: eu-west-1b, nodes: 2}
      - {name: r3, zone: eu-west-1c, nodes: 2}
    storage: {class: gp3, size: 500Gi}
    resources:
      requests: {cpu: "4", memory: 32Gi}
      limits: {memory: 32Gi}

- name: Away with it; the volumes stay
  cassops.kubernetes.datacenter:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    state: absent
    confirm: dc1
"""

RETURN = r"""
changes:
  description: What was done (or, in check mode, would be done), one sentence each.
  returned: success
  type: list
  elements: str
  sample:
    - create StatefulSet shop-dc1-r1
phase:
  description: The datacenter's phase; V(running) once clients are served.
  returned: O(state=present)
  type: str
  sample: running
nodes:
  description: The names of the nodes.
  returned: O(state=present)
  type: list
  elements: str
  sample: [shop-dc1-r1-0, shop-dc1-r2-0]
pending_restart:
  description: The nodes that run an older revision of image or configuration until they are restarted.
  returned: O(state=present)
  type: list
  elements: str
  sample: []
registered:
  description:
    - The StatefulSets and ConfigMaps that would change, as the API server would have them; of a configuration only
      what it does to the storage format.
    - O(cassops.kubernetes.rollout_plan#module:registered) takes them.
  returned: O(state=present), in check mode
  type: list
  elements: dict
  sample: []
unwell:
  description: The nodes that do not come up by themselves, and whose correction waits for the restart.
  returned: O(state=present)
  type: list
  elements: str
  sample: []
connection:
  description: How clients reach the datacenter.
  returned: O(state=present)
  type: dict
  contains:
    service:
      description: Name of the Service inside the Kubernetes cluster.
      type: str
      sample: shop-dc1.cassandra.svc
    port:
      description: Port of CQL.
      type: int
      sample: 9042
    datacenter:
      description: Local datacenter for the driver's load balancing.
      type: str
      sample: dc1
    secret:
      description: The Secret with the superuser's username and password.
      type: str
      sample: shop-superuser
    namespace:
      description: The namespace of both.
      type: str
      sample: cassandra
    forward:
      description: A command that makes CQL reachable from here.
      type: str
      sample: kubectl -n cassandra port-forward service/shop-dc1 9042
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter

if __name__ == "__main__":
    main(datacenter)
