# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three nodes and an S3 server, under a client: backups and repairs by the clock come, are made, are told, and go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import package
import pytest
from integration.harness import execution_environment, waiting
from integration.harness.datacenter import Datacenter
from integration.harness.store import Store, listed
from integration.harness.workload import Workload
from sandbox import Sandbox

NAME, REPAIR = "demo-dc1-backup", "demo-dc1-repair"
NEVER = "0 0 30 2 *"
"""No February has a 30th."""


@pytest.fixture
def unscheduled(three: Datacenter, client: Workload) -> Iterator[Datacenter]:
    """A client at work; afterwards nothing is done by the clock, whatever became of the test."""
    with client.none_fails():
        yield three
    three.namespace.kubectl("delete", "cronjob", NAME, REPAIR, "--ignore-not-found")


def scheduled(store: Store, times: str, image: str = execution_environment.IMAGE) -> dict[str, Any]:
    return {**store.variable, "schedule": times, "schedule_image": image}


def cron_jobs(datacenter: Datacenter) -> list[str]:
    return [item["metadata"]["name"] for item in datacenter.namespace.list("cronjobs")]


def test_a_schedule_comes_and_goes_without_a_restart(unscheduled: Datacenter, store: Store) -> None:
    lives, wanted = unscheduled.lives(), scheduled(store, NEVER)
    refused = unscheduled.run("deploy", cassandra_backup=scheduled(store, "61 3 * * *"))
    assert refused.rc != 0
    assert "cassandra_backup.schedule: " in refused.output, refused.output
    assert "61" in refused.output
    assert unscheduled.deploy("--check", "--diff", cassandra_backup=wanted).changed == 1
    assert cron_jobs(unscheduled) == []
    assert unscheduled.deploy(cassandra_backup=wanted).changed == 1
    assert cron_jobs(unscheduled) == [NAME]
    assert unscheduled.deploy(cassandra_backup=wanted).changed == 0
    told = unscheduled.run("status").ok().output
    assert f"Backups by the clock ({NEVER}, UTC): waiting, last begun never, last ended well never" in told, told
    assert unscheduled.deploy().changed == 1
    assert cron_jobs(unscheduled) == []
    assert unscheduled.lives() == lives


def test_repairs_by_the_clock_come_and_go_beside_backups(unscheduled: Datacenter, store: Store) -> None:
    lives, backup = unscheduled.lives(), scheduled(store, NEVER)
    repair = {"schedule": NEVER, "schedule_image": execution_environment.IMAGE}
    refused = unscheduled.run("deploy", cassandra_repair={**repair, "schedule": "61 3 * * *"})
    assert refused.rc != 0
    assert "cassandra_repair.schedule: " in refused.output, refused.output
    unscheduled.deploy(cassandra_backup=backup)
    assert unscheduled.deploy("--check", "--diff", cassandra_backup=backup, cassandra_repair=repair).changed == 1
    assert cron_jobs(unscheduled) == [NAME]
    assert unscheduled.deploy(cassandra_backup=backup, cassandra_repair=repair).changed == 1
    assert unscheduled.deploy(cassandra_backup=backup, cassandra_repair=repair).changed == 0
    assert cron_jobs(unscheduled) == [NAME, REPAIR]
    told = unscheduled.run("status").ok().output
    assert f"Repairs by the clock ({NEVER}, UTC): waiting, last begun never, last ended well never" in told, told
    assert unscheduled.deploy(cassandra_repair=repair).changed == 1
    assert cron_jobs(unscheduled) == [REPAIR]
    assert unscheduled.deploy().changed == 1
    assert cron_jobs(unscheduled) == []
    assert unscheduled.lives() == lives


@pytest.fixture(scope="module")
def image(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """With the collection as a user has it."""
    collections = tmp_path_factory.mktemp("collections")
    package.install(collections)
    return execution_environment.load(sandbox, collections, tmp_path_factory.mktemp("image"))


@pytest.mark.soak
def test_kubernetes_backs_up_verifies_and_purges_by_the_clock(
    unscheduled: Datacenter, store: Store, image: str
) -> None:
    """By the clock itself: nobody starts the Job."""
    before = listed(unscheduled)
    unscheduled.deploy(cassandra_backup=scheduled(store, "* * * * *", image))

    def unfinished() -> list[str]:
        status = unscheduled.namespace.get("cronjob", NAME)["status"]
        assert not any(job.get("status", {}).get("failed") for job in unscheduled.namespace.list("jobs")), logs(
            unscheduled
        )
        return [] if status.get("lastSuccessfulTime") else [f"{NAME}: {status}"]

    waiting.until("a scheduled backup to end well", unfinished, 600)
    print(logs(unscheduled))
    # As the page on backups says: no further ones, and deploy leaves that alone.
    unscheduled.namespace.kubectl("patch", "cronjob", NAME, "-p", '{"spec": {"suspend": true}}')

    def at_work() -> list[str]:
        return unscheduled.namespace.get("cronjob", NAME)["status"].get("active", [])

    waiting.until("the scheduled backups to end", at_work, 300)
    assert unscheduled.deploy(cassandra_backup=scheduled(store, "* * * * *", image)).changed == 0
    told = unscheduled.status()["backup_schedule"]
    assert told["suspended"]
    assert (told["failed"], told["ended_well"] is not None) == (False, True)
    unscheduled.deploy()
    new = {name: one for name, one in listed(unscheduled).items() if name not in before}
    assert new, "no backup came of it"
    assert {(one["state"], bool(one["verified"])) for one in new.values()} >= {("complete", True)}, new


@pytest.mark.soak
def test_kubernetes_repairs_by_the_clock(unscheduled: Datacenter, image: str) -> None:
    """By the clock itself, and under the rights of the account that backups have."""
    repair = {"schedule": "* * * * *", "schedule_image": image, "schedule_variables": {"repair_max_age": 86400}}
    unscheduled.deploy(cassandra_repair=repair)

    def unfinished() -> list[str]:
        status = unscheduled.namespace.get("cronjob", REPAIR)["status"]
        assert not any(job.get("status", {}).get("failed") for job in unscheduled.namespace.list("jobs")), logs(
            unscheduled, "repair"
        )
        return [] if status.get("lastSuccessfulTime") else [f"{REPAIR}: {status}"]

    waiting.until("a scheduled repair to end well", unfinished, 900)
    print(logs(unscheduled, "repair"))
    assert not unscheduled.status()["repair_schedule"]["failed"]
    unscheduled.deploy()
    left = unscheduled.run("repair", "--check", facts=True, repair_max_age=86400).ok().facts[unscheduled.host]
    assert left["due"] == [], left


def logs(datacenter: Datacenter, work: str = "backup") -> str:
    pods = datacenter.namespace.list("pods", "-l", f"app.kubernetes.io/name=cassops-{work}")
    return "\n".join(
        datacenter.namespace.kubectl("logs", pod["metadata"]["name"])
        for pod in pods
        if pod["status"]["phase"] != "Pending"
    )
