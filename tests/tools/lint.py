# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything static but ansible-test's own tests. ``make lint``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import checkout
import rules
from report import VENV_BIN, Report, command

# The checkout as mypy gets to it, by the name that the plugins have at run time.
LINKED = Path(".venv/collections/ansible_collections") / checkout.NAMESPACE / checkout.NAME
# The programs that the tests are run with, and the integration tests, of which CI runs a part only; what is written for
# Ansible is checked by its own strict settings.
TESTS = (
    "--config-file= --ignore-missing-imports --check-untyped-defs -p sandbox -m run -m lint -m package -m sanity "
    "-m awx -m cores -m picture -m website -p integration"
)


def main() -> int:
    """Run all checks, none of them stopped by another's failure."""
    report = Report()
    report.check("ruff check", command(VENV_BIN / "ruff", "check", "--quiet", "--output-format=concise"))
    report.check("ruff format", command(VENV_BIN / "ruff", "format", "--check", "--output-format=concise"))
    report.check("mypy --strict, plugins", command(VENV_BIN / "mypy", below=LINKED))
    report.check(
        "mypy, tests", command(VENV_BIN / "mypy", *TESTS.split(), env={**os.environ, "MYPYPATH": "tests:tests/tools"})
    )
    report.check("modules and their twins", rules.twins)
    report.check("action group", rules.action_group)
    report.check("roles: defaults = argument_specs", rules.roles)
    report.check("conditions that ansible-core 2.17 takes", rules.conditions)
    report.check("requirements of execution environments", rules.execution_environment)
    report.check("templates of AWX", rules.controller)
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
        for name, argv in (
            ("antsibull-changelog", ("antsibull-changelog", "lint")),
            ("antsibull-docs", ("antsibull-docs", "lint-collection-docs", "--plugin-docs", root)),
            ("ansible-lint, production", ("ansible-lint", "--offline")),
        ):
            report.check(name, command(*argv, cwd=root, env=env, below=root))
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
