# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation is given besides its parameters, and how one is run: the same for modules and their twins.

An operation is a file in ``operations/``::

    ARGUMENT_SPEC: Mapping[str, Any] = {**KUBERNETES, "name": {"type": "str", "required": True}}
    RULES: Mapping[str, Any] = {"mutually_exclusive": [["a", "b"]]}        # optional

    def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
        kube = ctx.kube(params)
        ctx.progress("rack1-0 is coming up")
        return {"changed": False, "node": {...}}

It raises :class:`~.errors.CassopsError` (or :class:`Failed`, where there are results to show all the same) and
nothing else that it foresees.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .errors import CassopsError
from .kube import Kube
from .lock import holder

TRACEBACK = 3
"""The number of -v from which Ansible shows where an exception comes from."""


class Progress(Protocol):
    """Tells people what a long wait waits for, while it waits."""

    def __call__(self, text: str, *, important: bool = False) -> None:
        """:param text: one line. :param important: show it even if another was shown just now."""


def silent(text: str, *, important: bool = False) -> None:
    """Progress that nobody sees."""


def hidden(line: str) -> None:
    """A line that nobody sees."""


class Failed(CassopsError):
    """An operation that failed and has something to return besides its message.

    :param result: merged into the task's result.
    :param errors: all of them, where the message sums up several.
    """

    def __init__(self, message: str, result: Mapping[str, Any], errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.result = dict(result)
        self.errors = list(errors)


@dataclasses.dataclass(frozen=True)
class Context:
    """The task around an operation.

    :ivar check_mode: change nothing, and report what would change.
    :ivar diff_mode: return ``diff``.
    :ivar progress: shows a line to people.
    :ivar display: shows a line of a report as it stands, where there is somebody to see it.
    :ivar verbosity: the number of -v.
    :ivar holder: who holds a lock in this run's name; all tasks of one run say the same.
    :ivar warnings: sentences to show as Ansible warnings; append to it.
    :ivar connect: makes the Kubernetes client; tests put theirs here.
    """

    check_mode: bool = False
    diff_mode: bool = False
    progress: Progress = silent
    display: Callable[[str], None] = hidden
    verbosity: int = 0
    holder: str = dataclasses.field(default_factory=holder)
    warnings: list[str] = dataclasses.field(default_factory=list)
    connect: Callable[[Mapping[str, Any]], Kube] = dataclasses.field(default_factory=lambda: Kube.connect)

    def kube(self, params: Mapping[str, Any]) -> Kube:
        """The client for a task's connection options."""
        return self.connect(params)


class Operation(Protocol):
    """A file in ``operations/``.

    It may also have ``RULES``, keywords such as ``mutually_exclusive``, and ``EXACT_WORDS``, names of its lists of
    words that are taken to the letter.
    """

    ARGUMENT_SPEC: Mapping[str, Any]

    def run(self, params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
        """Does it."""


def rules(operation: Operation) -> dict[str, Any]:
    """The rules between an operation's options, empty where it has none."""
    return dict(getattr(operation, "RULES", {}))


def execute(operation: Operation, params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Runs an operation; a failure becomes a failed result.

    :param params: the options as they were given; see L(answered).
    :return: always with ``changed``; in check mode with ``check_mode``; a failed one with ``failed``, ``msg`` and
        ``errors`` (all of them, where there are several).
    """
    result = attempted(operation, params, ctx)
    # By this roles know: their ansible_check_mode is that of the command line, and a task or a play may say otherwise.
    return {**result, "check_mode": True} if ctx.check_mode else result


def attempted(operation: Operation, params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    try:
        return {"changed": False, **operation.run(answered(operation, params), ctx)}
    except CassopsError as error:
        return {
            "changed": False,
            **getattr(error, "result", {}),
            "failed": True,
            "msg": str(error),
            "errors": list(getattr(error, "errors", None) or [str(error)]),
        }
    except Exception as error:
        return {"changed": False, "failed": True, **unforeseen(error, ctx.verbosity)}


def unforeseen(error: Exception, verbosity: int) -> dict[str, Any]:
    """What is told of an exception that nobody thought of, as a result: from results Ansible takes what must not be
    shown, from exceptions it takes nothing, and libraries quote what they were given."""
    words = f"{type(error).__name__}: {error}"
    advice = "That was not foreseen, so it is a defect of the collection: report it, with what -vvv shows."
    told = {"msg": f"{words} ({advice})", "errors": [words]}
    return {**told, "exception": traceback.format_exc()} if verbosity >= TRACEBACK else told


def answered(operation: Operation, params: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with the words of a list without the spaces around them, and its default where no word is left.

    A list of words may come as text, and Ansible keeps the space that people write behind a comma: with it no keyspace
    and no worker is the one that was meant. One empty word is what Ansible makes of the empty text that AWX sends for a
    question of a survey that nobody answered. Other lists stay as they are: a bound parameter of CQL may be an empty
    text.
    """
    spec = {name: option for name, option in operation.ARGUMENT_SPEC.items() if option.get("elements") == "str"}
    exact = getattr(operation, "EXACT_WORDS", ())
    return {
        name: words(value, spec[name].get("default"), exact=name in exact)
        if name in spec and isinstance(value, list)
        else value
        for name, value in params.items()
    }


def words(given: list[str], default: Any, *, exact: bool) -> Any:
    """What was meant by a list of words."""
    left = [word.strip() for word in given if word.strip()]
    if given and not left:
        return default
    return given if exact else left
