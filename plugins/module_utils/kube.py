# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thin client of the Kubernetes API: raw JSON, fixed paths, typed errors.

It never imports the typed models of the ``kubernetes`` package (0.9 to 2.8 s of imports) and needs no discovery.
How one authenticates is found out in ``kubeauth.py``.

An object is the plain ``dict`` that the API speaks. A namespace is only named where it is not the client's own.
One client may be used by many threads at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import json
import math
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode

from .errors import CassopsError
from .kubeapi import (
    DIALING,
    ERRORS,
    KINDS,
    NO_ANSWER,
    ApiError,
    Conflict,
    Event,
    ExecResult,
    Gone,
    NotFound,
    Object,
    ObjectList,
    Right,
    Rights,
    Unreachable,
    What,
    WorkerUnreachable,
    lacks_right,
    pause,
    status_message,
)
from .kubeauth import Server, connection
from .kubestream import PodSocket, run

try:
    import urllib3

    URLLIB3_IMPORT_ERROR: str | None = None
except ImportError:
    URLLIB3_IMPORT_ERROR = traceback.format_exc()

FIELD_MANAGER = "cassops"
"""The name under which fields are owned in server-side apply."""

PAGE = 500
"""Objects a page of a LIST; the API server's own default in kubectl."""

ATTEMPTS = 5
"""Tries of one request that may be repeated."""

TIMEOUT = 60.0
"""Seconds that an answer may take."""
LEASE_TIMEOUT = 10.0
"""The same where a lock is renewed, which has only a minute for it: a server that was switched off says nothing."""


MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclasses.dataclass
class Requests:
    """How many requests were sent, for benchmarks and tests. Reviews of rights and dry runs count as reads."""

    reads: int = 0
    writes: int = 0


class Kube:
    """The client. Make one with :meth:`connect`."""

    def __init__(self, server: Server, namespace: str) -> None:
        """:param server: address, credentials, TLS. :param namespace: of every object that names none."""
        if URLLIB3_IMPORT_ERROR is not None:
            raise CassopsError(
                "The Python library urllib3 is missing where this task runs. "
                "Install what the collection needs: pip install kubernetes"
            )
        self.server = server
        self.namespace = namespace
        self.requests = Requests()
        # Asked before a write is sent again. A server that hangs for a minute may have given our lock to another run.
        self.guards: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._pool = _pool(server)
        self._pool_context = server.ssl_context
        self._answered = False
        self._clock_offset = 0.0

    @classmethod
    def connect(cls, options: Mapping[str, Any]) -> Kube:
        """A client from a task's connection options; what is absent comes from K8S_AUTH_*, KUBECONFIG, the pod.

        :param options: see the ``kubernetes`` documentation fragment. Nothing is asked of the server yet.
        :raises CassopsError: with what is wrong with the kubeconfig or the credentials.
        """
        server, namespace = connection(options)
        return cls(server, namespace)

    # -- objects ------------------------------------------------------------------------------------------------

    def get(self, kind: str, name: str, *, namespace: str | None = None) -> Object | None:
        """The object, or None where there is none.

        :raises ApiError: any other answer.
        """
        try:
            return self._json("GET", self.path(kind, namespace, name), what=What("get", kind, name, namespace))
        except NotFound:
            return None

    def list(
        self,
        kind: str,
        labels: Mapping[str, str] | str | None = None,
        *,
        fields: str | None = None,
        namespace: str | None = None,
    ) -> ObjectList:
        """All objects of a kind that match, read page by page.

        :param labels: a mapping (all must be equal) or a label selector.
        :param fields: a field selector, for example ``spec.nodeName=w1``.
        """
        what = What("list", kind, "", namespace)
        path = self.path(kind, namespace)
        query: dict[str, str] = {"limit": str(PAGE), **_selectors(labels, fields)}
        found = ObjectList()
        while True:
            try:
                page = self._json("GET", path, query, what=what)
            except Gone:
                if "continue" not in query:
                    raise
                # The snapshot that the pages come from was compacted away: once more, in one piece.
                found = ObjectList()
                query.pop("continue")
                query.pop("limit")
                continue
            for item in page.get("items") or ():
                item.setdefault("kind", kind)
                item.setdefault("apiVersion", KINDS[kind].api_version)
                found.append(item)
            found.resource_version = page.get("metadata", {}).get("resourceVersion", "")
            token = page.get("metadata", {}).get("continue")
            if not token:
                return found
            query["continue"] = token

    def apply(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply: makes the object, or gives its fields the values wanted; takes fields from others.

        :param dry_run: the server does everything but store it, so the answer shows what would be.
        :return: the object as the server has it now.
        """
        kind, name, namespace = _identity(obj)
        query = {"fieldManager": FIELD_MANAGER, "force": "true", **({"dryRun": "All"} if dry_run else {})}
        return self._json(
            "PATCH",
            self.path(kind, namespace, name),
            query,
            body=obj,
            content_type=APPLY_PATCH,
            what=What("patch", kind, name, namespace),
        )

    def create(self, obj: Object) -> Object:
        """Makes an object.

        :raises Conflict: there is one of that name already.
        """
        kind, name, namespace = _identity(obj, named=False)
        what = What("create", kind, name, namespace)
        return self._json("POST", self.path(kind, namespace), {"fieldManager": FIELD_MANAGER}, body=obj, what=what)

    def replace(self, obj: Object) -> Object:
        """Stores an object as it is given; with ``metadata.resourceVersion`` only over that version.

        :raises Conflict: it was changed in between.
        """
        kind, name, namespace = _identity(obj)
        query = {"fieldManager": FIELD_MANAGER}
        what = What("update", kind, name, namespace)
        return self._json("PUT", self.path(kind, namespace, name), query, body=obj, what=what)

    def patch(
        self,
        kind: str,
        name: str,
        patch: Any,
        *,
        subresource: str = "",
        namespace: str | None = None,
    ) -> Object:
        """Changes an object by a merge patch.

        :param subresource: for example ``status`` or ``scale``.
        """
        what = What("patch", kind, name, namespace, subresource)
        return self._json(
            "PATCH",
            self.path(kind, namespace, name, subresource),
            {"fieldManager": FIELD_MANAGER},
            body=patch,
            content_type=MERGE_PATCH,
            what=what,
        )

    def delete(
        self,
        kind: str,
        name: str,
        uid: str,
        *,
        grace: int | None = None,
        propagation: str | None = None,
        namespace: str | None = None,
    ) -> bool:
        """Deletes the very object with that UID, never another that has taken its name meanwhile.

        :param grace: seconds for a pod to end; None leaves it to the pod.
        :param propagation: ``Foreground``, ``Background`` or ``Orphan``; None leaves it to the kind.
        :return: True where a deletion was accepted, False where that object was gone already.
        """
        if not uid:
            raise ValueError(f"delete {kind} {name}: a UID is needed")
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        if propagation is not None:
            body["propagationPolicy"] = propagation
        what = What("delete", kind, name, namespace)
        try:
            self._json("DELETE", self.path(kind, namespace, name), body=body, what=what)
        except NotFound:
            return False
        except Conflict as error:
            # "UID in precondition: ..." or, from 1.34, "the UID in the precondition (...)".
            if "UID in " in str(error):
                return False
            raise
        return True

    # -- watching -----------------------------------------------------------------------------------------------

    def watch(
        self,
        kind: str,
        labels: Mapping[str, str] | str | None = None,
        resource_version: str = "",
        timeout: float = 300.0,
        *,
        fields: str | None = None,
        namespace: str | None = None,
    ) -> Generator[Event, None, None]:
        """The changes after ``resource_version``, as they come, until ``timeout`` seconds are over.

        The server may end a watch whenever it likes (and ends it when it restarts); then it is begun anew from the
        last version seen.

        :raises Gone: that version is too old: LIST again (:meth:`observe` does).
        """
        deadline = time.monotonic() + timeout
        what = What("watch", kind, "", namespace)
        path = self.path(kind, namespace)
        version = resource_version
        while (left := deadline - time.monotonic()) > 0:
            query = {"watch": "1", "allowWatchBookmarks": "true", **_selectors(labels, fields)}
            query["timeoutSeconds"] = str(max(1, int(left)))
            if version:
                query["resourceVersion"] = version
            for event in self._stream(path, query, what, left):
                version = event.object.get("metadata", {}).get("resourceVersion", version)
                if event.type != "BOOKMARK":
                    yield event

    def observe(
        self,
        kind: str,
        labels: Mapping[str, str] | str | None = None,
        timeout: float = 300.0,
        *,
        tick: float = 5.0,
        fields: str | None = None,
        namespace: str | None = None,
    ) -> Generator[dict[str, Object], None, None]:
        """What there is, by name: at once, after each change, and at least every ``tick`` seconds.

        It goes on over restarts of the API server: whatever time that takes counts against ``timeout``.
        The mapping belongs to the generator: do not change it, and copy what is kept.
        """
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                listed = self.list(kind, labels, fields=fields, namespace=namespace)
                state = {item["metadata"]["name"]: item for item in listed}
                yield state
                version = listed.resource_version
                while (left := deadline - time.monotonic()) > 0:
                    for event in self.watch(kind, labels, version, min(tick, left), fields=fields, namespace=namespace):
                        version = event.object["metadata"]["resourceVersion"]
                        if event.type == "DELETED":
                            state.pop(event.object["metadata"]["name"], None)
                        else:
                            state[event.object["metadata"]["name"]] = event.object
                        yield state
                    yield state
            except Gone:
                continue
            except Unreachable:
                if deadline - time.monotonic() <= 0:
                    raise
                time.sleep(min(1.0, max(0.0, left)))

    # -- pods ---------------------------------------------------------------------------------------------------

    def exec(
        self,
        pod: str,
        argv: Sequence[str],
        container: str = "cassandra",
        stdin: str | bytes | None = None,
        timeout: float = 60.0,
        *,
        namespace: str | None = None,
    ) -> ExecResult:
        """Runs a command in a container and waits for its end.

        The command's words stand in the API server's audit log: a secret goes through ``stdin``.

        :param timeout: seconds; then the command is killed (by ``timeout`` of coreutils where the image has it).
        :raises ExecTimeout: it was not done in time.
        :raises ApiError: it could not be started.
        """
        self._count("exec", dry=False)
        return run(self, pod, list(argv), container, stdin, timeout, namespace or self.namespace)

    def dial(self, pod: str, port: int, *, namespace: str | None = None) -> PodSocket:
        """A connection to ``port`` on the pod's own loopback, without a local port and without threads.

        :raises ApiError: it cannot be opened. That nobody listens there is only told when it is used.
        """
        self._count("forward", dry=False)
        return PodSocket(self, pod, port, namespace or self.namespace)

    def logs(
        self,
        pod: str,
        container: str = "cassandra",
        previous: bool = False,
        tail: int | None = None,
        *,
        since: float | None = None,
        namespace: str | None = None,
    ) -> str:
        """A container's log, its last ``tail`` lines, or of the last ``since`` seconds, where given; ``previous``: of
        the run before this one."""
        query = {"container": container}
        if previous:
            query["previous"] = "true"
        if tail is not None:
            query["tailLines"] = str(tail)
        if since is not None:
            query["sinceSeconds"] = str(max(1, math.ceil(since)))
        what = What("get", "Pod", pod, namespace, "log")
        data, _headers = self._send("GET", self.path("Pod", namespace, pod, "log"), query, what=what)
        return data.decode("utf-8", "replace")

    # -- the server ---------------------------------------------------------------------------------------------

    def server_time(self) -> float:
        """Seconds since 1970 on the API server's clock, to a second or so (from its last answer's Date header)."""
        return time.time() + self._clock_offset

    def version(self) -> str:
        """What the API server calls itself, such as ``v1.34.4``, or with a vendor's own ``v1.28.3-gke.1203``."""
        answer = self._json("GET", "/version", what=What("get", "", "version", None))
        return str(answer.get("gitVersion", ""))

    def can(self, rights: Iterable[Right | tuple[str, ...]], *, namespace: str | None = None) -> Rights:
        """Those of the rights that the credentials do not have, in the order given.

        One request where a rules review lists them all; what it does not list is asked one by one, since a
        webhook authoriser cannot list its rules.
        """
        wanted = [Right(*right) for right in rights]
        where = namespace or self.namespace
        rules = self._rules(where) if wanted else []
        doubtful = [right for right in wanted if not _granted(right, rules)]
        if not doubtful:
            return []
        with ThreadPoolExecutor(max_workers=8) as pool:
            answers = list(pool.map(lambda right: self._may(right, where), doubtful))
        return [right for right, allowed in zip(doubtful, answers, strict=True) if not allowed]

    def _rules(self, namespace: str) -> Sequence[Object]:
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        answer = self._review("selfsubjectrulesreviews", body)
        return answer.get("status", {}).get("resourceRules") or ()

    def _may(self, right: Right, namespace: str) -> bool:
        kind = KINDS[right.kind]
        attributes = {"verb": right.verb, "group": kind.group, "resource": kind.plural}
        if right.subresource:
            attributes["subresource"] = right.subresource
        if kind.namespaced:
            attributes["namespace"] = namespace
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        return bool(self._review("selfsubjectaccessreviews", body).get("status", {}).get("allowed"))

    def _review(self, plural: str, body: Object) -> Object:
        path = f"/apis/authorization.k8s.io/v1/{plural}"
        what = What("review", "", plural, None)
        return self._json("POST", path, body=body, what=what, repeatable=True)

    # -- requests -----------------------------------------------------------------------------------------------

    def path(
        self,
        kind: str,
        namespace: str | None,
        name: str = "",
        subresource: str = "",
    ) -> str:
        try:
            where = KINDS[kind]
        except KeyError:
            raise ValueError(f"kind {kind} is not in the table of kinds") from None
        parts = [where.root]
        if where.namespaced:
            parts.append("namespaces/" + quote(namespace or self.namespace, safe=""))
        parts.append(where.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        what: What,
        body: Any = None,
        content_type: str = "application/json",
        repeatable: bool | None = None,
    ) -> Object:
        data, _headers = self._send(
            method, path, query, what=what, body=body, content_type=content_type, repeatable=repeatable
        )
        return self._object(data)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        what: What,
        body: Any = None,
        content_type: str = "application/json",
        repeatable: bool | None = None,
    ) -> tuple[bytes, Mapping[str, str]]:
        """One request with its repetitions; the answer's body and headers.

        Repeated are: an answer 429 (nothing was done), a connection that could not be made (nothing was sent), and,
        where doing it twice is doing it once, 5xx and lost connections. A write only while the guards allow it.
        """
        if repeatable is None:
            repeatable = method != "POST"
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type} if content is not None else {}
        self._count(what.verb, dry="dryRun" in (query or {}))
        limit = LEASE_TIMEOUT if what.kind == "Lease" else TIMEOUT
        renewed = False
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            if attempt > 1 and method != "GET" and what.kind != "Lease":
                for guard in self.guards:
                    guard()
            renewals = self.server.renewals
            try:
                response = self._once(method, path, query, headers, content, read_timeout=limit)
            except urllib3.exceptions.HTTPError as error:
                if last or not self._worth_another_try(error, repeatable, attempt):
                    raise self.unreachable(error) from None
                pause(attempt)
                continue
            self._learn(response.headers)
            if response.status < 300:
                return response.data, response.headers
            if response.status == 401 and not (last or renewed) and self.server.renew(renewals):
                renewed = True
                continue
            again = response.status == 429 or (repeatable and response.status in (500, 502, 503, 504))
            if last or not again:
                raise self.error(response.status, response.data, what)
            pause(attempt, response.headers.get("Retry-After"))
        raise AssertionError("not reached")

    def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        content: str | None,
        *,
        read_timeout: float = TIMEOUT,
        stream: bool = False,
    ) -> Any:
        url = self.server.host + path + (f"?{urlencode(query)}" if query else "")
        merged = urllib3.HTTPHeaderDict(headers)
        merged["Accept"] = "application/json"
        merged["User-Agent"] = "cassops.kubernetes"
        for name, value in self.server.headers():
            merged.add(name, value)
        return self._connections().request(
            method,
            url,
            body=content,
            headers=merged,
            timeout=urllib3.Timeout(connect=10.0, read=read_timeout),
            retries=False,
            preload_content=not stream,
        )

    def _connections(self) -> Any:
        """The pool; another one once the server got another certificate, since connections keep theirs."""
        with self._lock:
            if self._pool_context is not self.server.ssl_context:
                self._pool, self._pool_context = _pool(self.server), self.server.ssl_context
            return self._pool

    def _stream(self, path: str, query: Mapping[str, str], what: What, left: float) -> Generator[Event, None, None]:
        """The events of one watch request; ends when the server or the time ends it."""
        self._count("watch", dry=False)
        response = None
        try:
            response = self._once("GET", path, query, {}, None, read_timeout=left + 5, stream=True)
            self._learn(response.headers)
            if response.status >= 300:
                raise self.error(response.status, response.read(), what)
            rest = b""
            for chunk in response.stream(65536, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield self._event(self._object(line), what)
        except urllib3.exceptions.ProtocolError:
            # The server ended a watch in the middle of a chunk: it restarts, or a proxy thought it idle.
            pause(1)
        except urllib3.exceptions.HTTPError as error:
            raise self.unreachable(error) from None
        finally:
            if response is not None:
                # A stream that was not read to its end cannot be used for another request.
                response.close()

    def _event(self, raw: Object, what: What) -> Event:
        if raw["type"] == "ERROR":
            status = raw["object"]
            raise self.error(int(status.get("code", 500)), json.dumps(status).encode(), what)
        return Event(raw["type"], raw["object"])

    def _worth_another_try(self, error: Exception, repeatable: bool, attempt: int) -> bool:
        if not self._answered:
            # It never answered yet: more likely a wrong address than a restart. People should not wait for that.
            return attempt == 1 and isinstance(error, urllib3.exceptions.NewConnectionError)
        nothing_sent = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
        return repeatable or isinstance(error, nothing_sent)

    def _learn(self, headers: Mapping[str, str]) -> None:
        self._answered = True
        with contextlib.suppress(TypeError, ValueError, IndexError):
            if "Date" in headers:
                self._clock_offset = email.utils.parsedate_to_datetime(headers["Date"]).timestamp() - time.time()

    def _count(self, verb: str, *, dry: bool) -> None:
        with self._lock:
            if verb in ("get", "list", "watch", "review", "exec", "forward") or dry:
                self.requests.reads += 1
            else:
                self.requests.writes += 1

    # -- errors in words ----------------------------------------------------------------------------------------

    def _object(self, data: bytes) -> Object:
        """:raises Unreachable: it is none, so somebody else has answered: whether anything was done is not known."""
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer
        said = data.decode("utf-8", "replace").strip()[:200]
        raise Unreachable(
            f"What answers as the Kubernetes API server {self.server.host}{self.server.origin} is none: {said!r}. "
            "Check the address, and the proxy or login page on the way."
        )

    def unreachable(self, error: Exception) -> Unreachable:
        """What is said when there is no answer: the address, why, and what to look at."""
        cause = _root_cause(error)
        if "certificate" in cause.lower() or "ssl" in type(error).__name__.lower():
            advice = "Check the address, ca_cert (certificate-authority in the kubeconfig) and the client certificate."
        else:
            advice = "Check that the cluster is up, the address in the kubeconfig, VPN, proxy and firewall."
        return Unreachable(
            f"The Kubernetes API server {self.server.host} cannot be reached{self.server.origin}: {cause}. {advice}"
        )

    def error(self, status: int, data: bytes, what: What) -> ApiError:
        """The typed error for an answer."""
        said, reason = status_message(data)
        # The second is said of a worker that was deleted, where its pod is asked for something.
        deleted = status == 404 and what.kind == "Pod" and said.startswith('nodes "')
        if deleted or DIALING in said:
            return WorkerUnreachable(f"The worker of {what.name} {NO_ANSWER}{said}", status, reason)
        return ERRORS.get(status, ApiError)(self._words(status, said, what), status, reason)

    def _words(self, status: int, said: str, what: What) -> str:
        where = f" in namespace {what.namespace or self.namespace}" if what.namespaced else ""
        if status == 401:
            return (
                f"The Kubernetes API server {self.server.host} does not accept the credentials{self.server.origin} "
                f"(401, asked to {what}{where}). The token or certificate is wrong or has expired: log in again, or "
                "give a valid kubeconfig or api_key."
            )
        if status == 403 and lacks_right(said):
            return (
                f"Not allowed to {what}{where}. {what.rule} (see the Role that the collection ships). "
                f"Kubernetes says: {said}"
            )
        if status == 404:
            return f"Cannot {what}{where}: {said or 'not found'}"
        return f"Kubernetes refused to {what}{where} ({status}): {said or 'no reason given'}"


def _pool(server: Server) -> Any:
    """A pool of connections: as many as threads are likely to ask at once; more are made and dropped."""
    options: dict[str, Any] = {"maxsize": 16, "num_pools": 4}
    if server.ssl_context is not None:
        options["ssl_context"] = server.ssl_context
        if server.ssl_context.verify_mode is ssl.CERT_NONE:
            # Asked for with validate_certs: a warning at each request says nothing new.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if server.tls_server_name:
        options["server_hostname"] = server.tls_server_name
    if server.proxy.startswith("socks"):
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(server.proxy, **options)
    if server.proxy:
        # Of a proxy's URL urllib3 takes the address only.
        login = server.proxy_login
        headers = urllib3.make_headers(proxy_basic_auth=":".join(login)) if login else None
        return urllib3.ProxyManager(server.proxy, proxy_headers=headers, **options)
    return urllib3.PoolManager(**options)


def _identity(obj: Object, *, named: bool = True) -> tuple[str, str, str | None]:
    """Kind, name and namespace (None: the client's own) of an object."""
    metadata = obj["metadata"]
    return obj["kind"], metadata["name"] if named else metadata.get("name", ""), metadata.get("namespace")


def _selectors(labels: Mapping[str, str] | str | None, fields: str | None) -> dict[str, str]:
    query: dict[str, str] = {}
    if labels:
        query["labelSelector"] = labels if isinstance(labels, str) else ",".join(f"{k}={v}" for k, v in labels.items())
    if fields:
        query["fieldSelector"] = fields
    return query


def _root_cause(error: BaseException) -> str:
    """The innermost words of a chain of exceptions: "Connection refused" and not the three wrappers around it."""
    inner: BaseException = error
    while True:
        deeper = getattr(inner, "reason", None)
        following = deeper if isinstance(deeper, BaseException) else (inner.__cause__ or inner.__context__)
        if following is None or following is inner:
            break
        inner = following
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return str(inner) or type(inner).__name__


def _granted(right: Right, rules: Sequence[Object]) -> bool:
    """Whether a rules review grants a right for every name."""
    kind = KINDS[right.kind]
    resource = kind.plural + (f"/{right.subresource}" if right.subresource else "")
    resources = {resource, "*"} | ({f"*/{right.subresource}"} if right.subresource else set())
    return any(
        {right.verb, "*"} & set(rule.get("verbs") or ())
        and {kind.group, "*"} & set(rule.get("apiGroups") or ())
        and resources & set(rule.get("resources") or ())
        and not rule.get("resourceNames")
        for rule in rules
    )
