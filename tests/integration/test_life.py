# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a datacenter of three nodes, in the order of this file: deployed, asked, changed, destroyed, back again.

The tests share it, because a first start costs most of a minute; each leaves it whole.
"""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration.harness import waiting
from integration.harness.audit import Mark
from integration.harness.datacenter import Datacenter, identities
from integration.harness.good import assert_doors
from integration.harness.killed import wait_for_words
from integration.harness.kubernetes import Cluster
from integration.harness.namespace import Namespaces
from integration.harness.playbooks import Result
from integration.harness.visitor import CLOSED, DEFAULT, DENIED, IN, Visitor
from integration.harness.workload import Workload, connect, rows_of
from sandbox import Sandbox

# A setting of every version that changes nothing for these tests.
CHANGED = {"compaction_throughput": "32MiB/s"}


@dataclass(frozen=True)
class First:
    """The first deploy, and what a visitor saw who tried cassandra/cassandra all the time."""

    result: Result
    attempts: Mapping[str, Counter[str]]


@pytest.fixture(scope="module")
def wanted(namespaces: Namespaces) -> Iterator[Datacenter]:
    """The datacenter as it is wanted, in a namespace that has nothing yet."""
    with namespaces.fresh("life") as namespace:
        yield Datacenter(namespace)


@pytest.fixture(scope="module")
def first(wanted: Datacenter) -> First:
    """The first deploy."""
    pods = [f"{node}.{wanted.prefix}-nodes" for node in wanted.nodes]
    visitor = Visitor.arrive(wanted.namespace, [*wanted.nodes, *pods, wanted.prefix])
    result = wanted.deploy(facts=True)
    # The visitor stays until it has stood before every open door.
    waiting.until("the visitor to be refused everywhere", lambda: not_refused(visitor, wanted), 300)
    attempts = visitor.attempts()
    visitor.leave()
    return First(result, attempts)


def not_refused(visitor: Visitor, wanted: Datacenter) -> list[str]:
    seen = visitor.attempts()
    return [target for target in (*wanted.nodes, wanted.prefix) if not seen.get(target, Counter())[DENIED]]


@pytest.fixture(scope="module")
def living(wanted: Datacenter, first: First) -> Datacenter:
    """The datacenter, deployed."""
    return wanted


def test_check_mode_before_the_first_deploy_shows_all_and_makes_nothing(wanted: Datacenter) -> None:
    result = wanted.deploy("--check", "--diff", facts=True)
    made = {change.split(" (")[0] for change in result.facts["dc1"]["changes"]}
    for rack in wanted.racks:
        assert f"create StatefulSet {wanted.prefix}-{rack}" in made
    for node in wanted.nodes:
        assert f"create Service {node}" in made
    assert {f"create Secret {wanted.cluster}-superuser", f"create ConfigMap {wanted.prefix}-ledger"} <= made
    for line in ("+++ after: StatefulSet", "+          image: ", "+  cassandra.yaml: |", "+    authenticator: "):
        assert line in result.output, f"{line!r} is not in the diff:\n{result.output}"
    assert result.changed == 1
    assert wanted.namespace.contents() == {}


def test_first_deploy_ends_with_every_node_up_and_says_how_to_connect(wanted: Datacenter, first: First) -> None:
    members = wanted.wait_up()
    assert set(members) == set(wanted.nodes)
    assert all(first.result.facts["dc1"][key] for key in ("changed", "changes"))
    assert first.result.facts["dc1"]["nodes"] == wanted.nodes
    assert first.result.facts["dc1"]["pending_restart"] == []
    for words in (f"{wanted.prefix}.{wanted.namespace.name}.svc", "port-forward", f"{wanted.cluster}-superuser"):
        assert words in first.result.output, first.result.output
    ledger = wanted.ledger()
    assert ledger["phase"] == "running"
    known = {line.split()[0]: line.split()[1:] for line in ledger["nodes"].splitlines()}
    assert known == {node: [member.address, member.host_id] for node, member in members.items()}


def test_nobody_got_in_with_the_default_login_during_the_first_deploy(first: First) -> None:
    total: Counter[str] = sum(first.attempts.values(), Counter())
    print(f"attempts: {dict(total)}")
    assert total[IN] == 0, first.attempts
    assert total[CLOSED] > 20, "it began before the doors were open"
    assert total[DENIED] > 4, "it went on until they were"


def test_the_superuser_gets_in_everywhere_and_the_default_login_nowhere(living: Datacenter) -> None:
    visitor = Visitor.arrive(living.namespace)
    try:
        username, password = living.login()
        assert len(password) == 32
        for node in living.nodes:
            assert visitor.attempt(node, username, password) == IN, node
            assert visitor.attempt(node, *DEFAULT) == DENIED, node
    finally:
        visitor.leave()


def test_system_auth_is_replicated_to_every_node(living: Datacenter, sandbox: Sandbox) -> None:
    with connect(living) as driver:
        session = driver.connect()
        rows = session.execute("SELECT keyspace_name, replication FROM system_schema.keyspaces", timeout=30)
        replication = {row.keyspace_name: dict(row.replication) for row in rows}
        roles = {
            row.role: (row.can_login, row.is_superuser) for row in session.execute("SELECT * FROM system_auth.roles")
        }
    wanted = {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": "3"}
    for keyspace in ("system_auth", "system_distributed", "system_traces"):
        assert replication[keyspace] == wanted, keyspace
    assert roles == {"cassandra": (False, False), living.login()[0]: (True, True)}


def test_only_random_passwords_are_hashed_cheaply(living: Datacenter) -> None:
    """Each look is a login to every node; a password that somebody chose needs the rounds."""
    with connect(living) as driver:
        session = driver.connect()
        session.execute("CREATE ROLE somebody WITH PASSWORD = 'chosen' AND LOGIN = true", timeout=30)
        hashes = session.execute("SELECT role, salted_hash FROM system_auth.roles", timeout=30).all()
        session.execute("DROP ROLE somebody", timeout=30)
    rounds = {row.role: row.salted_hash.split("$")[2] for row in hashes}
    assert rounds == {"cassandra": "04", living.login()[0]: "04", "somebody": "10"}


def test_pods_have_no_rights_at_all(living: Datacenter) -> None:
    label = json.loads(living.namespace.cluster.kubectl("get", "namespace", living.namespace.name, "-o", "json"))
    assert label["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in living.pods().items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert not [one for one in spec["volumes"] if "projected" in one or "secret" in one], name
        security = spec["containers"][0]["securityContext"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
        # And so it is inside.
        look = "id -u; grep CapEff /proc/1/status; touch /x 2>&1; ls /var/run/secrets/kubernetes.io 2>&1; true"
        said = living.namespace.exec(name, "sh", "-c", look)
        for words in ("999\n", "CapEff:\t0000000000000000", "Read-only file system", "No such file or directory"):
            assert words in said, said


def test_status_tells_people_and_machines(living: Datacenter) -> None:
    result = living.run("status", facts=True, status_fail_on="down").ok()
    assert f"Datacenter dc1 of cluster {living.cluster}: 3 of 3 nodes up" in result.output
    members = living.wait_up()
    for node in living.nodes:
        line = next(line for line in result.output.splitlines() if line.startswith(node))
        assert f" {members[node].rack} " in line
        assert " UN " in line
        assert " 100.0 % " in line
    assert "system_auth" in result.output
    assert "No problems." in result.output
    assert result.changed == 0
    told = result.facts["dc1"]["datacenter"]
    assert told["healthy"] is True
    assert told["problems"] == []
    nodes = {node["name"]: node for node in told["nodes"]}
    for name, member in members.items():
        assert nodes[name]["host_id"] == member.host_id
        assert nodes[name]["address"] == member.address
        assert nodes[name]["seen_up_by"] == living.nodes
        assert nodes[name]["worker"] == living.pods()[name]["spec"]["nodeName"]


def test_deploy_again_changes_nothing(living: Datacenter, sandbox: Sandbox) -> None:
    before, contents = living.lives(), living.namespace.contents()
    mark = Mark.now(sandbox.audit_log)
    result = living.deploy()
    assert result.changed == 0, result.output
    writes = set(mark.writes(living.namespace.user))
    assert writes <= {f"update leases {living.cluster}-lock", "create leases"}, writes
    assert mark.requests(living.namespace.user), "the audit log has nothing of this run: the assertion above is void"
    assert living.lives() == before
    assert versions(living.namespace.contents()) == versions(contents)


def versions(contents: Mapping[str, Any]) -> dict[str, str]:
    """What changes with every write, of all objects but the lock."""
    return {key: item["metadata"]["resourceVersion"] for key, item in contents.items() if not key.startswith("Lease/")}


@pytest.mark.parametrize("words", [("--check",), ("--check", "--diff")])
def test_check_mode_without_a_change_predicts_none(living: Datacenter, words: tuple[str, ...]) -> None:
    contents = living.namespace.contents()
    result = living.deploy(*words)
    assert result.changed == 0, result.output
    assert {**versions(living.namespace.contents()), **leases(living)} == {**versions(contents), **leases(contents)}


def leases(source: Datacenter | Mapping[str, Any]) -> dict[str, str]:
    contents = source.namespace.contents() if isinstance(source, Datacenter) else source
    return {key: item["metadata"]["resourceVersion"] for key, item in contents.items() if key.startswith("Lease/")}


def test_a_second_run_is_refused_with_the_holders_name_until_the_lock_is_free(living: Datacenter) -> None:
    """Held from another machine that died 50 s ago: nobody can ask after its process, so its time must pass."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp = (now - datetime.timedelta(seconds=50)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lease = living.namespace.get("lease", f"{living.cluster}-lock")
    lease["metadata"].pop("annotations", None)
    lease["spec"].update(
        holderIdentity="somebody@elsewhere pid 1", renewTime=stamp, acquireTime=stamp, leaseDurationSeconds=60
    )
    living.namespace.kubectl("replace", "-f", "-", text=json.dumps(lease))
    living.run("deploy").refused("somebody@elsewhere pid 1", f"{living.cluster}-lock", "since")

    def refused() -> list[str]:
        result = living.run("deploy")
        return [] if result.rc == 0 else [result.output]

    waiting.until("the lock to be free again", refused, 300)
    assert living.namespace.get("lease", f"{living.cluster}-lock")["spec"]["holderIdentity"] == ""


def test_the_superuser_gets_another_password(living: Datacenter) -> None:
    before = living.login()
    told = living.run("rotate_superuser", "--check", facts=True).ok().facts["dc1"]["changes"]
    assert living.login() == before
    result = living.run("rotate_superuser", "--diff", "-vvv", facts=True).ok()
    assert result.facts["dc1"]["changes"] == told
    assert sorted(result.facts["dc1"]["nodes"]) == living.nodes
    after = living.login()
    assert (after[0], len(after[1])) == (before[0], 32)
    assert not [password for password in (before[1], after[1]) if password in result.output]
    assert_refused(living, before)
    assert_doors(living)
    assert living.run("rotate_superuser", rotate_superuser_max_age=1).ok().changed == 0
    assert living.login() == after
    assert living.deploy().changed == 0


def test_a_rotation_that_is_killed_before_the_secret_has_it_is_finished_by_the_next(living: Datacenter) -> None:
    """When Cassandra is just told of the new password."""
    before = living.login()
    run = living.start("rotate_superuser")
    wait_for_words(run, "change the password of the role")
    run.kill()
    assert living.login() == before
    (problem,) = living.status(status_fail_on="down")["problems"]
    assert "next_password" in problem["problem"]
    assert living.deploy().changed == 0
    finished = living.run("rotate_superuser", rotate_superuser_max_age=1, facts=True).ok()
    last = finished.facts["dc1"]["changes"][-1]
    assert last.startswith("move next_password to password"), last
    assert_refused(living, before)
    assert_doors(living)


def assert_refused(living: Datacenter, login: tuple[str, str]) -> None:
    visitor = Visitor.arrive(living.namespace)
    try:
        assert {visitor.attempt(node, *login) for node in living.nodes} == {DENIED}
    finally:
        visitor.leave()


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        pytest.param(
            {"racks": {"r1": 1, "r2": 1}, "cassandra_storage": {"class": "local", "size": "1Gi"}},
            ["cassandra_racks: the rack r3 is gone", "playbook scale", "cassandra_storage.size", "cannot shrink"],
            id="rack removed and volume shrunk",
        ),
        pytest.param(
            {
                "racks": {"r1": 2, "r2": 1, "r3": 1, "r4": 1},
                "cassandra_version": "4.1.10",
                "cassandra_config": {"num_tokens": 4},
            },
            [
                "the rack r1 has 1 node, got 2",
                "the rack r4 is new",
                "back to 4.1 is possible only while storage_compatibility_mode is CASSANDRA_4",
                "cassandra_config.num_tokens",
            ],
            id="racks grown, version lowered, tokens changed",
        ),
        pytest.param(
            {"cluster": "other"},
            ["cassandra_cluster: datacenter dc1", "belongs to cluster demo, got other"],
            id="cluster renamed",
        ),
    ],
)
def test_what_cannot_be_changed_on_a_living_datacenter_is_refused(
    living: Datacenter, changes: dict[str, Any], sentences: list[str]
) -> None:
    before = versions(living.namespace.contents())
    variables = {key: changes[key] for key in changes if key.startswith("cassandra_")}
    racks, cluster = changes.get("racks", living.racks), changes.get("cluster", living.cluster)
    other = Datacenter(living.namespace, cluster=cluster, racks=racks, variables=variables)
    other.run("deploy").refused(*sentences)
    assert versions(living.namespace.contents()) == before


def test_a_change_waits_for_a_restart_and_can_be_taken_back(living: Datacenter) -> None:
    before, node = living.lives(), living.nodes[1]
    revision = living.pods()[node]["metadata"]["labels"]["controller-revision-hash"]
    changed = living.changed(cassandra_config={**living.inventory_variables()["cassandra_config"], **CHANGED})

    shown = changed.deploy("--check", "--diff", facts=True)
    assert "+    compaction_throughput: " in shown.output, shown.output
    assert shown.facts["dc1"]["pending_restart"] == living.nodes
    planned = changed.run("upgrade", "--check", facts=True).ok().facts["dc1"]
    assert [node for batch in planned["batches"] for node in batch["nodes"]] == living.nodes
    assert living.status()["pending_restart"] == [], "check mode registered the change"

    result = changed.deploy(facts=True)
    registered = changed.run("upgrade", "--check", facts=True).ok().facts["dc1"]
    for key in ("batches", "not_restarted", "blockers", "snapshot_name"):
        assert registered[key] == planned[key], "the plan was another before it was registered"
    assert result.facts["dc1"]["pending_restart"] == living.nodes
    assert f"Pending restart: {', '.join(living.nodes)}" in result.output
    assert living.lives() == before, "deploy restarted something"

    # A pod that comes back by itself comes back as it was.
    living.delete_pod(node)
    living.wait_up()
    pod = living.pods()[node]
    assert pod["metadata"]["labels"]["controller-revision-hash"] == revision
    yaml = living.namespace.exec(node, "cat", "/cassops/conf/cassandra.yaml")
    assert "compaction_throughput" not in yaml
    status = living.run("status", facts=True).ok()
    assert status.facts["dc1"]["datacenter"]["pending_restart"] == living.nodes

    assert living.deploy("--check", facts=True).facts["dc1"]["pending_restart"] == []
    back = living.deploy(facts=True)
    assert back.facts["dc1"]["pending_restart"] == []
    after = living.lives()
    assert {name: after[name] for name in after if name != node} == {
        name: before[name] for name in before if name != node
    }
    assert len([key for key in living.namespace.contents() if "-config-" in key]) == 1, (
        "configuration that no pod uses is left"
    )


def test_status_tells_a_node_that_is_down(living: Datacenter, cluster: Cluster) -> None:
    living.delete_pod(living.nodes[0], "--grace-period=1")
    down = living.run("status", status_fail_on="down")
    down.refused(living.nodes[0])
    assert f"Datacenter dc1 of cluster {living.cluster}: " in down.output
    living.wait_up()


def test_destroy_needs_the_name_repeated(living: Datacenter) -> None:
    before = versions(living.namespace.contents())
    living.run("destroy").refused("repeat its name")
    living.run("destroy", destroy_confirm="dc2").refused("repeat its name", "dc2")
    assert versions(living.namespace.contents()) == before


def test_destroy_in_check_mode_tells_and_does_nothing(living: Datacenter) -> None:
    contents = living.namespace.contents()
    result = living.run("destroy", "--check", facts=True, destroy_confirm="dc1").ok()
    assert f"delete StatefulSet {living.prefix}-r1" in result.facts["dc1"]["changes"]
    assert not [change for change in result.facts["dc1"]["changes"] if "PersistentVolumeClaim" in change]
    assert {**versions(living.namespace.contents()), **leases(living)} == {**versions(contents), **leases(contents)}


def test_destroyed_datacenter_comes_back_with_its_nodes_and_rows(living: Datacenter, sandbox: Sandbox) -> None:
    with Workload(living, rate=200) as client:
        client.wait_for_rows(300)
        client.stop()
        client.check("ALL")
        expected = client.record.acknowledged
    members = living.wait_up()

    result = living.run("destroy", facts=True, destroy_confirm="dc1").ok()
    assert result.changed == 1
    kept = {f"PersistentVolumeClaim/data-{node}" for node in living.nodes}
    kept |= {f"ConfigMap/{living.prefix}-ledger", f"Secret/{living.cluster}-superuser", f"Lease/{living.cluster}-lock"}
    assert set(living.namespace.contents()) == kept
    assert living.run("destroy", destroy_confirm="dc1").ok().changed == 0

    living.deploy()
    assert identities(living.wait_up()) == identities(members)
    found = rows_of(living)
    assert {number: found.get(number) for number in expected} == expected


def test_destroy_with_volumes_leaves_nothing(living: Datacenter, sandbox: Sandbox) -> None:
    folders = [sandbox.volume(living.namespace.name, f"data-{node}") for node in living.nodes]
    result = living.run("destroy", facts=True, destroy_confirm="dc1", destroy_volumes=True).ok()
    assert f"delete PersistentVolumeClaim data-{living.nodes[0]}" in result.facts["dc1"]["changes"]
    # The Role may not delete the lock, which is nobody's.
    lock = {f"Lease/{living.cluster}-lock"}
    waiting.until("the namespace to be empty", lambda: sorted(set(living.namespace.contents()) - lock), 300)
    waiting.until("the volumes to be wiped", lambda: [str(folder) for folder in folders if Path(folder).exists()], 300)
    assert living.run("destroy", destroy_confirm="dc1", destroy_volumes=True).ok().changed == 0
