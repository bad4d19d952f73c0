# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole cluster was away without a stop, for longer than gc_grace_seconds: a Kubernetes that was switched off.

Then every node is held, since it cannot know that the others did not serve meanwhile, and none is left to replace it
from. Together their volumes tell: nobody served after the last moment of any of them. From there on nobody missed
anything, as in a stop. What remains is the time between their last moments, in which a node may have missed deletions:
hints of them are not delivered any more (C(Hint.isLive) compares their age with gc_grace_seconds), so every node notes
that it has to be repaired.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..errors import CassopsError
from ..kube import Kube
from ..ledger import Ledger
from ..observe import together
from ..replacement.words import EMPTY, EXPIRED, HALF_WAY, held_because
from ..report import utc
from ..view import NodeView
from .cluster import Cluster
from .failures import ASK_LIMIT, MARKS
from .members import is_alone

# start.sh lets a node start that had served until so long (seconds) before a pause.
TOLERANCE = 120
NOTE_MISSED = f"cd {MARKS} && echo unknown >missed.new && sync && mv missed.new missed"
# A node that is held for these has no data that it served, so it cannot tell; the others tell of it.
SILENT = (EMPTY, HALF_WAY)


@dataclass(frozen=True)
class Outage:
    """Nobody served after any of these moments.

    :param last: node -> when it served last, in seconds since 1970, of those that are held for it.
    """

    last: dict[str, int]

    @property
    def since(self) -> int:
        return max(self.last.values())

    @property
    def kept(self) -> list[str]:
        """Nodes that were away before the others: they stay held."""
        return sorted(pod for pod, last in self.last.items() if last + TOLERANCE < self.since)

    @property
    def spread(self) -> int:
        """For so many seconds before the outage a node that starts again may have missed what was deleted."""
        return self.since - min(last for pod, last in self.last.items() if pod not in self.kept)

    def is_noted(self, ledger: Ledger, now: int) -> bool:
        """Whether the ledger's pause lets them start already: down_for of start.sh."""
        begin, end = ledger.pause or (0, 0)
        down = {pod: now - last - max(0, end - max(begin, last)) for pod, last in self.last.items()}
        return all(down[pod] <= ledger.gc_grace_seconds for pod in down.keys() - set(self.kept))

    def words(self) -> str:
        first = f"every node is held: nobody has served since {utc(self.since)}"
        return f"{first} ({', '.join(f'{pod} until {utc(last)}' for pod, last in sorted(self.last.items()))})"

    def risk(self) -> str:
        stay = f"; {', '.join(self.kept)} was away before, stays held, and is replaced by heal" if self.kept else ""
        return (
            f"rows that were deleted in the {self.spread} s before it may come back until the playbook heal, which has "
            f"to be run right after it, has repaired every node{stay}"
        )


def look(cluster: Cluster, ledger: Ledger, nodes: Iterable[NodeView]) -> Outage | None:
    """What the volumes tell; None where no node is held for having been away, or its release is noted already.

    :param nodes: as they were seen just now.
    :raises CassopsError: a volume cannot be read.
    """
    expired = held_for_it(nodes)
    if not expired:
        return None
    last = together(lambda pod: served_last(cluster.kube, pod), expired)
    seen = Outage(dict(zip(expired, last, strict=True)))
    return None if seen.is_noted(ledger, int(cluster.kube.server_time())) else seen


def unsettled(nodes: Iterable[NodeView]) -> list[str]:
    """Those of which it is not known yet whether they are held: they start, or do not even run."""
    return [node.pod for node in nodes if not node.ready and node.held is None]


def doubts(cluster: Cluster, ledger: Ledger, nodes: Sequence[NodeView]) -> list[str]:
    """Why somebody may have served meanwhile.

    :param nodes: all of them; none is L(unsettled).
    """
    never_joined = {node.pod for node in nodes if node.held and node.host_id is None}
    silent = {node.pod for node in nodes if node.held and held_because(node.held) in SILENT}
    known = {*held_for_it(nodes), *silent, *never_joined}
    why = [] if is_alone(ledger, not cluster.peers) else ["the cluster has other datacenters"]
    served = [
        f"{node.pod} {f'is held: {node.held}' if node.held else 'runs'}" for node in nodes if node.pod not in known
    ]
    return why + served


def note(cluster: Cluster, ledger: Ledger, seen: Outage, now: int) -> None:
    """That time is no downtime; every node has to be repaired.

    :raises CassopsError: it could not be noted on a volume; nothing is released then.
    """
    released = sorted(seen.last.keys() - set(seen.kept))
    cluster.check()
    together(lambda pod: note_missed(cluster.kube, pod), released)
    cluster.write_ledger(ledger, replace(ledger, pause=(seen.since, now), closed=None))


def held_for_it(nodes: Iterable[NodeView]) -> list[str]:
    return sorted(node.pod for node in nodes if node.held and held_because(node.held) == EXPIRED)


def served_last(kube: Kube, pod: str) -> int:
    told = kube.exec(pod, ["stat", "-c", "%Y", f"{MARKS}/alive"], timeout=ASK_LIMIT)
    if told.rc != 0 or not told.stdout.strip().isdigit():
        raise CassopsError(f"{pod}: when it served last cannot be read: {told.stderr.strip() or told.stdout.strip()}")
    return int(told.stdout)


def note_missed(kube: Kube, pod: str) -> None:
    done = kube.exec(pod, ["sh", "-c", NOTE_MISSED], timeout=ASK_LIMIT)
    if done.rc != 0:
        raise CassopsError(f"{pod}: that it has to be repaired could not be noted: {done.stderr.strip()}")
