# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays over several datacenters, by ansible-playbook. There is no Kubernetes here: nobody listens at its address."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
# As text, which is what Ansible makes another kind of string of.
KUBECONFIG = yaml.safe_dump(
    {
        "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "namespace": "ns"}}],
        "current-context": "none",
        "users": [],
    }
)
VARIABLES: dict[str, Any] = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "cassandra_cluster": "shop",
    "cassandra_kubeconfig": KUBECONFIG,
    "cassandra_backup": {"repository": "s3:https://s3.example.com/there", "password_secret": "key"},
}


HOSTS: dict[str, Any] = {"dc1": {}, "dc2": {}}
ASKED = "127.0.0.1:1 cannot be reached"


def played(
    folder: Path,
    playbook: Path,
    *options: str,
    hosts: Mapping[str, Any] = MappingProxyType(HOSTS),
    variables: Mapping[str, Any] = MappingProxyType(VARIABLES),
) -> str:
    inventory = {"all": {"vars": dict(variables), "hosts": dict(hosts)}}
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    words = ["-m", "ansible", "playbook", "-i", str(folder / "inventory.yml"), str(playbook), *options]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.parametrize(
    ("name", "goes_on"),
    [("backup", True), ("verify_backup", True), ("purge_backups", True), ("repair", True), ("stop", False)],
)
def test_where_one_fails_the_next_gets_what_is_done_by_the_clock(tmp_path: Path, name: str, goes_on: bool) -> None:
    told = played(tmp_path, ROOT / "playbooks" / f"{name}.yml")
    recap = told.partition("PLAY RECAP")[2]
    assert "dc1" in recap
    assert ("dc2" in recap) is goes_on
    assert "127.0.0.1" in told, "the kubeconfig was read"


@pytest.mark.parametrize(
    ("confirm", "limit", "go_on"),
    [("dc1", "all", "dc2"), ("{{ inventory_hostname }}", "all", ""), ("dc1", "dc1", "dc2")],
)
def test_a_datacenter_that_destroy_leaves_is_asked_who_has_replicas(
    tmp_path: Path, confirm: str, limit: str, go_on: str
) -> None:
    show = {"ansible.builtin.debug": {"msg": "goes on: {{ destroy_peers | map(attribute='datacenter') | join }}."}}
    defaults = str(ROOT / "roles/destroy/defaults/main.yml")
    play = {"hosts": "all", "gather_facts": False, "vars_files": [defaults], "tasks": [show]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    told = played(tmp_path, tmp_path / "play.yml", "--limit", limit, "-e", json.dumps({"destroy_confirm": confirm}))
    of_first = told.partition("[dc1]")[2].partition("}")[0]
    assert f"goes on: {go_on}." in of_first


@pytest.mark.parametrize("name", ["stop", "upgrade", "restart", "status"])
@pytest.mark.parametrize("wanted", ["dc2", "staging", ["dc2", "staging"], "all:!dc1"])
def test_hosts_that_the_inventory_names_where_no_play_sees_it_are_refused(
    tmp_path: Path, name: str, wanted: Any
) -> None:
    variable = "rollout_hosts" if name == "restart" else f"{name}_hosts"
    told = " ".join(played(tmp_path, ROOT / f"playbooks/{name}.yml", hosts={"dc1": {variable: wanted}}).split())
    assert f"{variable} is " in told
    assert "and dc1 is none of these, but this play is for it all the same" in told
    assert ASKED not in told


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("restart", "restart_hosts=dc1", "nobody reads restart_hosts: give rollout_hosts. Nothing was touched"),
        ("restart", "restart_limit=r1", "nobody reads restart_limit: give rollout_limit. Nothing was touched"),
        ("upgrade", "upgrade_limit=r1", "nobody reads upgrade_limit: give rollout_limit. Nothing was touched"),
        ("stop", "stop_limit=dc1", "nobody reads stop_limit: give --limit or stop_hosts. Nothing was touched"),
    ],
)
def test_what_the_playbook_does_not_read_ends_it(tmp_path: Path, name: str, given: str, said: str) -> None:
    told = " ".join(played(tmp_path, ROOT / f"playbooks/{name}.yml", "-e", given).split())
    assert said in told
    assert ASKED not in told


@pytest.mark.parametrize("wanted", ["dc2", '["dc2"]', "all:!dc1", "{{ 'dc2' }}"])
def test_hosts_that_are_given_on_the_command_line_count(tmp_path: Path, wanted: str) -> None:
    words = json.dumps({"status_hosts": json.loads(wanted) if wanted.startswith("[") else wanted})
    told = " ".join(played(tmp_path, ROOT / "playbooks/status.yml", "-e", words).split())
    assert (told.count(ASKED) > 0, "fatal: [dc2]" in told, "[dc1]" in told) == (True, True, False)


@pytest.mark.parametrize(
    ("read", "asked"),
    [
        ({}, True),
        ({"cassandra_play_hosts": "status_hosts"}, False),
        ({"cassandra_play_hosts": "status_hosts", "status_hosts": '["dc1"]'}, True),
    ],
)
def test_a_play_of_ones_own_reads_no_such_variable(tmp_path: Path, read: dict[str, str], asked: bool) -> None:
    """Nor does a role that another playbook includes."""
    play = {"hosts": "all", "gather_facts": False, "vars": read, "roles": ["cassops.kubernetes.status"]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    told = " ".join(played(tmp_path, tmp_path / "play.yml", hosts={"dc1": {"status_hosts": "nas"}}).split())
    assert (ASKED in told) is asked


def test_every_playbook_names_the_variable_that_its_hosts_are_given_by() -> None:
    for path in (ROOT / "playbooks").glob("*.yml"):
        (play,) = (play for play in yaml.safe_load(path.read_text()) if "hosts" in play)
        assert play["hosts"] == f"{{{{ {play['vars']['cassandra_play_hosts']} | default('all') }}}}", path


@pytest.mark.parametrize(("said", "local"), [(None, True), ("ssh", False)])
def test_a_datacenter_is_no_machine_unless_the_inventory_says_so(tmp_path: Path, said: str | None, local: bool) -> None:
    given = {key: value for key, value in VARIABLES.items() if key != "ansible_connection"}
    if said:
        given |= {"ansible_connection": said, "ansible_host": "127.0.0.1", "ansible_port": 1}
    told = " ".join(played(tmp_path, ROOT / "playbooks/status.yml", hosts={"dc1": {}}, variables=given).split())
    assert (ASKED in told) is local
    assert ("UNREACHABLE" in told and "set ansible_connection: local" in told) is not local


def test_every_playbook_is_for_datacenters() -> None:
    for path in (ROOT / "playbooks").glob("*.yml"):
        plays = [play for play in yaml.safe_load(path.read_text()) if "hosts" in play]
        assert [play.get("connection") for play in plays] == ["local"], path


@pytest.mark.parametrize("name", ["decommission", "deploy", "destroy"])
def test_a_host_that_is_no_datacenter_is_told_what_it_lacks(tmp_path: Path, name: str) -> None:
    """Before anything else: defaults of roles use the name of the cluster."""
    without = {key: value for key, value in VARIABLES.items() if key != "cassandra_cluster"}
    told = played(tmp_path, ROOT / f"playbooks/{name}.yml", variables=without)
    assert "undefined" not in told
    assert "missing required arguments: cassandra_cluster" in told


def test_no_default_needs_the_name_of_the_cluster() -> None:
    for path in ROOT.glob("roles/*/defaults/main.yml"):
        used = path.read_text().replace("cassandra_cluster | default('')", "")
        assert "cassandra_cluster" not in used, path


NAMESAKES = {
    "shop1": {"cassandra_datacenter": "dc1"},
    "blog1": {"cassandra_datacenter": "dc1", "cassandra_cluster": "blog"},
    "dc2": {},
}


@pytest.mark.parametrize("role", ["decommission", "destroy", "restore"])
def test_a_confirmation_that_names_several_datacenters_touches_none(tmp_path: Path, role: str) -> None:
    options = ["-e", f"{role}_confirm=dc1", "-e", f"{role}_serial=3", "-e", "restore_mode=datacenter"]
    told = " ".join(played(tmp_path, ROOT / f"playbooks/{role}.yml", *options, hosts=NAMESAKES).split())
    assert told.count("names several datacenters of this play: blog1 (blog/dc1), shop1 (shop/dc1).") >= 3
    assert ASKED not in told


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("decommission", "repeat its name: decommission_confirm=dc1"),
        ("destroy", "repeat its name: option confirm"),
        ("restore", ASKED),
    ],
)
def test_without_a_confirmation_it_is_asked_for_it(tmp_path: Path, role: str, said: str) -> None:
    assert said in " ".join(played(tmp_path, ROOT / f"playbooks/{role}.yml").split())


@pytest.mark.parametrize("role", ["decommission", "destroy", "restore"])
@pytest.mark.parametrize(("confirm", "limit"), [("shop/dc1", "all"), ("dc1", "shop1")])
def test_a_confirmation_that_names_one_goes_on(tmp_path: Path, role: str, confirm: str, limit: str) -> None:
    options = ["-e", f"{role}_confirm={confirm}", "-e", "restore_mode=datacenter", "--limit", limit]
    told = " ".join(played(tmp_path, ROOT / f"playbooks/{role}.yml", *options, hosts=NAMESAKES).split())
    assert "names several" not in told
    assert ASKED in told


def test_a_node_of_several_datacenters_is_replaced_in_none(tmp_path: Path) -> None:
    """Each may have a dead one of that rack and number, and would give up its volume."""
    playbook = ROOT / "playbooks/replace_node.yml"
    told = " ".join(played(tmp_path, playbook, "-e", "replace_node_name=r1-0", hosts=NAMESAKES).split())
    said = "replace_node_name=r1-0 does not tell of which datacenter of this play the node is: "
    assert told.count(said) >= 3
    assert "such as blog-dc1-r1-0." in told
    assert ASKED not in told


@pytest.mark.parametrize("name", ["shop-dc3-r1-0", "shop-r1-0", "dc1-r1-0"])
def test_a_node_of_no_datacenter_of_the_play_is_told(tmp_path: Path, name: str) -> None:
    """Nobody would do anything, and whoever asked would think that it was replaced."""
    playbook = ROOT / "playbooks/replace_node.yml"
    told = " ".join(played(tmp_path, playbook, "-e", f"replace_node_name={name}", hosts=NAMESAKES).split())
    assert f"replace_node_name={name} does not tell of which datacenter of this play the node is: " in told
    assert "such as shop-dc1-r1-0." in told
    assert ASKED not in told


@pytest.mark.parametrize(("name", "limit"), [("r1-0", "shop1"), ("shop-dc1-r1-0", "all")])
def test_a_node_of_one_datacenter_is_replaced_there(tmp_path: Path, name: str, limit: str) -> None:
    options = ["-e", f"replace_node_name={name}", "--limit", limit]
    told = played(tmp_path, ROOT / "playbooks/replace_node.yml", *options, hosts=NAMESAKES)
    assert ASKED in told
    recap = [line.split() for line in told.partition("PLAY RECAP")[2].splitlines()[1:] if line]
    assert [words[0] for words in recap if "failed=1" in words] == ["shop1"], "it was asked, and nobody else failed"


@pytest.mark.parametrize(("limit", "turns"), [("all", "dc1"), ("dc2", "dc2")])
def test_a_cluster_has_one_superuser_and_rotates_its_password_once(tmp_path: Path, limit: str, turns: str) -> None:
    """By the first of its datacenters that the play is for, with one of them at a time."""
    [task] = yaml.safe_load((ROOT / "roles/rotate_superuser/tasks/main.yml").read_text())
    tell = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} does it."}, "when": task["when"]}
    (tmp_path / "play.yml").write_text(
        yaml.safe_dump([{"hosts": "all", "gather_facts": False, "serial": 1, "tasks": [tell]}])
    )
    told = played(tmp_path, tmp_path / "play.yml", "--limit", limit)
    assert [host for host in ("dc1", "dc2") if f"{host} does it." in told] == [turns]


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ((), False),
        (("--limit", "dc2"), True),
        (("-e", "rebuild_hosts=dc2"), True),
        (("-e", "rebuild_hosts=all"), False),
    ],
)
def test_a_rebuild_is_for_one_datacenter_that_somebody_has_named(
    tmp_path: Path, options: tuple[str, ...], asked: bool
) -> None:
    told = " ".join(played(tmp_path, ROOT / "playbooks/rebuild.yml", *options).split())
    assert ("127.0.0.1" in told) is asked
    assert "Compare all replicas" not in told, "nothing is repaired where nothing was rebuilt"
    assert ("Which datacenter gets rows? This play is for dc1 and dc2 of cluster shop." in told) is not asked


@pytest.mark.parametrize(("repaired", "turns"), [(["dc1", "dc2"], ["dc1", "dc2"]), ([], [])])
def test_what_was_rebuilt_is_repaired_in_all_datacenters_of_its_cluster(
    tmp_path: Path, repaired: list[str], turns: list[str]
) -> None:
    told = yaml.safe_load((ROOT / "playbooks/rebuild.yml").read_text())[1]["vars"]
    facts = {"rebuild_result": {"keyspaces": ["orders", "billing"]}, "rebuild_cluster_hosts": repaired}
    plays = [
        {"hosts": "dc2", "gather_facts": False, "tasks": [{"ansible.builtin.set_fact": facts}]},
        {
            "hosts": told["repair_hosts"],
            "gather_facts": False,
            "vars": told,
            "tasks": [
                {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }}: {{ repair_keyspaces | join(',') }}."}}
            ],
        },
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
    found = played(tmp_path, tmp_path / "play.yml")
    assert [host for host in ("dc1", "dc2") if f"{host}: orders,billing." in found] == turns


@pytest.mark.parametrize("repair", [True, False])
def test_the_role_tells_the_playbook_where_to_repair(tmp_path: Path, repair: bool) -> None:
    done = {"node": "shop-dc2-r1-0", "keyspace": "orders", "seconds": 3.4}
    result = {
        "keyspaces": ["orders"],
        "source": "dc1",
        "rebuilt": [done],
        "altered": [],
        "due": [],
        "left_out": ["old"],
    }
    told = told_by_the_role(tmp_path, result, rebuild_repair=repair)
    assert f"to repair: {'dc1,dc2' if repair else ''}." in told
    assert "dc2: every node has the rows of orders, as one replica in dc1 had them (3 s)." in told
    assert "No replicas here, so left as they are: old. rebuild_replication gives them some." in told
    assert ("their repair in dc1, dc2, by the playbook rebuild itself" in told) is repair


@pytest.mark.parametrize(("altered", "turns"), [([], "dc1,dc2"), (["ALTER KEYSPACE orders"], "")])
def test_check_mode_repairs_nothing_of_what_has_no_replicas_yet_for_a_rebuild(
    tmp_path: Path, altered: list[str], turns: str
) -> None:
    due = [{"node": "shop-dc2-r1-0", "keyspace": "orders"}]
    result = {"keyspaces": ["orders"], "source": "dc1", "rebuilt": [], "altered": altered, "due": due, "left_out": []}
    told = told_by_the_role(tmp_path, {**result, "check_mode": True}, "--check", rebuild_repair=True)
    assert f"to repair: {turns}." in told
    assert ("What would come next: their repair, in all datacenters of the cluster. --check" in told) is bool(altered)


def told_by_the_role(tmp_path: Path, result: dict[str, Any], *options: str, **variables: Any) -> str:
    """Without Kubernetes: what the module would have told is given."""
    tasks = yaml.safe_load((ROOT / "roles/rebuild/tasks/main.yml").read_text())
    tasks[1] = {"ansible.builtin.set_fact": {"rebuild_result": result}}
    tasks[-1]["ansible.builtin.debug"]["msg"] = (
        f"{{{{ lookup('ansible.builtin.template', '{ROOT}/roles/rebuild/templates/summary.j2').splitlines() }}}}"
    )
    show = {"ansible.builtin.debug": {"msg": "to repair: {{ rebuild_cluster_hosts | join(',') }}."}}
    play = {"hosts": "dc2", "gather_facts": False, "vars": variables, "tasks": [*tasks, show]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    return played(tmp_path, tmp_path / "play.yml", *options)


GONE: dict[str, Any] = {
    "changed": True,
    "changes": ["ALTER KEYSPACE orders", "r1-0 has left"],
    "repaired": ["orders"],
    "altered": ["ALTER KEYSPACE orders"],
    "moved": [{"node": "shop-dc1-r1-0", "step": "leave", "seconds": 41.2}],
    "left": [],
    "seconds": 431.4,
}
IDLE: dict[str, Any] = {**GONE, "changed": False, "changes": [], "altered": [], "moved": []}
FORESEEN: dict[str, Any] = {**GONE, "check_mode": True, "moved": [], "left": ["shop-dc1-r1-0"]}


@pytest.mark.parametrize(
    ("result", "volumes", "words"),
    [
        (GONE, False, "dc1: it has left its cluster, 1 node in this run, 431 s. ALTER KEYSPACE orders"),
        (GONE, False, "Volumes and ledger stay, and nothing comes back of them: -e decommission_delete_volumes=true"),
        (GONE, True, "Volumes and ledger are deleted. What comes next: take it out of the inventory."),
        (IDLE, False, "dc1: nothing was changed: this namespace has no node of it any more."),
        (IDLE, True, "dc1: nothing was changed: this namespace has no node of it any more, and no volume."),
        (FORESEEN, False, "dc1: 1 node would leave; nothing was touched. repair of keyspace orders, all ranges"),
        ({**GONE, "altered": [], "moved": []}, True, "dc1: it has left its cluster before; what was left of it"),
    ],
)
def test_a_datacenter_that_has_left_is_told_of(
    tmp_path: Path, result: dict[str, Any], volumes: bool, words: str
) -> None:
    template = ROOT / "roles/decommission/templates/summary.j2"
    lines = f"{{{{ lookup('ansible.builtin.template', '{template}').splitlines() | map('trim') | join(' ') }}}}"
    variables = {"decommission_result": result, "decommission_delete_volumes": volumes}
    show = {"ansible.builtin.debug": {"msg": lines}}
    play = {"hosts": "dc1", "gather_facts": False, "vars": variables, "tasks": [show]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    assert words in " ".join(played(tmp_path, tmp_path / "play.yml").split())


def test_no_summary_is_told_of_what_failed() -> None:
    """Somebody's ignore_errors goes on behind it, and would hide the real error behind another one."""
    lacking = []
    for file in sorted((ROOT / "roles").glob("*/tasks/main.yml")):
        tasks = yaml.safe_load(file.read_text())
        for task in [each for each in tasks if each["name"] == "How it went"]:
            register = [each["register"] for each in tasks if "register" in each][-1]
            if task.get("when") != f"{register} is not failed":
                lacking.append(file.parts[-3])
    assert lacking == []


@pytest.mark.parametrize("role", ["backup", "repair", "rebuild"])
def test_what_failed_and_is_ignored_has_one_error(tmp_path: Path, role: str) -> None:
    include = {"name": f"cassops.kubernetes.{role}", "apply": {"ignore_errors": True}}
    task = {"name": "Try", "ansible.builtin.include_role": include}
    play = {"hosts": "dc1", "gather_facts": False, "tasks": [task]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    told = played(tmp_path, tmp_path / "play.yml")
    assert (told.count("fatal: [dc1]"), told.count("...ignoring")) == (1, 1), told
    assert ASKED in told
