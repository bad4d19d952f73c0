# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be repeated before a datacenter is taken away or goes back: its name. Pure."""

from __future__ import annotations

from typing import Any


def names(confirm: Any, cluster: str, datacenter: str) -> bool:
    """Whether this datacenter is named, by its name alone or with its cluster's before it."""
    return confirm in (datacenter, f"{cluster}/{datacenter}")
