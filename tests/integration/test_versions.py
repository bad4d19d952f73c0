# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other lines of Cassandra: 4.1 runs on Java 11 and knows neither the settings nor all the tables of 5.0."""

from __future__ import annotations

from integration.harness.datacenter import Datacenter
from integration.harness.good import assert_good
from integration.harness.namespace import Namespaces


def test_4_1_deploys_too(namespaces: Namespaces) -> None:
    with namespaces.fresh("older") as namespace:
        datacenter = Datacenter(namespace, variables={"cassandra_version": "4.1.10"})
        datacenter.deploy()
        assert_good(datacenter)
        told = datacenter.status()
        assert told["healthy"] is True
        assert [node["version"] for node in told["nodes"]] == ["4.1.10"] * 3
