# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""StatefulSets: one a rack, pinned to its zone; nothing restarts when they are applied. Pure."""

from __future__ import annotations

from typing import Any

from .. import pod_template, quantity
from ..ledger import ledger_name
from ..spec import Datacenter, Rack
from . import archive, backup
from .common import (
    CQL_PORT,
    HOSTNAME_LABEL,
    INTERNODE_PORT,
    INTERNODE_TLS_PORT,
    VERSION_LABEL,
    ZONE_LABEL,
    Object,
    headless_service_name,
    labels,
)

USER = 999
"""User and group `cassandra` in the official image."""

NEVER = 2**31 - 1
"""The largest number of failures that a probe can be told to bear: of one a second 68 years."""

GRACE = 300
"""Seconds that a pod gets to end."""

MAX_NEW_GENERATION = 2 * quantity.GIB


def stateful_set(datacenter: Datacenter, rack: Rack, config_map_name: str, partition: int | None = None) -> Object:
    """One rack.

    `Parallel`, because a new datacenter starts all its nodes at once. The partition is the number of nodes, so a pod
    that comes back by itself comes back at its old revision; a rollout lowers it.

    :param config_map_name: the configuration that this revision uses.
    :param partition: for a rollout; default is the rack's number of nodes.
    """
    rack_labels = labels(datacenter, rack.name)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": datacenter.rack_name(rack), "labels": rack_labels},
        "spec": {
            "serviceName": headless_service_name(datacenter),
            "replicas": rack.nodes,
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": 10,
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"partition": rack.nodes if partition is None else partition},
            },
            # A volume is deleted by a person's decision, never because a pod went.
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "selector": {"matchLabels": rack_labels},
            "template": pod_template.merge(_template(datacenter, rack, config_map_name), datacenter.pod_template),
            "volumeClaimTemplates": [_claim(datacenter, rack_labels)],
        },
    }


def _template(datacenter: Datacenter, rack: Rack, config_map_name: str) -> Object:
    spec: Object = {
        # Long enough to send clients away (see lifecycle), to tell the others, and to flush what is in memory to a slow
        # disk; Cassandra does the latter on TERM (StorageService's shutdown hook, 4.0 to 5.0). What is not flushed in
        # time is replayed from the commit log.
        "terminationGracePeriodSeconds": GRACE,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            # Changing the owner of every file takes minutes on a full volume.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": _affinity(datacenter),
        "containers": [
            _container(datacenter, rack),
            *([backup.container(datacenter, datacenter.backup)] if datacenter.backup else []),
        ],
        "volumes": _volumes(datacenter, config_map_name),
    }
    if rack.zone:
        spec["nodeSelector"] = {ZONE_LABEL: rack.zone}
    # The version belongs to the revision: it tells what a pod runs, whatever the image is called.
    pod_labels = {**labels(datacenter, rack.name), VERSION_LABEL: datacenter.version}
    return {"metadata": {"labels": pod_labels}, "spec": spec}


def _affinity(datacenter: Datacenter) -> Object:
    """Nodes of a datacenter stay on different workers: two that share one fail together."""
    term = {"labelSelector": {"matchLabels": labels(datacenter)}, "topologyKey": HOSTNAME_LABEL}
    if datacenter.allow_shared_workers:
        wish = [{"weight": 100, "podAffinityTerm": term}]
        return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": wish}}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _container(datacenter: Datacenter, rack: Rack) -> Object:
    return {
        "name": pod_template.CASSANDRA,
        "image": datacenter.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "/cassops/config/start.sh"],
        "env": _environment(datacenter, rack),
        "ports": [
            {"name": "internode", "containerPort": INTERNODE_PORT, "protocol": "TCP"},
            {"name": "internode-tls", "containerPort": INTERNODE_TLS_PORT, "protocol": "TCP"},
            {"name": "cql", "containerPort": CQL_PORT, "protocol": "TCP"},
        ],
        # No liveness probe: replaying a long commit log or joining takes as long as it takes, and a probe that kills
        # the process in the middle makes it begin again. Cassandra ends itself when it cannot go on (policies "die").
        # For the same reason the startup probe never gives up. It is there because it may ask each second: connecting
        # costs the node nothing, and the kubelet asks for readiness as soon as it succeeds (kubelet/prober, 1.28).
        "startupProbe": {
            "tcpSocket": {"port": "cql"},
            "periodSeconds": 1,
            "timeoutSeconds": 1,
            "failureThreshold": NEVER,
        },
        "readinessProbe": {
            "exec": {"command": ["sh", "/cassops/config/probe.sh"]},
            "periodSeconds": 5,
            "timeoutSeconds": 5,
            "failureThreshold": 2,
        },
        # Whoever ends the pod (a rollout, whoever drains its worker, an autoscaler), its clients are sent away first.
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "/cassops/config/stop.sh"]}}},
        "resources": {kind: dict(amounts) for kind, amounts in datacenter.resources.items()},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/cassandra"},
            {"name": "config", "mountPath": "/cassops/config", "readOnly": True},
            # The whole folder, not a subPath: only so does it follow the ConfigMap while the pod runs.
            {"name": "ledger", "mountPath": "/cassops/ledger", "readOnly": True},
            {"name": "conf", "mountPath": "/cassops/conf"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "logs", "mountPath": "/var/log/cassandra"},
            {"name": "home", "mountPath": "/home/cassandra"},
        ],
    }


def _environment(datacenter: Datacenter, rack: Rack) -> list[Object]:
    values = {
        "CASSANDRA_CONF": "/cassops/conf",
        "CASSOPS_ADDRESS": datacenter.address,
        "CASSOPS_CLUSTER": datacenter.cluster,
        "CASSOPS_DATACENTER": datacenter.name,
        "CASSOPS_RACK": rack.name,
        "CASSOPS_VERSION": datacenter.version,
        # nodetool and cqlsh keep their history there.
        "HOME": "/home/cassandra",
        "MAX_HEAP_SIZE": datacenter.heap,
    }
    if datacenter.release < (5, 0, 0):
        # The launcher of 4.x uses CMS and wants both sizes or none; 5.0 uses G1, which sizes its own generations.
        values["HEAP_NEWSIZE"] = _new_generation(datacenter.heap)
    if datacenter.backup and datacenter.backup.point_in_time:
        values["CASSOPS_ARCHIVE"] = str(archive.limit(datacenter.storage_size))
    if datacenter.jvm_options:
        values["JVM_EXTRA_OPTS"] = " ".join(datacenter.jvm_options)
    fields = {"POD_IP": "status.podIP", "POD_NAME": "metadata.name"}
    return [
        *({"name": name, "value": value} for name, value in sorted(values.items())),
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in sorted(fields.items())),
    ]


def _new_generation(heap: str) -> str:
    """A quarter of the heap, as Cassandra's own calculation has it, up to a size that CMS still copies quickly."""
    return quantity.jvm_size(min(quantity.jvm_bytes(heap) // 4, MAX_NEW_GENERATION))


def _volumes(datacenter: Datacenter, config_map_name: str) -> list[Object]:
    empty: list[Object] = [{"name": name, "emptyDir": {}} for name in ("conf", "tmp", "logs", "home")]
    return [
        {"name": "config", "configMap": {"name": config_map_name}},
        {"name": "ledger", "configMap": {"name": ledger_name(datacenter.cluster, datacenter.name)}},
        *empty,
        *(backup.volumes(datacenter.backup) if datacenter.backup else []),
    ]


def _claim(datacenter: Datacenter, rack_labels: dict[str, str]) -> Object:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": datacenter.storage_size}},
    }
    if datacenter.storage_class is not None:
        spec["storageClassName"] = datacenter.storage_class
    return {"metadata": {"name": "data", "labels": rack_labels}, "spec": spec}
