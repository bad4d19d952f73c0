# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backups that there are, as the catalogue and the datacenter tell; one of them with its nodes. Read only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import backups, report
from ..backups import Listed
from ..context import Context, Failed
from ..errors import CassopsError
from ..observe import ledger_of, objects
from ..options import DATACENTER, KUBERNETES, QUERY
from ..query import select
from ..restore_choice import is_of
from . import catalogue
from .backup import facts as facts_of_one
from .backup import text as text_of_one
from .catalogue import Catalogue

HOUR = 3600.0
MAX_AGE = "max_age"
# How many backups are named of those that do not count.
NAMED = 3

ARGUMENT_SPEC: Mapping[str, Any] = {
    **KUBERNETES,
    **DATACENTER,
    **catalogue.OPTIONS,
    **QUERY,
    "name": {"type": "str"},
    "tables": {"type": "list", "elements": "str"},
    MAX_AGE: {"type": "float"},
    "show": {"type": "bool", "default": False},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(backup_info). See its documentation for parameters and results."""
    kube = ctx.kube(params)
    where = (params["cluster"], params["datacenter"])
    found = objects(kube, *where, kinds=("Pod", "ConfigMap"))
    store = catalogue.opened(params, kube, found)
    ledger = ledger_of(found, *where)
    own = ledger.id if ledger else ""
    now = kube.server_time()
    running = catalogue.running(kube, *where)
    listed = store.listed(running, now)
    if own:
        ctx.warnings.extend(backups.of_namesakes(backups.namesakes(listed, own), *where))
    if params["tables"] is not None:
        listed = [one for one in listed if is_of(one.tables, params["tables"])]
    told: dict[str, Any] = {"backups": [facts(one, own) for one in listed], "backup": None}
    lines = text(listed, now, own) + [line for one in listed if one.damaged for line in found_in(store, one.name)]
    if params["name"]:
        manifest = running if running is not None and running.backup == params["name"] else None
        manifest = manifest or store.manifest(params["name"])
        told["backup"], lines = facts_of_one(manifest), text_of_one(manifest)
    if params["show"]:
        # At once: other hosts show theirs at the same time.
        ctx.display("\n".join(lines))
    result = {"changed": False, **told, "report": lines}
    if params["query"] is not None:
        result["query"] = select(params["query"], told)
    if params["max_age"] and (reason := too_old(listed, own, now, float(params["max_age"]))):
        raise Failed(f"datacenter {where[1]} of cluster {where[0]}: {reason}", result)
    return result


def too_old(listed: Sequence[Listed], ledger: str, now: float, hours: float, option: str = MAX_AGE) -> str:
    """Why the newest backup that the whole datacenter could go back to is no good news; empty where it is one.

    :param ledger: the id of the datacenter's; empty where it has none.
    :param option: that says so many hours; empty where none does, and such a backup is only wanted.
    """
    complete = [one for one in listed if one.state == backups.COMPLETE]
    counted = [one for one in complete if not uncounted(one, ledger)]
    newest = max(counted, key=lambda one: one.began, default=None)
    newer = f"one of the last {hours:g} hours"
    needed = f"needed is {newer} ({option})" if option else f"{newer} is wanted"
    if newest is None:
        return f"there is no complete backup of it, {needed}" + not_counted(complete, ledger, option)
    age = (now - newest.began) / HOUR
    if age <= hours:
        return ""
    passed = not_counted([one for one in complete if one.began > newest.began], ledger, option)
    return f"its newest complete backup, {newest.name}, began {age:.1f} hours ago, {needed}{passed}"


def uncounted(one: Listed, ledger: str) -> str:
    """Why the whole datacenter could not go back to a complete backup; empty where it could.

    :param ledger: the id of the datacenter's; empty where it has none.
    """
    if is_own(one, ledger) is False:
        return "of another datacenter"
    if one.damaged:
        return "damaged"
    return backups.limited(one)


def not_counted(passed: Sequence[Listed], ledger: str, option: str) -> str:
    """What is said of complete backups that were passed over, which would look like backups that failed.

    :param passed: the oldest first.
    :param option: see L(too_old).
    """
    reasons = {one.name: why for one in reversed(passed) if (why := uncounted(one, ledger))}
    if not reasons:
        return ""
    told = [f"{name} ({why})" for name, why in reasons.items()][:NAMED]
    more = f" and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
    said = f"; these do not count: {', '.join(told)}{more}"
    if any(why.startswith("without ") for why in reasons.values()):
        said += "; a whole datacenter cannot be made of one without some keyspaces: take exclude_keyspaces out"
        said += f", or watch without {option}" if option else ""
    return said


def is_own(one: Listed, ledger: str) -> bool | None:
    """Whether a backup is of the datacenter with this ledger; None: nobody knows, of an old one or without a ledger."""
    return one.is_of(ledger) if one.ledger and ledger else None


def facts(one: Listed, ledger: str) -> dict[str, Any]:
    """A backup in the list as results show it.

    :param ledger: the id of the datacenter's; empty where it has none.
    """
    return {
        "name": one.name,
        "state": one.state,
        "began": backups.moment(one.began),
        "finished": None if one.finished is None else backups.moment(one.finished),
        "nodes": one.nodes,
        "missing": list(one.missing),
        "size": one.size,
        "added": one.added,
        "tables": list(one.tables),
        "excluded": list(one.excluded),
        "verified": one.verified or None,
        "damaged": one.damaged,
        "own": is_own(one, ledger),
        "error": one.error,
    }


def text(listed: Sequence[Listed], now: float, ledger: str) -> list[str]:
    """The list as lines for people, the newest last: where the cursor is.

    :param ledger: the id of the datacenter's; empty where it has none.
    """
    if not listed:
        return ["there is no backup yet: the playbook backup makes one"]
    rows = [
        (
            one.name,
            "DAMAGED" if one.damaged else one.state,
            report.age(now - one.began),
            f"{one.nodes - len(one.missing)}/{one.nodes}",
            report.size(one.size),
            report.size(one.added),
            one.verified or None,
        )
        for one in listed
    ]
    lines = report.table(("BACKUP", "STATE", "AGE", "NODES", "SIZE", "NEW", "VERIFIED"), rows)
    lines += [f"{one.name}: {limits}" for one in listed if (limits := backups.limited(one))]
    if others := [one.name for one in listed if is_own(one, ledger) is False]:
        lines.append(f"of another datacenter of these names: {', '.join(others)}")
    # Of a backup that runs, the nodes that are not in yet are no fault.
    ended = [one for one in listed if one.state != backups.RUNNING and not one.error]
    lines += [f"{one.name}: {', '.join(one.missing)} is not in it" for one in ended if one.missing]
    return lines + [f"{one.name}: {one.error}" for one in listed if one.error]


def found_in(store: Catalogue, name: str) -> list[str]:
    """What the last verification found wrong in a backup. Where even that cannot be read, the list is still told."""
    try:
        return [f"{name}: {fault}" for fault in store.last_verification(name).faults]
    except CassopsError as error:
        return [f"{name}: what its last verification found cannot be read ({error}); run the playbook verify_backup"]
