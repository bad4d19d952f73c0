# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.cassops.kubernetes.plugins.module_utils import quantity

QUANTITIES = st.builds(
    lambda number, suffix: f"{number}{suffix}",
    st.integers(0, 10**6) | st.decimals(0, 1000, places=2),
    st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "Ti"]),
)


@pytest.mark.parametrize(
    ("given_text", "canonical"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000", "1k"),
        ("2", "2"),
        ("1e3", "1k"),
        ("0", "0"),
        ("100Gi", "100Gi"),
    ],
)
def test_it_is_written_as_the_api_server_writes_it(given_text: str, canonical: str) -> None:
    assert quantity.canonical(given_text) == canonical


@given(QUANTITIES)
def test_the_canonical_form_has_the_same_value_and_is_stable(text: str) -> None:
    canonical = quantity.canonical(text)
    if quantity.value(text).denominator == 1:
        assert quantity.value(canonical) == quantity.value(text)
        assert quantity.same(canonical, text)
    assert quantity.canonical(canonical) == canonical


@pytest.mark.parametrize("text", ["", "x", "8GB", "8 Gi", "1,5", "Gi", "1Gii"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        quantity.value(text)
    assert not quantity.same(text, "1")


def test_values_are_exact() -> None:
    assert quantity.value("500m") == Fraction(1, 2)
    assert not quantity.same("1G", "1Gi")


@pytest.mark.parametrize(
    ("text", "count"), [("4G", 4 * 2**30), ("4g", 4 * 2**30), ("4Gi", 4 * 2**30), ("320M", 320 * 2**20)]
)
def test_the_jvm_counts_in_binary(text: str, count: int) -> None:
    assert quantity.jvm_bytes(text) == count


@pytest.mark.parametrize("text", ["8", "", "4GB", "1.5G", "-1G"])
def test_what_is_no_heap_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        quantity.jvm_bytes(text)
