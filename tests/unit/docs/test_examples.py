# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of the documentation is what this version takes: options, variables, values, files, playbooks.

Those that need a datacenter are run by tests/integration/test_entrances.py.
"""

from __future__ import annotations

import importlib
import itertools
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from unit.docs import examples
from unit.docs.examples import COLLECTION, ROOT, Example

from ansible_collections.cassops.kubernetes.plugins.inventory import nodes
from ansible_collections.cassops.kubernetes.plugins.module_utils import spec_parser
from ansible_collections.cassops.kubernetes.plugins.module_utils.context import rules

OPERATIONS = "ansible_collections.cassops.kubernetes.plugins.module_utils.operations"
YAML = [
    *examples.of_pages("yaml"),
    *examples.of_plugins("modules", "filter", "inventory"),
    *(Example(str(path.relative_to(ROOT)), path.read_text()) for path in (ROOT / "inventories").rglob("*.yml")),
]
CONSOLE = list(examples.of_pages("console"))
# Variables of Ansible itself, and those that no role has.
OTHERS = {"cassandra_progress"}
PLACEHOLDER = {"bool": True, "int": 1, "float": 1.0, "list": [], "dict": {}}


def test_there_are_examples_of_each_kind() -> None:
    kinds = {kind_of(document) for example in YAML for document in example.documents()}
    assert kinds == {"plays", "tasks", "inventory", "nodes", "requirements", "variables"}


def kind_of(document: Any) -> str:
    """What an example is; one that is nothing known fails."""
    if isinstance(document, list):
        return "plays" if "hosts" in document[0] else "tasks"
    if "plugin" in document:
        return "nodes"
    if "collections" in document:
        return "requirements"
    if all(name.startswith("cassandra_") for name in document):
        return "variables"
    assert all("hosts" in group for group in document.values()), f"what is this example? {list(document)}"
    return "inventory"


@pytest.mark.parametrize("example", YAML, ids=str)
def test_yaml(example: Example) -> None:
    checks = {
        "plays": check_plays,
        "tasks": check_tasks,
        "inventory": check_inventory,
        "nodes": check_nodes,
        "requirements": check_requirements,
        "variables": check_variables,
    }
    for document in example.documents():
        checks[kind_of(document)](document)


# --- plays and tasks --------------------------------------------------------------------------------------------------


def check_plays(plays: list[dict[str, Any]]) -> None:
    for play in plays:
        for role in play.get("roles", ()):
            name = role["role"].removeprefix(f"{COLLECTION}.")
            if name == role["role"]:
                continue  # somebody else's
            unknown = set(role.get("vars", {})) - set(role_options(name))
            assert not unknown, f"role {name} has no {unknown}"
        check_tasks(play.get("tasks", []))


def check_tasks(tasks: list[dict[str, Any]]) -> None:
    for task in tasks:
        for module, arguments in task.items():
            if module.startswith(f"{COLLECTION}."):
                check_module(module.removeprefix(f"{COLLECTION}."), arguments)


def check_module(name: str, arguments: Mapping[str, Any]) -> None:
    """The options of a module as it would check them; a template may be anything of the right type."""
    operation = importlib.import_module(f"{OPERATIONS}.{name}")
    given = {
        option: PLACEHOLDER.get(operation.ARGUMENT_SPEC.get(option, {}).get("type", ""), "template")
        if isinstance(value, str) and "{{" in value
        else value
        for option, value in arguments.items()
    }
    validation = ArgumentSpecValidator(dict(operation.ARGUMENT_SPEC), **rules(operation)).validate(given)
    assert not validation.error_messages, f"{name}: {validation.error_messages}"


def role_options(role: str) -> dict[str, Any]:
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text()
    options: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return options


def all_options() -> set[str]:
    return {name for path in (ROOT / "roles").iterdir() for name in role_options(path.name)} | OTHERS


# --- inventories and variables ----------------------------------------------------------------------------------------


def check_inventory(groups: dict[str, Any]) -> None:
    """Every host is a datacenter that deploy would take."""
    for group in groups.values():
        for host, own in group["hosts"].items():
            values = {**group.get("vars", {}), **(own or {})}
            check_variables({name: value for name, value in values.items() if not name.startswith("ansible_")})
            wanted = {name.removeprefix("cassandra_"): value for name, value in values.items()}
            spec_parser.parse({"datacenter": host, **wanted}, "cassandra_")


def check_variables(variables: dict[str, Any]) -> None:
    assert set(variables) <= all_options(), set(variables) - all_options()
    known = {f"cassandra_{name}": name for name in ("config", "jvm_options", "pod_template")}
    for name, value in variables.items():
        if name in known:
            spec_parser.parse({**SMALL, known[name]: value}, "cassandra_")


SMALL: dict[str, Any] = {
    "cluster": "shop",
    "datacenter": "dc1",
    "version": "5.0.9",
    "racks": [{"name": "r1", "nodes": 1}],
    "storage": {"size": "1Gi"},
}


def check_nodes(options: dict[str, Any]) -> None:
    documented = set(yaml.safe_load(nodes.DOCUMENTATION)["options"])
    # Of the fragments: connection options are checked where they are used, the others are Ansible's.
    documented |= {"kubeconfig", "context", "namespace", "keyed_groups", "groups", "compose", "strict"}
    documented |= {"cache", "cache_plugin", "cache_connection", "cache_timeout"}
    assert set(options) <= documented, set(options) - documented


def check_requirements(document: dict[str, Any]) -> None:
    assert [each["name"] for each in document["collections"]] == [COLLECTION]


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", CONSOLE, ids=str)
def test_commands(example: Example) -> None:
    for line in example.commands():
        # Environment variables may stand before a command.
        words = list(itertools.dropwhile(lambda word: re.fullmatch(r"[A-Z_]+=.*", word), line))
        if words and Path(words[0]).name == "ansible-playbook":
            check_ansible_playbook(words[1:])
        if words and Path(words[0]).name == "ansible":
            check_ansible(words[1:])
        for path in (word for word in words if re.match(r"(tests|inventories|playbooks|extensions)/", word)):
            assert (ROOT / path).exists(), path


def check_ansible_playbook(words: list[str]) -> None:
    """The playbook is there, and so are the variables that are set."""
    plays = [word for word in words if word.startswith(f"{COLLECTION}.")]
    files = [f"playbooks/{word.removeprefix(f'{COLLECTION}.')}.yml" for word in plays]
    files += [word for word in words if word.startswith("playbooks/")]
    assert len(files) == 1, words
    assert (ROOT / files[0]).is_file(), files[0]
    text = (ROOT / files[0]).read_text()
    for variables in extra_vars(words):
        for variable in variables:
            assert variable in all_options() or f"{{{{ {variable} | default(" in text, f"{files[0]}: {variable}"


def check_ansible(words: list[str]) -> None:
    """A single task: its module and options."""
    given = dict(itertools.pairwise(words))
    module, text = given["-m"], given["-a"]
    assert module.startswith(f"{COLLECTION}."), words
    words_of_module = shlex.split(re.sub(r"\$\(.*?\)", "somewhere", text))
    arguments = dict(word.split("=", 1) for word in words_of_module)
    check_module(module.removeprefix(f"{COLLECTION}."), arguments)


def extra_vars(words: list[str]) -> Iterator[set[str]]:
    for option, value in itertools.pairwise(words):
        if option in ("-e", "--extra-vars"):
            yield set(yaml.safe_load(value)) if value.startswith("{") else {value.partition("=")[0]}
