# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores of a datacenter in memory, with real folders as volumes and the real scripts: killed before any write,
refused, taken up, given up."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from unit.plugins.module_utils.fake_cassandra import FakeCassandra, FakeSession, Role
from unit.plugins.module_utils.fake_kube import Disk, FakeKube, Killed
from unit.plugins.module_utils.fake_restic import FakeRestic, Snapshot
from unit.plugins.module_utils.operations.test_backup import PLAN, World, host_of

from ansible_collections.cassops.kubernetes.plugins.module_utils import backups, nodetool, restic, restore_scripts
from ansible_collections.cassops.kubernetes.plugins.module_utils.backups import SNAPSHOT, moment
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecResult, ExecTimeout, Unreachable
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Lock, Locked
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests.archive import WANT
from ansible_collections.cassops.kubernetes.plugins.module_utils.nodetool import NodetoolError
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    backup,
    backup_info,
    backup_purge,
    backup_verify,
    repairing,
    restore,
    restore_tables,
    restore_volumes,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.members import UNCLEAN
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.restore_datacenter import Swapping
from ansible_collections.cassops.kubernetes.plugins.module_utils.restoring import from_config_map

ORDERS = "0123456789abcdef0123456789abcdef"
ID = "01234567-89ab-cdef-0123-456789abcdef"
STATEMENTS = [
    (
        "shop",
        "keyspace",
        "shop",
        "CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': '3'};",
    ),
    ("shop", "table", "orders", f"CREATE TABLE shop.orders (id int PRIMARY KEY, note text) WITH ID = {ID};"),
    ("shop", "index", "by_note", "CREATE INDEX by_note ON shop.orders (note);"),
    ("shop", "table", "items", f"CREATE TABLE shop.items (id int PRIMARY KEY) WITH ID = {ID[:-1]}0;"),
]
FILES = {
    f"shop/orders-{ORDERS}/nb-1-big-Data.db": "orders",
    f"shop/orders-{ORDERS}/.by_note/nb-1-big-Data.db": "index",
    f"shop/items-{ORDERS[:-1]}0/nb-1-big-Data.db": "items",
    "system/local-7ad54392bcdd35a684174e047860b377/nb-1-big-Data.db": "who it is",
    "system_schema/tables-afddfb9dbc1e30688056eed6c302ba09/nb-1-big-Data.db": "schema",
    "system_auth/roles-5bc52802de2535edaeab188eecebb090/nb-1-big-Data.db": "logins",
}
SCRIPTS = {
    getattr(restore_scripts, name): name
    for name in ("LOOK", "SIZES", "ARRANGE", "HOLD", "SWAP", "REPLAY", "RETURN", "BREAK", "RELEASE", "FOLDERS")
}
SCRIPTS |= {getattr(restore_scripts, name): name for name in ("FORGET", "CLEAN")}
PLANNED = ("ConfigMap", "shop-dc1-restore")
READ_ONLY = ("LOOK", "SIZES", "FOLDERS", "SNAPSHOTS")
KEPT = "before-restore-"


class Restorable(World):
    """A datacenter with a backup, whose volumes are folders."""

    root: Path
    events: list[str]
    columns: list[dict[str, Any]]
    # Whether repairs are on record.
    records = False
    # How sstableverify ends.
    verdict = 0
    verdict_words = ""

    @classmethod
    def saved(cls, monkeypatch: pytest.MonkeyPatch, root: Path) -> Restorable:
        world = cls.ready(monkeypatch)
        assert isinstance(world, Restorable)
        world.root, world.events, world.columns = root, [], []
        world.ring.described = list(STATEMENTS)  # type: ignore[attr-defined]
        world.wire(monkeypatch)
        for pod in world.nodes:
            for path, text in FILES.items():
                world.write(pod, f"data/{path}", text)
            world.write(pod, "commitlog/CommitLog-7-1.log", "writes after the backup")
            world.store.disks[pod] = {snapshot_path(path): len(text) for path, text in FILES.items()}
        world.back_up()
        # Rows that came after the backup.
        for pod in world.nodes:
            world.write(pod, f"data/shop/orders-{ORDERS}/nb-2-big-Data.db", "newer")
            world.write(pod, "data/system_auth/roles-5bc52802de2535edaeab188eecebb090/nb-2-big-Data.db", "newer login")
        world.kube.cut_off.clear()
        world.events.clear()
        return world

    def wire(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = self
        monkeypatch.setattr(
            restore_volumes, "Restic", lambda _kube, pod, place: FakeRestic(world.kube, pod, place, world.store)
        )
        plain_exec, plain_start, plain_ended = FakeKube.exec, FakeKube.start, FakeRestic.ended
        plain_execute, plain_verb = FakeSession.execute, FakeCassandra.one_verb

        def run(self: FakeKube, pod: str, argv: Any, *rest: Any, **options: Any) -> ExecResult:
            if restic.CONTAINER in rest and argv[2] in SCRIPTS:
                return world.script(pod, SCRIPTS[argv[2]], argv)
            if argv[2:3] == [restore_scripts.SNAPSHOTS]:
                return world.script(pod, "SNAPSHOTS", argv)
            if argv[2:3] == [restore_scripts.VERIFY]:
                return world.sstableverify(pod, argv)
            if argv[2:] == [WANT, "sh"]:
                world.wanted(pod)
                return ExecResult(0, "", "")
            return plain_exec(self, pod, argv, *rest, **options)

        def start(self: FakeKube, pod: str) -> None:
            held = world.volume(pod) / ".cassops/restoring"
            if held.exists():
                self.held[pod] = f"a restore ({held.read_text().strip()}) puts its data in place; the playbook restore"
            else:
                plain_start(self, pod)

        def ended(self: FakeRestic, args: Sequence[str], lines: Sequence[str]) -> Any:
            job = plain_ended(self, args, lines)
            if args[0] == "restore" and job.rc == 0:
                world.download(self, args, lines)
            return job

        def execute(self: FakeSession, statement: str, *rest: Any, **options: Any) -> Any:
            if statement in (restore.COLUMNS, restore.DROPPED, restore.TYPES):
                return list(world.columns) if statement == restore.COLUMNS else []
            made = re.match(r"CREATE (KEYSPACE|TABLE|INDEX)|ALTER TABLE|TRUNCATE", statement)
            if not made:
                return plain_execute(self, statement, *rest, **options)
            world.ring.change(statement, lambda: world.define(statement))
            return []

        def one_verb(self: FakeCassandra, kube: Any, pod: str, verb: Sequence[str]) -> Any:
            if verb[0] == "import":
                return self.change(f"import on {pod}", lambda: world.take(pod, verb))
            if verb[0] == "snapshot" and verb[2].startswith(KEPT):
                return self.change(f"snapshot on {pod}", lambda: world.keep(pod, verb))
            if verb[0] == "repair":
                return self.change(f"repair on {pod}", lambda: world.compare(pod, verb))
            return plain_verb(self, kube, pod, verb)

        def describe(self: FakeSession, consistency: str) -> Any:
            keys = ("keyspace_name", "type", "name", "create_statement")
            return [dict(zip(keys, row, strict=True)) for row in world.ring.described]  # type: ignore[attr-defined]

        monkeypatch.setattr(FakeKube, "exec", run)
        monkeypatch.setattr(FakeKube, "start", start)
        monkeypatch.setattr(FakeRestic, "ended", ended)
        monkeypatch.setattr(FakeSession, "execute", execute)
        monkeypatch.setattr(FakeSession, "describe", describe)
        monkeypatch.setattr(FakeCassandra, "one_verb", one_verb)

    # What happens in the pods

    def volume(self, pod: str) -> Path:
        return self.root / pod / "var/lib/cassandra"

    def write(self, pod: str, path: str, text: str) -> None:
        file = self.volume(pod) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def files(self, pod: str, folder: str = "") -> dict[str, str]:
        """But for those of snapshots."""
        top = self.volume(pod) / folder
        found = [file for file in sorted(top.rglob("*")) if file.is_file()]
        return {str(file.relative_to(top)): file.read_text() for file in found if "snapshots" not in file.parts}

    def kept(self, pod: str) -> dict[str, str]:
        """What the snapshots have that a restore takes: table/file -> text."""
        found = (self.volume(pod) / "data").glob(f"*/*/snapshots/{KEPT}*/*")
        return {f"{file.parts[-4].partition('-')[0]}/{file.name}": file.read_text() for file in found}

    def script(self, pod: str, name: str, argv: Sequence[str]) -> ExecResult:
        self.kube.alive()
        if name not in READ_ONLY:
            self.kube.before_write(f"{name} {pod}")
        # Held pods look at the ledger again whenever another thread looks at pods: not in the middle of that.
        with self.kube.lock:
            assert name not in ("SWAP", "RETURN") or pod in self.kube.held, f"{pod} runs while its data changes"
        self.volume(pod).mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "CASSOPS_ROOT": str(self.root / pod)}
        done = subprocess.run([*argv], env=environment, capture_output=True, text=True, check=False)
        if name == "SWAP" and done.returncode == 0:
            self.kube.disks.setdefault(f"data-{pod}", Disk(self.kube.ledger().id, argv[5]))
        if name in ("SWAP", "REPLAY", "RELEASE", "HOLD", "RETURN"):
            self.events.append(f"{name} {pod}")
        self.kube.changed()
        return ExecResult(done.returncode, done.stdout, done.stderr)

    def download(self, client: FakeRestic, args: Sequence[str], lines: Sequence[str]) -> None:
        """What restic does for C(restore --target ... --include-file ...)."""
        target = args[args.index("--target") + 1].removeprefix("/var/lib/cassandra/")
        if restic.EACH in args:
            for snapshot in lines:
                for path in client.files(snapshot):
                    self.write(client.pod, f"{target}/{path}", snapshot)
            self.events.append(f"log {client.pod}")
            return
        texts = {snapshot_path(path): text for path, text in FILES.items()}
        for path in client.files(args[args.index("--json") + 1]):
            if not lines or any(f"/{path}".startswith(f"{line}/") for line in lines):
                self.write(client.pod, f"{target}/{path}", texts[path])
        self.events.append(f"download {client.pod}")

    def store_log(self, pod: str, ago: float, *segments: int, lost: float | None = None) -> None:
        """What the container stores by itself, so many seconds ago."""
        time = self.kube.clock - ago
        names = [f"CommitLog-7-{number}.log" for number in segments]
        tags = {"kind": "log", "segments": "+".join(names), "size": "32", "until": str(int(time))}
        tags |= {} if lost is None else {"lost": str(int(lost))}
        place = f"s3:https://s3/b/shop/dc1/{host_of(self, pod)}"
        snapshot = Snapshot(self.store.number(), time, tags, dict.fromkeys(names, 32))
        self.store.repositories[place].append(snapshot)

    def wanted(self, pod: str) -> None:
        self.events.append(f"want {pod}")
        self.store_log(pod, 0, 3)

    def define(self, statement: str) -> None:
        if statement.startswith("ALTER TABLE"):
            described: list[tuple[str, ...]] = self.ring.described  # type: ignore[attr-defined]
            (place,) = [number for number, row in enumerate(described) if f" {'.'.join(row[:3:2])} " in statement]
            described[place] = (*described[place][:3], f"{described[place][3]}\n{statement};")
            self.events.append(" ".join(statement.split()[:4]))
            return
        if "gone int" in statement:
            self.ring.described.append((*STATEMENTS[1][:3], f"{statement};"))  # type: ignore[attr-defined]
            self.events.append("CREATE TABLE shop.orders")
            return
        row = next((row for row in STATEMENTS if row[3].rstrip(";") == statement), None)
        if row is not None:
            self.ring.described.append(row)  # type: ignore[attr-defined]
        else:
            table = statement.rpartition(".")[2].strip('"')
            for pod in self.nodes:
                for file in (self.volume(pod) / "data/shop").glob(f"{table}-*/*"):
                    if file.is_file():
                        file.unlink()
                    elif file.name != "snapshots":
                        shutil.rmtree(file)
        self.events.append(" ".join(statement.split()[:3]))

    def keep(self, pod: str, verb: Sequence[str]) -> None:
        """As nodetool does it: all of the tables, or none where one has a snapshot of that name."""
        tables = [table.split(".") for table in verb[verb.index("-kt") + 1].split(",")]
        folders = [path for ks, name in tables for path in (self.volume(pod) / "data" / ks).glob(f"{name}-*")]
        for folder in folders:
            (folder / "snapshots" / verb[2]).mkdir(parents=True)
            for file in [each for each in folder.iterdir() if each.is_file()]:
                shutil.copy(file, folder / "snapshots" / verb[2])
        self.events.append(f"snapshot {pod}")

    def take(self, pod: str, verb: Sequence[str]) -> None:
        keyspace, table = verb[verb.index("--") + 1 :][:2]
        for folder in map(Path, verb[verb.index("--") + 3 :]):
            for file in [each for each in folder.iterdir() if each.is_file()]:
                goal = self.volume(pod) / "data" / keyspace / folder.name
                goal.mkdir(parents=True, exist_ok=True)
                file.rename(goal / f"imported-{file.name}")
        self.events.append(f"import {table} {pod}")

    def keep_records(self) -> None:
        """Of repairs from now on."""
        self.records = True
        self.ring.replication["shop"] = {"class": "NetworkTopologyStrategy", "dc1": "3"}

    def compare(self, pod: str, verb: Sequence[str]) -> None:
        self.events.append(f"repair {pod}")
        if self.records:
            self.kube.clock += 100
            keyspace, *tables = verb[verb.index("--") + 1 :]
            self.ring.compare(pod, keyspace, self.kube)
            self.ring.history[-1]["columnfamily_names"] |= set(tables)

    def sstableverify(self, pod: str, argv: Sequence[str]) -> ExecResult:
        folder, keyspace, table = argv[4:7]
        there = self.files(pod, folder.removeprefix("/var/lib/cassandra/"))
        assert any(path.startswith("system_schema/") for path in there), there
        read = [text for path, text in there.items() if path.startswith(f"{keyspace}/{table}-")]
        self.events.append(f"verify {keyspace}.{table}: {len(read)} files")
        return ExecResult(self.verdict, "", self.verdict_words if self.verdict else "")

    # Runs

    def restore(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        return self.run(restore, check, **{"name": "b1", "variable_prefix": "restore_", **changes})

    def drop(self) -> None:
        self.ring.described.clear()  # type: ignore[attr-defined]
        for pod in self.nodes:
            shutil.rmtree(self.volume(pod) / "data/shop")

    def assert_clean(self) -> None:
        """No plan, no staging folder, no job, nobody held, no lock."""
        assert self.kube.get("ConfigMap", "shop-dc1-restore") is None
        assert self.store.jobs == {}
        for pod in self.nodes:
            assert not (self.volume(pod) / ".cassops/restore").exists()
            assert not (self.volume(pod) / ".cassops/restoring").exists()
        assert self.kube.held == {}
        for lease in ("shop-lock", "shop-dc1-backup-lock"):
            assert self.kube.one("Lease", lease)["spec"]["holderIdentity"] == ""


def snapshot_path(path: str) -> str:
    keyspace, table, file = path.split("/", 2)
    return f"{keyspace}/{table}/snapshots/{SNAPSHOT}/{file}"


def imported(table: str) -> dict[str, str]:
    """What an import of the table leaves in its folder, the index aside: Cassandra makes that anew."""
    return {
        f"{path.split('/')[1]}/imported-{path.split('/')[2]}": text
        for path, text in FILES.items()
        if path.startswith(f"shop/{table}-") and path.count("/") == 2
    }


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Restorable:
    return Restorable.saved(monkeypatch, tmp_path)


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_dropped_keyspace_is_made_again_and_filled(world: Restorable) -> None:
    world.drop()
    result = world.restore(tables=["shop"])
    assert (result["changed"], result["way"]) == (True, "import")
    assert result["made"] == ["keyspace shop", "table shop.orders", "index shop.by_note", "table shop.items"]
    assert result["tables"] == {"shop.items": "create", "shop.orders": "create"}
    assert world.ring.described == STATEMENTS  # type: ignore[attr-defined]
    for pod in world.nodes:
        assert world.files(pod, "data/shop") == imported("orders") | imported("items")
    kinds = [event.split()[0] for event in world.events]
    assert kinds == ["download"] * 3 + ["CREATE"] * 4 + ["import"] * 6 + ["repair"] * 3
    assert world.kube.cut_off == []
    world.assert_clean()


def cut_imports(world: Restorable, monkeypatch: pytest.MonkeyPatch, on: str, error: CassopsError) -> list[str]:
    """A node takes the files of an import of shop.orders, and before it serves them the first answer is this error.

    :return: where imports of that table were asked for.
    """
    run, asked = nodetool.run_one, []

    def cut(kube: Any, pod: str, verb: Sequence[str], *rest: Any) -> Any:
        told = run(kube, pod, verb, *rest)
        if verb[0] == "import" and "orders" in verb:
            asked.append(pod)
            if pod == on and asked.count(pod) == 1:
                raise error
        return told

    monkeypatch.setattr(nodetool, "run_one", cut)
    return asked


def test_an_import_whose_end_nobody_saw_is_waited_for(world: Restorable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cassandra takes the files before it builds their indexes, and serves them after that."""
    world.drop()
    second = world.nodes[1]
    asked = cut_imports(world, monkeypatch, second, Unreachable("it was cut"))
    with pytest.raises(CassopsError, match=f"{second}|it was cut"):
        world.restore(tables=["shop"])
    assert sorted(asked) == sorted(world.nodes)
    world.restore(tables=["shop"])
    assert sorted(asked) == sorted([*world.nodes, second]), "the others had come to its end"
    world.assert_clean()


def test_an_import_that_failed_with_the_files_taken_needs_a_start(
    world: Restorable, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.drop()
    second = world.nodes[1]
    cut_imports(world, monkeypatch, second, NodetoolError("Failed adding SSTables", []))
    with pytest.raises(CassopsError, match=f"shop.orders, and does not serve them .* delete pod {second}; then run"):
        world.restore(tables=["shop"])


def test_an_import_that_failed_before_is_told_as_it_is(world: Restorable, monkeypatch: pytest.MonkeyPatch) -> None:
    world.drop()
    run = nodetool.run_one

    def fails(kube: Any, pod: str, verb: Sequence[str], *rest: Any) -> Any:
        if verb[0] == "import":
            raise NodetoolError("it cannot be read", [])
        return run(kube, pod, verb, *rest)

    monkeypatch.setattr(nodetool, "run_one", fails)
    with pytest.raises(CassopsError) as told:
        world.restore(tables=["shop"])
    assert "it cannot be read" in str(told.value)
    assert "delete pod" not in str(told.value)


def cut_repairs(world: Restorable, monkeypatch: pytest.MonkeyPatch, on: str, error: CassopsError) -> None:
    """What nodetool repair does on a node goes well, and nobody is told so."""
    run = nodetool.run_one

    def cut(kube: Any, pod: str, verb: Sequence[str], *rest: Any) -> Any:
        told = run(kube, pod, verb, *rest)
        if verb[0] == "repair" and pod == on:
            raise error
        return told

    monkeypatch.setattr(nodetool, "run_one", cut)


def test_repairs_are_gone_on_with(world: Restorable, monkeypatch: pytest.MonkeyPatch) -> None:
    world.drop()
    world.keep_records()
    with monkeypatch.context() as patch:
        cut_repairs(world, patch, world.nodes[1], ExecTimeout("nodetool repair was not done after 5 s and was ended."))
        with pytest.raises(Failed, match=r"Cassandra goes on with it.*a larger restore_table_timeout waits for longer"):
            world.restore(tables=["shop"])
    plan = from_config_map(world.kube.one(*PLANNED))
    assert plan.repair_began > plan.began
    result = world.restore(tables=["shop"])
    assert result["repaired"] == ["shop"]
    assert [event for event in world.events if event.startswith("repair")] == [f"repair {pod}" for pod in world.nodes]
    world.assert_clean()
    # Those of one restore are none of the next.
    world.restore(tables=["shop.orders"], rows="replace")
    assert [event for event in world.events if event.startswith("repair")] == [
        f"repair {pod}" for pod in world.nodes
    ] * 2


def test_a_repair_whose_connection_is_lost_is_not_repeated_where_it_went_well(
    world: Restorable, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.drop()
    world.keep_records()
    cut_repairs(world, monkeypatch, world.nodes[1], Unreachable("The connection was lost."))
    assert world.restore(tables=["shop"])["repaired"] == ["shop"]
    assert [event for event in world.events if event.startswith("repair")] == [f"repair {pod}" for pod in world.nodes]


def test_a_repair_does_not_begin_beside_another(world: Restorable, monkeypatch: pytest.MonkeyPatch) -> None:
    world.drop()
    row = {"id": "1", "keyspace_name": "shop", "completed": False, "options_incremental": False}
    world.ring.busy[world.nodes[1]].repairs.append(row)
    with pytest.raises(CassopsError, match=rf"the repairs on {world.nodes[1]} to end: not so after 1 s"):
        world.restore(tables=["shop"], table_timeout=1)
    assert [event for event in world.events if event.startswith("repair")] == [f"repair {world.nodes[0]}"]
    monkeypatch.setattr(repairing, "SILENCE", -1.0)
    row["completed"] = True
    with monkeypatch.context() as patch:
        patch.setattr(restore.Filling, "run", lambda self: world.ring.down.add(world.nodes[0]) or self.plan)
        with pytest.raises(CassopsError, match=f"{world.nodes[0]} does not answer for "):
            world.restore(tables=["shop"])


def test_many_tables_are_named_in_portions(world: Restorable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which a run that was killed has done some."""
    monkeypatch.setattr(nodetool, "NAMES", 1)
    lives = 0
    while not [event for event in world.events if event.startswith("snapshot")]:
        world.killed(lives, lambda: world.restore(tables=["shop"], rows="replace"))
        lives += 1
    world.restore(tables=["shop"], rows="replace")
    told = [verb for _pod, verb in world.ring.nodetool]
    assert {verb[3:] for verb in told if verb[0] == "snapshot" and verb[2].startswith(KEPT)} == {
        ("-kt", "shop.items"),
        ("-kt", "shop.orders"),
    }
    repairs = [verb for verb in told if verb[0] == "repair"]
    assert repairs == [("repair", "-full", "-pr", "--", "shop", name) for name in ("items", "orders")] * 3
    for pod in world.nodes:
        assert world.files(pod, "data/shop") == imported("orders") | imported("items")


def test_a_keyspace_of_which_all_came_back_is_repaired_as_a_whole(
    world: Restorable, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FakeCassandra.rows_of_tables

    def rows(self: FakeCassandra, keyspace: str = "") -> list[dict[str, Any]]:
        own = [{"keyspace_name": "shop", "table_name": name, "since": 1} for name in ("items", "orders")]
        return [*real(self, keyspace), *own]

    monkeypatch.setattr(FakeCassandra, "rows_of_tables", rows)
    world.restore(tables=["shop"], rows="replace")
    world.restore(tables=["shop.orders"], rows="replace")
    repairs = [verb[4:] for _pod, verb in world.ring.nodetool if verb[0] == "repair"]
    assert repairs == [("shop",)] * 3 + [("shop", "orders")] * 3


def test_the_same_again_changes_nothing_unless_it_is_wanted(world: Restorable) -> None:
    world.restore(tables=["shop.orders"], rows="replace")
    before, events = world.writes(), list(world.events)
    result = world.restore(tables=["shop.orders"], rows="replace")
    assert result["changed"] is False
    assert "restore_again=true" in world.warnings[-1]
    assert (world.writes(), world.events) == (before, events)
    assert world.restore(check=True, tables=["shop.orders"], rows="replace")["changed"] is False
    assert world.restore(tables=["shop.orders"], rows="replace", again=True)["changed"] is True


def test_what_was_lost_again_is_restored_again(world: Restorable) -> None:
    world.drop()
    world.restore(tables=["shop"])
    assert world.restore(tables=["shop"])["changed"] is False
    world.drop()
    assert world.restore(tables=["shop"])["made"] != []
    world.restore(**WHOLE)
    assert world.restore(**WHOLE)["changed"] is False
    for pod in world.nodes:
        world.kube.disks.pop(f"data-{pod}")
        shutil.rmtree(world.root / pod)
        world.comes_back(pod)
    with pytest.raises(Failed, match="-e restore_auth=take"):
        world.restore(**WHOLE)


def test_rows_are_replaced_or_added(world: Restorable) -> None:
    with pytest.raises(Failed, match="-e restore_rows=replace"):
        world.restore(tables=["shop.orders"])
    assert world.events == []
    world.restore(tables=["shop.orders"], rows="merge", repair=False)
    for pod in world.nodes:
        mine = world.files(pod, "data/shop")
        assert f"orders-{ORDERS}/nb-2-big-Data.db" in mine
        assert imported("orders").items() <= mine.items()
    assert not [event for event in world.events if event.startswith(("TRUNCATE", "repair"))]
    world.restore(tables=["shop.orders"], rows="replace")
    for pod in world.nodes:
        assert world.files(pod, "data/shop") == imported("orders") | {
            path.removeprefix("shop/"): text for path, text in FILES.items() if path.startswith("shop/items")
        }


def test_nothing_comes_back_that_was_not_asked_for(world: Restorable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies in the staging folder."""
    plain = world.download

    def download(client: FakeRestic, args: Sequence[str], lines: Sequence[str]) -> None:
        plain(client, args, ())

    monkeypatch.setattr(world, "download", download)
    before = {pod: world.files(pod, "data/shop/items-" + ORDERS[:-1] + "0") for pod in world.nodes}
    world.restore(tables=["shop.orders"], rows="replace")
    assert {event for event in world.events if event.startswith("import")} == {
        f"import orders {pod}" for pod in world.nodes
    }
    assert {pod: world.files(pod, "data/shop/items-" + ORDERS[:-1] + "0") for pod in world.nodes} == before
    world.assert_clean()


THERE = {"orders/nb-1-big-Data.db": "orders", "orders/nb-2-big-Data.db": "newer", "items/nb-1-big-Data.db": "items"}
"""What is in the tables before a restore."""


def test_what_is_replaced_is_kept_in_a_snapshot_of_our_own(world: Restorable) -> None:
    """Cassandra's may be switched off."""
    result = world.restore(tables=["shop"], rows="replace")
    assert [world.kept(pod) for pod in world.nodes] == [THERE] * 3
    assert f"kept on each node in snapshot before-restore-{result['id']};" in world.warnings[-1]
    kinds = [event.split()[0] for event in world.events]
    assert kinds[3:8] == ["snapshot"] * 3 + ["TRUNCATE"] * 2


def test_nothing_is_emptied_that_a_node_cannot_keep(world: Restorable, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = world.keep

    def keep(pod: str, verb: Sequence[str]) -> None:
        if pod == world.nodes[1]:
            raise CassopsError(f"{pod}: no space left")
        plain(pod, verb)

    monkeypatch.setattr(world, "keep", keep)
    with pytest.raises(Failed, match=r"shop.items, shop.orders could not be kept .*: no space left"):
        world.restore(tables=["shop"], rows="replace")
    assert not [event for event in world.events if event.startswith("TRUNCATE")]
    monkeypatch.setattr(world, "keep", plain)
    for pod in world.nodes:
        world.write(pod, f"data/shop/orders-{ORDERS}/nb-3-big-Data.db", "between the runs")
    result = world.restore(tables=["shop"], rows="replace")
    there = {**THERE, "orders/nb-3-big-Data.db": "between the runs"}
    assert [world.kept(pod) for pod in world.nodes] == [there] * 3, "nothing goes that no snapshot keeps"
    assert f"before-restore-{result['id']}, before-restore-{result['id']}-2;" in world.warnings[-1]


LOST = (
    f"CREATE TABLE shop.orders (id int PRIMARY KEY, gone int, note text) WITH ID = {ID};\n"
    "ALTER TABLE shop.orders DROP gone USING TIMESTAMP 5;\nALTER TABLE shop.orders DROP note USING TIMESTAMP 6;\n"
    "ALTER TABLE shop.orders ADD note text;"
)
"""A table that lost a column, and another one that it got again."""


@pytest.mark.parametrize("done", range(1, 5))
def test_a_table_that_was_made_in_part_is_completed(world: Restorable, done: int) -> None:
    world.ring.described[1] = (*STATEMENTS[1][:3], LOST)  # type: ignore[attr-defined]
    world.back_up("b2")
    world.store.down = False
    world.kube.cut_off.clear()
    world.drop()
    plain, made = world.define, []

    def define(statement: str) -> None:
        if "shop.orders" in statement and "INDEX" not in statement:
            world.kube.dead = len(made) == done
            world.kube.alive()
            made.append(statement)
        plain(statement)

    world.define = define  # type: ignore[method-assign]
    if done < 4:
        with pytest.raises(Killed):
            world.restore(name="b2", tables=["shop.orders"], repair=False)
        world.kube.revive()
        assert len(made) == done
    done = 99
    world.restore(name="b2", tables=["shop.orders"], repair=False)
    assert f"{made[0]};\n" + "\n".join(f"{each};" for each in made[1:]) == LOST
    world.assert_clean()


def test_check_mode_tells_and_does_nothing(world: Restorable) -> None:
    before = list(world.kube.writes)
    result = world.restore(check=True, tables=["shop.orders"], rows="replace")
    assert (result["changed"], result["tables"]) == (True, {"shop.orders": "replace"})
    assert (world.kube.writes, world.events) == (before, [])


def test_the_newest_complete_backup_is_the_default(world: Restorable) -> None:
    world.back_up("b2")
    world.store.down = False
    assert world.restore(check=True, name=None, rows="merge")["backup"] == "b2"
    # One of a table is the newest for that table alone.
    world.run(backup, name="t1", tables=["shop.orders"])
    world.store.down = False
    assert world.restore(check=True, name=None, rows="merge")["backup"] == "b2"
    assert world.restore(check=True, name=None, rows="merge", tables=["shop.items"])["backup"] == "b2"
    assert world.restore(check=True, name=None, rows="merge", tables=["shop.orders"])["backup"] == "t1"
    assert world.restore(check=True, name=None, **WHOLE)["backup"] == "b2"


def test_the_newest_may_be_of_another_datacenter_of_the_same_names(world: Restorable) -> None:
    world.kube.clock += 60
    (b1,) = [each for each in world.store.of("catalogue") if each.tags["kind"] == "backup"]
    tags = {**b1.tags, "backup": "a1", "ledger": "another", "began": moment(world.kube.clock)}
    text = b1.files["/b1/backup.json"]
    world.store.of("catalogue").append(Snapshot("a1", world.kube.clock, tags, {"/a1/backup.json": text}))
    with pytest.raises(CassopsError, match="the manifest of backup a1 is that of b1"):
        world.restore(check=True, name=None, rows="merge")
    assert "a restore that names none may take one of these" in world.warnings[-1]


def listed_as(world: Restorable, name: str, **tags: str) -> None:
    """The catalogue has b1 once more, by another name and with other tags."""
    b1 = next(each for each in world.store.of("catalogue") if each.tags["kind"] == "backup")
    text = b1.files["/b1/backup.json"].replace('"backup": "b1"', f'"backup": "{name}"')
    tags = {**b1.tags, "backup": name, **tags}
    world.store.of("catalogue").append(Snapshot(name, world.kube.clock, tags, {f"/{name}/backup.json": text}))


def test_newer_backups_that_are_passed_over_are_named(world: Restorable) -> None:
    early, late = moment(world.kube.clock - 9000), moment(world.kube.clock + 9000)
    listed_as(world, "early", state="partial", began=early)
    listed_as(world, "b3", state="partial", began=late)
    listed_as(world, "b4", began=late)
    listed_as(world, "t5", state="partial", began=late, tables="other.one")
    listed_as(world, "f6", state="failed", began=late)
    verified = {"kind": "verification", "backup": "b4", "when": late, "level": "data", "faults": "1"}
    world.store.of("catalogue").append(Snapshot("v", 0.0, verified, {}))
    assert world.restore(check=True, name=None, rows="merge")["backup"] == "b1"
    (told,) = [text for text in world.warnings if "passed over" in text]
    assert told.startswith("newer backups are passed over: b3 (partial), b4 (damaged). Taken is b1, begun at ")
    # With a moment, those after it are no matter.
    world.warnings.clear()
    world.restore(check=True, **WHOLE, name=None, to=archived(world))
    assert not [text for text in world.warnings if "passed over" in text]


def test_a_whole_datacenter_is_made_of_no_backup_without_some_keyspaces(world: Restorable) -> None:
    late = moment(world.kube.clock + 9000)
    listed_as(world, "b2", excluded="logs+scratch", began=late)
    listed_as(world, "f3", excluded="scratch", began=late, state="failed")
    for each in world.store.of("catalogue"):
        each.files.update({path.replace("/b1/", "/b2/"): text for path, text in each.files.items() if "/b1/" in path})
    assert world.restore(check=True, name=None, rows="merge")["backup"] == "b2"
    assert not [text for text in world.warnings if "passed over" in text]
    assert world.restore(check=True, **WHOLE, name=None)["backup"] == "b1"
    (told,) = [text for text in world.warnings if "passed over" in text]
    assert told.startswith("newer backups are passed over: b2 (without logs, scratch). Taken is b1, begun at ")


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("to", [None, "2001-01-01T00:00:00Z"])
def test_where_all_backups_are_without_some_keyspaces_their_tables_come_back(
    world: Restorable, damaged: bool, to: str | None
) -> None:
    for each in world.store.of("catalogue"):
        if each.tags["kind"] == "backup":
            each.tags["excluded"] = "scratch"
    if damaged:
        verified = {"kind": "verification", "backup": "b1", "when": moment(world.kube.clock + 9000), "faults": "1"}
        world.store.of("catalogue").append(Snapshot("v", 0.0, verified, {}))
    with pytest.raises(CassopsError) as caught:
        world.restore(check=True, **WHOLE, name=None, to=to)
    assert ", but for damaged ones" in str(caught.value) or not damaged
    assert damaged or str(caught.value).endswith(
        ", of which a whole datacenter can be made; the newest one is b1 (without scratch): bring back its tables and "
        "the roles (-e restore_mode=tables -e restore_auth=take)"
    )


def test_who_backed_itself_up_empty_is_told_of_the_backups_before_the_loss(world: Restorable) -> None:
    listed_as(world, "lost", ledger="another", began=moment(world.kube.clock - 9000))
    assert world.restore(check=True, name=None, rows="merge")["backup"] == "b1"
    (told,) = [text for text in world.warnings if "whose place" in text]
    assert told.startswith("backup b1 is of this datacenter, and older ones are of another of the same names")
    assert told.endswith("name its last one (-e restore_name=lost)")
    world.warnings.clear()
    world.restore(check=True, rows="merge")
    assert not [text for text in world.warnings if "whose place" in text]


def test_what_a_backup_lacks_an_older_one_may_have(world: Restorable) -> None:
    with pytest.raises(Failed) as caught:
        world.restore(check=True, tables=["shop.gone"])
    assert caught.value.errors == [
        "the backup has no table shop.gone; its keyspaces are shop; an older backup may have it: -e restore_name=... "
        "(playbook list_backups)"
    ]
    assert str(caught.value) == caught.value.errors[0]


def test_what_is_not_as_it_was_backed_up_changes_nothing(world: Restorable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, f"shop/orders-{ORDERS}/nb-1-big-Data.db", "bitten")
    monkeypatch.setitem(FILES, f"shop/orders-{ORDERS}/.by_note/nb-1-big-Data.db", "i")
    with pytest.raises(Failed, match="has 1 bytes, not 5"):
        world.restore(tables=["shop"], rows="replace")
    assert {event.split()[0] for event in world.events} == {"download"}
    assert all("newer" in world.files(pod, "data/shop").values() for pod in world.nodes)


def test_a_container_that_dies_is_no_end(world: Restorable) -> None:
    world.store.endings[world.nodes[0]] = ["lost"]
    world.restore(tables=["shop"], rows="replace")
    world.assert_clean()
    world.store.endings[world.nodes[0]] = [12]
    with pytest.raises(Failed, match="another password than the key password"):
        world.restore(tables=["shop.items"], rows="replace")
    world.restore(tables=["shop.items"], rows="replace")
    world.assert_clean()


def test_hints_are_waited_for(world: Restorable) -> None:
    """B5: they would bring rows that were written after the backup."""
    world.ring.busy[world.nodes[0]].hints = {world.ring.members[world.nodes[1]].host_id: 1}
    with pytest.raises(Failed, match="hints"):
        world.restore(tables=["shop"], rows="replace", gate_timeout=0)
    assert {event.split()[0] for event in world.events} == {"download"}
    world.ring.busy[world.nodes[0]].hints.clear()
    world.restore(tables=["shop"], rows="replace")
    world.assert_clean()


# --- between runs -----------------------------------------------------------------------------------------------------


def begun(world: Restorable, **changes: Any) -> None:
    """A restore that was killed after its downloads."""
    lives = next(
        number
        for number in itertools.count(5)
        if world.killed(number, lambda: world.restore(**changes)) and world.events
    )
    assert lives
    assert world.kube.get("ConfigMap", "shop-dc1-restore") is not None


def test_another_wish_does_not_take_over(world: Restorable) -> None:
    begun(world, tables=["shop.orders"], rows="replace")
    with pytest.raises(CassopsError, match=r"restore_tables was \['shop.orders'\] and is \['shop.items'\]"):
        world.restore(tables=["shop.items"], rows="replace")
    with pytest.raises(CassopsError, match=r"restore_tables was \['shop.orders'\] and is \['shop.items'\]"):
        world.restore(check=True, tables=["shop.items"], rows="replace")
    world.restore(tables=["shop.orders"], rows="replace", name=None)
    world.assert_clean()


def test_no_commit_log_leads_over_a_restore_from_its_first_change_on(
    world: Restorable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that died after it had emptied tables, or that was given up, has changed them too."""
    plain, marked = restore_tables.mark_break, []

    def mark_break(kube: Any, view: Any) -> None:
        plain(kube, view)
        marked.append([event.split()[0] for event in world.events if event.startswith(("TRUNCATE", "import"))])

    for module in (restore, restore_tables):
        monkeypatch.setattr(module, "mark_break", mark_break)
    assert any(
        world.killed(number, lambda: world.restore(tables=["shop"], rows="replace"))
        and any(event.startswith("TRUNCATE") for event in world.events)
        for number in range(5, 100)
    )
    assert marked[0] == []
    count = len(marked)
    world.kube.clock += 3600
    world.restore(abandon=True)
    assert len(marked) == count + 1


def test_what_was_begun_can_be_given_up(world: Restorable) -> None:
    begun(world, tables=["shop.orders"], rows="replace")
    assert world.restore(check=True, abandon=True)["changed"] is True
    assert world.restore(abandon=True)["changed"] is True
    assert world.restore(abandon=True)["changed"] is False
    world.kube.one("Lease", "shop-lock")["spec"]["holderIdentity"] = ""
    world.assert_clean()
    assert all("newer" in world.files(pod, "data/shop").values() for pod in world.nodes)


def test_a_load_that_is_given_up_leaves_no_login(world: Restorable) -> None:
    half_restored(world, tables=["shop"], rows="replace")
    item = world.kube.one(*PLANNED)
    item["data"]["plan"] = item["data"]["plan"].replace('"way": "import"', '"way": "load"')
    loader = restore_tables.loader_name(from_config_map(item))
    world.ring.roles[loader] = Role("secret", True, False)
    world.restore(abandon=True)
    assert loader not in world.ring.roles
    assert world.kube.get(*PLANNED) is None


SKIPPED = "Skipping file nb-2-big-Data.db, error opening it: Corrupted: nb-2-big-Statistics.db"


@pytest.mark.parametrize("said", [("Summary statistics", ""), (SKIPPED, ""), ("", SKIPPED)])
def test_what_the_loader_passed_over_is_not_taken_for_loaded(
    monkeypatch: pytest.MonkeyPatch, said: tuple[str, str]
) -> None:
    """It ends well all the same, and the files would be gone."""
    forgotten = []
    monkeypatch.setattr(restore_volumes, "run", lambda _kube, _pod, _script, *words: forgotten.append(words))
    kube = SimpleNamespace(
        exec=lambda *_words, **_limits: ExecResult(0, f"Established connection\n{said[0]}\n", said[1])
    )
    cluster = SimpleNamespace(kube=kube, look=lambda: SimpleNamespace(view=SimpleNamespace(node=lambda pod: None)))
    plan: Any = SimpleNamespace(id="r1")
    schema = backups.Schema("b1", "", ())
    nothing: Any = None
    filling = restore_tables.Filling(cluster, plan, schema, (1, 1), nothing, nothing, proved=nothing)  # type: ignore[arg-type]
    folder = restore_volumes.Folder("shop", "orders", 2, "/stage/orders")
    parcel: Any = SimpleNamespace(pod="shop-dc1-r1-0")
    if SKIPPED not in said:
        filling.load_folder(parcel, folder, ("user", "password"))
        assert forgotten == [("/stage/orders",)]
        return
    with pytest.raises(CassopsError, match=r"sstableloader of shop\.orders passed over files: Skipping file nb-2-big"):
        filling.load_folder(parcel, folder, ("user", "password"))
    assert forgotten == []


def was_given_up(world: Restorable, lives: int) -> None:
    world.kube.one("Lease", "shop-lock")["spec"]["holderIdentity"] = ""
    world.assert_clean()
    for pod in world.nodes:
        assert set(world.files(pod, "data").values()) >= {"newer", "newer login"}, f"before write {lives}"
        assert world.ring.doors[pod] == "open", f"before write {lives}"


def test_a_whole_datacenter_can_be_given_up_at_any_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    steps: set[str] = set()
    for lives in range(200):
        world = Restorable.saved(monkeypatch, tmp_path / str(lives))
        hosts = {pod: world.ring.members[pod].host_id for pod in world.nodes}
        if not world.killed(lives, lambda: world.restore(**WHOLE)):  # noqa: B023
            break
        item = world.kube.get("ConfigMap", "shop-dc1-restore")
        if item is None:
            continue
        steps.add(item["data"]["step"])
        if item["data"]["step"] == "finish":
            with pytest.raises(CassopsError, match="is restored, and only what was downloaded stays to be removed"):
                world.restore(abandon=True, confirm="dc1")
            repaired = world.events.count("repair shop-dc1-r1-0")
            world.restore(**WHOLE)
            assert_as_it_was(world, lives)
            assert world.events.count("repair shop-dc1-r1-0") == repaired == 1
            continue
        if item["data"]["step"] not in ("download", "stop"):
            with pytest.raises(CassopsError, match="-e restore_abandon=true -e restore_confirm=dc1"):
                world.restore(abandon=True)
            with pytest.raises(CassopsError, match="-e restore_abandon=true -e restore_confirm=dc1"):
                world.restore(check=True, abandon=True)
        world.restore(abandon=True, confirm="dc1")
        was_given_up(world, lives)
        assert {pod: world.ring.members[pod].host_id for pod in world.nodes} == hosts
        assert {pod: node.host_id for pod, node in world.kube.ledger().nodes.items()} == hosts
        assert world.restore(abandon=True)["changed"] is False
    assert steps == {"download", "stop", "swap", "start", "prove", "finish"}


def nobody_comes_up(_self: Swapping) -> None:
    raise CassopsError("nobody comes up")


def test_a_way_back_that_is_killed_is_finished_and_never_turned_around(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps: set[str] = set()
    for lives in range(100):
        world = Restorable.saved(monkeypatch, tmp_path / str(lives))
        with monkeypatch.context() as patch:
            patch.setattr(Swapping, "prove", nobody_comes_up)
            with pytest.raises(Failed, match="nobody comes up"):
                world.restore(**WHOLE)
        if not world.killed(lives, lambda: world.restore(abandon=True, confirm="dc1")):  # noqa: B023
            break
        step = (world.kube.get("ConfigMap", "shop-dc1-restore") or {"data": {"step": ""}})["data"]["step"]
        steps.add(step)
        if step in ("return", "returned"):
            with pytest.raises(CassopsError, match="is being given up, which has to be finished first"):
                world.restore(**WHOLE)
        world.restore(abandon=True, confirm="dc1")
        was_given_up(world, lives)
    assert steps == {"prove", "return", "returned", ""}


def test_a_node_that_was_replaced_by_restored_ones_has_no_way_back(world: Restorable) -> None:
    half_restored(world, step="prove", **WHOLE)
    pod = "shop-dc1-r1-0"
    shutil.rmtree(world.volume(pod) / ".cassops/restore")
    uids = world.uids()
    with pytest.raises(CassopsError, match=f"the volume of {pod} is another one .* run the restore again"):
        world.restore(abandon=True, confirm="dc1")
    assert world.uids() == uids
    assert world.kube.one(*PLANNED)["data"]["step"] == "prove"


def test_who_cannot_be_let_go_keeps_the_others_from_nothing(world: Restorable, monkeypatch: pytest.MonkeyPatch) -> None:
    half_restored(world, step="prove", **WHOLE)
    plain, silent = restore_volumes.run, "shop-dc1-r2-0"

    def run(kube: Any, pod: str, script: str, *words: str, **options: Any) -> str:
        if pod == silent and script == restore_scripts.RELEASE:
            raise CassopsError(f"{pod}: its worker does not answer")
        return plain(kube, pod, script, *words, **options)

    with monkeypatch.context() as patch:
        patch.setattr(restore_volumes, "run", run)
        with pytest.raises(Failed, match=f"not every node can be let go: {silent}: its worker does not answer") as told:
            world.restore(abandon=True, confirm="dc1")
    assert told.value.result["step"] == "returned"
    assert world.kube.one(*PLANNED)["data"]["step"] == "returned"
    assert world.kube.list("Pod")
    assert set(world.kube.held) == {silent}
    world.restore(abandon=True, confirm="dc1")
    was_given_up(world, 0)


def test_the_way_back_knows_who_was_replaced_after_the_plan(world: Restorable) -> None:
    begun(world, **WHOLE)
    pod = "shop-dc1-r1-0"
    former = world.kube.ledger().nodes[pod].host_id
    ledger = world.kube.one("ConfigMap", "shop-dc1-ledger")
    ledger["data"]["nodes"] = ledger["data"]["nodes"].replace(str(former), "another")
    half_restored(world, step="prove", **WHOLE)
    assert world.kube.ledger().nodes[pod].host_id == former, "that of the backup"
    world.restore(abandon=True, confirm="dc1")
    assert world.kube.ledger().nodes[pod].host_id == "another"


def test_a_volume_that_was_lost_meanwhile_comes_back_empty_and_is_told(world: Restorable) -> None:
    half_restored(world, step="prove", **WHOLE)
    pod = "shop-dc1-r1-0"
    shutil.rmtree(world.volume(pod))
    world.kube.disks.pop(f"data-{pod}")
    world.comes_back(pod)
    with pytest.raises(CassopsError, match=f"the restore is given up, but {pod}"):
        world.restore(abandon=True, confirm="dc1")
    assert any(f"{pod} had data before the restore and lost its volume since" in text for text in world.warnings)
    assert world.kube.get(*PLANNED) is None


def test_a_node_that_was_replaced_since_is_no_reason_against_the_proof(world: Restorable) -> None:
    half_restored(world, step="prove", **WHOLE)
    pod = "shop-dc1-r1-0"
    world.ring.members[pod].host_id = "another"
    with pytest.raises(Failed, match=f"{pod} has host id another"):
        world.restore(**WHOLE)
    ledger = world.kube.one("ConfigMap", "shop-dc1-ledger")
    node = world.kube.ledger().nodes[pod]
    ledger["data"]["nodes"] = ledger["data"]["nodes"].replace(str(node.host_id), "another")
    world.restore(**WHOLE)


@pytest.mark.parametrize("wish", [{"tables": ["shop"], "rows": "replace"}, {"mode": "datacenter", "confirm": "dc1"}])
def test_what_a_replaced_node_lost_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wish: dict[str, Any]
) -> None:
    """A run is killed, and a node is replaced before the next: it has the tokens of the one before, and no download."""
    gone = 0
    for lives in range(0, 200, 2):
        world = Restorable.saved(monkeypatch, tmp_path / str(lives))
        if not world.killed(lives, lambda: world.restore(**wish)):  # noqa: B023
            break
        item = world.kube.get("ConfigMap", "shop-dc1-restore")
        if item is None or item["data"]["step"] in ("start", "prove", "finish"):
            continue
        staging = world.volume(world.nodes[0]) / ".cassops/restore"
        gone += staging.exists()
        shutil.rmtree(staging, ignore_errors=True)
        for key in [key for key in world.store.jobs if key[0] == world.nodes[0]]:
            del world.store.jobs[key]
        world.restore(**wish)
        for pod in world.nodes:
            there = set(world.files(pod, "data/shop").values())
            assert {"orders", "items"} <= there, f"before write {lives}: {pod}"
        world.assert_clean()
    assert gone > 5


def test_what_is_lost_at_the_last_moment_stops_the_restore_before_anything_changes(world: Restorable) -> None:
    """A node is replaced while the others still download: a lost download is not the same as nothing to do."""
    plain = world.script

    def script(pod: str, name: str, argv: Sequence[str]) -> ExecResult:
        told = plain(pod, name, argv)
        if name == "ARRANGE" and pod == world.nodes[2]:
            shutil.rmtree(world.volume(pod) / ".cassops/restore")
        return told

    for wish in ({"tables": ["shop"], "rows": "replace"}, WHOLE):
        world.script = script  # type: ignore[method-assign]
        with pytest.raises(Failed, match=f"what was downloaded to {world.nodes[2]} is gone"):
            world.restore(**wish)
        assert not {event.split()[0] for event in world.events} & {"TRUNCATE", "HOLD"}
        world.script = plain  # type: ignore[method-assign]
        world.restore(abandon=True)
        assert all("newer" in world.files(pod, "data/shop").values() for pod in world.nodes)


@pytest.mark.parametrize("outlives", [True, False], ids=["the run fails", "the run dies"])
def test_who_is_killed_while_a_data_folder_is_made_finds_no_damage(world: Restorable, outlives: bool) -> None:
    """Some of what was downloaded is in its place already, and not where it was compared."""
    plain, dead = world.script, 'mv() { command mv "$@"; kill -9 $$; }\n'

    def script(pod: str, name: str, argv: Sequence[str]) -> ExecResult:
        here = name == "ARRANGE" and pod == world.nodes[1]
        told = plain(pod, name, [*argv[:2], f"{dead}{argv[2]}", *argv[3:]] if here else argv)
        world.kube.dead = world.kube.dead or (here and not outlives)
        world.kube.alive()
        return told

    for wish in ({"tables": ["shop"], "rows": "replace"}, WHOLE):
        world.script = script  # type: ignore[method-assign]
        with pytest.raises(Failed if outlives else Killed):
            world.restore(**wish)
        world.kube.revive()
        world.script = plain  # type: ignore[method-assign]
        world.restore(**wish)
        for pod in world.nodes:
            there = world.files(pod, "data/shop")
            if wish is WHOLE:
                assert there == {
                    path.removeprefix("shop/"): text for path, text in FILES.items() if path.startswith("shop/")
                }
            else:
                assert there == imported("orders") | imported("items")
        world.assert_clean()


def test_a_plan_that_fits_no_longer_is_not_carried_out(world: Restorable, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, tables=["shop"], rows="replace")
    monkeypatch.setattr(restore.restore_ring, "moved", lambda *_rest: ["the backup is of 3 nodes, and there are 4"])
    with pytest.raises(Failed, match=r"there are 4\. Give it up \(-e restore_abandon=true\)"):
        world.restore(tables=["shop"], rows="replace")
    assert not [event for event in world.events if event.startswith("TRUNCATE")]


def half_restored(world: Restorable, step: str = "", **changes: Any) -> None:
    """A restore that was killed after something had changed, or at a step; no run is at work any more."""
    assert any(
        world.killed(number, lambda: world.restore(**changes))
        and (at := world.kube.one(*PLANNED)["data"]["step"]) != "download"
        and step in ("", at)
        for number in range(5, 100)
    )
    world.kube.clock += 3600


def test_a_backup_that_a_restore_still_needs_stays(world: Restorable) -> None:
    """The nightly backup is of tables that were emptied. No rule may let the one go that fills them."""
    for name in ("b2", "b3"):
        world.back_up(name)
    half_restored(world, tables=["shop"], rows="replace")
    kept = world.run(backup_purge, check=True, backup={**PLAN, "keep": {"last": 1}})["kept"]
    assert kept == {"b1": backup_purge.RESTORED, "b3": f"last 1, {backups.NEWEST}"}
    with pytest.raises(Failed, match=f"names: backup b1 stays: {backup_purge.RESTORED}"):
        world.run(backup_purge, names=["b1"])
    assert world.run(backup_purge, backup={**PLAN, "keep": {"last": 1}})["removed"] == ["b2"]
    world.restore(tables=["shop"], rows="replace")
    world.assert_clean()
    assert world.run(backup_purge, names=["b1"])["removed"] == ["b1"]


def test_the_commit_logs_of_a_restore_stay(world: Restorable) -> None:
    """Also where a backup that is newer is all that points in time would need."""
    to = archived(world)
    begun(world, **WHOLE, to=to)
    world.kube.one("Lease", "shop-lock")["spec"]["holderIdentity"] = ""
    before = {pod: len(logs_of(world, pod)) for pod in world.nodes}
    world.kube.clock += 8 * 86400
    for pod in world.nodes:
        world.store_log(pod, 7 * 86400 + 7200, 3)
    (b1,) = world.store.of("catalogue")[-1:]
    manifest = {**b1.tags, "backup": "b2", "began": moment(world.kube.clock - 7 * 86400 - 60)}
    world.store.of("catalogue").append(Snapshot("b2", world.kube.clock - 7 * 86400, manifest, {}))
    world.run(backup_purge)
    assert {pod: len(logs_of(world, pod)) for pod in world.nodes} == {pod: count + 1 for pod, count in before.items()}
    world.restore(abandon=True)
    world.run(backup_purge)
    assert {len(logs_of(world, pod)) for pod in world.nodes} == {1}


def test_what_another_datacenters_backup_is_restored_from_is_no_matter(world: Restorable) -> None:
    half_restored(world, tables=["shop"], rows="replace")
    item = world.kube.one(*PLANNED)
    item["data"]["plan"] = item["data"]["plan"].replace('"cluster": "shop"', '"cluster": "till"')
    assert backup_purge.RESTORED not in world.run(backup_purge, check=True)["kept"]["b1"]


@pytest.mark.parametrize("check", [True, False])
def test_what_is_half_restored_is_not_backed_up(world: Restorable, check: bool) -> None:
    half_restored(world, tables=["shop"], rows="replace")
    before = world.writes()
    with pytest.raises(
        CassopsError, match=r"restore of backup b1 that began at .* \(step change\).*run the playbook restore"
    ):
        world.run(backup, check=check, name="b2")
    assert world.writes() == before
    world.restore(tables=["shop"], rows="replace")
    world.back_up("b2")


def test_a_restore_that_came_to_be_meanwhile_is_noticed_under_the_lock(
    world: Restorable, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Lock.__enter__

    def enter(self: Lock) -> Lock:
        monkeypatch.setattr(Lock, "__enter__", plain)
        half_restored(world, tables=["shop"], rows="replace")
        world.kube.one("Lease", "shop-dc1-backup-lock")["spec"]["holderIdentity"] = ""
        return plain(self)

    monkeypatch.setattr(Lock, "__enter__", enter)
    with pytest.raises(CassopsError, match=r"its rows are half restored.*; then back up"):
        world.run(backup, name="b2")
    assert world.kube.get("ConfigMap", "shop-dc1-backup") is None


def test_while_a_restore_only_downloads_backups_are_made(world: Restorable) -> None:
    begun(world, tables=["shop"], rows="replace")
    assert world.kube.one(*PLANNED)["data"]["step"] == "download"
    world.kube.clock += 3600
    assert world.back_up("b2")["changed"]


def test_a_second_run_is_refused(world: Restorable) -> None:
    lease: dict[str, Any] = {"kind": "Lease", "metadata": {"name": "shop-dc1-backup-lock"}}
    now = "2099-01-01T00:00:00.000000Z"
    lease["spec"] = {"holderIdentity": "ann@tower pid 7", "renewTime": now, "leaseDurationSeconds": 60}
    world.kube.put(lease)
    with pytest.raises(Locked, match="ann@tower pid 7"):
        world.restore(tables=["shop"], rows="replace")
    assert world.events == []


def test_killed_before_any_write_tables_are_filled_by_the_next_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for lives in range(200):
        world = Restorable.saved(monkeypatch, tmp_path / str(lives))
        if not world.killed(lives, lambda: world.restore(tables=["shop"], rows="replace")):  # noqa: B023
            break
        world.restore(tables=["shop"], rows="replace")
        for pod in world.nodes:
            assert world.files(pod, "data/shop") == imported("orders") | imported("items"), f"before write {lives}"
            assert world.kept(pod) == THERE, f"before write {lives}: what was there is not kept"
        for table in ("orders", "items"):
            emptied = [
                number for number, event in enumerate(world.events) if event == f'TRUNCATE TABLE "shop"."{table}"'
            ]
            emptied += [number for number, event in enumerate(world.events) if event == f"TRUNCATE TABLE shop.{table}"]
            filled = [number for number, event in enumerate(world.events) if event.startswith(f"import {table}")]
            assert max(emptied) < min(filled), f"before write {lives}: rows of the backup were emptied"
        world.assert_clean()
    assert lives > 20


# --- the whole datacenter ---------------------------------------------------------------------------------------------

WHOLE = {"mode": "datacenter", "confirm": "dc1"}
AS_IT_WAS = {path: text for path, text in FILES.items() if not path.startswith("system_auth")}


def assert_as_it_was(world: Restorable, lives: int = 0) -> None:
    for pod in world.nodes:
        mine = world.files(pod, "data")
        assert {path: text for path, text in mine.items() if not path.startswith("system_auth")} == AS_IT_WAS, lives
        assert "newer login" in mine.values(), "roles are kept"
        assert not (world.volume(pod) / "commitlog").exists()
        assert world.ring.doors[pod] == "open"
    world.assert_clean()


def test_a_whole_datacenter_goes_back(world: Restorable) -> None:
    before, hosts = world.uids(), {pod: world.ring.members[pod].host_id for pod in world.nodes}
    result = world.restore(**WHOLE)
    assert (result["way"], result["step"]) == ("swap", "finish")
    assert_as_it_was(world)
    assert {pod: world.ring.members[pod].host_id for pod in world.nodes} == hosts
    assert not set(world.uids().values()) & set(before.values())
    steps = [event.split()[0] for event in world.events]
    assert steps == ["download"] * 3 + ["HOLD"] * 3 + ["SWAP"] * 3 + ["RELEASE"] * 3 + ["repair"] * 3
    assert result["repaired"] == ["shop"]
    assert world.kube.cut_off == []


def of_another(world: Restorable, subnet: str = "198.18.7") -> list[str]:
    """The backup is of another datacenter of the same names, with addresses of its own; where its nodes took
    connections."""
    catalogue = world.store.of("catalogue")
    for number, pod in enumerate(world.nodes, 1):
        (document,) = [each for each in catalogue if each.tags.get("pod") == pod]
        own = world.ring.members[pod].address
        ((path, text),) = document.files.items()
        new = text.replace(f'"address": "{own}"', f'"address": "{subnet}.{number}"')
        document.files[path] = new
        (whole,) = [each for each in catalogue if each.tags["kind"] == "backup"]
        told = whole.files["/b1/backup.json"].replace(backups.digest(text), backups.digest(new))
        whole.files["/b1/backup.json"] = told.replace(world.kube.ledger().id, "another")
    return [f"{subnet}.{number}/7000" for number, _pod in enumerate(world.nodes, 1)]


def beside_another(world: Restorable) -> None:
    """The backup's keyspaces have replicas in a datacenter that is gone."""
    (schema,) = [each for each in world.store.of("catalogue") if each.tags["kind"] == "schema"]
    (whole,) = [each for each in world.store.of("catalogue") if each.tags["kind"] == "backup"]
    ((path, text),) = schema.files.items()
    new = text.replace("'dc1': '3'", "'dc1': '3', 'dc2': '3'")
    assert new != text
    schema.files[path] = new
    told = whole.files["/b1/backup.json"]
    whole.files["/b1/backup.json"] = told.replace(backups.digest(text), backups.digest(new))


@pytest.mark.parametrize("check", [True, False])
def test_a_datacenter_does_not_come_back_beside_the_living_original(world: Restorable, check: bool) -> None:
    """Its nodes would have the same host ids, and know the addresses of the others."""
    places = of_another(world)
    world.kube.answering = {places[1]}
    before = list(world.kube.writes)
    with pytest.raises(Failed) as caught:
        world.restore(check, **WHOLE)
    (reason,) = caught.value.errors
    assert reason.startswith("datacenter dc1 of cluster shop that backup b1 is of seems to live still: ")
    assert f"{world.nodes[1]} at 198.18.7.2:7000 (asked from {world.nodes[0]}) answers" in reason
    assert "stop or destroy that one first" in reason
    assert caught.value.result["tokens"] == {}, "the ring is not what is wrong"
    assert "-e restore_mode=tables" in reason
    assert "(or go past it with restore_ignore: original, " in reason
    assert world.events == []
    assert not [each for each in world.kube.writes[len(before) :] if "restore" in each]
    # Its tables come back beside it.
    world.drop()
    assert world.restore(check, auth="take")["changed"] is True


def test_a_ring_with_other_tokens_is_told_those_that_would_fit(world: Restorable) -> None:
    own = {pod: list(world.ring.members[pod].tokens) for pod in world.nodes}
    for member in world.ring.members.values():
        member.tokens = tuple(token + 1 for token in member.tokens)
    with pytest.raises(Failed, match="no node has the tokens that") as caught:
        world.restore(tables=["shop"], rows="replace")
    assert caught.value.result["tokens"] == {pod.removeprefix("shop-dc1-"): own[pod] for pod in world.nodes}


def test_where_the_original_is_gone_its_place_is_taken(world: Restorable) -> None:
    of_another(world)
    # Strangers' addresses, and those of the nodes here.
    world.kube.answering = {"198.18.7.1/22", *(f"{each.address}/7000" for each in world.ring.members.values())}
    assert world.restore(**WHOLE)["step"] == "finish"


def test_who_has_its_own_backup_asks_nobody(world: Restorable) -> None:
    """Also where addresses were others then."""
    places, own = of_another(world), world.kube.ledger().id
    for each in world.store.of("catalogue"):
        each.files = {
            path: text.replace('"ledger": "another"', f'"ledger": "{own}"') for path, text in each.files.items()
        }
    world.kube.answering = {*places}
    assert world.restore(check=True, **WHOLE)["way"] == "swap"


def test_whether_the_original_lives_must_be_known(world: Restorable) -> None:
    of_another(world)
    world.kube.dumb = {*world.nodes}
    with pytest.raises(CassopsError, match=r"no pod here can ask whether that one lives still .*no bash") as caught:
        world.restore(**WHOLE)
    assert str(caught.value).endswith("(or go past it with restore_ignore: original, where that one is gone for good)")
    assert world.restore(check=True, ignore=["original"], **WHOLE)["way"] == "swap"
    world.kube.dumb = {world.nodes[0]}
    assert world.restore(check=True, **WHOLE)["way"] == "swap"


def test_an_original_that_came_back_meanwhile_is_noticed(world: Restorable) -> None:
    places = of_another(world)
    begun(world, **WHOLE)
    world.kube.answering = {places[0]}
    with pytest.raises(Failed, match="seems to live still"):
        world.restore(**WHOLE)
    assert "HOLD" not in {event.split()[0] for event in world.events}
    world.kube.answering.clear()
    assert world.restore(**WHOLE)["step"] == "finish"


@pytest.mark.parametrize("killed", [True, False])
def test_a_stranger_at_an_address_of_the_original_is_gone_past(world: Restorable, killed: bool) -> None:
    """Also by a run that goes on: it is no other wish, and nothing is downloaded again."""
    places = of_another(world)
    if killed:
        begun(world, **WHOLE)
    world.kube.answering = {*places}
    with pytest.raises(Failed, match="seems to live still"):
        world.restore(**WHOLE)
    world.kube.asked.clear()
    assert world.restore(ignore=["original"], **WHOLE)["step"] == "finish"
    assert world.kube.asked == []
    assert [event.split()[0] for event in world.events].count("download") == 3
    # Nor is it another wish when all is done.
    assert "restored" in world.restore(**WHOLE)


@pytest.mark.parametrize("killed", [True, False])
def test_one_datacenter_of_a_cluster_that_is_lost_comes_back(world: Restorable, killed: bool) -> None:
    beside_another(world)
    with pytest.raises(Failed, match=r"\(or go past it with restore_ignore: datacenters\)"):
        world.restore(**WHOLE)
    wish = {**WHOLE, "ignore": ["datacenters"]}
    if killed:
        begun(world, **wish)
        wish = WHOLE
    assert world.restore(**wish)["step"] == "finish"
    (told,) = [each for each in world.warnings if "down for good" in each]
    assert "dc2" in told
    # Replicas that are down cannot be compared.
    assert "repair" not in {event.split()[0] for event in world.events}


# --- rows that are not a node's own ----------------------------------------------------------------------------------


def noted_unclean(world: Restorable) -> str | None:
    annotations = world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"].get("annotations") or {}
    noted: str | None = annotations.get(UNCLEAN)
    return noted


def note_unclean(world: Restorable, pods: str | None) -> None:
    world.kube.patch("ConfigMap", "shop-dc1-ledger", {"metadata": {"annotations": {UNCLEAN: pods}}})


def unclean_backup(world: Restorable) -> None:
    """b2 is made while a node has rows that are not its own; it is cleaned up since."""
    note_unclean(world, world.nodes[0])
    for pod in world.nodes:
        world.store.disks[pod] = {snapshot_path(path): len(text) for path, text in FILES.items()}
    world.back_up("b2")
    note_unclean(world, world.nodes[1])
    world.kube.cut_off.clear()
    world.events.clear()


@pytest.mark.parametrize("whole", [True, False])
def test_rows_of_others_that_come_back_are_noted_for_cleanup(world: Restorable, whole: bool) -> None:
    unclean_backup(world)
    wish = {**(WHOLE if whole else {"rows": "merge"}), "name": "b2"}
    noted = f"{world.nodes[0]},{world.nodes[1]}"
    first = "HOLD" if whole else "import"
    seen: list[str | None] = []
    plain = world.kube.before_write

    def before_write(what: str) -> None:
        if what.startswith(first):
            seen.append(noted_unclean(world))
        plain(what)

    world.kube.before_write = before_write  # type: ignore[method-assign]
    world.ring.before_change = before_write
    world.restore(check=True, **wish)
    assert noted_unclean(world) == world.nodes[1]
    assert warned_of_cleanup(world) == [world.nodes[0]]
    world.restore(**wish)
    assert set(seen) == {noted}, "before any file is in its place"
    assert noted_unclean(world) == noted
    assert warned_of_cleanup(world) == [world.nodes[0]]
    # A second run does nothing, and so it notes nothing.
    note_unclean(world, None)
    assert world.restore(**wish)["changed"] is False
    assert (noted_unclean(world), warned_of_cleanup(world)) == (None, [])


def warned_of_cleanup(world: Restorable) -> list[str]:
    found = [text.partition(":")[0] for text in world.warnings if "run the playbook cleanup" in text]
    world.warnings.clear()
    return found


def test_nobody_is_noted_for_cleanup_where_no_row_of_others_comes_back(world: Restorable) -> None:
    """Nor is anybody of a backup that does not tell, as those of earlier releases."""
    for each in world.store.of("catalogue"):
        each.files = {path: text.replace('"unclean": false', '"older": false') for path, text in each.files.items()}
    world.restore(rows="merge")
    assert (noted_unclean(world), warned_of_cleanup(world)) == (None, [])


@pytest.mark.parametrize("whole", [True, False])
def test_killed_before_any_write_rows_of_others_are_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whole: bool
) -> None:
    wish = {**(WHOLE if whole else {"rows": "merge"}), "name": "b2", "repair": False}
    # Each few writes: those before and after the change are the same as without.
    for lives in range(0, 200, 7):
        world = Restorable.saved(monkeypatch, tmp_path / str(lives))
        unclean_backup(world)
        if not world.killed(lives, lambda: world.restore(**wish)):  # noqa: B023
            break
        placed = [event for event in world.events if event.startswith(("SWAP", "import"))]
        assert not placed or world.nodes[0] in (noted_unclean(world) or ""), lives
        world.restore(**wish)
        assert noted_unclean(world) == f"{world.nodes[0]},{world.nodes[1]}", lives
    assert lives > 7


def test_it_needs_the_datacenters_name(world: Restorable) -> None:
    for confirm in ("", "blog/dc1"):
        with pytest.raises(CassopsError, match="-e restore_confirm=dc1"):
            world.restore(mode="datacenter", confirm=confirm)
    assert world.events == []


def test_the_name_may_have_its_clusters_before_it(world: Restorable) -> None:
    assert world.restore(mode="datacenter", confirm="shop/dc1")["step"] == "finish"


def test_a_restore_leaves_nothing_that_a_later_node_would_read(world: Restorable) -> None:
    """B11: pods are made as before, so one that comes later starts as any other."""

    def sets() -> dict[str, Any]:
        return {item["metadata"]["name"]: item["spec"] for item in world.kube.list("StatefulSet")}

    before, maps = sets(), {item["metadata"]["name"] for item in world.kube.list("ConfigMap")}
    world.restore(**WHOLE)
    assert sets() == before
    assert {item["metadata"]["name"] for item in world.kube.list("ConfigMap")} == maps
    for pod in world.nodes:
        assert not {"restore", "restoring", "replay"} & set(os.listdir(world.volume(pod) / ".cassops"))


def test_nodes_that_lost_their_volumes_are_who_they_were(world: Restorable) -> None:
    """B9: host ids and tokens are the backup's, whatever addresses and pods there are now."""
    hosts = {pod: world.ring.members[pod].host_id for pod in world.nodes}
    for pod in world.nodes:
        world.kube.disks.pop(f"data-{pod}")
        shutil.rmtree(world.root / pod)
        world.comes_back(pod)
    assert set(world.kube.held) == set(world.nodes)
    with pytest.raises(Failed, match="-e restore_auth=take"):
        world.restore(**WHOLE)
    world.restore(**WHOLE, auth="take")
    for pod in world.nodes:
        assert world.files(pod, "data") == FILES
    assert {pod: world.ring.members[pod].host_id for pod in world.nodes} == hosts
    world.assert_clean()


def test_killed_before_any_write_the_datacenter_goes_back_by_the_next_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for lives in range(200):
        world = Restorable.saved(monkeypatch, tmp_path / str(lives))
        if not world.killed(lives, lambda: world.restore(**WHOLE)):  # noqa: B023
            break
        world.restore(**WHOLE)
        assert_as_it_was(world, lives)
        released = [number for number, event in enumerate(world.events) if event.startswith("RELEASE")]
        swapped = [number for number, event in enumerate(world.events) if event.startswith("SWAP")]
        assert max(swapped) < min(released), "no node starts before every one has its data"
    assert lives > 20


# --- a point in time --------------------------------------------------------------------------------------------------


def archived(world: Restorable, **lost: float) -> str:
    """Every node stored its commit log before the backup too, and 900, 600 and 300 s ago; the moment 400 s ago."""
    world.kube.clock += 3600
    for pod in world.nodes:
        world.store_log(pod, 7200, 1)
        for ago, segments in ((900, (1, 2)), (600, (2,)), (300, (2, 3))):
            world.store_log(pod, ago, *segments, **(lost if ago == 600 else {}))
    return moment(world.kube.clock - 400)


def logs_of(world: Restorable, pod: str) -> list[Snapshot]:
    return [each for each in world.store.of(host_of(world, pod)) if "segments" in each.tags]


def logs(world: Restorable, pod: str) -> dict[str, str]:
    return {path: text for path, text in world.files(pod, ".cassops").items() if "/log/" in path or path == "replay"}


def test_a_moment_between_two_backups_comes_back(world: Restorable) -> None:
    to = archived(world)
    seen: dict[str, dict[str, str]] = {}
    plain = world.script

    def script(pod: str, name: str, argv: Sequence[str]) -> ExecResult:
        if name == "RELEASE":
            seen[pod] = logs(world, pod)
        return plain(pod, name, argv)

    world.script = script  # type: ignore[method-assign]
    result = world.restore(**WHOLE, to=to, name=None)
    assert (result["way"], result["to"], result["backup"]) == ("swap", to, "b1")
    for pod in world.nodes:
        folder = f"restore/{result['id']}/{host_of(world, pod)}/log"
        newest = [snapshot.id for snapshot in world.store.of(host_of(world, pod)) if "segments" in snapshot.tags][-3:]
        assert seen[pod] == {
            # Of the second segment the last copy that is needed; of the first the only one.
            f"{folder}/CommitLog-7-1.log": newest[0],
            f"{folder}/CommitLog-7-2.log": newest[2],
            f"{folder}/CommitLog-7-3.log": newest[2],
            "replay": f"{folder.removeprefix('restore/')} {to[:10].replace('-', ':')} {to[11:19]}\n",
        }
    steps = [event.split()[0] for event in world.events]
    assert steps[:9] == ["log"] * 3 + ["download"] * 3 + ["HOLD"] * 3
    assert sorted(steps[9:15]) == ["REPLAY"] * 3 + ["SWAP"] * 3
    assert steps[15:] == ["RELEASE"] * 3 + ["repair"] * 3
    assert_as_it_was(world)


def test_what_was_written_last_is_stored_before_it_is_decided(world: Restorable) -> None:
    archived(world)
    to = moment(world.kube.clock - 20)
    assert world.restore(check=True, **WHOLE, to=to)["to"] == to
    assert "the nodes would first be asked to store the rest" in world.warnings[-1]
    assert world.events == []
    assert world.restore(**WHOLE, to=to)["to"] == to
    assert sorted(world.events[:3]) == [f"want {pod}" for pod in world.nodes]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"to": "yesterday"}, "must be a moment with its zone"),
        ({"to": "2026-11-22T03:14:00"}, "must be a moment with its zone"),
        ({"to": "2001-01-01T00:00:00Z", "name": None}, "no complete backup of datacenter dc1 was taken before"),
        ({"to": "2001-01-01T00:00:00Z"}, "after 2001-01-01T00:00:00Z; choose an older one"),
        ({"to": "2099-01-01T00:00:00Z"}, "is in the future"),
        ({"mode": "tables", "rows": "replace"}, "-e restore_mode=datacenter only"),
    ],
)
def test_moments_that_cannot_come_back_are_refused(world: Restorable, changes: dict[str, Any], words: str) -> None:
    before = {pod: world.files(pod) for pod in world.nodes}
    with pytest.raises(CassopsError, match=words):
        world.restore(**{**WHOLE, "to": archived(world), **changes})
    assert {pod: world.files(pod) for pod in world.nodes} == before
    world.assert_clean()


def test_a_moment_within_the_seconds_of_the_snapshots_is_no_moment_after_them(world: Restorable) -> None:
    """The time of a backup is a full second, so its files may have rows of the one after."""
    for pod in world.nodes:
        world.store_log(pod, 7200, 1)
    world.back_up("b2")
    archived(world)
    taken = world.run(backup_info, name="b2")["backup"]["taken"]
    for seconds, words in ((-1, "choose an older one"), (0, "rows of the two seconds after"), (1, "rows of the two")):
        to = moment(backups.seconds(taken) + seconds)
        with pytest.raises(Failed, match=words):
            world.restore(check=True, **WHOLE, to=to, name="b2")
        assert world.restore(check=True, **WHOLE, to=to, name=None)["backup"] == "b1"
    to = moment(backups.seconds(taken) + 2)
    assert world.restore(check=True, **WHOLE, to=to, name=None)["backup"] == "b2"


@pytest.mark.parametrize("text", ["2026-11-22T03:14:00Z", "2026-11-22 03:14:00+00:00", "2026-11-22T04:14:00+01:00"])
def test_a_moment_may_be_written_as_yaml_does(text: str) -> None:
    assert restore.as_moment(text) == "2026-11-22T03:14:00Z"


def test_nobody_goes_past_what_was_lost(world: Restorable) -> None:
    to = archived(world, lost=world.kube.clock + 2500)
    before = {pod: world.files(pod) for pod in world.nodes}
    with pytest.raises(Failed) as caught:
        world.restore(**WHOLE, to=to)
    assert [reason.split(":")[0] for reason in caught.value.errors] == world.nodes
    assert all("is not all in its commit log" in reason for reason in caught.value.errors)
    assert {pod: world.files(pod) for pod in world.nodes} == before


def test_of_the_moments_that_nodes_reach_the_earliest_holds_for_all(world: Restorable) -> None:
    to = archived(world, lost=world.kube.clock + 2500)
    until = {pod: int(world.kube.clock) - 910 - number for number, pod in enumerate(world.nodes)}
    for pod in world.nodes:
        logs_of(world, pod)[1].tags["until"] = str(until[pod])
    with pytest.raises(Failed) as caught:
        world.restore(**WHOLE, to=to)
    *nodes, together = caught.value.errors
    for pod, told in zip(world.nodes, nodes, strict=True):
        assert told.startswith(f"{pod}: ")
        assert told.endswith(f"; moments up to {moment(until[pod])} can be reached")
    assert together == f"all nodes together reach moments up to {moment(min(until.values()))}"
    # Where one reaches none, no moment holds for all.
    logs_of(world, world.nodes[0])[1].tags["until"] = "1"
    with pytest.raises(Failed) as caught:
        world.restore(**WHOLE, to=to)
    assert [told.split(":")[0] for told in caught.value.errors] == world.nodes


def test_what_a_purge_has_cut_is_told(world: Restorable) -> None:
    to = archived(world)
    for pod in world.nodes:
        found = world.store.of(host_of(world, pod))
        found.remove(next(each for each in found if "segments" in each.tags))
    with pytest.raises(Failed) as caught:
        world.restore(**WHOLE, to=to)
    assert [reason.split(":")[0] for reason in caught.value.errors] == world.nodes
    assert all("cassandra_backup.point_in_time_days" in reason for reason in caught.value.errors)
    assert world.events == []


def test_many_commit_logs_may_be_listed_for_long(world: Restorable) -> None:
    to = archived(world)
    world.store.slow = {where: 900.0 for where in world.store.repositories if not where.endswith("catalogue")}
    assert world.restore(**WHOLE, to=to, wait_timeout=900)["to"] == to


def test_schema_that_changed_meanwhile(world: Restorable) -> None:
    made = (world.kube.clock + 2000) * 1e6
    new = {"keyspace_name": "shop", "table_name": "new", "column_name": "id", "made": made}
    world.columns = [new, {**new, "keyspace_name": "system", "table_name": "odd"}]
    to = archived(world)
    world.restore(check=True, **WHOLE, to=to)
    assert ["without rows, or not at all: shop.new" in text for text in world.warnings] == [True]
    world.columns.append({**new, "table_name": "orders", "column_name": "late"})
    with pytest.raises(Failed, match="column late of table"):
        world.restore(**WHOLE, to=to)


def test_a_table_that_was_made_again_meanwhile_is_told(world: Restorable) -> None:
    """A staging table that is made anew each night rules out no moment."""
    made = (world.kube.clock + 2000) * 1e6
    world.columns = [
        {"keyspace_name": "shop", "table_name": "items", "column_name": each, "made": made} for each in ("id", "late")
    ]
    text = f"CREATE TABLE shop.items (id int PRIMARY KEY, late int) WITH ID = {ID[:-1]}1;"
    world.ring.described[-1] = (*STATEMENTS[-1][:3], text)  # type: ignore[attr-defined]
    assert world.restore(check=True, **WHOLE, to=archived(world))["way"] == "swap"
    told = [text.split(": ")[0] for text in world.warnings if "shop.items" in text]
    assert told == ["dropped and made again after the backup", "dropped since the backup"]


def test_a_keyspace_without_a_commit_log_is_told(world: Restorable) -> None:
    name, kind, same, text = STATEMENTS[0]
    world.ring.described[0] = (name, kind, same, text.replace(";", " AND durable_writes = false;"))  # type: ignore[attr-defined]
    world.back_up("b2")
    to = archived(world)
    world.restore(check=True, **WHOLE, to=to, name="b2")
    assert [text for text in world.warnings if text.startswith("keyspaces with durable_writes = false: shop. ")]
    world.restore(check=True, **WHOLE, name="b2")
    assert not [text for text in world.warnings if "durable_writes" in text]


def test_deletes_of_single_rows_after_the_moment_are_told(world: Restorable) -> None:
    """By every run with a moment: with how far the commit logs go on, or where a run is gone on with, without."""
    name, kind, table, _text = STATEMENTS[1]
    clustered = "CREATE TABLE shop.orders (id int, note text, PRIMARY KEY (id, note));"
    world.ring.described[1] = (name, kind, table, clustered)  # type: ignore[attr-defined]
    world.back_up("b2")
    to = archived(world)
    wish = {**WHOLE, "to": to, "name": "b2"}

    def told() -> list[str]:
        found = [text for text in world.warnings if "single row" in text]
        world.warnings.clear()
        return found

    world.restore(check=True, **WHOLE, name="b2")
    assert told() == []
    world.restore(check=True, **wish)
    (text,) = told()
    # The piece that covers the moment was stored 100 s after it, and its segments may have grown for 30 s meanwhile.
    assert ", 130 s after the moment: " in text
    assert "That concerns shop.orders. " in text
    begun(world, **wish)
    assert told()
    world.restore(**wish)
    (text,) = told()
    assert "to a minute or more after the moment" in text


def test_a_table_that_was_dropped_meanwhile_is_told(world: Restorable) -> None:
    to = archived(world)
    world.ring.described.pop()  # type: ignore[attr-defined]
    world.restore(check=True, **WHOLE, to=to)
    assert "dropped since the backup: shop.items. Nobody knows" in world.warnings[-1]


def test_what_was_restored_ends_the_commit_log(world: Restorable) -> None:
    """Neither what a restore imports nor what it puts in place of everything is in a commit log."""
    for wish in ({"tables": ["shop"], "rows": "replace"}, WHOLE):
        for pod in world.nodes:
            world.write(pod, ".cassops/archive/closed/CommitLog-7-1.log", "older")
            (world.volume(pod) / ".cassops/archive/lost").unlink(missing_ok=True)
        world.restore(**wish)
        for pod in world.nodes:
            assert (world.volume(pod) / ".cassops/archive/lost").exists()
            assert bool(os.listdir(world.volume(pod) / ".cassops/archive/closed")) is (wish is not WHOLE)


@pytest.mark.parametrize("step", ["download", "stop"])
def test_a_moment_that_is_given_up_ends_the_commit_log(world: Restorable, step: str) -> None:
    """Nodes with the script of an earlier release took what was downloaded of a segment for the whole of it."""
    to = archived(world)
    for pod in world.nodes:
        world.write(pod, ".cassops/archive/closed/CommitLog-7-3.log", "live")
    begun(world, **WHOLE, to=to)
    if step == "stop":
        half_restored(world, step=step, **WHOLE, to=to)
    assert world.kube.one(*PLANNED)["data"]["step"] == step
    lost = [world.volume(pod) / ".cassops/archive/lost" for pod in world.nodes]
    plain, cleaned = world.script, []

    def script(pod: str, name: str, argv: Sequence[str]) -> ExecResult:
        if name == "CLEAN":
            cleaned.append((world.volume(pod) / ".cassops/archive/lost").exists())
        return plain(pod, name, argv)

    world.script = script  # type: ignore[method-assign]
    world.restore(abandon=True)
    # What is written until the copy is gone may be lost too.
    assert cleaned == [False] * 3
    assert all(file.exists() for file in lost)


def test_a_backup_that_is_given_up_before_it_changed_anything_breaks_no_chain(world: Restorable) -> None:
    for pod in world.nodes:
        world.write(pod, ".cassops/archive/closed/CommitLog-7-3.log", "live")
    begun(world, **WHOLE)
    world.restore(abandon=True)
    assert not any((world.volume(pod) / ".cassops/archive/lost").exists() for pod in world.nodes)


def test_killed_before_any_write_the_moment_comes_back_by_the_next_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for lives in range(200):
        world = Restorable.saved(monkeypatch, tmp_path / str(lives))
        to = archived(world)
        if not world.killed(lives, lambda: world.restore(**WHOLE, to=to)):  # noqa: B023
            break
        world.restore(**WHOLE, to=to)
        assert_as_it_was(world, lives)
        replays = [number for number, event in enumerate(world.events) if event.startswith("REPLAY")]
        released = [number for number, event in enumerate(world.events) if event.startswith("RELEASE")]
        assert len(replays) >= 3
        assert max(replays) < min(released), "no node starts before every one knows what it replays"
    assert lives > 20


# --- Cassandra's own check --------------------------------------------------------------------------------------------


def test_cassandra_reads_a_sample(world: Restorable) -> None:
    before = {pod: world.files(pod) for pod in world.nodes}
    result = world.run(backup_verify, sstables=True)
    (told,) = [event for event in world.events if event.startswith("verify")]
    assert told in ("verify shop.orders: 2 files", "verify shop.items: 1 files")
    assert f"and Cassandra has read {told.split()[1][:-1]} of shop-dc1-r" in result["report"][0]
    assert {pod: world.files(pod) for pod in world.nodes} == before
    assert world.store.jobs == {}


def test_without_the_schemas_tables_no_sample_is_read(world: Restorable) -> None:
    """Of a backup of some tables: Cassandra would not know what they look like."""
    for pod in world.nodes:
        world.store.disks[pod] = {snapshot_path(path): len(FILES[path]) for path in FILES if path.startswith("shop/")}
    world.back_up("t1", tables=["shop"])
    result = world.run(backup_verify, name="t1", sstables=True)
    assert result["faults"] == []
    assert "Cassandra has read" not in result["report"][0]
    assert world.warnings[-1] == backup_verify.NOT_DESCRIBED
    assert not [event for event in world.events if event.startswith(("verify", "download"))]


def test_what_cassandra_cannot_read_is_damaged_and_what_could_not_be_run_is_not(world: Restorable) -> None:
    world.verdict = 137
    with pytest.raises(CassopsError, match="sstableverify could not be run"):
        world.run(backup_verify, sstables=True)
    world.verdict, world.verdict_words = 1, "Unrecognized option: --force\nusage: sstableverify [options]"
    with pytest.raises(CassopsError, match="sstableverify could not be run"):
        world.run(backup_verify, sstables=True)
    world.verdict_words = "Unknown keyspace/table shop.orders"
    with pytest.raises(CassopsError, match="sstableverify could not be run"):
        world.run(backup_verify, sstables=True)
    world.verdict_words = "Invalid SSTable nb-1-big-Data.db"
    with pytest.raises(Failed, match=r"sstableverify says Invalid SSTable nb-1-big-Data\.db"):
        world.run(backup_verify, sstables=True)
    assert not (world.volume(world.nodes[0]) / ".cassops/restore").exists()


def test_the_damaged_file_is_told_and_not_the_sound_ones_after_it() -> None:
    """It goes on with the next file."""
    said = """Checking computed hash of BigTableReader:big(path='/d/k/t-1/nb-3-big-Data.db')
Error verifying BigTableReader:big(path='/d/k/t-1/nb-3-big-Data.db'): Invalid SSTable /d/k/t-1/nb-3-big-Data.db
Verify of BigTableReader:big(path='/d/k/t-1/nb-1-big-Data.db') succeeded. All 100 rows read successfully
"""
    assert "Invalid SSTable /d/k/t-1/nb-3-big-Data.db" in backup_verify.complaint(said)
    assert "nb-1" not in backup_verify.complaint(said)
    assert backup_verify.complaint("one\n\ntwo\n") == "one; two"
