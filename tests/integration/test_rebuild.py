# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second datacenter is given the rows of the first, under a client that stays there; in the order of this file.

The keyspace is taken away from it and given back in the end: 4.1 would leave such a one without rows, 5.0 would refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from integration.harness import cargo
from integration.harness.datacenter import Datacenter, start
from integration.harness.killed import wait_for_words
from integration.harness.namespace import Namespaces
from integration.harness.playbooks import Result
from integration.harness.workload import KEYSPACE, Workload, connect, rows_of
from sandbox import Sandbox

pytestmark = pytest.mark.soak

# Of data that does not compress; at a trickle it takes minutes to get it to a node.
MEBIBYTES = 64
PIECES = MEBIBYTES * cargo.MEBIBYTE // cargo.PIECE
NOTE = "cassops.kubernetes/rebuilt"
GIVEN: dict[str, Any] = {"rebuild_replication": {KEYSPACE: 2}}


@pytest.fixture(scope="module", params=["5.0.9", "4.1.10"])
def pair(request: pytest.FixtureRequest, namespaces: Namespaces, sandbox: Sandbox) -> Iterator[list[Datacenter]]:
    """Three nodes that serve, and two that are to."""
    variables = {"cassandra_version": request.param}
    sandbox.load_image(f"cassandra:{request.param}")
    with namespaces.fresh("rebuild-1") as first, namespaces.fresh("rebuild-2") as second:
        both = [
            Datacenter(first, cluster="pair", name="dc1", variables=variables),
            Datacenter(second, cluster="pair", name="dc2", racks={"x1": 1, "x2": 1}, variables=variables),
        ]
        start("deploy", both).wait().ok()
        start("deploy", both).wait().ok()
        yield both


@pytest.fixture(scope="module")
def client(pair: list[Datacenter]) -> Iterator[Workload]:
    """At work in the first datacenter all the time."""
    with Workload(pair[0], consistency="LOCAL_QUORUM") as client:
        cargo.write(pair[0], "cargo", PIECES)
        client.wait_for_rows(200)
        yield client


def rebuild(pair: Sequence[Datacenter], *words: str, **extra: Any) -> Result:
    return start("rebuild", pair, *words, rebuild_hosts=pair[1].host, **{**GIVEN, **extra}).wait(3600)


def note(pair: Sequence[Datacenter]) -> str:
    ledger = pair[1].namespace.get("configmap", f"{pair[1].prefix}-ledger")
    noted: str = ledger["metadata"].get("annotations", {}).get(NOTE, "")
    return noted


def replicate(pair: Sequence[Datacenter], **replicas: int) -> None:
    """By hand."""
    options = ", ".join(f"'{name}': {count}" for name, count in replicas.items())
    with connect(pair[0]) as driver:
        statement = f"ALTER KEYSPACE {KEYSPACE} WITH replication = {{'class': 'NetworkTopologyStrategy', {options}}}"
        driver.connect().execute(statement, timeout=120)


def lacking(pair: Sequence[Datacenter], expected: dict[int, str]) -> list[int]:
    """Rows that the second datacenter does not have, by its own word."""
    found = rows_of(pair[1], consistency="LOCAL_QUORUM")
    return [number for number, text in expected.items() if found.get(number) != text]


def pieces(pair: Sequence[Datacenter]) -> int:
    """Of the cargo, in the second datacenter."""
    with connect(pair[1], consistency="LOCAL_QUORUM") as driver:
        session = driver.connect()
        return len(list(session.execute(f"SELECT n FROM {KEYSPACE}.cargo", timeout=120)))


def test_a_datacenter_that_nobody_has_named_is_not_touched(pair: list[Datacenter], client: Workload) -> None:
    start("rebuild", pair, **GIVEN).wait().refused("Which datacenter gets rows?", f"-e rebuild_hosts={pair[1].host}")
    result = rebuild(pair, "--check", "--diff").ok()
    assert f'ALTER KEYSPACE "{KEYSPACE}"' in result.output
    rebuild(pair, rebuild_replication={KEYSPACE: 3}).refused("got 3 replicas, and datacenter dc2 has 2 nodes")
    assert note(pair) == ""


def test_rows_come_although_a_run_is_killed(pair: list[Datacenter], client: Workload) -> None:
    one, two = pair
    for node in one.nodes:
        one.nodetool(node, "flush", KEYSPACE)
    with client.none_fails("LOCAL_QUORUM"):
        cargo.stream_at(one, one.nodes, cargo.TRICKLE)
        try:
            run = start("rebuild", pair, rebuild_hosts=two.host, **GIVEN)
            wait_for_words(run, f"rows of {KEYSPACE} from dc1, 2 to go: streaming", 600)
            run.kill()
            print(f"killed after: {run.output.splitlines()[-1]}")
        finally:
            cargo.stream_at(one, one.nodes, cargo.USUAL)
        assert note(pair).startswith(f"{KEYSPACE} ")
        assert " all " not in note(pair)
        assert any("given the rows" in each["problem"] for each in two.status()["problems"])
        expected = dict(client.record.acknowledged)
        result = rebuild(pair).ok()
    print(f"{result.seconds:5.1f} s rebuild and repair")
    assert " all " in note(pair)
    assert lacking(pair, expected) == []
    assert pieces(pair) == PIECES
    assert not any("given the rows" in each["problem"] for each in two.status()["problems"])


def test_again_changes_nothing(pair: list[Datacenter], client: Workload) -> None:
    lives = [one.lives() for one in pair]
    assert rebuild(pair).ok().changed == 0
    assert rebuild(pair, "--check").ok().changed == 0
    assert [one.lives() for one in pair] == lives


def test_what_was_taken_away_and_given_back_has_its_rows_again(pair: list[Datacenter], client: Workload) -> None:
    """Its old ones are deleted first."""
    replicate(pair, dc1=3)
    before = set(client.record.acknowledged)
    with client.none_fails("LOCAL_QUORUM"):
        client.wait_for_rows(300)
        for words in (["--check"], []):
            rebuild(pair, *words).refused("rows of it are there from a time when it had some", "-e cleanup_all=true")
        start("cleanup", pair, cleanup_hosts=pair[1].host, cleanup_all=True).wait(1800).ok()
        missed = {number: text for number, text in client.record.acknowledged.items() if number not in before}
        for node in pair[0].nodes:
            pair[0].nodetool(node, "flush", KEYSPACE)
        # Without the repair, which would bring them too: a stream of one replica, of three that have nearly all.
        assert rebuild(pair, rebuild_repair=False).ok().changed == 1
        assert len(lacking(pair, missed)) <= len(missed) // 10
        expected = dict(client.record.acknowledged)
        assert rebuild(pair).ok().changed > 0, "only the repair was left"
    assert lacking(pair, expected) == []
    assert pieces(pair) == PIECES
    assert rebuild(pair).ok().changed == 0
