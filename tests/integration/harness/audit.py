# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server's audit log: which requests the automation made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITES = ("create", "update", "patch", "delete", "deletecollection")
# A session with a pod is opened with create, and changes nothing.
SESSIONS = ("exec", "portforward", "attach")


@dataclass(frozen=True)
class Mark:
    """A place in the audit log."""

    log: Path
    inode: int
    offset: int

    @classmethod
    def now(cls, log: Path) -> Mark:
        """The end of the log as it is."""
        found = log.stat()
        return cls(log, found.st_ino, found.st_size)

    def requests(self, user: str) -> list[dict[str, Any]]:
        """Everything that this user asked for since."""
        same = self.log.stat().st_ino == self.inode
        with self.log.open("rb") as file:
            # A log that was rotated meanwhile is a new one; a test is too short for that to happen twice.
            file.seek(self.offset if same else 0)
            events = [json.loads(line) for line in file if user.encode() in line]
        return [event for event in events if event["user"]["username"] == user]

    def writes(self, user: str) -> list[str]:
        """The requests of this user that change something, as "verb resource name"."""
        return [
            f"{event['verb']} {target.get('resource')} {target.get('name', '')}".rstrip()
            for event in self.requests(user)
            if event["verb"] in WRITES
            and (target := event.get("objectRef", {})).get("subresource") not in SESSIONS
            and "dryRun" not in event["requestURI"]
        ]
