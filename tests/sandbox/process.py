# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and daemons: running, finding again and ending them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from .errors import SandboxError


def run(
    command: Sequence[str],
    *,
    text: str | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return its output.

    Raises SandboxError with the end of what it said when it fails (unless check is false) or takes over `timeout` s.
    """
    try:
        done = subprocess.run(
            list(command),
            input=text,
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=timeout,
            env=None if env is None else {**os.environ, **env},
            check=False,
        )
    except FileNotFoundError:
        raise SandboxError(f"the command '{command[0]}' is not on this machine") from None
    except subprocess.TimeoutExpired:
        raise SandboxError(f"'{' '.join(command)}' did not end within {timeout:.0f} s") from None
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise SandboxError(f"'{' '.join(command)}' failed with exit code {done.returncode}:\n{said}")
    return done


def start_time(pid: int) -> int | None:
    """When a process began (clock ticks since boot), or None when there is none or only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in brackets and may itself hold spaces and brackets.
    fields = stat[stat.rfind(")") + 2 :].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def parse_pid_file(text: str) -> tuple[int, int] | None:
    """Pid and start time from a pid file, or None when it is not whole."""
    words = text.split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return None
    return int(words[0]), int(words[1])


def daemon_pid(pid_file: Path) -> int | None:
    """Pid of the daemon if that very process still runs; never one that got the number later."""
    try:
        known = parse_pid_file(pid_file.read_text(encoding="utf-8"))
    except OSError:
        return None
    if known is None or start_time(known[0]) != known[1]:
        return None
    return known[0]


def spawn(
    command: Sequence[str],
    pid_file: Path,
    log_file: Path,
    *,
    network: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Start a daemon that outlives us, unless it runs already; return its pid.

    It is started twice removed (setsid --fork), so that it is never our child and leaves no zombie in a long test run.
    network: network namespace to run in. nsenter, not `ip netns exec`: that one would hide /sys/fs/cgroup.
    """
    running = daemon_pid(pid_file)
    if running is not None:
        return running
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    log_file.parent.mkdir(parents=True, exist_ok=True)
    fresh = pid_file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    inside = [] if network is None else ["nsenter", f"--net=/run/netns/{network}"]
    with log_file.open("ab") as log:
        subprocess.run(
            [
                "setsid",
                "--fork",
                "sh",
                "-c",
                'echo $$ >"$0.part"; mv "$0.part" "$0"; exec "$@"',
                str(fresh),
                *inside,
                *command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=cwd or Path("/"),
            env=None if env is None else {**os.environ, **env},
            check=True,
        )
    wait_until(fresh.exists, f"{command[0]} was not started", seconds=10, log_file=log_file, pause=0.01)
    pid = int(fresh.read_text(encoding="utf-8"))
    began = start_time(pid)
    fresh.unlink()
    if began is None:
        raise SandboxError(f"{command[0]} ended as soon as it was started; the end of its log:\n{tail(log_file)}")
    pid_file.write_text(f"{pid} {began}\n", encoding="utf-8")
    return pid


def kill(pids: Iterable[int], *, how: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to processes; those that are gone already do not matter."""
    for pid in pids:
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            continue


def stop(pid_files: Iterable[Path], *, grace: float = 10) -> None:
    """End daemons: TERM to all, KILL after `grace` seconds to those that stay. Their pid files go away."""
    files = list(pid_files)
    pids = [pid for pid in map(daemon_pid, files) if pid is not None]
    kill(pids, how=signal.SIGTERM)
    gone_by(pids, grace)
    kill([pid for pid in map(daemon_pid, files) if pid is not None])
    gone_by(pids, 5)
    for file in files:
        file.unlink(missing_ok=True)


def gone_by(pids: Sequence[int], seconds: float) -> bool:
    """Wait until none of the processes is left; False when some are after `seconds`."""
    end = time.monotonic() + seconds
    while any(start_time(pid) is not None for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def tail(log_file: Path, lines: int = 12) -> str:
    """The last lines of a log."""
    try:
        text = log_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(line[:400] for line in text.splitlines()[-lines:])


def write(path: Path, text: str) -> None:
    """Write a file, unless it holds that text already: kube-proxy ends itself when its configuration is touched."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.write_text(text, encoding="utf-8")


def answers(path: Path) -> bool:
    """Whether someone listens on a Unix socket (the file of a dead listener stays)."""
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except OSError:
            return False
    return True


def wait_until(
    condition: Callable[[], bool],
    problem: str | Callable[[], str],
    *,
    seconds: float,
    log_file: Path | None = None,
    pause: float = 0.2,
) -> None:
    """Wait until the condition holds.

    Raises SandboxError with `problem` (asked for only then) and the end of the log when it does not hold within
    `seconds`.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            said = problem if isinstance(problem, str) else problem()
            more = "" if log_file is None else f"; the end of {log_file}:\n{tail(log_file)}"
            raise SandboxError(f"{said} (waited {seconds:.0f} s){more}")
        time.sleep(pause)
