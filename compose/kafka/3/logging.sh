# shellcheck shell=sh
# Kafka 3 logs with reload4j.

# logging_flag FILE  How a JVM is told its file.
logging_flag() {
    echo "-Dlog4j.configuration=file:$1"
}

# logging_lines LEVEL LOGGER=LEVEL,…  What changes its file, at the end: of two lines for one logger, the later one counts.
logging_lines() {
    [ -z "$1" ] || echo "log4j.rootLogger=$1, stdout"
    [ -z "$2" ] || echo "$2" | tr , '\n' | sed 's/^/log4j.logger./'
}
