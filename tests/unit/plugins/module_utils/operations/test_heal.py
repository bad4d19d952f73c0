# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes fail in all ways, and heal and node_replace do what is safe; killed anywhere, the next run ends well."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.fake_cassandra import OFF, OPEN, Member
from unit.plugins.module_utils.fake_failures import FailingCassandra, FailingKube, deployed
from unit.plugins.module_utils.fake_kube import Killed, in_mode

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context, Failed, Operation
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import (
    ExecResult,
    ExecTimeout,
    Forbidden,
    Unreachable,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import LedgerNode
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Lock, Locked
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import Objects
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import (
    failures,
    heal,
    healing,
    node_replace,
    repairing,
    replacing,
    streaming,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.cluster import Cluster, Sight
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.failures import HOSTNAME, SELECTED
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.members import UNCLEAN
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.replacing import Replacing
from ansible_collections.cassops.kubernetes.plugins.module_utils.plan import Plan
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import (
    ASK,
    REPAIR,
    REPLACE,
    WAIT,
    Decision,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import (
    LOCAL,
    NETWORK,
    UNKNOWN,
    Settings,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.scene import Scene
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.workers import OUT_OF_SERVICE
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import NodeView

FIRST, FOURTH, SECOND, THIRD = "shop-dc1-r1-0", "shop-dc1-r1-1", "shop-dc1-r2-0", "shop-dc1-r3-0"
NODES = [f"shop-dc1-r{rack}-{ordinal}" for rack in (1, 2, 3) for ordinal in (0, 1)]
PLAN = ("ConfigMap", "shop-dc1-replacement")


@dataclass
class World:
    """Six nodes in three racks, and a worker or two to spare in each zone."""

    ring: FailingCassandra
    kube: FailingKube
    said: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    runs: int = 0

    def run(self, operation: Operation, check: bool = False, **changes: Any) -> dict[str, Any]:
        """One run; each by another process than the one before."""
        self.runs += 1
        self.said, self.warnings, self.shown = [], [], []
        ctx = Context(
            check_mode=check,
            diff_mode=True,
            progress=lambda text, important=False: self.said.append(text),
            display=self.shown.append,
            holder=f"somebody@somewhere pid {self.runs}",
            warnings=self.warnings,
            connect=lambda params: cast(Kube, self.kube),
        )
        defaults = {name: spec.get("default") for name, spec in operation.ARGUMENT_SPEC.items()}
        limits = {"cluster": "shop", "datacenter": "dc1", "patience": 0, "wait_timeout": 5}
        return operation.run({**defaults, **limits, **changes}, ctx)

    def heal(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        return self.run(heal, check, **changes)

    def replace(self, name: str, check: bool = False, **changes: Any) -> dict[str, Any]:
        return self.run(node_replace, check, name=name, **changes)

    def refused(self, **changes: Any) -> Failed:
        with pytest.raises(Failed) as caught:
            self.heal(**changes)
        return caught.value

    def killed(self, lives: int, call: Callable[[], Any]) -> bool:
        """Whether a run was killed before its write number C(lives)."""
        self.kube.lives = lives
        try:
            call()
        except Killed:
            self.kube.revive()
            return True
        self.kube.lives = None
        return False

    def writes(self, since: int = 0) -> list[str]:
        """What was written, without the lock."""
        return [what for what in self.kube.writes[since:] if " Lease " not in what]

    def identities(self) -> dict[str, tuple[str, str, tuple[int, ...]]]:
        return {pod: (one.address, one.host_id, one.tokens) for pod, one in sorted(self.ring.members.items())}

    def assert_whole(self, before: Mapping[str, Any]) -> None:
        """Every node serves as who it was, and nothing of a replacement is left."""
        assert self.identities() == before
        assert self.ring.doors == dict.fromkeys(NODES, OPEN)
        assert not self.ring.down
        assert PLAN not in self.kube.objects
        ledger = self.kube.ledger()
        assert ledger.replace == {}
        assert {pod: node.host_id for pod, node in ledger.nodes.items()} == {pod: one[1] for pod, one in before.items()}
        assert self.kube.missed == {}
        assert not [
            name
            for kind, name in self.kube.objects
            if "deletionTimestamp" in self.kube.one(kind, name).get("metadata", {})
        ]
        for pod in NODES:
            identity, _space, number = self.kube.disks[f"data-{pod}"].mark.partition(" ")
            assert (identity, int(number or 0)) == (ledger.id, ledger.volume_number(pod)), pod


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    """Makes deployed worlds; the clients lead to the one that was made last."""
    monkeypatch.setattr(streaming, "LOOK_AGAIN", -1.0)
    monkeypatch.setattr(healing, "GHOST_SECONDS", -1.0)

    def make(**options: Any) -> World:
        kube = deployed(monkeypatch, workers_a_zone=4, **options)
        return World(kube.ring, kube)

    return make


@pytest.fixture
def world(worlds: Callable[[], World]) -> World:
    return worlds()


def decisions(result: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    return {each["node"]: (each["row"], each["action"]) for each in result["decisions"] if each["action"] != "none"}


def differs(result: Mapping[str, Any]) -> tuple[str, str]:
    return result["diff"]["before"], result["diff"]["after"]


# --- nothing is wrong -------------------------------------------------------------------------------------------------


def test_a_healthy_datacenter_is_left_alone(world: World) -> None:
    before, lives = len(world.kube.writes), world.identities()
    result = world.heal(show=True)
    assert (result["changed"], result["changes"], result["whole"]) == (False, [], True)
    assert differs(result) == ("", "")
    assert world.kube.writes[before:] == [], "not even the lock"
    assert world.shown[0].split() == ["NODE", "ROW", "DECISION", "WHY"]
    assert world.shown[1].split()[:3] == [FIRST, "-", "none"]
    world.assert_whole(lives)


def test_a_live_node_is_not_replaced(world: World) -> None:
    before = len(world.kube.writes)
    result = world.replace("r1-0")
    assert result["changed"] is False
    assert world.kube.writes[before:] == []
    assert world.warnings == [f"{FIRST} is not replaced: every view has it up, and a live node is never replaced"]


def test_a_node_that_does_not_exist_is_told(world: World) -> None:
    with pytest.raises(CassopsError, match=r"there is no node r9-0; there are shop-dc1-r1-0, "):
        world.replace("r9-0")


# --- 1: a volume is gone ----------------------------------------------------------------------------------------------


def wiped(world: World) -> None:
    world.kube.wipe(FIRST)


def test_none_streams_between_two_kinds_of_formats(world: World) -> None:
    """Half-way through the step of 5.0 each attempt would stream for a while, and fail."""
    in_mode(world.kube, SECOND, "CASSANDRA_4")
    wiped(world)
    failure = world.refused()
    assert "the members run with different formats (storage_compatibility_mode CASSANDRA_4: " in str(failure)
    assert f"playbook upgrade with -e rollout_without={FIRST}" in str(failure)
    assert FIRST in world.kube.held


def test_a_node_without_its_volume_is_replaced(world: World) -> None:
    before = world.identities()
    wiped(world)
    claim = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["uid"]
    result = world.heal()
    world.assert_whole(before)
    assert result["changed"] is True
    assert decisions(result) == {}
    (done,) = result["replaced"]
    assert (done["node"], done["attempts"], done["needs_repair"]) == (FIRST, 1, False)
    assert done["reason"].startswith("it came back without its storage")
    assert done["streamed_bytes"] > 0
    assert set(done["seconds"]) == {"clearing", "streaming", "proving"}
    # The volume came back empty: it is used again.
    assert world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["uid"] == claim
    assert world.ring.repaired == []
    assert any("streaming" in line and "of 3.9 KiB" in line for line in world.said), world.said
    assert world.heal()["changed"] is False


def test_that_hints_went_with_the_volume_is_noted_before_the_plan_goes(world: World) -> None:
    """Those that the node kept for others, of any range: what was repaired before does not count any more."""
    began = int(world.kube.clock)
    wiped(world)
    since = len(world.kube.writes)
    world.heal()
    ledger = world.kube.one("ConfigMap", "shop-dc1-ledger")
    assert began <= int(ledger["metadata"]["annotations"]["cassops.kubernetes/hints-lost"]) <= world.kube.clock
    assert world.writes(since)[-2:] == ["patch ConfigMap shop-dc1-ledger", "delete ConfigMap shop-dc1-replacement"]
    assert any(f"hints that {FIRST} kept for others went with its volume" in line for line in world.said)
    assert world.ring.repaired == [], "heal itself repairs no more than before"


def test_check_mode_says_what_it_would_do_and_does_nothing(world: World) -> None:
    wiped(world)
    before = len(world.kube.writes)
    result = world.heal(check=True, show=True)
    assert (result["changed"], result["whole"]) == (True, False)
    assert decisions(result) == {FIRST: (6, "replace")}
    assert result["changes"] == [
        f"replace {FIRST}: it came back without its storage; it is a seed, and starts with others as its seeds"
    ]
    assert FIRST in world.shown[1]
    assert world.replace("r1-0", check=True)["changed"] is True
    assert world.kube.writes[before:] == []


def test_a_node_is_replaced_by_name(world: World) -> None:
    before = world.identities()
    wiped(world)
    assert world.replace("r1-0")["changed"] is True
    world.assert_whole(before)
    assert world.replace("r1-0")["changed"] is False


def test_the_plan_is_written_before_anything_else(world: World) -> None:
    wiped(world)
    since = len(world.kube.writes)
    world.heal()
    writes = world.writes(since)
    assert writes[0] == "apply ConfigMap shop-dc1-replacement"
    assert writes[1] == "apply ConfigMap shop-dc1-ledger"
    assert writes[-1] == "delete ConfigMap shop-dc1-replacement"


def test_the_diff_of_check_mode_is_what_a_run_then_does(world: World) -> None:
    world.kube.wipe(FIRST)
    world.ring.members["ghost"] = Member("198.19.9.9", "r1", "host-ghost", (), "dc1")
    world.ring.down.add("ghost")
    told = differs(world.heal(check=True))
    assert told == (
        f"{FIRST}: it came back without its storage; it is a seed, and starts with others as its seeds\n",
        f"{FIRST}: it is well\n",
    )
    done = differs(world.heal())
    ghost = "198.19.9.9: gossip knows it, and it owns nothing and belongs to nobody\n"
    assert done == (ghost + told[0], told[1]), "the ghost waits until all nodes are up"


@pytest.mark.parametrize("missed_for", [None, 20_000_000])
def test_what_hints_do_not_cover_is_repaired(world: World, missed_for: int | None) -> None:
    before = world.identities()
    world.ring.missed_for = missed_for
    wiped(world)
    result = world.heal()
    world.assert_whole(before)
    assert result["repaired"] == [FIRST]
    assert world.ring.repaired == [(FIRST, "shop"), (FIRST, "system_auth")]


def test_a_short_hint_window_is_read_from_the_nodes(world: World) -> None:
    world.ring.settings["max_hint_window"] = "30s"
    wiped(world)
    assert world.heal()["repaired"] == [FIRST]


def test_nodes_that_keep_no_hints_cover_nothing(world: World) -> None:
    world.ring.settings["hinted_handoff_enabled"] = "false"
    wiped(world)
    assert world.heal()["repaired"] == [FIRST]


def test_a_repair_can_wait_for_another_run(world: World) -> None:
    before = world.identities()
    world.ring.missed_for = None
    wiped(world)
    result = world.heal(repair=False)
    assert (result["repaired"], result["whole"]) == ([], False), "it is no failure, and not whole"
    assert world.kube.missed == {FIRST: "unknown"}
    assert world.heal()["repaired"] == [FIRST]
    world.assert_whole(before)


def test_a_node_that_was_away_beyond_the_hint_window_is_repaired(world: World) -> None:
    """It restarted with its data, and noted for how long it was away."""
    before = world.identities()
    world.kube.missed[THIRD] = "10801"
    world.kube.missed[SECOND] = "60"
    assert world.heal()["repaired"] == [THIRD]
    assert world.kube.missed.pop(SECOND) == "60"
    world.assert_whole(before)


def test_a_repair_does_not_begin_beside_another(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cassandra goes on with one whose run has died: a second would make both longer, and so on."""
    world.kube.missed[THIRD] = "10801"
    row = {"id": "1", "keyspace_name": "shop", "completed": False, "options_incremental": False}
    world.ring.busy[THIRD].repairs.append(row)
    seen: list[int] = []

    def later(seconds: float) -> None:
        seen.append(len(world.ring.repaired))
        if len(seen) > 3:
            row["completed"] = True

    monkeypatch.setattr(time, "sleep", later)
    assert world.heal()["repaired"] == [THIRD]
    assert seen[:4] == [0, 0, 0, 0]


@pytest.mark.parametrize(("times", "ends_well"), [(1, True), (repairing.TURNS, False)])
def test_a_connection_that_is_lost_is_no_end_of_a_repair(
    world: World, monkeypatch: pytest.MonkeyPatch, times: int, ends_well: bool
) -> None:
    """Cassandra goes on: its end is waited for, and as nobody tells how it ended the keyspace is compared again."""
    world.kube.missed[THIRD] = "10801"
    row = {"id": "1", "keyspace_name": "shop", "completed": True, "options_incremental": False}
    world.ring.busy[THIRD].repairs.append(row)
    run, looks, cuts = nodetool.run_one, [0], [times]

    def cut(kube: Any, pod: str, verb: Any, *rest: Any) -> Any:
        assert row["completed"], "a repair began beside another"
        told = run(kube, pod, verb, *rest)
        if verb[-1] == "shop" and cuts[0]:
            cuts[0] -= 1
            looks[0], row["completed"] = 3, False
            raise Unreachable("The connection was lost; whether it has ended is not known.")
        return told

    def later(seconds: float) -> None:
        looks[0] -= 1
        row["completed"] = looks[0] <= 0

    monkeypatch.setattr(nodetool, "run_one", cut)
    monkeypatch.setattr(time, "sleep", later)
    if ends_well:
        assert world.heal()["repaired"] == [THIRD]
    else:
        assert "The connection was lost" in str(world.refused())
        assert world.kube.missed[THIRD] == "10801", "the next run repairs it"
    assert world.ring.repaired.count((THIRD, "shop")) == times + ends_well


def too_slow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repairs of shop take longer than they may, and go well in the end."""
    run = nodetool.run_one

    def cut(kube: Any, pod: str, verb: Any, limit: float) -> Any:
        told = run(kube, pod, verb, limit)
        if verb[-1] == "shop":
            raise ExecTimeout(f"nodetool {' '.join(verb)} in {pod} was not done after {limit:g} s and was ended.")
        return told

    monkeypatch.setattr(nodetool, "run_one", cut)


def test_a_repair_that_takes_too_long_is_not_begun_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.kube.missed[THIRD] = "10801"
    world.ring.keep_records()
    too_slow(world, monkeypatch)
    with pytest.raises(Failed) as failure:
        world.heal(variable_prefix="heal_")
    assert "Cassandra goes on with it. Run it again, which waits for its end" in str(failure.value)
    assert "a larger heal_repair_timeout waits for longer" in str(failure.value)
    assert world.kube.missed[THIRD] == "10801"
    assert world.heal()["repaired"] == [THIRD]
    assert world.ring.repaired == [(THIRD, "shop"), (THIRD, "system_auth")]
    assert f"{THIRD} is repaired: keyspace shop (1 of 2): that is on record already" in world.said


def test_one_whose_connection_was_lost_is_not_repeated_where_it_ended_well(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.kube.missed[THIRD] = "10801"
    world.ring.keep_records()
    run = nodetool.run_one

    def cut(*arguments: Any) -> Any:
        run(*arguments)
        raise Unreachable("The connection was lost; whether it has ended is not known.")

    monkeypatch.setattr(nodetool, "run_one", cut)
    assert world.heal()["repaired"] == [THIRD]
    assert world.ring.repaired == [(THIRD, "shop"), (THIRD, "system_auth")]


def test_a_repair_before_its_last_start_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It missed something again; a note that says that nobody knows for how long stays as it is then."""
    world.kube.missed[THIRD] = "unknown"
    world.ring.keep_records()
    with monkeypatch.context() as patch:
        too_slow(world, patch)
        world.refused()
    made = datetime.fromtimestamp(world.kube.clock + 3600, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.kube.one("Pod", THIRD)["metadata"]["creationTimestamp"] = made
    world.kube.clock += 7200
    assert world.heal()["repaired"] == [THIRD]
    assert world.ring.repaired.count((THIRD, "shop")) == 2


def test_a_repair_before_a_removal_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the member held went to others since, or did not."""
    world.kube.missed[THIRD] = "10801"
    world.ring.keep_records()
    with monkeypatch.context() as patch:
        too_slow(world, patch)
        world.refused()
    world.kube.clock += 600
    note = {"cassops.kubernetes/removed": f"host-ghost 198.19.9.9 {int(world.kube.clock)} -"}
    world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"].setdefault("annotations", {}).update(note)
    assert world.heal()["repaired"] == [THIRD]
    assert world.ring.repaired.count((THIRD, "shop")) == 2


def test_a_start_in_between_has_all_repaired_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note grew at that start, by what may be missing of the keyspaces that were done by then."""
    world.kube.missed[THIRD] = "10801"
    world.ring.keep_records()
    run = nodetool.run_one
    starts = iter([True])

    def cut(kube: Any, pod: str, verb: Any, limit: float) -> Any:
        if verb[-1] == "system_auth" and next(starts, False):
            made = datetime.fromtimestamp(world.kube.clock + 3600, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            world.kube.one("Pod", THIRD)["metadata"]["creationTimestamp"] = made
            world.kube.clock += 7200
            raise Unreachable("The connection was lost; whether it has ended is not known.")
        return run(kube, pod, verb, limit)

    monkeypatch.setattr(nodetool, "run_one", cut)
    assert world.heal()["repaired"] == [THIRD]
    assert world.ring.repaired.count((THIRD, "shop")) == 2
    assert any("what was repaired before that is repaired again" in text for text in world.said)
    assert world.kube.missed == {}


def test_a_record_that_cannot_be_read_has_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.kube.missed[THIRD] = "10801"

    def refused(*_rest: Any) -> Any:
        raise CassopsError("the login is refused")

    monkeypatch.setattr(repairing, "record", refused)
    assert world.heal()["repaired"] == [THIRD]
    assert world.ring.repaired == [(THIRD, "shop"), (THIRD, "system_auth")]
    assert "what was repaired already is not known: the login is refused" in world.said


def test_a_run_that_was_killed_goes_on_behind_what_was_repaired(world: World) -> None:
    world.kube.missed[THIRD] = "10801"
    world.ring.keep_records()
    kills = 0
    # Each has one write more than the one before it.
    while world.killed(kills, world.heal):
        kills += 1
    assert kills > 3
    assert world.ring.repaired == [(THIRD, "shop"), (THIRD, "system_auth")], "what was done is not done again"
    assert world.kube.missed == {}


def test_what_cannot_be_read_is_not_taken_for_nothing(world: World) -> None:
    """A note that says that it missed more than hints cover may be behind it."""
    world.kube.missed[THIRD] = "10801"
    world.kube.unreadable.add(THIRD)
    refusal = world.refused()
    assert decisions(refusal.result) == {THIRD: (2, "wait")}
    assert refusal.result["whole"] is False
    assert "is not known: exec in shop-dc1-r3-0 failed: the connection was reset" in str(refusal)
    world.kube.unreadable.clear()
    assert world.heal()["repaired"] == [THIRD]


def test_a_hint_window_that_nobody_tells_is_asked_again_and_covers_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = failures.hint_settings

    def refused(*_rest: Any) -> Any:
        raise CassopsError("the login is refused")

    monkeypatch.setattr(failures, "hint_settings", refused)
    world.kube.missed[THIRD] = "60"
    (told,) = [each for each in world.heal(check=True)["decisions"] if each["action"] != "none"]
    assert (told["node"], told["action"]) == (THIRD, "repair")
    assert told["reason"] == "it was down for 60 s, and no node tells for how long hints are kept"
    monkeypatch.setattr(failures, "hint_settings", settings)
    assert world.heal()["changed"] is False


@pytest.mark.parametrize(
    ("windows", "least"),
    [
        (("3h", "30m"), 1800.0),
        (("3h", "1d"), 10800.0),
        (("3h", None), None),
        ((None, "3h"), None),
        ((None, None), None),
    ],
)
def test_hints_are_kept_by_whoever_took_the_write(
    monkeypatch: pytest.MonkeyPatch, windows: Sequence[str | None], least: float | None
) -> None:
    """In another datacenter too."""

    def settings(place: Any, pod: str) -> dict[str, str | None]:
        if place.window is None:
            raise CassopsError("the login is refused")
        return {"max_hint_window": place.window}

    monkeypatch.setattr(failures, "hint_settings", settings)
    own, *peers = [SimpleNamespace(datacenter=f"dc{number}", window=one) for number, one in enumerate(windows, 1)]
    cluster = cast(Cluster, SimpleNamespace(own=own, peers=peers))
    sight = Sight(cast(Objects, None), views.whole(), tuple(views.whole() for _peer in windows[1:]))
    assert failures.hint_window(cluster, sight) == least


@pytest.mark.parametrize(
    ("script", "rc", "out"),
    [("", 0, "none\n"), ("echo 17 >missed", 0, "17\n"), (": >missed", 0, ""), ("mkdir missed", 1, "")],
)
def test_how_the_note_is_read(tmp_path: Path, script: str, rc: int, out: str) -> None:
    command = f"{script or ':'}; {failures.READ_MISSED.replace(failures.MARKS, '.')}"
    told = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (rc, out)


@pytest.mark.parametrize(
    ("key", "holders", "kind"),
    [
        ("topology.topolvm.io/node", 1, LOCAL),
        ("openebs.io/nodename", 1, LOCAL),
        ("openebs.io/nodeid", 0, LOCAL),
        ("linbit.com/hostname", 1, LOCAL),
        ("topology.hostpath.csi/node", 1, LOCAL),
        (HOSTNAME, 1, LOCAL),
        ("openebs.io/csi-node", 1, NETWORK),
        ("storage.example.com/node", 2, NETWORK),
        ("kubernetes.azure.com/nodepool", 1, NETWORK),
        ("topology.kubernetes.io/zone", 1, NETWORK),
        ("topology.linode.com/region", 1, NETWORK),
        ("csi.hetzner.cloud/location", 1, NETWORK),
        ("topology.ebs.csi.aws.com/zone", 1, NETWORK),
    ],
)
def test_a_volume_is_local_by_the_label_that_its_driver_binds_it_to(
    world: World, key: str, holders: int, kind: str
) -> None:
    """What might follow its pod is not given up because a label is not known."""
    workers = world.kube.names("Node")
    for name in workers[:holders]:
        world.kube.one("Node", name)["metadata"]["labels"][key] = "x"
    if key == HOSTNAME:
        world.kube.one("Node", workers[0])["metadata"]["labels"][key] = "x"
    rule = {"key": key, "operator": "In", "values": ["x"]}
    terms = [{"matchExpressions": [rule]}]
    pv = {"spec": {"csi": {}, "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}}
    kube = cast(Kube, world.kube)
    assert failures.kind_of(kube, pv) == kind
    found = failures.worker_with(kube, failures.bound_to(pv))
    if kind == LOCAL:
        assert found == (workers[0] if holders else "x")


def test_a_local_volume_of_a_driver_is_lost_with_its_worker(world: World) -> None:
    before, name = world.identities(), worker_of(world, FIRST)
    claim = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")
    spec = world.kube.one("PersistentVolume", claim["spec"]["volumeName"])["spec"]
    spec["csi"] = spec.pop("local")
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    term["matchExpressions"][0]["key"] = "topology.topolvm.io/node"
    world.kube.kill_worker(name)
    world.kube.evict(FIRST)
    world.kube.delete_worker(name)
    assert [done["node"] for done in world.heal()["replaced"]] == [FIRST]
    world.assert_whole(before)


# --- 2: a worker is gone with its volumes -----------------------------------------------------------------------------


def worker_of(world: World, pod: str) -> str:
    name = world.kube.worker_of(pod)
    assert name is not None
    return name


def worker_lost(world: World) -> None:
    """Kubernetes has given it up, and somebody has deleted it."""
    name = worker_of(world, FIRST)
    world.kube.kill_worker(name)
    world.kube.evict(FIRST)
    world.kube.delete_worker(name)


def test_a_worker_that_is_silent_is_asked_about_and_nothing_is_touched(world: World) -> None:
    lost = worker_of(world, FIRST)
    world.kube.kill_worker(lost)
    assert decisions(world.refused().result) == {FIRST: (4, "ask")}
    world.kube.evict(FIRST)
    since = len(world.kube.writes)
    refusal = world.refused()
    assert decisions(refusal.result) == {FIRST: (4, "ask")}
    assert f"workers_off: [{lost}]" in str(refusal)
    assert f"kubectl delete node {lost}" in str(refusal)
    assert world.writes(since) == []
    # Within the time of grace it is waited for.
    assert decisions(world.refused(grace=10**6).result) == {FIRST: (4, "wait")}


@pytest.mark.parametrize("may_read", [True, False])
@pytest.mark.parametrize("drains", [True, False])
def test_a_pod_that_takes_its_time_to_end_is_let_end(world: World, may_read: bool, drains: bool) -> None:
    """Whoever deleted it: a rollout, or a drain of its worker. What was said of that worker once is not so any more."""
    world.kube.may_read_cluster = may_read
    world.kube.evict(FIRST)
    if drains:
        world.kube.end(FIRST)
    since = len(world.kube.writes)
    for said in ([], [worker_of(world, FIRST)]):
        told = world.heal(check=True, workers_off=said)
        assert decisions(told) == {FIRST: (4, "wait")}
        (why,) = (each["reason"] for each in told["decisions"] if each["node"] == FIRST)
        assert "its pod ends" in why
    assert world.writes(since) == []


@pytest.mark.parametrize("may_read", [True, False])
def test_a_pod_that_does_not_end_is_told_and_not_taken_away(world: World, may_read: bool) -> None:
    """Its worker answers, and a disk of it hangs: no wait helps, and no force is used unasked."""
    world.kube.may_read_cluster = may_read
    world.kube.evict(FIRST)
    world.kube.end(FIRST)
    world.kube.clock += 301
    since = len(world.kube.writes)
    refusal = world.refused()
    assert decisions(refusal.result) == {FIRST: (4, "ask")}
    assert "its pod should have ended" in str(refusal)
    assert world.writes(since) == []


@pytest.mark.parametrize("error", [ExecTimeout("not done after 20 s"), Unreachable("cannot be reached")])
def test_a_worker_that_is_only_silent_is_not_taken_for_one_that_answers(
    world: World, monkeypatch: pytest.MonkeyPatch, error: CassopsError
) -> None:
    """Where packets to it are lost, the API server does not say that it cannot be reached: it takes too long."""
    lost, plain = worker_of(world, FIRST), type(world.kube).exec

    def exec_(self: Any, pod: str, argv: Sequence[str], **options: Any) -> Any:
        if pod == FIRST and ("Pod", pod) in self.objects and self.worker_of(pod) in self.off:
            raise error
        return plain(self, pod, argv, **options)

    monkeypatch.setattr(type(world.kube), "exec", exec_)
    world.kube.may_read_cluster = False
    world.kube.kill_worker(lost)
    world.kube.evict(FIRST)
    told = world.heal(check=True)["decisions"]
    assert [(each["row"], each["action"]) for each in told if each["node"] == FIRST] == [(4, "ask")]
    told = world.heal(check=True, workers_off=[lost])["decisions"]
    assert [each["action"] for each in told if each["node"] == FIRST] == ["move"]


@pytest.mark.parametrize("how", ["deleted", "said", "said, and nothing of the cluster may be read"])
def test_a_worker_that_is_off_loses_its_node_to_another(world: World, how: str) -> None:
    before, lost = world.identities(), worker_of(world, FIRST)
    old_volume = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["spec"]["volumeName"]
    world.kube.kill_worker(lost)
    world.kube.evict(FIRST)
    if how == "deleted":
        world.kube.delete_worker(lost)
    world.kube.may_read_cluster = "nothing" not in how
    result = world.heal(workers_off=[] if how == "deleted" else [lost])
    world.assert_whole(before)
    (done,) = result["replaced"]
    assert done["worker"] not in (lost, None)
    assert (done["old_worker"], world.kube.ledger().volumes) == (lost, {FIRST: 1})
    if world.kube.may_read_cluster:
        assert done["old_volume"] == old_volume
        assert f"volume {old_volume} on worker {lost}" in done["left_over"]
        assert world.warnings == [done["left_over"]]


def test_a_worker_that_is_off_by_kubernetes_own_word_loses_its_node_to_another(world: World) -> None:
    """Who sets the taint says that the machine is off. One that answers is not, whatever it is called."""
    before, lost = world.identities(), worker_of(world, FIRST)
    world.kube.one("Node", lost)["spec"]["taints"] = [{"key": OUT_OF_SERVICE, "effect": "NoExecute"}]
    assert world.heal()["changed"] is False
    world.kube.kill_worker(lost)
    world.kube.evict(FIRST)
    world.ring.down.discard(FIRST)
    assert decisions(world.refused().result)[FIRST][1] in (ASK, WAIT), "somebody sees it up"
    world.ring.down.add(FIRST)
    result = world.heal()
    assert result["changes"][0] == f"delete Pod {FIRST}: worker {lost} is off, as its taint {OUT_OF_SERVICE} says"
    assert result["replaced"][0]["reason"].startswith(
        f"its local volume is on worker {lost}, which is off, as its taint"
    )
    world.assert_whole(before)


def test_a_static_volume_whose_worker_may_not_be_read(world: World) -> None:
    """Nothing tells where it is: who names the node and says that a worker is off means that one."""
    before, lost = world.identities(), worker_of(world, FIRST)
    world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["annotations"].clear()
    world.kube.may_read_cluster = False
    world.kube.kill_worker(lost)
    world.kube.evict(FIRST)
    world.refused(workers_off=[lost])
    since = len(world.kube.writes)
    for refusal in (world.refused(workers_off=[lost], grace=0), world.refused(grace=0)):
        assert decisions(refusal.result) == {FIRST: (4, "ask")}
        assert "a worker whose name these credentials may not read" in str(refusal)
        assert "rbac-workers.yml" in str(refusal)
        assert f"-e replace_node_name={FIRST}, and that worker's name in replace_node_workers_off" in str(refusal)
        assert "its name" not in str(refusal)
    with pytest.raises(Failed, match="rbac-workers"):
        world.replace("r1-0", grace=0)
    assert world.writes(since) == []
    assert world.replace("r1-0", workers_off=[lost])["changed"] is True
    world.assert_whole(before)


def test_the_old_volume_is_not_used_again_when_its_worker_is_back(world: World) -> None:
    """Somebody binds it to the node's claim again: its mark tells."""
    before, lost = world.identities(), worker_of(world, FIRST)
    world.kube.kill_worker(lost)
    world.kube.evict(FIRST)
    world.heal(workers_off=[lost])
    world.assert_whole(before)
    (old,) = world.kube.left.values()
    world.kube.revive_worker(lost)
    world.kube.disks[f"data-{FIRST}"] = old
    world.kube.remove_pod(FIRST)
    refusal = world.refused()
    assert decisions(refusal.result) == {FIRST: (7, "ask")}
    assert "the volume belongs to another node" in str(refusal)
    assert world.ring.members[FIRST].host_id == before[FIRST][1]


def test_a_volume_on_the_network_follows_its_node(worlds: Callable[[], World]) -> None:
    world = worlds()
    world.kube.local = False
    for volume in world.kube.names("PersistentVolume"):
        spec = world.kube.one("PersistentVolume", volume)["spec"]
        spec.pop("local")
        spec.pop("nodeAffinity")
    before, lost = world.identities(), worker_of(world, FIRST)
    world.kube.kill_worker(lost)
    world.kube.evict(FIRST)
    result = world.heal(workers_off=[lost], patience=5)
    world.assert_whole(before)
    assert result["replaced"] == []
    assert result["changes"] == [f"delete Pod {FIRST}: worker {lost} is off, as you said"]
    assert worker_of(world, FIRST) != lost


@pytest.mark.parametrize("made_by", ["cassops.sandbox/disks", "ebs.csi.aws.com", None])
@pytest.mark.parametrize("workers_may_be_read", [True, False])
def test_a_disk_of_a_zone_without_workers_is_not_taken_for_a_local_one(
    worlds: Callable[[], World], monkeypatch: pytest.MonkeyPatch, made_by: str | None, workers_may_be_read: bool
) -> None:
    """The scheduler says the same of both, and the claim names the worker of its first pod for its life: that one is
    really gone, and the disk is not."""
    world = worlds()
    world.kube.local, plain = False, type(world.kube).get

    def get(self: Any, kind: str, name: str) -> Any:
        if kind == "PersistentVolume" or (kind == "Node" and not workers_may_be_read):
            raise Forbidden(f"{kind} {name}: these credentials may not get it", 403)
        return plain(self, kind, name)

    monkeypatch.setattr(type(world.kube), "get", get)
    notes = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["annotations"]
    for key in failures.PROVISIONER:
        notes.pop(key)
        if made_by:
            notes[key] = made_by
    lost = worker_of(world, FIRST)
    for name in world.kube.names("Node"):
        world.kube.one("Node", name)["spec"]["unschedulable"] = True
    world.kube.kill_worker(lost)
    world.kube.evict(FIRST)
    world.kube.delete_worker(lost)
    since = len(world.kube.writes)
    for said in ([], [lost]):
        refusal = world.refused(workers_off=said, grace=0)
        assert [action for _row, action in decisions(refusal.result).values()] == ["ask"]
        assert lost not in str(refusal)
        assert f"-e replace_node_name={FIRST}" in str(refusal)
    assert world.writes(since) == []


@pytest.mark.parametrize(
    ("made_by", "kind"),
    [
        ("rancher.io/local-path", LOCAL),
        ("cassops.sandbox/local-path", LOCAL),
        ("openebs.io/local", LOCAL),
        ("local.csi.openebs.io", LOCAL),
        ("topolvm.io", LOCAL),
        ("kubernetes.io/no-provisioner", LOCAL),
        (None, LOCAL),
        ("ebs.csi.aws.com", UNKNOWN),
        ("kubernetes.io/aws-ebs", UNKNOWN),
        ("cstor.csi.openebs.io", UNKNOWN),
        ("example.com/local-path-replicated", UNKNOWN),
    ],
)
@pytest.mark.parametrize("key", failures.PROVISIONER)
def test_what_kind_a_volume_is_that_cannot_be_read(key: str, made_by: str | None, kind: str) -> None:
    notes = {key: made_by} if made_by else {}
    assert failures.kind_by_claim(notes, "it cannot be scheduled: 1 node(s) had volume node affinity conflict") == kind
    assert failures.kind_by_claim(notes, "it cannot be scheduled: 3 Insufficient memory") == UNKNOWN


def test_a_cordoned_worker_keeps_its_node(world: World) -> None:
    name = worker_of(world, FIRST)
    world.kube.one("Node", name)["spec"]["unschedulable"] = True
    world.kube.remove_pod(FIRST)
    refusal = world.refused()
    assert decisions(refusal.result) == {FIRST: (8, "ask")}
    assert f"uncordon {name}" in str(refusal)
    before = world.identities()
    assert world.replace("r1-0")["changed"] is True
    world.assert_whole(before)


def test_a_worker_whose_label_is_not_its_name_is_not_gone(world: World) -> None:
    """A volume that was made by hand is bound to the label; clouds give it another value than the name."""
    name, claim = worker_of(world, FIRST), world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")
    claim["metadata"]["annotations"].pop(SELECTED)
    volume = world.kube.one("PersistentVolume", claim["spec"]["volumeName"])
    (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    term["matchExpressions"][0]["values"] = ["gone.example.com", "host.example.com"]
    worker = world.kube.one("Node", name)
    worker["metadata"]["labels"][HOSTNAME] = "host.example.com"
    worker["spec"]["unschedulable"] = True
    world.kube.remove_pod(FIRST)
    refusal = world.refused(grace=0)
    assert decisions(refusal.result) == {FIRST: (8, "ask")}
    assert f"uncordon {name}" in str(refusal)
    world.kube.kill_worker(name)
    world.kube.delete_worker(name)
    assert world.heal()["replaced"][0]["node"] == FIRST


# --- 3 and 4: more than one -------------------------------------------------------------------------------------------


def test_a_rack_that_lost_its_volumes_is_replaced_one_after_the_other(world: World) -> None:
    before = world.identities()
    world.kube.wipe(FIRST)
    world.kube.wipe(FOURTH)
    result = world.heal()
    world.assert_whole(before)
    assert [done["node"] for done in result["replaced"]] == [FIRST, FOURTH]
    assert world.warnings == []


def test_what_is_to_be_done_about_materialized_views_is_told_once(world: World) -> None:
    world.ring.viewed += ["shop", "shop"]
    world.kube.wipe(FIRST)
    world.kube.wipe(FOURTH)
    assert len(world.heal()["replaced"]) == 2
    (told,) = world.warnings
    assert told.startswith("materialized views of shop can miss what was written")
    assert "nodetool repair -full <keyspace>" in told


def test_who_is_named_waits_for_the_replacement_that_was_begun_and_is_told_why(world: World) -> None:
    before = world.identities()
    world.kube.wipe(FOURTH)
    # After the lock and the plan.
    assert world.killed(2, world.heal)
    assert PLAN in world.kube.objects
    world.kube.wipe(FIRST)
    since = len(world.kube.writes)
    for check in (True, False):
        with pytest.raises(Failed) as caught:
            world.replace("r1-0", check=check)
        assert decisions(caught.value.result) == {FIRST: (6, "ask")}
        assert f"the replacement of {FOURTH} was begun and goes first" in str(caught.value)
        assert "run the playbook heal, which finishes that one first" in str(caught.value)
    assert world.writes(since) == []
    result = world.heal()
    world.assert_whole(before)
    assert [done["node"] for done in result["replaced"]] == [FOURTH, FIRST]


@pytest.mark.parametrize("only", [None, FIRST])
@pytest.mark.parametrize(
    ("begun", "action", "words", "advice"),
    [
        (Decision(FOURTH, 12, WAIT, "it starts again"), WAIT, f"of {FOURTH} was begun and goes first (it starts", ""),
        (Decision(FOURTH, 16, ASK, "rows", "accept it"), ASK, "goes first (rows)", "accept it"),
        (None, ASK, "goes first, which nobody knows any more", "run the playbook status"),
    ],
)
def test_the_reason_of_the_one_that_goes_first_is_that_of_the_others(
    only: str | None, begun: Decision | None, action: str, words: str, advice: str
) -> None:
    other = Decision(FIRST, 6, REPLACE, "it came back without its storage")
    repaired = Decision(SECOND, 2, REPAIR, "it was down")
    told = healing.in_turn([other, repaired, *([begun] if begun else [])], FOURTH, only)
    assert (told[0].action, told[1]) == (action, repaired)
    assert told[0].reason.startswith("it came back without its storage; but the replacement of ")
    assert words in told[0].reason
    assert told[0].advice.startswith(advice)


def two_racks(world: World) -> None:
    world.kube.wipe(FIRST)
    world.kube.wipe(SECOND)


def test_a_run_without_anything_to_do_notes_what_tables_ask_for(world: World) -> None:
    """A table that an application has made since the last deploy. It is no change of the run's."""
    world.ring.tables.append(("shop", 172800))
    world.ring.replication["logs"] = {"class": "NetworkTopologyStrategy", "dc1": "1"}
    since = len(world.kube.writes)
    world.heal(check=True)
    assert world.kube.writes[since:] == []
    assert world.heal()["changed"] is False
    ledger = world.kube.ledger()
    assert (ledger.gc_grace_seconds, ledger.single_copies) == (172800, ("logs",))
    assert "noted: gc_grace_seconds is 172800 at least, keyspaces with one replica are logs" in world.said
    since = len(world.kube.writes)
    assert world.heal()["changed"] is False
    assert world.kube.writes[since:] == []


def test_a_replacement_keeps_what_was_noted_meanwhile(world: World) -> None:
    before = world.identities()
    world.ring.tables.append(("shop", 172800))
    world.kube.wipe(FIRST)
    assert world.heal()["changed"] is True
    world.assert_whole(before)
    assert world.kube.ledger().gc_grace_seconds == 172800


def test_two_nodes_that_share_ranges_are_refused_with_what_is_at_risk(world: World) -> None:
    two_racks(world)
    since = len(world.kube.writes)
    refusal = world.refused()
    assert decisions(refusal.result) == {FIRST: (16, "ask"), SECOND: (16, "ask")}
    assert "accept_loss: [shop, system_auth]" in str(refusal)
    assert world.refused(accept_loss=["shop"]).result["changed"] is False
    assert world.writes(since) == []


def test_with_the_loss_accepted_it_goes_on_and_repairs(world: World) -> None:
    before = world.identities()
    two_racks(world)
    result = world.heal(accept_loss=["shop", "system_auth"])
    world.assert_whole(before)
    first, second = result["replaced"]
    assert first["accepted_loss"] == ["shop", "system_auth"]
    assert second["accepted_loss"] == [], "the first one is back: no quorum is missing any more"
    assert result["repaired"] == [FIRST]


@pytest.mark.parametrize("version", ["4.0.17", "4.1.10"])
@pytest.mark.parametrize(
    ("another", "status"), [(THIRD, "LEAVING"), (THIRD, "MOVING"), ("joining", "BOOT"), ("dead", "removing")]
)
def test_nobody_is_replaced_while_another_comes_or_goes(
    worlds: Callable[..., World], version: str, another: str, status: str
) -> None:
    """Also on Cassandra 4.0, where only nodetool tells it."""
    world = worlds(version=version)
    if another not in NODES:
        world.ring.members[another] = Member("198.19.9.9", "r1", "host-new", (), status=status, gossip_only=True)
        world.ring.down |= {another} & {"dead"}
    world.ring.members[another].status = status
    wiped(world)
    since = len(world.kube.writes)
    refusal = world.refused()
    assert decisions(refusal.result)[FIRST] == (6, "wait")
    assert f"as {status}, needed NORMAL" in str(refusal)
    assert world.writes(since) == []


def test_cassandra_4_0_tells_of_a_ghost_too(worlds: Callable[..., World]) -> None:
    world = worlds(version="4.0.17")
    world.ring.members["ghost"] = Member("198.19.9.9", "r1", "host-ghost", (), "dc1", "shutdown", gossip_only=True)
    world.ring.down.add("ghost")
    assert world.heal()["changed"] is True
    assert "ghost" not in world.ring.members


def killed_before_the_claim_goes(world: World) -> None:
    """The ledger counts the volume for given up, and the worker comes back with it."""
    lost = worker_of(world, FIRST)
    world.kube.kill_worker(lost)
    world.kube.evict(FIRST)

    def approved() -> None:
        if world.kube.ledger().volumes:
            world.kube.lives = 0

    world.kube.after_write = approved
    with pytest.raises(Killed):
        world.heal(workers_off=[lost])
    world.kube.after_write = lambda: None
    world.kube.revive()
    world.kube.revive_worker(lost)


def test_a_volume_is_given_back_where_rows_would_be_lost_without_it(world: World) -> None:
    before = world.identities()
    killed_before_the_claim_goes(world)
    world.kube.wipe(SECOND)
    assert decisions(world.heal(check=True)) == {FIRST: (12, "abandon"), SECOND: (16, "ask")}
    result = world.heal(patience=5)
    assert result["changes"][0] == f"withdraw the replacement of {FIRST}"
    assert [done["node"] for done in result["replaced"]] == [SECOND]
    assert world.kube.ledger().volumes == {SECOND: 1}
    world.assert_whole(before)


# --- 5 and 7: in the middle -------------------------------------------------------------------------------------------


def die_once(world: World, pod: str) -> None:
    """The node's new process dies once, while it streams."""
    world.kube.streams_for = 6
    died: list[str] = []

    def die() -> None:
        if world.kube.joining.get(pod) == 3 and not died:
            died.append(pod)
            world.kube.die_half_way(pod)

    world.kube.after_write = die


def test_a_new_node_that_dies_while_it_streams_is_begun_again(world: World) -> None:
    before = world.identities()
    wiped(world)
    die_once(world, FIRST)
    result = world.heal()
    world.assert_whole(before)
    (done,) = result["replaced"]
    assert done["attempts"] == 2
    assert done["address"] == before[FIRST][0]
    assert any("its replacement died half-way" in line for line in world.said)


def test_the_living_gossip_with_a_new_node_that_is_no_seed(world: World) -> None:
    """Otherwise a second attempt learns of nobody: CASSANDRA-19580."""
    before = world.identities()
    world.kube.wipe(FOURTH)
    die_once(world, FOURTH)
    since = len(world.kube.writes)
    (done,) = world.heal()["replaced"]
    assert done["attempts"] == 2
    world.assert_whole(before)
    address = before[FOURTH][0]
    assert world.ring.seeds == {pod: {address} for pod in NODES if pod != FOURTH}
    assert f"the living nodes (5) gossip with {FOURTH} as with a seed, until they restart" in world.said
    told = f"write {address} among the seeds of {FIRST}"
    assert world.writes(since).count(told) == 2, "before each attempt: a node may have started again"


@pytest.mark.parametrize(
    ("address", "after"),
    [
        ("198.19.0.4", "198.19.0.4,198.19.0.1,198.19.0.20"),
        ("198.19.0.2", "198.19.0.2,198.19.0.1,198.19.0.20"),
        ("198.19.0.20", "198.19.0.1,198.19.0.20"),
        ("198.19.0.1", "198.19.0.1,198.19.0.20"),
        ("fd00::4", "fd00::4,198.19.0.1,198.19.0.20"),
    ],
)
def test_an_address_is_among_the_seeds_once(tmp_path: Path, address: str, after: str) -> None:
    line = 'seed_provider: [{"class_name": "x", "parameters": [{"seeds": "%s"}]}]\n'
    file = tmp_path / "cassandra.yaml"
    file.write_text(line % "198.19.0.1,198.19.0.20")
    for _run in range(2):
        command = ["sh", "-c", replacing.TAKE_AS_SEED, "sh", address]
        subprocess.run(command, env={**os.environ, "CASSANDRA_CONF": str(tmp_path)}, check=True)
        assert file.read_text() == line % after


def test_the_living_are_told_also_of_a_seed_of_the_ledger(world: World) -> None:
    """It may be one since a scale, and they have the seeds of their own start."""
    before = world.identities()
    wiped(world)
    die_once(world, FIRST)
    world.heal()
    world.assert_whole(before)
    assert world.ring.seeds == {pod: {before[FIRST][0]} for pod in NODES if pod != FIRST}


def test_one_living_node_that_takes_it_as_a_seed_is_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    take, willing = replacing.take_as_seed, {THIRD}

    def only_some(kube: Kube, pod: str, address: str) -> None:
        if pod not in willing:
            raise CassopsError(f"{pod}: no")
        take(kube, pod, address)

    monkeypatch.setattr(replacing, "take_as_seed", only_some)
    world.kube.wipe(FOURTH)
    die_once(world, FOURTH)
    assert world.heal()["replaced"][0]["attempts"] == 2
    world.kube.wipe(FOURTH)
    willing.clear()
    assert f"no living node takes {FOURTH} as a seed: {FIRST}: no" in str(world.refused())


def test_a_source_that_fails_is_not_the_end(world: World) -> None:
    before = world.identities()
    wiped(world)
    world.ring.failing_streams[FIRST] = 1
    world.kube.after_write = partial(source_is_back, world)
    result = world.heal()
    world.assert_whole(before)
    assert result["replaced"][0]["attempts"] == 2
    assert any("could not stream all of its data: WARN Stream failed: a source died" in line for line in world.said)


def test_a_new_node_that_somebody_helped_is_not_begun_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sees the failed streams and resumes the bootstrap, just before we would begin anew."""
    before = world.identities()
    wiped(world)
    world.ring.failing_streams[FIRST] = 1
    see = replacing.Replacing.see_failed_stream

    def seen_and_helped(self: replacing.Replacing, plan: Plan) -> None:
        try:
            see(self, plan)
        finally:
            world.ring.failing_streams.clear()

    monkeypatch.setattr(replacing.Replacing, "see_failed_stream", seen_and_helped)
    result = world.heal()
    world.assert_whole(before)
    assert result["replaced"][0]["attempts"] == 2
    assert f"delete PersistentVolumeClaim data-{FIRST}" not in world.kube.writes


def second_worker_dies(world: World, deleted: bool) -> list[str]:
    """The worker that the new node streams on loses power too; its name is told when it has."""
    world.kube.streams_for = 6
    lost: list[str] = []

    def power_goes() -> None:
        if world.kube.joining.get(FIRST) == 3 and not lost:
            lost.append(worker_of(world, FIRST))
            world.kube.kill_worker(lost[0])
            world.kube.evict(FIRST)
            if deleted:
                world.kube.delete_worker(lost[0])

    world.kube.after_write = power_goes
    return lost


def test_a_replacement_whose_worker_is_gone_too_takes_a_third_one(world: World) -> None:
    before, first = world.identities(), worker_of(world, FIRST)
    worker_lost(world)
    second = second_worker_dies(world, deleted=True)
    (done,) = world.heal()["replaced"]
    world.assert_whole(before)
    assert (done["attempts"], done["worker"] in (first, *second)) == (2, False)
    assert any(
        f"is on worker {second[0]}, which is gone from Kubernetes. Beginning again" in line for line in world.said
    )
    # The second volume could have joined before its worker died: it is not taken for the third.
    assert world.kube.ledger().volumes == {FIRST: 2}


@pytest.mark.parametrize(
    ("phase", "answered", "taken"),
    [("Pending", False, False), ("Terminating", False, True), ("Terminating", True, False)],
)
def test_a_pod_that_starts_on_a_worker_that_was_off_is_left_there(
    world: World, monkeypatch: pytest.MonkeyPatch, phase: str, answered: bool, taken: bool
) -> None:
    """The option stays in a schedule's variables; these credentials may not read that the worker is back."""
    name = worker_of(world, FIRST)
    world.kube.may_read_cluster = False
    cluster = cast(Cluster, SimpleNamespace(kube=world.kube))
    working = Replacing(cluster, Settings(workers_off=frozenset({name})), 5, Context())
    monkeypatch.setattr(Replacing, "take_off", lambda *_arguments: "taken off")
    node = NodeView(FIRST, "r1", 0, uid="uid", worker=name, phase=phase, answered=answered)
    assert working.without_worker(cast(Sight, None), node, set()) == ("taken off" if taken else "")


def test_data_that_comes_back_to_a_kept_volume_is_not_deleted(world: World) -> None:
    """Disks of two nodes were not mounted; their loss is accepted, and one is mounted while its node streams."""
    before = world.identities()
    data = world.kube.disks[f"data-{FIRST}"]
    two_racks(world)
    world.kube.streams_for = 6

    def mounted() -> None:
        if world.kube.joining.get(FIRST) == 3:
            world.kube.die_half_way(FIRST)
            world.kube.half_way.discard(FIRST)
            world.kube.disks[f"data-{FIRST}"] = data

    world.kube.after_write = mounted
    accepted = {"accept_loss": ["shop", "system_auth"]}
    told = str(world.refused(**accepted))
    assert "Its volume holds the data of a node that had joined, and is not given up unasked" in told
    assert f"kubectl -n ns delete pvc data-{FIRST}, then kubectl -n ns delete pod {FIRST}" in told
    assert f"delete PersistentVolumeClaim data-{FIRST}" not in world.kube.writes
    assert "is not given up unasked" in str(world.refused(**accepted))
    assert world.kube.disks[f"data-{FIRST}"] == data
    # Somebody does as the message says.
    world.kube.after_write = lambda: None
    claim = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")
    claim["metadata"]["deletionTimestamp"] = world.kube.now()
    world.kube.remove_pod(FIRST)
    world.heal(**accepted)
    world.assert_whole(before)


@pytest.mark.parametrize("killed", [False, True])
def test_the_first_volume_is_offered_for_cleaning_after_another_attempt(world: World, killed: bool) -> None:
    """And so is each other one that was given up."""
    first = worker_of(world, FIRST)
    volumes = [world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["spec"]["volumeName"]]
    worker_lost(world)
    second = second_worker_dies(world, deleted=True)
    power_goes = world.kube.after_write

    def killed_at_the_third() -> None:
        power_goes()
        claim = world.kube.objects.get(("PersistentVolumeClaim", f"data-{FIRST}"), {"spec": {}})
        name = claim["spec"].get("volumeName")
        if second and name and len(volumes) < 2:
            volumes.append(name)
        if killed and world.kube.writes[-1] == "apply ConfigMap shop-dc1-replacement" and second:
            world.kube.lives = 0

    world.kube.after_write = killed_at_the_third
    if killed:
        with pytest.raises(Killed):
            world.heal()
        world.kube.revive()
        world.kube.after_write = lambda: None
    (done,) = world.heal()["replaced"]
    assert (done["old_volume"], done["old_worker"]) == (volumes[0], first)
    for volume, worker in zip(volumes, (first, *second), strict=True):
        assert f"volume {volume} on worker {worker}, which {FIRST} has given up, is still there" in done["left_over"]


def test_a_volume_that_may_not_be_looked_at_is_named(world: World) -> None:
    volume = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["spec"]["volumeName"]
    lost = worker_of(world, FIRST)
    world.kube.kill_worker(lost)
    world.kube.evict(FIRST)
    world.kube.may_read_cluster = False
    (done,) = world.heal(workers_off=[lost])["replaced"]
    told = (
        f"volume {volume} on worker {lost}, which {FIRST} has given up, may still be there; these credentials may not"
    )
    assert told in done["left_over"]
    assert world.warnings == [done["left_over"]]


def test_killed_before_any_write_of_another_attempt_the_next_run_ends_well(worlds: Callable[[], World]) -> None:
    """What an attempt has left is not taken for the node that came back with its volume."""
    lives = 0
    while True:
        world = worlds()
        before = world.identities()
        wiped(world)
        world.ring.failing_streams[FIRST] = 1
        world.kube.after_write = partial(source_is_back, world)
        if not world.killed(lives, world.heal):
            break
        world.heal(patience=5)
        world.assert_whole(before)
        lives += 1
    assert lives > 9


def test_killed_before_any_write_while_two_workers_die_the_next_run_ends_well(worlds: Callable[[], World]) -> None:
    lives = 0
    while True:
        world = worlds()
        before = world.identities()
        worker_lost(world)
        second_worker_dies(world, deleted=True)
        if not world.killed(lives, world.heal):
            break
        world.heal(patience=5)
        world.assert_whole(before)
        assert world.kube.ledger().volumes == {FIRST: 2}
        lives += 1
    assert lives > 12


def source_is_back(world: World) -> None:
    """When what the first attempt had streamed is given up."""
    claim, pod = f"delete PersistentVolumeClaim data-{FIRST}", f"delete Pod {FIRST}"
    if claim in world.kube.writes and pod in world.kube.writes[world.kube.writes.index(claim) :]:
        world.ring.failing_streams.clear()


@pytest.mark.parametrize("addresses", ["service", "pod"])
def test_a_new_node_that_came_up_before_it_is_begun_again_keeps_its_volume(world: World, addresses: str) -> None:
    """A run is killed when it has just written the plan of another attempt; somebody resumes the bootstrap."""
    before = world.identities()
    wiped(world)
    world.ring.failing_streams[FIRST] = 1
    since = len(world.kube.writes)

    def dies_with_the_second_plan() -> None:
        if world.kube.writes[since:].count("apply ConfigMap shop-dc1-replacement") > 1:
            world.kube.lives = 0

    world.kube.after_write = dies_with_the_second_plan
    with pytest.raises(Killed):
        world.heal()
    world.kube.revive()
    world.kube.after_write = lambda: None
    world.ring.failing_streams.clear()
    world.kube.kubelet()
    if addresses == "pod":
        # The dead one had another, which nobody knows any more.
        world.kube.objects[PLAN]["data"]["address"] = "198.19.77.77"
    claim = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["uid"]
    assert world.ring.doors[FIRST] == OPEN
    (done,) = world.heal()["replaced"]
    assert (done["old_volume"], done["left_over"], world.warnings) == (None, None, []), "it is in use"
    world.assert_whole(before)
    assert world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["uid"] == claim
    assert world.kube.ledger().volumes == {FIRST: 1}, "the data of before is still nobody's"


@pytest.mark.parametrize("may_read", [True, False])
def test_a_replacement_whose_worker_is_silent_waits_until_somebody_says_that_it_is_off(
    world: World, may_read: bool
) -> None:
    before, first = world.identities(), worker_of(world, FIRST)
    world.kube.may_read_cluster = may_read
    world.kube.kill_worker(first)
    world.kube.evict(FIRST)
    second = second_worker_dies(world, deleted=False)
    refusal = world.refused(workers_off=[first], wait_timeout=1)
    assert f"worker {second[0]} with the new volume of {FIRST} to answer: switch {second[0]} off" in str(refusal)
    assert f"workers_off: [{second[0]}]" in str(refusal)
    claim = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]
    assert "deletionTimestamp" not in claim, "a worker that is only silent may come back"
    since = len(world.kube.writes)
    (done,) = world.heal(workers_off=[first, *second])["replaced"]
    world.assert_whole(before)
    assert done["worker"] not in (first, *second)
    assert world.writes(since).count(f"delete PersistentVolumeClaim data-{FIRST}") == 1


def test_a_new_node_that_is_seen_alive_keeps_its_volume_whatever_is_said_of_its_worker(world: World) -> None:
    """Somebody names a worker that is only cut off from Kubernetes."""
    first = worker_of(world, FIRST)
    world.kube.kill_worker(first)
    world.kube.evict(FIRST)
    second = second_worker_dies(world, deleted=False)
    world.refused(workers_off=[first], wait_timeout=1)
    world.ring.down.discard(FIRST)
    since = len(world.kube.writes)
    world.refused(workers_off=[first, *second], wait_timeout=1)
    assert f"delete PersistentVolumeClaim data-{FIRST}" not in world.writes(since)


def test_three_attempts_are_enough(world: World) -> None:
    wiped(world)
    world.ring.failing_streams[FIRST] = 1
    refusal = world.refused()
    assert "This was attempt 3 of 3" in str(refusal)
    assert PLAN in world.kube.objects
    # The cause is gone; the next run goes on with the plan.
    world.ring.failing_streams.clear()
    assert world.heal()["replaced"][0]["node"] == FIRST


@pytest.mark.parametrize(
    ("killed_before", "kept"), [("apply ConfigMap shop-dc1-ledger", True), ("delete PersistentVolumeClaim", False)]
)
def test_a_worker_that_is_back_before_its_node_was_replaced(
    worlds: Callable[[], World], killed_before: str, kept: bool
) -> None:
    """A run is killed, and the worker comes back: until the ledger gives the volume up, the node keeps it."""
    counted = worlds()
    since = len(counted.kube.writes)
    lost = worker_of(counted, FIRST)
    counted.kube.kill_worker(lost)
    counted.heal(workers_off=[lost])
    lives = next(n for n, what in enumerate(counted.kube.writes[since:]) if what.startswith(killed_before))
    world = worlds()
    before = world.identities()
    claim = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["uid"]
    world.kube.kill_worker(lost)
    assert world.killed(lives, lambda: world.heal(workers_off=[lost]))
    assert PLAN in world.kube.objects
    world.kube.revive_worker(lost)
    world.heal(patience=5)
    world.assert_whole(before)
    assert (world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["uid"] == claim) is kept
    assert world.kube.ledger().volumes == ({} if kept else {FIRST: 1})


SITUATIONS: Mapping[str, Callable[[World], None]] = {"wiped": wiped, "worker lost": worker_lost}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_killed_before_any_write_the_next_run_ends_well(worlds: Callable[[], World], situation: str) -> None:
    """Twice in a row, too: the second run is killed as early after that."""
    lives = 0
    while True:
        world = worlds()
        before = world.identities()
        SITUATIONS[situation](world)
        if not world.killed(lives, world.heal):
            break
        world.killed(lives // 2, world.heal)
        world.heal(patience=5)
        world.assert_whole(before)
        assert world.heal()["changed"] is False
        # Also one that was wiped: its data may come back.
        assert world.kube.ledger().volumes == {FIRST: 1}
        lives += 1
    assert lives > 6


def test_of_two_runs_at_once_one_is_refused(world: World) -> None:
    wiped(world)
    with (
        Lock(cast(Kube, world.kube), "shop-lock", "somebody else"),
        pytest.raises((Locked, Failed), match="somebody else holds the lock"),
    ):
        world.heal()
    assert PLAN not in world.kube.objects


# --- others -----------------------------------------------------------------------------------------------------------


def test_a_crash_is_told_with_its_cause_and_replaced_by_name_only(world: World) -> None:
    before = world.identities()
    world.kube.end(FIRST)
    world.kube.last_words[FIRST] = "INFO x\nERROR CorruptSSTableException: Corrupted: /var/lib/cassandra/data/x\n"
    refusal = world.refused()
    assert decisions(refusal.result) == {FIRST: (7, "ask")}
    assert "CorruptSSTableException" in str(refusal)
    assert world.replace("r1-0")["changed"] is True
    world.assert_whole(before)
    assert world.kube.ledger().volumes == {FIRST: 1}


@pytest.mark.parametrize("silent", [False, True])
def test_a_node_that_comes_up_at_the_last_moment_keeps_its_volume(
    world: World, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    """Between decision and deletion lie a plan, the ledger and a word to every living node. Silence is no proof."""
    world.kube.end(FIRST)
    world.kube.last_words[FIRST] = "ERROR FSReadError: /var/lib/cassandra/data/x"
    claim = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["uid"]
    plain, ask, up, unheard = Scene.up_in, Cluster.ask, list[str](), list[bool]()

    def acquaint(*_rest: Any) -> None:
        up.append("shop-dc1-r2-0")
        unheard.extend([True] * silent)

    def asked(self: Cluster, sight: Sight, *arguments: Any, **options: Any) -> Sight:
        return sight if unheard and unheard.pop() else ask(self, sight, *arguments, **options)

    monkeypatch.setattr(Replacing, "acquaint", acquaint)
    monkeypatch.setattr(Cluster, "ask", asked)
    monkeypatch.setattr(Scene, "up_in", lambda self, address: (up if self.observers else []) or plain(self, address))
    with pytest.raises(CassopsError, match=rf"{FIRST} came up .*shop-dc1-r2-0 sees it up.*keeps its volume"):
        world.replace("r1-0")
    assert world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")["metadata"]["uid"] == claim
    assert world.kube.ledger().volumes == {}
    assert PLAN not in world.kube.objects


def test_a_worker_that_dies_while_its_node_is_cleared_away(world: World) -> None:
    """Its pod cannot end; the run says so, and the next one is told that the worker is off."""
    before, lost = world.identities(), worker_of(world, FIRST)
    world.kube.end(FIRST)
    world.kube.last_words[FIRST] = "ERROR FSReadError: /var/lib/cassandra/data/x"

    def power_goes() -> None:
        if world.kube.writes[-1] == "apply ConfigMap shop-dc1-ledger":
            world.kube.off.add(lost)

    world.kube.after_write = power_goes
    with pytest.raises(Failed, match="the place of shop-dc1-r1-0 to be cleared: not so after") as caught:
        world.replace("r1-0", wait_timeout=1)
    assert f"its worker {lost} does not answer" in str(caught.value)
    assert f"workers_off: [{lost}]" in str(caught.value)
    world.kube.after_write = lambda: None
    assert world.replace("r1-0", workers_off=[lost])["changed"] is True
    world.assert_whole(before)
    assert worker_of(world, FIRST) != lost


def test_a_ghost_in_gossip_is_taken_out(world: World) -> None:
    before = world.identities()
    ghost = Member("198.19.9.9", "r1", "host-ghost", (), "dc1", "shutdown", gossip_only=True)
    world.ring.members["ghost"] = ghost
    world.ring.down.add("ghost")
    result = world.heal()
    assert result["changes"] == [
        "take 198.19.9.9 out of gossip: gossip knows it, and it owns nothing and belongs to nobody"
    ]
    world.assert_whole(before)


def test_gossip_is_given_time_to_forget_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healing, "GHOST_SECONDS", 60.0)
    world.ring.members["ghost"] = Member("198.19.9.9", "r1", "host-ghost", (), "dc1", "shutdown", gossip_only=True)
    world.ring.down.add("ghost")
    assert decisions(world.refused().result) == {"198.19.9.9": (11, "wait")}


def test_what_does_not_help_is_not_repeated_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair whose note does not go away."""
    world.kube.missed[THIRD] = "unknown"
    monkeypatch.setattr(healing.failures, "forget_missed", lambda kube, pod: None)
    refusal = world.refused()
    assert "this run did that 3 times" in str(refusal)
    assert world.ring.repaired.count((THIRD, "shop")) == 3


def test_a_datacenter_that_does_not_run_is_deploys(world: World) -> None:
    with pytest.raises(CassopsError, match="has no datacenter dc9 of cluster shop that runs; deploy it first"):
        world.heal(datacenter="dc9")


def test_a_node_that_died_while_it_joined_joins_anew(world: World) -> None:
    """Nobody misses anything of it: its volume is emptied, and it is no replacement."""
    new = "shop-dc1-r1-2"
    address = "198.19.7.7"
    ledger = world.kube.ledger()
    grown = replace(ledger.with_node(LedgerNode(new, address)), tokens={**ledger.tokens, new: (11, 13)})
    world.kube.one("ConfigMap", "shop-dc1-ledger")["data"] = grown.to_data()
    world.kube.one("StatefulSet", "shop-dc1-r1")["spec"]["replicas"] = 3
    world.kube.control("shop-dc1-r1")
    world.kube.last_words[new] = "Discovered existing bootstrap data and cassandra.reset_bootstrap_progress is not set"
    claim = world.kube.one("PersistentVolumeClaim", f"data-{new}")["metadata"]["uid"]
    # It is not in the ring, so nobody sees it up.
    world.ring.down.add(new)
    result = world.heal(patience=5)
    assert result["whole"] is True
    assert [change.partition(":")[0] for change in result["changes"]] == [
        f"delete PersistentVolumeClaim data-{new}",
        f"delete Pod {new}",
    ]
    assert world.kube.one("PersistentVolumeClaim", f"data-{new}")["metadata"]["uid"] != claim
    assert world.kube.ledger().replace == {}
    assert world.ring.doors[new] == OPEN


NEW = "shop-dc1-r1-2"


def gives_up_joining(world: World) -> None:
    """Scale was killed; a source of the node that joined died then. Its process goes on, BOOT for all others."""
    ledger = world.kube.ledger()
    world.kube.one("ConfigMap", "shop-dc1-ledger")["data"] = ledger.with_node(LedgerNode(NEW, "198.19.7.7")).to_data()
    spec = world.kube.one("StatefulSet", "shop-dc1-r1")["spec"]
    spec["replicas"] = spec["updateStrategy"]["rollingUpdate"]["partition"] = 3
    world.kube.control("shop-dc1-r1")
    world.kube.starting.pop(NEW)
    member = Member("198.19.7.7", "r1", "host-new", (), status="BOOT", gossip_only=True)
    world.ring.join(NEW, member, OFF)
    for line in ("ERROR StreamException: Stream failed", "WARN Some data streaming failed. Use nodetool"):
        world.kube.logged.append((NEW, world.kube.clock, line, False))

    def forget() -> None:
        if ("Pod", NEW) not in world.kube.objects:
            world.ring.members.pop(NEW, None)

    world.kube.after_write = forget


def test_a_node_that_gave_up_joining_is_for_scale(world: World) -> None:
    gives_up_joining(world)
    since = len(world.kube.writes)
    refusal = world.refused()
    assert decisions(refusal.result)[NEW] == (13, "ask")
    assert "StreamException: Stream failed. What to do: run the playbook scale, which begins its join" in str(refusal)
    assert world.writes(since) == []


def test_a_dead_node_is_replaced_though_another_gave_up_joining(world: World) -> None:
    """First the one that joins ends, with its place: else Cassandra lets nobody stream his way in."""
    before = world.identities()
    wiped(world)
    gives_up_joining(world)
    told = decisions(world.heal(check=True))
    assert (told[FIRST], told[NEW]) == ((6, "wait"), (13, "stop"))
    claim = world.kube.one("PersistentVolumeClaim", f"data-{NEW}")["metadata"]["uid"]
    refusal = world.refused(patience=5)
    assert [change.partition(":")[0] for change in refusal.result["changes"]] == [f"stop {NEW}", f"replace {FIRST}"]
    assert [done["node"] for done in refusal.result["replaced"]] == [FIRST]
    assert decisions(refusal.result)[NEW] == (13, "ask")
    assert "What to do: run the playbook scale, which has it join" in str(refusal)
    assert world.identities() == before
    assert world.kube.one("StatefulSet", "shop-dc1-r1")["spec"]["replicas"] == 2
    # What has joined after all would have it there.
    assert world.kube.one("PersistentVolumeClaim", f"data-{NEW}")["metadata"]["uid"] == claim
    assert world.kube.ledger().nodes[NEW] == LedgerNode(NEW, "198.19.7.7")


def test_killed_before_any_write_beside_one_that_gave_up_joining(worlds: Callable[[], World]) -> None:
    for lives in range(1, 99):
        world = worlds()
        before = world.identities()
        wiped(world)
        gives_up_joining(world)
        killed = world.killed(lives, lambda world=world: world.refused(patience=5))  # type: ignore[misc]
        refusal = world.refused(patience=5)
        assert world.identities() == before
        assert decisions(refusal.result) == {NEW: (13, "ask")}, lives
        if not killed:
            break
    else:
        raise AssertionError("it never came to an end")


def test_who_replaces_by_name_beside_one_that_gave_up_joining_is_told(world: World) -> None:
    wiped(world)
    gives_up_joining(world)
    with pytest.raises(Failed, match=f"but first: the playbook heal ends {NEW}, which gave up joining"):
        world.replace(FIRST)


def test_the_diff_of_check_mode_is_what_is_seen_of_one_that_is_stopped(world: World) -> None:
    wiped(world)
    gives_up_joining(world)
    told = world.heal(check=True)["diff"]
    assert told["after"] == f"{NEW}: no StatefulSet wants it, and its join is not finished\n"


def test_a_replacement_of_its_own_whose_streams_failed_is_begun_again(world: World) -> None:
    """The node began it by itself, so there is no plan; its process goes on, and nobody sees it up."""
    before = world.identities()
    wiped(world)
    ledger = world.kube.ledger()
    address = ledger.address(FIRST)
    assert address is not None
    world.kube.held.pop(FIRST, None)
    world.kube.begin_replacement(FIRST, ledger.with_replacement(FIRST, address), ledger.id)
    world.ring.failing_streams[FIRST] = 1
    world.kube.joining[FIRST] = -1
    world.kube.starting.pop(FIRST, None)
    world.kube.after_write = partial(source_is_back, world)
    (done,) = world.heal()["replaced"]
    assert (done["node"], done["attempts"]) == (FIRST, 1)
    assert "its replacement could not stream all of its data" in done["reason"]
    world.assert_whole(before)


def joined_unnoticed(world: World) -> None:
    """A scale was killed while the node joined, which it did by itself; then its worker is lost."""
    ledger = world.kube.ledger()
    unfinished = ledger.with_node(LedgerNode(FOURTH, ledger.address(FOURTH)))
    world.kube.one("ConfigMap", "shop-dc1-ledger")["data"] = unfinished.to_data()
    name = worker_of(world, FOURTH)
    world.kube.kill_worker(name)
    world.kube.evict(FOURTH)
    world.kube.delete_worker(name)


def unclean(world: World) -> list[str]:
    noted: str = world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"].get("annotations", {}).get(UNCLEAN, "")
    return noted.split(",")


def test_a_node_that_joined_and_that_nobody_wrote_down_is_replaced(world: World) -> None:
    """Its start script must not take it for one that joins; who lost ranges by that join still needs cleanup."""
    before = world.identities()
    joined_unnoticed(world)
    (done,) = world.heal()["replaced"]
    assert (done["node"], done["attempts"]) == (FOURTH, 1)
    world.assert_whole(before)
    assert FIRST in unclean(world), "of its own rack"
    assert FOURTH not in unclean(world)


def test_a_replacement_that_began_to_join_as_a_new_node_is_begun_again(world: World) -> None:
    """A plan that an earlier release has left: its pod was made while the ledger had no host id."""
    before = world.identities()
    joined_unnoticed(world)

    def unknown(self: Replacing, plan: Plan, sight: Sight, ledger: Any) -> Any:
        return ledger

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Replacing, "with_member", unknown)
        assert "tried to join as a new node" in str(world.refused())
    assert PLAN in world.kube.objects
    (done,) = world.heal()["replaced"]
    assert done["node"] == FOURTH
    world.assert_whole(before)


def test_killed_before_any_write_of_it_the_next_run_knows_who_needs_cleanup(worlds: Callable[[], World]) -> None:
    for lives in range(1, 99):
        world = worlds()
        before = world.identities()
        joined_unnoticed(world)
        killed = world.killed(lives, world.heal)
        world.heal(patience=5)
        world.assert_whole(before)
        assert FIRST in unclean(world), lives
        if not killed:
            break
    else:
        raise AssertionError("it never came to an end")


@pytest.mark.parametrize(("copied", "playbook"), [("", "deploy"), ("shop-dc1-r1", "scale"), ("shop-dc1-r2", "deploy")])
def test_nodes_whose_stateful_set_is_gone_are_wanted(world: World, copied: str, playbook: str) -> None:
    """Deleted by hand without its pods, or by a scale that was killed before it made it anew with other claims."""
    world.kube.objects.pop(("StatefulSet", "shop-dc1-r1"))
    if copied:
        labels = world.kube.one("ConfigMap", "shop-dc1-ledger")["metadata"]["labels"]
        metadata = {"name": "shop-dc1-remaking", "labels": labels}
        world.kube.put({"kind": "ConfigMap", "metadata": metadata, "data": {"name": copied, "object": "{}"}})
    refusal = world.refused()
    assert decisions(refusal.result) == {FIRST: (9, "ask"), FOURTH: (9, "ask")}
    assert f"run the playbook {playbook}, " in str(refusal)
    assert "node_remove" not in str(refusal)
    assert "node_decommission" not in str(refusal)


def test_a_pod_that_waits_for_a_claim_that_nobody_makes_is_made_again(world: World) -> None:
    """Kubernetes before 1.26."""
    before = world.identities()
    world.kube.makes_claims = False
    lost = worker_of(world, FIRST)
    world.kube.kill_worker(lost)
    world.kube.evict(FIRST)
    world.kube.delete_worker(lost)
    assert FIRST in world.kube.unplaced
    claim = world.kube.one("PersistentVolumeClaim", f"data-{FIRST}")
    claim["metadata"]["deletionTimestamp"] = world.kube.now()
    world.kube.release_claim(f"data-{FIRST}")
    assert decisions(world.refused().result) == {FIRST: (6, "wait")}
    world.kube.clock += 61
    result = world.heal(patience=5)
    assert f"delete Pod {FIRST}: its pod waits for a volume claim that does not exist" in result["changes"]
    world.assert_whole(before)


def test_whose_data_is_on_a_volume_is_not_guessed() -> None:
    """What cannot be read must not pass for a volume that nobody needs."""
    told = [ExecResult(rc, "", "cannot") for rc in (0, 1, 126)]
    kube = cast(Kube, SimpleNamespace(exec=lambda *_args, **_options: told.pop(0)))
    assert failures.has_joined(kube, FIRST) is True
    assert failures.has_joined(kube, FIRST) is False
    with pytest.raises(CassopsError, match="whether its volume is that of a member cannot be read: cannot"):
        failures.has_joined(kube, FIRST)


@pytest.mark.parametrize(
    ("told", "window"),
    [
        (
            {"max_hint_window": "3h", "hinted_handoff_disabled_datacenters": "[]", "max_hints_size_per_host": "0B"},
            10800.0,
        ),
        ({"max_hint_window_in_ms": "10800000"}, 10800.0),
        ({"max_hint_window": "3h", "hinted_handoff_enabled": "false"}, 0.0),
        ({"max_hint_window": "3h", "hinted_handoff_disabled_datacenters": "[dc2, dc1]"}, 0.0),
        ({"max_hint_window": "3h", "hinted_handoff_disabled_datacenters": "[dc10]"}, 10800.0),
        ({"max_hint_window": "3h", "max_hints_size_per_host": "100MiB"}, 0.0),
        ({}, None),
    ],
)
def test_for_how_long_hints_are_kept(told: dict[str, str | None], window: float | None) -> None:
    assert failures.window_of(told, "dc1") == window


def test_the_last_node_of_a_datacenter_is_made_known_to_the_others(world: World) -> None:
    """Nobody lives here who could gossip with it while it hibernates."""
    ctx = Context(connect=lambda params: cast(Kube, world.kube))
    cluster = Cluster({"cluster": "shop", "datacenter": "dc1"}, ctx)
    cluster.peers = [cluster.own]
    sight = cluster.look()
    alone = replace(
        sight, view=replace(sight.view, nodes=tuple(node for node in sight.view.nodes if node.pod == FIRST))
    )
    doing = SimpleNamespace(cluster=cluster, say=world.said.append)
    address = world.kube.one("Service", FIRST)["spec"]["clusterIP"]
    replacing.Replacing.acquaint(doing, SimpleNamespace(pod=FIRST, address=address), alone)  # type: ignore[arg-type]
    assert set(world.ring.seeds) >= set(NODES) - {FIRST}
