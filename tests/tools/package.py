# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a user gets it: ``build`` the tarball; ``check`` it in an empty folder, and as Galaxy does."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import checkout
import rules
import venvs
import website
from report import ROOT, VENV_BIN, Report, command

BUILD = ROOT / "build"
COLLECTION = f"{checkout.NAMESPACE}.{checkout.NAME}"
# Galaxy refuses more than 20 MB; a tenth of that means that something came along that should not.
LARGEST = 2_000_000
# In an environment of its own: it wants versions of its own.
IMPORTER = "galaxy-importer==0.4.44"
# What Galaxy asks beyond the importer's defaults.
STRICT = {"GALAXY_IMPORTER_CHECK_REQUIRED_TAGS": "true", "GALAXY_IMPORTER_REQUIRE_V1_OR_GREATER": "true"}


def build() -> Path:
    """Build the tarball from what git knows, so that nothing that lies around gets into it."""
    BUILD.mkdir(exist_ok=True)
    for old in BUILD.glob(f"{checkout.NAMESPACE}-{checkout.NAME}-*.tar.gz"):
        old.unlink()
    with checkout.copy("build") as root:
        subprocess.run(
            [VENV_BIN / "ansible-galaxy", "collection", "build", "--force", "--output-path", BUILD],
            cwd=root,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return next(BUILD.glob("*.tar.gz"))


def install(folder: Path) -> None:
    """Build it, and install it into a folder as a user does."""
    words = (VENV_BIN / "ansible-galaxy", "collection", "install", "--offline", "-p", folder, build())
    subprocess.run(words, cwd=folder, check=True, capture_output=True)


def content(tarball: Path) -> list[str]:
    """What is wrong with the files in the tarball."""
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "meta/runtime.yml", "requirements.txt"}
    strays = [name for name in names if name.startswith((".", "build/", "tests/sandbox/", "tests/integration/"))]
    problems = [f"{name} is missing" for name in sorted(wanted.difference(names))]
    problems += [f"{name} does not belong to the collection" for name in strays]
    if tarball.stat().st_size > LARGEST:
        problems.append(f"it has {tarball.stat().st_size} bytes, more than {LARGEST}")
    return problems


def check() -> int:
    """Install the tarball where nothing else is, and let Ansible find everything in it."""
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": name, "ANSIBLE_HOME": str(folder / "home"), "NO_COLOR": "1"}
        env.pop("ANSIBLE_CONFIG", None)
        tarball = build()
        report.check(f"files of {tarball.name}", lambda: content(tarball))
        install = (VENV_BIN / "ansible-galaxy", "collection", "install", "--offline", "-p", folder, tarball)
        report.check("install", command(*install, cwd=folder, env=env))
        installed = folder / "ansible_collections" / checkout.NAMESPACE / checkout.NAME
        for playbook in sorted((installed / "playbooks").glob("*.yml")):
            if not playbook.name.endswith(".meta.yml"):
                full = f"{COLLECTION}.{playbook.stem}"
                argv = (VENV_BIN / "ansible-playbook", "--syntax-check", "-i", "localhost,", full)
                report.check(f"ansible-playbook --syntax-check {full}", command(*argv, cwd=folder, env=env))
        for kind, names in documented(installed):
            show = command(VENV_BIN / "ansible-doc", "--type", kind, "--json", *names, cwd=folder, env=env)
            report.check(f"ansible-doc --type {kind}", show)
        report.check("galaxy-importer", lambda: galaxy(tarball, folder))
        report.check("ansible-builder", lambda: execution_environment(folder))
    website.build(report)
    return report.close()


def documented(root: Path) -> list[tuple[str, list[str]]]:
    """The documented content of a collection: kind as ansible-doc calls it, full names."""
    kinds = {kind: rules.plugins(root, kind) for kind in ("callback", "connection", "filter", "inventory", "lookup")}
    kinds["module"] = rules.plugins(root, "modules")
    kinds["role"] = {path.name for path in (root / "roles").glob("*")}
    return [(kind, [f"{COLLECTION}.{name}" for name in sorted(names)]) for kind, names in kinds.items() if names]


def importer() -> Path:
    """The folder of the programs of galaxy-importer; ansible-builder is one of them."""
    return venvs.make("importer", [IMPORTER, *venvs.pinned("ansible-core", "ansible-lint")])


def galaxy(tarball: Path, folder: Path) -> list[str]:
    """What Galaxy says of a tarball that is uploaded to it: warnings and errors of its importer."""
    programs = importer()
    done = subprocess.run(
        [programs / "python", "-m", "galaxy_importer.main", tarball],
        cwd=folder,
        env={**os.environ, **STRICT, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    said = done.stdout.splitlines()
    if done.returncode or "Importer processing completed successfully" not in said:
        return [*said, f"exit code {done.returncode}"]
    # It ends well with warnings, too.
    return [line for line in said if line.startswith(("WARNING", "ERROR", "CRITICAL"))]


def execution_environment(folder: Path) -> list[str]:
    """What ansible-builder says of our definition, and what it would install for the collection in the folder.

    Building the image takes a container engine and the network; this is what it does before.
    """
    builder = importer() / "ansible-builder"
    create = ("create", "--file", ROOT / "extensions/awx/execution-environment.yml", "--context", folder / "context")
    if found := command(builder, *create)():
        return found
    wanted = folder / "python.txt"
    if found := command(builder, "introspect", folder, "--write-pip", wanted)():
        return found
    named = {line.partition("#")[0].strip() for line in wanted.read_text().splitlines()} - {""}
    missing = {line for line in (ROOT / "meta/ee-requirements.txt").read_text().splitlines() if line[:1] != "#"} - named
    # ansible-builder leaves out what every execution environment has.
    return [f"it would not install {line}" for line in sorted(missing) if not line.startswith("PyYAML")]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["build"]:
            print(build().relative_to(ROOT))
        case ["check"]:
            sys.exit(check())
        case _:
            sys.exit(f"usage: {Path(__file__).name} build | check")
