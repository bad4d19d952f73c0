# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils.learning import is_stricter, learned, problems, words
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Keyspace

LEDGER = Ledger(id="a", cluster="shop", datacenter="dc1", phase="running")
THREE = {"class": "NetworkTopologyStrategy", "dc1": "3"}
ONE = {"class": "NetworkTopologyStrategy", "dc1": "1"}
SHORT = replace(views.whole(), keyspaces=(Keyspace("shop", THREE, 172800), Keyspace("system_auth", THREE, 7776000)))
SINGLE = replace(views.whole(), keyspaces=(Keyspace("logs", ONE, 864000), Keyspace("shop", THREE, 864000)))


def test_what_the_tables_ask_for_is_learned() -> None:
    assert learned(LEDGER, SHORT) == replace(LEDGER, gc_grace_seconds=172800)
    assert learned(LEDGER, SINGLE) == replace(LEDGER, single_copies=("logs",))
    assert words(learned(LEDGER, SINGLE)) == (
        "noted: gc_grace_seconds is 864000 at least, keyspaces with one replica are logs"
    )


def test_what_is_asked_for_no_more_is_forgotten() -> None:
    known = replace(LEDGER, gc_grace_seconds=172800, single_copies=("logs",))
    assert learned(known, views.whole(keyspaces=(Keyspace("shop", THREE, 864000),))) == LEDGER


def test_where_no_node_tells_the_ledger_stays() -> None:
    known = replace(LEDGER, gc_grace_seconds=172800, single_copies=("logs",))
    assert learned(known, views.whole(keyspaces=())) == known
    # As nodetool has it.
    assert learned(known, views.whole(keyspaces=(Keyspace("shop", THREE), Keyspace("system_auth", THREE)))) == known


def test_one_that_may_not_know_the_newest_table_is_not_believed() -> None:
    pod, seen = next(iter(SHORT.observations.items()))
    own = replace(seen.own, schema="another")
    odd = replace(seen, endpoints={**seen.endpoints, seen.address: own})
    known = replace(LEDGER, gc_grace_seconds=100000)
    assert learned(known, replace(SHORT, observations={**SHORT.observations, pod: odd})) == known


@pytest.mark.parametrize(
    ("before", "after", "stricter"),
    [
        (LEDGER, LEDGER, False),
        (LEDGER, replace(LEDGER, gc_grace_seconds=172800), True),
        (replace(LEDGER, gc_grace_seconds=172800), LEDGER, False),
        (LEDGER, replace(LEDGER, single_copies=("logs",)), True),
        (replace(LEDGER, single_copies=("logs",)), LEDGER, False),
    ],
)
def test_what_holds_more_nodes_is_stricter(before: Ledger, after: Ledger, stricter: bool) -> None:
    assert is_stricter(before, after) is stricter


def test_a_ledger_that_lets_nodes_go_for_too_long_is_a_problem() -> None:
    (told,) = problems(LEDGER, SHORT)
    assert told["problem"].startswith("tables have a gc_grace_seconds of 172800, and the ledger still says 864000: ")
    assert told["advice"].startswith("run the playbook deploy, or any other one")
    assert problems(replace(LEDGER, gc_grace_seconds=172800), SHORT) == []
    assert problems(replace(LEDGER, gc_grace_seconds=100000), SHORT) == [], "it holds more than it has to"


def test_a_single_copy_is_a_problem_where_nodes_replace_themselves() -> None:
    assert problems(LEDGER, SINGLE) == []
    alone = replace(LEDGER, self_replace=True)
    (told,) = problems(alone, SINGLE)
    assert told["problem"].startswith("keyspaces with one replica that the ledger does not know: logs. ")
    assert problems(replace(alone, single_copies=("logs",)), SINGLE) == []
