# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup comes back: everything is looked at and downloaded first, and what serves is changed last.

The plan stands in a ConfigMap before anything is downloaded, and goes when all is proved. So a run that was killed
anywhere is finished by the next. What was restored last is noted at the ledger: the same wish twice changes nothing,
unless somebody says that it is wanted again.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from .. import (
    archive,
    backups,
    confirmation,
    cql,
    gates,
    restic,
    restore_choice,
    restore_planning,
    restore_ring,
    restore_schema,
    restoring,
    spec_parser,
    upgrade,
)
from ..archive import Chain, Column, Short, Type
from ..backups import COMPLETE, PARTIAL, Listed, NodeManifest, moment
from ..context import Context, Failed
from ..errors import CassopsError, SpecError
from ..ledger import ledger_name
from ..lock import Lock
from ..manifests.archive import WANT
from ..manifests.common import INTERNODE_PORT, INTERNODE_TLS_PORT, labels_of
from ..observe import Objects, attempt, together
from ..report import size
from ..restoring import DATACENTER, LOAD, ORIGINAL, SWAP, Plan, Scene, Source, Target, Twin, Wish, plan_name
from ..view import View
from . import backup_secrets, catalogue, restore_volumes
from .catalogue import Catalogue
from .cluster import CLUSTER, Cluster, Sight
from .members import Members
from .repairing import Part, Repairing
from .restore_datacenter import Swapping
from .restore_tables import Filling, describe, drop_loader, mark_break, session
from .restore_volumes import Download, Volume
from .waiting import until

Answer = TypeVar("Answer")
# How long a restore waits until the nodes have stored their newest commit log, and how often it looks.
STORE_LIMIT = 120.0
STORE_PAUSE = 3.0
# Where a node takes connections of others, and how many pods here ask for one that should not be there.
INTERNODE = (INTERNODE_PORT, INTERNODE_TLS_PORT)
ASKING = 2
COLUMNS = "SELECT keyspace_name, table_name, column_name, WRITETIME(kind) AS made FROM system_schema.columns"
DROPPED = COLUMNS.replace(".columns", ".dropped_columns")
TYPES = "SELECT keyspace_name, type_name, field_names, WRITETIME(field_names) AS made FROM system_schema.types"
RESTORED = "cassops.kubernetes/restored"
"""Annotation of the ledger's ConfigMap: what was restored last, and when (JSON)."""

ARGUMENT_SPEC: Mapping[str, Any] = {
    **CLUSTER,
    **catalogue.OPTIONS,
    "name": {"type": "str"},
    "to": {"type": "str"},
    "source_cluster": {"type": "str"},
    "source_datacenter": {"type": "str"},
    "mode": {"type": "str", "choices": list(restoring.MODES), "default": restoring.TABLES},
    "tables": {"type": "list", "elements": "str", "default": []},
    "rows": {"type": "str", "choices": [restoring.REPLACE, restoring.MERGE]},
    "auth": {"type": "str", "choices": [restoring.KEEP, restoring.TAKE], "default": restoring.KEEP},
    "load": {"type": "bool", "default": False},
    "ignore": {"type": "list", "elements": "str", "choices": list(restoring.IGNORABLE), "default": []},
    "confirm": {"type": "str"},
    "again": {"type": "bool", "default": False},
    "abandon": {"type": "bool", "default": False},
    "repair": {"type": "bool", "default": True},
    "space": {"type": "float", "default": 1.2},
    "bandwidth": {"type": "str", "default": "0"},
    "gate_timeout": {"type": "int", "default": 900},
    "wait_timeout": {"type": "int", "default": 1800},
    "table_timeout": {"type": "int", "default": 86400},
    "variable_prefix": {"type": "str", "default": ""},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(restore). See its documentation for parameters and results."""
    place = spec_parser.parse_backup(params["backup"], "cassandra_" if params["variable_prefix"] else "")
    cluster = Cluster(params, ctx)
    missing = backup_secrets.missing(cluster.kube, place)
    if missing:
        raise SpecError(missing)
    checked = {
        "to": as_moment(params.get("to")),
        "bandwidth": spec_parser.parse_bandwidth("bandwidth", params["bandwidth"], params["variable_prefix"]),
    }
    restore = Restore(cluster, place.repository, {**params, **checked}, ctx)
    if ctx.check_mode:
        return restore.predict()
    with restore.lock:
        if params["abandon"]:
            return restore.abandon()
        return restore.run()


class Restore:
    """One run, from wherever the restore stands to its end.

    :param base: the repository that the inventory names.
    """

    def __init__(self, cluster: Cluster, base: str, params: Mapping[str, Any], ctx: Context) -> None:
        self.cluster = cluster
        self.base = base
        self.params = params
        self.ctx = ctx
        self.prefix: str = params["variable_prefix"]
        self.lock = Lock(cluster.kube, catalogue.lock_name(cluster.name, cluster.own.datacenter), ctx.holder)
        self.seconds: dict[str, float] = {}
        self.made: list[str] = []
        self.repaired: list[str] = []
        self.changed = False
        self.saved: Plan | None = None
        self.source_cluster = params.get("source_cluster") or cluster.name
        self.source_datacenter = params.get("source_datacenter") or cluster.own.datacenter

    # What is to be done

    def predict(self) -> dict[str, Any]:
        """The plan, or every reason against it; nothing is written."""
        sight = self.cluster.look()
        begun = self.begun()
        if self.params["abandon"]:
            if begun is not None:
                self.refuse_abandoned(begun)
                self.changed = True
                return self.result(begun)
            return {"changed": False}
        wish = self.wish(begun)
        if begun is not None:
            self.refuse_another(begun, wish)
        else:
            done = self.done_before(sight, wish)
            if done:
                return self.nothing(done)
            begun = self.plan(wish, *self.prepared(wish, sight))
        self.ctx.warnings.extend(restore_planning.to_clean(begun))
        self.changed = True
        return self.result(begun)

    def run(self) -> dict[str, Any]:
        sight = self.cluster.look()
        plan = self.begun()
        wish = self.wish(plan)
        if plan is None:
            done = self.done_before(sight, wish)
            if done:
                return self.nothing(done)
            source, scene = self.prepared(wish, sight)
            plan = self.plan(wish, source, scene)
            self.ctx.progress(self.headline(plan), important=True)
            self.save(plan)
        else:
            self.refuse_another(plan, wish)
            self.ctx.progress(f"going on with the restore of backup {plan.backup}: {plan.step}", important=True)
            source = self.source(wish, sight.found)
            self.warn_of_deletes(wish.to, source, {})
            self.ctx.warnings.extend(restore_planning.down_for_good(plan, source))
        self.changed = True
        try:
            return self.result(self.carry_out(plan, source))
        except CassopsError as error:
            raise Failed(str(error), self.result(self.saved or plan), getattr(error, "errors", ())) from error

    def wish(self, begun: Plan | None = None) -> Wish:
        """What is asked for; the newest complete backup where none is named."""
        params = self.params
        return Wish(
            backup=params.get("name") or (begun.backup if begun else self.newest(params["to"])),
            cluster=self.source_cluster,
            datacenter=self.source_datacenter,
            mode=params["mode"],
            tables=tuple(sorted(params["tables"])),
            rows=params.get("rows") or "",
            auth=params["auth"],
            load=params["load"],
            space=params["space"],
            prefix=self.prefix,
            to=params["to"],
            ignore=frozenset(params["ignore"]),
        )

    def refuse_another(self, plan: Plan, wish: Wish) -> None:
        if plan.step in (restoring.RETURN, restoring.RETURNED):
            raise CassopsError(
                f"the restore of backup {plan.backup} that was begun at {moment(plan.began)} is being given up, which "
                f"has to be finished first: {self.way_back()}"
            )
        if plan.wish != wish.key:
            then = json.loads(plan.wish)
            now = json.loads(wish.key)
            differing = ", ".join(
                f"{self.prefix}{'name' if key == 'backup' else key} was {then.get(key)!r} and is {now[key]!r}"
                for key in now
                if then.get(key) != now[key]
            )
            raise CassopsError(
                f"a restore of backup {plan.backup} was begun at {moment(plan.began)} and is not finished (step "
                f"{plan.step}), and this run asks for something else: {differing}. Finish it by asking for the same "
                f"again, or give it up: {wish.say('abandon', 'true')}"
            )

    def begun(self) -> Plan | None:
        return catalogue.being_restored(self.cluster.kube, self.cluster.name, self.cluster.own.datacenter)

    # The backup

    def catalogue(self, found: Objects | None = None) -> Catalogue:
        """Through any pod that has the sidecar.

        :param found: what was seen a moment ago, to spare another look.
        :raises CassopsError: none has.
        """
        ready = catalogue.pods_with_restic(found or self.cluster.look().found)
        if not ready:
            raise CassopsError(
                f"no pod of datacenter {self.cluster.own.datacenter} has a running container "
                f"{restic.CONTAINER}: set cassandra_backup, run the playbook deploy, then restart"
            )
        return Catalogue(self.cluster.kube, ready[0], self.base, self.source_cluster, self.source_datacenter)

    def newest(self, to: str = "") -> str:
        """The newest backup that is complete, has what is asked for, and is not known to be damaged.

        :param to: it has to be taken before that moment; empty is no matter.
        """
        there = self.catalogue()
        asked = () if self.params["mode"] == DATACENTER else tuple(self.params["tables"])
        every = there.listed(None, self.cluster.kube.server_time())
        own = (self.cluster.name, self.cluster.own.datacenter)
        ledger = ""
        if own == (self.source_cluster, self.source_datacenter):
            ledger = self.cluster.ledger_at(self.cluster.own).id
            self.ctx.warnings.extend(backups.of_namesakes(backups.namesakes(every, ledger), *own))
        wanted = [one for one in every if restore_choice.is_of(one.tables, asked)]
        complete = [one for one in wanted if one.state == COMPLETE]
        limited = [one for one in complete if lacking(one, self.params["mode"])]
        listed = [one for one in complete if one not in limited]
        whole = [one for one in listed if not one.damaged]
        if to:
            # Moments are text that sorts by time. It was taken after it was begun, so few have to be read.
            early = (one for one in reversed(whole) if moment(one.began) <= to)
            whole = [one for one in early if restore_planning.follows(to, there.manifest(one.name).taken)][:1]
        if to and listed and not whole:
            raise CassopsError(
                f"no complete backup of datacenter {self.source_datacenter} was taken before {to}; the oldest one was "
                f"begun at {moment(listed[0].began)}"
            )
        if not whole:
            raise CassopsError(
                f"there is no complete backup of datacenter {self.source_datacenter} of cluster {self.source_cluster} "
                f"in {self.base}"
                + (", but for damaged ones" if any(one.damaged for one in complete) else "")
                + only_tables([one for one in limited if not one.damaged], self.prefix)
            )
        taken = whole[-1]
        until_then = [one for one in wanted if not to or moment(one.began) <= to]
        self.ctx.warnings.extend(passed_over(until_then, taken, self.params["mode"]))
        self.ctx.warnings.extend(of_predecessor(listed, taken, ledger, self.prefix))
        return taken.name

    def prepared(self, wish: Wish, sight: Sight) -> tuple[Source, Scene]:
        """What there is in the store and here, asked for at the same time."""
        with ThreadPoolExecutor(1) as beside:
            seen = beside.submit(self.scene, wish, sight)
            source, scene = self.source(wish, sight.found), seen.result()
        return source, replace(scene, twins=self.twins(source, sight) if wish.mode == DATACENTER else ())

    def source(self, wish: Wish, found: Objects) -> Source:
        """The backup with its documents, each compared with its digest."""
        read = self.catalogue(found).read(wish.backup)
        schema = read.schema or backups.Schema(wish.backup, "", ())
        return Source(read.manifest, read.nodes, schema)

    def twins(self, source: Source, sight: Sight) -> tuple[Twin, ...]:
        """Nodes of the datacenter that was backed up which live elsewhere. Where it is this one, or somebody has said
        that it is gone, nobody is asked.

        :raises CassopsError: no pod here can ask.
        """
        ledger = self.cluster.ledger(sight.found)
        if source.manifest.ledger in ("", ledger.id) or ORIGINAL in self.params["ignore"]:
            return ()
        own = {node.address or "" for node in sight.view.nodes}
        asked = {
            f"{node.address}/{port}": node.pod for node in restore_planning.to_ask(source, own) for port in INTERNODE
        }
        racks = {node.rack: node.pod for node in reversed(sight.view.nodes) if node.phase == "Running"}
        pods = restore_ring.ordered(racks.values())[:ASKING] if asked else []
        answers = together(lambda pod: attempt(lambda: restore_volumes.answers(self.cluster.kube, pod, [*asked])), pods)
        told = {pod: answer for pod, answer in zip(pods, answers, strict=True) if not isinstance(answer, CassopsError)}
        if asked and not told:
            why = "; ".join(map(str, answers)) or "none runs"
            raise CassopsError(
                f"backup {source.manifest.backup} is of another datacenter of the same names, and no pod here can ask "
                f"whether that one lives still ({why}): a twin would join its gossip. Run it again when pods run here "
                f"{restoring.past(self.prefix, ORIGINAL, 'that one is gone for good')}"
            )
        found = {
            asked[at]: Twin(asked[at], at.replace("/", ":"), pod) for pod, each in reversed(told.items()) for at in each
        }
        return tuple(found[pod] for pod in sorted(found))

    def refuse_beside_original(self, plan: Plan, source: Source) -> None:
        """It may have come back since the plan was made.

        :raises CassopsError: it lives.
        """
        twins = self.twins(source, self.cluster.look())
        for reason in restore_planning.beside_original(self.wish(plan), source.manifest, twins):
            raise CassopsError(reason)

    # The plan

    def plan(self, wish: Wish, source: Source, scene: Scene) -> Plan:
        """:raises CassopsError: with every reason why not."""
        if wish.mode == DATACENTER and not self.is_confirmed():
            raise CassopsError(
                f"a whole datacenter goes back: all its nodes stop, and what was written since {source.manifest.taken} "
                f"is gone. Repeat its name: {wish.say('confirm', self.cluster.own.datacenter)}"
            )
        logs = self.logs(wish.to, source) if wish.to else {}
        now = self.cluster.kube.server_time()
        if wish.to:
            self.warn_of_schema(wish, source, scene)
            self.warn_of_deletes(wish.to, source, logs)
        try:
            plan = restore_planning.plan(wish, source, scene, backups.name_at(now), now, logs)
        except restoring.Refused as refused:
            reasons = with_advice(refused.errors, restore_choice.chosen(wish, source)[1], self.prefix)
            raise Failed("; ".join(reasons), {"tokens": wanted_tokens(source, scene)}, reasons) from refused
        self.ctx.warnings.extend(restore_schema.returning(plan, source, scene.schema, now))
        self.ctx.warnings.extend(restore_schema.not_made(plan, source, scene.schema))
        self.ctx.warnings.extend(restore_planning.down_for_good(plan, source))
        return plan

    def is_confirmed(self) -> bool:
        return confirmation.names(self.params.get("confirm"), self.cluster.name, self.cluster.own.datacenter)

    def scene(self, wish: Wish, sight: Sight) -> Scene:
        # All of them: a node's tokens are what its own word says.
        view = self.cluster.ask_all(sight, busy=False).view
        volumes = restore_volumes.looks(self.cluster.kube, [node.pod for node in view.nodes])
        reasons = {} if wish.mode == DATACENTER else unwell(view)
        nodes = tuple(
            replace(
                target,
                free=volume.free if isinstance(volume, Volume) else None,
                data=volume.data if isinstance(volume, Volume) else True,
                fault=str(volume) if isinstance(volume, CassopsError) else reasons.get(target.pod, ""),
            )
            for target in targets(view)
            for volume in (volumes[target.pod],)
        )
        known = (self.ask(view, written) or ((), ())) if wish.to else ((), ())
        schema = self.ask(view, describe)
        endpoints = view.endpoints().values()
        versions = {item.version for item in endpoints if item.version} or {
            word for node in view.nodes for word in (node.runs or "").split()[:1]
        }
        return Scene(
            cluster=self.cluster.name,
            datacenter=self.cluster.own.datacenter,
            nodes=nodes,
            version=min(versions, key=upgrade.release, default=""),
            schema=schema,
            datacenters=tuple(
                sorted({item.datacenter for item in endpoints} | {peer.datacenter for peer in self.cluster.peers})
            ),
            columns=archive.with_ids(known[0], schema),
            types=known[1],
        )

    def logs(self, until_then: str, source: Source) -> dict[str, Chain | Short]:
        """Host id -> what was stored of the node's commit log up to a moment. What is not stored yet is asked for, and
        waited for."""
        began, to = backups.seconds(source.manifest.began), backups.seconds(until_then)
        hosts = [node.host_id for node in source.nodes]
        made = self.stored(hosts, source, began)
        if not self.ctx.check_mode and to <= self.cluster.kube.server_time():
            deadline = time.monotonic() + STORE_LIMIT
            behind = [host for host in hosts if archive.behind(made[host], to)]
            if behind:
                self.ctx.progress("the nodes store the end of their commit logs", important=True)
                pods = catalogue.pods_with_restic(self.cluster.look().found)
                together(lambda pod: attempt(lambda: restore_volumes.run(self.cluster.kube, pod, WANT)), pods)
            while behind and time.monotonic() < deadline:
                self.lock.check()
                time.sleep(STORE_PAUSE)
                made |= self.stored(behind, source, began)
                behind = [host for host in behind if archive.behind(made[host], to)]
        ends = self.foreseen([made[host] for host in hosts], to) if self.ctx.check_mode else [to] * len(hosts)
        first = restore_planning.first_moment(source.manifest.taken or source.manifest.began)
        return {host: archive.chain(made[host], began, first, end) for host, end in zip(hosts, ends, strict=True)}

    def stored(self, hosts: Sequence[str], source: Source, began: float) -> dict[str, list[archive.Upload]]:
        """Host id -> what is stored of the node's commit log.

        All pods take part, each with one restic at a time: it holds the list of a repository in memory, and a node has
        some 1,400 snapshots a day.
        """
        found = self.cluster.look().found
        there, pods = self.catalogue(found), catalogue.pods_with_restic(found)
        ledger, limit = source.manifest.ledger, float(self.params["wait_timeout"])

        def ask(number: int) -> dict[str, list[archive.Upload]]:
            return {
                host: archive.relevant(there.uploads(host, ledger, limit, pods[number]), began)
                for host in hosts[number :: len(pods)]
            }

        return {host: made for told in together(ask, range(len(pods))) for host, made in told.items()}

    def foreseen(self, made: Sequence[Sequence[archive.Upload]], to: float) -> list[float]:
        """For a run that may ask nobody to store anything: how far each node's commit log is good, where it would be
        stored up to C(to)."""
        can = to <= self.cluster.kube.server_time() and catalogue.pods_with_restic(self.cluster.look().found)
        ends = [min(to, archive.stored_until(each) or to) if can else to for each in made]
        if min(ends, default=to) < to:
            self.ctx.warnings.append(
                f"commit logs are stored up to {moment(min(ends))} so far; the nodes would first be asked to store the "
                "rest"
            )
        return ends

    def warn_of_deletes(self, to: str, source: Source, logs: Mapping[str, Chain | Short]) -> None:
        """Where there is a moment at all, empty is none."""
        if to:
            end = max((told.end for told in logs.values() if isinstance(told, Chain)), default=0.0)
            self.ctx.warnings.extend(archive.late_deletes(source.schema, backups.seconds(to), end))

    def warn_of_schema(self, wish: Wish, source: Source, scene: Scene) -> None:
        taken = backups.seconds(source.manifest.taken or source.manifest.began)
        to = backups.seconds(wish.to)
        self.ctx.warnings.extend(archive.schema_changes(scene.columns, source.schema, taken, to)[1])
        self.ctx.warnings.extend(archive.undurable(source.schema, scene.schema))
        if scene.schema is None:
            self.ctx.warnings.append(
                f"no node can be asked whether tables were made or changed between {source.manifest.taken} and "
                f"{wish.to}: rows of new tables do not come back, and with new columns nodes do not start"
            )
        else:
            self.ctx.warnings.extend(archive.dropped_tables(scene.schema, source.schema))

    def ask(self, view: View, question: Callable[[cql.Session], Answer]) -> Answer | None:
        """What a node answers; None where none can be asked."""
        for pod in sorted(view.observations):
            with session(self.cluster.own, pod) as asked:
                return question(asked)
        return None

    # Carrying it out

    def carry_out(self, plan: Plan, source: Source) -> Plan:
        self.ctx.warnings.extend(restore_planning.to_clean(plan))
        documents = {node.host_id: node for node in source.nodes}
        clock = Clock(self.seconds)
        if plan.step == restoring.FINISH:
            self.finish(plan)
            return plan
        # Later the data is in its place. Before, a node may have been replaced while no run was on, with what it had.
        if plan.step not in ("start", "prove"):
            self.reach_volumes(plan)
            self.download(plan, source, documents)
            clock.lap("download")
        plan = self.change(plan, source, documents)
        clock.lap("change")
        # It would ask replicas that are down for good, and fail.
        if self.params["repair"] and not restore_planning.down_for_good(plan, source):
            plan = self.repair(plan, source)
            clock.lap("repair")
        plan = restoring.at(plan, restoring.FINISH)
        self.save(plan)
        self.finish(plan)
        return plan

    def reach_volumes(self, plan: Plan) -> None:
        """Pods that a killed run deleted are made again within seconds."""
        pods = sorted({parcel.pod for parcel in plan.parcels})

        def look() -> list[str]:
            told = restore_volumes.looks(self.cluster.kube, pods)
            return [str(each) for each in told.values() if isinstance(each, CassopsError)]

        limit = float(self.params["gate_timeout"])
        until(look, f"container {restic.CONTAINER} of every node to answer", limit, self.ctx.progress)

    def download(self, plan: Plan, source: Source, documents: Mapping[str, NodeManifest]) -> None:
        def logs() -> Mapping[str, Sequence[str]]:
            told = self.logs(plan.to, source)
            wrong = [each.why for each in told.values() if isinstance(each, Short)]
            if wrong:
                raise CassopsError(f"the commit logs are not what they were when it was planned: {'; '.join(wrong)}")
            return {host: each.snapshots for host, each in told.items() if isinstance(each, Chain)}

        Download(
            self.cluster.kube,
            self.base,
            plan,
            documents,
            logs,
            float(self.params["wait_timeout"]),
            self.params["bandwidth"],
            self.lock.check,
            self.ctx,
        ).run()

    def change(self, plan: Plan, source: Source, documents: Mapping[str, NodeManifest]) -> Plan:
        with self.cluster.locked():
            if plan.way == SWAP:
                if plan.step not in ("start", "prove"):
                    self.refuse_beside_original(plan, source)
                    self.before_change(plan, source, self.cluster.look().view)
                return self.swapping(plan, documents).run()
            plan = restoring.at(plan, "change")
            self.save(plan)
            limits = (float(self.params["gate_timeout"]), float(self.params["table_timeout"]))
            filling = Filling(
                self.cluster,
                plan,
                source.schema,
                limits,
                self.save,
                self.ctx,
                proved=lambda view: self.before_change(plan, source, view),
            )
            try:
                return filling.run()
            finally:
                self.made = filling.made

    def swapping(self, plan: Plan, documents: Mapping[str, NodeManifest]) -> Swapping:
        limit = float(self.params["wait_timeout"])
        return Swapping(self.cluster, plan, documents, limit, self.save, self.way_back(), self.ctx)

    def way_back(self) -> str:
        say, name = restoring.say, self.cluster.own.datacenter
        return f"{say(self.prefix, 'abandon', 'true')} {say(self.prefix, 'confirm', name)}"

    def before_change(self, plan: Plan, source: Source, view: View) -> None:
        """Raises as L(still_fits) does. Who gets rows that are not its own is noted first: a run may die among them."""
        self.still_fits(plan, source, view)
        if plan.unclean:
            members = Members(self.cluster, float(self.params["wait_timeout"]), self.ctx)
            members.note_unclean([*members.unclean(self.cluster.look().found), *plan.unclean])

    def still_fits(self, plan: Plan, source: Source, view: View) -> None:
        """Between plan and change lie hours, or a run that was killed: nodes may have been replaced, come or gone.

        :raises CassopsError: so the plan cannot be carried out.
        """
        lost = restore_volumes.not_ready(self.cluster.kube, plan, plan.parcels)
        if lost:
            pods = ", ".join(sorted({parcel.pod for parcel in lost}))
            raise CassopsError(f"what was downloaded to {pods} is gone with its volume; run it again, which fetches it")
        reasons = restore_ring.moved(plan, source.nodes, targets(view))
        if reasons:
            empty = f" These tables are empty by now: {', '.join(plan.emptied)}." if plan.emptied else ""
            raise CassopsError(
                f"the datacenter has changed since this restore was planned: {'; '.join(reasons)}.{empty} Give it up "
                f"({restoring.say(self.prefix, 'abandon', 'true')}) and begin again"
            )

    def repair(self, plan: Plan, source: Source) -> Plan:
        """The replicas of a backup are of one moment, but for what was on its way to some of them.

        That may take days. A run that was killed is gone on with: what was repaired since all is in place is on record.
        """
        with self.cluster.locked():
            if not plan.repair_began:
                plan = replace(plan, repair_began=self.cluster.kube.server_time())
                self.save(plan)
            limit, option = float(self.params["table_timeout"]), f"{self.prefix}table_timeout"
            repairing = Repairing(self.cluster, limit, option, self.ctx, plan.repair_began)
            # Each node its own first ranges, which together are all; beside other datacenters these are not.
            primary = not self.cluster.peers
            nodes = self.cluster.look().view.nodes
            for keyspace, tables in restore_planning.to_repair(plan, source.schema).items():
                for number, node in enumerate(nodes, 1):
                    words = f"repair keyspace {keyspace} on {node.pod} ({number} of {len(nodes)})"
                    for portion in repairing.portions(node.pod, keyspace, tables):
                        repairing.run(Part(node.pod, keyspace, portion, primary), words)
                self.repaired.append(keyspace)
        return plan

    def finish(self, plan: Plan) -> None:
        """Nothing of the restore stays but the note that it was done. Nodes that left took theirs along."""
        view = self.cluster.look().view
        restore_volumes.clean_all(self.cluster.kube, restoring.on(plan, [node.pod for node in view.nodes]))
        mark_break(self.cluster.kube, view)
        when = moment(self.cluster.kube.server_time())
        note = {"wish": plan.wish, "when": when, "began": moment(plan.began), "tables": sorted(plan.tables)}
        self.annotate(json.dumps(note, sort_keys=True))
        self.forget()

    def abandon(self) -> dict[str, Any]:
        """Give up a restore: what serves is as it was before, or has the tables that it has by now."""
        plan = self.begun()
        if plan is None:
            return {"changed": False}
        self.refuse_abandoned(plan)
        self.changed = True
        try:
            self.give_up(plan)
            return self.result(plan)
        except CassopsError as error:
            raise Failed(str(error), self.result(self.saved or plan), getattr(error, "errors", ())) from error

    def give_up(self, plan: Plan) -> None:
        self.ctx.progress(f"the restore of backup {plan.backup} is given up (step {plan.step})", important=True)
        if plan.way == SWAP and plan.step != restoring.DOWNLOAD:
            with self.cluster.locked():
                self.return_datacenter(plan)
            return
        if plan.step == "change":
            view = self.cluster.look().view
            mark_break(self.cluster.kube, view)
            if plan.way == LOAD:
                ready = next((node.pod for node in view.nodes if node.ready), plan.parcels[0].pod)
                drop_loader(self.cluster.own, ready, plan)
        self.leave_nothing(plan)
        self.break_chain(plan)
        if plan.emptied:
            self.ctx.warnings.append(
                f"these tables were emptied and not filled again: {', '.join(plan.emptied)}; snapshot "
                f"{restoring.snapshot_of(plan)} of them on each node holds what was there (and one that goes on with "
                "-2, where the restore was taken up again before they were empty)"
            )
        self.forget()

    def return_datacenter(self, plan: Plan) -> None:
        """All nodes as they were. Whether they come up is no part of it: one may have been away before."""
        swapping = self.swapping(plan, {})
        if plan.step not in ("stop", restoring.RETURNED):
            swapping.go_back()
        # First, since one that cannot be asked must not keep the others from serving.
        swapping.let_go()
        self.reach_volumes(self.here(plan))
        self.leave_nothing(plan)
        self.break_chain(plan)
        self.forget()
        swapping.wait_until_running()

    def here(self, plan: Plan) -> Plan:
        """What of it concerns nodes that are here; those that left took theirs along."""
        return restoring.on(plan, [node.pod for node in self.cluster.look().view.nodes])

    def leave_nothing(self, plan: Plan) -> None:
        """On the volumes."""
        here = self.here(plan)
        restore_volumes.end_jobs(self.cluster.kube, self.base, here, here.parcels)
        restore_volumes.clean_all(self.cluster.kube, here)

    def break_chain(self, plan: Plan) -> None:
        """Nodes that run the archive.sh of an earlier release took a segment that became full while there was a part of
        it among what was downloaded for one that comes from the store, and did not keep it. Nobody knows which runs."""
        if plan.to:
            mark_break(self.cluster.kube, self.cluster.look().view)

    def refuse_abandoned(self, plan: Plan) -> None:
        """:raises CassopsError: it has come to its end, or rows may go and nobody said that they may."""
        if plan.step == restoring.FINISH:
            raise CassopsError(
                f"backup {plan.backup} is restored, and only what was downloaded stays to be removed: run it again "
                "with the options of that time"
            )
        exchanged = plan.way == SWAP and plan.step not in (restoring.DOWNLOAD, "stop")
        if exchanged and not self.is_confirmed():
            raise CassopsError(
                f"the restore of backup {plan.backup} has changed data already (step {plan.step}). Run it again, which "
                "finishes it; or go back to what was there before it: all nodes stop, and what was written since is "
                f"gone ({self.way_back()})"
            )

    # What is remembered

    def save(self, plan: Plan) -> None:
        metadata = {
            "name": plan_name(self.cluster.name, self.cluster.own.datacenter),
            "labels": labels_of(self.cluster.name, self.cluster.own.datacenter),
        }
        self.lock.check()
        self.cluster.check()
        self.cluster.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": plan.to_data()})
        self.saved = plan

    def forget(self) -> None:
        name = plan_name(self.cluster.name, self.cluster.own.datacenter)
        found = self.cluster.kube.get("ConfigMap", name)
        if found is not None:
            self.cluster.kube.delete("ConfigMap", name, uid=found["metadata"]["uid"])

    def annotate(self, value: str) -> None:
        name = ledger_name(self.cluster.name, self.cluster.own.datacenter)
        self.cluster.kube.patch("ConfigMap", name, {"metadata": {"annotations": {RESTORED: value}}})

    def done_before(self, sight: Sight, wish: Wish) -> str:
        """When the same was restored last; empty where it was not, is wanted again, or was lost again since."""
        item = sight.found.get("ConfigMap", ledger_name(self.cluster.name, self.cluster.own.datacenter)) or {}
        told = note_of((item.get("metadata", {}).get("annotations") or {}).get(RESTORED) or "{}")
        if self.params["again"] or told.get("wish") != wish.key or not all(node.ready for node in sight.view.nodes):
            return ""
        schema = self.ask(self.cluster.ask(sight, busy=False).view, describe)
        there = {".".join(name) for name in restore_schema.described(schema)} if schema else set()
        users = {table for table in told.get("tables", ()) if restoring.name_of(table)[0] not in restoring.SYSTEM}
        return str(told.get("when", "")) if users <= there else ""

    # For people

    def nothing(self, when: str) -> dict[str, Any]:
        again = restoring.say(self.prefix, "again", "true")
        self.ctx.warnings.append(f"the same was restored at {when}; to restore it once more: {again}")
        return {"changed": False, "restored": when}

    def headline(self, plan: Plan) -> str:
        total = sum(parcel.size for parcel in plan.parcels)
        what = f"{len(plan.tables)} tables" if plan.way != SWAP else "the whole datacenter"
        then = f", and then its commit log up to {plan.to}" if plan.to else ""
        return f"backup {plan.backup}: {what}, {size(total)}{then}, to be restored by {plan.way} (id {plan.id})"

    def result(self, plan: Plan) -> dict[str, Any]:
        return {
            "changed": self.changed,
            "backup": plan.backup,
            "id": plan.id,
            "way": plan.way,
            "step": plan.step,
            "to": plan.to or None,
            "tables": dict(plan.tables),
            "nodes": [
                {"node": parcel.pod, "from": parcel.node, "bytes": parcel.size, "files": parcel.files}
                for parcel in plan.parcels
            ],
            "made": self.made,
            "emptied": list(plan.emptied),
            "repaired": self.repaired,
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }


class Clock:
    """Seconds between laps, written into a mapping."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        before, self._last = self._last, time.monotonic()
        self._seconds[name] = self._last - before


def with_advice(reasons: Sequence[str], lacking: Collection[str], prefix: str) -> list[str]:
    """Reasons against a restore, with the next step for what its backup lacks.

    :param lacking: those of them that say so.
    """
    older = f"; an older backup may have it: {restoring.say(prefix, 'name', '...')} (playbook list_backups)"
    return [reason + (older if reason in lacking else "") for reason in reasons]


def lacking(one: Listed, mode: str) -> str:
    """What keeps a backup from being taken that is complete: a whole datacenter cannot be made of one without some
    keyspaces. Empty where nothing does."""
    return backups.limited(one) if mode == DATACENTER else ""


def only_tables(limited: Sequence[Listed], prefix: str) -> str:
    """What is said of backups of which a whole datacenter cannot be made, where there are no others.

    :param limited: the oldest first.
    """
    if not limited:
        return ""
    newest = limited[-1]
    options = f"{restoring.say(prefix, 'mode', restoring.TABLES)} {restoring.say(prefix, 'auth', restoring.TAKE)}"
    return (
        f", of which a whole datacenter can be made; the newest one is {newest.name} ({lacking(newest, DATACENTER)}): "
        f"bring back its tables and the roles ({options})"
    )


def passed_over(wanted: Sequence[Listed], taken: Listed, mode: str) -> list[str]:
    """A warning of newer backups that are not taken, or none. One that failed or runs has nothing to give yet.

    :param wanted: those that are of what is asked for.
    """

    def why(one: Listed) -> str:
        if one.damaged:
            return "damaged"
        return PARTIAL if one.state == PARTIAL else lacking(one, mode) if one.state == COMPLETE else ""

    told = [f"{one.name} ({why(one)})" for one in wanted if one.began > taken.began and why(one)]
    if not told:
        return []
    return [
        f"newer backups are passed over: {', '.join(told)}. Taken is {taken.name}, begun at {moment(taken.began)}. The "
        "playbook list_backups tells what is wrong with the newer ones"
    ]


def of_predecessor(listed: Sequence[Listed], taken: Listed, ledger: str, prefix: str) -> list[str]:
    """A warning where a datacenter's own backup is taken, and there are older ones of one whose place it took: deployed
    after a loss it may have backed itself up while it was empty.

    :param listed: the complete ones of what is asked for.
    :param ledger: the id of the datacenter's; empty where the backups are another's.
    """
    others = [one for one in listed if not one.is_of(ledger) and one.began < taken.began and not one.damaged]
    if not ledger or taken.ledger != ledger or not others:
        return []
    last = others[-1].name
    return [
        f"backup {taken.name} is of this datacenter, and older ones are of another of the same names, whose place it "
        f"may have taken: where what that one had is wanted, name its last one ({restoring.say(prefix, 'name', last)})"
    ]


def wanted_tokens(source: Source, scene: Scene) -> dict[str, list[int]]:
    """Node, such as C(r1-0) -> the tokens with which it could take the backup's files; empty where nothing fits, or
    where the ring is that of the backup."""
    if isinstance(restore_ring.same_ring(source.nodes, scene.nodes), dict):
        return {}
    racks: dict[str, list[str]] = {}
    for node in scene.nodes:
        racks.setdefault(node.rack, []).append(node.pod)
    told = restore_ring.tokens_for(source.nodes, racks)
    if isinstance(told, str):
        return {}
    return {f"{node.rack}-{node.ordinal}": list(told[node.pod]) for node in scene.nodes}


def written(asked: cql.Session) -> tuple[tuple[Column, ...], tuple[Type, ...]]:
    """What Cassandra's own tables tell of when the users' schema was written."""
    return columns(asked), types(asked)


def columns(asked: cql.Session) -> tuple[Column, ...]:
    """Those of the users' tables, and when they were made or dropped, as Cassandra's own tables tell."""
    told = (
        Column(row["keyspace_name"], row["table_name"], row["column_name"], (row["made"] or 0) / 1e6, dropped)
        for statement, dropped in ((COLUMNS, False), (DROPPED, True))
        for row in asked.execute(statement)
    )
    return tuple(column for column in told if column.keyspace not in restoring.SYSTEM)


def types(asked: cql.Session) -> tuple[Type, ...]:
    """The users' types."""
    return tuple(
        Type(row["keyspace_name"], row["type_name"], len(row["field_names"] or ()), (row["made"] or 0) / 1e6)
        for row in asked.execute(TYPES)
    )


def as_moment(text: str | None) -> str:
    """A moment that is wanted as documents have it: in UTC, to the second. YAML writes it otherwise where it can.

    :raises SpecError: it is none, or nobody knows in which zone.
    """
    if not text:
        return ""
    try:
        told = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
    except ValueError:
        told = None
    if told is None or told.tzinfo is None or told.microsecond:
        raise SpecError([f"to: must be a moment with its zone, such as 2026-11-22T03:14:00Z, got {text!r}"])
    return moment(told.timestamp())


def targets(view: View) -> tuple[Target, ...]:
    """The nodes with the tokens that each says it has; none where it was not asked."""
    return tuple(
        Target(
            pod=node.pod,
            rack=node.rack,
            ordinal=node.ordinal,
            host_id=node.host_id,
            tokens=view.observations[node.pod].own.tokens if node.pod in view.observations else (),
        )
        for node in view.nodes
    )


def unwell(view: View) -> dict[str, str]:
    """Pod -> why it cannot take tables while it serves."""
    told: dict[str, str] = {}
    for node in view.nodes:
        only = View(view.cluster, view.datacenter, view.phase, (node,), view.observations)
        reasons = [*gates.running(only), *gates.up_in_every_view(only)]
        reasons += [f"{node.pod}: {view.unheard[node.pod]}"] if node.pod in view.unheard else []
        if reasons:
            told[node.pod] = "; ".join(reasons)
    return told


def note_of(text: str) -> Mapping[str, Any]:
    """A note that somebody edited is none."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
