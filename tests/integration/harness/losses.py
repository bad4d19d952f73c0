# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that lose their storage for good, and the playbooks that bring them back, under a client that never stops.

Each takes a datacenter of two nodes a rack, on a worker of its own each where it says so, and leaves it whole.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from . import cargo, faults, waiting
from .datacenter import START_SECONDS, Datacenter, inventory
from .faults import Volume, stopped
from .killed import wait_for_words
from .kubernetes import KubectlError
from .playbooks import Result
from .scenarios import Living, assert_held
from .settings import ROOT

QUICK: Mapping[str, Any] = {"heal_patience": 300}


def heal(living: Living, *words: str, **extra: Any) -> Result:
    """Playbook heal, which must end well; the next one changes nothing."""
    result = living.datacenter.run("heal", *words, facts=True, **{**QUICK, **extra}).ok()
    print(f"{result.seconds:5.1f} s heal: {result.facts[living.datacenter.host]['changes']}")
    return result


def replaced(result: Result, datacenter: Datacenter) -> dict[str, dict[str, Any]]:
    """Node -> what heal tells of its replacement."""
    return {each["node"]: each for each in result.facts[datacenter.host]["replaced"]}


def refused(living: Living, *sentences: str, **extra: Any) -> None:
    """Playbook heal, which must refuse, say so, and leave every object as it is."""
    before = written(living.datacenter)
    living.datacenter.run("heal", heal_patience=0, heal_grace=0, **extra).refused(*sentences)
    assert written(living.datacenter) == before


def written(datacenter: Datacenter) -> dict[str, Any]:
    """What users write, of all objects but the lock and the pods: without what Kubernetes says of them meanwhile."""
    contents = datacenter.namespace.contents()
    return {
        key: {
            **{part: value for part, value in item.items() if part != "status"},
            "metadata": {
                part: value
                for part, value in item["metadata"].items()
                if part not in {"resourceVersion", "managedFields"}
            },
        }
        for key, item in contents.items()
        if not key.startswith(("Pod/", "Lease/"))
    }


def nothing_left(living: Living) -> None:
    """No plan, no approval, no lock; neither heal nor deploy finds anything to do."""
    datacenter = living.datacenter
    living.assert_whole("QUORUM")
    names = datacenter.namespace.contents()
    assert f"ConfigMap/{datacenter.prefix}-replacement" not in names
    assert datacenter.ledger()["replace"] == ""
    assert not datacenter.namespace.get("lease", f"{datacenter.cluster}-lock")["spec"].get("holderIdentity")
    lives = datacenter.lives()
    assert datacenter.run("heal").ok().changed == 0
    assert datacenter.deploy().changed == 0
    assert datacenter.lives() == lives


def wipe(living: Living, *nodes: str) -> None:
    """The nodes come back without their storage, and are held."""
    with stopped(living.datacenter, *nodes):
        for node in nodes:
            Volume.of(living.datacenter, node).wipe()
    assert_held(living, dict.fromkeys(nodes, "its volume is empty"))


def of_other_racks(living: Living, rng: random.Random) -> tuple[str, str]:
    """Two nodes that share ranges."""
    racks = rng.sample(list(living.datacenter.racks), 2)
    first, second = (f"{living.datacenter.prefix}-{rack}-{rng.randrange(2)}" for rack in racks)
    return first, second


# What is lost


def one_volume(living: Living, rng: random.Random) -> None:
    """1. A volume is wiped: check mode tells, heal replaces, nothing is missing."""
    datacenter, node = living.datacenter, rng.choice(living.datacenter.nodes)
    wipe(living, node)
    told = datacenter.run("heal", "--check", facts=True).ok()
    actions = {each["node"]: each["action"] for each in told.facts[datacenter.host]["decisions"]}
    assert actions == {**dict.fromkeys(datacenter.nodes, "none"), node: "replace"}, actions
    assert f"ConfigMap/{datacenter.prefix}-replacement" not in datacenter.namespace.contents()
    result = heal(living)
    assert list(replaced(result, datacenter)) == [node]
    living.client.check("ALL")
    nothing_left(living)


def first_node(living: Living, rng: random.Random) -> None:
    """5. The first node of the cluster, which is a seed, and was its doorkeeper."""
    node = living.datacenter.ledger()["first"]
    wipe(living, node)
    assert list(replaced(heal(living), living.datacenter)) == [node]
    living.client.check("ALL")
    nothing_left(living)


def one_worker(living: Living, rng: random.Random) -> None:
    """2. A worker dies with its volume: refused until that is sure; then another one takes its node.

    Its old disk is then put under the node once more, as by somebody who means well: held, and the ring is as it was.
    """
    datacenter, sandbox = living.datacenter, faults.sandbox_of(living.datacenter)
    node, lost = alone_on_its_worker(living, rng)
    volume = Volume.of(datacenter, node)
    old = volume.folder.with_name(f"{volume.folder.name}.old")
    sandbox.kill_worker(lost)
    try:
        shutil.copytree(volume.folder, old, symlinks=True)
        faults.wait_not_ready(datacenter, [lost])
        refused(living, f"worker {lost} does not answer", f"-e heal_workers_off={lost}")
        living.client.check()
        result = heal(living, heal_workers_off=[lost])
        done = replaced(result, datacenter)[node]
        assert done["worker"] != lost
        assert done["old_worker"] == lost
        living.client.check("ALL")
    finally:
        sandbox.revive_worker(lost)
    living.assert_whole()
    with stopped(datacenter, node):
        new = Volume.of(datacenter, node)
        new.take_away()
        copy_with_owners(old, new.folder)
    assert_held(living, {node: "the volume belongs to another node"})
    with stopped(datacenter, node):
        new.wipe()
        new.put_back()
    shutil.rmtree(old)
    nothing_left(living)


def copy_with_owners(source: Path, target: Path) -> None:
    for entry in source.iterdir():
        if entry.is_dir():
            shutil.copytree(entry, target / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, target / entry.name)
    for path in [target, *target.rglob("*")]:
        shutil.chown(path, 999, 999)


def alone_on_its_worker(living: Living, rng: random.Random) -> tuple[str, str]:
    """A node that has its worker for itself, and that worker; not the first worker, which the sandbox stands on."""
    if not alone(living):
        separate(living)
    return rng.choice(alone(living))


def alone(living: Living) -> list[tuple[str, str]]:
    workers = {node: faults.worker_of(living.datacenter, node) for node in living.datacenter.nodes}
    shared = list(workers.values())
    return [(node, on) for node, on in workers.items() if on != "worker1" and shared.count(on) == 1]


def separate(living: Living) -> None:
    """What was lost before brought both nodes of the rack with two workers to one: one of them goes to the other."""
    datacenter, node = living.datacenter, f"{living.datacenter.prefix}-r2-1"
    worker = faults.worker_of(datacenter, node)
    with faults.cordoned(datacenter, worker):
        # It goes with the pod that uses it; the next one gets another, where there is room.
        datacenter.namespace.kubectl("delete", "pvc", f"data-{node}", "--wait=false")
        datacenter.delete_pod(node)
        assert_held(living, {node: "its volume is empty"})
    assert list(replaced(heal(living), datacenter)) == [node]
    assert faults.worker_of(datacenter, node) != worker


def one_rack(living: Living, rng: random.Random) -> None:
    """3. A whole rack loses its volumes: its nodes are replaced one after the other."""
    rack = rng.choice(list(living.datacenter.racks))
    nodes = [f"{living.datacenter.prefix}-{rack}-{number}" for number in range(2)]
    wipe(living, *nodes)
    assert list(replaced(heal(living), living.datacenter)) == nodes
    living.client.check("ALL")
    nothing_left(living)


def two_racks(living: Living, rng: random.Random) -> None:
    """4. Two nodes that share ranges lose their volumes: refused with what is at risk; once accepted it goes on."""
    datacenter = living.datacenter
    first, second = of_other_racks(living, rng)
    wipe(living, first, second)
    keyspaces = "system_auth,workload"
    refused(living, "2 or more of 3 are dead", f"-e heal_accept_loss={keyspaces}")
    refused(living, "are dead", heal_accept_loss=["workload"])
    result = heal(living, heal_accept_loss=keyspaces.split(","))
    done = replaced(result, datacenter)
    assert set(done) == {first, second}
    assert sorted(next(iter(done.values()))["accepted_loss"]) == sorted(keyspaces.split(","))
    assert result.facts[datacenter.host]["repaired"], "what was accepted is repaired"
    living.client.check("ALL")
    nothing_left(living)


def away_beyond_hints(living: Living, rng: random.Random) -> None:
    """6. A node is away for longer than hints are kept, by its own note, and missed rows: its ranges are repaired."""
    datacenter, node = living.datacenter, rng.choice(living.datacenter.nodes)
    volume, missed = Volume.of(datacenter, node), "missed"
    others = [other for other in datacenter.nodes if other != node]
    with stopped(datacenter, node):
        for other in others:
            datacenter.nodetool(other, "disablehandoff")
        cargo.write(datacenter, missed, 200, size=100)
        for other in others:
            datacenter.nodetool(other, "enablehandoff")
        volume.serve_last(5 * 3600)
    datacenter.wait_up()
    assert not cargo.in_sync(datacenter, node, missed), "it has missed nothing: what is this test worth?"
    result = heal(living)
    assert result.facts[datacenter.host]["repaired"] == [node]
    assert cargo.in_sync(datacenter, node, missed)
    assert not (volume.folder / faults.MARKS / "missed").exists()
    cargo.drop(datacenter, missed)
    living.client.check("ALL")
    nothing_left(living)


def away_beyond_gc_grace(living: Living, rng: random.Random) -> None:
    """6. A node is away for longer than gc_grace_seconds: its old volume is never started, and it is replaced."""
    datacenter, node = living.datacenter, rng.choice(living.datacenter.nodes)
    volume = Volume.of(datacenter, node)
    with stopped(datacenter, node):
        volume.serve_last(11 * faults.DAY)
    assert_held(living, {node: "longer than gc_grace_seconds"})
    result = heal(living)
    assert list(replaced(result, datacenter)) == [node]
    assert not volume.folder.exists() or not volume.files(), "the old volume is given up"
    living.client.check("ALL")
    nothing_left(living)


# What is killed meanwhile

STAGES = {
    "is replaced: ": 2.0,
    "the place of": 4.0,
    "to take its place": 25.0,
    "to be proven": 2.0,
    "has taken its place": 1.0,
}
"""What a replacement says, one after the other -> the most seconds to let it go on after that."""


KILLS = 10


def playbook_killed(living: Living, rng: random.Random) -> None:
    """7. The playbook dies by SIGKILL at ten moments, each further on; every next run takes up what it left."""
    kills = 0
    while kills < KILLS:
        wipe(living, rng.choice(living.datacenter.nodes))
        for stage, most in STAGES.items():
            run = living.datacenter.start("heal", **QUICK)
            wait_for_words(run, stage)
            time.sleep(rng.uniform(0, most))
            if run.process.poll() is not None:
                break
            run.kill()
            kills += 1
            print(f"kill {kills}, after {stage!r}: {run.output.splitlines()[-1]}")
        heal(living)
        living.client.check("ALL")
    nothing_left(living)


# Of unique data: each of four sources sends 8 MiB, at SLOW.
STREAMED = 64
SLOW = "512KiB/s"


def new_node_killed(living: Living, rng: random.Random) -> None:
    """7. The new node dies while it streams: another attempt takes up the dead node's address, with an empty volume."""
    datacenter, node = living.datacenter, rng.choice(living.datacenter.nodes)
    with cargo.aboard(datacenter, STREAMED):
        wipe(living, node)
        run = datacenter.start("heal", facts=True, **QUICK)
        waiting.until("the new node to stream", lambda: not_streaming(datacenter, node), START_SECONDS, 0.2)
        datacenter.namespace.kubectl("delete", "pod", node, "--grace-period=0", "--force", "--wait=false")
        result = run.wait().ok()
    done = replaced(result, datacenter)[node]
    print(f"{result.seconds:5.1f} s, {done['attempts']} attempts")
    assert done["attempts"] == 2, done
    assert "its replacement died half-way" in result.output
    living.client.check("ALL")
    nothing_left(living)


def not_streaming(datacenter: Datacenter, node: str) -> Sequence[str]:
    """Why the node's log does not have it that files are under way."""
    try:
        log = datacenter.namespace.kubectl("logs", node)
    except KubectlError as error:
        return [str(error)]
    return [] if "Prepare completed. Receiving" in log else ["it has not begun to stream"]


def api_stopped(living: Living, rng: random.Random) -> None:
    """7. The API server is away for a while in the middle; this run or the next one ends well."""
    sandbox = faults.sandbox_of(living.datacenter)
    node = rng.choice(living.datacenter.nodes)
    wipe(living, node)
    run = living.datacenter.start("heal", **QUICK)
    wait_for_words(run, rng.choice(["the place of", "to take its place"]))
    time.sleep(rng.uniform(0, 8))
    sandbox.stop_api()
    try:
        time.sleep(rng.uniform(1, 10))
    finally:
        sandbox.start_api()
    result = run.wait()
    print(f"the run ended with {result.rc}")
    assert "Traceback" not in result.output, result.output
    heal(living)
    living.client.check("ALL")
    nothing_left(living)


def lost_in_a_rollout(living: Living, rng: random.Random) -> None:
    """5. A node loses its volume in the middle of a rollout, which stops; it is replaced, the rollout is finished."""
    datacenter = living.datacenter
    run = datacenter.start("restart", rollout_soak=5, rollout_force=True, rollout_gate_timeout=20)
    wait_for_words(run, "batch 2 of")
    victim = datacenter.nodes[-1]
    with stopped(datacenter, victim):
        Volume.of(datacenter, victim).wipe()
    run.wait().refused(f"{victim} is held", "The rollout stops here")
    assert_held(living, {victim: "its volume is empty"})
    assert list(replaced(heal(living), datacenter)) == [victim]
    result = datacenter.run("restart", facts=True, rollout_soak=5).ok()
    print(f"restarted afterwards: {result.facts[datacenter.host]['restarted']}")
    living.client.check("ALL")
    nothing_left(living)


Loss = Callable[[Living, random.Random], None]
LOSSES: Mapping[str, Loss] = {
    "a volume is lost": one_volume,
    "the first node is lost": first_node,
    "a worker is lost with its volume": one_worker,
    "a rack is lost with its volumes": one_rack,
    "two nodes that share ranges are lost": two_racks,
    "a node is away beyond the hint window": away_beyond_hints,
    "a node is away beyond gc_grace_seconds": away_beyond_gc_grace,
    "the playbook is killed": playbook_killed,
    "the new node is killed": new_node_killed,
    "the API server is away": api_stopped,
    "a node is lost in the middle of a rollout": lost_in_a_rollout,
}


# By itself: what the rulebook needs


@contextmanager
def reading_workers(datacenter: Datacenter) -> Iterator[None]:
    """The namespace's automation may read workers and volumes, as extensions/kubernetes/rbac-workers.yml has it."""
    items = yaml.safe_load((ROOT / "extensions" / "kubernetes" / "rbac-workers.yml").read_text())["items"]
    name = f"cassops-workers-{datacenter.namespace.name}"
    for item in items:
        item["metadata"]["name"] = name
        if item["kind"] == "ClusterRoleBinding":
            item["roleRef"]["name"] = name
            item["subjects"][0]["namespace"] = datacenter.namespace.name
    cluster = datacenter.namespace.cluster
    cluster.apply(items)
    try:
        yield
    finally:
        cluster.kubectl("delete", "clusterrolebinding,clusterrole", name)


def rulebook_variables(datacenter: Datacenter) -> str:
    """What docs/operations/heal.md has in heal.yml, for this datacenter."""
    variables = datacenter.inventory_variables()
    names = ("cassandra_cluster", "cassandra_datacenter", "cassandra_namespace", "cassandra_kubeconfig")
    return json.dumps({name: variables[name] for name in names})


def inventory_text(datacenter: Datacenter) -> str:
    """The inventory file of the playbooks that the rulebook runs."""
    return yaml.safe_dump(inventory([datacenter]), sort_keys=False)
