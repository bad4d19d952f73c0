# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The good state that every deploy must end in, however often it was killed before."""

from __future__ import annotations

from .datacenter import Datacenter
from .visitor import DEFAULT, DENIED, IN, Visitor


def assert_good(datacenter: Datacenter) -> None:
    """Every node is up in every view and in the ledger, the superuser alone gets in, and nothing is left to do."""
    members = datacenter.wait_up()
    ledger = datacenter.ledger()
    assert ledger["phase"] == "running"
    nodes = {line.split()[0]: line.split()[1:] for line in ledger["nodes"].splitlines()}
    assert nodes == {node: [member.address, member.host_id] for node, member in members.items()}
    assert len({member.tokens for member in members.values()}) == 1, members
    assert not datacenter.strangers(datacenter.nodes[0])
    assert_doors(datacenter)
    again = datacenter.deploy()
    assert again.changed == 0, again.output
    assert_nothing_left(datacenter)


def assert_doors(datacenter: Datacenter) -> None:
    """The superuser gets in on every node, cassandra/cassandra on none."""
    visitor = Visitor.arrive(datacenter.namespace)
    try:
        for node in datacenter.nodes:
            assert visitor.attempt(node, *datacenter.login()) == IN, node
            assert visitor.attempt(node, *DEFAULT) == DENIED, node
    finally:
        visitor.leave()


def assert_nothing_left(datacenter: Datacenter) -> None:
    """One configuration, one Secret, a volume a node, and a lock that nobody holds."""
    names = list(datacenter.namespace.contents())
    ours = [name for name in names if f"/{datacenter.prefix}" in name]
    assert len([name for name in ours if "-config-" in name]) == 1, names
    claims = {name for name in names if name.startswith(f"PersistentVolumeClaim/data-{datacenter.prefix}-")}
    assert claims == {f"PersistentVolumeClaim/data-{node}" for node in datacenter.nodes}
    assert not datacenter.namespace.get("lease", f"{datacenter.cluster}-lock")["spec"].get("holderIdentity")
