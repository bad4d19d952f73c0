# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed at some moment; the next one finishes them."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from .datacenter import Datacenter
from .playbooks import Run

STAGES = {
    "": 3.0,
    "create StatefulSet": 2.0,
    "to join the ring": 30.0,
    "making the superuser": 2.0,
    "opening CQL": 2.0,
    "to be whole": 10.0,
}
"""What a first deploy says, one after the other -> the most seconds to let it go on after that."""


@dataclass(frozen=True)
class Moment:
    """When to kill: so long after it said so."""

    stage: str
    delay: float

    @classmethod
    def choose(cls, rng: random.Random, stage: str | None = None) -> Moment:
        """Some moment, in the given stage or in any."""
        stage = rng.choice(list(STAGES)) if stage is None else stage
        return cls(stage, rng.uniform(0, STAGES[stage]))

    def __str__(self) -> str:
        return f"{self.delay:.2f} s after {self.stage!r}"

    def reach(self, run: Run, seconds: float = 300) -> None:
        """Wait for it, or for the end of the run."""
        wait_for_words(run, self.stage, seconds)
        end = time.monotonic() + self.delay
        while run.process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)


def wait_for_words(run: Run, words: str, seconds: float = 300) -> None:
    """Wait until a run has said something, or ended."""
    end = time.monotonic() + seconds
    while run.process.poll() is None and words not in run.output:
        assert time.monotonic() < end, f"the run has not said {words!r} in {seconds:.0f} s:\n{run.output}"
        time.sleep(0.05)


def killed_deploy(datacenter: Datacenter, moment: Moment) -> bool:
    """Start a deploy and kill it at that moment; whether it was, or had ended before."""
    return killed(datacenter.start("deploy"), moment)


def killed(run: Run, moment: Moment) -> bool:
    """Kill it at that moment; whether it was, or had ended before."""
    moment.reach(run)
    ended = run.process.poll()
    run.kill() if ended is None else None
    print(f"killed {moment}" if ended is None else f"it had ended with {ended} {moment}")
    return ended is None
