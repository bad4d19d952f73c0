# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests, repetitions and errors of the client, against a loopback server that answers what a test tells it.

The real API server is met in the integration tests; here it would have to fail on demand.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

from ansible_collections.cassops.kubernetes.plugins.module_utils import kube as module
from ansible_collections.cassops.kubernetes.plugins.module_utils import kubeapi
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import Right
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import LockLost


class Api:
    """Answers in turn; remembers what it was asked."""

    def __init__(self):
        self.answers = []
        self.asked = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                api.asked.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
                status, answer, headers = api.answers.pop(0)
                if status == 0:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def will(self, status, answer=None, **headers):
        self.answers.append((status, {} if answer is None else answer, headers))

    def status(self, code, message="", reason=""):
        self.will(code, {"kind": "Status", "code": code, "message": message, "reason": reason})

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    served = Api()
    yield served
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture
def kube(api):
    return Kube.connect({"host": api.url, "api_key": "very-secret", "namespace": "ns"})


def config_map(name="cm", **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def test_get(api, kube):
    api.will(200, config_map())
    assert kube.get("ConfigMap", "cm") == config_map()
    method, path, headers, _body = api.asked[0]
    assert (method, path) == ("GET", "/api/v1/namespaces/ns/configmaps/cm")
    assert headers["Authorization"] == "Bearer very-secret"
    api.status(404)
    assert kube.get("ConfigMap", "cm") is None


def test_a_token_that_ends_between_two_tries_is_renewed_once(api, kube):
    tokens = iter(("Bearer newer", "Bearer newest"))

    def refresh():
        token = next(tokens)
        return lambda: token, None

    kube.server.refresh = refresh
    api.status(503)
    api.status(401)
    api.will(200, config_map())
    assert kube.get("ConfigMap", "cm") == config_map()
    assert [headers["Authorization"] for _method, _path, headers, _body in api.asked] == [
        "Bearer very-secret",
        "Bearer very-secret",
        "Bearer newer",
    ]
    api.status(401)
    api.status(401)
    with pytest.raises(kubeapi.Unauthorized):
        kube.get("ConfigMap", "cm")
    for _try in range(module.ATTEMPTS - 1):
        api.status(503)
    api.status(401)
    with pytest.raises(kubeapi.Unauthorized):
        kube.get("ConfigMap", "cm")


def test_another_certificate_needs_other_connections(api, kube):
    """They keep the one that they were made with."""
    first, context = kube._connections(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    kube.server.refresh = lambda: (lambda: "", context)
    api.status(401)
    api.will(200, config_map())
    assert kube.get("ConfigMap", "cm") == config_map()
    second = kube._connections()
    assert second is not first
    assert second.connection_pool_kw["ssl_context"] is kube.server.ssl_context is context
    assert kube._connections() is second


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Pod", "/api/v1/namespaces/ns/pods/x"),
        ("StatefulSet", "/apis/apps/v1/namespaces/ns/statefulsets/x"),
        ("Node", "/api/v1/nodes/x"),
        ("StorageClass", "/apis/storage.k8s.io/v1/storageclasses/x"),
        ("Lease", "/apis/coordination.k8s.io/v1/namespaces/ns/leases/x"),
    ],
)
def test_paths(kube, kind, path):
    assert kube.path(kind, None, "x") == path


def test_list_reads_all_pages(api, kube):
    api.will(200, {"metadata": {"continue": "more", "resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}]})
    api.will(200, {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "b"}}]})
    found = kube.list("Pod", labels={"app": "x", "rack": "r1"})
    assert [item["metadata"]["name"] for item in found] == ["a", "b"]
    assert found[0]["kind"] == "Pod"
    assert found.resource_version == "7"
    assert "labelSelector=app%3Dx%2Crack%3Dr1" in api.asked[0][1]
    assert "continue=more" in api.asked[1][1]


def test_list_begins_anew_when_its_snapshot_is_gone(api, kube):
    api.will(200, {"metadata": {"continue": "more"}, "items": [{"metadata": {"name": "a"}}]})
    api.status(410)
    api.will(200, {"metadata": {}, "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]})
    assert len(kube.list("Pod")) == 2
    assert "limit" not in api.asked[2][1]


def test_the_server_tells_its_version(api, kube):
    api.will(200, {"major": "1", "minor": "28+", "gitVersion": "v1.28.3-gke.1203"})
    assert kube.version() == "v1.28.3-gke.1203"
    assert api.asked[0][:2] == ("GET", "/version")


def test_apply_is_server_side_and_may_be_dry(api, kube):
    api.will(200, config_map())
    kube.apply(config_map(), dry_run=True)
    method, path, headers, body = api.asked[0]
    assert (method, body) == ("PATCH", config_map())
    assert headers["Content-Type"] == "application/apply-patch+yaml"
    for part in ("fieldManager=cassops", "force=true", "dryRun=All"):
        assert part in path
    assert (kube.requests.reads, kube.requests.writes) == (1, 0)


def test_a_worker_that_was_deleted_cannot_be_asked_for_its_pods(api, kube):
    api.status(404, 'nodes "w1" not found')
    with pytest.raises(kubeapi.WorkerUnreachable, match="worker of p does not answer"):
        kube.logs("p")
    api.status(404, 'nodes "w1" not found')
    assert kube.get("Node", "w1") is None


def test_a_log_is_read_from_a_moment_on(api, kube):
    api.will(200, b"words")
    assert kube.logs("p", tail=9, since=12.2) == "words"
    assert {"tailLines=9", "sinceSeconds=13"} <= {*api.asked[0][1].partition("?")[2].split("&")}


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("dial tcp 10.0.0.7:10250: i/o timeout", ""),
        ("dial tcp 10.0.0.7:10250: connect: no route to host", ""),
        ("dial tcp 10.0.0.7:10250: connect: connection refused", ""),
        ("remote error: tls: internal error", "remote error: tls: internal error"),
        ("No agent available", "No agent available"),
        ("x509: certificate signed by unknown authority", "x509: certificate signed by unknown authority"),
    ],
)
def test_why_a_worker_is_not_reached_is_told_where_it_may_be_well(api, kube, monkeypatch, said, cause):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    api.status(500, f"error dialing backend: {said}")
    with pytest.raises(kubeapi.WorkerUnreachable, match="worker of p does not answer") as caught:
        kube.logs("p")
    assert caught.value.cause == cause


def test_delete_names_the_very_object(api, kube):
    api.will(200)
    assert kube.delete("Pod", "p", "u-1", grace=5, propagation="Foreground") is True
    body = api.asked[0][3]
    assert body["preconditions"] == {"uid": "u-1"}
    assert (body["gracePeriodSeconds"], body["propagationPolicy"]) == (5, "Foreground")
    api.status(404)
    assert kube.delete("Pod", "p", "u-1") is False
    api.status(409, "the UID in the precondition (u-1) does not match the UID in record (u-2)")
    assert kube.delete("Pod", "p", "u-1") is False
    with pytest.raises(ValueError, match="UID"):
        kube.delete("Pod", "p", "")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, kubeapi.Invalid),
        (401, kubeapi.Unauthorized),
        (403, kubeapi.Forbidden),
        (404, kubeapi.NotFound),
        (409, kubeapi.Conflict),
        (410, kubeapi.Gone),
        (422, kubeapi.Invalid),
        (418, kubeapi.ApiError),
    ],
)
def test_typed_errors(api, kube, code, error):
    api.status(code, "because", "Reason")
    with pytest.raises(error) as caught:
        kube.create(config_map())
    assert caught.type is error
    assert (caught.value.status, caught.value.reason) == (code, "Reason")
    assert "very-secret" not in str(caught.value)


def test_a_missing_right_is_named(api, kube):
    api.status(403, 'pods is forbidden: User "u" cannot list resource "pods"')
    with pytest.raises(kubeapi.Forbidden, match='lacks the verb "list" on the resource "pods" of API group ""'):
        kube.list("Pod")


@pytest.mark.parametrize(
    "said",
    [
        'pods "p" is forbidden: violates PodSecurity "restricted:latest"',
        'admission webhook "validation.gatekeeper.sh" denied the request: container <a> cannot be without limits',
        'admission webhook "x" denied the request: User "u" cannot create resource "pods" with this label',
        'pods "p" is forbidden: exceeded quota: q, requested: cpu=1, cannot be used',
        'pods "p" is forbidden: ValidatingAdmissionPolicy "v" denied request: images cannot be of that registry',
    ],
)
def test_a_refusal_by_admission_is_no_missing_right(api, kube, said):
    api.status(403, said)
    with pytest.raises(kubeapi.Forbidden) as caught:
        kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}})
    assert said in str(caught.value)
    assert "lacks" not in str(caught.value)


def test_what_may_be_repeated_is(api, kube):
    for code in (500, 503, 429):
        api.status(code)
    api.will(0)
    api.will(200, config_map())
    assert kube.get("ConfigMap", "cm") == config_map()
    assert len(api.asked) == 5


def test_a_write_is_sent_again_only_while_it_is_allowed(api, kube):
    asked = []

    def guard():
        asked.append(len(api.asked))
        if len(api.asked) == 3:
            raise LockLost("another run has it")

    kube.guards.append(guard)
    api.status(503)
    api.will(200, config_map())
    kube.get("ConfigMap", "cm")
    api.status(503)
    api.will(200, config_map())
    with pytest.raises(LockLost):
        kube.apply(config_map())
    assert asked == [3]
    assert len(api.asked) == 3


def test_repetitions_end(api, kube):
    for _number in range(module.ATTEMPTS):
        api.status(503, "overloaded")
    with pytest.raises(kubeapi.ApiError, match="overloaded"):
        kube.get("ConfigMap", "cm")


def test_a_create_is_not_sent_twice(api, kube):
    api.will(200, config_map())
    kube.get("ConfigMap", "cm")
    api.status(500)
    with pytest.raises(kubeapi.ApiError):
        kube.create(config_map())
    api.will(0)
    with pytest.raises(kubeapi.Unreachable):
        kube.create(config_map())
    assert len(api.asked) == 3


def test_a_handshake_that_breaks_after_answers_is_made_again(api, kube, monkeypatch):
    request = kube._pool.request
    broken = [urllib3.exceptions.SSLError("tlsv1 alert decode error")]

    def asked(*args, **options):
        if broken:
            raise broken.pop()
        return request(*args, **options)

    api.will(200, config_map())
    kube.get("ConfigMap", "cm")
    monkeypatch.setattr(kube._pool, "request", asked)
    api.will(200, config_map())
    assert kube.get("ConfigMap", "cm") == config_map()


def test_a_certificate_that_is_not_trusted_is_told_at_once(kube, monkeypatch):
    asked = []

    def refused(*args, **options):
        asked.append(args)
        raise urllib3.exceptions.SSLError("certificate verify failed")

    monkeypatch.setattr(kube._pool, "request", refused)
    with pytest.raises(kubeapi.Unreachable, match=r"certificate verify failed.*Check the address, ca_cert"):
        kube.get("ConfigMap", "cm")
    assert len(asked) == 1


def test_retry_after_is_respected_within_bounds(monkeypatch):
    slept = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    kubeapi.pause(1, "3")
    kubeapi.pause(1, "3600")
    kubeapi.pause(1, None)
    assert slept[0] == 3
    assert slept[1] == kubeapi.MAX_PAUSE
    assert 0.1 <= slept[2] <= 0.3


def test_nobody_there_is_told_at_once():
    kube = Kube.connect({"host": "https://127.0.0.1:9", "namespace": "ns"})
    with pytest.raises(kubeapi.Unreachable, match=r"https://127.0.0.1:9 cannot be reached: Connection refused"):
        kube.get("Pod", "p")


def test_watch(api, kube):
    events = [
        {"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "5"}}},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "6"}}},
    ]
    api.will(200, b"".join(json.dumps(event).encode() + b"\n" for event in events))
    api.will(200, json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}).encode() + b"\n")
    watched = kube.watch("Pod", resource_version="1", timeout=30)
    assert next(watched) == ("ADDED", events[0]["object"])
    with pytest.raises(kubeapi.Gone):
        next(watched)
    assert "resourceVersion=1" in api.asked[0][1]
    assert "resourceVersion=6" in api.asked[1][1], "it goes on after the bookmark"


def test_observe_lists_again_when_its_version_is_gone(api, kube):
    pods = {"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "a", "resourceVersion": "1"}}]}
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}
    deleted = {"type": "DELETED", "object": {"metadata": {"name": "a", "resourceVersion": "9"}}}
    api.will(200, pods)
    api.will(200, json.dumps(gone).encode() + b"\n")
    api.will(200, pods)
    api.will(200, json.dumps(deleted).encode() + b"\n")
    states = []
    for state in kube.observe("Pod", timeout=30):
        states.append(sorted(state))
        if len(states) == 3:
            break
    assert states == [["a"], ["a"], []]


def test_missing_rights(api, kube):
    rules = [
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"]},
    ]
    api.will(201, {"status": {"resourceRules": rules}})
    there, absent = [("get", "Pod"), ("patch", "StatefulSet")], [("create", "Pod", "exec"), ("get", "Secret")]
    api.will(201, {"status": {"allowed": False}})
    api.will(201, {"status": {"allowed": False}})
    missing = kube.can(Right(*each) for each in there + absent)
    assert [str(right) for right in missing] == ["create pods/exec", "get secrets"]
    assert kube.requests.writes == 0, "reviews change nothing"


def test_the_servers_clock(api, kube):
    api.will(200, config_map(), Date="Sun, 22 Nov 2026 18:00:00 GMT")
    kube.get("ConfigMap", "cm")
    # BaseHTTPRequestHandler adds a Date of its own first; the last one is not relied on to the second.
    assert isinstance(kube.server_time(), float)


@pytest.mark.parametrize("answer", [b"<html>Please log in</html>", b"[]", b""])
def test_an_answer_of_somebody_else_is_none(api, kube, answer):
    """A page of a proxy with status 200 must end neither the renewal of a lock nor the watch of an event source."""
    api.will(200, answer)
    with pytest.raises(kubeapi.Unreachable, match=r"What answers as the Kubernetes API server .* Check the address"):
        kube.get("ConfigMap", "cm")


def test_a_patch_of_a_subresource(api, kube):
    api.will(200)
    kube.patch("StatefulSet", "s", {"spec": {"replicas": 3}}, subresource="scale")
    method, path, headers, body = api.asked[0]
    assert path.startswith("/apis/apps/v1/namespaces/ns/statefulsets/s/scale?")
    assert (method, body) == ("PATCH", {"spec": {"replicas": 3}})
    assert headers["Content-Type"] == "application/merge-patch+json"
