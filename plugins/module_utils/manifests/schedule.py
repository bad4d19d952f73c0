# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups and repairs by the clock: CronJobs that run playbooks in an execution environment, beside the nodes. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields

from .. import pod_template
from ..spec import BackupPlan, Datacenter, Scheduled, schedule_name
from .common import Object, labels

_PLAYBOOKS: Mapping[str, str] = {"backup": "backup verify_backup purge_backups", "repair": "repair"}
# Each is done whatever becomes of the others; the job fails where one of them does.
_RUN = """failed=0
for playbook in {playbooks}; do
    ansible-playbook -i "$DATACENTER," -e "$VARIABLES" "cassops.kubernetes.$playbook" || failed=1
done
exit "$failed"
"""
# The pod had to go: its worker is drained, or somebody more important needs the room.
_EVICTED = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
# Whoever saves workers at night, when little runs but this, leaves them to it: Karpenter, and the cluster autoscaler.
_STAYS = {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
# What the largest datacenter that was measured takes (docs/benchmarks.md, growth).
_REQUESTS = {"cpu": "100m", "memory": "256Mi"}


def cron_job(datacenter: Datacenter, work: str, plan: Scheduled) -> Object:
    """The CronJob. Kubernetes is reached with the pod's own account; all times are UTC.

    :param work: what it does: C(backup), C(repair).
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": schedule_name(datacenter.cluster, datacenter.name, work), "labels": labels(datacenter)},
        "spec": {
            "schedule": plan.schedule,
            # Else it is the zone of the controller manager, which nobody knows by heart.
            "timeZone": "Etc/UTC",
            # It takes as long as it takes; the next one waits for its turn.
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 300,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                # A run that failed says why; the next one is the next try. One that was evicted begins again.
                "spec": {
                    "backoffLimit": 0,
                    "podFailurePolicy": {"rules": [_EVICTED]},
                    "template": _template(datacenter, work, plan),
                }
            },
        },
    }


def _template(datacenter: Datacenter, work: str, plan: Scheduled) -> Object:
    # Its pods must not carry the labels of the datacenter's objects: Services and the disruption budget select by them.
    own = {"app.kubernetes.io/name": f"cassops-{work}", "app.kubernetes.io/managed-by": "cassops"}
    ours = {"metadata": {"labels": own, "annotations": dict(_STAYS)}, "spec": _pod(datacenter, work, plan)}
    template: Object = pod_template.merge(ours, plan.schedule_pod_template)
    return template


def _pod(datacenter: Datacenter, work: str, plan: Scheduled) -> Object:
    return {
        "restartPolicy": "Never",
        "serviceAccountName": plan.schedule_account,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": work,
                "image": plan.schedule_image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", _RUN.format(playbooks=_PLAYBOOKS[work])],
                "env": [
                    {"name": "HOME", "value": "/tmp"},
                    {"name": "ANSIBLE_NOCOLOR", "value": "1"},
                    {"name": "DATACENTER", "value": datacenter.name},
                    # Kubernetes puts values in where it reads $(NAME), and writes $ for $$.
                    {"name": "VARIABLES", "value": json.dumps(_variables(datacenter, plan)).replace("$", "$$")},
                ],
                "resources": {"requests": dict(_REQUESTS), "limits": {"memory": plan.schedule_memory}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def _variables(datacenter: Datacenter, plan: Scheduled) -> Object:
    """The inventory of a run: what its playbooks read. Secrets are in it by name only."""
    own = {item.name for item in fields(Scheduled)}
    backup = {name: value for name, value in asdict(plan).items() if name not in own}
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "cassandra_cluster": datacenter.cluster,
        "cassandra_superuser_secret": datacenter.superuser_secret,
        **({"cassandra_backup": backup} if isinstance(plan, BackupPlan) else {}),
        **plan.schedule_variables,
    }
