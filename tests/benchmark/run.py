# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make benchmark: measurements side by side; prints a table, writes results.json and docs/benchmarks.md."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import backups
import deploys
import growth
import measure
import planning
import replacements
import rollouts
import scales
import scene
import tasks

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
PAGE = scene.ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: written by make benchmark -->", "<!-- end of results -->"

Benchmark = Callable[[scene.Scene, argparse.Namespace], Sequence[measure.Result]]


def grow(where: scene.Scene, options: argparse.Namespace) -> Sequence[measure.Result]:
    """Only on the sandbox: its API server can reach workers that are played on this machine."""
    if os.environ.get("KUBECONFIG"):
        print("  left out: kwok plays workers for the sandbox only, and KUBECONFIG is set", flush=True)
        return []
    from sandbox import Sandbox

    sandbox = Sandbox()
    sandbox.build(kwok=True)
    sizes = options.size or growth.SIZES
    return growth.benchmark(where, sandbox.programs / "kwok", options.runs, options.quiet, sizes)


def replace(where: scene.Scene, options: argparse.Namespace) -> Sequence[measure.Result]:
    """Only on the sandbox: it wipes a volume and kills a worker."""
    if os.environ.get("KUBECONFIG"):
        print("  left out: workers are killed on the sandbox only, and KUBECONFIG is set", flush=True)
        return []
    return replacements.benchmark(where, options.deploys, options.quiet, options.data or 2048)


def scale(where: scene.Scene, options: argparse.Namespace) -> Sequence[measure.Result]:
    """Only on the sandbox: its nodes can be written to from this machine."""
    if os.environ.get("KUBECONFIG"):
        print("  left out: nodes are filled from this machine on the sandbox only, and KUBECONFIG is set", flush=True)
        return []
    return scales.benchmark(where, options.deploys, options.quiet, options.data or 1024)


def back_up(where: scene.Scene, options: argparse.Namespace) -> Sequence[measure.Result]:
    """Only on the sandbox: it has the S3 server."""
    if os.environ.get("KUBECONFIG"):
        print("  left out: the S3 server is the sandbox's, and KUBECONFIG is set", flush=True)
        return []
    return backups.benchmark(where, options.deploys, options.quiet, options.data or 2048)


BENCHMARKS: dict[str, Benchmark] = {
    "deploy": lambda where, options: deploys.benchmark(where, options.deploys, options.quiet),
    "tasks": lambda where, options: tasks.benchmark(where, options.runs, options.quiet),
    "rollouts": lambda where, options: rollouts.benchmark(where, options.rollouts, options.quiet),
    "growth": grow,
    "replace": replace,
    "scale": scale,
    "backup": back_up,
    "planning": lambda _where, options: planning.benchmark(options.runs, options.quiet),
}


def main() -> int:
    """Runs what was asked for; 1 where a target is missed."""
    options = parser().parse_args()
    kubeconfig, kubectl = cluster()
    with tempfile.TemporaryDirectory(prefix="cassops-benchmark-") as folder:
        where = scene.Scene(Path(folder), kubeconfig, kubectl)
        for name in options.only or BENCHMARKS:
            print(f"{name}:", flush=True)
            results = BENCHMARKS[name](where, options)
            store(results)
            print(table(results), flush=True)
    return 1 if any(result.kept is False for result in stored()) else 0


def parser() -> argparse.ArgumentParser:
    new = argparse.ArgumentParser(description="Measurements side by side; see docs/benchmarks.md.")
    new.add_argument("--only", action="append", choices=list(BENCHMARKS), help="only this one; may be repeated")
    new.add_argument("--runs", type=int, default=5, help="runs of the short playbooks (default: 5)")
    new.add_argument(
        "--size", type=int, action="append", help="nodes, for growth; may be repeated (default: 3, 300, 1000)"
    )
    new.add_argument(
        "--deploys", type=int, default=2, help="first deploys, replacements, and ways out and in (default: 2)"
    )
    new.add_argument(
        "--data",
        type=int,
        metavar="MIB",
        help="in each node (default: what the targets are of, 2048 for replace and backup, 1024 for scale)",
    )
    new.add_argument("--rollouts", type=int, default=2, help="rollouts, each one by one and rack by rack (default: 2)")
    new.add_argument(
        "--quiet",
        type=float,
        default=300,
        metavar="SECONDS",
        help="how long to wait for a quiet machine (default: 300)",
    )
    return new


def cluster() -> tuple[str, str]:
    """The kubeconfig and kubectl: of KUBECONFIG, else of the sandbox, which is started."""
    given = os.environ.get("KUBECONFIG")
    if given:
        return given, shutil.which("kubectl") or sys.exit("kubectl is not in PATH")
    from sandbox import Sandbox

    sandbox = Sandbox()
    sandbox.up()
    return str(sandbox.kubeconfig), str(sandbox.programs / "kubectl")


def stored() -> list[measure.Result]:
    if not RESULTS.exists():
        return []
    return [measure.Result(**each) for each in json.loads(RESULTS.read_text(encoding="utf-8"))]


def store(results: Sequence[measure.Result]) -> None:
    """Puts results in the place of older ones of the same name, in the file and on the page."""
    merged = {result.name: result for result in stored()} | {result.name: rounded(result) for result in results}
    kept = list(merged.values())
    RESULTS.write_text(json.dumps([dataclasses.asdict(each) for each in kept], indent=2) + "\n", encoding="utf-8")
    if PAGE.exists():
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        _old, after = rest.split(END)
        PAGE.write_text(f"{before}{BEGIN}\n{table(kept)}\n{END}{after}", encoding="utf-8")


def rounded(result: measure.Result) -> measure.Result:
    return dataclasses.replace(result, value=round(result.value, 4))


def table(results: Sequence[measure.Result]) -> str:
    """As Markdown, which people can read too."""
    lines = ["| what | value | target | kept | detail |", "|---|---|---|---|---|"]
    for result in results:
        target = "" if result.target is None else f"{'≤' if result.better == 'lower' else '≥'} {result.target:g}"
        kept = {None: "", True: "yes", False: "**no**"}[result.kept]
        lines.append(f"| {result.name} | {result.value:.2f} | {target} | {kept} | {result.detail} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
