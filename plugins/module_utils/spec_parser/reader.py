# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of an inventory, and every fault that is found in them. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .. import pod_template, quantity
from ..errors import SpecError


def from_json(value: Any) -> Any:
    """A list or mapping that is written as JSON in a string, as surveys give it; anything else as it is.

    :raises ValueError: it looks like JSON and cannot be read.
    """
    return json.loads(value) if isinstance(value, str) and value.strip()[:1] in ("[", "{") else value


class Reader:
    """Reads values and collects every fault; a faulty value is replaced by a harmless one.

    :param values: the inventory variables without their prefix.
    :param prefix: put before each path in the faults.
    :ivar faults: each `<path>: <what is wrong, what was got, what to do>`, in the order found.
    """

    def __init__(self, values: Mapping[str, Any], prefix: str) -> None:
        self.values = values
        self.prefix = prefix
        self.faults: list[str] = []

    def end(self) -> None:
        """Raise what was found."""
        if self.faults:
            raise SpecError(self.faults)

    def fault(self, path: str, message: str) -> None:
        """Note what is wrong with the value at a path."""
        self.faults.append(f"{self.prefix}{path}: {message}")

    def text(self, key: str) -> str:
        """A value as text; empty where it is not given."""
        value = self.values.get(key)
        return "" if value is None else str(value).strip()

    def required(self, key: str, what: str) -> str:
        """The same of a value that must be given."""
        text = self.text(key)
        if not text:
            self.fault(key, f"is missing; give {what}")
        return text

    def flag(self, key: str) -> bool:
        """A value that is true or false; false where it is not given."""
        text = self.text(key).lower()
        if text not in ("", "true", "false", "yes", "no"):
            self.fault(key, f"must be true or false, got {self.values[key]!r}")
        return text in ("true", "yes")

    def label(self, key: str, starts_with_letter: bool = False) -> str:
        """A name that Kubernetes takes into the names of objects."""
        text = self.required(key, f"the name of the {key}")
        if text:
            self.check_label(key, text, starts_with_letter)
        return text

    def check_label(self, path: str, text: str, starts_with_letter: bool = False) -> None:
        """Whether it is such a name."""
        first = "a-z" if starts_with_letter else "a-z0-9"
        if not re.fullmatch(rf"[{first}]([-a-z0-9]*[a-z0-9])?", text):
            begin = "begin with a letter" if starts_with_letter else "begin with a letter or a digit"
            self.fault(
                path,
                f"must consist of a-z, 0-9 and -, {begin}, and not end with -, got {text!r}: Kubernetes names objects"
                " after it",
            )

    def check_object_name(self, path: str, name: str, kind: str = "Secret") -> None:
        """Whether an object of that kind can have the name."""
        if not re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", name) or len(name) > 253:
            self.fault(path, f"must be a name that a {kind} can have (a-z, 0-9, - and .), got {name!r}")

    def structure(self, path: str, value: Any, kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
        """A list or mapping, also when it is written as JSON in a string; an empty one when it is neither."""
        try:
            value = from_json(value)
        except ValueError as error:
            self.fault(path, f"looks like JSON but cannot be read: {error}")
            return kind()
        if value is None or value == "":
            return kind()
        if not isinstance(value, Mapping if kind is dict else (list, tuple)):
            self.fault(path, f"must be a {'mapping' if kind is dict else 'list'}, got {value!r}")
            return kind()
        return value

    def mapping(self, key: str, known: Iterable[str]) -> Mapping[str, Any]:
        """A mapping that has known keys only."""
        value: Mapping[str, Any] = self.structure(key, self.values.get(key), dict)
        self.unknown(key, value, known)
        return value

    def unknown(self, path: str, value: Mapping[str, Any], known: Iterable[str]) -> None:
        """Fault the keys that are not known."""
        for key in sorted(set(value) - set(known), key=str):
            nearest = difflib.get_close_matches(str(key), list(known), n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
            self.fault(f"{path}.{key}", f"is not known here; {hint}")

    def amount(self, path: str, given: Any) -> str:
        """A Kubernetes quantity above 0, canonical; empty where it is none."""
        try:
            text = quantity.canonical(str(given))
        except ValueError:
            self.fault(path, f"must be a Kubernetes quantity such as 500m, 2 or 8Gi, got {given!r}")
            return ""
        if quantity.value(text) <= 0:
            self.fault(path, f"must be more than 0, got {given!r}")
        return text

    def template(self, path: str, value: Any) -> dict[str, Any]:
        """The user's additions to pods."""
        template = dict(self.structure(path, value, dict))
        self.faults += pod_template.check(template, f"{self.prefix}{path}")
        return template
