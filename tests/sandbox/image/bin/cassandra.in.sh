# shellcheck shell=sh disable=SC2034
# Read by every launcher: class path, Java and the JVM options of the configuration folder.
: "${CASSANDRA_HOME:=/opt/cassandra}"
: "${CASSANDRA_CONF:=$CASSANDRA_HOME/conf}"
CLASSPATH="$CASSANDRA_CONF:$CASSANDRA_HOME/lib/*${EXTRA_CLASSPATH:+:$EXTRA_CLASSPATH}"
cassandra_storagedir="$CASSANDRA_HOME/data"
JAVA="${JAVA_HOME:+$JAVA_HOME/bin/}java"
JAVA_VERSION=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$JAVA_HOME/release")
JVM_ARCH=64-Bit
JVM_VENDOR=OpenJDK
for jar in "$CASSANDRA_HOME"/lib/jamm-*.jar; do
    JAVA_AGENT="${JAVA_AGENT:-} -javaagent:$jar"
done
# `-server` for the daemon, `-clients` for the tools; a file that the configuration folder lacks is passed over.
for file in "jvm${jvmoptions_variant:=-clients}.options" "jvm$JAVA_VERSION$jvmoptions_variant.options"; do
    [ ! -r "$CASSANDRA_CONF/$file" ] || JVM_OPTS="${JVM_OPTS:-} $(grep '^-' "$CASSANDRA_CONF/$file" | tr '\n' ' ')"
done
