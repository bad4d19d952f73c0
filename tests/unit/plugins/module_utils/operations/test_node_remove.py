# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members that will not come back are removed; nobody else is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from unit.plugins.module_utils.fake_cassandra import Member
from unit.plugins.module_utils.fake_failures import NTS, deployed
from unit.plugins.module_utils.fake_kube import Killed, in_mode
from unit.plugins.module_utils.fake_scaling import ROOM

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context, Failed
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecTimeout
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import attempt
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import cleanup, node_remove
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.members import LEFT, UNCLEAN
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import NodeView

FIRST, SECOND, LAST = "shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r1-1"


class World:
    """Six nodes in three racks, and a seventh member that nobody knows any more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.kube = deployed(monkeypatch, workers_a_zone=2, **options)
        self.ring = self.kube.ring
        self.ring.members["ghost"] = Member("198.19.9.9", "r1", "host-ghost", (5, 7), "dc1")
        self.ring.down.add("ghost")
        for busy in self.ring.busy.values():
            busy.disk = ROOM
        self.warnings: list[str] = []
        self.kube.logged += [(pod, self.kube.clock - 100, node_remove.STREAM_FAILED, False) for pod in (FIRST, SECOND)]

    def logs(self, pod: str, line: str, before: bool = False) -> None:
        self.kube.logged.append((pod, self.kube.clock, f"WARN  [Stream] StorageService.java:3762 - {line}", before))

    def remove(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        self.warnings = []
        ctx = Context(
            check_mode=check, diff_mode=True, connect=lambda params: cast(Kube, self.kube), warnings=self.warnings
        )
        defaults = {name: spec.get("default") for name, spec in node_remove.ARGUMENT_SPEC.items()}
        return node_remove.run({**defaults, "cluster": "shop", "datacenter": "dc1", "wait_timeout": 5, **changes}, ctx)

    def refused(self, **changes: Any) -> str:
        before, ledger = len(self.kube.writes), self.kube.ledger()
        with pytest.raises(CassopsError) as caught:
            self.remove(**changes)
        # A run that looks under the lock notes what the tables ask for, whatever becomes of it.
        noted = learned(ledger, self.kube.ledger())
        written = ["apply ConfigMap shop-dc1-ledger"] if noted != ledger else []
        assert [what for what in self.kube.writes[before:] if " Lease " not in what] == written
        assert self.kube.ledger() == noted
        return str(caught.value)


def learned(ledger: Ledger, after: Ledger) -> Ledger:
    return replace(ledger, gc_grace_seconds=after.gc_grace_seconds, single_copies=after.single_copies)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize("named", [{"host_id": "host-ghost"}, {"address": "198.19.9.9"}])
def test_a_dead_member_is_removed_once(world: World, named: dict[str, str]) -> None:
    result = world.remove(**named)
    assert result["changed"] is True
    assert result["removed"] == {"address": "198.19.9.9", "host_id": "host-ghost", "tokens": 2}
    assert (result["diff"]["before"], result["diff"]["after"]) == ("198.19.9.9: host id host-ghost, 2 tokens\n", "")
    assert "ghost" not in world.ring.members
    again = world.remove(**named)
    assert (again["changed"], again["removed"]) == (False, None)
    assert (again["diff"]["before"], again["diff"]["after"]) == ("", "")


def test_check_mode_only_tells(world: World) -> None:
    before = len(world.kube.writes)
    result = world.remove(check=True, host_id="host-ghost")
    assert (result["changed"], result["changes"]) == (True, ["removenode host-ghost (198.19.9.9)"])
    assert world.kube.writes[before:] == []


def test_a_live_member_is_not_removed(world: World) -> None:
    told = world.refused(host_id=world.ring.members[FIRST].host_id)
    assert "see it alive: decommission it where it runs" in told


def test_a_node_that_is_wanted_is_replaced_instead(world: World) -> None:
    worker = world.kube.worker_of(FIRST)
    assert worker is not None
    world.kube.kill_worker(worker)
    assert f"it is {FIRST}, which its StatefulSet wants" in world.refused(host_id=world.ring.members[FIRST].host_id)


def test_a_node_whose_stateful_set_is_gone_is_not_removed(world: World) -> None:
    """Somebody deleted it without its pods: that is no wish to be rid of the nodes of a rack."""
    world.kube.objects.pop(("StatefulSet", "shop-dc1-r1"))
    world.ring.down.add(LAST)
    words = world.refused(host_id=world.ring.members[LAST].host_id)
    assert f"it is {LAST}, and its StatefulSet is gone" in words
    assert "run the playbook deploy" in words


def test_a_node_of_another_datacenter_is_seen_to_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a StatefulSet wants it, and whether its ledger has to forget it, is known there."""
    look = node_remove.Removal.look
    node = NodeView("shop-dc2-r1-0", "r1", 0, address="198.19.9.9", host_id="host-ghost")

    def with_another(self: node_remove.Removal, **asked: Any) -> Any:
        sight = look(self, **asked)
        self.cluster.peers[:] = [self.cluster.own]
        return replace(sight, others=(replace(sight.view, datacenter="dc2", nodes=(node,), observations={}),))

    monkeypatch.setattr(node_remove.Removal, "look", with_another)
    assert "it is shop-dc2-r1-0 of datacenter dc2: see to it there" in world.refused(host_id="host-ghost")


@pytest.fixture
def last(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The ghost was the last node of its datacenter; those that live are another one's."""
    look = node_remove.Removal.look

    def elsewhere(self: node_remove.Removal, **asked: Any) -> Any:
        sight = look(self, **asked)
        self.cluster.peers[:] = [self.cluster.own]
        own = replace(sight.view, datacenter="dc0", nodes=(), observations={})
        return replace(sight, view=own, others=(sight.view,))

    monkeypatch.setattr(node_remove.Removal, "look", elsewhere)
    return world


def test_the_last_one_of_a_datacenter_is_removed_by_a_node_of_another(last: World) -> None:
    assert last.remove(host_id="host-ghost")["changes"] == ["removenode host-ghost (198.19.9.9)"]
    assert "ghost" not in last.ring.members


def test_a_removal_that_a_node_of_another_datacenter_leads_is_found(
    last: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    Slow(last, monkeypatch).leads = True
    last.ring.members["ghost"].status = "removing"
    assert last.remove(host_id="host-ghost", force=True)["changes"] == [
        f"removenode force on {FIRST}: what was not streamed is left to repair"
    ]


def test_not_while_somebody_else_is_down(world: World) -> None:
    worker = world.kube.worker_of(SECOND)
    assert worker is not None
    world.kube.kill_worker(worker)
    told = world.refused(host_id="host-ghost")
    assert "198.19.9.9 is not removed: " in told
    assert SECOND in told


def test_what_may_be_lost_must_be_accepted(world: World) -> None:
    world.ring.replication["one"] = {"class": NTS, "dc1": "1"}
    assert "accept_loss: [one]" in world.refused(host_id="host-ghost")
    assert world.remove(host_id="host-ghost", accept_loss=["one"])["changed"] is True


def test_the_nodes_of_a_datacenter_that_is_gone_go_one_by_one(world: World) -> None:
    """As docs/operations/destroy.md has it: asked of one that stays, and the gone one is no peer."""
    ghosts = {name: Member(f"198.19.9.{n}", f"r{n}", f"host-{name}", (n,), "dc2") for n, name in enumerate("ab", 1)}
    world.ring.members.pop("ghost")
    world.ring.members.update(ghosts)
    world.ring.down = set(ghosts)
    # Cassandra does not let system_auth go before its members are gone.
    world.ring.replication["system_auth"] = {"class": NTS, "dc1": "3", "dc2": "2"}
    assert "accept_loss: [system_auth]" in world.refused(host_id="host-a")
    for name in ghosts:
        assert world.remove(host_id=f"host-{name}", accept_loss=["system_auth"])["changed"] is True
    assert not set(ghosts) & set(world.ring.members)


def test_assassinate_is_for_what_owns_nothing(world: World) -> None:
    assert "first remove it without assassinate" in world.refused(host_id="host-ghost", assassinate=True)
    world.ring.members["ghost"].tokens = ()
    assert "assassinate takes it out of gossip" in world.refused(host_id="host-ghost")
    assert world.remove(host_id="host-ghost", assassinate=True)["changes"] == ["assassinate 198.19.9.9"]


@pytest.mark.parametrize("version", ["4.0.17", "5.0.9"])
def test_not_while_somebody_else_leaves(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    world = World(monkeypatch, version=version)
    world.ring.members[SECOND].status = "LEAVING"
    assert f"sees {SECOND} as LEAVING, needed NORMAL" in world.refused(host_id="host-ghost")


@pytest.mark.parametrize("version", ["4.0.17", "5.0.9"])
def test_assassinate_is_the_last_resort_for_a_removal_that_does_not_end(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    world = World(monkeypatch, version=version)
    world.ring.members["ghost"].status = "removing"
    assert world.remove(host_id="host-ghost", assassinate=True)["changed"] is True


def test_a_node_that_no_stateful_set_wants_is_forgotten(world: World) -> None:
    """Somebody scaled a rack in by hand: the node is gone, and its volume must not bring it back."""
    host_id = world.ring.members[LAST].host_id
    world.kube.one("StatefulSet", "shop-dc1-r1")["spec"]["replicas"] = 1
    world.kube.stop(LAST)
    world.ring.forget("address", "198.19.9.9")
    plan = world.remove(check=True, host_id=host_id)
    assert plan["changes"][-1] == f"forget {LAST}"
    assert world.remove(host_id=host_id)["changed"] is True
    ledger = world.kube.ledger()
    assert LAST not in ledger.nodes
    assert ledger.volumes == {LAST: 1}
    assert left_by(world) == host_id, "the next node of this name needs an empty one, and scale finds it by that"
    assert world.remove(host_id=host_id)["changed"] is False


def left_by(world: World) -> str | None:
    metadata = world.kube.one("PersistentVolumeClaim", f"data-{LAST}")["metadata"]
    return cast("dict[str, str]", metadata.get("annotations") or {}).get(LEFT)


def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    lives = 0
    while True:
        world = World(monkeypatch)
        host_id = world.ring.members[LAST].host_id
        world.kube.one("StatefulSet", "shop-dc1-r1")["spec"]["replicas"] = 1
        world.kube.stop(LAST)
        world.ring.forget("address", "198.19.9.9")
        world.kube.lives = lives
        try:
            world.remove(host_id=host_id)
        except Killed:
            world.kube.revive()
            world.remove(host_id=host_id)
            assert LAST not in world.ring.members
            assert LAST not in world.kube.ledger().nodes
            assert left_by(world) == host_id
            lives += 1
        else:
            break
    assert lives >= 3


def test_not_between_two_kinds_of_formats(world: World) -> None:
    """The receivers would fail to stream, and Cassandra would end the removal all the same."""
    in_mode(world.kube, SECOND, "CASSANDRA_4")
    told = world.refused(host_id="host-ghost")
    assert f"different formats (storage_compatibility_mode CASSANDRA_4: {SECOND}; NONE: " in told
    assert "finish that step first, with the playbook upgrade" in told


# --- what it leaves to do ---------------------------------------------------------------------------------------------


REMOVED = "cassops.kubernetes/removed"


def note_of(world: World) -> str:
    annotations: dict[str, str] = world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"].get("annotations", {})
    return annotations.get(REMOVED, "")


def test_a_repair_is_due_after_each_removal(world: World) -> None:
    """Logs rotate: that none of them says so proves little."""
    before = int(world.kube.clock)
    world.remove(check=True, host_id="host-ghost")
    assert (world.warnings, note_of(world)) == ([], "")
    world.remove(host_id="host-ghost")
    assert len(world.warnings) == 1
    assert "198.19.9.9 is removed. Cassandra ends a removal also where a stream failed" in world.warnings[0]
    assert "run the playbook repair for all datacenters" in world.warnings[0]
    host_id, address, began, failed = note_of(world).split()
    assert (host_id, address, failed) == ("host-ghost", "198.19.9.9", "-")
    assert before <= int(began) <= world.kube.clock
    assert world.remove(host_id="host-ghost")["changed"] is False
    assert world.warnings == []


@pytest.mark.parametrize("line", [node_remove.STREAM_FAILED, node_remove.NO_SOURCE])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_stream_of_it_that_failed_is_told(world: World, line: str, restarted: bool) -> None:
    """Cassandra ends the removal all the same; what was logged before it, of another one, does not count."""
    world.ring.after_change = lambda: world.logs(SECOND, line, restarted)
    world.kube.restarted = {SECOND} if restarted else set()
    with pytest.raises(Failed, match=f"is removed, but {SECOND} did not get all that it held") as failure:
        world.remove(host_id="host-ghost")
    assert failure.value.result["changed"] is True
    assert "run the playbook repair for all datacenters" in str(failure.value)
    assert note_of(world).endswith(f" {SECOND}")
    for named in ({"host_id": "host-ghost"}, {"address": "198.19.9.9"}):
        assert world.remove(**named)["changed"] is False
        assert f"{SECOND} did not get all that it held" in world.warnings[0]


def test_a_keyspace_of_one_replica_has_nobody_to_stream_from(world: World) -> None:
    world.ring.replication["one"] = {"class": NTS, "dc1": "1"}
    world.ring.after_change = lambda: world.logs(SECOND, node_remove.NO_SOURCE)
    assert world.remove(host_id="host-ghost", accept_loss=["one"])["changed"] is True


def test_a_log_that_cannot_be_read_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = world.kube.logs

    def broken(pod: str, **options: Any) -> str:
        if pod == SECOND:
            raise CassopsError("the connection was reset")
        return real(pod, **options)

    monkeypatch.setattr(world.kube, "logs", broken)
    world.remove(host_id="host-ghost")
    assert f"only a log tells (the log of {SECOND} could not be read)" in world.warnings[0]


def test_what_owned_nothing_leaves_nothing_to_repair(world: World) -> None:
    world.ring.members["ghost"].tokens = ()
    world.remove(host_id="host-ghost", assassinate=True)
    assert (world.warnings, note_of(world)) == ([], "")


def test_a_node_of_the_same_host_id_is_another_removal(world: World) -> None:
    """One that took its place under its address had it, too."""
    world.remove(host_id="host-ghost")
    world.kube.clock += 1000
    world.ring.members["ghost"] = Member("198.19.9.9", "r1", "host-ghost", (5, 7), "dc1")
    world.ring.down.add("ghost")
    before = note_of(world)
    world.remove(host_id="host-ghost")
    assert int(note_of(world).split()[2]) >= int(before.split()[2]) + 1000


def test_a_stream_that_failed_while_no_run_listened_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = lives = 0
    while True:
        world = World(monkeypatch)
        world.ring.after_change = lambda world=world: world.logs(SECOND, node_remove.STREAM_FAILED)  # type: ignore[misc]
        world.kube.lives = lives
        try:
            world.remove(host_id="host-ghost")
        except Killed:
            world.kube.revive()
            world.kube.clock += 3600
            # Also a run that was killed when it had noted it, and had told nobody.
            words = str(attempt(lambda world=world: world.remove(host_id="host-ghost")))  # type: ignore[misc]
            assert f"{SECOND} did not get all that it held" in " ".join([words, *world.warnings])
            told += 1
        except Failed:
            break
        lives += 1
    assert told >= 3


def test_it_waits_for_cleanups(world: World) -> None:
    """They go on when the run that began them has died, and would delete what is streamed to them."""
    busy, left = world.ring.busy[SECOND], []
    busy.compactions = 4
    world.ring.after_change = lambda: left.append(busy.compactions)
    assert world.remove(host_id="host-ghost")["changed"] is True
    assert left == [0]
    busy.compactions = 99
    assert world.remove(host_id="host-ghost")["changed"] is False, "nothing is streamed any more"


def test_it_does_not_wait_for_a_cleanup_for_ever(world: World) -> None:
    world.ring.busy[SECOND].compactions = 10**6
    assert f"{SECOND} deletes rows that it has given away (nodetool cleanup)" in world.refused(
        host_id="host-ghost", wait_timeout=0
    )


# --- were those cleaned up who take over? -----------------------------------------------------------------------------

UNCLEAN_PODS = [FIRST, SECOND]


def unclean(world: World, *pods: str) -> None:
    world.kube.patch("ConfigMap", "shop-dc1-ledger", {"metadata": {"annotations": {UNCLEAN: ",".join(pods)}}})


def clean_up(world: World, **changes: Any) -> dict[str, Any]:
    defaults = {name: spec.get("default") for name, spec in cleanup.ARGUMENT_SPEC.items()}
    ctx = Context(connect=lambda params: cast(Kube, world.kube))
    return cleanup.run({**defaults, "cluster": "shop", "datacenter": "dc1", **changes}, ctx)


@pytest.fixture
def gone(world: World) -> World:
    return without_last(world)


def without_last(world: World) -> World:
    """The last node of a rack joined, and others gave it ranges. It died as it was ended, and somebody took its place
    away."""
    world.ring.forget("address", "198.19.9.9")
    world.kube.one("StatefulSet", "shop-dc1-r1")["spec"]["replicas"] = 1
    world.kube.stop(LAST)
    world.ring.members[LAST].status = "shutdown"
    return world


def test_rows_that_were_given_away_are_deleted_before_their_ranges_come_back(gone: World) -> None:
    """Those who were not cleaned up would bring deleted rows back. A removal waits for cleanup, and that not for it."""
    unclean(gone, *UNCLEAN_PODS, LAST)
    host_id = gone.ring.members[LAST].host_id
    for check in (True, False):
        told = gone.refused(check=check, host_id=host_id)
        assert f"nodes still hold rows of ranges that they have given away ({FIRST}, {SECOND}): " in told
        assert "Run the playbook cleanup for dc1 first" in told
    assert clean_up(gone) == {"changed": True, "nodes": UNCLEAN_PODS, "needs_cleanup": [LAST]}
    assert gone.ring.cleaned == UNCLEAN_PODS
    assert clean_up(gone)["changed"] is False
    assert gone.remove(host_id=host_id)["changed"] is True
    assert LAST not in gone.ring.members
    assert LAST not in gone.kube.ledger().nodes


def test_all_of_them_are_cleaned_but_one_that_runs_nowhere(gone: World) -> None:
    assert clean_up(gone, all=True)["nodes"] == sorted(gone.ring.members.keys() - {LAST})


@pytest.mark.parametrize("accepted", [[], ["shop"]])
@pytest.mark.parametrize("check", [True, False])
def test_no_cleanup_is_asked_for_of_what_may_be_the_last_copies(gone: World, accepted: list[str], check: bool) -> None:
    """Who gave ranges to the dead one has their rows of before still, and will own and serve them again."""
    unclean(gone, *UNCLEAN_PODS, LAST)
    gone.ring.replication["shop"] = {"class": NTS, "dc1": "1"}
    gone.ring.busy[FIRST].compactions = 2
    host_id = gone.ring.members[LAST].host_id
    if accepted:
        assert gone.remove(check=check, host_id=host_id, accept_loss=accepted)["changed"] is True
        (told,) = [text for text in gone.warnings if "given away" in text]
        assert told.startswith(f"nodes still hold rows of ranges that they have given away ({FIRST}, {SECOND}): ")
        assert "may be the last copies, so do not run the playbook cleanup as long as you may need them" in told
        return
    told = gone.refused(check=check, host_id=host_id)
    assert "accept the loss" in told
    assert "cleanup" not in told


def test_nobody_is_warned_of_rows_that_nobody_has(gone: World) -> None:
    gone.ring.replication["shop"] = {"class": NTS, "dc1": "1"}
    gone.remove(host_id=gone.ring.members[LAST].host_id, accept_loss=["shop"])
    assert not any("given away" in text for text in gone.warnings)


@pytest.mark.parametrize("version", ["4.0.19", "5.0.9"])
@pytest.mark.parametrize("status", ["BOOT", "LEAVING", "removing", "MOVING"])
def test_no_cleanup_beside_a_dead_one_that_moves(monkeypatch: pytest.MonkeyPatch, version: str, status: str) -> None:
    """What was streamed for it would be deleted."""
    gone = without_last(World(monkeypatch, version=version))
    unclean(gone, *UNCLEAN_PODS)
    gone.ring.members[LAST].status = status
    with pytest.raises(Failed, match=f"no cleanup while nodes join or leave: .* sees {LAST} as {status}"):
        clean_up(gone)
    assert gone.ring.cleaned == []


def test_no_cleanup_while_somebody_says_that_he_is_ended(world: World) -> None:
    """He is seen up: gossip is late, or he comes back."""
    unclean(world, FIRST)
    world.ring.members[LAST].status = "shutdown"
    with pytest.raises(Failed, match=f"sees {LAST} as shutdown"):
        clean_up(world)


def test_no_cleanup_beside_one_that_takes_a_dead_ones_place(world: World) -> None:
    """At that one's address: down for all others, as it hibernates, and at work all the same."""
    unclean(world, SECOND)
    world.ring.down.add(FIRST)
    world.ring.doors[FIRST] = "off"
    world.ring.members[FIRST].status = "hibernate"
    with pytest.raises(Failed, match=f"no cleanup while nodes join or leave: .* sees {FIRST} as hibernate"):
        clean_up(world)
    assert world.ring.cleaned == []


@pytest.mark.parametrize("status", ["LEAVING", "MOVING"])
def test_one_that_had_begun_to_leave_is_removed_without_a_cleanup(gone: World, status: str) -> None:
    """Nobody is cleaned up as long as that has not ended."""
    unclean(gone, *UNCLEAN_PODS)
    gone.ring.members[LAST].status = status
    assert gone.remove(host_id=gone.ring.members[LAST].host_id)["changed"] is True


def test_a_member_gives_ranges_back_to_its_own_datacenter_only(world: World) -> None:
    unclean(world, FIRST)
    world.ring.members["ghost"].datacenter = "dc2"
    assert world.remove(check=True, host_id="host-ghost")["changes"] == ["removenode host-ghost (198.19.9.9)"]


def test_those_of_another_datacenter_are_asked_about_there(last: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger of each says who was not cleaned up."""
    unclean(last, FIRST)
    look = node_remove.Removal.look

    def from_elsewhere(self: node_remove.Removal, **asked: Any) -> Any:
        sight = look(self, **asked)
        self.cluster.own = replace(self.cluster.own, datacenter="dc0")
        return sight

    monkeypatch.setattr(node_remove.Removal, "look", from_elsewhere)
    told = last.refused(check=True, host_id="host-ghost")
    assert f"given away ({FIRST})" in told
    assert "cleanup for dc1 first" in told


# --- is there room? ---------------------------------------------------------------------------------------------------


def test_not_where_what_it_held_has_no_room(world: World) -> None:
    world.ring.tables.append(("shop", 864000))
    world.ring.busy[FIRST].disk = (10_000, 2_000)
    told = world.refused(host_id="host-ghost")
    assert f"{FIRST} would get" in told
    assert "of what 198.19.9.9 held" in told
    assert "(or go past it with ignore: space)" in told
    assert world.remove(host_id="host-ghost", ignore=["space"])["changed"] is True


def test_not_below_the_replicas_of_a_keyspace(world: World) -> None:
    world.ring.replication["shop"] = {"class": NTS, "dc1": "7"}
    assert "keyspace shop keeps 7 replicas in datacenter dc1, and 6 nodes would be left" in world.refused(
        host_id="host-ghost"
    )


def test_room_is_not_asked_about_where_nothing_is_streamed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(world, monkeypatch)
    slow.leads = True
    world.ring.busy[FIRST].disk = (10_000, 1)
    assert world.remove(host_id="host-ghost", force=True)["changed"] is True


# --- a removal that is under way --------------------------------------------------------------------------------------


class Slow:
    """A removal that one node leads, and that does not end by itself."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.leads = False
        self.asked: list[tuple[str, ...]] = []
        self.ring = world.ring
        self.inner = world.ring.run_nodetool
        monkeypatch.setattr(nodetool, "run", self.run)

    def run(
        self, kube: Any, pod: str, verbs: Sequence[Sequence[str]], timeout: float = 60.0, **options: Any
    ) -> list[nodetool.Result]:
        verb = tuple(verbs[0])
        if verb[0] != "removenode":
            return self.inner(kube, pod, verbs, timeout, **options)
        self.asked.append(verb)
        if verb[1] == "status":
            said = "Removing token (5). Waiting for replication confirmation from [x]." if self.leads else "No token"
            return [nodetool.Result(verb, 0, f"RemovalStatus: {said}\n", "")]
        if verb[1] == "force":
            self.ring.forget("host_id", "host-ghost")
            return [nodetool.Result(verb, 0, "", "")]
        self.leads = True
        raise ExecTimeout("not done")


def test_a_removal_that_does_not_end_is_told_taken_up_and_forced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(world, monkeypatch)
    assert world.remove(check=True, host_id="host-ghost", force=True)["changes"] == [
        "removenode host-ghost (198.19.9.9)"
    ], "nothing is there that could be ended"
    with pytest.raises(CassopsError, match="It goes on by itself: run it again to wait for it"):
        world.remove(host_id="host-ghost")
    with pytest.raises(CassopsError, match=r"198\.19\.9\.9 to be forgotten: not so after"):
        world.remove(host_id="host-ghost", wait_timeout=0)
    assert [verb for verb in slow.asked if verb[1] == "host-ghost"] == [("removenode", "host-ghost")], "never twice"
    plan = world.remove(check=True, host_id="host-ghost")
    assert (plan["changed"], plan["changes"]) == (False, []), "it goes on by itself"
    forced = [f"removenode force on {FIRST}: what was not streamed is left to repair"]
    assert world.remove(check=True, host_id="host-ghost", force=True)["changes"] == forced
    result = world.remove(host_id="host-ghost", force=True)
    assert result["changes"] == forced


def test_a_removal_is_ended_although_the_node_that_was_to_receive_is_dead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is why the removal does not end; and nobody is replaced before that."""
    Slow(world, monkeypatch).leads = True
    world.ring.members["ghost"].status = "removing"
    worker = world.kube.worker_of(SECOND)
    assert worker is not None
    world.kube.kill_worker(worker)
    assert SECOND in world.refused(host_id="host-ghost")
    assert "accept_loss: [shop, system_auth]" in world.refused(host_id="host-ghost", force=True)
    accepted = ["shop", "system_auth"]
    assert world.remove(host_id="host-ghost", force=True, accept_loss=accepted)["changed"] is True


def test_force_does_not_end_what_others_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cassandra ends the leaving of everybody who leaves."""
    Slow(world, monkeypatch).leads = True
    world.ring.members[SECOND].status = "LEAVING"
    told = world.refused(host_id="host-ghost", force=True)
    assert f"{SECOND} is LEAVING, and force would end that too" in told


def test_another_ones_removal_is_not_this_ones(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(world, monkeypatch)
    slow.leads = True
    world.ring.members["ghost"].tokens = (11, 13)
    plan = world.remove(check=True, host_id="host-ghost", force=True)
    assert plan["changes"] == ["removenode host-ghost (198.19.9.9)"]


def test_assassinate_loses_rows_as_a_removal_does(world: World) -> None:
    world.ring.members["ghost"].status = "removing"
    world.ring.replication["one"] = {"class": NTS, "dc1": "1"}
    assert "accept_loss: [one]" in world.refused(host_id="host-ghost", assassinate=True)
