# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.cassops.kubernetes.plugins.module_utils import (
    restore_choice,
    restore_planning,
    restore_ring,
    restore_schema,
    restoring,
    ring,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.backups import (
    File,
    Manifest,
    NodeEntry,
    NodeManifest,
    Schema,
    Statement,
    Table,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import LedgerError
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import described
from ansible_collections.cassops.kubernetes.plugins.module_utils.restoring import (
    Plan,
    Refused,
    Scene,
    Source,
    Target,
    Wish,
)

ID = "1b255f4d-ef25-40a6-0000-00000000000{}"
MIB = 1024 * 1024
REPLICATION = "{'class': 'NetworkTopologyStrategy', 'dc1': '3'}"
KEYSPACE = f"CREATE KEYSPACE shop WITH replication = {REPLICATION} AND durable_writes = true;"
ORDERS = f"CREATE TABLE shop.orders (id int PRIMARY KEY, note text, place point) WITH ID = {ID.format(1)};"
STATEMENTS = (
    Statement("shop", "keyspace", "shop", KEYSPACE),
    Statement("shop", "type", "point", "CREATE TYPE shop.point (x int, y int);"),
    Statement("shop", "table", "orders", ORDERS),
    Statement("shop", "index", "by_note", "CREATE INDEX by_note ON shop.orders (note);"),
    Statement("shop", "table", '"Odd"', f'CREATE TABLE shop."Odd" (id int PRIMARY KEY) WITH ID = {ID.format(2)};'),
    Statement(
        "shop",
        "materialized_view",
        "by_place",
        "CREATE MATERIALIZED VIEW shop.by_place AS SELECT * FROM shop.orders WHERE place IS NOT NULL"
        f" PRIMARY KEY (place, id) WITH ID = {ID.format(3)};",
    ),
)
SCHEMA = Schema("b1", "v1", STATEMENTS)
EMPTY = Schema("", "", ())
TABLES = tuple(
    Table(
        keyspace,
        name,
        ID.format(number),
        f"{name}-{number}",
        (File("nb-1-big-Data.db", size), File("nb-1-big-Rows.db", 0)),
    )
    for number, (keyspace, name, size) in enumerate(
        [
            ("shop", "orders", 40 * MIB),
            ("shop", "Odd", 2 * MIB),
            ("shop", "by_place", 8 * MIB),
            ("system", "local", 1000),
            ("system_schema", "tables", 1000),
            ("system_auth", "roles", 1000),
        ],
        1,
    )
)
RACKS = {"r1": 1, "r2": 1, "r3": 1}
WISH = Wish("b1", "demo", "dc1", prefix="restore_")


def host_id(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def node(number: int, rack: str, ordinal: int, tokens: Sequence[int] | None = None, **other: Any) -> NodeManifest:
    values: dict[str, Any] = {
        "backup": "b1",
        "cluster": "demo",
        "datacenter": "dc1",
        "rack": rack,
        "pod": f"demo-dc1-{rack}-{ordinal}",
        "host_id": host_id(number),
        "address": f"198.19.0.{number}",
        "tokens": tuple(tokens if tokens is not None else (number, 100 + number)),
        "version": "5.0.9",
        "schema": "v1",
        "taken": "2026-11-25T03:14:00Z",
        "repository": f"demo/dc1/{host_id(number)}",
        "snapshot": f"snapshot{number}",
        "added": 0,
        "tables": TABLES,
    }
    return NodeManifest(**{**values, **other})


def backup(racks: Mapping[str, int] | None = None, schema: Schema = SCHEMA, **manifest: Any) -> Source:
    names = [(rack, ordinal) for rack, count in (racks or RACKS).items() for ordinal in range(count)]
    nodes = tuple(node(number, rack, ordinal) for number, (rack, ordinal) in enumerate(names, 1))
    entries = tuple(
        NodeEntry(one.pod, one.host_id, one.rack, f"document-{one.pod}", "digest", one.size) for one in nodes
    )
    values: dict[str, Any] = {"state": "complete", "schema": "s", "roles": True, "versions": ("5.0.9",)}
    values |= manifest
    return Source(Manifest("b1", "demo", "dc1", began="2026-11-25T03:14:00Z", nodes=entries, **values), nodes, schema)


def scene(source: Source, schema: Schema | None = EMPTY, **other: Any) -> Scene:
    """The datacenter that was backed up, as it was."""
    nodes = tuple(
        Target(one.pod, one.rack, int(one.pod[-1]), one.host_id, one.tokens, free=10_000 * MIB) for one in source.nodes
    )
    values: dict[str, Any] = {"version": "5.0.9", "datacenters": ("dc1",)}
    return Scene("demo", "dc1", nodes, schema=schema, **{**values, **other})


def planned(source: Source, there: Scene, wish: Wish = WISH) -> Plan:
    return restore_planning.plan(wish, source, there, "20261125T101500Z", 5.0)


def refused(source: Source, there: Scene, wish: Wish = WISH) -> list[str]:
    with pytest.raises(Refused) as caught:
        planned(source, there, wish)
    return caught.value.errors


# Tables


def test_what_is_gone_is_made_again_and_imported() -> None:
    plan = planned(backup(), scene(backup()))
    assert plan.way == "import"
    assert plan.tables == {"shop.Odd": "create", "shop.by_place": "create", "shop.orders": "create"}
    assert [(one.pod, one.node, one.size, one.files) for one in plan.parcels] == [
        (one.pod, one.pod, 50 * MIB, 6) for one in backup().nodes
    ]


def test_one_table_comes_with_its_views_alone() -> None:
    wish = replace(WISH, tables=("shop.orders",))
    plan = planned(backup(), scene(backup()), wish)
    assert list(plan.tables) == ["shop.by_place", "shop.orders"]
    made = restore_schema.missing(SCHEMA, EMPTY, plan.names)
    assert [one.kind for one in made] == ["keyspace", "type", "table", "index", "materialized_view"]
    there = Schema("", "", STATEMENTS[:2])
    assert [one.kind for one in restore_schema.missing(SCHEMA, there, plan.names)] == [
        "table",
        "index",
        "materialized_view",
    ]


def test_a_trigger_that_is_gone_is_made_again_with_its_table() -> None:
    """Names of triggers are the table's own: one of the same name elsewhere is another one."""
    rows = [
        {"keyspace_name": "shop", "table_name": table, "trigger_name": "audit", "options": {"class": "a.B"}}
        for table in ("orders", "Odd")
    ]
    orders, odd = (described.trigger(row) for row in rows)
    stored = replace(SCHEMA, statements=(*SCHEMA.statements, orders, odd))
    assert restore_schema.missing(
        stored, replace(SCHEMA, statements=(*SCHEMA.statements, odd)), [("shop", "orders")]
    ) == [orders]
    assert restore_schema.missing(stored, stored, [("shop", "orders"), ("shop", "Odd")]) == []
    assert restore_schema.missing(stored, EMPTY, [("shop", "orders")])[-1] == orders


def test_what_is_asked_for_must_be_there() -> None:
    wish = replace(WISH, tables=("shop.order", "sop", "system_auth", "shop.Odd"))
    reasons = refused(backup(), scene(backup()), wish)
    assert [reason.split(";")[0] for reason in reasons] == [
        "the backup has no table shop.order",
        "the backup has no keyspace sop",
        "the backup has no keyspace system_auth",
    ]


@pytest.mark.parametrize(
    ("limits", "names", "words"),
    [
        ({"tables": ("shop.orders",)}, ["shop.orders"], "it is of shop.orders only"),
        ({"tables": ("shop",)}, ["shop.Odd", "shop.by_place", "shop.orders"], "it is of shop only"),
        ({"excluded": ("scratch",)}, ["shop.Odd", "shop.by_place", "shop.orders"], "it is without scratch"),
    ],
)
def test_what_was_left_out_of_a_backup_is_left_alone(limits: dict[str, Any], names: list[str], words: str) -> None:
    """The schema in it is of everything; a table that it describes and does not have would only be emptied."""
    scratch = Statement("scratch", "table", "notes", f"CREATE TABLE scratch.notes (id int) WITH ID = {ID.format(4)};")
    schema = Schema("b1", "v1", (*STATEMENTS, scratch))
    whole = backup(schema=schema, **limits)
    nodes = tuple(
        replace(one, tables=tuple(each for each in TABLES if f"{each.keyspace}.{each.name}" in names))
        for one in whole.nodes
    )
    source = replace(whole, nodes=nodes)
    plan = planned(source, scene(source, Schema("", "", (*STATEMENTS[:5], scratch))), replace(WISH, rows="replace"))
    assert list(plan.tables) == names
    reasons = refused(source, scene(source), replace(WISH, tables=("scratch",), rows="replace"))
    assert reasons == [f"the backup has no keyspace scratch; {words}"]


@pytest.mark.parametrize(
    ("tables", "asked", "so"),
    [
        ((), (), True),
        ((), ("shop",), True),
        (("shop",), (), False),
        (("shop",), ("shop.orders", "shop"), True),
        (("shop.orders",), ("shop.orders",), True),
        (("shop.orders",), ("shop.orders", "shop.items"), False),
        (("shop.orders",), ("shop",), False),
    ],
)
def test_who_has_what_is_asked_for(tables: tuple[str, ...], asked: tuple[str, ...], so: bool) -> None:
    assert restore_choice.is_of(tables, asked) is so


def test_a_view_that_is_not_in_the_backup_would_lack_its_rows() -> None:
    source = backup(tables=("shop.orders",))
    source = replace(source, nodes=tuple(replace(one, tables=TABLES[:1]) for one in source.nodes))
    wish = replace(WISH, rows="replace")
    (reason,) = refused(source, scene(source, SCHEMA), wish)
    assert "does not have view shop.by_place of table shop.orders" in reason
    assert "drop it, and create it again after the restore" in reason
    # Loading writes into it.
    other = replace(scene(source, SCHEMA), nodes=scene(backup({"r1": 2})).nodes)
    assert planned(source, other, replace(wish, load=True)).tables == {"shop.orders": "replace"}


def test_merged_rows_of_an_old_backup_may_bring_deleted_ones_back() -> None:
    text = ORDERS.replace(";", " AND gc_grace_seconds = 86400;")
    living = Schema("", "", (replace(STATEMENTS[2], cql=text),))
    taken = datetime(2026, 11, 25, 3, 14, tzinfo=timezone.utc).timestamp()

    def told(rows: str, after: float) -> list[str]:
        plan = planned(backup(), scene(backup(), living), replace(WISH, rows=rows))
        return restore_schema.returning(plan, backup(), living, taken + after)

    assert (told("merge", 86000), told("replace", 90000)) == ([], [])
    (warning,) = told("merge", 90000)
    assert warning.startswith("rows of shop.orders that were deleted after the backup may come back")


def test_tables_that_are_there_need_a_word_about_their_rows() -> None:
    there = scene(backup(), SCHEMA)
    (reason,) = refused(backup(), there)
    assert "-e restore_rows=replace" in reason
    assert "-e restore_rows=merge" in reason
    plan = planned(backup(), there, replace(WISH, rows="replace"))
    assert plan.tables == {"shop.Odd": "replace", "shop.by_place": "merge", "shop.orders": "replace"}
    plan = planned(backup(), there, replace(WISH, rows="merge"))
    assert set(plan.tables.values()) == {"merge"}


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ("(id int PRIMARY KEY, note text, place point, more text)", ""),
        ("(id int PRIMARY KEY, place point)", "note was text and is not there"),
        ("(id int PRIMARY KEY, note blob, place point)", "note was text and is blob"),
        ("(id int, note text, place point, PRIMARY KEY (id, note))", "PRIMARY KEY was (id) and is (id, note)"),
        ("(id int PRIMARY KEY, note text static, place point)", "note was text and is text static"),
    ],
)
def test_a_table_may_have_more_columns_now_and_no_others(now: str, words: str) -> None:
    """Its id may be another: what counts is how the files are read."""
    changed = Statement("shop", "table", "orders", f"CREATE TABLE shop.orders {now} WITH ID = {ID.format(9)};")
    there = scene(backup(), Schema("", "", (*STATEMENTS[:2], changed, *STATEMENTS[3:])))
    wish = replace(WISH, rows="merge")
    if not words:
        assert planned(backup(), there, wish).tables["shop.orders"] == "merge"
        return
    (reason,) = refused(backup(), there, wish)
    assert words in reason


@pytest.mark.parametrize(
    ("alters", "words"),
    [
        ("DROP note USING TIMESTAMP 1700000000000000;", "note was text and is not there"),
        (
            "DROP note USING TIMESTAMP 1700000000000000;\nALTER TABLE shop.orders ADD note text;",
            "note was dropped at 2023-11-14T22:13:20Z and made again, which hides what it held",
        ),
    ],
)
def test_a_column_that_was_dropped_since_would_stay_hidden(alters: str, words: str) -> None:
    dropped = replace(STATEMENTS[2], cql=f"{ORDERS}\nALTER TABLE shop.orders {alters}")
    there = Schema("", "", (*STATEMENTS[:2], dropped, *STATEMENTS[3:]))
    (reason,) = restore_schema.differences(SCHEMA, there, [("shop", "orders")])
    assert words in reason
    # What was dropped before the backup was taken is as it was.
    assert restore_schema.differences(there, there, [("shop", "orders")]) == []


@pytest.mark.parametrize(
    ("fields", "same"), [("(x int, y int, z int)", True), ("(x int)", False), ("(x int, y text)", False)]
)
def test_a_type_may_have_more_fields_now(fields: str, same: bool) -> None:
    changed = Statement("shop", "type", "point", f"CREATE TYPE shop.point {fields};")
    there = Schema("", "", (STATEMENTS[0], changed))
    assert (restore_schema.differences(SCHEMA, there, [("shop", "orders")]) == []) is same
    assert restore_schema.differences(SCHEMA, there, [("other", "orders")]) == []


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ("ON shop.orders (note)\n    USING 'sai'", ""),
        ("ON shop.orders (id) USING 'sai'", "but CREATE CUSTOM INDEX by_note ON shop.orders (id) USING"),
        ("ON shop.orders (note) USING 'sai' WITH OPTIONS = {'case_sensitive': 'false'}", "case_sensitive"),
        ("ON shop.items (note) USING 'sai'", "but CREATE CUSTOM INDEX by_note ON shop.items"),
    ],
)
def test_the_files_of_an_index_are_not_taken_for_another_one_of_its_name(now: str, words: str) -> None:
    """Cassandra would look at the name and at the checksums only."""
    then, there = (
        Schema("", "", (*STATEMENTS[:3], Statement("shop", "index", "by_note", f"CREATE CUSTOM INDEX by_note {text};")))
        for text in ("ON shop.orders (note) USING 'sai'", now)
    )
    reasons = restore_schema.differences(then, there, [("shop", "orders")])
    assert len(reasons) == bool(words)
    assert words in "".join(reasons)
    # Tables that are not asked for are no matter; nor is an index whose files do not come back.
    assert restore_schema.differences(then, there, [("shop", "items")]) == []
    plain = (
        Schema("", "", tuple(replace(each, cql=each.cql.replace(" USING 'sai'", "")) for each in schema.statements))
        for schema in (then, there)
    )
    assert len(restore_schema.differences(*plain, [("shop", "orders")])) == ("shop.items" in now)


def test_tables_that_count() -> None:
    counts = Statement("shop", "table", '"Hits"', 'CREATE TABLE shop."Hits" (page text PRIMARY KEY, hits counter);')
    assert restore_schema.counters(Schema("", "", (*STATEMENTS, counts))) == {("shop", "Hits")}


def test_rows_of_another_order_are_not_taken() -> None:
    create = (
        "CREATE TABLE shop.orders (id int, number int, PRIMARY KEY (id, number)) WITH CLUSTERING ORDER BY (number {});"
    )
    then, now = (
        Schema("", "", (*STATEMENTS[:2], replace(STATEMENTS[2], cql=create.format(order)), *STATEMENTS[3:]))
        for order in ("ASC", "DESC")
    )
    (reason,) = restore_schema.differences(then, now, [("shop", "orders")])
    assert "is (id, number) with number downwards" in reason
    assert restore_schema.differences(now, now, [("shop", "orders")]) == []


@pytest.mark.parametrize(
    ("replication", "told"),
    [
        ("{'class': 'NetworkTopologyStrategy', 'dc2': '3'}", True),
        ("{'class': 'NetworkTopologyStrategy', 'dc1': '0', 'dc2': '3'}", True),
        ("{'class': 'NetworkTopologyStrategy', 'dc1': '1', 'dc2': '3'}", False),
        ("{'class': 'SimpleStrategy', 'replication_factor': '3'}", False),
    ],
)
def test_nothing_is_imported_where_a_keyspace_has_no_replicas(replication: str, told: bool) -> None:
    moved = replace(
        STATEMENTS[0], cql=f"CREATE KEYSPACE shop WITH replication = {replication} AND durable_writes = true;"
    )
    there, wish = scene(backup(), Schema("", "", (moved, *STATEMENTS[1:]))), replace(WISH, rows="merge")
    if not told:
        assert planned(backup(), there, wish).way == "import"
        return
    (reason,) = refused(backup(), there, wish)
    assert "keyspace shop has no replicas in dc1 now" in reason


def test_roles_are_added_where_they_are_asked_for() -> None:
    wish = replace(WISH, auth="take")
    assert planned(backup(), scene(backup()), wish).tables["system_auth.roles"] == "merge"
    assert "no roles" in refused(backup(roles=False), scene(backup()), wish)[0]


def test_a_keyspace_is_made_for_the_datacenter_that_takes_it() -> None:
    text = restore_schema.made_for(STATEMENTS[0], "dc1", "dc9", {"dc9"})
    assert "{'class': 'NetworkTopologyStrategy', 'dc9': '3'}" in text
    both = replace(STATEMENTS[0], cql=KEYSPACE.replace("'dc1': '3'", "'dc1': '3', 'dc2': '2', 'dc3': '1'"))
    text = restore_schema.made_for(both, "dc1", "dc1", {"dc1", "dc3"})
    assert "'dc3': '1', 'dc1': '3'" in text
    assert "dc2" not in text


# Whole, or not at all


def test_every_reason_is_told_at_once() -> None:
    source = backup(state="partial")
    source = replace(source, nodes=tuple(replace(one, version="5.0.9") for one in source.nodes))
    there = scene(source, SCHEMA, version="4.1.10")
    nodes = (replace(there.nodes[0], free=10 * MIB), replace(there.nodes[1], fault="it is down"), *there.nodes[2:])
    reasons = refused(source, replace(there, nodes=nodes), replace(WISH, tables=("shop", "nothing")))
    text = "\n".join(reasons)
    assert "backup b1 is partial" in text
    assert "4.1.10 cannot read its files; upgrade first" in text
    assert "no keyspace nothing" in text
    assert "demo-dc1-r2-0 cannot take part: it is down" in text
    assert "restore_rows" in text
    assert "demo-dc1-r1-0 has 10.0 MiB free and needs 60.0 MiB (1.2 times 50.0 MiB)" in text
    assert len(reasons) == 6


@pytest.mark.parametrize("state", ["running", "partial", "failed"])
def test_what_is_not_complete_is_no_backup(state: str) -> None:
    """B6."""
    assert f"backup b1 is {state}" in refused(backup(state=state), scene(backup()))[0]


@pytest.mark.parametrize(
    ("then", "now", "ok"),
    [
        ("4.0.20", "4.0.21", True),
        ("4.1.9", "5.0.9", True),
        ("4.0.9", "5.0.1", True),
        ("3.11.9", "4.0.1", True),
        ("3.11.9", "5.0.1", False),
        ("5.0.1", "4.1.9", False),
        ("4.1.10", "4.1.9", True),
        ("5.0-beta1", "5.0.2", True),
    ],
)
def test_versions(then: str, now: str, ok: bool) -> None:
    source = backup()
    source = replace(source, nodes=tuple(replace(one, version=then) for one in source.nodes))
    assert (restore_planning.older(source, scene(source, version=now), WISH) == []) is ok


# Another ring


def test_another_ring_is_named_and_loaded_where_that_is_asked_for() -> None:
    source = backup({"r1": 2, "r2": 2})
    there = scene(backup({"r1": 3}))
    (reason,) = refused(source, there)
    assert "the backup is of 4 nodes, and there are 3" in reason
    assert "-e restore_load=true" in reason
    plan = planned(source, there, replace(WISH, load=True))
    assert plan.way == "load"
    assert sorted(one.node for one in plan.parcels) == sorted(one.pod for one in source.nodes)
    assert {one.pod for one in plan.parcels} == {one.pod for one in there.nodes}


def test_loading_needs_room_for_all_replicas() -> None:
    source, there = backup({"r1": 6}), scene(backup({"r1": 3}))
    plan = planned(source, there, replace(WISH, load=True))
    # Two parcels each, and three replicas of six times fifty on three nodes.
    assert restore_planning.needed(plan, source, there) == {
        one.pod: (2 * 50 + 3 * 6 * 50 // 3) * MIB for one in there.nodes
    }


def test_the_same_tokens_in_other_racks_are_another_ring() -> None:
    source = backup({"r1": 2, "r2": 2})
    targets = [
        Target(f"p-{n}", rack, n, tokens=one.tokens)
        for n, (one, rack) in enumerate(zip(source.nodes, "abab", strict=True))
    ]
    assert "shared a rack" in str(restore_ring.same_ring(source.nodes, targets))
    targets = [replace(each, rack="a") for each in targets]
    assert "shared a rack" in str(restore_ring.same_ring(source.nodes, targets))
    targets = [replace(each, rack=one.rack + "x") for each, one in zip(targets, source.nodes, strict=True)]
    assert restore_ring.same_ring(source.nodes, targets) == {
        one.pod: each.pod for one, each in zip(source.nodes, targets, strict=True)
    }


SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(SIZES, st.integers(1, 4), st.integers(1, 5), st.randoms())
def test_on_the_same_ring_each_row_has_the_same_replicas(
    sizes: list[int], num_tokens: int, factor: int, chance: random.Random
) -> None:
    """What makes an import right: the pod that takes a node's files is a replica of all that is in them."""
    racks = [(f"r{rack}", [f"demo-dc1-r{rack}-{number}" for number in range(size)]) for rack, size in enumerate(sizes)]
    tokens = ring.plan_tokens(racks, num_tokens, "seed")
    source = [
        node(number, rack, 0, tokens[pod], pod=pod)
        for number, (rack, pod) in enumerate((rack, pod) for rack, pods in racks for pod in pods)
    ]
    names = [f"new-{number}" for number in range(len(source))]
    chance.shuffle(names)
    targets = [Target(name, f"z{one.rack}", 0, tokens=one.tokens) for name, one in zip(names, source, strict=True)]
    chance.shuffle(targets)
    pairs = restore_ring.same_ring(source, targets)
    assert isinstance(pairs, dict)

    def held(tokens: Mapping[str, Sequence[int]], racks: Mapping[str, str]) -> dict[int, tuple[str, ...]]:
        find = ring.replica_finder(
            tokens, racks, dict.fromkeys(racks, "dc1"), {"class": "NetworkTopologyStrategy", "dc1": str(factor)}
        )
        return {token: tuple(find(token)) for each in tokens.values() for token in each}

    then = held({one.pod: one.tokens for one in source}, {one.pod: one.rack for one in source})
    now = held({one.pod: one.tokens for one in targets}, {one.pod: one.rack for one in targets})
    assert {token: tuple(pairs[pod] for pod in pods) for token, pods in then.items()} == now


def test_twelve_nodes_in_a_rack_are_paired_by_number() -> None:
    """B7: as text, r1-10 stands before r1-2."""
    nodes = [(f"demo-dc1-r1-{number}", "r1") for number in range(12)]
    pairs = restore_ring.paired(nodes, {"a": [f"x-y-a-{number}" for number in reversed(range(12))]})
    assert pairs == {f"demo-dc1-r1-{number}": f"x-y-a-{number}" for number in range(12)}


@settings(deadline=None)
@given(SIZES, st.randoms())
def test_racks_of_another_name_are_paired_by_their_size(sizes: list[int], chance: random.Random) -> None:
    """B10: what another layout cannot take is refused, and what it can is found."""
    nodes = [(f"d-r{rack}-{number}", f"r{rack}") for rack, size in enumerate(sizes) for number in range(size)]
    shuffled = list(enumerate(sizes))
    chance.shuffle(shuffled)
    racks = {f"z{rack}": [f"n-z{rack}-{number}" for number in range(size)] for rack, size in shuffled}
    pairs = restore_ring.paired(nodes, racks)
    assert isinstance(pairs, dict)
    assert sorted(pairs) == sorted(pod for pod, _rack in nodes)
    assert sorted(pairs.values()) == sorted(pod for pods in racks.values() for pod in pods)
    # Nodes that shared a rack still do, under the same numbers.
    together = {(old.rpartition("-")[0], new.rpartition("-")[0]) for old, new in pairs.items()}
    assert len(together) == len(sizes)
    assert all(old.rpartition("-")[2] == new.rpartition("-")[2] for old, new in pairs.items())


def test_racks_that_do_not_fit_are_told() -> None:
    told = restore_ring.paired(
        [("a-r1-0", "r1"), ("a-r1-1", "r1"), ("a-r2-0", "r2")], {"r1": ["b-r1-0", "b-r1-1", "b-r1-2"]}
    )
    assert told == "the backup's racks have 2, 1 nodes, and these have 3"
    assert restore_ring.tokens_for(backup({"r1": 2}).nodes, {"z": ["n-z-1", "n-z-0"]}) == {
        "n-z-0": (1, 101),
        "n-z-1": (2, 102),
    }


# Between the plan and the change


def test_a_plan_fits_no_longer_where_nodes_came_left_or_moved() -> None:
    source = backup()
    there = scene(source).nodes
    more = (*there, replace(there[0], pod="demo-dc1-r1-1", tokens=(5,)))
    replaced = (replace(there[0], host_id="another"), *there[1:])
    imported = planned(source, scene(source))
    assert restore_ring.moved(imported, source.nodes, replaced) == []
    assert restore_ring.moved(imported, source.nodes, more) == ["the backup is of 3 nodes, and there are 4"]
    turned = [replace(one, tokens=other.tokens) for one, other in zip(there, (*there[1:], there[0]), strict=True)]
    assert "demo-dc1-r3-0 has the tokens that demo-dc1-r1-0 had" in restore_ring.moved(imported, source.nodes, turned)
    whole = planned(source, scene(source), replace(WISH, mode="datacenter"))
    assert restore_ring.moved(whole, source.nodes, [replace(one, tokens=()) for one in replaced]) == []
    assert restore_ring.moved(whole, source.nodes, more) == ["demo-dc1-r1-1 came since"]
    assert restore_ring.moved(whole, source.nodes, there[1:]) == ["demo-dc1-r1-0 is not here any more"]
    loaded = planned(source, scene(backup({"r1": 2})), replace(WISH, load=True))
    assert restore_ring.moved(loaded, source.nodes, scene(backup({"r1": 3})).nodes) == []


def test_what_came_back_is_repaired() -> None:
    tables = planned(backup(), scene(backup()), replace(WISH, auth="take"))
    assert restore_planning.to_repair(tables, SCHEMA) == {
        "shop": ["Odd", "by_place", "orders"],
        "system_auth": ["roles"],
    }
    whole = replace(WISH, mode="datacenter")
    assert restore_planning.to_repair(planned(backup(), scene(backup()), whole), SCHEMA) == {"shop": []}
    whole = replace(whole, auth="take")
    assert restore_planning.to_repair(planned(backup(), scene(backup()), whole), SCHEMA) == {
        "shop": [],
        "system_auth": [],
    }


# The whole datacenter

WHOLE = replace(WISH, mode="datacenter")


def test_a_datacenter_goes_back_node_for_node() -> None:
    source = backup()
    plan = planned(source, scene(source), WHOLE)
    assert (plan.way, plan.kept, plan.tables) == ("swap", ("system_auth",), {})
    assert [(one.pod, one.host_id, one.size) for one in plan.parcels] == [
        (one.pod, one.host_id, one.size) for one in source.nodes
    ]
    assert planned(source, scene(source), replace(WHOLE, auth="take")).kept == ()


def test_a_datacenter_that_does_not_run_goes_back_too() -> None:
    source = backup()
    there = scene(source, None)
    nodes = tuple(replace(one, tokens=(), data=False) for one in there.nodes)
    (reason,) = refused(source, replace(there, nodes=nodes), WHOLE)
    assert "-e restore_auth=take" in reason
    assert planned(source, replace(there, nodes=nodes), replace(WHOLE, auth="take")).way == "swap"
    assert "no node could be asked" in refused(source, replace(there, nodes=nodes), WISH)[0]


@pytest.mark.parametrize(
    ("manifest", "other", "words"),
    [
        ({"tables": ("shop",)}, {}, "the backup is of shop only: a whole datacenter cannot be made of it"),
        ({"excluded": ("logs",)}, {}, "the backup is without logs"),
        ({}, {"version": "5.1.0"}, "a whole datacenter goes back to the same version only"),
        ({}, {"datacenters": ("dc1", "dc2")}, "other datacenters (dc2)"),
    ],
)
def test_a_whole_datacenter_is_refused(manifest: dict[str, Any], other: dict[str, Any], words: str) -> None:
    source = backup(**manifest)
    (reason,) = refused(source, scene(source, **other), WHOLE)
    assert words in reason


def test_nodes_must_be_the_same() -> None:
    reasons = refused(backup({"r1": 2, "r2": 1}), scene(backup({"r1": 1, "r3": 1})), WHOLE)
    assert reasons == [
        "the backup has nothing for demo-dc1-r3-0: scale the datacenter in first",
        "the backup has demo-dc1-r1-1, demo-dc1-r2-0, which is not here: scale the datacenter out first",
    ]
    elsewhere = replace(scene(backup()), cluster="other")
    assert "only its tables can be restored here" in refused(backup(), elsewhere, WHOLE)[0]


def test_a_backup_without_a_nodes_identity_is_refused() -> None:
    source = backup()
    source = replace(source, nodes=(replace(source.nodes[0], tables=TABLES[:3]), *source.nodes[1:]))
    (reason,) = refused(source, scene(source), WHOLE)
    assert "lacks Cassandra's own tables of demo-dc1-r1-0 (system), demo-dc1-r1-0 (system_schema)" in reason


# What is remembered


def test_a_plan_is_read_as_it_was_written() -> None:
    plan = replace(planned(backup(), scene(backup())), step="change", emptied=("shop.orders",))
    assert restoring.from_config_map({"data": plan.to_data()}) == plan


@pytest.mark.parametrize("data", [{}, {"plan": "{"}, {"plan": "[]"}, {"plan": '{"parcels": [{"pod": "x"}]}'}])
def test_a_plan_that_cannot_be_read_is_named(data: dict[str, str]) -> None:
    with pytest.raises(LedgerError, match="ConfigMap demo-dc1-restore cannot be read"):
        restoring.from_config_map({"metadata": {"name": "demo-dc1-restore"}, "data": data})


def test_a_plan_with_an_unknown_step_is_not_guessed() -> None:
    data = planned(backup(), scene(backup())).to_data()
    with pytest.raises(LedgerError, match="later"):
        restoring.from_config_map({"data": {"plan": data["plan"].replace('"download"', '"later"')}})


def test_two_wishes_are_the_same_but_for_words() -> None:
    assert WISH.key == replace(WISH, prefix="", space=3.0, ignore=frozenset({"original", "datacenters"})).key
    assert WISH.key != replace(WISH, rows="merge").key


def test_tables_of_which_the_backup_has_no_rows_are_left_alone() -> None:
    """Their keyspace was another datacenter's then: replace would empty them everywhere."""
    moved = KEYSPACE.replace("'dc1'", "'dc2'")
    source = backup(schema=replace(SCHEMA, statements=(replace(STATEMENTS[0], cql=moved), *STATEMENTS[1:])))
    here = scene(source, SCHEMA)
    assert restore_choice.chosen(WISH, source) == ([], [])
    (reason,) = restore_choice.chosen(replace(WISH, tables=("shop.orders",)), source)[1]
    assert reason == "the backup has no table shop.orders; shop had no replicas in datacenter dc1 then"
    told = refused(source, here, replace(WISH, rows="replace", tables=("shop",)))
    assert any("shop had no replicas in datacenter dc1 then" in each for each in told)


@pytest.mark.parametrize("given", [{"tables": ("shop.orders",)}, {"rows": "merge"}])
def test_a_whole_datacenter_goes_back_with_all_of_it(given: dict[str, Any]) -> None:
    told = refused(backup(), scene(backup()), replace(WHOLE, **given))
    assert any(f"{next(iter(given))}: the whole datacenter goes back" in each for each in told)


@pytest.mark.parametrize("living", [EMPTY, SCHEMA])
def test_a_view_comes_with_its_table_only(living: Schema) -> None:
    source = backup()
    wish = replace(WISH, tables=("shop.by_place",), rows="replace")
    (reason,) = refused(source, scene(source, living), wish)
    assert reason == "shop.by_place is a view of shop.orders: restore shop.orders, which brings it"
    both = replace(wish, tables=("shop.by_place", "shop.orders"))
    assert "shop.by_place" in planned(source, scene(source, living), both).tables


def test_a_view_that_the_backup_does_not_have_is_made_after_the_restore() -> None:
    """Made before the files come, it would stay empty."""
    source = backup(tables=("shop.orders",))
    wish = replace(WISH, tables=("shop.orders",))
    plan = planned(source, scene(source, EMPTY), wish)
    kinds = [each.kind for each in restore_schema.missing(SCHEMA, EMPTY, plan.names, plan.way)]
    assert "table" in kinds
    assert "materialized_view" not in kinds
    (told,) = restore_schema.not_made(plan, source, EMPTY)
    assert told.startswith("view shop.by_place is not made")
    assert restore_schema.empty_views(SCHEMA, EMPTY, plan.names, "load") == []
    assert restore_schema.not_made(planned(backup(), scene(backup(), EMPTY), WISH), backup(), EMPTY) == []


def test_of_each_rack_somebody_is_asked_whether_the_datacenter_lives() -> None:
    source = backup({"r1": 11, "r2": 11, "r3": 11})
    asked = [one.pod for one in restore_planning.to_ask(source, {"198.19.0.1"})]
    assert asked[:3] == ["demo-dc1-r2-0", "demo-dc1-r3-0", "demo-dc1-r1-1"]
    assert len(asked) == 24
    assert restore_planning.to_ask(source, {one.address for one in source.nodes}) == []


def test_a_datacenter_that_left_since_does_not_come_back_with_the_whole() -> None:
    keyspaces = {
        "shop": "'class': 'NetworkTopologyStrategy', 'dc1': '3', 'dc2': '3'",
        "blog": "'class': 'NetworkTopologyStrategy', 'dc1': '3', 'dc2': '2/1', 'dc3': '0'",
        "here": "'class': 'NetworkTopologyStrategy', 'dc1': '3'",
        "old": "'class': 'SimpleStrategy', 'replication_factor': '3'",
    }
    made = [
        Statement(name, "keyspace", name, f"CREATE KEYSPACE {name} WITH replication = {{{options}}};")
        for name, options in keyspaces.items()
    ]
    source = backup(schema=Schema("b1", "v1", (*made, *STATEMENTS[1:])))
    (reason,) = refused(source, scene(source), WHOLE)
    assert reason.startswith("the backup replicates blog, shop to datacenter dc2, which the cluster does not have (any")
    assert "-e restore_mode=tables" in reason
    assert reason.endswith("(or go past it with restore_ignore: datacenters)")
    assert refused(source, scene(source), replace(WHOLE, ignore=frozenset({"original"}))) == [reason]
    # Where no node can be asked the datacenter is there all the same.
    assert planned(backup(), scene(backup(), datacenters=()), WHOLE).way == "swap"
    assert planned(source, scene(source)).way == "import"
    assert "dc2" not in restore_schema.made_for(made[0], "dc1", "dc1", {"dc1"})


def test_of_a_cluster_that_is_lost_altogether_one_datacenter_may_come_back() -> None:
    moved = replace(STATEMENTS[0], cql=KEYSPACE.replace("'dc1': '3'", "'dc1': '3', 'dc2': '3'"))
    assert moved != STATEMENTS[0]
    source = backup(schema=replace(SCHEMA, statements=(moved, *STATEMENTS[1:])))
    plan = planned(source, scene(source), replace(WHOLE, ignore=frozenset({"datacenters"})))
    assert plan.way == "swap"
    (told,) = restore_planning.down_for_good(plan, source)
    assert told.startswith("the nodes that datacenter dc2 had in backup b1 come back as members that are down for good")
    assert "shop" in told
    assert "module node_remove" in told
    assert restore_planning.down_for_good(planned(source, scene(source)), source) == []
    assert restore_planning.down_for_good(planned(backup(), scene(backup()), WHOLE), backup()) == []
    # One that is there goes on refusing.
    with_others = scene(source, datacenters=("dc1", "dc2"))
    (reason,) = refused(source, with_others, replace(WHOLE, ignore=frozenset({"datacenters"})))
    assert reason.startswith("the cluster has other datacenters (dc2)")


def test_who_gets_rows_of_others_is_known() -> None:
    source = backup()
    first, *others = source.manifest.nodes
    manifest = replace(source.manifest, nodes=(replace(first, unclean=True), *others))
    source = replace(source, manifest=manifest)
    assert planned(source, scene(source)).unclean == ["demo-dc1-r1-0"]
    assert planned(source, scene(source), WHOLE).unclean == ["demo-dc1-r1-0"]
    (told,) = restore_planning.to_clean(planned(source, scene(source)))
    assert told.startswith("demo-dc1-r1-0: when backup b1 was made")
    loaded = planned(source, scene(backup({"r1": 2})), replace(WISH, load=True))
    assert (loaded.unclean, restore_planning.to_clean(loaded)) == ([], [])
