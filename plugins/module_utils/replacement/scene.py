# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All views of the cluster, and what follows from them. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .. import gates, ring
from ..view import Endpoint, NodeView, View
from .case import Settings


@dataclass(frozen=True)
class Scene:
    """All views of the cluster, and what follows from them.

    :param in_the_way: nodes that gave up joining, and go on.
    """

    seen: View
    peers: tuple[View, ...]
    settings: Settings
    in_the_way: tuple[str, ...] = ()
    members: Mapping[str, Endpoint] = field(init=False)

    def __post_init__(self) -> None:
        merged: dict[str, Endpoint] = {}
        for view in self.views:
            for address, endpoint in view.endpoints().items():
                merged.setdefault(address, endpoint)
        object.__setattr__(self, "members", merged)

    @property
    def views(self) -> tuple[View, ...]:
        return (self.seen, *self.peers)

    @property
    def observers(self) -> int:
        return sum(len(view.observations) for view in self.views)

    def up_in(self, address: str | None) -> list[str]:
        """The observers that take an address for alive."""
        return [pod for view in self.views for pod in view.seen_up_by(address)] if address else []

    def joined_in(self, address: str | None) -> list[str]:
        """The same, if it has joined: a node that takes another's place under an address of its own streams alive."""
        member = self.members.get(address or "")
        return [] if member is not None and joins(member) else self.up_in(address)

    def member(self, node: NodeView) -> Endpoint | None:
        """The node in the ring: by its host id, since its address may have changed; else by its address."""
        by_id = self._by_host_id.get(node.host_id or "", ())
        # A node that came back under another address is known by both for a while.
        known = min(by_id, key=lambda item: (not self.up_in(item.address), item.address != node.address), default=None)
        return known or self.members.get(node.address or "")

    def dead(self) -> frozenset[str]:
        """Members that own tokens and that nobody sees up."""
        return self._dead

    def strangers(self) -> tuple[Endpoint, ...]:
        """Members of this datacenter that are none of its nodes, by their addresses."""
        return self._strangers

    def ghosts(self) -> frozenset[str]:
        """Strangers that nobody sees up and that own nothing, neither come nor go: nobody has to wait for them."""
        return self._ghosts

    def newcomers(self) -> frozenset[str]:
        """Nodes of any datacenter that never joined and do not try to now: they cannot join while a member is dead."""
        return self._newcomers

    def doubtful(self) -> frozenset[str]:
        """Members that own tokens and that not everybody sees up."""
        return self._doubtful

    def availability(self) -> ring.Availability:
        """What may be down together in the cluster."""
        return self._availability

    # What is asked about each node is worked out once.

    @functools.cached_property
    def _by_host_id(self) -> dict[str, list[Endpoint]]:
        found: dict[str, list[Endpoint]] = {}
        for item in self.members.values():
            if item.host_id:
                found.setdefault(item.host_id, []).append(item)
        return found

    @functools.cached_property
    def _dead(self) -> frozenset[str]:
        return frozenset(address for address, item in self.members.items() if item.tokens and not self.up_in(address))

    @functools.cached_property
    def _strangers(self) -> tuple[Endpoint, ...]:
        ids = {node.host_id for node in self.seen.nodes if node.host_id}
        addresses = {node.address for node in self.seen.nodes}
        return tuple(
            member
            for address, member in sorted(self.members.items())
            if member.datacenter == self.seen.datacenter and address not in addresses and member.host_id not in ids
        )

    @functools.cached_property
    def _ghosts(self) -> frozenset[str]:
        return frozenset(
            member.address
            for member in self.strangers()
            if not member.tokens and not under_way(member) and not self.up_in(member.address)
        )

    @functools.cached_property
    def _newcomers(self) -> frozenset[str]:
        found = set()
        for node in (node for view in self.views for node in view.nodes):
            member = self.member(node)
            if node.host_id is None and (
                member is None or not (member.tokens or under_way(member) or self.up_in(member.address))
            ):
                found.add(node.pod)
        return frozenset(found)

    @functools.cached_property
    def _doubtful(self) -> frozenset[str]:
        return frozenset(
            address
            for address, item in self.members.items()
            if item.tokens and len(self.up_in(address)) < self.observers
        )

    @functools.cached_property
    def _availability(self) -> ring.Availability:
        return gates.availability(self.views)

    @functools.cached_property
    def _names(self) -> dict[str, str]:
        nodes = [node for view in reversed(self.views) for node in reversed(view.nodes)]
        ids = {node.host_id: place for place, node in enumerate(nodes) if node.host_id}
        places = {node.address: place for place, node in enumerate(nodes) if node.address}
        found = {}
        for address in {*places, *self.members}:
            member = self.members.get(address)
            place = max(places.get(address, -1), ids.get(member.host_id, -1) if member else -1)
            if place >= 0:
                found[address] = nodes[place].pod
        return found

    def name(self, address: str) -> str:
        """The first node that has the address, or the host id of the member there."""
        return self._names.get(address, address)


def under_way(member: Endpoint) -> bool:
    """Whether it joins, moves or leaves, or had begun to when it died."""
    return joins(member) or leaves(member) or (member.status or "").lower().startswith("moving")


def joins(member: Endpoint) -> bool:
    """Whether it has not joined yet (C(BOOT), C(BOOT_REPLACE)); not known of 4.0, where gossip is no table."""
    return (member.status or "").lower().startswith("boot")


def leaves(member: Endpoint) -> bool:
    """Whether it leaves or is being removed; of one that is dead that has not ended."""
    return (member.status or "").lower().startswith(("removing", "leaving"))


def joined(views: Sequence[View]) -> View:
    """The view of the whole cluster."""
    return views[0].joined(views[1:])


def unasked(scene: Scene) -> str:
    """Why nobody tells who lives although nodes serve; empty where somebody does, or where none serves."""
    serving = (node.pod for node in scene.seen.nodes if node.ready and node.pod in scene.seen.unheard)
    pod = next(serving, None)
    return "" if scene.observers or pod is None else f"no node can be asked: {scene.seen.unheard[pod]}"
