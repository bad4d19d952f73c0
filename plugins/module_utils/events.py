# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Kubernetes' events tell of a pod that does not start, where its status tells nothing. Pure.

A pod's events are found by its name, which all pods of a node have: those of its predecessors stay for an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

# What keeps a pod on its worker from starting its first container, and shows in events only.
VOLUME_HANGS = ("FailedMount", "FailedMapVolume", "FailedAttachVolume")
HANGS = (*VOLUME_HANGS, "FailedCreatePodSandBox")
# What comes after that. (A sandbox that is made again and again comes with a SandboxChanged each time.)
GOES_ON = ("SuccessfulAttachVolume", "Pulling", "Pulled", "Created", "Started")
# The kubelet says this of whatever keeps a volume away for two minutes, such as a disk that is only slow to come.
TIMED_OUT = "Unable to attach or mount volumes"
# Whoever says so that often (the kubelet's pause doubles each time) does not only say it while a worker starts.
OFTEN = 3
# Seconds after which a pod that has a worker and no container has to have a cause.
HANGING = 100.0
# The same where a volume does not come: that of a worker that is off is taken from it by force after six minutes.
ATTACHING = 480.0
# What cluster-autoscaler and Karpenter say of a pod for which they add a worker, and the former of one that none helps.
COMES = ("TriggeredScaleUp", "Nominated")
COMES_NOT = "NotTriggerScaleUp"
# For so many seconds a worker may take from then on.
COMING = 600.0


def seconds_of(moment: str) -> float:
    """Since 1970, of a time as Kubernetes writes it."""
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def event_time(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def why_it_hangs(events: Iterable[Mapping[str, Any]], uid: str, placed_for: float) -> str | None:
    """Why a pod does not get to its first container; None where nothing tells, or where it may only take its time.

    :param placed_for: seconds since it got its worker.
    """
    own = (item for item in events if item["involvedObject"].get("uid") == uid)
    told = sorted((item for item in own if item.get("reason") in (*HANGS, *GOES_ON)), key=event_time)
    if not told or told[-1]["reason"] in GOES_ON:
        return None
    causes = [item for item in told if is_cause(item)]
    attaching = not causes or any(item["reason"] == "FailedAttachVolume" for item in told)
    if placed_for < (ATTACHING if attaching else HANGING):
        return None
    cause = (causes or told)[-1]
    return f"{cause['reason']}: {cause.get('message', '')}"


def is_cause(event: Mapping[str, Any]) -> bool:
    """Whether an event tells a cause that has lasted, rather than one of a moment or none."""
    often = max(event.get("count") or 1, (event.get("series") or {}).get("count") or 1) >= OFTEN
    plain = event["reason"] in HANGS and not event.get("message", "").startswith(TIMED_OUT)
    # A sandbox is never made at all while there is this: its messages differ each time.
    return plain and (often or event["reason"] in ("FailedAttachVolume", "FailedCreatePodSandBox"))


def worker_comes(events: Iterable[Mapping[str, Any]], uid: str, now: float) -> bool:
    """Whether somebody adds a worker for a pod that cannot be scheduled.

    :param now: seconds since 1970.
    """
    own = (item for item in events if item["involvedObject"].get("uid") == uid)
    told = [item for item in own if item.get("reason") in (*COMES, COMES_NOT)]
    newest: Mapping[str, Any] = max(told, key=event_time, default={})
    return newest.get("reason") in COMES and now - seconds_of(event_time(newest)) < COMING
