# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import LOOPBACK, OFF, OPEN, FakeCassandra
from unit.plugins.module_utils.fake_kube import FakeKube, Killed

from ansible_collections.cassops.kubernetes.plugins.module_utils import cql, manifests, nodetool, spec_parser
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError, SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import (
    Invalid,
    Right,
    Unreachable,
    WorkerUnreachable,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger, LedgerNode
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Locked, LockLost
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import Objects
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    datacenter,
    deploy_refusals,
    patience,
    removing,
    superuser,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.changes import with_hash
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.members import own_seeds
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.waiting import WaitedTooLong

FIRST, SECOND, THIRD = "shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"
WANTED: dict[str, Any] = {
    "cluster": "shop",
    "datacenter": "dc1",
    "version": "5.0.9",
    "racks": [{"name": f"r{number}", "zone": zone, "nodes": 1} for number, zone in enumerate("abc", 1)],
    "storage": {"size": "1Gi"},
    "state": "present",
    "peers": [],
    "wait_timeout": 5,
    "create_namespace": False,
    "delete_volumes": False,
    "variable_prefix": "cassandra_",
}


@dataclass
class World:
    """A ring, the namespaces that it lives in, and runs of the operation."""

    ring: FakeCassandra
    kube: FakeKube
    others: dict[str, FakeKube] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    runs: int = 0

    def run(self, check: bool = False, diff: bool = False, **changes: Any) -> dict[str, Any]:
        """One run; each by another process than the one before."""
        self.runs += 1
        self.said, self.warnings = [], []
        ctx = Context(
            check_mode=check,
            diff_mode=diff,
            progress=lambda text, important=False: self.said.append(text),
            holder=f"somebody@somewhere pid {self.runs}",
            warnings=self.warnings,
            connect=lambda params: cast(Kube, self.others.get(params.get("namespace") or "", self.kube)),
        )
        return datacenter.run({**WANTED, **changes}, ctx)

    def remove(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        return self.run(check, state="absent", **{"confirm": "dc1", **changes})

    def killed(self, lives: int, **changes: Any) -> bool:
        """A run that is killed before its write number C(lives); False if it ended before that."""
        self.kube.lives = lives
        try:
            self.run(**changes)
        except Killed:
            self.kube.revive()
            return True
        self.kube.lives = None
        return False

    def writes(self, since: int = 0) -> list[str]:
        """What was written, without the lock."""
        return [what for what in self.kube.writes[since:] if " Lease " not in what]

    def end_state(self) -> dict[str, Any]:
        """What must come out the same, however one got there (ids, passwords and addresses are random or given)."""
        ledger = self.kube.ledger()
        return {
            "objects": sorted(key for key in self.kube.objects if key[0] != "ControllerRevision"),
            "doors": dict(self.ring.doors),
            "ledger": (ledger.phase, ledger.first, ledger.tokens, ledger.replace, ledger.born_version),
            "nodes": sorted(ledger.nodes),
            "host ids known": all(
                node.host_id == self.kube.disks[f"data-{pod}"].host_id for pod, node in ledger.nodes.items()
            ),
            "seeds": len(ledger.seeds),
            "partitions": {
                name: self.kube.one("StatefulSet", name)["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
                for name in self.kube.names("StatefulSet")
            },
            "configuration": {pod: configuration_of(self.kube, pod) for pod in self.kube.names("Pod")},
            "roles": {name: (role.login, role.superuser) for name, role in self.ring.roles.items()},
            "replication": self.ring.replication,
            "default login": self.ring.default_login_works,
        }


def configuration_of(kube: FakeKube, pod: str) -> str:
    volumes = kube.one("Pod", pod)["spec"]["volumes"]
    return next(str(item["configMap"]["name"]) for item in volumes if item["name"] == "config")


def password_of(kube: FakeKube, name: str = "shop-superuser") -> str:
    return base64.b64decode(kube.one("Secret", name)["data"]["password"]).decode()


def never_open_to_the_default_login(ring: FakeCassandra) -> None:
    """Checked after every write and at every look: another pod that keeps trying cassandra/cassandra never gets in."""
    assert not (ring.default_login_works and OPEN in ring.doors.values()), ring.doors


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    """Makes worlds in which nothing has happened; the clients lead to the one that was made last."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def make() -> World:
        ring = FakeCassandra().install(monkeypatch)
        kube = FakeKube(ring)
        kube.after_write = lambda: never_open_to_the_default_login(ring)
        return World(ring, kube)

    return make


@pytest.fixture
def world(worlds: Callable[[], World]) -> World:
    return worlds()


@pytest.fixture
def deployed(world: World) -> World:
    world.run()
    return world


def killed_before(worlds: Callable[[], World], what: str, **changes: Any) -> World:
    """A world whose first run was killed just before its first write that begins like this."""
    if what not in LIVES:
        counted = worlds()
        counted.run(**changes)
        LIVES[what] = position(counted.kube.writes, what)
    world = worlds()
    assert world.killed(LIVES[what], **changes)
    return world


# How many writes of a first run come before one; always the same.
LIVES: dict[str, int] = {}


def position(writes: list[str], what: str) -> int:
    return next(number for number, text in enumerate(writes) if text.startswith(what))


# --- the first deploy -------------------------------------------------------------------------------------------------


def test_a_first_deploy_ends_with_a_datacenter_that_serves(world: World) -> None:
    result = world.run()
    assert result["changed"] is True
    assert (result["phase"], result["nodes"], result["pending_restart"]) == ("running", [FIRST, SECOND, THIRD], [])
    assert result["connection"] == {
        "service": "shop-dc1.ns.svc",
        "port": 9042,
        "secret": "shop-superuser",
        "namespace": "ns",
        "datacenter": "dc1",
        "forward": "kubectl -n ns port-forward service/shop-dc1 9042",
    }
    assert world.ring.doors == dict.fromkeys((FIRST, SECOND, THIRD), OPEN)
    assert not world.ring.default_login_works
    assert world.ring.roles["shop-superuser"].password == password_of(world.kube)
    assert world.warnings == []


def test_what_the_ledger_knows_in_the_end(deployed: World) -> None:
    ledger = deployed.kube.ledger()
    assert ledger.phase == "running"
    assert ledger.first == FIRST
    assert {pod: node.host_id for pod, node in ledger.nodes.items()} == {
        pod: deployed.kube.disks[f"data-{pod}"].host_id for pod in (FIRST, SECOND, THIRD)
    }
    assert ledger.seeds == tuple(ledger.nodes[pod].address for pod in (FIRST, SECOND, THIRD))
    assert ledger.born_version == "5.0.9"


def test_the_order_of_a_first_deploy(deployed: World) -> None:
    """What a pod needs is there before it; the login is closed before any door is open."""
    writes = deployed.writes()
    order = [
        "create Secret shop-superuser",
        "apply Service shop-dc1-r1-0",
        "apply ConfigMap shop-dc1-ledger",
        "apply ConfigMap shop-dc1-config-",
        "apply StatefulSet shop-dc1-r1",
        "CREATE ROLE shop-superuser",
        "ALTER KEYSPACE system_auth",
        "ALTER ROLE cassandra",
        "nodetool enablebinary",
    ]
    assert [position(writes, what) for what in order] == sorted(position(writes, what) for what in order)
    last_service = max(number for number, text in enumerate(writes) if text.startswith("apply Service"))
    assert last_service < position(writes, "apply ConfigMap shop-dc1-ledger")
    turned = max(number for number, text in enumerate(writes) if text == "apply ConfigMap shop-dc1-ledger")
    assert position(writes, "ALTER ROLE cassandra") < turned < position(writes, "nodetool enablebinary")
    assert writes.count(f"open {FIRST}") == 1
    assert not [text for text in writes if text.startswith("delete Pod")]


def test_every_object_is_sent_once_and_the_ledger_when_it_says_more(deployed: World) -> None:
    writes = deployed.writes()
    for name in ("shop-dc1-nodes", "shop-dc1", FIRST, SECOND, THIRD):
        assert writes.count(f"apply Service {name}") == 1
    assert writes.count("apply ConfigMap shop-dc1-ledger") == 2


def test_doors_before_the_superuser_stands(worlds: Callable[[], World]) -> None:
    world = killed_before(worlds, "CREATE ROLE")
    assert world.ring.doors == {FIRST: LOOPBACK, SECOND: OFF, THIRD: OFF}
    assert world.kube.ledger().phase == "new"


def partitions(world: World) -> list[int]:
    sets = [world.kube.one("StatefulSet", name) for name in world.kube.names("StatefulSet")]
    return [item["spec"]["updateStrategy"]["rollingUpdate"]["partition"] for item in sets]


def test_the_partition_is_zero_until_the_datacenter_runs(worlds: Callable[[], World]) -> None:
    """A first start can be corrected; later a pod that comes back by itself comes back as it was."""
    world = killed_before(worlds, "CREATE ROLE")
    assert partitions(world) == [0, 0, 0]
    world.run()
    assert partitions(world) == [1, 1, 1]


def test_a_secret_that_somebody_made_is_used(world: World) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in (("username", "me"), ("password", "it's"))}
    world.kube.put({"kind": "Secret", "metadata": {"name": "mine"}, "data": data})
    world.run(superuser_secret="mine")
    assert world.ring.roles["me"].password == "it's"
    assert world.kube.names("Secret") == ["mine"]
    assert world.kube.ledger().hash_rounds is None


@pytest.mark.parametrize(("edited", "rounds"), [(None, 4), ("letmein", None)])
def test_only_a_random_password_is_hashed_cheaply(
    worlds: Callable[[], World], edited: str | None, rounds: int | None
) -> None:
    """Somebody may put a password of their own into the Secret that a run made before it died."""
    world = killed_before(worlds, "apply ConfigMap shop-dc1-ledger")
    if edited:
        world.kube.one("Secret", "shop-superuser")["data"]["password"] = base64.b64encode(edited.encode()).decode()
    world.run()
    assert world.kube.ledger().hash_rounds == rounds


def test_a_password_of_ones_own_that_came_too_late_is_warned_of(worlds: Callable[[], World]) -> None:
    """The doorkeeper runs already, and hashes cheaply."""
    world = killed_before(worlds, "CREATE ROLE")
    assert world.kube.ledger().hash_rounds == 4
    world.kube.one("Secret", "shop-superuser")["data"]["password"] = base64.b64encode(b"letmein").decode()
    world.run()
    assert any("hashed with 2^4 rounds" in text and "ALTER ROLE" in text for text in world.warnings)


def test_tokens_count_for_the_first_start_only(world: World) -> None:
    """Later the datacenter has other nodes than they name, as after scale."""
    tokens = {f"r{number}-0": [100 * number + count for count in range(16)] for number in range(1, 4)}
    fewer = {"tokens": {"r1-0": tokens["r1-0"]}}
    assert any("cassandra_tokens: has no node r2-0" in text for text in refused(world, **fewer))
    world.run(tokens=tokens)
    assert world.ring.members[SECOND].tokens == tuple(tokens["r2-0"])
    assert world.run(**fewer)["changed"] is False
    assert any("cassandra_tokens: has no node" in text for text in refused(world, **fewer, config={"num_tokens": "x"}))


def test_a_ledger_that_kubernetes_cannot_store_is_refused_before_anything_is_made(world: World) -> None:
    racks = [{"name": f"r{number}", "nodes": 100} for number in (1, 2, 3)]
    (reason,) = [text for text in refused(world, racks=racks, config={"num_tokens": 256}) if "num_tokens" in text]
    assert "makes 76800 tokens for 300 nodes" in reason
    nodes = [f"shop-production-europe-dc1-rack-a-{number}" for number in range(deploy_refusals.MAX_TOKENS // 150)]
    most = Ledger(
        id="01234567-89ab-cdef-0123-456789abcdef",
        cluster="shop",
        datacenter="dc1",
        born_version="5.0.9",
        nodes={node: LedgerNode(node, "198.18.200.200", "01234567-89ab-cdef-0123-456789abcdef") for node in nodes},
        tokens=dict.fromkeys(nodes, (-(2**63),) * 150),
    )
    assert sum(map(len, most.to_data().values())) < 2**20


def test_a_namespace_is_made_only_where_it_was_asked_for(world: World) -> None:
    world.kube.exists = False
    with pytest.raises(SpecError, match="namespace ns does not exist"):
        world.run()
    assert world.kube.writes == []
    result = world.run(create_namespace=True)
    assert result["changes"][0] == "create Namespace ns"
    assert world.kube.writes[0] == "create Namespace ns"


def test_six_nodes_start_at_once(world: World) -> None:
    racks = [{**rack, "nodes": 2} for rack in WANTED["racks"]]
    world.run(racks=racks, allow_shared_workers=True)
    assert len(world.ring.members) == 6
    assert world.ring.nodetool.count((f"{SECOND}", ("enablebinary",))) == 1
    assert len([verb for _pod, verb in world.ring.nodetool if verb == ("enablebinary",)]) == 5


# --- again ------------------------------------------------------------------------------------------------------------


def test_a_second_run_changes_nothing_but_the_lock(deployed: World) -> None:
    before, writes = deployed.end_state(), len(deployed.kube.writes)
    result = deployed.run()
    assert (result["changed"], result["changes"]) == (False, [])
    assert deployed.writes(writes) == []
    assert deployed.kube.writes[writes:] == ["replace Lease shop-lock", "replace Lease shop-lock"]
    assert deployed.end_state() == before


def test_what_somebody_took_away_is_made_again(deployed: World) -> None:
    deployed.kube.objects.pop(("PodDisruptionBudget", "shop-dc1"))
    deployed.kube.objects.pop(("Service", "shop-dc1"))
    result = deployed.run()
    assert sorted(result["changes"]) == ["create PodDisruptionBudget shop-dc1", "create Service shop-dc1"]


def test_a_deleted_service_gets_the_address_that_it_had(deployed: World) -> None:
    address = deployed.kube.one("Service", SECOND)["spec"]["clusterIP"]
    deployed.kube.objects.pop(("Service", SECOND))
    deployed.run()
    assert deployed.kube.one("Service", SECOND)["spec"]["clusterIP"] == address
    assert deployed.warnings == []


def test_pods_that_come_back_are_waited_for(deployed: World) -> None:
    deployed.kube.slow = 4
    deployed.kube.stop(SECOND)
    deployed.kube.control("shop-dc1-r2")
    assert deployed.run()["changed"] is False
    assert deployed.ring.doors[SECOND] == OPEN


# --- configuration ----------------------------------------------------------------------------------------------------


def test_a_new_configuration_restarts_nothing(deployed: World) -> None:
    uids = {pod: deployed.kube.one("Pod", pod)["metadata"]["uid"] for pod in deployed.kube.names("Pod")}
    result = deployed.run(config={"concurrent_reads": 64})
    assert result["pending_restart"] == [FIRST, SECOND, THIRD]
    assert {pod: deployed.kube.one("Pod", pod)["metadata"]["uid"] for pod in deployed.kube.names("Pod")} == uids
    assert partitions(deployed) == [1, 1, 1]
    assert deployed.run(config={"concurrent_reads": 64})["changed"] is False


def test_a_pod_that_comes_back_by_itself_keeps_its_configuration(deployed: World) -> None:
    old = configuration_of(deployed.kube, FIRST)
    deployed.run(config={"concurrent_reads": 64})
    deployed.kube.stop(FIRST)
    deployed.kube.control("shop-dc1-r1")
    assert configuration_of(deployed.kube, FIRST) == old
    assert old in deployed.kube.names("ConfigMap")


def test_configuration_goes_when_no_pod_uses_it(deployed: World) -> None:
    (old,) = {configuration_of(deployed.kube, pod) for pod in deployed.kube.names("Pod")}
    changed = {"config": {"concurrent_reads": 64}}
    deployed.run(**changed)
    for name in deployed.kube.names("StatefulSet"):
        # A rollout, rack by rack.
        assert old in deployed.kube.names("ConfigMap")
        assert deployed.run(**changed)["changed"] is False
        deployed.kube.one("StatefulSet", name)["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 0
        for _look in range(4):
            deployed.kube.kubelet()
        deployed.kube.one("StatefulSet", name)["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 1
    result = deployed.run(**changed)
    assert result["changes"] == [f"delete ConfigMap {old}, which no pod uses"]
    assert result["pending_restart"] == []
    assert old not in deployed.kube.names("ConfigMap")
    assert deployed.run(**changed)["changed"] is False


def test_configuration_of_other_datacenters_stays(deployed: World) -> None:
    other = {
        "app.kubernetes.io/name": "cassandra",
        "cassops.kubernetes/cluster": "shop",
        "cassops.kubernetes/datacenter": "dc2",
    }
    deployed.kube.put({"kind": "ConfigMap", "metadata": {"name": "shop-dc2-config-0", "labels": other}, "data": {}})
    deployed.run(config={"concurrent_reads": 64})
    assert "shop-dc2-config-0" in deployed.kube.names("ConfigMap")


def test_what_is_no_configuration_stays_whatever_the_cluster_is_called(world: World) -> None:
    """Plans of replacements and restores cannot be made again."""
    world.run(cluster="app-config")
    labels = world.kube.one("ConfigMap", "app-config-dc1-ledger")["metadata"]["labels"]
    plan = {"metadata": {"name": "app-config-dc1-replacement", "labels": labels}, "data": {"pod": "x"}}
    world.kube.put({"kind": "ConfigMap", **plan})
    assert world.run(cluster="app-config")["changes"] == []
    assert "app-config-dc1-replacement" in world.kube.names("ConfigMap")


def test_a_first_start_with_a_wrong_configuration_is_corrected(worlds: Callable[[], World]) -> None:
    """No pod was ever ready, so Kubernetes still takes the first revision for the current one."""
    wrong, right = {"config": {"concurrent_reads": 1}}, {"config": {"concurrent_reads": 64}}
    world = killed_before(worlds, "CREATE ROLE", **wrong)
    (bad,) = {configuration_of(world.kube, pod) for pod in world.kube.names("Pod")}
    result = world.run(**right)
    assert bad not in {configuration_of(world.kube, pod) for pod in world.kube.names("Pod")}
    assert result["pending_restart"] == []
    assert partitions(world) == [1, 1, 1]


def test_a_correction_that_is_killed_anywhere_is_finished_by_the_next(worlds: Callable[[], World]) -> None:
    """Wherever the second run ends, the doorkeeper must not come back with what was wrong."""
    wrong, right = {"config": {"concurrent_reads": 1}}, {"config": {"concurrent_reads": 64}}
    undisturbed = killed_before(worlds, "CREATE ROLE", **wrong)
    before = len(undisturbed.kube.writes)
    undisturbed.run(**right)
    for lives in range(len(undisturbed.kube.writes) - before):
        world = killed_before(worlds, "CREATE ROLE", **wrong)
        (bad,) = {configuration_of(world.kube, pod) for pod in world.kube.names("Pod")}
        assert world.killed(lives, **right), lives
        result = world.run(**right)
        assert bad not in {configuration_of(world.kube, pod) for pod in world.kube.names("Pod")}, lives
        assert (result["pending_restart"], partitions(world)) == ([], [1, 1, 1]), lives


# --- killed -----------------------------------------------------------------------------------------------------------


def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(worlds: Callable[[], World]) -> None:
    undisturbed = worlds()
    undisturbed.run()
    expected, count = undisturbed.end_state(), len(undisturbed.kube.writes)
    assert count > 25
    for lives in range(count):
        world = worlds()
        assert world.killed(lives), lives
        world.run()
        assert world.end_state() == expected, lives
        if lives % 5 == 0:
            assert world.run()["changed"] is False, lives


def test_runs_that_are_killed_again_and_again(worlds: Callable[[], World]) -> None:
    undisturbed = worlds()
    undisturbed.run()
    expected = undisturbed.end_state()
    for step in (1, 2, 3, 5, 8, 13):
        world = worlds()
        for turn in range(200):
            if not world.killed(step + turn + 2):
                break
        assert world.end_state() == expected, step


def test_a_change_that_is_killed_anywhere_is_finished_by_the_next(worlds: Callable[[], World]) -> None:
    changed = {"config": {"concurrent_reads": 64}, "resources": {"requests": {"cpu": "3"}}}

    def begun() -> World:
        world = worlds()
        world.run()
        return world

    undisturbed = begun()
    before = len(undisturbed.kube.writes)
    undisturbed.run(**changed)
    expected, count = undisturbed.end_state(), len(undisturbed.kube.writes) - before
    for lives in range(count):
        world = begun()
        assert world.killed(lives, **changed), lives
        world.run(**changed)
        assert world.end_state() == expected, lives


def test_before_any_node_is_made_everything_may_be_planned_anew(worlds: Callable[[], World]) -> None:
    world = killed_before(worlds, "apply StatefulSet shop-dc1-r1")
    assert world.kube.ledger().phase == "new"
    racks = [{"name": "one", "nodes": 1}, {"name": "two", "nodes": 1}]
    result = world.run(racks=racks)
    assert result["nodes"] == ["shop-dc1-one-0", "shop-dc1-two-0"]
    assert sorted(world.kube.ledger().nodes) == result["nodes"]


@pytest.mark.parametrize("check", [True, False])
def test_a_kubernetes_that_is_too_old_is_refused_where_something_would_be_made(deployed: World, check: bool) -> None:
    deployed.kube.server_version = "v1.28.3-gke.1203"
    assert deployed.run(check)["changed"] is False
    writes = deployed.writes()
    with pytest.raises(SpecError, match=r"Kubernetes v1\.28\.3-gke\.1203 is too old"):
        deployed.run(check, config={"concurrent_reads": 64})
    assert deployed.writes() == writes


# --- check mode -------------------------------------------------------------------------------------------------------


def test_check_mode_before_the_first_run_writes_nothing(world: World) -> None:
    result = world.run(check=True, diff=True)
    assert world.kube.writes == []
    assert result["changed"] is True
    assert world.kube.dry_runs
    assert "create Secret shop-superuser" in result["changes"]
    assert "create StatefulSet shop-dc1-r1" in result["changes"]
    assert "create ConfigMap shop-dc1-ledger" in result["changes"]
    assert {item["before"] for item in result["diff"]} == {""}
    assert not any(item["after_header"].startswith("Secret") for item in result["diff"])


def test_check_mode_in_a_namespace_that_would_be_made(world: World) -> None:
    world.kube.exists = False
    result = world.run(check=True, create_namespace=True)
    assert result["changes"][0] == "create Namespace ns"
    assert (world.kube.writes, world.kube.dry_runs) == ([], [])


def test_check_mode_on_an_unchanged_datacenter(deployed: World) -> None:
    writes = len(deployed.kube.writes)
    result = deployed.run(check=True, diff=True)
    assert (result["changed"], result["diff"], result["pending_restart"]) == (False, [], [])
    assert len(deployed.kube.writes) == writes


def test_check_mode_tells_the_lines_that_change_and_who_waits_for_a_restart(deployed: World) -> None:
    writes = len(deployed.kube.writes)
    result = deployed.run(check=True, diff=True, config={"concurrent_reads": 64})
    assert result["pending_restart"] == [FIRST, SECOND, THIRD]
    before, after = result["diff"][0]["before"].splitlines(), result["diff"][0]["after"].splitlines()
    assert set(after) - set(before) == {"    concurrent_reads: 64"}
    assert len(deployed.kube.writes) == writes


def bring_what_is_pending(deployed: World, pod: str) -> None:
    """As a rollout does, to the only node of a rack."""
    partition = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}
    deployed.kube.patch("StatefulSet", pod.rpartition("-")[0], partition)


def test_check_mode_knows_that_a_key_taken_away_needs_a_restart(deployed: World) -> None:
    deployed.run(pod_template={"metadata": {"annotations": {"team": "shop"}}})
    for pod in (FIRST, SECOND, THIRD):
        bring_what_is_pending(deployed, pod)
    result = deployed.run(check=True)
    assert result["changed"] is True
    assert result["pending_restart"] == [FIRST, SECOND, THIRD]


def test_check_mode_knows_the_pods_that_a_change_taken_back_never_reached(deployed: World) -> None:
    """Kubernetes gives them their revision again."""
    config = {"concurrent_reads": 64}
    deployed.run(config=config)
    bring_what_is_pending(deployed, FIRST)
    assert deployed.run(check=True, config=config)["pending_restart"] == [SECOND, THIRD]
    assert deployed.run(check=True)["pending_restart"] == [FIRST]
    assert deployed.run()["pending_restart"] == [FIRST]


def test_check_mode_tells_a_change_that_needs_no_restart(deployed: World) -> None:
    deployed.kube.objects.pop(("Service", "shop-dc1"))
    result = deployed.run(check=True)
    assert (result["changes"], result["pending_restart"]) == (["create Service shop-dc1"], [])


def test_check_mode_tells_a_change_of_the_ledger_alone(deployed: World) -> None:
    writes = len(deployed.kube.writes)
    told = deployed.run(check=True, self_replace=True)["changes"]
    assert told == ["update ConfigMap shop-dc1-ledger (data.self_replace)"]
    assert len(deployed.kube.writes) == writes
    assert deployed.run(self_replace=True)["changes"] == told
    assert deployed.run(check=True, self_replace=True)["changed"] is False


def test_check_mode_of_a_first_start_that_was_killed(worlds: Callable[[], World]) -> None:
    world = killed_before(worlds, "CREATE ROLE")
    writes = len(world.kube.writes)
    assert "finish the first start" in world.run(check=True)["changes"]
    assert len(world.kube.writes) == writes


# --- refused ----------------------------------------------------------------------------------------------------------


def refused(world: World, **changes: Any) -> list[str]:
    """The reasons; nothing was written, not even the lock."""
    writes = len(world.kube.writes)
    with pytest.raises(SpecError) as caught:
        world.run(**changes)
    assert len(world.kube.writes) == writes
    return caught.value.errors


def test_a_misspelt_key_hides_nothing_of_what_the_living_datacenter_refuses(world: World) -> None:
    kept = {"num_tokens": 8}
    world.run(storage={"size": "20Gi"}, config=kept)
    world.kube.missing_rights.append(Right("create", "Pod", "exec"))
    told = refused(world, storage={"size": "10Gi"}, version="4.1.10", config={**kept, "concurent_reads": 1})
    beginnings = (
        "cassandra_config.concurent_reads: ",
        "these credentials may not create pods/exec in namespace ns",
        "cassandra_storage.size: ",
        "cassandra_version: ",
    )
    assert len(told) == len(beginnings), "num_tokens is as it was"
    for text, words in zip(told, beginnings, strict=True):
        assert text.startswith(words)


def test_a_misspelt_key_hides_nothing_of_what_the_cluster_lacks(world: World) -> None:
    world.kube.missing_rights.append(Right("create", "Pod", "exec"))
    resources = {"requests": {"memory": "900Gi"}}
    told = refused(world, resources=resources, config={"concurent_reads": 1}, jvm_options="-Xmx1G")
    for words in (
        "cassandra_config.concurent_reads: ",
        "cassandra_jvm_options",
        "these credentials may not create pods/exec",
        "cassandra_resources.requests.memory: 900Gi fits on no worker of rack r1",
    ):
        assert any(text.startswith(words) for text in told), (words, told)


def test_a_namespace_that_will_be_made_is_not_missed_beside_an_error(world: World) -> None:
    world.kube.exists = False
    told = refused(world, create_namespace=True, config={"concurent_reads": 1})
    assert [text.split(":")[0] for text in told] == ["cassandra_config.concurent_reads"]


def test_where_kubernetes_does_not_answer_the_errors_of_the_values_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*arguments: Any, **options: Any) -> Any:
        raise Unreachable("no route to host")

    for verb in ("get", "list", "can"):
        monkeypatch.setattr(world.kube, verb, silent)
    told = refused(world, config={"concurent_reads": 1})
    assert [text.split(":")[0] for text in told] == ["cassandra_config.concurent_reads"]


def test_all_errors_at_once(world: World) -> None:
    racks = [{"name": "r1", "zone": "nowhere", "nodes": 0}, {"name": "r1", "nodes": 1}]
    told = refused(world, version="3.11.19", racks=racks, storage={"class": "quick"}, config={"concurent_reads": 1})
    beginnings = {text.split(":")[0] for text in told}
    assert {
        "cassandra_version",
        "cassandra_racks[0].nodes",
        "cassandra_racks[1].name",
        "cassandra_racks[0].zone",
        "cassandra_storage.size",
        "cassandra_storage.class",
    } <= beginnings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": {"concurent_reads": 1}}, "concurrent_reads"),
        ({"storage": {"size": "1Gi", "class": "quick"}}, "no StorageClass 'quick'"),
        ({"resources": {"requests": {"memory": "1Ti"}, "limits": {"memory": "1Ti"}}}, "fits on no worker"),
        ({"racks": [{"name": "r1", "zone": "a", "nodes": 9}]}, "9 nodes need as many workers"),
    ],
)
def test_a_first_deploy_that_cannot_work(world: World, changes: dict[str, Any], words: str) -> None:
    assert any(words in text for text in refused(world, **changes))


def test_missing_rights(world: World) -> None:
    world.kube.missing_rights = [Right("create", "Pod", "exec")]
    assert any("create pods/exec" in text for text in refused(world))


OTHER_DATACENTERS: list[tuple[dict[str, Any], str]] = [
    ({"racks": WANTED["racks"][:2]}, "rack r3 is gone"),
    ({"racks": [*WANTED["racks"], {"name": "r4", "nodes": 1}]}, "rack r4 is new"),
    ({"racks": [{**rack, "nodes": 2} for rack in WANTED["racks"]]}, "playbook scale"),
    ({"storage": {"size": "500Mi"}}, "cannot shrink"),
    ({"config": {"num_tokens": 8}}, "config.num_tokens"),
    ({"cluster": "other"}, "belongs to"),
]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        *OTHER_DATACENTERS,
        ({"racks": [{**rack, "zone": "a"} for rack in WANTED["racks"]]}, "volumes cannot follow"),
        ({"version": "4.1.10"}, "back to 4.1 is possible only while storage_compatibility_mode is CASSANDRA_4"),
        ({"address": "pod"}, "address: is service on the living nodes, got pod"),
    ],
)
def test_a_living_datacenter_is_not_made_another(deployed: World, changes: dict[str, Any], words: str) -> None:
    assert any(words in text for text in refused(deployed, **changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"racks": [{**rack, "nodes": 2, "zone": None} for rack in WANTED["racks"]]},
            [
                f"cassandra_racks[{number}].zone: the rack r{number + 1} lives in {zone}, got none"
                for number, zone in enumerate("abc")
            ]
            + [f"cassandra_racks[{number}].nodes: the rack r{number + 1} has 1 node, got 2" for number in range(3)],
        ),
        ({"storage": {"size": "500Mi"}}, ["cassandra_storage.size: the volumes have 1Gi, got 500Mi"]),
        ({"config": {"num_tokens": 8}}, ["cassandra_config.num_tokens: is 16 on the living nodes, got 8"]),
    ],
)
def test_one_that_never_served_is_made_another_by_destroying_it(
    worlds: Callable[[], World], changes: dict[str, Any], told: list[str]
) -> None:
    """Scale, which moves data, would send it back to deploy."""
    world = killed_before(worlds, "CREATE ROLE")
    *faults, advice = refused(world, **changes)
    assert faults == told
    assert "playbook destroy with -e destroy_confirm=dc1 -e destroy_volumes=true" in advice
    world.remove(delete_volumes=True)
    assert world.run(**{"allow_shared_workers": True, **changes})["phase"] == "running"


@pytest.mark.parametrize("left", ["nodes", "volumes"])
@pytest.mark.parametrize("changes", [{}, {"config": {"concurrent_reads": 16}}])
def test_a_datacenter_without_its_ledger_gets_no_new_identity(
    deployed: World, left: str, changes: dict[str, Any]
) -> None:
    """With another id in the ledger every volume's mark is wrong: the next start of each node would be held."""
    if left == "volumes":
        deployed.remove()
    ledger = deployed.kube.one("ConfigMap", "shop-dc1-ledger")
    deployed.kube.delete("ConfigMap", "shop-dc1-ledger", uid=ledger["metadata"]["uid"])
    before = len(deployed.kube.writes)
    assert any("the ledger of datacenter dc1" in text for text in refused(deployed, **changes))
    assert deployed.writes(before) == []
    deployed.kube.put(ledger)
    assert deployed.run()["phase"] == "running"


def test_another_line_of_cassandra_tells_the_present_names_of_keys(world: World) -> None:
    old = {"read_request_timeout_in_ms": 5000}
    world.run(version="4.0.19", config=old)
    assert not any("read_request_timeout" in text for text in world.warnings)
    world.run(version="4.1.10", config=old)
    assert any("instead write read_request_timeout: 5000ms" in text for text in world.warnings)


@pytest.mark.parametrize(("changes", "words"), OTHER_DATACENTERS)
def test_nor_is_one_that_left_its_volumes(deployed: World, changes: dict[str, Any], words: str) -> None:
    """Zones and version stood in the StatefulSets only."""
    deployed.remove()
    assert any(words in text for text in refused(deployed, **changes))


# --- the version where nothing runs -----------------------------------------------------------------------------------


def test_what_the_nodes_run_stands_in_the_ledger(deployed: World) -> None:
    assert (deployed.kube.ledger().version, deployed.kube.ledger().storage_mode) == ("5.0.9", "NONE")
    deployed.run(version="5.0.10")
    assert deployed.kube.ledger().version == "5.0.9"


@pytest.mark.parametrize(
    ("ran", "changes", "words"),
    [
        ({}, {"version": "4.1.10"}, "the datacenter runs 5.0.9, got 4.1.10; back to 4.1 is possible only while"),
        (
            {"version": "4.1.10"},
            {"version": "5.0.9"},
            "cassandra_version: the nodes ran 4.1.10 last, got 5.0.9; the StatefulSet of rack r1, r2, r3 is gone, and "
            "all nodes there would start with it at once: deploy 4.1.10, then run the playbook upgrade",
        ),
        ({"version": "4.1.10"}, {"version": "4.0.19"}, "an older line cannot read"),
        (
            {},
            {"config": {"storage_compatibility_mode": "CASSANDRA_4"}},
            "cassandra_config.storage_compatibility_mode: the nodes ran with NONE last, got CASSANDRA_4",
        ),
    ],
)
def test_nodes_without_pods_come_back_with_what_they_ran(
    world: World, ran: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    world.run(**ran)
    world.remove()
    (told,) = refused(world, **changes)
    assert words in told
    assert world.run(**ran)["phase"] == "running"


def test_nor_does_a_rack_without_its_stateful_set_come_back_with_another_line(world: World) -> None:
    world.run(version="4.1.10")
    world.kube.objects.pop(("StatefulSet", "shop-dc1-r2"))
    (told,) = refused(world, version="5.0.9")
    assert "the StatefulSet of rack r2 is gone" in told
    world.run(version="4.1.10")
    assert world.run(version="5.0.9")["pending_restart"] == [FIRST, SECOND, THIRD]


def test_a_patch_version_needs_no_pods(deployed: World) -> None:
    deployed.remove()
    assert deployed.run(version="5.0.8")["phase"] == "running"
    assert deployed.kube.ledger().version == "5.0.8"


def of_before(world: World) -> None:
    """The ledger as it was written before it knew the version."""
    before = replace(world.kube.ledger(), version="", storage_mode=None)
    world.kube.objects.pop(("ConfigMap", "shop-dc1-ledger"))
    world.kube.apply(with_hash(manifests.ledger_config_map(before)))


def test_a_ledger_of_before_learns_the_version(deployed: World) -> None:
    of_before(deployed)
    told = deployed.run(check=True)["changes"]
    assert deployed.run()["changes"] == told == ["update ConfigMap shop-dc1-ledger (data.storage_mode, data.version)"]
    assert "noted: the nodes run Cassandra 5.0.9 with storage_compatibility_mode NONE" in deployed.said
    assert deployed.run()["changed"] is False


def test_absent_notes_the_version_before_the_nodes_go(deployed: World) -> None:
    of_before(deployed)
    told = deployed.remove(check=True)
    assert deployed.kube.ledger().version == ""
    assert deployed.remove() == told
    assert deployed.kube.ledger().version == "5.0.9"
    assert deployed.remove()["changed"] is False


def test_absent_does_not_need_a_ledger_that_can_be_read(deployed: World) -> None:
    deployed.kube.one("ConfigMap", "shop-dc1-ledger")["data"]["phase"] = "odd"
    deployed.remove()
    assert any("which version the nodes ran was not noted" in text for text in deployed.warnings)
    assert deployed.kube.names("StatefulSet") == []


def test_a_running_datacenter_whose_secret_is_gone(deployed: World) -> None:
    """A new password would fit no role."""
    deployed.kube.objects.pop(("Secret", "shop-superuser"))
    assert any("Secret shop-superuser is gone" in text for text in refused(deployed))


@pytest.mark.parametrize("data", [{}, {"username": "bWU=", "password": ""}, {"password": "bWU="}])
def test_a_secret_that_is_no_login(world: World, data: dict[str, str]) -> None:
    world.kube.put({"kind": "Secret", "metadata": {"name": "mine"}, "data": data})
    words = "cassandra_superuser_secret: Secret mine needs the keys username and password; missing or empty:"
    assert any(words in text for text in refused(world, superuser_secret="mine"))


def test_names_that_somebody_else_has(world: World) -> None:
    world.kube.put({"kind": "Service", "metadata": {"name": "shop-dc1", "labels": {"app": "web"}}, "spec": {}})
    assert any("somebody else has Service shop-dc1" in text for text in refused(world))


@pytest.mark.parametrize("check", [False, True])
def test_names_that_somebody_else_has_got_since_the_first_deploy(deployed: World, check: bool) -> None:
    kube = deployed.kube
    kube.objects.pop(("Service", SECOND))
    spec = {"clusterIP": "10.96.0.9"}
    for kind, name in (("Service", SECOND), ("CronJob", "shop-dc1-repair")):
        kube.put({"kind": kind, "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec})
    before = copy.deepcopy(kube.objects)
    words = refused(deployed, check=check, repair={"schedule": "0 1 * * *", "schedule_image": "x/y:1"})
    assert words[0] == (
        f"in namespace ns somebody else has Service {SECOND}, CronJob shop-dc1-repair, and the datacenter needs the "
        "name: delete it there, or make it anew under another name"
    )
    assert kube.objects == before


def test_a_ledger_that_has_lost_its_labels_is_nobody_elses(deployed: World) -> None:
    """Who deleted it, as somebody else's, would delete which volumes are whose."""
    metadata = deployed.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"]
    metadata["labels"], metadata["annotations"] = {}, {}
    words = refused(deployed)
    assert any("(ConfigMap shop-dc1-ledger) is gone" in text for text in words)
    assert not any("somebody else has" in text for text in words)


@pytest.mark.parametrize("lost", [("cluster",), ("datacenter",), ("cluster", "datacenter")])
def test_what_lost_its_labels_gets_them_again(deployed: World, lost: tuple[str, ...]) -> None:
    labels = deployed.kube.one("Service", SECOND)["metadata"]["labels"]
    before = dict(labels)
    for name in lost:
        del labels[f"cassops.kubernetes/{name}"]
    assert deployed.run()["changes"] == [f"create Service {SECOND}"]
    assert deployed.kube.one("Service", SECOND)["metadata"]["labels"] == before


def test_only_what_is_to_be_made_is_looked_up(deployed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    get = deployed.kube.get
    monkeypatch.setattr(deployed.kube, "get", lambda kind, name: asked.append((kind, name)) or get(kind, name))
    deployed.run()
    assert {kind for kind, name in asked} <= {"Secret", "Lease"}
    asked.clear()
    deployed.run(config={"concurrent_reads": 64})
    (made,) = (name for kind, name in asked if kind not in ("Secret", "Lease", "Namespace"))
    assert made.startswith("shop-dc1-config-")


def test_a_cordoned_worker_does_not_stand_in_the_way_of_a_living_datacenter(deployed: World) -> None:
    deployed.kube.one("Node", "worker-c")["spec"] = {"unschedulable": True}
    assert deployed.run(config={"concurrent_reads": 64})["changed"] is True


# --- the lock ---------------------------------------------------------------------------------------------------------


def test_a_second_run_at_the_same_time_is_refused(worlds: Callable[[], World]) -> None:
    world = killed_before(worlds, "CREATE ROLE")
    # It is not dead: its last sign of life is a moment old.
    world.kube.clock -= 120
    writes = len(world.kube.writes)
    with pytest.raises(Locked, match="somebody@somewhere pid 1 holds the lock shop-lock"):
        world.run()
    assert len(world.kube.writes) == writes


def test_the_lock_is_let_go(deployed: World) -> None:
    assert deployed.kube.one("Lease", "shop-lock")["spec"]["holderIdentity"] == ""


def test_the_lock_is_let_go_after_a_failure(deployed: World) -> None:
    deployed.kube.stop(SECOND)
    deployed.kube.objects.pop(("StatefulSet", "shop-dc1-r2"))
    deployed.kube.slow = 10**9
    with pytest.raises(WaitedTooLong):
        deployed.run(wait_timeout=0)
    assert deployed.kube.one("Lease", "shop-lock")["spec"]["holderIdentity"] == ""


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_node_that_lost_its_volume_is_held_and_told(deployed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LASTING", -1.0)
    deployed.kube.disks.pop(f"data-{SECOND}")
    deployed.kube.stop(SECOND)
    deployed.kube.control("shop-dc1-r2")
    for changes in ({}, {"config": {"concurrent_reads": 16}}):
        # Also where something newer waits for it: that does not bring its data back.
        with pytest.raises(CassopsError, match=f"{SECOND} is held: .*its volume is empty.*Waiting does not help"):
            deployed.run(**changes)
    assert f"data-{SECOND}" not in deployed.kube.disks


def test_the_silent_worker_of_a_node_that_is_not_ready_is_told(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.kube.disks.pop(f"data-{SECOND}")
    deployed.kube.stop(SECOND)
    deployed.kube.control("shop-dc1-r2")
    answer = deployed.kube.exec

    def silent(pod: str, *arguments: Any, **options: Any) -> Any:
        if pod == SECOND:
            raise WorkerUnreachable("no route to host", 500)
        return answer(pod, *arguments, **options)

    monkeypatch.setattr(deployed.kube, "exec", silent)
    with pytest.raises(WaitedTooLong, match=f"{SECOND} is not ready: its worker .* does not answer"):
        deployed.run(wait_timeout=0)


def test_an_image_that_is_not_there_ends_the_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LASTING", -1.0)
    seen = world.kube.seen

    def without_image(item: dict[str, Any]) -> dict[str, Any]:
        shown = seen(item)
        if shown["kind"] == "Pod":
            waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
            shown["status"]["containerStatuses"] = [{"name": "cassandra", "restartCount": 0, "state": waiting}]
            shown["status"]["phase"] = "Pending"
        return shown

    monkeypatch.setattr(world.kube, "seen", without_image)
    with pytest.raises(CassopsError, match="cannot start: ImagePullBackOff: no such image"):
        world.run()


def unscheduled(world: World, monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    """The scheduler finds no worker for the pods."""
    monkeypatch.setattr(patience, "LASTING", -1.0)
    seen = world.kube.seen

    def waiting(item: dict[str, Any]) -> dict[str, Any]:
        shown = seen(item)
        if shown["kind"] == "Pod":
            scheduled = {"type": "PodScheduled", "status": "False", "message": message}
            shown["status"].update(phase="Pending", containerStatuses=[], conditions=[scheduled])
        return shown

    monkeypatch.setattr(world.kube, "seen", waiting)


def test_a_volume_in_another_zone_ends_the_wait_of_a_first_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.kube.one("StorageClass", "local")["volumeBindingMode"] = "Immediate"
    unscheduled(world, monkeypatch, "0/3 nodes are available: 3 node(s) had volume node affinity conflict.")
    with pytest.raises(CassopsError, match=r"cannot start: it cannot be scheduled: .* volume node affinity conflict"):
        world.run()
    assert any("makes volumes before their pods have a worker" in text for text in world.warnings)


def test_a_volume_with_data_may_wait_for_its_worker(deployed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    unscheduled(deployed, monkeypatch, "0/3 nodes are available: 3 node(s) had volume node affinity conflict.")
    with pytest.raises(WaitedTooLong, match="volume node affinity conflict"):
        deployed.run(wait_timeout=0)


def test_a_container_that_crashes_again_and_again_ends_the_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = world.kube.seen

    def crashing(item: dict[str, Any]) -> dict[str, Any]:
        shown = seen(item)
        if shown["kind"] == "Pod":
            status = {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 3}},
            }
            shown["status"]["containerStatuses"] = [{"name": "cassandra", "restartCount": 3, **status}]
        return shown

    monkeypatch.setattr(world.kube, "seen", crashing)
    with pytest.raises(CassopsError, match=r"crashed 3 times \(.*code 3.*\)\. The end of its log:\nthe last words"):
        world.run()


def test_a_node_that_somebody_sees_down_is_not_well(deployed: World) -> None:
    deployed.ring.down.add(SECOND)
    with pytest.raises(WaitedTooLong) as caught:
        deployed.run(wait_timeout=0)
    assert any(f"{FIRST} sees {SECOND} down" in reason for reason in caught.value.reasons)


def test_gc_grace_of_the_users_tables_goes_into_the_ledger(deployed: World) -> None:
    deployed.ring.replication["app"] = dict(deployed.ring.replication["system_auth"])
    deployed.ring.tables.append(("app", 172800))
    assert deployed.run()["changed"] is True
    assert deployed.kube.ledger().gc_grace_seconds == 172800
    assert "noted: gc_grace_seconds is 172800 at least, keyspaces with one replica are none" in deployed.said
    assert deployed.run()["changed"] is False


# --- a wrong password -------------------------------------------------------------------------------------------------


@pytest.fixture
def doubtless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal counts at the third look."""
    monkeypatch.setattr(superuser, "DOUBT", -1.0)


def forget_password(kube: FakeKube) -> None:
    kube.one("Secret", "shop-superuser")["data"]["password"] = base64.b64encode(b"letmein").decode()


@pytest.mark.usefixtures("doubtless")
def test_a_wrong_password_in_the_middle_of_a_first_start_ends_the_wait(worlds: Callable[[], World]) -> None:
    world = killed_before(worlds, "ALTER ROLE cassandra")
    world.ring.roles["cassandra"].login = False
    forget_password(world.kube)
    with pytest.raises(CassopsError, match=f"{FIRST} refuses the login of the superuser's Secret and the default"):
        world.run()


@pytest.mark.usefixtures("doubtless")
def test_a_default_login_that_comes_late_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that joins late gets its row, and writes it anew."""
    world.ring.roles["cassandra"].password = "not there yet"
    looks = []

    def status(kube: Any, pod: str) -> dict[str, bool]:
        looks.append(pod)
        joined = len(looks) == 4
        if joined:
            world.ring.roles["cassandra"].password = "cassandra"
        return {member.address: joined or name != SECOND for name, member in world.ring.members.items()}

    monkeypatch.setattr(nodetool, "status", status)
    assert world.run()["phase"] == "running"
    assert looks == [FIRST] * 4
    assert any("lets nobody in yet" in text for text in world.said)


@pytest.mark.usefixtures("doubtless")
def test_a_wrong_password_of_a_datacenter_that_runs_ends_the_wait(deployed: World) -> None:
    forget_password(deployed.kube)
    with pytest.raises(CassopsError, match=f"{SECOND}.* refuses the login of Secret shop-superuser: the superuser has"):
        deployed.run()


@pytest.mark.usefixtures("doubtless")
def test_a_wrong_password_of_a_further_datacenter_ends_the_wait(two: World) -> None:
    two.others["far"].put(copy.deepcopy(two.kube.one("Secret", "shop-superuser")))
    forget_password(two.others["far"])
    with pytest.raises(CassopsError, match=f"{FIRST} of datacenter dc1 refuses the login of Secret shop-superuser"):
        two.run(**SECOND_DC)


@pytest.mark.usefixtures("doubtless")
def test_nodes_that_cannot_read_a_login_call_none_wrong(deployed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kube: Any, pod: str, *arguments: Any, **options: Any) -> Any:
        raise cql.LoginRefused(f"{pod}: Unable to perform authentication: Cannot achieve consistency level QUORUM")

    monkeypatch.setattr(cql, "connect", refuse)
    with pytest.raises(WaitedTooLong, match="Unable to perform authentication"):
        deployed.run(wait_timeout=1)


# --- absent -----------------------------------------------------------------------------------------------------------


def test_absent_takes_the_name_with_its_clusters(deployed: World) -> None:
    assert deployed.remove(confirm="shop/dc1")["changed"]


@pytest.mark.parametrize("confirm", [None, "", "dc2", "shop", "blog/dc1", "shop/"])
def test_absent_needs_the_name_once_more(deployed: World, confirm: str | None) -> None:
    writes = len(deployed.kube.writes)
    with pytest.raises(CassopsError, match="repeat its name: option confirm"):
        deployed.remove(confirm=confirm, delete_volumes=True)
    assert len(deployed.kube.writes) == writes


def test_absent_keeps_volumes_ledger_and_secret(deployed: World) -> None:
    ledger = deployed.kube.ledger()
    deployed.remove()
    for kind in ("Pod", "StatefulSet", "Service", "PodDisruptionBudget"):
        assert deployed.kube.names(kind) == []
    assert deployed.kube.names("ConfigMap") == ["shop-dc1-ledger"]
    assert deployed.kube.names("PersistentVolumeClaim") == [f"data-{pod}" for pod in (FIRST, SECOND, THIRD)]
    assert deployed.kube.names("Secret") == ["shop-superuser"]
    assert without_pause(deployed.kube.ledger()) == ledger


def without_pause(ledger: Ledger) -> Ledger:
    return replace(ledger, stopped=None, closed=None, pause=None)


def test_nobody_is_held_for_having_been_away_while_all_were_destroyed(deployed: World) -> None:
    began = deployed.kube.clock
    deployed.remove()
    stopped = deployed.kube.ledger().stopped
    assert stopped is not None
    assert stopped >= began
    deployed.kube.clock += 30 * 86400
    assert deployed.remove()["changed"] is False
    deployed.run()
    ledger = deployed.kube.ledger()
    assert ledger.stopped is None
    assert ledger.pause is not None
    assert ledger.closed is not None
    assert ledger.pause[0] == stopped
    assert ledger.pause[1] >= began + 30 * 86400
    assert began <= ledger.closed <= stopped


def test_a_removal_that_goes_on_keeps_when_the_first_closed_its_nodes(deployed: World) -> None:
    """Its nodes have ended since then."""
    before = len(deployed.kube.writes)
    for lives in range(1, 60):
        if deployed.killed(lives, state="absent", confirm="dc1") and len(deployed.kube.names("StatefulSet")) == 2:
            break
    assert deployed.writes(before)
    closed = deployed.kube.ledger().closed
    deployed.kube.clock += 7200
    deployed.remove()
    assert closed is not None
    assert deployed.kube.ledger().closed == closed


def test_pods_whose_statefulset_is_gone_without_them_end_too(deployed: World) -> None:
    """As a run that made it again for its volumes leaves them where it is killed: nobody else would end them."""
    rack = FIRST.rpartition("-")[0]
    deployed.kube.delete(
        "StatefulSet", rack, deployed.kube.one("StatefulSet", rack)["metadata"]["uid"], propagation="Orphan"
    )
    assert FIRST in deployed.kube.names("Pod")
    assert f"delete Pod {FIRST}" in deployed.remove()["changes"]
    assert deployed.kube.names("Pod") == []
    assert deployed.remove()["changed"] is False


def test_a_destroyed_datacenter_of_several_was_no_pause(two: World) -> None:
    two.run(**SECOND_DC)
    two.remove(peers=[{"datacenter": "dc2", "namespace": "far"}])
    assert (two.kube.ledger().stopped, two.kube.ledger().closed) == (None, None)


def test_absent_keeps_what_tells_how_far_a_replacement_or_a_restore_is(deployed: World) -> None:
    plans = ("shop-dc1-replacement", "shop-dc1-restore")
    ours = deployed.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"]["labels"]
    for name in plans:
        deployed.kube.put({"kind": "ConfigMap", "metadata": {"name": name, "labels": ours}})
    deployed.remove()
    assert deployed.kube.names("ConfigMap") == ["shop-dc1-ledger", *plans]
    deployed.remove(delete_volumes=True)
    assert deployed.kube.names("ConfigMap") == []


def test_absent_stops_where_its_lock_is_lost(deployed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has it now may have begun to deploy: what is deleted by then would be theirs."""
    plain = removing.Removal.left

    def asleep(self: Any, kind: str) -> Any:
        self.lock._lost = "somebody holds it now"
        return plain(self, kind)

    monkeypatch.setattr(removing.Removal, "left", asleep)
    with pytest.raises(LockLost):
        deployed.remove(delete_volumes=True)
    assert deployed.kube.names("PersistentVolumeClaim") == [f"data-{pod}" for pod in (FIRST, SECOND, THIRD)]


def test_deploy_brings_back_the_same_nodes(deployed: World) -> None:
    ledger, password = deployed.kube.ledger(), password_of(deployed.kube)
    deployed.remove()
    result = deployed.run()
    assert result["phase"] == "running"
    assert without_pause(deployed.kube.ledger()) == ledger
    assert password_of(deployed.kube) == password
    assert {pod: member.host_id for pod, member in deployed.ring.members.items()} == {
        pod: node.host_id for pod, node in ledger.nodes.items()
    }
    assert not any("ROLE" in text for text in deployed.writes()[-10:])


def test_absent_with_volumes_leaves_only_the_lock(deployed: World) -> None:
    deployed.remove(delete_volumes=True)
    left = {kind for kind, _name in deployed.kube.objects}
    assert left == {"Node", "StorageClass", "Lease", "ControllerRevision"}
    assert deployed.kube.disks == {}


def test_absent_with_volumes_deletes_the_ledger_after_the_volumes(deployed: World) -> None:
    deployed.remove(delete_volumes=True)
    writes = deployed.writes()
    assert position(writes, f"delete PersistentVolumeClaim data-{THIRD}") < position(
        writes, "delete ConfigMap shop-dc1-ledger"
    )
    assert position(writes, "delete StatefulSet shop-dc1-r3") < position(writes, "delete PersistentVolumeClaim")


@pytest.mark.parametrize("volumes", [False, True])
def test_check_mode_of_absent_tells_what_the_run_then_does(deployed: World, volumes: bool) -> None:
    writes = len(deployed.kube.writes)
    told = deployed.remove(check=True, delete_volumes=volumes)
    assert len(deployed.kube.writes) == writes
    done = deployed.remove(delete_volumes=volumes)
    assert told == done
    again = deployed.remove(delete_volumes=volumes)
    assert (again["changed"], again["changes"]) == (False, [])


@pytest.mark.parametrize("volumes", [False, True])
def test_a_removal_that_is_killed_anywhere_is_finished_by_the_next(worlds: Callable[[], World], volumes: bool) -> None:
    def begun() -> World:
        world = worlds()
        world.run()
        return world

    undisturbed = begun()
    before = len(undisturbed.kube.writes)
    undisturbed.remove(delete_volumes=volumes)
    expected = sorted(undisturbed.kube.objects)
    cut_off = 0
    for lives in range(len(undisturbed.kube.writes) - before):
        world = begun()
        assert world.killed(lives, state="absent", confirm="dc1", delete_volumes=volumes), lives
        if len(world.kube.names("PersistentVolumeClaim")) < 3 and world.kube.get("ConfigMap", "shop-dc1-ledger"):
            world.kube.one("Lease", "shop-lock")["spec"]["holderIdentity"] = ""
            with pytest.raises(CassopsError, match="which finishes it, then deploy"):
                world.run(racks=[{"name": "other", "nodes": 3}])
            cut_off += 1
        world.remove(delete_volumes=volumes)
        assert sorted(key for key in world.kube.objects if key[0] != "ControllerRevision") == [
            key for key in expected if key[0] != "ControllerRevision"
        ], lives
    assert cut_off == (3 if volumes else 0)


def test_a_secret_of_somebody_else_stays(world: World) -> None:
    data = {key: base64.b64encode(b"me").decode() for key in ("username", "password")}
    world.kube.put({"kind": "Secret", "metadata": {"name": "mine"}, "data": data})
    world.run(superuser_secret="mine")
    world.remove(delete_volumes=True, superuser_secret="mine")
    assert world.kube.names("Secret") == ["mine"]


def test_a_secret_that_was_made_for_another_cluster_stays(world: World) -> None:
    world.run(superuser_secret="login")
    world.kube.one("Secret", "login")["metadata"]["labels"]["cassops.kubernetes/cluster"] = "games"
    result = world.remove(delete_volumes=True, superuser_secret="login")
    assert world.kube.names("Secret") == ["login"]
    assert "delete Secret login" not in result["changes"]
    assert world.warnings == ["Secret login is kept: it was made for cluster games"]


@pytest.mark.parametrize(("secret", "kept"), [("login", True), ("shop-superuser", False)])
def test_a_secret_that_another_cluster_may_have_too_stays(world: World, secret: str, kept: bool) -> None:
    world.run(superuser_secret=secret)
    world.kube.put(manifests.ledger_config_map(Ledger("1", "games", "dc7")))
    world.remove(check=True, delete_volumes=True, superuser_secret=secret)
    assert len(world.warnings) == kept
    world.remove(delete_volumes=True, superuser_secret=secret)
    assert world.kube.names("Secret") == [secret] * kept
    told = "Secret login is kept: namespace ns has the cluster games too, whose superuser may have the same Secret"
    assert [text.startswith(told) for text in world.warnings] == [True] * kept


def test_a_secret_stays_as_long_as_a_datacenter_of_the_cluster_is_left(deployed: World) -> None:
    deployed.kube.put(manifests.ledger_config_map(Ledger("1", "shop", "dc7")))
    deployed.remove(delete_volumes=True)
    assert (deployed.kube.names("Secret"), deployed.warnings) == (["shop-superuser"], [])


def test_a_secret_of_its_own_that_another_datacenter_may_have_too_stays_and_is_told(world: World) -> None:
    world.run(superuser_secret="login")
    world.kube.put(manifests.ledger_config_map(Ledger("1", "shop", "dc7")))
    world.remove(delete_volumes=True, superuser_secret="login")
    assert world.kube.names("Secret") == ["login"]
    assert [text.partition(":")[0] for text in world.warnings] == ["Secret login is kept"]


def test_another_cluster_in_the_namespace_is_not_touched(world: World) -> None:
    values = {key: value for key, value in WANTED.items() if key in ("version", "racks", "storage")}
    games = spec_parser.parse({**values, "cluster": "games", "datacenter": "dc7"})
    ledger = Ledger("1", "games", "dc7")
    for item in [*manifests.build(games, ledger), manifests.ledger_config_map(ledger)]:
        if item["kind"] == "StatefulSet":
            item["spec"]["replicas"] = 0
        world.kube.put(item)
    before = copy.deepcopy(world.kube.objects)
    world.run()
    world.run(config={"concurrent_reads": 64})
    world.remove(delete_volumes=True)
    for (kind, name), item in before.items():
        there = world.kube.one(kind, name)
        assert {**there, "status": None} == {**item, "status": None}


# --- further datacenters ----------------------------------------------------------------------------------------------


@pytest.fixture
def two(deployed: World) -> World:
    """The first datacenter serves in its namespace; the second has a namespace of its own."""
    far = FakeKube(deployed.ring, "far", subnet="198.19.7")
    far.after_write = lambda: never_open_to_the_default_login(deployed.ring)
    deployed.others["far"] = far
    return deployed


SECOND_DC = {
    "datacenter": "dc2",
    "namespace": "far",
    "racks": WANTED["racks"][:2],
    "peers": [{"datacenter": "dc1", "namespace": "ns"}],
}


def test_a_second_datacenter_joins_the_first(two: World) -> None:
    far = two.others["far"]
    password = password_of(two.kube)
    result = two.run(**SECOND_DC)
    assert result["nodes"] == ["shop-dc2-r1-0", "shop-dc2-r2-0"]
    assert len(two.ring.members) == 5
    assert password_of(far) == password
    ledger = far.ledger("shop-dc2-ledger")
    assert ledger.phase == "running"
    own = [ledger.nodes[pod].address for pod in result["nodes"]]
    assert ledger.seeds == (*own, *sorted(own_seeds(two.kube.ledger())))
    for replication in two.ring.replication.values():
        assert (replication["dc1"], replication["dc2"]) == ("3", "2")
    assert set(two.ring.doors.values()) == {OPEN}
    assert two.run(**SECOND_DC)["changed"] is False


def test_a_node_that_has_not_heard_of_the_replicas_of_the_roles_yet_is_waited_for(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They see it up already; it takes them for down for a moment more, and can check no login."""
    connect, refused = cql.connect, []

    def late(kube: Any, pod: str, *arguments: Any, **options: Any) -> Any:
        if pod == "shop-dc2-r1-0" and len(refused) < 3:
            refused.append(pod)
            raise cql.LoginRefused(f"{pod}: Unable to perform authentication: Cannot achieve consistency level QUORUM")
        return connect(kube, pod, *arguments, **options)

    monkeypatch.setattr(cql, "connect", late)
    assert two.run(**SECOND_DC)["unwell"] == []
    assert len(refused) == 3
    assert any("waiting for shop-dc2-r1-0 to read the roles" in line for line in two.said)


def test_nobody_joins_a_cluster_that_is_between_two_lines(two: World) -> None:
    """What was registered is 5.0.9 already, so only the members tell."""
    two.ring.members["shop-dc1-r2-0"].version = "4.1.10"
    before = len(two.others["far"].writes)
    with pytest.raises(SpecError, match=r"dc2 cannot join the cluster now: .* different lines of Cassandra \(4\.1: "):
        two.run(**SECOND_DC)
    assert len(two.others["far"].writes) == before
    two.ring.members["shop-dc1-r2-0"].version = None
    two.run(**SECOND_DC)


def test_the_first_of_several_datacenters_says_that_it_begins_the_ring(world: World) -> None:
    world.others["far"] = FakeKube(world.ring, "far", subnet="198.19.7")
    told = "no other datacenter of the cluster is there (dc2): dc1 begins the ring"
    peers = [{"datacenter": "dc2", "namespace": "far"}]
    world.run(peers=peers)
    assert told in world.said
    world.run(peers=peers)
    assert told not in world.said


def test_a_second_datacenter_that_does_not_know_the_first_is_refused(deployed: World) -> None:
    """The cluster's name stood where the other hosts of the inventory do not see it."""
    before = len(deployed.kube.writes)
    with pytest.raises(
        SpecError, match="namespace ns has datacenter dc1 of cluster shop, which is not among the peers"
    ):
        deployed.run(datacenter="dc2")
    assert deployed.writes(before) == []


def test_a_first_datacenter_that_is_looked_for_elsewhere_is_no_reason_for_a_second_ring(two: World) -> None:
    """The namespace stood where hosts do not see each other's, so it runs here and is looked for there."""
    before = len(two.kube.writes)
    with pytest.raises(SpecError, match=r"namespace ns has datacenter dc1 .* another place \(namespace far of https"):
        two.run(datacenter="dc2", peers=[{"datacenter": "dc1", "namespace": "far"}])
    assert two.writes(before) == []
    two.run(datacenter="dc2", peers=[{"datacenter": "dc1", "namespace": "ns"}])


def test_names_that_only_another_kubernetes_knows_are_no_seeds(two: World) -> None:
    for node in two.kube.names("StatefulSet"):
        two.kube.objects.pop(("StatefulSet", node))
    known = two.kube.ledger()
    named = replace(known, seeds=(f"{FIRST}.shop-dc1-nodes.ns.svc",))
    two.kube.apply(with_hash(manifests.ledger_config_map(named)))
    two.others["far"].server.host = "https://far.example"
    with pytest.raises(
        SpecError, match=r"dc1 is in another Kubernetes cluster .*shop-dc1-nodes.ns.svc.*address: service"
    ):
        two.run(**SECOND_DC)


def test_what_tables_ask_for_stays_noted_where_a_datacenter_goes_and_its_volumes_stay(two: World) -> None:
    """A table that was made since its last deploy: the others go on, and what is deleted there is forgotten."""
    two.run(**SECOND_DC)
    two.ring.replication["shop"] = {"class": "NetworkTopologyStrategy", "dc1": "3", "dc2": "2"}
    two.ring.tables.append(("shop", 172800))
    two.remove(datacenter="dc2", namespace="far", confirm="dc2", peers=SECOND_DC["peers"])
    assert two.others["far"].ledger("shop-dc2-ledger").gc_grace_seconds == 172800


@pytest.mark.parametrize("volumes", [False, True])
def test_replicas_in_a_datacenter_that_goes_are_told(two: World, volumes: bool) -> None:
    two.run(**SECOND_DC)
    far = {"datacenter": "dc2", "namespace": "far", "confirm": "dc2", "peers": SECOND_DC["peers"]}
    two.ring.replication["shop"] = {"class": "NetworkTopologyStrategy", "dc1": "3", "dc2": "2"}
    words = "have replicas in datacenter dc2, and other datacenters of the cluster go on"
    if volumes:
        with pytest.raises(CassopsError, match=words):
            two.remove(**far, delete_volumes=True)
        assert two.others["far"].names("StatefulSet")
        two.ring.replication["shop"].pop("dc2")
        two.remove(**far, delete_volumes=True)
        assert two.warnings == []
    else:
        two.remove(**far)
        assert [text for text in two.warnings if words in text]
    assert two.others["far"].names("StatefulSet") == []


def test_a_second_datacenter_waits_for_the_first_start_of_the_first(worlds: Callable[[], World]) -> None:
    """Each would take itself for the first: two rings of one name, with logins of their own."""
    world = killed_before(worlds, "apply StatefulSet shop-dc1-r2")
    world.others["far"] = FakeKube(world.ring, "far", subnet="198.19.7")
    with pytest.raises(CassopsError, match=r"datacenter dc1 of the cluster has begun its first start.*--limit dc1"):
        world.run(**SECOND_DC)
    assert world.others["far"].names("StatefulSet") == []
    world.run()
    assert world.run(**SECOND_DC)["phase"] == "running"


def test_of_two_first_starts_at_the_same_time_one_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has seen that the other does not run, and holds the lock of its own place."""
    far = world.others["far"] = FakeKube(world.ring, "far", subnet="198.19.7")
    prepare = datacenter.Deployment.prepare

    def late(self: datacenter.Deployment, found: Objects) -> Ledger:
        monkeypatch.setattr(datacenter.Deployment, "prepare", prepare)
        with pytest.raises(Locked):
            world.run(**SECOND_DC)
        return prepare(self, found)

    monkeypatch.setattr(datacenter.Deployment, "prepare", late)
    world.run(peers=[{"datacenter": "dc2", "namespace": "far"}])
    assert far.names("StatefulSet") == []
    assert world.run(**SECOND_DC)["phase"] == "running"


@pytest.mark.parametrize(
    ("ledger", "wanted", "said"),
    [
        (
            {"version": "4.1.10"},
            {},
            "version: datacenter dc1 runs 4.1.10, got 5.0.9: one that joins must be of the same line",
        ),
        ({"storage_mode": "CASSANDRA_4"}, {}, "is in CASSANDRA_4, and this one would begin in NONE"),
        ({"storage_mode": "CASSANDRA_4"}, {"config": {"storage_compatibility_mode": "CASSANDRA_4"}}, ""),
        ({"storage_mode": "NONE"}, {}, ""),
    ],
)
def test_a_datacenter_joins_with_the_line_and_the_format_of_the_others(
    two: World, ledger: dict[str, str], wanted: dict[str, Any], said: str
) -> None:
    """Else they could not stream to each other, and the steps of an upgrade would lead neither of them on."""
    two.kube.one("ConfigMap", "shop-dc1-ledger")["data"].update({"version": "5.0.9", **ledger})
    if not said:
        assert two.run(**{**SECOND_DC, "version": "5.0.9", **wanted})["phase"] == "running"
        return
    with pytest.raises(SpecError, match=said):
        two.run(**{**SECOND_DC, "version": "5.0.9", **wanted})
    assert two.others["far"].names("StatefulSet") == []


def test_tokens_of_two_datacenters_differ(two: World) -> None:
    two.run(**SECOND_DC)
    tokens = [token for member in two.ring.members.values() for token in member.tokens]
    assert len(tokens) == len(set(tokens))


def test_the_first_datacenter_learns_the_seeds_of_the_second(two: World) -> None:
    assert "tell datacenter dc1 the seeds of dc2" in two.run(**SECOND_DC)["changes"]
    assert {*own_seeds(two.others["far"].ledger("shop-dc2-ledger"))} < {*two.kube.ledger().seeds}
    assert two.run(peers=[{"datacenter": "dc2", "namespace": "far"}])["changed"] is False


def test_check_mode_tells_that_seeds_of_a_peer_are_learned(two: World) -> None:
    two.run(**SECOND_DC)
    known = two.kube.ledger()
    forgotten = manifests.ledger_config_map(replace(known, seeds=tuple(own_seeds(known))))
    two.kube.apply(with_hash(forgotten))
    peers = [{"datacenter": "dc2", "namespace": "far"}]
    told = two.run(check=True, peers=peers)["changes"]
    assert told == ["update ConfigMap shop-dc1-ledger (data.seeds)"]
    assert two.run(peers=peers)["changes"] == told
    assert two.kube.ledger() == known


def test_a_datacenter_that_was_forgotten_is_introduced_again(two: World) -> None:
    """A run that died before it told, or a ledger from a backup."""
    two.run(**SECOND_DC)
    known = two.kube.ledger()
    two.kube.apply(manifests.ledger_config_map(replace(known, seeds=tuple(own_seeds(known)))))
    told = ["tell datacenter dc1 the seeds of dc2"]
    assert two.run(**SECOND_DC, check=True)["changes"] == told
    assert two.run(**SECOND_DC)["changes"] == told
    assert two.kube.ledger().seeds == known.seeds
    assert two.run(**SECOND_DC)["changed"] is False


class Away:
    """A Kubernetes that does not answer."""

    namespace = "ns"

    def list(self, kind: str, labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        raise Unreachable("no answer")


def test_a_peer_that_does_not_answer_stands_in_the_way_of_a_first_start(two: World) -> None:
    """Without its seeds the second datacenter would be a ring of its own."""
    two.others["ns"] = cast(FakeKube, Away())
    with pytest.raises(Unreachable):
        two.run(**SECOND_DC)
    assert two.others["far"].writes == []


def test_a_peer_that_does_not_answer_later_is_told_and_its_seeds_stay(two: World) -> None:
    two.run(**SECOND_DC)
    seeds = two.others["far"].ledger("shop-dc2-ledger").seeds
    two.others["ns"] = cast(FakeKube, Away())
    assert two.run(**SECOND_DC)["changed"] is False
    assert two.warnings == ["datacenter dc1 was not asked for its seeds: no answer"]
    assert two.others["far"].ledger("shop-dc2-ledger").seeds == seeds


def test_the_default_login_never_opens_again(two: World) -> None:
    two.run(**SECOND_DC)
    assert not two.ring.default_login_works
    assert len([text for text in two.ring.statements if text.startswith("CREATE ROLE")]) == 1


# --- addresses of pods ------------------------------------------------------------------------------------------------


def test_nodes_that_are_called_by_their_pods_addresses(world: World) -> None:
    result = world.run(address="pod")
    assert (result["phase"], set(world.ring.doors.values())) == ("running", {OPEN})
    assert world.kube.names("Service") == ["shop-dc1", "shop-dc1-nodes"]
    assert world.kube.ledger().seeds == tuple(f"{pod}.shop-dc1-nodes.ns.svc" for pod in (FIRST, SECOND, THIRD))
    assert all(world.kube.ledger().host_id(pod) for pod in (FIRST, SECOND, THIRD))
    assert world.run(address="pod")["changed"] is False


def test_a_pod_that_comes_back_with_another_address_is_the_same_node(world: World) -> None:
    world.run(address="pod")
    ledger, before = world.kube.ledger(), world.ring.members[SECOND]
    world.kube.stop(SECOND)
    world.kube.control("shop-dc1-r2")
    world.run(address="pod")
    after = world.ring.members[SECOND]
    assert (after.host_id, after.address != before.address) == (before.host_id, True)
    assert {pod: node.host_id for pod, node in world.kube.ledger().nodes.items()} == {
        pod: node.host_id for pod, node in ledger.nodes.items()
    }


# --- addresses that were given away ----------------------------------------------------------------------------


def test_a_destroyed_datacenter_whose_address_was_given_away(deployed: World) -> None:
    address = str(deployed.kube.ledger().address(SECOND))
    deployed.remove()
    deployed.kube.put({"kind": "Service", "metadata": {"name": "other"}, "spec": {"clusterIP": address}})
    deployed.run()
    assert deployed.warnings == [f"{SECOND} gets a new address: {address} is taken by somebody else"]
    ledger = deployed.kube.ledger()
    assert ledger.address(SECOND) == deployed.kube.one("Service", SECOND)["spec"]["clusterIP"] != address
    assert ledger.host_id(SECOND) == deployed.kube.disks[f"data-{SECOND}"].host_id


# --- backups ----------------------------------------------------------------------------------------------------------


def test_a_secret_that_backups_lack_is_told_and_keeps_nobody_from_starting(world: World) -> None:
    plan = {**BACKUP, "credentials_secret": "backup-store"}
    for check in (True, False, False):
        world.run(check=check, backup=plan)
        (password, store) = world.warnings
        assert password.startswith("cassandra_backup: Secret backup-password in namespace ns with the key password")
        assert store == (
            "cassandra_backup: Secret backup-store in namespace ns with the store's credentials is not there;"
            " make it: without it nobody gets into the store"
        )
    world.kube.put({"kind": "Secret", "metadata": {"name": "backup-password"}, "data": {"password": "c2VjcmV0"}})
    world.kube.put({"kind": "Secret", "metadata": {"name": "backup-store"}, "data": {}})
    world.run(backup=plan)
    assert world.warnings == []


# --- backups by the clock ---------------------------------------------------------------------------------------------

BACKUP = {"repository": "s3:https://s3.example.com/there", "password_secret": "backup-password"}
SCHEDULED = {**BACKUP, "schedule": "15 3 * * *", "schedule_image": "tools/cassops:1"}
CRON_JOB = ("CronJob", "shop-dc1-backup")


def test_what_somebody_else_does_by_the_clock_stays(deployed: World) -> None:
    """It has our labels, as a copy has."""
    labels = deployed.kube.one("Service", "shop-dc1")["metadata"]["labels"]
    mine = {"name": "mine", "labels": {**labels}, "creationTimestamp": "2026-11-01T00:00:00Z"}
    deployed.kube.put({"kind": "CronJob", "metadata": mine, "spec": {"schedule": "0 1 * * *"}})
    assert deployed.run(check=True)["changes"] == deployed.run()["changes"] == []
    assert deployed.kube.names("CronJob") == ["mine"]


def with_account(world: World) -> None:
    world.kube.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "cassops"}})


def test_a_schedule_comes_changes_and_goes_without_a_restart(world: World) -> None:
    with_account(world)
    world.run(backup=BACKUP)
    assert CRON_JOB not in world.kube.objects
    foreseen = world.run(check=True, backup=SCHEDULED)
    assert foreseen["changes"] == ["create CronJob shop-dc1-backup"]
    assert CRON_JOB not in world.kube.objects
    assert world.run(backup=SCHEDULED)["changes"] == foreseen["changes"]
    assert world.run(backup=SCHEDULED)["changed"] is False
    changed = world.run(backup={**SCHEDULED, "schedule": "@daily"})
    assert changed["changes"] == ["update CronJob shop-dc1-backup (spec.schedule)"]
    assert world.kube.objects[CRON_JOB]["spec"]["schedule"] == "@daily"
    foreseen = world.run(check=True, backup=BACKUP)
    assert foreseen["changes"] == ["delete CronJob shop-dc1-backup"]
    gone = world.run(backup=BACKUP)
    assert (gone["changes"], gone["pending_restart"]) == (foreseen["changes"], [])
    assert CRON_JOB not in world.kube.objects
    assert world.run(backup=BACKUP)["changed"] is False


def test_a_schedule_without_its_account_is_refused_before_anything_is_made(world: World) -> None:
    with pytest.raises(
        SpecError, match=r"cassandra_backup\.schedule_account: namespace ns has no ServiceAccount cassops"
    ):
        world.run(backup=SCHEDULED)
    assert world.kube.writes == []


def test_a_schedule_without_its_account_is_told_with_what_else_is_wrong(world: World) -> None:
    with pytest.raises(SpecError) as refused:
        world.run(backup=SCHEDULED, resources={"requests": {"cpu": "900"}})
    assert sorted(text.partition(": ")[0] for text in refused.value.errors)[0] == "cassandra_backup.schedule_account"
    assert len(refused.value.errors) > 1


def test_a_schedule_that_kubernetes_refuses_is_refused_before_anything_is_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_account(world)
    apply = world.kube.apply

    def refuse(obj: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        if obj["kind"] == "CronJob":
            raise Invalid("spec.schedule: Invalid value: end of range (61) above maximum (59)", 422)
        return apply(obj, dry_run=dry_run)

    monkeypatch.setattr(world.kube, "apply", refuse)
    with pytest.raises(SpecError, match=r"cassandra_backup\.schedule: .*above maximum"):
        world.run(backup={**SCHEDULED, "schedule": "61 3 * * *"})
    assert world.kube.writes == []


def test_a_schedule_goes_before_the_nodes(world: World) -> None:
    with_account(world)
    world.run(backup=SCHEDULED)
    removed = world.remove()["changes"]
    assert removed.index("delete CronJob shop-dc1-backup") < removed.index("delete StatefulSet shop-dc1-r1")


def test_repairs_by_the_clock_come_and_go_beside_backups(world: World) -> None:
    repair = {"schedule": "15 1 * * *", "schedule_image": "tools/cassops:1"}
    with pytest.raises(SpecError, match=r"cassandra_repair\.schedule_account: .* with the rights that repairs need"):
        world.run(repair=repair)
    assert world.kube.writes == []
    with_account(world)
    world.run(backup=SCHEDULED)
    assert world.run(backup=SCHEDULED, repair=repair)["changes"] == ["create CronJob shop-dc1-repair"]
    assert world.run(backup=SCHEDULED, repair=repair)["changed"] is False
    assert world.run(backup=BACKUP, repair=repair)["changes"] == ["delete CronJob shop-dc1-backup"]
    foreseen = world.run(check=True, backup=BACKUP)
    assert foreseen["changes"] == world.run(backup=BACKUP)["changes"] == ["delete CronJob shop-dc1-repair"]
