# The environment's KAFKA_* as Java properties, by the rules of the cp-kafka images:
# a single underscore is a dot, two are an underscore, three are a dash.

BEGIN {
    split("VERSION OPTS HEAP_OPTS JVM_PERFORMANCE_OPTS GC_LOG_OPTS JMX_OPTS JMX_PORT JMX_HOSTNAME " \
          "LOG4J_OPTS LOG4J_ROOT_LOGLEVEL LOG4J_LOGGERS TOOLS_LOG4J_LOGLEVEL DATA_DIRS CUB_ZK_TIMEOUT", names, " ")
    for (i in names)
        not_properties["KAFKA_" names[i]]

    escapes["\\"] = "\\\\"
    escapes["\n"] = "\\n"
    escapes["\r"] = "\\r"
    escapes["\t"] = "\\t"
    escapes["\f"] = "\\f"

    for (name in ENVIRON)
        if (name ~ /^KAFKA_./ && !(name in not_properties))
            print key(substr(name, 7)) "=" escaped(ENVIRON[name])
}

function key(name,    result, run) {
    if (name == "ZOOKEEPER_CLIENT_CNXN_SOCKET")
        return "zookeeper.clientCnxnSocket"
    name = tolower(name)
    while (match(name, /_+/)) {
        result = result substr(name, 1, RSTART - 1)
        run = RLENGTH
        if (run == 1 && RSTART > 1 && RSTART < length(name)) {
            result = result "."
            run = 0
        }
        for (; run >= 3; run -= 3)
            result = result "-"
        if (run > 0)
            result = result "_"
        name = substr(name, RSTART + RLENGTH)
    }
    return result name
}

function escaped(value,    result, i, char) {
    for (i = 1; i <= length(value); i++) {
        char = substr(value, i, 1)
        result = result (char in escapes ? escapes[char] : char)
    }
    # A property's value starts at its first character that is not a blank.
    return (result ~ /^ / ? "\\" : "") result
}
