# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes become six, four and three again; a fourth rack comes and goes; workers die; all are stopped and started.

In the end each node gets another volume, and these grow. One client writes and reads at QUORUM until all are stopped.
It loses no row, and none of its requests fails but where a worker dies.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from integration.harness import cargo, faults, losses, resizer, waiting
from integration.harness.datacenter import Datacenter
from integration.harness.faults import DAY, Volume, stopped
from integration.harness.killed import wait_for_words
from integration.harness.namespace import Namespaces
from integration.harness.rollouts import restart
from integration.harness.scaling import LIMIT, assert_ring, host_ids, scaled, wanted
from integration.harness.settings import rng
from integration.harness.workload import Workload, connect, rows_of

# Minutes each; `make test` adds a node to a small datacenter and takes it away.
pytestmark = pytest.mark.soak

THREE = {"r1": 1, "r2": 1, "r3": 1}
FOUR = {"r1": 2, "r2": 1, "r3": 1}
SIX = {"r1": 2, "r2": 2, "r3": 2}
FIVE = {"r1": 1, "r2": 2, "r3": 1}
# Of unique data; at a trickle it takes minutes to get half of it to or from a node.
MEBIBYTES = 64
# The volumes of the shipped inventory are of the class local, with 2Gi.
OTHER_CLASS = "local-other"


@pytest.fixture(scope="module")
def three(namespaces: Namespaces) -> Iterator[Datacenter]:
    with namespaces.fresh("scale") as namespace:
        datacenter = Datacenter(namespace, racks=THREE)
        datacenter.deploy()
        yield datacenter


@pytest.fixture(scope="module")
def client(three: Datacenter) -> Iterator[Workload]:
    """At work all the time."""
    with Workload(three) as client:
        yield client


def kill(datacenter: Datacenter, node: str) -> None:
    """Its process is gone from one moment to the next; Kubernetes makes its pod again, on the same volume."""
    datacenter.namespace.kubectl("delete", "pod", node, "--grace-period=0", "--force")


def test_three_become_six_although_a_run_is_killed(three: Datacenter, client: Workload) -> None:
    six, before = wanted(three, SIX), host_ids(three)
    with client.none_fails():
        run = six.start("scale")
        wait_for_words(run, "r1-1 to join", LIMIT)
        six.run("scale").refused(f"pid {run.process.pid} holds the lock {six.cluster}-lock", "since")
        time.sleep(rng("scale/killed").uniform(0, 20))
        run.kill()
        print(f"killed after: {run.output.splitlines()[-1]}")
        scaled(six)
    assert before.items() <= host_ids(six).items(), "nobody was replaced"


def test_again_changes_nothing(three: Datacenter, client: Workload) -> None:
    six = wanted(three, SIX)
    lives = six.lives()
    assert six.run("scale").ok().changed == 0
    assert six.run("scale", "--check").ok().changed == 0
    assert six.deploy().changed == 0
    assert six.lives() == lives


def test_deploy_refuses_other_numbers(three: Datacenter, client: Workload) -> None:
    three.run("deploy").refused("the playbook scale does it")


def test_fewer_nodes_than_replicas_are_refused(three: Datacenter, client: Workload) -> None:
    lives = wanted(three, SIX).lives()
    wanted(three, {"r1": 1, "r2": 1}).run("scale").refused("keyspace", "keeps 3 replicas", "scale_ignore: racks")
    assert wanted(three, SIX).lives() == lives


def test_six_become_four_although_a_run_is_killed(three: Datacenter, client: Workload) -> None:
    four = wanted(three, FOUR)
    with client.none_fails():
        run = four.start("scale")
        wait_for_words(run, "to leave", LIMIT)
        time.sleep(rng("scale/killed/in").uniform(0, 10))
        run.kill()
        print(f"killed after: {run.output.splitlines()[-1]}")
        scaled(four)
    kept = {name["metadata"]["name"] for name in four.namespace.list("persistentvolumeclaims", "-l", four.selector)}
    assert {f"data-{four.prefix}-r2-1", f"data-{four.prefix}-r3-1"} <= kept


def test_a_volume_of_a_node_that_left_is_in_the_way(three: Datacenter, client: Workload) -> None:
    five = wanted(three, {"r1": 2, "r2": 2, "r3": 1})
    left = host_ids(three)
    five.run("scale").refused("is in the way of a new", "scale_delete_volumes=true")
    with client.none_fails():
        scaled(five, scale_delete_volumes=True)
        assert host_ids(five)[f"{five.prefix}-r2-1"] not in left.values()
        scaled(wanted(three, FOUR), scale_delete_volumes=True)


def test_a_fourth_rack_comes_and_goes(three: Datacenter, client: Workload) -> None:
    with client.none_fails():
        scaled(wanted(three, {**THREE, "r4": 1}))
        scaled(three)


def test_a_joining_node_that_is_killed_joins_anew(three: Datacenter, client: Workload) -> None:
    four = wanted(three, FOUR)
    with client.none_fails():
        run = four.start("scale", scale_delete_volumes=True)
        wait_for_words(run, "r1-1 to join: joining", LIMIT)
        kill(four, f"{four.prefix}-r1-1")
        run.wait().ok()
        assert_ring(four)


def test_a_leaving_node_that_is_killed_leaves_anew(three: Datacenter, client: Workload) -> None:
    with client.none_fails():
        run = three.start("scale")
        wait_for_words(run, "r1-1 to leave: leaving", LIMIT)
        kill(three, f"{three.prefix}-r1-1")
        run.wait().ok()
        assert_ring(three)


@pytest.mark.parametrize("moment", range(3))
def test_a_join_that_is_not_wanted_any_more_is_taken_back(three: Datacenter, client: Workload, moment: int) -> None:
    """It may end while its node is stopped: then that is a member, which leaves."""
    with client.none_fails():
        run = wanted(three, FOUR).start("scale", scale_delete_volumes=True)
        wait_for_words(run, "r1-1 to join", LIMIT)
        time.sleep(rng(f"scale/withdrawn/{moment}").uniform(0, 20))
        run.kill()
        print(f"killed after: {run.output.splitlines()[-1]}")
        scaled(three, scale_delete_volumes=True)
        assert_ring(three)
    claims = {item["metadata"]["name"] for item in three.namespace.list("persistentvolumeclaims", "-l", three.selector)}
    assert f"data-{three.prefix}-r1-1" not in claims


def test_a_member_that_is_lost_while_another_joins_is_replaced(three: Datacenter, client: Workload) -> None:
    """Nobody can join while a member is dead, whatever becomes of the run; heal replaces it, and scale ends."""
    four, lost = wanted(three, FOUR), f"{three.prefix}-r3-0"
    before = host_ids(three)
    run = four.start("scale", scale_delete_volumes=True)
    wait_for_words(run, "r1-1 to join: ", LIMIT)
    with stopped(three, lost):
        Volume.of(three, lost).wipe()
    print(f"scale ended with {run.wait().rc}")
    # It may fail: the node that could not join needs scale, not heal.
    healed = four.run("heal", heal_patience=900)
    assert f"{lost} is replaced: " in " ".join(healed.output.split()), healed.output
    waiting.until("the lost node to be back", lambda: four.not_ready([lost]), 300)
    scaled(four)
    assert before.items() <= host_ids(four).items(), "it kept its host id"
    client.wait_for_rows(50)
    client.check("ALL")
    scaled(three, scale_delete_volumes=True)


# --- workers die ------------------------------------------------------------------------------------------------------


def test_a_worker_dies_during_a_join(three: Datacenter, client: Workload, spare: str) -> None:
    """The run says what a person has to see to, heal what to say; once it is said, the node joins elsewhere."""
    four, sandbox = wanted(three, FIVE), faults.sandbox_of(three)
    other = faults.worker_of(three, f"{three.prefix}-r2-0")
    with cargo.aboard(three, MEBIBYTES):
        cargo.stream_at(three, three.nodes, cargo.TRICKLE)
        with faults.cordoned(three, other):
            run = four.start("scale", scale_delete_volumes=True, scale_wait_timeout=LIMIT)
            wait_for_words(run, "r2-1 to join: joining", LIMIT)
            sandbox.kill_worker(spare)
            try:
                run.wait(LIMIT).refused(f"r2-1 joins on worker {spare}, which does not answer", "heal")
            except BaseException:
                sandbox.revive_worker(spare)
                raise
        try:
            cargo.stream_at(three, three.nodes, cargo.USUAL)
            client.check()
            four.run("heal", heal_patience=0, heal_grace=0).refused(
                f"worker {spare} does not answer", f"-e heal_workers_off={spare}"
            )
            four.run("heal", heal_workers_off=[spare], heal_patience=LIMIT).ok()
            scaled(four)
            assert faults.worker_of(four, f"{four.prefix}-r2-1") == other
        finally:
            sandbox.revive_worker(spare)
        client.check("ALL")
        scaled(three, scale_delete_volumes=True)
    client.check("ALL")


@pytest.mark.parametrize("comes_back", [True, False], ids=["and comes back", "for good"])
def test_a_worker_dies_during_a_leave(three: Datacenter, client: Workload, spare: str, comes_back: bool) -> None:
    """Back again, the node leaves anew; gone for good, heal replaces it first."""
    four, sandbox = wanted(three, FIVE), faults.sandbox_of(three)
    other, leaving = faults.worker_of(three, f"{three.prefix}-r2-0"), f"{three.prefix}-r2-1"
    with faults.cordoned(three, other):
        scaled(four, scale_delete_volumes=True)
    assert faults.worker_of(four, leaving) == spare
    with cargo.aboard(three, MEBIBYTES):
        cargo.stream_at(four, [leaving], cargo.TRICKLE)
        run = three.start("scale", scale_delete_volumes=True, scale_wait_timeout=LIMIT)
        wait_for_words(run, "r2-1 to leave: streaming", LIMIT)
        sandbox.kill_worker(spare)
        try:
            run.wait(LIMIT).refused(f"r2-1 leaves, and its worker {spare} does not answer", "heal")
            client.check()
            if not comes_back:
                four.run("heal", heal_workers_off=[spare], heal_patience=LIMIT).ok()
                assert faults.worker_of(four, leaving) == other
        finally:
            sandbox.revive_worker(spare)
        scaled(three, scale_delete_volumes=True, scale_gate_timeout=LIMIT)
    client.check("ALL")


# --- stopped, and started ---------------------------------------------------------------------------------------------


def test_stop_and_start_keep_everything(three: Datacenter, client: Workload) -> None:
    """The client is stopped first: a stopped datacenter serves nobody."""
    client.wait_for_rows(50)
    client.stop()
    before, rows = host_ids(three), rows_of(three)
    assert len(rows) >= 50
    three.run("stop").ok()
    assert three.pods() == {}
    assert three.run("stop").ok().changed == 0
    three.run("deploy").refused("stopped on purpose")
    three.run("heal").refused("stopped on purpose")
    three.run("start").ok()
    assert three.run("start").ok().changed == 0
    assert_ring(three)
    assert host_ids(three) == before
    assert rows_of(three) == rows
    assert three.run("heal").ok().changed == 0


def test_a_whole_cluster_that_was_away_without_a_stop_goes_on(three: Datacenter, client: Workload) -> None:
    """A Kubernetes that was switched off for longer than gc_grace_seconds: every node is held, and none could give
    another its data."""
    if len(rows_of(three)) < 50:
        client.wait_for_rows(50)
    client.stop()
    before, rows = host_ids(three), rows_of(three)
    assert len(rows) >= 50
    with stopped(three, *three.nodes):
        for moment, node in enumerate(three.nodes):
            Volume.of(three, node).serve_last(11 * DAY + 5 * moment)
    three.run("start", start_after_outage=False).refused("nobody has served since")
    three.run("heal", heal_patience=30).refused("run the playbook start")
    three.run("start", start_after_outage=True).ok()
    assert three.run("start", start_after_outage=True).ok().changed == 0
    assert_ring(three)
    assert host_ids(three) == before
    assert rows_of(three) == rows
    healed = three.run("heal", facts=True).ok()
    assert healed.facts[three.host]["repaired"] == three.nodes, "hints of what they missed may have been dropped"
    assert three.run("heal").ok().changed == 0


# --- other volumes ----------------------------------------------------------------------------------------------------


def stored(datacenter: Datacenter, size: str, storage_class: str = OTHER_CLASS) -> Datacenter:
    return datacenter.changed(cassandra_storage={"class": storage_class, "size": size})


def claims(datacenter: Datacenter) -> dict[str, tuple[str, str, str]]:
    """Node -> UID, class and size of its volume claim; without those that nodes have left behind."""
    found = {item["metadata"]["name"]: item for item in datacenter.namespace.list("persistentvolumeclaims")}
    return {
        node: (
            found[f"data-{node}"]["metadata"]["uid"],
            found[f"data-{node}"]["spec"]["storageClassName"],
            found[f"data-{node}"]["spec"]["resources"]["requests"]["storage"],
        )
        for node in datacenter.nodes
    }


@pytest.fixture(scope="module")
def other_class(three: Datacenter) -> str:
    """Another class by the same provisioner. It stays: who takes its volumes away may want to read it."""
    cluster = three.namespace.cluster
    known = next(item for item in cluster.list("storageclasses") if item["metadata"]["name"] == "local")
    notes = {**known["metadata"].get("annotations", {}), "storageclass.kubernetes.io/is-default-class": "false"}
    notes.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    kept = {name: value for name, value in known.items() if name != "metadata"}
    cluster.apply([{**kept, "metadata": {"name": OTHER_CLASS, "annotations": notes}}])
    return OTHER_CLASS


def test_volumes_that_cannot_become_what_is_wanted_are_told(
    three: Datacenter, client: Workload, other_class: str
) -> None:
    before, lives = claims(three), three.lives()
    stored(three, "1Gi").run("scale").refused("keep it for life", "scale_replace_volumes: true")
    stored(three, "1Gi", "local").run("scale").refused("Kubernetes cannot shrink a volume")
    with cargo.aboard(three, MEBIBYTES):
        stored(three, "40Mi").run("scale", scale_replace_volumes=True).refused("a volume of 40Mi is too small for both")
    told = stored(three, "1Gi").run("scale", "--check", facts=True, scale_replace_volumes=True).ok()
    steps = [each for each in told.facts[three.host]["changes"] if "gives up its volume of 2Gi (class local)" in each]
    assert len(steps) == len(three.nodes), told.facts[three.host]["changes"]
    assert (claims(three), three.lives()) == (before, lives)


def test_another_class_node_by_node_although_a_run_is_killed(three: Datacenter, other_class: str) -> None:
    smaller, before, known = stored(three, "1Gi"), claims(three), host_ids(three)
    with Workload(three, table="volumes", elsewhere=True) as steady, steady.none_fails():
        run = smaller.start("scale", scale_replace_volumes=True, scale_wait_timeout=LIMIT)
        wait_for_words(run, "is given up", LIMIT)
        time.sleep(rng("scale/killed/volumes").uniform(0, 30))
        run.kill()
        print(f"killed after: {run.output.splitlines()[-1]}")
        result = smaller.run("scale", facts=True, scale_replace_volumes=True, scale_wait_timeout=LIMIT).ok()
        print(f"{result.seconds:5.1f} s volumes: {result.facts[three.host]['replaced']}")
        assert_ring(smaller)
    now = claims(smaller)
    assert {(storage_class, size) for _uid, storage_class, size in now.values()} == {(OTHER_CLASS, "1Gi")}
    assert not {uid for uid, *_rest in now.values()} & {uid for uid, *_rest in before.values()}
    assert host_ids(smaller) == known
    lives = smaller.lives()
    assert smaller.run("scale").ok().changed == 0
    assert smaller.run("heal").ok().changed == 0
    assert smaller.deploy().changed == 0
    assert smaller.lives() == lives


def test_a_node_leaves_its_worker_and_comes_back_although_a_run_is_killed(three: Datacenter, spare: str) -> None:
    """Its volume is local. In the end it is where it was: the spare worker is taken away."""
    node, before, known, lives = f"{three.prefix}-r2-0", claims(three), host_ids(three), three.lives()
    ((its_class, size),) = {each[1:] for each in before.values()}
    here, first = stored(three, size, its_class), faults.worker_of(three, node)
    here.run("scale", scale_leave_workers=[first]).refused("rbac-workers.yml")
    with losses.reading_workers(three):
        here.run("scale", scale_leave_workers=[first, "elsewhere"]).refused(
            f"kubectl cordon {first}", "there is no worker elsewhere"
        )
        assert (claims(three), three.lives()) == (before, lives)
        with Workload(three, table="leaving", elsewhere=True) as steady, steady.none_fails():
            with faults.cordoned(three, first):
                run = here.start("scale", scale_leave_workers=[first], scale_wait_timeout=LIMIT)
                wait_for_words(run, "is given up", LIMIT)
                time.sleep(rng("scale/killed/leaving").uniform(0, 30))
                run.kill()
                print(f"killed after: {run.output.splitlines()[-1]}")
                left(here, node, [first])
            with contextlib.ExitStack() as cordoned:
                # A sandbox may have more workers there, of tests that were killed.
                others = [name for name in workers_of(three, "zone2") if name != first]
                assert spare in others
                for name in others:
                    cordoned.enter_context(faults.cordoned(three, name))
                left(here, node, others)
            assert faults.worker_of(three, node) == first
            steady.check("ALL")
    now = claims(three)
    assert {each for each in now if now[each] != before[each]} == {node}
    assert host_ids(three) == known
    assert here.deploy().changed == 0


def workers_of(datacenter: Datacenter, zone: str) -> list[str]:
    items = datacenter.namespace.cluster.list("nodes", "-l", f"topology.kubernetes.io/zone={zone}")
    return [item["metadata"]["name"] for item in items]


def left(datacenter: Datacenter, node: str, old: list[str]) -> None:
    """The node leaves workers, which are cordoned, for another; a second run has nothing to do."""
    result = datacenter.run("scale", facts=True, scale_leave_workers=old, scale_wait_timeout=LIMIT).ok()
    print(f"{result.seconds:5.1f} s off {old}: {result.facts[datacenter.host]['replaced']}")
    assert_ring(datacenter)
    assert faults.worker_of(datacenter, node) not in old
    lives = datacenter.lives()
    assert datacenter.run("scale", scale_leave_workers=old).ok().changed == 0
    assert datacenter.run("heal").ok().changed == 0
    assert datacenter.lives() == lives


@pytest.mark.usefixtures("sandbox")
def test_volumes_grow_under_their_nodes_although_a_run_is_killed(three: Datacenter) -> None:
    before, lives = claims(three), three.lives()
    ((its_class, _size),) = {each[1:] for each in before.values()}
    larger, largest = stored(three, "3Gi", its_class), stored(three, "4Gi", its_class)
    with Workload(three, table="growing", elsewhere=True) as steady, steady.none_fails():
        with resizer.growing(three.namespace, its_class, online=True):
            run = larger.start("scale", scale_wait_timeout=LIMIT)
            wait_for_words(run, "grows to 3Gi", LIMIT)
            time.sleep(rng("scale/killed/growing").uniform(0, 6))
            run.kill()
            result = larger.run("scale", facts=True, scale_wait_timeout=LIMIT).ok()
            assert result.facts[three.host]["needs_restart"] == []
        assert three.template_owners() == {"cassops Apply"}, "what another owns, deploy can never take away"
        assert claims(larger) == {node: (uid, its_class, "3Gi") for node, (uid, *_rest) in before.items()}
        assert larger.run("scale").ok().changed == 0
        assert larger.deploy().changed == 0
        assert larger.lives() == lives
        with resizer.growing(three.namespace, its_class, online=False):
            result = largest.run("scale", facts=True, scale_wait_timeout=LIMIT).ok()
            assert result.facts[three.host]["needs_restart"] == three.nodes
            told = " ".join(result.output.split())
            assert "the file systems on them grow when these nodes start again" in told
            assert f"-e rollout_force=true -e rollout_limit={','.join(three.nodes)}" in told
            restart(largest, rollout_force=True, rollout_limit=",".join(three.nodes))
            waiting.until("the file systems to have grown", lambda: pending(three), 60)
        result = largest.run("scale", facts=True).ok()
        assert (result.changed, result.facts[three.host]["needs_restart"]) == (0, [])
        assert claims(largest) == {node: (uid, its_class, "4Gi") for node, (uid, *_rest) in before.items()}
    stored(three, "3Gi", its_class).run("scale").refused("Kubernetes cannot shrink a volume")


def test_a_growth_that_its_storage_refuses_is_taken_back(three: Datacenter, other_class: str) -> None:
    """Nobody answers the wish here, as where a quota of the storage is used up."""
    before, lives = claims(three), three.lives()
    ((its_class, size),) = {each[1:] for each in before.values()}
    as_before, larger = stored(three, size, its_class), stored(three, "6Gi", its_class)
    with resizer.allowed(three.namespace, its_class):
        stored(three, "500Gi", its_class).run("scale", scale_wait_timeout=20).refused("the volumes to have 500Gi")
        told = as_before.run("scale").ok()
        assert told.changed == 0
        assert "asks for 500Gi" in " ".join(told.output.split())
        told = larger.run("scale", scale_wait_timeout=20).refused("the volumes to have 6Gi")
        assert "asks for 6Gi in place of 500Gi" in " ".join(told.output.split())
    with resizer.growing(three.namespace, its_class, online=True):
        larger.run("scale", scale_wait_timeout=LIMIT).ok()
    assert pending(three) == []
    assert claims(three) == {node: (uid, its_class, "6Gi") for node, (uid, *_rest) in before.items()}
    assert three.lives() == lives
    assert larger.run("scale").ok().changed == 0
    assert larger.deploy().changed == 0


def pending(datacenter: Datacenter) -> list[str]:
    """Claims that have not what they ask for."""
    return [
        item["metadata"]["name"]
        for item in datacenter.namespace.list("persistentvolumeclaims")
        if item["status"]["capacity"]["storage"] != item["spec"]["resources"]["requests"]["storage"]
    ]


def test_logins_get_the_replicas_that_more_nodes_can_keep(namespaces: Namespaces) -> None:
    """One node becomes three; then any of them may go, and everybody still gets in."""
    with namespaces.fresh("logins") as namespace:
        one = Datacenter(namespace, racks={"r1": 1})
        one.deploy()
        assert logins(one) == ("1", 2)
        three = wanted(one, THREE)
        with Workload(one, replicas=1) as client, client.none_fails():
            scaled(three)
        assert logins(three) == ("3", 2)
        for node in three.nodes:
            with stopped(three, node):
                assert logins(three) == ("3", 2), node
            three.wait_up()


def logins(datacenter: Datacenter) -> tuple[str, int]:
    """How many replicas keep them, and how many a quorum finds, by a login of the superuser's."""
    query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'system_auth'"
    with connect(datacenter) as driver:
        session = driver.connect()
        replication = session.execute(query, timeout=30).one().replication
        roles = session.execute("SELECT role FROM system_auth.roles", timeout=30).all()
        return replication[datacenter.name], len(roles)
