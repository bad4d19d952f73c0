# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.filter import confirmed as module

HOSTS: list[dict[str, Any]] = [
    {"inventory_hostname": "dc1", "cassandra_cluster": "shop"},
    {"inventory_hostname": "blog-dublin", "cassandra_cluster": "blog", "cassandra_datacenter": "dc1"},
    {"inventory_hostname": "dc2", "cassandra_cluster": "shop", "cassandra_datacenter": ""},
    {"inventory_hostname": "bastion"},
]


@pytest.mark.parametrize(
    ("confirm", "named"),
    [
        ("dc1", ["dc1 (shop/dc1)", "blog-dublin (blog/dc1)"]),
        ("blog/dc1", ["blog-dublin (blog/dc1)"]),
        ("dc2", ["dc2 (shop/dc2)"]),
        ("blog-dublin", []),
        ("bastion", []),
        ("", []),
    ],
)
def test_who_is_named(confirm: str, named: list[str]) -> None:
    everywhere = [{**host, "destroy_confirm": confirm} for host in HOSTS]
    assert module.confirmed(everywhere, confirm, "destroy_confirm") == named
    assert module.confirmed(HOSTS, confirm, "destroy_confirm") == named, "by a variable of the play"


def test_each_host_may_repeat_its_own_name() -> None:
    own = [{**host, "destroy_confirm": host["inventory_hostname"]} for host in HOSTS]
    assert module.confirmed(own, "dc1", "destroy_confirm") == ["dc1 (shop/dc1)"]


def test_it_is_loaded_under_the_name_that_the_roles_use() -> None:
    assert module.FilterModule().filters() == {"confirmed": module.confirmed}
