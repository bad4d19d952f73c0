# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodetool in a pod: several verbs in one exec, each with its own exit code, and their output as data."""

from __future__ import annotations

import dataclasses
import re
import secrets
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from .errors import CassopsError
from .kube import Kube
from .kubeapi import ExecTimeout, Unreachable
from .manifests.scripts import SHORT_LIVED
from .nodetooltext import JSON_VERBS, PARSERS, UnknownOutput

__all__ = ["NodetoolError", "Result", "UnknownOutput", "is_read_only", "parse", "portions", "run", "run_one", "status"]

# Letters of tables' names in one command: it travels in the address of a request, of which proxies take 8 KiB.
NAMES = 4096

_READ_ONLY = frozenset(
    {
        "autorepairstatus",
        "cfhistograms",
        "cfstats",
        "checktokenmetadata",
        "cidrfilteringstats",
        "clientstats",
        "compactionhistory",
        "compactionstats",
        "datapaths",
        "failuredetector",
        "gcstats",
        "gossipinfo",
        "help",
        "info",
        "netstats",
        "profileload",
        "proxyhistograms",
        "rangekeysample",
        "ring",
        "status",
        "tablehistograms",
        "tablestats",
        "toppartitions",
        "tpstats",
        "version",
        "viewbuildstatus",
    }
)

_READ_ONLY_STARTS = ("get", "list", "describe", "status")

# Verbs whose first word after them decides; without one they list.
_READ_ONLY_SUBVERBS = {"repair_admin": frozenset({"", "list", "summarize-pending", "summarize-repaired"})}


class NodetoolError(CassopsError):
    """A verb failed. :ivar results: of all verbs."""

    def __init__(self, message: str, results: Sequence[Result]) -> None:
        super().__init__(message)
        self.results = list(results)


@dataclasses.dataclass(frozen=True)
class Result:
    """What one verb left.

    :ivar data: its output as data; None where it failed or no parser knows the verb.
    """

    verb: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    data: Any = None

    @property
    def failure(self) -> str:
        """What to tell where it failed, empty where it did not: nodetool's own words without stack traces."""
        if self.rc == 0:
            return ""
        lines = (self.stderr + "\n" + self.stdout).splitlines()
        # "nodetool: ..." for wrong arguments, "error: ..." for what the node refused; loggers may have spoken before.
        said = [line.strip() for line in lines if re.match(r"(nodetool|error): ", line)]
        rest = [line.strip() for line in lines if line.strip() and not re.match(r"\s+(at |\.\.\. )", line)]
        words = " ".join(said or rest[-5:]) or "it said nothing"
        return f"nodetool {' '.join(self.verb)} ended with {self.rc}: {words[:2000]}"


def run(
    kube: Kube,
    pod: str,
    verbs: Sequence[Sequence[str]],
    timeout: float = 60.0,
    *,
    container: str = "cassandra",
    jmx: tuple[str, str] | None = None,
    check: bool = False,
) -> list[Result]:
    """Runs verbs one after the other in one exec; a failed one does not keep the next from running.

    A bare exec takes 0.13 s; a JVM each is what the time goes to (0.9 s).

    :param verbs: each a verb and its arguments, for example ``["repair", "-pr", "ks"]``.
    :param timeout: seconds for all of them. The default is that of verbs that only look: even those wait for the start
        of a Java process, beside Cassandra's, which may have all processors.
    :param jmx: user and password where JMX asks for them. They go through stdin into a file that only this command's
        user can read, and that is removed with its end; nothing of them is in an argument.
    :param check: raise where one failed.
    :raises NodetoolError: with ``check``.
    :raises UnknownOutput: a verb's output is not understood.
    :raises ApiError: the pod or its container is not there, or does not run.
    :raises ExecTimeout: it took too long.
    """
    marker = secrets.token_hex(8)
    script = _script(verbs, marker, jmx is not None)
    stdin = None if jmx is None else f"{jmx[0]}\n{jmx[0]} {jmx[1]}\n"
    try:
        done = kube.exec(pod, ["sh", "-c", script], container, stdin, timeout)
    except ExecTimeout:
        names = "; ".join(" ".join(verb) for verb in verbs)
        raise ExecTimeout(f"nodetool {names} in {pod} was not done after {timeout:g} s and was ended.") from None
    outs, errs = _parts(done.stdout, marker), _parts(done.stderr, marker)
    if len(outs) != len(verbs):
        said = done.stderr.strip()[-500:] or "nothing"
        raise Unreachable(
            f"nodetool in {pod} was ended after {len(outs)} of {len(verbs)} verbs (exit code {done.rc}); "
            f"it said: {said}"
        )
    results = []
    for verb, (stdout, rc), (stderr, _rc) in zip(verbs, outs, errs, strict=True):
        data = parse(verb, stdout) if rc == 0 else None
        results.append(Result(tuple(verb), rc, stdout, stderr, data))
    failures = [result.failure for result in results if result.failure]
    if check and failures:
        raise NodetoolError(f"{pod}: " + "; ".join(failures), results)
    return results


def run_one(kube: Kube, pod: str, verb: Sequence[str], timeout: float = 60.0) -> Result:
    """One verb that must not fail. Raises as :func:`run` does.

    :raises NodetoolError: it failed.
    """
    return run(kube, pod, [verb], timeout, check=True)[0]


def portions(names: Iterable[str]) -> list[list[str]]:
    """Names of tables in portions that fit into one command each."""
    found: list[list[str]] = []
    left = 0
    for name in names:
        # What stands between two names becomes three letters of the address.
        size = len(name.encode()) + 3
        if size > left:
            found.append([])
            left = NAMES
        found[-1].append(name)
        left -= size
    return found


def status(kube: Kube, pod: str) -> dict[str, bool]:
    """Which members this node takes for up, by address. Raises as :func:`run_one` does."""
    told = run_one(kube, pod, ["status"]).data
    return {node["address"]: node["status"] == "up" for node in told["nodes"]}


def parse(verb: Sequence[str], stdout: str) -> Any:
    """The output of a verb as data, None where no parser knows it (or another format was asked for)."""
    parser = PARSERS.get(verb[0])
    if parser is None or _asks_format(verb) not in (None, "json"):
        return None
    return parser(stdout)


def is_read_only(verb: Sequence[str]) -> bool:
    """Whether a verb leaves the node as it is. Unknown verbs do not."""
    name = verb[0]
    if name in _READ_ONLY_SUBVERBS:
        following = next((word for word in verb[1:] if not word.startswith("-")), "")
        return following in _READ_ONLY_SUBVERBS[name]
    return name in _READ_ONLY or name.startswith(_READ_ONLY_STARTS)


def _asks_format(verb: Sequence[str]) -> str | None:
    """The format that the caller chose, None where none."""
    for here, following in zip(verb, [*verb[1:], ""], strict=True):
        if here in ("-F", "--format"):
            return following
        if here.startswith("--format="):
            return here.removeprefix("--format=")
    return None


def _script(verbs: Sequence[Sequence[str]], marker: str, authenticated: bool) -> str:
    """A shell script: after each verb, the marker on both outputs, and its exit code on one."""
    lines = [f'export JVM_OPTS="${{JVM_OPTS:-}} {SHORT_LIVED}"']
    options = ""
    if authenticated:
        lines += [
            "umask 077",
            "file=$(mktemp) || exit 1",
            "trap 'rm -f \"$file\"' EXIT",
            # By TERM, as of `timeout`, dash ends without its EXIT trap.
            "trap 'exit 143' TERM INT HUP",
            "IFS= read -r user",
            'cat >"$file"',
        ]
        options = ' -u "$user" -pwf "$file"'
    lines.append(
        f'n() {{ nodetool{options} "$@" </dev/null; rc=$?; printf "\\n%s %s\\n" {marker} $rc; '
        f'printf "\\n%s 0\\n" {marker} >&2; }}'
    )
    for verb in verbs:
        words = list(verb)
        if words[0] in JSON_VERBS and _asks_format(words) is None:
            words[1:1] = ["-F", "json"]
        lines.append("n " + shlex.join(words))
    return "\n".join([*lines, "exit 0"])


def _parts(text: str, marker: str) -> list[tuple[str, int]]:
    """The pieces before each marker, with the number behind it."""
    pieces = re.split(rf"\n{marker} (\d+)\n", text)
    return [(piece, int(code)) for piece, code in zip(pieces[:-1:2], pieces[1::2], strict=True)]
