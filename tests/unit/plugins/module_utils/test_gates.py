# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils import gates
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Budget, Disk, Repair, Stream, View

FIRST, SECOND, THIRD = "shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"
GATES = (
    gates.running,
    gates.heard,
    gates.up_in_every_view,
    gates.normal,
    gates.one_schema,
    gates.no_strangers,
    gates.settled,
    gates.neighbours_up,
    gates.operating,
    gates.one_schema_a_line,
    gates.no_streams,
    gates.no_repairs,
    gates.no_cleanups,
    gates.no_hints,
    gates.free_disk,
    gates.room_to_rewrite,
    gates.keeping_up,
    gates.ring_agreed,
    gates.live_seed,
    gates.one_line,
    gates.sstables_present,
)


@pytest.mark.parametrize("gate", GATES)
def test_a_datacenter_that_is_well_passes_each_gate(gate: Callable[[View], list[str]]) -> None:
    assert gate(views.whole()) == []
    assert gate(views.whole(per_rack=3)) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"held": "the volume is empty", "ready": False}, f"{SECOND} is held: the volume is empty"),
        ({"held": "", "ready": False}, f"{SECOND} is held: "),
        ({"phase": None, "uid": None, "ready": False}, f"{SECOND} does not run: it has no pod"),
        ({"phase": "Pending", "ready": False}, f"{SECOND} does not run: Pending"),
        (
            {"phase": "Pending", "ready": False, "reason": "it cannot be scheduled: no room"},
            f"{SECOND} does not run: it cannot be scheduled: no room",
        ),
        ({"ready": False}, f"{SECOND} is not ready: Cassandra does not serve clients yet"),
        ({"ready": False, "reason": "its worker is gone"}, f"{SECOND} is not ready: its worker is gone"),
    ],
)
def test_g1_running(changes: dict[str, object], reason: str) -> None:
    assert gates.running(views.with_node(views.whole(), SECOND, **changes)) == [reason]


def test_g2_everybody_asked_answers() -> None:
    view = views.whole(unheard={THIRD: "nothing listens", FIRST: "the login is refused"})
    assert gates.heard(view) == [
        f"{FIRST} cannot be asked for its view: the login is refused",
        f"{THIRD} cannot be asked for its view: nothing listens",
    ]


def test_what_many_observers_say_is_one_reason_a_node() -> None:
    """Of a node that is down each of hundreds would say so."""
    view = views.whole(per_rack=3)
    gone = [f"shop-dc1-r3-{number}" for number in range(2)]
    for pod in gone:
        view = views.with_gone(view, pod)
    assert gates.up_in_every_view(view) == [f"{FIRST} sees {pod} down, and so it is in 7 of 7 views" for pod in gone]
    forgetful = replace(
        view,
        observations={
            pod: replace(
                seen, endpoints={key: item for key, item in seen.endpoints.items() if item.host_id != "host-7"}
            )
            for pod, seen in view.observations.items()
        },
    )
    assert gates.up_in_every_view(forgetful) == [
        f"{FIRST} does not know {gone[0]} (198.19.0.7), and so it is in 7 of 7 views",
        f"{FIRST} sees {gone[1]} down, and so it is in 7 of 7 views",
    ]
    leaving = views.whole(per_rack=3)
    for pod in leaving.observations:
        leaving = views.with_endpoint(leaving, pod, "198.19.0.5", status="LEAVING", serves=False)
    left = "shop-dc1-r2-1"
    assert gates.normal(leaving) == [f"{FIRST} sees {left} as LEAVING, needed NORMAL, and so it is in 9 of 9 views"]
    assert gates.serving(leaving, [left]) == [
        f"{left} does not serve clients yet, {FIRST} says, and so it is in 9 of 9 views"
    ]
    assert "gossip may only be late" in gates.advice(gates.up_in_every_view(view)[0])


def test_what_few_observers_say_each_of_them_says() -> None:
    view = views.whole(per_rack=3)
    few = [pod for pod, _seen in view.observers][: gates.FEW_VIEWS]
    for pod in few:
        view = views.with_down(view, pod, "198.19.0.9")
    assert gates.up_in_every_view(view) == [f"{pod} sees shop-dc1-r3-2 down" for pod in few]


def test_g2_one_observer_that_sees_a_node_down_is_enough() -> None:
    """Where a network is cut in one direction only some see it; `nodetool status` on another node shows nothing."""
    view = views.with_down(views.whole(), THIRD, "198.19.0.1")
    assert gates.up_in_every_view(view) == [f"{THIRD} sees {FIRST} down"]


def test_g2_a_member_whose_state_is_not_known_is_not_up() -> None:
    view = views.whole()
    seen = view.observations[THIRD]
    alive = {address: state for address, state in seen.alive.items() if address != "198.19.0.1"}
    view = replace(view, observations={**view.observations, THIRD: replace(seen, alive=alive)})
    assert gates.up_in_every_view(view) == [f"{THIRD} sees {FIRST} down"]


def test_g2_a_node_that_somebody_does_not_know() -> None:
    view = views.whole()
    seen = view.observations[SECOND]
    members = {address: item for address, item in seen.endpoints.items() if address != "198.19.0.3"}
    view = replace(view, observations={**view.observations, SECOND: replace(seen, endpoints=members)})
    assert gates.up_in_every_view(view) == [f"{SECOND} does not know {THIRD} (198.19.0.3)"]


def test_g2_without_an_address_or_an_observer_nothing_is_proved() -> None:
    assert gates.up_in_every_view(views.whole(observations={})) == ["no node could be asked for its view"]
    view = views.with_node(views.whole(), FIRST, address=None)
    assert gates.up_in_every_view(view) == [f"{FIRST} has no address yet"]


@pytest.mark.parametrize("status", ["BOOT", "BOOT_REPLACE", "LEAVING", "MOVING", "shutdown", "hibernate"])
def test_g3_members_that_are_not_normal(status: str) -> None:
    view = views.with_endpoint(views.whole(), FIRST, "198.19.0.2", status=status)
    assert gates.normal(view) == [f"{FIRST} sees {SECOND} as {status}, needed NORMAL"]


def test_g3_without_gossip_by_cql_tokens_tell() -> None:
    """Cassandra 4.0 has no table of gossip; a member without tokens has not joined."""
    view = views.with_endpoint(views.whole(), FIRST, "198.19.0.2", status=None)
    assert gates.normal(view) == []
    view = views.with_endpoint(view, FIRST, "198.19.0.2", status=None, tokens=())
    assert gates.normal(view) == [f"{FIRST} knows no tokens of {SECOND}"]


def test_g5_a_node_that_has_not_finished_joining() -> None:
    view = views.whole()
    seen = replace(view.observations[THIRD], bootstrapped=False)
    assert gates.normal(replace(view, observations={**view.observations, THIRD: seen})) == [
        f"{THIRD} has not finished joining"
    ]


def test_g4_two_schema_versions_are_told_with_who_holds_which() -> None:
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.3", schema="other")
    (reason,) = gates.one_schema(view)
    assert reason.startswith("2 schema versions (")
    assert f"{views.SCHEMA}: {FIRST}, {SECOND}" in reason
    assert f"other: {THIRD}" in reason


def test_g12_a_ghost_is_told_and_other_datacenters_are_none() -> None:
    view = views.whole()
    seen = view.observations[FIRST]
    ghost = replace(seen.endpoints["198.19.0.2"], address="198.19.0.99", host_id="ghost")
    neighbour = replace(ghost, address="198.19.7.1", datacenter="dc2")
    members = {**seen.endpoints, ghost.address: ghost, neighbour.address: neighbour}
    view = replace(view, observations={**view.observations, FIRST: replace(seen, endpoints=members)})
    assert gates.no_strangers(view) == ["198.19.0.99 is a member of the ring but none of this datacenter's nodes"]


def test_whole_tells_all_reasons_at_once() -> None:
    view = views.with_node(views.whole(unheard={THIRD: "silence"}), FIRST, ready=False)
    view = views.with_down(view, SECOND, "198.19.0.1")
    view = views.with_endpoint(view, SECOND, "198.19.0.3", status="LEAVING")
    view = views.with_endpoint(view, THIRD, "198.19.0.3", schema="other")
    told = gates.whole(view)
    assert [reason.split()[0] for reason in told] == [FIRST, THIRD, SECOND, SECOND, "2"]
    assert gates.whole(views.whole()) == []


def test_names_of_addresses() -> None:
    assert gates.named(views.whole(), "198.19.0.3") == THIRD
    assert gates.named(views.whole(), "203.0.113.1") == "203.0.113.1"


def test_g1_a_controller_that_has_not_looked_yet() -> None:
    view = views.pending(views.whole())
    first, *rest = view.racks
    for seen in (None, 1):
        behind = replace(view, racks=(replace(first, observed_generation=seen), *rest))
        (reason,) = gates.settled(behind)
        assert reason.startswith("Kubernetes has not looked at the last change of StatefulSet shop-dc1-r1 yet")


def test_g1_a_pod_that_nobody_would_make_again() -> None:
    """Somebody deleted its StatefulSet with --cascade=orphan."""
    view = views.whole()
    orphaned = replace(view, racks=view.racks[1:])
    told = [
        f"the StatefulSet of {FIRST} is gone: nobody would make a pod again that ends. Run the playbook scale where "
        "the playbook status tells that it has to finish that; else deploy, which makes it again"
    ]
    assert gates.settled(orphaned) == told
    assert gates.unobserved(orphaned) == [], "who makes it again waits for Kubernetes to look at it"
    # It has gone already: that is another gate's.
    assert gates.settled(views.with_node(orphaned, FIRST, uid=None, phase=None, ready=False)) == []


def test_g1_a_volume_that_goes_with_its_pod() -> None:
    (reason,) = gates.settled(views.with_node(views.whole(), SECOND, volume_deleting=True))
    assert reason.startswith(f"the volume of {SECOND} is to be deleted")
    assert "playbook heal with --check" in reason, "replace_node leaves a live node alone"


def test_who_joins_or_leaves_is_not_late() -> None:
    for reason in ("a sees b as LEAVING, needed NORMAL", "a has not finished joining"):
        assert "run the playbook scale again if its run died" in gates.advice(reason)
    assert "gossip may only be late" in gates.advice("a sees b down")
    assert "a node that is drained wants a restart" in gates.advice("a says that it is DRAINED, needed NORMAL")


def test_g1_somebody_who_evicts() -> None:
    view = views.whole(budget=Budget("shop-dc1", 0, (THIRD,)))
    assert gates.settled(view) == [f"{THIRD} is being evicted: wait until it is back, or stop what drains its worker"]
    view = views.whole(budget=Budget("shop-dc1", 0))
    (reason,) = gates.settled(view)
    assert reason.startswith("PodDisruptionBudget shop-dc1 allows no disruption although every node is ready")
    # It is our own node that is not ready: no riddle.
    assert gates.settled(views.with_node(view, THIRD, ready=False)) == []
    assert gates.settled(views.whole(budget=Budget("shop-dc1", 1))) == []
    # A node is about to join, or has just left: as many as there are have to stay.
    assert gates.settled(views.whole(budget=Budget("shop-dc1", 0, minimum=len(view.nodes)))) == []
    assert len(gates.settled(views.whole(budget=Budget("shop-dc1", 0, minimum=len(view.nodes) - 1)))) == 1


def test_g2_members_of_other_datacenters_are_up_in_every_view() -> None:
    view = views.whole()
    seen = view.observations[FIRST]
    far = replace(seen.endpoints["198.19.0.2"], address="198.19.7.1", datacenter="dc2")
    known = replace(seen, endpoints={**seen.endpoints, far.address: far}, alive={**seen.alive, far.address: True})
    view = replace(view, observations={**view.observations, FIRST: known})
    assert gates.neighbours_up(view) == [
        f"{SECOND} does not know 198.19.7.1 of datacenter dc2",
        f"{THIRD} does not know 198.19.7.1 of datacenter dc2",
    ]
    view = views.with_down(view, FIRST, far.address)
    assert gates.neighbours_up(view)[0] == f"{FIRST} sees 198.19.7.1 of datacenter dc2 down"


def test_g3_the_mode_in_a_nodes_own_word() -> None:
    view = views.with_activity(views.whole(), SECOND, mode="DRAINED")
    assert gates.operating(view) == [f"{SECOND} says that it is DRAINED, needed NORMAL"]
    view = views.with_activity(view, SECOND, mode=None)
    assert gates.operating(view) == []
    view = views.with_endpoint(view, SECOND, "198.19.0.2", status=None)
    assert gates.operating(view) == [f"whether {SECOND} is NORMAL is not known"]


def test_g3_of_some_members_only() -> None:
    view = views.with_endpoint(views.whole(), FIRST, "198.19.0.2", status="LEAVING")
    assert gates.normal(view, ["198.19.0.1", "198.19.0.3"]) == []
    assert gates.normal(view, ["198.19.0.2"]) == [f"{FIRST} sees {SECOND} as LEAVING, needed NORMAL"]


def test_g4_each_line_may_have_its_schema_while_an_upgrade_is_half_done() -> None:
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.3", schema="other", version="4.1.10")
    assert gates.one_schema_a_line(view) == []
    assert len(gates.one_schema(view)) == 1
    view = views.with_endpoint(view, SECOND, "198.19.0.2", schema="third")
    (reason,) = gates.one_schema_a_line(view)
    assert reason == (
        f"2 schema versions among the nodes of 5.0 ({views.SCHEMA}: {FIRST}; third: {SECOND}), needed one"
    )


FACTS = [
    (gates.no_streams, "streams", "what streams run could not be read"),
    (gates.no_repairs, "repairs", "what repairs run could not be read"),
    (gates.no_cleanups, "cleanups", "whether a cleanup runs could not be read"),
    (gates.no_hints, "hints", "which hints wait could not be read"),
    (gates.free_disk, "disk", "the free space of the volume could not be read"),
    (gates.room_to_rewrite, "disk", "the free space of the volume could not be read"),
    (gates.room_to_rewrite, "largest_table", "the size of the largest table could not be read"),
    (gates.keeping_up, "compactions", "how many compactions wait could not be read"),
]


@pytest.mark.parametrize(("gate", "fact", "words"), FACTS)
def test_what_could_not_be_read_is_no_good_news(gate: Callable[[View], list[str]], fact: str, words: str) -> None:
    view = views.whole()
    view = views.with_activity(views.with_activity(view, FIRST, **{fact: None}), THIRD, **{fact: None})
    (reason,) = gate(view)
    assert reason.startswith(f"{words} on {FIRST}, {THIRD}: ")


def test_a_cleanup_that_runs_is_told() -> None:
    view = views.with_activity(views.whole(), SECOND, cleanups=("shop.items", "shop.orders"))
    assert gates.no_cleanups(view) == [
        f"{SECOND} deletes rows that it has given away (nodetool cleanup), of shop.items, shop.orders, and would "
        "delete what is streamed to it: wait until it is done, or end it there (nodetool stop CLEANUP)"
    ]


def test_g6_and_g7_what_runs_is_told() -> None:
    streams = (Stream("Bootstrap", ("a",)), Stream("Repair", ("b",)))
    view = views.with_activity(views.whole(), SECOND, streams=streams, repairs=(Repair("x"),))
    assert gates.no_streams(view) == [f"{SECOND} streams: Bootstrap with a, Repair with b; wait until it is done"]
    assert gates.no_repairs(view) == [
        f"{SECOND} repairs: x; wait until it is done, or stop it and pause what starts it"
    ]


JOINED = Repair("full repair of shop.orders", "1", "198.19.0.3", 600)


def test_g7_a_repair_whose_leader_does_not_know_it_any_more_is_over() -> None:
    """The node that led it was killed, and is back: those that took part wait for its word for three days."""
    view = views.with_activity(views.whole(), SECOND, repairs=(JOINED,))
    assert gates.no_repairs(view) == gates.no_repairs(view, SECOND) == []
    replaced = views.with_activity(view, SECOND, repairs=(replace(JOINED, leader="198.19.9.9"),))
    assert gates.no_repairs(replaced) == [], "it was replaced under another address"


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (JOINED, (Repair("full repair of shop", "1"),)),
        (JOINED, None),
        (replace(JOINED, seconds=5), ()),
        (replace(JOINED, seconds=None), ()),
        (replace(JOINED, leader=""), ()),
        (JOINED, (Repair("repair (thread pool Repair-Task is busy)"),)),
    ],
    ids=[
        "it leads it",
        "it cannot tell",
        "it began just now",
        "nobody knows since when",
        "nobody knows who leads it",
        "it leads one and cannot tell which",
    ],
)
def test_g7_a_repair_counts_when(mine: Repair, theirs: tuple[Repair, ...] | None) -> None:
    view = views.with_activity(views.with_activity(views.whole(), SECOND, repairs=(mine,)), THIRD, repairs=theirs)
    assert any(f"{SECOND} repairs: full repair" in reason for reason in gates.no_repairs(view))
    assert gates.no_repairs(view, FIRST) == []


UNBOOTSTRAP = Stream("Unbootstrap", ("198.19.0.3",), 0, 600)


def test_g6_a_stream_that_its_other_side_does_not_know_is_abandoned() -> None:
    """A node that received when the sender lost power holds the stream open for two hours."""
    view = views.with_activity(views.whole(), SECOND, streams=(UNBOOTSTRAP,))
    assert gates.no_streams(view) == []


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (UNBOOTSTRAP, (Stream("Unbootstrap", ("198.19.0.2",), 0, 600),)),
        (UNBOOTSTRAP, None),
        (replace(UNBOOTSTRAP, seconds=5), ()),
        (replace(UNBOOTSTRAP, seconds=None), ()),
        (replace(UNBOOTSTRAP, peers=("198.19.0.3", "198.19.0.1")), (Stream("Bootstrap", ("198.19.0.1",)),)),
    ],
    ids=[
        "both know it",
        "the other cannot tell",
        "it began just now",
        "nobody knows since when",
        "one of two knows it",
    ],
)
def test_g6_a_stream_counts_when(mine: Stream, theirs: tuple[Stream, ...] | None) -> None:
    view = views.with_activity(views.whole(), SECOND, streams=(mine,))
    view = views.with_activity(view, THIRD, streams=theirs)
    if len(mine.peers) > 1:
        view = views.with_activity(view, FIRST, streams=(Stream("Unbootstrap", ("198.19.0.2",)),))
    assert any(f"{SECOND} streams: Unbootstrap with 198.19.0.3" in reason for reason in gates.no_streams(view))


@pytest.mark.parametrize(("seconds", "counts"), [(600, False), (100, True), (None, True)])
def test_g6_a_stream_from_a_node_that_has_left_is_abandoned(seconds: float | None, counts: bool) -> None:
    """Its worker lost power while it left; it came back, left anew, and is gone. Nobody can be asked."""
    mine = Stream("Unbootstrap", ("198.19.9.9",), 0, seconds)
    view = views.with_activity(views.whole(), SECOND, streams=(mine,))
    assert bool(gates.no_streams(view)) is counts


def test_g6_a_stream_from_a_node_that_leaves_and_cannot_be_asked_counts() -> None:
    view = views.whole()
    leaving = replace(view.endpoints()["198.19.0.1"], address="198.19.9.9", host_id="host-9", status="LEAVING")
    seen = view.observations[FIRST]
    heard = replace(seen, endpoints={**seen.endpoints, "198.19.9.9": leaving})
    view = replace(view, observations={**view.observations, FIRST: heard})
    view = views.with_activity(view, SECOND, streams=(replace(UNBOOTSTRAP, peers=("198.19.9.9",)),))
    assert any(f"{SECOND} streams: Unbootstrap" in reason for reason in gates.no_streams(view))


@pytest.mark.parametrize("peers", [("198.19.9.9",), ()], ids=["a stranger", "nobody named"])
def test_g6_a_stream_with_somebody_who_cannot_be_asked_counts(peers: tuple[str, ...]) -> None:
    """sstableloader is no member, and streams for hours."""
    view = views.with_activity(views.whole(), SECOND, streams=(Stream("Bulk Load", peers, 3, 600),))
    assert any(f"{SECOND} streams: Bulk Load" in reason for reason in gates.no_streams(view))


def test_g6_a_stream_with_a_node_that_is_left_out_of_the_view_counts() -> None:
    """Gates are asked of the others only, where a node is about to join or is dead."""
    view = views.with_activity(views.whole(), SECOND, streams=(UNBOOTSTRAP,)).without([THIRD])
    assert any(f"{SECOND} streams: " in reason for reason in gates.no_streams(view))


def test_g9_hints_are_waited_for_only_where_somebody_takes_them() -> None:
    hints = {"host-1": 3, "host-3": 0, "host-that-left": 5}
    view = views.with_activity(views.whole(), SECOND, hints=hints)
    told = f"{SECOND} keeps 3 files of hints for {FIRST}: wait until it has delivered them"
    assert gates.no_hints(view) == [told]
    assert gates.no_hints(view, ["host-3"]) == []
    assert gates.no_hints(view, ["host-1"]) == [told]
    for observer in (FIRST, SECOND, THIRD):
        view = views.with_down(view, observer, "198.19.0.1")
    assert gates.no_hints(view) == []


def test_g10_free_space() -> None:
    view = views.with_activity(views.whole(), SECOND, disk=Disk(4, 100))
    (reason,) = gates.free_disk(view)
    assert reason.startswith(f"{SECOND} has 4.0 % of its volume free, needed 5 %: ")
    assert gates.free_disk(view, 4) == []


def test_g10_room_for_the_largest_table() -> None:
    view = views.with_activity(views.whole(), SECOND, disk=Disk(40, 100), largest_table=41)
    (reason,) = gates.room_to_rewrite(view)
    assert reason.startswith(f"{SECOND} lacks 1 MiB to write its largest table a second time")
    assert gates.room_to_rewrite(views.with_activity(view, SECOND, largest_table=40)) == []


def test_g11_compactions() -> None:
    view = views.with_activity(views.whole(), SECOND, compactions=8)
    assert gates.keeping_up(view) == []
    assert gates.keeping_up(view, 8) == []
    (reason,) = gates.keeping_up(view, 7)
    assert reason.startswith(f"8 compactions wait on {SECOND}, at most 7 are well")


def test_g12_observers_that_know_other_tokens_than_a_node_has() -> None:
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.2", tokens=(1, 2))
    assert gates.ring_agreed(view) == [f"{THIRD} knows other tokens or another host id of {SECOND} than it has"]
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.2", host_id="another")
    assert len(gates.ring_agreed(view)) == 1


def test_g12_no_two_members_share_a_token_or_a_host_id() -> None:
    view = views.whole()
    for observer in (FIRST, SECOND, THIRD):
        view = views.with_endpoint(view, observer, "198.19.0.2", tokens=(7,), host_id="same")
        view = views.with_endpoint(view, observer, "198.19.0.3", tokens=(7,), host_id="same")
    assert gates.ring_agreed(view) == [
        f"{SECOND} and {THIRD} have the same host id same",
        f"{SECOND} and {THIRD} have the same token 7",
    ]


def test_g12_somebody_to_ask_for_the_cluster() -> None:
    view = views.whole(seeds=("198.19.0.1", "198.19.9.9"))
    assert gates.live_seed(view) == []
    for observer in (FIRST, SECOND, THIRD):
        view = views.with_down(view, observer, "198.19.0.1")
    assert gates.live_seed(view) == [f"no seed is up ({FIRST}, 198.19.9.9)"]


def test_g12_a_seed_by_its_pods_name_is_the_pod_that_has_it_now() -> None:
    view = views.whole(seeds=(f"{FIRST}.shop-dc1-nodes.ns.svc",))
    assert gates.live_seed(view) == []
    down = view
    for observer in (FIRST, SECOND, THIRD):
        down = views.with_down(down, observer, "198.19.0.1")
    assert gates.live_seed(down) == [f"no seed is up ({FIRST})"]
    without_pod = tuple(replace(node, address=None) if node.pod == FIRST else node for node in view.nodes)
    assert gates.live_seed(replace(view, nodes=without_pod)) == [f"no seed is up ({FIRST}.shop-dc1-nodes.ns.svc)"]
    assert gates.live_seed(view.without([FIRST])) == [], "the batch has nobody else to ask, as its own only seed"


def test_g12_a_seed_by_the_name_of_a_pod_that_this_run_does_not_see() -> None:
    view = views.whole(seeds=("shop-dc2-x1-0.shop-dc2-nodes.far.svc",))
    assert gates.live_seed(view) == ["no seed is up (shop-dc2-x1-0.shop-dc2-nodes.far.svc)"]
    ours = [node for node in view.nodes if node.pod != SECOND]
    assert gates.live_seed(replace(view, nodes=tuple(ours))) == [], "198.19.0.2 is somebody else's, and up"


def test_g13_two_lines() -> None:
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.3", version="4.1.10")
    (reason,) = gates.one_line(view)
    assert reason.startswith(f"the members run different lines of Cassandra (4.1: {THIRD}; 5.0: {FIRST}, {SECOND})")
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.3", version="5.0.8")
    assert gates.one_line(view) == []


def test_g13_two_kinds_of_formats() -> None:
    """With CASSANDRA_4 a node of 5.0 speaks the protocol of 4.x, and streams nothing to one that does not."""
    view = views.whole()
    for pod, mode in ((FIRST, "NONE"), (SECOND, "UPGRADING"), (THIRD, "UPGRADING")):
        view = views.with_node(view, pod, storage_mode=mode)
    assert gates.one_line(view) == []
    (reason,) = gates.one_line(views.with_node(view, THIRD, storage_mode="CASSANDRA_4"))
    modes = f"CASSANDRA_4: {THIRD}; UPGRADING: {SECOND}; NONE: {FIRST}"
    assert reason.startswith(f"the members run with different formats (storage_compatibility_mode {modes})")
    assert gates.advice(reason) == "there is no way back from it but a backup"
    for unknown in (None, "4.x"):
        assert gates.one_line(views.with_node(view, THIRD, storage_mode=unknown)) == []


def test_g14_older_sstables() -> None:
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.3", sstables=("big-me", "bti-da", "big-nb"))
    assert gates.sstables_present(view) == [f"{THIRD} holds SSTables of the format big-me: run upgradesstables first"]
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.3", sstables=None)
    assert gates.sstables_present(view) == [
        f"which SSTable formats {THIRD} holds is not known: ask nodetool gossipinfo"
    ]
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.3", sstables=("big-nb",))
    assert gates.sstables_present(view) == []


def test_g15_serving_in_every_view() -> None:
    view = views.whole()
    assert gates.serving(view, [SECOND]) == []
    view = views.with_endpoint(view, FIRST, "198.19.0.2", serves=False)
    view = views.with_endpoint(view, THIRD, "198.19.0.2", serves=None)
    assert gates.serving(view, [SECOND]) == [
        f"{SECOND} does not serve clients yet, {FIRST} says",
        f"whether {SECOND} serves clients is not known to {THIRD}",
    ]
    assert gates.serving(view, [FIRST]) == []


def test_g16_a_snapshot_on_every_node() -> None:
    assert gates.snapshot_taken({FIRST: (), SECOND: ("before", "other"), THIRD: ("other",)}, "before") == [
        f"{FIRST} has no snapshot before: take it first",
        f"{THIRD} has no snapshot before: take it first",
    ]
    (reason,) = gates.snapshot_taken({FIRST: None, SECOND: ("before",), THIRD: None}, "before")
    assert reason.startswith(f"which snapshots there are could not be read on {FIRST}, {THIRD}, needed before: ")


def test_g8_in_words() -> None:
    view = views.whole()
    rules = gates.availability([view])
    (reason,) = gates.quorum_kept(view, rules, ["198.19.0.1"], ["198.19.0.2"])
    assert reason == (
        f"keyspace system_auth would keep 1 of 3 replicas of some rows (those on {FIRST}, {SECOND}, {THIRD}, for one), "
        "and QUORUM needs 2: bring back first what is down"
    )
    assert gates.quorum_kept(view, rules, [], ["198.19.0.2"]) == []


def test_all_but_some() -> None:
    """A view without a node is as good as one that never had it."""
    view = views.with_node(views.whole(unheard={SECOND: "silence"}), SECOND, ready=False, phase="Crashed")
    view = views.with_down(view, FIRST, "198.19.0.2")
    assert gates.whole(view) != []
    assert gates.whole(view.without([SECOND])) == []
