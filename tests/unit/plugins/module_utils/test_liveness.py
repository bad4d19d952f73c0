# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import replace

import pytest
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils import cql, ring
from ansible_collections.cassops.kubernetes.plugins.module_utils.liveness import TOGETHER, Liveness, probes, statement
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Endpoint

THREE = {"class": "NetworkTopologyStrategy", "dc1": "3"}


def asked(members: dict[str, Endpoint], dead: Collection[str], replicas: str = "3") -> tuple[Liveness, int]:
    """What the first of the members finds out, and with how many reads."""
    own = next(address for address in members if address not in dead)
    known, reads = Liveness({own}), 0
    for _keys, held in probes(members, {**THREE, "dc1": replicas}):
        if known.settles(members):
            break
        if known.would_tell(held):
            reads += 1
            if set(held) & set(dead):
                known.refused.append(frozenset(held))
            else:
                known.up.update(held)
    return known, reads


@pytest.mark.parametrize("seed", range(60))
def test_nothing_false_is_ever_proven(seed: int) -> None:
    choose = random.Random(seed)
    members = views.endpoints(views.nodes(per_rack=choose.randint(1, 5)), num_tokens=choose.choice([1, 4, 16]))
    dead = set(choose.sample(sorted(members), choose.randint(0, len(members) - 1)))
    known, _reads = asked(members, dead, choose.choice("123"))
    assert known.up <= set(members) - dead
    assert known.down() <= dead


@pytest.mark.parametrize("per_rack", [2, 3, 10, 30])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_few_dead_ones_are_told_by_a_few_reads(per_rack: int, number: int) -> None:
    """Each is a round trip, where nodetool is a JVM."""
    members = views.endpoints(views.nodes(per_rack=per_rack), num_tokens=16)
    dead = random.Random(per_rack).sample(sorted(members), number)
    known, reads = asked(members, dead)
    assert known.settles(members) or number > 1, "with two a member may have only dead neighbours"
    assert known.down() == set(dead) or not known.settles(members)
    assert reads <= len(members) + 6 * number


@pytest.mark.parametrize(("per_rack", "most"), [(1, 1), (2, 2), (4, 5), (20, 22)])
def test_a_whole_ring_is_told_by_nearly_as_few_reads_as_can_be(per_rack: int, most: int) -> None:
    """Each proves three of them."""
    members = views.endpoints(views.nodes(per_rack=per_rack), num_tokens=16)
    known, reads = asked(members, [])
    assert known.settles(members)
    assert reads <= most


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_large_ring_is_told_by_few_statements(number: int) -> None:
    """All of a thousand nodes may be asked: each read more is a thousand more."""
    members = views.endpoints(views.nodes(per_rack=100), num_tokens=16)
    dead = random.Random(number).sample(sorted(members), number)
    known, reads = asked(members, dead)
    assert known.down() == set(dead)
    assert known.up == set(members) - set(dead)
    assert reads <= 6 + number * (TOGETHER + 6)


def test_a_statement_reads_its_keys_at_once() -> None:
    assert statement(("a", "it's")) == "SELECT role FROM system_auth.roles WHERE role IN ('a', 'it''s') LIMIT 2"


def test_where_every_read_needs_everybody_nobody_is_told() -> None:
    members = views.endpoints(views.nodes())
    known, reads = asked(members, ["198.19.0.2"])
    assert not known.settles(members)
    assert (known.down(), reads) == (set(), 1)


def test_keys_have_their_real_replicas() -> None:
    for per_rack, replicas in ((1, "1"), (1, "3"), (3, "2"), (4, "3"), (20, "3")):
        members = views.endpoints(views.nodes(per_rack=per_rack), num_tokens=16)
        replication = {"class": "NetworkTopologyStrategy", "dc1": replicas}
        keys = list(probes(members, replication))
        assert {address for _key, held in keys for address in held} == set(members)
        ranges = ring.replicas(
            {address: item.tokens for address, item in members.items()},
            {address: item.rack for address, item in members.items()},
            dict.fromkeys(members, "dc1"),
            replication,
        )
        for read, held in keys[:20]:
            expected = [
                holders
                for token in map(cql.token, read)
                for (start, end), holders in ranges
                if (start < token <= end) or (start >= end and (token > start or token <= end))
            ]
            assert len(expected) == len(read)
            assert set(held) == {address for holders in expected for address in holders}


def test_there_is_nothing_to_read() -> None:
    members = views.endpoints(views.nodes())
    joining = {address: replace(item, tokens=()) for address, item in members.items()}
    assert list(probes(members, {})) == list(probes({}, THREE)) == list(probes(joining, THREE)) == []


@pytest.mark.parametrize(
    "replication",
    [
        {"class": "SimpleStrategy", "replication_factor": "4"},
        {**THREE, "dc1": "4"},
        {**THREE, "dc1": "2", "dc2": "2"},
    ],
)
def test_where_there_are_fewer_nodes_than_replicas_a_refusal_proves_nothing(replication: dict[str, str]) -> None:
    """Cassandra counts those that the keyspace asks for, also in a datacenter without nodes."""
    assert probes(views.endpoints(views.nodes(per_rack=1)), replication) == []
    assert probes(views.endpoints(views.nodes(per_rack=1)), {**THREE, "dc1": "3", "dc2": "0"})


def test_the_search_ends_where_a_datacenter_has_no_replicas() -> None:
    members = views.endpoints(views.nodes())
    far = {"far": replace(members["198.19.0.1"], address="far", datacenter="dc2", tokens=(1, 2))}
    assert {address for _key, held in probes({**members, **far}, THREE) for address in held} == set(members)
