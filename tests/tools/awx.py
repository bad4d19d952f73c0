# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""extensions/awx/controller.yml: what AWX needs to run the playbooks, written out of them and their roles.

A job template a playbook; its survey asks for the options of its role that belong to one run. Workflows and schedules
are the tables below, as far as their playbooks are there. ``make generate`` writes the file, ``make lint`` compares it.
The names are those of infra.aap_configuration, the values those of the modules of awx.awx.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FILE = "extensions/awx/controller.yml"
COLLECTION = "cassops.kubernetes"
HEADER = """\
---
# What AWX or Automation Controller needs to run the playbooks of this collection; docs/awx.md tells how to load it.
# Written by `make generate` out of playbooks/ and roles/*/meta/argument_specs.yml. Do not edit: say it there.
"""
# Names that an administrator gives in AWX; they are the variables of docs/awx.md.
PLACE = {
    "organization": "{{ cassandra_awx_organization | default('Default') }}",
    "project": "{{ cassandra_awx_project | default('cassops.kubernetes') }}",
    "inventory": "{{ cassandra_awx_inventory | default('Cassandra') }}",
    "execution_environment": "{{ cassandra_awx_execution_environment | default('cassops.kubernetes') }}",
    "credentials": "{{ cassandra_awx_credentials | default(['Cassandra Kubernetes']) }}",
}
TYPES = {"int": "integer", "float": "float", "str": "text", "path": "text", "list": "text"}
# Who is told of a job that failed: names of AWX's notification templates.
NOTIFICATIONS = "{{ cassandra_awx_notifications | default([]) }}"
# A text of a survey may be this long.
LONGEST = 4096
# Options that a role is given by another playbook, and that this one must not offer.
NOT_ASKED = {"restart": {"rollout_upgrade", "rollout_snapshot"}}
# Options without which nothing is done; their modules ask for them themselves, so that they can say why.
DECISIONS = {"destroy_confirm"}


@dataclass(frozen=True)
class Step:
    """A node of a workflow: a playbook with answers to its survey; without a playbook, somebody's approval."""

    playbook: str
    answers: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""


@dataclass(frozen=True)
class Schedule:
    """A playbook at certain times, with answers to its survey. It is switched off until somebody switches it on."""

    name: str
    playbook: str
    rule: str
    says: str
    answers: Mapping[str, Any] = field(default_factory=dict)


WORKFLOWS: Mapping[str, Sequence[Step]] = {
    "upgrade": (
        Step("backup"),
        Step("verify_backup"),
        Step("status", {"status_fail_on": "down"}),
        Step("upgrade", {"rollout_pause_after": "canary"}),
        Step("", says="Look at the first upgraded node: its log, latencies, errors. Approve to upgrade the others."),
        Step("upgrade", {"rollout_pause_after": "never"}),
        Step("status", {"status_fail_on": "down"}),
    ),
}
SCHEDULES = (
    Schedule("status", "status", "FREQ=HOURLY;INTERVAL=1", "Fails on any problem", {"status_fail_on": "problem"}),
    Schedule(
        "heal",
        "heal",
        "FREQ=MINUTELY;INTERVAL=10",
        "Looks for failed nodes and heals what is safe to heal; leaves repairs to the evening",
        {"heal_repair": False},
    ),
    Schedule(
        "heal with repairs",
        "heal",
        "FREQ=DAILY;INTERVAL=1;BYHOUR=22;BYMINUTE=0",
        "Repairs what nodes missed that were away for longer than hints are kept",
        {"heal_repair": True},
    ),
    Schedule("repair", "repair", "FREQ=DAILY;INTERVAL=1;BYHOUR=23;BYMINUTE=0", "Compares replicas, a part each night"),
    Schedule("backup", "backup", "FREQ=DAILY;INTERVAL=1;BYHOUR=2;BYMINUTE=0", "Every night"),
    Schedule("verify_backup", "verify_backup", "FREQ=DAILY;INTERVAL=1;BYHOUR=6;BYMINUTE=0", "Reads last night's again"),
    Schedule("purge_backups", "purge_backups", "FREQ=WEEKLY;INTERVAL=1;BYDAY=SU;BYHOUR=8;BYMINUTE=0", "Once a week"),
    Schedule("stop", "stop", "FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TU,WE,TH,FR;BYHOUR=19;BYMINUTE=0", "No pods over night"),
    Schedule("start", "start", "FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TU,WE,TH,FR;BYHOUR=6;BYMINUTE=0", "In the morning"),
    Schedule(
        "more nodes",
        "scale",
        "FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TU,WE,TH,FR;BYHOUR=5;BYMINUTE=0",
        "For the day; write your racks and numbers",
        {"scale_nodes": "r1=2 r2=2 r3=2"},
    ),
    Schedule(
        "fewer nodes",
        "scale",
        "FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TU,WE,TH,FR;BYHOUR=20;BYMINUTE=0",
        "For the night, volumes of those that leave included; write your racks and numbers",
        {"scale_nodes": "r1=1 r2=1 r3=1", "scale_delete_volumes": True},
    ),
)


# --- playbooks and their options --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Playbook:
    """A playbook, what it says of itself, and the options that it leaves to who runs it."""

    name: str
    description: str
    options: Mapping[str, Mapping[str, Any]]


def playbooks(root: Path) -> dict[str, Playbook]:
    """All playbooks by name."""
    files = (path for path in sorted((root / "playbooks").glob("*.yml")) if not path.name.endswith(".meta.yml"))
    return {path.stem: playbook(root, path) for path in files}


def playbook(root: Path, path: Path) -> Playbook:
    """What a playbook's file says."""
    text = path.read_text()
    comment = re.match(r"(?:---\n)?((?:#.*\n)+)", text)
    words = " ".join(line.lstrip("# ") for line in (comment[1] if comment else "").splitlines())
    options: dict[str, Mapping[str, Any]] = {}
    for play in yaml.safe_load(text):
        fixed = dict(play.get("vars") or {})
        for role, its_vars in roles_of(play):
            fixed |= its_vars
            options |= run_options(root, role)
            for deeper, more_vars in included(tasks_of(root, role)):
                fixed |= more_vars
                options |= run_options(root, deeper)
        # A default that the play gives may still be overridden: only what is fixed is not asked for.
        options = {name: option for name, option in options.items() if name not in fixed}
    for name in NOT_ASKED.get(path.stem, ()):
        del options[name]
    # What follows is about options of the command line, mostly.
    sentence = words.partition(". ")[0].rstrip(".")
    return Playbook(path.stem, f"{sentence}." if sentence else title(path.stem), options)


def roles_of(play: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The collection's roles that a play runs, and the variables that it gives them."""
    for entry in play.get("roles") or ():
        name = entry if isinstance(entry, str) else entry.get("role") or entry["name"]
        yield name.removeprefix(f"{COLLECTION}."), {} if isinstance(entry, str) else entry.get("vars") or {}
    for section in ("pre_tasks", "tasks", "post_tasks"):
        yield from included(play.get(section) or ())


def included(tasks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The collection's roles that tasks include, and the variables that they give them."""
    for task in tasks:
        for section in ("block", "rescue", "always"):
            yield from included(task.get(section) or ())
        for module in ("import_role", "include_role"):
            if arguments := task.get(f"ansible.builtin.{module}"):
                yield arguments["name"].removeprefix(f"{COLLECTION}."), task.get("vars") or {}


def tasks_of(root: Path, role: str) -> list[Mapping[str, Any]]:
    """All tasks of a role."""
    files = sorted((root / "roles" / role / "tasks").rglob("*.yml"))
    return [task for path in files for task in yaml.safe_load(path.read_text()) or ()]


def run_options(root: Path, role: str) -> dict[str, Mapping[str, Any]]:
    """The options of a role that belong to one run and that a person can type: not those of the datacenter, which the
    inventory has, and not those that another role gives it."""
    file = root / "roles" / role / "meta" / "argument_specs.yml"
    options = yaml.safe_load(file.read_text())["argument_specs"]["main"].get("options") or {}
    return {
        name: {**option, "role": role}
        for name, option in options.items()
        if not name.startswith("cassandra_")
        and "{{" not in str(option.get("default", ""))
        and option.get("elements") != "dict"
    }


# --- surveys ----------------------------------------------------------------------------------------------------------


def survey(options: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The questions for options of roles. No two have one name: AWX's pages find the choices of a question by it."""
    captions = {name: caption(name, option["role"]) for name, option in options.items()}
    taken = Counter(captions.values())
    names = {
        name: f"{caption(options[name]['role'])}: {short.lower()}" if taken[short] > 1 else short
        for name, short in captions.items()
    }
    return [{"question_name": names[name], **question(name, option)} for name, option in options.items()]


def caption(name: str, role: str = "") -> str:
    """The name of an option or a role, in words."""
    return name.removeprefix(f"{role}_").replace("_", " ").capitalize()


def question(name: str, option: Mapping[str, Any]) -> dict[str, Any]:
    """A question of a survey, for an option of a role.

    It has no default: AWX makes that an extra variable, which beats what the inventory says.
    """
    words = [option["description"]] if isinstance(option["description"], str) else [*option["description"]]
    if is_list(option):
        words.append("Separated by commas.")
    if option.get("default") not in (None, "", [], {}):
        words.append(f"Default is what the inventory says, else {answer(option['default'])}.")
    return {
        "question_description": plain(" ".join(words)),
        "variable": name,
        "required": bool(option.get("required", False)) or name in DECISIONS,
        **kind(option),
    }


def kind(option: Mapping[str, Any]) -> dict[str, Any]:
    """Type of a question, and the limits that AWX wants with it. AWX knows neither booleans nor mappings.

    Here and there AWX hands on what was left empty as an empty text, which would beat the inventory too. It refuses
    one for a number, a choice, and a text that must not be empty; so none gets to a role.
    """
    if option.get("no_log"):
        return {"type": "password", "min": 1, "max": LONGEST}
    if option.get("choices"):
        return {"type": "multiplechoice", "choices": [str(answer(choice)) for choice in option["choices"]]}
    if option["type"] == "bool":
        return {"type": "multiplechoice", "choices": ["true", "false"]}
    if option["type"] in ("int", "float"):
        return {"type": TYPES[option["type"]], "min": 0, "max": 2**31 - 1}
    if option["type"] in TYPES or is_list(option):
        return {"type": "text", "min": 1, "max": LONGEST}
    return {"type": "textarea", "min": 1, "max": LONGEST}


def is_list(option: Mapping[str, Any]) -> bool:
    """Whether it takes names. Those of roles are raw, so that texts get to the modules, which take them apart."""
    return option["type"] == "list" or option.get("default") == []


def answer(value: Any) -> Any:
    """A value as a survey has it: texts and numbers."""
    return value if isinstance(value, (str, int, float)) and not isinstance(value, bool) else json.dumps(value)


def plain(words: str) -> str:
    """The text without Ansible's markup."""
    return re.sub(r"\b[BCIVOMEP]+\(([^)]*)\)", r"\1", words)


# --- the file ---------------------------------------------------------------------------------------------------------


def template(found: Playbook) -> dict[str, Any]:
    """The job template of a playbook."""
    questions = survey(found.options)
    return {
        "name": title(found.name),
        "description": found.description,
        "job_type": "run",
        **PLACE,
        "notification_templates_error": NOTIFICATIONS,
        "playbook": f"playbooks/{found.name}.yml",
        "ask_inventory_on_launch": True,
        "ask_credential_on_launch": True,
        "ask_limit_on_launch": True,
        "ask_job_type_on_launch": True,
        "ask_diff_mode_on_launch": True,
        "ask_verbosity_on_launch": True,
        # A second run waits for the first; the lock of the cluster refuses one from elsewhere.
        "allow_simultaneous": False,
        # A slice knows its own hosts only, and not the other datacenters of the cluster.
        "job_slice_count": 1,
        "survey_enabled": bool(questions),
        **({"survey_spec": {"name": "", "description": "", "spec": questions}} if questions else {}),
    }


def workflow(name: str, steps: Sequence[Step]) -> dict[str, Any]:
    """A workflow whose steps follow each other; one that fails ends it."""
    nodes = [node(number, step, last=number == len(steps)) for number, step in enumerate(steps, 1)]
    return {
        "name": f"{title(name)}, step by step",
        "description": " -> ".join(step.playbook or "approval" for step in steps),
        "organization": PLACE["organization"],
        "inventory": PLACE["inventory"],
        "notification_templates_error": NOTIFICATIONS,
        "ask_inventory_on_launch": True,
        "ask_limit_on_launch": True,
        "allow_simultaneous": False,
        "simplified_workflow_nodes": nodes,
    }


def node(number: int, step: Step, *, last: bool) -> dict[str, Any]:
    """A node of a workflow."""
    following = [] if last else [f"step{number + 1}"]
    named: dict[str, Any] = {"identifier": f"step{number}", "success_nodes": following}
    if not step.playbook:
        return {**named, "approval_node": {"name": f"Go on after step {number - 1}", "description": step.says}}
    return {
        **named,
        "unified_job_template": title(step.playbook),
        **extra_data(step.answers),
    }


def schedule(wanted: Schedule) -> dict[str, Any]:
    """A schedule, switched off."""
    return {
        "name": f"Cassandra, {wanted.name}",
        "description": wanted.says,
        "unified_job_template": title(wanted.playbook),
        "organization": PLACE["organization"],
        "rrule": f"DTSTART:20260101T000000Z RRULE:{wanted.rule}",
        **extra_data(wanted.answers),
        "enabled": False,
    }


def extra_data(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Answers to a survey, of a step or a schedule."""
    return {"extra_data": {name: answer(value) for name, value in answers.items()}} if answers else {}


def title(name: str) -> str:
    """The name of a job template."""
    return f"Cassandra, {name.replace('_', ' ')}"


def data(root: Path) -> dict[str, Any]:
    """All of it. A workflow leaves out steps whose playbook is not there, but is none without that of its own name."""
    found = playbooks(root)
    workflows = {
        name: [step for step in steps if not step.playbook or step.playbook in found]
        for name, steps in WORKFLOWS.items()
        if name in found
    }
    return {
        "controller_templates": [template(each) for each in found.values()],
        "controller_workflows": [workflow(name, steps) for name, steps in workflows.items()],
        "controller_schedules": [schedule(each) for each in SCHEDULES if each.playbook in found],
    }


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key, as the linters want it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def text(root: Path) -> str:
    """The content of the file."""
    return HEADER + yaml.dump(data(root), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def write(root: Path) -> None:
    """Write the file."""
    file = root / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text(root))


def problems(root: Path) -> list[str]:
    """The file is not what follows from the tree, or a table above names what no survey asks for."""
    file = root / FILE
    stale = [] if file.is_file() and file.read_text() == text(root) else [f"{FILE} is not current: make generate"]
    return [*stale, *unknown_answers(root), *texts(root)]


def unknown_answers(root: Path) -> Iterator[str]:
    """Answers to questions that are not asked: AWX would refuse them."""
    found = playbooks(root)
    steps = [(f"workflow {name}", step.playbook, step.answers) for name, its in WORKFLOWS.items() for step in its]
    steps += [(f"schedule {each.name}", each.playbook, each.answers) for each in SCHEDULES]
    for where, name, answers in steps:
        for variable, value in answers.items() if name in found else ():
            option = found[name].options.get(variable)
            if option is None:
                yield f"tests/tools/awx.py, {where}: playbook {name} does not ask for {variable}"
            elif "choices" in option and value not in option["choices"]:
                yield f"tests/tools/awx.py, {where}: {variable} cannot be {value}"


def texts(root: Path) -> Iterator[str]:
    """Answers are texts: C(false) must count as false wherever a role reads it, and an empty one, of a survey that
    somebody made otherwise, as none."""
    for role in sorted(path for path in (root / "roles").glob("*") if (path / "meta" / "argument_specs.yml").is_file()):
        tasks = "".join(path.read_text() for path in sorted((role / "tasks").rglob("*.yml")))
        for name, option in run_options(root, role.name).items():
            asked = question(name, option)
            open_end = asked["type"] in ("text", "textarea", "password") and not asked["required"]
            # default(omit, true) where a module takes it; another role or a text takes what stands for nothing there.
            counts_as_none = re.search(rf"\b{name} \| default\([^()]+, true\)", tasks)
            if open_end and option.get("default") is None and not counts_as_none:
                yield f"roles/{role.name}: an empty answer in a survey is none: {name} | default(omit, true)"
            # An option of a module is turned into its type; in an expression nobody does that.
            if option["type"] == "bool":
                found = re.findall(rf"(\{{\{{ )?\b{name}\b( \| bool| \}}\}}\")?(:)?", tasks)
                if not all(key or after == " | bool" or (before and after) for before, after, key in found):
                    yield f"roles/{role.name}: an answer in a survey is a text: {name} | bool"
