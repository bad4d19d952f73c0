#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: volume
short_description: Size and class of the volumes of a Cassandra datacenter
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Every claim of a node asks for the new size, under the running node, and the StatefulSets are made again without
    touching their pods, so that new nodes get volumes of that size.
  - Where the StorageClass does not let volumes grow, for a smaller size, and for another class it is refused, unless
    O(replace_volumes=true); then each node gives its volume up and takes its own place again on another one, one node
    after the other.
  - Where the storage grows the file system only when a pod starts, RV(needs_restart) names the nodes.
  - The run may be killed; the next one goes on.
extends_documentation_fragment:
  - cassops.kubernetes.kubernetes
  - cassops.kubernetes.kubernetes.datacenter
  - cassops.kubernetes.kubernetes.peers
  - cassops.kubernetes.rollout
  - cassops.kubernetes.scaling.volumes
  - cassops.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - What would grow or be given up is told, and refused if it cannot be; nothing is done.
  diff_mode:
    support: none
    details:
      - The results tell what is changed.
  idempotent:
    support: full
  in_process:
    support: full
options:
  size:
    description:
      - Size of each node's volume, a Kubernetes quantity such as V(200Gi).
    type: str
    required: true
  storage_class:
    description:
      - Name of the StorageClass of each node's volume. By default each keeps its own.
    type: str
  workers_on_demand:
    description:
      - Kubernetes adds workers for pods that wait, so it is not checked whether there are some for nodes that leave
        theirs (O(leave_workers)).
    type: bool
    default: false
  gate_timeout:
    description:
      - Limit in seconds of the wait for the ring to be whole before a node gives its volume up.
    type: int
    default: 900
  wait_timeout:
    description:
      - Limit in seconds of each other wait. While a node streams it counts from the last progress.
    type: int
    default: 1800
"""

EXAMPLES = r"""
- name: Twice as large
  cassops.kubernetes.volume:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    size: 200Gi

- name: Smaller, and of another class
  cassops.kubernetes.volume:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    size: 50Gi
    storage_class: local-nvme
    replace_volumes: true

- name: Off two machines that are exchanged, and that were cordoned
  cassops.kubernetes.volume:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    size: 200Gi
    leave_workers: [worker-a, worker-b]
"""

RETURN = r"""
changes:
  description: What was done, in order; in check mode what would be done.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: [data-r1-0 grows to 200Gi]
volumes:
  description: Node by node, the size of its volume.
  returned: success, and where something was done before a failure
  type: dict
  sample: {shop-dc1-r1-0: 200Gi}
replaced:
  description: The nodes that gave their volumes up for others, as M(cassops.kubernetes.node_replace) returns them.
  returned: success, and where something was done before a failure
  type: list
  elements: dict
  sample: []
needs_restart:
  description:
    - Nodes whose file systems grow when their pods start, as far as it is known three minutes after the storage was
      done.
  returned: success, and where something was done before a failure
  type: list
  elements: str
  sample: []
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import volume

if __name__ == "__main__":
    main(volume)
