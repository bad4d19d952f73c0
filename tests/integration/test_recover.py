# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes: volumes that follow their nodes, and a cluster that runs two lines of Cassandra. A client is at work."""

from __future__ import annotations

from dataclasses import replace

import pytest
from integration.harness import faults, losses, rollouts, shared
from integration.harness.datacenter import Datacenter, identities
from integration.harness.kubernetes import Cluster
from integration.harness.namespace import Namespaces
from integration.harness.rollouts import QUICK, restart, restarted
from integration.harness.scenarios import Living, assert_held
from integration.harness.workload import Workload
from sandbox import Sandbox

# Ten minutes each.
pytestmark = pytest.mark.soak


def test_a_volume_on_the_network_follows_its_node(
    namespaces: Namespaces, cluster: Cluster, sandbox: Sandbox, spare: str
) -> None:
    """Row 5: refused until the worker is known to be off; then the node moves with its data, and nothing streams."""
    with namespaces.fresh("h-moves") as namespace, shared.volumes(cluster, sandbox, namespace, 3) as name:
        storage = {"class": name, "size": shared.SIZE}
        datacenter = Datacenter(namespace, variables={"cassandra_storage": storage})
        datacenter.deploy()
        with Workload(datacenter) as client, losses.reading_workers(datacenter):
            living = Living.meet(datacenter, client)
            node = datacenter.nodes[1]
            claim = namespace.get("pvc", f"data-{node}")["metadata"]["uid"]
            lost = faults.worker_of(datacenter, node)
            sandbox.kill_worker(lost)
            try:
                faults.wait_not_ready(datacenter, [lost])
                losses.refused(living, f"worker {lost} does not answer", f"-e heal_workers_off={lost}")
                result = losses.heal(living, heal_workers_off=[lost])
                assert faults.worker_of(datacenter, node) != lost
                assert losses.replaced(result, datacenter) == {}
                assert namespace.get("pvc", f"data-{node}")["metadata"]["uid"] == claim
                assert "cassops: replace" not in namespace.kubectl("logs", node)
                client.check("ALL")
            finally:
                sandbox.revive_worker(lost)
            losses.nothing_left(living)


@pytest.mark.parametrize(("rack", "way"), [("r1", "back"), ("r2", "back"), ("r2", "on")])
def test_half_way_through_an_upgrade_nothing_streams(
    namespaces: Namespaces, sandbox: Sandbox, rack: str, way: str
) -> None:
    """9. One node runs 5.0, and one of those on 4.1 loses its volume: refused until all run one line again.

    The canary is of rack r1: beside a lost node of its own rack it may go back, and no range loses its quorum. Beside
    one of another rack that is to be accepted, and requests fail for a while; no row is lost. So it is on the way on.
    """
    with namespaces.fresh(f"h-mixed-{rack}-{way}") as namespace:
        old = Datacenter(namespace, racks={"r1": 2, "r2": 1, "r3": 1}, variables={"cassandra_version": "4.1.10"})
        old.deploy()
        new = old.changed(cassandra_version="5.0.9")
        with Workload(old, elsewhere=True) as client:
            living = Living.meet(old, client)
            upgraded = new.run("upgrade", facts=True, **QUICK, rollout_pause_after="canary").ok()
            (canary,) = restarted(upgraded, new)
            assert canary == f"{old.prefix}-r1-1"
            lost = f"{old.prefix}-{rack}-0"
            with faults.stopped(old, lost):
                faults.Volume.of(old, lost).wipe()
            assert_held(living, {lost: "its volume is empty"})
            losses.refused(living, "finish the upgrade or take it back")
            empty = namespace.get("pvc", f"data-{lost}")["metadata"]["uid"]
            old.run("replace_node", replace_node_name=lost).refused("finish the upgrade or take it back")
            assert namespace.get("pvc", f"data-{lost}")["metadata"]["uid"] == empty
            assert_held(living, {lost: "its volume is empty"})
            if way == "on":
                finish_without(new, replace(living, datacenter=new), lost)
                return
            new.run("restart", **QUICK, rollout_rollback=True, rollout_gate_timeout=5).refused(f"{lost} is held")
            accepted = {}
            if rack != "r1":
                alone = new.run("restart", **QUICK, rollout_rollback=True, rollout_without=lost)
                alone.refused("would keep 1 of 3 replicas", "rollout_accept_outage: system_auth,workload")
                accepted = {"rollout_accept_outage": "system_auth,workload"}
            result = restart(new, rollout_rollback=True, rollout_without=lost, **accepted)
            assert restarted(result, new) == [canary]
            assert list(losses.replaced(losses.heal(living), old)) == [lost]
            client.check("ALL")
            old.deploy()
            assert restarted(restart(old), old) == []
            assert identities(old.wait_up()) == identities(living.members)


def finish_without(new: Datacenter, living: Living, lost: str) -> None:
    """The playbook upgrade, whose deploy does not wait for the lost node; then it is replaced."""
    canary = f"{new.prefix}-r1-1"
    new.run("upgrade", **QUICK).refused(f"{lost} is held")
    without = {**QUICK, "rollout_without": lost}
    new.run("upgrade", **without).refused(
        f"{lost} is lost, as you said, and was not waited for",
        "would keep 1 of 3 replicas",
        "rollout_accept_outage: system_auth,workload",
    )
    result = new.run("upgrade", facts=True, **without, rollout_accept_outage="system_auth,workload").ok()
    assert sorted(restarted(result, new)) == sorted({*new.nodes} - {canary, lost})
    assert list(losses.replaced(losses.heal(living), new)) == [lost]
    living.client.check("ALL")
    new.run("upgrade").ok()
    assert set(rollouts.versions(new).values()) == {"5.0.9"}
    assert identities(new.wait_up()) == identities(living.members)
