//! What the picture of a run shows: a model of lanes, made from the [`Evidence`] alone and drawn by the HTML report.
//!
//! `cluster` folds the events into servers, controller, group and partitions, `workload` reads rates, pauses and
//! rebalances from the ledgers, `feed` puts what is notable into words. Times are milliseconds since the run's start,
//! and whatever lasts is told by its stretches, so that the model grows with changes and not with time.

mod cluster;
mod feed;
mod rows;
mod stretch;
mod workload;

use jiff::Timestamp;
use serde::Serialize;

use crate::timeline::event::{Event, Kind};
use crate::verdicts::evidence::{Evidence, FaultTimes};

pub use cluster::{Controller, Group, Leadership, Server, ServerKind};
pub use feed::{Subject, Told};
pub use stretch::Stretch;
pub use workload::{Latency, LatencyPoint, Pause, Pauses, Rate, Rates, Rebalance, WorstPause};

/// What the picture of a run shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lanes {
    /// When the run started.
    pub started: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// The command, as typed.
    pub command: String,
    /// Brokers of the lab, by id.
    pub brokers: Vec<Broker>,
    /// The steps that it went through.
    pub steps: Vec<Stretch<Step>>,
    /// Its faults, by the time they were injected.
    pub faults: Vec<Fault>,
    /// Whether servers answered, and what state containers were in: brokers first, then ZooKeeper, then clients.
    pub servers: Vec<Server>,
    /// Which broker was the controller.
    pub controller: Vec<Stretch<Controller>>,
    /// State of the consumer group.
    pub group: Vec<Stretch<Group>>,
    /// Leader and ISR of every partition, and its pauses, in the order of the topics.
    pub partitions: Vec<Partition>,
    /// What rebalances gave to members and took from them.
    pub rebalances: Vec<Rebalance>,
    /// How much was acknowledged and delivered, if the ledgers could be collected.
    pub rates: Option<Rates>,
    /// How long it took until messages were acknowledged and delivered.
    pub latency: Latency,
    /// When nothing was acknowledged or delivered, if the ledgers could be collected.
    pub pauses: Option<Pauses>,
    /// What happened, in words.
    pub feed: Vec<Told>,
}

/// A broker of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Its service.
    pub service: String,
}

/// A step of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its number.
    pub step: u32,
    /// What sort of step: `fail`, `until`, `recover` …
    pub sort: String,
    /// What it does, in words.
    pub words: String,
    /// Whether what it waited for came true; `None` when it never ended.
    pub ok: Option<bool>,
    /// What was lacking, when it did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<String>,
    /// In which row it is drawn: those beside each other have different ones.
    pub row: usize,
}

/// A fault, and when it was in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its kind, such as `stop`.
    pub fault: String,
    /// What it hit.
    pub target: String,
    /// When it was injected.
    pub injected_ms: u64,
    /// When it was proven, if it was.
    pub effective_ms: Option<u64>,
    /// What proved it.
    pub proof: Option<String>,
    /// When it was undone, unless it was left in place.
    pub undone_ms: Option<u64>,
    /// In which row it is drawn: those in place at the same time have different ones.
    pub row: usize,
}

/// A partition over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Partition {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Who led it with which ISR, as witnesses told; nothing where none did.
    pub led: Vec<Stretch<Leadership>>,
    /// When nothing was acknowledged.
    pub unacknowledged: Vec<Pause>,
    /// When nothing was delivered.
    pub undelivered: Vec<Pause>,
}

impl Lanes {
    /// Makes the model of a run. The same evidence always gives the same lanes.
    pub fn of(evidence: &Evidence) -> Self {
        let first = evidence.events.first();
        let clock = Clock {
            start: first.map_or(0, |event| event.wall.as_millisecond() - event.elapsed_ms as i64),
            duration_ms: evidence.events.last().map_or(0, |event| event.elapsed_ms),
        };
        let mut cluster = cluster::fold(evidence, clock.duration_ms);
        let mut pauses = workload::pauses(evidence, clock);
        if let Some((_, by_partition)) = &mut pauses {
            for lane in &mut cluster.partitions {
                let key = (lane.topic.clone(), lane.partition);
                lane.unacknowledged = by_partition.unacknowledged.remove(&key).unwrap_or_default();
                lane.undelivered = by_partition.undelivered.remove(&key).unwrap_or_default();
            }
        }
        let rebalances = workload::rebalances(evidence, clock);
        let mut brokers: Vec<Broker> = evidence
            .expected
            .brokers
            .iter()
            .map(|(service, id)| Broker {
                id: *id,
                service: service.clone(),
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        Self {
            started: Timestamp::from_millisecond(clock.start).unwrap_or_default(),
            duration_ms: clock.duration_ms,
            command: match first.map(|event| &event.kind) {
                Some(Kind::RunStarted { command, .. }) => command.clone(),
                _ => String::new(),
            },
            brokers,
            steps: steps(&evidence.events, clock.duration_ms),
            faults: faults(evidence, clock.duration_ms),
            feed: feed::tell(evidence, &cluster.partitions, &rebalances),
            servers: cluster.servers,
            controller: cluster.controller,
            group: cluster.group,
            partitions: cluster.partitions,
            rebalances,
            rates: workload::rates(evidence, clock),
            latency: workload::latency(evidence, clock),
            pauses: pauses.map(|(pauses, _)| pauses),
        }
    }
}

/// Turns times of ledgers, which are wall-clock times, into times since the run's start.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// The run's start, in milliseconds since the Unix epoch.
    start: i64,
    duration_ms: u64,
}

impl Clock {
    /// Milliseconds since the start; what lies outside the run is moved to its nearer end.
    fn since_start(self, at: i64) -> u64 {
        u64::try_from(at - self.start).unwrap_or(0).min(self.duration_ms)
    }

    /// Whether a time is one of the run: a lab's ledgers begin before it.
    fn within(self, at: i64) -> bool {
        (self.start..=self.start + self.duration_ms as i64).contains(&at)
    }
}

fn steps(events: &[Event], end: u64) -> Vec<Stretch<Step>> {
    let mut steps: Vec<Stretch<Step>> = Vec::new();
    for event in events {
        match &event.kind {
            Kind::StepStarted { step, sort, words, .. } => steps.push(Stretch {
                from_ms: event.elapsed_ms,
                to_ms: end,
                what: Step {
                    step: *step,
                    sort: sort.clone(),
                    words: words.clone(),
                    ok: None,
                    lacking: Vec::new(),
                    row: 0,
                },
            }),
            Kind::StepEnded { step, ok, lacking } => {
                if let Some(open) = steps.iter_mut().rfind(|open| open.what.step == *step) {
                    open.to_ms = event.elapsed_ms;
                    open.what.ok = Some(*ok);
                    open.what.lacking = lacking.clone();
                }
            }
            _ => {}
        }
    }
    let rows = rows::rows(steps.iter().map(|step| (step.from_ms, step.to_ms)));
    for (step, row) in steps.iter_mut().zip(rows) {
        step.what.row = row;
    }
    steps
}

fn faults(evidence: &Evidence, end: u64) -> Vec<Fault> {
    let at = |place: usize| evidence.events[place].elapsed_ms;
    let of = |fault: &FaultTimes| Fault {
        fault: fault.fault.clone(),
        target: fault.targets.join(", "),
        injected_ms: at(fault.injected),
        effective_ms: fault.effective.as_ref().map(|(place, _)| at(*place)),
        proof: fault.effective.as_ref().map(|(_, proof)| proof.clone()),
        undone_ms: fault.undone.map(at),
        row: 0,
    };
    let mut faults: Vec<Fault> = evidence.faults.iter().map(of).collect();
    let times = faults
        .iter()
        .map(|fault| (fault.injected_ms, fault.undone_ms.unwrap_or(end)));
    let rows = rows::rows(times);
    for (fault, row) in faults.iter_mut().zip(rows) {
        fault.row = row;
    }
    faults
}

#[cfg(test)]
mod tests;
