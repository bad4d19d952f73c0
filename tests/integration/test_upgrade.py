# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From 4.1 to 5.0 and through the steps of its storage format, in the order of this file. Rows are read back each time.

The driver sends a request whose connection 4.1 cuts to another node, as drivers do; no request fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from cassandra.policies import WhiteListRoundRobinPolicy
from integration.harness import waiting
from integration.harness.cargo import formats
from integration.harness.datacenter import Datacenter
from integration.harness.namespace import Namespaces
from integration.harness.rollouts import QUICK, no_request_fails, restart, restarted, upgrade, versions
from integration.harness.workload import KEYSPACE, Workload, connect
from sandbox import Sandbox

pytestmark = pytest.mark.soak

# A number follows, which is another one at the next try.
SNAPSHOT = "before-5.0.9-"
GIVEN = "system_auth.role_permissions"


@pytest.fixture(scope="module")
def old(namespaces: Namespaces, sandbox: Sandbox) -> Iterator[Datacenter]:
    """Three nodes of 4.1."""
    with namespaces.fresh("r2-upgrade") as namespace:
        datacenter = Datacenter(namespace, variables={"cassandra_version": "4.1.10"})
        datacenter.deploy()
        yield datacenter


@pytest.fixture(scope="module")
def new(old: Datacenter) -> Datacenter:
    """The same, wanted at 5.0."""
    return old.changed(cassandra_version="5.0.9")


@pytest.fixture(scope="module")
def client(old: Datacenter) -> Iterator[Workload]:
    """At work all the time."""
    with Workload(old, elsewhere=True) as client:
        client.wait_for_rows(200)
        yield client


def test_a_check_tells_the_same_plan_before_and_after_the_version_is_registered(
    old: Datacenter, new: Datacenter
) -> None:
    lives = old.lives()
    before = checked(new)
    assert old.status()["pending_restart"] == []
    assert before["upgrade"] == "Cassandra 4.1.10 to 5.0.9"
    assert [node for batch in before["batches"] for node in batch["nodes"]] == new.nodes
    new.deploy()
    after = checked(new)
    assert after == before
    assert old.lives() == lives
    old.deploy()


def checked(datacenter: Datacenter) -> dict[str, Any]:
    """The plan of an upgrade in check mode, without the gates of the moment."""
    facts = datacenter.run("upgrade", "--check", facts=True).ok().facts["dc1"]
    return {key: facts[key] for key in ("batches", "blockers", "not_restarted", "snapshot_name", "upgrade")}


def test_restart_is_no_upgrade(old: Datacenter, new: Datacenter) -> None:
    lives = old.lives()
    new.deploy()
    new.run("restart").refused("4.1.10 to 5.0.9", "playbook upgrade")
    assert old.lives() == lives


def test_what_5_0_does_not_have_is_told_and_the_words_told_help(
    old: Datacenter, new: Datacenter, client: Workload
) -> None:
    """5.0 would not start where a table has that compaction."""
    table, former = f"{KEYSPACE}.dated", "DateTieredCompactionStrategy"
    having = f"{table} (k int PRIMARY KEY) WITH compaction = {{'class': '{former}'}}"
    with connect(old) as driver:
        session = driver.connect()
        session.execute(f"CREATE TABLE {having}", timeout=60)
        lives = new.lives()
        with no_request_fails(new, client):
            new.run("upgrade", "--check").refused(f"5.0 has no {former}")
            said = " ".join(new.run("upgrade").refused(f"5.0 has no {former}").output.split())
            assert new.lives() == lives
            (statement,) = set(re.findall(r"ALTER TABLE [^{]* WITH compaction = {'class': '\w+'}", said))
            session.execute(statement, timeout=60)
            new.run("upgrade", "--check").ok()
        session.execute(f"DROP TABLE {table}", timeout=60)


def test_the_canary_and_the_way_back(old: Datacenter, new: Datacenter, client: Workload) -> None:
    with no_request_fails(old, client):
        (canary,) = restarted(upgrade(new, rollout_pause_after="canary"), new)
        half = {node: "5.0.9" if node == canary else "4.1.10" for node in old.nodes}
        assert versions(old) == half
        assert new.deploy().changed == 0, "upgrade begins with it, and the next run goes on"
        (problem,) = (each["problem"] for each in new.status()["problems"])
        assert problem.startswith("2 nodes run an older revision"), "schemas of two lines are none"
        for node in old.nodes:
            assert SNAPSHOT in old.nodetool(node, "listsnapshots"), node
        other = old.nodes[-1]
        for node in (canary, other):
            old.delete_pod(node)
            waiting.until(f"{node} to be ready", lambda node=node: old.not_ready([node]), 300)  # type: ignore[misc]
            old.wait_up()
        assert versions(old) == half, "a pod that comes back by itself comes back as it was"
        # As a GRANT ALL on 5.0 leaves it, written through a node of 4.1: 5.0 makes a role only where the others know
        # tables of its own (INCOMPATIBLE_SCHEMA), which they get or not as the canary's first start goes.
        given = "{'SELECT', 'SELECT_MASKED', 'UNMASK'}"
        told(
            old, other, f"INSERT INTO {GIVEN} (role, resource, permissions) VALUES ('app', 'data/{KEYSPACE}', {given})"
        )
        new.run("restart", rollout_rollback=True, **QUICK).refused(
            f'REVOKE SELECT_MASKED ON KEYSPACE "{KEYSPACE}" FROM "app"', "REVOKE UNMASK ON KEYSPACE"
        )
        assert versions(old) == half
        told(old, other, f"DELETE FROM {GIVEN} WHERE role = 'app'")
        assert restarted(restart(new, rollout_rollback=True), new) == [canary]
        assert set(versions(old).values()) == {"4.1.10"}
        assert old.template_owners() == {"cassops Apply"}, "what another owns, deploy can never take away"


def told(datacenter: Datacenter, node: str, statement: str) -> None:
    """Through this node alone."""
    address = datacenter.addresses()[node]
    with connect(datacenter, balance=WhiteListRoundRobinPolicy([address])) as driver:
        driver.connect().execute(statement, timeout=60)


def test_the_whole_way_to_5_0(new: Datacenter, client: Workload) -> None:
    with no_request_fails(new, client) as watcher:
        assert len(restarted(upgrade(new, rollout_pause_after="canary"), new)) == 1
        assert len(restarted(upgrade(new), new)) == 2, "it goes on where it paused"
    assert watcher.made == dict.fromkeys(new.nodes, 1)
    assert set(versions(new).values()) == {"5.0.9"}
    for node in new.nodes:
        new.nodetool(node, "flush", "workload")
    assert formats(new) == {"nb"}, "what 4.1 can read"
    client.check("ALL")


def test_a_step_cannot_be_skipped(new: Datacenter) -> None:
    lives = new.lives()
    skipping = with_mode(new, "NONE")
    result = skipping.run("upgrade", **QUICK)
    result.refused("UPGRADING comes first")
    new.deploy()
    assert new.lives() == lives


def with_mode(datacenter: Datacenter, mode: str) -> Datacenter:
    wanted = datacenter.inventory_variables()["cassandra_config"]
    return datacenter.changed(cassandra_config={**wanted, "storage_compatibility_mode": mode})


@pytest.mark.parametrize("mode", ["UPGRADING", "NONE"])
def test_each_step_is_asked_for(new: Datacenter, client: Workload, mode: str) -> None:
    stepped = with_mode(new, mode)
    with no_request_fails(new, client) as watcher:
        result = upgrade(stepped)
    assert watcher.made == dict.fromkeys(new.nodes, 1)
    said = " ".join(result.output.split())
    assert mode in said
    client.check("ALL")
    assert "nb" not in formats(new), "upgradesstables leaves nothing of the old format"


def test_there_is_no_way_back_now(new: Datacenter) -> None:
    """4.1 has no such option, so whoever wants to go back takes it away."""
    new.changed(cassandra_version="4.1.10").run("deploy").refused(
        "back to 4.1 is possible only while storage_compatibility_mode is CASSANDRA_4"
    )
