# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far nodes are that work through all their SSTables, in their own words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.cluster import Cluster
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.compacting import Compacting

PODS = [f"r1-{number}" for number in range(12)]


class Told(Compacting):
    """Nodes that answer when all of them have been asked."""

    def __init__(self, said: list[str], check: Callable[[], None]) -> None:
        ctx = replace(Context(), progress=lambda text, important=False: said.append(text))
        super().__init__(cast(Cluster, SimpleNamespace(check=check)), ["cleanup"], "cleaning", "clean", 60.0, ctx)
        self.meeting = threading.Barrier(len(PODS))

    def tasks(self, pod: str) -> list[Mapping[str, Any]]:
        self.meeting.wait(timeout=30)
        if pod == PODS[1]:
            raise CassopsError("the login is refused")
        return [{"progress": 1, "total": 2**21}] if pod == PODS[0] else []


def test_all_are_asked_at_once_how_far_they_are() -> None:
    said: list[str] = []
    Told(said, lambda: None).tell(PODS)
    assert said == [
        "r1-0: cleaning 1 tables, 0 % of 2 MiB",
        "r1-1 does not tell how far it is: the login is refused",
    ]


def test_nobody_is_asked_once_the_lock_is_lost() -> None:
    def lost() -> None:
        raise CassopsError("the lock is lost")

    with pytest.raises(CassopsError, match="the lock is lost"):
        Told([], lost).tell(PODS)
