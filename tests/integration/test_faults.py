# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Six nodes in three racks: how they start, what volumes do to them, and what a client loses when things break.

One client writes and reads at QUORUM from the first test to the last.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import pytest
from integration.harness.datacenter import Datacenter
from integration.harness.namespace import Namespaces
from integration.harness.scenarios import FAULTS, START_TABLE, Living
from integration.harness.settings import rng
from integration.harness.workload import Workload
from sandbox import Sandbox

SIX = {"r1": 2, "r2": 2, "r3": 2}
# `make soak` has them all.
SAMPLE = [rng("start table").choice(list(START_TABLE))]
SAMPLE_FAULTS = [rng("faults").choice(list(FAULTS))]


@pytest.fixture(scope="module")
def six(namespaces: Namespaces, sandbox: Sandbox) -> Iterator[Datacenter]:
    """The datacenter, deployed."""
    with namespaces.fresh("six") as namespace:
        datacenter = Datacenter(namespace, racks=SIX)
        datacenter.deploy()
        yield datacenter


@pytest.fixture(scope="module")
def living(six: Datacenter) -> Iterator[Living]:
    """The same with a client at work."""
    with Workload(six) as client:
        yield Living.meet(six, client)


def test_six_nodes_start_together_and_own_the_same(six: Datacenter) -> None:
    members = six.wait_up()
    assert len(members) == 6
    owned = [member.owns for member in members.values()]
    assert None not in owned
    assert sum(filter(None, owned)) == pytest.approx(3.0, abs=0.03)
    assert max(filter(None, owned)) - min(filter(None, owned)) <= 0.01, owned
    # Of their claims: the first node's pod is made anew when its CQL opens.
    claims = six.namespace.list("persistentvolumeclaims")
    made = [datetime.datetime.fromisoformat(claim["metadata"]["creationTimestamp"]) for claim in claims]
    assert len(made) == 6
    assert max(made) - min(made) < datetime.timedelta(seconds=60)
    # Started together means that they all found an empty ring: nobody streamed from another.
    for node in six.nodes:
        assert f"cassops: new: {node}" in six.namespace.kubectl("logs", node) or node == six.ledger()["first"]


@pytest.mark.parametrize("name", SAMPLE)
def test_who_may_start_is_decided_by_the_volume(living: Living, name: str) -> None:
    START_TABLE[name](living, rng(name))
    living.assert_whole()


@pytest.mark.parametrize("name", SAMPLE_FAULTS)
def test_no_acknowledged_row_is_lost_when(living: Living, name: str) -> None:
    FAULTS[name](living, rng(name))
    living.assert_whole()
