# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.cassops.kubernetes.plugins.filter import peers as module
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter

ROOT = Path(__file__).resolve().parents[4]


def host(name: str, **variables: Any) -> dict[str, Any]:
    return {"inventory_hostname": name, **variables}


HOSTS = [
    host("dublin", cassandra_cluster="shop", cassandra_context="west", cassandra_namespace="cassandra"),
    host("frankfurt", cassandra_cluster="shop", cassandra_datacenter="fra", cassandra_kubeconfig={"users": []}),
    host("other", cassandra_cluster="games", cassandra_context="west"),
    host("bastion"),
]


def test_the_other_datacenters_of_the_cluster() -> None:
    assert module.peers(HOSTS, "dublin", "shop") == [{"datacenter": "fra", "kubeconfig": {"users": []}}]
    assert module.peers(HOSTS, "frankfurt", "shop") == [
        {"datacenter": "dublin", "context": "west", "namespace": "cassandra"}
    ]


def test_each_is_told_with_its_own_secret_where_they_differ() -> None:
    hosts = [host("a", cassandra_cluster="shop"), host("b", cassandra_cluster="shop", cassandra_superuser_secret="own")]
    assert module.peers(hosts, "a", "shop") == [{"datacenter": "b", "superuser_secret": "own"}]
    assert module.peers(hosts, "b", "shop") == [{"datacenter": "a", "superuser_secret": "shop-superuser"}]


def test_one_that_a_play_takes_away_too_is_none_that_goes_on() -> None:
    """Where its name was not repeated it stays, and its rows may have replicas where they are taken away."""
    both = [host("a", cassandra_cluster="shop"), host("b", cassandra_cluster="shop", cassandra_datacenter="dc2")]
    names = ["a", "b"]
    left_by = {"a": ["dc2"], "b": ["dc2"], "dc2": [], "shop/dc2": [], "games/dc2": ["dc2"], None: ["dc2"]}
    for confirm, left in left_by.items():
        hosts = [{**each, "destroy_confirm": confirm} for each in both]
        assert [each["datacenter"] for each in module.peers(hosts, "a", "shop", names)] == left
        assert [each["datacenter"] for each in module.peers(hosts, "a", "shop", ["a"])] == ["dc2"]


@pytest.mark.parametrize(("me", "cluster"), [("other", "games"), ("bastion", "none")])
def test_a_cluster_of_one(me: str, cluster: str) -> None:
    assert module.peers(HOSTS, me, cluster) == []


def test_variables_that_are_empty_say_nothing() -> None:
    hosts = [host("a", cassandra_cluster="shop", cassandra_context="", cassandra_namespace=None)]
    assert module.peers(hosts, "b", "shop") == [{"datacenter": "a"}]


def test_what_it_gives_the_module_takes() -> None:
    """The module refuses options that it does not know."""
    given = module.peers(HOSTS, "dublin", "shop") + module.peers(HOSTS, "frankfurt", "shop")
    assert {key for item in given for key in item} <= set(datacenter.PEER)


def test_it_is_loaded_under_the_name_that_the_role_uses() -> None:
    assert module.FilterModule().filters() == {"peers": module.peers}
    defaults = yaml.safe_load((ROOT / "roles/deploy/defaults/main.yml").read_text())
    assert "cassops.kubernetes.peers(inventory_hostname, cassandra_cluster | default(''))" in defaults["deploy_peers"]
