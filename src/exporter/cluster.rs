//! What brokers, ZooKeeper servers and controllers told last, and whom to believe where they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{Broker, ZooKeeper};
use crate::kafka::wire::answers::{Metadata, PartitionMetadata, PartitionOffsets, QuorumDescription};
use crate::timeline::event::TopicPartition;

/// What was told last.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Brokers, by id.
    pub brokers: BTreeMap<i32, Told>,
    /// Modes of ZooKeeper servers, by name; nothing of one that does not serve.
    pub zookeepers: BTreeMap<String, Option<String>>,
    /// KRaft's controllers, by id.
    pub controllers: BTreeMap<i32, Controller>,
    /// The newest epoch of the quorum's leader that was told of.
    pub quorum_epoch: Option<i32>,
    /// Offsets, as the leader told them last.
    pub offsets: BTreeMap<TopicPartition, Offsets>,
}

/// A broker, and what it told last.
#[derive(Debug)]
pub struct Told {
    /// The broker.
    pub broker: Broker,
    /// Whether it answers.
    pub answers: bool,
    /// What it told last of the cluster.
    pub metadata: Option<Metadata>,
    /// The groups that it coordinated when it last told of them, by name.
    pub groups: BTreeMap<String, Group>,
    /// When it last told of them.
    pub grouped: Option<Instant>,
}

/// A controller, and what it told last.
#[derive(Debug)]
pub struct Controller {
    /// Its name.
    pub server: String,
    /// Whether it answers.
    pub answers: bool,
    /// The metadata quorum, if it leads it, or believes so.
    pub quorum: Option<QuorumDescription>,
}

/// A group, as its coordinator tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// How many members it has.
    pub members: usize,
    /// What it has committed.
    pub committed: PartitionOffsets,
}

/// What a leader told of a partition's offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// The epoch in which the broker believes to lead.
    pub epoch: i32,
    /// Offset of the first message, where it was told.
    pub begin: Option<i64>,
    /// Offset after the last message.
    pub end: i64,
}

impl Cluster {
    /// Before anybody answered.
    pub fn new(brokers: &[Broker], zookeepers: &[ZooKeeper], controllers: &[Broker]) -> Self {
        let told = |broker: &Broker| Told {
            broker: broker.clone(),
            answers: false,
            metadata: None,
            groups: BTreeMap::new(),
            grouped: None,
        };
        let silent = |controller: &Broker| Controller {
            server: controller.server.clone(),
            answers: false,
            quorum: None,
        };
        Self {
            brokers: brokers.iter().map(|broker| (broker.id, told(broker))).collect(),
            zookeepers: zookeepers.iter().map(|z| (z.server.clone(), None)).collect(),
            controllers: controllers.iter().map(|node| (node.id, silent(node))).collect(),
            quorum_epoch: None,
            offsets: BTreeMap::new(),
        }
    }

    /// Takes in what a controller answers, which tells of the quorum if it leads it; nothing where it does not answer.
    pub fn controller(&mut self, id: i32, told: Option<Option<QuorumDescription>>) {
        if let Some(controller) = self.controllers.get_mut(&id) {
            controller.answers = told.is_some();
            controller.quorum = told.flatten();
            let epoch = controller.quorum.as_ref().map(|quorum| quorum.epoch);
            self.quorum_epoch = self.quorum_epoch.max(epoch);
        }
    }

    /// The metadata quorum, by the leader of the newest epoch; nothing where nobody leads in that. One that was cut off or
    /// frozen has to find out that another was elected.
    pub fn quorum(&self) -> Option<&QuorumDescription> {
        let told = self.controllers.values().filter_map(|node| node.quorum.as_ref());
        told.max_by_key(|quorum| quorum.epoch)
            .filter(|quorum| Some(quorum.epoch) == self.quorum_epoch)
    }

    /// Takes in that a broker answers, and says whether that is news.
    pub fn answers(&mut self, id: i32, metadata: Metadata) -> bool {
        let Some(told) = self.brokers.get_mut(&id) else {
            return false;
        };
        told.metadata = Some(metadata);
        !std::mem::replace(&mut told.answers, true)
    }

    /// Takes in that a broker does not answer, and says whether that is news.
    pub fn silent(&mut self, id: i32) -> bool {
        let Some(told) = self.brokers.get_mut(&id) else {
            return false;
        };
        std::mem::replace(&mut told.answers, false)
    }

    /// Takes in the groups that a broker coordinates.
    pub fn groups(&mut self, id: i32, groups: BTreeMap<String, Group>) {
        if let Some(told) = self.brokers.get_mut(&id) {
            told.groups = groups;
            told.grouped = Some(Instant::now());
        }
    }

    /// Takes in offsets from a leader. Those of a partition whose leader is away stay as they were, as long as there is such a
    /// partition; a broker that was cut off goes on as the leader, and its epoch gives it away.
    pub fn offsets(&mut self, told: BTreeMap<TopicPartition, Offsets>) {
        for (partition, offsets) in told {
            let known = self.offsets.get(&partition);
            if known.is_none_or(|known| known.epoch <= offsets.epoch) {
                self.offsets.insert(partition, offsets);
            }
        }
        let there: BTreeSet<TopicPartition> = self
            .partitions()
            .into_keys()
            .map(|(topic, partition)| (topic.to_owned(), partition))
            .collect();
        self.offsets.retain(|partition, _| there.contains(partition));
    }

    /// Brokers whose word counts: those that answer, and where none does, all of them with what they told last.
    fn witnesses(&self) -> impl Iterator<Item = (&i32, &Told)> {
        let none = self.brokers.values().all(|told| !told.answers);
        self.brokers.iter().filter(move |(_, told)| told.answers || none)
    }

    /// What is believed of each partition: of the witnesses, the one with the newest leader epoch, and of several with
    /// the same the leader itself, which is the first to know its ISR.
    pub fn partitions(&self) -> BTreeMap<(&str, i32), &PartitionMetadata> {
        let mut best: BTreeMap<(&str, i32), (i32, &PartitionMetadata)> = BTreeMap::new();
        for (id, told) in self.witnesses() {
            for topic in told.metadata.iter().flat_map(|metadata| &metadata.topics) {
                for partition in &topic.partitions {
                    let weight = |who: i32, fact: &PartitionMetadata| (fact.leader_epoch, who == fact.leader);
                    let key = (topic.name.as_str(), partition.partition);
                    let known = best.get(&key).map(|(who, fact)| weight(*who, fact));
                    if known.is_none_or(|known| known < weight(*id, partition)) {
                        best.insert(key, (*id, partition));
                    }
                }
            }
        }
        best.into_iter().map(|(key, (_, fact))| (key, fact)).collect()
    }

    /// Every group, as it was told last: one whose coordinator is gone stays as it was until there is another.
    pub fn all_groups(&self) -> BTreeMap<&str, &Group> {
        let mut brokers: Vec<&Told> = self.brokers.values().collect();
        brokers.sort_by_key(|told| told.grouped);
        let told = brokers.into_iter().flat_map(|told| &told.groups);
        told.map(|(name, group)| (name.as_str(), group)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::wire::answers::TopicMetadata;

    fn metadata(leader: i32, leader_epoch: i32, isr: &[i32]) -> Metadata {
        Metadata {
            controller: 1,
            brokers: [1, 2, 3].into(),
            topics: vec![TopicMetadata {
                name: "t".into(),
                partitions: vec![PartitionMetadata {
                    partition: 0,
                    leader,
                    leader_epoch,
                    replicas: vec![1, 2, 3],
                    isr: isr.to_vec(),
                }],
            }],
        }
    }

    fn cluster() -> Cluster {
        let brokers: Vec<Broker> = (1..=3)
            .map(|id| format!("{id}@kafka{id}:9092").parse().unwrap())
            .collect();
        Cluster::new(&brokers, &[], &brokers)
    }

    #[test]
    fn the_newest_epoch_is_believed_and_then_the_leader() {
        let mut cluster = cluster();
        assert!(cluster.answers(1, metadata(1, 4, &[1])));
        assert!(!cluster.answers(1, metadata(1, 4, &[1])));
        assert_eq!(cluster.partitions()[&("t", 0)].isr, [1]);
        cluster.answers(3, metadata(2, 5, &[2]));
        assert_eq!(cluster.partitions()[&("t", 0)].isr, [2]);
        cluster.answers(2, metadata(2, 5, &[2, 3]));
        assert_eq!(cluster.partitions()[&("t", 0)].isr, [2, 3]);
    }

    #[test]
    fn a_silent_broker_is_a_witness_only_where_nobody_else_is() {
        let mut cluster = cluster();
        cluster.answers(1, metadata(1, 4, &[1]));
        let group = Group {
            members: 1,
            committed: Vec::new(),
        };
        cluster.groups(1, [("test".to_owned(), group)].into());
        assert_eq!(cluster.all_groups().len(), 1);
        assert!(cluster.silent(1));
        assert!(!cluster.silent(1));
        assert_eq!(cluster.partitions()[&("t", 0)].leader, 1);
        assert_eq!(cluster.all_groups()["test"].members, 1);
        cluster.answers(2, metadata(2, 3, &[2]));
        assert_eq!(cluster.partitions()[&("t", 0)].leader, 2);
        let moved = Group {
            members: 2,
            committed: Vec::new(),
        };
        cluster.groups(2, [("test".to_owned(), moved)].into());
        assert_eq!(cluster.all_groups()["test"].members, 2);
        // It comes back, and has not been asked for its groups yet.
        cluster.answers(1, metadata(1, 4, &[1]));
        assert_eq!(cluster.all_groups()["test"].members, 2);
    }

    #[test]
    fn offsets_of_an_old_leader_are_not_believed_and_those_of_a_topic_that_is_gone_are_forgotten() {
        let mut cluster = cluster();
        cluster.answers(1, metadata(1, 4, &[1]));
        let told = |epoch, end| {
            let begin = Some(0);
            [(("t".to_owned(), 0), Offsets { epoch, begin, end })].into()
        };
        let end = |cluster: &Cluster| cluster.offsets.get(&("t".to_owned(), 0)).map(|offsets| offsets.end);
        cluster.offsets(told(5, 100));
        cluster.offsets(told(4, 70));
        assert_eq!(end(&cluster), Some(100));
        cluster.offsets(told(6, 90));
        assert_eq!(end(&cluster), Some(90));
        let mut without = metadata(1, 4, &[1]);
        without.topics.clear();
        cluster.answers(1, without);
        cluster.offsets(BTreeMap::new());
        assert_eq!(end(&cluster), None);
    }

    #[test]
    fn an_old_leader_of_the_quorum_is_not_believed_and_one_that_is_gone_leaves_none() {
        let mut cluster = cluster();
        let leads = |leader, epoch| {
            let (voters, observers) = (Vec::new(), Vec::new());
            Some(Some(QuorumDescription {
                leader,
                epoch,
                voters,
                observers,
            }))
        };
        let leader = |cluster: &Cluster| cluster.quorum().map(|quorum| quorum.leader);
        assert_eq!(leader(&cluster), None);
        cluster.controller(1, leads(1, 4));
        cluster.controller(2, Some(None));
        assert_eq!(leader(&cluster), Some(1));
        cluster.controller(2, leads(2, 5));
        assert_eq!(leader(&cluster), Some(2));
        cluster.controller(2, None);
        assert_eq!(leader(&cluster), None);
        assert!(!cluster.controllers[&2].answers && cluster.controllers[&1].answers);
    }

    #[test]
    fn brokers_are_written_as_voters_are() {
        let broker: Broker = "2@kafka2:29092".parse().unwrap();
        assert_eq!(
            (broker.id, broker.server.as_str(), broker.address.as_str()),
            (2, "kafka2", "kafka2:29092")
        );
        for wrong in ["kafka2:29092", "x@kafka2:29092", "2@kafka2", "2@:1", "2@kafka2:port"] {
            assert!(wrong.parse::<Broker>().is_err(), "{wrong}");
        }
        assert!("zookeeper1".parse::<ZooKeeper>().is_err());
    }
}
