//! What one broker said last, and which events a new answer of it makes: only those of what changed.

use std::collections::{BTreeSet, HashMap};

use crate::kafka::wire::answers::{GroupDescription, Metadata, PartitionMetadata};
use crate::timeline::event::Kind;

/// What one broker said last.
#[derive(Debug, Default)]
pub struct Told {
    state: State,
    cluster: Option<(i32, BTreeSet<i32>)>,
    topics: HashMap<String, HashMap<i32, PartitionMetadata>>,
    group: Option<GroupDescription>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    NeverAsked,
    Answers,
    Silent,
}

/// A partition that a broker says it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Led<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The epoch it leads in.
    pub epoch: i32,
}

impl Told {
    /// Takes in metadata. The first after a silence is told whole, because nobody remembers what was said before.
    pub fn metadata(&mut self, metadata: Metadata) -> Vec<Kind> {
        let mut events = Vec::new();
        if self.state != State::Answers {
            self.state = State::Answers;
            events.push(Kind::BrokerAnswers);
        }
        let cluster = (metadata.controller, metadata.brokers);
        if self.cluster.as_ref() != Some(&cluster) {
            events.push(Kind::Cluster {
                controller: cluster.0,
                brokers: cluster.1.clone(),
            });
            self.cluster = Some(cluster);
        }
        for topic in metadata.topics {
            let told = self.topics.entry(topic.name.clone()).or_default();
            for partition in topic.partitions {
                if told.get(&partition.partition) != Some(&partition) {
                    events.push(partition_event(&topic.name, &partition));
                    told.insert(partition.partition, partition);
                }
            }
        }
        events
    }

    /// Takes in the description of a group, or that this broker does not coordinate it.
    pub fn group(&mut self, name: &str, description: Option<GroupDescription>) -> Option<Kind> {
        if self.group == description {
            return None;
        }
        self.group = description;
        Some(match &self.group {
            Some(group) => Kind::Group {
                group: name.to_owned(),
                state: group.state.clone(),
                members: group.members.clone(),
            },
            None => Kind::CoordinatorLost { group: name.to_owned() },
        })
    }

    /// Takes in that the broker does not answer, and forgets what it said.
    pub fn silent(&mut self, error: String) -> Option<Kind> {
        if self.state == State::Silent {
            return None;
        }
        *self = Self {
            state: State::Silent,
            ..Self::default()
        };
        Some(Kind::BrokerSilent { error })
    }

    /// Whether the broker coordinates the group.
    pub fn coordinates(&self) -> bool {
        self.group.is_some()
    }

    /// The partitions of which the broker says that `id` leads them.
    pub fn led_by(&self, id: i32) -> impl Iterator<Item = Led<'_>> {
        self.topics.iter().flat_map(move |(topic, partitions)| {
            let led = partitions.values().filter(move |partition| partition.leader == id);
            led.map(|partition| Led {
                topic,
                partition: partition.partition,
                epoch: partition.leader_epoch,
            })
        })
    }
}

fn partition_event(topic: &str, told: &PartitionMetadata) -> Kind {
    Kind::Partition {
        topic: topic.to_owned(),
        partition: told.partition,
        leader: told.leader,
        leader_epoch: told.leader_epoch,
        replicas: told.replicas.clone(),
        isr: told.isr.iter().copied().collect(),
    }
}
