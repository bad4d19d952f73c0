# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket of the sandbox's S3 server for the backups of one namespace, and what may happen to it."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import Sandbox

from .datacenter import Datacenter
from .namespace import Namespace

PASSWORD = "backup-password"
CREDENTIALS = "backup-store"


@dataclass
class Store:
    """:ivar keep: what is kept by a purge."""

    sandbox: Sandbox
    namespace: Namespace
    keep: dict[str, int] = field(default_factory=lambda: {"last": 2})
    # Whoever finds it in a log, a result or an argument has found a leak.
    password: str = field(default_factory=lambda: secrets.token_hex(20))

    @property
    def bucket(self) -> str:
        return f"backup-{self.namespace.name}"

    @property
    def folder(self) -> Path:
        """The bucket, as the S3 server keeps it on this machine's disk."""
        return self.sandbox.layout.s3_data / self.bucket

    @property
    def variable(self) -> dict[str, Any]:
        """cassandra_backup."""
        return {
            "repository": f"s3:{self.sandbox.s3.endpoint}/{self.bucket}/cassandra",
            "password_secret": PASSWORD,
            "credentials_secret": CREDENTIALS,
            "keep": self.keep,
        }

    @property
    def with_logs(self) -> dict[str, Any]:
        """cassandra_backup, with which any second can be restored."""
        return {**self.variable, "point_in_time": True}

    def make_secrets(self, password: str | None = None, key: str | None = None) -> None:
        """The two Secrets that a user makes, or with something else in them."""
        access = self.sandbox.s3
        keys = {
            "AWS_ACCESS_KEY_ID": access.access_key,
            "AWS_SECRET_ACCESS_KEY": key or access.secret_key,
            "AWS_DEFAULT_REGION": access.region,
        }
        self.namespace.apply(
            [
                {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
                for name, data in ((PASSWORD, {"password": password or self.password}), (CREDENTIALS, keys))
            ]
        )

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Connections to the store are refused."""
        self.sandbox.stop_s3()
        try:
            yield
        finally:
            self.sandbox.start_s3()

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """The store works for a tenth of the time."""
        over = threading.Event()

        def hesitate() -> None:
            while not over.is_set():
                self.sandbox.freeze_s3()
                time.sleep(0.9)
                self.sandbox.thaw_s3()
                over.wait(0.1)

        hesitating = threading.Thread(target=hesitate)
        hesitating.start()
        try:
            yield
        finally:
            over.set()
            hesitating.join()

    @contextlib.contextmanager
    def small(self, size: str) -> Iterator[dict[str, Any]]:
        """cassandra_backup with a bucket of its own, on a disk of so many bytes (as C(mount) reads them)."""
        folder = self.folder.with_name(f"{self.bucket}-small")
        folder.mkdir(parents=True)
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
            yield {**self.variable, "repository": f"s3:{self.sandbox.s3.endpoint}/{folder.name}/cassandra"}
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
            folder.rmdir()

    def enlarge(self, size: str) -> None:
        """Give the disk of L(small) another size."""
        folder = self.folder.with_name(f"{self.bucket}-small")
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

    def files(self, kind: str = "data", below: str = "") -> list[Path]:
        """The objects of one kind (data, index, snapshots, ...) in all repositories, or in those with a word in it."""
        return sorted(
            path for path in self.folder.rglob("*") if path.is_file() and kind in path.parts and below in str(path)
        )

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def flipped_bit(file: Path) -> Iterator[None]:
    """One bit in the middle of an object is another one."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    try:
        yield
    finally:
        data[len(data) // 2] ^= 1
        file.write_bytes(data)


def restic(datacenter: Datacenter, node: str, part: str, *words: str) -> str:
    """Run restic by hand in a node's container, as docs/operations/backup.md has it; what it printed."""
    repository = (
        f"{datacenter.variables['cassandra_backup']['repository']}/{datacenter.cluster}/{datacenter.name}/{part}"
    )
    script = (
        "for key in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_DEFAULT_REGION; do "
        'export $key="$(cat /cassops/backup/credentials/$key)"; done; '
        'exec restic --password-file /cassops/backup/password/password --cache-dir /cassops/backup/spool/cache "$@"'
    )
    return datacenter.namespace.kubectl(
        "exec", node, "-c", "backup", "--", "sh", "-c", script, "sh", "-r", repository, *words, seconds=180
    )


def listed(datacenter: Datacenter) -> dict[str, dict[str, Any]]:
    """Every backup by name, as the playbook tells it."""
    found = datacenter.run("list_backups", facts=True).ok().facts[datacenter.host]["backups"]
    return {one["name"]: one for one in found}
