# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.fake_cassandra import OFF, Member
from unit.plugins.module_utils.fake_kube import Disk, FakeKube, Killed, copied
from unit.plugins.module_utils.fake_scaling import WANTED, Scaling

from ansible_collections.cassops.kubernetes.plugins.module_utils import scaling
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError, SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecResult
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Lock, Locked
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import Objects
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    cluster,
    datacenter,
    joining,
    leaving,
    members,
    patience,
    resizing,
    scale,
    streaming,
    waiting,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.cluster import Cluster, Sight
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import NodeView

LAST = "shop-dc1-r1-1"
Worlds = Callable[..., Scaling]


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Worlds:
    """Makes datacenters; the clients lead to the one that was made last."""
    monkeypatch.setattr(streaming, "LOOK_AGAIN", -1.0)
    return lambda per_rack=1: Scaling.deployed(monkeypatch, per_rack)


@pytest.fixture
def three(worlds: Worlds) -> Scaling:
    return worlds(1)


@pytest.fixture
def six(worlds: Worlds) -> Scaling:
    return worlds(2)


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_three_six_four_three(three: Scaling) -> None:
    result = three.run(scale, 2)
    assert [(each["node"], each["step"]) for each in result["moved"]] == [
        (f"shop-dc1-r{rack}-1", "join") for rack in (1, 2, 3)
    ]
    three.assert_whole(2)
    assert sorted(set(three.ring.cleaned)) == [f"shop-dc1-r{rack}-0" for rack in (1, 2, 3)]
    assert result["needs_cleanup"] == []
    assert set(result["ownership"]["before"].values()) == {100.0}
    assert len(result["ownership"]["after"]) == 6

    four = {"r1": 2, "r2": 1, "r3": 1}
    result = three.run(scale, four)
    assert [each["node"] for each in result["moved"]] == ["shop-dc1-r3-1", "shop-dc1-r2-1"]
    three.assert_whole(four)

    three.run(scale, 1)
    three.assert_whole(1)


def test_nobody_restarts(three: Scaling) -> None:
    three.run(scale, 2)
    three.run(scale, 1)
    assert set(three.kube.made.values()) == {1}
    assert {pod for pod in three.kube.made if pod.endswith("-0")} == set()


def test_a_drain_never_takes_two_while_nodes_come_or_leave(three: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[int] = []
    plain = FakeKube.changed

    def changed(self: FakeKube) -> None:
        plain(self)
        stay = self.one("PodDisruptionBudget", "shop-dc1")["spec"]["minAvailable"]
        allowed.append(len(self.names("Pod")) - stay)

    monkeypatch.setattr(FakeKube, "changed", changed)
    three.run(scale, 2)
    three.run(scale, 1)
    assert set(allowed) == {0, 1}


def test_each_look_counts_once(three: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nodes have said when one has joined opens the gates of the next; no JVM tells how a leave is."""
    asked: list[bool] = []
    modes: list[str] = []
    ask, mode = Cluster.ask, three.ring.mode

    def count(self: Cluster, sight: Sight, also: Any = (), busy: bool = True, gossip: bool = False) -> Sight:
        asked.append(busy)
        return ask(self, sight, also, busy, gossip)

    monkeypatch.setattr(Cluster, "ask", count)
    monkeypatch.setattr(three.ring, "mode", lambda pod: modes.append(pod) or mode(pod))
    three.run(scale, 2, cleanup=False)
    assert asked == [True] * 4, "at first, and when each of three has joined"
    three.run(scale, 2)
    monkeypatch.setattr(streaming, "LOOK_AGAIN", 60.0)
    asked.clear()
    modes.clear()
    three.run(scale, {"r1": 2, "r2": 2, "r3": 1})
    assert asked == [True, False, True], "at first, when it was forgotten, and for the table of who owns what"
    assert modes == []


def test_a_second_run_changes_nothing(three: Scaling) -> None:
    three.run(scale, 2)
    writes = len(three.kube.writes)
    result = three.run(scale, 2)
    assert (result["changed"], result["moved"], result["left"]) == (False, [], [])
    assert three.writes(writes) == []


def test_deploy_finds_nothing_to_change_afterwards(three: Scaling) -> None:
    wanted = {"r1": 2, "r2": 1, "r3": 1, "r4": 1}
    three.run(scale, wanted)
    three.assert_whole(wanted)
    assert three.run(datacenter, wanted, state="present")["changes"] == []


def test_deploy_names_scale(three: Scaling) -> None:
    with pytest.raises(SpecError, match=r"the playbook scale does it"):
        three.run(datacenter, 2, state="present")


def test_a_fourth_rack_comes_and_goes(three: Scaling) -> None:
    four = {"r1": 1, "r2": 1, "r3": 1, "r4": 1}
    three.run(scale, four)
    three.assert_whole(four)
    three.run(scale, 1)
    three.assert_whole(1)


def test_a_run_with_other_numbers_than_the_inventory(three: Scaling) -> None:
    """As a schedule or a survey asks for it; digits come as texts."""
    result = three.run(scale, 1, nodes={"r1": "2", "r3": 2})
    assert [each["node"] for each in result["moved"]] == ["shop-dc1-r1-1", "shop-dc1-r3-1"]
    three.assert_whole({"r1": 2, "r2": 1, "r3": 2})
    assert three.run(scale, 1, nodes={"r1": 2, "r3": "2"})["changed"] is False


def test_wrong_numbers_are_all_told(three: Scaling) -> None:
    words = untouched(three, racks=1, nodes={"r1": "0", "r2": "many", "r3": 1.5, "r9": 1})
    assert "scale_nodes.r9: there is no such rack; there are r1, r2, r3" in words
    for rack, value in (("r1", "'0'"), ("r2", "'many'"), ("r3", "1.5")):
        assert f"scale_nodes.{rack}: must be a number of nodes from 1, got {value}" in words


def test_a_rack_is_replaced_by_another_in_one_run(three: Scaling) -> None:
    wanted = {"r2": 1, "r3": 1, "r4": 1}
    result = three.run(scale, wanted)
    assert [each["node"] for each in result["moved"]] == ["shop-dc1-r4-0", "shop-dc1-r1-0"]
    three.assert_whole(wanted)
    assert result["left"] == []


def test_check_mode_tells_and_does_nothing(three: Scaling) -> None:
    writes = len(three.kube.writes)
    result = three.run(scale, 2, check=True)
    assert result["changed"] is True
    assert result["changes"] == ["r1-1 joins", "r2-1 joins", "r3-1 joins", "cleanup of the nodes that lost ranges"]
    assert three.kube.writes[writes:] == []
    assert three.run(scale, 1, check=True)["changed"] is False


def test_progress_tells_the_step_and_how_far_it_is(three: Scaling) -> None:
    three.run(scale, 2)
    assert "next: r1-1 joins, 3 nodes to move" in three.said
    assert any("r1-1 to join: streaming 90 %" in text for text in three.said)
    assert not any("shop-dc1-" in text for text in three.said)


# --- Cassandra's own keyspaces ----------------------------------------------------------------------------------------


ONE = {"r1": 1}
OWN = ("system_auth", "system_distributed", "system_traces")


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch, worlds: Worlds) -> Scaling:
    """A datacenter of one node, and with one replica of everything."""
    world = Scaling.deployed(monkeypatch, ONE)
    world.ring.replication["shop"]["dc1"] = "1"
    return world


def replicas(world: Scaling) -> set[str]:
    return {world.ring.replication[name]["dc1"] for name in OWN}


def altered(world: Scaling) -> list[str]:
    return [what for what in world.kube.writes if what.startswith("ALTER KEYSPACE")]


def test_logins_get_the_replicas_that_deploy_would_have_given_them(one: Scaling) -> None:
    assert replicas(one) == {"1"}
    begin = len(one.ring.statements)
    assert (
        "system_distributed, system_traces, system_auth get more replicas" in one.run(scale, 1, check=True)["changes"]
    )
    assert replicas(one) == {"1"}
    result = one.run(scale, 1)
    assert replicas(one) == {"3"}
    assert [each["step"] for each in result["moved"]] == ["join", "join"]
    # One more at a time, and each time all rows are brought to all replicas before the next.
    told = [
        text for text in one.ring.statements[begin:] if "system_auth" in text and not text.startswith("SELECT role")
    ]
    steps = [text for text in told if text.startswith(("ALTER", "SELECT * FROM system_auth.roles"))]
    assert [text.partition(" ")[0] for text in steps] == ["SELECT", "ALTER", "SELECT", "ALTER", "SELECT"]
    assert "'dc1': '2'" in steps[1]
    # The client's rows are the user's matter.
    assert one.ring.replication["shop"]["dc1"] == "1"
    assert one.run(scale, 1)["changed"] is False


def test_more_replicas_than_that_stay(six: Scaling) -> None:
    six.ring.replication["system_auth"]["dc1"] = "4"
    six.run(scale, {"r1": 1, "r2": 2, "r3": 2})
    assert six.ring.replication["system_auth"]["dc1"] == "4"
    assert [what for what in altered(six) if "system_auth" in what] == ["ALTER KEYSPACE system_auth"]


def test_they_do_not_get_more_than_nodes_will_be_left(one: Scaling) -> None:
    one.run(scale, {"r1": 1, "r2": 1})
    assert replicas(one) == {"2"}
    words = untouched(one, racks={"r1": 1}, ignore=["racks"])
    assert "keyspace system_auth keeps 2 replicas" in words
    for name in OWN:
        one.ring.replication[name]["dc1"] = "1"
    one.run(scale, {"r1": 1}, ignore=["racks"])
    assert replicas(one) == {"1"}


def test_killed_before_any_write_of_it(monkeypatch: pytest.MonkeyPatch, worlds: Worlds) -> None:
    """What the next run finds altered it brings to all replicas all the same."""
    for lives in range(0, 200, 2):
        world = Scaling.deployed(monkeypatch, ONE)
        world.ring.replication["shop"]["dc1"] = "1"
        killed = world.killed(lives, lambda world=world: world.run(scale, 1))  # type: ignore[misc]
        begin = len(world.ring.statements)
        altering = killed and members.REPLICATING in str(world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"])
        world.run(scale, 1, delete_volumes=True)
        assert replicas(world) == {"3"}
        assert members.REPLICATING not in str(world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"])
        assert not altering or "SELECT * FROM system_auth.roles" in world.ring.statements[begin:]
        if not killed:
            break
    else:
        pytest.fail("the run never ends")
    assert lives > 20


# --- cleanup ----------------------------------------------------------------------------------------------------------


def test_cleanup_may_be_left_to_a_later_run(three: Scaling) -> None:
    result = three.run(scale, 2, cleanup=False)
    assert three.ring.cleaned == []
    assert result["needs_cleanup"] == [f"shop-dc1-r{rack}-0" for rack in (1, 2, 3)]
    assert three.run(scale, 2)["needs_cleanup"] == []
    assert len(three.ring.cleaned) == 3


def test_it_is_not_left_out_before_others_leave(three: Scaling) -> None:
    three.run(scale, 2, cleanup=False)
    three.run(scale, 1, cleanup=False)
    assert sorted(three.ring.cleaned) == [f"shop-dc1-r{rack}-0" for rack in (1, 2, 3)]
    three.assert_whole(1)


# --- volumes ----------------------------------------------------------------------------------------------------------


def test_volumes_of_those_that_left_are_kept_marked_and_in_the_way(six: Scaling) -> None:
    six.run(scale, {"r1": 1, "r2": 2, "r3": 2})
    claim = six.kube.one("PersistentVolumeClaim", f"data-{LAST}")
    assert claim["metadata"]["annotations"][members.LEFT].startswith("host-")
    assert six.kube.ledger().volume_number(LAST) == 1
    in_the_way = rf"volume claim data-{LAST} is in the way of a new {LAST}.*delete pvc"
    writes = len(six.writes())
    for check in (True, False):
        # Before anything moves, though others would join first.
        with pytest.raises(CassopsError, match=in_the_way):
            six.run(scale, 3, check=check)
    assert six.writes()[writes:] == []
    with pytest.raises(CassopsError, match=in_the_way):
        six.run(scale, 2)
    six.run(scale, 2, delete_volumes=True)
    six.assert_whole(2)
    assert members.LEFT not in six.kube.one("PersistentVolumeClaim", f"data-{LAST}")["metadata"].get("annotations", {})


def test_volumes_are_deleted_if_asked(six: Scaling) -> None:
    six.run(scale, 1, delete_volumes=True)
    assert six.kube.names("PersistentVolumeClaim") == [f"data-shop-dc1-r{rack}-0" for rack in (1, 2, 3)]
    six.run(scale, 2)
    six.assert_whole(2)


def test_a_volume_of_one_that_left_is_held_if_it_comes_back(six: Scaling) -> None:
    """Somebody takes the annotation away: the mark on the volume still tells."""
    six.run(scale, {"r1": 1, "r2": 2, "r3": 2})
    del six.kube.one("PersistentVolumeClaim", f"data-{LAST}")["metadata"]["annotations"]
    with pytest.raises(CassopsError, match=r"to join: not so after|is held: the volume belongs to another node"):
        six.run(scale, 2, wait_timeout=0)
    assert LAST in six.kube.held
    assert LAST not in six.ring.members


# --- Services ---------------------------------------------------------------------------------------------------------


def service_like_a_nodes(world: Scaling, name: str, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """With all labels of the node, as C(kubectl expose pod) makes one."""
    node = copied(world.kube.one("Service", "shop-dc1-r1-0"))
    metadata = {"name": name, "labels": node["metadata"]["labels"], "annotations": annotations or {}}
    return world.kube.put({**node, "metadata": metadata, "spec": {**node["spec"], "clusterIP": "10.96.7.7"}})


@pytest.mark.parametrize("name", ["shop-external", "shop-dc1-r1-lb", "shop-dc1-r1-1", "external"])
def test_a_service_that_somebody_made_of_a_pod_stays(three: Scaling, name: str) -> None:
    service_like_a_nodes(three, name)
    writes = len(three.kube.writes)
    result = three.run(scale, 1)
    assert (result["changed"], result["left"], three.writes(writes)) == (False, [], [])
    assert name in three.kube.names("Service")


def test_a_service_that_a_node_has_left_behind_goes_and_is_told(three: Scaling) -> None:
    applied = three.kube.one("Service", "shop-dc1-r1-0")["metadata"]["annotations"]
    service_like_a_nodes(three, LAST, applied)
    service_like_a_nodes(three, "shop-dc1-r1-lb", applied)["spec"]["clusterIP"] = "10.96.7.8"
    result = three.run(scale, 1)
    assert (result["changed"], result["changes"]) == (True, ["Service r1-1 is deleted"])
    assert three.kube.names("Service") == [
        *("shop-dc1", "shop-dc1-nodes", "shop-dc1-r1-0", "shop-dc1-r1-lb", "shop-dc1-r2-0", "shop-dc1-r3-0")
    ]


# --- refused ----------------------------------------------------------------------------------------------------------


def untouched(world: Scaling, **options: Any) -> str:
    """A run that is refused before anything moves; its words."""
    writes = len(world.kube.writes)
    with pytest.raises(CassopsError) as refusal:
        world.run(scale, **options)
    assert world.writes(writes) == []
    return str(refusal.value)


@pytest.mark.parametrize("check", [False, True])
def test_names_that_somebody_else_has(three: Scaling, check: bool) -> None:
    own: dict[str, Any] = {"labels": {"app": "web"}}
    three.kube.put({"kind": "Service", "metadata": {"name": LAST, **own}, "spec": {"clusterIP": "10.96.7.7"}})
    rack = copied(three.kube.one("StatefulSet", "shop-dc1-r1"))
    three.kube.put({**rack, "metadata": {"name": "shop-dc1-r4", **own}, "spec": {**rack["spec"], "replicas": 0}})
    before = copied(three.kube.objects)
    words = untouched(three, racks={"r1": 2, "r2": 1, "r3": 1, "r4": 1}, check=check)
    assert f"somebody else has Service {LAST}, StatefulSet shop-dc1-r4, and the datacenter needs the name" in words
    for key in (("Service", LAST), ("StatefulSet", "shop-dc1-r4")):
        assert {**three.kube.objects[key], "status": None} == {**before[key], "status": None}


def test_below_the_replicas_of_a_keyspace(three: Scaling) -> None:
    words = untouched(three, racks={"r1": 1, "r2": 1})
    assert "keyspace shop keeps 3 replicas" in words
    assert "scale_ignore: racks" in words


@pytest.mark.parametrize("racks", [1, 2])
def test_a_ledger_that_is_older_than_the_nodes(three: Scaling, racks: int) -> None:
    """It was put back from a backup of before a scale-out: nobody may end what serves because of that."""
    older = dict(three.kube.one("ConfigMap", "shop-dc1-ledger")["data"])
    three.run(scale, 2)
    newer = dict(three.kube.one("ConfigMap", "shop-dc1-ledger")["data"])
    three.kube.one("ConfigMap", "shop-dc1-ledger")["data"] = older
    words = untouched(three, racks=racks)
    assert "the ledger is older than they are" in words
    lines = [f"{pod} {one.address} {one.host_id}" for pod, one in sorted(three.ring.members.items()) if pod[-1] == "1"]
    assert f"({'; '.join(lines)})" in words
    assert untouched(three, racks=racks, check=True) == words
    with_lines = older["nodes"] + "".join(f"{line}\n" for line in lines)
    three.kube.one("ConfigMap", "shop-dc1-ledger")["data"] = {**older, "nodes": with_lines}
    three.run(scale, 2)
    three.assert_whole(2)
    assert three.kube.ledger().nodes.keys() == {line.split()[0] for line in newer["nodes"].splitlines()}


def test_no_room(six: Scaling) -> None:
    six.ring.busy["shop-dc1-r1-0"].disk = (10_000, 5_000)
    six.ring.tables.append(("shop", 864000))
    words = untouched(six, racks={"r1": 1, "r2": 2, "r3": 2})
    assert "shop-dc1-r1-0 would get" in words
    assert "4.9 MiB free" in words


def test_a_run_that_joins_too_warns_of_a_lack_of_room_and_refuses_at_the_turn(six: Scaling) -> None:
    """Which tokens the newcomer will have nobody knows before: it may make the room."""
    six.ring.busy["shop-dc1-r1-0"].disk = (10_000, 5_000)
    six.ring.tables.append(("shop", 864000))
    mixed = {"r1": 1, "r2": 3, "r3": 2}
    six.run(scale, mixed, check=True)
    (warning,) = six.warnings
    assert warning.startswith("as the ring is before the joins, shop-dc1-r1-0 would get")
    assert "4.9 MiB free" in warning
    assert "asked again when the turn to leave comes" in warning
    with pytest.raises(CassopsError) as refusal:
        six.run(scale, mixed)
    assert six.warnings == [warning]
    assert six.said[0] == warning.replace("shop-dc1-", "")
    assert six.said[1].startswith("next: r2-2 joins")
    assert str(refusal.value).startswith("shop-dc1-r1-1 does not leave: shop-dc1-r1-0 would get")
    assert str(refusal.value).endswith("(or go past it with scale_ignore: space)")
    six.assert_whole({"r1": 2, "r2": 3, "r3": 2})
    six.run(scale, mixed, ignore=["space"])
    assert six.warnings == []
    six.assert_whole(mixed)


def test_a_change_of_the_zone(three: Scaling) -> None:
    item = three.kube.one("StatefulSet", "shop-dc1-r1")
    item["spec"]["template"]["spec"]["nodeSelector"]["topology.kubernetes.io/zone"] = "b"
    assert "racks[0].zone: the rack r1 lives in b, got a" in untouched(three, racks=2)


def test_a_new_rack_beside_another_change(three: Scaling) -> None:
    four = {"r1": 1, "r2": 1, "r3": 1, "r4": 1}
    words = untouched(three, racks=four, config={"concurrent_reads": 64})
    assert "rack r4 cannot be added while the inventory changes more than numbers" in words
    # More of the same is fine: a new node is as its neighbours are.
    three.run(scale, 2, config={"concurrent_reads": 64})
    three.assert_whole(2)


def test_workers_are_counted_where_nodes_join(three: Scaling) -> None:
    """Each zone has one worker, and each node wants its own."""
    words = untouched(three, racks={"r1": 2, "r2": 1, "r3": 1}, allow_shared_workers=False)
    assert "2 nodes need as many workers in zone a, which has 1" in words
    assert "zone b" not in words


def test_a_node_in_the_middle(six: Scaling) -> None:
    words = untouched(six, racks={"r1": 1, "r2": 2, "r3": 2}, retire=["r1-0"])
    assert "r1-0 cannot leave" in words
    six.run(scale, {"r1": 1, "r2": 2, "r3": 2}, retire=["r1-1"])


def test_what_cannot_be_ignored(three: Scaling) -> None:
    assert "ignore: replicas cannot be ignored; space and racks can" in untouched(three, racks=2, ignore=["replicas"])


def test_a_ring_that_is_not_whole(three: Scaling) -> None:
    three.ring.down.add("shop-dc1-r2-0")
    three.ring.doors["shop-dc1-r2-0"] = OFF
    with pytest.raises(CassopsError, match=r"the gates before r1-1 joins to open.*r2-0"):
        three.run(scale, 2, gate_timeout=0)
    assert sorted(three.ring.members) == [f"shop-dc1-r{rack}-0" for rack in (1, 2, 3)]


def test_a_second_run_at_the_same_time(three: Scaling) -> None:
    with Lock(three.kube, "shop-lock", "another"), pytest.raises(Locked, match=r"another holds the lock"):  # type: ignore[arg-type]
        three.run(scale, 2)


def test_a_failure_tells_what_was_done(three: Scaling) -> None:
    three.kube.homeless.add("shop-dc1-r2-1")
    with pytest.raises(Failed, match=r"r2-1 to join.*cannot be scheduled") as failure:
        three.run(scale, 2, wait_timeout=0)
    assert [each["node"] for each in failure.value.result["moved"]] == [LAST]


# --- taken up ---------------------------------------------------------------------------------------------------------


def test_a_join_that_is_not_wanted_any_more_is_taken_back(three: Scaling) -> None:
    three.kube.homeless.add(LAST)
    with pytest.raises(CassopsError):
        three.run(scale, 2, wait_timeout=0)
    three.run(scale, 1)
    three.assert_whole(1)
    assert f"data-{LAST}" not in three.kube.names("PersistentVolumeClaim")


def test_an_older_volume_is_not_given_up_with_a_join_that_is_taken_back(three: Scaling) -> None:
    """Its node cannot start just then, so nobody says that it is held because of it."""
    three.kube.homeless.add(LAST)
    with pytest.raises(CassopsError):
        three.run(scale, 2, wait_timeout=0)
    claim = three.kube.one("PersistentVolumeClaim", f"data-{LAST}")
    claim["metadata"]["creationTimestamp"] = "2026-11-01T00:00:00Z"
    three.kube.one("Service", LAST)["metadata"]["creationTimestamp"] = "2026-11-02T00:00:00Z"
    three.run(scale, 1)
    three.assert_whole(1)
    assert f"data-{LAST}" in three.kube.names("PersistentVolumeClaim")
    assert any("which was there before it, stays" in text for text in three.said)


@pytest.mark.parametrize(
    ("service", "facts", "foreign"),
    [
        ("03:00:00", {"phase": "Pending"}, True),
        ("03:00:00", {"phase": None}, True),
        ("03:00:00", {"phase": "Running"}, True),
        ("03:00:00", {"phase": "Running", "answered": True}, False),
        ("03:00:00", {"phase": "Crashed"}, False),
        ("02:00:30", {"phase": "Pending"}, False),
        ("01:59:59", {"phase": "Pending"}, False),
        ("01:59:59", {"phase": "Running", "answered": True, "held": "the volume belongs to another node"}, True),
        (None, {"phase": "Pending"}, False),
    ],
)
def test_whose_volume_it_is_that_a_node_has_which_never_joined(
    service: str | None, facts: dict[str, Any], foreign: bool
) -> None:
    """A claim of 02:00. With the addresses of pods there is no Service."""
    found: dict[str, dict[str, Any]] = {
        "PersistentVolumeClaim": {f"data-{LAST}": {"metadata": {"creationTimestamp": "2026-11-01T02:00:00Z"}}}
    }
    if service:
        found["Service"] = {LAST: {"metadata": {"creationTimestamp": f"2026-11-01T{service}Z"}}}
    node = NodeView(LAST, "r1", 1, **facts)
    assert resizing.is_foreign(Objects(found), node) is foreign


def test_what_was_withdrawn_half_way_is_no_later_nodes_own(worlds: Worlds) -> None:
    """Killed between the ledger and its volume, which stays: it holds a part of what a member has."""
    left = 0
    for lives in range(100):
        three = worlds(1)
        three.kube.homeless.add(LAST)
        with pytest.raises(CassopsError):
            three.run(scale, 2, wait_timeout=0)
        if not three.killed(lives, lambda three=three: three.run(scale, 1)):  # type: ignore[misc]
            break
        forgotten = LAST not in three.kube.ledger().nodes
        assert not forgotten or three.kube.ledger().volume_number(LAST) == 1
        left += forgotten and f"data-{LAST}" in three.kube.names("PersistentVolumeClaim")
        three.run(scale, 1)
    assert left > 0


def test_a_joining_node_that_dies_begins_again(three: Scaling) -> None:
    deaths = iter([LAST])

    def kill() -> None:
        if three.kube.joining.get(LAST) == 1 and next(deaths, None):
            three.kube.die(LAST)

    three.kube.after_write = kill
    three.run(scale, 2)
    three.assert_whole(2)
    assert three.kube.made[LAST] == 2


@pytest.mark.parametrize("mode", ["JOINING", "JOINING_FAILED"])
def test_a_join_whose_streams_failed_begins_again(three: Scaling, mode: str) -> None:
    """Cassandra goes on without the data; 5.0 has a mode of its own for that."""
    three.ring.gives_up_as = mode
    three.kube.failing_streams[LAST] = 1
    three.run(scale, 2)
    assert any("r1-1 could not stream all of its data: WARN Stream failed" in text for text in three.said)
    three.assert_whole(2)
    assert three.kube.made[LAST] == 2


def killed_when_streams_failed(three: Scaling) -> None:
    three.kube.failing_streams[LAST] = 1

    def kill() -> None:
        if three.kube.given_up(LAST):
            raise Killed

    three.kube.after_write = kill
    with pytest.raises(Killed):
        three.run(scale, 2)
    three.kube.after_write = three.watch
    three.kube.revive()


def test_a_join_whose_streams_failed_before_begins_again(three: Scaling) -> None:
    """A run that was killed, or gave up, has left it like that."""
    killed_when_streams_failed(three)
    three.run(scale, 2)
    three.assert_whole(2)


def test_a_join_that_gave_up_and_was_stopped_is_begun_again(three: Scaling) -> None:
    """Heal has ended it, with its place, and has kept its volume, which has half of what a member has."""
    killed_when_streams_failed(three)
    context = three.context()
    there = Cluster({**WANTED, "peers": []}, context)
    with there.locked():
        members.Members(there, 5.0, context).stop(LAST)
    assert LAST not in three.kube.names("Pod")
    three.run(scale, 2)
    three.assert_whole(2)


def test_a_join_whose_streams_fail_each_time_is_told(three: Scaling) -> None:
    three.kube.failing_streams[LAST] = 9
    with pytest.raises(CassopsError, match=r"could not stream all of its data: .* This was attempt 3 of 3"):
        three.run(scale, 2)


def test_a_node_leaves_when_no_cleanup_runs_any_more(six: Scaling) -> None:
    """It goes on when the run that began it has died, and would delete what is streamed to it."""
    busy, left = six.ring.busy["shop-dc1-r2-0"], []
    busy.compactions = 9
    six.kube.after_write = lambda: left.append(busy.compactions) if six.kube.leaving else None
    six.run(scale, {"r1": 1, "r2": 2, "r3": 2}, gate_timeout=60)
    six.assert_whole({"r1": 1, "r2": 2, "r3": 2})
    assert left[0] == 0
    words = "r2-0 deletes rows that it has given away (nodetool cleanup), of shop.orders"
    assert any(words in line for line in six.said)


def test_a_leaving_node_that_dies_leaves_again(six: Scaling) -> None:
    deaths = iter([LAST])

    def kill() -> None:
        if six.kube.leaving.get(LAST) == 1 and next(deaths, None):
            six.kube.die(LAST)

    six.kube.after_write = kill
    six.run(scale, {"r1": 1, "r2": 2, "r3": 2})
    six.assert_whole({"r1": 1, "r2": 2, "r3": 2})
    assert [what for what in six.kube.writes if what.startswith("decommission")] == [f"decommission {LAST}"] * 2


def test_a_silent_worker_of_a_joining_node_is_told(three: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SILENT", 0.0)
    three.kube.takes = 99
    three.kube.after_write = lambda: three.kube.lost.update(three.kube.joining)
    with pytest.raises(CassopsError, match=r"r1-1 joins on worker worker, which does not answer.*heal"):
        three.run(scale, 2)
    three.kube.lost.clear()
    three.kube.after_write = three.watch
    three.kube.joining[LAST] = 1
    three.run(scale, 2)
    three.assert_whole(2)


def test_one_that_does_not_start_is_told_with_the_numbers_that_take_it_back(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LASTING", -1.0)
    three = worlds(1)
    three.kube.start = lambda pod: three.kube.held.update({pod: "the volume belongs to another node"})  # type: ignore[method-assign]
    with pytest.raises(CassopsError, match=r"goes on where it stands\. Or have 1 node in rack r1: what has not joined"):
        three.run(scale, 2)
    with pytest.raises(CassopsError, match=r"goes on where it stands\. Or leave rack r4 out: what has not joined"):
        three.run(scale, {"r1": 1, "r2": 1, "r3": 1, "r4": 1})


def test_one_that_has_joined_and_is_to_leave_is_not_told_to_be_taken_back(
    three: Scaling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number was put back already."""
    half_joined(three)
    monkeypatch.setattr(patience, "LASTING", -1.0)
    with monkeypatch.context() as late:
        late.setattr(three.kube, "stop", too_late(three, three.kube.stop))
        late.setattr(three.kube, "start", lambda pod: three.kube.held.update({pod: "the ledger cannot be read"}))
        with pytest.raises(CassopsError) as told:
            three.run(scale, 1)
    assert "run it again: it has joined, and leaves when every node has seen it up." in str(told.value)
    assert "taken back" not in str(told.value)
    three.run(scale, 1)
    three.assert_whole(1)


def test_a_member_that_is_held_when_another_has_joined_is_told(three: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for all views would last for hours."""
    monkeypatch.setattr(patience, "LASTING", -1.0)
    member = "shop-dc1-r3-0"

    def lose() -> None:
        if three.kube.joining.get(LAST) == 1:
            three.kube.disks[f"data-{member}"] = Disk("of another", "host-of-another")
            three.kube.ring.doors[member] = OFF
            three.kube.start(member)

    three.kube.after_write = lose
    with pytest.raises(CassopsError, match=rf"{LAST} has joined, .*{member} is held: .*Run the playbook heal"):
        three.run(scale, 2)


def test_a_leave_goes_on_where_its_nodetool_was_ended(six: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the node streams counts for the limit, and not who asked it to leave."""
    six.kube.takes = 9
    command, clock = six.kube.exec, [0.0]

    def ended(pod: str, argv: Sequence[str], timeout: float = 60.0) -> ExecResult:
        told = command(pod, argv, timeout)
        if argv[-1] == leaving.TELL and told.stdout == "running\n":
            return ExecResult(0, f"1\n{leaving.STILL}\n", "")
        return told

    def passes(_seconds: float) -> None:
        clock[0] += 100

    monkeypatch.setattr(six.kube, "exec", ended)
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=passes))
    six.run(scale, {"r1": 1, "r2": 2, "r3": 2}, wait_timeout=150)
    six.assert_whole({"r1": 1, "r2": 2, "r3": 2})


def test_a_large_datacenter_is_asked_as_a_whole_before_one_leaves(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes over says what room it has, and may be none of the three of its rack that other looks ask."""
    world, asked, no_room = worlds(5), [], scaling.no_room

    def count(scene: scaling.Scene, leaving: Sequence[NodeView], *going: Any) -> list[str]:
        asked.append(len(scene.cluster.observations))
        return no_room(scene, leaving, *going)

    monkeypatch.setattr(scaling, "no_room", count)
    monkeypatch.setattr(cluster, "STILL_COUNTS", -1.0)
    # One joins too, so the room is asked about once more when the turn to leave comes.
    world.run(scale, {"r1": 4, "r2": 6, "r3": 5})
    assert (asked[0], set(asked[1:])) == (15, {16})


def test_who_takes_no_logins_is_asked_whether_it_leaves_though_others_know_it_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others were asked a moment before it left, and Kubernetes has not asked it since (4.0 tells no status)."""
    seen, asked = views.whole(), []
    (pod, *_others) = seen.observations
    (node,) = [each for each in seen.nodes if each.pod == pod]
    monkeypatch.setattr(leaving, "mode_of", lambda _cluster, each: asked.append(each.pod) or "LEAVING")
    cluster: Any = None
    assert leaving.goes(cluster, Sight(Objects({}), seen), node) is False
    assert asked == [], "it serves: no JVM for that"
    heard = {name: told for name, told in seen.observations.items() if name != pod}
    silent = replace(seen, observations=heard, unheard={pod: "connection refused"})
    assert leaving.goes(cluster, Sight(Objects({}), silent), node) is True
    assert asked == [pod]


def test_a_silent_worker_of_a_leaving_node_is_told(six: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SILENT", 0.0)
    fewer = {"r1": 1, "r2": 2, "r3": 2}
    six.kube.takes = 99
    six.kube.after_write = lambda: six.kube.lost.update(six.kube.leaving)
    with pytest.raises(CassopsError, match=r"r1-1 leaves, and its worker worker does not answer.*heal"):
        six.run(scale, fewer)
    # It is back, and its node is a member like any other.
    six.kube.lost.clear()
    six.kube.after_write = six.watch
    six.kube.takes = 2
    six.kube.die(LAST)
    six.run(scale, fewer)
    six.assert_whole(fewer)


@pytest.mark.parametrize("forgetful", [False, True])
def test_one_that_has_left_and_dies_has_left(six: Scaling, forgetful: bool) -> None:
    """Also before it has written so down: it starts as one that has yet to join, and stops over the data it finds."""
    six.kube.forgetful.update([LAST] if forgetful else [])
    deaths = iter([LAST])

    def kill() -> None:
        if LAST in six.kube.gone and next(deaths, None):
            six.kube.die(LAST)

    six.kube.after_write = kill
    six.run(scale, {"r1": 1, "r2": 2, "r3": 2})
    six.assert_whole({"r1": 1, "r2": 2, "r3": 2})


@pytest.fixture
def gone(six: Scaling) -> Scaling:
    """A run has died when LAST had left; its pod is made again, and finds no place."""
    fewer = {"r1": 1, "r2": 2, "r3": 2}
    six.kube.after_write = lambda: setattr(six.kube, "lives", 0 if LAST in six.kube.gone else None)
    with pytest.raises(Killed):
        six.run(scale, fewer)
    six.kube.revive()
    six.kube.after_write = six.watch
    six.kube.homeless.add(LAST)
    six.kube.stop(LAST)
    six.kube.kubelet()
    return six


def test_one_that_has_left_and_finds_no_place_any_more_has_left(gone: Scaling) -> None:
    """Its worker is gone with its volume, or nobody has its image any more: it can never say so itself."""
    fewer = {"r1": 1, "r2": 2, "r3": 2}
    gone.run(scale, fewer, gate_timeout=0)
    gone.assert_whole(fewer)


def test_one_that_has_left_and_is_wanted_again_joins_anew(gone: Scaling) -> None:
    """The number was put back meanwhile; with its old volume it would never be a member again."""

    def mended() -> None:
        if LAST not in gone.kube.ledger().nodes:
            gone.kube.homeless.clear()

    gone.kube.after_write = mended
    gone.run(scale, 2, gate_timeout=0, delete_volumes=True)
    gone.assert_whole(2)


def test_one_that_finds_no_place_while_somebody_knows_it_has_not_left(gone: Scaling) -> None:
    fewer = {"r1": 1, "r2": 2, "r3": 2}
    host_id = str(gone.kube.ledger().host_id(LAST))
    gone.ring.join(LAST, Member("198.19.77.7", "r1", host_id, (77,)), OFF)
    gone.ring.down.add(LAST)
    with pytest.raises(CassopsError, match=r"the gates before r1-1 leaves to open.*r1-1 does not run"):
        gone.run(scale, fewer, gate_timeout=0)
    assert LAST in gone.kube.ledger().nodes


def test_one_that_nobody_knows_may_be_a_member_that_is_nobody(gone: Scaling) -> None:
    """A replacement that died before the ledger was told has given it another host id, and perhaps another address."""
    gone.ring.join("stranger", Member("198.19.77.7", "r1", "host-new", (77,)), OFF)
    gone.ring.down.add("stranger")
    with pytest.raises(CassopsError, match="the gates before r1-1 leaves to open"):
        gone.run(scale, {"r1": 1, "r2": 2, "r3": 2}, gate_timeout=0)
    assert LAST in gone.kube.ledger().nodes


def test_one_that_has_left_on_a_worker_that_is_silent_is_told(gone: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SILENT", 0.0)
    gone.kube.homeless.clear()
    gone.kube.gone.add(LAST)
    for _look in range(3):
        gone.kube.kubelet()
    gone.kube.crashed.clear()
    gone.kube.lost.add(LAST)
    fewer = {"r1": 1, "r2": 2, "r3": 2}
    with pytest.raises(CassopsError, match=r"r1-1 has left the ring.*does not answer.*kubectl delete node worker"):
        gone.run(scale, fewer, gate_timeout=0)
    gone.kube.lost.clear()
    gone.run(scale, fewer, gate_timeout=0)
    gone.assert_whole(fewer)


@pytest.mark.parametrize(
    ("facts", "runs"),
    [
        ({"phase": "Running"}, True),
        ({"phase": "Running", "held": "its volume is empty"}, False),
        ({"phase": "Crashed", "reason": "its container ended"}, False),
        ({"phase": "Pending"}, True),
        ({"phase": "Pending", "reason": "ImagePullBackOff: no such image"}, False),
        ({"phase": "Pending", "reason": "FailedMount: no such ConfigMap"}, False),
        ({"phase": "Pending", "reason": "FailedAttachVolume: Multi-Attach error for volume"}, True),
        ({"phase": "Pending", "reason": "FailedMount: Unable to attach or mount volumes: timed out"}, True),
        ({"phase": None, "reason": "it has no pod"}, False),
        ({"phase": "Terminating", "reason": "its worker w does not answer", "worker_lost": True}, True),
    ],
)
def test_when_no_process_of_a_node_can_be_there(facts: dict[str, Any], runs: bool) -> None:
    assert leaving.cannot_run(NodeView(LAST, "r1", 1, **facts)) is not runs


@pytest.mark.parametrize("looks", [10, 30, 100])
def test_one_that_has_left_and_counts_as_ready_has_left(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """Kubernetes asks it a few seconds later whether it is ready, and a run that begins meanwhile knows what it is."""
    fewer = {"r1": 1, "r2": 2, "r3": 2}
    for lives in range(200):
        six = worlds(2)
        assert six.killed(lives, lambda six=six: six.run(scale, fewer))  # type: ignore[misc]
        if LAST in six.kube.gone and LAST in six.kube.ledger().nodes:
            break
    ready, late = six.kube.ready, iter(range(looks))
    monkeypatch.setattr(six.kube, "ready", lambda pod: (pod == LAST and next(late, None) is not None) or ready(pod))
    six.run(scale, fewer, gate_timeout=0, delete_volumes=True)
    six.assert_whole(fewer)


@pytest.mark.parametrize("back", [True, False])
def test_killed_before_any_write_of_a_join(worlds: Worlds, back: bool) -> None:
    """The next run ends where it is told to, whether it is the same target or the old one."""
    for lives in range(200):
        world = worlds(1)
        if not world.killed(lives, lambda world=world: world.run(scale, {"r1": 2, "r2": 1, "r3": 1})):  # type: ignore[misc]
            break
        wanted = {"r1": 1 if back else 2, "r2": 1, "r3": 1}
        world.run(scale, wanted, delete_volumes=True)
        world.assert_whole(wanted)
        assert world.run(scale, wanted)["changed"] is False
    else:
        pytest.fail("the run never ends")
    assert lives > 8


def joined_unknown(worlds: Worlds, per_rack: int) -> tuple[Scaling, str, dict[str, int]]:
    """A node of rack r1 has joined, and the run was killed before the ledger knew; with the numbers of before."""
    before = {"r1": per_rack, "r2": per_rack, "r3": per_rack}
    pod = f"shop-dc1-r1-{per_rack}"
    for lives in range(200):
        world = worlds(per_rack)
        assert world.killed(lives, lambda world=world: world.run(scale, {**before, "r1": per_rack + 1}))  # type: ignore[misc]
        known = world.kube.ledger().nodes.get(pod)
        if known is not None and known.host_id is None and pod in world.ring.members and not world.kube.joining:
            return world, pod, before
    raise AssertionError("it never was so")


def test_what_has_joined_is_not_withdrawn_while_others_are_not_well(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It owns ranges and has rows; that another node restarts just then does not make it a stranger."""
    world, pod, before = joined_unknown(worlds, 1)
    with monkeypatch.context() as restarting:
        restarting.setattr(joining, "whole", lambda _sight: ["r2-0 is not ready"])
        with pytest.raises(CassopsError, match=r"r1-1 to be a member in every view: .*r2-0 is not ready"):
            world.run(scale, before, wait_timeout=0)
    assert any(line.startswith("r1-1 has joined meanwhile (r1-0 knows it as a member") for line in world.said)
    assert f"data-{pod}" in world.kube.names("PersistentVolumeClaim")
    world.run(scale, before, delete_volumes=True)
    world.assert_whole(before)


def seen_otherwise(monkeypatch: pytest.MonkeyPatch, change: Callable[[NodeView], NodeView]) -> None:
    """What every look sees of the nodes."""
    look = Cluster.look

    def seen(self: Cluster) -> Sight:
        sight = look(self)
        return replace(sight, view=replace(sight.view, nodes=tuple(map(change, sight.view.nodes))))

    monkeypatch.setattr(Cluster, "look", seen)


def waits(node: NodeView) -> NodeView:
    """It has a pod that no worker takes yet."""
    return replace(node, address=None, phase="Pending", ready=False)


@pytest.mark.parametrize(
    ("others_too", "words"),
    [(False, "knows a member with tokens at .*, and it is none of the other"), (True, "no other node could be asked")],
)
def test_what_has_joined_is_not_withdrawn_where_little_is_known(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, others_too: bool, words: str
) -> None:
    """A pod without an address (cassandra_address: pod), or a datacenter of which no node runs."""
    world, pod, before = joined_unknown(worlds, 1)
    with monkeypatch.context() as hidden:
        seen_otherwise(hidden, lambda node: waits(node) if others_too or node.pod == pod else node)
        with pytest.raises(CassopsError) as failure:
            world.run(scale, before, gate_timeout=0, wait_timeout=0)
    assert re.search(words, "\n".join([*world.said, str(failure.value)]))
    assert pod in world.kube.ledger().nodes
    assert f"data-{pod}" in world.kube.names("PersistentVolumeClaim")
    world.run(scale, before, delete_volumes=True)
    world.assert_whole(before)


def half_joined(world: Scaling) -> None:
    """A run has given up while its node still joined."""
    world.kube.takes = 99
    with pytest.raises(CassopsError):
        world.run(scale, 2, wait_timeout=0)
    world.kube.takes = 2


def test_what_joins_while_it_is_stopped_leaves(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    three, numbers = worlds(1), {"r1": 1, "r2": 1, "r3": 1}
    half_joined(three)
    with monkeypatch.context() as late:
        late.setattr(three.kube, "stop", too_late(three, three.kube.stop))
        told = three.run(scale, numbers)
    assert told["changes"][0].startswith("r1-1 has joined meanwhile (r1-0 knows it as a member with tokens)")
    assert [(each["node"], each["step"]) for each in told["moved"]] == [(LAST, "leave")]
    # A member's volume is kept.
    assert (
        three.kube.one("PersistentVolumeClaim", f"data-{LAST}")["metadata"]["annotations"][members.LEFT][:4] == "host"
    )
    three.assert_whole(1)


def test_killed_before_any_write_while_it_comes_back(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    for lives in range(100):
        three = worlds(1)
        half_joined(three)
        with monkeypatch.context() as late:
            late.setattr(three.kube, "stop", too_late(three, three.kube.stop))
            if not three.killed(lives, lambda three=three: three.run(scale, 1)):  # type: ignore[misc]
                break
        three.run(scale, 1, delete_volumes=True)
        three.assert_whole(1)
    else:
        pytest.fail("the run never ends")
    assert lives > 8


def too_late(world: Scaling, stop: Callable[[str], None]) -> Callable[[str], None]:
    """A node that joins is a member before it has stopped."""

    def stopping(pod: str) -> None:
        if pod in world.kube.joining:
            world.kube.joined(pod)
        stop(pod)

    return stopping


def test_what_a_member_that_is_down_may_know_is_waited_for(three: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been the only one that was up when the node joined."""
    half_joined(three)
    with monkeypatch.context() as down:
        seen_otherwise(down, lambda node: waits(node) if node.pod == "shop-dc1-r2-0" else node)
        with pytest.raises(CassopsError, match=r"all to say whether r1-1 has joined.*r2-0 cannot be asked: Pending"):
            three.run(scale, 1, gate_timeout=0)
    assert LAST in three.kube.ledger().nodes
    assert f"data-{LAST}" in three.kube.names("PersistentVolumeClaim")
    three.run(scale, 1)
    three.assert_whole(1)
    assert f"data-{LAST}" not in three.kube.names("PersistentVolumeClaim")


def test_killed_before_any_write_of_a_withdrawal(worlds: Worlds) -> None:
    """The next run ends it, or lets the node join: its volume is in nobody's way, with nothing to confirm."""
    for lives in range(100):
        three = worlds(1)
        half_joined(three)
        if not three.killed(lives, lambda three=three: three.run(scale, 1)):  # type: ignore[misc]
            break
        if lives % 2:
            three.run(scale, 1)
            assert f"data-{LAST}" not in three.kube.names("PersistentVolumeClaim")
            assert three.run(scale, 1)["changed"] is False
        three.run(scale, {"r1": 2, "r2": 1, "r3": 1})
        three.assert_whole({"r1": 2, "r2": 1, "r3": 1})
    else:
        pytest.fail("the run never ends")
    assert lives > 4


@pytest.mark.parametrize("resumes", [False, True])
def test_killed_while_a_join_is_begun_again(worlds: Worlds, resumes: bool) -> None:
    """A volume that waits for its pod to go closes no gate, and is not what the node joins with.

    Cassandra 4.x goes on over what it has.
    """
    numbers = {"r1": 2, "r2": 1, "r3": 1}
    emptying = 0
    for lives in range(100):
        three = worlds(1)
        deaths = iter([LAST])

        def kill(three: Scaling = three, deaths: Iterator[str] = deaths) -> None:
            if three.kube.joining.get(LAST) == 1 and next(deaths, None):
                three.kube.die(LAST)

        three.kube.after_write = kill
        if not three.killed(lives, lambda three=three: three.run(scale, numbers)):  # type: ignore[misc]
            break
        claim = three.kube.get("PersistentVolumeClaim", f"data-{LAST}")
        if claim and "deletionTimestamp" in claim["metadata"]:
            emptying += 1
            if resumes:
                three.kube.crashed.discard(LAST)
                three.kube.bootstrap(LAST, str(three.kube.ledger().nodes[LAST].address))
                three.kube.joining[LAST] = 20
        three.run(scale, numbers)
        three.assert_whole(numbers)
        assert "deletionTimestamp" not in three.kube.one("PersistentVolumeClaim", f"data-{LAST}")["metadata"]
    else:
        pytest.fail("the run never ends")
    assert emptying > 0


def test_what_has_joined_a_large_datacenter_leaves_and_is_not_withdrawn(worlds: Worlds) -> None:
    """More than twelve nodes: a look asks three a rack, and the last of a rack is not among them."""
    world, pod, before = joined_unknown(worlds, 5)
    assert "r1-5 leaves" in world.run(scale, before, check=True)["changes"]
    left = world.run(scale, before, delete_volumes=True)["moved"]
    assert [(each["node"], each["step"]) for each in left] == [(pod, "leave")]
    world.assert_whole(before)


@pytest.mark.parametrize("back", [True, False])
def test_killed_before_any_write_of_a_leave(worlds: Worlds, back: bool) -> None:
    fewer = {"r1": 1, "r2": 2, "r3": 2}
    for lives in range(200):
        world = worlds(2)
        if not world.killed(lives, lambda world=world: world.run(scale, fewer)):  # type: ignore[misc]
            break
        wanted: Any = 2 if back else fewer
        world.run(scale, wanted, delete_volumes=True)
        world.assert_whole(wanted)
        assert world.run(scale, wanted)["changed"] is False
    else:
        pytest.fail("the run never ends")
    assert lives > 5


def test_killed_before_any_write_of_a_new_rack(worlds: Worlds) -> None:
    wanted = {"r2": 1, "r3": 1, "r4": 1}
    for lives in range(0, 200, 2):
        world = worlds(1)
        if not world.killed(lives, lambda world=world: world.run(scale, wanted)):  # type: ignore[misc]
            break
        world.run(scale, wanted)
        world.assert_whole(wanted)
    else:
        pytest.fail("the run never ends")


def test_killed_before_any_write_while_volumes_grow(worlds: Worlds) -> None:
    """A StatefulSet that is deleted and not made anew yet is that of no new rack."""
    for lives in range(99):
        three = worlds(1)
        larger = {"storage": {"size": "2Gi"}}
        killed = three.killed(lives, lambda three=three, larger=larger: three.run(scale, 1, **larger))  # type: ignore[misc]
        three.run(scale, 1, **larger)
        three.assert_whole(1)
        if not killed:
            return
    raise AssertionError("it never came to an end")


def test_waits_have_limits() -> None:
    """The ones above rely on it."""
    assert issubclass(waiting.WaitedTooLong, CassopsError)
