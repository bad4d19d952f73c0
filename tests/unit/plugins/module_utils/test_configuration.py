# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import configuration, settings

RELEASES = {"4.0": (4, 0, 19), "4.1": (4, 1, 10), "5.0": (5, 0, 9)}


def errors(config: dict[str, Any], line: str = "5.0") -> list[str]:
    return configuration.check(config, RELEASES[line], "cassandra_config")


def test_the_data_is_whole() -> None:
    assert {line: len(keys) for line, keys in settings.KEYS.items()} == {(4, 0): 238, (4, 1): 359, (5, 0): 409}
    for line, renamed in settings.RENAMED.items():
        assert not set(renamed) & settings.KEYS[line]
        assert set(renamed.values()) <= settings.KEYS[line]


@pytest.mark.parametrize("line", RELEASES)
def test_our_own_keys_exist(line: str) -> None:
    missing = {key for key in configuration.OWNED if key not in settings.KEYS[RELEASES[line][:2]]}
    assert missing <= {"native_transport_port_ssl"}
    assert set(configuration.ONLY) <= settings.KEYS[RELEASES[line][:2]]


@pytest.mark.parametrize(
    ("key", "line", "nearest"),
    [
        ("compaction_througput", "5.0", "did you mean compaction_throughput?"),
        ("concurrent_raeds", "4.0", "did you mean concurrent_reads?"),
        ("compaction_throughput", "4.0", "its name there is compaction_throughput_mb_per_sec"),
        ("storage_compatibility_mod", "5.0", "did you mean storage_compatibility_mode?"),
        ("read_request_timeout", "4.0", "its name there is read_request_timeout_in_ms"),
        ("commitlog_periodic_queue_size", "5.0", "it was there up to 4.1: take it out"),
        ("sai_options", "4.1", "it came with 5.0"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(key: str, line: str, nearest: str) -> None:
    (error,) = errors({key: 1}, line)
    assert error.startswith(f"cassandra_config.{key}: Cassandra {line} has no such key")
    assert nearest in error


def test_a_key_of_a_later_line_is_unknown() -> None:
    assert "has no such key" in errors({"storage_compatibility_mode": "NONE"}, "4.1")[0]
    assert not errors({"storage_compatibility_mode": "UPGRADING"})


def test_nothing_near_is_suggested_where_nothing_is_near() -> None:
    assert "did you mean" not in errors({"zzzzqqqq": 1})[0]


def test_old_names_are_taken_where_cassandra_takes_them() -> None:
    assert not errors({"read_request_timeout_in_ms": 5000})
    assert not errors({"read_request_timeout_in_ms": 5000}, "4.0")


def test_both_names_at_once_are_refused() -> None:
    (error,) = errors({"read_request_timeout_in_ms": 5000, "read_request_timeout": "5s"})
    assert "is the old name of read_request_timeout" in error


@pytest.mark.parametrize("key", configuration.OWNED)
def test_our_keys_cannot_be_set(key: str) -> None:
    (error,) = errors({key: "x"})
    assert error.startswith(f"cassandra_config.{key}: cannot be set: ")


@pytest.mark.parametrize(
    ("config", "fine"),
    [
        ({"endpoint_snitch": "GossipingPropertyFileSnitch"}, True),
        ({"endpoint_snitch": "SimpleSnitch"}, False),
        ({"partitioner": "org.apache.cassandra.dht.Murmur3Partitioner"}, True),
        ({"partitioner": "RandomPartitioner"}, False),
        ({"authenticator": "AllowAllAuthenticator"}, False),
        ({"authenticator": {"class_name": "org.apache.cassandra.auth.AllowAllAuthenticator"}}, False),
        ({"authenticator": {"class_name": "MutualTlsWithPasswordFallbackAuthenticator"}}, True),
        ({"num_tokens": 8}, True),
        ({"num_tokens": 0}, False),
        ({"num_tokens": "many"}, False),
        ({"concurrent_reads": None}, True),
    ],
)
def test_values_that_cannot_work_are_refused(config: dict[str, Any], fine: bool) -> None:
    assert (errors(config) == []) is fine


@pytest.mark.parametrize(
    ("key", "since"),
    [
        ("auto_repair", (5, 0, 8)),
        ("compressed_read_ahead_buffer_size", (5, 0, 4)),
        ("concurrent_merkle_tree_requests", (4, 0, 13)),
        ("concurrent_merkle_tree_requests", (4, 1, 5)),
        ("internode_recv_buff_size_in_bytes", (4, 0, 2)),
        ("native_transport_max_auth_threads", (4, 0, 15)),
        ("native_transport_max_message_size", (4, 1, 8)),
        ("native_transport_max_message_size", (5, 0, 3)),
        ("native_transport_timeout", (4, 1, 6)),
        ("repair_request_timeout_in_ms", (4, 0, 7)),
        ("vector_type_enabled", (5, 0, 1)),
    ],
)
def test_a_key_of_a_later_patch_is_refused(key: str, since: tuple[int, int, int]) -> None:
    major, minor, patch = since
    assert configuration.check({key: 1}, (major, minor, patch - 1), "c") == [
        f"c.{key}: came with Cassandra {major}.{minor}.{patch}; {major}.{minor}.{patch - 1} would not start with it: "
        f"take it out, or take {major}.{minor}.{patch}"
    ]
    assert not configuration.check({key: 1}, since, "c")


def test_a_key_that_a_line_began_with_is_taken_from_its_first_patch() -> None:
    assert not configuration.check({"concurrent_merkle_tree_requests": 1}, (5, 0, 0), "c")
    assert not configuration.check({"repair_request_timeout_in_ms": 1}, (4, 1, 0), "c")


def test_an_upgrade_takes_a_key_of_the_later_patch_and_the_way_back_does_not() -> None:
    """The key comes with the version: what is checked is the version that the nodes are to have."""
    config = {"use_creation_time_for_hint_ttl": True}
    assert not configuration.check(config, (4, 0, 16), "c")
    assert "came with Cassandra 4.1.8; 4.1.7" in configuration.check(config, (4, 1, 7), "c")[0]
    assert "came with Cassandra 5.0.3; 5.0.2" in configuration.check(config, (5, 0, 2), "c")[0]


def test_what_a_patch_brought_is_known() -> None:
    assert {line: len(since) for line, since in settings.SINCE.items()} == {(4, 0): 15, (4, 1): 19, (5, 0): 14}
    for line, since in settings.SINCE.items():
        assert set(since) <= settings.KEYS[line] | set(settings.RENAMED[line])
        assert all(1 <= patch <= RELEASES[f"{line[0]}.{line[1]}"][2] for patch in since.values())


def test_every_fault_is_told_at_once() -> None:
    assert len(errors({"cluster_name": "x", "no_such_key": 1, "num_tokens": -1})) == 3


@pytest.mark.parametrize(
    ("options", "faults"),
    [
        ({"enabled": True, "require_client_auth": True}, 1),
        ({"enabled": "true", "optional": False, "require_client_auth": "true"}, 1),
        ({"enabled": True, "optional": True, "require_client_auth": True}, 0),
        ({"enabled": True, "require_client_auth": "optional"}, 0),
        ({"enabled": True}, 0),
        ({"enabled": False, "require_client_auth": True}, 0),
        ({}, 0),
        (None, 0),
    ],
)
def test_cql_that_only_takes_clients_with_certificates_is_refused(
    options: dict[str, object] | None, faults: int
) -> None:
    told = configuration.check({"client_encryption_options": options}, (5, 0, 9), "cassandra_config")
    assert len(told) == faults
    assert all("client_encryption_options.require_client_auth: must be false" in each for each in told)


@pytest.mark.parametrize("key", ["client_encryption_options", "server_encryption_options"])
def test_encryption_options_are_a_mapping(key):
    told = configuration.check({key: ["keystore_password=hunter2"]}, (5, 0, 9), "cassandra_config")
    assert told == [f"cassandra_config.{key}: must be a mapping of options, got a list"]


def test_what_is_written_into_a_configuration():
    made = {"data": {"cassandra.yaml": 'num_tokens: 16\nnum: 4\nauthenticator: {"class_name": "X"}\n'}}
    assert configuration.written(made, "num") == 4
    assert configuration.written(made, "authenticator") == {"class_name": "X"}
    assert configuration.written(made, "tokens") is None
    assert configuration.written({"data": {}}, "num") is None


@pytest.mark.parametrize(
    "key", ["authenticator", "num_tokens", "partitioner", "role_manager", "storage_compatibility_mode"]
)
def test_what_must_not_be_left_to_cassandra_is_not_null(key: str) -> None:
    """Its own authenticator would let everybody in."""
    (told,) = configuration.check({key: None}, (5, 0, 9), "cassandra_config")
    assert told.startswith(f"cassandra_config.{key}: must not be null")
    assert configuration.check({"sstable_preemptive_open_interval": None}, (5, 0, 9), "cassandra_config") == []
