# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything static but ansible-test's own tests. ``make lint``."""

from __future__ import annotations

import os
import sys

import checkout
import rules
from report import VENV_BIN, Report, command


def main() -> int:
    """Run all checks, none of them stopped by another's failure."""
    report = Report()
    report.check("ruff check", command(VENV_BIN / "ruff", "check", "--quiet", "--output-format=concise"))
    report.check("ruff format", command(VENV_BIN / "ruff", "format", "--check", "--output-format=concise"))
    report.check("mypy --strict", command(VENV_BIN / "mypy"))
    report.check("modules and their twins", rules.twins)
    report.check("action group", rules.action_group)
    report.check("roles: defaults = argument_specs", rules.roles)
    report.check("requirements of execution environments", rules.execution_environment)
    report.check("headers", rules.headers)
    report.check("nothing of one machine", rules.portable)
    report.check("shellcheck", rules.shell)
    with checkout.copy("lint") as root:
        env = {
            **os.environ,
            "PATH": f"{VENV_BIN}{os.pathsep}{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(root.parents[2]),
            "NO_COLOR": "1",
        }
        report.check("antsibull-changelog lint", command("antsibull-changelog", "lint", cwd=root, env=env))
        report.check(
            "antsibull-docs lint-collection-docs",
            command("antsibull-docs", "lint-collection-docs", "--plugin-docs", root, cwd=root, env=env),
        )
        report.check("ansible-lint, production", command("ansible-lint", "--offline", cwd=root, env=env))
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
