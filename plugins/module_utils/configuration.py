# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user may write into cassandra.yaml, checked against the keys that the version knows. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from . import settings

_NETWORK = "the start script sets it from the pod and from the node's address in the ledger"
_VOLUME = "the volume is mounted at /var/lib/cassandra, and the start script looks there to tell whether a node is new"
_PORT = "the Services, the readiness probe and the automation rely on Cassandra's usual ports"

OWNED: Mapping[str, str] = {
    "cluster_name": "it is the variable `cluster`",
    "listen_address": _NETWORK,
    "listen_interface": _NETWORK,
    "listen_interface_prefer_ipv6": _NETWORK,
    "listen_on_broadcast_address": _NETWORK,
    "broadcast_address": _NETWORK,
    "broadcast_rpc_address": _NETWORK,
    "rpc_address": _NETWORK,
    "rpc_interface": _NETWORK,
    "rpc_interface_prefer_ipv6": _NETWORK,
    "seed_provider": "the seeds come from the ledger",
    "initial_token": "the tokens of new nodes are planned evenly, and later nodes choose their own",
    "auto_bootstrap": "the start script decides it from the volume and the ledger",
    "start_native_transport": "CQL stays closed until the superuser stands, and is open afterwards",
    "data_file_directories": _VOLUME,
    "commitlog_directory": _VOLUME,
    "saved_caches_directory": _VOLUME,
    "hints_directory": _VOLUME,
    "cdc_raw_directory": _VOLUME,
    "local_system_data_file_directory": _VOLUME,
    "storage_port": _PORT,
    "ssl_storage_port": _PORT,
    "native_transport_port": _PORT,
    "native_transport_port_ssl": _PORT,
}
"""Keys that belong to the collection, with the reason that the user is told."""

ONLY: Mapping[str, tuple[str, str]] = {
    "endpoint_snitch": ("GossipingPropertyFileSnitch", "racks and datacenters come from the inventory"),
    "partitioner": ("Murmur3Partitioner", "the tokens are planned for it"),
    "role_manager": ("CassandraRoleManager", "the superuser is a role in Cassandra's own tables"),
}
"""Keys with one value that works, and why."""

NEEDED: Mapping[str, str] = {
    **{key: why for key, (_name, why) in ONLY.items()},
    "authenticator": "it lets everybody in",
    "num_tokens": "the tokens are planned for a number",
    "storage_compatibility_mode": "it may be a step back, which Cassandra refuses",
}
"""Keys that cannot be left to Cassandra's own default, and why."""

ENCRYPTION = ("client_encryption_options", "server_encryption_options")
MAX_NUM_TOKENS = 1024


def check(config: Mapping[str, Any], release: tuple[int, int, int], path: str) -> list[str]:
    """What is wrong with the user's cassandra.yaml keys, one sentence a fault; empty when nothing is.

    :param config: the keys, under present names or under old names that the version still takes.
    :param release: Cassandra version, such as (5, 0, 9).
    :param path: path of the mapping for the messages, such as `cassandra_config`.
    """
    return [
        *(error for key in sorted(config) for error in _check_key(key, config[key], release, f"{path}.{key}")),
        *_twice(config, release[:2], path),
    ]


def present_name(key: str, line: settings.Line) -> str:
    """The name that this line of Cassandra uses for a key; the key itself unless it was renamed."""
    return settings.RENAMED[line].get(key, key)


def class_name(value: Any) -> str:
    """Short name of a pluggable class, given as a string or (since 5.0) as a mapping with class_name."""
    name = value.get("class_name", "") if isinstance(value, Mapping) else value
    return str(name).rpartition(".")[2]


def is_one(config_map: Mapping[str, Any]) -> bool:
    """Whether a ConfigMap holds a node's configuration. Its name does not tell: a cluster may be called app-config."""
    return "cassandra.yaml" in (config_map.get("data") or {})


def written(config_map: Mapping[str, Any], key: str) -> Any:
    """The value of a key in a configuration ConfigMap of this collection, which has a line a key with its value as
    JSON; None where there is none."""
    start = f"{key}: "
    lines = config_map["data"].get("cassandra.yaml", "").splitlines()
    return next((json.loads(line.removeprefix(start)) for line in lines if line.startswith(start)), None)


def _check_key(key: str, value: Any, release: tuple[int, int, int], path: str) -> Iterator[str]:
    line = release[:2]
    if key in OWNED:
        yield f"{path}: cannot be set: {OWNED[key]}; take it out"
    elif key not in settings.KEYS[line] and key not in settings.RENAMED[line]:
        yield f"{path}: Cassandra {line[0]}.{line[1]} has no such key in cassandra.yaml{_nearest(key, line)}"
    elif release[2] < (patch := settings.SINCE[line].get(key, 0)):
        since, here = f"{_dotted(line)}.{patch}", ".".join(map(str, release))
        yield f"{path}: came with Cassandra {since}; {here} would not start with it: take it out, or take {since}"
    elif value is None and key in NEEDED:
        yield f"{path}: must not be null, Cassandra's own default: {NEEDED[key]}; leave it out, or give it a value"
    elif value is not None:
        yield from _check_value(key, value, path)


def _check_value(key: str, value: Any, path: str) -> Iterator[str]:
    if key in ONLY and class_name(value) != ONLY[key][0]:
        yield f"{path}: must be {ONLY[key][0]}, got {value!r}: {ONLY[key][1]}"
    if key == "authenticator" and class_name(value) == "AllowAllAuthenticator":
        yield f"{path}: AllowAllAuthenticator lets everybody in and makes the superuser meaningless; leave it out"
    if key in ENCRYPTION and not isinstance(value, Mapping):
        # Whatever it is may hold a password.
        yield f"{path}: must be a mapping of options, got a {type(value).__name__}"
    if key == "client_encryption_options" and _wants_certificates(value):
        needed = "must be false, or have optional: true beside it"
        yield f"{path}.require_client_auth: {needed}: the automation has no certificate"
    if key == "num_tokens" and not (isinstance(value, int) and 1 <= value <= MAX_NUM_TOKENS):
        yield f"{path}: must be a whole number from 1 to {MAX_NUM_TOKENS}, got {value!r}"


def _wants_certificates(options: Any) -> bool:
    """Whether only clients with a certificate get in."""
    demanded = _is_on(options, "enabled") and _is_on(options, "require_client_auth")
    return demanded and not _is_on(options, "optional")


def _is_on(options: Any, name: str) -> bool:
    return isinstance(options, Mapping) and str(options.get(name)).lower() == "true"


def _nearest(key: str, line: settings.Line) -> str:
    renamed = {new: old for old, new in settings.RENAMED[(5, 0)].items()}
    if line == (4, 0) and renamed.get(key) in settings.KEYS[line]:
        return f"; its name there is {renamed[key]}"
    others = [other for other in settings.KEYS if key in settings.KEYS[other]]
    if others and max(others) < line:
        return f"; it was there up to {_dotted(max(others))}: take it out"
    if others and min(others) > line:
        return f"; it came with {_dotted(min(others))}"
    names = (settings.KEYS[line] | set(settings.RENAMED[line])) - set(OWNED)
    found = difflib.get_close_matches(key, sorted(names), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _dotted(line: settings.Line) -> str:
    return ".".join(map(str, line))


def _twice(config: Mapping[str, Any], line: settings.Line, path: str) -> Iterator[str]:
    for old, new in sorted(settings.RENAMED[line].items()):
        if old in config and new in config:
            yield f"{path}.{old}: is the old name of {new}, which is set too; keep {new} only"
