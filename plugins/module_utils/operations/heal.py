# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every node of a datacenter is looked at, and what is safe to do about those that failed is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..context import Context
from .cluster import Cluster
from .healing import ARGUMENT_SPEC as HEALING
from .healing import Healing

ARGUMENT_SPEC: Mapping[str, Any] = {**HEALING, "show": {"type": "bool", "default": False}}


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The backend of the module C(heal). See its documentation for parameters and results.

    :raises Failed: something is left that it may not do, or that did not pass in the time given.
    """
    healing = Healing(Cluster(params, ctx), params, ctx)
    seen = healing.look()
    told = healing.prediction(seen) if ctx.check_mode else healing.result(healing.heal(seen))
    if params["show"]:
        for line in told["report"]:
            ctx.display(line)
    return told
