# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS between nodes: who calls how, who takes what, and which change leaves nodes that do not hear each other. Pure.

What Cassandra's sources say (read in 4.1.10 and 5.0.9, `EncryptionOptions.ServerEncryptionOptions`):

- `internode_encryption` decides how a node calls others (`shouldEncrypt`). What it takes from them is another matter:
  with `optional` both, without it TLS if `internode_encryption` is not none, and plain connections if it is.
- Where `optional` is not written and there is a keystore, it is true, whatever `internode_encryption` says: it is
  derived before that is looked at (`applyConfigInternal`). `rack` and `dc` make it true in any case.
- Since 5.0 a node in `optional` calls without TLS after its TLS was refused (`SslFallbackConnectionType`). That costs
  failed attempts while clients wait, so nothing is built on it here.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import configuration

KEY = "server_encryption_options"
NONE, RACK, DC, ALL = "none", "rack", "dc", "all"


@dataclass(frozen=True)
class Encryption:
    """How a node speaks with the others.

    :param internode: its internode_encryption: whom it calls by TLS.
    :param optional: it takes connections with and without TLS.
    """

    internode: str = NONE
    optional: bool = False

    def calls_by_tls(self, same_rack: bool) -> bool:
        """Whether it calls a node of its datacenter by TLS."""
        return self.internode == ALL or (self.internode == RACK and not same_rack)

    def takes(self, tls: bool) -> bool:
        """Whether it takes a connection that comes by TLS, or that comes without."""
        return self.optional or (self.internode != NONE) == tls


@dataclass(frozen=True)
class Member:
    """A node as far as the others have to hear it.

    :param pod: its name.
    :param rack: its rack's name.
    :param encryption: what its configuration says.
    """

    pod: str
    rack: str
    encryption: Encryption


def of_options(options: Mapping[str, Any]) -> Encryption:
    """What server_encryption_options come to, missing ones included.

    :param options: as in cassandra.yaml. That a keystore which is named is there is taken for granted.
    """
    internode = str(options.get("internode_encryption") or NONE).lower()
    optional = options.get("optional")
    if optional is None:
        optional = _has_keystore(options) and not _is_true(options.get("enabled"))
    return Encryption(internode, _is_true(optional) or internode in (RACK, DC))


def _has_keystore(options: Mapping[str, Any]) -> bool:
    factory = options.get("ssl_context_factory")
    inline = factory.get("parameters") if isinstance(factory, Mapping) else None
    return bool(options.get("keystore") or inline)


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def of_config_map(config_map: Mapping[str, Any]) -> Encryption:
    """What a configuration ConfigMap of this collection gives its pods."""
    options = configuration.written(config_map, KEY)
    return of_options(options) if isinstance(options, Mapping) else Encryption()


def line(config_map: Mapping[str, Any]) -> str:
    """A line of cassandra.yaml of which L(of_config_map) makes the same, without the passwords beside it."""
    encryption = of_config_map(config_map)
    options = {"internode_encryption": encryption.internode, "optional": encryption.optional}
    return f"{KEY}: {json.dumps(options)}\n"


def refusals(now: Iterable[Member], then: Iterable[Member]) -> list[str]:
    """Why nodes may not restart one after the other with what waits for them; empty when they may.

    While some have restarted and others have not, each must reach each other one.

    :param now: the nodes that run and are heard.
    :param then: those that wait for a restart, as they will be after it.
    """
    running, restarted = _kinds(now), _kinds(then)
    faults = [
        fault
        for left, changed in _pairs(running, restarted)
        for fault in (*_fault(changed, left), *_fault(left, changed))
    ]
    if not faults:
        return []
    return [
        f"{KEY}: nodes would not hear each other until all have restarted: {faults[0]}. Take one step after the other, "
        f"with a restart of all nodes after each: optional: true beside internode_encryption: {_words(running)}, then "
        f"beside internode_encryption: {_words(restarted)}, then what you want; or stop the datacenter and start it, "
        "which brings the change to all nodes at once"
    ]


_Kinds = Mapping[tuple[str, Encryption], list[Member]]


def _kinds(members: Iterable[Member]) -> _Kinds:
    """Hundreds of nodes are of few kinds: those of one rack with one configuration."""
    kinds: dict[tuple[str, Encryption], list[Member]] = {}
    for member in sorted(members, key=lambda member: member.pod):
        kinds.setdefault((member.rack, member.encryption), []).append(member)
    return kinds


def _words(kinds: _Kinds) -> str:
    return " and ".join(sorted({encryption.internode for _rack, encryption in kinds}))


def _pairs(running: _Kinds, restarted: _Kinds) -> Iterator[tuple[Member, Member]]:
    """Of each two kinds two different nodes, where there are such."""
    for some, others in itertools.product(running.values(), restarted.values()):
        # Among two of each there are two that differ, if there are any.
        yield from [(one, other) for one in some[:2] for other in others[:2] if one.pod != other.pod][:1]


def _fault(caller: Member, callee: Member) -> Iterator[str]:
    tls = caller.encryption.calls_by_tls(caller.rack == callee.rack)
    if not callee.encryption.takes(tls):
        taken = "by TLS, and it takes none" if tls else "without TLS, and it takes TLS only"
        yield f"{caller.pod} would call {callee.pod} {taken}"


def advice(config: Mapping[str, Any], path: str) -> list[str]:
    """What a person should know of TLS between nodes that lets others in.

    :param config: the user's keys of cassandra.yaml.
    :param path: of the mapping, for the messages, such as `cassandra_config`.
    """
    options = config.get(KEY)
    if not isinstance(options, Mapping) or options.get("optional") is not None:
        return []
    encryption = of_options(options)
    if encryption.internode != ALL or not encryption.optional:
        return []
    return [
        f"{path}.{KEY}.optional: is not set, and where there is a keystore Cassandra then takes connections without "
        "TLS too, also with internode_encryption: all: whoever reaches the port may speak as a node. Set it to false "
        "when all nodes call by TLS"
    ]
