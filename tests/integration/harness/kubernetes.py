# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes cluster of the tests, as its administrator sees it: the sandbox, or one of the user's own.

Through kubectl, so that what the tests see does not depend on the client that they test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import Sandbox

Object = dict[str, Any]


class KubectlError(AssertionError):
    """kubectl failed; the text is what it said."""


@dataclass(frozen=True)
class Cluster:
    """:param sandbox: None on a cluster of the user's own, where no worker can be harmed."""

    kubectl_program: str
    kubeconfig: Path
    sandbox: Sandbox | None

    @classmethod
    def find(cls) -> Cluster:
        """The cluster of CASSOPS_TEST_KUBECONFIG, else the sandbox, which is started where it does not run."""
        own = os.environ.get("CASSOPS_TEST_KUBECONFIG")
        if own:
            return cls(shutil.which("kubectl") or "kubectl", Path(own), None)
        sandbox = Sandbox()
        if not sandbox.is_up():
            sandbox.up()
        return cls(str(sandbox.programs / "kubectl"), sandbox.kubeconfig, sandbox)

    def kubectl(self, *words: str, text: str | None = None, seconds: float = 120) -> str:
        """Run kubectl as the administrator and return what it printed.

        :raises KubectlError: it failed.
        """
        done = subprocess.run(
            [self.kubectl_program, "--kubeconfig", str(self.kubeconfig), *words],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def stream(self, *words: str) -> subprocess.Popen[str]:
        """Start kubectl as the administrator; whoever starts it ends it."""
        return subprocess.Popen(
            [self.kubectl_program, "--kubeconfig", str(self.kubeconfig), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def list(self, kinds: str, *words: str) -> list[Object]:
        """Objects of one or several kinds ("pods,services")."""
        items: list[Object] = json.loads(self.kubectl("get", kinds, "-o", "json", *words))["items"]
        return items

    def apply(self, objects: Sequence[Object], *words: str) -> None:
        """Create or change objects."""
        self.kubectl(
            "apply", "-f", "-", *words, text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        )

    def server(self) -> Object:
        """Address and authority of the API server: the ``cluster`` of a kubeconfig."""
        told = json.loads(self.kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
        cluster: Object = told["clusters"][0]["cluster"]
        return cluster
