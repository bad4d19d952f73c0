# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what Kubernetes and Cassandra do in their own time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def until(what: str, missing: Callable[[], Sequence[str]], seconds: float, pause: float = 1.0) -> float:
    """Wait until nothing is missing; tell and return how long it took.

    :param missing: reasons why it is not so yet; told when the time is over.
    """
    begin = time.monotonic()
    while reasons := missing():
        waited = time.monotonic() - begin
        assert waited < seconds, f"{what}: not so after {waited:.0f} s: {'; '.join(reasons)}"
        time.sleep(pause)
    print(f"{time.monotonic() - begin:5.1f} s until {what}")
    return time.monotonic() - begin
