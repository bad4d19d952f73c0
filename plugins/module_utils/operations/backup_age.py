# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a backup is recent: asked before a step that only a backup may lead back from. It warns, no more."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..observe import Objects, attempt, ledger_of
from . import catalogue
from .backup_info import too_old

OPTION: Mapping[str, Any] = {"backup": {"type": "dict"}}
"""C(cassandra_backup), where backups are made."""
RECENT = 24.0
"""Hours."""


def warn(params: Mapping[str, Any], kube: Kube, found: Objects, ctx: Context) -> None:
    """At once, where backups are made and the newest one of everything is old, is not there, or cannot be seen: the run
    may take hours from here."""
    if not params.get("backup"):
        return
    told = attempt(partial(complaint, params, kube, found))
    if isinstance(told, CassopsError):
        told = f"how old its newest backup is could not be read: {told}"
    if told:
        text = f"datacenter {params['datacenter']}: {told}. Make one with the playbook backup while there is a way back"
        ctx.warnings.append(text)
        ctx.progress(text, important=True)


def complaint(params: Mapping[str, Any], kube: Kube, found: Objects) -> str:
    """Why the newest backup is no good news; empty where it is one.

    :raises CassopsError: the catalogue cannot be read.
    """
    store = catalogue.opened({**params, "variable_prefix": "cassandra_"}, kube, found)
    where, now = (params["cluster"], params["datacenter"]), kube.server_time()
    ledger = ledger_of(found, *where)
    listed = store.listed(catalogue.running(kube, *where), now)
    return too_old(listed, ledger.id if ledger else "", now, RECENT, option="")
