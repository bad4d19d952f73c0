# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired datacenter as Kubernetes objects. Pure: one file a kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ledger import Ledger
from ..spec import Datacenter

Object = dict[str, Any]


def build(datacenter: Datacenter, ledger: Ledger, partitions: Mapping[str, int] | None = None) -> list[Object]:
    """Every object of the datacenter but the ledger, the Secret and the lock, in the order to apply them.

    :param ledger: gives the addresses that the nodes' Services keep.
    :param partitions: by rack name, the StatefulSet's partition; default is the rack's number of nodes, so that
        applying never restarts a pod.
    """
    raise NotImplementedError


def ledger_config_map(datacenter: Datacenter, ledger: Ledger) -> Object:
    """The ConfigMap `<prefix>-ledger` with the ledger as its data."""
    raise NotImplementedError


def differences(desired: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """Paths of the fields of `desired` that `live` does not have with the same value; what only `live` has is ignored."""
    raise NotImplementedError
