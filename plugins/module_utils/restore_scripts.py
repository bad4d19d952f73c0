# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restore does on a node's volume, as shell scripts for the pod's sidecar. Pure: text only.

The sidecar has the volume whether Cassandra runs, is held, or crashes. POSIX sh with find, sort, df and coreutils or
busybox. Each script looks first: it may be killed anywhere and run again. `CASSOPS_ROOT` is put before every path; the
unit tests set it.

Everything of a restore lies in its staging folder, C(.cassops/restore/<id>) on the volume, on the same file system as
the data, so that putting it in place is renaming. In it, C(<host id>/raw) is what restic made of a node's backup,
C(<host id>/data) the same in the form of a data folder, C(<host id>/log) what was stored of its commit log, C(old)
what was on the volume before, with its marks, and C(back) what was restored and is given up.
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
echo "free $(df -Pk "$volume" | awk 'NR == 2 { print $4 }')"
[ -n "$(find "$volume/data" -type f 2>/dev/null | head -n 1)" ] && echo "data yes" || echo "data no"
for folder in "$marks/restore"/*/old/marks; do
    [ -e "$folder" ] || continue
    id=${folder%/old/marks}
    echo "old ${id##*/}"
done
for file in "$marks/restore"/*/*/ready; do
    [ -e "$file" ] || continue
    folder=${file%/ready} id=${file%/*/ready}
    echo "ready ${id##*/}/${folder##*/}"
done
for file in "$marks/restore"/*/*/whole; do
    [ -e "$file" ] || continue
    folder=${file%/whole} id=${file%/*/whole}
    echo "whole ${id##*/}/${folder##*/}"
done
exit 0
"""
)

SIZES = (
    HEAD
    + r"""
# SIZES ID HOST: every file that was downloaded: bytes, then its path.
cd "$marks/restore/$1/$2/raw" 2>/dev/null || exit 0
find . -type f -exec stat -c '%s %n' {} + | sed 's| \./| |'
"""
)

ARRANGE = (
    HEAD
    + r"""
# ARRANGE ID HOST SNAPSHOT: make a data folder of what was found whole. Cassandra's own notes about its snapshot do not
# belong there. Who is killed here leaves raw without what is in its place already, which is no damage: it is noted.
stage=$marks/restore/$1/$2
[ ! -e "$stage/ready" ] || exit 0
mkdir -p "$stage/data"
touch "$stage/whole"
for folder in "$stage/raw"/*/*/snapshots/"$3"; do
    [ -d "$folder" ] || continue
    rm -f "$folder/manifest.json" "$folder/schema.cql"
    # A table without rows.
    ! rmdir "$folder" 2>/dev/null || continue
    table=${folder#"$stage/raw/"}
    table=${table%/snapshots/*}
    mkdir -p "$stage/data/${table%/*}"
    mv "$folder" "$stage/data/$table"
done
rm -rf "$stage/raw"
mv "$stage/whole" "$stage/ready"
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
# SWAP ID HOST MARK KEYSPACE...: what was downloaded takes the place of the data; the named keyspaces stay as they are.
# Nothing of the commit log, of hints and of caches stays: they hold what was written after the backup.
[ "$(cat "$marks/restoring" 2>/dev/null)" = "$1" ] || { echo "the node is not held for this restore" >&2; exit 3; }
stage=$marks/restore/$1/$2 old=$marks/restore/$1/old mark=$3
[ -e "$stage/ready" ] || { echo "the node has not got its data yet" >&2; exit 3; }
shift 3
# What the node was, for a way back. Of its last sign of life the age is kept: meanwhile nobody serves.
if [ ! -e "$old/marks" ]; then
    rm -rf "$old/marks.new"
    mkdir -p "$old/marks.new"
    for name in mark way missed missing joined; do
        if [ -e "$marks/$name" ]; then cp "$marks/$name" "$old/marks.new/$name"; fi
    done
    if [ -e "$marks/alive" ]; then
        echo $(($(date +%s) - $(stat -c %Y "$marks/alive"))) >"$old/marks.new/age"
    fi
    mv "$old/marks.new" "$old/marks"
fi
if [ -d "$stage/data" ]; then
    for name in data commitlog hints saved_caches cdc_raw; do
        if [ -e "$volume/$name" ] && [ ! -e "$old/$name" ]; then mv "$volume/$name" "$old/$name"; fi
    done
    for keyspace in "$@"; do
        if [ -d "$old/data/$keyspace" ]; then
            rm -rf "$stage/data/${keyspace:?}"
            mv "$old/data/$keyspace" "$stage/data/$keyspace"
        fi
    done
    mv "$stage/data" "$volume/data"
fi
# What the commit log would have told the store belongs to what was before; from now on it is another story.
if [ -d "$marks/archive/closed" ]; then
    rm -f "$marks/archive/closed"/*
    touch "$marks/archive/lost"
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

REPLAY = (
    HEAD
    + r"""
# REPLAY ID HOST MOMENT: the node's next start reads what was stored of its commit log, up to that moment.
[ -d "$marks/restore/$1/$2/log" ] || { echo "the node has not got its commit log yet" >&2; exit 3; }
echo "$1/$2/log $3" >"$marks/replay.new"
mv "$marks/replay.new" "$marks/replay"
"""
)

BREAK = (
    HEAD
    + r"""
# BREAK: what was restored is in no commit log; a point in time after it needs a backup that is newer.
[ ! -d "$marks/archive/closed" ] || touch "$marks/archive/lost"
"""
)

RETURN = (
    HEAD
    + r"""
# RETURN ID HOST KEYSPACE...: everything is as it was before SWAP; the named keyspaces stay as they are.
[ "$(cat "$marks/restoring" 2>/dev/null)" = "$1" ] || { echo "the node is not held for this restore" >&2; exit 3; }
stage=$marks/restore/$1/$2 old=$marks/restore/$1/old back=$marks/restore/$1/back
shift 2
rm -f "$marks/replay"
if [ ! -e "$old/marks" ]; then
    # Nothing was exchanged here yet; or the volume is new. Without marks beside it, it is not known what it was.
    if [ -e "$old/data" ] || [ -e "$old/commitlog" ]; then
        echo "what it had before is in $old, without its marks: put it back by hand" >&2
        exit 3
    fi
    if [ -e "$stage/ready" ] || [ -z "$(find "$volume/data" -type f 2>/dev/null | head -n 1)" ]; then exit 0; fi
    echo "its volume is another one than the restore exchanged, and what it had before is gone with that" >&2
    exit 3
fi
folders='data commitlog hints saved_caches cdc_raw'
# What was restored goes first, all of it; where the exchange was cut off, it never came.
if [ ! -e "$back/whole" ]; then
    mkdir -p "$back"
    if [ ! -d "$stage/data" ]; then
        for name in $folders; do
            if [ -e "$volume/$name" ] && [ ! -e "$back/$name" ]; then mv "$volume/$name" "$back/$name"; fi
        done
    fi
    touch "$back/whole"
fi
for keyspace in "$@"; do
    for from in "$back/data" "$stage/data"; do
        if [ -d "$old/data" ] && [ ! -e "$old/data/$keyspace" ] && [ -d "$from/$keyspace" ]; then
            mv "$from/$keyspace" "$old/data/$keyspace"
        fi
    done
done
for name in $folders; do
    [ -e "$old/$name" ] || continue
    [ ! -e "$volume/$name" ] || { echo "$volume/$name is there, and $old/$name should come back" >&2; exit 3; }
    mv "$old/$name" "$volume/$name"
done
for name in mark way missed missing joined; do
    rm -f "$marks/$name"
    if [ -e "$old/marks/$name" ]; then cp "$old/marks/$name" "$marks/$name"; fi
done
# What the commit log told the store since belongs to what goes.
if [ -d "$marks/archive/closed" ]; then
    rm -f "$marks/archive/closed"/*
    touch "$marks/archive/lost"
fi
rm -f "$marks/alive"
if [ -e "$old/marks/age" ]; then touch -d "@$(($(date +%s) - $(cat "$old/marks/age")))" "$marks/alive"; fi
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
# FOLDERS ID HOST: how many SSTables a folder of the data folder still holds, its keyspace and table, and where it is.
# One that holds none was emptied by an import whose end nobody has seen; else FORGET has taken it away.
# A volume that was made anew meanwhile has nothing of it, and that is not the same as nothing left to do.
[ -e "$marks/restore/$1/$2/ready" ] || { echo "what was downloaded is not on the volume any more" >&2; exit 3; }
cd "$marks/restore/$1/$2/data" 2>/dev/null || exit 0
for folder in */*; do
    [ -d "$folder" ] || continue
    count=$(find "$folder" -maxdepth 1 -type f -name '*-Data.db' | wc -l)
    table=${folder#*/}
    echo "$count ${folder%%/*} ${table%-*} $marks/restore/$1/$2/data/$folder"
done
"""
)

SNAPSHOTS = (
    HEAD
    + r"""
# SNAPSHOTS NAME, in Cassandra's container: keyspace and name of each table that has a snapshot of that name or of one
# that goes on with a number, and its name.
cd "$volume/data"
for folder in */*/snapshots/"$1" */*/snapshots/"$1"-*; do
    [ -d "$folder" ] || continue
    table=${folder#*/}
    echo "${folder%%/*} ${table%%-*} ${folder##*/}"
done
"""
)

FORGET = (
    HEAD
    + r"""
# FORGET FOLDER...: its rows are in the cluster.
for folder in "$@"; do
    case $folder in "$marks/restore"/*/data/*) rm -rf "${folder:?}" ;; esac
done
"""
)

VERIFY = r"""set -eu
# VERIFY FOLDER KEYSPACE TABLE, in Cassandra's container: its own check, in a configuration that has FOLDER only.
# 97 says that it could not be begun.
conf=$(mktemp -d /tmp/verify.XXXXXX) || exit 97
trap 'rm -rf "$conf"' EXIT
trap 'exit 143' TERM INT HUP
ours='^(data_file_directories|(commitlog|saved_caches|hints|cdc_raw)_directory):'
cp -R "$CASSANDRA_CONF/." "$conf" || exit 97
grep -Ev "$ours" "$CASSANDRA_CONF/cassandra.yaml" >"$conf/cassandra.yaml" || exit 97
echo "data_file_directories: [\"$1\"]" >>"$conf/cassandra.yaml"
for name in commitlog saved_caches hints cdc_raw; do
    echo "${name}_directory: \"$conf/$name\"" >>"$conf/cassandra.yaml"
done
# 4.0 knows no such option, and later versions do nothing without it.
case ${CASSOPS_VERSION:-} in 4.0.*) force='' ;; *) force=--force ;; esac
CASSANDRA_CONF=$conf MAX_HEAP_SIZE=256M sstableverify ${force:+"$force"} --extended "$2" "$3"
"""

ANSWERS = r"""set -eu
# ANSWERS ADDRESS/PORT..., in Cassandra's container: those at which something takes connections. All are asked at the
# same time: one that is silent takes seconds to be given up.
for at in "$@"; do
    if timeout 3 bash -c ': <"/dev/tcp/$1"' bash "$at" 2>/dev/null; then echo "$at"; fi &
done
wait
"""

CLEAN = (
    HEAD
    + r"""
# CLEAN ID: nothing of this restore stays on the volume.
rm -rf "$marks/restore/${1:?}"
rmdir "$marks/restore" 2>/dev/null || :
"""
)
