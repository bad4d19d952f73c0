# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a rollout from beginning: each is made real, refused by its name, and taken away again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .datacenter import Datacenter
from .rollouts import QUICK, another_schema, repairing, restart, restarted
from .workload import connect

RACK = {"warn": "r1", "ignore": "r2"}


def schemas_disagree(three: Datacenter) -> None:
    victim = three.nodes[-1]
    with another_schema(three, victim):
        three.run("restart", **QUICK, rollout_force=True, rollout_gate_timeout=10).refused(
            "2 schema versions", victim, "restart the node that differs"
        )


def a_repair_runs(three: Datacenter) -> None:
    with repairing(three, three.nodes[-1]) as still:
        three.run("restart", **QUICK, rollout_force=True, rollout_gate_timeout=5).refused(
            "repair of", "rollout_ignore: repairs"
        )
        assert still(), "the repair was over before the run"


def others_see_a_node_down(three: Datacenter) -> None:
    """Its gossip is off: it takes itself for up, and serves clients; the others take it for down."""
    victim = three.nodes[-1]
    three.nodetool(victim, "disablegossip")
    try:
        three.run("restart", **QUICK, rollout_force=True, rollout_gate_timeout=20).refused(
            f"sees {victim} down; wait a minute: gossip may only be late", "Still missing"
        )
    finally:
        three.nodetool(victim, "enablegossip")
    three.wait_up()


GATES: Mapping[str, Callable[[Datacenter], None]] = {
    "schemas that disagree block": schemas_disagree,
    "a repair that runs blocks": a_repair_runs,
    "a node that others see down blocks": others_see_a_node_down,
}


def blocks(three: Datacenter, gate: str) -> None:
    """No node is touched."""
    lives = three.lives()
    GATES[gate](three)
    assert three.lives() == lives


def cannot_keep_its_quorum(three: Datacenter, replicas: int) -> None:
    """A keyspace of so few replicas is refused, and told or not as its owner says; the restarts then happen."""
    lives = three.lives()
    with connect(three) as driver:
        session = driver.connect()
        options = f"{{'class': 'NetworkTopologyStrategy', 'dc1': {replicas}}}"
        session.execute(f"CREATE KEYSPACE fragile WITH replication = {options}", timeout=60)
        try:
            three.run("restart", rollout_force=True).refused("keyspace fragile", "rollout_low_rf")
            assert three.lives() == lives
            for policy, told in (("warn", True), ("ignore", False)):
                result = restart(three, rollout_force=True, rollout_low_rf=policy, rollout_limit=RACK[policy])
                assert restarted(result, three) == [f"{three.prefix}-{RACK[policy]}-0"]
                assert ("fragile" in result.output) is told
        finally:
            session.execute("DROP KEYSPACE fragile", timeout=60)
    three.wait_up()
