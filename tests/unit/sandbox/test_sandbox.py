# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's pure parts; nothing is started here."""

from __future__ import annotations

import ipaddress
import os
import platform
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from sandbox import SandboxError, addresses, build, core, faults, images, process
from sandbox.layout import Layout, all_images
from sandbox.versions import CASSANDRA


def test_every_address_lies_in_the_range_that_leaves_no_machine() -> None:
    whole = ipaddress.ip_network(addresses.SANDBOX_NET)
    indexes = range(1, addresses.MAX_WORKERS + 1)
    subnets = [ipaddress.ip_network(addresses.pod_subnet(index)) for index in indexes]
    hosts = [ipaddress.ip_address(addresses.worker_address(index)) for index in indexes]
    assert all(subnet.subnet_of(whole) for subnet in [*subnets, ipaddress.ip_network(addresses.SERVICE_NET)])
    bridge = ipaddress.ip_network(f"{addresses.GATEWAY}/{addresses.PREFIX_LENGTH}", strict=False)
    assert all(host in bridge for host in hosts)
    assert len({*subnets, bridge}) == addresses.MAX_WORKERS + 1
    assert not any(subnet.overlaps(bridge) for subnet in subnets)


def test_names_of_workers() -> None:
    assert addresses.worker_index(addresses.worker_name(12)) == 12
    assert [addresses.zone(index) for index in (1, 2, 3, 4)] == ["zone1", "zone2", "zone3", "zone1"]
    assert all(len(addresses.link(addresses.worker_name(index))) <= 15 for index in range(1, addresses.MAX_WORKERS + 1))


@pytest.mark.parametrize("name", ["worker0", "worker01", "worker", "node1", "worker16", "worker1;ls", "worker²"])
def test_what_is_no_worker_is_refused(name: str) -> None:
    with pytest.raises(SandboxError, match="worker"):
        addresses.worker_index(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12 345\n", (12, 345)), ("", None), ("12", None), ("12 x", None), ("-1 3", None), ("1 2 3", None)],
)
def test_pid_file(text: str, expected: tuple[int, int] | None) -> None:
    assert process.parse_pid_file(text) == expected


def test_a_pid_that_another_process_got_is_not_ours(tmp_path: Path) -> None:
    began = process.start_time(os.getpid())
    assert began is not None
    (tmp_path / "ours").write_text(f"{os.getpid()} {began}\n")
    (tmp_path / "reused").write_text(f"{os.getpid()} {began - 1}\n")
    assert process.daemon_pid(tmp_path / "ours") == os.getpid()
    assert process.daemon_pid(tmp_path / "reused") is None
    assert process.daemon_pid(tmp_path / "none") is None


def test_a_file_is_not_touched_when_it_holds_the_text(tmp_path: Path) -> None:
    file = tmp_path / "config"
    process.write(file, "text")
    os.utime(file, (1, 1))
    process.write(file, "text")
    assert file.stat().st_mtime == 1
    process.write(file, "other")
    assert file.read_text() == "other"


def test_progress_says_only_what_it_knows() -> None:
    assert build.duration(190) == "3 min 10 s"
    assert build.duration(8.4) == "8 s"
    assert build.time_left(10, 1000, 3) == ""
    assert build.time_left(500, 1000, 60) == ", about 1 min 0 s left"
    assert build.time_left(1000, 1000, 60) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("go version go1.26.8 linux/amd64", (1, 26)), ("go version go1.9 linux/amd64", (1, 9)), ("gcc 12", None)],
)
def test_go_version(text: str, expected: tuple[int, int] | None) -> None:
    assert build.parse_go_version(text) == expected


def test_each_image_has_a_key_of_its_own() -> None:
    assert len({images.key(name) for name in all_images()}) == len(all_images())
    assert images.wanted(None) == images.names()
    assert images.wanted(("cassandra:5.0.9",)) == [*images.SMALL, "cassandra:5.0.9"]
    assert "cassandra:4.0.19" not in images.names()
    assert images.wanted(("cassandra:4.0.19",)) == [*images.SMALL, "cassandra:4.0.19"]
    with pytest.raises(SandboxError, match=r"cassandra:1\.2"):
        images.wanted(("cassandra:1.2",))


def test_every_cassandra_finds_its_configuration() -> None:
    files = Path(images.__file__).parent / "image"
    for release in CASSANDRA:
        folder = files / f"conf-java{release.java}"
        assert (folder / f"jvm{release.java}-server.options").is_file()
        assert (folder / f"jvm{release.java}-clients.options").is_file()


def test_the_same_files_make_the_same_layer(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.images.mkdir(parents=True)
    entries = [images.Entry("a", b"1", 0o755, 999), images.Entry("b", link="a"), images.Entry("c", folder=True)]
    assert images.make_layer(layout, entries) == images.make_layer(layout, entries)
    (archive,) = layout.images.glob("*.tar")
    with tarfile.open(archive) as tar:
        assert [(one.name, one.uid, one.mtime) for one in tar] == [("a", 999, 0), ("b", 0, 0), ("c", 0, 0)]


def test_only_a_volume_of_the_sandbox_is_wiped(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    volume = layout.volumes("worker1") / "pvc-1"
    (volume / "data").mkdir(parents=True)
    (volume / "file").touch()
    (volume / "link").symlink_to(tmp_path)
    assert faults.wipe(volume, layout) == 3
    assert list(volume.iterdir()) == []
    assert layout.state.is_dir()
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(SandboxError, match="not a volume"):
        faults.wipe(other, layout)
    (volume.parent / "sly").symlink_to(other)
    with pytest.raises(SandboxError, match="not a volume"):
        faults.wipe(volume.parent / "sly", layout)


@pytest.mark.parametrize(
    ("system", "machine", "words"),
    [
        ("Darwin", "arm64", r"needs Linux \(this is Darwin\)"),
        ("Linux", "aarch64", r"needs x86-64, for which its images are built \(this is aarch64\)"),
    ],
)
def test_a_machine_that_it_is_not_built_for(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, words: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(SandboxError, match=words):
        core.check_host()


def test_a_kubelet_that_ended_is_started_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of those that start in the same moment one may find a socket that it shares with the others taken."""
    sandbox, started = core.Sandbox(tmp_path), []
    late = iter([["worker1", "worker3"], ["worker3"], []])
    monkeypatch.setattr(sandbox, "_not_ready", lambda _names, _before: next(late))
    monkeypatch.setattr(sandbox, "worker", lambda name: SimpleNamespace(start_kubelet=lambda: started.append(name)))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    sandbox._wait_ready(["worker1", "worker2", "worker3"], {})
    assert started == ["worker1", "worker3", "worker3"]
