# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lease by which one run at a time changes a cluster."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import CassopsError
from .events import seconds_of
from .kube import Kube
from .kubeapi import ApiError, Conflict, Object

DURATION = 60
"""Seconds after its last renewal when a lock is free again."""

RENEW = 15.0
"""Seconds between renewals: three may fail."""

PROCESS = "cassops.kubernetes/process"
"""Annotation with the holder's process, unique in the world: ``<boot id>/<pid namespace>/<pid>``."""

WORKER = "cassops.kubernetes/worker"
"""Annotation with the process of the holder's task that is at work under the lock, empty between tasks."""


class Locked(CassopsError):
    """Somebody else holds the lock."""


class LockLost(CassopsError):
    """The lock was taken by somebody else, or could not be renewed in time: stop changing things."""


def controller() -> int:
    """The process of ``ansible-playbook``. A task runs in a fork of it, by ``multiprocessing``, which remembers whose
    fork it is: when that was killed at once, the parent is another already, and would seem to live.
    """
    parent = multiprocessing.parent_process()
    return os.getppid() if parent is None or parent.pid is None else parent.pid


def holder(pid: int | None = None) -> str:
    """Who we are in a Lease: ``<user>@<host> pid <pid>``.

    Several tasks of one run share the lock, so the process must be that of ``ansible-playbook``. (A module that runs by
    itself has a parent of its own for each task; two such tasks of one run wait for each other at most until the first
    releases.)

    :param pid: of the controller; default is L(controller).
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's arbitrary user id has no name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} pid {controller() if pid is None else pid}"


def process(pid: int) -> str:
    """A process by a name that no process of another machine, boot or container has; empty where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()}/{os.readlink('/proc/self/ns/pid')}/{pid}"
    except OSError:
        return ""


def is_dead(name: str) -> bool:
    """Whether a process so named was here and is no more; False where that cannot be known."""
    kernel, _slash, pid = name.rpartition("/")
    if not pid.isdigit() or process(int(pid)).rpartition("/")[0] != kernel:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


class Lock:
    """A lock, renewed by a thread while it is held::

        with Lock(kube, "mycluster-lock", ctx.holder):
            ...

    It is also usable over several tasks of one run: ``acquire(background=False)`` in one, ``release()`` in another;
    the same holder takes it again without asking. Each task in between takes it anew, which renews it, and the end of
    its context leaves it as it was found: held by this run.
    """

    def __init__(self, kube: Kube, name: str, holder: str, *, duration: int = DURATION, renew: float = RENEW) -> None:
        self.kube = kube
        self.name = name
        self.holder = holder
        self.duration = duration
        self._renew_every = renew
        self._lease: Object | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._renewed_at = 0.0
        self._held_before = False
        self._lost = ""
        self._controller = controller()
        self._process = process(self._controller)
        self._worker = process(os.getpid())
        self._at_work = False

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._held_before:
            self._leave()
        else:
            self.release()

    def acquire(self, wait: float = 0.0, *, background: bool = True) -> None:
        """Takes the lock.

        :param wait: seconds to wait for another to let go.
        :param background: renew it by a thread until :meth:`release`.
        :raises Locked: held by another, by whom and since when.
        :raises LockLost: the run that this task belongs to was killed.
        """
        self._see_controller()
        self._end_if_lost()
        self._at_work = background
        deadline = time.monotonic() + wait
        seen: dict[str, float] = {}
        while not self._try(seen):
            if time.monotonic() >= deadline:
                raise Locked(self._who())
            time.sleep(min(2.0, max(0.1, deadline - time.monotonic())))
        if background:
            self._start()

    def release(self) -> None:
        """Lets go, if it is ours. Never fails: a lock that cannot be released is free after its duration anyway."""
        self._end_thread()
        with contextlib.suppress(ApiError):
            lease = self.kube.get("Lease", self.name)
            if lease is not None and self.is_ours(lease):
                self._write(lease, holder="")
        self._lease = None

    def _leave(self) -> None:
        """To the next task of this run, which may begin before this one's process is gone."""
        self._end_thread()
        self._at_work = False
        with contextlib.suppress(CassopsError):
            lease = self.kube.get("Lease", self.name)
            if lease is not None and self.is_ours(lease):
                self._lease = self._write(lease, holder=self.holder)

    def is_ours(self, lease: Object) -> bool:
        """Whether this run holds it. Two containers of one host name may have equal users and process numbers, so the
        process counts too, where both are known."""
        if (lease.get("spec") or {}).get("holderIdentity") != self.holder:
            return False
        return not self._process or _process_of(lease) in ("", self._process)

    def _end_thread(self) -> None:
        self._stop.set()
        if self.check in self.kube.guards:
            self.kube.guards.remove(self.check)
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def check(self) -> None:
        """To be called before each change.

        :raises LockLost: the lock is not ours any more, or may soon not be.
        """
        self._see_controller()
        if not self._lost and self._lease is not None and awake() - self._renewed_at > self.duration:
            self._lost = f"it could not be renewed for {self.duration} s"
        self._end_if_lost()

    def _end_if_lost(self) -> None:
        if self._lost:
            raise LockLost(
                f"The lock {self.name} is lost: {self._lost}. Nothing more is changed. "
                "Run the playbook again; it goes on where this run stopped."
            )

    def _see_controller(self) -> None:
        """A worker whose controller was killed must stop too: the next run may have begun."""
        if os.getppid() != self._controller:
            self._lost = "the ansible-playbook process that this task belongs to is gone"

    def _try(self, seen: dict[str, float]) -> bool:
        """One try. ``seen`` remembers when we first saw each renewal, on our own clock."""
        lease = self.kube.get("Lease", self.name)
        if lease is not None and not self._free(lease, seen):
            self._lease = lease
            return False
        self._held_before = lease is not None and self.is_ours(lease)
        # Others count from the stamp that is about to be written.
        before = awake()
        try:
            self._lease = self._write(lease, holder=self.holder)
        except Conflict:
            # Another was quicker, and is named in the message; or the answer to ours was lost, and it was sent again.
            self._lease = self.kube.get("Lease", self.name)
            if self._lease is None or not self.is_ours(self._lease) or _worker_of(self._lease) != self._worker:
                return False
        self._renewed_at = before
        return True

    def _free(self, lease: Object, seen: dict[str, float]) -> bool:
        """Ours, let go of, or not renewed for as long as it lasts.

        Clocks differ. A holder is dead when its renewal is too old by the API server's clock (this holds while the
        holder's clock is about right), or when it stood still that long on our own clock, whatever it says. One that
        ran on this machine is seen to be dead at once.
        """
        spec = lease.get("spec") or {}
        if not spec.get("holderIdentity") or is_dead(_process_of(lease)):
            return True
        if self.is_ours(lease) and not self._is_busy(lease):
            return True
        first_seen = seen.setdefault(_renewed(spec), time.monotonic())
        if time.monotonic() - first_seen > _duration(spec):
            return True
        return has_lapsed(lease, self.kube.server_time())

    def _is_busy(self, lease: Object) -> bool:
        """Whether another task of this run is at work under it: a play has a worker for each of its hosts."""
        worker = _worker_of(lease)
        return bool(worker) and worker != self._worker and not is_dead(worker)

    def _write(self, lease: Object | None, holder: str) -> Object:
        """Stores the lease over the version that was read: of two that try, one gets a conflict."""
        # The API server's clock, so that all holders' times can be compared.
        now = datetime.datetime.fromtimestamp(self.kube.server_time(), datetime.timezone.utc)
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = dict((lease or {}).get("spec") or {})
        if spec.get("holderIdentity") != holder:
            spec["acquireTime"] = stamp
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec.update(holderIdentity=holder, leaseDurationSeconds=self.duration, renewTime=stamp)
        metadata: dict[str, Any] = dict((lease or {}).get("metadata") or {"name": self.name})
        metadata["labels"] = {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "cassops"}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), PROCESS: self._process if holder else ""}
        metadata["annotations"][WORKER] = self._worker if holder and self._at_work else ""
        new: Object = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        return self.kube.create(new) if lease is None else self.kube.replace(new)

    def _who(self) -> str:
        spec = (self._lease or {}).get("spec") or {}
        if self._lease is not None and self.is_ours(self._lease):
            return (
                f"Another task of this run changes this cluster: it holds the lock {self.name}. Let the play take the "
                "datacenters of one cluster one after the other, with serial: 1."
            )
        return (
            f"Another run changes this cluster: {spec.get('holderIdentity', 'somebody')} holds the lock {self.name} "
            f"since {spec.get('acquireTime', 'an unknown time')}; its last sign of life was at "
            f"{spec.get('renewTime', 'an unknown time')}. Wait for it to end; if it is dead, the lock is free "
            f"{self.duration} s after its last sign of life."
        )

    def _start(self) -> None:
        self._stop.clear()
        self.kube.guards.append(self.check)
        # A daemon: a worker that dies must not hold the lock for ever.
        self._thread = threading.Thread(target=self._keep, name="cassops-lock", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while not self._stop.wait(self._renew_every):
            self._see_controller()
            if self._lost:
                return
            try:
                lease = self.kube.get("Lease", self.name)
                if lease is None or not self.is_ours(lease):
                    taker = "nobody" if lease is None else lease["spec"].get("holderIdentity") or "nobody"
                    self._lost = f"{taker} holds it now"
                    return
                before = awake()
                self._lease = self._write(lease, holder=self.holder)
                self._renewed_at = before
            except CassopsError:
                # Tried again at the next turn; check() knows when it is too late.
                continue


def _process_of(lease: Object) -> str:
    return str((lease["metadata"].get("annotations") or {}).get(PROCESS) or "")


def _worker_of(lease: Object) -> str:
    return str((lease["metadata"].get("annotations") or {}).get(WORKER) or "")


def each_once(kubes: Iterable[Kube]) -> list[Kube]:
    """Each place once, in order: where datacenters share a namespace they share its Lease, and two that renew one would
    keep each other from it."""
    found: dict[tuple[str, str], Kube] = {}
    for kube in kubes:
        found.setdefault((kube.server.host, kube.namespace), kube)
    return list(found.values())


def who_holds(kube: Kube, name: str) -> str:
    """Who has a lock, empty where nobody has."""
    lease = kube.get("Lease", name)
    if lease is None or has_lapsed(lease, kube.server_time()) or is_dead(_process_of(lease)):
        return ""
    return str(lease["spec"]["holderIdentity"])


def has_lapsed(lease: Object, now: float) -> bool:
    """Whether nobody holds a lock any more: it was let go of, or not renewed for as long as it lasts.

    :param now: by the API server's clock, in seconds since 1970.
    """
    spec = lease.get("spec") or {}
    renewed = _renewed(spec)
    return not spec.get("holderIdentity") or not renewed or now - seconds_of(renewed) > _duration(spec)


def awake() -> float:
    """Seconds on a clock that goes on while the machine sleeps: others count the lock's time meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _renewed(spec: Mapping[str, Any]) -> str:
    return str(spec.get("renewTime") or spec.get("acquireTime") or "")


def _duration(spec: Mapping[str, Any]) -> float:
    return float(spec.get("leaseDurationSeconds") or DURATION)
