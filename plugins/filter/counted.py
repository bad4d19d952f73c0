# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A number with its noun."""

from __future__ import annotations

DOCUMENTATION = r"""
name: counted
short_description: A number with its noun, in the singular or the plural
version_added: 1.0.0
author:
  - cassops contributors (@cassops)
description:
  - Writes V(1 node) and V(3 nodes), so that a summary reads well whatever it counts.
positional: one, many
options:
  _input:
    description: How many.
    type: int
    required: true
  one:
    description: The noun for one.
    type: str
    required: true
  many:
    description:
      - The noun for any other number.
      - If it is not set, O(one) with an s.
    type: str
"""

EXAMPLES = r"""
- name: How many nodes are there?
  ansible.builtin.debug:
    msg: "{{ deploy_result.nodes | length | cassops.kubernetes.counted('node') }}"
"""

RETURN = r"""
_value:
  description: The number and its noun.
  type: str
  sample: 3 nodes
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.cassops.kubernetes.plugins.module_utils.wording import counted


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"counted": counted}
