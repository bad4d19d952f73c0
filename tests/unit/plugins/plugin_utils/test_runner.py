# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same result from a module and from its twin, and what belongs to the twin alone."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils import basic
from ansible.parsing.dataloader import DataLoader

from ansible_collections.cassops.kubernetes.plugins.action.nodetool import ActionModule
from ansible_collections.cassops.kubernetes.plugins.module_utils import entry
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecResult, ObjectList
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter as deploy
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import nodetool
from ansible_collections.cassops.kubernetes.plugins.plugin_utils import progress, runner
from ansible_collections.cassops.kubernetes.plugins.plugin_utils.arguments import plain

try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:  # ansible-core before 2.18

    @contextlib.contextmanager
    def patch_module_args(arguments):
        """Lets the next AnsibleModule see these arguments."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
            yield


WHERE = {"namespace": "ns", "cluster": "shop", "datacenter": "dc1", "api_key": "very-secret"}


def pod(name, rack):
    return {"metadata": {"name": name, "labels": {"cassops.kubernetes/rack": rack}}}


class Datacenter:
    """Three nodes whose shell is this machine's; nodetool fails on one of them."""

    namespace = "ns"

    def __init__(self, folder):
        self.folder = folder
        program = folder / "nodetool"
        program.write_text(
            '#!/bin/sh\necho "$POD $* very-secret"\n'
            '[ "$POD $1" != "shop-dc1-r2-0 flush" ] || { echo "error: disk" >&2; exit 2; }\n',
            encoding="utf-8",
        )
        program.chmod(0o755)
        self.execs = []

    def list(self, kind, labels=None):
        assert (kind, labels["cassops.kubernetes/datacenter"]) == ("Pod", "dc1")
        nodes = [pod("shop-dc1-r1-10", "r1"), pod("shop-dc1-r1-9", "r1"), pod("shop-dc1-r2-0", "r2")]
        return ObjectList([*nodes, {"metadata": {"name": "backup"}}])

    def exec(self, name, argv, container="cassandra", stdin=None, timeout=60.0):
        self.execs.append(name)
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin", "POD": name}
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
        return ExecResult(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def datacenter(tmp_path, monkeypatch):
    made = Datacenter(tmp_path)
    monkeypatch.setattr(Kube, "connect", lambda options: made)
    monkeypatch.setattr(runner, "end_with_controller", lambda: None)
    return made


class Templar:
    """Renders one word."""

    def template(self, value, **options):
        if isinstance(value, dict):
            return {name: self.template(inner) for name, inner in value.items()}
        return value.replace("{{ where }}", "here") if isinstance(value, str) else value


def as_twin(arguments, *, check=False, environment=None, progress=False, delegate_to=None, no_log=False, **connection):
    task = SimpleNamespace(
        args=arguments,
        action="cassops.kubernetes.nodetool",
        async_val=0,
        delegate_to=delegate_to,
        no_log=no_log,
        check_mode=check,
        diff=False,
        environment=environment,
    )
    local = SimpleNamespace(
        **{
            "transport": "local",
            "become": None,
            "_shell": SimpleNamespace(tmpdir="/nowhere", env_prefix=lambda **environment: ""),
            **connection,
        }
    )
    twin = ActionModule(task, local, None, None, Templar(), None)
    return twin.run(task_vars={"inventory_hostname": "dc1", "cassandra_progress": progress})


class Ended(Exception):
    """A module's end."""


def as_module(arguments, monkeypatch, capsys, *, check=False):
    def end(code):
        raise Ended

    monkeypatch.setattr(basic.sys, "exit", end)
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, *arguments, **options: None)
    with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(Ended):
        entry.main(nodetool)
    result = json.loads(capsys.readouterr().out)
    result.pop("invocation", None)
    return result


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": ["version"]},
        {"command": ["flush"]},
        {"commands": [["flush"], ["version"]], "racks": ["r1"], "parallel": 1},
        {"command": ["version"], "nodes": ["shop-dc1-r1-9"], "query": "nodes[].results[].rc"},
        {"command": ["version"], "nodes": ["nope"]},
        {"command": ["-u", "x"]},
        {"command": ["version"], "query": "nodes["},
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_parity(datacenter, monkeypatch, capsys, arguments, check):
    twin = as_twin({**WHERE, **arguments}, check=check)
    module = as_module({**WHERE, **arguments}, monkeypatch, capsys, check=check)
    twin.setdefault("failed", False)
    module.setdefault("failed", False)
    module.pop("exception", None)
    assert json.loads(json.dumps(twin)) == module
    assert "very-secret" not in json.dumps(twin)


def test_all_failures_are_told_each_with_its_node(datacenter):
    result = as_twin({**WHERE, "command": ["flush"]})
    assert result["failed"] is True
    assert result["errors"] == ["shop-dc1-r2-0: nodetool flush ended with 2: error: disk"]
    assert result["msg"].startswith("nodetool failed on 1 of 3 nodes. ")
    assert [node["node"] for node in result["nodes"]] == ["shop-dc1-r1-9", "shop-dc1-r1-10", "shop-dc1-r2-0"]
    assert len(datacenter.execs) == 3


def test_check_mode_runs_only_what_reads(datacenter):
    result = as_twin({**WHERE, "command": ["flush"]}, check=True)
    assert (result["changed"], result["skipped_commands"], datacenter.execs) == (True, [["flush"]], [])
    result = as_twin({**WHERE, "command": ["version"]}, check=True)
    assert (result["changed"], result["skipped_commands"], len(datacenter.execs)) == (False, [], 3)


def test_the_environment_of_a_task_counts(monkeypatch):
    """A module has it too: without it the task would be about the cluster that happens to be the current one."""
    monkeypatch.setattr(runner, "end_with_controller", lambda: None)
    monkeypatch.setattr(runner.os, "environ", dict(os.environ))
    monkeypatch.setattr(runner, "execute", lambda operation, params, ctx: {"seen": dict(os.environ)})
    seen = as_twin({**WHERE, "command": ["x"]}, environment=[{"K8S_AUTH_CONTEXT": "{{ where }}"}, {"NUMBER": 7}])[
        "seen"
    ]
    assert (seen["K8S_AUTH_CONTEXT"], seen["NUMBER"]) == ("here", "7")


@pytest.mark.parametrize(("said", "visible"), [("false", False), (False, False), ("no", False), ("true", True)])
def test_progress_is_hidden_by_a_text_too(monkeypatch, said, visible):
    monkeypatch.setattr(runner, "end_with_controller", lambda: None)
    monkeypatch.setattr(runner, "execute", lambda operation, params, ctx: {"told": ctx.progress is not runner.silent})
    assert as_twin({**WHERE, "command": ["x"]}, progress=said)["told"] is visible


def test_an_operation_gets_plain_values(monkeypatch):
    """Ansible's own texts know where they come from, and YAML writes none of them: C(--diff) does."""
    monkeypatch.setattr(runner, "end_with_controller", lambda: None)
    seen = []
    monkeypatch.setattr(runner, "execute", lambda operation, params, ctx: seen.append(params["kubeconfig"]) or {})
    loaded = DataLoader().load("users: [{name: me, user: {token: secret, days: 1.5, is: true, count: 3, none: }}]")
    assert loaded["users"][0]["name"].__class__ is not str, "a text that is plain already would show nothing"
    as_twin({**WHERE, "command": ["x"], "kubeconfig": loaded})
    assert seen == [loaded]
    assert set(kinds(seen[0])) == {dict, list, str, float, bool, int, type(None)}
    assert yaml.safe_dump(seen[0])


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ('["shop-dc1-r1-0", "shop-dc1-r1-1"]', ["shop-dc1-r1-0", "shop-dc1-r1-1"]),
        (' ["shop-dc1-r1-0"]', ["shop-dc1-r1-0"]),
        ("[]", []),
        ("shop-dc1-r1-0,shop-dc1-r1-1", ["shop-dc1-r1-0", "shop-dc1-r1-1"]),
        (["[a]"], ["[a]"]),
        ("", [""]),
    ],
)
def test_a_list_may_be_json_in_a_text(monkeypatch, given, taken):
    monkeypatch.setattr(runner, "end_with_controller", lambda: None)
    monkeypatch.setattr(runner, "execute", lambda operation, params, ctx: {"taken": params["nodes"]})
    assert as_twin({**WHERE, "command": ["x"], "nodes": given})["taken"] == taken
    monkeypatch.setattr(ActionModule, "_execute_module", lambda self, module_args, **options: module_args)
    sent = as_twin({**WHERE, "command": ["x"], "nodes": given}, transport="ssh")["nodes"]
    assert sent in (taken, given)
    assert not str(sent).strip().startswith('["')


@pytest.mark.parametrize("given", ["['shop-dc1-r1-0']", '{"a": 1', "[a, b]"])
def test_what_begins_like_json_and_is_none_is_refused(given):
    with pytest.raises(AnsibleActionFail, match="nodes: begins like JSON and cannot be read: "):
        as_twin({**WHERE, "command": ["x"], "nodes": given})


def kinds(value):
    """The exact types of a value and of all that is in it."""
    yield type(value)
    for each in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from kinds(each)


class Vaulted:
    """As ansible-core before 2.19 gives a text that is encrypted in place."""

    __ENCRYPTED__ = True

    def __str__(self):
        return "secret"


def test_a_text_out_of_a_vault_is_a_text():
    assert plain({"users": [{"user": {"token": Vaulted()}}]}) == {"users": [{"user": {"token": "secret"}}]}


def test_wrong_options_in_a_modules_words():
    with pytest.raises(AnsibleActionFail, match=r"Unsupported parameters for .*nodetool\) module: comand"):
        as_twin({**WHERE, "comand": ["x"]})
    with pytest.raises(AnsibleActionFail, match="one of the following is required: command, commands"):
        as_twin(dict(WHERE))


@pytest.mark.parametrize("connection", [{"transport": "ssh"}, {"become": object()}])
def test_another_machine_or_user_gets_the_module(monkeypatch, connection):
    monkeypatch.setattr(ActionModule, "_execute_module", lambda self, **options: {"sent": True})
    assert as_twin({**WHERE, "command": ["version"]}, **connection) == {"sent": True}


@pytest.mark.parametrize("delegate_to", [None, "bastion"])
def test_a_datacenter_that_is_taken_for_a_machine_is_told(monkeypatch, delegate_to):
    def unreachable(self, **options):
        raise AnsibleConnectionFailure("Could not resolve hostname dc1")

    monkeypatch.setattr(ActionModule, "_execute_module", unreachable)
    with pytest.raises(AnsibleConnectionFailure, match="resolve hostname dc1") as caught:
        as_twin({**WHERE, "command": ["version"]}, transport="ssh", delegate_to=delegate_to)
    assert ("ansible_connection: local" in str(caught.value)) is (delegate_to is None)


@pytest.mark.parametrize(("connection", "told"), [({"transport": "ssh"}, 0), ({"become": object()}, 1)])
def test_becoming_another_user_is_told(monkeypatch, connection, told):
    warnings = []
    monkeypatch.setattr(runner, "Display", lambda: SimpleNamespace(warning=warnings.append))
    monkeypatch.setattr(ActionModule, "_execute_module", lambda self, **options: {})
    as_twin({**WHERE, "command": ["version"]}, **connection)
    assert [text.endswith("set ansible_become: false.") for text in warnings] == [True] * told


@pytest.mark.parametrize("no_log", [False, True])
def test_a_task_with_no_log_shows_nothing(monkeypatch, no_log):
    shown = []
    monkeypatch.setattr(runner, "end_with_controller", lambda: None)
    monkeypatch.setattr(runner, "Display", lambda: SimpleNamespace(warning=shown.append, verbosity=0))
    monkeypatch.setattr(runner, "DisplayProgress", lambda name: shown.append)
    monkeypatch.setattr(runner, "show", shown.append)

    def told(operation, params, ctx):
        ctx.progress("progress")
        ctx.display("a report")
        ctx.warnings.append("a warning")
        return {}

    monkeypatch.setattr(runner, "execute", told)
    as_twin({**WHERE, "command": ["x"]}, progress=True, no_log=no_log)
    assert shown == ([] if no_log else ["progress", "a report", "a warning"])


@pytest.mark.parametrize("verbosity", [0, 3])
def test_an_unforeseen_exception_shows_no_secret(datacenter, monkeypatch, capsys, verbosity):
    """Libraries quote what they were given, with the line end escaped."""
    arguments = {**WHERE, "api_key": "very-secret\n", "command": ["version"]}

    def quoting(*arguments, **options):
        raise ValueError(f"Invalid header value {b'Bearer very-secret' + bytes([10])!r}")

    monkeypatch.setattr(datacenter, "list", quoting)
    monkeypatch.setattr(runner, "Display", lambda: SimpleNamespace(verbosity=verbosity))
    monkeypatch.setattr(runner, "DisplayProgress", lambda name: None)
    module = as_module({**arguments, "_ansible_verbosity": verbosity}, monkeypatch, capsys)
    twin = as_twin(arguments, progress=True)
    assert ("quoting" in twin.get("exception", "")) is (verbosity == 3)
    for result in (twin, module):
        assert result["failed"] is True
        assert result["msg"].startswith("ValueError: Invalid header value b'Bearer ********")
        assert "report it" in result["msg"]
        assert "very-secret" not in json.dumps(result)


def test_progress_is_prefixed_and_throttled(monkeypatch):
    shown = []
    monkeypatch.setattr(
        progress, "Display", lambda: SimpleNamespace(display=lambda text, **options: shown.append(text))
    )
    tell = progress.DisplayProgress("dc1", interval=60)
    tell("one")
    tell("two")
    tell("two", important=True)
    tell("two", important=True)
    assert shown == ["dc1: one", "dc1: two"]


def test_what_a_kubeconfig_in_the_options_must_not_show():
    users = [{"name": "long-name-of-user", "user": {"token": "long-token", "exec": {"command": "aws"}}}]
    config = {"users": users, "clusters": [{"name": "cluster-name"}]}
    text = "users:\n  - {name: long-name-of-user, user: {token: other-token}}\n"
    assert set(entry.secrets({"kubeconfig": config})) == {"long-token"}
    assert set(entry.secrets({"kubeconfig": text, "peers": [{"kubeconfig": config}, {}]})) == {
        "long-token",
        "other-token",
    }
    for given in ("/a/path", None, "not: [yaml\n", "no kubeconfig\n"):
        assert set(entry.secrets({"kubeconfig": given, "peers": None})) == set()


def test_what_a_module_was_called_with_is_not_logged(monkeypatch, capsys):
    """Keys may be in it, and which words those are is known only when it is too late."""
    logged = []

    def end(code):
        raise Ended

    monkeypatch.setattr(basic.sys, "exit", end)
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, text, **options: logged.append(text))
    monkeypatch.setattr(entry, "execute", lambda operation, params, ctx: {"changed": False, "told": "secret-token"})
    text = "users:\n  - {name: me, user: {token: secret-token}}\n"
    with patch_module_args({**WHERE, "command": ["version"], "kubeconfig": text}), pytest.raises(Ended):
        entry.main(nodetool)
    shown = capsys.readouterr().out
    assert logged == []
    assert "secret" not in json.loads(shown)["told"]
    assert "secret-token" not in shown


@pytest.mark.parametrize("wrong", [{}, {"raks": 1}])
def test_a_module_repeats_no_keystore_password(monkeypatch, capsys, wrong):
    """Cassandra 4.0 has it in cassandra.yaml, and a module tells what it was called with, also where that is wrong."""

    def end(code):
        raise Ended

    monkeypatch.setattr(basic.sys, "exit", end)
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, text, **options: None)
    monkeypatch.setattr(entry, "execute", lambda operation, params, ctx: {"changed": False})
    config = {"server_encryption_options": {"keystore": "/tls/k", "keystore_password": "pearl-of-great-price"}}
    wanted = {**WHERE, "version": "4.0.19", "racks": [{"name": "r1", "nodes": 1}], "config": config, **wrong}
    if "_ansible_inject_invocation" in Path(basic.__file__).read_text(encoding="utf-8"):
        wanted["_ansible_inject_invocation"] = True
    with patch_module_args(wanted), pytest.raises(Ended):
        entry.main(deploy)
    shown = capsys.readouterr().out
    assert ("failed" in json.loads(shown)) is bool(wrong)
    assert "/tls/k" in shown
    assert "pearl" not in shown
