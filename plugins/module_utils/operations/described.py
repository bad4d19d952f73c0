# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema as a node describes it, and what stands in no DESCRIBE of any version: triggers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import cql
from ..backups import Statement

TRIGGERS = "SELECT keyspace_name, table_name, trigger_name, options FROM system_schema.triggers"


def statements(session: cql.Session, timeout: float) -> tuple[Statement, ...]:
    """Everything of every keyspace, with the ids of tables and the columns that were dropped; what a statement needs
    stands before it.

    :param timeout: of each question, in seconds.
    """
    rows = session.execute("DESCRIBE SCHEMA WITH INTERNALS", timeout=timeout)
    described = [
        Statement(row["keyspace_name"] or "", row["type"], row["name"], row["create_statement"]) for row in rows
    ]
    return (*described, *(trigger(row) for row in session.execute(TRIGGERS, timeout=timeout)))


def trigger(row: Mapping[str, Any]) -> Statement:
    """A row of C(system_schema.triggers) as a statement. Names of triggers are the table's own."""
    keyspace, table, name = (cql.identifier(row[key]) for key in ("keyspace_name", "table_name", "trigger_name"))
    create = f"CREATE TRIGGER {name} ON {keyspace}.{table} USING {cql.text_literal(row['options']['class'])};"
    return Statement(row["keyspace_name"], "trigger", f"{row['table_name']}.{row['trigger_name']}", create)
