//! What the page shows of a lab at one moment, as JSON.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::live::Rates;
use crate::live::screen::{Broker, Model, OpenGaps};
use crate::live::steps::{State as Progress, Step};
use crate::timeline::conditions;
use crate::timeline::view::View;
use crate::topology::Expectation;

/// A lab at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct State {
    /// The lab's name.
    pub project: String,
    /// `up`, or `absent` where it has no container.
    pub lab: &'static str,
    /// Whether nothing is lacking.
    pub healthy: bool,
    /// What it lacks.
    pub lacking: Vec<String>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its ZooKeeper servers.
    pub zookeepers: Vec<Keeper>,
    /// KRaft's controllers, which in combined mode are its brokers.
    pub controllers: Vec<Keeper>,
    /// Its brokers.
    pub brokers: Vec<Server>,
    /// The partitions that its workload uses.
    pub partitions: Vec<Partition>,
    /// The consumer group, as far as a coordinator tells.
    pub group: Option<Group>,
    /// Messages a second.
    pub rates: Option<Rates>,
    /// Messages in the log whose offsets the group has not committed.
    pub lag: Option<i64>,
    /// How long messages take, in seconds, where Prometheus tells.
    pub latency: Option<Latencies>,
    /// Gaps that are open.
    pub gaps: Vec<OpenGaps>,
    /// Faults in place.
    pub faults: Vec<Fault>,
    /// The run that is being recorded, or ended just now.
    pub run: Option<Run>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Container {
    service: String,
    number: u32,
    state: String,
}

/// One of those that keep the metadata.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Keeper {
    name: String,
    /// `leader`, `follower` or `standalone`; none while it does not serve.
    mode: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Server {
    id: i32,
    #[serde(flatten)]
    broker: Broker,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Partition {
    topic: String,
    partition: i32,
    /// −1 for none.
    leader: i32,
    replicas: Vec<i32>,
    isr: BTreeSet<i32>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Group {
    name: String,
    state: String,
    coordinator: String,
    members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Member {
    client: String,
    host: String,
    partitions: BTreeMap<String, BTreeSet<i32>>,
}

/// How long messages take, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Latencies {
    /// From a send to its acknowledgement.
    pub acknowledged: Quantiles,
    /// From a send to its delivery.
    pub delivered: Quantiles,
}

/// The median, and what 99 of 100 are below.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Quantiles {
    /// The median.
    pub p50: Option<f64>,
    /// What 99 of 100 are below.
    pub p99: Option<f64>,
}

/// A fault in place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Fault {
    /// It in words.
    pub words: String,
    /// Since when.
    pub since: Timestamp,
}

/// A run that is being recorded, or ended just now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Run {
    /// Its name, which is its folder's.
    pub name: String,
    /// The drill, or the command.
    pub title: String,
    /// Milliseconds since its start.
    pub elapsed_ms: u64,
    /// Its steps.
    pub steps: Vec<ShownStep>,
    /// Whether it has ended; it is judged then.
    pub ended: bool,
    /// What it came to, once that is known.
    pub outcome: Option<String>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ShownStep {
    words: String,
    state: &'static str,
    ms: u64,
}

impl ShownStep {
    /// A step, `now` in milliseconds since the start of the run.
    pub(super) fn of(step: Step, now: u64) -> Self {
        let (state, ms) = match step.state {
            Progress::Planned => ("planned", 0),
            Progress::Running(since) => ("running", now.saturating_sub(since)),
            Progress::Done(took) => ("done", took),
            Progress::Failed(took) => ("failed", took),
        };
        Self {
            words: step.words,
            state,
            ms,
        }
    }
}

impl State {
    /// What a view and the model made of it tell of a lab.
    pub(super) fn of(project: &str, expected: &Expectation, view: &View, model: Model) -> Self {
        let nothing = Self {
            project: project.to_owned(),
            lab: "absent",
            ..Self::default()
        };
        if view.containers.is_empty() {
            return nothing;
        }
        let lacking = conditions::whole(view, expected);
        let containers = view.containers.iter().map(|((service, number), state)| Container {
            service: service.clone(),
            number: *number,
            state: state.clone(),
        });
        let keepers = |names: &mut dyn Iterator<Item = &String>| {
            let keeper = |name: &String| Keeper {
                name: name.clone(),
                mode: view.keeper(name, expected),
            };
            names.map(keeper).collect()
        };
        let brokers = model.brokers.into_iter().map(|broker| Server {
            id: expected.broker_id(&broker.name).unwrap_or_default(),
            broker,
        });
        let partitions = expected.partitions().filter_map(|place| {
            let told = view.told(&place)?;
            let (topic, partition) = place;
            Some(Partition {
                topic,
                partition,
                leader: told.leader,
                replicas: told.replicas.clone(),
                isr: told.isr.clone(),
            })
        });
        Self {
            lab: "up",
            healthy: lacking.is_empty(),
            lacking,
            containers: containers.collect(),
            zookeepers: keepers(&mut expected.zookeepers.iter()),
            controllers: keepers(&mut expected.controllers.keys()),
            brokers: brokers.collect(),
            partitions: partitions.collect(),
            group: group(view, expected),
            rates: model.rates,
            lag: model.lag,
            gaps: model.gaps,
            ..nothing
        }
    }
}

fn group(view: &View, expected: &Expectation) -> Option<Group> {
    let group = view.group.as_ref()?;
    let members = group.members.iter().map(|member| Member {
        client: member.client.clone(),
        host: member.host.clone(),
        partitions: member.assigned.clone(),
    });
    Some(Group {
        name: expected.workload.group.clone(),
        state: group.state.clone(),
        coordinator: expected.node_service(group.coordinator),
        members: members.collect(),
    })
}
