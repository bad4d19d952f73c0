# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The login for all nodes.
    DOCUMENTATION = r"""
notes:
  - Gates look at all O(peers) that run; one that cannot be reached is an error.
options:
  superuser_secret:
    description:
      - Name of the Secret with the login for the nodes. Default is the name of the cluster with C(-superuser).
    type: str
"""

    # What the person who starts a rollout decides.
    SETTINGS = r"""
options:
  max_unavailable:
    description:
      - How many nodes of one rack may be down at once; a number, a percentage of the rack such as V(25%), or V(rack)
        for all of them.
      - It is never more than every range of every keyspace allows at its quorum, and never of two racks.
      - Default is V(1).
    type: raw
  order:
    description:
      - Racks in the order wanted; the others follow.
    type: raw
  limit:
    description:
      - Only these racks or nodes. Kubernetes releases the highest numbers of a rack first, so a node cannot be
        restarted before those above it that wait too.
    type: raw
  canary:
    description:
      - Restart one node alone first, and go on when it stayed well for O(soak) seconds. Default is V(true).
    type: raw
  soak:
    description:
      - Seconds that the canary must stay well. Default is V(30).
    type: raw
  pause_after:
    description:
      - With V(canary) or V(rack) the run ends there, well, and the next one goes on. Default is V(never).
    type: raw
  low_rf:
    description:
      - What to do about keyspaces that lose their quorum whichever node restarts, because they have less than three
        replicas.
      - V(block) does not begin, V(warn) tells and restarts one replica of each range at a time, V(ignore) leaves them
        out of account. Default is V(block).
    type: raw
  force:
    description:
      - Restart every node, not only those with a change pending. Default is V(false).
      - A forced rollout whose last batch was done less than a day ago is gone on with.
    type: raw
  ignore:
    description:
      - Gates to go past, of V(streams), V(repairs), V(hints), V(disk) and V(compactions).
    type: raw
  free_disk:
    description:
      - Percent of a volume that must be free. Default is V(5).
    type: raw
  compactions:
    description:
      - How many tasks may wait in a node's C(CompactionExecutor), such as those of a cleanup. That is not
        the estimate of C(nodetool compactionstats). Default is V(1000).
    type: raw
  without:
    description:
      - Racks or nodes that are lost, where they cannot be replaced first. They must be down; nothing waits for them,
        and what they hold counts as down in all batches.
    type: raw
  accept_outage:
    description:
      - Keyspaces that may lose their quorum while a node restarts, where no order of restarts keeps it. Such a node
        restarts alone.
    type: raw
"""

    # How long to wait for what.
    LIMITS = r"""
options:
  gate_timeout:
    description:
      - Limit in seconds of the wait for the gates to open before a batch. When it passes the task fails and tells what
        is in the way. While nodes deliver hints it counts from the last file that is delivered.
    type: int
    default: 120
  wait_timeout:
    description:
      - Limit in seconds of the wait for restarted nodes to be back, and for them to have all writes that others keep
        for them as hints. It counts from the last progress, which is a node that comes a step on, or a file of hints
        that is delivered.
      - A node that replays a long commit log shows no progress, nor do the hints of a large datacenter while each file
        takes long. Raise it for those.
    type: int
    default: 1800
"""
