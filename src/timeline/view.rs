//! What is known of the lab at one moment: the fold of all events so far.
//!
//! Facts are kept by the broker that told them, because brokers differ: one that was cut off goes on naming itself
//! leader. [`View::told`] picks, for a partition, the newest fact (by leader epoch) among brokers that are to be believed.

use std::collections::{BTreeMap, BTreeSet};

use crate::timeline::event::{Event, FRESH, Kind, Member, TopicPartition};
use crate::topology::Expectation;
use crate::topology::migration::Phase;

/// Source of what KRaft's quorum says, whichever controller said it.
pub const QUORUM: &str = "quorum";

/// What is known of the lab.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// What each broker that was ever asked says, by broker id.
    pub brokers: BTreeMap<i32, BrokerView>,
    /// Mode of each ZooKeeper server that serves.
    pub zookeepers: BTreeMap<String, Option<String>>,
    /// Controller and controller epoch as ZooKeeper holds them, or those of KRaft's quorum.
    pub controller: Option<(i32, i32)>,
    /// KRaft's metadata quorum.
    pub quorum: Option<QuorumView>,
    /// The group as its coordinator describes it: of the witnesses that say they coordinate it, the one that said so last.
    pub group: Option<GroupView>,
    /// The latest generation of the group that a member told of.
    pub generation: Option<i32>,
    /// Sums of end offsets and committed offsets.
    pub offsets: Option<OffsetsView>,
    /// What to compare with since the last fault.
    pub last_fault: LastFault,
    /// State of each container, by service and number.
    pub containers: BTreeMap<(String, u32), String>,
    /// Faults in place, by their number in the run.
    pub faults: BTreeMap<u32, FaultView>,
    /// How many containers of a service of clients there shall be, where a drill changed that.
    pub scaled: BTreeMap<String, u16>,
    /// Between which phases of the migration from ZooKeeper to KRaft the lab is; the same one twice once it has come to it.
    pub migration: Option<(Phase, Phase)>,
    /// Milliseconds since the start, of the last event folded in.
    pub elapsed_ms: u64,
    expectation: Option<Box<Expectation>>,
}

/// What was so when the last fault came: what followed is measured from there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LastFault {
    /// Controller and controller epoch when it was injected.
    pub controller: Option<(i32, i32)>,
    /// When it took effect, in milliseconds since the start.
    pub effective_ms: Option<u64>,
    /// End offsets under it: the first sum that holds nothing older than its effect. What is committed beyond them was
    /// sent, and consumed, in spite of the fault.
    pub end: Option<i64>,
    /// Committed offsets under it, as who coordinates the group meanwhile had them: the first sum that holds nothing
    /// older. What is committed beyond them was committed to that broker.
    pub committed: Option<i64>,
}

/// KRaft's metadata quorum, as its leader describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumView {
    /// Node id of the leader; −1 for none.
    pub leader: i32,
    /// The epoch of the leader, or of the last one.
    pub leader_epoch: i32,
    /// Node ids of the controllers.
    pub voters: BTreeSet<i32>,
    /// Node ids of brokers that are no controllers.
    pub observers: BTreeSet<i32>,
    /// Those of both that have not caught up with the metadata log.
    pub lagging: BTreeSet<i32>,
}

impl QuorumView {
    /// Whether a node takes part: there is a leader, and the node has caught up with it.
    pub fn has(&self, node: i32) -> bool {
        let known = self.voters.contains(&node) || self.observers.contains(&node);
        self.leader >= 0 && known && !self.lagging.contains(&node)
    }
}

/// A fault in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultView {
    /// Its kind.
    pub fault: String,
    /// What it hits.
    pub targets: Vec<String>,
    /// Those of them that are out of the cluster.
    pub out: BTreeSet<String>,
    /// Whether its targets are in the lab only while it is in place.
    pub adds: bool,
    /// Whether it put out the broker that coordinated the group.
    pub took_coordinator: bool,
}

/// What one broker says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BrokerView {
    /// Whether it answers.
    pub answers: bool,
    /// The error of the last attempt, when it does not.
    pub error: Option<String>,
    /// The controller it names.
    pub controller: Option<i32>,
    /// The brokers it lists.
    pub lists: BTreeSet<i32>,
    /// What it says of each partition.
    pub partitions: BTreeMap<TopicPartition, PartitionView>,
    /// The group, while this broker says that it coordinates it, and when it said so, in milliseconds since the start.
    pub group: Option<(u64, GroupView)>,
    /// Transactional ids of those whose transactions it coordinates.
    pub transactions: BTreeSet<String>,
}

/// What a broker says of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// The leader; −1 for none.
    pub leader: i32,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// Replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// In-sync replicas.
    pub isr: BTreeSet<i32>,
}

/// The group as its coordinator describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Broker id of the coordinator.
    pub coordinator: i32,
    /// State in Kafka's words.
    pub state: String,
    /// The members.
    pub members: Vec<Member>,
}

/// Sums over partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetsView {
    /// Log end offsets.
    pub end: i64,
    /// Committed offsets.
    pub committed: i64,
    /// Partitions behind these sums.
    pub partitions: u32,
}

impl View {
    /// Folds one event in.
    pub fn apply(&mut self, event: &Event) {
        self.elapsed_ms = event.elapsed_ms;
        match &event.kind {
            Kind::RunStarted { expectation, .. } => self.expectation = Some(expectation.clone()),
            Kind::FaultInjected {
                id,
                fault,
                targets,
                out,
                adds,
                ..
            } => {
                let coordinator = self.group.as_ref().map(|group| group.coordinator);
                let is_coordinator = |service: &String| {
                    let id = self.expectation.as_ref().and_then(|e| e.broker_id(service));
                    id.is_some() && id == coordinator
                };
                let fault = FaultView {
                    took_coordinator: out.iter().any(is_coordinator),
                    fault: fault.clone(),
                    targets: targets.clone(),
                    out: out.clone(),
                    adds: *adds,
                };
                self.faults.insert(*id, fault);
                self.last_fault.controller = self.controller;
                self.find_coordinator();
            }
            Kind::FaultUndone { id } => {
                self.faults.remove(id);
                self.find_coordinator();
            }
            Kind::Scaled { service, replicas } => {
                self.scaled.insert(service.clone(), *replicas);
            }
            Kind::MigrationStarted { phase } => {
                let (_, from) = self.phases();
                self.migration = Some((from, *phase));
                if !phase.has_controllers() {
                    self.quorum = None;
                }
                if phase.is_controlled_by_kraft() {
                    let leads = |quorum: &QuorumView| (quorum.leader, quorum.leader_epoch);
                    self.controller = self.quorum.as_ref().map(leads);
                }
            }
            Kind::MigrationEnded { phase } => self.migration = Some((*phase, *phase)),
            Kind::ControllerElected { controller, epoch } if self.is_told_by_the_keeper(&event.source) => {
                self.controller = Some((*controller, *epoch));
            }
            Kind::Quorum {
                leader,
                leader_epoch,
                voters,
                observers,
                lagging,
            } => {
                self.quorum = Some(QuorumView {
                    leader: *leader,
                    leader_epoch: *leader_epoch,
                    voters: voters.clone(),
                    observers: observers.clone(),
                    lagging: lagging.clone(),
                });
            }
            Kind::ZooKeeper { mode, .. } => {
                self.zookeepers.insert(event.source.clone(), mode.clone());
            }
            Kind::Container {
                service, number, state, ..
            } => {
                let key = (service.clone(), *number);
                if state == "removed" {
                    self.containers.remove(&key);
                } else {
                    self.containers.insert(key, state.clone());
                }
            }
            Kind::Offsets {
                end,
                committed,
                partitions,
            } => {
                self.offsets = Some(OffsetsView {
                    end: *end,
                    committed: *committed,
                    partitions: *partitions,
                });
                let all_newer_than = |then| event.elapsed_ms >= then + FRESH.as_millis() as u64;
                if self.last_fault.effective_ms.is_some_and(all_newer_than) {
                    // Of one whose leader is gone, the last offset that this one told may be older than its last message.
                    if self.last_fault.end.is_none() && *partitions as usize >= self.led() {
                        self.last_fault.end = Some(*end);
                    }
                    if self.group_told().is_some_and(all_newer_than) {
                        self.last_fault.committed.get_or_insert(*committed);
                    }
                }
            }
            Kind::FaultEffective { .. } => {
                self.last_fault = LastFault {
                    controller: self.last_fault.controller,
                    effective_ms: Some(event.elapsed_ms),
                    ..LastFault::default()
                };
            }
            // One that joins late may tell of an older generation than another has told of already.
            Kind::PartitionsAssigned { generation, .. } => self.generation = self.generation.max(*generation),
            Kind::BrokerAnswers
            | Kind::BrokerSilent { .. }
            | Kind::Cluster { .. }
            | Kind::Partition { .. }
            | Kind::Group { .. }
            | Kind::CoordinatorLost { .. }
            | Kind::Transactions { .. } => {
                let asked = self.expectation.as_ref().and_then(|e| e.broker_id(&event.source));
                if let Some(id) = asked {
                    self.apply_broker(id, &event.kind);
                }
            }
            // Who is controller for those only who do not keep the metadata yet, or no more.
            Kind::ControllerElected { .. }
            | Kind::StepsPlanned { .. }
            | Kind::StepStarted { .. }
            | Kind::StepEnded { .. }
            | Kind::FaultHealed { .. }
            | Kind::Note { .. }
            | Kind::PartitionsRevoked { .. }
            | Kind::GapOpened { .. }
            | Kind::GapClosed { .. }
            | Kind::ClientError { .. }
            | Kind::Resources { .. }
            | Kind::Cut
            | Kind::Warning { .. }
            | Kind::RunEnded { .. } => {}
        }
    }

    fn apply_broker(&mut self, id: i32, kind: &Kind) {
        let broker = self.brokers.entry(id).or_default();
        match kind {
            Kind::BrokerAnswers => {
                broker.answers = true;
                broker.error = None;
            }
            Kind::BrokerSilent { error } => {
                // What it said before it fell silent is no longer known to be so.
                *broker = BrokerView {
                    error: Some(error.clone()),
                    ..BrokerView::default()
                };
            }
            Kind::Cluster { controller, brokers } => {
                broker.controller = Some(*controller);
                broker.lists = brokers.clone();
            }
            Kind::Partition {
                topic,
                partition,
                leader,
                leader_epoch,
                replicas,
                isr,
            } => {
                broker.partitions.insert(
                    (topic.clone(), *partition),
                    PartitionView {
                        leader: *leader,
                        leader_epoch: *leader_epoch,
                        replicas: replicas.clone(),
                        isr: isr.clone(),
                    },
                );
            }
            Kind::Group { state, members, .. } => {
                let group = GroupView {
                    coordinator: id,
                    state: state.clone(),
                    members: members.clone(),
                };
                broker.group = Some((self.elapsed_ms, group));
            }
            Kind::CoordinatorLost { .. } => broker.group = None,
            Kind::Transactions { ids } => broker.transactions.clone_from(ids),
            _ => {}
        }
        // A partition says nothing of the group, and there are too many of them to look again after each.
        if !matches!(kind, Kind::Partition { .. }) {
            self.find_coordinator();
        }
    }

    /// A broker that was paused believes for a moment that it still coordinates the group; when it learns better,
    /// what the true coordinator said before counts again.
    fn find_coordinator(&mut self) {
        let claims = self.witnesses().filter_map(|(_, broker)| broker.group.as_ref());
        self.group = claims.max_by_key(|(told, _)| *told).map(|(_, group)| group.clone());
    }

    /// How many partitions of the workload have a leader.
    fn led(&self) -> usize {
        let partitions = self.expectation.iter().flat_map(|expected| expected.partitions());
        let leads = |partition: &TopicPartition| self.told(partition).is_some_and(|fact| fact.leader >= 0);
        partitions.filter(leads).count()
    }

    /// When the group's coordinator last told something new of it.
    fn group_told(&self) -> Option<u64> {
        let claims = self.witnesses().filter_map(|(_, broker)| broker.group.as_ref());
        claims.map(|(told, _)| *told).max()
    }

    /// Between which phases of the migration from ZooKeeper to KRaft the lab is: from the first to the second one.
    pub fn phases(&self) -> (Phase, Phase) {
        let flavor = self
            .expectation
            .as_ref()
            .map(|expected| expected.flavor)
            .unwrap_or_default();
        self.migration.unwrap_or((flavor.into(), flavor.into()))
    }

    /// Whether the lab has to be as that is, in both of the phases between which it is.
    pub fn is_throughout(&self, what: impl Fn(Phase) -> bool) -> bool {
        let (from, to) = self.phases();
        what(from) && what(to)
    }

    /// Whether who says that somebody is controller may know: in a migration, ZooKeeper and KRaft's quorum have each their
    /// own, of which one counts.
    fn is_told_by_the_keeper(&self, source: &str) -> bool {
        let (_, to) = self.phases();
        to.is_controlled_by_kraft() == (source == QUORUM)
    }

    /// What a server is that keeps the metadata: `leader`, `follower`, or `standalone`; nothing where it does not serve.
    pub fn keeper(&self, service: &str, expected: &Expectation) -> Option<String> {
        let Some(id) = expected.controllers.get(service) else {
            return self.zookeepers.get(service).cloned().flatten();
        };
        let quorum = self.quorum.as_ref().filter(|quorum| quorum.has(*id))?;
        let leads = quorum.leader == *id;
        Some(if leads { "leader" } else { "follower" }.into())
    }

    /// Whom the lab has to do without while the faults are in place: `kafka2`, `consumer-1`.
    pub fn out(&self) -> impl Iterator<Item = &str> {
        self.faults
            .values()
            .flat_map(|fault| fault.out.iter().map(String::as_str))
    }

    /// Whom the lab has only while the faults are in place: `consumer-2`.
    pub fn added(&self) -> impl Iterator<Item = &str> {
        let adding = self.faults.values().filter(|fault| fault.adds);
        adding.flat_map(|fault| fault.targets.iter().map(String::as_str))
    }

    /// Whether the lab has to do without that one while the faults are in place.
    pub fn is_out(&self, name: &str) -> bool {
        self.faults.values().any(|fault| fault.out.contains(name))
    }

    /// Whether every client of a service is out.
    pub fn all_out(&self, service: &str) -> bool {
        let mut clients = self.containers.keys().filter(|(of, _)| of == service).peekable();
        clients.peek().is_some() && clients.all(|(_, number)| self.is_out(&format!("{service}-{number}")))
    }

    /// Brokers whose word counts: they answer, and no fault has put them out.
    pub fn witnesses(&self) -> impl Iterator<Item = (i32, &BrokerView)> {
        let faulted: BTreeSet<i32> = self
            .expectation
            .iter()
            .flat_map(|e| self.out().filter_map(|service| e.broker_id(service)))
            .collect();
        self.brokers
            .iter()
            .filter(move |(id, broker)| broker.answers && !faulted.contains(id))
            .map(|(id, broker)| (*id, broker))
    }

    /// The newest fact about a partition that any witness tells: of the latest leader epoch, and of those with the
    /// same the leader's own word, since an ISR changes without a new epoch and the leader is the first to know.
    pub fn told(&self, partition: &TopicPartition) -> Option<&PartitionView> {
        self.witnesses()
            .filter_map(|(id, broker)| Some((id, broker.partitions.get(partition)?)))
            .max_by_key(|(id, fact)| (fact.leader_epoch, *id == fact.leader))
            .map(|(_, fact)| fact)
    }
}
