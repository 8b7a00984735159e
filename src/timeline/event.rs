//! The events of a run. Each is one line of `timeline.jsonl`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use memchr::memmem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::timeline::limits::Limits;
use crate::topology::Expectation;
use crate::topology::migration::Phase;

/// Version of the timeline's format; readers refuse what they do not know.
pub const SCHEMA: u32 = 3;

/// Something that happened, when, and who says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Wall-clock time.
    pub wall: Timestamp,
    /// Milliseconds since the run started, by a clock that never steps.
    pub elapsed_ms: u64,
    /// Who says so: `khd`, `engine`, `zookeeper`, `quorum`, the service that was asked, such as `kafka1`, or the client
    /// that noticed it, such as `consumer-1`.
    pub source: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Event {
    /// Reads a line of a timeline. What nearly all events are of is looked for before the line is read, since to have serde
    /// look for it, or part it from what all events have, makes it keep every line in pieces first.
    ///
    /// # Errors
    /// When the line is no event.
    pub fn parse(line: &[u8]) -> serde_json::Result<Self> {
        // As a whole, and not each string of it by itself.
        let line = std::str::from_utf8(line).map_err(serde::de::Error::custom)?;
        macro_rules! event {
            ($kind:ident { $($field:ident: $type:ty),* }) => {{
                #[derive(Deserialize)]
                struct Fields { wall: Timestamp, elapsed_ms: u64, source: String, $($field: $type),* }
                serde_json::from_str(line).map(|Fields { wall, elapsed_ms, source, $($field),* }| Self {
                    wall,
                    elapsed_ms,
                    source,
                    kind: Kind::$kind { $($field),* },
                })
            }};
        }
        let frequent = match told_kind(line) {
            Some("partition") => event!(Partition {
                topic: String,
                partition: i32,
                leader: i32,
                leader_epoch: i32,
                replicas: Vec<i32>,
                isr: BTreeSet<i32>
            }),
            Some("offsets") => event!(Offsets {
                end: i64,
                committed: i64,
                partitions: u32
            }),
            Some("resources") => event!(Resources {
                service: String,
                number: u32,
                cpu: f64,
                memory: u64,
                received: u64,
                sent: u64,
                read: u64,
                written: u64
            }),
            _ => return serde_json::from_str(line),
        };
        // Where it is something else after all, that is told here.
        frequent.or_else(|_| serde_json::from_str(line))
    }

    /// The version of the timeline's format, which its first event tells.
    pub fn schema(&self) -> Option<u32> {
        match self.kind {
            Kind::RunStarted { schema, .. } => Some(schema),
            _ => None,
        }
    }
}

/// What a line of a timeline seems to tell of, judged by how khd writes it.
fn told_kind(line: &str) -> Option<&str> {
    const EVENT: &str = r#""event":""#;
    static FINDER: LazyLock<memmem::Finder<'_>> = LazyLock::new(|| memmem::Finder::new(EVENT));
    let begin = FINDER.find(line.as_bytes())? + EVENT.len();
    line[begin..].split('"').next()
}

/// How long an end offset counts as told just now: several rounds of asking, so that one that is late does not count as
/// missing.
pub const FRESH: Duration = Duration::from_millis(1500);

/// A topic and one of its partitions.
pub type TopicPartition = (String, i32);

/// What happened. Facts about brokers carry, in [`Event::source`], the broker that was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Kind {
    /// A run began. Always the first event.
    RunStarted {
        /// Version of this format.
        schema: u32,
        /// Version of khd.
        khd: String,
        /// The command, as typed.
        command: String,
        /// What must be true of the lab.
        // Boxed: it is by far the largest, and every other event would take as much room.
        expectation: Box<Expectation>,
        /// Limits that the verdicts are judged by.
        limits: Limits,
        /// Checks that do not apply to this run, by id, each with the reason.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        skip: BTreeMap<String, String>,
    },
    /// What the run is going to do, step by step, in words; steps are numbered from 0 in this order.
    StepsPlanned {
        /// The drill's name, or what was asked for.
        drill: String,
        /// The seed of all that is random in it.
        seed: u64,
        /// Each step in words, such as `kill leader:test-1/0`.
        steps: Vec<String>,
    },
    /// A step began. Steps in parallel overlap.
    StepStarted {
        /// Its number.
        step: u32,
        /// What sort of step it is: `fail`, `until`, `recover` …
        sort: String,
        /// What it does, in words.
        words: String,
        /// The condition that it waits for, by name, where it waits for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// A step ended.
    StepEnded {
        /// Its number.
        step: u32,
        /// Whether what it waited for came true.
        ok: bool,
        /// What it last saw, when it did not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lacking: Vec<String>,
    },
    /// A fault is about to be injected; everything after this may show its effect.
    FaultInjected {
        /// Its number in this run.
        id: u32,
        /// Its kind, such as `stop`.
        fault: String,
        /// What it hits: `kafka2`, `consumer-1`.
        targets: Vec<String>,
        /// Those of them that are out of the cluster while it is in place: the lab has to do without them.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        out: BTreeSet<String>,
        /// Whether its targets are in the lab only while it is in place.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        adds: bool,
        /// Its options, by name.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        options: Map<String, Value>,
        /// Whom the user asked for, where that was a role: `leader:test-1/0`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        asked: Vec<String>,
    },
    /// The fault took effect, and this is the proof.
    FaultEffective {
        /// Its number.
        id: u32,
        /// What showed it.
        proof: String,
    },
    /// The fault is about to be undone.
    FaultUndone {
        /// Its number.
        id: u32,
    },
    /// What the fault had broken works again, and this is the proof.
    FaultHealed {
        /// Its number.
        id: u32,
        /// What showed it.
        proof: String,
    },
    /// The number of containers of a service of clients was changed.
    Scaled {
        /// The service.
        service: String,
        /// How many there shall be.
        replicas: u16,
    },
    /// The lab is being brought to another phase of the migration from ZooKeeper to KRaft.
    MigrationStarted {
        /// Which.
        phase: Phase,
    },
    /// The lab has come to that phase.
    MigrationEnded {
        /// Which.
        phase: Phase,
    },
    /// Something that a drill says to its readers.
    Note {
        /// What.
        text: String,
    },
    /// A broker began to answer.
    BrokerAnswers,
    /// A broker ceased to answer.
    BrokerSilent {
        /// The error of the last attempt.
        error: String,
    },
    /// Whom a broker names as controller, and which brokers it knows.
    Cluster {
        /// The controller it names; −1 for none.
        controller: i32,
        /// The brokers it lists.
        brokers: BTreeSet<i32>,
    },
    /// What a broker says of a partition, whenever that changed.
    Partition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The leader; −1 for none.
        leader: i32,
        /// The leader's epoch; −1 where unknown.
        leader_epoch: i32,
        /// Replicas, the preferred leader first.
        replicas: Vec<i32>,
        /// In-sync replicas.
        isr: BTreeSet<i32>,
    },
    /// The group as its coordinator describes it. The source is the coordinator.
    Group {
        /// The group.
        group: String,
        /// Its state in Kafka's words: `Stable`, `PreparingRebalance` …
        state: String,
        /// Its members.
        members: Vec<Member>,
    },
    /// The broker that coordinated the group no longer does.
    CoordinatorLost {
        /// The group.
        group: String,
    },
    /// Of whom a broker coordinates the transactions, whenever that changed. It is asked only in labs with copiers.
    Transactions {
        /// Their transactional ids.
        ids: BTreeSet<String>,
    },
    /// How far topics and the group have come, summed over partitions.
    Offsets {
        /// Sum of the end offsets of all partitions, as consumers see them: up to the high watermark.
        end: i64,
        /// Sum of the group's committed offsets.
        committed: i64,
        /// Partitions whose leader told its end offset within the last 1.5 s; the others stand with their last one.
        partitions: u32,
    },
    /// The controller as ZooKeeper holds it, or the leader of KRaft's metadata quorum.
    ControllerElected {
        /// The broker in `/controller`, or the leader's node id; −1 for none, between the end of one and the election of
        /// the next.
        controller: i32,
        /// `/controller_epoch`, or the leader's epoch: grows with each election.
        epoch: i32,
    },
    /// KRaft's metadata quorum as its leader describes it, whenever that changed.
    Quorum {
        /// Node id of the leader; −1 while none says that it leads.
        leader: i32,
        /// The epoch of the leader, or of the last one.
        leader_epoch: i32,
        /// Node ids of the controllers, which vote.
        voters: BTreeSet<i32>,
        /// Node ids of those that read the metadata log and do not vote: brokers that are no controllers.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        observers: BTreeSet<i32>,
        /// Those of both that have not had all of the log for some seconds.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        lagging: BTreeSet<i32>,
    },
    /// A ZooKeeper server's mode, or why it does not serve.
    #[serde(rename = "zookeeper")]
    ZooKeeper {
        /// `leader`, `follower` or `standalone`.
        mode: Option<String>,
        /// What went wrong, when it gave no mode.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A container's state as the engine tells it. The source is the engine.
    Container {
        /// Its service.
        service: String,
        /// Its number within the service.
        number: u32,
        /// `running`, `exited`, `paused` …, or `removed`.
        state: String,
        /// Exit code, where it exited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i64>,
    },
    /// A rebalance gave a member these partitions, beside those it kept. The source is the member's container.
    PartitionsAssigned {
        /// The group.
        group: String,
        /// Kafka's id of the member, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// The group's generation, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<i32>,
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// A rebalance took these partitions from a member. The source is the member's container.
    PartitionsRevoked {
        /// The group.
        group: String,
        /// Kafka's id of the member, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// The group's generation, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<i32>,
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// Whether the group had already given them to others, without asking.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
    },
    /// A client has had no success on a partition for too long, although it should have had one. The source is the
    /// client's container.
    GapOpened {
        /// What there was none of.
        of: Success,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The last success before; where there was none, when one was first due. Milliseconds since the Unix epoch.
        since: i64,
    },
    /// The first success after a gap that was told as opened. The source is the client's container.
    GapClosed {
        /// Of what it is the first.
        of: Success,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// `since` of the gap, in milliseconds since the Unix epoch.
        from: i64,
        /// When the success came, in milliseconds since the Unix epoch.
        to: i64,
    },
    /// A producer or consumer met an error. The source is its container.
    ClientError {
        /// What.
        message: String,
        /// How many others were left out since the one before: clients tell about one a second.
        #[serde(default, skip_serializing_if = "is_zero")]
        suppressed: u64,
    },
    /// What a container uses. The source is the engine.
    Resources {
        /// Its service.
        service: String,
        /// Its number within the service.
        number: u32,
        /// Processor time since the sample before, in cores.
        cpu: f64,
        /// Memory in bytes, without cached files that can be dropped.
        memory: u64,
        /// Bytes received over the network since the container's start.
        received: u64,
        /// Bytes sent over the network since the container's start.
        sent: u64,
        /// Bytes read from disks since the container's start.
        read: u64,
        /// Bytes written to disks since the container's start.
        written: u64,
    },
    /// Sends begun before this moment are judged; the end offsets were taken after it.
    Cut,
    /// Something went wrong that does not end the run.
    Warning {
        /// What.
        message: String,
    },
    /// The run ended. Missing when khd was killed.
    RunEnded {
        /// How: `done`, `interrupted`, or the error.
        outcome: String,
    },
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a client waits for on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Success {
    /// A producer's.
    Acknowledgement,
    /// A consumer's.
    Delivery,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Kafka's id of the member.
    pub id: String,
    /// Its `client.id`.
    pub client: String,
    /// Host it connects from.
    pub host: String,
    /// Partitions assigned to it, by topic.
    pub assigned: BTreeMap<String, BTreeSet<i32>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_are_read_without_a_detour_are_read_as_any_other() {
        let told = [
            r#""source":"kafka1","event":"partition","topic":"t","partition":1,"leader":1,"leader_epoch":2,"replicas":[1,2],"isr":[2]"#,
            r#""source":"khd","event":"offsets","end":9,"committed":7,"partitions":30"#,
            r#""source":"engine","event":"resources","service":"kafka1","number":1,"cpu":0.5,"memory":1,"received":2,"sent":3,"read":4,"written":5"#,
            r#""source":"khd","event":"cut""#,
            // It looks like another one at first.
            r#""source":"khd","event":"fault-injected","id":1,"fault":"config","targets":[],"options":{"event":"offsets"}"#,
            r#""source":"khd","options":{"event":"offsets"},"event":"fault-injected","id":1,"fault":"config","targets":[]"#,
        ];
        for told in told {
            let line = format!(r#"{{"wall":"2026-11-28T08:00:00.5Z","elapsed_ms":3,{told}}}"#);
            let read = Event::parse(line.as_bytes()).unwrap();
            assert_eq!(read, serde_json::from_str(&line).unwrap(), "{line}");
        }
        let lacking = r#"{"wall":"2026-11-28T08:00:00Z","elapsed_ms":3,"source":"khd","event":"offsets","end":9}"#;
        assert!(Event::parse(lacking.as_bytes()).is_err());
    }
}
