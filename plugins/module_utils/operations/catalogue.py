# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue of a datacenter's backups: documents in, documents out, and what runs just now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .. import archive, backups, spec_parser
from ..archive import Upload
from ..backups import Listed, Manifest, ManifestError, NodeEntry, NodeManifest, Record, Schema, Verification
from ..errors import CassopsError
from ..kube import Kube
from ..manifests.common import labels_of
from ..observe import Objects
from ..restic import CONTAINER, LOCKED, NoRepository, Restic, ResticError
from ..restoring import Plan, from_config_map, plan_name

OPTIONS: Mapping[str, Any] = {
    "backup": {"type": "dict", "required": True},
    "variable_prefix": {"type": "str", "default": ""},
}
"""Options of every operation on backups: C(cassandra_backup). The secrets are mounted where restic runs."""

AT_ONCE = 4
"""Documents that are read at the same time. Each takes a restic, most of whose time and memory goes to the password."""


@dataclass(frozen=True)
class Backup:
    """A backup with all its documents."""

    manifest: Manifest
    nodes: tuple[NodeManifest, ...]
    schema: Schema | None


class Catalogue:
    """The backups of one datacenter.

    :param pod: any pod of any datacenter with a container C(backup) that has the same secrets.
    :param base: the repository that the inventory names.
    :param cluster: the cluster and datacenter whose backups they are; need not be those of the pod.
    :ivar shared: another datacenter of the same names may use it: locks of its living commands would seem dead.
    """

    def __init__(self, kube: Kube, pod: str, base: str, cluster: str, datacenter: str, shared: bool = True) -> None:
        self.shared = shared
        self.kube = kube
        self.pod = pod
        self.base = base
        self.cluster = cluster
        self.datacenter = datacenter
        self.restic = self.repository(backups.CATALOGUE)

    def repository(self, part: str, pod: str = "") -> Restic:
        """A repository of the datacenter: a node's, by its host id, or the catalogue.

        :param pod: where restic is to run; default is the catalogue's pod.
        """
        return Restic(self.kube, pod or self.pod, backups.place(self.base, self.cluster, self.datacenter, part))

    def records(self) -> list[Record]:
        """All documents, without reading them; none where there never was a backup."""
        try:
            return self.restic.records()
        except NoRepository:
            return []

    def uploads(self, host_id: str, ledger: str, limit: float, pod: str = "") -> list[Upload]:
        """What was stored of a node's commit log, the oldest first.

        :param ledger: see L(archive.uploads).
        :param limit: see C(Restic.records).
        :param pod: where restic is to run; default is the catalogue's pod.
        """
        try:
            return archive.uploads(self.repository(host_id, pod).records(limit), ledger)
        except NoRepository:
            return []

    def listed(self, running: Manifest | None, now: float) -> list[Listed]:
        """Every backup, the oldest first."""
        return backups.listing(self.records(), running, now)

    def read(self, name: str, each: Callable[[NodeManifest], NodeManifest] = lambda node: node) -> Backup:
        """A backup whose manifest is in, with all documents, each compared with its digest.

        :param each: called with each node's document, from several threads; gives what is to be kept of it.
        :raises CassopsError: there is no such backup.
        :raises ManifestError: a document is damaged, or gone.
        """
        records = self.records()
        manifest = self.manifest(name, records)
        named = [*(entry.manifest for entry in manifest.nodes), manifest.schema]
        stored = {record.id for record in records}
        if lost := [document for document in named if document and document not in stored]:
            raise ManifestError(f"backup {name}: documents are not in the catalogue any more: {', '.join(lost)}")
        with ThreadPoolExecutor(AT_ONCE) as readers:
            schema = readers.submit(self._schema, manifest)
            nodes = readers.map(lambda entry: self._node(name, entry, each), manifest.nodes)
            return Backup(manifest, tuple(node for node in nodes if node), schema.result())

    def _schema(self, manifest: Manifest) -> Schema | None:
        if not manifest.schema:
            return None
        text = self._text(manifest.schema, backups.SCHEMA, manifest.backup)
        return backups.load_schema(text, manifest.schema_digest)

    def _node(self, name: str, entry: NodeEntry, each: Callable[[NodeManifest], NodeManifest]) -> NodeManifest | None:
        if not entry.manifest:
            return None
        try:
            node = backups.load_node(self._text(entry.manifest, backups.NODE, name, entry.host_id), entry.digest)
        except ManifestError as error:
            raise type(error)(f"backup {name}, node {entry.host_id}: {error}") from error
        return each(node)

    def manifest(self, name: str, records: list[Record] | None = None) -> Manifest:
        """A backup's own manifest, the newest of its name. Raises as L(read) does."""
        found = [
            record
            for record in (self.records() if records is None else records)
            if record.kind == backups.BACKUP and record.backup == name
        ]
        if not found:
            raise CassopsError(
                f"there is no backup {name} of datacenter {self.datacenter} of cluster {self.cluster} in {self.base};"
                " the playbook list_backups tells which there are"
            )
        newest = max(found, key=backups.written)
        manifest = backups.load(self._text(newest.id, backups.BACKUP, name))
        if manifest.backup != name:
            raise ManifestError(f"the manifest of backup {name} is that of {manifest.backup}")
        return manifest

    def last_verification(self, name: str) -> Verification:
        """:raises CassopsError: it cannot be read, or there is none."""
        found = [one for one in self.records() if one.kind == backups.VERIFICATION and one.backup == name]
        if not found:
            raise CassopsError(f"backup {name} was never verified")
        newest = max(found, key=backups.written)
        return backups.load_verification(self._text(newest.id, backups.VERIFICATION, name))

    def _text(self, snapshot: str, kind: str, name: str, host_id: str = "") -> str:
        return self.restic.read(snapshot, backups.catalogue_file(name, kind, host_id))

    # -- writing ----------------------------------------------------------------------------------------------------

    def store_node(self, manifest: NodeManifest, ledger: str) -> tuple[str, str]:
        """Id and digest of the stored document. The node's own pod stores it: of many that are stored at the same time
        each needs a restic's memory.

        :param ledger: the id of the datacenter's, for the purge.
        """
        tags = {
            "kind": backups.NODE,
            "backup": manifest.backup,
            "pod": manifest.pod,
            "host": manifest.host_id,
            "repository": manifest.repository,
            "ledger": ledger,
        }
        own = Catalogue(self.kube, manifest.pod, self.base, self.cluster, self.datacenter, self.shared)
        return own._store(backups.dump(manifest), backups.NODE, manifest.backup, tags, manifest.host_id)

    def store_schema(self, schema: Schema, ledger: str) -> tuple[str, str]:
        """Id and digest of the stored document.

        :param ledger: the id of the datacenter's, for the purge.
        """
        tags = {"kind": backups.SCHEMA, "backup": schema.backup, "ledger": ledger}
        return self._store(backups.dump(schema), backups.SCHEMA, schema.backup, tags)

    def store(self, manifest: Manifest) -> str:
        """The last word about a backup; id of the stored document."""
        tags = backups.tags_of(manifest)
        return self._store(backups.dump(manifest), backups.BACKUP, manifest.backup, tags)[0]

    def store_verification(self, verification: Verification) -> None:
        tags = {
            "kind": backups.VERIFICATION,
            "backup": verification.backup,
            "when": verification.when,
            "level": verification.level,
            "faults": str(len(verification.faults)),
        }
        self._store(backups.dump(verification), backups.VERIFICATION, verification.backup, tags)

    def _store(self, text: str, kind: str, name: str, tags: Mapping[str, str], host_id: str = "") -> tuple[str, str]:
        file = backups.catalogue_file(name, kind, host_id)
        try:
            stored = self.restic.store(text, file, tags, host_id or self.datacenter)
        except ResticError as error:
            if error.rc != LOCKED or self.shared:
                raise
            self.restic.unlock()
            stored = self.restic.store(text, file, tags, host_id or self.datacenter)
        return stored, backups.digest(text)


def opened(params: Mapping[str, Any], kube: Kube, found: Objects) -> Catalogue:
    """The catalogue, by way of any pod of the datacenter that has restic.

    :raises CassopsError: there is none, or the options are wrong.
    """
    plan = spec_parser.parse_backup(params["backup"], params["variable_prefix"])
    pods = pods_with_restic(found)
    if not pods:
        raise CassopsError(
            f"no pod of datacenter {params['datacenter']} of cluster {params['cluster']} in namespace {kube.namespace}"
            f" has a container {CONTAINER} that runs: run the playbook deploy with cassandra_backup set, then restart"
        )
    return Catalogue(kube, pods[0], plan.repository, params["cluster"], params["datacenter"])


def pods_with_restic(found: Objects) -> list[str]:
    """The pods in which restic can be run now, by name."""
    return sorted(name for name, pod in found.all("Pod").items() if has_restic(pod))


def has_restic(pod: Mapping[str, Any]) -> bool:
    """Whether the container with restic runs in a pod that stays."""
    states = {item["name"]: item.get("state", {}) for item in pod.get("status", {}).get("containerStatuses", ())}
    return "running" in states.get(CONTAINER, {}) and "deletionTimestamp" not in pod["metadata"]


# --- the backup that runs, and the restore ----------------------------------------------------------------------------


def running_name(cluster: str, datacenter: str) -> str:
    """Name of the ConfigMap with the manifest of the backup that runs."""
    return f"{cluster}-{datacenter}-backup"


def running(kube: Kube, cluster: str, datacenter: str) -> Manifest | None:
    """The manifest of the backup that runs, or whose run died before its end; None where there is none.

    :raises ManifestError: somebody edited it.
    """
    found = kube.get("ConfigMap", running_name(cluster, datacenter))
    if found is None:
        return None
    try:
        return backups.load(str((found.get("data") or {}).get("manifest", "")))
    except ManifestError as error:
        raise ManifestError(
            f"ConfigMap {running_name(cluster, datacenter)}: {error}; delete it, and begin a new backup"
        ) from error


def write_running(kube: Kube, manifest: Manifest) -> None:
    """The sign of life of a backup that runs."""
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": running_name(manifest.cluster, manifest.datacenter),
                "labels": labels_of(manifest.cluster, manifest.datacenter),
            },
            "data": {"manifest": backups.dump(manifest)},
        }
    )


def forget_running(kube: Kube, cluster: str, datacenter: str) -> None:
    """The backup has ended, and the catalogue knows how."""
    name = running_name(cluster, datacenter)
    found = kube.get("ConfigMap", name)
    if found is not None:
        kube.delete("ConfigMap", name, uid=found["metadata"]["uid"])


def being_restored(kube: Kube, cluster: str, datacenter: str) -> Plan | None:
    """The plan of the datacenter's restore that runs, or whose run died before its end; None where there is none.

    :raises LedgerError: somebody edited it.
    """
    found = kube.get("ConfigMap", plan_name(cluster, datacenter))
    return None if found is None else from_config_map(found)


def lock_name(cluster: str, datacenter: str) -> str:
    """One backup, restore or purge at a time of a datacenter. It is not the lock of changes: an upload takes hours, and
    a failed node can be healed meanwhile. Datacenters share no repository, so those of one cluster need not wait for
    each other: by the same clock all but one would be refused every night."""
    return f"{cluster}-{datacenter}-backup-lock"
