# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All replicas are compared, and made alike: keyspace by keyspace, node by node, what was longest ago first.

Cassandra's own record tells what is due (L(repair_history)), so a run that was killed is finished by the next, and what
was repaired in another way is not repaired again.

A repair of everything takes days where there is much, so it does not take the cluster's lock: between two nodes it
stands aside while another operation has it. A lock of its own keeps a second repair away.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from .. import gates, nodetool, repair_history, report
from ..context import Context, Failed
from ..errors import CassopsError, SpecError
from ..kubeapi import LOST, ExecTimeout, Unreachable
from ..lock import Lock, each_once, who_holds
from ..repair_history import Share
from ..view import View
from . import departed, repairing
from .cluster import CLUSTER, Cluster, lock_name
from .waiting import until

ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    "keyspaces": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "max_age": {"type": "int", "default": 432000},
    "begin_within": {"type": "int", "default": 0},
    "jobs": {"type": "int", "default": 1},
    "sequential": {"type": "bool", "default": False},
    "gate_timeout": {"type": "int", "default": 3600},
    "node_timeout": {"type": "int", "default": 86400},
    "option_prefix": {"type": "str", "default": ""},
}
PAUSE = 10.0
# Seconds after which it is looked anew at who has which ranges: the record is long, and little changes.
LOOK_AGAIN = 600.0
# After so many failures one after the other the cause is no matter of one node or keyspace.
FAILURES = 3


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(repair). See its documentation for parameters and results.

    :raises Failed: a node could not be repaired, or the cluster is not well.
    """
    repair = Repair(Cluster(params, ctx), params, ctx)
    if ctx.check_mode:
        result = repair.result()
        return {**result, "changed": bool(result["due"])}
    with ExitStack() as stack:
        for lock in repair.locks:
            stack.enter_context(lock)
        try:
            repair.run()
        except CassopsError as error:
            told = [*repair.failures.values(), str(error)]
            raise Failed("; ".join(told), repair.result(), told) from error
        told = list(repair.failures.values())
        if told:
            advice = "See to the cause, then run it again: only what is due is repaired."
            raise Failed(f"{'; '.join(told)}. {advice}", repair.result(), told)
        return repair.result()


@dataclass(frozen=True)
class Seen:
    """What was repaired when.

    :ivar shares: those of all nodes of all datacenters.
    :ivar graces: see L(repair_history.graces).
    :ivar late: what C(status) tells of it, where nothing will be done.
    :ivar gone: see L(departed.since).
    :ivar at: when it was looked (seconds, monotonic).
    """

    pods: Mapping[str, str]
    shares: Sequence[Share]
    graces: Mapping[str, float]
    late: Sequence[Mapping[str, str]]
    gone: float
    at: float


class Repair:
    """One run over the nodes of one datacenter."""

    def __init__(self, cluster: Cluster, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.params = params
        self.ctx = ctx
        places = each_once(place.kube for place in (cluster.own, *cluster.peers))
        self.locks = [Lock(kube, f"{cluster.name}-repair-lock", ctx.holder) for kube in places]
        self.began = time.monotonic()
        self.done: list[dict[str, Any]] = []
        # (keyspace, pod) -> why.
        self.failures: dict[tuple[str, str], str] = {}
        self.seen = self.look()

    def run(self) -> None:
        self.turns()
        if self.done:
            self.seen = self.look()

    def turns(self) -> None:
        """One keyspace on one node after the other."""
        in_a_row = 0
        while left := self.left():
            if self.is_late():
                late = f"{len(left)} are left for the next run; none is begun after {self.params['begin_within']} s"
                self.ctx.progress(late, important=True)
                return
            share = left[0]
            pod = self.seen.pods[share.node]
            if not self.wait_well(pod):
                # Meanwhile others may have repaired it, or moved it.
                self.seen = self.look()
                continue
            failure = self.one(share, len(left))
            in_a_row = in_a_row + 1 if failure else 0
            if failure:
                self.failures[share.keyspace, pod] = failure
                self.ctx.progress(failure, important=True)
            if in_a_row == FAILURES:
                return
            if time.monotonic() - self.seen.at > LOOK_AGAIN:
                self.seen = self.look()

    def check(self) -> None:
        """:raises LockLost: another repair has begun."""
        for lock in self.locks:
            lock.check()

    def is_late(self) -> bool:
        within = self.params["begin_within"]
        return bool(within and time.monotonic() - self.began > within)

    # What is due

    def look(self) -> Seen:
        """
        :raises CassopsError: no node answers, or a keyspace is not there.
        """
        sight = self.cluster.ask(self.cluster.look(), busy=False)
        view = sight.view.joined(sight.others)
        if not sight.view.observations:
            raise CassopsError(f"no node could be asked: {'; '.join(gates.whole(sight.view))}")
        self.cluster.learn(sight)
        names = self.names(view)
        gone = departed.since(self.cluster.own, sight.found)
        after = gone + repairing.CLOCKS if gone else 0.0
        record = repairing.record(self.cluster.own, min(sight.view.observations), after)
        keyspaces = [item for item in view.keyspaces if item.name in names]
        return Seen(
            {node.address: node.pod for node in sight.view.nodes if node.address},
            repair_history.shares(report.members(view), keyspaces, record.tables, record.repairs),
            repair_history.graces(keyspaces),
            self.late(replace(sight.view, keyspaces=tuple(keyspaces)), record, gone),
            gone,
            time.monotonic(),
        )

    def late(self, view: View, record: repairing.Record, gone: float) -> list[dict[str, str]]:
        return repairing.late(view, record, self.cluster.kube.server_time(), gone) if self.ctx.check_mode else []

    def names(self, view: View) -> list[str]:
        known, wanted = repairing.keyspaces(view), self.params["keyspaces"]
        prefix = self.params["option_prefix"]
        faults = [
            f"{prefix}keyspaces[{number}]: there is no keyspace {name} with replicas; there are {', '.join(known)}"
            for number, name in enumerate(wanted)
            if name not in known
        ]
        if faults:
            raise SpecError(faults)
        return wanted or known

    def due(self) -> list[Share]:
        """What this datacenter's nodes have yet to repair."""
        finished = {(each["keyspace"], each["node"]) for each in self.done}
        before = self.cluster.kube.server_time() - self.params["max_age"]
        pods = self.seen.pods
        ours = sorted((share for share in self.seen.shares if share.node in pods), key=lambda share: pods[share.node])
        return [each for each in repair_history.due(ours, before) if (each.keyspace, pods[each.node]) not in finished]

    def left(self) -> list[Share]:
        """What of it has not failed in this run."""
        return [each for each in self.due() if (each.keyspace, self.seen.pods[each.node]) not in self.failures]

    # One node, one keyspace

    def one(self, share: Share, left: int) -> str:
        """Why it failed; empty where it did not.

        :raises CassopsError: no further one can be begun.
        """
        pod, began, started = self.seen.pods[share.node], self.cluster.kube.server_time(), time.monotonic()
        words = f"{pod}: repair of {share.keyspace}, {left} to go{self.estimate(left)}"
        self.ctx.progress(words, important=True)
        answer = self.repair(pod, share.keyspace)
        if isinstance(answer, ExecTimeout):
            raise CassopsError(f"{answer} Cassandra goes on with it, so no other one is begun. Run it again later.")
        if isinstance(answer, LOST):
            lost = f"{str(answer).rstrip('.')}. Cassandra may go on with it; its end is waited for"
            self.ctx.progress(lost, important=True)
            self.wait_well(pod, self.params["node_timeout"])
            answer = None if self.is_repaired(pod, share.keyspace, began) else answer
        if isinstance(answer, CassopsError):
            return f"{pod}, keyspace {share.keyspace}: {answer}"
        seconds = round(time.monotonic() - started, 1)
        self.done.append({"node": pod, "keyspace": share.keyspace, "seconds": seconds})
        return ""

    def repair(self, pod: str, keyspace: str) -> Any:
        """What the verb answered, errors too."""
        options = ["-pr", "-full", "-j", str(self.params["jobs"]), *(["-seq"] if self.params["sequential"] else [])]
        limit = float(self.params["node_timeout"])
        verb = ["repair", *options, "--", keyspace]
        run = partial(nodetool.run_one, self.cluster.kube, pod, verb, limit)
        return repairing.answer_of(run, f"{pod}: repair of {keyspace}", self.check, self.ctx.progress)

    def is_repaired(self, pod: str, keyspace: str, since: float) -> bool:
        """Whether the record has a node's share as repaired meanwhile; its address may be another one by now."""
        self.seen = self.look()
        found = [
            share for share in self.seen.shares if (self.seen.pods.get(share.node), share.keyspace) == (pod, keyspace)
        ]
        return bool(found) and all(share.last is not None and share.last > since - repairing.CLOCKS for share in found)

    def wait_well(self, pod: str, limit: float = 0.0) -> bool:
        """Until all replicas can be compared, nothing else changes the cluster, and no repair works on the node.

        :param limit: seconds; default is C(gate_timeout).
        :return: whether that was so at once.
        """
        looks: list[list[str]] = []

        def look() -> list[str]:
            looks.append(self.in_the_way(pod))
            return looks[-1]

        what = f"the cluster to be well before the repair on {pod}"
        until(look, what, limit or self.params["gate_timeout"], self.ctx.progress, PAUSE)
        return len(looks) == 1

    def in_the_way(self, pod: str) -> list[str]:
        self.check()
        try:
            # Nobody is asked while another operation is at work: it asks enough itself.
            return self.holders() or self.not_well(pod)
        except Unreachable as error:
            return [str(error)]

    def holders(self) -> list[str]:
        places = (self.cluster.own, *self.cluster.peers)
        found = {who_holds(place.kube, lock_name(self.cluster.name)) for place in places}
        return [f"{holder} changes the cluster" for holder in sorted(found - {"", self.ctx.holder})]

    def not_well(self, pod: str) -> list[str]:
        sight = self.cluster.ask(self.cluster.look(), also=(pod,))
        view = sight.view.joined(sight.others)
        return [
            *(reason for each in (sight.view, *sight.others) for reason in gates.whole(each)),
            *gates.one_line(view),
            *gates.no_repairs(view, pod),
        ]

    # For people

    def estimate(self, left: int) -> str:
        if not self.done:
            return ""
        each = sum(entry["seconds"] for entry in self.done) / len(self.done)
        return f", about {report.age(each * left)} left"

    def result(self) -> dict[str, Any]:
        due = self.due()
        if self.ctx.check_mode:
            self.ctx.warnings.extend(each["problem"] for each in self.seen.late)
        else:
            self.warn(due)
        return {
            "changed": bool(self.done),
            "repaired": self.done,
            "due": [
                {"node": self.seen.pods[each.node], "keyspace": each.keyspace, "last": report.moment(each.last)}
                for each in due
            ],
            "repaired_until": {name: report.moment(at) for name, at in repair_history.oldest(self.seen.shares).items()},
        }

    def warn(self, due: Sequence[Share]) -> None:
        """Of what stays undone for too long: deletions are forgotten then, and their rows come back."""
        now = self.cluster.kube.server_time()
        late = {each.keyspace for each in repair_history.outdated(due, self.seen.graces, now)}
        unknown = {each.keyspace for each in due if each.last is None} - late
        if late:
            self.ctx.warnings.append(
                f"not repaired within gc_grace_seconds: {', '.join(sorted(late))}. Rows that were deleted may come "
                "back where a replica missed the deletion"
            )
        if unknown:
            gone = self.seen.gone
            why = f" (what was repaired before {report.utc(gone)} does not count: a node was replaced or removed)"
            self.ctx.warnings.append(
                f"not repaired yet, or not for 30 days, on some nodes: {', '.join(sorted(unknown))}; run it again"
                f"{why if gone else ''}"
            )
