# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool, nodetooltext
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe_nodetool import VERBS, ask_without_login

FIRST, SECOND = "shop-dc1-r1-0", "shop-dc1-r2-0"
REFUSED = f"{FIRST}: Unable to perform authentication: Cannot achieve consistency level LOCAL_QUORUM"
OUTPUT = {
    "info": "ID                     : aaaaaaaa-0000-4000-8000-000000000001\nGossip active          : true\n",
    "gossipinfo": (
        "/198.19.0.1\n  generation:1\n  heartbeat:9\n  STATUS_WITH_PORT:5:NORMAL,-5\n  SCHEMA:6:schema-1\n  DC:7:dc1\n"
        "  RACK:8:r1\n  RELEASE_VERSION:9:5.0.9\n  HOST_ID:2:aaaaaaaa-0000-4000-8000-000000000001\n  RPC_READY:3:true\n"
        "/198.19.0.2\n  generation:1\n  heartbeat:9\n  STATUS_WITH_PORT:5:shutdown,true\n  SCHEMA:6:schema-1\n"
        "  DC:7:dc1\n  RACK:8:rack two\n  RELEASE_VERSION:9:5.0.9\n  HOST_ID:2:aaaaaaaa-0000-4000-8000-000000000002\n"
        "/198.19.0.9\n  generation:1\n  heartbeat:9\n  STATUS_WITH_PORT:5:LEFT,7\n  DC:7:dc1\n"
        "/198.19.0.8\n  generation:1\n  heartbeat:9\n  STATUS_WITH_PORT:5:BOOT,7\n  DC:7:dc1\n  RACK:8:r1\n"
    ),
    "status": (
        "Datacenter: dc1\n===============\nStatus=Up/Down\n|/ State=Normal/Leaving/Joining/Moving\n"
        "--  Address     Load       Tokens  Owns (effective)  Host ID                               Rack    \n"
        "UN  198.19.0.1  90.44 KiB  2       100.0%            aaaaaaaa-0000-4000-8000-000000000001  r1      \n"
        "DN  198.19.0.2  ?          2       100.0%            aaaaaaaa-0000-4000-8000-000000000002  rack two\n"
    ),
    "ring": (
        "\nDatacenter: dc1\n==========\n"
        "Address     Rack        Status State   Load            Owns                Token               \n"
        "                                                                           7                   \n"
        "198.19.0.1  r1          Up     Normal  90.44 KiB       ?                   -5                  \n"
        "198.19.0.2  rack two    Down   Normal  ?               ?                   -1                  \n"
        "198.19.0.1  r1          Up     Normal  90.44 KiB       ?                   3                   \n"
        "198.19.0.2  rack two    Down   Normal  ?               ?                   7                   \n"
        '\n  Warning: "nodetool ring" is used to output all the tokens of a node.\n'
    ),
    "describecluster": (
        "Cluster Information:\n\tName: T\n\tSnitch: x\n\nKeyspaces:\n"
        "\tshop -> Replication class: NetworkTopologyStrategy {dc1=3}\n"
        "\tsystem -> Replication class: LocalStrategy {}\n"
    ),
}


class Pods:
    """What nodetool says in each pod."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: bool = False) -> None:
        self.asked: list[str] = []
        self.failing = failing
        monkeypatch.setattr(nodetool, "run", self.run)

    def run(self, kube: Any, pod: str, verbs: Sequence[Sequence[str]], *arguments: Any, **options: Any) -> Any:
        self.asked.append(pod)
        assert [list(verb) for verb in verbs] == [list(verb) for verb in VERBS]
        if self.failing:
            raise nodetool.NodetoolError(f"{pod}: it fails", [])
        return [
            nodetool.Result(tuple(verb), 0, OUTPUT[verb[0]], "", nodetooltext.PARSERS[verb[0]](OUTPUT[verb[0]]))
            for verb in verbs
        ]


def test_a_node_that_can_let_nobody_in_tells_its_view_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pods = Pods(monkeypatch)
    view = views.whole(observations={}, keyspaces=(), unheard={FIRST: REFUSED, SECOND: f"{SECOND}: wrong password"})
    seen = ask_without_login(cast(Kube, None), view)
    assert pods.asked == [FIRST]
    assert seen.unheard == {SECOND: f"{SECOND}: wrong password"}
    told = seen.observations[FIRST]
    assert (told.address, told.bootstrapped) == ("198.19.0.1", True)
    assert told.alive == {"198.19.0.1": True, "198.19.0.2": False}
    assert {address: item.tokens for address, item in told.endpoints.items()} == {
        "198.19.0.1": (-5, 3),
        "198.19.0.2": (-1, 7),
        "198.19.0.8": (),
    }, "those that left are forgotten, those that join are not"
    second = told.endpoints["198.19.0.2"]
    assert (second.rack, second.datacenter, second.version) == ("rack two", "dc1", "5.0.9")
    assert (second.status, second.schema, second.serves) == ("shutdown", "schema-1", None)
    assert second.host_id == "aaaaaaaa-0000-4000-8000-000000000002"
    assert told.own.serves is True
    assert [(item.name, dict(item.replication)) for item in seen.keyspaces] == [
        ("shop", {"class": "NetworkTopologyStrategy", "dc1": "3"}),
        ("system", {"class": "LocalStrategy"}),
    ]


def test_where_nodetool_fails_too_the_reason_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    Pods(monkeypatch, failing=True)
    view = views.whole(observations={}, unheard={FIRST: REFUSED})
    assert ask_without_login(cast(Kube, None), view) == view


def test_a_node_that_is_no_member_in_its_own_word_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    Pods(monkeypatch)
    monkeypatch.setitem(OUTPUT, "info", "ID : bbbbbbbb-0000-4000-8000-000000000001\nGossip active : true\n")
    view = views.whole(unheard={FIRST: REFUSED})
    assert ask_without_login(cast(Kube, None), view) == view


def test_nobody_is_asked_where_all_were_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    pods = Pods(monkeypatch)
    assert ask_without_login(cast(Kube, None), views.whole()) == views.whole()
    assert pods.asked == []


def test_a_member_of_whom_a_node_is_not_sure_has_tokens() -> None:
    line = "10.0.0.2  rack one  ?  Normal  81.24 KiB  100.00%  -42"
    assert nodetooltext.ring(f"Address Rack Status State Load Owns Token\n 17\n{line}\n") == {"10.0.0.2": [-42]}


def test_a_ring_that_is_not_understood_is_told() -> None:
    with pytest.raises(nodetooltext.UnknownOutput, match="named no node"):
        nodetooltext.ring("nothing")
