# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.cassops.kubernetes.plugins.module_utils import manifests, settings, spec, spec_parser
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger, LedgerNode
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import DURATION
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests.cassandra_yaml import cassandra_yaml, history

VALUES: dict[str, Any] = {
    "cluster": "shop",
    "datacenter": "dc1",
    "version": "5.0.9",
    "racks": [{"name": "r1", "zone": "a", "nodes": 2}, {"name": "r2", "nodes": 1}],
    "storage": {"size": "100Gi", "class": "fast"},
}
LEDGER = Ledger(id="1", cluster="shop", datacenter="dc1", born_version="5.0.9")


def desired(**changes: Any) -> spec.Datacenter:
    return spec_parser.parse({**VALUES, **changes})


def built(datacenter: spec.Datacenter, ledger: Ledger = LEDGER, kind: str = "StatefulSet") -> list[dict[str, Any]]:
    return [item for item in manifests.build(datacenter, ledger) if item["kind"] == kind]


def pod_spec(datacenter: spec.Datacenter, rack: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = built(datacenter)[rack]["spec"]["template"]["spec"]
    return found


def container(datacenter: spec.Datacenter) -> dict[str, Any]:
    found: dict[str, Any] = pod_spec(datacenter)["containers"][0]
    return found


def environment(datacenter: spec.Datacenter) -> dict[str, str]:
    return {item["name"]: item.get("value", "") for item in container(datacenter)["env"]}


def test_every_object_of_a_datacenter() -> None:
    names = [(item["kind"], item["metadata"]["name"]) for item in manifests.build(desired(), LEDGER)]
    assert names[0][0] == "ConfigMap"
    assert names[0][1].startswith("shop-dc1-config-")
    assert names[1:] == [
        ("Service", "shop-dc1-nodes"),
        ("Service", "shop-dc1"),
        ("Service", "shop-dc1-r1-0"),
        ("Service", "shop-dc1-r1-1"),
        ("Service", "shop-dc1-r2-0"),
        ("PodDisruptionBudget", "shop-dc1"),
        ("StatefulSet", "shop-dc1-r1"),
        ("StatefulSet", "shop-dc1-r2"),
    ]


def test_the_same_datacenter_gives_the_same_objects() -> None:
    assert json.dumps(manifests.build(desired(), LEDGER)) == json.dumps(manifests.build(desired(), LEDGER))


def test_every_object_is_labelled() -> None:
    for item in [*manifests.build(desired(), LEDGER), manifests.ledger_config_map(LEDGER)]:
        labels = item["metadata"]["labels"]
        assert labels["cassops.kubernetes/cluster"] == "shop"
        assert labels["cassops.kubernetes/datacenter"] == "dc1"
        assert labels["app.kubernetes.io/name"] == "cassandra"


def test_applying_restarts_nothing_and_a_rollout_can() -> None:
    assert [item["spec"]["updateStrategy"]["rollingUpdate"]["partition"] for item in built(desired())] == [2, 1]
    lowered = manifests.build(desired(), LEDGER, {"r1": 0})
    sets = [item for item in lowered if item["kind"] == "StatefulSet"]
    assert [item["spec"]["updateStrategy"]["rollingUpdate"]["partition"] for item in sets] == [0, 1]


def test_services_keep_their_address() -> None:
    ledger = LEDGER.with_node(LedgerNode("shop-dc1-r1-1", "198.19.0.7"))
    services = {item["metadata"]["name"]: item["spec"] for item in built(desired(), ledger, "Service")}
    assert services["shop-dc1-r1-1"]["clusterIP"] == "198.19.0.7"
    assert "clusterIP" not in services["shop-dc1-r1-0"]
    assert services["shop-dc1-r1-0"]["publishNotReadyAddresses"] is True
    assert "publishNotReadyAddresses" not in services["shop-dc1"]


def test_pod_addresses_need_no_services_of_nodes() -> None:
    names = [item["metadata"]["name"] for item in built(desired(address="pod"), LEDGER, "Service")]
    assert names == ["shop-dc1-nodes", "shop-dc1"]


def test_a_revision_pins_image_and_configuration() -> None:
    def config(datacenter: spec.Datacenter) -> str:
        (name,) = (item["metadata"]["name"] for item in built(datacenter, kind="ConfigMap"))
        volumes = {item["name"]: item for item in pod_spec(datacenter)["volumes"]}
        assert volumes["config"]["configMap"]["name"] == name
        return str(name)

    assert config(desired()) != config(desired(config={"concurrent_reads": 64}))
    assert config(desired()) == config(desired(heap="2G"))
    assert built(desired(), kind="ConfigMap")[0]["immutable"] is True


def test_pods_satisfy_the_restricted_standard() -> None:
    pod = pod_spec(desired())
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container(desired())["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert "livenessProbe" not in container(desired())


BACKUP = {"repository": "s3:https://s3/b", "password_secret": "key", "credentials_secret": "store"}


def test_the_container_for_backups_is_beside_cassandra() -> None:
    plain, pod = pod_spec(desired()), pod_spec(desired(backup=BACKUP))
    assert plain["containers"] == pod["containers"][:1]
    assert [volume["name"] for volume in plain["volumes"]] == [volume["name"] for volume in pod["volumes"]][:-3]
    (beside,) = pod["containers"][1:]
    assert beside["image"] == "docker.io/restic/restic:0.18.1"
    assert beside["securityContext"] == pod["containers"][0]["securityContext"]
    mounts = {mount["name"]: mount for mount in beside["volumeMounts"]}
    assert mounts["data"]["mountPath"] == "/var/lib/cassandra"
    assert set(mounts) <= {volume["name"] for volume in pod["volumes"]} | {"data"}
    # Only Cassandra's process has its secrets, and only restic's container those of the store.
    assert not [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"].startswith("backup-")]


def test_the_container_for_backups_has_its_own_memory() -> None:
    """B12: what restic takes is never taken from Cassandra, and it goes first."""
    beside = pod_spec(desired(backup=BACKUP))["containers"][1]
    assert beside["resources"]["limits"]["memory"] == "1Gi"
    assert beside["resources"]["requests"] == {"cpu": "10m", "memory": "64Mi"}


def test_for_a_point_in_time_the_commit_log_goes_into_the_store() -> None:
    plain, asked = (desired(backup={**BACKUP, "point_in_time": given}) for given in (False, True))
    cassandra, beside = pod_spec(asked)["containers"]
    environment = {item["name"]: item.get("value") for item in cassandra["env"]}
    assert environment["CASSOPS_ARCHIVE"] == str(10 * 2**20)
    environment = {item["name"]: item.get("value") for item in beside["env"]}
    assert environment["CASSOPS_REPOSITORY"] == "s3:https://s3/b/shop/dc1"
    script = beside["command"][2]
    assert "restic_in() (" in script
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
    # Kubernetes would make one of two, and put a variable of the container in the place of its name in brackets.
    assert "$$" not in script
    assert not [name for name in environment if f"$({name})" in script]
    assert {"name": "ledger", "mountPath": "/cassops/ledger", "readOnly": True} in beside["volumeMounts"]
    assert "archive.sh" in manifests.config_map(asked, LEDGER)["data"]
    assert "archive.sh" not in manifests.config_map(plain, LEDGER)["data"]
    assert "CASSOPS" not in str(pod_spec(plain)["containers"][1])


def test_a_secret_that_is_missing_keeps_no_node_from_starting() -> None:
    secrets = [volume["secret"] for volume in pod_spec(desired(backup=BACKUP))["volumes"] if "secret" in volume]
    assert [secret["secretName"] for secret in secrets] == ["key", "store"]
    assert all(secret["optional"] for secret in secrets)
    without = {key: value for key, value in BACKUP.items() if key != "credentials_secret"}
    assert len([1 for volume in pod_spec(desired(backup=without))["volumes"] if "secret" in volume]) == 1


def test_the_user_may_give_it_more_memory_and_a_shared_volume() -> None:
    template = {
        "spec": {
            "containers": [
                {
                    "name": "backup",
                    "resources": {"limits": {"memory": "4Gi"}},
                    "volumeMounts": [{"name": "shared", "mountPath": "/backups"}],
                }
            ],
            "volumes": [{"name": "shared", "persistentVolumeClaim": {"claimName": "backups"}}],
        }
    }
    beside = pod_spec(desired(backup={**BACKUP, "repository": "/backups"}, pod_template=template))["containers"][1]
    assert beside["resources"]["limits"] == {"memory": "4Gi"}
    assert beside["volumeMounts"][-1] == {"name": "shared", "mountPath": "/backups"}
    assert beside["volumeMounts"][0]["name"] == "data"


def test_racks_stay_in_their_zone_and_nodes_on_their_own_worker() -> None:
    assert pod_spec(desired(), 0)["nodeSelector"] == {"topology.kubernetes.io/zone": "a"}
    assert "nodeSelector" not in pod_spec(desired(), 1)
    rule = "DuringSchedulingIgnoredDuringExecution"
    assert list(pod_spec(desired())["affinity"]["podAntiAffinity"]) == [f"required{rule}"]
    assert list(pod_spec(desired(allow_shared_workers=True))["affinity"]["podAntiAffinity"]) == [f"preferred{rule}"]


def test_the_heap_is_told_as_each_line_wants_it() -> None:
    assert environment(desired())["MAX_HEAP_SIZE"] == "4096M"
    assert "HEAP_NEWSIZE" not in environment(desired())
    assert environment(desired(version="4.1.10"))["HEAP_NEWSIZE"] == "1024M"


def test_volumes_are_claimed_and_kept() -> None:
    rack = built(desired())[0]["spec"]
    assert rack["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = rack["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    default = built(desired(storage={"size": "1Gi"}))[0]["spec"]["volumeClaimTemplates"][0]["spec"]
    assert "storageClassName" not in default


def test_the_users_pod_template_lies_over_ours() -> None:
    template = {
        "metadata": {"labels": {"team": "a"}},
        "spec": {
            "nodeSelector": {"disk": "nvme"},
            "terminationGracePeriodSeconds": 600,
            "securityContext": {"runAsUser": None},
            "containers": [
                {"name": "cassandra", "env": [{"name": "TZ", "value": "UTC"}]},
                {"name": "side", "image": "x"},
            ],
        },
    }
    datacenter = desired(pod_template=template)
    pod = pod_spec(datacenter)
    assert pod["nodeSelector"] == {"topology.kubernetes.io/zone": "a", "disk": "nvme"}
    assert pod["terminationGracePeriodSeconds"] == 600
    assert "runAsUser" not in pod["securityContext"]
    assert [item["name"] for item in pod["containers"]] == ["cassandra", "side"]
    assert environment(datacenter)["TZ"] == "UTC"
    assert environment(datacenter)["MAX_HEAP_SIZE"] == "4096M"
    labels = built(datacenter)[0]["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "a"
    assert built(datacenter)[0]["spec"]["selector"]["matchLabels"].items() <= labels.items()


# cassandra.yaml


@pytest.mark.parametrize("version", ["4.0.19", "4.1.10", "5.0.9"])
@pytest.mark.parametrize("born", ["", "4.0.19", "5.0.9"])
def test_every_key_is_one_that_the_version_knows(version: str, born: str) -> None:
    datacenter = desired(version=version)
    keys = yaml.safe_load(cassandra_yaml(datacenter, replace(LEDGER, born_version=born)))
    assert set(keys) <= settings.KEYS[datacenter.release[:2]]
    assert keys["cluster_name"] == "shop"
    assert keys["authenticator"] == "PasswordAuthenticator"
    assert keys["num_tokens"] == 16


def test_the_users_keys_win_under_any_name() -> None:
    config = {"num_tokens": 8, "commitlog_sync_period_in_ms": 5000, "disk_failure_policy": None, "concurrent_reads": 64}
    keys = yaml.safe_load(cassandra_yaml(desired(config=config), LEDGER))
    assert keys["num_tokens"] == 8
    assert keys["commitlog_sync_period_in_ms"] == 5000
    assert "commitlog_sync_period" not in keys
    assert "disk_failure_policy" not in keys
    assert keys["concurrent_reads"] == 64


def test_a_line_a_key_so_that_a_script_can_append() -> None:
    text = cassandra_yaml(
        desired(config={"memtable": {"configurations": {"trie": {"class_name": "TrieMemtable"}}}}), LEDGER
    )
    lines = text.splitlines()
    assert text.endswith("\n")
    assert [line.split(":")[0] for line in lines] == sorted(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("release", "born", "expected"),
    [
        ((4, 0, 19), "4.0.19", {}),
        ((4, 1, 10), "4.1.10", {"uuid_sstable_identifiers_enabled": True}),
        ((4, 1, 10), "4.0.19", {"uuid_sstable_identifiers_enabled": False}),
        ((5, 0, 9), "5.0.8", {"uuid_sstable_identifiers_enabled": True, "storage_compatibility_mode": "NONE"}),
        ((5, 0, 9), "4.1.10", {"uuid_sstable_identifiers_enabled": True, "storage_compatibility_mode": "CASSANDRA_4"}),
        ((5, 0, 9), "4.0.19", {"uuid_sstable_identifiers_enabled": False, "storage_compatibility_mode": "CASSANDRA_4"}),
        ((5, 0, 9), "", {"uuid_sstable_identifiers_enabled": False, "storage_compatibility_mode": "CASSANDRA_4"}),
    ],
)
def test_formats_follow_the_version_of_birth(
    release: tuple[int, int, int], born: str, expected: dict[str, Any]
) -> None:
    assert history(release, born) == expected


# Comparing with what lives


def as_the_server_returns(item: dict[str, Any]) -> dict[str, Any]:
    live = copy.deepcopy(item)
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "managedFields": []}
    live["status"] = {"replicas": 2}
    live["spec"] |= {"minReadySeconds": 0, "template": {**live["spec"]["template"]}}
    pod = live["spec"]["template"]["spec"]
    pod |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
    pod["containers"][0] |= {"terminationMessagePath": "/dev/termination-log"}
    pod["containers"][0]["resources"]["limits"]["memory"] = "8192Mi"
    pod["containers"].reverse()
    return live


def test_what_the_server_fills_in_is_no_difference() -> None:
    template = {"spec": {"containers": [{"name": "side", "image": "x"}]}}
    item = manifests.with_applied_annotation(built(desired(pod_template=template))[0])
    assert manifests.differences(item, as_the_server_returns(item)) == []


def test_differences_are_told_with_their_path() -> None:
    one, other = (
        built(desired())[0],
        built(desired(image="mine:1", heap="2G", resources={"limits": {"memory": "6Gi"}}))[0],
    )
    assert manifests.differences(other, as_the_server_returns(one)) == [
        "spec.template.spec.containers[cassandra].env[MAX_HEAP_SIZE].value",
        "spec.template.spec.containers[cassandra].image",
        "spec.template.spec.containers[cassandra].resources.limits.memory",
        "spec.template.spec.containers[cassandra].resources.requests.memory",
    ]


def test_what_is_no_longer_desired_is_a_difference() -> None:
    with_option, without = built(desired(jvm_options=["-Da=1"]))[0], built(desired())[0]
    live = as_the_server_returns(manifests.with_applied_annotation(with_option))
    found = manifests.differences(manifests.with_applied_annotation(without), live)
    assert "spec.template.spec.containers[cassandra].env[JVM_EXTRA_OPTS]" in found
    priority = built(desired(pod_template={"spec": {"priorityClassName": "high"}}))[0]
    live = as_the_server_returns(manifests.with_applied_annotation(priority))
    found = manifests.differences(manifests.with_applied_annotation(without), live)
    assert found == ["metadata.annotations.cassops.kubernetes/applied"]


def test_an_absent_object_differs_in_everything() -> None:
    assert manifests.differences({"spec": {"a": 1}, "data": {}}, {}) == ["spec"]


# --- backups by the clock ---------------------------------------------------------------------------------------------

SCHEDULED = {
    "repository": "s3:https://s3.example.com/a$(b)",
    "password_secret": "backup-password",
    "exclude_keyspaces": ["scratch"],
    "schedule": "15 3 * * *",
    "schedule_image": "tools/cassops:1",
    "schedule_memory": "1Gi",
    "schedule_variables": {"backup_parallel": "all"},
}


def scheduled() -> dict[str, Any]:
    (found,) = built(desired(backup=SCHEDULED, superuser_secret="root"), kind="CronJob")
    return found


def test_a_schedule_runs_the_playbooks_with_the_datacenters_own_variables() -> None:
    job = scheduled()
    assert job["metadata"]["name"] == "shop-dc1-backup"
    assert (job["spec"]["schedule"], job["spec"]["timeZone"]) == ("15 3 * * *", "Etc/UTC")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    (ran,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert ran["image"] == "tools/cassops:1"
    env = {item["name"]: item["value"] for item in ran["env"]}
    # Kubernetes' own expansion.
    variables = json.loads(env["VARIABLES"].replace("$$", "$"))
    assert "$$(b)" in env["VARIABLES"]
    assert (variables["cassandra_cluster"], variables["cassandra_superuser_secret"]) == ("shop", "root")
    assert variables["backup_parallel"] == "all"
    assert ran["resources"]["limits"] == {"memory": "1Gi"}
    unscheduled = {key: value for key, value in SCHEDULED.items() if not key.startswith("schedule")}
    assert spec_parser.parse_backup(variables["cassandra_backup"]) == spec_parser.parse_backup(unscheduled)


def test_a_schedules_pods_are_none_of_the_datacenters_and_fit_a_restricted_namespace() -> None:
    template = scheduled()["spec"]["jobTemplate"]["spec"]["template"]
    (selector,) = (item["spec"]["selector"] for item in built(desired(), kind="Service")[1:2])
    assert not selector.items() <= template["metadata"]["labels"].items()
    security = template["spec"]["securityContext"]
    assert (security["runAsNonRoot"], security["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    (ran,) = template["spec"]["containers"]
    assert ran["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not ran["securityContext"]["allowPrivilegeEscalation"]


def test_a_schedules_pods_take_what_the_cluster_wants_of_them() -> None:
    template = {
        "metadata": {"annotations": {"sidecar.istio.io/inject": "false", "karpenter.sh/do-not-disrupt": None}},
        "spec": {
            "securityContext": {"runAsUser": None},
            "containers": [{"name": "backup", "resources": {"limits": {"cpu": "2"}}}],
        },
    }
    (job,) = built(desired(backup={**SCHEDULED, "schedule_pod_template": template}), kind="CronJob")
    made = job["spec"]["jobTemplate"]["spec"]["template"]
    assert made["metadata"]["annotations"] == {
        "sidecar.istio.io/inject": "false",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    }
    assert made["metadata"]["labels"] == scheduled()["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert "runAsUser" not in made["spec"]["securityContext"]
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}


def test_a_scheduled_run_that_is_evicted_begins_again() -> None:
    """Other failures are not tried again: C(backoffLimit) does not count what the policy ignores."""
    job = scheduled()["spec"]["jobTemplate"]["spec"]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert (job["backoffLimit"], rule["action"]) == (0, "Ignore")
    assert rule["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    (ran,) = job["template"]["spec"]["containers"]
    assert ran["command"][-1].startswith(f"sleep {DURATION}\n"), "until then the lock of that one is not free"
    annotations = job["template"]["metadata"]["annotations"]
    assert annotations["karpenter.sh/do-not-disrupt"] == "true"


def test_repairs_by_the_clock_are_a_cronjob_of_their_own() -> None:
    repair = {
        "schedule": "15 1 * * *",
        "schedule_image": "tools/cassops:1",
        "schedule_variables": {"repair_max_age": 345600},
        "schedule_pod_template": {"spec": {"containers": [{"name": "repair", "resources": {"limits": {"cpu": "1"}}}]}},
    }
    backup, job = built(desired(backup=SCHEDULED, repair=repair, superuser_secret="root"), kind="CronJob")
    assert (backup["metadata"]["name"], job["metadata"]["name"]) == ("shop-dc1-backup", "shop-dc1-repair")
    assert job["metadata"]["labels"] == backup["metadata"]["labels"]
    template = job["spec"]["jobTemplate"]["spec"]["template"]
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == "cassops-repair"
    (ran,) = template["spec"]["containers"]
    assert "for playbook in repair; do" in ran["command"][-1]
    assert ran["resources"]["limits"] == {"cpu": "1", "memory": "512Mi"}
    env = {item["name"]: item["value"] for item in ran["env"]}
    assert json.loads(env["VARIABLES"].replace("$$", "$")) == {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "cassandra_cluster": "shop",
        "cassandra_superuser_secret": "root",
        "repair_max_age": 345600,
    }
    assert built(desired(repair={**repair, "schedule": ""}), kind="CronJob") == []


def test_a_schedule_alters_no_pod() -> None:
    unscheduled = {key: value for key, value in SCHEDULED.items() if not key.startswith("schedule")}
    assert built(desired(backup=SCHEDULED)) == built(desired(backup=unscheduled))
    assert built(desired(backup=unscheduled), kind="CronJob") == []


def test_a_schedules_shell_goes_on_and_fails_where_one_playbook_did(tmp_path: Path) -> None:
    (command,) = (
        item["command"] for item in scheduled()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    )
    said = tmp_path / "said"
    program = tmp_path / "ansible-playbook"
    program.write_text(f'#!/bin/sh\necho "$1 $2 $5" >>{said}\n[ "$5" != cassops.kubernetes.$FAILS ]\n')
    program.chmod(0o755)
    # It waits before it tries again.
    (tmp_path / "sleep").symlink_to("/bin/true")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "DATACENTER": "dc1", "VARIABLES": "{}"}
    assert subprocess.run(command, env={**env, "FAILS": "backup"}, check=False).returncode == 1
    playbooks = [f"-i dc1, cassops.kubernetes.{name}" for name in ("backup", "verify_backup", "purge_backups")]
    assert said.read_text().splitlines() == playbooks
    assert subprocess.run(command, env={**env, "FAILS": "none"}, check=False).returncode == 0


def test_a_drain_takes_no_node_that_is_only_late_while_another_is_away() -> None:
    (budget,) = built(desired(), kind="PodDisruptionBudget")
    planned = len(desired().nodes())
    assert budget["spec"]["minAvailable"] == planned - 1 > 0
    assert "maxUnavailable" not in budget["spec"], "Kubernetes would not count a node whose pod cannot be made"
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "IfHealthyBudget"
    # Of a datacenter that lives the ledger tells how many there are; scale makes them what the inventory wants.
    ledger = replace(LEDGER, nodes={pod: LedgerNode(pod) for pod in ("a", "b", "c", "d")})
    assert built(desired(), ledger, "PodDisruptionBudget")[0]["spec"]["minAvailable"] == 3 != planned - 1


@pytest.mark.parametrize("version", ["4.0.19", "4.1.10", "5.0.9"])
def test_a_commit_log_that_is_synced_at_once_has_no_period(version: str) -> None:
    keys = yaml.safe_load(cassandra_yaml(desired(version=version, config={"commitlog_sync": "batch"}), LEDGER))
    assert keys["commitlog_sync"] == "batch"
    assert not {"commitlog_sync_period", "commitlog_sync_period_in_ms"} & {*keys}
