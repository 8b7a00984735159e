//! Follows the output of clients for the events that they log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::engine::{Container, Engine, LogLine, LogOptions};
use crate::timeline::event::Kind;
use crate::timeline::record::Timeline;
use crate::topology::{CONSUMER, COPIER, PRODUCER};
use crate::workload::events;

/// Time between two looks for containers whose output is not followed yet.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait for the engine's list of containers.
const TIMEOUT: Duration = Duration::from_secs(10);
/// So many attempts in a row without a line that the output of a container can be read at all.
const ATTEMPTS: u32 = 4;

/// What happens to the output that is followed, and to which container's: by id, because a new one may have the name.
type Told = (String, Next);

enum Next {
    Line(anyhow::Result<LogLine>),
    End,
}

/// A container whose output is, or was, followed.
#[derive(Debug)]
struct Followed {
    /// Service and number, such as `consumer-1`.
    source: String,
    /// Where to go on: just after the last line.
    since: Timestamp,
    open: bool,
    /// Whether it was read to its end, with nothing to come before the container is started again.
    read: bool,
    /// Whether the reading that goes on has failed, and how many have, in a row, without a line.
    broken: bool,
    failures: u32,
}

/// Follows the clients of a project until it is aborted, from what they print from `begun` on.
///
/// What cannot be followed is tried again. A lost engine is no news here: the observer of containers tells it.
pub async fn observe(engine: Arc<dyn Engine>, project: String, begun: Timestamp, timeline: Timeline) {
    let mut followed: BTreeMap<String, Followed> = BTreeMap::new();
    let mut outputs: SelectAll<BoxStream<'static, Told>> = SelectAll::new();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let asked = timeout(TIMEOUT, engine.project(&project)).await;
                let Ok(Ok(answer)) = asked else { continue };
                let there: BTreeSet<&String> = answer.containers.iter().map(|container| &container.id).collect();
                followed.retain(|id, _| there.contains(id));
                for container in answer.containers.iter().filter(|container| is_client(container)) {
                    let one = followed.entry(container.id.clone()).or_insert_with(|| Followed {
                        source: format!("{}-{}", container.service, container.number),
                        since: begun,
                        open: false,
                        read: false,
                        broken: false,
                        failures: 0,
                    });
                    // One that came and went between two looks has printed something too.
                    one.read &= !container.is_up();
                    if !one.open && !one.read {
                        one.open = true;
                        outputs.push(follow(engine.as_ref(), container, one.since));
                    }
                }
            }
            Some((id, next)) = outputs.next() => {
                let Some(one) = followed.get_mut(&id) else { continue };
                if let Some(event) = one.take(next) {
                    timeline.emit(&one.source, event);
                }
            }
        }
    }
}

fn is_client(container: &Container) -> bool {
    [PRODUCER, CONSUMER, COPIER].contains(&container.service.as_str())
}

fn follow(engine: &dyn Engine, container: &Container, since: Timestamp) -> BoxStream<'static, Told> {
    let options = LogOptions {
        follow: true,
        since: Some(since),
        ..LogOptions::default()
    };
    let lines = engine.logs(&container.name, options).map(Next::Line);
    let end = async { Next::End }.into_stream();
    let id = container.id.clone();
    lines.chain(end).map(move |next| (id.clone(), next)).boxed()
}

impl Followed {
    /// Takes in what happened to the output, and gives what is to be told of it.
    fn take(&mut self, next: Next) -> Option<Kind> {
        match next {
            Next::Line(Ok(line)) => {
                self.failures = 0;
                if let Some(at) = line.at {
                    self.since = at + SignedDuration::from_nanos(1);
                }
                events::read(&line.text)
            }
            Next::Line(Err(error)) => {
                self.broken = true;
                self.failures += 1;
                (self.failures == ATTEMPTS).then(|| Kind::Warning {
                    message: format!("what {} goes through is not seen: {error:#}", self.source),
                })
            }
            Next::End => {
                self.open = false;
                self.read = !std::mem::take(&mut self.broken);
                if self.read {
                    self.failures = 0;
                }
                None
            }
        }
    }
}
