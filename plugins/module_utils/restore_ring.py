# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which node of a datacenter takes what a node of the backup had: by its tokens, or rack by rack. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .backups import NodeManifest
from .restoring import IMPORT, SWAP, Plan, Target
from .wording import counted


def ordered(pods: Iterable[str]) -> list[str]:
    """By rack, then by number: r1-2 stands before r1-10."""
    return sorted(pods, key=lambda pod: (pod.rpartition("-")[0], int(pod.rpartition("-")[2] or 0)))


def same_ring(nodes: Sequence[NodeManifest], targets: Sequence[Target]) -> dict[str, str] | str:
    """The backup's pod -> the pod that has its tokens now; or why the ring is another one.

    The tokens alone do not do: which nodes hold a row depends on the racks too.
    """
    if len(nodes) != len(targets):
        return f"the backup is of {counted(len(nodes), 'node')}, and there are {len(targets)}"
    by_tokens = {tuple(sorted(target.tokens)): target for target in targets}
    pairs: dict[str, str] = {}
    racks: dict[str, set[str]] = {}
    for node in nodes:
        target = by_tokens.get(tuple(sorted(node.tokens)))
        if target is None or not node.tokens:
            return f"no node has the tokens that {node.pod} had"
        pairs[node.pod] = target.pod
        racks.setdefault(node.rack, set()).add(target.rack)
    torn = sorted(rack for rack, now in racks.items() if len(now) > 1)
    if torn or len({next(iter(now)) for now in racks.values()}) < len(racks):
        return f"nodes that shared a rack do not any more ({', '.join(torn or sorted(racks))})"
    return pairs


def moved(plan: Plan, nodes: Sequence[NodeManifest], targets: Sequence[Target]) -> list[str]:
    """Why a plan does not fit the datacenter any more: nodes came, left or changed their tokens since it was made.

    A node that was replaced in its place is no reason: it has the tokens of the one before.
    """
    if plan.way == IMPORT:
        pairs = same_ring(nodes, targets)
        if isinstance(pairs, str):
            return [pairs]
        there = {(parcel.node, parcel.pod) for parcel in plan.parcels}
        return [f"{pod} has the tokens that {node} had" for node, pod in pairs.items() if (node, pod) not in there]
    planned, now = {parcel.pod for parcel in plan.parcels}, {target.pod for target in targets}
    return [
        *(f"{pod} is not here any more" for pod in ordered(planned - now)),
        *(f"{pod} came since" for pod in ordered(now - planned) if plan.way == SWAP),
    ]


def paired(nodes: Iterable[tuple[str, str]], racks: Mapping[str, Sequence[str]]) -> dict[str, str] | str:
    """The backup's pods -> the pods of another datacenter, rack by rack and number by number; or why they do not fit.

    Racks of the same name belong together where all have theirs; else those of the same size, in their order.

    :param nodes: pod and rack of each node of the backup.
    :param racks: rack -> its pods, of the other datacenter.
    """
    then: dict[str, list[str]] = {}
    for pod, rack in nodes:
        then.setdefault(rack, []).append(pod)
    counts = sorted(len(pods) for pods in then.values()), sorted(len(pods) for pods in racks.values())
    if counts[0] != counts[1]:
        had, has = (", ".join(map(str, sorted(each, reverse=True))) for each in counts)
        return f"the backup's racks have {had} nodes, and these have {has}"
    if set(then) == set(racks) and all(len(then[rack]) == len(racks[rack]) for rack in then):
        partners = {rack: rack for rack in then}
    else:
        by_size = sorted(then, key=lambda rack: (len(then[rack]), rack))
        partners = dict(zip(by_size, sorted(racks, key=lambda rack: (len(racks[rack]), rack)), strict=True))
    return {
        old: new
        for rack, partner in partners.items()
        for old, new in zip(ordered(then[rack]), ordered(racks[partner]), strict=True)
    }


def tokens_for(nodes: Sequence[NodeManifest], racks: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, ...]] | str:
    """Pod -> the tokens that a new datacenter must be given to take the backup's files as they are; or why not."""
    pairs = paired([(node.pod, node.rack) for node in nodes], racks)
    if isinstance(pairs, str):
        return pairs
    return {pairs[node.pod]: tuple(sorted(node.tokens)) for node in nodes}
