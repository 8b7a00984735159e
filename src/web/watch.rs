//! Keeps a site up to date: what a lab's timeline tells, which faults its journal holds, which run is being recorded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};

use super::feed::Feed;
use super::run::Follower;
use super::site::{Sample, Site};
use super::state::{Fault, Latencies, Quantiles, Run, State};
use crate::faults::Injection;
use crate::faults::journal::Journal;
use crate::live::screen::{Model, OpenGaps, Screen};
use crate::prometheus;
use crate::state::LabDir;
use crate::timeline::event::{Event, Kind, Success};
use crate::timeline::record::Timeline;
use crate::timeline::view::View;
use crate::topology::{CONSUMER, COPIER, Expectation, PRODUCER, Topology};

/// Time between two states.
const STATES: Duration = Duration::from_millis(250);
/// Time between two samples.
const SAMPLES: Duration = Duration::from_secs(1);
/// Over which time latencies are told: some scrapes of Prometheus.
const LATENCY_WINDOW: &str = "15s";

/// A lab that is watched.
#[derive(Debug)]
pub struct Watched {
    /// What it looks like.
    pub topology: Topology,
    /// What must be true of it.
    pub expected: Expectation,
    /// What is known of it; observers fill it.
    pub timeline: Timeline,
    /// What khd keeps of it on disk.
    pub dir: LabDir,
    /// Where runs are recorded.
    pub runs: PathBuf,
}

/// Keeps the site up to date until it is dropped. It hears of every event from this call on.
pub fn watch(watched: Watched, site: Arc<Site>) -> impl Future<Output = ()> {
    let events = watched.timeline.live();
    keep(watched, events, site)
}

async fn keep(watched: Watched, mut events: broadcast::Receiver<Event>, site: Arc<Site>) {
    let latency = watch_latency(&watched);
    let view = watched.timeline.view();
    let mut lab = Lab::of(watched);
    let (mut states, mut samples) = (interval(STATES), interval(SAMPLES));
    states.set_missed_tick_behavior(MissedTickBehavior::Delay);
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => {
                    lab.screen.take(&event);
                    lab.feed.take(&event).into_iter().for_each(|line| site.add_line(line));
                }
                Err(RecvError::Lagged(_)) => lab.screen.forget_gaps(),
                Err(RecvError::Closed) => return,
            },
            _ = states.tick() => {
                lab.follow_journal();
                let run = lab.follow_run();
                lab.feed.of_gaps(lab.started()).into_iter().for_each(|line| site.add_line(line));
                site.set_state(lab.state(&view.borrow(), run, *latency.borrow()));
            }
            _ = samples.tick() => site.add_sample(sample(&site.state().borrow())),
        }
    }
}

/// What is known of a lab beside its view.
struct Lab {
    watched: Watched,
    screen: Screen,
    feed: Feed,
    follower: Follower,
    journal: Journal,
    faults: BTreeMap<u32, Injection>,
}

impl Lab {
    fn of(watched: Watched) -> Self {
        Self {
            follower: Follower::new(&watched.runs, &watched.topology.project, &watched.dir),
            journal: Journal::at(watched.dir.journal()),
            watched,
            screen: Screen::default(),
            feed: Feed::default(),
            faults: BTreeMap::new(),
        }
    }

    /// When its timeline started, in milliseconds since the Unix epoch.
    fn started(&self) -> i64 {
        Timestamp::now().as_millisecond() - self.watched.timeline.elapsed().as_millis() as i64
    }

    /// Tells the timeline of faults that came and went: with them the view knows whose word counts.
    fn follow_journal(&mut self) {
        // While it is being written it may be gone for a moment; the next look will do.
        let Ok(entries) = self.journal.entries() else {
            return;
        };
        let now: BTreeMap<u32, Injection> = entries.into_iter().map(|entry| (entry.id, entry)).collect();
        let timeline = &self.watched.timeline;
        for id in self.faults.keys().filter(|id| !now.contains_key(id)) {
            timeline.emit("khd", Kind::FaultUndone { id: *id });
        }
        for (id, fault) in now.iter().filter(|(id, fault)| self.faults.get(id) != Some(fault)) {
            if self.faults.contains_key(id) {
                timeline.emit("khd", Kind::FaultUndone { id: *id });
            }
            timeline.emit("khd", fault.injected(&self.watched.topology, Vec::new()));
        }
        self.faults = now;
    }

    /// The run that goes on. Tells the timeline how far that has brought a migration, which nobody else knows.
    fn follow_run(&mut self) -> Option<Run> {
        let run = self.follower.look(Timestamp::now());
        for event in self.follower.migration() {
            self.watched.timeline.emit("khd", event);
        }
        run
    }

    fn state(&mut self, view: &View, run: Option<Run>, latency: Option<Latencies>) -> State {
        let count = |service: &str| view.containers.keys().filter(|(of, _)| of == service).count() as u16;
        // Scaling is another khd's doing.
        self.watched.expected.workload.producers = count(PRODUCER);
        self.watched.expected.workload.consumers = count(CONSUMER);
        self.watched.expected.workload.copiers = count(COPIER);
        let now = self.watched.timeline.elapsed().as_millis() as u64;
        let model: Model = self.screen.model(view, now);
        let faults = self.faults.values().map(|fault| Fault {
            words: fault.words(),
            since: fault.since,
        });
        let state = State::of(&self.watched.topology.project, &self.watched.expected, view, model);
        State {
            latency: latency.filter(|_| state.lab == "up"),
            faults: faults.collect(),
            run,
            ..state
        }
    }
}

/// A state as charts draw it.
fn sample(state: &State) -> Sample {
    let latency = state.latency.unwrap_or_default();
    let longest = |of: Success| {
        let gaps = state.gaps.iter().filter(|gap| gap.of == of);
        gaps.map(|gap: &OpenGaps| gap.longest_ms).max().unwrap_or_default()
    };
    Sample {
        at: Timestamp::now().as_millisecond(),
        written: state.rates.map(|rates| rates.written),
        committed: state.rates.map(|rates| rates.committed),
        lag: state.lag,
        ack_p50: latency.acknowledged.p50,
        ack_p99: latency.acknowledged.p99,
        delivered_p50: latency.delivered.p50,
        delivered_p99: latency.delivered.p99,
        gap_ack_ms: longest(Success::Acknowledgement),
        gap_delivery_ms: longest(Success::Delivery),
        fault: !state.faults.is_empty(),
    }
}

/// Asks the lab's Prometheus for latencies, where it has one, as long as anybody wants to know.
fn watch_latency(watched: &Watched) -> tokio::sync::watch::Receiver<Option<Latencies>> {
    let (told, receiver) = tokio::sync::watch::channel(None);
    if let Some(monitoring) = &watched.topology.monitoring {
        let address = monitoring.prometheus;
        tokio::spawn(async move {
            while !told.is_closed() {
                let latency = latencies(address).await;
                told.send_replace(latency.ok());
                tokio::time::sleep(2 * SAMPLES).await; // as often as there is something new
            }
        });
    }
    receiver
}

async fn latencies(prometheus: SocketAddr) -> anyhow::Result<Latencies> {
    let quantile = async |quantile: f64, client: &str| {
        let buckets = format!("rate(khd_{client}_latency_seconds_bucket[{LATENCY_WINDOW}])");
        let query = format!("histogram_quantile({quantile}, sum by (le) ({buckets}))");
        prometheus::number(prometheus, &query).await
    };
    let quantiles = async |client: &str| {
        anyhow::Ok(Quantiles {
            p50: quantile(0.5, client).await?,
            p99: quantile(0.99, client).await?,
        })
    };
    Ok(Latencies {
        acknowledged: quantiles("producer").await?,
        delivered: quantiles("consumer").await?,
    })
}
