# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container beside Cassandra that has restic. It sleeps until a backup or a restore runs something in it. Pure."""

from __future__ import annotations

from ..spec import BackupPlan
from .common import Object

NAME = "backup"
KEY_VOLUME = "backup-password"
STORE_VOLUME = "backup-credentials"
SPOOL_VOLUME = "backup-spool"
_HOME = "/cassops/backup"
# A shell that is process 1 ends on TERM only when it says so, and collects what detached jobs leave behind.
_IDLE = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"
# It asks for next to nothing, so that Cassandra goes first when the worker's processors are busy. restic keeps the
# index of its repository in memory: 1 GiB is enough for a few TiB a node.
_RESOURCES = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}


def container(plan: BackupPlan) -> Object:
    """The container. It runs as Cassandra's user and has the whole data volume: a restore lays files into it."""
    secrets = [KEY_VOLUME, *([STORE_VOLUME] if plan.credentials_secret else [])]
    return {
        "name": NAME,
        "image": plan.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _IDLE],
        "env": [{"name": "HOME", "value": f"{_HOME}/spool"}],
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
        ],
    }


def volumes(plan: BackupPlan) -> list[Object]:
    """Its volumes. A Secret that is missing must not keep Cassandra from starting: it is optional here, and a backup
    says that it is not there."""
    found: list[Object] = [{"name": SPOOL_VOLUME, "emptyDir": {}}, _secret(KEY_VOLUME, plan.password_secret)]
    return found + ([_secret(STORE_VOLUME, plan.credentials_secret)] if plan.credentials_secret else [])


def _secret(name: str, secret: str) -> Object:
    return {"name": name, "secret": {"secretName": secret, "defaultMode": 0o440, "optional": True}}
