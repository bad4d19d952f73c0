# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from sanity import Outcome, outcomes

SAID = """\
Running sanity test "compile" on Python 3.13
Running sanity test "import" on Python 3.13
Installing requirements for Python 3.13 [venv]
ERROR: Found 1 import issue(s) on python 3.13 which need to be resolved:
ERROR: plugins/module_utils/a.py:22:0: traceback: ImportError
See documentation for help: https://docs.ansible.com/
Running sanity test "shellcheck"
WARNING: Skipping sanity test "shellcheck" because shellcheck is missing.
Running sanity test "yamllint"
WARNING: Reviewing previous 1 warning(s):
WARNING: Skipping sanity test "shellcheck" because shellcheck is missing.
FATAL: The 1 sanity test(s) listed below (out of 4) failed. See error output above for details.
"""


def test_every_announced_test_has_its_outcome() -> None:
    start, *tests = outcomes(SAID.splitlines(keepends=True))
    assert not start.failed
    assert [test.name for test in tests] == ["compile", "import", "shellcheck", "yamllint"]
    assert [test.failed for test in tests] == [False, True, False, False]
    assert [bool(test.skipped) for test in tests] == [False, False, True, False]


def test_an_error_before_the_first_test_is_not_lost() -> None:
    (only,) = outcomes(["FATAL: The current working directory must be within the source tree being tested.\n"])
    assert isinstance(only, Outcome)
    assert only.failed
