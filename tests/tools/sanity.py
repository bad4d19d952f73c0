# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ansible-test sanity`` on a clean copy of the collection, with every test that ansible-test has, and no ignore files.

No container: ansible-test makes a virtual environment for each of its tests, in ~/.ansible/test/venv, once. Arguments go to ansible-test, for
example ``--test validate-modules``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import checkout
from report import VENV_BIN, Report

# ansible-test installs pip into its virtual environments with a get-pip.py that it downloads from its own host unless it lies here already.
# Python brings a pip along, which does the same without asking anybody.
GET_PIP = "import ensurepip\n\nensurepip.bootstrap(default_pip=True)\n"
LIMIT = 1200
RUNNING = re.compile(r'^Running sanity test "([^"]+)"')
SKIPPING = re.compile(r'^WARNING: (Skipping sanity test "([^"]+)".*|Skipping tests disabled by default.*)')
FAILED = re.compile(r'^ERROR: Found \d+ ([\w-]+) issue|^FATAL: |^ERROR: Command "')


def offer_pip() -> None:
    """Put our get-pip where this ansible-test looks for it; its name has the version of pip that it wants."""
    import ansible_test._internal

    source = Path(ansible_test._internal.__file__).with_name("python_requirements.py").read_text()
    version = re.search(r"\bpip='([\d.]+)'", source)
    if version is None:
        sys.exit("This ansible-test no longer says which pip it wants: tests/tools/sanity.py has to learn how it does now.")
    script = Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{version[1].replace('.', '_')}.py"
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(GET_PIP)
