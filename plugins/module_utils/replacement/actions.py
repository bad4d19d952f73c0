# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be done about a node, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..view import NodeView
from .case import Case

NONE = "none"
"""Nothing."""
WAIT = "wait"
"""It may pass by itself; look again later."""
ASK = "ask"
"""Nothing that is safe: a person has to do, or to confirm, something."""
MOVE = "move"
"""Take the pod off a worker that is off, so that it is made again where its volume can be."""
RECREATE = "recreate"
"""Delete the pod, so that it is made again."""
BOOTSTRAP = "bootstrap"
"""Delete volume and pod of a node that never joined; it joins anew."""
STOP = "stop"
"""End the pod of a node that gave up joining, and its place: else nobody can be replaced. It has its volume still."""
REPLACE = "replace"
"""Delete volume and pod; the new node takes the place of the dead one and streams its data."""
REPAIR = "repair"
"""Repair the node's ranges: it was down for longer than hints are kept."""
ABANDON = "abandon"
"""Withdraw a replacement that was begun: the node is alive again, with its volume, or would be with it."""
ASSASSINATE = "assassinate"
"""Take an address out of gossip that owns nothing and belongs to nobody."""

WELL = "it is well"
"""The reason of a node that nothing is wrong with."""
STOPPED = "no StatefulSet wants it, and its join is not finished"
"""The reason of a node that was stopped before it had joined."""

ACTIONS = (ABANDON, MOVE, RECREATE, STOP, REPLACE, BOOTSTRAP, ASSASSINATE, REPAIR)
"""What heal does by itself, in this order: what brings an old volume back comes before what gives one up."""


@dataclass(frozen=True)
class Decision:
    """What to do about one node, or about one address that belongs to none.

    :param row: of the table; 0 is a node that is well.
    :param reason: what was seen, in words.
    :param advice: what a person can do; empty where nobody has to.
    :param at_risk: keyspaces of which rows may be lost by it.
    """

    node: str
    row: int
    action: str
    reason: str
    advice: str = ""
    at_risk: tuple[str, ...] = ()

    @property
    def acts(self) -> bool:
        return self.action in ACTIONS


def first(decisions: Iterable[Decision], begun: str = "") -> Decision | None:
    """The one to carry out now, None where there is nothing to do.

    :param begun: the node of which the replacement was begun: of several that are to be replaced it goes first.
    """
    acting = [each for each in decisions if each.acts]
    return min(acting, key=lambda each: (ACTIONS.index(each.action), each.node != begun), default=None)


def wait(case: Case, row: int, reason: str) -> Decision:
    return Decision(case.node.pod, row, WAIT, reason)


def ask(case: Case, row: int, reason: str, advice: str) -> Decision:
    return Decision(case.node.pod, row, ASK, reason, advice)


def by_name(node: NodeView, otherwise: str) -> str:
    return f"{otherwise}: playbook replace_node with -e replace_node_name={node.pod}"
