//! The cluster over time: the events of a run, folded through the same [`View`] that waits and checks ask.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::Serialize;

use super::Partition;
use super::stretch::{Stretch, Track};
use crate::timeline::event::{Event, Kind, TopicPartition};
use crate::timeline::view::View;
use crate::topology::Expectation;
use crate::verdicts::evidence::Evidence;

/// A server or client of the lab over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Server {
    /// Its service; with its number, where there are several of one.
    pub name: String,
    /// What it is.
    pub kind: ServerKind,
    /// Whether it answered when khd asked; nothing for clients, which are not asked.
    pub reach: Vec<Stretch<Reach>>,
    /// State of its container, as the engine told it.
    pub container: Vec<Stretch<Container>>,
}

/// What a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerKind {
    /// A broker.
    Broker,
    /// A ZooKeeper server.
    Zookeeper,
    /// A controller of KRaft that is no broker.
    Controller,
    /// A producer, a consumer, or another service.
    Client,
}

/// Whether a server answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Whether it did.
    pub answers: bool,
    /// A ZooKeeper server's or controller's mode, or the error of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// State of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// `running`, `exited`, `paused` …
    pub state: String,
    /// Exit code, where it exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
}

/// The controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// Its node id; −1 between the end of one and the election of the next.
    pub controller: i32,
    /// Its epoch, where ZooKeeper or the quorum told it.
    pub epoch: Option<i32>,
}

/// The consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// State in Kafka's words.
    pub state: String,
    /// Broker id of the coordinator.
    pub coordinator: i32,
    /// How many members.
    pub members: usize,
}

/// Who leads a partition, and with whom in sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leadership {
    /// The leader; −1 for none.
    pub leader: i32,
    /// Its epoch.
    pub epoch: i32,
    /// In-sync replicas.
    pub isr: BTreeSet<i32>,
}

pub(super) struct Cluster {
    pub(super) servers: Vec<Server>,
    pub(super) controller: Vec<Stretch<Controller>>,
    pub(super) group: Vec<Stretch<Group>>,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Default)]
struct Tracks {
    reach: IndexMap<String, Track<Reach>>,
    containers: IndexMap<(String, u32), Track<Container>>,
    controller: Track<Controller>,
    group: Track<Group>,
    partitions: IndexMap<TopicPartition, (Vec<i32>, Track<Leadership>)>,
}

/// Folds all events of a run that lasted until `end`.
pub(super) fn fold(evidence: &Evidence, end: u64) -> Cluster {
    let mut tracks = Tracks::default();
    let expected = &evidence.expected;
    let servers = expected.brokers.keys().chain(expected.keepers());
    tracks.reach = servers.map(|name| (name.clone(), Track::default())).collect();
    tracks.partitions = evidence
        .expected
        .partitions()
        .map(|key| (key, Default::default()))
        .collect();
    let mut view = View::default();
    for event in &evidence.events {
        view.apply(event);
        tracks.follow(event, &view, expected);
    }
    let Tracks {
        mut reach,
        containers,
        controller,
        group,
        partitions,
    } = tracks;
    let several = |service: &str| containers.keys().filter(|(other, _)| other == service).count() > 1;
    let named = |service: &str, number: u32| {
        if several(service) {
            format!("{service}-{number}")
        } else {
            service.to_owned()
        }
    };
    let names: Vec<String> = containers.keys().map(|(service, n)| named(service, *n)).collect();
    let mut states: IndexMap<String, Vec<Stretch<Container>>> = names
        .into_iter()
        .zip(containers.into_values().map(|track| track.end(end)))
        .collect();
    let asked: Vec<String> = reach.keys().cloned().collect();
    let mut lanes: Vec<Server> = asked
        .into_iter()
        .map(|name| Server {
            kind: match expected.broker_id(&name) {
                Some(_) => ServerKind::Broker,
                None if expected.controllers.contains_key(&name) => ServerKind::Controller,
                None => ServerKind::Zookeeper,
            },
            reach: reach.swap_remove(&name).map(|track| track.end(end)).unwrap_or_default(),
            container: states.swap_remove(&name).unwrap_or_default(),
            name,
        })
        .collect();
    states.sort_unstable_keys();
    lanes.extend(states.into_iter().map(|(name, container)| Server {
        name,
        kind: ServerKind::Client,
        reach: Vec::new(),
        container,
    }));
    Cluster {
        servers: lanes,
        controller: controller.end(end),
        group: group.end(end),
        partitions: partitions
            .into_iter()
            .map(|((topic, partition), (replicas, track))| Partition {
                topic,
                partition,
                replicas,
                led: track.end(end),
                unacknowledged: Vec::new(),
                undelivered: Vec::new(),
            })
            .collect(),
    }
}

impl Tracks {
    /// Takes in one event, which `view` knows of already.
    fn follow(&mut self, event: &Event, view: &View, expected: &Expectation) {
        let at = event.elapsed_ms;
        match &event.kind {
            Kind::BrokerAnswers => self.reached(at, &event.source, true, None),
            Kind::BrokerSilent { error } => self.reached(at, &event.source, false, Some(error)),
            Kind::ZooKeeper { mode, error } => {
                self.reached(at, &event.source, mode.is_some(), mode.as_ref().or(error.as_ref()));
            }
            // They tell of all of them.
            Kind::Quorum { .. } | Kind::MigrationStarted { .. } => {
                for name in expected
                    .keepers()
                    .filter(|name| expected.controllers.contains_key(*name))
                {
                    let mode = view.keeper(name, expected);
                    self.reached(at, name, mode.is_some(), mode.as_ref());
                }
            }
            Kind::Container {
                service,
                number,
                state,
                exit_code,
            } => {
                let track = self.containers.entry((service.clone(), *number)).or_default();
                let container = Container {
                    state: state.clone(),
                    exit_code: *exit_code,
                };
                track.set(at, (state != "removed").then_some(container));
            }
            Kind::Partition {
                topic,
                partition,
                replicas,
                ..
            } => {
                let (known, track) = self.partitions.entry((topic.clone(), *partition)).or_default();
                known.clone_from(replicas);
                track.set(at, leadership(view, &(topic.clone(), *partition)));
                return;
            }
            // These change who is a witness.
            _ => {}
        }
        if matches!(
            event.kind,
            Kind::BrokerAnswers | Kind::BrokerSilent { .. } | Kind::FaultInjected { .. } | Kind::FaultUndone { .. }
        ) {
            for (key, (_, track)) in &mut self.partitions {
                track.set(at, leadership(view, key));
            }
        }
        self.controller.set(at, controller(view));
        let group = view.group.as_ref().map(|group| Group {
            state: group.state.clone(),
            coordinator: group.coordinator,
            members: group.members.len(),
        });
        self.group.set(at, group);
    }

    fn reached(&mut self, at: u64, server: &str, answers: bool, note: Option<&String>) {
        let reach = Reach {
            answers,
            note: note.cloned(),
        };
        self.reach.entry(server.to_owned()).or_default().set(at, Some(reach));
    }
}

fn leadership(view: &View, partition: &TopicPartition) -> Option<Leadership> {
    view.told(partition).map(|fact| Leadership {
        leader: fact.leader,
        epoch: fact.leader_epoch,
        isr: fact.isr.clone(),
    })
}

/// The controller as ZooKeeper holds it, or the leader of KRaft's quorum; where it told none, the one that all witnesses name.
fn controller(view: &View) -> Option<Controller> {
    if let Some((controller, epoch)) = view.controller {
        return Some(Controller {
            controller,
            epoch: Some(epoch),
        });
    }
    let named: BTreeSet<Option<i32>> = view.witnesses().map(|(_, broker)| broker.controller).collect();
    match named.first() {
        Some(Some(controller)) if named.len() == 1 => Some(Controller {
            controller: *controller,
            epoch: None,
        }),
        _ => None,
    }
}
