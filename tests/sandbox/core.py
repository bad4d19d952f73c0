# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox as a whole: what the command line and the tests call."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import addresses, build, faults, images, network, pki, versions, worker
from .cluster import S3_PORT, S3_REGION, ControlPlane
from .errors import SandboxError
from .layout import RUN, Layout, default_home
from .process import daemon_pid, run, stop, wait_until
from .worker import Worker

_HOST_DAEMONS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "host-kube-proxy",
    "coredns",
    "local-path-provisioner",
    "versitygw",
    "etcd",
)


@dataclass(frozen=True)
class S3Access:
    """How to reach the S3 server, from the host and from pods alike."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str


def check_host() -> None:
    """Say in one sentence why the sandbox cannot run here, before anything is done.

    Raises SandboxError when this is not Linux, not x86-64, not root, or a machine without control groups.
    """
    if platform.system() != "Linux":
        raise SandboxError(
            f"the sandbox needs Linux (this is {platform.system()}): use a Linux machine or any Kubernetes of "
            "your own with KUBECONFIG set"
        )
    if platform.machine() != "x86_64":
        raise SandboxError(
            f"the sandbox needs x86-64, for which its images are built (this is {platform.machine()}): use such a "
            "machine or any Kubernetes of your own with KUBECONFIG set"
        )
    if os.geteuid() != 0:
        raise SandboxError("the sandbox needs root, because it makes network namespaces and runs containers: use sudo")
    cgroups = Path("/sys/fs/cgroup")
    if not (cgroups / "cgroup.controllers").exists() and not (cgroups / "memory").is_dir():
        raise SandboxError("the sandbox needs control groups with the memory controller, mounted on /sys/fs/cgroup")
    if not os.access(cgroups, os.W_OK):
        raise SandboxError("the sandbox needs to write to /sys/fs/cgroup, which is read-only here")


class Sandbox:
    """A disposable Kubernetes on this machine.

    home: folder of the cache and the state; default: $CASSOPS_SANDBOX_HOME, else ~/.cache/cassops-sandbox.
    say: gets each line of progress; default: prints it to standard error.
    Every method that changes something waits for the sandbox's lock, and raises SandboxError with a text for people.
    """

    def __init__(self, home: Path | None = None, say: Callable[[str], None] | None = None) -> None:
        self.layout = Layout(home or default_home())
        self._say = say or (lambda line: print(line, file=sys.stderr, flush=True))

    # What tests read

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.layout.kubeconfig

    @property
    def audit_log(self) -> Path:
        """The API server's audit log: one JSON object a line, every write request is there (level Metadata)."""
        return self.layout.audit_log

    @property
    def s3(self) -> S3Access:
        """Endpoint and keys of the S3 server."""
        keys = json.loads(self.layout.s3_keys.read_text(encoding="ascii"))
        return S3Access(f"http://{addresses.GATEWAY}:{S3_PORT}", S3_REGION, keys["access_key"], keys["secret_key"])

    @property
    def programs(self) -> Path:
        """Folder of the built programs, kubectl among them."""
        return build.programs_folder(self.layout, self.layout.kubernetes)

    @property
    def plane(self) -> ControlPlane:
        """The control plane's daemons, and kubectl as the administrator."""
        return ControlPlane(self.layout, self.programs)

    def workers(self) -> list[Worker]:
        """The workers, in the order of their numbers."""
        try:
            known: dict[str, str] = json.loads(self.layout.workers.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return [
            self._worker(name, zone)
            for name, zone in sorted(known.items(), key=lambda one: addresses.worker_index(one[0]))
        ]

    def worker(self, name: str) -> Worker:
        """One worker by its name. Raises SandboxError when there is none of that name."""
        for one in self.workers():
            if one.name == name:
                return one
        names = ", ".join(one.name for one in self.workers()) or "none"
        raise SandboxError(f"there is no worker '{name}' (there are: {names})")

    def volume(self, namespace: str, claim: str) -> Path:
        """Folder of a claim's data on this machine."""
        self._need()
        return faults.volume_folder(self.plane, namespace, claim)

    def is_up(self) -> bool:
        """Whether every daemon runs and every worker is Ready."""
        workers = self.workers()
        return (
            bool(workers)
            and self._all_daemons_run()
            and self.plane.api_is_ready()
            and not self._not_ready([one.name for one in workers])
        )

    # Up and down

    def build(self, *, kwok: bool = False, oldest: bool = False) -> None:
        """Build and cache all programs and images; nothing is started."""
        check_host()
        with self._locked():
            kubernetes = versions.OLDEST_KUBERNETES if oldest else versions.KUBERNETES
            build.everything(self.layout, self._say, kwok=kwok, kubernetes=kubernetes)

    def up(
        self,
        workers: int = 3,
        *,
        fresh: bool = False,
        oldest: bool = False,
        only_images: tuple[str, ...] | None = None,
    ) -> None:
        """Start the sandbox, or what of it does not run; returns when all workers are Ready and hold all images.

        workers: how many a new sandbox gets (one that exists keeps those it has, and gets more if it has fewer).
        fresh: remove what is there first.
        oldest: of the oldest Kubernetes that the collection works with. A sandbox that exists stays what it is, and is
            in the way of one of another version.
        only_images: load (and build) only these images; default: all.
        """
        check_host()
        if not 1 <= workers <= addresses.MAX_WORKERS:
            raise SandboxError(f"--workers is {workers}; the sandbox can have 1 to {addresses.MAX_WORKERS}")
        with self._locked():
            began = time.monotonic()
            if fresh:
                self._down()
            kubernetes = self._kubernetes(oldest)
            build.everything(self.layout, self._say, kubernetes=kubernetes, only_images=only_images)
            if not self.workers():
                self.layout.note_kubernetes(kubernetes)
            if not fresh and len(self.workers()) >= workers and self.is_up():
                self._load(self.workers(), only_images)
                self.plane.apply_objects()
                self._say(f"the sandbox is up already ({time.monotonic() - began:.1f} s)")
                return
            self._start(workers, only_images)
            self._say(f"the sandbox is up ({time.monotonic() - began:.1f} s); export KUBECONFIG={self.kubeconfig}")

    def down(self, *, purge: bool = False) -> None:
        """End all of the sandbox and remove its state; the build cache stays unless `purge`."""
        check_host()
        with self._locked():
            self._down()
            if purge:
                shutil.rmtree(self.layout.cache, ignore_errors=True)
        self._say("the sandbox is gone" + (", with its cache" if purge else "; what was built is kept"))

    def add_worker(self, zone: str | None = None) -> str:
        """Add a worker and return its name. zone: default: the next in turn of zone1 to zone3."""
        check_host()
        with self._locked():
            known = self.workers()
            self._need()
            index = known[-1].index + 1
            if index > addresses.MAX_WORKERS:
                raise SandboxError(f"the sandbox has addresses for {addresses.MAX_WORKERS} workers only")
            one = self._worker(addresses.worker_name(index), zone or addresses.zone(index))
            before = self._heartbeats()
            self._remember([*known, one])
            self._start_workers([one])
            self._wait_ready([one.name], before)
            self._load([one], None)
            return one.name

    def remove_worker(self, name: str) -> None:
        """Take a worker away for good, with its disk and its Node object: a machine that never comes back."""
        with self._locked():
            one = self.worker(name)
            if one.index == 1:
                raise SandboxError("worker1 stays: the host's kube-proxy goes by its name")
            one.stop()
            _unmount_below(one.home, self.layout.worker_run(name))
            network.remove_worker(name)
            worker.remove_cgroup(name)
            for folder in (one.home, self.layout.worker_run(name)):
                shutil.rmtree(folder, ignore_errors=True)
            self._remember([each for each in self.workers() if each.name != name])
            self.plane.kubectl("delete", "node", name, "--ignore-not-found")

    def load_image(self, name: str) -> None:
        """Build an image if need be and load it on every worker."""
        check_host()
        with self._locked():
            self._need()
            build.everything(self.layout, self._say, only_images=(name,))
            self._load(self.workers(), (name,))

    # Faults

    def kill_worker(self, name: str) -> None:
        """Power loss of a worker: nothing on it says good-bye. Its disk stays."""
        with self._locked():
            self.worker(name).kill()

    def revive_worker(self, name: str, *, wait: bool = True) -> None:
        """Power is back: start the worker again and (unless wait is false) wait until it is Ready."""
        with self._locked():
            before = self._heartbeats()
            self._start_workers([self.worker(name)])
            if wait:
                self._wait_ready([name], before)

    def isolate_worker(self, name: str) -> None:
        """Cut the worker off the network; everything on it goes on running."""
        with self._locked():
            network.cut(self.worker(name).name)

    def join_worker(self, name: str, *, wait: bool = True) -> None:
        """Reconnect the worker and (unless wait is false) wait until it is Ready."""
        with self._locked():
            before = self._heartbeats()
            network.plug(self.worker(name).name)
            if wait:
                self._wait_ready([name], before)

    def wipe_volume(self, namespace: str, claim: str) -> int:
        """Empty a claim's volume; returns how many entries went. Stop the pod first, as you would with a disk."""
        with self._locked():
            return faults.wipe(self.volume(namespace, claim), self.layout)

    def stop_api(self) -> None:
        """Stop the API server; pods go on running."""
        with self._locked():
            self._need()
            self.plane.stop_api()

    def start_api(self) -> None:
        """Start the API server again and wait until it is ready."""
        with self._locked():
            self._need()
            self.plane.start_api()
            self.plane.wait_for_api()

    def stop_s3(self) -> None:
        """Stop the S3 server: connections are refused. What it stores stays."""
        with self._locked():
            self._need()
            self.plane.stop_s3()

    def start_s3(self) -> None:
        """Start the S3 server again, with the keys it had."""
        with self._locked():
            self._need()
            self.plane.start_s3()

    def freeze_s3(self) -> None:
        """Stop the S3 server in the middle of what it does: connections stay, and nothing answers."""
        self.plane.signal_s3(signal.SIGSTOP)

    def thaw_s3(self) -> None:
        """Let the S3 server go on."""
        self.plane.signal_s3(signal.SIGCONT)

    def status(self) -> dict[str, Any]:
        """What runs, as plain data."""
        daemons = [*_HOST_DAEMONS, *(one.daemon(program) for one in self.workers() for program in worker.DAEMONS)]
        ready = self.layout.kubeconfig.exists() and self.plane.api_is_ready()
        names = [one.name for one in self.workers()]
        not_ready = self._not_ready(names) if ready else names
        return {
            "home": str(self.layout.home),
            "kubernetes": self.layout.kubernetes,
            "kubeconfig": str(self.kubeconfig),
            "api_ready": ready,
            "workers": {
                one.name: {
                    "zone": one.zone,
                    "ready": one.name not in not_ready,
                    "running": one.runs(),
                    "cut_off": network.is_cut(one.name),
                }
                for one in self.workers()
            },
            "stopped_daemons": [name for name in daemons if daemon_pid(self.layout.pid_file(name)) is None],
            "s3_endpoint": f"http://{addresses.GATEWAY}:{S3_PORT}",
            "s3_keys": str(self.layout.s3_keys),
            "audit_log": str(self.audit_log),
            "images": images.names(),
        }

    # Inside

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.layout.home.mkdir(parents=True, exist_ok=True)
        with self.layout.lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say("another command works on the sandbox; waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _need(self) -> None:
        if not self.layout.kubeconfig.exists():
            raise SandboxError("the sandbox is not up; `sandbox up` starts it")

    def _kubernetes(self, oldest: bool) -> str:
        """The version of the sandbox that is here, or of a new one."""
        there = self.layout.kubernetes
        if not self.workers():
            return versions.OLDEST_KUBERNETES if oldest else versions.KUBERNETES
        if oldest and there != versions.OLDEST_KUBERNETES:
            raise SandboxError(f"a sandbox of Kubernetes {there} is here; `sandbox down` first")
        return there

    def _worker(self, name: str, zone: str) -> Worker:
        return Worker(name, zone, self.layout, self.programs)

    def _remember(self, workers: list[Worker]) -> None:
        self.layout.state.mkdir(parents=True, exist_ok=True)
        self.layout.workers.write_text(json.dumps({one.name: one.zone for one in workers}), encoding="utf-8")

    def _all_daemons_run(self) -> bool:
        return all(daemon_pid(self.layout.pid_file(name)) is not None for name in _HOST_DAEMONS) and all(
            one.runs() and not network.is_cut(one.name) for one in self.workers()
        )

    def _start(self, count: int, only_images: tuple[str, ...] | None) -> None:
        known = {one.name: one for one in self.workers()}
        for index in range(1, count + 1):
            name = addresses.worker_name(index)
            known.setdefault(name, self._worker(name, addresses.zone(index)))
        self._remember(list(known.values()))
        workers = self.workers()
        plane = self.plane
        self._say(f"starting the control plane and {len(workers)} workers")
        network.ensure_bridge()
        pki.ensure_all(self.layout)
        plane.start_etcd()
        plane.start_api()
        for one in workers:
            one.start_containerd()
        for one in workers:
            one.wait_for_containerd()
            one.start_kubelet()
        plane.wait_for_api()
        before = self._heartbeats()
        plane.start_controllers()
        self._load(workers, images.SMALL)
        plane.apply_objects()
        plane.start_addons()
        self._wait_ready([one.name for one in workers], before)
        self._load(workers, only_images)

    def _start_workers(self, workers: list[Worker]) -> None:
        for one in workers:
            one.start_containerd()
        for one in workers:
            one.wait_for_containerd()
            one.start_kubelet()

    def _load(self, workers: list[Worker], only: tuple[str, ...] | None) -> None:
        images.load(self.layout, workers, only, self._say)

    def _nodes(self) -> list[dict[str, Any]]:
        """What Kubernetes knows of the workers; nothing while the API server does not answer."""
        return _items(self.plane.kubectl("get", "nodes", "-o", "json", check=False))

    def _heartbeats(self) -> dict[str, str]:
        """When each worker was last heard of, as it says itself."""
        leases = _items(self.plane.kubectl("-n", "kube-node-lease", "get", "leases", "-o", "json", check=False))
        return {lease["metadata"]["name"]: lease["spec"]["renewTime"] for lease in leases}

    def _not_ready(self, names: list[str], before: Mapping[str, str] | None = None) -> list[str]:
        """Those that are not Ready, or, where `before` has their heartbeats, gave no sign of life since.

        An old Ready stands for a while. Heartbeats are compared with each other and not with a clock, which may be put
        back: that of a virtual machine that was stopped and goes on.
        """
        ready = {
            node["metadata"]["name"] for node in self._nodes() if _condition(node, "Ready").get("status") == "True"
        }
        if before is not None:
            ready &= {name for name, heard in self._heartbeats().items() if heard != before.get(name)}
        return [name for name in names if name not in ready]

    def _why_not_ready(self, names: list[str], before: Mapping[str, str]) -> str:
        """What Kubernetes says of the workers that are not Ready, a line each."""
        ready = {node["metadata"]["name"]: _condition(node, "Ready") for node in self._nodes()}
        lines = [
            f"  {name}: {ready[name].get('status', 'not told')}, {ready[name].get('message', 'without a word')}"
            if name in ready
            else f"  {name}: it did not register"
            for name in self._not_ready(names, before)
        ]
        return "\n".join(["not every worker became Ready:", *lines, "(`up --fresh` begins with an empty sandbox)"])

    def _come_up(self, names: list[str], before: Mapping[str, str]) -> bool:
        """Whether all are Ready. A kubelet that has ended is started again, as systemd would.

        All kubelets of a host share /var/lib/kubelet/device-plugins, whatever their --root-dir is; of two that put
        their socket there in the same moment one ends ("address already in use").
        """
        late = self._not_ready(names, before)
        for name in late:
            self.worker(name).start_kubelet()
        return not late

    def _wait_ready(self, names: list[str], before: Mapping[str, str]) -> None:
        wait_until(
            lambda: self._come_up(names, before),
            lambda: self._why_not_ready(names, before),
            seconds=300,
            log_file=self.layout.log_file(f"{names[0]}-kubelet"),
            pause=0.5,
        )

    def _down(self) -> None:
        workers = [one.name for one in self.workers()]
        # Remains of a sandbox whose state is gone.
        workers += [
            path.name.removeprefix("cassops-")
            for path in Path("/run/netns").glob("cassops-worker*")
            if path.name.removeprefix("cassops-") not in workers
        ]
        stop([self.layout.pid_file(name) for name in _HOST_DAEMONS if name != "etcd"], grace=5)
        stop([self.layout.pid_file("etcd")], grace=5)
        for name in workers:
            self._worker(name, "").stop()
        _unmount_below(self.layout.state, RUN)
        for name in workers:
            network.remove_worker(name)
            worker.remove_cgroup(name)
        proxy = self.programs / "kube-proxy"
        if proxy.exists() and network.link_exists(addresses.BRIDGE):
            run([str(proxy), "--cleanup"], check=False)
            network.remove_firewall_remains()
        network.remove_bridge()
        _remove_links(self.layout.state)
        for folder in (self.layout.state, RUN):
            if folder.exists():
                shutil.rmtree(folder)


def _items(answer: str) -> list[dict[str, Any]]:
    """Objects of a kubectl answer; none where there is no answer."""
    found: list[dict[str, Any]] = json.loads(answer)["items"] if answer else []
    return found


def _condition(node: dict[str, Any], name: str) -> dict[str, Any]:
    """A condition of a worker; empty where it has none of that name."""
    return next((one for one in node["status"].get("conditions", []) if one["type"] == name), {})


def _unmount_below(*folders: Path) -> None:
    """Unmount whatever containers and kubelets mounted there, innermost first."""
    points = [
        line.split()[4].replace("\\040", " ")
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    ]
    mine = [point for point in points if any(point.startswith(f"{folder}/") for folder in folders)]
    for point in sorted(mine, reverse=True):
        run(["umount", "--lazy", point], check=False)


def _remove_links(state: Path) -> None:
    """kubelet and the network plugins leave traces outside our folders: only those that are ours go."""
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{state}/"):
            link.unlink()
    for result in Path("/var/lib/cni/results").glob("cassops-worker*"):
        result.unlink()
