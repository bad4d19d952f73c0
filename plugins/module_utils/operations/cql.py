# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CQL statements on one node of a datacenter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .. import cql as client
from ..context import Context, Failed
from ..errors import CassopsError
from ..kube import Kube
from ..observe import logged_in
from ..options import DATACENTER, KUBERNETES, QUERY
from ..query import select
from . import superuser
from .selection import is_ready, name_of, pods

_STATEMENT: Mapping[str, Any] = {
    "parameters": {"type": "raw"},
    "consistency": {"type": "str"},
    "serial_consistency": {"type": "str", "choices": ["SERIAL", "LOCAL_SERIAL"]},
}

ARGUMENT_SPEC: Mapping[str, Any] = {
    **KUBERNETES,
    **DATACENTER,
    **QUERY,
    **_STATEMENT,
    "statement": {"type": "str"},
    "statements": {
        "type": "list",
        "elements": "dict",
        "options": {"statement": {"type": "str", "required": True}, **_STATEMENT},
    },
    "node": {"type": "str"},
    "login_secret": {"type": "str", "no_log": False},
    "timeout": {"type": "int", "default": 30},
}

RULES: Mapping[str, Any] = {
    "required_one_of": [["statement", "statements"]],
    "mutually_exclusive": [["statement", "statements"], ["statements", "parameters"]],
}

CONSISTENCY = "LOCAL_QUORUM"

_READING = ("SELECT", "LIST", "DESCRIBE", "DESC")


def run(params: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    """Runs the statements one after the other and stops at the first that fails.

    :raises Failed: with the results of those before it.
    """
    statements = _statements(params)
    kube = ctx.kube(params)
    node = _node(kube, params)
    results: list[dict[str, Any]] = []
    changed = False
    with _session(kube, node, params) as session:
        for position, each in enumerate(statements):
            text = each["statement"]
            writes = not is_read_only(text)
            if writes and ctx.check_mode:
                results.append({"statement": text, "skipped": True, "rows": []})
                changed = True
                continue
            try:
                rows = session.execute(
                    text,
                    each.get("parameters"),
                    each.get("consistency") or params.get("consistency") or CONSISTENCY,
                    serial_consistency=each.get("serial_consistency"),
                )
            except CassopsError as error:
                which = f"Statement {position + 1} of {len(statements)}: " if len(statements) > 1 else ""
                raise Failed(
                    f"{which}{error}{advice(error)}", {"changed": changed, "node": node, "results": results}
                ) from error
            changed = changed or writes
            results.append({"statement": text, "skipped": False, "rows": client.plain(rows)})
        ctx.warnings.extend(session.warnings)
    result: dict[str, Any] = {"changed": changed, "node": node, "results": results, "rows": results[-1]["rows"]}
    if params.get("query") is not None:
        result["query"] = select(params["query"], {"node": node, "results": results, "rows": results[-1]["rows"]})
    return result


def advice(error: CassopsError) -> str:
    """What to do where other members do not know a table that the node has, such as three of 5.0's C(system_auth)."""
    if "INCOMPATIBLE_SCHEMA" not in str(error):
        return ""
    return (
        " Members of an older line do not know a table that the node asked of them: name a node of that line "
        "(option node), or finish the upgrade first."
    )


def is_read_only(statement: str) -> bool:
    """Whether a statement only reads, by its first word after comments."""
    bare = re.sub(r"\A(?:\s+|--[^\n]*\n|//[^\n]*\n|/\*.*?\*/)*", "", statement, flags=re.DOTALL)
    word = re.match(r"\w+", bare)
    return word is not None and word[0].upper() in _READING


def _statements(params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if params.get("statements") is not None:
        given: list[Mapping[str, Any]] = params["statements"]
    else:
        given = [{name: params.get(name) for name in ("statement", *_STATEMENT)}]
    if not given:
        raise CassopsError("statements is empty.")
    for each in given:
        if not isinstance(each.get("parameters"), (list, dict, type(None))):
            raise CassopsError("parameters is a list (for ?) or a mapping (for :name).")
        for name in ("consistency", "serial_consistency"):
            if each.get(name):
                client.consistency_level(each[name])
    if params.get("consistency"):
        client.consistency_level(params["consistency"])
    return given


def _node(kube: Kube, params: Mapping[str, Any]) -> str:
    """The node that was named, else the first that is ready."""
    if params.get("node"):
        return name_of(pods(kube, {**params, "nodes": [params["node"]]})[0])
    found = pods(kube, params)
    ready = next((pod for pod in found if is_ready(pod)), None)
    if ready is None:
        raise CassopsError(
            f"None of the {len(found)} nodes of {params['datacenter']} is ready for CQL. "
            "Run the playbook status to see why, or name one with the option node."
        )
    return name_of(ready)


def _session(kube: Kube, node: str, params: Mapping[str, Any]) -> Any:
    secret = params.get("login_secret") or f"{params['cluster']}-superuser"
    found = kube.get("Secret", secret)
    if found is None:
        raise CassopsError(f"There is no Secret {secret} in namespace {kube.namespace} (login_secret).")
    login = superuser.credentials(found, secret, kube)
    return logged_in(kube, node, login, params["timeout"])
