# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture (SVG) of what a run said on a terminal, colours included and the machine's paths left out, for the pages.

    ANSIBLE_FORCE_COLOR=1 ansible-playbook ... | python tests/tools/picture.py 'title' docs/images/status.svg

``FROM`` and ``TO``, two further arguments, are patterns: the picture begins with the first line that the one matches,
and ends before the first later one that the other matches.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import checkout
from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

NARROWEST = 60
# A page must not make its readers' browsers fetch a font; any that is monospaced does.
WITHOUT_FONTS = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
# Longest first: a clone is mostly below somebody's home.
PLACES: Mapping[str, str] = {f"{checkout.ROOT}/": "", str(checkout.ROOT): ".", str(Path.home()): "~"}


def read(said: str) -> list[Text]:
    """The lines, with their colours, without the paths of this machine."""
    for place, name in PLACES.items():
        said = said.replace(place, name)
    return [Text.from_ansi(line) for line in said.rstrip("\n").splitlines()]


def cut(lines: Sequence[Text], begin: str = "", end: str = "") -> list[Text]:
    """The lines from the first that ``begin`` matches, up to the next that ``end`` matches."""
    bare = [line.plain for line in lines]
    first = next((number for number, line in enumerate(bare) if re.search(begin, line)), 0) if begin else 0
    rest = range(first + 1, len(bare))
    last = next((number for number in rest if re.search(end, bare[number])), len(bare)) if end else len(bare)
    return list(lines[first:last])


def draw(title: str, lines: Sequence[Text]) -> str:
    """The picture."""
    width = max([line.cell_len for line in lines] + [len(title), NARROWEST])
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(line, highlight=False)
    return console.export_svg(title=title, code_format=WITHOUT_FONTS, unique_id="cassops")


def main(arguments: Sequence[str]) -> None:
    """Draw what comes on stdin."""
    title, file, *patterns = arguments
    lines = cut(read(sys.stdin.read()), *patterns)
    if not any(line.plain.strip() for line in lines):
        sys.exit("there is nothing to draw")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(draw(title, lines))


if __name__ == "__main__":
    main(sys.argv[1:])
