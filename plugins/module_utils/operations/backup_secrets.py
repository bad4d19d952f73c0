# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Secrets of C(cassandra_backup). Pods mount them as optional, so without them nobody else would say a word."""

from __future__ import annotations

from ..kube import Kube
from ..spec import BackupPlan


def missing(kube: Kube, plan: BackupPlan) -> list[str]:
    """What of them is not there.

    :raises CassopsError: they cannot be read.
    """
    errors = []
    found = kube.get("Secret", plan.password_secret)
    if found is None or not (found.get("data") or {}).get("password"):
        errors.append(
            f"Secret {plan.password_secret} in namespace {kube.namespace} with the key password, which encrypts the"
            " backups, is not there; make it, and keep a copy elsewhere: without it no backup can be read"
        )
    if plan.credentials_secret and kube.get("Secret", plan.credentials_secret) is None:
        errors.append(
            f"Secret {plan.credentials_secret} in namespace {kube.namespace} with the store's credentials is not there;"
            " make it: without it nobody gets into the store"
        )
    return errors
