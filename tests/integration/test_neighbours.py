# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several datacenters: of different clusters in one namespace, and of one cluster in two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration.harness.datacenter import Datacenter, identities, start
from integration.harness.good import assert_doors
from integration.harness.namespace import Namespaces
from integration.harness.workload import connect
from sandbox import Sandbox


def test_two_clusters_in_one_namespace_do_not_touch_each_other(namespaces: Namespaces) -> None:
    with namespaces.fresh("neighbours") as namespace:
        # "a-b" + "c" and "a" + "b-d": names that begin alike.
        one = Datacenter(namespace, cluster="a-b", name="c", racks={"r1": 1})
        other = Datacenter(namespace, cluster="a", name="b-d", racks={"r1": 1})
        start("deploy", [one, other], deploy_serial=2).wait().ok()
        members = one.wait_up(), other.wait_up(60)
        assert [len(one.view(one.nodes[0])), len(other.view(other.nodes[0]))] == [1, 1]
        assert not one.strangers(one.nodes[0])
        assert not other.strangers(other.nodes[0])
        assert one.login() != other.login()
        assert start("deploy", [one, other], deploy_serial=2).wait().ok().changed == 0

        lives, contents = other.lives(), of(other)
        one.run("destroy", destroy_confirm="c", destroy_volumes=True).ok()
        assert of(one) == set()
        assert (other.lives(), of(other)) == (lives, contents)
        assert identities(other.wait_up()) == identities(members[1])


def of(datacenter: Datacenter) -> set[str]:
    """Kinds and names of a datacenter's objects."""
    found = datacenter.namespace.contents().items()
    wanted = dict(pair.split("=") for pair in datacenter.selector.split(","))
    return {key for key, item in found if wanted.items() <= item["metadata"].get("labels", {}).items()}


@pytest.fixture(scope="module")
def pair(namespaces: Namespaces, sandbox: Sandbox) -> Iterator[list[Datacenter]]:
    """A cluster of two datacenters, each in a namespace of its own with credentials of its own, deployed in one run."""
    with namespaces.fresh("pair-1") as first, namespaces.fresh("pair-2") as second:
        both = [
            Datacenter(first, cluster="pair", name="dc1", racks={"r1": 1, "r2": 1}),
            Datacenter(second, cluster="pair", name="dc2", racks={"x1": 1}),
        ]
        start("deploy", both).wait().ok()
        yield both


def test_two_datacenters_of_one_cluster_are_one_ring(pair: list[Datacenter]) -> None:
    everybody = {one.name: set(one.addresses().values()) for one in pair}
    for one in pair:
        one.wait_up()
        for node in one.nodes:
            views = one.all_views(node)
            assert {name: set(members) for name, members in views.items()} == everybody, node
            assert all(member.state == "UN" for members in views.values() for member in members.values()), views
    assert {member.rack for member in pair[0].all_views(pair[0].nodes[0])["dc2"].values()} == {"x1"}


def test_both_have_their_own_replicas_and_the_same_logins(pair: list[Datacenter]) -> None:
    assert pair[0].login() == pair[1].login()
    for one in pair:
        assert_doors(one)
        with connect(one) as driver:
            query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'system_auth'"
            replication = driver.connect().execute(query, timeout=30).one().replication
        assert {key: replication.get(key) for key in ("dc1", "dc2")} == {"dc1": "2", "dc2": "1"}


def test_deploy_of_both_again_changes_nothing(pair: list[Datacenter]) -> None:
    lives = [one.lives() for one in pair]
    result = start("deploy", pair).wait().ok()
    assert result.changed == 0, result.output
    assert [one.lives() for one in pair] == lives
