# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import PARALLEL
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.restic_jobs import (
    Jobs,
    Work,
    seconds_left,
    time_left,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.restic import Job, ResticError

DONE = Job("ended", 0)
MIB = 2**20


def moving(done: int, total: int = 100) -> Job:
    return Job("running", status={"bytes_done": done * MIB, "total_bytes": total * MIB})


@dataclass
class Scripted:
    """A job that is seen so, look by look; an error is a look that failed. The last one stays."""

    looks: list[Job | str]
    pod: str = "r1-0"
    repository: str = "s3:x"
    kube: Any = field(default_factory=lambda: SimpleNamespace(namespace="ns"))
    started: int = 0
    ended: int = 0
    unlocked: int = 0
    deaf: int = 0
    made: int = 0
    log: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    began: threading.Event = field(default_factory=threading.Event)

    def start(self, job: str, args: Sequence[str], folder: str, lines: Sequence[str] = ()) -> None:
        if self.deaf:
            self.deaf -= 1
            raise CassopsError(f"pod {self.pod} is not there")
        self.started += 1
        self.log.append(self.pod)
        self.began.set()

    def look(self, job: str, wait: float = 0) -> Job:
        self.waits.append(wait)
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, str):
            raise CassopsError(look)
        return look

    def end(self, job: str) -> None:
        self.ended += 1

    def ensure(self) -> bool:
        self.made += 1
        return True

    def unlock(self) -> None:
        self.unlocked += 1

    def failure(self, command: str, rc: int, said: str) -> ResticError:
        return ResticError(f"{command} ended with {rc}: {said}", rc)


@dataclass
class Clock:
    now: float = field(default_factory=time.monotonic)

    def tick(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "sleep", made.tick)
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


def run(*scripts: Scripted, limit: float = 60, **options: Any) -> tuple[dict[str, str], list[str], list[str]]:
    """Failures, what was said, and who finished."""
    said: list[str] = []
    finished: list[str] = []
    works = [Work(script.pod, script.pod[:2], script, "job", ("backup",), "/data") for script in scripts]  # type: ignore[arg-type]

    def finish(work: Work, _job: Job) -> None:
        options.get("finish", len)(work.pod)
        finished.append(work.pod)

    context = Context(progress=lambda text, important=False: said.append(text))
    jobs = jobs_of(works, context, parallel=options.get("parallel", "all"), finished=finish, limit=limit)
    return dict(jobs.run()), said, finished


def lasting(clock: Clock, seconds: float) -> Scripted:
    """A job of 100 MiB that moves as steadily as the time."""
    began = clock.now
    script = Scripted([DONE])

    def look(_job: str, wait: float) -> Job:
        """It is watched until it ends."""
        script.waits.append(wait)
        clock.tick(min(wait, max(0.0, began + seconds - clock.now)))
        part = (clock.now - began) / seconds
        return moving(int(100 * part)) if part < 1 else DONE

    script.look = look  # type: ignore[method-assign]
    return script


def jobs_of(works: Sequence[Work], context: Context | None = None, **options: Any) -> Jobs:
    plain: dict[str, Any] = {"verb": "upload of", "parallel": "all", "beat": lambda: None, "limit": 60}
    plain["finished"] = lambda _work, _job: None
    return Jobs(works, context or Context(), **{**plain, **options})


def test_progress_is_told_in_bytes_and_time_left(clock: Clock) -> None:
    script = lasting(clock, 100)
    failures, said, finished = run(script)
    assert (failures, finished, script.started) == ({}, ["r1-0"], 1)
    assert 8 <= len(said) <= 12
    for text in said:
        assert re.fullmatch(r"upload of r1-0: \d+ %, \d+\.0 MiB of 100\.0 MiB, (1m)?\d+s left", text), text


def test_a_hundred_jobs_are_told_in_one_line(clock: Clock) -> None:
    """The slowest is named, and lines that only tell progress may be left out."""
    told: list[tuple[str, bool]] = []
    scripts = [lasting(clock, 100) for _job in range(99)] + [lasting(clock, 200)]
    for number, script in enumerate(scripts):
        script.pod = f"r1-{number}"
    works = [Work(script.pod, "r1", script, "job", ("backup",), "/data") for script in scripts]  # type: ignore[arg-type]
    jobs = jobs_of(works, Context(progress=lambda text, important=False: told.append((text, important))))
    assert jobs.run() == {}
    assert len(told) <= 21
    assert not any(important for _text, important in told)
    many = [text for text, _important in told if " nodes: " in text]
    assert len(many) >= 5
    for text in many:
        all_of_them = r"upload of \d+ nodes: \d+ of 100 done, \d+ %, [\d.]+ \wiB of [\d.]+ \wiB"
        assert re.fullmatch(rf"{all_of_them}; the slowest is r1-99: \d+ %, .* left", text), text
    assert told[-1][0].startswith("upload of r1-99: ")


def test_one_that_cannot_be_looked_at_is_named_before_all(clock: Clock) -> None:
    back_at = clock.now + 30
    silent, other = Scripted([DONE]), lasting(clock, 50)
    other.pod = "r1-1"

    def look(_job: str, _wait: float) -> Job:
        if clock.now < back_at:
            raise CassopsError("connection refused")
        return DONE

    silent.look = look  # type: ignore[method-assign]
    failures, said, _finished = run(silent, other)
    assert failures == {}
    assert any(text.endswith("the slowest is r1-0: cannot be looked at just now (connection refused)") for text in said)


def test_what_fails_or_begins_again_is_told_at_once(clock: Clock) -> None:
    told: list[tuple[str, bool]] = []
    script = Scripted([Job("ended", 1, {}, "no space")])
    work = Work("r1-0", "r1", script, "job", ("backup",), "/data")  # type: ignore[arg-type]
    jobs_of([work], Context(progress=lambda text, important=False: told.append((text, important)))).run()
    assert [important for _text, important in told] == [True] * 3


def test_the_next_ones_move_while_the_first_is_finished(clock: Clock) -> None:
    """Only one rack is busy at a time; reading what was stored, and writing it down, is no upload."""
    scripts = [Scripted([moving(1), DONE], pod=f"r{rack}-0") for rack in (1, 2, 3)]
    last_began = threading.Event()
    scripts[2].began = last_began
    failures, _said, finished = run(*scripts, parallel="rack", finish=lambda pod: pod == "r1-0" and last_began.wait(60))
    assert failures == {}
    assert last_began.is_set()
    assert sorted(finished) == ["r1-0", "r2-0", "r3-0"]


def test_those_that_end_together_are_finished_together(clock: Clock) -> None:
    """Of a rack of thirty nodes the last one would else wait for twenty-nine others."""
    scripts = [Scripted([moving(1), DONE], pod=f"r1-{number}") for number in range(3)]
    all_there = threading.Barrier(3, timeout=60)
    failures, _said, finished = run(*scripts, finish=lambda _pod: all_there.wait())
    assert failures == {}
    assert sorted(finished) == ["r1-0", "r1-1", "r1-2"]


def test_a_repository_that_is_gone_is_made_before_the_next_try(clock: Clock) -> None:
    kept, gone = (Scripted([Job("ended", 10, error="no config"), DONE], pod=pod) for pod in ("r1-0", "r2-0"))
    for script, makes in ((kept, False), (gone, True)):
        work = Work(script.pod, script.pod[:2], script, "job", ("backup",), "/data", makes=makes)  # type: ignore[arg-type]
        assert jobs_of([work]).run() == {}
    assert (kept.made, gone.made) == (0, 1)


def test_locks_that_may_be_anothers_are_left_alone(clock: Clock) -> None:
    own, shared = (Scripted([Job("lost"), DONE], pod=pod) for pod in ("r1-0", "r2-0"))
    for script, unlocks in ((own, True), (shared, False)):
        work = Work(script.pod, script.pod[:2], script, "job", ("prune",), "/data", unlocks=unlocks)  # type: ignore[arg-type]
        assert jobs_of([work]).run() == {}
    assert (own.unlocked, shared.unlocked) == (1, 0)


def test_what_is_finished_badly_has_failed_and_the_others_go_on(clock: Clock) -> None:
    first, second = Scripted([DONE], pod="r1-0"), Scripted([moving(1), DONE], pod="r2-0")

    def finished(work: Work, _job: Job) -> None:
        if work.pod == "r1-0":
            raise CassopsError("a file is missing")

    works = [Work(each.pod, each.pod[:2], each, "job", ("backup",), "/data") for each in (first, second)]  # type: ignore[arg-type]
    jobs = jobs_of(works, parallel="rack", finished=finished)
    assert jobs.run() == {"r1-0": "a file is missing"}
    assert (first.ended, second.started) == (1, 1)


def test_time_left_says_nothing_before_it_knows() -> None:
    assert time_left(seconds_left(10, 100, 10, 60)) == ""
    assert time_left(seconds_left(20, 100, 10, 0.5)) == ""
    assert time_left(seconds_left(100, 100, 10, 60)) == ""
    assert time_left(seconds_left(20, 100, 10, 10)) == "1m20s"


def test_looks_last_as_long_as_is_worth_it_and_no_longer_than_the_job(clock: Clock) -> None:
    began = clock.now
    script = lasting(clock, 60)
    run(script)
    assert script.waits[0] == 0.25
    assert max(script.waits) == 5.0
    assert clock.now - began < 60.5


def test_more_jobs_than_can_be_watched_at_once_are_looked_at_in_between(clock: Clock) -> None:
    began = clock.now
    scripts = [lasting(clock, 60) for job in range(PARALLEL + 1)]
    for number, script in enumerate(scripts):
        script.pod = f"r1-{number}"
    _failures, _said, finished = run(*scripts)
    assert len(finished) == len(scripts)
    assert scripts[0].waits[0] == 0
    assert clock.now - began < 62


def test_looks_that_fail_at_once_are_no_busy_loop(clock: Clock) -> None:
    script = Scripted(["connection refused"])
    failures, _said, _finished = run(script, limit=20)
    assert "has not moved for 20 s" in failures["r1-0"]
    assert len(script.waits) < 100


def test_a_look_that_fails_is_no_failure_of_the_job(clock: Clock) -> None:
    """The API server restarts; the upload goes on."""
    failures, said, finished = run(Scripted([moving(10), *["connection refused"] * 40, moving(60), DONE]))
    assert (failures, finished) == ({}, ["r1-0"])
    assert "cannot be looked at just now (connection refused)" in " ".join(said)


def test_what_does_not_move_is_given_up_and_ended(clock: Clock) -> None:
    stuck = Scripted([Job("running", status=moving(10).status, error="server answered 507")])
    failures, _said, finished = run(stuck, Scripted([moving(1), DONE], pod="r2-0"))
    assert finished == ["r2-0"]
    assert failures == {"r1-0": "upload of r1-0 has not moved for 60 s: server answered 507"}
    assert stuck.ended == 1


def test_a_pod_that_is_away_is_waited_for(clock: Clock) -> None:
    script = Scripted([Job("absent"), Job("absent"), moving(10), DONE], deaf=2)
    failures, _said, finished = run(script)
    assert (failures, finished, script.started) == ({}, ["r1-0"], 1)
    gone = Scripted(["pod r1-0 is not there"], deaf=10**6)
    failures, _said, finished = run(gone)
    assert finished == []
    assert "has not moved for 60 s: pod r1-0 is not there" in failures["r1-0"]


def test_what_cannot_be_begun_again_is_given_up_after_the_limit(clock: Clock) -> None:
    """The store went away: the job ended, and is not there any more when it comes to nothing to begin it again."""
    script = Scripted([Job("ended", 1, {}, "connection refused"), Job("absent")])
    began, plain = clock.now, script.end

    def end(job: str) -> None:
        plain(job)
        script.deaf = 10**6

    script.end = end  # type: ignore[method-assign]
    failures, said, finished = run(script)
    assert finished == []
    assert "has not moved for 60 s: pod r1-0 is not there" in failures["r1-0"]
    assert 60 < clock.now - began < 90
    assert not any("begun again" in text for text in said)


def test_a_failure_is_tried_three_times_and_no_more(clock: Clock) -> None:
    script = Scripted([Job("ended", 1, {}, "no space")])
    failures, said, _finished = run(script)
    assert failures == {"r1-0": "backup ended with 1: no space"}
    assert script.started == 3
    assert len([text for text in said if "begun again" in text]) == 2


def test_racks_one_after_the_other(clock: Clock) -> None:
    begun: list[str] = []
    pods = ("r1-0", "r2-0", "r1-1", "r2-1")
    run(*(Scripted([moving(10), moving(20), DONE], pod=pod, log=begun) for pod in pods), parallel="rack")
    assert begun == ["r1-0", "r1-1", "r2-0", "r2-1"]
    begun.clear()
    run(*(Scripted([moving(10), DONE], pod=pod, log=begun) for pod in pods), parallel="1")
    assert begun == list(pods)
