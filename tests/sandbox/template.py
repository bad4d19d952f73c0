# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A containerd folder with all images in it, made once: a worker gets a copy made of hard links in a second.

To import one image takes 9 s a worker, and all a gigabyte of disk. Containers see an image through overlayfs and never
change them in place, so workers can share them; only containerd's small databases are real copies.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from . import images
from .layout import RUN, Layout
from .process import answers, run, spawn, stop, wait_until

Say = Callable[[str], None]


def folder(layout: Layout) -> Path:
    """Where the template of the current images lies, once it is made."""
    keys = [f"{name}@{images.key(name)}" for name in images.names()]
    return layout.cache / "template" / hashlib.sha256(" ".join(keys).encode()).hexdigest()[:12]


def ensure(layout: Layout, say: Say) -> None:
    """Make the template; all images must be in the cache."""
    target = folder(layout)
    if target.exists():
        return
    began = time.monotonic()
    say("images: unpacking all of them once, for every worker to come (about 30 s)")
    root = target.with_suffix(".part")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    socket = RUN / "template" / "containerd.sock"
    socket.parent.mkdir(parents=True, exist_ok=True)
    config = layout.cache / "template" / "containerd.toml"
    config.write_text(
        f"""\
version = 2
root = "{root}"
state = "{RUN / "template" / "state"}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
""",
        encoding="utf-8",
    )
    pid_file, log = layout.cache / "template" / "containerd.pid", layout.cache / "template" / "containerd.log"
    spawn(["containerd", "-c", str(config)], pid_file, log)
    try:
        wait_until(
            lambda: answers(socket),
            "containerd did not start to unpack the images",
            seconds=30,
            log_file=log,
            pause=0.05,
        )
        for name in images.names():
            images.import_into(layout, socket, name, "the template")
    finally:
        stop([pid_file])
        shutil.rmtree(RUN / "template", ignore_errors=True)
    _share_layers(layout, root)
    for old in target.parent.iterdir():
        if old.is_dir() and old != root:
            shutil.rmtree(old)
    root.rename(target)
    say(f"images: unpacked in {time.monotonic() - began:.1f} s")


def give(layout: Layout, worker_home: Path) -> bool:
    """Give a new worker its containerd folder; False when it has one, or there is no template."""
    source, target = folder(layout), worker_home / "containerd"
    if target.exists() or not source.exists():
        return False
    worker_home.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    run(["cp", "--archive", "--link", str(source), str(partial)])
    for database in partial.glob("*/*.db"):
        copy = database.with_suffix(".copy")
        shutil.copyfile(database, copy)
        copy.rename(database)
    for name in images.names():
        images.mark(worker_home, name)
    partial.rename(target)
    return True


def _share_layers(layout: Layout, root: Path) -> None:
    """containerd keeps each layer's archive, which is the very file in our cache: one of the two is enough."""
    for blob in (root / "io.containerd.content.v1.content" / "blobs" / "sha256").iterdir():
        archive = layout.images / f"{blob.name}.tar"
        if archive.exists():
            blob.unlink()
            os.link(archive, blob)
