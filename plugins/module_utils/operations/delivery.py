# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far the hints are delivered that nodes keep for one another, over the looks of one wait.

All nodes together send one node about 1 MiB of hints a second (C(HintsDispatchExecutor) shares hinted_handoff_throttle
among them). A file goes when all of it is delivered, so what there is to see are files.
"""

from __future__ import annotations

from .. import gates
from ..view import View


class Delivery:
    """To be shown each look of one wait."""

    def __init__(self) -> None:
        # Node -> the fewest files that it was seen to keep. One that does not tell for a while has delivered nothing.
        self._fewest: dict[str, int] = {}

    def see(self, view: View) -> None:
        for pod, count in gates.kept_hints(view).items():
            self._fewest[pod] = min(count, self._fewest.get(pod, count))

    def mark(self) -> tuple[tuple[str, int], ...]:
        """Changes as long as they get fewer."""
        return tuple(sorted(self._fewest.items()))
