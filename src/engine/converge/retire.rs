//! Containers stopped in the order that lets each end well, and removed.

use futures_util::future::join_all;

use super::together;
use crate::engine::progress::step;
use crate::engine::{Container, Engine, Progress};

/// Stops containers with their grace periods, dependents before what they depend on, and removes them.
///
/// A broker that loses ZooKeeper while it shuts down waits for it until its grace period is over and is killed then,
/// so the order saves both time and a clean shutdown.
///
/// # Errors
/// The first failure of the engine, after all were tried.
pub async fn retire(engine: &dyn Engine, containers: &[Container], progress: &Progress) -> anyhow::Result<()> {
    let mut results = Vec::new();
    for wave in waves(containers) {
        let retiring = wave
            .into_iter()
            .map(|container| retire_one(engine, container, progress));
        results.extend(join_all(retiring).await);
    }
    together(results)
}

async fn retire_one(engine: &dyn Engine, container: &Container, progress: &Progress) -> anyhow::Result<()> {
    let name = container.name.as_str();
    if container.state == "paused" {
        // A frozen process would not see SIGTERM until it is too late.
        engine.unpause(name).await?;
    }
    if container.is_up() {
        step(progress, name, ("stopping", "stopped"), engine.stop(name, None)).await?;
    }
    step(progress, name, ("removing", "removed"), engine.remove_container(name)).await
}

/// Containers in the order of their end: none before those that depend on it.
fn waves(containers: &[Container]) -> Vec<Vec<&Container>> {
    let mut left: Vec<&Container> = containers.iter().collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let needed = |container: &Container| left.iter().any(|other| other.depends_on.contains(&container.service));
        let (later, now): (Vec<_>, Vec<_>) = left.iter().copied().partition(|container| needed(container));
        if now.is_empty() {
            // A circle, which labels written by others may hold: no order is better than any other.
            waves.push(later);
            break;
        }
        waves.push(now);
        left = later;
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(service: &str, depends_on: &[&str]) -> Container {
        Container {
            id: String::new(),
            name: service.into(),
            service: service.into(),
            number: 1,
            state: "running".into(),
            health: None,
            status: String::new(),
            image: String::new(),
            image_id: String::new(),
            config_hash: String::new(),
            depends_on: depends_on.iter().map(|s| (*s).to_owned()).collect(),
            ports: Vec::new(),
            address: None,
        }
    }

    fn order(containers: &[Container]) -> Vec<Vec<&str>> {
        waves(containers)
            .into_iter()
            .map(|wave| wave.into_iter().map(|container| container.service.as_str()).collect())
            .collect()
    }

    #[test]
    fn clients_end_before_brokers_and_brokers_before_zookeeper() {
        let lab = [
            container("zookeeper1", &[]),
            container("kafka1", &["zookeeper1"]),
            container("kafka2", &["zookeeper1"]),
            container("producer", &["kafka1", "kafka2"]),
        ];
        assert_eq!(
            order(&lab),
            [vec!["producer"], vec!["kafka1", "kafka2"], vec!["zookeeper1"]]
        );
    }

    #[test]
    fn a_circle_ends_all_the_same() {
        let circle = [container("a", &["b"]), container("b", &["a"])];
        assert_eq!(order(&circle), [vec!["a", "b"]]);
    }
}
