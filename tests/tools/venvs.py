# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments beside .venv: for programs and versions that do not get along with what is in that one.

They lie in the cache of this checkout and are made anew when what they should hold changes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import checkout
from report import ROOT, VENV_BIN, Skipped

WORKS = "import sys, ensurepip, venv; print('{}.{}'.format(*sys.version_info))"


def make(purpose: str, requirements: Sequence[str], python: Path = VENV_BIN / "python") -> Path:
    """The folder of the programs of an environment with these requirements.

    :raises subprocess.CalledProcessError: pip could not install them; it said why.
    """
    folder = checkout.cache(purpose) / "venv"
    stamp, wanted = folder / "requirements.installed", "\n".join((str(python), *requirements))
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
            install = (folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            subprocess.run([*install, *requirements], check=True)
            stamp.write_text(wanted)
    return folder / "bin"


def pinned(*names: str) -> list[str]:
    """The requirements of these names with the versions of tests/requirements.txt."""
    lines = (ROOT / "tests" / "requirements.txt").read_text().splitlines()
    versions = {line.partition("==")[0].lower(): line for line in lines if "==" in line}
    return [versions[name.lower()] for name in names]


def python(*versions: str) -> Path:
    """A Python of one of these versions, best first, which is able to make environments.

    :raises Skipped: there is none on this machine.
    """
    for version in versions:
        for candidate in _candidates(version):
            asked = subprocess.run([candidate, "-c", WORKS], capture_output=True, text=True, check=False)
            if asked.returncode == 0 and asked.stdout.strip() == version:
                return candidate
    raise Skipped(f"no Python {', '.join(versions)} in PATH or among pyenv's versions")


def _candidates(version: str) -> Iterator[Path]:
    # A shim of pyenv in PATH answers only where its version is switched on: so look at the versions themselves too.
    yield from sorted(
        Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv").glob(f"versions/{version}.*/bin/python3")
    )
    if found := shutil.which(f"python{version}"):
        yield Path(found)
