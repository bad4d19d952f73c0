# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.wording import agree, counted


@pytest.mark.parametrize(("count", "told"), [(0, "0 batches"), (1, "1 batch"), (2, "2 batches")])
def test_what_is_counted(count: int, told: str) -> None:
    assert counted(count, "batch", "batches") == told


def test_most_plurals_end_in_s() -> None:
    assert [counted(1, "node"), counted(3, "node")] == ["1 node", "3 nodes"]


def test_a_word_agrees_with_how_many_there_are() -> None:
    assert [agree(some, "it", "them") for some in ((), ("a",), ("a", "b"))] == ["them", "it", "them"]
