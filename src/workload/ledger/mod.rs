//! Ledgers: what each producer was told, and what each consumer delivered.
//!
//! Each process appends to a file of its own, `producer-<id>.jsonl` or `consumer-<id>.jsonl`: one JSON object a
//! line, each line one `write(2)`, never rewritten. A file is whole up to its last line feed whenever it is
//! read, also when its process was killed (it is not synced to the disk: a power cut may take its end).
//!
//! [`Writer`] writes them, [`Ledgers`](history::Ledgers) reads them. Times are milliseconds since the Unix epoch.

mod excuse;
pub mod history;
mod read;
mod writer;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::settings::GroupProtocol;
use crate::workload::latency::Latency;
use crate::workload::placements::Placed;
use crate::workload::ranges::Ranges;
use crate::workload::spans::Span;

pub use read::Scope;
pub use writer::Writer;

/// Version of the ledgers' format; readers refuse what they do not know.
pub const SCHEMA: u32 = 2;

/// One line of a ledger. The first line of a file is [`Producer`](Line::Producer) or [`Consumer`](Line::Consumer).
// Who reads ledgers need not own the names of which they are full: `Name` is what holds one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "kebab-case")]
#[schemars(rename = "Line")]
pub enum Line<Name = String> {
    /// A producer began.
    Producer(ProducerHeader),
    /// A consumer began.
    Consumer(ConsumerHeader),
    /// From now on these sequence numbers may be sent. Written before the first of them is: what is reserved and
    /// never settled is of unknown fate.
    Reserve {
        /// When.
        at: i64,
        /// The new limits; partitions that are not named keep theirs.
        partitions: Vec<Reserved>,
    },
    /// What was settled since the last such line; also a sign of life, at least once a second.
    Settled {
        /// When the line was written: all it tells happened at or before this.
        at: i64,
        /// Every send begun before this is settled.
        horizon: i64,
        /// What was settled; partitions of which nothing was are left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        partitions: Vec<Settled<Name>>,
    },
    /// What was delivered to the consumer since the last such line.
    Delivered {
        /// When the line was written: all it tells happened at or before this.
        at: i64,
        /// What was delivered.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        partitions: Vec<Delivered<Name>>,
    },
    /// How long the sends took that were acknowledged, or the messages that were delivered, since the last such line;
    /// once a second.
    Latency {
        /// When.
        at: i64,
        /// By partition and, for a consumer, by the producer of the messages.
        partitions: Vec<Took<Name>>,
    },
    /// A rebalance gave the consumer these partitions, beside those it kept.
    Assigned(Rebalanced),
    /// A rebalance took these partitions from the consumer.
    Revoked(Rebalanced),
    /// The group's coordinator confirmed these commits.
    Committed {
        /// When.
        at: i64,
        /// The offsets after the last processed message.
        offsets: Vec<Committed<Name>>,
    },
    /// The idempotent client has taken a new producer epoch, and may have sent again under it what was in flight.
    Epoch {
        /// When that was seen.
        at: i64,
        /// When the epoch before was last seen.
        since: i64,
    },
    /// Something worth knowing: an error, a broker that changed. Not more often than about once a second.
    Note {
        /// When.
        at: i64,
        /// What.
        message: String,
    },
    /// The process ended cleanly. Nothing follows.
    Closed {
        /// When.
        at: i64,
    },
}

/// Who a producer is and how it sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProducerHeader {
    /// Version of this format.
    pub schema: u32,
    /// Its id, which its messages carry.
    pub producer: String,
    /// The host's name; in a container, the container's.
    pub host: String,
    /// When it started.
    pub started: i64,
    /// When a write is acknowledged: `all`, `1` or `0`.
    pub acks: String,
    /// Whether the broker drops what a retry sent twice.
    pub idempotent: bool,
    /// The topics it writes.
    pub topics: Vec<String>,
}

/// Who a consumer is and how it consumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConsumerHeader {
    /// Version of this format.
    pub schema: u32,
    /// Its id, which is also its `client.id`.
    pub consumer: String,
    /// The host's name; in a container, the container's.
    pub host: String,
    /// When it started.
    pub started: i64,
    /// Its group.
    pub group: String,
    /// `group.instance.id`, where membership is static.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// By which protocol the group settles who reads what; ledgers from before the new one have the classic.
    #[serde(default, skip_serializing_if = "GroupProtocol::is_classic")]
    pub group_protocol: GroupProtocol,
    /// `partition.assignment.strategy`, or `group.remote.assignor` in the new protocol.
    pub assignment: String,
    /// The topics it reads.
    pub topics: Vec<String>,
}

/// A limit of sequence numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reserved {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Every sequence number below this may have been sent.
    pub until: u64,
}

/// What became of sends to one partition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Settled")]
pub struct Settled<Name = String> {
    /// The topic.
    pub topic: Name,
    /// The partition.
    pub partition: i32,
    /// Acknowledged sends, with the offsets that brokers told; −1 where no message of the run was told its own.
    #[serde(default, skip_serializing_if = "SmallVec::is_empty")]
    pub acked: SmallVec<[Placed; 1]>,
    /// When the first of them began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<i64>,
    /// When they were acknowledged.
    #[serde(default, skip_serializing_if = "SmallVec::is_empty")]
    pub spans: SmallVec<[Span; 1]>,
    /// Sends that certainly were not written, as librdkafka says.
    #[serde(default, skip_serializing_if = "Ranges::is_empty")]
    pub failed: Ranges,
    /// Sends of which nobody knows whether they were written.
    #[serde(default, skip_serializing_if = "Ranges::is_empty")]
    pub unknown: Ranges,
    /// When those that failed or are unknown began.
    #[serde(default, skip_serializing_if = "SmallVec::is_empty")]
    pub troubled: SmallVec<[Span; 1]>,
}

/// How long messages of one partition took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Took")]
pub struct Took<Name = String> {
    /// The topic.
    pub topic: Name,
    /// The partition.
    pub partition: i32,
    /// The producer of the messages; `None` in that producer's own ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<Name>,
    /// In a producer's ledger from the send to its acknowledgement, by librdkafka's clock; in a consumer's from the send
    /// to the delivery, by the two clocks of their hosts, to the millisecond.
    pub micros: Latency,
}

/// What was delivered from one partition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Delivered")]
pub struct Delivered<Name = String> {
    /// The topic.
    pub topic: Name,
    /// The partition.
    pub partition: i32,
    /// Runs of offsets `[first, last]`, in the order of delivery: a new run begins wherever the next offset was
    /// not the last one plus one.
    pub runs: SmallVec<[(i64, i64); 1]>,
    /// When they were delivered.
    pub spans: SmallVec<[Span; 1]>,
}

/// Partitions that a rebalance gave or took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rebalanced {
    /// When.
    pub at: i64,
    /// The partitions.
    pub partitions: Vec<(String, i32)>,
    /// The group's generation, where known: the member's epoch in the new group protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i32>,
    /// The member's id in the group, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Whether the group had already given the partitions to others, without asking.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Committed")]
pub struct Committed<Name = String> {
    /// The topic.
    pub topic: Name,
    /// The partition.
    pub partition: i32,
    /// The offset after the last processed message.
    pub offset: i64,
}
