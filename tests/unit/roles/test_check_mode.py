# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles tell where a play or a task is in check mode, and the command line says nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("checked", [False, True])
def test_a_summary_tells_that_nothing_was_touched(summary: Callable[..., str], checked: bool) -> None:
    result = {"due": [], "repaired": [], "repaired_until": {}, **({"check_mode": True} if checked else {})}
    told = summary("repair", repair_result=result, ansible_check_mode=False)
    assert ("nothing was touched" in told) is checked


def test_no_role_asks_the_command_line_alone() -> None:
    for path in (*ROOT.glob("roles/*/templates/*"), *ROOT.glob("roles/*/*/main.yml")):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        asked = [line for line in lines if "ansible_check_mode" in line.replace("default(ansible_check_mode)", "")]
        assert not asked, path
