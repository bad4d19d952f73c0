# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys, certificates and kubeconfigs of the cluster."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from . import addresses
from .layout import Layout
from .process import run

API_URL = f"https://{addresses.GATEWAY}:6443"
_DAYS = "3650"


def _key(path: Path) -> None:
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path)])
    path.chmod(0o600)


def ensure_authority(layout: Layout) -> None:
    """The certificate authority and the key that signs service account tokens."""
    layout.pki.mkdir(parents=True, exist_ok=True)
    authority = layout.pki / "ca.crt"
    if not authority.exists():
        _key(layout.pki / "ca.key")
        run(
            [
                "openssl",
                "req",
                "-x509",
                "-new",
                "-key",
                str(layout.pki / "ca.key"),
                "-days",
                _DAYS,
                "-subj",
                "/CN=cassops-sandbox",
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
                "-out",
                str(authority),
            ]
        )
    if not (layout.pki / "sa.key").exists():
        _key(layout.pki / "sa.key")


def ensure_certificate(layout: Layout, name: str, subject: str, alternatives: str = "") -> None:
    """A key and a certificate, for servers and clients alike.

    subject: as openssl writes it, for example "/O=system:nodes/CN=system:node:worker1".
    """
    certificate = layout.pki / f"{name}.crt"
    if certificate.exists():
        return
    _key(layout.pki / f"{name}.key")
    request, extensions = layout.pki / f"{name}.csr", layout.pki / f"{name}.ext"
    run(["openssl", "req", "-new", "-key", str(layout.pki / f"{name}.key"), "-subj", subject, "-out", str(request)])
    # Python 3.13 checks certificates by the letter and refuses those that lack the identifiers.
    extensions.write_text(
        f"subjectAltName={alternatives or 'DNS:' + name}\nextendedKeyUsage=serverAuth,clientAuth\n"
        "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
        encoding="ascii",
    )
    run(
        [
            "openssl",
            "x509",
            "-req",
            "-in",
            str(request),
            "-CA",
            str(layout.pki / "ca.crt"),
            "-CAkey",
            str(layout.pki / "ca.key"),
            "-CAcreateserial",
            "-days",
            _DAYS,
            "-extfile",
            str(extensions),
            "-out",
            str(certificate),
        ]
    )
    request.unlink()
    extensions.unlink()


def ensure_kubeconfig(layout: Layout, name: str, subject: str, path: Path | None = None) -> Path:
    """A kubeconfig (as JSON, which is YAML) with its own certificate in it; returns its path."""
    target = path or layout.pki / f"{name}.kubeconfig"
    if target.exists():
        return target
    ensure_certificate(layout, name, subject)

    def data(file: str) -> str:
        return base64.b64encode((layout.pki / file).read_bytes()).decode("ascii")

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "sandbox",
        "clusters": [{"name": "sandbox", "cluster": {"server": API_URL, "certificate-authority-data": data("ca.crt")}}],
        "users": [
            {
                "name": name,
                "user": {"client-certificate-data": data(f"{name}.crt"), "client-key-data": data(f"{name}.key")},
            }
        ],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": name}}],
    }
    target.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    target.chmod(0o600)
    return target


def ensure_all(layout: Layout) -> None:
    """Everything that the control plane needs."""
    ensure_authority(layout)
    names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ]
    ensure_certificate(
        layout,
        "apiserver",
        "/CN=kube-apiserver",
        ",".join(
            [f"DNS:{name}" for name in names]
            + [f"IP:{ip}" for ip in ("127.0.0.1", addresses.GATEWAY, addresses.API_SERVICE)]
        ),
    )
    ensure_certificate(layout, "apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    ensure_kubeconfig(layout, "admin", "/O=system:masters/CN=admin", layout.kubeconfig)
    ensure_kubeconfig(layout, "controller-manager", "/CN=system:kube-controller-manager")
    ensure_kubeconfig(layout, "scheduler", "/CN=system:kube-scheduler")
    ensure_kubeconfig(layout, "proxy", "/CN=system:kube-proxy")
    ensure_kubeconfig(layout, "addons", "/O=system:masters/CN=system:sandbox-addons")
