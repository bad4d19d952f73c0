# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors that are meant for people: every one is a sentence that a person on call can act on."""

from __future__ import annotations

from collections.abc import Sequence


class CassopsError(Exception):
    """The parent of every error whose text is shown to a person as it stands.

    :param message: what is wrong, what was seen, and what to do; no traceback is shown with it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SpecError(CassopsError):
    """The desired datacenter is not valid.

    :param errors: every fault found, each with its path; never empty.
    """

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = list(errors)


class LedgerError(CassopsError):
    """The ledger ConfigMap cannot be read; guessing its content could start a node that must not start."""
