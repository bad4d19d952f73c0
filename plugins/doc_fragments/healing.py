# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What the user says about failed nodes, and limits.
    DOCUMENTATION = r"""
options:
  workers_off:
    description:
      - Workers that are off for good, as somebody has made sure of. Their pods are taken away without waiting for
        the worker's word.
      - Not needed for a worker that was deleted from Kubernetes, where the credentials may read workers.
      - Never name a worker that may still run. Cassandra on it would go on under the address of its own replacement.
    type: list
    elements: str
    default: []
  accept_loss:
    description:
      - Keyspaces of which rows may be lost by a replacement. A refusal lists those that have to be named.
    type: list
    elements: str
    default: []
  repair:
    description:
      - Repair the ranges of nodes that missed more than hints cover. Without it that is left to a later run.
    type: bool
    default: true
  grace:
    description:
      - For how many seconds a worker may be silent before anybody is asked about it.
    type: int
    default: 300
  patience:
    description:
      - For how many seconds what may pass by itself is waited for, such as a worker that may come back.
    type: int
    default: 600
  wait_timeout:
    description:
      - Limit in seconds of each other wait. While a node streams it counts from the last progress.
    type: int
    default: 1800
  repair_timeout:
    description:
      - Limit in seconds of the repair of one keyspace. Cassandra goes on with one that takes longer; the next run waits
        for its end, and does not repeat what has ended well.
    type: int
    default: 86400
  variable_prefix:
    description:
      - Put before the name of each option in messages; roles set it to the prefix of their variables.
    type: str
    default: ''
"""
