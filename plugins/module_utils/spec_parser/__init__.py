# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired datacenter out of an inventory's values, or every error of them at once. Pure: one file a subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import SpecError
from ..spec import BackupPlan, Datacenter
from .backup import read_backup, read_bandwidth
from .cassandra import read_config, read_image, read_jvm_options, read_version
from .racks import check_lengths, read_racks, read_tokens
from .reader import Reader
from .resources import read_heap, read_resources, read_storage_size
from .schedule import read_repair

ADDRESSES = ("service", "pod")


def parse(values: Mapping[str, Any], prefix: str = "") -> Datacenter:
    """Check the values and fill in the defaults.

    Values may be strings where they come from a survey or from `-e`: "3" is 3, "true" is true, and a list or mapping
    may be written as JSON.

    :param values: the inventory variables without their prefix; other keys than ours are ignored.
    :param prefix: put before each path in the errors; `cassandra_` when a role calls.
    :raises SpecError: with every error found, each `<path>: <what is wrong, what was got, what to do>`.
    """
    return _datacenter(Reader(values, prefix))


def parse_backup(values: Any, prefix: str = "") -> BackupPlan:
    """Check C(cassandra_backup) alone, for what is done to backups. Raises as L(parse) does."""
    reader = Reader({"backup": values}, prefix)
    plan = read_backup(reader)
    reader.end()
    if plan is None:
        raise SpecError([f"{prefix}backup: is not set; say where the backups are (docs/operations/backup.md)"])
    return plan


def parse_bandwidth(option: str, value: Any, prefix: str = "") -> int:
    """Check an option that is a number of bytes per second; 0 is no limit, and the default. Raises as L(parse) does."""
    reader = Reader({}, prefix)
    amount = read_bandwidth(reader, option, value, "0")
    reader.end()
    return amount


def _datacenter(reader: Reader) -> Datacenter:
    cluster = reader.label("cluster", starts_with_letter=True)
    name = reader.label("datacenter")
    racks = read_racks(reader)
    check_lengths(reader, cluster, name, racks)
    version, release = read_version(reader)
    storage = reader.mapping("storage", ("class", "size"))
    resources = read_resources(reader)
    parsed = Datacenter(
        cluster=cluster,
        name=name,
        version=version,
        image=read_image(reader, version),
        racks=racks,
        storage_class=str(storage["class"]) if storage.get("class") else None,
        storage_size=read_storage_size(reader, storage),
        resources=resources,
        heap=read_heap(reader, resources),
        config=read_config(reader, release),
        jvm_options=read_jvm_options(reader),
        superuser_secret=_secret(reader, cluster),
        pod_template=reader.template("pod_template", reader.values.get("pod_template")),
        address=_address(reader),
        self_replace=reader.flag("self_replace"),
        allow_shared_workers=reader.flag("allow_shared_workers"),
        workers_on_demand=reader.flag("workers_on_demand"),
        backup=read_backup(reader),
        repair=read_repair(reader),
    )
    parsed = replace(parsed, tokens=read_tokens(reader, parsed))
    reader.end()
    return parsed


def _secret(reader: Reader, cluster: str) -> str:
    name = reader.text("superuser_secret") or f"{cluster}-superuser"
    if not reader.text("superuser_secret"):
        return name
    reader.check_object_name("superuser_secret", name)
    return name


def _address(reader: Reader) -> str:
    address = reader.text("address") or ADDRESSES[0]
    if address not in ADDRESSES:
        reader.fault("address", f"must be one of {' and '.join(ADDRESSES)}, got {address!r}")
    return address
