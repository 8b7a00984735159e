# shellcheck shell=sh
# Kafka 4 logs with log4j 2.

# logging_flag FILE  How a JVM is told its file.
logging_flag() {
    echo "-Dlog4j2.configurationFile=file:$1"
}

# logging_lines LEVEL LOGGER=LEVEL,…  What changes its file, at the end: of two lines for one logger, the later one counts.
logging_lines() {
    [ -z "$1" ] || echo "rootLogger=$1, stdout"
    [ -z "$2" ] || echo "$2" | tr , '\n' | awk -F= '{ print "logger." NR ".name=" $1; print "logger." NR ".level=" $2 }'
}
