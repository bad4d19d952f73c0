# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which worker could take a pod and its volume, as far as it may be told without the scheduler. Pure.

What other pods use, and affinities to nodes, are not reckoned with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from .quantity import value

# What kubectl cordon puts on a worker. Who tolerates it is not kept off by a cordon at all.
CORDON: Mapping[str, str] = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
# Effects of taints that keep pods off.
KEEP_OFF = ("NoSchedule", "NoExecute")


# --- workers and pods -------------------------------------------------------------------------------------------------


def schedulable(worker: Mapping[str, Any]) -> bool:
    return not worker.get("spec", {}).get("unschedulable", False)


def allocatable(worker: Mapping[str, Any], resource: str) -> Fraction:
    return value(worker.get("status", {}).get("allocatable", {}).get(resource, "0"))


def takes(worker: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Whether a worker could take a pod like this one, by its labels, its taints, and what it can allocate in all."""
    labels, taints = worker["metadata"].get("labels", {}), worker.get("spec", {}).get("taints", ())
    return (
        schedulable(worker)
        and spec.get("nodeSelector", {}).items() <= labels.items()
        and all(tolerated(taint, spec.get("tolerations", ())) for taint in taints if taint["effect"] in KEEP_OFF)
        and all(allocatable(worker, resource) >= amount for resource, amount in requests(spec).items())
    )


def tolerated(taint: Mapping[str, Any], tolerations: Iterable[Mapping[str, Any]]) -> bool:
    return any(
        each.get("effect") in (None, "", taint["effect"])
        and each.get("key") in (None, "", taint["key"])
        and (each.get("operator") == "Exists" or (each.get("key") and each.get("value", "") == taint.get("value", "")))
        for each in tolerations
    )


def requests(spec: Mapping[str, Any]) -> dict[str, Fraction]:
    """What a pod asks for: what runs side by side in all, or what starts before it where that is more."""
    before = spec.get("initContainers", ())
    beside = [*spec["containers"], *(each for each in before if each.get("restartPolicy") == "Always")]
    total = added(asked(each) for each in beside)
    for each in before:
        for resource, amount in asked(each).items():
            total[resource] = max(total.get(resource, amount), amount)
    return added([total, exact(spec.get("overhead", {}))])


def asked(container: Mapping[str, Any]) -> dict[str, Fraction]:
    return exact(container.get("resources", {}).get("requests", {}))


def exact(amounts: Mapping[str, Any]) -> dict[str, Fraction]:
    return {resource: value(str(amount)) for resource, amount in amounts.items()}


def added(amounts: Iterable[Mapping[str, Fraction]]) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    for each in amounts:
        for resource, amount in each.items():
            total[resource] = total.get(resource, Fraction()) + amount
    return total


def stays_alone(spec: Mapping[str, Any]) -> bool:
    """Whether a pod shares its worker with no other node of the datacenter. Its own word counts: it comes back so."""
    rules = spec.get("affinity", {}).get("podAntiAffinity", {})
    return bool(rules.get("requiredDuringSchedulingIgnoredDuringExecution"))


def too_many(places: Mapping[str, frozenset[str]], alone: Collection[str]) -> list[tuple[list[str], frozenset[str]]]:
    """Groups of nodes for which there are too few workers, each with those.

    :param places: node -> workers that could take it.
    :param alone: nodes that need a worker for themselves.
    """
    found = []
    for free in dict.fromkeys(places.values()):
        names = [name for name, mine in places.items() if mine <= free]
        needed = max(len([name for name in names if name in alone]), 1)
        if needed > len(free):
            found.append((names, free))
    return found


# --- workers and volumes ----------------------------------------------------------------------------------------------


def reaches(pv: Mapping[str, Any], worker: Mapping[str, Any]) -> bool:
    """Whether a volume's node affinity lets it be used on a worker, by the labels that it wants."""
    labels, terms = worker["metadata"].get("labels", {}), rules_of(pv)
    return not terms or any(
        all(rule["operator"] != "In" or labels.get(rule["key"]) in rule["values"] for rule in rules) for rules in terms
    )


def labelled(pv: Mapping[str, Any], worker: Mapping[str, Any]) -> bool:
    """Whether a worker has the labels that a volume's node affinity asks for, of whatever values.

    A driver puts its labels on each worker that it makes volumes for.
    """
    labels, terms = worker["metadata"].get("labels", {}), rules_of(pv)
    return not terms or any(all(rule["key"] in labels for rule in rules) for rules in terms)


def rules_of(pv: Mapping[str, Any]) -> list[Sequence[Mapping[str, Any]]]:
    """The labels that a volume wants of its worker, for each way to have it."""
    terms = pv["spec"].get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms", ())
    return [term.get("matchExpressions", ()) for term in terms]
