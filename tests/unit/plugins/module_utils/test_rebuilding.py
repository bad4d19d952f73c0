# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils.views import IDLE, whole

from ansible_collections.cassops.kubernetes.plugins.module_utils import rebuilding
from ansible_collections.cassops.kubernetes.plugins.module_utils.rebuilding import Changed, Note, Part, Wish
from ansible_collections.cassops.kubernetes.plugins.module_utils.scaling import Scene
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Disk, Endpoint, Keyspace, Stream, View

NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"
SIMPLE = "org.apache.cassandra.locator.SimpleStrategy"
MIB = 2**20
NODES = [("x1-0", "host-1"), ("x2-0", "host-2"), ("x3-0", "host-3")]

HOST_IDS = st.frozensets(st.uuids().map(str), max_size=3)
HOSTS = [host_id for _pod, host_id in NODES]

# --- notes ------------------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]\w{0,9}", fullmatch=True).filter(str.isascii),
        st.builds(Note, st.integers(0, 2**60), st.none() | HOST_IDS, HOST_IDS, st.sampled_from(["dc1", "DC 1", ""])),
    )
)
def test_what_is_noted_is_read_again(noted: dict[str, Note]) -> None:
    assert rebuilding.notes(rebuilding.text_of(noted)) == noted


@given(st.lists(st.uuids().map(str), min_size=1, max_size=9, unique=True), st.data())
def test_what_was_noted_at_first_is_read_too(host_ids: list[str], data: st.DataObject) -> None:
    """With the host ids in each line."""
    done = data.draw(st.none() | st.frozensets(st.sampled_from(host_ids)))
    left = frozenset(host_ids) - (done or frozenset())
    written = "all" if done is None else ",".join(sorted(done)) or "-"
    text = f"shop 5 {written} {','.join(sorted(left)) or '-'} dc1\nwhole 6 all - dc 2"
    assert rebuilding.notes(text) == {"shop": Note(5, done, left, "dc1"), "whole": Note(6, None, source="dc 2")}


def test_the_nodes_are_listed_once() -> None:
    noted = {"billing": Note(6, source="dc1").among(HOSTS), "shop": HALF, "whole": Note(7, None, source="dc1")}
    text = "billing 6 - 7 dc1\nshop 5 3 4 \nwhole 7 all - dc1\n* host-1,host-2,host-3"
    assert rebuilding.text_of(noted) == text
    assert rebuilding.notes(text) == noted


def test_a_node_that_the_list_lacks_is_not_read() -> None:
    text = "cut 5 1 6 dc1\nodd 5 0x1 2 dc1\nshop 5 1 2 dc1\n* host-1,host-2"
    assert rebuilding.notes(text).keys() == {"shop"}


def test_a_large_datacenter_fits_into_an_annotation_at_every_moment() -> None:
    """Whatever is done of what, also where nodes have been replaced meanwhile; half of it is room for others."""
    nodes = [f"{uuid.UUID(int=number)}@1800000000" for number in range(1000)]
    names = [f"keyspace_{number:02}_{'x' * 36}" for number in range(30)]
    for every in (1000, 7, 2, 1):
        note = Note(1234567890123456, frozenset(nodes[::every]), source="a-datacenter").among([*nodes[9:], "new"])
        noted = dict.fromkeys(names, note)
        text = rebuilding.text_of(noted)
        assert text is not None
        assert len(text) < 128 * 1024
        assert rebuilding.notes(text) == noted


@pytest.mark.parametrize("text", [None, "", "shop", "shop soon all - dc1", "shop 5 all", "* host-1"])
def test_what_cannot_be_read_is_not_noted(text: str | None) -> None:
    assert rebuilding.notes(text) == {}


def test_no_notes_are_no_annotation() -> None:
    assert rebuilding.text_of({}) is None


def test_a_keyspace_is_whole_when_all_nodes_have_it() -> None:
    note = Note(5, source="dc1")
    for host_id in HOSTS[:2]:
        note = note.with_node(host_id, HOSTS)
    assert (note.done, note.left) == ({"host-1", "host-2"}, {"host-3"})
    assert rebuilding.unfinished({"shop": note, "billing": Note(5, None)}) == ["shop"]
    assert note.with_node("host-3", HOSTS) == Note(5, None, source="dc1")


def test_one_that_was_replaced_meanwhile_keeps_it_from_being_whole() -> None:
    note = Note(5, frozenset(HOSTS[:2]), frozenset(HOSTS[2:])).with_node("host-3", ["host-9", "host-2", "host-3"])
    assert (note.done, note.left) == (frozenset(HOSTS), {"host-9"})


HALF = Note(5, frozenset(HOSTS[:2]), frozenset(HOSTS[2:]))


@pytest.mark.parametrize(
    ("nodes", "done", "left"),
    [
        pytest.param(HOSTS, HOSTS[:2], HOSTS[2:], id="the same"),
        pytest.param([*HOSTS, "host-4"], HOSTS[:2], ["host-3", "host-4"], id="one has joined"),
        pytest.param(HOSTS[1:], HOSTS[:2], HOSTS[2:], id="one that had the rows has gone"),
        pytest.param(HOSTS[:2], [], HOSTS[:2], id="one that had none has gone"),
        pytest.param([*HOSTS[:2], "host-4"], [], [*HOSTS[:2], "host-4"], id="one that had none was replaced"),
        pytest.param([*HOSTS, ""], HOSTS[:2], HOSTS[2:], id="of one nobody knows the host id"),
    ],
)
def test_who_goes_without_rows_hands_on_what_it_lacks(nodes: list[str], done: list[str], left: list[str]) -> None:
    assert HALF.among(nodes) == Note(5, frozenset(done), frozenset(left))


@pytest.mark.parametrize(
    ("nodes", "done", "left"),
    [
        pytest.param(["a@1", "b@1", "c@1"], ["a@1", "b@1"], ["c@1"], id="the same"),
        pytest.param(["a@2", "b@1", "c@1"], ["a@1", "b@1"], ["a@2", "c@1"], id="one that had the rows was replaced"),
        pytest.param(["a@1", "b@1", "c@2"], ["a@1", "b@1"], ["c@2"], id="one that had none was replaced"),
        pytest.param(["a@1", "b@1"], [], ["a@1", "b@1"], id="one that had none has gone"),
        pytest.param(
            ["a", "b@1", "c"], ["a@1", "b@1"], ["c@1"], id="two do not tell since when they have their volumes"
        ),
    ],
)
def test_who_takes_its_own_place_on_an_empty_volume_has_no_rows(
    nodes: list[str], done: list[str], left: list[str]
) -> None:
    note = Note(5, frozenset({"a@1", "b@1"}), frozenset({"c@1"}))
    assert note.among(nodes) == Note(5, frozenset(done), frozenset(left))


def test_it_is_not_whole_as_long_as_one_does_not_tell_who_it_is() -> None:
    note = Note(5, frozenset({"a@1", "b@1"}))
    assert note.among(["a", "b@1"]) == note
    assert note.among(["a@1", "b@1"]).done is None
    replaced = note.among(["a@2", "b@1"])
    assert replaced.among(["a", "b@1"]) == replaced, "it is the one that was seen last"


def test_what_was_noted_without_it_does_not_count() -> None:
    note = rebuilding.notes("shop 5 host-1,host-2 host-3 dc1")["shop"].among(["host-1@7", "host-2@7", "host-3@7"])
    assert rebuilding.due(["shop"], {"shop": Changed(5)}, {"shop": note}, [("x1-0", "host-1@7")]) != []


def test_a_node_is_not_done_where_another_went_without_rows_meanwhile() -> None:
    assert HALF.with_node("host-3", [*HOSTS[:2], "host-3"]).done is None
    four = HALF.among([*HOSTS, "host-4"])
    assert four.with_node("host-3", HOSTS) == Note(5, frozenset(), frozenset(HOSTS))


def test_it_is_whole_when_all_that_there_are_have_the_rows() -> None:
    assert replace(HALF, left=frozenset()).among(HOSTS[:2]) == Note(5, None)
    assert Note(5).among([]) == Note(5)
    assert Note(5, None).among(HOSTS) == Note(5, None)


# --- due --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("note", "changed", "left"),
    [
        pytest.param(None, Changed(5), 3, id="never"),
        pytest.param(Note(5), Changed(5), 3, id="begun"),
        pytest.param(Note(5, frozenset({"host-2"})), Changed(5), 2, id="half done"),
        pytest.param(Note(5, frozenset({"host-2", "host-7"})), Changed(5), 2, id="another node joined since"),
        pytest.param(Note(5, None), Changed(5), 0, id="whole"),
        pytest.param(Note(5, None), Changed(6), 3, id="replicated anew"),
        pytest.param(Note(5, frozenset({"host-2"})), Changed(6), 3, id="replicated anew, half done"),
        pytest.param(Note(5, None), Changed(6, frozenset({3, 6})), 0, id="a table was changed last"),
        pytest.param(Note(5, None), Changed(6, frozenset({3})), 3, id="no table was changed last"),
        pytest.param(Note(5, None), Changed(4, frozenset({4})), 3, id="another keyspace of that name"),
        pytest.param(Note(0, frozenset({"host-2"})), Changed(6, frozenset({6})), 3, id="its moment is not known"),
        pytest.param(Note(5, None), None, 3, id="about to be replicated"),
    ],
)
def test_what_is_due(note: Note | None, changed: Changed | None, left: int) -> None:
    noted = {"shop": note} if note else {}
    found = rebuilding.due(["shop"], {"shop": changed} if changed else {}, noted, NODES)
    assert len(found) == left
    assert all(part.keyspace == "shop" for part in found)


def test_one_keyspace_after_the_other() -> None:
    found = rebuilding.due(["billing", "shop"], {}, {}, NODES[:2])
    assert found == [Part(name, *node) for name in ("billing", "shop") for node in NODES[:2]]


# --- refusals ---------------------------------------------------------------------------------------------------------


def scene(
    keyspaces: Mapping[str, Mapping[str, str]], copy: int = 100, free: int = 10_000, third: bool = False
) -> Scene:
    """Datacenter dc1 of three nodes, which gets rows, and dc2 of three that have them; sizes in MiB."""
    here = whole()
    members = dict(here.endpoints())
    for name in ("dc2", "dc3") if third else ("dc2",):
        members |= {f"{name}-{item.rack}": there(item, name) for item in here.endpoints().values()}
    listed = tuple(Keyspace(name, options) for name, options in keyspaces.items())
    small = replace(IDLE, disk=Disk(free * MIB, 20_000 * MIB), sizes={"system": MIB}, largest_table=MIB)
    large = replace(small, sizes={"system": MIB, "shop": copy * MIB}, largest_table=copy * MIB // 2)
    alive = dict.fromkeys(members, True)
    seen = {pod: replace(one, endpoints=members, alive=alive, activity=small) for pod, one in here.observations.items()}
    one = next(iter(seen.values()))
    others = {
        address: replace(one, pod=f"shop-{address}-0", address=address, activity=large)
        for address in members
        if address.startswith("dc2")
    }
    view = replace(here, keyspaces=listed, observations=seen)
    return Scene(view, (replace(here, datacenter="dc2", nodes=(), keyspaces=listed, observations=others),))


def there(item: Endpoint, name: str) -> Endpoint:
    """The same node in another datacenter."""
    shift = {"dc2": 1, "dc3": 2}[name]
    tokens = tuple(token + shift for token in item.tokens)
    return replace(item, address=f"{name}-{item.rack}", datacenter=name, host_id=f"{name}-{item.rack}", tokens=tokens)


SHOP = {"shop": {"class": NTS, "dc2": "3"}}
BOTH = {"shop": {"class": NTS, "dc1": "3", "dc2": "3"}}


def told(known: Mapping[str, Mapping[str, str]], third: bool = False, **wish: Any) -> list[str]:
    view = scene(known, third=third).cluster
    return rebuilding.refusals(view, Wish("dc1", prefix="rebuild_", **wish), {})


@pytest.mark.parametrize(
    ("keyspaces", "wish"),
    [
        (SHOP, {"replication": {"shop": 3}}),
        (SHOP, {"replication": {"shop": "1"}}),
        (BOTH, {"replication": {"shop": 3}}),
        (BOTH, {"keyspaces": ("shop",)}),
        (BOTH, {"source": "dc2"}),
        ({**BOTH, "mine": {"class": NTS, "dc1": "3"}}, {}),
        ({**BOTH, "theirs": {"class": NTS, "dc2": "3"}}, {}),
        ({**BOTH, "old": {"class": SIMPLE, "replication_factor": "3"}}, {}),
        ({}, {}),
    ],
)
def test_what_may_be(keyspaces: Mapping[str, Mapping[str, str]], wish: dict[str, Any]) -> None:
    assert told(keyspaces, **wish) == []


@pytest.mark.parametrize(
    ("keyspaces", "wish", "words"),
    [
        (BOTH, {"source": "dc9"}, "rebuild_source: got dc9, needed another datacenter that has nodes; there are dc2"),
        (BOTH, {"source": "dc1"}, "rebuild_source: got dc1, needed another"),
        (BOTH, {"keyspaces": ("shop", "shpo")}, "rebuild_keyspaces[1]: there is no keyspace shpo of yours; there are "),
        (BOTH, {"keyspaces": ("system_auth",)}, "rebuild_keyspaces[0]: there is no keyspace system_auth of yours"),
        (BOTH, {"replication": {"shpo": 3}}, "rebuild_replication.shpo: there is no keyspace shpo of yours"),
        (SHOP, {"replication": {"shop": 0}}, "rebuild_replication.shop: must be a number of replicas from 1, got 0"),
        (SHOP, {"replication": {"shop": True}}, "must be a number of replicas from 1, got True"),
        (SHOP, {"replication": {"shop": "three"}}, "must be a number of replicas from 1, got 'three'"),
        (SHOP, {"replication": {"shop": 4}}, "got 4 replicas, and datacenter dc1 has 3 nodes: at most as many"),
        (BOTH, {"replication": {"shop": 2}}, "got 2 replicas, and shop has 3 in datacenter dc1 already"),
        (SHOP, {"keyspaces": ("shop",)}, "shop has no replicas in datacenter dc1: say how many it gets"),
        ({"mine": {"class": NTS, "dc1": "3"}}, {"keyspaces": ("mine",)}, "mine has no replicas in datacenter dc2"),
        (
            {"old": {"class": SIMPLE, "replication_factor": "3"}},
            {"replication": {"old": 3}},
            "rebuild_replication.old: keyspace old is not of NetworkTopologyStrategy",
        ),
    ],
)
def test_what_is_refused(keyspaces: Mapping[str, Mapping[str, str]], wish: dict[str, Any], words: str) -> None:
    (reason,) = told(keyspaces, **wish)
    assert words in reason


def test_every_reason_at_once() -> None:
    assert len(told(BOTH, source="dc9", keyspaces=("shpo",), replication={"shop": 9})) == 3


def test_of_several_datacenters_one_is_named() -> None:
    (reason,) = told(BOTH, third=True)
    assert reason == "rebuild_source: name the datacenter that has the rows; there are dc2, dc3"
    assert told(BOTH, third=True, source="dc2") == []
    (reason,) = told(BOTH, third=True, source="dc3")
    assert reason.startswith("keyspace shop has no replicas in datacenter dc3, but in dc2: name another rebuild_source")


def test_the_only_datacenter_has_nobody_to_ask() -> None:
    view = replace(whole(), keyspaces=(Keyspace("shop", {"class": NTS, "dc1": "3"}),))
    (reason,) = rebuilding.refusals(view, Wish("dc1"), {})
    assert reason == "datacenter dc1 is the only one of its cluster: nobody else has rows to give"


# --- what other datacenters have noted --------------------------------------------------------------------------------


def by_others(theirs: Note, noted: rebuilding.Notes, known: Mapping[str, Mapping[str, str]], **wish: Any) -> list[str]:
    view = scene(known).cluster
    asked = Wish("dc1", prefix="rebuild_", **wish)
    return rebuilding.by_others(view, asked, ["shop"], noted, {"dc2": {"shop": theirs}})


GIVEN_BY_US = Note(5, None, source="dc1")


def test_nothing_is_streamed_back_into_the_datacenter_that_gave_it() -> None:
    (reason,) = by_others(GIVEN_BY_US, {}, BOTH)
    assert reason == (
        "keyspace shop: streamed from datacenter dc1 to dc2 before, so dc1 is the one that has the rows. Name the "
        "datacenter that lacks them; if it is dc1 that has lost them since, say rebuild_again=true"
    )
    assert by_others(GIVEN_BY_US, {"shop": Note(4, None, source="dc2")}, BOTH) == [reason]


def test_it_may_be_where_somebody_says_so_or_has_begun_it_or_it_has_no_replicas() -> None:
    assert by_others(GIVEN_BY_US, {}, BOTH, again=True) == []
    assert by_others(GIVEN_BY_US, {"shop": Note(5, source="dc2")}, BOTH) == []
    assert by_others(GIVEN_BY_US, {}, SHOP, replication={"shop": 3}) == []
    assert by_others(replace(GIVEN_BY_US, source="dc3"), {}, BOTH) == []


@pytest.mark.parametrize("again", [False, True])
def test_who_lacks_rows_has_none_to_give(again: bool) -> None:
    (reason,) = by_others(Note(5, frozenset({"host-7"}), source="dc3"), {}, BOTH, again=again)
    assert reason == (
        "keyspace shop: not all nodes of datacenter dc2 have been given the rows themselves. Run the playbook rebuild "
        "for dc2 first, which finishes it, or name another rebuild_source"
    )


# --- what is chosen ---------------------------------------------------------------------------------------------------

MIXED = {
    **BOTH,
    "theirs": {"class": NTS, "dc2": "3"},
    "mine": {"class": NTS, "dc1": "3"},
    "old": {"class": SIMPLE, "replication_factor": "3"},
    "system_auth": {"class": NTS, "dc1": "3", "dc2": "3"},
}


def test_what_both_have_is_rebuilt() -> None:
    view = scene(MIXED).cluster
    assert rebuilding.chosen(view, Wish("dc1"), {}) == ["shop"]
    assert rebuilding.left_out(view, Wish("dc1")) == ["theirs"]
    (warning,) = rebuilding.warnings(view, ["shop"])
    assert warning.startswith("keyspace old: left alone, not of NetworkTopologyStrategy")


def test_what_gets_replicas_is_rebuilt_too() -> None:
    view, wish = scene(MIXED).cluster, Wish("dc1", replication={"theirs": "2", "shop": 3})
    assert rebuilding.chosen(view, wish, {}) == ["shop", "theirs"]
    assert rebuilding.changes(view, wish) == {"theirs": {"class": "NetworkTopologyStrategy", "dc2": "3", "dc1": "2"}}
    assert rebuilding.left_out(view, wish) == []


@pytest.mark.parametrize(
    ("note", "keyspaces", "chosen"),
    [
        (None, (), ["theirs"]),
        (Note(5, None), (), ["theirs"]),
        (HALF, (), ["shop", "theirs"]),
        (HALF, ("mine",), ["mine", "theirs"]),
    ],
)
def test_what_nobody_has_spoken_of_is_left_alone_unless_it_is_half_done(
    note: Note | None, keyspaces: tuple[str, ...], chosen: list[str]
) -> None:
    wish = Wish("dc1", keyspaces=keyspaces, replication={"theirs": 2})
    noted = {name: note for name in ("shop", "mine") if note}
    assert rebuilding.chosen(scene(MIXED).cluster, wish, noted) == chosen


def test_notes_of_keyspaces_that_were_taken_away_are_dropped() -> None:
    noted = dict.fromkeys(("shop", "theirs", "gone"), HALF)
    assert rebuilding.of_now(noted, scene(MIXED).view) == {"shop": HALF}


# --- room -------------------------------------------------------------------------------------------------------------


def parts(view: View, keyspace: str = "shop") -> list[Part]:
    return [Part(keyspace, node.pod, str(node.host_id)) for node in view.nodes]


def test_each_node_gets_what_it_will_own() -> None:
    where = scene(SHOP, copy=90)
    wanted = {"shop": {"class": NTS, "dc1": "1", "dc2": "3"}}
    gained = rebuilding.gains(where, "dc2", parts(where.view), wanted)
    assert set(gained) == {node.address for node in where.view.nodes}
    assert sum(gained.values()) == pytest.approx(90 * MIB)
    of_one = rebuilding.gains(where, "dc2", parts(where.view)[:1], wanted)
    assert of_one == {key: value for key, value in gained.items() if key == where.view.nodes[0].address}


def test_what_a_node_has_of_a_keyspace_counts_for_nothing() -> None:
    """It is streamed beside what is there."""
    where = scene(BOTH, copy=90)
    assert sum(rebuilding.gains(where, "dc2", parts(where.view), {}).values()) == pytest.approx(3 * 90 * MIB)


def test_how_much_of_it_is_one_table() -> None:
    assert rebuilding.largest_part(scene(BOTH, copy=99), "dc2") == pytest.approx(99 // 2 / 100, abs=0.01)
    assert rebuilding.largest_part(scene(BOTH), "dc3") == 0.0
    assert rebuilding.copies(scene(BOTH), "dc1").keys() == {f"198.19.0.{number}" for number in (1, 2, 3)}


# --- under way --------------------------------------------------------------------------------------------------------


def test_who_is_at_a_rebuild() -> None:
    view = whole()
    pod = view.nodes[0].pod
    for operation, found in (("Rebuild", [pod]), ("Repair", [])):
        busy = replace(IDLE, streams=(Stream(operation, ("198.19.0.9",)),))
        seen = {**view.observations, pod: replace(view.observations[pod], activity=busy)}
        assert rebuilding.rebuilds(replace(view, observations=seen)) == found
