# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import LedgerError
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import (
    Ledger,
    LedgerNode,
    from_config_map,
    new_id,
)

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
ADDRESSES = st.ip_addresses().map(str)
NODES = st.dictionaries(NAMES, st.tuples(st.none() | ADDRESSES, st.none() | st.uuids().map(str)), max_size=6).map(
    lambda nodes: {pod: LedgerNode(pod, address, host_id) for pod, (address, host_id) in nodes.items()}
)
TOKENS = st.dictionaries(NAMES, st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=4).map(tuple))
LEDGERS = st.builds(
    Ledger,
    id=st.uuids().map(lambda value: value.hex),
    cluster=NAMES,
    datacenter=NAMES,
    phase=st.sampled_from(["new", "running"]),
    nodes=NODES,
    tokens=TOKENS,
    seeds=st.lists(ADDRESSES, max_size=4).map(tuple),
    first=NAMES,
    hash_rounds=st.none() | st.integers(4, 30),
    gc_grace_seconds=st.integers(1, 10**7),
    replace=st.dictionaries(NAMES, ADDRESSES, max_size=3),
    self_replace=st.booleans(),
    single_copies=st.lists(NAMES, max_size=3).map(tuple),
    volumes=st.dictionaries(NAMES, st.integers(1, 99), max_size=3),
    born_version=st.sampled_from(["", "4.1.10", "5.0.9"]),
    replicas=st.none() | st.integers(1, 9),
    stopped=st.none() | st.integers(0, 2**40),
    pause=st.none() | st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)),
    version=st.sampled_from(["", "4.1.10", "5.0.9"]),
    storage_mode=st.sampled_from([None, "CASSANDRA_4", "NONE"]),
    mixed=st.sampled_from(["", "Cassandra 4.1 and 5.0"]),
)
LEDGER = Ledger(id=new_id(), cluster="shop", datacenter="dc1", tokens={"a": (1,)})


@given(LEDGERS)
def test_what_is_written_is_read_again(ledger: Ledger) -> None:
    assert from_config_map({"data": ledger.to_data()}) == ledger


@given(LEDGERS)
def test_every_value_is_text_and_every_line_ends(ledger: Ledger) -> None:
    for key, value in ledger.to_data().items():
        assert isinstance(value, str)
        assert key not in ("nodes", "tokens", "replace", "volumes") or not value or value.endswith("\n")


def test_the_order_of_nodes_does_not_change_the_text() -> None:
    one, other = LedgerNode("a", "198.19.0.1"), LedgerNode("b")
    assert LEDGER.with_node(one).with_node(other).to_data() == LEDGER.with_node(other).with_node(one).to_data()


def test_a_node_that_is_forgotten_leaves_nothing() -> None:
    ledger = LEDGER.with_node(LedgerNode("a", "198.19.0.1", "id")).with_replacement("a", "198.19.0.1")
    assert ledger.without_node("a") == Ledger(id=LEDGER.id, cluster="shop", datacenter="dc1")
    assert ledger.address("a") == "198.19.0.1"
    assert ledger.host_id("a") == "id"
    assert ledger.without_replacement("a").replace == {}
    assert LEDGER.address("b") is None
    assert LEDGER.host_id("b") is None


def test_volumes_that_were_given_up_are_counted_and_outlive_the_node() -> None:
    ledger = LEDGER.with_node(LedgerNode("a")).with_volume_number("a", 2).with_volume_number("b", 1)
    assert (ledger.volume_number("a"), ledger.volume_number("c")) == (2, 0)
    assert ledger.with_volume_number("b", 0).volumes == {"a": 2}
    assert ledger.volumes == {"a": 2, "b": 1}
    assert ledger.without_node("a").volumes == {"a": 2, "b": 1}


def test_a_ledger_of_before_is_read() -> None:
    data = {key: value for key, value in LEDGER.to_data().items() if key not in ("single_copies", "volumes")}
    assert from_config_map({"data": data}) == LEDGER


def test_a_key_that_the_config_map_has_is_written_also_where_there_is_nothing_to_tell() -> None:
    read = from_config_map({"data": replace(LEDGER, stopped=5, mixed="Cassandra 4.1 and 5.0", replicas=3).to_data()})
    data = replace(read, stopped=None, mixed="").to_data()
    assert (data["stopped"], data["mixed"], data["replicas"]) == ("", "", "3")
    assert from_config_map({"data": data}) == replace(LEDGER, replicas=3)
    assert from_config_map({"data": data}).to_data() == data, "a second run changes nothing"
    assert from_config_map({"data": LEDGER.to_data()}).to_data() == LEDGER.to_data(), "one of before stays as it is"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"phase": None}, "phase"),
        ({"phase": "odd"}, "phase"),
        ({"id": None}, "id"),
        ({"nodes": "only-a-name\n"}, "nodes"),
        ({"tokens": "a one,two\n"}, "one"),
        ({"gc_grace_seconds": "ten days"}, "ten days"),
    ],
)
def test_a_ledger_that_cannot_be_read_is_named(change: dict[str, str | None], word: str) -> None:
    data = {key: value for key, value in {**LEDGER.to_data(), **change}.items() if value is not None}
    with pytest.raises(LedgerError, match=word) as error:
        from_config_map({"metadata": {"name": "shop-dc1-ledger"}, "data": data})
    assert "shop-dc1-ledger" in error.value.message
