# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is who, and who is alive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import DEFAULT, stranger
from unit.plugins.module_utils.replacement.scenes import scenes

from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.case import Case, Settings
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.scene import Scene
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import View


@pytest.mark.parametrize(
    ("status", "joined"), [("NORMAL", True), ("LEAVING", True), (None, True), ("BOOT", False), ("BOOT_REPLACE", False)]
)
def test_a_node_that_streams_under_an_address_of_its_own_is_alive_and_has_not_joined(
    status: str | None, joined: bool
) -> None:
    """Gossip has it alive: it does not hibernate."""
    view = stranger(views.whole(), up=True, status=status)
    scene = Scene(view, (), DEFAULT)
    (address,) = [member.address for member in scene.strangers()]
    assert scene.up_in(address)
    assert bool(scene.joined_in(address)) is joined
    assert scene.joined_in(None) == []


@given(scenes(), st.data())
@effort(max_examples=100, deadline=None)
def test_who_is_who_is_told_as_by_looking_through_all(
    scene: tuple[View, list[Case], Settings], data: st.DataObject
) -> None:
    """Also where nodes have changed their addresses or never joined, and strangers are there."""
    view = scene[0]
    for node in view.nodes:
        changes = data.draw(st.sampled_from([{}, {}, {"host_id": None}, {"address": None}, {"address": "198.19.9.9"}]))
        view = views.with_node(view, node.pod, **changes)
    if view.observations and data.draw(st.booleans()):
        host_id = data.draw(st.sampled_from(["host-1", "host-2", "host-ghost", ""]))
        view = stranger(
            view, up=data.draw(st.booleans()), host_id=host_id, tokens=data.draw(st.sampled_from([(), (1,)]))
        )
    where = Scene(view, (), DEFAULT)
    for address, member in where.members.items():
        named = (n.pod for n in view.nodes if n.address == address or (n.host_id and n.host_id == member.host_id))
        assert where.name(address) == next(named, address)
    for node in view.nodes:
        same = [item for item in where.members.values() if node.host_id and item.host_id == node.host_id]
        same.sort(key=lambda item: (not view.seen_up_by(item.address), item.address != node.address))
        assert where.member(node) == (same[0] if same else where.members.get(node.address or ""))
