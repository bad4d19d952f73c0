# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of what the soak saw outlives the machines that saw it."""

from __future__ import annotations

from typing import Any

from integration.harness.reliability import COLUMNS, page, told


def entry(fault: str, date: str, seed: int, **counts: int) -> dict[str, Any]:
    return {"fault": fault, "date": date, "seed": seed, **dict.fromkeys(COLUMNS, 0), "times": 1, **counts}


def test_a_line_a_fault_with_the_sums_of_its_tests() -> None:
    seen = [entry("scale: out", "2026-11-26", 7, requests=1200), entry("scale: out", "2026-11-27", 8, requests=34)]
    text = page(seen, "")
    assert "| scale: out | 2026-11-27 | 2 | 0 | 0 | 1,234 | 0 | 0 | 0 |" in text
    assert "Seeds: 7, 8.\n" in text


def test_what_this_machine_did_not_see_stays_on_the_page() -> None:
    before = page([entry("scale: out", "2026-11-26", 7, requests=1200), entry("gates: hints", "2026-11-26", 7)], "")
    text = page([entry("scale: out", "2026-11-28", 12, wrong=1)], before)
    lines = told(text)
    assert list(lines) == ["scale: out", "gates: hints"]
    assert (lines["scale: out"].last, lines["scale: out"].sums["requests"]) == ("2026-11-28", 0)
    assert lines["gates: hints"].last == "2026-11-26"
    assert "Seeds: 7, 12.\n" in text
    assert "| **all** | 2026-11-28 | 2 | 1 | 0 | 0 | 0 | 0 | 0 |" in text
