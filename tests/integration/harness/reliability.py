# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the soak has seen: kept in a file, so that a run goes on where the last one was stopped, and told in a page.

The file stays on its machine. The page is what outlives it: a fault that this machine has not seen keeps its line.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .playbooks import Run
from .settings import OUTPUT, ROOT, SEED
from .workload import Record

STATE = OUTPUT / "soak.json"
PAGE = ROOT / "docs" / "reliability.md"
HEAD = """\
# Reliability

Written by `make soak`, which runs whole matrices of faults on the sandbox: real Kubernetes, real Cassandra.
`make test` runs a sample of them. Kills are those of ansible-playbook by SIGKILL and of workers that lost power.
A client writes and reads at QUORUM all the time; a write counts as lost when it was acknowledged and a later read at
QUORUM does not find it. Failed requests were answered with an error or not in time, as QUORUM has it when too many
nodes are away. A line tells what the last machine saw that ran any of its tests.

"""


@dataclass
class Outcome:
    """What one test of the soak saw.

    :ivar fault: what it did, in words; tests of one fault share a line of the page.
    :ivar workers: how many workers lost their power.
    """

    fault: str
    workers: int = 0


@dataclass(frozen=True)
class Soak:
    """The state file: name of a test -> its outcome."""

    path: Path = STATE

    def entries(self) -> dict[str, dict[str, Any]]:
        """What was done so far."""
        found: dict[str, dict[str, Any]] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return found

    def passed(self) -> set[str]:
        """The tests that need not be run again."""
        return {test for test, entry in self.entries().items() if entry["passed"]}

    @contextmanager
    def noting(self, test: str, outcome: Outcome, passed: Callable[[], bool | None]) -> Iterator[None]:
        """Remember what is seen while the context lasts.

        :param passed: asked at its end; None of a test that somebody interrupted.
        """
        before, kills = counts(), Run.kills
        yield
        well = passed()
        if well is None:
            return
        seen = {
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
            "seed": SEED,
            "fault": outcome.fault,
            "passed": well,
            "times": 1,
            "kills": Run.kills - kills + outcome.workers,
            "wrong": int(not well),
            **{name: count - before[name] for name, count in counts().items()},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({**self.entries(), test: seen}, indent=1))
        PAGE.write_text(page(list(self.entries().values()), PAGE.read_text() if PAGE.exists() else ""))


def counts() -> dict[str, int]:
    """What all clients have seen up to now."""
    return {
        "requests": sum(record.requests for record in Record.all),
        "failed": sum(sum(record.failures.values()) for record in Record.all),
        "acknowledged": sum(len(record.acknowledged) for record in Record.all),
        "lost": sum(len(record.lost) for record in Record.all),
    }


COLUMNS = {
    "times": "times",
    "wrong": "went wrong",
    "kills": "kills",
    "requests": "requests",
    "failed": "failed requests",
    "acknowledged": "acknowledged writes",
    "lost": "lost writes",
}


SEEDS = re.compile(r"^Seeds: (.*)\.$", re.MULTILINE)
LINE = re.compile(r"^\| ([a-z][^|]*) \| (\d{4}-\d\d-\d\d) \| ([\d,| ]+) \|$", re.MULTILINE)


@dataclass
class Line:
    """A fault on the page. :ivar last: the date when it was last seen. :ivar sums: by the names of L(COLUMNS)."""

    last: str
    sums: dict[str, int]

    def text(self, name: str) -> str:
        return f"| {name} | {self.last} | {' | '.join(f'{self.sums[key]:,}' for key in COLUMNS)} |"


def page(entries: list[dict[str, Any]], before: str) -> str:
    """The page: a line a kind of fault.

    :param before: the page as it was.
    """
    seeds = {str(entry["seed"]) for entry in entries} | set("".join(SEEDS.findall(before)).split(", ")) - {""}
    lines = {**told(before), **seen(entries)}
    every = added(list(lines.values()))
    table = [
        f"Seeds: {', '.join(sorted(seeds, key=int))}.",
        "",
        f"| fault | last | {' | '.join(COLUMNS.values())} |",
        f"|---|---|{'---:|' * len(COLUMNS)}",
        *(line.text(fault) for fault, line in lines.items()),
        every.text("**all**"),
    ]
    return HEAD + "\n".join(table) + "\n"


def told(text: str) -> dict[str, Line]:
    """The lines of a page."""
    return {
        fault: Line(last, dict(zip(COLUMNS, (int(cell.replace(",", "")) for cell in cells.split("|")), strict=True)))
        for fault, last, cells in LINE.findall(text)
    }


def seen(entries: list[dict[str, Any]]) -> dict[str, Line]:
    """A line a fault."""
    found: dict[str, list[Line]] = {}
    for entry in entries:
        found.setdefault(entry["fault"], []).append(Line(entry["date"], {key: entry[key] for key in COLUMNS}))
    return {fault: added(lines) for fault, lines in found.items()}


def added(lines: list[Line]) -> Line:
    return Line(max(line.last for line in lines), {key: sum(line.sums[key] for line in lines) for key in COLUMNS})
