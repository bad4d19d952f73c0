# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address plan. Everything lies in 198.18.0.0/15, which is set aside for benchmarks and so is nobody's LAN."""

from __future__ import annotations

from .errors import SandboxError

SANDBOX_NET = "198.18.0.0/15"
POD_NET = "198.18.0.0/16"  # also holds the workers: traffic between them and the pods keeps its source address
SERVICE_NET = "198.19.0.0/16"
API_SERVICE = "198.19.0.1"
GATEWAY = "198.18.0.1"
PREFIX_LENGTH = 24
BRIDGE = "cassops0"
MAX_WORKERS = 15


def worker_index(name: str) -> int:
    """Number of a worker from its name ("worker3" -> 3).

    Raises SandboxError when the name is not one of worker1 to worker15.
    """
    digits = name.removeprefix("worker")
    if name == digits or not digits.isascii() or not digits.isdigit() or digits.startswith("0"):
        raise SandboxError(f"'{name}' is not the name of a worker: workers are called worker1, worker2, ...")
    index = int(digits)
    if index > MAX_WORKERS:
        raise SandboxError(f"'{name}': the sandbox has addresses for {MAX_WORKERS} workers only")
    return index


def worker_name(index: int) -> str:
    """Name of the worker with that number, counted from 1."""
    return f"worker{index}"


def worker_address(index: int) -> str:
    """Address of the worker on the bridge."""
    return f"198.18.0.{10 + index}"


def pod_subnet(index: int) -> str:
    """The /24 that the worker's pods get their addresses from."""
    return f"198.18.{16 * index}.0/24"


def zone(index: int) -> str:
    """Zone of a worker unless another one is asked for: three zones, taken in turn."""
    return f"zone{(index - 1) % 3 + 1}"


def namespace(name: str) -> str:
    """Network namespace of a worker."""
    return f"cassops-{name}"


def link(name: str) -> str:
    """The bridge's end of the worker's cable (15 characters at most)."""
    return f"cop-{name}"


def cgroup(name: str) -> str:
    """Name of the worker's control group under the root."""
    return f"cassops-{name}"
