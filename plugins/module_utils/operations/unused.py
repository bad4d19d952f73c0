# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configuration that no pod uses any more: a deploy takes it away, and a rollout that has brought what is newer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .. import configuration
from ..kube import Kube
from ..observe import Objects, revisions


def remove(kube: Kube, cluster: str, datacenter: str, found: Objects, check: Callable[[], None]) -> Iterator[str]:
    """Delete each, and tell what was done, in words.

    :param check: raises where the lock is lost; asked before each change.
    """
    for name, item in configurations(kube, cluster, datacenter, found).items():
        check()
        kube.delete("ConfigMap", name, uid=item["metadata"]["uid"])
        yield words(name)


def predicted(kube: Kube, cluster: str, datacenter: str, found: Objects) -> list[str]:
    """What L(remove) would do, in the same words."""
    return [words(name) for name in configurations(kube, cluster, datacenter, found)]


def words(name: str) -> str:
    return f"delete ConfigMap {name}, which no pod uses"


def configurations(kube: Kube, cluster: str, datacenter: str, found: Objects) -> dict[str, dict[str, Any]]:
    """Those that no pod and no revision a pod may come back at refers to."""
    stored = {name: item for name, item in found.all("ConfigMap").items() if configuration.is_one(item)}
    if len(stored) < 2:
        return {}
    made = revisions(kube, cluster, datacenter)
    wanted = {
        item.get("status", {}).get(key)
        for item in found.all("StatefulSet").values()
        for key in ("currentRevision", "updateRevision")
    }
    users: list[Any] = [*found.all("Pod").values(), *found.all("StatefulSet").values()]
    users += [item for item in made if item["metadata"]["name"] in wanted]
    in_use = str(users)
    return {name: item for name, item in stored.items() if name not in in_use}
