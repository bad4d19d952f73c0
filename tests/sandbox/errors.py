# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that the sandbox shows to people."""

from __future__ import annotations


class SandboxError(Exception):
    """Something a person can act on; its text is complete, no traceback is needed."""
