# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any nodetool verbs on any nodes of a datacenter, in parallel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from .. import nodetool as client
from ..context import Context, Failed
from ..errors import CassopsError
from ..kube import Kube
from ..options import KUBERNETES, QUERY, SELECTION
from ..query import select
from . import superuser
from .selection import name_of, pods, rack_of

ARGUMENT_SPEC: Mapping[str, Any] = {
    **KUBERNETES,
    **SELECTION,
    **QUERY,
    "command": {"type": "list", "elements": "str"},
    "commands": {"type": "list", "elements": "list"},
    "parallel": {"type": "int", "default": 0},
    "timeout": {"type": "int", "default": 60},
    "jmx_secret": {"type": "str", "no_log": False},
}

RULES: Mapping[str, Any] = {
    "required_one_of": [["command", "commands"]],
    "mutually_exclusive": [["command", "commands"]],
}

# The key of a row may begin with a space.
EXACT_WORDS = ("command",)

MOST_AT_ONCE = 16
"""Nodes asked at the same time where nothing else is said: each answer is a stream through the API server."""


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Runs the verbs on each node, in their order; nodes at the same time.

    :raises Failed: a verb failed on a node; all failures are told, each with its node.
    """
    verbs = _verbs(params)
    skipped = [verb for verb in verbs if ctx.check_mode and not client.is_read_only(verb)]
    wanted = [verb for verb in verbs if verb not in skipped]
    kube = ctx.kube(params)
    chosen = pods(kube, params)
    racks = {name_of(pod): rack_of(pod) for pod in chosen}
    answers = _ask(kube, list(racks), wanted, params, ctx) if wanted else {name: [] for name in racks}
    nodes = [_node(name, racks[name], answers[name]) for name in racks]
    changed = any(not client.is_read_only(verb) for verb in verbs)
    result: dict[str, Any] = {"changed": changed, "nodes": nodes, "skipped_commands": skipped}
    failures = [f"{node['node']}: {failure}" for node in nodes for failure in node["failures"]]
    if failures:
        raise Failed(_summary(failures, len(nodes)), result, failures)
    if skipped:
        result["msg"] = "Check mode: not run, since they change a node: " + "; ".join(
            " ".join(verb) for verb in skipped
        )
    if params.get("query") is not None:
        result["query"] = select(params["query"], {"nodes": nodes})
    return result


def _verbs(params: Mapping[str, Any]) -> list[list[str]]:
    given = params["commands"] if params.get("commands") is not None else [params["command"] or []]
    verbs = [[str(word) for word in verb] for verb in given]
    for verb in verbs:
        if not verb or not verb[0] or verb[0].startswith("-"):
            raise CassopsError(
                f"A command begins with the verb of nodetool, for example [status, -r]; got {verb!r}. "
                "Options of the connection to the node are not needed."
            )
    if not verbs:
        raise CassopsError("commands is empty.")
    return verbs


def _ask(
    kube: Kube, names: Sequence[str], verbs: Sequence[Sequence[str]], params: Mapping[str, Any], ctx: Context
) -> dict[str, list[client.Result] | CassopsError]:
    """The results by node; an error in their place where a node could not be asked."""
    jmx = _jmx(kube, params.get("jmx_secret"))
    answers: dict[str, list[client.Result] | CassopsError] = {}

    def one(name: str) -> list[client.Result] | CassopsError:
        try:
            return client.run(kube, name, verbs, params["timeout"], jmx=jmx)
        except CassopsError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(params["parallel"] or MOST_AT_ONCE, len(names))) as pool:
        asked = {pool.submit(one, name): name for name in names}
        for done in as_completed(asked):
            answers[asked[done]] = done.result()
            if len(names) > 1:
                text = "; ".join(" ".join(verb) for verb in verbs)
                ctx.progress(f"nodetool {text}: {len(answers)} of {len(names)} nodes")
    return answers


def _jmx(kube: Kube, secret: str | None) -> tuple[str, str] | None:
    if secret is None:
        return None
    found = kube.get("Secret", secret)
    if found is None:
        raise CassopsError(f"There is no Secret {secret} in namespace {kube.namespace} (jmx_secret).")
    login = superuser.credentials(found, secret)
    return login.username, login.password


def _node(name: str, rack: str, answer: list[client.Result] | CassopsError) -> dict[str, Any]:
    results = [] if isinstance(answer, CassopsError) else answer
    failures = [str(answer)] if isinstance(answer, CassopsError) else [r.failure for r in results if r.failure]
    return {
        "node": name,
        "rack": rack,
        "failures": failures,
        "results": [
            {
                "command": list(each.verb),
                "rc": each.rc,
                "stdout": each.stdout,
                "stderr": each.stderr,
                "data": each.data,
            }
            for each in results
        ],
    }


def _summary(failures: Sequence[str], nodes: int) -> str:
    failed = len({failure.partition(":")[0] for failure in failures})
    head = f"nodetool failed on {failed} of {nodes} nodes. " if nodes > 1 else ""
    return head + " | ".join(failures)
