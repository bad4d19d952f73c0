# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scripts of a restore, run for real by every sh of the machine on a volume in a temporary folder."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import restore_scripts as scripts

SHELLS = [[shell] for shell in ("sh", "dash", "bash") if shutil.which(shell)]
SHELLS += [["busybox", "sh"]] if shutil.which("busybox") else []
MARK = "0123 shop dc1 r1 shop-dc1-r1-0"
ID = "20261125-2300"
HOST = "11111111-2222-3333-4444-555555555555"
STAGE = f".cassops/restore/{ID}/{HOST}"


class Volume:
    """A node's volume, and the sidecar's shell."""

    def __init__(self, root: Path, shell: list[str]) -> None:
        self.root, self.shell = root, shell
        self.path = root / "var/lib/cassandra"
        self.stage = self.path / STAGE
        self.path.mkdir(parents=True)

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "CASSOPS_ROOT": str(self.root)}
        command = [*self.shell, "-c", script, "sh", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def write(self, path: str, text: str) -> None:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def files(self, folder: str = "") -> dict[str, str]:
        top = self.path / folder
        return {str(file.relative_to(top)): file.read_text() for file in sorted(top.rglob("*")) if file.is_file()}

    def lived_in(self) -> None:
        """As a node leaves it that was drained after the backup."""
        self.write("data/shop/orders-1a/nb-9-big-Data.db", "newer")
        self.write("data/shop/orphan-2b/nb-1-big-Data.db", "made after the backup")
        self.write("data/system_auth/roles-3c/nb-7-big-Data.db", "today's logins")
        self.write("commitlog/CommitLog-7-1.log", "writes")
        self.write("hints/6f0c.hints", "writes")
        self.write("saved_caches/KeyCache-f.db", "keys")
        self.write(".cassops/mark", MARK + "\n")
        self.write(".cassops/joined", "")
        self.write(".cassops/missed", "77\n")

    def downloading(self) -> None:
        """As restic leaves it."""
        for path, text in {
            "shop/orders-1a/snapshots/cassops-backup/nb-3-big-Data.db": "older",
            "shop/orders-1a/snapshots/cassops-backup/.by_day/nb-3-big-Data.db": "index",
            "shop/orders-1a/snapshots/cassops-backup/manifest.json": "{}",
            "shop/orders-1a/snapshots/cassops-backup/schema.cql": "CREATE TABLE",
            "system_auth/roles-3c/snapshots/cassops-backup/nb-2-big-Data.db": "logins of the backup",
        }.items():
            self.write(f"{STAGE}/raw/{path}", text)

    def downloaded(self) -> None:
        self.downloading()
        assert self.run(scripts.ARRANGE, ID, HOST, "cassops-backup").returncode == 0


@pytest.fixture(params=SHELLS, ids=" ".join)
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> Volume:
    return Volume(tmp_path, request.param)


def test_what_was_downloaded_takes_the_place_of_everything(volume: Volume) -> None:
    volume.lived_in()
    volume.downloaded()
    assert volume.run(scripts.HOLD, ID).returncode == 0
    done = volume.run(scripts.SWAP, ID, HOST, MARK)
    assert (done.returncode, done.stderr) == (0, "")
    assert volume.files("data") == {
        "shop/orders-1a/nb-3-big-Data.db": "older",
        "shop/orders-1a/.by_day/nb-3-big-Data.db": "index",
        "system_auth/roles-3c/nb-2-big-Data.db": "logins of the backup",
    }
    assert not any((volume.path / name).exists() for name in ("commitlog", "hints", "saved_caches"))
    assert not (volume.path / ".cassops/missed").exists()
    assert "newer" in volume.files(f".cassops/restore/{ID}/old").values()


def test_logins_stay_where_that_was_asked(volume: Volume) -> None:
    volume.lived_in()
    volume.downloaded()
    volume.run(scripts.HOLD, ID)
    volume.run(scripts.SWAP, ID, HOST, MARK, "system_auth")
    assert volume.files("data/system_auth") == {"roles-3c/nb-7-big-Data.db": "today's logins"}


def test_an_empty_volume_becomes_the_nodes_own(volume: Volume) -> None:
    volume.downloaded()
    volume.run(scripts.HOLD, ID)
    assert volume.run(scripts.SWAP, ID, HOST, MARK, "system_auth").returncode == 0
    marks = volume.files(".cassops")
    assert (marks["mark"], marks["way"]) == (MARK + "\n", "restart\n")
    assert {"joined", "alive", "restoring"} <= set(marks)
    assert volume.files("data/system_auth") == {"roles-3c/nb-2-big-Data.db": "logins of the backup"}


def test_what_the_commit_log_would_have_told_ends_with_the_data(volume: Volume) -> None:
    volume.lived_in()
    volume.write(".cassops/archive/closed/CommitLog-7-1.log", "writes")
    volume.downloaded()
    volume.run(scripts.HOLD, ID)
    assert volume.run(scripts.REPLAY, ID, HOST, "2026:11:22 03:14:00").returncode == 3
    volume.write(f"{STAGE}/log/CommitLog-7-2.log", "stored")
    assert volume.run(scripts.SWAP, ID, HOST, MARK).returncode == 0
    assert volume.files(".cassops/archive") == {"lost": ""}
    assert volume.run(scripts.REPLAY, ID, HOST, "2026:11:22 03:14:00").returncode == 0
    assert volume.files(".cassops")["replay"] == f"{ID}/{HOST}/log 2026:11:22 03:14:00\n"


def test_only_where_commit_logs_are_stored_is_their_end_noted(volume: Volume) -> None:
    assert volume.run(scripts.BREAK).returncode == 0
    assert volume.files() == {}
    (volume.path / ".cassops/archive/closed").mkdir(parents=True)
    assert volume.run(scripts.BREAK).returncode == 0
    assert volume.files() == {".cassops/archive/lost": ""}


def test_a_node_that_is_not_held_is_not_touched(volume: Volume) -> None:
    volume.lived_in()
    volume.downloaded()
    before = volume.files()
    assert volume.run(scripts.SWAP, ID, HOST, MARK).returncode == 3
    volume.run(scripts.HOLD, "another")
    assert volume.run(scripts.SWAP, ID, HOST, MARK).returncode == 3
    volume.run(scripts.RELEASE, ID)
    assert volume.files() == {**before, ".cassops/restoring": "another\n"}


@pytest.mark.parametrize("kept", [(), ("system_auth",)], ids=["all", "logins stay"])
def test_a_swap_that_is_killed_anywhere_is_finished_by_the_next(tmp_path: Path, kept: tuple[str, ...]) -> None:
    """mv is what changes something: the script dies after its n-th."""
    whole = Volume(tmp_path / "whole", SHELLS[0])
    whole.lived_in()
    whole.downloaded()
    whole.run(scripts.HOLD, ID)
    whole.run(scripts.SWAP, ID, HOST, MARK, *kept)
    deadly = 'count=0; mv() { command mv "$@"; count=$((count + 1)); [ "$count" -ne "$dies" ] || kill -9 $$; }\n'
    for dies in range(1, 12):
        volume = Volume(tmp_path / str(dies), SHELLS[0])
        volume.lived_in()
        volume.downloaded()
        volume.run(scripts.HOLD, ID)
        killed = volume.run(f"dies={dies}\n{deadly}{scripts.SWAP}", ID, HOST, MARK, *kept)
        again = volume.run(scripts.SWAP, ID, HOST, MARK, *kept)
        assert again.returncode == 0, again.stderr
        assert volume.files() == whole.files(), f"died after {dies} renames"
        if killed.returncode == 0:
            break
    assert killed.returncode == 0
    assert dies > 4


def as_before(volume: Volume) -> dict[str, str]:
    """But for what a restore is held and kept by."""
    return {
        path: text
        for path, text in volume.files().items()
        if not path.startswith((".cassops/restore/", ".cassops/restoring"))
    }


DEADLY = """count=0; did() { command "$@"; count=$((count + 1)); [ "$count" -ne "$dies" ] || kill -9 $$; }
mv() { did mv "$@"; }
cp() { did cp "$@"; }
"""


@pytest.mark.parametrize("kept", [(), ("system_auth",)], ids=["all", "logins stay"])
def test_there_is_a_way_back_from_wherever_a_swap_was_killed_and_it_may_be_killed_too(
    tmp_path: Path, kept: tuple[str, ...]
) -> None:
    swap, back = (ID, HOST, MARK, *kept), (ID, HOST, *kept)
    ends: set[tuple[bool, bool]] = set()
    for first, second in itertools.product(range(1, 16), range(1, 14)):
        volume = Volume(tmp_path / f"{first}-{second}", SHELLS[0])
        volume.lived_in()
        before = as_before(volume)
        volume.downloaded()
        volume.run(scripts.HOLD, ID)
        swapped = volume.run(f"dies={first}\n{DEADLY}{scripts.SWAP}", *swap).returncode == 0
        volume.write(".cassops/replay", "a log")
        if swapped:
            # It served meanwhile.
            volume.write("data/shop/orders-1a/nb-4-big-Data.db", "restored and written to")
            volume.write("hints/77aa.hints", "of the time since")
            volume.write("commitlog/CommitLog-7-9.log", "of the time since")
        returned = volume.run(f"dies={second}\n{DEADLY}{scripts.RETURN}", *back).returncode == 0
        ends.add((swapped, returned))
        again = volume.run(scripts.RETURN, *back)
        assert (again.returncode, again.stderr) == (0, "")
        assert as_before(volume) == before, f"killed after {first} and {second}"
    assert ends == {(True, True), (True, False), (False, True), (False, False)}


def test_the_way_back_keeps_how_long_a_node_had_been_away(volume: Volume) -> None:
    volume.lived_in()
    alive = volume.path / ".cassops/alive"
    alive.touch()
    hour_ago = alive.stat().st_mtime - 3600
    os.utime(alive, (hour_ago, hour_ago))
    volume.downloaded()
    volume.run(scripts.HOLD, ID)
    volume.run(scripts.SWAP, ID, HOST, MARK)
    assert alive.stat().st_mtime > hour_ago + 3000
    # The restored node has been there for a day.
    age = volume.path / f".cassops/restore/{ID}/old/marks/age"
    assert 3600 <= int(age.read_text()) < 3700
    age.write_text("7200\n")
    assert volume.run(scripts.RETURN, ID, HOST).returncode == 0
    assert 7100 < time.time() - alive.stat().st_mtime < 7300
    assert volume.files(".cassops")["missed"] == "77\n"


def test_what_the_restored_node_archived_goes_with_it(volume: Volume) -> None:
    volume.lived_in()
    volume.downloaded()
    volume.run(scripts.HOLD, ID)
    volume.run(scripts.SWAP, ID, HOST, MARK)
    volume.write(".cassops/archive/closed/CommitLog-7-9.log", "of the life that is given up")
    assert volume.run(scripts.RETURN, ID, HOST).returncode == 0
    assert volume.files(".cassops/archive") == {"lost": ""}


def test_data_that_was_exchanged_without_its_marks_is_left_alone(volume: Volume) -> None:
    volume.lived_in()
    volume.downloaded()
    volume.run(scripts.HOLD, ID)
    volume.run(scripts.SWAP, ID, HOST, MARK)
    shutil.rmtree(volume.path / f".cassops/restore/{ID}/old/marks")
    before = volume.files()
    told = volume.run(scripts.RETURN, ID, HOST)
    assert (told.returncode, volume.files()) == (3, before)
    assert "put it back by hand" in told.stderr


def test_an_empty_volume_is_empty_again(volume: Volume) -> None:
    volume.downloaded()
    volume.run(scripts.HOLD, ID)
    volume.run(scripts.SWAP, ID, HOST, MARK, "system_auth")
    assert volume.files("data")
    assert volume.run(scripts.RETURN, ID, HOST, "system_auth").returncode == 0
    assert as_before(volume) == {}


def test_a_volume_that_came_since_is_no_way_back(volume: Volume) -> None:
    """Its node was replaced by those that were restored: their rows do not go with what the others had."""
    assert volume.run(scripts.RETURN, ID, HOST).returncode == 3, "it is not held"
    volume.run(scripts.HOLD, ID)
    assert volume.run(scripts.RETURN, ID, HOST).returncode == 0, "there is nothing on it"
    volume.lived_in()
    before = volume.files()
    told = volume.run(scripts.RETURN, ID, HOST)
    assert told.returncode == 3
    assert "its volume is another one than the restore exchanged" in told.stderr
    assert volume.files() == before


def test_the_look_tells_what_is_there(volume: Volume) -> None:
    told = volume.run(scripts.LOOK).stdout.splitlines()
    assert told[0].startswith("free ")
    assert told[1:] == ["data no"]
    volume.lived_in()
    volume.downloaded()
    volume.run(scripts.HOLD, ID)
    told = volume.run(scripts.LOOK).stdout.splitlines()
    assert told[1:] == ["data yes", f"ready {ID}/{HOST}"]
    assert int(told[0].split()[1]) > 0


def test_sizes_of_what_was_downloaded(volume: Volume) -> None:
    assert volume.run(scripts.SIZES, ID, HOST).stdout == ""
    volume.downloading()
    told = sorted(volume.run(scripts.SIZES, ID, HOST).stdout.splitlines())
    assert told == [
        "12 shop/orders-1a/snapshots/cassops-backup/schema.cql",
        "2 shop/orders-1a/snapshots/cassops-backup/manifest.json",
        "20 system_auth/roles-3c/snapshots/cassops-backup/nb-2-big-Data.db",
        "5 shop/orders-1a/snapshots/cassops-backup/.by_day/nb-3-big-Data.db",
        "5 shop/orders-1a/snapshots/cassops-backup/nb-3-big-Data.db",
    ]


def test_what_was_downloaded_becomes_a_data_folder(volume: Volume) -> None:
    volume.downloading()
    # As a run leaves it that died between two tables.
    volume.write(f"{STAGE}/data/shop/.keep", "")
    for _turn in range(2):
        assert volume.run(scripts.ARRANGE, ID, HOST, "cassops-backup").returncode == 0
    assert volume.files(STAGE) == {
        "data/shop/.keep": "",
        "data/shop/orders-1a/nb-3-big-Data.db": "older",
        "data/shop/orders-1a/.by_day/nb-3-big-Data.db": "index",
        "data/system_auth/roles-3c/nb-2-big-Data.db": "logins of the backup",
        "ready": "",
    }


def test_an_arrangement_that_is_killed_anywhere_is_told_and_finished_by_the_next(tmp_path: Path) -> None:
    """The script dies after its n-th step."""
    whole = Volume(tmp_path / "whole", SHELLS[0])
    whole.downloaded()
    deadly = 'count=0; did() { command "$@"; count=$((count + 1)); [ "$count" -ne "$dies" ] || kill -9 $$; }\n'
    deadly += "".join(f'{name}() {{ did {name} "$@"; }}\n' for name in ("mkdir", "touch", "rm", "mv"))
    for dies in range(1, 20):
        volume = Volume(tmp_path / str(dies), SHELLS[0])
        volume.downloading()
        files = volume.run(scripts.SIZES, ID, HOST).stdout
        killed = volume.run(f"dies={dies}\n{deadly}{scripts.ARRANGE}", ID, HOST, "cassops-backup")
        told = volume.run(scripts.LOOK).stdout.splitlines()[-1]
        assert (
            told in (f"whole {ID}/{HOST}", f"ready {ID}/{HOST}") or volume.run(scripts.SIZES, ID, HOST).stdout == files
        )
        assert volume.run(scripts.ARRANGE, ID, HOST, "cassops-backup").returncode == 0
        assert volume.files() == whole.files(), f"died after {dies} steps"
        if killed.returncode == 0:
            break
    assert killed.returncode == 0
    assert dies > 8


def test_folders_are_told_until_they_are_forgotten(volume: Volume) -> None:
    assert volume.run(scripts.FOLDERS, ID, HOST).stdout == ""
    volume.downloaded()
    place = f"{volume.stage}/data"
    told = volume.run(scripts.FOLDERS, ID, HOST).stdout.splitlines()
    assert sorted(told) == [
        f"1 shop orders {place}/shop/orders-1a",
        f"1 system_auth roles {place}/system_auth/roles-3c",
    ]
    (volume.stage / "data/system_auth/roles-3c/nb-2-big-Data.db").unlink()
    volume.run(scripts.FORGET, f"{place}/shop/orders-1a", str(volume.path))
    # Whoever emptied it may not have come to its end.
    assert volume.run(scripts.FOLDERS, ID, HOST).stdout == f"0 system_auth roles {place}/system_auth/roles-3c\n"
    assert volume.path.exists()


def test_a_table_without_rows_gets_no_folder(volume: Volume) -> None:
    volume.downloading()
    empty = volume.stage / "raw/shop/empty-2b/snapshots/cassops-backup"
    empty.mkdir(parents=True)
    (empty / "manifest.json").write_text("{}")
    assert volume.run(scripts.ARRANGE, ID, HOST, "cassops-backup").returncode == 0
    told = volume.run(scripts.FOLDERS, ID, HOST).stdout.splitlines()
    assert sorted(line.split()[2] for line in told) == ["orders", "roles"]


def test_a_node_without_its_data_is_not_swapped(volume: Volume) -> None:
    volume.lived_in()
    volume.downloading()
    volume.run(scripts.HOLD, ID)
    before = volume.files()
    assert volume.run(scripts.SWAP, ID, HOST, MARK).returncode == 3
    assert volume.files() == before


def test_release_and_clean_leave_nothing(volume: Volume) -> None:
    volume.downloaded()
    volume.run(scripts.HOLD, ID)
    for _turn in range(2):
        assert volume.run(scripts.RELEASE, ID).returncode == 0
        assert volume.run(scripts.CLEAN, ID).returncode == 0
    assert volume.files() == {}
    assert not (volume.path / ".cassops/restore").exists()


def test_cassandra_verifies_in_a_configuration_of_its_own(tmp_path: Path) -> None:
    conf, programs = tmp_path / "conf", tmp_path / "bin"
    conf.mkdir()
    programs.mkdir()
    yaml = 'cluster_name: "shop"\ncommitlog_directory: "/c"\ndata_file_directories: ["/d"]\n'
    (conf / "cassandra.yaml").write_text(yaml)
    (programs / "sstableverify").write_text(
        '#!/bin/sh\necho "$* $MAX_HEAP_SIZE"; cat "$CASSANDRA_CONF/cassandra.yaml"; exit 1\n'
    )
    (programs / "sstableverify").chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "CASSANDRA_CONF": str(conf), "MAX_HEAP_SIZE": "4096M"}
    for shell, version in itertools.product(SHELLS, ("4.0.19", "5.0.9")):
        environment["CASSOPS_VERSION"] = version
        command = [*shell, "-c", scripts.VERIFY, "sh", "/stage/data", "shop", "orders"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "")
        first, *told = done.stdout.splitlines()
        force = "" if version == "4.0.19" else "--force "
        assert first == f"{force}--extended shop orders 256M", "4.0 ends with 1 for an option that it does not know"
        assert told[:2] == ['cluster_name: "shop"', 'data_file_directories: ["/stage/data"]']
        assert [line.split(":")[0] for line in told[2:]] == [
            "commitlog_directory",
            "saved_caches_directory",
            "hints_directory",
            "cdc_raw_directory",
        ]
        assert not list(Path("/tmp").glob("verify.??????")), "it is taken away"
    assert (conf / "cassandra.yaml").read_text() == yaml
    (conf / "cassandra.yaml").unlink()
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 97


def test_those_that_take_connections_are_told(volume: Volume) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        open_, closed = (f"127.0.0.1/{each.getsockname()[1]}" for each in (server, other))
        other.close()
        done = volume.run(scripts.ANSWERS, closed, open_, "$(touch here)/7000")
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [open_], "")
    assert volume.run(scripts.ANSWERS).returncode == 0
