//! What a fault hits.

use serde::{Deserialize, Serialize};

use crate::engine::Project;
use crate::error::{Expected, nearest};
use crate::topology::{Expectation, Topology};

/// A container that a fault hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its service.
    pub service: String,
    /// Its number within the service.
    pub number: u32,
    /// The container's name.
    pub container: String,
    /// For a broker, how long ZooKeeper goes on holding its registration after a sudden death, in milliseconds.
    pub session_timeout_ms: Option<u64>,
}

/// Services that a fault can hit: brokers, then ZooKeeper servers.
pub fn services(topology: &Topology) -> Vec<&str> {
    let brokers = topology.brokers.iter().map(|b| b.service.as_str());
    brokers
        .chain(topology.zookeepers.iter().map(|z| z.service.as_str()))
        .collect()
}

/// Checks that a word names a service that a fault can hit.
///
/// # Errors
/// A usage error that lists the targets, the nearest first.
pub fn check(topology: &Topology, word: &str) -> Result<(), Expected> {
    let known = services(topology);
    if known.contains(&word) {
        return Ok(());
    }
    let all = format!("targets: {}", known.join(", "));
    Err(
        Expected::usage(format!("there is no target `{word}`")).hint(match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? ({all})"),
            None => all,
        }),
    )
}

/// The container that a service runs.
///
/// # Errors
/// An environment error when the lab has none.
pub fn resolve(project: &Project, expected: &Expectation, service: &str) -> Result<Target, Expected> {
    let container = project.containers.iter().find(|container| container.service == service);
    let container = container.ok_or_else(|| {
        Expected::environment(format!("the lab has no container for {service}")).hint("bring the lab up first: khd up")
    })?;
    Ok(Target {
        service: container.service.clone(),
        number: container.number,
        container: container.name.clone(),
        session_timeout_ms: expected.broker_id(service).map(|_| expected.session_timeout_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn an_unknown_target_lists_those_there_are() {
        let topology = Topology::of(&Settings::default());
        let error = check(&topology, "kafka9").unwrap_err();
        assert_eq!(error.message, "there is no target `kafka9`");
        assert_eq!(
            error.hint.unwrap(),
            "did you mean `kafka1`? (targets: kafka1, kafka2, kafka3, zookeeper1, zookeeper2, zookeeper3)"
        );
        check(&topology, "zookeeper2").unwrap();
    }
}
