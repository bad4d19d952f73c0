# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes a task is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import CassopsError
from ..kube import Kube
from ..kubeapi import Object
from ..observe import LABEL_RACK, labels


def pods(kube: Kube, params: Mapping[str, Any]) -> list[Object]:
    """The pods of the nodes that the options ``cluster``, ``datacenter``, ``racks`` and ``nodes`` select, by name.

    :raises CassopsError: there is no such datacenter, or a rack or node that was named is not in it.
    """
    cluster, datacenter = params["cluster"], params["datacenter"]
    found = [pod for pod in kube.list("Pod", labels=labels(cluster, datacenter)) if rack_of(pod)]
    if not found:
        raise CassopsError(
            f"Namespace {kube.namespace} has no nodes of datacenter {datacenter} of cluster {cluster}. "
            "Check the namespace, the names, and that the datacenter is deployed and not stopped."
        )
    racks, nodes = params.get("racks"), params.get("nodes")
    _all_there("rack", racks, [rack_of(pod) for pod in found])
    _all_there("node", nodes, [name_of(pod) for pod in found])
    chosen = [
        pod for pod in found if (racks is None or rack_of(pod) in racks) and (nodes is None or name_of(pod) in nodes)
    ]
    if not chosen:
        raise CassopsError("No node is selected: none of the nodes named is in the racks named.")
    return sorted(chosen, key=_order)


def name_of(pod: Mapping[str, Any]) -> str:
    """The name of a pod, which is that of its node."""
    return str(pod["metadata"]["name"])


def rack_of(pod: Mapping[str, Any]) -> str:
    """The rack of a node's pod, empty for any other pod."""
    return str(pod["metadata"].get("labels", {}).get(LABEL_RACK, ""))


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether Kubernetes takes the pod for ready, and it is not on its way out."""
    conditions = pod.get("status", {}).get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _all_there(what: str, wanted: Sequence[str] | None, there: Sequence[str]) -> None:
    absent = sorted(set(wanted or ()) - set(there))
    if absent:
        raise CassopsError(f"There is no {what} {', '.join(absent)}; there are {', '.join(sorted(set(there)))}.")


def _order(pod: Mapping[str, Any]) -> tuple[str, int]:
    """By rack and number: node 10 after node 9."""
    stem, _dash, number = name_of(pod).rpartition("-")
    return stem, int(number) if number.isdigit() else 0
