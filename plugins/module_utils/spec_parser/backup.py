# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where backups go, and how. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .. import quantity
from ..spec import BACKUP_IMAGE, KEEP, POINT_IN_TIME_DAYS, BackupPlan
from .reader import Reader
from .schedule import scheduled_fields

BACKUP_BANDWIDTH = "50Mi"
"""Bytes per second of one node's upload: a disk and a network of today hardly notice it."""
REPOSITORIES = ("s3:", "azure:", "gs:", "b2:", "swift:", "rest:", "/")
"""How restic's repositories begin that a container without a shell login, keys and a home can reach."""


def read_backup(reader: Reader) -> BackupPlan | None:
    """None where no backups are configured, or where they are faulty."""
    given = reader.mapping("backup", [item.name for item in fields(BackupPlan)])
    if not given:
        return None
    before = len(reader.faults)
    plan = BackupPlan(
        repository=_repository(reader, given),
        password_secret=_secret_name(reader, "backup.password_secret", given.get("password_secret"), True),
        credentials_secret=_secret_name(reader, "backup.credentials_secret", given.get("credentials_secret"), False),
        keep=_keep(reader, given),
        bandwidth=read_bandwidth(reader, "backup.bandwidth", given.get("bandwidth"), BACKUP_BANDWIDTH),
        exclude_keyspaces=_keyspaces(reader, "backup.exclude_keyspaces", given.get("exclude_keyspaces")),
        image=str(given.get("image") or BACKUP_IMAGE),
        point_in_time=_point_in_time(reader, given),
        point_in_time_days=_point_in_time_days(reader, given),
        **scheduled_fields(reader, "backup", given),
    )
    if plan.point_in_time and plan.exclude_keyspaces:
        reader.fault(
            "backup.exclude_keyspaces",
            "must be empty with point_in_time: a whole datacenter goes to a moment, and that is not made of a "
            "backup that leaves keyspaces out",
        )
    return plan if len(reader.faults) == before else None


def _repository(reader: Reader, given: Mapping[str, Any]) -> str:
    path, text = "backup.repository", str(given.get("repository") or "").strip()
    if not text:
        reader.fault(path, "is missing; give a repository of restic, such as s3:https://s3.example.com/bucket/folder")
    elif re.search(r"//[^/]*@", text):
        # First, and not shown: it holds a password.
        reader.fault(
            path,
            "has a user and a password in it, which would stand in logs and in the arguments of processes; put them"
            " into the Secret of backup.credentials_secret (RESTIC_REST_USERNAME, RESTIC_REST_PASSWORD)",
        )
    elif not text.startswith(REPOSITORIES):
        reader.fault(
            path,
            f"must begin with one of {', '.join(REPOSITORIES)} (a folder of a shared volume begins with /), got"
            f" {text!r}",
        )
    elif re.search(r"\s", text):
        reader.fault(path, f"must be without spaces, got {text!r}")
    return text.rstrip("/") if len(text) > 1 else text


def _secret_name(reader: Reader, path: str, given: Any, required: bool) -> str:
    name = "" if given is None else str(given).strip()
    if not name and required:
        reader.fault(path, "is missing; give the name of a Secret whose key password encrypts the backups")
    if name:
        reader.check_object_name(path, name)
    return name


def _keep(reader: Reader, given: Mapping[str, Any]) -> dict[str, int]:
    value = reader.structure("backup.keep", given.get("keep"), dict)
    reader.unknown("backup.keep", value, list(KEEP))
    if not value:
        return dict(KEEP)
    return {name: _count(reader, f"backup.keep.{name}", value.get(name)) for name in KEEP}


def _count(reader: Reader, path: str, given: Any) -> int:
    if given in (None, ""):
        return 0
    if isinstance(given, bool) or not re.fullmatch(r"\d+", str(given).strip()):
        reader.fault(path, f"must be a whole number of 0 or more, got {given!r}")
        return 0
    return int(given)


def read_bandwidth(reader: Reader, path: str, given: Any, default: str) -> int:
    """Bytes per second; 0 is no limit."""
    text = default if given in (None, "") else str(given)
    if text == "0":
        return 0
    canonical = reader.amount(path, text)
    if not canonical:
        return 0
    amount = int(quantity.value(canonical))
    if amount < quantity.MIB // 64:
        reader.fault(
            path,
            f"is in bytes per second, such as 50Mi, and at least 16Ki; 0 is no limit; got {text!r}",
        )
    return amount


def _keyspaces(reader: Reader, path: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) and not given.strip().startswith("["):
        given = given.replace(",", " ").split()
    names = tuple(str(name) for name in reader.structure(path, given, list))
    for index, name in enumerate(names):
        if not re.fullmatch(r"\w{1,48}", name, re.ASCII):
            reader.fault(f"{path}[{index}]", f"must be the name of a keyspace, got {name!r}")
    return names


def _point_in_time(reader: Reader, given: Mapping[str, Any]) -> bool:
    text = str(given.get("point_in_time") or "").strip().lower()
    if text not in ("", "true", "false", "yes", "no"):
        reader.fault("backup.point_in_time", f"must be true or false, got {given['point_in_time']!r}")
    return text in ("true", "yes")


def _point_in_time_days(reader: Reader, given: Mapping[str, Any]) -> int:
    path, value = "backup.point_in_time_days", given.get("point_in_time_days")
    if value in (None, ""):
        return POINT_IN_TIME_DAYS
    if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value).strip()) or int(value) < 1:
        reader.fault(path, f"must be a whole number of 1 or more, got {value!r}")
        return POINT_IN_TIME_DAYS
    return int(value)
