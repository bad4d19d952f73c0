# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``main()`` of every module: the backend that its twin runs, where the task is sent to another machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from . import hiding, kubeauth
from .context import Context, Operation, execute, rules


class Module(AnsibleModule):  # type: ignore[misc]  # ansible-core has no types
    """What it was called with stands beside its result; whoever may read that need not read keystores."""

    def exit_json(self, **told: Any) -> None:
        """Ends well."""
        self._hide()
        super().exit_json(**told)

    def fail_json(self, msg: str, **told: Any) -> None:
        """Ends, also where the options are wrong, before anything else."""
        self._hide()
        super().fail_json(msg, **told)

    def _hide(self) -> None:
        self.params: Any = hiding.hidden(self.params)


def main(operation: Operation) -> None:
    """Runs an operation as an Ansible module and ends the process."""
    # With what it was called is not logged: a kubeconfig may hold keys, and which words these are is known only later.
    module = Module(
        argument_spec=dict(operation.ARGUMENT_SPEC), supports_check_mode=True, no_log=True, **rules(operation)
    )
    module.no_log_values.update(never_shown(module.no_log_values, module.params))

    def log(text: str, *, important: bool = False) -> None:  # noqa: ARG001 - all of it goes to the log
        module.log(text)

    ctx = Context(
        check_mode=module.check_mode,
        diff_mode=module._diff,
        progress=log,
        verbosity=module._verbosity,
    )
    result = execute(operation, module.params, ctx)
    for warning in ctx.warnings:
        module.warn(warning)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def never_shown(words: Iterable[str], params: Mapping[str, Any]) -> set[str]:
    """All that must never be shown: the words of options that are not logged, and L(secrets); also without the line end
    that a file or a secret store puts behind one, which nobody repeats as it is."""
    found = {*words, *secrets(params)}
    return {text for word in found for text in (word, word.strip()) if text}


def secrets(params: Mapping[str, Any]) -> Iterator[str]:
    """The words of kubeconfigs that are given in the options, and not in files, that must never be shown: C(users)."""
    given = [params.get("kubeconfig"), *(peer.get("kubeconfig") for peer in params.get("peers") or ())]
    for config in map(kubeauth.content, given):
        yield from _texts(config.get("users"))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            if key != "name":
                yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str) and len(value) > 5:
        # Short words, such as the command of an exec plugin, would blot out half of every message.
        yield value
