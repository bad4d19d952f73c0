# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clean copy of the collection in the place where Ansible's own tools want it.

ansible-test, ansible-lint and antsibull-docs look at the folder names above a collection, and at everything below it.
A clone may be called anything and holds a .venv, so they get a copy: ``<cache>/ansible_collections/cassops/kubernetes``
with what git knows or would know (tracked files, and new ones that are not ignored). The copy stays, so that the tools
find what they cached in it.
"""

from __future__ import annotations

import fcntl
import filecmp
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from report import ROOT

NAMESPACE, NAME = "cassops", "kubernetes"


def cache(purpose: str) -> Path:
    """A folder outside the checkout that belongs to this checkout and ``purpose`` alone."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:10]
    folder = base / "cassops" / f"{purpose}-{checkout}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def files() -> list[Path]:
    """What belongs to the collection, relative to the root; not what was removed and is still in the index of git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted({Path(name) for name in listed.split("\0") if name and os.path.lexists(ROOT / name)})


@contextmanager
def copy(purpose: str) -> Iterator[Path]:
    """The root of an up-to-date copy, a git checkout too. A second caller with the same purpose waits for the first."""
    base = cache(purpose)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = base / "ansible_collections" / NAMESPACE / NAME
        root.mkdir(parents=True, exist_ok=True)
        _mirror(root)
        # ansible-test asks git which files there are, and whether each is ignored.
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
        subprocess.run(["git", "add", "--all"], cwd=root, check=True)
        yield root


def _mirror(root: Path) -> None:
    """Make ``root`` hold exactly ``files()``; what is equal is not touched."""
    wanted = files()
    keep = {root / name for name in wanted}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if Path(folder, name) not in (root / ".git", root / "tests" / "output")]
        for stale in {Path(folder, name) for name in names} - keep:
            stale.unlink()
    for name in wanted:
        source, target = ROOT / name, root / name
        if target.is_file() and not source.is_symlink() and filecmp.cmp(source, target):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
