# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from unit.plugins.module_utils.fake_kube import in_mode
from unit.plugins.module_utils.operations.rolling import Rolling

from ansible_collections.cassops.kubernetes.plugins.module_utils import cql, lock, nodetool
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError, SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecTimeout, Unreachable
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    datacenter_info,
    repair,
    repairing,
    waiting,
)

NODES = [f"shop-dc1-r{number}-0" for number in (1, 2, 3)]
DAY = 86400
REPAIR = {"id": "1", "keyspace_name": "shop", "options_incremental": False, "completed": False}


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Rolling]:
    """Makes datacenters of three nodes with one keyspace of the users; the clients lead to the latest."""
    monkeypatch.setattr(repairing, "wait_for", lambda done: done.exception(timeout=60))

    def make() -> Rolling:
        world = Rolling.deployed(monkeypatch, per_rack=1)
        world.ring.replication["shop"] = {"class": "NetworkTopologyStrategy", "dc1": "3"}
        world.ring.tables.append(("shop", 10 * DAY))
        return world

    return make


@pytest.fixture
def world(worlds: Callable[[], Rolling]) -> Rolling:
    return worlds()


def run(world: Rolling, check: bool = False, **changes: Any) -> dict[str, Any]:
    return world.run(repair, check=check, **changes)


def done(world: Rolling) -> list[tuple[str, str]]:
    return [(pod, verb[-1]) for pod, verb in world.ring.nodetool if verb[0] == "repair"]


def test_every_node_repairs_every_keyspace_once(world: Rolling) -> None:
    foreseen = run(world, check=True)
    assert (foreseen["changed"], len(foreseen["due"]), done(world)) == (True, 6, [])
    result = run(world)
    assert sorted(done(world)) == sorted((pod, name) for pod in NODES for name in ("shop", "system_auth"))
    assert {verb for _pod, verb in world.ring.nodetool if verb[0] == "repair"} >= {
        ("repair", "-pr", "-full", "-j", "1", "--", "shop")
    }
    assert (len(result["repaired"]), result["due"]) == (6, [])
    assert None not in result["repaired_until"].values()
    assert run(world) == {**result, "changed": False, "repaired": []}
    assert len(done(world)) == 6


def test_only_what_is_too_old(world: Rolling) -> None:
    run(world, keyspaces=["shop"])
    world.kube.clock += 3 * DAY
    run(world, keyspaces=["system_auth"])
    world.kube.clock += 3 * DAY
    before = len(done(world))
    assert {each["keyspace"] for each in run(world)["repaired"]} == {"shop"}
    assert len(done(world)) == before + 3
    assert len(run(world, max_age=0)["repaired"]) == 6


def test_the_oldest_comes_first(world: Rolling) -> None:
    run(world)
    world.ring.history = [row for row in world.ring.history if row["keyspace_name"] == "shop"]
    world.kube.clock += 6 * DAY
    assert [name for _pod, name in done(world)[6:]] == []
    run(world)
    assert [name for _pod, name in done(world)[6:]] == ["system_auth"] * 3 + ["shop"] * 3


def test_a_keyspace_that_is_not_there_is_refused(world: Rolling) -> None:
    with pytest.raises(SpecError, match=r"repair_keyspaces\[1\]: there is no keyspace shpo with replicas; there are "):
        run(world, keyspaces=["shop", "shpo"], option_prefix="repair_")
    assert done(world) == []


def test_what_fails_is_named_and_the_rest_is_repaired(world: Rolling) -> None:
    world.ring.deaf.add(NODES[1])
    with pytest.raises(Failed, match=rf"{NODES[1]}, keyspace shop: .*Failed to connect") as failure:
        run(world, keyspaces=["shop"])
    assert [each["node"] for each in failure.value.result["repaired"]] == [NODES[0], NODES[2]]
    assert [each["node"] for each in failure.value.result["due"]] == [NODES[1]]
    assert "not repaired yet, or not for 30 days, on some nodes: shop" in " ".join(world.warnings)
    world.ring.deaf.clear()
    assert [each["node"] for each in run(world, keyspaces=["shop"])["repaired"]] == [NODES[1]]


def test_it_ends_where_everything_fails(world: Rolling) -> None:
    world.ring.deaf.update(NODES)
    with pytest.raises(Failed):
        run(world)
    assert len(done(world)) == repair.FAILURES


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (lambda world: world.ring.down.add(NODES[2]), f"sees {NODES[2]} down"),
        (lambda world: setattr(world.ring.members[NODES[2]], "status", "LEAVING"), "LEAVING"),
        (lambda world: setattr(world.ring.members[NODES[2]], "version", "4.1.10"), "different lines of Cassandra"),
        (lambda world: in_mode(world.kube, NODES[2], "CASSANDRA_4"), "different formats"),
        (lambda world: world.ring.busy[NODES[0]].repairs.append(REPAIR), "repair"),
    ],
)
def test_nothing_is_begun_while_the_cluster_is_not_well(
    world: Rolling, trouble: Callable[[Rolling], Any], told: str
) -> None:
    trouble(world)
    with pytest.raises(CassopsError, match=told):
        run(world, keyspaces=["shop"])
    assert done(world) == []


def test_it_stands_aside_while_another_operation_has_the_cluster(world: Rolling) -> None:
    other = lock.Lock(world.kube, "shop-lock", "somebody@else pid 1", duration=10**6)  # type: ignore[arg-type]
    other.acquire(background=False)
    with pytest.raises(CassopsError, match="somebody@else pid 1 changes the cluster"):
        run(world)
    assert done(world) == []
    other.release()
    assert run(world)["changed"] is True


def test_a_second_one_is_refused(world: Rolling) -> None:
    lock.Lock(world.kube, "shop-repair-lock", "somebody@else pid 1").acquire(background=False)  # type: ignore[arg-type]
    with pytest.raises(lock.Locked, match="somebody@else pid 1 holds the lock shop-repair-lock"):
        run(world)
    assert run(world, check=True)["changed"] is True


def test_none_is_begun_after_its_time(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair.Repair, "is_late", lambda self: len(self.done) == 2)
    result = run(world, begin_within=60)
    assert (len(result["repaired"]), len(result["due"])) == (2, 4)
    assert "4 are left for the next run; none is begun after 60 s" in " ".join(world.said)


def test_a_connection_that_breaks_is_no_end_of_a_repair(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    real = nodetool.run_one

    def breaks(*arguments: Any, **options: Any) -> Any:
        real(*arguments, **options)
        raise Unreachable("The connection was lost.")

    monkeypatch.setattr(nodetool, "run_one", breaks)
    assert len(run(world, keyspaces=["shop"])["repaired"]) == 3
    world.kube.clock += 6 * DAY

    def lost(*arguments: Any) -> Any:
        raise Unreachable("It was lost.")

    monkeypatch.setattr(nodetool, "run_one", lost)
    with pytest.raises(Failed, match=r"keyspace shop: It was lost\."):
        run(world, keyspaces=["shop"])


def test_one_that_is_not_done_in_time_goes_on_and_no_other_is_begun(
    world: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def slow(kube: Any, pod: str, *arguments: Any) -> Any:
        asked.append(pod)
        raise ExecTimeout("nodetool repair was not done after 5 s and was ended.")

    monkeypatch.setattr(nodetool, "run_one", slow)
    with pytest.raises(Failed, match=r"was ended\. Cassandra goes on with it, so no other one is begun"):
        run(world, keyspaces=["shop"])
    assert asked == NODES[:1]


def test_what_another_has_repaired_during_the_wait_is_left_alone(
    world: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = lock.Lock(world.kube, "shop-lock", "somebody@else pid 1", duration=10**6)  # type: ignore[arg-type]
    other.acquire(background=False)

    def meanwhile(seconds: float) -> None:
        if other.is_ours(world.kube.one("Lease", "shop-lock")):
            world.ring.compare(NODES[0], "shop", world.kube)
            other.release()

    monkeypatch.setattr(waiting.time, "sleep", meanwhile)
    assert [each["node"] for each in run(world, keyspaces=["shop"], gate_timeout=60)["repaired"]] == NODES[1:]


def test_replicas_that_a_keyspace_has_got_since_are_not_repaired(world: Rolling) -> None:
    run(world)
    world.ring.replicated["shop"] = int(1e6 * world.kube.server_time()) + 1
    world.kube.clock += 60
    assert {each["keyspace"] for each in run(world)["repaired"]} == {"shop"}


def test_what_was_repaired_before_a_removal_is_repaired_again(world: Rolling) -> None:
    """Others have streamed to each other what the member held, or failed to."""
    run(world)
    world.kube.clock += 600
    began = int(world.kube.server_time())
    note = {"cassops.kubernetes/removed": f"host-ghost 198.19.9.9 {began} -"}
    world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"].setdefault("annotations", {}).update(note)
    world.kube.clock += 600
    assert len(run(world)["repaired"]) == 6
    assert run(world)["changed"] is False


def test_what_was_repaired_before_a_replacement_is_repaired_again(
    world: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hints that the node kept for others, of any range, went with its volume."""
    run(world)
    hints_lost(world)
    assert len(run(world, check=True)["due"]) == 6
    with monkeypatch.context() as patch:
        patch.setattr(repair.Repair, "is_late", lambda self: len(self.done) == 3)
        run(world, begin_within=1)
    assert "run it again (what was repaired before 2" in world.warnings[0]
    assert "does not count: a node was replaced or removed)" in world.warnings[0]
    assert len(run(world)["repaired"]) == 3
    assert (run(world)["changed"], world.warnings) == (False, [])


def hints_lost(world: Rolling) -> None:
    """A node was replaced meanwhile."""
    world.kube.clock += 600
    note = {"cassops.kubernetes/hints-lost": str(int(world.kube.server_time()))}
    world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"].setdefault("annotations", {}).update(note)
    world.kube.clock += 600


def test_a_view_that_came_later_is_not_repaired(world: Rolling) -> None:
    run(world)
    world.ring.viewed.append("shop")
    assert {each["keyspace"] for each in run(world, check=True)["due"]} == {"shop"}


def test_killed_before_any_write(worlds: Callable[[], Rolling]) -> None:
    for lives in range(100):
        world = worlds()
        if not world.killed(lives, lambda world=world: run(world)):  # type: ignore[misc]
            break
        run(world)
        assert len(world.ring.history) == 6, "what was done is not done again"
        assert run(world)["changed"] is False
    else:
        pytest.fail("the run never ends")
    assert lives > 6


def test_what_stays_undone_for_too_long_is_warned_of(world: Rolling, monkeypatch: pytest.MonkeyPatch) -> None:
    run(world)
    world.kube.clock += 11 * DAY
    monkeypatch.setattr(repair.Repair, "is_late", lambda self: True)
    run(world, begin_within=1)
    assert "not repaired within gc_grace_seconds: shop. Rows that were deleted may come back" in " ".join(
        world.warnings
    )


# --- what status tells ------------------------------------------------------------------------------------------------


def status(world: Rolling) -> list[str]:
    return [each["problem"] for each in world.run(datacenter_info)["datacenter"]["problems"]]


def days(world: Rolling, count: float) -> None:
    world.kube.clock += count * DAY


def test_repairs_that_have_ended_are_a_problem(world: Rolling) -> None:
    """The schedule is off, say: after three quarters of gc_grace_seconds there is still time to see to it."""
    assert status(world) == []
    days(world, 4)
    run(world)
    days(world, 7.4)
    assert status(world) == []
    days(world, 0.2)
    (told,) = world.run(datacenter_info)["datacenter"]["problems"]
    assert told["problem"].startswith(
        "keyspace shop: some of it was last repaired 7d14h ago, needed within 7d12h, for "
    )
    assert told["problem"].endswith("gc_grace_seconds of 10d0h")
    assert told["advice"].startswith("run the playbook repair, and have it run by the clock")
    assert run(world, check=True)["changed"] is True
    assert world.warnings == [told["problem"]], "check tells it too"
    run(world)
    assert status(world) == []


def test_that_a_repair_is_due_since_a_node_was_replaced_is_told_and_is_not_called_late(world: Rolling) -> None:
    run(world)
    hints_lost(world)
    (told,) = world.run(datacenter_info)["datacenter"]["problems"]
    assert told["problem"].startswith(
        "keyspaces shop, system_auth: some of it was not repaired since a node was replaced or removed (2"
    )
    assert told["advice"].startswith("the next run of the playbook repair does it")
    run(world, check=True)
    assert world.warnings == [told["problem"]], "check tells it too"
    run(world, keyspaces=["shop"])
    assert [text.split(":")[0] for text in status(world)] == ["keyspace system_auth"]
    run(world)
    assert status(world) == []
    world.ring.viewed.append("shop")
    world.ring.written["shop"] = int(1e6 * world.kube.server_time())
    assert status(world) == [], "what came later has lost no hint"


@pytest.mark.parametrize("between", [1, 7])
def test_nightly_and_weekly_repairs_are_never_late(world: Rolling, between: int) -> None:
    """With the defaults, as the page on repairs advises."""
    for _run in range(12 // between + 1):
        run(world)
        days(world, between)
        assert status(world) == []


def test_what_was_never_repaired_is_a_problem_when_there_was_time_enough(world: Rolling) -> None:
    days(world, 7.4)
    assert status(world) == []
    days(world, 0.2)
    assert status(world) == [
        "keyspace shop: of some of it no full repair is on record, needed within 7d12h, for gc_grace_seconds of 10d0h"
    ]
    days(world, 23)
    assert [text.split(",")[0] for text in status(world)] == [
        "keyspace shop: of some of it no full repair is on record",
        "keyspace system_auth: of some of it no full repair is on record",
    ], "more than 30 days are on no record"


def test_one_node_that_is_not_repaired_is_enough(world: Rolling) -> None:
    days(world, 8)
    for pod in NODES[:2]:
        world.ring.compare(pod, "shop", world.kube)
    assert len(status(world)) == 1
    world.ring.compare(NODES[2], "shop", world.kube)
    assert status(world) == []


def test_a_table_that_is_new_or_was_changed_is_no_late_one(world: Rolling) -> None:
    """With each change of a table Cassandra writes its keyspace anew, and new replicas count for `repair` alone."""
    days(world, 8)
    run(world)
    days(world, 1)
    world.ring.replicated["shop"] = int(1e6 * world.kube.server_time())
    assert status(world) == []
    world.ring.written["shop"] = world.ring.replicated["shop"]
    days(world, 7.4)
    assert status(world) == []
    days(world, 0.2)
    assert len(status(world)) == 1


@pytest.mark.parametrize("grace", [0, None, 3600])
def test_what_no_repair_can_keep_up_with_is_no_problem(world: Rolling, grace: int | None) -> None:
    world.ring.tables[-1] = ("shop", grace)
    days(world, 20)
    assert status(world) == []


def test_a_single_replica_has_nothing_to_repair(world: Rolling) -> None:
    world.ring.replication["shop"]["dc1"] = "1"
    days(world, 20)
    assert [text for text in status(world) if "repair" in text] == []


@pytest.mark.parametrize("silent", [1, 3])
def test_where_a_record_cannot_be_read_another_node_is_asked(
    world: Rolling, monkeypatch: pytest.MonkeyPatch, silent: int
) -> None:
    days(world, 8)
    real = cql.connect

    def refused(kube: Any, pod: str, *arguments: Any, **options: Any) -> Any:
        if options["timeout"] == repairing.READ_LIMIT and pod in NODES[:silent]:
            raise CassopsError(f"{pod}: no such table")
        return real(kube, pod, *arguments, **options)

    monkeypatch.setattr(cql, "connect", refused)
    (told,) = status(world)
    expected = (
        "keyspace shop: of some of it" if silent == 1 else f"whether repairs are late is not known: {NODES[0]}: no"
    )
    assert told.startswith(expected)


def test_who_has_others_repair_turns_it_off(world: Rolling) -> None:
    days(world, 8)
    assert len(status(world)) == 1
    assert world.run(datacenter_info, late_repairs=False)["datacenter"]["problems"] == []
