# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All the ways in: every supported ansible-core, the installed package, AWX's way, a pod's way, nodes as an inventory,
and the examples of the documentation. One datacenter of one node for all of it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import awx as controller
import cores
import package
import pytest
import yaml
from integration.harness import awx, playbooks
from integration.harness.datacenter import Datacenter
from integration.harness.namespace import Namespaces
from integration.harness.settings import OUTPUT, ROOT, VENV_BIN
from report import Skipped
from sandbox import Sandbox
from unit.docs import examples

# Minutes, most of them for what each ansible-core deploys and each job template runs.
pytestmark = pytest.mark.soak

OLDEST = next(iter(cores.CORES))
NODE = "shop-dc1-r1-0"
TEMPLATES = {template["playbook"]: template for template in controller.data(ROOT)["controller_templates"]}
# Playbooks that refuse to begin without an answer that their survey cannot know, or without a store for backups.
REFUSED = {
    "playbooks/destroy.yml": "repeat its name",
    "playbooks/decommission.yml": "repeat its name",
    "playbooks/replace_node.yml": "there is no node",
    "playbooks/rebuild.yml": "is the only one of its cluster",
    **{
        f"playbooks/{name}.yml": "is not set; say where the backups are"
        for name in ("backup", "backup_drill", "list_backups", "purge_backups", "restore", "verify_backup")
    },
}
# Playbooks that find nothing to do on a datacenter that is as wanted, and then name no node.
IDLE = {"playbooks/cleanup.yml", "playbooks/repair.yml", "playbooks/restart.yml"}
# Playbooks that have something to do on every datacenter; they come last, in this order.
CHANGING = ("playbooks/rotate_superuser.yml", "playbooks/stop.yml", "playbooks/start.yml")
# Modules whose examples any datacenter may be given, and roles that change nothing on one that is as wanted.
HARMLESS_MODULES = {"cql", "datacenter_info", "nodetool", "rollout_plan"}
HARMLESS = {"deploy", "heal", "rollout", "status", "upgrade"}


@pytest.fixture(scope="module")
def shop(namespaces: Namespaces) -> Iterator[Datacenter]:
    """The datacenter that the examples speak of, deployed by the oldest ansible-core that is supported."""
    with namespaces.fresh("entrances") as namespace:
        datacenter = Datacenter(namespace, cluster="shop", racks={"r1": 1})
        result = run(datacenter, "deploy", programs(OLDEST)).ok()
        assert result.changed == 1, result.output
        yield datacenter


def programs(core: str) -> Path:
    """The programs of an ansible-core; without a Python for it the tests run on that of .venv."""
    try:
        return cores.programs(core)
    except Skipped as skipped:
        print(f"ansible-core {core}: {skipped}")
        return VENV_BIN


def run(datacenter: Datacenter, playbook: str, its_programs: Path = VENV_BIN) -> playbooks.Result:
    """Run a playbook by the programs of an ansible-core."""
    folder = datacenter.namespace.output / its_programs.parent.parent.name
    return playbooks.start(playbook, hosts(datacenter), folder, programs=its_programs).wait()


def hosts(datacenter: Datacenter) -> dict[str, Any]:
    """The inventory of the examples: the group shop with the host dc1."""
    return {"shop": {"hosts": {"dc1": datacenter.inventory_variables()}}}


# --- ansible-core -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("core", cores.CORES)
def test_supported_versions_of_ansible_core(shop: Datacenter, core: str) -> None:
    assert run(shop, "deploy", programs(core)).ok().changed == 0
    assert "1 of 1 nodes up" in run(shop, "status", programs(core)).ok().output


# --- AWX --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tarball, installed into an empty folder: what a user gets, and an execution environment has."""
    folder = tmp_path_factory.mktemp("collections")
    package.install(folder)
    return folder


@pytest.fixture(scope="module")
def jobs(shop: Datacenter, installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, awx.Job]:
    """Every job template, launched with its survey as it stands. Lists and mappings are JSON in texts, as AWX may."""
    folder = tmp_path_factory.mktemp("awx")
    variables = {name: value for name, value in hosts(shop)["shop"]["hosts"]["dc1"].items() if "kubeconfig" not in name}
    variables |= {name: json.dumps(value) for name, value in variables.items() if isinstance(value, list | dict)}
    credential = awx.login(shop.namespace.kubeconfig, folder)
    return {
        playbook: awx.launch(
            playbook, folder / Path(playbook).stem, installed, {"shop": {"dc1": variables}}, credential, extra
        )
        for playbook, extra in ((playbook, awx.answers(TEMPLATES[playbook])) for playbook in in_order())
    }


def in_order() -> list[str]:
    """Those that change nothing first."""
    return [*sorted(TEMPLATES.keys() - {*CHANGING}), *CHANGING]


@pytest.mark.parametrize("playbook", TEMPLATES)
def test_every_job_template_runs_as_in_awx(jobs: Mapping[str, awx.Job], playbook: str) -> None:
    job = jobs[playbook]
    assert "Traceback" not in job.output, job.output
    if playbook in REFUSED:
        assert job.rc != 0
        assert REFUSED[playbook] in " ".join(job.output.split()), job.output
    else:
        assert job.rc == 0, job.output
        stats = next(event for event in job.events if event["event"] == "playbook_on_stats")
        assert bool(stats["event_data"]["changed"]) == (playbook in CHANGING), "nothing else was left to do"


@pytest.mark.parametrize("playbook", TEMPLATES)
def test_no_secret_is_in_what_awx_keeps(shop: Datacenter, jobs: Mapping[str, awx.Job], playbook: str) -> None:
    """At -vvv, where Ansible tells the options of every task."""
    token = json.loads(shop.namespace.kubeconfig.read_text())["users"][0]["user"]["token"]
    password = shop.login()[1]
    secrets = (token, password, base64.b64encode(password.encode()).decode(), base64.b64encode(token.encode()).decode())
    kept = jobs[playbook].everything
    assert "playbook_on_stats" in kept, "the search looks where something is"
    assert NODE in kept or playbook in {*REFUSED, *IDLE}, "and where nodes and what they answer are told"
    assert [number for number, secret in enumerate(secrets) if secret in kept] == []


def test_what_awx_keeps_has_the_facts_as_data(jobs: Mapping[str, awx.Job]) -> None:
    (told,) = jobs["playbooks/status.yml"].results("cassops.kubernetes.datacenter_info")
    assert [node["state"] for node in told["datacenter"]["nodes"]] == ["UN"]
    (told,) = jobs["playbooks/deploy.yml"].results("cassops.kubernetes.datacenter")
    assert told["connection"]["secret"] == "shop-superuser"
    assert told["nodes"] == [NODE]


# --- inside of a pod --------------------------------------------------------------------------------------------------

IN_A_POD = """
set -e
run=$(readlink -f /var/run)
mount -t tmpfs tmpfs "$run"
mkdir -p /var/run/secrets/kubernetes.io
cp -r "$1" /var/run/secrets/kubernetes.io/serviceaccount
shift
exec "$@"
"""


def test_a_pods_own_service_account(shop: Datacenter, sandbox: Sandbox, tmp_path: Path) -> None:
    """What Kubernetes puts into a pod is all that is needed. The folders are those of a pod, in a mount namespace."""
    told = json.loads(shop.namespace.kubeconfig.read_text())
    server = told["clusters"][0]["cluster"]
    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "token").write_text(told["users"][0]["user"]["token"])
    (account / "ca.crt").write_bytes(base64.b64decode(server["certificate-authority-data"]))
    (account / "namespace").write_text(shop.namespace.name)
    variables = shop.inventory_variables()
    for name in ("cassandra_kubeconfig", "cassandra_namespace"):
        del variables[name]
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"shop": {"hosts": {"dc1": variables}}}))
    address = re.fullmatch(r"https://(.+):(\d+)", server["server"])
    assert address
    env = {
        **playbooks.environment(),
        "HOME": str(tmp_path),
        "KUBERNETES_SERVICE_HOST": address[1],
        "KUBERNETES_SERVICE_PORT": address[2],
    }
    words = (VENV_BIN / "ansible-playbook", "-i", inventory, ROOT / "playbooks" / "status.yml")
    said = program(["unshare", "--mount", "sh", "-c", IN_A_POD, "sh", str(account), *map(str, words)], env)
    assert "1 of 1 nodes up" in said


# --- nodes as an inventory --------------------------------------------------------------------------------------------


@pytest.fixture
def nodes(shop: Datacenter, tmp_path: Path) -> Path:
    """An inventory of nodes."""
    file = tmp_path / "shop_nodes.yml"
    options = {
        "plugin": "cassops.kubernetes.nodes",
        "kubeconfig": str(shop.namespace.kubeconfig),
        "keyed_groups": [{"prefix": "state", "key": "cassandra_node_state"}],
        "strict": True,
    }
    file.write_text(yaml.safe_dump(options))
    return file


def trusted(value: Any) -> Any:
    """ansible-inventory marks every text of an inventory plugin as no template."""
    return value.get("__ansible_unsafe", value) if isinstance(value, dict) else value


def test_nodes_are_an_inventory(shop: Datacenter, nodes: Path) -> None:
    graph = program(["ansible-inventory", "-i", nodes, "--graph"])
    for line in ("@cassandra_nodes_shop_dc1_r1:", "@state_UN:", f"|--{NODE}"):
        assert line in graph, graph
    told = program(["ansible-inventory", "-i", nodes, "--list"])
    found = {name: trusted(value) for name, value in json.loads(told)["_meta"]["hostvars"][NODE].items()}
    member = shop.wait_up()[NODE]
    assert (found["cassandra_node_address"], found["cassandra_node_host_id"]) == (member.address, member.host_id)
    assert (found["cassandra_node_up"], found["cassandra_node_namespace"]) == (True, shop.namespace.name)
    assert shop.login()[1] not in told
    assert found["cassandra_node_worker"] == shop.pods()[NODE]["spec"]["nodeName"]


def test_a_module_runs_on_each_node_of_the_inventory(nodes: Path) -> None:
    options = {
        "kubeconfig": "{{ cassandra_node_kubeconfig }}",
        "namespace": "{{ cassandra_node_namespace }}",
        "cluster": "{{ cassandra_node_cluster }}",
        "datacenter": "{{ cassandra_node_datacenter }}",
        "nodes": ["{{ cassandra_node }}"],
        "command": ["version"],
    }
    words = ["ansible", "cassandra_nodes", "-i", nodes, "-m", "cassops.kubernetes.nodetool", "-a", json.dumps(options)]
    assert "ReleaseVersion: " in program(words)


# --- examples of the documentation ------------------------------------------------------------------------------------


def plays() -> list[Any]:
    """The plays of the pages that use harmless roles only."""
    found = [(example, document) for example in examples.of_pages("yaml") for document in example.documents()]
    return [
        pytest.param(document, id=str(example))
        for example, document in found
        if isinstance(document, list) and "hosts" in document[0]
        for roles in [{role["role"].rpartition(".")[2] for play in document for role in play.get("roles", ())}]
        if roles and roles <= HARMLESS
    ]


@pytest.mark.parametrize("document", plays())
def test_plays_of_the_pages(shop: Datacenter, tmp_path: Path, document: list[dict[str, Any]]) -> None:
    play(shop, tmp_path, document)


@pytest.mark.parametrize(
    "example",
    [each for each in examples.of_plugins("modules") if Path(each.place).stem in HARMLESS_MODULES],
    ids=str,
)
def test_examples_of_the_modules(shop: Datacenter, tmp_path: Path, example: examples.Example) -> None:
    (tasks,) = example.documents()
    play(shop, tmp_path, [{"hosts": "shop", "gather_facts": False, "tasks": tasks}], before=given(shop))


def given(shop: Datacenter) -> list[dict[str, Any]]:
    """What the examples take for granted: a keyspace with a table, and the login of an application."""
    username, password = shop.login()
    name = {"name": "orders-writer"}
    shop.namespace.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": name,
                "stringData": {"username": username, "password": password},
            }
        ]
    )
    replication = "{'class': 'NetworkTopologyStrategy', 'dc1': 1}"
    columns = "customer uuid, placed timestamp, total decimal, PRIMARY KEY (customer, placed)"
    statements = [
        f"CREATE KEYSPACE IF NOT EXISTS orders WITH replication = {replication}",
        f"CREATE TABLE IF NOT EXISTS orders.by_customer ({columns})",
    ]
    where = {"cluster": "shop", "datacenter": "dc1"}
    return [{"cassops.kubernetes.cql": {**where, "statements": [{"statement": each} for each in statements]}}]


def play(
    shop: Datacenter, folder: Path, document: list[dict[str, Any]], before: list[dict[str, Any]] | None = None
) -> str:
    """Run plays of the documentation against this datacenter: it is the namespace of its kubeconfig."""
    for each in document:
        each["tasks"] = [*(before or []), *each.get("tasks", [])]
        for task in each["tasks"]:
            for module, arguments in task.items():
                if module.startswith("cassops.kubernetes."):
                    arguments["namespace"] = shop.namespace.name
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts(shop)))
    (folder / "play.yml").write_text(yaml.safe_dump(document, sort_keys=False))
    env = {**playbooks.environment(), "K8S_AUTH_KUBECONFIG": str(shop.namespace.kubeconfig)}
    return program(["ansible-playbook", "-i", folder / "hosts.yml", folder / "play.yml"], env)


def test_verbs_of_the_pages_are_nodetools(shop: Datacenter) -> None:
    text = (ROOT / "docs" / "migration.md").read_text()
    verbs = set(re.findall(r"`nodetool ([a-z]{3,})", text))
    verbs |= set(re.findall(r"`((?:enable|disable|status|get|set|reload|invalidate)[a-z]+)`", text))
    known = set(re.findall(r"^    ([a-z_]+)", shop.nodetool(NODE, "help"), re.MULTILINE))
    assert len(verbs) > 50
    assert verbs <= known, verbs - known


def test_getting_started_word_by_word(sandbox: Sandbox) -> None:
    """The commands of the first half of the page, as they stand there, but for the clone and the sandbox's end."""
    page = ROOT / "docs" / "getting-started.md"
    text = page.read_text().partition("\n## On your own cluster")[0]
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
        blocks = [block[3] for block in examples.FENCE.finditer(text) if block[2] == "console"]
        left_out = ("git clone", "cd cassops", "make sandbox-down")
        lines = [line for line in "".join(blocks).splitlines() if not line.startswith(left_out)]
        script.write("set -ex\n" + "\n".join(lines) + "\n")
        script.flush()
        (OUTPUT / "getting-started.log").write_text(program(["sh", script.name], seconds=1500))


def program(words: list[Any], env: Mapping[str, str] | None = None, seconds: float = 600) -> str:
    """Run a program of .venv in the clone; what it said, which must be a good end."""
    told = {**(env or playbooks.environment())}
    told["PATH"] = f"{VENV_BIN}{os.pathsep}{told['PATH']}"
    done = subprocess.run(
        list(map(str, words)),
        cwd=ROOT,
        env=told,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout
