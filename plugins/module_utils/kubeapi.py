# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Kubernetes API has, what is asked of it, and how it answers: kinds, rights, results and errors."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import CassopsError

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

MAX_PAUSE = 10.0
"""Seconds, the longest pause between two tries, whatever Retry-After says."""
DIALING = "error dialing backend"
"""What the API server says before why it does not reach a kubelet."""
NO_ANSWER = "does not answer: "
"""What is said before the API server's words about a worker."""
SILENCE = (
    "timeout",
    "timed out",
    "deadline exceeded",
    "no route to host",
    "unreachable",
    "refused",
    "connection reset",
    "EOF",
    "not found",
)
"""Of these words those that are said of a worker that is off."""


class ApiError(CassopsError):
    """The API server answered with an error.

    :ivar status: the HTTP status, 0 where there was no answer.
    :ivar reason: Kubernetes' one-word reason, for example ``AlreadyExists``; empty where unknown.
    """

    def __init__(self, message: str, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Unreachable(ApiError):
    """No answer from the API server."""


class Unauthorized(ApiError):
    """401: the credentials are not accepted."""


class Forbidden(ApiError):
    """403: a right is missing, or admission (Pod Security, quota) refuses."""


class NotFound(ApiError):
    """404: no such object, or no such namespace."""


class Conflict(ApiError):
    """409: it exists already, it was changed in between, or a precondition does not hold."""


class Gone(ApiError):
    """410: the resource version is too old; LIST again."""


class Invalid(ApiError):
    """400 or 422: the object is refused; the message names the fields."""


class WorkerUnreachable(ApiError):
    """The API server does not reach the kubelet of the pod's worker: it is down, cut off, or starting; or the way to it
    is not in order, and the worker is."""

    @property
    def cause(self) -> str:
        """The API server's words, where they tell more than that nobody answers."""
        said = str(self).partition(NO_ANSWER)[2].removeprefix(f"{DIALING}: ")
        return "" if any(words in said for words in SILENCE) else said


LOST = (Unreachable, WorkerUnreachable)
"""Whether a command has ended is not known then, and Cassandra goes on with what it began."""


class ExecTimeout(CassopsError):
    """A command in a container took longer than it was given, and was killed."""


ERRORS: Mapping[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
}


# What the authorizer says of a right that is missing, and what only admission says.
_AUTHORIZER = re.compile(r'\bUser ".*" cannot \w+ (resource|path)\b')
_ADMISSION = ("admission webhook", "violates PodSecurity", "exceeded quota")


class Kind(NamedTuple):
    """Where a kind lives in the API."""

    api_version: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group, empty for the core."""
        return self.api_version.rpartition("/")[0]

    @property
    def root(self) -> str:
        """The path of the group and version."""
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"


KINDS: Mapping[str, Kind] = {
    "Namespace": Kind("v1", "namespaces", namespaced=False),
    "Node": Kind("v1", "nodes", namespaced=False),
    "Pod": Kind("v1", "pods"),
    "Service": Kind("v1", "services"),
    "ConfigMap": Kind("v1", "configmaps"),
    "Secret": Kind("v1", "secrets"),
    "PersistentVolumeClaim": Kind("v1", "persistentvolumeclaims"),
    "PersistentVolume": Kind("v1", "persistentvolumes", namespaced=False),
    "Event": Kind("v1", "events"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "StatefulSet": Kind("apps/v1", "statefulsets"),
    "ControllerRevision": Kind("apps/v1", "controllerrevisions"),
    "PodDisruptionBudget": Kind("policy/v1", "poddisruptionbudgets"),
    "StorageClass": Kind("storage.k8s.io/v1", "storageclasses", namespaced=False),
    "Lease": Kind("coordination.k8s.io/v1", "leases"),
    "Job": Kind("batch/v1", "jobs"),
    "CronJob": Kind("batch/v1", "cronjobs"),
    "Role": Kind("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", "rolebindings"),
    "EndpointSlice": Kind("discovery.k8s.io/v1", "endpointslices"),
}


class ObjectList(list[Object]):
    """The items of a LIST, each with its ``kind`` and ``apiVersion``, and the version from which to watch on."""

    resource_version: str = ""


class Event(NamedTuple):
    """One event of a watch: ``ADDED``, ``MODIFIED`` or ``DELETED``."""

    type: str
    object: Object


@dataclasses.dataclass(frozen=True)
class ExecResult:
    """What a command in a container left: its exit code and its texts (UTF-8, wrong bytes replaced)."""

    rc: int
    stdout: str
    stderr: str


class Right(NamedTuple):
    """A verb on a resource, which may be a subresource: ``Right("create", "Pod", "exec")``."""

    verb: str
    kind: str
    subresource: str = ""

    def __str__(self) -> str:
        kind = KINDS[self.kind]
        resource = kind.plural + (f"/{self.subresource}" if self.subresource else "")
        return f"{self.verb} {resource}" + (f".{kind.group}" if kind.group else "")


Rights = list[Right]


class What(NamedTuple):
    """What is being done, for messages."""

    verb: str
    kind: str
    name: str
    namespace: str | None
    subresource: str = ""

    @property
    def namespaced(self) -> bool:
        return self.kind in KINDS and KINDS[self.kind].namespaced

    @property
    def rule(self) -> str:
        """The rule that a Role lacks."""
        if self.kind not in KINDS:
            return "A right is missing"
        kind = KINDS[self.kind]
        resource = kind.plural + (f"/{self.subresource}" if self.subresource else "")
        role = "Role" if kind.namespaced else "ClusterRole"
        return f'The {role} lacks the verb "{self.verb}" on the resource "{resource}" of API group "{kind.group}"'

    def __str__(self) -> str:
        kind = self.kind + (f"/{self.subresource}" if self.subresource else "")
        return " ".join(part for part in (self.verb, kind, self.name) if part)


def pause(attempt: int, retry_after: str | None = None) -> None:
    """Sleeps before the next try: 0.2 s doubling, with full jitter, or what the server asks for."""
    seconds = 0.2 * 2 ** (attempt - 1) * (0.5 + random.random())
    if retry_after and retry_after.isdigit():
        seconds = max(seconds, float(retry_after))
    time.sleep(min(seconds, MAX_PAUSE))


def status_message(data: bytes) -> tuple[str, str]:
    """The message and the reason of a Status object; the text itself where it is none."""
    try:
        status = json.loads(data)
        return str(status.get("message", "")), str(status.get("reason", ""))
    except (ValueError, AttributeError):
        return data.decode("utf-8", "replace").strip()[:500], ""


def lacks_right(said: str) -> bool:
    """Whether an answer 403 is the authorizer's: admission forbids too, in words of its own or of its policies."""
    return _AUTHORIZER.search(said) is not None and not any(words in said for words in _ADMISSION)
