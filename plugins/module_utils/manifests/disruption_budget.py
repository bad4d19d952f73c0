# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The PodDisruptionBudget: whoever drains workers takes one node of the datacenter at a time. Pure."""

from __future__ import annotations

from ..spec import Datacenter
from .common import Object, labels


def pod_disruption_budget(datacenter: Datacenter) -> Object:
    """At most one node of the datacenter down by eviction.

    A node that is down already (held, say) must not keep its worker from being drained, while all others are ready. Not
    ready is not down, though: beside a node whose probe is late, or whose other container ended, nobody else may go.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": datacenter.prefix, "labels": labels(datacenter)},
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": labels(datacenter)},
            "unhealthyPodEvictionPolicy": "IfHealthyBudget",
        },
    }
