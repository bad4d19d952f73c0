#!/bin/sh
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# make demo: from nothing to a running datacenter. With KUBECONFIG set, on that cluster instead of on the sandbox.
set -eu

cd "$(dirname "$0")/../.."
if [ -n "${KUBECONFIG:-}" ]; then
    inventory=inventories/examples/any-cluster.yml
    echo "On the cluster of KUBECONFIG=$KUBECONFIG"
else
    inventory=inventories/sandbox
    tests/sandbox/sandbox up
fi
for playbook in deploy status; do
    printf '\n$ .venv/bin/ansible-playbook -i %s playbooks/%s.yml\n' "$inventory" "$playbook"
    .venv/bin/ansible-playbook -i "$inventory" "playbooks/$playbook.yml"
done
