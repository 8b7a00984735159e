//! Asks the engine for the states of a project's containers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::engine::{Container, Engine};
use crate::timeline::event::Kind;
use crate::timeline::record::Timeline;

/// Time between two questions.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long to wait for the engine.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Source of what the engine says.
pub const ENGINE: &str = "engine";

/// Observes the containers of a project until it is aborted.
pub async fn observe(engine: Arc<dyn Engine>, project: String, timeline: Timeline) {
    let mut told = Told::default();
    let mut failing = false;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = timeout(TIMEOUT, engine.project(&project)).await;
        match asked.unwrap_or_else(|_| Err(anyhow!("it did not list {project} within {TIMEOUT:?}"))) {
            Ok(answer) => {
                failing = false;
                for event in told.containers(&answer.containers) {
                    timeline.emit(ENGINE, event);
                }
            }
            Err(error) if !failing => {
                failing = true;
                let message = format!("the engine cannot tell the states of containers: {error:#}");
                timeline.emit(ENGINE, Kind::Warning { message });
            }
            Err(_) => {}
        }
    }
}

/// State of each container as it was told last, by service and number.
#[derive(Debug, Default)]
struct Told(BTreeMap<(String, u32), String>);

impl Told {
    fn containers(&mut self, containers: &[Container]) -> Vec<Kind> {
        let now: BTreeMap<(String, u32), String> = containers
            .iter()
            .map(|container| ((container.service.clone(), container.number), container.state.clone()))
            .collect();
        let mut events = Vec::new();
        for (service, number) in self.0.keys().filter(|key| !now.contains_key(*key)) {
            events.push(Kind::Container {
                service: service.clone(),
                number: *number,
                state: "removed".to_owned(),
                exit_code: None,
            });
        }
        for container in containers {
            let key = (container.service.clone(), container.number);
            if self.0.get(&key) != Some(&container.state) {
                events.push(Kind::Container {
                    service: key.0,
                    number: key.1,
                    state: container.state.clone(),
                    exit_code: exit_code(&container.status),
                });
            }
        }
        self.0 = now;
        events
    }
}

/// The code in Docker's `Exited (143) 2 seconds ago`.
fn exit_code(status: &str) -> Option<i64> {
    let (code, _) = status.strip_prefix("Exited (")?.split_once(')')?;
    code.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(service: &str, state: &str, status: &str) -> Container {
        Container {
            id: String::new(),
            name: format!("khd-{service}-1"),
            service: service.into(),
            number: 1,
            state: state.into(),
            health: None,
            status: status.into(),
            image: String::new(),
            image_id: String::new(),
            config_hash: String::new(),
            depends_on: Vec::new(),
            ports: Vec::new(),
            address: None,
        }
    }

    fn told(service: &str, state: &str, exit_code: Option<i64>) -> Kind {
        Kind::Container {
            service: service.into(),
            number: 1,
            state: state.into(),
            exit_code,
        }
    }

    #[test]
    fn only_changes_of_state_are_told_and_a_container_that_is_gone_is_removed() {
        let mut containers = Told::default();
        let up = [
            container("kafka1", "running", "Up 2 seconds"),
            container("kafka2", "running", "Up 2 seconds"),
        ];
        assert_eq!(
            containers.containers(&up),
            [told("kafka1", "running", None), told("kafka2", "running", None)]
        );
        let later = [
            container("kafka1", "running", "Up 3 seconds"),
            container("kafka2", "exited", "Exited (143) Less than a second ago"),
        ];
        assert_eq!(containers.containers(&later), [told("kafka2", "exited", Some(143))]);
        assert_eq!(containers.containers(&later[..1]), [told("kafka2", "removed", None)]);
        assert_eq!(containers.containers(&later[..1]), []);
    }
}
