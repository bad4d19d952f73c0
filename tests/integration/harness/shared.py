# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that every worker of the sandbox can reach, as those of a storage network: folders of its host."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import Sandbox

from .kubernetes import Cluster
from .namespace import Namespace

CLASS = "shared"
DRIVER = "cassops/shared"
SIZE = "2Gi"
# A driver of Kubernetes' FlexVolume, which needs nothing but a script in a folder of the kubelet.
SCRIPT = """\
#!/bin/sh
set -eu
case "$1" in
init) ;;
mount)
    mkdir -p "$2"
    mount --bind "$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["folder"])' "$3")" "$2"
    ;;
unmount) umount "$2" ;;
*) echo '{"status": "Not supported"}'; exit 0 ;;
esac
echo '{"status": "Success", "capabilities": {"attach": false}}'
"""


@contextmanager
def volumes(cluster: Cluster, sandbox: Sandbox, namespace: Namespace, count: int) -> Iterator[str]:
    """So many volumes for this namespace; their storage class."""
    for worker in sandbox.workers():
        program = worker.home / "kubelet" / "plugins-exec" / DRIVER.replace("/", "~") / CLASS
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(SCRIPT)
        program.chmod(0o755)
    folder = sandbox.layout.state / "shared" / namespace.name
    names = [f"{CLASS}-{namespace.name}-{number}" for number in range(count)]
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    cluster.apply([storage_class(), *(volume(name, folder / name) for name in names)])
    try:
        yield CLASS
    finally:
        cluster.kubectl("delete", "persistentvolume", *names, "--wait=false", "--ignore-not-found")
        cluster.kubectl("delete", "storageclass", CLASS, "--ignore-not-found")
        shutil.rmtree(folder, ignore_errors=True)


def storage_class() -> dict[str, object]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def volume(name: str, folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": SIZE},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": CLASS,
            "flexVolume": {"driver": DRIVER, "options": {"folder": str(folder)}},
        },
    }
