# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scripts run in a real shell, with the container's folders in a temporary one and a stub in restic's place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import restic
from ansible_collections.cassops.kubernetes.plugins.module_utils.kubeapi import ExecResult, ExecTimeout
from ansible_collections.cassops.kubernetes.plugins.module_utils.restic import Job, NoRepository, Restic, ResticError

STUB = r"""#!/bin/sh
{ echo "args $*"; echo "repository $RESTIC_REPOSITORY"; env | grep -E '^(AWS|RESTIC|ODD)' | sort; pwd; } >>"$STUB_LOG"
[ -t 0 ] || cat >>"$STUB_LOG.in"
. "$STUB_LOG.do"
"""


@dataclass
class Container:
    """A pod whose container is this machine.

    :ivar commands: the words of every exec.
    :ivar breaks: letters of stdin after which the connection goes; None is never.
    """

    root: Path
    commands: list[list[str]]
    breaks: int | None = None

    @property
    def log(self) -> str:
        file = self.root / "log"
        return file.read_text() if file.exists() else ""

    def does(self, script: str) -> None:
        """What the stub of restic does."""
        (self.root / "log.do").write_text(script + "\n")

    def exec(
        self, pod: str, argv: Sequence[str], container: str = "", stdin: str | None = None, timeout: float = 60
    ) -> ExecResult:
        assert (pod, container) == ("shop-dc1-r1-0", "backup")
        self.commands.append(list(argv))
        words = [word.replace("/cassops/backup", str(self.root)) for word in argv]
        environment = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "STUB_LOG": str(self.root / "log")}
        came = (stdin or "")[: self.breaks]
        try:
            done = subprocess.run(
                words, env=environment, input=came, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise ExecTimeout("it took too long") from None
        return ExecResult(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def container(tmp_path: Path) -> Container:
    for folder in ("bin", "credentials", "password", "spool"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin" / "restic").write_text(STUB)
    (tmp_path / "bin" / "restic").chmod(0o755)
    (tmp_path / "password" / "password").write_text("hunter2")
    (tmp_path / "credentials" / "AWS_SECRET_ACCESS_KEY").write_text("a secret=with $odd 'letters'")
    (tmp_path / "credentials" / "gcs.json").write_text("{}")
    (tmp_path / "credentials" / "9ODD").write_text("no name of a variable")
    made = Container(tmp_path, [])
    made.does("true")
    return made


@pytest.fixture
def client(container: Container) -> Restic:
    return Restic(container, "shop-dc1-r1-0", "s3:https://s3/b/shop/dc1/one")  # type: ignore[arg-type]


def until(look: Callable[[], Job], state: str) -> Job:
    """Wait until a job is in a state."""
    end = time.monotonic() + 60
    while (job := look()).state != state:
        assert time.monotonic() < end, job
        time.sleep(0.02)
    return job


# --- commands ---------------------------------------------------------------------------------------------------------


def test_secrets_are_read_where_restic_runs_and_pass_nowhere_else(container: Container, client: Restic) -> None:
    client.run("snapshots")
    assert "AWS_SECRET_ACCESS_KEY=a secret=with $odd 'letters'" in container.log
    assert f"RESTIC_PASSWORD_FILE={container.root}/password/password" in container.log
    assert "repository s3:https://s3/b/shop/dc1/one" in container.log
    assert "ODD" not in container.log
    assert "hunter2" not in container.log
    words = " ".join(word for command in container.commands for word in command)
    assert "hunter2" not in words
    assert "letters" not in words


def test_a_text_is_stored_through_stdin_and_read_again(container: Container, client: Restic) -> None:
    container.does("""echo '{"message_type":"status"}'; echo '{"message_type":"summary","snapshot_id":"abc"}'""")
    assert client.store("the text", "/b1/node.json", {"kind": "node", "backup": "b1,b2"}, "host") == "abc"
    assert (container.root / "log.in").read_text() == "the text"
    assert "--tag kind=node --tag backup=b1;b2" in container.log
    assert all("the text" not in word for command in container.commands for word in command)
    assert list((container.root / "spool" / "texts").iterdir()) == []


@pytest.mark.parametrize(("letters", "came"), [(0, 0), (6, 7)])
def test_a_text_that_broke_off_is_not_stored(container: Container, client: Restic, letters: int, came: int) -> None:
    container.breaks = letters
    with pytest.raises(ResticError, match=f"only {came} of 9 bytes came, and nothing was begun"):
        client.store("the täxt", "/b1/node.json", {"kind": "node"}, "host")
    assert "args" not in container.log
    assert list((container.root / "spool" / "texts").iterdir()) == []


@pytest.mark.parametrize(
    ("rc", "said", "kind", "told"),
    [
        (10, "Fatal: repository does not exist", NoRepository, "there is no repository"),
        (
            1,
            "Fatal: unable to open config file: connection refused\nIs there a repository at the following location?",
            ResticError,
            "connection refused",
        ),
        (
            1,
            "Stat(<config/>) returned error, retrying after 878.4ms: dial tcp store:70: connect: connection refused\n"
            "Stat(<config/>) returned error, retrying after 1.2s: dial tcp store:70: connect: connection refused\n"
            "Fatal: unable to open config file\nIs there a repository at the following location?\ns3:http://store/b",
            ResticError,
            "returned error: dial tcp store:70: connect: connection refused; Fatal: unable to open config file; is the",
        ),
        (12, "Fatal: wrong password or no key found", ResticError, "another password than the key password of"),
        (1, "Fatal: wrong password or no key found", ResticError, "another password"),
        (
            1,
            "Fatal: unable to open config file: Stat: Access Denied.",
            ResticError,
            "cassandra_backup.credentials_secret",
        ),
        (
            1,
            "Fatal: unable to open config file: Stat: The request signature we calculated does not match the signature",
            ResticError,
            "the store refuses the keys",
        ),
        (1, "Fatal: unexpected HTTP response (401): 401 Unauthorized", ResticError, "the store refuses the keys"),
        (
            1,
            "Fatal: /data/forbidden/timeouts: no space left",
            ResticError,
            "ended with 1: Fatal: /data/forbidden/timeouts",
        ),
        (11, "unable to create lock: repository is already locked by PID 7", ResticError, "another restic has the"),
        (1, '{"message_type":"exit_error","code":1,"message":"Fatal: no space"}', ResticError, "Fatal: no space"),
    ],
)
def test_what_restic_refuses_is_told(
    container: Container, client: Restic, rc: int, said: str, kind: type[ResticError], told: str
) -> None:
    container.does(f"cat >&2 <<'END'\n{said}\nEND\nexit {rc}")
    with pytest.raises(kind, match=told) as caught:
        client.run("cat", "config")
    assert isinstance(caught.value, NoRepository) == (kind is NoRepository)
    assert "shop-dc1-r1-0" in str(caught.value)
    assert "{" not in str(caught.value)


def test_a_store_that_does_not_answer_is_told(container: Container, client: Restic) -> None:
    container.does("sleep 30")
    with pytest.raises(ResticError, match=r"had no answer from s3:https.* is the store up"):
        client.run("snapshots", limit=0.2)


def test_a_repository_is_made_once(container: Container, client: Restic) -> None:
    made = container.root / "made"
    container.does(f"case $1 in init) touch {made} ;; *) [ -e {made} ] || exit 10 ;; esac")
    assert [client.ensure(), client.ensure()] == [True, False]
    container.does("echo wrong password >&2; exit 12")
    with pytest.raises(ResticError, match="another password"):
        client.ensure()


def test_snapshots_become_records(container: Container, client: Restic) -> None:
    item = {"id": "aa", "time": "2026-11-25T03:00:00.123456789+01:00", "tags": ["kind=node", "backup=b1", "note=a=b"]}
    container.does(f"echo '{json.dumps([item, {'id': 'bb', 'time': '2026-11-25T03:00:00Z'}])}'")
    first, second = client.records()
    assert (first.id, first.kind, first.backup, first.tags["note"]) == ("aa", "node", "b1", "a=b")
    assert second.time - first.time == pytest.approx(3600, abs=1)
    container.does("echo null")
    assert client.records() == []


def test_snapshots_are_forgotten_however_many_they_are(container: Container, client: Restic) -> None:
    """Their ids are no words of the command: these travel in an address."""
    ids = [f"{number:064x}" for number in range(1000)]
    client.forget(ids)
    assert f"args forget {' '.join(ids)} --retry-lock 1m\n" in container.log
    assert sum(len(word) for command in container.commands for word in command) < 2000
    container.does("echo 'Fatal: wrong password' >&2; exit 12")
    with pytest.raises(ResticError, match="put the old one back"):
        client.forget(ids)


def test_a_list_of_very_many_snapshots_may_take_longer(
    container: Container, client: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    container.does("sleep 0.5; echo null")
    assert client.records(0.1) == []
    monkeypatch.setattr(restic, "LIMIT", 0.1)
    assert client.records(30.0) == []
    with pytest.raises(ResticError, match="no answer"):
        client.records(0.05)


def test_files_have_their_sizes(container: Container, client: Restic) -> None:
    lines: list[dict[str, Any]] = [
        {"message_type": "snapshot", "id": "aa"},
        {"message_type": "node", "type": "dir", "path": "/ks"},
        {"message_type": "node", "type": "file", "path": "/ks/t-1/Data.db", "size": 7},
        {"message_type": "node", "type": "file", "path": "/ks/t-1/Rows.db"},
    ]
    container.does("cat <<'END'\n" + "\n".join(map(json.dumps, lines)) + "\nEND")
    assert client.files("aa") == {"ks/t-1/Data.db": 7, "ks/t-1/Rows.db": 0}


def test_a_list_of_very_many_files_may_take_longer(
    container: Container, client: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    container.does("sleep 0.5")
    monkeypatch.setattr(restic, "LIMIT", 0.1)
    assert client.files("aa", 30.0) == {}
    with pytest.raises(ResticError, match="no answer"):
        client.files("aa", 0.05)


# --- jobs -------------------------------------------------------------------------------------------------------------

STATUS = {"message_type": "status", "percent_done": 0.5, "total_bytes": 100, "bytes_done": 50}
SUMMARY = {"message_type": "summary", "snapshot_id": "abc", "data_added": 5}


def test_a_job_goes_on_by_itself_and_is_found_again(container: Container, client: Restic, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    container.does(
        f"echo '{json.dumps(STATUS)}'; while ! [ -e {gate} ]; do sleep 0.05; done; echo '{json.dumps(SUMMARY)}'"
    )
    assert client.look("upload-b1").state == "absent"
    client.start("upload-b1", ["backup", "--json", "--host", "a b"], str(tmp_path / "data"), ["one", "two words"])
    job = until(lambda: client.look("upload-b1"), "running")
    while not job.total:
        job = client.look("upload-b1")
    assert (job.done, job.total, job.ended) == (50, 100, False)
    # Another run finds it, and does not begin it anew.
    client.start("upload-b1", ["backup"], str(tmp_path / "data"))
    assert client.look("upload-b1").state == "running"
    gate.touch()
    job = until(lambda: client.look("upload-b1"), "ended")
    assert (job.rc, job.status["snapshot_id"]) == (0, "abc")
    assert container.log.count("args ") == 1
    assert "args backup --json --host a b" in container.log
    assert f"\n{tmp_path}/data\n" in container.log
    listed = restic.list_of("upload-b1").replace("/cassops/backup", str(container.root))
    assert Path(listed).read_text() == "one\ntwo words\n"
    client.end("upload-b1")
    assert client.look("upload-b1").state == "absent"


def test_a_look_that_lasts_tells_the_end_when_it_comes(container: Container, client: Restic, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    container.does(f"while ! [ -e {gate} ]; do sleep 0.05; done")
    client.start("upload-b1", ["backup"], str(tmp_path))
    until(lambda: client.look("upload-b1"), "running")
    began = time.monotonic()
    assert client.look("upload-b1", 0.5).state == "running"
    assert time.monotonic() - began >= 0.5
    threading.Timer(0.5, gate.touch).start()
    assert client.look("upload-b1", 60).rc == 0
    assert time.monotonic() - began < 30
    assert client.look("upload-b2", 60).state == "absent"


def test_a_job_may_run_restic_once_for_each_line(container: Container, client: Restic, tmp_path: Path) -> None:
    client.start("log-b1", ["restore", "--json", restic.EACH, "--target", "a b"], str(tmp_path), ["s1", "s2"])
    assert until(lambda: client.look("log-b1"), "ended").rc == 0
    told = [line for line in container.log.splitlines() if line.startswith("args ")]
    assert told == [f"args restore --json {each} --target a b --retry-lock 1m" for each in ("s1", "s2")]
    # The first that fails ends it.
    container.does("exit 1")
    client.start("log-b2", ["restore", restic.EACH], str(tmp_path), ["s1", "s2"])
    assert until(lambda: client.look("log-b2"), "ended").rc == 1
    assert container.log.count("args ") == 3


@pytest.mark.parametrize(("letters", "came"), [(0, 0), (4, 5), (5, 6)])
def test_a_job_whose_list_broke_off_is_not_begun(
    container: Container, client: Restic, tmp_path: Path, letters: int, came: int
) -> None:
    """An empty list is no filter for restic: tables would bring everything."""
    container.breaks = letters
    with pytest.raises(ResticError, match=f"only {came} of 17 bytes came, and nothing was begun"):
        client.start("get-b1", ["restore"], str(tmp_path), ["/öne", "/two words"])
    assert client.look("get-b1").state == "absent"
    assert list((container.root / "spool" / "jobs").iterdir()) == []
    container.breaks = None
    client.start("get-b1", ["restore"], str(tmp_path), ["/öne", "/two words"])
    assert until(lambda: client.look("get-b1"), "ended").rc == 0
    assert container.log.count("args ") == 1
    assert (container.root / "spool" / "jobs" / "get-b1" / "list").read_text() == "/öne\n/two words\n"


def test_a_list_that_breaks_off_late_takes_nothing_from_the_job_that_has_begun_since(
    container: Container, client: Restic, tmp_path: Path
) -> None:
    """The command of a connection that broke hears of it when it does, and another run may have begun the job."""
    client.start("get-b1", ["restore"], str(tmp_path), ["/one"])
    (argv,) = container.commands
    client.end("get-b1")
    words = [word.replace("/cassops/backup", str(container.root)) for word in argv]
    environment = {"PATH": f"{container.root}/bin:{os.environ['PATH']}", "STUB_LOG": str(container.root / "log")}
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        jobs = container.root / "spool" / "jobs"
        end = time.monotonic() + 30
        while not list(jobs.iterdir()):
            assert time.monotonic() < end
            time.sleep(0.02)
        client.start("get-b1", ["restore"], str(tmp_path), ["/one"])
        first.communicate()
    assert first.returncode == 1
    assert until(lambda: client.look("get-b1"), "ended").rc == 0
    assert (jobs / "get-b1" / "list").read_text() == "/one\n"
    assert list(jobs.iterdir()) == [jobs / "get-b1"]


def test_a_job_that_fails_says_why(container: Container, client: Restic, tmp_path: Path) -> None:
    error = {"message_type": "error", "error": {"message": "permission denied"}, "item": "/data/x"}
    container.does(f"echo '{json.dumps(error)}' >&2; echo 'Warning: odd' >&2; exit 3")
    client.start("upload-b1", ["backup"], str(tmp_path))
    job = until(lambda: client.look("upload-b1"), "ended")
    assert (job.rc, job.error) == (3, "/data/x: permission denied; Warning: odd")


def test_a_job_that_was_killed_with_its_container_is_lost_and_can_be_begun_again(
    container: Container, client: Restic, tmp_path: Path
) -> None:
    """B8: the kernel takes it for its memory, and nobody says so."""
    container.does("sleep 60")
    client.start("upload-b1", ["backup"], str(tmp_path))
    until(lambda: client.look("upload-b1"), "running")
    pid = int((container.root / "spool" / "jobs" / "upload-b1" / "pid").read_text().split()[0])
    os.killpg(pid, signal.SIGKILL)
    until(lambda: client.look("upload-b1"), "lost")
    container.does(f"echo '{json.dumps(SUMMARY)}'")
    client.start("upload-b1", ["backup"], str(tmp_path))
    assert until(lambda: client.look("upload-b1"), "ended").rc == 0


def test_another_process_of_the_same_number_is_no_job(container: Container, client: Restic) -> None:
    folder = container.root / "spool" / "jobs" / "upload-b1"
    folder.mkdir(parents=True)
    (folder / "pid").write_text(f"{os.getpid()} 1\n")
    assert client.look("upload-b1").state == "lost"


def test_a_job_is_ended_with_all_that_it_began(container: Container, client: Restic, tmp_path: Path) -> None:
    container.does(f"sleep 61 & echo $! >{tmp_path}/child; wait")
    client.start("upload-b1", ["backup"], str(tmp_path))
    child = tmp_path / "child"
    end = time.monotonic() + 30
    while not child.exists() or not child.read_text().strip():
        assert time.monotonic() < end
        time.sleep(0.02)
    client.end("upload-b1")
    assert client.look("upload-b1").state == "absent"
    while Path(f"/proc/{child.read_text().strip()}/exe").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    client.end("upload-b1")


def test_a_damaged_pack_is_named_without_advice() -> None:
    """As restic 0.18.1 says it of a flipped bit."""
    said = """pack 61f7b69a contains 2 errors: [blob 7f77: decrypting blob <data/7f77> from 61f7b69a failed: ciphertext]

The repository contains damaged pack files. These damaged files must be removed to repair

restic repair packs 61f7b69a
restic repair snapshots --forget

Damaged pack files can be caused by backend problems, hardware problems or bugs in restic. Please open an issue
Fatal: repository contains errors
"""
    first, _semicolon, last = restic.complaint(said).partition("; ")
    assert first.startswith("pack 61f7b69a contains 2 errors")
    assert last == "Fatal: repository contains errors"


FOUND = "Fatal: repository contains errors"
GONE = f"pack {'61f7b69a' * 8}: does not exist"
CUT = f"pack {'61f7b69a' * 8}: unexpected file size: got 7, expected 9"
REFUSED = "Load(<data/61f7b69a>, 7, 0) failed: Get http://store:70: dial tcp: connect: connection refused"
OPEN = "download error: circuit breaker open for file <data/61f7b69a>"


@pytest.mark.parametrize(
    ("command", "said", "damage"),
    [
        ("check", [GONE, FOUND], True),
        ("check", ["pack 61f7 contains 2 errors: [blob 7f77: ciphertext verification failed]", FOUND], True),
        ("check", ["error for tree 61f7:", '  file "Data.db" blob 7f77 not found in index', FOUND], True),
        ("check", ["error: LoadRaw(<index/61f7>): invalid data returned", FOUND], True),
        ("check", ["error: something that nobody has seen yet", FOUND], True),
        # The store went away in the middle, and what it gave before is proof.
        ("check", [CUT, REFUSED, OPEN, FOUND], True),
        ("check", [REFUSED, OPEN, FOUND], False),
        (
            "check",
            ["pack 61f7 contains 1 errors: [partial download error: read tcp: connection reset by peer]", FOUND],
            False,
        ),
        ("check", ["error: Load(<snapshot/61f7>) returned 503 Service Unavailable", FOUND], False),
        (
            "check",
            ["check successful on second attempt, original error pack 61f7 contains 1 errors: [x]", FOUND],
            False,
        ),
        # Of what could not be listed all is missing.
        ("check", ["List(data) failed: 500 Internal Server Error", GONE, FOUND], False),
        ("check", [REFUSED], False),
        ("check", ["Fatal: unable to open repository: context canceled"], False),
        ("ls", ["Fatal: no matching ID found for prefix 61f7"], True),
        ("dump", ["Fatal: cannot dump file: id 7f77 not found in repository"], True),
        ("dump", [REFUSED], False),
        ("ls", ["Fatal: something that nobody has seen yet"], False),
    ],
)
def test_what_is_damaged_is_told_from_what_could_not_be_looked_at(
    container: Container, client: Restic, command: str, said: Sequence[str], damage: bool
) -> None:
    """restic ends both in the same way."""
    container.does("cat >&2 <<'END'\n" + "\n".join(said) + "\nEND\nexit 1")
    with pytest.raises(ResticError) as caught:
        client.run(command)
    assert caught.value.damage is damage
    container.does(f"echo '{FOUND}' >&2; exit 11")
    with pytest.raises(ResticError, match="another restic has the repository") as caught:
        client.run(command)
    assert caught.value.damage is False


def test_a_line_that_was_cut_off_is_no_progress() -> None:
    assert restic.parse_job('running\n{"message_type":"status","bytes_d\n\n---\n') == Job("running")
    assert restic.parse_job("absent\n").state == "absent"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("2026-11-25T03:14:00.123456789Z", "2026-11-25T03:14:00.123456+00:00"),
        # Go leaves out the zeros at the end, and Python 3.10 takes no other than three and six digits.
        ("2026-11-25T03:14:00.1234Z", "2026-11-25T03:14:00.123400+00:00"),
        ("2026-11-25T03:14:00.12345+01:00", "2026-11-25T03:14:00.123450+01:00"),
        ("2026-11-25T03:14:00.5-05:00", "2026-11-25T03:14:00.500000-05:00"),
        ("2026-11-25T03:14:00Z", "2026-11-25T03:14:00+00:00"),
    ],
)
def test_times_of_restic_are_read_by_each_python(text: str, whole: str) -> None:
    assert restic.to_microseconds(text) == whole


def test_a_snapshots_time_is_read_to_the_microsecond() -> None:
    told = {"id": "61f7", "time": "2026-11-25T03:14:00.1234Z", "tags": []}
    assert restic.record(told).time == pytest.approx(1795576440.1234)
