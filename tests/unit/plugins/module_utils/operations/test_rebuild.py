# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A second datacenter is given the rows of the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import MADE, Busy
from unit.plugins.module_utils.fake_kube import Killed
from unit.plugins.module_utils.fake_scaling import NTS, ROOM
from unit.plugins.module_utils.operations.two import FAR, TwoDatacenters

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool, restoring, scaling
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecTimeout, Unreachable
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Lock, Locked
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    cleanup,
    cluster,
    datacenter_info,
    rebuild,
    streaming,
)

NODES = ["shop-dc2-r1-0", "shop-dc2-r2-0"]
HERE: dict[str, Any] = {**FAR, "option_prefix": "rebuild_"}
NOTE = "cassops.kubernetes/rebuilt"
GIVEN = {"replication": {"shop": 2}}


class Two(TwoDatacenters):
    """The second one may be given rows."""

    def rebuild(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        return self.run(rebuild, check=check, **{**HERE, **changes})

    def note(self) -> str:
        annotations: dict[str, str] = self.far.one("ConfigMap", "shop-dc2-ledger")["metadata"].get("annotations", {})
        return annotations.get(NOTE, "")

    def put_note(self, text: str | None, datacenter: str = "dc2") -> None:
        kube = self.far if datacenter == "dc2" else self.kube
        kube.patch("ConfigMap", f"shop-{datacenter}-ledger", {"metadata": {"annotations": {NOTE: text}}})

    @property
    def identities(self) -> list[str]:
        return [f"{self.ring.members[pod].host_id}@{self.ring.busy[pod].volume_since}" for pod in NODES]

    def replace(self, pod: str) -> None:
        """It takes its own place with an empty volume: Cassandra keeps its host id, and its neighbours stream to it."""
        self.ring.busy[pod].volume_since += 1000

    def clean(self) -> None:
        self.run(cleanup, all=True, **FAR)

    def streamed(self) -> list[tuple[str, str]]:
        """What was begun, in this order."""
        return [(pod, verb[2]) for pod, verb in self.ring.nodetool if verb[0] == "rebuild"]

    def assert_rows(self, *keyspaces: str) -> None:
        """Every node has them, as of the keyspace's last change but those of its tables."""
        for keyspace in keyspaces:
            for pod in NODES:
                assert (pod, keyspace) in self.ring.rebuilt, f"{pod} has no rows of {keyspace}"
        assert self.ring.down == set()


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "wait_for", lambda done: done.exception(timeout=60))
    monkeypatch.setattr(streaming, "LOOK_AGAIN", -1.0)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Two:
    return Two.made(monkeypatch)


def altered_since(world: Two) -> None:
    """From now on each statement that alters a keyspace has a moment of its own, as in Cassandra."""
    change = world.ring.change

    def with_moment(what: str, do: Callable[[], Any]) -> None:
        change(what, do)
        if what.startswith("ALTER KEYSPACE "):
            name = what.removeprefix("ALTER KEYSPACE ")
            world.ring.replicated[name] = world.ring.replicated.get(name, MADE) + 1

    world.ring.change = with_moment  # type: ignore[method-assign]


# --- it is done -------------------------------------------------------------------------------------------------------


def test_a_keyspace_gets_replicas_and_their_rows_once(world: Two) -> None:
    world.diff = True
    altered_since(world)
    foreseen = world.rebuild(check=True, **GIVEN)
    assert (foreseen["changed"], len(foreseen["due"]), world.streamed(), world.note()) == (True, 2, [], "")
    statement = (
        """ALTER KEYSPACE "shop" WITH replication = """
        """{'class': 'NetworkTopologyStrategy', 'dc1': '3', 'dc2': '2'}"""
    )
    assert foreseen["altered"] == [statement]
    assert foreseen["diff"]["after"] == f"{statement};\n"
    assert foreseen["diff"]["before"] == (
        """ALTER KEYSPACE "shop" WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': '3'};\n"""
    )
    result = world.rebuild(**GIVEN)
    assert {**result, "rebuilt": []} == {**foreseen, "due": [], "rebuilt": []}
    assert [(each["node"], each["keyspace"]) for each in result["rebuilt"]] == [(pod, "shop") for pod in NODES]
    assert world.ring.replication["shop"] == {"class": NTS, "dc1": "3", "dc2": "2"}
    assert world.streamed() == [(pod, "shop") for pod in NODES]
    assert ("shop-dc2-r1-0", ("rebuild", "-ks", "shop", "--", "dc1")) in world.ring.nodetool
    assert world.note() == f"shop {MADE + 1} all - dc1"
    again = world.rebuild(**GIVEN)
    assert (again["changed"], again["due"], again["altered"]) == (False, [], [])
    assert world.rebuild(check=True, **GIVEN)["changed"] is False
    assert len(world.streamed()) == 2


def test_what_a_person_has_altered_is_found(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    world.alter("theirs", dc1="3")
    result = world.rebuild()
    assert (result["keyspaces"], result["left_out"], result["altered"]) == (["shop"], ["theirs"], [])
    world.assert_rows("shop")


def test_the_other_datacenter_has_all_and_stays_as_it_is(world: Two) -> None:
    """Nothing is replicated to both: whoever runs it for the wrong one does nothing."""
    result = world.run(rebuild, peers=[{"datacenter": "dc2", "namespace": "far"}])
    assert (result["changed"], result["keyspaces"]) == (False, [])
    assert world.streamed() == []


@pytest.mark.parametrize("version", ["4.1.10", "5.0.9"])
def test_a_keyspace_that_was_taken_away_and_given_back_gets_its_rows_again(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """4.x would leave out what it was ever streamed, and 5.0 would refuse."""
    world = Two.made(monkeypatch, version=version)
    altered_since(world)
    world.rebuild(**GIVEN)
    first = dict(world.ring.rebuilt)
    world.alter(dc1="3")
    world.clean()
    world.rebuild(**GIVEN)
    assert all(world.ring.rebuilt[key] > moment for key, moment in first.items())
    assert world.rebuild(**GIVEN)["changed"] is False
    # By hand, and nobody has looked between.
    world.alter(dc1="3")
    world.alter(dc1="3", dc2="2")
    second = dict(world.ring.rebuilt)
    assert world.rebuild()["changed"] is True
    assert all(world.ring.rebuilt[key] > moment for key, moment in second.items())


def test_a_new_table_is_no_reason_to_stream_again(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    world.rebuild()
    world.ring.replicated["shop"] = world.ring.written["shop"] = MADE + 50
    assert world.rebuild()["changed"] is False
    world.alter(dc1="3", dc2="2")
    assert world.rebuild()["changed"] is True


def test_what_is_noted_of_a_keyspace_that_is_away_is_forgotten(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    world.rebuild()
    world.alter(dc1="3")
    assert world.rebuild()["changed"] is False
    assert world.note() == ""


def test_once_more_if_asked(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    world.rebuild()
    assert len(world.rebuild(again=True)["rebuilt"]) == 2
    assert world.rebuild()["changed"] is False


def test_once_more_forgets_nothing_before_it_begins(world: Two) -> None:
    """A run that is killed while it waits leaves what was noted, and what status tells of it."""
    world.alter(dc1="3", dc2="2")
    half = f"shop {MADE + 1} {world.identities[0]} {world.identities[1]} dc1"
    world.put_note(half)
    world.ring.down.add("shop-dc1-r3-0")
    with pytest.raises(Failed):
        world.rebuild(again=True, gate_timeout=0)
    assert world.note() == half


def test_a_node_that_takes_a_place_half_way_gets_its_rows(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    world.put_note(f"shop {MADE + 1} gone,{world.identities[0]} - dc1")
    assert [each["node"] for each in world.rebuild()["rebuilt"]] == NODES[1:]
    assert world.note() == f"shop {MADE + 1} all - dc1"


def test_one_that_has_lost_its_volume_half_way_gets_its_rows_again(world: Two) -> None:
    """Whoever has replaced it, and also in the claim that it had."""
    world.alter(dc1="3", dc2="2")
    world.put_note(f"shop {MADE + 1} {world.identities[0]} {world.identities[1]} dc1")
    world.replace(NODES[0])
    assert [each["node"] for each in world.rebuild(check=True)["due"]] == NODES
    assert [each["node"] for each in world.rebuild()["rebuilt"]] == NODES
    assert world.note() == f"shop {MADE + 1} all - dc1"
    world.replace(NODES[0])
    assert world.rebuild()["changed"] is False, "its neighbours had all rows"


def test_one_that_is_replaced_before_it_got_rows_takes_none_away_from_others(world: Two) -> None:
    """It has the same ranges as before."""
    world.alter(dc1="3", dc2="2")
    world.put_note(f"shop {MADE + 1} {world.identities[0]} {world.identities[1]} dc1")
    world.replace(NODES[1])
    assert [each["node"] for each in world.rebuild()["rebuilt"]] == NODES[1:]


def test_who_does_not_tell_since_when_it_has_its_volume_keeps_the_keyspace_from_being_whole(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    world.put_note(f"shop {MADE + 1} {','.join(world.identities)} - dc1")
    world.ring.down.add(NODES[0])
    assert world.rebuild(check=True)["due"] == [{"node": NODES[0], "keyspace": "shop"}]
    assert half_done(world) == [f"keyspace shop: {YET}"]
    with pytest.raises(Failed):
        world.rebuild(gate_timeout=0)
    world.ring.down.clear()
    assert world.rebuild()["changed"] is False
    assert world.note() == f"shop {MADE + 1} all - dc1"


def test_a_node_that_goes_half_way_without_rows_hands_on_what_it_lacks(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    world.put_note(f"shop {MADE + 1} {','.join(sorted(world.identities))} gone dc1")
    assert [each["node"] for each in world.rebuild(check=True)["due"]] == NODES
    assert [each["node"] for each in world.rebuild()["rebuilt"]] == NODES
    assert world.note() == f"shop {MADE + 1} all - dc1"


def test_one_that_goes_while_another_gets_rows_hands_on_what_it_lacks(world: Two) -> None:
    """The first was given its rows before it took over the ranges of the one that has gone."""
    world.alter(dc1="3", dc2="2")
    real, ring = world.ring.rebuild, world.ring

    def goes(pod: str, keyspace: str, source: str) -> None:
        real(pod, keyspace, source)
        if len(world.streamed()) == 1:
            ring.members[NODES[1]].host_id = "another"

    ring.rebuild = goes  # type: ignore[method-assign]
    world.rebuild()
    assert world.streamed() == [(pod, "shop") for pod in (NODES[0], *NODES)]
    assert world.note().endswith(" all - dc1")


def test_what_all_that_there_are_have_is_whole(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    world.put_note(f"shop {MADE + 1} {','.join([*world.identities, 'gone'])} - dc1")
    assert world.rebuild()["changed"] is False
    assert world.note() == f"shop {MADE + 1} all - dc1"


def test_what_gets_replicas_and_what_is_half_done_and_no_more(world: Two) -> None:
    """All of it is told in the end: a repair comes behind."""
    for name in ("half", "serving"):
        world.alter(name, dc1="3", dc2="2")
        world.ring.tables.append((name, 864000))
    world.put_note(f"half {MADE + 1} {world.identities[0]} {world.identities[1]} dc1")
    assert world.rebuild(check=True, **GIVEN)["keyspaces"] == ["half", "shop"]
    assert world.rebuild(**GIVEN)["keyspaces"] == ["half", "shop"]
    assert world.streamed() == [(NODES[1], "half"), *((pod, "shop") for pod in NODES)]


def test_one_keyspace_is_whole_before_the_next_is_begun(world: Two) -> None:
    for name in ("shop", "billing"):
        world.alter(name, dc1="3", dc2="2")
    world.ring.tables.append(("billing", 864000))
    world.rebuild()
    assert world.streamed() == [(pod, name) for name in ("billing", "shop") for pod in NODES]


@pytest.mark.parametrize(("counts", "looks"), [(60.0, 1), (-1.0, 2)])
def test_all_nodes_are_asked_once_a_part(
    world: Two, monkeypatch: pytest.MonkeyPatch, counts: float, looks: int
) -> None:
    """Unless what they have said is too old by then."""
    monkeypatch.setattr(cluster, "STILL_COUNTS", counts)
    world.alter(dc1="3", dc2="2")
    real, found = rebuild.Rebuild.look, [0]

    def counted(self: rebuild.Rebuild, *changed: Any) -> rebuild.Seen:
        found[0] += 1
        return real(self, *changed)

    monkeypatch.setattr(rebuild.Rebuild, "look", counted)
    world.rebuild()
    assert found == [4 + looks * len(NODES)]


def test_a_part_waits_for_what_was_not_well_when_the_last_one_was_done(
    world: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.alter(dc1="3", dc2="2")
    real, left = scaling.before_step, [2]

    def closed(scene: scaling.Scene) -> list[str]:
        if world.streamed() and left[0]:
            left[0] -= 1
            return ["a gate is closed"]
        return real(scene)

    monkeypatch.setattr(scaling, "before_step", closed)
    world.rebuild()
    assert left == [0]
    assert any("before r2-0 gets rows of shop to open: a gate is closed" in text for text in world.said)
    world.assert_rows("shop")


YET = "not all nodes of the datacenter have been given the rows yet"


def half_done(world: Two) -> list[str]:
    """What status tells of it."""
    found = world.run(datacenter_info, **{key: HERE[key] for key in ("datacenter", "namespace")})
    return [each["problem"] for each in found["datacenter"]["problems"] if YET in each["problem"]]


def test_status_tells_what_is_half_done(world: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    world.alter(dc1="3", dc2="2")
    assert half_done(world) == []
    monkeypatch.setattr(
        rebuild.Rebuild, "stream", lambda self, part, words: (each for each in ()).throw(Killed("here"))
    )
    with pytest.raises(Killed):
        world.rebuild()
    assert half_done(world) == [f"keyspace shop: {YET}"]
    monkeypatch.undo()


# --- it is refused ----------------------------------------------------------------------------------------------------


def refused(world: Two, kind: type[Exception], words: str, **changes: Any) -> None:
    before = len(world.ring.statements), len(world.far.writes)
    with pytest.raises(kind, match=words):
        world.rebuild(**changes)
    assert not [text for text in world.ring.statements[before[0] :] if text.startswith(("ALTER", "DELETE"))]
    assert [what for what in world.far.writes[before[1] :] if " Lease " not in what] == []
    assert world.streamed() == []


def test_what_cannot_be_is_told_all_at_once(world: Two) -> None:
    words = r"rebuild_source: got dc9(.|\n)*rebuild_replication\.shop: got 3 replicas, and datacenter dc2 has 2 nodes"
    refused(world, SpecError, words, source="dc9", replication={"shop": 3})


@pytest.mark.parametrize("letters", [nodetool.NAMES, 1])
def test_rows_of_a_time_before_are_deleted_first(world: Two, monkeypatch: pytest.MonkeyPatch, letters: int) -> None:
    """What was deleted meanwhile would come back with them, also in the datacenter that has the rows."""
    monkeypatch.setattr(nodetool, "NAMES", letters)
    world.rebuild(**GIVEN)
    world.alter(dc1="3")
    world.ring.nodetool.clear()
    words = (
        r"keyspace shop: no replicas in datacenter dc2, and rows of it are there from a time when it had some: "
        r"shop-dc2-r1-0 \(3\.0 MiB\), shop-dc2-r2-0 \(3\.0 MiB\)\. .* If the others have all rows .*: run the playbook "
        "cleanup for dc2 with -e cleanup_all=true, then this again. If rows may be here only, .* rebuild_replication"
    )
    refused(world, SpecError, words, **GIVEN)
    with pytest.raises(SpecError, match=words):
        world.rebuild(check=True, **GIVEN)
    world.clean()
    assert len(world.rebuild(**GIVEN)["rebuilt"]) == 2


def test_so_are_those_that_are_in_memory(world: Two) -> None:
    """No cleanup would find them there."""
    world.ring.unflushed.add((NODES[1], "shop"))
    refused(world, SpecError, r"it had some: shop-dc2-r2-0 \(50 B\)\. ", **GIVEN)
    world.clean()
    assert len(world.rebuild(**GIVEN)["rebuilt"]) == 2


def test_who_does_not_tell_it_is_asked_again_before_anything_changes(world: Two) -> None:
    world.ring.deaf.add(NODES[1])
    assert len(world.rebuild(check=True, **GIVEN)["due"]) == 2
    refused(world, Failed, "shop-dc2-r2-0: nodetool tablestats shop ended with 1", **GIVEN)


def test_what_came_after_a_run_was_killed_is_no_reason(world: Two) -> None:
    """It has replicas then, and is served."""
    world.ring.rebuilt[NODES[0], "shop"] = MADE
    world.alter(dc1="3", dc2="2")
    assert len(world.rebuild(**GIVEN)["rebuilt"]) == 2


@pytest.mark.parametrize("half", ["dc1", "dc2"])
def test_nothing_is_streamed_of_or_to_what_is_half_restored(world: Two, half: str) -> None:
    begun = restoring.Plan("1", "", restoring.SWAP, "b1", "shop", half, (), step="swap")
    metadata = {"name": restoring.plan_name("shop", half)}
    kube = world.kube if half == "dc1" else world.far
    kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": begun.to_data()})
    refused(world, SpecError, rf"datacenter {half}: the restore of backup b1 .* half restored.*; then rebuild", **GIVEN)


def back(world: Two, **changes: Any) -> dict[str, Any]:
    """For the datacenter that has the rows."""
    return world.run(rebuild, peers=[{"datacenter": "dc2", "namespace": "far"}], option_prefix="rebuild_", **changes)


def test_nothing_is_streamed_back_by_mistake(world: Two) -> None:
    world.rebuild(**GIVEN)
    world.ring.nodetool.clear()
    with pytest.raises(SpecError, match="keyspace shop: streamed from datacenter dc1 to dc2 before"):
        back(world)
    assert world.streamed() == []
    assert len(back(world, again=True)["rebuilt"]) == 3
    assert back(world)["changed"] is False, "what was done on purpose needs nothing any more"


def test_what_was_begun_on_purpose_goes_on(world: Two) -> None:
    world.rebuild(**GIVEN)
    assert world.killed_at(5, lambda: back(world, again=True))
    assert back(world)["changed"] is True
    assert back(world)["changed"] is False


def test_a_datacenter_that_lacks_rows_gives_none(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    world.put_note(f"shop {MADE + 1} - - dc3", "dc1")
    words = "keyspace shop: not all nodes of datacenter dc1 have been given the rows themselves"
    refused(world, SpecError, words)
    refused(world, SpecError, words, again=True)
    world.put_note(f"shop {MADE + 1} all - dc3", "dc1")
    assert len(world.rebuild()["rebuilt"]) == 2


@pytest.mark.parametrize("goes_on", [True, False])
def test_status_tells_nothing_of_keyspaces_that_nobody_else_has(world: Two, goes_on: bool) -> None:
    """One was dropped half-way; the other's first datacenter is gone for good, and nobody would finish it."""
    world.alter(dc2="2", **({"dc1": "3"} if goes_on else {}))
    world.put_note(f"gone {MADE} - - dc1\nshop {MADE + 1} {world.identities[0]} {world.identities[1]} dc1")
    assert half_done(world) == ([f"keyspace shop: {YET}"] if goes_on else [])


def test_what_does_not_fit_is_refused_with_the_numbers(world: Two) -> None:
    world.ring.busy[NODES[0]].disk = (10_000, 4_000)
    words = (
        "shop-dc2-r1-0 would get .* MiB of what datacenter dc1 holds and needs .* MiB beside to compact its largest "
        r"table, and has 3\.9 MiB free: .*, or rebuild fewer keyspaces \(rebuild_keyspaces\) "
        r"\(or go past it with rebuild_ignore: space\)"
    )
    refused(world, SpecError, words, **GIVEN)
    with pytest.raises(SpecError):
        world.rebuild(check=True, **GIVEN)
    assert world.rebuild(ignore=["space"], **GIVEN)["changed"] is True


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (lambda world: world.ring.down.add("shop-dc1-r3-0"), "down|cannot be asked"),
        (lambda world: world.ring.down.add(NODES[1]), "down|cannot be asked"),
        (lambda world: setattr(world.ring.members["shop-dc1-r3-0"], "version", "4.1.10"), "different lines"),
        (lambda world: setattr(world.ring.members["shop-dc1-r3-0"], "schema", "other"), "2 schema versions"),
        (lambda world: setattr(world.ring.members["shop-dc1-r3-0"], "status", "LEAVING"), "LEAVING"),
        (
            lambda world: world.ring.busy.update(
                {NODES[1]: Busy(disk=ROOM, repairs=[{**REPAIR, "options_incremental": False}])}
            ),
            "repair",
        ),
    ],
)
def test_nothing_is_begun_while_the_cluster_is_not_well(world: Two, trouble: Callable[[Two], Any], told: str) -> None:
    trouble(world)
    refused(world, Failed, f"the gates before anything changes to open: not so after 0 s(.|\n)*({told})", **SOON)


REPAIR = {"id": "1", "keyspace_name": "shop", "completed": False}
SOON: dict[str, Any] = {**GIVEN, "gate_timeout": 0}


def test_a_second_run_is_refused(world: Two) -> None:
    with Lock(cast(Kube, world.kube), "shop-lock", "another"):
        refused(world, Locked, "another holds the lock shop-lock", **GIVEN)


# --- it fails, or is killed -------------------------------------------------------------------------------------------


def test_what_fails_is_named_and_the_next_run_goes_on(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    real, ring = world.ring.rebuild, world.ring

    def fails(pod: str, keyspace: str, source: str) -> None:
        if pod == NODES[1]:
            ring.refuse(pod, "Error while rebuilding node: Stream failed")
        real(pod, keyspace, source)

    ring.rebuild = fails  # type: ignore[method-assign]
    words = "shop-dc2-r2-0 did not get all rows of keyspace shop from datacenter dc1: .*Stream failed. Its log tells"
    with pytest.raises(Failed, match=words) as failure:
        world.rebuild()
    assert [each["node"] for each in failure.value.result["rebuilt"]] == NODES[:1]
    assert failure.value.result["due"] == [{"node": NODES[1], "keyspace": "shop"}]
    ring.rebuild = real  # type: ignore[method-assign]
    assert [each["node"] for each in world.rebuild()["rebuilt"]] == NODES[1:]


def test_a_connection_that_is_lost_is_no_end(world: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on; its end is waited for, and that part is streamed anew, since nobody knows how it ended."""
    world.alter(dc1="3", dc2="2")
    real, cuts = nodetool.run_one, [2]

    def cut(kube: Any, pod: str, verb: Any, *rest: Any) -> Any:
        told = real(kube, pod, verb, *rest)
        if verb[0] == "rebuild" and cuts[0]:
            cuts[0] -= 1
            world.ring.rebuilding[pod] = 3
            raise Unreachable("The connection was lost.")
        return told

    monkeypatch.setattr(nodetool, "run_one", cut)
    world.rebuild()
    assert world.streamed() == [(pod, "shop") for pod in (*[NODES[0]] * 3, NODES[1])]
    assert any("a rebuild works on it, streaming 40 %, 40 B of 100 B" in text for text in world.said)
    world.assert_rows("shop")


def test_one_that_is_lost_each_time_is_told(world: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    world.alter(dc1="3", dc2="2")
    real = nodetool.run_one

    def lost(kube: Any, pod: str, verb: Any, *rest: Any) -> Any:
        if verb[0] == "rebuild":
            raise Unreachable("The connection was lost.")
        return real(kube, pod, verb, *rest)

    monkeypatch.setattr(nodetool, "run_one", lost)
    with pytest.raises(Failed, match=r"did not get all rows of keyspace shop .*: The connection was lost\. Its log"):
        world.rebuild()


def test_what_a_killed_run_has_left_at_work_is_waited_for(world: Two) -> None:
    world.alter(dc1="3", dc2="2")
    world.ring.rebuilding[NODES[1]] = 4
    assert len(world.rebuild()["rebuilt"]) == 2
    assert any("waiting for r2-0 to be done with the rebuild that works on it" in text for text in world.said)
    world.assert_rows("shop")


def test_a_node_that_is_at_one_and_streams_nothing_is_waited_for(world: Two) -> None:
    """Before the first stream Paxos is repaired; nothing but a refusal tells of it."""
    world.alter(dc1="3", dc2="2")
    real, left, ring = world.ring.rebuild, [3], world.ring

    def busy(pod: str, keyspace: str, source: str) -> None:
        if left[0]:
            left[0] -= 1
            ring.refuse(pod, "Node is still rebuilding. Check nodetool netstats.")
        real(pod, keyspace, source)

    ring.rebuild = busy  # type: ignore[method-assign]
    assert len(world.rebuild()["rebuilt"]) == 2


def test_one_that_is_not_done_in_time_goes_on(world: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    world.alter(dc1="3", dc2="2")
    real = nodetool.run_one

    def slow(kube: Any, pod: str, verb: Any, *rest: Any) -> Any:
        if verb[0] == "rebuild":
            raise ExecTimeout("nodetool rebuild was not done after 5 s and was ended.")
        return real(kube, pod, verb, *rest)

    monkeypatch.setattr(nodetool, "run_one", slow)
    words = r"was ended\. Cassandra goes on with it\. Run it again, which .* larger rebuild_node_timeout"
    with pytest.raises(Failed, match=words):
        world.rebuild()


def test_a_node_that_was_replaced_meanwhile_keeps_the_keyspace_from_being_whole(world: Two) -> None:
    """It may have streamed from one that had not got its rows yet."""
    world.alter(dc1="3", dc2="2")
    real, ring = world.ring.rebuild, world.ring

    def replaced(pod: str, keyspace: str, source: str) -> None:
        real(pod, keyspace, source)
        if pod == NODES[1]:
            world.replace(NODES[0])

    ring.rebuild = replaced  # type: ignore[method-assign]
    world.rebuild()
    assert world.streamed() == [(pod, "shop") for pod in (*NODES, NODES[0])]
    assert world.note().endswith(" all - dc1")


def test_killed_before_any_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a keyspace is given back of which an older note says that it is whole, and tables are changed."""
    for lives in range(60):
        world = Two.made(monkeypatch)
        altered_since(world)
        world.rebuild(**GIVEN)
        world.alter(dc1="3")
        world.ring.rebuilt.clear()
        if not world.killed_at(lives, lambda world=world: world.rebuild(**GIVEN)):  # type: ignore[misc]
            break
        if "dc2" in world.ring.replication["shop"]:
            assert world.note().startswith("shop "), "status tells that replicas have no rows"
        world.ring.replicated["shop"] += 1
        world.ring.written["shop"] = world.ring.replicated["shop"]
        world.rebuild(**GIVEN)
        world.assert_rows("shop")
        assert world.note().endswith(" all - dc1")
        assert world.rebuild(**GIVEN)["changed"] is False
    else:
        pytest.fail("the run never ends")
    assert lives > 6
