# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status of a datacenter, read only: one LIST a kind, then CQL to every observer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import report
from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..observe import ALL_KINDS, NEXT_PASSWORD, Objects, attempt, objects, value_of, view
from ..options import DATACENTER, KUBERNETES, QUERY
from ..query import select
from . import superuser, unfinished

ARGUMENT_SPEC: Mapping[str, Any] = {
    **KUBERNETES,
    **DATACENTER,
    **QUERY,
    "superuser_secret": {"type": "str", "no_log": False},
    "show": {"type": "bool", "default": False},
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
    told = facts(kube, found, cluster, datacenter, params.get("superuser_secret"))
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
    name = superuser_secret or f"{cluster}-superuser"
    secret = kube.get("Secret", name)
    credentials = superuser.credentials(secret, name, kube) if secret else None
    told = report.facts(view(kube, found, cluster, datacenter, credentials))
    begun = attempt(lambda: unfinished.problems(found, cluster, datacenter))
    if isinstance(begun, CassopsError):
        # Somebody edited it, which must not hide everything else.
        begun = [{"problem": str(begun), "advice": "see that ConfigMap"}]
    if value_of(secret or {}, NEXT_PASSWORD):
        problem = f"Secret {name} has a {NEXT_PASSWORD} beside the one in force"
        begun.append({"problem": problem, "advice": "run the playbook rotate_superuser, which puts it in force"})
    return {**told, "problems": [*begun, *told["problems"]]}
