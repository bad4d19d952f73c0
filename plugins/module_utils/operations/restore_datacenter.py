# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole datacenter goes back in its own place: all nodes stop, change their data, and start together.

1. Every node has its files in its staging folder; nothing was touched yet.
2. Each volume is told to hold its node (a file that start.sh reads); the nodes are drained and their pods deleted by
   UID. They come back held: no Cassandra runs.
3. On each volume the data folder is renamed away, and the downloaded one takes its place; commit log, hints and caches
   go with the old one.
4. When every node has its data, all are let go, and start with the identity and the tokens that they had.
5. The proof: all up in every view, with the backup's host ids and tokens.

A run that was killed anywhere is taken up: which pods are held for this restore, and which volumes were changed, is
seen by looking.

Until the end is proved there is a way back: all nodes stop again, and each gets what it had, with its marks, from its
own volume.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from .. import gates, nodetool, restore_scripts, restoring
from ..backups import NodeManifest
from ..context import Context
from ..errors import CassopsError
from ..ledger import Ledger, LedgerNode
from ..observe import attempt, lets_in, together
from ..restoring import RETURN, RETURNED, Parcel, Plan
from ..view import NodeView, View
from ..wording import agree, counted
from . import draining, restore_volumes
from .cluster import Cluster
from .draining import CLOSE_LIMIT
from .patience import NO_START, NO_WORKER, Patience
from .waiting import until

PAUSE = 1.0
LOGIN_LIMIT = 30.0


def in_properties(moment: str) -> str:
    """As commitlog_archiving.properties has a moment, in UTC: C(2026:11:22 03:14:00)."""
    return moment.rstrip("Z").replace("-", ":").replace("T", " ")


class Swapping:
    """One restore of a datacenter, under the cluster's lock, from the step that it is at.

    :param save: writes the plan down.
    :param way_back: how to ask for it.
    """

    def __init__(
        self,
        cluster: Cluster,
        plan: Plan,
        documents: Mapping[str, NodeManifest],
        limit: float,
        save: Callable[[Plan], None],
        way_back: str,
        ctx: Context,
    ) -> None:
        self.cluster = cluster
        self.plan = plan
        self.documents = documents
        self.limit = limit
        self.save = save
        self.way_back = way_back
        self.ctx = ctx
        self.refused_since = 0.0

    def run(self) -> Plan:
        for step, work in (("stop", self.stop), ("swap", self.swap), ("start", self.start), ("prove", self.prove)):
            if restoring.STEPS.index(self.plan.step) <= restoring.STEPS.index(step):
                self.plan = restoring.at(self.plan, step)
                self.save(self.plan)
                work()
        return self.plan

    # All nodes stop

    def stop(self) -> None:
        """Until every pod is there, and held for this restore."""
        until(self.ending, "pods that end already to be gone", self.limit, self.ctx.progress, PAUSE)
        view = self.cluster.look().view
        running = [node for node in view.nodes if not self.is_held(node)]
        together(lambda node: self.hold(node.pod), view.nodes)
        self.drain([node for node in running if node.phase == "Running" and node.held is None])
        old = {node.pod: node.uid for node in running}
        self.cluster.check()
        for node in running:
            if node.uid:
                self.say(f"{node.pod} stops")
                self.cluster.kube.delete("Pod", node.pod, uid=node.uid)
        patience = Patience(self.cluster.kube, (*NO_START, NO_WORKER))

        def look() -> list[str]:
            seen = self.cluster.look().view
            lost = patience.lost(replace(node, held=None) for node in seen.nodes)
            if lost:
                raise CassopsError(f"{'; '.join(lost)}. All nodes are stopped; correct the cause and run it again")
            return [
                f"{node.pod} to stop" if node.uid == old.get(node.pod) else f"{node.pod} to be held for the restore"
                for node in seen.nodes
                if node.uid is None or node.uid == old.get(node.pod) or not self.is_held(node)
            ]

        until(look, "all nodes to stop", self.limit, self.ctx.progress, PAUSE)

    def ending(self) -> list[str]:
        """Nothing can be said to their volumes: the container beside Cassandra's ends first."""
        return [f"{node.pod} ends" for node in self.cluster.look().view.nodes if node.is_ending]

    def is_held(self, node: NodeView) -> bool:
        """Its container waits, by its own word, for this restore: no Cassandra has the volume."""
        return f"a restore ({self.plan.id}) puts its data in place" in (node.held or "")

    def hold(self, pod: str) -> None:
        self.cluster.check()
        restore_volumes.run(self.cluster.kube, pod, restore_scripts.HOLD, self.plan.id)

    def drain(self, nodes: list[NodeView]) -> None:
        """Clients first. What stays in a commit log would be lost to the keyspaces that are kept."""
        self.say(
            f"{counted(len(nodes), 'node')} {agree(nodes, 'closes', 'close')} CQL and {agree(nodes, 'drains', 'drain')}"
        )
        failures = draining.drain(self.cluster.kube, [node.pod for node in nodes], self.cluster.check)
        self.ctx.warnings.extend(f"{failure} It goes on all the same." for failure in failures)

    # Given up

    def go_back(self) -> None:
        """After data has changed: all nodes stop, and each gets what it had. They stay held.

        :raises CassopsError: before anything is touched, where a volume does not have that any more.
        """
        if self.plan.step != RETURN:
            self.refuse_without_old()
        self.plan = restoring.at(self.plan, RETURN)
        self.save(self.plan)
        self.stop()
        self.cluster.check()
        together(self.return_one, self.plan.parcels)
        self.write_ledger({parcel.pod: parcel.former for parcel in self.plan.parcels if parcel.former})
        self.plan = restoring.at(self.plan, RETURNED)
        self.save(self.plan)

    def refuse_without_old(self) -> None:
        """As RETURN does, which comes when all nodes are stopped. A volume that is empty by now stays so."""
        told = restore_volumes.looks(self.cluster.kube, [parcel.pod for parcel in self.plan.parcels])
        reasons, empty = [], []
        for parcel in self.plan.parcels:
            volume = told[parcel.pod]
            if isinstance(volume, CassopsError):
                reasons.append(str(volume))
            elif self.plan.id in volume.old or f"{self.plan.id}/{parcel.host_id}" in volume.ready:
                continue
            elif volume.data:
                reasons.append(f"the volume of {parcel.pod} is another one than the restore exchanged")
            elif not parcel.empty:
                empty.append(parcel.pod)
        if reasons:
            raise CassopsError(
                f"not all nodes can go back to what was there before: {'; '.join(reasons)}. Nothing was done; run the "
                "restore again, which finishes it"
            )
        if empty:
            self.ctx.warnings.append(
                f"{', '.join(empty)} had data before the restore and lost its volume since: it comes back empty, and "
                "heal replaces it from the others"
            )

    def return_one(self, parcel: Parcel) -> None:
        words = (self.plan.id, parcel.host_id, *self.plan.kept)
        restore_volumes.run(self.cluster.kube, parcel.pod, restore_scripts.RETURN, *words, limit=restore_volumes.LONG)
        self.say(f"{parcel.pod} has what it had before")

    def let_go(self) -> None:
        """Nodes that are held start as they were, and the others serve again.

        :raises CassopsError: some could not be told; all others were.
        """
        view = self.cluster.look().view
        self.cluster.check()
        told = together(lambda node: attempt(lambda: self.release(node.pod)), view.nodes)
        for node in [node for node in view.nodes if node.phase == "Running" and node.held is None]:
            opened = attempt(lambda: nodetool.run_one(self.cluster.kube, node.pod, ["enablebinary"], CLOSE_LIMIT))  # noqa: B023
            if isinstance(opened, CassopsError) and node.uid:
                # It was drained already, and refuses.
                self.say(f"{node.pod} restarts")
                self.cluster.kube.delete("Pod", node.pod, uid=node.uid)
        failed = [str(each) for each in told if isinstance(each, CassopsError)]
        if failed:
            raise CassopsError(f"not every node can be let go: {'; '.join(failed)}. Run it again when they answer")

    def release(self, pod: str) -> None:
        restore_volumes.run(self.cluster.kube, pod, restore_scripts.RELEASE, self.plan.id)

    def wait_until_running(self) -> None:
        """After the end of it.

        :raises CassopsError: a node does not come up. One that could not before the restore cannot now.
        """
        patience = Patience(self.cluster.kube, (*NO_START, NO_WORKER))
        held: list[str] = []

        def look() -> list[str]:
            view = self.cluster.look().view
            away = [node for node in view.nodes if node.held is not None and not self.is_held(node)]
            held[:] = [f"{node.pod} is held: {node.held}" for node in away]
            others = replace(view, nodes=tuple(node for node in view.nodes if node not in away))
            lost = patience.lost(others.nodes)
            if lost:
                raise CassopsError(f"the restore is given up, but {'; '.join(lost + held)}")
            return gates.running(others)

        until(look, "all nodes to run again", self.limit, self.ctx.progress, PAUSE)
        if held:
            raise CassopsError(f"the restore is given up, but {'; '.join(held)}")

    # The data changes

    def swap(self) -> None:
        sight = self.cluster.look()
        ledger, nodes = self.cluster.ledger(sight.found), sight.view.nodes
        unheld = [node.pod for node in nodes if not self.is_held(node)]
        if unheld:
            # Somebody took a mark away, or the run died before all were held.
            self.stop()
        # Until the nodes start it says who they were; one may have been replaced since the plan was made.
        self.plan = restoring.with_former(self.plan, {pod: node.host_id for pod, node in ledger.nodes.items()})
        self.save(self.plan)
        self.cluster.check()
        # Each look asks every node that is held.
        racks = {node.pod: node.rack for node in nodes}
        together(lambda parcel: self.swap_one(parcel, ledger, racks[parcel.pod]), self.plan.parcels)

    def swap_one(self, parcel: Parcel, ledger: Ledger, rack: str) -> None:
        number = ledger.volume_number(parcel.pod)
        mark = f"{ledger.id} {ledger.cluster} {ledger.datacenter} {rack} {parcel.pod}{f' {number}' if number else ''}"
        words = (self.plan.id, parcel.host_id, mark, *self.plan.kept)
        restore_volumes.run(self.cluster.kube, parcel.pod, restore_scripts.SWAP, *words, limit=restore_volumes.LONG)
        if self.plan.to:
            words = (self.plan.id, parcel.host_id, in_properties(self.plan.to))
            restore_volumes.run(self.cluster.kube, parcel.pod, restore_scripts.REPLAY, *words)
        self.say(f"{parcel.pod} has its data of {self.plan.backup}")

    # All nodes start

    def start(self) -> None:
        self.write_ledger({parcel.pod: parcel.host_id for parcel in self.plan.parcels})
        self.cluster.check()
        together(lambda parcel: self.release(parcel.pod), self.plan.parcels)
        self.say("all nodes start")

    def write_ledger(self, host_ids: Mapping[str, str]) -> None:
        """Who the nodes will be: one that was replaced since the backup has its former host id again."""
        ledger = self.cluster.ledger(self.cluster.look().found)
        wanted = ledger
        for pod, host_id in host_ids.items():
            there = ledger.nodes.get(pod, LedgerNode(pod))
            wanted = wanted.with_node(replace(there, host_id=host_id)).without_replacement(pod)
        self.cluster.write_ledger(ledger, wanted)

    # The proof

    def prove(self) -> None:
        """Every node is up in every view, and is who it was.

        :raises CassopsError: a node does not come up, or has other tokens than the backup's.
        """
        wrong = self.not_as_it_was(self.wait_until_up())
        if wrong:
            raise CassopsError(f"the nodes are up, but {'; '.join(wrong)}")

    def wait_until_up(self) -> View:
        patience = Patience(self.cluster.kube, (*NO_START, NO_WORKER))
        latest: list[View] = []

        def look() -> list[str]:
            sight = self.cluster.look()
            lost = patience.lost(sight.view.nodes)
            if lost:
                raise CassopsError(
                    f"{'; '.join(lost).rstrip()}\nWhat was there before the restore is still on the volumes: correct "
                    f"the cause and run it again, or go back to that ({self.way_back})"
                )
            reasons = gates.running(sight.view)
            if reasons:
                return reasons
            reasons = self.login_refused(sight.view)
            if reasons:
                return reasons
            # All of them: each tells its own host id and tokens.
            seen = self.cluster.ask_all(sight, busy=False)
            latest[:] = [seen.view]
            return gates.whole(seen.view)

        until(look, "all nodes to be up again", self.limit, self.ctx.progress, PAUSE)
        return latest[0]

    def login_refused(self, view: View) -> list[str]:
        """With the backup's roles, the password of that time is in force again. A node's cache may lag a moment.

        :raises CassopsError: the login stays refused.
        """
        login, pod = self.cluster.own.credentials, view.nodes[0].pod
        told = attempt(lambda: lets_in(self.cluster.kube, pod, login, LOGIN_LIMIT))
        if isinstance(told, CassopsError):
            self.refused_since = 0.0
            return [str(told)]
        if told:
            return []
        self.refused_since = self.refused_since or time.monotonic()
        if time.monotonic() - self.refused_since > LOGIN_LIMIT:
            raise CassopsError(
                f"{pod} refuses the superuser's login: the roles are those of backup {self.plan.backup}. Put the "
                "username and password of that time into the superuser's Secret, and run the restore again: it goes on "
                "with the proof"
            )
        return [f"{pod} to take the superuser's login"]

    def not_as_it_was(self, view: View) -> list[str]:
        reasons = []
        ledger = self.cluster.ledger(self.cluster.look().found)
        for parcel in self.plan.parcels:
            seen = view.observations.get(parcel.pod)
            # The ledger had the backup's host ids when the nodes started: another one is that of a replacement since.
            known = ledger.nodes.get(parcel.pod, LedgerNode(parcel.pod)).host_id
            if seen is None:
                reasons.append(f"{parcel.pod} does not say who it is")
            elif seen.own.host_id not in (parcel.host_id, known):
                reasons.append(f"{parcel.pod} has host id {seen.own.host_id}, and the backup {parcel.host_id}")
            elif seen.own.tokens != tuple(sorted(self.documents[parcel.host_id].tokens)):
                reasons.append(f"{parcel.pod} has other tokens than in the backup")
        return reasons

    def say(self, text: str) -> None:
        self.ctx.progress(text, important=True)
