# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event source of ansible-rulebook that looks after the nodes of one Cassandra datacenter.

It watches the pods, and at every change and now and then it looks at everything and decides, as the module heal does in
check mode. An event tells what it decided, whenever that changes.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# ansible-rulebook runs this file by its path; the collection that it is part of need not be where Python looks.
COLLECTIONS = str(Path(__file__).absolute().parents[7])
if COLLECTIONS not in sys.path:
    sys.path.append(COLLECTIONS)

from ansible_collections.cassops.kubernetes.plugins.module_utils.context import Context  # noqa: E402
from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import CassopsError  # noqa: E402
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube  # noqa: E402
from ansible_collections.cassops.kubernetes.plugins.module_utils.lock import has_lapsed  # noqa: E402
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import labels  # noqa: E402
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import heal  # noqa: E402
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.cluster import (  # noqa: E402
    Cluster,
    lock_name,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.healing import Healing, facts  # noqa: E402
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.actions import NONE  # noqa: E402

DOCUMENTATION = r"""
short_description: Tell when nodes of a Cassandra datacenter fail, and whether heal may do something about it
description:
  - Watches the pods of a datacenter. At every change, and every O(interval) seconds, it looks at all nodes and decides
    as the module C(cassops.kubernetes.heal) does; it changes nothing.
  - An event has one key, C(cassandra), with C(cluster), C(datacenter), C(namespace), C(whole) (nothing is wrong),
    C(act) (heal would do something now) and C(decisions) (of the nodes that something is wrong with, as heal returns
    them). When it has not been able to look for O(repeat) seconds, it says why in a further key, C(blind).
  - Events come when the decisions change, and while something is left that heal would do, every O(repeat) seconds,
    unless somebody holds the lock of the cluster just then.
options:
  cluster:
    description: Name of the Cassandra cluster.
    type: str
    required: true
  datacenter:
    description: Name of the datacenter.
    type: str
    required: true
  namespace:
    description: Namespace of the datacenter. Default is that of the context, or of the pod.
    type: str
  kubeconfig:
    description: Path of the kubeconfig, as for the modules.
    type: str
  context:
    description: Context of the kubeconfig.
    type: str
  superuser_secret:
    description: Secret with the login for the nodes. Default is the name of the cluster with C(-superuser).
    type: str
  grace:
    description: For how many seconds a worker may be silent before a person is asked about it.
    type: int
    default: 300
  interval:
    description: Seconds between two looks while no pod changes.
    type: int
    default: 60
  repeat:
    description: Seconds after which what heal would do is told again.
    type: int
    default: 300
"""

EXAMPLES = r"""
- cassops.kubernetes.failed_nodes:
    cluster: shop
    datacenter: dc1
    namespace: cassandra
"""

# Seconds between two looks at least: a pod that starts changes several times.
PAUSE = 3.0
BLIND = "blind"
CONNECTION = ("kubeconfig", "context", "namespace", "superuser_secret")

logger = logging.getLogger(__name__)


class Watch:
    """Looks, and remembers what it has told."""

    def __init__(self, args: Mapping[str, Any]) -> None:
        defaults = {name: spec.get("default") for name, spec in heal.ARGUMENT_SPEC.items()}
        given = {name: args[name] for name in CONNECTION if args.get(name)}
        self.params = {**defaults, **given, "cluster": args["cluster"], "datacenter": args["datacenter"]}
        self.params["grace"] = int(defaults["grace"] if args.get("grace") in (None, "") else args["grace"])
        self.interval = float(args.get("interval") or 60)
        self.repeat = float(args.get("repeat") or 300)
        self.context = Context()
        self.kube: Kube = self.context.kube(self.params)
        self._pods: Any = None
        self._told: Any = None
        self._told_at = 0.0
        self._ghosts: dict[str, float] = {}
        self._blind_since: float | None = None

    def wait(self) -> None:
        """Until a pod is another one, or in another state, or until it is time to look all the same."""
        selector = labels(self.params["cluster"], self.params["datacenter"])
        for pods in self.kube.observe("Pod", selector, self.interval, tick=self.interval):
            states = {name: state_of(pod) for name, pod in pods.items()}
            if states != self._pods:
                self._pods = states
                return

    def look(self) -> dict[str, Any] | None:
        """An event, if there is something to tell."""
        try:
            healing = Healing(Cluster(self.params, self.context), self.params, self.context, ghosts=self._ghosts)
            decisions = healing.look().decisions
        except CassopsError as error:
            logger.warning("failed_nodes: %s", error)
            return self.blind(str(error))
        self._blind_since = None
        wrong = [each for each in decisions if each.action != NONE]
        act = any(each.acts for each in wrong)
        # Reasons count seconds; what is told anew is another decision.
        telling = [(each.node, each.row, each.action) for each in wrong]
        again = act and time.monotonic() - self._told_at > self.repeat and not self.locked()
        if telling == (self._told or []) and not again:
            return None
        self._told, self._told_at = telling, time.monotonic()
        return self.event(whole=not wrong, act=act, decisions=[facts(each) for each in wrong])

    def blind(self, why: str) -> dict[str, Any] | None:
        """An event, when nobody has been able to look for a while: that it is silent must not pass for good news."""
        now = time.monotonic()
        if self._blind_since is None:
            self._blind_since = now
        # Each time may have other words.
        if self._told is BLIND or now - self._blind_since < self.repeat:
            return None
        self._told = BLIND
        return self.event(whole=False, act=False, decisions=[], blind=why)

    def event(self, **told: Any) -> dict[str, Any]:
        names = {"cluster": self.params["cluster"], "datacenter": self.params["datacenter"]}
        return {"cassandra": {**names, "namespace": self.kube.namespace, **told}}

    def locked(self) -> bool:
        """Whether a run changes the cluster just now; one that was killed lets go of nothing."""
        lease = self.kube.get("Lease", lock_name(self.params["cluster"]))
        return lease is not None and not has_lapsed(lease, self.kube.server_time())


def state_of(pod: Mapping[str, Any]) -> Any:
    status = pod.get("status", {})
    conditions = {item["type"]: item["status"] for item in status.get("conditions", ())}
    return pod["metadata"]["uid"], status.get("phase"), conditions, "deletionTimestamp" in pod["metadata"]


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """What ansible-rulebook calls; it never ends."""
    watch = Watch(args)
    while True:
        try:
            event = await asyncio.to_thread(watch.look)
            if event is not None:
                await queue.put(event)
            await asyncio.sleep(PAUSE)
            await asyncio.to_thread(watch.wait)
        except CassopsError as error:
            # The API server is away, the datacenter does not run: it may be back.
            logger.warning("failed_nodes: %s", error)
            await asyncio.sleep(watch.interval)
