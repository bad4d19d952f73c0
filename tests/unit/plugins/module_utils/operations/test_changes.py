# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
import yaml

from ansible_collections.cassops.kubernetes.plugins.module_utils import manifests, spec_parser
from ansible_collections.cassops.kubernetes.plugins.module_utils.kube import Kube
from ansible_collections.cassops.kubernetes.plugins.module_utils.ledger import Ledger, LedgerNode
from ansible_collections.cassops.kubernetes.plugins.module_utils.observe import Objects
from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import changes

VALUES: dict[str, Any] = {
    "cluster": "shop",
    "datacenter": "dc1",
    "version": "5.0.9",
    "racks": [{"name": "r1", "zone": "a", "nodes": 1}],
    "storage": {"size": "10Gi"},
}
LEDGER = Ledger(id="1", cluster="shop", datacenter="dc1", born_version="5.0.9")


def built(ledger: Ledger = LEDGER, **values: Any) -> list[dict[str, Any]]:
    return manifests.build(spec_parser.parse({**VALUES, **values}), ledger)


def living(items: list[changes.Change]) -> Objects:
    """What the API server has after the changes were sent, with what it fills in."""
    by_kind: dict[str, dict[str, dict[str, Any]]] = {}
    for change in items:
        item = copy.deepcopy(change.desired)
        item["metadata"].update(uid="u", resourceVersion="7", managedFields=[{"manager": "cassops"}])
        item["status"] = {"filled": "in"}
        if change.kind == "Service":
            item["spec"].setdefault("clusterIP", "198.19.0.1")
            item["spec"]["sessionAffinity"] = "None"
        by_kind.setdefault(change.kind, {})[change.name] = item
    return Objects(by_kind)


def applied(**values: Any) -> Objects:
    return living(changes.plan(built(**values), Objects({})))


def told(items: list[changes.Change]) -> list[tuple[str, str, str]]:
    return [(change.verb, change.kind, change.name) for change in items]


# --- plan -------------------------------------------------------------------------------------------------------------


def test_everything_is_created_in_the_order_given() -> None:
    planned = changes.plan(built(), Objects({}))
    assert [change.verb for change in planned] == ["create"] * len(built())
    assert [change.name for change in planned] == [item["metadata"]["name"] for item in built()]


def test_what_is_applied_needs_no_change() -> None:
    assert changes.plan(built(), applied()) == []


def test_the_address_that_kubernetes_gave_is_no_change() -> None:
    """It is desired from the second look on, when the ledger has it."""
    known = LEDGER.with_node(LedgerNode("shop-dc1-r1-0", "198.19.0.1"))
    assert changes.plan(built(known), applied()) == []


def test_another_address_is_a_change() -> None:
    known = LEDGER.with_node(LedgerNode("shop-dc1-r1-0", "198.19.0.77"))
    (change,) = changes.plan(built(known), applied())
    assert (change.name, change.paths) == ("shop-dc1-r1-0", ("spec.clusterIP",))


def test_what_somebody_else_changed_is_put_right() -> None:
    found = applied()
    found.by_kind["StatefulSet"]["shop-dc1-r1"]["spec"]["replicas"] = 5
    (change,) = changes.plan(built(), found)
    assert str(change) == "update StatefulSet shop-dc1-r1 (spec.replicas)"


def test_what_somebody_else_added_stays() -> None:
    found = applied()
    found.by_kind["StatefulSet"]["shop-dc1-r1"]["metadata"]["annotations"]["team"] = "shop"
    found.by_kind["Service"]["shop-dc1"]["metadata"]["labels"]["team"] = "shop"
    assert changes.plan(built(), found) == []


@pytest.mark.parametrize(
    "template",
    [
        {"spec": {"nodeSelector": {"disk": "fast"}}},
        {"metadata": {"annotations": {"team": "shop"}}},
        {"spec": {"priorityClassName": "high"}},
        {"spec": {"tolerations": [{"key": "dedicated", "operator": "Exists"}]}},
    ],
)
def test_what_is_desired_no_more_is_taken_away(template: dict[str, Any]) -> None:
    """Only the hash can tell it from what the API server filled in."""
    (change,) = changes.plan(built(), applied(pod_template=template))
    assert told([change]) == [("update", "StatefulSet", "shop-dc1-r1")]


def test_objects_that_were_applied_without_the_hash_get_it_once() -> None:
    found = applied()
    for items in found.by_kind.values():
        for item in items.values():
            item["metadata"].pop("annotations")
    planned = changes.plan(built(), found)
    assert {change.verb for change in planned} == {"update"}
    assert changes.plan(built(), living(planned)) == []


def test_a_new_configuration_is_a_new_object_and_a_new_revision() -> None:
    planned = changes.plan(built(config={"concurrent_reads": 64}), applied())
    assert [(change.verb, change.kind) for change in planned] == [("create", "ConfigMap"), ("update", "StatefulSet")]
    assert any(path.startswith("spec.template.spec.volumes[config]") for path in planned[1].paths)


def test_long_lists_of_paths_are_cut() -> None:
    change = changes.Change({"kind": "Service", "metadata": {"name": "x"}}, {}, ("a", "b", "c", "d", "e"))
    assert str(change) == "create Service x (a, b, c, d, ...)"


# --- send -------------------------------------------------------------------------------------------------------------


class Recorder:
    def __init__(self) -> None:
        self.sent: list[str] = []

    def apply(self, item: dict[str, Any]) -> dict[str, Any]:
        self.sent.append(item["metadata"]["name"])
        return item


def test_only_what_differs_is_sent() -> None:
    found = applied()
    del found.by_kind["Service"]["shop-dc1"]
    kube = Recorder()
    changes.send(cast(Kube, kube), changes.plan(built(), found))
    assert kube.sent == ["shop-dc1"]


# --- diff -------------------------------------------------------------------------------------------------------------


def nothing() -> None:
    return None


def test_the_diff_of_a_new_object() -> None:
    planned = changes.plan(built(), Objects({}))
    shown = changes.diff(planned, nothing)
    assert [item["before"] for item in shown] == [""] * len(planned)
    assert shown[1]["before_header"] == "Service shop-dc1-nodes (absent)"
    assert shown[1]["after_header"] == "Service shop-dc1-nodes"


def test_the_diff_shows_only_fields_that_are_ours() -> None:
    found = applied()
    found.by_kind["StatefulSet"]["shop-dc1-r1"]["spec"]["replicas"] = 5
    (shown,) = changes.diff(changes.plan(built(), found), nothing)
    before, after = yaml.safe_load(shown["before"]), yaml.safe_load(shown["after"])
    assert (before["spec"].pop("replicas"), after["spec"].pop("replicas")) == (5, 1)
    assert before == after
    for noise in ("managedFields", "resourceVersion", "filled", "applied", "apiVersion"):
        assert noise not in shown["before"] + shown["after"]


def test_the_diff_of_a_new_configuration_is_its_changed_lines() -> None:
    found = applied()
    (old,) = found.all("ConfigMap").values()
    planned = changes.plan(built(config={"concurrent_reads": 64}), found)
    shown = changes.diff(planned, lambda: old)[0]
    before, after = set(shown["before"].splitlines()), set(shown["after"].splitlines())
    assert after - before == {"    concurrent_reads: 64"}
    assert before - after == set()
    assert shown["before_header"] == shown["after_header"]


def test_the_diff_of_a_first_configuration_has_nothing_before() -> None:
    shown = changes.diff(changes.plan(built(), Objects({})), nothing)[0]
    assert shown["before"] == ""
    assert "(absent)" in shown["before_header"]


def test_texts_of_several_lines_stay_lines() -> None:
    text = changes.text({"data": {"a.yaml": "x: 1\ny: 2\n"}, "list": ["one", "two"]})
    assert text == "data:\n  a.yaml: |\n    x: 1\n    y: 2\nlist:\n  - one\n  - two\n"


def test_labels_that_stand_in_several_places_are_written_in_each() -> None:
    same = {"app": "cassandra"}
    assert "&" not in changes.text({"a": same, "b": same})


@pytest.mark.parametrize(
    ("live", "desired", "shown"),
    [
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3, "d": 4}}, {"a": {"c": 2}}),
        ([{"a": 1, "x": 9}, {"a": 2}], [{"a": 5}], [{"a": 1}, {"a": 2}]),
        ({"a": [1]}, {"a": {"b": 1}}, {"a": [1]}),
    ],
)
def test_the_part_that_is_ours(live: Any, desired: Any, shown: Any) -> None:
    assert changes.only(live, desired) == shown


def test_a_diff_shows_no_password() -> None:
    options = {"enabled": True, "optional": True, "keystore": "/tls/k", "keystore_password": 'very, "secret" }'}
    encryption = {"internode_encryption": "all", "truststore_password": "secret", "keystore_password": None}
    config = {"client_encryption_options": options, "server_encryption_options": encryption}
    planned = changes.plan(built(config=config), applied())
    shown = str(changes.diff(planned, lambda: None))
    assert "secret" not in shown.replace("superuser_secret", "")
    assert shown.count("********") == 2
    assert "/tls/k" in shown
    assert "internode_encryption" in shown
