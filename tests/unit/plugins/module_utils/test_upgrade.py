# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils import (
    configuration,
    settings,
    unreadable,
    upgrade,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests.config_map import config_map
from ansible_collections.cassops.kubernetes.plugins.module_utils.spec_parser import parse
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Repair, Stream

FIRST, SECOND, THIRD = "shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"


# Versions


@pytest.mark.parametrize(
    ("current", "target"),
    [
        ("4.0.19", "4.0.20"),
        ("4.0.20", "4.0.19"),
        ("4.0.19", "4.1.10"),
        ("4.0.19", "5.0.9"),
        ("4.1.10", "5.0.9"),
        ("5.0.9", "5.0.8"),
        ("5.0.8", "5.0.10"),
    ],
)
def test_ways_that_are_open(current: str, target: str) -> None:
    assert upgrade.refusals(current, target) == []


@pytest.mark.parametrize(
    ("current", "target", "mode", "words"),
    [
        ("5.0.9", "4.1.10", None, "only while storage_compatibility_mode is CASSANDRA_4, and it is not known; put the"),
        ("5.0.9", "4.1.10", "UPGRADING", "and it is UPGRADING; put the version back, or restore a backup"),
        ("5.0.9", "4.1.10", "NONE", "and it is NONE; put the version back, or restore a backup into a new datacenter"),
        ("5.0.9", "4.0.19", "CASSANDRA_4", "go back to 4.1 (while storage_compatibility_mode is CASSANDRA_4)"),
        ("4.1.10", "4.0.19", None, "an older line cannot read all of what a newer one wrote: put the version back"),
        ("5.0.9", "6.0.0", None, "supported are 4.0, 4.1, 5.0"),
        ("4.0.19", "3.11.19", None, "supported are 4.0, 4.1, 5.0"),
    ],
)
def test_ways_that_are_closed(current: str, target: str, mode: str | None, words: str) -> None:
    (reason,) = upgrade.refusals(current, target, mode)
    assert reason.startswith(f"version: the datacenter runs {current}, got {target}; ")
    assert words in reason


def test_the_way_back_is_open_until_the_second_step() -> None:
    assert upgrade.refusals("5.0.9", "4.1.10", "CASSANDRA_4") == []


VERSIONS = st.tuples(st.sampled_from([(4, 0), (4, 1), (5, 0)]), st.integers(0, 30)).map(
    lambda found: f"{found[0][0]}.{found[0][1]}.{found[1]}"
)


@given(VERSIONS, VERSIONS, st.sampled_from([None, *upgrade.MODES]))
def test_nothing_goes_down_a_line_but_where_the_way_back_was_kept(current: str, target: str, mode: str | None) -> None:
    here, there = upgrade.release(current)[:2], upgrade.release(target)[:2]
    open_way = there >= here or (here, there, mode) == ((5, 0), (4, 1), "CASSANDRA_4")
    assert (upgrade.refusals(current, target, mode) == []) is open_way


def test_what_a_person_should_know_first() -> None:
    assert upgrade.warnings("5.0.8", "5.0.9") == []
    assert upgrade.warnings("4.1.10", "5.0.9") == [upgrade.MIXED]
    assert upgrade.warnings("4.0.19", "4.1.10") == [upgrade.MIXED, "there is no way back to 4.0 but a backup"]
    assert len(upgrade.warnings("4.0.19", "5.0.9")) == 2
    assert upgrade.warnings("5.0.9", "4.1.10")[-1].startswith("drain each node before it goes back")


def test_what_closes_the_way_back_is_told_before_it_does() -> None:
    told = upgrade.MEANINGS["CASSANDRA_4"]
    for words in ("the way back to 4.1 is open, until", "GRANT ALL", "REVOKE", *unreadable.PERMISSIONS):
        assert words in told
    for words in (unreadable.COMPACTION, "SAI", "vectors", "masks", *unreadable.COLUMNS[:2]):
        assert words in told
    assert "no GRANT" in upgrade.MIXED


@given(VERSIONS, VERSIONS)
def test_the_one_way_down_is_the_one_that_is_open(current: str, target: str) -> None:
    here, there = upgrade.release(current)[:2], upgrade.release(target)[:2]
    is_open = there < here and upgrade.refusals(current, target, "CASSANDRA_4") == []
    assert upgrade.leads_back(current, target) is is_open


# Steps of the storage format


@pytest.mark.parametrize(
    ("modes", "wanted", "words"),
    [
        (["4.x", "4.x"], "CASSANDRA_4", []),
        (["4.x", "CASSANDRA_4"], "CASSANDRA_4", []),
        (["CASSANDRA_4", "CASSANDRA_4"], "UPGRADING", []),
        (["CASSANDRA_4", "UPGRADING"], "UPGRADING", []),
        (["UPGRADING", "UPGRADING"], "NONE", []),
        (["NONE", "NONE"], "NONE", []),
        ([], "NONE", []),
        (["4.x", "CASSANDRA_4"], "UPGRADING", ["n0 is in 4.x, got UPGRADING; CASSANDRA_4 comes first, on every node"]),
        (["4.x"], "NONE", ["n0 is in 4.x, got NONE; CASSANDRA_4 comes first, on every node"]),
        (["CASSANDRA_4", "UPGRADING"], "NONE", ["n0 is in CASSANDRA_4, got NONE; UPGRADING comes first"]),
        (
            ["UPGRADING", "NONE"],
            "CASSANDRA_4",
            ["n0 is in UPGRADING, got", "n1 is in NONE, got CASSANDRA_4; the steps"],
        ),
        (["NONE"], "UPGRADING", ["n0 is in NONE, got UPGRADING; the steps lead one way: NONE also takes"]),
        ([None, "UPGRADING"], "NONE", ["the mode that n0 runs in could not be read"]),
        (["CASSANDRA_4"], "FOUR", ["must be one of CASSANDRA_4, UPGRADING, NONE, got 'FOUR'"]),
    ],
)
def test_steps_are_taken_one_by_one_and_never_back(modes: list[str | None], wanted: str, words: list[str]) -> None:
    found = upgrade.step_refusals({f"n{number}": mode for number, mode in enumerate(modes)}, wanted)
    assert len(found) == len(words)
    for reason, part in zip(found, words, strict=True):
        assert reason.startswith("storage_compatibility_mode: ")
        assert part in reason


def test_the_modes_that_nodes_run_in() -> None:
    view = views.with_activity(views.whole(), SECOND, storage_mode=None)
    view = views.with_endpoint(view, THIRD, "198.19.0.3", version="4.1.10")
    view = views.with_activity(view, THIRD, storage_mode=None)
    assert upgrade.modes([view]) == {FIRST: "NONE", SECOND: None, THIRD: "4.x"}


@pytest.mark.parametrize(
    ("modes", "furthest"),
    [
        ([], None),
        (["4.x", "CASSANDRA_4"], "CASSANDRA_4"),
        (["NONE", "4.x", "UPGRADING"], "NONE"),
        (["4.x", "CASSANDRA_4", None], None),
    ],
)
def test_the_furthest_mode_is_known_where_all_are(modes: list[str | None], furthest: str | None) -> None:
    assert upgrade.furthest({f"n{number}": mode for number, mode in enumerate(modes)}) == furthest


@pytest.mark.parametrize(
    ("version", "born", "mode"),
    [("5.0.9", "5.0.8", "NONE"), ("5.0.9", "4.1.10", "CASSANDRA_4"), ("4.1.10", "4.1.10", "4.x")],
)
def test_the_mode_of_a_configuration(version: str, born: str, mode: str) -> None:
    desired = parse(
        {
            "cluster": "shop",
            "datacenter": "dc1",
            "version": version,
            "racks": [{"name": "r1", "nodes": 1}],
            "storage": {"size": "1Gi"},
        }
    )
    assert upgrade.mode_of(config_map(desired, Ledger("1", "shop", "dc1", born_version=born))) == mode


# Keys


@pytest.mark.parametrize(
    ("config", "target", "words"),
    [
        ({"read_request_timeout": "5s", "num_tokens": 16}, "5.0.9", ""),
        ({"read_request_timeout_in_ms": 5000}, "4.0.19", ""),
        (
            {"read_request_timeout_in_ms": 5000},
            "4.1.10",
            "calls it read_request_timeout, and still takes the old name; instead write read_request_timeout: 5000ms",
        ),
        ({"compaction_throughput_mb_per_sec": 64}, "5.0.9", "instead write compaction_throughput: 64MiB/s"),
        ({"enable_user_defined_functions": True}, "5.0.9", "instead write user_defined_functions_enabled: true"),
        ({"max_value_size_in_mb": "-1"}, "5.0.9", "calls it max_value_size, and still takes the old name"),
        ({"stream_throughput_outbound_megabits_per_sec": 200}, "5.0.9", "and still takes the old name"),
        ({"enable_user_defined_functions": None}, "5.0.9", "and still takes the old name"),
    ],
)
def test_keys_of_another_line(config: dict[str, object], target: str, words: str) -> None:
    found = upgrade.key_advice(config, target, "cassandra_config")
    assert len(found) == (1 if words else 0)
    if found:
        assert found[0].startswith(f"cassandra_config.{next(iter(config))}: Cassandra ")
        assert words in found[0]


@pytest.mark.parametrize("there", sorted(settings.KEYS))
def test_every_key_of_every_line_is_known_renamed_or_refused(there: settings.Line) -> None:
    ruled = {*configuration.OWNED, *configuration.ONLY, *configuration.NEEDED}
    keys = frozenset.union(*settings.KEYS.values()) - ruled
    told = {text.partition(":")[0] for text in upgrade.key_advice(dict.fromkeys(keys, 1), f"{there[0]}.{there[1]}.30")}
    for key in keys:
        faults = configuration.check({key: None}, (*there, 30), "config")
        assert bool(faults) is (key not in settings.KEYS[there] and f"config.{key}" not in told)


# Before


def test_before_an_upgrade_all_is_well() -> None:
    assert upgrade.before_upgrade([views.whole()]) == []


def test_before_an_upgrade_every_datacenter_is_asked_everything() -> None:
    spoiled = views.with_activity(
        views.whole(), FIRST, streams=(Stream("x"),), repairs=(Repair("y"),), largest_table=10**9
    )
    spoiled = views.with_endpoint(spoiled, SECOND, "198.19.0.2", sstables=("big-me",), schema="other")
    told = upgrade.before_upgrade([views.whole(), spoiled])
    assert [reason.split(maxsplit=1)[1][:12] for reason in told] == [
        "streams: x w",
        "repairs: y; ",
        "holds SSTabl",
        "lacks 954 Mi",
        "schema versi",
    ]


def test_an_upgrade_that_is_half_done_goes_on() -> None:
    view = views.with_endpoint(views.whole(), THIRD, "198.19.0.3", version="4.1.10", schema="other")
    assert upgrade.before_upgrade([view]) == []


def test_a_build_of_ones_own_has_the_release_that_it_comes_from() -> None:
    assert upgrade.release("5.0.9-SNAPSHOT") == upgrade.release("5.0.9") == (5, 0, 9)
