#!/bin/sh
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# make demo: from nothing to a running datacenter. With KUBECONFIG set, on that cluster instead of on the sandbox.
set -eu

cd "$(dirname "$0")/../.."
inventory=${INVENTORY:-inventories/sandbox}
playbook() {
    printf '\n$ .venv/bin/ansible-playbook -i %s playbooks/%s\n' "$inventory" "$1"
    .venv/bin/ansible-playbook -i "$inventory" "playbooks/$1"
}

if [ -n "${KUBECONFIG:-}" ]; then
    echo "Using the cluster of KUBECONFIG=$KUBECONFIG"
    kubeconfig=$KUBECONFIG
else
    tests/sandbox/sandbox up
    kubeconfig=$(tests/sandbox/sandbox kubeconfig)
fi
KUBECONFIG=$kubeconfig .venv/bin/python tests/tools/namespaces.py "$inventory"
playbook deploy.yml
playbook status.yml
