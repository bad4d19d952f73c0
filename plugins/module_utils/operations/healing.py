# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at everything, decide by the table, carry out one decision, and look again: until nothing is left to do.

The modules heal (all nodes) and node_replace (one that is named) are two ways to call it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .. import nodetool, report
from ..context import Context, Failed
from ..errors import CassopsError
from ..replacement import actions
from ..replacement.actions import Decision
from ..replacement.case import Case, Settings
from ..replacement.scene import Scene
from ..replacement.table import decide
from . import failures, repairing
from .cluster import CLUSTER, Cluster, Sight
from .members import Members
from .replacing import Done, Replacing
from .waiting import SAY_AGAIN, until

# Seconds between two looks that ask every node.
PAUSE = 3.0
VERB_LIMIT = 120.0
# The same to the same node more often than this in one run does not help.
TIMES = 3
# Gossip forgets by itself who owns nothing; an address that stays for longer is a ghost.
GHOST_SECONDS = 120.0
PUT_OFF = "; not repaired in this run"
# What is seen after an action that leaves nobody well; nothing of one that is gone then.
AFTER = {actions.STOP: actions.STOPPED, actions.ASSASSINATE: ""}
SAID: Mapping[str, Any] = {
    "workers_off": {"type": "list", "elements": "str", "default": []},
    "accept_loss": {"type": "list", "elements": "str", "default": []},
    "repair": {"type": "bool", "default": True},
    "grace": {"type": "int", "default": 300},
    "patience": {"type": "int", "default": 600},
    "wait_timeout": {"type": "int", "default": 1800},
    "repair_timeout": {"type": "int", "default": 86400},
    "variable_prefix": {"type": "str", "default": ""},
}
"""What the user says about failed nodes, and limits in seconds."""
ARGUMENT_SPEC: Mapping[str, Any] = {**CLUSTER, **SAID}


@dataclass(frozen=True)
class Round:
    """One look, and what follows from it."""

    sight: Sight
    scene: Scene
    cases: Sequence[Case]
    decisions: Sequence[Decision]

    def case(self, pod: str) -> Case:
        return next(case for case in self.cases if case.node.pod == pod)


class Healing:
    """Heals the nodes of one datacenter.

    :param only: the one node to look after; None: all of them, and strangers in the ring.
    :param ghosts: since when they have been seen (seconds, monotonic), of whoever looks again and again.
    :ivar changes: what was done, in words.
    :ivar replaced: the replacements that were finished.
    """

    def __init__(
        self,
        cluster: Cluster,
        params: Mapping[str, Any],
        ctx: Context,
        only: str | None = None,
        ghosts: dict[str, float] | None = None,
    ) -> None:
        self.cluster = cluster
        self.params = params
        self.ctx = ctx
        self.only = only
        self.settings = Settings(
            named=frozenset([only] if only else []),
            workers_off=frozenset(params["workers_off"]),
            accept_loss=frozenset(params["accept_loss"]),
            grace=float(params["grace"]),
            hint_window=None,
            prefix=params["variable_prefix"],
        )
        self.changes: list[str] = []
        self.replaced: list[Done] = []
        self.repaired: list[str] = []
        self._before: dict[str, str] = {}
        self._latest: Round | None = None
        self._times: Counter[tuple[str, str]] = Counter()
        self._ghosts = {} if ghosts is None else ghosts
        self._said, self._said_at = "", 0.0

    # Looking

    def look(self) -> Round:
        sight = self.cluster.ask(self.cluster.look(), busy=False, gossip=True)
        if self.settings.hint_window is None:
            self.settings = replace(self.settings, hint_window=failures.hint_window(self.cluster, sight))
        cases = failures.cases(self.cluster, sight)
        decided = decide(sight.view, cases, self.settings, sight.others)
        for address in self._ghosts.keys() - {each.node for each in decided if each.action == actions.ASSASSINATE}:
            del self._ghosts[address]
        plan = failures.open_plan(self.cluster, sight.found)
        decisions = in_turn([self.patiently(each) for each in decided], plan.pod if plan else "", self.only)
        wanted = [each for each in decisions if self.only in (None, each.node)]
        self._latest = Round(sight, Scene(sight.view, sight.others, self.settings), cases, wanted)
        return self._latest

    def patiently(self, decision: Decision) -> Decision:
        """Decisions that time may make needless wait for it; those that do not help are not repeated."""
        if decision.action == actions.ASSASSINATE:
            since = self._ghosts.setdefault(decision.node, time.monotonic())
            if time.monotonic() - since < GHOST_SECONDS:
                return replace(decision, action=actions.WAIT)
        if decision.action == actions.REPAIR and not self.params["repair"]:
            return replace(decision, action=actions.NONE, reason=f"{decision.reason}{PUT_OFF}")
        if decision.acts and self._times[decision.node, decision.action] >= TIMES:
            advice = "see its pod, its log, and what this run did"
            reason = f"{decision.reason}; this run did that {TIMES} times, and it did not help"
            return replace(decision, action=actions.ASK, reason=reason, advice=advice)
        return decision

    # Acting

    def heal(self, begin: Round) -> Round:
        """L(run), whose failures tell also what was done until then.

        :raises Failed: a step could not be finished, or something is left that a person has to see to.
        """
        try:
            seen = self.run(begin)
        except CassopsError as error:
            # What was done since the beginning has changed the picture.
            raise Failed(str(error), self.result(self._latest or begin)) from error
        if not finished(seen.decisions):
            raise unfinished(self.result(seen), seen.decisions)
        return seen

    def run(self, seen: Round) -> Round:
        """Carry out decisions until none is left, or until those that wait have waited for long enough.

        :param seen: a look that was just made.
        """
        deadline = time.monotonic() + self.params["patience"]
        self.cluster.learn(seen.sight)
        while True:
            step = actions.first(seen.decisions)
            if step is not None:
                self.act()
                # What waits begins anew: the ring is another one now.
                deadline = time.monotonic() + self.params["patience"]
            elif time.monotonic() > deadline or not waiting(seen.decisions):
                return seen
            else:
                self.say_sometimes(waiting(seen.decisions))
                time.sleep(PAUSE)
            seen = self.look()

    def act(self) -> None:
        """Under the lock: look again, and carry out one decision."""
        with self.cluster.locked():
            seen = self.look()
            plan = failures.open_plan(self.cluster, seen.sight.found)
            step = actions.first(seen.decisions, plan.pod if plan else "")
            if step is None:
                return
            self._times[step.node, step.action] += 1
            self._before.setdefault(step.node, step.reason)
            self.carry_out(step, seen)

    def carry_out(self, step: Decision, seen: Round) -> None:
        ways: Mapping[str, Callable[[Decision, Round], None]] = {
            actions.ABANDON: self.abandon,
            actions.MOVE: self.move,
            actions.RECREATE: self.recreate,
            actions.STOP: self.stop,
            actions.REPLACE: self.replace,
            actions.BOOTSTRAP: self.bootstrap,
            actions.ASSASSINATE: self.assassinate,
            actions.REPAIR: self.repair,
        }
        ways[step.action](step, seen)

    def replacing(self) -> Replacing:
        return Replacing(self.cluster, self.settings, float(self.params["wait_timeout"]), self.ctx)

    def replace(self, step: Decision, seen: Round) -> None:
        """Begin a replacement, or take up the one that was begun."""
        replacing, plan = self.replacing(), failures.open_plan(self.cluster, seen.sight.found)
        if plan is None:
            plan = replacing.begin(seen.case(step.node), step, seen.scene, seen.sight)
        self.changes.append(f"replace {step.node}")
        done = replacing.carry_out(plan)
        self.replaced.append(done)
        # From now on it is a node like any other, whose ranges may have to be repaired.
        self.settings = replace(self.settings, named=self.settings.named - {step.node})

    def abandon(self, step: Decision, seen: Round) -> None:
        plan = failures.open_plan(self.cluster, seen.sight.found)
        if plan is not None:
            self.replacing().abandon(plan)
            self.changes.append(f"withdraw the replacement of {step.node}")

    def move(self, step: Decision, seen: Round) -> None:
        """Its worker is off: Kubernetes need not wait for that worker's word."""
        self.delete_pod(step, seen, grace=0)

    def recreate(self, step: Decision, seen: Round) -> None:
        self.delete_pod(step, seen)

    def stop(self, step: Decision, _seen: Round) -> None:
        """With its place, or it would join again at once. Its volume stays, in case it has joined after all."""
        self.cluster.check()
        self.note(f"stop {step.node}: {step.reason}")
        Members(self.cluster, float(self.params["wait_timeout"]), self.ctx).stop(step.node)

    def delete_pod(self, step: Decision, seen: Round, grace: int | None = None) -> None:
        uid = seen.case(step.node).node.uid
        if uid is None:
            return
        self.cluster.check()
        self.note(f"delete Pod {step.node}: {step.reason}")
        self.cluster.kube.delete("Pod", step.node, uid=uid, grace=grace)
        self.wait_for_another(step.node, uid)

    def wait_for_another(self, pod: str, uid: str) -> None:
        def look() -> list[str]:
            node = self.cluster.look().view.node(pod)
            return [f"{pod} is still there"] if node and node.uid == uid else []

        until(look, f"the pod {pod} to go", float(self.params["wait_timeout"]), self.ctx.progress)

    def bootstrap(self, step: Decision, seen: Round) -> None:
        """Volume first: Kubernetes keeps it until its pod is gone, and makes both again."""
        claim = seen.sight.found.get("PersistentVolumeClaim", f"data-{step.node}")
        if claim is not None:
            self.cluster.check()
            self.note(f"delete PersistentVolumeClaim data-{step.node}: {step.reason}")
            self.cluster.kube.delete("PersistentVolumeClaim", f"data-{step.node}", uid=claim["metadata"]["uid"])
        self.delete_pod(step, seen)

    def assassinate(self, step: Decision, seen: Round) -> None:
        observer = sorted(seen.sight.view.observations)[0]
        self.cluster.check()
        self.note(f"take {step.node} out of gossip: {step.reason}")
        nodetool.run_one(self.cluster.kube, observer, ["assassinate", step.node], VERB_LIMIT)

        def look() -> list[str]:
            sight = self.cluster.ask(self.cluster.look(), busy=False, gossip=True)
            told = ((pod, one) for view in (sight.view, *sight.others) for pod, one in view.observations.items())
            return [f"{pod} still knows {step.node}" for pod, one in sorted(told) if step.node in one.endpoints]

        until(look, f"{step.node} to be forgotten", float(self.params["wait_timeout"]), self.ctx.progress, PAUSE)

    def repair(self, step: Decision, seen: Round) -> None:
        limit, option = float(self.params["repair_timeout"]), f"{self.params['variable_prefix']}repair_timeout"
        names = repairing.repair(self.cluster, seen.sight.view, step.node, limit, option, self.ctx)
        self.repaired.append(step.node)
        self.changes.append(f"repair {step.node} ({', '.join(names)})")

    # Telling

    def note(self, text: str) -> None:
        self.changes.append(text)
        self.ctx.progress(text, important=True)

    def say_sometimes(self, decisions: Sequence[Decision]) -> None:
        """What is waited for, when it changes and now and then."""
        line = "; ".join(f"{each.node}: {each.reason}" for each in decisions)
        if line != self._said or time.monotonic() - self._said_at > SAY_AGAIN:
            self._said, self._said_at = line, time.monotonic()
            self.ctx.progress(f"waiting: {line}")

    def result(self, seen: Round) -> dict[str, Any]:
        result: dict[str, Any] = {
            "changed": bool(self.changes),
            "changes": self.changes,
            "decisions": [facts(each) for each in seen.decisions],
            "replaced": [done.facts() for done in self.replaced],
            "repaired": self.repaired,
            "whole": whole(seen.decisions),
            "report": text(seen.decisions),
        }
        if self.ctx.diff_mode:
            result["diff"] = diff(self._before, {each.node: each.reason for each in seen.decisions})
        return result

    def prediction(self, seen: Round) -> dict[str, Any]:
        """What a run would do first, one a node; each changes what is seen after it."""
        acting = [each for each in seen.decisions if each.acts]
        result = self.result(seen)
        result.update(changed=bool(acting), changes=[f"{each.action} {each.node}: {each.reason}" for each in acting])
        if self.ctx.diff_mode:
            healed = {each.node: AFTER.get(each.action, actions.WELL) for each in acting}
            healed = {node: reason for node, reason in healed.items() if reason}
            result["diff"] = diff({each.node: each.reason for each in acting}, healed)
        return result


def in_turn(decisions: Sequence[Decision], begun: str, only: str | None) -> list[Decision]:
    """The decisions, and why others are not replaced before the one whose replacement was begun.

    :param begun: that node, if there is one.
    :param only: the one node that the run is for.
    """
    goes_first = next((each for each in decisions if each.node == begun), None)
    if not begun or (goes_first and goes_first.acts and only in (None, begun)):
        return list(decisions)
    return [
        after(each, begun, goes_first) if each.action == actions.REPLACE and each.node != begun else each
        for each in decisions
    ]


def after(decision: Decision, begun: str, goes_first: Decision | None) -> Decision:
    """What is to be replaced when another replacement, which was begun, is finished."""
    action, why, advice = actions.ASK, "", "run the playbook heal, which finishes that one first"
    if goes_first is None:
        why, advice = ", which nobody knows any more", "run the playbook status, and see where that node is"
    elif not goes_first.acts:
        action, why, advice = goes_first.action, f" ({goes_first.reason})", goes_first.advice
    reason = f"{decision.reason}; but the replacement of {begun} was begun and goes first{why}"
    return replace(decision, action=action, reason=reason, advice=advice)


def finished(decisions: Sequence[Decision]) -> bool:
    """Whether this run has nothing left to do, nor anybody else."""
    return all(each.action == actions.NONE for each in decisions)


def whole(decisions: Sequence[Decision]) -> bool:
    """Whether nothing is left at all, not for a later run either."""
    return finished(decisions) and not any(each.reason.endswith(PUT_OFF) for each in decisions)


def waiting(decisions: Sequence[Decision]) -> list[Decision]:
    return [each for each in decisions if each.action == actions.WAIT]


def unfinished(result: Mapping[str, Any], decisions: Sequence[Decision]) -> Failed:
    """The failure of a run that leaves something that it may not, or could not, do."""
    left = [each for each in decisions if each.action != actions.NONE]
    errors = [f"{each.node}: {each.reason.rstrip('.')}. {sentence(each)}" for each in left]
    return Failed(" ".join(errors), result, errors)


def sentence(decision: Decision) -> str:
    if decision.advice:
        return f"What to do: {decision.advice}."
    return "It did not pass in the time given; run it again."


def diff(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """What was wrong with the nodes that something is done about, and how they are then; a ghost is nowhere then.

    :param before: node -> what was seen.
    :param now: the same afterwards, of these nodes and of others.
    """
    return {
        "before_header": "nodes",
        "after_header": "nodes",
        "before": "".join(f"{node}: {reason}\n" for node, reason in sorted(before.items())),
        "after": "".join(f"{node}: {now[node]}\n" for node in sorted(before) if node in now),
    }


def facts(decision: Decision) -> dict[str, Any]:
    told = asdict(decision)
    told["at_risk"] = list(decision.at_risk)
    return told


def text(decisions: Sequence[Decision]) -> list[str]:
    """The decisions as lines for people."""
    lines = report.table(
        ("NODE", "ROW", "DECISION", "WHY"),
        [(each.node, str(each.row) if each.row else None, each.action, each.reason) for each in decisions],
    )
    return lines + [f"{each.node} -> {each.advice}" for each in decisions if each.advice]
