# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import Objects
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import midway
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.midway import Reached


def one(pod: str, serves: bool, has_way_back: bool) -> Reached:
    return Reached(pod, "Cassandra 5.0.9", "Cassandra 4.0.19", serves, has_way_back)


@pytest.mark.parametrize(
    ("serves", "has_way_back", "refused"),
    [
        ([True], False, True),
        ([True, True], True, True),
        ([False], True, False),
        # The one that serves would fall behind: taking the change back comes first.
        ([True, False], True, True),
        # It cannot be taken back, and would stay half way for ever without a correction.
        ([True, False], False, False),
        ([], True, False),
    ],
)
def test_another_template_is_refused_unless_it_is_the_only_way_on(
    serves: list[bool], has_way_back: bool, refused: bool
) -> None:
    some = [one(f"r1-{number}", each, has_way_back) for number, each in enumerate(serves)]
    assert bool(midway.refusals(some)) is refused
    assert bool(midway.warnings(some)) is (bool(some) and not refused)


def test_a_revision_that_kubernetes_has_no_more_is_none_to_come_back_at() -> None:
    assert midway.reached(Objects({}), [], "shop-dc1-r1", None) == []
