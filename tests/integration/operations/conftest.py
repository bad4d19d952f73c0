# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all operations share here: three nodes with a container for backups, an S3 server, and a client at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration.harness import samples
from integration.harness.datacenter import Datacenter
from integration.harness.namespace import Namespaces
from integration.harness.store import Store
from integration.harness.workload import Workload
from sandbox import Sandbox


@pytest.fixture(scope="package")
def store(namespaces: Namespaces, sandbox: Sandbox) -> Iterator[Store]:
    """A bucket, and the namespace of the datacenter that is stored there."""
    with namespaces.fresh("operations") as namespace:
        made = Store(sandbox, namespace)
        made.make_secrets()
        yield made


@pytest.fixture(scope="package")
def three(store: Store) -> Datacenter:
    """The datacenter, deployed."""
    datacenter = Datacenter(store.namespace, variables={"cassandra_backup": store.variable})
    datacenter.deploy()
    return datacenter


@pytest.fixture(scope="package")
def client(three: Datacenter) -> Iterator[Workload]:
    """At work from the first test to the last."""
    with samples.at_work(three) as client:
        yield client
