# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that stop together: clients go first, on every node, and then what they wrote goes to disk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from .. import nodetool
from ..errors import CassopsError
from ..kube import Kube
from ..observe import attempt, together

# Seconds for nodetool to close CQL, or to open it.
CLOSE_LIMIT = 60.0
DRAIN_LIMIT = 300.0


def drain(kube: Kube, pods: Sequence[str], limit: float = DRAIN_LIMIT) -> list[str]:
    """Close CQL everywhere, then drain everywhere; what failed.

    :param limit: seconds for a node to drain.
    """
    failures = []
    for verb, seconds in (("disablebinary", CLOSE_LIMIT), ("drain", limit)):
        told = together(partial(_one, kube, verb, seconds), pods)
        failures += [str(answer) for answer in told if isinstance(answer, CassopsError)]
    return failures


def _one(kube: Kube, verb: str, limit: float, pod: str) -> nodetool.Result | CassopsError:
    return attempt(lambda: nodetool.run_one(kube, pod, [verb], limit))
