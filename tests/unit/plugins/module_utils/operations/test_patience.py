# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import patience


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def pod(name: str, lost: bool = False) -> dict[str, Any]:
    """One that ends; Kubernetes says of a silent worker's that it is not ready, and nothing of its containers."""
    ready = [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": str(lost)}]
    return {"metadata": {"name": name}, "spec": {"nodeName": f"w-{name}"}, "status": {"conditions": ready}}


def test_those_that_end_are_waited_for(clock: list[float]) -> None:
    ending = patience.Ending()
    assert ending.left([pod("b"), pod("a")]) == ["a still runs", "b still runs"]
    clock[0] += 10_000
    assert ending.left([pod("b")]) == ["b still runs"]
    assert ending.left([]) == []


def test_on_a_silent_worker_none_ends_and_that_is_told(clock: list[float]) -> None:
    ending = patience.Ending()
    assert ending.left([pod("a", lost=True), pod("b")]) == [
        "a still runs: its worker w-a does not answer",
        "b still runs",
    ]
    clock[0] += patience.SILENT + 1
    with pytest.raises(CassopsError, match=r"a cannot end, since w-a does not answer: .* \(kubectl delete node w-a\)"):
        ending.left([pod("a", lost=True), pod("b")])


def test_a_worker_that_answers_again_counts_anew(clock: list[float]) -> None:
    ending = patience.Ending()
    for lost in (True, False, True):
        ending.left([pod("a", lost)])
        clock[0] += patience.SILENT - 1
    assert ending.left([pod("a", lost=True)])
