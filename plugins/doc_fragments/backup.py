# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Where backups are.
    DOCUMENTATION = r"""
options:
  backup:
    description:
      - Where backups are, as in C(cassandra_backup); the option O(cassops.kubernetes.datacenter#module:backup) of
        M(cassops.kubernetes.datacenter) tells its keys.
    type: dict
    required: true
  variable_prefix:
    description:
      - Put before the name of each option in messages; roles set it to the prefix of their variables.
    type: str
    default: ''
"""
