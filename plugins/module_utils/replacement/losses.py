# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rows may be lost with a node. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .. import gates, ring
from ..view import View
from ..wording import counted
from .scene import Scene


@dataclass(frozen=True)
class Loss:
    """Keyspaces of which rows may be lost, because a quorum of the replicas of some ranges is dead.

    A write that was acknowledged at QUORUM is on as many replicas as a quorum has: where so many are dead, it may be
    on dead ones only. (A keyspace with two replicas has lost its QUORUM with one of them, and no row.)

    :param sets: sets of replicas for which it holds, of those that the node belongs to.
    :param gone: of some range no replica is left at all.
    """

    keyspaces: tuple[str, ...]
    level: str
    factor: int
    quorum: int
    sets: int
    replicas: tuple[str, ...]
    gone: bool

    def words(self, scene: Scene) -> str:
        dead = [scene.name(address) for address in self.replicas if address in scene.doubtful()]
        left = "and no replica is left" if self.gone else "so rows that only these have are lost"
        return (
            f"{gates.keyspaces_named(self.keyspaces)}: of {counted(self.sets, 'set')} of replicas {self.quorum} or "
            f"more of {self.factor} are dead ({', '.join(dead)}, for one), {left}"
        )


def losses(scene: Scene, target: str) -> list[Loss]:
    """What may be lost if the member at this address gets its data from those that are alive now.

    Who is not up in every view counts as dead.
    """
    rules = scene.availability()
    dead = rules.mask({*scene.doubtful(), target})
    found = []
    for rule in rules.rules:
        lost = [mask for mask in rules.sets_with(rule, target) if (mask & dead).bit_count() >= rule.quorum]
        if lost:
            gone = rule.level == "QUORUM" and any(not mask & ~dead for mask in lost)
            found.append(
                Loss(rule.keyspaces, rule.level, rule.factor, rule.quorum, len(lost), rules.nodes(lost[0] & dead), gone)
            )
    return found


def single_copies(seen: View) -> tuple[str, ...]:
    """The user's keyspaces that have one replica in this datacenter, by name: a lost volume is lost rows of them."""
    return tuple(
        sorted(
            item.name
            for item in seen.keyspaces
            if not item.name.startswith("system")
            and 1 in {ring.replication_factors(item.replication).get(where) for where in ("", seen.datacenter)}
        )
    )
