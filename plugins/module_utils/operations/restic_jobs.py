# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs of restic in many pods: so many at once as a rule allows, each watched, and begun again when its container died.

A look at a job that fails is no failure of the job: the API server may restart, and the job goes on meanwhile. What
counts is whether bytes move.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from .. import report
from ..context import Context
from ..errors import CassopsError
from ..observe import PARALLEL, attempt, together
from ..restic import Job, NoRepository, Restic, ResticError
from ..wording import counted

SHORTEST, PAUSE = 0.25, 5.0
"""Seconds between two looks: at jobs that have just begun or are about to end, and at those that take their time."""
SAY_AGAIN = 10.0
SILENT = ("check", "prune")
"""Commands of restic that tell no progress: only the time that they take can be limited."""
ATTEMPTS = 3
"""How often a job is begun whose container dies under it, or that fails."""


@dataclass(frozen=True)
class Work:
    """A job that is to be done in one pod.

    :param group: jobs of one group run at the same time; see L(may_begin).
    :param name: of the job; the same work has the same name, so that who comes next finds it.
    :param lines: see C(Restic.start).
    :param unlocks: take away the locks of dead commands before the job is begun again; see C(Restic.unlock).
    :param makes: make the repository where there is none any more, before the job is begun again.
    """

    pod: str
    group: str
    restic: Restic
    name: str
    args: tuple[str, ...]
    folder: str
    lines: tuple[str, ...] = ()
    attempts: int = ATTEMPTS
    makes: bool = False
    unlocks: bool = True


@dataclass
class _State:
    """A job that was begun."""

    work: Work
    attempts: int = 1
    job: Job = field(default_factory=lambda: Job("running"))
    moved_at: float = field(default_factory=time.monotonic)
    began_at: float = field(default_factory=time.monotonic)
    first: int | None = None
    # What the last look said, if it could not look.
    unseen: str = ""

    def left(self, now: float) -> float | None:
        """Seconds that the rest takes at the pace so far; None while that says nothing yet."""
        return seconds_left(self.job.done, self.job.total, self.first or 0, now - self.began_at)

    def pause(self, now: float) -> float:
        """Seconds until it is worth a look: its end is to be seen soon after it came."""
        left = self.left(now)
        return (now - self.began_at) / 10 if left is None else left / 2

    def slowness(self, now: float) -> float:
        """Who has the most of it is waited for longest; before all, one that does not answer or has not moved yet."""
        left = self.left(now)
        return math.inf if self.unseen or left is None else left

    def words(self, now: float) -> str:
        """How far it is."""
        job = self.job
        if self.unseen:
            return f"cannot be looked at just now ({self.unseen})"
        if not job.total:
            return f"{report.age(now - self.began_at)} so far"
        left = time_left(self.left(now))
        complaint = f"; {job.error.rpartition('; ')[2]}" if job.error else ""
        return f"{moved(job.done, job.total)}{f', {left} left' if left else ''}{complaint}"


def may_begin(work: Work, running: Iterable[Work], parallel: str) -> bool:
    """Whether a job may begin beside those that run.

    With C(rack), the default, only nodes of one rack are busy: of three replicas in three racks two answer as fast as
    ever, and that is a quorum.

    :param parallel: C(rack), C(all), or a number of nodes.
    """
    busy = list(running)
    if parallel == "all":
        return True
    if parallel == "rack":
        return all(other.group == work.group for other in busy)
    return len(busy) < int(parallel)


class Jobs:
    """Runs all of the work to its end.

    :param works: one a pod.
    :param finished: what is to be done with a job that ended well, in a thread, of several jobs at the same time, while
        others move their bytes; a L(CassopsError) that it raises is the work's failure.
    :param beat: called at each look: a sign of life, and the check of the lock.
    :param limit: seconds without progress after which a job is given up; all that it may take where it tells none.
    """

    def __init__(
        self,
        works: Sequence[Work],
        ctx: Context,
        *,
        verb: str,
        parallel: str,
        finished: Callable[[Work, Job], None],
        beat: Callable[[], None],
        limit: float,
    ) -> None:
        self.count = len(works)
        self.waiting = list(works)
        self.ctx = ctx
        self.verb = verb
        self.parallel = parallel
        self.finished = finished
        self.beat = beat
        self.limit = limit
        self.running: dict[str, _State] = {}
        # Monotonic seconds.
        self.next_look = 0.0
        self.said_at = time.monotonic()
        # Those that ended well, and with which is being done what is to be done then.
        self.finishing: dict[Future[CassopsError | None], _State] = {}
        self.failures: dict[str, str] = {}
        # Those of them whose repository itself is at fault.
        self.damaged: set[str] = set()

    def run(self) -> Mapping[str, str]:
        """Pod -> why its work failed; empty when all is done."""
        with ThreadPoolExecutor(PARALLEL) as self.pool:
            while self.waiting or self.running or self.finishing:
                self.beat()
                self._begin()
                self._look()
                self._take_finished()
                if not any(self._may_begin(work) for work in self.waiting):
                    self._rest()
        return self.failures

    def _look(self) -> None:
        """Each look lasts until its job has ended, or until it is worth another one; as many as can be had at once."""
        states, began = list(self.running.values()), time.monotonic()
        pause = self._pause()
        lasting = pause if len(states) <= PARALLEL else 0
        self.next_look = began + pause
        looks = together(lambda state: attempt(lambda: state.work.restic.look(state.work.name, lasting)), states)
        for state, look in zip(states, looks, strict=True):
            self._see(state, look)
        self._tell()

    def _rest(self) -> None:
        """What is left of the time until another look: all of it where none could be had."""
        if self.running:
            time.sleep(max(0.0, self.next_look - time.monotonic()))
        elif self.finishing:
            wait(self.finishing, timeout=PAUSE, return_when=FIRST_COMPLETED)

    def _pause(self) -> float:
        now = time.monotonic()
        return min(PAUSE, max(SHORTEST, min((state.pause(now) for state in self.running.values()), default=PAUSE)))

    def _begin(self) -> None:
        begun = []
        for work in list(self.waiting):
            if self._may_begin(work):
                self.waiting.remove(work)
                self.running[work.pod] = _State(work)
                begun.append(work)
        for work, answer in zip(begun, together(lambda work: attempt(lambda: _start(work)), begun), strict=True):
            if isinstance(answer, CassopsError):
                # Its pod may come back; the limit without progress ends that.
                self.running[work.pod].unseen = str(answer)

    def _may_begin(self, work: Work) -> bool:
        return may_begin(work, [state.work for state in self.running.values()], self.parallel)

    def _see(self, state: _State, look: Job | CassopsError) -> None:
        if state.work.pod not in self.running:
            return
        now = time.monotonic()
        if isinstance(look, CassopsError):
            state.unseen = str(look)
        else:
            if look.state == "running" and look.done != state.job.done:
                state.moved_at = now
            if look.total and state.first is None:
                # What is there already takes no time; the pace counts from here.
                state.first, state.began_at = look.done, now
            state.unseen, state.job = "", look
        if state.unseen or state.job.state == "running":
            self._go_on(state, now)
        elif state.job.ended and state.job.rc == 0:
            del self.running[state.work.pod]
            done = self.pool.submit(attempt, partial(self.finished, state.work, state.job))
            self.finishing[done] = state
        else:
            self._again(state)

    def _go_on(self, state: _State, now: float) -> None:
        if now - state.moved_at > self.limit:
            self._fail(state, f"{self.verb} {state.work.pod} {self._stuck(state)}")

    def _stuck(self, state: _State) -> str:
        why = state.unseen or state.job.error
        if state.unseen or state.work.args[0] not in SILENT:
            return f"has not moved for {self.limit:.0f} s: {why or 'it says nothing'}"
        said = f"; it says: {why}" if why else ""
        return f"was not done within the {self.limit:.0f} s of wait_timeout; it may need more of them{said}"

    def _tell(self) -> None:
        """One line for all that run, now and then: a rack may have a hundred nodes."""
        now = time.monotonic()
        if self.running and now - self.said_at >= SAY_AGAIN:
            self.said_at = now
            self.ctx.progress(self._line(list(self.running.values()), now))

    def _line(self, states: Sequence[_State], now: float) -> str:
        slowest = max(states, key=lambda state: state.slowness(now))
        words = f"{slowest.work.pod}: {slowest.words(now)}"
        if len(states) == 1:
            return f"{self.verb} {words}"
        ended = self.count - len(self.waiting) - len(self.running) - len(self.failures)
        parts = [f"{ended} of {self.count} done"]
        if any(state.job.total for state in states):
            parts.append(moved(sum(state.job.done for state in states), sum(state.job.total for state in states)))
        return f"{self.verb} {counted(len(states), 'node')}: {', '.join(parts)}; the slowest is {words}"

    def _take_finished(self) -> None:
        for done in [each for each in self.finishing if each.done()]:
            state, answer = self.finishing.pop(done), done.result()
            if isinstance(answer, CassopsError):
                self._fail(state, str(answer))

    def _again(self, state: _State) -> None:
        """It failed, or its container died with it: what it had stored is not stored again."""
        work, job = state.work, state.job
        error = (
            work.restic.failure(work.args[0], job.rc or 1, job.error)
            if job.ended
            else ResticError(
                f"the container of {work.pod} ended while restic ran in it (see: kubectl -n "
                f"{work.restic.kube.namespace} describe pod {work.pod})"
            )
        )
        why = str(error)
        if state.attempts >= work.attempts or not worth_another_try(job):
            if error.damage:
                self.damaged.add(work.pod)
            self._fail(state, why)
            return
        answer = attempt(lambda: _restart(work))
        if isinstance(answer, CassopsError):
            # What it waits for, such as the store, may come back; the limit without progress ends that.
            state.unseen = str(answer)
            self._go_on(state, time.monotonic())
            return
        self.ctx.progress(f"{self.verb} {work.pod}: begun again, because {why}", important=True)
        state.attempts += 1
        state.moved_at = time.monotonic()
        state.first = None

    def _fail(self, state: _State, why: str) -> None:
        attempt(lambda: state.work.restic.end(state.work.name))
        self.failures[state.work.pod] = why
        self.ctx.progress(f"{self.verb} {state.work.pod} failed: {why}", important=True)
        self.running.pop(state.work.pod, None)


def _start(work: Work) -> None:
    work.restic.start(work.name, work.args, work.folder, work.lines)


def _restart(work: Work) -> None:
    work.restic.end(work.name)
    if work.unlocks:
        with suppress(NoRepository):
            work.restic.unlock()
    if work.makes:
        work.restic.ensure()
    _start(work)


def worth_another_try(job: Job) -> bool:
    """Whether a job that did not end well may do so next time: a wrong password stays wrong."""
    return not (job.ended and ("wrong password" in job.error or job.rc == 12))


def seconds_left(done: int, total: int, first: int, spent: float) -> float | None:
    """How long the rest takes at the pace so far; None while that says nothing yet.

    :param first: what was done when C(spent) began to count.
    """
    if 0 < total <= done:
        return 0.0
    if done <= first or spent < 1:
        return None
    return (total - done) / ((done - first) / spent)


def moved(done: int, total: int) -> str:
    return f"{100 * done / total:.0f} %, {report.size(done)} of {report.size(total)}"


def time_left(left: float | None) -> str:
    """In words, empty where there is nothing to say."""
    return report.age(left) or "" if left else ""
