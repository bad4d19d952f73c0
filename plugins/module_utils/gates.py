# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates: pure functions from the observed datacenter to the reasons not to go on. No reason means the gate is open.

The names G1, G2, ... are those of the table in the design notes; each reason says what was seen and what was needed.
"""

from __future__ import annotations

from .view import View


def running(view: View) -> list[str]:
    """G1: every node of the datacenter has a pod that runs, is not held, and is Ready."""
    reasons = []
    for node in view.nodes:
        if node.held is not None:
            reasons.append(f"{node.pod} is held: {node.held}")
        elif node.phase != "Running":
            reasons.append(f"{node.pod} does not run: {node.reason or node.phase or 'it has no pod'}")
        elif not node.ready:
            reasons.append(f"{node.pod} is not ready: {node.reason or 'Cassandra does not serve clients yet'}")
    return reasons


def heard(view: View) -> list[str]:
    """G2, first half: every node that should be asked for its view answers."""
    return [f"{pod} cannot be asked for its view: {why}" for pod, why in sorted(view.unheard.items())]


def up_in_every_view(view: View) -> list[str]:
    """G2: every observer knows every node under its address and takes it for alive."""
    reasons = []
    for node in view.nodes:
        if node.address is None:
            reasons.append(f"{node.pod} has no address yet")
            continue
        for pod, seen in sorted(view.observations.items()):
            if node.address not in seen.endpoints:
                reasons.append(f"{pod} does not know {node.pod} ({node.address})")
            elif not seen.alive.get(node.address):
                reasons.append(f"{pod} sees {node.pod} down")
    if not view.observations:
        reasons.append("no node could be asked for its view")
    return reasons


def normal(view: View) -> list[str]:
    """G3 and G5: every member is NORMAL in every view: none joins, leaves, moves or replaces."""
    reasons = []
    for pod, seen in sorted(view.observations.items()):
        if not seen.bootstrapped:
            reasons.append(f"{pod} has not finished joining")
        for address, endpoint in sorted(seen.endpoints.items()):
            if endpoint.status not in (None, "NORMAL"):
                reasons.append(f"{pod} sees {named(view, address)} as {endpoint.status}, needed NORMAL")
            elif not endpoint.tokens:
                reasons.append(f"{pod} knows no tokens of {named(view, address)}")
    return reasons


def one_schema(view: View) -> list[str]:
    """G4: one schema version, in each node's own word and in what the others say of it."""
    versions = view.schemas()
    if len(versions) <= 1:
        return []
    told = "; ".join(f"{version}: {', '.join(pods)}" for version, pods in versions.items())
    return [f"{len(versions)} schema versions ({told}), needed one"]


def no_strangers(view: View) -> list[str]:
    """G12: every member of this datacenter is one of its nodes (no ghost, no duplicate)."""
    ours = {node.address for node in view.nodes}
    strangers = {
        address
        for address, endpoint in view.endpoints().items()
        if endpoint.datacenter == view.datacenter and address not in ours
    }
    return [f"{address} is a member of the ring but none of this datacenter's nodes" for address in sorted(strangers)]


def whole(view: View) -> list[str]:
    """All that must hold before a datacenter counts as well: G1 to G5 and G12, all reasons."""
    gates = (running, heard, up_in_every_view, normal, one_schema, no_strangers)
    return [reason for gate in gates for reason in gate(view)]


def named(view: View, address: str) -> str:
    """The node behind an address, or the address itself (a node of another datacenter)."""
    return next((node.pod for node in view.nodes if node.address == address), address)
