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
    transactions: BTreeSet<String>,
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

    /// Takes in of whom the broker coordinates the transactions.
    pub fn transactions(&mut self, ids: BTreeSet<String>) -> Option<Kind> {
        if self.transactions == ids {
            return None;
        }
        self.transactions.clone_from(&ids);
        Some(Kind::Transactions { ids })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::wire::answers::TopicMetadata;

    fn partition(number: i32, leader: i32, epoch: i32, isr: &[i32]) -> PartitionMetadata {
        PartitionMetadata {
            partition: number,
            leader,
            leader_epoch: epoch,
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
        }
    }

    fn metadata(controller: i32, partitions: Vec<PartitionMetadata>) -> Metadata {
        Metadata {
            controller,
            brokers: [1, 2, 3].into(),
            topics: vec![TopicMetadata {
                name: "test-1".into(),
                partitions,
            }],
        }
    }

    fn names(events: &[Kind]) -> Vec<String> {
        let name = |event: &Kind| match event {
            Kind::BrokerAnswers => "answers".to_owned(),
            Kind::Cluster { controller, .. } => format!("controller {controller}"),
            Kind::Partition {
                partition, leader, isr, ..
            } => format!("{partition} led by {leader} isr {isr:?}"),
            other => format!("{other:?}"),
        };
        events.iter().map(name).collect()
    }

    fn group(state: &str) -> Option<GroupDescription> {
        Some(GroupDescription {
            state: state.into(),
            members: Vec::new(),
        })
    }

    #[test]
    fn only_what_changed_is_told() {
        let mut told = Told::default();
        let both = || vec![partition(0, 1, 1, &[1, 2, 3]), partition(1, 2, 1, &[1, 2, 3])];
        assert_eq!(
            names(&told.metadata(metadata(1, both()))),
            [
                "answers",
                "controller 1",
                "0 led by 1 isr {1, 2, 3}",
                "1 led by 2 isr {1, 2, 3}"
            ]
        );
        assert_eq!(told.metadata(metadata(1, both())), []);
        let moved = vec![partition(1, -1, 2, &[2]), partition(0, 1, 1, &[1, 2, 3])];
        assert_eq!(names(&told.metadata(metadata(1, moved))), ["1 led by -1 isr {2}"]);
        assert_eq!(names(&told.metadata(metadata(3, Vec::new()))), ["controller 3"]);
    }

    #[test]
    fn after_a_silence_everything_is_told_anew() {
        let mut told = Told::default();
        let one = || metadata(1, vec![partition(0, 1, 1, &[1, 2, 3])]);
        let first = told.metadata(one());
        told.group("test", group("Stable"));
        let silence = told.silent("refused".into());
        assert_eq!(
            silence,
            Some(Kind::BrokerSilent {
                error: "refused".into()
            })
        );
        assert_eq!(told.silent("timed out".into()), None);
        assert_eq!(told.metadata(one()), first);
        assert!(told.group("test", group("Stable")).is_some());
    }

    #[test]
    fn a_broker_that_never_answered_is_told_as_silent_once() {
        let mut told = Told::default();
        assert!(told.silent("refused".into()).is_some());
        assert!(told.silent("refused".into()).is_none());
    }

    #[test]
    fn the_group_is_told_by_its_coordinator_until_it_is_lost() {
        let mut told = Told::default();
        assert_eq!(told.group("test", None), None);
        assert!(matches!(told.group("test", group("Dead")), Some(Kind::Group { .. })));
        assert_eq!(told.group("test", group("Dead")), None);
        assert!(matches!(told.group("test", group("Stable")), Some(Kind::Group { .. })));
        assert_eq!(
            told.group("test", None),
            Some(Kind::CoordinatorLost { group: "test".into() })
        );
        assert_eq!(told.group("test", None), None);
    }

    #[test]
    fn partitions_led_are_those_that_the_broker_itself_says_it_leads() {
        let mut told = Told::default();
        told.metadata(metadata(
            1,
            vec![
                partition(0, 1, 4, &[1]),
                partition(1, 2, 5, &[2]),
                partition(2, -1, 6, &[1]),
            ],
        ));
        let led: Vec<Led<'_>> = told.led_by(1).collect();
        let expected = Led {
            topic: "test-1",
            partition: 0,
            epoch: 4,
        };
        assert_eq!(led, [expected]);
    }
}
