# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes' volumes as a restore sees them, and the download of a backup onto them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .. import restic, restore_planning, restore_scripts, restoring
from ..backups import SNAPSHOT, NodeManifest, Table
from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..observe import attempt, together
from ..restic import EACH, Job, Restic
from ..restoring import Parcel, Plan
from .restic_jobs import Jobs, Work

LIMIT = 60.0
# Renaming and deleting thousands of files.
LONG = 600.0
STAGING = "/var/lib/cassandra/.cassops/restore"


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

    :param ready: C(<restore>/<host id>) of what is downloaded and complete.
    :param whole: the same of what was found whole, and is being made a data folder: by a run that was killed.
    :param old: restores that keep what they exchanged.
    """

    free: int = 0
    data: bool = False
    ready: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    old: tuple[str, ...] = ()


def look(kube: Kube, pod: str) -> Volume:
    """Raises as L(run) does."""
    told: dict[str, list[str]] = {}
    for line in run(kube, pod, restore_scripts.LOOK).splitlines():
        word, _space, value = line.partition(" ")
        told.setdefault(word, []).append(value.strip())
    return Volume(
        free=1024 * int(told.get("free", ["0"])[0]),
        data=told.get("data", ["no"])[0] == "yes",
        ready=tuple(told.get("ready", ())),
        whole=tuple(told.get("whole", ())),
        old=tuple(told.get("old", ())),
    )


def looks(kube: Kube, pods: Sequence[str]) -> dict[str, Volume | CassopsError]:
    return dict(zip(pods, together(lambda pod: attempt(lambda: look(kube, pod)), pods), strict=True))


def answers(kube: Kube, pod: str, asked: Sequence[str]) -> list[str]:
    """Of places, each an address, a slash and a port, those that take connections from a pod.

    :raises CassopsError: it cannot be asked.
    """
    told = kube.exec(pod, ["sh", "-c", restore_scripts.ANSWERS, "sh", *asked], timeout=LIMIT)
    if told.rc:
        raise CassopsError(f"{pod}: {told.stderr.strip() or f'asking for others ended with {told.rc}'}")
    return [place for place in told.stdout.split() if place in asked]


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
    """What of a parcel has not gone into the cluster yet. What nobody asked for stays out of it, however it came."""
    lines = run(kube, parcel.pod, restore_scripts.FOLDERS, plan.id, parcel.host_id, limit=LONG).splitlines()
    return [
        Folder(keyspace, table, int(count), path)
        for count, keyspace, table, path in (line.split(" ", 3) for line in lines)
        if (keyspace, table) in plan.names
    ]


def clean(kube: Kube, pod: str, id: str) -> None:
    run(kube, pod, restore_scripts.CLEAN, id, limit=LONG)


def clean_all(kube: Kube, plan: Plan) -> None:
    """Whatever of a restore lies on the volumes."""
    together(lambda pod: clean(kube, pod, plan.id), sorted({parcel.pod for parcel in plan.parcels}))


# --- the download -----------------------------------------------------------------------------------------------------


class Download:
    """Brings a backup's files into the staging folders, on all nodes at once. Nothing that serves is touched.

    :param base: the repository that the inventory names.
    :param documents: host id -> the manifest of the backup's node.
    :param logs: asked where something is to be fetched: host id -> the snapshots that its commit log is made of.
    :param limit: seconds without progress after which it is given up.
    :param bandwidth: bytes per second of a node at most; 0 is no limit.
    :param beat: called at each look; the check of the lock.
    """

    def __init__(
        self,
        kube: Kube,
        base: str,
        plan: Plan,
        documents: Mapping[str, NodeManifest],
        logs: Callable[[], Mapping[str, Sequence[str]]],
        limit: float,
        bandwidth: int,
        beat: Callable[[], None],
        ctx: Context,
    ) -> None:
        self.kube = kube
        self.base = base
        self.bandwidth = bandwidth
        self.plan = plan
        self.documents = documents
        self.logs = logs
        self.limit = limit
        self.beat = beat
        self.ctx = ctx
        self.parcels = {job_of(plan, parcel): parcel for parcel in plan.parcels}

    def run(self) -> None:
        """Until every file of every parcel is there, with the size that the manifest tells.

        :raises CassopsError: a node cannot get its files; what others got stays for the next run.
        """
        for batch in rounds(self.plan.parcels):
            together(self.prepare, batch)
            waiting = not_ready(self.kube, self.plan, batch)
            # A run that died may have left the jobs of the others.
            end_jobs(self.kube, self.base, self.plan, [parcel for parcel in batch if parcel not in waiting])
            # What it brought is taken with the rest; until then the job tells the next run that it is done.
            logs = self.logs() if waiting and self.plan.to else {}
            works = [self.log_work(parcel, ids) for parcel in waiting if (ids := logs.get(parcel.host_id))]
            self.bring(works, lambda _work, _job: None)
            self.bring([self.work(parcel) for parcel in waiting], self.take)

    def bring(self, works: Sequence[Work], finished: Callable[[Work, Job], None]) -> None:
        jobs = Jobs(
            works,
            self.ctx,
            verb="download to",
            parallel="all",
            finished=finished,
            beat=self.beat,
            limit=self.limit,
        )
        failures = jobs.run()
        if failures:
            told = "; ".join(failures[pod] for pod in sorted(failures))
            raise CassopsError(f"{told}. Nothing was changed; run it again to go on with what is missing")

    def tables(self, parcel: Parcel) -> list[Table]:
        names = None if self.plan.way == restoring.SWAP else set(self.plan.names)
        return restore_planning.wanted_tables(self.documents[parcel.host_id], names)

    def prepare(self, parcel: Parcel) -> None:
        """A node that had nothing of the tables has nothing to download; nor has one whose files were found whole."""
        whole = f"{self.plan.id}/{parcel.host_id}" in look(self.kube, parcel.pod).whole
        if whole or not any(table.files for table in self.tables(parcel)):
            self.arrange(parcel)

    def work(self, parcel: Parcel) -> Work:
        name = job_of(self.plan, parcel)
        stage = f"{STAGING}/{self.plan.id}/{parcel.host_id}"
        args = ["restore", "--json", parcel.snapshot, "--target", f"{stage}/raw"]
        lines: tuple[str, ...] = ()
        if self.plan.way != restoring.SWAP:
            args += ["--include-file", restic.list_of(name)]
            lines = tuple(f"/{table.source}" for table in self.tables(parcel))
        return self.reading(parcel, name, tuple(args), stage, lines)

    def log_work(self, parcel: Parcel, snapshots: Sequence[str]) -> Work:
        """What was stored of a commit log, piece over piece: a segment that grew is in several."""
        stage = f"{STAGING}/{self.plan.id}/{parcel.host_id}"
        args = ("restore", "--json", EACH, "--target", f"{stage}/log")
        return self.reading(parcel, log_job_of(self.plan, parcel), args, stage, tuple(snapshots))

    def reading(self, parcel: Parcel, job: str, args: tuple[str, ...], stage: str, lines: tuple[str, ...]) -> Work:
        """What only reads needs no lock. The repository may be that of a living datacenter of the same names, whose
        locks are not ours to take away; or of a dead one, where nobody takes away what its last purge has left."""
        client = client_of(self.kube, self.base, parcel)
        if self.bandwidth:
            args += ("--limit-download", str(self.bandwidth // 1024))
        args += ("--no-lock",)
        return Work(parcel.pod, parcel.pod, client, job, args, stage, lines, unlocks=False)

    def take(self, work: Work, _job: Job) -> None:
        """What is there is compared, and becomes a data folder; the job is forgotten last."""
        parcel = self.parcels[work.name]
        self.check(parcel)
        self.arrange(parcel)
        end_jobs(self.kube, self.base, self.plan, [parcel])
        self.ctx.progress(f"{parcel.pod} has its files", important=True)

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
                f"{'; '.join(wrong[:5])}{more}; verify the backup (playbook verify_backup)"
            )

    def arrange(self, parcel: Parcel) -> None:
        run(self.kube, parcel.pod, restore_scripts.ARRANGE, self.plan.id, parcel.host_id, SNAPSHOT, limit=LONG)


def not_ready(kube: Kube, plan: Plan, parcels: Sequence[Parcel]) -> list[Parcel]:
    """Those whose files are not on their volumes, or not all of them.

    :raises CassopsError: a volume cannot be looked at.
    """
    volumes = looks(kube, sorted({parcel.pod for parcel in parcels}))
    for volume in volumes.values():
        if isinstance(volume, CassopsError):
            raise volume
    ready = {(pod, mark) for pod, volume in volumes.items() if isinstance(volume, Volume) for mark in volume.ready}
    return [parcel for parcel in parcels if (parcel.pod, f"{plan.id}/{parcel.host_id}") not in ready]


def rounds(parcels: Sequence[Parcel]) -> list[list[Parcel]]:
    """Parcels one after the other where a pod takes several."""
    found: list[list[Parcel]] = []
    for parcel in parcels:
        mine = next((each for each in found if all(other.pod != parcel.pod for other in each)), None)
        if mine is None:
            mine = []
            found.append(mine)
        mine.append(parcel)
    return found


def job_of(plan: Plan, parcel: Parcel) -> str:
    return f"restore-{plan.id}-{parcel.host_id}"


def log_job_of(plan: Plan, parcel: Parcel) -> str:
    return f"log-{plan.id}-{parcel.host_id}"


def client_of(kube: Kube, base: str, parcel: Parcel) -> Restic:
    """restic in a parcel's pod, for the repository that it comes from."""
    return Restic(kube, parcel.pod, f"{base.rstrip('/')}/{parcel.repository}")


def end_jobs(kube: Kube, base: str, plan: Plan, parcels: Sequence[Parcel]) -> None:
    """End the downloads of parcels that still run, and forget those that have ended."""

    def end(parcel: Parcel) -> None:
        for job in (log_job_of(plan, parcel), job_of(plan, parcel)):
            client_of(kube, base, parcel).end(job)

    together(end, parcels)
