# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
import rules


def write(root: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def role(root: Path, name: str, options: str, defaults: str) -> None:
    files = {f"roles/{name}/{file}": "---\n" for file in rules.ROLE_FILES}
    files[f"roles/{name}/meta/argument_specs.yml"] = f"argument_specs: {{main: {{options: {options}}}}}"
    files[f"roles/{name}/defaults/main.yml"] = defaults
    write(root, **files)


def test_a_module_without_a_twin_is_told(tmp_path: Path) -> None:
    write(tmp_path, **{f"plugins/{name}.py": "" for name in ("modules/cql", "action/cql", "modules/nodetool")})
    assert rules.twins(tmp_path) == ["plugins/modules/nodetool.py has no twin plugins/action/nodetool.py"]


def test_generate_writes_what_the_rules_ask_for(tmp_path: Path) -> None:
    runtime = "requires_ansible: '>=2.17.0'\n\naction_groups:\n  kubernetes:\n    - gone\nplugin_routing: {}\n"
    write(
        tmp_path,
        **{
            "meta/runtime.yml": runtime,
            "meta/ee-requirements.txt": "",
            "requirements.txt": "# why\nkubernetes>=29.0.0\n",
            "plugins/modules/nodetool.py": "",
            "plugins/modules/cql.py": "",
        },
    )
    assert rules.action_group(tmp_path)
    assert rules.execution_environment(tmp_path)
    rules.generate(tmp_path)
    assert rules.action_group(tmp_path) == rules.execution_environment(tmp_path) == []
    assert (tmp_path / "meta/runtime.yml").read_text() == runtime.replace("    - gone\n", "    - cql\n    - nodetool\n")


@pytest.mark.parametrize(
    ("options", "defaults", "told"),
    [
        ("{a: {type: int, default: 3}}", "a: 3", None),
        ("{a: {type: int, required: true}}", "", None),
        ("{a: {type: int, default: 3}}", "a: 4", "4"),
        ("{a: {type: int, default: 3}}", "", "only"),
        ("{a: {type: int, required: true}}", "a: 4", "required"),
        ("{}", "a: 4", "not in meta/argument_specs.yml"),
    ],
)
def test_defaults_and_argument_specs(tmp_path: Path, options: str, defaults: str, told: str | None) -> None:
    role(tmp_path, "deploy", options, defaults)
    problems = rules.roles(tmp_path)
    assert (not problems) if told is None else (len(problems) == 1 and told in problems[0])


def test_roles_agree_on_shared_variables(tmp_path: Path) -> None:
    role(tmp_path, "deploy", "{a: {type: int, default: 3, description: as deploy says}}", "a: 3")
    role(tmp_path, "status", "{a: {type: int, default: 3, description: as status says}}", "a: 3")
    assert rules.roles(tmp_path) == []
    role(tmp_path, "status", "{a: {type: str, default: 3}}", "a: 3")
    assert len(rules.roles(tmp_path)) == 1


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("when: a if b else c", True),
        ("when: [x, a | length == 0 if b == 'd' else c]", True),
        ("ansible.builtin.assert: {that: a if b else c}", True),
        ("block: [{debug: {}, until: a if b else c}]", True),
        ("failed_when: a if (b) else c", True),
        ("changed_when: (a if b else c) | length > 0", False),
        ("when: (a(d) if b else c)", False),
        ("when: a in [b if c else d]", False),
        ('when: "{{ a if b else c }}"', False),
        ("when: a != 'one if any else none'", False),
        ("when: notify or iffy", False),
        ("failed_when: false", False),
        ('debug: {msg: "{{ a if b else c }}"}', False),
        ('vars: {d: "{{ a if b else c }}"}', False),
    ],
)
@pytest.mark.parametrize("file", ["roles/heal/tasks/main.yml", "roles/heal/handlers/main.yml", "playbooks/heal.yml"])
def test_a_condition_is_no_bare_inline_if(tmp_path: Path, file: str, task: str, told: bool) -> None:
    plays = file.startswith("playbooks")
    write(tmp_path, **{file: f"- hosts: all\n  tasks:\n  - {task}\n" if plays else f"- {task}\n"})
    problems = rules.conditions(tmp_path)
    assert len(problems) == told
    assert all(problem.startswith(f"{file}: ") for problem in problems)


def test_a_file_without_the_header_is_told(tmp_path: Path) -> None:
    header = "\n".join(rules.HEADER)
    write(
        tmp_path,
        **{
            "plugins/module_utils/__init__.py": "",
            "plugins/module_utils/good.py": f"{header}\nfrom __future__ import annotations\n\nimport os\n",
            "plugins/module_utils/bad.py": "import os\n",
        },
    )
    assert [problem.split(":")[0] for problem in rules.headers(tmp_path)] == ["plugins/module_utils/bad.py"] * 2
