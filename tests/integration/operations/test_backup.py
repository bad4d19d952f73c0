# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes and an S3 server, under a client: backups whole, again, killed, refused and damaged; lists and purges."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cassandra.cluster import Session
from integration.harness import waiting
from integration.harness.datacenter import Datacenter
from integration.harness.killed import wait_for_words
from integration.harness.namespace import Namespaces
from integration.harness.playbooks import Result
from integration.harness.settings import rng
from integration.harness.store import Store, flipped_bit, listed, restic
from integration.harness.workload import Workload, connect
from sandbox import Sandbox

SNAPSHOTS = "/var/lib/cassandra/data/*/*/snapshots/cassops-backup"


@pytest.fixture(scope="module", autouse=True)
def none_fails(client: Workload) -> Iterator[None]:
    """From the first test to the last every request is answered by the node that was asked, and no row is missing."""
    moved = client.record.moved.copy()
    with client.none_fails("ALL"):
        yield
    assert client.record.moved == moved, str(client.record)


@pytest.fixture
def two_backups(three: Datacenter, client: Workload) -> None:
    """Those of the first tests; the soak runs without these."""
    for name in ("first", "second"):
        backup(three, name).ok()


def backup(datacenter: Datacenter, name: str, *words: str, **extra: Any) -> Result:
    result = datacenter.run("backup", *words, facts=True, backup_name=name, **extra)
    tell(result)
    return result


def tell(result: Result) -> None:
    print(f"{result.seconds:.0f} s\n{result.output[-3000:]}")


def stored(datacenter: Datacenter, result: Result) -> dict[str, Any]:
    found: dict[str, Any] = result.ok().facts[datacenter.host]["backup"]
    return found


def no_snapshots(datacenter: Datacenter) -> None:
    for node in datacenter.nodes:
        left = datacenter.namespace.exec(node, "sh", "-c", f"ls -d {SNAPSHOTS} 2>/dev/null; ls /cassops 2>/dev/null")
        assert "snapshots" not in left, f"{node}: {left}"


def test_the_whole_datacenter_is_stored(three: Datacenter, client: Workload, store: Store) -> None:
    lives = three.lives()
    before = backup(three, "first", "--check")
    assert before.ok().changed == 1
    assert not store.folder.exists()
    first = stored(three, backup(three, "first"))
    assert first["state"] == "complete"
    assert all(node["stored"] for node in first["nodes"])
    assert first["added"] > 0
    again = backup(three, "first").ok()
    assert again.changed == 0
    assert backup(three, "first", "--check").ok().changed == 0
    no_snapshots(three)
    assert three.lives() == lives
    assert {name: one["state"] for name, one in listed(three).items()} == {"first": "complete"}


def test_only_what_is_new_moves(three: Datacenter, client: Workload, store: Store) -> None:
    first, size = listed(three)["first"], store.size
    client.wait_for_rows(100)
    second = stored(three, backup(three, "second"))
    moved = store.size - size
    print(f"first {first['added']} bytes, second {second['added']}, the store grew by {moved}")
    assert second["state"] == "complete"
    assert second["added"] < first["added"] / 2
    assert moved < first["added"]


@pytest.mark.soak
@pytest.mark.usefixtures("two_backups")
def test_every_byte_is_read_again(three: Datacenter, client: Workload, store: Store) -> None:
    result = three.run("verify_backup", facts=True, verify_backup_name="first", verify_backup_read_data="100%")
    tell(result)
    assert result.ok().facts[three.host]["faults"] == []
    assert listed(three)["first"]["verified"]


@pytest.mark.soak
@pytest.mark.usefixtures("two_backups")
def test_a_flipped_bit_is_found_and_named(three: Datacenter, client: Workload, store: Store) -> None:
    host_id = three.wait_up()[three.nodes[1]].host_id
    victim = max(store.files("data", host_id), key=lambda path: path.stat().st_size)
    with flipped_bit(victim):
        result = three.run("verify_backup", verify_backup_name="second", verify_backup_read_data="100%")
        tell(result)
        result.refused("backup second is damaged", three.nodes[1], victim.name[:8])
        assert listed(three)["second"]["damaged"]
    three.run("verify_backup", verify_backup_name="second", verify_backup_read_data="100%").ok()
    assert not listed(three)["second"]["damaged"]


@pytest.mark.soak
@pytest.mark.usefixtures("two_backups")
def test_a_lost_object_is_found_and_named(three: Datacenter, client: Workload, store: Store) -> None:
    host_id = three.wait_up()[three.nodes[0]].host_id
    victim = max(store.files("data", host_id), key=lambda path: path.stat().st_size)
    aside = store.sandbox.layout.state / "aside"
    victim.rename(aside)
    try:
        result = three.run("verify_backup", verify_backup_name="second", verify_backup_read_data="0")
        tell(result)
        result.refused("backup second is damaged", three.nodes[0], victim.name[:8])
    finally:
        aside.rename(victim)
    three.run("verify_backup", verify_backup_name="second").ok()


def test_a_killed_backup_is_taken_up(three: Datacenter, client: Workload, store: Store) -> None:
    """4.: at some moment; `test_a_backup_that_is_killed_anywhere` has more of them."""
    kill_and_go_on(three, "killed", "snapshots taken", rng("backup/killed").uniform(0, 3))
    assert listed(three)["killed"]["state"] == "complete"
    no_snapshots(three)


def kill_and_go_on(three: Datacenter, name: str, words: str, delay: float) -> None:
    run = three.start("backup", backup_name=name)
    wait_for_words(run, words)
    time.sleep(delay)
    if run.process.poll() is None:
        run.kill()
        print(f"killed {delay:.1f} s after {words!r}")
    found = listed(three).get(name)
    print(f"then: {found and found['state']}")
    assert found is None or found["state"] in ("running", "failed", "complete")
    tell(backup(three, name).ok())


def test_what_no_rule_keeps_goes(three: Datacenter, client: Workload, store: Store) -> None:
    """Two last ones are kept. What is left is read again, every byte: a purge takes nothing that another backup has."""
    before = listed(three)
    told = three.run("purge_backups", "--check", facts=True).ok().facts[three.host]["removed"]
    assert set(listed(three)) == set(before)
    result = three.run("purge_backups", facts=True)
    tell(result)
    assert result.ok().facts[three.host]["removed"] == told == ["first"]
    assert set(listed(three)) == set(before) - {"first"}
    assert three.run("purge_backups").ok().changed == 0
    for name in set(before) - {"first"}:
        three.run("verify_backup", verify_backup_name=name, verify_backup_read_data="100%").ok()
        assert listed(three)[name]["verified"]


def test_nothing_secret_is_said(three: Datacenter, client: Workload, store: Store) -> None:
    result = three.run("backup", "-vvv", backup_name="verbose").ok()
    three.run("purge_backups", purge_backups_names=["second"]).ok()
    # What the test does as the administrator is not ours to keep secret.
    lines = store.sandbox.audit_log.read_text().splitlines()
    audit = [line for line in lines if store.namespace.user in line]
    assert audit
    for secret in (store.password, store.sandbox.s3.secret_key):
        assert secret not in result.output
        assert not [line for line in audit if secret in line]
        for node in three.nodes:
            assert secret not in three.namespace.exec(node, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


@pytest.mark.soak
def test_the_same_names_of_sstables_overwrite_nothing(namespaces: Namespaces, sandbox: Sandbox) -> None:
    """B1: a table is truncated and its node starts anew, so its next SSTable has the name of the first.

    Where SSTables are named by numbers, that is: a datacenter that was born on 5.0 names them by UUID.
    """
    with namespaces.fresh("b-names") as namespace:
        store = Store(sandbox, namespace)
        store.make_secrets()
        variables: dict[str, Any] = {"cassandra_backup": store.variable}
        shipped = Datacenter(namespace).inventory_variables()["cassandra_config"]
        variables["cassandra_config"] = {**shipped, "uuid_sstable_identifiers_enabled": False}
        one = Datacenter(namespace, racks={"r1": 1}, variables=variables)
        one.deploy()
        (node,) = one.nodes
        with connect(one) as driver:
            session = driver.connect()
            session.execute(
                "CREATE KEYSPACE names WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1}", timeout=120
            )
            session.execute("CREATE TABLE names.small (n int PRIMARY KEY, text text)", timeout=120)
            old = filled(one, session, "old")
            stored(one, backup(one, "old"))
            session.execute("TRUNCATE names.small", timeout=120)
        one.delete_pod(node)
        one.wait_up()
        with connect(one) as driver:
            new = filled(one, driver.connect(), "new")
        assert set(old) & set(new), f"the names are not the same, {old} and {new}: this proves nothing"
        assert old != new
        stored(one, backup(one, "new"))
        host_id = one.wait_up()[node].host_id
        snapshots = json.loads(restic(one, node, host_id, "snapshots", "--json"))
        for name, digests in (("old", old), ("new", new)):
            snapshot = next(item["id"] for item in snapshots if f"backup={name}" in item["tags"])
            lines = restic(one, node, host_id, "ls", snapshot).splitlines()
            for file, digest in digests.items():
                (path,) = [line for line in lines if "/small-" in line and line.endswith(f"/{file}")]
                assert hashlib.sha256(restic_bytes(one, node, host_id, snapshot, path)).hexdigest() == digest, file


def filled(datacenter: Datacenter, session: Session, text: str) -> dict[str, str]:
    """Rows with a text, flushed; name and digest of each data file of the table."""
    for number in range(50):
        session.execute(f"INSERT INTO names.small (n, text) VALUES ({number}, '{text}')", timeout=30)
    (node,) = datacenter.nodes
    datacenter.nodetool(node, "flush", "names", "small")
    told = datacenter.namespace.exec(node, "sh", "-c", "sha256sum /var/lib/cassandra/data/names/small-*/*-Data.db")
    return {path.rpartition("/")[2]: digest for digest, path in map(str.split, told.splitlines())}


def restic_bytes(three: Datacenter, node: str, host_id: str, snapshot: str, path: str) -> bytes:
    """A file of a snapshot, through a coding that kubectl can carry as text."""
    inner = f"dump {snapshot} {path}"
    repository = f"{three.variables['cassandra_backup']['repository']}/{three.cluster}/{three.name}/{host_id}"
    script = (
        "for key in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_DEFAULT_REGION; do "
        'export $key="$(cat /cassops/backup/credentials/$key)"; done; '
        f"restic --password-file /cassops/backup/password/password -r {repository} --no-cache {inner} | base64"
    )
    said = three.namespace.kubectl("exec", node, "-c", "backup", "--", "sh", "-c", script, seconds=180)
    return base64.b64decode(said)


@pytest.mark.soak
def test_a_store_that_is_down_is_told_and_leaves_nothing(three: Datacenter, client: Workload, store: Store) -> None:
    before = listed(three)
    with store.down():
        result = three.run("backup", backup_name="refused")
        tell(result)
        result.refused("is the store up")
    no_snapshots(three)
    assert listed(three) == before
    stored(three, backup(three, "refused"))


@pytest.mark.soak
def test_a_store_that_goes_away_meanwhile_is_waited_for(three: Datacenter, client: Workload, store: Store) -> None:
    run = three.start("backup", backup_name="hiccup")
    wait_for_words(run, "snapshots taken")
    with store.down():
        time.sleep(20)
        assert run.process.poll() is None, run.output
    tell(run.wait().ok())
    assert listed(three)["hiccup"]["state"] == "complete"


@pytest.mark.soak
def test_a_wrong_password_is_told(three: Datacenter, client: Workload, store: Store) -> None:
    store.make_secrets("another one")
    try:
        node = three.nodes[0]
        waiting.until(
            "the kubelet to bring the new password",
            lambda: [] if password_in(three, node) == "another one" else ["it is the old one"],
            300,
        )
        result = three.run("backup", backup_name="locked-out")
        tell(result)
        result.refused("made with another password than the key password")
    finally:
        store.make_secrets()
    waiting.until(
        "the kubelet to bring the old password",
        lambda: [node for node in three.nodes if password_in(three, node) != store.password],
        300,
    )


def password_in(three: Datacenter, node: str) -> str:
    return secret_in(three, node, "password/password")


def secret_in(three: Datacenter, node: str, path: str) -> str:
    return three.namespace.kubectl("exec", node, "-c", "backup", "--", "cat", f"/cassops/backup/{path}")


@pytest.mark.soak
def test_a_store_that_refuses_the_key_is_told(three: Datacenter, client: Workload, store: Store) -> None:
    def has(key: str) -> Callable[[], list[str]]:
        return lambda: [
            node for node in three.nodes if secret_in(three, node, "credentials/AWS_SECRET_ACCESS_KEY") != key
        ]

    store.make_secrets(key="another key")
    try:
        waiting.until("the kubelet to bring the other key", has("another key"), 300)
        result = three.run("backup", backup_name="refused-key")
        tell(result)
        result.refused("credentials_secret")
    finally:
        store.make_secrets()
    waiting.until("the kubelet to bring the right key", has(store.sandbox.s3.secret_key), 300)
    no_snapshots(three)


@pytest.mark.soak
def test_a_slow_store_takes_longer(three: Datacenter, client: Workload, store: Store) -> None:
    with store.slow():
        assert stored(three, backup(three, "slow"))["state"] == "complete"
    three.run("verify_backup", verify_backup_name="slow", verify_backup_read_data="100%").ok()


@pytest.mark.soak
def test_a_store_that_is_full_is_told(three: Datacenter, client: Workload, store: Store) -> None:
    """The run says so; when there is room again the next one takes the backup up."""
    with store.small("1m") as variable:
        other = three.changed(cassandra_backup=variable)
        result = other.run("backup", backup_name="no-room", backup_wait_timeout=40)
        tell(result)
        result.refused("no-room")
        no_snapshots(three)
        store.enlarge("100m")
        assert stored(other, backup(other, "no-room"))["state"] == "complete"
        other.run("verify_backup", verify_backup_name="no-room", verify_backup_read_data="100%").ok()


@pytest.mark.soak
def test_a_container_that_is_killed_is_no_end(three: Datacenter, client: Workload, store: Store) -> None:
    """B8: as the kernel does when memory is short."""
    variables = {**store.variable, "bandwidth": "64Ki"}
    slow = three.changed(cassandra_backup=variables)
    three.nodetool(three.nodes[0], "flush")
    run = slow.start("backup", backup_name="short-of-memory")
    wait_for_words(run, "snapshots taken")
    time.sleep(2)
    for node in three.nodes:
        three.namespace.kubectl("exec", node, "-c", "backup", "--", "sh", "-c", "kill -KILL -1; true")
    result = run.wait()
    tell(result)
    result.ok()
    assert listed(three)["short-of-memory"]["state"] == "complete"


@pytest.mark.soak
@pytest.mark.parametrize("number", range(10))
def test_a_backup_that_is_killed_anywhere(three: Datacenter, client: Workload, store: Store, number: int) -> None:
    words = ("", "flushing", "taking snapshots", "snapshots taken", "is in:")
    choice = rng(f"backup/killed/{number}")
    kill_and_go_on(three, f"killed-{number}", choice.choice(words), choice.uniform(0, 2))
    no_snapshots(three)
    three.run("verify_backup", verify_backup_name=f"killed-{number}", verify_backup_read_data="0").ok()


@pytest.mark.soak
def test_nothing_is_purged_beside_a_backup_that_runs(three: Datacenter, client: Workload, store: Store) -> None:
    with store.slow():
        run = three.start("backup", backup_name="beside")
        wait_for_words(run, "snapshots taken")
        three.run("purge_backups").refused(f"pid {run.process.pid} holds the lock")
        assert run.process.poll() is None, run.output
        run.wait().ok()
    three.run("verify_backup", verify_backup_name="beside", verify_backup_read_data="100%").ok()


@pytest.mark.soak
def test_backups_that_died_push_no_good_one_out(three: Datacenter, client: Workload, store: Store) -> None:
    """As many as are kept, and one more."""
    for number in range(store.keep["last"]):
        backup(three, f"good-{number}").ok()
    good = [name for name, told in listed(three).items() if told["state"] == "complete"]
    for number in range(store.keep["last"] + 1):
        run = three.start("backup", backup_name=f"died-{number}")
        wait_for_words(run, "snapshots taken")
        assert run.process.poll() is None, run.output
        run.kill()
    three.run("purge_backups").ok()
    left = listed(three)
    kept = [name for name in good if name in left]
    assert len(kept) >= store.keep["last"], left
    for name in kept:
        three.run("verify_backup", verify_backup_name=name, verify_backup_read_data="100%").ok()
    for number in range(store.keep["last"] + 1):
        assert left.get(f"died-{number}", {"state": "gone"})["state"] in ("gone", "failed", "running"), left


@pytest.mark.soak
def test_it_is_added_to_a_datacenter_that_lives(namespaces: Namespaces, sandbox: Sandbox) -> None:
    """The container is a change that waits for a restart; a backup says so until then."""
    with namespaces.fresh("b-late") as namespace:
        made = Store(sandbox, namespace)
        made.make_secrets()
        datacenter = Datacenter(namespace)
        datacenter.deploy()
        wanted = datacenter.changed(cassandra_backup=made.variable)
        lives = datacenter.lives()
        with Workload(datacenter, elsewhere=True) as client:
            assert "Pending restart" in wanted.deploy().output
            assert datacenter.lives() == lives
            wanted.run("backup").refused("no node that runs has the container backup", "then restart")
            wanted.run("restart", rollout_soak=0).ok()
            assert stored(wanted, backup(wanted, "late"))["state"] == "complete"
            client.check("ALL")
            assert not client.record.failures, str(client.record)
