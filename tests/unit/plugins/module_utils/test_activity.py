# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from unit.plugins.module_utils import views
from unit.plugins.module_utils.fake_cassandra import FakeCassandra, Member

from ansible_collections.cassops.kubernetes.plugins.module_utils import activity, observe
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecResult, NotFound
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Activity, Disk, Observation, Repair, Stream

LOGIN = observe.Credentials("cassandra", "cassandra")
POD = "shop-dc1-r1-0"
OTHER = "6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a"


class Volumes:
    """Kubernetes' exec, which looks at volumes."""

    def __init__(self, ring: FakeCassandra) -> None:
        self.ring = ring
        self.rc: int | None = 0

    def exec(self, pod: str, argv: list[str], timeout: float) -> ExecResult:
        assert argv[-1] == activity.LOOK_AT_VOLUME
        if self.rc is None:
            raise NotFound("no such container", 404)
        return ExecResult(self.rc, self.ring.busy[pod].volume(), "")


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> FakeCassandra:
    fake = FakeCassandra("5.0.9").install(monkeypatch)
    listed = views.nodes()
    for node, member in zip(listed, views.endpoints(listed).values(), strict=True):
        fake.join(node.pod, Member(member.address, member.rack, member.host_id, member.tokens))
    return fake


def told(ring: FakeCassandra, rc: int | None = 0) -> Observation:
    volumes = Volumes(ring)
    volumes.rc = rc
    return observe.observation(cast(Kube, volumes), POD, LOGIN, busy=True)[0]


@pytest.mark.parametrize("version", ["5.0.9", "4.1.10", "4.0.19"])
def test_an_idle_node(ring: FakeCassandra, version: str) -> None:
    ring.version = version
    assert told(ring).activity == Activity(
        mode="NORMAL",
        streams=(),
        repairs=(),
        compactions=0,
        cleanups=(),
        hints={},
        disk=Disk(free=9000 * 1024, total=10000 * 1024),
        sizes={"system_auth": 3 * 2**20},
        largest_table=3 * 2**20,
        snapshots=(),
        storage_mode="CASSANDRA_4" if version.startswith("5") else None,
        volume_since=1_800_000_000,
    )


@pytest.mark.parametrize("version", ["5.0.9", "4.0.19"])
def test_gossip_tells_who_serves_and_which_formats_there_are(ring: FakeCassandra, version: str) -> None:
    ring.version = version
    own = told(ring).own
    assert (own.serves, own.sstables, own.status) == (True, ("big-nb",), "NORMAL")


def test_no_jvm_is_started_where_tables_tell(ring: FakeCassandra) -> None:
    told(ring)
    assert ring.nodetool == []


def test_cassandra_4_0_costs_two(ring: FakeCassandra) -> None:
    ring.version = "4.0.19"
    told(ring)
    assert ring.nodetool == [(POD, ("gossipinfo",)), (POD, ("netstats",))]


def test_streams_that_are_over_do_not_count(ring: FakeCassandra) -> None:
    row: dict[str, Any] = {"operation": "Repair", "peers": ["/198.19.0.2:7000"], "progress_percentage": 43.2}
    row["duration_millis"] = 776_046
    ring.busy[POD].streams += [{**row, "status": status} for status in ("init", "start", "success", "failure")]
    streams = told(ring).activity.streams
    assert streams == (Stream("Repair", ("198.19.0.2",), 43.2, 776.046),) * 2
    assert str(streams[0]) == "Repair with 198.19.0.2, 43 %"


def test_streams_that_are_not_recorded_are_asked_for(ring: FakeCassandra) -> None:
    """The table is there all the same, and empty."""
    ring.busy[POD].records_streams = False
    told(ring)
    assert ring.nodetool == [(POD, ("netstats",))]


def test_tables_that_are_cleaned(ring: FakeCassandra) -> None:
    ring.busy[POD].compactions = 1
    assert told(ring).activity.cleanups == ("shop.orders",)
    ring.busy[POD].compactions, ring.busy[POD].compaction = 1, "compaction"
    assert told(ring).activity.cleanups == ()


@pytest.mark.parametrize(
    "peer", ["/198.19.0.2:7000", "node.example/198.19.0.2:7000", "/[fd00::2]:7000", "/[fd00:0:0:0:0:0:0:2]:7000"]
)
def test_peers_are_addresses(peer: str) -> None:
    assert activity.without_port(peer) in ("198.19.0.2", "fd00::2")


def test_repairs_that_a_node_leads(ring: FakeCassandra) -> None:
    row = {"id": "1", "keyspace_name": "shop", "options_incremental": False, "completed": False}
    ring.busy[POD].repairs += [row, {**row, "options_incremental": True}, {**row, "completed": True}]
    assert told(ring).activity.repairs == (
        Repair("full repair of shop", "1"),
        Repair("incremental repair of shop", "1"),
    )


def test_repairs_that_a_node_takes_part_in(ring: FakeCassandra) -> None:
    row: dict[str, Any] = {"id": "1", "initiator": "/198.19.0.2:7000", "duration_millis": 5000}
    row |= {"tables": {"shop.orders", "shop.items"}, "incremental": False, "completed": False}
    ring.busy[POD].participates += [row, {**row, "completed": True}]
    assert told(ring).activity.repairs == (Repair("full repair of shop.items, shop.orders", "1", "198.19.0.2", 5.0),)


@pytest.mark.parametrize("pool", ["Repair-Task", "Repair#7", "ValidationExecutor"])
def test_cassandra_4_0_tells_repairs_by_its_thread_pools(ring: FakeCassandra, pool: str) -> None:
    ring.version = "4.0.19"
    ring.busy[POD].pools.update({pool: (1, 0), "MutationStage": (5, 5)})
    assert told(ring).activity.repairs == (Repair(f"repair (thread pool {pool} is busy)"),)
    ring.busy[POD].pools[pool] = (0, 0)
    assert told(ring).activity.repairs == ()


def test_cassandra_4_0_tells_streams_by_netstats(ring: FakeCassandra) -> None:
    ring.version = "4.0.19"
    ring.busy[POD].streams.append({})
    assert told(ring).activity.streams == (Stream("Repair", ("198.19.0.9",)),)


def test_compactions_that_wait(ring: FakeCassandra) -> None:
    ring.busy[POD].pools["CompactionExecutor"] = (2, 17)
    assert told(ring).activity.compactions == 17
    ring.busy[POD].pools.clear()
    assert told(ring).activity.compactions is None


def test_hints_are_counted_by_host(ring: FakeCassandra) -> None:
    ring.busy[POD].hints = {OTHER: 2}
    assert told(ring).activity.hints == {OTHER: 2}


def test_snapshots(ring: FakeCassandra) -> None:
    ring.busy[POD].snapshots = ["before-5.0.9", "with space"]
    assert told(ring).activity.snapshots == ("before-5.0.9", "with space")


@pytest.mark.parametrize("rc", [1, None])
def test_a_volume_that_cannot_be_read_is_unknown(ring: FakeCassandra, rc: int | None) -> None:
    seen = told(ring, rc).activity
    assert (seen.disk, seen.hints, seen.snapshots) == (None, None, None)


def test_what_a_failing_nodetool_does_not_tell_is_unknown(ring: FakeCassandra, monkeypatch: pytest.MonkeyPatch) -> None:
    ring.version = "4.0.19"
    monkeypatch.setattr(observe, "gossip_lines", lambda kube, pod, known: {})
    ring.deaf.add(POD)
    seen = told(ring).activity
    assert (seen.mode, seen.streams) == (None, None)


def test_the_script_that_looks_at_a_volume(tmp_path: Path) -> None:
    """It runs in dash, with the tools of the image."""
    for name in (f"{OTHER}-1795372273000-2.hints", f"{OTHER}-1795372274000-2.hints", f"{OTHER}-1795372273000-2.crc32"):
        (tmp_path / "hints").mkdir(exist_ok=True)
        (tmp_path / "hints" / name).touch()
    for table in ("orders-1", "items-2"):
        (tmp_path / "data" / "shop" / table / "snapshots" / "before").mkdir(parents=True)
    (tmp_path / ".cassops").mkdir()
    (tmp_path / ".cassops" / "mark").touch()
    os.utime(tmp_path / ".cassops" / "mark", (1_800_000_000, 1_800_000_000))
    script = activity.LOOK_AT_VOLUME.replace("/var/lib/cassandra", str(tmp_path))
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    lines = [line.split(maxsplit=1) for line in said.splitlines()]
    assert activity.volume_hints(lines) == {OTHER: 2}
    assert activity.volume_snapshots(lines) == ("before",)
    assert activity.volume_since(lines) == 1_800_000_000
    disk = activity.volume_disk(lines)
    assert disk is not None
    assert 0 < disk.free < disk.total


def test_the_script_on_an_empty_volume(tmp_path: Path) -> None:
    script = activity.LOOK_AT_VOLUME.replace("/var/lib/cassandra", str(tmp_path))
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in said.splitlines()] == ["disk"]
