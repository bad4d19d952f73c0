# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verbs that work through all SSTables of a node for hours: C(nodetool upgradesstables) and C(nodetool cleanup).

Cassandra goes on with one when nobody listens any more, and passes over SSTables that it has done when it is asked
again (CompactionManager.parallelAllSSTableOperation, 4.0 to 5.0). So a connection that is lost is no end: what the node
still does is waited for, and the verb is sent once more. Sent sooner, it would throw away what is half done. The same
goes for what a run that was killed has left behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from .. import nodetool
from ..activity import ASK_LIMIT
from ..context import Context
from ..errors import CassopsError
from ..kubeapi import LOST, ExecTimeout
from ..observe import attempt, logged_in, together
from .cluster import Cluster
from .waiting import in_background, wait_for

PAUSE = 5.0
# How often the verb is sent to a node: each time a connection is lost, a part of the keyspaces was done.
TURNS = 20
# Seconds that a node may be silent while it is waited for; a restart of it takes less.
SILENCE = 900.0


class MayStillCompact(CassopsError):
    """Nobody knows that the node has ended."""


class Compacting:
    """A verb on nodes of one datacenter, under its cluster's lock.

    :param verb: with its options, as nodetool takes it.
    :param word: what a node does then, for people.
    :param kind: a part of what C(system_views.sstable_tasks) calls that.
    :param limit: seconds for a node.
    :param name: what a pod is called for people.
    :param before: verbs that come before it.
    """

    def __init__(
        self,
        cluster: Cluster,
        verb: Sequence[str],
        word: str,
        kind: str,
        limit: float,
        ctx: Context,
        name: Callable[[str], str] = str,
        before: Sequence[Sequence[str]] = (),
    ) -> None:
        self.cluster = cluster
        self.verbs = [*before, list(verb)]
        self.word = word
        self.kind = kind
        self.limit = limit
        self.ctx = ctx
        self.name = name

    def run(self, pods: Sequence[str]) -> dict[str, CassopsError | None]:
        """All of them at the same time, and how far they are meanwhile: pod -> why it failed.

        :raises CassopsError: the lock is lost. What the nodes do goes on then.
        """
        deadline = time.monotonic() + self.limit
        running = {pod: in_background(partial(attempt, partial(self.one, pod, deadline))) for pod in pods}
        for done in running.values():
            while not done.done():
                self.cluster.check()
                self.tell([pod for pod, each in running.items() if not each.done()])
                wait_for(done)
        return {pod: done.result() for pod, done in running.items()}

    def one(self, pod: str, deadline: float) -> None:
        """As often as it takes.

        :raises MayStillCompact: it was not done in time, or cannot be asked any more.
        :raises CassopsError: the node refused.
        """
        for turn in range(1, TURNS + 1):
            self.wait_idle(pod, deadline)
            answer = attempt(partial(self.send, pod, max(1.0, deadline - time.monotonic())))
            if isinstance(answer, ExecTimeout) or (isinstance(answer, LOST) and turn == TURNS):
                raise MayStillCompact(f"{answer} It may go on with {self.word}.")
            if not isinstance(answer, LOST):
                break
            self.ctx.progress(f"{self.name(pod)}: {answer} It is waited for, and asked once more", important=True)
            time.sleep(PAUSE)
        if isinstance(answer, CassopsError):
            raise answer

    def send(self, pod: str, limit: float) -> None:
        nodetool.run(self.cluster.kube, pod, self.verbs, limit, check=True)

    def wait_idle(self, pod: str, deadline: float) -> None:
        """Until the node does nothing of the kind that was begun before.

        :raises MayStillCompact: that takes too long, or is not known.
        """
        heard = time.monotonic()
        while True:
            told, now = attempt(partial(self.tasks, pod)), time.monotonic()
            if isinstance(told, CassopsError):
                if now - heard > SILENCE:
                    raise MayStillCompact(f"it does not tell for {SILENCE:.0f} s whether it is {self.word}: {told}")
            elif not told:
                return
            else:
                heard = now
            if now > deadline:
                raise MayStillCompact(f"it is still {self.word} after {self.limit:.0f} s.")
            time.sleep(PAUSE)

    def tell(self, pods: Sequence[str]) -> None:
        """How far they are, by their own count.

        :raises CassopsError: the lock is lost.
        """
        for pod, told in zip(pods, together(self.count, pods), strict=True):
            if isinstance(told, CassopsError):
                self.ctx.progress(f"{self.name(pod)} does not tell how far it is: {told}")
            elif told:
                done, total = (sum(int(row[key]) for row in told) for key in ("progress", "total"))
                part = 100 * done / total if total else 0.0
                words = f"{self.word} {len(told)} tables, {part:.0f} % of {total / 2**20:.0f} MiB"
                self.ctx.progress(f"{self.name(pod)}: {words}")

    def count(self, pod: str) -> list[Mapping[str, Any]] | CassopsError:
        self.cluster.check()
        return attempt(partial(self.tasks, pod))

    def tasks(self, pod: str) -> list[Mapping[str, Any]]:
        with logged_in(self.cluster.kube, pod, self.cluster.own.credentials, ASK_LIMIT) as session:
            rows = session.execute("SELECT * FROM system_views.sstable_tasks")
        return [row for row in rows if self.kind in str(row["kind"]).lower()]
