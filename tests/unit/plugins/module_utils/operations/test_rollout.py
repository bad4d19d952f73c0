# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from unit.plugins.module_utils.operations.rolling import CHANGED, Rolling


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Rolling:
    return Rolling.deployed(monkeypatch)


def test_nothing_pending_is_nothing_to_do(world: Rolling) -> None:
    result = world.roll()
    assert result["changed"] is False


def test_what_is_pending_reaches_every_node(world: Rolling) -> None:
    world.deploy(**CHANGED)
    assert len(world.pending()) == 6
    result = world.roll()
    print("\n".join(world.said))
    print(result)
    world.assert_whole()
