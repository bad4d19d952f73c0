# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scratch datacenter of a drill is made of, by ansible-playbook. A stub deploys it: there is no Kubernetes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
LIVING: dict[str, Any] = {
    "ansible_connection": "local",
    "cassandra_cluster": "shop",
    "cassandra_namespace": "cassandra",
    "cassandra_version": "5.0.9",
    "cassandra_storage": {"size": "100Gi"},
    "cassandra_config": {"client_encryption_options": {"enabled": True}, "num_tokens": 8},
    "cassandra_jvm_options": ["-Da=b", "-Dc=d"],
    "cassandra_pod_template": {"spec": {"volumes": [{"name": "tls", "secret": {"secretName": "shop-tls"}}]}},
    "cassandra_backup": {"repository": "s3:https://s3.example.com/there", "password_secret": "key"},
    "backup_drill_namespace": "drill",
}
# What decides of what the deploy is given: no task between these asks Kubernetes.
NEEDED = (
    "What is drilled",
    "Variables of the scratch datacenter that it has",
    "The scratch datacenter is another one",
    "Its variables are those that were given",
)


def role() -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = yaml.safe_load((ROOT / "roles/backup_drill/tasks/main.yml").read_text())
    return tasks


def drilled(folder: Path, variables: dict[str, Any], *options: str) -> tuple[dict[str, Any], str]:
    """The variables of the datacenter that the role deploy gets, and what was said."""
    deploy, made = folder / "roles/deploy", folder / "made.json"
    names = [
        name
        for name in yaml.safe_load((ROOT / "roles/deploy/meta/argument_specs.yml").read_text())["argument_specs"][
            "main"
        ]["options"]
        if name.startswith("cassandra_")
    ]
    template = ", ".join(f"'{name}': {name} | default('not there')" for name in names)
    for part in ("tasks", "meta"):
        (deploy / part).mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "roles/deploy/meta/argument_specs.yml", deploy / "meta")
    copied = {"ansible.builtin.copy": {"content": f"{{{{ {{{template}}} | to_json }}}}", "dest": str(made)}}
    (deploy / "tasks/main.yml").write_text(yaml.safe_dump([copied]))
    tasks = {task["name"]: task for task in role()}
    include = tasks["Compare, wherever it ends, and take the scratch datacenter away"]["block"][0]
    include["ansible.builtin.include_role"]["name"] = "deploy"
    defaults = yaml.safe_load((ROOT / "roles/backup_drill/defaults/main.yml").read_text())
    play = {"hosts": "all", "gather_facts": False, "roles": [{"role": "drill"}]}
    (folder / "roles/drill/tasks").mkdir(parents=True)
    (folder / "roles/drill/defaults").mkdir()
    (folder / "roles/drill/tasks/main.yml").write_text(yaml.safe_dump([*(tasks[name] for name in NEEDED), include]))
    (folder / "roles/drill/defaults/main.yml").write_text(yaml.safe_dump(defaults))
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    hosts = {"dc1": {**LIVING, "ansible_python_interpreter": sys.executable, **variables}}
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    words = ["-m", "ansible", "playbook", "-i", str(folder / "inventory.yml"), str(folder / "play.yml"), *options]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    told = " ".join(done.stdout.split() + done.stderr.split())
    return json.loads(made.read_text()) if made.exists() else {}, told


def test_without_a_word_the_scratch_nodes_are_those_of_the_inventory(tmp_path: Path) -> None:
    made, told = drilled(tmp_path, {})
    same = ("version", "config", "jvm_options", "pod_template", "storage")
    assert {name: made.get(f"cassandra_{name}") for name in same} == {
        name: LIVING[f"cassandra_{name}"] for name in same
    }, told
    assert (made["cassandra_cluster"], made["cassandra_namespace"]) == ("shop-drill", "drill")
    assert (made["cassandra_heap"], made["cassandra_resources"], made["cassandra_self_replace"]) == ("", {}, False)


@pytest.mark.parametrize("as_text", [False, True])
def test_what_is_given_takes_the_place_of_the_inventorys(tmp_path: Path, as_text: bool) -> None:
    given = {
        "cassandra_pod_template": {},
        "cassandra_config": {"num_tokens": 16},
        "cassandra_resources": {"limits": {"memory": "4Gi"}},
        "cassandra_heap": "1G",
    }
    made, told = drilled(tmp_path, {"backup_drill_variables": json.dumps(given) if as_text else given})
    assert {name: made.get(name) for name in given} == given, told
    assert made["cassandra_jvm_options"] == LIVING["cassandra_jvm_options"]


@pytest.mark.parametrize("name", ["cassandra_podtemplate", "cassandra_namespace", "cassandra_racks"])
def test_what_the_drill_does_not_know_or_says_itself_is_refused(tmp_path: Path, name: str) -> None:
    made, told = drilled(tmp_path, {"backup_drill_variables": {name: "x", "cassandra_heap": "1G"}})
    assert made == {}
    assert f"backup_drill_variables.{name}: is not known here; known are cassandra_address, " in told


def test_extra_variables_that_would_go_before_it_are_refused(tmp_path: Path) -> None:
    given = {"backup_drill_variables": {"cassandra_config": {}, "cassandra_heap": "1G"}}
    made, told = drilled(tmp_path, given, "-e", json.dumps({"cassandra_config": {"num_tokens": 4}}))
    assert made == {}
    assert "cassandra_config of backup_drill_variables stands in -e too" in told


WHOLE = {"name": "b1", "state": "complete", "damaged": False}


@pytest.mark.parametrize(
    ("backups", "given", "found"),
    [
        ([WHOLE], {}, True),
        ([{**WHOLE, "state": "partial"}], {}, False),
        ([{**WHOLE, "damaged": True}], {}, False),
        ([{**WHOLE, "damaged": True}], {"backup_drill_name": "b1"}, True),
        ([WHOLE], {"backup_drill_name": "b2"}, False),
        ([], {}, False),
    ],
)
def test_nothing_is_deployed_for_a_backup_that_the_restore_would_not_take(
    tmp_path: Path, backups: list[dict[str, Any]], given: dict[str, Any], found: bool
) -> None:
    (task,) = [each for each in role() if each["name"] == "One that is complete"]
    known = {"backup_drill_source": {"datacenter": "dc1"}, "backup_drill_catalogue": {"backups": backups}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    play["vars"] = {**known, **given}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    words = ["-m", "ansible", "playbook", "-i", "localhost,", str(tmp_path / "play.yml")]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is found, done.stdout
    assert ("There is no complete backup" in done.stdout) is not found, done.stdout
