# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the client's address, credentials and namespace come from."""

from __future__ import annotations

import base64
import json
import os
import ssl
import tempfile

import pytest
import yaml

from ansible_collections.cassops.kubernetes.plugins.module_utils import kube, kubeauth
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeauth import KubeconfigError, connection


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("K8S_AUTH_") or name.lower().endswith("_proxy") or name in ("KUBECONFIG",):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def kubeconfig(user=None, cluster=None, context=None):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {"token": "secret-token"}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", **(context or {})}},
            {"name": "two", "context": {"cluster": "absent", "user": "u"}},
        ],
    }


def write(tmp_path, content, name="config"):
    path = tmp_path / name
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def test_token_and_namespace_of_the_context(tmp_path):
    path = write(tmp_path, kubeconfig(context={"namespace": "ns"}))
    server, namespace = connection({"kubeconfig": path})
    assert server.host == "http://127.0.0.1:1"
    assert server.headers() == [("Authorization", "Bearer secret-token")]
    assert namespace == "ns"
    assert path in server.origin


def test_as_a_mapping_and_as_text():
    content = kubeconfig()
    assert connection({"kubeconfig": content})[0].headers() == [("Authorization", "Bearer secret-token")]
    assert connection({"kubeconfig": yaml.safe_dump(content)})[0].host == "http://127.0.0.1:1"
    assert connection({"kubeconfig": " " + json.dumps(content)})[0].host == "http://127.0.0.1:1"
    assert kubeauth.content(json.dumps(content)) == content, "what is secret in it is hidden"


class TaggedText(str):
    """As Ansible gives texts since 2.19; before, such as AnsibleUnicode."""


# As ansible-core before 2.19 gives what comes out of a vault or a lookup: it stays what it is.
UnsafeText = type("UnsafeText", (str,), {"__str__": lambda self: self})


class VaultedText:
    """As Ansible before 2.19 gives an encrypted variable that nobody templated."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text


@pytest.mark.parametrize("kind", [TaggedText, UnsafeText, VaultedText])
def test_as_the_text_that_ansible_makes_of_it(kind):
    text = kind(yaml.safe_dump(kubeconfig()))
    assert connection({"kubeconfig": text})[0].headers() == [("Authorization", "Bearer secret-token")]
    assert kubeauth.content(text)["users"] == kubeconfig()["users"]


def test_options_beat_environment_beats_kubeconfig(tmp_path, monkeypatch):
    path = write(tmp_path, kubeconfig(context={"namespace": "ns"}))
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", path)
    monkeypatch.setenv("K8S_AUTH_API_KEY", "from-environment")
    monkeypatch.setenv("K8S_AUTH_NAMESPACE", "from-environment")
    server, namespace = connection({})
    assert server.headers() == [("Authorization", "Bearer from-environment")]
    assert namespace == "from-environment"
    server, namespace = connection({"api_key": "given", "namespace": "given", "context": None})
    assert server.headers() == [("Authorization", "Bearer given")]
    assert namespace == "given"


@pytest.mark.parametrize("token", ["secret-token\n", " secret-token\r\n"])
def test_the_line_end_behind_a_token_is_none_of_it(token):
    for options in ({"host": "http://h", "api_key": token}, {"kubeconfig": kubeconfig(user={"token": token})}):
        assert connection(options)[0].headers() == [("Authorization", "Bearer secret-token")]


@pytest.mark.parametrize("token", ["secret token", "secret\ntoken", "secret\x00token", "secret-t\u00f6ken"])
def test_what_is_no_token_is_refused_and_not_shown(tmp_path, token):
    (tmp_path / "file").write_text(token, encoding="utf-8")
    given = {
        "api_key": {"host": "http://h", "api_key": token},
        "token in ": {"kubeconfig": kubeconfig(user={"token": token})},
        "token file ": {"kubeconfig": kubeconfig(user={"tokenFile": str(tmp_path / "file")})},
    }
    for name, options in given.items():
        with pytest.raises(KubeconfigError, match=f"The {name}.*is no token") as caught:
            connection(options)[0].headers()
        assert "secret" not in str(caught.value)


def test_kubeconfig_variable_is_merged_and_the_first_wins(tmp_path, monkeypatch):
    first = write(tmp_path, {"users": [{"name": "u", "user": {"token": "first"}}], "contexts": []}, "first")
    second = write(tmp_path, kubeconfig(), "second")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "absent"), first, second]))
    assert connection({})[0].headers() == [("Authorization", "Bearer first")]


def test_usual_place(tmp_path):
    (tmp_path / ".kube").mkdir()
    write(tmp_path / ".kube", kubeconfig())
    assert connection({})[0].host == "http://127.0.0.1:1"


def test_basic_authentication_and_impersonation():
    server, namespace = connection(
        {
            "host": "http://h:1/",
            "username": "me",
            "password": "pw",
            "impersonate_user": "other",
            "impersonate_groups": ["a", "b"],
        }
    )
    assert namespace == "default"
    assert server.host == "http://h:1"
    assert server.headers() == [
        ("Authorization", "Basic " + base64.b64encode(b"me:pw").decode()),
        ("Impersonate-User", "other"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
    ]


def test_a_token_file_is_relative_to_its_kubeconfig_and_read_again(tmp_path):
    (tmp_path / "token").write_text("old\n", encoding="utf-8")
    path = write(tmp_path, kubeconfig(user={"tokenFile": "token"}))
    server = connection({"kubeconfig": path})[0]
    assert server.headers() == [("Authorization", "Bearer old")]
    (tmp_path / "token").write_text("new\n", encoding="utf-8")
    assert server.headers() == [("Authorization", "Bearer old")], "not at each request"
    before = server.renewals
    assert server.renew(before) is True
    assert server.headers() == [("Authorization", "Bearer new")]
    assert server.renew(before) is True, "another request with the old one was refused too"
    assert server.renew(server.renewals) is False, "the same again is not worth another try"


@pytest.mark.parametrize("end", ["", "\\n"])
def test_an_exec_plugin_is_run_by_the_kubernetes_package(tmp_path, end):
    plugin = tmp_path / "plugin"
    plugin.write_text(
        '#!/bin/sh\nprintf "%s" \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", '
        '"status": {"token": "from-plugin' + end + "\"}}'\n",
        encoding="utf-8",
    )
    plugin.chmod(0o755)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(plugin),
            "interactiveMode": "Never",
        }
    }
    server = connection({"kubeconfig": write(tmp_path, kubeconfig(user=user))})[0]
    assert server.headers() == [("Authorization", "Bearer from-plugin")]


def test_certificates_of_an_exec_plugin_are_renewed(tmp_path, monkeypatch):
    """Some are good for five minutes, and a repair takes hours."""
    pair = tmp_path / "pair"
    pair.write_text('"clientCertificateData": "old", "clientKeyData": "old key"', encoding="utf-8")
    plugin = tmp_path / "plugin"
    plugin.write_text(
        '#!/bin/sh\necho \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {\'\n'
        f"cat {pair}\necho '}}}}'\n",
        encoding="utf-8",
    )
    plugin.chmod(0o755)
    monkeypatch.setattr(kubeauth, "_tls", lambda settings: (settings.cert_data, settings.key_data))
    left = tmp_path / "left"
    left.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(left))
    api = "client.authentication.k8s.io/v1"
    config = kubeconfig(user={"exec": {"apiVersion": api, "command": str(plugin), "interactiveMode": "Never"}})
    config["clusters"][0]["cluster"]["server"] = "https://h"
    server = connection({"kubeconfig": write(tmp_path, config)})[0]
    assert server.ssl_context == (b"old", b"old key")
    assert server.renew(0) is False, "the same again is not worth another try"
    pair.write_text('"clientCertificateData": "new", "clientKeyData": "new key"', encoding="utf-8")
    assert server.renew(0) is True
    assert server.ssl_context == (b"new", b"new key")
    assert server.renew(0) is True, "another request with the old one was refused too"
    assert server.renew(1) is False
    # The task's process is a fork, which ends without what the library does at the end of one before Python 3.13.
    assert list(left.iterdir()) == [], "keys"


def test_an_exec_plugin_that_gives_nothing(tmp_path):
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}}
    with pytest.raises(KubeconfigError, match="cannot be had"):
        connection({"kubeconfig": write(tmp_path, kubeconfig(user=user))})


def test_in_a_pod(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("pod-token", encoding="utf-8")
    (tmp_path / "namespace").write_text("pod-namespace", encoding="utf-8")
    monkeypatch.setattr(kubeauth, "SERVICE_ACCOUNT", str(tmp_path))
    monkeypatch.setattr(kubeauth, "_tls", lambda settings: None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    server, namespace = connection({})
    assert server.host == "https://[fd00::1]:443"
    assert server.headers() == [("Authorization", "Bearer pod-token")]
    assert namespace == "pod-namespace"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kubeconfig": "/no/such/file"}, "/no/such/file does not exist"),
        ({"kubeconfig": kubeconfig(), "context": "three"}, 'no context "three" in .*; it has: one, two'),
        ({"kubeconfig": kubeconfig(), "context": "two"}, 'names the cluster "absent", which is not there'),
        ({"kubeconfig": {**kubeconfig(), "current-context": ""}}, "names no current context"),
        ({"kubeconfig": kubeconfig(user={"tokenFile": "/no/token"})}, "/no/token .*does not exist"),
        ({"kubeconfig": kubeconfig(user={"client-certificate-data": "!!!x"})}, "is not base64"),
        ({"kubeconfig": "a: [\nsecret: here"}, "is not valid YAML"),
        ({"kubeconfig": "just\ntext"}, "is not a kubeconfig"),
        ({"kubeconfig": '{"secret": '}, "the kubeconfig given as text is not valid YAML"),
        ({"host": "https://h", "ca_cert": "/no/ca"}, "/no/ca .*does not exist"),
        ({}, "No Kubernetes cluster is configured"),
    ],
)
def test_errors_in_words(options, said):
    with pytest.raises(KubeconfigError, match=said) as caught:
        connection(options)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("no_proxy", "proxy"),
    [
        ("", "http://proxy:3128"),
        ("example.com", "http://proxy:3128"),
        ("api.local", ""),
        (".local", ""),
        ("*", ""),
        ("10.0.0.0/8", "http://proxy:3128"),
    ],
)
def test_proxy_of_the_environment(monkeypatch, no_proxy, proxy):
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert connection({"host": "https://api.local:6443"})[0].proxy == proxy


@pytest.mark.parametrize(
    ("given", "taken"), [("proxy:3128", "http://proxy:3128"), ("http://proxy:3128", "http://proxy:3128"), ("", "")]
)
def test_a_proxy_needs_no_scheme(given, taken):
    """As for kubectl and curl."""
    assert connection({"host": "https://api.local:6443", "proxy": given or None})[0].proxy == taken


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("https://me:secret@proxy:3128", "is reached by https; needed is one of http, socks4"),
        ("socks5://me:secret@proxy", "is reached by socks5, which needs .*: pip install PySocks python-socks$"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told(monkeypatch, given, said):
    monkeypatch.setattr(kubeauth, "SOCKS", {"no_such_module": "PySocks", "nor_this": "python-socks"})
    with pytest.raises(KubeconfigError, match=said) as caught:
        connection({"host": "https://api.local:6443", "proxy": given})
    assert "secret" not in str(caught.value)


def test_the_proxy_of_the_system_is_not_asked(monkeypatch):
    """macOS ends a forked process for that."""
    monkeypatch.setattr(kubeauth.urllib.request, "getproxies", lambda: {"https": "http://system:3128"})
    assert connection({"host": "https://api.local:6443"})[0].proxy == ""


@pytest.mark.parametrize(
    ("proxy", "headers"),
    [("http://proxy:3128", {}), ("http://me:p%40ss@proxy:3128", {"proxy-authorization": "Basic bWU6cEBzcw=="})],
)
def test_a_proxy_with_a_login_gets_it(proxy, headers):
    """Of its URL urllib3 takes the address only."""
    assert dict(kube._pool(kubeauth.Server("https://api.local:6443", proxy=proxy)).proxy_headers) == headers


def test_a_network_needs_no_proxy(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    assert connection({"host": "https://10.1.2.3", "no_proxy": "10.0.0.0/8"})[0].proxy == ""


def greeting(context):
    """What a client sends first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="h").do_handshake()
    return outgoing.read()


def test_no_connection_changes_what_the_others_say():
    """urllib3 does, for each: https://github.com/python/cpython/issues/141012."""
    context = connection({"host": "https://h"})[0].ssl_context
    assert b"\x08http/1.1" in greeting(context)
    context.set_alpn_protocols(["something else"])
    assert b"\x08http/1.1" in greeting(context)


def test_no_verification():
    assert connection({"host": "https://h", "validate_certs": False})[0].ssl_context.verify_mode is ssl.CERT_NONE
    assert connection({"host": "https://h"})[0].ssl_context.verify_mode is ssl.CERT_REQUIRED
