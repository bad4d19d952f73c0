# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that no StatefulSet wants, or that have left the ring."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import (
    EMPTY,
    FIRST,
    NO_PLACE,
    SECOND,
    address_of,
    dead,
    decided,
    joiner,
    newcomer,
    short,
)

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import ASK, STOPPED
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import Volume


@pytest.mark.parametrize(
    "facts",
    [
        {"phase": "Pending", "worker": None, "reason": NO_PLACE},
        {"phase": "Pending", "worker": "worker1", "reason": "ImagePullBackOff: no such image"},
        {"phase": "Running", "held": EMPTY},
        {"phase": "Crashed", "restarts": 5},
    ],
)
def test_row_9_what_nobody_knows_any_more_has_left(facts: dict[str, Any]) -> None:
    """Nobody can take its place; scale takes away what is left of it."""
    view = dead(views.whole(), FIRST, **facts)
    address = address_of(view, FIRST)
    seen = {
        pod: replace(one, endpoints={at: item for at, item in one.endpoints.items() if at != address})
        for pod, one in view.observations.items()
    }
    forgotten = replace(view, observations=seen)
    told = decided(forgotten)
    assert (short(told), "run the playbook scale" in told.advice) == ((9, ASK), True)
    # Not as long as somebody may know it: one that was not heard, or under what a replacement gave it.
    assert "has left" not in decided(replace(forgotten, unheard={SECOND: "the login is refused"})).reason
    another = replace(view.endpoints()[address], address="198.19.77.7", host_id="host-new")
    seen = {pod: replace(one, endpoints={**one.endpoints, another.address: another}) for pod, one in seen.items()}
    assert "has left" not in decided(replace(forgotten, observations=seen)).reason


def test_row_9_a_node_that_has_left_is_for_scale() -> None:
    view = dead(views.whole(), FIRST, phase="Crashed", restarts=4)
    told = decided(view, last_words="This node was decommissioned and will not rejoin the ring unless overridden")
    assert (short(told), "playbook scale" in told.advice) == ((9, ASK), True)


def test_row_9_a_node_that_nobody_wants_any_more() -> None:
    """Somebody lowered the number of a StatefulSet by hand; first of all it can come back."""
    taken = dead(views.whole(), FIRST, phase=None, uid=None)
    told = decided(taken, wanted=False)
    assert (short(told), "node_remove with host_id host-1" in told.advice) == ((9, ASK), True)
    assert told.advice.startswith("run the playbook start, ")
    assert "it comes back with its volume" in told.advice
    assert "its volume" not in decided(taken, wanted=False, volume=Volume()).advice
    told = decided(views.whole(), wanted=False)
    assert (short(told), f"node_decommission with name {FIRST}" in told.advice) == ((9, ASK), True)
    assert told.advice.startswith("run the playbook start, ")


@pytest.mark.parametrize("up", [False, True])
def test_row_13_a_node_whose_place_was_not_made_yet_is_for_scale(up: bool) -> None:
    """Scale was killed between the ledger and the StatefulSet: there is nothing that could be removed."""
    view = joiner() if up else newcomer(phase=None, uid=None)
    told = decided(view, wanted=False)
    assert (short(told), told.reason) == ((13, ASK), STOPPED)
    assert told.advice.startswith("run the playbook scale, which has it join")
    assert "node_" not in told.advice
