#!/usr/bin/env bash
# Entrypoint with the official image's contract: options mean `cassandra -f`, root steps down to the user cassandra,
# CASSANDRA_* variables are written into the configuration, anything else is run as it is.
set -eu

if [ $# -eq 0 ] || [ "${1#-}" != "$1" ]; then
    set -- cassandra -f "$@"
fi

if [ "$1" = cassandra ] && [ "$(id -u)" = 0 ]; then
    find "$CASSANDRA_CONF" /var/lib/cassandra /var/log/cassandra ! -user cassandra -exec chown cassandra {} +
    exec setpriv --reuid=cassandra --regid=cassandra --init-groups "$0" "$@"
fi

own_address() {
    hostname --all-ip-addresses | cut -d' ' -f1
}

# Rewrites the file in place: it may be a mount of its own.
edit() {
    local file=$1 changed
    shift
    changed=$(sed "$@" "$file")
    printf '%s\n' "$changed" > "$file"
}

if [ "$1" = cassandra ]; then
    : "${CASSANDRA_RPC_ADDRESS=0.0.0.0}" "${CASSANDRA_LISTEN_ADDRESS=auto}"
    [ "$CASSANDRA_LISTEN_ADDRESS" != auto ] || CASSANDRA_LISTEN_ADDRESS=$(own_address)
    : "${CASSANDRA_BROADCAST_ADDRESS=$CASSANDRA_LISTEN_ADDRESS}"
    [ "$CASSANDRA_BROADCAST_ADDRESS" != auto ] || CASSANDRA_BROADCAST_ADDRESS=$(own_address)
    : "${CASSANDRA_BROADCAST_RPC_ADDRESS:=$CASSANDRA_BROADCAST_ADDRESS}"
    : "${CASSANDRA_SEEDS:=$CASSANDRA_BROADCAST_ADDRESS}"
    edit "$CASSANDRA_CONF/cassandra.yaml" -E "s/(- seeds:).*/\1 \"$CASSANDRA_SEEDS\"/"
    for key in broadcast_address broadcast_rpc_address cluster_name endpoint_snitch listen_address num_tokens rpc_address; do
        variable=CASSANDRA_${key^^}
        [ -z "${!variable:-}" ] || edit "$CASSANDRA_CONF/cassandra.yaml" -E "s/^(# )?($key:).*/\2 ${!variable}/"
    done
    for key in dc rack; do
        variable=CASSANDRA_${key^^}
        [ -z "${!variable:-}" ] || edit "$CASSANDRA_CONF/cassandra-rackdc.properties" -E "s/^($key=).*/\1${!variable}/"
    done
fi

exec "$@"
