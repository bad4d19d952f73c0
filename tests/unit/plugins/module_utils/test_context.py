# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context, Operation, execute
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import nodetool


def taken(params: Mapping[str, Any]) -> dict[str, Any]:
    """What an operation with these options is given."""
    spec = {
        "names": {"type": "list", "elements": "str", "default": []},
        "nodes": {"type": "list", "elements": "str"},
        "parameters": {"type": "list", "elements": "raw", "default": []},
    }
    operation = SimpleNamespace(ARGUMENT_SPEC=spec, run=lambda params, _ctx: {"params": params})
    answer: dict[str, Any] = execute(cast(Operation, operation), params, Context())["params"]
    return answer


@pytest.mark.parametrize("unanswered", [[""], [" "]])
def test_a_survey_that_nobody_answered_leaves_the_defaults(unanswered: list[str]) -> None:
    assert taken({"names": unanswered, "nodes": unanswered, "size": ""}) == {"names": [], "nodes": None, "size": ""}


@pytest.mark.parametrize("given", [[], ["a"], ["a b"], None])
def test_what_was_given_stays(given: list[str] | None) -> None:
    assert taken({"names": given}) == {"names": given}


@pytest.mark.parametrize("given", [["shop", " system_auth"], ["shop ", "", "system_auth\n"]])
def test_a_space_behind_a_comma_is_no_part_of_a_word(given: list[str]) -> None:
    """As Ansible splits C(shop, system_auth), which is what a refusal says and what people repeat."""
    assert taken({"names": given}) == {"names": ["shop", "system_auth"]}


def test_a_command_is_taken_to_the_letter() -> None:
    operation = SimpleNamespace(
        ARGUMENT_SPEC=nodetool.ARGUMENT_SPEC,
        EXACT_WORDS=nodetool.EXACT_WORDS,
        run=lambda params, _ctx: {"params": params},
    )
    command = ["getendpoints", "shop", "orders", " key"]
    assert execute(cast(Operation, operation), {"command": command}, Context())["params"]["command"] == command


@pytest.mark.parametrize("given", [[""], [7], [None]])
def test_lists_of_other_things_stay(given: list[Any]) -> None:
    """CQL binds an empty text as it is."""
    assert taken({"parameters": given}) == {"parameters": given}


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_result_tells_that_nothing_was_changed(check_mode: bool) -> None:
    """Whoever asked for check mode: the command line, a play, or a task."""
    operation = cast(Operation, SimpleNamespace(ARGUMENT_SPEC={}, run=lambda params, ctx: {"changed": True}))
    told = execute(operation, {}, Context(check_mode=check_mode))
    assert told == {"changed": True, **({"check_mode": True} if check_mode else {})}


def test_a_command_of_nothing_is_no_command() -> None:
    answer = execute(cast(Operation, nodetool), {"command": [""], "commands": None}, Context())
    assert answer["failed"] is True
    assert "A command begins with the verb of nodetool" in answer["msg"]
