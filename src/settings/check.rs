//! Refuses settings that cannot work, before anything is touched.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::Expected;
use crate::settings::{Acks, Data, Servers, Settings, ZOOKEEPER_SESSION_TIMEOUT_PROPERTY, duration};
use crate::topology;

/// The most brokers, and the most ZooKeeper servers.
const MOST_SERVERS: u16 = 5;
/// The longest time that a member may take for a message: a member that polls less often than every 5 min is given up.
const MOST_PROCESSING: Duration = Duration::from_secs(60);
/// What Prometheus's rules are made for.
const MONITORING_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(15);
/// The most producers, and the most consumers: more would not find addresses in the lab's subnet.
pub const MOST_REPLICAS: u16 = 50;
/// Properties of brokers that describe the topology; another value would make khd watch the wrong thing.
const TOPOLOGY_PROPERTIES: [&str; 7] = [
    "broker.id",
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "inter.broker.listener.name",
    "zookeeper.connect",
    "log.dirs",
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
    disks(settings, &mut wrong);
    ports_differ(settings, &mut wrong);
    topics(settings, &mut wrong);
    clients(settings, &mut wrong);
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
    for name in TOPOLOGY_PROPERTIES {
        if settings.kafka.properties.contains_key(name) {
            wrong.push(format!(
                "kafka.properties.{name}: follows from the topology and cannot be set"
            ));
        }
    }
    if let Some(value) = settings.kafka.properties.get(ZOOKEEPER_SESSION_TIMEOUT_PROPERTY)
        && value.parse::<u64>().is_err()
    {
        wrong.push(format!(
            "kafka.properties.{ZOOKEEPER_SESSION_TIMEOUT_PROPERTY}: `{value}` is not a number of milliseconds"
        ));
    }
    match wrong.as_slice() {
        [] => Ok(()),
        [one] => Err(Expected::usage(one.clone()).hint(HINT)),
        many => {
            Err(Expected::usage(format!("{} settings cannot work:\n  {}", many.len(), many.join("\n  "))).hint(HINT))
        }
    }
}

const HINT: &str = "`khd config` shows every setting, its value and where it came from";

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
    let rows = [(&settings.kafka, 9092), (&settings.zookeeper, 2181)];
    let monitoring = topology::Monitoring::ports(&settings.monitoring);
    seen.extend(monitoring.iter().copied());
    for (servers, base) in rows {
        for n in 1..=servers.servers.min(MOST_SERVERS) {
            let port = servers.port(n, base);
            if !seen.insert(port) {
                wrong.push(format!(
                    "kafka.ports and zookeeper.ports: {port} is used twice (the monitoring has {monitoring:?})"
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

#[cfg(test)]
mod tests {
    use super::*;

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
