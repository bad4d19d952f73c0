# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a task, made in the controller what a module is given on another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# What a text or a number is without the class that it was given.
BARE: Mapping[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}


def plain(value: Any) -> Any:
    """The value without what Ansible knows of it, such as its origin, or that it was in a vault.

    Ansible's values are subclasses of Python's, and libraries that look at the exact type take none: YAML cannot write
    such a text, nor, before ansible-core 2.19, read it.
    """
    if isinstance(value, Mapping):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(each) for each in value]
    if not isinstance(value, bool):
        for kind, bare in BARE.items():
            if isinstance(value, kind):
                return bare(value)
    return value
