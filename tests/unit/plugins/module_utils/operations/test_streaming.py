# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a node is that streams, over several looks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import nodetool
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import streaming, waiting
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.streaming import SENDING, Stream

GIB = 2**30
# Bytes a second from each source, 24 MiB.
RATE = 24 * 2**20


def session(peer: str, done: int, total: int, plan: str = "a", direction: str = "receiving") -> dict[str, Any]:
    """One that is over is told without its bytes."""
    told = {"plan_id": plan, "peer": peer, "operation": "Bootstrap", "receiving": None, "sending": None}
    return told if done >= total else {**told, direction: {"bytes": total, "bytes_done": done}}


class Node:
    """What nodetool tells of a node, and time that passes only while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began = self.now = time.monotonic()
        self.mode = "JOINING"
        self.sessions: Sequence[dict[str, Any]] = ()
        self.active: Sequence[dict[str, Any]] = ()
        self.asked: list[str] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)
        monkeypatch.setattr(nodetool, "run", self.run)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def run(self, _kube: Any, _pod: str, verbs: Sequence[Sequence[str]], *_limits: Any, **_options: Any) -> Any:
        (verb,) = verbs[0]
        self.asked.append(verb)
        data = {
            "netstats": {"mode": self.mode, "sessions": self.sessions},
            "compactionstats": {"active": self.active},
        }[verb]
        return [nodetool.Result((verb,), 0, "", "", data)]

    def look(self, stream: Stream, after: float = 600) -> str:
        self.now += after
        return stream.look(cast(Kube, None), "r1-3")


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(monkeypatch)


def test_a_session_that_is_over_keeps_its_bytes(node: Node) -> None:
    stream, marks = Stream(), set()
    said = []
    for first, second in ((0, 0), (100, 100), (200, 150), (200, 199), (200, 400)):
        node.sessions = [session("x", first, 200), session("y", second, 400)]
        said.append(node.look(stream))
        marks.add(stream.mark())
    assert [words.partition(",")[0] for words in said] == [
        "streaming 0 %",
        "streaming 33 %",
        "streaming 58 %",
        "streaming 66 %",
        "streaming 100 %",
    ]
    assert len(marks) == 5
    assert (stream.done, stream.total, stream.silent) == (600, 600, True)


def test_a_session_that_ends_between_two_looks_is_progress(node: Node) -> None:
    """Those that are left may wait for one another: no byte of theirs moves."""
    stream = Stream()
    node.sessions = [session("x", 90, 100), session("y", 5, 100)]
    node.look(stream)
    before = stream.mark()
    node.sessions = [session("x", 100, 100), session("y", 5, 100)]
    node.look(stream)
    assert stream.mark() != before


def test_several_sessions_with_one_peer_are_told_apart(node: Node) -> None:
    stream = Stream()
    for first, second in ((50, 10), (100, 20), (100, 30)):
        node.sessions = [session("x", first, 100), session("x", second, 100)]
        node.look(stream)
    assert (stream.done, stream.total) == (130, 200)


def test_what_it_sends_is_not_what_it_receives(node: Node) -> None:
    stream = Stream(SENDING)
    node.sessions = [session("x", 50, 100, direction="sending"), session("y", 1, 100)]
    node.look(stream)
    assert (stream.done, stream.total) == (50, 100)


def test_another_attempt_counts_anew(node: Node) -> None:
    stream = Stream(SENDING)
    for plan, done in (("a", 50), ("a", 100), ("b", 0), ("b", 20)):
        node.sessions = [session("x", done, 100, plan, "sending")]
        words = node.look(stream)
    assert words == "streaming 20 %, 20 B of 100 B, about 40 min left"


def test_the_time_left_is_by_what_moved_since_the_first_look(node: Node) -> None:
    """A run that goes on with a node that is half-way."""
    stream = Stream()
    node.sessions = [session("x", 500, 1000)]
    assert node.look(stream) == "streaming 50 %, 500 B of 1000 B"
    node.sessions = [session("x", 600, 1000)]
    assert node.look(stream) == "streaming 60 %, 600 B of 1000 B, about 40 min left"


def test_sources_of_unlike_sizes_are_waited_for_to_the_end(node: Node) -> None:
    """The smallest is through hours before the largest."""
    stream = Stream()
    sizes = {"w": 200 * GIB, "x": 250 * GIB, "y": 300 * GIB, "z": 350 * GIB}

    def look() -> list[str]:
        came = int(RATE * (node.now - node.began))
        node.sessions = [session(peer, min(came, total), total) for peer, total in sizes.items()]
        return [] if came > max(sizes.values()) else [node.look(stream, 0)]

    waiting.until(look, "r1-3 to join", 1800, lambda line: None, 10, mark=stream.mark)
    assert 4 * 3600 < node.now - node.began < 4.2 * 3600


def build(done: int, kind: str = "Secondary index build") -> dict[str, Any]:
    return {"id": "1", "type": kind, "keyspace": "shop", "table": "orders", "done": done, "total": 100}


def test_indexes_that_are_built_after_the_last_byte_are_progress(node: Node) -> None:
    stream = Stream()
    node.sessions = [session("x", 10, 100)]
    node.look(stream)
    node.sessions = [session("x", 99, 100)]
    assert "build" not in node.look(stream)
    marks = set()
    for done in (10, 20, 30):
        node.active = [build(0, "Compaction"), build(done)]
        assert node.look(stream) == "streaming 99 %, 99 B of 100 B; secondary index build of shop.orders"
        marks.add(stream.mark())
    assert len(marks) == 3


def test_a_compaction_is_no_progress_of_a_stream(node: Node) -> None:
    """Writes reach a node that joins, so it always has some."""
    stream = Stream()
    node.sessions = [session("x", 10, 100)]
    node.look(stream)
    marks = set()
    for done in (10, 20, 30):
        node.active = [build(done, "Compaction")]
        node.look(stream)
        marks.add(stream.mark())
    assert len(marks) == 1


def test_as_long_as_bytes_move_one_jvm_is_enough(node: Node) -> None:
    stream = Stream()
    for done in (10, 20, 30):
        node.sessions = [session("x", done, 100)]
        node.look(stream)
    assert node.asked == ["netstats"] * 3


def test_a_look_that_fails_takes_nothing_back(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream()
    node.sessions = [session("x", 10, 100)]
    node.look(stream)
    before = stream.mark()

    def fails(*_arguments: Any, **_options: Any) -> None:
        raise CassopsError("no answer")

    monkeypatch.setattr(nodetool, "run", fails)
    assert node.look(stream) == "joining"
    assert stream.mark() == before
    assert not stream.silent


def test_it_is_not_asked_at_each_look(node: Node) -> None:
    stream = Stream()
    for _look in range(10):
        node.look(stream, streaming.LOOK_AGAIN / 4)
    assert node.asked == ["netstats"] * 2


def test_a_node_that_streams_for_hours_is_asked_each_minute(node: Node) -> None:
    """By then nodetool prints megabytes of files that have come."""
    stream = Stream()
    for _look in range(4 * 3600):
        node.look(stream, 1)
    assert len(node.asked) < 4 * 60 + 200
    node.asked.clear()
    for _look in range(600):
        node.look(stream, 1)
    assert len(node.asked) == 10


def test_in_the_first_minutes_it_is_asked_as_often_as_ever(node: Node) -> None:
    stream = Stream()
    for _look in range(900):
        node.look(stream, 1)
    assert len(node.asked) >= 900 / streaming.LOOK_AGAIN - 1


def test_a_node_that_serves_and_is_given_rows_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mode is that of a member like any other, and says nothing."""
    node, stream = Node(monkeypatch), Stream(serves=True)
    node.mode = "NORMAL"
    assert node.look(stream) == "nothing has come yet"
    node.sessions = [session("x", GIB, 4 * GIB)]
    assert node.look(stream).startswith("streaming 25 %, 1.0 GiB of 4.0 GiB")
    node.sessions = [session("x", 2 * GIB, 4 * GIB)]
    assert node.look(stream) == "streaming 50 %, 2.0 GiB of 4.0 GiB, about 20 min left"
    assert node.look(Stream(mode="normal"), 0) == "has its data, and does not serve clients yet"


FAILED = "WARN Some data streaming failed. Use nodetool to check bootstrap state and resume. IN_PROGRESS"
WHY = "org.apache.cassandra.streaming.StreamException: Stream failed"


class Log:
    """A container's log."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines

    def logs(self, pod: str, tail: int) -> str:
        return "\n".join(self.lines[-tail:])


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["INFO a probe failed", *["INFO joins"] * 99, WHY, FAILED, *["INFO goes on"] * 999], WHY),
        ([WHY, FAILED, "INFO Resuming bootstrap..."], None),
        ([WHY, FAILED, "INFO Resuming bootstrap...", "ERROR Error during bootstrap: Stream failed", "INFO on"], WHY),
        (["INFO Starting listening for CQL clients"], None),
        ([], None),
    ],
)
def test_why_streams_failed_is_the_logs_last_word_on_them(lines: list[str], why: str | None) -> None:
    """The node goes on for hours, and somebody may have it try again."""
    assert streaming.failure(cast(Kube, Log(*lines)), "r1-1") == why
