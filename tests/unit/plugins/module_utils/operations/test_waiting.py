# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import waiting


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    monkeypatch.setattr(time, "sleep", made.sleep)
    return made


class Look:
    """Gives reasons in turn; the last one for ever."""

    def __init__(self, *reasons: Sequence[str]) -> None:
        self.reasons = list(reasons)
        self.count = 0

    def __call__(self) -> Sequence[str]:
        self.count += 1
        return self.reasons.pop(0) if len(self.reasons) > 1 else self.reasons[0]


def test_what_is_so_is_not_waited_for(clock: Clock) -> None:
    said: list[str] = []
    waiting.until(Look([]), "peace", 10, said.append)
    assert (said, clock.slept) == ([], [])


def test_of_hundreds_of_reasons_the_error_names_the_first(clock: Clock) -> None:
    reasons = [f"r1-{number} does not run" for number in range(334)]
    with pytest.raises(waiting.WaitedTooLong) as caught:
        waiting.until(Look(reasons), "peace", 10, lambda text: None)
    assert "r1-19 does not run; ... and 314 more. Nothing was undone" in str(caught.value)
    assert caught.value.reasons == reasons
    assert "more" not in str(waiting.WaitedTooLong("peace", 10, reasons[:20]))


def test_a_reason_of_a_thousand_letters_is_cut_in_progress_and_whole_in_the_error(clock: Clock) -> None:
    said: list[str] = []
    reason = "a does not run: " + "failed to pull the image, " * 40
    with pytest.raises(waiting.WaitedTooLong) as caught:
        waiting.until(Look([reason, "b"]), "peace", 10, said.append)
    assert len(said[0]) < waiting.SHOWN + 60
    assert " ... (and 1 more), 0 s of at most 10 s" in said[0]
    assert reason in str(caught.value)


def test_a_line_when_the_reasons_change(clock: Clock) -> None:
    said: list[str] = []
    look = Look(["a is down", "b is down"], ["a is down", "c is down"], ["b is down"], [])
    waiting.until(look, "3 nodes to be whole", 100, said.append, pause=1)
    assert said == [
        "waiting for 3 nodes to be whole: a is down (and 1 more), 0 s of at most 100 s",
        "waiting for 3 nodes to be whole: b is down, 2 s of at most 100 s",
    ]
    assert clock.slept == [1, 1, 1]


def test_a_line_now_and_then_while_nothing_changes(clock: Clock) -> None:
    said: list[str] = []
    with pytest.raises(waiting.WaitedTooLong):
        waiting.until(Look(["a is down"]), "peace", 35, said.append, pause=1)
    assert [line.rpartition(", ")[2] for line in said] == [f"{at} s of at most 35 s" for at in (0, 11, 22, 33)]


def test_the_limit(clock: Clock) -> None:
    look = Look(["a is down", "b is held: its volume is empty"])
    with pytest.raises(waiting.WaitedTooLong) as caught:
        waiting.until(look, "2 nodes to be whole", 3, lambda line: None, pause=1)
    assert isinstance(caught.value, CassopsError)
    assert caught.value.reasons == ["a is down", "b is held: its volume is empty"]
    assert str(caught.value) == (
        "2 nodes to be whole: not so after 3 s. Still missing: a is down; b is held: its volume is empty. "
        "Nothing was undone; run the playbook again to go on waiting."
    )
    assert clock.now == 1004.0


def test_as_long_as_it_goes_on_the_limit_begins_anew(clock: Clock) -> None:
    done = [0]

    def look() -> list[str]:
        done[0] = min(done[0] + 1, 20)
        return [f"{done[0]} of 30 files"]

    said: list[str] = []
    with pytest.raises(waiting.WaitedTooLong, match="Still missing: 20 of 30 files"):
        waiting.until(look, "all files", 5, said.append, pause=1, mark=lambda: done[0])
    assert 1024 <= clock.now <= 1027
    assert said[1] == "waiting for all files: 2 of 30 files, 1 s"


def test_it_is_looked_once_even_without_time(clock: Clock) -> None:
    look = Look([])
    waiting.until(look, "peace", 0, lambda line: None)
    assert look.count == 1


def test_a_look_may_end_the_wait(clock: Clock) -> None:
    def look() -> list[str]:
        raise CassopsError("it crashed again")

    with pytest.raises(CassopsError, match="crashed again"):
        waiting.until(look, "peace", 10, lambda line: None)


def test_who_waited_too_long_is_told_what_to_raise(clock: Clock) -> None:
    with pytest.raises(waiting.WaitedTooLong) as caught:
        waiting.until(Look(["a is down"]), "peace", 3, lambda line: None, pause=1, option="wait_timeout")
    assert str(caught.value).endswith(
        "run the playbook again to go on waiting. If it only takes longer, raise wait_timeout."
    )


@pytest.mark.parametrize(
    ("pause", "waited", "after"),
    [
        (0.5, 0, 0.5),
        (0.25, 120, 0.25),
        (1.0, 220, 1.0),
        (1.0, 620, 5.0),
        (2.0, 620, 5.0),
        (1.0, 1620, 15.0),
        (1.0, 72000, 15.0),
        (30.0, 72000, 30.0),
    ],
)
def test_looks_get_rarer(pause: float, waited: float, after: float) -> None:
    assert waiting.stretched(pause, waited) == after


def test_a_wait_of_hours_costs_few_looks_and_a_short_one_as_many_as_ever(clock: Clock) -> None:
    def waited(seconds: float) -> int:
        end = clock.now + seconds
        look = Look()

        def looks() -> list[str]:
            look.count += 1
            return ["it streams"] if clock.now < end else []

        waiting.until(looks, "r1-3 to join", 100000, lambda line: None, 1.0)
        return look.count

    assert waited(120) == 121
    assert waited(72000) < 72000 / 15 + 500
