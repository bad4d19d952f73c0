# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shaping a result with JMESPath, so that playbooks need no other collection for it."""

from __future__ import annotations

import traceback
from typing import Any

from .errors import CassopsError

try:
    import jmespath

    JMESPATH_IMPORT_ERROR: str | None = None
except ImportError:
    JMESPATH_IMPORT_ERROR = traceback.format_exc()


def select(expression: str | None, data: Any) -> Any:
    """What the expression finds in the data; the data itself where there is no expression.

    :raises CassopsError: the expression is wrong, or jmespath is not installed.
    """
    if expression is None:
        return data
    if JMESPATH_IMPORT_ERROR is not None:
        raise CassopsError(
            "The option query needs the Python library jmespath where this task runs: pip install jmespath"
        )
    try:
        return jmespath.search(expression, data)
    except jmespath.exceptions.JMESPathError as error:
        raise CassopsError(
            f"query: {expression!r} is not a JMESPath expression that can be used here: {error}"
        ) from None
