# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS between nodes: what options come to, and which changes leave nodes that hear each other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import internode_encryption
from ansible_collections.cassops.kubernetes.plugins.module_utils.internode_encryption import Encryption, Member
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests.config_map import config_map
from ansible_collections.cassops.kubernetes.plugins.module_utils.spec_parser import parse

FILES = {"keystore": "/tls/tls-combined.pem", "truststore": "/tls/ca.crt"}
# The steps of docs/tls.md, from a datacenter that knows no TLS to one that knows nothing else.
PLAIN = Encryption("none", optional=False)
PREPARED = Encryption("none", optional=True)
OPEN = Encryption("all", optional=True)
CLOSED = Encryption("all", optional=False)
WAY = (PLAIN, PREPARED, OPEN, CLOSED)


@pytest.mark.parametrize(
    ("options", "encryption"),
    [
        ({}, PLAIN),
        ({"internode_encryption": "none"}, PLAIN),
        ({"internode_encryption": "none", **FILES}, PREPARED),
        ({"internode_encryption": "none", "optional": False, **FILES}, PLAIN),
        ({"internode_encryption": "all", **FILES}, OPEN),
        ({"internode_encryption": "all", "optional": "False", **FILES}, CLOSED),
        ({"internode_encryption": "all", "enabled": True, **FILES}, CLOSED),
        ({"internode_encryption": "all"}, CLOSED),
        ({"internode_encryption": "all", "ssl_context_factory": {"parameters": {"private_key": "x"}}}, OPEN),
        ({"internode_encryption": "all", "ssl_context_factory": "org.example.Factory"}, CLOSED),
        ({"internode_encryption": "rack", "optional": False, **FILES}, Encryption("rack", optional=True)),
        ({"internode_encryption": "dc", "optional": False, **FILES}, Encryption("dc", optional=True)),
    ],
)
def test_what_options_come_to(options: Mapping[str, Any], encryption: Encryption) -> None:
    assert internode_encryption.of_options(options) == encryption
    made = configuration(options)
    assert internode_encryption.of_config_map(made) == encryption
    told = {"data": {"cassandra.yaml": internode_encryption.line(made)}}
    assert internode_encryption.of_config_map(told) == encryption


def test_options_that_are_none_are_those_of_cassandra() -> None:
    """An older release of the collection let them pass, and Cassandra does not start with them."""
    assert (
        internode_encryption.of_config_map({"data": {"cassandra.yaml": f'{internode_encryption.KEY}: "all"\n'}})
        == PLAIN
    )


def test_what_is_told_of_a_configuration_has_no_password() -> None:
    made = configuration({"internode_encryption": "all", "keystore_password": "hunter2", **FILES})
    assert "hunter2" in made["data"]["cassandra.yaml"]
    assert "hunter2" not in internode_encryption.line(made)


def configuration(options: Mapping[str, Any]) -> dict[str, Any]:
    desired = parse(
        {
            "cluster": "shop",
            "datacenter": "dc1",
            "version": "5.0.9",
            "racks": [{"name": "r1", "nodes": 1}],
            "storage": {"size": "1Gi"},
            "config": {"server_encryption_options": dict(options)} if options else {},
        }
    )
    return config_map(desired, Ledger("1", "shop", "dc1", born_version="5.0.9"))


def members(*encryptions: Encryption, racks: int = 3) -> list[Member]:
    return [Member(f"n{number}", f"r{number % racks}", each) for number, each in enumerate(encryptions)]


def refused(before: Encryption, after: Encryption, racks: int = 3) -> bool:
    return bool(internode_encryption.refusals(members(*[before] * 3, racks=racks), members(*[after] * 3, racks=racks)))


def test_one_step_at_a_time_both_ways() -> None:
    allowed = {(one, other) for one, other in itertools.product(WAY, WAY) if not refused(one, other)}
    steps = {*itertools.pairwise(WAY), *zip(WAY, WAY, strict=True)}
    assert allowed == steps | {(other, one) for one, other in steps}


@pytest.mark.parametrize(
    ("before", "after", "racks", "wrong"),
    [
        (PREPARED, Encryption("rack", optional=True), 3, False),
        (PLAIN, Encryption("rack", optional=True), 3, True),
        # Within one rack, and one datacenter, these call without TLS.
        (PLAIN, Encryption("rack", optional=True), 1, False),
        (PLAIN, Encryption("dc", optional=True), 3, False),
        (CLOSED, Encryption("dc", optional=True), 3, True),
        (Encryption("rack", optional=True), CLOSED, 3, False),
        (Encryption("rack", optional=True), CLOSED, 1, True),
        (Encryption("rack", optional=True), OPEN, 3, False),
    ],
)
def test_encryption_between_racks_and_datacenters(
    before: Encryption, after: Encryption, racks: int, wrong: bool
) -> None:
    assert refused(before, after, racks) == wrong


def test_a_refusal_says_who_would_not_hear_whom_and_what_to_do() -> None:
    assert internode_encryption.refusals(members(PLAIN, PLAIN), members(CLOSED, CLOSED)) == [
        "server_encryption_options: nodes would not hear each other until all have restarted: n1 would call n0 by TLS, "
        "and it takes none. Take one step after the other, with a restart of all nodes after each: optional: true "
        "beside internode_encryption: none, then beside internode_encryption: all, then what you want; or stop the "
        "datacenter and start it, which brings the change to all nodes at once"
    ]


def test_a_rollout_that_is_half_done_goes_on() -> None:
    assert not internode_encryption.refusals(members(OPEN, PREPARED, PREPARED), members(PREPARED, OPEN, OPEN)[1:])
    assert internode_encryption.refusals(members(CLOSED, OPEN, PREPARED), members(CLOSED, CLOSED, CLOSED)[1:])


def test_a_node_need_not_hear_itself() -> None:
    assert not internode_encryption.refusals(members(PLAIN), members(CLOSED))
    assert not internode_encryption.refusals(members(PLAIN), [])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (None, False),
        ({}, False),
        ({"internode_encryption": "none", **FILES}, False),
        ({"internode_encryption": "all", **FILES}, True),
        ({"internode_encryption": "all", "optional": True, **FILES}, False),
        ({"internode_encryption": "all", "optional": False, **FILES}, False),
        ({"internode_encryption": "rack", **FILES}, False),
    ],
)
def test_advice_where_cassandra_leaves_a_door_open(options: Mapping[str, Any] | None, told: bool) -> None:
    advice = internode_encryption.advice({"server_encryption_options": options}, "cassandra_config")
    assert bool(advice) == told
    assert all(each.startswith("cassandra_config.server_encryption_options.optional: is not set") for each in advice)
