# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replacements that a run left behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import (
    EMPTY,
    FIRST,
    FOREIGN,
    HALF_WAY,
    SECOND,
    dead,
    decided,
    short,
    with_keyspace,
)

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import ABANDON, ASK, REPLACE, WAIT
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import (
    AWAY,
    GONE,
    LOCAL,
    READY,
    UNKNOWN,
    Settings,
    Volume,
    Worker,
)


@pytest.mark.parametrize("changes", [{"held": EMPTY}, {"phase": "Running"}, {"phase": "Pending"}, {"held": HALF_WAY}])
def test_row_12_an_open_plan_is_taken_up_whatever_the_pod_does(changes: dict[str, Any]) -> None:
    assert short(decided(dead(views.whole(), FIRST, **changes), open_plan=True)) == (12, REPLACE)
    assert short(decided(views.whole(), open_plan=True)) == (12, REPLACE)


def test_row_12_a_plan_is_abandoned_when_the_node_lives_again_with_its_volume() -> None:
    facts = {"open_plan": True, "old_volume": True}
    assert short(decided(views.whole(), **facts)) == (12, ABANDON)
    going = Volume("claim", "pv", LOCAL, going=True)
    told = decided(replace(views.whole(), namespace="ns"), volume=going, **facts)
    assert (short(told), "kubectl -n ns delete pod" in told.advice) == ((12, ASK), True)
    starting = dead(views.whole(), FIRST, phase="Running")
    assert short(decided(starting, **facts)) == (12, WAIT)
    assert short(decided(starting, volume=going, **facts)) == (12, REPLACE)
    assert short(decided(starting, settings=Settings(named=frozenset({FIRST})), **facts)) == (12, REPLACE)
    assert short(decided(dead(views.whole(), FIRST, held=FOREIGN), **facts)) == (12, REPLACE)


def marks(before: str, now: str) -> str:
    """Held over a volume of a node, by the numbers in the two marks."""
    own = "id shop dc1 r1 shop-dc1-r1-0"
    return f"the volume belongs to another node: its mark is '{own}{before}', this node is '{own}{now}'; put the right"


def test_row_12_a_volume_is_given_back_where_rows_would_be_lost_without_it() -> None:
    """A run was killed between the ledger and the claim, and another replica is gone for good since."""
    view = with_keyspace(dead(views.whole(), FIRST, SECOND, held=EMPTY), "shop", dc1="3")
    facts = {"open_plan": True, "old_volume": True}
    for before, now in (("", " 1"), (" 1", " 2")):
        told = decided(views.with_node(view, FIRST, held=marks(before, now)), **facts)
        assert short(told) == (12, ABANDON)
        assert "is given back to it" in told.reason
        assert short(decided(views.with_node(view, FIRST, held=marks(before, now)), wished=True, **facts)) == (
            12,
            ABANDON,
        )
    own = views.with_node(view, FIRST, held=marks("", " 1"))
    accepted = Settings(accept_loss=frozenset({"shop", "system_auth"}))
    assert short(decided(own, settings=accepted, **facts)) == (12, REPLACE)
    assert short(decided(own, again=True, **facts)) == (16, ASK)
    assert short(decided(own, accepted=True, **facts)) == (16, ASK), "a person gave it up knowing what may be lost"
    for volume in (Volume("claim", "pv", LOCAL, going=True), Volume("claim", "pv", LOCAL, lost=True)):
        assert short(decided(own, volume=volume, **facts)) == (16, ASK)
    assert short(decided(own, open_plan=True)) == (16, ASK), "the claim is another one"
    for held in (marks("", " 2"), marks(" 2", " 1"), FOREIGN, EMPTY):
        assert short(decided(views.with_node(view, FIRST, held=held), **facts)) == (16, ASK)
    alone = dead(views.whole(), FIRST, held=marks("", " 1"))
    assert short(decided(alone, **facts)) == (12, REPLACE), "nothing is lost without it"


@pytest.mark.parametrize(
    ("changes", "facts", "action"),
    [
        ({"phase": "Pending", "worker": "w1"}, {}, WAIT),
        ({"phase": "Terminating", "worker": "w1"}, {}, WAIT),
        ({"phase": "Pending", "worker": None}, {"worker": Worker("w1", READY)}, WAIT),
        ({"phase": "Pending", "worker": None}, {"worker": Worker("w1", AWAY)}, REPLACE),
        ({"phase": "Pending", "worker": "w1"}, {"worker": Worker("w1", GONE)}, REPLACE),
        ({"phase": "Terminating", "worker": "w1"}, {"worker": Worker("w1", AWAY)}, WAIT),
        ({"phase": "Crashed", "restarts": 1}, {}, WAIT),
        ({"phase": "Crashed", "restarts": 1, "backing_off": True}, {}, WAIT),
        ({"phase": "Crashed", "restarts": 5}, {}, WAIT),
        ({"phase": "Crashed", "restarts": 5, "backing_off": True}, {}, REPLACE),
        ({"phase": "Running"}, {"volume": Volume("claim", lost=True)}, REPLACE),
        ({"phase": "Running"}, {"again": True}, REPLACE),
        ({"phase": "Pending", "worker": "w1"}, {"wished": True}, REPLACE),
    ],
)
def test_row_12_a_volume_is_kept_where_the_node_may_come_up_with_it(
    changes: dict[str, Any], facts: dict[str, Any], action: str
) -> None:
    told = decided(dead(views.whole(), FIRST, **changes), open_plan=True, old_volume=True, **facts)
    assert short(told) == (12, action)


def test_row_12_what_was_said_of_a_worker_does_not_count_while_it_answers() -> None:
    """The option stays in a schedule's variables, and the worker is back."""
    said = Settings(workers_off=frozenset({"w1"}))
    starting = dead(views.whole(), FIRST, phase="Pending", worker="w1")
    for state, action in ((READY, WAIT), (AWAY, REPLACE), (UNKNOWN, WAIT)):
        told = decided(starting, settings=said, worker=Worker("w1", state), open_plan=True, old_volume=True)
        assert short(told) == (12, action)
    ending = dead(views.whole(), FIRST, phase="Terminating", worker="w1")
    assert short(decided(ending, settings=said, worker=Worker("w1", READY))) == (4, WAIT)


def test_row_12_what_another_attempt_left_is_not_what_the_node_had() -> None:
    facts = {"open_plan": True, "old_volume": True, "again": True}
    assert short(decided(views.whole(), **facts)) == (12, REPLACE)
    going = Volume("claim", "pv", LOCAL, going=True)
    assert short(decided(views.whole(), volume=going, **facts)) == (12, ASK)
