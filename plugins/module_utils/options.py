# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that several operations share. ``doc_fragments/`` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KUBERNETES: Mapping[str, Any] = {
    "kubeconfig": {"type": "raw"},
    "context": {"type": "str"},
    "namespace": {"type": "str"},
    "host": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "validate_certs": {"type": "bool"},
    "ca_cert": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "tls_server_name": {"type": "str"},
    "proxy": {"type": "str"},
    "no_proxy": {"type": "str"},
    "impersonate_user": {"type": "str"},
    "impersonate_groups": {"type": "list", "elements": "str"},
}
"""How to reach the Kubernetes API: fragment ``cassops.kubernetes.kubernetes``."""

DATACENTER: Mapping[str, Any] = {
    "cluster": {"type": "str", "required": True},
    "datacenter": {"type": "str", "required": True},
}
"""Which datacenter: fragment ``cassops.kubernetes.kubernetes.datacenter``."""

SELECTION: Mapping[str, Any] = {
    **DATACENTER,
    "racks": {"type": "list", "elements": "str"},
    "nodes": {"type": "list", "elements": "str"},
}
"""Which nodes: fragment ``cassops.kubernetes.kubernetes.selection``."""

QUERY: Mapping[str, Any] = {"query": {"type": "str"}}
"""JMESPath over the result: fragment ``cassops.kubernetes.query``."""
