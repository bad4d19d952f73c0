# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each operation once, as `make soak` has them in depth: restarts, a lost volume, a node more, a restored table.

The run of one of them, which the seed chooses, is killed in its middle and finished by the next.
"""

from __future__ import annotations

from integration.harness import samples
from integration.harness.datacenter import Datacenter
from integration.harness.workload import Workload


def test_a_restart_node_by_node(three: Datacenter, client: Workload) -> None:
    samples.restart_node_by_node(three, client)


def test_a_restart_is_refused_by_its_gate(three: Datacenter, client: Workload) -> None:
    samples.meet_a_gate(three, client)


def test_a_lost_volume(three: Datacenter, client: Workload) -> None:
    samples.lose_a_volume(three, client)


def test_a_node_more_and_away_again(three: Datacenter, client: Workload) -> None:
    samples.one_node_more_and_away_again(three, client)


def test_a_dropped_table_is_restored(three: Datacenter, client: Workload) -> None:
    samples.drop_a_table_and_restore_it(three, client)
