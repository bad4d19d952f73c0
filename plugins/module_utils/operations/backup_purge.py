# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups that are not kept any longer are removed, and the bytes that no other backup needs with them.

First the manifests go, so that nothing counts as a backup that is not whole any more; then what is in the nodes'
repositories; then the rest of the documents, which name the repositories of nodes that are gone. A run that was killed
is finished by the next: it removes what belongs to no backup and is older than the newest complete one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .. import archive, backups, report, spec, spec_parser
from ..backups import Keep, Listed, Manifest, Record
from ..context import Context, Failed
from ..errors import CassopsError
from ..kube import Kube
from ..lock import Lock
from ..observe import Objects, attempt, ledger_of, objects, together
from ..options import DATACENTER, KUBERNETES
from ..restic import DATA, LOCKED, NoRepository, Restic, ResticError
from . import catalogue
from .catalogue import Catalogue
from .restic_jobs import Jobs, Work

ARGUMENT_SPEC: Mapping[str, Any] = {
    **KUBERNETES,
    **DATACENTER,
    **catalogue.OPTIONS,
    "names": {"type": "list", "elements": "str", "default": []},
    "wait_timeout": {"type": "int", "default": 7200},
}
JOB = "purge"
FORGOTTEN_AT_ONCE = 1000
RESTORED = "a restore of it is not finished"
"""Reason to keep a backup that a person cannot overrule by naming it; see also L(backups.NEVER_REMOVED)."""
DAY = 86400.0
NOT_UNLOCKED = (
    "Another datacenter of the same names uses this repository, so the lock is left alone: it may be that of a living "
    "restic. Purge again when that is done; the lock of a dead one goes with `restic unlock`, 30 minutes after that, "
    "from a host that is named as none of the pods"
)


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(backup_purge). See its documentation for parameters and results."""
    kube = ctx.kube(params)
    plan = spec_parser.parse_backup(params["backup"], params["variable_prefix"])
    found = objects(kube, params["cluster"], params["datacenter"], kinds=("Pod", "ConfigMap"))
    store = catalogue.opened(params, kube, found)
    purge = Purge(kube, store, found, plan, params, ctx)
    if ctx.check_mode:
        return purge.predict()
    with purge.lock:
        return purge.run()


class Decision:
    """What stays, and why, and what goes.

    :param reach: the earliest moment that commit logs are kept for.
    :param restored: the backup that an unfinished restore is of; empty is none. It goes on with its commit logs.
    :param ledger: the id of this datacenter's. What another one of the same names has stored is measured by its own
        backups: it may live.
    :param names: of backups that a person wants gone. A datacenter of which there are some among them lives no more.
    """

    def __init__(
        self,
        listed: Sequence[Listed],
        reasons: Mapping[str, str],
        reach: float,
        restored: str,
        ledger: str,
        names: Collection[str] = (),
    ) -> None:
        self.kept = dict(reasons)
        self.gone = {one.ledger for one in listed if one.name in names} - {ledger, ""}
        self.began = min((one.began for one in listed if one.ledger == ledger), default=0.0)
        self.removed = [one.name for one in listed if one.name not in reasons]
        self.ledger = ledger
        whole: dict[str, list[Listed]] = {}
        for one in listed:
            if one.state == backups.COMPLETE and one.name in reasons and not one.tables:
                whole.setdefault(one.ledger or ledger, []).append(one)
        self.newest = {whose: max(one.began for one in mine) for whose, mine in whole.items()}
        for whose in self.gone:
            self.newest[whose] = max(one.began for one in listed if one.ledger == whose)
        begun = [one.began for one in listed if one.name == restored]
        self.logs_since = {
            whose: min([since, *begun])
            for whose, mine in whole.items()
            if (since := archive.needed_since([one.began for one in mine if not one.damaged], reach)) is not None
        }

    def whose(self, record: Record) -> str:
        """The id of the ledger of the datacenter that stored it. Earlier releases did not tell."""
        return record.tags.get("ledger") or self.ledger

    def alone(self, records: Sequence[Record]) -> bool:
        """Whether nobody else uses a repository: another datacenter of the same names has stored nothing there since
        this one made its first backup. One that this datacenter took the place of has older ones."""
        return not self.living(records)

    def living(self, records: Sequence[Record]) -> set[str]:
        """The ids of the others' ledgers."""
        return {
            whose for record in records if (whose := self.whose(record)) != self.ledger and record.time > self.began
        }

    def others(self, records: Sequence[Record]) -> set[str]:
        """The hosts whose repositories only another datacenter uses, which lives: it purges them itself, and its restic
        may be at work there.

        :param records: those of the catalogue.
        """
        living = self.living(records) - self.gone
        ours = {record.host for record in records if self.whose(record) not in living}
        return {record.host for record in records} - ours

    def going(self, records: Sequence[Record]) -> list[Record]:
        """What of a repository goes."""
        logs = [
            log
            for whose in sorted({self.whose(record) for record in records})
            for log in archive.superfluous(
                [record for record in records if self.whose(record) == whose],
                # Commit logs of a datacenter without a backup bring nothing back.
                self.logs_since.get(whose, self.logs_since.get(self.ledger)),
            )
        ]
        return [*logs, *(record for record in records if record.kind != archive.LOG and self.goes(record))]

    def goes(self, record: Record) -> bool:
        """Whether a snapshot of a backup goes: with a backup that is removed, or because it belongs to none, and is
        older than the newest complete one of its datacenter. Without a complete one nothing that belongs to none is
        touched."""
        if record.backup in self.kept:
            return False
        return record.backup in self.removed or record.time < self.newest.get(self.whose(record), 0.0)


class Purge:
    """One run."""

    def __init__(
        self,
        kube: Kube,
        store: Catalogue,
        found: Objects,
        plan: spec.BackupPlan,
        params: Mapping[str, Any],
        ctx: Context,
    ) -> None:
        self.kube = kube
        self.store = store
        self.found = found
        self.plan = plan
        self.params = params
        self.ctx = ctx
        self.lock = Lock(kube, catalogue.lock_name(params["cluster"], params["datacenter"]), ctx.holder)
        self.ledger = ledger_of(found, params["cluster"], params["datacenter"])
        # Repositories of which locks are left alone.
        self.shared: set[str] = set()

    def decide(self) -> Decision:
        """What stays by the rules, or all but the ones that were named."""
        where = (self.params["cluster"], self.params["datacenter"])
        running, restored = catalogue.running(self.kube, *where), self.restored(where)
        now = self.kube.server_time()
        listed = self.store.listed(running, now)
        own = self.ledger.id if self.ledger else ""
        self.ctx.warnings.extend(backups.of_namesakes(backups.namesakes(listed, own), *where))
        reasons = backups.kept(listed, Keep(**self.plan.keep), own)
        reasons |= {one.name: also(reasons.get(one.name), RESTORED) for one in listed if one.name == restored}
        if self.params["names"]:
            reasons = self.all_but_named(listed, reasons)
        reach = now - DAY * self.plan.point_in_time_days
        return Decision(listed, {**reasons, **unfinished(running)}, reach, restored, own, self.params["names"])

    def restored(self, where: tuple[str, str]) -> str:
        """The backup of this datacenter that its unfinished restore reads again; empty where it reads none."""
        plan = catalogue.being_restored(self.kube, *where)
        return plan.backup if plan is not None and (plan.cluster, plan.datacenter) == where else ""

    def all_but_named(self, listed: Sequence[Listed], reasons: Mapping[str, str]) -> dict[str, str]:
        """A person names what goes; what is the last of its kind stays all the same.

        :raises CassopsError: there is no backup of that name, or it has to stay.
        """
        names = set(self.params["names"])
        errors = [f"names: there is no backup {name}" for name in sorted(names - {one.name for one in listed})]
        for name in sorted(names & set(reasons)):
            told = reasons[name].split(", ")
            final = (RESTORED,) if backups.ANOTHERS in told else (*backups.NEVER_REMOVED, RESTORED)
            last = [why for why in told if why in final]
            if last:
                errors.append(f"names: backup {name} stays: {', '.join(last)}")
        if errors:
            raise Failed("; ".join(errors), {}, errors)
        return {one.name: reasons.get(one.name, "it was not named") for one in listed if one.name not in names}

    def predict(self) -> dict[str, Any]:
        """What would go; nothing is written.

        The repositories are asked too: of commit logs, and of what belongs to no backup, the catalogue knows nothing.
        """
        decision = self.decide()
        records = self.store.records()
        repositories = self.repositories(records, decision)
        going = [decision.going(records), *together(lambda one: self.going(one, decision), repositories)]
        return self.result(decision, [record for each in going for record in each])

    def run(self) -> dict[str, Any]:
        decision = self.decide()
        for name in decision.removed:
            self.ctx.progress(f"backup {name} is removed", important=True)
        records = self.store.records()
        going = decision.going(records)
        self.note_shared(self.store.restic, records, decision)
        self.forget(self.store.restic, [record for record in going if record.kind == backups.BACKUP])
        repositories = self.repositories(records, decision)
        answers = together(lambda restic: attempt(lambda: self.clean(restic, decision)), repositories)
        pairs = list(zip(repositories, answers, strict=True))
        # One that cannot be cleaned must not keep the bytes of the others.
        failures = {restic.repository: str(answer) for restic, answer in pairs if isinstance(answer, CassopsError)}
        cleaned = [answer for answer in answers if not isinstance(answer, CassopsError)]
        failures |= self.prune([restic for restic in repositories if restic.repository not in failures])
        if not failures:
            self.forget(self.store.restic, [record for record in going if record.kind != backups.BACKUP])
            failures = self.prune([self.store.restic])
        result = self.result(decision, [*going, *(record for each in cleaned for record in each)])
        if failures:
            told = [f"{where}: {why}" for where, why in failures.items()]
            raise Failed("; ".join(told), result, told)
        return result

    def repositories(self, records: Sequence[Record], decision: Decision) -> list[Restic]:
        """Those of all nodes that are or were; each run in its own node's pod where there is one."""
        able = set(catalogue.pods_with_restic(self.found))
        nodes = self.ledger.nodes.values() if self.ledger else ()
        living = {node.host_id: node.pod for node in nodes if node.host_id}
        hosts = {record.host for record in records if record.host} - decision.others(records)
        every = sorted(hosts | {host for host, pod in living.items() if pod in able})
        return [self.store.repository(host, pod if (pod := living.get(host, "")) in able else "") for host in every]

    def note_shared(self, restic: Restic, records: Sequence[Record], decision: Decision) -> None:
        if not decision.alone(records):
            self.shared.add(restic.repository)

    def going(self, restic: Restic, decision: Decision) -> list[Record]:
        """What of one repository goes."""
        try:
            records = restic.records(float(self.params["wait_timeout"]))
        except NoRepository:
            return []
        self.note_shared(restic, records, decision)
        return decision.going(records)

    def clean(self, restic: Restic, decision: Decision) -> list[Record]:
        """Forget in one repository what goes."""
        going = self.going(restic, decision)
        self.forget(restic, going)
        return going

    def forget(self, restic: Restic, records: Collection[Record]) -> None:
        """In parts, the oldest commit logs first: a run that is killed leaves no hole in them."""
        ids = [record.id for record in records]
        for begin in range(0, len(ids), FORGOTTEN_AT_ONCE):
            self.lock.check()
            if restic.repository not in self.shared:
                restic.unlock()
            try:
                restic.forget(ids[begin : begin + FORGOTTEN_AT_ONCE], float(self.params["wait_timeout"]))
            except ResticError as error:
                if error.rc != LOCKED or restic.repository not in self.shared:
                    raise
                raise ResticError(f"{error}. {NOT_UNLOCKED}", error.rc) from error

    def prune(self, repositories: Sequence[Restic]) -> dict[str, str]:
        """Give the bytes back that nothing needs, also those that a killed run left; repository -> why it failed."""
        limit = [] if not self.plan.bandwidth else ["--limit-upload", str(max(1, self.plan.bandwidth // 1024))]
        answers = list(zip(repositories, together(lambda restic: attempt(restic.exists), repositories), strict=True))
        failures = {restic.repository: str(answer) for restic, answer in answers if isinstance(answer, CassopsError)}
        waiting = [restic for restic, answer in answers if answer is True]
        while waiting:
            # One job a pod: repositories of nodes that are gone are done one after the other.
            now = list({restic.pod: restic for restic in reversed(waiting)}.values())
            waiting = [restic for restic in waiting if restic not in now]
            works = [
                Work(
                    restic.pod,
                    "",
                    restic,
                    JOB,
                    ("prune", *limit),
                    DATA,
                    unlocks=restic.repository not in self.shared,
                )
                for restic in now
            ]
            together(lambda work: work.restic.end(JOB), works)
            jobs = Jobs(
                works,
                self.ctx,
                verb="purge by",
                parallel="all",
                finished=lambda work, _job: work.restic.end(JOB),
                beat=self.lock.check,
                limit=float(self.params["wait_timeout"]),
            )
            by_pod = {work.pod: work.restic.repository for work in works}
            failures |= {by_pod[pod]: why for pod, why in jobs.run().items()}
        return failures

    def result(self, decision: Decision, going: Collection[Record]) -> dict[str, Any]:
        """:param going: all that goes, of every repository."""
        return {
            "changed": bool(going),
            "removed": decision.removed,
            "kept": decision.kept,
            "report": text(decision, going),
        }


def also(reason: str | None, another: str) -> str:
    return f"{reason}, {another}" if reason else another


def unfinished(running: Manifest | None) -> dict[str, str]:
    """A backup that runs, or whose run died: the next backup takes it up or ends it."""
    return {} if running is None else {running.backup: "it is not finished"}


def text(decision: Decision, going: Collection[Record]) -> list[str]:
    """Lines for people."""
    rows = [(name, "stays", why) for name, why in decision.kept.items()]
    rows += [(name, "goes", "no rule keeps it") for name in decision.removed]
    lines = report.table(("BACKUP", "", "WHY"), sorted(rows)) if rows else ["there is no backup"]
    logs = sum(record.kind == archive.LOG for record in going)
    return lines + ([f"{logs} pieces of commit logs go: no point in time that is kept needs them"] if logs else [])
