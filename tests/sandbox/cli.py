# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import argparse
import json
import sys

from .core import Sandbox
from .errors import SandboxError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sandbox",
        description="A disposable real Kubernetes with several workers on this Linux machine (needs root).",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    up = command("up", "Build what is missing and start the sandbox, or what of it does not run.")
    up.add_argument("--workers", type=int, default=3, help="workers of a new sandbox (default: 3)")
    up.add_argument("--fresh", action="store_true", help="remove what is there first")
    up.add_argument("--oldest", action="store_true", help="of the oldest Kubernetes that the collection works with")
    up.add_argument(
        "--image",
        action="append",
        metavar="NAME",
        help="build and load only this image; may be repeated (default: all)",
    )
    down = command("down", "End the sandbox and remove its state.")
    down.add_argument("--purge", action="store_true", help="remove the build cache too")
    build = command("build", "Build and cache everything; start nothing.")
    build.add_argument("--kwok", action="store_true", help="also kwok, which only the benchmarks need")
    build.add_argument("--oldest", action="store_true", help="also the oldest Kubernetes, which `up --oldest` starts")
    command("status", "Say what runs.").add_argument("--json", action="store_true", help="as JSON")
    command("kubeconfig", "Print the path of the kubeconfig.")
    command("load-image", "Load an image on every worker.").add_argument("name")
    for name, text in (
        ("kill-worker", "Power loss of a worker."),
        ("revive-worker", "Power is back on a worker."),
        ("isolate-worker", "Cut a worker off the network."),
        ("join-worker", "Reconnect a worker."),
        ("remove-worker", "Take a worker away for good, with its disk."),
    ):
        command(name, text).add_argument("worker")
    command("add-worker", "Add a worker.").add_argument("--zone", help="its zone (default: the next in turn)")
    wipe = command("wipe-volume", "Empty the volume of a claim.")
    wipe.add_argument("namespace")
    wipe.add_argument("claim")
    command("stop-api", "Stop the API server.")
    command("start-api", "Start the API server again.")
    return parser


def _print_status(sandbox: Sandbox) -> None:
    state = sandbox.status()
    ready = "ready" if state["api_ready"] else "not ready"
    print(f"API server: {ready}; Kubernetes {state['kubernetes']}; KUBECONFIG={state['kubeconfig']}")
    for name, one in state["workers"].items():
        words = ["Ready" if one["ready"] else "not Ready", "running" if one["running"] else "stopped"]
        print(f"{name} ({one['zone']}): {', '.join(words + (['cut off'] if one['cut_off'] else []))}")
    if state["stopped_daemons"]:
        print(f"stopped: {', '.join(state['stopped_daemons'])}")
    print(f"S3: {state['s3_endpoint']}, keys in {state['s3_keys']}")
    print(f"audit log: {state['audit_log']}")
    print(f"images: {', '.join(state['images'])}")


def _run(options: argparse.Namespace, sandbox: Sandbox) -> None:
    match options.command:
        case "up":
            sandbox.up(
                options.workers,
                fresh=options.fresh,
                oldest=options.oldest,
                only_images=tuple(options.image) if options.image else None,
            )
        case "down":
            sandbox.down(purge=options.purge)
        case "build":
            sandbox.build(kwok=options.kwok, oldest=options.oldest)
        case "status" if options.json:
            print(json.dumps(sandbox.status(), indent=1))
        case "status":
            _print_status(sandbox)
        case "kubeconfig":
            print(sandbox.kubeconfig)
        case "load-image":
            sandbox.load_image(options.name)
        case "kill-worker":
            sandbox.kill_worker(options.worker)
        case "revive-worker":
            sandbox.revive_worker(options.worker)
        case "isolate-worker":
            sandbox.isolate_worker(options.worker)
        case "join-worker":
            sandbox.join_worker(options.worker)
        case "remove-worker":
            sandbox.remove_worker(options.worker)
        case "add-worker":
            print(sandbox.add_worker(options.zone))
        case "wipe-volume":
            print(f"{sandbox.wipe_volume(options.namespace, options.claim)} entries removed")
        case "stop-api":
            sandbox.stop_api()
        case "start-api":
            sandbox.start_api()


def main() -> int:
    """Run one command; returns the exit code."""
    try:
        _run(_parser().parse_args(), Sandbox())
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sandbox: interrupted; `up` goes on where it was, `down` removes what is there", file=sys.stderr)
        return 130
    return 0
