# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ConfigMaps: the configuration of one revision, immutable and named by its content, and the ledger. Pure."""

from __future__ import annotations

import hashlib
import json

from ..ledger import Ledger, ledger_name
from ..spec import Datacenter
from .archive import ARCHIVE
from .cassandra_yaml import cassandra_yaml
from .common import Object, labels, labels_of
from .scripts import LOGBACK, PROBE, START, STOP


def config_map(datacenter: Datacenter, ledger: Ledger) -> Object:
    """What a pod's configuration is made of.

    The name ends with a hash of the content, and the pod template names it: so a revision of a StatefulSet pins image
    and configuration, and a pod that restarts in the middle of an upgrade gets the configuration that it had.
    """
    data = {
        "cassandra.yaml": cassandra_yaml(datacenter, ledger),
        "logback.xml": LOGBACK,
        "probe.sh": PROBE,
        "start.sh": START,
        "stop.sh": STOP,
    }
    if datacenter.backup and datacenter.backup.point_in_time:
        data["archive.sh"] = ARCHIVE
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{datacenter.prefix}-config-{_hash(data)}", "labels": labels(datacenter)},
        "immutable": True,
        "data": data,
    }


def ledger_config_map(ledger: Ledger) -> Object:
    """The ledger as a ConfigMap."""
    names = ledger.cluster, ledger.datacenter
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": ledger_name(*names), "labels": labels_of(*names)},
        "data": ledger.to_data(),
    }


def _hash(data: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:10]
