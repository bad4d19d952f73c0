# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused because rows would be lost."""

from __future__ import annotations

from dataclasses import replace

from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import (
    DEFAULT,
    EMPTY,
    FIRST,
    SECOND,
    cases,
    dead,
    decided,
    short,
    with_keyspace,
)

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import ASK, MOVE, REPLACE, first
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import (
    GONE,
    NETWORK,
    Settings,
    Volume,
    Worker,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.losses import single_copies
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.table import decide
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Keyspace


def test_row_16_quorum_lost_is_refused_with_what_is_at_risk() -> None:
    view = with_keyspace(dead(views.whole(), FIRST, SECOND, held=EMPTY), "shop", dc1="3")
    told = decided(view)
    assert short(told) == (16, ASK)
    assert told.at_risk == ("shop", "system_auth")
    assert "keyspaces shop, system_auth: " in told.reason
    assert "2 or more of 3 are dead" in told.reason
    assert FIRST in told.reason
    assert SECOND in told.reason
    assert "accept_loss: [shop, system_auth]" in told.advice


def test_row_16_goes_on_when_just_that_is_accepted() -> None:
    view = with_keyspace(dead(views.whole(), FIRST, SECOND, held=EMPTY), "shop", dc1="3")
    assert short(decided(view, settings=Settings(accept_loss=frozenset({"shop"})))) == (16, ASK)
    told = decided(view, settings=Settings(accept_loss=frozenset({"shop", "system_auth", "more"})))
    assert short(told) == (6, REPLACE)
    assert told.at_risk == ("shop", "system_auth")
    assert told.reason.endswith(f"{SECOND} is dead too; rows of shop, system_auth may be lost, which was accepted")


def test_row_16_a_disk_that_may_come_back_comes_first() -> None:
    """One lost its storage, the other only its worker: its volume follows, or is waited for."""
    view = dead(views.whole(), FIRST, held=EMPTY)
    view = dead(view, SECOND, phase="Terminating", held=None)
    facts = {SECOND: {"worker": Worker("worker2", GONE), "volume": Volume("claim", None, NETWORK)}}
    decisions = {each.node: each for each in decide(view, cases(view, facts), DEFAULT)}
    assert short(decisions[FIRST]) == (16, ASK)
    chosen = first(decisions.values())
    assert chosen is not None
    assert (chosen.node, chosen.action) == (SECOND, MOVE)


def test_two_replicas_lose_no_row_with_one_of_them() -> None:
    """Their QUORUM is both; the other one has all that was acknowledged."""
    view = with_keyspace(dead(views.whole(), FIRST, held=EMPTY), "two", dc1="2")
    assert short(decided(view)) == (6, REPLACE)


def test_row_17_one_replica_is_lost_with_its_node() -> None:
    view = with_keyspace(dead(views.whole(), FIRST, held=EMPTY), "one", dc1="1")
    told = decided(view)
    assert (short(told), told.at_risk) == ((17, ASK), ("one",))
    assert "no replica is left" in told.reason
    assert short(decided(view, settings=Settings(accept_loss=frozenset({"one"})))) == (6, REPLACE)


def test_row_17_when_nobody_has_a_range_nothing_can_be_streamed() -> None:
    view = with_keyspace(dead(views.whole(), FIRST, SECOND, held=EMPTY), "two", dc1="2")
    told = decided(view, settings=Settings(accept_loss=frozenset({"two", "system_auth"})))
    assert short(told) == (17, ASK)
    assert "restore a backup" in told.advice


def test_keyspaces_with_one_copy_here() -> None:
    view = with_keyspace(with_keyspace(views.whole(), "two", dc1="2"), "one", dc1="1", dc2="3")
    view = with_keyspace(view, "elsewhere", dc2="1")
    simple = Keyspace("simple", {"class": "SimpleStrategy", "replication_factor": "1"})
    local = Keyspace("system_local", {"class": "LocalStrategy"})
    view = replace(view, keyspaces=(*view.keyspaces, simple, local))
    assert single_copies(view) == ("one", "simple")
