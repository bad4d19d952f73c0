# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print the cassandra.yaml keys that a Cassandra release knows, from the class that its loader fills.

Repeat for each version named in plugins/module_utils/settings.py, with a JDK and Maven on the PATH:

    mvn dependency:copy -Dartifact=org.apache.cassandra:cassandra-all:5.0.9 -DoutputDirectory=/tmp/jars
    javap -v -cp /tmp/jars/cassandra-all-5.0.9.jar org.apache.cassandra.config.Config | python extract_settings.py

A line is `key`, or `old-key new-key` for a name that the loader still accepts (annotation @Replaces, since 4.1).

Given files with the output of javap for every release of a line, from its first (5.0.0) on and in their order, it
prints the names that a later one brought, with that one's number: `key patch`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

FIELD = re.compile(r"^  public (?!.*\b(?:static|transient|class|enum)\b)[^(]* (\w+);$")
ANNOTATED_OLD_NAME = re.compile(r'oldName="(\w+)"')
MEMBER = re.compile(r"^  \S.*;$")


def keys(lines: Iterable[str]) -> Iterator[str]:
    """The keys in the output of `javap -v` of the Config class, in its order."""
    current = ""
    for line in lines:
        if MEMBER.match(line):
            found = FIELD.match(line)
            current = found.group(1) if found else ""
            if current:
                yield current
        old = ANNOTATED_OLD_NAME.search(line)
        if old and current and old.group(1) != current:
            yield f"{old.group(1)} {current}"


def brought(releases: Sequence[Iterable[str]]) -> dict[str, int]:
    """Names that the first release does not know -> number of the first that does."""
    found: dict[str, int] = {}
    for patch, lines in enumerate(releases):
        for key in keys(lines):
            found.setdefault(key.split()[0], patch)
    return {key: patch for key, patch in found.items() if patch}


if __name__ == "__main__":
    if sys.argv[1:]:
        told = [Path(name).read_text(encoding="utf-8").splitlines() for name in sys.argv[1:]]
        print("\n".join(f"{key} {patch}" for key, patch in sorted(brought(told).items())))
    else:
        print("\n".join(sorted(set(keys(sys.stdin.read().splitlines())))))
