# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout: which nodes restart, in which batches, and what must hold before and after each of them. Pure.

The order follows from three things. A node that is down anyway goes first: it costs nothing, and a correction gets out
of what a former change broke. One node, the canary, proves a change before the others get it. And a StatefulSet's
partition can release only the highest ordinals of a rack, so a batch is always the next ones from the top.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import gates, ring
from .errors import SpecError
from .view import NodeView, View
from .wording import agree

WHOLE_RACK = "rack"
PAUSES = ("canary", "rack", "never")
POLICIES = ("block", "warn", "ignore")
SOFT_GATES = ("streams", "repairs", "hints", "disk", "compactions")
"""Gates that a person may decide to go past. All others protect data, and have no switch."""

PREFIX = "rollout_"
# Seconds that a node may take to start before it counts as stuck. More than a restart ever took with a full commit log.
STARTING = 600
# How gossip calls a member that streams before it serves (BOOT, BOOT_REPLACE), or does so at a dead one's own address.
JOINING = ("boot", "hibernate")
MAX_SOAK = 86400
MAX_COMPACTIONS = 10**9
HARD_GATES = (
    gates.running,
    gates.heard,
    gates.up_in_every_view,
    gates.neighbours_up,
    gates.normal,
    gates.operating,
    gates.one_schema_a_line,
    gates.no_strangers,
    gates.ring_agreed,
    gates.live_seed,
)

LOGINS = "system_auth"
LOST = "it is lost, as you said"
ENOUGH_REPLICAS = 3


@dataclass(frozen=True)
class Settings:
    """What the person who starts a rollout decides.

    :param max_unavailable: nodes of one rack that may be down at once: `rack` (all of them), a number, or a percentage
        of the rack's nodes such as `25%`, rounded down, at least one. The availability rule may make it fewer.
    :param order: racks in the order wanted; the others follow.
    :param limit: racks or nodes to restart; empty is all.
    :param canary: restart one node alone first.
    :param soak: seconds that the canary must stay well before the others follow.
    :param pause_after: `canary` or `rack` ends the run there, and the next run goes on; `never`.
    :param low_rf: what to do about keyspaces that lose their quorum whichever node restarts (fewer than three
        replicas): `block`, `warn` (one replica of each range at a time), or `ignore` (as if they did not exist).
    :param force: restart every node, not only those with a change pending.
    :param ignore: names of soft gates to go past, see `SOFT_GATES`.
    :param free_disk: percent of a volume that must be free.
    :param compactions: how many tasks may wait in a node's C(CompactionExecutor); not nodetool's estimate.
    :param without: racks or nodes that are lost, and go on being so: nothing waits for them, and their replicas count
        as down all the time.
    :param accept_outage: keyspaces that may lose their quorum while a node restarts, where no order keeps it.
    :param prefix: put before the names of settings in messages: people set them as variables of a role.
    """

    max_unavailable: str = "1"
    order: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()
    canary: bool = True
    soak: float = 30
    pause_after: str = "never"
    low_rf: str = "block"
    force: bool = False
    ignore: tuple[str, ...] = ()
    free_disk: float = gates.FREE_TO_RESTART
    compactions: int = gates.MANY_COMPACTIONS
    without: tuple[str, ...] = ()
    accept_outage: tuple[str, ...] = ()
    prefix: str = PREFIX

    def nodes_at_once(self, rack_size: int) -> int:
        """How many nodes of a rack of this size may be down at once."""
        if self.max_unavailable == WHOLE_RACK:
            return rack_size
        if self.max_unavailable.endswith("%"):
            return max(1, int(float(self.max_unavailable[:-1]) * rack_size / 100))
        return int(self.max_unavailable)


@dataclass(frozen=True)
class Batch:
    """Nodes of one rack that restart together.

    :param rack: its name.
    :param nodes: pods, highest ordinal first.
    :param partition: lowest ordinal of them: the partition that releases them.
    :param fix: they are down already, so nothing is lost by restarting them, whatever the other nodes do.
    :param canary: it proves the change: it must stay well for `Settings.soak` seconds.
    :param pause: the run ends after this batch, although others follow.
    :param down: pods that are down when this batch comes, and known to be: later batches bring them back, or they are
        lost.
    :param lost: the nodes themselves are lost: they get the newest revision, and nobody waits for them.
    :param outage: keyspaces that lose the quorum of some range meanwhile, as accepted.
    :param why: why these nodes and why now, for people.
    """

    rack: str
    nodes: tuple[str, ...]
    partition: int
    fix: bool = False
    canary: bool = False
    pause: bool = False
    down: tuple[str, ...] = ()
    lost: bool = False
    outage: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Plan:
    """What a rollout would do.

    :param batches: in order; those after a pause are for a later run.
    :param unfinished: nodes that run the newest revision already and are not well (they start, or crash), those that
        join, and those whose pods end: wait for them before the first batch that is no fix.
    :param skipped: pod -> why it does not restart.
    :param blockers: why no batch but fixes may begin. What `before_batch` says of the moment is not among them.
    :param warnings: what clients may notice.
    """

    batches: tuple[Batch, ...] = ()
    unfinished: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    blockers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


# --- settings ---------------------------------------------------------------------------------------------------------


def parse(values: Mapping[str, Any], prefix: str = PREFIX) -> Settings:
    """Check the values and fill in the defaults; strings from surveys and `-e` are understood.

    :param values: by the names of `Settings`; None, empty and missing take the default; other keys are left alone.
    :param prefix: put before each path in the errors, and before the settings' names in later messages.
    :raises SpecError: with every error found.
    """
    reader = _Reader(values, prefix)
    settings = Settings(
        max_unavailable=reader.max_unavailable(),
        order=reader.names("order"),
        limit=reader.names("limit"),
        canary=reader.flag("canary"),
        soak=reader.number("soak", MAX_SOAK, "seconds"),
        pause_after=reader.choice("pause_after", PAUSES),
        low_rf=reader.choice("low_rf", POLICIES),
        force=reader.flag("force"),
        ignore=reader.soft_gates(),
        free_disk=reader.number("free_disk", 100, "percent"),
        compactions=int(reader.number("compactions", MAX_COMPACTIONS, "compactions")),
        without=reader.names("without"),
        accept_outage=reader.names("accept_outage"),
        prefix=prefix,
    )
    if settings.pause_after == "canary" and not settings.canary:
        reader.errors.append(f"{prefix}pause_after: canary needs a canary, and {prefix}canary is false")
    if reader.errors:
        raise SpecError(reader.errors)
    return settings


class _Reader:
    """Reads one value after the other and collects every fault; a faulty value is replaced by a harmless one."""

    def __init__(self, values: Mapping[str, Any], prefix: str) -> None:
        self._values = {key: value for key, value in values.items() if value is not None and value != ""}
        self._prefix = prefix
        self.errors: list[str] = []

    def _given(self, key: str) -> Any:
        return self._values.get(key, getattr(Settings, key))

    def _fault(self, key: str, needed: str) -> None:
        self.errors.append(f"{self._prefix}{key}: must be {needed}, got {self._values[key]!r}")

    def max_unavailable(self) -> str:
        text = str(self._given("max_unavailable")).strip()
        percent = re.fullmatch(r"(\d+)%", text)
        good = text == WHOLE_RACK or (percent and 1 <= int(percent[1]) <= 100) or re.fullmatch(r"[1-9]\d*", text)
        if not good:
            self._fault("max_unavailable", f"{WHOLE_RACK}, a number from 1, or a percentage from 1% to 100%")
        return text if good else Settings.max_unavailable

    def names(self, key: str) -> tuple[str, ...]:
        value = self._given(key)
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
            self._fault(key, "a list of names")
            return ()
        # An empty answer of a survey is a list of one empty name.
        return tuple(item.strip() for item in items if item.strip())

    def soft_gates(self) -> tuple[str, ...]:
        names = self.names("ignore")
        for name in names:
            if name not in SOFT_GATES:
                known = ", ".join(SOFT_GATES)
                self.errors.append(
                    f"{self._prefix}ignore: {name!r} is none of {known}; the other gates protect data and cannot be"
                    " ignored"
                )
        return names

    def choice(self, key: str, words: Sequence[str]) -> str:
        text = str(self._given(key)).strip()
        if text not in words:
            self._fault(key, f"{', '.join(words[:-1])} or {words[-1]}")
        return text

    def flag(self, key: str) -> bool:
        text = str(self._given(key)).strip().lower()
        if text not in ("true", "false", "yes", "no"):
            self._fault(key, "true or false")
        return text in ("true", "yes")

    def number(self, key: str, most: int, unit: str) -> float:
        value = self._given(key)
        try:
            number = float(value) if not isinstance(value, bool) else -1.0
        except (TypeError, ValueError):
            number = -1.0
        if not 0 <= number <= most:
            self._fault(key, f"a number of {unit} from 0 to {most}")
            return 0.0
        return number


# --- what a node needs ------------------------------------------------------------------------------------------------


def needs_restart(view: View, node: NodeView) -> bool:
    """A newer revision waits for the node, or it has no pod and would come back at the older one."""
    rack = view.rack(node.rack)
    if node.uid is None and rack is not None:
        return rack.current_revision != rack.update_revision and node.ordinal < rack.partition
    return node.pending_restart


def is_well(node: NodeView) -> bool:
    """For Kubernetes: it runs, is not held, and serves clients."""
    return node.phase == "Running" and node.held is None and node.ready


def is_down(view: View, node: NodeView) -> bool:
    """Nothing is lost when it restarts: Cassandra does not run there, or is down in every other node's view.

    A node that is not ready may still be a replica, so that alone proves nothing; where nobody can be asked, it counts
    only if no node of the datacenter is ready. One that joins is down for the others (a replacement hibernates), and
    would lose what it has streamed.
    """
    if is_well(node) or joins(view, node):
        return False
    if node.phase != "Running" or node.held is not None:
        return True
    views = [seen for pod, seen in view.observations.items() if pod != node.pod]
    if not views:
        return not any(other.ready for other in view.nodes)
    addresses = view.addresses([node.pod])
    return not any(seen.alive.get(address) for seen in views for address in addresses)


def joins(view: View, node: NodeView) -> bool:
    """It streams what it is to hold, for hours perhaps: others see it join, or take the place of a dead one.

    Restarted then, it is held by the start script: no node may go on over partial data. They say so still of one whose
    attempt has died; that one is held, does not run, or crashes again and again, and runs for moments only. And of one
    whose streams have failed, which goes on without them: only its log tells, and heal reads that.
    """
    if node.phase != "Running" or node.ready or node.held is not None:
        return False
    if node.restarts and (node.running_for or 0) <= STARTING:
        return False
    addresses = view.addresses([node.pod])
    told = (seen.endpoints.get(address) for seen in view.observations.values() for address in addresses)
    return any((member.status or "").lower().startswith(JOINING) for member in told if member)


def is_stuck(view: View, node: NodeView) -> bool:
    """It is down and will not come up by itself, but a newer revision may help.

    One that only starts is waited for, and one whose worker does not answer cannot be restarted.
    """
    return is_down(view, node) and needs_help(node)


def needs_help(node: NodeView) -> bool:
    """For Kubernetes: it is not well, and will not be by itself."""
    if is_well(node) or node.worker_lost or node.phase == "Terminating":
        return False
    if node.held is not None or node.phase not in ("Pending", "Running"):
        return True
    waited = node.age if node.phase == "Pending" else node.running_for
    return node.reason is not None or waited is None or waited > STARTING


def lost(view: View, settings: Settings) -> set[str]:
    """The pods that the person says are lost."""
    return {node.pod for node in view.nodes if not _names(node).isdisjoint(settings.without)}


def nobody(view: View, names: Collection[str]) -> list[str]:
    """The names that no rack or node has, sorted."""
    return sorted({*names} - {name for node in view.nodes for name in _names(node)})


def proves_change(view: View, node: NodeView) -> bool:
    """The node is well and runs already what others wait for."""
    if needs_restart(view, node) or not is_well(node):
        return False
    own = view.rack(node.rack)
    if own is not None and own.current_revision != own.update_revision:
        return True
    waiting = {other.rack for other in view.nodes if needs_restart(view, other)}
    return node.runs is not None and any(rack.wants == node.runs for rack in view.racks if rack.name in waiting)


# --- the plan ---------------------------------------------------------------------------------------------------------


def plan(view: View, settings: Settings, others: Sequence[View] = (), done: Collection[str] = ()) -> Plan:
    """Which nodes restart in which batches.

    :param view: the datacenter. Only its nodes restart.
    :param others: views of the cluster's other datacenters.
    :param done: pods that this rollout has restarted already; matters with `force` only, as a pending change tells by
        itself who is left.
    """
    return _Planner(view, settings, others, done).plan()


class _Planner:
    """Takes nodes from the top of each rack's queue, and knows which are still down."""

    def __init__(self, view: View, settings: Settings, others: Sequence[View], done: Collection[str]) -> None:
        self._view = view
        self._settings = settings
        self._done = done
        self._skipped: dict[str, str] = {}
        self._blockers: list[str] = []
        self._batches: list[Batch] = []
        self._stuck = False
        self._prefix = settings.prefix
        self._pending_racks = {node.rack for node in view.nodes if needs_restart(view, node)}
        self._lost = self._lost_pods((view, *others))
        self._queues = self._queued()
        self._sizes = Counter(node.rack for node in view.nodes)
        stuck = {node.pod for queue in self._queues for node in queue if is_stuck(view, node)}
        self._down = stuck | self._lost
        self._rules = gates.availability((view, *others), settings.low_rf != "ignore")
        proven = any(proves_change(view, node) for node in view.nodes) or (settings.force and bool(done))
        self._canary_due = settings.canary and not proven

    def plan(self) -> Plan:
        warnings = self._low_replication()
        for queue in self._queues:
            self._fix(queue)
        mended = [place for place, batch in enumerate(self._batches) if not batch.lost]
        if mended and self._canary_due:
            self._batches[mended[-1]] = replace(self._batches[mended[-1]], canary=True)
            self._canary_due = False
        for queue in self._queues:
            # Nodes that are down below others of their rack: those above must go first.
            while not self._stuck and any(node.pod in self._down for node in queue):
                self._take(queue)
                self._fix(queue)
        for queue in self._queues:
            while queue and not self._stuck:
                self._take(queue)
        self._skipped |= {
            node.pod: "what blocks the rollout comes before it" for queue in self._queues for node in queue
        }
        nodes = self._view.nodes
        return Plan(
            batches=tuple(self._paused()),
            unfinished=tuple(node.pod for node in nodes if node.pod not in self._lost and self._is_unfinished(node)),
            skipped=self._skipped,
            blockers=tuple(self._blockers),
            warnings=tuple(warnings),
        )

    # Who, and in which order

    def _lost_pods(self, views: Sequence[View]) -> set[str]:
        """Nobody is left behind who is only not well: what is lost is down for Kubernetes and for all the others."""
        named = lost(self._view, self._settings)
        self._blockers += [
            f"{self._prefix}without: there is no rack or node {name}"
            for name in nobody(self._view, self._settings.without)
        ]
        up = {address for view in views for address in view.endpoints() if address in view.up_somewhere}
        alive = {
            node.pod
            for node in self._view.nodes
            if node.pod in named and (not is_down(self._view, node) or up & self._view.addresses([node.pod]))
        }
        self._blockers += [f"{self._prefix}without: {pod} is not down" for pod in sorted(alive)]
        return named - alive

    def _wanted(self, node: NodeView) -> bool:
        if node.pod in self._lost:
            # Once it is released Kubernetes makes it anew, now or when its worker is known to be gone.
            rack = self._view.rack(node.rack)
            return needs_restart(self._view, node) and rack is not None and node.ordinal < rack.partition
        return needs_restart(self._view, node) or (self._settings.force and node.pod not in self._done)

    def _is_unfinished(self, node: NodeView) -> bool:
        at_work = node.is_ending or joins(self._view, node)
        return at_work or not (self._wanted(node) or is_well(node))

    def _queued(self) -> list[list[NodeView]]:
        """The nodes to restart, by rack in order, each rack from the top."""
        racks: dict[str, list[NodeView]] = {}
        for node in sorted(self._view.nodes, key=lambda node: node.ordinal, reverse=True):
            if self._wanted(node):
                racks.setdefault(node.rack, []).append(node)
            else:
                self._skipped[node.pod] = LOST if node.pod in self._lost else "nothing is pending for it"
        known = list(dict.fromkeys([rack.name for rack in self._view.racks] + [node.rack for node in self._view.nodes]))
        wanted = list(dict.fromkeys(self._settings.order))
        self._blockers += [
            f"{self._prefix}order: there is no rack {name}; the racks are {', '.join(known)}"
            for name in wanted
            if name not in known
        ]
        order = [name for name in wanted if name in racks]
        rest = [name for name in known if name in racks and name not in order]
        rest.sort(key=lambda name: (not self._begun(name), self._is_seed(racks[name][0])))
        limited = self._limited(racks)
        return [limited[name] for name in (*order, *rest) if limited[name]]

    def _begun(self, name: str) -> bool:
        """Some of the rack's nodes are released already, or run the newest revision."""
        rack = self._view.rack(name)
        if rack is None:
            return False
        mine = [node for node in self._view.nodes if node.rack == name]
        return rack.partition < rack.replicas or rack.half_way or any(not self._wanted(node) for node in mine)

    def _is_seed(self, node: NodeView) -> bool:
        return node.address in self._view.seed_addresses

    def _limited(self, racks: Mapping[str, list[NodeView]]) -> dict[str, list[NodeView]]:
        """What the limit leaves of each rack. Where a change is pending it cannot leave a node without those above."""
        limit = set(self._settings.limit)
        if not limit:
            return dict(racks)
        unknown = nobody(self._view, limit)
        self._blockers += [f"{self._prefix}limit: there is no rack or node {name}" for name in unknown]
        return {rack: list(self._chosen(queue, limit)) for rack, queue in racks.items()}

    def _chosen(self, queue: Sequence[NodeView], limit: Collection[str]) -> Iterator[NodeView]:
        left_out: NodeView | None = None
        for node in queue:
            chosen = not _names(node).isdisjoint(limit)
            if chosen and (left_out is None or self._any_order(node)):
                yield node
                continue
            self._skipped[node.pod] = f"not in {self._prefix}limit"
            if chosen and left_out is not None:
                self._blockers.append(
                    f"{self._prefix}limit: {node.pod} cannot restart before {left_out.pod}: Kubernetes releases the "
                    f"highest numbers of a rack first; name {left_out.pod} too, or the rack {node.rack}"
                )
            left_out = left_out or node

    def _any_order(self, node: NodeView) -> bool:
        """Nothing is pending in its rack, so no partition has to release its nodes from the top."""
        return node.rack not in self._pending_racks

    # Batches

    def _fix(self, queue: list[NodeView]) -> None:
        """The nodes that are down and can be released: they restart together."""
        if queue and self._any_order(queue[0]):
            nodes = [node for node in queue if node.pod in self._down]
        else:
            nodes = list(itertools.takewhile(lambda node: node.pod in self._down, queue))
        self._down -= {node.pod for node in nodes} - self._lost
        for is_lost, group in itertools.groupby(nodes, lambda node: node.pod in self._lost):
            alike = list(group)
            why = LOST if is_lost else f"{agree(alike, 'it is', 'they are')} down already"
            self._add(queue, alike, fix=True, lost=is_lost, why=why)

    def _take(self, queue: list[NodeView]) -> None:
        """The next nodes at the top that are up: as many as settings and quorum allow."""
        rack = queue[0].rack
        size = self._settings.nodes_at_once(self._sizes[rack])
        down_here = sum(node.rack == rack and node.pod in self._down for node in self._view.nodes)
        room = 1 if self._canary_due else max(1, size - down_here)
        down = self._rules.mask(self._view.addresses(self._down))
        nodes: list[NodeView] = []
        for node in itertools.takewhile(lambda node: node.pod not in self._down, queue[:room]):
            if not self._rules.allows(down, node.address or ""):
                break
            nodes.append(node)
            down |= self._rules.mask([node.address or ""])
        if nodes:
            why = "proves the change before the others get it" if self._canary_due else self._why(nodes, queue, room)
            self._add(queue, nodes, canary=self._canary_due, why=why)
            self._canary_due = False
        else:
            self._without_quorum(queue)

    def _without_quorum(self, queue: list[NodeView]) -> None:
        """The node at the top, alone, if the keyspaces that suffer were accepted; else it blocks."""
        node = queue[0]
        down, leaving = self._view.addresses(self._down), self._view.addresses([node.pod])
        outage = keyspaces_short(self._rules.shortfalls(down, leaving))
        if set(outage) <= set(self._settings.accept_outage):
            why = f"no order of restarts keeps the quorum of {gates.keyspaces_named(outage)}: accepted"
            self._add(queue, [node], canary=self._canary_due, outage=outage, why=why)
            self._canary_due = False
            return
        self._stuck = True
        told = gates.quorum_kept(self._view, self._rules, down, leaving)
        self._blockers += [f"{node.pod} cannot restart now: {reason}" for reason in told]
        self._blockers.append(
            "if nothing can be brought back, accept that requests at QUORUM fail for some rows of "
            f"{gates.keyspaces_named(outage)} while a node restarts, with {self._prefix}accept_outage: "
            f"{','.join(outage)}"
        )

    def _why(self, nodes: Sequence[NodeView], queue: Sequence[NodeView], room: int) -> str:
        if len(nodes) < min(room, len(queue)) and queue[len(nodes)].pod not in self._down:
            return "no more at once: every range of every keyspace keeps its quorum"
        return f"{'the rest' if len(nodes) == len(queue) else 'next'} of rack {nodes[0].rack}"

    def _add(self, queue: list[NodeView], nodes: Sequence[NodeView], **kind: Any) -> None:
        pods = tuple(node.pod for node in nodes)
        queue[:] = [node for node in queue if node.pod not in pods]
        down = tuple(sorted(self._down))
        self._batches.append(Batch(nodes[0].rack, pods, nodes[-1].ordinal, down=down, **kind))

    def _paused(self) -> Iterator[Batch]:
        for batch, following in itertools.zip_longest(self._batches, self._batches[1:]):
            by_canary = self._settings.pause_after == "canary" and batch.canary
            by_rack = self._settings.pause_after == "rack" and not batch.fix
            ends = following and (by_canary or (by_rack and following.rack != batch.rack))
            yield replace(batch, pause=bool(ends))

    # Keyspaces that cannot keep their quorum

    def _low_replication(self) -> list[str]:
        """Warnings; blockers are added where the settings want them."""
        restarting = {node.pod for queue in self._queues for node in queue if node.pod not in self._down}
        blockers, warnings = low_replication(self._view, self._rules, self._settings, restarting)
        self._blockers += blockers
        return warnings


def low_replication(
    view: View, rules: ring.Availability, settings: Settings, pods: Collection[str]
) -> tuple[list[str], list[str]]:
    """Why these nodes may not restart, whatever the order, and what clients may notice if they do."""
    mask = rules.mask(view.addresses(pods))
    blockers, warnings = [], []
    for rule in rules.fragile if settings.low_rf != "ignore" else ():
        if not rules.holds(rule, mask):
            continue
        words = f"{gates.keyspaces_named(rule.keyspaces)}: {_what_is_lost(rule)} while one of its nodes restarts"
        if settings.low_rf == "block" and not _is_as_good_as_it_gets(view, rule):
            blockers.append(
                f"{words}; give {agree(rule.keyspaces, 'it', 'them')} {ENOUGH_REPLICAS} replicas and "
                f"repair, or accept it with {settings.prefix}low_rf: warn"
            )
        else:
            warnings.append(words)
    return blockers, warnings


def _is_as_good_as_it_gets(view: View, rule: ring.Rule) -> bool:
    """Only logins, and every node holds all of them: nobody but a third node could do better."""
    return rule.keyspaces == (LOGINS,) and rule.factor >= len(view.nodes)


def keyspaces_short(shortfalls: Sequence[ring.Shortfall]) -> tuple[str, ...]:
    """The keyspaces of which some range loses its quorum, by name."""
    return tuple(sorted({name for each in shortfalls for name in each.rule.keyspaces}))


def _names(node: NodeView) -> set[str]:
    """What people may call the node: itself, in short, its rack."""
    return {node.pod, f"{node.rack}-{node.ordinal}", node.rack}


def _what_is_lost(rule: ring.Rule) -> str:
    if rule.replicas < rule.quorum:
        return f"only {rule.replicas} of {rule.factor} replicas exist: {rule.level} fails now, and weaker levels may"
    if rule.factor == 1:
        return "with 1 replica, its rows on a node can be neither read nor written"
    return f"with {rule.replicas} replicas, {rule.level} needs {rule.quorum} and fails"


# --- before and after a batch -----------------------------------------------------------------------------------------


def before_batch(view: View, batch: Batch, settings: Settings, others: Sequence[View] = ()) -> list[str]:
    """Why the batch may not begin now: all gates, from every observer of every datacenter.

    A batch that fixes asks only whether its nodes are still down: nothing else can get worse by it.
    """
    mine = [node for node in view.nodes if node.pod in batch.nodes]
    reasons = gates.settled(view) + [
        f"{node.pod} streams what it is to hold, and would lose it: wait until it serves. If it does not come on, its "
        "streams may have failed: the playbook heal with --check tells, and what to do then"
        for node in mine
        if joins(view, node)
    ]
    if batch.fix:
        return reasons + [
            f"{node.pod} was down and is not any more: plan again"
            for node in mine
            if not (joins(view, node) or (is_down if batch.lost else is_stuck)(view, node))
        ]
    cluster = view.joined(others)
    rest = cluster.without((*batch.nodes, *batch.down))
    reasons += [f"{reason}; {gates.advice(reason)}" for gate in HARD_GATES for reason in gate(rest)]
    reasons += _soft(cluster.without(batch.down), settings)
    leaving = view.addresses(batch.nodes)
    rules = gates.availability([cluster], settings.low_rf != "ignore")
    return reasons + gates.quorum_kept(cluster, rules, _members_down(cluster) - leaving, leaving, batch.outage)


def _soft(view: View, settings: Settings) -> list[str]:
    """The gates that may be ignored; the nodes of the batch are asked too."""
    told = {
        "streams": gates.no_streams(view),
        "repairs": gates.no_repairs(view),
        "hints": gates.no_hints(view),
        "disk": gates.free_disk(view, settings.free_disk),
        "compactions": gates.keeping_up(view, settings.compactions),
    }
    return [
        f"{reason} (or go past it with {settings.prefix}ignore: {name})"
        for name, reasons in told.items()
        if name not in settings.ignore
        for reason in reasons
    ]


def _members_down(cluster: View) -> set[str]:
    """Addresses that somebody takes for dead, or that Kubernetes does not run."""
    unseen = {address for seen in cluster.observations.values() for address, up in seen.alive.items() if not up}
    return unseen | cluster.addresses({node.pod for node in cluster.nodes if not is_well(node)})


def after_batch(view: View, batch: Batch, others: Sequence[View] = ()) -> list[str]:
    """Why the batch is not back: its nodes, at the newest revision, well and serving in every view.

    What is wrong with other nodes is `before_batch`'s to say, before the next batch; see also `caught_up`.
    """
    cluster = view.joined(others)
    mine = tuple(node for node in view.nodes if node.pod in batch.nodes)
    itself = {pod: seen for pod, seen in view.observations.items() if pod in batch.nodes}
    asked = replace(cluster, nodes=mine)
    behind = [node.pod for node in mine if needs_restart(view, node)]
    reasons = [f"{pod} still runs the older revision" for pod in behind]
    reasons += gates.running(asked)
    reasons += [f"{node.pod} cannot be asked for its view yet" for node in mine if node.pod not in itself]
    reasons += gates.operating(replace(view, observations=itself))
    reasons += gates.up_in_every_view(asked)
    reasons += gates.normal(cluster, view.addresses(batch.nodes))
    reasons += gates.serving(asked, batch.nodes)
    return reasons + gates.one_schema_a_line(cluster)


def caught_up(view: View, batch: Batch, settings: Settings, others: Sequence[View] = ()) -> list[str]:
    """Which writes the nodes of a batch that is back still lack: those that others keep as hints for them."""
    if "hints" in settings.ignore:
        return []
    hosts = {node.host_id for node in view.nodes if node.pod in batch.nodes and node.host_id}
    return gates.no_hints(view.joined(others), hosts)
