# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An execution environment for the sandbox: this machine's Python with what the collection needs, as an image.

What `ansible-builder` makes of `extensions/awx/execution-environment.yml` has a whole distribution around the same
programs; here there is no container engine, and no registry.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from sandbox import Sandbox

from .settings import VENV_BIN

IMAGE = "docker.io/cassops/execution-environment:test"
DISTRIBUTIONS = ("ansible-core", "kubernetes", "cassandra-driver", "jmespath")
USELESS = re.compile(
    r"/(test|tests|idlelib|tkinter|ensurepip|site-packages|dist-packages|__pycache__|config-3[^/]*)(/|$)"
)
PACKAGES, COLLECTIONS = "opt/packages", "opt/collections"
USERS = "root:x:0:0::/root:/bin/sh\nrunner:x:1000:1000::/tmp:/bin/sh\n"


def load(sandbox: Sandbox, collections: Path, folder: Path) -> str:
    """Make the image and load it on every worker; its name.

    :param collections: folder with the installed collection.
    :param folder: for the image's archive.
    """
    layer = folder / "layer.tar"
    with tarfile.open(layer, "w") as archive:
        add_system(archive)
        for source, inside in packages():
            archive.add(source, inside, recursive=False)
        archive.add(collections, COLLECTIONS, filter=readable)
    image = folder / "image.tar"
    with tarfile.open(image, "w") as archive:
        write_image(archive, layer)
    for worker in sandbox.workers():
        socket = str(sandbox.layout.containerd_socket(worker.name))
        command = ["ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", str(image)]
        subprocess.run(command, check=True, capture_output=True)
    return IMAGE


def readable(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """By everybody: folders of tests are their owner's alone."""
    info.mode |= 0o755 if info.isdir() else 0o444
    return info


def write_image(archive: tarfile.TarFile, layer: Path) -> None:
    """As `docker save` does."""
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    environment = {
        "PATH": "/opt:/bin",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": f"/{PACKAGES}",
        "ANSIBLE_COLLECTIONS_PATH": f"/{COLLECTIONS}",
    }
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"{name}={value}" for name, value in environment.items()]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    index = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    add(archive, "config.json", json.dumps(config).encode())
    add(archive, "manifest.json", json.dumps(index).encode())
    archive.add(layer, "layer.tar")


def add_system(archive: tarfile.TarFile) -> None:
    """A shell, Python at its own place, the libraries of both, and a user."""
    python = Path(sys.executable).resolve()
    standard = Path(sysconfig.get_path("stdlib"))
    for path in [standard, *standard.rglob("*")]:
        if not USELESS.search(f"{path.relative_to(standard.parent)}/") and not path.is_dir():
            archive.add(path, path.as_posix())
    archive.add(python, python.as_posix())
    compiled = [python, *standard.rglob("*.so"), *(source for source, inside in packages() if ".so" in inside)]
    for library in libraries(compiled):
        archive.add(library.resolve(), library.as_posix())
    program = (VENV_BIN / "ansible-playbook").read_text().partition("\n")[2]
    add(archive, "opt/ansible-playbook", f"#!{python}\n{program}".encode(), 0o755)
    add(archive, "bin/busybox", Path("/bin/busybox").read_bytes(), 0o755)
    for applet in subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True).stdout.split():
        link = tarfile.TarInfo(f"bin/{applet}")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        if applet != "busybox":
            archive.addfile(link)
    add(archive, "etc/passwd", USERS.encode())
    # Ansible wants UTF-8, and C libraries that do not have it built in want these.
    for locale in Path("/usr/lib/locale").glob("C.[uU][tT][fF]*8"):
        archive.add(locale, locale.as_posix())


def add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    archive.addfile(info, io.BytesIO(content))


def packages() -> Iterator[tuple[Path, str]]:
    """Every file of the distributions and what they require: where it is, and where it goes."""
    for distribution in needed():
        for file in distribution.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                yield Path(str(distribution.locate_file(file))), f"{PACKAGES}/{file.as_posix()}"


def needed() -> list[importlib.metadata.Distribution]:
    found: dict[str, importlib.metadata.Distribution] = {}
    names = list(DISTRIBUTIONS)
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name not in found:
            found[name] = importlib.metadata.distribution(name)
            required = [Requirement(line) for line in found[name].requires or ()]
            names += [one.name for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    return list(found.values())


def libraries(compiled: Iterable[Path]) -> set[Path]:
    """The shared libraries of the system that they need, the loader among them; packages bring theirs along."""
    said = subprocess.run(["ldd", *map(str, compiled)], check=False, capture_output=True, text=True).stdout
    found = {Path(os.path.normpath(path)) for path in re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", said, re.MULTILINE)}
    return {path for path in found if not path.is_relative_to(sys.prefix)}
