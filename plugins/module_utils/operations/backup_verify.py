# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup is read again: its documents, every file that they name, and the repositories it lies in.

restic says of each damaged object what is wrong with it; here it is told of which node it is. The result goes into the
catalogue: retention never removes the last backup that was found well. What only kept the verification from being done,
such as a store that does not answer, is no fault of the backup: where that is all, nothing is written down, since
retention lets go of what is damaged.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from .. import backups, restic, restore_scripts, restoring
from ..backups import SNAPSHOT, LaterFormat, ManifestError, NodeManifest, Table, Verification
from ..context import Context, Failed
from ..errors import CassopsError, SpecError
from ..kube import Kube
from ..lock import Lock
from ..observe import Objects, attempt, ledger_of, objects, together
from ..options import DATACENTER, KUBERNETES
from ..restic import DATA, Restic, ResticError
from ..wording import counted
from . import catalogue, restore_volumes
from .catalogue import Backup, Catalogue
from .restic_jobs import Jobs, Work

ARGUMENT_SPEC: Mapping[str, Any] = {
    **KUBERNETES,
    **DATACENTER,
    **catalogue.OPTIONS,
    "name": {"type": "str"},
    "read_data": {"type": "str", "default": "5%"},
    "sstables": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 7200},
}
JOB = "verify"
SAMPLE = "verify-sample"
# Lists of all files of a node's snapshot, which may be large.
LISTS_AT_ONCE = 2
SCHEMA = "system_schema"
# Without restic's own lock: it would keep the commit logs from being stored for hours. Our lock keeps purges away, and
# what is added meanwhile does no harm, since check reads the list of snapshots before the index (C(runCheck), 0.18).
CHECK = ("check", "--no-lock")
CORRUPT = 1
"""Exit code of sstableverify where a file is damaged, and also where it could not begin."""
NOT_BEGUN = re.compile(
    r"Java Virtual Machine|OutOfMemory|insufficient memory|Cannot allocate memory"
    r"|Unrecognized option|Missing argument|usage: sstableverify|Unknown keyspace/table",
    re.IGNORECASE,
)
NOT_DESCRIBED = (
    f"no sample was read by Cassandra: the backup is without the tables of {SCHEMA}, which tell it what a table looks "
    "like. Let it read one of a backup of the whole datacenter"
)
# How many files are named of those that are missing.
NAMED = 5


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(backup_verify). See its documentation for parameters and results."""
    part = params["read_data"].strip()
    if not re.fullmatch(r"0|(100|[1-9]?\d(\.\d+)?)%", part):
        raise SpecError([f"read_data: must be a percentage such as 5% or 100%, or 0, got {part!r}"])
    kube = ctx.kube(params)
    where = (params["cluster"], params["datacenter"])
    found = objects(kube, *where, kinds=("Pod", "ConfigMap"))
    store = catalogue.opened(params, kube, found)
    ledger = ledger_of(found, *where)
    name = params["name"] or newest(store, kube, ledger.id if ledger else "")
    if ctx.check_mode:
        return {"changed": False, "name": name, "faults": [], "report": [f"backup {name} would be read again"]}
    with Lock(kube, catalogue.lock_name(params["cluster"], params["datacenter"]), ctx.holder) as lock:
        check = Check(store, found, part, lock, params, ctx)
        faults = check.run(name)
        lock.check()
        level = "data" if part == "100%" else "files" if part == "0" else f"data {part}"
        store.store_verification(Verification(name, backups.moment(kube.server_time()), level, tuple(faults)))
    if faults:
        result = {"changed": True, "name": name, "faults": faults, "report": [f"backup {name} is damaged:", *faults]}
        raise Failed(f"backup {name} is damaged: {'; '.join(faults)}", result, faults)
    read = f"{counted(check.files, 'file')} on {counted(check.nodes, 'node')}"
    said = f"backup {name} is well: {read}, {part} of the repositories' data read"
    said += f", and Cassandra has read {check.sample}" if check.sample else ""
    return {"changed": True, "name": name, "faults": [], "report": [said]}


def newest(store: Catalogue, kube: Kube, ledger: str) -> str:
    """The newest complete backup of the whole datacenter.

    One that took the place of another of the same names has none yet: then it is the other one's.

    :param ledger: the id of the datacenter's.
    :raises CassopsError: there is none.
    """
    listed = store.listed(None, kube.server_time())
    complete = [one for one in listed if one.state == backups.COMPLETE and not one.tables]
    if not complete:
        raise CassopsError(f"there is no complete backup of {store.datacenter} in {store.base} to verify")
    return ([one for one in complete if one.is_of(ledger)] or complete)[-1].name


class Check:
    """One backup, read again."""

    def __init__(
        self, store: Catalogue, found: Objects, part: str, lock: Lock, params: Mapping[str, Any], ctx: Context
    ) -> None:
        self.store = store
        self.pods = catalogue.pods_with_restic(found)
        self.part = part
        self.lock = lock
        self.params = params
        self.ctx = ctx
        self.files = 0
        self.nodes = 0
        self.sample = ""
        self.lists = threading.BoundedSemaphore(LISTS_AT_ONCE)
        # What could not be looked at, and why.
        self.unseen: list[str] = []

    def run(self, name: str) -> list[str]:
        """What is wrong; empty when all is well.

        :raises CassopsError: nothing is known to be wrong, and not all could be looked at.
        """
        faults = self.look(name)
        if self.unseen and not faults:
            raise CassopsError(unjudged("; ".join(self.unseen)))
        self.ctx.warnings.extend(f"could not be looked at: {why}" for why in self.unseen)
        return faults

    def look(self, name: str) -> list[str]:
        limit = float(self.params["wait_timeout"])
        answer = attempt(lambda: self.store.restic.run(*CHECK, "--read-data", limit=limit))
        faults = self.judged("the catalogue: ", answer) if isinstance(answer, CassopsError) else []
        compared: dict[str, list[str]] = {}
        files: dict[str, int] = {}

        def look_at(node: NodeManifest) -> NodeManifest:
            """At once, so that the names of all files of all nodes are never in memory together."""
            with self.lists:
                compared[node.host_id], files[node.host_id] = self.files_of(node), node.files
            return node.folded()

        backup = attempt(lambda: self.store.read(name, look_at))
        if isinstance(backup, CassopsError):
            # Damage that was found stays found, also where another node's document could not be read just now.
            faults += [fault for _host, found in sorted(compared.items()) for fault in found]
            return [*faults, *self.judged("", backup)]
        faults += incomplete(backup)
        self.nodes = len(backup.nodes)
        self.files = sum(files.values())
        for node in backup.nodes:
            faults += compared[node.host_id]
        faults += self.repositories(backup.nodes)
        if self.params["sstables"]:
            read = attempt(lambda: self.sstables(backup.nodes))
            faults += self.judged("", read) if isinstance(read, CassopsError) else read
        return faults

    def judged(self, where: str, error: CassopsError) -> list[str]:
        """The fault that an error tells of; none where it only kept something from being read, which is noted."""
        if is_fault(error):
            return [f"{where}{error}"]
        self.unseen.append(f"{where}{error}")
        return []

    def restic(self, node: NodeManifest) -> Restic:
        """In the node's own pod where it is still there."""
        return self.store.repository(node.host_id, node.pod if node.pod in self.pods else "")

    def files_of(self, node: NodeManifest) -> list[str]:
        """Files of a node's manifest that its repository does not have, or has in another size."""
        limit = float(self.params["wait_timeout"])
        stored = attempt(lambda: self.restic(node).files(node.snapshot, limit))
        if isinstance(stored, CassopsError):
            return self.judged(f"{node.pod}: ", stored)
        odd = sorted(path for path, size in node.paths.items() if stored.get(path) != size)
        if not odd:
            return []
        more = f" and {len(odd) - NAMED} more" if len(odd) > NAMED else ""
        return [f"{node.pod}: {len(odd)} files are not in the repository as they were: {', '.join(odd[:NAMED])}{more}"]

    def repositories(self, nodes: Sequence[NodeManifest]) -> list[str]:
        """restic's own check: the index, every tree, and so much of the data as was asked for."""
        faults: list[str] = []
        args = CHECK if self.part == "0" else (*CHECK, f"--read-data-subset={self.part}")
        waiting = list(nodes)
        while waiting:
            now = {self.restic(node).pod: node for node in reversed(waiting)}
            waiting = [node for node in waiting if node not in now.values()]
            works = [Work(pod, node.rack, self.restic(node), JOB, args, DATA, attempts=1) for pod, node in now.items()]
            faults += self.run_jobs(
                self.cleared(works), "verification by", "rack", {pod: node.pod for pod, node in now.items()}
            )
        return faults

    def cleared(self, works: Sequence[Work]) -> list[Work]:
        """Those that can be begun: of the others it is not known that no job of a run that died is left, and its result
        must not pass for theirs."""
        answers = together(lambda work: attempt(lambda: work.restic.end(work.name)), works)
        self.unseen += [str(answer) for answer in answers if isinstance(answer, CassopsError)]
        return [work for work, answer in zip(works, answers, strict=True) if not isinstance(answer, CassopsError)]

    def run_jobs(self, works: Sequence[Work], verb: str, parallel: str, whose: Mapping[str, str]) -> list[str]:
        """To their ends; what is wrong in their repositories.

        :param whose: pod of a job -> node that its repository is of.
        """
        jobs = Jobs(
            works,
            self.ctx,
            verb=verb,
            parallel=parallel,
            finished=lambda work, _job: work.restic.end(work.name),
            beat=self.lock.check,
            limit=float(self.params["wait_timeout"]),
        )
        told = {pod: f"{whose[pod]}: {why}" for pod, why in jobs.run().items()}
        self.unseen += [why for pod, why in told.items() if pod not in jobs.damaged]
        return [why for pod, why in told.items() if pod in jobs.damaged]

    # Cassandra's own check

    def sstables(self, nodes: Sequence[NodeManifest]) -> list[str]:
        """One table of one node, both chosen at random, goes into a folder beside the data, and sstableverify reads it
        there, row by row. Nothing that serves is touched.

        :raises CassopsError: it could not be done; that says nothing about the backup.
        """
        here = [node for node in nodes if node.pod in self.pods]
        # A run that was killed may have left its sample on any of them.
        together(self.clean, here)
        described = [node for node in here if any(table.keyspace == SCHEMA for table in node.tables)]
        if here and not described:
            self.ctx.warnings.append(NOT_DESCRIBED)
            return []
        free = {node.pod: restore_volumes.look(self.store.kube, node.pod).free for node in described}
        chosen = sample(described, free, random.Random())
        if chosen is None:
            self.ctx.warnings.append(
                "no table of the users' fits into half of what is free, so none was read by Cassandra"
            )
            return []
        node, table = chosen
        self.sample = f"{table.keyspace}.{table.name} of {node.pod}"
        try:
            faults = self.bring(node, table)
            return faults if faults or self.unseen else self.read(node, table)
        finally:
            self.clean(node)

    def clean(self, node: NodeManifest) -> None:
        """No sample is left on a node, and nothing that writes one."""
        self.restic(node).end(SAMPLE)
        restore_volumes.clean(self.store.kube, node.pod, SAMPLE)

    def bring(self, node: NodeManifest, table: Table) -> list[str]:
        """With the tables that tell Cassandra what it looks like."""
        stage = f"{restore_volumes.STAGING}/{SAMPLE}/{node.host_id}"
        args = (
            "restore",
            "--json",
            node.snapshot,
            "--target",
            f"{stage}/raw",
            "--include-file",
            restic.list_of(SAMPLE),
        )
        wanted = [each for each in node.tables if each.keyspace == SCHEMA or each == table]
        lines = tuple(f"/{each.source}" for each in wanted)
        work = Work(node.pod, node.rack, self.restic(node), SAMPLE, args, stage, lines, attempts=1)
        faults = self.run_jobs([work], "download of a sample to", "all", {node.pod: node.pod})
        if not faults and not self.unseen:
            words = (SAMPLE, node.host_id, SNAPSHOT)
            restore_volumes.run(self.store.kube, node.pod, restore_scripts.ARRANGE, *words, limit=restore_volumes.LONG)
        return faults

    def read(self, node: NodeManifest, table: Table) -> list[str]:
        self.ctx.progress(f"sstableverify reads {self.sample}", important=True)
        folder = f"{restore_volumes.STAGING}/{SAMPLE}/{node.host_id}/data"
        argv = ["sh", "-c", restore_scripts.VERIFY, "sh", folder, table.keyspace, table.name]
        done = self.store.kube.exec(node.pod, argv, timeout=float(self.params["wait_timeout"]))
        said = complaint(done.stdout + done.stderr)
        if done.rc == CORRUPT and not NOT_BEGUN.search(done.stdout + done.stderr):
            return [f"{self.sample}: sstableverify says {said}"]
        if done.rc:
            raise CassopsError(f"{node.pod}: sstableverify could not be run ({done.rc}): {said}")
        return []


def is_fault(error: CassopsError) -> bool:
    """Whether an error says something about the backup, and did not only keep it from being read."""
    if isinstance(error, ResticError):
        return error.damage
    return isinstance(error, ManifestError) and not isinstance(error, LaterFormat)


def unjudged(why: str) -> str:
    return f"the backup could not be verified, which says nothing about it: {why}. Correct the cause and run it again"


def complaint(said: str) -> str:
    """What sstableverify says of damaged files; it goes on with the others, and ends with their praise."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    bad = [line for line in lines if re.search(r"invalid|corrupt|error|exception", line, re.IGNORECASE)]
    return "; ".join(bad[:3] or lines[-3:])[:800]


def sample(
    nodes: Sequence[NodeManifest], free: Mapping[str, int], chance: random.Random
) -> tuple[NodeManifest, Table] | None:
    """A table of the users' that fits into half of what is free on its node's volume; None where there is none."""
    found = [
        (node, table)
        for node in nodes
        for table in node.tables
        if table.keyspace not in restoring.SYSTEM and table.files and table.size <= free[node.pod] // 2
    ]
    return chance.choice(found) if found else None


def incomplete(backup: Backup) -> list[str]:
    """What the manifest itself says that is not in."""
    state = backup.manifest.state
    missing = ", ".join(backup.manifest.missing)
    return [] if state == backups.COMPLETE else [f"it is {state}: {missing or backup.manifest.error} is not in"]
