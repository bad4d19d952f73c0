# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that are probably misspelt: Ansible takes any name, and a role does not notice that nobody reads it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

COLLECTION = Path(__file__).resolve().parents[2]
# An option of a role, by its place in meta/argument_specs.yml; what a role sets itself; a variable of a playbook. Read
# without a YAML parser, which would cost more than everything else that a short task does.
OPTION = re.compile(r"^ {6}(\w+):", re.MULTILINE)
OF_ROLE = re.compile(r"^(\w+):", re.MULTILINE)
OF_PLAYBOOK = re.compile(r"\{\{ (\w+) \| default\(")
# Read by action plugins, and no option of any role.
OTHERS = frozenset({"cassandra_progress"})
# The playbooks whose options are those of the role rollout: the variable that their hosts are given by, and how the
# names begin that their options would have if it were as with the others.
ROLLOUT = "rollout_"
ROLLOUTS = {"rollout_hosts": "restart_", "upgrade_hosts": "upgrade_"}
# By these hosts are given to playbooks that only look: to look at more than was asked for does no harm.
LOOKS = frozenset({"status_hosts", "list_backups_hosts"})
# How alike two names must be for one to be a slip of the other (difflib's ratio).
ALIKE = 0.88


@lru_cache(maxsize=1)
def known() -> frozenset[str]:
    """The variables of all roles and playbooks of the collection."""
    specs = COLLECTION.glob("roles/*/meta/argument_specs.yml")
    names = {name for path in specs for name in OPTION.findall(path.read_text(encoding="utf-8"))}
    for path in COLLECTION.glob("roles/*/vars/main.yml"):
        names.update(OF_ROLE.findall(path.read_text(encoding="utf-8")))
    for path in COLLECTION.glob("playbooks/*.yml"):
        names.update(OF_PLAYBOOK.findall(path.read_text(encoding="utf-8")))
    return frozenset(names) | OTHERS


def slips(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names that nobody reads and that are nearly a variable of the collection, each with that variable."""
    ours = known()
    beginnings = tuple({f"{name.partition('_')[0]}_" for name in (*ours, *ROLLOUTS.values())})
    for name in sorted(names):
        if name.startswith(beginnings) and name not in ours and not name.endswith("_result"):
            of_rollout = [meant for start in ROLLOUTS.values() if (meant := of_the_rollout(name, start))]
            near = of_rollout or difflib.get_close_matches(name, ours, n=1, cutoff=ALIKE)
            if near:
                yield name, near[0]


def of_the_rollout(name: str, beginning: str) -> str:
    """The option of the role rollout that somebody means; empty where there is none."""
    meant = f"{ROLLOUT}{name.removeprefix(beginning)}" if name.startswith(beginning) else ""
    return meant if meant in known() and name not in known() else ""


def ignored(names: Iterable[str], hosts: str) -> Iterator[tuple[str, str]]:
    """Names that can only be meant for the playbook at work, and that it does not read, each with what is meant: more
    would be done than somebody asked for.

    :param hosts: the variable that the playbook's hosts are given by.
    """
    beginning = ROLLOUTS.get(hosts) or hosts.removesuffix("hosts")
    for name in sorted(names):
        meant = of_the_rollout(name, beginning) if hosts in ROLLOUTS else ""
        if not meant and name == f"{beginning}limit" and name not in known() and hosts not in LOOKS:
            meant = f"--limit or {hosts}"
        if meant:
            yield name, meant
