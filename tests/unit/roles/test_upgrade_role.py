# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role upgrade tells in check mode, and how it takes its snapshots. There is no Kubernetes here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

ROOT = Path(__file__).resolve().parents[3]
VARIABLES = {"cassandra_cluster": "shop", "cassandra_kubeconfig": "/there/is/none", "ansible_connection": "local"}
UNKNOWN = "is not known yet"
ASKED = "The kubeconfig /there/is/none does not exist"


def checked(folder: Path, changes: list[str] | None) -> str:
    """What a check says after a deploy with these changes; None is without the role deploy."""
    facts = {} if changes is None else {"deploy_result": {"changes": changes}}
    play = {"hosts": "dc1", "gather_facts": False, "vars": facts, "roles": [{"role": "cassops.kubernetes.upgrade"}]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {"dc1": VARIABLES}}}))
    words = ["-m", "ansible", "playbook", "--check", "-i", str(folder / "inventory.yml"), str(folder / "play.yml")]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split() + done.stderr.split())


def test_a_change_that_a_check_does_not_register_has_no_plan_yet(tmp_path: Path) -> None:
    told = checked(tmp_path, ["update StatefulSet shop-dc1-r1 (spec.template)"])
    assert UNKNOWN in told
    assert ASKED not in told


@pytest.mark.parametrize("changes", [None, [], ["update Service shop-dc1-r1-0"]])
def test_what_is_registered_is_planned(tmp_path: Path, changes: list[str] | None) -> None:
    told = checked(tmp_path, changes)
    assert UNKNOWN not in told
    assert ASKED in told


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
