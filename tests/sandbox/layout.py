# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the sandbox keeps its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .versions import CASSANDRA, KUBERNETES, METRICS, PAUSE, RESTIC, TOOLS

SOURCE = Path(__file__).resolve().parent
RUN = Path("/run/cassops-sandbox")  # sockets and mounts: short, because a socket's path has at most 107 characters


def default_home() -> Path:
    """$CASSOPS_SANDBOX_HOME, else ~/.cache/cassops-sandbox."""
    chosen = os.environ.get("CASSOPS_SANDBOX_HOME")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "cassops-sandbox"


@dataclass(frozen=True)
class Layout:
    """Paths under one home: `cache` outlives `down`, `state` does not."""

    home: Path

    @property
    def cache(self) -> Path:
        """What was built or downloaded."""
        return self.home / "cache"

    @property
    def state(self) -> Path:
        """The running cluster: keys, etcd, workers, volumes, logs."""
        return self.home / "state"

    @property
    def lock(self) -> Path:
        """Held while something is changed."""
        return self.home / "lock"

    @property
    def log(self) -> Path:
        """Logs of the daemons."""
        return self.state / "log"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, one JSON object a line."""
        return self.state / "audit" / "audit.log"

    @property
    def kubernetes(self) -> str:
        """The version that the state is of; the usual one where none is noted."""
        noted = self.state / "kubernetes"
        return noted.read_text(encoding="ascii") if noted.exists() else KUBERNETES

    def note_kubernetes(self, version: str) -> None:
        """For the state that is made now."""
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "kubernetes").write_text(version, encoding="ascii")

    @property
    def s3_keys(self) -> Path:
        """JSON with the S3 server's access and secret key."""
        return self.state / "s3.json"

    @property
    def s3_data(self) -> Path:
        """Buckets of the S3 server."""
        return self.state / "s3"

    @property
    def workers(self) -> Path:
        """JSON: worker name -> zone."""
        return self.state / "workers.json"

    @property
    def images(self) -> Path:
        """Image archives, one a key."""
        return self.cache / "images"

    def pid_file(self, daemon: str) -> Path:
        """Pid file of one daemon."""
        return self.state / "pid" / f"{daemon}.pid"

    def log_file(self, daemon: str) -> Path:
        """Log of one daemon."""
        return self.log / f"{daemon}.log"

    def worker(self, name: str) -> Path:
        """A worker's disk."""
        return self.state / "workers" / name

    def volumes(self, name: str) -> Path:
        """The volumes that lie on a worker's disk."""
        return self.worker(name) / "volumes"

    @staticmethod
    def worker_run(name: str) -> Path:
        """A worker's sockets and mounts."""
        return RUN / name

    @staticmethod
    def containerd_socket(name: str) -> Path:
        """Socket of a worker's containerd."""
        return RUN / name / "containerd.sock"


def all_images() -> tuple[str, ...]:
    """References of every image that the sandbox can make, those included that it makes only when asked."""
    return (PAUSE, TOOLS, RESTIC, METRICS, *(image.name for image in CASSANDRA))
