# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the namespaces of an inventory's datacenters where they are missing, as restricted as Kubernetes has it.

This is an administrator's work, which the collection itself neither does nor has the right to do: it stands here for
`make demo`. Works with the cluster of KUBECONFIG.
"""

from __future__ import annotations

import json
import subprocess
import sys

from kubernetes import client, config
from report import ROOT, VENV_BIN

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def namespaces(inventory: str) -> set[str]:
    """The values of cassandra_namespace in an inventory."""
    argv = [VENV_BIN / "ansible-inventory", "-i", inventory, "--list"]
    listed = json.loads(subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    hosts = listed["_meta"]["hostvars"].values()
    return {host["cassandra_namespace"] for host in hosts if "cassandra_namespace" in host}


def ensure(api: client.CoreV1Api, name: str) -> None:
    """Create a namespace. One that is there stays as it is; who may not create one is told what to ask for."""
    try:
        api.create_namespace({"metadata": {"name": name, "labels": RESTRICTED}})
        print(f"namespace {name} created")
    except client.ApiException as error:
        if error.status == 403:
            print(f"namespace {name} has to be there: this account may not create it (kubectl create namespace {name})")
        elif error.status != 409:
            raise


def main(inventory: str) -> None:
    """Make what is missing."""
    config.load_config()
    for name in sorted(namespaces(inventory)):
        ensure(client.CoreV1Api(), name)


if __name__ == "__main__":
    main(sys.argv[1])
