# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the integration tests.

They run on the sandbox, which is started where it does not run, or on the cluster of CASSOPS_TEST_KUBECONFIG without
the tests that harm workers or volumes. CASSOPS_TEST_SEED repeats the random choices of a run.
"""

from __future__ import annotations

import fcntl
import re
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from integration.harness import faults
from integration.harness.kubernetes import Cluster
from integration.harness.namespace import Namespaces, wait_gone
from integration.harness.reliability import Outcome, Soak
from integration.harness.settings import OUTPUT, SEED
from sandbox import Sandbox

NAMESPACES = pytest.StashKey[Namespaces]()
PASSED = pytest.StashKey[bool]()
TURN = re.compile(r"(^|-)\d+$")


def pytest_report_header() -> str:
    return f"seed: {SEED} (CASSOPS_TEST_SEED={SEED} repeats it)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The soak goes on where it was stopped: with the next test where each is alone, with the whole file elsewhere."""
    soak = [item for item in items if item.get_closest_marker("soak")]
    passed = Soak().passed()
    unfinished = {item.path for item in soak if item.nodeid not in passed}
    for item in soak:
        alone = item.get_closest_marker("alone") is not None
        if item.nodeid in passed and (alone or item.path not in unfinished):
            item.add_marker(pytest.mark.skip(reason="passed before"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save what helps before anything is cleaned up."""
    report = yield
    if report.failed and NAMESPACES in item.config.stash:
        item.config.stash[NAMESPACES].save()
    if call.when == "call" and not report.skipped:
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture(autouse=True)
def outcome(request: pytest.FixtureRequest) -> Iterator[Outcome]:
    """What this test sees; that of the soak is told in docs/reliability.md."""
    item = request.node
    outcome = Outcome(words(item))
    if item.get_closest_marker("soak") is None:
        yield outcome
        return
    with Soak().noting(item.nodeid, outcome, lambda: item.stash.get(PASSED, None)):
        yield outcome


def words(item: pytest.Item) -> str:
    """What it does, as "rollout: all nodes restart when forced: rack"; turns of one fault share their words."""
    name, parameters = item.name.removeprefix("test_").removesuffix("]").partition("[")[::2]
    told = f"{item.path.stem.removeprefix('test_')}: {name}".replace("_", " ")
    kind = TURN.sub("", parameters)
    return f"{told}: {kind}" if kind and "/" not in kind else told


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster that everything runs on, for one run of the tests at a time: they kill its workers."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with (Path(tempfile.gettempdir()) / "cassops-integration.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Cluster.find()


@pytest.fixture(scope="session")
def sandbox(cluster: Cluster) -> Sandbox:
    """The sandbox; tests that need it are skipped elsewhere."""
    if cluster.sandbox is None:
        pytest.skip("needs the sandbox: this cluster is somebody's")
    return cluster.sandbox


@pytest.fixture
def spare(sandbox: Sandbox) -> Iterator[str]:
    """A second worker in the zone of rack r2."""
    with faults.another_worker(sandbox, "zone2") as added:
        yield added


@pytest.fixture(scope="session")
def namespaces(cluster: Cluster, pytestconfig: pytest.Config) -> Iterator[Namespaces]:
    """Where tests get their namespaces from."""
    made = pytestconfig.stash[NAMESPACES] = Namespaces(cluster)
    made.sweep()
    yield made
    wait_gone(cluster, made.deleted)
