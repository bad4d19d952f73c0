# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The twin of the module: the same backend, in the controller's own process."""

from __future__ import annotations

from ansible_collections.cassops.kubernetes.plugins.module_utils.operations import datacenter_decommission
from ansible_collections.cassops.kubernetes.plugins.plugin_utils.runner import OperationAction


class ActionModule(OperationAction):
    operation = datacenter_decommission
