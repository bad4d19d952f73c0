# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What speaks against giving up a volume (rows 11, 14 to 18, 20), and whether the living can stream. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .. import gates
from ..view import Endpoint, NodeView, View
from ..wording import agree
from .actions import ASK, Decision, ask, wait
from .alive import living
from .case import Case
from .losses import Loss, losses
from .scene import Scene, joined, unasked, under_way

WHOLE_VIEWS = 3
"""So many living nodes must agree on who the dead one is, where there are so many."""


def safe(scene: Scene, case: Case, action: str, row: int, reason: str) -> Decision:
    """The decision, if nothing speaks against it; else what does."""
    node, member = case.node, scene.member(case.node)
    unknown = unasked(scene)
    if unknown:
        advice = "see to the superuser's Secret, and to port-forwards; before a node answers nothing is decided"
        return ask(case, 18, f"{reason}; and {unknown}", advice)
    if not scene.observers:
        return ask(
            case,
            18,
            f"{reason}; and no living node could be asked",
            "bring back a node whose volume is left; if none is, restore the datacenter from a backup, or build it "
            "again from another datacenter",
        )
    if member is None:
        return ask(case, 11, f"{reason}; and no living node knows it", "run the playbook status, and see its ring")
    up = scene.up_in(member.address)
    if up and not case.open_plan:
        return living(scene, case, up)
    # Cassandra lets nobody stream his way in while a member leaves, also one that died of it.
    over = {address for address in scene.dead() if not under_way(scene.members[address])}
    beside = {*over, *scene.ghosts(), member.address}
    others = [view.without({node.pod, *scene.newcomers()}, beside) for view in scene.views]
    rest = joined(others)
    fixed = not comes_changed(scene, node)
    mixed = [*gates.one_release(rest), *(another_line(node, rest) if fixed else ())]
    if mixed:
        return ask(case, 20, f"{reason}; but {mixed[0]}", one_line_first(node))
    apart = [*gates.one_format(rest), *(another_format(node, rest) if fixed else ())]
    if apart:
        return ask(case, 20, f"{reason}; but {apart[0]}", one_format_first(node))
    ended = (f"the playbook heal ends {pod}, which gave up joining" for pod in scene.in_the_way)
    reasons = [*ended, *obstacles(others), *disagreement(scene, member)]
    if reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        return wait(case, row, f"{reason}; but first: {reasons[0]}{more}")
    lost = [] if up else losses(scene, member.address)
    refused = unacceptable(scene, case, reason, lost)
    if refused:
        return refused
    at_risk = tuple(sorted({name for loss in lost for name in loss.keyspaces}))
    return Decision(node.pod, row, action, reason + circumstances(scene, member, at_risk), at_risk=at_risk)


def unacceptable(scene: Scene, case: Case, reason: str, lost: Sequence[Loss]) -> Decision | None:
    """Rows 16 and 17."""
    if not lost:
        return None
    words = "; ".join(loss.words(scene) for loss in lost)
    keyspaces = tuple(sorted({name for loss in lost for name in loss.keyspaces}))
    if any(loss.gone and loss.factor > 1 for loss in lost):
        return Decision(
            case.node.pod,
            17,
            ASK,
            f"{reason}; and {words}",
            "Cassandra refuses to stream what nobody has: bring back a volume of one of them, or restore a backup",
            keyspaces,
        )
    if set(keyspaces) <= scene.settings.accept_loss:
        return None
    return Decision(
        case.node.pod,
        17 if any(loss.gone for loss in lost) else 16,
        ASK,
        f"{reason}; and {words}",
        "bring back the volume of one of them first. If that cannot be, restore a backup, or accept the loss: "
        f"{scene.settings.say('accept_loss', *keyspaces)}",
        keyspaces,
    )


def obstacles(others: Iterable[View]) -> Iterator[str]:
    """Why the living are not ready to give a node its data."""
    others = list(others)
    if not any(view.keyspaces for view in others):
        yield "the keyspaces could not be read"
    for view in others:
        for gate in (gates.heard, gates.up_in_every_view, gates.normal, gates.one_schema):
            if view.nodes or gate is not gates.up_in_every_view:
                yield from gate(view)


def comes_changed(scene: Scene, node: NodeView) -> bool:
    """Whether its pod ends and the next one may be of another revision: what this one runs tells nothing then."""
    rack = scene.seen.rack(node.rack)
    return node.phase == "Terminating" and rack is not None and node.ordinal >= rack.partition


def another_line(node: NodeView, living: View) -> Iterator[str]:
    """Why the living cannot give the node its data although they run one line of Cassandra: its pod runs another."""
    lines = {gates.line(member.version) for member in living.endpoints().values()}
    if node.version and lines and gates.line(node.version) not in lines:
        yield f"it would start with Cassandra {node.version}, and the others run {', '.join(sorted(lines))}"


def another_format(node: NodeView, living: View) -> Iterator[str]:
    """The same where it is another kind of formats, see L(gates.one_format)."""
    known = (gates.FOR_FOUR, *gates.FOR_FIVE)
    modes = {other.storage_mode for other in living.nodes if other.storage_mode in known}
    own = node.storage_mode
    if modes and own in known and (own == gates.FOR_FOUR) != (gates.FOR_FOUR in modes):
        yield (
            f"it would start with storage_compatibility_mode {own}, and the others run with "
            f"{', '.join(each for each in known if each in modes)}: nothing can be streamed from one side to the other"
        )


def one_format_first(node: NodeView) -> str:
    return (
        f"finish that step without this node, then run it again: playbook upgrade with -e rollout_without={node.pod}. "
        "There is no way back from it but a backup"
    )


def one_line_first(node: NodeView) -> str:
    return (
        f"finish the upgrade or take it back, without this node, then run it again: playbook restart with -e "
        f"rollout_without={node.pod} -e rollout_rollback=true takes it back (but not an upgrade from 4.0), playbook "
        f"upgrade with -e rollout_without={node.pod} finishes it"
    )


def disagreement(scene: Scene, member: Endpoint) -> Iterator[str]:
    """Why the living do not agree on who the dead node is: a replacement takes its tokens from any of them."""
    known = 0
    for view in scene.views:
        for pod, seen in sorted(view.observations.items()):
            theirs = seen.endpoints.get(member.address)
            if theirs is None:
                yield f"{pod} does not know {scene.name(member.address)} ({member.address})"
            elif (theirs.host_id, theirs.tokens) != (member.host_id, member.tokens):
                yield f"{pod} knows another host id or other tokens of {scene.name(member.address)} than the others"
            else:
                known += 1
    alive = sum(1 for item in scene.members.values() if item.tokens) - len(scene.dead())
    if known < min(WHOLE_VIEWS, alive):
        yield f"{known} living nodes agree on {scene.name(member.address)}, needed {min(WHOLE_VIEWS, alive)}"


def circumstances(scene: Scene, member: Endpoint, at_risk: Sequence[str]) -> str:
    """What else is worth a word: rows 14 and 15, and what was accepted."""
    words = ""
    if any(member.address in view.seed_addresses for view in scene.views):
        words += "; it is a seed, and starts with others as its seeds"
    others = sorted(scene.name(address) for address in scene.dead() - {member.address})
    if others:
        words += f"; {', '.join(others)} {agree(others, 'is', 'are')} dead too"
    if at_risk:
        words += f"; rows of {', '.join(at_risk)} may be lost, which was accepted"
    elif others:
        words += f", and no quorum is lost with {agree(others, 'it', 'them')}"
    return words
