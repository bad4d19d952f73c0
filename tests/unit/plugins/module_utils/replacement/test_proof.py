# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a replacement is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from unit.plugins.module_utils import views
from unit.plugins.module_utils.replacement.failed import DEFAULT, FIRST, SECOND, THIRD, address_of, stranger

from ansible_collections.cassops.kubernetes.plugins.module_utils.plan import Plan, hash_of
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement import proof
from ansible_collections.cassops.kubernetes.plugins.module_utils.replacement.scene import Scene
from ansible_collections.cassops.kubernetes.plugins.module_utils.view import Activity, Stream, View


def plan_for(view: View, **changes: Any) -> Plan:
    member = view.endpoints()[address_of(view, FIRST)]
    facts: dict[str, Any] = {"address": member.address, "host_id": member.host_id, **changes}
    return Plan(pod=FIRST, tokens=hash_of(member.tokens), **facts)


def busy(view: View, pod: str, streams: tuple[Stream, ...] | None) -> View:
    seen = replace(view.observations[pod], activity=Activity(streams=streams))
    return replace(view, observations={**view.observations, pod: seen})


def unproven(view: View, plan: Plan) -> list[str]:
    return proof.unproven(Scene(view, (), DEFAULT), plan)


def test_a_replacement_is_proven_when_every_view_has_it() -> None:
    view = busy(views.whole(), FIRST, ())
    assert unproven(view, plan_for(view)) == []


def test_streams_of_repairs_come_and_go() -> None:
    view = busy(views.whole(), FIRST, (Stream("Repair", ("198.19.0.2",), 43),))
    assert unproven(view, plan_for(view)) == []


def test_what_is_missing_for_the_proof_is_told() -> None:
    whole = busy(views.whole(), FIRST, ())
    own = address_of(whole, FIRST)
    unasked = replace(whole, observations={pod: one for pod, one in whole.observations.items() if pod != FIRST})
    for view, words in (
        (busy(whole, FIRST, (Stream("Bootstrap", ("198.19.0.2",), 43),)), f"{FIRST} still streams: Bootstrap"),
        (busy(whole, FIRST, None), "whether"),
        (unasked, f"{FIRST} cannot be asked for its view yet"),
        (views.with_down(whole, SECOND, own), f"{SECOND} sees {FIRST} down"),
        (views.with_endpoint(whole, SECOND, own, status="hibernate"), "as hibernate, needed NORMAL"),
        (views.with_endpoint(whole, SECOND, own, tokens=(1,)), f"{SECOND} knows {FIRST} with other tokens"),
        (views.with_endpoint(whole, THIRD, address_of(whole, THIRD), schema="x"), "schema versions"),
    ):
        reasons = unproven(view, plan_for(whole))
        assert any(words in reason for reason in reasons), (words, reasons)


def test_with_pods_addresses_the_old_one_must_be_gone() -> None:
    view = busy(views.whole(), FIRST, ())
    old = "198.18.1.77"
    plan = plan_for(view, address=old, host_id="host-old")
    assert unproven(view, plan) == []
    known = stranger(view, address=old, host_id="host-old")
    assert f"{SECOND} still knows the dead node under {old}" in unproven(busy(known, FIRST, ()), plan)
