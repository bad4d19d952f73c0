# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs job templates as AWX does, without AWX.

ansible-runner, a private data folder a job, the project in it, the collection where an execution environment has it,
the inventory as a script, the login of a Kubernetes credential in the environment, and a survey's answers as a file of
extra variables (awx/main/tasks/jobs.py). What is missing is AWX itself, and the container around it.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .playbooks import environment
from .settings import ROOT, VENV_BIN

SCRIPT = "#!/usr/bin/env python3\nprint({!r})\n"


@dataclass(frozen=True)
class Job:
    """A job that ended. :ivar events: as AWX stores them. :ivar output: what its page shows."""

    rc: int
    events: list[dict[str, Any]]
    output: str

    def results(self, action: str) -> Iterator[dict[str, Any]]:
        """What the tasks of one module returned."""
        for event in self.events:
            data = event.get("event_data", {})
            if event["event"] == "runner_on_ok" and data.get("task_action") == action:
                yield data["res"]

    @property
    def everything(self) -> str:
        """All that AWX would keep."""
        return self.output + "".join(json.dumps(event) for event in self.events)


def login(kubeconfig: Path, folder: Path) -> dict[str, str]:
    """The environment that AWX makes of a credential "OpenShift or Kubernetes API Bearer Token"."""
    told = json.loads(kubeconfig.read_text())
    server, user = told["clusters"][0]["cluster"], told["users"][0]["user"]
    authority = folder / "ca.crt"
    authority.write_bytes(base64.b64decode(server["certificate-authority-data"]))
    return {
        "K8S_AUTH_HOST": server["server"],
        "K8S_AUTH_API_KEY": user["token"],
        "K8S_AUTH_VERIFY_SSL": "True",
        "K8S_AUTH_SSL_CA_CERT": str(authority),
    }


def answers(template: Mapping[str, Any]) -> dict[str, Any]:
    """What AWX sends when somebody answers only what must be answered, with anything; the rest is not sent."""
    questions = template.get("survey_spec", {}).get("spec", ())
    return {asked["variable"]: "something" for asked in questions if asked["required"]}


def launch(
    playbook: str,
    folder: Path,
    collections: Path,
    inventory: Mapping[str, Mapping[str, Mapping[str, Any]]],
    credential: Mapping[str, str],
    extra: Mapping[str, Any],
) -> Job:
    """Run a job to its end.

    :param playbook: as the job template names it, such as ``playbooks/status.yml``.
    :param folder: for the private data; it must not exist.
    :param collections: folder in which the collection is installed.
    :param inventory: group -> host -> variables.
    """
    for part in ("env", "inventory", "project"):
        (folder / part).mkdir(parents=True)
    shutil.copytree(ROOT / "playbooks", folder / "project" / "playbooks")
    shutil.copy(ROOT / "ansible.cfg", folder / "project")
    hosts = {host: variables for its in inventory.values() for host, variables in its.items()}
    groups = {group: {"hosts": list(its)} for group, its in inventory.items()}
    script = folder / "inventory" / "hosts"
    script.write_text(SCRIPT.format(json.dumps({**groups, "_meta": {"hostvars": hosts}})))
    script.chmod(0o700)
    variables = {**credential, "ANSIBLE_COLLECTIONS_PATH": str(collections)}
    (folder / "env" / "envvars").write_text(json.dumps(variables))
    (folder / "env" / "extravars").write_text(json.dumps(extra))
    done = subprocess.run(
        [VENV_BIN / "ansible-runner", "run", folder, "--playbook", playbook, "--ident", "1", "-vvv"],
        cwd=folder,
        env={**environment(), "PATH": f"{VENV_BIN}:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    events = folder / "artifacts" / "1" / "job_events"
    found = sorted(events.glob("*.json"), key=lambda path: int(path.name.partition("-")[0]))
    return Job(done.returncode, [json.loads(path.read_text()) for path in found], done.stdout)
