# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""restic in the container `backup` of a pod: commands that answer at once, and jobs that outlive the connection.

Secrets never pass through here. The container has them as mounted Secrets, and the shell that starts restic reads
them there, at each command: a rotated Secret counts without a restart.

A job runs detached in the container and writes what it says into a folder. So a broken connection, a restarted API
server or a killed playbook does not end an upload of hours; who comes next looks at the folder and goes on waiting.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .backups import Record
from .errors import CassopsError
from .kube import Kube
from .kubeapi import ExecResult, ExecTimeout
from .manifests.backup import ENVIRONMENT

CONTAINER = "backup"
DATA = "/var/lib/cassandra/data"
LIMIT = 120.0
"""Seconds for a command that only reads or writes documents; restic repeats for minutes what a store refuses."""

# restic's own exit codes, since 0.17: the oldest restic that this works with.
NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12

EACH = "{}"
"""In the arguments of a job: restic runs once for each of the job's lines, which takes its place."""
# The container stores commit logs now and then, and a restic that rewrites the repository wants it for itself.
_RESTIC = 'restic "$@" --retry-lock 1m'
_RUN = ENVIRONMENT + f"exec {_RESTIC}"
# The words of stdin are arguments too.
_RUN_WITH_WORDS = ENVIRONMENT + f'set -- "$@" $(cat); exec {_RESTIC}'
# A text whose connection broke ends like a whole one: stdin, into a new file, if all of its bytes come.
_TAKE = r"""take() {
    mkdir -p "${1%/*}" && cat >"$1" || return 1
    came=$(wc -c <"$1")
    [ "$came" -ne "$2" ] || return 0
    rm -f "$1"
    echo "only $((came)) of $2 bytes came, and nothing was begun" >&2
    return 1
}
"""
# The file is gone with the process that reads it.
_STORE = (
    _TAKE
    + f"""new=/cassops/backup/spool/texts/$$
take "$new" "$bytes" || exit 1
exec <"$new"
rm -f "$new"
{_RUN}
"""
)
_JOBS = "/cassops/backup/spool/jobs"
# The pid of a container that restarted may belong to another process: its start time, field 22, tells.
_ALIVE = r"""folder=/cassops/backup/spool/jobs/$1
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }
alive() {
    [ -f "$folder/pid" ] || return 1
    read -r pid at <"$folder/pid"
    [ -n "$at" ] && [ "$(started "$pid")" = "$at" ]
}
"""
_BODY = ENVIRONMENT + (
    'folder=$1; where=$2; shift 2; mkdir -p "$where"; cd "$where" || exit 1; '
    # Every word goes once around; so the loop ends with all of them, in their order.
    f'one() {{ for word; do shift; [ "$word" != "{EACH}" ] || word=$line; set -- "$@" "$word"; done;'
    f" {_RESTIC} </dev/null; }}; "
    f'all() {{ case " $* " in *" {EACH} "*) while read -r line; do one "$@" || return; done <"$folder/list" ;;'
    ' *) one "$@" ;; esac; }; '
    'all "$@" >"$folder/out" 2>"$folder/err"; echo $? >"$folder/rc.new"; mv "$folder/rc.new" "$folder/rc"'
)
_START = (
    _ALIVE
    + _TAKE
    + r"""if alive || [ -f "$folder/rc" ]; then exit 0; fi
body=$2
repository=$3
bytes=$4
shift 4
# Until the list is known to be whole, it is in nobody's way.
new=$folder.$$.new
take "$new" "$bytes" || exit 1
rm -rf "$folder" && mkdir "$folder" && mv "$new" "$folder/list" || exit 1
setsid sh -c "$body" sh "$repository" "$folder" "$@" >/dev/null 2>&1 </dev/null &
pid=$!
echo "$pid $(started "$pid")" >"$folder/pid"
"""
)
_LOOK = (
    _ALIVE
    + r"""if [ ! -d "$folder" ]; then echo absent; exit 0; fi
tenths=$2
[ "$tenths" -eq 0 ] || alive || tenths=0
while [ "$tenths" -gt 0 ] && [ ! -f "$folder/rc" ] && [ -d "/proc/$pid" ]; do
    sleep 0.1
    tenths=$((tenths - 1))
done
if [ -f "$folder/rc" ]; then echo "ended $(cat "$folder/rc")"
elif alive; then echo running
elif [ -f "$folder/rc" ]; then echo "ended $(cat "$folder/rc")"
else echo lost; fi
tail -n 2 "$folder/out" 2>/dev/null
echo
echo ---
tail -c 4000 "$folder/err" 2>/dev/null
exit 0
"""
)
_END = (
    _ALIVE
    + r"""if alive; then kill -- "-$pid" 2>/dev/null || kill "$pid"; fi
for dummy in 1 2 3 4 5 6 7 8 9 10; do alive || break; sleep 1; done
rm -rf "$folder" "$folder".*.new
"""
)


class ResticError(CassopsError):
    """restic failed.

    :ivar rc: its exit code.
    :ivar damage: it has found the repository itself at fault, and not the way to it.
    :ivar passes: it may be otherwise in a while, and nobody has to do anything for that.
    """

    def __init__(self, message: str, rc: int = 1, *, damage: bool = False, passes: bool = True) -> None:
        super().__init__(message)
        self.rc = rc
        self.damage = damage
        self.passes = passes and not damage


class NoRepository(ResticError):
    """There is no repository where one was expected."""


@dataclass(frozen=True)
class Job:
    """A job as it was seen.

    :ivar state: C(absent), C(running), C(ended), or C(lost): it was killed with its container.
    :ivar status: the last line of progress, as restic's JSON has it; the summary, once it has ended well.
    :ivar error: what restic complained about.
    """

    state: str
    rc: int | None = None
    status: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def ended(self) -> bool:
        return self.state == "ended"

    @property
    def done(self) -> int:
        """Bytes that are done. A restore that goes on reads what is there already, and skips it."""
        restored = int(self.status.get("bytes_restored") or 0) + int(self.status.get("bytes_skipped") or 0)
        return int(self.status.get("bytes_done") or restored)

    @property
    def total(self) -> int:
        """Bytes in all, as far as restic knows by now."""
        return int(self.status.get("total_bytes") or 0)


class Restic:
    """restic in one pod, for one repository.

    :param repository: as restic takes it, without secrets: it stands in the arguments of a process.
    """

    def __init__(self, kube: Kube, pod: str, repository: str) -> None:
        self.kube = kube
        self.pod = pod
        self.repository = repository

    # -- commands ---------------------------------------------------------------------------------------------------

    def run(self, *args: str, limit: float = LIMIT) -> str:
        """One command, to its end; what it wrote to stdout.

        :raises NoRepository: there is none.
        :raises ResticError: anything else that restic refuses, or it was not done in time.
        """
        return self._run(_RUN, args, None, limit)

    def _run(self, script: str, args: Sequence[str], stdin: str | None, limit: float) -> str:
        try:
            told = self._exec(["sh", "-c", script, "sh", self.repository, *args], stdin, limit)
        except ExecTimeout as error:
            raise ResticError(
                f"{self.pod}: restic {args[0]} had no answer from {self.repository} after {limit:.0f} s; is the store"
                " up, and may this pod reach it?",
            ) from error
        if told.rc:
            raise self.failure(args[0], told.rc, told.stderr or told.stdout)
        return told.stdout

    def _exec(self, argv: Sequence[str], stdin: str | None = None, limit: float = LIMIT) -> ExecResult:
        return self.kube.exec(self.pod, argv, CONTAINER, stdin, limit)

    def failure(self, command: str, rc: int, said: str) -> ResticError:
        """What restic said, and what to do about it."""
        words = complaint(said)
        where = f"{self.pod}: restic {command} of {self.repository}"
        # The code alone: "Is there a repository at" is also what restic says about a store that does not answer.
        if rc == NO_REPOSITORY:
            return NoRepository(f"{where}: there is no repository", rc, damage=True)
        if rc == WRONG_PASSWORD or "wrong password" in words:
            return ResticError(
                f"{where}: the repository was made with another password than the key password of"
                " cassandra_backup.password_secret has; put the old one back, without it nothing can be read",
                rc,
                passes=False,
            )
        if rc == LOCKED or "already locked" in words:
            return ResticError(f"{where}: another restic has the repository: {words}", rc)
        if rc == 1 and is_damage(command, words):
            return ResticError(f"{where} ended with {rc}: {words}", rc, damage=True)
        if _NO_ANSWER.search(words):
            told = f"{where} ended with {rc}: {words}; is the store up, and may this pod reach it?"
            return ResticError(told, rc)
        if _NO_ACCESS.search(words):
            return ResticError(
                f"{where}: the store refuses the keys in the Secret cassandra_backup.credentials_secret: {words}; put"
                " keys there that may read and write this path, and give the kubelet a minute to bring them to the pod",
                rc,
                passes=False,
            )
        return ResticError(f"{where} ended with {rc}: {words or 'it said nothing'}", rc)

    def ensure(self) -> bool:
        """Make the repository where there is none; whether it was made."""
        if self.exists():
            return False
        with contextlib.suppress(NoRepository):
            self.run("init")
        return True

    def exists(self) -> bool:
        """Whether there is a repository that the password opens.

        :raises ResticError: that cannot be told, or the password is another one.
        """
        try:
            # Without a lock of its own: a purge that died leaves one that would be in the way.
            self.run("cat", "config", "--no-lock")
        except NoRepository:
            return False
        return True

    def records(self, limit: float = LIMIT) -> list[Record]:
        """The snapshots of the repository.

        :param limit: seconds, where they are more than usual: commit logs are stored every minute.
        """
        told = self.run("snapshots", "--json", "--no-lock", limit=max(limit, LIMIT))
        return [record(item) for item in json.loads(told or "null") or ()]

    def forget(self, ids: Sequence[str], limit: float = LIMIT) -> None:
        """Remove snapshots; their bytes go with the next prune. restic lists the repository's snapshots each time, so
        the ids come in one go, through stdin: the words of a command travel in an address, which has its limits."""
        self._run(_RUN_WITH_WORDS, ("forget",), "\n".join(ids), max(limit, LIMIT))

    def store(self, text: str, file: str, tags: Mapping[str, str], host: str) -> str:
        """Store a text as the one file of a new snapshot; the snapshot's id.

        :param file: its absolute path in the snapshot.
        :raises ResticError: not all of it came, or as L(run) does.
        """
        script = f"bytes={len(text.encode())}\n{_STORE}"
        options = ("--stdin", "--stdin-filename", file, "--host", host, *tag_options(tags))
        told = self._run(script, ("backup", "--json", *options), text, LIMIT)
        return str(last_json(told.splitlines())["snapshot_id"])

    def read(self, snapshot: str, file: str) -> str:
        """The text that was stored so."""
        return self.run("dump", "--no-lock", snapshot, file)

    def files(self, snapshot: str, limit: float = LIMIT) -> dict[str, int]:
        """Path -> size of every file of a snapshot; paths are relative to its root.

        :param limit: seconds, where they are more than usual: there may be a hundred thousand files.
        """
        told = self.run("ls", "--json", "--no-lock", snapshot, limit=max(limit, LIMIT))
        # One by one: all lines beside the text that they stand in are twice the memory.
        items = (json.loads(line[0]) for line in re.finditer(r"[^\n]+", told))
        return {item["path"].lstrip("/"): int(item.get("size", 0)) for item in items if item.get("type") == "file"}

    def unlock(self) -> None:
        """Take away the locks that dead commands left; those of living ones stay.

        restic knows a dead one by its host name, which is its own, and by its process, which is not there. So it must
        not be asked where pods of the same name in another namespace use the repository too: it takes theirs for dead.
        """
        self.run("unlock")

    # -- jobs -------------------------------------------------------------------------------------------------------

    def start(self, job: str, args: Sequence[str], folder: str = DATA, lines: Sequence[str] = ()) -> None:
        """Start a job, unless it runs or has ended already.

        :param job: its name in the pod: letters, digits, -, _ and dots.
        :param folder: where it runs; it is made.
        :param lines: what the file L(list_of) of the job has, for restic's options that read one, or for L(EACH).
        :raises ResticError: not all of them came, which for restic would be another list: an empty one is no filter.
        """
        text = "".join(f"{line}\n" for line in lines)
        argv = ["sh", "-c", _START, "sh", job, _BODY, self.repository, str(len(text.encode())), folder, *args]
        self._must(argv, f"start {args[0]}", text or None)

    def look(self, job: str, wait: float = 0) -> Job:
        """How far a job is.

        :param wait: seconds for which a job that runs is watched where it runs: its end is told at once.
        """
        return parse_job(self._must(["sh", "-c", _LOOK, "sh", job, str(round(10 * wait))], f"look at {job}"))

    def end(self, job: str) -> None:
        """End a job that runs, and forget it; one that is not there is no error."""
        self._must(["sh", "-c", _END, "sh", job], f"end {job}")

    def _must(self, argv: Sequence[str], what: str, stdin: str | None = None) -> str:
        told = self._exec(argv, stdin)
        if told.rc:
            said = (told.stderr or told.stdout).strip() or told.rc
            raise ResticError(f"{self.pod}: cannot {what}: {said}", told.rc)
        return told.stdout


def list_of(job: str) -> str:
    """The file in the container that a job's lines are in."""
    return f"{_JOBS}/{job}/list"


def tag_options(tags: Mapping[str, str]) -> list[str]:
    """restic's options for tags, each C(name=value); a comma would make two of one."""
    return [word for name, value in tags.items() for word in ("--tag", f"{name}={value}".replace(",", ";"))]


def record(item: Mapping[str, Any]) -> Record:
    """A snapshot of C(restic snapshots --json)."""
    pairs = (tag.partition("=") for tag in item.get("tags") or ())
    return Record(str(item["id"]), moment_of(str(item["time"])), {name: value for name, _sign, value in pairs})


def moment_of(text: str) -> float:
    """Seconds since 1970, of a time as restic writes it."""
    return datetime.fromisoformat(to_microseconds(text)).timestamp()


def to_microseconds(text: str) -> str:
    """A time as each Python reads it: restic writes up to nanoseconds, without zeros at their end, and before 3.11
    C(fromisoformat) takes a fraction of three or six digits and no C(Z)."""
    whole = re.sub(r"\.(\d{1,6})\d*", lambda found: f".{found[1]:0<6}", text)
    return re.sub(r"Z$", "+00:00", whole)


def objects(lines: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The JSON objects among lines; a line that was cut off, or is text, is none."""
    for line in lines:
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def last_json(lines: Sequence[str]) -> Mapping[str, Any]:
    """The last JSON object among lines, empty where there is none."""
    return next(iter(reversed(list(objects(lines)))), {})


# How stores say that they know the caller not, or not well enough: S3, Azure, Google, and REST servers.
_NO_ACCESS = re.compile(
    r"access ?denied|invalidaccesskeyid|access key id .*does not exist|signature ?doesnotmatch|signature we calculated"
    r"|authenticationfailed|403 forbidden|401 unauthorized",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"connection refused|connection reset|no such host|no route to host|network is unreachable|i/o timeout"
    r"|handshake timeout|timeout awaiting|deadline exceeded",
    re.IGNORECASE,
)
# What a check ends with when it has found something, and also when the store did not give it what it wanted to look at.
_FOUND = "repository contains errors"
# Then each pack that is there counts as missing.
_NOT_LISTED = re.compile(r"\bList\(\S*\) failed")
_TROUBLE = re.compile(
    f"{_NO_ACCESS.pattern}|{_NO_ANSWER.pattern}"
    r"|\b(load|stat)\(.*\) failed|circuit breaker|download error|on second attempt|\bEOF\b"
    r"|slow ?down|internal ?(server ?)?error|bad gateway|service ?unavailable|gateway time",
    re.IGNORECASE,
)
_DAMAGE = re.compile(
    r"pack \w+: (does not exist|unexpected file size)|contains \d+ errors|not found in (index|repository)"
    r"|no matching ID found|invalid data|invalid hash|ciphertext verification"
)
# restic's advice about damaged repositories is for those who work by hand; ours is in docs/operations/verify_backup.md.
_ADVICE = re.compile(
    r"troubleshooting|restic repair |damaged files must be removed|can be caused by|must be repaired"
    r"|Is there a repository at|^(s3|azure|gs|rest|b2|swift|sftp|rclone):\S+$"
)
# It says so each time that it tries again.
_RETRYING = re.compile(r", retrying after [0-9.]+\w*")


def complaint(said: str) -> str:
    """What restic complained about, without JSON around it and without advice, and each thing once."""
    words: list[str] = []
    for line in said.splitlines():
        told = next(objects([line]), None)
        words += (line if told is None else _message(told)).splitlines()
    once = dict.fromkeys(_RETRYING.sub("", word.strip()) for word in words)
    return "; ".join(word for word in once if word and not _ADVICE.search(word))[-2000:]


def is_damage(command: str, words: str) -> bool:
    """Whether restic found the repository at fault: what no trouble of a store explains.

    A check that ends so without any trouble is proof too, whatever it is that it says.

    :param words: see L(complaint).
    """
    checked = command == "check"
    if checked and (_FOUND not in words or _NOT_LISTED.search(words)):
        return False
    sound = [word for word in words.split("; ") if not _TROUBLE.search(word)]
    return any(_DAMAGE.search(word) for word in sound) or (checked and not _TROUBLE.search(words))


def _message(told: Mapping[str, Any]) -> str:
    error = told.get("error")
    text = error.get("message", "") if isinstance(error, Mapping) else error or told.get("message", "")
    item = told.get("item")
    return f"{item}: {text}" if item and text else str(text)


def parse_job(text: str) -> Job:
    """What the script that looks at a job printed."""
    first, _newline, rest = text.partition("\n")
    out, _line, err = rest.partition("\n---\n")
    state, _space, rc = first.partition(" ")
    return Job(state, int(rc) if rc else None, last_json(out.splitlines()), complaint(err))
