# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role upgrade tells in check mode: a plan only of what is registered. There is no Kubernetes here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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
