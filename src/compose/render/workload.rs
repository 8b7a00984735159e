//! The workload: producers, consumers and copiers.

use super::images::References;
use super::{flag, healthy, volume};
use crate::compose::model::{ComposeFile, Config, ConfigMount, Service};
use crate::settings::{Assignment, Commit, GroupProtocol, Properties, Settings, duration};
use crate::topology::{CLIENT_METRICS_PORT, CONSUMER, COPIER, COPY_GROUP, PRODUCER, Topology};

/// Key of the volume that holds the ledgers: it outlives the containers that write it.
pub const LEDGERS: &str = "ledgers";
/// Where the ledgers' volume is mounted.
const LEDGERS_PATH: &str = "/var/lib/khd";

/// Adds the clients, and what their client library is told.
pub(super) fn add(file: &mut ComposeFile, settings: &Settings, topology: &Topology, images: &References) {
    super::add(file, PRODUCER, producer(settings, topology, images));
    super::add(file, CONSUMER, consumer(settings, topology, images));
    super::add(file, COPIER, copier(topology, images));
}

/// The configs of all.
pub(super) fn configs(settings: &Settings) -> impl Iterator<Item = (String, Config)> {
    let all = [
        (PRODUCER, &settings.producer.properties),
        (CONSUMER, &settings.consumer.properties),
        (COPIER, &settings.copier.properties),
    ];
    all.into_iter().map(|(client, properties)| {
        let content = client_properties(client, properties);
        (client_config(client), Config { content })
    })
}

fn producer(settings: &Settings, topology: &Topology, images: &References) -> Service {
    let workload = &topology.workload;
    let mut arguments = vec![
        flag("topics", workload.topics.join(",")),
        flag("partitions", workload.partitions.to_string()),
        flag("replication-factor", workload.replication_factor.to_string()),
        flag("min-insync-replicas", workload.min_insync_replicas.to_string()),
        flag("delay", duration::format(settings.producer.delay)),
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
    let assignment = || match settings.consumer.assignment {
        Assignment::Cooperative => "cooperative",
        Assignment::Eager => "eager",
    };
    let mut arguments = vec![
        flag("topics", workload.topics.join(",")),
        flag("group", workload.group.clone()),
    ];
    match settings.consumer.group_protocol {
        GroupProtocol::Classic => arguments.push(flag("assignment", assignment().into())),
        protocol => arguments.push(flag("group-protocol", protocol.as_str().into())),
    }
    if settings.consumer.static_membership {
        arguments.push("--static-membership".into());
    }
    if settings.consumer.commit != Commit::AfterProcessing {
        arguments.push(flag("commit", settings.consumer.commit.as_str().into()));
    }
    if !settings.consumer.processing_time.is_zero() {
        let time = duration::format(settings.consumer.processing_time);
        arguments.push(flag("processing-time", time));
    }
    client(CONSUMER, "consume", arguments, workload.consumers, topology, images)
}

fn copier(topology: &Topology, images: &References) -> Service {
    let workload = &topology.workload;
    let arguments = vec![
        flag("topics", workload.topics.join(",")),
        flag("group", COPY_GROUP.into()),
        flag("replication-factor", workload.replication_factor.to_string()),
        flag("min-insync-replicas", workload.min_insync_replicas.to_string()),
    ];
    client(COPIER, "copy", arguments, workload.copiers, topology, images)
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
    // What a copier did stands in the log: it keeps no ledger, and serves no metrics.
    let tells = name != COPIER;
    let metrics = format!("0.0.0.0:{CLIENT_METRICS_PORT}");
    let common = [
        Some(flag("brokers", topology.internal_bootstrap())),
        Some(flag("client-config", config.target.clone())),
        tells.then(|| flag("ledger", LEDGERS_PATH.into())),
        Some(flag("log-format", "json".into())),
        (tells && topology.monitoring.is_some()).then(|| flag("metrics", metrics)),
    ];
    Service {
        command: [command.to_owned()]
            .into_iter()
            .chain(common.into_iter().flatten())
            .chain(arguments)
            .collect(),
        volumes: tells.then(|| volume(LEDGERS, LEDGERS_PATH)).into_iter().collect(),
        configs: vec![config],
        depends_on: topology.brokers.iter().map(|b| healthy(&b.service)).collect(),
        scale: replicas,
        // A producer flushes for at most a little more than message.timeout.ms.
        stop_grace_period: "40s".into(),
        ..super::base(&images.khd, "256m")
    }
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
