# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control plane and what every cluster brings along: DNS, volumes, an S3 server."""

from __future__ import annotations

import json
import os
import secrets
import signal
import ssl
import textwrap
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import addresses, demo, pki
from .layout import Layout
from .process import daemon_pid, gone_by, kill, run, spawn, wait_until, write
from .versions import OLDEST_KUBERNETES, TOOLS

API = "kube-apiserver"
S3_PORT = 7070
S3_REGION = "us-east-1"
SYSTEM_NAMESPACE = "sandbox-system"
STORAGE_CLASS = "local"
RETAINING_STORAGE_CLASS = "local-retain"
_SERVICE_ACCOUNT = "local-path-helper"
_VOLUME_SCRIPTS = "local-path-scripts"

# Everything that changes something is written down; the cluster's own reading and its heartbeats are not.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts"], "verbs": ["get", "list", "watch"]},
        {
            "level": "None",
            "verbs": ["get", "list", "watch"],
            "users": [
                "system:kube-controller-manager",
                "system:kube-scheduler",
                "system:kube-proxy",
                "system:apiserver",
                "system:sandbox-addons",
                "system:anonymous",
            ],
        },
        {
            "level": "None",
            "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
            "userGroups": ["system:nodes"],
        },
        {"level": "None", "users": ["system:apiserver"], "resources": [{"group": "coordination.k8s.io"}]},
        {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version", "/openapi/*"]},
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True)
class ControlPlane:
    """Starts and stops the daemons that run on the host itself."""

    layout: Layout
    programs: Path

    def kubectl(self, *words: str, text: str | None = None, check: bool = True, timeout: float = 120) -> str:
        """Run kubectl as the administrator and return what it printed."""
        return run(
            [str(self.programs / "kubectl"), "--kubeconfig", str(self.layout.kubeconfig), *words],
            text=text,
            check=check,
            timeout=timeout,
        ).stdout

    def start_etcd(self) -> None:
        """etcd, without waiting for the disk: killed processes do no harm, a power loss of this machine does."""
        self._spawn(
            "etcd",
            "etcd",
            f"--data-dir={self.layout.state / 'etcd'}",
            "--listen-client-urls=http://127.0.0.1:23790",
            "--advertise-client-urls=http://127.0.0.1:23790",
            "--listen-peer-urls=http://127.0.0.1:23800",
            "--initial-advertise-peer-urls=http://127.0.0.1:23800",
            "--initial-cluster=default=http://127.0.0.1:23800",
            "--unsafe-no-fsync",
            "--logger=zap",
            "--auto-compaction-retention=5m",
            "--quota-backend-bytes=4294967296",
        )

    def start_api(self) -> None:
        """The API server; returns before it is ready."""
        policy = self.layout.state / "audit-policy.json"
        write(policy, json.dumps(_AUDIT_POLICY))
        self.layout.audit_log.parent.mkdir(parents=True, exist_ok=True)
        keys = self.layout.pki
        self._spawn(
            API,
            str(self.programs / API),
            "--etcd-servers=http://127.0.0.1:23790",
            # One address: it is local to the host, and every worker reaches it over the bridge.
            f"--bind-address={addresses.GATEWAY}",
            f"--advertise-address={addresses.GATEWAY}",
            "--secure-port=6443",
            f"--tls-cert-file={keys}/apiserver.crt",
            f"--tls-private-key-file={keys}/apiserver.key",
            f"--client-ca-file={keys}/ca.crt",
            f"--service-account-key-file={keys}/sa.key",
            f"--service-account-signing-key-file={keys}/sa.key",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-cluster-ip-range={addresses.SERVICE_NET}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--kubelet-client-certificate={keys}/apiserver-kubelet.crt",
            f"--kubelet-client-key={keys}/apiserver-kubelet.key",
            # Workers' names are in no DNS.
            "--kubelet-preferred-address-types=InternalIP",
            "--endpoint-reconciler-type=master-count",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.layout.audit_log}",
            "--audit-log-maxsize=200",
            "--audit-log-maxbackup=1",
            "--default-not-ready-toleration-seconds=300",
            "--default-unreachable-toleration-seconds=300",
            "--profiling=false",
            # It asks the watch cache what only an etcd newer than Debian's can answer, and fills the log.
            *(
                []
                if self.layout.kubernetes == OLDEST_KUBERNETES
                else ["--feature-gates=SizeBasedListCostEstimate=false"]
            ),
        )

    def api_is_ready(self) -> bool:
        """Whether the API server says it is ready (asked without credentials: /readyz is open to all)."""
        context = ssl.create_default_context(cafile=str(self.layout.pki / "ca.crt"))
        # Never by way of a proxy that the environment names.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(f"{pki.API_URL}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def wait_for_api(self, seconds: float = 90) -> None:
        """Wait until the API server is ready."""
        wait_until(
            self.api_is_ready,
            "the API server did not become ready",
            seconds=seconds,
            log_file=self.layout.log_file(API),
        )

    def start_controllers(self) -> None:
        """Controller manager, scheduler and the host's own kube-proxy."""
        keys = self.layout.pki
        self._spawn(
            "kube-controller-manager",
            str(self.programs / "kube-controller-manager"),
            f"--kubeconfig={keys}/controller-manager.kubeconfig",
            f"--service-account-private-key-file={keys}/sa.key",
            f"--root-ca-file={keys}/ca.crt",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--secure-port=10357",
            "--node-monitor-period=2s",
            "--node-monitor-grace-period=20s",
            "--pvclaimbinder-sync-period=2s",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        )
        self._spawn(
            "kube-scheduler",
            str(self.programs / "kube-scheduler"),
            f"--kubeconfig={keys}/scheduler.kubeconfig",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--secure-port=10359",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        )
        start_proxy(self.layout, self.programs, "host", None)

    def start_addons(self) -> None:
        """DNS, the volume provisioner and the S3 server."""
        addons = self.layout.pki / "addons.kubeconfig"
        corefile = self.layout.state / "Corefile"
        write(
            corefile,
            textwrap.dedent(f"""\
            .:53 {{
              bind {addresses.GATEWAY}
              errors
              kubernetes cluster.local in-addr.arpa {{
                kubeconfig {addons}
                ttl 5
              }}
            }}
            """),
        )
        self._spawn("coredns", str(self.programs / "coredns"), "-conf", str(corefile))
        config = self._write_provisioner_config()
        helper = self.layout.state / "helper-pod.json"
        write(helper, json.dumps(_HELPER_POD))
        self._spawn(
            "local-path-provisioner",
            str(self.programs / "local-path-provisioner"),
            "start",
            "--config",
            str(config),
            "--namespace",
            SYSTEM_NAMESPACE,
            "--helper-image",
            TOOLS,
            "--kubeconfig",
            str(addons),
            "--configmap-name",
            _VOLUME_SCRIPTS,
            "--service-account-name",
            _SERVICE_ACCOUNT,
            "--helper-pod-file",
            str(helper),
            "--provisioner-name",
            "cassops.sandbox/local-path",
        )
        self.start_s3()

    def _write_provisioner_config(self) -> Path:
        """Where each worker's volumes lie: of all workers that can ever be, for it looks only every 30 s."""
        names = [addresses.worker_name(index) for index in range(1, addresses.MAX_WORKERS + 1)]
        config = self.layout.state / "provisioner.json"
        write(
            config,
            json.dumps(
                {
                    "cmdTimeoutSeconds": 120,
                    "nodePathMap": [{"node": name, "paths": [str(self.layout.volumes(name))]} for name in names],
                }
            ),
        )
        return config

    def keys(self) -> dict[str, str]:
        """Those of the S3 server, and the password of the demo's backups; made once."""
        file = self.layout.s3_keys
        known: dict[str, str] = json.loads(file.read_text(encoding="ascii")) if file.exists() else {}
        keys = {
            "access_key": "sandbox" + secrets.token_hex(6),
            "secret_key": secrets.token_hex(20),
            "backup_password": secrets.token_hex(20),
            **known,
        }
        if keys != known:
            file.touch(0o600)
            file.write_text(json.dumps(keys), encoding="ascii")
        return keys

    def start_s3(self) -> None:
        """Start the S3 server over a folder."""
        keys = self.keys()
        self.layout.s3_data.mkdir(parents=True, exist_ok=True)
        # The keys go by environment: command lines are open to every user of the machine.
        spawn(
            [
                str(self.programs / "versitygw"),
                "--port",
                f"{addresses.GATEWAY}:{S3_PORT}",
                "--region",
                S3_REGION,
                "--quiet",
                "posix",
                str(self.layout.s3_data),
            ],
            self.layout.pid_file("versitygw"),
            self.layout.log_file("versitygw"),
            env={"ROOT_ACCESS_KEY": keys["access_key"], "ROOT_SECRET_KEY": keys["secret_key"]},
        )

    def stop_s3(self) -> None:
        """Kill the S3 server."""
        pid = daemon_pid(self.layout.pid_file("versitygw"))
        if pid is not None:
            kill([pid])
            gone_by([pid], 5)

    def signal_s3(self, number: signal.Signals) -> None:
        """Send the S3 server a signal, if it runs."""
        pid = daemon_pid(self.layout.pid_file("versitygw"))
        if pid is not None:
            os.kill(pid, number)

    def apply_objects(self) -> None:
        """Namespaces, storage classes, what the provisioner's helper pods need, and what the demo does."""
        objects = [*cluster_objects(), *demo.objects(self.keys(), S3_REGION)]
        self.kubectl(
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=sandbox",
            "-f",
            "-",
            text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
        )

    def stop_api(self) -> None:
        """Kill the API server, with no good-bye to those who watch it; kubelets and pods go on."""
        pid = daemon_pid(self.layout.pid_file(API))
        if pid is not None:
            kill([pid])
            gone_by([pid], 5)

    def _spawn(self, name: str, *command: str) -> None:
        spawn(command, self.layout.pid_file(name), self.layout.log_file(name))


def own_address(worker: str) -> str:
    """Of a worker by its name."""
    return addresses.worker_address(addresses.worker_index(worker))


def start_proxy(layout: Layout, programs: Path, name: str, network: str | None) -> None:
    """kube-proxy of one worker, or of the host itself, so that services answer there too."""
    config = layout.state / f"proxy-{name}.json"
    write(
        config,
        json.dumps(
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "mode": "iptables",
                "clientConnection": {"kubeconfig": str(layout.pki / "proxy.kubeconfig"), "qps": 50, "burst": 100},
                # kube-proxy waits for the node of its name; the host is none, so it borrows the first worker's.
                "hostnameOverride": addresses.worker_name(1) if network is None else name,
                "clusterCIDR": addresses.POD_NET,
                "iptables": {"minSyncPeriod": "100ms", "localhostNodePorts": False},
                # 0: leave the machine's own settings as they are.
                "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
                "nodePortAddresses": [f"{addresses.GATEWAY if network is None else own_address(name)}/32"],
                "healthzBindAddress": "127.0.0.1:10266" if network is None else "127.0.0.1:10256",
                "metricsBindAddress": "127.0.0.1:10269" if network is None else "127.0.0.1:10249",
            }
        ),
    )
    spawn(
        [str(programs / "kube-proxy"), f"--config={config}"],
        layout.pid_file(f"{name}-kube-proxy"),
        layout.log_file(f"{name}-kube-proxy"),
        network=network,
    )


_HELPER_POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "helper-pod"},
    "spec": {
        "priorityClassName": "system-node-critical",
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "helper-pod", "image": TOOLS, "imagePullPolicy": "IfNotPresent"}],
    },
}


def cluster_objects() -> list[dict[str, Any]]:
    """The objects that every sandbox starts with."""

    def storage_class(name: str, reclaim: str, *, default: bool) -> dict[str, Any]:
        return {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "annotations": {
                    "storageclass.kubernetes.io/is-default-class": str(default).lower(),
                    "defaultVolumeType": "local",
                },
            },
            "provisioner": "cassops.sandbox/local-path",
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": reclaim,
        }

    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": _SERVICE_ACCOUNT, "namespace": SYSTEM_NAMESPACE},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": _VOLUME_SCRIPTS, "namespace": SYSTEM_NAMESPACE},
            "data": {
                "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\nchmod 0777 "$VOL_DIR"\n',
                "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
            },
        },
        storage_class(STORAGE_CLASS, "Delete", default=True),
        storage_class(RETAINING_STORAGE_CLASS, "Retain", default=False),
    ]
