# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes about which heal asks a person: one with files that cannot be read, one that nobody wants any more.

One client writes and reads at QUORUM all the time; it loses no row, and none of its requests fails.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.harness import cargo, losses, waiting
from integration.harness.datacenter import START_SECONDS, Datacenter, inventory
from integration.harness.faults import Volume, stopped
from integration.harness.kubernetes import KubectlError
from integration.harness.namespace import Namespaces
from integration.harness.playbooks import environment
from integration.harness.scaling import assert_ring, host_ids, members_known, scaled, wanted
from integration.harness.scenarios import Living
from integration.harness.settings import ROOT, VENV_BIN, rng
from integration.harness.workload import Workload

# Minutes each.
pytestmark = pytest.mark.soak

THREE = {"r1": 1, "r2": 1, "r3": 1}
FOUR = {"r1": 2, "r2": 1, "r3": 1}
# Of unique data, half of which goes from one node of the rack to the other.
MEBIBYTES = 32
CRASHES = 3


@pytest.fixture(scope="module")
def four(namespaces: Namespaces) -> Iterator[Datacenter]:
    with namespaces.fresh("remove") as namespace:
        datacenter = Datacenter(namespace, racks=FOUR)
        datacenter.deploy()
        yield datacenter


@pytest.fixture(scope="module")
def living(four: Datacenter) -> Iterator[Living]:
    """The same with a client at work."""
    with Workload(four) as client:
        yield Living.meet(four, client)


def test_a_node_whose_files_cannot_be_read_is_replaced_by_name(living: Living) -> None:
    datacenter, node = living.datacenter, rng("remove/unreadable").choice(living.datacenter.nodes)
    with living.client.none_fails("ALL"):
        with stopped(datacenter, node):
            files = list(Volume.of(datacenter, node).folder.glob("data/system/local-*/*-Data.db"))
            assert files, "a node that has drained has its own name in a file"
            for file in files:
                file.write_bytes(bytes(file.stat().st_size))
        waiting.until(f"{node} to crash", lambda: not_crashed(datacenter, node), START_SECONDS)
        healed = datacenter.run("heal", **losses.QUICK)
        healed.refused("its files cannot be read or written", f"replace_node_name={node}")
        result = datacenter.run("replace_node", replace_node_name=node).ok()
        assert f"{node} is replaced: " in " ".join(result.output.split()), result.output
    losses.nothing_left(living)


def not_crashed(datacenter: Datacenter, node: str) -> list[str]:
    pod = datacenter.pods().get(node, {"status": {}})
    restarts = sum(one["restartCount"] for one in pod["status"].get("containerStatuses", ()))
    return [] if restarts >= CRASHES else [f"it has crashed {restarts} times"]


def test_a_member_that_nobody_wants_is_removed_although_a_run_is_killed(living: Living) -> None:
    """Somebody has made a StatefulSet smaller by hand. Its node is dead then, and would come back whole."""
    datacenter, three = living.datacenter, wanted(living.datacenter, THREE)
    node = f"{datacenter.prefix}-r1-1"
    address, host_id = members_known(datacenter)[node]
    stays = {name: told for name, told in host_ids(datacenter).items() if name != node}
    with living.client.none_fails("ALL"), cargo.aboard(datacenter, MEBIBYTES):
        refused(datacenter, host_id, "see it alive")
        datacenter.namespace.kubectl("scale", "statefulset", f"{datacenter.prefix}-r1", "--replicas=1")
        waiting.until(f"{node} to be down in every view", lambda: not_down(three, address), START_SECONDS, pause=4)
        losses.refused(living, "node_remove")
        cargo.stream_at(datacenter, stays, cargo.TRICKLE)
        run = remove(datacenter, host_id)
        waiting.until("the others to take over", lambda: not_leaving(three, address), 300, pause=2)
        refused(datacenter, host_id, "holds the lock")
        os.kill(run.pid, signal.SIGKILL)
        run.wait(10)
        cargo.stream_at(datacenter, stays, cargo.USUAL)
        done = facts(remove(datacenter, host_id))
        assert done["changed"], done
        assert "removes it already" in done["said"] or done["removed"] is None, done
        assert_ring(three)
        assert host_ids(three) == stays
        assert cargo.in_sync(three, f"{datacenter.prefix}-r1-0", "cargo"), "what it held was streamed"
        again = facts(remove(datacenter, host_id))
        assert (again["changed"], again["removed"]) == (False, None)
    assert three.run("repair").ok().changed, "a repair is due"
    # By hand only the number of places was changed, and not from where on a rollout goes.
    three.deploy()
    assert three.deploy().changed == 0
    with living.client.none_fails("ALL"):
        scaled(wanted(three, FOUR), scale_delete_volumes=True)
    assert host_id not in host_ids(datacenter).values()


def remove(datacenter: Datacenter, host_id: str) -> subprocess.Popen[str]:
    """The module from the command line, as docs/operations/replace_node.md has it."""
    variables = datacenter.inventory_variables()
    options = {
        "kubeconfig": variables["cassandra_kubeconfig"],
        "namespace": datacenter.namespace.name,
        "cluster": datacenter.cluster,
        "datacenter": datacenter.name,
        "host_id": host_id,
    }
    folder = datacenter.namespace.output
    folder.mkdir(parents=True, exist_ok=True)
    hosts = folder / "remove.yml"
    hosts.write_text(yaml.safe_dump(inventory([datacenter]), sort_keys=False))
    words = [VENV_BIN / "ansible", datacenter.host, "-i", hosts, "-m", "cassops.kubernetes.node_remove"]
    words += ["-a", json.dumps(options), "-t", folder / "told"]
    return subprocess.Popen(
        list(map(str, words)),
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def facts(run: subprocess.Popen[str]) -> dict[str, Any]:
    """What a run has told, which must be a good end; C(said) is all of its words."""
    said, _none = run.communicate(timeout=900)
    assert run.returncode == 0, said
    print(said)
    told: dict[str, Any] = json.loads(Path(run.args[-1], "dc1").read_text())  # type: ignore[index,arg-type]
    return {**told, "said": said}


def refused(datacenter: Datacenter, host_id: str, words: str) -> None:
    run = remove(datacenter, host_id)
    said, _none = run.communicate(timeout=900)
    assert run.returncode != 0, said
    assert words in " ".join(said.split()), said
    assert "Traceback" not in said, said


def not_down(datacenter: Datacenter, address: str) -> list[str]:
    return in_another_state(datacenter, address, ("DN",))


def not_leaving(datacenter: Datacenter, address: str) -> list[str]:
    return in_another_state(datacenter, address, ("DL",))


def in_another_state(datacenter: Datacenter, address: str, states: tuple[str, ...]) -> list[str]:
    try:
        views = datacenter.views()
    except KubectlError as error:
        return [str(error)]
    told = {node: members[address].state for node, members in views.items() if address in members}
    return [f"{node} sees it {state}" for node, state in told.items() if state not in states] or (
        [] if told else ["nobody knows it"]
    )
