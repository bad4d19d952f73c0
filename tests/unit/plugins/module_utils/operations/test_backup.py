# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups of a datacenter in memory: killed before any write, refused, taken up, listed, verified, purged."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import jmespath
import pytest
import yaml
from unit.plugins.module_utils.fake_cassandra import OFF, FakeCassandra, FakeSession
from unit.plugins.module_utils.fake_kube import FakeKube, merge
from unit.plugins.module_utils.fake_restic import FakeRestic, FakeStore, Snapshot
from unit.plugins.module_utils.operations.rolling import Rolling

from ansible_collections.cassops.kubernetes.plugins.module_utils import backups, nodetool
from ansible_collections.cassops.kubernetes.plugins.module_utils.backups import (
    COMPLETE,
    FAILED,
    PARTIAL,
    SNAPSHOT,
    Listed,
    Manifest,
    NodeManifest,
    Schema,
    Statement,
    moment,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError, SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecResult
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Locked, LockLost
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests.archive import LATE
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests.backup import REPOSITORY
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    backup,
    backup_info,
    backup_purge,
    backup_verify,
    catalogue,
    restore_volumes,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.members import UNCLEAN
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.restic_jobs import Work, may_begin
from ansible_collections.cassops.kubernetes.plugins.module_utils.restic import Restic, ResticError
from ansible_collections.cassops.kubernetes.plugins.modules import backup_info as backup_info_module

PLAN: dict[str, Any] = {"repository": "s3:https://s3/b", "password_secret": "key", "keep": {"last": 2}}
TABLE = "orders-0123456789abcdef0123456789abcdef"
FILES = {
    f"shop/{TABLE}/snapshots/{SNAPSHOT}/{name}": size for name, size in {"nb-1-big-Data.db": 7, "Rows.db": 0}.items()
}


class World(Rolling):
    """A datacenter whose pods have the container, and a store."""

    store: FakeStore

    @classmethod
    def ready(cls, monkeypatch: pytest.MonkeyPatch) -> World:
        # What one world put in place must not stand under the next.
        monkeypatch.undo()
        world = cls.deployed(monkeypatch, per_rack=1, backup=PLAN)
        assert isinstance(world, World)
        world.store = FakeStore(world.kube, disks={pod: dict(FILES) for pod in world.nodes}).install(monkeypatch)
        world.kube.put({"kind": "Secret", "metadata": {"name": "key"}, "data": {"password": "c2VjcmV0"}})
        monkeypatch.setattr(catalogue, "has_restic", lambda pod: any_named(pod, "backup"))
        plain = FakeKube.exec

        def run(self: FakeKube, pod: str, argv: Any, *rest: Any, **options: Any) -> ExecResult:
            if argv[-1] != backup.LOOK_AT_SNAPSHOT:
                return plain(self, pod, argv, *rest, **options)
            taken = SNAPSHOT in world.ring.busy[pod].snapshots
            lines = [f"{size} {path}" for path, size in world.store.disks[pod].items()] if taken else []
            return ExecResult(0, "\n".join(lines), "")

        monkeypatch.setattr(FakeKube, "exec", run)
        monkeypatch.setattr(time, "sleep", world.tick)
        return world

    def tick(self, seconds: float) -> None:
        self.kube.clock += seconds

    def back_up(self, name: str = "b1", **changes: Any) -> dict[str, Any]:
        self.kube.clock += 3600
        return self.run(backup, name=name, **changes)

    def run(self, other: Any, check: bool = False, **changes: Any) -> dict[str, Any]:
        return super().run(other, check, **{"backup": PLAN, "variable_prefix": "cassandra_", **changes})

    def store_commit_log(self, pod: str, store: str) -> None:
        """The pod was started with this in its container's environment."""
        containers = self.kube.one("Pod", pod)["spec"]["containers"]
        (beside,) = (item for item in containers if item["name"] == "backup")
        others = [each for each in beside["env"] if each["name"] != REPOSITORY]
        beside["env"] = [*others, {"name": REPOSITORY, "value": store}]

    def states(self) -> dict[str, str]:
        return {one["name"]: one["state"] for one in self.run(backup_info)["backups"]}

    def assert_tidy(self, locks: bool = True) -> None:
        """No snapshot, no job, no note and no lock is left."""
        assert [pod for pod in self.nodes if SNAPSHOT in self.ring.busy[pod].snapshots] == []
        assert self.store.jobs == {}
        assert self.kube.get("ConfigMap", "shop-dc1-backup") is None
        for lease in ("shop-lock", "shop-dc1-backup-lock") if locks else ():
            assert self.kube.one("Lease", lease)["spec"]["holderIdentity"] == ""


def any_named(pod: Any, name: str) -> bool:
    return any(item["name"] == name for item in pod["spec"]["containers"])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.ready(monkeypatch)


MANIFEST = Manifest("b8", "shop", "dc1", backups.RUNNING, "2026-11-25T03:14:00Z", (), runner="somebody")


def host_of(world: World, pod: str) -> str:
    return world.ring.members[pod].host_id


# --- one backup -------------------------------------------------------------------------------------------------------


def test_who_was_not_cleaned_up_is_known(world: World) -> None:
    """As it was when the snapshots were taken: until its files are stored it may have been cleaned up."""
    first = world.nodes[0]
    note: dict[str, Any] = {"metadata": {"annotations": {UNCLEAN: first}}}
    world.kube.patch("ConfigMap", "shop-dc1-ledger", note)
    plain = world.kube.before_write

    def before_write(what: str) -> None:
        if what.startswith("restic start upload-b1"):
            note["metadata"]["annotations"][UNCLEAN] = None
            merge(world.kube.objects["ConfigMap", "shop-dc1-ledger"], note)
        plain(what)

    world.kube.before_write = before_write  # type: ignore[method-assign]
    world.back_up()
    told = [each for each in world.store.of("catalogue") if each.tags["kind"] == "backup"]
    manifest = backups.load(next(iter(told[-1].files.values())))
    assert [entry.pod for entry in manifest.nodes if entry.unclean] == [first]


def test_a_backup_is_written_manifest_last(world: World) -> None:
    before = len(world.kube.writes)
    result = world.back_up()
    assert result["changed"]
    assert result["backup"]["state"] == COMPLETE
    assert (result["backup"]["size"], result["backup"]["added"]) == (21, 21)
    written = [what for what in world.writes(before) if what.startswith("restic store")]
    assert written == [f"restic store {kind} in catalogue" for kind in ("schema", "node", "node", "node", "backup")]
    for pod in world.nodes:
        (snapshot,) = world.store.of(host_of(world, pod))
        assert snapshot.files == FILES
    world.assert_tidy()
    assert world.states() == {"b1": COMPLETE}


def test_what_tables_ask_for_is_noted_before_the_snapshots(world: World) -> None:
    world.back_up()
    world.ring.replication["app"] = {"class": "NetworkTopologyStrategy", "dc1": "1"}
    world.ring.tables.append(("app", 172800))
    world.back_up("b2")
    ledger = world.kube.ledger()
    assert (ledger.gc_grace_seconds, ledger.single_copies) == (172800, ("app",))
    assert "noted: gc_grace_seconds is 172800 at least, keyspaces with one replica are app" in world.said


def test_nodes_are_flushed_before_the_first_snapshot_is_taken(world: World) -> None:
    before = len(world.ring.nodetool)
    world.back_up()
    verbs = [verb[0] for _pod, verb in world.ring.nodetool[before:]]
    assert verbs.index("snapshot") > max(index for index, verb in enumerate(verbs) if verb == "flush")
    (taken,) = {verb for _pod, verb in world.ring.nodetool[before:] if verb[0] == "snapshot"}
    assert taken == ("snapshot", "-t", SNAPSHOT, "--ttl", backup.SNAPSHOT_TTL)


def test_a_snapshot_that_was_left_goes_before_the_flush_and_others_cost_nothing(world: World) -> None:
    first, *others = world.nodes
    world.ring.busy[first].snapshots.append(SNAPSHOT)
    before = len(world.ring.nodetool)
    world.back_up()
    asked = world.ring.nodetool[before:]
    assert [verb[0] for pod, verb in asked if pod == first] == ["clearsnapshot", "flush", "snapshot", "clearsnapshot"]
    for pod in others:
        assert [verb[0] for each, verb in asked if each == pod] == ["flush", "snapshot", "clearsnapshot"]


def test_repositories_that_the_catalogue_knows_are_not_asked_for(world: World) -> None:
    world.back_up("b1")
    before = len(world.store.commands)
    world.back_up("b2")
    assert [args[0] for _pod, _where, args in world.store.commands[before:]] == ["backup"] * 3


def test_a_repository_that_somebody_deleted_is_made_again(world: World) -> None:
    world.back_up("b1")
    gone = next(where for where in world.store.repositories if where.endswith(host_of(world, world.nodes[1])))
    del world.store.repositories[gone]
    assert world.back_up("b2")["backup"]["state"] == COMPLETE
    assert len(world.store.repositories[gone]) == 1


def test_check_mode_tells_and_does_nothing(world: World) -> None:
    before, verbs = list(world.kube.writes), len(world.ring.nodetool)
    result = world.run(backup, check=True, name="b1")
    assert result["changed"]
    assert world.kube.writes == before
    assert not [verb for _pod, verb in world.ring.nodetool[verbs:] if verb[0] in ("flush", "snapshot", "clearsnapshot")]
    assert world.store.repositories == {}


def test_the_same_name_again_changes_nothing(world: World) -> None:
    world.back_up()
    before = world.writes()
    result = world.back_up()
    assert not result["changed"]
    assert result["backup"]["state"] == COMPLETE
    assert world.writes() == before


def test_the_second_backup_adds_only_what_is_new(world: World) -> None:
    world.back_up("b1")
    for disk in world.store.disks.values():
        disk[f"shop/{TABLE}/snapshots/{SNAPSHOT}/nb-2-big-Data.db"] = 5
    assert world.back_up("b2")["backup"]["added"] == 15


def test_a_file_of_an_old_name_takes_no_other_ones_place(world: World) -> None:
    """B1: a table that was truncated calls its next SSTable what the first was called."""
    world.back_up()
    for disk in world.store.disks.values():
        disk.update(dict.fromkeys(disk, 9))
    world.back_up("b2")
    for name in ("b1", "b2"):
        assert world.run(backup_verify, name=name)["faults"] == []


def test_commit_logs_that_are_not_stored_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, _third = world.nodes
    for pod in world.nodes:
        world.store_commit_log(pod, f"{PLAN['repository']}/shop/dc1")

    def look(_kube: Any, pod: str, script: str) -> str:
        assert script == LATE
        if pod == second:
            raise CassopsError(f"{pod}: it does not answer")
        return "3\n" if pod == first else "0\n"

    monkeypatch.setattr(restore_volumes, "run", look)
    world.back_up(backup={**PLAN, "point_in_time": True})
    assert [text.split(":")[0] for text in world.warnings] == [
        first,
        "whether its commit log is stored cannot be told",
    ]


def test_commit_logs_that_go_to_another_store_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore_volumes, "run", lambda *dummy: "0\n")
    plan = {**PLAN, "point_in_time": True}
    first, second, third = world.nodes
    for pod, bucket in ((first, PLAN["repository"]), (second, "s3:https://s3/old")):
        world.store_commit_log(pod, f"{bucket}/shop/dc1")
    world.back_up(check=True, backup=plan)
    assert [text.partition(", as backups do: ")[0] for text in world.warnings] == [
        f"the commit log of {second} goes to s3:https://s3/old/shop/dc1, needed {PLAN['repository']}/shop/dc1",
        f"the commit log of {third} goes to nowhere, needed {PLAN['repository']}/shop/dc1",
    ]
    assert all("Run the playbooks deploy and restart, and then backup" in text for text in world.warnings)
    for pod in world.nodes:
        world.store_commit_log(pod, f"{PLAN['repository']}/shop/dc1")
    world.back_up(backup={**plan, "repository": f"{PLAN['repository']}/"})
    assert world.warnings == []


def test_without_a_point_in_time_nobody_asks_where_commit_logs_go(world: World) -> None:
    world.store_commit_log(world.nodes[0], "s3:https://s3/old/shop/dc1")
    world.back_up()
    assert world.warnings == []


def test_one_rack_uploads_at_a_time(world: World) -> None:
    work = Work("a-0", "r1", None, "job", (), "")  # type: ignore[arg-type]
    same, other = dataclasses.replace(work, pod="a-1"), dataclasses.replace(work, pod="b-0", group="r2")
    assert may_begin(work, [], "rack")
    assert may_begin(work, [same], "rack")
    assert not may_begin(work, [other], "rack")
    assert may_begin(work, [other], "all")
    assert (may_begin(work, [other], "2"), may_begin(work, [other, same], "2")) == (True, False)
    world.back_up()
    assert world.store.most_at_once == 1
    world.store.most_at_once = 0
    world.back_up("b2", parallel="all")
    assert world.store.most_at_once == 3


def test_tables_and_excluded_keyspaces(world: World) -> None:
    before = len(world.ring.nodetool)
    world.back_up("b1", tables=["shop.orders", "shop.items", "till"])
    taken = [verb[3:] for pod, verb in world.ring.nodetool[before:] if verb[0] == "snapshot" and pod == world.nodes[0]]
    ttl = ("--ttl", backup.SNAPSHOT_TTL)
    assert taken == [(*ttl, "-kt", "shop.orders,shop.items"), (*ttl, "--", "till")]
    before = len(world.ring.nodetool)
    world.back_up("b2", backup={**PLAN, "exclude_keyspaces": ["system_traces"]})
    taken = [verb[3:] for pod, verb in world.ring.nodetool[before:] if verb[0] == "snapshot" and pod == world.nodes[0]]
    assert taken == [(*ttl, "--", "shop", "system_auth", "system_distributed")]


def test_what_is_asked_for_twice_is_taken_once(world: World) -> None:
    """Cassandra refuses a second snapshot of the same name."""
    before = len(world.ring.nodetool)
    asked = ["shop", "shop.orders", "till.receipts", "till.receipts", "shop", "2024_x.y"]
    assert world.back_up("b1", tables=asked)["backup"]["tables"] == ["shop", "till.receipts", "2024_x.y"]
    taken = [verb[5:] for pod, verb in world.ring.nodetool[before:] if verb[0] == "snapshot" and pod == world.nodes[0]]
    assert taken == [("-kt", "till.receipts,2024_x.y"), ("--", "shop")]
    assert world.back_up("b1", tables=["till.receipts", "shop", "2024_x.y"])["changed"] is False


@pytest.mark.parametrize("table", ["shop.a.b", "shop.", ".orders", "", "sh op", "shop-1", "shöp"])
def test_what_can_be_no_table_is_refused(world: World, table: str) -> None:
    with pytest.raises(SpecError, match=r"tables\[0\]: must be keyspace.table, or a keyspace"):
        world.back_up("b1", tables=[table])


def test_names_of_many_tables_fit_into_the_address_of_a_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies take 8 KiB of it. In each exec, of which the address has all words, there is one verb."""
    sent: list[tuple[str, list[str]]] = []
    plain = nodetool.run

    def run(kube: Any, pod: str, verbs: Any, *rest: Any, **options: Any) -> Any:
        sent.append((pod, [" ".join(verb) for verb in verbs]))
        return plain(kube, pod, verbs, *rest, **options)

    monkeypatch.setattr(nodetool, "run", run)
    tables = [f"shop.{'t' * 40}{number:04}" for number in range(200)]
    excluded = {"backup": {**PLAN, "exclude_keyspaces": ["system_traces"]}}
    keyspaces = [f"{'k' * 40}{number:04}" for number in range(200)]
    schema = Schema("", "schema-1", tuple(Statement(each, "keyspace", each, "") for each in keyspaces))
    for name, wanted, changes in (("b1", tables, {"tables": tables}), ("b2", keyspaces, excluded)):
        sent.clear()
        with monkeypatch.context() as patched:
            patched.setattr(backup.Run, "schema", lambda self, pod: schema)
            world.back_up(name, **changes)
        for pod in world.nodes:
            taken = [verbs for where, verbs in sent if where == pod and verbs[0].startswith("snapshot ")]
            assert [one for one in wanted if one not in " ".join(words for verbs in taken for words in verbs)] == []
            assert [len(verbs) for verbs in taken] == [1] * len(taken)
            assert len(taken) > 2
            assert max(len(verbs[0].replace(",", "%2C").replace(" ", "%20")) for verbs in taken) < 5000
    world.assert_tidy()


def test_a_schema_that_changes_meanwhile_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is dropped between snapshot and schema would be data that nobody can read."""
    versions = iter(["schema-1", "schema-2", "schema-3"])
    before = len(world.ring.nodetool)
    plain = type(world.ring).act

    def act(self: Any, pod: str, verb: Any) -> None:
        plain(self, pod, verb)
        if verb[0] == "snapshot" and pod == world.nodes[0]:
            self.schema = next(versions)

    monkeypatch.setattr(type(world.ring), "act", act)
    monkeypatch.setattr(world.ring, "schema", "schema-0")
    with pytest.raises(Failed, match="the schema kept changing"):
        world.back_up()
    assert len([1 for pod, verb in world.ring.nodetool[before:] if verb[0] == "snapshot"]) == 9
    world.assert_tidy()


# --- refused ----------------------------------------------------------------------------------------------------------


def test_all_that_is_wrong_is_told_at_once(world: World) -> None:
    with pytest.raises(SpecError) as caught:
        world.run(backup, name="a/b", tables=["x y"], parallel="none")
    assert [text.partition(":")[0] for text in caught.value.errors] == ["name", "tables[0]", "parallel"]
    with pytest.raises(SpecError, match=r"cassandra_backup\.repository: must begin with"):
        world.run(backup, backup={**PLAN, "repository": "ftp:there"})


def test_without_the_secret_and_the_container_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.ready(monkeypatch)
    monkeypatch.setattr(catalogue, "has_restic", lambda pod: False)
    del world.kube.objects["Secret", "key"]
    with pytest.raises(SpecError) as caught:
        world.back_up()
    assert "Secret key in namespace ns with the key password" in str(caught.value)
    assert "no node that runs has the container backup beside Cassandra" in str(caught.value)


def test_a_datacenter_of_others_is_told_what_it_lacks(world: World) -> None:
    """As cass-operator labels it, with the stock image and nothing beside it."""
    labels = {"cassandra.datastax.com/cluster": "shop", "cassandra.datastax.com/datacenter": "dc9"}
    pod = {"name": "shop-dc9-r1-sts-0", "labels": labels, "creationTimestamp": "2026-11-25T03:14:00Z"}
    world.kube.put({"kind": "Pod", "metadata": pod, "spec": {"containers": [{"name": "cassandra"}]}})
    world.kube.pod_addresses["shop-dc9-r1-sts-0"] = "198.18.9.9"
    before = world.writes()
    with pytest.raises(CassopsError, match=r"shop-dc9-r1-sts-0 are labelled .* container backup, beside Cassandra"):
        world.run(backup, datacenter="dc9")
    with pytest.raises(CassopsError, match="no datacenter dc8 of cluster shop that runs; deploy it first"):
        world.run(backup, datacenter="dc8")
    with pytest.raises(CassopsError, match="has a container backup that runs: run the playbook deploy"):
        world.run(backup_verify, datacenter="dc9")
    assert world.writes() == before


def test_a_second_run_is_refused(world: World) -> None:
    lease = {"kind": "Lease", "metadata": {"name": "shop-dc1-backup-lock"}}
    now = "2099-01-01T00:00:00.000000Z"
    lease["spec"] = {"holderIdentity": "ann@tower pid 7", "renewTime": now, "leaseDurationSeconds": 60}  # type: ignore[assignment]
    world.kube.put(lease)
    before = world.writes()
    with pytest.raises(Locked, match="ann@tower pid 7"):
        world.back_up()
    assert world.writes() == before


def test_a_store_that_is_down_leaves_nothing_behind(world: World) -> None:
    world.store.down = True
    with pytest.raises(CassopsError, match="is the store up"):
        world.back_up()
    world.store.down = False
    world.back_up()
    world.assert_tidy()


def test_who_loses_the_lock_at_the_very_end_has_no_last_word(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = backup.Run.upload

    def upload(self: backup.Run, *what: Any) -> None:
        plain(self, *what)
        self.lock._lost = "somebody took it"

    monkeypatch.setattr(backup.Run, "upload", upload)
    with pytest.raises(LockLost):
        world.back_up()
    assert [item.tags["kind"] for item in world.store.of("catalogue")] == ["schema", "node", "node", "node"]


# --- some nodes fail --------------------------------------------------------------------------------------------------


def test_a_node_that_is_down_makes_it_partial(world: World) -> None:
    pod = world.nodes[1]
    world.ring.doors[pod] = OFF
    with pytest.raises(Failed, match=f"backup b1 is partial: {pod}: it does not answer") as caught:
        world.back_up()
    assert [node["stored"] for node in caught.value.result["backup"]["nodes"]] == [True, False, True]
    assert world.states() == {"b1": PARTIAL}
    # The same name again, with all nodes: what was stored is not stored again.
    world.ring.doors[pod] = "open"
    assert world.back_up()["backup"]["state"] == COMPLETE
    assert world.states() == {"b1": COMPLETE}
    world.assert_tidy()


def test_a_container_that_dies_is_no_end(world: World) -> None:
    """B8: the job is begun again, and not for ever."""
    pod = world.nodes[0]
    world.store.endings[pod] = ["lost", "lost"]
    assert world.back_up("b1")["backup"]["state"] == COMPLETE
    world.store.endings[pod] = ["lost"] * 3
    with pytest.raises(Failed, match=f"{pod}: the container of {pod} ended while restic ran in it"):
        world.back_up("b2")
    assert world.states() == {"b1": COMPLETE, "b2": PARTIAL}
    world.assert_tidy()


def test_a_wrong_password_is_not_tried_again(world: World) -> None:
    world.store.endings[world.nodes[0]] = [12, 0]
    with pytest.raises(Failed, match="another password than the key password"):
        world.back_up()
    assert world.store.endings[world.nodes[0]] == [0]


def test_a_job_that_does_not_move_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unit.plugins.module_utils.fake_restic.FakeRestic.look", stuck)
    with pytest.raises(Failed, match="upload of shop-dc1-r1-0 has not moved for 0 s"):
        world.back_up(wait_timeout=0)
    assert world.states() == {"b1": FAILED}
    world.assert_tidy()


def stuck(self: Any, job: str, wait: float) -> Any:
    from ansible_collections.cassops.kubernetes.plugins.module_utils.restic import Job

    self.kube.alive()
    return Job("running", status={"total_bytes": 100, "bytes_done": 1})


def test_a_list_of_components_may_grow_while_it_is_stored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index of SAI was made meanwhile: Cassandra writes on in the file that the snapshot has linked."""
    place = f"shop/orders-5bc52802de2535edaeab188eecebb090/snapshots/{SNAPSHOT}"
    for pod in world.nodes:
        world.store.disks[pod] |= {f"{place}/oa-1-big-Data.db": 40, f"{place}/oa-1-big-TOC.txt": 92}
    plain = FakeRestic.files

    def files(self: FakeRestic, *rest: Any) -> dict[str, int]:
        return {path: 341 if path.endswith("TOC.txt") else size for path, size in plain(self, *rest).items()}

    monkeypatch.setattr(FakeRestic, "files", files)
    result = world.back_up()
    assert result["backup"]["size"] == 21 + 3 * (40 + 341)
    assert world.run(backup_verify)["faults"] == []


def test_what_was_stored_is_compared_with_what_there_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unit.plugins.module_utils.fake_restic.FakeRestic.files", lambda *_told: {"x": 1})
    with pytest.raises(Failed, match="3 files differ"):
        world.back_up()
    assert world.states() == {"b1": FAILED}


def failing(
    monkeypatch: pytest.MonkeyPatch, kind: str, times: int, error: CassopsError, pods: Sequence[str] = ()
) -> list[str]:
    """The next documents of a kind are not stored, in these pods or in any; the pods that tried."""
    plain, tried = FakeRestic.store, []

    def store(self: FakeRestic, text: str, file: str, tags: Any, host: str) -> str:
        if tags["kind"] == kind:
            tried.append(self.pod)
            if (not pods or self.pod in pods) and len(tried) <= times:
                raise error
        return plain(self, text, file, tags, host)

    monkeypatch.setattr(FakeRestic, "store", store)
    return tried


AWAY = "restic backup had no answer; is the store up, and may this pod reach it?"


@pytest.mark.parametrize("kind", ["node", "backup"])
def test_a_store_that_is_away_for_one_document_costs_no_upload(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    tried = failing(monkeypatch, kind, 4, ResticError(AWAY))
    assert world.back_up(wait_timeout=600)["backup"]["state"] == COMPLETE
    assert len(tried) == {"node": 4 + len(world.nodes), "backup": 5}[kind]
    assert len([args for _pod, _where, args in world.store.commands if args[0] == "backup"]) == len(world.nodes)
    world.assert_tidy()


def test_a_store_that_is_away_while_files_are_compared_costs_no_upload(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, tried = FakeRestic.files, []

    def files(self: FakeRestic, snapshot: str, limit: float = 120.0) -> dict[str, int]:
        tried.append(self.pod)
        if len(tried) < 3:
            raise ResticError(AWAY)
        return plain(self, snapshot, limit)

    monkeypatch.setattr(FakeRestic, "files", files)
    assert world.back_up(wait_timeout=600)["backup"]["state"] == COMPLETE


def test_what_does_not_pass_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Restic(None, "a", "s3:b").failure("backup", 1, "Fatal: Access Denied")  # type: ignore[arg-type]
    tried = failing(monkeypatch, "node", 99, refused)
    with pytest.raises(Failed, match="the store refuses the keys"):
        world.back_up(wait_timeout=600)
    assert len(tried) == len(world.nodes)
    assert world.states() == {"b1": FAILED}


def test_a_store_that_stays_away_is_given_up_and_the_next_run_uploads_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        tried = failing(away, "backup", 10**6, ResticError(AWAY))
        before = world.kube.clock + 3600
        with pytest.raises(CassopsError, match="is the store up"):
            world.back_up(wait_timeout=600)
        assert 500 < world.kube.clock - before < 700
        assert len(tried) > 10
    found = catalogue.running(world.kube, "shop", "dc1")  # type: ignore[arg-type]
    assert found is not None
    assert found.state == backups.RUNNING
    uploads = [args for _pod, _where, args in world.store.commands if args[0] == "backup"]
    assert world.back_up()["backup"]["state"] == COMPLETE
    assert [args for _pod, _where, args in world.store.commands if args[0] == "backup"] == uploads
    world.assert_tidy()


@pytest.mark.parametrize("seen", [True, False], ids=["Kubernetes knows it", "Kubernetes does not know it yet"])
def test_the_pod_that_the_run_began_with_may_be_gone_at_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    """An upload takes hours, and a node can be healed meanwhile."""
    first, second, _third = world.nodes
    tried = failing(monkeypatch, "backup", 99, CassopsError(f"{first} is not there"), [first])
    plain = backup.Run.finish

    def finish(self: backup.Run, sight: Any) -> Any:
        if seen:
            gone = "shop-dc1-r1-0"
            monkeypatch.setattr(
                catalogue, "has_restic", lambda pod: pod["metadata"]["name"] != gone and any_named(pod, "backup")
            )
        return plain(self, sight)

    monkeypatch.setattr(backup.Run, "finish", finish)
    assert world.back_up(wait_timeout=600)["backup"]["state"] == COMPLETE
    assert tried == ([second] if seen else [first, second])


def test_a_backup_whose_nodes_are_all_in_is_complete_whoever_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_in(world: World, found: Manifest) -> bool:
        stored = [item.tags["kind"] for item in world.store.of("catalogue")]
        return bool(found.taken) and not found.missing and "backup" not in stored

    world, _found = killed_while(monkeypatch, all_in)
    assert world.back_up("b2")["backup"]["state"] == COMPLETE
    assert [text for text in world.warnings if "b1 was not finished" in text and "It is complete" in text]
    assert world.states() == {"b1": COMPLETE, "b2": COMPLETE}
    assert world.run(backup_verify, name="b1")["faults"] == []
    world.assert_tidy()


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", ["b1", "b2"])
def test_killed_before_any_write_it_is_finished_or_ended_by_the_next(
    monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    for lives in range(200):
        world = World.ready(monkeypatch)
        world.store.looks = 2
        if not world.killed(lives, world.back_up):
            break
        world.tick(backups.STALE)
        listed = world.states()
        stored = [item.tags["state"] for item in world.store.of("catalogue") if item.tags["kind"] == "backup"]
        assert set(listed.values()) <= {COMPLETE if stored else FAILED}, f"before write {lives}: {listed}"
        result = world.back_up(again)
        assert result["backup"]["state"] == COMPLETE, f"before write {lives}"
        assert {one["stored"] for one in result["backup"]["nodes"]} == {True}
        assert world.states().pop(again) == COMPLETE
        if stored:
            assert set(world.states().values()) == {COMPLETE}, "what was complete is never marked as failed"
        world.assert_tidy()
    assert lives > 20


def test_a_run_that_was_killed_does_not_take_its_snapshots_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says was taken then is what is stored, however much later."""
    world, found = killed_while(monkeypatch, lambda world, found: bool(found.taken and world.store.jobs))
    taken = [verb for _pod, verb in world.ring.nodetool if verb[0] == "snapshot"]
    result = world.back_up()
    assert [verb for _pod, verb in world.ring.nodetool if verb[0] == "snapshot"] == taken
    assert result["backup"]["taken"] == found.taken


def test_a_snapshot_that_failed_stays_failed_when_another_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it may be there, or last week's: what is compared with itself is always whole."""
    plain = FakeCassandra.one_verb

    def one_verb(self: FakeCassandra, kube: Any, pod: str, verb: Sequence[str]) -> Any:
        told = plain(self, kube, pod, verb)
        if verb[0] == "snapshot" and pod == "shop-dc1-r2-0":
            raise CassopsError("the process of nodetool was ended")
        return told

    def uploading(world: World, found: Manifest) -> bool:
        return bool(found.taken and world.store.jobs)

    with monkeypatch.context() as failing:
        failing.setattr(FakeCassandra, "one_verb", one_verb)
        world, found = killed_while(monkeypatch, uploading)
    assert [entry.pod for entry in found.nodes if not entry.snapshot] == ["shop-dc1-r2-0"]
    with pytest.raises(Failed, match=r"backup b1 is partial: shop-dc1-r2-0: the process of nodetool was ended"):
        world.back_up()
    assert world.states() == {"b1": PARTIAL}
    assert world.run(backup_info)["report"][-1] == "b1: shop-dc1-r2-0 is not in it"
    world.assert_tidy()


def killed_while(
    monkeypatch: pytest.MonkeyPatch, condition: Callable[[World, Manifest], bool], *before: str, **changes: Any
) -> tuple[World, Manifest]:
    """A datacenter whose backup b1 was killed when something was so, after the others of these names."""
    for lives in range(200):
        world = World.ready(monkeypatch)
        for name in before:
            world.back_up(name)
        assert world.killed(lives, partial(world.back_up, **changes))
        found = catalogue.running(world.kube, "shop", "dc1")  # type: ignore[arg-type]
        if found is not None and condition(world, found):
            return world, found
    raise AssertionError("it never was so")


# --- verify -----------------------------------------------------------------------------------------------------------


def test_a_sound_backup_is_found_well_and_marked(world: World) -> None:
    world.back_up()
    result = world.run(backup_verify)
    assert result["faults"] == []
    assert "6 files on 3 nodes" in result["report"][0]
    (one,) = world.run(backup_info)["backups"]
    assert one["verified"]
    assert world.store.jobs == {}


def test_what_is_damaged_is_named(world: World) -> None:
    world.back_up()
    pod = world.nodes[1]
    (snapshot,) = world.store.of(host_of(world, pod))
    lost = next(iter(snapshot.files))
    del snapshot.files[lost]
    world.store.damaged.add(f"s3:https://s3/b/shop/dc1/{host_of(world, world.nodes[2])}")
    with pytest.raises(Failed) as caught:
        world.run(backup_verify)
    first, second = caught.value.errors
    assert pod in first
    assert lost in first
    assert world.nodes[2] in second
    assert "pack 1234 is damaged" in second
    (one,) = world.run(backup_info)["backups"]
    assert one["damaged"]
    told = world.run(backup_info)["report"]
    assert "DAMAGED" in told[1]
    assert [line.startswith(f"b1: {pod}: ") for line in told[2:]] == [True, False]
    assert lost in told[2]
    assert "pack 1234 is damaged" in told[3]


def test_a_verification_that_cannot_be_read_does_not_hide_the_list(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue may be what is damaged, and that is when people look at the list."""
    world.back_up()
    (snapshot,) = world.store.of(host_of(world, world.nodes[1]))
    del snapshot.files[next(iter(snapshot.files))]
    with pytest.raises(Failed):
        world.run(backup_verify)

    def unreadable(*_: Any) -> None:
        raise CassopsError("restic dump ended with 1")

    monkeypatch.setattr(catalogue.Catalogue, "last_verification", unreadable)
    told = world.run(backup_info)["report"]
    assert "DAMAGED" in told[1]
    assert told[2].startswith("b1: what its last verification found cannot be read (restic dump ended with 1)")


def test_a_backup_that_runs_misses_nobody_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    world, found = killed_while(monkeypatch, lambda world, found: bool(found.taken and world.store.jobs))
    assert found.missing
    told = world.run(backup_info)
    assert told["backups"][0]["state"] == backups.RUNNING
    assert [line for line in told["report"] if "is not in it" in line] == []


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("lost", "ended while restic ran in it"),
        (11, "another restic has the repository"),
        (12, "another password"),
        (137, "ended with 137"),
    ],
)
def test_what_keeps_a_verification_from_being_done_is_no_damage(world: World, ending: Any, words: str) -> None:
    """Retention lets go of what is damaged."""
    world.back_up()
    world.store.endings[world.nodes[1]] = [ending]
    with pytest.raises(CassopsError, match=f"says nothing about it: .*{words}"):
        world.run(backup_verify)
    (one,) = world.run(backup_info)["backups"]
    assert (one["damaged"], one["verified"]) == (False, None)
    assert world.run(backup_verify)["faults"] == []


def test_a_check_that_takes_too_long_is_no_damage(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.back_up()
    with monkeypatch.context() as slow:
        slow.setattr("unit.plugins.module_utils.fake_restic.FakeRestic.look", stuck)
        with pytest.raises(CassopsError, match=r"says nothing about it: .*was not done within the 0 s of wait_timeout"):
            world.run(backup_verify, wait_timeout=0)
    assert world.run(backup_info)["backups"][0]["damaged"] is False


def test_a_check_does_not_keep_commit_logs_from_being_stored(world: World) -> None:
    world.back_up()
    before = len(world.store.commands)
    world.run(backup_verify)
    checks = [args for _pod, _place, args in world.store.commands[before:] if args[0] == "check"]
    assert len(checks) == 4
    assert all("--no-lock" in args for args in checks)
    assert not [args for _pod, _place, args in world.store.commands[before:] if args[0] == "unlock"]


def test_a_fault_is_one_also_where_not_all_could_be_looked_at(world: World) -> None:
    world.back_up()
    world.store.damaged.add(f"s3:https://s3/b/shop/dc1/{host_of(world, world.nodes[0])}")
    world.store.endings[world.nodes[1]] = [137]
    with pytest.raises(Failed) as caught:
        world.run(backup_verify)
    (fault,) = caught.value.errors
    assert world.nodes[0] in fault
    assert [text for text in world.warnings if text.startswith(f"could not be looked at: {world.nodes[1]}")]
    (one,) = world.run(backup_info)["backups"]
    assert one["damaged"]


def test_a_fault_is_one_also_where_another_nodes_document_could_not_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is compared with is gone from the repository; the store gave no answer for the next document."""
    world.back_up()
    host = host_of(world, world.nodes[0])
    world.store.of(host).clear()
    plain = catalogue.Catalogue._node

    def node(self: Any, name: str, entry: Any, each: Any) -> Any:
        if entry.host_id != host:
            raise CassopsError("the store gives no answer")
        return plain(self, name, entry, each)

    with monkeypatch.context() as away:
        away.setattr(catalogue.Catalogue, "_node", node)
        with pytest.raises(Failed, match="backup b1 is damaged") as caught:
            world.run(backup_verify)
    (fault,) = caught.value.errors
    assert fault.startswith(f"{world.nodes[0]}: ")
    assert "could not be looked at: the store gives no answer" in world.warnings


def back_up_with_schema(world: World) -> None:
    """With a table of those that every backup of the whole datacenter has, and that a sample needs."""
    table = "system_schema/tables-afddfb9dbc1e30688056eed6c302ba09"
    for pod in world.nodes:
        world.store.disks[pod] |= {f"{table}/snapshots/{SNAPSHOT}/nb-1-big-Data.db": 3}
    world.back_up()


def test_a_fault_is_one_also_where_no_sample_could_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    back_up_with_schema(world)
    world.store.damaged.add(f"s3:https://s3/b/shop/dc1/{host_of(world, world.nodes[0])}")

    def full(*_: Any) -> None:
        raise CassopsError("no room on the volume")

    monkeypatch.setattr(restore_volumes, "clean", lambda *_: None)
    monkeypatch.setattr(restore_volumes, "look", full)
    with pytest.raises(Failed, match="backup b1 is damaged"):
        world.run(backup_verify, sstables=True)
    assert "could not be looked at: no room on the volume" in world.warnings


def test_what_a_run_that_died_left_of_its_sample_goes_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From every node: another one may be chosen this time."""
    back_up_with_schema(world)
    done: list[tuple[str, str]] = []

    def look(_kube: Any, pod: str) -> Any:
        done.append(("look", pod))
        return SimpleNamespace(free=0)

    monkeypatch.setattr(restore_volumes, "clean", lambda _kube, pod, what: done.append((what, pod)))
    monkeypatch.setattr(restore_volumes, "look", look)
    assert world.run(backup_verify, sstables=True)["faults"] == []
    count = len(world.nodes)
    assert sorted(done[:count]) == [(backup_verify.SAMPLE, pod) for pod in world.nodes]
    assert sorted(done[count:]) == [("look", pod) for pod in world.nodes]


def test_two_datacenters_of_one_cluster_do_not_wait_for_each_other(world: World) -> None:
    """By the same clock all but one would be refused every night."""
    assert catalogue.lock_name("shop", "dc1") != catalogue.lock_name("shop", "dc2")
    world.back_up()
    assert ("Lease", catalogue.lock_name("shop", "dc1")) in world.kube.objects


def test_triggers_are_in_the_backup(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESCRIBE does not tell them."""
    row = {"keyspace_name": "Odd", "table_name": 'or"ders', "trigger_name": "audit", "options": {"class": "a.B'c"}}
    monkeypatch.setattr(FakeSession, "triggers", lambda _self, _consistency: [row])
    world.back_up()
    texts = [text for each in world.store.of(backups.CATALOGUE) for text in each.files.values()]
    stored = next(text for text in texts if "CREATE TRIGGER" in text)
    statement = next(each for each in json.loads(stored)["statements"] if each["kind"] == "trigger")
    assert statement["cql"] == """CREATE TRIGGER "audit" ON "Odd"."or""ders" USING 'a.B''c';"""
    assert statement["name"] == 'or"ders.audit'


def test_the_job_of_a_run_that_died_is_not_judged_for_this_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.back_up()
    plain = FakeRestic.end

    def end(self: FakeRestic, job: str) -> None:
        if self.pod == world.nodes[1]:
            raise CassopsError("the pod does not answer")
        plain(self, job)

    with monkeypatch.context() as deaf:
        deaf.setattr(FakeRestic, "end", end)
        with pytest.raises(CassopsError, match="says nothing about it: the pod does not answer"):
            world.run(backup_verify)
    assert world.run(backup_verify)["faults"] == []


def test_what_is_gone_is_a_fault(world: World) -> None:
    world.back_up()
    first, second, _third = world.nodes
    world.store.of(host_of(world, first)).clear()
    del world.store.repositories[f"s3:https://s3/b/shop/dc1/{host_of(world, second)}"]
    with pytest.raises(Failed, match="backup b1 is damaged") as caught:
        world.run(backup_verify)
    assert {text.split(":")[0] for text in caught.value.errors} == {first, second}
    documents = world.store.of("catalogue")
    documents.remove(next(item for item in documents if item.tags["kind"] == "node"))
    with pytest.raises(Failed, match="backup b1 is damaged: backup b1: documents are not in the catalogue any more"):
        world.run(backup_verify)


def test_a_backup_of_a_later_version_is_not_damaged(world: World) -> None:
    world.back_up()
    whole = next(item for item in world.store.of("catalogue") if item.tags["kind"] == "backup")
    (file,) = whole.files
    whole.files[file] = whole.files[file].replace('"format": 1', '"format": 9')
    with pytest.raises(CassopsError, match=r"says nothing about it: .*written by a later version"):
        world.run(backup_verify)


def test_a_manifest_that_is_damaged_is_named(world: World) -> None:
    """B4."""
    world.back_up()
    node = next(item for item in world.store.of("catalogue") if item.tags["kind"] == "node")
    (file,) = node.files
    node.files[file] = node.files[file].replace("nb-1", "nb-2")
    with pytest.raises(Failed, match=r"node [0-9a-z-]+: the manifest of a node is damaged: its SHA-256 is"):
        world.run(backup_verify)


def test_the_names_of_all_files_are_never_in_memory_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand nodes they are millions."""
    world.back_up()
    seen: dict[str, NodeManifest] = {}
    kept: list[NodeManifest] = []
    files_of, repositories = backup_verify.Check.files_of, backup_verify.Check.repositories

    def compare(self: backup_verify.Check, node: NodeManifest) -> list[str]:
        seen[node.host_id] = node
        return files_of(self, node)

    def check(self: backup_verify.Check, nodes: Sequence[NodeManifest]) -> list[str]:
        kept.extend(nodes)
        return repositories(self, nodes)

    monkeypatch.setattr(backup_verify.Check, "files_of", compare)
    monkeypatch.setattr(backup_verify.Check, "repositories", check)
    assert world.run(backup_verify)["faults"] == []
    assert sum(node.files for node in seen.values()) == 6
    assert kept == [seen[node.host_id].folded() for node in kept]
    assert sorted(node.host_id for node in kept) == sorted(seen)


def test_there_is_nothing_to_verify(world: World) -> None:
    with pytest.raises(CassopsError, match="there is no complete backup"):
        world.run(backup_verify)
    with pytest.raises(SpecError, match="read_data: must be a percentage"):
        world.run(backup_verify, read_data="all")


# --- purge ------------------------------------------------------------------------------------------------------------


def test_lists_of_files_are_not_kept_and_may_take_their_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    left, plain = [], backup.Run.finish

    def finish(self: Any, sight: Any) -> Any:
        left.append(self.found)
        return plain(self, sight)

    monkeypatch.setattr(backup.Run, "finish", finish)
    world.back_up("b1", wait_timeout=900)
    assert left == [{}]
    assert world.store.listed == [900.0] * 3
    world.run(backup_verify, wait_timeout=901)
    assert world.store.listed[3:] == [901.0] * 3
    assert not hasattr(backups.File("Data.db", 7), "__dict__")


def test_what_no_rule_keeps_goes_with_its_bytes(world: World) -> None:
    for number in range(1, 5):
        world.back_up(f"b{number}")
    told = world.run(backup_purge, check=True)
    assert told["changed"]
    assert told["removed"] == ["b1", "b2"]
    assert set(world.states()) == {"b1", "b2", "b3", "b4"}
    result = world.run(backup_purge)
    assert (result["changed"], result["removed"]) == (True, ["b1", "b2"])
    assert world.states() == {"b3": COMPLETE, "b4": COMPLETE}
    for part in ("catalogue", *(host_of(world, pod) for pod in world.nodes)):
        assert {item.tags["backup"] for item in world.store.of(part)} == {"b3", "b4"}
    pruned = {repository for _pod, repository, args in world.store.commands if args[0] == "prune"}
    assert len(pruned) == 4
    assert not world.run(backup_purge)["changed"]


def test_backups_of_some_tables_push_no_whole_one_out(world: World) -> None:
    for number in range(1, 4):
        world.back_up(f"w{number}")
    for number in range(1, 4):
        world.back_up(f"t{number}", tables=["shop.orders"])
    told = world.run(backup_purge)
    assert told["removed"] == ["w1", "t1"]
    assert told["kept"]["t3"].endswith(backups.NEWEST_OF_ITS_TABLES)
    # A person may take the last one of a table away, and the last whole one not.
    assert world.run(backup_purge, names=["t3"])["removed"] == ["t3"]
    with pytest.raises(Failed, match="w3 stays"):
        world.run(backup_purge, names=["w3"])
    listed = world.run(backup_info)
    assert {one["name"]: one["tables"] for one in listed["backups"]} == {"w2": [], "w3": [], "t2": ["shop.orders"]}
    assert listed["report"][-1] == "t2: of shop.orders only"
    assert world.run(backup_verify)["name"] == "w3"


def test_commit_logs_go_with_the_last_backup_that_needs_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts, the oldest first."""
    monkeypatch.setattr(backup_purge, "FORGOTTEN_AT_ONCE", 50)
    repository = world.store.repositories
    for name in ("b1", "b2"):
        world.back_up(name)
    place = next(each for each in repository if each.endswith(host_of(world, world.nodes[0])))
    began = world.kube.clock
    for minutes in range(-180, 1):
        tags = {"kind": "log", "segments": "x", "until": "1"}
        repository[place].append(Snapshot(world.store.number(), began + 60 * minutes, tags, {}))
    world.store.slow[place] = 900.0
    world.run(backup_purge, names=["b1"], wait_timeout=900)
    left = [snapshot.time for snapshot in repository[place] if "segments" in snapshot.tags]
    assert len(left) in (61, 62)
    assert min(left) >= began - 3660
    forgotten = [args for _pod, where, args in world.store.commands if args[0] == "forget" and where == place]
    assert max(len(args) for args in forgotten) == 51


def test_commit_logs_are_kept_for_days_and_not_as_long_as_backups(world: World) -> None:
    """Those of a day a month ago were some 1,400 a node, each of which every list has to read."""
    world.back_up("b1")
    place = next(each for each in world.store.repositories if each.endswith(host_of(world, world.nodes[0])))
    began = world.kube.clock
    for day in range(1, 40):
        tags = {"kind": "log", "segments": "x", "until": "1"}
        world.store.repositories[place].append(Snapshot(world.store.number(), began + 86400 * day, tags, {}))
    world.kube.clock = began + 86400 * 30
    world.back_up("b2")
    world.kube.clock = began + 86400 * 39
    plan = {**PLAN, "keep": {"monthly": 6}, "point_in_time": True}

    def left(**days: Any) -> float:
        told = world.run(backup_purge, backup={**plan, **days})
        assert told["removed"] == []
        times = [each.time for each in world.store.repositories[place] if "segments" in each.tags]
        return (min(times) - began) / 86400

    assert left(point_in_time_days=30) == 1
    foreseen = world.run(backup_purge, check=True, backup=plan)
    assert foreseen["changed"] is True
    assert foreseen["report"][-1].startswith("29 pieces of commit logs go")
    # From an hour before the backup on.
    assert left() == 30
    for check in (True, False):
        rested = world.run(backup_purge, check=check, backup=plan)
        assert rested["changed"] is False
        assert "commit logs" not in rested["report"][-1]


def test_check_mode_sees_what_a_backup_that_failed_left_in_a_repository(world: World) -> None:
    world.back_up("b1")
    place = next(each for each in world.store.repositories if each.endswith(host_of(world, world.nodes[0])))
    world.store.repositories[place].append(Snapshot("left", world.kube.clock - 7200, {"backup": "b0"}, {}))
    for changed in (True, False):
        assert world.run(backup_purge, check=True)["changed"] is changed
        assert world.run(backup_purge)["changed"] is changed


def test_a_purge_that_was_killed_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """B14: nothing that belongs to no backup is left for ever."""
    for lives in range(100):
        world = World.ready(monkeypatch)
        for number in range(1, 4):
            world.back_up(f"b{number}")
        if not world.killed(lives, partial(world.run, backup_purge)):
            break
        assert {"b2", "b3"} <= set(world.states()), f"before write {lives}"
        world.run(backup_purge)
        for part in ("catalogue", *(host_of(world, pod) for pod in world.nodes)):
            assert {item.tags["backup"] for item in world.store.of(part)} == {"b2", "b3"}, f"before write {lives}"
        world.run(backup_verify)
    assert lives > 5


def test_a_backup_that_is_not_finished_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """B2: what it uploaded belongs to no manifest yet."""
    world, _found = killed_while(monkeypatch, lambda _world, found: any(node.manifest for node in found.nodes), "b0")
    before = {part: len(found) for part, found in world.store.repositories.items()}
    world.run(backup_purge)
    assert {part: len(found) for part, found in world.store.repositories.items()} == before
    assert world.back_up("b1")["backup"]["state"] == COMPLETE


def test_a_repository_that_cannot_be_cleaned_keeps_no_other_from_giving_bytes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        world.back_up(f"b{number}")
    odd, plain = host_of(world, world.nodes[1]), FakeRestic.forget

    def forget(self: FakeRestic, ids: Sequence[str], limit: float = 120.0) -> None:
        if self.repository.endswith(odd):
            raise ResticError(f"{self.repository} is locked")
        plain(self, ids, limit)

    monkeypatch.setattr(FakeRestic, "forget", forget)
    with pytest.raises(Failed, match=f"{odd} is locked"):
        world.run(backup_purge)
    pruned = {place.rpartition("/")[2] for _pod, place, args in world.store.commands if args[0] == "prune"}
    assert pruned == {host_of(world, pod) for pod in world.nodes} - {odd}
    documents = {item.tags["kind"] for item in world.store.of("catalogue") if item.tags["backup"] == "b1"}
    assert documents >= {"node", "schema"}
    monkeypatch.setattr(FakeRestic, "forget", plain)
    world.run(backup_purge)
    for part in ("catalogue", *(host_of(world, pod) for pod in world.nodes)):
        assert {item.tags["backup"] for item in world.store.of(part)} == {"b2", "b3"}


def of_another(world: World, name: str, kind: str = "backup", **tags: str) -> Snapshot:
    """What a datacenter of the same names, in another namespace, has stored just now."""
    began = moment(world.kube.clock)
    told = {"kind": kind, "backup": name, "ledger": "another", "began": began, "finished": began, "state": COMPLETE}
    return Snapshot(world.store.number(), world.kube.clock, {**told, "nodes": "3", **tags}, {})


def test_two_datacenters_of_the_same_names_push_no_backup_of_each_other_out(world: World) -> None:
    world.back_up("b1")
    catalogue_, place = world.store.of("catalogue"), "s3:https://s3/b/shop/dc1/another-host"
    for name in ("a1", "a2", "a3"):
        world.kube.clock += 60
        catalogue_.append(of_another(world, name))
    # Its next one: what it has uploaded is in no manifest yet.
    world.kube.clock += 60
    running = [of_another(world, "a4", "node", host="another-host"), of_another(world, "a4", "data")]
    catalogue_.append(running[0])
    world.store.repositories[place] = [running[1]]
    for name in ("b2", "b3"):
        world.back_up(name)
    assert all("makes its backups in the same repository (3 by now" in text for text in world.warnings)
    before = len(world.store.commands)
    told = world.run(backup_purge)
    # Its restic may live, in a pod of the same name.
    unlocked = {where for _pod, where, args in world.store.commands[before:] if args[0] == "unlock"}
    assert {where.rpartition("/")[2] for where in unlocked} == {host_of(world, pod) for pod in world.nodes}
    assert told["removed"] == ["b1", "a1"]
    assert told["kept"]["a3"] == f"last 1, {backups.NEWEST}, {backups.ANOTHERS}"
    assert running[0] in catalogue_
    assert world.store.repositories[place] == [running[1]]
    assert "makes its backups in the same repository" in world.warnings[-1]
    assert world.run(backup_verify)["name"] == "b3"
    with pytest.raises(CassopsError, match="backup a3 in s3:https://s3/b is of another datacenter dc1"):
        world.back_up("a3")
    # It may be gone.
    assert world.run(backup_purge, names=["a2", "a3"])["removed"] == ["a2", "a3"]


def test_a_lock_that_may_be_anothers_is_left_and_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 4):
        world.back_up(f"b{number}")
    world.store.of("catalogue").append(of_another(world, "a1"))

    def forget(self: FakeRestic, ids: Sequence[str], limit: float = 120.0) -> None:
        raise self.failure("forget", 11, "unable to create lock: repository is already locked by PID 7")

    monkeypatch.setattr(FakeRestic, "forget", forget)
    with pytest.raises(CassopsError, match=r"already locked by PID 7\. Another datacenter of the same names .* unlock"):
        world.run(backup_purge)


def test_who_takes_the_place_of_a_datacenter_of_the_same_names_goes_on_in_its_catalogue(world: World) -> None:
    world.back_up("b0")
    catalogue_ = world.store.of("catalogue")
    catalogue_[:] = [of_another(world, name) for name in ("a1", "a2")]
    assert "a2" in world.run(backup_purge)["kept"]
    for name in ("b1", "b2", "b3"):
        world.back_up(name)
    assert world.run(backup_purge)["removed"] == ["b1"]
    unlocked = {where.rpartition("/")[2] for _pod, where, args in world.store.commands if args[0] == "unlock"}
    assert "catalogue" in unlocked
    assert world.warnings == []


def test_backups_of_an_earlier_release_are_the_datacenters_own(world: World) -> None:
    for number in range(1, 4):
        world.back_up(f"b{number}")
    for item in world.store.of("catalogue"):
        item.tags.pop("ledger")
        for file, text in item.files.items():
            item.files[file] = re.sub(r' *"ledger": "\w+",\n', "", text)
    assert world.run(backup_purge)["removed"] == ["b1"]
    assert world.run(backup, name="b3")["changed"] is False
    assert world.warnings == []


@pytest.mark.parametrize("whose", ["another", ""])
def test_commit_logs_of_another_datacenter_are_measured_by_its_own_backups(world: World, whose: str) -> None:
    world.back_up("b1")
    began, place = world.kube.clock, next(each for each in world.store.repositories if not each.endswith("catalogue"))
    world.store.of("catalogue").append(of_another(world, "a1"))
    for day in range(1, 40):
        world.kube.clock = began + 86400 * day
        log = of_another(world, "", "log", until="1", segments="x", ledger=whose)
        world.store.repositories[place].append(log)
    world.kube.clock = began + 86400 * 30
    world.back_up("b2")
    world.kube.clock = began + 86400 * 39
    assert world.run(backup_purge, backup={**PLAN, "point_in_time": True})["changed"] is not bool(whose)


def test_an_empty_catalogue_removes_nothing(world: World) -> None:
    """Somebody has put a wrong address into the inventory, or emptied the catalogue."""
    world.back_up("b1")
    world.store.repositories["s3:https://s3/b/shop/dc1/catalogue"].clear()
    result = world.run(backup_purge)
    assert not result["changed"]
    for pod in world.nodes:
        assert len(world.store.of(host_of(world, pod))) == 1


def test_the_last_good_one_cannot_be_named(world: World) -> None:
    world.back_up("b1")
    world.run(backup_verify)
    world.back_up("b2")
    with pytest.raises(Failed) as caught:
        world.run(backup_purge, names=["b1", "b2", "b9"])
    assert caught.value.errors == [
        "names: there is no backup b9",
        f"names: backup b1 stays: {backups.LAST_VERIFIED}",
        f"names: backup b2 stays: {backups.NEWEST}",
    ]
    world.back_up("b3")
    assert world.run(backup_purge, names=["b2"])["removed"] == ["b2"]
    assert set(world.states()) == {"b1", "b3"}


def test_what_is_in_the_list(world: World) -> None:
    assert world.run(backup_info)["report"] == ["there is no backup yet: the playbook backup makes one"]
    world.back_up("b1")
    result = world.run(backup_info, name="b1", query="backups[0].state")
    assert result["query"] == COMPLETE
    assert [node["node"] for node in result["backup"]["nodes"]] == world.nodes
    with pytest.raises(CassopsError, match="there is no backup b9"):
        world.run(backup_info, name="b9")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (None, {"all", "some"}),
        ([], {"all"}),
        (["shop.orders", "till"], {"all", "some"}),
        (["till.receipts"], {"all", "some"}),
        (["shop.orders", "shop.items"], {"all"}),
    ],
)
def test_only_backups_of_what_is_asked_for(world: World, asked: list[str] | None, told: set[str]) -> None:
    """What a drill asks before it deploys anything."""
    world.back_up("all")
    world.kube.clock += 60
    world.back_up("some", tables=["shop.orders", "till"])
    result = world.run(backup_info, tables=asked)
    assert {one["name"] for one in result["backups"]} == told
    assert any(line.startswith("some") for line in result["report"]) is ("some" in told)


def test_whose_a_backup_is(world: World) -> None:
    world.back_up("b1")
    world.kube.clock += 60
    world.store.of("catalogue").append(of_another(world, "a1"))
    world.store.of("catalogue").append(of_another(world, "a2", ledger=""))
    told = world.run(backup_info)
    assert {one["name"]: one["own"] for one in told["backups"]} == {"a1": False, "a2": None, "b1": True}
    assert told["report"][-1] == "of another datacenter of these names: a1"
    assert [
        word for word in world.warnings if "makes its backups in the same repository (1 by now, such as a1)" in word
    ]
    # Nobody says whose they are while there is nothing to compare with.
    world.warnings.clear()
    del world.kube.objects["ConfigMap", "shop-dc1-ledger"]
    told = world.run(backup_info)
    assert {one["own"] for one in told["backups"]} == {None}
    assert "another" not in " ".join([*told["report"], *world.warnings])


def test_locks_of_a_purge_that_died_end_no_backup_and_no_purge(world: World) -> None:
    """restic looks at no lock's age, so it would be in the way for ever."""
    world.back_up("b1")
    world.store.locked |= {*world.store.repositories}
    assert world.back_up("b2")["backup"]["state"] == COMPLETE
    assert world.store.locked == set()
    world.store.locked |= {*world.store.repositories}
    world.run(backup_purge, backup={**PLAN, "keep": {"last": 1}})
    assert world.back_up("b3")["backup"]["state"] == COMPLETE


def test_locks_stay_where_another_of_the_same_names_may_be_at_work(world: World) -> None:
    world.back_up("b1")
    world.back_up("b2")
    (catalogued,) = [where for where in world.store.repositories if where.endswith("/catalogue")]
    for snapshot in world.store.repositories[catalogued]:
        if snapshot.tags["backup"] == "b2":
            snapshot.tags["ledger"] = "of-a-namesake"
    world.store.locked.add(catalogued)
    with pytest.raises(CassopsError, match="another restic has the repository"):
        world.back_up("b3")
    assert world.store.locked == {catalogued}


@pytest.mark.parametrize("died", [False, True], ids=["after a purge alone", "after a backup that died too"])
def test_a_purge_whose_run_was_killed_is_ended_before_anything_is_stored(
    monkeypatch: pytest.MonkeyPatch, died: bool
) -> None:
    """It goes on in the pods, and restic lets nobody else in until it is done. An evicted job begins with a backup."""
    for lives in range(100):
        world = World.ready(monkeypatch)
        world.store.looks = 5
        for number in range(1, 4):
            world.back_up(f"b{number}")
        assert world.killed(lives, partial(world.run, backup_purge))
        if world.store.jobs:
            break
    assert {job for _pod, job in world.store.jobs} == {backup_purge.JOB}
    if died:
        running = dataclasses.replace(MANIFEST, state=backups.RUNNING, taken=MANIFEST.began)
        catalogue.write_running(world.kube, running)  # type: ignore[arg-type]
    plain = FakeKube.before_write

    def before_write(self: FakeKube, what: str) -> None:
        assert not what.startswith("restic") or not any(job == "purge" for _pod, job in world.store.jobs), what
        plain(self, what)

    monkeypatch.setattr(FakeKube, "before_write", before_write)
    assert world.back_up("b9")["backup"]["state"] == COMPLETE
    world.assert_tidy()


@pytest.mark.parametrize("first", [True, False], ids=["its first backup", "a later one"])
def test_no_upload_takes_away_the_lock_of_another_datacenters_purge(world: World, first: bool) -> None:
    """Its nodes have the host ids of these where it was restored from their backup."""
    world.back_up("b1")
    if first:
        for snapshot in world.store.of("catalogue"):
            snapshot.tags["ledger"] = "another"
    else:
        world.kube.clock += 60
        world.store.of("catalogue").append(of_another(world, "a1"))
    place = f"s3:https://s3/b/shop/dc1/{host_of(world, world.nodes[1])}"
    world.store.locked.add(place)
    with pytest.raises(Failed, match=f"{world.nodes[1]}.* another restic has the repository"):
        world.back_up("b2")
    assert world.store.locked == {place}


def test_a_purge_leaves_the_repositories_of_another_datacenters_nodes_alone(world: World) -> None:
    for number in range(1, 4):
        world.back_up(f"b{number}")
    place = "s3:https://s3/b/shop/dc1/another-host"
    for name in ("a1", "a2", "a3", "a4"):
        world.kube.clock += 60
        world.store.of("catalogue").append(of_another(world, name, "node", host="another-host"))
        world.store.of("catalogue").append(of_another(world, name))
        world.store.repositories.setdefault(place, []).append(of_another(world, name, "data"))
    before = len(world.store.commands)
    for check in (True, False):
        assert world.run(backup_purge, check=check)["removed"] == ["b1", "a1", "a2"]
    assert [args for _pod, where, args in world.store.commands[before:] if where == place] == []
    assert len(world.store.repositories[place]) == 4
    # Of one whose backups a person names nobody else takes the bytes away.
    assert world.run(backup_purge, names=["a3", "a4"])["removed"] == ["a3", "a4"]
    assert world.store.repositories[place] == []
    asked = [args[0] for _pod, where, args in world.store.commands[before:] if where == place]
    assert asked == ["forget", "cat", "prune"]


def test_a_purge_cleans_the_repositories_of_a_datacenter_whose_place_this_one_took(world: World) -> None:
    world.store.repositories["s3:https://s3/b/shop/dc1/catalogue"] = [
        of_another(world, "a0", kind, host="another-host") for kind in ("node", "schema")
    ]
    place = "s3:https://s3/b/shop/dc1/another-host"
    world.store.repositories[place] = [of_another(world, "a0", "data")]
    world.back_up("b1")
    before = len(world.store.commands)
    world.run(backup_purge)
    assert "prune" in [args[0] for _pod, where, args in world.store.commands[before:] if where == place]


def test_a_name_that_is_that_of_a_backup_of_other_tables_is_refused(world: World) -> None:
    """Whoever takes it before a change would have no backup."""
    world.back_up("before", tables=["shop.items"])
    assert world.back_up("before", tables=["shop.items"])["changed"] is False
    with pytest.raises(CassopsError, match=r"before is there already, and it is of shop\.items only"):
        world.back_up("before")


def complete_but_for_its_note(world: World, _found: Manifest) -> bool:
    return any(item.tags["kind"] == "backup" for item in world.store.of("catalogue"))


@pytest.mark.parametrize(
    ("condition", "state"),
    [
        (lambda world, found: bool(found.taken and world.store.jobs), "was begun"),
        (complete_but_for_its_note, "is there already"),
    ],
    ids=["it uploads", "it is complete"],
)
@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        ({"tables": ["shop.orders"]}, {}, r"of shop\.orders only"),
        ({}, {"tables": ["shop.orders"]}, "of everything"),
        ({}, {"backup": {**PLAN, "exclude_keyspaces": ["system_traces"]}}, "of everything"),
    ],
)
def test_a_backup_of_other_tables_that_died_is_not_taken_up(
    monkeypatch: pytest.MonkeyPatch, condition: Any, state: str, first: Any, then: Any, words: str
) -> None:
    """It would be called complete, with less in it than was asked for."""
    world, _found = killed_while(monkeypatch, condition, **first)
    before = world.writes()
    for check in (True, False):
        with pytest.raises(CassopsError, match=f"b1 {state}, and it is {words}: .*choose another name"):
            world.run(backup, check=check, name="b1", **then)
    assert [what for what in world.writes()[len(before) :] if "Lease" not in what] == []
    assert world.back_up("b1", **first)["backup"]["state"] == COMPLETE
    world.assert_tidy()


def test_a_backup_that_died_before_its_snapshots_was_of_nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _found = killed_while(monkeypatch, lambda _world, found: not found.taken)
    made = world.back_up("b1", tables=["shop.orders"])
    assert (made["backup"]["state"], made["backup"]["tables"]) == (COMPLETE, ["shop.orders"])
    world.assert_tidy()


def test_a_keyspace_that_is_made_while_snapshots_are_taken_is_in_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    plain = backup.Run.schema

    def schema(self: backup.Run, pod: str) -> Schema:
        told = plain(self, pod)
        asked.append(pod)
        made = Statement("fresh", "table", "t", "CREATE TABLE fresh.t (a int PRIMARY KEY)")
        return told if len(asked) == 1 else dataclasses.replace(told, statements=(*told.statements, made))

    monkeypatch.setattr(backup.Run, "schema", schema)
    versions = iter(["another", *["schema-1"] * 9])
    monkeypatch.setattr(backup.Run, "schema_version", lambda self, pod: next(versions))
    before = len(world.ring.nodetool)
    world.back_up("b1", backup={**PLAN, "exclude_keyspaces": ["system_traces"]})
    first, second = [
        verb for pod, verb in world.ring.nodetool[before:] if verb[0] == "snapshot" and pod == world.nodes[0]
    ]
    assert "fresh" not in first
    assert "fresh" in second


def test_a_newest_backup_that_is_too_old_fails(world: World) -> None:
    with pytest.raises(Failed, match="there is no complete backup of it, needed is one of the last 26 hours"):
        world.run(backup_info, max_age=26.0)
    world.back_up("b1")
    world.kube.clock += 26 * 3600
    assert world.run(backup_info, max_age=27.0)["backups"]
    assert world.run(backup_info, max_age=0.0)["backups"]
    for check in (False, True):
        with pytest.raises(
            Failed, match=r"datacenter dc1 of cluster shop: its newest complete backup, b1, began 26\.\d"
        ):
            world.run(backup_info, check=check, max_age=25.5)
    with pytest.raises(Failed) as failed:
        world.run(backup_info, max_age=1.0, query="backups[0].name")
    assert failed.value.result["query"] == "b1"


def test_a_backup_that_nobody_could_go_back_to_is_not_the_newest(world: World) -> None:
    """One of some tables or without a keyspace, one that lacks a node, one that was found damaged, and another's."""
    listed = [
        Listed("good", COMPLETE, 100.0, None, 3, ledger="own"),
        Listed("tables", COMPLETE, 200.0, None, 3, tables=("shop.orders",), ledger="own"),
        Listed("partial", PARTIAL, 300.0, None, 3, ledger="own"),
        Listed("damaged", COMPLETE, 400.0, None, 3, damaged=True, ledger="own"),
        Listed("other", COMPLETE, 500.0, None, 3, ledger="another"),
        Listed("without", COMPLETE, 600.0, None, 3, excluded=("scratch",), ledger="own"),
    ]
    assert "its newest complete backup, good, began 2.0 hours ago" in backup_info.too_old(listed, "own", 7300.0, 1)
    assert backup_info.too_old(listed, "own", 7300.0, 2) == ""
    assert "other" in backup_info.too_old(listed, "", 7300.0, 1), "without a ledger nobody knows whose it is"


def test_what_is_passed_over_is_told_where_the_newest_is_too_old() -> None:
    """Otherwise a schedule with exclude_keyspaces fails every night, and the list shows complete backups alone."""
    good = Listed("good", COMPLETE, 100.0, None, 3, ledger="own")
    passed = [
        Listed("failed", FAILED, 250.0, None, 3, ledger="own"),
        Listed("other", COMPLETE, 300.0, None, 3, ledger="another"),
        Listed("tables", COMPLETE, 400.0, None, 3, tables=("shop.orders",), ledger="own"),
        Listed("damaged", COMPLETE, 500.0, None, 3, damaged=True, ledger="own"),
        Listed("without", COMPLETE, 600.0, None, 3, excluded=("scratch",), ledger="own"),
    ]
    advice = (
        "; a whole datacenter cannot be made of one without some keyspaces: take exclude_keyspaces out, or watch "
        "without max_age"
    )
    needed = "needed is one of the last 1 hours (max_age)"
    assert backup_info.too_old(passed[-1:], "own", 7300.0, 1) == (
        f"there is no complete backup of it, {needed}; these do not count: without (without scratch){advice}"
    )
    assert backup_info.too_old([good, *passed], "own", 7300.0, 1) == (
        f"its newest complete backup, good, began 2.0 hours ago, {needed}; these do not count: without (without "
        f"scratch), damaged (damaged), tables (of shop.orders only) and 1 more{advice}"
    )
    assert backup_info.too_old([good, *passed[:2]], "own", 7300.0, 1).endswith(
        "; these do not count: other (of another datacenter)"
    )
    # What is older than the newest one is no reason.
    assert backup_info.too_old([*passed, dataclasses.replace(good, began=700.0)], "own", 7300.0, 1).endswith(needed)


def test_the_query_of_the_modules_example_finds_what_the_datacenter_can_go_back_to(world: World) -> None:
    examples = yaml.safe_load(backup_info_module.EXAMPLES)
    (query,) = [task["cassops.kubernetes.backup_info"]["query"] for task in examples if "register" in task]
    world.back_up("b1")
    world.back_up("b2", tables=["shop.orders"])
    world.back_up("b3", backup={**PLAN, "exclude_keyspaces": ["scratch"]})
    result = world.run(backup_info, query=query)
    assert [(one["name"], one["tables"], one["excluded"]) for one in result["backups"]] == [
        ("b1", [], []),
        ("b2", ["shop.orders"], []),
        ("b3", [], ["scratch"]),
    ]
    assert result["report"][-1] == "b3: without scratch"
    assert result["query"] == "b1"
    told = result["backups"][0]
    for changes in ({"damaged": True}, {"own": False}, {"state": PARTIAL}):
        assert jmespath.search(query, {"backups": [told, {**told, "name": "b4", **changes}]}) == "b1"
    assert jmespath.search(query, {"backups": [told, {**told, "name": "b4", "own": None}]}) == "b4"
