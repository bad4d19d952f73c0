# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node has in Kubernetes, given to one that joins and taken from one that has left.

A node is a line in the ledger, a Service, a place in its rack's StatefulSet, and a volume claim. The ledger goes first,
both ways: a pod that is made finds its address there, and a place that no line speaks of is that of a node that has
left. So a look tells where a killed run stopped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import spec
from ..context import Context
from ..errors import CassopsError
from ..kube import Kube
from ..kubeapi import Object
from ..ledger import PHASE_LEFT, Ledger, LedgerNode, ledger_name, rack_of
from ..manifests import build, node_service
from ..observe import LABEL_RACK, Objects, by_pod, labels, ledger_of, objects
from ..wording import counted
from . import changes, departed, failures
from .cluster import Cluster, Place, Sight
from .patience import Ending
from .waiting import until

# Annotation of a volume claim: the host id of the node that has left the ring and has left its volume behind.
LEFT = "cassops.kubernetes/left"
# Its value where the node was withdrawn before it had joined: nothing of that volume can be missed.
NO_MEMBER = "was no member"
# Annotation of the ledger's ConfigMap: nodes that lost ranges and were not cleaned up since.
UNCLEAN = "cassops.kubernetes/unclean"
# Annotation of the ledger's ConfigMap: Cassandra's own keyspaces get more replicas, and the logins' rows may not be on
# all of them yet.
REPLICATING = "cassops.kubernetes/replicating"
SEEDS = 3
PAUSE = 1.0


class Members:
    """The nodes of one datacenter, under its cluster's lock.

    :param desired: the datacenter as the inventory has it; None where nothing is made.
    :param limit: seconds, of each wait.
    :ivar done: what was changed, in words.
    """

    def __init__(self, cluster: Cluster, limit: float, ctx: Context, desired: spec.Datacenter | None = None) -> None:
        self.cluster = cluster
        self.kube = cluster.kube
        self.limit = limit
        self.ctx = ctx
        self.desired = desired
        self.prefix = f"{cluster.name}-{cluster.own.datacenter}"
        self.labels = labels(cluster.name, cluster.own.datacenter)
        self.done: list[str] = []

    # Names

    def pod(self, rack: str, ordinal: int) -> str:
        return f"{self.prefix}-{rack}-{ordinal}"

    def stateful_set(self, rack: str) -> str:
        return f"{self.prefix}-{rack}"

    def short(self, text: str) -> str:
        return text.replace(f"{self.prefix}-", "")

    # The ledger

    def look(self) -> tuple[Objects, Ledger]:
        found = self.cluster.look().found
        return found, self.cluster.ledger(found)

    def unclean(self, found: Objects) -> list[str]:
        """Nodes that lost ranges and were not cleaned up since; those that are gone do not count."""
        return [node.pod for node in unclean(self.cluster.own, found)]

    def note_unclean(self, pods: Sequence[str]) -> None:
        self.note(UNCLEAN, ",".join(sorted(set(pods))) or None)

    def noted(self, found: Objects, annotation: str) -> str | None:
        """An annotation of the ledger's ConfigMap."""
        ledger = found.all("ConfigMap")[ledger_name(self.cluster.name, self.cluster.own.datacenter)]
        value: str | None = (ledger["metadata"].get("annotations") or {}).get(annotation)
        return value

    def note(self, annotation: str, value: str | None) -> None:
        """:param value: None takes it away."""
        self.cluster.check()
        name = ledger_name(self.cluster.name, self.cluster.own.datacenter)
        self.kube.patch("ConfigMap", name, {"metadata": {"annotations": {annotation: value}}})

    # One that joins

    def admit(self, rack: str, ordinal: int, replicas: int) -> None:
        """Its Service, and its line in the ledger.

        :param replicas: that its tokens shall suit.
        """
        pod = self.pod(rack, ordinal)
        found, ledger = self.look()
        desired = self.needed()
        address = None
        if desired.address == "service":
            node = spec.PlannedNode(pod, rack, ordinal)
            planned = changes.plan([node_service(desired, node, ledger.address(pod))], found)
            self.cluster.check()
            made = changes.send(self.kube, planned)
            service = made[0] if made else found.all("Service")[pod]
            address = str(service["spec"]["clusterIP"])
        self.cluster.write_ledger(ledger, replace(ledger.with_node(LedgerNode(pod, address)), replicas=replicas))

    def grow(self, rack: str, ordinal: int) -> None:
        """A place in the rack's StatefulSet. A pod there comes at the revision that the others have."""
        # Before it is there: nobody may go in its stead.
        self.cluster.keep_budget()
        live = self.look()[0].get("StatefulSet", self.stateful_set(rack))
        self.cluster.check()
        if live is None:
            for item in self.new_rack(rack, ordinal + 1, self.look()[1]):
                self.kube.apply(changes.with_hash(item))
            self.say(f"rack {rack} is made")
        elif live["spec"]["replicas"] <= ordinal:
            self.resize(rack, ordinal + 1)

    def new_rack(self, rack: str, nodes: int, ledger: Ledger) -> list[Object]:
        desired = self.needed()
        mine = next(each for each in desired.racks if each.name == rack)
        items = build(replace(desired, racks=(replace(mine, nodes=nodes),)), ledger)
        return [item for item in items if item["kind"] in ("ConfigMap", "StatefulSet")]

    def taken(self, found: Objects, joining: Sequence[tuple[str, int]]) -> list[str]:
        """Why nodes cannot join by rack and ordinal: somebody else has objects of the names that theirs would have."""
        if self.desired is None:
            return []
        ledger = self.cluster.ledger(found)
        racks = {rack for rack, dummy in joining if found.get("StatefulSet", self.stateful_set(rack)) is None}
        made = [item for rack in sorted(racks) for item in self.new_rack(rack, 1, ledger)]
        wanted = {(item["kind"], item["metadata"]["name"]) for item in made}
        if self.desired.address == "service":
            wanted |= {("Service", self.pod(rack, ordinal)) for rack, ordinal in joining}
        return changes.taken(self.kube, sorted(one for one in wanted if found.get(*one) is None), self.labels)

    def needed(self) -> spec.Datacenter:
        if self.desired is None:
            raise CassopsError("a node can only be made by what the inventory says of its datacenter")
        return self.desired

    def known(self, pod: str, address: str | None, host_id: str) -> None:
        """It has joined."""
        ledger = self.look()[1]
        self.cluster.write_ledger(ledger, ledger.with_node(LedgerNode(pod, address, host_id)))

    # One that has left

    def part(self, pod: str, host_id: str | None) -> None:
        """Everything but its place, which L(tidy) takes away: its volume is marked, and the ledger forgets it."""
        if self.forget(pod, host_id or "not known"):
            self.say(f"{pod} has left")

    def forget(self, pod: str, mark: str | None) -> bool:
        """The next volume of that name gets another mark, so this one would be held if it came back.

        :param mark: what its volume claim says from now on, see L(LEFT); None says nothing.
        :return: whether the ledger knew it.
        """
        found, ledger = self.look()
        claim = found.get("PersistentVolumeClaim", f"data-{pod}")
        if claim is not None and mark is not None:
            self.cluster.check()
            patch = {"metadata": {"annotations": {LEFT: mark}}}
            self.kube.patch("PersistentVolumeClaim", claim["metadata"]["name"], patch)
        if pod not in ledger.nodes:
            return False
        plan = failures.open_plan(self.cluster, found)
        if plan is not None and plan.pod == pod:
            # Nobody takes its place any more. An open plan keeps others from being replaced, and would take the next
            # node of this name for the one that was replaced.
            failures.close_plan(self.cluster)
        self.cluster.write_ledger(
            ledger, ledger.without_node(pod).with_volume_number(pod, ledger.volume_number(pod) + 1)
        )
        return True

    def stop(self, pod: str) -> None:
        """End the last node of a rack; its line in the ledger and its volume stay."""
        found, ledger = self.look()
        self.shrink(self.rack_of(pod), found, ledger.without_node(pod))

    def shrink(self, rack: str, found: Objects, ledger: Ledger) -> int:
        """End the pods above the last node of the rack that the ledger knows.

        :return: the number of places that are left.
        """
        live = found.get("StatefulSet", self.stateful_set(rack))
        wanted = max((self.ordinal(pod) for pod in ledger.nodes if self.rack_of(pod) == rack), default=-1) + 1
        if live is not None and live["spec"]["replicas"] > wanted:
            self.cluster.check()
            self.resize(rack, wanted)
        self.wait_gone(rack, wanted)
        return wanted

    def tidy(self, rack: str, delete_volumes: bool) -> None:
        """Take away places and Services of nodes of the rack that the ledger does not know; volumes too if asked.

        Volumes of those that never were members go in any case.
        """
        found, ledger = self.look()
        live = found.get("StatefulSet", self.stateful_set(rack))
        if self.shrink(rack, found, ledger) == 0 and live is not None:
            self.cluster.check()
            self.kube.delete("StatefulSet", self.stateful_set(rack), uid=live["metadata"]["uid"])
            self.say(f"rack {rack} is removed")
        for pod, service in self.services(found).items():
            if pod not in ledger.nodes and self.rack_of(pod) == rack:
                self.cluster.check()
                self.kube.delete("Service", pod, uid=service["metadata"]["uid"])
                self.say(f"Service {pod} is deleted")
        self.delete_volumes(rack, delete_volumes)
        self.cluster.keep_budget()

    def left(self, found: Objects, members: bool = True) -> list[str]:
        """Nodes that have left a volume behind.

        :param members: also those that were members.
        """
        claims = found.all("PersistentVolumeClaim").items()
        return [
            name.removeprefix("data-")
            for name, claim in claims
            if left_behind(claim) and (members or not was_member(claim))
        ]

    def strays(self, found: Objects, volumes: bool) -> list[str]:
        """Nodes that the ledger does not know, and of which a Service is there, or a volume that was left behind.

        :param volumes: also volumes of those that were members.
        """
        nodes = self.cluster.ledger(found).nodes
        pods = {*self.services(found), *self.left(found, members=volumes)}
        return sorted(pods - nodes.keys())

    def services(self, found: Objects) -> dict[str, dict[str, Any]]:
        """The nodes' own, by node."""
        there = sorted(found.all("Service").items())
        return {name: item for name, item in there if is_of_node(item, self.prefix)}

    def unknown(self, sight: Sight) -> dict[str, str | None]:
        """Places and Services that the ledger does not know -> address: nodes have left, or it is an older one."""
        services = {name: str(item["spec"].get("clusterIP")) for name, item in self.services(sight.found).items()}
        pods = {node.pod: node.address for node in sight.view.nodes}
        known = self.cluster.ledger(sight.found).nodes
        return {pod: address for pod, address in sorted({**services, **pods}.items()) if pod not in known}

    def delete_volumes(self, rack: str, members: bool) -> None:
        """The volumes that nodes of the rack have left behind.

        :param members: also of those that were members.
        """
        found, ledger = self.look()
        for pod in self.left(found, members):
            if pod not in ledger.nodes and self.rack_of(pod) == rack:
                self.cluster.check()
                claim = found.all("PersistentVolumeClaim")[f"data-{pod}"]
                self.kube.delete("PersistentVolumeClaim", f"data-{pod}", uid=claim["metadata"]["uid"])
                self.say(f"volume claim data-{pod} is deleted")

    def wait_gone(self, rack: str, wanted: int) -> None:
        """Until no pod of the rack with this number or a higher one is left."""

        ending = Ending()

        def look() -> list[str]:
            pods = self.kube.list("Pod", labels={**self.labels, LABEL_RACK: rack})
            return ending.left(pod for pod in pods if self.ordinal(pod["metadata"]["name"]) >= wanted)

        until(look, f"the nodes of rack {rack} that left to end", self.limit, self.ctx.progress)

    def clear_claim(self, pod: str, delete_volumes: bool) -> None:
        """A node that joins needs an empty volume; that of a member that left is in the way.

        :raises CassopsError: it is, and may not be deleted.
        """
        found = self.look()[0]
        claim = found.get("PersistentVolumeClaim", f"data-{pod}")
        if claim is None or not left_behind(claim):
            return
        name = claim["metadata"]["name"]
        if not delete_volumes and (reasons := self.in_the_way(found, pod)):
            raise CassopsError("; ".join(reasons))
        self.cluster.check()
        self.kube.delete("PersistentVolumeClaim", name, uid=claim["metadata"]["uid"])
        self.say(f"volume claim {name}, which a node that left has left behind, is deleted")
        self.wait_claim_gone(pod, claim["metadata"]["uid"])

    def in_the_way(self, found: Objects, pod: str) -> list[str]:
        """The volume of a member that left, where a new one of its name needs an empty one."""
        claim = found.get("PersistentVolumeClaim", f"data-{pod}")
        if claim is None or not left_behind(claim) or not was_member(claim):
            return []
        name = claim["metadata"]["name"]
        return [
            f"volume claim {name} is in the way of a new {pod}: it is that of the node of that name that left the ring "
            f"(host id {claim['metadata']['annotations'][LEFT]}), and its data is on the others since. Delete it: "
            f"kubectl -n {self.kube.namespace} delete pvc {name}, or -e scale_delete_volumes=true"
        ]

    def wait_claim_gone(self, pod: str, uid: str) -> None:
        def look() -> list[str]:
            there = self.kube.get("PersistentVolumeClaim", f"data-{pod}")
            return [f"volume claim data-{pod} is still there"] if there and there["metadata"]["uid"] == uid else []

        until(look, f"the volume of {pod} to go", self.limit, self.ctx.progress)

    def drop(self, pod: str, claim_too: bool) -> None:
        """A node that has never joined: nothing of it can be missed.

        :param claim_too: its volume is its own, and goes; it has half of what a member has.
        """
        self.forget(pod, NO_MEMBER if claim_too else None)
        self.tidy(self.rack_of(pod), delete_volumes=False)

    # StatefulSets

    def resize(self, rack: str, nodes: int) -> None:
        """The partition stays above: nothing that runs is restarted, and a new pod comes as the others are."""
        patch = {"spec": {"replicas": nodes, "updateStrategy": {"rollingUpdate": {"partition": nodes}}}}
        self.kube.patch("StatefulSet", self.stateful_set(rack), patch)

    def give_back(self, rack: str, nodes: int) -> None:
        """Places that nodes of the ledger have lost. Half way through a rollout the partition stays where it is: one
        that runs the new revision would come back at the old one."""
        live = self.cluster.look().view.rack(rack)
        if live is not None and live.half_way:
            self.kube.patch("StatefulSet", self.stateful_set(rack), {"spec": {"replicas": nodes}})
        else:
            self.resize(rack, nodes)
        self.say(f"rack {rack} has {counted(nodes, 'place')} again")

    # Seeds

    def set_seeds(self, order: Sequence[str], without: str = "") -> None:
        """The first nodes of up to three racks, here and in what the other datacenters know of this one.

        :param order: racks.
        :param without: a node that is about to leave.
        """
        found, ledger = self.look()
        firsts = [self.pod(rack, 0) for rack in order]
        named = [pod for pod in firsts if pod != without and ledger.host_id(pod)][:SEEDS]
        own = [seed for pod in named if (seed := self.seed(found, ledger.nodes[pod]))]
        old = own_seeds(ledger)
        if not own or own == old:
            return
        self.cluster.write_ledger(
            ledger, replace(ledger, seeds=(*own, *(seed for seed in ledger.seeds if seed not in old)))
        )
        for place in self.cluster.peers:
            self.tell(place, old, own)

    def drop_seeds(self) -> None:
        """No node of the datacenter is a seed any more, here and in what the others know of it: all of them leave.

        Here first: what another datacenter's deploy finds here it would tell that one again.
        """
        gone = self.look()[1]
        theirs = [seed for place in self.cluster.peers for seed in own_seeds(self.cluster.ledger_at(place))]
        for place in (self.cluster.own, *self.cluster.peers):
            ledger = self.cluster.ledger_at(place)
            known = dict.fromkeys([*ledger.seeds, *(theirs if place is self.cluster.own else ())])
            self.cluster.write_ledger(
                ledger, replace(ledger, seeds=tuple(seed for seed in known if not is_node_of(gone, seed))), place
            )

    def tell(self, place: Place, old: Sequence[str], own: Sequence[str]) -> None:
        ledger = self.cluster.ledger_at(place)
        others = own_seeds(ledger)
        rest = sorted({*ledger.seeds, *own} - {*others} - ({*old} - {*own}))
        known = replace(ledger, seeds=(*others, *rest))
        self.cluster.write_ledger(ledger, known, place)

    def seed(self, found: Objects, node: LedgerNode) -> str | None:
        """A node's address; its name where the address is the pod's and changes with it."""
        templates = [item["spec"]["template"] for item in found.all("StatefulSet").values()]
        if any(by_pod(template) for template in templates):
            return f"{node.pod}.{self.prefix}-nodes.{self.kube.namespace}.svc"
        return node.address

    # Small things

    def rack_of(self, pod: str) -> str:
        return rack_of(pod, self.prefix)

    def ordinal(self, pod: str) -> int:
        return int(pod.rpartition("-")[2])

    def say(self, text: str) -> None:
        self.done.append(self.short(text))
        self.ctx.progress(self.short(text), important=True)


def unclean(place: Place, found: Objects) -> list[LedgerNode]:
    """As L(Members.unclean), of any datacenter of the cluster.

    :param found: the objects of that datacenter.
    """
    ledger = ledger_of(found, place.cluster, place.datacenter)
    noted = departed.noted(place, found, UNCLEAN).split(",")
    return [ledger.nodes[pod] for pod in noted if pod in ledger.nodes] if ledger else []


def is_of_node(service: Mapping[str, Any], prefix: str) -> bool:
    """Whether the Service was made here, as the address of a node.

    One that somebody else makes of a pod, such as by C(kubectl expose), has all labels of the pod.
    """
    metadata = service["metadata"]
    rack = (metadata.get("labels") or {}).get(LABEL_RACK)
    named = re.fullmatch(rf"{re.escape(f'{prefix}-{rack}')}-\d+", metadata["name"])
    return named is not None and changes.is_ours(service)


def left_behind(claim: Mapping[str, Any]) -> bool:
    """Whether the claim is that of a node that has left the ring, or never joined it."""
    return LEFT in (claim["metadata"].get("annotations") or {})


def was_member(claim: Mapping[str, Any]) -> bool:
    """Whether the claim that was left behind is that of a member."""
    return bool(claim["metadata"]["annotations"][LEFT] != NO_MEMBER)


@dataclass(frozen=True)
class Neighbour:
    """Another datacenter of the cluster, by what Kubernetes has of it.

    :ivar empty: it has no pods, so nobody serves there.
    """

    ledger: Ledger
    empty: bool

    def away(self, now: int) -> tuple[int, int] | None:
        """From when to when it served nobody last; None where it goes on."""
        if self.ledger.stopped is None:
            return self.ledger.pause
        return (self.ledger.stopped, now) if self.empty else None


def neighbour(kube: Kube, cluster: str, datacenter: str) -> Neighbour | None:
    """None while it was never deployed, and when it has left the cluster."""
    found = objects(kube, cluster, datacenter, kinds=("ConfigMap", "Pod"))
    ledger = ledger_of(found, cluster, datacenter)
    return None if ledger is None or ledger.phase == PHASE_LEFT else Neighbour(ledger, empty=not found.all("Pod"))


def pause(ledger: Ledger, others: Sequence[Neighbour], now: int) -> tuple[int, int] | None:
    """From when to when nobody in the whole cluster served; None where somebody may have gone on.

    :param others: all other datacenters that the run knows.
    """
    known = {seed for other in others for seed in own_seeds(other.ledger)}
    spans = [(ledger.stopped, now) if ledger.stopped is not None else None, *(other.away(now) for other in others)]
    if None in spans or set(ledger.seeds) - set(own_seeds(ledger)) - known:
        return None
    begin, end = max(span[0] for span in spans if span), min(span[1] for span in spans if span)
    return (begin, end) if begin <= end else None


def is_alone(ledger: Ledger, alone: bool) -> bool:
    """Whether the datacenter is the whole cluster: no other is known to the run, nor among its seeds."""
    return alone and not set(ledger.seeds) - set(own_seeds(ledger))


def own_seeds(ledger: Ledger) -> list[str]:
    """The seeds of a ledger that are nodes of its own datacenter, by address or by name."""
    return [seed for seed in ledger.seeds if is_node_of(ledger, seed)]


def is_node_of(ledger: Ledger, seed: str) -> bool:
    """Whether a seed is a node of this datacenter, by address or by name."""
    own = {node.address for node in ledger.nodes.values()} | set(ledger.nodes)
    return seed in own or seed.partition(".")[0] in own
