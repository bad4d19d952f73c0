# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store of restic's repositories in memory, with the interface of `restic.py`, and the containers that use it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from unit.plugins.module_utils.fake_kube import FakeKube

from ansible_collections.cassops.kubernetes.plugins.module_utils.backups import Record
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import catalogue
from ansible_collections.cassops.kubernetes.plugins.module_utils.restic import (
    DATA,
    LIMIT,
    LOCKED,
    NO_REPOSITORY,
    Job,
    NoRepository,
    Restic,
    ResticError,
)

LOCKED_WORDS = "unable to create lock in backend: repository is already locked exclusively"
BROKEN = "pack 1234 is damaged; Fatal: repository contains errors"
"""What restic says of a repository that is damaged."""


@dataclass
class Snapshot:
    """:ivar files: path -> size, or the text of a document."""

    id: str
    time: float
    tags: dict[str, str]
    files: dict[str, Any]


@dataclass
class FakeStore:
    """All repositories. :ivar looks: how often a job is looked at before it has ended."""

    kube: FakeKube
    repositories: dict[str, list[Snapshot]] = field(default_factory=dict)
    jobs: dict[tuple[str, str], Any] = field(default_factory=dict)
    # Pod -> path -> size of what its snapshot has.
    disks: dict[str, dict[str, int]] = field(default_factory=dict)
    looks: int = 1
    down: bool = False
    # Pod -> how the next jobs there end: a state of Job, or restic's exit code.
    endings: dict[str, list[Any]] = field(default_factory=dict)
    commands: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    most_at_once: int = 0
    # Seconds that each list of files might take.
    listed: list[float] = field(default_factory=list)
    # Repository -> seconds that a list of its snapshots takes.
    slow: dict[str, float] = field(default_factory=dict)
    # Repositories with the exclusive lock of a purge that died: it does not go by itself.
    locked: set[str] = field(default_factory=set)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeStore:
        """Take the place of the client."""
        monkeypatch.setattr(
            catalogue, "Restic", lambda _kube, pod, repository: FakeRestic(self.kube, pod, repository, self)
        )
        return self

    def number(self) -> str:
        return f"{next(self.numbers):08x}"

    def of(self, part: str) -> list[Snapshot]:
        """The snapshots of the repository whose address ends so."""
        return next((found for where, found in self.repositories.items() if where.endswith(f"/{part}")), [])


class FakeRestic(Restic):
    """One repository, from one pod."""

    def __init__(self, kube: Any, pod: str, repository: str, store: FakeStore) -> None:
        super().__init__(kube, pod, repository)
        self.store_ = store

    @property
    def snapshots(self) -> list[Snapshot]:
        self.kube.alive()  # type: ignore[attr-defined]
        if self.store_.down:
            raise ResticError(f"{self.pod}: restic had no answer from {self.repository}; is the store up?")
        if self.repository not in self.store_.repositories:
            raise NoRepository(f"{self.repository}: there is no repository")
        return self.store_.repositories[self.repository]

    def write(self, what: str) -> None:
        self.kube.before_write(f"restic {what} in {self.repository.rpartition('/')[2]}")  # type: ignore[attr-defined]

    def run(self, *args: str, limit: float = LIMIT) -> str:
        self.store_.commands.append((self.pod, self.repository, args))
        if args[0] == "init":
            self.write("init")
            self.store_.repositories.setdefault(self.repository, [])
            return ""
        found = self.snapshots
        if args[0] == "unlock":
            self.store_.locked.discard(self.repository)
        elif "--no-lock" not in args:
            self.refuse_locked(args[0])
        if args[0] == "forget":
            self.write("forget")
            found[:] = [snapshot for snapshot in found if snapshot.id not in args]
        elif args[0] == "check" and self.repository in self.store_.damaged:
            raise self.failure("check", 1, BROKEN)
        elif args[0] not in ("cat", "unlock", "check"):
            raise AssertionError(f"the fake does not know restic {args}")
        return ""

    def refuse_locked(self, command: str) -> None:
        if self.repository in self.store_.locked:
            raise self.failure(command, LOCKED, LOCKED_WORDS)

    def forget(self, ids: Sequence[str], limit: float = LIMIT) -> None:
        self.run("forget", *ids, limit=limit)

    def records(self, limit: float = LIMIT) -> list[Record]:
        if limit < self.store_.slow.get(self.repository, 0):
            raise ResticError(f"{self.pod}: restic snapshots had no answer after {limit:.0f} s")
        return [Record(item.id, item.time, item.tags) for item in self.snapshots]

    def store(self, text: str, file: str, tags: Mapping[str, str], host: str) -> str:
        found = self.snapshots
        self.refuse_locked("backup")
        self.write(f"store {tags['kind']}")
        found.append(Snapshot(self.store_.number(), self.kube.server_time(), dict(tags), {file: text}))
        return found[-1].id

    def read(self, snapshot: str, file: str) -> str:
        return str(next(item.files[file] for item in self.snapshots if item.id == snapshot))

    def files(self, snapshot: str, limit: float = LIMIT) -> dict[str, int]:
        found = [item.files for item in self.snapshots if item.id == snapshot]
        if not found:
            raise self.failure("ls", 1, f"Fatal: no matching ID found for prefix {snapshot}")
        self.store_.listed.append(limit)
        return dict(found[0])

    def start(self, job: str, args: Sequence[str], folder: str = DATA, lines: Sequence[str] = ()) -> None:
        self.kube.alive()  # type: ignore[attr-defined]
        if (self.pod, job) not in self.store_.jobs:
            self.write(f"start {job}")
            self.store_.jobs[self.pod, job] = [self.store_.looks, tuple(args), tuple(lines), None]
            # Nodes begin theirs in threads; a list of the values is made in one go.
            running = [item for item in list(self.store_.jobs.values()) if item[3] is None]
            self.store_.most_at_once = max(self.store_.most_at_once, len(running))

    def look(self, job: str, wait: float = 0) -> Job:
        self.kube.alive()  # type: ignore[attr-defined]
        entry = self.store_.jobs.get((self.pod, job))
        if entry is None:
            return Job("absent")
        if entry[0] > 0:
            entry[0] -= 1
            return Job("running", status={"total_bytes": 100, "bytes_done": 100 - entry[0]})
        if entry[3] is None:
            entry[3] = self.ended(entry[1], entry[2])
        found: Job = entry[3]
        return found

    def ended(self, args: Sequence[str], lines: Sequence[str]) -> Job:
        self.store_.commands.append((self.pod, self.repository, tuple(args)))
        endings = self.store_.endings.get(self.pod, [])
        ending = endings.pop(0) if endings else 0
        if isinstance(ending, str):
            return Job(ending)
        if ending:
            return Job("ended", ending, {}, "wrong password" if ending == 12 else "it broke")
        if self.repository not in self.store_.repositories:
            return Job("ended", NO_REPOSITORY, {}, "there is no repository")
        if self.repository in self.store_.locked:
            return Job("ended", LOCKED, {}, LOCKED_WORDS)
        if args[0] != "backup":
            bad = args[0] == "check" and self.repository in self.store_.damaged
            return Job("ended", 1 if bad else 0, {}, BROKEN if bad else "")
        disk = self.store_.disks.get(self.pod, {})
        files = {path: size for path, size in disk.items() if any(path.startswith(f"{line}/") for line in lines)}
        had = {path for item in self.snapshots for path in item.files}
        tags = dict(word.split("=", 1) for flag, word in itertools.pairwise(args) if flag == "--tag")
        snapshot = Snapshot(self.store_.number(), self.kube.server_time(), tags, files)
        self.snapshots.append(snapshot)
        added = sum(size for path, size in files.items() if path not in had)
        return Job("ended", 0, {"snapshot_id": snapshot.id, "data_added_packed": added})

    def end(self, job: str) -> None:
        self.kube.alive()  # type: ignore[attr-defined]
        self.store_.jobs.pop((self.pod, job), None)
