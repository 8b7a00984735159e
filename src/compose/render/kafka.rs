//! What brokers and KRaft's controllers have in common: both are Kafka.

use indexmap::IndexMap;

use super::{environment, heap, performance};
use crate::settings::{Jvm, Properties, Settings};
use crate::topology::{JMX_PORT, Topology};

/// Where Kafka's data is mounted.
pub(super) const DATA_PATH: &str = "/var/lib/kafka/data";

/// The listener that brokers have for each other, and for clients in the lab.
pub(super) const INTER_BROKER_LISTENER: &str = "INTERNAL";

/// A process of Kafka.
pub(super) struct Node<'a> {
    /// Its service.
    pub(super) service: &'a str,
    /// Its Java heap.
    pub(super) heap: &'a str,
    /// What its Java machine is tuned for.
    pub(super) jvm: Jvm,
}

impl Node<'_> {
    /// The variables of its Java machine.
    pub(super) fn environment(&self) -> IndexMap<String, String> {
        let mut environment = environment([
            ("KAFKA_HEAP_OPTS", heap(self.heap)),
            ("KAFKA_JMX_PORT", JMX_PORT.to_string()),
            ("KAFKA_JMX_HOSTNAME", self.service.to_owned()),
        ]);
        environment.extend(performance(self.jvm));
        environment
    }
}

/// A node of KRaft: who it is, which cluster it is of, and who votes there.
pub(super) fn in_quorum(topology: &Topology, id: i32, roles: &str) -> IndexMap<String, String> {
    let mut variables = environment([
        ("CLUSTER_ID", topology.cluster_id.clone()),
        ("KAFKA_NODE_ID", id.to_string()),
        ("KAFKA_PROCESS_ROLES", roles.to_owned()),
    ]);
    variables.extend(quorum(topology));
    // The images do not agree on where it is when nothing is said.
    variables.insert("KAFKA_LOG_DIRS".into(), DATA_PATH.into());
    variables
}

/// What makes a broker or a controller take part in the migration from ZooKeeper.
pub(super) fn in_migration(topology: &Topology) -> IndexMap<String, String> {
    environment([
        ("KAFKA_ZOOKEEPER_CONNECT", topology.zookeeper_connect()),
        ("KAFKA_ZOOKEEPER_METADATA_MIGRATION_ENABLE", "true".into()),
    ])
}

/// Where a node finds KRaft's controllers.
pub(super) fn quorum(topology: &Topology) -> IndexMap<String, String> {
    environment([
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", topology.quorum_voters()),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER".into()),
    ])
}

/// Properties: khd's, and over them those of the settings, the later ones over the earlier.
pub(super) fn properties<'a>(
    settings: &'a Settings,
    set: impl IntoIterator<Item = &'a Properties>,
) -> IndexMap<String, String> {
    let replicas = settings.replication_factor().to_string();
    let min_isr = settings.min_insync_replicas().to_string();
    // All servers start at once: a broker waits for ZooKeeper instead of giving up on it.
    let patience = (!settings.flavor.is_kraft()).then_some(("zookeeper.connection.timeout.ms", "60000"));
    let defaults = [
        ("default.replication.factor", replicas.as_str()),
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
    // Kafka 4 says for members of the new group protocol what clients say for themselves in the classic one: let it be what
    // khd's classic members have, so that both are given up and learn of changes alike. (Kafka's own: 45 s and 5 s.)
    let sessions = [
        ("group.consumer.session.timeout.ms", "10000"),
        ("group.consumer.min.session.timeout.ms", "6000"),
        ("group.consumer.heartbeat.interval.ms", "2500"),
        ("group.consumer.min.heartbeat.interval.ms", "1000"),
    ];
    let sessions = sessions
        .into_iter()
        .filter(|_| settings.kafka_version().starts_with("4."));
    let defaults = patience.into_iter().chain(defaults).chain(sessions);
    let set = set
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    defaults
        .chain(set)
        .map(|(name, value)| (variable(name), value.to_owned()))
        .collect()
}

/// The variable by which cp-kafka images take a property: `.` → `_`, `_` → `__`, `-` → `___`.
fn variable(property: &str) -> String {
    let name = property.replace('_', "__").replace('-', "___").replace('.', "_");
    format!("KAFKA_{}", name.to_uppercase())
}

/// A probe: the node answers an ApiVersions request (v0) with error code 0, bytes 9 and 10 of the answer.
pub(super) fn answers(port: u16) -> String {
    format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && printf '\\0\\0\\0\\12\\0\\22\\0\\0\\0\\0\\0\\1\\377\\377' >&3 && \
         timeout 2 head -c 10 <&3 | od -An -tx1 | grep -Eq '^( ..){{4}} 00 00 00 01 00 00'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_names_become_variables_as_cp_kafka_reads_them() {
        assert_eq!(variable("log.retention.ms"), "KAFKA_LOG_RETENTION_MS");
        assert_eq!(variable("listener.name.a_b-c.x"), "KAFKA_LISTENER_NAME_A__B___C_X");
    }
}
