# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import placement
from ansible_collections.cassops.kubernetes.plugins.module_utils.quantity import GIB


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}, True),
        ({"key": "node.kubernetes.io/unschedulable"}, True),
        ({"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "pool", "value": "cassandra", "effect": "NoSchedule"}, False),
    ],
)
def test_what_a_pod_tolerates(toleration: Mapping[str, str], expected: bool) -> None:
    assert placement.tolerated(placement.CORDON, [toleration]) is expected


def test_each_node_needs_a_worker_where_they_stay_alone() -> None:
    one, two = frozenset({"a3"}), frozenset({"b3", "b4"})
    places = {"r1-0": one, "r1-1": one, "r2-0": two, "r2-1": two}
    assert placement.too_many(places, {*places}) == [(["r1-0", "r1-1"], one)]
    assert placement.too_many(places, set()) == []
    assert placement.too_many({"r1-0": frozenset()}, set()) == [(["r1-0"], frozenset())]


def test_what_a_pod_asks_for() -> None:
    """As the scheduler reckons it."""

    def container(**asked: str) -> dict[str, Any]:
        return {"resources": {"requests": asked}}

    sidecar = {**container(cpu="500m", memory="1Gi"), "restartPolicy": "Always"}
    spec: dict[str, Any] = {"containers": [container(cpu="2", memory="4Gi"), container(cpu="500m"), {}]}
    assert placement.requests(spec) == {"cpu": Fraction(5, 2), "memory": 4 * GIB}
    spec["initContainers"] = [container(cpu="8", memory="1Gi"), sidecar]
    assert placement.requests(spec) == {"cpu": 8, "memory": 5 * GIB}
    spec["overhead"] = {"memory": "1Gi"}
    assert placement.requests(spec) == {"cpu": 8, "memory": 6 * GIB}
