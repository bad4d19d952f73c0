# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting: every wait has a limit, says what it waits for, and tells what was missing when the limit passes."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from ..errors import CassopsError

# Seconds between two looks at first; and when a wait has lasted, see L(stretched). A look costs the API server some
# LISTs, of megabytes in a large datacenter.
PAUSE = 0.5
LONGEST_PAUSE = 15.0
# Seconds for which a wait is as prompt as at first: most are over by then.
PROMPT = 120.0
# A line is shown when the reasons change, and at least this often (seconds).
SAY_AGAIN = 10.0
# For how long a call in the background is left alone before somebody is told how far it is (seconds).
A_WHILE = 5.0
# Letters of a reason in a progress line: a registry's words have a thousand. An error has them all.
SHOWN = 300
# Reasons that an error names: in a large datacenter there may be one a node, and more.
NAMED = 20
# Options whose values are limits, as modules call them; the variables of roles end in them.
GATES_LIMIT, WAIT_LIMIT = "gate_timeout", "wait_timeout"

Look = Callable[[], Sequence[str]]
Mark = Callable[[], object]


class WaitedTooLong(CassopsError):
    """The limit passed; C(reasons) are those of the last look, all of them."""

    def __init__(self, what: str, limit: float, reasons: Sequence[str], option: str = "") -> None:
        self.reasons = list(reasons)
        longer = f" If it only takes longer, raise {option}." if option else ""
        more = f"; ... and {len(self.reasons) - NAMED} more" if len(self.reasons) > NAMED else ""
        super().__init__(
            f"{what}: not so after {limit:.0f} s. Still missing: {'; '.join(self.reasons[:NAMED])}{more}. "
            f"Nothing was undone; run the playbook again to go on waiting.{longer}"
        )


def stretched(pause: float, waited: float, longest: float = LONGEST_PAUSE) -> float:
    """Seconds until another look: what has lasted for hours may be seen some seconds late."""
    return max(pause, min(longest, (waited - PROMPT) / 100))


def until(
    look: Look,
    what: str,
    limit: float,
    say: Callable[[str], None],
    pause: float = PAUSE,
    mark: Mark | None = None,
    option: str = "",
) -> None:
    """Look until no reason is left.

    :param look: returns the reasons why it is not so yet; it may raise to end the wait at once.
    :param what: what is waited for, as the beginning of a sentence ("all nodes up").
    :param limit: seconds.
    :param say: takes the progress lines.
    :param pause: seconds between two looks at first; they grow with the time that was waited.
    :param mark: what it returns changes as long as things go on; the limit then counts from the last change. For what
        takes hours when it is well, such as streaming.
    :param option: that the limit is the value of, for whoever has to raise it.
    :raises WaitedTooLong: when the limit passes.
    """
    begin = changed_at = time.monotonic()
    said, said_at = "", begin
    reached = mark() if mark else None
    while True:
        reasons = look()
        now = time.monotonic()
        if not reasons:
            return
        if mark and (there := mark()) != reached:
            reached, changed_at = there, now
        if now - changed_at > limit:
            raise WaitedTooLong(what, limit, reasons, option)
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        line = textwrap.shorten(reasons[0], SHOWN, placeholder=" ...") + more
        if line != said or now - said_at > SAY_AGAIN:
            most = "" if mark else f" of at most {limit:.0f} s"
            say(f"waiting for {what}: {line}, {now - begin:.0f} s{most}")
            said, said_at = line, now
        time.sleep(stretched(pause, now - begin))


def in_background(call: Callable[[], Any]) -> Future[Any]:
    """The call in a daemon: a run that ends, since its lock is lost, need not wait for hours until it is back."""
    done: Future[Any] = Future()

    def work() -> None:
        try:
            done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, name="cassops-call", daemon=True).start()
    return done


def wait_for(done: Future[Any]) -> None:
    """For a while, or until it is done."""
    deadline = time.monotonic() + A_WHILE
    while not done.done() and time.monotonic() < deadline:
        time.sleep(0.2)
