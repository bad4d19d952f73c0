# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from ansible_collections.cassops.kubernetes.plugins.module_utils.wording import counted

ROLES = Path(__file__).resolve().parents[3] / "roles"


@pytest.fixture
def summary() -> Callable[..., str]:
    """What a role tells at its end, of a result that is given: summary(role, repair_result={…})."""
    environment = Environment(trim_blocks=True)
    environment.filters["cassops.kubernetes.counted"] = counted

    def rendered(role: str, **words: Any) -> str:
        template = environment.from_string((ROLES / role / "templates" / "summary.j2").read_text())
        return template.render(inventory_hostname="dc1", **words)

    return rendered
