# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import spec
from ansible_collections.cassops.kubernetes.plugins.module_utils.crontab import last_due

# A Monday.
NOW = "2026-11-30T10:20:30"


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("times", "due"),
    [
        ("15 3 * * *", "2026-11-30T03:15:00"),
        ("20 10 * * *", "2026-11-30T10:20:00"),
        ("21 10 * * *", "2026-11-29T10:21:00"),
        ("*/30 * * * *", "2026-11-30T10:00:00"),
        ("5/20 */4 * * *", "2026-11-30T08:45:00"),
        ("0 22-23,4 * * ?", "2026-11-30T04:00:00"),
        ("15 3 * * sun", "2026-11-29T03:15:00"),
        ("15 3 * * MON-FRI", "2026-11-30T03:15:00"),
        ("15 3 * * 2-5", "2026-11-27T03:15:00"),
        ("15 3 1 * *", "2026-11-01T03:15:00"),
        ("15 3 31 * *", "2026-10-31T03:15:00"),
        ("0 0 1 feb,aug *", "2026-08-01T00:00:00"),
        ("0 0 29 2 *", "2024-02-29T00:00:00"),
        # A day of the month or a day of the week; with a star in one of them the other one decides.
        ("0 0 20 * fri", "2026-11-27T00:00:00"),
        ("0 0 28 * fri", "2026-11-28T00:00:00"),
        ("0 0 */2 * fri", "2026-11-29T00:00:00"),
        ("@hourly", "2026-11-30T10:00:00"),
        ("@daily", "2026-11-30T00:00:00"),
        ("@weekly", "2026-11-29T00:00:00"),
        ("@monthly", "2026-11-01T00:00:00"),
        ("@annually", "2026-01-01T00:00:00"),
    ],
)
def test_when_it_was_due_last(times: str, due: str) -> None:
    assert last_due(times, seconds(NOW)) == seconds(due)


@pytest.mark.parametrize("times", ["", "@reboot", "3 * * *", "61 * * * *", "x * * * *", "5-3 * * * *", "0 0 30 2 *"])
def test_what_nobody_can_tell(times: str) -> None:
    assert last_due(times, seconds(NOW)) is None


@pytest.mark.parametrize("times", spec.SCHEDULES)
def test_every_word_that_an_inventory_may_say_is_known(times: str) -> None:
    assert last_due(times, seconds(NOW)) is not None
