# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of a backup into a datacenter that serves: made again where they are gone, emptied once, then filled.

Every step looks first. The folder of what was imported or loaded goes when that has ended well. That a table was
emptied is written down at once, before the first row comes back: it is never emptied twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from .. import cql, gates, nodetool, restore_schema, restore_scripts, restoring, schema_text
from ..backups import Schema, Statement
from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..observe import attempt, logged_in, together
from ..restoring import CREATE, LOAD, REPLACE, Parcel, Plan
from ..view import View
from . import described, restore_volumes
from .cluster import Cluster, Place
from .delivery import Delivery
from .restore_volumes import Folder
from .waiting import GATES_LIMIT, until

DDL_LIMIT = 60.0
TRUNCATE_LIMIT = 120.0
PAUSE = 2.0
NO_AGREEMENT = "the nodes do not agree on the new schema; run it again when they do (playbook status)"
# sstableloader's own heap. The container's is Cassandra's, and the launcher would take that.
LOADER_HEAP = "256M"
# It says so of a file that it cannot open or has no table for, loads the others, and ends well (SSTableLoader).
SKIPPED = "Skipping file"


class Filling:
    """One restore of tables, under the cluster's lock.

    :param save: writes the plan down.
    :param proved: asked right before the first change; raises where what was planned is not right any more.
    """

    def __init__(
        self,
        cluster: Cluster,
        plan: Plan,
        schema: Schema,
        limits: tuple[float, float],
        save: Callable[[Plan], None],
        ctx: Context,
        *,
        proved: Callable[[View], None],
    ) -> None:
        self.cluster = cluster
        self.plan = plan
        self.schema = schema
        self.gate_limit, self.limit = limits
        self.save = save
        self.ctx = ctx
        self.proved = proved
        self.made: list[str] = []
        # All nodes that the inventory names, of every datacenter: TRUNCATE empties a table in all of them.
        self.nodes: list[tuple[Kube, str]] = []
        self.counters = restore_schema.counters(schema)
        # Snapshots of what was there before.
        self.kept = {restoring.snapshot_of(plan)}

    def run(self) -> Plan:
        view = self.open_gates()
        self.proved(view)
        # From here on no commit log tells the whole; a run that dies marks it too.
        mark_break(self.cluster.kube, view)
        pod = view.nodes[0].pod
        with session(self.cluster.own, pod) as asked:
            self.make(asked, view)
            self.empty(asked)
        if self.plan.way == LOAD:
            self.load()
        else:
            self.bring()
        return self.plan

    def open_gates(self) -> View:
        """Every node is up in every view, with one schema; nothing waits that was written before.

        Hints of a table that is made again under its old id would bring rows that were written after the backup.
        """
        latest: list[View] = []
        hints = Delivery()

        def look() -> Sequence[str]:
            # All of them: each tells its own tokens.
            sight = self.cluster.ask_all(self.cluster.look())
            seen = sight.view.joined(sight.others)
            latest[:] = [sight.view]
            hints.see(seen)
            places = zip((self.cluster.own, *self.cluster.peers), (sight.view, *sight.others), strict=True)
            self.nodes = [(place.kube, node.pod) for place, each in places for node in each.nodes]
            return [*gates.whole(sight.view), *gates.one_line(seen), *gates.no_hints(seen)]

        what = "the gates before the restore to open"
        until(look, what, self.gate_limit, self.ctx.progress, PAUSE, hints.mark, GATES_LIMIT)
        return latest[0]

    # The schema

    def make(self, asked: cql.Session, view: View) -> None:
        """Keyspaces, types, tables, indexes and views that are gone, in the order in which they were described."""
        there = {endpoint.datacenter for endpoint in view.endpoints().values()}
        names = [name for name in self.plan.names if name[0] not in restoring.SYSTEM]
        for statement in restore_schema.missing(self.schema, describe(asked), names, self.plan.way):
            self.cluster.check()
            self.ctx.progress(f"make {named(statement)}", important=True)
            self.make_one(asked, statement, there)
            self.made.append(named(statement))
        if self.made and not asked.agree(DDL_LIMIT):
            raise CassopsError(NO_AGREEMENT)
        self.complete(asked)

    def complete(self, asked: cql.Session) -> None:
        """A table that lost columns is made by several statements, and a run may have died between two of them.

        :raises CassopsError: a table that was made for the backup is not what it was; nothing was imported.
        """
        names = [restoring.name_of(table) for table in created(self.plan)]
        if not names:
            return
        living = describe(asked)
        unfinished = restore_schema.half_made(self.schema, living, names)
        for statement, left in unfinished:
            self.cluster.check()
            self.ctx.progress(f"go on to make {named(statement)}", important=True)
            for each in left:
                self.carry_out(asked, statement, each)
        if unfinished:
            if not asked.agree(DDL_LIMIT):
                raise CassopsError(NO_AGREEMENT)
            living = describe(asked)
        half = [
            f"{named(each)} lacks {'; '.join(left)}"
            for each, left in restore_schema.half_made(self.schema, living, names)
        ]
        wrong = [*half, *restore_schema.differences(self.schema, living, names)]
        if wrong:
            raise CassopsError(f"what was made again is not what the backup has: {'; '.join(wrong)}")

    def make_one(self, asked: cql.Session, statement: Statement, there: set[str]) -> None:
        own = self.cluster.own.datacenter
        text = restore_schema.made_for(statement, self.plan.datacenter, own, there)
        for each in schema_text.split(text):
            self.carry_out(asked, statement, each)

    def carry_out(self, asked: cql.Session, statement: Statement, text: str) -> None:
        """One of the statements that make what a description tells."""
        try:
            asked.execute(text, timeout=DDL_LIMIT, agree=False)
        except cql.AlreadyExists:
            pass  # A run that died made it.
        except cql.CqlError as error:
            raise CassopsError(f"{named(statement)} cannot be made again: {error}") from error

    def empty(self, asked: cql.Session) -> None:
        """Once each, and nothing goes that no snapshot keeps."""
        tables = [table for table, action in self.plan.tables.items() if action == REPLACE]
        left = [table for table in tables if table not in self.plan.emptied]
        self.keep(left)
        for table in left:
            self.cluster.check()
            self.ctx.progress(f"empty table {table}", important=True)
            keyspace, name = restoring.name_of(table)
            target = f"{cql.identifier(keyspace)}.{cql.identifier(name)}"
            asked.execute(f"TRUNCATE TABLE {target}", consistency="ALL", timeout=TRUNCATE_LIMIT)
            self.plan = replace(self.plan, emptied=(*self.plan.emptied, table))
            self.save(self.plan)
        if tables:
            self.ctx.warnings.append(
                f"what was in {', '.join(tables)} before is kept on each node in snapshot "
                f"{', '.join(sorted(self.kept))}; when it is not needed any more, nodetool clearsnapshot -t with "
                "that name gives its space back"
            )

    def keep(self, tables: Sequence[str]) -> None:
        """The snapshot that Cassandra takes itself may be switched off (C(auto_snapshot), and C(allow_auto_snapshot) of
        a table), or may go after a time (C(auto_snapshot_ttl)).

        :raises CassopsError: a node cannot take one; then nothing is emptied.
        """
        if not tables:
            return
        self.cluster.check()
        name = restoring.snapshot_of(self.plan)
        self.ctx.progress(f"take snapshot {name} of what is there", important=True)
        told = together(lambda node: attempt(lambda: keep_on(*node, name, tables)), self.nodes)
        failed = [str(answer) for answer in told if isinstance(answer, CassopsError)]
        self.kept |= {answer for answer in told if isinstance(answer, str)}
        if failed:
            raise CassopsError(
                f"what is in {', '.join(tables)} could not be kept in a snapshot on every node, so it is not emptied: "
                f"{'; '.join(failed)}. Run it again when that is mended"
            )

    # The same ring: every node takes its own files

    def bring(self) -> None:
        """Table by table, so that a table is whole as soon as it can be."""
        parcels = self.plan.parcels
        told = together(lambda parcel: restore_volumes.folders(self.cluster.kube, self.plan, parcel), parcels)
        found = dict(zip(parcels, told, strict=True))
        tables = sorted({(folder.keyspace, folder.table) for each in found.values() for folder in each})
        for number, name in enumerate(tables, 1):
            self.cluster.check()
            self.ctx.progress(f"import {'.'.join(name)} ({number} of {len(tables)})", important=True)
            work = [
                (parcel, [folder.path for folder in each if (folder.keyspace, folder.table) == name])
                for parcel, each in found.items()
            ]
            self.bring_table(name, work)

    def bring_table(self, name: restoring.Name, work: Sequence[tuple[Parcel, Sequence[str]]]) -> None:
        told = together(lambda item: attempt(lambda: self.bring_one(item[0], name, item[1])), work)
        failed = [str(answer) for answer in told if isinstance(answer, CassopsError)]
        if failed:
            raise CassopsError(f"{'.'.join(name)} is not imported everywhere: {'; '.join(failed)}")

    def bring_one(self, parcel: Parcel, name: restoring.Name, paths: Sequence[str]) -> None:
        """The node verifies the files, moves them to its own, and serves them when their indexes are built.

        That it owns their tokens was proved before; of what it owned then and had not cleaned up, it takes no notice.
        Of counters it would go on with what it remembers, behind what has come: an import clears the cache of rows only
        (C(SSTableImporter), 4.0 to 5.0). The files leave their folder before SAI's indexes are built, so an empty one
        may still be at work, or have failed: a table's imports exclude each other, so another one waits for the first.
        """
        if not paths:
            return
        verb = ["import", "--no-tokens", "--", *name, *paths]
        try:
            nodetool.run_one(self.cluster.kube, parcel.pod, verb, self.limit)
        except nodetool.NodetoolError as error:
            raise CassopsError(f"{error}{self.taken(parcel, name)}") from error
        if name in self.counters:
            nodetool.run_one(self.cluster.kube, parcel.pod, ["invalidatecountercache"], self.limit)
        restore_volumes.run(self.cluster.kube, parcel.pod, restore_scripts.FORGET, *paths)

    def taken(self, parcel: Parcel, name: restoring.Name) -> str:
        """What to do where an import failed and the node has the files already: it serves them from its next start."""
        left = restore_volumes.folders(self.cluster.kube, self.plan, parcel)
        if all(folder.sstables for folder in left if (folder.keyspace, folder.table) == name):
            return ""
        return (
            f". {parcel.pod} has taken the files of {'.'.join(name)}, and does not serve them until it starts again: "
            f"kubectl -n {self.cluster.kube.namespace} delete pod {parcel.pod}; then run it again"
        )

    # Another ring: every row goes to its owners

    def load(self) -> None:
        with self.loader() as login:
            for batch in restore_volumes.rounds(self.plan.parcels):
                together(lambda parcel: self.load_parcel(parcel, login), batch)

    def load_parcel(self, parcel: Parcel, login: tuple[str, str]) -> None:
        left = restore_volumes.folders(self.cluster.kube, self.plan, parcel)
        found = [folder for folder in left if folder.sstables]
        for number, folder in enumerate(found, 1):
            self.cluster.check()
            self.ctx.progress(
                f"{parcel.pod} loads {folder.keyspace}.{folder.table} of {parcel.node} ({number} of {len(found)})",
                important=True,
            )
            self.load_folder(parcel, folder, login)

    def load_folder(self, parcel: Parcel, folder: Folder, login: tuple[str, str]) -> None:
        """Loading the same twice changes nothing, so a run that died in the middle loads the folder again."""
        user, password = login
        node = self.cluster.look().view.node(parcel.pod)
        argv = ["env", f"MAX_HEAP_SIZE={LOADER_HEAP}", "sstableloader", "--no-progress"]
        argv += ["-d", (node and node.address) or "127.0.0.1", "-f", "/cassops/conf/cassandra.yaml"]
        done = self.cluster.kube.exec(parcel.pod, [*argv, "-u", user, "-pw", password, folder.path], timeout=self.limit)
        if done.rc:
            said = " ".join((done.stderr or done.stdout).split())[-800:]
            raise CassopsError(
                f"{parcel.pod}: sstableloader of {folder.keyspace}.{folder.table} ended with {done.rc}: {said}"
            )
        skipped = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if SKIPPED in line]
        if skipped:
            some = "; ".join(skipped[:3]) + (f" and {len(skipped) - 3} more" if len(skipped) > 3 else "")
            raise CassopsError(
                f"{parcel.pod}: sstableloader of {folder.keyspace}.{folder.table} passed over files: {some}. All that "
                f"was downloaded of the table is still in {folder.path} on its volume: correct the cause and run it "
                "again"
            )
        restore_volumes.run(self.cluster.kube, parcel.pod, restore_scripts.FORGET, folder.path)

    @contextmanager
    def loader(self) -> Iterator[tuple[str, str]]:
        """A login for sstableloader, which takes a password in its arguments only: one that may do nothing at all.

        It only has to read what the ring looks like, as everybody may who can log in. It goes with the load.
        """
        name, password = loader_name(self.plan), secrets.token_urlsafe(24)
        login = f"WITH PASSWORD = {cql.text_literal(password)} AND LOGIN = true"
        pod = self.plan.parcels[0].pod
        drop_loader(self.cluster.own, pod, self.plan)
        with session(self.cluster.own, pod) as asked:
            asked.execute(f"CREATE ROLE {cql.identifier(name)} {login}", timeout=DDL_LIMIT)
        try:
            yield name, password
        finally:
            drop_loader(self.cluster.own, pod, self.plan)


def keep_on(kube: Kube, pod: str, name: str, tables: Sequence[str]) -> str:
    """A snapshot of a node's tables. Where a run that died has taken one, the tables may have been emptied by it and
    written to since, or written to since it was taken: they get another one. Cassandra refuses a second of a name.

    :return: its name.
    """
    told = kube.exec(pod, ["sh", "-c", restore_scripts.SNAPSHOTS, "sh", name], timeout=restore_volumes.LIMIT)
    if told.rc:
        raise CassopsError(f"{pod}: its snapshots cannot be listed: {told.stderr.strip() or told.rc}")
    taken = {line.split()[2] for line in told.stdout.splitlines() if ".".join(line.split()[:2]) in tables}
    free = f"{name}-{len(taken) + 1}" if taken else name
    for portion in nodetool.portions(tables):
        verb = ["snapshot", "-t", free, "-kt", ",".join(portion)]
        nodetool.run_one(kube, pod, verb, restore_volumes.LONG)
    return free


def loader_name(plan: Plan) -> str:
    return f"cassops_loader_{plan.id.lower()}"


def drop_loader(place: Place, pod: str, plan: Plan) -> None:
    """No login of a load stays; a run that was killed in the middle of one leaves it."""
    with session(place, pod) as asked:
        asked.execute(f"DROP ROLE IF EXISTS {cql.identifier(loader_name(plan))}", timeout=DDL_LIMIT)


def named(statement: Statement) -> str:
    """Such as "table shop.orders"."""
    where = "" if statement.kind == "keyspace" else f"{statement.keyspace}."
    return f"{statement.kind.replace('_', ' ')} {where}{statement.name}"


def session(place: Place, pod: str) -> AbstractContextManager[cql.Session]:
    return logged_in(place.kube, pod, place.credentials, DDL_LIMIT)


def describe(asked: cql.Session) -> Schema:
    """The schema of the user's keyspaces, as the node describes it."""
    told = described.statements(asked, DDL_LIMIT)
    users = (each for each in told if schema_text.plain(each.keyspace) not in restoring.SYSTEM)
    return Schema(backup="", version="", statements=tuple(users))


def mark_break(kube: Kube, view: View) -> None:
    """No commit log of a node leads over what a restore did."""
    together(lambda node: restore_volumes.run(kube, node.pod, restore_scripts.BREAK), view.nodes)


def created(plan: Plan) -> list[str]:
    return [table for table, action in plan.tables.items() if action == CREATE]
