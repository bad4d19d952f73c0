# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a replacement: a ConfigMap that is written before anything is deleted, and goes when it is done. Pure.

It keeps what could not be found out later: who the dead node was, which volume is to be given up, since when it was
down. What can be found out by looking (is the volume gone, does the new node stream) is not in it, so a run that was
killed anywhere is taken up by looking.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import LedgerError

NUMBERS = ("began", "down_since")
COUNTS: Mapping[str, int] = {"number": 0, "attempt": 1}
LISTS = ("accepted",)
# Stands for a field of which nothing is known, in a line.
_UNKNOWN = "-"


@dataclass(frozen=True)
class GivenUp:
    """A volume that a node gives up.

    :param claim_uid: the volume claim.
    :param volume: the PersistentVolume behind the claim, and C(worker) where it is; empty where not known.
    """

    claim_uid: str
    volume: str = ""
    worker: str = ""


@dataclass(frozen=True)
class Plan:
    """A replacement that was begun.

    :param pod: the node.
    :param address: of the dead node, as the living know it; the replacement is approved for it alone.
    :param host_id: of the dead node.
    :param tokens: hash of its tokens, see L(hash_of).
    :param claim_uid: the volume claim to be given up, with C(volume) and C(worker) as in L(GivenUp); empty where the
        volume came back empty and is kept.
    :param pod_uid: the pod that was there; another one is a new attempt.
    :param number: how many volumes the node has given up with this one; part of the mark on the next.
    :param attempt: from the second one on the volume to be given up is what the attempt before has left.
    :param earlier: the volumes that the attempts before this one gave up.
    :param reason: the decision, in words.
    :param began: when the replacement began, in seconds since 1970 by the API server's clock.
    :param down_since: since when the node is down, likewise; None where nobody knows.
    :param accepted: keyspaces of which rows may be lost by it, as the user accepted.
    :param wished: the node was well: it gives its volume up for another one.
    """

    pod: str
    address: str
    host_id: str
    tokens: str
    claim_uid: str = ""
    pod_uid: str = ""
    number: int = 0
    attempt: int = 1
    volume: str = ""
    worker: str = ""
    reason: str = ""
    began: float = 0.0
    down_since: float | None = None
    accepted: tuple[str, ...] = ()
    wished: bool = False
    earlier: tuple[GivenUp, ...] = ()

    @property
    def volumes(self) -> tuple[GivenUp, ...]:
        """What it gives up, the first one first."""
        now = (GivenUp(self.claim_uid, self.volume, self.worker),) if self.claim_uid else ()
        return (*self.earlier, *now)

    def to_data(self) -> dict[str, str]:
        """The C(data) of the ConfigMap."""
        told: dict[str, str] = {}
        for key, value in vars(self).items():
            if value is None:
                told[key] = ""
            elif key in LISTS:
                told[key] = ",".join(value)
            elif key == "earlier":
                told[key] = "".join(f"{line(each)}\n" for each in value)
            else:
                told[key] = f"{value:.0f}" if key in NUMBERS else str(value)
        return told


def plan_name(cluster: str, datacenter: str) -> str:
    """Name of the ConfigMap: a datacenter has one replacement at a time."""
    return f"{cluster}-{datacenter}-replacement"


def from_config_map(config_map: Mapping[str, Any]) -> Plan:
    """Read a plan as the API server returns it.

    :raises LedgerError: it cannot be read; the message names it.
    """
    data: Mapping[str, str] = config_map.get("data") or {}
    known = {key: data[key] for key in Plan.__dataclass_fields__ if key in data}
    values: dict[str, Any] = dict(known)
    try:
        for key in NUMBERS:
            if key in known:
                values[key] = float(known[key]) if known[key] else None
        for key, otherwise in COUNTS.items():
            values[key] = int(known.get(key) or otherwise)
        values["wished"] = known.get("wished") == str(True)
        for key in LISTS:
            values[key] = tuple(name for name in known.get(key, "").split(",") if name)
        values["earlier"] = tuple(map(from_line, known.get("earlier", "").splitlines()))
        return Plan(**values)
    except (TypeError, ValueError) as error:
        name = config_map.get("metadata", {}).get("name", "replacement")
        raise LedgerError(
            f"ConfigMap {name} cannot be read: {error}; see which node it names, and delete it if that node is well"
        ) from error


def line(volume: GivenUp) -> str:
    return f"{volume.claim_uid} {volume.volume or _UNKNOWN} {volume.worker or _UNKNOWN}"


def from_line(text: str) -> GivenUp:
    """:raises ValueError: it has not three words."""
    claim_uid, *rest = text.split()
    volume, worker = ("" if word == _UNKNOWN else word for word in rest)
    return GivenUp(claim_uid, volume, worker)


def hash_of(tokens: Iterable[int]) -> str:
    """A short name of a set of tokens: a node may have hundreds."""
    return hashlib.sha256(",".join(map(str, sorted(tokens))).encode()).hexdigest()[:16]
