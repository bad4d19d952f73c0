# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One worker: a network namespace with its own containerd, kubelet and kube-proxy, and its own folder as its disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from . import addresses, cluster, network, pki, template
from .layout import Layout
from .process import answers, daemon_pid, gone_by, kill, spawn, stop, wait_until, write
from .versions import OLDEST_KUBERNETES, PAUSE

CGROUPS = Path("/sys/fs/cgroup")
_UNIFIED = CGROUPS / "cgroup.controllers"
DAEMONS = ("containerd", "kubelet", "kube-proxy")


@dataclass(frozen=True)
class Worker:
    """Starts, stops and kills one worker."""

    name: str
    zone: str
    layout: Layout
    programs: Path

    @property
    def index(self) -> int:
        """Its number, counted from 1."""
        return addresses.worker_index(self.name)

    @property
    def home(self) -> Path:
        """Its disk."""
        return self.layout.worker(self.name)

    def daemon(self, program: str) -> str:
        """Name of one of its daemons, as pid file and log carry it."""
        return f"{self.name}-{program}"

    def runs(self) -> bool:
        """Whether all its daemons are there."""
        return all(daemon_pid(self.layout.pid_file(self.daemon(program))) is not None for program in DAEMONS)

    def start_containerd(self) -> None:
        """Network, control group and containerd; returns before its socket is there."""
        network.ensure_worker(self.name)
        ensure_cgroup(self.name)
        template.give(self.layout, self.home)
        for folder in ("cni", "containerd", "kubelet", "pod-logs", "volumes", "images"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        self.layout.worker_run(self.name).mkdir(parents=True, exist_ok=True)
        write(self.home / "cni" / "10-sandbox.conflist", json.dumps(self._cni()))
        config = self.home / "containerd.toml"
        write(config, self._containerd())
        self._spawn("containerd", "containerd", "-c", str(config))

    def wait_for_containerd(self) -> None:
        """Wait until containerd takes calls."""
        wait_until(
            lambda: answers(self.layout.containerd_socket(self.name)),
            f"containerd of {self.name} did not start",
            seconds=30,
            log_file=self.layout.log_file(self.daemon("containerd")),
            pause=0.05,
        )

    def start_kubelet(self) -> None:
        """kubelet and kube-proxy; the API server need not be there yet."""
        kubeconfig = pki.ensure_kubeconfig(self.layout, self.name, f"/O=system:nodes/CN=system:node:{self.name}")
        config = self.home / "kubelet.json"
        write(config, json.dumps(self._kubelet()))
        self._spawn(
            "kubelet",
            str(self.programs / "kubelet"),
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self.name}",
            f"--node-ip={addresses.worker_address(self.index)}",
            f"--root-dir={self.home / 'kubelet'}",
            f"--cert-dir={self.home / 'kubelet' / 'pki'}",
            f"--node-labels=topology.kubernetes.io/zone={self.zone},topology.kubernetes.io/region=sandbox",
            "--v=1",
        )
        cluster.start_proxy(self.layout, self.programs, self.name, addresses.namespace(self.name))

    def processes(self) -> list[int]:
        """Everything that runs on this worker: its daemons, the shims, and all processes of its pods."""
        return sorted({*network.pids_inside(self.name), *cgroup_pids(self.name)})

    def kill(self) -> None:
        """Power loss: the cable goes dead first, so that no process can say good-bye, then everything at once."""
        network.cut(self.name)
        # The kubelet and containerd first: what they start while the others die is caught by the next turn.
        kill(pid for pid in (daemon_pid(self.layout.pid_file(self.daemon(program))) for program in DAEMONS) if pid)
        for _dummy in range(50):
            pids = self.processes()
            if not pids:
                break
            kill(pids)
            gone_by(pids, 5)
        for program in DAEMONS:
            self.layout.pid_file(self.daemon(program)).unlink(missing_ok=True)

    def stop(self) -> None:
        """End the worker for good: daemons, pods, shims."""
        stop([self.layout.pid_file(self.daemon(program)) for program in ("kubelet", "kube-proxy")], grace=3)
        self.kill()

    def _spawn(self, program: str, *command: str) -> None:
        name = self.daemon(program)
        network = addresses.namespace(self.name)
        spawn(command, self.layout.pid_file(name), self.layout.log_file(name), network=network, cwd=self.home)

    def _cni(self) -> dict[str, object]:
        # ptp (a routed pair of interfaces for each pod) works without br_netfilter, which not every kernel has.
        return {
            "cniVersion": "1.0.0",
            "name": addresses.namespace(self.name),
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "ipam": {
                        "type": "host-local",
                        "ranges": [[{"subnet": addresses.pod_subnet(self.index)}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                        "dataDir": str(self.home / "cni" / "ipam"),
                    },
                }
            ],
        }

    def _containerd(self) -> str:
        run = self.layout.worker_run(self.name)
        return f"""\
version = 2
root = "{self.home / "containerd"}"
state = "{run / "containerd"}"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{self.layout.containerd_socket(self.name)}"
[ttrpc]
  address = "{run / "containerd.sock.ttrpc"}"
[plugins."io.containerd.grpc.v1.cri"]
  # In a container or a small virtual machine even root may not make a process harder to kill.
  restrict_oom_score_adj = true
  # Under our own folder, so that `down` finds them.
  netns_mounts_under_state_dir = true
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{self.home / "cni"}"
"""

    def _kubelet(self) -> dict[str, object]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "x509": {"clientCAFile": str(self.layout.pki / "ca.crt")},
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
            },
            "authorization": {"mode": "Webhook"},
            "clusterDomain": "cluster.local",
            "clusterDNS": [addresses.GATEWAY],
            "resolvConf": "",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{addresses.cgroup(self.name)}",
            "failSwapOn": False,
            "containerRuntimeEndpoint": f"unix://{self.layout.containerd_socket(self.name)}",
            "volumePluginDir": str(self.home / "kubelet" / "plugins-exec"),
            "nodeStatusUpdateFrequency": "4s",
            "nodeStatusReportFrequency": "20s",
            "nodeLeaseDurationSeconds": 16,
            # A changed ConfigMap reaches the pods within seconds; a real cluster takes up to a minute and a half.
            "syncFrequency": "5s",
            # All workers share one disk and one memory: none of them shall clean up because of the others.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "localStorageCapacityIsolation": False,
            "maxPods": 60,
            "kubeAPIQPS": 100,
            "kubeAPIBurst": 200,
            "registryPullQPS": 0,
            "serializeImagePulls": False,
            **({} if self.layout.kubernetes == OLDEST_KUBERNETES else self._newer()),
        }

    def _newer(self) -> dict[str, object]:
        """What an older kubelet does not know."""
        return {
            "failCgroupV1": False,
            # Kubelets that share the default folder delete each other's logs. An older one is built without it.
            "podLogsDir": str(self.home / "pod-logs"),
        }


def _controllers() -> list[Path]:
    """The hierarchies that hold a worker's group: one under cgroup v2, one a controller under v1."""
    if _UNIFIED.exists():
        return [CGROUPS]
    return [path for path in sorted(CGROUPS.iterdir()) if path.is_dir() and not path.is_symlink()]


def ensure_cgroup(name: str) -> None:
    """The control group that the kubelet of this worker puts its pods under (it wants to find it there)."""
    group = addresses.cgroup(name)
    if _UNIFIED.exists():
        available = _UNIFIED.read_text(encoding="ascii").split()
        wanted = [f"+{word}" for word in ("cpu", "cpuset", "io", "memory", "pids", "hugetlb") if word in available]
        (CGROUPS / "cgroup.subtree_control").write_text(" ".join(wanted), encoding="ascii")
    for hierarchy in _controllers():
        folder = hierarchy / group
        folder.mkdir(exist_ok=True)
        if (hierarchy / "cpuset.cpus").exists() and not _UNIFIED.exists():
            # Under v1 a new group has no processors until it is given some.
            for file in ("cpuset.cpus", "cpuset.mems"):
                (folder / file).write_text((hierarchy / file).read_text(encoding="ascii"), encoding="ascii")


def cgroup_pids(name: str) -> set[int]:
    """Every process in the worker's control group."""
    found: set[int] = set()
    for hierarchy in _controllers():
        for file in (hierarchy / addresses.cgroup(name)).rglob("cgroup.procs"):
            try:
                found.update(int(line) for line in file.read_text(encoding="ascii").split())
            except OSError:
                continue  # the group went away meanwhile
    return found


def remove_cgroup(name: str) -> None:
    """Remove the worker's control group, innermost first; a group that still holds a process stays."""
    for hierarchy in _controllers():
        top = hierarchy / addresses.cgroup(name)
        if not top.exists():
            continue
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            _remove_group(folder)
        _remove_group(top)


def _remove_group(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
