# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of this collection that no other tool checks. Each is a function of the tree that returns what breaks it.

Run as a program (``make generate``) it writes what follows from the tree: the action group in meta/runtime.yml,
meta/ee-requirements.txt and extensions/awx/controller.yml.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import awx
import yaml
from checkout import files
from report import ROOT, VENV_BIN

GROUP = "kubernetes"
HEADER = (
    "# Copyright (c) 2026, cassops contributors",
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
)
ROLE_FILES = ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "meta/main.yml", "tasks/main.yml")
# What a script sources is elsewhere: in the pods, mostly.
SHELLCHECK = ("--format=gcc", "--severity=warning", "--exclude=SC1090,SC1091")
# Folders of one machine, and settings of a package registry, which are the machine's own business.
LOCAL = re.compile(r"/(work|root|farm)/|--(extra-)?index-url|--trusted-[h]ost|(GOPROXY|registry)=http")
# Keys whose values Ansible takes for the inside of {% if %}, and what may hold an inline if in there.
CONDITIONS = ("changed_when", "failed_when", "that", "until", "when")
ENCLOSED = re.compile(r"""\{\{.*?\}\}|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\([^()]*\)|\[[^][]*\]""", re.DOTALL)
# Where a machine is told its registries, and hosts in there that are everybody's.
REGISTRY_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "GOPROXY", "npm_config_registry")
REGISTRY_FILES = (".config/go/env", ".config/pip/pip.conf", ".m2/settings.xml", ".npmrc", ".pip/pip.conf")
PUBLIC_HOST = re.compile(r"(.*\.)?(apache\.org|golang\.org|npmjs\.org|pypi\.org|w3\.org)")


def plugins(root: Path, kind: str) -> set[str]:
    """Names of the collection's plugins of one kind."""
    return {path.stem for path in (root / "plugins" / kind).glob("*.py") if path.stem != "__init__"}


def twins(root: Path = ROOT) -> list[str]:
    """Every module has an action plugin of the same name and the other way round: both are shells over one backend."""
    modules, actions = plugins(root, "modules"), plugins(root, "action")
    return [
        *(f"plugins/modules/{name}.py has no twin plugins/action/{name}.py" for name in sorted(modules - actions)),
        *(f"plugins/action/{name}.py has no twin plugins/modules/{name}.py" for name in sorted(actions - modules)),
    ]


def action_group(root: Path = ROOT) -> list[str]:
    """module_defaults reaches every module by the name of the group."""
    runtime = yaml.safe_load((root / "meta" / "runtime.yml").read_text())
    listed, modules = (runtime.get("action_groups") or {}).get(GROUP) or [], sorted(plugins(root, "modules"))
    if listed == modules:
        return []
    return [f"meta/runtime.yml: action group {GROUP} is {listed}, the modules are {modules}: make generate"]


def execution_environment(root: Path = ROOT) -> list[str]:
    """An execution environment is built with the requirements that the README names."""
    wanted, got = (_requirements(root / name) for name in ("requirements.txt", "meta/ee-requirements.txt"))
    return [] if wanted == got else [f"meta/ee-requirements.txt has {got}, requirements.txt {wanted}: make generate"]


def controller(root: Path = ROOT) -> list[str]:
    """What AWX is given follows from the playbooks and the options of their roles."""
    return awx.problems(root)


def generate(root: Path = ROOT) -> None:
    """Write what ``action_group``, ``execution_environment`` and ``controller`` check."""
    runtime = root / "meta" / "runtime.yml"
    listed = "".join(f"\n    - {name}" for name in sorted(plugins(root, "modules"))) or " []"
    runtime.write_text(re.sub(rf"(?m)^  {GROUP}:.*\n(    - .*\n)*", f"  {GROUP}:{listed}\n", runtime.read_text()))
    lines = "".join(f"{line}\n" for line in _requirements(root / "requirements.txt"))
    (root / "meta" / "ee-requirements.txt").write_text(
        f"# requirements.txt, for ansible-builder: make generate\n{lines}"
    )
    awx.write(root)


def roles(root: Path = ROOT) -> list[str]:
    """A role's argument specification and its defaults say the same, and roles agree on variables that they share."""
    problems: list[str] = []
    shared: dict[str, tuple[str, Any]] = {}
    for role in sorted(path for path in (root / "roles").glob("*") if path.is_dir()):
        missing = [f"roles/{role.name}/{name} is missing" for name in ROLE_FILES if not (role / name).is_file()]
        problems += missing
        if missing:
            continue
        options, defaults = _argument_spec(role), yaml.safe_load((role / "defaults" / "main.yml").read_text()) or {}
        problems += [f"roles/{role.name}: {problem}" for problem in _differences(options, defaults)]
        for name, option in options.items():
            facts = {key: value for key, value in option.items() if key not in ("description", "required")}
            first, as_there = shared.setdefault(name, (role.name, facts))
            if facts != as_there:
                problems.append(
                    f"{name} is {json.dumps(facts)} in roles/{role.name}, {json.dumps(as_there)} in {first}"
                )
    return problems


def _argument_spec(role: Path) -> Mapping[str, Any]:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    return specs["main"].get("options") or {}


def _differences(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*options, *defaults}):
        if name not in options:
            yield f"{name} has a default and is not in meta/argument_specs.yml"
        elif name not in defaults:
            if "default" in options[name]:
                yield f"{name} has the default {options[name]['default']!r} in meta/argument_specs.yml only"
        elif options[name].get("required"):
            yield f"{name} is required and has a default"
        elif options[name].get("default") != defaults[name]:
            yield (
                f"{name} has the default {defaults[name]!r} in defaults/main.yml,"
                f" {options[name].get('default')!r} in meta/argument_specs.yml"
            )


def conditions(root: Path = ROOT) -> list[str]:
    """No condition is a bare ``A if B else C``: ansible-core before 2.19 puts it into {% if %}, which takes none."""
    problems = []
    for pattern in ("roles/*/tasks/**/*.yml", "roles/*/handlers/**/*.yml", "playbooks/**/*.yml"):
        for path in sorted(root.glob(pattern)):
            problems += [
                f"{path.relative_to(root)}: {key}: {' '.join(text.split())!r} is an inline if, which ansible-core 2.17 "
                "and 2.18 refuse here: put it into a variable, or into parentheses"
                for key, text in _conditions(yaml.safe_load(path.read_text()))
                if _bare_if(text)
            ]
    return problems


def _conditions(tree: Any) -> Iterator[tuple[str, str]]:
    """Every condition below, with the key that it stands under."""
    if isinstance(tree, list):
        for item in tree:
            yield from _conditions(item)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key in CONDITIONS:
                texts = value if isinstance(value, list) else [value]
                yield from ((key, text) for text in texts if isinstance(text, str))
            else:
                yield from _conditions(value)


def _bare_if(text: str) -> bool:
    """Whether there is an ``if`` outside of templates, texts, parentheses and lists."""
    while (shorter := ENCLOSED.sub(" ", text)) != text:
        text = shorter
    return re.search(r"\bif\b", text) is not None


def headers(root: Path = ROOT) -> list[str]:
    """Every plugin file begins with the licence, and with annotations that cost nothing at run time."""
    problems = []
    for path in sorted((root / "plugins").rglob("*.py")):
        text = path.read_text()
        if not text:
            continue  # Python's own mark of a package.
        lines = [line for line in text.splitlines()[:6] if line.startswith("#")]
        if not all(line in lines for line in HEADER):
            problems.append(f"{path.relative_to(root)}: the first lines are not the header of CONTRIBUTING.md")
        if "import" in text and "from __future__ import annotations" not in text:
            problems.append(f"{path.relative_to(root)}: no `from __future__ import annotations`")
    return problems


def portable(root: Path = ROOT) -> list[str]:
    """Nothing that the repository holds names one machine: its folders, or the hosts of its package registries."""
    hosts = _registry_hosts()
    problems = []
    for name in files():
        try:
            text = (root / name).read_text()
        except (UnicodeDecodeError, IsADirectoryError):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if (found := LOCAL.search(line)) or (found := hosts.search(line) if hosts else None):
                problems.append(f"{name}:{number}: {found[0]!r} belongs to one machine")
    return problems


def _registry_hosts() -> re.Pattern[str] | None:
    """The hosts of the registries that this machine was told to use, the public ones left out."""
    told = [os.environ.get(name, "") for name in REGISTRY_VARIABLES]
    told += [path.read_text() for name in REGISTRY_FILES if (path := Path.home() / name).is_file()]
    hosts = set(re.findall(r"https?://(?:[^/\s@]*@)?([\w.-]+)", "\n".join(told)))
    own = sorted(host for host in hosts if not PUBLIC_HOST.fullmatch(host))
    return re.compile("|".join(map(re.escape, own))) if own else None


def shell(root: Path = ROOT) -> list[str]:
    """shellcheck, over the scripts in the tree and over those for the pods, which are texts in manifests/scripts.py."""
    scripts = {str(name): (root / name).read_text() for name in files() if _is_shell(root / name)}
    scripts |= {f"manifests/scripts.py, {name}": text for name, text in _pod_scripts(root)}
    problems = []
    for name, text in sorted(scripts.items()):
        done = subprocess.run(
            [VENV_BIN / "shellcheck", *SHELLCHECK, "-"], input=text, capture_output=True, text=True, check=False
        )
        problems += [line.replace("-:", f"{name}:", 1) for line in (done.stdout + done.stderr).splitlines()]
    return problems


def _is_shell(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return re.match(rb"#!(/usr)?/bin/(env )?(ba|da)?sh\b", file.readline()) is not None


def _pod_scripts(root: Path) -> Iterator[tuple[str, str]]:
    path = root / "plugins" / "module_utils" / "manifests" / "scripts.py"
    if not path.is_file():
        return
    spec = importlib.util.spec_from_file_location("scripts", path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in vars(module).items():
        if isinstance(value, str) and value.startswith("#!"):
            yield name, value


def _requirements(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


if __name__ == "__main__":
    generate()
