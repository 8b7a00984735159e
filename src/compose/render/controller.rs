//! KRaft's controllers in processes of their own.

use super::images::References;
use super::kafka::{DATA_PATH, INTER_BROKER_LISTENER, Node, answers, in_migration, in_quorum, properties};
use super::{environment, fixed, healthcheck, jmx_exporter, port, volume};
use crate::compose::model::Service;
use crate::settings::Settings;
use crate::topology::{CONTROLLER_PORT, Controller, Topology};

/// A controller that is no broker.
pub(super) fn service(
    settings: &Settings,
    topology: &Topology,
    controller: &Controller,
    images: &References,
) -> Service {
    let mut environment = in_quorum(topology, controller.id, "controller")
        .into_iter()
        .chain(environment([
            ("KAFKA_LISTENERS", format!("CONTROLLER://0.0.0.0:{CONTROLLER_PORT}")),
            ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT".into()),
        ]))
        .collect::<indexmap::IndexMap<_, _>>();
    if topology.phase.needs_zookeeper() {
        environment.extend(in_migration(topology));
        // They talk to brokers of ZooKeeper's as their controller did, by the listener that these have for each other, and
        // register none that does not have it.
        environment.insert("KAFKA_INTER_BROKER_LISTENER_NAME".into(), INTER_BROKER_LISTENER.into());
        let protocols = format!("CONTROLLER:PLAINTEXT,{INTER_BROKER_LISTENER}:PLAINTEXT");
        environment.insert("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP".into(), protocols);
    }
    let node = Node {
        service: &controller.service,
        heap: &settings.controller.heap,
        jvm: settings.controller.jvm,
    };
    environment.extend(node.environment());
    // Whether a leader may be elected that is not in sync, for one, is what controllers are told, not brokers.
    let both = [&settings.kafka.properties, &settings.controller.properties];
    environment.extend(properties(settings, both));
    environment.extend(jmx_exporter(topology, &images.kafka));
    Service {
        hostname: Some(controller.service.clone()),
        environment,
        ports: vec![port(topology, CONTROLLER_PORT, controller.published.port())],
        networks: fixed(controller.address.to_string()),
        volumes: vec![volume(&format!("{}-data", controller.service), DATA_PATH)],
        healthcheck: Some(healthcheck(answers(CONTROLLER_PORT))),
        ..super::base(&images.kafka, &settings.controller.memory)
    }
}
