#!/bin/sh
# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes .venv, or completes the one that is there: a Python that ansible-core runs on, the pinned requirements, and
# the link through which Ansible finds this clone as cassops.kubernetes. Does nothing when nothing changed.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
venv=$root/.venv
requirements=$root/tests/requirements.txt

# ansible-core 2.21 runs on 3.12 to 3.14. A shim of pyenv that points nowhere, and a Debian python3 without its
# package python3-venv, answer too: so ask each whether it can do it.
suits() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1
}

# One a line, best first. Not .venv itself, which is first in PATH where it is active.
candidates() {
    every_python | grep -v "^$venv/" || true
}

every_python() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" || echo "$PYTHON"
        return
    fi
    for version in 3.13 3.12 3.14; do
        command -v "python$version" || true
        for python in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python3; do
            [ ! -x "$python" ] || echo "$python"
        done
    done
    command -v python3 || true
}

find_python() {
    candidates | while read -r python; do
        if suits "$python"; then
            echo "$python"
            break
        fi
    done
}

make_venv() {
    python=$(find_python)
    if [ -z "$python" ]; then
        {
            echo "No Python 3.12, 3.13 or 3.14 that can make a virtual environment. Looked at:"
            candidates | sort -u | sed 's/^/  /'
            echo "That is \$PYTHON if set, else PATH and pyenv's versions. Install one (Debian and Ubuntu: python3 and"
            echo "python3-venv), or name one: make venv PYTHON=/path/to/python3.13"
        } >&2
        exit 1
    fi
    echo "Making .venv with $("$python" --version), $python"
    "$python" -m venv --clear "$venv"
}

# Scripts in .venv/bin name their Python by its full path: a clone that was moved needs a new .venv.
in_place() {
    [ -x "$venv/bin/python" ] && suits "$venv/bin/python" && head -n 1 "$venv/bin/pip" 2>/dev/null | grep -qF "$venv/bin/"
}

link() {
    folder=$venv/collections/ansible_collections/cassops
    mkdir -p "$folder"
    [ "$(readlink "$folder/kubernetes" 2>/dev/null)" = ../../../.. ] || ln -sfn ../../../.. "$folder/kubernetes"
}

in_place || make_venv
link
stamp=$venv/requirements.installed
if ! cmp -s "$requirements" "$stamp"; then
    echo "Installing what tests/requirements.txt names"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$stamp"
fi
