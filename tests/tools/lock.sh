#!/bin/sh
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Writes tests/requirements.txt: tests/requirements.in with everything that it brings along, each at one version.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$root/.venv/bin/python" -m venv "$fresh"
"$fresh/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$root/tests/requirements.in"
{
    echo "# Written by \`make lock\` from tests/requirements.in."
    "$fresh/bin/python" -m pip freeze
} >"$root/tests/requirements.txt"
