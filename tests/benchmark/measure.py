# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a command is measured, and what a benchmark says in the end."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

QUIET = 1.0
"""Load (average of a minute) under which a measurement may begin."""


class Failed(Exception):
    """A command of a benchmark failed; the text is the end of what it said."""


@contextlib.contextmanager
def beside(work: Callable[[], None], end: threading.Event) -> Iterator[None]:
    """Work that is done beside the context, until it is told that this has ended."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@dataclasses.dataclass(frozen=True)
class Sample:
    """One run of a command.

    :ivar seconds: from its start to its end.
    :ivar cpu: seconds of processor time of all its processes.
    :ivar peak: bytes, the most memory that one of its processes held (resident).
    """

    seconds: float
    cpu: float
    peak: int


@dataclasses.dataclass(frozen=True)
class Result:
    """A line of results.json.

    :ivar target: what it must keep to; None where it is only told.
    :ivar better: ``lower`` or ``higher``.
    """

    name: str
    value: float
    target: float | None
    better: str
    detail: str

    @property
    def kept(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Sample:
    """Runs a command to its end.

    :raises Failed: it did not end with 0.
    """
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            end = said.read().decode(errors="replace").splitlines()[-30:]
            raise Failed(
                f"{' '.join(str(word) for word in command)} ended with {process.returncode}:\n" + "\n".join(end)
            )
    # With wait4, ru_maxrss is the largest of the process and the children it waited for, in KiB on Linux.
    return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def median(samples: Sequence[Sample]) -> float:
    """Seconds."""
    return statistics.median(sample.seconds for sample in samples)


def in_turn(runs: int, tasks: Mapping[str, Callable[[], Sample]], limit: float) -> dict[str, list[Sample]]:
    """Each task ``runs`` times, after one run each that does not count, in turn, so that all see the same machine.

    :param limit: seconds to wait for a quiet machine before each turn.
    """
    for task in tasks.values():
        task()
    samples: dict[str, list[Sample]] = {name: [] for name in tasks}
    for _turn in range(runs):
        wait_until_quiet(limit)
        for name, task in tasks.items():
            samples[name].append(task())
    return samples


def wait_until_quiet(limit: float) -> None:
    """Waits until nobody else uses the machine, at most ``limit`` seconds; then says so and goes on."""
    deadline = time.monotonic() + limit
    told = False
    while (load := os.getloadavg()[0]) >= QUIET:
        if time.monotonic() >= deadline:
            if limit:
                print(
                    f"  the machine did not become quiet in {limit:.0f} s (load {load:.1f}): figures may be off",
                    flush=True,
                )
            return
        if not told:
            print(f"  waiting for a quiet machine (load {load:.1f}) ...", flush=True)
            told = True
        time.sleep(5)


def seconds(samples: Sequence[Sample]) -> str:
    """All of them, in words."""
    return ", ".join(f"{sample.seconds:.2f}" for sample in samples)
