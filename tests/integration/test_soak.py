# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make soak`: the whole matrices of which the other files run a sample.

Resumable: what passed before is not run again (tests/output/integration/soak.json; delete it to begin anew). What was
seen is written to docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration.harness.datacenter import Datacenter
from integration.harness.good import assert_good
from integration.harness.killed import STAGES, Moment, killed_deploy
from integration.harness.namespace import Namespaces
from integration.harness.reliability import Outcome
from integration.harness.scenarios import FAULTS, START_TABLE, Living
from integration.harness.settings import rng
from integration.harness.workload import Workload
from sandbox import Sandbox

pytestmark = [pytest.mark.soak, pytest.mark.alone]

ROUNDS = 2
KILLS = 10
VERSIONS = ("5.0.9", "4.1.10")


@pytest.fixture(scope="module", params=VERSIONS)
def six(request: pytest.FixtureRequest, namespaces: Namespaces, sandbox: Sandbox) -> Iterator[Datacenter]:
    """Six nodes in three racks."""
    with namespaces.fresh(f"soak-{request.param.replace('.', '-')}") as namespace:
        racks = {"r1": 2, "r2": 2, "r3": 2}
        datacenter = Datacenter(namespace, racks=racks, variables={"cassandra_version": request.param})
        datacenter.deploy()
        yield datacenter


@pytest.mark.parametrize("turn", range(ROUNDS))
@pytest.mark.parametrize("name", [*FAULTS, *START_TABLE])
def test_no_acknowledged_row_is_lost(
    request: pytest.FixtureRequest, six: Datacenter, outcome: Outcome, name: str, turn: int
) -> None:
    scenario, choose = {**FAULTS, **START_TABLE}[name], rng(request.node.nodeid)
    with Workload(six, table=f"soak_{choose.randrange(10**9)}") as client:
        living = Living.meet(six, client)
        outcome.workers = scenario(living, choose)
        living.assert_whole()


@pytest.mark.parametrize("turn", range(KILLS))
def test_a_killed_first_deploy_is_finished_by_the_next(
    request: pytest.FixtureRequest, namespaces: Namespaces, turn: int
) -> None:
    """At every second turn the run that was to finish it is killed as well."""
    choose = rng(request.node.nodeid)
    # Each stage of a first deploy in turn, so that ten turns reach all of them.
    *before, last = STAGES
    first = [*before, last][turn % len(STAGES)]
    with namespaces.fresh(f"soak-kill-{turn}") as namespace:
        datacenter = Datacenter(namespace)
        # After the last stage it may end by itself, and one that goes on says only what is left.
        assert killed_deploy(datacenter, Moment.choose(choose, first)) or first == last
        if turn % 2:
            killed_deploy(datacenter, Moment.choose(choose))
        datacenter.deploy()
        assert_good(datacenter)
