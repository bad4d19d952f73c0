# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.spec_parser import parse
from ansible_collections.cassops.kubernetes.plugins.module_utils.spec_refusals import Living, refusals

DESIRED = parse(
    {
        "cluster": "shop",
        "datacenter": "dc1",
        "version": "5.0.9",
        "racks": [{"name": "r1", "zone": "a", "nodes": 2}, {"name": "r2", "zone": "b", "nodes": 1}],
        "storage": {"size": "100Gi"},
    }
)
LIVING = Living("shop", {"r1": ("a", 2), "r2": ("b", 1)}, "100Gi", None, 16, "5.0.9")


def test_the_living_datacenter_itself_is_not_refused() -> None:
    assert refusals(LIVING, DESIRED) == []
    assert refusals(replace(LIVING, num_tokens=0, version=""), DESIRED) == []


@pytest.mark.parametrize(
    ("living", "text"),
    [
        (
            replace(LIVING, cluster="old"),
            "cassandra_cluster: the living datacenter belongs to the cluster old, got shop",
        ),
        (replace(LIVING, racks={**LIVING.racks, "r3": ("c", 2)}), "cassandra_racks: the rack r3 is gone from the list"),
        (replace(LIVING, racks={"r1": ("a", 2)}), "cassandra_racks[1]: the rack r2 is new"),
        (
            replace(LIVING, racks={**LIVING.racks, "r1": ("a", 3)}),
            "cassandra_racks[0].nodes: the rack r1 has 3 nodes, got 2",
        ),
        (
            replace(LIVING, racks={**LIVING.racks, "r2": ("c", 1)}),
            "cassandra_racks[1].zone: the rack r2 lives in c, got b",
        ),
        (replace(LIVING, storage_size="200Gi"), "Kubernetes cannot shrink a volume"),
        (replace(LIVING, storage_size="50Gi"), "deploy does not grow volumes"),
        (
            replace(LIVING, storage_class="fast"),
            "cassandra_storage.class: the volumes are of fast, got the cluster's default",
        ),
        (replace(LIVING, num_tokens=256), "cassandra_config.num_tokens: is 256 on the living nodes, got 16"),
    ],
)
def test_what_a_living_datacenter_cannot_become(living: Living, text: str) -> None:
    (refusal,) = refusals(living, DESIRED, "cassandra_")
    assert text in refusal


@pytest.mark.parametrize(
    ("have", "want", "fine"),
    [
        ("4.0.19", "4.1.10", True),
        ("4.0.19", "5.0.9", True),
        ("4.1.10", "5.0.9", True),
        ("5.0.9", "5.0.8", True),
        ("5.0.9", "4.1.10", False),
        ("4.1.10", "4.0.19", False),
    ],
)
def test_versions_go_up(have: str, want: str, fine: bool) -> None:
    found = refusals(replace(LIVING, version=have), replace(DESIRED, version=want))
    assert (found == []) is fine


def test_quantities_of_volumes_are_compared_by_value() -> None:
    assert refusals(replace(LIVING, storage_size="102400Mi"), DESIRED) == []
