//! Asks the engine what each running container uses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::engine::{Container, Engine, Usage};
use crate::observe::containers::ENGINE;
use crate::timeline::event::Kind;
use crate::timeline::record::Timeline;

/// Time between two samples, at least.
const INTERVAL: Duration = Duration::from_secs(2);
/// How many times as long as a sample takes the time between two is, at least: what is measured must not be the
/// measuring. An engine on another machine needs 15 ms of processor time for one container.
const RARELY: u32 = 100;
/// Longest time between two samples, however slow the engine was.
const LONGEST: Duration = Duration::from_secs(30);
/// How long to wait for one.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Samples the containers of a project until it is aborted. What the engine does not tell is left out: an engine that
/// is lost, the observer of containers tells of.
pub async fn observe(engine: Arc<dyn Engine>, project: String, timeline: Timeline) {
    let mut samples = Samples::default();
    loop {
        let begun = Instant::now();
        let mut cost = Duration::ZERO;
        if let Ok(Ok(project)) = timeout(TIMEOUT, engine.project(&project)).await {
            let asked = Instant::now();
            let told = usages(engine.as_ref(), project.containers).await;
            cost = asked.elapsed();
            for event in samples.take(&told) {
                timeline.emit(ENGINE, event);
            }
        }
        let pause = (cost * RARELY).clamp(INTERVAL, LONGEST);
        sleep(pause.saturating_sub(begun.elapsed())).await;
    }
}

/// What each running container uses. One after the other: all at once would be a peak of load.
async fn usages(engine: &dyn Engine, containers: Vec<Container>) -> Vec<(Container, Usage)> {
    let mut told = Vec::new();
    for container in containers.into_iter().filter(|one| one.state == "running") {
        match timeout(TIMEOUT, engine.usage(&container.name)).await {
            Ok(Ok(usage)) => told.push((container, usage)),
            // It was stopped just now.
            Ok(Err(_)) => {}
            // An engine that hangs is not waited for once more for each container.
            Err(_) => break,
        }
    }
    told
}

/// The last sample of each container, by id.
#[derive(Debug, Default)]
struct Samples(BTreeMap<String, Usage>);

impl Samples {
    /// Takes in a round of samples, and gives those that can be compared with the one before.
    fn take(&mut self, round: &[(Container, Usage)]) -> Vec<Kind> {
        let before = std::mem::take(&mut self.0);
        let mut events = Vec::new();
        for (container, usage) in round {
            self.0.insert(container.id.clone(), *usage);
            let Some(cpu) = before.get(&container.id).and_then(|before| cores(before, usage)) else {
                continue;
            };
            events.push(Kind::Resources {
                service: container.service.clone(),
                number: container.number,
                cpu,
                memory: usage.memory,
                received: usage.received,
                sent: usage.sent,
                read: usage.read,
                written: usage.written,
            });
        }
        events
    }
}

/// How many cores were busy between two samples, to a thousandth. `None` when the container was started in between.
fn cores(before: &Usage, now: &Usage) -> Option<f64> {
    let elapsed = now.at.duration_since(before.at).as_nanos();
    let used = now.cpu_ns.checked_sub(before.cpu_ns)?;
    (elapsed > 0).then(|| (used as f64 / elapsed as f64 * 1_000.0).round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn usage(at_ms: i64, cpu_ms: u64) -> Usage {
        Usage {
            at: Timestamp::from_millisecond(at_ms).unwrap(),
            cpu_ns: cpu_ms * 1_000_000,
            memory: 5,
            received: 4,
            sent: 3,
            read: 2,
            written: 1,
        }
    }

    fn container(service: &str) -> Container {
        Container {
            id: format!("id of {service}"),
            name: format!("khd-{service}-1"),
            service: service.into(),
            number: 1,
            state: "running".into(),
            health: None,
            status: String::new(),
            image: String::new(),
            image_id: String::new(),
            config_hash: String::new(),
            depends_on: Vec::new(),
            ports: Vec::new(),
            address: None,
        }
    }

    fn told(service: &str, cpu: f64) -> Kind {
        Kind::Resources {
            service: service.into(),
            number: 1,
            cpu,
            memory: 5,
            received: 4,
            sent: 3,
            read: 2,
            written: 1,
        }
    }

    #[test]
    fn processor_time_is_told_in_cores_from_the_second_sample_on() {
        let mut samples = Samples::default();
        let kafka = container("kafka1");
        assert_eq!(samples.take(&[(kafka.clone(), usage(0, 1_000))]), []);
        let second = [
            (kafka.clone(), usage(2_000, 4_000)),
            (container("kafka2"), usage(2_000, 1)),
        ];
        assert_eq!(samples.take(&second), [told("kafka1", 1.5)]);
        let third = [
            (kafka.clone(), usage(4_000, 4_000)),
            (container("kafka2"), usage(4_000, 25)),
        ];
        assert_eq!(samples.take(&third), [told("kafka1", 0.0), told("kafka2", 0.012)]);
    }

    #[test]
    fn a_container_that_was_started_again_begins_anew() {
        let mut samples = Samples::default();
        let kafka = container("kafka1");
        samples.take(&[(kafka.clone(), usage(0, 9_000))]);
        assert_eq!(samples.take(&[(kafka.clone(), usage(2_000, 10))]), []);
        assert_eq!(
            samples.take(&[(kafka.clone(), usage(4_000, 1_010))]),
            [told("kafka1", 0.5)]
        );
        // One that the engine did not tell of in between.
        assert_eq!(samples.take(&[]), []);
        assert_eq!(samples.take(&[(kafka, usage(8_000, 1_010))]), []);
    }
}
