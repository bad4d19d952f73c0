# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that stop together: clients go first, on every node, and then what they wrote goes to disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from .. import nodetool
from ..errors import CassopsError
from ..kube import Kube
from ..observe import WIDE, attempt, together

# Seconds for nodetool to close CQL, or to open it.
CLOSE_LIMIT = 60.0
DRAIN_LIMIT = 300.0


def drain(kube: Kube, pods: Sequence[str], check: Callable[[], None], limit: float = DRAIN_LIMIT) -> list[str]:
    """Close CQL everywhere, then drain everywhere; what failed.

    :param check: raises where the lock is lost: no other node is begun with then. Hundreds take minutes.
    :param limit: seconds for a node to drain.
    """
    failures = []
    for verb, seconds in (("disablebinary", CLOSE_LIMIT), ("drain", limit)):
        told = together(partial(_one, kube, check, verb, seconds), pods, WIDE)
        failures += [str(answer) for answer in told if isinstance(answer, CassopsError)]
    return failures


def _one(kube: Kube, check: Callable[[], None], verb: str, limit: float, pod: str) -> nodetool.Result | CassopsError:
    check()
    return attempt(lambda: nodetool.run_one(kube, pod, [verb], limit))
