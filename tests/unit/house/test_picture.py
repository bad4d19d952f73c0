# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import checkout
import picture
import pytest

SAID = "PLAY [Status] ***\n\x1b[0;32mok: [dc1]\x1b[0m => 3 < 4 & all\n\nPLAY RECAP\n"
SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> dict[str, str]:
    """What the picture says, each piece with its class of colour; blanks are unbreakable in it."""
    tree = ET.fromstring(picture.draw("a & b", picture.read(text)))
    return {
        (each.text or "").replace("\N{NO-BREAK SPACE}", " "): each.get("class", "") for each in tree.iter(f"{SVG}text")
    }


def test_a_picture_has_the_lines_with_their_colours() -> None:
    texts = drawn(SAID)
    assert {"a & b", "PLAY [Status] ***", "PLAY RECAP", " => 3 < 4 & all"} <= set(texts)
    assert texts["ok: [dc1]"] != texts["PLAY RECAP"]


def test_a_picture_has_no_path_of_this_machine_and_fetches_nothing() -> None:
    said = f"{checkout.ROOT}/playbooks/status.yml {checkout.ROOT} {Path.home()}/.kube/config"
    assert "playbooks/status.yml . ~/.kube/config" in drawn(said)
    assert 'url("http' not in picture.draw("a", picture.read(said))


def test_what_is_around_is_cut() -> None:
    lines = picture.read(SAID)
    assert picture.cut(lines, r"^ok:", "RECAP") == lines[1:3]
    assert picture.cut(lines, "", "RECAP") == lines[:3]
    assert picture.cut(lines) == lines


def test_nothing_is_drawn_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    with pytest.raises(SystemExit, match="nothing to draw"):
        picture.main(["title", str(tmp_path / "status.svg")])
    assert not list(tmp_path.iterdir())
