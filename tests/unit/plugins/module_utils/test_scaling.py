# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils.views import DATACENTER, IDLE, whole, with_node

from ansible_collections.cassops.kubernetes.plugins.module_utils import scaling
from ansible_collections.cassops.kubernetes.plugins.module_utils.scaling import (
    CLEANUP,
    JOIN,
    LEAVE,
    REPLICATE,
    TIDY,
    WITHDRAW,
    RackState,
    Scene,
    Settings,
    Step,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import (
    Disk,
    Keyspace,
    Repair,
    Stream,
    View,
)

MIB = 2**20
NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"
NAMES = ("r1", "r2", "r3", "r4")
counts = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 5), min_size=1)


def rack(name: str, nodes: int, **changes: object) -> RackState:
    """A rack that is as it should be."""
    state = RackState(name, frozenset(range(nodes)), replicas=nodes)
    return replace(state, **changes)  # type: ignore[arg-type]


def racks(wanted: Mapping[str, int]) -> list[RackState]:
    return [rack(name, nodes) for name, nodes in wanted.items()]


def taken(states: Sequence[RackState], step: Step) -> list[RackState]:
    """The racks after a step was carried out to its end."""
    by_name = {state.name: state for state in states}
    state = by_name.get(step.rack, RackState(step.rack))
    number = frozenset([step.ordinal])
    if step.kind == JOIN:
        replicas = max(state.replicas or 0, step.ordinal + 1)
        state = replace(
            state,
            joined=(state.joined - state.leaving) | number,
            begun=state.begun - number,
            replicas=replicas,
        )
    elif step.kind in (LEAVE, WITHDRAW):
        state = replace(state, joined=state.joined - number, begun=state.begun - number, leaving=state.leaving - number)
        state = replace(state, replicas=state.known)
    elif step.kind == TIDY:
        state = replace(state, replicas=state.known)
    if step.kind != CLEANUP:
        by_name[step.rack] = state
    return [each for each in by_name.values() if each.known or each.replicas]


def kinds(steps: Sequence[Step]) -> list[str]:
    return [step.kind for step in steps]


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_one_a_rack_becomes_two_a_rack() -> None:
    steps = scaling.plan(racks({"r1": 1, "r2": 1, "r3": 1}), {"r1": 2, "r2": 2, "r3": 2})
    assert steps == [Step(JOIN, "r1", 1), Step(JOIN, "r2", 1), Step(JOIN, "r3", 1), Step(CLEANUP)]


def test_the_fullest_rack_gives_up_its_highest_number_first() -> None:
    steps = scaling.plan(racks({"r1": 2, "r2": 3, "r3": 2}), {"r1": 1, "r2": 1, "r3": 2})
    assert steps == [Step(LEAVE, "r2", 2), Step(LEAVE, "r2", 1), Step(LEAVE, "r1", 1)]


def test_out_before_in_with_cleanup_between() -> None:
    steps = scaling.plan(racks({"r1": 1, "r2": 1}), {"r2": 1, "r3": 1})
    assert steps == [Step(JOIN, "r3", 0), Step(CLEANUP), Step(LEAVE, "r1", 0)]


def test_logins_get_more_replicas_when_all_have_joined_and_before_cleanup() -> None:
    steps = scaling.plan(racks({"r1": 1}), {"r2": 1}, few_replicas=True)
    assert kinds(steps) == [JOIN, REPLICATE, CLEANUP, LEAVE]
    assert steps[1].words() == "system_distributed, system_traces, system_auth get more replicas"


@pytest.mark.parametrize(
    ("replication", "nodes", "few", "logins"),
    [
        pytest.param({"class": NTS, DATACENTER: "1"}, 1, False, 1, id="one node"),
        pytest.param({"class": NTS, DATACENTER: "1"}, 2, True, 1, id="two nodes"),
        pytest.param({"class": NTS, DATACENTER: "3"}, 9, False, 3, id="three are enough"),
        pytest.param({"class": NTS, DATACENTER: "5"}, 9, False, 5, id="more stay"),
        pytest.param({"class": NTS, "elsewhere": "3"}, 3, True, 1, id="none here"),
        pytest.param(
            {"class": "org.apache.cassandra.locator.SimpleStrategy", "replication_factor": "2"}, 3, True, 2, id="simple"
        ),
    ],
)
def test_whether_logins_lack_replicas(replication: Mapping[str, str], nodes: int, few: bool, logins: int) -> None:
    scene = Scene(replace(whole(), keyspaces=(Keyspace("system_auth", replication), Keyspace("shop", replication))))
    assert scaling.few_replicas(scene, nodes) is few
    assert scaling.login_replicas(scene) == logins


def test_nothing_is_done_about_keyspaces_that_could_not_be_read() -> None:
    assert scaling.few_replicas(Scene(replace(whole(), keyspaces=())), 3) is False


def test_as_wanted_is_nothing_to_do() -> None:
    assert scaling.plan(racks({"r1": 2, "r2": 2}), {"r1": 2, "r2": 2}) == []


def test_an_open_cleanup_is_done_before_anybody_leaves() -> None:
    states = racks({"r1": 2})
    assert kinds(scaling.plan(states, {"r1": 2}, ["r1-0"])) == [CLEANUP]
    assert kinds(scaling.plan(states, {"r1": 1}, ["r1-0"])) == [CLEANUP, LEAVE]


@pytest.mark.parametrize(
    ("state", "wanted", "steps"),
    [
        pytest.param(
            rack("r1", 1, begun=frozenset([1]), replicas=1),
            2,
            [Step(JOIN, "r1", 1), Step(CLEANUP)],
            id="its pod was not made yet",
        ),
        pytest.param(
            rack("r1", 1, begun=frozenset([1]), replicas=2),
            3,
            [Step(JOIN, "r1", 1), Step(JOIN, "r1", 2), Step(CLEANUP)],
            id="what joins goes first",
        ),
        pytest.param(
            rack("r1", 1, begun=frozenset([1]), replicas=2), 1, [Step(WITHDRAW, "r1", 1)], id="not wanted any more"
        ),
        pytest.param(rack("r1", 1, replicas=2), 1, [Step(TIDY, "r1")], id="it left, and its place is there"),
        pytest.param(
            rack("r1", 1, replicas=2),
            2,
            [Step(TIDY, "r1"), Step(JOIN, "r1", 1), Step(CLEANUP)],
            id="it left, and another one is wanted",
        ),
        pytest.param(
            rack("r1", 2, leaving=frozenset([1])),
            2,
            [Step(LEAVE, "r1", 1), Step(JOIN, "r1", 1), Step(CLEANUP)],
            id="it leaves, and another one is wanted",
        ),
        pytest.param(
            RackState("r1", frozenset([0, 2]), replicas=3), 3, [Step(JOIN, "r1", 1), Step(CLEANUP)], id="a hole"
        ),
        pytest.param(RackState("r1", replicas=0), 0, [Step(TIDY, "r1")], id="an empty rack"),
    ],
)
def test_what_a_killed_run_left_is_finished_first(state: RackState, wanted: int, steps: list[Step]) -> None:
    assert scaling.plan([state], {"r1": wanted} if wanted else {}) == steps


@settings(deadline=None)
@given(counts, counts)
def test_the_plan_ends_at_the_target(now: dict[str, int], target: dict[str, int]) -> None:
    states = racks(now)
    for step in scaling.plan(states, target):
        states = taken(states, step)
    assert {state.name: state.known for state in states if state.known} == target
    assert all(state.replicas == state.known for state in states)


@settings(deadline=None)
@given(counts, counts)
def test_the_rest_of_a_plan_is_the_plan_from_there(now: dict[str, int], target: dict[str, int]) -> None:
    """So a run that was killed is gone on with; cleanup alone is remembered elsewhere."""
    states = racks(now)
    steps = [step for step in scaling.plan(states, target) if step.kind != CLEANUP]
    while steps:
        states, steps = taken(states, steps[0]), steps[1:]
        assert [step for step in scaling.plan(states, target) if step.kind not in (CLEANUP, TIDY)] == steps


@settings(deadline=None)
@given(counts, counts)
def test_nobody_leaves_before_all_have_joined(now: dict[str, int], target: dict[str, int]) -> None:
    steps = kinds(scaling.plan(racks(now), target))
    assert steps == sorted(steps, key=[JOIN, CLEANUP, LEAVE].index)


@settings(deadline=None)
@given(counts, counts)
def test_there_are_never_fewer_nodes_or_racks_than_at_one_of_the_ends(
    now: dict[str, int], target: dict[str, int]
) -> None:
    states = racks(now)
    least = min(sum(now.values()), sum(target.values()))
    few = min(len(now), len(target))
    for step in scaling.plan(states, target):
        states = taken(states, step)
        assert sum(len(state.joined) for state in states) >= least
        assert len([state for state in states if state.joined]) >= few


@settings(deadline=None)
@given(counts, counts)
def test_racks_stay_even(now: dict[str, int], target: dict[str, int]) -> None:
    """A join goes where the fewest are, of the racks that want one; a node leaves where the most are."""
    states = {state.name: len(state.joined) for state in racks(now)}
    for step in scaling.plan(racks(now), target):
        if step.kind == JOIN:
            short = [states.get(name, 0) for name, wanted in target.items() if states.get(name, 0) < wanted]
            assert states.get(step.rack, 0) == min(short)
            states[step.rack] = states.get(step.rack, 0) + 1
        if step.kind == LEAVE:
            many = [nodes for name, nodes in states.items() if nodes > target.get(name, 0)]
            assert states[step.rack] == max(many)
            states[step.rack] -= 1


# --- refusals ---------------------------------------------------------------------------------------------------------


def scene(per_rack: int = 2, copy: int = 100 * MIB, free: int = 10_000 * MIB, **settings: frozenset[str]) -> Scene:
    """Nodes that hold so many bytes of keyspace shop each, and have so much free."""
    view = whole(per_rack=per_rack)
    keyspaces = (*view.keyspaces, Keyspace("shop", {"class": NTS, DATACENTER: "3"}))
    busy = replace(IDLE, disk=Disk(free, 20_000 * MIB), sizes={"shop": copy}, largest_table=copy)
    seen = {pod: replace(one, activity=busy) for pod, one in view.observations.items()}
    return Scene(replace(view, keyspaces=keyspaces, observations=seen), settings=Settings(prefix="scale_", **settings))


def told(where: Scene, now: Mapping[str, int], target: Mapping[str, int]) -> str:
    return "; ".join(scaling.refusals(where, scaling.plan(racks(now), target), target))


SIX = {"r1": 2, "r2": 2, "r3": 2}


def test_three_of_six_may_leave() -> None:
    assert told(scene(), SIX, {"r1": 1, "r2": 1, "r3": 1}) == ""


def test_fewer_nodes_than_replicas_are_refused_by_the_keyspaces_names() -> None:
    words = told(scene(), SIX, {"r1": 1, "r2": 1})
    assert "keyspace shop keeps 3 replicas in datacenter dc1, and 2 nodes would be left" in words
    assert "ALTER KEYSPACE system_auth" in words


def test_fewer_racks_than_replicas_are_refused_and_may_be_gone_past() -> None:
    target = {"r1": 2, "r2": 2}
    words = told(scene(), SIX, target)
    assert "keyspaces shop, system_auth would have several replicas of a row in one rack" in words
    assert "scale_ignore: racks" in words
    assert told(scene(ignore=frozenset({"racks"})), SIX, target) == ""


def test_a_datacenter_that_never_had_so_many_racks_may_lose_nodes() -> None:
    two = whole(("r1", "r2"), per_rack=3)
    assert scaling.too_few_racks(Scene(two), ["r1", "r2"]) == []


def test_no_room_is_refused_with_the_numbers() -> None:
    """Two a rack, each with half of a copy: the one that stays gets as much again."""
    words = told(scene(free=150 * MIB), SIX, {"r1": 1, "r2": 2, "r3": 2})
    assert "shop-dc1-r1-0 would get 100.0 MiB of what shop-dc1-r1-1 holds" in words
    assert "needs 200.0 MiB beside to compact its largest table, and has 150.0 MiB free" in words
    assert "r2-0" not in words, "a rack of its own: nothing moves there"
    assert told(scene(free=301 * MIB), SIX, {"r1": 1, "r2": 2, "r3": 2}) == ""
    assert told(scene(free=150 * MIB, ignore=frozenset({"space"})), SIX, {"r1": 1, "r2": 2, "r3": 2}) == ""


def test_who_leaves_already_gets_nothing_and_may_be_silent() -> None:
    """It has handed on all it had, takes no logins any more, and the others have not forgotten it yet."""
    target = {"r1": 1, "r2": 1, "r3": 1}
    where, last = scene(per_rack=3), "shop-dc1-r1-2"
    heard = {pod: one for pod, one in where.view.observations.items() if pod != last}
    silent = replace(where, view=replace(where.view, observations=heard))
    steps = scaling.plan(racks({"r1": 3, "r2": 3, "r3": 3}), target)
    assert scaling.refusals(silent, steps, target, [last]) == []
    node = next(each for each in silent.view.nodes if each.pod == "shop-dc1-r1-1")
    (words,) = scaling.no_room(silent, [node])
    assert "is not known: it was not heard" in words, "who stays and is silent is a receiver"
    assert scaling.no_room(silent, [node], [last]) == []


def test_where_nodes_join_too_no_room_is_no_refusal_but_told() -> None:
    target = {"r1": 1, "r2": 3, "r3": 2}
    steps = scaling.plan(racks(SIX), target)
    tight = scene(free=150 * MIB)
    assert scaling.refusals(tight, steps, target) == []
    (words,) = scaling.may_lack_room(tight, steps)
    assert "shop-dc1-r1-0 would get 100.0 MiB of what shop-dc1-r1-1 holds" in words
    assert "go past it with scale_ignore: space" in words
    assert scaling.may_lack_room(tight, steps, going=["shop-dc1-r1-1"]) == []
    assert scaling.may_lack_room(scene(free=301 * MIB), steps) == []
    assert scaling.may_lack_room(scene(free=150 * MIB, ignore=frozenset({"space"})), steps) == []
    without_joins = scaling.plan(racks(SIX), {"r1": 1, "r2": 2, "r3": 2})
    assert scaling.may_lack_room(tight, without_joins) == [], "it is refused"


@pytest.mark.parametrize(("part", "fits"), [(0.0, True), (0.4, True), (0.6, False)])
def test_a_node_that_has_nothing_yet_gets_its_largest_table_too(part: float, fits: bool) -> None:
    where = scene(copy=MIB, free=1500 * MIB)
    large = {pod: replace(one.activity, largest_table=0) for pod, one in where.view.observations.items()}
    seen = {pod: replace(one, activity=large[pod]) for pod, one in where.view.observations.items()}
    where = replace(where, view=replace(where.view, observations=seen))
    assert (scaling.too_full(where, {"198.19.0.1": 1000.0 * MIB}, "dc2 holds", "wait", part) == []) is fits


def test_who_leaves_sends_what_it_holds_and_not_what_others_hold() -> None:
    """It has not compacted for a while, so its copy is three times as large as the others'."""
    where = scene(free=350 * MIB)
    seen = dict(where.view.observations)
    big = "shop-dc1-r1-1"
    seen[big] = replace(seen[big], activity=replace(seen[big].activity, sizes={"shop": 300 * MIB}))
    where = replace(where, view=replace(where.view, observations=seen))
    assert "r1-0 would get 300.0 MiB of what shop-dc1-r1-1 holds" in told(where, SIX, {"r1": 1, "r2": 2, "r3": 2})


@st.composite
def rings(draw: st.DrawFn) -> Scene:
    """Racks of different sizes, a few tokens anywhere, a keyspace of any number of replicas, and data of any size."""
    racks_there = draw(st.integers(1, 4))
    view = whole(NAMES[:racks_there], per_rack=draw(st.integers(1, 3)))
    kept = draw(st.lists(st.sampled_from(view.nodes), min_size=2, max_size=8, unique=True)) if racks_there > 1 else []
    gone = {str(node.address) for node in view.nodes if kept and node not in kept}
    view = view.without([], gone)
    addresses = sorted(view.endpoints())
    tokens = draw(
        st.lists(st.integers(-(2**62), 2**62), min_size=3 * len(addresses), max_size=3 * len(addresses), unique=True)
    )
    members = {
        address: replace(item, tokens=tuple(sorted(tokens[3 * at : 3 * at + 3])))
        for at, (address, item) in enumerate(sorted(view.endpoints().items()))
    }
    bytes_of = {address: draw(st.integers(1, 10**9)) for address in addresses}
    seen = {
        pod: replace(one, endpoints=members, activity=replace(IDLE, sizes={"shop": bytes_of[one.address]}))
        for pod, one in view.observations.items()
    }
    keyspaces = (Keyspace("shop", {"class": NTS, DATACENTER: str(draw(st.integers(1, 4)))}),)
    return Scene(replace(view, keyspaces=keyspaces, observations=seen))


@settings(deadline=None, max_examples=200)
@given(rings(), st.data())
def test_who_stays_keeps_what_it_had_when_others_leave(where: Scene, data: st.DataObject) -> None:
    """So what a receiver gets comes on top of what it holds; in Cassandra, too, only who is new in a range gets it."""
    members = where.members()
    leaving = set(data.draw(st.lists(st.sampled_from(sorted(members)), min_size=1, unique=True)))
    stay = {address: item for address, item in members.items() if address not in leaving}
    if not stay:
        return
    (keyspace,) = where.cluster.keyspaces
    before, after = (scaling.finder(those, keyspace.replication) for those in (members, stay))
    for token in (token for item in members.values() for token in item.tokens):
        assert set(before(token)) - leaving <= set(after(token))


@settings(deadline=None, max_examples=200)
@given(rings(), st.data())
def test_all_that_a_node_holds_goes_to_others_when_it_leaves(where: Scene, data: st.DataObject) -> None:
    """As long as a range has as many replicas as before; else part of it is kept nowhere anew."""
    members = where.members()
    address = data.draw(st.sampled_from(sorted(members)))
    if len(members) == 1:
        return
    gained = scaling.gains(where, [address])
    assert not isinstance(gained, str)
    (keyspace,) = where.cluster.keyspaces
    (seen,) = (one for one in where.view.observations.values() if one.address == address)
    sizes = seen.activity.sizes
    assert sizes is not None
    assert address not in gained
    if int(keyspace.replication[DATACENTER]) < len(members):
        assert sum(gained.values()) == pytest.approx(sizes["shop"])
    else:
        assert gained == {}


@settings(deadline=None, max_examples=100)
@given(rings(), st.data())
def test_keyspaces_count_each_for_itself_also_where_they_are_replicated_alike(
    where: Scene, data: st.DataObject
) -> None:
    factors = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    keyspaces = [Keyspace(f"ks{number}", {"class": NTS, DATACENTER: str(each)}) for number, each in enumerate(factors)]
    names, dead = [item.name for item in keyspaces], data.draw(st.booleans())
    seen = {
        pod: replace(one, activity=replace(IDLE, sizes={name: data.draw(st.integers(0, 10**9)) for name in names}))
        for pod, one in where.view.observations.items()
    }
    view = replace(where.view, observations=seen)
    leaving = data.draw(st.lists(st.sampled_from(sorted(where.members())), min_size=1, unique=True))
    together = scaling.gains(Scene(replace(view, keyspaces=tuple(keyspaces))), leaving, dead)
    each = [scaling.gains(Scene(replace(view, keyspaces=(item,))), leaving, dead) for item in keyspaces]
    if isinstance(together, str):
        assert each == [together] * len(keyspaces)
        return
    plain: dict[str, float] = {}
    for gained in each:
        assert not isinstance(gained, str)
        for address, more in gained.items():
            plain[address] = plain.get(address, 0.0) + more
    assert together == pytest.approx(plain)


def test_all_that_leave_are_reckoned_together() -> None:
    """One after the other each would fit."""
    nine = {"r1": 3, "r2": 3, "r3": 3}
    tight = scene(per_rack=3, free=310 * MIB)
    assert told(tight, nine, {**nine, "r1": 2}) == ""
    assert "shop-dc1-r1-0 would get 200.0 MiB of what" in told(tight, nine, {**nine, "r1": 1})


def test_room_that_is_not_known_is_no_room() -> None:
    where = scene()
    first = "shop-dc1-r1-0"
    seen = dict(where.view.observations)
    seen[first] = replace(seen[first], activity=replace(seen[first].activity, disk=None))
    where = replace(where, view=replace(where.view, observations=seen))
    assert f"how much room {first} has is not known" in told(where, SIX, {"r1": 1, "r2": 2, "r3": 2})


def test_a_receiver_that_was_not_heard_has_no_room() -> None:
    """In a large datacenter only a few of a rack are asked by themselves."""
    where = scene()
    seen = {pod: each for pod, each in where.view.observations.items() if pod != "shop-dc1-r1-0"}
    where = replace(where, view=replace(where.view, observations=seen))
    address = where.view.nodes[0].address
    assert f"the node at {address} has is not known" in told(where, SIX, {"r1": 1, "r2": 2, "r3": 2})


def test_sizes_that_nobody_tells_are_a_reason() -> None:
    where = Scene(whole(per_rack=2))
    words = "; ".join(scaling.no_room(where, [where.view.nodes[1]]))
    assert "how much data the nodes hold could not be read" in words


def test_nobody_joins_or_leaves_between_two_kinds_of_formats() -> None:
    where = scene()
    first, *others = where.view.nodes
    nodes = (replace(first, storage_mode="UPGRADING"), *(replace(each, storage_mode="CASSANDRA_4") for each in others))
    where = replace(where, view=replace(where.view, nodes=nodes))
    (reason,) = scaling.before_step(where)
    assert "different formats" in reason
    assert reason.endswith("; there is no way back from it but a backup")
    assert scaling.before_step(where, [first.pod]) == []


def test_joins_alone_are_not_refused() -> None:
    assert told(scene(free=0), SIX, {"r1": 3, "r2": 3, "r3": 3}) == ""


# --- who loses ranges -------------------------------------------------------------------------------------------------


def test_only_the_newcomers_rack_loses_ranges_with_a_replica_a_rack() -> None:
    where = scene()
    newcomer = next(node for node in where.view.nodes if node.pod == "shop-dc1-r1-1")
    assert scaling.losers(where, str(newcomer.address)) == [where.view.nodes[0].address]


def test_a_first_node_of_a_fourth_rack_takes_from_the_others() -> None:
    view = whole(("r1", "r2", "r3", "r4"))
    where = Scene(replace(view, keyspaces=(Keyspace("shop", {"class": NTS, DATACENTER: "3"}),)))
    address = str(view.nodes[3].address)
    assert scaling.losers(where, address) == sorted(str(node.address) for node in view.nodes[:3])


@pytest.mark.parametrize(
    ("factor", "racks", "suits"), [("3", 3, 3), ("3", 4, 3), ("3", 2, 2), ("3", 1, 3), ("2", 3, 2), ("5", 3, 3)]
)
def test_tokens_suit_the_widest_keyspace_as_far_as_racks_allow(factor: str, racks: int, suits: int) -> None:
    view = whole()
    where = Scene(replace(view, keyspaces=(*view.keyspaces, Keyspace("shop", {"class": NTS, DATACENTER: factor}))))
    assert scaling.replicas_to_suit(where, [f"r{number}" for number in range(racks)]) == suits


def test_without_keyspaces_of_users_logins_count() -> None:
    assert scaling.replicas_to_suit(Scene(whole()), ["r1", "r2", "r3"]) == 3


def test_ownership_is_that_of_the_users_widest_keyspace() -> None:
    assert scaling.ownership(scene()) == {node.pod: 50.0 for node in scene().view.nodes}


# --- gates ------------------------------------------------------------------------------------------------------------


def test_a_whole_ring_may_change() -> None:
    assert scaling.before_step(Scene(with_seeds(whole()))) == []


@pytest.mark.parametrize("status", ["BOOT", "LEAVING", "MOVING"])
def test_one_change_of_the_ring_at_a_time(status: str) -> None:
    view = whole()
    address = str(view.nodes[2].address)
    seen = {
        pod: replace(one, endpoints={**one.endpoints, address: replace(one.endpoints[address], status=status)})
        for pod, one in view.observations.items()
    }
    assert any(f"as {status}" in reason for reason in scaling.before_step(Scene(replace(view, observations=seen))))


def test_repairs_and_streams_go_first() -> None:
    view = whole()
    first = view.nodes[0].pod
    busy = replace(IDLE, repairs=(Repair("full repair of shop"),), streams=(Stream("Repair", ("x",), 3),))
    seen = {**view.observations, first: replace(view.observations[first], activity=busy)}
    words = "; ".join(scaling.before_step(Scene(replace(view, observations=seen))))
    assert "full repair of shop" in words
    assert "Repair with x" in words


def test_a_cleanup_goes_first_where_one_leaves() -> None:
    """By the ranges of before it would delete what it gets. Who joins takes ranges away from it."""
    view = with_seeds(whole())
    first = view.nodes[0].pod
    busy = replace(IDLE, cleanups=("shop.orders",))
    seen = {**view.observations, first: replace(view.observations[first], activity=busy)}
    where = Scene(replace(view, observations=seen))
    assert (scaling.before_step(where), scaling.before_leave(Scene(view))) == ([], [])
    (reason,) = scaling.before_leave(where)
    assert reason.startswith(f"{first} deletes rows that it has given away (nodetool cleanup), of shop.orders")


def test_nobody_gives_up_a_place_that_nobody_would_fill_again() -> None:
    view = whole()
    gone = replace(view, racks=view.racks[1:])
    (reason,) = scaling.before_step(Scene(gone))
    assert reason.startswith(f"the StatefulSet of {view.nodes[0].pod} is gone: nobody would make a pod again that ends")


def test_the_one_that_is_about_to_join_does_not_count() -> None:
    view = whole()
    last = view.nodes[2].pod
    waiting = replace(view, nodes=tuple(replace(node, ready=node.pod != last) for node in view.nodes))
    assert scaling.before_step(Scene(waiting)) != []
    assert scaling.before_step(Scene(waiting), [last]) == []
    emptied = with_node(view, last, volume_deleting=True)
    assert scaling.before_step(Scene(emptied)) != []
    assert scaling.before_step(Scene(emptied), [last]) == []


def with_seeds(view: View) -> View:
    return replace(view, seeds=(str(view.nodes[0].address),))


# --- retire -----------------------------------------------------------------------------------------------------------


def retire(name: str, target: Mapping[str, int]) -> str:
    states = racks(SIX)
    return "; ".join(scaling.retire_refusals([name], states, target, scaling.plan(states, target)))


def test_with_addresses_of_pods_one_without_a_pod_may_be_any_member_that_is_nobody() -> None:
    view = whole(per_rack=2)
    last = view.nodes[-1]
    older = replace(view, nodes=view.nodes[:-1])
    for address in (None, last.address):
        (words,) = scaling.forgotten(Scene(older), {last.pod: address}, "the-ledger")
        assert f"({last.pod} {last.address} {last.host_id})" in words
    more = replace(view, nodes=view.nodes[:-2])
    (words,) = scaling.forgotten(Scene(more), {last.pod: None, view.nodes[-2].pod: None}, "the-ledger")
    assert words.count(f"{last.address} {last.host_id}") == 2, "either may be it"
    assert " or " in words
    assert scaling.forgotten(Scene(older), {last.pod: "198.18.1.1"}, "the-ledger") == []
    assert scaling.forgotten(Scene(view), {"shop-dc1-r1-9": None}, "the-ledger") == []
    assert scaling.forgotten(Scene(older), {}, "the-ledger") == []


def test_what_nobody_tells_of_is_not_tidied_away() -> None:
    view = whole(per_rack=2)
    last = view.nodes[-1]
    alone = replace(view, nodes=view.nodes[:-1], observations={last.pod: view.observations[last.pod]})
    (words,) = scaling.forgotten(Scene(alone), {last.pod: last.address}, "the-ledger")
    assert "no node that it knows could be asked" in words


def test_the_highest_of_a_rack_that_shrinks_retires() -> None:
    assert retire("r1-1", {"r1": 1, "r2": 2, "r3": 2}) == ""


def test_one_in_the_middle_is_explained() -> None:
    words = retire("r1-0", {"r1": 1, "r2": 2, "r3": 2})
    assert "r1-0 cannot leave: a StatefulSet gives up its highest number first, and r1-1 would leave" in words
    assert "name the cordoned worker in scale_leave_workers (replace_node is for a node that is dead)" in words


def test_nobody_retires_from_a_rack_that_keeps_its_number() -> None:
    assert "rack r1 is to keep 2 nodes" in retire("r1-1", SIX)


def test_who_is_not_there_cannot_retire() -> None:
    assert "r9-0 is no node here (any more)" in retire("r9-0", SIX)
