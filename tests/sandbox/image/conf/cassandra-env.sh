# shellcheck shell=sh disable=SC2034
# Read by bin/cassandra: turns MAX_HEAP_SIZE, HEAP_NEWSIZE, LOCAL_JMX, CASSANDRA_LOG_DIR and JVM_EXTRA_OPTS into JVM options.
: "${CASSANDRA_LOG_DIR:=$CASSANDRA_HOME/logs}"

case $JVM_OPTS in
    *-Xlog:gc*) ;;
    *)
        mkdir -p "$CASSANDRA_LOG_DIR"
        JVM_OPTS="$JVM_OPTS -Xlog:gc=info,heap*=trace,age*=debug,safepoint=info:file=$CASSANDRA_LOG_DIR/gc.log:time,uptime,pid,tid,level:filecount=10,filesize=10485760"
        ;;
esac

cms='' g1=''
case $JVM_OPTS in *UseConcMarkSweepGC*) cms=yes ;; esac
case $JVM_OPTS in *+UseG1GC*) g1=yes ;; esac

if [ -z "$MAX_HEAP_SIZE" ] && { [ -z "$HEAP_NEWSIZE" ] || [ -n "$g1" ]; }; then
    # Half of the memory up to 1 GB, or a quarter of it up to 8 GB: whichever is more. The machine's memory, not the pod's.
    memory=$(free -m | awk '/^Mem:/ {print $2}')
    half=$((memory / 2)) quarter=$((memory / 4))
    [ "$half" -le 1024 ] || half=1024
    [ "$quarter" -le 8192 ] || quarter=8192
    [ "$half" -le "$quarter" ] || quarter=$half
    MAX_HEAP_SIZE=${quarter}M
    HEAP_NEWSIZE=$((quarter / 4))M
elif [ -z "$MAX_HEAP_SIZE" ] || { [ -z "$HEAP_NEWSIZE" ] && [ -z "$g1" ]; }; then
    echo "please set or unset MAX_HEAP_SIZE and HEAP_NEWSIZE in pairs when using CMS GC (see cassandra-env.sh)"
    exit 1
fi
: "${MALLOC_ARENA_MAX:=4}"
export MALLOC_ARENA_MAX

case $JVM_OPTS in *-Xmx*) ;; *) JVM_OPTS="$JVM_OPTS -Xms$MAX_HEAP_SIZE -Xmx$MAX_HEAP_SIZE" ;; esac
case $JVM_OPTS in *-Xmn*) ;; *) [ -z "$cms" ] || JVM_OPTS="$JVM_OPTS -Xmn$HEAP_NEWSIZE" ;; esac

[ -z "$CASSANDRA_HEAPDUMP_DIR" ] || JVM_OPTS="$JVM_OPTS -XX:HeapDumpPath=$CASSANDRA_HEAPDUMP_DIR/cassandra-$(date +%s)-pid$$.hprof"
JVM_ON_OUT_OF_MEMORY_ERROR_OPT='-XX:OnOutOfMemoryError=kill -9 %p'

# JMX: without a password on the pod's own loopback, or with one for everybody.
JMX_PORT=7199
if [ "${LOCAL_JMX:=yes}" = yes ]; then
    JVM_OPTS="$JVM_OPTS -Dcassandra.jmx.local.port=$JMX_PORT -Dcom.sun.management.jmxremote.authenticate=false"
else
    JVM_OPTS="$JVM_OPTS -Dcassandra.jmx.remote.port=$JMX_PORT -Dcom.sun.management.jmxremote.rmi.port=$JMX_PORT -Dcom.sun.management.jmxremote.authenticate=true"
fi
JVM_OPTS="$JVM_OPTS -Dcom.sun.management.jmxremote.password.file=/etc/cassandra/jmxremote.password"

JVM_OPTS="$JVM_OPTS $JVM_EXTRA_OPTS"
