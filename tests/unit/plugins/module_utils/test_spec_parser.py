# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cassops.kubernetes.plugins.module_utils import spec_parser
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import SpecError
from ansible_collections.cassops.kubernetes.plugins.module_utils.spec import PlannedNode, Rack

MINIMAL: Mapping[str, Any] = {
    "cluster": "shop",
    "datacenter": "dc1",
    "version": "5.0.9",
    "racks": [{"name": "r1", "zone": "a", "nodes": 2}, {"name": "r2", "zone": "b", "nodes": 1}],
    "storage": {"size": "100Gi"},
}
DESIRED = spec_parser.parse(MINIMAL)
TOKENS = {node: [100 * number + count for count in range(16)] for number, node in enumerate(("r1-0", "r1-1", "r2-0"))}


def errors(**changes: Any) -> list[str]:
    try:
        spec_parser.parse({**MINIMAL, **changes}, "cassandra_")
    except SpecError as error:
        return error.errors
    return []


def test_the_least_that_is_needed() -> None:
    assert DESIRED.image == "docker.io/library/cassandra:5.0.9"
    assert DESIRED.racks == (Rack("r1", "a", 2), Rack("r2", "b", 1))
    assert DESIRED.prefix == "shop-dc1"
    assert DESIRED.nodes() == (
        PlannedNode("shop-dc1-r1-0", "r1", 0),
        PlannedNode("shop-dc1-r1-1", "r1", 1),
        PlannedNode("shop-dc1-r2-0", "r2", 0),
    )
    assert DESIRED.resources == {"limits": {"memory": "8Gi"}, "requests": {"cpu": "2", "memory": "8Gi"}}
    assert DESIRED.heap == "4096M"
    assert DESIRED.num_tokens == 16
    assert DESIRED.superuser_secret == "shop-superuser"
    assert (DESIRED.address, DESIRED.self_replace, DESIRED.allow_shared_workers) == ("service", False, False)
    assert DESIRED.storage_class is None


def test_tokens_may_be_given() -> None:
    parsed = spec_parser.parse(
        {**MINIMAL, "tokens": {node: list(map(str, reversed(values))) for node, values in TOKENS.items()}}
    )
    assert parsed.tokens == {f"shop-dc1-{node}": tuple(values) for node, values in TOKENS.items()}
    assert DESIRED.tokens == {}


BACKUP: Mapping[str, Any] = {"repository": "s3:https://s3.example.com/b/c/", "password_secret": "key"}


def test_a_backup_has_defaults() -> None:
    assert DESIRED.backup is None
    plan = spec_parser.parse_backup(BACKUP)
    assert plan == spec_parser.parse({**MINIMAL, "backup": BACKUP}).backup
    assert (plan.repository, plan.credentials_secret) == ("s3:https://s3.example.com/b/c", "")
    assert (plan.keep, plan.bandwidth) == ({"last": 7, "daily": 0, "weekly": 0, "monthly": 0}, 50 * 2**20)
    assert plan.image == "docker.io/restic/restic:0.18.1"
    assert (plan.point_in_time, plan.point_in_time_days) == (False, 7)
    assert (plan.schedule, plan.schedule_image, plan.schedule_account) == ("", "", "cassops")
    assert (plan.schedule_memory, plan.schedule_variables) == ("512Mi", {})


def test_a_backup_may_come_from_a_survey() -> None:
    values = {**BACKUP, "repository": "/backups", "keep": {"daily": "3"}, "bandwidth": "0", "exclude_keyspaces": "a, b"}
    plan = spec_parser.parse_backup(json.dumps({**values, "point_in_time": "no"}))
    assert (plan.repository, plan.bandwidth, plan.exclude_keyspaces) == ("/backups", 0, ("a", "b"))
    assert plan.keep == {"last": 0, "daily": 3, "weekly": 0, "monthly": 0}
    assert plan.point_in_time is False
    values |= {"point_in_time": "true", "point_in_time_days": "30", "exclude_keyspaces": ""}
    plan = spec_parser.parse_backup(json.dumps(values))
    assert (plan.point_in_time, plan.point_in_time_days) == (True, 30)


def test_a_point_in_time_needs_backups_of_everything() -> None:
    """None of those without a keyspace could ever be gone on from."""
    (fault,) = errors(backup={**BACKUP, "exclude_keyspaces": ["scratch"], "point_in_time": True})
    assert fault.startswith("cassandra_backup.exclude_keyspaces: must be empty with point_in_time: ")


def test_every_fault_of_a_backup_is_told_at_once() -> None:
    found = errors(
        backup={
            "repository": "ftp://there",
            "credentials_secret": "A_B",
            "keep": {"last": -1, "yearly": 3},
            "bandwidth": "12",
            "exclude_keyspaces": ["x y"],
            "point_in_time": "daily",
            "point_in_time_days": 0,
            "schedule": "daily",
            "schedule_account": "A_B",
            "schedule_memory": "64Mi",
            "schedule_variables": {"backup_parallel": "all", "cassandra_cluster": "other"},
            "schedule_pod_template": {"spec": {"hostNetwork": True}},
            "shedule": "@daily",
        }
    )
    assert [text.partition(": ")[0] for text in found] == [
        "cassandra_backup.shedule",
        "cassandra_backup.repository",
        "cassandra_backup.password_secret",
        "cassandra_backup.credentials_secret",
        "cassandra_backup.keep.yearly",
        "cassandra_backup.keep.last",
        "cassandra_backup.bandwidth",
        "cassandra_backup.exclude_keyspaces[0]",
        "cassandra_backup.point_in_time",
        "cassandra_backup.point_in_time_days",
        "cassandra_backup.schedule",
        "cassandra_backup.schedule_image",
        "cassandra_backup.schedule_account",
        "cassandra_backup.schedule_memory",
        "cassandra_backup.schedule_variables.cassandra_cluster",
        "cassandra_backup.schedule_pod_template.spec.hostNetwork",
    ]


@pytest.mark.parametrize("scheme", ["", "rest:", "s3:", "sftp:"])
def test_a_password_in_a_repository_is_not_repeated(scheme: str) -> None:
    (fault,) = errors(backup={**BACKUP, "repository": f"{scheme}https://me:pearl@rest.example.com/"})
    assert fault.startswith("cassandra_backup.repository: has a user and a password in it")
    assert "pearl" not in fault


def test_every_fault_of_repairs_by_the_clock_is_told_at_once() -> None:
    found = errors(
        repair={
            "schedule": "daily",
            "schedule_account": "A_B",
            "schedule_memory": "64Mi",
            "schedule_variables": {"repair_max_age": 1, "backup_parallel": "all"},
            "schedule_pod_template": {"spec": {"hostNetwork": True}},
            "repository": "s3:there",
        }
    )
    assert [text.partition(": ")[0] for text in found] == [
        "cassandra_repair.repository",
        "cassandra_repair.schedule",
        "cassandra_repair.schedule_image",
        "cassandra_repair.schedule_account",
        "cassandra_repair.schedule_memory",
        "cassandra_repair.schedule_variables.backup_parallel",
        "cassandra_repair.schedule_pod_template.spec.hostNetwork",
    ]


@pytest.mark.parametrize("schedule", ["15 3 * * *", "0 */6 * * 1-5", "@daily"])
def test_a_schedule_is_one_of_kubernetes(schedule: str) -> None:
    plan = spec_parser.parse_backup({**BACKUP, "schedule": schedule, "schedule_image": "tools/cassops:1"})
    assert (plan.schedule, plan.schedule_image) == (schedule, "tools/cassops:1")


def test_the_name_of_a_schedule_fits_kubernetes() -> None:
    long = {"cluster": "a" * 30, "datacenter": "b" * 15, "racks": [{"name": "r", "nodes": 1}]}
    scheduled = {**BACKUP, "schedule": "@daily", "schedule_image": "tools/cassops:1"}
    (found,) = errors(**long, backup=scheduled)
    assert "of 53 characters" in found
    assert errors(**{**long, "datacenter": "b" * 14}, backup=scheduled) == []


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    (found,) = errors(backup={**BACKUP, "repository": "rest:https://ann:hunter2@there/x"})
    assert "put them into the Secret" in found
    assert "hunter2" not in found


@pytest.mark.parametrize("values", [None, "", {}])
def test_no_backup_where_one_is_needed(values: Any) -> None:
    with pytest.raises(SpecError, match="cassandra_backup: is not set"):
        spec_parser.parse_backup(values, "cassandra_")


def test_a_survey_gives_strings() -> None:
    values = {
        **MINIMAL,
        "racks": '[{"name": "r1", "nodes": "3"}]',
        "self_replace": "true",
        "allow_shared_workers": "False",
        "config": '{"num_tokens": "8"}',
        "jvm_options": "-Da=1 -Db=2",
        "heap": "",
    }
    parsed = spec_parser.parse(values)
    assert parsed.racks == (Rack("r1", None, 3),)
    assert parsed.self_replace is True
    assert parsed.allow_shared_workers is False
    assert parsed.num_tokens == 8
    assert parsed.jvm_options == ("-Da=1", "-Db=2")


def test_everything_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(SpecError) as error:
        spec_parser.parse({}, "cassandra_")
    assert [line.split(":")[0] for line in error.value.errors] == [
        "cassandra_cluster",
        "cassandra_datacenter",
        "cassandra_racks",
        "cassandra_version",
        "cassandra_storage.size",
    ]


def test_faults_of_all_kinds_are_told_at_once() -> None:
    found = errors(
        cluster="Shop_",
        version="3.11.19",
        racks=[{"name": "r1", "nodes": 1}, {"name": "r1", "nodes": 0}],
        storage={"size": "0"},
        resources={"limits": {"memory": "600Mi"}},
        jvm_options=["-Xmx1g"],
        address="dns",
    )
    assert [line.split(":")[0] for line in found] == [
        "cassandra_cluster",
        "cassandra_racks[1].nodes",
        "cassandra_racks[1].name",
        "cassandra_version",
        "cassandra_storage.size",
        "cassandra_resources.limits.memory",
        "cassandra_jvm_options[0]",
        "cassandra_address",
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"racks": [{"name": "r1", "nodes": 0}]}, "cassandra_racks[0].nodes: must be at least 1, got 0"),
        ({"racks": [{"name": "r1", "nodes": "-2"}]}, "cassandra_racks[0].nodes: must be at least 1, got -2"),
        ({"racks": [{"name": "r1", "nodes": "two"}]}, "cassandra_racks[0].nodes: must be a whole number, got 'two'"),
        ({"racks": [{"name": "r1", "nodes": True}]}, "must be a whole number"),
        ({"racks": [{"name": "r1", "nodes": 1.5}]}, "must be a whole number"),
        ({"racks": [{"name": "r1"}]}, "cassandra_racks[0].nodes: is missing"),
        ({"racks": [{"nodes": 1}]}, "cassandra_racks[0].name: is missing"),
        (
            {"racks": [{"name": "r1", "nodes": 1, "zoen": "a"}]},
            "cassandra_racks[0].zoen: is not known here; did you mean zone?",
        ),
        ({"racks": []}, "cassandra_racks: must have at least one rack"),
        ({"racks": "r1"}, "cassandra_racks: must be a list, got 'r1'"),
        ({"racks": "[{"}, "cassandra_racks: looks like JSON but cannot be read"),
        ({"racks": ["r1"]}, "cassandra_racks[0]: must be a mapping"),
        ({"racks": [{"name": "R1", "nodes": 1}]}, "cassandra_racks[0].name: must consist of a-z, 0-9 and -"),
        ({"cluster": "1shop"}, "cassandra_cluster: must consist of a-z, 0-9 and -, begin with a letter,"),
        ({"datacenter": "dc-"}, "cassandra_datacenter: must consist of"),
        ({"datacenter": "d" * 50, "racks": [{"name": "r", "nodes": 1}]}, "can run at most 52"),
        ({"datacenter": "d" * 44, "racks": [{"name": "r", "nodes": 10**12}]}, "longer than 63"),
        ({"version": "3.11.19"}, "upgrade outside of this collection on the path 3.11 -> 4.0 or 4.1 -> 5.0"),
        ({"version": "3.11.19"}, "then move the data into a new cluster"),
        ({"version": "2.2"}, "virtual tables"),
        ({"version": "6.0-alpha2"}, "Cassandra 6 has not been released"),
        ({"version": "5.0"}, "must be a full released version"),
        ({"version": "5.0-rc1"}, "must be a full released version"),
        ({"version": "5.1.0"}, "there is no such line; supported are 4.0, 4.1, 5.0"),
        ({"version": "latest"}, "must be a full released version"),
        ({"storage": {"size": "big"}}, "cassandra_storage.size: must be a Kubernetes quantity"),
        ({"storage": {"size": "-1Gi"}}, "cassandra_storage.size: must be more than 0"),
        ({"storage": {"size": "1Gi", "clas": "x"}}, "cassandra_storage.clas: is not known here; did you mean class?"),
        ({"resources": {"limits": {"memory": "600Mi"}}}, "600Mi is too little memory"),
        ({"resources": {"requests": {"memory": "9Gi"}, "limits": {"memory": "8Gi"}}}, "more than the limit of 8Gi"),
        ({"resources": {"limit": {}}}, "did you mean limits?"),
        ({"heap": "8G"}, "8G does not fit into the memory limit of 8Gi: beside its heap Cassandra needs 2Gi"),
        ({"heap": "100M"}, "cassandra_heap: must be at least 256Mi, got 100M"),
        ({"heap": "lots"}, "cassandra_heap: must be a size such as 512M or 8G, got 'lots'"),
        ({"config": {"compaction_througput": "1MiB/s"}}, "did you mean compaction_throughput?"),
        ({"config": []}, "cassandra_config: must be a mapping, got []"),
        ({"config": "x"}, "cassandra_config: must be a mapping"),
        ({"jvm_options": ["Da=1"]}, "cassandra_jvm_options[0]: must begin with -"),
        ({"jvm_options": ["-Da=1 -Db=2"]}, "cassandra_jvm_options[0]: must be without spaces"),
        ({"jvm_options": ["-Dcassandra.replace_address=1.2.3.4"]}, "the start script decides who may replace"),
        ({"jvm_options": ["-Dcassandra.auto_bootstrap=false"]}, "has none of the rows that it owns"),
        ({"jvm_options": ["-Dcassandra.start_native_transport=true"]}, "decides when CQL opens"),
        ({"superuser_secret": "A B"}, "cassandra_superuser_secret: must be a name"),
        (
            {"tokens": {"r1-0": [*range(900, 916)], "r2-0": TOKENS["r2-0"]}},
            "cassandra_tokens: has no node r1-1; the nodes are r1-0, r1-1, r2-0",
        ),
        ({"tokens": {**TOKENS, "r9-0": [*range(900, 916)]}}, "cassandra_tokens: has a node r9-0"),
        ({"tokens": {**TOKENS, "r1-0": [1, 2]}}, "cassandra_tokens.r1-0: has 2 tokens, and config.num_tokens is 16"),
        ({"tokens": {**TOKENS, "r1-0": ["x"]}}, "cassandra_tokens.r1-0: must be whole numbers"),
        ({"tokens": {**TOKENS, "r1-0": TOKENS["r1-1"]}}, "cassandra_tokens: has a token twice"),
        ({"self_replace": "maybe"}, "cassandra_self_replace: must be true or false, got 'maybe'"),
        (
            {"pod_template": {"spec": {"containers": [{"name": "cassandra", "volumeMounts": [{"name": "data"}]}]}}},
            "containers[0].volumeMounts[0].name: data is mounted by the collection; take it out",
        ),
        (
            {"pod_template": {"spec": {"hostNetwork": True}}},
            "cassandra_pod_template.spec.hostNetwork: cannot be set here",
        ),
    ],
)
def test_each_fault_is_told_in_words(changes: dict[str, Any], text: str) -> None:
    found = errors(**changes)
    assert len(found) == 1, found
    assert text in found[0]


@pytest.mark.parametrize("version", ["4.0.0", "4.0.19", "4.1.10", "5.0.0", "5.0.9"])
def test_supported_versions(version: str) -> None:
    assert not errors(version=version)


@given(st.integers(768, 200 * 1024))
def test_the_default_heap_always_fits(memory: int) -> None:
    parsed = spec_parser.parse({**MINIMAL, "resources": {"limits": {"memory": f"{memory}Mi"}}})
    assert spec_parser.parse({**MINIMAL, "resources": parsed.resources, "heap": parsed.heap}) == parsed
    assert 256 <= int(parsed.heap[:-1]) <= 16 * 1024


def test_memory_given_once_is_request_and_limit() -> None:
    for kind in ("requests", "limits"):
        parsed = spec_parser.parse({**MINIMAL, "resources": {kind: {"memory": "4096Mi"}}})
        assert parsed.resources["requests"]["memory"] == parsed.resources["limits"]["memory"] == "4Gi"
    assert (
        spec_parser.parse({**MINIMAL, "resources": {"limits": {"cpu": "500m"}}}).resources["requests"]["cpu"] == "500m"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from([*MINIMAL, "resources", "heap", "config", "jvm_options", "pod_template", "backup"]), JSON
    )
)
def test_no_input_makes_it_fall_over(changes: dict[str, Any]) -> None:
    for line in errors(**changes):
        assert line.startswith("cassandra_")


@pytest.mark.parametrize(
    ("image", "fits"),
    [
        ("mirror.example/cassandra:5.0.9", True),
        ("mirror.example:5000/cassandra:5.0.9-ubi@sha256:00", True),
        ("mirror.example/cassandra:5.0", True),
        ("mirror.example/cassandra@sha256:00", True),
        ("mirror.example:5000/a4.1.10/cassandra", True),
        ("mirror.example/own:1.2.3", True),
        ("mirror.example/cassandra:4.1.10", False),
        ("mirror.example/cassandra:5.0.8-ubi@sha256:00", False),
    ],
)
def test_a_tag_must_not_say_another_version(image: str, fits: bool) -> None:
    told = errors(image=image)
    assert (told == []) is fits
    assert all(text.startswith("cassandra_image: its tag says Cassandra ") for text in told)


@pytest.mark.parametrize(
    "option",
    ["-Dcassandra.reset_bootstrap_progress=false", "-Dcassandra.consistent.rangemovement=false"],
)
def test_how_a_node_joins_is_no_option_of_java(option: str) -> None:
    with pytest.raises(SpecError, match=r"jvm_options.*cannot be set"):
        spec_parser.parse({**MINIMAL, "jvm_options": [option]}, "cassandra_")
