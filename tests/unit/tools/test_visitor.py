# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from integration.harness.visitor import CLOSED, DENIED, IN, SCRIPT, outcomes


def test_each_outcome_counts() -> None:
    log = "r1-0 closed\nr2-0 closed\nr1-0 denied\nr1-0 denied\nr2-0 in\n"
    assert outcomes(log) == {"r1-0": {CLOSED: 1, DENIED: 2}, "r2-0": {CLOSED: 1, IN: 1}}


@pytest.mark.parametrize("half", ["", "r2", "r2-0", "r2-0 ", "r2-0 i", "r2-0 in"])
def test_a_line_that_is_being_written_counts_when_it_has_ended(half: str) -> None:
    assert outcomes(f"r1-0 closed\n{half}") == {"r1-0": {CLOSED: 1}}


def test_a_line_that_says_something_else_is_an_error() -> None:
    with pytest.raises(ValueError, match="unpack"):
        outcomes("r1-0 closed\nsh: out of memory\n")


def test_a_server_that_keeps_the_connection_is_one_line_of_the_log(tmp_path: Path) -> None:
    """timeout ends nc then, and a shell tells that as it ends a job: a line of the log that names no target."""
    for name, does in {"timeout": 'shift; exec "$@"', "nc": "kill -TERM $$", "hexdump": "cat"}.items():
        stub = tmp_path / name
        stub.write_text(f"#!/bin/sh\n{does}\n")
        stub.chmod(0o755)
    told = subprocess.run(
        ["sh", "-c", f"startup='x'{SCRIPT}attempt r1-0 y"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    ).stdout
    assert outcomes(told) == {"r1-0": {CLOSED: 1}}
