# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What each attribute means; a module says how far it has them.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description:
      - In check mode nothing is changed, and what would change is told. The result then has C(check_mode=true).
  diff_mode:
    description: In diff mode the difference between what is and what is wanted is returned.
  idempotent:
    description: Run again on an unchanged system, it changes nothing and says so.
  in_process:
    description:
      - Run in the controller's own process where the connection is V(local), without privilege escalation and not
        asynchronous; then a task costs a few hundredths of a second, and shows its progress while it runs.
      - Elsewhere it runs as any other module, and needs its requirements on that machine.
"""

    # A module that only reads.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - It only reads.
  diff_mode:
    support: N/A
    details:
      - It only reads.
  idempotent:
    support: full
    details:
      - It only reads.
  in_process:
    support: full
"""
