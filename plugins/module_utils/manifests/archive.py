# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the commit log gets into the store, where a point in time can be restored. Pure: scripts only.

Cassandra calls `archive.sh` with each segment that is full; a hard link keeps it. The container `backup` runs `STORE`:
about once a minute it stores those, and the one that is being written, whatever is in it by then. So a node whose
segments take a day to fill loses no more than one that fills them in seconds.

Everything lies in C(.cassops/archive) on the volume:
    closed/     links to segments that are not stored yet
    open/       links to the newest segments while they are stored
    lost        its time: something that was written or changed before is in no archive; told with the next upload
    off         Cassandra was started without archiving; start.sh writes it
    host        the host id under which it was stored last
    repository  the repository in which it was stored last
"""

from __future__ import annotations

from .. import quantity

ARCHIVE = r"""#!/bin/sh
# archive.sh PATH NAME: a segment of the commit log is full.
set -eu
marks=${CASSOPS_ROOT:-}/var/lib/cassandra/.cassops
archive=$marks/archive

# A start that died while it replayed what a restore brought: these come from the store. What is only downloaded as yet
# is no copy: the newest segment went on to grow.
segments=$(cut -d ' ' -f 1 "$marks/replay" 2>/dev/null) || :
[ -z "$segments" ] || [ ! -e "$marks/restore/$segments/$2" ] || exit 0
[ ! -e "$archive/closed/$2" ] || exit 0
mkdir -p "$archive/closed"
# A store that is away for long must not fill the volume. The segment goes its way without us, and that is noted.
if [ "$(du -sk "$archive/closed" | cut -f 1)" -ge "$CASSOPS_ARCHIVE" ]; then
    touch "$archive/lost"
    exit 0
fi
ln "$1" "$archive/closed/$2"
"""

STORE = r"""set -u
root=${CASSOPS_ROOT:-}
archive=$root/var/lib/cassandra/.cassops/archive
commitlog=$root/var/lib/cassandra/commitlog
spool=$root/cassops/backup/spool/archive
# What was acknowledged may wait so many seconds until the commit log can be read up to it (commitlog_sync_period).
margin=15
trap 'exit 0' TERM INT

node() { awk -v pod="$POD_NAME" '$1 == pod && $3 != "-" { print $3; exit }' "$root/cassops/ledger/nodes" 2>/dev/null; }

# store FOLDER OPTION...: the files that $spool/names has, as one snapshot. Its host is not that of the backups: restic
# compares with the last snapshot of the same host.
store() {
    cd "$archive/$1" || return 1
    shift
    size=$(while read -r name; do stat -c %s "$name"; done <"$spool/names" | awk '{ sum += $1 } END { print sum + 0 }')
    restic_in "$CASSOPS_REPOSITORY/$host" backup --quiet --host "log-$host" --group-by host --tag kind=log \
        --tag "ledger=$(cat "$root/cassops/ledger/id")" \
        --tag "segments=$(tr '\n' '+' <"$spool/names")" --tag "size=$size" "$@" --files-from-verbatim "$spool/names"
    rc=$?
    [ "$rc" -ne 11 ] || unlock
    return "$rc"
}

# A purge that died leaves a lock that lets nobody in. restic takes one for dead whose host name is its own and whose
# process it does not find, and that may be one of a living purge, in a pod of the same name elsewhere: of a datacenter
# that was restored from this one's backup, its nodes have the same host ids. So it is asked only where the same locks
# are there for longer than it lets its own be: a living one puts another in its place every five minutes.
unlock() {
    locks=$(restic_in "$CASSOPS_REPOSITORY/$host" list locks --quiet) || return
    locks=$(echo "$locks" | sort)
    if [ -z "$locks" ]; then return; fi
    if [ "$locks" != "$(cat "$spool/locks" 2>/dev/null)" ]; then
        echo "$locks" >"$spool/locks"
    elif [ -n "$(find "$spool/locks" -mmin +35 2>/dev/null)" ]; then
        restic_in "$CASSOPS_REPOSITORY/$host" unlock --quiet
        rm -f "$spool/locks"
    fi
}

by_number() { grep '^CommitLog-.*\.log$' | sort -t - -k 3 -n; }

# The newest segments: the one that is written, the one that waits for its turn, and one that may have become full just
# now. A file without a header yet is none.
link_open() {
    rm -rf "$archive/open"
    mkdir -p "$archive/open"
    ls "$commitlog" 2>/dev/null | by_number | tail -n 3 | while read -r name; do
        [ -z "$(head -c 4 "$commitlog/$name" 2>/dev/null | tr -d '\0')" ] ||
            ln "$commitlog/$name" "$archive/open/$name" 2>/dev/null
    done
    return 0
}

store_closed() {
    while :; do
        ls "$archive/closed" | by_number | head -n 50 >"$spool/names"
        [ -s "$spool/names" ] || return 0
        store closed || return 1
        while read -r name; do rm -f "$archive/closed/$name"; done <"$spool/names"
        rm -f "$spool/seen"
    done
}

# Nothing new is not stored again, unless a restore wants to know up to when everything is in. Cassandra maps its
# segments into memory: what it writes into a page that was not synced yet, the marker that readers go by among it, does
# not change the time of the file. So one that was changed a moment ago is stored once more in the next round.
store_open() {
    ls "$archive/open" >"$spool/names"
    [ -s "$spool/names" ] || return 0
    seen=$(cd "$archive/open" && stat -c '%n %Y %s' *)
    lost=$(stat -c %Y "$archive/lost" 2>/dev/null) || lost=
    told=$(cat "$spool/seen" 2>/dev/null)
    if [ ! -e "$spool/granted" ] && [ -z "$lost" ] && [ "$seen" = "$told" ]; then return 0; fi
    store open --tag "until=$until" ${lost:+--tag "lost=$lost"} || return 1
    changed=$(echo "$seen" | awk '$2 > newest { newest = $2 } END { print newest }')
    if [ "$changed" -lt "$until" ]; then echo "$seen" >"$spool/seen"; fi
    rm -f "$spool/granted"
    if [ -n "$lost" ] && [ "$lost" = "$(stat -c %Y "$archive/lost")" ]; then rm -f "$archive/lost"; fi
}

# remember FILE VALUE: where it is stored. What is elsewhere, and the word that it was the beginning, is not here: it
# begins once more.
remember() {
    known=$(cat "$archive/$1" 2>/dev/null)
    if [ "$known" = "$2" ]; then return 0; fi
    # Empty it is where the volume was full, or the power went, while it was written.
    if [ -n "$known" ]; then touch "$archive/lost"; fi
    echo "$2" >"$archive/$1"
}

round() {
    host=$(node)
    if [ -z "$host" ] || [ ! -d "$archive/closed" ]; then return 0; fi
    mkdir -p "$spool"
    # A node that replaces another one is stored under the host id of that one until the ledger knows its own.
    remember host "$host"
    # Somebody has chosen another store.
    remember repository "$CASSOPS_REPOSITORY"
    # First of all: a wish that comes while the store is written to is for the next round, which reaches further.
    if [ -e "$spool/wanted" ]; then mv "$spool/wanted" "$spool/granted"; fi
    until=$(($(date +%s) - margin))
    # In this order: a segment that becomes full meanwhile is among the newest, or full.
    link_open && store_closed && store_open
    rm -rf "$archive/open"
}

while :; do
    round &
    wait $! || :
    [ -z "${CASSOPS_ONCE:-}" ] || exit 0
    turn=0
    while [ "$turn" -lt 12 ]; do
        sleep 5 &
        wait $!
        turn=$((turn + 1))
        [ ! -e "$spool/wanted" ] || break
    done
done
"""
"""It looks for a wish of a restore every five seconds, which costs next to nothing. `restic_in` comes before it.

`CASSOPS_ROOT` is put before every path, and `CASSOPS_ONCE` ends it after one round; the unit tests set them."""

LATE = r"""find "${CASSOPS_ROOT:-}/var/lib/cassandra/.cassops/archive/closed" -type f -mmin +10 2>/dev/null | wc -l"""
"""How many segments wait for ten minutes to be stored."""
WANT = r"""mkdir -p /cassops/backup/spool/archive && touch /cassops/backup/spool/archive/wanted"""
"""Asks for a round at once, whether something is new or not."""


def limit(storage: str) -> int:
    """KiB that segments may take on a volume while the store does not take them: a tenth of it."""
    return int(quantity.value(storage)) // 10 // quantity.KIB
