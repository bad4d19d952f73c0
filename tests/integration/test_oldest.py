# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The oldest Cassandra that is supported: each operation once, and the way to 5.0, in the order of this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from integration.harness import restores, samples
from integration.harness.datacenter import SMALL_ON_4_0, Datacenter
from integration.harness.good import assert_good
from integration.harness.namespace import Namespaces
from integration.harness.restores import KEYSPACE, Rows, asking, assert_same
from integration.harness.rollouts import QUICK, no_request_fails, versions
from integration.harness.settings import rng
from integration.harness.store import Store
from integration.harness.workload import Workload
from sandbox import Sandbox

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.nodetooltext import PARSERS

pytestmark = pytest.mark.soak

OLDEST, BETWEEN, NEWEST = "4.0.19", "4.1.10", "5.0.9"
CONFIG: Mapping[str, Any] = {**SMALL_ON_4_0, "enable_materialized_views": True}
"""Views for the tables."""


@pytest.fixture(scope="module")
def store(namespaces: Namespaces, sandbox: Sandbox) -> Iterator[Store]:
    sandbox.load_image(f"cassandra:{OLDEST}")
    with namespaces.fresh("oldest") as namespace:
        yield Store(sandbox, namespace)


@pytest.fixture(scope="module")
def three(store: Store) -> Datacenter:
    """Three nodes with a container for backups."""
    store.make_secrets()
    variables = {"cassandra_version": OLDEST, "cassandra_config": dict(CONFIG), "cassandra_backup": store.variable}
    datacenter = Datacenter(store.namespace, variables=variables)
    datacenter.deploy()
    return datacenter


@pytest.fixture(scope="module")
def rows(three: Datacenter) -> Rows:
    """Of every kind, and in a backup."""
    restores.fill(three, rng("oldest"), sai=False)
    three.run("backup", backup_name="rows").ok()
    return restores.read(three)


@pytest.fixture(scope="module")
def client(three: Datacenter) -> Iterator[Workload]:
    """At work from the first operation to the last."""
    with samples.at_work(three) as client:
        yield client


def test_it_is_good_and_status_sees_all_of_it(three: Datacenter) -> None:
    assert_good(three)
    told = three.status(status_fail_on="down")
    assert [node["version"] for node in told["nodes"]] == [OLDEST] * 3
    assert told["problems"] == []


def test_what_nodetool_says_is_understood(three: Datacenter) -> None:
    namespace = three.namespace
    kube = Kube.connect({"kubeconfig": str(namespace.kubeconfig), "namespace": namespace.name})
    told = nodetool.run(kube, three.nodes[0], [[verb] for verb in PARSERS], 120, check=True)
    assert [result.verb[0] for result in told if not result.data] == []


def test_another_number_of_nodes_takes_the_rows_by_loading(
    three: Datacenter, store: Store, rows: Rows, namespaces: Namespaces
) -> None:
    with namespaces.fresh("oldest-loaded") as namespace:
        Store(store.sandbox, namespace).make_secrets(store.password)
        two = Datacenter(namespace, "copy", "dc9", {"r1": 2}, three.variables)
        two.deploy()
        source: dict[str, Any] = {"restore_source_cluster": three.cluster, "restore_source_datacenter": three.name}
        two.run("restore", restore_load=True, **source).ok()
        assert_same(restores.read_two(two), rows)


def test_a_backup_is_verified_by_cassandra_too(three: Datacenter, rows: Rows) -> None:
    assert rows
    assert "and Cassandra has read" in three.run("verify_backup", verify_backup_sstables=True).ok().output


def test_the_whole_datacenter_goes_back_in_its_place(three: Datacenter, rows: Rows) -> None:
    asking(three, lambda session: restores.run(session, f"TRUNCATE {KEYSPACE}.orders"))
    three.run("restore", restore_mode="datacenter", restore_confirm=three.name).ok()
    assert_same(restores.read(three), rows)


def test_a_restart_node_by_node(three: Datacenter, client: Workload) -> None:
    samples.restart_node_by_node(three, client)


def test_a_lost_volume(three: Datacenter, client: Workload) -> None:
    samples.lose_a_volume(three, client)


def test_a_node_more_and_away_again(three: Datacenter, client: Workload) -> None:
    samples.one_node_more_and_away_again(three, client)


def test_a_dropped_table_is_restored(three: Datacenter, client: Workload) -> None:
    samples.drop_a_table_and_restore_it(three, client)


@pytest.mark.parametrize(
    ("version", "no_way_back"),
    [(BETWEEN, "an older line cannot read all"), (NEWEST, "4.0 cannot read all of what 5.0 writes")],
)
def test_the_way_to_the_newest(three: Datacenter, client: Workload, version: str, no_way_back: str) -> None:
    wanted = three.changed(cassandra_version=version)
    wanted.deploy()
    with no_request_fails(wanted, client) as watcher:
        wanted.run("upgrade", **QUICK).ok()
    assert watcher.made == dict.fromkeys(three.nodes, 1)
    assert set(versions(wanted).values()) == {version}
    client.check("ALL")
    three.run("deploy").refused(no_way_back)
