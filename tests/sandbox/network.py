# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridge, routes and one network namespace a worker."""

from __future__ import annotations

from pathlib import Path

from . import addresses
from .process import run

_FORWARD = [
    "FORWARD",
    "-s",
    addresses.SANDBOX_NET,
    "-d",
    addresses.SANDBOX_NET,
    "-m",
    "comment",
    "--comment",
    "cassops-sandbox",
    "-j",
    "ACCEPT",
]


def _ip(*words: str, inside: str | None = None, check: bool = True) -> str:
    command = ["ip", *words] if inside is None else ["nsenter", f"--net=/run/netns/{inside}", "ip", *words]
    return run(command, check=check).stdout


def link_exists(name: str) -> bool:
    """Whether there is such a network interface (asked by `ip`: /sys may show another namespace's)."""
    return run(["ip", "link", "show", name], check=False).returncode == 0


def _sysctl_at_least(name: str, least: int) -> None:
    path = Path("/proc/sys") / name
    if path.exists() and int(path.read_text(encoding="ascii")) < least:
        path.write_text(str(least), encoding="ascii")


def ensure_bridge() -> None:
    """The bridge with the host's own address, and routes that keep all of the sandbox's traffic on this machine."""
    if not link_exists(addresses.BRIDGE):
        _ip("link", "add", addresses.BRIDGE, "type", "bridge")
    _ip("addr", "replace", f"{addresses.GATEWAY}/{addresses.PREFIX_LENGTH}", "dev", addresses.BRIDGE)
    _ip("link", "set", addresses.BRIDGE, "up")
    # What has no more specific route must not follow the machine's default route out.
    _ip("route", "replace", "blackhole", addresses.SANDBOX_NET)
    # Without a route the kernel refuses a packet to a service before kube-proxy's rules see it.
    _ip("route", "replace", addresses.SERVICE_NET, "dev", addresses.BRIDGE, "src", addresses.GATEWAY)
    # Where bridged packets pass the host's firewall (br_netfilter), its policy may be to drop them.
    if run(["iptables", "-w", "-C", *_FORWARD], check=False).returncode != 0:
        run(["iptables", "-w", "-I", *_FORWARD])
    # Several kubelets and containerds watch many files.
    _sysctl_at_least("fs/inotify/max_user_instances", 8192)
    _sysctl_at_least("fs/inotify/max_user_watches", 524288)


def ensure_worker(name: str) -> None:
    """The worker's namespace, its cable to the bridge and its routes. It has no way out but to the sandbox."""
    index = addresses.worker_index(name)
    inside, outer = addresses.namespace(name), addresses.link(name)
    if not Path(f"/run/netns/{inside}").exists():
        _ip("netns", "add", inside)
    if not link_exists(outer):
        _ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", inside)
        _ip("link", "set", outer, "master", addresses.BRIDGE)
    _ip("link", "set", outer, "up")
    _ip("link", "set", "lo", "up", inside=inside)
    _ip("addr", "replace", f"{addresses.worker_address(index)}/{addresses.PREFIX_LENGTH}", "dev", "eth0", inside=inside)
    _ip("link", "set", "eth0", "up", inside=inside)
    _ip("route", "replace", addresses.SERVICE_NET, "via", addresses.GATEWAY, inside=inside)
    for other in range(1, addresses.MAX_WORKERS + 1):
        if other != index:
            _ip("route", "replace", addresses.pod_subnet(other), "via", addresses.worker_address(other), inside=inside)
    _ip("route", "replace", addresses.pod_subnet(index), "via", addresses.worker_address(index))
    run(
        [
            "nsenter",
            f"--net=/run/netns/{inside}",
            "sysctl",
            "-qw",
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
        ]
    )


def cut(name: str) -> None:
    """Pull the worker's cable, if it has one."""
    if link_exists(addresses.link(name)):
        _ip("link", "set", addresses.link(name), "down")


def plug(name: str) -> None:
    """Put the worker's cable back."""
    _ip("link", "set", addresses.link(name), "up")


def is_cut(name: str) -> bool:
    """Whether the worker's cable is pulled."""
    return "UP" not in _ip("-o", "link", "show", addresses.link(name), check=False).partition("<")[2].partition(">")[
        0
    ].split(",")


def pids_inside(name: str) -> list[int]:
    """Every process in the worker's own network namespace (not those of its pods, which have their own)."""
    if not Path(f"/run/netns/{addresses.namespace(name)}").exists():
        return []
    return [int(word) for word in run(["ip", "netns", "pids", addresses.namespace(name)], check=False).stdout.split()]


def remove_worker(name: str) -> None:
    """Take the worker's namespace, cable and route away."""
    _ip("link", "del", addresses.link(name), check=False)
    _ip("netns", "del", addresses.namespace(name), check=False)
    _ip("route", "del", addresses.pod_subnet(addresses.worker_index(name)), check=False)


def remove_firewall_remains() -> None:
    """Take away the chain that kube-proxy makes and its own `--cleanup` leaves behind."""
    chain = "KUBE-FIREWALL"
    for parent in ("INPUT", "OUTPUT"):
        run(["iptables", "-w", "-D", parent, "-j", chain], check=False)
    for how in ("-F", "-X"):
        run(["iptables", "-w", how, chain], check=False)


def remove_bridge() -> None:
    """Take the bridge, its routes and our own firewall rules away."""
    _ip("link", "del", addresses.BRIDGE, check=False)
    _ip("route", "del", "blackhole", addresses.SANDBOX_NET, check=False)
    while run(["iptables", "-w", "-D", *_FORWARD], check=False).returncode == 0:
        pass
