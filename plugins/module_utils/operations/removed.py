# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is remembered of the last removal of a dead member: an annotation of the ledger, in each datacenter.

The others stream to each other what it held, and Cassandra ends the removal also where that failed
(C(StorageService.restoreReplicaCount)). So repairs of before do not count any more: a replica may lack rows since.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ledger import ledger_name
from ..observe import Objects
from .cluster import Cluster, Place

# Annotation of the ledger's ConfigMap: the member's host id and address, since when it is removed (seconds since 1970)
# and, once their logs were read, the nodes whose streams failed.
REMOVED = "cassops.kubernetes/removed"
NONE = "-"


@dataclass(frozen=True)
class Removed:
    """:ivar began: no repair of what it held went well between then and its end: it was a replica, and dead.
    :ivar failed: nodes whose streams failed; None as long as nobody has looked.
    """

    host_id: str
    address: str
    began: int
    failed: tuple[str, ...] | None = None

    def __str__(self) -> str:
        words = [self.host_id or NONE, self.address, str(self.began)]
        return " ".join(words if self.failed is None else [*words, ",".join(self.failed) or NONE])


def noted(place: Place, found: Objects) -> Removed | None:
    """The last removal that this datacenter knows of."""
    ledger = found.get("ConfigMap", ledger_name(place.cluster, place.datacenter)) or {"metadata": {}}
    words = (ledger["metadata"].get("annotations") or {}).get(REMOVED, "").split()
    if len(words) < 3:
        return None
    host_id, address, began, *failed = words
    pods = tuple(pod for pod in failed[0].split(",") if pod != NONE) if failed else None
    return Removed("" if host_id == NONE else host_id, address, int(began), pods)


def since(place: Place, found: Objects) -> float:
    """When the last removal began, in seconds since 1970; 0 where there was none."""
    last = noted(place, found)
    return float(last.began) if last else 0.0


def note(cluster: Cluster, removed: Removed) -> None:
    """In every datacenter: each repairs its own part of what the member held."""
    for place in (cluster.own, *cluster.peers):
        cluster.check()
        name = ledger_name(place.cluster, place.datacenter)
        place.kube.patch("ConfigMap", name, {"metadata": {"annotations": {REMOVED: str(removed)}}})
