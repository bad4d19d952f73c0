# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a node is that streams: one that joins, takes another's place, leaves, or is given rows that it lacks; and
whether its streams failed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import nodetool
from ..errors import CassopsError
from ..kube import Kube
from ..observe import attempt
from ..report import size
from .waiting import stretched

# Seconds between two looks at first, and when it has lasted: each starts a Java process, which prints every file that
# has come so far.
LOOK_AGAIN = 10.0
LONGEST = 60.0
VERB_LIMIT = 60.0
STREAM_FAILED = "Some data streaming failed"
# After that somebody may have the node try again (nodetool bootstrap resume), in vain (C(resumeBootstrap)).
RESUMED, RESUMED_IN_VAIN = "Resuming bootstrap...", "Error during bootstrap: "
# It may have gone on for hours since.
LOG_LINES = 2000
# Before those words a node says why.
REASON_LINES = 60
RECEIVING, SENDING = "receiving", "sending"


class HalfWay(CassopsError):
    """The new node will not finish; another attempt may."""


# By plan, peer and number of the session with that peer: bytes done, and all.
Bytes = Mapping[tuple[str, str, int], tuple[int, int]]


def open_sessions(sessions: Iterable[Mapping[str, Any]], direction: str) -> Bytes:
    """Those of what nodetool netstats tells that move bytes in one direction.

    Several sessions with one peer are always told in one order. One that is over is told without its bytes.
    """
    met: Counter[tuple[str, str]] = Counter()
    found = {}
    for session in sessions:
        plan, peer = session["plan_id"], session["peer"]
        told = session[direction]
        if told:
            found[plan, peer, met[plan, peer]] = (told["bytes_done"] or 0, told["bytes"] or 0)
        met[plan, peer] += 1
    return found


def plans(sessions: Bytes) -> set[str]:
    return {plan for plan, _peer, _number in sessions}


def gone_on(seen: Bytes, now: Bytes) -> Bytes:
    """All sessions so far, each as far as it was at most. One that is not open any more has all of its bytes.

    Cassandra forgets the bytes of a session when it is over (C(StreamSession.closeSession)): what is open never tells
    the whole.
    """
    closed = {name: (total, total) for name, (_done, total) in seen.items() if name not in now}
    moved = {
        name: (max(done, seen.get(name, (0, 0))[0]), max(total, seen.get(name, (0, 0))[1]))
        for name, (done, total) in now.items()
    }
    return {**closed, **moved}


def builds(active: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str, int], ...]:
    """Indexes and views that are built from what has come: id, name, and how far each is.

    :param active: as nodetool compactionstats tells it. Compactions do not count: a node that gets writes always has
        some, also when its streams hang.
    """
    return tuple(
        (each["id"], f"{each['type'].lower()} of {each['keyspace']}.{each['table']}", each["done"] or 0)
        for each in active
        if "build" in each["type"].lower()
    )


@dataclass
class Stream:
    """How far a node is, as nodetool netstats tells it.

    :param direction: L(RECEIVING) or L(SENDING).
    :param serves: it is a member already, and gets rows that it lacks: its mode says nothing of that.
    :ivar silent: it was asked just now, and no stream is open.
    """

    direction: str = RECEIVING
    mode: str = ""
    sessions: Bytes = field(default_factory=dict)
    open: frozenset[tuple[str, str, int]] = frozenset()
    building: tuple[tuple[str, str, int], ...] = ()
    # When the first bytes were seen, and how many there were: a run may find a node that is half-way.
    since: float = 0.0
    first: int = 0
    began: float = field(default_factory=time.monotonic)
    # Not at once: whoever starts needs its processors for that, and nodetool is one more JVM.
    looked: float = field(default_factory=time.monotonic)
    silent: bool = False
    serves: bool = False

    @property
    def may_have_failed(self) -> bool:
        """It joins, and nothing comes. 5.0 has a mode for one that has given up, C(JOINING_FAILED); 4.x has not."""
        return self.silent and self.mode.startswith("joining")

    @property
    def done(self) -> int:
        return sum(done for done, _total in self.sessions.values())

    @property
    def total(self) -> int:
        return sum(total for _done, total in self.sessions.values())

    def look(self, kube: Kube, pod: str) -> str:
        """Ask the node, not too often, and say how far it is."""
        now = time.monotonic()
        self.silent = False
        if now - self.looked < stretched(LOOK_AGAIN, now - self.began, LONGEST):
            return self.words(now)
        self.looked = now
        told = attempt(lambda: nodetool.run(kube, pod, [["netstats"]], VERB_LIMIT, check=True)[0].data)
        if isinstance(told, CassopsError):
            return self.words(now) if self.serves else self.mode or "starting"
        before = self.done
        self.take(told, now)
        self.building = self.look_at_builds(kube, pod) if self.total and self.done == before else ()
        return self.words(now)

    def take(self, told: Mapping[str, Any], now: float) -> None:
        """What nodetool netstats tells."""
        open_now = open_sessions(told["sessions"], self.direction)
        if open_now and not plans(open_now) & plans(self.sessions):
            # The first attempt, or another one, which streams all anew.
            self.sessions, self.since = open_now, now
            self.first = self.done
        self.sessions, self.open = gone_on(self.sessions, open_now), frozenset(open_now)
        self.mode = told["mode"].lower()
        self.silent = not open_now

    def look_at_builds(self, kube: Kube, pod: str) -> tuple[tuple[str, str, int], ...]:
        """When no more bytes come, the node may be busy with those that it has."""
        told = attempt(lambda: nodetool.run(kube, pod, [["compactionstats"]], VERB_LIMIT, check=True)[0].data)
        return self.building if isinstance(told, CassopsError) else builds(told["active"])

    def words(self, now: float) -> str:
        if self.direction == RECEIVING and self.mode == "normal" and not self.serves:
            return "has its data, and does not serve clients yet"
        done, total = self.done, self.total
        if not total:
            return "nothing has come yet" if self.serves else self.mode or "starting"
        words = f"streaming {100 * done / total:.0f} %, {size(done)} of {size(total)}"
        if self.building:
            return f"{words}; {self.building[0][1]}"
        rate = (done - self.first) / (now - self.since) if now > self.since else 0
        if rate and done < total:
            words += f", about {max(1, round((total - done) / rate / 60))} min left"
        return words

    def mark(self) -> tuple[object, ...]:
        """Changes as long as it goes on."""
        return (self.done, self.total, self.mode, self.open, self.building)


def failure(kube: Kube, pod: str) -> str | None:
    """Why a node's streams failed, by its log. Cassandra goes on without the data, and waits for somebody to notice."""
    log = attempt(lambda: kube.logs(pod, tail=LOG_LINES))
    return failed_because(until_failed(log)) if isinstance(log, str) and has_failed(log) else None


def has_failed(log: str) -> bool:
    """Whether the last word of a log on the node's streams is that they failed."""
    return log.rfind(RESUMED) < max(log.rfind(STREAM_FAILED), log.rfind(RESUMED_IN_VAIN))


def until_failed(log: str) -> str:
    """What a log says before that, and that; without all that came hours later."""
    failed = max(log.rfind(STREAM_FAILED), log.rfind(RESUMED_IN_VAIN))
    end = log.find("\n", failed)
    return "\n".join((log if end < 0 else log[:end]).splitlines()[-REASON_LINES:])


def failed_because(log: str) -> str:
    """The line that tells why streaming failed."""
    lines = (line.strip() for line in log.splitlines())
    return next((line[:300] for line in lines if "Exception" in line or "failed" in line), "its log does not tell why")
