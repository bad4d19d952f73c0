# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restore does on a node's volume, as shell scripts for the pod's sidecar. Pure: text only.

The sidecar has the volume whether Cassandra runs, is held, or crashes. POSIX sh with find, sort, df and coreutils or
busybox. Each script looks first: it may be killed anywhere and run again. `CASSOPS_ROOT` is put before every path; the
unit tests set it.

Everything of a restore lies in its staging folder, C(.cassops/restore/<id>) on the volume, on the same file system as
the data, so that putting it in place is renaming: C(data) is what was downloaded, C(old) what was there before.
"""

from __future__ import annotations

HEAD = r"""set -eu
volume=${CASSOPS_ROOT:-}/var/lib/cassandra
marks=$volume/.cassops
"""

LOOK = (
    HEAD
    + r"""
# LOOK: what is on the volume, a word and its value a line; what is free in KiB.
echo "restoring $(cat "$marks/restoring" 2>/dev/null || :)"
echo "free $(df -Pk "$volume" | awk 'NR == 2 { print $4 }')"
[ -n "$(find "$volume/data" -type f 2>/dev/null | head -n 1)" ] && echo "data yes" || echo "data no"
for folder in "$marks/restore"/*; do [ -d "$folder" ] && echo "stage ${folder##*/}"; done
exit 0
"""
)

SIZES = (
    HEAD
    + r"""
# SIZES ID: every downloaded file that is still in the staging folder: bytes, then its path below C(data).
cd "$marks/restore/$1/data" 2>/dev/null || exit 0
find . -type f -exec stat -c '%s %n' {} + | sed 's| \./| |'
"""
)

HOLD = (
    HEAD
    + r"""
# HOLD ID: from its next start on, start.sh keeps Cassandra from starting.
mkdir -p "$marks"
echo "$1" >"$marks/restoring.new"
mv "$marks/restoring.new" "$marks/restoring"
"""
)

SWAP = (
    HEAD
    + r"""
# SWAP ID MARK KEYSPACE...: what was downloaded takes the place of the data; the named keyspaces stay as they are.
# Nothing of the commit log, of hints and of caches stays: they hold what was written after the backup.
[ "$(cat "$marks/restoring" 2>/dev/null)" = "$1" ] || { echo "the node is not held for this restore" >&2; exit 3; }
stage=$marks/restore/$1 mark=$2
shift 2
if [ -d "$stage/data" ]; then
    mkdir -p "$stage/old"
    for name in data commitlog hints saved_caches cdc_raw; do
        if [ -e "$volume/$name" ] && [ ! -e "$stage/old/$name" ]; then mv "$volume/$name" "$stage/old/$name"; fi
    done
    for keyspace in "$@"; do
        if [ -d "$stage/old/data/$keyspace" ]; then
            rm -rf "$stage/data/${keyspace:?}"
            mv "$stage/old/data/$keyspace" "$stage/data/$keyspace"
        fi
    done
    mv "$stage/data" "$volume/data"
fi
# Whose data this is, that it has served, and that it is fresh: start.sh would hold it otherwise.
echo "$mark" >"$marks/mark.new"
mv "$marks/mark.new" "$marks/mark"
echo restart >"$marks/way"
rm -f "$marks/missed"
touch "$marks/joined" "$marks/alive"
sync
"""
)

RELEASE = (
    HEAD
    + r"""
# RELEASE ID: let Cassandra start.
[ "$(cat "$marks/restoring" 2>/dev/null)" != "$1" ] || rm -f "$marks/restoring"
"""
)

FOLDERS = (
    HEAD
    + r"""
# FOLDERS ID KEYSPACE TABLE: the folders of the table that still hold SSTables, and how many.
cd "$marks/restore/$1/data" 2>/dev/null || exit 0
for folder in "$2/$3"-*; do
    [ -d "$folder" ] || continue
    count=$(find "$folder" -maxdepth 1 -type f -name '*-Data.db' | wc -l)
    [ "$count" -eq 0 ] || echo "$count $marks/restore/$1/data/$folder"
done
"""
)

CLEAN = (
    HEAD
    + r"""
# CLEAN ID: nothing of this restore stays on the volume.
rm -rf "$marks/restore/${1:?}"
rmdir "$marks/restore" 2>/dev/null || :
"""
)
