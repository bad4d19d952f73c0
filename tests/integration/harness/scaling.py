# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datacenters that grow and shrink, and what must hold after each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .datacenter import Datacenter
from .playbooks import Result

# A joining node needs ten seconds of a whole processor to start, and there are few processors.
LIMIT = 3600


def wanted(datacenter: Datacenter, racks: Mapping[str, int]) -> Datacenter:
    """The same datacenter with other numbers."""
    return replace(datacenter, racks=racks)


def scaled(datacenter: Datacenter, **extra: object) -> Result:
    """Playbook scale, which must end well, and after which each node is what it should be."""
    result = datacenter.run("scale", facts=True, scale_wait_timeout=LIMIT, **extra).ok()
    facts = result.facts[datacenter.host]
    print(f"{result.seconds:5.1f} s scale: {facts['moved']}; ownership {facts['ownership']}")
    assert_ring(datacenter)
    return result


def assert_ring(datacenter: Datacenter) -> None:
    """Ring, ledger and Kubernetes have exactly the nodes wanted."""
    datacenter.wait_up()
    known = members_known(datacenter)
    assert sorted(known) == sorted(datacenter.nodes)
    assert sorted(datacenter.pods()) == sorted(datacenter.nodes)
    for node, members in datacenter.views().items():
        assert {(member.address, member.host_id) for member in members.values()} == set(known.values()), node
        assert {member.state for member in members.values()} == {"UN"}, node


def members_known(datacenter: Datacenter) -> dict[str, tuple[str, str]]:
    """Node -> its address and host id, as the ledger has them."""
    lines = [line.split() for line in datacenter.ledger()["nodes"].splitlines()]
    return {pod: (address, host_id) for pod, address, host_id in lines}


def host_ids(datacenter: Datacenter) -> dict[str, str]:
    """Node -> its host id, as the ledger has it."""
    return {node: host_id for node, (_address, host_id) in members_known(datacenter).items()}
