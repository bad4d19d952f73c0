# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status of a datacenter, read only: one LIST a kind, then CQL to every observer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import learning, report
from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..ledger import PHASE_RUNNING
from ..observe import ALL_KINDS, NEXT_PASSWORD, Credentials, Objects, attempt, ledger_of, objects, view
from ..options import DATACENTER, KUBERNETES, QUERY
from ..query import select
from ..view import View
from . import departed, repairing, superuser, unfinished
from .cluster import Place

ARGUMENT_SPEC: Mapping[str, Any] = {
    **KUBERNETES,
    **DATACENTER,
    **QUERY,
    "superuser_secret": {"type": "str", "no_log": False},
    "show": {"type": "bool", "default": False},
    "late_repairs": {"type": "bool", "default": True},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(datacenter_info). See its documentation for parameters and results."""
    kube = ctx.kube(params)
    cluster, datacenter = params["cluster"], params["datacenter"]
    found = objects(kube, cluster, datacenter, ALL_KINDS)
    if not found.all("StatefulSet") and not found.all("ConfigMap"):
        raise CassopsError(
            f"namespace {kube.namespace} has no datacenter {datacenter} of cluster {cluster}; deploy it first"
        )
    login, of_login = login_of(kube, cluster, params.get("superuser_secret"))
    seen = view(kube, found, cluster, datacenter, login)
    told = told_of(seen, found, of_login)
    if params["late_repairs"]:
        told["problems"] += late_repairs(kube, seen, found, login)
    lines = report.text(told)
    if params["show"]:
        # At once: other hosts show theirs at the same time.
        ctx.display("\n".join(lines))
    result = {"changed": False, "datacenter": told, "report": lines}
    if params["query"] is not None:
        result["query"] = select(params["query"], told)
    return result


def facts(kube: Kube, found: Objects, cluster: str, datacenter: str, superuser_secret: str | None) -> dict[str, Any]:
    """What the nodes say of the datacenter; without the superuser's Secret, what Kubernetes alone knows.

    :param superuser_secret: name of the Secret; None is the cluster's own.
    :raises CassopsError: the Secret has no login, or Kubernetes refuses.
    """
    login, of_login = login_of(kube, cluster, superuser_secret)
    return told_of(view(kube, found, cluster, datacenter, login), found, of_login)


def login_of(kube: Kube, cluster: str, superuser_secret: str | None) -> tuple[Credentials | None, list[dict[str, str]]]:
    """The superuser's login, and what there is to tell of its Secret. Raises as L(facts) does."""
    name = superuser_secret or f"{cluster}-superuser"
    secret = kube.get("Secret", name)
    if secret is None:
        return None, []
    problem = f"Secret {name} has a {NEXT_PASSWORD} beside the one in force"
    advice = "run the playbook rotate_superuser, which puts it in force"
    told = [{"problem": problem, "advice": advice}] if (secret.get("data") or {}).get(NEXT_PASSWORD) else []
    return superuser.credentials(secret, name, kube), told


def told_of(seen: View, found: Objects, of_login: list[dict[str, str]]) -> dict[str, Any]:
    """:param of_login: problems of the superuser's Secret."""
    told = report.facts(seen)
    begun = attempt(lambda: [*unfinished.problems(found, seen.cluster, seen.datacenter), *unlearned(seen, found)])
    if isinstance(begun, CassopsError):
        # Somebody edited it, which must not hide everything else.
        begun = [{"problem": str(begun), "advice": "see that ConfigMap"}]
    return {**told, "problems": [*begun, *unfinished.rebuild(found, seen), *of_login, *told["problems"]]}


def unlearned(seen: View, found: Objects) -> list[dict[str, str]]:
    """What the ledger does not know of the tables. :raises LedgerError: it cannot be read."""
    ledger = ledger_of(found, seen.cluster, seen.datacenter)
    return learning.problems(ledger, seen) if ledger is not None and ledger.phase == PHASE_RUNNING else []


def late_repairs(kube: Kube, seen: View, found: Objects, login: Credentials | None) -> list[dict[str, str]]:
    """What one node has on record tells it for all; a few reads of its tables. Another one is asked where it cannot."""
    if login is None or not seen.observations:
        return []
    place = Place(kube, seen.cluster, seen.datacenter, login)
    errors = []
    for pod in sorted(seen.observations)[:2]:
        record = attempt(lambda pod=pod: repairing.record(place, pod))  # type: ignore[misc]
        if not isinstance(record, CassopsError):
            return repairing.late(seen, record, kube.server_time(), departed.since(place, found))
        errors.append(str(record))
    problem = f"whether repairs are late is not known: {errors[0]}"
    return [{"problem": problem, "advice": "see why the node does not tell; its log may say more"}]
