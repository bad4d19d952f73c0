# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of "Another password" (docs/operations/backup.md), run for real, with a stub in restic's place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs/operations/backup.md"
SHELLS = [[shell] for shell in ("sh", "dash", "bash") if shutil.which(shell)]
SHELLS += [["busybox", "sh"]] if shutil.which("busybox") else []
OLD_NODE = "0a4bb1f0-5f43-4f65-8d5e-6f0a3b7f7a11"
# A repository is a folder with a file a key, which has the password that opens it. restic trims what it reads.
RESTIC = r"""#!/bin/sh
[ "$1" = -r ] && [ "$3" = --password-file ] && [ "$5" = --retry-lock ] || exit 2
store=$STORE/${2##*cassandra/shop/}
given=$(cat "$4") || exit 1
shift 6
[ -d "$store" ] || { echo "repository does not exist" >&2; exit 10; }
own=$(grep -lx "$given" "$store"/* | head -n 1)
[ -n "$own" ] || { echo "wrong password or no key found" >&2; exit 12; }
case "$1 $2" in
    "cat config") ;;
    "key add") [ "$3" = --new-password-file ] && cat "$4" >"$store/$(printf %08x $$)" ;;
    "key list") for key in "$store"/*; do printf '[{"current":false,"id":"%s"}]' "${key##*/}"; done ;;
    "key remove")
        [ "$store/$3" != "$own" ] || { echo "refusing to remove key currently used to access repository" >&2; exit 1; }
        rm "$store/$3" ;;
    "snapshots --json") printf '[{"tags":["kind=node","repository=shop/dc1/%s"]},{"tags":["kind=backup"]}]' "$HERE" ;;
    *) exit 2 ;;
esac
"""


class Container:
    """A container `backup`, and its store."""

    def __init__(self, root: Path, shell: list[str]) -> None:
        self.root, self.shell = root, shell
        for folder in ("bin", "home/credentials", "home/password", "home/spool", "store"):
            (root / folder).mkdir(parents=True)
        (root / "bin/restic").write_text(RESTIC)
        (root / "bin/restic").chmod(0o755)
        (root / "home/credentials/AWS_ACCESS_KEY_ID").write_text("key")
        (root / "home/credentials/gcp.json").write_text("{}")
        self.secret(password="old")
        blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
        self.setup, self.add, self.remove = (block.replace("/cassops/backup", str(root / "home")) for block in blocks)
        self.nodes = re.findall(r"[0-9a-f-]{36}", self.setup)

    def secret(self, **passwords: str) -> None:
        """As the kubelet brings it."""
        shutil.rmtree(self.root / "home/password")
        (self.root / "home/password").mkdir()
        for name, text in passwords.items():
            (self.root / "home/password" / name).write_text(f"{text}\n")

    def made(self, *repositories: str) -> None:
        """Repositories with the password of the Secret alone."""
        for name in repositories:
            folder = self.root / "store/dc1" / name
            folder.mkdir(parents=True)
            (folder / "0").write_text("old\n")

    def passwords(self) -> dict[str, list[str]]:
        """What opens each repository."""
        return {
            folder.name: sorted(key.read_text().strip() for key in folder.iterdir())
            for folder in sorted((self.root / "store/dc1").iterdir())
        }

    def run(self, *blocks: str) -> str:
        environment = {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "STORE": str(self.root / "store"),
            "HERE": OLD_NODE,
        }
        done = subprocess.run(
            [*self.shell, "-c", "\n".join((self.setup, *blocks))],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout + done.stderr


@pytest.fixture(params=SHELLS, ids=" ".join)
def container(request: pytest.FixtureRequest, tmp_path: Path) -> Container:
    return Container(tmp_path, request.param)


def test_each_repository_gets_the_new_password_once_and_then_loses_the_old_one(container: Container) -> None:
    """The catalogue, the nodes of today, and one that was replaced, of which the catalogue tells."""
    repositories = ["catalogue", *container.nodes, OLD_NODE]
    container.made(*repositories)
    container.secret(password="old", next="new")
    for _time in range(2):
        assert "left" not in container.run(container.add)
        assert container.passwords() == {name: ["new", "old"] for name in sorted(repositories)}
    container.run(container.remove)
    assert container.passwords() == {name: ["new", "old"] for name in sorted(repositories)}, "the Secret has not come"
    container.secret(password="new", last="old")
    for _time in range(2):
        told = container.run(container.remove)
        assert told.count("refusing to remove key currently used") == len(repositories)
        assert container.passwords() == {name: ["new"] for name in sorted(repositories)}


def test_a_rotation_that_broke_off_goes_on_and_what_is_left_is_told(container: Container) -> None:
    first, second = container.nodes
    container.made("catalogue", first)
    container.secret(password="old", next="new")
    told = container.run(container.add)
    assert [line for line in told.splitlines() if line.startswith("left")] == [
        f"left: shop/dc1/{name}" for name in sorted((second, OLD_NODE))
    ]
    container.made(second, OLD_NODE)
    assert "left" not in container.run(container.add)
    assert all(its == ["new", "old"] for its in container.passwords().values())


def test_files_among_the_credentials_are_no_variables(container: Container) -> None:
    container.made("catalogue")
    told = container.run('echo "$AWS_ACCESS_KEY_ID"')
    assert "key" in told.splitlines()
    assert "gcp" not in told, "a shell refuses such a name, and ends"
    by_hand = next(
        block for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL) if "snapshots" in block
    )
    (loop,) = (line for line in by_hand.splitlines() if line.startswith("for file"))
    assert loop in container.setup
