//! Fills the Compose model from settings and topology.
//!
//! Services are made kind by kind: ZooKeeper servers, brokers, the workload, in `monitoring` who watches them, and in `ui`
//! the pages that others made.
//! Environment follows the contract of the cp-kafka and cp-zookeeper images, which khd's own recipes follow as well.

pub mod monitoring;
mod ui;

use indexmap::IndexMap;

use crate::compose::model::{
    Attachment, ComposeFile, Config, ConfigMount, Dependency, Healthcheck, Ipam, IpamPool, Mount, Network, Port,
    Service, Volume,
};
use crate::settings::{Commit, EachImage, ImageSet, Images, Jvm, Properties, Settings};
use crate::topology::{
    Broker, CLIENT_METRICS_PORT, CONSUMER, DISKS, HOST_LISTENER_PORT, JMX_EXPORTER_PORT, JMX_PORT, PRODUCER, Topology,
    ZooKeeper,
};

/// Image of the brokers, by khd's own recipe.
pub const KAFKA_IMAGE: &str = "khd/kafka:3.9.2";
/// Image of the ZooKeeper servers, by khd's own recipe.
pub const ZOOKEEPER_IMAGE: &str = "khd/zookeeper:3.8.4";
/// khd's own image for helpers that work in the network of a container.
pub const NETHELPER_IMAGE: &str = "khd/nethelper:1";
/// Image of Prometheus, by khd's own recipe or pulled.
pub const PROMETHEUS_IMAGE: &str = "khd/prometheus:2";
/// Image of producers, consumers and the exporter: this khd.
pub const KHD_IMAGE: &str = concat!("khd/khd:", env!("CARGO_PKG_VERSION"));
/// The variable that has a server of khd's own recipe serve metrics.
pub const JMX_EXPORTER_VARIABLE: &str = "JMX_EXPORTER_PORT";
/// The last line of Confluent's images with ZooKeeper.
const CONFLUENT_TAG: &str = "7.9.2";

/// Key of the lab's network.
pub const NETWORK: &str = "kafka-net";
/// Key of the volume that holds the ledgers: it outlives the containers that write it.
pub const LEDGERS: &str = "ledgers";
/// Where the ledgers' volume is mounted.
const LEDGERS_PATH: &str = "/var/lib/khd";

/// Renders the lab that settings ask for.
pub fn render(settings: &Settings, topology: &Topology) -> ComposeFile {
    let images = References::of(settings);
    let mut file = ComposeFile {
        name: topology.project.clone(),
        services: IndexMap::new(),
        networks: [(NETWORK.to_owned(), network(topology))].into(),
        volumes: IndexMap::new(),
        configs: IndexMap::new(),
    };
    for server in &topology.zookeepers {
        add(
            &mut file,
            &server.service,
            zookeeper(settings, topology, server, &images),
        );
    }
    if let Some(size) = &settings.kafka.disk {
        let bounded = topology
            .brokers
            .iter()
            .map(|broker| (data_key(broker), memory_disk(size)));
        file.volumes.extend(bounded);
        add(&mut file, DISKS, disks(topology));
    }
    for broker in &topology.brokers {
        add(&mut file, &broker.service, kafka(settings, topology, broker, &images));
    }
    add(&mut file, PRODUCER, producer(settings, topology, &images));
    add(&mut file, CONSUMER, consumer(settings, topology, &images));
    monitoring::add(&mut file, settings, topology, &images);
    ui::add(&mut file, settings, topology, &images);
    for (client, properties) in [
        (PRODUCER, &settings.producer.properties),
        (CONSUMER, &settings.consumer.properties),
    ] {
        let content = client_properties(client, properties);
        file.configs.insert(client_config(client), Config { content });
    }
    file
}

/// Adds a service, and the named volumes that it mounts.
fn add(file: &mut ComposeFile, name: &str, service: Service) {
    for mount in &service.volumes {
        file.volumes.entry(mount.source.clone()).or_default();
    }
    file.services.insert(name.to_owned(), service);
}

/// What all kinds of service have in common.
fn base(image: &str, memory: &str) -> Service {
    Service {
        image: image.to_owned(),
        networks: [(NETWORK.to_owned(), Attachment::default())].into(),
        scale: 1,
        stop_grace_period: "30s".into(),
        mem_limit: memory.to_owned(),
        restart: "no".into(),
        cap_drop: vec!["ALL".into()],
        security_opt: vec!["no-new-privileges:true".into()],
        ..Service::default()
    }
}

fn zookeeper(settings: &Settings, topology: &Topology, server: &ZooKeeper, images: &References) -> Service {
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
        match zookeeper_variable(name) {
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
    environment.extend(jmx_exporter(topology, &images.zookeeper, ZOOKEEPER_IMAGE));
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
        healthcheck: Some(healthcheck(zookeeper_probe(server.client_port))),
        ..base(&images.zookeeper, &settings.zookeeper.memory)
    }
}

fn kafka(settings: &Settings, topology: &Topology, broker: &Broker, images: &References) -> Service {
    let listeners = |internal: &str, host: &str| format!("INTERNAL://{internal},HOST://{host}");
    let replicas = settings.replication_factor().to_string();
    let min_isr = settings.min_insync_replicas().to_string();
    let mut environment = environment([
        ("KAFKA_BROKER_ID", broker.id.to_string()),
        ("KAFKA_ZOOKEEPER_CONNECT", topology.zookeeper_connect()),
        (
            "KAFKA_LISTENERS",
            listeners(
                &format!("0.0.0.0:{}", broker.internal_port),
                &format!("0.0.0.0:{HOST_LISTENER_PORT}"),
            ),
        ),
        (
            "KAFKA_ADVERTISED_LISTENERS",
            listeners(
                &format!("{}:{}", broker.service, broker.internal_port),
                &broker.published.to_string(),
            ),
        ),
        (
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "INTERNAL:PLAINTEXT,HOST:PLAINTEXT".into(),
        ),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "INTERNAL".into()),
        ("KAFKA_HEAP_OPTS", heap(&settings.kafka.heap)),
        ("KAFKA_JMX_PORT", JMX_PORT.to_string()),
        ("KAFKA_JMX_HOSTNAME", broker.service.clone()),
    ]);
    environment.extend(performance(settings.kafka.jvm));
    let defaults = [
        // All servers start at once: a broker waits for ZooKeeper instead of giving up on it.
        ("zookeeper.connection.timeout.ms", "60000"),
        ("default.replication.factor", &replicas),
        ("min.insync.replicas", &min_isr),
        ("offsets.topic.replication.factor", &replicas),
        // Kafka's 50 partitions are for many groups. With a lab's one group they are 132 more replicas that brokers make
        // before anybody can join.
        ("offsets.topic.num.partitions", "6"),
        // Of Kafka's 128 MiB, which a broker fills with zeros as it starts, a lab's log cleaner uses next to nothing.
        ("log.cleaner.dedupe.buffer.size", "8388608"),
        ("transaction.state.log.replication.factor", &replicas),
        ("transaction.state.log.min.isr", &min_isr),
        ("unclean.leader.election.enable", "false"),
        ("auto.create.topics.enable", "false"),
        // Leaders go home soon after a broker returns, every one of them.
        ("leader.imbalance.check.interval.seconds", "5"),
        ("leader.imbalance.per.broker.percentage", "0"),
        // A lab's group has its members from the start; there is nobody to wait for.
        ("group.initial.rebalance.delay.ms", "0"),
    ];
    let properties = &settings.kafka.properties;
    for (name, value) in defaults {
        environment.insert(kafka_variable(name), value.to_owned());
    }
    for (name, value) in properties {
        environment.insert(kafka_variable(name), value.clone());
    }
    environment.extend(jmx_exporter(topology, &images.kafka, KAFKA_IMAGE));
    let disks = settings.kafka.disk.as_ref().map(|_| started(DISKS));
    let zookeepers = topology.zookeepers.iter().map(|z| healthy(&z.service));
    Service {
        hostname: Some(broker.service.clone()),
        environment,
        ports: vec![port(topology, HOST_LISTENER_PORT, broker.published.port())],
        networks: fixed(broker.address.to_string()),
        volumes: vec![volume(&data_key(broker), "/var/lib/kafka/data")],
        depends_on: zookeepers.chain(disks).collect(),
        healthcheck: Some(healthcheck(kafka_probe(broker.internal_port))),
        ..base(&images.kafka, &settings.kafka.mem_limit())
    }
}

/// The variable by which khd's own recipe serves metrics; other images have no such exporter.
fn jmx_exporter(topology: &Topology, image: &str, own: &str) -> Option<(String, String)> {
    let serves = topology.monitoring.is_some() && image == own;
    serves.then(|| (JMX_EXPORTER_VARIABLE.to_owned(), JMX_EXPORTER_PORT.to_string()))
}

/// Key of the volume that holds a broker's data.
fn data_key(broker: &Broker) -> String {
    format!("{}-data", broker.service)
}

/// A volume of a size, in memory: the engine's own driver knows no other that is bounded.
fn memory_disk(size: &str) -> Volume {
    let bound = format!("size={size}");
    let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", bound.as_str())];
    Volume {
        driver_opts: options.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
}

/// Does nothing but mount the brokers' disks: when the last container that mounts such a volume stops, the engine
/// unmounts it, and the data is gone. So they live as long as the lab does, whichever brokers are down.
fn disks(topology: &Topology) -> Service {
    let mount = |broker: &Broker| volume(&data_key(broker), &format!("/disks/{}", broker.service));
    Service {
        command: vec!["hold".into()],
        volumes: topology.brokers.iter().map(mount).collect(),
        stop_grace_period: "5s".into(),
        ..base(NETHELPER_IMAGE, "32m")
    }
}

fn producer(settings: &Settings, topology: &Topology, images: &References) -> Service {
    let workload = &topology.workload;
    let mut arguments = vec![
        flag("topics", workload.topics.join(",")),
        flag("partitions", workload.partitions.to_string()),
        flag("replication-factor", workload.replication_factor.to_string()),
        flag("min-insync-replicas", workload.min_insync_replicas.to_string()),
        flag("delay", crate::settings::duration::format(settings.producer.delay)),
        flag("acks", settings.producer.acks.as_str().into()),
        flag("idempotence", settings.idempotence().to_string()),
    ];
    if settings.producer.size > 0 {
        arguments.push(flag("size", settings.producer.size.to_string()));
    }
    client(PRODUCER, "produce", arguments, workload.producers, topology, images)
}

fn consumer(settings: &Settings, topology: &Topology, images: &References) -> Service {
    let workload = &topology.workload;
    let assignment = match settings.consumer.assignment {
        crate::settings::Assignment::Cooperative => "cooperative",
        crate::settings::Assignment::Eager => "eager",
    };
    let mut arguments = vec![
        flag("topics", workload.topics.join(",")),
        flag("group", workload.group.clone()),
        flag("assignment", assignment.into()),
    ];
    if settings.consumer.static_membership {
        arguments.push("--static-membership".into());
    }
    if settings.consumer.commit != Commit::AfterProcessing {
        arguments.push(flag("commit", settings.consumer.commit.as_str().into()));
    }
    if !settings.consumer.processing_time.is_zero() {
        let time = crate::settings::duration::format(settings.consumer.processing_time);
        arguments.push(flag("processing-time", time));
    }
    client(CONSUMER, "consume", arguments, workload.consumers, topology, images)
}

fn client(
    name: &str,
    command: &str,
    arguments: Vec<String>,
    replicas: u16,
    topology: &Topology,
    images: &References,
) -> Service {
    let config = ConfigMount {
        source: client_config(name),
        target: format!("/etc/khd/{name}.properties"),
    };
    let common = [
        flag("brokers", topology.internal_bootstrap()),
        flag("client-config", config.target.clone()),
        flag("ledger", LEDGERS_PATH.into()),
        flag("log-format", "json".into()),
    ];
    let metrics = format!("0.0.0.0:{CLIENT_METRICS_PORT}");
    let metrics = topology.monitoring.is_some().then(|| flag("metrics", metrics));
    Service {
        command: [command.to_owned()]
            .into_iter()
            .chain(common)
            .chain(metrics)
            .chain(arguments)
            .collect(),
        volumes: vec![volume(LEDGERS, LEDGERS_PATH)],
        configs: vec![config],
        depends_on: topology.brokers.iter().map(|b| healthy(&b.service)).collect(),
        scale: replicas,
        // A producer flushes for at most a little more than message.timeout.ms.
        stop_grace_period: "40s".into(),
        ..base(&images.khd, "256m")
    }
}

fn network(topology: &Topology) -> Network {
    Network {
        driver: "bridge".into(),
        ipam: Ipam {
            config: vec![IpamPool {
                subnet: topology.subnet.to_string(),
                ip_range: topology.dynamic_range.to_string(),
                gateway: topology.gateway.to_string(),
            }],
        },
    }
}

/// The image of each kind of service.
struct References {
    zookeeper: String,
    kafka: String,
    khd: String,
    grafana: String,
    manager: String,
    kafka_exporter: String,
}

impl References {
    fn of(settings: &Settings) -> Self {
        let or = |named: &Option<String>, default: &str| named.clone().unwrap_or_else(|| default.to_owned());
        let own = |each: &EachImage| Self {
            zookeeper: or(&each.zookeeper, ZOOKEEPER_IMAGE),
            kafka: or(&each.kafka, KAFKA_IMAGE),
            khd: or(&each.khd, KHD_IMAGE),
            grafana: or(&each.grafana, ui::GRAFANA_IMAGE),
            manager: or(&each.manager, ui::manager_image(settings.monitoring.manager)),
            kafka_exporter: or(&each.kafka_exporter, ui::KAFKA_EXPORTER_IMAGE),
        };
        match &settings.images {
            Images::Set(ImageSet::Khd) => own(&EachImage::default()),
            Images::Set(ImageSet::Confluent) => own(&EachImage {
                zookeeper: Some(format!("confluentinc/cp-zookeeper:{CONFLUENT_TAG}")),
                kafka: Some(format!("confluentinc/cp-kafka:{CONFLUENT_TAG}")),
                ..EachImage::default()
            }),
            Images::Each(each) => own(each),
        }
    }
}

/// The variable by which cp-kafka images take a broker property: `.` → `_`, `_` → `__`, `-` → `___`.
fn kafka_variable(property: &str) -> String {
    let name = property.replace('_', "__").replace('-', "___").replace('.', "_");
    format!("KAFKA_{}", name.to_uppercase())
}

/// The variable by which cp-zookeeper images take a key of zoo.cfg, for the keys they know: their list is closed.
fn zookeeper_variable(key: &str) -> Option<String> {
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

fn environment<const N: usize>(pairs: [(&str, String); N]) -> IndexMap<String, String> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What tunes a Java machine otherwise than khd's recipes do; other images have flags of their own.
fn performance(jvm: Jvm) -> Option<(String, String)> {
    // What `kafka-run-class.sh` gives by default.
    let production = "-server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
                      -XX:+ExplicitGCInvokesConcurrent -XX:MaxInlineLevel=15 -Djava.awt.headless=true";
    (jvm == Jvm::Production).then(|| ("KAFKA_JVM_PERFORMANCE_OPTS".into(), production.into()))
}

fn heap(size: &str) -> String {
    format!("-Xms{size} -Xmx{size}")
}

fn flag(name: &str, value: String) -> String {
    format!("--{name}={value}")
}

fn volume(key: &str, target: &str) -> Mount {
    Mount {
        r#type: "volume".into(),
        source: key.to_owned(),
        target: target.to_owned(),
    }
}

fn port(topology: &Topology, target: u16, published: u16) -> Port {
    Port {
        target,
        published: published.to_string(),
        host_ip: topology.bind.to_string(),
        protocol: "tcp".into(),
    }
}

fn fixed(address: String) -> IndexMap<String, Attachment> {
    [(
        NETWORK.to_owned(),
        Attachment {
            ipv4_address: Some(address),
            ..Attachment::default()
        },
    )]
    .into()
}

fn healthy(service: &str) -> (String, Dependency) {
    let condition = "service_healthy".into();
    (service.to_owned(), Dependency { condition })
}

fn started(service: &str) -> (String, Dependency) {
    let condition = "service_started".into();
    (service.to_owned(), Dependency { condition })
}

fn client_config(client: &str) -> String {
    format!("{client}-properties")
}

fn client_properties(client: &str, properties: &Properties) -> String {
    let mut text = format!("# librdkafka properties of every {client}, put over khd's own.\n");
    for (name, value) in properties {
        text.push_str(&format!("{name}={value}\n"));
    }
    text
}

fn healthcheck(script: String) -> Healthcheck {
    Healthcheck {
        test: vec!["CMD".into(), "bash".into(), "-c".into(), script],
        // For those who look at the file, or run it themselves: khd asks the servers itself. Each probe is a process in the
        // container, and a lab has six servers; the first ones would come just when those start.
        interval: "10s".into(),
        timeout: "5s".into(),
        retries: 5,
        start_period: "90s".into(),
    }
}

/// ZooKeeper answers `srvr` with its mode once it takes part in a quorum.
fn zookeeper_probe(port: u16) -> String {
    format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && printf srvr >&3 && \
         timeout 2 grep -Eq '^Mode: (leader|follower|standalone)' <&3"
    )
}

/// The broker answers an ApiVersions request (v0) with error code 0: bytes 9 and 10 of the answer.
fn kafka_probe(port: u16) -> String {
    format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && printf '\\0\\0\\0\\12\\0\\22\\0\\0\\0\\0\\0\\1\\377\\377' >&3 && \
         timeout 2 head -c 10 <&3 | od -An -tx1 | grep -Eq '^( ..){{4}} 00 00 00 01 00 00'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dashboards are files of their own, and long.
    const FILTERS: [(&str, &str); 2] = [
        (r"khd/khd:\S+", "khd/khd:VERSION"),
        (r"content: '\{.*'", "content: 'A DASHBOARD'"),
    ];

    fn rendered(change: impl FnOnce(&mut Settings)) -> ComposeFile {
        let mut settings = Settings::default();
        change(&mut settings);
        render(&settings, &Topology::of(&settings))
    }

    #[test]
    fn what_depends_on_nothing_comes_before_brokers_and_these_before_their_clients() {
        let file = rendered(|_| {});
        let depth = |service: &str| file.depth(service);
        assert_eq!((depth("zookeeper2"), depth("prometheus")), (0, 0));
        assert_eq!((depth("kafka1"), depth("producer"), depth("no-such")), (1, 2, 0));
    }

    #[test]
    fn the_default_lab_renders_to_this_compose_file() {
        insta::with_settings!({filters => FILTERS}, {
            insta::assert_snapshot!(rendered(|_| {}).to_yaml().unwrap());
        });
    }

    #[test]
    fn confluents_images_change_nothing_else() {
        let own = rendered(|s| s.monitoring.enabled = false).to_yaml().unwrap();
        let confluent = rendered(|s| {
            s.images = Images::Set(ImageSet::Confluent);
            s.monitoring.enabled = false;
        });
        let confluent = confluent.to_yaml().unwrap();
        let without_images = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("image:"));
            lines.map(str::to_owned).collect()
        };
        assert!(confluent.contains("image: confluentinc/cp-kafka:7.9"));
        assert!(confluent.contains("image: confluentinc/cp-zookeeper:7.9"));
        assert_eq!(without_images(&own), without_images(&confluent));
    }

    #[test]
    fn java_machines_for_long_runs_get_the_flags_of_kafkas_scripts() {
        let file = rendered(|s| s.kafka.jvm = Jvm::Production);
        let flags = |service: &str| file.services[service].environment.get("KAFKA_JVM_PERFORMANCE_OPTS");
        assert!(flags("kafka2").is_some_and(|flags| flags.starts_with("-server -XX:+UseG1GC -XX:MaxGC")));
        assert_eq!(flags("zookeeper2"), None);
    }

    #[test]
    fn only_servers_that_serve_metrics_are_scraped() {
        let prometheus = |change: fn(&mut Settings)| rendered(change).configs["prometheus-yml"].content.clone();
        let own = prometheus(|s| s.monitoring.interval = std::time::Duration::from_secs(15));
        for line in [
            "- targets: [kafka1:9404, kafka2:9404, kafka3:9404]",
            "scrape_interval: 15000ms",
            "scrape_timeout: 10000ms",
        ] {
            assert!(own.contains(line), "{line}: {own}");
        }
        let confluent = prometheus(|s| s.images = Images::Set(ImageSet::Confluent));
        assert!(
            !confluent.contains("9404") && confluent.contains("- targets: []"),
            "{confluent}"
        );
        let without = rendered(|s| s.monitoring.enabled = false);
        assert!(!without.services.contains_key("prometheus") && !without.to_yaml().unwrap().contains("9404"));
    }

    #[test]
    fn any_property_reaches_its_service_under_the_images_contract() {
        let file = rendered(|s| {
            s.kafka.properties.insert("log.retention.ms".into(), "1000".into());
            s.kafka
                .properties
                .insert("unclean.leader.election.enable".into(), "true".into());
            s.zookeeper.properties.insert("maxSessionTimeout".into(), "9000".into());
            s.zookeeper
                .properties
                .insert("snapshot.trust.empty".into(), "true".into());
            s.producer.properties.insert("linger.ms".into(), "50".into());
        });
        let kafka = &file.services["kafka1"].environment;
        assert_eq!(kafka["KAFKA_LOG_RETENTION_MS"], "1000");
        assert_eq!(kafka["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"], "true");
        let zookeeper = &file.services["zookeeper1"].environment;
        assert_eq!(zookeeper["ZOOKEEPER_MAX_SESSION_TIMEOUT"], "9000");
        assert_eq!(zookeeper["KAFKA_OPTS"], "-Dzookeeper.snapshot.trust.empty=true");
        assert!(file.configs["producer-properties"].content.contains("linger.ms=50\n"));
    }

    #[test]
    fn property_names_become_variables_as_cp_kafka_reads_them() {
        assert_eq!(kafka_variable("log.retention.ms"), "KAFKA_LOG_RETENTION_MS");
        assert_eq!(
            kafka_variable("listener.name.a_b-c.x"),
            "KAFKA_LISTENER_NAME_A__B___C_X"
        );
    }

    #[test]
    fn disks_of_a_size_are_bounded_volumes_that_a_service_of_their_own_holds() {
        let file = rendered(|s| {
            s.kafka.servers = 1;
            s.zookeeper.servers = 1;
            s.kafka.disk = Some("600m".into());
        });
        insta::with_settings!({filters => FILTERS}, {
            insta::assert_snapshot!(file.to_yaml().unwrap());
        });
    }

    #[test]
    fn no_port_is_published_beyond_loopback() {
        let file = rendered(|s| s.monitoring.kafka_exporter = true);
        let hosts = file
            .services
            .values()
            .flat_map(|s| s.ports.iter().map(|p| p.host_ip.as_str()));
        assert!(hosts.collect::<std::collections::BTreeSet<_>>() == ["127.0.0.1"].into());
    }
}
