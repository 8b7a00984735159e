//! What cannot work of producers, consumers and copiers.

use std::time::Duration;

use crate::settings::{Acks, Assignment, GroupProtocol, KAFKA_4, Settings, duration};
use crate::topology::{COPY_GROUP, copy_of};

/// The longest time that a member may take for a message: a member that polls less often than every 5 min is given up.
const MOST_PROCESSING: Duration = Duration::from_secs(60);
/// The most producers, and the most consumers: more would not find addresses in the lab's subnet.
pub const MOST_REPLICAS: u16 = 50;
/// Properties that librdkafka refuses where the group is not of the classic protocol.
const CLASSIC_PROPERTIES: [&str; 4] = [
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "partition.assignment.strategy",
    "group.protocol.type",
];

/// Tells what cannot work.
pub fn check(settings: &Settings, wrong: &mut Vec<String>) {
    replicas(settings, wrong);
    producers(settings, wrong);
    consumers(settings, wrong);
    group_protocol(settings, wrong);
}

fn replicas(settings: &Settings, wrong: &mut Vec<String>) {
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
}

fn producers(settings: &Settings, wrong: &mut Vec<String>) {
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
}

fn consumers(settings: &Settings, wrong: &mut Vec<String>) {
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
            duration::format(settings.consumer.processing_time)
        ));
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
    use crate::settings::check::tests::refusal;
    use crate::settings::{Flavor, KAFKA_3};

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
    fn the_new_group_protocol_needs_kafka_4_and_nothing_of_the_classic_one() {
        let of = |flavor, change: fn(&mut Settings)| {
            let mut settings = Settings {
                flavor,
                ..Settings::default()
            };
            settings.consumer.group_protocol = GroupProtocol::Consumer;
            change(&mut settings);
            crate::settings::check::check(&settings).map_or_else(|wrong| wrong.message, |()| String::new())
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
    fn idempotence_without_all_acknowledgements_is_refused_as_librdkafka_does() {
        let message = refusal(|s| {
            s.producer.acks = Acks::One;
            s.producer.idempotence = Some(true);
        });
        assert!(message.contains("needs `producer.acks: all`"), "{message}");
    }

    #[test]
    fn a_limit_that_is_no_share_and_an_endless_processing_time_are_refused() {
        let message = refusal(|s| s.limits.availability = Some(99.0));
        assert!(message.contains("limits.availability: 99 is no share"), "{message}");
        let message = refusal(|s| s.consumer.processing_time = std::time::Duration::from_secs(61));
        assert!(message.contains("consumer.processing-time: 1m"), "{message}");
    }
}
