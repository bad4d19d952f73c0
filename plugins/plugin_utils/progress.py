# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress that people see at once, while a task of a playbook runs."""

from __future__ import annotations

import time

from ansible.constants import config
from ansible.utils.display import Display

INTERVAL = 2.0
"""Seconds between two lines that are not important."""


def show(line: str) -> None:
    """Prints a line as it is."""
    Display().display(line, stderr=_stdout_is_a_document())


def _stdout_is_a_document() -> bool:
    """Callbacks that write a whole run as JSON to stdout must not find lines in it."""
    return "json" in str(config.get_config_value("DEFAULT_STDOUT_CALLBACK"))


class DisplayProgress:
    """Prints lines through Ansible's Display, which carries them from a worker to the terminal at once."""

    def __init__(self, name: str, interval: float = INTERVAL) -> None:
        """:param name: of the datacenter; it stands before each line, since several may run at once."""
        self._prefix = f"{name}: "
        self._interval = interval
        self._shown_at = float("-inf")
        self._shown = ""
        self._stderr = _stdout_is_a_document()

    def __call__(self, text: str, *, important: bool = False) -> None:
        """Shows a line, unless it says again what was said last or comes too soon after another."""
        now = time.monotonic()
        if text == self._shown or (not important and now - self._shown_at < self._interval):
            return
        self._shown, self._shown_at = text, now
        Display().display(self._prefix + text, color="bright gray", stderr=self._stderr)
