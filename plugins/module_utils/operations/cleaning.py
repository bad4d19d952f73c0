# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of ranges that a node has given away are deleted from its volume: C(nodetool cleanup), rack by rack.

The nodes of a rack are cleaned at the same time; the others serve undisturbed. Nothing has to be remembered but who
lost ranges: the verb passes over SSTables without foreign rows, so a run that was killed is simply repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from .. import cql, gates, nodetool
from ..activity import ASK_LIMIT
from ..context import Context
from ..errors import CassopsError
from ..observe import attempt
from .cluster import Cluster
from .members import Members
from .waiting import wait_for


class Cleaning:
    """Cleans nodes of one datacenter, under its cluster's lock.

    :param jobs: SSTables at a time on a node; 0 is as many as it compacts.
    :param limit: seconds for a node.
    """

    def __init__(self, cluster: Cluster, members: Members, jobs: int, limit: float, ctx: Context) -> None:
        self.cluster = cluster
        self.members = members
        self.verb = ["cleanup", "-j", str(jobs)]
        self.limit = limit
        self.ctx = ctx

    def clean(self, pods: Sequence[str]) -> None:
        """Clean these nodes, rack by rack.

        :raises CassopsError: one failed; the others of its rack were finished, and what is left stays noted.
        """
        sight = self.cluster.ask(self.cluster.look(), busy=False)
        moving = gates.normal(sight.view.joined(sight.others))
        if moving:
            raise CassopsError(f"no cleanup while nodes join or leave: {'; '.join(moving)}")
        racks = sorted({self.members.rack_of(pod) for pod in pods})
        for rack in racks:
            self.rack([pod for pod in pods if self.members.rack_of(pod) == rack])

    def rack(self, pods: Sequence[str]) -> None:
        self.cluster.check()
        self.ctx.progress(self.members.short(f"cleanup of {', '.join(pods)}"), important=True)
        with ThreadPoolExecutor(max_workers=len(pods)) as pool:
            running = {pod: pool.submit(attempt, partial(self.one, pod)) for pod in pods}
            for done in running.values():
                while not done.done():
                    self.cluster.check()
                    self.tell([pod for pod, each in running.items() if not each.done()])
                    wait_for(done)
        answers = {pod: done.result() for pod, done in running.items()}
        failed = [f"{pod}: {answer}" for pod, answer in answers.items() if isinstance(answer, CassopsError)]
        clean = [pod for pod, answer in answers.items() if not isinstance(answer, CassopsError)]
        self.members.note_unclean([pod for pod in self.members.unclean(self.cluster.look().found) if pod not in clean])
        self.members.done += [self.members.short(f"cleanup of {pod}") for pod in clean]
        if failed:
            raise CassopsError(f"cleanup failed: {'; '.join(failed)}")

    def one(self, pod: str) -> list[nodetool.Result]:
        return nodetool.run(self.cluster.kube, pod, [self.verb], self.limit, check=True)

    def tell(self, pods: Sequence[str]) -> None:
        """How far they are, by their own count."""
        for pod in pods:
            told = attempt(partial(self.tasks, pod))
            if not isinstance(told, CassopsError) and told:
                done, total = (sum(int(row[key]) for row in told) for key in ("progress", "total"))
                part = 100 * done / total if total else 0.0
                words = f"{pod}: cleaning {len(told)} tables, {part:.0f} % of {total / 2**20:.0f} MiB"
                self.ctx.progress(self.members.short(words))

    def tasks(self, pod: str) -> list[Mapping[str, Any]]:
        login = self.cluster.own.credentials
        with cql.connect(self.cluster.kube, pod, login.username, login.password, timeout=ASK_LIMIT) as session:
            rows = session.execute("SELECT * FROM system_views.sstable_tasks")
        return [row for row in rows if "clean" in str(row["kind"]).lower()]
