# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Datacenters with failed nodes, and what is decided about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import Decision
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import (
    LOCAL,
    READY,
    Case,
    Settings,
    Volume,
    Worker,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.table import decide
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Endpoint, Keyspace, View

DEFAULT = Settings()
NOTHING: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
FIRST, SECOND, THIRD = "shop-dc1-r1-0", "shop-dc1-r2-0", "shop-dc1-r3-0"
FOURTH = "shop-dc1-r1-1"
NTS = "org.apache.cassandra.locator.NetworkTopologyStrategy"
EMPTY = "this node belongs to the datacenter (host id host-1) but its volume is empty; put the volume back, or approve"
HALF_WAY = "its replacement died half-way, and no node may go on over partial data; replace it again"
EXPIRED = (
    "the node served last on 2026-11-10 03:14:00 UTC, longer than gc_grace_seconds (864000) ago: rows deleted meanwhile"
)
FOREIGN = "the volume belongs to another node: its mark is 'x', this node is 'y'"
UNMARKED = "the volume holds data that no node of this datacenter wrote (it has no mark)"
RESTORING = "a restore (20261125-2300) puts its data in place; the playbook restore lets it start when every node"
NO_LEDGER = "the ledger cannot be read (its phase is ''); run deploy"
FAILED = "ERROR org.apache.cassandra.streaming.StreamException: Stream failed"
NO_PLACE = "it cannot be scheduled: 0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity"


def address_of(view: View, pod: str) -> str:
    return next(str(node.address) for node in view.nodes if node.pod == pod)


def dead(view: View, *pods: str, **changes: Any) -> View:
    """The view in which nobody sees these nodes up; they do not answer."""
    facts: dict[str, Any] = {"ready": False, **changes}
    for pod in pods:
        address = address_of(view, pod)
        view = views.with_node(view, pod, **facts)
        view = replace(view, observations={name: seen for name, seen in view.observations.items() if name != pod})
        for observer in view.observations:
            view = views.with_down(view, observer, address)
    return view


def with_keyspace(view: View, name: str, **factors: str) -> View:
    return replace(view, keyspaces=(*view.keyspaces, Keyspace(name, {"class": NTS, **factors})))


def with_member(view: View, observer: str, member: Endpoint) -> View:
    """The view in which an observer knows one more member, and sees it up."""
    seen = view.observations[observer]
    more = replace(
        seen,
        endpoints={**seen.endpoints, member.address: member},
        alive={**seen.alive, member.address: True},
    )
    return replace(view, observations={**view.observations, observer: more})


def with_modes(view: View, *modes: str) -> View:
    for pod, mode in zip((FIRST, SECOND, THIRD), modes, strict=True):
        view = views.with_node(view, pod, storage_mode=mode)
    return view


def stranger(view: View, up: bool = False, **changes: Any) -> View:
    """Every observer knows somebody who is no node of the datacenter."""
    some = next(iter(view.endpoints().values()))
    facts = {"address": "198.19.9.9", "host_id": "host-ghost", "tokens": (1, 2), "status": "NORMAL", **changes}
    ghost: Endpoint = replace(some, **facts)
    return replace(
        view,
        observations={
            pod: replace(
                seen,
                endpoints={**seen.endpoints, ghost.address: ghost},
                alive={**seen.alive, ghost.address: up},
            )
            for pod, seen in view.observations.items()
        },
    )


def newcomer(**changes: Any) -> View:
    """A node that no view knows."""
    view = views.whole()
    gone = address_of(view, FIRST)
    return views.with_node(
        replace(
            view,
            observations={
                pod: replace(
                    seen,
                    endpoints={key: item for key, item in seen.endpoints.items() if key != gone},
                    alive={key: alive for key, alive in seen.alive.items() if key != gone},
                )
                for pod, seen in view.observations.items()
                if pod != FIRST
            },
        ),
        FIRST,
        host_id=None,
        ready=False,
        **changes,
    )


def joiner(**changes: Any) -> View:
    """A node that joins, as every view has it; its process goes on."""
    view = newcomer(phase="Running", **changes)
    joins = replace(views.whole().endpoints()[address_of(view, FIRST)], tokens=(), status="BOOT", host_id="new")
    for observer in view.observations:
        view = with_member(view, observer, joins)
    return view


def cases(view: View, facts: Mapping[str, Mapping[str, Any]] = NOTHING) -> list[Case]:
    found = [Case(node, Worker(node.worker, READY), Volume(f"claim-{node.pod}", None, LOCAL)) for node in view.nodes]
    return [replace(case, **facts.get(case.node.pod, {})) for case in found]


def decided(view: View, pod: str = FIRST, settings: Settings = DEFAULT, **facts: Any) -> Decision:
    return next(each for each in decide(view, cases(view, {pod: facts}), settings) if each.node == pod)


def short(decision: Decision) -> tuple[int, str]:
    return decision.row, decision.action
