//! Fills the Compose model from settings and topology.
//!
//! Services are made kind by kind, a file for each: `zookeeper`, `controller`, `broker` (with what the latter two have in
//! common in `kafka`), `workload`, who watches them in `monitoring`, and in `ui` the pages that others made.
//! Environment follows the contract of the cp-kafka and cp-zookeeper images, which khd's own recipes follow as well.

mod broker;
mod controller;
mod images;
mod kafka;
pub mod monitoring;
mod ui;
mod workload;
mod zookeeper;

use indexmap::IndexMap;

use crate::compose::model::{
    Attachment, ComposeFile, Dependency, Healthcheck, Ipam, IpamPool, Mount, Network, Port, Service,
};
use crate::settings::{Jvm, Settings};
use crate::topology::{JMX_EXPORTER_PORT, Topology};

use images::References;

pub use images::{KAFKA_3_IMAGE, KAFKA_4_IMAGE, KHD_IMAGE, NETHELPER_IMAGE, PROMETHEUS_IMAGE, ZOOKEEPER_IMAGE};
pub use workload::LEDGERS;

/// The variable that has a server of khd's own recipe serve metrics.
pub const JMX_EXPORTER_VARIABLE: &str = "JMX_EXPORTER_PORT";

/// Key of the lab's network.
pub const NETWORK: &str = "kafka-net";

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
        let service = zookeeper::server(settings, topology, server, &images);
        add(&mut file, &server.service, service);
    }
    for controller in topology.separate_controllers() {
        let service = controller::service(settings, topology, controller, &images);
        add(&mut file, &controller.service, service);
    }
    broker::add(&mut file, settings, topology, &images);
    workload::add(&mut file, settings, topology, &images);
    monitoring::add(&mut file, settings, topology, &images);
    ui::add(&mut file, settings, topology, &images);
    file.configs.extend(workload::configs(settings));
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

/// The variable by which khd's own recipe serves metrics; other images have no such exporter.
fn jmx_exporter(topology: &Topology, image: &str) -> Option<(String, String)> {
    let serves = topology.monitoring.is_some() && images::is_own(image);
    serves.then(|| (JMX_EXPORTER_VARIABLE.to_owned(), JMX_EXPORTER_PORT.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flavor, GroupProtocol, ImageSet, Images};

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
    fn nodes_that_are_both_broker_and_controller_render_to_this_compose_file() {
        let file = rendered(|s| {
            s.flavor = Flavor::Kraft;
            s.monitoring.enabled = false;
        });
        insta::with_settings!({filters => FILTERS}, {
            insta::assert_snapshot!(file.to_yaml().unwrap());
        });
    }

    #[test]
    fn controllers_of_their_own_render_to_this_compose_file() {
        let file = rendered(|s| {
            s.flavor = Flavor::KraftSeparate;
            s.monitoring.enabled = false;
        });
        assert_eq!((file.depth("controller1"), file.depth("kafka1")), (0, 1));
        insta::with_settings!({filters => FILTERS}, {
            insta::assert_snapshot!(file.to_yaml().unwrap());
        });
    }

    #[test]
    fn members_of_the_new_group_protocol_are_told_of_it_and_brokers_of_kafka_4_of_their_sessions() {
        let new = rendered(|settings| {
            settings.flavor = Flavor::Kraft;
            settings.consumer.group_protocol = GroupProtocol::Consumer;
        });
        let command = &new.services["consumer"].command;
        assert!(command.contains(&"--group-protocol=consumer".to_owned()), "{command:?}");
        assert!(
            !command.iter().any(|flag| flag.starts_with("--assignment")),
            "{command:?}"
        );
        let session = "KAFKA_GROUP_CONSUMER_SESSION_TIMEOUT_MS";
        assert_eq!(new.services["kafka1"].environment[session], "10000");
        let old = rendered(|_| {});
        assert!(!old.services["kafka1"].environment.contains_key(session));
    }

    #[test]
    fn controllers_are_told_what_decides_on_leaders_and_their_own_properties_last() {
        let file = rendered(|s| {
            s.flavor = Flavor::KraftSeparate;
            let unclean = "unclean.leader.election.enable".to_owned();
            s.kafka.properties.insert(unclean, "true".into());
            let fetch = "controller.quorum.fetch.timeout.ms".to_owned();
            s.controller.properties.insert(fetch, "1000".into());
        });
        let controller = &file.services["controller1"].environment;
        assert_eq!(controller["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"], "true");
        assert_eq!(controller["KAFKA_CONTROLLER_QUORUM_FETCH_TIMEOUT_MS"], "1000");
        let broker = &file.services["kafka1"].environment;
        assert!(!broker.contains_key("KAFKA_CONTROLLER_QUORUM_FETCH_TIMEOUT_MS"));
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
