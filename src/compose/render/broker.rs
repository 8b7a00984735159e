//! Brokers, which in KRaft's combined mode are controllers too, and their disks.

use indexmap::IndexMap;

use super::images::{NETHELPER_IMAGE, References};
use super::kafka::{INTER_BROKER_LISTENER, Node, answers, in_migration, in_quorum, properties, quorum};
use super::{environment, fixed, healthcheck, healthy, jmx_exporter, port, started, volume};
use crate::compose::model::{ComposeFile, Service, Volume};
use crate::settings::Settings;
use crate::topology::{Broker, CONTROLLER_PORT, DISKS, HOST_LISTENER_PORT, Topology};

/// Adds the brokers, and before them their disks, where these have a size.
pub(super) fn add(file: &mut ComposeFile, settings: &Settings, topology: &Topology, images: &References) {
    if let Some(size) = &settings.kafka.disk {
        let brokers = topology.brokers.iter();
        let bounded = brokers.map(|broker| (data_key(broker), memory_disk(size)));
        file.volumes.extend(bounded);
        super::add(file, DISKS, disks(topology));
    }
    for broker in &topology.brokers {
        super::add(file, &broker.service, service(settings, topology, broker, images));
    }
}

fn service(settings: &Settings, topology: &Topology, broker: &Broker, images: &References) -> Service {
    let mut environment = identity(topology, broker);
    environment.extend(listeners(topology, broker));
    let node = Node {
        service: &broker.service,
        heap: &settings.kafka.heap,
        jvm: settings.kafka.jvm,
    };
    environment.extend(node.environment());
    environment.extend(properties(settings, [&settings.kafka.properties]));
    environment.extend(jmx_exporter(topology, &images.kafka));
    let disks = settings.kafka.disk.as_ref().map(|_| started(DISKS));
    let as_controller = topology.combined(broker);
    let as_controller = as_controller.map(|controller| (CONTROLLER_PORT, controller.published));
    let keepers = topology.keepers().map(|service| healthy(service));
    Service {
        hostname: Some(broker.service.clone()),
        environment,
        ports: [(HOST_LISTENER_PORT, broker.published)]
            .into_iter()
            .chain(as_controller)
            .map(|(target, published)| port(topology, target, published.port()))
            .collect(),
        networks: fixed(broker.address.to_string()),
        volumes: vec![volume(&data_key(broker), super::kafka::DATA_PATH)],
        depends_on: keepers.chain(disks).collect(),
        healthcheck: Some(healthcheck(answers(broker.internal_port))),
        ..super::base(&images.kafka, &settings.kafka.mem_limit())
    }
}

/// Who it is, and who keeps the metadata.
fn identity(topology: &Topology, broker: &Broker) -> IndexMap<String, String> {
    if topology.flavor.is_kraft() {
        let roles = match topology.combined(broker) {
            Some(_) => "broker,controller",
            None => "broker",
        };
        return in_quorum(topology, broker.id, roles);
    }
    let mut variables = environment([
        ("KAFKA_BROKER_ID", broker.id.to_string()),
        ("KAFKA_ZOOKEEPER_CONNECT", topology.zookeeper_connect()),
    ]);
    if topology.phase.is_controlled_by_kraft() {
        variables.extend(in_migration(topology));
        variables.extend(quorum(topology));
    }
    variables
}

/// Where it listens: for the lab, for the host, and as a controller for other nodes.
fn listeners(topology: &Topology, broker: &Broker) -> IndexMap<String, String> {
    let both = |internal: &str, host: &str| format!("INTERNAL://{internal},HOST://{host}");
    let mut listeners = both(
        &format!("0.0.0.0:{}", broker.internal_port),
        &format!("0.0.0.0:{HOST_LISTENER_PORT}"),
    );
    let mut protocols = "INTERNAL:PLAINTEXT,HOST:PLAINTEXT".to_owned();
    if topology.combined(broker).is_some() {
        listeners += &format!(",CONTROLLER://0.0.0.0:{CONTROLLER_PORT}");
    }
    if topology.phase.is_controlled_by_kraft() {
        protocols += ",CONTROLLER:PLAINTEXT";
    }
    let advertised = both(
        &format!("{}:{}", broker.service, broker.internal_port),
        &broker.published.to_string(),
    );
    environment([
        ("KAFKA_LISTENERS", listeners),
        ("KAFKA_ADVERTISED_LISTENERS", advertised),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", protocols),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", INTER_BROKER_LISTENER.into()),
    ])
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
        ..super::base(NETHELPER_IMAGE, "32m")
    }
}
