# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the modules' twins: it runs the module's backend in the controller's own process.

Workers are forks of the controller, which loads an action plugin once a playbook: what the plugin imports at its top
is paid once, and a task costs 0.06 s instead of 0.8 s and more. Nothing here opens a connection before the fork.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible.utils.display import Display

from ansible_collections.cassops.kubernetes.plugins.module_utils.context import (
    Context,
    Operation,
    execute,
    hidden,
    rules,
    silent,
)
from ansible_collections.cassops.kubernetes.plugins.module_utils.entry import never_shown
from ansible_collections.cassops.kubernetes.plugins.plugin_utils.arguments import arguments, plain, structure
from ansible_collections.cassops.kubernetes.plugins.plugin_utils.progress import DisplayProgress, show
from ansible_collections.cassops.kubernetes.plugins.plugin_utils.variables import ignored, slips

PR_SET_PDEATHSIG = 1
# How the names of the collection's roles begin.
ROLES = "cassops.kubernetes."
# Variable of a playbook: the name of the one that its hosts are given by.
PLAY_HOSTS = "cassandra_play_hosts"


def end_with_controller() -> None:
    """Lets this worker end when the controller is killed, so that the next run finds nobody at work (Linux).

    Otherwise a worker goes on with its task, which may take hours, and nobody sees it. Every operation is made to be
    killed at any point.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def warn_of_slips(task_vars: Mapping[str, Any]) -> None:
    """Warns of variables that look misspelt, in the collection's own roles: elsewhere names are anybody's."""
    if str(task_vars.get("ansible_role_name", "")).startswith(ROLES):
        for name, meant in slips(task_vars):
            Display().warning(f"nobody reads the variable {name}; is {meant} meant?")


class OperationAction(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """A twin is this class and the operation that its module runs::

    class ActionModule(OperationAction):
        operation = nodetool
    """

    operation: ClassVar[Operation]

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Runs the operation here, or the module where the task belongs to another machine or user."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        self._refuse_ignored(task_vars)
        self._refuse_hosts_of_inventory(task_vars)
        if not self._is_here():
            self._warn_of_become()
            return self._sent(task_vars)
        # This process is the task's own fork, and a module would have the play's environment too.
        environment: dict[str, Any] = {}
        self._compute_environment_string(environment)
        os.environ.update({name: str(value) for name, value in environment.items()})
        params, no_log_values = self._validated()
        warn_of_slips(task_vars)
        end_with_controller()
        ctx = self._context(task_vars)
        result = execute(self.operation, params, ctx)
        # With no_log Ansible hides the result, and only that.
        for warning in ctx.warnings if not self._task.no_log else ():
            Display().warning(warning)
        cleaned: dict[str, Any] = remove_values(result, no_log_values)
        return cleaned

    def _sent(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the module answers on the machine, or as the user, that the task belongs to."""
        try:
            answer: dict[str, Any] = self._execute_module(
                module_args=self._arguments(), task_vars=task_vars, wrap_async=self._task.async_val
            )
        except AnsibleConnectionFailure as error:
            if self._task.delegate_to:
                raise
            raise AnsibleConnectionFailure(
                f"{error} (By {self._connection.transport}, since nothing says that this host is a datacenter and no "
                "machine: set ansible_connection: local for it, or connection: local for the play.)"
            ) from None
        return answer

    def _refuse_ignored(self, task_vars: Mapping[str, Any]) -> None:
        """:raises AnsibleActionFail: the playbook at work would do more than somebody asked for by a wrong name."""
        hosts = task_vars.get(PLAY_HOSTS)
        told = [f"nobody reads {name}: give {meant}" for name, meant in ignored(task_vars, hosts)] if hosts else []
        if told:
            raise AnsibleActionFail(f"{'; '.join(told)}. Nothing was touched")

    def _refuse_hosts_of_inventory(self, task_vars: Mapping[str, Any]) -> None:
        """Which hosts a play is for it cannot read in the inventory, and nothing says so: C(stop_hosts: staging) in
        there would stop every datacenter.

        :raises AnsibleActionFail: the variable of this playbook is set, and this host is none of those.
        """
        # Each of our playbooks names its own there. A play of somebody else reads none of them.
        variable = task_vars.get(PLAY_HOSTS)
        if not variable:
            return
        wanted = structure(variable, self._templar.template(task_vars.get(variable)))
        host = task_vars["inventory_hostname"]
        if not wanted or host in self._matching(wanted, task_vars):
            return
        raise AnsibleActionFail(
            f"{variable} is {plain(wanted)!r}, and {host} is none of these, but this play is for it all the same: a "
            f"play does not see that variable in the inventory. Take it out there, and give it by -e {variable}=..., "
            "or give --limit."
        )

    def _matching(self, pattern: str | list[str], task_vars: Mapping[str, Any]) -> list[str]:
        """The hosts of a pattern as C(hosts) of a play takes it."""
        lookup = lookup_loader.get("ansible.builtin.inventory_hostnames", loader=self._loader, templar=self._templar)
        found: list[str] = lookup.run(plain(pattern if isinstance(pattern, list) else [pattern]), variables=task_vars)
        return found

    def _is_here(self) -> bool:
        """Whether the task belongs to this machine and this user, and is waited for."""
        become = getattr(self._connection, "become", None)
        return self._connection.transport == "local" and not become and not self._task.async_val

    def _warn_of_become(self) -> None:
        """Nothing here needs another user, and many have it in the variables of all hosts."""
        if self._connection.transport == "local" and getattr(self._connection, "become", None):
            Display().warning(
                "This task becomes another user, who may have another kubeconfig, and nothing is shown while it works. "
                "For datacenters set ansible_become: false."
            )

    def _validated(self) -> tuple[dict[str, Any], set[str]]:
        """The options as the module would see them, and the texts never to be shown."""
        validator = ArgumentSpecValidator(dict(self.operation.ARGUMENT_SPEC), **rules(self.operation))
        validation = validator.validate(self._arguments())
        no_log_values = never_shown(validation._no_log_values, validation.validated_parameters)
        if validation.error_messages:
            raise AnsibleActionFail(remove_values(self._words(validation), no_log_values))
        return validation.validated_parameters, no_log_values

    def _arguments(self) -> dict[str, Any]:
        return arguments(self._task.args, self.operation.ARGUMENT_SPEC)

    def _words(self, validation: Any) -> str:
        """All that is wrong with the options, in the words that a module uses."""
        unsupported = f"Unsupported parameters for ({self._task.action}) module: "
        return "; ".join(
            (unsupported if isinstance(error, UnsupportedError) else "") + str(error) for error in validation.errors
        )

    def _context(self, task_vars: dict[str, Any]) -> Context:
        secret = bool(self._task.no_log)
        wanted = boolean(self._templar.template(task_vars.get("cassandra_progress", True)), strict=False)
        name = str(task_vars.get("inventory_hostname", "localhost"))
        return Context(
            check_mode=bool(self._task.check_mode),
            diff_mode=bool(self._task.diff),
            progress=DisplayProgress(name) if wanted and not secret else silent,
            display=hidden if secret else show,
            verbosity=Display().verbosity,
        )
