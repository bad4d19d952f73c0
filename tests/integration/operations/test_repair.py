# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes under a client: replicas that lack rows get them, once, whatever becomes of a run."""

from __future__ import annotations

import re

import pytest
from integration.harness import cargo, waiting
from integration.harness.datacenter import Datacenter
from integration.harness.workload import Workload

KEYSPACE = "uneven"
MEBIBYTES = 16


def mebibytes(datacenter: Datacenter, node: str) -> int:
    """Of data files of the keyspace on a node's volume."""
    script = f"cat /var/lib/cassandra/data/{KEYSPACE}/*/*-Data.db 2>/dev/null | wc -c"
    return int(datacenter.namespace.exec(node, "sh", "-c", script)) // cargo.MEBIBYTE


def test_what_replicas_lack_comes_and_a_run_that_is_killed_is_finished_by_the_next(
    three: Datacenter, client: Workload
) -> None:
    with cargo.on_one_replica(three, MEBIBYTES, KEYSPACE), client.none_fails("ALL"):
        foreseen = three.run("repair", "--check", facts=True, repair_keyspaces=KEYSPACE).ok().facts[three.host]
        assert sorted(each["node"] for each in foreseen["due"]) == three.nodes
        assert {each["last"] for each in foreseen["due"]} == {None}

        killed = three.start("repair", repair_keyspaces=KEYSPACE)
        waiting.until(
            "the second node's turn", lambda: [] if f"{KEYSPACE}, 2 to go" in killed.output else [killed.output], 300
        )
        killed.kill()

        told = three.run("repair", facts=True, repair_keyspaces=KEYSPACE).ok().facts[three.host]
        # The node that was at it may have ended by itself meanwhile, and then it is not repaired again.
        assert len(told["repaired"]) in (1, 2), told
        assert told["due"] == []
        assert told["repaired_until"][KEYSPACE] is not None
        for node in three.nodes:
            three.nodetool(node, "flush", KEYSPACE)
        assert all(mebibytes(three, node) >= MEBIBYTES for node in three.nodes)
        assert three.run("repair", repair_keyspaces=KEYSPACE).ok().changed == 0


@pytest.mark.soak
def test_a_node_that_dies_while_it_leads_a_repair_is_named_and_keeps_nobody_waiting(
    three: Datacenter, client: Workload
) -> None:
    """Those that took part have the repair on record for three days."""
    first, second = three.nodes[:2]
    with cargo.on_one_replica(three, MEBIBYTES, KEYSPACE):
        cargo.stream_at(three, three.nodes, cargo.TRICKLE)
        try:
            run = three.start("repair", repair_keyspaces=KEYSPACE, repair_gate_timeout=600)
            waiting.until("streams of the first repair", lambda: no_repair_streams(three, second), 300, pause=0.2)
            three.delete_pod(first, "--grace-period=0", "--force")
            cargo.stream_at(three, three.nodes[1:], cargo.USUAL)
            told = run.wait()
            assert told.rc != 0
            assert f"{first}, keyspace {KEYSPACE}: " in told.output
            assert f"{second}: repair of {KEYSPACE}" in told.output, "the others had their turn"
            again = three.run("repair", facts=True, repair_keyspaces=KEYSPACE).ok().facts[three.host]
            assert [each["node"] for each in again["repaired"]] == [first]
            assert all(mebibytes(three, node) >= MEBIBYTES for node in three.nodes)
            client.check("ALL")
        finally:
            cargo.stream_at(three, three.nodes, cargo.USUAL)


def no_repair_streams(datacenter: Datacenter, node: str) -> list[str]:
    """Whatever the node does, it has statistics of read repairs."""
    told = datacenter.nodetool(node, "netstats")
    return [] if re.search(r"^Repair [0-9a-f]{8}-", told, re.MULTILINE) else [told]
