# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The start script and the probe, run for real by every sh of the machine in a temporary root."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger, LedgerNode
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests import scripts
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.words import given_up_last

SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]
HOST_ID = "11111111-2222-3333-4444-555555555555"
POD = "shop-dc1-r1-0"
OTHER = "shop-dc1-r2-0"
RUNNING = Ledger(
    id="0123456789abcdef",
    cluster="shop",
    datacenter="dc1",
    phase="running",
    nodes={
        POD: LedgerNode(POD, "198.19.0.1", HOST_ID),
        OTHER: LedgerNode(OTHER, "198.19.0.2", HOST_ID.replace("1", "2")),
        "shop-dc1-r1-01": LedgerNode("shop-dc1-r1-01", "198.19.0.9"),
    },
    tokens={POD: (-5, 7), OTHER: (1, 9)},
    seeds=("198.19.0.1", "198.19.0.2"),
    first=POD,
)
NEW = replace(RUNNING, phase="new", nodes={pod: replace(node, host_id=None) for pod, node in RUNNING.nodes.items()})

FAKE_CASSANDRA = """#!/bin/sh
echo "arguments=$*" >"$CASSOPS_ROOT/started"
echo "conf=$CASSANDRA_CONF" >>"$CASSOPS_ROOT/started"
echo "options=$JVM_EXTRA_OPTS" >>"$CASSOPS_ROOT/started"
"""

# Nobody is at the ledger's addresses, and they tell nothing: a worker that is silent, without the wait for it.
FAKE_TIMEOUT = f"""#!/bin/sh
echo "$*" >>"$CASSOPS_ROOT/asked"
case "$*" in */dev/tcp/198.19.*) exit 124 ;; esac
exec {shutil.which("timeout")} "$@"
"""

LASTING_CASSANDRA = (
    FAKE_CASSANDRA
    + """
trap 'echo ended >>"$CASSOPS_ROOT/log"; exit 143' TERM
echo started >>"$CASSOPS_ROOT/log"
while :; do sleep 0.05; done
"""
)


class Node:
    """A pod's file system, and the start script in it."""

    def __init__(self, root: Path, shell: str) -> None:
        self.root = root
        self.shell = shell
        self.marks = root / "var/lib/cassandra/.cassops"
        self.environment = {
            "PATH": f"{root}/bin:{os.environ['PATH']}",
            "CASSOPS_ROOT": str(root),
            "CASSOPS_PAUSE": "0.05",
            "CASSOPS_CLUSTER": "shop",
            "CASSOPS_DATACENTER": "dc1",
            "CASSOPS_RACK": "r1",
            "CASSOPS_ADDRESS": "service",
            "POD_NAME": POD,
            "POD_IP": "198.18.1.1",
            "JVM_EXTRA_OPTS": "-Dmine=1",
        }
        for folder in (
            "bin",
            "cassops/config",
            "cassops/conf",
            "cassops/ledger",
            "tmp",
            "dev",
            "var/lib/cassandra/lost+found",
        ):
            (root / folder).mkdir(parents=True)
        self.write("bin/cassandra", FAKE_CASSANDRA).chmod(0o755)
        self.write("bin/timeout", FAKE_TIMEOUT).chmod(0o755)
        self.write("cassops/config/cassandra.yaml", 'cluster_name: "shop"\n')
        self.write("cassops/config/logback.xml", "ours")
        self.write("etc/cassandra/logback.xml", "the image's")
        self.write("etc/cassandra/jvm-server.options", "-Xss256k")
        self.write("etc/cassandra/cassandra-topology.properties", "default=DC1:r1")
        self.write("start.sh", scripts.START)

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def read(self, path: str) -> str:
        file = self.root / path
        return file.read_text() if file.exists() else ""

    def ledger(self, ledger: Ledger, number: int = 1) -> None:
        """Turn the mount to a new version of the ledger, as the kubelet does."""
        folder = self.root / f"cassops/ledger/..version{number}"
        folder.mkdir()
        for key, value in ledger.to_data().items():
            (folder / key).write_text(value)
        link = self.root / "cassops/ledger/..new"
        link.symlink_to(folder.name)
        link.rename(self.root / "cassops/ledger/..data")

    def mark(self, mark: str = f"{RUNNING.id} shop dc1 r1 {POD}", way: str = "new", joined: bool = True) -> None:
        self.write("var/lib/cassandra/.cassops/mark", mark + "\n")
        self.write("var/lib/cassandra/.cassops/way", way + "\n")
        if joined:
            (self.marks / "joined").touch()

    def served(self, ago: float) -> None:
        """It gave its last sign of life so many seconds ago."""
        alive = self.write("var/lib/cassandra/.cassops/alive", "")
        os.utime(alive, (time.time() - ago, time.time() - ago))

    def data(self) -> None:
        self.write("var/lib/cassandra/data/system/local-1/nb-1-big-Data.db", "rows")

    def spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.shell, str(self.root / "start.sh")],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start(self) -> dict[str, str]:
        """Run until Cassandra starts; its configuration as a mapping of lines, with what the fake was given."""
        process = self.spawn()
        output, _stderr = process.communicate(timeout=120)
        assert process.returncode == 0, output
        assert self.read("started"), output
        lines = self.read("cassops/conf/cassandra.yaml").splitlines()
        told = self.read("started").splitlines()
        return {
            **dict(line.split(": ", 1) for line in lines),
            **dict(line.split("=", 1) for line in told),
            "log": output,
        }

    def held(self) -> tuple[subprocess.Popen[str], str]:
        """Run until the node is held; the process, and the reason."""
        process = self.spawn()
        wait_for(lambda: bool(self.read("dev/termination-log").strip()) or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
        reason = self.read("tmp/held").strip()
        assert self.read("dev/termination-log").strip() == f"held: {reason}"
        assert not self.read("started")
        return process, reason

    def reason(self) -> str:
        process, reason = self.held()
        stop(process)
        return reason


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.01)


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate(timeout=120)


def snapshot(root: Path) -> dict[str, bytes]:
    volume = root / "var/lib/cassandra"
    return {str(file): file.read_bytes() for file in sorted(volume.rglob("*")) if file.is_file()}


@pytest.fixture(params=SHELLS)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Node:
    return Node(tmp_path, request.param)


@pytest.fixture
def any_node(tmp_path: Path) -> Node:
    """For large matrices: one shell is enough."""
    return Node(tmp_path, SHELLS[0])


# The start table (DESIGN, decision 4)


def test_own_mark_starts_with_its_data(node: Node) -> None:
    node.ledger(RUNNING)
    node.mark()
    node.data()
    started = node.start()
    assert started["arguments"] == "-f"
    assert started["auto_bootstrap"] == "true"
    assert "initial_token" not in started
    assert started["options"].split() == ["-Dmine=1"]
    assert started["start_native_transport"] == "true"
    assert started["rpc_address"] == '"0.0.0.0"'
    assert "198.19.0.1,198.19.0.2" in started["seed_provider"]
    assert (node.marks / "joined").exists()


@pytest.mark.parametrize(
    "mark",
    [
        f"{RUNNING.id} shop dc1 r1 shop-dc1-r1-1",
        f"{RUNNING.id} shop dc1 r2 {POD}",
        f"{RUNNING.id} shop dc2 r1 {POD}",
        f"{RUNNING.id} other dc1 r1 {POD}",
        f"fedcba9876543210 shop dc1 r1 {POD}",
    ],
)
@pytest.mark.parametrize("with_data", [True, False])
@pytest.mark.parametrize("ledger", [RUNNING, NEW, replace(RUNNING, self_replace=True)])
def test_a_foreign_mark_is_held_and_nothing_is_touched(
    any_node: Node, mark: str, with_data: bool, ledger: Ledger
) -> None:
    node = any_node
    node.ledger(ledger)
    node.mark(mark)
    if with_data:
        node.data()
    before = snapshot(node.root)
    assert "belongs to another node" in node.reason()
    assert snapshot(node.root) == before


@pytest.mark.parametrize(
    ("given_up", "mark", "is_last"), [(1, "", True), (2, " 1", True), (2, "", False), (1, "x", False)]
)
def test_a_volume_that_the_ledger_gave_up_last_is_told_from_others(
    node: Node, given_up: int, mark: str, is_last: bool
) -> None:
    """Heal gives it back by these words."""
    node.ledger(RUNNING.with_volume_number(POD, given_up))
    node.mark(f"{RUNNING.id} shop dc1 r1 {POD}{mark}")
    node.data()
    assert given_up_last(node.reason()) is is_last


def test_data_without_a_mark_is_held(node: Node) -> None:
    node.ledger(RUNNING)
    node.data()
    assert "has no mark" in node.reason()
    assert not node.marks.exists()


@pytest.mark.parametrize("has_data", [True, False])
def test_a_node_that_is_being_restored_is_held_and_goes_on_by_itself(node: Node, has_data: bool) -> None:
    node.ledger(RUNNING)
    node.mark()
    if has_data:
        node.write("var/lib/cassandra/data/ks/t/nb-1-big-Data.db", "rows")
    node.write("var/lib/cassandra/.cassops/restoring", "20261125-2300\n")
    process, reason = node.held()
    assert "a restore (20261125-2300) puts its data in place" in reason
    node.write("var/lib/cassandra/data/ks/t/nb-1-big-Data.db", "older rows")
    (node.marks / "restoring").unlink()
    output, _stderr = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "cassops: restart:" in output


def test_phase_new_starts_with_planned_tokens(node: Node) -> None:
    node.ledger(NEW)
    started = node.start()
    assert started["initial_token"] == '"-5,7"'
    assert started["auto_bootstrap"] == "false"
    assert "-Dcassandra.replace" not in started["options"]
    assert "198.19.0.1,198.19.0.2" in started["seed_provider"]
    assert node.read("var/lib/cassandra/.cassops/mark") == f"{RUNNING.id} shop dc1 r1 {POD}\n"
    assert node.read("var/lib/cassandra/.cassops/way") == "new\n"


def test_phase_new_keeps_cql_on_loopback_at_the_doorkeeper(node: Node) -> None:
    node.ledger(NEW)
    started = node.start()
    assert (started["start_native_transport"], started["rpc_address"]) == ("true", '"127.0.0.1"')


def test_the_doorkeeper_opens_in_the_same_pod_when_the_superuser_stands(node: Node) -> None:
    node.ledger(NEW)
    node.write("bin/cassandra", LASTING_CASSANDRA).chmod(0o755)
    process = node.spawn()
    wait_for(lambda: "started" in node.read("log"))
    first = node.read("started")
    assert 'rpc_address: "127.0.0.1"' in node.read("cassops/conf/cassandra.yaml")
    node.data()
    node.write("tmp/open", "")
    wait_for(lambda: node.read("log").count("started") == 2)
    assert node.read("log") == "started\nended\nstarted\n"
    assert "TieredStopAtLevel" in first
    assert "options=-Dmine=1" in node.read("started")
    yaml = node.read("cassops/conf/cassandra.yaml")
    assert 'start_native_transport: true\nrpc_address: "0.0.0.0"' in yaml
    assert "initial_token" not in yaml
    # It is process 1 now, as on any other node.
    stop(process)
    assert node.read("log").endswith("ended\n")


@pytest.mark.parametrize(
    ("ledger", "rounds"),
    [
        (NEW, False),
        (replace(NEW, hash_rounds=4), True),
        # Whoever makes logins later chooses their passwords.
        (replace(NEW, hash_rounds=4, first=OTHER), False),
        (replace(RUNNING, hash_rounds=4), False),
    ],
)
def test_only_the_doorkeeper_hashes_cheaply(node: Node, ledger: Ledger, rounds: bool) -> None:
    node.ledger(ledger)
    if ledger.phase == "running":
        node.mark()
        node.data()
    options = node.start()["options"].split()
    assert ("-Dcassandra.auth_bcrypt_gensalt_log2_rounds=4" in options) is rounds
    assert options[-1] == "-Dmine=1"


def test_the_doorkeeper_ends_as_cassandra_does(node: Node) -> None:
    node.ledger(NEW)
    node.write("bin/cassandra", "#!/bin/sh\nexit 3\n").chmod(0o755)
    process = node.spawn()
    output, _stderr = process.communicate(timeout=120)
    assert process.returncode == 3, output


def test_term_ends_the_doorkeeper_and_its_cassandra(node: Node) -> None:
    node.ledger(NEW)
    node.write("bin/cassandra", LASTING_CASSANDRA).chmod(0o755)
    process = node.spawn()
    wait_for(lambda: "started" in node.read("log"))
    stop(process)
    assert node.read("log") == "started\nended\n"


def test_phase_new_keeps_cql_closed_at_the_others(node: Node) -> None:
    node.ledger(replace(NEW, first=OTHER))
    started = node.start()
    assert started["start_native_transport"] == "false"


def test_phase_new_restarts_with_the_same_tokens(node: Node) -> None:
    node.ledger(replace(NEW, first=OTHER))
    node.mark(joined=False)
    node.data()
    started = node.start()
    assert started["initial_token"] == '"-5,7"'
    assert started["auto_bootstrap"] == "false"
    assert started["start_native_transport"] == "false"


def test_phase_new_without_tokens_is_held(node: Node) -> None:
    node.ledger(replace(NEW, tokens={OTHER: (1,)}))
    assert "no tokens" in node.reason()


def test_an_unknown_node_bootstraps_and_is_not_its_own_seed(node: Node) -> None:
    node.ledger(RUNNING.with_node(LedgerNode(POD, "198.19.0.1")))
    started = node.start()
    assert started["auto_bootstrap"] == "true"
    assert "initial_token" not in started
    assert '"seeds": "198.19.0.2"' in started["seed_provider"]
    assert started["options"].split() == ["-Dmine=1"]
    assert node.read("var/lib/cassandra/.cassops/way") == "bootstrap\n"


@pytest.mark.parametrize(("replicas", "suits"), [(None, "3"), (2, "2")])
def test_who_joins_chooses_tokens_for_the_replicas_that_the_ledger_tells(
    node: Node, replicas: int | None, suits: str
) -> None:
    node.ledger(replace(RUNNING.with_node(LedgerNode(POD, "198.19.0.1")), replicas=replicas))
    assert node.start()["allocate_tokens_for_local_replication_factor"] == suits


def test_the_users_word_about_tokens_counts(node: Node) -> None:
    node.ledger(RUNNING.with_node(LedgerNode(POD, "198.19.0.1")))
    file = node.root / "cassops/config/cassandra.yaml"
    file.write_text(f"allocate_tokens_for_keyspace: shop\n{file.read_text()}")
    assert "allocate_tokens_for_local_replication_factor" not in node.start()


def test_a_bootstrap_that_died_goes_on_by_itself(node: Node) -> None:
    node.ledger(RUNNING.with_node(LedgerNode(POD, "198.19.0.1")))
    node.mark(way="bootstrap", joined=False)
    node.data()
    started = node.start()
    assert '"seeds": "198.19.0.2"' in started["seed_provider"]
    assert node.read("var/lib/cassandra/.cassops/way") == "bootstrap\n"


@pytest.mark.parametrize(("version", "anew"), [("4.0.19", True), ("4.1.10", True), ("5.0.9", False)])
def test_where_cassandra_would_skip_what_it_has_a_join_streams_all(node: Node, version: str, anew: bool) -> None:
    node.ledger(RUNNING)
    node.data()
    node.mark(way="bootstrap", joined=False)
    node.environment["CASSOPS_VERSION"] = version
    assert ("-Dcassandra.reset_bootstrap_progress=true" in node.start()["options"].split()) is anew
    # What has joined is not asked to join again.
    (node.marks / "joined").touch()
    assert "reset_bootstrap_progress" not in node.start()["options"]


@pytest.mark.parametrize(
    ("jars", "fits"),
    [
        (("apache-cassandra-4.1.10.jar",), True),
        (("apache-cassandra-4.1.4.jar", "cassandra-driver-core-3.11.0-shaded.jar"), True),
        (("apache-cassandra-5.0.9.jar",), False),
        (("other.jar",), True),
        ((), True),
    ],
)
def test_an_image_of_another_line_starts_nothing(node: Node, jars: tuple[str, ...], fits: bool) -> None:
    """A tag that moved, or a person who changed the image only: nobody checked that as an upgrade."""
    node.ledger(RUNNING)
    node.data()
    node.mark()
    node.environment["CASSOPS_VERSION"] = "4.1.10"
    for jar in jars:
        node.write(f"opt/cassandra/lib/{jar}", "")
    if fits:
        node.start()
        return
    process = node.spawn()
    output, _stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "the image has Cassandra 5.0.9, and cassandra_version says 4.1.10" in output
    assert not node.read("started")


@pytest.mark.parametrize(("ip", "told"), [("198.19.1.1", False), ("fd00::11", True)])
def test_java_uses_ipv6_where_the_pod_has_it(node: Node, ip: str, told: bool) -> None:
    node.ledger(RUNNING)
    node.data()
    node.mark()
    node.environment["POD_IP"] = ip
    assert ("-Djava.net.preferIPv4Stack=false" in node.start()["options"].split()) is told


def test_a_known_node_with_an_empty_volume_is_held(node: Node) -> None:
    node.ledger(RUNNING)
    before = snapshot(node.root)
    reason = node.reason()
    assert HOST_ID in reason
    assert "replace_node" in reason
    assert snapshot(node.root) == before


def test_a_volume_that_was_wiped_beside_its_mark_counts_as_empty(node: Node) -> None:
    node.ledger(RUNNING)
    node.mark()
    (node.root / "var/lib/cassandra/data/system").mkdir(parents=True)
    assert "its volume is empty" in node.reason()


def test_an_approved_replacement_starts(node: Node) -> None:
    node.ledger(RUNNING.with_replacement(POD, "198.19.0.1"))
    started = node.start()
    assert "-Dcassandra.replace_address_first_boot=198.19.0.1" in started["options"].split()
    assert '"seeds": "198.19.0.2"' in started["seed_provider"]
    assert started["auto_bootstrap"] == "true"
    assert node.read("var/lib/cassandra/.cassops/way") == "replace 198.19.0.1\n"
    assert not (node.marks / "joined").exists()


# Self-replacement: only while everybody else serves


@contextlib.contextmanager
def served(node: Node, *addresses: str) -> Iterator[None]:
    """Somebody takes connections of clients at these addresses."""
    with contextlib.ExitStack() as stack:
        port = 0
        for address in addresses:
            listener = stack.enter_context(socket.create_server((address, port)))
            port = listener.getsockname()[1]
        node.environment["CASSOPS_CQL_PORT"] = str(port)
        yield


ALONE = replace(
    RUNNING,
    self_replace=True,
    nodes={
        POD: RUNNING.nodes[POD],
        OTHER: LedgerNode(OTHER, "127.0.0.2", HOST_ID.replace("1", "2")),
        "shop-dc1-r3-0": LedgerNode("shop-dc1-r3-0", "127.0.0.3", HOST_ID.replace("1", "3")),
        # It never joined, so nothing of it can be missing.
        "shop-dc1-r3-1": LedgerNode("shop-dc1-r3-1", "127.0.0.4"),
    },
)


def test_a_node_replaces_itself_while_everybody_else_serves(node: Node) -> None:
    node.ledger(ALONE)
    with served(node, "127.0.0.2", "127.0.0.3"):
        started = node.start()
    assert "-Dcassandra.replace_address_first_boot=198.19.0.1" in started["options"].split()
    assert node.read("var/lib/cassandra/.cassops/way") == "replace 198.19.0.1\n"


def test_a_node_does_not_replace_itself_while_another_one_is_down(node: Node) -> None:
    """It may be the other one of a quorum; and of two that lost their volumes neither goes on."""
    node.ledger(ALONE)
    with served(node, "127.0.0.2"):
        reason = node.reason()
    assert "its volume is empty. It does not replace itself: shop-dc1-r3-0 does not serve either" in reason


def test_a_held_node_replaces_itself_when_the_other_one_is_back(node: Node) -> None:
    node.ledger(ALONE)
    with served(node, "127.0.0.2"):
        process, _reason = node.held()
        with socket.create_server(("127.0.0.3", int(node.environment["CASSOPS_CQL_PORT"]))):
            output, _stderr = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "-Dcassandra.replace_address_first_boot=198.19.0.1" in node.read("started")


def test_a_node_does_not_replace_itself_when_rows_had_one_copy(node: Node) -> None:
    node.ledger(replace(ALONE, single_copies=("carts", "logs")))
    with served(node, "127.0.0.2", "127.0.0.3"):
        assert "rows with a single copy were on it (keyspaces carts,logs)" in node.reason()


def test_a_node_does_not_replace_itself_while_an_upgrade_is_half_way(node: Node) -> None:
    """Others serve, and cannot stream to it; heal refuses that as well."""
    node.ledger(replace(ALONE, mixed="Cassandra 4.1 and 5.0"))
    with served(node, "127.0.0.2", "127.0.0.3"):
        reason = node.reason()
    assert "It does not replace itself: an upgrade is under way (Cassandra 4.1 and 5.0)" in reason
    assert "the playbook heal tells what to do" in reason


def test_what_was_approved_half_way_through_an_upgrade_is_decided_by_heal(node: Node) -> None:
    node.ledger(replace(ALONE, mixed="Cassandra 4.1 and 5.0").with_replacement(POD, "198.19.0.1"))
    with served(node, "127.0.0.5"):
        assert "replace_address_first_boot" in node.start()["options"]


def test_a_node_that_is_called_by_its_pods_address_does_not_replace_itself(node: Node) -> None:
    """The ledger does not follow such addresses; the old one may be anybody's by now."""
    node.environment["CASSOPS_ADDRESS"] = "pod"
    node.ledger(ALONE)
    with served(node, "127.0.0.2", "127.0.0.3"):
        assert "it does not know its old one" in node.reason()


def test_what_was_approved_needs_nobody_to_serve(node: Node) -> None:
    node.ledger(ALONE.with_replacement(POD, "198.19.0.1"))
    with served(node, "127.0.0.5"):
        assert "replace_address_first_boot" in node.start()["options"]


# Volumes that were given up


def test_a_replaced_node_marks_its_new_volume_with_a_number(node: Node) -> None:
    node.ledger(RUNNING.with_replacement(POD, "198.19.0.1").with_volume_number(POD, 1))
    node.start()
    assert node.read("var/lib/cassandra/.cassops/mark") == f"{RUNNING.id} shop dc1 r1 {POD} 1\n"


@pytest.mark.parametrize("mark", ["", " 1"])
def test_a_volume_that_was_given_up_is_held_when_it_comes_back(node: Node, mark: str) -> None:
    node.ledger(RUNNING.with_volume_number(POD, 2))
    node.mark(f"{RUNNING.id} shop dc1 r1 {POD}{mark}")
    node.data()
    before = snapshot(node.root)
    assert "belongs to another node" in node.reason()
    assert snapshot(node.root) == before


# Writes that it missed


def that_missed(node: Node, noted: object) -> Node:
    """With data, and the note of a former start."""
    node.ledger(RUNNING)
    node.mark()
    node.data()
    if noted is not None:
        node.write("var/lib/cassandra/.cassops/missed", f"{noted}\n")
    return node


@pytest.mark.parametrize(
    ("noted", "seconds", "after"),
    [(None, 700, 700), (500, 700, 1200), ("unknown", 700, "unknown"), (None, None, None)],
)
def test_downtimes_since_the_last_repair_add_up(
    any_node: Node, noted: object, seconds: int | None, after: object
) -> None:
    node = that_missed(any_node, noted)
    if seconds is not None:
        node.served(seconds)
    node.start()
    told = node.read("var/lib/cassandra/.cassops/missed").strip()
    if isinstance(after, int):
        assert after <= int(told) < after + 60
    else:
        assert told == (after or "")


def test_a_downtime_of_several_starts_counts_once(any_node: Node) -> None:
    """A start that dies before the node serves does not end it."""
    node, now = any_node, int(time.time())
    node.ledger(RUNNING)
    node.mark()
    node.data()
    alive = node.write("var/lib/cassandra/.cassops/alive", "")

    def missed(seconds: int) -> int:
        os.utime(alive, (now - seconds, now - seconds))
        node.start()
        return int(node.read("var/lib/cassandra/.cassops/missed"))

    assert all(5000 <= missed(5000) < 5060 for _start in range(3))
    assert all(5300 <= missed(300) < 5420 for _start in range(2)), "it served in between"
    (node.marks / "missed").unlink()
    assert 300 <= missed(300) < 360, "it was repaired meanwhile"


@pytest.mark.parametrize(("noted", "after"), [(10_000, "unknown"), (None, "unknown"), ("unknown", "unknown")])
def test_a_clock_that_was_set_back_makes_no_downtime_shorter(any_node: Node, noted: object, after: str) -> None:
    """Heal repairs where it is not known: a sum that shrank would look as if hints covered it."""
    node = that_missed(any_node, noted)
    node.served(-7200)
    node.start()
    assert node.read("var/lib/cassandra/.cassops/missed").strip() == after
    node.served(60)
    node.start()
    assert node.read("var/lib/cassandra/.cassops/missed").strip() == after, "until heal has repaired it"


def test_what_a_replacement_missed_is_not_known_to_it(node: Node) -> None:
    node.ledger(RUNNING.with_replacement(POD, "198.19.0.1"))
    node.start()
    assert node.read("var/lib/cassandra/.cassops/missed") == "unknown\n"


def test_a_note_that_did_not_get_to_the_disk_is_no_short_time(node: Node) -> None:
    node.ledger(RUNNING)
    node.mark()
    node.data()
    node.served(60)
    (node.marks / "missed").write_text("")
    node.start()
    assert node.read("var/lib/cassandra/.cassops/missed") == "", "heal takes that for unknown"


def test_a_ledger_that_the_kubelet_takes_away_meanwhile_is_read_to_its_end(node: Node) -> None:
    """It turns the link to a new folder, and removes the old one at once."""
    begin = "mark_volume() {\n"
    gone = 'rm -rf "$root/cassops/ledger/..version1"\n'
    node.write("start.sh", scripts.START.replace(begin, f"{begin}    {gone}", 1))
    node.ledger(RUNNING.with_replacement(POD, "198.19.0.1"))
    node.start()
    assert node.read("var/lib/cassandra/.cassops/mark") == f"{RUNNING.id} shop dc1 r1 {POD}\n"


def test_an_approval_for_another_node_is_none(node: Node) -> None:
    node.ledger(RUNNING.with_replacement(OTHER, "198.19.0.2"))
    assert "its volume is empty" in node.reason()


def test_a_replaced_node_forgets_the_old_signs_of_life(node: Node) -> None:
    node.ledger(RUNNING.with_replacement(POD, "198.19.0.1"))
    node.mark()
    (node.marks / "alive").touch()
    node.start()
    assert not (node.marks / "joined").exists()
    assert not (node.marks / "alive").exists()


@pytest.mark.parametrize(
    ("version", "seconds", "held"),
    [
        ("4.1.10", 864000 - 600, False),
        ("4.1.10", 864000 + 60, True),
        ("4.0.19", 864000 + 60, True),
        ("5.0.9", 1e7, False),
    ],
)
def test_a_join_that_died_long_ago_is_held(node: Node, version: str, seconds: float, held: bool) -> None:
    """What it has would be streamed over, not replaced; 5.0 refuses by itself."""
    node.ledger(RUNNING)
    node.data()
    node.mark(way="bootstrap", joined=False)
    node.environment["CASSOPS_VERSION"] = version
    began = time.time() - seconds
    os.utime(node.marks / "way", (began, began))
    if held:
        told = r"it began to join on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC and has not ended, and gc_grace_seconds"
        assert re.match(rf"{told} \(864000\) are over.* delete its volume claim and its pod", node.reason())
    else:
        node.start()
        assert (node.marks / "way").stat().st_mtime == pytest.approx(began, abs=1), "it is no new join"


def test_a_replacement_that_died_half_way_is_held(node: Node) -> None:
    node.ledger(RUNNING.with_replacement(POD, "198.19.0.1"))
    node.mark(way="replace 198.19.0.1", joined=False)
    node.data()
    before = snapshot(node.root)
    assert "died half-way" in node.reason()
    assert snapshot(node.root) == before


def test_a_replacement_that_ended_restarts_like_any_node(node: Node) -> None:
    node.ledger(RUNNING)
    node.mark(way="replace 198.19.0.1")
    node.data()
    started = node.start()
    assert "-Dcassandra.replace" not in started["options"]
    assert "198.19.0.1,198.19.0.2" in started["seed_provider"]


@pytest.mark.parametrize("address", ["service", "pod"])
@pytest.mark.parametrize(("seconds", "stale"), [(864000 - 600, False), (864000 + 60, True)])
def test_a_node_that_was_down_too_long_is_held(node: Node, seconds: int, stale: bool, address: str) -> None:
    """Its volume tells, whatever the node is called by, and whoever still knows it."""
    node.environment["CASSOPS_ADDRESS"] = address
    node.ledger(RUNNING)
    node.mark()
    node.data()
    node.served(seconds)
    if stale:
        last = r"the node served last on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
        assert re.match(rf"{last}, longer than gc_grace_seconds \(864000\) ago", node.reason())
    else:
        node.start()
        assert seconds <= int(node.read("var/lib/cassandra/.cassops/missed")) < seconds + 60


def test_gc_grace_seconds_come_from_the_ledger(node: Node) -> None:
    node.ledger(replace(RUNNING, gc_grace_seconds=3600))
    node.mark()
    node.data()
    node.served(3700)
    assert "(3600)" in node.reason()


@pytest.mark.parametrize(
    ("begin", "end", "missed"),
    [
        pytest.param(690, 90, 100, id="it served until the stop"),
        pytest.param(5000, 4000, 700, id="a stop of long ago"),
        pytest.param(400, 100, 400, id="it was down before"),
        pytest.param(900, 100, 100, id="clocks differ"),
    ],
)
def test_while_all_were_stopped_nobody_missed_anything(any_node: Node, begin: int, end: int, missed: int) -> None:
    """It served last 700 s ago; all were stopped from and to so many seconds ago."""
    node, now = any_node, int(time.time())
    node.ledger(replace(RUNNING, pause=(now - begin, now - end)))
    node.mark()
    node.data()
    node.served(700)
    node.start()
    told = int(node.read("var/lib/cassandra/.cassops/missed"))
    assert missed <= told < missed + 60


def test_a_worker_that_is_behind_the_api_server_was_not_set_back(any_node: Node) -> None:
    """The end of the stop is by the API server's clock, and after now by the worker's."""
    node, now = any_node, int(time.time())
    node.ledger(replace(RUNNING, pause=(now - 690, now + 600)))
    node.mark()
    node.data()
    node.served(700)
    node.start()
    assert 0 <= int(node.read("var/lib/cassandra/.cassops/missed")) < 60


def test_a_stop_of_weeks_holds_nobody(node: Node) -> None:
    now = int(time.time())
    node.ledger(replace(RUNNING, pause=(now - 2_000_000, now - 10)))
    node.mark()
    node.data()
    node.served(2_000_000)
    node.start()


# The ledger


def test_a_node_without_an_address_is_held(node: Node) -> None:
    node.ledger(RUNNING.with_node(LedgerNode(POD, None, HOST_ID)))
    node.mark()
    node.data()
    assert "no address" in node.reason()


def test_a_node_that_the_ledger_does_not_name_is_held(node: Node) -> None:
    node.ledger(RUNNING.without_node(POD))
    assert "no address" in node.reason()


def test_without_a_ledger_a_node_is_held(node: Node) -> None:
    assert "cannot be read" in node.reason()


def test_the_ledger_of_another_datacenter_holds(node: Node) -> None:
    node.ledger(replace(RUNNING, datacenter="dc2"))
    assert "shop/dc2" in node.reason()


def test_without_another_seed_the_known_nodes_serve(node: Node) -> None:
    node.ledger(replace(RUNNING.with_node(LedgerNode(POD, "198.19.0.1")), seeds=("198.19.0.1",)))
    assert '"seeds": "198.19.0.2"' in node.start()["seed_provider"]


def test_a_node_whose_seeds_are_all_dead_learns_the_ring_from_others_that_serve(node: Node) -> None:
    """One rack has one seed; and a replacement that finds nobody would end with "Unable to gossip with any peers"."""
    ledger = RUNNING.with_replacement(POD, "198.19.0.1")
    for number in range(2, 8):
        name = f"shop-dc1-r1-{number}"
        ledger = ledger.with_node(LedgerNode(name, f"127.0.0.{number}", HOST_ID.replace("1", str(number))))
    node.ledger(replace(ledger, seeds=("198.19.0.2",)))
    with served(node, "127.0.0.4", "127.0.0.6"):
        assert node.start()["seed_provider"].endswith('"seeds": "127.0.0.4,127.0.0.6,198.19.0.2"}]}]')


@pytest.mark.parametrize("approved", [True, False], ids=["replace", "bootstrap"])
def test_seeds_that_serve_go_before_dead_ones_and_those_of_other_datacenters_count(node: Node, approved: bool) -> None:
    ledger = RUNNING if approved else RUNNING.with_node(LedgerNode(POD, "198.19.0.1"))
    ledger = ledger.with_replacement(POD, "198.19.0.1") if approved else ledger
    node.ledger(replace(ledger, seeds=("198.19.0.1", "198.19.0.2", "198.19.0.3", "198.19.0.4", "127.0.0.5")))
    with served(node, "127.0.0.5"):
        assert '"seeds": "127.0.0.5,198.19.0.2,198.19.0.3"' in node.start()["seed_provider"]


def test_where_nobody_serves_the_ledgers_seeds_stay(node: Node) -> None:
    node.ledger(replace(RUNNING.with_replacement(POD, "198.19.0.1"), seeds=("198.19.0.7", "198.19.0.8", "198.19.0.9")))
    assert '"seeds": "198.19.0.7,198.19.0.8,198.19.0.9"' in node.start()["seed_provider"]


def test_a_node_that_goes_on_with_its_data_asks_nobody(node: Node) -> None:
    """A cold start: nobody serves yet, and it knows the ring."""
    node.ledger(RUNNING)
    node.mark()
    node.data()
    assert '"seeds": "198.19.0.1,198.19.0.2"' in node.start()["seed_provider"]
    assert "/dev/tcp/" not in node.read("asked")


def test_many_silent_nodes_are_asked_at_once_and_not_all_of_them(node: Node) -> None:
    """The first of each rack, then the second: a whole rack that died hides nobody."""
    ledger = RUNNING.with_replacement(POD, "198.19.0.1")
    for number in range(1, 40):
        name = f"shop-dc1-r1-{number}"
        ledger = ledger.with_node(LedgerNode(name, f"198.19.1.{number}", HOST_ID.replace("1", "a")))
    node.ledger(ledger.with_node(LedgerNode("shop-dc1-r3-2", "127.0.0.2", HOST_ID.replace("1", "3"))))
    node.write("bin/timeout", FAKE_TIMEOUT.replace("exit 124", "sleep 3; exit 124"))
    with served(node, "127.0.0.2"):
        began = time.monotonic()
        started = node.start()
    assert '"seeds": "127.0.0.2,198.19.0.2,198.19.1.1"' in started["seed_provider"]
    assert node.read("asked").count("/dev/tcp/") == 24
    assert time.monotonic() - began < 20, "one after the other they would take more than a minute"


def test_nodes_that_are_called_by_names_are_found_by_them(node: Node) -> None:
    """The ledger has no addresses then: the only seed is dead, and its name tells how others are called."""
    node.environment["CASSOPS_ADDRESS"] = "pod"
    nodes = {pod: LedgerNode(pod, None, HOST_ID) for pod in (POD, OTHER, "shop-dc1-r2-1")}
    ledger = replace(RUNNING, nodes=nodes, seeds=(f"{OTHER}.shop-dc1-nodes.apps.svc",))
    node.ledger(ledger.with_replacement(POD, "198.19.0.1"))
    node.write(
        "bin/timeout", '#!/bin/sh\ncase "$*" in */shop-dc1-r2-1.shop-dc1-nodes.apps.svc/*) ;; *) exit 1 ;; esac\n'
    )
    seeds = f'"seeds": "shop-dc1-r2-1.shop-dc1-nodes.apps.svc,{OTHER}.shop-dc1-nodes.apps.svc"'
    assert seeds in node.start()["seed_provider"]


def test_alone_there_is_nobody_to_stream_from(node: Node) -> None:
    ledger = RUNNING.without_node(OTHER).with_replacement(POD, "198.19.0.1")
    node.ledger(replace(ledger, seeds=("198.19.0.1",)))
    assert "names no other node" in node.reason()


def test_pod_addresses_need_no_ledger_line(node: Node) -> None:
    node.environment["CASSOPS_ADDRESS"] = "pod"
    seeds = (f"{POD}.shop-dc1-nodes", f"{OTHER}.shop-dc1-nodes")
    node.ledger(replace(RUNNING.without_node(POD), seeds=seeds))
    started = node.start()
    assert started["broadcast_address"] == '"198.18.1.1"'
    assert f'"seeds": "{OTHER}.shop-dc1-nodes"' in started["seed_provider"]


# Held


def test_a_held_node_goes_on_when_the_ledger_allows_it(node: Node) -> None:
    node.ledger(RUNNING)
    process, _reason = node.held()
    node.ledger(RUNNING.with_replacement(POD, "198.19.0.1"), number=2)
    output, _stderr = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "-Dcassandra.replace_address_first_boot=198.19.0.1" in node.read("started")
    assert not (node.root / "tmp/held").exists()
    assert node.read("dev/termination-log") == ""
    assert output.count("cassops: held:") == 1


def test_a_held_node_tells_a_new_reason(node: Node) -> None:
    node.ledger(RUNNING.with_node(LedgerNode(POD, None, HOST_ID)))
    process, _reason = node.held()
    node.ledger(RUNNING, number=2)
    wait_for(lambda: "its volume is empty" in node.read("dev/termination-log"))
    stop(process)


def test_term_ends_a_held_node_at_once(node: Node) -> None:
    # The pause is so long that only a trap can end it in time, also on a machine that is busy.
    node.environment["CASSOPS_PAUSE"] = "3600"
    node.ledger(RUNNING)
    process, _reason = node.held()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 0


# The configuration


def test_our_files_lie_over_the_images(node: Node) -> None:
    node.ledger(RUNNING)
    node.mark()
    node.data()
    started = node.start()
    assert started["conf"] == str(node.root / "cassops/conf")
    assert node.read("cassops/conf/logback.xml") == "ours"
    assert node.read("cassops/conf/jvm-server.options") == "-Xss256k"
    assert node.read("cassops/conf/cassandra-rackdc.properties") == "dc=dc1\nrack=r1\n"
    assert not (node.root / "cassops/conf/cassandra-topology.properties").exists()
    assert started["listen_address"] == '"198.18.1.1"'
    assert started["broadcast_address"] == '"198.19.0.1"'
    assert started["broadcast_rpc_address"] == '"198.19.0.1"'
    assert started["cluster_name"] == '"shop"'


def test_a_second_start_in_the_same_pod_writes_the_same_configuration(node: Node) -> None:
    node.ledger(RUNNING)
    node.mark()
    node.data()
    node.start()
    first = node.read("cassops/conf/cassandra.yaml")
    node.start()
    assert node.read("cassops/conf/cassandra.yaml") == first


# The probe

OPEN = "   0: 00000000:2352 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 1 1\n"
OPEN_6 = OPEN.replace("00000000:2352", "0" * 32 + ":2352")
LOOPBACK = OPEN.replace("00000000:2352", "0100007F:2352")
LOOPBACK_MAPPED = OPEN.replace("00000000:2352", "0000000000000000FFFF00000100007F:2352")
LOOPBACK_6 = OPEN.replace("00000000:2352", "00000000000000000000000001000000:2352")
CONNECTED = OPEN.replace(" 0A ", " 01 ")
OTHER_PORT = OPEN.replace(":2352", ":1B58")
POD_ADDRESS = OPEN.replace("00000000:2352", "010112C6:2352")


def probe(node: Node) -> subprocess.CompletedProcess[str]:
    node.write("probe.sh", scripts.PROBE)
    command = [node.shell, str(node.root / "probe.sh")]
    return subprocess.run(command, env=node.environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("tcp", "tcp6", "ready"),
    [
        (OPEN, None, True),
        ("", OPEN_6, True),
        (POD_ADDRESS, "", True),
        (LOOPBACK + OPEN, "", True),
        (LOOPBACK, "", False),
        ("", LOOPBACK_MAPPED, False),
        ("", LOOPBACK_6, False),
        (CONNECTED, "", False),
        (OTHER_PORT, OTHER_PORT, False),
        ("", None, False),
    ],
)
def test_ready_is_cql_open_to_others(node: Node, tcp: str, tcp6: str | None, ready: bool) -> None:
    header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    node.write("proc/net/tcp", header + tcp)
    if tcp6 is not None:
        node.write("proc/net/tcp6", header + tcp6)
    node.mark(joined=False)
    assert (probe(node).returncode == 0) is ready
    assert (node.marks / "alive").exists() is ready
    assert (node.marks / "joined").exists() is ready


def test_the_probe_tells_why_a_node_is_held(node: Node) -> None:
    node.write("proc/net/tcp", OPEN)
    node.write("tmp/held", "its volume is empty\n")
    node.mark(joined=False)
    result = probe(node)
    assert result.returncode == 1
    assert "its volume is empty" in result.stdout
    assert not (node.marks / "alive").exists()


# The stop


def pod_ends(node: Node, code: int = 0) -> subprocess.CompletedProcess[str]:
    node.write("cassops/config/probe.sh", scripts.PROBE)
    node.write("stop.sh", scripts.STOP)
    node.write("bin/nodetool", f'#!/bin/sh\necho "$*" >>"$CASSOPS_ROOT/closed"\nexit {code}\n').chmod(0o755)
    command = [node.shell, str(node.root / "stop.sh")]
    return subprocess.run(command, env=node.environment, capture_output=True, text=True, check=False)


def test_a_pod_that_ends_closes_cql_first(node: Node) -> None:
    node.write("proc/net/tcp", OPEN)
    node.mark()
    assert pod_ends(node).returncode == 0
    assert node.read("closed") == "disablebinary\n"


@pytest.mark.parametrize("tcp", ["", LOOPBACK, OTHER_PORT], ids=["starting", "doorkeeper", "no CQL"])
def test_a_pod_without_clients_ends_at_once(node: Node, tcp: str) -> None:
    node.write("proc/net/tcp", tcp)
    assert pod_ends(node).returncode == 0
    assert node.read("closed") == ""


# What the kernel tells of process 1: the start script, Cassandra's launcher, Java.
TRAPS, LAUNCHER, JAVA = "0000000000014002", "0000000000010002", "2000000181005ccf"


@pytest.mark.parametrize("masks", [[JAVA], [LAUNCHER, JAVA], [TRAPS, LAUNCHER, LAUNCHER, JAVA], [TRAPS]])
def test_a_pod_that_ends_while_it_starts_is_told_to_end_when_it_can_hear(node: Node, masks: list[str]) -> None:
    """The hook's end is what the kubelet waits for before it sends TERM."""
    node.write("proc/net/tcp", "")
    after = [f"Name:\tsh\nSigCgt:\t{mask}\nCapInh:\t0\n" for mask in [*masks, masks[-1]]]
    for number, text in enumerate(after):
        node.write(f"masks/{number}", text)
    # Time goes on while the hook sleeps.
    script = '#!/bin/sh\nn=$(cat "$CASSOPS_ROOT/n"); cp "$CASSOPS_ROOT/masks/$n" "$CASSOPS_ROOT/proc/1/status"\n'
    node.write("bin/sleep", script + 'echo $((n + 1)) >"$CASSOPS_ROOT/n"\n').chmod(0o755)
    node.write("n", "1\n")
    node.write("proc/1/status", after[0])
    assert pod_ends(node).returncode == 0
    assert int(node.read("n")) == len(masks) + 1, "it looked twice at a process that hears it"


def test_a_pod_that_is_held_ends_at_once(node: Node) -> None:
    node.write("proc/net/tcp", "")
    node.write("tmp/held", "its volume is empty\n")
    node.write("bin/sleep", '#!/bin/sh\necho >>"$CASSOPS_ROOT/slept"\n').chmod(0o755)
    assert pod_ends(node).returncode == 0
    assert node.read("slept") == ""


def test_a_pod_that_never_hears_it_ends_all_the_same(node: Node) -> None:
    node.write("proc/net/tcp", "")
    node.write("proc/1/status", f"SigCgt:\t{LAUNCHER}\n")
    node.write("bin/sleep", '#!/bin/sh\necho >>"$CASSOPS_ROOT/slept"\n').chmod(0o755)
    assert pod_ends(node).returncode == 0
    assert node.read("slept").count("\n") == 60


def test_cql_that_cannot_be_closed_is_told(node: Node) -> None:
    node.write("proc/net/tcp", OPEN)
    assert pod_ends(node, code=1).returncode == 1


# The commit log


def test_without_a_point_in_time_nothing_is_archived(node: Node) -> None:
    """The file has something in it all the same: 5.0 does not start with an empty one."""
    node.ledger(RUNNING)
    node.mark()
    node.data()
    node.start()
    assert node.read("cassops/conf/commitlog_archiving.properties") == "archive_command=\n"
    assert not (node.marks / "archive").exists()


def test_archiving_notes_when_it_began_and_when_it_was_off(node: Node) -> None:
    node.ledger(RUNNING)
    node.mark()
    node.data()
    lost = node.marks / "archive/lost"
    node.environment["CASSOPS_ARCHIVE"] = "1000"
    node.start()
    assert node.read("cassops/conf/commitlog_archiving.properties") == (
        "archive_command=/bin/sh /cassops/config/archive.sh %path %name\n"
    )
    assert lost.exists()
    lost.unlink()
    node.start()
    assert not lost.exists()
    del node.environment["CASSOPS_ARCHIVE"]
    node.start()
    assert not lost.exists()
    node.environment["CASSOPS_ARCHIVE"] = "1000"
    node.start()
    assert lost.exists()
    assert not (node.marks / "archive/off").exists()


def test_a_restore_is_replayed_until_the_node_has_served(node: Node) -> None:
    node.ledger(RUNNING)
    node.mark()
    node.data()
    node.write("var/lib/cassandra/.cassops/replay", "r1/h1/log 2026:11:22 03:14:00\n")
    for _turn in range(2):
        node.start()
        assert node.read("cassops/conf/commitlog_archiving.properties").splitlines() == [
            "archive_command=",
            "restore_command=/bin/ln %from %to",
            f"restore_directories={node.marks}/restore/r1/h1/log",
            "restore_point_in_time=2026:11:22 03:14:00",
            "precision=MICROSECONDS",
        ]
    node.write("proc/net/tcp", LOOPBACK)
    assert probe(node).returncode == 1
    assert (node.marks / "replay").exists()
    node.write("proc/net/tcp", OPEN)
    assert probe(node).returncode == 0
    node.start()
    assert node.read("cassops/conf/commitlog_archiving.properties") == "archive_command=\n"


def test_the_probe_renews_the_sign_of_life(node: Node) -> None:
    node.write("proc/net/tcp", OPEN)
    node.mark()
    alive = node.write("var/lib/cassandra/.cassops/alive", "")
    os.utime(alive, (1, 1))
    assert probe(node).returncode == 0
    assert time.time() - alive.stat().st_mtime < 60


@pytest.mark.skipif(SHELLCHECK is None, reason="the virtual environments of other versions have no shellcheck")
@pytest.mark.parametrize("script", [scripts.START, scripts.PROBE, scripts.STOP])
def test_shellcheck_has_nothing_to_say(script: str) -> None:
    result = subprocess.run([str(SHELLCHECK), "-"], input=script, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_what_was_deleted_before_a_stop_ages_while_all_are_stopped(node: Node) -> None:
    """It was down before the others were stopped: they may purge the markers of what it has missed."""
    now = int(time.time())
    node.ledger(replace(RUNNING, pause=(now - 300_000, now - 10)))
    node.mark()
    node.data()
    node.served(900_000)
    assert "longer than gc_grace_seconds (864000)" in node.reason()


@pytest.mark.parametrize(("drained", "before"), [(60, 0), (500, 60), (500, 200)])
def test_a_node_that_drained_for_long_before_a_stop_was_stopped_by_it(node: Node, drained: int, before: int) -> None:
    """It stopped serving when CQL was closed; the pause begins when the last node has ended."""
    now = int(time.time())
    closed = now - 2_000_000
    node.ledger(replace(RUNNING, pause=(closed + drained, now - 10), closed=closed))
    node.mark()
    node.data()
    node.served(2_000_000 + before)
    if before <= 120:
        node.start()
    else:
        assert "longer than gc_grace_seconds (864000)" in node.reason(), "it was down before the others"
