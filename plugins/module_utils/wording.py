# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of messages that depend on a number."""

from __future__ import annotations

from collections.abc import Sized


def counted(count: int, one: str, many: str = "") -> str:
    """C(1 node), C(3 nodes), C(2 batches).

    :param many: the plural, where it is not the singular with an s.
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def agree(some: Sized, one: str, many: str) -> str:
    """The word that agrees with as many of something: is or are, it or them."""
    return one if len(some) == 1 else many
