# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Shaping the result.
    DOCUMENTATION = r"""
options:
  query:
    description:
      - A JMESPath expression over the result; RV(query) is what it finds.
    type: str
requirements:
  - jmespath, where O(query) is used
"""
