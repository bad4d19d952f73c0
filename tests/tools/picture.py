# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture (SVG) of what a run said on a terminal, colours included, for the pages.

    ANSIBLE_FORCE_COLOR=1 ansible-playbook ... | python tests/tools/picture.py 'title' docs/images/status.svg

``FROM`` and ``TO``, two further arguments, are patterns: the picture begins with the first line that the one matches,
and ends before the first later one that the other matches.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT, MARGIN, BAR = 7.83, 18, 16, 30
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
BACK, TEXT, DIM = "#1d2433", "#e6e9ef", "#93a0b5"
# Colours that Ansible uses, by their SGR parameters.
COLOURS = {
    "0": TEXT,
    "0;31": "#ff7b72",
    "0;32": "#7ee787",
    "0;33": "#f2cc60",
    "0;34": "#79c0ff",
    "0;35": "#d2a8ff",
    "0;36": "#76e3ea",
    "1;30": DIM,
    "1;31": "#ff7b72",
    "1;35": "#d2a8ff",
    "0;37": DIM,
}
SGR = re.compile(r"\x1b\[([\d;]*)m")


def cut(lines: Sequence[str], begin: str = "", end: str = "") -> list[str]:
    """The lines from the first that ``begin`` matches, up to the next that ``end`` matches."""
    bare = [SGR.sub("", line) for line in lines]
    first = next((number for number, line in enumerate(bare) if re.search(begin, line)), 0) if begin else 0
    rest = range(first + 1, len(bare))
    last = next((number for number in rest if re.search(end, bare[number])), len(bare)) if end else len(bare)
    return list(lines[first:last])


def words(line: str) -> Iterator[tuple[int, str, str]]:
    """What stands between wider gaps of a line, with its column and colour: so columns stand below each other."""
    column = 0
    for colour, piece in spans(line):
        for found in re.finditer(r"\S+(?: \S+)*", piece):
            yield column + found.start(), colour, found[0]
        column += len(piece)


def spans(line: str) -> Iterator[tuple[str, str]]:
    """The pieces of a line, each with its colour."""
    colour, position = TEXT, 0
    for code in SGR.finditer(line):
        if code.start() > position:
            yield colour, line[position : code.start()]
        colour, position = COLOURS.get(code[1] or "0", TEXT), code.end()
    if position < len(line):
        yield colour, line[position:]


def draw(title: str, lines: Sequence[str]) -> str:
    """The picture."""
    columns = max([len(SGR.sub("", line)) for line in lines] + [len(title), 60])
    width, height = round(columns * WIDTH + 2 * MARGIN), len(lines) * HEIGHT + BAR + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" aria-label="{escape(title)}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="{BACK}"/>',
        f'<text x="{MARGIN}" y="20" fill="{DIM}" font-family="{FONT}" font-size="12">{escape(title)}</text>',
        f'<g font-family="{FONT}" font-size="13">',
    ]
    for number, line in enumerate(lines):
        y = BAR + MARGIN + number * HEIGHT + 12
        for column, colour, piece in words(line):
            # Where the font is another one than expected, letters move a little, and columns stay where they are.
            place = f'x="{MARGIN + column * WIDTH:.1f}" y="{y}" textLength="{len(piece) * WIDTH:.1f}"'
            parts.append(f'<text {place} fill="{colour}">{escape(piece)}</text>')
    return "\n".join([*parts, "</g>", "</svg>", ""])


def main(arguments: Sequence[str]) -> None:
    """Draw what comes on stdin."""
    title, file, *patterns = arguments
    lines = cut(sys.stdin.read().rstrip("\n").splitlines(), *patterns)
    if not any(line.strip() for line in lines):
        sys.exit("there is nothing to draw")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(draw(title, lines))


if __name__ == "__main__":
    main(sys.argv[1:])
