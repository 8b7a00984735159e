//! What cannot work of brokers, ZooKeeper servers and controllers.

use std::collections::HashSet;

use crate::settings::{
    BROKER_SESSION_TIMEOUT_PROPERTY, Data, Flavor, ImageSet, Images, KAFKA_3, KAFKA_4, Manager, Properties, Servers,
    Settings, ZOOKEEPER_SESSION_TIMEOUT_PROPERTY,
};
use crate::topology::{self, CONTROLLER_PORT};

/// The most brokers, ZooKeeper servers, and controllers.
const MOST_SERVERS: u16 = 5;
/// Properties of brokers that describe the topology; another value would make khd watch the wrong thing.
const TOPOLOGY_PROPERTIES: [&str; 12] = [
    "broker.id",
    "node.id",
    "process.roles",
    "controller.listener.names",
    "controller.quorum.voters",
    "controller.quorum.bootstrap.servers",
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "inter.broker.listener.name",
    "zookeeper.connect",
    "log.dirs",
];

/// Tells what cannot work.
pub fn check(settings: &Settings, wrong: &mut Vec<String>) {
    let offset = settings.ports.offset;
    servers("kafka", &settings.kafka, offset, 9092, wrong);
    servers("zookeeper", &settings.zookeeper, offset, 2181, wrong);
    controllers(settings, wrong);
    version(settings, wrong);
    disks(settings, wrong);
    ports_differ(settings, wrong);
    properties("kafka", &settings.kafka.properties, wrong);
    properties("controller", &settings.controller.properties, wrong);
}

fn servers(key: &str, servers: &Servers, offset: u16, base: u16, wrong: &mut Vec<String>) {
    size(&format!("{key}.heap"), &servers.heap, wrong);
    size(&format!("{key}.memory"), &servers.memory, wrong);
    if !(1..=MOST_SERVERS).contains(&servers.servers) {
        wrong.push(format!(
            "{key}.servers: {} is not possible (1 to {MOST_SERVERS})",
            servers.servers
        ));
        return;
    }
    if !servers.ports.is_empty() && servers.ports.len() != usize::from(servers.servers) {
        wrong.push(format!(
            "{key}.ports: {} ports for {} servers (one each, or none for the demo's)",
            servers.ports.len(),
            servers.servers
        ));
        return;
    }
    for n in 1..=servers.servers {
        let port = servers.port(n, base);
        if port == 0 || port.checked_add(offset).is_none() {
            wrong.push(format!(
                "{key}.ports: {port} + ports.offset {offset} is no port (1 to 65535)"
            ));
        }
    }
}

fn controllers(settings: &Settings, wrong: &mut Vec<String>) {
    let controllers = &settings.controller;
    if !(1..=MOST_SERVERS).contains(&controllers.servers) {
        wrong.push(format!(
            "controller.servers: {} is not possible (1 to {MOST_SERVERS})",
            controllers.servers
        ));
    }
    size("controller.heap", &controllers.heap, wrong);
    size("controller.memory", &controllers.memory, wrong);
    if settings.flavor.is_kraft() && settings.monitoring.manager == Manager::KafkaManager {
        wrong.push("monitoring.manager: kafka-manager reads ZooKeeper, which KRaft has none of (kafka-ui)".into());
    }
}

/// Whether khd has a recipe for that Kafka, or somebody an image, and whether it has the flavor.
fn version(settings: &Settings, wrong: &mut Vec<String>) {
    if settings.zookeeper.version.is_some() {
        wrong.push("zookeeper.version: follows from kafka.version, which brings its ZooKeeper".into());
    }
    let version = settings.kafka_version();
    let number = |part: &&str| part.parse::<u16>().is_ok();
    let parts: Vec<&str> = version.split('.').collect();
    let image = match &settings.images {
        Images::Set(_) => None,
        Images::Each(each) => each.kafka.as_deref(),
    };
    let own = image.is_none() && settings.images != Images::Set(ImageSet::Confluent);
    if parts.len() != 3 || !parts.iter().all(number) {
        wrong.push(format!(
            "kafka.version: `{version}` is no version of Kafka (like {KAFKA_3})"
        ));
    } else if parts[0] != "4" && !version.starts_with("3.9.") {
        wrong.push(format!(
            "kafka.version: {version} is not possible (3.9.x, or 4.x without ZooKeeper)"
        ));
    } else if parts[0] == "4" && settings.flavor == Flavor::ZooKeeper {
        wrong.push(format!(
            "kafka.version: {version} has no ZooKeeper mode, which ended with 3.9 (3.9.x, or `flavor: kraft`)"
        ));
    } else if settings.flavor == Flavor::ZooKeeper && image.is_some_and(is_apaches) {
        wrong.push(
            "images.kafka: Apache's own image runs KRaft only (confluentinc/cp-kafka, khd's recipe, or `flavor: kraft`)".into(),
        );
    } else if own && ![KAFKA_3, KAFKA_4].contains(&version) {
        wrong.push(format!(
            "kafka.version: khd has no recipe for {version} ({KAFKA_3}, {KAFKA_4}, or an image of your own in `images.kafka`)"
        ));
    }
}

/// Whether it is an image of the Apache project, `apache/kafka` or `apache/kafka-native`, from whatever registry: what runs in
/// it formats its storage for KRaft, and knows nothing else.
fn is_apaches(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or_default();
    let (path, last) = name.rsplit_once('/').unwrap_or_default();
    let last = last.split(':').next().unwrap_or_default();
    (path == "apache" || path.ends_with("/apache")) && matches!(last, "kafka" | "kafka-native")
}

fn disks(settings: &Settings, wrong: &mut Vec<String>) {
    if settings.zookeeper.disk.is_some() {
        wrong.push("zookeeper.disk: only the disks of brokers can have a size".into());
    }
    let Some(disk) = &settings.kafka.disk else { return };
    size("kafka.disk", disk, wrong);
    if settings.data == Data::Keep {
        wrong.push(format!(
            "kafka.disk: a disk of a size ({disk}) is memory and cannot be kept (needs `data: discard`)"
        ));
    }
}

fn ports_differ(settings: &Settings, wrong: &mut Vec<String>) {
    let mut seen = HashSet::new();
    let kraft = settings.flavor.is_kraft();
    let zookeepers = (!kraft).then_some((&settings.zookeeper, 2181));
    let rows = [(&settings.kafka, 9092)].into_iter().chain(zookeepers);
    let monitoring = topology::Monitoring::ports(&settings.monitoring);
    let controllers = match settings.flavor {
        Flavor::ZooKeeper => 0,
        Flavor::Kraft => settings.kafka.servers,
        Flavor::KraftSeparate => settings.controller.servers,
    };
    let controllers: Vec<u16> = (1..=controllers.min(MOST_SERVERS))
        .map(topology::controller_port)
        .collect();
    let offset = settings.ports.offset;
    if let Some(port) = controllers.iter().find(|port| port.checked_add(offset).is_none()) {
        wrong.push(format!(
            "ports.offset: {port} of a controller + {offset} is no port (1 to 65535)"
        ));
    }
    seen.extend(controllers.iter().copied());
    if kraft && settings.kafka.ports.contains(&CONTROLLER_PORT) {
        wrong.push(format!("kafka.ports: {CONTROLLER_PORT} is the port of controllers"));
    }
    seen.extend(monitoring.iter().copied());
    for (servers, base) in rows {
        for n in 1..=servers.servers.min(MOST_SERVERS) {
            let port = servers.port(n, base);
            if !seen.insert(port) {
                wrong.push(format!(
                    "kafka.ports and zookeeper.ports: {port} is used twice (the monitoring has {monitoring:?}, controllers have {controllers:?})"
                ));
            }
        }
    }
}

/// What no node of Kafka can be given, and what khd itself reads.
fn properties(key: &str, properties: &Properties, wrong: &mut Vec<String>) {
    for name in TOPOLOGY_PROPERTIES {
        if properties.contains_key(name) {
            wrong.push(format!(
                "{key}.properties.{name}: follows from the topology and cannot be set"
            ));
        }
    }
    for name in [ZOOKEEPER_SESSION_TIMEOUT_PROPERTY, BROKER_SESSION_TIMEOUT_PROPERTY] {
        if let Some(value) = properties.get(name)
            && value.parse::<u64>().is_err()
        {
            wrong.push(format!(
                "{key}.properties.{name}: `{value}` is not a number of milliseconds"
            ));
        }
    }
}

fn size(key: &str, value: &str, wrong: &mut Vec<String>) {
    let digits = value.trim_end_matches(['k', 'm', 'g', 'K', 'M', 'G']);
    if value.len() != digits.len() + 1 || digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        wrong.push(format!(
            "{key}: `{value}` is no size (a number and k, m or g, like 512m)"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::EachImage;
    use crate::settings::check::tests::refusal;

    #[test]
    fn a_disk_that_is_no_size_is_kept_or_is_zookeepers_is_refused() {
        assert!(refusal(|s| s.kafka.disk = Some("big".into())).contains("kafka.disk: `big` is no size"));
        assert!(refusal(|s| s.zookeeper.disk = Some("600m".into())).contains("zookeeper.disk: only"));
        let kept = refusal(|s| {
            s.kafka.disk = Some("600m".into());
            s.data = Data::Keep;
        });
        assert!(kept.contains("cannot be kept"), "{kept}");
    }

    #[test]
    fn a_kafka_that_has_no_such_flavor_or_no_recipe_is_refused() {
        let version = |flavor, version: &str, images: Images| {
            let mut settings = Settings {
                flavor,
                images,
                ..Settings::default()
            };
            settings.kafka.version = Some(version.into());
            crate::settings::check::check(&settings).map_err(|error| error.message)
        };
        let refused = |flavor, text: &str, why: &str| {
            let message = version(flavor, text, Images::Set(ImageSet::Khd)).unwrap_err();
            assert!(message.contains(why), "{message}");
        };
        refused(Flavor::ZooKeeper, KAFKA_4, "4.4.0 has no ZooKeeper mode");
        refused(Flavor::Kraft, "4.1.0", "khd has no recipe for 4.1.0 (3.9.2, 4.4.0");
        refused(Flavor::Kraft, "3.8.1", "3.8.1 is not possible");
        refused(Flavor::KraftSeparate, "latest", "`latest` is no version");
        for flavor in [Flavor::ZooKeeper, Flavor::Kraft, Flavor::KraftSeparate] {
            version(flavor, KAFKA_3, Images::Set(ImageSet::Khd)).unwrap();
        }
        let own = || {
            Images::Each(EachImage {
                kafka: Some("apache/kafka:4.1.0".into()),
                ..EachImage::default()
            })
        };
        version(Flavor::Kraft, "4.1.0", own()).unwrap();
        assert!(version(Flavor::ZooKeeper, "4.1.0", own()).is_err());
        let refused = version(Flavor::ZooKeeper, KAFKA_3, own()).unwrap_err();
        assert!(refused.contains("Apache's own image runs KRaft only"), "{refused}");
    }

    #[test]
    fn apaches_images_are_known_in_whatever_registry() {
        let digest = format!("mirror.example:5000/apache/kafka@sha256:{}", "0".repeat(64));
        for image in ["apache/kafka:3.9.2", "docker.io/apache/kafka-native", digest.as_str()] {
            assert!(is_apaches(image), "{image}");
        }
        for image in [
            "confluentinc/cp-kafka:7.9.1",
            "kafka",
            "notapache/kafka",
            "apache/zookeeper:3.8",
            "khd/kafka:3.9.2",
        ] {
            assert!(!is_apaches(image), "{image}");
        }
    }

    #[test]
    fn what_has_no_meaning_without_zookeeper_is_refused() {
        let kraft = |change: fn(&mut Settings)| {
            refusal(|s| {
                s.flavor = Flavor::Kraft;
                change(s);
            })
        };
        assert!(kraft(|s| s.monitoring.manager = Manager::KafkaManager).contains("kafka-manager reads ZooKeeper"));
        assert!(kraft(|s| s.kafka.ports = vec![1, 2, 9093]).contains("9093 is the port of controllers"));
        assert!(kraft(|s| s.controller.servers = 0).contains("controller.servers: 0"));
        assert!(kraft(|s| s.kafka.ports = vec![19093, 2, 3]).contains("19093 is used twice"));
    }

    #[test]
    fn ports_that_run_out_of_range_or_meet_are_refused() {
        assert!(refusal(|s| s.ports.offset = 40_000).contains("is no port"));
        assert!(refusal(|s| s.zookeeper.ports = vec![19092, 2, 3]).contains("19092 is used twice"));
        assert!(refusal(|s| s.kafka.ports = vec![1]).contains("1 ports for 3 servers"));
    }

    #[test]
    fn topology_cannot_be_contradicted_by_a_property() {
        let message = refusal(|s| {
            s.kafka.properties.insert("broker.id".into(), "7".into());
        });
        assert!(message.contains("kafka.properties.broker.id"), "{message}");
    }
}
