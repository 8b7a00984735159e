# shellcheck shell=sh
# Sourced by the entrypoints: how the environment becomes a JVM.
. /opt/kafka/bin/logging.sh

die() {
    echo "$*" >&2
    exit 1
}

require() {
    for name in "$@"; do
        [ -n "$(printenv "$name")" ] || die "$name is required."
    done
}

require_writable() {
    for folder in "$@"; do
        [ -w "$folder" ] || die "$folder is not writable by uid $(id -u)."
    done
}

# write_logging LEVEL LOGGER=LEVEL,…
write_logging() {
    cat /opt/kafka/etc/log4j.properties
    logging_lines "$1" "$2"
}

# run_java ARCHIVE JMX_RULES CLASS ARGUMENT…
# Word splitting is what these variables are for; globbing is not.
# shellcheck disable=SC2086
run_java() {
    archive=$1 rules=$2
    shift 2
    if [ -n "${KAFKA_JMX_PORT-}" ]; then
        # One port for the registry and its objects, or nobody outside the container gets past the registry.
        KAFKA_JMX_OPTS="${KAFKA_JMX_OPTS:-"
            -Dcom.sun.management.jmxremote=true
            -Dcom.sun.management.jmxremote.authenticate=false
            -Dcom.sun.management.jmxremote.ssl=false"}
            -Djava.rmi.server.hostname=${KAFKA_JMX_HOSTNAME:-$(hostname -i | cut -d' ' -f1)}
            -Dcom.sun.management.jmxremote.local.only=false
            -Dcom.sun.management.jmxremote.port=$KAFKA_JMX_PORT
            -Dcom.sun.management.jmxremote.rmi.port=$KAFKA_JMX_PORT"
    fi

    # A variable that cp-kafka does not know, so that it means nothing there.
    [ -z "${JMX_EXPORTER_PORT-}" ] || set -- WithMetrics "$JMX_EXPORTER_PORT:$rules" "$@"

    # There is none yet while it is being made.
    [ ! -f "$archive" ] || set -- "-XX:SharedArchiveFile=$archive" "$@"

    # The defaults suit several small JVMs that start together on few processors.
    set -f
    exec java \
        $KAFKA_HEAP_OPTS \
        ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC} \
        ${KAFKA_GC_LOG_OPTS-} \
        ${KAFKA_JMX_OPTS-} \
        ${KAFKA_LOG4J_OPTS:-$(logging_flag /etc/kafka/log4j.properties)} \
        -cp "$(/opt/kafka/bin/classpath)" \
        ${KAFKA_OPTS-} \
        "$@"
}
