# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that run in the pods: start.sh, probe.sh, stop.sh and logback.xml. Pure: text only.

They are Python strings because modules travel to their target as Python files only. The scripts are POSIX sh and use
what the official image has: coreutils, grep, sed and awk. `CASSOPS_ROOT` is put before every path, `CASSOPS_PAUSE` is
the time between two looks at the ledger, or for clients to go elsewhere, and `CASSOPS_CQL_PORT` the port that other
nodes serve at; the unit tests set them.
"""

from __future__ import annotations

# For a Java process of a second: the second compiler and a collector with threads only cost it time.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

START = r"""#!/bin/sh
# Decides whether this node may start, writes its configuration, and becomes Cassandra.
# A node that may not start is held: it says why, touches nothing, and looks at the ledger until that allows it.
set -eu

root=${CASSOPS_ROOT:-}
pause=${CASSOPS_PAUSE:-5}
port=${CASSOPS_CQL_PORT:-9042}
volume=$root/var/lib/cassandra
marks=$volume/.cassops
config=$root/cassops/config
conf=$root/cassops/conf
held=$root/tmp/held
opened=$root/tmp/open
termination=$root/dev/termination-log

say() { echo "cassops: $*"; }

# --- the ledger -----------------------------------------------------------------------------------------------------

# All values come from a copy of one version of the ConfigMap: the mount is a link that the kubelet turns to a new
# folder, and it removes the old one at once. Who went on to read there would find nothing, and put that into the mark.
open_ledger() {
    facts=$root/tmp/ledger
    while :; do
        mounted=$(mounted_ledger)
        rm -rf "$facts"
        mkdir -p "$facts"
        cp "$mounted"/* "$facts/" 2>/dev/null || :
        [ "$mounted" != "$(mounted_ledger)" ] || return 0
    done
}

mounted_ledger() {
    newest=$(readlink -f "$root/cassops/ledger/..data" 2>/dev/null) || newest=
    if [ -n "$newest" ] && [ -d "$newest" ]; then echo "$newest"; else echo "$root/cassops/ledger"; fi
}

fact() { cat "$facts/$1" 2>/dev/null || :; }

# fact_of KEY FIELD: a field of the line that begins with this pod's name; "-" is nothing.
fact_of() {
    fact "$1" | awk -v pod="$POD_NAME" -v field="$2" '$1 == pod { if ($field != "-") print $field; exit }'
}

# --- the volume -----------------------------------------------------------------------------------------------------

# A node that gave up volumes has another mark than they have: none of them is taken for its own again.
own_mark() {
    given_up=$(fact_of volumes 2)
    echo "$(fact id) $CASSOPS_CLUSTER $CASSOPS_DATACENTER $CASSOPS_RACK $POD_NAME${given_up:+ $given_up}"
}

# Any file counts; empty folders are what a start that died at once leaves behind.
has_data() {
    for folder in "$volume"/* "$volume"/.[!.]*; do
        case $folder in */.cassops | */lost+found) continue ;; esac
        [ -n "$(find "$folder" -type f 2>/dev/null | head -n 1)" ] && return 0
    done
    return 1
}

# down_for [SECONDS]: for how long the node did not serve; nothing when it never did. While the whole cluster was
# stopped (from and to, in the ledger) nobody could miss anything: that does not count, with SECONDS only where the node
# had served until so long before CQL was closed for it (before the end of the last node, where that was not noted).
# The ledger has the API server's clock, and this worker's may be behind: no stop ends after now.
down_for() {
    last=$(stat -c %Y "$marks/alive" 2>/dev/null) || return 0
    fact pause | awk -v last="$last" -v now="$(date +%s)" -v late="${1:-}" -v closed="$(fact closed)" '
        closed == "" { closed = $1 }
        NF == 2 && (late == "" || last + late >= closed + 0) {
            from = $1 > last ? $1 : last
            to = $2 < now ? $2 : now
            if (to > from) last += to - from
        }
        END { print now - last }'
}

# --- the decision ---------------------------------------------------------------------------------------------------

# Sets `reason` when the node is held. Otherwise `way` is one of
#   new        first start of a datacenter that has no data: planned tokens, nothing to stream
#   bootstrap  join a datacenter that runs, and stream
#   replace    take the place of the dead node at `dead`
#   restart    go on with the data on the volume
decide() {
    reason='' way='' dead=''
    open_ledger
    phase=$(fact phase)
    # The automation says it before the mount follows the ledger, which takes up to a minute.
    if [ "$phase" = new ] && [ -e "$opened" ]; then phase=running; fi
    case $phase in
    new | running) ;;
    *)
        reason="the ledger cannot be read (its phase is '$phase'); run deploy"
        return
        ;;
    esac
    if [ "$(fact cluster) $(fact datacenter)" != "$CASSOPS_CLUSTER $CASSOPS_DATACENTER" ]; then
        reason="the ledger is that of $(fact cluster)/$(fact datacenter), and this node belongs to\
 $CASSOPS_CLUSTER/$CASSOPS_DATACENTER; put the right ledger back"
        return
    fi
    address=$(own_address)
    if [ -z "$address" ]; then
        reason="the ledger has no address for this node yet; deploy or scale writes it"
        return
    fi
    mark=$(cat "$marks/mark" 2>/dev/null) || mark=''
    if [ -n "$mark" ] && [ "$mark" != "$(own_mark)" ]; then
        reason="the volume belongs to another node: its mark is '$mark', this node is '$(own_mark)'; put the right\
 volume back, or delete this claim and its pod if its data is not needed"
    elif [ -e "$marks/restoring" ]; then
        reason="a restore ($(cat "$marks/restoring")) puts its data in place; the playbook restore lets it start when\
 every node has its own, and goes on where it was stopped when it is run again"
    elif has_data; then
        decide_with_data
    else
        decide_empty
    fi
    [ -n "$reason" ] || choose_seeds
}

own_address() {
    if [ "${CASSOPS_ADDRESS:-service}" = pod ]; then echo "$POD_IP"; else fact_of nodes 2; fi
}

decide_with_data() {
    limit=$(fact gc_grace_seconds)
    case $limit in '' | 0 | *[!0-9]*) limit=864000 ;; esac
    # What was deleted while this node was down and the others were not has gone on to age while all were stopped.
    down=$(down_for 120)
    if [ -z "$mark" ]; then
        reason="the volume holds data that no node of this datacenter wrote (it has no mark); put the right volume\
 back, or delete this claim and its pod if its data is not needed"
    elif [ "${down:-0}" -gt "$limit" ]; then
        # The moment, not the time since: a reason that changes would be told again every few seconds.
        last=$(date -u -d "@$(stat -c %Y "$marks/alive")" '+%Y-%m-%d %H:%M:%S UTC')
        reason="the node served last on $last, longer than gc_grace_seconds ($limit) ago: rows deleted meanwhile would\
 come back; replace it (playbook heal), or run the playbook start where the whole cluster was away"
    elif [ "$phase" = new ]; then
        decide_new
    elif [ -e "$marks/joined" ]; then
        way=restart
    else
        decide_half_way
    fi
}

# The node has data and has never served.
decide_half_way() {
    case $(cat "$marks/way" 2>/dev/null) in
    replace*)
        reason="its replacement died half-way, and no node may go on over partial data; replace it again\
 (playbook replace_node), which gives it an empty volume"
        ;;
    bootstrap)
        # 4.x streams all of it anew, on top of what had come; 5.0 refuses to.
        began=$(stat -c %Y "$marks/way")
        case ${CASSOPS_VERSION:-} in
        4.*) [ $(($(date +%s) - began)) -le "$limit" ] ||
            reason="it began to join on $(date -u -d "@$began" '+%Y-%m-%d %H:%M:%S UTC') and has not ended, and\
 gc_grace_seconds ($limit) are over: rows deleted since would come back with what it has; delete its volume claim\
 and its pod, and it begins anew" ;;
        esac
        way=bootstrap
        ;;
    *) way=restart ;; # It started in phase new, and the ledger runs only when all nodes had joined.
    esac
}

decide_empty() {
    if [ "$phase" = new ]; then
        decide_new
    elif [ -z "$(fact_of nodes 3)" ]; then
        way=bootstrap
    else
        decide_replacement
    fi
}

decide_new() {
    way=new
    [ -n "$(fact_of tokens 2)" ] || reason="the ledger has no tokens for this node; run deploy"
}

# Known to the others, and its data is gone: only somebody who knows why may let it in again.
decide_replacement() {
    dead=$(fact_of replace 2)
    why=''
    if [ -z "$dead" ] && [ "$(fact self_replace)" = true ]; then decide_alone; fi
    if [ -n "$dead" ]; then
        way=replace
    else
        reason="this node belongs to the datacenter (host id $(fact_of nodes 3)) but its volume is empty${why}; put the\
 volume back, or approve its replacement (playbook replace_node, or cassandra_self_replace: true)"
    fi
}

# Nobody was asked, and it may replace itself: as long as every other node serves, only its own copies are gone, and
# quorum is not lost. A node that is down too, or replaces itself just now, does not serve: then neither goes on.
decide_alone() {
    single=$(fact single_copies)
    mixed=$(fact mixed)
    silent=$(fact nodes | first_silent)
    if [ "${CASSOPS_ADDRESS:-service}" = pod ]; then
        why=". It does not replace itself: with addresses of pods it does not know its old one"
    elif [ -n "$single" ]; then
        why=". It does not replace itself: rows with a single copy were on it (keyspaces $single)"
    elif [ -n "$mixed" ]; then
        why=". It does not replace itself: an upgrade is under way ($mixed), and nothing can be streamed between the\
 two; the playbook heal tells what to do"
    elif [ -n "$silent" ]; then
        why=". It does not replace itself: $silent does not serve either"
    else
        dead=$address
    fi
}

# Of the nodes on stdin, the first known one, but for this one, that does not take connections of clients.
first_silent() {
    while read -r name at id; do
        if [ "$name" = "$POD_NAME" ] || [ "$id" = - ]; then continue; fi
        serves "$at" </dev/null || {
            echo "$name"
            return
        }
    done
}

# The image's own entry point is written for bash, so it is there.
serves() { timeout 3 bash -c ": </dev/tcp/$1/$port" 2>/dev/null; }

# Whoever has to stream must not be its own seed: a seed never streams. It learns the ring from one that lives, or ends;
# and the ledger's seeds are a few nodes, which may all be dead. So those come first that serve now (of two dozen: that
# many can be asked at once), then any others.
choose_seeds() {
    seeds=$(fact seeds | tr -d ' \n')
    case $way in
    bootstrap | replace)
        named=$({ echo "$seeds" | tr ',' '\n'; known_nodes; } | others)
        seeds=$({ echo "$named" | head -n 24 | serving; echo "$named"; } | first_three)
        ;;
    esac
    if [ -z "$seeds" ]; then reason="the ledger names no other node that this one could learn the ring from"; fi
}

# Addresses of the nodes that have joined, one a line: the first of each rack, then the second of each, and so on, since
# racks die as a whole. Where this datacenter's seeds are names of pods (their addresses change), so are these.
known_nodes() {
    named_by=".$CASSOPS_CLUSTER-$CASSOPS_DATACENTER-nodes"
    domain=$(echo "$seeds" | tr ',' '\n' | sed -n "s/^[^.]*\($named_by\)/\1/p" | head -n 1)
    fact nodes | awk -v domain="$domain" '
        { at = domain == "" ? $2 : $1 domain; number = $1; sub(/.*-/, "", number) }
        at != "-" && $3 != "-" { print number, at }' | sort -s -n -k 1,1 | cut -d ' ' -f 2
}

# Of the addresses on stdin, one a line, those that are not this node's.
others() {
    awk -v own="$address" -v dead="$dead" -v pod="$POD_NAME." '
        $1 != "" && $1 != own && $1 != dead && index($1, pod) != 1 && !seen[$1]++ { print $1 }'
}

# Of the addresses on stdin, one a line, those that take connections of clients, in that order. All are asked at the
# same time: one whose worker is silent takes seconds to be given up.
serving() {
    awk '$1 != "" { print NR, $1 }' | {
        while read -r number at; do
            if serves "$at" </dev/null; then echo "$number $at"; fi &
        done
        wait
    } | sort -n | cut -d ' ' -f 2
}

# Of the addresses on stdin, one a line, the first three; joined with commas.
first_three() {
    awk '
        $1 != "" && !seen[$1]++ && ++count <= 3 { list = list separator $1; separator = "," }
        END { print list }'
}

# --- the start ------------------------------------------------------------------------------------------------------

# Written before Cassandra runs: data without a mark would be nobody's.
mark_volume() {
    [ "$way" != restart ] || return 0
    # It goes on with a join: when that began is told by the file.
    [ "$way" != bootstrap ] || ! has_data || return 0
    mkdir -p "$marks"
    if ! has_data; then rm -f "$marks/joined" "$marks/alive" "$marks/missed"; fi
    echo "$way $dead" | sed 's/ $//' >"$marks/way.new"
    mv "$marks/way.new" "$marks/way"
    own_mark >"$marks/mark.new"
    mv "$marks/mark.new" "$marks/mark"
}

# For how long it missed writes since its ranges were last repaired; heal compares that with the time for which others
# keep hints, repairs where needed, and takes the note away. Times add up: others stop keeping hints when the oldest one
# is older than that (since 4.1, hint_window_persistent_enabled), and it may not have got them in between.
note_downtime() {
    case $way in
    replace) missed=unknown ;;
    restart) missed=$(down_for) ;;
    *) return 0 ;;
    esac
    noted=$(cat "$marks/missed" 2>/dev/null) || noted=0
    # Power was lost before it was on the disk.
    [ -n "$noted" ] || noted=unknown
    case $missed,$noted in
    ,* | *,unknown) return 0 ;;
    unknown,*) ;;
    # Its clock was set back since it served last: what it missed is more than that, and nobody knows how much.
    -*) missed=unknown ;;
    *)
        # A start that dies before it serves is the same time once more, and longer.
        since=$(stat -c %Y "$marks/alive")
        read -r counted before 2>/dev/null <"$marks/missing" || counted=''
        [ "$counted" = "$since" ] && [ "${noted:-0}" -gt 0 ] || before=${noted:-0}
        echo "$since $before" >"$marks/missing"
        missed=$((before + missed))
        ;;
    esac
    echo "$missed" >"$marks/missed.new"
    mv "$marks/missed.new" "$marks/missed"
}

image_conf() {
    for folder in "$root/etc/cassandra" "${CASSANDRA_HOME:-$root/opt/cassandra}/conf"; do
        if [ -d "$folder" ]; then
            echo "$folder"
            return
        fi
    done
}

write_configuration() {
    from=$(image_conf)
    if [ -n "$from" ]; then cp -Rf "$from/." "$conf/"; fi
    # The snitch would take racks from this file for nodes that it does not know yet.
    rm -f "$conf/cassandra-topology.properties"
    cat "$config/logback.xml" >"$conf/logback.xml"
    printf 'dc=%s\nrack=%s\n' "$CASSOPS_DATACENTER" "$CASSOPS_RACK" >"$conf/cassandra-rackdc.properties"
    { cat "$config/cassandra.yaml" && node_keys; } >"$conf/cassandra.yaml"
    archiving >"$conf/commitlog_archiving.properties"
}

# Where a point in time can be restored, segments of the commit log that are full stay until the container backup has
# stored them. A restore says which ones are replayed at its start, and up to when; the probe takes that away.
archiving() {
    archive=$marks/archive
    if [ -n "${CASSOPS_ARCHIVE:-}" ]; then
        # What was written before is in no archive.
        if [ ! -d "$archive/closed" ] || [ -e "$archive/off" ]; then
            mkdir -p "$archive/closed"
            touch "$archive/lost"
            rm -f "$archive/off"
        fi
        echo "archive_command=/bin/sh /cassops/config/archive.sh %path %name"
    else
        [ ! -d "$archive" ] || touch "$archive/off"
        # 5.0 does not start with a file that has nothing in it (CommitLogArchiver.getArchiverFromProperties).
        echo "archive_command="
    fi
    [ -e "$marks/replay" ] || return 0
    read -r segments moment <"$marks/replay"
    # A link is there as a whole or not at all, so a start that dies in the middle is simply done again.
    echo "restore_command=/bin/ln %from %to"
    echo "restore_directories=$marks/restore/$segments"
    echo "restore_point_in_time=$moment"
    echo "precision=MICROSECONDS"
}

# The keys of cassandra.yaml that are this node's own.
node_keys() {
    any=0.0.0.0 loopback=127.0.0.1
    case $POD_IP in *:*) any=:: loopback=::1 ;; esac
    echo "listen_address: \"$POD_IP\""
    echo "broadcast_address: \"$address\""
    echo "broadcast_rpc_address: \"$address\""
    echo "seed_provider: [{\"class_name\": \"org.apache.cassandra.locator.SimpleSeedProvider\",\
 \"parameters\": [{\"seeds\": \"$seeds\"}]}]"
    if [ "$way" = new ]; then
        echo "initial_token: \"$(fact_of tokens 2)\""
        echo "auto_bootstrap: false"
    else
        echo "auto_bootstrap: true"
    fi
    # Who joins chooses tokens that suit so many replicas, unless the user said for how many.
    if [ "$way" = bootstrap ] && ! grep -q '^allocate_tokens_for' "$config/cassandra.yaml"; then
        replicas=$(fact replicas)
        echo "allocate_tokens_for_local_replication_factor: ${replicas:-3}"
    fi
    # Until the superuser stands nobody may log in with Cassandra's well-known password: the doorkeeper listens
    # where only the API server's port-forward gets in, and the others not at all.
    if [ "$phase" != new ]; then
        echo "start_native_transport: true"
        echo "rpc_address: \"$any\""
    elif is_doorkeeper; then
        echo "start_native_transport: true"
        echo "rpc_address: \"$loopback\""
    else
        echo "start_native_transport: false"
        echo "rpc_address: \"$any\""
    fi
}

is_doorkeeper() { [ "$phase" = new ] && [ "$(fact first)" = "$POD_NAME" ]; }

# Logins are replicated from their first row on, so no repair is needed later (4.0 does not know the option).
auth_replicas() { fact tokens | awk 'NF { count++ } END { print (count < 3 ? count : 3) }'; }

# The user's options come last, because the JVM takes the last of two.
jvm_options() {
    case $way in
    # Nothing is there to wait for: no other roles, no older gossip. A delay of 0 would spin while others join.
    new)
        echo "-Dcassandra.superuser_setup_delay_ms=1000 -Dcassandra.skip_wait_for_gossip_to_settle=0\
 -Dcassandra.system_auth.default_rf=$(auth_replicas)"
        ;;
    replace) echo "-Dcassandra.replace_address_first_boot=$dead" ;;
    # 4.x goes on with a join that died half way, and leaves out the ranges that it has: what was written to those
    # meanwhile it would never get. 5.0 refuses to, and scale gives it an empty volume.
    bootstrap) case ${CASSOPS_VERSION:-} in 4.*) echo "-Dcassandra.reset_bootstrap_progress=true" ;; esac ;;
    esac
    # The image's jvm-server.options turn IPv6 off.
    case $POD_IP in *:*) echo "-Djava.net.preferIPv4Stack=false" ;; esac
    # The doorkeeper's first process lives for a minute: no code is worth compiling well for it, and the others need not
    # hear that it went.
    is_doorkeeper || return 0
    echo "-XX:TieredStopAtLevel=1 -Dcassandra.shutdown_announce_in_ms=0"
    # Where all passwords that it hashes are random, none is worth hashing dearly.
    rounds=$(fact hash_rounds)
    [ -z "$rounds" ] || echo "-Dcassandra.auth_bcrypt_gensalt_log2_rounds=$rounds"
}

start() {
    mark_volume
    note_downtime
    write_configuration
    CASSANDRA_CONF=$conf
    export CASSANDRA_CONF
    say "$way${dead:+ $dead}: $POD_NAME in phase $phase at $address, seeds $seeds"
    own_options=$(jvm_options | tr '\n' ' ')
    if is_doorkeeper; then
        keep_the_door
    else
        JVM_EXTRA_OPTS="$own_options${JVM_EXTRA_OPTS:-}" exec cassandra -f
    fi
}

# Cassandra cannot turn from loopback to an open address while it runs. It starts again, in the same pod, as soon as the
# automation says (by a file) that the superuser stands.
keep_the_door() {
    JVM_EXTRA_OPTS="$own_options${JVM_EXTRA_OPTS:-}" cassandra -f &
    child=$!
    while kill -0 "$child" 2>/dev/null; do
        if [ -e "$opened" ]; then kill "$child" && break; fi
        sleep 0.5
    done &
    status=0
    wait "$child" || status=$?
    child=''
    if [ ! -e "$opened" ]; then exit "$status"; fi
    say "the superuser stands"
    run
}

# --- held -----------------------------------------------------------------------------------------------------------

# As process 1 the shell would not end on TERM without a trap, and a trap waits for what runs in the foreground.
sleeper='' child=''
stop() {
    [ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null || :
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null || :
        wait "$child" || :
    fi
    exit 0
}
trap stop TERM INT

hold() {
    if [ "$reason" != "$(cat "$held" 2>/dev/null)" ]; then
        say "held: $reason"
        echo "$reason" >"$held"
        { echo "held: $reason" >"$termination"; } 2>/dev/null || :
    fi
    # Silent: a signal that comes before its number is known leaves it behind, and it must not keep the log open.
    sleep "$pause" >/dev/null 2>&1 &
    sleeper=$!
    wait "$sleeper" || :
}

release() {
    [ -e "$held" ] || return 0
    say "not held any more"
    rm -f "$held"
    { : >"$termination"; } 2>/dev/null || :
}

# Another line's files cannot be read again by this one: that is an upgrade, with checks and snapshots before it. Within
# a line nothing is lost, and a node that stays away would be worse. An image without these files is taken at its word.
refuse_image() {
    for jar in "${CASSANDRA_HOME:-$root/opt/cassandra}"/lib/apache-cassandra-[0-9]*.jar; do
        has=${jar##*/apache-cassandra-}
        case ${has%.jar} in
        '[0-9]*' | "${CASSOPS_VERSION%.*}".*) ;;
        *)
            say "the image has Cassandra ${has%.jar}, and cassandra_version says $CASSOPS_VERSION: nothing was started.\
 Correct cassandra_image or cassandra_version, and run deploy; another version comes by the playbook upgrade"
            exit 1
            ;;
        esac
    done
}

run() {
    [ -z "${CASSOPS_VERSION:-}" ] || refuse_image
    decide
    while [ -n "$reason" ]; do
        hold
        decide
    done
    release
    start
}

rm -f "$held"
run
"""
"""Decides who may start (DESIGN, decision 4). Reads the ledger in /cassops/ledger and the marks on the volume."""

PROBE = r"""#!/bin/sh
# Ready means: CQL is open to other pods. It costs no JVM: the kernel's list of sockets tells.
set -u

root=${CASSOPS_ROOT:-}
marks=$root/var/lib/cassandra/.cassops

if [ -e "$root/tmp/held" ]; then
    echo "held: $(cat "$root/tmp/held")"
    exit 1
fi

# A listening socket (state 0A) on port 9042 (hexadecimal 2352) that is bound to more than loopback: 127.0.0.1 as IPv4
# or inside of IPv6, or ::1. Addresses are words of four bytes, the lowest byte first.
cat "$root/proc/net/tcp" "$root/proc/net/tcp6" 2>/dev/null | awk '
    $4 == "0A" && split($2, socket, ":") == 2 && socket[2] == "2352" {
        loopback = socket[1] ~ /^(0000000000000000FFFF0000)?[0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F][0-9A-F]7F$/ ||
            socket[1] == "00000000000000000000000001000000"
        if (!loopback) open = 1
    }
    END { exit !open }' || {
    echo "CQL is not open to other pods"
    exit 1
}

# The start script reads these: when the node last served, and that it ever did.
[ -e "$marks/mark" ] || exit 0
touch "$marks/alive"
[ -e "$marks/joined" ] || touch "$marks/joined"
# CQL is open when the commit log was replayed: no later start does that again.
rm -f "$marks/replay"
"""
"""Readiness, and the node's signs of life on its volume."""

STOP = rf"""#!/bin/sh
# Before a pod ends, whoever ends it: CQL is closed first and clients go elsewhere, while the node still answers the
# other nodes. Then it gets TERM, and Cassandra drains by itself.
set -u

root=${{CASSOPS_ROOT:-}}
config=$root/cassops/config

# Whether process 1 has a handler for TERM (bit 15 of the mask): without one the kernel lets that signal pass it by.
takes_term() {{
    case $(sed -n 's/^SigCgt:.*\(.\)...$/\1/p' "$root/proc/1/status" 2>/dev/null) in
    [0-389abAB]) return 1 ;;
    esac
}}

# Cassandra's launcher is a shell without one, so TERM would be lost in the first seconds of a start, and the node would
# go on until the pod's grace is over. Seen twice, since the start script, which has one, becomes the launcher.
wait_for_java() {{
    seen=0 looks=60
    while [ "$looks" -gt 0 ]; do
        looks=$((looks - 1))
        if takes_term; then seen=$((seen + 1)); else seen=0; fi
        [ "$seen" -lt 2 ] || return 0
        sleep "${{CASSOPS_PAUSE:-1}}"
    done
}}

# Cassandra does not run in one that is held, and the start script takes TERM.
[ ! -e "$root/tmp/held" ] || exit 0
# No client is on a node that is not ready, and nodetool would only wait for one that does not run.
sh "$config/probe.sh" >/dev/null || {{
    wait_for_java
    exit 0
}}
JVM_OPTS="${{JVM_OPTS:-}} {SHORT_LIVED}" timeout 60 nodetool disablebinary || exit
sleep "${{CASSOPS_PAUSE:-1}}"
"""
"""The pods' preStop hook: the kubelet sends TERM when it has ended, and tells of a failure as an event of the pod."""

LOGBACK = """<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder>
      <pattern>%-5level [%thread] %date{ISO8601} %F:%L - %msg%n</pattern>
    </encoder>
  </appender>
  <root level="INFO">
    <appender-ref ref="STDOUT" />
  </root>
</configuration>
"""
"""Everything goes to the pod's log, where Kubernetes keeps and rotates it; the root file system is read-only."""
