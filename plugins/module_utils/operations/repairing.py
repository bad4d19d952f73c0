# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repairs of single nodes, each to its end, whoever began it: after a node missed more than hints cover, and after a
restore.

Cassandra goes on with a repair when nobody listens any more, and has on record how it ended (L(repair_history)). So
none is begun beside one that still works on the node, and what is on record is not repaired again: a run that was
killed, that lost its connection or whose time was over is gone on with by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .. import gates, nodetool, repair_history, report
from ..context import Context
from ..errors import CassopsError
from ..gates import UNCOUNTED_KEYSPACES, keyspaces_named
from ..kubeapi import LOST, ExecTimeout, Unreachable
from ..observe import attempt, logged_in
from ..report import distributed
from ..view import View
from . import departed, failures
from .cluster import Cluster, Place
from .waiting import SAY_AGAIN, in_background, until, wait_for

HISTORY = (
    "SELECT keyspace_name, columnfamily_names, successful_ranges, started_at, options "
    "FROM system_distributed.parent_repair_history"
)
# All moments in microseconds.
TABLES = "SELECT keyspace_name, table_name, WRITETIME(id) AS since FROM system_schema.tables"
VIEWS = "SELECT keyspace_name, view_name, WRITETIME(id) AS since FROM system_schema.views"
# Of a keyspace's last change: Cassandra writes this anew with each of its tables.
REPLICATED = "SELECT keyspace_name, WRITETIME(replication) AS since FROM system_schema.keyspaces"
# Seconds for a page of it.
READ_LIMIT = 60.0
# Seconds between two looks.
PAUSE = 10.0
# Seconds after which the record is read anew: it is long, and most of what it gets is our own.
READ_AGAIN = 600.0
# How often a keyspace is repaired whose connection is lost each time: each one compares all rows.
TURNS = 3
# Seconds that a node may be silent while it is waited for; a restart of it takes less.
SILENCE = 900.0
# Seconds by which clocks of nodes and API server may differ.
CLOCKS = 60.0


def keyspaces(view: View) -> list[str]:
    """What is repaired: every keyspace that is replicated, but those whose rows nobody relies on."""
    return sorted(item.name for item in distributed(view) if item.name not in UNCOUNTED_KEYSPACES)


@dataclass(frozen=True)
class Record:
    """Cassandra's own, as one node tells it.

    :ivar repairs: those that count: since the keyspace was changed last, for one.
    :ivar every: those before that, too.
    :ivar tables: keyspace -> its tables and views -> when each was made or changed last (seconds since 1970).
    """

    repairs: Sequence[repair_history.Repair]
    every: Sequence[repair_history.Repair]
    tables: Mapping[str, Mapping[str, float]]


def record(place: Place, pod: str, after: float = 0.0) -> Record:
    """
    :param after: repairs that began before do not count, of whatever keyspace (seconds since 1970).
    :raises CassopsError: it cannot be read.
    """
    with logged_in(place.kube, pod, place.credentials, READ_LIMIT) as session:
        since = {row["keyspace_name"]: (row["since"] or 0) / 1e6 for row in session.execute(REPLICATED)}
        rows = session.execute(HISTORY)
        tables: dict[str, dict[str, float]] = {}
        for row in [*session.execute(TABLES), *session.execute(VIEWS)]:
            name, table = row["keyspace_name"], row.get("table_name") or row["view_name"]
            # Cassandra's own tables have a made up moment: they are as old as their replication.
            told = since.get(name, 0.0) if name.startswith("system") else (row["since"] or 0) / 1e6
            tables.setdefault(name, {})[table] = told
    counted = {name: max(after, moment) for name, moment in since.items()}
    return Record(repair_history.repairs(rows, counted), repair_history.repairs(rows), tables)


def late(view: View, found: Record, now: float, gone: float) -> list[dict[str, str]]:
    """Keyspaces whose repairs by the clock seem to have ended, and those that a node has left to repair which went, as
    far as a datacenter's own nodes repair them.

    :param now: seconds since 1970.
    :param gone: see L(departed.since).
    """
    wanted, members = [item for item in view.keyspaces if item.name in keyspaces(view)], report.members(view)
    own = {node.address for node in view.nodes}
    shares = repair_history.late(members, wanted, found.tables, found.every, now)
    told = repair_history.problems([each for each in shares if each.node in own], wanted, now)
    # What was repaired longer ago is on record no more, and late by then.
    recent = now - gone < repair_history.KEPT
    left = repair_history.unrepaired_since(members, wanted, found.tables, found.every, gone + CLOCKS) if recent else []
    names = sorted({each.keyspace for each in left if each.node in own})
    return [*told, left_to_repair(names, gone)] if names else told


def left_to_repair(names: Sequence[str], gone: float) -> dict[str, str]:
    """As C(report.problems) tells it. :param gone: see L(departed.since)."""
    return {
        "problem": f"{keyspaces_named(names)}: some of it was not repaired since a node was replaced or removed "
        f"({report.utc(gone)})",
        "advice": "the next run of the playbook repair does it, by the clock or by hand, for all datacenters of the "
        "cluster: hints that the node kept for others are lost, so rows may lack a replica until then",
    }


def answer_of(run: Callable[[], Any], words: str, check: Callable[[], None], say: Callable[[str], None]) -> Any:
    """What C(nodetool repair) answers, errors too; and for how long it has gone on meanwhile.

    :param run: runs it.
    :param words: what it does, for people.
    :param check: raises where the run has to end. What the node does goes on then.
    """
    done = in_background(partial(attempt, run))
    said = started = time.monotonic()
    while not done.done():
        check()
        wait_for(done)
        if time.monotonic() - said > SAY_AGAIN:
            said = time.monotonic()
            say(f"{words}, for {report.age(said - started)}")
    return done.result()


def repair(
    cluster: Cluster, view: View, pod: str, limit: float, option: str, ctx: Context, since: float = 0.0
) -> list[str]:
    """Repair a node's ranges, keyspace by keyspace, fully: Cassandra compares all replicas of each.

    The note of what was missed goes at the end. A run that dies before leaves it, and the next one goes on.

    :param limit: seconds for one keyspace.
    :param option: what sets that, for people.
    :param since: see L(Repairing).
    :return: the keyspaces.
    :raises CassopsError: a repair failed, or its end is not known.
    """
    names = keyspaces(view)
    for _turn in range(TURNS):
        repairing = Repairing(cluster, limit, option, ctx, since)
        for number, name in enumerate(names, 1):
            repairing.run(Part(pod, name), f"{pod} is repaired: keyspace {name} ({number} of {len(names)})")
        if len(repairing.starts) < 2:
            failures.forget_missed(cluster.kube, pod)
            return names
        # It was started again meanwhile, and may have missed something of the keyspaces that were done by then.
        ctx.progress(
            f"{pod} was started again meanwhile: what was repaired before that is repaired again", important=True
        )
    raise CassopsError(f"{pod} was started again in each of {TURNS} repairs. See its log, then run it again")


@dataclass(frozen=True)
class Part:
    """What one node repairs at once.

    :ivar tables: of the keyspace; none are all.
    :ivar primary: only the ranges of which the node is the first replica; else all that it has.
    """

    pod: str
    keyspace: str
    tables: tuple[str, ...] = ()
    primary: bool = False


class Repairing:
    """Repairs parts of the cluster, each one that was not repaired since.

    What a node missed before its start is in no repair that began before it: that one would have failed, since it asks
    all replicas. So one counts that began after the node's last start, whoever began it.

    :param limit: seconds for one part.
    :param option: what sets that, for people.
    :param since: what began before does not count either, in seconds since 1970.
    """

    def __init__(self, cluster: Cluster, limit: float, option: str, ctx: Context, since: float = 0.0) -> None:
        self.cluster = cluster
        self.limit = limit
        self.option = option
        self.ctx = ctx
        self.since = since
        # When nodes were started, as far as they were seen (seconds since 1970).
        self.starts: set[float] = set()
        self._record: Record | None = None
        self._read_at = 0.0

    def portions(self, pod: str, keyspace: str, tables: Sequence[str]) -> list[tuple[str, ...]]:
        """What of a keyspace's tables is repaired by one command each; none are all, by one command."""
        found = self.latest(pod)
        every = found.tables.get(keyspace, ()) if found else ()
        if not tables or (every and set(tables) >= set(every)):
            return [()]
        return [tuple(portion) for portion in nodetool.portions(tables)]

    def run(self, part: Part, words: str) -> None:
        """
        :param words: what is done, for people.
        :raises CassopsError: it failed, the connection was lost each time, or its time was over.
        """
        for _turn in range(TURNS):
            if self.has(part):
                self.ctx.progress(f"{words}: that is on record already")
                return
            answer = self.compare(part, words)
            if not isinstance(answer, LOST):
                break
            lost = f"{str(answer).rstrip('.')}. Cassandra may go on with it; its end is waited for"
            self.ctx.progress(lost, important=True)
            self._record = None
        if isinstance(answer, LOST) and self.has(part):
            return
        if isinstance(answer, ExecTimeout):
            raise CassopsError(
                f"{answer} Cassandra goes on with it. Run it again, which waits for its end and does what is left; a "
                f"larger {self.option} waits for longer."
            )
        if isinstance(answer, CassopsError):
            raise answer

    def compare(self, part: Part, words: str) -> Any:
        """What the verb answered, errors too."""
        self.cluster.check()
        self.ctx.progress(words, important=True)
        primary = ["-pr"] if part.primary else []
        verb = ["repair", "-full", *primary, "--", part.keyspace, *part.tables]
        run = partial(nodetool.run_one, self.cluster.kube, part.pod, verb, self.limit)
        return answer_of(run, words, self.cluster.check, self.ctx.progress)

    def has(self, part: Part) -> bool:
        """When no repair works on the node any more, whether it has the part on record."""
        view, started, gone = self.wait_for_others(part.pod)
        self.starts.add(started)
        found = self.latest(part.pod)
        node = view.node(part.pod)
        replication = next((item.replication for item in view.keyspaces if item.name == part.keyspace), None)
        if found is None or node is None or node.address is None or replication is None:
            return False
        members = report.members(view)
        ranges = repair_history.primary_ranges if part.primary else repair_history.replica_ranges
        spans = ranges(members, replication).get(node.address, ())
        tables = part.tables or tuple(found.tables.get(part.keyspace, ()))
        since = max(self.since, started, gone) + CLOCKS
        return repair_history.compared(part.keyspace, tables, spans, found.repairs, since)

    def latest(self, pod: str) -> Record | None:
        """The record; None where it cannot be read: then everything is repaired."""
        if self._record is None or time.monotonic() - self._read_at > READ_AGAIN:
            told = attempt(partial(record, self.cluster.own, pod))
            if isinstance(told, CassopsError):
                self.ctx.progress(f"what was repaired already is not known: {told}")
                return None
            self._record, self._read_at = told, time.monotonic()
        return self._record

    def wait_for_others(self, pod: str) -> tuple[View, float, float]:
        """Until no repair works on the node: Cassandra goes on with one when the run that began it has died, and a
        second one beside it would take longer than both.

        :return: the cluster then, when the node was started, and when one was removed or replaced last (L(departed),
            seconds since 1970).
        """
        latest: list[tuple[View, float, float]] = []
        heard = time.monotonic()

        def look() -> list[str]:
            nonlocal heard
            self.cluster.check()
            try:
                sight = self.cluster.ask(self.cluster.look(), also=(pod,))
            except Unreachable as error:
                return [str(error)]
            view, now = sight.view.joined(sight.others), time.monotonic()
            if pod not in view.observations:
                if now - heard > SILENCE:
                    raise CassopsError(f"{pod} does not answer for {SILENCE:.0f} s. See its log, then run it again")
                return [f"{pod} does not answer"]
            heard = now
            started = failures.started_at(sight.found.get("Pod", pod))
            latest[:] = [(view, started, departed.since(self.cluster.own, sight.found))]
            left = gates.no_repairs(view, pod)
            if left:
                # How that one ends is not on the record that was read before.
                self._record = None
            return left

        until(look, f"the repairs on {pod} to end", self.limit, self.ctx.progress, PAUSE)
        return latest[0]
