# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import table_digest
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.described import TRIGGERS

DESCRIBED = [
    ("shop", "keyspace", "shop", "CREATE KEYSPACE shop;"),
    ("shop", "table", "orders", "CREATE TABLE shop.orders (id int PRIMARY KEY);"),
    ("shop", "materialized_view", "v", "CREATE MATERIALIZED VIEW shop.v AS SELECT * FROM shop.orders;"),
    ("till", "table", '"Odd"', 'CREATE TABLE till."Odd" (id int PRIMARY KEY);'),
]


class Session:
    """Answers DESCRIBE, and one table."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def execute(self, statement: str, **options: Any) -> list[dict[str, Any]]:
        if statement.startswith("DESCRIBE"):
            keys = ("keyspace_name", "type", "name", "create_statement")
            return [dict(zip(keys, row, strict=True)) for row in DESCRIBED]
        if statement == TRIGGERS:
            return []
        raise AssertionError(f"all rows of {statement} at once")

    def pages(self, statement: str, **options: Any) -> Iterator[list[dict[str, Any]]]:
        """Of one row each."""
        assert statement == 'SELECT * FROM "shop"."orders"'
        assert options["consistency"] == "ONE"
        yield from ([row] for row in self.rows)


def told(*rows: dict[str, Any]) -> dict[str, Any]:
    return table_digest.digest(Session(list(rows)), ("shop", "orders"), "ONE", 1.0)  # type: ignore[arg-type]


def test_the_order_of_rows_does_not_count_and_every_value_does() -> None:
    one, two = {"id": 1, "note": "a"}, {"id": 2, "note": None}
    assert told(one, two) == told({"note": None, "id": 2}, one)
    assert told(one, two)["rows"] == 2
    assert told(one, two) != told(one, {"id": 2, "note": ""})
    assert told(one, two) != told(one)
    assert told() == {"rows": 0, "digest": "0" * 32}


def test_views_are_left_out_and_unknown_names_refused() -> None:
    session: Any = Session([])
    assert table_digest.wanted([], session) == [("shop", "orders"), ("till", "Odd")]
    assert table_digest.wanted(["till", "shop.orders"], session) == [("shop", "orders"), ("till", "Odd")]
    with pytest.raises(CassopsError, match=r"there is no keyspace or table shop\.v, x"):
        table_digest.wanted(["shop.v", "x", "till"], session)


@pytest.mark.parametrize(
    ("found", "tolerance", "words"),
    [
        ({"rows": 100, "digest": "a"}, 0.0, ""),
        ({"rows": 100, "digest": "b"}, 0.0, "some have other values"),
        ({"rows": 100, "digest": "b"}, 1.0, ""),
        ({"rows": 102, "digest": "b"}, 1.0, "102 rows here and 100 there"),
        ({"rows": 101, "digest": "b"}, 1.0, ""),
        (None, 50.0, "is not there"),
    ],
)
def test_what_differs_is_told(found: dict[str, Any] | None, tolerance: float, words: str) -> None:
    there = {"shop.orders": found} if found else {}
    differing = table_digest.differing(there, {"shop.orders": {"rows": 100, "digest": "a"}}, tolerance)
    assert words in "".join(differing)
    assert bool(differing) is bool(words)
