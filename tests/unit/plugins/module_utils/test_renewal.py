# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils.views import DATACENTER, IDLE, whole

from ansible_collections.cassops.kubernetes.plugins.module_utils import renewal
from ansible_collections.cassops.kubernetes.plugins.module_utils.renewal import Wanted
from ansible_collections.cassops.kubernetes.plugins.module_utils.scaling import Scene
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Keyspace, View

MIB = 2**20
NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"


def claim(size: str, storage_class: str | None = "disk") -> dict[str, Any]:
    named = {"storageClassName": storage_class} if storage_class else {}
    return {"resources": {"requests": {"storage": size}}, **named}


@pytest.mark.parametrize(
    ("spec", "wanted", "differs", "renewed", "renewed_if_fixed"),
    [
        pytest.param(claim("10Gi"), Wanted("10240Mi"), False, False, False, id="as wanted"),
        pytest.param(claim("10Gi"), Wanted("10Gi", "disk"), False, False, False, id="as wanted, by name"),
        pytest.param(claim("10Gi"), Wanted("20Gi"), True, False, True, id="larger"),
        pytest.param(claim("10Gi"), Wanted("5Gi"), True, True, True, id="smaller"),
        pytest.param(claim("10Gi"), Wanted("10Gi", "fast"), True, True, True, id="another class"),
        pytest.param(claim("10Gi", None), Wanted("10Gi", "fast"), True, True, True, id="it has none"),
    ],
)
def test_which_volumes_can_never_become_what_is_wanted(
    spec: dict[str, Any], wanted: Wanted, differs: bool, renewed: bool, renewed_if_fixed: bool
) -> None:
    assert renewal.differs(spec, wanted) is differs
    has = renewal.requested(spec)
    assert renewal.must_be_renewed(spec, has, wanted, ()) is renewed
    assert renewal.must_be_renewed(spec, has, wanted, ["disk"]) is renewed_if_fixed


@pytest.mark.parametrize(("size", "renewed"), [("5Gi", True), ("10Gi", False), ("15Gi", False), ("20Gi", False)])
def test_what_a_volume_did_not_get_it_need_not_keep(size: str, renewed: bool) -> None:
    assert renewal.must_be_renewed(claim("20Gi"), "10Gi", Wanted(size), ()) is renewed


def test_a_step_says_what_is_on_it() -> None:
    line = renewal.step("r1-0", claim("200Gi"), Wanted("100Gi", "fast"), 31 * 2**30)
    assert line.startswith("r1-0 gives up its volume of 200Gi (class disk), with 31.0 GiB of data,")
    assert line.endswith("on one of 100Gi (class fast)")
    assert "data" not in renewal.step("r1-0", claim("200Gi"), Wanted("100Gi"), None)


def holding(view: View, sizes: dict[str, int] | None, largest: int | None) -> View:
    activity = replace(IDLE, sizes=sizes, largest_table=largest)
    observations = {pod: replace(seen, activity=activity) for pod, seen in view.observations.items()}
    return replace(view, observations=observations)


def with_replicas(view: View, count: str) -> View:
    return replace(view, keyspaces=(Keyspace("shop", {"class": NTS, DATACENTER: count}),))


@pytest.mark.parametrize(
    ("size", "fits"), [("120Mi", True), ("106Mi", True), ("105Mi", False), ("60Mi", False)], ids=str
)
def test_data_and_its_largest_table_a_second_time_must_fit(size: str, fits: bool) -> None:
    """And the file system takes its part of the volume."""
    view = with_replicas(holding(whole(), {"shop": 50 * MIB, "system_auth": 10 * MIB}, 40 * MIB), "3")
    reasons = renewal.refusals(Scene(view), view.nodes[:1], {view.nodes[0].pod: size})
    assert (reasons == []) is fits
    if not fits:
        assert (
            f"holds 60.0 MiB and needs 40.0 MiB beside to compact its largest table; a volume of {size}" in reasons[0]
        )


def test_what_is_not_known_does_not_fit() -> None:
    view = with_replicas(holding(whole(), None, None), "3")
    assert "is not known" in renewal.refusals(Scene(view), view.nodes[:1], {view.nodes[0].pod: "100Gi"})[0]


@pytest.mark.parametrize(("replicas", "refused"), [("1", True), ("2", True), ("3", False)])
def test_a_volume_may_hold_the_last_copy_but_one(replicas: str, refused: bool) -> None:
    view = with_replicas(holding(whole(), {"shop": MIB}, MIB), replicas)
    reasons = renewal.refusals(Scene(view), view.nodes[:1], {view.nodes[0].pod: "1Gi"})
    assert bool(reasons) is refused
    assert not refused or reasons[0].startswith("keyspace shop: with one node away")


def test_nobody_is_asked_where_nothing_is_given_up() -> None:
    assert renewal.refusals(Scene(with_replicas(whole(), "1")), [], {}) == []
