# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts under a client at work and a watcher of the API; what each must keep to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from cassandra.policies import WhiteListRoundRobinPolicy

from . import cargo, waiting
from .datacenter import Datacenter
from .playbooks import Result
from .watcher import Watcher
from .workload import Workload, connect

QUICK: Mapping[str, Any] = {"rollout_soak": 5}
BAD = "-XX:+ThisIsNoOption"
REVISION = "controller-revision-hash"


@contextmanager
def no_request_fails(datacenter: Datacenter, client: Workload) -> Iterator[Watcher]:
    """While the context lasts, no request fails, no acknowledged row is lost, and no two racks are away at once."""
    with client.none_fails(), Watcher.at(datacenter) as watcher:
        yield watcher
        datacenter.wait_up()
    print(f"away: {{{', '.join(f'{pod}: {times}' for pod, times in rounded(watcher).items())}}}")
    watcher.assert_one_rack()


def rounded(watcher: Watcher) -> dict[str, list[float]]:
    return {pod: [round(each, 1) for each in times] for pod, times in sorted(watcher.away.items())}


def restart(datacenter: Datacenter, *words: str, **extra: Any) -> Result:
    """Playbook restart, which must end well."""
    result = datacenter.run("restart", *words, facts=True, **{**QUICK, **extra}).ok()
    facts = result.facts[datacenter.host]
    print(f"{result.seconds:5.1f} s restart: {[batch['nodes'] for batch in facts.get('batches', ())]}")
    for batch in facts.get("batches", ()):
        print(f"        {batch.get('seconds')}")
    return result


def upgrade(datacenter: Datacenter, **extra: str) -> Result:
    """Playbook upgrade, which must end well."""
    result = datacenter.run("upgrade", facts=True, **{**QUICK, **extra}).ok()
    print(f"{result.seconds:5.1f} s upgrade: {restarted(result, datacenter)}")
    return result


def restarted(result: Result, datacenter: Datacenter) -> list[str]:
    nodes: list[str] = result.facts[datacenter.host]["restarted"]
    return nodes


def revisions(datacenter: Datacenter) -> dict[str, str]:
    """Pod -> the revision that it runs."""
    return {name: pod["metadata"]["labels"][REVISION] for name, pod in datacenter.pods().items()}


def versions(datacenter: Datacenter, nodes: Iterable[str] | None = None) -> dict[str, str]:
    """Node -> its Cassandra's own word."""
    asked = list(nodes or datacenter.nodes)
    return {node: datacenter.nodetool(node, "version").split()[-1] for node in asked}


def partitions(datacenter: Datacenter) -> dict[str, int]:
    """Rack -> partition of its StatefulSet."""
    return {
        item["metadata"]["labels"]["cassops.kubernetes/rack"]: item["spec"]["updateStrategy"]["rollingUpdate"][
            "partition"
        ]
        for item in datacenter.namespace.list("statefulsets", "-l", datacenter.selector)
    }


@contextmanager
def another_schema(datacenter: Datacenter, node: str) -> Iterator[None]:
    """A node says that it has another schema than the others, and keeps to it, as long as the context lasts."""
    address = datacenter.addresses()[node]
    with connect(datacenter, balance=WhiteListRoundRobinPolicy([address])) as driver:
        session = driver.connect()
        (row,) = session.execute("SELECT schema_version FROM system.local WHERE key = 'local'")
        change = session.prepare("UPDATE system.local SET schema_version = ? WHERE key = 'local'")
        session.execute(change, (uuid4(),))
        try:
            yield
        finally:
            session.execute(change, (row.schema_version,))


@contextmanager
def repairing(datacenter: Datacenter, node: str) -> Iterator[Callable[[], bool]]:
    """A node repairs as long as the context lasts; whether it does at this moment.

    It streams what one replica has and two lack, at a trickle: that takes minutes, however fast the machine is.
    """
    address = datacenter.addresses()[node]
    with (
        cargo.on_one_replica(datacenter, STREAMED, "repaired"),
        connect(datacenter, balance=WhiteListRoundRobinPolicy([address])) as driver,
    ):
        session = driver.connect()

        def runs() -> bool:
            return any(not row.completed for row in session.execute("SELECT completed FROM system_views.repairs"))

        cargo.stream_at(datacenter, datacenter.nodes, cargo.TRICKLE)
        process = datacenter.namespace.stream("exec", node, "--", "nodetool", "repair", "--full", "repaired")
        try:
            waiting.until("a repair to run", lambda: [] if runs() else ["none does"], 120)
            yield runs
        finally:
            cargo.stream_at(datacenter, datacenter.nodes, cargo.USUAL)
            process.wait(300)


# MiB; each node sends a third of it, its share of the data to two others: at a trickle nearly three minutes.
STREAMED = 64


@contextmanager
def stops_at_the_canary(bad: Datacenter, good: Datacenter, client: Workload, *cause: str) -> Iterator[None]:
    """A wrong wish ends at the canary, with its cause and the others untouched; the context gets out of it."""
    canary = canary_of(good)
    before, lives = revisions(good), good.lives()
    with no_request_fails(good, client) as watcher:
        bad.deploy()
        bad.run("restart", **QUICK).refused(*cause, "The rollout stops here", "Not touched", "r2-0")
        assert {**good.lives(), canary: None} == {**lives, canary: None}, "the others are untouched"
        assert partitions(good) == partitions_at_the_canary(good)
        yield
    assert set(watcher.made) == {canary}
    assert revisions(good) == before
    assert partitions(good) == dict(good.racks)


def crashing(datacenter: Datacenter) -> Datacenter:
    """The same with an option that Java does not know."""
    wanted = datacenter.inventory_variables().get("cassandra_jvm_options", ())
    return datacenter.changed(cassandra_jvm_options=[*wanted, BAD])


CRASHES = ("crashed 3 times", "Unrecognized VM option")
"""What is said of it."""


def canary_of(datacenter: Datacenter) -> str:
    """The last node of the first rack."""
    rack, nodes = next(iter(datacenter.racks.items()))
    return f"{datacenter.prefix}-{rack}-{nodes - 1}"


def partitions_at_the_canary(datacenter: Datacenter) -> dict[str, int]:
    """Rack -> partition, with which nobody but the canary gets what is new."""
    rack, nodes = next(iter(datacenter.racks.items()))
    return {**datacenter.racks, rack: nodes - 1}
