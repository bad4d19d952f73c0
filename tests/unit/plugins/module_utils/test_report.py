# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils import gates, report
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Keyspace, RackView, Schedule, View

FIRST, SECOND, THIRD = "shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"
TOPOLOGY = "org.apache.cassandra.locator.NetworkTopologyStrategy"


def keyspace(name: str, **replicas: str) -> Keyspace:
    return Keyspace(name, {"class": TOPOLOGY, **replicas})


def with_keyspaces(view: View, *added: Keyspace) -> View:
    return replace(view, keyspaces=(*view.keyspaces, *added))


def problems(view: View) -> list[str]:
    return [item["problem"] for item in report.problems(view)]


def test_a_volume_that_goes_with_its_pod_is_told() -> None:
    """Whoever deletes the pod then loses its data."""
    view = views.with_node(views.whole(), "shop-dc1-r2-0", volume_deleting=True)
    (told,) = report.problems(view)
    assert told["problem"].startswith("the volume of shop-dc1-r2-0 is to be deleted as soon as its pod goes")
    assert "playbook heal with --check" in told["advice"]


# --- facts ------------------------------------------------------------------------------------------------------------


def test_facts_of_a_datacenter_that_is_well() -> None:
    told = report.facts(views.whole())
    assert told["healthy"] is True
    assert told["problems"] == []
    assert told["pending_restart"] == []
    assert told["schema_versions"] == {views.SCHEMA: [FIRST, SECOND, THIRD]}
    assert [item["name"] for item in told["keyspaces"]] == ["system_auth"]
    node = told["nodes"][0]
    assert (node["name"], node["rack"], node["zone"], node["worker"]) == (FIRST, "r1", "zone-r1", "worker1")
    assert (node["state"], node["up"], node["seen_up_by"]) == ("UN", True, [FIRST, SECOND, THIRD])
    assert (node["host_id"], node["version"], node["tokens"], node["load_bytes"]) == ("host-1", "5.0.9", 4, 1024.0)
    assert node["owns"] == pytest.approx(1.0)


def test_facts_are_json() -> None:
    """A playbook gets them over a pipe."""
    assert json.loads(json.dumps(report.facts(views.whole()))) == report.facts(views.whole())


def test_facts_without_observers() -> None:
    """Without a login, or with all nodes gone, only what Kubernetes and the ledger know is told."""
    told = report.facts(views.whole(observations={}, keyspaces=()))
    assert told["healthy"] is False
    assert [node["up"] for node in told["nodes"]] == [False] * 3
    node = told["nodes"][0]
    assert (node["state"], node["version"], node["owns"], node["tokens"]) == ("ready", None, None, None)
    assert node["host_id"] == "host-1"
    assert report.text(told)[0] == "Datacenter dc1 of cluster shop: 0 of 3 nodes up, phase running"


# --- state ------------------------------------------------------------------------------------------------------------


def state(view: View, pod: str = SECOND) -> str:
    node = view.node(pod)
    assert node is not None
    return report.state(view, node)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"held": "why", "ready": False}, "held"),
        ({"uid": None, "phase": None}, "absent"),
        ({"phase": "Pending"}, "pending"),
        ({"phase": "Terminating"}, "terminating"),
        ({"phase": "Crashed"}, "crashed"),
        ({"phase": None}, "unknown"),
    ],
)
def test_states_that_kubernetes_tells(changes: dict[str, Any], expected: str) -> None:
    assert state(views.with_node(views.whole(), SECOND, **changes)) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [("NORMAL", "UN"), (None, "UN"), ("LEAVING", "UL"), ("MOVING", "UM"), ("BOOT", "UJ"), ("BOOT_REPLACE", "UJ")],
)
def test_states_that_all_observers_agree_on(status: str | None, expected: str) -> None:
    assert state(views.with_endpoint(views.whole(), SECOND, "198.19.0.2", status=status)) == expected


def test_a_node_that_some_see_down() -> None:
    view = views.with_down(views.whole(), FIRST, "198.19.0.2")
    assert state(view) == "UN in 2 of 3 views"
    assert report.node_facts(view, view.nodes[1], {})["up"] is False


def down(**changes: Any) -> View:
    """The second node is seen down by all others and could not be asked."""
    view = views.whole()
    view = replace(view, observations={pod: seen for pod, seen in view.observations.items() if pod != SECOND})
    for pod in view.observations:
        view = views.with_down(view, pod, "198.19.0.2")
    return views.with_node(view, SECOND, **changes)


def test_a_node_that_everybody_sees_down() -> None:
    assert state(down()) == "DN"
    assert state(down(ready=False)) == "starting"


def test_a_node_on_a_worker_that_is_lost_does_not_start() -> None:
    """For minutes Kubernetes calls its pod Running, and only not ready."""
    assert state(down(ready=False, reason="its worker worker2 does not answer")) == "DN"


def test_a_node_that_nobody_knows_yet_is_starting() -> None:
    view = views.with_node(views.whole(), SECOND, address="198.19.0.200", ready=False)
    assert state(view) == "starting"


# --- what is owned, and what survives ---------------------------------------------------------------------------------


def test_owns_is_that_of_the_keyspaces_where_they_agree() -> None:
    view = with_keyspaces(views.whole(per_rack=2), keyspace("one", dc1="3"), keyspace("two", dc1="3"))
    owned = report.owns(view)
    assert sum(owned.values()) == pytest.approx(3.0)
    assert list(owned.values()) == pytest.approx([0.5] * 6)


def test_owns_is_told_for_the_logins_where_keyspaces_differ() -> None:
    """Two keyspaces with other replicas have no common answer; `nodetool status` tells none then."""
    for order in (("1", "2"), ("2", "1")):
        added = [keyspace(f"ks{number}", dc1=replicas) for number, replicas in enumerate(order)]
        assert sum(report.owns(with_keyspaces(views.whole(per_rack=2), *added)).values()) == pytest.approx(3.0)


def test_owns_of_an_empty_view() -> None:
    assert report.owns(views.whole(keyspaces=())) == {}
    assert report.owns(views.whole(observations={})) == {}


@pytest.mark.parametrize(
    ("replicas", "node", "rack"), [("1", False, False), ("2", False, False), ("3", True, True), ("5", True, True)]
)
def test_what_a_keyspace_survives(replicas: str, node: bool, rack: bool) -> None:
    view = views.whole(per_rack=2)
    told = report.keyspace_facts(view, keyspace("ks", dc1=replicas))
    assert (told["survives_node"], told["survives_rack"]) == (node, rack)


def test_three_replicas_in_one_rack_do_not_survive_the_rack() -> None:
    told = report.keyspace_facts(views.whole(racks=("r1",), per_rack=3), keyspace("ks", dc1="3"))
    assert (told["survives_node"], told["survives_rack"]) == (True, False)


@given(
    st.lists(st.integers(1, 5), max_size=4),
    st.integers(1, 2),
    st.sets(st.sampled_from([FIRST, SECOND, THIRD]), max_size=2),
)
@settings(deadline=None, max_examples=50)
def test_keyspaces_count_each_for_itself_also_where_they_are_replicated_alike(
    factors: list[int], per_rack: int, down: set[str]
) -> None:
    view = views.whole(per_rack=per_rack, keyspaces=())
    for pod in down:
        view = views.with_gone(view, pod)
    added = [keyspace(f"ks{number}", dc1=str(factor)) for number, factor in enumerate(factors)]
    alone = [replace(view, keyspaces=(item,)) for item in added]
    together = with_keyspaces(view, *added)
    assert report.facts(together)["keyspaces"] == [told for each in alone for told in report.facts(each)["keyspaces"]]
    for words in ("QUORUM is lost for some of the rows", "QUORUM would be lost with one more node"):
        names = [each.keyspaces[0].name for each in alone if any(told.endswith(words) for told in problems(each))]
        found = [told for told in problems(together) if told.endswith(words)]
        assert found == ([f"{gates.keyspaces_named(names)}: {words}"] if names else [])


def test_keyspaces_that_each_node_has_for_itself_are_left_out() -> None:
    view = with_keyspaces(views.whole(), Keyspace("odd", {}), Keyspace("local", {"class": "LocalStrategy"}))
    assert [item.name for item in report.distributed(view)] == ["system_auth", "odd"]


# --- problems ---------------------------------------------------------------------------------------------------------


def test_a_statefulset_that_is_gone_is_a_problem() -> None:
    """Its pods run on, and nobody would see it until one of them ends."""
    view = views.whole()
    racks = views.racks_of(view.nodes)
    assert report.problems(replace(view, racks=racks)) == []
    (told,) = report.problems(replace(view, racks=tuple(rack for rack in racks if rack.name != "r2")))
    assert told["problem"] == f"the StatefulSet of {SECOND} is gone: nobody would make a pod again that ends"
    assert "heal" in told["advice"]


def test_nodes_that_wait_for_a_restart_are_a_problem_with_an_advice() -> None:
    view = views.with_node(views.whole(), SECOND, pending_restart=True)
    (told,) = report.problems(view)
    assert told["problem"] == f"1 node runs an older revision: {SECOND}"
    assert "restart" in told["advice"]
    view = views.with_node(view, FIRST, pending_restart=True)
    assert problems(view) == [f"2 nodes run an older revision: {FIRST}, {SECOND}"]


def test_keyspaces_that_lose_quorum_with_a_node() -> None:
    view = with_keyspaces(views.whole(), keyspace("careless", dc1="1"), keyspace("careful", dc1="3"))
    assert problems(view) == ["keyspace careless loses QUORUM when one node is down"]


def test_keyspaces_whose_replicas_are_not_known_are_not_blamed() -> None:
    assert problems(with_keyspaces(views.whole(), Keyspace("everywhere", {"class": "EverywhereStrategy"}))) == []


def test_cassandras_own_keyspaces_and_tiny_datacenters_are_not_blamed() -> None:
    assert problems(with_keyspaces(views.whole(), keyspace("system_traces", dc1="1"))) == []
    single = views.whole(racks=("r1",), keyspaces=(keyspace("ks", dc1="1"),))
    assert problems(single) == []


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("n is held: it is empty", "playbook heal"),
        ("n does not run: it cannot be scheduled: no room", "workers, zones and volumes"),
        ("n does not run: CrashLoopBackOff", "log"),
        (
            "n does not run: its worker w does not answer",
            "see to that worker; where it is off for good, the playbook heal",
        ),
        (
            "n is not ready: its worker w does not answer",
            "see to that worker; where it is off for good, the playbook heal",
        ),
        ("n is not ready: Cassandra does not serve clients yet", "starting"),
        ("n cannot be asked for its view: refused", "port-forward"),
        ("no node could be asked for its view", "Secret"),
        ("n sees m down", "network"),
        ("2 schema versions (...), needed one", "schema"),
        ("198.19.0.9 is a member of the ring but none of this datacenter's nodes", "heal"),
        ("n does not know m (198.19.0.9)", "network"),
        ("n knows other tokens or another host id of m than it has", "network"),
        ("n and m have the same token 7", "heal"),
        ("n says that it is DRAINED, needed NORMAL", "restart"),
        ("whether n is NORMAL is not known", "nodetool"),
        ("no seed is up (n)", "bring one of them back"),
        ("something new", "status again"),
    ],
)
def test_every_reason_has_an_advice(reason: str, words: str) -> None:
    assert words in gates.advice(reason) + reason


# --- for people -------------------------------------------------------------------------------------------------------


def test_the_report_of_a_datacenter_that_is_well() -> None:
    lines = report.text(report.facts(views.whole()))
    assert lines == [
        "Datacenter dc1 of cluster shop: 3 of 3 nodes up, phase running",
        "NODE           RACK  ZONE     WORKER   STATE  VERSION  LOAD     OWNS     AGE   RESTART",
        f"{FIRST}  r1    zone-r1  worker1  UN     5.0.9    1.0 KiB  100.0 %  1h0m  -",
        f"{SECOND}  r2    zone-r2  worker2  UN     5.0.9    1.0 KiB  100.0 %  1h0m  -",
        f"{THIRD}  r3    zone-r3  worker3  UN     5.0.9    1.0 KiB  100.0 %  1h0m  -",
        "",
        "KEYSPACE     REPLICATION             QUORUM WITHOUT A NODE  QUORUM WITHOUT A RACK",
        "system_auth  NetworkTopology dc1: 3  kept                   kept",
        "",
        "No problems.",
    ]


def test_the_report_tells_held_nodes_pending_restarts_and_problems() -> None:
    view = views.with_node(views.whole(), SECOND, held="its volume is empty", ready=False)
    view = views.with_node(view, THIRD, pending_restart=True)
    lines = report.text(report.facts(view))
    assert f"{SECOND} is held: its volume is empty" in lines
    assert any(line.startswith(THIRD) and line.endswith("pending") for line in lines)
    assert any(line.startswith("    -> ") for line in lines)
    assert "No problems." not in lines


@pytest.mark.parametrize(
    ("down", "said"),
    [
        ((), []),
        ((SECOND,), ["keyspaces orders, system_auth: QUORUM would be lost with one more node"]),
        ((SECOND, THIRD), ["keyspaces orders, system_auth: QUORUM is lost for some of the rows"]),
    ],
)
def test_what_is_left_of_quorum_with_what_is_down_now(down: Sequence[str], said: list[str]) -> None:
    """The table is for the ring with all its members up: at night that would be a false comfort."""
    view = with_keyspaces(views.whole(), keyspace("orders", dc1="3"), keyspace("system_traces", dc1="1"))
    addresses = {node.address for node in view.nodes if node.pod in down}
    seen = {
        pod: replace(one, alive={at: up and at not in addresses for at, up in one.alive.items()})
        for pod, one in view.observations.items()
        if pod not in down
    }
    told = [text for text in problems(replace(view, observations=seen)) if "QUORUM" in text]
    assert told == said


def test_that_a_node_is_down_which_does_not_run_is_told_once() -> None:
    view = views.with_node(views.whole(), SECOND, held="its volume is empty", ready=False)
    for observer in (FIRST, THIRD):
        view = views.with_down(view, observer, "198.19.0.2")
    assert problems(view) == [f"{SECOND} is held: its volume is empty"]


def test_what_the_same_is_to_be_done_about_stands_together() -> None:
    view = views.whole()
    for observer in (FIRST, THIRD):
        view = views.with_down(view, observer, "198.19.0.2")
    lines = report.text(report.facts(view))
    begin = lines.index(f"{FIRST} sees {SECOND} down")
    assert lines[begin + 1] == f"{THIRD} sees {SECOND} down"
    assert lines[begin + 2].startswith("    -> ")


def test_tables_have_dashes_for_what_is_not_known() -> None:
    assert report.table(("A", "LONGER"), [("x", None), (None, 7)]) == ["A  LONGER", "x  -", "-  7"]
    assert report.table(("A", "B"), []) == ["A  B"]


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, None),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 * 1024**3, "5.0 GiB"),
        (3 * 1024**5, "3072.0 TiB"),
    ],
)
def test_sizes(count: float | None, words: str | None) -> None:
    assert report.size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, None),
        (-3, "0s"),
        (0, "0s"),
        (45.9, "45s"),
        (60, "1m0s"),
        (7800, "2h10m"),
        (3 * 86400 + 4 * 3600 + 59, "3d4h"),
        (86400, "1d0h"),
    ],
)
def test_ages(seconds: float | None, words: str | None) -> None:
    assert report.age(seconds) == words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class": TOPOLOGY, "dc2": "2", "dc1": "3"}, "NetworkTopology dc1: 3, dc2: 2"),
        ({"class": "SimpleStrategy", "replication_factor": "1"}, "Simple replication_factor: 1"),
        ({"class": "org.apache.cassandra.locator.EverywhereStrategy"}, "Everywhere"),
    ],
)
def test_replication(options: dict[str, str], words: str) -> None:
    assert report.replication(options) == words


def test_what_is_kept() -> None:
    assert [report.kept(value) for value in (True, False, None)] == ["kept", "LOST", "-"]


def test_commit_logs_that_go_to_another_store_are_a_problem_until_the_restart() -> None:
    """Backups of tonight go to the new one, and the pods keep what they were started with."""
    old, new = "s3:https://s3/old/shop/dc1", "s3:https://s3/new/shop/dc1"
    racks = tuple(RackView(rack, f"shop-dc1-{rack}", 1, 1, 1, commit_log=new) for rack in views.RACKS)
    seen = views.whole(racks=views.RACKS)
    seen = replace(seen, racks=racks, nodes=tuple(replace(node, commit_log=new) for node in seen.nodes))
    assert problems(seen) == []
    first, second, third = (node.pod for node in seen.nodes)
    for pod, store in ((first, old), (second, old), (third, None)):
        seen = views.with_node(seen, pod, commit_log=store)
    assert problems(seen) == [
        f"the commit log of {first}, {second} goes to {old}, needed {new}",
        f"the commit log of {third} goes to nowhere, needed {new}",
    ]
    assert "run the playbook restart, then backup" in report.problems(seen)[0]["advice"]
    # It was turned off: what is left of it does no harm.
    assert problems(replace(seen, racks=tuple(replace(rack, commit_log=None) for rack in racks))) == []
    # A node without a pod stores nothing because of that.
    gone = replace(views.with_node(seen, third, uid=None), observations={})
    assert not any("goes to nowhere" in words for words in problems(gone))


# --- backups by the clock ---------------------------------------------------------------------------------------------

NIGHT, MORNING = 1_764_000_000.0, 1_764_010_000.0


@pytest.mark.parametrize(
    ("status", "failed"),
    [
        ({}, False),
        ({"running": True, "begun": NIGHT}, False),
        ({"begun": NIGHT, "ended_well": MORNING}, False),
        ({"begun": NIGHT}, True),
        ({"begun": MORNING, "ended_well": NIGHT}, True),
        ({"running": True, "begun": MORNING, "ended_well": NIGHT}, False),
    ],
)
def test_a_scheduled_backup_that_failed_is_a_problem(status: dict[str, Any], failed: bool) -> None:
    view = replace(views.whole(), schedules={"backup": Schedule("shop-dc1-backup", "15 3 * * *", **status)})
    told = report.facts(view)
    assert told["backup_schedule"]["failed"] is failed
    assert bool(told["problems"]) is failed
    (line,) = (line for line in report.text(told) if line.startswith("Backups by the clock (15 3 * * *, UTC): "))
    assert ("running" in line) is status.get("running", False)
    assert told["healthy"], "the ring is well all the same"


def test_no_schedule_says_nothing() -> None:
    told = report.facts(views.whole())
    assert told["backup_schedule"] is told["repair_schedule"] is None
    assert "clock" not in "".join(report.text(told))


def test_a_scheduled_backup_that_cannot_begin_is_a_problem_after_a_day() -> None:
    """Its image is not there, say: the Job is neither failed nor done, and no other one begins beside it."""
    begun = Schedule("shop-dc1-backup", "15 3 * * *", running=True, begun=NIGHT, age=report.DAY)
    assert problems(replace(views.whole(), schedules={"backup": begun})) == []
    (told,) = report.problems(replace(views.whole(), schedules={"backup": replace(begun, age=report.DAY + 1)}))
    assert "is still at work, or could not begin; none has ended well yet" in told["problem"]
    assert "kubectl describe pod" in told["advice"]


def test_repairs_by_the_clock_are_told_as_backups_are() -> None:
    """A repair of everything may take days, so one that cannot begin is told later."""
    failed = Schedule("shop-dc1-repair", "15 1 * * *", begun=MORNING, ended_well=NIGHT)
    told = report.facts(replace(views.whole(), schedules={"repair": failed, "backup": replace(failed, begun=None)}))
    assert (told["repair_schedule"]["failed"], told["backup_schedule"]["failed"]) == (True, False)
    (problem,) = told["problems"]
    assert problem["problem"].startswith("the scheduled repair of ")
    assert "app.kubernetes.io/name=cassops-repair shows" in problem["advice"]
    assert problem["advice"].endswith("then the playbook repair")
    lines = [line.partition(": ")[0] for line in report.text(told) if "by the clock" in line]
    assert lines == ["Backups by the clock (15 1 * * *, UTC)", "Repairs by the clock (15 1 * * *, UTC)"]
    begun = replace(failed, running=True, age=3 * report.DAY)
    assert problems(replace(views.whole(), schedules={"repair": begun})) == []
    assert problems(replace(views.whole(), schedules={"repair": replace(begun, age=3 * report.DAY + 1)}))


def test_scheduled_backups_that_are_suspended_are_a_problem_after_a_day() -> None:
    """Not tonight is a word; not for weeks is one that somebody forgot."""
    waits = Schedule("shop-dc1-backup", "15 3 * * *", suspended=True, begun=NIGHT, ended_well=MORNING)
    told = replace(waits, written_for=report.DAY)
    assert problems(replace(views.whole(), schedules={"backup": told})) == []
    told = replace(waits, written_for=3 * report.DAY)
    (problem,) = report.problems(replace(views.whole(), schedules={"backup": told}))
    assert "the scheduled backups are suspended, for 3d0h; the last one that ended well did so at" in problem["problem"]
    assert """patch cronjob shop-dc1-backup -p '{"spec": {"suspend": false}}'""" in problem["advice"]
    stopped = problems(replace(views.whole(), schedules={"backup": told}, stopped=1))
    assert not any("suspended" in words for words in stopped), "a stop suspends them"


def test_one_that_failed_after_a_day_is_told_once() -> None:
    failed = Schedule("shop-dc1-repair", "15 1 * * *", begun=NIGHT, idle=33 * 3600.0)
    (problem,) = report.problems(replace(views.whole(), schedules={"repair": failed}))
    assert "did not end well" in problem["problem"]


def test_scheduled_backups_that_do_not_begin_are_a_problem() -> None:
    idle = Schedule("shop-dc1-backup", "15 3 * * *", idle=2 * report.DAY)
    (problem,) = report.problems(replace(views.whole(), schedules={"backup": idle}, namespace="ns"))
    assert problem["problem"] == "the scheduled backups have not begun for 2d0h; none has ended well yet"
    assert "kubectl -n ns describe cronjob shop-dc1-backup" in problem["advice"]
