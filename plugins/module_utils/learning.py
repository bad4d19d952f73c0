# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the users' tables ask of a node that comes back, as the ledger has it: the start script decides by it. Pure.

Applications make tables and keyspaces at any time. So whoever asks the nodes under the lock of the cluster brings the
ledger up to date (C(Cluster.ask)), and C(status) tells where it is not.
"""

from __future__ import annotations

from dataclasses import replace

from .ledger import Ledger
from .replacement.losses import single_copies
from .view import View

ADVICE = "run the playbook deploy, or any other one that looks at the nodes under the lock, such as repair: it notes it"


def tells(seen: View) -> bool:
    """Whether the nodes that were asked told of their tables, and agree about the schema.

    Who told without a login (C(observe_nodetool)) knows no table.
    """
    return any(item.gc_grace_seconds is not None for item in seen.keyspaces) and len(seen.schemas()) <= 1


def learned(ledger: Ledger, seen: View) -> Ledger:
    """The ledger with what the tables ask for; as it is where nobody L(tells).

    While a node is away nothing is forgotten: it was away by the rules of then, the tombstones that it missed may be
    gone already, and copies that a keyspace has since are not repaired.
    """
    if not tells(seen):
        return ledger
    grace, single = seen.gc_grace_seconds, single_copies(seen)
    if not all(node.ready for node in seen.nodes):
        grace, single = min(grace, ledger.gc_grace_seconds), tuple(sorted({*single, *ledger.single_copies}))
    return replace(ledger, gc_grace_seconds=grace, single_copies=single)


def words(ledger: Ledger) -> str:
    """What is noted, for people."""
    singles = ", ".join(ledger.single_copies) or "none"
    return f"noted: gc_grace_seconds is {ledger.gc_grace_seconds} at least, keyspaces with one replica are {singles}"


def is_stricter(before: Ledger, after: Ledger) -> bool:
    """Whether nodes are held now that were not before."""
    return after.gc_grace_seconds < before.gc_grace_seconds or bool({*after.single_copies} - {*before.single_copies})


def problems(ledger: Ledger, seen: View) -> list[dict[str, str]]:
    """What the start script would decide wrongly, as C(report.problems) tells it."""
    now = learned(ledger, seen)
    told = []
    if now.gc_grace_seconds < ledger.gc_grace_seconds:
        told.append(
            f"tables have a gc_grace_seconds of {now.gc_grace_seconds}, and the ledger still says "
            f"{ledger.gc_grace_seconds}: a node that is away for longer than the tables allow would start again, and "
            "bring deleted rows back"
        )
    unknown = sorted({*now.single_copies} - {*ledger.single_copies})
    if ledger.self_replace and unknown:
        told.append(
            f"keyspaces with one replica that the ledger does not know: {', '.join(unknown)}. A node that lost its "
            "volume would replace itself, and tell nobody that rows of them are lost"
        )
    return [{"problem": problem, "advice": ADVICE} for problem in told]
