# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that stop together: all of them at once, and none any more once the lock is lost."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import draining

KUBE = cast(Kube, None)


def unlocked() -> None:
    """The lock is held all the time."""


def test_more_nodes_than_other_calls_have_threads_are_at_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one waits for another to be done, this test fails."""
    meeting = threading.Barrier(draining.WIDE)

    def waits(kube: Kube, pod: str, verb: Sequence[str], limit: float) -> None:
        meeting.wait(timeout=30)

    monkeypatch.setattr(nodetool, "run_one", waits)
    assert draining.drain(KUBE, [f"r1-{number}" for number in range(draining.WIDE)], unlocked) == []


def test_what_failed_is_told_and_the_others_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []

    def one(kube: Kube, pod: str, verb: Sequence[str], limit: float) -> None:
        if (pod, verb[0]) == ("b", "drain"):
            raise CassopsError("b was not done")
        done.append((verb[0], pod))

    monkeypatch.setattr(nodetool, "run_one", one)
    assert draining.drain(KUBE, ["a", "b"], unlocked) == ["b was not done"]
    assert sorted(done) == [("disablebinary", "a"), ("disablebinary", "b"), ("drain", "a")]
    assert done[-1] == ("drain", "a"), "clients go first, on every node"


def test_no_node_is_begun_with_once_the_lock_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(draining, "WIDE", 1)
    monkeypatch.setattr(nodetool, "run_one", lambda *told: begun.append(told))

    def check() -> None:
        if len(begun) == 3:
            raise CassopsError("the lock is lost")

    with pytest.raises(CassopsError, match="the lock is lost"):
        draining.drain(KUBE, [f"r1-{number}" for number in range(100)], check)
    assert len(begun) == 3
