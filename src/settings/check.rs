//! Refuses settings that cannot work, before anything is touched.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::Expected;
use crate::settings::{
    Acks, Assignment, BROKER_SESSION_TIMEOUT_PROPERTY, Data, Flavor, GroupProtocol, ImageSet, Images, KAFKA_3, KAFKA_4,
    Manager, Properties, Servers, Settings, ZOOKEEPER_SESSION_TIMEOUT_PROPERTY, duration,
};
use crate::topology::{self, CONTROLLER_PORT, COPY_GROUP, copy_of};

/// The most brokers, ZooKeeper servers, and controllers.
const MOST_SERVERS: u16 = 5;
/// The longest time that a member may take for a message: a member that polls less often than every 5 min is given up.
const MOST_PROCESSING: Duration = Duration::from_secs(60);
/// What Prometheus's rules are made for.
const MONITORING_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(15);
/// The most producers, and the most consumers: more would not find addresses in the lab's subnet.
pub const MOST_REPLICAS: u16 = 50;
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

/// Properties that librdkafka refuses where the group is not of the classic protocol.
const CLASSIC_PROPERTIES: [&str; 4] = [
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "partition.assignment.strategy",
    "group.protocol.type",
];

/// Checks settings against each other and against what the lab can be.
///
/// # Errors
/// A usage error with one line for each setting that cannot work: the key, its value, and what is allowed.
pub fn check(settings: &Settings) -> Result<(), Expected> {
    let mut wrong = Vec::new();
    project(&settings.project, &mut wrong);
    servers("kafka", &settings.kafka, settings.ports.offset, 9092, &mut wrong);
    servers(
        "zookeeper",
        &settings.zookeeper,
        settings.ports.offset,
        2181,
        &mut wrong,
    );
    controllers(settings, &mut wrong);
    version(settings, &mut wrong);
    disks(settings, &mut wrong);
    ports_differ(settings, &mut wrong);
    topics(settings, &mut wrong);
    clients(settings, &mut wrong);
    group_protocol(settings, &mut wrong);
    if !(MONITORING_INTERVAL).contains(&settings.monitoring.interval) {
        wrong.push(format!(
            "monitoring.interval: {} is not possible ({} to {})",
            duration::format(settings.monitoring.interval),
            duration::format(*MONITORING_INTERVAL.start()),
            duration::format(*MONITORING_INTERVAL.end())
        ));
    }
    let prefix = settings.network.subnet.prefix_len();
    if !(16..=26).contains(&prefix) || settings.network.subnet.trunc() != settings.network.subnet {
        wrong.push(format!(
            "network.subnet: {} cannot hold the lab (a network address with a prefix of 16 to 26, like 172.25.0.0/24)",
            settings.network.subnet
        ));
    }
    properties("kafka", &settings.kafka.properties, &mut wrong);
    properties("controller", &settings.controller.properties, &mut wrong);
    match wrong.as_slice() {
        [] => Ok(()),
        [one] => Err(Expected::usage(one.clone()).hint(HINT)),
        many => {
            Err(Expected::usage(format!("{} settings cannot work:\n  {}", many.len(), many.join("\n  "))).hint(HINT))
        }
    }
}

const HINT: &str = "`khd config` shows every setting, its value and where it came from";

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

fn project(name: &str, wrong: &mut Vec<String>) {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !starts_well || !name.chars().all(allowed) {
        wrong.push(format!(
            "project: `{name}` is no project name for Compose (lower-case letters, digits, - and _, a letter or digit first)"
        ));
    }
}

fn servers(key: &str, servers: &Servers, offset: u16, base: u16, wrong: &mut Vec<String>) {
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
    size(&format!("{key}.heap"), &servers.heap, wrong);
    size(&format!("{key}.memory"), &servers.memory, wrong);
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

fn size(key: &str, value: &str, wrong: &mut Vec<String>) {
    let digits = value.trim_end_matches(['k', 'm', 'g', 'K', 'M', 'G']);
    if value.len() != digits.len() + 1 || digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        wrong.push(format!(
            "{key}: `{value}` is no size (a number and k, m or g, like 512m)"
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

fn topics(settings: &Settings, wrong: &mut Vec<String>) {
    let topics = &settings.topics;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if topics.names.is_empty() {
        wrong.push("topics.names: at least one topic is needed".into());
    }
    let mut seen = HashSet::new();
    for name in &topics.names {
        if name.is_empty() || name.len() > 249 || !name.chars().all(allowed) || [".", ".."].contains(&name.as_str()) {
            wrong.push(format!(
                "topics.names: `{name}` is no topic name (letters, digits, . _ -, up to 249)"
            ));
        }
        if !seen.insert(name) {
            wrong.push(format!("topics.names: `{name}` is listed twice"));
        }
    }
    if topics.partitions < 1 {
        wrong.push(format!(
            "topics.partitions: {} is not possible (1 or more)",
            topics.partitions
        ));
    }
    let (replicas, brokers) = (settings.replication_factor(), settings.kafka.servers);
    if replicas < 1 || replicas > brokers as i16 {
        wrong.push(format!(
            "topics.replication-factor: {replicas} replicas need {replicas} brokers, and kafka.servers is {brokers} (1 to {brokers})"
        ));
    }
    let min_isr = settings.min_insync_replicas();
    if min_isr < 1 || min_isr > replicas {
        wrong.push(format!(
            "topics.min-insync-replicas: {min_isr} can never be reached with a replication factor of {replicas} (1 to {replicas})"
        ));
    }
}

fn clients(settings: &Settings, wrong: &mut Vec<String>) {
    let rows = [
        ("producer", settings.producer.replicas),
        ("consumer", settings.consumer.replicas),
        ("copier", settings.copier.replicas),
    ];
    for (key, replicas) in rows {
        if replicas > MOST_REPLICAS {
            wrong.push(format!(
                "{key}.replicas: {replicas} is more than a lab can hold (0 to {MOST_REPLICAS})"
            ));
        }
    }
    if settings.producer.idempotence == Some(true) && settings.producer.acks != Acks::All {
        wrong.push(format!(
            "producer.idempotence: needs `producer.acks: all`, which is {}",
            settings.producer.acks.as_str()
        ));
    }
    if settings.producer.size > 900_000 {
        wrong.push(format!(
            "producer.size: {} is more than a broker takes by default (0 to 900000)",
            settings.producer.size
        ));
    }
    if settings.consumer.group.is_empty() {
        wrong.push("consumer.group: a group needs a name".into());
    }
    if settings.copier.replicas > 0 && settings.consumer.group == COPY_GROUP {
        wrong.push(format!("consumer.group: `{COPY_GROUP}` is the copiers' own"));
    }
    let copies = settings.topics.names.iter().map(|topic| copy_of(topic));
    let mut taken = copies.filter(|copy| settings.copier.replicas > 0 && settings.topics.names.contains(copy));
    if let Some(copy) = taken.next() {
        wrong.push(format!("topics.names: `{copy}` is for the copiers to write"));
    }
    if settings.consumer.processing_time > MOST_PROCESSING {
        wrong.push(format!(
            "consumer.processing-time: {} is more than the group waits for a member (0 to 1m)",
            crate::settings::duration::format(settings.consumer.processing_time)
        ));
    }
    if let Some(share) = settings
        .limits
        .availability
        .filter(|share| !(0.0..=1.0).contains(share))
    {
        wrong.push(format!("limits.availability: {share} is no share (0 to 1)"));
    }
}

/// Whether brokers have the group protocol, and nothing is asked of clients that belongs to the other one.
fn group_protocol(settings: &Settings, wrong: &mut Vec<String>) {
    let consumer = &settings.consumer;
    if consumer.properties.contains_key("group.protocol") {
        wrong.push("consumer.properties.group.protocol: follows from consumer.group-protocol and cannot be set".into());
    }
    if consumer.group_protocol == GroupProtocol::Classic {
        return;
    }
    // 3.9 has it as a preview, which would have to be enabled and is not what Kafka 4 has.
    if settings.kafka_version().starts_with("3.") {
        wrong.push(format!(
            "consumer.group-protocol: consumer needs brokers of Kafka 4, and these are {} (classic, or `flavor: kraft` with {KAFKA_4})",
            settings.kafka_version()
        ));
    }
    if consumer.assignment != Assignment::Cooperative {
        wrong.push(
            "consumer.assignment: eager is of the classic protocol (leave it out, or `consumer.group-protocol: classic`)"
                .into(),
        );
    }
    for name in CLASSIC_PROPERTIES {
        if consumer.properties.contains_key(name) {
            wrong.push(format!(
                "consumer.properties.{name}: is of the classic group protocol (brokers have group.consumer.session.timeout.ms and group.consumer.heartbeat.interval.ms instead, consumers group.remote.assignor)"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::EachImage;

    #[test]
    fn a_limit_that_is_no_share_and_an_endless_processing_time_are_refused() {
        let message = refusal(|s| s.limits.availability = Some(99.0));
        assert!(message.contains("limits.availability: 99 is no share"), "{message}");
        let message = refusal(|s| s.consumer.processing_time = std::time::Duration::from_secs(61));
        assert!(message.contains("consumer.processing-time: 1m"), "{message}");
    }

    fn refusal(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        check(&settings).unwrap_err().message
    }

    #[test]
    fn more_replicas_than_brokers_are_refused() {
        let message = refusal(|s| s.topics.replication_factor = Some(4));
        assert!(
            message.contains("topics.replication-factor: 4 replicas need 4 brokers"),
            "{message}"
        );
    }

    #[test]
    fn a_min_isr_above_the_replication_factor_is_refused() {
        let message = refusal(|s| {
            s.topics.replication_factor = Some(2);
            s.topics.min_insync_replicas = Some(3);
        });
        assert!(
            message.contains("topics.min-insync-replicas: 3 can never be reached"),
            "{message}"
        );
    }

    #[test]
    fn copiers_have_a_group_and_topics_of_their_own() {
        let taken = |replicas| {
            refusal(|s| {
                s.copier.replicas = replicas;
                s.consumer.group = "copy".into();
                s.topics.names = vec!["a".into(), "a-copy".into()];
                // For there to be a refusal at all.
                s.topics.partitions = 0;
            })
        };
        assert!(!taken(0).contains("copiers"), "{}", taken(0));
        assert!(
            taken(1).contains("consumer.group: `copy`") && taken(1).contains("topics.names: `a-copy`"),
            "{}",
            taken(1)
        );
    }

    #[test]
    fn every_wrong_setting_is_listed_at_once() {
        let message = refusal(|s| {
            s.project = "Kafka Lab".into();
            s.kafka.servers = 9;
            s.kafka.heap = "lots".into();
            s.zookeeper.memory = "512".into();
        });
        for key in ["project:", "kafka.servers:", "zookeeper.memory:"] {
            assert!(message.contains(key), "{key} is missing in {message}");
        }
    }

    #[test]
    fn the_new_group_protocol_needs_kafka_4_and_nothing_of_the_classic_one() {
        let of = |flavor, change: fn(&mut Settings)| {
            let mut settings = Settings {
                flavor,
                ..Settings::default()
            };
            settings.consumer.group_protocol = GroupProtocol::Consumer;
            change(&mut settings);
            check(&settings).map_or_else(|wrong| wrong.message, |()| String::new())
        };
        assert_eq!(of(Flavor::Kraft, |_| {}), "");
        let old = "consumer.group-protocol: consumer needs brokers of Kafka 4, and these are 3.9.2";
        assert!(of(Flavor::ZooKeeper, |_| {}).contains(old));
        assert!(of(Flavor::Kraft, |s| s.kafka.version = Some(KAFKA_3.into())).contains(old));
        assert!(
            of(Flavor::Kraft, |s| s.consumer.assignment = Assignment::Eager).contains("consumer.assignment: eager")
        );
        let property = |name: &str, value: &str| {
            let set = (name.to_owned(), value.to_owned());
            refusal(|s| {
                s.flavor = Flavor::Kraft;
                s.consumer.group_protocol = GroupProtocol::Consumer;
                s.consumer.properties.extend([set]);
            })
        };
        assert!(property("session.timeout.ms", "6000").contains("is of the classic group protocol"));
        assert!(property("group.protocol", "classic").contains("follows from consumer.group-protocol"));
    }

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
            check(&settings).map_err(|error| error.message)
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
    fn idempotence_without_all_acknowledgements_is_refused_as_librdkafka_does() {
        let message = refusal(|s| {
            s.producer.acks = Acks::One;
            s.producer.idempotence = Some(true);
        });
        assert!(message.contains("needs `producer.acks: all`"), "{message}");
    }

    #[test]
    fn topology_cannot_be_contradicted_by_a_property() {
        let message = refusal(|s| {
            s.kafka.properties.insert("broker.id".into(), "7".into());
        });
        assert!(message.contains("kafka.properties.broker.id"), "{message}");
    }

    #[test]
    fn a_subnet_that_is_too_small_or_no_network_address_is_refused() {
        assert!(refusal(|s| s.network.subnet = "10.0.0.0/28".parse().unwrap()).contains("network.subnet"));
        assert!(refusal(|s| s.network.subnet = "10.0.0.7/24".parse().unwrap()).contains("network.subnet"));
    }
}
