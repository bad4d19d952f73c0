# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was begun and is not finished: a run is at work on it, or has died. Most are ConfigMaps beside the ledger."""

from __future__ import annotations

from .. import decommissioning, gates, plan, rebuilding, renewal, restoring
from ..ledger import PHASE_LEFT, ledger_name
from ..observe import Objects, ledger_of
from ..report import utc
from ..view import View

AGAIN = "run the playbook {0} again with the options of that time, which finishes it"
ENDING = "cassops.kubernetes/volumes-end"
"""Annotation of the ledger's ConfigMap: its volumes are being deleted."""
DESTROYED = "the datacenter's volumes are being deleted, and the playbook destroy that does it did not come to its end"
DESTROY = "run it again with -e destroy_volumes=true, which finishes it"
DECOMMISSION = "run the playbook decommission again with the options of that time, which finishes it"
HAS_LEFT = "the datacenter has left its cluster, and its volumes are kept"
DELETE = "run the playbook decommission with -e decommission_delete_volumes=true, which deletes what is left of it"


def problems(found: Objects, cluster: str, datacenter: str) -> list[dict[str, str]]:
    """Each with the playbook that finishes it, as C(report.problems) tells them.

    :raises LedgerError: one cannot be read.
    """
    return [*decommission(found, cluster, datacenter), *operations(found, cluster, datacenter)]


def operations(found: Objects, cluster: str, datacenter: str) -> list[dict[str, str]]:
    """L(problems) of a datacenter that stays in its cluster."""
    told: list[dict[str, str]] = []
    if destruction(found, cluster, datacenter):
        told.append({"problem": DESTROYED, "advice": DESTROY})
    restore = restore_of(found, cluster, datacenter)
    if restore is not None:
        told.append({"problem": f"{words(restore)} is not finished", "advice": way_on(restore)})
    item = found.get("ConfigMap", plan.plan_name(cluster, datacenter))
    if item is not None:
        begun = plan.from_config_map(item)
        advice = AGAIN.format("scale") if begun.wished else "run the playbook heal, which finishes it"
        problem = f"the replacement of {begun.pod} that began at {utc(begun.began)} is not finished"
        told.append({"problem": problem, "advice": advice})
    item = found.get("ConfigMap", renewal.copy_name(cluster, datacenter))
    if item is not None:
        problem = f"StatefulSet {item['data']['name']}, which asks for other volumes now, is not made again yet"
        told.append({"problem": problem, "advice": AGAIN.format("scale")})
    return told


def rebuild(found: Objects, view: View) -> list[dict[str, str]]:
    """Keyspaces whose rows some nodes have yet to get.

    :param view: where no node was asked, what is noted counts as it is.
    """
    item = found.get("ConfigMap", ledger_name(view.cluster, view.datacenter)) or {"metadata": {}}
    noted = rebuilding.notes((item["metadata"].get("annotations") or {}).get(rebuilding.REBUILT))
    names = rebuilding.unfinished(rebuilding.of_now(noted, view) if view.keyspaces else noted)
    if not names:
        return []
    return [
        {
            "problem": f"{gates.keyspaces_named(names)}: not all nodes of the datacenter have been given the rows yet",
            "advice": "run the playbook rebuild again, which finishes it; until then clients stay in the other one",
        }
    ]


def decommission(found: Objects, cluster: str, datacenter: str) -> list[dict[str, str]]:
    """That it is on its way out of its cluster, or has left. As L(problems) tells it, and raises."""
    if has_left(found, cluster, datacenter):
        return [{"problem": HAS_LEFT, "advice": DELETE}]
    item = found.get("ConfigMap", ledger_name(cluster, datacenter)) or {"metadata": {}}
    note = decommissioning.note((item["metadata"].get("annotations") or {}).get(decommissioning.DECOMMISSION))
    if note is None:
        return []
    step = "its nodes leave" if note.step == decommissioning.LEAVING else "no node has left yet"
    problem = f"the datacenter is on its way out of its cluster since {utc(note.began)}, and {step}"
    return [{"problem": problem, "advice": DECOMMISSION}]


def has_left(found: Objects, cluster: str, datacenter: str) -> bool:
    """Whether all its nodes have left the cluster for good. Raises as L(problems) does."""
    ledger = ledger_of(found, cluster, datacenter)
    return ledger is not None and ledger.phase == PHASE_LEFT


def beside_decommission(found: Objects, cluster: str, datacenter: str, then: str) -> list[str]:
    """Why nothing may come to a datacenter that leaves, or has left.

    :param then: what may be after it, as in C(then deploy).
    :raises LedgerError: it cannot be read.
    """
    return [
        f"datacenter {datacenter}: {each['problem']}: {each['advice']}; then {then}"
        for each in decommission(found, cluster, datacenter)
    ]


def destruction(found: Objects, cluster: str, datacenter: str) -> bool:
    """Whether deleting its volumes was begun: nothing may be made of the ledger any more."""
    item = found.get("ConfigMap", ledger_name(cluster, datacenter))
    return item is not None and ENDING in (item["metadata"].get("annotations") or {})


def beside_restore(found: Objects, cluster: str, datacenter: str) -> list[str]:
    """Why no node may come or leave: the plan of a restore names nodes, and would be without an end.

    :raises LedgerError: it cannot be read.
    """
    restore = restore_of(found, cluster, datacenter)
    if restore is None:
        return []
    return [
        f"{words(restore)} is not finished, and it counts on the nodes that there are. Run the playbook restore again "
        "with the options of that time, which finishes it, or with restore_abandon, which gives it up where that is "
        "possible; then scale"
    ]


def half_restored(restore: restoring.Plan | None, then: str) -> list[str]:
    """Why rows cannot be taken for what they seem: while a restore changes them they are neither what was nor what is
    to be.

    :param then: what waits for its end, as in C(then back up).
    """
    if restore is None or restore.step == restoring.DOWNLOAD:
        return []
    return [
        f"datacenter {restore.datacenter}: {words(restore)} is not finished, and its rows are half restored. Where no "
        f"run is at work on it, {way_on(restore)}; then {then}"
    ]


def restore_of(found: Objects, cluster: str, datacenter: str) -> restoring.Plan | None:
    item = found.get("ConfigMap", restoring.plan_name(cluster, datacenter))
    return None if item is None else restoring.from_config_map(item)


def way_on(restore: restoring.Plan) -> str:
    if restore.step in (restoring.RETURN, restoring.RETURNED):
        confirm = f"-e restore_abandon=true -e restore_confirm={restore.datacenter}"
        return f"run the playbook restore with {confirm}, which finishes giving it up"
    return AGAIN.format("restore")


def words(restore: restoring.Plan) -> str:
    return f"the restore of backup {restore.backup} that began at {utc(restore.began)} (step {restore.step})"
