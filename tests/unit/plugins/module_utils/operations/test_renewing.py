# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that are well give up their volumes for others, one after the other; killed anywhere, the next run goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils.fake_failures import NTS, WANTED, deployed
from unit.plugins.module_utils.fake_kube import Object
from unit.plugins.module_utils.operations.test_heal import FIRST, NODES, World

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError, SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecTimeout
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Lock, Locked
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    datacenter,
    departed,
    renewing,
    replacing,
    scale,
    streaming,
    volume,
)

SMALLER = {"size": "512Mi", "replace_volumes": True}
FAST = {"size": "1Gi", "storage_class": "fast", "replace_volumes": True}
Worlds = Callable[[], World]


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Worlds:
    monkeypatch.setattr(streaming, "LOOK_AGAIN", -1.0)
    monkeypatch.setitem(renewing.SAID["patience"], "default", 0)

    def make() -> World:
        kube = deployed(monkeypatch, workers_a_zone=2)
        kube.put({"kind": "StorageClass", "metadata": {"name": "fast"}})
        return World(kube.ring, kube)

    return make


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds()


def volumes(world: World, check: bool = False, **changes: Any) -> dict[str, Any]:
    return world.run(volume, check, **{"gate_timeout": 1, **changes})


def claim(world: World, pod: str) -> Object:
    return world.kube.one("PersistentVolumeClaim", f"data-{pod}")


def assert_volumes(world: World, size: str, storage_class: str | None) -> None:
    templates = [world.kube.one("StatefulSet", f"shop-dc1-{rack}") for rack in ("r1", "r2", "r3")]
    specs = [item["spec"]["volumeClaimTemplates"][0]["spec"] for item in templates]
    for spec in [*specs, *(claim(world, pod)["spec"] for pod in NODES)]:
        assert (volume.requested(spec), spec.get("storageClassName")) == (size, storage_class)


def refused(world: World, **options: Any) -> str:
    writes, ledger = len(world.kube.writes), world.kube.ledger()
    with pytest.raises(SpecError) as refusal:
        volumes(world, **options)
    # A run that looks under the lock notes keyspaces with one replica, whatever becomes of it.
    noted = replace(ledger, single_copies=world.kube.ledger().single_copies)
    assert world.writes(writes) == (["apply ConfigMap shop-dc1-ledger"] if noted != ledger else [])
    assert world.kube.ledger() == noted
    return str(refusal.value)


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_smaller_volumes(world: World) -> None:
    before, lives = world.identities(), dict(world.kube.made)
    uids = {claim(world, pod)["metadata"]["uid"] for pod in NODES}
    result = volumes(world, **SMALLER)
    assert [each["node"] for each in result["replaced"]] == NODES
    assert set(result["volumes"].values()) == {"512Mi"}
    assert not uids & {claim(world, pod)["metadata"]["uid"] for pod in NODES}
    assert_volumes(world, "512Mi", None)
    world.assert_whole(before)
    assert {pod: made - lives[pod] for pod, made in world.kube.made.items()} == dict.fromkeys(NODES, 1)
    # Nobody was cut off in the middle of a request.
    assert world.kube.cut_off == []
    # No node kept a hint for another when it gave its volume up.
    notes = world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"].get("annotations", {})
    assert departed.HINTS_LOST not in notes
    writes = len(world.kube.writes)
    assert volumes(world, **SMALLER)["changed"] is False
    assert world.writes(writes) == []


def test_another_class(world: World) -> None:
    before = world.identities()
    volumes(world, **FAST)
    assert_volumes(world, "1Gi", "fast")
    world.assert_whole(before)
    there = world.run(datacenter, **{**WANTED, "storage": {"size": "1Gi", "class": "fast"}})
    assert there["changes"] == []


def test_a_class_that_cannot_grow(world: World) -> None:
    volumes(world, **FAST)
    before = world.identities()
    volumes(world, **{**FAST, "size": "2Gi"})
    assert_volumes(world, "2Gi", "fast")
    world.assert_whole(before)


def test_scale_does_it_by_the_inventory(world: World) -> None:
    before = world.identities()
    wanted = {**WANTED, "storage": {"size": "512Mi", "class": "fast"}, "gate_timeout": 1}
    limits = {"option_prefix": "scale_", "variable_prefix": "cassandra_", "cleanup_timeout": 5}
    known = {name: value for name, value in {**wanted, **limits}.items() if name in scale.ARGUMENT_SPEC}
    with pytest.raises(SpecError) as refusal:
        world.run(scale, **known)
    assert "With scale_replace_volumes: true" in str(refusal.value)
    told = world.run(scale, True, **known, replace_volumes=True)
    assert world.identities() == before
    assert any(text.startswith("r1-0 gives up its volume of 1Gi, with") for text in told["changes"])
    result = world.run(scale, **known, replace_volumes=True)
    assert [each["node"] for each in result["replaced"]] == NODES
    assert_volumes(world, "512Mi", "fast")
    world.assert_whole(before)
    assert world.run(scale, **known)["changed"] is False


def test_ranges_are_repaired_before(world: World) -> None:
    """A row may be on two of three replicas only, one of them this one."""
    volumes(world, **SMALLER)
    assert [pod for pod, keyspace in world.ring.repaired if keyspace == "shop"] == NODES
    first = world.kube.writes.index(f"nodetool repair shop on {FIRST}")
    assert first < world.kube.writes.index(f"nodetool drain on {FIRST}")
    assert first < world.kube.writes.index(f"delete PersistentVolumeClaim data-{FIRST}")


def test_what_was_repaired_before_another_volume_was_given_up_is_repaired_again(world: World) -> None:
    """A row that came after it may be on two of three replicas, and one of these on the volume that is gone."""
    world.ring.keep_records()
    later = world.ring.after_change

    def tick() -> None:
        later()
        world.kube.clock += 100

    world.ring.after_change = tick
    volumes(world, **SMALLER)
    assert [pod for pod, keyspace in world.ring.repaired if keyspace == "shop"] == NODES


def test_what_somebody_else_repaired_does_not_count(world: World) -> None:
    """However fresh it is: a replica may have been cut off since, without a start."""
    world.ring.keep_records()
    for pod in NODES:
        world.ring.repair(pod, "shop")
    world.ring.repaired.clear()
    world.kube.clock += 3600
    volumes(world, **SMALLER)
    assert (FIRST, "shop") in world.ring.repaired
    notes = world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"].get("annotations", {})
    assert renewing.REPAIR_BEGAN not in notes


def test_a_run_that_goes_on_repairs_only_what_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.ring.keep_records()
    run = nodetool.run_one

    def cut(kube: Any, pod: str, verb: Sequence[str], limit: float) -> Any:
        if verb[-1] == "system_auth":
            raise ExecTimeout("nodetool repair was not done after 5 s and was ended.")
        return run(kube, pod, verb, limit)

    with monkeypatch.context() as patch:
        patch.setattr(nodetool, "run_one", cut)
        with pytest.raises(CassopsError, match="a larger scale_repair_timeout waits for longer"):
            volumes(world, **SMALLER, option_prefix="scale_")
    assert world.ring.repaired == [(FIRST, "shop")]
    volumes(world, **SMALLER)
    assert world.ring.repaired.count((FIRST, "shop")) == 1
    world.kube.clock += 2 * 86400
    volumes(world, **FAST)
    assert world.ring.repaired.count((FIRST, "shop")) == 2


@pytest.mark.parametrize(("window", "times"), [("3h", 2), ("5h", 1)])
def test_a_killed_runs_repair_counts_for_as_long_as_hints_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, window: str, times: int
) -> None:
    """Since then a replica may have been cut off for longer, without a start."""
    world.ring.keep_records()
    world.ring.settings["max_hint_window"] = window
    run = nodetool.run_one

    def cut(kube: Any, pod: str, verb: Sequence[str], limit: float) -> Any:
        if verb[-1] == "system_auth":
            raise ExecTimeout("nodetool repair was not done after 5 s and was ended.")
        return run(kube, pod, verb, limit)

    with monkeypatch.context() as patch:
        patch.setattr(nodetool, "run_one", cut)
        with pytest.raises(CassopsError, match="waits for longer"):
            volumes(world, **SMALLER)
    world.kube.clock += 4 * 3600
    volumes(world, **SMALLER)
    assert world.ring.repaired.count((FIRST, "shop")) == times


def test_repairs_may_be_left_out(world: World) -> None:
    """What the new node missed while it streamed is covered by hints. It was up until then, whatever gossip tells: who
    has just started itself cannot tell for how long another one was down."""
    world.ring.missed_for = None
    volumes(world, **SMALLER, repair=False)
    assert world.ring.repaired == []


def test_what_hints_do_not_cover_is_repaired_after(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.identities()
    monkeypatch.setattr(replacing.Replacing, "must_repair", lambda *_arguments: True)
    volumes(world, **SMALLER, repair=False)
    assert [pod for pod, keyspace in world.ring.repaired if keyspace == "shop"] == NODES
    world.assert_whole(before)


def test_nodes_that_keep_no_hints_cover_nothing(world: World) -> None:
    before = world.identities()
    world.ring.settings["hinted_handoff_enabled"] = "false"
    volumes(world, **SMALLER, repair=False)
    assert [pod for pod, keyspace in world.ring.repaired if keyspace == "shop"] == NODES
    world.assert_whole(before)


def test_check_mode_shows_the_plan(world: World) -> None:
    writes = len(world.kube.writes)
    changes = volumes(world, check=True, **SMALLER)["changes"]
    assert "make StatefulSet shop-dc1-r1 again" in changes
    line = "r1-0 gives up its volume of 1Gi, with 3.0 MiB of data, and takes its place again on one of 512Mi"
    assert line in changes
    assert len(changes) == len(NODES) + 3
    assert world.kube.writes[writes:] == []


# --- refused ----------------------------------------------------------------------------------------------------------


def test_it_must_be_said(world: World) -> None:
    words = refused(world, size="512Mi")
    assert "Kubernetes cannot shrink a volume" in words
    assert "With replace_volumes: true" in words
    assert words.count("\n") == 0, "one reason for all nodes"


def test_data_that_does_not_fit(world: World) -> None:
    words = refused(world, size="6Mi", replace_volumes=True)
    assert "shop-dc1-r1-0 holds 3.0 MiB and needs 3.0 MiB beside to compact its largest table" in words
    assert "a volume of 6Mi is too small" in words


def test_a_class_that_is_not_there(world: World) -> None:
    assert "there is no StorageClass golden" in refused(world, **{**FAST, "storage_class": "golden"})


@pytest.mark.parametrize("replicas", ["1", "2"])
def test_too_few_copies(world: World, replicas: str) -> None:
    world.ring.replication["shop"] = {"class": NTS, "dc1": replicas}
    assert "keyspace shop: with one node away some rows have no quorum left" in refused(world, **SMALLER)


def test_a_ring_that_is_not_whole(world: World) -> None:
    """Nothing is begun."""
    world.ring.busy[NODES[1]].hints = {world.ring.members[FIRST].host_id: 1}
    with pytest.raises(CassopsError, match=r"the gates before r1-0 gives up its volume.*hints for shop-dc1-r1-0"):
        volumes(world, **SMALLER, gate_timeout=0)
    assert not [what for what in world.kube.writes if what.startswith("delete PersistentVolumeClaim")]


def test_a_node_whose_cql_cannot_be_closed_keeps_its_volume(world: World) -> None:
    before = world.identities()
    world.ring.deaf.add(FIRST)
    with pytest.raises(CassopsError, match="CQL could not be closed"):
        volumes(world, **SMALLER, repair=False)
    world.assert_whole(before)
    world.ring.deaf.clear()
    volumes(world, **SMALLER, repair=False)
    world.assert_whole(before)


def test_a_node_that_starts_again_before_its_volume_goes_keeps_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its container ends after it was drained, and the kubelet starts it: the others see it up again."""
    before, uid = world.identities(), claim(world, FIRST)["metadata"]["uid"]
    monkeypatch.setattr(replacing.Replacing, "acquaint", lambda *_arguments: world.kube.joined(FIRST))
    with pytest.raises(CassopsError, match=r"came up while its replacement was begun .* keeps its volume"):
        volumes(world, **SMALLER, repair=False)
    assert claim(world, FIRST)["metadata"]["uid"] == uid
    world.assert_whole(before)


def test_a_replacement_that_is_not_finished_goes_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is well, but it is not proven, and its approval is still in the ledger."""
    before = world.identities()
    world.kube.wipe(NODES[1])

    def dies(*_arguments: Any) -> None:
        raise CassopsError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(replacing.Replacing, "prove", dies)
        with pytest.raises(CassopsError, match="killed"):
            world.heal()
    with pytest.raises(CassopsError, match=f"the replacement of {NODES[1]} was begun and is not finished; run heal"):
        volumes(world, **SMALLER, repair=False)
    world.heal()
    volumes(world, **SMALLER, repair=False)
    world.assert_whole(before)


def test_a_second_run_at_the_same_time(world: World) -> None:
    with Lock(world.kube, "shop-lock", "another"), pytest.raises(Locked):  # type: ignore[arg-type]
        volumes(world, **SMALLER)


# --- taken up ---------------------------------------------------------------------------------------------------------


def test_killed_before_any_write_of_the_first_node(worlds: Worlds) -> None:
    for lives in range(3, 200, 2):
        world = worlds()
        before = world.identities()
        world.killed(lives, lambda world=world: volumes(world, **SMALLER, repair=False))  # type: ignore[misc]
        if f"delete PersistentVolumeClaim data-{NODES[1]}" in world.kube.writes:
            break
        volumes(world, **SMALLER, repair=False)
        assert_volumes(world, "512Mi", None)
        world.assert_whole(before)
    assert lives > 20


def test_killed_and_healed_by_somebody_else(worlds: Worlds) -> None:
    """Heal withdraws what it finds alive with its volume, and finishes what is beyond that."""
    for lives in range(14, 200):
        world = worlds()
        before = world.identities()
        world.killed(lives, lambda world=world: volumes(world, **SMALLER, repair=False))  # type: ignore[misc]
        if f"delete PersistentVolumeClaim data-{NODES[1]}" in world.kube.writes:
            break
        world.heal()
        world.assert_whole(before)
    assert lives > 20
