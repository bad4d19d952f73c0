# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook dies by SIGKILL in the middle of a first deploy, and the next run ends in the same good state."""

from __future__ import annotations

from integration.harness.datacenter import Datacenter
from integration.harness.good import assert_good
from integration.harness.killed import Moment, wait_for_words
from integration.harness.namespace import Namespaces
from integration.harness.settings import rng


def test_the_second_of_two_runs_is_refused_and_takes_over_when_the_first_is_killed(namespaces: Namespaces) -> None:
    """At one of the ten moments of `make soak`, on Java 11, without the settings and tables that only 5.0 has."""
    with namespaces.fresh("twice") as namespace:
        datacenter = Datacenter(namespace, variables={"cassandra_version": "4.1.10"})
        first = datacenter.start("deploy")
        moment = Moment.choose(rng("kill/twice"), "to join the ring")
        wait_for_words(first, moment.stage)
        datacenter.run("deploy").refused(f"pid {first.process.pid} holds the lock demo-lock", "since")
        moment.reach(first)
        assert first.process.poll() is None, first.output
        first.kill()
        # Its lock would be free after a minute; on the same machine its death is seen at once.
        second = datacenter.start("deploy")
        wait_for_words(second, "waiting for 3 nodes", 300)
        second.wait().ok()
        assert_good(datacenter)
        told = datacenter.status()
        assert told["healthy"] is True
        assert [node["version"] for node in told["nodes"]] == ["4.1.10"] * 3
