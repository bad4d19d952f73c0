# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cassops.kubernetes.plugins.module_utils.errors import LedgerError
from ansible_collections.cassops.kubernetes.plugins.module_utils.plan import GivenUp, Plan, from_config_map, hash_of

WORDS = st.text(max_size=40)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
SECONDS = st.integers(1, 2**40).map(float)
PLANS = st.builds(
    Plan,
    pod=NAMES,
    address=st.ip_addresses().map(str),
    host_id=st.uuids().map(str),
    tokens=NAMES,
    claim_uid=st.just("") | NAMES,
    pod_uid=st.just("") | NAMES,
    volume=NAMES,
    worker=NAMES,
    reason=WORDS,
    began=SECONDS,
    down_since=st.none() | SECONDS,
    accepted=st.lists(NAMES, max_size=3).map(tuple),
    wished=st.booleans(),
    number=st.integers(0, 9),
    attempt=st.integers(1, 9),
    earlier=st.lists(st.builds(GivenUp, NAMES, st.just("") | NAMES, st.just("") | NAMES), max_size=2).map(tuple),
)


@given(PLANS)
def test_what_is_written_is_read_again(plan: Plan) -> None:
    assert from_config_map({"data": plan.to_data()}) == plan
    assert all(isinstance(value, str) for value in plan.to_data().values())


def test_a_key_of_later_versions_is_left_alone() -> None:
    plan = Plan("a", "198.19.0.1", "host", "tokens")
    assert from_config_map({"data": {**plan.to_data(), "later": "x"}}) == plan


def test_a_plan_that_was_written_before_attempts_were_counted_is_the_first() -> None:
    plan = Plan("a", "198.19.0.1", "host", "tokens", claim_uid="uid", volume="pv", worker="w")
    told = {key: value for key, value in plan.to_data().items() if key not in ("attempt", "earlier")}
    assert from_config_map({"data": told}) == plan
    assert plan.volumes == (GivenUp("uid", "pv", "w"),)


@pytest.mark.parametrize(
    ("data", "word"), [({}, "pod"), ({"pod": "a", "address": "b", "host_id": "c", "tokens": "d", "began": "x"}, "x")]
)
def test_a_plan_that_cannot_be_read_is_named(data: dict[str, str], word: str) -> None:
    with pytest.raises(LedgerError, match=word) as error:
        from_config_map({"metadata": {"name": "shop-dc1-replacement"}, "data": data})
    assert "shop-dc1-replacement" in error.value.message


@given(st.sets(st.integers(-(2**63) + 1, 2**63 - 1), max_size=9))
def test_tokens_are_the_same_in_any_order(tokens: set[int]) -> None:
    assert hash_of(tokens) == hash_of(sorted(tokens, reverse=True))
    assert hash_of(tokens) != hash_of({*tokens, 2**63})
