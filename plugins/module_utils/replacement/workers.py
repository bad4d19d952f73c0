# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workers that do not answer: whether they are off for good, and what a person can do about them. Pure."""

from __future__ import annotations

from ..view import NodeView
from .case import GONE, READY, Case, Settings, Worker
from .scene import Scene

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""Taint of a worker: who sets it says that the machine is off. Kubernetes ends its pods without its word then."""


def off_for_good(settings: Settings, worker: Worker) -> str:
    """Why a worker will not come back, in words; empty where it may.

    What was said of one that answers is not so any more.
    """
    if worker.state == GONE:
        return "is gone from Kubernetes"
    if worker.state == READY:
        return ""
    if worker.out_of_service:
        return f"is off, as its taint {OUT_OF_SERVICE} says"
    return "is off, as you said" if worker.name in settings.workers_off else ""


def volume_lost(scene: Scene, case: Case) -> str:
    """The same of the worker with a local volume. Where nothing tells which that is, who names the node means it."""
    settings = scene.settings
    unknown = case.worker.name is None and case.node.pod in settings.named and settings.workers_off
    return "is off, as you said" if unknown else off_for_good(settings, case.worker)


def fence(settings: Settings, worker: Worker, unknown: str) -> str:
    """What a person can do about a worker that does not answer.

    :param unknown: what to do if it is off for good, and these credentials do not tell which one it is.
    """
    name = worker.name
    if name is None:
        return (
            "find out which worker that is, or which zone without workers (kubectl describe pv), and bring it back; "
            "give these credentials extensions/kubernetes/rbac-workers.yml, and it is told here. If it is off for "
            f"good: {unknown}"
        )
    return (
        f"switch {name} off, or bring it back. If it is off for good, delete it from Kubernetes (kubectl delete node "
        f"{name}), or say so: {settings.say('workers_off', name)}"
    )


def by_name_and_worker(node: NodeView) -> str:
    return (
        f"playbook replace_node with -e replace_node_name={node.pod}, and that worker's name in "
        "replace_node_workers_off"
    )
