# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cassops.kubernetes.plugins.module_utils import backups
from ansible_collections.cassops.kubernetes.plugins.module_utils.backups import (
    COMPLETE,
    FAILED,
    PARTIAL,
    RUNNING,
    File,
    Keep,
    Listed,
    Manifest,
    ManifestError,
    NodeEntry,
    NodeManifest,
    Record,
    Schema,
    Statement,
    Table,
    Verification,
)

DAY = 86400.0
NOW = backups.seconds("2026-11-25T03:00:00Z")
ID = "6f0c8d4e-4d0e-4f0e-9d9c-0d9e6a1c2b3a"

NAMES = st.text("abz0_", min_size=1, max_size=3)
IDS = st.sampled_from([ID, ID.replace("6", "7")])
MOMENTS = st.integers(0, 2**32).map(backups.moment)
SIZES = st.integers(0, 2**50)
FILES = st.builds(File, path=st.sampled_from(["nb-1-big-Data.db", ".idx/nb-1-big-Data.db"]), size=SIZES)
TABLES = st.builds(
    Table,
    keyspace=NAMES,
    name=NAMES,
    id=IDS,
    directory=NAMES,
    files=st.lists(FILES, max_size=2).map(tuple),
)
NODES = st.builds(
    NodeManifest,
    backup=NAMES,
    cluster=NAMES,
    datacenter=NAMES,
    rack=NAMES,
    pod=NAMES,
    host_id=IDS,
    address=NAMES,
    tokens=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4).map(tuple),
    version=st.just("5.0.9"),
    schema=IDS,
    taken=MOMENTS,
    repository=NAMES,
    snapshot=NAMES,
    added=SIZES,
    tables=st.lists(TABLES, max_size=2).map(tuple),
)


@given(NODES)
def test_what_is_kept_of_a_node_without_the_names_of_its_files(node: NodeManifest) -> None:
    folded = node.folded()
    assert dataclasses.replace(folded, tables=()) == dataclasses.replace(node, tables=())
    for kept, table in zip(folded.tables, node.tables, strict=True):
        assert (kept.size, kept.source, bool(kept.files)) == (table.size, table.source, bool(table.files))
        assert len(kept.files) <= 1


def manifest(**changes: Any) -> Manifest:
    entries = tuple(NodeEntry(f"pod-{number}", ID, "r1", "aa", "bb", 10, 1) for number in range(3))
    whole = Manifest("b1", "shop", "dc1", COMPLETE, "2026-11-25T03:00:00Z", entries, schema="cc", schema_digest="dd")
    return dataclasses.replace(whole, **changes)


def without(document: Manifest, *pods: str) -> Manifest:
    nodes = (dataclasses.replace(node, manifest="") if node.pod in pods else node for node in document.nodes)
    return dataclasses.replace(document, nodes=tuple(nodes))


# --- documents --------------------------------------------------------------------------------------------------------


@given(NODES)
def test_a_nodes_manifest_comes_back_as_it_was(node: NodeManifest) -> None:
    text = backups.dump(node)
    assert backups.load_node(text, backups.digest(text)) == node
    assert node.size == sum(file.size for table in node.tables for file in table.files)


def test_the_other_documents_come_back_as_they_were() -> None:
    assert backups.load(backups.dump(manifest())) == manifest()
    assert backups.load(backups.dump(manifest(uuid_sstables=True))).uuid_sstables is True
    schema = Schema("b1", ID, (Statement("shop", "table", "orders", "CREATE TABLE ..."),))
    assert backups.load_schema(backups.dump(schema)) == schema
    found = Verification("b1", "2026-11-25T03:00:00Z", "data", ("pack 1 is damaged",))
    assert backups.load_verification(backups.dump(found)) == found


def damaged(change: Any) -> str:
    document = json.loads(backups.dump(manifest()))
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is no JSON"),
        ("[]", "the document is not a mapping"),
        (backups.dump(manifest())[:-40], "it is no JSON"),
        (damaged(lambda it: it.pop("nodes")), "nodes is missing"),
        (damaged(lambda it: it["nodes"][1].pop("host_id")), r"nodes\[1\]\.host_id is missing"),
        (damaged(lambda it: it["nodes"][0].update(size="10")), r"nodes\[0\]\.size is '10', not int"),
        (damaged(lambda it: it["nodes"][0].update(size=-1)), r"nodes\[0\]\.size is -1"),
        (damaged(lambda it: it.update(state="fine")), "state is 'fine', not one of"),
        (damaged(lambda it: it.update(began="yesterday")), "yesterday"),
        (damaged(lambda it: it["nodes"][2].update(manifest="")), "it says complete, but pod-2 is not in it"),
        (damaged(lambda it: it.update(schema="")), "it says complete, but the schema is not in it"),
        (damaged(lambda it: it.update(format=2)), "a later version of this collection"),
        (damaged(lambda it: it.update(format=True)), "format is True"),
    ],
)
def test_a_damaged_manifest_is_never_taken_for_a_backup(text: str, said: str) -> None:
    """B4: a manifest that cannot be read is an error, not an empty backup."""
    with pytest.raises(ManifestError, match=said):
        backups.load(text)


def test_a_document_that_is_not_the_one_that_was_named_is_refused() -> None:
    node = json.loads(backups.dump(manifest()))
    text = json.dumps(node)
    with pytest.raises(ManifestError, match="its SHA-256 is"):
        backups.load_node(text, backups.digest(text + " "))


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a\0b"])
def test_no_file_leads_out_of_its_folder(path: str) -> None:
    node = NodeManifest(
        "b1", "shop", "dc1", "r1", "pod-0", ID, "10.0.0.1", (1,), "5.0.9", ID, "2026-11-25T03:00:00Z", "r", "s", 0,
        (Table("shop", "orders", ID, "orders-1", (File(path, 1),)),),
    )  # fmt: skip
    with pytest.raises(ManifestError, match="leads out of its folder"):
        backups.load_node(backups.dump(node))


def test_empty_components_are_files_too() -> None:
    """B13."""
    table = Table("shop", "orders", ID, "orders-1", (File("nb-1-bti-Rows.db", 0), File("nb-1-bti-Data.db", 7)))
    assert (table.size, len(table.files)) == (7, 2)


# --- names ------------------------------------------------------------------------------------------------------------


def test_two_nodes_never_share_a_repository() -> None:
    """B1: a node that joins anew under an old name has another host id."""
    places = {backups.place("s3:https://s3/b/", "shop", "dc1", host) for host in (ID, ID.replace("6", "7"))}
    assert len(places) == 2
    assert backups.place("s3:https://s3/b/", "shop", "dc1", ID) == f"s3:https://s3/b/shop/dc1/{ID}"


@pytest.mark.parametrize("name", ["", "-a", "a/b", "a b", "a,b", "a=b", "ä", ".", "a" * 64])
def test_names_that_cannot_be(name: str) -> None:
    assert "cannot be the name of a backup" in backups.name_fault(name)


def test_a_backup_is_called_by_its_time() -> None:
    assert backups.name_at(NOW) == "20261125T030000Z"
    assert not backups.name_fault(backups.name_at(NOW))


# --- states -----------------------------------------------------------------------------------------------------------


def test_a_backup_is_complete_when_all_nodes_are_in() -> None:
    assert backups.end_state(manifest()) == COMPLETE
    assert backups.end_state(without(manifest(), "pod-1")) == PARTIAL
    assert backups.end_state(without(manifest(), "pod-0", "pod-1", "pod-2")) == FAILED
    assert backups.end_state(manifest(schema="")) == FAILED
    assert backups.end_state(manifest(nodes=())) == FAILED


def test_a_run_without_a_sign_of_life_has_failed() -> None:
    """B8: nothing is in progress for ever."""
    running = manifest(state=RUNNING, heartbeat=backups.moment(NOW), runner="ann@tower pid 7")
    assert backups.state_at(running, NOW + backups.STALE) == RUNNING
    assert backups.state_at(running, NOW + backups.STALE + 2) == FAILED
    (listed,) = backups.listing([], running, NOW + DAY)
    assert listed.state == FAILED
    assert "ann@tower pid 7" in listed.error
    assert backups.state_at(dataclasses.replace(running, heartbeat=""), NOW + DAY) == FAILED


# --- the list ---------------------------------------------------------------------------------------------------------


def record(document: Manifest, when: float, number: str = "1") -> Record:
    return Record(number, when, backups.tags_of(dataclasses.replace(document, finished=backups.moment(when))))


def verification(name: str, when: float, faults: int = 0) -> Record:
    tags = {"kind": "verification", "backup": name, "when": backups.moment(when), "faults": str(faults)}
    return Record("v", when, tags)


def test_the_newest_manifest_of_a_name_counts() -> None:
    failed = without(manifest(state=FAILED), "pod-0", "pod-1", "pod-2")
    (listed,) = backups.listing([record(manifest(), NOW + 9, "2"), record(failed, NOW, "1")], None, NOW)
    assert (listed.state, listed.manifest, listed.missing) == (COMPLETE, "2", ())
    (listed,) = backups.listing([record(failed, NOW)], None, NOW)
    assert (listed.state, listed.missing) == (FAILED, ("pod-0", "pod-1", "pod-2"))
    assert (listed.nodes, listed.size) == (3, 30)


def test_what_was_never_finished_is_no_backup() -> None:
    """Nodes' manifests alone are none: the backup's is written last."""
    nodes = [Record("n", NOW, {"kind": "node", "backup": "b1"}), Record("s", NOW, {"kind": "schema", "backup": "b1"})]
    assert backups.listing([*nodes, verification("b1", NOW)], None, NOW) == []


def test_a_verification_before_the_backup_was_complete_says_nothing_about_it() -> None:
    """A run of the same name has finished what was found partial."""
    found = [record(without(manifest(state=PARTIAL), "pod-0"), NOW, "1"), verification("b1", NOW + 10, 1)]
    (listed,) = backups.listing(found, None, NOW)
    assert listed.damaged
    (listed,) = backups.listing([*found, record(manifest(), NOW + 20, "2")], None, NOW)
    assert (listed.state, listed.damaged) == (COMPLETE, False)


def test_clocks_of_pods_that_differ_change_nothing() -> None:
    """restic goes by them: here the pod that wrote last is an hour behind."""
    partial, whole = record(without(manifest(state=PARTIAL), "pod-0"), NOW, "1"), record(manifest(), NOW + 20, "2")
    late = dataclasses.replace(whole, time=NOW - 3600)
    (listed,) = backups.listing([partial, late], None, NOW)
    assert (listed.state, listed.manifest) == (COMPLETE, "2")
    faults = dataclasses.replace(verification("b1", NOW + 30, 1), time=NOW - 3600)
    (listed,) = backups.listing([partial, late, faults], None, NOW)
    assert listed.damaged


def test_the_last_verification_counts() -> None:
    found = [record(manifest(), NOW), verification("b1", NOW + 10), verification("b1", NOW + 20, 2)]
    (listed,) = backups.listing(found, None, NOW)
    assert listed.damaged
    (listed,) = backups.listing([*found, verification("b1", NOW + 30)], None, NOW)
    assert not listed.damaged
    assert listed.verified == backups.moment(NOW + 30)


def test_tags_that_somebody_changed_do_no_harm() -> None:
    odd = Record("1", NOW, {"kind": "backup", "backup": "b1", "state": "great", "size": "many", "began": "once"})
    (listed,) = backups.listing([odd], None, NOW)
    assert (listed.state, listed.size, listed.began) == (FAILED, 0, NOW)


# --- retention --------------------------------------------------------------------------------------------------------


def daily(count: int, state: str = COMPLETE, since: float = NOW, **changes: Any) -> list[Listed]:
    """One a day, the newest first: d0 is the newest."""
    return [Listed(f"{state[0]}{day}", state, since - day * DAY, **changes) for day in range(count)]


def test_failed_runs_push_no_good_backup_out() -> None:
    """B3: thirty nights of failures, and the last good ones are still there."""
    good = daily(5, since=NOW - 30 * DAY)
    kept = backups.kept([*good, *daily(30, FAILED), *daily(3, PARTIAL)], Keep(last=3))
    assert {name for name in kept if name.startswith("c")} == {"c0", "c1", "c2"}
    # They are newer than any good one: somebody may want to look.
    assert set(kept) >= {one.name for one in daily(30, FAILED)}
    assert "f0" not in backups.kept([*daily(1), *daily(3, FAILED, since=NOW - 1)], Keep(last=3))


def test_days_weeks_and_months() -> None:
    kept = backups.kept(daily(100), Keep(last=1, daily=3, weekly=2, monthly=2))
    # Wednesday 25 November; Sunday 22 is the end of the week before, and 31 October that of the month.
    assert set(kept) == {"c0", "c1", "c2", "c3", "c25"}
    assert kept["c0"] == "last 1, daily, weekly, monthly, the newest complete one"
    assert kept["c25"] == "monthly"


def test_the_last_verified_and_the_newest_stay_whatever_the_rules_say() -> None:
    listed = daily(10)
    listed[7] = dataclasses.replace(listed[7], verified="2026-11-18T04:00:00Z")
    listed[9] = dataclasses.replace(listed[9], verified="2026-11-16T04:00:00Z")
    assert backups.kept(listed, Keep()) == {"c0": backups.NEWEST, "c7": backups.LAST_VERIFIED}


def test_a_damaged_backup_is_not_counted_and_goes_when_a_sound_one_is_newer() -> None:
    old, new = daily(2)[1], dataclasses.replace(daily(1)[0], damaged=True)
    assert backups.kept([old, new], Keep(last=1)) == {
        "c1": f"last 1, {backups.NEWEST}",
        "c0": "no complete one is newer",
    }
    assert "c1" not in backups.kept([dataclasses.replace(old, damaged=True), daily(1)[0]], Keep(last=5))


@given(
    st.lists(
        st.builds(
            Listed,
            name=NAMES,
            state=st.sampled_from(backups.STATES),
            began=st.integers(0, 400).map(lambda day: NOW - day * DAY),
            verified=st.sampled_from(["", "2026-11-18T04:00:00Z"]),
            damaged=st.booleans(),
        ),
        unique_by=lambda one: one.name,
        max_size=30,
    ),
    st.builds(Keep, *[st.integers(0, 4)] * 4),
)
def test_whatever_the_rules_the_best_there_is_stays(listed: list[Listed], keep: Keep) -> None:
    kept = backups.kept(listed, keep)
    sound = sorted((one for one in listed if one.state == COMPLETE and not one.damaged), key=lambda one: one.began)
    assert all(one.name in kept for one in listed if one.state == RUNNING)
    if sound:
        assert sound[-1].began in {one.began for one in listed if one.name in kept}
        assert any(one.verified for one in sound) <= any(one.verified for one in sound if one.name in kept)
        assert sum(one.name in kept for one in sound) <= sum(dataclasses.astuple(keep)) + 2
    else:
        assert set(kept) == {one.name for one in listed}
