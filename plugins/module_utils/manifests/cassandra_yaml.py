# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""cassandra.yaml: our defaults, the user's keys over them, and the keys that the cluster's history decides. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .. import configuration
from ..ledger import Ledger
from ..spec import DEFAULT_NUM_TOKENS, Datacenter

DATA = "/var/lib/cassandra"

# What Cassandra does not default to, or must be told. Everything else keeps Cassandra's own default.
_DEFAULTS: Mapping[str, Any] = {
    "num_tokens": DEFAULT_NUM_TOKENS,
    "authenticator": "PasswordAuthenticator",
    "authorizer": "CassandraAuthorizer",
    "role_manager": "CassandraRoleManager",
    "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
    "endpoint_snitch": "GossipingPropertyFileSnitch",
    "commitlog_sync": "periodic",
    # A disk that fails ends the process: Kubernetes then shows it, and the other nodes see the node down. Cassandra's
    # "stop" would leave a process that does nothing and looks alive.
    "disk_failure_policy": "die",
    "commit_failure_policy": "die",
    "data_file_directories": [f"{DATA}/data"],
    "commitlog_directory": f"{DATA}/commitlog",
    "saved_caches_directory": f"{DATA}/saved_caches",
    "hints_directory": f"{DATA}/hints",
    "cdc_raw_directory": f"{DATA}/cdc_raw",
}
_SYNC_PERIOD = {(4, 0): ("commitlog_sync_period_in_ms", 10000)}
_SYNC_PERIOD_SINCE_4_1 = ("commitlog_sync_period", "10000ms")


def cassandra_yaml(datacenter: Datacenter, ledger: Ledger) -> str:
    """The file without the keys that differ from node to node, which the start script appends.

    One line a key, sorted, with its value as JSON, which is YAML: no library is needed to write it, and a shell script
    can append to it.

    :param ledger: its `born_version` decides about the storage format, see `history`.
    """
    line = datacenter.release[:2]
    period, value = _SYNC_PERIOD.get(line, _SYNC_PERIOD_SINCE_4_1)
    ours = {**_DEFAULTS, period: value, **history(datacenter.release, ledger.born_version)}
    # A default gives way to the user's value, also when the user writes the key's old name: both would be refused.
    taken = {configuration.present_name(key, line) for key in datacenter.config}
    if datacenter.config.get("commitlog_sync", "periodic") != "periodic":
        # Cassandra does not start with a period beside batch or group (DatabaseDescriptor, 4.0 to 5.0).
        taken.add(period)
    keys = {
        "cluster_name": datacenter.cluster,
        **{key: value for key, value in ours.items() if key not in taken},
        **{key: value for key, value in datacenter.config.items() if value is not None},
    }
    return "".join(f"{key}: {json.dumps(keys[key], sort_keys=True)}\n" for key in sorted(keys))


def history(release: tuple[int, int, int], born_version: str) -> dict[str, Any]:
    """Keys whose right value depends on the Cassandra version that the datacenter was first deployed with.

    - `uuid_sstable_identifiers_enabled` (since 4.1) gives SSTables names that no other node has, which backups can
      rely on. It cannot be turned off once used, so it belongs to datacenters that were born with it.
    - `storage_compatibility_mode` (since 5.0): a datacenter born on 5.0 has no older files and takes NONE. One that
      comes from 4.x stays on CASSANDRA_4, which keeps the way back to 4.x open, until its owner steps it through
      UPGRADING to NONE in `config`; never skipped, never back.

    :param born_version: from the ledger; when it is not known, the older formats are kept.
    """
    born = tuple(int(number) for number in born_version.split(".")[:2]) if born_version else (0, 0)
    keys: dict[str, Any] = {}
    if release >= (4, 1, 0):
        keys["uuid_sstable_identifiers_enabled"] = born >= (4, 1)
    if release >= (5, 0, 0):
        keys["storage_compatibility_mode"] = "NONE" if born >= (5, 0) else "CASSANDRA_4"
    return keys
