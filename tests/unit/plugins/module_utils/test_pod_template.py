# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.cassops.kubernetes.plugins.module_utils import pod_template


def test_what_is_documented_is_taken() -> None:
    template = {
        "metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}},
        "spec": {
            "tolerations": [{"key": "db", "operator": "Exists"}],
            "nodeSelector": {"disk": "nvme"},
            "priorityClassName": "high",
            "terminationGracePeriodSeconds": 600,
            "containers": [
                {"name": "cassandra", "env": [{"name": "TZ", "value": "UTC"}]},
                {"name": "side", "image": "x"},
            ],
            "volumes": [{"name": "certificates", "secret": {"secretName": "tls"}}],
        },
    }
    assert pod_template.check(template, "t") == []


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ({"spce": {}}, "t.spce: cannot be set here; did you mean spec?"),
        ({"spec": {"hostNetwork": True}}, "t.spec.hostNetwork: cannot be set here"),
        ({"spec": []}, "t.spec: must be a mapping"),
        ({"metadata": "x"}, "t.metadata: must be a mapping"),
        ({"metadata": {"name": "x"}}, "t.metadata.name"),
        ({"metadata": {"labels": {"cassops.kubernetes/rack": "x"}}}, "t.metadata.labels.cassops.kubernetes/rack"),
        ({"metadata": {"labels": {"app.kubernetes.io/name": "x"}}}, "t.metadata.labels.app.kubernetes.io/name"),
        ({"spec": {"tolerations": {}}}, "t.spec.tolerations: must be a list"),
        ({"spec": {"affinity": []}}, "t.spec.affinity: must be a mapping"),
        ({"spec": {"nodeSelector": {"topology.kubernetes.io/zone": "a"}}}, "t.spec.nodeSelector: the zone"),
        ({"spec": {"volumes": [{"name": "data"}]}}, "t.spec.volumes[0].name: data"),
        ({"spec": {"containers": [{"image": "x"}]}}, "t.spec.containers[0].name: is missing"),
        ({"spec": {"containers": [{"name": "cassandra", "image": "x"}]}}, "t.spec.containers[0].image"),
        ({"spec": {"containers": [{"name": "cassandra", "env": [{"name": "MAX_HEAP_SIZE"}]}]}}, "MAX_HEAP_SIZE"),
        ({"spec": {"containers": [{"name": "cassandra", "env": [{"name": "CASSOPS_RACK"}]}]}}, "CASSOPS_RACK"),
        (
            {"spec": {"containers": [{"name": "cassandra", "resources": {"limits": {"memory": "1Gi"}}}]}},
            "t.spec.containers[0].resources.limits.memory",
        ),
    ],
)
def test_what_would_break_us_is_refused(template: dict[str, Any], path: str) -> None:
    (error,) = pod_template.check(template, "t")
    assert path in error


def test_merging() -> None:
    ours = {"a": {"x": 1, "y": 2}, "list": [1], "named": [{"name": "p", "v": 1}, {"name": "q", "v": 2}], "kept": 0}
    theirs = {"a": {"y": None, "z": 3}, "list": [2], "named": [{"name": "q", "w": 3}, {"name": "r"}]}
    assert pod_template.merge(ours, theirs) == {
        "a": {"x": 1, "z": 3},
        "list": [1, 2],
        "named": [{"name": "p", "v": 1}, {"name": "q", "v": 2, "w": 3}, {"name": "r"}],
        "kept": 0,
    }
    assert ours["a"] == {"x": 1, "y": 2}
