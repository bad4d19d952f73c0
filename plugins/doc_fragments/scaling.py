# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # How nodes join and leave, and limits.
    DOCUMENTATION = r"""
options:
  cleanup:
    description:
      - Delete rows of ranges that nodes have given away to those that joined, rack by rack. Without it that is left
        to a later run, or to the playbook cleanup; before other nodes leave it is done in any case.
    type: bool
    default: true
  cleanup_jobs:
    description:
      - SSTables that a node cleans at a time; V(0) is as many as it compacts.
    type: int
    default: 1
  delete_volumes:
    description:
      - Delete the volumes of nodes that have left, in this run or in an earlier one. By default they are kept.
    type: bool
    default: false
  ignore:
    description:
      - Refusals to go past. V(space) - the others may not have room for what those that leave hold.
        V(racks) - replicas of a row would share a rack.
    type: list
    elements: str
    default: []
  gate_timeout:
    description:
      - Limit in seconds of the wait for the ring to be whole before a node joins or leaves.
    type: int
    default: 300
  wait_timeout:
    description:
      - Limit in seconds of each other wait. While a node streams it counts from the last progress.
    type: int
    default: 1800
  cleanup_timeout:
    description:
      - Limit in seconds of the cleanup of a node.
    type: int
    default: 86400
  option_prefix:
    description:
      - Put before the name of each of these options in messages; roles set it to the prefix of their variables.
    type: str
    default: ''
"""
