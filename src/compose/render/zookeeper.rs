//! ZooKeeper servers.

use super::images::References;
use super::{environment, fixed, healthcheck, heap, jmx_exporter, performance, port, volume};
use crate::compose::model::Service;
use crate::settings::Settings;
use crate::topology::{Topology, ZooKeeper};

/// A ZooKeeper server.
pub(super) fn server(settings: &Settings, topology: &Topology, server: &ZooKeeper, images: &References) -> Service {
    let servers: Vec<String> = topology
        .zookeepers
        .iter()
        .map(|z| format!("{}:{}:{}", z.service, z.peer_ports.0, z.peer_ports.1))
        .collect();
    let mut environment = environment([
        ("ZOOKEEPER_SERVER_ID", server.id.to_string()),
        ("ZOOKEEPER_CLIENT_PORT", server.client_port.to_string()),
        ("ZOOKEEPER_TICK_TIME", "2000".into()),
        ("ZOOKEEPER_INIT_LIMIT", "5".into()),
        ("ZOOKEEPER_SYNC_LIMIT", "2".into()),
        ("KAFKA_HEAP_OPTS", heap(&settings.zookeeper.heap)),
    ]);
    environment.extend(performance(settings.zookeeper.jvm));
    // A list of one would be a quorum of one that waits for nobody, and says so at each start.
    if topology.zookeepers.len() > 1 {
        environment.insert("ZOOKEEPER_SERVERS".into(), servers.join(";"));
    }
    let mut system_properties = Vec::new();
    for (name, value) in &settings.zookeeper.properties {
        match variable(name) {
            Some(variable) => {
                environment.insert(variable, value.clone());
            }
            // ZooKeeper itself turns a key of zoo.cfg that it does not know into this system property.
            None => system_properties.push(format!("-Dzookeeper.{name}={value}")),
        }
    }
    if !system_properties.is_empty() {
        environment.insert("KAFKA_OPTS".into(), system_properties.join(" "));
    }
    environment.extend(jmx_exporter(topology, &images.zookeeper));
    let data = |what: &str| {
        volume(
            &format!("{}-{what}", server.service),
            &format!("/var/lib/zookeeper/{what}"),
        )
    };
    Service {
        hostname: Some(server.service.clone()),
        environment,
        ports: vec![port(topology, server.client_port, server.published.port())],
        networks: fixed(server.address.to_string()),
        volumes: vec![data("data"), data("log")],
        healthcheck: Some(healthcheck(probe(server.client_port))),
        ..super::base(&images.zookeeper, &settings.zookeeper.memory)
    }
}

/// The variable by which cp-zookeeper images take a key of zoo.cfg, for the keys they know: their list is closed.
fn variable(key: &str) -> Option<String> {
    const KNOWN: [&str; 20] = [
        "admin.enableServer",
        "admin.serverPort",
        "autopurge.purgeInterval",
        "autopurge.snapRetainCount",
        "clientPortAddress",
        "cnxTimeout",
        "electionAlg",
        "forceSync",
        "globalOutstandingLimit",
        "initLimit",
        "leaderServes",
        "maxClientCnxns",
        "maxSessionTimeout",
        "minSessionTimeout",
        "preAllocSize",
        "snapCount",
        "syncEnabled",
        "syncLimit",
        "tcpKeepAlive",
        "tickTime",
    ];
    KNOWN.contains(&key).then(|| {
        let mut name = String::from("ZOOKEEPER_");
        for c in key.chars() {
            match c {
                '.' => name.push('_'),
                c if c.is_ascii_uppercase() => {
                    name.push('_');
                    name.push(c);
                }
                c => name.push(c.to_ascii_uppercase()),
            }
        }
        name
    })
}

/// ZooKeeper answers `srvr` with its mode once it takes part in a quorum.
fn probe(port: u16) -> String {
    format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && printf srvr >&3 && \
         timeout 2 grep -Eq '^Mode: (leader|follower|standalone)' <&3"
    )
}
