# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
from pathlib import Path

import pytest
import run
from run import Count, Stage, count


@pytest.mark.parametrize(
    ("closing", "expected"),
    [
        ("===== 12 passed in 3.21s =====", Count(12)),
        ("= 1 failed, 11 passed, 2 skipped, 3 warnings in 61.00s (0:01:01) =", Count(11, 1, 2)),
        ("1 passed, 2 errors in 0.20s", Count(1, 2)),
        ("23 passed, 1 failed, 4 skipped", Count(23, 1, 4)),
    ],
)
def test_closing_lines_are_read(closing: str, expected: Count) -> None:
    assert count(["collected 12 items", "3 passed by", closing, ""], failed=bool(expected.failed)) == expected


def test_a_stage_without_a_closing_line_is_one_check() -> None:
    assert count(["Sandbox is up."], failed=False) == Count(1)
    assert count(["no tests ran in 0.01s"], failed=True) == Count(failed=1)


def test_a_stage_that_failed_after_counting_no_failure_has_one() -> None:
    assert count(["12 passed in 3.21s"], failed=True) == Count(12, 1)


@pytest.fixture
def targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Makefile").write_text(
        "good:\n\t@echo 3 passed, 0 failed\n"
        "bad:\n\t@echo it broke; exit 1\n"
        "slow:\n\t@echo begun; sleep 60\n"
        "after:\n\t@echo 1 passed, 0 failed\n"
    )
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "LOGS", tmp_path / "logs")
    return tmp_path


def test_other_stages_run_after_a_failed_one_but_not_those_that_need_it(
    targets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = [Stage("bad", 60), Stage("after", 60, needs=("bad",)), Stage("good", 60)]
    assert run.run(stages) == Count(3, 2)
    said = capsys.readouterr().out
    assert "it broke" in said
    assert "stage 2 of 3, after: FAILED, not run because of bad" in said
    assert not (targets / "logs" / "after.log").exists()


@pytest.mark.parametrize(("limit", "total"), [(0.5, 60), (60, 0.5)])
def test_a_stage_over_its_limit_or_that_of_all_is_stopped(targets: Path, limit: float, total: float) -> None:
    started = time.monotonic()
    assert run.run([Stage("slow", limit), Stage("good", 60, last=True)], total) == Count(3, 1)
    assert time.monotonic() - started < 50


def test_background_stages_run_while_others_do(targets: Path) -> None:
    started = time.monotonic()
    assert run.run([Stage("good", 60), Stage("slow", 1, background=True)]) == Count(3, 1)
    assert time.monotonic() - started < 50
