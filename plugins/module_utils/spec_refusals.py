# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why what is wanted cannot be made of what lives. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import quantity, upgrade
from .spec import Datacenter
from .wording import counted


@dataclass(frozen=True)
class Living:
    """What a living datacenter is, as its Kubernetes objects tell.

    :param cluster: name of the cluster.
    :param racks: by rack name: (zone or None, number of nodes).
    :param storage_size: quantity that the volumes were claimed with.
    :param storage_class: class of the claims, or None when the cluster's default was used.
    :param num_tokens: tokens of a node; 0 = not known.
    :param version: Cassandra version; empty = not known.
    :param storage_mode: the furthest storage_compatibility_mode that any of its nodes runs with; None = not known.
    :param address: whose address its nodes have, C(service) or C(pod); empty = not known.
    """

    cluster: str
    racks: Mapping[str, tuple[str | None, int]]
    storage_size: str
    storage_class: str | None
    num_tokens: int
    version: str
    storage_mode: str | None = None
    address: str = ""


def refusals(living: Living, desired: Datacenter, prefix: str = "") -> list[str]:
    """Why the desired datacenter cannot be applied to the living one; empty when it can.

    :param living: what the Kubernetes objects say.
    :param desired: what the inventory says.
    :param prefix: put before each path; `cassandra_` when a role calls.
    :returns: sentences of the same form as SpecError's.
    """
    faults = [
        *_rack_refusals(living, desired),
        *_size_refusals(living, desired),
        *_version_refusals(living, desired),
    ]
    return [*fixed_refusals(living, desired, prefix), *(f"{prefix}{fault}" for fault in faults)]


def fixed_refusals(living: Living, desired: Datacenter, prefix: str = "", volumes: bool = False) -> list[str]:
    """The same, of what no playbook can change in place: names, zones, the storage class, smaller volumes, tokens.

    :param volumes: nodes may give theirs up for others.
    """
    faults = [
        *_cluster_refusals(living, desired),
        *_zone_refusals(living, desired),
        *_class_refusals(living, desired, volumes),
        *([] if volumes else _shrink_refusals(living, desired)),
    ]
    if living.address and living.address != desired.address:
        faults.append(
            f"address: is {living.address} on the living nodes, got {desired.address}; their peers know them by it, and"
            " all of them would be strangers under another: put the old value back"
        )
    if living.num_tokens and living.num_tokens != desired.num_tokens:
        faults.append(
            f"config.num_tokens: is {living.num_tokens} on the living nodes, got {desired.num_tokens}; Cassandra "
            "cannot change the number of tokens of a node that has data: build a second datacenter with the new number "
            "and move over"
        )
    return [f"{prefix}{fault}" for fault in faults]


def unserved_refusals(refused: Iterable[str], datacenter: str) -> list[str]:
    """L(refusals) of a datacenter that never served: there is no data, and nothing that moves data would touch it.

    Behind the semicolon each says what helps with data.
    """
    faults = [fault.partition("; ")[0] for fault in refused]
    if not faults:
        return []
    return [
        *faults,
        f"datacenter {datacenter} never served, so there is no data to lose: take it away with its volumes (the"
        f" playbook destroy with -e destroy_confirm={datacenter} -e destroy_volumes=true) and deploy it again, or put"
        " the old values back",
    ]


def _cluster_refusals(living: Living, desired: Datacenter) -> list[str]:
    if living.cluster == desired.cluster:
        return []
    return [
        f"cluster: the living datacenter belongs to the cluster {living.cluster}, got {desired.cluster}; every node "
        "has stored the name and refuses to start under another: put the old name back, or choose another datacenter "
        "name or namespace"
    ]


def _rack_refusals(living: Living, desired: Datacenter) -> list[str]:
    wanted = {rack.name: rack for rack in desired.racks}
    faults = [
        f"racks: the rack {name} is gone from the list but has {counted(nodes, 'node')}; removing them moves their"
        " data: the playbook scale does it, node by node"
        for name, (_zone, nodes) in living.racks.items()
        if name not in wanted
    ]
    for index, rack in enumerate(desired.racks):
        if rack.name not in living.racks:
            faults.append(
                f"racks[{index}]: the rack {rack.name} is new; nodes join one at a time: the playbook scale does it"
            )
            continue
        nodes = living.racks[rack.name][1]
        if rack.nodes != nodes:
            faults.append(
                f"racks[{index}].nodes: the rack {rack.name} has {counted(nodes, 'node')}, got {rack.nodes};"
                " adding and removing nodes moves data: the playbook scale does it"
            )
    return faults


def _zone_refusals(living: Living, desired: Datacenter) -> list[str]:
    faults = []
    for index, rack in enumerate(desired.racks):
        zone = living.racks[rack.name][0] if rack.name in living.racks else rack.zone
        if rack.zone != zone:
            faults.append(
                f"racks[{index}].zone: the rack {rack.name} lives in {zone or 'no zone'}, got {rack.zone or 'none'};"
                " volumes cannot follow into another zone: put the old zone back, or add a rack there and remove"
                " this one"
            )
    return faults


def _shrink_refusals(living: Living, desired: Datacenter) -> list[str]:
    if quantity.value(desired.storage_size) >= quantity.value(living.storage_size):
        return []
    return [
        f"storage.size: the volumes have {living.storage_size}, got {desired.storage_size}; Kubernetes cannot shrink a"
        f" volume: put the old size back, or {_ANOTHER_VOLUME}"
    ]


def _class_refusals(living: Living, desired: Datacenter, volumes: bool) -> list[str]:
    """The cluster's default may be another class tomorrow: nodes give up their volumes for a class that has a name."""
    if desired.storage_class == living.storage_class or (volumes and desired.storage_class):
        return []
    default = "the cluster's default"
    return [
        f"storage.class: the volumes are of {living.storage_class or default}, got {desired.storage_class or default};"
        f" a volume keeps its class for life: put the old one back, or name the new one and {_ANOTHER_VOLUME}"
    ]


_ANOTHER_VOLUME = (
    "let each node give its volume up for another one, one node after the other: the playbook scale with"
    " -e scale_replace_volumes=true"
)


def _size_refusals(living: Living, desired: Datacenter) -> list[str]:
    if quantity.value(desired.storage_size) <= quantity.value(living.storage_size):
        return []
    return [
        f"storage.size: the volumes have {living.storage_size}, got {desired.storage_size}; deploy does not grow"
        " volumes, because a StatefulSet's claims cannot be changed in place: the playbook scale does it"
    ]


def _version_refusals(living: Living, desired: Datacenter) -> list[str]:
    if not living.version:
        return []
    return upgrade.refusals(living.version, desired.version, living.storage_mode)
