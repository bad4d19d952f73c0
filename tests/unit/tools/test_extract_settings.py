# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from unit.tools.extract_settings import brought, keys

FIRST = ["  public volatile int read_timeout;", "  public static final int limit;", "  public int size();"]
OLD_NAME = '          oldName="read_timeout_in_ms"'


def test_the_fields_that_the_loader_fills_and_their_old_names() -> None:
    assert list(keys([*FIRST[:1], OLD_NAME, *FIRST[1:], OLD_NAME])) == [
        "read_timeout",
        "read_timeout_in_ms read_timeout",
    ]


def test_which_release_of_a_line_brought_a_name() -> None:
    second = [*FIRST[:1], OLD_NAME]
    third = ["  public boolean cold;", *second]
    assert brought([FIRST, second, third]) == {"read_timeout_in_ms": 1, "cold": 2}
