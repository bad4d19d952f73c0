# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes quantities and JVM sizes: read, compared by value, written as the API server writes them. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

KIB, MIB, GIB = 2**10, 2**20, 2**30

_BINARY = {suffix: Fraction(2 ** (10 * power)) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
}
_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:[eE]([+-]?\d{1,3})|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE])?)")
_JVM_SIZE = re.compile(r"(\d+)([kKmMgGtT]|[KMGT]i)")
_JVM_UNITS = {"k": KIB, "m": MIB, "g": GIB, "t": 2**40}


def value(quantity: str) -> Fraction:
    """The exact value of a quantity, such as 1/2 for `500m` and 1073741824 for `1Gi`.

    :raises ValueError: it is not a quantity.
    """
    match = _QUANTITY.fullmatch(quantity.strip())
    if match is None:
        raise ValueError(f"{quantity!r} is not a Kubernetes quantity such as 500m, 2, 8Gi")
    number, exponent, suffix = match.groups()
    if exponent is not None:
        return Fraction(number) * Fraction(10) ** int(exponent)
    return Fraction(number) * (_BINARY.get(suffix or "") or _DECIMAL[suffix or ""])


def canonical(quantity: str) -> str:
    """The quantity as the API server stores it: no fraction, and the largest suffix that needs none.

    :raises ValueError: it is not a quantity.
    """
    exact = value(quantity)
    units = _BINARY if "i" in quantity else _DECIMAL
    for suffix, unit in sorted(units.items(), key=lambda item: item[1], reverse=True):
        if (exact / unit).denominator == 1 and exact:
            return f"{exact / unit}{suffix}"
    return str(-(-exact.numerator // exact.denominator))


def same(one: object, other: object) -> bool:
    """Whether two quantities have the same value; false when one of them is no quantity."""
    try:
        return value(str(one)) == value(str(other))
    except ValueError:
        return False


def jvm_bytes(size: str) -> int:
    """Bytes of a size as the JVM or Kubernetes writes it: `4G`, `4g` and `4Gi` are all 4 * 2**30.

    :raises ValueError: it is no such size. A bare number is refused: nobody means a heap of 8 bytes.
    """
    match = _JVM_SIZE.fullmatch(size.strip())
    if match is None:
        raise ValueError(f"{size!r} is not a size such as 512M or 8G")
    return int(match.group(1)) * _JVM_UNITS[match.group(2)[0].lower()]


def jvm_size(count: int) -> str:
    """Bytes as a JVM size in whole mebibytes, such as `4096M`."""
    return f"{count // MIB}M"


def human(count: Fraction | int) -> str:
    """Bytes for people: `8Gi`, `1400Mi`."""
    mebibytes = round(count / MIB)
    return f"{mebibytes // 1024}Gi" if mebibytes and mebibytes % 1024 == 0 else f"{mebibytes}Mi"
