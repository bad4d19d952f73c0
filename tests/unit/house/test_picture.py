# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import xml.etree.ElementTree as ET

import picture

SAID = ["PLAY [Status] ***", "\x1b[0;32mok: [dc1]\x1b[0m => 3 < 4 & all", "", "PLAY RECAP"]


def test_a_picture_has_the_lines_with_their_colours() -> None:
    drawn = ET.fromstring(picture.draw("a & b", SAID))
    texts = {each.text: each.get("fill") for each in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert texts["ok: [dc1]"] == picture.COLOURS["0;32"]
    assert texts["=> 3 < 4 & all"] == picture.TEXT
    assert {"a & b", "PLAY [Status] ***", "PLAY RECAP"} <= set(texts)


def test_what_is_around_is_cut() -> None:
    assert picture.cut(SAID, r"^ok:", "RECAP") == SAID[1:3]
    assert picture.cut(SAID, "", "RECAP") == SAID[:3]
    assert picture.cut(SAID) == SAID
