# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event source on nodes in memory, and that rulebook and CronJob fit the playbook."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from unit.plugins.module_utils.fake_cassandra import Member
from unit.plugins.module_utils.fake_failures import FailingKube, deployed

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.healing import GHOST_SECONDS

ROOT = Path(__file__).resolve().parents[3]
COLLECTION = ROOT / ".venv" / "collections" / "ansible_collections" / "cassops" / "kubernetes"
EDA = COLLECTION / "extensions" / "eda"
FIRST = "shop-dc1-r1-0"
ARGS = {"cluster": "shop", "datacenter": "dc1"}


@pytest.fixture
def source() -> ModuleType:
    """The file as ansible-rulebook runs it: by its path."""
    spec = importlib.util.spec_from_file_location("failed_nodes", EDA / "plugins" / "event_source" / "failed_nodes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def kube(source: ModuleType, monkeypatch: pytest.MonkeyPatch) -> FailingKube:
    made = deployed(monkeypatch, workers_a_zone=3)
    monkeypatch.setattr(source.Kube, "connect", lambda options: made)
    return made


def test_what_is_well_is_not_told(source: ModuleType, kube: FailingKube) -> None:
    assert source.Watch(ARGS).look() is None


def test_a_failure_is_told_once_and_so_is_its_end(source: ModuleType, kube: FailingKube) -> None:
    watch = source.Watch(ARGS)
    assert watch.look() is None
    before = len(kube.writes)
    kube.wipe(FIRST)
    told = watch.look()["cassandra"]
    assert (told["cluster"], told["datacenter"], told["namespace"]) == ("shop", "dc1", "ns")
    assert (told["act"], told["whole"]) == (True, False)
    assert [(each["node"], each["row"], each["action"]) for each in told["decisions"]] == [(FIRST, 6, "replace")]
    assert watch.look() is None
    assert kube.writes[before:] == [], "a source changes nothing"
    kube.disks[f"data-{FIRST}"] = kube.disks["data-shop-dc1-r2-0"]
    kube.joined(FIRST)
    kube.held.clear()
    assert watch.look()["cassandra"]["whole"] is True
    assert watch.look() is None


def test_what_is_left_to_do_is_told_again_unless_somebody_is_at_it(
    source: ModuleType, kube: FailingKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = source.Watch({**ARGS, "repeat": 100})
    kube.wipe(FIRST)
    assert watch.look() is not None
    now = time.monotonic()
    monkeypatch.setattr(source.time, "monotonic", lambda: now + 101)
    lease = kube.one("Lease", "shop-lock")
    lease["spec"].update(holderIdentity="somebody", renewTime=stamp(kube.server_time()), leaseDurationSeconds=60)
    assert watch.look() is None
    lease["spec"]["holderIdentity"] = ""
    assert watch.look() is not None
    assert watch.look() is None


def test_a_run_that_was_killed_is_not_at_it(
    source: ModuleType, kube: FailingKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It let go of nothing: only the age of its lock tells."""
    watch = source.Watch({**ARGS, "repeat": 100})
    kube.wipe(FIRST)
    assert watch.look() is not None
    now = time.monotonic()
    monkeypatch.setattr(source.time, "monotonic", lambda: now + 101)
    renewed = stamp(kube.server_time() - 61)
    kube.one("Lease", "shop-lock")["spec"].update(holderIdentity="x", renewTime=renewed, leaseDurationSeconds=60)
    assert watch.look() is not None


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_a_ghost_that_stays_is_seen_to(source: ModuleType, kube: FailingKube, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one only after a while, which is longer than from one look to the next."""
    watch = source.Watch(ARGS)
    kube.ring.members["ghost"] = Member("198.19.9.9", "r1", "host-ghost", (), "dc1", "shutdown", gossip_only=True)
    kube.ring.down.add("ghost")
    assert watch.look()["cassandra"]["act"] is False
    now = time.monotonic()
    monkeypatch.setattr(source.time, "monotonic", lambda: now + GHOST_SECONDS + 1)
    assert watch.look()["cassandra"]["act"] is True
    ghost = kube.ring.members.pop("ghost")
    assert watch.look()["cassandra"]["whole"] is True
    kube.ring.members["ghost"] = ghost
    assert watch.look()["cassandra"]["act"] is False, "another one"


def test_that_it_cannot_look_is_told_when_it_lasts(
    source: ModuleType, kube: FailingKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence would look like all is well."""
    watch = source.Watch({**ARGS, "repeat": 100})
    secret = kube.objects.pop(("Secret", "shop-superuser"))
    password = {"password": secret["data"]["password"]}
    assert watch.look() is None
    now = time.monotonic()
    monkeypatch.setattr(source.time, "monotonic", lambda: now + 101)
    told = watch.look()["cassandra"]
    assert (told["whole"], told["act"], told["decisions"]) == (False, False, [])
    assert "Secret shop-superuser" in told["blind"]
    kube.put(secret)["data"].pop("password")
    assert watch.look() is None, "another reason is no other news"
    kube.put({**secret, "data": {**secret["data"], **password}})
    assert watch.look()["cassandra"]["whole"] is True
    assert watch.look() is None


def test_a_person_is_told_and_heal_is_not_run(source: ModuleType, kube: FailingKube) -> None:
    worker = kube.worker_of(FIRST)
    assert worker is not None
    kube.kill_worker(worker)
    told = source.Watch({**ARGS, "grace": 1}).look()["cassandra"]
    assert (told["act"], told["whole"]) == (False, False)
    assert told["decisions"][0]["advice"]


def test_it_looks_when_a_pod_changes(source: ModuleType, kube: FailingKube) -> None:
    watch = source.Watch(ARGS)
    seen: list[int] = []

    def observe(kind: str, labels: Any, timeout: float, *, tick: float) -> Any:
        for _time in range(3):
            seen.append(1)
            yield {item["metadata"]["name"]: item for item in kube.list(kind, labels)}

    kube.observe = observe  # type: ignore[attr-defined]
    watch.wait()
    assert len(seen) == 1, "it knows nothing yet"
    watch.wait()
    assert len(seen) == 4, "nothing changed: it waited for its time"
    kube.remove_pod(FIRST)
    watch.wait()
    assert len(seen) == 5


def test_it_goes_on_when_kubernetes_is_away(source: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        interval = 0.0

        def __init__(self, args: Any) -> None:
            self.looks = 0

        def look(self) -> Any:
            self.looks += 1
            if self.looks == 1:
                raise CassopsError("the API server cannot be reached")
            return {"cassandra": {"whole": True}}

        def wait(self) -> None:
            raise CassopsError("nor now")

    monkeypatch.setattr(source, "Watch", Away)
    monkeypatch.setattr(source, "PAUSE", 0.0)

    async def first_event() -> Any:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        task = asyncio.create_task(source.main(queue, {}))
        try:
            return await asyncio.wait_for(queue.get(), 30)
        finally:
            task.cancel()

    assert asyncio.run(first_event()) == {"cassandra": {"whole": True}}


def test_the_rulebook_gives_the_source_what_it_takes(source: ModuleType) -> None:
    (ruleset,) = yaml.safe_load((EDA / "rulebooks" / "heal.yml").read_text())
    (entry,) = ruleset["sources"]
    options = yaml.safe_load(source.DOCUMENTATION)["options"]
    assert set(entry["cassops.kubernetes.failed_nodes"]) <= set(options)
    assert {name for name, option in options.items() if option.get("required")} <= set(
        entry["cassops.kubernetes.failed_nodes"]
    )
    actions = [rule["action"]["run_playbook"]["name"] for rule in ruleset["rules"] if "run_playbook" in rule["action"]]
    assert actions == ["cassops.kubernetes.heal"]
    assert (ROOT / "playbooks" / "heal.yml").is_file()


def test_the_cron_job_may_run_in_a_restricted_namespace_and_runs_the_playbook() -> None:
    items = {item["kind"]: item for item in listed("heal-cronjob.yml")}
    job = items["CronJob"]["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"][-1] == "cassops.kubernetes.heal"
    assert pod["serviceAccountName"] == "cassops"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert yaml.safe_load(items["ConfigMap"]["data"]["inventory.yml"])["shop"]["hosts"] == {"dc1": None}


def test_the_rights_on_workers_only_read() -> None:
    items = {item["kind"]: item for item in listed("rbac-workers.yml")}
    (rule,) = items["ClusterRole"]["rules"]
    assert set(rule["verbs"]) == {"get", "list", "watch"}
    assert items["ClusterRoleBinding"]["roleRef"]["name"] == items["ClusterRole"]["metadata"]["name"]


def listed(name: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = yaml.safe_load((ROOT / "extensions" / "kubernetes" / name).read_text())["items"]
    return items
