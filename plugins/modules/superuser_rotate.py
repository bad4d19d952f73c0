#!/usr/bin/python
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: superuser_rotate
short_description: Give the superuser of a Cassandra cluster another password
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Changes the password in Cassandra and in the Secret of each datacenter, and proves on every node that the new one is
    taken and the old one is not.
  - The new one is what somebody has put into the Secret's key C(next_password), else 32 random characters. It stands in
    the Secret beside the one in force before Cassandra is told, and every login of this collection tries both.
  - Refused unless every node of all datacenters is up, with one schema.
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
      - What would be done is told, if the gates are open; nothing is written.
  diff_mode:
    support: none
    details:
      - It would be of passwords.
  idempotent:
    support: partial
    details:
      - With O(max_age=0) each run is a rotation.
  in_process:
    support: full
options:
  max_age:
    description:
      - Leave a password alone that came into force less than so many days ago. One that waits as C(next_password) comes
        into force in any case.
    type: int
    default: 0
  gate_timeout:
    description:
      - Limit in seconds of the wait for every node to be up, with one schema.
    type: int
    default: 120
  wait_timeout:
    description:
      - Limit in seconds of the wait for every node to take the new password and to refuse the old one. A node remembers
        a login for C(credentials_validity).
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Another password every three months
  cassops.kubernetes.superuser_rotate:
    namespace: cassandra
    cluster: shop
    datacenter: dc1
    max_age: 90
"""

RETURN = r"""
changes:
  description: What was done, or would be in check mode. No password is in it.
  returned: always
  type: list
  elements: str
  sample: [change the password of the role shop-superuser]
nodes:
  description: The nodes that were seen to take the new password and to refuse the old one.
  returned: always
  type: list
  elements: str
  sample: [shop-dc1-r1-0]
"""

from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import main
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import superuser_rotate

if __name__ == "__main__":
    main(superuser_rotate)
