# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the words mean in which start.sh says why it holds a node, and Cassandra why it ends. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .case import Case

EMPTY, HALF_WAY, EXPIRED, FOREIGN, NOT_ALLOWED = "empty", "half way", "expired", "foreign", "not allowed"
RESTORING = "restoring"
HELD: Mapping[str, str] = {
    "puts its data in place": RESTORING,
    "its volume is empty": EMPTY,
    "its replacement died half-way": HALF_WAY,
    "longer than gc_grace_seconds": EXPIRED,
    "the volume belongs to another node": FOREIGN,
    "the volume holds data that no node of this datacenter wrote": FOREIGN,
}

# What Cassandra logs before it ends because its files cannot be read or written.
CORRUPT = (
    "CorruptSSTableException",
    # 5.0 stumbles over the name of the file when it wants to say that (C(AbstractSSTableIterator)); seen with zeros.
    "FileDataInput.getPath()",
    "CorruptBlockException",
    "CommitLogReadException",
    "CommitLogReplayException",
    "FSReadError",
    "FSWriteError",
    "Input/output error",
)

COLLISION = "already exists, cancelling join"
PARTIAL_BOOTSTRAP = "cassandra.reset_bootstrap_progress"
HAS_LEFT = "was decommissioned and will not rejoin"


def held_because(text: str) -> str:
    """The kind of hold, from the words of the start script."""
    return next((kind for sign, kind in HELD.items() if sign in text), NOT_ALLOWED)


def given_up_last(held: str) -> bool:
    """Whether a node is held for nothing but that the ledger counts its volume for given up, the last of them."""
    found = re.search(r"its mark is '(.*?)(?: (\d+))?', this node is '(.*?)(?: (\d+))?'", held)
    if found is None:
        return False
    its, number, own, own_number = found.groups()
    return bool(its == own) and int(number or 0) + 1 == int(own_number or 0)


def summary(case: Case) -> str:
    """The line of the last words that tells most."""
    lines = [line.strip() for line in case.last_words.splitlines() if line.strip()]
    signs = (*CORRUPT, COLLISION, "Exception", "ERROR", "Error")
    telling = [line for sign in signs for line in lines if sign in line]
    chosen = (telling or lines[-1:] or [case.node.reason or "it left no words"])[0]
    return chosen[:300]
