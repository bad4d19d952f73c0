# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members of the ring that are none of the nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import (
    DEFAULT,
    EMPTY,
    FIRST,
    SECOND,
    THIRD,
    cases,
    dead,
    decided,
    short,
    stranger,
)

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import (
    ASK,
    ASSASSINATE,
    REPLACE,
    WAIT,
    Decision,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.table import decide
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import View


def about_stranger(view: View) -> Decision:
    return decide(view, cases(view), DEFAULT)[-1]


def test_row_9_a_dead_member_that_owns_tokens_is_a_persons_decision() -> None:
    told = about_stranger(stranger(views.whole()))
    assert (short(told), told.node) == ((9, ASK), "198.19.9.9")
    assert "node_remove with host_id host-ghost" in told.advice


@pytest.mark.parametrize("pod", [FIRST, THIRD])
def test_row_9_one_that_some_nodes_know_tokens_of_is_no_ghost(pod: str) -> None:
    """A row of system.peers_v2 that lacks them must not let its ranges go without a stream."""
    view, owner = stranger(views.whole(), tokens=(), status="shutdown"), stranger(views.whole())
    mixed = replace(view, observations={**view.observations, pod: owner.observations[pod]})
    assert short(about_stranger(mixed)) == (9, ASK)


def test_row_10_a_removal_that_does_not_end() -> None:
    told = about_stranger(stranger(views.whole(), status="removing"))
    assert (short(told), "node_remove" in told.advice) == ((10, ASK), True)


def test_row_11_a_ghost_is_taken_out_of_gossip() -> None:
    assert short(about_stranger(stranger(views.whole(), tokens=(), status="shutdown"))) == (11, ASSASSINATE)


def test_row_11_not_while_a_node_is_down_and_never_one_that_lives() -> None:
    view = stranger(dead(views.whole(), SECOND, phase="Running"), tokens=(), status="shutdown")
    assert short(about_stranger(view)) == (11, WAIT)
    assert short(about_stranger(stranger(views.whole(), up=True, tokens=(), status="BOOT"))) == (11, ASK)


@pytest.mark.parametrize(("status", "action"), [("shutdown", REPLACE), (None, REPLACE), ("BOOT", WAIT)])
def test_row_11_a_ghost_and_a_dead_node_do_not_wait_for_each_other(status: str | None, action: str) -> None:
    """The ghost is taken out when all nodes are up; so nodes must come up beside it."""
    view = stranger(dead(views.whole(), FIRST, held=EMPTY), tokens=(), status=status)
    assert decided(view).action == action
    assert about_stranger(view).action == WAIT


def test_row_11_a_node_under_its_old_address_is_no_stranger() -> None:
    """With pods' addresses a node that came back is known by both for a while."""
    view = stranger(views.whole(), host_id="host-1")
    assert len(decide(view, cases(view), DEFAULT)) == len(view.nodes)
