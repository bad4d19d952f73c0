# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests, and the syntax of the playbooks, on the other supported ansible-core. ``make cores``.

`make units` runs all of them on the newest one. Here those that import Ansible run on each; the others, whose code only
depends on the version of Python, run once more with the oldest. Those of the operations and of scripts take minutes and
depend on neither. Arguments are versions to run, such as 2.17; default is all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import venvs
from report import ROOT, Report, command

OLDEST = "2.17.14"
# ansible-core -> the versions of Python that it runs on, best first.
CORES = {
    OLDEST: ("3.12", "3.11", "3.10"),
    "2.19.14": ("3.13", "3.12", "3.11"),
}
PLUGINS = "tests/unit/plugins"
WITH_ANSIBLE = tuple(f"{PLUGINS}/{kind}" for kind in ("filter", "inventory", "plugin_utils"))
NOT_HERE = ("operations", "test_archive_scripts.py", "test_restore_scripts.py", "test_scripts.py")
NEEDED = ("cassandra-driver", "hypothesis", "jmespath", "kubernetes", "pytest", "PyYAML")


def programs(core: str) -> Path:
    """The folder of ansible-playbook and pytest of an ansible-core of the table.

    :raises Skipped: there is no Python for it on this machine.
    """
    return venvs.make(f"core-{core}", [f"ansible-core=={core}", *venvs.pinned(*NEEDED)], venvs.python(*CORES[core]))


def check(report: Report, core: str) -> None:
    """Unit tests, and the syntax of every playbook."""
    env = {**os.environ, "NO_COLOR": "1"}

    def units() -> list[str]:
        tests = (PLUGINS, *(f"--ignore={PLUGINS}/module_utils/{name}" for name in NOT_HERE))
        chosen = tests if core == OLDEST else WITH_ANSIBLE
        return command(programs(core) / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, env=env)()

    def syntax() -> list[str]:
        playbooks = [path for path in sorted((ROOT / "playbooks").glob("*.yml")) if not path.name.endswith(".meta.yml")]
        inventory = ("-i", ROOT / "inventories" / "sandbox")
        return command(programs(core) / "ansible-playbook", "--syntax-check", *inventory, *playbooks, env=env)()

    report.check(f"ansible-core {core}: unit tests", units)
    report.check(f"ansible-core {core}: syntax of the playbooks", syntax)


def main(arguments: Sequence[str]) -> int:
    """Check those that are named, or all."""
    report = Report()
    for core in CORES:
        if not arguments or core.startswith(tuple(f"{word}." for word in arguments)):
            check(report, core)
    return report.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
