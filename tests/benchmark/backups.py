# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and restores beside bare restic on the same files, and what a client feels of a backup."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cargo
import measure
import scene
from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from sandbox import Sandbox

from ansible_collections.cassops.kubernetes.plugins.module_utils import restic
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.manifests.backup import ENVIRONMENT

OURS, RESTORED = "cassops-benchmark-backup", "cassops-benchmark-restored"
# For how many seconds a client is watched without a backup, and how many requests a second it makes.
WATCHED = 30.0
RATE = 50.0
LIMIT = 900.0
PAUSE = 0.1
PASSWORD, CREDENTIALS = "backup-password", "backup-store"
BUCKET = "benchmark"
VALUES: dict[str, Any] = {
    **scene.SMALL,
    "racks": [{**rack, "nodes": 1} for rack in scene.SMALL["racks"]],
}
PREFIX = f"{VALUES['cluster']}-{VALUES['datacenter']}"
NODES = [f"{PREFIX}-{rack['name']}-0" for rack in VALUES["racks"]]


def benchmark(where: scene.Scene, runs: int, quiet: float, data: int) -> list[measure.Result]:
    """All of it, on three nodes in three racks.

    :param data: MiB that each node holds, half of it new in the backup that a client feels. A real node has some
        hundred times that.
    """
    with Store.bucket(Sandbox()) as store, where.namespace(OURS):
        site = Site(where, OURS, store, data)
        site.deploy()
        site.load(data // 2)
        site.play("backup", "backup_name=before")
        results = [felt(site, quiet), *uploads(site, runs, quiet)]
        with where.namespace(RESTORED):
            return [*results, restored(Site(where, RESTORED, store, data), f"full-{runs - 1}", quiet)]


class Store:
    """A bucket of the sandbox's S3 server."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.password = secrets.token_hex(20)
        self.base = f"s3:{sandbox.s3.endpoint}/{BUCKET}"

    @classmethod
    @contextmanager
    def bucket(cls, sandbox: Sandbox) -> Iterator[Store]:
        """An empty one; nothing of it is left afterwards. It has a multiple of what the nodes have."""
        folder = sandbox.layout.s3_data / BUCKET
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield cls(sandbox)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def make_secrets(self, kube: Kube) -> None:
        access = self.sandbox.s3
        keys = {
            "AWS_ACCESS_KEY_ID": access.access_key,
            "AWS_SECRET_ACCESS_KEY": access.secret_key,
            "AWS_DEFAULT_REGION": access.region,
        }
        for name, data in ((PASSWORD, {"password": self.password}), (CREDENTIALS, keys)):
            kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})


class Site:
    """A datacenter with the container for backups, in a namespace of its own."""

    def __init__(self, where: scene.Scene, namespace: str, store: Store, data: int) -> None:
        self.where = where
        self.namespace = namespace
        self.store = store
        self.data = data
        self.kube: Kube = where.kube(namespace)
        self.inventory: Path = self.with_bandwidth("0")

    def with_bandwidth(self, bandwidth: str | None) -> Path:
        """The inventory; 0 is no limit, None the default."""
        backup = {
            "repository": f"{self.store.base}/ours",
            "password_secret": PASSWORD,
            "credentials_secret": CREDENTIALS,
            **({} if bandwidth is None else {"bandwidth": bandwidth}),
        }
        # With room for compactions, and for the files that a restore brings.
        storage = {"class": "local", "size": f"{4 + self.data * 3 // 1024}Gi"}
        return self.where.inventory(self.namespace, {**VALUES, "storage": storage, "backup": backup})

    def deploy(self) -> float:
        self.store.make_secrets(self.kube)
        return self.where.play("deploy", self.inventory).seconds

    def play(self, playbook: str, *options: str) -> float:
        words = [word for option in options for word in ("-e", option)]
        return self.where.play(playbook, self.inventory, *words).seconds

    def load(self, mebibytes: int) -> None:
        """Rows that stay in the files they came in: compactions would go on beside the measurements, and at other times
        in the one than in the other."""
        print(f"  writing {mebibytes} MiB a node ...", flush=True)
        cargo.load(self.kube, NODES, mebibytes)
        for node in NODES:
            for verb in (["disableautocompaction", "cargo"], ["stop", "COMPACTION"]):
                self.kube.exec(node, ["nodetool", *verb], timeout=LIMIT)

    def bare(self, node: str, repository: str, *words: str) -> float:
        """restic by hand, in the same container; its seconds.

        :raises Failed: it did not end with 0.
        """
        settle()
        began = time.monotonic()
        argv = ["sh", "-c", f'{ENVIRONMENT}cd /var/lib/cassandra/data && exec restic "$@"', "sh", repository, *words]
        done = self.kube.exec(node, argv, restic.CONTAINER, timeout=LIMIT)
        if done.rc:
            raise measure.Failed(f"{node}: restic {' '.join(words)} ended with {done.rc}: {done.stderr}")
        return time.monotonic() - began


def settle() -> None:
    """What was written before is on disk: else the next one who writes waits for it."""
    os.sync()


# --- upload -----------------------------------------------------------------------------------------------------------


def uploads(site: Site, runs: int, quiet: float) -> list[measure.Result]:
    """First uploads of all files, and second ones of none, each beside restic by hand on the same files: ours are
    Cassandra's own few more.

    Each turn has repositories of its own. Racks, which are nodes here, go one after the other, both times.
    """
    full, again = [], []
    for turn in range(runs):
        measure.wait_until_quiet(quiet)
        base = f"{site.store.base}/bare-{turn}"
        for node in NODES:
            site.bare(node, f"{base}/{node}", "init")
        bare = sum(site.bare(node, f"{base}/{node}", "backup", "--quiet", "cargo") for node in NODES)
        scan = sum(site.bare(node, f"{base}/{node}", "backup", "--quiet", "cargo") for node in NODES)
        site.store.base = f"{site.store.base.partition('/turn-')[0]}/turn-{turn}"
        site.inventory = site.with_bandwidth("0")
        ours = upload_seconds(site, f"full-{turn}")
        whole = site.play("backup")
        full.append((bare, ours))
        again.append((whole, scan))
        print(f"  bare {bare:.1f} s, upload {ours:.1f} s; again: bare {scan:.1f} s, all {whole:.1f} s", flush=True)
    ratio = statistics.median(bare / ours for bare, ours in full)
    beside = statistics.median(whole - scan for whole, scan in again)
    pairs = "; ".join(f"restic {bare:.1f} s, ours {ours:.1f} s" for bare, ours in full)
    repeats = "; ".join(f"playbook {whole:.1f} s, restic {scan:.1f} s" for whole, scan in again)
    told = f"3 nodes of {site.data} MiB, one after the other, without a limit"
    return [
        measure.Result("upload throughput / bare restic on the same files", ratio, 0.9, "higher", f"{told}: {pairs}"),
        measure.Result(
            "backup without changes, seconds besides restic's own scan", beside, 5, "lower", f"{told}: {repeats}"
        ),
    ]


def upload_seconds(site: Site, name: str) -> float:
    """Seconds from the snapshots to the backup's manifest, as its ConfigMap tells: what restic by hand would have to do
    too, the comparison and the manifests included."""
    seen: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            found = site.kube.get("ConfigMap", f"{PREFIX}-backup")
            taken = found is not None and json.loads(found["data"]["manifest"])["taken"]
            if bool(taken) != bool(len(seen) % 2):
                seen.append(time.monotonic())
            time.sleep(PAUSE)

    settle()
    with measure.beside(watch, ended):
        site.play("backup", f"backup_name={name}")
        time.sleep(2 * PAUSE)
    if len(seen) != 2:
        raise measure.Failed(f"the upload of {name} was not seen to begin and to end")
    return seen[1] - seen[0]


# --- what a client feels ----------------------------------------------------------------------------------------------


class Client:
    """Writes and reads at QUORUM, one after the other, at a bounded rate; remembers how long each took."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.seconds: list[float] = []
        self.ended = threading.Event()

    def run(self) -> None:
        write = self.session.prepare("INSERT INTO cargo.client (n, data) VALUES (?, ?)")
        read = self.session.prepare("SELECT data FROM cargo.client WHERE n = ?")
        write.consistency_level = read.consistency_level = ConsistencyLevel.QUORUM
        number = 0
        while not self.ended.is_set():
            number += 1
            for statement, values in ((write, (number % 1000, "x" * 200)), (read, (number % 1000,))):
                began = time.monotonic()
                self.session.execute(statement, values)
                took = time.monotonic() - began
                self.seconds.append(took)
                self.ended.wait(max(0.0, 1 / RATE - took))

    def quantile(self, part: float) -> float:
        """In milliseconds."""
        return 1000 * sorted(self.seconds)[int(part * (len(self.seconds) - 1))]


@contextmanager
def client_of(site: Site) -> Iterator[Client]:
    with cargo.session(site.kube, NODES) as session:
        session.execute("CREATE TABLE IF NOT EXISTS cargo.client (n int PRIMARY KEY, data text)")
        client = Client(session)
        with measure.beside(client.run, client.ended):
            yield client


def felt(site: Site, quiet: float) -> measure.Result:
    """QUORUM during a backup of new rows with the default throttle, and without one."""
    new = site.data - site.data // 2
    site.load(new)
    site.inventory = site.with_bandwidth(None)
    measure.wait_until_quiet(quiet)
    with client_of(site) as alone:
        time.sleep(WATCHED)
    with client_of(site) as beside:
        seconds = site.play("backup", "backup_name=felt")
    detail = (
        f"p50 {beside.quantile(0.5):.1f} ms against {alone.quantile(0.5):.1f}, p99 {beside.quantile(0.99):.1f} ms "
        f"against {alone.quantile(0.99):.1f}; {RATE:.0f} requests a second for {seconds:.0f} and {WATCHED:.0f} s, "
        f"default throttle, {new} MiB new on each node; the controller and the store are on the same cores"
    )
    ratio = beside.quantile(0.99) / alone.quantile(0.99)
    return measure.Result("p99 of QUORUM during a backup / without", ratio, None, "lower", detail)


# --- restore ----------------------------------------------------------------------------------------------------------


def restored(site: Site, backup: str, quiet: float) -> measure.Result:
    """Into a new datacenter in another namespace: the same names, so the same tokens; restic by hand on its nodes, once
    before and once after, since who comes first finds the store's files less warm."""
    measure.wait_until_quiet(quiet)
    deploy = site.deploy()
    before = by_hand(site)
    settle()
    ours = site.play("restore", f"restore_name={backup}", "restore_tables=cargo", "restore_repair=false")
    after = by_hand(site)
    ratio = (deploy + ours) / (deploy + statistics.mean((max(before), max(after))))
    bare = "; ".join(", ".join(f"{each:.1f}" for each in turn) for turn in (before, after))
    detail = (
        f"3 nodes of {site.data} MiB: deploy {deploy:.1f} s, restore (tokens kept, import, no repair) "
        f"{ours:.1f} s; restic restore at the same time before and after it {bare} s"
    )
    return measure.Result("new datacenter with a backup's rows / deploy + restic restore", ratio, 1.3, "lower", detail)


def by_hand(site: Site) -> list[float]:
    """What restic takes to bring the newest snapshot of every node at the same time; nothing of it stays."""
    place = f"{site.store.base}/ours/{VALUES['cluster']}/{VALUES['datacenter']}"
    target = "/var/lib/cassandra/.cassops/bare"

    def one(node: str, host_id: str) -> float:
        seconds = site.bare(node, f"{place}/{host_id}", "restore", "latest", "--quiet", "--target", target)
        site.kube.exec(node, ["rm", "-rf", target], restic.CONTAINER, timeout=LIMIT)
        return seconds

    with ThreadPoolExecutor(len(NODES)) as pool:
        return list(pool.map(one, NODES, stored_hosts(site)))


def stored_hosts(site: Site) -> list[str]:
    """The host ids of the nodes that were backed up."""
    ledger = site.where.kube(OURS).get("ConfigMap", f"{PREFIX}-ledger")
    lines = [line.split() for line in (ledger or {})["data"]["nodes"].splitlines()]
    return [next(line[2] for line in lines if line[0] == node) for node in NODES]
