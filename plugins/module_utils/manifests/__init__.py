# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired datacenter as Kubernetes objects. Pure: one file a kind."""

from __future__ import annotations

from collections.abc import Mapping

from ..ledger import Ledger
from ..spec import Datacenter
from .common import Object
from .compare import applied_hash, differences, with_applied_annotation
from .config_map import config_map, ledger_config_map
from .disruption_budget import pod_disruption_budget
from .schedule import cron_job
from .service import client_service, headless_service, node_service, services
from .stateful_set import stateful_set

__all__ = [
    "Object",
    "applied_hash",
    "build",
    "client_service",
    "config_map",
    "cron_job",
    "differences",
    "headless_service",
    "ledger_config_map",
    "node_service",
    "pod_disruption_budget",
    "services",
    "stateful_set",
    "with_applied_annotation",
]


def build(datacenter: Datacenter, ledger: Ledger, partitions: Mapping[str, int] | None = None) -> list[Object]:
    """Every object of the datacenter but the ledger, the Secret and the lock, in the order to apply them.

    :param ledger: gives the addresses that the nodes' Services keep, and the version that the datacenter was born with.
    :param partitions: by rack name, the StatefulSet's partition; default is the rack's number of nodes, so that
        applying never restarts a pod.
    """
    config = config_map(datacenter, ledger)
    name = str(config["metadata"]["name"])
    racks = (stateful_set(datacenter, rack, name, (partitions or {}).get(rack.name)) for rack in datacenter.racks)
    scheduled = [cron_job(datacenter, work, plan) for work, plan in datacenter.scheduled.items()]
    # The inventory may want more nodes, or fewer; playbook scale brings them.
    budget = pod_disruption_budget(datacenter.cluster, datacenter.name, len(ledger.nodes) or len(datacenter.nodes()))
    return [config, *services(datacenter, ledger), budget, *racks, *scheduled]
