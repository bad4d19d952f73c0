# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in the statements that Cassandra's DESCRIBE gives: enough to compare tables and to make them again. Pure.

Cassandra writes these statements itself, so their form is known: names in double quotes where they need them, one
column an item, the primary key last. Nothing here reads CQL as people write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z0-9_]+)'
_ON = re.compile(rf"\bON\s+({NAME})\.({NAME})", re.IGNORECASE)
_FROM = re.compile(rf"\bFROM\s+({NAME})\.({NAME})", re.IGNORECASE)
_ID = re.compile(r"\bID\s*=\s*'?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
_REPLICATION = re.compile(r"(replication\s*=\s*)\{([^}]*)\}", re.IGNORECASE)
_UNDURABLE = re.compile(r"\bdurable_writes\s*=\s*'?false\b", re.IGNORECASE)
_PAIR = re.compile(r"'([^']*)'\s*:\s*'([^']*)'")
# Text, a quoted name, and the body of a function: what stands in there is no CQL.
_OPAQUE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$\$.*?\$\$", re.DOTALL)
PRIMARY_KEY = "PRIMARY KEY"
_ALTER = re.compile(
    rf"ALTER\s+TABLE\s+{NAME}\.{NAME}\s+(?:DROP\s+(?P<dropped>{NAME})\s+USING\s+TIMESTAMP\s+(?P<when>\d+)"
    rf"|ADD\s+(?P<added>{NAME})\s+(?P<kind>.+))",
    re.IGNORECASE | re.DOTALL,
)
_ORDER = re.compile(r"\bCLUSTERING\s+ORDER\s+BY\s*\(([^)]*)\)", re.IGNORECASE)
_DOWNWARDS = re.compile(rf"({NAME})\s+DESC\b", re.IGNORECASE)
_ATTACHED = re.compile(r"\bUSING\s+'(?:[\w.]*\.)?(?:sai|StorageAttachedIndex)'", re.IGNORECASE)
_GC_GRACE = re.compile(r"\bgc_grace_seconds\s*=\s*(\d+)", re.IGNORECASE)


def plain(name: str) -> str:
    """A name without the quotes that CQL wants around it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def split(text: str) -> list[str]:
    """The statements of a text. A table with dropped columns is described by several."""
    found, begin = [], 0
    for place in _bare(text):
        if text[place] == ";":
            found.append(text[begin:place])
            begin = place + 1
    return [each.strip() for each in (*found, text[begin:]) if each.strip()]


def _bare(text: str) -> Iterator[int]:
    """Places in a text that are not inside of quotes."""
    begin = 0
    for quoted in _OPAQUE.finditer(text):
        yield from range(begin, quoted.start())
        begin = quoted.end()
    yield from range(begin, len(text))


def items(text: str) -> list[str]:
    """What stands between the first bracket and its partner, parted at its own commas."""
    depth, begin, found = 0, 0, []
    for place in _bare(text):
        sign = text[place]
        if sign in "(<":
            depth += 1
            if depth == 1:
                begin = place + 1
        elif sign in ")>":
            depth -= 1
        if depth == (1 if sign == "," else 0) and sign in ",)":
            found.append(" ".join(text[begin:place].split()))
            begin = place + 1
            if depth == 0:
                return [each for each in found if each]
    return []


def columns(text: str) -> dict[str, str]:
    """Column -> its type (and C(static)) of CREATE TABLE, field -> type of CREATE TYPE; the key as C(PRIMARY KEY), with
    the columns that are ordered downwards: rows of another order cannot be read.

    A table that lost columns is described with them, and with the ALTER TABLE after it that drops each; another adds it
    where it was made once more (C(TableMetadata.toCqlString), 4.0 to 5.0).
    """
    create, *alters = split(text) or [""]
    found = _created(create)
    for each in filter(None, map(_ALTER.match, alters)):
        if each["dropped"]:
            found.pop(plain(each["dropped"]), None)
        else:
            found[plain(each["added"])] = " ".join(each["kind"].split())
    return found


def dropped(text: str) -> dict[str, int]:
    """Column -> when it was dropped, in microseconds since 1970: Cassandra hides what was written to it before."""
    alters = filter(None, map(_ALTER.match, split(text)[1:]))
    return {plain(each["dropped"]): int(each["when"]) for each in alters if each["dropped"]}


def alters_left(stored: str, living: str) -> list[str]:
    """What of a table's description was not carried out yet, where its statements were begun: they are several for one
    that lost columns."""
    there, gone = columns(living), dropped(living)
    left = []
    for each in split(stored)[1:]:
        told = _ALTER.match(each)
        if told is None:
            continue
        if told["added"]:
            if plain(told["added"]) not in there:
                left.append(each)
        elif gone.get(plain(told["dropped"])) != int(told["when"]):
            left.append(each)
            there.pop(plain(told["dropped"]), None)
    return left


def gc_grace(text: str) -> int | None:
    """For how many seconds a table keeps its tombstones; None where that is not told."""
    found = _GC_GRACE.search(text)
    return int(found[1]) if found else None


def is_clustered(create: str) -> bool:
    """Whether a partition of the table of CREATE TABLE has several rows."""
    return len(items(_created(create).get(PRIMARY_KEY, ""))) > 1


def _created(create: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in items(create):
        if item.upper().startswith(PRIMARY_KEY):
            found[PRIMARY_KEY] = item[len(PRIMARY_KEY) :].strip()
            continue
        name = re.match(NAME, item)
        if name:
            kind = item[name.end() :].strip()
            if kind.upper().endswith(PRIMARY_KEY):
                kind = kind[: -len(PRIMARY_KEY)].strip()
                found[PRIMARY_KEY] = f"({name[0]})"
            found[plain(name[0])] = kind
    bare = frozenset(_bare(create))
    order = next((each for each in _ORDER.finditer(create) if each.start() in bare), None)
    downwards = _DOWNWARDS.findall(order[1]) if order else []
    if downwards and PRIMARY_KEY in found:
        found[PRIMARY_KEY] += f" with {', '.join(downwards)} downwards"
    return found


def table_id(create: str) -> str:
    """The id that a table is made with; empty where none stands there."""
    found = _ID.search(create)
    return found[1].lower() if found else ""


def base(kind: str, create: str) -> tuple[str, str] | None:
    """Keyspace and table that an index, a trigger or a view belongs to."""
    pattern = _FROM if kind == "materialized_view" else _ON
    found = pattern.search(create)
    return (plain(found[1]), plain(found[2])) if found else None


def is_attached(create: str) -> bool:
    """Whether an index is storage-attached: its files belong to the SSTables, and are told apart by its name alone."""
    return bool(_ATTACHED.search(create))


def is_durable(create: str) -> bool:
    """Whether what is written to the keyspace of CREATE KEYSPACE goes through the commit log."""
    return not _UNDURABLE.search(create)


def replication(create: str) -> dict[str, str]:
    """The replication of CREATE KEYSPACE."""
    found = _REPLICATION.search(create)
    return dict(_PAIR.findall(found[2])) if found else {}


def with_replication(create: str, options: Mapping[str, str]) -> str:
    """CREATE KEYSPACE with another replication."""
    text = ", ".join(f"'{key}': '{value}'" for key, value in options.items())
    return _REPLICATION.sub(lambda found: f"{found[1]}{{{text}}}", create, count=1)
