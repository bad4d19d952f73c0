# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tools of this folder share: run a check, say how it went and how long it took, close with a count."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV_BIN = ROOT / ".venv" / "bin"


class Skipped(Exception):
    """A check that cannot be made on this machine; the text says why."""


@dataclass
class Report:
    """The outcome of several checks. Every failing check is told in full, every other one in a line."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    started: float = field(default_factory=time.monotonic)

    def check(self, name: str, problems: Callable[[], Sequence[str]]) -> None:
        """Run one check: no problems is a pass, ``Skipped`` is a skip, anything else fails."""
        started = time.monotonic()
        try:
            found, reason = problems(), ""
        except Skipped as skipped:
            found, reason = [], str(skipped)
        self.record(name, time.monotonic() - started, found, reason)

    def record(self, name: str, seconds: float, problems: Sequence[str], skipped: str = "") -> None:
        """Count and tell the outcome of a check that somebody else made."""
        if problems:
            outcome = "FAILED"
            self.failed += 1
        elif skipped:
            outcome = "skipped"
            self.skipped += 1
        else:
            outcome = "ok"
            self.passed += 1
        print(f"{outcome:8}{name} ({seconds:.1f} s){skipped and ': ' + skipped}")
        print("".join(f"    {line}\n" for line in problems), end="", flush=True)

    def close(self) -> int:
        """Print the count as the last line and return the exit code."""
        print(f"{time.monotonic() - self.started:.1f} s in all")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 1 if self.failed or not self.passed else 0


def command(
    *argv: str | Path,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    limit: float = 1200,
    below: Path | None = None,
) -> Callable[[], list[str]]:
    """A check that runs a program, ``limit`` seconds at most; when it fails, all that it said is the problem.

    ``below`` is a folder whose path is left out of what is told, so that paths are those of the checkout.
    """

    def run() -> list[str]:
        words = [str(word) for word in argv]
        try:
            done = subprocess.run(
                words,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = error.output.decode(errors="replace") if isinstance(error.output, bytes) else error.output or ""
            return [*said.splitlines(), f"still running after {limit:.0f} s: {shlex.join(words)}"]
        if done.returncode == 0:
            return []
        said = done.stdout.replace(f"{below}/", "") if below else done.stdout
        return [*said.splitlines(), f"exit code {done.returncode}: {shlex.join(words)}"]

    return run
