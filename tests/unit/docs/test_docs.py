# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages for people say what is there: variables, links, files, words of the tables."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils import report
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"] if path.is_file())
PLAYBOOKS = sorted(path for path in (ROOT / "playbooks").glob("*.yml") if not path.name.endswith(".meta.yml"))
# What a sentence calls a file of the collection; also in code, where the pages name it without a link.
NAMED = re.compile(r"(?<![\w/.{-])((?:docs|extensions|inventories|playbooks|plugins|roles|tests)/[\w./-]*\w)")
# Written by a run, not by us.
MADE = ("docs/images", "tests/output", "tests/benchmark/results.json")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def rows(page: Path) -> Iterator[list[str]]:
    """The rows of all tables, without their headers."""
    lines = without_code(page.read_text()).splitlines()
    for number, line in enumerate(lines):
        header = number + 1 < len(lines) and re.fullmatch(r"\|( ?-+ ?\|)+", lines[number + 1])
        if line.startswith("| ") and not header and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" |")]


# --- variables --------------------------------------------------------------------------------------------------------


def options(role: str) -> dict[str, dict[str, Any]]:
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())
    options: dict[str, dict[str, Any]] = specs["argument_specs"]["main"]["options"]
    return options


def role_names() -> list[str]:
    return sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def documented() -> dict[str, list[str]]:
    """Variable -> the cells behind it, of the tables of variables.md."""
    found = [row for row in rows(DOCS / "variables.md") if row[0].startswith("`")]
    named = {row[0].strip("`"): row[1:] for row in found}
    assert len(named) == len(found), "a variable stands there twice"
    return named


@pytest.mark.parametrize("role", role_names())
def test_every_variable_of_a_role_is_in_the_tables(role: str) -> None:
    assert set(options(role)) <= set(documented())


def test_the_tables_have_no_other_variables() -> None:
    assert set(documented()) == {variable for role in role_names() for variable in options(role)}


@pytest.mark.parametrize("role", role_names())
def test_what_is_required_is_told(role: str) -> None:
    for variable, option in options(role).items():
        cells = documented()[variable]
        required = cells[0] if variable.startswith("cassandra_") else cells[1]
        assert required.startswith("yes") or not option.get("required"), variable


@pytest.mark.parametrize("role", role_names())
def test_the_options_of_a_run_have_their_role_and_default(role: str) -> None:
    for variable, option in options(role).items():
        if variable.startswith("cassandra_"):
            continue
        said_role, _required, default, _meaning = documented()[variable]
        assert said_role == role
        if "default" in option and not variable.endswith("_peers"):
            assert default == f"`{str(option['default']).lower()}`", variable


def test_what_deploy_needs_is_told() -> None:
    """The role cannot require them, because the module tells all errors at once; the table does."""
    needed = {variable for variable, cells in documented().items() if cells[0] == "yes, by deploy"}
    assert needed == {"cassandra_version", "cassandra_racks", "cassandra_storage"}


def test_options_on_the_pages_of_the_playbooks_exist() -> None:
    known = set(documented()) | variables_of_playbooks()
    for page in (DOCS / "operations").glob("*.md"):
        for variable in re.findall(r"-e ([a-z_]+)=", page.read_text()):
            assert variable in known, f"{name(page)}: {variable}"


def test_defaults_on_the_pages_of_the_playbooks_are_those_of_the_roles() -> None:
    defaults = {
        name: option["default"]
        for role in role_names()
        for name, option in options(role).items()
        if "default" in option
    }
    told = [
        (name(page), variable, value)
        for page in (DOCS / "operations").glob("*.md")
        for variable, value in re.findall(r"`-e (\w+)=.*\(default `?([\w%]+)", page.read_text())
        if variable in defaults
    ]
    assert len(told) > 10
    assert [each for each in told if each[2] != str(defaults[each[1]]).lower()] == []


def rooms() -> set[str]:
    """Names of the files of module_utils."""
    return {path.stem for path in (ROOT / "plugins" / "module_utils").iterdir() if not path.stem.startswith("__")}


def variables_of_playbooks() -> set[str]:
    """Those that a play takes itself, such as C(deploy_hosts)."""
    return {found for path in PLAYBOOKS for found in re.findall(r"{{ (\w+) \| default\(", path.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_variables_that_are_named_exist(page: Path) -> None:
    """Whatever begins as a variable of a role does, in sentences too; and so do results of roles."""
    results = {
        found for path in (ROOT / "roles").rglob("*.yml") for found in re.findall(r"register: (\w+)", path.read_text())
    }
    known = {*documented(), *variables_of_playbooks(), *results, *content(), *rooms(), "cassandra_progress"}
    # Words of Cassandra, of AWX, of the inventory plugin, of community.cassandra, and a mistake that is shown as one.
    others = r"start_native_transport|cassandra_latest|cassandra_(awx|nodes?)(_\w+)?|cassandra_rack"
    if page.name == "migration.md":
        others += "|" + "|".join(re.findall(r"`(cassandra_\w+)`", page.read_text()))
    if page.name == "metrics.md":
        others += "|" + "|".join(re.findall(r"^ +name: (cassandra_\w+)$", page.read_text(), re.MULTILINE))
    for variable in re.findall(rf"\b(?:cassandra|{'|'.join(role_names())})_[a-z_]*[a-z]\b", page.read_text()):
        assert variable in known or re.fullmatch(others, variable), variable


def test_the_variables_of_playbooks_are_told() -> None:
    """All C(_serial) by their names, all C(_hosts) by a rule that has one exception."""
    text = (DOCS / "variables.md").read_text()
    hosts = {variable.removesuffix("_hosts") for variable in variables_of_playbooks() if variable.endswith("_hosts")}
    assert {path.stem for path in PLAYBOOKS} ^ hosts == {"restart", "rollout"}
    told = re.findall(r"`(\w+_serial)`", text)
    assert set(told) == {variable for variable in variables_of_playbooks() if variable.endswith("_serial")}


# --- content ----------------------------------------------------------------------------------------------------------


def content() -> set[str]:
    """Names of what the collection has, as somebody writes them behind C(cassops.kubernetes.)."""
    plugins = (
        path.stem for kind in ("modules", "filter", "inventory") for path in (ROOT / "plugins" / kind).glob("*.py")
    )
    rulebooks = (path.stem for path in (ROOT / "extensions" / "eda").rglob("*.yml"))
    return {*role_names(), *plugins, *rulebooks, *(path.stem for path in PLAYBOOKS)} - {"__init__"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_content_that_is_named_exists(page: Path) -> None:
    assert set(re.findall(r"cassops\.kubernetes\.([a-z_]+)", page.read_text())) <= content()


def test_the_readme_names_all_content() -> None:
    named = {word for row in rows(ROOT / "README.md") for cell in row[:2] for word in re.findall(r"`(\w+)`", cell)}
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")} - {"__init__"}
    assert modules | {path.stem for path in PLAYBOOKS} <= named


# --- links and files --------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """As the usual renderers make them of headings."""
    headings = re.findall(r"^#+ (.*)$", without_code(page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _hash, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_exist(page: Path) -> None:
    for path in NAMED.findall(page.read_text()):
        if not path.startswith(MADE):
            assert (ROOT / path).exists() or (DOCS / path).exists(), path


def test_every_page_can_be_found() -> None:
    """From the README, link by link."""
    seen, left = set[Path](), [ROOT / "README.md"]
    while left:
        page = left.pop()
        seen.add(page)
        for target in re.findall(r"\]\(([^)\s#]+\.md)", without_code(page.read_text())):
            linked = (page.parent / target).resolve()
            if linked.is_file() and linked not in seen:
                left.append(linked)
    assert set(DOCS.rglob("*.md")) <= seen


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    code = re.findall(r"`make ([a-z-]+)", page.read_text()) + re.findall(
        r"^(?:KUBECONFIG=\S+ )?make ([a-z-]+)", page.read_text(), flags=re.MULTILINE
    )
    assert set(code) <= targets


# --- words ------------------------------------------------------------------------------------------------------------


def test_the_ledgers_keys_are_all_described() -> None:
    text = (DOCS / "architecture.md").read_text()
    for key in Ledger("1", "c", "d").to_data():
        assert f"`{key}`" in text, key


def test_the_status_that_is_shown_is_laid_out_as_it_is_now() -> None:
    """The pages show the output of a real run; its headers must still be those."""
    header = "NODE RACK ZONE WORKER STATE VERSION LOAD OWNS AGE RESTART"
    keyspaces = "KEYSPACE REPLICATION QUORUM WITHOUT A NODE QUORUM WITHOUT A RACK"
    nothing: dict[str, Any] = {
        "nodes": [],
        "keyspaces": [],
        "problems": [],
        "backup_schedule": None,
        "repair_schedule": None,
    }
    shown = report.text({"datacenter": "d", "cluster": "c", "phase": None, **nothing})
    assert shown[1].split() == header.split()
    for page in (DOCS / "images" / "status.svg", DOCS / "operations" / "status.md"):
        text = html.unescape(re.sub(r"<[^>]*>", "\n", page.read_text()) if page.suffix == ".svg" else page.read_text())
        lines = [line.split() for line in text.splitlines()]
        assert header.split() in lines, name(page)
        assert keyspaces.split() in lines, name(page)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_rights_are_counted(page: Path) -> None:
    """A pair is a verb on a resource, as the comparison counts those of the operator."""
    items = yaml.safe_load((ROOT / "extensions" / "kubernetes" / "rbac.yml").read_text())["items"]
    rules = next(item for item in items if item["kind"] == "Role")["rules"]
    pairs = sum(len(rule["resources"]) * len(rule["verbs"]) for rule in rules)
    assert set(re.findall(r"Role with (\d+) resource-verb pairs", page.read_text())) <= {str(pairs)}


def test_every_module_of_community_cassandra_has_its_row() -> None:
    """The 38 modules of version 1.5."""
    named = {word for row in rows(DOCS / "migration.md") for word in re.findall(r"`(cassandra_\w+)`", row[0])}
    roles = {"cassandra_repository", "cassandra_install", "cassandra_linux", "cassandra_firewall"}
    assert len(named - roles) == 38


def test_the_variables_of_a_node_are_those_of_the_inventory() -> None:
    """Each is a field of a node in datacenter_info, or says where the node belongs."""
    told = report.facts(views.whole())["nodes"][0]
    known = {
        f"cassandra_node_{name}" for name in (*told, "cluster", "datacenter", "namespace", "context", "kubeconfig")
    }
    for page in (DOCS / "nodes.md", ROOT / "plugins" / "inventory" / "nodes.py"):
        assert set(re.findall(r"cassandra_node_[a-z_]*[a-z]", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nothing_was_left_open(page: Path) -> None:
    assert not re.search(r"TODO|FIXME|XXX|@@|<!-- (Modules|What comes)", page.read_text())


def test_every_room_is_on_the_map() -> None:
    section = (DOCS / "architecture.md").read_text().partition("\n## Where the code is\n")[2]
    assert rooms() - set(re.findall(r"\w+", section.partition("Why it is so")[0])) == set()


def test_the_keys_of_the_ledger_are_told() -> None:
    rest: dict[str, Any] = {"stopped": 1, "pause": (1, 2), "closed": 1, "mixed": "4.1 and 5.0"}
    full = Ledger("i", "c", "d", hash_rounds=4, replicas=3, version="5", storage_mode="NONE", **rest)
    section = (DOCS / "architecture.md").read_text().partition("\n## The ledger\n")[2].partition("\n## ")[0]
    told = {
        key
        for line in section.splitlines()
        if line.startswith("| `")
        for key in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert told == set(full.to_data())


# --- messages ---------------------------------------------------------------------------------------------------------


def said_by_the_code() -> set[str]:
    """Every text of the plugins, roles and scripts, with … where a value stands."""
    texts: set[str] = set()
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                texts.add("".join(str(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    texts.update(" ".join(path.read_text().split()) for path in (ROOT / "roles").glob("*/tasks/*.yml"))
    return texts


def messages() -> Iterator[tuple[str, str]]:
    """Page and message, of the tables that explain messages."""
    for page in sorted((DOCS / "operations").glob("*.md")):
        text = page.read_text()
        if "\n## Messages\n" not in text:
            continue
        for line in text.partition("\n## Messages\n")[2].splitlines():
            if match := re.match(r"\| `([^`]+)`", line):
                yield name(page), match[1]


def test_messages_that_are_explained_are_said() -> None:
    """Each piece between values and stops; numbers in a message are an example of a value."""
    texts = said_by_the_code()
    wrong = [
        (page, message, piece)
        for page, message in messages()
        for piece in re.split(r"\s*(?:…|\.\.\.|\d+|[:;.](?=\s|$))\s*", message)
        if len(piece) > 9 and not any(piece in text for text in texts)
    ]
    assert not wrong, wrong
    assert len(list(messages())) > 20
