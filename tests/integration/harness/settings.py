# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are, and the one seed that every random choice of a run comes from."""

from __future__ import annotations

import os
import random
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OUTPUT = ROOT / "tests" / "output" / "integration"
VENV_BIN = ROOT / ".venv" / "bin"

SEED = int(os.environ.get("CASSOPS_TEST_SEED") or secrets.randbelow(10**6))
"""Printed at the head of every run; the same seed makes the same choices."""


def rng(purpose: str) -> random.Random:
    """Random numbers that depend on the seed and the purpose alone, not on which tests ran before."""
    return random.Random(f"{SEED}/{purpose}")
