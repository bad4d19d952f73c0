# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What start.sh writes is what the table reads."""

from __future__ import annotations

from unit.plugins.module_utils.replacement.failed import (
    EMPTY,
    EXPIRED,
    FOREIGN,
    HALF_WAY,
    NO_LEDGER,
    RESTORING,
    UNMARKED,
)

from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests.scripts import START
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement import words


def test_the_words_of_the_start_script_are_known() -> None:
    """The table reads why a node is held from what start.sh writes."""
    plain = START.replace("\\\n", "")
    for sign in words.HELD:
        assert sign in plain, sign
    told = (EMPTY, HALF_WAY, EXPIRED, FOREIGN, UNMARKED, RESTORING, NO_LEDGER)
    kinds = {held: words.held_because(held) for held in told}
    assert list(kinds.values()) == [
        words.EMPTY,
        words.HALF_WAY,
        words.EXPIRED,
        words.FOREIGN,
        words.FOREIGN,
        words.RESTORING,
        words.NOT_ALLOWED,
    ]
