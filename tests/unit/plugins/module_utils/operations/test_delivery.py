# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping

from unit.plugins.module_utils import views

from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.delivery import Delivery
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import View

FIRST, SECOND = "shop-dc1-r1-0", "shop-dc1-r2-0"


def keeping(files: Mapping[str, Mapping[str, int] | None]) -> View:
    view = views.whole()
    for pod, hints in files.items():
        view = views.with_activity(view, pod, hints=hints)
    return view


def marks(*looks: Mapping[str, Mapping[str, int] | None]) -> list[object]:
    hints, told = Delivery(), []
    for look in looks:
        hints.see(keeping(look))
        told.append(hints.mark())
    return told


def test_fewer_files_are_progress() -> None:
    assert len(set(marks({FIRST: {"a": 3}}, {FIRST: {"a": 2}}, {FIRST: {}}))) == 3


def test_each_node_counts() -> None:
    """One gets more while another delivers."""
    before, after = marks({FIRST: {"a": 3}, SECOND: {"a": 1}}, {FIRST: {"a": 2}, SECOND: {"a": 5}})
    assert before != after


def test_as_many_or_more_are_none() -> None:
    """A node that goes down and up again gets hints anew: that they come and go is no delivery."""
    told = marks({FIRST: {"a": 2}}, {FIRST: {"a": 2}}, {FIRST: {"a": 4}}, {FIRST: {"a": 3}}, {FIRST: {"b": 2}})
    assert len(set(told)) == 1


def test_a_node_that_does_not_tell_has_delivered_nothing() -> None:
    told = marks({FIRST: {"a": 2}}, {FIRST: None}, {FIRST: {"a": 2}}, {FIRST: {"a": 1}})
    assert told[0] == told[1] == told[2] != told[3]
