# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ansible-test sanity`` on a clean copy of the collection: every test that ansible-test has, and no ignore files.

No container: ansible-test makes a virtual environment for each of its tests, in ~/.ansible/test/venv, once.
Arguments go to ansible-test, for example ``--test validate-modules``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import checkout
from report import VENV_BIN, Report

# ansible-test installs pip into its virtual environments with a get-pip.py that it downloads from its own host,
# unless it lies here already. Python brings a pip along, which does the same without asking anybody.
GET_PIP = "import ensurepip\n\nensurepip.bootstrap(default_pip=True)\n"

START = "start of ansible-test"
RUNNING = re.compile(r'Running sanity test "([^"]+)"')
CLOSING = re.compile(r"WARNING: Reviewing previous|FATAL: The \d+ sanity test")
SKIPPING = re.compile(r"WARNING: (Skipping .*)")


@dataclass
class Outcome:
    """What ansible-test said while it ran one of its tests."""

    name: str
    seconds: float = 0
    failed: bool = False
    said: list[str] = field(default_factory=list)
    skipped: str = ""


def offer_pip() -> None:
    """Put our get-pip where this ansible-test looks for it; its name has the version of pip that it wants."""
    import ansible_test._internal

    source = Path(ansible_test._internal.__file__).with_name("python_requirements.py").read_text()
    version = re.search(r"\bpip='([\d.]+)'", source)
    if version is None:
        sys.exit("This ansible-test no longer says which pip it wants: tests/tools/sanity.py has to learn it anew.")
    script = Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{version[1].replace('.', '_')}.py"
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(GET_PIP)


def outcomes(lines: Iterable[str]) -> Iterator[Outcome]:
    """The tests that ansible-test announces in its output, each as soon as it is over."""
    current, started, over = Outcome(START), time.monotonic(), False
    for line in lines:
        if match := RUNNING.match(line):
            yield replace(current, seconds=time.monotonic() - started)
            current, started = Outcome(match[1]), time.monotonic()
        elif CLOSING.match(line):
            over = True  # The rest repeats what was said before.
        elif not over:
            current.said.append(line.rstrip())
            current.failed |= line.startswith(("ERROR: ", "FATAL: "))
            if match := SKIPPING.match(line):
                current.skipped = match[1]
    yield replace(current, seconds=time.monotonic() - started)


def main(arguments: list[str]) -> int:
    """Run ansible-test; tell each of its tests with its seconds, and close with a count."""
    offer_pip()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    argv = [str(VENV_BIN / "ansible-test"), "sanity", "--color", "no", "--python", version, *arguments]
    env = {**os.environ, "PATH": f"{VENV_BIN}{os.pathsep}{os.environ['PATH']}"}
    report = Report()
    with (
        checkout.copy("sanity") as root,
        subprocess.Popen(
            argv,
            cwd=root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        for outcome in outcomes(process.stdout or ()):
            if outcome.failed or outcome.name != START:
                report.record(outcome.name, outcome.seconds, outcome.said if outcome.failed else [], outcome.skipped)
    if process.returncode and not report.failed:
        report.record("ansible-test", 0, [f"exit code {process.returncode}"])
    return report.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
