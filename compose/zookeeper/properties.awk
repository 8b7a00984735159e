# The environment's ZOOKEEPER_* as ZooKeeper's properties: the list of the cp-zookeeper images, which is closed,
# less its TLS settings. Whatever else ZooKeeper can do goes through KAFKA_OPTS=-Dzookeeper.…

BEGIN {
    # Most names are the property's own, in capitals with underscores.
    n = split("CLIENT_PORT CLIENT_PORT_ADDRESS CLIENT_CNXN_SOCKET CNX_TIMEOUT ELECTION_ALG FORCE_SYNC " \
              "GLOBAL_OUTSTANDING_LIMIT INIT_LIMIT LEADER_SERVES MAX_CLIENT_CNXNS MAX_SESSION_TIMEOUT " \
              "MIN_SESSION_TIMEOUT PRE_ALLOC_SIZE SERVER_CNXN_FACTORY SERVER_CNXN_SOCKET SNAP_COUNT " \
              "SYNC_ENABLED SYNC_LIMIT TCP_KEEP_ALIVE TICK_TIME TRACE_FILE", names, " ")
    for (i = 1; i <= n; i++)
        keys["ZOOKEEPER_" names[i]] = camel_case(names[i])
    keys["ZOOKEEPER_ADMIN_COMMAND_URL"] = "admin.commandURL"
    keys["ZOOKEEPER_ADMIN_ENABLE_SERVER"] = "admin.enableServer"
    keys["ZOOKEEPER_ADMIN_IDLE_TIMEOUT"] = "admin.idleTimeout"
    keys["ZOOKEEPER_ADMIN_SERVER_ADDRESS"] = "admin.serverAddress"
    keys["ZOOKEEPER_ADMIN_SERVER_PORT"] = "admin.serverPort"
    keys["ZOOKEEPER_AUTH_PROVIDER_SASL"] = "authProvider.sasl"
    keys["ZOOKEEPER_AUTOPURGE_PURGE_INTERVAL"] = "autopurge.purgeInterval"
    keys["ZOOKEEPER_AUTOPURGE_SNAP_RETAIN_COUNT"] = "autopurge.snapRetainCount"
    keys["ZOOKEEPER_FSYNC_WARNING_THRESHOLDMS"] = "fsync.warningthresholdms"
    keys["ZOOKEEPER_QUORUM_LISTEN_ON_ALL_IPS"] = "quorumListenOnAllIPs"
    keys["ZOOKEEPER_SKIP_ACL"] = "skipACL"

    # These are read elsewhere in this image, or are lists.
    n = split("SERVER_ID SERVERS GROUPS WEIGHTS LOG4J_ROOT_LOGLEVEL LOG4J_LOGGERS", names, " ")
    for (i = 1; i <= n; i++)
        elsewhere["ZOOKEEPER_" names[i]]

    print "dataDir=/var/lib/zookeeper/data"
    print "dataLogDir=/var/lib/zookeeper/log"
    for (name in ENVIRON)
        if (name in keys)
            print keys[name] "=" ENVIRON[name]
        else if (name ~ /^ZOOKEEPER_/ && !(name in elsewhere))
            print name " is not a setting of this image: ignored." | "cat >&2"

    list("server", ENVIRON["ZOOKEEPER_SERVERS"])
    list("group", ENVIRON["ZOOKEEPER_GROUPS"])
    list("weight", ENVIRON["ZOOKEEPER_WEIGHTS"])
}

function camel_case(name,    words, result, i, n) {
    n = split(tolower(name), words, "_")
    result = words[1]
    for (i = 2; i <= n; i++)
        result = result toupper(substr(words[i], 1, 1)) substr(words[i], 2)
    return result
}

# A place in the list is an id, so the lists of all servers must have the same order.
function list(key, value,    items, i, n) {
    n = split(value, items, ";")
    for (i = 1; i <= n; i++)
        if (items[i] != "")
            print key "." i "=" items[i]
}
