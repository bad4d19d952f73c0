# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout: what is pending for a datacenter, brought to its nodes batch by batch, under one lock.

The plan is made anew before each batch, from what is there, and its first batch is restarted. So the next run simply
goes on with one that was killed, or paused. What a look cannot tell, that is since when a forced rollout is under way,
stands in an annotation of the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .. import gates, rollout, upgrade
from ..context import Context, Failed
from ..errors import CassopsError
from ..observe import Objects, attempt
from . import backup_age, rollout_plan, unreadable, unused, way_back
from .cluster import CLUSTER, Cluster, Sight
from .node_restart import LIMITS, Limits, Restarts, short
from .rollout_plan import FORCED_SINCE, FORCED_UNTIL, MOMENT, done_since, forced_since

ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    **LIMITS,
    **rollout_plan.SETTINGS,
    **rollout_plan.REGISTERED,
    **backup_age.OPTION,
    "upgrade": {"type": "bool", "default": False},
    "snapshot": {"type": "str"},
    "rollback": {"type": "bool", "default": False},
    "variable_prefix": {"type": "str", "default": ""},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(rollout). See its documentation for parameters and results."""
    settings = rollout.parse(params, params.get("variable_prefix") or "")
    cluster = Cluster(params, ctx)
    if ctx.check_mode:
        return Rollout(cluster, settings, params, ctx).predict()
    with cluster.locked():
        return Rollout(cluster, settings, params, ctx).run()


class Rollout:
    """One run, from the first batch that is left to the last, or to a pause."""

    def __init__(self, cluster: Cluster, settings: rollout.Settings, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.settings = settings
        self.params = params
        self.ctx = ctx
        self.restarts = Restarts(cluster, settings, Limits.of(params), ctx)
        self.restarts.where = self.where
        self.began = time.monotonic()
        self.batch_began = self.began
        # Batches that this run has finished, and those of the present plan, the one under way included.
        self.finished = 0
        self.left = 0
        self.returned: list[str] = []
        self.removed: list[str] = []
        # What must not be done until all members are alike again.
        self.meanwhile: list[str] = []

    def run(self) -> dict[str, Any]:
        try:
            return self.go()
        except CassopsError as error:
            self.ctx.warnings.extend(self.meanwhile)
            # What was done is done, and a person wants to know it, also where the lock is lost or nothing answers.
            told = attempt(self.result)
            done = self.done() if isinstance(told, CassopsError) else told
            raise Failed(str(error), done, getattr(error, "errors", ())) from error

    def go(self) -> dict[str, Any]:
        self.restarts.settle()
        if self.params["rollback"]:
            self.returned = way_back.take(self.cluster, self.settings, self.ctx)
        self.restarts.wait_observed()
        sight = self.cluster.ask(self.cluster.look())
        self.refuse(sight)
        was_more = self.params["upgrade"] or rollout_plan.change_of(sight).is_upgrade
        self.open_gates_before_upgrade(sight)
        # Before the first node: this run may die.
        self.note(sight.found)
        since = self.forced_since(sight)
        while True:
            seen: Sight | None = None
            plan = rollout.plan(sight.view, self.settings, sight.others, done_since(sight.view, since))
            self.tell(plan)
            batch = plan.batches[0] if plan.batches else None
            if plan.unfinished and not (batch and batch.fix):
                self.restarts.wait_well(plan.unfinished)
            elif plan.blockers and not (batch and batch.fix):
                raise CassopsError(f"The rollout cannot go on: {'; '.join(plan.blockers)}")
            elif batch is None:
                break
            else:
                self.refuse_lost_tables(sight)
                seen = self.restart(batch, len(plan.batches), sight)
                if batch.pause:
                    self.ctx.warnings.extend(self.meanwhile)
                    return self.result(paused=True)
            sight = self.cluster.again(seen)
        # An earlier one that was left half way is no measure of what another change has restarted since.
        if since or (self.restarts.done and forced_since(self.cluster, sight.found)):
            self.restarts.annotate({FORCED_SINCE: None, FORCED_UNTIL: None})
        self.restarts.settle()
        if not self.params["rollback"]:
            way_back.forget(self.cluster, sight.found)
        found = self.cluster.look().found
        self.note(found)
        self.tidy(found)
        return self.ended(sight, was_more)

    def ended(self, sight: Sight, was_more: bool) -> dict[str, Any]:
        """The result of a run after which no batch is left.

        :param was_more: it was more than a restart.
        """
        lost = rollout.lost(sight.view, self.settings)
        unlike = gates.one_line(sight.view.joined(sight.others).without(lost))
        if unlike:
            self.ctx.warnings.extend(self.meanwhile)
        result = self.result()
        return {**result, "one_line": bool(was_more and not (unlike or lost or result["pending_restart"]))}

    def restart(self, batch: rollout.Batch, left: int, sight: Sight) -> Sight | None:
        """What was seen when its nodes were back."""
        self.left, self.batch_began = left, time.monotonic()
        self.restarts.say(f"{short(batch.nodes)}: {batch.why}")
        seen = self.restarts.batch(batch, sight)
        self.finished, self.left = self.finished + 1, 0
        if self.settings.force:
            # A large datacenter takes more than a day.
            self.restarts.annotate({FORCED_UNTIL: self.moment()})
        return seen

    def tell(self, plan: rollout.Plan) -> None:
        """Warnings, each once."""
        self.ctx.warnings.extend(text for text in plan.warnings if text not in self.ctx.warnings)

    def note(self, found: Objects) -> None:
        """Into the ledger, what the nodes run or begin to run: it tells where no pod and no StatefulSet is left."""
        ledger = self.cluster.ledger(found)
        self.cluster.write_ledger(ledger, rollout_plan.noted(ledger, found, coming=True))

    def tidy(self, found: Objects) -> None:
        """Take away the configuration that nobody uses any more: the next deploy has nothing to do then."""
        for done in unused.remove(
            self.cluster.kube, self.cluster.name, self.cluster.own.datacenter, found, self.cluster.check
        ):
            self.removed.append(done)
            self.ctx.progress(done, important=True)

    # What may not be restarted just so

    def refuse(self, sight: Sight) -> None:
        """Raise where the pending change is more than a restart, and that was not asked for, or may not be."""
        if self.params["rollback"]:
            self.refuse_to_go_on_back(sight)
            return
        lost = rollout.lost(sight.view, self.settings)
        may_not_be = rollout_plan.unheard if self.params["upgrade"] else rollout_plan.not_mere
        reasons = may_not_be(sight, lost)
        if reasons:
            raise CassopsError("; ".join(reasons))
        change = rollout_plan.change_of(sight)
        if not change.is_upgrade:
            return
        everybody = self.cluster.ask_all(sight)
        reasons = rollout_plan.refusals(self.cluster, everybody, rollout_plan.change_of(everybody, lost))
        if reasons:
            raise CassopsError("; ".join(reasons))
        backup_age.warn(self.params, self.cluster.kube, sight.found, self.ctx)
        told = change.warnings()
        self.ctx.warnings.extend(text for text in told if self.ctx.check_mode or text not in upgrade.MEANWHILE)
        self.meanwhile = [text for text in told if text in upgrade.MEANWHILE]
        for text in self.meanwhile:
            self.ctx.progress(text, important=True)

    def refuse_to_go_on_back(self, sight: Sight) -> None:
        """Raise where a way back to 4.1 that an earlier run began was closed since; its own is asked by C(way_back)."""
        if self.returned or not rollout_plan.change_of(sight).leads_back:
            return
        reasons = unreadable.refusals(self.cluster, self.cluster.ask_all(sight).view)
        if reasons:
            raise CassopsError("; ".join(reasons))

    def open_gates_before_upgrade(self, sight: Sight) -> None:
        if self.params["rollback"] or not rollout_plan.change_of(sight).is_upgrade:
            return

        def look() -> list[str]:
            seen = self.cluster.ask_all(self.cluster.look())
            return rollout_plan.before_upgrade(self.cluster, seen, self.settings, self.params.get("snapshot"))

        self.restarts.wait_gates(look, "the gates before an upgrade to open")

    def refuse_lost_tables(self, sight: Sight) -> None:
        """Raise where a node that went back to 4.1 knows fewer tables than those that did not yet.

        Of an upgrade that is taken back, nodes on 4.1 may never have left it: those of this run count.
        """
        if not rollout_plan.change_of(sight).leads_back:
            return
        done = [pod for each in self.restarts.done for pod in each.nodes]
        sight = sight if done else self.cluster.ask_all(sight)
        older = unreadable.on(sight.view, newer=False)
        back = [pod for pod in older if pod in done] if self.params["rollback"] else older
        reasons = unreadable.lost_tables(self.cluster, sight.view, back)
        if reasons:
            raise CassopsError(f"The way back stops here: {'; '.join(reasons)}")

    # Forced

    def forced_since(self, sight: Sight) -> str | None:
        """Since when the forced rollout is under way, this run's beginning or that of one that was interrupted."""
        if not self.settings.force:
            return None
        noted = forced_since(self.cluster, sight.found)
        if noted:
            done = short(done_since(sight.view, noted)) or "no node"
            self.restarts.say(f"going on with the forced rollout that began at {noted}: {done} restarted since then")
            return noted
        since = self.moment()
        self.restarts.annotate({FORCED_SINCE: since, FORCED_UNTIL: None})
        return since

    def moment(self) -> str:
        return datetime.fromtimestamp(self.cluster.kube.server_time(), timezone.utc).strftime(MOMENT)

    # For people

    def where(self) -> str:
        """Such as "batch 2 of 6, about 3 min left: "."""
        if not self.left:
            return ""
        head = f"batch {self.finished + 1} of {self.finished + self.left}"
        if not self.finished:
            return f"{head}: "
        each = (self.batch_began - self.began) / self.finished
        remaining = each * self.left - (time.monotonic() - self.batch_began)
        return f"{head}, {about(remaining)} left: "

    def done(self) -> dict[str, Any]:
        """What was done; nothing is looked at."""
        done = self.restarts.done
        return {
            "changed": bool(done or self.returned or self.removed),
            "restarted": [pod for each in done for pod in each.nodes],
            "batches": [each.facts() for each in done],
            "returned": self.returned,
            "removed": self.removed,
            "seconds": round(time.monotonic() - self.began, 1),
        }

    def result(self, paused: bool = False) -> dict[str, Any]:
        view = self.cluster.look().view
        result: dict[str, Any] = {
            **self.done(),
            "pending_restart": [node.pod for node in view.nodes if rollout.needs_restart(view, node)],
            "paused": paused,
        }
        if self.ctx.diff_mode:
            result["diff"] = rollout_plan.diff(view, result["restarted"])
        return result

    # Check mode

    def predict(self) -> dict[str, Any]:
        """The plan, and whether it could begin now; nothing is written."""
        sight = self.cluster.ask_all(self.cluster.look(self.params.get("registered") or ()))
        if self.params["rollback"]:
            sight = way_back.predicted(self.cluster, self.settings, sight)
        else:
            self.refuse(sight)
        told = rollout_plan.predicted(self.cluster, sight, self.settings, self.ctx, self.params.get("snapshot") or "")
        if told["batches"]:
            return told
        removed = unused.predicted(self.cluster.kube, self.cluster.name, self.cluster.own.datacenter, sight.found)
        for each in removed:
            self.ctx.display(each)
        return {**told, "removed": removed, "changed": bool(removed)}


def about(seconds: float) -> str:
    """A rough time as people say it."""
    if seconds < 60:
        return f"about {max(5, 5 * round(seconds / 5))} s"
    return f"about {round(seconds / 60)} min"
