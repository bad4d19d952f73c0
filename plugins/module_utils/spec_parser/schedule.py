# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done by the clock: when, and what its pods are. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .. import quantity
from ..spec import SCHEDULE_ACCOUNT, SCHEDULE_MEMORY, RepairPlan, schedule_name
from .reader import Reader

MAX_CRON_JOB_NAME = 52
"""Kubernetes names a CronJob's Jobs `<its name>-<10 digits>`."""
SCHEDULE_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "backup": ("backup_", "verify_backup_", "purge_backups_"),
    "repair": ("repair_",),
}
"""By what is done by the clock: how the names of options begin that its run may be given, those of its playbooks."""
SCHEDULES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
"""What Kubernetes takes for a schedule beside the five fields of cron."""


def read_repair(reader: Reader) -> RepairPlan | None:
    """When repairs are made by the clock; None is never."""
    given = reader.mapping("repair", [item.name for item in fields(RepairPlan)])
    return RepairPlan(**scheduled_fields(reader, "repair", given)) if given else None


def scheduled_fields(reader: Reader, work: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of L(spec.Scheduled)."""
    return {
        "schedule": _schedule(reader, work, given),
        "schedule_image": _schedule_image(reader, work, given),
        "schedule_account": _schedule_account(reader, work, given),
        "schedule_memory": _schedule_memory(reader, work, given),
        "schedule_variables": _schedule_variables(reader, work, given),
        "schedule_pod_template": reader.template(f"{work}.schedule_pod_template", given.get("schedule_pod_template")),
    }


def _schedule(reader: Reader, work: str, given: Mapping[str, Any]) -> str:
    """Its shape; whether the figures make a time Kubernetes says, when it is asked whether it would take it."""
    text = " ".join(str(given.get("schedule") or "").split())
    if text and text not in SCHEDULES and len(text.split()) != 5:
        reader.fault(
            f"{work}.schedule",
            "must be minute, hour, day of the month, month and day of the week, such as 15 3 * * *, or one of "
            f"{', '.join(SCHEDULES)}, got {text!r}",
        )
    name = schedule_name(reader.text("cluster"), reader.text("datacenter"), work)
    if text and len(name) > MAX_CRON_JOB_NAME:
        reader.fault(
            f"{work}.schedule",
            f"makes the CronJob name {name} of {len(name)} characters, and Kubernetes can run at most "
            f"{MAX_CRON_JOB_NAME}; shorten the name of the cluster or the datacenter",
        )
    return text


def _schedule_image(reader: Reader, work: str, given: Mapping[str, Any]) -> str:
    image = str(given.get("schedule_image") or "").strip()
    if given.get("schedule") and not image:
        reader.fault(
            f"{work}.schedule_image",
            "is missing; give the image of an execution environment with this collection in it, such as "
            "extensions/awx/execution-environment.yml makes",
        )
    return image


def _schedule_account(reader: Reader, work: str, given: Mapping[str, Any]) -> str:
    name = str(given.get("schedule_account") or SCHEDULE_ACCOUNT).strip()
    reader.check_object_name(f"{work}.schedule_account", name, "ServiceAccount")
    return name


def _schedule_memory(reader: Reader, work: str, given: Mapping[str, Any]) -> str:
    path, value = f"{work}.schedule_memory", given.get("schedule_memory")
    canonical = reader.amount(path, SCHEDULE_MEMORY if value in (None, "") else value)
    if canonical and quantity.value(canonical) < 256 * quantity.MIB:
        reader.fault(path, f"must be at least 256Mi, got {value!r}")
    return canonical


def _schedule_variables(reader: Reader, work: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    path = f"{work}.schedule_variables"
    value: Mapping[str, Any] = reader.structure(path, given.get("schedule_variables"), dict)
    for name in value:
        if not str(name).startswith(SCHEDULE_OPTIONS[work]):
            begin = ", ".join(SCHEDULE_OPTIONS[work])
            reader.fault(f"{path}.{name}", f"is no option of its playbooks: theirs begin with one of {begin}")
    try:
        json.dumps(value)
    except TypeError:
        reader.fault(path, f"must be words, numbers, lists and mappings of them, got {value!r}")
    return value
