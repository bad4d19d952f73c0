# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is remembered of nodes that went with what only they had: annotations of the ledger, in each datacenter.

Repairs of before do not count any more then: a replica may lack rows since.

- A dead member was removed. The others stream to each other what it held, and Cassandra ends the removal also where
  that failed (C(StorageService.restoreReplicaCount)).
- A dead node was replaced. With its volume went the hints that it kept for others, as the coordinator of writes to any
  range: nobody else has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ledger import ledger_name
from ..observe import Objects
from .cluster import Cluster, Place

# Annotation of the ledger's ConfigMap: the member's host id and address, since when it is removed (seconds since 1970)
# and, once their logs were read, the nodes whose streams failed.
REMOVED = "cassops.kubernetes/removed"
# Likewise: when the last replacement began that took a node's hints with its volume. Beside the other, since a removal
# whose run was killed has yet to be followed up.
HINTS_LOST = "cassops.kubernetes/hints-lost"
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


def removal(place: Place, found: Objects) -> Removed | None:
    """The last removal that this datacenter knows of."""
    words = noted(place, found, REMOVED).split()
    if len(words) < 3:
        return None
    host_id, address, began, *failed = words
    pods = tuple(pod for pod in failed[0].split(",") if pod != NONE) if failed else None
    return Removed("" if host_id == NONE else host_id, address, int(began), pods)


def since(place: Place, found: Objects) -> float:
    """When the last one that went was removed or replaced, in seconds since 1970; 0 where there was none."""
    last, hints_lost = removal(place, found), noted(place, found, HINTS_LOST)
    return max(float(last.began) if last else 0.0, float(hints_lost) if hints_lost.isdigit() else 0.0)


def noted(place: Place, found: Objects, annotation: str) -> str:
    ledger = found.get("ConfigMap", ledger_name(place.cluster, place.datacenter)) or {"metadata": {}}
    return str((ledger["metadata"].get("annotations") or {}).get(annotation, ""))


def note_removal(cluster: Cluster, removed: Removed) -> None:
    note(cluster, REMOVED, str(removed))


def note_hints_lost(cluster: Cluster, began: float) -> None:
    """:param began: when the replacement began. No repair before its end was one of all replicas."""
    note(cluster, HINTS_LOST, str(int(began)))


def note(cluster: Cluster, annotation: str, text: str) -> None:
    """In every datacenter: each repairs its own part of what the node held, and any may lack a hint."""
    for place in (cluster.own, *cluster.peers):
        cluster.check()
        name = ledger_name(place.cluster, place.datacenter)
        place.kube.patch("ConfigMap", name, {"metadata": {"annotations": {annotation: text}}})
