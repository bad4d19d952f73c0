# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What inventories/sandbox needs in the cluster: its namespace, and the Secrets of its backups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMESPACE = "cassops-demo"


def objects(keys: Mapping[str, str], region: str) -> list[dict[str, Any]]:
    """Of Kubernetes.

    :param keys: those of the S3 server, and backup_password.
    """
    store = {
        "AWS_ACCESS_KEY_ID": keys["access_key"],
        "AWS_SECRET_ACCESS_KEY": keys["secret_key"],
        "AWS_DEFAULT_REGION": region,
    }
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
        secret("backup-password", {"password": keys["backup_password"]}),
        secret("backup-store", store),
    ]


def secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
