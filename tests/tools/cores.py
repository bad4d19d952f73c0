# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests, the syntax of the playbooks, and a play, on the other supported ansible-core. ``make cores``.

`make units` runs all of them on the newest one. Here those that import Ansible run on each; the others, whose code only
depends on the version of Python, run once more with the oldest. Those of the operations and of scripts take minutes and
depend on neither. Arguments are versions to run, such as 2.17; default is all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import venvs
import yaml
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
# Nobody listens there.
KUBECONFIG = {
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "me", "namespace": "ns"}}],
    "current-context": "none",
    "users": [{"name": "me", "user": {"token": "very-secret-token"}}],
}
NO_ANSWER = "The Kubernetes API server http://127.0.0.1:1 cannot be reached"
# Seconds that a play may take to find that out.
SOON = 60
NEEDED = ("cassandra-driver", "hypothesis", "jmespath", "kubernetes", "pytest", "PyYAML")


def programs(core: str) -> Path:
    """The folder of ansible-playbook and pytest of an ansible-core of the table.

    :raises Skipped: there is no Python for it on this machine.
    """
    return venvs.make(f"core-{core}", [f"ansible-core=={core}", *venvs.pinned(*NEEDED)], venvs.python(*CORES[core]))


def check(report: Report, core: str) -> None:
    """Unit tests, the syntax of every playbook, and a play whose kubeconfig comes as each core gives texts."""
    env = {**os.environ, "NO_COLOR": "1"}

    def units() -> list[str]:
        tests = (PLUGINS, *(f"--ignore={PLUGINS}/module_utils/{name}" for name in NOT_HERE))
        chosen = tests if core == OLDEST else WITH_ANSIBLE
        return command(programs(core) / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, env=env)()

    def syntax() -> list[str]:
        playbooks = [path for path in sorted((ROOT / "playbooks").glob("*.yml")) if not path.name.endswith(".meta.yml")]
        inventory = ("-i", ROOT / "inventories" / "sandbox")
        return command(programs(core) / "ansible-playbook", "--syntax-check", *inventory, *playbooks, env=env)()

    def play() -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            return played(programs(core), Path(folder), env)

    report.check(f"ansible-core {core}: unit tests", units)
    report.check(f"ansible-core {core}: syntax of the playbooks", syntax)
    report.check(f"ansible-core {core}: a kubeconfig out of a vault, and by a lookup", play)


def played(program: Path, folder: Path, env: Mapping[str, str]) -> list[str]:
    """The playbook status, for a datacenter whose kubeconfig is vaulted and one that looks it up: both must be read."""
    inventory(program, folder)
    words = (program / "ansible-playbook", "-i", folder / "inventory.yml", "--vault-password-file", folder / "password")
    done = subprocess.run(
        [*words, "playbooks/status.yml"],
        cwd=ROOT,
        env={**env, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SOON,
        check=False,
    )
    said = [line for line in done.stdout.splitlines() if line.startswith("fatal: ")]
    if [NO_ANSWER in line for line in said] == [True, True] and "very-secret" not in done.stdout:
        return []
    return [*done.stdout.splitlines(), f"wanted of dc1 and of dc2: {NO_ANSWER}"]


def inventory(program: Path, folder: Path) -> None:
    """An inventory with its vault's password beside it."""
    text = yaml.safe_dump(KUBECONFIG)
    (folder / "password").write_text("anything")
    (folder / "kubeconfig").write_text(text)
    vaulted = subprocess.run(
        [program / "ansible-vault", "encrypt_string", "--vault-password-file", folder / "password", text],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lookup = "{{ lookup('ansible.builtin.file', '" + str(folder / "kubeconfig") + "') }}"
    variables = {"ansible_connection": "local", "cassandra_cluster": "shop"}
    hosts = {"dc1": {}, "dc2": {"cassandra_kubeconfig": lookup}}
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"vars": variables, "hosts": hosts}}))
    (folder / "host_vars").mkdir()
    (folder / "host_vars" / "dc1.yml").write_text(f"cassandra_kubeconfig: {vaulted}")


def main(arguments: Sequence[str]) -> int:
    """Check those that are named, or all."""
    report = Report()
    for core in CORES:
        if not arguments or core.startswith(tuple(f"{word}." for word in arguments)):
            check(report, core)
    return report.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
