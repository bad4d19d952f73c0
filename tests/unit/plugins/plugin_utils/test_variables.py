# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from ansible.utils.display import Display

from ansible_collections.cassops.kubernetes.plugins.plugin_utils import runner
from ansible_collections.cassops.kubernetes.plugins.plugin_utils.variables import COLLECTION, ignored, known, slips


def test_the_variables_are_those_of_the_argument_specs():
    named = {"deploy_hosts", "deploy_serial"}
    for path in COLLECTION.glob("roles/*/meta/argument_specs.yml"):
        named |= set(yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"])
    assert len(named) > 20
    assert named <= known()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cassandra_rack", "cassandra_racks"),
        ("cassandra_jvm_option", "cassandra_jvm_options"),
        ("cassandra_storge", "cassandra_storage"),
        ("deploy_wait_timeut", "deploy_wait_timeout"),
        ("destroy_volume", "destroy_volumes"),
        ("restart_hosts", "rollout_hosts"),
        ("restart_limit", "rollout_limit"),
        ("upgrade_max_unavailable", "rollout_max_unavailable"),
    ],
)
def test_a_slip_is_told_with_what_is_meant(name, meant):
    assert list(slips([name, "inventory_hostname", "cassandra_version"])) == [(name, meant)]


def test_names_of_others_are_left_alone():
    """What roles register, what other inventories have, and what is nobody's slip."""
    others = [f"{path.name}_result" for path in COLLECTION.glob("roles/*")]
    others += ["cassandra_node_rack", "cassandra_awx_project", "cassandra_password", "deploy_user", "racks"]
    assert list(slips(others)) == []
    assert list(slips(known())) == []


@pytest.mark.parametrize(
    ("hosts", "name", "meant"),
    [
        ("rollout_hosts", "restart_hosts", "rollout_hosts"),
        ("rollout_hosts", "restart_serial", "rollout_serial"),
        ("rollout_hosts", "restart_force", "rollout_force"),
        ("upgrade_hosts", "upgrade_limit", "rollout_limit"),
        ("stop_hosts", "stop_limit", "--limit or stop_hosts"),
    ],
)
def test_what_a_playbook_would_not_read_of_its_own(hosts, name, meant):
    assert list(ignored([name, "inventory_hostname", *known()], hosts)) == [(name, meant)]
    assert list(ignored([name, "status_limit"], "status_hosts")) == [], "it only looks"


def test_what_roles_set_themselves_is_no_slip():
    names = set()
    for path in COLLECTION.glob("roles/*/vars/*.yml"):
        names |= set(yaml.safe_load(path.read_text()))
    for path in COLLECTION.glob("roles/*/tasks/*.yml"):
        names |= set(set_by(yaml.safe_load(path.read_text())))
    assert {"upgrade_snapshot_end", "upgrade_plan", "rollout_registered"} <= names
    assert list(slips(names)) == []
    assert not any(list(ignored(names, name)) for name in known() if name.endswith("_hosts"))


def set_by(tasks):
    """The variables that tasks set."""
    for task in tasks:
        yield from task.get("vars", {})
        yield from task.get("ansible.builtin.set_fact", {})
        if "register" in task:
            yield task["register"]
        for block in ("block", "rescue", "always"):
            yield from set_by(task.get(block, []))


@pytest.mark.parametrize(
    ("role", "told"), [("cassops.kubernetes.deploy", 1), ("deploy", 0), ("somebody.elses.deploy", 0), (None, 0)]
)
def test_only_roles_of_the_collection_warn(role, told, monkeypatch):
    warnings = []
    monkeypatch.setattr(Display, "warning", lambda self, text: warnings.append(text))
    runner.warn_of_slips({"cassandra_rack": [], **({"ansible_role_name": role} if role else {})})
    assert warnings == ["nobody reads the variable cassandra_rack; is cassandra_racks meant?"] * told
