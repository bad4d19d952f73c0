# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first of two datacenters leaves the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import MADE, OFF, SIMPLE
from unit.plugins.module_utils.fake_kube import FakeKube
from unit.plugins.module_utils.fake_scaling import NTS
from unit.plugins.module_utils.operations.two import FAR, TwoDatacenters

from ansible_collections.cassops.kubernetes.plugins.module_utils import ledger, repair_history, restoring
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.decommissioning import DECOMMISSION
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError, LedgerError, SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Lock, Locked
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    datacenter,
    datacenter_decommission,
    datacenter_info,
    rebuild,
    repairing,
    scale,
)

NODES = ["shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"]
ORDER = NODES[::-1]
HERE: dict[str, Any] = {
    "confirm": "dc1",
    "peers": [{"datacenter": "dc2", "namespace": "far"}],
    "option_prefix": "decommission_",
    "repair_timeout": 60,
}
ALTER = "ALTER KEYSPACE \"{0}\" WITH replication = {{'class': 'NetworkTopologyStrategy', {1}}}"


class Two(TwoDatacenters):
    """The first one may leave."""

    def decommission(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        return self.run(datacenter_decommission, check=check, **{**HERE, "unreplicate": True, **changes})

    def deploy(self, check: bool = False) -> dict[str, Any]:
        peers = HERE["peers"]
        return self.run(datacenter, check=check, state="present", wait_timeout=5, peers=peers)

    @property
    def note(self) -> str:
        item = self.kube.one("ConfigMap", "shop-dc1-ledger")
        return str((item["metadata"].get("annotations") or {}).get(DECOMMISSION, ""))

    def factors(self) -> dict[str, dict[str, str]]:
        """Keyspace -> datacenter -> replicas."""
        return {
            name: {key: value for key, value in options.items() if key != "class"}
            for name, options in sorted(self.ring.replication.items())
        }

    def repairs(self) -> list[tuple[str, str]]:
        return [(pod, verb[-1]) for pod, verb in self.ring.nodetool if verb[0] == "repair"]

    def told(self) -> list[str]:
        """Problems in the status of the first datacenter."""
        found = self.run(datacenter_info, namespace="ns")["datacenter"]["problems"]
        return [f"{each['problem']}: {each['advice']}" for each in found]

    def assert_gone(self, volumes: bool = False) -> None:
        """Nothing of it is in the ring, in a keyspace, among seeds, or in Kubernetes but what is kept."""
        assert {member.datacenter for member in self.ring.members.values()} == {"dc2"}
        assert all(set(factors) == {"dc2"} for factors in self.factors().values()), self.factors()
        seeds = ledger.from_config_map(self.far.one("ConfigMap", "shop-dc2-ledger")).seeds
        assert sorted(seeds) == sorted(member.address for member in self.ring.members.values())
        for kind in ("StatefulSet", "Pod", "Service", "PodDisruptionBudget", "CronJob"):
            assert self.kube.names(kind) == [], kind
        kept = [] if volumes else ["shop-dc1-ledger"]
        assert self.kube.names("ConfigMap") == kept
        assert self.kube.names("PersistentVolumeClaim") == ([] if volumes else [f"data-{pod}" for pod in NODES])


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairing, "wait_for", lambda done: done.exception(timeout=60))


def made(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Two:
    world = Two.made(monkeypatch, **options)
    world.alter(dc1="3", dc2="2")
    world.kube.clock += 3600
    return world


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Two:
    return made(monkeypatch)


# --- it is done -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["4.0.19", "4.1.10", "5.0.9"])
def test_all_nodes_leave_and_nothing_names_it_any_more(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    world = made(monkeypatch, version=version)
    world.diff = True
    result = world.decommission()
    world.assert_gone()
    assert [each["node"] for each in result["moved"]] == ORDER
    assert (result["repaired"], result["left"]) == (["shop"], [])
    assert result["altered"][0] == ALTER.format("shop", "'dc2': '2'")
    assert result["altered"][-2:] == [
        ALTER.format("system_auth", "'dc1': '1', 'dc2': '2'"),
        ALTER.format("system_auth", "'dc2': '2'"),
    ]
    assert (
        f"{ALTER.format('shop', repr('dc1') + ': ' + repr('3') + ', ' + repr('dc2') + ': ' + repr('2'))};"
        in (result["diff"]["before"])
    )
    assert f"{ALTER.format('system_auth', repr('dc2') + ': ' + repr('2'))};" in result["diff"]["after"]
    assert world.kube.forced == [NODES[0]], "only the last one, which has the one replica of the logins"
    assert world.told()[0].startswith("the datacenter has left its cluster, and its volumes are kept: run the playbook")


def test_again_changes_nothing(world: Two) -> None:
    world.decommission()
    writes = len(world.writes()), len(world.far.writes)
    again = world.decommission()
    assert (again["changed"], again["changes"], again["moved"]) == (False, [], [])
    assert world.decommission(check=True)["changed"] is False
    assert (len(world.writes()), len(world.far.writes)) == writes


def test_volumes_and_ledger_go_if_asked(world: Two) -> None:
    result = world.decommission(delete_volumes=True)
    world.assert_gone(volumes=True)
    assert "delete ConfigMap shop-dc1-ledger" in result["changes"]
    again = world.decommission(delete_volumes=True)
    assert (again["changed"], again["changes"]) == (False, [])


def test_volumes_may_go_later(world: Two) -> None:
    world.decommission()
    assert world.decommission(check=True, delete_volumes=True)["changed"] is True
    assert world.decommission(delete_volumes=True)["changed"] is True
    world.assert_gone(volumes=True)


def test_check_mode_tells_all_of_it_and_writes_nothing(world: Two) -> None:
    world.diff = True
    writes, statements = len(world.kube.writes), len(world.ring.statements)
    foreseen = world.decommission(check=True, delete_volumes=True)
    assert len(world.kube.writes) == writes
    assert world.far.writes[-1:] == [] or "Lease" in world.far.writes[-1]
    assert not [text for text in world.ring.statements[statements:] if text.startswith("ALTER")]
    assert (world.repairs(), world.note) == ([], "")
    result = world.decommission(delete_volumes=True)
    for key in ("changed", "altered", "repaired", "diff"):
        assert foreseen[key] == result[key], key
    assert foreseen["left"] == [each["node"] for each in result["moved"]] == ORDER
    assert "r3-0 leaves" in foreseen["changes"]
    assert "delete PersistentVolumeClaim data-shop-dc1-r1-0" in foreseen["changes"]


def test_rows_that_only_it_has_are_repaired_before_it_is_altered(world: Two) -> None:
    """All ranges are compared after the beginning; one node has done that for its neighbours already."""
    before = world.ring.before_change

    def see(what: str) -> None:
        before(what)
        if what == "ALTER KEYSPACE shop":
            began = float(world.note.split()[0])
            holders: Any = dict(world.ring.members)
            spans = [span for span, _nodes in repair_history.replicas(holders, world.ring.replication["shop"])]
            found = repair_history.repairs(world.ring.history)
            assert repair_history.compared("shop", ["table1"], spans, found, began - 60)

    world.ring.before_change = see
    world.decommission()
    assert world.repairs() == [(NODES[0], "shop")]


def test_an_old_repair_does_not_count(world: Two) -> None:
    world.ring.compare_all(NODES[0], "shop", world.kube)
    world.kube.clock += 3600
    world.decommission()
    assert world.repairs() == [(NODES[0], "shop")]


@pytest.mark.parametrize(("days", "repairs"), [(0.5, []), (3, [(NODES[0], "shop")])])
def test_the_repairs_of_an_attempt_that_was_put_off_do_not_count(
    world: Two, days: float, repairs: list[tuple[str, str]]
) -> None:
    """Clients may have come back meanwhile."""
    began = int(world.kube.server_time())
    annotations = {DECOMMISSION: f"{began} begun"}
    world.kube.patch("ConfigMap", "shop-dc1-ledger", {"metadata": {"annotations": annotations}})
    world.kube.clock += 60
    world.ring.compare_all(NODES[0], "shop", world.kube)
    world.kube.clock += days * 86400
    world.decommission()
    assert world.repairs() == repairs
    world.assert_gone()


def test_without_the_repair(world: Two) -> None:
    assert world.decommission(repair=False)["repaired"] == []
    assert world.repairs() == []
    world.assert_gone()


def test_what_somebody_has_altered_before_needs_no_word(world: Two) -> None:
    world.alter(dc2="2")
    result = world.decommission(unreplicate=False)
    assert (result["repaired"], world.repairs()) == ([], [])
    world.assert_gone()


def test_a_keyspace_whose_replicas_are_anywhere_stays_and_its_rows_move(world: Two) -> None:
    world.ring.replication["anywhere"] = {"class": SIMPLE, "replication_factor": "2"}
    world.decommission()
    assert world.ring.replication.pop("anywhere")["replication_factor"] == "2"
    world.assert_gone()


def test_the_other_datacenter_may_be_changed_afterwards_though_it_is_listed(world: Two) -> None:
    """It is in the inventory still, and counts as one that was never deployed."""
    world.decommission()
    told = world.run(scale, {"r1": 1, "r2": 1}, check=True, **FAR)
    assert told["changed"] is False


# --- it is refused ----------------------------------------------------------------------------------------------------


def refused(world: Two, kind: type[Exception], words: str, **changes: Any) -> str:
    before = len(world.ring.statements), len(world.kube.writes), len(world.far.writes)
    with pytest.raises(kind, match=words) as failure:
        world.decommission(**changes)
    assert not [text for text in world.ring.statements[before[0] :] if text.startswith("ALTER")]
    written = [*world.kube.writes[before[1] :], *world.far.writes[before[2] :]]
    assert [what for what in written if " Lease " not in what] == []
    assert (world.repairs(), world.note) == ([], "")
    return str(failure.value)


def test_its_name_has_to_be_repeated(world: Two) -> None:
    for confirm in (None, "dc2", "shop/dc2"):
        refused(world, CassopsError, "repeat its name: decommission_confirm=dc1", confirm=confirm)
    assert world.decommission(check=True, confirm="shop/dc1")["changed"] is True


def test_all_reasons_are_told_at_once(world: Two) -> None:
    world.alter("mine", dc1="3")
    world.ring.replication["anywhere"] = {"class": SIMPLE, "replication_factor": "3"}
    world.ring.members["shop-dc2-r1-0"].schema = "other"
    world.far.patch(
        "ConfigMap",
        "shop-dc2-ledger",
        {"metadata": {"annotations": {"cassops.kubernetes/rebuilt": f"shop {MADE} - a dc1"}}},
    )
    begun = restoring.Plan("1", "", restoring.SWAP, "b1", "shop", "dc2", (), step="swap")
    metadata = {"name": restoring.plan_name("shop", "dc2"), "labels": ledger_labels(world.far, "dc2")}
    world.far.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": begun.to_data()})
    told = refused(world, SpecError, "^keyspace mine", unreplicate=False)
    for words in (
        "keyspace mine: all replicas are in datacenter dc1, so the rows would be lost",
        "keyspaces mine, shop: replicas in datacenter dc1. Say decommission_unreplicate=true",
        ALTER.format("shop", "'dc2': '2'"),
        "keyspace anywhere keeps 3 replicas in datacenter dc1, and 2 nodes would be left",
        "2 schema versions",
        "keyspace shop: not all nodes of datacenter dc2 have been given the rows yet, which come from dc1",
        "datacenter dc2: the restore of backup b1",
    ):
        assert words in told, told


def ledger_labels(kube: FakeKube, name: str) -> dict[str, str]:
    return dict(kube.one("ConfigMap", f"shop-{name}-ledger")["metadata"]["labels"])


def test_a_rollout_that_is_half_way_is_told_before_anything_is_altered(world: Two) -> None:
    """In the end the nodes could not leave, and their keyspaces would have lost the datacenter."""
    patch = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}
    world.kube.patch("StatefulSet", "shop-dc1-r1", patch)
    refused(world, SpecError, "a rollout of rack r1 is half way: finish it with the playbook restart first")


def test_the_last_datacenter_is_destroyed_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    world = cast(Two, Two.deployed(monkeypatch))
    words = "dc1 is the only one of its cluster that has nodes: .* The playbook destroy"
    with pytest.raises(SpecError, match=words) as told:
        world.decommission(peers=[])
    assert len(told.value.errors) == 1, "what else is in the way of taking all nodes leads nowhere"


def test_a_datacenter_of_the_ring_that_is_no_peer(world: Two) -> None:
    refused(world, SpecError, "datacenter dc2 of the ring is none of the peers, .* decommission_peers", peers=[])


def test_another_datacenter_that_is_stopped(world: Two) -> None:
    item = world.far.one("ConfigMap", "shop-dc2-ledger")
    world.far.patch("ConfigMap", "shop-dc2-ledger", {"data": {**item["data"], "stopped": "1800000000"}})
    refused(world, CassopsError, "datacenter dc2 of the cluster cannot be looked at: .* is stopped on purpose")


def test_a_note_that_nobody_can_read(world: Two) -> None:
    world.kube.patch("ConfigMap", "shop-dc1-ledger", {"metadata": {"annotations": {DECOMMISSION: "soon"}}})
    with pytest.raises(LedgerError, match="cannot be read: 'soon'"):
        world.decommission()


@pytest.mark.parametrize("there", ["ns", "far"])
def test_a_second_run_is_refused(world: Two, there: str) -> None:
    with Lock(cast(Kube, world.others.get(there, world.kube)), "shop-lock", "another"):
        refused(world, Locked, "another holds the lock shop-lock")


# --- half-way ---------------------------------------------------------------------------------------------------------


def half_way(world: Two, until: str) -> None:
    """Killed right before a change of Cassandra, or a write to Kubernetes."""
    for lives in range(200):
        probe = list(world.ring.statements), world.note
        assert world.killed_at(lives, world.decommission), probe
        if until in world.note:
            return


def test_deploy_scale_and_rebuild_do_not_undo_it(world: Two) -> None:
    half_way(world, "leaving")
    words = "dc1: the datacenter is on its way out of its cluster since .*, and its nodes leave: run the playbook decom"
    for check in (True, False):
        with pytest.raises(SpecError, match=f"{words}.*; then deploy makes it anew"):
            world.deploy(check)
    with pytest.raises(SpecError, match=words):
        world.run(scale, peers=HERE["peers"])
    with pytest.raises(
        CassopsError, match=r"on its way out of its cluster since .* take the annotation .*decommission"
    ):
        world.run(datacenter, state="absent", confirm="dc1", peers=HERE["peers"])
    with pytest.raises(SpecError, match=words):
        world.run(rebuild, peers=HERE["peers"], option_prefix="rebuild_", replication={"shop": 1})
    assert any("on its way out" in each for each in world.told())
    world.decommission()
    with pytest.raises(SpecError, match=r"has left its cluster, .* decommission_delete_volumes=true.*; then deploy"):
        world.deploy()


def test_destroy_takes_away_what_is_left_as_well(world: Two) -> None:
    world.decommission()
    taken = {"state": "absent", "confirm": "dc1", "delete_volumes": True, "wait_timeout": 5}
    assert world.run(datacenter, peers=HERE["peers"], **taken)["changed"] is True
    assert world.warnings == []
    world.assert_gone(volumes=True)


def test_destroy_does_not_promise_that_they_come_back(world: Two) -> None:
    world.decommission()
    world.run(datacenter, peers=HERE["peers"], state="absent", confirm="dc1", wait_timeout=5)
    assert [each for each in world.warnings if "no deploy brings its nodes back: run the playbook decommission" in each]


def test_it_comes_back_as_a_new_one(world: Two) -> None:
    world.decommission(delete_volumes=True)
    world.kube.gone.clear()
    assert world.deploy()["phase"] == "running"
    assert sorted(world.ring.members)[:3] == NODES
    assert set(world.factors()["system_auth"]) == {"dc1", "dc2"}


def test_where_it_fails_what_is_done_is_told(world: Two) -> None:
    def ends(pod: str) -> bool:
        return pod == NODES[1]

    start = world.kube.decommission

    def fails(pod: str, force: bool = False) -> None:
        if ends(pod):
            world.kube.refused.append((pod, "error: Stream failed"))
        else:
            start(pod, force)

    world.kube.decommission = fails  # type: ignore[method-assign]
    with pytest.raises(
        Failed, match=r"nodetool decommission in shop-dc1-r2-0 ended with 1: .*Stream failed"
    ) as failure:
        world.decommission()
    told = failure.value.result
    assert [each["node"] for each in told["moved"]] == ORDER[:1]
    assert (told["left"], len(told["altered"])) == (ORDER[1:], 4)
    world.kube.decommission = start  # type: ignore[method-assign]
    world.kube.refused.clear()
    world.decommission()
    world.assert_gone()


def test_the_last_node_is_forced_again_where_it_is_restarted_half_way(world: Two) -> None:
    begin, lives = world.kube.decommission, [1]

    def dies(pod: str, force: bool = False) -> None:
        begin(pod, force)
        if pod == NODES[0] and lives[0]:
            lives[0] -= 1
            world.kube.die(pod)

    world.kube.decommission = dies  # type: ignore[method-assign]
    world.decommission()
    assert world.kube.forced == [NODES[0]] * 2
    world.assert_gone()


def test_nobody_is_forced_past_a_keyspace_of_the_users(world: Two) -> None:
    """One that somebody makes while the last node is about to leave."""
    begin = world.kube.decommission

    def makes(pod: str, force: bool = False) -> None:
        if pod == NODES[1]:
            world.ring.replication["late"] = {"class": NTS, "dc1": "1", "dc2": "2"}
            world.ring.tables.append(("late", 864000))
        begin(pod, force)

    world.kube.decommission = makes  # type: ignore[method-assign]
    with pytest.raises(Failed, match="keyspace late keeps 1 replica in datacenter dc1, and 0 nodes would be left"):
        world.decommission()
    assert (world.kube.forced, NODES[0] in world.ring.members) == ([], True)
    world.kube.decommission = begin  # type: ignore[method-assign]
    assert world.decommission()["repaired"] == ["late"]
    world.assert_gone()


def during_the_repair(world: Two, do: Callable[[], None]) -> None:
    compare = world.ring.compare_all

    def compare_all(pod: str, keyspace: str, kube: Any) -> None:
        compare(pod, keyspace, kube)
        do()

    world.ring.compare_all = compare_all  # type: ignore[method-assign]


def test_a_keyspace_that_is_made_during_the_repair_is_repaired_too(world: Two) -> None:
    def make() -> None:
        if "late" not in world.ring.replication:
            world.ring.replication["late"] = {"class": NTS, "dc1": "3", "dc2": "2"}
            world.ring.tables.append(("late", 864000))

    during_the_repair(world, make)
    assert world.decommission()["repaired"] == ["shop", "late"]
    assert world.repairs() == [(NODES[0], "shop"), (NODES[0], "late")]


def test_nothing_is_altered_unasked_that_is_made_meanwhile(world: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    world.alter(dc2="2")
    begin = datacenter_decommission.Decommission.begin

    def make(self: datacenter_decommission.Decommission) -> Any:
        world.ring.replication["late"] = {"class": NTS, "dc1": "3", "dc2": "2"}
        return begin(self)

    monkeypatch.setattr(datacenter_decommission.Decommission, "begin", make)
    with pytest.raises(Failed, match=r"keyspace late: replicas in datacenter dc1. Say decommission_unreplicate=true"):
        world.decommission(unreplicate=False, repair=False)
    assert not [text for text in world.ring.statements if text.startswith('ALTER KEYSPACE "late"')]
    assert sorted(world.ring.members)[:3] == NODES


def test_what_cannot_be_read_is_not_taken_for_done(world: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one has left, and no login works: whether system_auth names it is not known."""
    give_up = datacenter_decommission.Decommission.give_up_logins
    doors = dict(world.ring.doors)

    def closed(self: datacenter_decommission.Decommission) -> None:
        world.ring.doors.update(dict.fromkeys(world.ring.members, OFF))
        give_up(self)

    monkeypatch.setattr(datacenter_decommission.Decommission, "give_up_logins", closed)
    words = "system_auth to be altered, so that it does not name dc1: not so after .* could not be read from any node"
    with pytest.raises(Failed, match=words):
        world.decommission(wait_timeout=1)
    assert world.factors()["system_auth"]["dc1"] == "1"
    assert world.kube.ledger().phase == "running"
    monkeypatch.undo()
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    world.ring.install(monkeypatch)
    world.ring.doors.update({pod: doors[pod] for pod in world.ring.members})
    world.decommission()
    world.assert_gone()


KILLS = range(400)


@pytest.mark.parametrize("volumes", [False, True])
def test_killed_before_each_write_it_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch, volumes: bool) -> None:
    for lives in KILLS:
        world = made(monkeypatch)
        killed = world.killed_at(lives, lambda world=world: world.decommission(delete_volumes=volumes))  # type: ignore[misc]
        if not killed:
            break
        world.decommission(delete_volumes=volumes)
        world.assert_gone(volumes)
        assert world.decommission(delete_volumes=volumes)["changed"] is False
    assert lives > 30


def test_killed_again_and_again(world: Two) -> None:
    """Each run gets a little further."""
    lives = 12
    while world.killed_at(lives, world.decommission):
        lives += 1
        assert lives < 60
    world.assert_gone()
    assert world.repairs().count((NODES[0], "shop")) <= 2


@pytest.mark.parametrize("found", [NTS])
def test_a_keyspace_that_comes_meanwhile_is_seen_to(world: Two, found: str) -> None:
    half_way(world, "leaving")
    world.ring.replication["late"] = {"class": found, "dc1": "3", "dc2": "2"}
    world.ring.tables.append(("late", 864000))
    with pytest.raises(SpecError, match=r"keyspace late: replicas in datacenter dc1. Say decommission_unreplicate"):
        world.decommission(unreplicate=False)
    assert world.decommission()["repaired"] == ["late"]
    world.assert_gone()
