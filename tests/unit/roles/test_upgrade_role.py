# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role upgrade tells in check mode, and how it takes its snapshots. There is no Kubernetes here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

ROOT = Path(__file__).resolve().parents[3]
VARIABLES = {"cassandra_cluster": "shop", "cassandra_kubeconfig": "/there/is/none", "ansible_connection": "local"}
UNKNOWN = "is not known yet"
ASKED = "The kubeconfig /there/is/none does not exist"


def checked(folder: Path, facts: dict[str, Any] | None) -> str:
    """What a check says after a deploy that left this; None is without the role deploy."""
    known = {} if facts is None else {"deploy_result": facts}
    play = {"hosts": "dc1", "gather_facts": False, "vars": known, "roles": [{"role": "cassops.kubernetes.upgrade"}]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {"dc1": VARIABLES}}}))
    words = ["-m", "ansible", "playbook", "--check", "-i", str(folder / "inventory.yml"), str(folder / "play.yml")]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split() + done.stderr.split())


@pytest.mark.parametrize(
    "facts",
    [
        {"phase": None, "changes": ["create StatefulSet shop-dc1-r1"]},
        {"phase": "new", "changes": ["finish the first start"]},
        {"phase": "running", "changes": ["create StatefulSet shop-dc1-r1"]},
        {"phase": "running", "changes": ["create Secret shop-superuser"]},
    ],
)
def test_what_is_not_there_as_a_whole_has_no_plan_yet(tmp_path: Path, facts: dict[str, Any]) -> None:
    told = checked(tmp_path, facts)
    assert UNKNOWN in told
    assert ASKED not in told


@pytest.mark.parametrize(
    "facts",
    [
        None,
        {"phase": "running", "changes": []},
        {"phase": "running", "changes": ["update StatefulSet shop-dc1-r1 (spec.template)"]},
    ],
)
def test_what_runs_is_planned(tmp_path: Path, facts: dict[str, Any] | None) -> None:
    told = checked(tmp_path, facts)
    assert UNKNOWN not in told
    assert ASKED in told


def test_the_plan_is_that_of_what_a_check_would_register() -> None:
    known = yaml.safe_load((ROOT / "roles/upgrade/vars/main.yml").read_text())
    registered = [{"kind": "StatefulSet", "metadata": {"name": "shop-dc1-r1"}}]
    render = NativeEnvironment().from_string(known["upgrade_registered"]).render
    assert render(deploy_result={"registered": registered}) == registered
    assert render(deploy_result={}) == []
    block = yaml.safe_load((ROOT / "roles/upgrade/tasks/main.yml").read_text())[1]["block"]
    plan = next(task["cassops.kubernetes.rollout_plan"] for task in block if "cassops.kubernetes.rollout_plan" in task)
    rollout = next(task["vars"] for task in block if "ansible.builtin.include_role" in task)
    assert plan["registered"] == rollout["rollout_registered"] == "{{ upgrade_registered }}"


# --- snapshots --------------------------------------------------------------------------------------------------------

NODETOOL = "cassops.kubernetes.nodetool"
NAME = "before-5.0.9-3"


def rendered(text: str, ttl: bool) -> Any:
    """A variable of the role's, or an argument of a task, after a plan."""
    known = yaml.safe_load((ROOT / "roles/upgrade/vars/main.yml").read_text())
    words = {
        "upgrade_plan": {"snapshot_name": NAME, "snapshot_missing": ["shop-dc1-r1-0"], "snapshot_ttl": ttl},
        "upgrade_snapshot_ttl": "7d",
        "now": lambda utc, fmt: fmt.replace("%Y%m%dT%H%M%SZ", "20261127T143015Z") if utc else "",
    }
    if "upgrade_snapshot_end" in text:
        words["upgrade_snapshot_end"] = rendered(known["upgrade_snapshot_end"], ttl)
    return NativeEnvironment().from_string(text).render(words)


@pytest.mark.parametrize(("ttl", "end"), [(True, ["--ttl", "7d"]), (False, [])])
def test_a_snapshot_counts_when_it_is_whole(ttl: bool, end: list[str]) -> None:
    """One that dies half way leaves its name on some tables, and the gate asks only whether a name is there."""
    tasks = yaml.safe_load((ROOT / "roles/upgrade/tasks/main.yml").read_text())
    asked = [task for task in tasks[1]["block"] if NODETOOL in task]
    assert [rendered(task[NODETOOL]["command"], ttl) for task in asked] == [
        ["snapshot", "-t", f"{NAME}-20261127T143015Z", *end],
        ["snapshot", "-t", NAME, *end, "--table", "local", "system"],
    ]
    for task in asked:
        assert rendered(task[NODETOOL]["nodes"], ttl) == ["shop-dc1-r1-0"]
        assert not {"ignore_errors", "failed_when"} & set(task), "where the first fails there is no second"


@pytest.mark.parametrize(("known", "lost"), [({}, []), ({"rollout_without": "r2-0,r3"}, "r2-0,r3")])
def test_its_deploy_goes_on_without_the_same_lost_nodes(known: dict[str, Any], lost: Any) -> None:
    (play,) = yaml.safe_load((ROOT / "playbooks/upgrade.yml").read_text())
    assert [each["role"].rpartition(".")[2] for each in play["roles"]] == ["deploy", "upgrade"]
    (deploy, *_more) = yaml.safe_load((ROOT / "roles/deploy/tasks/main.yml").read_text())
    upgrade = yaml.safe_load((ROOT / "roles/upgrade/tasks/main.yml").read_text())[1]["block"]
    for asked in (deploy["cassops.kubernetes.datacenter"], upgrade[0]["cassops.kubernetes.rollout_plan"]):
        assert NativeEnvironment().from_string(asked["without"]).render(known) == lost


# --- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alike", "last"), [(True, "repair and changes of the schema may go on"), (False, "Still pending: r2-0")]
)
def test_the_summary_ends_with_what_may_go_on(summary: Callable[..., str], alike: bool, last: str) -> None:
    result = {"batches": [], "restarted": ["r1-0"], "seconds": 1, "pending_restart": [] if alike else ["r2-0"]}
    told = summary("rollout", rollout_result={**result, "paused": False, "one_line": alike})
    assert "dc1: 1 node restarted in 0 batches, 1 s." in told
    assert last in told.splitlines()[-1]
