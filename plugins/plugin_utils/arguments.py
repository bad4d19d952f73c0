# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a task, made in the controller what a module is given on another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.cassops.kubernetes.plugins.module_utils.spec_parser.reader import from_json

STRUCTURES = ("list", "dict")
# What a text or a number is without the class that it was given.
BARE: Mapping[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}


def arguments(given: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a task as plain values, with lists and mappings read that are JSON in a text, as C(-e) and surveys
    give them. Ansible would cut such a text at its commas. Pairs such as C(a=1 b=2) may stand one on a line, as in the
    box of a survey; Ansible would take the second line for a part of the first value.

    :raises AnsibleActionFail: one begins like JSON and is none.
    """
    return {
        name: structure(name, value) if spec.get(name, {}).get("type") in STRUCTURES else value
        for name, value in one_line(plain(given), spec).items()
    }


def one_line(given: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    mappings = {name for name, option in spec.items() if option.get("type") == "dict"}
    return {
        name: " ".join(value.splitlines()) if name in mappings and isinstance(value, str) else value
        for name, value in given.items()
    }


def structure(name: str, value: Any) -> Any:
    try:
        return from_json(value)
    except ValueError as error:
        raise AnsibleActionFail(
            f'{name}: begins like JSON and cannot be read: {error}. Give a list such as ["a", "b"], or a mapping such '
            'as {"a": 1}, with double quotes.'
        ) from None


def plain(value: Any) -> Any:
    """The value without what Ansible knows of it, such as its origin, or that it was in a vault.

    Ansible's values are subclasses of Python's, and libraries that look at the exact type take none: YAML cannot write
    such a text, nor, before ansible-core 2.19, read it.
    """
    # As ansible-core before 2.19 gives a text that is encrypted in place; it is no text for Python.
    if getattr(value, "__ENCRYPTED__", False):
        return str(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(each) for each in value]
    if not isinstance(value, bool):
        for kind, bare in BARE.items():
            if isinstance(value, kind):
                return bare(value)
    return value
