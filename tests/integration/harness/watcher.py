# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who watches the pods through the API, and knows nothing of what a playbook says."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .datacenter import Datacenter, is_ready

RACK = "cassops.kubernetes/rack"


@dataclass
class Watcher:
    """:ivar most: the most racks that had a pod away at once, and which.

    :ivar made: pod -> how many new ones were made. :ivar away: pod -> the seconds that it was not ready, each time.
    :ivar first_away: pod -> when it was first not ready. :ivar last_back: pod -> when it was last ready again.
    """

    datacenter: Datacenter
    most: int = 0
    which: list[set[str]] = field(default_factory=list)
    made: Counter[str] = field(default_factory=Counter)
    away: dict[str, list[float]] = field(default_factory=dict)
    first_away: dict[str, float] = field(default_factory=dict)
    last_back: dict[str, float] = field(default_factory=dict)
    _uids: dict[str, str] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def at(cls, datacenter: Datacenter) -> Iterator[Watcher]:
        """Watch as long as the context lasts."""
        watcher = cls(datacenter)
        watcher._uids = {name: pod["metadata"]["uid"] for name, pod in datacenter.pods().items()}
        process = datacenter.namespace.stream(
            "get", "pods", "-l", datacenter.selector, "--watch", "-o", "json", "--output-watch-events"
        )
        thread = threading.Thread(target=watcher._read, args=(process,), name="watcher", daemon=True)
        thread.start()
        try:
            yield watcher
        finally:
            time.sleep(1)
            process.terminate()
            thread.join(10)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        decoder, rest = json.JSONDecoder(), ""
        while chunk := process.stdout.readline():
            rest += chunk
            while rest.strip():
                try:
                    event, end = decoder.raw_decode(rest.lstrip())
                except ValueError:
                    break
                rest = rest.lstrip()[end:]
                self._note(event["type"], event["object"])

    def _note(self, kind: str, pod: dict[str, Any]) -> None:
        name, uid, now = pod["metadata"]["name"], pod["metadata"]["uid"], time.monotonic()
        if self._uids.setdefault(name, uid) != uid:
            self._uids[name] = uid
            self.made[name] += 1
        there = kind != "DELETED" and is_ready(pod) and "deletionTimestamp" not in pod["metadata"]
        if there and name in self._since:
            self.away.setdefault(name, []).append(now - self._since.pop(name))
            self.last_back[name] = now
        elif not there:
            self._since.setdefault(name, now)
            self.first_away.setdefault(name, now)
        racks = {away.removeprefix(f"{self.datacenter.prefix}-").rpartition("-")[0] for away in self._since}
        if len(racks) > self.most:
            self.most = len(racks)
            self.which.append(racks)

    def assert_one_rack(self) -> None:
        """Never were pods of two racks away at once."""
        assert self.most <= 1, f"racks away at once: {self.which}"
