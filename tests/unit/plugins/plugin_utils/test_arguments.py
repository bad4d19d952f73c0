# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.cassops.kubernetes.plugins.plugin_utils.arguments import arguments

SPEC = {"nodes": {"type": "dict"}, "statement": {"type": "str"}}


@pytest.mark.parametrize("given", ["r1=2 r2=3", "r1=2\nr2=3\n", "r1=2\r\nr2=3", '{"r1": 2,\n "r2": 3}'])
def test_pairs_may_stand_one_on_a_line(given: str) -> None:
    """As in the box of a survey."""
    taken = ArgumentSpecValidator(SPEC).validate(arguments({"nodes": given}, SPEC)).validated_parameters["nodes"]
    assert {rack: int(count) for rack, count in taken.items()} == {"r1": 2, "r2": 3}


def test_a_text_keeps_its_lines() -> None:
    assert arguments({"statement": "SELECT *\nFROM orders"}, SPEC) == {"statement": "SELECT *\nFROM orders"}
