# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Datacenters in which anything may be wrong with any node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import (
    EMPTY,
    EXPIRED,
    FAILED,
    HALF_WAY,
    NO_PLACE,
    cases,
    dead,
    with_keyspace,
)

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import (
    AWAY,
    GONE,
    READY,
    Case,
    Settings,
    Worker,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import View

STATES = st.sampled_from(
    ["well", "empty", "expired", "half way", "failed", "crashed", "gone", "away", "stranded", "starting"]
)


def spoil(view: View, pod: str, state: str) -> View:
    changes: dict[str, dict[str, Any]] = {
        "empty": {"held": EMPTY},
        "expired": {"held": EXPIRED},
        "half way": {"held": HALF_WAY},
        "crashed": {"phase": "Crashed", "restarts": 5},
        "gone": {"phase": "Terminating"},
        "away": {"phase": "Terminating"},
        "stranded": {"phase": "Pending", "worker": None, "reason": NO_PLACE},
        "starting": {"phase": "Running"},
        "failed": {"phase": "Running"},
    }
    return view if state == "well" else dead(view, pod, **changes[state])


@st.composite
def scenes(draw: st.DrawFn) -> tuple[View, list[Case], Settings]:
    """A datacenter in which anything may be wrong with any node."""
    sizes = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    view = views.whole(racks=[f"r{number}" for number in range(sizes[0])], per_rack=sizes[1])
    for number, factor in enumerate(draw(st.lists(st.integers(1, 5), max_size=3))):
        view = with_keyspace(view, f"ks{number}", dc1=str(factor))
    states = {node.pod: draw(STATES) for node in view.nodes}
    for pod, state in states.items():
        view = spoil(view, pod, state)
    for node in view.nodes:
        for observer in list(view.observations):
            if observer != node.pod and draw(st.integers(0, 30)) == 0:
                seen = view.observations[observer]
                flipped = {**seen.alive, str(node.address): not seen.alive[str(node.address)]}
                view = replace(view, observations={**view.observations, observer: replace(seen, alive=flipped)})
    workers = {"gone": GONE, "away": AWAY, "stranded": GONE}
    facts: dict[str, dict[str, Any]] = {
        pod: {"worker": Worker("w", workers.get(state, READY)), "down": draw(st.sampled_from([None, 5.0, 5000.0]))}
        for pod, state in states.items()
    }
    for pod in (pod for pod, state in states.items() if state == "failed"):
        facts[pod]["streams_failed"] = FAILED
    pods = sorted(states)
    settings = Settings(
        named=frozenset(draw(st.sets(st.sampled_from(pods), max_size=2))),
        accept_loss=frozenset(draw(st.sampled_from([(), ("ks0",), ("ks0", "ks1", "ks2", "system_auth")]))),
    )
    return view, cases(view, facts), settings
