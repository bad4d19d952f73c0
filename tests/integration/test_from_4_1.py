# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes of 4.1, in the order of this file: a first deploy that dies, an option that crashes, the upgrade to 5.0.

On Java 11, and without the settings and tables that only 5.0 has. `make soak` has each in depth.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration.harness.cargo import formats
from integration.harness.datacenter import Datacenter, identities
from integration.harness.good import assert_good
from integration.harness.killed import Moment, wait_for_words
from integration.harness.namespace import Namespaces
from integration.harness.rollouts import (
    CRASHES,
    canary_of,
    crashing,
    no_request_fails,
    restart,
    restarted,
    stops_at_the_canary,
    upgrade,
    versions,
)
from integration.harness.settings import rng
from integration.harness.workload import Workload

OLD, NEW = "4.1.10", "5.0.9"


@pytest.fixture(scope="module")
def old(namespaces: Namespaces) -> Iterator[Datacenter]:
    """As it is wanted at first, in a namespace that has nothing yet."""
    with namespaces.fresh("from-4-1") as namespace:
        yield Datacenter(namespace, variables={"cassandra_version": OLD})


@pytest.fixture(scope="module")
def client(old: Datacenter) -> Iterator[Workload]:
    """At work once they are deployed; what a node that stops did not take goes to another one, as drivers do."""
    with Workload(old, elsewhere=True) as client:
        client.wait_for_rows(200)
        yield client


def test_the_second_of_two_runs_is_refused_and_takes_over_when_the_first_is_killed(old: Datacenter) -> None:
    """By SIGKILL, at one of the ten moments of `make soak`; the next run ends in the same good state."""
    first = old.start("deploy")
    moment = Moment.choose(rng("kill/twice"), "to join the ring")
    wait_for_words(first, moment.stage)
    old.run("deploy").refused(f"pid {first.process.pid} holds the lock demo-lock", "since")
    moment.reach(first)
    assert first.process.poll() is None, first.output
    first.kill()
    # Its lock would be free after a minute; on the same machine its death is seen at once.
    second = old.start("deploy")
    wait_for_words(second, "waiting for 3 nodes", 300)
    second.wait().ok()
    assert_good(old)
    told = old.status()
    assert told["healthy"] is True
    assert [node["version"] for node in told["nodes"]] == [OLD] * 3


def test_an_option_that_crashes_stops_at_the_canary(old: Datacenter, client: Workload) -> None:
    """Its correction ends well, without a node of the others touched."""
    with stops_at_the_canary(crashing(old), old, client, *CRASHES):
        old.deploy()
        assert restarted(restart(old), old) == [canary_of(old)]


def test_it_is_upgraded_to_5_0(old: Datacenter, client: Workload) -> None:
    before, new = identities(old.wait_up()), old.changed(cassandra_version=NEW)
    with no_request_fails(old, client) as watcher:
        assert len(restarted(upgrade(new, rollout_pause_after="canary"), new)) == 1
        assert sorted(versions(new).values()) == [OLD, OLD, NEW]
        assert len(restarted(upgrade(new), new)) == 2, "it goes on where it paused"
    assert watcher.made == dict.fromkeys(new.nodes, 1)
    assert versions(new) == dict.fromkeys(new.nodes, NEW)
    assert identities(new.wait_up()) == before
    assert formats(new) == {"nb"}, "what 4.1 can read"
    client.check("ALL")
    again = new.run("upgrade").ok()
    assert again.changed == 0, again.output
