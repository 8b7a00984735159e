//! Settings of the lab's clients: producers, consumers and copiers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Properties, duration, scalar};

/// The producers of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Producer {
    /// How many producers `khd up` starts.
    pub replicas: u16,
    /// Time between two messages of one producer; zero is flat out.
    #[serde(with = "duration")]
    pub delay: Duration,
    /// Size of a message's value in bytes; values are padded up to it.
    pub size: usize,
    /// When the leader acknowledges a write.
    pub acks: Acks,
    /// Whether the broker drops what a retry sent twice; needs `acks: all`, and follows it when not set.
    pub idempotence: Option<bool>,
    /// librdkafka properties by their own names, put over khd's.
    #[serde(deserialize_with = "scalar::properties")]
    pub properties: Properties,
}

/// When a leader acknowledges a write, in Kafka's own terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(try_from = "scalar::Scalar")]
pub enum Acks {
    /// When every in-sync replica has it.
    #[serde(rename = "all")]
    All,
    /// When the leader has it.
    #[serde(rename = "1")]
    #[value(name = "1")]
    One,
    /// Never: the producer does not wait.
    #[serde(rename = "0")]
    #[value(name = "0")]
    Zero,
}

impl Acks {
    /// The word Kafka and Compose know it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::One => "1",
            Self::Zero => "0",
        }
    }
}

/// The consumers of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Consumer {
    /// How many consumers `khd up` starts.
    pub replicas: u16,
    /// The consumer group.
    pub group: String,
    /// By which protocol members and coordinator settle who reads what.
    pub group_protocol: GroupProtocol,
    /// How partitions are dealt out among the group's members, in the classic protocol.
    pub assignment: Assignment,
    /// Whether members keep their place in the group over a restart (`group.instance.id`).
    pub static_membership: bool,
    /// When members commit what they were given.
    pub commit: Commit,
    /// How long a member takes to process a message.
    #[serde(with = "duration")]
    pub processing_time: Duration,
    /// librdkafka properties by their own names, put over khd's.
    #[serde(deserialize_with = "scalar::properties")]
    pub properties: Properties,
}

/// The copiers of the lab: each copies records of the topics to other topics, exactly once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Copier {
    /// How many copiers `khd up` starts.
    pub replicas: u16,
    /// librdkafka properties by their own names, put over khd's, of the consumer and the producer that each copier has.
    #[serde(deserialize_with = "scalar::properties")]
    pub properties: Properties,
}

/// When a member commits the offsets of what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Commit {
    /// Once it is processed: a member that dies is followed by one that gets some of it again, and nothing is skipped.
    AfterProcessing,
    /// Before it is processed: a member that dies takes what it had committed with it.
    BeforeProcessing,
}

impl Commit {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AfterProcessing => "after-processing",
            Self::BeforeProcessing => "before-processing",
        }
    }
}

/// How the group's members and its coordinator settle who reads what, by Kafka's own names (`group.protocol`).
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum GroupProtocol {
    /// All members join anew at each rebalance, and one of them deals the partitions out.
    #[default]
    Classic,
    /// KIP-848: the coordinator deals out, and tells each member by its heartbeats what to give up or take. Kafka 4.
    Consumer,
}

impl GroupProtocol {
    /// Whether it is the classic one, which records from before the new one do not name.
    pub fn is_classic(&self) -> bool {
        *self == Self::Classic
    }

    /// The value of `group.protocol`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }

    /// What deals the partitions out: the classic protocol's `partition.assignment.strategy`, or an assignor of the
    /// coordinator's (`group.remote.assignor`), which moves as few as it can.
    pub fn assignor(self, assignment: Assignment) -> &'static str {
        match self {
            Self::Classic => assignment.strategy(),
            Self::Consumer => "uniform",
        }
    }
}

/// The group's assignment strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Assignment {
    /// Incremental rebalances: only partitions that move are revoked (`cooperative-sticky`).
    Cooperative,
    /// Every rebalance revokes everything first (`range,roundrobin`).
    Eager,
}

impl Assignment {
    /// The value of librdkafka's `partition.assignment.strategy`.
    pub fn strategy(self) -> &'static str {
        match self {
            Self::Cooperative => "cooperative-sticky",
            Self::Eager => "range,roundrobin",
        }
    }
}
