# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The datacenter that a module's options describe, or every error of them at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from .. import spec, spec_parser
from ..errors import CassopsError, SpecError
from ..kube import Kube
from ..observe import ALL_KINDS, Objects, attempt, objects
from ..options import DATACENTER
from . import preflight
from .living import unlike_living
from .peers import living_peer

# Options that describe the desired datacenter; spec_parser checks them, all at once.
DESIRED: Mapping[str, Any] = {
    "version": {"type": "str"},
    "image": {"type": "str"},
    # Values in lists and mappings stay raw: spec_parser tells all errors with their paths, and takes texts of surveys.
    "racks": {"type": "raw"},
    "storage": {"type": "raw"},
    "resources": {"type": "raw"},
    "heap": {"type": "str"},
    "config": {"type": "raw"},
    "jvm_options": {"type": "raw"},
    "superuser_secret": {"type": "str", "no_log": False},
    "pod_template": {"type": "raw"},
    "address": {"type": "str"},
    "self_replace": {"type": "bool"},
    "allow_shared_workers": {"type": "bool"},
    "workers_on_demand": {"type": "bool"},
    "tokens": {"type": "raw", "no_log": False},
    "backup": {"type": "raw"},
}
# Values that can be wrong by themselves: what they are is compared with no living datacenter and no worker.
BY_ITSELF = {"image", "heap", "config", "jvm_options", "pod_template", "tokens", "backup", "repair"}


def checked(kube: Kube, params: Mapping[str, Any]) -> spec.Datacenter:
    """The desired datacenter; every error of the values, and what the cluster lacks for them, at once."""
    keys = (*DATACENTER, *DESIRED, "repair")
    values = {key: params[key] for key in keys if params.get(key) is not None}
    prefix: str = params.get("variable_prefix") or ""
    try:
        return spec_parser.parse(values, prefix)
    except SpecError as error:
        if (desired := past_its_tokens(kube, values, prefix)) is not None:
            return desired
        more = attempt(partial(beside, kube, params, prefix, values, error.errors))
        raise SpecError([*error.errors, *([] if isinstance(more, CassopsError) else more)]) from error


def beside(
    kube: Kube, params: Mapping[str, Any], prefix: str, values: Mapping[str, Any], faults: Sequence[str]
) -> list[str]:
    """What else stands against the desired datacenter, as far as it can be told beside faults of its values."""
    facts, _makes_namespace = offered(kube, params)
    rest = past_its_faults(values, faults, prefix)
    found = attempt(lambda: objects(kube, rest.cluster, rest.name, ALL_KINDS)) if rest else None
    if rest is None or not isinstance(found, Objects):
        return preflight.errors(values, facts, prefix) + preflight.missing_rights(kube)
    sets = found.all("StatefulSet")
    living = [rack.name for rack in rest.racks if rest.rack_name(rack) in sets]
    return [
        *preflight.errors(values, facts, prefix, living),
        *preflight.capacity_errors(rest, facts.workers, prefix, bool(sets)),
        *preflight.missing_rights(kube),
        *unlike_living(rest, found, prefix),
    ]


def past_its_faults(values: Mapping[str, Any], faults: Sequence[str], prefix: str) -> spec.Datacenter | None:
    """The desired datacenter without the faulty values that neither the living one nor workers are asked about.

    None where others are faulty too.
    """
    faulty = {re.split(r"[:.\[]", fault.removeprefix(prefix), maxsplit=1)[0] for fault in faults}
    kept = {key: value for key, value in values.items() if key not in faulty & BY_ITSELF}
    given = preflight.structure(values.get("config"))
    if "config" in faulty and isinstance(given, Mapping) and "num_tokens" in given:
        # It is compared with that of the living one.
        kept["config"] = {"num_tokens": given["num_tokens"]}
    rest = attempt(lambda: spec_parser.parse(kept, prefix))
    return None if isinstance(rest, CassopsError) else rest


def past_its_tokens(kube: Kube, values: Mapping[str, Any], prefix: str) -> spec.Datacenter | None:
    """The desired datacenter where only its tokens are wrong, and it runs: they were for its first start.

    Scaling has changed its nodes since.
    """
    desired = attempt(lambda: spec_parser.parse({**values, "tokens": {}}, prefix))
    if isinstance(desired, CassopsError) or not living_peer(kube, desired.cluster, desired.name):
        return None
    return desired


def offered(kube: Kube, params: Mapping[str, Any]) -> tuple[preflight.Facts, bool]:
    """What the Kubernetes cluster offers, and whether this run is to make the namespace, which then counts as there."""
    facts = preflight.facts(kube)
    if facts.namespace_exists is False and params.get("create_namespace"):
        return replace(facts, namespace_exists=True), True
    return facts, False
