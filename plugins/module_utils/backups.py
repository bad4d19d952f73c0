# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a backup is: its manifests, where they are, which state it is in, and how long it is kept. Pure.

The bytes of a node go into a restic repository of its own, named by its host id. restic stores by content, so a file
never takes the place of another one of the same name: a table that was truncated, or a node that came back empty, may
call its SSTables what they were called before. The documents about them go into one more repository, the catalogue, as
restic snapshots of one file each:

- a node's manifest: what is in its repository, file by file;
- the schema, as it was at the moment of the snapshot;
- the backup's manifest, which names both with their digests. It is written last, and only when every node is in: a
  backup without it does not count.
- verifications: when the backup was read again, and how deeply.

Each carries tags (its kind, the backup's name, and the figures of a list), so that a list costs one command.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

from .errors import CassopsError

FORMAT = 1
"""Of the documents. A reader refuses a later one: it cannot know what it would miss."""
SNAPSHOT = "cassops-backup"
"""The name of the snapshot on a node, the same for all backups: what has not changed since the last one is then found
under the same path, and not read again. It is gone when its backup is done, so there is one at a time."""
CATALOGUE = "catalogue"

RUNNING = "running"
COMPLETE = "complete"
PARTIAL = "partial"
FAILED = "failed"
STATES = (RUNNING, COMPLETE, PARTIAL, FAILED)
STALE = 180.0
"""Seconds without a sign of life after which a running backup is taken for dead; its run writes one every 30."""

NODE = "node"
SCHEMA = "schema"
BACKUP = "backup"
VERIFICATION = "verification"
KINDS = (NODE, SCHEMA, BACKUP, VERIFICATION)

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
TABLE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Made = TypeVar("Made")


class ManifestError(CassopsError):
    """A document of a backup cannot be trusted: it is damaged, or was written by a later version."""


class LaterFormat(ManifestError):
    """The document was written by a later version: nothing is wrong with it."""


# --- names and places -------------------------------------------------------------------------------------------------


def name_fault(name: str) -> str:
    """Why a backup cannot be called so, or an empty string."""
    if NAME.fullmatch(name):
        return ""
    return (
        f"{name!r} cannot be the name of a backup: it must consist of letters, digits, -, _ and . (at most 63), and"
        " begin and end with a letter or a digit"
    )


def name_at(now: float) -> str:
    """The name of a backup that is begun at this moment and was given none, such as C(20261125T031400Z)."""
    return datetime.fromtimestamp(now, timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def place(base: str, cluster: str, datacenter: str, part: str) -> str:
    """A repository below the one that the inventory names.

    :param part: a node's host id, or L(CATALOGUE).
    """
    return f"{base.rstrip('/')}/{cluster}/{datacenter}/{part}"


def catalogue_file(backup: str, kind: str, host_id: str = "") -> str:
    """The name of a document's one file in its snapshot."""
    return f"/{backup}/{kind}{'-' if host_id else ''}{host_id}.json"


# --- time -------------------------------------------------------------------------------------------------------------


def moment(seconds: float) -> str:
    """Seconds since 1970 as documents have them: C(2026-11-25T03:14:00Z)."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """The other way round.

    :raises ValueError: it is no such moment.
    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()


# --- a node's manifest ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class File:
    """A file of a table's snapshot. There may be millions of them.

    :param path: below the snapshot's folder, such as C(nb-1-big-Data.db) or C(.by_name_idx/nb-1-big-Data.db).
    :param size: bytes; 0 is a size too.
    """

    path: str
    size: int


@dataclass(frozen=True)
class Table:
    """A table on one node.

    :param id: the table's id, with dashes.
    :param directory: name of its folder, C(<table>-<id without dashes>).
    """

    keyspace: str
    name: str
    id: str
    directory: str
    files: tuple[File, ...] = ()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def source(self) -> str:
        """Its folder in the node's restic snapshot, relative to the root: what a restore takes."""
        return f"{self.keyspace}/{self.directory}/snapshots/{SNAPSHOT}"


@dataclass(frozen=True)
class NodeManifest:
    """What one node gave to a backup.

    :param repository: of its bytes, relative to the inventory's: C(<cluster>/<datacenter>/<host id>).
    :param snapshot: id of the restic snapshot there.
    :param tokens: all of them, sorted.
    :param version: of Cassandra, such as C(5.0.9).
    :param schema: version of the schema that the node had.
    :param taken: when the snapshot was taken.
    :param added: bytes that this backup added to the repository.
    """

    backup: str
    cluster: str
    datacenter: str
    rack: str
    pod: str
    host_id: str
    address: str
    tokens: tuple[int, ...]
    version: str
    schema: str
    taken: str
    repository: str
    snapshot: str
    added: int
    tables: tuple[Table, ...]

    @property
    def size(self) -> int:
        return sum(table.size for table in self.tables)

    @property
    def files(self) -> int:
        return sum(len(table.files) for table in self.tables)

    @property
    def paths(self) -> dict[str, int]:
        """Path in the node's restic snapshot -> bytes."""
        return {f"{table.source}/{file.path}": file.size for table in self.tables for file in table.files}

    def table(self, keyspace: str, name: str) -> tuple[Table, ...]:
        """All folders of a table: one that was dropped and made again may have two."""
        return tuple(table for table in self.tables if (table.keyspace, table.name) == (keyspace, name))

    def folded(self) -> NodeManifest:
        """The same with one nameless file for all of a table's: the names of a thousand nodes' files are gigabytes."""
        return dataclasses.replace(
            self,
            tables=tuple(
                dataclasses.replace(table, files=(File("", table.size),)) if table.files else table
                for table in self.tables
            ),
        )


def as_stored(tables: Sequence[Table], stored: Mapping[str, int]) -> tuple[Table, ...]:
    """The tables with the sizes that were stored of files that Cassandra writes on after a snapshot has linked them.

    An index of SAI on a table that has rows adds its components to the same TOC.txt (C(TOCComponent.appendTOC), seen on
    5.0.9), and a filter that is made anew is written over the old one (C(FilterComponent.save)). Both are made from the
    others where they are missing, and a name too many is passed over.

    :param stored: path in the node's restic snapshot -> bytes.
    """

    def file(table: Table, one: File) -> File:
        if not one.path.endswith(("-TOC.txt", "-Filter.db")):
            return one
        return File(one.path, stored.get(f"{table.source}/{one.path}", one.size))

    return tuple(dataclasses.replace(table, files=tuple(file(table, one) for one in table.files)) for table in tables)


# --- the schema -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Statement:
    """One statement of the schema, as Cassandra's own DESCRIBE SCHEMA WITH INTERNALS gives it, in its order.

    :param kind: C(keyspace), C(type), C(function), C(aggregate), C(table), C(index), C(materialized_view) or
        C(trigger).
    :param name: of what it makes.
    :param cql: the statement; a table's carries its id.
    """

    keyspace: str
    kind: str
    name: str
    cql: str


@dataclass(frozen=True)
class Schema:
    """Every statement that makes the schema of the user's keyspaces.

    :param version: of the schema that the statements were read of.
    """

    backup: str
    version: str
    statements: tuple[Statement, ...]


# --- the backup's manifest --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NodeEntry:
    """A node that a backup wants.

    :param manifest: id of its manifest's snapshot in the catalogue, empty as long as it is not in.
    :param digest: SHA-256 of that document.
    :param error: why it is not in, as far as known.
    :param snapshot: whether its snapshot was taken, all of it.
    :param unclean: it had lost ranges by then and was not cleaned up since: its files have rows that are not its own.
        False also where an earlier release has made the backup, which did not tell.
    """

    pod: str
    host_id: str
    rack: str
    manifest: str = ""
    digest: str = ""
    size: int = 0
    added: int = 0
    error: str = ""
    snapshot: bool = False
    unclean: bool = False


@dataclass(frozen=True)
class Manifest:
    """A backup of a datacenter.

    :param began: when its run began.
    :param taken: when the snapshots were taken; empty before.
    :param finished: empty while it runs.
    :param heartbeat: the last sign of life of its run.
    :param runner: who runs it.
    :param tables: the tables that were asked for, C(keyspace.table) or C(keyspace); empty is all.
    :param excluded: keyspaces that were left out.
    :param nodes: every node that is wanted, whether it is in or not, by pod.
    :param schema: id of the schema's snapshot in the catalogue, and C(schema_digest) its SHA-256.
    :param versions: the nodes' Cassandra versions.
    :param uuid_sstables: whether SSTables were named by UUID (cassandra.yaml's uuid_sstable_identifiers_enabled); None
        before 4.1, which does not know it.
    :param roles: whether roles and permissions (system_auth) are in it.
    :param ledger: id of the datacenter's ledger, which tells it from another one of the same names; empty where an
        earlier release has made the backup.
    :param error: what went wrong.
    """

    backup: str
    cluster: str
    datacenter: str
    state: str
    began: str
    nodes: tuple[NodeEntry, ...]
    taken: str = ""
    finished: str = ""
    heartbeat: str = ""
    runner: str = ""
    tables: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    schema: str = ""
    schema_digest: str = ""
    versions: tuple[str, ...] = ()
    uuid_sstables: bool | None = None
    roles: bool = False
    ledger: str = ""
    error: str = ""

    @property
    def size(self) -> int:
        return sum(node.size for node in self.nodes)

    @property
    def added(self) -> int:
        return sum(node.added for node in self.nodes)

    @property
    def missing(self) -> tuple[str, ...]:
        """The pods that are not in."""
        return tuple(node.pod for node in self.nodes if not node.manifest)

    def node(self, pod: str) -> NodeEntry | None:
        return next((node for node in self.nodes if node.pod == pod), None)

    def with_node(self, entry: NodeEntry) -> Manifest:
        """A copy with this entry in place of the pod's old one."""
        return dataclasses.replace(self, nodes=tuple(entry if node.pod == entry.pod else node for node in self.nodes))


@dataclass(frozen=True)
class Verification:
    """A backup was read again.

    :param level: C(files) (every file of the manifests is there, and the repositories are consistent) or C(data)
        (every byte was read too).
    :param faults: what was found wrong; empty is well.
    """

    backup: str
    when: str
    level: str
    faults: tuple[str, ...] = ()


def end_state(manifest: Manifest) -> str:
    """The state of a backup whose run has ended: complete when every node is in."""
    absent = len(manifest.missing)
    if not absent and manifest.nodes and manifest.schema:
        return COMPLETE
    return FAILED if absent == len(manifest.nodes) or not manifest.schema else PARTIAL


def state_at(manifest: Manifest, now: float) -> str:
    """The state that a person is told: a running backup whose run gives no sign of life has failed."""
    if manifest.state != RUNNING:
        return manifest.state
    alive = now - seconds(manifest.heartbeat or manifest.began) <= STALE
    return RUNNING if alive else FAILED


# --- documents --------------------------------------------------------------------------------------------------------


def dump(document: NodeManifest | Schema | Manifest | Verification) -> str:
    """As JSON. The same document always gives the same text."""
    return json.dumps({"format": FORMAT, **dataclasses.asdict(document)}, indent=1, sort_keys=True) + "\n"


def digest(text: str) -> str:
    """SHA-256 of a document."""
    return hashlib.sha256(text.encode()).hexdigest()


def load_node(text: str, expected: str = "") -> NodeManifest:
    """A node's manifest.

    :param expected: the digest that the backup's manifest names; empty is not compared.
    :raises ManifestError: it is damaged or of a later format.
    """

    def made(read: _Reader) -> NodeManifest:
        return NodeManifest(
            backup=read.text("backup"),
            cluster=read.text("cluster"),
            datacenter=read.text("datacenter"),
            rack=read.text("rack"),
            pod=read.text("pod"),
            host_id=read.name("host_id"),
            address=read.text("address"),
            tokens=tuple(read.integers("tokens")),
            version=read.text("version"),
            schema=read.text("schema"),
            taken=read.moment("taken"),
            repository=read.path("repository"),
            snapshot=read.text("snapshot"),
            added=read.count("added"),
            tables=tuple(_table(one) for one in read.each("tables")),
        )

    return _load(text, expected, "the manifest of a node", made)


def _table(read: _Reader) -> Table:
    return Table(
        keyspace=read.name("keyspace"),
        name=read.name("name"),
        id=read.matching("id", TABLE_ID),
        directory=read.name("directory"),
        files=tuple(File(one.path("path"), one.count("size")) for one in read.each("files")),
    )


def load_schema(text: str, expected: str = "") -> Schema:
    """The schema of a backup. Raises as L(load_node) does."""

    def made(read: _Reader) -> Schema:
        statements = (
            Statement(one.text("keyspace"), one.text("kind"), one.text("name"), one.text("cql"))
            for one in read.each("statements")
        )
        return Schema(read.text("backup"), read.text("version"), tuple(statements))

    return _load(text, expected, "the schema", made)


def load(text: str) -> Manifest:
    """A backup's manifest. Raises as L(load_node) does."""

    def made(read: _Reader) -> Manifest:
        manifest = Manifest(
            backup=read.text("backup"),
            cluster=read.text("cluster"),
            datacenter=read.text("datacenter"),
            state=read.one_of("state", STATES),
            began=read.moment("began"),
            taken=read.moment("taken", may_be_empty=True),
            finished=read.moment("finished", may_be_empty=True),
            heartbeat=read.moment("heartbeat", may_be_empty=True),
            runner=read.text("runner", may_be_empty=True),
            tables=tuple(read.texts("tables")),
            excluded=tuple(read.texts("excluded")),
            nodes=tuple(_entry(one) for one in read.each("nodes")),
            schema=read.text("schema", may_be_empty=True),
            schema_digest=read.text("schema_digest", may_be_empty=True),
            versions=tuple(read.texts("versions")),
            uuid_sstables=read.flag_or_none("uuid_sstables"),
            roles=bool(read.flag_or_none("roles")),
            ledger=read.text_or_none("ledger") or "",
            error=read.text("error", may_be_empty=True),
        )
        if manifest.state == COMPLETE and end_state(manifest) != COMPLETE:
            raise ValueError(f"it says complete, but {', '.join(manifest.missing) or 'the schema'} is not in it")
        return manifest

    return _load(text, "", "the manifest of a backup", made)


def _entry(read: _Reader) -> NodeEntry:
    return NodeEntry(
        pod=read.text("pod"),
        host_id=read.name("host_id"),
        rack=read.text("rack"),
        snapshot=read.flag("snapshot"),
        unclean=read.flag("unclean"),
        manifest=read.text("manifest", may_be_empty=True),
        digest=read.text("digest", may_be_empty=True),
        size=read.count("size"),
        added=read.count("added"),
        error=read.text("error", may_be_empty=True),
    )


def load_verification(text: str) -> Verification:
    """A verification. Raises as L(load_node) does."""

    def made(read: _Reader) -> Verification:
        return Verification(read.text("backup"), read.moment("when"), read.text("level"), tuple(read.texts("faults")))

    return _load(text, "", "a verification", made)


def _load(text: str, expected: str, what: str, made: Callable[[_Reader], Made]) -> Made:
    if expected and digest(text) != expected:
        raise ManifestError(f"{what} is damaged: its SHA-256 is {digest(text)}, and {expected} was written")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ManifestError(f"{what} is damaged: it is no JSON ({error})") from error
    try:
        read = _Reader(value, "")
        written = read.count("format")
        if written > FORMAT:
            raise LaterFormat(
                f"{what} was written by a later version of this collection (format {written}, this one reads up to"
                f" {FORMAT}); use that version or a later one"
            )
        return made(read)
    except (TypeError, ValueError) as error:
        raise ManifestError(f"{what} is damaged: {error}") from error


class _Reader:
    """Takes fields out of parsed JSON and says which one is missing or not what it should be."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, Mapping):
            raise TypeError(f"{path or 'the document'} is not a mapping")
        self._value = value
        self._path = path

    def _get(self, key: str, kind: type[Made]) -> Made:
        if key not in self._value:
            raise ValueError(f"{self._path}{key} is missing")
        value = self._value[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{self._path}{key} is {value!r}, not {kind.__name__}")
        return value

    def text(self, key: str, may_be_empty: bool = False) -> str:
        value = self._get(key, str)
        if not value and not may_be_empty:
            raise ValueError(f"{self._path}{key} is empty")
        return value

    def matching(self, key: str, pattern: re.Pattern[str]) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise ValueError(f"{self._path}{key} is {value!r}")
        return value

    def one_of(self, key: str, known: Sequence[str]) -> str:
        value = self.text(key)
        if value not in known:
            raise ValueError(f"{self._path}{key} is {value!r}, not one of {', '.join(known)}")
        return value

    def moment(self, key: str, may_be_empty: bool = False) -> str:
        value = self.text(key, may_be_empty)
        if value:
            seconds(value)
        return value

    def path(self, key: str) -> str:
        """A relative path that stays where it belongs: a restore writes there."""
        value = self.text(key)
        if value.startswith("/") or ".." in value.split("/") or "\0" in value:
            raise ValueError(f"{self._path}{key} is {value!r}, which leads out of its folder")
        return value

    def name(self, key: str) -> str:
        """One part of a path."""
        value = self.path(key)
        if "/" in value or value == ".":
            raise ValueError(f"{self._path}{key} is {value!r}, not a name")
        return value

    def count(self, key: str) -> int:
        value = self._get(key, int)
        if value < 0:
            raise ValueError(f"{self._path}{key} is {value}")
        return value

    def flag(self, key: str) -> bool:
        """False also where it is not there: an earlier release did not know it."""
        return key in self._value and self._get(key, bool)

    def flag_or_none(self, key: str) -> bool | None:
        return None if self._value.get(key, "") is None else self._get(key, bool)

    def text_or_none(self, key: str) -> str | None:
        """None where it is not there: an earlier release did not know it."""
        return self.text(key, may_be_empty=True) if key in self._value else None

    def _list(self, key: str, kind: type[Made]) -> list[Made]:
        values = self._get(key, list)
        for index, value in enumerate(values):
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise ValueError(f"{self._path}{key}[{index}] is {value!r}, not {kind.__name__}")
        return values

    def texts(self, key: str) -> list[str]:
        return self._list(key, str)

    def integers(self, key: str) -> list[int]:
        return self._list(key, int)

    def each(self, key: str) -> list[_Reader]:
        return [_Reader(value, f"{self._path}{key}[{index}].") for index, value in enumerate(self._get(key, list))]


# --- the list ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """A document in the catalogue, as the list of its snapshots tells: without reading it.

    :param id: of its restic snapshot.
    :param time: when it was written, seconds since 1970.
    :param tags: name -> value.
    """

    id: str
    time: float
    tags: Mapping[str, str]

    @property
    def kind(self) -> str:
        return self.tags.get("kind", "")

    @property
    def backup(self) -> str:
        return self.tags.get("backup", "")

    @property
    def host(self) -> str:
        """The host id, of a node's document."""
        return self.tags.get("host", "")


@dataclass(frozen=True)
class Listed:
    """A backup in a list.

    :param manifest: id of its manifest in the catalogue; empty while it runs.
    :param verified: when it was last read again and found well; empty is never.
    :param damaged: the last verification found faults.
    :param tables: those that it is limited to; empty is the whole datacenter.
    :param excluded: keyspaces that were left out.
    :param ledger: see L(Manifest).
    """

    name: str
    state: str
    began: float
    finished: float | None = None
    nodes: int = 0
    missing: tuple[str, ...] = ()
    size: int = 0
    added: int = 0
    manifest: str = ""
    verified: str = ""
    damaged: bool = False
    tables: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    ledger: str = ""
    error: str = ""

    def is_of(self, ledger: str) -> bool:
        """Whether it is of the datacenter with this ledger, as far as it is told: of an old one nobody knows."""
        return self.ledger in ("", ledger)


def limited(one: Manifest | Listed) -> str:
    """What a backup is of, where it is not of everything."""
    if one.tables:
        return f"of {', '.join(one.tables)} only"
    return f"without {', '.join(one.excluded)}" if one.excluded else ""


def tags_of(manifest: Manifest) -> dict[str, str]:
    """What the list needs to know of a backup's manifest."""
    return {
        "kind": BACKUP,
        "backup": manifest.backup,
        "state": manifest.state,
        "began": manifest.began,
        "finished": manifest.finished,
        "nodes": str(len(manifest.nodes)),
        "missing": "+".join(manifest.missing),
        "size": str(manifest.size),
        "added": str(manifest.added),
        "tables": "+".join(sorted(manifest.tables)),
        "excluded": "+".join(sorted(manifest.excluded)),
        "ledger": manifest.ledger,
    }


def listing(records: Iterable[Record], running: Manifest | None, now: float) -> list[Listed]:
    """Every backup, the oldest first.

    Of several manifests of one name the newest counts: a backup that failed was taken up again.

    :param running: what the datacenter says of the backup that runs, or whose run died.
    """
    listed: dict[str, Listed] = {}
    ordered = sorted(records, key=written)
    for record in ordered:
        if record.kind == BACKUP:
            listed[record.backup] = _listed(record)
    for record in ordered:
        # One that is older was of a backup that was not complete yet.
        known = listed.get(record.backup)
        if record.kind == VERIFICATION and known is not None and written(record)[0] >= (known.finished or 0.0):
            listed[record.backup] = _verified(known, record)
    if running is not None and running.state == RUNNING:
        known = listed.get(running.backup)
        # The last word in the catalogue counts, also where its run died before it could take its note away.
        if known is None or known.state != COMPLETE:
            listed[running.backup] = outline(running, now)
    return sorted(listed.values(), key=lambda one: (one.began, one.name))


def written(record: Record) -> tuple[float, float]:
    """When a manifest or a verification was written, to sort them by (seconds since 1970).

    By the API server's clock, which the documents tell: those of the pods, which restic goes by, may differ.
    """
    said = record.tags.get("when" if record.kind == VERIFICATION else "finished")
    return _seconds(said, record.time), record.time


def _listed(record: Record) -> Listed:
    tags = record.tags
    state = tags.get("state", "")
    return Listed(
        name=record.backup,
        state=state if state in STATES else FAILED,
        began=_seconds(tags.get("began"), record.time),
        finished=_seconds(tags.get("finished"), record.time),
        nodes=_number(tags.get("nodes")),
        missing=tuple(pod for pod in tags.get("missing", "").split("+") if pod),
        size=_number(tags.get("size")),
        added=_number(tags.get("added")),
        tables=tuple(table for table in tags.get("tables", "").split("+") if table),
        excluded=tuple(keyspace for keyspace in tags.get("excluded", "").split("+") if keyspace),
        ledger=tags.get("ledger", ""),
        manifest=record.id,
    )


def _verified(listed: Listed, record: Record) -> Listed:
    if record.tags.get("faults", "0") != "0":
        return dataclasses.replace(listed, damaged=True)
    return dataclasses.replace(listed, damaged=False, verified=record.tags.get("when") or moment(record.time))


def _seconds(text: str | None, otherwise: float) -> float:
    try:
        return seconds(text or "")
    except ValueError:
        return otherwise


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def outline(manifest: Manifest, now: float) -> Listed:
    """A backup in a list by its manifest."""
    state = state_at(manifest, now)
    error = manifest.error
    if manifest.state == RUNNING and state == FAILED:
        error = (
            f"its run ({manifest.runner or 'unknown'}) died: the last sign of life came at"
            f" {manifest.heartbeat or manifest.began}; a backup of the same name goes on with it"
        )
    return Listed(
        name=manifest.backup,
        state=state,
        began=seconds(manifest.began),
        finished=seconds(manifest.finished) if manifest.finished else None,
        nodes=len(manifest.nodes),
        missing=manifest.missing,
        size=manifest.size,
        added=manifest.added,
        tables=tuple(sorted(manifest.tables)),
        excluded=tuple(sorted(manifest.excluded)),
        ledger=manifest.ledger,
        error=error,
    )


def namesakes(listed: Sequence[Listed], ledger: str) -> list[str]:
    """Backups of another datacenter of the same names that lives beside this one; empty where there is none.

    One that took the place of another has nothing but older ones of it in its catalogue.

    :param ledger: the id of this datacenter's.
    """
    first = min((one.began for one in listed if one.ledger == ledger), default=None)
    return [one.name for one in listed if not one.is_of(ledger) and first is not None and one.began > first]


def of_namesakes(names: Sequence[str], cluster: str, datacenter: str) -> list[str]:
    """What to do about them, for people: a warning, or none.

    :param names: see L(namesakes).
    """
    if not names:
        return []
    some = ", ".join(names[-3:])
    return [
        f"another datacenter {datacenter} of a cluster {cluster}, in another namespace or Kubernetes, makes its "
        f"backups in the same repository ({len(names)} by now, such as {some}): a restore that names none may take "
        "one of these. Give one of the two another cassandra_backup.repository, then deploy and restart it. Where the "
        "other one is gone, remove its backups by name (purge_backups_names)"
    ]


# --- retention --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Keep:
    """How many backups are kept: the last ones, and the newest of so many days, weeks and months. 0 is none."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0


NEWEST = "the newest complete one"
NEWEST_OF_ITS_TABLES = "the newest complete one of its tables"
LAST_VERIFIED = "the last verified one"
RUNS = "it runs"
NEVER_REMOVED = (NEWEST, LAST_VERIFIED, RUNS)
"""Reasons to keep a backup that a person cannot overrule by naming it."""
ANOTHERS = "of another datacenter of these names"
"""Then a person can: that datacenter may be gone."""

_PERIODS: Mapping[str, str] = {"daily": "%Y-%m-%d", "weekly": "%G-%V", "monthly": "%Y-%m"}


def kept(listed: Sequence[Listed], keep: Keep, ledger: str = "") -> dict[str, str]:
    """Name of each backup that is kept -> why.

    Those of the whole datacenter are counted by themselves, and so are those of the same tables: whoever backs up a
    table before a change pushes no other backup out. So are those of another datacenter of the same names, which may
    live, or be the one that this one took the place of.

    :param ledger: the id of this datacenter's.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Listed]] = {}
    for one in listed:
        groups.setdefault((one.ledger or ledger, one.tables), []).append(one)
    return {
        name: why if whose == ledger else f"{why}, {ANOTHERS}"
        for (whose, _tables), group in sorted(groups.items())
        for name, why in _kept(group, keep).items()
    }


def _kept(listed: Sequence[Listed], keep: Keep) -> dict[str, str]:
    """Of backups of the same tables.

    Complete ones alone are counted: however many runs fail, they push no good backup out. The last one that was
    verified and the newest complete one stay in any case, and so does what still runs. What is not complete, or was
    found damaged, goes when a sound one is newer: until then it may be the best there is.
    """
    complete = sorted(
        (one for one in listed if one.state == COMPLETE and not one.damaged), key=lambda one: one.began, reverse=True
    )
    reasons: dict[str, list[str]] = {}
    for one in listed:
        if one.state == RUNNING:
            reasons.setdefault(one.name, []).append(RUNS)
        elif one not in complete and not (complete and complete[0].began > one.began):
            reasons.setdefault(one.name, []).append("no complete one is newer")
    for number, one in enumerate(complete[: keep.last], start=1):
        reasons.setdefault(one.name, []).append(f"last {number}")
    for period, pattern in _PERIODS.items():
        for one in _newest_of_each(complete, pattern)[: getattr(keep, period)]:
            reasons.setdefault(one.name, []).append(period)
    for one in complete[:1]:
        reasons.setdefault(one.name, []).append(NEWEST_OF_ITS_TABLES if one.tables else NEWEST)
    for one in [one for one in complete if one.verified and not one.tables][:1]:
        reasons.setdefault(one.name, []).append(LAST_VERIFIED)
    return {name: ", ".join(why) for name, why in reasons.items()}


def _newest_of_each(complete: Sequence[Listed], pattern: str) -> list[Listed]:
    seen: dict[str, Listed] = {}
    for one in complete:
        seen.setdefault(datetime.fromtimestamp(one.began, timezone.utc).strftime(pattern), one)
    return list(seen.values())
