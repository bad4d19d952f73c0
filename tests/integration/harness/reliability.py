# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the soak has seen: kept in a file, so that a run goes on where the last one was stopped, and told in a page."""

from __future__ import annotations

import datetime
import json
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
`make test` runs a sample of each. Kills are those of ansible-playbook by SIGKILL and of workers that lost power.
A client writes and reads at QUORUM all the time; a write counts as lost when it was acknowledged and a later read at
QUORUM does not find it. Failed requests were answered with an error or not in time, as QUORUM has it when too many
nodes are away.

"""


@dataclass
class Outcome:
    """What one test of the soak saw.

    :ivar fault: what it did, in words; tests of one fault share a line of the page.
    :ivar record: of its client, where it has one; it may have been at work before the test.
    :ivar workers: how many workers lost their power.
    """

    fault: str
    record: Record | None = None
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
        before, kills = counts(outcome.record), Run.kills
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
            **{name: count - before[name] for name, count in counts(outcome.record).items()},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({**self.entries(), test: seen}, indent=1))
        PAGE.write_text(page(list(self.entries().values())))


def counts(record: Record | None) -> dict[str, int]:
    """What a client has seen up to now."""
    record = record or Record()
    return {
        "requests": record.requests,
        "failed": sum(record.failures.values()),
        "acknowledged": len(record.acknowledged),
        "lost": len(record.lost),
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


def page(entries: list[dict[str, Any]]) -> str:
    """The page: a line a kind of fault."""
    dates = sorted(entry["date"] for entry in entries)
    seeds = sorted({str(entry["seed"]) for entry in entries})
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    faults = dict.fromkeys(entry["fault"] for entry in entries)
    lines = [
        f"{when}, seeds {', '.join(seeds)}:",
        "",
        f"| fault | {' | '.join(COLUMNS.values())} |",
        f"|---|{'---:|' * len(COLUMNS)}",
        *(row(fault, [entry for entry in entries if entry["fault"] == fault]) for fault in faults),
        row("**all**", entries),
    ]
    return HEAD + "\n".join(lines) + "\n"


def row(name: str, entries: list[dict[str, Any]]) -> str:
    """Sums of the entries."""
    return f"| {name} | {' | '.join(f'{sum(entry[key] for entry in entries):,}' for key in COLUMNS)} |"
