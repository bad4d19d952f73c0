# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords and keys that stand in a configuration, and are not shown with it.

Cassandra 4.0 reads the passwords of its keystores from cassandra.yaml and nowhere else; Java takes some among its
options, and a container as a variable of its environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "********"
KEYS = ("_password", "private_key")
"""Ends of the names of options of cassandra.yaml that hold one."""
# In a configuration that is a text: after a name, and among the options of Java.
_NAMED = re.compile(r"""((?:_password|private_key)["']?: *)(?!null)("(?:[^"\\]|\\.)*"|[^\s,}]+)""")
_OPTION = re.compile(r"""(-D[\w.-]*[Pp]assword=)[^\s"']+""")


def hidden(value: Any) -> Any:
    """The same mappings, lists and texts, with a mask in the place of each password and key."""
    if isinstance(value, Mapping):
        if isinstance(value.get("value"), str) and str(value.get("name")).lower().endswith("password"):
            return {**value, "value": MASK}
        return {key: MASK if is_secret(key, each) else hidden(each) for key, each in value.items()}
    if isinstance(value, list):
        return [hidden(each) for each in value]
    if isinstance(value, str):
        return _OPTION.sub(rf"\1{MASK}", _NAMED.sub(rf"\1{MASK}", value))
    return value


def is_secret(key: Any, value: Any) -> bool:
    """Whether this is an option with a password or key in it."""
    return str(key).endswith(KEYS) and isinstance(value, str)
