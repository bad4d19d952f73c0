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
    default: 900
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

    # Nodes that give up their volumes for others.
    VOLUMES = r"""
options:
  replace_volumes:
    description:
      - Volumes that can never become what is wanted (they are to be smaller, or of another class, or larger in a class
        that makes none larger) are given up, one node after the other. Each node takes its own place again on an
        empty one, with its address, host id and tokens, and the other replicas stream it its data.
      - Refused before anything is given up are keyspaces with fewer than three replicas here, and data that would not
        fit. In check mode each node is shown with what it has, what it holds, and what it gets.
    type: bool
    default: false
  leave_workers:
    description:
      - Workers that no node of this datacenter shall stay on, such as machines that are exchanged. They must be
        cordoned. A node there whose volume stays on the worker gives it up, and takes its own place again on another
        worker, as with O(replace_volumes), one node after the other. A node whose volume follows it is left where it
        is, and a warning tells how to move it.
      - Refused before anything is given up are workers that are not there, or that take pods, nodes that no other
        worker could take, classes whose volumes are bound before their pods have workers, and keyspaces with fewer than
        three replicas here. Workers and volumes must be readable.
    type: list
    elements: str
    default: []
  repair:
    description:
      - Repair a node's ranges before it gives its volume up. A row that was written at QUORUM may be on two replicas
        of three, one of them this one; streamed from the third it would be on one only. Without it that is left to
        you; leave it out where all tables were just repaired.
    type: bool
    default: true
  repair_timeout:
    description:
      - Limit in seconds of the repair of one keyspace. Cassandra goes on with one that takes longer; the next run waits
        for its end, and does not repeat what has ended well.
    type: int
    default: 86400
"""
