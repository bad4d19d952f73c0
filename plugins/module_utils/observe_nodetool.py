# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's view without a login, by C(nodetool) in its pod: for when nobody can log in.

From 4.1 on a login is read at LOCAL_QUORUM (C(auth_read_consistency_level)). Where a quorum of the replicas of the
superuser's row is dead, every node refuses it, and just then somebody has to look. It costs the node five Java
processes, so it is no way to look every day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import nodetool
from .errors import CassopsError
from .kube import Kube
from .observe import GONE, attempt, gossip_endpoint, gossip_status, together
from .view import Endpoint, Keyspace, Observation, View

VERBS = (["info"], ["gossipinfo"], ["status"], ["ring"], ["describecluster"])
LIMIT = 120.0
# C(PasswordAuthenticator) and C(CassandraRoleManager), 4.0 to 5.0: the row cannot be read, whatever the password.
NOBODY = ("Unable to perform authentication", "Unable to perform authorization")


def ask_without_login(kube: Kube, seen: View) -> View:
    """The view with the word of the nodes that could let nobody in."""
    pods = [pod for pod, why in sorted(seen.unheard.items()) if any(words in why for words in NOBODY)]
    answers = together(lambda pod: attempt(lambda: observation(kube, pod)), pods)
    heard = {pod: told for pod, told in zip(pods, answers, strict=True) if not isinstance(told, CassopsError)}
    return replace(
        seen,
        observations={**seen.observations, **{pod: told for pod, (told, dummy) in heard.items()}},
        keyspaces=seen.keyspaces or next((keyspaces for dummy, keyspaces in heard.values()), ()),
        unheard={pod: why for pod, why in seen.unheard.items() if pod not in heard},
    )


def observation(kube: Kube, pod: str) -> tuple[Observation, tuple[Keyspace, ...]]:
    """One node's view, and the keyspaces it knows.

    :raises CassopsError: nodetool fails there.
    """
    told = [result.data for result in nodetool.run(kube, pod, VERBS, LIMIT, check=True)]
    return from_words(pod, *told)


def from_words(
    pod: str,
    info: Mapping[str, Any],
    gossip: Mapping[str, Mapping[str, Any]],
    status: Mapping[str, Any],
    ring: Mapping[str, Sequence[int]],
    cluster: Mapping[str, Any],
) -> tuple[Observation, tuple[Keyspace, ...]]:
    """The parsed output of L(VERBS) as an observation.

    :raises CassopsError: the node is no member in its own word.
    """
    rows = {
        address: {name.lower(): state["value"] for name, state in said["states"].items()}
        for address, said in gossip.items()
    }
    members = {
        line["address"]: member(line, rows.get(line["address"], {}), ring.get(line["address"], ()))
        for line in status["nodes"]
    }
    for address, row in rows.items():
        if gossip_status(row) not in GONE:
            members.setdefault(address, gossip_endpoint(address, row))
    alive = {line["address"]: line["status"] == "up" for line in status["nodes"]}
    own = next((address for address, item in members.items() if item.host_id == info["id"]), None)
    if own is None:
        raise CassopsError(f"{pod}: its host id {info['id']} is none of those that it knows")
    keyspaces = tuple(Keyspace(name, dict(options)) for name, options in cluster["keyspaces"].items())
    return Observation(pod, own, members[own].status == "NORMAL", members, alive), keyspaces


def member(line: Mapping[str, Any], row: Mapping[str, Any], tokens: Sequence[int]) -> Endpoint:
    """A line of C(nodetool status), with what gossip says of that member."""
    endpoint = gossip_endpoint(line["address"], row)
    return replace(
        endpoint,
        host_id=line["host_id"],
        datacenter=line["datacenter"],
        rack=line["rack"],
        tokens=tuple(sorted(tokens)),
        serves=row["rpc_ready"] == "true" if row.get("rpc_ready") else None,
    )
