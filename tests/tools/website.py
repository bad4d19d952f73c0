# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation as a site, in build/docs: the pages for people, and those of antsibull-docs. ``make docs``.

Any warning of antsibull-docs or Sphinx is a failure, a link that leads nowhere among them.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import checkout
from report import ROOT, VENV_BIN, Report, command

BUILD = ROOT / "build"
SITE = BUILD / "docs"
# Where the pages lie for Sphinx, laid out as in the checkout, so that links between them hold.
SOURCE = BUILD / "docs-source"
LINKED = ("CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "LICENSE", "README.md", "requirements.txt")


def build(report: Report) -> None:
    """Write the site, in two checks."""
    with checkout.copy("docs") as root:
        lay_out(root)
        env = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(root.parents[2]),
            "PATH": f"{VENV_BIN}{os.pathsep}{os.environ['PATH']}",
        }
        reference = SOURCE / "collections"
        reference.mkdir()
        pages = ("collection", "--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", reference)
        name = f"{checkout.NAMESPACE}.{checkout.NAME}"
        report.check("antsibull-docs", command(VENV_BIN / "antsibull-docs", *pages, name, cwd=root, env=env))
        shutil.rmtree(SITE, ignore_errors=True)
        html = ("-b", "html", "-q", "-W", "--keep-going", "-c", root / "docs" / "docsite", SOURCE, SITE)
        report.check("sphinx", command(VENV_BIN / "sphinx-build", *html, below=SOURCE))


def lay_out(root: Path) -> None:
    """The pages, and the files that they link to."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    for name in LINKED:
        shutil.copy(root / name, SOURCE)
    for name in ("docs", "extensions", "inventories"):
        shutil.copytree(root / name, SOURCE / name)
    shutil.move(SOURCE / "docs" / "docsite" / "index.rst", SOURCE)


def main() -> int:
    """Build it and say where it is."""
    report = Report()
    build(report)
    print(f"{len(list(SITE.rglob('*.html')))} pages; the first is {(SITE / 'index.html').relative_to(ROOT)}")
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
