# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may hold the lock, and when it is free."""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import lock as module
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import Conflict, Unreachable
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import Lock, Locked, LockLost


class Leases:
    """The part of the API server that a lock needs: one lease, with its version, and a clock."""

    def __init__(self):
        self.lease = None
        self.guards = []
        self.version = 0
        self.offset = 0.0
        self.broken = False

    def get(self, kind, name):
        if self.broken:
            raise Unreachable("down")
        return copy.deepcopy(self.lease)

    def create(self, obj):
        if self.lease is not None:
            raise Conflict("it exists")
        return self.store(obj)

    def replace(self, obj):
        if obj["metadata"]["resourceVersion"] != str(self.version):
            raise Conflict("it was changed")
        return self.store(obj)

    def store(self, obj):
        self.version += 1
        self.lease = copy.deepcopy(obj)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.lease)

    def server_time(self):
        return time.time() + self.offset


@pytest.fixture
def leases():
    return Leases()


@pytest.fixture(autouse=True)
def other_machine(monkeypatch):
    """Holders of these tests are processes of nowhere, unless a test says where."""
    monkeypatch.setattr(module, "process", lambda pid: "")


def take(leases, holder, **more):
    lock = Lock(leases, "l", holder, **more)
    lock.acquire(background=False)
    return lock


def test_one_holder_at_a_time(leases):
    first = take(leases, "me@a pid 1")
    with pytest.raises(Locked, match=r"me@a pid 1 holds the lock l since 20"):
        take(leases, "you@b pid 2")
    first.release()
    assert leases.lease["spec"]["holderIdentity"] == ""
    take(leases, "you@b pid 2")


def test_tasks_of_one_run_share_it(leases):
    take(leases, "me@a pid 1")
    since = leases.lease["spec"]["acquireTime"]
    take(leases, "me@a pid 1")
    assert leases.lease["spec"]["acquireTime"] == since


def test_a_task_in_between_leaves_it_held_and_renewed(leases):
    take(leases, "me@a pid 1")
    leases.offset = 30
    before = leases.lease["spec"]["renewTime"]
    with Lock(leases, "l", "me@a pid 1") as lock:
        lock.check()
    assert leases.lease["spec"]["holderIdentity"] == "me@a pid 1"
    assert leases.lease["spec"]["renewTime"] > before
    with pytest.raises(Locked):
        take(leases, "you@b pid 2")
    Lock(leases, "l", "me@a pid 1").release()
    assert leases.lease["spec"]["holderIdentity"] == ""
    with Lock(leases, "l", "me@a pid 1"):
        pass
    assert leases.lease["spec"]["holderIdentity"] == "", "taken by the context itself"


def test_free_when_the_holder_is_silent_for_its_duration(leases):
    take(leases, "me@a pid 1")
    leases.offset = 59
    with pytest.raises(Locked):
        take(leases, "you@b pid 2")
    leases.offset = 61
    take(leases, "you@b pid 2")


def test_a_holder_whose_clock_is_ahead_is_seen_to_stand_still(leases):
    take(leases, "me@a pid 1", duration=1)
    leases.offset = -3600
    waiting = Lock(leases, "l", "you@b pid 2")
    with pytest.raises(Locked):
        waiting.acquire(background=False)
    waiting.acquire(wait=10, background=False)


def test_a_dead_process_of_this_machine_holds_nothing(leases, monkeypatch):
    monkeypatch.setattr(module, "process", lambda pid: f"this-boot/pid:[1]/{pid}")
    monkeypatch.setattr(os, "getppid", lambda: 2**22 + 1)
    take(leases, "me@a pid 1")
    take(leases, "you@a pid 2")


def test_a_living_process_of_this_machine_and_any_of_another_hold_it(leases, monkeypatch):
    monkeypatch.setattr(module, "process", lambda pid: f"this-boot/pid:[1]/{pid}")
    monkeypatch.setattr(os, "getppid", os.getpid)
    take(leases, "me@a pid 1")
    with pytest.raises(Locked):
        take(leases, "you@a pid 2")
    leases.lease["metadata"]["annotations"][module.PROCESS] = f"other-boot/pid:[1]/{2**22 + 1}"
    with pytest.raises(Locked):
        take(leases, "you@a pid 2")


def test_of_two_that_try_one_gets_it(leases):
    real_create = leases.create

    def create(obj):
        real_create({**obj, "spec": {**obj["spec"], "holderIdentity": "other"}})
        return real_create(obj)

    leases.create = create
    with pytest.raises(Locked, match="other holds"):
        take(leases, "me@a pid 1")


def test_an_answer_to_our_own_write_that_was_lost_is_no_other_run(leases, monkeypatch):
    monkeypatch.setattr(module, "process", lambda pid: f"boot/ns/{pid}")
    real_create = leases.create

    def create(obj):
        real_create(obj)
        return real_create(obj)

    leases.create = create
    lock = Lock(leases, "l", "me@a pid 1")
    lock.acquire()
    lock.check()
    lock.release()
    assert leases.lease["spec"]["holderIdentity"] == ""


def test_each_place_is_locked_once():
    """Two that renew one Lease keep each other from it."""
    one, same, far = (
        SimpleNamespace(server=SimpleNamespace(host="https://a"), namespace=namespace) for namespace in ("n", "n", "m")
    )
    assert module.each_once([one, far, same]) == [one, far]


def test_renewed_in_the_background_and_released(leases):
    with Lock(leases, "l", "me@a pid 1", renew=0.02) as lock:
        first = leases.version
        deadline = time.monotonic() + 60
        while leases.version < first + 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert leases.version >= first + 2
        lock.check()
    assert leases.lease["spec"]["holderIdentity"] == ""


def test_a_lock_that_was_taken_away_is_noticed(leases):
    with Lock(leases, "l", "me@a pid 1", renew=0.02) as lock:
        leases.lease["spec"]["holderIdentity"] = "you@b pid 2"
        deadline = time.monotonic() + 60
        while not lock._lost and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(LockLost, match="you@b pid 2 holds it now"):
            lock.check()
    assert leases.lease["spec"]["holderIdentity"] == "you@b pid 2", "not ours to release"


def test_a_lock_that_cannot_be_renewed_is_lost_in_time(leases):
    with Lock(leases, "l", "me@a pid 1", duration=0, renew=0.02) as lock:
        leases.broken = True
        time.sleep(0.05)
        with pytest.raises(LockLost, match="could not be renewed"):
            lock.check()
        [guard] = leases.guards
        with pytest.raises(LockLost, match="could not be renewed"):
            guard()
    assert leases.guards == [], "who let go has nothing to guard"


def test_a_worker_without_its_controller_stops(leases, monkeypatch):
    lock = take(leases, "me@a pid 1")
    monkeypatch.setattr(os, "getppid", lambda: -1)
    with pytest.raises(LockLost, match=r"ansible-playbook process .* is gone"):
        lock.check()


def test_the_holder_is_the_controller():
    assert module.holder().endswith(f" pid {os.getppid()}")
    assert module.holder(7).endswith(" pid 7")


ORPHAN = """
import multiprocessing, os, signal, sys, time
from ansible_collections.cassops.kubernetes.plugins.module_utils import lock

def task(main):
    while os.getppid() == main:
        time.sleep(0.01)
    held = lock.Lock(None, "l", lock.holder())
    try:
        held.acquire()
    except lock.LockLost as error:
        print(lock.holder().endswith(f" pid {main}"), error, flush=True)

multiprocessing.get_context("fork").Process(target=task, args=[os.getpid()]).start()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_task_whose_run_was_killed_before_it_began_takes_no_lock():
    """Its parent is another process by then, which lives: in its name nobody may hold anything."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", ORPHAN]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert re.fullmatch(r"True .* ansible-playbook process that this task belongs to is gone.*\n", done.stdout)


def test_is_dead_is_never_guessed(monkeypatch):
    monkeypatch.undo()
    assert module.is_dead("") is False
    assert module.is_dead("x/y/1") is False
    assert module.is_dead(module.process(os.getpid())) is False


def test_containers_of_one_host_name_are_not_the_same_run(leases, monkeypatch):
    """Their processes have small numbers, the same ones in each."""
    monkeypatch.setattr(module, "process", lambda pid: f"boot/pid:[1]/{pid}")
    first = take(leases, "root@bastion pid 7")
    monkeypatch.setattr(module, "process", lambda pid: f"boot/pid:[2]/{pid}")
    with pytest.raises(Locked):
        take(leases, "root@bastion pid 7")
    Lock(leases, "l", "root@bastion pid 7").release()
    assert leases.lease["spec"]["holderIdentity"] == "root@bastion pid 7", "not ours to release"
    monkeypatch.setattr(module, "process", lambda pid: f"boot/pid:[1]/{pid}")
    take(leases, "root@bastion pid 7")
    first.release()
    assert leases.lease["spec"]["holderIdentity"] == ""


def test_two_tasks_of_one_run_are_not_at_work_at_once(leases, monkeypatch):
    """A play without serial has a worker for each datacenter of a cluster."""
    monkeypatch.setattr(module, "process", lambda pid: f"this-boot/pid:[1]/{pid}")
    monkeypatch.setattr(os, "getppid", os.getpid)
    with Lock(leases, "l", "me@a pid 1"):
        other = Lock(leases, "l", "me@a pid 1")
        other._worker = f"this-boot/pid:[1]/{os.getppid() + 1}"
        with pytest.raises(Locked, match=r"Another task of this run .* serial: 1"):
            other.acquire()
        with Lock(leases, "l", "me@a pid 1"):
            "the same task may take it twice"
    other.acquire()
    assert leases.lease["spec"]["holderIdentity"] == "me@a pid 1"
    other.release()


def test_the_next_task_of_a_run_does_not_wait_for_the_end_of_the_last_ones_process(leases, monkeypatch):
    """Ansible starts it when the result is there; the process ends a moment later."""
    monkeypatch.setattr(module, "process", lambda pid: f"this-boot/pid:[1]/{pid}")
    monkeypatch.setattr(os, "getppid", os.getpid)
    take(leases, "me@a pid 1")
    with Lock(leases, "l", "me@a pid 1"):
        pass
    following = Lock(leases, "l", "me@a pid 1")
    following._worker = f"this-boot/pid:[1]/{os.getppid() + 1}"
    with following:
        assert leases.lease["metadata"]["annotations"][module.WORKER] == following._worker
    assert leases.lease["metadata"]["annotations"][module.WORKER] == ""
    assert leases.lease["spec"]["holderIdentity"] == "me@a pid 1"


def test_a_worker_that_died_leaves_the_lock_to_the_next_task(leases, monkeypatch):
    monkeypatch.setattr(module, "process", lambda pid: f"this-boot/pid:[1]/{pid}")
    monkeypatch.setattr(os, "getppid", os.getpid)
    take(leases, "me@a pid 1")
    leases.lease["metadata"]["annotations"][module.WORKER] = f"this-boot/pid:[1]/{2**22 + 1}"
    take(leases, "me@a pid 1")
