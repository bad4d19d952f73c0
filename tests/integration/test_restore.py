# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup comes back: what was dropped, one table of two, the whole datacenter, and into another one. Rows are
compared one by one.

One datacenter and one backup serve all tests; each ends with the rows of the backup.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from integration.harness import restores, waiting
from integration.harness.cargo import formats
from integration.harness.datacenter import START_SECONDS, Datacenter, identities
from integration.harness.killed import Moment, killed
from integration.harness.kubernetes import KubectlError
from integration.harness.namespace import Namespace, Namespaces
from integration.harness.restores import KEYSPACE, Rows, asking, assert_same
from integration.harness.rollouts import QUICK, versions
from integration.harness.settings import rng
from integration.harness.store import Store
from integration.harness.workload import connect
from sandbox import Sandbox

NEWEST = "5.0.9"

# Minutes each; `make test` restores a table of a small datacenter.
pytestmark = pytest.mark.soak


@dataclass
class Saved:
    """:ivar rows: what was there when the backup was made."""

    datacenter: Datacenter
    store: Store
    rows: Rows
    other_rows: Rows


@pytest.fixture(scope="module")
def saved(namespaces: Namespaces, sandbox: Sandbox) -> Iterator[Saved]:
    with namespaces.fresh("restore") as namespace:
        store = Store(sandbox, namespace)
        datacenter = filled(namespace, store, store.variable)
        restores.fill(datacenter, rng("restore/other"), "other")
        datacenter.run("backup", backup_name="b1").ok()
        yield Saved(datacenter, store, restores.read(datacenter), restores.read(datacenter, "other"))


def filled(
    namespace: Namespace, store: Store, backup: Mapping[str, Any], version: str = NEWEST, **config: Any
) -> Datacenter:
    """A datacenter that may be backed up, deployed, with rows of every kind."""
    store.make_secrets()
    plain = Datacenter(namespace, variables={"cassandra_version": version})
    wanted = {**plain.inventory_variables()["cassandra_config"], **restores.CONFIG, **config}
    datacenter = plain.changed(cassandra_backup=backup, cassandra_config=wanted)
    datacenter.deploy()
    restores.fill(datacenter, rng("restore"), sai=version == NEWEST)
    return datacenter


def everything_as_it_was(saved: Saved) -> None:
    assert_same(restores.read(saved.datacenter), saved.rows)
    assert_same(restores.read(saved.datacenter, "other"), saved.other_rows)
    nothing_left(saved.datacenter)


def nothing_left(datacenter: Datacenter) -> None:
    """No plan, no staging folder, no role of a loader, nobody held."""
    names = [item["metadata"]["name"] for item in datacenter.namespace.list("configmaps")]
    assert f"{datacenter.prefix}-restore" not in names
    for node in datacenter.nodes:
        said = datacenter.namespace.exec(node, "ls", "-A", "/var/lib/cassandra/.cassops").split()
        assert "restore" not in said, said
        assert "restoring" not in said, said
    roles = asking(
        datacenter, lambda session: [row.role for row in restores.run(session, "SELECT role FROM system_auth.roles")]
    )
    assert not [role for role in roles if "loader" in role]


def test_a_dropped_keyspace_comes_back_with_everything_in_it(saved: Saved) -> None:
    asking(saved.datacenter, lambda session: restores.run(session, f"DROP KEYSPACE {KEYSPACE}"))
    result = saved.datacenter.run("restore", restore_tables=KEYSPACE, facts=True).ok()
    told = result.facts[saved.datacenter.host]
    assert (told["way"], told["backup"], told["changed"]) == ("import", "b1", True)
    assert told["tables"]["shop.orders"] == "create"
    everything_as_it_was(saved)
    # What was restored is not restored again by the second run, and rows that came since stay.
    asking(saved.datacenter, lambda session: restores.run(session, f"INSERT INTO {KEYSPACE}.found (id) VALUES (9999)"))
    again = saved.datacenter.run("restore", restore_tables=KEYSPACE).ok()
    assert again.changed == 0
    assert restores.read(saved.datacenter)["found"] != saved.rows["found"]
    asking(saved.datacenter, lambda session: restores.run(session, f"DELETE FROM {KEYSPACE}.found WHERE id = 9999"))
    everything_as_it_was(saved)


def test_one_table_of_two_goes_back_and_the_other_stays(saved: Saved) -> None:
    def harm(session: Session) -> None:
        restores.run(session, f"DELETE FROM {KEYSPACE}.orders WHERE customer = 'c1'")
        restores.run(session, f"INSERT INTO {KEYSPACE}.orders (customer, number) VALUES ('new', 1)")
        restores.run(session, f"INSERT INTO {KEYSPACE}.shrunk (id, kept) VALUES (9999, 'new')")

    asking(saved.datacenter, harm)
    saved.datacenter.run("restore", restore_tables=f"{KEYSPACE}.orders").refused("-e restore_rows=replace")
    saved.datacenter.run("restore", "--check", restore_tables=f"{KEYSPACE}.orders", restore_rows="replace").ok()
    assert "9999" in str(restores.read(saved.datacenter)["shrunk"])
    saved.datacenter.run("restore", restore_tables=f"{KEYSPACE}.orders", restore_rows="replace").ok()
    found = restores.read(saved.datacenter)
    assert_same({**found, "shrunk": saved.rows["shrunk"]}, saved.rows)
    assert "9999" in str(found["shrunk"])
    asking(saved.datacenter, lambda session: restores.run(session, f"DELETE FROM {KEYSPACE}.shrunk WHERE id = 9999"))
    everything_as_it_was(saved)


def test_the_whole_datacenter_goes_back_in_its_place(saved: Saved) -> None:
    before = saved.datacenter.wait_up()

    def harm(session: Session) -> None:
        restores.run(session, f"TRUNCATE {KEYSPACE}.orders")
        restores.run(session, "DROP KEYSPACE other")
        restores.run(session, f"CREATE TABLE {KEYSPACE}.since (id int PRIMARY KEY)")
        restores.run(session, f"INSERT INTO {KEYSPACE}.found (id, colour) VALUES (9999, 'new')")
        restores.run(session, f"ALTER TABLE {KEYSPACE}.shrunk DROP kept")

    asking(saved.datacenter, harm)
    # What that column held would stay hidden.
    words: dict[str, Any] = {"restore_tables": f"{KEYSPACE}.shrunk", "restore_rows": "replace"}
    saved.datacenter.run("restore", **words).refused("kept was text and is not there")
    saved.datacenter.run("restore", restore_mode="datacenter").refused("-e restore_confirm=dc1")
    saved.datacenter.run("restore", restore_mode="datacenter", restore_confirm="dc1").ok()
    after = saved.datacenter.wait_up()
    assert {node: one.host_id for node, one in after.items()} == {node: one.host_id for node, one in before.items()}
    everything_as_it_was(saved)
    assert "since" not in saved.datacenter.nodetool(saved.datacenter.nodes[0], "tablestats", KEYSPACE)


def test_a_datacenter_whose_restored_nodes_do_not_start_goes_back_to_what_it_was(saved: Saved) -> None:
    datacenter = saved.datacenter
    asking(
        datacenter,
        lambda session: restores.run(session, f"INSERT INTO {KEYSPACE}.found (id, colour) VALUES (9999, 'new')"),
    )
    rows, before = restores.read(datacenter), datacenter.wait_up()
    wanted: dict[str, Any] = {"restore_mode": "datacenter", "restore_confirm": "dc1", "restore_again": True}
    run = datacenter.start("restore", **wanted)
    done = f"{datacenter.nodes[0]} has its data of"
    waiting.until("data to be exchanged", lambda: [] if done in run.output else [run.output[-300:]], START_SECONDS, 0.1)
    run.kill()
    # What it reads at its start is none of its own; of the last segment alone Cassandra forgives anything.
    script = "mkdir -p $0; for n in 1 2; do yes spoilt | head -c 65536 >$0/CommitLog-7-$n.log; done"
    datacenter.namespace.exec(datacenter.nodes[0], "sh", "-c", script, "/var/lib/cassandra/commitlog")
    datacenter.run("restore", **wanted).refused(
        f"{datacenter.nodes[0]} crashed",
        "What was there before the restore is still on the volumes",
        "-e restore_abandon=true -e restore_confirm=dc1",
    )
    datacenter.run("restore", restore_abandon=True).refused("has changed data already (step prove)")
    datacenter.run("restore", restore_abandon=True, restore_confirm="dc1").ok()
    assert identities(datacenter.wait_up()) == identities(before)
    assert_same(restores.read(datacenter), rows)
    nothing_left(datacenter)
    datacenter.run("restore", **wanted).ok()
    everything_as_it_was(saved)


def test_hints_bring_nothing_back(saved: Saved) -> None:
    """B5: rows that were written after the backup wait as hints when the datacenter goes back."""
    datacenter = saved.datacenter
    first, *others = datacenter.nodes
    for node in others:
        datacenter.nodetool(node, "pausehandoff")
    datacenter.nodetool(first, "disablegossip")
    waiting.until(
        "the others to take it for down",
        lambda: [f"{node} sees {datacenter.view(node)}" for node in others if not down(datacenter, node, first)],
        300,
        pause=3,
    )
    with connect(datacenter) as cluster:
        session = cluster.connect()
        for number in range(50):
            text = f"INSERT INTO {KEYSPACE}.found (id, colour) VALUES ({5000 + number}, 'late')"
            restores.run(session, text, ConsistencyLevel.QUORUM)
    datacenter.nodetool(first, "enablegossip")
    for node in others:
        datacenter.nodetool(node, "flush")
    datacenter.wait_up()
    # They are written to the disk every ten seconds (hints_flush_period).
    waiting.until("hints on the disk", lambda: [] if any(hints_of(datacenter, node) for node in others) else others, 60)
    datacenter.run("restore", restore_mode="datacenter", restore_confirm="dc1", restore_again=True).ok()
    everything_as_it_was(saved)


def hints_of(datacenter: Datacenter, node: str) -> bool:
    return ".hints" in datacenter.namespace.exec(node, "ls", "/var/lib/cassandra/hints")


def down(datacenter: Datacenter, observer: str, node: str) -> bool:
    return datacenter.view(observer)[datacenter.addresses()[node]].state == "DN"


def test_nodes_that_lost_all_their_volumes_come_back_as_who_they_were(saved: Saved) -> None:
    datacenter = saved.datacenter
    before = datacenter.wait_up()
    for node in datacenter.nodes:
        datacenter.namespace.kubectl("delete", "pvc", f"data-{node}", "--wait=false")
    for node in datacenter.nodes:
        datacenter.delete_pod(node, "--wait=true")
    waiting.until("every node to be held", lambda: not_held(datacenter), START_SECONDS, pause=3)
    datacenter.run("restore", restore_mode="datacenter", restore_confirm="dc1").refused("-e restore_auth=take")
    datacenter.run("restore", restore_mode="datacenter", restore_confirm="dc1", restore_auth="take").ok()
    assert identities(datacenter.wait_up()) == identities(before)
    everything_as_it_was(saved)


def not_held(datacenter: Datacenter) -> list[str]:
    """Nodes that do not say that their volume is empty."""
    reasons = []
    for node in datacenter.nodes:
        try:
            said = datacenter.namespace.exec(node, "cat", "/tmp/held")
        except KubectlError as error:
            said = str(error)
        if "its volume is empty" not in said:
            reasons.append(f"{node}: {said}")
    return reasons


# What a restore says, one after the other -> the most seconds to let it go on after that.
STAGES = {
    "tables": {"": 4.0, "has its files": 2.0, "take snapshot": 1.0, "empty table": 1.0, "import ": 3.0},
    "datacenter": {"has its files": 1.0, "close CQL": 3.0, "has its data of": 1.0, "all nodes start": 20.0, "": 4.0},
}


@pytest.mark.parametrize("turn", range(5))
@pytest.mark.parametrize("mode", STAGES)
def test_a_killed_restore_is_finished_by_the_next(saved: Saved, mode: str, turn: int) -> None:
    """At each stage once."""
    asking(saved.datacenter, lambda session: restores.run(session, f"TRUNCATE {KEYSPACE}.orders"))
    wanted: dict[str, Any] = {
        "restore_mode": mode,
        "restore_confirm": "dc1",
        "restore_rows": "replace",
        "restore_again": True,
    }
    run = saved.datacenter.start("restore", **wanted)
    stage, most = list(STAGES[mode].items())[turn]
    assert killed(run, Moment(stage, rng(f"restore/killed/{mode}/{turn}").uniform(0, most))), run.output
    print(run.output[-1500:])
    saved.datacenter.run("restore", **wanted).ok()
    saved.datacenter.wait_up()
    everything_as_it_was(saved)


def test_the_drill_says_whether_the_backup_is_good(saved: Saved, namespaces: Namespaces) -> None:
    with namespaces.fresh("drill") as namespace:
        Store(saved.store.sandbox, namespace).make_secrets(saved.store.password)
        # One kubeconfig for both namespaces, as somebody has who may use both.
        grant(namespace, saved.datacenter.namespace)
        wanted: dict[str, Any] = {
            "backup_drill_namespace": namespace.name,
            "backup_drill_tables": f"{KEYSPACE},other.orders",
        }
        # Extra vars beat those of the drill, which would end by taking the living datacenter away.
        living: dict[str, Any] = {
            "cassandra_cluster": saved.datacenter.cluster,
            "cassandra_namespace": saved.datacenter.namespace.name,
        }
        saved.datacenter.run("backup_drill", **wanted, **living).refused("Put them into the inventory")
        everything_as_it_was(saved)
        result = saved.datacenter.run("backup_drill", **wanted).ok()
        assert "is good" in " ".join(result.output.split())
        assert not namespace.list("statefulsets,persistentvolumeclaims")
        asking(saved.datacenter, lambda session: restores.run(session, f"DELETE FROM {KEYSPACE}.found WHERE id = 3"))
        saved.datacenter.run("backup_drill", **wanted).refused(f"{KEYSPACE}.found has")
        assert not namespace.list("statefulsets,persistentvolumeclaims")
        saved.datacenter.run("restore", restore_tables=f"{KEYSPACE}.found", restore_rows="replace").ok()
        everything_as_it_was(saved)


def grant(namespace: Namespace, other: Namespace) -> None:
    """The shipped Role of a namespace, for the automation of another one too."""
    group = "rbac.authorization.k8s.io"
    namespace.apply(
        [
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "cassops-elsewhere"},
                "roleRef": {"apiGroup": group, "kind": "Role", "name": "cassops"},
                "subjects": [{"kind": "ServiceAccount", "name": "cassops", "namespace": other.name}],
            }
        ]
    )


def test_another_datacenter_with_the_backups_tokens_takes_the_files(saved: Saved, namespaces: Namespaces) -> None:
    with namespaces.fresh("copied") as namespace:
        Store(saved.store.sandbox, namespace).make_secrets(saved.store.password)
        tokens = dict(line.split() for line in saved.datacenter.ledger()["tokens"].splitlines())
        given = {
            node.removeprefix("demo-dc1-").replace("r", "z"): tokens[node].split(",") for node in saved.datacenter.nodes
        }
        variables = {**saved.datacenter.variables, "cassandra_tokens": given}
        other = Datacenter(namespace, "copy", "dc9", {"z1": 1, "z2": 1, "z3": 1}, variables)
        other.deploy()
        wanted = {"restore_source_cluster": "demo", "restore_source_datacenter": "dc1"}
        result = other.run("restore", facts=True, **wanted).ok()
        assert result.facts[other.host]["way"] == "import"
        assert_same(restores.read(other), saved.rows)
        nothing_left(other)


def test_another_number_of_nodes_takes_the_rows_by_loading(saved: Saved, namespaces: Namespaces) -> None:
    with namespaces.fresh("loaded") as namespace:
        Store(saved.store.sandbox, namespace).make_secrets(saved.store.password)
        variables = saved.datacenter.variables
        other = Datacenter(namespace, "copy", "dc9", {"r1": 2}, variables)
        other.deploy()
        wanted: dict[str, Any] = {"restore_source_cluster": "demo", "restore_source_datacenter": "dc1"}
        other.run("restore", **wanted).refused("the backup is of 3 nodes, and there are 2", "-e restore_load=true")
        # Three replicas do not fit on two nodes; the keyspaces are made as they were, and two are enough to read.
        other.run("restore", restore_load=True, **wanted).ok()
        assert_same(restores.read_two(other), saved.rows)
        nothing_left(other)


def test_tables_with_sstables_of_two_formats(namespaces: Namespaces, sandbox: Sandbox) -> None:
    """An upgrade whose SSTables were not rewritten: the files of 4.1's format and of 5.0's come back together."""
    with namespaces.fresh("formats") as namespace:
        store = Store(sandbox, namespace)
        datacenter = filled(namespace, store, store.variable, storage_compatibility_mode="CASSANDRA_4")
        flush(datacenter)
        assert formats(datacenter, KEYSPACE) == {"nb"}
        wanted = {**datacenter.inventory_variables()["cassandra_config"], "storage_compatibility_mode": "UPGRADING"}
        datacenter = datacenter.changed(cassandra_config=wanted)
        datacenter.run("upgrade", rollout_soak=0, upgrade_sstables=False).ok()
        asking(datacenter, lambda session: restores.write(session, rng("restore/later"), KEYSPACE, shrunk=True))
        flush(datacenter)
        assert formats(datacenter, KEYSPACE) == {"nb", "oa"}
        datacenter.run("backup", backup_name="two").ok()
        rows = restores.read(datacenter)
        asking(datacenter, lambda session: restores.run(session, f"DROP KEYSPACE {KEYSPACE}"))
        datacenter.run("restore", restore_tables=KEYSPACE).ok()
        assert formats(datacenter, KEYSPACE) == {"nb", "oa"}
        assert_same(restores.read(datacenter), rows)
        nothing_left(datacenter)


def test_back_from_5_0_by_a_backup(namespaces: Namespaces, sandbox: Sandbox) -> None:
    """The way of docs/operations/upgrade.md where there is no other."""
    with namespaces.fresh("back-by-backup") as namespace:
        store = Store(sandbox, namespace)
        old = filled(namespace, store, store.variable, version="4.1.10")
        rows, before = restores.read(old), old.wait_up()
        old.run("backup", backup_name="before-5.0").ok()
        new = old.changed(cassandra_version=NEWEST)
        new.run("upgrade", **QUICK).ok()
        wanted = {**old.inventory_variables()["cassandra_config"], "storage_compatibility_mode": "UPGRADING"}
        new = new.changed(cassandra_config=wanted)
        new.run("upgrade", **QUICK).ok()
        asking(new, lambda session: restores.write(session, rng("restore/later"), KEYSPACE, shrunk=True))
        old.run("deploy").refused("back to 4.1 is possible only while storage_compatibility_mode is CASSANDRA_4")
        new.run("verify_backup", verify_backup_name="before-5.0", verify_backup_read_data="100%").ok()
        login = namespace.get("secret", f"{old.cluster}-superuser")
        new.run("destroy", destroy_confirm="dc1", destroy_volumes=True).ok()
        namespace.apply([{key: login[key] for key in ("apiVersion", "kind", "data")} | {"metadata": named(login)}])
        old.deploy()
        whole: dict[str, Any] = {"restore_mode": "datacenter", "restore_confirm": "dc1", "restore_auth": "take"}
        old.run("restore", restore_name="before-5.0", **whole).ok()
        assert set(versions(old).values()) == {"4.1.10"}
        after = old.wait_up()
        assert {node: one.host_id for node, one in after.items()} == {node: one.host_id for node, one in before.items()}
        assert_same(restores.read(old), rows)
        nothing_left(old)
        assert old.run("deploy").ok().changed == 0
        assert not old.status()["problems"]


def flush(datacenter: Datacenter) -> None:
    for node in datacenter.nodes:
        datacenter.nodetool(node, "flush", KEYSPACE)


# --- a point in time --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def logged(namespaces: Namespaces, sandbox: Sandbox) -> Iterator[Datacenter]:
    """A datacenter whose commit logs are stored, with a backup of rows of every kind."""
    with namespaces.fresh("logged") as namespace:
        store = Store(sandbox, namespace)
        datacenter = filled(namespace, store, store.with_logs)
        datacenter.run("backup", backup_name="b1").ok()
        yield datacenter


def write_second_by_second(datacenter: Datacenter, first: int, seconds: int) -> dict[int, list[int]]:
    """Ten rows a second; by the second of their timestamps."""
    written: dict[int, list[int]] = {}

    def work(session: Session) -> None:
        for number in range(first, first + 10 * seconds):
            time.sleep(0.1)
            now = time.time()
            text = f"INSERT INTO {KEYSPACE}.found (id, colour) VALUES ({number}, 'late')"
            restores.run(session, f"{text} USING TIMESTAMP {int(now * 1e6)}", ConsistencyLevel.QUORUM)
            written.setdefault(int(now), []).append(number)

    asking(datacenter, work)
    return written


def ids(datacenter: Datacenter) -> set[int]:
    found: set[int] = asking(
        datacenter,
        lambda session: {
            row.id for row in restores.run(session, f"SELECT id FROM {KEYSPACE}.found") if row.id >= 10_000
        },
    )
    return found


def moment(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def test_rows_before_a_second_are_there_and_rows_after_are_not(logged: Datacenter) -> None:
    before = restores.read(logged)
    written = write_second_by_second(logged, 10_000, 8)
    counted = "SELECT seen FROM shop.counts WHERE id = 1"
    (then,) = asking(logged, lambda session: [row.seen for row in restores.run(session, counted)])
    middle = sorted(written)[len(written) // 2]
    # Of a whole partition: Cassandra would replay that of a single row, whatever its time (archive.late_deletes).
    asking(logged, lambda session: restores.run(session, f"DELETE FROM {KEYSPACE}.orders WHERE customer = 'c1'"))
    asking(logged, lambda session: restores.run(session, "UPDATE shop.counts SET seen = seen + 1000 WHERE id = 1"))
    time.sleep(20)
    wanted: dict[str, Any] = {"restore_mode": "datacenter", "restore_confirm": "dc1"}
    logged.run("restore", restore_to=moment(int(time.time()) + 3600), **wanted).refused("is in the future")
    logged.run("restore", restore_to="2026-01-01T00:00:00Z", **wanted).refused("was taken before")
    identity = identities(logged.wait_up())
    logged.run("restore", restore_to=moment(middle + 1), **wanted).ok()
    assert identities(logged.wait_up()) == identity
    assert ids(logged) == {number for second, rows in written.items() if second <= middle for number in rows}
    assert [row.seen for row in asking(logged, lambda session: list(restores.run(session, counted)))] == [then]
    assert restores.read(logged)["orders"] == before["orders"]
    nothing_left(logged)
    # No later start replays again: what is deleted now stays deleted.
    asking(logged, lambda session: restores.run(session, f"DELETE FROM {KEYSPACE}.found WHERE id = 10000"))
    for node in logged.nodes:
        assert "replay" not in logged.namespace.exec(node, "ls", "/var/lib/cassandra/.cassops").split()
        logged.namespace.kubectl("delete", "pod", node)
        logged.wait_up()
    assert 10_000 not in ids(logged)
    # What the restore has cut off is not to be had from the same backup.
    logged.run("restore", restore_to=moment(int(time.time()) - 20), **wanted).refused("is not all in its commit log")
    logged.run("backup", backup_name="b2").ok()


@pytest.mark.parametrize("turn", range(2))
def test_a_killed_restore_of_a_moment_is_finished_by_the_next(logged: Datacenter, turn: int) -> None:
    first = 20_000 + 1000 * turn
    logged.run("backup", backup_name=f"killed-{turn}").ok()
    written = write_second_by_second(logged, first, 4)
    last = max(written) + 1
    time.sleep(2)
    write_second_by_second(logged, first + 500, 2)
    time.sleep(20)
    wanted: dict[str, Any] = {"restore_mode": "datacenter", "restore_confirm": "dc1", "restore_to": moment(last)}
    run = logged.start("restore", **wanted)
    stage, most = [("has its files", 5.0), ("all nodes start", 20.0)][turn]
    assert killed(run, Moment(stage, rng(f"restore/moment/{turn}").uniform(0, most))), run.output
    print(run.output[-1500:])
    logged.run("restore", **wanted).ok()
    logged.wait_up()
    mine = {number for number in ids(logged) if number >= first}
    assert mine == {number for rows in written.values() for number in rows}
    nothing_left(logged)


def test_a_datacenter_whose_kubernetes_is_gone_comes_back_elsewhere(namespaces: Namespaces, sandbox: Sandbox) -> None:
    """All that is left are the store, the inventory, and the Secrets that somebody kept."""
    with namespaces.fresh("lost") as namespace:
        store = Store(sandbox, namespace)
        lost = filled(namespace, store, store.with_logs)
        lost.run("backup", backup_name="b1").ok()
        written = write_second_by_second(lost, 10_000, 4)
        last = max(written)
        # Each node stores its commit log once a minute.
        time.sleep(90)
        rows, before = restores.read(lost), lost.wait_up()
        login = namespace.get("secret", f"{lost.cluster}-superuser")
    with namespaces.fresh("regained") as namespace:
        Store(sandbox, namespace).make_secrets(store.password)
        namespace.apply([{key: login[key] for key in ("apiVersion", "kind", "data")} | {"metadata": named(login)}])
        regained = Datacenter(namespace, variables=lost.variables)
        regained.deploy()
        wanted: dict[str, Any] = {"restore_mode": "datacenter", "restore_confirm": "dc1", "restore_auth": "take"}
        regained.run("restore", restore_to=moment(last + 1), **wanted).ok()
        after = regained.wait_up()
        assert {node: one.host_id for node, one in after.items()} == {node: one.host_id for node, one in before.items()}
        assert_same(restores.read(regained), rows)
        assert ids(regained) == {number for numbers in written.values() for number in numbers}
        nothing_left(regained)
        # The addresses of the nodes that are gone are nobody's any more.
        assert regained.run("deploy").ok().changed == 0
        assert not regained.status()["problems"]
        regained.run("restart", rollout_force=True, rollout_soak=0).ok()
        assert identities(regained.wait_up()) == identities(after)
        regained.run("backup", backup_name="b2").ok()


def named(item: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of an object that is made elsewhere."""
    return {"name": item["metadata"]["name"]}
