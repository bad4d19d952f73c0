# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way of the commit log into the store, run for real by every sh of the machine, with a stub in restic's place."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests import archive

SHELLS = [[shell] for shell in ("sh", "dash", "bash") if shutil.which(shell)]
SHELLS += [["busybox", "sh"]] if shutil.which("busybox") else []
POD = "shop-dc1-r1-0"
HOST = "11111111-2222-3333-4444-555555555555"
SEGMENT = "CommitLog-7-1800000000{:03d}.log"
HEADER = "\0\0\0\x07rows"
# Each call: the words, and the names that it was given.
STUB = """#!/bin/sh
[ ! -e "$CASSOPS_ROOT/broken" ] || { echo "Fatal: unable to open repository" >&2; exit 1; }
case "$*" in
    *" unlock "*) rm "$CASSOPS_ROOT/locked"; exit ;;
    *" list locks "*) cat "$CASSOPS_ROOT/locked"; exit ;;
esac
[ ! -e "$CASSOPS_ROOT/locked" ] || exit 11
echo "$*" >>"$CASSOPS_ROOT/calls"
while read -r name; do cat "$name" >/dev/null || exit 3; done <"$CASSOPS_ROOT/cassops/backup/spool/archive/names"
"""
CLIENT = 'restic_in() ( restic "$@" )\n'


class Node:
    """A node's volume, Cassandra's container and the one for backups."""

    def __init__(self, root: Path, shell: list[str]) -> None:
        self.root, self.shell = root, shell
        self.volume = root / "var/lib/cassandra"
        self.commitlog = self.volume / "commitlog"
        self.archive = self.volume / ".cassops/archive"
        for folder in (self.commitlog, self.archive / "closed", root / "bin", root / "cassops/ledger"):
            folder.mkdir(parents=True)
        (root / "bin/restic").write_text(STUB)
        (root / "bin/restic").chmod(0o755)
        (root / "cassops/ledger/nodes").write_text(f"{POD[:-1]}10 198.19.0.2 other\n{POD} 198.19.0.1 {HOST}\n")
        (root / "cassops/ledger/id").write_text("0123")
        (root / "archive.sh").write_text(archive.ARCHIVE)
        self.environment = {
            "PATH": f"{root}/bin:{os.environ['PATH']}",
            "CASSOPS_ROOT": str(root),
            "CASSOPS_ARCHIVE": "1000",
            "CASSOPS_REPOSITORY": "s3:https://s3/b/shop/dc1",
            "CASSOPS_ONCE": "1",
            "POD_NAME": POD,
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.shell, *words], env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def segment(self, number: int, text: str = HEADER) -> Path:
        file = self.commitlog / SEGMENT.format(number)
        file.write_text(text)
        return file

    def full(self, number: int, text: str = HEADER) -> None:
        """Cassandra gives it to us, and deletes it later."""
        file = self.segment(number, text)
        done = self.run(str(self.root / "archive.sh"), str(file), file.name)
        assert (done.returncode, done.stderr) == (0, "")

    def store(self) -> list[dict[str, str]]:
        """One round; each call of restic by its tags, with its host."""
        (self.root / "calls").write_text("")
        done = self.run("-c", CLIENT + archive.STORE)
        assert done.returncode == 0, done.stderr
        calls = []
        for line in (self.root / "calls").read_text().splitlines():
            words = line.split()
            tags = [words[number + 1] for number, word in enumerate(words) if word == "--tag"]
            calls.append(
                {"to": words[0], "host": words[words.index("--host") + 1], **dict(t.split("=", 1) for t in tags)}
            )
        return calls

    @property
    def closed(self) -> list[str]:
        return sorted(os.listdir(self.archive / "closed"))


@pytest.fixture(params=SHELLS, ids=" ".join)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Node:
    return Node(tmp_path, request.param)


def rests(file: Path) -> None:
    """Nobody has written to it for a while."""
    then = time.time() - 60
    os.utime(file, (then, then))


def names(*numbers: int) -> str:
    return "".join(f"{SEGMENT.format(number)}+" for number in numbers)


def test_the_lock_of_a_purge_that_died_ends_no_archive(node: Node) -> None:
    """restic takes one of a living purge for dead where that runs in a pod of the same name elsewhere."""
    node.full(1)
    locked, seen = node.root / "locked", node.root / "cassops/backup/spool/archive/locks"
    # A living restic puts another in its place every five minutes.
    for lock, passed in (("one", 0), ("two", 2400), ("two", 600), ("three", 2400), ("three", 0)):
        locked.write_text(f"{lock}\n")
        if passed:
            os.utime(seen, (time.time() - passed,) * 2)
        assert node.store() == []
        assert locked.exists()
    os.utime(seen, (time.time() - 2400,) * 2)
    # It went just now.
    locked.write_text("")
    assert node.store() == []
    assert locked.exists()
    locked.write_text("three\n")
    assert node.store() == []
    assert not locked.exists()
    assert node.closed == [SEGMENT.format(1)]
    assert node.store()[0]["segments"] == names(1)
    assert node.closed == []


def test_what_is_full_and_what_grows_is_stored(node: Node) -> None:
    node.full(1)
    node.segment(1).unlink()
    node.segment(2)
    before = int(time.time())
    full, growing = node.store()
    assert full == {
        "to": f"s3:https://s3/b/shop/dc1/{HOST}",
        "host": f"log-{HOST}",
        "kind": "log",
        "ledger": "0123",
        "segments": names(1),
        "size": "8",
    }
    assert growing["segments"] == names(2)
    assert before - 20 <= int(growing["until"]) <= int(time.time()) - 15
    assert node.closed == []
    # What Cassandra writes on is its own file.
    assert node.segment(2).stat().st_nlink == 1


def test_the_last_that_became_full_is_in_even_before_cassandra_told(node: Node) -> None:
    for number in (1, 2, 3):
        node.segment(number)
    node.segment(4, "\0\0\0\0")
    (growing,) = node.store()
    assert growing["segments"] == names(2, 3)


def test_nothing_new_is_not_stored_again_but_for_a_restore(node: Node) -> None:
    file = node.segment(1)
    rests(file)
    assert len(node.store()) == 1
    assert node.store() == []
    wanted = node.root / "cassops/backup/spool/archive/wanted"
    wanted.touch()
    assert len(node.store()) == 1
    assert not wanted.exists()
    file.write_text(HEADER + "more")
    assert len(node.store()) == 1


def test_what_was_written_a_moment_ago_is_stored_once_more(node: Node) -> None:
    """Cassandra's marker, up to which it is read, comes with the next sync, and the time of the file stays."""
    file = node.segment(1)
    assert len(node.store()) == 1
    assert len(node.store()) == 1
    rests(file)
    assert len(node.store()) == 1
    assert node.store() == []


def test_a_wish_that_comes_while_the_store_is_written_to_is_granted_by_the_next_round(node: Node) -> None:
    """What is stored then reaches up to the beginning of the round, and not to what is wanted."""
    rests(node.segment(1))
    wanted = "$CASSOPS_ROOT/cassops/backup/spool/archive/wanted"
    (node.root / "bin/restic").write_text(f"{STUB}[ -e $CASSOPS_ROOT/once ] || touch {wanted} $CASSOPS_ROOT/once\n")
    assert len(node.store()) == 1
    assert len(node.store()) == 1
    assert node.store() == []


def test_many_go_in_parts(node: Node) -> None:
    for number in range(1, 121):
        node.full(number)
    parts = [call["segments"].count("+") for call in node.store()]
    assert parts == [50, 50, 20, 3]
    assert node.closed == []


def test_a_store_that_is_away_costs_nothing_but_room(node: Node) -> None:
    node.full(1)
    node.segment(2)
    (node.root / "broken").touch()
    assert node.store() == []
    assert node.closed == [SEGMENT.format(1)]
    (node.root / "broken").unlink()
    assert [call["segments"] for call in node.store()] == [names(1), names(1, 2)]


def test_the_volume_does_not_become_full_and_the_loss_is_told_once(node: Node) -> None:
    node.environment["CASSOPS_ARCHIVE"] = "100"
    for number in (1, 2, 3):
        node.full(number, HEADER + "x" * 60_000)
    assert node.closed == [SEGMENT.format(1), SEGMENT.format(2)]
    lost = int((node.archive / "lost").stat().st_mtime)
    told = node.store()
    assert [call.get("lost") for call in told] == [None, str(lost)]
    node.segment(4)
    assert [call.get("lost") for call in node.store()] == [None]


def test_a_segment_is_taken_once_and_one_that_is_replayed_never(node: Node) -> None:
    node.full(1)
    node.full(1)
    log = node.volume / ".cassops/restore/r1" / HOST / "log"
    log.mkdir(parents=True)
    (log / SEGMENT.format(2)).write_text("older")
    (node.volume / ".cassops/replay").write_text(f"r1/{HOST}/log 2026:11:22 03:14:00\n")
    node.full(2)
    assert node.closed == [SEGMENT.format(1)]
    # One that was written since the replay began is the node's own.
    node.full(3)
    assert node.closed == [SEGMENT.format(1), SEGMENT.format(3)]


@pytest.mark.parametrize("replayed", [None, f"r0/{HOST}/log 2026:11:22 03:14:00\n"])
def test_what_was_only_downloaded_of_a_segment_is_no_copy_of_it(node: Node, replayed: str | None) -> None:
    """The newest one went on to grow. Without it the chain has a hole, of which no number tells."""
    log = node.volume / ".cassops/restore/r1" / HOST / "log"
    log.mkdir(parents=True)
    (log / SEGMENT.format(1)).write_text("a part of it")
    if replayed:
        (node.volume / ".cassops/replay").write_text(replayed)
    node.full(1)
    assert node.closed == [SEGMENT.format(1)]


def test_a_node_that_is_nobody_yet_stores_nothing(node: Node) -> None:
    node.segment(1)
    (node.root / "cassops/ledger/nodes").write_text(f"{POD} 198.19.0.1 -\n")
    assert node.store() == []
    shutil.rmtree(node.archive)
    (node.root / "cassops/ledger/nodes").write_text(f"{POD} 198.19.0.1 {HOST}\n")
    assert node.store() == []


def test_a_node_that_replaced_another_one_begins_under_its_own_host_id(node: Node) -> None:
    """While it joined it was stored under that of the other one, which got the word that this is the beginning."""
    node.full(1)
    (node.archive / "lost").touch()
    assert [(call["to"][-36:], "lost" in call) for call in node.store()] == [(HOST, False), (HOST, True)]
    own = HOST.replace("5", "6")
    (node.root / "cassops/ledger/nodes").write_text(f"{POD} 198.19.0.1 {own}\n")
    (node.root / "broken").touch()
    before = int(time.time())
    assert node.store() == []
    (node.root / "broken").unlink()
    node.full(2)
    full, growing = node.store()
    assert (full["to"][-36:], full["segments"], growing["to"][-36:]) == (own, names(2), own)
    assert before <= int(growing["lost"]) <= time.time()
    node.segment(3)
    assert ["lost" in call for call in node.store()] == [False]


@pytest.mark.parametrize("note", ["host", "repository"])
def test_a_note_that_was_cut_off_is_no_other_store(node: Node, note: str) -> None:
    """The volume was full, or the power went, just then."""
    node.full(1)
    assert ["lost" in call for call in node.store()] == [False, False]
    (node.archive / note).write_text("")
    node.full(2)
    assert ["lost" in call for call in node.store()] == [False, False]
    assert (node.archive / note).read_text()


def test_a_node_whose_store_is_another_one_begins_there_and_again_where_it_was_before(node: Node) -> None:
    """What was written meanwhile is in the other one, and nothing in the names of segments of two starts would tell."""
    node.full(1)
    assert ["lost" in call for call in node.store()] == [False, False]
    for number, bucket in ((2, "new"), (3, "b")):
        node.environment["CASSOPS_REPOSITORY"] = f"s3:https://s3/{bucket}/shop/dc1"
        before = int(time.time())
        node.full(number)
        full, growing = node.store()
        assert [call["to"].split("/")[3] for call in (full, growing)] == [bucket, bucket]
        assert before <= int(growing["lost"]) <= time.time()
    node.segment(4)
    assert ["lost" in call for call in node.store()] == [False]


def test_a_tenth_of_the_volume() -> None:
    assert archive.limit("10Gi") == 1024 * 1024


def test_segments_that_wait_for_long_are_counted(node: Node) -> None:
    assert node.run("-c", archive.LATE).stdout.strip() == "0"
    for number in (1, 2):
        node.full(number)
    then = time.time() - 700
    os.utime(node.archive / "closed" / SEGMENT.format(1), (then, then))
    assert node.run("-c", archive.LATE).stdout.strip() == "1"
