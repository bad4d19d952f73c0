# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disposable real Kubernetes with several workers on one Linux host: see docs/sandbox.md.

Tests use it as a library: put ``tests`` on the path, then ``from sandbox import Sandbox``.
"""

from __future__ import annotations

from .core import S3Access, Sandbox
from .errors import SandboxError

__all__ = ["S3Access", "Sandbox", "SandboxError"]
