# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from unit.plugins.module_utils.fake_kube import Object
from unit.plugins.module_utils.fake_scaling import Scaling

from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import Forbidden, Invalid
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    datacenter,
    scale,
    streaming,
    volume,
)

FIRST = "shop-dc1-r1-0"
LARGER = {"storage": {"size": "2Gi", "class": "local"}}
Worlds = Callable[[], Scaling]


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Worlds:
    """Makes datacenters on a class whose volumes can grow; the clients lead to the one that was made last."""
    monkeypatch.setattr(streaming, "LOOK_AGAIN", -1.0)

    def make() -> Scaling:
        world = Scaling.deployed(monkeypatch, storage={"size": "1Gi", "class": "local"})
        world.kube.one("StorageClass", "local")["allowVolumeExpansion"] = True
        return world

    return make


@pytest.fixture
def world(worlds: Worlds) -> Scaling:
    return worlds()


def claims(world: Scaling) -> dict[str, str]:
    return {name: requested(world.kube.one("PersistentVolumeClaim", name)["spec"]) for name in names(world)}


def names(world: Scaling) -> list[str]:
    return world.kube.names("PersistentVolumeClaim")


def requested(spec: Object) -> str:
    return volume.requested(spec)


def templates(world: Scaling) -> set[str]:
    sets = [world.kube.one("StatefulSet", name) for name in world.kube.names("StatefulSet")]
    return {requested(item["spec"]["volumeClaimTemplates"][0]["spec"]) for item in sets}


def test_volumes_grow_under_running_nodes(world: Scaling) -> None:
    uids = [world.kube.one("Pod", name)["metadata"]["uid"] for name in world.kube.names("Pod")]
    result = world.run(volume, size="2Gi")
    assert result["changed"] is True
    assert set(result["volumes"].values()) == {"2Gi"}
    assert set(claims(world).values()) == {"2Gi"}
    assert templates(world) == {"2Gi"}
    assert [world.kube.one("Pod", name)["metadata"]["uid"] for name in world.kube.names("Pod")] == uids
    world.assert_whole()
    assert world.run(datacenter, state="present", **LARGER)["changes"] == []


def test_nothing_grows_for_numbers_that_are_refused(world: Scaling) -> None:
    """What has grown does not shrink again."""
    world.ring.replication["shop"] = {"class": "NetworkTopologyStrategy", "dc1": "3"}
    with pytest.raises(SpecError, match="keeps 3 replicas"):
        world.run(scale, {"r1": 1, "r2": 1}, **LARGER)
    assert "2Gi" not in set(claims(world).values())


def test_a_second_run_changes_nothing(world: Scaling) -> None:
    world.run(volume, size="2Gi")
    writes = len(world.kube.writes)
    assert world.run(volume, size="2048Mi")["changed"] is False
    assert world.writes(writes) == []


def test_check_mode_writes_nothing(world: Scaling) -> None:
    writes = len(world.kube.writes)
    result = world.run(volume, check=True, size="2Gi")
    assert f"grow data-{FIRST} to 2Gi" in result["changes"]
    assert "make StatefulSet shop-dc1-r1 again" in result["changes"]
    assert world.kube.writes[writes:] == []


def test_file_systems_that_grow_at_a_start_are_told(world: Scaling) -> None:
    world.kube.grows_online = False
    assert world.run(volume, size="2Gi")["needs_restart"] == world.kube.names("Pod")


@pytest.mark.parametrize(("seconds", "expected"), [(0, False), (179, False), (180, True), (86_400, True), (None, True)])
def test_a_file_system_has_three_minutes_to_grow_under_its_pod(seconds: int | None, expected: bool) -> None:
    """Every volume that grows is for a moment in the state that storage without growth under a pod stays in."""
    pending = {"type": volume.FOR_RESTART, "status": "True"}
    if seconds is not None:
        pending["lastTransitionTime"] = "2026-11-26T15:00:00Z"
    claim: Object = {
        "spec": {"resources": {"requests": {"storage": "2Gi"}}},
        "status": {"capacity": {"storage": "1Gi"}, "conditions": [pending]},
    }
    now = datetime(2026, 11, 26, 15, tzinfo=timezone.utc).timestamp() + (seconds or 0)
    assert volume.waits_for_restart(claim, now) is expected
    assert volume.waits_for_restart({**claim, "status": {}}, now) is False
    claim["status"]["capacity"] = {"storage": "2Gi"}
    assert volume.waits_for_restart(claim, now) is False


def test_the_playbook_names_them_too(world: Scaling) -> None:
    world.kube.grows_online = False
    result = world.run(scale, **LARGER)
    assert result["needs_restart"] == world.kube.names("Pod")
    assert world.run(scale, **LARGER)["changed"] is False


def refused(world: Scaling, **options: Any) -> str:
    writes = len(world.kube.writes)
    with pytest.raises(SpecError) as refusal:
        world.run(volume, **options)
    assert world.writes(writes) == []
    return str(refusal.value)


def test_a_class_that_cannot_grow_is_refused_with_the_way(world: Scaling) -> None:
    del world.kube.one("StorageClass", "local")["allowVolumeExpansion"]
    words = refused(world, size="2Gi")
    assert "volumes of the StorageClass local cannot grow" in words
    assert "With replace_volumes: true" in words


def test_a_smaller_size_is_refused(world: Scaling) -> None:
    assert "Kubernetes cannot shrink" in refused(world, size="512Mi")


def test_a_growth_that_the_storage_refused_is_taken_back(world: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to give up volumes for a number that was too large."""
    claim = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")
    has = requested(claim["spec"])
    claim["status"] = {"capacity": {"storage": has}}
    claim["spec"]["resources"]["requests"]["storage"] = "500Gi"
    # Kubernetes would refuse that: it is what the volume has.
    assert world.run(volume, size=has)["changes"] == []
    (warning,) = world.warnings
    assert warning.startswith(f"data-r1-0 has {has} and asks for 500Gi, which its storage refused so far")
    told = world.run(volume, check=True, size="2Gi")["changes"]
    assert f"ask for 2Gi again for data-{FIRST}" in told
    assert f"grow data-{FIRST} to 2Gi" not in told
    with monkeypatch.context() as patch:
        patch.setattr(type(world.kube), "patch", refuse_claims(type(world.kube).patch))
        with pytest.raises(Failed, match=f"data-{FIRST} has {has} and asks for 500Gi, .* does not take that back"):
            world.run(volume, size="2Gi")
    assert "data-r1-0 asks for 2Gi in place of 500Gi" in world.run(volume, size="2Gi")["changes"]
    assert set(claims(world).values()) == {"2Gi"}
    assert world.run(volume, size="2Gi")["changed"] is False


def refuse_claims(plain: Callable[..., Any]) -> Callable[..., Any]:
    def patch(self: Any, kind: str, *words: Any, **options: Any) -> Any:
        if (kind, words[0]) == ("PersistentVolumeClaim", f"data-{FIRST}"):
            raise Invalid("field can not be less than previous value", 422)
        return plain(self, kind, *words, **options)

    return patch


def test_what_is_no_size_is_refused(world: Scaling) -> None:
    assert "size: must be a Kubernetes quantity" in refused(world, size="large")


def test_a_pending_change_goes_first(world: Scaling) -> None:
    world.run(datacenter, state="present", config={"concurrent_reads": 64}, storage={"size": "1Gi", "class": "local"})
    assert "run the playbook restart first" in refused(world, size="2Gi")


def test_classes_that_may_not_be_read_are_left_to_kubernetes(world: Scaling, monkeypatch: pytest.MonkeyPatch) -> None:
    get = world.kube.get

    def forbidden(kind: str, name: str) -> Object | None:
        if kind == "StorageClass":
            raise Forbidden("StorageClass local: these credentials may not get it", 403)
        return get(kind, name)

    monkeypatch.setattr(world.kube, "get", forbidden)
    assert world.run(volume, size="2Gi")["changed"] is True
    assert "storage classes were not checked" in " ".join(world.warnings)


def test_scale_grows_them_first(world: Scaling) -> None:
    result = world.run(scale, {"r1": 2, "r2": 1, "r3": 1}, **LARGER)
    assert result["changes"][0] == "data-r1-0 grows to 2Gi"
    assert set(claims(world).values()) == {"2Gi"}
    assert len(claims(world)) == 4


def test_what_grew_is_told_where_a_node_does_not_join(world: Scaling) -> None:
    world.kube.homeless.add("shop-dc1-r1-1")
    with pytest.raises(Failed, match="r1-1 to join") as failure:
        world.run(scale, {"r1": 2, "r2": 1, "r3": 1}, wait_timeout=0, **LARGER)
    assert failure.value.result["changed"] is True
    assert failure.value.result["changes"][0] == "data-r1-0 grows to 2Gi"
    assert failure.value.result["moved"] == []


def test_killed_before_any_write(worlds: Worlds) -> None:
    for lives in range(100):
        world = worlds()
        if not world.killed(lives, lambda world=world: world.run(volume, size="2Gi")):  # type: ignore[misc]
            break
        world.run(volume, size="2Gi")
        assert set(claims(world).values()) == {"2Gi"}
        assert templates(world) == {"2Gi"}
        assert "shop-dc1-remaking" not in world.kube.names("ConfigMap")
        world.assert_whole()
    else:
        pytest.fail("the run never ends")
    assert lives > 10
