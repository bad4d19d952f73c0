# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services: a stable address for each node, DNS names for the pods, and one entrance for clients. Pure."""

from __future__ import annotations

from ..ledger import Ledger
from ..spec import Datacenter, PlannedNode
from .common import (
    CQL_PORT,
    INTERNODE_PORT,
    INTERNODE_TLS_PORT,
    POD_NAME_LABEL,
    Object,
    headless_service_name,
    labels,
    port,
)


def services(datacenter: Datacenter, ledger: Ledger) -> list[Object]:
    """All Services of the datacenter. With `address: pod` a node's address is its pod's, and it has no Service."""
    nodes = datacenter.nodes() if datacenter.address == "service" else ()
    return [
        headless_service(datacenter),
        client_service(datacenter),
        *(node_service(datacenter, node, ledger.address(node.pod)) for node in nodes),
    ]


def node_service(datacenter: Datacenter, node: PlannedNode, address: str | None) -> Object:
    """The Service that is a node's address for life.

    Nodes talk through it before they are ready (publishNotReadyAddresses): a node joins the ring first.

    :param address: the address that the node had; a deleted Service is made again with it. None = any free one.
    """
    spec: Object = {
        "type": "ClusterIP",
        "publishNotReadyAddresses": True,
        "selector": {POD_NAME_LABEL: node.pod},
        "ports": [
            port("internode", INTERNODE_PORT),
            port("internode-tls", INTERNODE_TLS_PORT),
            port("cql", CQL_PORT),
        ],
    }
    if address:
        spec["clusterIP"] = address
    return _service(node.pod, labels(datacenter, node.rack), spec)


def headless_service(datacenter: Datacenter) -> Object:
    """The Service that the StatefulSets name: `<pod>.<prefix>-nodes` resolves to the pod, ready or not."""
    spec = {
        "type": "ClusterIP",
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": labels(datacenter),
        "ports": [port("internode", INTERNODE_PORT), port("cql", CQL_PORT)],
    }
    return _service(headless_service_name(datacenter), labels(datacenter), spec)


def client_service(datacenter: Datacenter) -> Object:
    """The Service that applications connect to; only ready nodes, which are those that listen for CQL."""
    spec = {"type": "ClusterIP", "selector": labels(datacenter), "ports": [port("cql", CQL_PORT)]}
    return _service(datacenter.prefix, labels(datacenter), spec)


def _service(name: str, service_labels: dict[str, str], spec: Object) -> Object:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": service_labels}, "spec": spec}
