# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of ranges that a node has given away are deleted from its volume: C(nodetool cleanup), rack by rack.

The nodes of a rack are cleaned at the same time; the others serve undisturbed. Nothing has to be remembered but who
lost ranges: the verb passes over SSTables without foreign rows, so a run that was killed is simply repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import gates, rollout
from ..context import Context
from ..errors import CassopsError
from ..replacement.scene import under_way
from ..view import View
from ..wording import agree
from .cluster import Cluster
from .compacting import Compacting
from .members import Members


class Cleaning:
    """Cleans nodes of one datacenter, under its cluster's lock.

    :param jobs: SSTables at a time on a node; 0 is as many as it compacts.
    :param limit: seconds for a node.
    """

    def __init__(self, cluster: Cluster, members: Members, jobs: int, limit: float, ctx: Context) -> None:
        self.cluster = cluster
        self.members = members
        verb = ["cleanup", "-j", str(jobs)]
        # It deletes nothing that is in memory (C(CompactionManager.performCleanup)).
        before = [["flush"]]
        self.compacting = Compacting(cluster, verb, "cleaning", "clean", limit, ctx, members.short, before)
        self.ctx = ctx

    def clean(self, pods: Sequence[str]) -> None:
        """Clean these nodes, rack by rack.

        One that does not run keeps nobody else from it; where one that runs fails, the racks after its own are left.

        :raises CassopsError: one failed; the others of its rack were finished, and what is left stays noted.
        """
        sight = self.cluster.ask(self.cluster.look(), busy=False, gossip=True)
        moving = gates.normal(without_dead(sight.view.joined(sight.others)))
        if moving:
            raise CassopsError(f"no cleanup while nodes join or leave: {'; '.join(moving)}")
        racks = sorted({self.members.rack_of(pod) for pod in pods})
        silent: list[str] = []
        for rack in racks:
            failed, deaf = self.rack([pod for pod in pods if self.members.rack_of(pod) == rack])
            silent += deaf
            if failed:
                raise CassopsError(f"cleanup failed: {'; '.join([*silent, *failed])}")
        if silent:
            raise CassopsError(
                f"cleanup failed: {'; '.join(silent)}; heal {agree(silent, 'it', 'them')}, then run cleanup "
                "again, which takes what is left"
            )

    def rack(self, pods: Sequence[str]) -> tuple[list[str], list[str]]:
        """:return: why some were not cleaned: those that failed, and those that do not run or could not be asked."""
        self.cluster.check()
        self.ctx.progress(self.members.short(f"cleanup of {', '.join(pods)}"), important=True)
        view = self.cluster.ask(self.cluster.look(), also=pods, busy=False).view
        deaf = {pod: view.unheard.get(pod, "it does not run") for pod in pods if pod not in view.observations}
        answers = self.compacting.run([pod for pod in pods if pod not in deaf])
        failed = [f"{pod}: {error}" for pod, error in answers.items() if error]
        clean = [pod for pod, error in answers.items() if not error]
        self.members.note_unclean([pod for pod in self.members.unclean(self.cluster.look().found) if pod not in clean])
        self.members.done += [self.members.short(f"cleanup of {pod}") for pod in clean]
        return failed, [f"{pod}: {why}" for pod, why in deaf.items()]


def without_dead(view: View) -> View:
    """The view without members that are dead and have not begun to move, such as those that gossip calls C(shutdown).

    No range of theirs goes anywhere before they are removed, and a removal waits for cleanup. One that is down for all
    others because it streams to take a dead one's place, under that one's address, is not dead.
    """
    replacing = view.addresses([node.pod for node in view.nodes if rollout.joins(view, node)])
    dead = [
        address
        for address, member in view.endpoints().items()
        if not (view.seen_up_by(address) or under_way(member) or address in replacing)
    ]
    return view.without([], dead)
