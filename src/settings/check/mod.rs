//! Refuses settings that cannot work, before anything is touched.

mod clients;
mod servers;

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::Expected;
use crate::settings::{Settings, duration};

pub use self::clients::MOST_REPLICAS;

/// What Prometheus's rules are made for.
const MONITORING_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(15);

/// Checks settings against each other and against what the lab can be.
///
/// # Errors
/// A usage error with one line for each setting that cannot work: the key, its value, and what is allowed.
pub fn check(settings: &Settings) -> Result<(), Expected> {
    let mut wrong = Vec::new();
    project(&settings.project, &mut wrong);
    servers::check(settings, &mut wrong);
    topics(settings, &mut wrong);
    clients::check(settings, &mut wrong);
    if let Some(share) = settings.limits.availability
        && !(0.0..=1.0).contains(&share)
    {
        wrong.push(format!("limits.availability: {share} is no share (0 to 1)"));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    pub fn refusal(change: impl FnOnce(&mut Settings)) -> String {
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
        for key in ["project:", "kafka.servers:", "kafka.heap:", "zookeeper.memory:"] {
            assert!(message.contains(key), "{key} is missing in {message}");
        }
    }

    #[test]
    fn a_subnet_that_is_too_small_or_no_network_address_is_refused() {
        assert!(refusal(|s| s.network.subnet = "10.0.0.0/28".parse().unwrap()).contains("network.subnet"));
        assert!(refusal(|s| s.network.subnet = "10.0.0.7/24".parse().unwrap()).contains("network.subnet"));
    }
}
