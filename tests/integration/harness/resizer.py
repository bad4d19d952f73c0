# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a storage that grows volumes, which the sandbox's has not. The kubelet's part is done by the kubelet.

Nothing grows in truth: the sandbox's volumes are folders without a limit. What is tested is what claims, StatefulSets
and nodes go through. As CSI's external-resizer does it, a claim that asks for more is told to be resized, then to wait
for the kubelet, and its volume gets the new capacity. Then the kubelet sees to the file system and to the claim. A
storage that needs a new start of the pod is one that tells its volume's capacity only then.
"""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .kubernetes import Object
from .namespace import Namespace

RESIZING, FOR_KUBELET = "Resizing", "FileSystemResizePending"
PAUSE = 1.0


@dataclass
class Resizer:
    """:param online: file systems grow under running pods."""

    namespace: Namespace
    online: bool
    _end: threading.Event = field(default_factory=threading.Event)
    # Claims -> the container that ran when the storage was done.
    _lives: dict[str, str] = field(default_factory=dict)
    _fault: BaseException | None = None

    def work(self) -> None:
        try:
            while not self._end.wait(PAUSE):
                for claim in self.namespace.list("persistentvolumeclaims"):
                    self._see_to(claim)
        except Exception as error:
            self._fault = error

    def _see_to(self, claim: Object) -> None:
        name, status = claim["metadata"]["name"], claim["status"]
        wanted = claim["spec"]["resources"]["requests"]["storage"]
        if status.get("phase") != "Bound" or status["capacity"]["storage"] == wanted:
            return
        conditions = {each["type"] for each in status.get("conditions", ())}
        if FOR_KUBELET in conditions:
            if self.online or self._life(name) not in ("", self._lives[name]):
                capacity = json.dumps({"spec": {"capacity": {"storage": wanted}}})
                volume = claim["spec"]["volumeName"]
                self.namespace.cluster.kubectl("patch", "pv", volume, "--type=merge", "-p", capacity)
        elif RESIZING in conditions:
            self._lives[name] = self._life(name)
            self._tell(name, FOR_KUBELET)
        else:
            self._tell(name, RESIZING)

    def _tell(self, claim: str, condition: str) -> None:
        since = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        told = {"type": condition, "status": "True", "lastTransitionTime": since}
        patch = json.dumps({"status": {"conditions": [told]}})
        self.namespace.kubectl("patch", "pvc", claim, "--subresource=status", "--type=merge", "-p", patch)

    def _life(self, claim: str) -> str:
        """The container that uses it, empty where none runs."""
        pods = {pod["metadata"]["name"]: pod for pod in self.namespace.list("pods")}
        states = pods.get(claim.removeprefix("data-"), {"status": {}})["status"].get("containerStatuses", ())
        return next((each.get("containerID", "") for each in states if "running" in each["state"]), "")

    def stop(self, thread: threading.Thread) -> None:
        """:raises: what went wrong in it."""
        self._end.set()
        thread.join(60)
        if self._fault is not None:
            raise self._fault


@contextmanager
def allowed(namespace: Namespace, storage_class: str) -> Iterator[None]:
    """Volumes of this class may be asked to grow; afterwards they may not, as on every sandbox."""

    def allow(expansion: bool) -> None:
        patch = json.dumps({"allowVolumeExpansion": expansion})
        namespace.cluster.kubectl("patch", "storageclass", storage_class, "--type=merge", "-p", patch)

    allow(True)
    try:
        yield
    finally:
        allow(False)


@contextmanager
def growing(namespace: Namespace, storage_class: str, *, online: bool) -> Iterator[None]:
    """Volumes of this class can grow, and those of this namespace do."""
    resizer = Resizer(namespace, online)
    thread = threading.Thread(target=resizer.work, name="resizer", daemon=True)
    with allowed(namespace, storage_class):
        thread.start()
        try:
            yield
        finally:
            resizer.stop(thread)
