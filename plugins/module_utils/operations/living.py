# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a datacenter is, by its ledger and its objects, to be compared with what is wanted of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import gates, spec, upgrade
from ..ledger import PHASE_NEW, Ledger, rack_of
from ..manifests import config_map
from ..observe import LABEL_RACK, ZONE, Objects, by_pod, ledger_of
from ..spec_refusals import Living, refusals, unserved_refusals
from . import rollout_plan


def living_datacenter(found: Objects, ledger: Ledger | None, desired: spec.Datacenter) -> Living | None:
    """What the datacenter is, by its ledger and its objects; None while no node was ever made.

    The ledger knows the nodes also when their StatefulSets are gone (a destroyed datacenter whose volumes were kept, or
    one that was only half destroyed). What then is not known counts as desired.
    """
    sets, claims = found.all("StatefulSet"), found.all("PersistentVolumeClaim")
    if ledger is None or not (sets or claims):
        return None
    zones = {rack.name: rack.zone for rack in desired.racks}
    zones.update({item["metadata"]["labels"][LABEL_RACK]: zone_of(item) for item in sets.values()})
    racks = [rack_of(pod, desired.prefix) for pod in ledger.nodes]
    if sets:
        wanted = [item["spec"]["volumeClaimTemplates"][0]["spec"] for item in sets.values()]
    else:
        # A claim has the class it was given, also where the default was asked for.
        wanted = [item["spec"] for item in claims.values()]
        if desired.storage_class is None:
            wanted = [{**claim, "storageClassName": None} for claim in wanted]
    # What nodes run counts, not what waits for a restart: that can still be taken back.
    ran = rollout_plan.noted(ledger, found)
    return Living(
        cluster=ledger.cluster,
        racks={rack: (zones.get(rack), racks.count(rack)) for rack in racks},
        storage_size=wanted[0]["resources"]["requests"]["storage"],
        storage_class=wanted[0].get("storageClassName"),
        num_tokens=len(next(iter(ledger.tokens.values()), ())),
        version=ran.version,
        address=address_of(sets),
        storage_mode=ran.storage_mode,
    )


def unlike_living(desired: spec.Datacenter, found: Objects, prefix: str) -> list[str]:
    """Why what lives cannot become the desired datacenter."""
    ledger = ledger_of(found, desired.cluster, desired.name)
    living = living_datacenter(found, ledger, desired)
    if living is None or ledger is None:
        return []
    refused = refusals(living, desired, prefix)
    return unserved_refusals(refused, desired.name) if ledger.phase == PHASE_NEW else refused


def at_once(found: Objects, ledger: Ledger, desired: spec.Datacenter, prefix: str) -> list[str]:
    """Why nodes without a StatefulSet may not be made as desired: all start so at once, and no gate is asked.

    What may not follow at all is said by L(spec_refusals.refusals). A ledger of before does not know what they ran.
    """
    racks = {rack_of(pod, desired.prefix) for pod in ledger.nodes}
    gone = sorted(rack for rack in racks if found.get("StatefulSet", f"{desired.prefix}-{rack}") is None)
    last, mode = rollout_plan.noted(ledger, found), upgrade.mode_of(config_map(desired, ledger))
    if not gone or not last.version or upgrade.refusals(last.version, desired.version, last.storage_mode):
        return []
    told = f"the StatefulSet of rack {', '.join(gone)} is gone, and all nodes there would start with it at once: deploy"
    if gates.line(last.version) != gates.line(desired.version):
        return [
            f"{prefix}version: the nodes ran {last.version} last, got {desired.version}; {told} {last.version}, then "
            "run the playbook upgrade"
        ]
    if last.storage_mode not in (None, mode):
        return [
            f"{prefix}config.{upgrade.KEY}: the nodes ran with {last.storage_mode} last, got {mode}; {told} with "
            f"{last.storage_mode}, then run the playbook upgrade"
        ]
    return []


def unlike(desired: spec.Datacenter, peers: Iterable[Ledger], prefix: str) -> list[str]:
    """Why a new datacenter cannot join those that run: with another line, or from before and behind the first step of
    5.0, nothing is streamed between them; and the steps of an upgrade lead all datacenters on together.

    :param peers: the ledgers of those that run.
    """
    reasons = []
    born = upgrade.MODES[-1] if gates.line(desired.version) >= "5" else None
    mode = desired.config.get(upgrade.KEY, born)
    for peer in peers:
        if peer.version and gates.line(peer.version) != gates.line(desired.version):
            reasons.append(
                f"{prefix}version: datacenter {peer.datacenter} runs {peer.version}, got {desired.version}: one that "
                "joins must be of the same line. Upgrade the others first, or begin with theirs"
            )
        elif peer.storage_mode and mode and peer.storage_mode != mode:
            reasons.append(
                f"{prefix}config.{upgrade.KEY}: datacenter {peer.datacenter} is in {peer.storage_mode}, and this one "
                f"would begin in {mode}: the steps come in all datacenters one after the other. Write "
                f"{peer.storage_mode} into the configuration of this one, or finish the steps of the other one first"
            )
    return reasons


def zone_of(stateful_set: Mapping[str, Any]) -> str | None:
    """The zone that a rack is pinned to."""
    zone: str | None = stateful_set["spec"]["template"]["spec"].get("nodeSelector", {}).get(ZONE)
    return zone


def address_of(stateful_sets: Mapping[str, Mapping[str, Any]]) -> str:
    """Whose address the nodes have, C(service) or C(pod); empty where nothing tells."""
    if not stateful_sets:
        return ""
    return "pod" if any(by_pod(item["spec"]["template"]) for item in stateful_sets.values()) else "service"
