# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container beside Cassandra that has restic. It sleeps until a backup or a restore runs something in it. Pure."""

from __future__ import annotations

from ..spec import BackupPlan, Datacenter
from .archive import STORE
from .common import Object

NAME = "backup"
REPOSITORY = "CASSOPS_REPOSITORY"
"""Variable of the container: where it stores the commit log, the repositories of the datacenter's nodes below it."""
KEY_VOLUME = "backup-password"
STORE_VOLUME = "backup-credentials"
SPOOL_VOLUME = "backup-spool"
_HOME = "/cassops/backup"
# A shell that is process 1 ends on TERM only when it says so, and collects what detached jobs leave behind.
_IDLE = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"
ENVIRONMENT = r"""for file in /cassops/backup/credentials/*; do
    name=${file##*/}
    case $name in *[!A-Z0-9_]* | [0-9]*) continue ;; esac
    if [ -f "$file" ]; then export "$name=$(cat "$file")"; fi
done
export RESTIC_PASSWORD_FILE=/cassops/backup/password/password
export RESTIC_CACHE_DIR=/cassops/backup/spool/cache RESTIC_PROGRESS_FPS=0.5 TMPDIR=/cassops/backup/spool
export RESTIC_REPOSITORY="$1"
shift
"""
"""Shell that gives restic its secrets, and the repository that is the first argument."""
_ARCHIVE = f'restic_in() (\n{ENVIRONMENT}exec restic --retry-lock 5m "$@"\n)\n{STORE}'
# It asks for next to nothing, so that Cassandra goes first when the worker's processors are busy. restic keeps the
# index of its repository in memory: 1 GiB is enough for a few TiB a node.
_RESOURCES = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}


def container(datacenter: Datacenter, plan: BackupPlan) -> Object:
    """The container. It runs as Cassandra's user and has the whole data volume: a restore lays files into it.

    Where a point in time can be restored it stores the commit log; else it sleeps.
    """
    secrets = [KEY_VOLUME, *([STORE_VOLUME] if plan.credentials_secret else [])]
    return {
        "name": NAME,
        "image": plan.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _ARCHIVE if plan.point_in_time else _IDLE],
        "env": [
            {"name": "HOME", "value": f"{_HOME}/spool"},
            *(_archive_environment(datacenter, plan) if plan.point_in_time else ()),
        ],
        "resources": {kind: dict(amounts) for kind, amounts in _RESOURCES.items()},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/cassandra"},
            {"name": SPOOL_VOLUME, "mountPath": f"{_HOME}/spool"},
            *(
                {"name": name, "mountPath": f"{_HOME}/{name.removeprefix('backup-')}", "readOnly": True}
                for name in secrets
            ),
            # The node's host id is in it, which names its repository.
            *([{"name": "ledger", "mountPath": "/cassops/ledger", "readOnly": True}] if plan.point_in_time else ()),
        ],
    }


def _archive_environment(datacenter: Datacenter, plan: BackupPlan) -> list[Object]:
    return [
        {"name": REPOSITORY, "value": commit_log_store(plan.repository, datacenter.cluster, datacenter.name)},
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]


def commit_log_store(base: str, cluster: str, datacenter: str) -> str:
    """Where the nodes of a datacenter store their commit logs.

    :param base: the repository that the inventory names.
    """
    return f"{base.rstrip('/')}/{cluster}/{datacenter}"


def volumes(plan: BackupPlan) -> list[Object]:
    """Its volumes. A Secret that is missing must not keep Cassandra from starting: it is optional here, and a backup
    says that it is not there."""
    found: list[Object] = [{"name": SPOOL_VOLUME, "emptyDir": {}}, _secret(KEY_VOLUME, plan.password_secret)]
    return found + ([_secret(STORE_VOLUME, plan.credentials_secret)] if plan.credentials_secret else [])


def _secret(name: str, secret: str) -> Object:
    return {"name": name, "secret": {"secretName": secret, "defaultMode": 0o440, "optional": True}}
