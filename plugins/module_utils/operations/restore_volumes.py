# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes' volumes as a restore sees them, and the download of a backup onto them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from .. import restic, restore_scripts, restoring
from ..backups import SNAPSHOT, NodeManifest, Table
from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..observe import attempt, together
from ..report import size
from ..restic import Restic
from ..restoring import Parcel, Plan
from .waiting import until

LIMIT = 60.0
# Renaming and deleting thousands of files.
LONG = 600.0
STAGING = "/var/lib/cassandra/.cassops/restore"
# Seconds between two looks at downloads; each is an exec in every pod.
PAUSE = 2.0
# How often a download is begun again after its container was killed.
ATTEMPTS = 3


def run(kube: Kube, pod: str, script: str, *words: str, limit: float = LIMIT) -> str:
    """A script in the sidecar, which has the volume whether Cassandra runs or not; what it says.

    :raises CassopsError: it failed.
    """
    told = kube.exec(pod, ["sh", "-c", script, "sh", *words], restic.CONTAINER, timeout=limit)
    if told.rc:
        raise CassopsError(f"{pod}: {told.stderr.strip() or f'a script on its volume ended with {told.rc}'}")
    return told.stdout


@dataclass(frozen=True)
class Volume:
    """What is on a node's volume.

    :param restoring: the restore that the node is held for; empty where it is not.
    :param ready: C(<restore>/<host id>) of what is downloaded and complete.
    """

    restoring: str = ""
    free: int = 0
    data: bool = False
    stages: tuple[str, ...] = ()
    ready: tuple[str, ...] = ()


def look(kube: Kube, pod: str) -> Volume:
    """Raises as L(run) does."""
    told: dict[str, list[str]] = {}
    for line in run(kube, pod, restore_scripts.LOOK).splitlines():
        word, _space, value = line.partition(" ")
        told.setdefault(word, []).append(value.strip())
    return Volume(
        restoring=told.get("restoring", [""])[0],
        free=1024 * int(told.get("free", ["0"])[0]),
        data=told.get("data", ["no"])[0] == "yes",
        stages=tuple(told.get("stage", ())),
        ready=tuple(told.get("ready", ())),
    )


def looks(kube: Kube, pods: Sequence[str]) -> dict[str, Volume | CassopsError]:
    return dict(zip(pods, together(lambda pod: attempt(lambda: look(kube, pod)), pods), strict=True))


@dataclass(frozen=True)
class Folder:
    """A folder of downloaded SSTables.

    :param path: as Cassandra's container sees it, too.
    """

    keyspace: str
    table: str
    sstables: int
    path: str


def folders(kube: Kube, plan: Plan, parcel: Parcel) -> list[Folder]:
    """What of a parcel has not gone into the cluster yet."""
    lines = run(kube, parcel.pod, restore_scripts.FOLDERS, plan.id, parcel.host_id, limit=LONG).splitlines()
    return [
        Folder(keyspace, table, int(count), path)
        for count, keyspace, table, path in (line.split(" ", 3) for line in lines)
    ]


def clean(kube: Kube, pod: str, id: str) -> None:
    run(kube, pod, restore_scripts.CLEAN, id, limit=LONG)


# --- the download -----------------------------------------------------------------------------------------------------


@dataclass
class Progress:
    """How far the download of a parcel is."""

    done: int = 0
    attempts: int = 1
    ready: bool = False
    began: float = field(default_factory=time.monotonic)

    def words(self, parcel: Parcel) -> str:
        node = parcel.pod
        if not self.done or not parcel.size:
            return f"{node} begins to download {size(parcel.size)}"
        words = f"{node} {100 * self.done / parcel.size:.0f} %, {size(self.done)} of {size(parcel.size)}"
        rate = self.done / max(0.1, time.monotonic() - self.began)
        left = (parcel.size - self.done) / rate
        return words + (f", about {left / 60:.0f} min left" if left >= 90 else f", about {max(1, left):.0f} s left")


class Download:
    """Brings a backup's files into the staging folders, on all nodes at once. Nothing that serves is touched.

    :param base: the repository that the inventory names.
    :param documents: host id -> the manifest of the backup's node.
    """

    def __init__(
        self, kube: Kube, base: str, plan: Plan, documents: Mapping[str, NodeManifest], limit: float, ctx: Context
    ) -> None:
        self.kube = kube
        self.base = base.rstrip("/")
        self.plan = plan
        self.documents = documents
        self.limit = limit
        self.ctx = ctx
        self.progress = {parcel: Progress() for parcel in plan.parcels}

    def run(self) -> None:
        """Until every file of every parcel is there, with the size that the manifest tells.

        :raises CassopsError: a node cannot get its files; what others got stays for the next run.
        """
        for parcel in self.plan.parcels:
            self.ctx.progress(f"{parcel.pod} downloads {size(parcel.size)} of {parcel.node}", important=True)
        together(self.begin, self.plan.parcels)
        until(self.missing, "the download", self.limit, self.ctx.progress, PAUSE, mark=self.reached)

    def reached(self) -> object:
        return [(each.done, each.ready, each.attempts) for each in self.progress.values()]

    def missing(self) -> list[str]:
        waiting = [parcel for parcel in self.plan.parcels if not self.progress[parcel].ready]
        together(self.follow, waiting)
        return [self.progress[parcel].words(parcel) for parcel in waiting if not self.progress[parcel].ready]

    # One parcel

    def restic(self, parcel: Parcel) -> Restic:
        return Restic(self.kube, parcel.pod, f"{self.base}/{parcel.repository}")

    def job(self, parcel: Parcel) -> str:
        return f"restore-{self.plan.id}-{parcel.host_id}"

    def stage(self, parcel: Parcel) -> str:
        return f"{STAGING}/{self.plan.id}/{parcel.host_id}"

    def tables(self, parcel: Parcel) -> list[Table]:
        names = None if self.plan.way == restoring.SWAP else set(self.plan.names)
        return restoring.wanted_tables(self.documents[parcel.host_id], names)

    def begin(self, parcel: Parcel) -> None:
        """Begin it, unless it is done or under way."""
        if f"{self.plan.id}/{parcel.host_id}" in look(self.kube, parcel.pod).ready:
            self.progress[parcel].ready = True
            return
        if not any(table.files for table in self.tables(parcel)):
            self.arrange(parcel)
            return
        include = [word for table in self.tables(parcel) for word in ("--include", f"/{table.source}")]
        include = [] if self.plan.way == restoring.SWAP else include
        args = ["restore", "--json", parcel.snapshot, "--target", f"{self.stage(parcel)}/raw", *include]
        self.restic(parcel).start(self.job(parcel), args, self.stage(parcel))

    def follow(self, parcel: Parcel) -> None:
        """See how far it is; begin again what was killed with its container; check what is done.

        :raises CassopsError: restic cannot do it, or what it did is not what the manifest tells.
        """
        found = self.restic(parcel).look(self.job(parcel))
        progress = self.progress[parcel]
        progress.done = max(progress.done, found.done)
        if found.state in ("lost", "absent"):
            self.again(parcel, "its container was killed; see its memory (cassandra_backup, docs/operations/backup.md)")
        elif found.ended and found.rc:
            failure = self.restic(parcel).failure("restore", found.rc, found.error)
            self.restic(parcel).end(self.job(parcel))
            raise failure
        elif found.ended:
            self.check(parcel)
            self.arrange(parcel)
            self.restic(parcel).end(self.job(parcel))

    def again(self, parcel: Parcel, why: str) -> None:
        progress = self.progress[parcel]
        if progress.attempts == ATTEMPTS:
            raise CassopsError(f"{parcel.pod}: the download died {ATTEMPTS} times: {why}")
        progress.attempts += 1
        self.restic(parcel).end(self.job(parcel))
        self.begin(parcel)

    def check(self, parcel: Parcel) -> None:
        """What is there is what the manifest tells, file by file."""
        wanted = {f"{table.source}/{file.path}": file.size for table in self.tables(parcel) for file in table.files}
        said = run(self.kube, parcel.pod, restore_scripts.SIZES, self.plan.id, parcel.host_id, limit=LONG)
        there = {path: int(count) for count, path in (line.split(" ", 1) for line in said.splitlines())}
        wrong = [f"{path} is not there" for path in sorted(set(wanted) - set(there))]
        wrong += [
            f"{path} has {there[path]} bytes, not {count}"
            for path, count in sorted(wanted.items())
            if path in there and there[path] != count
        ]
        if wrong:
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise CassopsError(
                f"{parcel.pod}: what restic brought of {parcel.node} is not what was backed up: "
                f"{'; '.join(wrong[:5])}{more}. Nothing was changed; verify the backup (playbook verify_backup)"
            )

    def arrange(self, parcel: Parcel) -> None:
        words = (self.plan.id, parcel.host_id, SNAPSHOT)
        run(self.kube, parcel.pod, restore_scripts.ARRANGE, *words, limit=LONG)
        self.progress[parcel].ready = True
        self.ctx.progress(f"{parcel.pod} has its files", important=True)


def end_jobs(kube: Kube, base: str, plan: Plan) -> None:
    """Downloads that still run, for a restore that is given up."""
    for parcel in plan.parcels:
        client = Restic(kube, parcel.pod, f"{base.rstrip('/')}/{parcel.repository}")
        attempt(partial(client.end, f"restore-{plan.id}-{parcel.host_id}"))
