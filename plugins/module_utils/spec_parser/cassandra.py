# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node runs: Cassandra's version, its image, cassandra.yaml and options of Java. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .. import configuration
from ..spec import release_of
from .reader import Reader

SUPPORTED = ((4, 0), (4, 1), (5, 0))


def read_version(reader: Reader) -> tuple[str, tuple[int, int, int] | None]:
    """The version, and the same as numbers; None where it cannot be run."""
    text = reader.required("version", "a full Cassandra version, such as 5.0.9")
    if not text:
        return text, None
    fault = _version_fault(text)
    if fault:
        reader.fault("version", fault)
        return text, None
    return text, release_of(text)


def _version_fault(version: str) -> str:
    """Why this version cannot be run, or an empty string when it can."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        begins = re.match(r"(\d+)", version)
        if not (begins and (int(begins.group(1)) < 4 or int(begins.group(1)) > 5)):
            return f"must be a full released version such as 5.0.9, got {version!r}"
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers[0] < 4:
        return (
            f"{version} is not supported: 3.11 and older ended their life when 5.0 was released (September 2024),"
            " have no virtual tables to look into, and need Java 8; upgrade outside of this collection on the path"
            " 3.11 -> 4.0 or 4.1 -> 5.0, then move the data into a new cluster (docs/migration.md)"
        )
    if numbers[0] >= 6:
        return f"{version} is not supported: Cassandra {numbers[0]} has not been released; use 5.0"
    if numbers not in SUPPORTED:
        lines = ", ".join(f"{major}.{minor}" for major, minor in SUPPORTED)
        return f"{version} is not supported: there is no such line; supported are {lines}"
    return ""


def read_image(reader: Reader, version: str) -> str:
    """The tag may say nothing of Cassandra's version; where it does, it must be the one that is checked."""
    image = reader.text("image")
    tag = re.search(r":(\d+\.\d+\.\d+)(?![\d.])[^/@]*(@|$)", image)
    if tag and version and tag[1] != version and release_of(tag[1])[:2] in SUPPORTED:
        reader.fault("image", f"its tag says Cassandra {tag[1]}, and {reader.prefix}version is {version}")
    return image or f"docker.io/library/cassandra:{version}"


def read_config(reader: Reader, release: tuple[int, int, int] | None) -> dict[str, Any]:
    """Keys of cassandra.yaml, checked where the version is known."""
    given = reader.structure("config", reader.values.get("config"), dict)
    config = {str(key): value for key, value in given.items()}
    tokens = config.get("num_tokens")
    if isinstance(tokens, str) and tokens.strip().isdigit():
        config["num_tokens"] = int(tokens)
    if release is not None:
        reader.faults += configuration.check(config, release, f"{reader.prefix}config")
    return config


def read_jvm_options(reader: Reader) -> tuple[str, ...]:
    """A list, or a text with spaces between the options."""
    given = reader.values.get("jvm_options")
    if isinstance(given, str) and not given.strip().startswith("["):
        given = given.split()
    options = tuple(str(option) for option in reader.structure("jvm_options", given, list))
    for index, option in enumerate(options):
        fault = _jvm_option_fault(option)
        if fault:
            reader.fault(f"jvm_options[{index}]", fault)
    return options


_OWNED_JVM_OPTIONS: Mapping[str, str] = {
    "-Xmx": "the heap is set by `heap`",
    "-Xms": "the heap is set by `heap`",
    "-XX:MaxHeapSize": "the heap is set by `heap`",
    "-XX:InitialHeapSize": "the heap is set by `heap`",
    "-XX:MaxRAMPercentage": "the heap is set by `heap`",
    "-Dcassandra.replace_": "the start script decides who may replace a node",
    "-Dcassandra.allow_unsafe_": "it takes away the checks that keep two nodes from owning the same data",
    "-Dcassandra.allow_empty_replace_address": "the start script decides who may replace a node",
    "-Dcassandra.override_decommission": "a node that left must not come back with its old data",
    "-Dcassandra.config": "the start script writes the configuration; use `config`",
    "-Dcassandra.settings.": "use `config`",
    "-Dcassandra.storagedir": "the volume is mounted at /var/lib/cassandra",
    "-Dcassandra.initial_token": "the tokens come from the ledger",
    "-Dcassandra.reset_bootstrap_progress": "the start script decides how a join that died goes on",
    "-Dcassandra.consistent.": "new nodes would take data from replicas that lack acknowledged writes",
    "-Dcassandra.maxHintTTL": "heal counts on hints for as long as cassandra.yaml says",
    "-Dcassandra.auto_bootstrap": "a node that joins without streaming has none of the rows that it owns",
    "-Dcassandra.join_ring": "a node that does not join is never ready",
    "-Dcassandra.write_survey": "a node that does not join is never ready",
    "-Dcassandra.start_native_transport": "the start script decides when CQL opens",
    "-Dcassandra.native_transport_port": "the Services and the readiness probe rely on the usual port",
    "-Dcassandra.storage_port": "the Services rely on the usual port",
    "-Dcassandra.ssl_storage_port": "the Services rely on the usual port",
}


def _jvm_option_fault(option: str) -> str:
    if not option.startswith("-"):
        return f"must begin with -, got {option!r}"
    if re.search(r"[\s'\"`$\\*?]", option):
        return f"must be without spaces, quotes and shell characters (the launcher splits at spaces), got {option!r}"
    for owned, reason in _OWNED_JVM_OPTIONS.items():
        if option.startswith(owned):
            return f"{option} cannot be set: {reason}; take it out"
    return ""
