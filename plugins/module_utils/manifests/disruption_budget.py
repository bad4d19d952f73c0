# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The PodDisruptionBudget: whoever drains workers takes one node of the datacenter at a time. Pure."""

from __future__ import annotations

from .common import Object, labels_of


def pod_disruption_budget(cluster: str, datacenter: str, nodes: int) -> Object:
    """At most one node of the datacenter down, however it went down.

    A node that is down already (held, say) must not keep its worker from being drained, while all others are ready. Not
    ready is not down, though: beside a node whose probe is late, or whose other container ended, nobody else may go.

    A number that has to stay, and not one that may go (C(maxUnavailable)): of that Kubernetes counts from the pods that
    there are (C(getExpectedScale) of its disruption controller), so in a rack of one node, whose pod is away and cannot
    be made again, it would forget that one and let the next go.

    :param nodes: that the ledger knows. It is raised before a node joins, and lowered after one has left.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": f"{cluster}-{datacenter}", "labels": labels_of(cluster, datacenter)},
        "spec": {
            "minAvailable": max(0, nodes - 1),
            "selector": {"matchLabels": labels_of(cluster, datacenter)},
            "unhealthyPodEvictionPolicy": "IfHealthyBudget",
        },
    }
