# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is tested, in stages. ``make test``; ``python tests/run.py lint units`` runs these stages only.

A stage is a make target. One that fails does not stop the others, except those that need it. What a stage says goes to
tests/output/stages/<stage>.log, and its end to the terminal when it fails. The sandbox takes its time on a new machine
(it builds Kubernetes), and other stages leave a processor idle: those are started first and waited for at their place.
The last line is the count of all.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "tests" / "output" / "stages"

MINUTE = 60.0
# All together; CI gives 90 minutes and then tells nothing.
TOTAL = 80 * MINUTE
# Time to write its summary, for a stage that is over its limit.
GRACE = 30.0
HEARTBEAT = 60.0
TAIL = 100

# The closing line of pytest, and the plain one of our own tools: "3 passed, 1 failed, 2 skipped".
COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")
CLOSING = re.compile(r"^=*\s*(\d+ (?:passed|failed|skipped|errors?|deselected|xfailed|xpassed|warnings?)(?:, |\b))+.*$")


@dataclass(frozen=True)
class Stage:
    """A make target and what it may take."""

    name: str
    limit: float
    needs: tuple[str, ...] = ()
    # Started at once, waited for at its place in the list.
    background: bool = False
    # Tidies up: has its own limit only, because it comes when the time of all may be over.
    last: bool = False

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return LOGS / f"{self.name}.log"


STAGES = (
    Stage("lint", 25 * MINUTE),
    Stage("sanity", 30 * MINUTE, background=True),
    Stage("units", 30 * MINUTE),
    Stage("cores", 30 * MINUTE, background=True),
    Stage("package", 10 * MINUTE),
    Stage("sandbox", 45 * MINUTE, background=True),
    Stage("integration", 60 * MINUTE, needs=("sandbox",)),
)
# Where a person works, the sandbox stays for the next run; a CI machine is left as it was.
CI_STAGES = (*STAGES, Stage("sandbox-down", 5 * MINUTE, last=True))


@dataclass(frozen=True)
class Count:
    """Outcomes of checks."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


@dataclass
class Running:
    """A stage under way."""

    stage: Stage
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, stage: Stage) -> Running:
        """Start the stage in a process group of its own, so that all of it can be stopped."""
        with stage.log.open("wb") as log:
            process = subprocess.Popen(
                ["make", "--no-print-directory", stage.name],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(stage, process)

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started

    def wait(self, place: str, deadline: float) -> str:
        """Wait for the end; return why it failed, or nothing. ``deadline`` ends it even before its own limit."""
        until = self.started + self.stage.limit
        if not self.stage.last:
            until = min(until, deadline)
        told = time.monotonic()
        while self.process.poll() is None:
            now = time.monotonic()
            if now >= until:
                self.stop()
                return f"stopped after {clock(self.seconds)}: over its limit"
            if now - told >= HEARTBEAT:
                told = now
                print(f"{place}: {clock(self.seconds)}  {last_line(self.stage.log)}", flush=True)
            time.sleep(0.2)
        return f"exit code {self.process.returncode}" if self.process.returncode else ""

    def stop(self) -> None:
        """End the stage and what it started: politely, so that pytest tells what it has, then by force."""
        for signum in (signal.SIGINT, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, signum)
                try:
                    self.process.wait(GRACE)
                except subprocess.TimeoutExpired:
                    continue


def clock(seconds: float) -> str:
    """Seconds as people say them."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def last_line(log: Path) -> str:
    """The last thing that a stage said, shortened."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:100] if lines else ""


def count(output: Iterable[str], failed: bool) -> Count:
    """What a stage counted, by its closing line; without one it is one check. A stage that failed has a failure."""
    closing = [line for line in output if CLOSING.match(line)]
    told = {word.rstrip("s"): int(number) for number, word in COUNT.findall(closing[-1] if closing else "")}
    counted = Count(told.get("passed", 0), told.get("failed", 0) + told.get("error", 0), told.get("skipped", 0))
    if failed and not counted.failed:
        return counted + Count(failed=1)
    return counted if closing else Count(passed=1)


def show_failure(stage: Stage) -> None:
    """Print the end of a stage's output."""
    lines = stage.log.read_text(errors="replace").splitlines()
    cut = f" (last {TAIL} of {len(lines)} lines)" if len(lines) > TAIL else ""
    print(f"--- {stage.log.relative_to(ROOT)}{cut}", *lines[-TAIL:], "---", sep="\n", flush=True)


def run(stages: Sequence[Stage], total: float = TOTAL) -> Count:
    """Run the stages in order; return the sum of their counts."""
    LOGS.mkdir(parents=True, exist_ok=True)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Who was started in the background ignores it, and so would the stages, which are stopped by it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    deadline = time.monotonic() + total
    running = {stage.name: Running.start(stage) for stage in stages if stage.background}
    counts: dict[str, Count] = {}
    try:
        for number, stage in enumerate(stages, 1):
            place = f"stage {number} of {len(stages)}, {stage.name}"
            missing = [need for need in stage.needs if need in counts and counts[need].failed]
            if missing:
                counts[stage.name] = Count(failed=1)
                print(f"{place}: FAILED, not run because of {', '.join(missing)}", flush=True)
                continue
            print(f"{place} ...", flush=True)
            if stage.name not in running:
                running[stage.name] = Running.start(stage)
            current = running[stage.name]
            problem = current.wait(place, deadline)
            counts[stage.name] = count(stage.log.read_text(errors="replace").splitlines(), bool(problem))
            outcome = f"FAILED, {problem}" if problem else "ok"
            print(f"{place}: {outcome}, {counts[stage.name]}, {clock(current.seconds)}", flush=True)
            if problem:
                show_failure(stage)
    finally:
        for current in running.values():
            current.stop()
    return sum(counts.values(), Count())


def main(arguments: Sequence[str]) -> int:
    """Run all stages or those named; the last line is the count."""
    stages = CI_STAGES if os.environ.get("CI") else STAGES
    parser = argparse.ArgumentParser(description="Run the stages of the tests.")
    parser.add_argument("stage", nargs="*", help=f"{', '.join(stage.name for stage in stages)}; default: all")
    wanted = parser.parse_args(arguments).stage
    unknown = set(wanted) - {stage.name for stage in stages}
    if unknown:
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    # So that the stages are stopped too, and not only this program.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    started = time.monotonic()
    total = run([stage for stage in stages if not wanted or stage.name in wanted])
    print(f"all stages: {clock(time.monotonic() - started)}; their output is in {LOGS.relative_to(ROOT)}")
    print(total, flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
