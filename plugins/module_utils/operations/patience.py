# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When waiting for a node makes no sense any more, and why: no image, no worker, held, crashed again and again; or for
its end."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import CassopsError
from ..events import HANGS, event_time, worker_comes
from ..kube import Kube
from ..observe import attempt, silent, worker_lost
from ..view import NodeView

# Faults that no waiting heals, once they last this long (seconds). Registries hiccup, and a held node follows the
# ledger, which the kubelet brings to it within a minute or so.
LASTING = 100.0
# What the kubelet says in place of a log that it has no more.
NO_LOG = "unable to retrieve container logs"
NO_START = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", *HANGS)
NO_WORKER = "it cannot be scheduled"
# Parts of what the scheduler says of a pod whose volume is where it may not run, on another worker or in another zone:
# until and since kubernetes#129887.
ELSEWHERE = ("volume node affinity conflict", "persistentvolume's node affinity")
NO_POD = "has no pod"
# Who waits for a worker that somebody adds is looked after again so often (seconds).
COMES_AGAIN = 10.0
# How often a pod may crash before waiting any longer makes no sense.
CRASHES = 3
# For how many seconds a worker may be silent before somebody is told.
SILENT = 120.0
LOG_LINES = 15


class Patience:
    """To be asked at every look of one wait; it remembers since when something is wrong.

    :param hopeless: beginnings of Kubernetes' reasons that count. A first start on a cluster that adds workers by
        itself may wait long for one; a node that ran a moment ago had one, and waits only for one that is on its way.
    :param elsewhere: a volume where the pod may not run counts too: it is a new one, and none is made in its place.
    """

    def __init__(self, kube: Kube, hopeless: tuple[str, ...] = NO_START, elsewhere: bool = False) -> None:
        self._kube = kube
        self._hopeless = hopeless
        self._elsewhere = elsewhere
        # node -> since when (seconds, monotonic).
        self._since: dict[str, float] = {}
        # UID of a pod -> how often it had crashed when it was first looked at.
        self._before: dict[str | None, int] = {}

    def lost(self, nodes: Iterable[NodeView]) -> list[str]:
        """The nodes that will not come up by themselves, each with the cause as far as it can be told."""
        now = time.monotonic()
        listed = list(nodes)
        faults = {node.pod: fault for node in listed if (fault := self._fault(node))}
        self._since = {pod: self._since.get(pod, now) for pod in faults}
        crashes = {node.pod: self._crashes(node) for node in listed}
        crashed = [node for node in listed if crashes[node.pod] >= CRASHES and node.phase == "Crashed"]
        told = [f"{node.pod} crashed {crashes[node.pod]} times ({node.reason})" for node in crashed]
        if crashed:
            # They mostly have the same to say.
            told[0] += f". The end of its log:\n{last_words(self._kube, crashed[0].pod)}\n"
        # Of a node that is held, Kubernetes only says the same once more.
        held = {node.pod for node in listed if node.held}
        helped = [node for node in listed if self._lasts(node.pod, now) and self._is_helped(node)]
        self._since |= {node.pod: now - LASTING + COMES_AGAIN for node in helped}
        lasting = [pod for pod in self._since if self._lasts(pod, now)]
        events = {pod: "" if pod in held else last_event(self._kube, pod, faults[pod]) for pod in lasting}
        # Where Kubernetes may make a pod it does so within a second, and where it may not it says why. It may also be
        # away itself for a while.
        return told + [f"{pod} {faults[pod]}{event}" for pod, event in events.items() if event or faults[pod] != NO_POD]

    def _crashes(self, node: NodeView) -> int:
        """How often it crashed since the first look, as Kubernetes counts over its pod's life; all of them where it had
        crashed several times in a row by then.
        """
        before = self._before.setdefault(node.uid, 0 if node.backing_off else node.restarts)
        return node.restarts - before

    def _lasts(self, pod: str, now: float) -> bool:
        return pod in self._since and now - self._since[pod] > LASTING

    def _is_helped(self, node: NodeView) -> bool:
        """Whether a worker is being added for a pod that has none."""
        if not (node.reason or "").startswith(NO_WORKER):
            return False
        told = attempt(lambda: list(self._kube.list("Event", fields=f"involvedObject.name={node.pod}")))
        return isinstance(told, list) and worker_comes(told, node.uid or "", self._kube.server_time())

    def _fault(self, node: NodeView) -> str | None:
        # The containers of a pod that ends end one by one, and a new one comes.
        if node.is_ending:
            return None
        if node.uid is None:
            return NO_POD
        if node.held:
            return f"is held: {node.held}"
        # Its container beside Cassandra's says the same: "its container backup: ImagePullBackOff: ...".
        if re.sub(r"^its container \S+: ", "", node.reason or "").startswith(self._hopeless):
            return f"cannot start: {node.reason}"
        if self._elsewhere and is_elsewhere(node.reason):
            return f"cannot start: {node.reason}"
        # Kubernetes puts its next start off for longer each time; when it runs for a moment, this counts anew.
        if re.match(r"its container \S+ ended with", node.reason or ""):
            return f"is not ready: {node.reason}"
        return None


class Silence:
    """Whether a worker does not answer for too long; to be asked at every look of one wait."""

    def __init__(self) -> None:
        self._since: float | None = None

    def lasts(self, lost: bool) -> bool:
        """:param lost: whether it does not answer now."""
        now = time.monotonic()
        if not lost:
            self._since = None
        elif self._since is None:
            self._since = now
        return self._since is not None and now - self._since > SILENT


class Ending:
    """Pods that are to go. Only its worker can end a pod; to be asked at every look of one wait."""

    def __init__(self) -> None:
        self._silence = Silence()

    def left(self, pods: Iterable[Mapping[str, Any]]) -> list[str]:
        """Those that are there still, in words.

        :raises CassopsError: a worker does not answer for too long.
        """
        there = {pod["metadata"]["name"]: pod for pod in pods}
        lost = {name: str(pod["spec"].get("nodeName")) for name, pod in sorted(there.items()) if worker_lost(pod)}
        if self._silence.lasts(bool(lost)):
            workers = sorted(set(lost.values()))
            raise CassopsError(
                f"{', '.join(lost)} cannot end, since {', '.join(workers)} does not answer: bring that worker back. If "
                f"it is off for good, delete it from Kubernetes (kubectl delete node {' '.join(workers)}). Then run it "
                "again; nothing was undone."
            )
        return [f"{name} still runs{f': {silent(lost[name])}' if name in lost else ''}" for name in sorted(there)]


def is_elsewhere(reason: str | None) -> bool:
    """Whether a pod waits since its volume is where it may not run."""
    return any(words in (reason or "").lower() for words in ELSEWHERE)


def last_words(kube: Kube, pod: str, lines: int = LOG_LINES) -> str:
    """The end of a crashed container's log.

    The kubelet keeps one container that ended. While none runs, that is the present one, and the answer for the one
    before it is well-formed but has only the words that it is gone.
    """
    told = str(attempt(lambda: kube.logs(pod, previous=True, tail=lines)))
    return str(attempt(lambda: kube.logs(pod, tail=lines))) if told.startswith(NO_LOG) else told


def last_event(kube: Kube, pod: str, said: str) -> str:
    """Kubernetes' latest warning about a pod, in brackets; empty where there is none, or it may not be read.

    :param said: what is known of the pod already; a warning that is part of it is not told again. Of a pod that cannot
        be made (a quota, a policy, a webhook), the StatefulSet's events tell.
    """
    about = pod.rpartition("-")[0] if said == NO_POD else pod
    told = attempt(lambda: list(kube.list("Event", fields=f"involvedObject.name={about}")))
    warnings = [item for item in told if item.get("type") == "Warning"] if isinstance(told, list) else []
    if said == NO_POD:
        warnings = [item for item in warnings if re.search(rf"\b{re.escape(pod)}\b", str(item.get("message")))]
    newest: Mapping[str, Any] = max(warnings, key=event_time, default={})
    return f" (Kubernetes: {newest['reason']}: {newest['message']})" if newest and newest["message"] not in said else ""
