//! What brokers and ZooKeeper servers would tell the observers, scripted: a server lives while its container runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use khd::engine::Engine as _;
use khd::engine::fake::FakeEngine;
use khd::timeline::event::{Kind, Member, TopicPartition};
use khd::timeline::record::Timeline;
use khd::topology::Expectation;
use tokio::time::Instant;

use crate::lab::PROJECT;

/// How long a server takes from its container's start until it answers.
const BOOT: Duration = Duration::from_millis(300);

/// A cluster of which only changes are told, as by the real observers.
pub struct Cluster {
    expected: Expectation,
    alive: BTreeSet<String>,
    /// The controller and its epoch.
    controller: (i32, i32),
    /// Leader and leader epoch of each partition.
    leaders: BTreeMap<TopicPartition, (i32, i32)>,
    told: Vec<(String, Kind)>,
}

/// Looks at the containers at that pace, and tells of the cluster until it is aborted. A server that is `deathless` answers
/// whatever becomes of its container.
pub async fn tell(
    engine: Arc<FakeEngine>,
    timeline: Timeline,
    expected: Expectation,
    pace: Duration,
    deathless: Option<&'static str>,
) {
    let mut cluster = Cluster::new(expected);
    // Since when each container runs; those that ran before began long ago.
    let mut since: Option<BTreeMap<String, Option<Instant>>> = None;
    loop {
        // An engine that is gone takes no server with it.
        if let Ok(project) = engine.project(PROJECT).await {
            let before = since.take();
            let began = |service: &String| match &before {
                Some(before) => before.get(service).copied().unwrap_or_else(|| Some(Instant::now())),
                None => None,
            };
            let running = project.containers.iter().filter(|container| container.is_up());
            let now: BTreeMap<_, _> = running
                .map(|container| (container.service.clone(), began(&container.service)))
                .collect();
            let booted = now
                .iter()
                .filter(|(_, began)| began.is_none_or(|began| began.elapsed() >= BOOT))
                .map(|(service, _)| service.clone());
            let alive = booted.chain(deathless.map(str::to_owned)).collect();
            for (source, kind) in cluster.changes(alive) {
                timeline.emit(&source, kind);
            }
            since = Some(now);
        }
        tokio::time::sleep(pace).await;
    }
}

impl Cluster {
    fn new(expected: Expectation) -> Self {
        Self {
            expected,
            alive: BTreeSet::new(),
            // The broker that the drills hit, so that a controller has to be elected.
            controller: (2, 7),
            leaders: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    fn changes(&mut self, alive: BTreeSet<String>) -> Vec<(String, Kind)> {
        if alive == self.alive {
            return Vec::new();
        }
        self.alive = alive;
        let brokers = self.brokers();
        if !brokers.contains(&self.controller.0) {
            let next = brokers.first().copied().unwrap_or(-1);
            self.controller = (next, self.controller.1 + 1);
        }
        let partitions: Vec<TopicPartition> = self.expected.partitions().collect();
        for partition in partitions {
            let leader = replicas(&partition).into_iter().find(|id| brokers.contains(id));
            let known = self.leaders.entry(partition).or_insert((-1, 0));
            if leader.unwrap_or(-1) != known.0 {
                *known = (leader.unwrap_or(-1), known.1 + 1);
            }
        }
        let facts = self.facts(&brokers);
        let mut changes: Vec<(String, Kind)> = Vec::new();
        for (source, kind) in &self.told {
            // It answers still, and coordinates the group no longer.
            let coordinates = |(who, what): &(String, Kind)| who == source && matches!(what, Kind::Group { .. });
            if let Kind::Group { group, .. } = kind
                && self.alive.contains(source)
                && !facts.iter().any(coordinates)
            {
                changes.push((source.clone(), Kind::CoordinatorLost { group: group.clone() }));
            }
        }
        changes.extend(facts.iter().filter(|fact| !self.told.contains(fact)).cloned());
        self.told = facts;
        changes
    }

    /// Ids of the brokers that are alive.
    fn brokers(&self) -> BTreeSet<i32> {
        let services = self.expected.brokers.iter();
        let alive = services.filter(|(service, _)| self.alive.contains(*service));
        alive.map(|(_, id)| *id).collect()
    }

    /// All that can be told at this moment.
    fn facts(&self, brokers: &BTreeSet<i32>) -> Vec<(String, Kind)> {
        let mut facts = Vec::new();
        let zookeepers = self.expected.zookeepers.iter();
        let (serving, silent): (Vec<_>, Vec<_>) = zookeepers.partition(|server| self.alive.contains(*server));
        for (place, server) in serving.iter().enumerate() {
            let mode = if place == 0 { "leader" } else { "follower" };
            let (mode, error) = (Some(mode.to_owned()), None);
            facts.push(((*server).clone(), Kind::ZooKeeper { mode, error }));
        }
        for server in silent {
            let (mode, error) = (None, Some("connection refused".to_owned()));
            facts.push((server.clone(), Kind::ZooKeeper { mode, error }));
        }
        let (controller, epoch) = self.controller;
        if let Some(server) = serving.first() {
            // Whichever server is asked, it is ZooKeeper that says so.
            facts.push(((*server).clone(), Kind::ControllerElected { controller, epoch }));
        }
        for (service, id) in &self.expected.brokers {
            let mut tell = |kind: Kind| facts.push((service.clone(), kind));
            if !brokers.contains(id) {
                let error = "connection refused".to_owned();
                tell(Kind::BrokerSilent { error });
                continue;
            }
            tell(Kind::BrokerAnswers);
            let listed = brokers.clone();
            tell(Kind::Cluster {
                controller,
                brokers: listed,
            });
            for (partition, (leader, leader_epoch)) in &self.leaders {
                let replicas = replicas(partition);
                tell(Kind::Partition {
                    topic: partition.0.clone(),
                    partition: partition.1,
                    leader: *leader,
                    leader_epoch: *leader_epoch,
                    isr: replicas.iter().copied().filter(|id| brokers.contains(id)).collect(),
                    replicas,
                });
            }
            // Not the broker that most drills hit, where it can: these members commit nothing, and a group that lost its
            // coordinator has settled when it commits.
            let coordinator = brokers.last();
            if coordinator == Some(id) && self.expected.workload.consumers > 0 {
                tell(self.group());
            }
        }
        facts
    }

    fn group(&self) -> Kind {
        let mut assigned: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for (topic, partition) in self.expected.partitions() {
            assigned.entry(topic).or_default().insert(partition);
        }
        Kind::Group {
            group: self.expected.workload.group.clone(),
            state: "Stable".into(),
            members: vec![Member {
                id: "consumer-1".into(),
                client: "consumer-1".into(),
                host: "172.25.0.130".into(),
                assigned,
            }],
        }
    }
}

/// Replicas of a partition, the preferred leader first.
fn replicas((_, partition): &TopicPartition) -> Vec<i32> {
    (0..3).map(|place| (partition + place) % 3 + 1).collect()
}
