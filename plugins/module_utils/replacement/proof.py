# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a replacement is done. Pure."""

from __future__ import annotations

from dataclasses import replace

from .. import gates
from ..plan import Plan, hash_of
from ..view import Observation
from .scene import Scene


def unproven(scene: Scene, plan: Plan) -> list[str]:
    """Why a replacement does not count as done; empty when every view has the new node, and nothing of the dead one.

    Views must have been asked what nodes are busy with.
    """
    node = scene.seen.node(plan.pod)
    if node is None or node.address is None:
        return [f"{plan.pod} has no address"]
    reasons = []
    mine = replace(scene.seen, nodes=(node,))
    if node.pod not in mine.observations:
        reasons.append(f"{node.pod} cannot be asked for its view yet")
    for view in scene.views:
        about = replace(view, nodes=(node,))
        reasons += gates.up_in_every_view(about) + gates.normal(about, {node.address}) + gates.one_schema(view)
        reasons += [
            f"{pod} still knows the dead node under {plan.address}"
            for pod, seen in sorted(view.observations.items())
            if plan.address != node.address and plan.address in seen.endpoints and seen.endpoints[plan.address].tokens
        ]
        reasons += [
            f"{pod} knows {node.pod} with other tokens than the dead node had"
            for pod, seen in sorted(view.observations.items())
            if node.address in seen.endpoints and hash_of(seen.endpoints[node.address].tokens) != plan.tokens
        ]
    return reasons + still_streaming(mine.observations.get(node.pod))


def still_streaming(observation: Observation | None) -> list[str]:
    """Streams of the node but those of repairs, which come and go."""
    if observation is None:
        return []
    streams = observation.activity.streams
    if streams is None:
        return [f"whether {observation.pod} still streams could not be read"]
    return [f"{observation.pod} still streams: {each}" for each in streams if each.operation != "Repair"]
