# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks as a user does: ansible-playbook of the clone's .venv, an inventory file, the shipped playbooks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from .settings import ROOT, VENV_BIN

RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
REGISTERED = {
    "deploy": "deploy_result",
    "status": "status_result",
    "destroy": "destroy_result",
    "heal": "heal_result",
    "replace_node": "replace_node_result",
    "scale": "scale_result",
    "cleanup": "cleanup_result",
    "repair": "repair_result",
    "rebuild": "rebuild_result",
    "decommission": "decommission_result",
    "stop": "stop_result",
    "start": "start_result",
    "restore": "restore_result",
    "backup_drill": "backup_drill_result",
    "restart": "rollout_result",
    "upgrade": "rollout_result",
    "backup": "backup_result",
    "list_backups": "list_backups_result",
    "verify_backup": "verify_backup_result",
    "purge_backups": "purge_backups_result",
    "rotate_superuser": "rotate_superuser_result",
}
"""Playbook -> the variable that its role leaves behind."""


@dataclass(frozen=True)
class Result:
    """:ivar recap: host -> (changed, failed). :ivar facts: host -> what the role registered, where it was asked for."""

    rc: int
    output: str
    seconds: float
    recap: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        """Changed tasks of all hosts."""
        return sum(changed for changed, _failed in self.recap.values())

    def ok(self) -> Result:
        """Itself, when the run ended well."""
        assert self.rc == 0, f"ansible-playbook ended with {self.rc}:\n{self.output}"
        return self

    def refused(self, *sentences: str) -> Result:
        """Itself, when the run failed with all of these sentences and without a traceback."""
        assert self.rc != 0, f"ansible-playbook ended well:\n{self.output}"
        assert "Traceback" not in self.output, self.output
        # Ansible folds long messages.
        said = " ".join(self.output.split())
        missing = [sentence for sentence in sentences if sentence not in said]
        assert not missing, f"not said: {missing}\n{self.output}"
        return self


@dataclass
class Run:
    """A playbook under way."""

    process: subprocess.Popen[str]
    log: Path
    folder: Path
    hosts: Sequence[str]
    started: float = field(default_factory=time.monotonic)
    kills: ClassVar[int] = 0
    """Of all runs of this process, for the page of the soak."""

    def kill(self) -> None:
        """SIGKILL to ansible-playbook, as the kernel does when memory is short: nobody gets to say good-bye."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        Run.kills += 1

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self.log.read_text()

    def wait(self, seconds: float = 1500) -> Result:
        """Wait for its end."""
        try:
            rc = self.process.wait(max(1.0, seconds - (time.monotonic() - self.started)))
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"ansible-playbook still ran after {seconds:.0f} s:\n{self.output}") from None
        output = self.output
        recap = {host: (int(changed), int(failed)) for host, _ok, changed, _away, failed in RECAP.findall(output)}
        files = {host: self.folder / f"facts-{host}.json" for host in self.hosts}
        facts = {host: json.loads(file.read_text()) for host, file in files.items() if file.exists()}
        return Result(rc, output, time.monotonic() - self.started, recap, facts)


def start(
    name: str,
    inventory: Mapping[str, Any],
    folder: Path,
    *,
    extra: Mapping[str, Any] | None = None,
    words: Sequence[str] = (),
    facts: bool = False,
    programs: Path = VENV_BIN,
) -> Run:
    """Start a playbook.

    :param name: of a file in playbooks/, without ``.yml``.
    :param inventory: the content of the inventory file; its hosts are read from it.
    :param folder: for inventory, log and facts.
    :param extra: for ``-e``.
    :param words: further words of the command line.
    :param facts: also bring back what the role registered, by a second play behind the playbook's own.
    :param programs: folder of another ansible-playbook than that of .venv.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hosts = [host for group in inventory.values() for host in group["hosts"]]
    for host in hosts:
        (folder / f"facts-{host}.json").unlink(missing_ok=True)
    hosts_file, playbook = folder / "hosts.yml", ROOT / "playbooks" / f"{name}.yml"
    hosts_file.write_text(yaml.safe_dump(dict(inventory), sort_keys=False))
    if facts:
        playbook = folder / f"{name}-and-facts.yml"
        playbook.write_text(yaml.safe_dump(with_facts(name, folder), sort_keys=False))
    command = [str(programs / "ansible-playbook"), "-i", str(hosts_file), str(playbook), *words]
    if extra:
        command += ["-e", json.dumps(extra)]
    log = folder / f"{time.strftime('%H%M%S')}-{name}-{time.monotonic_ns() % 10**6}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return Run(process, log, folder, hosts)


def environment() -> dict[str, str]:
    """The environment without what would change how Ansible works, or which cluster it works on."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "K8S_AUTH_", "KUBECONFIG"))
    }
    return {**kept, "ANSIBLE_FORCE_COLOR": "0", "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}


def with_facts(name: str, folder: Path) -> list[dict[str, Any]]:
    """The shipped playbook, and a play that writes down what it registered."""
    write = {
        "name": "Write down what the role registered",
        "ansible.builtin.copy": {
            "content": f"{{{{ {REGISTERED[name]} | to_json }}}}",
            "dest": f"{folder}/facts-{{{{ inventory_hostname }}}}.json",
        },
        "changed_when": False,
        "check_mode": False,
        "diff": False,
    }
    return [
        {"import_playbook": str(ROOT / "playbooks" / f"{name}.yml")},
        {"hosts": "all", "gather_facts": False, "tasks": [write]},
    ]
