# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup: a snapshot on every node within seconds, and then its upload by restic, node by node or rack by rack.

The ConfigMap of the running backup says how far it is. A run that was killed is taken up by the next one of the same
name: snapshots that were taken are kept, uploads that run in the pods go on meanwhile, and what is stored is not
stored again. A run of another name ends it as failed. The backup's manifest goes into the catalogue last.

The cluster's lock is held for the seconds of the snapshots only, and a lock of the backups all the time: an upload may
take hours, and a failed node can be healed meanwhile.
"""

from __future__ import annotations

import dataclasses
import re
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeVar

from .. import activity, archive, backups, gates, nodetool, report, schema_text, spec, spec_parser
from ..activity import ASK_LIMIT
from ..backups import File, Manifest, NodeEntry, NodeManifest, Record, Schema, Table
from ..context import Context, Failed
from ..errors import CassopsError, SpecError
from ..lock import Lock
from ..manifests.archive import LATE
from ..manifests.backup import commit_log_store
from ..observe import PARALLEL, WIDE, attempt, logged_in, objects, together
from ..restic import CONTAINER, DATA, Job, ResticError, list_of
from ..view import NodeView, View
from ..wording import counted
from . import backup_secrets, catalogue, described, restore_volumes, unfinished
from .backup_purge import JOB as PURGE
from .catalogue import Catalogue
from .cluster import CLUSTER, Cluster, Sight
from .members import unclean
from .restic_jobs import Jobs, Work

Answer = TypeVar("Answer")

# The other datacenters are not looked at: a backup must not wait for one that is stopped, or away. Whatever changes
# this one takes the lock that is here.
ARGUMENT_SPEC: Mapping[str, Any] = {
    **{name: option for name, option in CLUSTER.items() if name != "peers"},
    **catalogue.OPTIONS,
    "name": {"type": "str"},
    "tables": {"type": "list", "elements": "str", "default": []},
    "parallel": {"type": "str", "default": "rack"},
    "snapshot_timeout": {"type": "int", "default": 600},
    "wait_timeout": {"type": "int", "default": 1800},
}
# Seconds between two signs of life; a few may be late.
BEAT = 30.0
# Seconds until what failed for now is tried again.
AGAIN = 15.0
# A snapshot that its backup never comes back to goes by itself (Cassandra 4.1 and later).
SNAPSHOT_TTL = "7d"
CLEAR = ("clearsnapshot", "-t", backups.SNAPSHOT)
# What was asked for, as Cassandra lets keyspaces and tables be called; in quotes also 2024_x.
TABLE = re.compile(r"\w+(\.\w+)?", re.ASCII)
# How often snapshots are taken when the schema changes under them.
SNAPSHOT_ATTEMPTS = 3
# Printed by find of the image: size and path of each file of the snapshots.
LOOK_AT_SNAPSHOT = f"""cd {DATA} || exit 1
find . -mindepth 4 -path './*/*/snapshots/{backups.SNAPSHOT}/*' -type f -printf '%s %P\\n'"""


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(backup). See its documentation for parameters and results."""
    plan = spec_parser.parse_backup(params["backup"], params["variable_prefix"])
    check(params)
    return Run(Cluster(params, ctx), plan, {**params, "tables": distinct(params["tables"])}, ctx).run()


def check(params: Mapping[str, Any]) -> None:
    """All errors of the options at once."""
    errors = []
    if params.get("name") and (fault := backups.name_fault(params["name"])):
        errors.append(f"name: {fault}")
    for index, table in enumerate(params["tables"]):
        if not TABLE.fullmatch(table):
            errors.append(f"tables[{index}]: must be keyspace.table, or a keyspace, got {table!r}")
    parallel = params["parallel"]
    if parallel not in ("rack", "all") and not (parallel.isdigit() and int(parallel)):
        errors.append(f"parallel: must be rack, all, or a number of nodes, got {parallel!r}")
    if errors:
        raise SpecError(errors)


def distinct(tables: Sequence[str]) -> list[str]:
    """Each table once: Cassandra takes no second snapshot of one under the same name.

    :param tables: C(keyspace.table) or C(keyspace); a keyspace has its tables in it.
    """
    keyspaces = {table for table in tables if "." not in table}
    return [table for table in dict.fromkeys(tables) if "." not in table or table.partition(".")[0] not in keyspaces]


@dataclasses.dataclass(frozen=True)
class Seen:
    """What the snapshot on a node had before its upload, which may wait for hours for that of others.

    :param listing: as the node told it, compressed: the names of files are much alike.
    :param sources: the folders of its tables.
    """

    listing: bytes
    sources: tuple[str, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        return parse_files(zlib.decompress(self.listing).decode())


class Run:
    """One run of one backup."""

    def __init__(self, cluster: Cluster, plan: spec.BackupPlan, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.kube = cluster.kube
        self.plan = plan
        self.params = params
        self.ctx = ctx
        self.where = (cluster.name, cluster.own.datacenter)
        self.lock = Lock(self.kube, catalogue.lock_name(cluster.name, cluster.own.datacenter), ctx.holder)
        self.beaten_at = float("-inf")
        self.manifest: Manifest
        # Snapshots of nodes that are stored go while the next ones are, and while the last document is.
        self.clearing: ThreadPoolExecutor
        self.cleared: list[Future[list[str]]] = []
        # Nodes come in from several threads.
        self.writing = threading.RLock()
        self.reading = threading.Lock()

    def run(self) -> dict[str, Any]:
        with nullcontext() if self.ctx.check_mode else self.lock:
            return self.run_alone()

    def run_alone(self) -> dict[str, Any]:
        """The run, while nobody else makes backups or lets go of any."""
        self.refuse_half_restored()
        sight, records = self.look()
        begun = catalogue.running(self.kube, *self.where)
        name = self.params.get("name") or backups.name_at(self.now())
        self.tell_namesakes(name, records)
        if self.plan.point_in_time:
            self.warn_of_stores(sight.view)
        complete = self.is_complete(name, records)
        if begun is not None and begun.backup == name and begun.taken:
            self.same(begun, begun=not complete)
        elif complete and (begun is None or begun.backup != name):
            return self.result(self.same(self.store.manifest(name, records)), changed=False)
        self.manifest = self.fresh(name, sight)
        if self.ctx.check_mode:
            told = f"backup {name} would be made, as far as each node can give its data"
            return {**self.result(self.manifest, changed=True), "report": [told, *text(self.manifest)[1:]]}
        self.lock.check()
        self.end_purges(sight)
        if begun is not None and self.is_complete(begun.backup, records):
            # Its run died before the last snapshots were gone.
            self.clear([node.pod for node in self.able(sight)], begun.backup)
            catalogue.forget_running(self.kube, *self.where)
        elif begun is not None and begun.backup != name:
            self.conclude(begun, sight)
        elif begun is not None:
            self.manifest = self.taken_up(begun)
        if self.is_complete(name, records):
            return self.result(self.store.manifest(name, records), changed=False)
        return self.work(sight, records)

    def look(self) -> tuple[Sight, list[Record]]:
        """The ring, and what the catalogue has: asked for at the same time, each takes about as long as the other."""
        seen = self.cluster.look()
        self.ledger = self.cluster.ledger(seen.found).id
        pods = catalogue.pods_with_restic(seen.found)
        lacking = backup_secrets.missing(self.kube, self.plan)
        likely = next((node.pod for node in seen.view.nodes if node.ready and node.pod in pods and not lacking), "")
        with ThreadPoolExecutor(1) as beside:
            reading = beside.submit(self.catalogue_by(likely).records) if likely else None
            sight = self.cluster.ask_all(seen, busy=False)
            self.refuse(sight, lacking)
            self.store = self.catalogue_by(self.able(sight)[0].pod)
            if reading is None or self.store.pod != likely:
                return sight, self.store.records()
            return sight, reading.result()

    def catalogue_by(self, pod: str) -> Catalogue:
        return Catalogue(self.kube, pod, self.plan.repository, *self.where)

    def is_complete(self, name: str, records: Sequence[Record]) -> bool:
        """Whether the catalogue has the last word about a backup, and a good one."""
        listed = backups.listing(records, None, self.now())
        return any(one.name == name and one.state == backups.COMPLETE for one in listed)

    def tell_namesakes(self, name: str, records: Sequence[Record]) -> None:
        """Another datacenter of the same names, with the same repository, is warned of.

        :raises CassopsError: the backup that is asked for would be taken for one of its.
        """
        listed = backups.listing(records, None, self.now())
        if any(one.name == name and not one.is_of(self.ledger) for one in listed):
            raise CassopsError(
                f"backup {name} in {self.plan.repository} is of another datacenter {self.where[1]} of a cluster "
                f"{self.where[0]}, whose place this one has taken or that lives in another namespace or Kubernetes: "
                "choose another name"
            )
        names = backups.namesakes(listed, self.ledger)
        # Before its own first one nobody knows whether others live, or had their time.
        first = not any(one.ledger == self.ledger for one in listed)
        self.store.shared = bool(names) or (first and any(not one.is_of(self.ledger) for one in listed))
        self.ctx.warnings.extend(backups.of_namesakes(names, *self.where))

    def warn_of_stores(self, view: View) -> None:
        """A pod keeps the repository that it was started with, while a backup goes to the one of the inventory."""
        wanted = commit_log_store(self.plan.repository, *self.where)
        stores = {node.pod: node.commit_log for node in view.nodes if node.uid}
        self.ctx.warnings.extend(
            f"{reason}, as backups do: pods keep what they were started with. Run the playbooks deploy and restart, "
            "and then backup; until all three are done no moment after a backup can be restored from "
            f"{self.plan.repository}, only the backup itself"
            for reason in archive.astray(stores, wanted)
        )

    def same(self, manifest: Manifest, *, begun: bool = False) -> Manifest:
        """A backup of the name that is asked for.

        :param begun: its run died, and this one would go on with it.
        :raises CassopsError: it is of other tables, so whoever asks for it has none.
        """
        asked = (sorted(self.params["tables"]), sorted(self.plan.exclude_keyspaces))
        if (sorted(manifest.tables), sorted(manifest.excluded)) != asked:
            raise CassopsError(
                f"backup {manifest.backup} {'was begun' if begun else 'is there already'}, and it is "
                f"{backups.limited(manifest) or 'of everything'}: "
                f"{'ask for the same again, or ' if begun else ''}choose another name"
            )
        return manifest

    def now(self) -> float:
        """By the API server's clock: runs come from several machines."""
        return self.kube.server_time()

    # -- before -----------------------------------------------------------------------------------------------------

    def refuse_half_restored(self) -> None:
        """:raises CassopsError: a restore is changing the data, or a run of one left it so."""
        for reason in unfinished.half_restored(catalogue.being_restored(self.kube, *self.where), "back up"):
            raise CassopsError(reason)

    def refuse(self, sight: Sight, lacking: Sequence[str]) -> None:
        """What makes a backup of the ring as it is worthless, or impossible.

        :param lacking: what the Secrets lack.
        :raises SpecError: with all of it.
        """
        view = sight.view
        errors = [*gates.normal(view), *gates.one_schema(view), *lacking]
        if not self.able(sight):
            errors.append(
                f"no node that runs has the container {CONTAINER} beside Cassandra: run the playbook deploy"
                " with cassandra_backup set, then restart"
            )
        if errors:
            raise SpecError(errors)

    def able(self, sight: Sight) -> list[NodeView]:
        """The nodes that can give their data now: Cassandra answers, and the container with restic runs."""
        pods = catalogue.pods_with_restic(sight.found)
        return [node for node in sight.view.nodes if node.pod in sight.view.observations and node.pod in pods]

    def end_purges(self, sight: Sight) -> None:
        """What a purge that was killed or evicted left at work in the pods: restic lets nobody in until that is done.
        Who holds the lock of the backups knows that it is nobody's any more; the next purge does it again.

        A pod that does not answer says so when its node is stored.
        """
        pods = catalogue.pods_with_restic(sight.found)
        together(lambda pod: attempt(lambda: self.store.repository(backups.CATALOGUE, pod).end(PURGE)), pods)

    def fresh(self, name: str, sight: Sight) -> Manifest:
        """A backup that nothing was done for."""
        able = {node.pod for node in self.able(sight)}
        entries = []
        for node in sight.view.nodes:
            endpoint = sight.view.endpoint(node)
            host_id = (endpoint.host_id if endpoint else None) or node.host_id
            if not host_id:
                raise CassopsError(f"the host id of {node.pod} is not known; run deploy, which writes it to the ledger")
            entries.append(
                NodeEntry(node.pod, host_id, node.rack, error="" if node.pod in able else unable(node, sight))
            )
        moment = backups.moment(self.now())
        return Manifest(
            backup=name,
            cluster=self.where[0],
            datacenter=self.where[1],
            state=backups.RUNNING,
            began=moment,
            heartbeat=moment,
            runner=self.ctx.holder,
            nodes=tuple(sorted(entries, key=lambda entry: entry.pod)),
            tables=tuple(self.params["tables"]),
            excluded=self.plan.exclude_keyspaces,
            ledger=self.ledger,
        )

    def taken_up(self, begun: Manifest) -> Manifest:
        """The backup of a run that died. A node that was replaced since has lost its snapshot with its volume."""
        self.ctx.progress(
            f"backup {begun.backup} of {begun.runner} is taken up: its last sign of life came at {begun.heartbeat}",
            important=True,
        )
        if not begun.taken:
            return self.manifest
        fresh = {entry.pod: entry for entry in self.manifest.nodes}
        entries = []
        for entry in begun.nodes:
            there = fresh.get(entry.pod)
            if entry.manifest:
                entries.append(entry)
            elif not entry.snapshot:
                # What there is of one is older, or not all of it.
                entries.append(dataclasses.replace(entry, error=entry.error or "it has no snapshot"))
            elif there is None or there.host_id != entry.host_id:
                entries.append(dataclasses.replace(entry, error="the node was replaced after its snapshot"))
            else:
                entries.append(dataclasses.replace(entry, error=there.error))
        return dataclasses.replace(begun, nodes=tuple(entries), runner=self.ctx.holder, ledger=self.ledger)

    def conclude(self, begun: Manifest, sight: Sight) -> None:
        """End the backup of a run that died: nobody comes back to it. It may have lacked nothing but its last word."""
        whole = backups.end_state(begun) == backups.COMPLETE
        state, fate = (backups.COMPLETE, "complete") if whole else (backups.FAILED, "marked as failed")
        error = "" if whole else f"its run ({begun.runner}) died; the last sign of life came at {begun.heartbeat}"
        self.ctx.warnings.append(
            f"backup {begun.backup} was not finished: its run ({begun.runner}) died, its last sign of life came at"
            f" {begun.heartbeat}. It is {fate}{', since every node is in' if whole else ''}"
        )
        moment = backups.moment(self.now())
        self.clear([node.pod for node in self.able(sight)], begun.backup)
        self.store.restic.ensure()
        self.store.store(dataclasses.replace(begun, state=state, finished=moment, error=error, heartbeat=""))
        catalogue.forget_running(self.kube, *self.where)

    # -- the work ---------------------------------------------------------------------------------------------------

    def work(self, sight: Sight, records: Sequence[Record]) -> dict[str, Any]:
        wanted = [entry for entry in self.manifest.nodes if not entry.error and not entry.manifest]
        self.beat(at_once=True)
        # Of a run that died before it could take them away.
        self.clear([entry.pod for entry in self.manifest.nodes if entry.manifest], self.manifest.backup)
        self.repositories(wanted, records)
        if not self.manifest.taken:
            self.snapshots(wanted, sight)
        with ThreadPoolExecutor(PARALLEL) as self.clearing:
            self.upload(wanted, sight)
            return self.finish(sight)

    def beat(self, *, at_once: bool = False) -> None:
        """A sign of life; ends the run if the lock was lost."""
        self.lock.check()
        with self.writing:
            if at_once or time.monotonic() - self.beaten_at > BEAT:
                self.beaten_at = time.monotonic()
                self.manifest = dataclasses.replace(self.manifest, heartbeat=backups.moment(self.now()))
                catalogue.write_running(self.kube, self.manifest)

    def repositories(self, wanted: Sequence[NodeEntry], records: Sequence[Record]) -> None:
        """Make those that are not there yet. The catalogue tells which are: each one that is asked costs a restic."""
        stored = {record.host for record in records}
        new = [(entry.host_id, entry.pod) for entry in wanted if entry.host_id not in stored]
        if not new:
            return
        self.ctx.progress(f"looking at {len(new)} repositories in {self.plan.repository}")
        # One alone first: it makes the bucket where there is none, and stores refuse two that do that at once.
        first = attempt(lambda: self.store.repository(backups.CATALOGUE, "").ensure())
        parts = [] if isinstance(first, CassopsError) else new
        others = together(lambda part: attempt(lambda: self.store.repository(*part).ensure()), parts)
        answers = [first, *others]
        failures = [str(answer) for answer in answers if isinstance(answer, CassopsError)]
        if failures:
            self.give_up(failures)

    def give_up(self, failures: Sequence[str]) -> None:
        """End the run. Where no snapshot was taken the backup has not begun, and the next run owes it nothing."""
        if not self.manifest.taken:
            catalogue.forget_running(self.kube, *self.where)
        raise Failed("; ".join(failures), {"name": self.manifest.backup}, list(failures))

    def snapshots(self, wanted: Sequence[NodeEntry], sight: Sight) -> None:
        """Flush everywhere, then take the snapshots everywhere: so they are of the same seconds."""
        pods = [entry.pod for entry in wanted]
        self.cluster.learn(sight)
        with ThreadPoolExecutor(2) as beside:
            naming = beside.submit(self.uuid_sstables, pods[0])
            with self.cluster.locked():
                for _attempt in range(SNAPSHOT_ATTEMPTS):
                    schema = self.schema(pods[0])
                    # A document that no manifest names goes with a later purge.
                    storing = beside.submit(self.store.store_schema, schema, self.ledger)
                    self.ctx.progress(f"flushing {counted(len(pods), 'node')}", important=True)
                    failed = self.flush(pods)
                    left = [pod for pod in pods if pod not in failed]
                    self.beat()
                    began = time.monotonic()
                    self.ctx.progress(f"taking snapshots on {counted(len(left), 'node')}", important=True)
                    verbs = self.snapshot_verbs(sight, schema)
                    failed |= self.on_all(left, lambda _pod, verbs=verbs: verbs)  # type: ignore[misc]
                    taken = self.now()
                    unclean = self.unclean()
                    if self.schema_version(pods[0]) == schema.version:
                        break
                    self.ctx.progress("the schema changed meanwhile: the snapshots are taken again", important=True)
                else:
                    self.clear(pods, "")
                    self.give_up(["the schema kept changing while snapshots were taken; run it again when it rests"])
            (stored, digest), uuid_sstables = storing.result(), naming.result()
        self.ctx.progress(f"snapshots taken on all nodes within {time.monotonic() - began:.1f} s", important=True)
        for pod, why in failed.items():
            self.failed(pod, why)
        good = {*pods} - {*failed}
        self.manifest = dataclasses.replace(
            self.manifest,
            nodes=tuple(
                dataclasses.replace(one, snapshot=one.pod in good, unclean=one.pod in unclean)
                for one in self.manifest.nodes
            ),
            taken=backups.moment(taken),
            schema=stored,
            schema_digest=digest,
            versions=tuple(sorted({seen.own.version for seen in sight.view.observations.values()})),
            uuid_sstables=uuid_sstables,
            roles=not self.manifest.tables and "system_auth" not in self.manifest.excluded,
        )
        self.beat(at_once=True)

    def unclean(self) -> set[str]:
        """Nodes that lost ranges and were not cleaned up since, as it is noted while nobody else may change it."""
        own = self.cluster.own
        return {node.pod for node in unclean(own, objects(self.kube, own.cluster, own.datacenter, ("ConfigMap",)))}

    def flush(self, pods: Sequence[str]) -> dict[str, str]:
        """Flush, where a snapshot of a run that died is left once that is gone; pod -> why it failed."""
        answers = together(lambda pod: attempt(lambda: self.listing(pod)), pods)
        # A node that cannot be asked may have one.
        clean = {pod for pod, answer in zip(pods, answers, strict=True) if answer == ""}
        return self.on_all(pods, lambda pod: [["flush"]] if pod in clean else [CLEAR, ["flush"]])

    def on_all(self, pods: Sequence[str], verbs: Callable[[str], Sequence[Sequence[str]]]) -> dict[str, str]:
        """Pod -> why the verbs failed there. :param verbs: those of a pod, each within the address of a request."""
        limit = float(self.params["snapshot_timeout"])

        def one(pod: str) -> None:
            for verb in verbs(pod):
                nodetool.run(self.kube, pod, [verb], limit, check=True)

        answers = together(lambda pod: attempt(lambda: one(pod)), pods, WIDE)
        pairs = zip(pods, answers, strict=True)
        return {pod: str(answer) for pod, answer in pairs if isinstance(answer, CassopsError)}

    def snapshot_verbs(self, sight: Sight, schema: Schema) -> list[list[str]]:
        """The verbs that take the snapshots; nothing was written since the flush that matters, so they flush little.

        Many names go in portions, as one name of a snapshot may: Cassandra asks each table for it that is named alone,
        and each keyspace that is named as a whole (C(StorageService.takeSnapshot), 4.0 to 5.0).

        :param schema: of this attempt. It has the users' keyspaces, of which there may be others than were seen before.
        """
        verb = ["snapshot", "-t", backups.SNAPSHOT]
        if not any(seen.own.version.startswith("4.0.") for seen in sight.view.observations.values()):
            verb += ["--ttl", SNAPSHOT_TTL]
        tables = [table for table in self.manifest.tables if "." in table]
        keyspaces = [table for table in self.manifest.tables if "." not in table]
        if self.manifest.excluded and not self.manifest.tables:
            names = {item.name for item in sight.view.keyspaces if item.name.startswith("system")}
            names |= {schema_text.plain(each.keyspace) for each in schema.statements if each.keyspace}
            keyspaces = sorted(names - set(self.manifest.excluded))
        verbs = [[*verb, "-kt", ",".join(portion)] for portion in nodetool.portions(tables)]
        verbs += [[*verb, "--", *portion] for portion in nodetool.portions(keyspaces)]
        return verbs or [verb]

    # -- what Cassandra tells ---------------------------------------------------------------------------------------

    def session(self, pod: str) -> Any:
        return logged_in(self.kube, pod, self.cluster.own.credentials, ASK_LIMIT)

    def schema_version(self, pod: str) -> str:
        with self.session(pod) as session:
            return str(session.execute("SELECT schema_version FROM system.local")[0]["schema_version"])

    def schema(self, pod: str) -> Schema:
        """The statements, with the ids of tables and the columns that were dropped. The version is asked first: who
        sees it again later knows that the statements are those of it."""
        with self.session(pod) as session:
            version = session.execute("SELECT schema_version FROM system.local")[0]["schema_version"]
            return Schema(self.manifest.backup, str(version), described.statements(session, ASK_LIMIT))

    def uuid_sstables(self, pod: str) -> bool | None:
        with self.session(pod) as session:
            told = activity.setting(session, "uuid_sstable_identifiers_enabled")
        return None if told is None else told == "true"

    # -- upload -----------------------------------------------------------------------------------------------------

    def upload(self, wanted: Sequence[NodeEntry], sight: Sight) -> None:
        pods = {entry.pod for entry in wanted}
        entries = [entry for entry in self.manifest.nodes if entry.pod in pods and not entry.error]
        answers = together(lambda entry: attempt(lambda: self.seen(entry.pod)), entries)
        works = []
        self.found: dict[str, Seen] = {}
        for entry, answer in zip(entries, answers, strict=True):
            if isinstance(answer, CassopsError):
                self.failed(entry.pod, str(answer))
            else:
                self.found[entry.pod] = answer
                works.append(self.upload_work(entry, answer))
        self.sight = sight
        jobs = Jobs(
            works,
            self.ctx,
            verb="upload of",
            parallel=self.params["parallel"],
            finished=self.uploaded,
            beat=self.beat,
            limit=float(self.params["wait_timeout"]),
        )
        for pod, why in jobs.run().items():
            self.failed(pod, why)

    def upload_work(self, entry: NodeEntry, seen: Seen) -> Work:
        """restic's command for a node. The times of inodes change with each hard link, so they do not count as news:
        an SSTable that is written anew is another file."""
        name = job_name(self.manifest.backup)
        args = ["backup", "--json", "--host", entry.host_id, "--group-by", "host", "--ignore-ctime"]
        args += ["--tag", f"backup={self.manifest.backup}", "--tag", f"ledger={self.manifest.ledger}"]
        args += ["--files-from-verbatim", list_of(name)]
        if self.plan.bandwidth:
            args += ["--limit-upload", str(max(1, self.plan.bandwidth // 1024))]
        restic = self.store.repository(entry.host_id, entry.pod)
        unlocks = not self.store.shared
        return Work(entry.pod, entry.rack, restic, name, tuple(args), DATA, seen.sources, makes=True, unlocks=unlocks)

    def seen(self, pod: str) -> Seen:
        """The files of the snapshot on a node.

        :raises CassopsError: there is none.
        """
        listing = self.listing(pod)
        # Read one after the other: as objects the files of some nodes are hundreds of MiB.
        with self.reading:
            sources = tuple(table.source for table in parse_files(listing))
        if not sources:
            raise CassopsError(f"the snapshot on {pod} is gone; begin the backup under another name")
        return Seen(zlib.compress(listing.encode()), sources)

    def listing(self, pod: str) -> str:
        """What the snapshot on a node has, empty where there is none; see L(parse_files)."""
        told = self.kube.exec(pod, ["sh", "-c", LOOK_AT_SNAPSHOT], timeout=ASK_LIMIT * 3)
        if told.rc:
            raise CassopsError(f"the snapshot on {pod} cannot be listed: {told.stderr.strip() or told.rc}")
        return told.stdout

    def uploaded(self, work: Work, job: Job) -> None:
        """A node is stored: compare what the repository has with what the snapshot had, and write its manifest."""
        snapshot = str(job.status.get("snapshot_id") or "")
        tables = self.found.pop(work.pod).tables
        entry = next(entry for entry in self.manifest.nodes if entry.pod == work.pod)
        added = int(job.status.get("data_added_packed") or job.status.get("data_added") or 0)
        node = self.node_manifest(entry, snapshot, added, tables)
        with ThreadPoolExecutor(1) as beside:
            # Where that is found at fault no manifest names the document, which goes with its backup.
            storing = beside.submit(self.insist, lambda: self.store.store_node(node, self.ledger))
            stored = self.insist(lambda: work.restic.files(snapshot, float(self.params["wait_timeout"])))
            manifest, digest = storing.result()
        if stored != node.paths:
            node = dataclasses.replace(node, tables=backups.as_stored(tables, stored))
            odd = sorted(set(stored.items()) ^ set(node.paths.items()))
            if odd:
                raise CassopsError(
                    f"the repository of {work.pod} has not what its snapshot had: {len(odd)} files differ, such as"
                    f" {odd[0][0]}"
                )
            manifest, digest = self.insist(lambda: self.store.store_node(node, self.ledger))
        entry = dataclasses.replace(entry, manifest=manifest, digest=digest, size=node.size, added=added)
        with self.writing:
            self.manifest = self.manifest.with_node(entry)
            self.beat(at_once=True)
        self.ctx.progress(
            f"{work.pod} is in: {node.files} files of {report.size(node.size)}, {report.size(added)} of them new",
            important=True,
        )
        self.cleared.append(self.clearing.submit(self.clear, [work.pod], self.manifest.backup))

    def insist(self, call: Callable[[], Answer]) -> Answer:
        """An upload of hours is not thrown away for one command: a store, or a pod, that is away is waited for.

        :raises CassopsError: for longer than wait_timeout, or what it is does not pass.
        """
        spent, limit = 0.0, float(self.params["wait_timeout"])
        while True:
            self.beat()
            began = time.monotonic()
            told = attempt(call)
            if not isinstance(told, CassopsError):
                return told
            spent += time.monotonic() - began + AGAIN
            if spent > limit or (isinstance(told, ResticError) and not told.passes):
                raise told
            self.ctx.progress(f"{told}; it is tried again")
            time.sleep(AGAIN)

    def node_manifest(self, entry: NodeEntry, snapshot: str, added: int, tables: tuple[Table, ...]) -> NodeManifest:
        view = self.sight.view
        node = view.node(entry.pod)
        endpoint = view.endpoint(node) if node else None
        if endpoint is None or endpoint.host_id != entry.host_id:
            raise CassopsError(f"{entry.pod} is not the node any more that the snapshot was taken on")
        return NodeManifest(
            backup=self.manifest.backup,
            cluster=self.where[0],
            datacenter=self.where[1],
            rack=entry.rack,
            pod=entry.pod,
            host_id=entry.host_id,
            address=endpoint.address,
            tokens=tuple(sorted(endpoint.tokens)),
            version=endpoint.version,
            schema=endpoint.schema,
            taken=self.manifest.taken,
            repository=backups.place("", *self.where, entry.host_id).lstrip("/"),
            snapshot=snapshot,
            added=added,
            tables=tables,
        )

    def failed(self, pod: str, why: str) -> None:
        entry = self.manifest.node(pod)
        if entry is not None:
            self.manifest = self.manifest.with_node(dataclasses.replace(entry, error=why))

    # -- the end ----------------------------------------------------------------------------------------------------

    def clear(self, pods: Sequence[str], name: str) -> list[str]:
        """Take snapshots and jobs away; a node that cannot be reached keeps its snapshot until the next backup."""

        def one(pod: str) -> None:
            if name:
                self.store.repository(backups.CATALOGUE, pod).end(job_name(name))
            nodetool.run(self.kube, pod, [CLEAR], float(self.params["snapshot_timeout"]), check=True)

        answers = together(lambda pod: attempt(lambda: one(pod)), pods)
        left = [str(answer) for answer in answers if isinstance(answer, CassopsError)]
        self.ctx.warnings.extend(f"a snapshot was left: {why}" for why in left)
        return left

    def finish(self, sight: Sight) -> dict[str, Any]:
        self.lock.check()
        state = backups.end_state(self.manifest)
        missing = [f"{entry.pod}: {entry.error or 'unknown'}" for entry in self.manifest.nodes if not entry.manifest]
        error = "; ".join(missing)
        finished = backups.moment(self.now())
        whole = dataclasses.replace(self.manifest, state=state, finished=finished, heartbeat="", error=error)
        pods = {node.pod for node in self.able(sight)}
        self.clear([pod for pod in self.manifest.missing if pod in pods], self.manifest.backup)
        if self.plan.point_in_time:
            self.warn_of_logs(sorted(pods))
        self.store_last(whole)
        self.manifest = whole
        for done in self.cleared:
            done.result()
        catalogue.forget_running(self.kube, *self.where)
        result = self.result(self.manifest, changed=True)
        if state != backups.COMPLETE:
            raise Failed(f"backup {self.manifest.backup} is {state}: {error}", result, missing)
        return result

    def store_last(self, manifest: Manifest) -> None:
        """The last word, from any pod: the one that the run began with may be gone by now, or its worker, of which
        Kubernetes need not know yet."""
        tried: list[str] = []

        def once() -> None:
            pods = catalogue.pods_with_restic(self.cluster.look().found)
            pod = min(pods, key=lambda pod: (tried.count(pod), pod != self.store.pod), default=self.store.pod)
            tried.append(pod)
            there = self.catalogue_by(pod)
            there.shared = self.store.shared
            there.store(manifest)

        self.insist(once)

    def warn_of_logs(self, pods: Sequence[str]) -> None:
        """Nothing looks after the commit logs between two backups, so each backup does."""
        told = together(lambda pod: attempt(lambda: restore_volumes.run(self.kube, pod, LATE)), pods)
        for pod, answer in zip(pods, told, strict=True):
            if isinstance(answer, CassopsError):
                self.ctx.warnings.append(f"whether its commit log is stored cannot be told: {answer}")
            elif int(answer):
                self.ctx.warnings.append(
                    f"{pod}: {int(answer)} segments of its commit log wait to be stored for more than ten minutes; see "
                    f"kubectl -n {self.kube.namespace} logs {pod} -c {CONTAINER}"
                )

    def result(self, manifest: Manifest, changed: bool) -> dict[str, Any]:
        shown = facts(manifest)
        return {"changed": changed, "name": manifest.backup, "backup": shown, "report": text(manifest)}


def facts(manifest: Manifest) -> dict[str, Any]:
    """A backup as results show it."""
    return {
        "name": manifest.backup,
        "state": manifest.state,
        "began": manifest.began,
        "taken": manifest.taken or None,
        "finished": manifest.finished or None,
        "size": manifest.size,
        "added": manifest.added,
        "versions": list(manifest.versions),
        "tables": list(manifest.tables),
        "nodes": [
            {
                "node": entry.pod,
                "host_id": entry.host_id,
                "rack": entry.rack,
                "stored": bool(entry.manifest),
                "size": entry.size,
                "added": entry.added,
                "error": entry.error,
            }
            for entry in manifest.nodes
        ],
    }


def text(manifest: Manifest) -> list[str]:
    """A backup as lines for people."""
    rows = [
        (
            entry.pod,
            report.size(entry.size),
            report.size(entry.added),
            "in" if entry.manifest else entry.error or "to do",
        )
        for entry in manifest.nodes
    ]
    total = f"backup {manifest.backup}: {manifest.state}, {report.size(manifest.size)}, of them new"
    return [f"{total} {report.size(manifest.added)}", *report.table(("NODE", "SIZE", "NEW", "STATE"), rows)]


def job_name(backup: str) -> str:
    """Name of the upload's job in each pod."""
    return f"upload-{backup}"


def unable(node: NodeView, sight: Sight) -> str:
    """Why a node cannot give its data."""
    if node.held:
        return f"it is held: {node.held}"
    if node.pod not in sight.view.observations:
        return f"it does not answer: {sight.view.unheard.get(node.pod) or node.reason or 'it does not run'}"
    return f"it has no container {CONTAINER} that runs; is a restart pending?"


def parse_files(told: str) -> tuple[Table, ...]:
    """The tables of a listing, each line C(SIZE KEYSPACE/TABLE-ID/snapshots/NAME/FILE).

    :raises CassopsError: a folder has no name as Cassandra gives it.
    """
    found: dict[tuple[str, str], list[File]] = {}
    for line in told.splitlines():
        size, _space, path = line.partition(" ")
        keyspace, directory, _snapshots, _name, file = path.split("/", 4)
        found.setdefault((keyspace, directory), []).append(File(file, int(size)))
    return tuple(table_of(keyspace, directory, files) for (keyspace, directory), files in sorted(found.items()))


def table_of(keyspace: str, directory: str, files: Sequence[File]) -> Table:
    name, _dash, number = directory.rpartition("-")
    try:
        table_id = str(uuid.UUID(hex=number))
    except ValueError as error:
        raise CassopsError(
            f"the folder {keyspace}/{directory} is not called as Cassandra calls those of tables"
        ) from error
    return Table(keyspace, name, table_id, directory, tuple(sorted(files, key=lambda file: file.path)))
