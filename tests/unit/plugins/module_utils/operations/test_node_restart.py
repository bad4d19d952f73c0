# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any, cast

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.fake_cassandra import FakeCassandra
from unit.plugins.module_utils.fake_kube import FakeKube
from unit.plugins.module_utils.operations.rolling import CHANGED, OPTIONS, Rolling

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context, Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecTimeout, Unreachable
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Locked, LockLost
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    cluster,
    compacting,
    lock,
    node_restart,
    patience,
    rollout_plan,
    sstable_upgrade,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import NodeView

NODE, ABOVE = "shop-dc1-r2-0", "shop-dc1-r2-1"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Rolling:
    return Rolling.deployed(monkeypatch)


# --- one batch --------------------------------------------------------------------------------------------------------


def test_named_nodes_are_restarted_together(world: Rolling) -> None:
    result = world.run(node_restart, nodes=["r2-0", ABOVE], force=True)
    assert (result["changed"], result["nodes"]) == (True, [ABOVE, NODE])
    assert world.kube.made == {NODE: 1, ABOVE: 1}
    world.assert_whole()


def test_nodes_that_wait_for_nothing_are_left_alone(world: Rolling) -> None:
    assert world.run(node_restart, nodes=[NODE])["changed"] is False
    assert not world.kube.made


def test_no_nodes_is_nothing_but_tidying_up(world: Rolling) -> None:
    assert world.run(node_restart)["changed"] is False


def test_check_mode(world: Rolling) -> None:
    writes = len(world.kube.writes)
    assert world.run(node_restart, check=True, nodes=[NODE], force=True)["nodes"] == [NODE]
    assert len(world.kube.writes) == writes


def refused(world: Rolling, **options: Any) -> str:
    with pytest.raises(CassopsError) as caught:
        world.run(node_restart, **options)
    assert not world.kube.made
    return str(caught.value)


def test_nodes_that_are_not_there(world: Rolling) -> None:
    assert "there is no node r9-9; there are shop-dc1-r1-0" in refused(world, nodes=["r9-9"])


def test_nodes_of_two_racks(world: Rolling) -> None:
    told = refused(world, nodes=["r1-0", "r2-0"], force=True)
    assert "nodes of several racks never restart together; these are of r1, r2" in told


def test_a_node_that_kubernetes_would_not_release_alone(world: Rolling) -> None:
    world.deploy(**CHANGED)
    assert f"others above {NODE} would restart too;" in refused(world, nodes=[NODE])
    assert world.run(node_restart, nodes=[NODE, ABOVE])["nodes"] == [ABOVE, NODE]


def test_two_nodes_that_may_not_be_down_together(world: Rolling) -> None:
    """Four replicas in three racks: a rack holds two of some ranges, and the quorum spares one."""
    world.ring.replication["shop"] = {"class": "org.apache.cassandra.locator.SimpleStrategy", "replication_factor": "4"}
    told = refused(world, nodes=["r2-0", "r2-1"], force=True)
    assert "keyspace shop" in told
    assert "QUORUM needs 3" in told


# --- what is more than a restart --------------------------------------------------------------------------------------


def refused_unwritten(world: Rolling, **options: Any) -> str:
    """It says the same in check mode; nothing restarts, and nothing is released."""
    partitions = world.partitions()
    told = refused(world, **options)
    with pytest.raises(CassopsError) as foreseen:
        world.run(node_restart, check=True, **options)
    assert (str(foreseen.value), world.partitions()) == (told, partitions)
    return told


def test_another_line_is_no_mere_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Rolling.deployed(monkeypatch, version="4.1.10")
    world.deploy(version="5.0.9")
    told = refused_unwritten(world, nodes=["r2-1"])
    assert "what is pending is no mere restart: Cassandra 4.1.10 to 5.0.9. Run the playbook upgrade" in told
    assert refused_unwritten(world, nodes=["r2-1"], force=True) == told


def test_a_step_of_the_storage_format_is_no_mere_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    world.deploy(version="5.0.9")
    world.roll(upgrade=True)
    world.kube.made.clear()
    world.deploy(version="5.0.9", config={"storage_compatibility_mode": "NONE"})
    told = refused_unwritten(world, nodes=[NODE])
    assert "storage_compatibility_mode CASSANDRA_4 to NONE. Run the playbook upgrade" in told


def test_a_node_that_waits_for_nothing_restarts_half_way_through_an_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary comes back as it is."""
    world = Rolling.deployed(monkeypatch, version="4.1.10")
    world.deploy(version="5.0.9")
    world.roll(upgrade=True, pause_after="canary")
    canary = "shop-dc1-r1-1"
    assert world.run(node_restart, nodes=[canary], force=True)["nodes"] == [canary]
    assert {pod for pod, member in world.ring.members.items() if member.version == "5.0.9"} == {canary}


def test_a_patch_is_a_mere_restart(world: Rolling) -> None:
    world.deploy(version="5.0.9")
    assert world.run(node_restart, nodes=[ABOVE])["nodes"] == [ABOVE]
    assert world.ring.members[ABOVE].version == "5.0.9"


def test_a_leap_to_tls_between_nodes(world: Rolling) -> None:
    files = {"keystore": "/tls/tls-combined.pem", "truststore": "/tls/ca.crt"}
    options = {"internode_encryption": "all", "optional": False, **files}
    world.deploy(config={"server_encryption_options": options})
    assert "would call shop-dc1-r1-0 by TLS, and it takes none" in refused_unwritten(world, nodes=[ABOVE])


def replicated(world: Rolling, replicas: int) -> None:
    strategy = "org.apache.cassandra.locator.NetworkTopologyStrategy"
    world.ring.replication["shop"] = {"class": strategy, "dc1": str(replicas)}


@pytest.mark.parametrize("replicas", [1, 2])
def test_keyspaces_that_lose_their_quorum(world: Rolling, replicas: int) -> None:
    replicated(world, replicas)
    told = refused_unwritten(world, nodes=[NODE], force=True)
    assert "keyspace shop: with " in told
    assert "or accept it with low_rf: warn" in told
    assert world.run(node_restart, nodes=[NODE], force=True, low_rf="warn")["nodes"] == [NODE]
    assert any(text.startswith("keyspace shop: with ") for text in world.warnings)
    assert world.run(node_restart, nodes=[NODE], force=True, low_rf="ignore")["nodes"] == [NODE]


def test_keyspaces_that_lose_nothing_by_a_node_that_is_down_already(world: Rolling) -> None:
    replicated(world, 1)
    world.deploy(**CHANGED)
    volumes = world.kube.one("StatefulSet", "shop-dc1-r2")["spec"]["template"]["spec"]["volumes"]
    world.kube.deadly.add(next(item["configMap"]["name"] for item in volumes if item["name"] == "config"))
    with pytest.raises(CassopsError, match=f"{ABOVE} crashed"):
        world.run(node_restart, nodes=[ABOVE], low_rf="warn")
    world.deploy(config={"concurrent_reads": 96})
    assert world.run(node_restart, nodes=[ABOVE])["nodes"] == [ABOVE]


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_the_plan_is_told_and_nothing_is_written(world: Rolling) -> None:
    world.deploy(**CHANGED)
    writes = len(world.kube.writes)
    result = world.run(rollout_plan, max_unavailable="50%", show=True)
    assert (result["changed"], len(result["batches"])) == (False, 6)
    assert len(world.kube.writes) == writes
    assert world.shown == result["report"]
    assert (result["upgrade"], result["snapshot_name"], result["snapshot_missing"]) == (None, None, [])


def test_the_plan_of_an_upgrade_names_its_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Rolling.deployed(monkeypatch, 1, version="4.1.10")
    world.deploy(version="5.0.9")
    world.ring.busy[NODE].snapshots.append("before-5.0.9-2")
    result = world.run(rollout_plan)
    assert result["upgrade"] == "Cassandra 4.1.10 to 5.0.9"
    assert (result["snapshot_name"], result["snapshot_ttl"]) == ("before-5.0.9-2", True)
    assert result["snapshot_missing"] == ["shop-dc1-r1-0", "shop-dc1-r3-0"]
    assert any("has no snapshot before-5.0.9-2" in reason for reason in result["gates"])


# --- several datacenters ----------------------------------------------------------------------------------------------


def test_a_neighbour_that_cannot_be_reached_is_an_error(world: Rolling) -> None:
    def connect(params: Any) -> Kube:
        if params.get("namespace") == "far":
            raise Unreachable("no route to host.")
        return cast(Kube, world.kube)

    params = {**OPTIONS, "peers": [{"datacenter": "dc2", "namespace": "far"}]}
    with pytest.raises(CassopsError, match=r"datacenter dc2 of the cluster cannot be looked at: no route to host\."):
        cluster.Cluster(params, Context(connect=connect))


def test_a_neighbour_that_does_not_run_is_left_out(world: Rolling) -> None:
    empty = FakeKube(FakeCassandra(), "far")
    kubes = {"far": empty}
    params = {**OPTIONS, "peers": [{"datacenter": "dc2", "namespace": "far"}]}
    ctx = Context(connect=lambda options: cast(Kube, kubes.get(str(options.get("namespace")), world.kube)))
    assert cluster.Cluster(params, ctx).peers == []


# --- the lock over several tasks --------------------------------------------------------------------------------------


class Server:
    host = "https://api"


@pytest.fixture
def locked(world: Rolling) -> Rolling:
    world.kube.server = Server()  # type: ignore[attr-defined]
    return world


def hold(world: Rolling, holder: str = "me pid 1", check: bool = False, **options: Any) -> dict[str, Any]:
    ctx = replace(world.context(check), holder=holder)
    return lock.run({"cluster": "shop", "state": "present", "wait": 0.0, "peers": [], **options}, ctx)


def test_the_lock_is_taken_kept_and_let_go(locked: Rolling) -> None:
    assert hold(locked)["changed"] is True
    assert hold(locked)["changed"] is False
    with pytest.raises(Locked, match="me pid 1"):
        hold(locked, holder="you pid 2")
    assert hold(locked, state="absent")["changed"] is True
    assert hold(locked, state="absent")["changed"] is False
    assert hold(locked, holder="you pid 2")["changed"] is True


def test_the_lock_in_check_mode(locked: Rolling) -> None:
    writes = len(locked.kube.writes)
    assert hold(locked, check=True) == {"changed": True, "holder": "me pid 1", "name": "shop-lock"}
    assert len(locked.kube.writes) == writes


def test_another_tasks_end_leaves_it_held(locked: Rolling) -> None:
    hold(locked)
    ctx = replace(locked.context(), holder="me pid 1")
    defaults = {name: spec.get("default") for name, spec in node_restart.ARGUMENT_SPEC.items()}
    node_restart.run({**defaults, **OPTIONS, "nodes": [NODE], "force": True}, ctx)
    with pytest.raises(Locked):
        hold(locked, holder="you pid 2")


# --- when waiting makes no sense --------------------------------------------------------------------------------------


def test_patience_is_lost_when_a_fault_lasts(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a node that is held Kubernetes only says the same: it is not told twice."""
    node = replace(views.nodes()[0], held="the volume is empty")
    event = {"reason": "Unhealthy", "message": "held: the volume is empty", "type": "Warning"}
    world.kube.put({"kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"name": node.pod}, **event})
    lost = patience.Patience(cast(Kube, world.kube))
    assert lost.lost([node]) == []
    monkeypatch.setattr(patience, "LASTING", -1.0)
    assert lost.lost([node]) == [f"{node.pod} is held: the volume is empty"]
    assert lost.lost([replace(node, held=None)]) == []


def test_a_container_beside_cassandra_that_ends_again_and_again(
    world: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps the node from being ready, so the wait would last to its limit."""
    monkeypatch.setattr(patience, "LASTING", -1.0)
    node = replace(views.nodes()[0], ready=False, reason="its container backup ended with exit code 1 (Error)")
    (told,) = patience.Patience(cast(Kube, world.kube)).lost([node])
    assert told == f"{node.pod} is not ready: its container backup ended with exit code 1 (Error)"
    own = replace(node, reason="its container ended with exit code 1 (Error)")
    assert patience.Patience(cast(Kube, world.kube)).lost([own]) == []


def test_a_pod_that_may_not_be_made(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    """No event is about a pod that does not exist; the StatefulSet's tell why."""
    monkeypatch.setattr(patience, "LASTING", -1.0)
    node = replace(views.nodes()[0], uid=None, ready=False, reason="it has no pod")
    lost = patience.Patience(cast(Kube, world.kube))
    assert lost.lost([node]) == [], "Kubernetes may be away for a while"
    rack = node.pod.rpartition("-")[0]
    for number, pod in enumerate((node.pod, f"{node.pod}0")):
        event = {"reason": "FailedCreate", "message": f"create Pod {pod} in {rack} failed: quota", "type": "Warning"}
        world.kube.put(
            {
                "kind": "Event",
                "metadata": {"name": f"e{number}"},
                "involvedObject": {"name": rack},
                "lastTimestamp": f"2026-01-0{number + 1}",
                **event,
            }
        )
    (told,) = lost.lost([node])
    assert told == (f"{node.pod} has no pod (Kubernetes: FailedCreate: create Pod {node.pod} in {rack} failed: quota)")


def test_what_counts_depends_on_who_asks(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LASTING", -1.0)
    node = replace(views.nodes()[0], ready=False, reason="it cannot be scheduled: 0/3 nodes are available")
    assert patience.Patience(cast(Kube, world.kube)).lost([node]) == []
    (told,) = patience.Patience(cast(Kube, world.kube), (patience.NO_WORKER,)).lost([node])
    assert told.startswith(f"{node.pod} cannot start: it cannot be scheduled")


def test_the_latest_warning_of_kubernetes_is_told(world: Rolling) -> None:
    for number, (kind, message) in enumerate([("Warning", "old"), ("Warning", "new"), ("Normal", "later")]):
        event = {"reason": "Why", "message": message, "type": kind, "lastTimestamp": f"2026-01-0{number + 1}"}
        world.kube.put({"kind": "Event", "metadata": {"name": str(number)}, "involvedObject": {"name": NODE}, **event})
    assert patience.last_event(cast(Kube, world.kube), NODE, "old") == " (Kubernetes: Why: new)"
    assert patience.last_event(cast(Kube, world.kube), NODE, "it is new") == ""
    assert patience.last_event(cast(Kube, world.kube), ABOVE, "") == ""


def test_the_log_is_told_once(world: Rolling) -> None:
    exits = {"phase": "Crashed", "restarts": 3, "backing_off": True, "reason": "exit code 3"}
    crashed = [replace(node, **exits) for node in views.nodes()]
    told = patience.Patience(cast(Kube, world.kube)).lost(crashed)
    assert [text.count("the last words") for text in told] == [1, 0, 0]


# --- SSTables ---------------------------------------------------------------------------------------------------------


def test_sstables_are_rewritten_node_by_node(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "wait_for", lambda done: None)
    result = world.run(sstable_upgrade, jobs=1, node_timeout=60)
    verbs = [(pod, verb) for pod, verb in world.ring.nodetool if verb[0] == "upgradesstables"]
    assert verbs == [(pod, ("upgradesstables", "-j", "1")) for pod in world.nodes]
    assert result["changed"] is True
    assert result["nodes"][0] == {"node": world.nodes[0], "before": {"nb": 4}, "after": {"oa": 4}}
    assert world.run(sstable_upgrade, jobs=1, node_timeout=60)["changed"] is False


def test_a_node_without_room_is_left_and_told(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "wait_for", lambda done: None)
    world.ring.busy[NODE].disk = (10_000, 1)
    with pytest.raises(CassopsError, match=f"{NODE} was left as it is"):
        world.run(sstable_upgrade, jobs=1, node_timeout=60)
    assert (NODE, ("upgradesstables", "-j", "1")) not in world.ring.nodetool


def rewritten(world: Rolling) -> list[str]:
    """The nodes that the verb was sent to, in order."""
    return [pod for pod, verb in world.ring.nodetool if verb[0] == "upgradesstables"]


def test_a_node_is_not_left_for_another_of_a_longer_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one begun without a look at its room, where only some of many nodes are asked."""
    world = Rolling.deployed(monkeypatch, 11)
    monkeypatch.setattr(compacting, "wait_for", lambda done: None)
    world.ring.busy["shop-dc1-r1-10"].disk = (10_000, 1)
    with pytest.raises(Failed) as caught:
        world.run(sstable_upgrade, jobs=1, node_timeout=60)
    assert [text.partition(" ")[0] for text in caught.value.errors] == ["shop-dc1-r1-10"]
    assert rewritten(world) == [pod for pod in world.nodes if pod != "shop-dc1-r1-10"]


def test_a_node_that_cannot_be_asked_is_left_and_told(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "wait_for", lambda done: None)
    world.ring.down.add(NODE)
    with pytest.raises(CassopsError, match=f"{NODE} was left as it is: it cannot be asked for its view"):
        world.run(sstable_upgrade, jobs=1, node_timeout=60)
    assert NODE not in rewritten(world)


class Cut:
    """The connection is cut while the first verb runs at a node, which goes on for some looks."""

    def __init__(self, world: Rolling, monkeypatch: pytest.MonkeyPatch, looks: float = 3, error: Any = None) -> None:
        self.world = world
        self.error = error or Unreachable("The connection was lost; whether it has ended is not known.")
        self.looks = looks
        self.left = 0.0
        self.run = nodetool.run
        monkeypatch.setattr(nodetool, "run", self.send)
        monkeypatch.setattr(compacting, "wait_for", lambda done: None)
        monkeypatch.setattr(compacting.Compacting, "tasks", lambda rewriting, pod: self.tasks())

    def send(self, kube: Any, pod: str, verbs: Any, *rest: Any, **options: Any) -> Any:
        assert verbs[0][0] != "upgradesstables" or self.left <= 0, f"a node still rewrites, and {pod} begins"
        told = self.run(kube, pod, verbs, *rest, **options)
        if verbs[0][0] == "upgradesstables" and rewritten(self.world) == [pod]:
            self.left = self.looks
            raise self.error
        return told

    def tasks(self) -> list[dict[str, Any]]:
        self.left -= 1
        return [{"kind": "upgrade sstables", "progress": 1, "total": 2**21}] if self.left >= 0 else []


def test_a_connection_that_is_lost_is_no_end_of_rewriting(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    Cut(world, monkeypatch)
    assert world.run(sstable_upgrade, jobs=1, node_timeout=60)["changed"] is True
    assert rewritten(world) == [world.nodes[0], *world.nodes]


def test_how_far_a_node_is_is_told_by_its_own_count(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked, begun = nodetool.run, threading.Event(), threading.Event()

    def send(kube: Any, pod: str, verbs: Any, *rest: Any, **options: Any) -> Any:
        if verbs[0][0] == "upgradesstables":
            begun.set()
            assert asked.wait(30), "nobody asked while it worked"
        return run(kube, pod, verbs, *rest, **options)

    def tasks(self: Any, pod: str) -> list[dict[str, Any]]:
        if not begun.is_set():
            return []
        asked.set()
        return [{"kind": "upgrade sstables", "progress": 2**20, "total": 2**21}]

    monkeypatch.setattr(nodetool, "run", send)
    monkeypatch.setattr(compacting.Compacting, "tasks", tasks)
    monkeypatch.setattr(compacting.Compacting, "wait_idle", lambda *rest: None)
    world.run(sstable_upgrade, jobs=1, node_timeout=60)
    assert f"{world.nodes[0]}: rewriting 1 tables, 50 % of 2 MiB" in world.said


def test_what_a_killed_run_left_rewriting_is_waited_for(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Cut(world, monkeypatch, looks=0)
    cut.left = 3
    world.run(sstable_upgrade, jobs=1, node_timeout=60)


def test_while_a_node_may_rewrite_no_other_begins(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    Cut(world, monkeypatch, error=ExecTimeout("nodetool was not done after 60 s and was ended."))
    with pytest.raises(Failed, match=r"ended\. It may go on with rewriting\. The nodes after it were left as they are"):
        world.run(sstable_upgrade, jobs=1, node_timeout=60)
    assert rewritten(world) == world.nodes[:1]


def test_a_node_that_does_not_tell_whether_it_rewrites(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(self: Any, pod: str) -> Any:
        raise Unreachable("no route to host.")

    monkeypatch.setattr(compacting, "SILENCE", -1.0)
    monkeypatch.setattr(compacting.Compacting, "tasks", silent)
    with pytest.raises(Failed, match=r"does not tell .* whether it is rewriting: no route to host"):
        world.run(sstable_upgrade, jobs=1, node_timeout=60)
    assert rewritten(world) == []


def test_a_run_whose_lock_is_lost_does_not_wait_for_the_verb(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, end = threading.Event(), threading.Event()

    def endless(*arguments: Any, **options: Any) -> Any:
        begun.set()
        end.wait(30)
        return []

    def check(self: cluster.Cluster) -> None:
        if begun.is_set():
            raise LockLost("The lock shop-lock is lost.")

    monkeypatch.setattr(nodetool, "run", endless)
    monkeypatch.setattr(cluster.Cluster, "check", check)
    monkeypatch.setattr(compacting, "wait_for", lambda done: begun.wait(30))
    began = time.monotonic()
    with pytest.raises(LockLost):
        world.run(sstable_upgrade, jobs=1, node_timeout=60)
    assert time.monotonic() - began < 20
    end.set()


def test_rewriting_in_check_mode(world: Rolling) -> None:
    assert world.run(sstable_upgrade, check=True)["changed"] is False
    assert not [verb for _pod, verb in world.ring.nodetool if verb[0] == "upgradesstables"]


@pytest.mark.parametrize(
    ("found", "mixed"), [({}, False), ({"oa": 3}, False), ({"nb": 1, "oa": 3}, True), ({"da": 1, "oa": 3}, False)]
)
def test_formats_of_more_than_one_age(found: dict[str, int], mixed: bool) -> None:
    assert sstable_upgrade.is_mixed(found) is mixed


# --- how far a start is -----------------------------------------------------------------------------------------------


def at(phase: str | None, uid: str | None = "new", ready: bool = False) -> list[NodeView]:
    return [replace(views.whole().nodes[0], uid=uid, phase=phase, ready=ready)]


def test_a_node_that_comes_on_is_progress() -> None:
    came = node_restart.Coming()
    old = {at("Running")[0].pod: "old"}
    marks = []
    for nodes in (
        at("Running", "old", ready=True),
        at("Terminating", "old"),
        at(None, None),
        at("Pending"),
        at("Running"),
        at("Running", ready=True),
    ):
        came.see(nodes, old)
        marks.append(came.mark())
    assert marks == [1, 2, 3, 4, 5, 6]


def test_a_node_that_crashes_again_and_again_is_none() -> None:
    came = node_restart.Coming()
    for nodes in (at("Running"), at("Crashed")):
        came.see(nodes, {})
    before = came.mark()
    for nodes in (at("Running", "newer"), at("Crashed", "newer")) * 3:
        came.see(nodes, {})
    assert came.mark() == before
