# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and clients that speak TLS and nothing else: the variables of docs/tls.md, in the order of this file."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cassandra.cluster import Cluster, NoHostAvailable
from integration.harness import certificates, rollouts, samples, waiting, workload
from integration.harness.certificates import Authority
from integration.harness.datacenter import Datacenter, shipped_variables
from integration.harness.faults import Volume, stopped
from integration.harness.kubernetes import Object
from integration.harness.namespace import Namespace, Namespaces
from sandbox import Sandbox
from unit.docs import examples

pytestmark = pytest.mark.soak

SECRET = "shop-tls"
STEPS: tuple[Mapping[str, Any], ...] = (
    {"internode_encryption": "none", "optional": True},
    {"internode_encryption": "all", "optional": True},
    {"internode_encryption": "all", "optional": False},
)
"""Of a datacenter that runs without TLS between its nodes."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return certificates.authority()


@pytest.fixture(scope="module")
def three(namespaces: Namespaces, sandbox: Sandbox, authority: Authority) -> Iterator[Datacenter]:
    """Three nodes that have never spoken otherwise."""
    with namespaces.fresh("tls") as namespace:
        namespace.apply([secret(authority)])
        yield deployed(namespace)


def secret(authority: Authority) -> Object:
    """The Secret of the page, with a certificate that nobody had before."""
    files = {"tls-combined.pem": authority.issue(), "ca.crt": authority.certificate}
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": data}


def deployed(namespace: Namespace, **variables: Any) -> Datacenter:
    datacenter = Datacenter(namespace, variables={**of_the_page(), **variables})
    datacenter.deploy()
    return datacenter


def of_the_page(between_nodes: Mapping[str, Any] | None = None, clients: Mapping[str, Any] | None = None) -> Object:
    """The variables of docs/tls.md, with these options laid over its own."""
    (page,) = [each for each in examples.of_pages("yaml") if each.place.startswith("docs/tls.md")]
    (variables,) = page.documents()
    config = {**shipped_variables(sandbox=True)["cassandra_config"], **variables["cassandra_config"]}
    for key, options in (("server", between_nodes), ("client", clients)):
        config[f"{key}_encryption_options"] = {**config[f"{key}_encryption_options"], **(options or {})}
    return {**variables, "cassandra_config": config}


# Before the datacenter of the other tests, so that three nodes at a time share the machine.
def test_a_datacenter_that_runs_without_gets_there_in_three_steps(
    namespaces: Namespaces, sandbox: Sandbox, authority: Authority
) -> None:
    with namespaces.fresh("tls-steps") as namespace:
        namespace.apply([secret(authority)])
        plain = Datacenter(namespace)
        plain.deploy()
        with samples.at_work(plain) as client:
            leap = Datacenter(namespace, variables=of_the_page(clients={"optional": True}))
            assert_refused(leap, "by TLS, and it takes none")
            for step in STEPS:
                wanted = Datacenter(namespace, variables=of_the_page(step, {"optional": True}))
                wanted.deploy()
                with rollouts.no_request_fails(wanted, client):
                    assert sorted(rollouts.restarted(rollouts.restart(wanted), wanted)) == wanted.nodes
        assert_encrypted(wanted)
        with by_tls(wanted, authority) as cluster:
            cluster.connect()
        # Back at once, which takes the whole datacenter down.
        assert_refused(plain, "without TLS, and it takes TLS only")
        plain.run("stop").ok()
        plain.run("start").ok()
        assert listening(plain) == dict.fromkeys(plain.nodes, "unencrypted")
        assert client.record.acknowledged.items() <= workload.rows_of(plain).items()


def assert_refused(leap: Datacenter, words: str) -> None:
    """The change is registered, and brought to no node."""
    lives = leap.lives()
    leap.deploy()
    leap.run("restart", "--check").refused("nodes would not hear each other", words)
    leap.run("restart").refused("nodes would not hear each other", words, "optional: true")
    assert leap.lives() == lives


def listening(datacenter: Datacenter) -> dict[str, str]:
    """By node, what it says it takes from others since its last start."""
    return {
        node: re.findall(
            r"Listening on address: \(.*:7000\).* encryption: ([a-z ]+)",
            datacenter.namespace.kubectl("logs", node, "-c", "cassandra"),
        )[-1]
        for node in datacenter.nodes
    }


def test_the_same_on_4_1(namespaces: Namespaces, sandbox: Sandbox, authority: Authority) -> None:
    with namespaces.fresh("tls-before-5") as namespace:
        namespace.apply([secret(authority)])
        older = deployed(namespace, cassandra_version="4.1.10")
        assert older.deploy().changed == 0
        assert_encrypted(older)
        with by_tls(older, authority) as cluster:
            cluster.connect()
        before = older.lives()
        older.run("restart", rollout_force=True, rollout_soak=0).ok()
        assert all(life != before[node] for node, life in older.lives().items())
        assert_encrypted(older)


def test_a_second_deploy_changes_nothing_and_status_sees_no_problem(three: Datacenter) -> None:
    again = three.deploy()
    assert again.changed == 0, again.output
    assert three.status(status_fail_on="down")["problems"] == []


def test_nodes_speak_tls_with_each_other_and_nothing_else(three: Datacenter) -> None:
    assert_encrypted(three)


def assert_encrypted(datacenter: Datacenter) -> None:
    """Since its last start each node has spoken with the others by TLS, and never without, and takes nothing else."""
    assert listening(datacenter) == dict.fromkeys(datacenter.nodes, "encrypted")
    for node in datacenter.nodes:
        log = datacenter.namespace.kubectl("logs", node, "-c", "cassandra")
        assert "encryption = encrypted" in log
        assert "encryption = unencrypted" not in log


def test_clients_get_in_by_tls_and_not_without(three: Datacenter, authority: Authority) -> None:
    with workload.connect(three) as plain, pytest.raises(NoHostAvailable):
        plain.connect()
    with by_tls(three, authority) as cluster:
        rows = list(cluster.connect().execute("SELECT cluster_name FROM system.local"))
    assert [row.cluster_name for row in rows] == [three.cluster]


def by_tls(datacenter: Datacenter, authority: Authority) -> Cluster:
    """A driver that believes this authority only."""
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    context.check_hostname = False
    return workload.connect(datacenter, tls=context)


def test_a_renewed_certificate_is_taken_without_a_restart(three: Datacenter, authority: Authority) -> None:
    before, lives = shown(three), three.lives()
    three.namespace.apply([secret(authority)])
    wanted = three.namespace.get("secret", SECRET)["data"]["tls-combined.pem"]
    waiting.until("the kubelets to renew what is mounted", lambda: stale(three, wanted), 300)
    for node in three.nodes:
        three.nodetool(node, "reloadssl")
    after = shown(three)
    assert all(after[node] != before[node] for node in three.nodes)
    assert len(set(after.values())) == 1
    assert three.lives() == lives
    with by_tls(three, authority) as cluster:
        cluster.connect()
    # One that starts meets nodes that took theirs while they ran.
    first = three.nodes[0]
    three.run("restart", rollout_force=True, rollout_soak=0, rollout_limit=[first]).ok()
    assert [node for node, life in three.lives().items() if life != lives[node]] == [first]
    assert_encrypted(three)


def shown(datacenter: Datacenter) -> dict[str, str]:
    """By node, the certificate that it shows to clients."""
    return {node: ssl.get_server_certificate((address, 9042)) for node, address in datacenter.addresses().items()}


def stale(datacenter: Datacenter, wanted: str) -> list[str]:
    """Nodes whose mounted files are not those of the Secret yet."""
    mounted = {node: datacenter.namespace.exec(node, "cat", "/tls/tls-combined.pem") for node in datacenter.nodes}
    return [f"{node} has the former one" for node, text in mounted.items() if text.encode() != base64.b64decode(wanted)]


def test_a_restart_and_a_lost_volume(three: Datacenter) -> None:
    before = three.lives()
    three.run("restart", rollout_force=True, rollout_soak=0).ok()
    restarted = three.lives()
    assert all(restarted[node] != before[node] for node in three.nodes)
    lost = three.nodes[1]
    with stopped(three, lost):
        Volume.of(three, lost).wipe()
    waiting.until("the node to be held", lambda: missing(three, lost), 300)
    healed = three.run("heal").ok()
    assert healed.changed == 1, healed.output
    three.wait_up()


def missing(datacenter: Datacenter, lost: str) -> list[str]:
    """Why status does not call the node held yet."""
    (node,) = [each for each in datacenter.status()["nodes"] if each["name"] == lost]
    return [] if node["held"] else [f"{lost} is not held"]
