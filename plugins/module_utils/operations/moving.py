# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nodes that join and nodes that leave have in common."""

from __future__ import annotations

from dataclasses import dataclass

from .. import scaling
from ..context import Context
from .cluster import Cluster, Sight
from .members import Members


@dataclass(eq=False)
class Moving:
    """Moves nodes of one datacenter, one at a time, under its cluster's lock.

    :param gate_limit: seconds for the gates to open.
    :param limit: seconds without any progress.
    """

    cluster: Cluster
    members: Members
    settings: scaling.Settings
    gate_limit: float
    limit: float
    ctx: Context

    def scene(self, sight: Sight) -> scaling.Scene:
        return scaling.Scene(sight.view, sight.others, self.settings)

    def progress(self, text: str) -> None:
        self.ctx.progress(self.members.short(text))
