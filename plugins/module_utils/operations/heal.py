# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every node of a datacenter is looked at, and what is safe to do about those that failed is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..context import Context, Failed
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
    if ctx.check_mode:
        return shown(healing.prediction(seen), params, ctx)
    try:
        return shown(healing.result(healing.heal(seen)), params, ctx)
    except Failed as failure:
        shown(failure.result, params, ctx)
        raise


def shown(result: dict[str, Any], params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """The result; its decisions as a table, where that was asked for."""
    for line in result["report"] if params["show"] else ():
        ctx.display(line)
    return result
