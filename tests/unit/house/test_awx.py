# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import awx
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
TYPES = {"text": str, "textarea": str, "password": str, "multiplechoice": str, "integer": int, "float": (int, float)}
OPTIONS = {
    "cassandra_version": {"type": "str", "description": "of the datacenter"},
    "roll_limit": {"type": "list", "elements": "str", "description": "Only O(these) nodes."},
    "roll_force": {"type": "bool", "default": False, "description": ["One.", "Two."]},
    "roll_wait": {"type": "int", "default": 5, "description": "seconds"},
    "roll_pause": {"type": "str", "choices": ["canary", "never"], "default": "never", "description": "when"},
    "roll_peers": {"type": "raw", "default": "{{ groups }}", "description": "from the inventory"},
    "roll_extra": {"type": "dict", "description": "more"},
    "roll_key": {"type": "str", "no_log": True, "required": True, "description": "secret"},
}
PLAY = """\
---
# Rolls. Then some more.
- hosts: "{{ roll_hosts | default('all') }}"
  roles:
    - role: cassops.kubernetes.roll
      vars: {roll_force: true}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with one playbook and one role."""
    for folder in ("playbooks", "roles/roll/meta", "roles/roll/tasks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "playbooks" / "roll.yml").write_text(PLAY)
    specs = {"argument_specs": {"main": {"options": OPTIONS}}}
    (tmp_path / "roles/roll/meta/argument_specs.yml").write_text(yaml.safe_dump(specs, sort_keys=False))
    given = " ".join(f"{{{{ {name} | default(omit, true) }}}}" for name in ("roll_limit", "roll_extra"))
    (tmp_path / "roles/roll/tasks/main.yml").write_text(f'- n: "{given}"\n')
    return tmp_path


def survey(root: Path) -> dict[str, dict[str, Any]]:
    """The questions of the first template, by variable."""
    return {asked["variable"]: asked for asked in awx.data(root)["controller_templates"][0]["survey_spec"]["spec"]}


def test_a_survey_asks_for_what_belongs_to_one_run_and_is_not_fixed_by_the_playbook(root: Path) -> None:
    assert list(survey(root)) == ["roll_limit", "roll_wait", "roll_pause", "roll_extra", "roll_key"]


def test_questions_have_the_types_of_awx(root: Path) -> None:
    asked = survey(root)
    assert {name: each["type"] for name, each in asked.items()} == {
        "roll_limit": "text",
        "roll_wait": "integer",
        "roll_pause": "multiplechoice",
        "roll_extra": "textarea",
        "roll_key": "password",
    }
    assert asked["roll_limit"]["question_description"] == "Only these nodes. Separated by commas."
    assert [name for name, each in asked.items() if each["required"]] == ["roll_key"]
    assert asked["roll_wait"]["question_description"] == "seconds Default is what the inventory says, else 5."
    assert not [name for name, each in asked.items() if "default" in each]


def test_what_is_written_is_what_is_asked_for(root: Path) -> None:
    assert awx.problems(root) == [f"{awx.FILE} is not current: make generate"]
    awx.write(root)
    assert awx.problems(root) == []
    assert yaml.safe_load((root / awx.FILE).read_text()) == awx.data(root)


def test_an_empty_answer_must_count_as_none(root: Path) -> None:
    awx.write(root)
    (root / "roles/roll/tasks/main.yml").write_text('- n: "{{ roll_limit | default(omit, true) }} {{ roll_extra }}"')
    assert [problem for problem in awx.problems(root) if "roll_extra" in problem] == awx.problems(root) != []


@pytest.mark.parametrize(
    ("tasks", "fine"),
    [
        ('force: "{{ roll_force }}"', True),
        ("when: roll_force | bool", True),
        ("roll_force: true", True),
        ("when: roll_force", False),
        ("when:\n  - not roll_force", False),
        ("x: \"{{ 'a' if roll_force else 'b' }}\"", False),
        ("x: \"{{ 'a' if roll_force | bool else roll_force }}\"", False),
    ],
)
def test_a_text_that_says_false_must_be_false(root: Path, tasks: str, fine: bool) -> None:
    awx.write(root)
    file = root / "roles/roll/tasks/main.yml"
    file.write_text(f"- n: {file.read_text()!r}\n- {tasks}\n")
    told = [problem for problem in awx.texts(root) if "roll_force | bool" in problem]
    assert bool(told) is not fine


def test_roles_that_a_role_includes_are_asked_for(root: Path) -> None:
    """Less what it gives them."""
    for folder in ("meta", "tasks"):
        (root / "roles/higher" / folder).mkdir(parents=True)
    options = {"higher_wait": {"type": "int", "default": 1, "description": "seconds"}}
    (root / "roles/higher/meta/argument_specs.yml").write_text(
        yaml.safe_dump({"argument_specs": {"main": {"options": options}}})
    )
    include = {"ansible.builtin.include_role": {"name": "cassops.kubernetes.roll"}, "vars": {"roll_pause": "never"}}
    (root / "roles/higher/tasks/main.yml").write_text(yaml.safe_dump([{"block": [include]}]))
    (root / "playbooks/roll.yml").write_text(PLAY.replace("kubernetes.roll", "kubernetes.higher"))
    asked = survey(root)
    assert list(asked) == ["higher_wait", "roll_limit", "roll_wait", "roll_extra", "roll_key"]
    assert [each["question_name"] for each in asked.values()] == ["Higher: wait", "Limit", "Roll: wait", "Extra", "Key"]


def test_answers_in_tables_are_those_of_a_survey(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWX refuses C(false) where the choices are texts, and a text where it asked for a number."""
    answers = {"roll_force": False, "roll_wait": 5, "roll_pause": "never"}
    monkeypatch.setattr(awx, "SCHEDULES", (awx.Schedule("s", "roll", "FREQ=DAILY", "", answers),))
    monkeypatch.setattr(awx, "WORKFLOWS", {"roll": (awx.Step("roll", answers),)})
    made = awx.data(root)
    (node,) = made["controller_workflows"][0]["simplified_workflow_nodes"]
    expected = {"roll_force": "false", "roll_wait": 5, "roll_pause": "never"}
    assert made["controller_schedules"][0]["extra_data"] == node["extra_data"] == expected


def test_tables_that_answer_what_nobody_asks_are_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    awx.write(root)
    steps = (awx.Step("gone", {"x": 1}), awx.Step("roll", {"roll_paws": 1}), awx.Step("roll", {"roll_pause": "never"}))
    monkeypatch.setattr(awx, "SCHEDULES", (awx.Schedule("s", "roll", "FREQ=DAILY", "", {"roll_pause": "always"}),))
    monkeypatch.setattr(awx, "WORKFLOWS", {"other": steps})
    told = list(awx.unknown_answers(root))
    assert len(told) == 2
    assert "does not ask for roll_paws" in told[0]
    assert "roll_pause cannot be always" in told[1]


def test_a_workflow_has_the_steps_that_are_there_in_their_order(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (awx.Step("gone"), awx.Step("roll", {"roll_wait": 1}), awx.Step("", says="Well?"), awx.Step("roll"))
    monkeypatch.setattr(awx, "WORKFLOWS", {"roll": steps, "gone": steps})
    (made,) = awx.data(root)["controller_workflows"]
    nodes = made["simplified_workflow_nodes"]
    assert [node.get("unified_job_template") for node in nodes] == ["Cassandra, roll", None, "Cassandra, roll"]
    assert nodes[1]["approval_node"]["description"] == "Well?"
    assert [node["success_nodes"] for node in nodes] == [["step2"], ["step3"], []]


# --- what is shipped --------------------------------------------------------------------------------------------------

SHIPPED = awx.data(ROOT)


def test_every_playbook_has_a_job_template() -> None:
    files = {path.name for path in (ROOT / "playbooks").glob("*.yml") if not path.name.endswith(".meta.yml")}
    assert {template["playbook"] for template in SHIPPED["controller_templates"]} == {
        f"playbooks/{name}" for name in files
    }


@pytest.mark.parametrize("template", SHIPPED["controller_templates"], ids=lambda template: str(template["name"]))
def test_surveys_are_what_awx_accepts(template: dict[str, Any]) -> None:
    """The rules of its API, awx/api/views: JobTemplateSurveySpec."""
    if not template["survey_enabled"]:
        return
    questions = template["survey_spec"]["spec"]
    assert questions
    assert len({asked["variable"] for asked in questions}) == len(questions)
    for asked in questions:
        assert {"question_name", "type", "variable", "required"} <= set(asked)
        assert asked["type"] in TYPES
        assert isinstance(asked["required"], bool)
        assert asked["question_name"]
        if asked["type"] == "multiplechoice":
            assert all(isinstance(choice, str) for choice in asked["choices"])
        else:
            assert all(isinstance(asked[limit], int) for limit in ("min", "max"))


def accepted(asked: dict[str, Any], value: Any) -> bool:
    """Whether AWX takes this answer, awx/main/models/mixins.py: _survey_element_validation."""
    if asked["type"] == "multiplechoice":
        return value in asked["choices"]
    if isinstance(value, bool) or not isinstance(value, TYPES[asked["type"]]):
        return False
    return bool(asked["min"] <= (len(value) if isinstance(value, str) else value) <= asked["max"])


@pytest.mark.parametrize("template", SHIPPED["controller_templates"], ids=lambda template: str(template["name"]))
def test_what_is_not_answered_stays_with_the_inventory(template: dict[str, Any]) -> None:
    """A default, or a text that was left empty, would be an extra variable, and beat it."""
    for asked in template["survey_spec"]["spec"]:
        assert "default" not in asked
        assert not accepted(asked, ""), asked["variable"]


def test_only_decisions_are_required() -> None:
    questions = [asked for each in SHIPPED["controller_templates"] for asked in each["survey_spec"]["spec"]]
    required = {asked["variable"] for asked in questions if asked["required"]}
    assert required == {"backup_drill_namespace", "destroy_confirm", "replace_node_name"}


@pytest.mark.parametrize("template", SHIPPED["controller_templates"], ids=lambda template: str(template["name"]))
def test_words_are_those_of_a_page(template: dict[str, Any]) -> None:
    """Whole sentences, names that differ, and nothing that is typed on a command line."""
    questions = template["survey_spec"]["spec"]
    assert len({asked["question_name"] for asked in questions}) == len(questions)
    for words in (template["description"], *(asked["question_description"] for asked in questions)):
        assert not re.search(r"(^| )(-[a-z]|--[a-z]+)\b|[,:(]\.|\b(or|and|the|a)\.", words), words
        assert words.endswith(".")


def test_the_drill_does_not_ask_what_it_decides() -> None:
    (drill,) = (each for each in SHIPPED["controller_templates"] if each["playbook"] == "playbooks/backup_drill.yml")
    asked = {each["variable"] for each in drill["survey_spec"]["spec"]}
    limits = {
        "restore_space",
        "restore_bandwidth",
        "restore_gate_timeout",
        "restore_wait_timeout",
        "restore_table_timeout",
    }
    assert {name for name in asked if name.startswith("restore_")} == limits


def test_awx_takes_the_answers_of_schedules_and_workflows() -> None:
    surveys = {
        each["name"]: {asked["variable"]: asked for asked in each["survey_spec"]["spec"]}
        for each in SHIPPED["controller_templates"]
    }
    nodes = [node for each in SHIPPED["controller_workflows"] for node in each["simplified_workflow_nodes"]]
    for each in (*SHIPPED["controller_schedules"], *nodes):
        for variable, value in each.get("extra_data", {}).items():
            assert accepted(surveys[each["unified_job_template"]][variable], value), variable


def test_who_is_told_of_a_failure_is_a_variable_with_nobody_as_its_default() -> None:
    """Of every job, and of every workflow: a step that fails ends it."""
    told = {each["notification_templates_error"] for each in SHIPPED["controller_templates"]}
    told |= {each["notification_templates_error"] for each in SHIPPED["controller_workflows"]}
    assert told == {"{{ cassandra_awx_notifications | default([]) }}"}
    assert "cassandra_awx_notifications" in (ROOT / "docs/awx.md").read_text()


def test_the_status_of_every_hour_fails_on_what_nobody_would_look_at() -> None:
    (status,) = (
        each for each in SHIPPED["controller_schedules"] if each["unified_job_template"] == "Cassandra, status"
    )
    assert status["extra_data"] == {"status_fail_on": "problem"}


def test_nothing_begins_by_itself() -> None:
    assert [each["enabled"] for each in SHIPPED["controller_schedules"]] == [False] * len(
        SHIPPED["controller_schedules"]
    )


def test_what_schedules_and_workflows_name_is_there() -> None:
    names = {template["name"] for template in SHIPPED["controller_templates"]}
    nodes = [node for each in SHIPPED["controller_workflows"] for node in each["simplified_workflow_nodes"]]
    named = [each.get("unified_job_template") for each in (*SHIPPED["controller_schedules"], *nodes)]
    assert {name for name in named if name} <= names
