# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a node is that streams: one that joins, takes another's place, or leaves; and whether its streams failed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from .. import nodetool
from ..errors import CassopsError
from ..kube import Kube
from ..observe import attempt
from ..report import size
from . import failures

# Seconds between two looks: each starts a Java process.
LOOK_AGAIN = 10.0
VERB_LIMIT = 60.0
STREAM_FAILED = "Some data streaming failed"
RECEIVING, SENDING = "receiving", "sending"


class HalfWay(CassopsError):
    """The new node will not finish; another attempt may."""


@dataclass
class Stream:
    """How far a node is, as nodetool netstats tells it.

    :param direction: L(RECEIVING) or L(SENDING).
    :ivar silent: it was asked just now, and no stream is open.
    """

    direction: str = RECEIVING
    mode: str = ""
    total: int = 0
    done: int = 0
    since: float = 0.0
    # Not at once: whoever starts needs its processors for that, and nodetool is one more JVM.
    looked: float = field(default_factory=time.monotonic)
    seen: bool = False
    silent: bool = False

    def look(self, kube: Kube, pod: str) -> str:
        """Ask the node, not too often, and say how far it is."""
        now = time.monotonic()
        self.silent = False
        if now - self.looked < LOOK_AGAIN:
            return self.words(now)
        self.looked = now
        told = attempt(lambda: nodetool.run(kube, pod, [["netstats"]], VERB_LIMIT, check=True)[0].data)
        if isinstance(told, CassopsError):
            return self.mode or "starting"
        open_now = [session[self.direction] for session in told["sessions"] if session[self.direction]]
        if open_now and not self.seen:
            self.seen, self.since = True, now
        if open_now:
            self.total = max(self.total, sum(each["bytes"] or 0 for each in open_now))
            self.done = max(self.done, sum(each["bytes_done"] or 0 for each in open_now))
        self.mode = told["mode"].lower()
        self.silent = not open_now
        return self.words(now)

    def words(self, now: float) -> str:
        if self.direction == RECEIVING and self.mode == "normal":
            return "has its data, and does not serve clients yet"
        if not self.total:
            return self.mode or "starting"
        words = f"streaming {100 * self.done / self.total:.0f} %, {size(self.done)} of {size(self.total)}"
        rate = self.done / (now - self.since) if now > self.since else 0
        if rate and self.done < self.total:
            words += f", about {max(1, round((self.total - self.done) / rate / 60))} min left"
        return words

    def mark(self) -> tuple[object, ...]:
        """Changes as long as it goes on."""
        return (self.done, self.mode, self.total)


def failure(kube: Kube, pod: str) -> str | None:
    """Why a node's streams failed, by its log. Cassandra goes on without the data, and waits for somebody to notice."""
    log = attempt(lambda: kube.logs(pod, tail=failures.LOG_LINES))
    return failed_because(log) if isinstance(log, str) and STREAM_FAILED in log else None


def failed_because(log: str) -> str:
    """The line that tells why streaming failed."""
    lines = (line.strip() for line in log.splitlines())
    return next((line[:300] for line in lines if "Exception" in line or "failed" in line), "its log does not tell why")
