# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodetool's output as data, and several verbs in one exec."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import kubeapi, nodetool, nodetooltext

FIXTURES = Path(__file__).parent / "fixtures" / "nodetool"
RECORDED = ("4.1", "5.0")


def text(version, name):
    return (FIXTURES / version / f"{name}.txt").read_text(encoding="utf-8")


def test_status_by_the_headers_offsets():
    found = nodetooltext.status(text("4.0", "status"))
    assert [(node["address"], node["status"], node["state"], node["rack"]) for node in found["nodes"]] == [
        ("10.0.0.1", "up", "normal", "aws-us-east-1a"),
        ("10.0.0.10", "down", "normal", "row 1 left"),
        ("2001:db8::1", "unknown", "normal", "r 3"),
        ("10.1.0.1", "up", "joining", "r1"),
    ]
    first, second, third, fourth = found["nodes"]
    assert (first["load"], first["load_bytes"], first["owns"], first["tokens"]) == ("104.22 KiB", 106721, 0.667, 16)
    assert (second["load"], second["load_bytes"]) == ("?", None)
    assert third["owns"] is None
    assert (fourth["datacenter"], fourth["load_bytes"]) == ("second dc", 71)


def test_status_with_ports_one_token_and_no_ownership():
    found = nodetooltext.status(text("4.0", "status-owns-unknown"))
    assert found["notes"][0].startswith("Note: Non-system keyspaces")
    first = found["nodes"][0]
    assert (first["address"], first["port"], first["state"]) == ("10.0.0.1", 7000, "leaving")
    assert (first["owns"], first["effective"], first["tokens"]) == (None, False, 1)


@pytest.mark.parametrize("version", RECORDED)
def test_recorded_status(version):
    (node,) = nodetooltext.status(text(version, "status"))["nodes"]
    assert (node["status"], node["state"], node["rack"]) == ("up", "normal", "rack 1 left")
    assert (node["owns"], node["effective"], node["tokens"]) == (1.0, True, 16)


@pytest.mark.parametrize("version", RECORDED)
def test_recorded_info(version):
    found = nodetooltext.info(text(version, "info"))
    assert found["gossip_active"] is True
    assert found["rack"] == "rack 1 left"
    assert found["load"]["bytes"] > 1024
    assert found["heap_memory_mb"]["max"] > found["heap_memory_mb"]["used"]
    assert found["key_cache"]["capacity"] in (15 * 1024**2, 16 * 1024**2)
    assert found["row_cache"]["recent_hit_rate"] is None
    assert found["tokens"] == []
    assert len(nodetooltext.info(text(version, "info-tokens"))["tokens"]) == 16


@pytest.mark.parametrize(("version", "release"), [("4.1", "4.1.10"), ("5.0", "5.0.9")])
def test_recorded_describecluster(version, release):
    found = nodetooltext.describecluster(text(version, "describecluster"))
    assert found["name"] == "T"
    assert found["dynamic_snitch"] is True
    assert len(found["schema_versions"]) == 1
    assert found["nodes"]["live"] == 1
    assert list(found["database_versions"]) == [release]
    assert found["keyspaces"]["ks"] == {"class": "SimpleStrategy", "replication_factor": "1"}


def test_describecluster_of_a_mixed_cluster():
    found = nodetooltext.describecluster(text("4.0", "describecluster"))
    assert found["name"] == "Test Cluster"
    assert found["unreachable"] == ["10.0.0.4"]
    assert sorted(found["schema_versions"].values()) == [["10.0.0.1", "10.0.0.2"], ["10.0.0.3"]]
    assert found["datacenters"] == {"dc1": {"nodes": 4, "down": 1}}
    assert found["keyspaces"]["ks"] == {"class": "NetworkTopologyStrategy", "dc1": "3", "dc2": "2"}


def test_netstats_with_streams():
    found = nodetooltext.netstats(text("4.0", "netstats"))
    assert found["mode"] == "JOINING"
    assert [(each["operation"], each["peer"]) for each in found["sessions"]] == [
        ("Bootstrap", "10.0.0.1"),
        ("Bootstrap", "10.0.0.2 (using /192.168.0.2)"),
        ("Repair", "10.0.0.3"),
    ]
    receiving, sending = found["sessions"][0]["receiving"], found["sessions"][0]["sending"]
    assert (receiving["files"], receiving["files_done"], receiving["bytes"], receiving["bytes_done"]) == (
        5,
        2,
        123456,
        61728,
    )
    assert [(file["done"], file["total"]) for file in receiving["active"]] == [(123, 456), (456, 456)]
    assert sending["active"] == []
    assert found["sessions"][1]["receiving"]["bytes"] == 2621440
    assert found["read_repair"] == {"attempted": 3, "mismatch_blocking": 2, "mismatch_background": 1}
    assert found["pools"]["small_messages"] == {"active": None, "pending": 1, "completed": 12, "dropped": 3}


@pytest.mark.parametrize("version", RECORDED)
def test_recorded_netstats(version):
    found = nodetooltext.netstats(text(version, "netstats"))
    assert (found["mode"], found["sessions"]) == ("NORMAL", [])
    assert set(found["pools"]) == {"large_messages", "small_messages", "gossip_messages"}


def test_compactionstats_with_work():
    found = nodetooltext.compactionstats(text("4.0", "compactionstats"))
    assert found["pending"] == 3
    assert found["pending_by_table"] == {"ks.t": 1, "ks.other": 2}
    assert [(each["type"], each["progress"]) for each in found["active"]] == [
        ("Compaction", 0.25),
        ("Anticompaction after repair", None),
    ]
    assert found["remaining_time"] == "0h00m49s"


@pytest.mark.parametrize("version", RECORDED)
def test_recorded_compactionstats(version):
    found = nodetooltext.compactionstats(text(version, "compactionstats"))
    assert (found["pending"], found["active"], found["pending_by_table"]) == (0, [], {})
    assert found["statistics"].get("compaction_throughput_mib_s") == ("64.0" if version == "5.0" else None)


def test_gossipinfo_names_nodes_as_everything_else_does():
    """Java writes IPv6 at full length; each node would have a twin that is none of the datacenter's."""
    told = "/fd00:0:0:0:0:0:0:1\n  generation:1\n  heartbeat:2\n  STATUS:5:NORMAL,-1\n"
    assert list(nodetooltext.gossipinfo(told)) == ["fd00::1"]


def test_gossipinfo_values_hold_colons():
    found = nodetooltext.gossipinfo(text("4.0", "gossipinfo"))
    assert found["10.0.0.1"]["states"]["RPC_ADDRESS"] == {"version": 4, "value": "2001:db8:0:0:0:0:0:1"}
    assert found["10.0.0.1"]["heartbeat"] == 1234
    assert found["10.0.0.2"]["states"] == {}


@pytest.mark.parametrize("version", RECORDED)
def test_recorded_gossipinfo(version):
    endpoint = next(iter(nodetooltext.gossipinfo(text(version, "gossipinfo")).values()))
    assert endpoint["states"]["STATUS"]["value"].startswith("NORMAL,")
    assert endpoint["states"]["RACK"]["value"] == "rack 1 left"


@pytest.mark.parametrize("version", RECORDED)
def test_recorded_json(version):
    assert "ReadStage" in nodetooltext.document(text(version, "tpstats"))["ThreadPools"]
    assert "big" in nodetooltext.document(text(version, "tablestats"))["ks"]["tables"]


@pytest.mark.parametrize("parser", sorted(nodetooltext.PARSERS))
@pytest.mark.parametrize("garbage", ["", "error: JMX is gone", "Cassandra has shutdown.\n\x00"])
def test_what_is_not_understood_is_never_a_result(parser, garbage):
    if parser == "gossipinfo" and garbage:
        pytest.skip("any line at the margin is an address to it; a failure has its own exit code")
    with pytest.raises(nodetooltext.UnknownOutput):
        nodetooltext.PARSERS[parser](garbage)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("?", None), ("0 bytes", 0), ("1 KiB", 1024), ("1,5 GiB", 1610612736), ("2 TiB", 2 * 1024**4)],
)
def test_sizes(size, expected):
    assert nodetooltext.size(size) == expected


@pytest.mark.parametrize(
    ("verb", "read_only"),
    [
        (["status"], True),
        (["getcompactionthroughput"], True),
        (["listsnapshots"], True),
        (["describering", "ks"], True),
        (["repair_admin"], True),
        (["repair_admin", "list", "-a"], True),
        (["repair_admin", "cancel", "-s", "x"], False),
        (["flush"], False),
        (["setstreamthroughput", "1"], False),
        (["stop", "COMPACTION"], False),
        (["something-new"], False),
    ],
)
def test_read_only_verbs(verb, read_only):
    assert nodetool.is_read_only(verb) is read_only


class Shell:
    """A pod whose shell is this machine's, with a nodetool that a test writes."""

    def __init__(self, folder, program):
        self.environment = {"PATH": f"{folder}:/usr/bin:/bin", "TMPDIR": str(folder)}
        self.ran = []
        path = folder / "nodetool"
        path.write_text("#!/bin/sh\n" + program, encoding="utf-8")
        path.chmod(0o755)

    def exec(self, pod, argv, container="cassandra", stdin=None, timeout=60.0):
        self.ran.append((pod, argv, stdin))
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout, env=self.environment, check=False
        )
        return kubeapi.ExecResult(done.returncode, done.stdout, done.stderr)


def test_several_verbs_each_with_its_own_code_and_output(tmp_path):
    program = 'echo "out $*"; echo "err $*" >&2; [ "$1" != bad ] || { echo "error: it is bad" >&2; exit 3; }'
    shell = Shell(tmp_path, program)
    results = nodetool.run(shell, "p", [["one", "a b", "$(id)"], ["bad"], ["two; rm"]])
    assert [result.rc for result in results] == [0, 3, 0]
    assert [result.stdout for result in results] == ["out one a b $(id)\n", "out bad\n", "out two; rm\n"]
    assert results[2].stderr.strip() == "err two; rm"
    assert results[1].failure == "nodetool bad ended with 3: error: it is bad"
    assert len(shell.ran) == 1
    with pytest.raises(nodetool.NodetoolError, match="p: nodetool bad ended with 3") as caught:
        nodetool.run(shell, "p", [["bad"], ["one"]], check=True)
    assert [result.rc for result in caught.value.results] == [3, 0]


def test_a_shell_that_was_killed_is_no_result(tmp_path):
    shell = Shell(tmp_path, '[ "$1" != die ] || kill -9 $PPID')
    with pytest.raises(kubeapi.Unreachable, match="after 1 of 2 verbs"):
        nodetool.run(shell, "p", [["one"], ["die"]])


def test_the_password_of_jmx_is_in_no_argument(tmp_path):
    shell = Shell(tmp_path, 'echo "$@"; stat -c %a "$4"; cat "$4"')
    (done,) = nodetool.run(shell, "p", [["verb"]], jmx=("me", "pass word"))
    arguments, mode, content = done.stdout.splitlines()[:3]
    assert arguments.startswith("-u me -pwf ")
    assert arguments.endswith(" verb")
    assert (mode, content) == ("600", "me pass word")
    assert "pass word" not in " ".join(shell.ran[0][1])
    assert [path.name for path in tmp_path.iterdir()] == ["nodetool"], "the file is gone"


def test_the_password_of_jmx_goes_with_a_verb_that_takes_too_long(tmp_path):
    shell = Shell(tmp_path, 'touch "$TMPDIR/begun"; sleep 20')
    script = nodetool._script([["verb"]], "marker", True)
    words = ["timeout", "2", "sh", "-c", script]
    done = subprocess.run(words, input="me\npass word\n", text=True, env=shell.environment, check=False)
    assert done.returncode == 124
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "nodetool"], "the file is gone"


def test_json_is_asked_for_where_nothing_else_is(tmp_path):
    shell = Shell(tmp_path, """[ "$2" != -F ] || echo '{"asked": "'"$3"'", "nan": NaN}'""")
    results = nodetool.run(shell, "p", [["tpstats"], ["tablestats", "-F", "yaml"]])
    assert results[0].data == {"asked": "json", "nan": None}
    assert results[1].data is None


def test_names_go_into_as_few_commands_as_take_them():
    names = [f"shop.table_of_some_length_{number:04}" for number in range(1000)]
    told = nodetool.portions(names)
    assert [name for portion in told for name in portion] == names
    assert {len(portion) for portion in told[:-1]} == {nodetool.NAMES // (len(names[0]) + 3)}
    assert max(len("%2C".join(portion)) for portion in told) <= nodetool.NAMES
    assert nodetool.portions(["long" * nodetool.NAMES, "short"]) == [["long" * nodetool.NAMES], ["short"]]
    assert nodetool.portions([]) == []
