# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the documentation, taken out of it: YAML and commands of the pages, and those of the plugins."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
COLLECTION = "cassops.kubernetes"
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """An example. :ivar place: file and line, for messages."""

    place: str
    text: str

    def __str__(self) -> str:
        return self.place

    def documents(self) -> list[Any]:
        """What it holds, if it is YAML."""
        return [each for each in yaml.safe_load_all(self.text) if each is not None]

    def commands(self) -> list[list[str]]:
        """The words of its commands, if it is what somebody types; without comments and continued lines joined."""
        joined = self.text.replace("\\\n", " ")
        lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
        return [shlex.split(line, comments=True) for line in lines]


def pages() -> list[Path]:
    """The pages for people."""
    found = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "roles").rglob("README.md"), ROOT / "README.md"]
    return sorted([*found, ROOT / "CONTRIBUTING.md"])


def of_pages(language: str) -> Iterator[Example]:
    """The blocks of one language in all pages."""
    for page in pages():
        text = page.read_text()
        for block in FENCE.finditer(text):
            if block[2] == language:
                line = text.count("\n", 0, block.start()) + 1
                lines = [each.removeprefix(block[1]) for each in block[3].splitlines()]
                yield Example(f"{page.relative_to(ROOT)}:{line}", "\n".join(lines) + "\n")


def of_plugins(*kinds: str) -> Iterator[Example]:
    """The EXAMPLES of plugins of these kinds, read without importing them."""
    for kind in kinds:
        for path in sorted((ROOT / "plugins" / kind).glob("*.py")):
            for statement in ast.parse(path.read_text()).body:
                if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "EXAMPLES":
                    yield Example(f"{path.relative_to(ROOT)}", ast.literal_eval(statement.value))
