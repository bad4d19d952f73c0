# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import events

POD = "uid-of-the-pod"
MISSING = 'MountVolume.SetUp failed for volume "jmx" : configmap "jmx" not found'
SLOW = f"{events.TIMED_OUT}: unmounted volumes=[data]: timed out waiting for the condition"


def event(reason: str, second: int, message: str = "words", count: int | None = None, uid: str = POD) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{reason}{second}"},
        "involvedObject": {"name": "shop-dc1-r1-0", "uid": uid},
        "reason": reason,
        "message": message,
        "count": count,
        "lastTimestamp": f"2026-01-01T00:00:{second:02}Z",
    }


PLACED = event("Scheduled", 1)
MULTI_ATTACH = event("FailedAttachVolume", 2, "Multi-Attach error for volume", 1)


@pytest.mark.parametrize(
    ("told", "placed_for", "cause"),
    [
        pytest.param([], 10**6, None, id="nothing is told"),
        pytest.param([PLACED], 10**6, None, id="only where it is"),
        pytest.param([PLACED, event("FailedMount", 5, MISSING, 8)], 101, f"FailedMount: {MISSING}", id="missing"),
        pytest.param([PLACED, event("FailedMount", 5, MISSING, 8)], 99, None, id="at once"),
        pytest.param(
            [event("FailedMount", 5, MISSING, 9), event("FailedMount", 9, SLOW, 3)],
            130,
            f"FailedMount: {MISSING}",
            id="the kubelet says of it too that it timed out",
        ),
        pytest.param([event("FailedMount", 5, MISSING, 8), event("Pulling", 6)], 10**6, None, id="it was mended"),
        pytest.param([event("FailedMount", 5, MISSING, 8, uid="old")], 10**6, None, id="another pod of that name"),
        pytest.param([event("FailedMount", 2, MISSING, 1)], 101, None, id="once, while its worker started"),
        pytest.param([event("FailedMount", 9, SLOW, 3)], 479, None, id="a disk that is slow"),
        pytest.param([event("FailedMount", 9, SLOW, 3)], 481, f"FailedMount: {SLOW}", id="a disk that does not come"),
        pytest.param([MULTI_ATTACH, event("FailedMount", 9, SLOW, 3)], 400, None, id="taken by force in a while"),
        pytest.param([MULTI_ATTACH], 481, "FailedAttachVolume: Multi-Attach error for volume", id="never taken"),
        pytest.param([MULTI_ATTACH, event("SuccessfulAttachVolume", 9)], 10**6, None, id="attached"),
        pytest.param(
            [event("FailedCreatePodSandBox", 5, "no IP addresses", 1), event("SandboxChanged", 6)],
            101,
            "FailedCreatePodSandBox: no IP addresses",
            id="no address",
        ),
    ],
)
def test_why_a_pod_hangs(told: list[dict[str, Any]], placed_for: float, cause: str | None) -> None:
    assert events.why_it_hangs(told, POD, placed_for) == cause
    assert events.why_it_hangs(reversed(told), POD, placed_for) == cause


def test_an_event_may_lack_most_of_it() -> None:
    assert events.why_it_hangs([{"metadata": {}, "involvedObject": {}}], POD, 10**6) is None
    bare = {"metadata": {}, "involvedObject": {"uid": POD}, "reason": "FailedCreatePodSandBox"}
    assert events.why_it_hangs([bare], POD, 10**6) == "FailedCreatePodSandBox: "
    late = {**bare, "reason": "FailedMount", "series": {"count": events.OFTEN}}
    assert events.why_it_hangs([late], POD, 101) == "FailedMount: "
