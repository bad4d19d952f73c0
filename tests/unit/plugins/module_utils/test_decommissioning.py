# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import decommissioning
from ansible_collections.cassops.kubernetes.plugins.module_utils.decommissioning import BEGUN, LEAVING, Note, note
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import LedgerError
from ansible_collections.cassops.kubernetes.plugins.module_utils.rebuilding import Note as Rebuilt
from ansible_collections.cassops.kubernetes.plugins.module_utils.scaling import Scene
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Keyspace, View

NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"
SIMPLE = "org.apache.cassandra.locator.SimpleStrategy"


def keyspace(name: str, **replicas: str) -> Keyspace:
    return Keyspace(name, {"class": NTS, **replicas})


def view(*keyspaces: Keyspace) -> View:
    return View("shop", "dc1", "running", keyspaces=keyspaces)


SYSTEM = [keyspace(name, dc1="3", dc2="2") for name in ("system_auth", "system_distributed", "system_traces")]


@pytest.mark.parametrize("each", [Note(12), Note(12, LEAVING)])
def test_a_note_is_read_as_it_was_written(each: Note) -> None:
    assert note(str(each)) == each


def test_nothing_noted_is_none_and_what_nobody_can_read_is_an_error() -> None:
    assert (note(""), note(None)) == (None, None)
    for text in ("12", f"x {BEGUN}", "12 gone"):
        with pytest.raises(LedgerError, match=r"cassops.kubernetes/decommission of the ledger's ConfigMap cannot be"):
            note(text)


def test_users_keyspaces_are_altered_before_those_of_cassandra_and_logins_last() -> None:
    found = decommissioning.before(view(*SYSTEM, keyspace("orders", dc1="3", dc2="3/1")), "dc1")
    assert list(found) == ["orders", "system_distributed", "system_traces", "system_auth"]
    assert found["orders"] == {"class": "NetworkTopologyStrategy", "dc2": "3/1"}
    assert found["system_auth"] == {"class": "NetworkTopologyStrategy", "dc1": "1", "dc2": "2"}


def test_what_is_so_already_is_not_altered() -> None:
    rest = [keyspace("orders", dc2="3"), keyspace("system_auth", dc1="1", dc2="2"), Keyspace("any", {"class": SIMPLE})]
    assert decommissioning.before(view(*rest), "dc1") == {}
    assert decommissioning.after(view(*rest), "dc1") == {
        "system_auth": {"class": "NetworkTopologyStrategy", "dc2": "2"}
    }
    assert decommissioning.after(view(keyspace("system_auth", dc2="2")), "dc1") == {}


def test_a_scene_is_foreseen_in_every_view() -> None:
    scene = Scene(view(keyspace("orders", dc1="3", dc2="3")), (view(keyspace("orders", dc1="3", dc2="3")),))
    found = decommissioning.foreseen(scene, {"orders": {"class": "NetworkTopologyStrategy", "dc2": "3"}})
    assert [each.keyspaces[0].replication.get("dc1") for each in (found.view, *found.others)] == [None, None]


def test_rebuilds_that_stream_from_here_are_in_the_way() -> None:
    theirs = {
        "dc2": {"orders": Rebuilt(1, frozenset(), frozenset({"a"}), "dc1"), "whole": Rebuilt(1, None, source="dc1")},
        "dc3": {"other": Rebuilt(1, frozenset(), frozenset({"a"}), "dc2")},
    }
    (reason,) = decommissioning.by_rebuilds("dc1", theirs)
    assert reason.startswith("keyspace orders: not all nodes of datacenter dc2 have been given the rows yet")


@pytest.mark.parametrize(
    ("username", "replicas", "is_refused"),
    [
        ("cassandra", {"dc1": "3", "dc2": "1"}, True),
        ("cassandra", {"dc1": "3", "dc2": "2"}, False),
        ("cassandra", {"dc2": "1"}, False),
        ("admin", {"dc1": "3", "dc2": "1"}, False),
    ],
)
def test_who_logs_in_at_a_quorum_needs_one_that_is_left(
    username: str, replicas: dict[str, str], is_refused: bool
) -> None:
    told = decommissioning.locked_out(view(keyspace("system_auth", **replicas)), "dc1", username)
    assert told == [] or "whose login needs a quorum of the replicas of system_auth" in told[0]
    assert bool(told) is is_refused
