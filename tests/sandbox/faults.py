# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong on a real cluster, on demand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from .cluster import ControlPlane
from .errors import SandboxError
from .layout import Layout


def volume_folder(plane: ControlPlane, namespace: str, claim: str) -> Path:
    """Where a claim's data lies on its worker's disk.

    Raises SandboxError when there is no such claim or it has no volume yet.
    """
    found = plane.kubectl("-n", namespace, "get", "pvc", claim, "-o", "json", "--ignore-not-found")
    if not found.strip():
        raise SandboxError(f"there is no claim '{claim}' in namespace '{namespace}'")
    name = json.loads(found)["spec"].get("volumeName")
    if not name:
        raise SandboxError(f"the claim '{namespace}/{claim}' has no volume yet")
    volume = json.loads(plane.kubectl("get", "pv", name, "-o", "json"))["spec"]
    source = volume.get("local") or volume.get("hostPath")
    if source is None:
        raise SandboxError(f"the volume '{name}' of claim '{namespace}/{claim}' is none of the sandbox's")
    return Path(source["path"])


def wipe(folder: Path, layout: Layout) -> int:
    """Empty a volume and return how many entries went; the folder itself stays, as with a disk that came back empty.

    Raises SandboxError when the folder is not one of the sandbox's volumes.
    """
    if layout.state not in folder.resolve().parents:
        raise SandboxError(f"'{folder}' is not a volume of the sandbox")
    if not folder.is_dir():
        raise SandboxError(f"the volume's folder '{folder}' is not there")
    entries = list(folder.iterdir())
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    return len(entries)
