# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes of every datacenter of a namespace, read only: what the inventory plugin C(nodes) shows as hosts."""

from __future__ import annotations

from typing import Any

from .. import report
from ..kube import Kube
from ..observe import LABEL_CLUSTER, LABEL_DATACENTER, objects, together, view
from . import datacenter_info

OURS = {"app.kubernetes.io/managed-by": "cassops"}


def look(
    kube: Kube,
    cluster: str | None = None,
    datacenter: str | None = None,
    superuser_secret: str | None = None,
    *,
    ask: bool = True,
) -> list[dict[str, Any]]:
    """The facts of each datacenter, as the module C(datacenter_info) tells them, by cluster and name.

    :param cluster: only this cluster; None is every one in the namespace.
    :param datacenter: only datacenters of this name; None is every one.
    :param superuser_secret: name of the Secret with the login; None is each cluster's own.
    :param ask: ask the nodes too, not Kubernetes alone.
    :raises CassopsError: Kubernetes cannot be reached or refuses, or a Secret has no login.
    """
    wanted = [
        (its_cluster, name)
        for its_cluster, name in datacenters(kube)
        if cluster in (None, its_cluster) and datacenter in (None, name)
    ]

    def facts(one: tuple[str, str]) -> dict[str, Any]:
        found = objects(kube, *one)
        if ask:
            return datacenter_info.facts(kube, found, *one, superuser_secret)
        return report.facts(view(kube, found, *one, None))

    return together(facts, wanted)


def datacenters(kube: Kube) -> list[tuple[str, str]]:
    """Cluster and name of every datacenter of the namespace that has a StatefulSet; one that is destroyed has none."""
    found = (item["metadata"]["labels"] for item in kube.list("StatefulSet", labels=OURS))
    return sorted({(labels[LABEL_CLUSTER], labels[LABEL_DATACENTER]) for labels in found if LABEL_CLUSTER in labels})
