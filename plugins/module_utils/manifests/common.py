# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, labels and ports that the objects share. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..spec import Datacenter

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

INTERNODE_PORT = 7000
INTERNODE_TLS_PORT = 7001
CQL_PORT = 9042

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
"""Kubernetes puts it on each pod of a StatefulSet; a node's Service selects its one pod by it."""
MANAGED: Mapping[str, str] = {"app.kubernetes.io/managed-by": "cassops"}
"""The label of all that the collection makes."""
VERSION_LABEL = "app.kubernetes.io/version"
ZONE_LABEL = "topology.kubernetes.io/zone"
HOSTNAME_LABEL = "kubernetes.io/hostname"
APPLIED_ANNOTATION = "cassops.kubernetes/applied"
"""Hash of the object as it was desired when it was last applied."""


def labels(datacenter: Datacenter, rack: str | None = None) -> dict[str, str]:
    """The labels of every object, which are the selectors too.

    :param rack: name of the rack, for what belongs to one rack.
    """
    common = labels_of(datacenter.cluster, datacenter.name)
    return common if rack is None else {**common, "cassops.kubernetes/rack": rack}


def labels_of(cluster: str, datacenter: str) -> dict[str, str]:
    """The labels of every object of a datacenter that is known by its names only."""
    return {
        "app.kubernetes.io/name": "cassandra",
        **MANAGED,
        "cassops.kubernetes/cluster": cluster,
        "cassops.kubernetes/datacenter": datacenter,
    }


def headless_service_name(datacenter: Datacenter) -> str:
    """Name of the headless Service, which gives the pods their DNS names."""
    return f"{datacenter.prefix}-nodes"


def port(name: str, number: int) -> Mapping[str, Any]:
    """A Service's TCP port."""
    return {"name": name, "port": number, "protocol": "TCP", "targetPort": number}
