# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that an upgrade has reached while their rack is half way, and what yet another template would do to them.

A StatefulSet knows two revisions. With a third one, pods that run the one between are below the partition, and whenever
they are made anew by themselves (a drain, a deletion) they come back at the first: an older Cassandra, or an earlier
mode of storage, on data that the newer one wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import gates, upgrade
from ..ledger import Ledger
from ..observe import Objects, mode_of, version_of
from ..rollout import needs_help
from ..view import NodeView
from ..wording import agree
from .failures import wanted


@dataclass(frozen=True)
class Reached:
    """A node that an upgrade has reached.

    :ivar runs: what it runs, in words.
    :ivar before: what it would come back with.
    :ivar serves: it is well, or will be by itself, or as soon as its place is given back; another template is then no
        correction.
    :ivar has_way_back: the versions do not stand against taking it back.
    """

    pod: str
    runs: str
    before: str
    serves: bool
    has_way_back: bool


def reached(
    found: Objects, nodes: Iterable[NodeView], stateful_set: str, before: Mapping[str, Any] | None
) -> list[Reached]:
    """The nodes of a rack half way that run a newer line, or a later mode of storage, than before the change.

    :param before: the template of the rack's current revision; None where Kubernetes has it no more: no pod could come
        back at it.
    """
    if before is None:
        return []
    mine = [node for node in nodes if node.pod.rpartition("-")[0] == stateful_set]
    told = [node_reached(found, node, pod, before) for node in mine if (pod := made_of(found, node.pod))]
    return [one for one in told if one is not None]


def scaled_away(found: Objects, ledger: Ledger) -> list[Mapping[str, Any]]:
    """What those ran last that no StatefulSet wants any more, where a rollout has come to them."""
    told = [made_of(found, pod) for pod in ledger.nodes if not wanted(found, pod)]
    return [item for item in told if item is not None]


def made_of(found: Objects, name: str) -> Mapping[str, Any] | None:
    """The pod; of one that is not there just now what it ran last, if the rollout has come to it."""
    stateful_set, _dash, ordinal = name.rpartition("-")
    pod, owner = found.get("Pod", name), found.get("StatefulSet", stateful_set)
    if pod is not None or owner is None:
        return pod
    released = owner["spec"].get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0)
    template: Mapping[str, Any] = owner["spec"]["template"]
    return template if int(ordinal) >= released else None


def node_reached(found: Objects, node: NodeView, pod: Mapping[str, Any], before: Mapping[str, Any]) -> Reached | None:
    """The node, where it runs a newer line or mode than before: what it writes is not for that one."""
    # One without a pod may need a correction to get one, but where somebody has scaled it away.
    serves = not wanted(found, node.pod) or (node.uid is not None and not needs_help(node))
    version, former = version_of(pod), version_of(before)
    mode, earlier = mode_of(found, pod), mode_of(found, before)
    if version and former and gates.line(version) > gates.line(former):
        can = not upgrade.refusals(version, former, mode)
        return Reached(node.pod, f"Cassandra {version}", f"Cassandra {former}", serves, can)
    if mode and earlier and mode != earlier and gates.line(version or "") == gates.line(former or ""):
        # The steps lead one way.
        return Reached(node.pod, f"{upgrade.KEY} {mode}", f"{upgrade.KEY} {earlier}", serves, False)
    return None


def refusals(all_reached: Sequence[Reached]) -> list[str]:
    """Why the template may not be changed now.

    A node that does not come up by itself may need just that, and nothing else may be left: whether the change can be
    taken back only the playbook restart knows.
    """
    if not all_reached or not all(one.serves for one in all_reached):
        return []
    has_way_back = all(one.has_way_back for one in all_reached)
    what, before = all_reached[0].runs, all_reached[0].before
    back = ", or take it back with the playbook restart and -e rollout_rollback=true" if has_way_back else ""
    return [
        f"{names(all_reached)} {agree(all_reached, 'has', 'have')} {what} already, and the rest of the rack {before}: "
        "with another pod template than the one that is being rolled out "
        f"{agree(all_reached, 'it', 'they')} would come back with {before} when somebody drains a worker or deletes a "
        f"pod, on data that {what} wrote. First put what is being rolled out back into the inventory and finish it "
        f"with the playbook upgrade{back}. Then change it"
    ]


def warnings(all_reached: Sequence[Reached]) -> list[str]:
    """What to mind where the template is changed all the same, as a correction."""
    if not all_reached or refusals(all_reached):
        return []
    what, before = all_reached[0].runs, all_reached[0].before
    return [
        f"until the correction has reached {names(all_reached)} (playbook upgrade, at once), "
        f"{agree(all_reached, 'it', 'they')} would come back with {before} when somebody drains a worker or deletes a "
        f"pod, on data that {what} may have written: do neither before"
    ]


def names(some: Sequence[Reached]) -> str:
    return ", ".join(one.pod for one in some)
