# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cassops.kubernetes.plugins.module_utils import archive
from ansible_collections.cassops.kubernetes.plugins.module_utils.archive import Chain, Column, Short, Type, Upload
from ansible_collections.cassops.kubernetes.plugins.module_utils.backups import Record, Schema, Statement, moment

START = 1_800_000_000
BEGAN = float(START + 1000)
"""The backup begins 1000 s after the process."""
FIRST = BEGAN + 2
"""It is taken at once, and its time is a full second, cut off twice."""


def name(number: int, start: int = START) -> str:
    return f"CommitLog-7-{start * 1000 + number}.log"


def minute(number: int, segments: Sequence[str], lost: float | None = None, until: bool = True) -> Upload:
    """What is stored so many minutes after the backup began."""
    time = BEGAN + 60 * number
    return Upload(f"s{number}", time, tuple(segments), 32, time - 15 if until else None, lost)


def end(number: int) -> float:
    """Up to when there may be rows in what was stored in that minute."""
    return BEGAN + 60 * number + archive.READING


def chain(made: Sequence[Upload], to: float, first: float = FIRST) -> Chain | Short:
    """Of a node that has stored its commit log since long before the backup."""
    return archive.chain([minute(-60, [name(0)]), *made], BEGAN, first, to)


def reason(made: Sequence[Upload], to: float, first: float = FIRST) -> str:
    told = chain(made, to, first)
    assert isinstance(told, Short)
    return told.why


GROWING = [minute(number, [name(5), name(6)]) for number in range(10)]


def test_of_a_segment_that_grows_the_last_copy_before_the_end_is_enough() -> None:
    assert chain(GROWING, BEGAN + 300) == Chain(("s6",), 32, end(6))


def test_a_segment_that_became_full_comes_with_the_next_one() -> None:
    made = [minute(1, [name(5)]), minute(2, [name(5)], until=False), minute(3, [name(6)]), minute(4, [name(6)])]
    assert chain(made, BEGAN + 170) == Chain(("s2", "s4"), 64, end(4))


def test_what_was_stored_before_the_backup_is_not_needed() -> None:
    made = [minute(-60, [name(1)]), *GROWING]
    assert chain(made, BEGAN + 10) == Chain(("s1",), 32, end(1))


def test_it_reaches_as_far_as_is_stored_and_no_farther() -> None:
    last = archive.stored_until(GROWING)
    assert last == BEGAN + 525
    assert isinstance(chain(GROWING, last), Chain)
    assert "is stored up to 2027-" in reason(GROWING, last + 1)
    assert archive.behind(GROWING, last + 1)
    assert not archive.behind(GROWING, last)


def test_nothing_was_stored() -> None:
    assert "was the datacenter restarted with it?" in reason([], BEGAN)
    assert "nothing of its commit log" in reason([minute(-60, [name(1)])], BEGAN)
    assert archive.behind([], BEGAN)


@pytest.mark.parametrize("lost", [BEGAN, BEGAN + 150])
def test_nobody_goes_past_what_was_lost(lost: float) -> None:
    """Archiving was off, the volume was full, or a restore changed the data."""
    made = [*GROWING[:3], minute(3, [name(7)], lost=lost), minute(4, [name(7)])]
    assert "is not all in its commit log" in reason(made, BEGAN + 200)
    # Before that all is there.
    assert isinstance(chain(made, BEGAN + 100), Chain)


def test_the_moment_that_a_refusal_names_can_be_reached() -> None:
    """A node that replaces another one stores under the host id of that until the ledger knows its own."""
    made = [*GROWING[:3], minute(5, [name(0, START + 1290)], lost=BEGAN + 290), minute(6, [name(0, START + 1290)])]
    for to in (BEGAN + 200, BEGAN + 300, BEGAN + 3000):
        told = reason(made, to)
        assert f"before {moment(BEGAN + 290)} is not all in its commit log" in told
        assert told.endswith(f"; moments up to {moment(BEGAN + 105)} can be reached")
    assert isinstance(chain(made, BEGAN + 105), Chain)
    assert reason(GROWING, BEGAN + 3000) == (
        f"its commit log is stored up to {moment(BEGAN + 525)} only: take an earlier moment; moments up to "
        f"{moment(BEGAN + 525)} can be reached"
    )


def test_where_no_moment_is_reached_none_is_named() -> None:
    """It broke before anything was stored after the backup, or what was stored only tells of before."""
    broken = minute(1, [name(5)], lost=BEGAN + 10)
    for made in ([broken], [minute(0, [name(5)]), broken]):
        assert reason(made, BEGAN + 20).endswith("a backup that is newer; no moment after this one can be reached")
    told = reason([minute(0, [name(5)])], BEGAN + 20)
    assert told.startswith(f"its commit log is stored up to {moment(BEGAN - 15)} only: ")
    assert told.endswith("no moment after this one can be reached")


@pytest.mark.parametrize("broken", [[], [minute(4, [name(7)], lost=BEGAN + 200)]])
def test_no_moment_is_named_that_is_before_the_backup_was_taken(broken: list[Upload]) -> None:
    """Of many nodes that is minutes after it began, and its files may have rows of all that time."""
    made = [*GROWING[:3], *broken]
    last = BEGAN + 105
    told = chain(made, BEGAN + 300, first=last)
    assert isinstance(told, Short)
    assert told.reach == last
    assert told.why.endswith(f"; moments up to {moment(last)} can be reached")
    told = chain(made, BEGAN + 300, first=last + 1)
    assert isinstance(told, Short)
    assert told.reach is None
    assert told.why.endswith("take a backup that is newer; no moment after this one can be reached")


def test_a_backup_is_newer_than_the_loss() -> None:
    """The first upload after archiving began, or after a restore, tells of it; the backup came after."""
    made = [minute(0, [name(5)], lost=BEGAN - 30), *GROWING[1:]]
    assert isinstance(archive.chain(made, BEGAN, FIRST, BEGAN + 100), Chain)


def test_what_was_written_before_a_restore_is_no_part_of_what_came_after() -> None:
    old, new = name(9), name(0, START + 970)
    made = [minute(-1, [old], lost=None), minute(0, [new], lost=BEGAN - 20), minute(1, [new])]
    assert archive.chain(made, BEGAN, FIRST, BEGAN + 30) == Chain(("s1",), 32, end(1))


def test_a_gap_is_named() -> None:
    made = [minute(1, [name(5)], until=False), minute(2, [name(7)])]
    assert reason(made, BEGAN + 60) == f"segments of its commit log are missing after {name(5)}"


def test_a_process_that_started_anew_numbers_anew() -> None:
    made = [minute(1, [name(5)], until=False), minute(2, [name(0, START + 1060), name(1, START + 1060)])]
    assert isinstance(chain(made, BEGAN + 60), Chain)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(0, 700))
def test_every_segment_comes_as_it_was_last(full: list[int], to: int) -> None:
    """As many segments become full in each minute as the list says; one more grows."""
    made, first = [], 0
    for number, count in enumerate(full):
        names = [name(first + each) for each in range(count + 1)]
        made += [minute(number, names[:-1], until=False), minute(number, names[-1:])]
        first += count
    made = [Upload(f"u{n}", each.time + n / 100, each.segments, each.size, each.until) for n, each in enumerate(made)]
    told = chain(made, BEGAN + to)
    if isinstance(told, Short):
        assert to > 60 * (len(full) - 1) - 15
        return
    ids = {each.id: each for each in made}
    fetched = [ids[each] for each in told.snapshots]
    assert fetched == sorted(fetched, key=lambda each: each.time)
    last = next(n for n, each in enumerate(made) if each.until is not None and each.until >= BEGAN + to)
    for wanted in {each for upload in made[: last + 1] for each in upload.segments}:
        newest = max((each for each in made[: last + 1] if wanted in each.segments), key=lambda each: each.time)
        assert newest in fetched


def test_tags_that_somebody_changed_do_no_harm() -> None:
    tags = {"kind": "log", "segments": f"{name(5)}+{name(6)}+", "size": "64", "until": "12", "lost": "7"}
    records = [
        Record("b", 2.0, {"kind": "log", "segments": "", "until": "soon", "size": "x"}),
        Record("a", 1.0, tags),
        Record("c", 3.0, {"backup": "b1"}),
    ]
    assert archive.uploads(records) == [
        Upload("a", 1.0, (name(5), name(6)), 64, 12.0, 7.0),
        Upload("b", 2.0, ()),
    ]
    assert archive.number_of("something else") == 0


def test_what_another_datacenter_stored_for_a_node_of_the_same_host_id_is_no_part_of_the_chain() -> None:
    """A restore into a new datacenter of the same names gives its nodes the host ids of the old one, which may live."""
    told = [("a", "old"), ("b", "new"), ("c", "")]
    records = [Record(each, 1.0, {"kind": "log", "segments": name(1), "ledger": ledger}) for each, ledger in told]
    records.append(Record("d", 1.0, {"kind": "log", "segments": name(1)}))
    assert [each.id for each in archive.uploads(records, "new")] == ["b", "c", "d"]
    assert [each.id for each in archive.uploads(records)] == ["a", "b", "c", "d"]


# --- the schema -------------------------------------------------------------------------------------------------------

SCHEMA = Schema("b1", "v1", (Statement("shop", "table", '"Odd"', 'CREATE TABLE shop."Odd" (id int PRIMARY KEY);'),))


def test_a_column_that_was_made_since_cannot_be_replayed() -> None:
    columns = [Column("shop", "Odd", "id", 10.0), Column("shop", "Odd", "late", 150.0)]
    reasons, warnings = archive.schema_changes(columns, SCHEMA, 100.0, 200.0)
    assert ["column late of table shop.Odd was made at" in each for each in reasons] == [True]
    assert warnings == []
    assert archive.schema_changes(columns, SCHEMA, 100.0, 149.0) == ([], [])


def test_a_column_that_the_backup_does_not_have_came_after_it_whatever_the_clocks_say() -> None:
    columns = [Column("shop", "Odd", "id", 10.0), Column("shop", "Odd", "late", 95.0)]
    for taken in (95.0, 100.0):
        (reason,) = archive.schema_changes(columns, SCHEMA, taken, 200.0)[0]
        assert "column late of table shop.Odd was made at" in reason
    # Nothing that is read is of so late a time: the migration that people go back from.
    assert archive.schema_changes([Column("shop", "Odd", "late", 250.0)], SCHEMA, 100.0, 200.0) == ([], [])
    # One that was dropped and made again is told by its time alone.
    again = [Column("shop", "Odd", "id", 150.0)]
    assert len(archive.schema_changes(again, SCHEMA, 100.0, 200.0)[0]) == 1
    assert archive.schema_changes(again, SCHEMA, 160.0, 200.0) == ([], [])


COMPACT = "/* Approximate: CREATE TABLE shop.old (id int PRIMARY KEY) WITH COMPACT STORAGE */"
VIEW = "CREATE MATERIALIZED VIEW shop.old AS SELECT a FROM shop.b PRIMARY KEY (a)"


@pytest.mark.parametrize(("kind", "text"), [("table", COMPACT), ("materialized_view", VIEW)])
def test_what_a_description_does_not_tell_is_no_new_column(kind: str, text: str) -> None:
    stored = Schema("b1", "v1", (Statement("shop", kind, "old", text),))
    columns = [Column("shop", "old", "column1", 10.0), Column("shop", "old", "value", 10.0)]
    assert archive.schema_changes(columns, stored, 100.0, 200.0) == ([], [])


def test_a_column_that_was_made_after_the_moment_stands_in_what_has_to_be_read() -> None:
    """Cassandra reads a row before it asks whether it is of the wanted time."""
    columns = [Column("shop", "Odd", "id", 10.0), Column("shop", "Odd", "late", 150.0)]
    (reason,) = archive.schema_changes(columns, SCHEMA, 100.0, 149.0, end=180.0)[0]
    assert f"goes on to {moment(180.0)}" in reason
    assert archive.schema_changes(columns, SCHEMA, 100.0, 120.0, end=149.0) == ([], [])


def test_a_column_that_was_made_and_dropped_since_cannot_be_replayed() -> None:
    gone = [Column("shop", "Odd", "note", 150.0, dropped=True), Column("shop", "Odd", "id", 150.0, dropped=True)]
    (reason,) = archive.schema_changes(gone, SCHEMA, 100.0, 140.0)[0]
    assert "column note of table shop.Odd was made and dropped" in reason
    assert archive.schema_changes(gone, SCHEMA, 160.0, 170.0) == ([], [])
    other = [Column("shop", "new", "note", 150.0, dropped=True)]
    assert archive.schema_changes(other, SCHEMA, 100.0, 140.0) == ([], [])


def test_a_type_that_got_more_fields_cannot_be_replayed() -> None:
    stored = Schema("b1", "v1", (Statement("shop", "type", "place", "CREATE TYPE shop.place (street text);"),))
    (reason,) = archive.schema_changes([], stored, 100.0, 140.0, 160.0, [Type("shop", "place", 2, 150.0)])[0]
    assert "type shop.place got more fields" in reason
    # By the backup's own word, whatever the clocks say.
    (reason,) = archive.schema_changes([], stored, 100.0, 140.0, 160.0, [Type("shop", "place", 2, 90.0)])[0]
    assert "type shop.place got more fields" in reason
    for same in (Type("shop", "place", 1, 150.0), Type("shop", "place", 2, 170.0), Type("shop", "other", 2, 150.0)):
        assert archive.schema_changes([], stored, 100.0, 140.0, 160.0, [same]) == ([], [])


def test_of_a_table_that_was_made_since_rows_do_not_come_back() -> None:
    columns = [Column("shop", "new", "id", 150.0), Column("shop", "new", "text", 150.0)]
    reasons, warnings = archive.schema_changes(columns, SCHEMA, 100.0, 200.0)
    assert reasons == []
    assert ["without rows, or not at all: shop.new" in each for each in warnings] == [True]


OTHER, ID = "11234567-89ab-cdef-0123-456789abcdef", "01234567-89ab-cdef-0123-456789abcdef"


def with_id(id: str, kind: str = "table", name: str = "staging") -> Schema:
    create = "CREATE TABLE shop.staging (id int PRIMARY KEY)"
    if kind != "table":
        create = "CREATE MATERIALIZED VIEW shop.staging AS SELECT id FROM shop.b PRIMARY KEY (id)"
    return Schema("b1", "v1", (Statement("shop", kind, name, f"{create} WITH ID = {id};"),))


@pytest.mark.parametrize("kind", ["table", "materialized_view"])
def test_a_table_that_was_made_again_under_its_name_rules_out_no_moment(kind: str) -> None:
    """Cassandra leaves out rows of an id that it does not know."""
    told = [
        Column("shop", "staging", "id", 150.0),
        Column("shop", "staging", "late", 150.0),
        Column("shop", "staging", "gone", 170.0, dropped=True),
    ]
    columns = archive.with_ids(told, with_id(OTHER, kind))
    reasons, warnings = archive.schema_changes(columns, with_id(ID, kind), 100.0, 200.0)
    assert reasons == []
    (warning,) = warnings
    assert warning.startswith("dropped and made again after the backup: shop.staging. ")
    # At that moment the one of the backup was there.
    assert archive.schema_changes(columns, with_id(ID, kind), 100.0, 149.0) == ([], [])
    # The same table, and one of which nobody told the id.
    for living in (with_id(ID, kind), None):
        reasons, warnings = archive.schema_changes(archive.with_ids(told, living), with_id(ID, kind), 100.0, 200.0)
        assert len(reasons) == 3
        assert warnings == []


def test_a_table_that_was_made_again_was_dropped() -> None:
    (warning,) = archive.dropped_tables(with_id(OTHER), with_id(ID))
    assert warning.startswith("dropped since the backup: shop.staging. Nobody knows")
    assert archive.dropped_tables(with_id(ID), with_id(ID)) == []


def test_of_a_table_that_was_dropped_since_nobody_knows_the_columns() -> None:
    assert archive.dropped_tables(SCHEMA, SCHEMA) == []
    (warning,) = archive.dropped_tables(Schema("", "", ()), SCHEMA)
    assert warning.startswith("dropped since the backup: shop.Odd. Nobody knows")


def test_keyspaces_whose_writes_are_in_no_commit_log_are_told() -> None:
    def schema(*names: str, durable: str) -> Schema:
        text = "CREATE KEYSPACE {} WITH replication = {{}} AND durable_writes = {};"
        return Schema(
            "b1", "v1", tuple(Statement(each, "keyspace", each, text.format(each, durable)) for each in names)
        )

    assert archive.undurable(schema("shop", durable="true"), None) == []
    (warning,) = archive.undurable(schema("shop", '"Till"', durable="false"), None)
    assert warning.startswith("keyspaces with durable_writes = false: Till, shop. ")
    # One that was changed since: what was written from then on is in none.
    (warning,) = archive.undurable(schema("shop", durable="true"), schema("shop", "new", durable="false"))
    assert warning.startswith("keyspaces with durable_writes = false: shop. ")


# --- the purge --------------------------------------------------------------------------------------------------------


DAY = 86400.0


def log(number: int, time: float, **tags: str) -> Record:
    return Record(f"l{number}", time, {"kind": "log", "segments": name(number), **tags})


def left(records: Sequence[Record], since: float | None) -> list[str]:
    gone = archive.superfluous(records, since)
    return [each.id for each in records if each not in gone]


def test_commit_logs_reach_back_from_the_newest_backup_that_is_old_enough() -> None:
    """Six months of monthly backups do not keep six months of commit logs."""
    months, nights = [-160 * DAY, -130 * DAY, -9 * DAY], [-3 * DAY, -2 * DAY, -1 * DAY]
    assert archive.needed_since([*months, *nights], -7 * DAY) == -9 * DAY
    assert archive.needed_since([*months, *nights], -3 * DAY) == -3 * DAY
    assert archive.needed_since(nights, -7 * DAY) == -3 * DAY
    assert archive.needed_since([], -7 * DAY) is None


def test_commit_logs_go_with_the_last_backup_that_needs_them() -> None:
    records = [log(number, 10_000.0 + 600 * number, until="7") for number in range(10)]
    records.append(Record("other", 1.0, {"backup": "b1"}))
    assert left(records, None) == left(records, 13_599.0) == [each.id for each in records]
    assert left(records, 14_199.0)[0] == "l0"
    assert left(records, 14_200.0)[0] == "l1"
    assert left(records, 20_000.0)[0] == "l9"
    assert archive.superfluous([*reversed(records)], 14_800.0) == records[:2]


def test_of_what_came_before_the_backup_the_marks_and_the_first_count() -> None:
    records = [log(number, 60.0 * number, until="7", lost="1" if number == 40 else "") for number in range(200)]
    made = archive.uploads(records)
    kept = archive.relevant(made, 60.0 * 199)
    assert [each.id for each in kept[:2]] == ["l0", "l40"]
    assert made[-1] in kept
    assert len(kept) < len(made) / 2


def test_one_that_tells_what_is_in_stays_before_the_backup() -> None:
    """A quiet node stores little; and full segments alone do not say that nothing is missing, nor does a mark."""
    records = [log(0, 1.0, until="1"), log(1, 10.0, until="10"), log(2, 20.0), log(3, 30.0, until="30", lost="29")]
    assert left(records, 1e6) == ["l1", "l2", "l3"]
    assert left(records[2:], 1e6) == ["l2", "l3"]


def test_what_a_purge_has_cut_is_refused() -> None:
    """Of an older backup the first writes are gone, and what is left alone looks whole."""
    cut = [minute(number, [name(number), name(number + 1)]) for number in range(500, 510)]
    assert isinstance(archive.chain(cut, BEGAN + 502 * 60, FIRST + 502 * 60, BEGAN + 503 * 60), Chain)
    told = archive.chain(cut, BEGAN, FIRST, BEGAN + 503 * 60)
    assert isinstance(told, Short)
    assert "begins at 2027-01-15T16:36:40Z only, after the backup: purge_backups keeps" in told.why
    assert "cassandra_backup.point_in_time_days" in told.why


@given(st.integers(0, 200), st.lists(st.integers(0, 200), min_size=1, max_size=6), st.integers(0, 200))
def test_what_a_purge_leaves_reaches_every_moment_that_was_wanted(ends: int, began: list[int], reach: int) -> None:
    """Backups and moments by the minute; one that is not reached is refused, never brought back in part."""
    records = [
        Record(
            f"u{number}",
            BEGAN + 60 * number,
            {
                "kind": "log",
                "segments": f"{name(number + 100)}+{name(number + 101)}",
                "until": str(int(BEGAN) + 60 * number - 15),
            },
        )
        for number in range(-100, ends + 1)
    ]
    backups = [BEGAN + 60 * each for each in began]
    since = archive.needed_since(backups, BEGAN + 60 * reach)
    gone = archive.superfluous(records, since)
    made = archive.uploads(each for each in records if each not in gone)
    for backup in backups:
        args = (backup, backup + 2, backup + 30)
        before, after = archive.chain(archive.uploads(records), *args), archive.chain(made, *args)
        assert archive.chain(archive.relevant(made, backup), *args) == after
        if since is not None and backup >= since:
            assert after == before
        else:
            assert isinstance(after, Short) or after == before


def test_deletes_of_single_rows_after_the_moment_are_warned_of() -> None:
    """Cassandra replays them whatever their timestamp."""

    def made(kind: str, name: str, text: str) -> Statement:
        return Statement("shop", kind, name, text)

    plain = [
        made("table", "one", "CREATE TABLE shop.one (a int PRIMARY KEY, b int);"),
        made("table", "two", "CREATE TABLE shop.two (a int, b int, PRIMARY KEY ((a, b)));"),
        made("type", "point", "CREATE TYPE shop.point (x int, y int);"),
        made("index", "by_b", "CREATE INDEX by_b ON shop.one (b);"),
    ]
    assert archive.late_deletes(Schema("b1", "v1", tuple(plain)), BEGAN, BEGAN + 75) == []
    order = "WITH CLUSTERING ORDER BY (b DESC)"
    tables = [
        made("table", f'"T{number}"', f'CREATE TABLE shop."T{number}" (a int, b int, PRIMARY KEY (a, b)) {order};')
        for number in range(6)
    ]
    view = made("materialized_view", "by_b", "CREATE MATERIALIZED VIEW shop.by_b AS SELECT a FROM shop.one;")
    (told,) = archive.late_deletes(Schema("b1", "v1", (*plain, tables[0], view)), BEGAN, BEGAN + 75)
    assert told.startswith(f"a single row that was deleted after {moment(BEGAN)} (DELETE with its whole primary key")
    assert f"which go on to {moment(BEGAN + 75)}, 75 s after the moment: " in told
    assert "That concerns shop.T0, shop.by_b. " in told
    assert "choose a moment that is more than 75 s before the deletes" in told
    (told,) = archive.late_deletes(Schema("b1", "v1", tuple(tables)), BEGAN)
    assert "which go on to a minute or more after the moment: " in told
    assert "That concerns shop.T0, shop.T1, shop.T2, shop.T3, shop.T4 and 1 more. " in told
