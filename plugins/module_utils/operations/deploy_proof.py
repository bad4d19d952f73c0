# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a deploy: a datacenter that is whole in every view, and that refuses the default login."""

from __future__ import annotations

from .. import cql, gates
from ..errors import CassopsError
from ..ledger import Ledger
from ..observe import Objects, ask, together
from ..view import View
from ..wording import counted
from . import superuser
from .deploying import Deploy, give_up
from .doors import Doors
from .patience import Patience
from .waiting import until


class Proof:
    """Asked of the nodes. Those that a rollout sees to, and those that a person gives up, are left out."""

    def __init__(self, deploy: Deploy, doors: Doors) -> None:
        self.deploy = deploy
        self.doors = doors
        self.kube = deploy.kube
        self.ctx = deploy.ctx
        self.doubt = superuser.Doubt()

    def wait_whole(self, ledger: Ledger, first: Objects) -> tuple[Objects, View]:
        """Until the datacenter is whole in every view; what was seen then.

        :param first: what was found a moment ago, to spare a look.
        """
        wanted = self.deploy.credentials()
        patience = Patience(self.kube)
        latest: list[tuple[Objects, View]] = []

        def look() -> list[str]:
            found = self.deploy.glance(first) if latest else first
            seen = self.deploy.snapshot(found)
            others = seen.without(self.left_out(seen))
            give_up(patience, others)
            reasons = gates.running(others)
            if reasons:
                self.doors.open_again(ledger, found)
            else:
                seen = ask(self.kube, seen, wanted)
                self.give_up_login(seen)
                reasons = gates.whole(seen.without(self.left_out(seen)))
            latest[:] = [(found, seen)]
            return reasons

        until(look, f"{counted(len(ledger.nodes), 'node')} to be whole", self.deploy.limit, self.ctx.progress)
        found, seen = latest[0]
        self.tell(seen)
        return found, seen

    def tell(self, seen: View) -> None:
        """Warnings of those that are not well."""
        lost = self.deploy.not_waited_for(seen)
        for node in seen.nodes:
            if node.pod in lost:
                why = node.held or node.reason or "it is not ready"
                self.ctx.warnings.append(f"{node.pod} is lost, as you said, and was not waited for ({why})")
            elif node.pod in broken(seen):
                what = f"{node.pod} is not well ({node.held or node.reason}), and its correction waits for a restart"
                self.ctx.warnings.append(f"{what}: run the playbook restart, which begins with it")

    def closed(self, seen: View) -> None:
        """Wait until each node refuses the default login."""
        well = seen.without(self.left_out(seen)).nodes
        together(lambda node: superuser.prove_closed(self.kube, node.pod), well)

    def left_out(self, seen: View) -> set[str]:
        """Nodes that need not be well now: a rollout sees to them, or goes on without them."""
        return {*broken(seen), *self.deploy.not_waited_for(seen)}

    def give_up_login(self, seen: View) -> None:
        """End the proof's wait where every node that was asked calls the login wrong."""
        if seen.observations or not seen.unheard or not all(map(cql.is_wrong, seen.unheard.values())):
            self.doubt.forget()
        elif self.doubt.ends():
            who = f"every node that was asked ({', '.join(sorted(seen.unheard))})"
            raise CassopsError(superuser.wrong_login(who, self.deploy.desired.superuser_secret))


def broken(seen: View) -> list[str]:
    """Nodes that do not come up by themselves, and for which something newer waits: a rollout gets them out of it.

    A node that is held, or whose worker is gone, needs more than that.
    """
    return [
        node.pod
        for node in seen.nodes
        if node.pending_restart and node.reason and not (node.ready or node.held or node.worker_lost)
    ]
