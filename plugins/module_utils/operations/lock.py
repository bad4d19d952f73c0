# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster's lock, held over several tasks of one run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from ..context import Context
from ..kube import Kube
from ..lock import Lock, each_once
from ..options import KUBERNETES
from .cluster import PEER, lock_name

ARGUMENT_SPEC: Mapping[str, Any] = {
    **KUBERNETES,
    "cluster": {"type": "str", "required": True},
    "peers": {"type": "list", "elements": "dict", "default": [], "options": PEER},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "wait": {"type": "float", "default": 0.0},
}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(lock). See its documentation for parameters and results."""
    name = lock_name(params["cluster"])
    locks = [Lock(kube, name, ctx.holder) for kube in places(params, ctx)]
    held = all(is_held(lock) for lock in locks)
    changed = held if params["state"] == "absent" else not held
    if not ctx.check_mode:
        if params["state"] == "absent":
            for lock in locks:
                lock.release()
        else:
            acquire(locks, params["wait"])
    return {"changed": changed, "holder": ctx.holder, "name": name}


def places(params: Mapping[str, Any], ctx: Context) -> list[Kube]:
    """Where the cluster's datacenters are, each place once."""
    return each_once(ctx.kube(options) for options in (params, *(params.get("peers") or ())))


def is_held(lock: Lock) -> bool:
    """Whether this run holds it."""
    lease = lock.kube.get("Lease", lock.name)
    return lease is not None and lock.is_ours(lease)


def acquire(locks: list[Lock], wait: float) -> None:
    """All of them, or none."""
    with ExitStack() as stack:
        for lock in locks:
            lock.acquire(wait, background=False)
            stack.callback(lock.release)
        stack.pop_all()
