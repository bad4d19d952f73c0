# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import VERSION, Objects
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import midway
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations.midway import Reached
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import NodeView


def one(pod: str, serves: bool, has_way_back: bool) -> Reached:
    return Reached(pod, "Cassandra 5.0.9", "Cassandra 4.0.19", serves, has_way_back)


@pytest.mark.parametrize(
    ("serves", "refused"),
    # One that does not come up by itself may need just that, and nothing else may be left.
    [([True], True), ([True, True], True), ([False], False), ([True, False], False), ([], False)],
)
@pytest.mark.parametrize("has_way_back", [True, False])
def test_another_template_is_refused_unless_a_node_may_need_it(
    serves: list[bool], refused: bool, has_way_back: bool
) -> None:
    some = [one(f"r1-{number}", each, has_way_back) for number, each in enumerate(serves)]
    told = midway.refusals(some)
    assert bool(told) is refused
    assert bool(midway.warnings(some)) is (bool(some) and not refused)
    assert not refused or ("rollout_rollback" in told[0]) is has_way_back


POD = "shop-dc1-r1-1"


def template(version: str) -> dict[str, Any]:
    container = {"name": "cassandra", "image": f"cassandra:{version}"}
    return {"metadata": {"labels": {VERSION: version}}, "spec": {"containers": [container]}}


def rack(version: str, partition: int) -> dict[str, Any]:
    strategy = {"rollingUpdate": {"partition": partition}}
    return {"spec": {"replicas": 2, "updateStrategy": strategy, "template": template(version)}}


def node(**changes: Any) -> NodeView:
    return replace(NodeView(POD, "r1", 1, phase="Running", ready=True, uid="u1", running_for=5.0), **changes)


@pytest.mark.parametrize(
    ("seen", "serves"),
    [
        (node(), True),
        # It only starts, or ends, or its worker does not answer: it is no other one for that.
        (node(ready=False), True),
        (node(ready=False, phase="Pending", age=3.0), True),
        (node(ready=False, phase="Terminating"), True),
        (node(ready=False, worker_lost=True), True),
        (node(ready=False, phase="Crashed"), False),
        (node(ready=False, phase="Pending", age=3.0, reason="it cannot be scheduled"), False),
        (node(ready=False, running_for=9999.0), False),
    ],
)
def test_who_comes_up_by_itself_needs_no_correction(seen: NodeView, serves: bool) -> None:
    found = Objects({"Pod": {POD: template("5.0.9")}, "StatefulSet": {"shop-dc1-r1": rack("5.0.9", 1)}})
    (told,) = midway.reached(found, [seen], "shop-dc1-r1", template("4.1.10"))
    assert (told.pod, told.before, told.serves) == (POD, "Cassandra 4.1.10", serves)


@pytest.mark.parametrize(("partition", "counts"), [(1, True), (2, False)])
def test_one_that_has_no_pod_just_now_counts_where_the_rollout_has_come_to_it(partition: int, counts: bool) -> None:
    found = Objects({"Pod": {}, "StatefulSet": {"shop-dc1-r1": rack("5.0.9", partition)}})
    told = midway.reached(found, [node(uid=None, ready=False, phase=None)], "shop-dc1-r1", template("4.1.10"))
    assert bool(midway.warnings(told)) is counts
    assert midway.refusals(told) == [], "a quota may forbid the pod, and want a smaller one"


def test_one_that_somebody_has_scaled_away_needs_no_correction() -> None:
    scaled = rack("5.0.9", 1)
    scaled["spec"]["replicas"] = 1
    found = Objects({"Pod": {}, "StatefulSet": {"shop-dc1-r1": scaled}})
    told = midway.reached(found, [node(uid=None, ready=False, phase=None)], "shop-dc1-r1", template("4.1.10"))
    assert midway.refusals(told)


def test_what_an_older_line_wrote_the_newer_one_reads() -> None:
    """A way back that has lost tables on the canary is turned around by deploying the newer line."""
    found = Objects({"Pod": {POD: template("4.1.10")}, "StatefulSet": {"shop-dc1-r1": rack("4.1.10", 1)}})
    assert midway.reached(found, [node()], "shop-dc1-r1", template("5.0.9")) == []


def test_a_revision_that_kubernetes_has_no_more_is_none_to_come_back_at() -> None:
    assert midway.reached(Objects({}), [], "shop-dc1-r1", None) == []
