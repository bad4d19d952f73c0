# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes leave workers that are to go: none of them comes back there, and no row that was acknowledged is lost by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from unit.plugins.module_utils.fake_failures import NTS, WANTED, deployed
from unit.plugins.module_utils.fake_kube import Object
from unit.plugins.module_utils.operations.test_heal import FIRST, FOURTH, NODES, World

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError, SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import Forbidden
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    evacuating,
    failures,
    rack,
    renewing,
    replacing,
    scale,
    streaming,
    volume,
)

Worlds = Callable[..., World]
LIMITS = {"option_prefix": "scale_", "variable_prefix": "cassandra_", "cleanup_timeout": 5, "gate_timeout": 1}


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Worlds:
    """Two nodes and three workers in each zone."""
    monkeypatch.setattr(streaming, "LOOK_AGAIN", -1.0)
    monkeypatch.setitem(renewing.SAID["patience"], "default", 0)

    def make() -> World:
        kube = deployed(monkeypatch, workers_a_zone=3)
        kube.put({"kind": "StorageClass", "metadata": {"name": "fast"}, "volumeBindingMode": "WaitForFirstConsumer"})
        kube.one("StorageClass", "local")["volumeBindingMode"] = "WaitForFirstConsumer"
        return World(kube.ring, kube)

    return make


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds()


def leave(world: World, *workers: str, check: bool = False, **changes: Any) -> dict[str, Any]:
    """As the playbook does it."""
    options = {**WANTED, **LIMITS, "leave_workers": list(workers), **changes}
    return world.run(scale, check, **{name: value for name, value in options.items() if name in scale.ARGUMENT_SPEC})


def refused(world: World, *workers: str, **changes: Any) -> str:
    writes = len(world.kube.writes)
    with pytest.raises(SpecError) as refusal:
        leave(world, *workers, **changes)
    assert world.writes(writes) == []
    return str(refusal.value)


def cordon(world: World, *workers: str, cordoned: bool = True) -> None:
    for name in workers:
        world.kube.one("Node", name)["spec"]["unschedulable"] = cordoned


def worker_of(world: World, pod: str) -> str:
    name = world.kube.worker_of(pod)
    assert name is not None
    return name


def claim(world: World, pod: str) -> Object:
    return world.kube.one("PersistentVolumeClaim", f"data-{pod}")


def uids(world: World) -> dict[str, str]:
    return {pod: claim(world, pod)["metadata"]["uid"] for pod in NODES}


def follow(world: World, pod: str) -> None:
    """Its volume is one of the network."""
    spec = world.kube.one("PersistentVolume", claim(world, pod)["spec"]["volumeName"])["spec"]
    del spec["local"], spec["nodeAffinity"]


def bind(world: World, pod: str, key: str) -> dict[str, Any]:
    """The driver of its volume has a label of its own for workers, and says m-1 of this one."""
    spec: dict[str, Any] = world.kube.one("PersistentVolume", claim(world, pod)["spec"]["volumeName"])["spec"]
    spec.pop("local")
    spec["storageClassName"] = "local"
    rule = {"key": key, "operator": "In", "values": ["m-1"]}
    spec["nodeAffinity"]["required"]["nodeSelectorTerms"] = [{"matchExpressions": [rule]}]
    return spec


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_a_node_leaves_its_worker(world: World) -> None:
    before, volumes, name = world.identities(), uids(world), worker_of(world, FIRST)
    cordon(world, name)
    result = leave(world, name)
    assert [each["node"] for each in result["replaced"]] == [FIRST]
    assert world.kube.pods_on(name) == []
    assert {pod for pod, uid in uids(world).items() if volumes[pod] != uid} == {FIRST}
    assert "r1-0 has a volume of 1Gi on another worker than" in " ".join(result["changes"])
    world.assert_whole(before)
    assert world.kube.cut_off == []
    writes = len(world.kube.writes)
    assert leave(world, name)["changed"] is False
    assert world.writes(writes) == []


def test_the_module_volume_does_it_too(world: World) -> None:
    before, name = world.identities(), worker_of(world, FIRST)
    cordon(world, name)
    told = world.run(volume, size="1Gi", gate_timeout=1, leave_workers=[name])
    assert [each["node"] for each in told["replaced"]] == [FIRST]
    world.assert_whole(before)
    assert world.run(volume, size="1Gi", leave_workers=[name])["changed"] is False


def test_ranges_are_repaired_before(world: World) -> None:
    """A row may be on two of three replicas only, one of them this one."""
    cordon(world, worker_of(world, FIRST))
    leave(world, worker_of(world, FIRST))
    assert [pod for pod, keyspace in world.ring.repaired if keyspace == "shop"] == [FIRST]
    repaired = world.kube.writes.index(f"nodetool repair shop on {FIRST}")
    assert repaired < world.kube.writes.index(f"nodetool drain on {FIRST}")
    assert repaired < world.kube.writes.index(f"delete PersistentVolumeClaim data-{FIRST}")


def test_two_workers_one_node_after_the_other(world: World) -> None:
    before, names = world.identities(), [worker_of(world, FIRST), worker_of(world, NODES[2])]
    cordon(world, *names)
    assert [each["node"] for each in leave(world, *names)["replaced"]] == [FIRST, NODES[2]]
    assert [world.kube.pods_on(name) for name in names] == [[], []]
    world.assert_whole(before)


def test_check_mode_shows_the_plan(world: World) -> None:
    name = worker_of(world, FIRST)
    cordon(world, name)
    writes = len(world.kube.writes)
    result = leave(world, name, check=True)
    assert result["changes"] == [
        "r1-0 gives up its volume of 1Gi, with 3.0 MiB of data, and takes its place again on one of 1Gi on another "
        f"worker than {name}"
    ]
    assert result["changed"] is True
    assert world.kube.writes[writes:] == []


def test_another_volume_and_another_worker_in_one_run(world: World) -> None:
    """Each node is renewed once."""
    before, name = world.identities(), worker_of(world, FIRST)
    lives = dict(world.kube.made)
    cordon(world, name)
    result = leave(world, name, storage={"size": "512Mi", "class": "fast"}, replace_volumes=True)
    assert [each["node"] for each in result["replaced"]] == NODES
    assert {pod: made - lives[pod] for pod, made in world.kube.made.items()} == dict.fromkeys(NODES, 1)
    assert {claim(world, pod)["spec"]["storageClassName"] for pod in NODES} == {"fast"}
    assert world.kube.pods_on(name) == []
    world.assert_whole(before)


def test_volumes_of_others_are_not_given_up_by_the_way(world: World) -> None:
    name = worker_of(world, FIRST)
    cordon(world, name)
    words = refused(world, name, storage={"size": "512Mi"})
    assert "With scale_replace_volumes: true" in words


def test_a_volume_may_be_as_full_as_before(world: World) -> None:
    """With room for its largest table a second time it was not asked for there either."""
    name = worker_of(world, FIRST)
    cordon(world, name)
    for pod in NODES:
        world.kube.one("PersistentVolumeClaim", f"data-{pod}")["spec"]["resources"]["requests"]["storage"] = "6Mi"
    for each in ("r1", "r2", "r3"):
        (template,) = world.kube.one("StatefulSet", f"shop-dc1-{each}")["spec"]["volumeClaimTemplates"]
        template["spec"]["resources"]["requests"]["storage"] = "6Mi"
    assert [each["node"] for each in leave(world, name, storage={"size": "6Mi"})["replaced"]] == [FIRST]


def test_one_step_of_a_rack_leaves_no_worker(world: World) -> None:
    assert "leave_workers" not in rack.ARGUMENT_SPEC
    assert rack.OTHERS["leave_workers"] == []


# --- refused ----------------------------------------------------------------------------------------------------------


def test_all_reasons_at_once(world: World) -> None:
    first, fourth = worker_of(world, FIRST), worker_of(world, FOURTH)
    world.ring.replication["shop"] = {"class": NTS, "dc1": "2"}
    words = refused(world, first, fourth, "elsewhere")
    assert f"kubectl cordon {first}\n" in words
    assert f"kubectl cordon {fourth}\n" in words
    assert (
        "scale_leave_workers: there is no worker elsewhere; the nodes of this datacenter are on a1, a2, b1, b2" in words
    )
    assert "keyspace shop: with one node away some rows have no quorum left" in words
    assert f"{FIRST}, {FOURTH} need 2 other workers with topology.kubernetes.io/zone=a" in words


def test_an_empty_worker_must_be_cordoned_too(world: World) -> None:
    """A node that leaves the other one could come there."""
    name = worker_of(world, FIRST)
    cordon(world, name)
    assert refused(world, name, "a3").startswith("worker a3 takes pods, so a node could come back to it: kubectl")


def test_no_other_worker_in_the_zone(world: World) -> None:
    name = worker_of(world, FIRST)
    cordon(world, name, "a3")
    words = refused(world, name)
    assert f"{FIRST} needs another worker with topology.kubernetes.io/zone=a" in words
    assert "there is none. Add workers, or set cassandra_workers_on_demand" in words
    assert "cassandra_allow_shared_workers" in words
    told = leave(world, name, check=True, workers_on_demand=True)
    assert len(told["changes"]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"allocatable": {"cpu": "8", "memory": "1Mi"}}},
        {"spec": {"taints": [{"key": "pool", "value": "web", "effect": "NoSchedule"}]}},
        {"metadata": {"name": "a3", "labels": {}}},
    ],
    ids=["too small", "tainted", "another zone"],
)
def test_a_worker_that_cannot_take_it(world: World, change: Mapping[str, Any]) -> None:
    name = worker_of(world, FIRST)
    cordon(world, name)
    world.kube.one("Pod", FIRST)["spec"]["containers"][0]["resources"] = {"requests": {"memory": "2Gi"}}
    world.kube.one("Node", "a3").update(change)
    assert "needs another worker" in refused(world, name)


def test_a_worker_that_is_not_ready(world: World) -> None:
    name = worker_of(world, FIRST)
    cordon(world, name)
    world.kube.off.add("a3")
    assert "needs another worker" in refused(world, name)


def test_a_worker_that_the_driver_does_not_serve(world: World) -> None:
    """Its volume would be gone, and no other could be made there."""
    name, key = worker_of(world, FIRST), "topology.example.com/node"
    cordon(world, name)
    bind(world, FIRST, key)
    labels = world.kube.one("Node", name)["metadata"]["labels"]
    labels[key] = "m-1"
    words = refused(world, name)
    assert f"{FIRST} needs another worker with topology.kubernetes.io/zone=a; ready, taking pods, large enough" in words
    assert f"large enough, with the label {key} of its volume's driver, and without a node of this datacenter" in words
    # Another class is of another driver.
    other = {"storage": {"size": "1Gi", "class": "fast"}, "replace_volumes": True}
    assert len(leave(world, name, check=True, **other)["changes"]) > 1
    world.kube.one("Node", "a3")["metadata"]["labels"][key] = "m-2"
    assert len(leave(world, name, check=True)["changes"]) == 1


def test_volumes_that_are_made_by_hand(world: World) -> None:
    """There must be one to be had on the other worker."""
    name = worker_of(world, FIRST)
    cordon(world, name)
    world.kube.one("StorageClass", "local")["provisioner"] = evacuating.NO_PROVISIONER
    words = "large enough, with an Available volume of 1Gi (class local), and without a node of this datacenter there"
    assert f"{words} is none" in refused(world, name)
    rule = {"key": failures.HOSTNAME, "operator": "In", "values": ["a3"]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}
    spec = {"storageClassName": "local", "capacity": {"storage": "1Gi"}, "nodeAffinity": affinity}
    free = {"kind": "PersistentVolume", "metadata": {"name": "kept"}, "spec": spec, "status": {"phase": "Available"}}
    world.kube.put(free)
    assert len(leave(world, name, check=True)["changes"]) == 1
    changes: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (spec, {"capacity": {"storage": "1Mi"}}),
        (spec, {"storageClassName": "fast"}),
        (spec, {"claimRef": {"namespace": "elsewhere", "name": f"data-{FIRST}"}}),
        (rule, {"values": ["b3"]}),
        (free, {"status": {"phase": "Released"}}),
    ]
    for where, change in changes:
        before = {**where}
        where.update(change)
        assert words in refused(world, name)
        where.clear()
        where.update(before)
    spec["claimRef"] = {"namespace": world.kube.namespace, "name": f"data-{FIRST}"}
    assert len(leave(world, name, check=True)["changes"]) == 1


def test_workers_that_may_not_be_read(world: World) -> None:
    world.kube.may_read_cluster = False
    words = refused(world, worker_of(world, FIRST))
    assert "scale_leave_workers: these credentials may not read workers and volumes" in words
    assert "extensions/kubernetes/rbac-workers.yml" in words


def test_a_cordon_that_the_pods_tolerate(world: World) -> None:
    name = worker_of(world, FIRST)
    cordon(world, name)
    world.kube.one("Pod", FIRST)["spec"]["tolerations"] = [{"operator": "Exists"}]
    words = refused(world, name)
    assert f"a cordon does not keep {FIRST} off: tolerations of cassandra_pod_template" in words


def test_a_class_that_binds_at_once(world: World) -> None:
    """The next volume could be on the same worker."""
    name = worker_of(world, FIRST)
    cordon(world, name)
    world.kube.one("StorageClass", "fast")["volumeBindingMode"] = "Immediate"
    words = refused(world, name, storage={"size": "1Gi", "class": "fast"}, replace_volumes=True)
    assert "volumes of the StorageClass fast are bound before their pods have workers" in words
    del world.kube.objects["StorageClass", "local"]
    assert "volumes without a StorageClass are bound before their pods have workers" in refused(world, name)


def test_the_default_class_of_today_counts(world: World) -> None:
    """Nobody names a class: the old claim's was the default when it was made. Of several it is the newest."""
    name = worker_of(world, FIRST)
    cordon(world, name)
    claim(world, FIRST)["spec"]["storageClassName"] = "fast"
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    metadata = {"name": "disks", "annotations": default, "creationTimestamp": "2026-02-01T00:00:00Z"}
    world.kube.put({"kind": "StorageClass", "metadata": metadata, "volumeBindingMode": "Immediate"})
    world.kube.one("StorageClass", "local")["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    assert "volumes of the StorageClass disks are bound before their pods have workers" in refused(world, name)
    metadata["creationTimestamp"] = "2025-12-01T00:00:00Z"
    assert len(leave(world, name, check=True)["changes"]) == 1


def test_a_class_that_was_deleted(world: World) -> None:
    """It does not bind at once: there is none."""
    name = worker_of(world, FIRST)
    cordon(world, name)
    for each in ("r1", "r2", "r3"):
        (template,) = world.kube.one("StatefulSet", f"shop-dc1-{each}")["spec"]["volumeClaimTemplates"]
        template["spec"]["storageClassName"] = "gone"
    assert refused(world, name) == "storage_class: there is no StorageClass gone"
    words = refused(world, name, storage={"size": "1Gi", "class": "golden"}, replace_volumes=True)
    assert words.count("there is no StorageClass golden") == 1


def test_a_class_that_may_not_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kubernetes has noted on the claim tells that it waited."""
    name, get, listed = worker_of(world, FIRST), world.kube.get, world.kube.list
    cordon(world, name)
    for pod in NODES:
        claim(world, pod)["spec"]["storageClassName"] = "fast"

    def forbidden(kind: str, what: str) -> Object | None:
        if kind == "StorageClass":
            raise Forbidden(f"StorageClass {what}: these credentials may not get it", 403)
        return get(kind, what)

    def not_listed(kind: str, *arguments: Any, **options: Any) -> list[Object]:
        if kind == "StorageClass":
            raise Forbidden("StorageClass: these credentials may not list them", 403)
        return listed(kind, *arguments, **options)

    monkeypatch.setattr(world.kube, "get", forbidden)
    monkeypatch.setattr(world.kube, "list", not_listed)
    assert len(world.run(volume, True, size="1Gi", leave_workers=[name])["changes"]) == 1
    claim(world, FIRST)["metadata"]["annotations"].pop(failures.SELECTED)
    with pytest.raises(SpecError, match="whether volumes of the StorageClass fast wait for their pods"):
        world.run(volume, True, size="1Gi", leave_workers=[name])


def test_a_volume_that_is_set_aside_for_the_node(world: World) -> None:
    """Kubernetes binds a claim to one that names it at once, wherever that is."""
    name = worker_of(world, FIRST)
    cordon(world, name)
    old = world.kube.one("PersistentVolume", claim(world, FIRST)["spec"]["volumeName"])
    ref = {"namespace": world.kube.namespace, "name": f"data-{FIRST}"}
    spec = {**old["spec"], "claimRef": ref}
    world.kube.put({"kind": "PersistentVolume", "metadata": {"name": "kept"}, "spec": spec, "status": {}})
    assert f"volume kept on worker {name} is set aside for data-{FIRST}" in refused(world, name)
    ref["uid"] = "of a claim that is gone"
    assert len(leave(world, name, check=True)["changes"]) == 1


# --- volumes that follow ----------------------------------------------------------------------------------------------


def test_a_node_whose_volume_follows_is_left_to_a_drain(world: World) -> None:
    name = worker_of(world, FIRST)
    cordon(world, name)
    follow(world, FIRST)
    writes = len(world.kube.writes)
    result = leave(world, name)
    assert (result["changed"], result["replaced"]) == (False, [])
    assert world.writes(writes) == []
    (warning,) = world.warnings
    assert warning.startswith(f"r1-0 stays on worker {name} for now: its volume follows it")
    assert f"kubectl drain {name} " in warning


def test_a_volume_that_no_other_worker_could_have_does_not_follow(world: World) -> None:
    """A driver of local volumes that nobody knows; a label that others have too is that of a zone."""
    before, name = world.identities(), worker_of(world, FIRST)
    cordon(world, name)
    worker = "example.com/machine"
    bind(world, FIRST, worker)
    for each in (name, "a3"):
        world.kube.one("Node", each)["metadata"]["labels"][worker] = "m-1"
    assert leave(world, name, check=True)["changed"] is False
    world.kube.one("Node", "a3")["metadata"]["labels"][worker] = "m-2"
    assert leave(world, name, check=True, workers_on_demand=True)["changed"] is False
    assert [each["node"] for each in leave(world, name)["replaced"]] == [FIRST]
    world.assert_whole(before)


def test_workers_are_listed_once_for_all_that_follow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many nodes there are, and however often it is asked who is there."""
    names, listed, read = [worker_of(world, FIRST), worker_of(world, NODES[2])], world.kube.list, []
    cordon(world, *names)
    for pod in (FIRST, NODES[2]):
        follow(world, pod)

    def counted(kind: str, *arguments: Any, **options: Any) -> list[Object]:
        read.append(kind)
        return listed(kind, *arguments, **options)

    monkeypatch.setattr(world.kube, "list", counted)
    assert world.run(volume, size="1Gi", leave_workers=names)["changed"] is False
    assert len(world.warnings) == len(names)
    # For who is there, and for where they could go.
    assert read.count("Node") == 2


def test_a_driver_that_has_not_registered_on_another_worker_yet(world: World) -> None:
    """Such as on a new pool: nobody can tell that its volumes do not follow."""
    name, key = worker_of(world, FIRST), "example.com/pool"
    cordon(world, name)
    bind(world, FIRST, key)
    world.kube.one("Node", name)["metadata"]["labels"][key] = "m-1"
    words = refused(world, name)
    assert f"whether the volume of {FIRST} stays on worker {name} is not known" in words
    assert "its driver has to register there first" in words
    world.kube.one("Node", "a3")["metadata"]["labels"][key] = "m-1"
    assert leave(world, name, check=True)["changed"] is False


def test_a_volume_that_names_no_labels(world: World) -> None:
    name = worker_of(world, FIRST)
    cordon(world, name)
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]
    bind(world, FIRST, "")["nodeAffinity"]["required"]["nodeSelectorTerms"] = terms
    assert leave(world, name, check=True)["changed"] is False


# --- killed, and uncordoned -------------------------------------------------------------------------------------------


def test_killed_before_any_write(worlds: Worlds) -> None:
    for lives in range(3, 200):
        world = worlds()
        before, name = world.identities(), worker_of(world, FIRST)
        cordon(world, name)
        if not world.killed(lives, lambda world=world, name=name: leave(world, name, repair=False)):  # type: ignore[misc]
            break
        leave(world, name, repair=False)
        assert world.kube.pods_on(name) == []
        world.assert_whole(before)
    else:
        pytest.fail("the run never ends")
    assert lives > 10


def test_who_uncordons_it_meanwhile_stops_the_run(world: World) -> None:
    before, volumes, name = world.identities(), uids(world), worker_of(world, FIRST)
    cordon(world, name)
    repair = world.ring.repair

    def later(pod: str, keyspace: str) -> None:
        repair(pod, keyspace)
        cordon(world, name, cordoned=False)

    world.ring.repair = later  # type: ignore[method-assign]
    with pytest.raises(CassopsError, match=f"{FIRST} keeps its volume: worker {name} takes pods"):
        leave(world, name)
    assert uids(world) == volumes
    world.assert_whole(before)


def test_a_node_that_came_back_there_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    name, clear = worker_of(world, FIRST), replacing.Replacing.clear
    cordon(world, name)

    def late(self: Any, *arguments: Any) -> Any:
        cordon(world, name, cordoned=False)
        return clear(self, *arguments)

    monkeypatch.setattr(replacing.Replacing, "clear", late)
    monkeypatch.setattr(replacing.Replacing, "must_repair", lambda *_arguments: True)
    with pytest.raises(CassopsError, match=f"{FIRST} has come back to worker {name}.*kubectl cordon {name}"):
        leave(world, name, repair=False)
    # It has another volume all the same, and what hints do not cover.
    assert (FIRST, "shop") in world.ring.repaired


def test_a_worker_that_is_empty_may_be_deleted_meanwhile(world: World) -> None:
    """The machine is switched off before the others have left theirs."""
    before, names = world.identities(), [worker_of(world, FIRST), worker_of(world, NODES[2])]
    cordon(world, *names)
    repair = world.ring.repair

    def later(pod: str, keyspace: str) -> None:
        repair(pod, keyspace)
        if pod == NODES[2] and ("Node", names[0]) in world.kube.objects:
            world.kube.delete_worker(names[0])

    world.ring.repair = later  # type: ignore[method-assign]
    assert [each["node"] for each in leave(world, *names)["replaced"]] == [FIRST, NODES[2]]
    assert ("Node", names[0]) not in world.kube.objects
    world.assert_whole(before)
    assert f"there is no worker {names[0]}" in refused(world, *names)


# --- small rules ------------------------------------------------------------------------------------------------------
