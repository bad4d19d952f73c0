# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics for Prometheus: the variables and the rules of docs/metrics.md, in the order of this file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pytest
from integration.harness import rollouts, samples
from integration.harness.datacenter import Datacenter, shipped_variables
from integration.harness.namespace import Namespaces
from integration.harness.visitor import NAME as VISITOR
from integration.harness.visitor import Visitor
from integration.harness.workload import KEYSPACE
from sandbox import Sandbox
from sandbox.versions import METRICS
from unit.docs import examples

pytestmark = pytest.mark.soak

PAGE = "docs/metrics.md"
CONFIGURATION = "cassandra-metrics"
# A series of the text that Prometheus reads: its name, its labels, its value.
SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def plain(namespaces: Namespaces, sandbox: Sandbox) -> Iterator[Datacenter]:
    """Three nodes without an agent, beside what it needs."""
    sandbox.load_image(METRICS)
    with namespaces.fresh("metrics") as namespace:
        data = {"config.yaml": rules_of_the_page()}
        namespace.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIGURATION}, "data": data}])
        Visitor.arrive(namespace)
        datacenter = Datacenter(namespace)
        datacenter.deploy()
        yield datacenter


def measured(plain: Datacenter) -> Datacenter:
    """With the variables of the page."""
    (page,) = [each for each in examples.of_pages("yaml") if each.place.startswith(PAGE)]
    (variables,) = page.documents()
    (agent,) = variables["cassandra_pod_template"]["spec"]["initContainers"]
    agent["image"] = METRICS
    options = [*shipped_variables(sandbox=True)["cassandra_jvm_options"], *variables["cassandra_jvm_options"]]
    return plain.changed(**{**variables, "cassandra_jvm_options": options})


def test_the_agent_comes_by_a_restart_and_tells_what_clients_do(plain: Datacenter) -> None:
    wanted = measured(plain)
    with samples.at_work(plain) as client:
        wanted.deploy()
        with rollouts.no_request_fails(wanted, client):
            assert sorted(rollouts.restarted(rollouts.restart(wanted), wanted)) == wanted.nodes
        assert wanted.deploy().changed == 0
        before = {node: scrape(wanted, node) for node in wanted.nodes}
        client.wait_for_rows(100)
        after = {node: scrape(wanted, node) for node in wanted.nodes}
    writes = "cassandra_client_requests_total", 'request="Write-QUORUM"'
    assert sum(after[node][writes] - before[node][writes] for node in wanted.nodes) >= 100
    for series in after.values():
        assert without_series({name for name, _labels in series}) == []
        assert series["cassandra_client_request_latency_microseconds", 'quantile="0.99",request="Read-QUORUM"'] > 0
        assert series["cassandra_table_live_bytes", f'keyspace="{KEYSPACE}",table="large"'] > 0
        assert series["cassandra_storage_load", ""] > 0


def test_nodetool_and_status_go_on_as_before(plain: Datacenter) -> None:
    wanted = measured(plain)
    assert wanted.status(status_fail_on="down")["problems"] == []
    assert len(wanted.wait_up()) == 3


def test_an_agent_that_is_not_there_stops_the_canary_and_is_taken_back(plain: Datacenter) -> None:
    wanted = measured(plain)
    *others, agent = wanted.variables["cassandra_jvm_options"]
    broken = wanted.changed(cassandra_jvm_options=[*others, agent.replace("jmx_prometheus", "another")])
    lives = wanted.lives()
    broken.deploy()
    broken.run("restart").refused("canary")
    assert sum(broken.lives()[node] != lives[node] for node in wanted.nodes) == 1
    broken.run("restart", rollout_rollback=True).ok()
    assert wanted.wait_up()
    assert scrape(wanted, wanted.nodes[0])


def scrape(datacenter: Datacenter, node: str) -> dict[tuple[str, str], float]:
    """What the agent of a node tells another pod: by name and labels."""
    address = datacenter.namespace.get("pod", node)["status"]["podIP"]
    told = datacenter.namespace.exec(VISITOR, "wget", "-q", "-O", "-", f"http://{address}:9404/metrics")
    return {(name, labels.rstrip(",")): float(value) for name, labels, value in SERIES.findall(told)}


def rules_of_the_page() -> str:
    """The file config.yaml."""
    (rules,) = [
        each.text for each in examples.of_pages("text") if each.place.startswith(PAGE) and "rules:" in each.text
    ]
    return rules


def without_series(found: Iterable[str]) -> list[str]:
    """Names of the page's rules, of which none of these is one; $1 stands for a word."""
    rules = re.findall(r"^ +name: (\S+)$", rules_of_the_page(), re.MULTILINE)
    assert rules
    return [rule for rule in rules if not any(re.fullmatch(re.sub(r"\$\d", r"[a-z]+", rule), name) for name in found)]
