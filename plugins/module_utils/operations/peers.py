# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The other datacenters of the cluster as a deploy meets them: each with its ledger, and its API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import spec
from ..errors import CassopsError
from ..kube import Kube
from ..ledger import PHASE_RUNNING, Ledger
from ..observe import ledger_of, objects


@dataclass(frozen=True)
class Peer:
    """Another datacenter of the same cluster that already lives: its ledger, and its API.

    :ivar secret: name of its Secret with the login; empty is the name of that of the datacenter at hand.
    """

    kube: Kube
    ledger: Ledger
    secret: str = ""

    def secret_name(self, desired: spec.Datacenter) -> str:
        return self.secret or desired.superuser_secret


def living_peer(kube: Kube, cluster: str, datacenter: str, secret: str = "") -> Peer | None:
    """Another datacenter of the cluster as it is now, None while it does not run."""
    ledger = ledger_of(objects(kube, cluster, datacenter, kinds=("ConfigMap",)), cluster, datacenter)
    return Peer(kube, ledger, secret) if ledger is not None and ledger.phase == PHASE_RUNNING else None


def peer_secret(peer: Peer, desired: spec.Datacenter) -> Mapping[str, Any] | None:
    return peer.kube.get("Secret", peer.secret_name(desired))


def serving_node(peer: Peer) -> str:
    """A ready node of a living datacenter.

    :raises CassopsError: none is ready.
    """
    found = objects(peer.kube, peer.ledger.cluster, peer.ledger.datacenter, kinds=("Pod", "StatefulSet"))
    for name, pod in sorted(found.all("Pod").items()):
        if any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", ())):
            return name
    raise CassopsError(f"no node of datacenter {peer.ledger.datacenter} is ready; heal it before another one joins")
